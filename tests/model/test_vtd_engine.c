// SPDX-License-Identifier: MIT
/* The VT-d model as a whole: modes, caches, faults, waits, errors. */
#include "vtd_rig.h"

/* First stage alone under RID_PASID 0, domain id 5 */
static uint64_t first_stage(struct rig *g, uint32_t pasid)
{
	uint64_t root = page(g);

	pasid_set(g, 0, pasid, PT_FS, 5, root);
	return root;
}

static void without_te_nothing_is_translated(void **state)
{
	struct rig g;
	struct model_translation t;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_FAST, NULL), 0);
	t = see(&g, RID, RAM + 0x1234);
	assert_int_equal(t.result, MODEL_OK);
	assert_true(t.bypass);
	assert_int_equal(t.pa, RAM + 0x1234);
	t = look(&g, 0, RID, RAM, MODEL_TRANSLATED);
	assert_int_equal(t.result, MODEL_ABORTED);
	assert_int_equal(t.event, 0);
	rig_down(&g);
}

static void misses_then_hits(void **state)
{
	struct rig g;
	struct model_translation t;
	struct model_stats stats;
	uint64_t root, data;
	char buf[16] = "0123456789abcde";
	char back[16];

	(void)state;
	for (int policy = 0; policy < 2; policy++) {
		rig_up(&g, policy ? IOTLB_HOSTILE : IOTLB_FAST);
		root = first_stage(&g, 0);
		data = page(&g);
		fs_map(&g, root, 0x7000, 1, 0, data | FS_PAGE);
		t = see(&g, RID, 0x7123);
		assert_int_equal(t.result, MODEL_OK);
		assert_int_equal(t.pa, data + 0x123);
		assert_false(t.hit);
		t = see(&g, RID, 0x7ff0);
		assert_true(t.hit);
		assert_int_equal(t.pa, data + 0xff0);
		assert_true(t.read && t.write);
		assert_int_equal(dma(&g, 0, RID, 0x7100, MODEL_WRITE, buf, 16),
				 0);
		assert_int_equal(dma(&g, 0, RID, 0x7100, 0, back, 16), 0);
		assert_memory_equal(buf, back, 16);
		g.model->ops->stats(g.model, &stats);
		assert_int_equal(stats.hits, 3);
		assert_int_equal(stats.misses, 1);
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

static void nested_translations_hit_as_well(void **state)
{
	struct rig g;
	struct model_translation t;
	uint64_t ss, fs, data;

	(void)state;
	for (int policy = 0; policy < 2; policy++) {
		rig_up(&g, policy ? IOTLB_HOSTILE : IOTLB_FAST);
		ss = ss_ram(&g);
		fs = page(&g);
		pasid_set(&g, 0, 9, PT_NESTED | ss, 6, fs + DELTA);
		for (uint64_t n = 0; n < 64; n++) {
			data = page(&g);
			*at(&g, data) = n;
			fs_map(&g, fs, 0x7f0000000000 + 0x1000 * n, 1, DELTA,
			       (data + DELTA) | FS_PAGE);
		}
		for (int again = 0; again < 2; again++) {
			for (uint64_t n = 0; n < 64; n++) {
				uint64_t word = ~0ULL;

				t = see(&g, 9, 0x7f0000000000 + 0x1000 * n);
				assert_int_equal(t.result, MODEL_OK);
				assert_int_equal(t.hit, again);
				assert_int_equal(
					dma(&g, 0, 9,
					    0x7f0000000000 + 0x1000 * n, 0,
					    &word, 8),
					0);
				assert_int_equal(word, n);
			}
		}
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

static void pass_through_is_not_translated_but_checked(void **state)
{
	struct rig g;
	struct model_translation t;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	pasid_set(&g, 0, 0, PT_PASS, 5, 0);
	t = see(&g, RID, RAM + 0x42);
	assert_int_equal(t.result, MODEL_OK);
	assert_true(t.bypass);
	assert_int_equal(t.pa, RAM + 0x42);
	t = see(&g, RID, 1ULL << 48);
	assert_int_equal(t.event, 0x83);
	pasid_set(&g, 0, 4, PT_PASS, 5, 0);
	t = see(&g, 4, 0xfee00000);
	assert_int_equal(t.event, 0x87);
	rig_down(&g);
}

static void the_interrupt_range_is_no_memory(void **state)
{
	struct rig g;
	struct model_translation t;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = first_stage(&g, 0);
	/* 2 MiB that begin with it, to somewhere */
	fs_map(&g, root, 0xfee00000, 2, 0, RAM | FS_BLOCK);
	t = see(&g, RID, 0xfef00000);
	assert_int_equal(t.pa, RAM + 0x100000);
	t = look(&g, 0, RID, 0xfee01000, MODEL_WRITE);
	assert_int_equal(t.result, MODEL_OK);
	assert_true(t.bypass);
	assert_int_equal(t.pa, 0xfee01000);
	t = see(&g, RID, 0xfee01000);
	assert_int_equal(t.event, 0x29);
	t = see(&g, RID, 0xfef00000);
	assert_true(t.hit);
	/* with a PASID it is an address like any other */
	pasid_set(&g, 0, 3, PT_FS, 5, root);
	t = see(&g, 3, 0xfee01000);
	assert_int_equal(t.pa, RAM + 0x1000);
	/* and as an output none at all, on a hit neither */
	fs_map(&g, root, 0x200000, 2, 0, 0xfee00000 | FS_BLOCK);
	t = see(&g, RID, 0x300000);
	assert_int_equal(t.result, MODEL_OK);
	t = see(&g, RID, 0x200000);
	assert_int_equal(t.event, 0x87);
	rig_down(&g);
}

static void faults_are_recorded(void **state)
{
	struct rig g;
	struct fault f = { 0 };
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = first_stage(&g, 0x41);
	(void)root;
	assert_int_equal(look(&g, 0, 0x41, 0x123456789abc, MODEL_WRITE).event,
			 0x71);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x2, 2);
	assert_int_equal(g.irqs[0], 1);
	assert_int_equal(*(uint32_t *)at(&g, MSI), 0x77);
	assert_true(fault_take(&g, 0, &f));
	assert_int_equal(f.reason, 0x71);
	assert_int_equal(f.type, 0);
	assert_int_equal(f.sid, SID0);
	assert_true(f.pv);
	assert_int_equal(f.pasid, 0x41);
	assert_int_equal(f.addr, 0x123456789000);
	assert_int_equal(f.at, 0);
	assert_int_equal(look(&g, 1, RID, 0x5000, 0).event, 0x51);
	assert_true(fault_take(&g, 1, &f));
	assert_int_equal(f.sid, SID1);
	assert_int_equal(f.type, 2);
	assert_false(f.pv);
	/* a look records nothing, and neither does FPD */
	assert_int_equal(look(&g, 1, RID, 0x5000, MODEL_QUIET).event, 0x51);
	assert_false(fault_take(&g, 2, &f));
	put(&g, g.dir[1], 2);
	assert_int_equal(look(&g, 1, RID, 0x5000, 0).event, 0);
	assert_false(fault_take(&g, 2, &f));
	rig_down(&g);
}

static void privilege_is_of_requests_with_a_pasid(void **state)
{
	struct rig g;
	uint64_t root, data;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = page(&g);
	data = page(&g);
	pasid_set(&g, 0, 7, PT_FS, 5, root | PT2_SRE);
	pasid_set(&g, 0, 8, PT_FS, 5, root);
	fs_map(&g, root, 0x1000, 1, 0, data | (FS_PAGE & ~4ULL));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(look(&g, 0, 7, 0x1000, MODEL_PRIV).result,
				 MODEL_OK);
		assert_int_equal(look(&g, 0, 7, 0x1000, 0).event, 0x81);
		assert_int_equal(look(&g, 0, 8, 0x1000, MODEL_PRIV).event,
				 0x5d);
		assert_int_equal(look(&g, 0, 7, 0x1000, MODEL_EXEC).event,
				 0x5c);
	}
	/* RID_PASID 7, RID_PRIV */
	put(&g, g.context[0] + 8, 0x100007);
	desc(&g, CC_ALL, 0);
	assert_int_equal(look(&g, 0, RID, 0x1000, 0).result, MODEL_OK);
	rig_down(&g);
}

static void supervisors_write_read_only_pages_without_wpe(void **state)
{
	struct rig g;
	uint64_t root, data;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = page(&g);
	data = page(&g);
	/* both share domain id and PASID, and so what is cached */
	pasid_set(&g, 0, 7, PT_FS, 5, root | PT2_SRE);
	pasid_set(&g, 1, 7, PT_FS, 5, root | PT2_SRE | PT2_WPE);
	fs_map(&g, root, 0x1000, 1, 0, data | FS_RO);
	for (int again = 0; again < 2; again++) {
		uint32_t w = MODEL_PRIV | MODEL_WRITE;

		assert_int_equal(look(&g, 0, 7, 0x1000, w).result, MODEL_OK);
		assert_int_equal(look(&g, 1, 7, 0x1000, w).event, 0x85);
		assert_int_equal(look(&g, 0, 7, 0x1000, MODEL_WRITE).event,
				 0x85);
	}
	rig_down(&g);
}

static void a_write_to_a_clean_page_makes_it_dirty(void **state)
{
	struct rig g;
	uint64_t root, data, slot;

	(void)state;
	for (int policy = 0; policy < 2; policy++) {
		rig_up(&g, policy ? IOTLB_HOSTILE : IOTLB_FAST);
		root = first_stage(&g, 0);
		data = page(&g);
		fs_map(&g, root, 0x1000, 1, 0, data | FS_CLEAN);
		slot = slot_of(&g, root, 0x1000, 1, 0, 0);
		assert_int_equal(see(&g, RID, 0x1000).result, MODEL_OK);
		assert_int_equal(*at(&g, slot), data | FS_CLEAN);
		assert_true(see(&g, RID, 0x1000).hit);
		assert_false(look(&g, 0, RID, 0x1000, MODEL_WRITE).hit);
		assert_int_equal(*at(&g, slot), data | FS_PAGE);
		assert_true(look(&g, 0, RID, 0x1000, MODEL_WRITE).hit);
		rig_down(&g);
	}
}

static void dirty_tracking_finds_what_was_written(void **state)
{
	struct rig g;
	uint64_t ss, slot;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	ss = page(&g);
	ss_map(&g, ss, 0x1000, 1, RAM | SS_PAGE);
	slot = slot_of(&g, ss, 0x1000, 1, 0, 0);
	pasid_set(&g, 0, 0, PT_SS | PT_SSADE | ss, 5, 0);
	assert_int_equal(see(&g, RID, 0x1000).result, MODEL_OK);
	assert_int_equal(*at(&g, slot) & 0x300, 0x100);
	assert_int_equal(look(&g, 0, RID, 0x1000, MODEL_WRITE).result,
			 MODEL_OK);
	assert_int_equal(*at(&g, slot) & 0x300, 0x300);
	/* cleared, and invalidated: it is set again */
	put(&g, slot, RAM | SS_PAGE);
	look(&g, 0, RID, 0x1000, MODEL_WRITE);
	assert_int_equal(*at(&g, slot) & 0x300, 0);
	desc(&g, IOTLB_PAGE | DID(5), 0x1000 | IH);
	look(&g, 0, RID, 0x1000, MODEL_WRITE);
	assert_int_equal(*at(&g, slot) & 0x300, 0x300);
	rig_down(&g);
}

static void contexts_and_spaces_are_cached_apart(void **state)
{
	struct rig g;
	uint64_t one, two;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	one = page(&g);
	two = page(&g);
	fs_map(&g, one, 0x1000, 1, 0, RAM | FS_PAGE);
	fs_map(&g, two, 0x1000, 1, 0, (RAM + 0x1000) | FS_PAGE);
	pasid_set(&g, 0, 3, PT_FS, 5, one);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	/* another table, under another domain id */
	pasid_set(&g, 0, 3, PT_FS, 6, two);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "entry of PASID 3, domain id 5"));
	desc(&g, CC_ALL, 0); /* does not reach the PASID cache */
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	assert_int_equal(g.stales, 2);
	assert_non_null(strstr(g.why, "it leaves the PASID cache"));
	desc(&g, PC_PASID | DID(5) | PASID(4), 0);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	desc(&g, PC_PASID | DID(6) | PASID(3), 0);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	assert_int_equal(g.stales, 4);
	assert_non_null(strstr(g.why, "domain id 6, cached with 5"));
	desc(&g, PC_PASID | DID(5) | PASID(3), 0);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM + 0x1000);
	assert_int_equal(g.stales, 4);
	/* the context: it says no more PASIDs */
	put(&g, g.context[0], g.dir[0] | 0x15);
	assert_int_equal(see(&g, 3, 0x1000).result, MODEL_OK);
	assert_int_equal(g.stales, 5);
	assert_non_null(strstr(g.why, "context of source-id 0x108"));
	desc(&g, PC_ALL, 0);
	assert_int_equal(see(&g, 3, 0x1000).result, MODEL_OK);
	assert_int_equal(g.stales, 6);
	desc(&g, CC_DEVICE | SRC(SID1), 0);
	assert_int_equal(see(&g, 3, 0x1000).result, MODEL_OK);
	desc(&g, CC_DEVICE | SRC(SID0), 0);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x45);
	assert_int_equal(g.stales, 7);
	rig_down(&g);
}

static void function_masks_widen_a_context_invalidation(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	pasid_set(&g, 0, 0, PT_PASS, 5, 0);
	assert_int_equal(see(&g, RID, RAM).result, MODEL_OK);
	put(&g, g.context[0], 0);
	assert_int_equal(see(&g, RID, RAM).result, MODEL_OK);
	/* SID1 is the neighbour: one bit less, then all functions */
	desc(&g, CC_DEVICE | SRC(SID1 + 4) | 1ULL << 48, 0);
	assert_int_equal(see(&g, RID, RAM).result, MODEL_OK);
	desc(&g, CC_DEVICE | SRC(SID1 + 4) | 3ULL << 48, 0);
	assert_int_equal(see(&g, RID, RAM).event, 0x41);
	rig_down(&g);
}

static void fast_forgets_spaces_with_their_context(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	pasid_set(&g, 0, 3, PT_PASS, 5, 0);
	assert_int_equal(see(&g, 3, RAM).result, MODEL_OK);
	put(&g, g.context[0], g.dir[0] | 0x15);
	assert_int_equal(see(&g, 3, RAM).result, MODEL_OK);
	desc(&g, CC_DEVICE | SRC(SID0), 0);
	assert_int_equal(see(&g, 3, RAM).event, 0x45);
	rig_down(&g);
}

static void srtp_empties_all_caches_with_esrtps(void **state)
{
	struct vtd_id id;
	struct rig g;
	uint64_t root;

	(void)state;
	for (int esrtps = 0; esrtps < 2; esrtps++) {
		vtd_model_default_id(&id);
		if (!esrtps)
			id.cap &= ~(1ULL << 63);
		rig_up_as(&g, IOTLB_HOSTILE, &id);
		root = first_stage(&g, 0);
		fs_map(&g, root, 0x1000, 1, 0, RAM | FS_PAGE);
		assert_int_equal(see(&g, RID, 0x1000).pa, RAM);
		/* abort mode */
		reg_set(&g, REG_RTADDR, 8, 0xc00);
		reg_set(&g, REG_GCMD, 4, 0xc4000000);
		if (esrtps)
			assert_int_equal(see(&g, RID, 0x1000).event, 0x33);
		else
			assert_int_equal(see(&g, RID, 0x1000).pa, RAM);
		assert_int_equal(g.stales, !esrtps);
		rig_down(&g);
	}
}

static void off_and_on(struct rig *g)
{
	reg_set(g, REG_GCMD, 4, 0x04000000);
	reg_set(g, REG_GCMD, 4, 0x84000000);
}

static void a_scalable_unit_that_is_switched_off_forgets(void **state)
{
	struct rig g;
	uint64_t root;

	(void)state;
	for (int hostile = 0; hostile < 2; hostile++) {
		rig_up(&g, hostile ? IOTLB_HOSTILE : IOTLB_FAST);
		root = first_stage(&g, 0);
		fs_map(&g, root, 0x1000, 1, 0, RAM | FS_PAGE);
		assert_int_equal(see(&g, RID, 0x1000).pa, RAM);
		assert_true(see(&g, RID, 0x1000).hit);
		fs_map(&g, root, 0x1000, 1, 0, (RAM + 0x5000) | FS_PAGE);
		off_and_on(&g);
		assert_int_equal(see(&g, RID, 0x1000).pa, RAM + 0x5000);
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

/* ---- legacy mode ---- */

static void legacy_up(struct rig *g, enum iotlb_policy policy,
		      const struct vtd_id *id, uint64_t *ss)
{
	uint64_t table;

	assert_int_equal(rig_try(g, policy, id), 0);
	table = page(g);
	*ss = page(g);
	put(g, ROOT + 16 * (SID0 >> 8), table | 1);
	g->context[0] = table + 16 * (SID0 & 0xff);
	put(g, g->context[0] + 8, 0x0502); /* DID 5, AW 48 */
	put(g, g->context[0], *ss | 1);
	rig_on(g, ROOT, id && !(id->ecap >> 43 & 1) ? IQ : IQ | 0x800);
}

static void legacy_mode_translates_by_the_second_stage(void **state)
{
	struct rig g;
	struct fault f = { 0 };
	uint64_t ss;

	(void)state;
	legacy_up(&g, IOTLB_HOSTILE, NULL, &ss);
	ss_map(&g, ss, 0x5000, 1, (RAM + 0x3000) | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5008).pa, RAM + 0x3008);
	assert_true(see(&g, RID, 0x5008).hit);
	assert_int_equal(see(&g, RID, 0x6000).event, 0x06);
	assert_true(fault_take(&g, 0, &f));
	assert_int_equal(see(&g, 4, 0x5000).event, 0x31);
	put(&g, slot_of(&g, ss, 0x5000, 1, 0, 0), 0);
	assert_int_equal(see(&g, RID, 0x5000).result, MODEL_OK);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "second-stage translations: domain id "
				      "5, level 1, 0x5000-0x5fff"));
	desc(&g, IOTLB_PAGE | DID(5), 0x5000 | IH);
	assert_int_equal(see(&g, RID, 0x5000).event, 0x06);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/* No such rule where there is no scalable mode. */
static void a_legacy_unit_that_is_switched_off_keeps_what_it_has(void **state)
{
	struct vtd_id id;
	struct rig g;
	uint64_t ss;

	(void)state;
	vtd_model_default_id(&id);
	id.cap &= ~(1ULL << 56 | 1ULL << 60); /* first stage */
	id.ecap &= 0xf47;		      /* C, QI, DT, PT, IRO */
	legacy_up(&g, IOTLB_HOSTILE, &id, &ss);
	ss_map(&g, ss, 0x5000, 1, (RAM + 0x3000) | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM + 0x3000);
	put(&g, slot_of(&g, ss, 0x5000, 1, 0, 0), 0);
	off_and_on(&g);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM + 0x3000);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

static void legacy_contexts_are_tagged_by_domain(void **state)
{
	struct rig g;
	uint64_t ss;

	(void)state;
	legacy_up(&g, IOTLB_HOSTILE, NULL, &ss);
	ss_map(&g, ss, 0x5000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM);
	put(&g, g.context[0], 0);
	desc(&g, CC_DOMAIN | DID(4), 0);
	desc(&g, CC_DEVICE | DID(4) | SRC(SID0), 0);
	desc(&g, CC_DEVICE | DID(5) | SRC(SID1), 0);
	assert_int_equal(see(&g, RID, 0x5000).result, MODEL_OK);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "domain id 4, cached with 5"));
	desc(&g, CC_DEVICE | DID(5) | SRC(SID0), 0);
	assert_int_equal(see(&g, RID, 0x5000).event, 0x02);
	rig_down(&g);
}

static void registers_invalidate_as_descriptors_do(void **state)
{
	struct rig g;
	uint64_t ss;

	(void)state;
	legacy_up(&g, IOTLB_HOSTILE, NULL, &ss);
	reg_set(&g, REG_GCMD, 4, 0x80000000); /* no queue */
	ss_map(&g, ss, 0x5000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM);
	put(&g, slot_of(&g, ss, 0x5000, 1, 0, 0), (RAM + 0x1000) | SS_PAGE);
	reg_set(&g, REG_IVA, 8, 0x6000);
	reg_set(&g, REG_IOTLB, 8, 0xb000000500000000ULL); /* page, DID 5 */
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM);
	reg_set(&g, REG_IVA, 8, 0x5000);
	reg_set(&g, REG_IOTLB, 8, 0xb000000500000000ULL);
	assert_int_equal(reg_get(&g, REG_IOTLB, 8) >> 57 & 3, 3);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM + 0x1000);
	put(&g, g.context[0], 0);
	reg_set(&g, REG_CCMD, 8, 0xa000000000000000ULL); /* global */
	assert_int_equal(see(&g, RID, 0x5000).event, 0x02);
	rig_down(&g);
}

/* ---- caching mode ---- */

static void cm_up(struct rig *g, enum iotlb_policy policy, uint64_t *ss)
{
	struct vtd_id id;

	vtd_model_default_id(&id);
	id.cap |= 0x80;
	legacy_up(g, policy, &id, ss);
}

static void caching_mode_caches_what_is_not_there(void **state)
{
	struct rig g;
	uint64_t ss;

	(void)state;
	cm_up(&g, IOTLB_HOSTILE, &ss);
	ss_map(&g, ss, 0x4000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5000).event, 0x06);
	assert_int_equal(look(&g, 0, RID, 0x5000, MODEL_WRITE).event, 0x05);
	assert_int_equal(g.stales, 0);
	ss_map(&g, ss, 0x5000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, RID, 0x5000).event, 0x06);
	assert_int_equal(g.stales, 1);
	desc(&g, IOTLB_PAGE | DID(5), 0x5000 | IH);
	assert_int_equal(see(&g, RID, 0x5000).pa, RAM);
	assert_int_equal(g.stales, 1);
	/* a new table: IH must not be set */
	assert_int_equal(see(&g, RID, 0x40000000).event, 0x06);
	ss_map(&g, ss, 0x40000000, 1, RAM | SS_PAGE);
	desc(&g, IOTLB_PAGE | DID(5), 0x40000000 | IH);
	assert_int_equal(see(&g, RID, 0x40000000).event, 0x06);
	assert_int_equal(g.stales, 2);
	assert_non_null(strstr(g.why, "IH=1 keeps paging structures"));
	desc(&g, IOTLB_PAGE | DID(5), 0x40000000);
	assert_int_equal(see(&g, RID, 0x40000000).pa, RAM);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

static void caching_mode_caches_rights_that_lack(void **state)
{
	struct rig g;
	uint64_t ss;

	(void)state;
	cm_up(&g, IOTLB_HOSTILE, &ss);
	ss_map(&g, ss, 0x4000, 1, RAM | 1);
	assert_int_equal(look(&g, 0, RID, 0x4000, MODEL_WRITE).event, 0x05);
	assert_true(see(&g, RID, 0x4000).hit); /* reading it is allowed */
	ss_map(&g, ss, 0x4000, 1, RAM | 3);
	assert_int_equal(look(&g, 0, RID, 0x4000, MODEL_WRITE).event, 0x05);
	assert_int_equal(g.stales, 1);
	desc(&g, IOTLB_PAGE | DID(5), 0x4000 | IH);
	assert_int_equal(look(&g, 0, RID, 0x4000, MODEL_WRITE).result,
			 MODEL_OK);
	rig_down(&g);
}

static void caching_mode_caches_contexts_under_domain_0(void **state)
{
	struct rig g;
	uint64_t ss, was;

	(void)state;
	cm_up(&g, IOTLB_HOSTILE, &ss);
	ss_map(&g, ss, 0x4000, 1, RAM | SS_PAGE);
	was = *at(&g, g.context[0]);
	put(&g, g.context[0], 0);
	assert_int_equal(see(&g, RID, 0x4000).event, 0x02);
	put(&g, g.context[0], was);
	assert_int_equal(see(&g, RID, 0x4000).event, 0x02);
	assert_int_equal(g.stales, 1);
	desc(&g, CC_DEVICE | DID(5) | SRC(SID0), 0);
	assert_int_equal(see(&g, RID, 0x4000).event, 0x02);
	assert_int_equal(g.stales, 2);
	desc(&g, CC_DEVICE | DID(0) | SRC(SID0), 0);
	assert_int_equal(see(&g, RID, 0x4000).pa, RAM);
	rig_down(&g);
}

static void caching_mode_caches_pasid_entries_but_no_first_stage(void **state)
{
	struct vtd_id id;
	struct rig g;
	uint64_t root;

	(void)state;
	vtd_model_default_id(&id);
	id.cap |= 0x80;
	rig_up_as(&g, IOTLB_HOSTILE, &id);
	pasid_at(&g, 0, 3);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x59);
	root = first_stage(&g, 3);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x59);
	assert_int_equal(g.stales, 1);
	desc(&g, PC_PASID | DID(5) | PASID(3), 0);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x59);
	assert_int_equal(g.stales, 2);
	assert_non_null(strstr(g.why, "domain id 5, cached with 0"));
	desc(&g, PC_PASID | DID(0) | PASID(3), 0);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x71);
	fs_map(&g, root, 0x1000, 1, 0, RAM | FS_PAGE);
	assert_int_equal(see(&g, 3, 0x1000).pa, RAM);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

static void without_caching_mode_no_fault_is_cached(void **state)
{
	struct rig g;
	uint64_t ss, root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x51);
	pasid_at(&g, 0, 3);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x59);
	root = first_stage(&g, 3);
	assert_int_equal(see(&g, 3, 0x1000).event, 0x71);
	fs_map(&g, root, 0x1000, 1, 0, RAM | FS_RO);
	assert_int_equal(look(&g, 0, 3, 0x1000, MODEL_WRITE).event, 0x85);
	fs_map(&g, root, 0x1000, 1, 0, RAM | FS_PAGE);
	assert_int_equal(look(&g, 0, 3, 0x1000, MODEL_WRITE).result, MODEL_OK);
	ss = page(&g);
	pasid_set(&g, 0, 4, PT_SS | ss, 7, 0);
	assert_int_equal(see(&g, 4, 0x1000).event, 0x79);
	ss_map(&g, ss, 0x1000, 1, RAM | SS_PAGE);
	assert_int_equal(see(&g, 4, 0x1000).pa, RAM);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* ---- the queue ---- */

static void waits_complete_in_their_order(void **state)
{
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	desc_put(&g, IOTLB_ALL, 0);
	desc_put(&g, 0x25 | 1ULL << 32, STATUS + 16);
	desc_put(&g, IEC_ALL, 0);
	desc_put(&g, 0x65 | 2ULL << 32, STATUS + 16); /* fence */
	desc_put(&g, IOTLB_ALL, 0);
	desc_put(&g, 0x25 | 3ULL << 32, STATUS + 24);
	doorbell(&g);
	assert_int_equal(*at(&g, STATUS + 16), 2);
	assert_int_equal(*at(&g, STATUS + 24), 3);
	assert_int_equal(reg_get(&g, REG_IQH, 8), g.tail);
	rig_down(&g);
}

/* Table 26; they stop no wait, and what is reserved in them stays so. */
static void interrupt_entries_are_nothing_without_remapping(void **state)
{
	static const uint64_t entries[] = { 0x04, 0x14, 0x123d18000014,
					    0xfffff8000014 };
	struct vtd_id id;
	struct rig g;
	uint32_t bad;

	(void)state;
	vtd_model_default_id(&id);
	id.ecap &= ~((15ULL << 20) | (1ULL << 4) | (1ULL << 3));
	rig_up_as(&g, IOTLB_FAST, &id);
	assert_int_equal(reg_get(&g, 0x10, 8) >> 3 & 1, 0);
	for (size_t n = 0; n < sizeof(entries) / sizeof(entries[0]); n++)
		desc(&g, entries[n], 0);
	assert_int_equal(reg_get(&g, REG_FSTS, 4), 0);
	bad = g.tail;
	desc_put(&g, 0x24, 0);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_IQH, 8), bad);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x10, 0x10);
	assert_int_equal(reg_get(&g, REG_IQERCD, 8) & 0xf, 4);
	rig_down(&g);
}

static void a_malformed_descriptor_stops_the_queue(void **state)
{
	struct rig g;
	uint32_t bad;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	wait_put(&g);
	bad = g.tail;
	desc_put(&g, 0x0e, 0);
	desc_put(&g, 0x25 | 9ULL << 32, STATUS + 16);
	doorbell(&g);
	assert_true(waited(&g));
	assert_int_equal(reg_get(&g, REG_IQH, 8), bad);
	assert_int_equal(reg_get(&g, REG_FSTS, 4) & 0x10, 0x10);
	assert_int_equal(reg_get(&g, REG_IQERCD, 8) & 0xf, 3);
	assert_int_equal(*at(&g, STATUS + 16), 0);
	/* corrected, and acknowledged */
	at(&g, IQ + bad)[0] = IOTLB_ALL;
	reg_set(&g, REG_FSTS, 4, 0x10);
	assert_int_equal(reg_get(&g, REG_IQH, 8), g.tail);
	assert_int_equal(*at(&g, STATUS + 16), 9);
	rig_down(&g);
}

static void injected_errors_stop_the_queue(void **state)
{
	static const struct {
		enum inject_kind kind;
		unsigned int iqei;
	} kinds[] = { { INJECT_ILL, 3 }, { INJECT_ABT, 2 } };
	struct rig g;

	(void)state;
	for (unsigned int n = 0; n < 2; n++) {
		struct inject_fault fault = {
			.kind = kinds[n].kind,
			.opcode = INJECT_ANY,
			.stream_id = INJECT_ANY,
			.probability = 1,
			.count = 1,
		};

		rig_up(&g, IOTLB_FAST);
		assert_int_equal(g.model->ops->inject(g.model, &fault), 0);
		desc_put(&g, IOTLB_ALL, 0);
		wait_put(&g);
		doorbell(&g);
		assert_int_equal(reg_get(&g, REG_IQH, 8), 0);
		assert_int_equal(reg_get(&g, REG_IQERCD, 8) & 0xf,
				 kinds[n].iqei);
		reg_set(&g, REG_FSTS, 4, 0x10);
		assert_int_equal(reg_get(&g, REG_IQH, 8), g.tail);
		assert_true(waited(&g));
		rig_down(&g);
	}
}

/* ---- creation ---- */

static void claims_that_are_not_kept_are_refused(void **state)
{
	static const struct {
		uint64_t cap;
		uint64_t ecap;
		uint8_t haw;
	} flip[] = {
		{ 1ULL << 5, 0, 0 },  /* PLMR */
		{ 1ULL << 59, 0, 0 }, /* posted interrupts */
		{ 1ULL << 61, 0, 0 }, /* ECMDS */
		{ 1ULL << 8, 0, 0 },  /* SAGAW of 30 bits */
		{ 1ULL << 36, 0, 0 }, /* SSLPS beyond 1 GiB */
		{ 1ULL, 0, 0 },	      /* ND 7 */
		{ 0, 1ULL << 25, 0 }, /* MTS */
		{ 0, 1ULL << 30, 0 }, /* ERS */
		{ 0, 1ULL << 44, 0 }, /* VCS */
		{ 0, 1ULL << 47, 0 }, /* nested without a first stage */
		{ 0, 1ULL << 43, 0 }, /* PASIDs without scalable mode */
		{ 0, 1ULL << 2, 0 },  /* PRS without device TLBs */
		{ 0, 0, 48 ^ 53 },    { 0, 0, 48 ^ 31 },
	};
	struct vtd_id id;
	struct rig g;

	(void)state;
	for (unsigned int n = 0; n < sizeof(flip) / sizeof(flip[0]); n++) {
		vtd_model_default_id(&id);
		id.cap ^= flip[n].cap;
		id.ecap ^= flip[n].ecap;
		id.haw ^= flip[n].haw;
		memset(&g, 0, sizeof(g));
		assert_int_equal(phys_create(48, &g.phys), 0);
		assert_int_equal(grace_create(&g.grace), 0);
		assert_int_equal(
			vtd_model_create(
				&(struct vtd_model_config){ .id = id },
				&(struct model_host){ .phys = g.phys,
						      .grace = g.grace },
				&g.model),
			-EINVAL);
		rig_down(&g);
	}
}

/* MAJ 8: other fault reasons for Execute-Requested */
static void versions_go_to_seven(void **state)
{
	static const struct {
		uint32_t ver;
		int rc;
	} versions[] = {
		{ 0x10, 0 },	   { 0x50, 0 },	      { 0x7f, 0 },
		{ 0x80, -EINVAL }, { 0xff, -EINVAL }, { 0x150, -EINVAL },
	};
	struct vtd_id id;
	struct rig g;

	(void)state;
	for (unsigned int n = 0; n < sizeof(versions) / sizeof(versions[0]);
	     n++) {
		vtd_model_default_id(&id);
		id.ver = versions[n].ver;
		memset(&g, 0, sizeof(g));
		assert_int_equal(rig_try(&g, IOTLB_FAST, &id), versions[n].rc);
		rig_down(&g);
	}
}

static void zero_length_reads_are_not_claimed(void **state)
{
	struct fault f;
	struct rig g;
	char none;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(reg_get(&g, 8, 8) >> 22 & 1, 0);
	assert_int_equal(dma(&g, 0, RID, 0x5000, 0, &none, 0), 0);
	assert_false(fault_take(&g, 0, &f));
	rig_down(&g);
}

static void the_units_that_qemu_shows_are_accepted(void **state)
{
	static const struct vtd_id ids[] = {
		{ 0x10, 0x80d2008c222f0606, 0x0000000000f00f4e, 39 },
		{ 0x10, 0x80d2008c222f0686, 0x0000000000f00f4a, 46 },
	};
	struct rig g;

	(void)state;
	for (unsigned int n = 0; n < 2; n++) {
		assert_int_equal(rig_try(&g, IOTLB_HOSTILE, &ids[n]), 0);
		rig_down(&g);
	}
}

static void a_source_id_has_16_bits(void **state)
{
	struct model_port *port;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(g.model->ops->port_add(g.model,
						&(struct model_port_config){
							.stream_id = 0x10000 },
						&port),
			 -EINVAL);
	rig_down(&g);
}

static void an_explanation_tells_the_walk(void **state)
{
	const struct model_access a = { .iova = 0x1234, .pasid = 9 };
	char text[2048];
	struct rig g;
	uint64_t ss, fs;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	ss = ss_ram(&g);
	fs = page(&g);
	pasid_set(&g, 0, 9, PT_NESTED | ss, 6, fs + DELTA);
	fs_map(&g, fs, 0x1000, 1, DELTA, (RAM + DELTA) | FS_PAGE);
	g.model->ops->explain(g.port[0], &a, text, sizeof(text));
	assert_non_null(strstr(text, "source-id 0x108 PASID 9, read 0x1234"));
	assert_non_null(strstr(text, "nested, domain id 6"));
	assert_non_null(strstr(text, "stage 1 level 1"));
	assert_non_null(strstr(text, "PA 0x40000234, page of 4 KiB, GPA "
				     "0x10040000234"));
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_te_nothing_is_translated),
		cmocka_unit_test(misses_then_hits),
		cmocka_unit_test(nested_translations_hit_as_well),
		cmocka_unit_test(pass_through_is_not_translated_but_checked),
		cmocka_unit_test(the_interrupt_range_is_no_memory),
		cmocka_unit_test(faults_are_recorded),
		cmocka_unit_test(privilege_is_of_requests_with_a_pasid),
		cmocka_unit_test(supervisors_write_read_only_pages_without_wpe),
		cmocka_unit_test(a_write_to_a_clean_page_makes_it_dirty),
		cmocka_unit_test(dirty_tracking_finds_what_was_written),
		cmocka_unit_test(contexts_and_spaces_are_cached_apart),
		cmocka_unit_test(function_masks_widen_a_context_invalidation),
		cmocka_unit_test(fast_forgets_spaces_with_their_context),
		cmocka_unit_test(srtp_empties_all_caches_with_esrtps),
		cmocka_unit_test(a_scalable_unit_that_is_switched_off_forgets),
		cmocka_unit_test(
			a_legacy_unit_that_is_switched_off_keeps_what_it_has),
		cmocka_unit_test(legacy_mode_translates_by_the_second_stage),
		cmocka_unit_test(legacy_contexts_are_tagged_by_domain),
		cmocka_unit_test(registers_invalidate_as_descriptors_do),
		cmocka_unit_test(caching_mode_caches_what_is_not_there),
		cmocka_unit_test(caching_mode_caches_rights_that_lack),
		cmocka_unit_test(caching_mode_caches_contexts_under_domain_0),
		cmocka_unit_test(
			caching_mode_caches_pasid_entries_but_no_first_stage),
		cmocka_unit_test(without_caching_mode_no_fault_is_cached),
		cmocka_unit_test(waits_complete_in_their_order),
		cmocka_unit_test(
			interrupt_entries_are_nothing_without_remapping),
		cmocka_unit_test(a_malformed_descriptor_stops_the_queue),
		cmocka_unit_test(injected_errors_stop_the_queue),
		cmocka_unit_test(claims_that_are_not_kept_are_refused),
		cmocka_unit_test(versions_go_to_seven),
		cmocka_unit_test(zero_length_reads_are_not_claimed),
		cmocka_unit_test(the_units_that_qemu_shows_are_accepted),
		cmocka_unit_test(a_source_id_has_16_bits),
		cmocka_unit_test(an_explanation_tells_the_walk),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
