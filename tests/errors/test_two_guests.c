// SPDX-License-Identifier: MIT
/*
 * Two guests on one unit, one of which does all wrong that a guest can do
 * (bad.h), and a third on another unit. What the others get is what they get
 * without it, of its timeouts they wait for one in a window, and for none when
 * its devices are in quarantine or on another unit. Nothing is measured: time
 * stands still (frozen.h), and what others waited for is counted.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bad.h"
#include "steady.h"

#define WINDOW_MS  1000u /* docs/security.md */
#define WINDOWS	   200u	 /* by then the bad one has done all it wants to */
#define ROUNDS_MIN 5	 /* of a window */

static uint64_t counters(const struct steady *s)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(s->host.machine, &stats);
	return stats.timeouts + stats.late + stats.waited + stats.quarantines +
	       stats.illegal + stats.aborts;
}

/* The third guest: alone on its unit */
struct elsewhere {
	struct steady steady;
	bool stop; /* atomic */
	pthread_t thread;
};

static void *elsewhere_run(void *arg)
{
	struct elsewhere *e = arg;

	while (!bad_is(&e->stop))
		steady_round(&e->steady);
	return NULL;
}

static void elsewhere_start(struct elsewhere *e, enum nestfd_arch arch)
{
	steady_start(&e->steady, arch);
	frozen_for_good(e->steady.host.machine);
	e->stop = false;
	assert_int_equal(pthread_create(&e->thread, NULL, elsewhere_run, e), 0);
}

static void elsewhere_end(struct elsewhere *e)
{
	__atomic_store_n(&e->stop, true, __ATOMIC_RELEASE);
	pthread_join(e->thread, NULL);
	/* its own commands that are not legal never reach hardware */
	assert_int_equal(counters(&e->steady), 0);
}

struct scene {
	struct frozen time;
	struct bad bad;
	struct steady steady; /* beside it */
	struct elsewhere elsewhere;
	unsigned int windows;
	unsigned int quiet; /* windows since it is over its budget */
};

/* Rounds until the bad one can do no more in this window: it is held, or done
 */
static void one_window(struct scene *s)
{
	uint64_t most = bad_is(&s->bad.over) ? 0 : 1;
	uint64_t delays = frozen_delays(&s->time);
	uint64_t waited = frozen_waited(&s->time);

	for (int i = 0; i < ROUNDS_MIN ||
			!(frozen_is_held(&s->time) || bad_is(&s->bad.done));
	     i++)
		steady_round(&s->steady);
	assert_true(frozen_delays(&s->time) - delays <= most);
	assert_true(frozen_waited(&s->time) - waited <= most);
	s->quiet += !most;
	s->windows++;
}

static void scene_run(struct scene *s, enum nestfd_arch arch)
{
	elsewhere_start(&s->elsewhere, arch);
	steady_start(&s->steady, arch);
	bad_start(&s->bad, arch, s->steady.host.machine, &s->time);
	while (!bad_is(&s->bad.done)) {
		assert_true(s->windows < WINDOWS);
		frozen_pass(&s->time, WINDOW_MS);
		one_window(s);
	}
}

/* What it was before: else there is nothing to be seen */
static void it_was_bad(struct scene *s)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(s->steady.host.machine, &stats);
	assert_true(stats.timeouts >= 16);
	assert_true(stats.late >= 2);
	assert_true(stats.searches >= 1);
	assert_true(stats.quarantines >= 3);
	assert_true(stats.illegal >= 10);
	assert_int_equal(stats.aborts, 0);
	/* the neighbour was there nearly each time */
	assert_true(stats.waited >= 10);
	assert_true(stats.waited <= stats.timeouts + stats.late);
	assert_true(s->windows >= 20);
	assert_true(s->quiet >= 1);
	assert_int_equal(s->time.others, 0);
	assert_int_equal(s->time.missed, 0);
}

/* At last the unit itself goes, and takes the neighbour with it. */
static void the_unit_dies(struct scene *s)
{
	struct nestfd_fault abort = { .size = sizeof(abort),
				      .kind = NESTFD_FAULT_ABT };
	uint32_t n = s->steady.n;

	assert_int_equal(nestfd_inject(s->steady.host.machine, &abort), 0);
	steady_round(&s->steady);
	assert_int_equal(s->steady.rounds[n].ioctl[0], -EIO);
	assert_true(s->steady.rounds[n].dma[0] < 0);
	n = __atomic_load_n(&s->elsewhere.steady.n, __ATOMIC_ACQUIRE);
	while (__atomic_load_n(&s->elsewhere.steady.n, __ATOMIC_ACQUIRE) <
	       n + ROUNDS_MIN)
		;
}

static void two_guests(enum nestfd_arch arch)
{
	static struct scene s;
	struct steady alone;
	uint32_t rounds;

	memset(&s, 0, sizeof(s));
	scene_run(&s, arch);
	it_was_bad(&s);
	rounds = s.steady.n;
	bad_stop(&s.bad);
	the_unit_dies(&s);
	elsewhere_end(&s.elsewhere);

	steady_start(&alone, arch);
	frozen_for_good(alone.host.machine);
	while (alone.n < rounds || alone.n < s.elsewhere.steady.n)
		steady_round(&alone);
	steady_compare(&s.steady, &alone, rounds);
	steady_compare(&s.elsewhere.steady, &alone, s.elsewhere.steady.n);
	steady_stop(&alone);
	steady_stop(&s.elsewhere.steady);
	steady_stop(&s.steady);
}

static void two_guests_on_one_smmu(void **state)
{
	(void)state;
	two_guests(NESTFD_ARCH_SMMUV3);
}

static void two_guests_on_one_vtd_unit(void **state)
{
	(void)state;
	two_guests(NESTFD_ARCH_VTD);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_guests_on_one_smmu),
		cmocka_unit_test(two_guests_on_one_vtd_unit),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
