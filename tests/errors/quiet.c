// SPDX-License-Identifier: MIT
/* See quiet.h. */
#include "quiet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void invalidate(struct quiet *q, unsigned int n)
{
	uint64_t cmds[2][2] = {
		{ (NEIGHBOUR + 1ULL) << 48 | 0x12, IOVA(NEIGHBOUR, n) | 1 },
		{ (VSID_0 + NEIGHBOUR + 0ULL) << 32 | 0x40,
		  IOVA(NEIGHBOUR, n) },
	};
	uint64_t start = now_ns();
	struct answer answer;
	uint64_t ns;

	bed_array(q->bed, NEIGHBOUR_CTX, cmds, 2, &answer);
	ns = now_ns() - start;
	q->wrong += answer.rc || answer.done != 2 || answer.code;
	q->slow += q->slow_ns && ns >= q->slow_ns;
	if (ns > q->max_ns)
		q->max_ns = ns;
}

static void *quiet_run(void *arg)
{
	struct quiet *q = arg;
	uint64_t value;

	for (; !__atomic_load_n(&q->stop, __ATOMIC_ACQUIRE) || q->rounds < 100;
	     q->rounds++) {
		unsigned int n = q->rounds % PAGES;
		bool moved = q->rounds / PAGES & 1;

		bed_set_leaf(q->bed, NEIGHBOUR, n, moved);
		invalidate(q, n);
		for (int ats = 0; ats < 2; ats++) {
			value = ~0ULL;
			q->wrong +=
				bed_load(q->bed, NEIGHBOUR, n, ats, &value) ||
				value != n + (moved ? 0x100 : 0);
		}
	}
	return NULL;
}

void quiet_start(struct quiet *q, struct bed *bed, uint64_t slow_ns)
{
	*q = (struct quiet){ .bed = bed, .slow_ns = slow_ns };
	assert_int_equal(pthread_create(&q->thread, NULL, quiet_run, q), 0);
}

void quiet_end(struct quiet *q)
{
	__atomic_store_n(&q->stop, 1, __ATOMIC_RELEASE);
	pthread_join(q->thread, NULL);
	assert_int_equal(q->wrong, 0);
}
