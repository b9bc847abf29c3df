// SPDX-License-Identifier: MIT
/* See path.h. */
#include "path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct path_arch *const archs[] = { &path_smmuv3, &path_vtd };

#define ARCHS (sizeof(archs) / sizeof(archs[0]))

uint64_t path_table(struct guest *guest)
{
	uint64_t gpa = guest->next_table;

	guest->next_table += 4096;
	return gpa;
}

void path_ring(struct guest *guest, const struct path_job *job)
{
	uint64_t dw1 = job->dw1;

	for (unsigned int d = 0; d < job->doorbells; d++) {
		for (unsigned int i = 0; i < job->commands; i++) {
			guest_command(guest, job->dw0, dw1);
			dw1 += job->step;
		}
		if (job->sync)
			guest_wait(guest);
		guest_ring(guest);
	}
}

/* ARCHS: none is named; more: what is named is none */
static size_t named(int argc, char **argv)
{
	size_t i = 0;

	if (argc == 1)
		return ARCHS;
	if (argc != 3 || strcmp(argv[1], "--iommu") != 0)
		return ARCHS + 1;
	while (i < ARCHS && strcmp(argv[2], archs[i]->name) != 0)
		i++;
	return i < ARCHS ? i : ARCHS + 1;
}

void path_each(int argc, char **argv,
	       void (*measure)(const struct path_arch *arch))
{
	size_t only = named(argc, argv);

	if (only > ARCHS) {
		fprintf(stderr, "usage: %s [--iommu smmuv3|vtd]\n", argv[0]);
		exit(2);
	}
	for (size_t i = 0; i < ARCHS; i++) {
		if (only == ARCHS || only == i)
			measure(archs[i]);
	}
}
