// SPDX-License-Identifier: MIT
/*
 * Tags and scopes of cached translations: level hints with Leaf 0 (Arm IHI 0070
 * 4.4.1.1), ASID sets of global entries (3.17.1), L1STDs with a reserved SPLIT
 * (6.3.25).
 */
#include "engine_rig.h"

#define DATA	 (RAM + 0x1000000)
#define CD0_ASET (1ULL << 47)

struct tables {
	bool s1[3]; /* descriptors of level 0, 1, 2 */
	bool s2[3];
};

static void look_at(void *ctx, const struct iotlb_entry *e)
{
	struct tables *seen = ctx;

	switch (e->regime) {
	case SMMUV3_REGIME_S1_TABLE:
	case SMMUV3_REGIME_S1_TABLE_L2:
	case SMMUV3_REGIME_S1_TABLE_L1:
		seen->s1[e->level] = true;
		break;
	case SMMUV3_REGIME_S2_TABLE:
	case SMMUV3_REGIME_S2_TABLE_L2:
		seen->s2[e->level] = true;
		break;
	}
}

static void expect_tables(struct rig *g, const char *s1, const char *s2)
{
	struct tables seen = { 0 };

	g->model->ops->for_each_entry(g->model, look_at, &seen);
	for (int level = 0; level < 3; level++) {
		assert_int_equal(seen.s1[level], s1[level] != '-');
		assert_int_equal(seen.s2[level], s2[level] != '-');
	}
}

/* A nested stream with tables of every level at both stages */
static void up(struct rig *g)
{
	uint64_t root, s2;

	rig_up(g, IOTLB_HOSTILE);
	s2 = page(g);
	for (uint64_t pa = RAM; pa < RAM + RAM_SIZE; pa += 0x200000)
		if (pa != DATA)
			map(g, s2, pa + DELTA, 2, 0, pa | S2_BLOCK);
	map(g, s2, DATA + DELTA, 3, 0, DATA | S2_PAGE);
	root = stream_nested(g, 8, 3, 7, &s2);
	map(g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	assert_int_equal(see(g, 0, 0x1000).result, MODEL_OK);
	expect_tables(g, "012", "012");
}

/* "Level 0 and level 1 table entries", not level 2, for TTL 2 */
static void a_hint_with_leaf_0_takes_the_tables_above_that_level(void **state)
{
	static const char *const left[4] = { "---", "-12", "--2", "---" };
	struct rig g;

	(void)state;
	for (unsigned int ttl = 0; ttl < 4; ttl++) {
		uint64_t dw1 = ttl ? TG_4K | TTL(ttl) : 0;

		up(&g);
		cmd(&g, NH_VA | VMID(3) | ASID(7), 0 | dw1);
		expect_tables(&g, left[ttl], "012");
		rig_down(&g);

		up(&g);
		cmd(&g, NH_VAA | VMID(3), 0 | dw1);
		expect_tables(&g, left[ttl], "012");
		rig_down(&g);

		up(&g);
		cmd(&g, S2_IPA | VMID(3), (DATA + DELTA) | dw1);
		expect_tables(&g, "012", left[ttl]);
		rig_down(&g);
	}
}

/* Two streams of one VMID that call the same address global */
static void globals_up(struct rig *g, uint64_t second)
{
	for (unsigned int n = 0; n < 2; n++) {
		uint64_t root = page(g);
		uint64_t cds = page(g);

		cd(g, cds, CD0 | CD_ASID(7 + n) | (n ? second : 0), root);
		ste(g, 8 + n, STE_S1 | cds, STE1, 4, 0);
		map(g, root, 0x1000, 3, 0, (DATA + (n << 12)) | PAGE_G);
	}
}

static void global_entries_serve_their_asid_set_only(void **state)
{
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		rig_up(&g, (enum iotlb_policy)policy);
		globals_up(&g, CD0_ASET);
		for (int n = 0; n < 3; n++) {
			assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
			assert_int_equal(see(&g, 1, 0x1000).pa, DATA + 0x1000);
		}
		rig_down(&g);
		/* the same set: whoever came first */
		rig_up(&g, (enum iotlb_policy)policy);
		globals_up(&g, 0);
		assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
		assert_int_equal(see(&g, 1, 0x1000).pa, DATA);
		rig_down(&g);
	}
}

/* SPLIT 0 is as 6: streams 8 and 9 share an L1STD, which goes for both. */
static void a_reserved_split_is_6_for_invalidation_too(void **state)
{
	uint64_t l1, l2;
	struct rig g;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_HOSTILE, NULL), 0);
	rig_on(&g, 0);
	l1 = page(&g);
	l2 = page(&g);
	put(&g, l1, l2 | 7); /* 64 STEs */
	put(&g, l2 + 64 * 9, STE_BYPASS);
	put(&g, l2 + 64 * 9 + 8, STE1);
	reg_set(&g, REG_STRTAB_BASE, 8, l1);
	reg_set(&g, REG_STRTAB_CFG, 4, 1 << 16 | 8);
	reg_set(&g, REG_CR0, 4, CR0_ON);
	assert_int_equal(see(&g, 1, DATA).result, MODEL_OK);
	/* another level-2 table, in which 9 is shut off */
	l2 = page(&g);
	put(&g, l1, l2 | 7);
	put(&g, l2 + 64 * 9, STE_ABORT);
	cmd(&g, CFGI_STE | SID(9), LEAF);
	assert_int_equal(see(&g, 1, DATA).result, MODEL_OK); /* stale L1STD */
	cmd(&g, CFGI_STE | SID(8), 0);
	cmd(&g, CFGI_STE | SID(9), LEAF);
	assert_int_equal(see(&g, 1, DATA).result, MODEL_ABORTED);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_hint_with_leaf_0_takes_the_tables_above_that_level),
		cmocka_unit_test(global_entries_serve_their_asid_set_only),
		cmocka_unit_test(a_reserved_split_is_6_for_invalidation_too),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
