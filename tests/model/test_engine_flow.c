// SPDX-License-Identifier: MIT
/* The way of a transaction through the whole model: Arm IHI 0070 chapter 15. */
#include "engine_rig.h"

#define DATA (RAM + 0x1000000)

static void smmu_off_bypasses_or_aborts_by_gbpa(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_FAST, NULL), 0);
	t = see(&g, 0, 0x123456789);
	assert_int_equal(t.result, MODEL_OK);
	assert_true(t.bypass);
	assert_int_equal(t.pa, 0x123456789);
	/* beyond the 48 bits of OAS */
	assert_int_equal(see(&g, 0, 1ULL << 48).result, MODEL_ABORTED);

	reg_set(&g, REG_GBPA, 4, 0x80100000); /* UPDATE, ABORT */
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	no_event(&g);
	rig_down(&g);
}

static void stream_beyond_the_table_is_recorded_if_asked(void **state)
{
	uint64_t rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	reg_set(&g, REG_CR0, 4, 0xc);
	reg_set(&g, REG_STRTAB_CFG, 4, 3); /* 8 streams: 0..7 */
	reg_set(&g, REG_CR0, 4, CR0_ON);
	assert_int_equal(see(&g, 0, 0x1000).event, 2);
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000002);

	reg_set(&g, REG_CR0, 4, 0xc);
	reg_set(&g, REG_CR2, 4, 0); /* RECINVSID off */
	reg_set(&g, REG_CR0, 4, CR0_ON);
	assert_int_equal(see(&g, 0, 0x1000).event, 0);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	no_event(&g);
	rig_down(&g);
}

static void each_kind_of_ste_does_its_own(void **state)
{
	struct model_translation t;
	uint64_t rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(see(&g, 0, 0x1000).event, 4); /* V=0 */
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000004);

	ste(&g, 8, STE_ABORT, STE1, 0, 0);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	no_event(&g);
	cmd(&g, CFGI_STE | SID(8), LEAF);

	ste(&g, 8, STE_BYPASS, STE1, 0, 0);
	t = see(&g, 0, 0x5123);
	assert_int_equal(t.result, MODEL_OK);
	assert_true(t.bypass);
	assert_int_equal(t.pa, 0x5123);
	assert_int_equal(see(&g, 0, 1ULL << 50).event, 0x11);
	assert_true(event(&g, rec));
	rig_down(&g);
}

static void stage1_translates_and_then_hits(void **state)
{
	struct model_translation t;
	struct model_stats stats;
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x123000, 3, 0, DATA | PAGE_NG);
	map(&g, root, 0x40000000, 2, 0, (DATA + 0x200000) | BLOCK_NG);
	t = see(&g, 0, 0x123abc);
	assert_int_equal(t.result, MODEL_OK);
	assert_false(t.hit);
	assert_int_equal(t.pa, DATA + 0xabc);
	assert_int_equal(t.size_lg2, 12);
	assert_ptr_equal(t.host, g.ram + (DATA - RAM) + 0xabc);
	t = see(&g, 0, 0x123008);
	assert_true(t.hit && t.read && t.write);
	assert_int_equal(t.pa, DATA + 8);
	assert_ptr_equal(t.host, g.ram + (DATA - RAM) + 8);
	t = see(&g, 0, 0x40012345);
	assert_int_equal(t.pa, DATA + 0x212345);
	assert_int_equal(t.size_lg2, 21);
	assert_true(see(&g, 0, 0x401fffff).hit);

	g.model->ops->stats(g.model, &stats);
	assert_int_equal(stats.hits, 2);
	assert_int_equal(stats.misses, 2);
	rig_down(&g);
}

static void nested_and_stage2_translate(void **state)
{
	struct model_translation t;
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x123000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	map(&g, root, 0x200000, 2, DELTA, (DATA + DELTA) | BLOCK_NG);
	ste(&g, 9, STE_S2, STE1, STE2 | 3, s2);
	t = see(&g, 0, 0x123abc);
	assert_int_equal(t.result, MODEL_OK);
	assert_int_equal(t.pa, DATA + 0xabc);
	assert_int_equal(t.size_lg2, 12);
	t = see(&g, 0, 0x212345);
	assert_int_equal(t.pa, DATA + 0x12345);
	assert_int_equal(t.size_lg2, 21);
	t = see(&g, 1, DATA + DELTA + 0x77);
	assert_int_equal(t.pa, DATA + 0x77);
	assert_int_equal(t.size_lg2, 21);
	assert_true(see(&g, 1, DATA + DELTA + 0x10000).hit);
	rig_down(&g);
}

static void faults_are_recorded_with_their_fields(void **state)
{
	uint64_t root, s2 = 0, rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_nested(&g, 8, 3, 7, &s2);
	assert_int_equal(
		look(&g, 0, MODEL_NO_PASID, 0x123456, MODEL_WRITE).event, 0x10);
	assert_true(event(&g, rec));
	/* F_TRANSLATION of stage 1, CLASS IN, a write: RnW 0 */
	assert_int_equal(rec[0], 0x0000000800000010);
	assert_int_equal(rec[1], 0x0000020000000000);
	assert_int_equal(rec[2], 0x123456);

	/* stage 1 maps to an IPA that stage 2 does not */
	map(&g, root, 0x123000, 3, DELTA, 0x7777000 | PAGE_NG);
	assert_int_equal(see(&g, 0, 0x123456).event, 0x10);
	assert_true(event(&g, rec));
	assert_int_equal(rec[1], 0x0000028800000000); /* IN, S2, RnW */
	assert_int_equal(rec[3], 0x7777000);

	/* a cached translation that does not permit the access faults too */
	map(&g, root, 0x5000, 3, DELTA, (DATA + DELTA) | PAGE_RO);
	assert_int_equal(see(&g, 0, 0x5000).event, 0);
	assert_int_equal(look(&g, 0, MODEL_NO_PASID, 0x5000, MODEL_WRITE).event,
			 0x13);
	assert_true(event(&g, rec));
	assert_int_equal(rec[1], 0x0000020000000000);
	no_event(&g);
	rig_down(&g);
}

static void cached_stage2_permission_faults_with_its_ipa(void **state)
{
	uint64_t root, s2 = 0, rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x5000, 3, DELTA, 0x7777000 | PAGE_NG);
	map(&g, s2, 0x7777000, 3, 0, DATA | S2_PAGE_RO);
	assert_int_equal(see(&g, 0, 0x5010).event, 0);
	assert_int_equal(look(&g, 0, MODEL_NO_PASID, 0x5010, MODEL_WRITE).event,
			 0x13);
	assert_true(event(&g, rec));
	assert_int_equal(rec[1], 0x0000028000000000);
	assert_int_equal(rec[2], 0x5010);
	assert_int_equal(rec[3], 0x7777000);
	rig_down(&g);
}

static void merged_events_need_mev_and_an_unmoved_queue(void **state)
{
	uint64_t root, cds, rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = page(&g);
	cds = page(&g);
	cd(&g, cds, CD0 | CD_ASID(1), root);
	ste(&g, 8, STE_S1 | cds, STE1 | STE1_MEV, 0, 0);
	ste(&g, 9, STE_S1 | cds, STE1, 0, 0);
	see(&g, 0, 0x1000);
	see(&g, 0, 0x1000);
	see(&g, 0, 0x2000);
	see(&g, 1, 0x1000);
	see(&g, 1, 0x1000);
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 4);
	assert_true(event(&g, rec));
	see(&g, 0, 0x2000); /* software has seen the first one by now */
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 5);
	rig_down(&g);
}

static void dma_moves_data_across_pages(void **state)
{
	struct model_translation t;
	char out[5000], in[5000];
	struct rig g;
	uint64_t root;

	(void)state;
	for (unsigned int n = 0; n < sizeof(out); n++)
		out[n] = (char)(n * 7 + 1);
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		rig_up(&g, policy);
		root = stream_s1(&g, 8, 0, 7);
		map(&g, root, 0x10000, 3, 0, (DATA + 0x5000) | PAGE_NG);
		map(&g, root, 0x11000, 3, 0, (DATA + 0x2000) | PAGE_NG);
		assert_int_equal(
			dma(&g, 0, 0x10800, MODEL_WRITE, out, sizeof(out), &t),
			0);
		assert_int_equal(t.pa, DATA + 0x2000);
		assert_memory_equal(g.ram + (DATA - RAM) + 0x5800, out, 0x800);
		assert_memory_equal(g.ram + (DATA - RAM) + 0x2000, out + 0x800,
				    sizeof(out) - 0x800);
		memset(in, 0, sizeof(in));
		assert_int_equal(dma(&g, 0, 0x10800, 0, in, sizeof(in), NULL),
				 0);
		assert_memory_equal(in, out, sizeof(in));
		for (int n = 0; n < 3; n++) /* hits of the shortest way */
			assert_int_equal(dma(&g, 0, 0x10808, 0, in, 8, NULL),
					 0);
		assert_memory_equal(in, out + 8, 8);
		/* the third page is not mapped: what was before it is moved */
		assert_int_equal(
			dma(&g, 0, 0x11ffc, MODEL_WRITE, "abcdefgh", 8, NULL),
			-EIO);
		assert_memory_equal(g.ram + (DATA - RAM) + 0x2ffc, "abcd", 4);
		rig_down(&g);
	}
}

static void dma_to_nothing_is_efault(void **state)
{
	struct rig g;
	char buf[8];
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x10000, 3, 0, 0x900000000 | PAGE_NG);
	assert_int_equal(dma(&g, 0, 0x10000, 0, buf, 8, NULL), -EFAULT);
	assert_int_equal(dma(&g, 0, 0x10000, 0, buf, 8, NULL), -EFAULT);
	no_event(&g);
	rig_down(&g);
}

static int io_write(void *ctx, uint64_t offset, const void *src, size_t len)
{
	uint64_t *seen = ctx;

	seen[0] = offset;
	memcpy(&seen[1], src, len < 8 ? len : 8);
	return 0;
}

static void dma_reaches_registers(void **state)
{
	static const struct phys_io_ops io = { .write = io_write };
	struct phys_range *range;
	uint64_t seen[2] = { 0 };
	uint32_t msi = 0x1234;
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(
		phys_add_io(g.phys, 0x8000000, 0x1000, &io, seen, &range), 0);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x10000, 3, 0, 0x8000000 | PAGE_NG);
	for (int n = 0; n < 2; n++) {
		seen[0] = 0;
		assert_int_equal(
			dma(&g, 0, 0x10040, MODEL_WRITE, &msi, 4, NULL), 0);
		assert_int_equal(seen[0], 0x40);
		assert_int_equal(seen[1], 0x1234);
	}
	rig_down(&g);
}

static void memory_taken_away_is_not_reached_by_old_entries(void **state)
{
	struct phys_range *range;
	char *more = NULL, buf[8];
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	assert_int_equal(posix_memalign((void **)&more, 4096, 4096), 0);
	memset(more, 1, 4096);
	assert_int_equal(
		phys_add_at(g.phys, 0x900000000, more, 4096, 3, &range), 0);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x10000, 3, 0, 0x900000000 | PAGE_NG);
	assert_int_equal(dma(&g, 0, 0x10000, 0, buf, 8, NULL), 0);
	assert_int_equal(dma(&g, 0, 0x10000, 0, buf, 8, NULL), 0);
	phys_remove(range);
	assert_int_equal(grace_wait(g.grace, 1000000000), 0);
	phys_release(range);
	free(more);
	assert_int_equal(dma(&g, 0, 0x10000, 0, buf, 8, NULL), -EFAULT);
	rig_down(&g);
}

static void faults_may_end_as_raz_wi(void **state)
{
	char buf[16] = "xxxxxxxxxxxxxxx";
	uint64_t root, cds;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = page(&g);
	cds = page(&g);
	cd(&g, cds, (CD0 & ~CD0_A) | CD_ASID(1), root);
	ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
	map(&g, root, 0x10000, 3, 0, DATA | PAGE_NG);
	memset(at(&g, DATA), 'y', 0x1000);
	/* 8 bytes of a page, 8 bytes of nothing */
	assert_int_equal(dma(&g, 0, 0x10ff8, 0, buf, 16, NULL), 0);
	assert_memory_equal(buf, "yyyyyyyy\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(dma(&g, 0, 0x11000, MODEL_WRITE, buf, 16, NULL), 0);
	rig_down(&g);
}

static void configuration_stays_until_it_is_named(void **state)
{
	uint64_t root[3], cds, other;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	cds = page(&g);
	other = page(&g);
	for (int n = 0; n < 3; n++) {
		root[n] = page(&g);
		map(&g, root[n], 0x1000, 3, 0, (DATA + n * 0x1000) | PAGE_NG);
	}
	cd(&g, cds, CD0 | CD_ASID(1), root[0]);
	cd(&g, other, CD0 | CD_ASID(3), root[2]);
	ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);

	/* another table and ASID in the CD: not looked at until CFGI_CD */
	cd(&g, cds, CD0 | CD_ASID(2), root[1]);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	cmd(&g, CFGI_CD | SID(9), 0);
	cmd(&g, CFGI_CD | SID(8) | 1 << 12, 0);
	cmd(&g, NSNH_ALL, 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x1000);

	/* another CD table in the STE: CFGI_CD_ALL leaves the STE */
	ste(&g, 8, STE_S1 | other, STE1, 0, 0);
	cmd(&g, CFGI_CD_ALL | SID(8), 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x1000);
	cmd(&g, CFGI_STE | SID(9), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x1000);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x2000);

	/* ranges: streams 0..7 do not name stream 8, 8..15 do */
	ste(&g, 8, STE_ABORT, STE1, 0, 0);
	cmd(&g, 0x04 | SID(1), 2);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_OK);
	cmd(&g, 0x04 | SID(15), 2);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	ste(&g, 8, STE_BYPASS, STE1, 0, 0);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	cmd(&g, CFGI_ALL);
	assert_true(see(&g, 0, 0x1000).bypass);
	rig_down(&g);
}

static void substreams_have_their_own_contexts(void **state)
{
	uint64_t root[4], cds, rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	cds = page(&g);
	for (unsigned int n = 0; n < 4; n++) {
		root[n] = page(&g);
		map(&g, root[n], 0x1000, 3, 0, (DATA + n * 0x1000) | PAGE_NG);
		if (n < 3)
			cd(&g, cds + n * 64, CD0 | CD_ASID(n + 1), root[n]);
	}
	/* S1CDMax 2: four CDs, S1DSS: without a substream CD 0 is used */
	ste(&g, 8, STE_S1 | cds | 2ULL << 59, STE1 | STE1_DSS_0, 0, 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	assert_int_equal(look(&g, 0, 1, 0x1000, 0).pa, DATA + 0x1000);
	assert_int_equal(look(&g, 0, 2, 0x1000, 0).pa, DATA + 0x2000);
	assert_true(look(&g, 0, 2, 0x1000, 0).hit);
	no_event(&g);
	assert_int_equal(look(&g, 0, 3, 0x1000, 0).event, 0x0a); /* C_BAD_CD */
	assert_true(event(&g, rec));
	assert_int_equal(look(&g, 0, 4, 0x1000, 0).event, 0x08);
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800004008);

	/* CFGI_CD of one leaves the other; CD 0 serves those without, too */
	cd(&g, cds, CD0 | CD_ASID(9), root[3]);
	cd(&g, cds + 64, CD0 | CD_ASID(9), root[3]);
	cd(&g, cds + 128, CD0 | CD_ASID(9), root[3]);
	cmd(&g, CFGI_CD | SID(8) | 1 << 12, LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	assert_int_equal(look(&g, 0, 1, 0x1000, 0).pa, DATA + 0x3000);
	assert_int_equal(look(&g, 0, 2, 0x1000, 0).pa, DATA + 0x2000);
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x3000);
	assert_int_equal(look(&g, 0, 2, 0x1000, 0).pa, DATA + 0x2000);
	cmd(&g, CFGI_CD_ALL | SID(8), 0);
	assert_int_equal(look(&g, 0, 2, 0x1000, 0).pa, DATA + 0x3000);

	/* S1DSS 0: without a substream the stream is disabled */
	ste(&g, 8, STE_S1 | cds | 2ULL << 59, STE1, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x06);
	/* S1DSS 1: it bypasses */
	ste(&g, 8, STE_S1 | cds | 2ULL << 59, STE1 | STE1_DSS_BY, 0, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_true(see(&g, 0, 0x1000).bypass);
	rig_down(&g);
}

static void dirty_flags_are_set_by_the_first_write(void **state)
{
	const uint64_t clean = DATA | PAGE_RO | 1ULL << 51; /* DBM */
	uint64_t root, cds;
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		rig_up(&g, policy);
		root = page(&g);
		cds = page(&g);
		cd(&g, cds, CD0 | CD0_HA | CD0_HD | CD_ASID(1), root);
		ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
		map(&g, root, 0x1000, 3, 0, clean & ~0x400ULL); /* AF 0 */
		assert_int_equal(see(&g, 0, 0x1000).result, MODEL_OK);
		assert_int_equal(*at(&g, slot_of(&g, root, 0x1000, 3, 0)),
				 clean);
		assert_true(see(&g, 0, 0x1000).hit);
		assert_int_equal(dma(&g, 0, 0x1000, MODEL_WRITE, "x", 1, NULL),
				 0);
		assert_int_equal(*at(&g, slot_of(&g, root, 0x1000, 3, 0)),
				 clean & ~0x80ULL);
		assert_true(
			look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).hit);
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

static void quiet_looks_change_nothing(void **state)
{
	struct model_stats before, after;
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	g.model->ops->stats(g.model, &before);
	for (int n = 0; n < 2; n++) {
		assert_false(
			look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_QUIET).hit);
		assert_int_equal(
			look(&g, 0, MODEL_NO_PASID, 0x2000, MODEL_QUIET).event,
			0x10);
	}
	no_event(&g);
	g.model->ops->stats(g.model, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	see(&g, 0, 0x1000);
	assert_true(look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_QUIET).hit);
	rig_down(&g);
}

static void top_byte_may_be_ignored(void **state)
{
	uint64_t root, cds;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = page(&g);
	cds = page(&g);
	cd(&g, cds, CD0 | 1ULL << 38 | CD_ASID(1), root); /* TBI0 */
	ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	assert_int_equal(see(&g, 0, 0x5a00000000001010).pa, DATA + 0x10);
	assert_true(see(&g, 0, 0xa500000000001020).hit);
	assert_int_equal(see(&g, 0, 0x1020).pa, DATA + 0x20);
	cmd(&g, NH_VA | ASID(1), 0x1000 | LEAF);
	assert_false(see(&g, 0, 0x5a00000000001010).hit);
	rig_down(&g);
}

static void explain_tells_a_nested_walk(void **state)
{
	const struct model_access a = { .iova = 0x123456,
					.pasid = MODEL_NO_PASID };
	uint64_t root, s2 = 0;
	char text[8192], small[16];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x123000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	g.model->ops->explain(g.port[0], &a, text, sizeof(text));
	assert_non_null(strstr(text, "stage 1 and 2"));
	assert_non_null(strstr(text, "ASID 7"));
	assert_non_null(strstr(text, "VMID 3"));
	assert_non_null(strstr(text, "stage 2 level 0"));
	assert_non_null(strstr(text, "stage 1 level 3"));
	assert_non_null(strstr(text, "PA 0x41000456"));
	put(&g, slot_of(&g, root, 0x123000, 3, DELTA), 0);
	g.model->ops->explain(g.port[0], &a, text, sizeof(text));
	assert_non_null(strstr(text, "F_TRANSLATION, stage 1, level 3"));
	g.model->ops->explain(g.port[0], &a, small, sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
	no_event(&g);
	rig_down(&g);
}

static void claims_that_are_not_kept_are_refused(void **state)
{
	/* HYP, BTM, ATOS, VMW; ECMDQ, presets; MPAM; DS */
	static const struct {
		int word;
		uint32_t bit;
	} no[] = { { 0, 1u << 9 },  { 0, 1u << 5 },  { 0, 1u << 15 },
		   { 0, 1u << 17 }, { 1, 1u << 31 }, { 1, 1u << 29 },
		   { 1, 1u << 30 }, { 3, 1u << 7 },  { 5, 1u << 9 },
		   { 2, 1u << 0 } };
	struct smmuv3_id id, good;
	struct rig g;

	(void)state;
	smmuv3_model_default_id(&good);
	for (unsigned int n = 0; n < sizeof(no) / sizeof(no[0]); n++) {
		id = good;
		id.idr[no[n].word] |= no[n].bit;
		assert_int_equal(rig_try(&g, IOTLB_FAST, &id), -EINVAL);
		rig_down(&g);
	}
	id = good;
	id.idr[0] &= ~3u; /* neither stage */
	assert_int_equal(rig_try(&g, IOTLB_FAST, &id), -EINVAL);
	rig_down(&g);
	id = good;
	id.idr[5] &= 0xffff; /* stalls without a tag */
	assert_int_equal(rig_try(&g, IOTLB_FAST, &id), -EINVAL);
	rig_down(&g);
	id = good;
	id.idr[0] |= 1u << 24; /* terminate only: then none is right */
	id.idr[5] &= 0xffff;
	assert_int_equal(rig_try(&g, IOTLB_FAST, &id), 0);
	rig_down(&g);
}

static void two_models_know_nothing_of_each_other(void **state)
{
	uint64_t root[2];
	struct rig g[2];

	(void)state;
	for (int n = 0; n < 2; n++) {
		rig_up(&g[n], IOTLB_HOSTILE);
		root[n] = stream_s1(&g[n], 8, 0, 7);
		map(&g[n], root[n], 0x1000, 3, 0,
		    (DATA + n * 0x1000) | PAGE_NG);
	}
	assert_int_equal(see(&g[0], 0, 0x1000).pa, DATA);
	assert_int_equal(see(&g[1], 0, 0x1000).pa, DATA + 0x1000);
	cmd(&g[0], NSNH_ALL, 0);
	assert_false(see(&g[0], 0, 0x1000).hit);
	assert_true(see(&g[1], 0, 0x1000).hit);
	rig_down(&g[0]);
	assert_true(see(&g[1], 0, 0x1000).hit);
	rig_down(&g[1]);
}

static void ports_come_and_go(void **state)
{
	struct model_port *many[40];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	for (unsigned int n = 0; n < 40; n++)
		assert_int_equal(g.model->ops->port_add(
					 g.model,
					 &(struct model_port_config){
						 .stream_id = (n * 7) % 41 },
					 &many[n]),
				 0);
	for (unsigned int sid = 0; sid < 41; sid++)
		ste(&g, sid, STE_BYPASS, STE1, 0, 0);
	for (unsigned int n = 0; n < 40; n++) {
		struct model_port *first = g.port[0];

		g.port[0] = many[n];
		assert_true(see(&g, 0, 0x1000).bypass);
		g.port[0] = first;
	}
	for (unsigned int n = 0; n < 40; n += 2)
		g.model->ops->port_remove(many[n]);
	cmd(&g, CFGI_ALL);
	assert_true(see(&g, 0, 0x1000).bypass);
	rig_down(&g);
}

/* One scenario with the n-th allocation failing, until none does. */
static int scenario(enum iotlb_policy policy, struct alloc_plan *plan)
{
	struct model_translation t;
	struct rig g;
	uint64_t root;
	int rc;

	alloc_arm(plan);
	rc = rig_try(&g, policy, NULL);
	if (rc) {
		alloc_arm(NULL);
		rig_down(&g);
		return rc;
	}
	rig_on(&g, CR0_ON);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	/* without memory for caches everything works, only slower */
	for (int n = 0; n < 2; n++) {
		t = see(&g, 0, 0x1010);
		assert_int_equal(t.result, MODEL_OK);
		assert_int_equal(t.pa, DATA + 0x10);
		cmd(&g, NH_VA | ASID(7), 0x1000 | LEAF);
		cmd(&g, CFGI_CD | SID(8), 0);
	}
	alloc_arm(NULL);
	rig_down(&g);
	return 0;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	rig_allocations(scenario, 5, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smmu_off_bypasses_or_aborts_by_gbpa),
		cmocka_unit_test(stream_beyond_the_table_is_recorded_if_asked),
		cmocka_unit_test(each_kind_of_ste_does_its_own),
		cmocka_unit_test(stage1_translates_and_then_hits),
		cmocka_unit_test(nested_and_stage2_translate),
		cmocka_unit_test(faults_are_recorded_with_their_fields),
		cmocka_unit_test(cached_stage2_permission_faults_with_its_ipa),
		cmocka_unit_test(merged_events_need_mev_and_an_unmoved_queue),
		cmocka_unit_test(dma_moves_data_across_pages),
		cmocka_unit_test(dma_to_nothing_is_efault),
		cmocka_unit_test(dma_reaches_registers),
		cmocka_unit_test(
			memory_taken_away_is_not_reached_by_old_entries),
		cmocka_unit_test(faults_may_end_as_raz_wi),
		cmocka_unit_test(configuration_stays_until_it_is_named),
		cmocka_unit_test(substreams_have_their_own_contexts),
		cmocka_unit_test(dirty_flags_are_set_by_the_first_write),
		cmocka_unit_test(quiet_looks_change_nothing),
		cmocka_unit_test(top_byte_may_be_ignored),
		cmocka_unit_test(explain_tells_a_nested_walk),
		cmocka_unit_test(claims_that_are_not_kept_are_refused),
		cmocka_unit_test(two_models_know_nothing_of_each_other),
		cmocka_unit_test(ports_come_and_go),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
