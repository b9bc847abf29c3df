// SPDX-License-Identifier: MIT
/*
 * What each TLB invalidation removes, and that it removes nothing else: Arm IHI
 * 0070 4.4. Under policy hostile the cache is filled with one entry of every
 * kind; after a command the kinds that are left are compared with a list made
 * by hand from the text of the command.
 */
#include "engine_rig.h"

#define DATA  (RAM + 0x1000000)
#define LOCAL 0x123000ULL
#define GLOB  0x7000000000ULL
#define BLOCK 0x40000000ULL
#define S2IPA (DATA + DELTA)

/* Kinds of entries, as letters in the order of a picture() */
enum {
	A_LOCAL,    /* stream 8: nested, VMID 3, ASID 7: a page */
	A_GLOBAL,   /* ... a global page */
	A_BLOCK,    /* ... a 2 MiB block */
	A_TABLE,    /* ... the level-3 table above A_LOCAL */
	A_UPPER,    /* ... and the level-2 table above that one */
	B_LOCAL,    /* stream 9: stage 1, VMID 4, ASID 7 */
	C_LOCAL,    /* stream 9, substream 1: VMID 4, ASID 8 */
	D_S2,	    /* VMID 3: the stage-2 block under A_LOCAL */
	D_S2_TABLE, /* VMID 3: the level-2 table of that block */
	KINDS,
};

static const char letters[] = "LGBtuMNst";

struct seen {
	bool is[KINDS];
};

static void look_at(void *ctx, const struct iotlb_entry *e)
{
	struct seen *seen = ctx;

	if (e->regime == SMMUV3_REGIME_S12 && e->vmid == 3) {
		if (e->leaf == LOCAL)
			seen->is[A_LOCAL] = true;
		if (e->leaf == GLOB && e->global)
			seen->is[A_GLOBAL] = true;
		if (e->leaf == BLOCK && e->leaf_lg2 == 21)
			seen->is[A_BLOCK] = true;
	}
	if (e->regime == SMMUV3_REGIME_S1_TABLE && e->vmid == 3 &&
	    e->iova == (LOCAL & ~0x1fffffULL))
		seen->is[A_TABLE] = true;
	if (e->regime == SMMUV3_REGIME_S1_TABLE_L2 && e->vmid == 3 &&
	    e->iova == 0)
		seen->is[A_UPPER] = true;
	if (e->regime == SMMUV3_REGIME_S1 && e->vmid == 4 && e->asid == 7)
		seen->is[B_LOCAL] = true;
	if (e->regime == SMMUV3_REGIME_S1 && e->vmid == 4 && e->asid == 8)
		seen->is[C_LOCAL] = true;
	if (e->regime == SMMUV3_REGIME_S2 && e->vmid == 3 && e->iova == S2IPA)
		seen->is[D_S2] = true;
	if (e->regime == SMMUV3_REGIME_S2_TABLE_L2 && e->vmid == 3 &&
	    e->level == 1 && e->iova == ((S2IPA >> 30) << 30))
		seen->is[D_S2_TABLE] = true;
}

static const char *picture(struct rig *g, char out[KINDS + 1])
{
	struct seen seen = { 0 };

	g->model->ops->for_each_entry(g->model, look_at, &seen);
	for (int n = 0; n < KINDS; n++)
		out[n] = seen.is[n] ? letters[n] : '-';
	out[KINDS] = '\0';
	return out;
}

struct world {
	struct rig g;
	uint64_t s2;
};

static void fill(struct world *w)
{
	assert_int_equal(see(&w->g, 0, LOCAL).result, MODEL_OK);
	assert_int_equal(see(&w->g, 0, GLOB).result, MODEL_OK);
	assert_int_equal(see(&w->g, 0, BLOCK).result, MODEL_OK);
	assert_int_equal(see(&w->g, 1, LOCAL).result, MODEL_OK);
	assert_int_equal(look(&w->g, 1, 1, LOCAL, 0).result, MODEL_OK);
}

static void world_up(struct world *w)
{
	struct rig *g = &w->g;
	uint64_t root, cds;

	w->s2 = 0;
	rig_up(g, IOTLB_HOSTILE);
	root = stream_nested(g, 8, 3, 7, &w->s2);
	map(g, root, LOCAL, 3, DELTA, S2IPA | PAGE_NG);
	map(g, root, GLOB, 3, DELTA, S2IPA | PAGE_G);
	map(g, root, BLOCK, 2, DELTA, S2IPA | BLOCK_NG);
	cds = page(g);
	for (unsigned int n = 0; n < 2; n++) {
		root = page(g);
		cd(g, cds + 64 * n, CD0 | CD_ASID(7 + n), root);
		map(g, root, LOCAL, 3, 0, DATA | PAGE_NG);
	}
	ste(g, 9, STE_S1 | cds | 1ULL << 59, STE1 | STE1_DSS_0, 4, 0);
	fill(w);
}

struct scope {
	const char *what;
	uint64_t dw0;
	uint64_t dw1;
	const char *left;
};

static void check(const struct scope *scopes, size_t n)
{
	char out[KINDS + 1];
	struct world w;

	world_up(&w);
	assert_string_equal(picture(&w.g, out), letters);
	for (size_t i = 0; i < n; i++) {
		cmd(&w.g, scopes[i].dw0, scopes[i].dw1);
		picture(&w.g, out);
		if (strcmp(out, scopes[i].left))
			fail_msg("%s leaves %s, not %s", scopes[i].what, out,
				 scopes[i].left);
		cmd(&w.g, NSNH_ALL, 0); /* hits would not bring tables back */
		fill(&w);
		assert_string_equal(picture(&w.g, out), letters);
	}
	assert_int_equal(w.g.stales, 0);
	rig_down(&w.g);
}

#define CHECK(...)                                                    \
	do {                                                          \
		static const struct scope scopes[] = { __VA_ARGS__ }; \
		(void)state;                                          \
		check(scopes, sizeof(scopes) / sizeof(scopes[0]));    \
	} while (0)

/* kinds: L page, G global, B block, t table, u upper table, M and N: VMID 4
 * ASIDs 7 and 8, s stage 2, t its table */

static void nh_all_takes_stage_1_of_its_vmid(void **state)
{
	CHECK({ "NH_ALL 3", NH_ALL | VMID(3), 0, "-----MNst" },
	      { "NH_ALL 4", NH_ALL | VMID(4), 0, "LGBtu--st" },
	      { "NH_ALL 5", NH_ALL | VMID(5), 0, "LGBtuMNst" },
	      { "NH_ALL 0", NH_ALL, 0, "LGBtuMNst" });
}

static void nh_asid_leaves_globals(void **state)
{
	CHECK({ "ASID 7 of 3", NH_ASID | VMID(3) | ASID(7), 0, "-G---MNst" },
	      { "ASID 7 of 4", NH_ASID | VMID(4) | ASID(7), 0, "LGBtu-Nst" },
	      { "ASID 8 of 4", NH_ASID | VMID(4) | ASID(8), 0, "LGBtuM-st" },
	      { "ASID 8 of 3", NH_ASID | VMID(3) | ASID(8), 0, "LGBtuMNst" });
}

static void nh_va_takes_one_address_of_its_asid(void **state)
{
	CHECK({ "leaf", NH_VA | VMID(3) | ASID(7), LOCAL | LEAF, "-GBtuMNst" },
	      { "all", NH_VA | VMID(3) | ASID(7), LOCAL, "-GB--MNst" },
	      { "ASID 8", NH_VA | VMID(3) | ASID(8), LOCAL, "LGBtuMNst" },
	      { "VMID 4", NH_VA | VMID(4) | ASID(7), LOCAL, "LGBtu-Nst" },
	      { "beside", NH_VA | VMID(3) | ASID(7), (LOCAL + 0x1000) | LEAF,
		"LGBtuMNst" },
	      { "same tables", NH_VA | VMID(3) | ASID(7), LOCAL + 0x1000,
		"LGB--MNst" },
	      { "global, any ASID", NH_VA | VMID(3) | ASID(99), GLOB | LEAF,
		"L-BtuMNst" },
	      { "inside a block", NH_VA | VMID(3) | ASID(7),
		(BLOCK + 0x1ff000) | LEAF, "LG-tuMNst" },
	      { "behind a block", NH_VA | VMID(3) | ASID(7),
		(BLOCK + 0x200000) | LEAF, "LGBtuMNst" });
}

static void nh_vaa_takes_one_address_of_every_asid(void **state)
{
	CHECK({ "4", NH_VAA | VMID(4), LOCAL | LEAF, "LGBtu--st" },
	      { "3", NH_VAA | VMID(3), LOCAL | LEAF, "-GBtuMNst" },
	      { "global", NH_VAA | VMID(3), GLOB | LEAF, "L-BtuMNst" });
}

/* TG 4K is 1 at bit 10; NUM at 16:12, SCALE at 24:20 of the first word */
static void ranges_take_what_they_cover(void **state)
{

	CHECK({ "2 pages", NH_VA | VMID(3) | ASID(7) | 1ULL << 12,
		(LOCAL - 0x1000) | TG_4K | LEAF, "-GBtuMNst" },
	      { "2 pages before", NH_VA | VMID(3) | ASID(7) | 1ULL << 12,
		(LOCAL - 0x2000) | TG_4K | LEAF, "LGBtuMNst" },
	      { "512 pages", NH_VA | VMID(3) | ASID(7) | 9ULL << 20,
		TG_4K | LEAF, "-GBtuMNst" },
	      { "512 pages, tables", NH_VA | VMID(3) | ASID(7) | 9ULL << 20,
		TG_4K, "-GB--MNst" },
	      { "32 << 18 pages",
		NH_VA | VMID(3) | ASID(7) | 31ULL << 12 | 18ULL << 20,
		TG_4K | LEAF, "-G-tuMNst" },
	      { "all of it", NH_VAA | VMID(3) | 31ULL << 12 | 31ULL << 20,
		TG_4K, "-----MNst" });
}

static void ttl_takes_leaves_of_its_level_only(void **state)
{
	CHECK({ "TTL 3", NH_VA | VMID(3) | ASID(7),
		LOCAL | TG_4K | TTL(3) | LEAF, "-GBtuMNst" },
	      { "TTL 2 at a page", NH_VA | VMID(3) | ASID(7),
		LOCAL | TG_4K | TTL(2) | LEAF, "LGBtuMNst" },
	      { "TTL 3 at a block", NH_VA | VMID(3) | ASID(7),
		BLOCK | TG_4K | TTL(3) | LEAF, "LGBtuMNst" },
	      { "TTL 2 at a block", NH_VA | VMID(3) | ASID(7),
		BLOCK | TG_4K | TTL(2) | LEAF, "LG-tuMNst" },
	      { "TTL 3, Leaf 0", NH_VA | VMID(3) | ASID(7),
		LOCAL | TG_4K | TTL(3), "-GB--MNst" });
}

static void tg_takes_its_granule_only(void **state)
{
	CHECK({ "TG 64K", NH_VA | VMID(3) | ASID(7),
		0x120000 | 3ULL << 10 | TTL(3) | LEAF, "LGBtuMNst" },
	      { "TG 16K", NH_VA | VMID(3) | ASID(7),
		0x120000 | 2ULL << 10 | TTL(3) | LEAF, "LGBtuMNst" },
	      { "TG 0", NH_VA | VMID(3) | ASID(7), LOCAL | LEAF, "-GBtuMNst" });
}

static void s12_vmall_takes_all_of_its_vmid(void **state)
{
	CHECK({ "3", S12_VMALL | VMID(3), 0, "-----MN--" },
	      { "4", S12_VMALL | VMID(4), 0, "LGBtu--st" },
	      { "5", S12_VMALL | VMID(5), 0, "LGBtuMNst" });
}

static void s2_ipa_leaves_what_stage_1_made_of_it(void **state)
{
	CHECK({ "leaf", S2_IPA | VMID(3), S2IPA | LEAF, "LGBtuMN-t" },
	      { "all", S2_IPA | VMID(3), S2IPA, "LGBtuMN--" },
	      { "VMID 4", S2_IPA | VMID(4), S2IPA, "LGBtuMNst" },
	      { "TTL 3", S2_IPA | VMID(3), S2IPA | TG_4K | TTL(3) | LEAF,
		"LGBtuMNst" },
	      { "TTL 2", S2_IPA | VMID(3), S2IPA | TG_4K | TTL(2) | LEAF,
		"LGBtuMN-t" },
	      { "elsewhere", S2_IPA | VMID(3), 0x1000, "LGBtuMNst" });
}

static void nsnh_all_takes_everything(void **state)
{
	CHECK({ "NSNH_ALL", NSNH_ALL, 0, "---------" });
}

static void other_commands_take_nothing_here(void **state)
{
	CHECK({ "PREFETCH_CONFIG", 0x01 | SID(8), 0, "LGBtuMNst" },
	      { "PREFETCH_ADDR", 0x02 | SID(8), LOCAL, "LGBtuMNst" },
	      { "CFGI_STE", CFGI_STE | SID(8), 0, "LGBtuMNst" },
	      { "CFGI_ALL", CFGI_ALL, "LGBtuMNst" },
	      { "ATC_INV", ATC_INV | SID(8), 52, "LGBtuMNst" });
}

/* A stage-1 block above small stage-2 pages goes as one (design.md 5). */
static void a_leaf_goes_as_a_whole(void **state)
{
	uint64_t root, s2;
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		rig_up(&g, policy);
		s2 = page(&g);
		map_ram(&g, s2);
		put(&g, slot_of(&g, s2, S2IPA, 2, 0), 0);
		for (uint64_t n = 0; n < 512; n++)
			map(&g, s2, S2IPA + n * 0x1000, 3, 0,
			    (DATA + n * 0x1000) | S2_PAGE);
		root = stream_nested(&g, 8, 3, 7, &s2);
		map(&g, root, BLOCK, 2, DELTA, S2IPA | BLOCK_NG);
		for (uint64_t n = 0; n < 512; n++)
			assert_int_equal(see(&g, 0, BLOCK + n * 0x1000).pa,
					 DATA + n * 0x1000);
		assert_true(see(&g, 0, BLOCK + 0x5000).hit);
		cmd(&g, NH_VA | VMID(3) | ASID(7), (BLOCK + 0x99000) | LEAF);
		for (uint64_t n = 0; n < 512; n++)
			assert_false(look(&g, 0, MODEL_NO_PASID,
					  BLOCK + n * 0x1000, MODEL_QUIET)
					     .hit);
		rig_down(&g);
	}
}

static void without_stage_2_vmids_do_not_count(void **state)
{
	struct smmuv3_id id;
	struct rig g;
	uint64_t root;

	(void)state;
	smmuv3_model_default_id(&id);
	id.idr[0] &= ~1u; /* S2P */
	assert_int_equal(rig_try(&g, IOTLB_HOSTILE, &id), 0);
	rig_on(&g, CR0_ON);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, LOCAL, 3, 0, DATA | PAGE_NG);
	see(&g, 0, LOCAL);
	assert_true(see(&g, 0, LOCAL).hit);
	cmd(&g, NH_VA | VMID(55) | ASID(7), LOCAL | LEAF);
	assert_false(see(&g, 0, LOCAL).hit);
	rig_down(&g);
}

static void illegal_commands_stop_the_queue_where_they_are(void **state)
{
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 0, 7);
	map(&g, root, LOCAL, 3, 0, DATA | PAGE_NG);
	map(&g, root, LOCAL + 0x1000, 3, 0, DATA | PAGE_NG);
	see(&g, 0, LOCAL);
	see(&g, 0, LOCAL + 0x1000);
	cmd_put(&g, NH_VA | ASID(7), LOCAL | LEAF);
	cmd_put(&g, 0x46, 0);
	cmd_put(&g, 0x20, 0); /* TLBI_EL2_ALL */
	cmd_put(&g, NH_VA | ASID(7), (LOCAL + 0x1000) | LEAF);
	doorbell(&g);
	assert_int_equal(reg_get(&g, REG_CMDQ_CONS, 4), 0x01000002);
	assert_int_equal(reg_get(&g, REG_GERROR, 4), 1);
	assert_false(look(&g, 0, MODEL_NO_PASID, LOCAL, MODEL_QUIET).hit);
	assert_true(see(&g, 0, LOCAL + 0x1000).hit);

	at(&g, CMDQ + 2 * 16)[0] = 0x46;
	reg_set(&g, REG_GERRORN, 4, 1);
	assert_int_equal(reg_get(&g, REG_CMDQ_CONS, 4) & 0xff, 4);
	assert_false(
		look(&g, 0, MODEL_NO_PASID, LOCAL + 0x1000, MODEL_QUIET).hit);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nh_all_takes_stage_1_of_its_vmid),
		cmocka_unit_test(nh_asid_leaves_globals),
		cmocka_unit_test(nh_va_takes_one_address_of_its_asid),
		cmocka_unit_test(nh_vaa_takes_one_address_of_every_asid),
		cmocka_unit_test(ranges_take_what_they_cover),
		cmocka_unit_test(ttl_takes_leaves_of_its_level_only),
		cmocka_unit_test(tg_takes_its_granule_only),
		cmocka_unit_test(s12_vmall_takes_all_of_its_vmid),
		cmocka_unit_test(s2_ipa_leaves_what_stage_1_made_of_it),
		cmocka_unit_test(nsnh_all_takes_everything),
		cmocka_unit_test(other_commands_take_nothing_here),
		cmocka_unit_test(a_leaf_goes_as_a_whole),
		cmocka_unit_test(without_stage_2_vmids_do_not_count),
		cmocka_unit_test(
			illegal_commands_stop_the_queue_where_they_are),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
