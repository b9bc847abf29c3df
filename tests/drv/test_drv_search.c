// SPDX-License-Identifier: MIT
/*
 * Who has not answered: by StreamID first, which the CMD_SYNC that fails tells
 * because it stands behind ATC_INVs of one, then which of that one's ATC_INVs.
 * Counted in batches, timeouts and commands, for each arrangement.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "fake_time.h"

#define ATC_51 0x5100000040
#define ATC_52 0x5200000040
#define TLBI   (7ULL << 48 | 0x11)
#define MUTE   0x101u
#define MANY   1500

/* vSIDs 0x50 (no ATS), 0x51, 0x52 (ATS) -> SIDs 0x100 to 0x102; VMID 2 */
struct guest {
	struct rig r;
	struct core_domain *parent;
	struct core_viommu *v;
	struct core_vdevice vdev[3];
	struct core_inval inv;
	uint64_t cmds[MANY][2];
	uint64_t address; /* the ATC_INV that is not answered; see mute_it() */
	struct core_iommu_stats was;
};

/* Only ATC_INVs of this address are not answered */
static void mute_it(struct fake *f, const uint64_t dw[2])
{
	struct guest *g = f->spy_arg;

	if ((dw[0] & 0xff) == 0x40)
		f->mute_sid = dw[1] == g->address ? (uint32_t)(dw[0] >> 32)
						  : UINT32_MAX;
}

static void guest_start(struct guest *g, unsigned int lg2)
{
	rig_init(&g->r);
	g->r.cfg.atc_timeouts = 1000000;
	g->r.cfg.cmdq_lg2 = lg2;
	rig_start_devices(&g->r);
	g->parent = rig_domain(&g->r, 1);
	g->v = rig_viommu(&g->r, g->parent);
	for (int i = 0; i < 3; i++)
		rig_vdev(g->v, &g->vdev[i], &g->r.dev[i], 0x50 + i);
	g->r.hw.spy = mute_it;
	g->r.hw.spy_arg = g;
	g->address = 1;
}

static void guest_stop(struct guest *g)
{
	g->r.hw.spy = NULL;
	for (int i = 0; i < 3; i++)
		g->v->ops->vdevice_remove(g->v, &g->vdev[i]);
	g->v->ops->free(g->v);
	g->parent->ops->free(g->parent);
	rig_stop(&g->r);
}

/* Command @i is about page @i, whatever it is */
static void put(struct guest *g, uint32_t i, uint64_t dw0)
{
	g->cmds[i][0] = dw0;
	g->cmds[i][1] = dw0 == TLBI ? 0 : (uint64_t)i << 12;
}

static int send(struct guest *g, uint32_t n)
{
	fake_clear_log(&g->r.hw);
	fake_pass(1000); /* no window is open */
	g->r.iommu->ops->stats(g->r.iommu, &g->was);
	return rig_inval(g->v, g->cmds, n, &g->inv);
}

/* How many commands of @op (of @sid) have been executed */
static unsigned int executed(const struct guest *g, uint32_t op, uint32_t sid)
{
	unsigned int n = 0;

	for (size_t i = 0; i < g->r.hw.log_n; i++) {
		uint64_t dw0 = g->r.hw.log[i][0];

		n += (dw0 & 0xff) == op && (op == SYNC || dw0 >> 32 == sid);
	}
	return n;
}

static void expect_cost(struct guest *g, unsigned int timeouts,
			unsigned int searches, unsigned int batches)
{
	struct core_iommu_stats is;

	g->r.iommu->ops->stats(g->r.iommu, &is);
	assert_int_equal(is.timeouts - g->was.timeouts, timeouts);
	assert_int_equal(is.searches - g->was.searches, searches);
	assert_int_equal(is.batches - g->was.batches, batches);
	/* one more wherever a sync stands behind ATC_INVs inside a batch */
	assert_in_range(g->r.hw.doorbells, batches,
			batches + executed(g, SYNC, 0));
}

/* CMD_ATC_INV @i, the one that nobody answers, is found */
static void expect_found(struct guest *g, uint32_t n, uint32_t i)
{
	g->address = (uint64_t)i << 12;
	assert_int_equal(send(g, n), -ETIMEDOUT);
	assert_int_equal(g->inv.done, i);
	assert_int_equal(g->inv.code, 3);
	assert_int_equal(g->inv.info, g->cmds[i][0] >> 32);
}

/* ---- where syncs are ---- */

static void test_one_devices_run_has_one_sync(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < 512; i++)
		put(&g, i, ATC_51);
	assert_int_equal(send(&g, 512), 0);
	expect_cost(&g, 0, 0, 1);
	assert_int_equal(g.r.hw.log_n, 513);
	guest_stop(&g);
}

static void test_a_sync_stands_where_the_stream_changes(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	put(&g, 0, ATC_51);
	put(&g, 1, ATC_51);
	put(&g, 2, ATC_52);
	put(&g, 3, ATC_51);
	put(&g, 4, 0x5000000040); /* has no ATC: nothing is sent */
	put(&g, 5, ATC_51);
	assert_int_equal(send(&g, 6), 0);
	expect_cost(&g, 0, 0, 1);
	EXPECT_CMD(&g.r.hw, 0, 0x10100000040, 0);
	EXPECT_CMD(&g.r.hw, 1, 0x10100000040, 0x1000);
	EXPECT_CMD(&g.r.hw, 2, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 3, 0x10200000040, 0x2000);
	EXPECT_CMD(&g.r.hw, 4, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 5, 0x10100000040, 0x3000);
	EXPECT_CMD(&g.r.hw, 6, 0x10100000040, 0x5000);
	EXPECT_CMD(&g.r.hw, 7, SYNC, 0);
	assert_int_equal(g.r.hw.log_n, 8);
	guest_stop(&g);
}

static void test_a_change_behind_a_tlbi_needs_no_second_sync(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	put(&g, 0, ATC_51);
	put(&g, 1, TLBI);
	put(&g, 2, ATC_52);
	put(&g, 3, TLBI);
	assert_int_equal(send(&g, 4), 0);
	assert_int_equal(g.r.hw.log_n, 6);
	EXPECT_CMD(&g.r.hw, 2, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 5, SYNC, 0);
	guest_stop(&g);
}

static void test_a_span_of_changes_is_one_batch(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < 512; i++)
		put(&g, i, i & 1 ? ATC_51 : ATC_52);
	assert_int_equal(send(&g, 512), 0);
	expect_cost(&g, 0, 0, 1);
	assert_int_equal(g.r.hw.log_n, 1024);
	assert_int_equal(executed(&g, SYNC, 0), 512);
	guest_stop(&g);
}

/* ---- one stream ---- */

static void test_one_of_one_costs_one_timeout_and_no_batch(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	put(&g, 0, ATC_51);
	expect_found(&g, 1, 0);
	expect_cost(&g, 1, 0, 1);
	guest_stop(&g);
}

static void test_one_of_many_costs_two_timeouts_and_one_batch(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < MANY; i++)
		put(&g, i, ATC_51);
	for (uint32_t bad = 0; bad < MANY; bad += 1 + bad / 4) {
		expect_found(&g, MANY, bad);
		expect_cost(&g, 2, 1, bad / 512 + 2);
	}
	guest_stop(&g);
}

static void test_a_stream_that_answers_nothing_is_found_at_once(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < 512; i++)
		put(&g, i, i < 300 ? ATC_52 : ATC_51);
	g.r.hw.spy = NULL;
	g.r.hw.mute_sid = MUTE;
	assert_int_equal(send(&g, 512), -ETIMEDOUT);
	assert_int_equal(g.inv.done, 300);
	expect_cost(&g, 2, 1, 2);
	/* its first one is asked for again; the queue stops there */
	assert_int_equal(executed(&g, 0x40, 0x102), 300);
	assert_int_equal(executed(&g, 0x40, 0x101), 212 + 1);
	guest_stop(&g);
}

/* ---- several ---- */

static void test_in_turns_the_first_timeout_tells_all(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < MANY; i++)
		put(&g, i, i & 1 ? ATC_51 : ATC_52);
	for (uint32_t bad = 0; bad < MANY; bad += 1 + bad / 4) {
		expect_found(&g, MANY, bad);
		expect_cost(&g, 1, 0, bad / 512 + 1);
	}
	guest_stop(&g);
}

/* Runs of 1 to 40, so that batches end in the middle of some */
static void test_in_runs_only_the_run_is_asked_again(void **state)
{
	struct {
		uint32_t start, n;
	} run[MANY];
	uint32_t length = 1;
	uint32_t start = 0;
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0, left = 1, odd = 0; i < 512; i++) {
		put(&g, i, odd ? ATC_51 : ATC_52);
		run[i].start = start;
		if (--left && i < 511)
			continue;
		for (uint32_t k = start; k <= i; k++)
			run[k].n = i + 1 - start;
		odd ^= 1;
		length = length % 40 + 1;
		left = length;
		start = i + 1;
	}
	for (uint32_t bad = 0; bad < 512; bad += 1 + bad / 20) {
		bool alone = run[bad].n == 1;

		expect_found(&g, 512, bad);
		expect_cost(&g, alone ? 1 : 2, !alone, alone ? 1 : 2);
		/* all up to the run's end, then up to it from the run's start
		 */
		assert_int_equal(
			executed(&g, 0x40, 0x101) + executed(&g, 0x40, 0x102),
			run[bad].start + run[bad].n +
				(alone ? 0 : bad + 1 - run[bad].start));
	}
	guest_stop(&g);
}

static void test_tlbis_between_change_nothing(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < 512; i++)
		put(&g, i, i % 8 == 0 ? TLBI : i / 8 % 2 ? ATC_51 : ATC_52);
	for (uint32_t bad = 1; bad < 512; bad += 7) {
		if (bad % 8 == 0)
			continue;
		expect_found(&g, 512, bad);
		expect_cost(&g, 2, 1, 2);
	}
	guest_stop(&g);
}

/* Queues down to one command and its sync; batches wrap at every place. */
static void test_in_a_queue_of_any_size(void **state)
{
	struct core_iommu_stats is;
	struct guest g;

	(void)state;
	for (unsigned int lg2 = 1; lg2 <= 7; lg2++) {
		guest_start(&g, lg2);
		for (uint32_t i = 0; i < 60; i++)
			put(&g, i,
			    i % 11 == 5	    ? TLBI
			    : i * i % 7 < 3 ? ATC_51
					    : ATC_52);
		for (uint32_t bad = 0; bad < 60; bad++) {
			if (g.cmds[bad][0] == TLBI)
				continue;
			expect_found(&g, 60, bad);
			g.r.iommu->ops->stats(g.r.iommu, &is);
			assert_in_range(is.timeouts - g.was.timeouts, 1, 2);
			g.address = 1;
			assert_int_equal(send(&g, 60), 0);
			assert_int_equal(g.inv.done, 60);
		}
		guest_stop(&g);
	}
}

static void test_two_that_fail_are_told_one_after_the_other(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	for (uint32_t i = 0; i < 8; i++)
		put(&g, i, i < 4 ? ATC_51 : ATC_52);
	for (int i = 0; i < 2; i++)
		g.cmds[i * 4 + 2][1] = 0x77000;
	g.address = 0x77000;
	assert_int_equal(send(&g, 8), -ETIMEDOUT);
	assert_int_equal(g.inv.done, 2);
	expect_cost(&g, 2, 1, 2);
	/* what was behind the sync that failed has not been begun */
	assert_int_equal(executed(&g, 0x40, 0x102), 0);
	memmove(g.cmds[0], g.cmds[3], 5 * sizeof(g.cmds[0]));
	assert_int_equal(send(&g, 5), -ETIMEDOUT);
	assert_int_equal(g.inv.done, 3);
	expect_cost(&g, 2, 1, 2);
	guest_stop(&g);
}

/* ---- a native queue ---- */

static void test_a_native_queue_goes_on_behind_the_change(void **state)
{
	struct core_inval *inv;
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	put(&g, 0, ATC_51);
	put(&g, 1, ATC_52);
	put(&g, 2, ATC_52);
	put(&g, 3, TLBI);
	g.cmds[4][0] = SYNC;
	g.cmds[4][1] = 0;
	put(&g, 5, TLBI);
	g.address = 0;
	inv = &g.inv;
	*inv = (struct core_inval){ .uptr = (uintptr_t)g.cmds,
				    .type = 1,
				    .stride = 16,
				    .count = 6,
				    .native = true };
	fake_clear_log(&g.r.hw);
	assert_int_equal(g.v->ops->invalidate(g.v, inv), -ETIMEDOUT);
	/* at the guest's own sync, for entry 0 */
	assert_int_equal(inv->done, 4);
	assert_int_equal(inv->code, 3);
	assert_int_equal(inv->info, 0);
	assert_true(inv->info_entry);
	assert_int_equal(executed(&g, 0x40, 0x102), 2);
	assert_int_equal(executed(&g, 0x11, 0x70002), 1);
	guest_stop(&g);
}

/* ---- the host's own ---- */

static void test_an_unmap_names_its_device_with_one_timeout(void **state)
{
	struct core_iommu_stats was, is;
	struct core_domain *d;
	struct rig r;

	(void)state;
	for (uint32_t mute = 0x101; mute <= 0x102; mute++) {
		rig_start(&r);
		d = rig_domain(&r, 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(
				d->ops->attach(d, &r.dev[i], UINT32_MAX), 0);
		assert_int_equal(d->ops->map(d, 0x1000, 0x1000, 0x1000, 3), 0);
		fake_clear_log(&r.hw);
		r.iommu->ops->stats(r.iommu, &was);
		r.hw.mute_sid = mute;
		d->ops->unmap(d, 0x1000, 0x1000);
		r.iommu->ops->stats(r.iommu, &is);
		assert_int_equal(is.timeouts - was.timeouts, 1);
		assert_int_equal(is.searches - was.searches, 0);
		assert_int_equal(is.quarantines - was.quarantines, 1);
		for (uint32_t sid = 0x101; sid <= 0x102; sid++)
			assert_int_equal(fake_ste(&r.hw, sid, 1) >> 28 & 3,
					 sid != mute);
		r.hw.mute_sid = UINT32_MAX;
		for (int i = 0; i < 3; i++)
			r.iommu->ops->block(&r.dev[i], UINT32_MAX);
		d->ops->free(d);
		rig_stop(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_devices_run_has_one_sync),
		cmocka_unit_test(test_a_sync_stands_where_the_stream_changes),
		cmocka_unit_test(
			test_a_change_behind_a_tlbi_needs_no_second_sync),
		cmocka_unit_test(test_a_span_of_changes_is_one_batch),
		cmocka_unit_test(
			test_one_of_one_costs_one_timeout_and_no_batch),
		cmocka_unit_test(
			test_one_of_many_costs_two_timeouts_and_one_batch),
		cmocka_unit_test(
			test_a_stream_that_answers_nothing_is_found_at_once),
		cmocka_unit_test(test_in_turns_the_first_timeout_tells_all),
		cmocka_unit_test(test_in_runs_only_the_run_is_asked_again),
		cmocka_unit_test(test_tlbis_between_change_nothing),
		cmocka_unit_test(test_in_a_queue_of_any_size),
		cmocka_unit_test(
			test_two_that_fail_are_told_one_after_the_other),
		cmocka_unit_test(test_a_native_queue_goes_on_behind_the_change),
		cmocka_unit_test(
			test_an_unmap_names_its_device_with_one_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
