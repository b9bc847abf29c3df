// SPDX-License-Identifier: MIT
/*
 * Queues that hardware fills: page requests and their answers, stalls, and how
 * long one thread works for others. Words are Arm IHI 0070's, written out.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake.h"

#define NO_PASID UINT32_MAX
#define PRI	 (1u << 16)
#define OVFLG	 0x80000000u

/* A unit with PRI; PRIQS 2^5 */
static void start(struct rig *r)
{
	rig_init(r);
	r->hw.idr[0] |= PRI;
	r->hw.idr[1] = (r->hw.idr[1] & ~0xf800u) | 5u << 11;
	rig_start_devices(r);
	fake_clear_log(&r->hw);
}

static void the_queue_is_set_up_only_with_pri(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	assert_null(r.hw.handler[1]);
	assert_int_equal(r.hw.priq_base, 0);
	assert_int_equal(r.hw.cr0 & 2, 0);
	rig_stop(&r);
	start(&r);
	assert_non_null(r.hw.handler[1]);
	assert_int_equal(r.hw.priq_base & 0x1f, 5);
	assert_int_equal(r.hw.cr0 & 2, 2);
	assert_int_equal(r.hw.irq_ctrl, 7);
	rig_stop(&r);
}

static void a_request_is_taken_apart(void **state)
{
	/* record bit to permission: R 60, W 61, X 59, Priv 58 */
	static const unsigned int bits[] = { 60, 61, 59, 58 };
	struct rig r;

	(void)state;
	start(&r);
	fake_core_pages.rc = 0;
	for (unsigned int i = 0; i < 4; i++) {
		fake_page_request(&r.hw,
				  1ULL << bits[i] | 1ULL << 63 |
					  0xabcdeULL << 32 | 0x102,
				  0x123456789abc0fffULL, true);
		assert_int_equal(fake_core_pages.n, i + 1);
		assert_ptr_equal(fake_core_pages.dev, &r.dev[2]);
		assert_int_equal(fake_core_pages.last.flags, 1); /* PASID */
		assert_int_equal(fake_core_pages.last.pasid, 0xabcde);
		assert_int_equal(fake_core_pages.last.perm, 1u << i);
		assert_int_equal(fake_core_pages.last.grpid, 0x1ff);
		assert_true(fake_core_pages.last.addr == 0x123456789abc0000);
		assert_int_equal(r.hw.priq_cons, i + 1);
	}
	/* Last (62), no PASID: what stands there means nothing */
	fake_page_request(&r.hw, 1ULL << 62 | 0xabcdeULL << 32 | 0x100, 0x1000,
			  true);
	assert_int_equal(fake_core_pages.last.flags, 2);
	assert_int_equal(fake_core_pages.last.perm, 0);
	assert_int_equal(r.hw.log_n, 0);
	rig_stop(&r);
}

static void a_stop_marker_goes_nowhere(void **state)
{
	struct rig r;

	(void)state;
	start(&r);
	fake_page_request(&r.hw, 3ULL << 62 | 0x102, 0, true);
	assert_int_equal(fake_core_pages.n, 0);
	assert_int_equal(r.hw.log_n, 0);
	assert_int_equal(r.hw.priq_cons, 1);
	rig_stop(&r);
}

/* CMD_PRI_RESP 0x41: SSV 11, SubstreamID 31:12; PRGIndex 8:0, Resp 13:12 */
static void answers_become_pri_resp(void **state)
{
	struct rig r;

	(void)state;
	start(&r);
	/* nobody takes its faults: core says INVALID (1) */
	fake_page_request(&r.hw, 1ULL << 62 | 1ULL << 60 | 0x102, 0x1155, true);
	EXPECT_CMD(&r.hw, 0, 0x10200000041, 0x1155);
	fake_page_request(&r.hw,
			  1ULL << 63 | 1ULL << 62 | 1ULL << 60 |
				  0x54321ULL << 32 | 0x102,
			  0x1ff, true);
	EXPECT_CMD(&r.hw, 1, 0x10254321841, 0x11ff);
	/* somebody does, and says SUCCESS (2), once */
	fake_core_pages.rc = 0;
	fake_page_request(&r.hw, 1ULL << 62 | 1ULL << 60 | 0x102, 0x1003, true);
	assert_int_equal(r.hw.log_n, 2);
	r.iommu->ops->page_response(&r.dev[2], &fake_core_pages.last, 0);
	EXPECT_CMD(&r.hw, 2, 0x10200000041, 0x2003);
	/* a stream without a device: a failure (0), to the last one only */
	fake_page_request(&r.hw, 1ULL << 60 | 0x999, 0x1003, true);
	assert_int_equal(r.hw.log_n, 3);
	fake_page_request(&r.hw, 1ULL << 62 | 1ULL << 60 | 0x999, 0x1003, true);
	EXPECT_CMD(&r.hw, 3, 0x99900000041, 0x0003);
	rig_stop(&r);
}

/* 8.1.1: the whole queue, then the overflow, with one write of CONS */
static void an_overflow_ends_groups_that_have_no_end(void **state)
{
	struct rig r;

	(void)state;
	start(&r);
	fake_core_pages.rc = 0;
	for (unsigned int round = 1; round <= 3; round++) {
		for (unsigned int i = 0; i < 32; i++)
			fake_page_request(&r.hw, 1ULL << 60 | 0x102, i, false);
		r.hw.priq_prod ^= OVFLG;
		fake_irq(&r.hw, 1);
		assert_int_equal(fake_core_pages.n, 32 * round);
		/* each device behind the unit, behind the last request */
		assert_int_equal(fake_core_pages.lost, 3 * round);
		assert_int_equal(r.hw.priq_cons, r.hw.priq_prod);
	}
	rig_stop(&r);
}

/* GERROR.PRIQ_ABT (3): hardware has answered, some may be lost */
static void an_abort_ends_them_as_well(void **state)
{
	struct rig r;

	(void)state;
	start(&r);
	r.hw.gerror ^= 8;
	fake_irq(&r.hw, 3);
	assert_int_equal(r.hw.gerrorn, r.hw.gerror);
	assert_int_equal(fake_core_pages.lost, 3);
	rig_stop(&r);
}

/* ---- stalls ---- */

static void a_stall_is_a_question(void **state)
{
	/* F_PERMISSION, SSV, SSID 5; Stall, RnW, InD, PnU; STAG 0xbeef */
	const uint64_t evt[4] = { 0x10200005813, 0xe8000beef, 0x77ff8, 0 };
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[5] = (r.hw.idr[5] & 0xffff) | 16u << 16; /* an eighth: 2 */
	rig_start_devices(&r);
	fake_clear_log(&r.hw);
	fake_core_pages.rc = 0;
	fake_event(&r.hw, evt, true);
	assert_int_equal(fake_core_pages.n, 1);
	assert_int_equal(fake_core_pages.last.flags, 3);
	assert_int_equal(fake_core_pages.last.pasid, 5);
	assert_int_equal(fake_core_pages.last.grpid, 0xbeef);
	assert_int_equal(fake_core_pages.last.perm, 1 | 4 | 8);
	assert_true(fake_core_pages.last.addr == 0x77ff8);
	assert_int_equal(r.hw.log_n, 0);
	/* RESUME 0x44: Ac (12) goes on, Ab (13) aborts */
	r.iommu->ops->page_response(&r.dev[2], &fake_core_pages.last, 0);
	EXPECT_CMD(&r.hw, 0, 0x10200001044, 0xbeef);
	fake_event(&r.hw, evt, true);
	r.iommu->ops->page_response(&r.dev[2], &fake_core_pages.last, 1);
	EXPECT_CMD(&r.hw, 1, 0x10200002044, 0xbeef);
	/* two may wait, the third is terminated at once */
	for (unsigned int i = 0; i < 3; i++)
		fake_event(&r.hw, evt, true);
	assert_int_equal(fake_core_pages.n, 4);
	EXPECT_CMD(&r.hw, 2, 0x10200002044, 0xbeef);
	assert_int_equal(r.hw.log_n, 3);
	rig_stop(&r);
}

/* ---- how much one thread does ---- */

static _Atomic unsigned int flood_left;
static _Atomic unsigned int flood_here; /* turns of the test's own thread */
static pthread_t flood_thread;

/* Hardware is always faster: whoever writes CONS finds another record. */
static void one_more(struct fake *f)
{
	const uint64_t evt[4] = { 0x99900000010 };

	if (pthread_equal(pthread_self(), flood_thread))
		flood_here++;
	if (!flood_left)
		return;
	fake_event(f, evt, false);
	flood_left--;
}

static void a_flood_is_not_one_threads_work(void **state)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct rig r;

	(void)state;
	rig_init(&r);
	r.cfg.evtq_lg2 = 2; /* four records */
	rig_start_devices(&r);
	for (unsigned int round = 0; round < 3; round++) {
		flood_thread = pthread_self();
		flood_here = 0;
		flood_left = 5000;
		r.hw.cons_spy = one_more;
		fake_event(&r.hw, (uint64_t[4]){ 0x99900000010 }, true);
		/* back already; as much as the queue holds, and no more */
		assert_int_equal(flood_here, 4);
		for (unsigned int i = 0; flood_left && i < 10000; i++)
			nanosleep(&nap, NULL);
		assert_int_equal(flood_left, 0);
		assert_int_equal(flood_here, 4);
		/* whoever wants to be sure waits, or does it himself */
		r.iommu->ops->sync_events(r.iommu);
		assert_int_equal(r.hw.evtq_cons, r.hw.evtq_prod);
	}
	rig_stop(&r);
}

/* ---- answers while the queue is busy ---- */

static struct rig *busy_rig;
static unsigned int busy_answers;

/* In the middle of a batch: more answers than any fixed room has */
static void answer_many(struct fake *f, const uint64_t dw[2])
{
	struct core_page_request last = { .flags = 2, .kind = 1 };

	if ((dw[0] & 0xff) != 0x11)
		return;
	f->spy = NULL;
	for (busy_answers = 0; busy_answers < 1000; busy_answers++) {
		last.grpid = busy_answers % 512;
		busy_rig->iommu->ops->page_response(&busy_rig->dev[2], &last,
						    0);
	}
}

static void no_answer_is_lost_while_the_queue_is_busy(void **state)
{
	uint64_t cmd[1][2] = { { 0x11, 0 } };
	struct core_domain *parent;
	struct core_viommu *v;
	struct core_inval inv;
	struct rig r;

	(void)state;
	start(&r);
	busy_rig = &r;
	parent = rig_domain(&r, 1);
	v = rig_viommu(&r, parent);
	fake_clear_log(&r.hw);
	r.hw.spy = answer_many;
	assert_int_equal(rig_inval(v, cmd, 1, &inv), 0);
	assert_int_equal(r.hw.log_n, 1002);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	for (unsigned int i = 0; i < 1000; i++)
		EXPECT_CMD(&r.hw, 2 + i, 0x10200000041, 0x2000 | i % 512);
	v->ops->free(v);
	parent->ops->free(parent);
	rig_stop(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_queue_is_set_up_only_with_pri),
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(a_stop_marker_goes_nowhere),
		cmocka_unit_test(answers_become_pri_resp),
		cmocka_unit_test(an_overflow_ends_groups_that_have_no_end),
		cmocka_unit_test(an_abort_ends_them_as_well),
		cmocka_unit_test(a_stall_is_a_question),
		cmocka_unit_test(a_flood_is_not_one_threads_work),
		cmocka_unit_test(no_answer_is_lost_while_the_queue_is_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
