// SPDX-License-Identifier: MIT
/*
 * The host's command queue when hardware misbehaves: illegal commands, ATCs
 * that do not answer, fetches that abort, a queue that stands still; and many
 * threads at once. Driven through invalidations of a vIOMMU.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drv/smmuv3/unit.h"
#include "fake.h"

/* A guest with three vSIDs: 0x50 no ATS, 0x51 and 0x52 with */
struct guest {
	struct rig r;
	struct core_domain *parent;
	struct core_viommu *v;
	struct core_vdevice vdev[3];
};

static void guest_begin(struct guest *g)
{
	rig_start_devices(&g->r);
	g->parent = rig_domain(&g->r, 1);    /* VMID 1 */
	g->v = rig_viommu(&g->r, g->parent); /* VMID 2 */
	for (int i = 0; i < 3; i++)
		rig_vdev(g->v, &g->vdev[i], &g->r.dev[i], 0x50 + i);
	fake_clear_log(&g->r.hw);
}

static void guest_start(struct guest *g)
{
	rig_init(&g->r);
	guest_begin(g);
}

static void guest_stop(struct guest *g)
{
	for (int i = 0; i < 3; i++)
		g->v->ops->vdevice_remove(g->v, &g->vdev[i]);
	g->v->ops->free(g->v);
	g->parent->ops->free(g->parent);
	rig_stop(&g->r);
}

/* TLBI_NH_ASID @asid as a guest writes it, and as hardware gets it */
#define GUEST_ASID(asid) ((uint64_t)(asid) << 48 | 0x11)
#define HOST_ASID(asid)	 ((uint64_t)(asid) << 48 | 0x200000011)
/* ATC_INV of a vSID, all of it */
#define GUEST_ATC(vsid) ((uint64_t)(vsid) << 32 | 0x40)

static uint64_t (*asids(uint32_t n))[2]
{
	uint64_t(*cmds)[2] = calloc(n, sizeof(cmds[0]));

	assert_non_null(cmds);
	for (uint32_t i = 0; i < n; i++)
		cmds[i][0] = GUEST_ASID(i & 0xffff);
	return cmds;
}

static void test_one_batch_has_one_sync_and_one_doorbell(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t n = 1; n <= 512; n = n * 2 + 1) {
		uint64_t(*cmds)[2] = asids(n);

		fake_clear_log(&g.r.hw);
		assert_int_equal(rig_inval(g.v, cmds, n, &inv), 0);
		assert_int_equal(inv.done, n);
		assert_int_equal(inv.code, 0);
		assert_int_equal(g.r.hw.log_n, n + 1);
		for (uint32_t i = 0; i < n; i++)
			EXPECT_CMD(&g.r.hw, i, HOST_ASID(i), 0);
		EXPECT_CMD(&g.r.hw, n, SYNC, 0);
		assert_int_equal(g.r.hw.doorbells, 1);
		free(cmds);
	}
	guest_stop(&g);
}

static void test_the_queue_wraps_many_times(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	for (unsigned int lg2 = 1; lg2 <= 5; lg2++) {
		uint64_t(*cmds)[2] = asids(100);
		size_t at = 0;

		rig_init(&g.r);
		g.r.cfg.cmdq_lg2 = lg2;
		guest_begin(&g);
		assert_int_equal(rig_inval(g.v, cmds, 100, &inv), 0);
		assert_int_equal(inv.done, 100);
		for (size_t i = 0; i < g.r.hw.log_n; i++) {
			if (g.r.hw.log[i][0] == SYNC)
				continue;
			EXPECT_CMD(&g.r.hw, i, HOST_ASID(at), 0);
			at++;
		}
		assert_int_equal(at, 100);
		EXPECT_CMD(&g.r.hw, g.r.hw.log_n - 1, SYNC, 0);
		guest_stop(&g);
		free(cmds);
	}
}

static void
test_an_illegal_command_stops_its_ioctl_and_nothing_else(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t bad = 0; bad < 20; bad++) {
		uint64_t(*cmds)[2] = asids(20);

		fake_clear_log(&g.r.hw);
		cmds[bad][0] = GUEST_ASID(0xbad);
		g.r.hw.ill_dw0 = HOST_ASID(0xbad);
		assert_int_equal(rig_inval(g.v, cmds, 20, &inv), -EIO);
		assert_int_equal(inv.done, bad);
		assert_int_equal(inv.code, 1);
		/* before it: done; it and all behind it: syncs instead */
		assert_int_equal(g.r.hw.log_n, 21);
		for (uint32_t i = 0; i < 21; i++)
			EXPECT_CMD(&g.r.hw, i, i < bad ? HOST_ASID(i) : SYNC,
				   0);
		assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
		/* everybody else goes on */
		g.r.hw.ill_dw0 = 0;
		assert_int_equal(rig_inval(g.v, cmds, 20, &inv), 0);
		assert_int_equal(inv.done, 20);
		free(cmds);
	}
	guest_stop(&g);
}

static void test_several_illegal_commands_report_the_first(void **state)
{
	uint64_t cmds[6][2] = { { GUEST_ASID(1) },     { GUEST_ASID(0xbad) },
				{ GUEST_ASID(3) },     { GUEST_ASID(0xbad) },
				{ GUEST_ASID(0xbad) }, { GUEST_ASID(5) } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	assert_int_equal(rig_inval(g.v, cmds, 6, &inv), -EIO);
	assert_int_equal(inv.done, 1);
	EXPECT_CMD(&g.r.hw, 0, HOST_ASID(1), 0);
	for (uint32_t i = 1; i < 7; i++)
		EXPECT_CMD(&g.r.hw, i, SYNC, 0);
	guest_stop(&g);
}

static void test_an_error_in_a_later_chunk_counts_the_earlier_ones(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t bad = 510; bad < 2000; bad += 257) {
		uint64_t(*cmds)[2] = asids(2000);

		cmds[bad][0] = GUEST_ASID(0xbbad);
		g.r.hw.ill_dw0 = HOST_ASID(0xbbad);
		assert_int_equal(rig_inval(g.v, cmds, 2000, &inv), -EIO);
		assert_int_equal(inv.done, bad);
		assert_int_equal(inv.code, 1);
		free(cmds);
	}
	guest_stop(&g);
}

static void test_an_illegal_command_across_the_wrap_of_the_queue(void **state)
{
	uint64_t cmds[3][2] = { { GUEST_ASID(1) },
				{ GUEST_ASID(0xbad) },
				{ GUEST_ASID(3) } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	rig_init(&g.r);
	g.r.cfg.cmdq_lg2 = 3;
	guest_begin(&g);
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(rig_inval(g.v, cmds, 1 + i % 3, &inv),
				 i % 3 ? -EIO : 0);
		assert_int_equal(inv.done, 1);
	}
	guest_stop(&g);
}

/* ---- ATC_INV ---- */

static void test_an_unanswered_atc_inv_is_found_in_few_batches(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.mute_sid = 0x101;
	for (uint32_t bad = 0; bad < 200; bad += 7) {
		uint64_t cmds[200][2];
		struct core_iommu_stats was, is;

		g.r.iommu->ops->stats(g.r.iommu, &was);
		for (uint32_t i = 0; i < 200; i++) {
			cmds[i][0] = i % 3 ? GUEST_ATC(0x52) : GUEST_ASID(i);
			cmds[i][1] = i % 3 ? 52 : 0;
		}
		cmds[bad][0] = GUEST_ATC(0x51);
		cmds[bad][1] = 52;
		fake_clear_log(&g.r.hw);
		assert_int_equal(rig_inval(g.v, cmds, 200, &inv), -ETIMEDOUT);
		assert_int_equal(inv.done, bad);
		assert_int_equal(inv.code, 3);
		assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
		/* far fewer rounds than one by one */
		g.r.iommu->ops->stats(g.r.iommu, &is);
		assert_true(is.batches - was.batches <= 10);
	}
	g.r.hw.mute_sid = UINT32_MAX;
	guest_stop(&g);
}

static void test_a_single_atc_inv_is_not_repeated(void **state)
{
	uint64_t cmds[2][2] = { { GUEST_ASID(1) }, { GUEST_ATC(0x51), 52 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.mute_sid = 0x101;
	g.r.hw.mute_times = 1;
	assert_int_equal(rig_inval(g.v, cmds, 2, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 1);
	assert_int_equal(g.r.hw.doorbells, 1);
	assert_int_equal(rig_inval(g.v, cmds, 2, &inv), 0);
	guest_stop(&g);
}

static void test_atcs_that_answer_when_asked_again_are_no_failure(void **state)
{
	uint64_t cmds[4][2] = { { GUEST_ATC(0x52), 52 },
				{ GUEST_ATC(0x51), 0x1000 },
				{ GUEST_ATC(0x51), 0x2000 },
				{ GUEST_ATC(0x52), 52 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.mute_sid = 0x101;
	g.r.hw.mute_times = 1;
	assert_int_equal(rig_inval(g.v, cmds, 4, &inv), 0);
	assert_int_equal(inv.done, 4);
	guest_stop(&g);
}

static void
test_a_silent_atc_before_an_illegal_command_comes_first(void **state)
{
	uint64_t cmds[4][2] = { { GUEST_ASID(1) },
				{ GUEST_ATC(0x51), 52 },
				{ GUEST_ASID(0xbad) },
				{ GUEST_ATC(0x51), 52 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.mute_sid = 0x101;
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	assert_int_equal(rig_inval(g.v, cmds, 4, &inv), -ETIMEDOUT);
	assert_int_equal(inv.done, 1);
	assert_int_equal(inv.code, 3);
	/* the one behind an illegal command was never sent */
	g.r.hw.mute_sid = UINT32_MAX;
	assert_int_equal(rig_inval(g.v, cmds, 4, &inv), -EIO);
	assert_int_equal(inv.done, 2);
	assert_int_equal(inv.code, 1);
	guest_stop(&g);
}

/* ---- worse ---- */

static void test_a_fetch_that_aborts_is_retried(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	for (unsigned int times = 1; times <= 3; times++) {
		uint64_t(*cmds)[2] = asids(5);

		guest_start(&g);
		g.r.hw.abort_times = times;
		assert_int_equal(rig_inval(g.v, cmds, 5, &inv), 0);
		assert_int_equal(inv.done, 5);
		guest_stop(&g);
		free(cmds);
	}
}

static void expect_dead(struct guest *g)
{
	uint64_t cmds[2][2] = { { GUEST_ASID(1) }, { GUEST_ASID(2) } };
	struct core_inval inv;

	assert_int_equal(rig_inval(g->v, cmds, 2, &inv), -EIO);
	assert_int_equal(inv.done, 0);
	assert_int_equal(inv.code, 2);
	/* no DMA is translated any more: GBPA aborts, SMMUEN is off */
	assert_int_equal(g->r.hw.cr0, 0);
	assert_int_equal(g->r.hw.gbpa, 0x100000);
	g->r.hw.stuck = false;
	g->r.hw.abort_times = 0;
	assert_int_equal(rig_inval(g->v, cmds, 2, &inv), -EIO);
	assert_int_equal(inv.code, 2);
	/* what cannot fail still returns */
	assert_int_equal(g->parent->ops->map(g->parent, 0, 0, 4096, 3), 0);
	g->parent->ops->unmap(g->parent, 0, 4096);
}

static void test_a_queue_that_cannot_be_fetched_kills_the_unit(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.abort_times = 1000;
	expect_dead(&g);
	guest_stop(&g);
}

static void test_a_queue_that_stands_still_kills_the_unit(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.stuck = true;
	expect_dead(&g);
	guest_stop(&g);
}

static void test_an_illegal_sync_kills_the_unit(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = SYNC;
	expect_dead(&g);
	guest_stop(&g);
}

/* TLBI_S2_IPA of one page, VMID 1 */
#define HOST_IPA 0x10000002a

static void unmap_a_page(struct guest *g)
{
	assert_int_equal(g->parent->ops->map(g->parent, 0x1000, 0, 4096, 3), 0);
	fake_clear_log(&g->r.hw);
	g->parent->ops->unmap(g->parent, 0x1000, 4096);
}

static size_t executed(const struct guest *g, uint64_t dw0)
{
	size_t n = 0;

	for (size_t i = 0; i < g->r.hw.log_n; i++)
		n += g->r.hw.log[i][0] == dw0;
	return n;
}

static void
test_the_hosts_own_invalidation_is_issued_until_it_is_done(void **state)
{
	uint64_t cmd[1][2] = { { GUEST_ASID(1) } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	unmap_a_page(&g);
	assert_int_equal(executed(&g, HOST_IPA), 1);
	for (unsigned int times = 1; times <= 7; times++) {
		g.r.hw.ill_dw0 = HOST_IPA;
		g.r.hw.ill_times = times;
		unmap_a_page(&g);
		assert_int_equal(g.r.hw.ill_dw0, 0);
		assert_int_equal(executed(&g, HOST_IPA), 1);
		/* what stands behind it as well */
		assert_true(g.r.hw.log_n >= 2);
		assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	}
	guest_stop(&g);
}

static void
test_without_the_hosts_own_invalidation_there_is_no_translation(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = HOST_IPA;
	g.r.hw.ill_times = 8;
	unmap_a_page(&g);
	assert_int_equal(executed(&g, HOST_IPA), 0);
	expect_dead(&g);
	guest_stop(&g);
}

static void test_a_dead_unit_harms_no_other(void **state)
{
	uint64_t cmd[1][2] = { { GUEST_ASID(1) } };
	struct core_inval inv;
	struct guest a;
	struct guest b;

	(void)state;
	guest_start(&a);
	guest_start(&b);
	a.r.hw.stuck = true;
	expect_dead(&a);
	assert_int_equal(rig_inval(b.v, cmd, 1, &inv), 0);
	assert_int_equal(inv.done, 1);
	guest_stop(&a);
	guest_stop(&b);
}

static void test_hardware_may_take_its_time(void **state)
{
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	/* however busy the machine is */
	to_unit(g.r.iommu)->cmdq.q.timeout_ms = 600000;
	for (unsigned int lazy = 1; lazy < 3000; lazy *= 7) {
		uint64_t(*cmds)[2] = asids(5);

		g.r.hw.lazy = lazy;
		g.r.hw.lazy_left = 0;
		assert_int_equal(rig_inval(g.v, cmds, 5, &inv), 0);
		assert_int_equal(inv.done, 5);
		free(cmds);
	}
	guest_stop(&g);
}

static void test_other_global_errors_are_acknowledged(void **state)
{
	uint64_t cmd[1][2] = { { GUEST_ASID(1) } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.gerror ^= 0xfc; /* EVENTQ_ABT, PRIQ_ABT, four MSI aborts */
	fake_irq(&g.r.hw, 3);
	assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
	assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	guest_stop(&g);
}

static void raise_gerror(struct fake *f, const uint64_t dw[2])
{
	if ((dw[0] & 0xff) != 0x11)
		return;
	f->gerror ^= 4;
	fake_irq(f, 3);
}

static void
test_a_global_error_inside_a_doorbell_does_not_deadlock(void **state)
{
	uint64_t cmd[1][2] = { { GUEST_ASID(1) } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.spy = raise_gerror;
	assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	assert_int_equal(g.r.hw.gerror, g.r.hw.gerrorn);
	g.r.hw.spy = NULL;
	guest_stop(&g);
}

static void test_service_failure_kills_the_unit(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.gerror ^= 0x100;
	fake_irq(&g.r.hw, 3);
	assert_int_equal(g.r.hw.cr0, 0);
	expect_dead(&g);
	guest_stop(&g);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS	500

struct worker {
	struct guest *g;
	uint32_t id;
	unsigned int wrong;
};

/* Odd workers always have an illegal command at their own index. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t cmds[8][2];
	struct core_inval inv;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		int want = w->id & 1 ? -EIO : 0;
		uint32_t done = w->id & 1 ? w->id : 8;

		for (uint32_t i = 0; i < 8; i++) {
			cmds[i][0] = GUEST_ASID(w->id << 8 | i);
			cmds[i][1] = 0;
		}
		if (w->id & 1)
			cmds[w->id][0] = GUEST_ASID(0xbad);
		w->wrong += rig_inval(w->g->v, cmds, 8, &inv) != want ||
			    inv.done != done;
	}
	return NULL;
}

static void test_each_thread_gets_its_own_errors_only(void **state)
{
	struct worker w[THREADS];
	pthread_t thread[THREADS];
	uint32_t sent[THREADS] = { 0 };
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = HOST_ASID(0xbad);
	for (uint32_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .g = &g, .id = i };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]),
				 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].wrong, 0);
	}
	for (size_t i = 0; i < g.r.hw.log_n; i++) {
		if (g.r.hw.log[i][0] != SYNC)
			sent[g.r.hw.log[i][0] >> 56]++;
	}
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(sent[i], ROUNDS * (i & 1 ? i : 8));
	guest_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_batch_has_one_sync_and_one_doorbell),
		cmocka_unit_test(test_the_queue_wraps_many_times),
		cmocka_unit_test(
			test_an_illegal_command_stops_its_ioctl_and_nothing_else),
		cmocka_unit_test(
			test_several_illegal_commands_report_the_first),
		cmocka_unit_test(
			test_an_error_in_a_later_chunk_counts_the_earlier_ones),
		cmocka_unit_test(
			test_an_illegal_command_across_the_wrap_of_the_queue),
		cmocka_unit_test(
			test_an_unanswered_atc_inv_is_found_in_few_batches),
		cmocka_unit_test(test_a_single_atc_inv_is_not_repeated),
		cmocka_unit_test(
			test_atcs_that_answer_when_asked_again_are_no_failure),
		cmocka_unit_test(
			test_a_silent_atc_before_an_illegal_command_comes_first),
		cmocka_unit_test(test_a_fetch_that_aborts_is_retried),
		cmocka_unit_test(
			test_a_queue_that_cannot_be_fetched_kills_the_unit),
		cmocka_unit_test(test_a_queue_that_stands_still_kills_the_unit),
		cmocka_unit_test(test_an_illegal_sync_kills_the_unit),
		cmocka_unit_test(
			test_the_hosts_own_invalidation_is_issued_until_it_is_done),
		cmocka_unit_test(
			test_without_the_hosts_own_invalidation_there_is_no_translation),
		cmocka_unit_test(test_a_dead_unit_harms_no_other),
		cmocka_unit_test(test_hardware_may_take_its_time),
		cmocka_unit_test(test_other_global_errors_are_acknowledged),
		cmocka_unit_test(
			test_a_global_error_inside_a_doorbell_does_not_deadlock),
		cmocka_unit_test(test_service_failure_kills_the_unit),
		cmocka_unit_test(test_each_thread_gets_its_own_errors_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
