// SPDX-License-Identifier: MIT
/*
 * --trace and --stats. A line goes out in one write(2) to a file opened for
 * appending, so lines of different threads and processes do not mix.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"
#include "shim/trace.h"

bool watch_on;
int watch_fd = -1;

static struct run_stats *stats;
static bool verbose;

static void open_trace(const char *path)
{
	int fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0) /* a socket cannot be opened by its name */
		fd = REAL(fcntl)(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		watch_fd = fd_hide(fd);
}

static void open_stats(const char *path)
{
	int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	if (map != MAP_FAILED)
		stats = map;
	REAL(close)(fd);
}

void watch_start(void)
{
	const char *trace = getenv(RUN_ENV_TRACE);
	const char *counters = getenv(RUN_ENV_STATS);
	struct shim_lock l;

	if (!trace && !counters)
		return;
	shim_lock(&l);
	if (trace)
		open_trace(trace);
	if (counters)
		open_stats(counters);
	verbose = getenv(RUN_ENV_VERBOSE) != NULL;
	watch_on = watch_fd >= 0 || stats;
	shim_unlock(&l);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned int row_of(unsigned long cmd)
{
	unsigned int row = (unsigned int)(cmd & 0xff) - RUN_STAT_FIRST;

	return (cmd & ~0xfful) == ';' << 8 && row < RUN_STAT_OTHER
		       ? row
		       : RUN_STAT_OTHER;
}

void watch_ioctl(struct watch *w, int fd, unsigned long cmd, void *arg)
{
	static const struct trace_mem mem = { .read = self_read };

	w->row = row_of(cmd);
	if (watch_fd < 0)
		w->line = NULL;
	if (w->line)
		trace_enter(w->line, fd, cmd, (uintptr_t)arg, &mem);
	w->began = now();
}

void watch_other(struct watch *w, unsigned int row, const char *format, ...)
{
	char text[160];
	va_list args;

	w->row = row;
	if (watch_fd < 0)
		w->line = NULL;
	if (w->line) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		trace_text(w->line, "%s", text);
	}
	w->began = now();
}

static void write_line(const struct trace_line *line)
{
	char text[TRACE_LINE + 32];
	int n = 0;
	ssize_t done;

	if (verbose)
		n = snprintf(text, sizeof(text), "[pid %ld] ",
			     syscall(SYS_gettid));
	memcpy(text + n, line->text, line->used);
	do {
		done = REAL(write)(watch_fd, text, (size_t)n + line->used);
	} while (done < 0 && errno == EINTR);
}

void watch_end(struct watch *w, long rc)
{
	uint64_t took = now() - w->began;

	if (stats) {
		struct run_stat *row = &stats->row[w->row];

		atomic_fetch_add(&row->calls, 1);
		if (rc < 0)
			atomic_fetch_add(&row->errors, 1);
		atomic_fetch_add(&row->ns, took);
	}
	if (w->line) {
		trace_exit(w->line, rc);
		write_line(w->line);
	}
}
