// SPDX-License-Identifier: MIT
/*
 * VT-d: a guest whose device did not answer causes no other timeout in the same
 * window (test_drv_windows.c), and what a device in quarantine was still to be
 * asked when it got there. Time is the test's own.
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

#define RW	  3
#define ITE	  2
#define WINDOW	  1000u /* docs/security.md */
#define TIMES_MAX 64

struct nest {
	struct vbed b;
	/* each timeout */
	uint64_t at[TIMES_MAX];
	unsigned int times;
	/* how often device 0x101 has been asked */
	unsigned int asked;
	/* during the nth nap; 0: never */
	unsigned int wake;
};

static struct unit *unit(struct nest *t)
{
	return to_unit(t->b.r.iommu);
}

static void watch(struct vfake *f, const uint64_t dw[4])
{
	struct nest *t = f->spy_arg;

	f->log_n = 0;
	t->asked += (dw[0] & 0xf) == 3 && dw[0] >> 32 == 0x101;
	if ((dw[0] & 0xf) != 5 || !f->outstanding)
		return;
	assert_true(t->times < TIMES_MAX);
	t->at[t->times++] = fake_now();
}

static void start(struct nest *t, unsigned int timeouts)
{
	memset(t, 0, sizeof(*t));
	vbed_init(&t->b);
	t->b.r.cfg.atc_timeouts = timeouts;
	vbed_start(&t->b);
	t->b.r.hw.spy = watch;
	t->b.r.hw.spy_arg = t;
	for (int i = 1; i < 3; i++)
		vbed_attach(&t->b, i, NO_PASID);
}

static void end(struct nest *t)
{
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

static void expect_windows(const struct nest *t, unsigned int n)
{
	assert_int_equal(t->times, n);
	for (unsigned int i = 1; i < n; i++)
		assert_true(t->at[i] - t->at[i - 1] >= WINDOW);
}

static void test_one_call_after_the_other(void **state)
{
	struct nest t;

	(void)state;
	start(&t, 1000);
	t.b.r.hw.mute_sid = 0x101;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(inval(&t, 1), -ETIMEDOUT);
		assert_int_equal(t.b.inv.done, 0);
		assert_int_equal(t.b.inv.info, 0x101);
	}
	expect_windows(&t, 5);
	end(&t);
}

static void test_both_steps_of_a_search(void **state)
{
	struct nest t;

	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		start(&t, 1000);
		t.b.r.hw.mute_silent = silent;
		t.b.r.hw.mute_sid = 0x182;
		t.b.r.hw.mute_dw1 = 5 << 12;
		for (int i = 0; i < 3; i++) {
			assert_int_equal(inval(&t, 8), -ETIMEDOUT);
			assert_int_equal(t.b.inv.done, 5);
			assert_int_equal(t.b.inv.info, 0x182);
		}
		expect_windows(&t, 6);
		end(&t);
	}
}

static void test_a_good_devices_answer_waits_too(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 1000);
	t.b.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	t.b.r.hw.mute_sid = 0;
	was = fake_now();
	assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(fake_now() - was, WINDOW);
	was = fake_now();
	assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(fake_now(), was);
	end(&t);
}

/* The last chance is gone: its first command in doubt is the one. */
static void test_a_device_at_its_end_is_not_asked_again(void **state)
{
	struct nest t;

	(void)state;
	start(&t, 1);
	t.b.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 8), -ETIMEDOUT);
	assert_int_equal(t.b.inv.done, 0);
	assert_int_equal(t.b.inv.code, ITE);
	assert_int_equal(t.b.inv.info, 0x101);
	expect_windows(&t, 1);
	assert_false(has_ats(&t, 0x101));
	assert_true(has_ats(&t, 0x182));
	/* the others go on without it */
	assert_int_equal(inval(&t, 8), 0);
	end(&t);
}

static struct nest *sleeper;

static void nap(struct hostdevs *h, uint64_t ms)
{
	fake_pass(ms);
	if (sleeper->wake && !--sleeper->wake)
		hostdevs_mark_sid(h, 0x101);
}

static void test_what_it_was_to_be_asked_is_dropped_in_quarantine(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 1000);
	t.b.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	sleeper = &t;
	t.wake = 3;
	unit(&t)->devs.nap_ms = nap;
	t.asked = 0;
	was = fake_now();
	/* its ATS is off: nothing of it is in reach, which is all one asks */
	assert_int_equal(inval(&t, 8), 0);
	assert_int_equal(t.b.inv.done, 8);
	assert_int_equal(t.asked, 0);
	assert_int_equal(fake_now() - was, WINDOW);
	assert_false(has_ats(&t, 0x101));
	expect_windows(&t, 1);
	end(&t);
}

static void test_an_unmap_waits(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 1000);
	assert_int_equal(t.b.parent->ops->map(t.b.parent, 0, 0, 0x1000, RW), 0);
	t.b.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	t.b.r.hw.mute_sid = 0;
	was = fake_now();
	t.b.parent->ops->unmap(t.b.parent, 0, 0x1000);
	assert_int_equal(fake_now() - was, WINDOW);
	assert_true(has_ats(&t, 0x101) && has_ats(&t, 0x182));
	end(&t);
}

static void test_detaching_does_not(void **state)
{
	struct nest t;
	uint64_t was;

	(void)state;
	start(&t, 1000);
	t.b.r.hw.mute_sid = 0x101;
	was = fake_now();
	t.b.r.iommu->ops->block(&t.b.r.dev[1], NO_PASID);
	t.b.r.iommu->ops->block(&t.b.r.dev[2], NO_PASID);
	assert_int_equal(fake_now(), was);
	expect_windows(&t, 1);
	/* neither was asked again: out of reach until their resets */
	assert_false(has_ats(&t, 0x101) || has_ats(&t, 0x182));
	t.b.r.hw.mute_sid = 0;
	for (int i = 1; i < 3; i++)
		t.b.r.iommu->ops->device_reset(&t.b.r.dev[i]);
	assert_true(has_ats(&t, 0x101) && has_ats(&t, 0x182));
	end(&t);
}

static void test_a_guest_that_resets_in_a_loop(void **state)
{
	struct nest t;

	(void)state;
	start(&t, 0);
	t.b.r.hw.mute_sid = 0x101;
	for (int i = 0; i < 100; i++) {
		inval(&t, 1);
		t.b.r.iommu->ops->device_reset(&t.b.r.dev[1]);
	}
	expect_windows(&t, 16);
	assert_false(has_ats(&t, 0x101) || has_ats(&t, 0x182));
	end(&t);
}

/* A new parent each time has a new budget and window, the device has not. */
static void test_a_new_parent_each_time_has_no_new_window(void **state)
{
	unsigned int asked;
	struct nest t;

	(void)state;
	start(&t, 0);
	t.b.r.iommu->ops->block(&t.b.r.dev[1], NO_PASID);
	t.b.r.hw.mute_sid = 0x101;
	for (int i = 0; i < 60; i++) {
		struct core_domain *parent = vrig_domain(&t.b.r, 1);
		struct ventry entry = { .npages = 1 };
		struct core_domain *n;

		assert_int_equal(vrig_nested(&t.b.r, parent, 0, 0x1000, 48, &n),
				 0);
		assert_int_equal(n->ops->attach(n, &t.b.r.dev[1], NO_PASID), 0);
		/* detaching in a window took its ATS away */
		t.b.r.iommu->ops->device_reset(&t.b.r.dev[1]);
		asked = t.asked;
		vrig_inval(n, &entry, 1, true, &t.b.inv);
		assert_int_equal(t.asked > asked, i < 16);
		t.b.r.iommu->ops->block(&t.b.r.dev[1], NO_PASID);
		n->ops->free(n);
		parent->ops->free(parent);
	}
	expect_windows(&t, 16);
	assert_true(has_ats(&t, 0x182));
	end(&t);
}

/* Its host has found out, and nobody has told the other device yet. */
static void test_a_guest_that_its_host_finds_over_budget(void **state)
{
	struct nest t;

	(void)state;
	start(&t, 0);
	t.b.r.hw.mute_sid = 0x101;
	for (int i = 0; i < 16; i++) {
		t.b.r.iommu->ops->block(&t.b.r.dev[1], NO_PASID);
		fake_pass(WINDOW);
		t.b.r.iommu->ops->device_reset(&t.b.r.dev[1]);
		assert_int_equal(
			t.b.n->ops->attach(t.b.n, &t.b.r.dev[1], NO_PASID), 0);
	}
	expect_windows(&t, 16);
	assert_true(has_ats(&t, 0x182));
	assert_int_equal(inval(&t, 8), 0);
	assert_false(has_ats(&t, 0x101) || has_ats(&t, 0x182));
	expect_windows(&t, 16);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_call_after_the_other),
		cmocka_unit_test(test_both_steps_of_a_search),
		cmocka_unit_test(test_a_good_devices_answer_waits_too),
		cmocka_unit_test(test_a_device_at_its_end_is_not_asked_again),
		cmocka_unit_test(
			test_what_it_was_to_be_asked_is_dropped_in_quarantine),
		cmocka_unit_test(test_an_unmap_waits),
		cmocka_unit_test(test_detaching_does_not),
		cmocka_unit_test(test_a_guest_that_resets_in_a_loop),
		cmocka_unit_test(test_a_new_parent_each_time_has_no_new_window),
		cmocka_unit_test(test_a_guest_that_its_host_finds_over_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
