// SPDX-License-Identifier: MIT
/*
 * Devices that do not answer ATC_INV: what one timeout costs, whom it costs,
 * and when the driver has had enough (docs/security.md).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "drv/smmuv3/unit.h"
#include "fake_time.h"

#define MUTE 0x101u

static void start(struct bed *b)
{
	bed_init(b);
	bed_start(b);
}

static int atc_inv(struct bed *b, uint32_t vsid)
{
	struct core_inval inv;
	int rc = bed_atc_inv(b, vsid, &inv);

	assert_int_equal(inv.done, rc ? 0 : 1);
	assert_int_equal(inv.code, rc ? 3 : 0);
	assert_int_equal(inv.info, rc ? vsid : 0);
	return rc;
}

/* Only ATC_INVs of this address are not answered */
static void mute_address(struct fake *f, const uint64_t dw[2])
{
	if ((dw[0] & 0xff) == 0x40)
		f->mute_sid =
			dw[1] == *(uint64_t *)f->spy_arg ? MUTE : UINT32_MAX;
}

static void
test_one_timeout_in_a_batch_costs_one_more_and_one_batch(void **state)
{
	static const uint32_t counts[] = { 2, 63, 64, 65, 512, 4096 };
	uint64_t(*cmds)[2] = calloc(4096, sizeof(cmds[0]));
	struct core_iommu_stats was, is;
	struct core_inval inv;
	uint64_t address;
	struct bed g;

	(void)state;
	assert_non_null(cmds);
	bed_init(&g);
	g.r.cfg.atc_timeouts = 1000000;
	bed_start(&g);
	g.r.hw.spy = mute_address;
	g.r.hw.spy_arg = &address;
	for (uint32_t i = 0; i < 4096; i++) {
		cmds[i][0] = 0x5100000040;
		cmds[i][1] = (uint64_t)i << 12;
	}
	for (size_t c = 0; c < 6; c++) {
		for (uint32_t bad = 0; bad < counts[c];
		     bad += 1 + counts[c] / 9) {
			address = (uint64_t)bad << 12;
			fake_clear_log(&g.r.hw);
			was = bed_stats(&g);
			assert_int_equal(rig_inval(g.v, cmds, counts[c], &inv),
					 -ETIMEDOUT);
			is = bed_stats(&g);
			assert_int_equal(inv.done, bad);
			assert_int_equal(is.timeouts - was.timeouts, 2);
			assert_int_equal(is.searches - was.searches, 1);
			/* the chunks up to there, and the search */
			assert_int_equal(is.batches - was.batches,
					 bad / 512 + 2);
			/* each rings once, the search for each it asks again */
			assert_in_range(g.r.hw.doorbells,
					is.batches - was.batches,
					is.batches - was.batches + 511);
		}
	}
	/* alone it is not asked for again */
	was = bed_stats(&g);
	address = 0;
	assert_int_equal(rig_inval(g.v, cmds, 1, &inv), -ETIMEDOUT);
	is = bed_stats(&g);
	assert_int_equal(is.timeouts - was.timeouts, 1);
	assert_int_equal(is.batches - was.batches, 1);
	free(cmds);
	bed_stop(&g);
}

static void test_a_queue_of_any_size_finds_the_same(void **state)
{
	uint64_t cmds[50][2];
	struct core_inval inv;
	uint64_t address;
	struct bed g;

	(void)state;
	for (unsigned int lg2 = 1; lg2 <= 6; lg2++) {
		bed_init(&g);
		g.r.cfg.atc_timeouts = 1000000;
		g.r.cfg.cmdq_lg2 = lg2;
		bed_start(&g);
		g.r.hw.spy = mute_address;
		g.r.hw.spy_arg = &address;
		for (uint32_t bad = 0; bad < 50; bad++) {
			for (uint32_t i = 0; i < 50; i++) {
				cmds[i][0] = i % 7 ? 0x5100000040 : 0x11;
				cmds[i][1] = i % 7 ? (uint64_t)i << 12 : 0;
			}
			cmds[bad][0] = 0x5100000040;
			cmds[bad][1] = (uint64_t)bad << 12;
			address = (uint64_t)bad << 12;
			assert_int_equal(rig_inval(g.v, cmds, 50, &inv),
					 -ETIMEDOUT);
			assert_int_equal(inv.done, bad);
			address = 1;
			assert_int_equal(rig_inval(g.v, cmds, 50, &inv), 0);
			assert_int_equal(inv.done, 50);
		}
		bed_stop(&g);
	}
}

static void test_a_batch_waits_for_one_timeout_whatever_it_holds(void **state)
{
	uint64_t cmds[200][2];
	struct core_iommu_stats was, is;
	struct core_inval inv;
	struct bed g;

	(void)state;
	bed_init(&g);
	g.r.cfg.atc_timeouts = 1000000;
	bed_start(&g);
	/* a sync stands in front of every ATC_INV */
	for (uint32_t i = 0; i < 200; i++) {
		cmds[i][0] = i & 1 ? 0x5100000040 : 0x11;
		cmds[i][1] = i & 1 ? 52 : 0;
	}
	g.r.hw.mute_sid = MUTE;
	was = bed_stats(&g);
	assert_int_equal(rig_inval(g.v, cmds, 200, &inv), -ETIMEDOUT);
	is = bed_stats(&g);
	assert_int_equal(inv.done, 1);
	assert_int_equal(is.timeouts - was.timeouts, 1);
	bed_stop(&g);
}

static void
test_what_answers_when_asked_again_goes_on_where_it_was(void **state)
{
	uint64_t cmds[7][2] = {
		{ 0x5100000040, 0x1000 }, { 0x5100000040, 0x2000 },
		{ 1ULL << 48 | 0x11 },	  { 0x5100000040, 52 },
		{ 2ULL << 48 | 0x11 },	  { 0x5200000040, 52 },
		{ 3ULL << 48 | 0x11 }
	};
	unsigned int seen[4] = { 0 };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = MUTE;
	g.r.hw.mute_times = 1;
	assert_int_equal(rig_inval(g.v, cmds, 7, &inv), 0);
	assert_int_equal(inv.done, 7);
	for (size_t i = 0; i < g.r.hw.log_n; i++) {
		for (uint64_t asid = 1; asid < 4; asid++)
			seen[asid] +=
				g.r.hw.log[i][0] == (asid << 48 | 0x200000011);
	}
	for (int asid = 1; asid < 4; asid++)
		assert_int_equal(seen[asid], 1);
	bed_stop(&g);
}

static void
test_only_what_the_failed_sync_stands_for_is_asked_again(void **state)
{
	uint64_t cmds[5][2] = { { 0x5200000040, 0x1000 },
				{ 0x5200000040, 0x2000 },
				{ 1ULL << 48 | 0x11 },
				{ 0x5100000040, 52 },
				{ 2ULL << 48 | 0x11 } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = MUTE;
	assert_int_equal(rig_inval(g.v, cmds, 5, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 3);
	/* the sync in front of it was for the others: they have answered */
	assert_int_equal(bed_stats(&g).timeouts, 1);
	assert_int_equal(bed_stats(&g).searches, 0);
	bed_stop(&g);
}

/* ---- budgets ---- */

static void test_the_fourth_timeout_ends_in_quarantine(void **state)
{
	uint64_t cmds[4][2] = { { 5ULL << 48 | 0x11 },
				{ 0x5200000040, 52 },
				{ 0x5100000040, 52 },
				{ 6ULL << 48 | 0x11 } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	assert_true(bed_has_ats(&g, 0x101) && bed_has_ats(&g, 0x102));
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 4; i++) {
		assert_true(bed_has_ats(&g, 0x101));
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	}
	assert_false(bed_has_ats(&g, 0x101));
	assert_true(bed_has_ats(&g, 0x102));
	assert_int_equal(bed_stats(&g).quarantines, 1);
	assert_int_equal(bed_stats(&g).timeouts, 4);

	/* from now on it costs nobody anything */
	fake_clear_log(&g.r.hw);
	for (int i = 0; i < 100; i++)
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_int_equal(g.r.hw.doorbells, 0);
	assert_int_equal(bed_stats(&g).timeouts, 4);
	/* what stands in front of it is done, what is behind not begun */
	fake_pass(1000);
	assert_int_equal(rig_inval(g.v, cmds, 4, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 2);
	assert_int_equal(inv.info, 0x51);
	assert_int_equal(g.r.hw.log_n, 4);
	EXPECT_CMD(&g.r.hw, 0, 0x5000200000011, 0);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 2, 0x10200000040, 52);
	EXPECT_CMD(&g.r.hw, 3, SYNC, 0);
	assert_int_equal(atc_inv(&g, 0x52), 0);
	bed_stop(&g);
}

static void test_quarantine_outlasts_everything_but_a_reset(void **state)
{
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 4; i++)
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	g.r.hw.mute_sid = UINT32_MAX; /* it would answer now */
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_int_equal(
		g.nested[1]->ops->attach(g.nested[1], &g.r.dev[1], UINT32_MAX),
		0);
	assert_false(bed_has_ats(&g, 0x101));
	assert_int_equal(
		g.parent->ops->attach(g.parent, &g.r.dev[1], UINT32_MAX), 0);
	assert_false(bed_has_ats(&g, 0x101));
	g.r.iommu->ops->device_reset(&g.r.dev[1]);
	assert_true(bed_has_ats(&g, 0x101)); /* as the parent gives it */
	fake_clear_log(&g.r.hw);
	assert_int_equal(atc_inv(&g, 0x51), 0);
	EXPECT_CMD(&g.r.hw, 0, 0x10100000040, 52);

	/* a reset device is under its full budget again */
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 4; i++) {
		assert_true(bed_has_ats(&g, 0x101));
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	}
	assert_false(bed_has_ats(&g, 0x101));
	bed_stop(&g);
}

static void test_a_reset_gives_back_what_was_taken_and_no_more(void **state)
{
	struct core_domain *plain;
	struct core_domain *s1;
	uint64_t before[8];
	struct bed g;

	(void)state;
	start(&g);
	/* devices that are not in quarantine stay as they are */
	fake_clear_log(&g.r.hw);
	for (int i = 0; i < 3; i++)
		g.r.iommu->ops->device_reset(&g.r.dev[i]);
	assert_int_equal(g.r.hw.log_n, 0);

	for (int where = 0; where < 4; where++) {
		s1 = rig_domain(&g.r, 0);
		plain = where == 1 ? g.parent : where == 2 ? s1 : g.nested[1];
		assert_int_equal(
			plain->ops->attach(plain, &g.r.dev[1], UINT32_MAX), 0);
		for (int i = 0; i < 8; i++)
			before[i] = fake_ste(&g.r.hw, 0x101, i);
		g.r.hw.mute_sid = MUTE;
		for (int i = 0; i < 4; i++)
			assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		g.r.hw.mute_sid = UINT32_MAX;
		if (where == 3) {
			g.r.iommu->ops->block(&g.r.dev[1], UINT32_MAX);
			g.r.iommu->ops->device_reset(&g.r.dev[1]);
			assert_int_equal(fake_ste(&g.r.hw, 0x101, 0), 1);
			assert_false(bed_has_ats(&g, 0x101));
		} else {
			g.r.iommu->ops->device_reset(&g.r.dev[1]);
			for (int i = 0; i < 8; i++)
				assert_int_equal(fake_ste(&g.r.hw, 0x101, i),
						 before[i]);
		}
		fake_pass(60000); /* its guest is under its full budget again */
		g.r.iommu->ops->block(&g.r.dev[1], UINT32_MAX);
		s1->ops->free(s1);
	}
	bed_stop(&g);
}

static void test_a_device_that_fails_seldom_is_forgiven(void **state)
{
	struct bed g;

	(void)state;
	bed_init(&g);
	g.r.cfg.atc_window_ms = 20;
	g.r.cfg.atc_timeouts = 2;
	bed_start(&g);
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		assert_true(bed_has_ats(&g, 0x101));
		fake_pass(60 * 20);
	}
	assert_int_equal(bed_stats(&g).timeouts, 6);
	/* a little more often, and it is not */
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	fake_pass(60 * 20 - 1);
	assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_false(bed_has_ats(&g, 0x101));
	bed_stop(&g);
}

static void test_a_timeout_that_was_answered_later_counts_as_well(void **state)
{
	uint64_t cmds[2][2] = { { 0x5100000040, 0x1000 },
				{ 0x5100000040, 0x2000 } };
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	for (int i = 0; i < 4; i++) {
		assert_true(bed_has_ats(&g, 0x101));
		g.r.hw.mute_sid = MUTE;
		g.r.hw.mute_times = 1;
		/* the fourth time it is not asked again */
		assert_int_equal(rig_inval(g.v, cmds, 2, &inv),
				 i < 3 ? 0 : -ETIMEDOUT);
		assert_int_equal(inv.done, i < 3 ? 2 : 0);
	}
	assert_false(bed_has_ats(&g, 0x101));
	bed_stop(&g);
}

static void test_a_guest_that_resets_in_a_loop_has_a_budget_too(void **state)
{
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
		g.r.iommu->ops->device_reset(&g.r.dev[1]);
	}
	assert_int_equal(bed_stats(&g).timeouts, 16);
	/* its other devices pay as well */
	assert_false(bed_has_ats(&g, 0x101) || bed_has_ats(&g, 0x102));
	assert_int_equal(atc_inv(&g, 0x52), -ETIMEDOUT);
	g.r.hw.mute_sid = UINT32_MAX;
	fake_pass(59999);
	g.r.iommu->ops->device_reset(&g.r.dev[1]);
	assert_false(bed_has_ats(&g, 0x101));
	fake_pass(1);
	for (int i = 1; i < 3; i++) {
		g.r.iommu->ops->device_reset(&g.r.dev[i]);
		assert_int_equal(atc_inv(&g, 0x50 + i), 0);
	}
	bed_stop(&g);
}

/* 0x102 has PASIDs: its ATC is told twice, with and without */
static void test_the_hosts_own_invalidation_takes_no_second_chance(void **state)
{
	struct core_iommu_stats was, is;
	struct bed g;

	(void)state;
	for (uint32_t mute = 0x101; mute <= 0x102; mute++) {
		start(&g);
		assert_int_equal(
			g.parent->ops->map(g.parent, 0x1000, 0x1000, 0x1000, 3),
			0);
		g.r.hw.mute_sid = mute;
		was = bed_stats(&g);
		g.parent->ops->unmap(g.parent, 0x1000, 0x1000);
		is = bed_stats(&g);
		assert_int_equal(bed_has_ats(&g, 0x101), mute != 0x101);
		assert_int_equal(bed_has_ats(&g, 0x102), mute != 0x102);
		assert_int_equal(is.timeouts - was.timeouts, 1);
		assert_int_equal(is.searches, was.searches);
		assert_int_equal(atc_inv(&g, mute - 0x100 + 0x50), -ETIMEDOUT);
		assert_int_equal(bed_stats(&g).timeouts, is.timeouts);
		bed_stop(&g);
	}
}

static void test_a_native_queue_stops_at_its_sync_without_hardware(void **state)
{
	uint64_t cmds[5][2] = { { 0x5100000040, 52 },
				{ 7ULL << 48 | 0x11 },
				{ 0x5100000040, 0x1000 },
				{ SYNC },
				{ 8ULL << 48 | 0x11 } };
	struct core_inval inv = { .uptr = (uintptr_t)cmds,
				  .type = 1,
				  .stride = 16,
				  .count = 5,
				  .native = true };
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.mute_sid = MUTE;
	for (int i = 0; i < 4; i++)
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	fake_clear_log(&g.r.hw);
	assert_int_equal(g.v->ops->invalidate(g.v, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 3);
	assert_int_equal(inv.code, 3);
	assert_int_equal(inv.info, 0);
	assert_true(inv.info_entry);
	assert_int_equal(g.r.hw.log_n, 2);
	EXPECT_CMD(&g.r.hw, 0, 0x7000200000011, 0);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	bed_stop(&g);
}

/* ---- two guests ---- */

struct neighbour {
	struct bed *g;
	struct core_viommu *v;
	unsigned int stop;
	unsigned int wrong;
	uint64_t calls;
};

static void neighbour_call(struct neighbour *n)
{
	uint64_t cmds[3][2] = { { 9ULL << 48 | 0x11 }, { 0x10 }, { 0x30 } };
	struct core_inval inv;

	n->wrong += rig_inval(n->v, cmds, 3, &inv) || inv.done != 3 || inv.code;
	n->calls++;
}

static void *neighbour_work(void *arg)
{
	struct neighbour *n = arg;

	while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE))
		neighbour_call(n);
	return NULL;
}

/* Nobody reads what was executed: there is more of it than room. */
static void no_log(struct fake *f, const uint64_t dw[2])
{
	(void)dw;
	f->log_n = 0;
}

/* A neighbour that calls once for each timeout, while it lasts */
struct turns {
	struct neighbour n;
	struct hostq *q;
	uint64_t timeouts; /* that have begun; atomic */
	uint64_t executed; /* of its calls, by the hardware */
	unsigned int late;
};

static void *call_in_timeouts(void *arg)
{
	struct turns *t = arg;

	while (!__atomic_load_n(&t->n.stop, __ATOMIC_ACQUIRE)) {
		if (t->n.calls <
		    __atomic_load_n(&t->timeouts, __ATOMIC_ACQUIRE))
			neighbour_call(&t->n);
		else
			sched_yield();
	}
	return NULL;
}

static bool somebody_waits(const struct hostq *q)
{
	return __atomic_load_n(&q->waiting[0], __ATOMIC_RELAXED) !=
	       __atomic_load_n(&q->waiting[1], __ATOMIC_RELAXED);
}

/* The queue is locked here. A timeout lasts until the neighbour waits too. */
static void watch_turns(struct fake *f, const uint64_t dw[2])
{
	struct turns *t = f->spy_arg;

	no_log(f, dw);
	t->executed += (dw[0] & 0xff) == 0x11 && dw[0] >> 48 == 9;
	if ((dw[0] & 0xff) != SYNC || !f->atc_outstanding)
		return;
	t->late += t->executed != t->timeouts;
	__atomic_store_n(&t->timeouts, t->timeouts + 1, __ATOMIC_RELEASE);
	while (!somebody_waits(t->q))
		sched_yield();
}

/* No budget, so that it goes on and on: the neighbour gets its turns. */
static void test_a_neighbour_waits_for_one_timeout_at_a_time(void **state)
{
	uint64_t cmds[8][2];
	struct turns t = { 0 };
	struct core_inval inv;
	pthread_t thread;
	struct bed g;

	(void)state;
	bed_init(&g);
	g.r.cfg.atc_timeouts = 1000000;
	bed_start(&g);
	t.n = (struct neighbour){ .g = &g, .v = rig_viommu(&g.r, g.parent) };
	t.q = &to_unit(g.r.iommu)->cmdq.q;
	t.q->turn_ms = 600000; /* however busy the machine is */
	for (int i = 0; i < 8; i++) {
		cmds[i][0] = i < 4 ? 0x5100000040 : 0x5200000040;
		cmds[i][1] = 52;
	}
	g.r.hw.mute_sid = MUTE;
	g.r.hw.spy = watch_turns;
	g.r.hw.spy_arg = &t;
	assert_int_equal(pthread_create(&thread, NULL, call_in_timeouts, &t),
			 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(rig_inval(g.v, cmds, 8, &inv), -ETIMEDOUT);
		assert_int_equal(inv.done, 0);
		assert_int_equal(t.timeouts, 2 * i + 2);
	}
	__atomic_store_n(&t.n.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(t.n.wrong, 0);
	assert_int_equal(t.late, 0);
	assert_int_equal(t.n.calls, 400);
	t.n.v->ops->free(t.n.v);
	bed_stop(&g);
}

/* Failing in every way at once: the neighbour's results are what they were. */
static void test_a_neighbour_never_sees_anothers_errors(void **state)
{
	uint64_t cmds[4][2] = { { 0x5200000040, 52 },
				{ 0xbad000000000011, 0 },
				{ 0x5100000040, 52 },
				{ 0xff } };
	struct neighbour n;
	struct core_inval inv;
	pthread_t thread;
	struct bed g;

	(void)state;
	bed_init(&g);
	g.r.cfg.atc_window_ms = 1;
	bed_start(&g);
	n = (struct neighbour){ .g = &g, .v = rig_viommu(&g.r, g.parent) };
	g.r.hw.spy = no_log;
	g.r.hw.mute_sid = MUTE;
	g.r.hw.ill_dw0 = 0x0bad000200000011;
	assert_int_equal(pthread_create(&thread, NULL, neighbour_work, &n), 0);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(rig_inval(g.v, cmds, 4, &inv), -EIO);
		assert_int_equal(inv.done, 1);
		assert_int_equal(rig_inval(g.v, cmds + 2, 2, &inv), -ETIMEDOUT);
		assert_int_equal(rig_inval(g.v, cmds + 3, 1, &inv), -EIO);
		if (i % 50)
			continue;
		fake_pass(60); /* it is never over its guest's budget */
		g.r.iommu->ops->device_reset(&g.r.dev[1]);
	}
	__atomic_store_n(&n.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(n.wrong, 0);
	n.v->ops->free(n.v);
	bed_stop(&g);
}

static void test_a_dead_unit_takes_nothing_new(void **state)
{
	struct core_domain *d = NULL;
	struct core_viommu *v = NULL;
	struct bed g;

	(void)state;
	start(&g);
	g.r.hw.abort_times = 1000;
	g.r.hw.mute_sid = UINT32_MAX;
	{
		uint64_t cmd[1][2] = { { 0x10 } };
		struct core_inval inv;

		assert_int_equal(rig_inval(g.v, cmd, 1, &inv), -EIO);
		assert_int_equal(inv.code, 2);
	}
	assert_int_equal(bed_stats(&g).aborts, 8); /* and seven retries */
	assert_int_equal(g.r.iommu->ops->domain_alloc(&g.r.dev[0], 0, &d),
			 -EIO);
	assert_int_equal(g.r.iommu->ops->viommu_alloc(&g.r.dev[0], g.parent, 1,
						      NULL, &v),
			 -EIO);
	assert_int_equal(
		g.parent->ops->attach(g.parent, &g.r.dev[0], UINT32_MAX), -EIO);
	assert_int_equal(
		g.nested[1]->ops->attach(g.nested[1], &g.r.dev[1], UINT32_MAX),
		-EIO);
	bed_stop(&g);
}

static void abort_now_and_then(struct fake *f, const uint64_t dw[2])
{
	(void)dw;
	f->abort_times = 7;
}

static void test_retries_begin_anew_where_the_queue_has_moved(void **state)
{
	uint64_t cmds[100][2];
	struct core_inval inv;
	struct bed g;

	(void)state;
	start(&g);
	for (uint64_t i = 0; i < 100; i++) {
		cmds[i][0] = i << 48 | 0x11;
		cmds[i][1] = 0;
	}
	g.r.hw.spy = abort_now_and_then; /* each fetch succeeds the 8th time */
	assert_int_equal(rig_inval(g.v, cmds, 100, &inv), 0);
	assert_int_equal(inv.done, 100);
	g.r.hw.abort_times = 0;
	bed_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_one_timeout_in_a_batch_costs_one_more_and_one_batch),
		cmocka_unit_test(test_a_queue_of_any_size_finds_the_same),
		cmocka_unit_test(
			test_a_batch_waits_for_one_timeout_whatever_it_holds),
		cmocka_unit_test(
			test_what_answers_when_asked_again_goes_on_where_it_was),
		cmocka_unit_test(
			test_only_what_the_failed_sync_stands_for_is_asked_again),
		cmocka_unit_test(test_the_fourth_timeout_ends_in_quarantine),
		cmocka_unit_test(
			test_quarantine_outlasts_everything_but_a_reset),
		cmocka_unit_test(
			test_a_reset_gives_back_what_was_taken_and_no_more),
		cmocka_unit_test(test_a_device_that_fails_seldom_is_forgiven),
		cmocka_unit_test(
			test_a_timeout_that_was_answered_later_counts_as_well),
		cmocka_unit_test(
			test_a_guest_that_resets_in_a_loop_has_a_budget_too),
		cmocka_unit_test(
			test_the_hosts_own_invalidation_takes_no_second_chance),
		cmocka_unit_test(
			test_a_native_queue_stops_at_its_sync_without_hardware),
		cmocka_unit_test(
			test_a_neighbour_waits_for_one_timeout_at_a_time),
		cmocka_unit_test(test_a_neighbour_never_sees_anothers_errors),
		cmocka_unit_test(test_a_dead_unit_takes_nothing_new),
		cmocka_unit_test(
			test_retries_begin_anew_where_the_queue_has_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
