// SPDX-License-Identifier: MIT
/* See quiet.h. */
#include "quiet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static struct nestfd_driver_stats stats(struct bed *bed)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(bed->machine, &stats);
	return stats;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void invalidate(struct quiet *q, unsigned int n)
{
	uint64_t cmds[2][2] = {
		{ (NEIGHBOUR + 1ULL) << 48 | 0x12, IOVA(NEIGHBOUR, n) | 1 },
		{ (VSID_0 + NEIGHBOUR + 0ULL) << 32 | 0x40,
		  IOVA(NEIGHBOUR, n) },
	};
	uint64_t at = now_ms(); /* before the first that counts */
	uint64_t before = stats(q->bed).timeouts;
	struct answer answer;
	uint64_t windows;

	bed_array(q->bed, NEIGHBOUR_CTX, cmds, 2, &answer);
	q->wrong += answer.rc || answer.done != 2 || answer.code;
	before = stats(q->bed).timeouts - before;
	/* a window begins at each one's end: one, and one for each that passes
	 */
	windows = (now_ms() - at) / q->bed->window_ms + 1;
	q->waited += before != 0;
	q->unfair += before > windows;
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

void quiet_start(struct quiet *q, struct bed *bed)
{
	*q = (struct quiet){ .bed = bed, .before = stats(bed) };
	assert_int_equal(pthread_create(&q->thread, NULL, quiet_run, q), 0);
}

void quiet_end(struct quiet *q)
{
	__atomic_store_n(&q->stop, 1, __ATOMIC_RELEASE);
	pthread_join(q->thread, NULL);
	assert_int_equal(q->wrong, 0);
	q->timeouts = stats(q->bed).timeouts - q->before.timeouts;
	/* nothing that a guest does stops the queue for all */
	assert_int_equal(stats(q->bed).aborts, q->before.aborts);
}
