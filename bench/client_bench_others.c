// SPDX-License-Identifier: MIT
/* Calls that are none of iommufd's: do they cost what they did? */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_bench.h"

#define OTHERS 50000

static void fionread(void *p)
{
	int queued;

	for (int i = 0; i < OTHERS; i++)
		ioctl(((int *)p)[0], FIONREAD, &queued);
}

static void stat_file(void *p)
{
	struct stat st;

	(void)p;
	for (int i = 0; i < OTHERS; i++)
		if (stat("/dev/null", &st))
			exit(1);
}

static void read_null(void *p)
{
	char byte;

	for (int i = 0; i < OTHERS; i++)
		if (read(((int *)p)[1], &byte, 1))
			exit(1);
}

int client_others(char **baselines)
{
	static const struct {
		const char *name;
		void (*fn)(void *p);
	} rows[] = {
		{ "ioctl FIONREAD of a pipe", fionread },
		{ "stat", stat_file },
		{ "read of /dev/null", read_null },
	};
	struct bench_row row;
	int pipes[2], fds[2];

	if (pipe(pipes))
		return 1;
	fds[0] = pipes[0];
	fds[1] = open("/dev/null", O_RDONLY);
	for (int i = 0; i < 3; i++) {
		double baseline = baselines ? atof(baselines[i]) : 0;

		bench_measure(rows[i].fn, NULL, fds, OTHERS, &row);
		client_print_ratio(rows[i].name, &row,
				   baseline > 0 ? row.min / baseline : 0,
				   baseline > 0);
		if (!baselines)
			dprintf(3, "%.1f ", row.min);
	}
	return 0;
}
