// SPDX-License-Identifier: MIT
/*
 * VT-d: devices that answer, but late (test_drv_late.c). A guest's batch has
 * one wait for all of its devices, so only one that is alone is named. Time is
 * the test's own; the queue is locked while it passes here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drv/vtd/unit.h"
#include "fake_time.h"
#include "vtd_bed.h"

#define WINDOW 1000u /* docs/security.md */
#define BUDGET 4u
#define FACTOR 10u

struct nest {
	struct vbed b;
	unsigned int late; /* ms until device 0x101 has answered a wait */
	bool asked;
	unsigned int waits; /* for it */
};

static void watch(struct vfake *f, const uint64_t dw[4])
{
	struct nest *t = f->spy_arg;

	f->log_n = 0;
	if ((dw[0] & 0xf) == 3)
		t->asked |= dw[0] >> 32 == 0x101;
	if ((dw[0] & 0xf) != 5 || !t->asked)
		return;
	t->asked = false;
	t->waits++;
	fake_pass(t->late);
}

static void start(struct nest *t, unsigned int timeouts, int devices)
{
	memset(t, 0, sizeof(*t));
	vbed_init(&t->b);
	t->b.r.cfg.atc_timeouts = timeouts;
	vbed_start(&t->b);
	t->b.r.hw.spy = watch;
	t->b.r.hw.spy_arg = t;
	for (int i = 1; i <= devices; i++)
		vbed_attach(&t->b, i, NO_PASID);
	t->waits = 0;
}

static void end(struct nest *t)
{
	t->late = 0;
	vbed_stop(&t->b);
}

static int inval(struct nest *t, uint32_t count)
{
	return vbed_inval(&t->b, count);
}

static bool has_ats(struct nest *t, uint32_t sid)
{
	return vbed_has_ats(&t->b, sid);
}

static void test_its_devices_have_a_tenth_of_the_time(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 0, 2);
	t.late = 30;
	was = fake_now();
	for (int i = 0; i < 30; i++)
		assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(t.waits, 30);
	assert_int_equal(fake_now() - was, 29 * FACTOR * 30 + 30);
	assert_true(has_ats(&t, 0x101) && has_ats(&t, 0x182));
	/* a little is nobody's fault */
	t.late = 0;
	assert_int_equal(inval(&t, 1), 0);
	was = fake_now();
	t.late = 9;
	for (int i = 0; i < 50; i++)
		assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(fake_now() - was, 50 * 9);
	end(&t);
}

static void test_one_that_is_alone_is_named(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 0, 1);
	t.late = 500;
	was = fake_now();
	for (int i = 0; i < 100; i++)
		assert_int_equal(inval(&t, 8), 0);
	/* in quarantine nothing of it is in reach, so it is not asked */
	assert_int_equal(t.waits, BUDGET);
	assert_int_equal(fake_now() - was,
			 BUDGET * 500 + (BUDGET - 1) * WINDOW);
	assert_false(has_ats(&t, 0x101));
	end(&t);
}

static void test_of_several_the_guest_pays(void **state)
{
	struct nest t;

	(void)state;
	start(&t, 0, 2);
	t.late = 500;
	for (int i = 0; i < 100; i++)
		assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(t.waits, 4 * BUDGET);
	assert_false(has_ats(&t, 0x101) || has_ats(&t, 0x182));
	end(&t);
}

/* Each repeated request is waited for by itself: one late answer in a window */
static void test_a_search_among_late_answers(void **state)
{
	struct core_iommu_stats s;
	struct nest t;
	uint64_t was;

	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		start(&t, 1000, 1);
		t.b.r.hw.ahead = ahead;
		t.b.r.hw.mute_sid = 0x101;
		t.b.r.hw.mute_dw1 = 2 << 12;
		t.b.r.hw.mute_times = 1;
		t.late = 400;
		was = fake_now();
		assert_int_equal(inval(&t, 8), 0);
		assert_int_equal(t.b.inv.done, 8);
		vrig_stats(&t.b.r, &s);
		assert_int_equal(s.timeouts, 1);
		/* all 8 at once, then each */
		assert_int_equal(t.waits, 9);
		assert_int_equal(fake_now() - was, 9 * 400 + 8 * WINDOW);
		end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_its_devices_have_a_tenth_of_the_time),
		cmocka_unit_test(test_one_that_is_alone_is_named),
		cmocka_unit_test(test_of_several_the_guest_pays),
		cmocka_unit_test(test_a_search_among_late_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
