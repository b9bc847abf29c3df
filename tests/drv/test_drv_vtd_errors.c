// SPDX-License-Identifier: MIT
/*
 * The VT-d driver: devices that do not answer, or badly; descriptors and
 * fetches that fail; quarantine.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "drv/vtd/unit.h"
#include "fake_time.h"
#include "vtd_bed.h"

#define RW  3
#define ITE 2
#define ICE 1

static void start(struct vbed *t)
{
	t->r.cfg.atc_timeouts = 1000;
	vbed_start(t);
}

static void begin(struct vbed *t)
{
	vbed_init(t);
	start(t);
}

static void attach(struct vbed *t, int dev)
{
	vbed_attach(t, dev, NO_PASID);
}

static int inval(struct vbed *t, uint32_t count)
{
	vfake_clear_log(&t->r.hw);
	return vrig_inval(t->n, t->e, count, true, &t->inv);
}

/* Device 1 is asked about page @i: descriptor's doubleword 1 */
static uint64_t page(int i)
{
	return (uint64_t)i << 12;
}

static void expect_only(const struct vbed *t, int at, uint32_t error,
			uint32_t sid)
{
	for (int i = 0; i < 200; i++) {
		assert_int_equal(t->e[i].hw_error, i == at ? error : 0);
		assert_int_equal(t->e[i].hw_error_info, i == at ? sid : 0);
	}
}

/* ---- time-outs ---- */

static void test_who_alone_was_asked_is_not_asked_again(void **state)
{
	struct core_iommu_stats s;
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	assert_int_equal(t.inv.done, 0);
	assert_int_equal(t.inv.code, ITE);
	assert_int_equal(t.inv.info, 0x101);
	expect_only(&t, 0, ITE, 0x101);
	vrig_stats(&t.r, &s);
	assert_int_equal(s.timeouts, 1);
	assert_int_equal(s.searches, 0);
	t.r.hw.mute_sid = 0;
	vbed_stop(&t);
}

/* Every place in an array, in each way that hardware may tell it */
static void find_one(bool silent, bool ahead)
{
	struct core_iommu_stats s;
	struct vbed t;

	begin(&t);
	attach(&t, 1);
	t.r.hw.mute_silent = silent;
	t.r.hw.ahead = ahead;
	for (int i = 0; i < 130; i += 1 + i / 7) {
		t.r.hw.mute_sid = 0x101;
		t.r.hw.mute_dw1 = page(i);
		assert_int_equal(inval(&t, 130), -ETIMEDOUT);
		assert_int_equal(t.inv.done, i);
		assert_int_equal(t.inv.code, ITE);
		assert_int_equal(t.inv.info, 0x101);
		expect_only(&t, i, ITE, 0x101);
		t.e[i].hw_error = t.e[i].hw_error_info = 0;
		t.r.hw.mute_sid = 0;
		/* the rest of it, then all: nothing is left behind */
		assert_int_equal(inval(&t, 130), 0);
		assert_int_equal(t.inv.done, 130);
	}
	vrig_stats(&t.r, &s);
	assert_true(s.timeouts >= 2 * s.searches - 2);
	vbed_stop(&t);
}

static void test_the_entry_is_found_by_source_id_and_again(void **state)
{
	(void)state;
	find_one(false, false);
}

static void test_the_entry_is_found_without_a_source_id(void **state)
{
	(void)state;
	find_one(true, false);
}

static void test_the_entry_is_found_where_waits_abort(void **state)
{
	(void)state;
	find_one(false, true);
	find_one(true, true);
}

static void test_one_answer_late_is_none_missing(void **state)
{
	struct core_iommu_stats s;
	struct vbed t;

	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		begin(&t);
		attach(&t, 1);
		t.r.hw.ahead = ahead;
		t.r.hw.mute_sid = 0x101;
		t.r.hw.mute_dw1 = page(3);
		t.r.hw.mute_times = 1;
		assert_int_equal(inval(&t, 8), 0);
		assert_int_equal(t.inv.done, 8);
		expect_only(&t, -1, 0, 0);
		vrig_stats(&t.r, &s);
		assert_int_equal(s.timeouts, 1);
		assert_int_equal(s.searches, 1);
		vbed_stop(&t);
	}
}

/* Which pages of @sid the log has asked for and then completed a wait */
static void completed(const struct vbed *t, uint32_t sid, bool seen[200])
{
	bool pending[200] = { false };

	memset(seen, 0, 200 * sizeof(seen[0]));
	for (size_t i = 0; i < t->r.hw.log_n; i++) {
		const uint64_t *dw = t->r.hw.log[i];

		if ((dw[0] & 0xf) == 3 && dw[0] >> 32 == sid)
			pending[dw[1] >> 12] = true;
		if ((dw[0] & 0xf) != 5)
			continue;
		for (int p = 0; p < 200; p++)
			seen[p] |= pending[p];
	}
}

static void test_other_devices_are_asked_again_before_it_counts(void **state)
{
	struct core_iommu_stats s;
	bool seen[200];
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	attach(&t, 2);
	t.r.hw.mute_sid = 0x182;
	t.r.hw.mute_dw1 = page(2);
	assert_int_equal(inval(&t, 5), -ETIMEDOUT);
	assert_int_equal(t.inv.done, 2);
	assert_int_equal(t.inv.info, 0x182);
	completed(&t, 0x101, seen);
	for (int i = 0; i < 2; i++)
		assert_true(seen[i]);
	/* by source-id it is one of five: one more timeout */
	vrig_stats(&t.r, &s);
	assert_int_equal(s.timeouts, 2);
	/* one entry: the only one of its source-id, so no second */
	t.r.hw.mute_dw1 = page(0);
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	assert_int_equal(t.inv.done, 0);
	vrig_stats(&t.r, &s);
	assert_int_equal(s.timeouts, 3);
	t.r.hw.mute_sid = 0;
	vbed_stop(&t);
}

static void test_iotlb_entries_go_even_if_a_device_is_silent(void **state)
{
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.mute_sid = 0x101;
	assert_int_equal(inval(&t, 1), -ETIMEDOUT);
	EXPECT_DESC(&t.r.hw, 0, 0x10036, 0);
	t.r.hw.mute_sid = 0;
	vbed_stop(&t);
}

/* ---- invalid answers ---- */

static void test_a_bad_answer_is_told_and_stops_nothing(void **state)
{
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	for (int i = 0; i < 130; i += 1 + i / 5) {
		t.r.hw.ice_sid = 0x101;
		t.r.hw.ice_dw1 = page(i) ? page(i) : 0;
		if (!i)
			t.r.hw.ice_dw1 = page(1);
		assert_int_equal(inval(&t, 130), 0);
		assert_int_equal(t.inv.done, 130);
		assert_int_equal(t.inv.code, 0);
		expect_only(&t, i ? i : 1, ICE, 0x101);
		t.e[i ? i : 1].hw_error = 0;
		t.e[i ? i : 1].hw_error_info = 0;
	}
	t.r.hw.ice_sid = 0;
	vbed_stop(&t);
}

static void test_who_answers_nothing_else_costs_little(void **state)
{
	struct core_iommu_stats s;
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.ice_sid = 0x101;
	assert_int_equal(inval(&t, 100), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(t.e[i].hw_error, ICE);
		assert_int_equal(t.e[i].hw_error_info, 0x101);
	}
	vrig_stats(&t.r, &s);
	assert_true(s.searches < 80);
	t.r.hw.ice_sid = 0;
	vbed_stop(&t);
}

static void test_codes_are_only_for_who_asked(void **state)
{
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.mute_sid = 0x101;
	assert_int_equal(vrig_inval(t.n, t.e, 3, false, &t.inv), -ETIMEDOUT);
	assert_int_equal(t.inv.done, 0);
	expect_only(&t, -1, 0, 0);
	/* an entry too short for it */
	t.inv = (struct core_inval){
		.uptr = (uintptr_t)t.e, .stride = 24, .count = 1, .errors = true
	};
	assert_int_equal(t.n->ops->invalidate(t.n, &t.inv), -ETIMEDOUT);
	assert_int_equal(t.inv.code, ITE);
	expect_only(&t, -1, 0, 0);
	t.r.hw.mute_sid = 0;
	vbed_stop(&t);
}

/* ---- descriptors and fetches ---- */

static void test_a_descriptor_that_hardware_refuses(void **state)
{
	struct core_iommu_stats s;
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.ill_dw0 = 0x0000010100000003ULL;
	assert_int_equal(inval(&t, 5), -EIO);
	assert_int_equal(t.inv.done, 0);
	assert_int_equal(t.inv.code, 0);
	expect_only(&t, -1, 0, 0);
	/* nothing behind it ran */
	for (size_t i = 0; i < t.r.hw.log_n; i++)
		assert_int_not_equal(t.r.hw.log[i][1], page(1));
	t.r.hw.ill_dw0 = 0;
	assert_int_equal(inval(&t, 5), 0);
	vrig_stats(&t.r, &s);
	assert_int_equal(s.illegal, 1);
	vbed_stop(&t);
}

static void test_a_fetch_that_fails_a_few_times_is_tried_again(void **state)
{
	struct vbed t;

	(void)state;
	for (unsigned int times = 1; times <= 3; times++) {
		begin(&t);
		attach(&t, 1);
		t.r.hw.abort_times = times;
		assert_int_equal(inval(&t, 5), 0);
		assert_int_equal(t.inv.done, 5);
		vbed_stop(&t);
	}
}

static void expect_dead(struct vbed *t)
{
	struct core_domain *d = NULL;
	struct vrig *r = &t->r;

	assert_int_equal(inval(t, 1), -EIO);
	assert_int_equal(t->inv.code, 0);
	assert_int_equal(r->iommu->ops->domain_alloc(&r->dev[0], 0, &d), -EIO);
	assert_int_equal(t->n->ops->attach(t->n, &r->dev[2], NO_PASID), -EIO);
	/* the root table is empty, and set again */
	for (int bus = 0; bus < 512; bus++)
		assert_int_equal(
			vfake_load(&r->hw,
				   (r->hw.rtaddr_set & ~0xfffULL) + bus * 8),
			0);
	assert_true(r->hw.gcmds[r->hw.gcmds_n - 1] & 0x40000000);
	assert_true(r->hw.gcmds[r->hw.gcmds_n - 1] & 0x80000000);
}

static void test_a_queue_that_cannot_be_fetched_is_the_end(void **state)
{
	struct vbed t;

	(void)state;
	begin(&t);
	attach(&t, 1);
	t.r.hw.abort_times = 1000;
	assert_int_equal(inval(&t, 5), -EIO);
	assert_int_equal(t.inv.done, 0);
	expect_dead(&t);
	vbed_stop(&t);
}

static void test_a_queue_that_does_not_move_is_the_end(void **state)
{
	struct vbed t;

	(void)state;
	vbed_init(&t);
	t.r.cfg.timeout_ms = 20;
	start(&t);
	to_unit(t.r.iommu)->q.answer_ms = 30;
	attach(&t, 1);
	t.r.hw.stuck = true;
	assert_int_equal(inval(&t, 5), -EIO);
	expect_dead(&t);
	vbed_stop(&t);
}

#define ESRTPS (1ULL << 63)
#define ADMS   (1ULL << 52)
#define SMTS   (1ULL << 43)

/* A unit that is dead, and how it has been told to forget */
struct the_end {
	uint64_t cap_off, ecap_off;
	uint64_t ecap_on;
	uint32_t ver;
	bool stuck; /* for ever; otherwise fetches abort until it is given up */
	uint32_t mode; /* RTADDR.TTM in the end */
	unsigned int registers;
	unsigned int descriptors; /* by its queue, waits included */
	bool lost;		  /* nothing of it helps, and it is said so */
	bool no_registers;	  /* although there should be */
};

static void count_lost(void *ctx, enum logger_level level, const char *text)
{
	if (level == LOGGER_ERROR && strstr(text, "hardware does not forget"))
		++*(int *)ctx;
}

static void end_begin(struct vrig *r, const struct the_end *c,
		      struct logger *logger)
{
	vrig_init(r);
	r->hw.cap &= ~c->cap_off;
	r->hw.ecap = (r->hw.ecap & ~c->ecap_off) | c->ecap_on;
	r->hw.ver = c->ver;
	r->hw.no_registers = c->no_registers;
	r->cfg.timeout_ms = 20;
	r->cfg.logger = logger;
	vrig_start(r);
	to_unit(r->iommu)->q.answer_ms = 30;
}

/* What the log holds is what the queue did in the end: global ones, a wait. */
static void expect_all_forgotten(const struct vfake *f, bool scalable)
{
	size_t i = scalable;

	EXPECT_DESC(f, 0, 0x11, 0);
	if (scalable)
		EXPECT_DESC(f, 1, 0x37, 0);
	EXPECT_DESC(f, i + 1, 0xd2, 0);
	EXPECT_WAIT(f, i + 2);
	assert_int_equal(f->log_n, i + 3);
}

static void end_one(const struct the_end *c)
{
	int lost = 0;
	struct logger logger = { LOGGER_ERROR, count_lost, &lost };
	struct core_domain *d;
	uint64_t queue;
	struct vrig r;

	end_begin(&r, c, &logger);
	queue = r.hw.iqa;
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0, 4096, RW), 0);
	vfake_clear_log(&r.hw);
	r.hw.late_ite = true; /* of what was under way */
	r.hw.stuck = c->stuck;
	r.hw.abort_times = c->stuck ? 0 : 8;
	d->ops->unmap(d, 0, 4096);
	for (int i = 0; i < 512; i++)
		assert_int_equal(
			vfake_load(&r.hw,
				   (r.hw.rtaddr_set & ~0xfffULL) + i * 8),
			0);
	assert_int_equal(r.hw.rtaddr_set >> 10 & 3, c->mode);
	/* nobody is let through meanwhile, or afterwards */
	for (unsigned int i = 3; i < r.hw.gcmds_n; i++)
		assert_true(r.hw.gcmds[i] & 0x80000000);
	assert_int_equal(r.hw.register_invalidations, c->registers);
	assert_int_equal(r.hw.log_n, c->descriptors);
	if (c->descriptors) {
		expect_all_forgotten(&r.hw, c->mode == 1);
		/* elsewhere, of the same width */
		assert_int_not_equal(r.hw.iqa & ~0xfffULL, queue & ~0xfffULL);
		assert_int_equal(r.hw.iqa & 0xfff, queue & 0x800);
	}
	assert_int_equal(lost, c->lost);
	r.hw.stuck = false;
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_a_dead_unit_forgets_in_each_way_there_is(void **state)
{
	static const struct the_end cases[] = {
		/* ESRTPS: the root alone, and no mode but those there are */
		{ 0, 0, 0, 0x50, true, 1, 0, 0, false },
		{ 0, 0, ADMS, 0x50, true, 3, 0, 0, false },
		{ 0, 0, ADMS, 0x60, true, 3, 0, 0, false },
		{ 0, SMTS, 0, 0x50, true, 0, 0, 0, false },
		/* legacy, below 6: registers, even if the queue is stuck */
		{ ESRTPS, SMTS, 0, 0x10, true, 0, 2, 0, false },
		{ ESRTPS, SMTS, ADMS, 0x5f, true, 0, 2, 0, false },
		/* otherwise the queue, somewhere else, and the same mode */
		{ ESRTPS, SMTS, 0, 0x60, false, 0, 0, 3, false },
		{ ESRTPS, 0, 0, 0x10, false, 1, 0, 4, false },
		{ ESRTPS, 0, ADMS, 0x50, false, 1, 0, 4, false },
		{ ESRTPS, 0, 0, 0x60, false, 1, 0, 4, false },
		{ ESRTPS, 0, ADMS, 0x70, false, 1, 0, 4, false },
		/* if that does nothing either: registers, in their mode */
		{ ESRTPS, 0, 0, 0x50, true, 0, 2, 0, false },
		{ ESRTPS, 0, ADMS, 0x10, true, 0, 2, 0, false },
		/* it is looked at whether they have done it */
		{ ESRTPS, SMTS, 0, 0x50, false, 0, 0, 3, false, true },
		{ ESRTPS, SMTS, 0, 0x50, true, 0, 0, 0, true, true },
		{ ESRTPS, 0, 0, 0x50, true, 0, 0, 0, true, true },
		/* of which there are none */
		{ ESRTPS, 0, ADMS, 0x60, true, 1, 0, 0, true },
		{ ESRTPS, SMTS, 0, 0x60, true, 0, 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		end_one(&cases[i]);
}

/* The wait of the queue that begins again is aborted, once. */
static void test_a_dead_unit_forgets_though_devices_are_silent(void **state)
{
	static const struct the_end unit = { .cap_off = ESRTPS, .ver = 0x60 };

	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		int lost = 0;
		struct logger logger = { LOGGER_ERROR, count_lost, &lost };
		struct core_domain *d;
		struct vrig r;

		end_begin(&r, &unit, &logger);
		d = vrig_domain(&r, 0);
		assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
		r.hw.stays_out = true;
		r.hw.ahead = ahead;
		r.hw.abort_times = 8;
		vfake_clear_log(&r.hw);
		r.iommu->ops->block(&r.dev[0], NO_PASID);
		assert_int_equal(lost, 0);
		EXPECT_DESC(&r.hw, 0, 0x11, 0);
		EXPECT_DESC(&r.hw, 1, 0x37, 0);
		EXPECT_DESC(&r.hw, 2, 0xd2, 0);
		/* the one that was aborted, and those that were not */
		for (size_t i = 3; i < r.hw.log_n; i++)
			EXPECT_WAIT(&r.hw, i);
		assert_int_equal(r.hw.log_n, ahead ? 5 : 6);
		d->ops->free(d);
		vrig_stop(&r);
	}
}

static void test_a_dead_unit_that_obeys_nothing_is_told_of(void **state)
{
	static const struct the_end unit = { .ver = 0x50 };
	int lost = 0;
	struct logger logger = { LOGGER_ERROR, count_lost, &lost };
	struct core_domain *d;
	struct vrig r;

	(void)state;
	end_begin(&r, &unit, &logger);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	r.hw.stuck = true;
	r.hw.deaf = true;
	r.hw.gsts &= ~0x40000000u;
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	assert_int_equal(lost, 1);
	r.hw.deaf = false;
	r.hw.stuck = false;
	d->ops->free(d);
	vrig_stop(&r);
}

/* ---- quarantine ---- */

static void test_the_hosts_own_takes_ats_at_once(void **state)
{
	struct core_iommu_stats s;
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(d->ops->attach(d, &r.dev[2], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0, 4096, RW), 0);
	assert_int_equal(d->ops->map(d, 4096, 0, 4096, RW), 0);
	r.hw.mute_sid = 0x101;
	vfake_clear_log(&r.hw);
	d->ops->unmap(d, 0, 4096);
	assert_int_equal(vfake_context(&r.hw, 0x101, 0) & 4, 0);
	assert_int_equal(vfake_context(&r.hw, 0x182, 0) & 4, 4);
	/* table 28: contexts, and what is attached */
	EXPECT_DESC(&r.hw, r.hw.log_n - 4, 0x0000010100000031ULL, 0);
	EXPECT_DESC(&r.hw, r.hw.log_n - 3, 0x10007, 0);
	EXPECT_DESC(&r.hw, r.hw.log_n - 2, 0x100e2, 0);
	EXPECT_WAIT(&r.hw, r.hw.log_n - 1);
	/* it is asked no more */
	vfake_clear_log(&r.hw);
	d->ops->unmap(d, 4096, 4096);
	EXPECT_DESC(&r.hw, 1, 0x0000018200000003ULL, 4096);
	assert_int_equal(r.hw.log_n, 3);
	vrig_stats(&r, &s);
	assert_int_equal(s.quarantines, 1);
	/* a reset ends it */
	r.hw.mute_sid = 0;
	r.iommu->ops->device_reset(&r.dev[1]);
	assert_int_equal(vfake_context(&r.hw, 0x101, 0) & 4, 4);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_devices_over_budget_are_quarantined(void **state)
{
	struct vbed t;

	(void)state;
	vbed_init(&t);
	t.r.cfg.atc_timeouts = 3;
	vbed_start(&t);
	attach(&t, 1);
	attach(&t, 2);
	t.r.hw.mute_sid = 0x101;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vfake_context(&t.r.hw, 0x101, 0) & 4, 4);
		assert_int_equal(inval(&t, 1), -ETIMEDOUT);
		t.e[0].hw_error = t.e[0].hw_error_info = 0;
	}
	assert_int_equal(vfake_context(&t.r.hw, 0x101, 0) & 4, 0);
	assert_int_equal(vfake_context(&t.r.hw, 0x182, 0) & 4, 4);
	/* out of reach, so done */
	fake_pass(1000);
	assert_int_equal(inval(&t, 1), 0);
	assert_int_equal(t.r.hw.log_n, 3);
	/* what is attached later has none either; a reset gives it back */
	t.r.iommu->ops->block(&t.r.dev[1], NO_PASID);
	attach(&t, 1);
	assert_int_equal(inval(&t, 1), 0);
	assert_int_equal(t.r.hw.log_n, 3);
	t.r.hw.mute_sid = 0;
	t.r.iommu->ops->device_reset(&t.r.dev[1]);
	assert_int_equal(inval(&t, 1), 0);
	assert_int_equal(t.r.hw.log_n, 4);
	vbed_stop(&t);
}

static void test_a_guest_over_budget_loses_all(void **state)
{
	struct vbed t;

	(void)state;
	vbed_init(&t);
	t.r.cfg.atc_timeouts = 2;
	vbed_start(&t);
	attach(&t, 1);
	attach(&t, 2);
	t.r.hw.mute_sid = 0x101;
	/* device 1 pays with two, and is forgiven; the guest is not */
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 2; i++) {
			assert_int_equal(inval(&t, 1), -ETIMEDOUT);
			t.e[0].hw_error = t.e[0].hw_error_info = 0;
		}
		t.r.iommu->ops->device_reset(&t.r.dev[1]);
		assert_int_equal(vfake_context(&t.r.hw, 0x101, 0) & 4,
				 round < 3 ? 4 : 0);
	}
	assert_int_equal(vfake_context(&t.r.hw, 0x182, 0) & 4, 0);
	assert_int_equal(inval(&t, 1), 0);
	t.r.hw.mute_sid = 0;
	vbed_stop(&t);
}

/* ---- failing allocations ---- */

static int scenario(struct vrig *r)
{
	struct core_domain *parent = NULL;
	struct core_domain *n = NULL;
	struct core_device dev = { .iommu = r->iommu,
				   .stream_id = 0x305,
				   .ats = true,
				   .pasid_bits = 16 };
	int rc;

	rc = r->iommu->ops->device_add(&dev);
	if (rc)
		return rc;
	rc = r->iommu->ops->domain_alloc(&dev, 3, &parent);
	if (!rc)
		rc = parent->ops->map(parent, 0, 0, 0x5000, RW);
	if (!rc)
		rc = vrig_nested(r, parent, 0, 0x1000, 48, &n);
	if (!rc)
		rc = parent->ops->attach(parent, &dev, NO_PASID);
	if (!rc)
		rc = n->ops->attach(n, &dev, NO_PASID);
	if (!rc)
		rc = n->ops->attach(n, &dev, 0x1234);
	if (parent)
		parent->ops->unmap(parent, 0, 0x5000);
	r->iommu->ops->device_remove(&dev);
	if (n)
		n->ops->free(n);
	if (parent)
		parent->ops->free(parent);
	return rc;
}

static void test_every_allocation_may_fail(void **state)
{
	struct vrig r;
	uint64_t n = 0;
	int rc;

	(void)state;
	vrig_begin(&r);
	do {
		struct alloc_plan plan = { .fail_at = ++n };

		alloc_arm(&plan);
		rc = scenario(&r);
		alloc_arm(NULL);
		assert_true(rc == 0 || rc == -ENOMEM);
	} while (rc);
	assert_true(n > 12);
	print_message("%llu injection points\n", (unsigned long long)(n - 1));
	vrig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_alone_was_asked_is_not_asked_again),
		cmocka_unit_test(
			test_the_entry_is_found_by_source_id_and_again),
		cmocka_unit_test(test_the_entry_is_found_without_a_source_id),
		cmocka_unit_test(test_the_entry_is_found_where_waits_abort),
		cmocka_unit_test(test_one_answer_late_is_none_missing),
		cmocka_unit_test(
			test_other_devices_are_asked_again_before_it_counts),
		cmocka_unit_test(
			test_iotlb_entries_go_even_if_a_device_is_silent),
		cmocka_unit_test(test_a_bad_answer_is_told_and_stops_nothing),
		cmocka_unit_test(test_who_answers_nothing_else_costs_little),
		cmocka_unit_test(test_codes_are_only_for_who_asked),
		cmocka_unit_test(test_a_descriptor_that_hardware_refuses),
		cmocka_unit_test(
			test_a_fetch_that_fails_a_few_times_is_tried_again),
		cmocka_unit_test(
			test_a_queue_that_cannot_be_fetched_is_the_end),
		cmocka_unit_test(test_a_queue_that_does_not_move_is_the_end),
		cmocka_unit_test(test_a_dead_unit_forgets_in_each_way_there_is),
		cmocka_unit_test(
			test_a_dead_unit_forgets_though_devices_are_silent),
		cmocka_unit_test(
			test_a_dead_unit_that_obeys_nothing_is_told_of),
		cmocka_unit_test(test_the_hosts_own_takes_ats_at_once),
		cmocka_unit_test(test_devices_over_budget_are_quarantined),
		cmocka_unit_test(test_a_guest_over_budget_loses_all),
		cmocka_unit_test(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
