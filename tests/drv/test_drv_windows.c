// SPDX-License-Identifier: MIT
/*
 * Each timeout opens a window of its guest, in which that guest causes no other
 * one: others meet one of its timeouts in a window, whatever it does. Time is
 * the test's own (fake_time.h), and what it was at each timeout is what is
 * looked at.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "bed.h"
#include "drv/clock.h"
#include "drv/smmuv3/unit.h"
#include "fake_time.h"

#define WINDOW	  1000u /* docs/security.md */
#define BUDGET	  4u
#define TIMES_MAX 256

struct guest {
	struct bed b;
	bool mute[3];
	/* under the queue's lock */
	uint64_t at[TIMES_MAX]; /* each timeout */
	unsigned int n;
	uint64_t tlbi_at;   /* the last TLBI */
	unsigned int asked; /* ATC_INVs */
};

/* The queue is locked here. */
static void watch(struct fake *f, const uint64_t dw[2])
{
	struct guest *g = f->spy_arg;
	uint32_t sid = (uint32_t)(dw[0] >> 32);

	f->log_n = 0; /* there is more of it than room */
	g->asked += (dw[0] & 0xff) == 0x40;
	if ((dw[0] & 0xff) == 0x40)
		f->mute_sid = g->mute[sid & 3] ? sid : UINT32_MAX;
	if ((dw[0] & 0xff) == 0x11)
		g->tlbi_at = fake_now();
	if ((dw[0] & 0xff) != SYNC || !f->atc_outstanding)
		return;
	assert_true(g->n < TIMES_MAX);
	g->at[g->n++] = fake_now();
}

static struct unit *unit(struct guest *g)
{
	return to_unit(g->b.r.iommu);
}

static void guest_begin(struct guest *g)
{
	bed_start(&g->b);
	g->b.r.hw.spy = watch;
	g->b.r.hw.spy_arg = g;
}

static void guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	bed_init(&g->b);
}

/* @many: never in quarantine */
static void guest_start(struct guest *g, bool many)
{
	guest_init(g);
	g->b.r.cfg.atc_timeouts = many ? 1000000 : 0;
	guest_begin(g);
}

static void guest_stop(struct guest *g)
{
	memset(g->mute, 0, sizeof(g->mute));
	bed_stop(&g->b);
}

static bool has_ats(struct guest *g, uint32_t sid)
{
	return bed_has_ats(&g->b, sid);
}

static int atc_inv(struct guest *g, uint32_t vsid)
{
	struct core_inval inv;

	return bed_atc_inv(&g->b, vsid, &inv);
}

static int tlbi(struct guest *g)
{
	uint64_t cmd[1][2] = { { 7ULL << 48 | 0x11 } };
	struct core_inval inv;

	return rig_inval(g->b.v, cmd, 1, &inv);
}

static void map(struct guest *g)
{
	assert_int_equal(
		g->b.parent->ops->map(g->b.parent, 0x1000, 0x1000, 0x1000, 3),
		0);
}

static void unmap(struct guest *g)
{
	g->b.parent->ops->unmap(g->b.parent, 0x1000, 0x1000);
}

static void expect_windows(const struct guest *g, unsigned int n, uint64_t ms)
{
	assert_int_equal(g->n, n);
	for (unsigned int i = 1; i < n; i++)
		assert_true(g->at[i] - g->at[i - 1] >= ms);
}

/* ---- one guest ---- */

static void test_the_next_one_waits_for_the_windows_end(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	expect_windows(&g, 5, WINDOW);
	assert_int_equal(g.at[4] - g.at[0], 4 * WINDOW);
	/* none in between: nothing to wait for */
	fake_pass(WINDOW);
	assert_int_equal(fake_naps(), 4 * WINDOW / 10);
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_int_equal(fake_naps(), 4 * WINDOW / 10);
	guest_stop(&g);
}

static void test_a_search_waits_between_its_steps(void **state)
{
	uint64_t cmds[8][2];
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g, true);
	for (int i = 0; i < 8; i++) {
		cmds[i][0] = 0x5100000040;
		cmds[i][1] = (uint64_t)i << 12;
	}
	g.mute[1] = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_inval(g.b.v, cmds, 8, &inv), -ETIMEDOUT);
	expect_windows(&g, 6, WINDOW);
	guest_stop(&g);
}

static void test_devices_in_turn_have_one_window(void **state)
{
	uint64_t cmds[4][2] = { { 0x5100000040, 52 },
				{ 0x5200000040, 52 },
				{ 0x5100000040, 52 },
				{ 0x5200000040, 52 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = g.mute[2] = true;
	for (int i = 0; i < 10; i++)
		assert_int_equal(atc_inv(&g, 0x51 + i % 2), -ETIMEDOUT);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rig_inval(g.b.v, cmds + i, 4 - i, &inv),
				 -ETIMEDOUT);
		assert_int_equal(inv.done, 0);
	}
	expect_windows(&g, 14, WINDOW);
	guest_stop(&g);
}

static void test_a_good_device_waits_for_its_guests_bad_one(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	was = fake_now();
	assert_int_equal(atc_inv(&g, 0x52), 0);
	assert_true(fake_now() - was >= WINDOW);
	was = fake_now();
	assert_int_equal(atc_inv(&g, 0x52), 0);
	assert_int_equal(fake_now(), was);
	guest_stop(&g);
}

static void test_a_reset_does_not_end_a_window(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, false);
	g.mute[1] = true;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	}
	expect_windows(&g, 4 * BUDGET, WINDOW);
	guest_stop(&g);
}

/* Whatever it can do that asks a device something, in any order */
static void test_a_guest_that_tries_everything(void **state)
{
	uint64_t random = 0x1234567;
	struct guest g;

	(void)state;
	guest_start(&g, false);
	g.mute[1] = g.mute[2] = true;
	map(&g);
	for (int i = 0; i < 3000; i++) {
		int d = 1 + (random >> 8 & 1);

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		switch (random % 6) {
		case 0:
			atc_inv(&g, 0x50 + d);
			break;
		case 1:
			g.b.r.iommu->ops->device_reset(&g.b.r.dev[d]);
			break;
		case 2:
			unmap(&g);
			map(&g);
			break;
		case 3:
			g.b.r.iommu->ops->block(&g.b.r.dev[d], UINT32_MAX);
			break;
		case 4:
			bed_attach(&g.b, d);
			break;
		case 5:
			fake_pass(random >> 16 & 127);
			break;
		}
	}
	assert_true(g.n >= 3 * BUDGET);
	expect_windows(&g, g.n, WINDOW);
	unmap(&g);
	guest_stop(&g);
}

static void test_a_window_is_its_guests_alone(void **state)
{
	uint64_t cmds[2][2] = { { 9ULL << 48 | 0x11 }, { 0x6200000040, 52 } };
	struct core_vdevice vdev;
	struct core_viommu *other;
	struct core_inval inv;
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	other = rig_viommu(&g.b.r, g.b.parent);
	rig_vdev(other, &vdev, &g.b.r.dev[2], 0x62);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	was = fake_now();
	assert_int_equal(rig_inval(other, cmds, 2, &inv), 0);
	assert_int_equal(fake_now(), was);
	other->ops->vdevice_remove(other, &vdev);
	other->ops->free(other);
	guest_stop(&g);
}

static void test_what_asks_no_device_is_not_held_up(void **state)
{
	uint64_t cmds[3][2] = { { 7ULL << 48 | 0x11 },
				{ 8ULL << 48 | 0x11 },
				{ 0x5100000040, 52 } };
	struct core_inval inv;
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	was = fake_now();
	assert_int_equal(tlbi(&g), 0);
	assert_int_equal(fake_now(), was);
	/* nor what stands in front of one that asks */
	assert_int_equal(rig_inval(g.b.v, cmds, 3, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 2);
	assert_int_equal(g.tlbi_at, was);
	expect_windows(&g, 2, WINDOW);
	guest_stop(&g);
}

static void test_a_native_queue_waits_as_well(void **state)
{
	uint64_t cmds[6][2] = { { 0x5100000040, 0x1000 }, { SYNC },
				{ 7ULL << 48 | 0x11 },	  { 0x5200000040, 52 },
				{ 0x5100000040, 52 },	  { SYNC } };
	struct core_inval inv = { .uptr = (uintptr_t)cmds,
				  .type = 1,
				  .stride = 16,
				  .count = 6,
				  .native = true };
	struct guest g;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	for (int i = 0; i < 2; i++) {
		inv.uptr = (uintptr_t)cmds;
		inv.count = 6;
		assert_int_equal(g.b.v->ops->invalidate(g.b.v, &inv),
				 -ETIMEDOUT);
		assert_int_equal(inv.done, 1);
		assert_int_equal(inv.info, 0);
		inv.uptr = (uintptr_t)cmds[2];
		inv.count = 4;
		assert_int_equal(g.b.v->ops->invalidate(g.b.v, &inv),
				 -ETIMEDOUT);
		assert_int_equal(inv.done, 3);
		assert_int_equal(inv.info, 2);
	}
	expect_windows(&g, 4, WINDOW);
	guest_stop(&g);
}

/* Nobody ends it, but two timeouts of each device are enough. */
static void test_a_native_queue_without_a_sync_has_two_timeouts(void **state)
{
	uint64_t cmds[64][2];
	struct core_inval inv = { .uptr = (uintptr_t)cmds,
				  .type = 1,
				  .stride = 16,
				  .count = 64,
				  .native = true };
	struct guest g;

	(void)state;
	for (int i = 0; i < 64; i++) {
		cmds[i][0] = i & 1 ? 0x5100000040 : 0x5200000040;
		cmds[i][1] = 52;
	}
	guest_start(&g, true);
	g.mute[1] = g.mute[2] = true;
	assert_int_equal(g.b.v->ops->invalidate(g.b.v, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 64);
	assert_int_equal(inv.code, 3);
	assert_int_equal(inv.info, 0);
	assert_true(inv.info_entry);
	assert_in_range(g.n, 2, 4);
	expect_windows(&g, g.n, WINDOW);
	/* the next call asks them again */
	inv.count = 1;
	g.n = 0;
	assert_int_equal(g.b.v->ops->invalidate(g.b.v, &inv), -ETIMEDOUT);
	expect_windows(&g, 1, WINDOW);
	guest_stop(&g);
}

static void test_no_window_at_all(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_init(&g);
	g.b.r.cfg.atc_window_ms = UINT32_MAX;
	guest_begin(&g);
	g.mute[1] = true;
	was = fake_now();
	for (unsigned int i = 0; i < BUDGET; i++) {
		assert_true(has_ats(&g, 0x101));
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	}
	assert_int_equal(fake_now(), was);
	assert_false(has_ats(&g, 0x101));
	/* and still they are forgotten only after a minute */
	fake_pass(59999);
	g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	for (unsigned int i = 0; i < 100; i++) {
		atc_inv(&g, 0x51);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	}
	assert_int_equal(g.n, 4 * BUDGET);
	guest_stop(&g);
}

/* Others' turns end, though somebody who waits for the queue never gets it. */
static void test_a_turn_lasts_a_tenth_of_a_second_at_most(void **state)
{
	struct guest g;
	uint64_t was;
	uint64_t took;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	assert_int_equal(unit(&g)->cmdq.q.turn_ms, 100); /* docs/security.md */
	unit(&g)->cmdq.q.waiting[0]++;
	was = clock_ms();
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	took = clock_ms() - was;
	assert_true(took >= 100);
	expect_windows(&g, 1, WINDOW);
	unit(&g)->cmdq.q.waiting[1]++;
	guest_stop(&g);
}

/* ---- waiting ends ---- */

static struct guest *sleeper;
static unsigned int naps_left;
static void (*waker)(struct guest *g);

static void nap_and_wake(struct hostdevs *h, uint64_t ms)
{
	(void)h;
	fake_pass(ms);
	if (naps_left && !--naps_left)
		waker(sleeper);
}

static void wake_after(struct guest *g, unsigned int naps,
		       void (*wake)(struct guest *g))
{
	sleeper = g;
	naps_left = naps;
	waker = wake;
	unit(g)->devs.nap_ms = nap_and_wake;
}

static void into_quarantine(struct guest *g)
{
	hostdevs_mark_sid(&unit(g)->devs, 0x101);
}

static void test_quarantine_ends_the_wait(void **state)
{
	uint64_t cmds[2][2] = { { 0x5100000040, 52 }, { 0x5100000040, 0 } };
	struct core_inval inv;
	struct guest g;
	uint64_t was;

	(void)state;
	for (int search = 0; search < 2; search++) {
		guest_start(&g, true);
		g.mute[1] = true;
		if (!search)
			assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		wake_after(&g, 3, into_quarantine);
		was = fake_now();
		assert_int_equal(rig_inval(g.b.v, cmds, 2, &inv), -ETIMEDOUT);
		assert_int_equal(inv.done, 0);
		assert_int_equal(inv.info, 0x51);
		assert_true(fake_now() - was < WINDOW);
		assert_int_equal(g.n, 1); /* without hardware */
		guest_stop(&g);
	}
}

static void kill_unit(struct guest *g)
{
	hostq_give_up(&unit(g)->cmdq.q, "test");
}

static void test_the_units_end_ends_the_wait(void **state)
{
	uint64_t cmds[2][2] = { { 0x5100000040, 52 }, { 0x5100000040, 0 } };
	struct core_inval inv;
	struct guest g;
	uint64_t was;

	(void)state;
	for (int search = 0; search < 2; search++) {
		guest_start(&g, true);
		g.mute[1] = true;
		if (!search)
			assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		wake_after(&g, 3, kill_unit);
		was = fake_now();
		assert_int_equal(rig_inval(g.b.v, cmds, 2, &inv), -EIO);
		assert_int_equal(inv.code, 2);
		assert_true(fake_now() - was < WINDOW);
		guest_stop(&g);
	}
}

static void reset_device(struct guest *g)
{
	g->mute[1] = false;
	g->b.r.iommu->ops->device_reset(&g->b.r.dev[1]);
}

/* It looks, and waits on: else a reset would be a way around the window. */
static void test_a_reset_meanwhile_needs_no_end_of_the_wait(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	wake_after(&g, 3, reset_device);
	was = fake_now();
	assert_int_equal(atc_inv(&g, 0x51), 0);
	assert_int_equal(naps_left, 0);
	assert_int_equal(fake_now() - was, WINDOW);
	guest_stop(&g);
}

/* ---- the host's own ---- */

static void test_an_unmap_waits_and_takes_nobodys_ats(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	map(&g);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	g.mute[1] = false;
	was = fake_now();
	unmap(&g);
	assert_int_equal(fake_now() - was, WINDOW);
	assert_true(has_ats(&g, 0x101) && has_ats(&g, 0x102));
	guest_stop(&g);
}

/* So many TLBIs that the ATC_INVs come anywhere in what is collected */
static void test_an_unmap_of_any_size_takes_nobodys_ats(void **state)
{
	(void)state;
	for (uint64_t pages = 1; pages <= 200; pages++) {
		struct guest g;
		uint64_t was;

		guest_init(&g);
		g.b.r.cfg.atc_timeouts = 1000000;
		g.b.r.hw.idr[3] &= ~(1u << 10); /* no range invalidation */
		guest_begin(&g);
		assert_int_equal(g.b.parent->ops->map(g.b.parent, 0x1000,
						      0x1000, pages << 12, 3),
				 0);
		g.mute[1] = true;
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		g.mute[1] = false;
		was = fake_now();
		g.b.parent->ops->unmap(g.b.parent, 0x1000, pages << 12);
		assert_int_equal(fake_now() - was, WINDOW);
		assert_true(has_ats(&g, 0x101) && has_ats(&g, 0x102));
		guest_stop(&g);
	}
}

/* What a device has at 200 PASIDs is forgotten in a window; how long it took */
static uint64_t unmap_pasids(struct guest *g, struct alloc_plan *plan)
{
	struct core_domain *d = rig_domain(&g->b.r, 0);
	struct core_device *dev = &g->b.r.dev[2];
	uint64_t was;

	g->b.r.iommu->ops->block(dev, UINT32_MAX);
	for (uint32_t pasid = 1; pasid <= 200; pasid++)
		assert_int_equal(d->ops->attach(d, dev, pasid), 0);
	assert_int_equal(d->ops->map(d, 0x1000, 0x1000, 0x1000, 3), 0);
	g->mute[2] = true;
	assert_int_equal(atc_inv(g, 0x52), -ETIMEDOUT);
	g->mute[2] = false;
	g->asked = 0;
	was = fake_now();
	alloc_arm(plan);
	d->ops->unmap(d, 0x1000, 0x1000);
	alloc_arm(NULL);
	was = fake_now() - was;
	assert_int_equal(g->asked, has_ats(g, 0x102) ? 200 : 0);
	for (uint32_t pasid = 1; pasid <= 200; pasid++)
		g->b.r.iommu->ops->block(dev, pasid);
	d->ops->free(d);
	return was;
}

static void test_an_unmap_waits_however_much_it_has_to_ask(void **state)
{
	struct alloc_plan plan = { 0 };
	struct guest g;

	(void)state;
	guest_start(&g, true);
	assert_int_equal(unmap_pasids(&g, &plan), WINDOW);
	assert_true(plan.passed > 0);
	guest_stop(&g);
}

/* What cannot be kept until the window's end is out of reach instead. */
static void test_an_unmap_without_memory_takes_ats_away(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct guest g;

	(void)state;
	guest_start(&g, true);
	assert_int_equal(unmap_pasids(&g, &plan), 0);
	assert_int_equal(g.asked, 0);
	bed_attach(&g.b, 2);
	assert_false(has_ats(&g, 0x102));
	assert_true(has_ats(&g, 0x101));
	guest_stop(&g);
}

static void free_cfg_lock(struct guest *g)
{
	assert_int_equal(pthread_mutex_trylock(&unit(g)->cfg_lock), 0);
	pthread_mutex_unlock(&unit(g)->cfg_lock);
	assert_int_equal(pthread_mutex_trylock(&unit(g)->cmdq.q.lock), 0);
	pthread_mutex_unlock(&unit(g)->cmdq.q.lock);
	g->mute[0] = true; /* seen */
}

static void test_nobody_waits_with_a_lock_that_others_need(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, true);
	map(&g);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	wake_after(&g, 1, free_cfg_lock);
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_true(g.mute[0]);
	g.mute[0] = false;
	wake_after(&g, 1, free_cfg_lock);
	unmap(&g);
	assert_true(g.mute[0]);
	guest_stop(&g);
}

static void test_an_unmap_with_two_silent_devices_has_two_windows(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, true);
	map(&g);
	g.mute[1] = g.mute[2] = true;
	unmap(&g);
	expect_windows(&g, 2, WINDOW);
	assert_false(has_ats(&g, 0x101) || has_ats(&g, 0x102));
	guest_stop(&g);
}

/* Two that have no vIOMMU: their domain pays. */
static void test_devices_under_one_domain_have_one_window(void **state)
{
	struct core_domain *d;
	struct guest g;

	(void)state;
	guest_start(&g, true);
	d = rig_domain(&g.b.r, 0);
	for (int i = 1; i < 3; i++)
		assert_int_equal(d->ops->attach(d, &g.b.r.dev[i], UINT32_MAX),
				 0);
	assert_int_equal(d->ops->map(d, 0x1000, 0x1000, 0x1000, 3), 0);
	g.mute[1] = g.mute[2] = true;
	d->ops->unmap(d, 0x1000, 0x1000);
	expect_windows(&g, 2, WINDOW);
	assert_false(has_ats(&g, 0x101) || has_ats(&g, 0x102));
	for (int i = 1; i < 3; i++)
		g.b.r.iommu->ops->block(&g.b.r.dev[i], UINT32_MAX);
	d->ops->free(d);
	guest_stop(&g);
}

/* Detaching holds locks: what may not be asked now goes without. */
static void test_the_end_of_a_guest_costs_one_timeout_and_no_wait(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	g.mute[1] = g.mute[2] = true;
	was = fake_now();
	for (int i = 0; i < 3; i++)
		g.b.r.iommu->ops->block(&g.b.r.dev[i], UINT32_MAX);
	assert_int_equal(fake_now(), was);
	assert_int_equal(g.n, 1);
	/* what is left in an ATC that was not asked is of no use any more */
	for (int i = 0; i < 3; i++)
		bed_attach(&g.b, i);
	assert_false(has_ats(&g, 0x101) || has_ats(&g, 0x102));
	/* until the reset */
	memset(g.mute, 0, sizeof(g.mute));
	for (int i = 1; i < 3; i++) {
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[i]);
		assert_true(has_ats(&g, 0x100 + i));
	}
	guest_stop(&g);
}

static void test_attaching_takes_no_ats_from_who_had_none(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, true);
	g.b.r.iommu->ops->block(&g.b.r.dev[2], UINT32_MAX);
	g.mute[1] = true;
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	was = fake_now();
	bed_attach(&g.b, 2);
	assert_int_equal(fake_now(), was);
	assert_true(has_ats(&g, 0x102));
	guest_stop(&g);
}

/* A new vIOMMU each time has a new budget and window, the device has not. */
static void test_a_new_viommu_each_time_has_no_new_window(void **state)
{
	uint64_t cmd[1][2] = { { 0x6100000040, 52 } };
	struct guest g;

	(void)state;
	guest_start(&g, false);
	g.mute[1] = true;
	for (unsigned int i = 0; i < 15 * BUDGET; i++) {
		struct core_viommu *v = rig_viommu(&g.b.r, g.b.parent);
		struct core_vdevice vdev;
		struct core_inval inv;

		rig_vdev(v, &vdev, &g.b.r.dev[1], 0x61);
		assert_int_equal(rig_inval(v, cmd, 1, &inv), -ETIMEDOUT);
		assert_int_equal(inv.info, 0x61);
		v->ops->vdevice_remove(v, &vdev);
		v->ops->free(v);
		if (i % BUDGET == BUDGET - 1)
			g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	}
	expect_windows(&g, 4 * BUDGET, WINDOW);
	assert_false(has_ats(&g, 0x101));
	assert_true(has_ats(&g, 0x102));
	guest_stop(&g);
}

/* A new HWPT each time has a new budget, the device has not. */
static void test_a_reset_loop_without_a_guest_has_an_end(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, false);
	g.b.r.iommu->ops->block(&g.b.r.dev[1], UINT32_MAX);
	g.mute[1] = true;
	for (int i = 0; i < 60; i++) {
		struct core_domain *d = rig_domain(&g.b.r, 0);

		fake_pass(WINDOW);
		assert_int_equal(d->ops->attach(d, &g.b.r.dev[1], UINT32_MAX),
				 0);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
		g.b.r.iommu->ops->block(&g.b.r.dev[1], UINT32_MAX);
		d->ops->free(d);
	}
	expect_windows(&g, 4 * BUDGET, WINDOW);
	guest_stop(&g);
}

/* Its host has found out: its other device loses ATS when it is asked for. */
static void test_a_guest_that_its_host_finds_over_budget(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, false);
	map(&g);
	g.mute[1] = true;
	for (unsigned int i = 0; i < 4 * BUDGET; i++) {
		assert_true(has_ats(&g, 0x101));
		g.b.r.iommu->ops->block(&g.b.r.dev[1], UINT32_MAX);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
		bed_attach(&g.b, 1);
		fake_pass(WINDOW);
	}
	expect_windows(&g, 4 * BUDGET, WINDOW);
	assert_true(has_ats(&g, 0x102));
	assert_int_equal(atc_inv(&g, 0x52), -ETIMEDOUT);
	assert_false(has_ats(&g, 0x101) || has_ats(&g, 0x102));
	unmap(&g);
	expect_windows(&g, 4 * BUDGET, WINDOW);
	guest_stop(&g);
}

/* ---- two at once ---- */

struct cpu {
	struct guest *g;
	uint32_t vsid;
	int calls;
};

static void *hostile_cpu(void *arg)
{
	struct cpu *c = arg;

	for (int i = 0; i < c->calls; i++) {
		atc_inv(c->g, c->vsid);
		if (i % 3 == 0)
			tlbi(c->g);
		if (i % 7 == 0)
			c->g->b.r.iommu->ops->device_reset(
				&c->g->b.r.dev[c->vsid & 3]);
	}
	return NULL;
}

struct neighbour {
	struct core_viommu *v;
	unsigned int stop;
	unsigned int wrong;
	uint64_t calls;
};

static void *quiet_cpu(void *arg)
{
	uint64_t cmds[3][2] = { { 9ULL << 48 | 0x11 }, { 0x10 }, { 0x30 } };
	struct neighbour *n = arg;
	struct core_inval inv;

	while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE) || n->calls < 50) {
		n->wrong += rig_inval(n->v, cmds, 3, &inv) || inv.done != 3 ||
			    inv.code;
		n->calls++;
	}
	return NULL;
}

static void two_cpus(bool many, int calls, uint32_t window)
{
	struct neighbour n = { 0 };
	struct cpu cpu[2];
	pthread_t thread[3];
	struct guest g;

	guest_init(&g);
	g.b.r.cfg.atc_timeouts = many ? 1000000 : 0;
	g.b.r.cfg.atc_window_ms = window ? window : UINT32_MAX;
	guest_begin(&g);
	n.v = rig_viommu(&g.b.r, g.b.parent);
	g.mute[1] = g.mute[2] = true;
	assert_int_equal(pthread_create(&thread[2], NULL, quiet_cpu, &n), 0);
	for (int i = 0; i < 2; i++) {
		cpu[i] = (struct cpu){ &g, 0x51 + i, calls };
		assert_int_equal(
			pthread_create(&thread[i], NULL, hostile_cpu, &cpu[i]),
			0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&n.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread[2], NULL);
	assert_int_equal(n.wrong, 0);
	expect_windows(&g, many ? 2u * (unsigned int)calls : 4 * BUDGET,
		       window);
	n.v->ops->free(n.v);
	guest_stop(&g);
}

static void test_two_cpus_of_one_guest_have_one_window(void **state)
{
	(void)state;
	two_cpus(true, 40, WINDOW);
}

static void test_two_cpus_of_one_guest_have_one_budget(void **state)
{
	(void)state;
	two_cpus(false, 200, WINDOW);
	two_cpus(false, 200, 0);
}

/* The host unmaps, detaches and attaches while the guest asks. */
static void test_a_guest_and_its_host_have_one_window(void **state)
{
	struct cpu cpu;
	pthread_t thread;
	struct guest g;

	(void)state;
	guest_start(&g, true);
	/* tables come before the threads: their memory is not for several */
	for (uint64_t i = 0; i <= 60; i++)
		assert_int_equal(g.b.parent->ops->map(g.b.parent, i << 12,
						      i << 12, 0x1000, 3),
				 0);
	g.mute[1] = g.mute[2] = true;
	cpu = (struct cpu){ &g, 0x51, 60 };
	assert_int_equal(pthread_create(&thread, NULL, hostile_cpu, &cpu), 0);
	for (uint64_t i = 0; i < 60; i++) {
		g.b.parent->ops->unmap(g.b.parent, i << 12, 0x1000);
		g.b.r.iommu->ops->block(&g.b.r.dev[2], UINT32_MAX);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[2]);
		bed_attach(&g.b, 2);
	}
	pthread_join(thread, NULL);
	assert_true(g.n > 2);
	expect_windows(&g, g.n, WINDOW);
	g.b.parent->ops->unmap(g.b.parent, 60 << 12, 0x1000);
	guest_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_one_waits_for_the_windows_end),
		cmocka_unit_test(test_a_search_waits_between_its_steps),
		cmocka_unit_test(test_devices_in_turn_have_one_window),
		cmocka_unit_test(
			test_a_good_device_waits_for_its_guests_bad_one),
		cmocka_unit_test(test_a_reset_does_not_end_a_window),
		cmocka_unit_test(test_a_guest_that_tries_everything),
		cmocka_unit_test(test_a_window_is_its_guests_alone),
		cmocka_unit_test(test_what_asks_no_device_is_not_held_up),
		cmocka_unit_test(test_a_native_queue_waits_as_well),
		cmocka_unit_test(
			test_a_native_queue_without_a_sync_has_two_timeouts),
		cmocka_unit_test(test_no_window_at_all),
		cmocka_unit_test(test_a_turn_lasts_a_tenth_of_a_second_at_most),
		cmocka_unit_test(test_quarantine_ends_the_wait),
		cmocka_unit_test(test_the_units_end_ends_the_wait),
		cmocka_unit_test(
			test_a_reset_meanwhile_needs_no_end_of_the_wait),
		cmocka_unit_test(test_an_unmap_waits_and_takes_nobodys_ats),
		cmocka_unit_test(test_an_unmap_of_any_size_takes_nobodys_ats),
		cmocka_unit_test(
			test_an_unmap_waits_however_much_it_has_to_ask),
		cmocka_unit_test(test_an_unmap_without_memory_takes_ats_away),
		cmocka_unit_test(
			test_nobody_waits_with_a_lock_that_others_need),
		cmocka_unit_test(
			test_an_unmap_with_two_silent_devices_has_two_windows),
		cmocka_unit_test(test_devices_under_one_domain_have_one_window),
		cmocka_unit_test(
			test_the_end_of_a_guest_costs_one_timeout_and_no_wait),
		cmocka_unit_test(test_attaching_takes_no_ats_from_who_had_none),
		cmocka_unit_test(test_a_new_viommu_each_time_has_no_new_window),
		cmocka_unit_test(test_a_reset_loop_without_a_guest_has_an_end),
		cmocka_unit_test(test_a_guest_that_its_host_finds_over_budget),
		cmocka_unit_test(test_two_cpus_of_one_guest_have_one_window),
		cmocka_unit_test(test_two_cpus_of_one_guest_have_one_budget),
		cmocka_unit_test(test_a_guest_and_its_host_have_one_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
