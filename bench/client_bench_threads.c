// SPDX-License-Identifier: MIT
/*
 * Two threads against one, each on a processor of its own. What a machine can
 * give is measured likewise, by threads that only calculate; all kinds take
 * turns, so that whatever else runs disturbs them alike, and minima are
 * compared.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "client_bench.h"

/* Short samples, many of them: some will not be disturbed. */
#define SAMPLES 60
#define CALLS	8000

struct kind {
	const char *what;
	void (*fn)(void *arg);
	void *arg[2]; /* of each thread; the second is NULL for one thread */
	uint64_t ops; /* of both */
	double aim;   /* of the ratio to what two rows above has */
	double samples[SAMPLES];
};

struct worker {
	const struct kind *kind;
	int number;
	_Atomic int *ready; /* threads that are */
	uint64_t start;
	uint64_t end;
};

/* The @n-th processor that we may use; threads stay where they are without */
static void pin(int n)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all) && !n--) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			pthread_setaffinity_np(pthread_self(), sizeof(one),
					       &one);
			return;
		}
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int threads = w->kind->arg[1] ? 2 : 1;

	pin(w->number);
	atomic_fetch_add(w->ready, 1);
	while (atomic_load(w->ready) < threads)
		sched_yield();
	w->start = bench_now();
	w->kind->fn(w->kind->arg[w->number]);
	w->end = bench_now();
	return NULL;
}

/* ns from the first's start to the last's end, per operation */
static double sample(const struct kind *kind)
{
	int threads = kind->arg[1] ? 2 : 1;
	_Atomic int ready = 0;
	struct worker w[2] = { { kind, 0, &ready, 0, 0 },
			       { kind, 1, &ready, 0, 0 } };
	uint64_t start, end;
	pthread_t id[2];

	for (int i = 0; i < threads; i++)
		if (pthread_create(&id[i], NULL, work, &w[i]))
			exit(1);
	for (int i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	start = w[0].start;
	end = w[0].end;
	if (threads == 2 && w[1].start < start)
		start = w[1].start;
	if (threads == 2 && w[1].end > end)
		end = w[1].end;
	return (double)(end - start) / (double)kind->ops;
}

static int by_value(const void *a, const void *b)
{
	double da = *(const double *)a;
	double db = *(const double *)b;

	return (da > db) - (da < db);
}

static void measure(struct kind *kinds, int n)
{
	for (int i = -1; i < SAMPLES; i++)
		for (int k = 0; k < n; k++)
			kinds[k].samples[i < 0 ? 0 : i] = sample(&kinds[k]);
	for (int k = 0; k < n; k++)
		qsort(kinds[k].samples, SAMPLES, sizeof(double), by_value);
}

#define STEPS 1000

/* ns of 1000 dependent multiplications: no memory, nothing shared */
static void calculate(void *arg)
{
	volatile uint64_t *seed = arg;
	uint64_t x = *seed;

	for (int i = 0; i < STEPS; i++)
		for (int j = 0; j < STEPS; j++)
			x = x * 6364136223846793005ULL + 1;
	*seed = x;
}

static void print(struct kind *kinds, int n)
{
	for (int k = 0; k < n; k++) {
		const double *s = kinds[k].samples;
		struct bench_row row = { s[0], s[SAMPLES / 2], s[SAMPLES - 1] };
		/* Every comparison begins with one thread. */
		int one = k;

		while (kinds[one].arg[1])
			one--;
		client_print_ratio(kinds[k].what, &row,
				   one == k ? 0 : s[0] / kinds[one].samples[0],
				   kinds[k].aim);
	}
}

void client_threads(struct client *c)
{
	uint64_t calls = c->few ? 100 : CALLS;
	struct client_inval one[3], sixteen[3];
	uint64_t seeds[2][8] = { { 1 }, { 2 } };

	for (int i = 0; i < 3; i++) {
		__u32 id = c->nested[i == 1];

		one[i] = (struct client_inval){ c, id, 8, 1, (int)calls };
		sixteen[i] = (struct client_inval){ c, id, 8, 16, (int)calls };
	}
	struct kind kinds[] = {
		{ .what = "calculation: one thread",
		  .fn = calculate,
		  .arg = { seeds[0], NULL },
		  .ops = STEPS },
		{ .what = "calculation: two threads",
		  .fn = calculate,
		  .arg = { seeds[0], seeds[1] },
		  .ops = 2 * STEPS },
		{ .what = "1 entry: one thread",
		  .fn = client_invalidate,
		  .arg = { &one[0], NULL },
		  .ops = calls },
		{ .what = "1 entry: two threads, two nested HWPTs",
		  .fn = client_invalidate,
		  .arg = { &one[0], &one[1] },
		  .ops = 2 * calls,
		  .aim = 0.5 },
		{ .what = "1 entry: two threads, one nested HWPT",
		  .fn = client_invalidate,
		  .arg = { &one[0], &one[2] },
		  .ops = 2 * calls },
		{ .what = "16 entries: one thread",
		  .fn = client_invalidate,
		  .arg = { &sixteen[0], NULL },
		  .ops = calls },
		{ .what = "16 entries: two threads, two nested HWPTs",
		  .fn = client_invalidate,
		  .arg = { &sixteen[0], &sixteen[1] },
		  .ops = 2 * calls,
		  .aim = 0.5 },
		{ .what = "16 entries: two threads, one nested HWPT",
		  .fn = client_invalidate,
		  .arg = { &sixteen[0], &sixteen[2] },
		  .ops = 2 * calls },
	};
	int n = sizeof(kinds) / sizeof(kinds[0]);

	client_fill(c, false);
	client_heading("two threads, ns per call (0.50: twice as many)",
		       "  min to one's, aim");
	measure(kinds, n);
	print(kinds, n);
}
