/* SPDX-License-Identifier: MIT */
/*
 * Timing inside one process: samples of a repeated operation, printed as
 * minimum, median and maximum nanoseconds per operation, and as a ratio to a
 * baseline measured in the same run.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdint.h>

#define BENCH_SAMPLES 15

struct bench_row {
	double min;
	double median;
	double max;
};

/* ns since some start */
uint64_t bench_now(void);

/*
 * Samples @fn(@arg), which does @ops operations each time; one warm-up. @before
 * (may be NULL) runs in front of each sample, untimed.
 */
void bench_measure(void (*fn)(void *arg), void (*before)(void *arg), void *arg,
		   uint64_t ops, struct bench_row *row);

void bench_heading(const char *text);
/* @baseline: ns of what the ratio is to, 0 for no ratio */
void bench_print(const char *what, const struct bench_row *row,
		 double baseline);

/* The machine's own speed: measured once, printed, for ratios */
struct bench_machine {
	double copy;	 /* copy of one 16-byte command in an array of 2^16 */
	double validate; /* copy and check of opcode and reserved bits */
	double probe;	 /* dependent hash probe, 2^16 entries */
};
void bench_machine(struct bench_machine *machine);

#endif
