/* SPDX-License-Identifier: MIT */
/* --trace and --stats: counting calls, and writing their lines. */
#ifndef SHIM_TALLY_H
#define SHIM_TALLY_H

#include <stdbool.h>
#include <sys/types.h>

#include "shim/run.h"
#include "shim/trace.h"

uint64_t tally_now(void);

/* The row of an ioctl */
unsigned int tally_row(unsigned long cmd);

void tally_count(struct run_stats *stats, unsigned int row, uint64_t ns,
		 bool failed);

/*
 * Writes a line in one write(2): @fd was opened for appending, so lines of
 * different threads and processes do not mix. @tid 0: it does not begin with
 * the thread's id. What cannot be written is counted in @stats, if not NULL.
 */
void tally_write(struct run_stats *stats, int fd, const struct trace_line *line,
		 pid_t tid,
		 ssize_t (*write_fn)(int fd, const void *buf, size_t len));

#endif
