// SPDX-License-Identifier: MIT
/* VT-d: device TLBs, what does not answer, page requests. */
#include "vtd_rig.h"

static int ask(struct rig *g, int port, uint32_t pasid, uint64_t iova,
	       uint32_t flags, uint64_t len, struct model_translation *t)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };

	return g->model->ops->ats_request(g->port[port], &a, len, t);
}

/* PASID 3 and requests without: domain id 5; @n pages from 0x5000 */
static uint64_t tables(struct rig *g, unsigned int n)
{
	uint64_t root = page(g);

	pasid_set(g, 0, 0, PT_FS, 5, root);
	pasid_set(g, 0, 3, PT_FS, 5, root);
	for (unsigned int i = 0; i < n; i++)
		fs_map(g, root, 0x5000 + 0x1000ULL * i, 1, 0,
		       (RAM + 0x1000ULL * i) | FS_PAGE);
	return root;
}

static void a_request_fills_the_device_tlb(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	tables(&g, 4);
	assert_int_equal(ask(&g, 0, RID, 0x5000, MODEL_WRITE, 0x3000, &t), 0);
	assert_int_equal(t.pa, RAM);
	assert_false(t.hit);
	assert_true(t.read && t.write && !t.exec);
	assert_int_equal(ask(&g, 0, RID, 0x7000, 0, 1, &t), 0);
	assert_true(t.hit);
	assert_int_equal(t.pa, RAM + 0x2000);
	assert_int_equal(ask(&g, 0, RID, 0x8000, 0, 1, &t), 0);
	assert_false(t.hit);
	/* with a PASID it is another entry */
	assert_int_equal(ask(&g, 0, 3, 0x5000, 0, 1, &t), 0);
	assert_false(t.hit);
	/* what it leads to, the device then uses as it is */
	t = look(&g, 0, RID, RAM + 8, MODEL_TRANSLATED | MODEL_WRITE);
	assert_int_equal(t.result, MODEL_OK);
	assert_int_equal(t.pa, RAM + 8);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

static void reading_does_not_make_a_page_dirty(void **state)
{
	struct model_translation t;
	uint64_t root, slot;
	struct vtd_id id;
	struct rig g;

	(void)state;
	for (int nwfs = 0; nwfs < 2; nwfs++) {
		vtd_model_default_id(&id);
		if (!nwfs)
			id.ecap &= ~(1ULL << 33);
		rig_up_as(&g, IOTLB_HOSTILE, &id);
		root = tables(&g, 1);
		slot = slot_of(&g, root, 0x5000, 1, 0, 0);
		put(&g, slot, RAM | FS_CLEAN);
		assert_int_equal(ask(&g, 0, RID, 0x5000, 0, 1, &t), 0);
		assert_int_equal(t.write, !nwfs);
		assert_int_equal(*at(&g, slot) & 0x40, nwfs ? 0 : 0x40);
		assert_int_equal(ask(&g, 0, RID, 0x5000, MODEL_WRITE, 1, &t),
				 0);
		assert_true(t.write);
		assert_int_equal(*at(&g, slot) & 0x40, 0x40);
		rig_down(&g);
	}
}

static void what_may_not_be_is_answered_or_refused(void **state)
{
	struct model_translation t;
	struct fault f;
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = tables(&g, 1);
	/* read-only: what there is */
	fs_map(&g, root, 0x9000, 1, 0, RAM | FS_RO);
	assert_int_equal(ask(&g, 0, RID, 0x9000, MODEL_WRITE, 1, &t), 0);
	assert_true(t.read && !t.write);
	/* success with neither: nobody is told */
	assert_int_equal(ask(&g, 0, RID, 0xa000, 0, 1, &t), -EIO);
	assert_int_equal(t.event, 0x71);
	assert_int_equal(ask(&g, 0, 4, 0xa000, 0, 1, &t), -EIO);
	assert_int_equal(t.event, 0x59);
	assert_int_equal(ask(&g, 0, 3, 0x5000, MODEL_PRIV, 1, &t), -EIO);
	assert_int_equal(t.event, 0x5d);
	assert_int_equal(ask(&g, 0, RID, 0xfee00000, 0, 1, &t), -EIO);
	assert_int_equal(t.event, 0);
	assert_false(fault_take(&g, 0, &f));
	/* refused, and recorded as a translation request */
	put(&g, pasid_at(&g, 0, 3) + 24, 1);
	desc(&g, PC_ALL, 0);
	assert_int_equal(ask(&g, 0, 3, 0x5000, 0, 1, &t), -EIO);
	assert_int_equal(t.event, 0x5a);
	assert_true(fault_take(&g, 0, &f));
	assert_int_equal(f.reason, 0x5a);
	assert_int_equal(f.at, 1);
	put(&g, g.context[0], g.dir[0] | 0x9); /* DTE, PRE */
	desc(&g, CC_ALL, 0);
	assert_int_equal(ask(&g, 0, RID, 0x5000, 0, 1, &t), -EIO);
	assert_true(fault_take(&g, 1, &f));
	assert_int_equal(f.reason, 0x44);
	assert_int_equal(look(&g, 0, RID, RAM, MODEL_TRANSLATED).event, 0x44);
	assert_true(fault_take(&g, 2, &f));
	assert_int_equal(f.at, 2);
	rig_down(&g);
}

static void pass_through_comes_in_the_largest_pages_there_are(void **state)
{
	static const struct {
		uint64_t cap_off;
		uint64_t ecap_off;
		uint8_t size_lg2;
	} units[] = {
		{ 0, 0, 30 },
		{ 1ULL << 56, 0, 30 }, /* FS1GP: the second stage has it */
		{ 1ULL << 35, 0, 30 }, /* SSLPS: and the first */
		{ 1ULL << 56 | 1ULL << 35, 0, 21 },
		{ 1ULL << 56 | 3ULL << 34, 0, 21 }, /* the first has 2M */
		/* FS5LP; FSTS, NEST, EAFS */
		{ 1ULL << 56 | 1ULL << 60 | 3ULL << 34,
		  1ULL << 47 | 1ULL << 26 | 1ULL << 34, 12 },
	};
	struct model_translation t;
	struct vtd_id id;
	struct rig g;

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		vtd_model_default_id(&id);
		id.cap &= ~units[i].cap_off;
		id.ecap &= ~units[i].ecap_off;
		rig_up_as(&g, IOTLB_HOSTILE, &id);
		pasid_set(&g, 0, 0, PT_PASS, 5, 0);
		assert_int_equal(ask(&g, 0, RID, RAM, MODEL_WRITE, 1, &t), 0);
		assert_int_equal(t.size_lg2, units[i].size_lg2);
		assert_int_equal(t.pa, RAM);
		/* 1G has the interrupts' addresses in it, 2M only there */
		assert_int_equal(ask(&g, 0, RID, 0xc0000000, 0, 1, &t), 0);
		assert_int_equal(t.size_lg2, units[i].size_lg2 > 12 ? 21 : 12);
		assert_int_equal(ask(&g, 0, RID, 0xfef00000, 0, 1, &t), 0);
		assert_int_equal(t.size_lg2, 12);
		rig_down(&g);
	}
}

/* S.1 and S.2 of table 30 */
static void messages_are_answered_untranslated_only(void **state)
{
	const uint64_t msi = 0xfee12344;
	struct model_translation t;
	struct vtd_id id;
	struct fault f;
	struct rig g;

	(void)state;
	for (int nwfs = 0; nwfs < 2; nwfs++) {
		vtd_model_default_id(&id);
		if (!nwfs)
			id.ecap &= ~(1ULL << 33);
		rig_up_as(&g, IOTLB_HOSTILE, &id);
		tables(&g, 1);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(
				ask(&g, 0, RID, msi, MODEL_WRITE, 1, &t), 0);
			assert_true(t.untranslated && t.write);
			assert_false(t.read || t.exec);
			assert_int_equal(t.size_lg2, 12);
			assert_int_equal(t.hit, again);
			assert_false(t.stale);
		}
		/* NW: neither; it is not looked at without NWFS */
		assert_int_equal(ask(&g, 0, RID, msi, 0, 1, &t),
				 nwfs ? -EIO : 0);
		assert_false(t.read);
		assert_int_equal(t.write, !nwfs);
		assert_int_equal(t.event, 0);
		assert_int_equal(
			ask(&g, 0, RID, 0xfeefffff, MODEL_WRITE, 1, &t), 0);
		assert_true(t.untranslated);
		/* beside it, and with a PASID, it is an address as any other */
		assert_int_equal(
			ask(&g, 0, RID, 0xfedfffff, MODEL_WRITE, 1, &t), -EIO);
		assert_int_equal(t.event, 0x71);
		assert_int_equal(
			ask(&g, 0, RID, 0xfef00000, MODEL_WRITE, 1, &t), -EIO);
		assert_int_equal(ask(&g, 0, 3, msi, MODEL_WRITE, 1, &t), -EIO);
		assert_int_equal(t.event, 0x71);
		assert_int_equal(ask(&g, 0, RID, 0x5000, MODEL_WRITE, 1, &t),
				 0);
		assert_false(t.untranslated);
		assert_false(fault_take(&g, 0, &f));
		rig_down(&g);
	}
}

static void a_device_without_ats_is_not_answered_of_messages(void **state)
{
	struct model_translation t;
	struct fault f;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	put(&g, g.context[0], g.dir[0] | 0x9); /* no DTE */
	assert_int_equal(ask(&g, 0, RID, 0xfee00000, MODEL_WRITE, 1, &t), -EIO);
	assert_int_equal(t.event, 0x44);
	assert_true(fault_take(&g, 0, &f));
	assert_int_equal(f.reason, 0x44);
	rig_down(&g);
}

static void translated_requests_have_host_addresses(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	assert_int_equal(look(&g, 0, RID, 1ULL << 48, MODEL_TRANSLATED).event,
			 0x83);
	assert_int_equal(
		look(&g, 0, RID, 0xfee00000, MODEL_TRANSLATED | MODEL_WRITE)
			.event,
		0x87);
	rig_down(&g);
}

static bool held(struct rig *g, uint32_t pasid, uint64_t iova)
{
	struct model_translation t;

	assert_int_equal(ask(g, 0, pasid, iova, MODEL_QUIET, 1, &t), 0);
	return t.hit;
}

static void device_descriptors_reach_their_range_only(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	tables(&g, 16);
	ask(&g, 0, RID, 0x5000, 0, 0x10000, &t);
	ask(&g, 0, 3, 0x5000, 0, 0x10000, &t);
	assert_true(held(&g, RID, 0x5000) && held(&g, 3, 0x14000));
	desc(&g, DEV_TLB | SRC(SID1), 0x5000); /* another device */
	assert_true(held(&g, RID, 0x5000));
	desc(&g, DEV_TLB | SRC(SID0), 0x5000);
	assert_false(held(&g, RID, 0x5000));
	assert_true(held(&g, RID, 0x6000) && held(&g, 3, 0x5000));
	/* S, bit 12 clear: 8 KiB; bit 12 set and 13 clear: 16 KiB */
	desc(&g, DEV_TLB | SRC(SID0), 0x6001);
	assert_false(held(&g, RID, 0x6000) || held(&g, RID, 0x7000));
	assert_true(held(&g, RID, 0x8000));
	desc(&g, DEV_TLB | SRC(SID0), 0x9001);
	assert_false(held(&g, RID, 0x8000) || held(&g, RID, 0xb000));
	assert_true(held(&g, RID, 0xc000));
	/* a PASID's, at S in bit 11; then of all PASIDs */
	desc(&g, PDEV_TLB | DID(SID0) | PASID(4), 0x7ffffffffffff800);
	assert_true(held(&g, 3, 0x5000));
	desc(&g, PDEV_TLB | DID(SID0) | PASID(3), 0x5000);
	assert_false(held(&g, 3, 0x5000));
	assert_true(held(&g, 3, 0x6000) && held(&g, RID, 0xc000));
	desc(&g, PDEV_TLB | DID(SID0) | PASID(9), 0x7ffffffffffff801);
	assert_false(held(&g, 3, 0x6000));
	assert_true(held(&g, RID, 0xc000));
	desc(&g, DEV_TLB | SRC(SID0), 0x7ffffffffffff001);
	assert_false(held(&g, RID, 0xc000));
	rig_down(&g);
}

static void stale_device_entries_are_told(void **state)
{
	struct model_translation t;
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = tables(&g, 1);
	ask(&g, 0, 3, 0x5000, 0, 1, &t);
	fs_map(&g, root, 0x5000, 1, 0, (RAM + 0x1000) | FS_PAGE);
	desc(&g, P_PAGE | DID(5) | PASID(3), 0x5000);
	desc(&g, DEV_TLB | SRC(SID0), 0x5000);
	assert_int_equal(ask(&g, 0, 3, 0x5000, 0, 1, &t), 0);
	assert_true(t.stale);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "device TLB entry of source-id 0x108"));
	assert_non_null(strstr(g.why, "it names no PASID, cached with one"));
	desc(&g, PDEV_TLB | DID(SID0) | PASID(3), 0x5000);
	assert_int_equal(ask(&g, 0, 3, 0x5000, 0, 1, &t), 0);
	assert_false(t.stale);
	assert_int_equal(t.pa, RAM + 0x1000);
	rig_down(&g);
}

/* ---- no answer ---- */

static void silence(struct rig *g, uint32_t sid, enum inject_kind kind)
{
	const struct inject_fault fault = {
		.kind = kind,
		.opcode = INJECT_ANY,
		.stream_id = sid,
		.probability = 1,
		.count = 1,
	};

	assert_int_equal(g->model->ops->inject(g->model, &fault), 0);
}

static void a_device_that_does_not_answer_aborts_the_wait(void **state)
{
	struct rig g;
	uint32_t wait;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	silence(&g, SID1, INJECT_ATC_TIMEOUT);
	desc_put(&g, DEV_TLB | SRC(SID0), 0x5000);
	desc_put(&g, 0x25 | 1ULL << 32, STATUS + 16);
	desc_put(&g, DEV_TLB | SRC(SID1), 0x5000);
	desc_put(&g, IOTLB_ALL, 0);
	wait = g.tail;
	wait_put(&g);
	doorbell(&g);
	assert_int_equal(*at(&g, STATUS + 16), 1);
	assert_false(waited(&g));
	assert_int_equal(reg_get(&g, REG_IQH, 8), wait);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x40, 0x40);
	assert_int_equal(reg_get(&g, REG_IQERCD, 8) >> 32 & 0xffff, SID1);
	assert_int_equal(g.irqs[0], 1);
	/* tail writes while it is set are accepted, nothing is fetched */
	wait_put(&g);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_IQH, 8), wait);
	reg_set(&g, REG_FSTS, 4, 0x40);
	assert_int_equal(reg_get(&g, REG_IQH, 8), g.tail);
	assert_true(waited(&g));
	rig_down(&g);
}

static void an_answer_that_makes_no_sense_stops_nothing(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	silence(&g, SID1, INJECT_ATC_BAD);
	desc(&g, DEV_TLB | SRC(SID0), 0x5000);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x20, 0);
	desc(&g, DEV_TLB | SRC(SID1), 0x5000);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x20, 0x20);
	assert_int_equal(reg_get(&g, REG_IQERCD, 8) >> 48, SID1);
	assert_int_equal(g.irqs[0], 1);
	reg_set(&g, REG_FSTS, 4, 0x20);
	desc(&g, DEV_TLB | SRC(SID1), 0x5000);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x20, 0);
	rig_down(&g);
}

static void a_slow_wait_is_late_but_complete(void **state)
{
	struct rig g;

	(void)state;
	for (int n = 0; n < 2; n++) {
		struct inject_fault fault = {
			.kind = n ? INJECT_SLOW_SYNC : INJECT_ATC_LATE,
			.opcode = INJECT_ANY,
			.stream_id = INJECT_ANY,
			.probability = 1,
			.delay_us = 3000,
		};
		uint64_t from;

		rig_up(&g, IOTLB_FAST);
		assert_int_equal(g.model->ops->inject(g.model, &fault), 0);
		from = inject_deadline(3000);
		desc(&g, DEV_TLB | SRC(SID0), 0x5000);
		assert_true(inject_deadline(0) >= from);
		rig_down(&g);
	}
}

static void without_a_wait_it_is_told_at_once(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	silence(&g, SID0, INJECT_ATC_TIMEOUT);
	desc_put(&g, DEV_TLB | SRC(SID0), 0x5000);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x40, 0x40);
	assert_int_equal(reg_get(&g, REG_IQH, 8), g.tail);
	reg_set(&g, REG_FSTS, 4, 0x40);
	desc(&g, IOTLB_ALL, 0);
	rig_down(&g);
}

static void a_device_that_is_gone_comes_back_by_reset(void **state)
{
	char buf[8];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	assert_int_equal(dma(&g, 0, RID, 0x5000, 0, buf, 8), 0);
	silence(&g, SID0, INJECT_GONE);
	desc_put(&g, DEV_TLB | SRC(SID0), 0x5000);
	wait_put(&g);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x40, 0x40);
	reg_set(&g, REG_FSTS, 4, 0x40);
	assert_true(waited(&g));
	assert_int_equal(dma(&g, 0, RID, 0x5000, 0, buf, 8), -ENODEV);
	g.model->ops->port_reset(g.port[0]);
	assert_int_equal(dma(&g, 0, RID, 0x5000, 0, buf, 8), 0);
	desc(&g, DEV_TLB | SRC(SID0), 0x5000);
	rig_down(&g);
}

/* ---- page requests ---- */

static int request(struct rig *g, uint32_t pasid, uint64_t iova, uint32_t flags,
		   uint16_t group)
{
	const struct model_page_request r = {
		.iova = iova,
		.pasid = pasid,
		.flags = flags,
		.group = group,
	};

	return g->model->ops->page_request(g->port[0], &r);
}

#define RW_LAST (MODEL_PAGE_READ | MODEL_PAGE_WRITE | MODEL_PAGE_LAST)

static void a_page_request_is_queued_and_answered(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	reg_set(&g, 0xe0, 4, 0); /* PECTL */
	assert_int_equal(request(&g, 3, 0x123456789abc, RW_LAST, 0x1f), 0);
	assert_int_equal(g.answers, 0);
	assert_int_equal(reg_get(&g, REG_PQT, 8), 0x20);
	assert_int_equal(at(&g, PRQ)[0], 0x0000000301080101ULL);
	assert_int_equal(at(&g, PRQ)[1],
			 0x12345678900fULL | 0x9000ULL | 0x1fULL << 3);
	assert_int_equal(g.irqs[2], 1);
	assert_int_equal(request(&g, RID, 0x1000, MODEL_PAGE_READ, 1), 0);
	assert_int_equal(at(&g, PRQ)[4], 0x0000000001080001ULL);
	assert_int_equal(at(&g, PRQ)[5], 0x1009ULL);
	/* PGRP: PP, response code 1 */
	desc(&g, 0x19 | 1ULL << 12 | DID(SID0) | PASID(3), 0x1f << 3);
	assert_int_equal(g.answers, 1);
	assert_int_equal(g.answer.group, 0x1f);
	assert_int_equal(g.answer.pasid, 3);
	assert_int_equal(g.answer.code, MODEL_PAGE_INVALID);
	rig_down(&g);
}

static void page_requests_that_cannot_be_are_answered_invalid(void **state)
{
	struct fault f;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	assert_int_equal(request(&g, 9, 0x1000, RW_LAST, 2), 0);
	assert_int_equal(g.answers, 1);
	assert_int_equal(g.answer.code, MODEL_PAGE_INVALID);
	assert_true(fault_take(&g, 0, &f));
	assert_int_equal(f.reason, 0x59);
	assert_int_equal(f.type, 1);
	/* not the last of its group, and a marker: no answer */
	assert_int_equal(request(&g, 9, 0x1000, MODEL_PAGE_READ, 2), 0);
	assert_int_equal(request(&g, 9, 0x1000, MODEL_PAGE_LAST, 2), 0);
	assert_int_equal(g.answers, 1);
	assert_true(fault_take(&g, 1, &f));    /* both, merged */
	put(&g, g.context[0], g.dir[0] | 0xd); /* no PRE */
	desc(&g, CC_ALL, 0);
	assert_int_equal(request(&g, 3, 0x1000, RW_LAST, 2), 0);
	assert_int_equal(g.answers, 2);
	assert_true(fault_take(&g, 2, &f));
	assert_int_equal(f.reason, 0x47);
	assert_int_equal(reg_get(&g, REG_PQT, 8), 0);
	rig_down(&g);
}

/* SGN.10 is of others; what such a page request finds, they do not find. */
static void a_page_request_may_exceed_pss(void **state)
{
	struct vtd_id id;
	struct fault f;
	struct rig g;

	(void)state;
	for (int policy = 0; policy < 2; policy++) {
		vtd_model_default_id(&id);
		id.ecap &= ~(0x1fULL << 35);
		id.ecap |= 7ULL << 35; /* 8 bits */
		rig_up_as(&g, policy ? IOTLB_HOSTILE : IOTLB_FAST, &id);
		pasid_set(&g, 0, 0x100, PT_FS, 5, tables(&g, 1));
		assert_int_equal(look(&g, 0, 0x100, 0x5000, 0).event, 0x89);
		assert_true(fault_take(&g, 0, &f));
		assert_int_equal(request(&g, 0x100, 0x5000, RW_LAST, 2), 0);
		assert_int_equal(g.answers, 0);
		assert_int_equal(reg_get(&g, REG_PQT, 8), 0x20);
		assert_int_equal(at(&g, PRQ)[0] >> 32, 0x100);
		assert_false(fault_take(&g, 1, &f));
		assert_int_equal(look(&g, 0, 0x100, 0x5000, 0).event, 0x89);
		assert_true(fault_take(&g, 1, &f));
		assert_int_equal(f.reason, 0x89);
		assert_int_equal(request(&g, 0x101, 0x5000, RW_LAST, 2), 0);
		assert_int_equal(g.answer.code, MODEL_PAGE_INVALID);
		assert_true(fault_take(&g, 2, &f));
		assert_int_equal(f.reason, 0x59);
		rig_down(&g);
	}
}

static void a_full_queue_answers_success(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	tables(&g, 1);
	for (unsigned int n = 0; n < 127; n++)
		assert_int_equal(request(&g, 3, 0x5000, RW_LAST, 1), 0);
	assert_int_equal(g.answers, 0);
	assert_int_equal(request(&g, 3, 0x5000, RW_LAST, 7), 0);
	assert_int_equal(g.answers, 1);
	assert_int_equal(g.answer.code, MODEL_PAGE_SUCCESS);
	assert_int_equal(g.answer.group, 7);
	assert_int_equal(reg_get(&g, REG_PRS, 4) & 2, 2);
	rig_down(&g);
}

static void a_page_request_removes_what_is_cached_of_its_page(void **state)
{
	struct rig g;
	uint64_t root, ss;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = tables(&g, 2);
	fs_map(&g, root, 0x5000, 1, 0, RAM | FS_RO);
	assert_int_equal(look(&g, 0, 3, 0x5000, 0).result, MODEL_OK);
	assert_int_equal(look(&g, 0, 3, 0x6000, 0).result, MODEL_OK);
	fs_map(&g, root, 0x5000, 1, 0, RAM | FS_PAGE);
	assert_int_equal(look(&g, 0, 3, 0x5000, MODEL_WRITE).event, 0x85);
	assert_int_equal(g.stales, 1);
	assert_int_equal(request(&g, 3, 0x5000, RW_LAST, 1), 0);
	assert_int_equal(look(&g, 0, 3, 0x5000, MODEL_WRITE).result, MODEL_OK);
	assert_true(see(&g, 3, 0x6000).hit);
	/* nested: the whole domain */
	ss = ss_ram(&g);
	root = page(&g);
	for (uint64_t a = 0x5000; a < 0x8000; a += 0x1000)
		fs_map(&g, root, a, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	pasid_set(&g, 0, 4, PT_NESTED | ss, 6, root + DELTA);
	assert_int_equal(see(&g, 4, 0x5000).result, MODEL_OK);
	assert_true(see(&g, 4, 0x5000).hit);
	assert_int_equal(request(&g, 4, 0x7000, RW_LAST, 1), 0);
	assert_false(see(&g, 4, 0x5000).hit);
	assert_true(see(&g, 3, 0x6000).hit);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/*
 * Table 27: of a nested page the domain goes, what is of the second stage alone
 * at other addresses too; of a second-stage page only that page.
 */
static void a_page_request_of_a_nested_page_removes_its_domain(void **state)
{
	const uint64_t far = RAM + DELTA + 0x9000;
	struct rig g;
	uint64_t root, ss;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	ss = ss_ram(&g);
	root = page(&g);
	fs_map(&g, root, 0x7000, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	pasid_set(&g, 0, 4, PT_NESTED | ss, 6, root + DELTA);
	pasid_set(&g, 0, 5, PT_SS | ss, 6, 0);
	pasid_set(&g, 0, 6, PT_SS | ss, 7, 0);
	for (uint32_t pasid = 5; pasid < 7; pasid++) {
		assert_int_equal(see(&g, pasid, far).result, MODEL_OK);
		assert_true(see(&g, pasid, far).hit);
	}
	assert_int_equal(request(&g, 5, RAM + DELTA + 0x600000, RW_LAST, 1), 0);
	assert_true(see(&g, 5, far).hit);
	assert_int_equal(request(&g, 4, 0x7000, RW_LAST, 1), 0);
	assert_false(see(&g, 5, far).hit);
	assert_true(see(&g, 6, far).hit);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_fills_the_device_tlb),
		cmocka_unit_test(reading_does_not_make_a_page_dirty),
		cmocka_unit_test(what_may_not_be_is_answered_or_refused),
		cmocka_unit_test(
			pass_through_comes_in_the_largest_pages_there_are),
		cmocka_unit_test(messages_are_answered_untranslated_only),
		cmocka_unit_test(
			a_device_without_ats_is_not_answered_of_messages),
		cmocka_unit_test(translated_requests_have_host_addresses),
		cmocka_unit_test(device_descriptors_reach_their_range_only),
		cmocka_unit_test(stale_device_entries_are_told),
		cmocka_unit_test(a_device_that_does_not_answer_aborts_the_wait),
		cmocka_unit_test(an_answer_that_makes_no_sense_stops_nothing),
		cmocka_unit_test(a_slow_wait_is_late_but_complete),
		cmocka_unit_test(without_a_wait_it_is_told_at_once),
		cmocka_unit_test(a_device_that_is_gone_comes_back_by_reset),
		cmocka_unit_test(a_page_request_is_queued_and_answered),
		cmocka_unit_test(
			page_requests_that_cannot_be_are_answered_invalid),
		cmocka_unit_test(a_page_request_may_exceed_pss),
		cmocka_unit_test(a_full_queue_answers_success),
		cmocka_unit_test(
			a_page_request_removes_what_is_cached_of_its_page),
		cmocka_unit_test(
			a_page_request_of_a_nested_page_removes_its_domain),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
