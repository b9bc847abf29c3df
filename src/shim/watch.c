// SPDX-License-Identifier: MIT
/*
 * --trace and --stats. A line goes out in one write(2) to a file opened for
 * appending, so lines of different threads and processes do not mix.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"
#include "shim/tally.h"
#include "shim/trace.h"

bool watch_on;
int watch_fd = -1;

static struct run_stats *stats;
static bool verbose;

static void open_trace(const char *path)
{
	static const char standard_error[] = "/fd/2";
	/* A pipe that nobody reads any more must not hold the program up. */
	int fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK |
					  O_NOCTTY);
	size_t n = strlen(path);

	/* A socket cannot be opened by its name. */
	if (fd < 0 && n >= sizeof(standard_error) &&
	    !strcmp(path + n + 1 - sizeof(standard_error), standard_error))
		fd = REAL(fcntl)(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	else if (fd >= 0)
		REAL(fcntl)(fd, F_SETFL, O_APPEND);
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

void watch_ioctl(struct watch *w, int fd, unsigned long cmd, void *arg)
{
	static const struct trace_mem mem = { .read = self_read };

	w->row = tally_row(cmd);
	if (watch_fd < 0)
		w->line = NULL;
	if (w->line)
		trace_enter(w->line, fd, cmd, (uintptr_t)arg, &mem);
	w->began = tally_now();
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
	w->began = tally_now();
}

/* If nobody reads the trace any more, that is no signal for the program. */
static ssize_t quiet_write(int fd, const void *buf, size_t len)
{
	static const struct timespec now = { 0 };
	sigset_t pipe, pending;
	sigset_t old = { 0 };
	ssize_t rc;
	int error;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	REAL(pthread_sigmask)(SIG_BLOCK, &pipe, &old);
	sigpending(&pending);
	rc = REAL(write)(fd, buf, len);
	error = errno;
	if (rc < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	REAL(pthread_sigmask)(SIG_SETMASK, &old, NULL);
	errno = error;
	return rc;
}

void watch_end(struct watch *w, long rc)
{
	uint64_t took = tally_now() - w->began;

	if (stats)
		tally_count(stats, w->row, took, rc < 0);
	if (w->line) {
		trace_exit(w->line, rc);
		tally_write(stats, watch_fd, w->line,
			    verbose ? (pid_t)syscall(SYS_gettid) : 0,
			    quiet_write);
	}
}
