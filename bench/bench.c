// SPDX-License-Identifier: MIT
/* See bench.h. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double da = *(const double *)a;
	double db = *(const double *)b;

	return (da > db) - (da < db);
}

void bench_measure(void (*fn)(void *arg), void (*before)(void *arg), void *arg,
		   uint64_t ops, struct bench_row *row)
{
	double sample[BENCH_SAMPLES];
	uint64_t start;
	int i;

	for (i = -1; i < BENCH_SAMPLES; i++) {
		if (before)
			before(arg);
		start = bench_now();
		fn(arg);
		if (i >= 0)
			sample[i] = (double)(bench_now() - start) / (double)ops;
	}
	qsort(sample, BENCH_SAMPLES, sizeof(sample[0]), by_value);
	row->min = sample[0];
	row->median = sample[BENCH_SAMPLES / 2];
	row->max = sample[BENCH_SAMPLES - 1];
}

void bench_heading(const char *text)
{
	printf("\n%s\n  %-52s %9s %9s %9s  %s\n", text, "", "min", "median",
	       "max", "median/baseline");
}

void bench_print(const char *what, const struct bench_row *row, double baseline)
{
	printf("  %-52s %9.1f %9.1f %9.1f", what, row->min, row->median,
	       row->max);
	if (baseline > 0)
		printf("  %.1f", row->median / baseline);
	printf("\n");
	fflush(stdout);
}

#define COMMANDS (1u << 16)

struct baseline {
	uint64_t (*from)[2];
	uint64_t (*to)[2];
	uint64_t *table;
	volatile uint64_t sink;
};

static void copy(void *arg)
{
	struct baseline *b = arg;

	memcpy(b->to, b->from, (size_t)COMMANDS * 16);
	b->sink = b->to[COMMANDS - 1][0];
}

static void copy_validate(void *arg)
{
	struct baseline *b = arg;
	uint64_t bad = 0;

	for (uint32_t i = 0; i < COMMANDS; i += 64) {
		memcpy(b->to + i, b->from + i, 64 * 16);
		for (uint32_t j = i; j < i + 64; j++)
			bad |= (b->to[j][0] & 0xff) != 0x12 ||
			       (b->to[j][1] & 0xf0);
	}
	b->sink = bad;
}

static void probe(void *arg)
{
	struct baseline *b = arg;
	uint64_t at = 1;

	for (uint32_t i = 0; i < COMMANDS; i++)
		at = b->table[(at * 0x9e3779b97f4a7c15ULL) >> 48] + i;
	b->sink = at;
}

void bench_machine(struct bench_machine *machine)
{
	struct baseline b = {
		.from = malloc((size_t)COMMANDS * 16),
		.to = malloc((size_t)COMMANDS * 16),
		.table = malloc(COMMANDS * sizeof(uint64_t)),
	};
	struct bench_row row;

	if (!b.from || !b.to || !b.table)
		exit(1);
	for (uint32_t i = 0; i < COMMANDS; i++) {
		b.from[i][0] = 0x12;
		b.from[i][1] = (uint64_t)i << 12 | 1;
		b.table[i] = rand();
	}
	bench_heading("the machine itself, ns per command or probe");
	bench_measure(copy, NULL, &b, COMMANDS, &row);
	machine->copy = row.median;
	bench_print("copy of a 16-byte command (of 65536)", &row, 0);
	bench_measure(copy_validate, NULL, &b, COMMANDS, &row);
	machine->validate = row.median;
	bench_print("copy 64 at a time and check each", &row, 0);
	bench_measure(probe, NULL, &b, COMMANDS, &row);
	machine->probe = row.median;
	bench_print("hash probe, dependent, 512 KiB table", &row, 0);
	free(b.from);
	free(b.to);
	free(b.table);
}
