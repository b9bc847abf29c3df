// SPDX-License-Identifier: MIT
/* See tally.h. */
#include "shim/tally.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t tally_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

unsigned int tally_row(unsigned long cmd)
{
	unsigned int row = (unsigned int)(cmd & 0xff) - RUN_STAT_FIRST;

	return (cmd & ~0xfful) == ';' << 8 && row < RUN_STAT_OTHER
		       ? row
		       : RUN_STAT_OTHER;
}

void tally_count(struct run_stats *stats, unsigned int row, uint64_t ns,
		 bool failed)
{
	struct run_stat *counters = &stats->row[row];

	atomic_fetch_add(&counters->calls, 1);
	if (failed)
		atomic_fetch_add(&counters->errors, 1);
	atomic_fetch_add(&counters->ns, ns);
}

void tally_write(struct run_stats *stats, int fd, const struct trace_line *line,
		 pid_t tid,
		 ssize_t (*write_fn)(int fd, const void *buf, size_t len))
{
	char text[TRACE_LINE + 32];
	size_t length, done = 0;
	ssize_t rc;
	int n = 0;

	if (tid)
		n = snprintf(text, sizeof(text), "[pid %ld] ", (long)tid);
	memcpy(text + n, line->text, line->used);
	length = (size_t)n + line->used;
	do { /* a full disk takes less, and says why the next time */
		rc = write_fn(fd, text + done, length - done);
		if (rc > 0)
			done += (size_t)rc;
	} while (done < length && (rc > 0 || (rc < 0 && errno == EINTR)));
	if (done == length || !stats)
		return;
	atomic_store(&stats->lost_error, rc < 0 ? errno : EIO);
	atomic_fetch_add(&stats->lost, 1);
}
