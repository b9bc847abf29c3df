// SPDX-License-Identifier: MIT
/* --trace and --stats: the files, and the table at the end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../cmd.h"
#include "run.h"
#include "shim/trace.h"

/*
 * Whoever traces opens standard error anew. If it is a file, that has a
 * position of its own: without O_APPEND the lines and the program's would
 * overwrite each other.
 */
static int trace_stderr(struct run *run)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	if (flags >= 0)
		fcntl(STDERR_FILENO, F_SETFL, flags | O_APPEND);
	run->trace_fd = STDERR_FILENO;
	return 0;
}

static int start_trace(struct run *run)
{
	if (!strcmp(run->trace, "-"))
		return trace_stderr(run);
	run->trace_fd =
		open(run->trace,
		     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	if (run->trace_fd >= 0)
		return 0;
	fprintf(stderr, "nestfd run: %s: %s\n", run->trace, strerror(errno));
	return TOOL_FAILED;
}

static int start_stats(struct run *run)
{
	void *map;

	run->stats_fd = memfd_create("nestfd-stats", MFD_CLOEXEC);
	if (run->stats_fd < 0 ||
	    ftruncate(run->stats_fd, sizeof(*run->counters)))
		goto fail;
	map = mmap(NULL, sizeof(*run->counters), PROT_READ | PROT_WRITE,
		   MAP_SHARED, run->stats_fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	run->counters = map;
	return 0;

fail:
	fprintf(stderr, "nestfd run: counters: %s\n", strerror(errno));
	return TOOL_FAILED;
}

int run_watch_start(struct run *run)
{
	int rc = run->trace ? start_trace(run) : 0;

	/* What of a trace cannot be written is counted as well. */
	return !rc && (run->stats || run->trace) ? start_stats(run) : rc;
}

static const char *row_name(unsigned int row)
{
	switch (row) {
	case RUN_STAT_OTHER:
		return "other ioctl";
	case RUN_STAT_OPEN:
		return "open";
	case RUN_STAT_CLOSE:
		return "close";
	case RUN_STAT_READ:
		return "read";
	case RUN_STAT_WRITE:
		return "write";
	default:
		return trace_command_name(RUN_STAT_FIRST + row);
	}
}

static void print_row(const char *name, uint64_t calls, uint64_t errors,
		      uint64_t ns)
{
	fprintf(stderr, "%10" PRIu64 " %8" PRIu64 " %12.3f %10" PRIu64 "  %s\n",
		calls, errors, (double)ns / 1e6, calls ? ns / calls : 0, name);
}

static void print_table(const struct run *run)
{
	uint64_t calls = 0, errors = 0, ns = 0;

	fprintf(stderr, "%10s %8s %12s %10s  %s\n", "calls", "errors",
		"total ms", "ns/call", "call");
	for (unsigned int i = 0; i < RUN_STAT_ROWS; i++) {
		struct run_stat *row = &run->counters->row[i];

		if (!row->calls)
			continue;
		print_row(row_name(i), row->calls, row->errors, row->ns);
		calls += row->calls;
		errors += row->errors;
		ns += row->ns;
	}
	print_row("total", calls, errors, ns);
}

/* Who reads a trace may stop doing so. */
static void print_lost(const struct run *run)
{
	uint64_t lost = run->counters->lost;
	int error = run->counters->lost_error;

	if (lost && error != EPIPE)
		fprintf(stderr,
			"nestfd run: --trace %s: %s: %" PRIu64
			" lines are lost\n",
			run->trace, strerror(error), lost);
}

void run_watch_end(struct run *run)
{
	if (!run->counters)
		return;
	print_lost(run);
	if (run->stats)
		print_table(run);
	munmap(run->counters, sizeof(*run->counters));
}
