// SPDX-License-Identifier: MIT
/*
 * The coherence checker: a translation that memory does not back any more is
 * reported with the reason why no command removed it; nothing else is.
 */
#include "engine_rig.h"

#define DATA (RAM + 0x1000000)

static uint64_t up(struct rig *g)
{
	uint64_t root;

	rig_up(g, IOTLB_HOSTILE);
	root = stream_s1(g, 8, 5, 7);
	map(g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	assert_false(see(g, 0, 0x1000).stale);
	assert_int_equal(g->stales, 0);
	return root;
}

/* The page moves, @dw0 and @dw1 come instead of what should; why? */
static void expect(uint64_t dw0, uint64_t dw1, const char *reason)
{
	struct model_translation t;
	struct rig g;
	uint64_t root = up(&g);

	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	if (dw0)
		cmd(&g, dw0, dw1);
	t = see(&g, 0, 0x1008);
	assert_true(t.hit && t.stale);
	assert_int_equal(t.pa, DATA + 8);
	assert_int_equal(g.stales, 1);
	assert_int_equal(g.stale.stream_id, 8);
	assert_int_equal(g.stale.pasid, MODEL_NO_PASID);
	assert_int_equal(g.stale.iova, 0x1008);
	assert_int_equal(g.stale.cached_pa, DATA + 8);
	assert_true(g.stale.mapped);
	assert_int_equal(g.stale.current_pa, DATA + 0x5008);
	assert_int_equal(g.stale.cached_at, 0);
	assert_int_equal(g.stale.now, dw0 ? 2 : 0);
	if (!strstr(g.why, reason))
		fail_msg("\"%s\" does not say \"%s\"", g.why, reason);
	/* the right one ends it */
	cmd(&g, NH_VA | VMID(5) | ASID(7), 0x1000 | TG_4K | TTL(3) | LEAF);
	t = see(&g, 0, 0x1008);
	assert_true(!t.stale && t.pa == DATA + 0x5008);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

static void a_missing_invalidation_is_told(void **state)
{
	(void)state;
	expect(0, 0, "none of the 0 commands since could remove it");
	expect(CFGI_STE | SID(9), LEAF, "none of the 2 commands");
}

static void the_nearest_wrong_command_is_told_with_its_fault(void **state)
{
	const uint64_t va = NH_VA | VMID(5) | ASID(7);

	(void)state;
	expect(va, 0x2000 | LEAF, "TLBI_NH_VA 0x2000-0x2fff: address outside");
	expect(NH_VA | VMID(5) | ASID(8), 0x1000 | LEAF,
	       "ASID 8, cached with 7");
	expect(NH_VA | VMID(6) | ASID(7), 0x1000 | LEAF,
	       "VMID 6, cached with 5");
	expect(va, 0x1000 | TG_4K | TTL(2) | LEAF,
	       "TTL 2, cached from level 3");
	expect(va, 3ULL << 10 | TTL(3) | LEAF, "granule 64 KiB, not 4 KiB");
	expect(NH_ASID | VMID(5) | ASID(1), 0, "ASID 1, cached with 7");
	expect(S2_IPA | VMID(5), 0x1000, "does not reach stage-1 translations");
	expect(ATC_INV | SID(8), 52, "none of the 2 commands");
}

static void an_unmapped_page_is_stale_too(void **state)
{
	struct rig g;
	uint64_t root = up(&g);

	(void)state;
	map(&g, root, 0x1000, 3, 0, 0);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_false(g.stale.mapped);
	assert_int_equal(g.stale.current_pa, 0);
	cmd(&g, NH_ALL | VMID(5), 0);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x10);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

static void permissions_count_only_as_far_as_they_are_needed(void **state)
{
	struct rig g;
	uint64_t root = up(&g);

	(void)state;
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_RO);
	assert_false(see(&g, 0, 0x1000).stale);
	assert_true(look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).stale);
	cmd(&g, NH_ALL | VMID(5), 0);
	assert_false(see(&g, 0, 0x1000).stale);
	/* and a fault that memory would not give any more */
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	assert_int_equal(look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).event,
			 0x13);
	assert_int_equal(g.stales, 2);
	assert_int_equal(g.stale.cached_pa, 0);
	assert_true(g.stale.mapped);
	rig_down(&g);
}

static void stale_tables_are_found_behind_leaf_only_commands(void **state)
{
	uint64_t root, table;
	struct rig g;

	(void)state;
	root = up(&g);
	/* a new level-3 table with the same page elsewhere */
	table = page(&g);
	put(&g, table + 8, (DATA + 0x7000) | PAGE_NG);
	put(&g, slot_of(&g, root, 0x1000, 2, 0), table | 3);
	cmd(&g, NH_VA | VMID(5) | ASID(7), 0x1000 | LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "pointers to stage-1 tables"));
	assert_non_null(strstr(g.why, "Leaf=1 keeps tables"));
	cmd(&g, NH_VA | VMID(5) | ASID(7), 0x1000);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x7000);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

static void stage_2_changes_take_more_than_s2_ipa(void **state)
{
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, 0x9999000 | PAGE_NG);
	map(&g, s2, 0x9999000, 3, 0, DATA | S2_PAGE);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	map(&g, s2, 0x9999000, 3, 0, (DATA + 0x3000) | S2_PAGE);
	cmd(&g, S2_IPA | VMID(3), 0x9999000 | LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "does not reach combined"));
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x3000);
	assert_int_equal(g.stales, 1);

	/* the other way round: NH_ALL keeps the stage-2 entry */
	map(&g, s2, 0x9999000, 3, 0, DATA | S2_PAGE);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "stage-2 translations"));
	cmd(&g, S2_IPA | VMID(3), 0x9999000 | LEAF);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

static void stale_configuration_is_told_apart(void **state)
{
	uint64_t root, cds;
	struct rig g;

	(void)state;
	up(&g);
	cds = *at(&g, STRTAB + 64 * 8) & 0xfffff000;
	root = page(&g);
	map(&g, root, 0x1000, 3, 0, (DATA + 0x4000) | PAGE_NG);
	cd(&g, cds, CD0 | CD_ASID(9), root);
	cmd(&g, NH_ALL | VMID(5), 0);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "configuration of stream 0x8"));
	assert_non_null(strstr(g.why, "none of the 2"));
	cmd(&g, CFGI_CD | SID(9), LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "another StreamID"));
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x4000);
	assert_int_equal(g.stales, 2);

	ste(&g, 8, STE_ABORT, STE1, 0, 0);
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_non_null(strstr(g.why, "it leaves the STE"));
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	assert_int_equal(g.stales, 3);
	rig_down(&g);
}

/* A 2-level stream table: the level-1 descriptor is cached as well. */
static void a_moved_level_2_stream_table_needs_leaf_0(void **state)
{
	uint64_t l1, l2[2];
	struct rig g;

	(void)state;
	assert_int_equal(rig_try(&g, IOTLB_HOSTILE, NULL), 0);
	rig_on(&g, 0);
	l1 = page(&g);
	for (int n = 0; n < 2; n++) {
		l2[n] = page(&g);
		put(&g, l2[n] + 64 * 8 + 8, STE1);
	}
	put(&g, l2[0] + 64 * 8, STE_BYPASS);
	put(&g, l2[1] + 64 * 8, STE_ABORT);
	put(&g, l1, l2[0] | 7); /* Span: 64 STEs */
	reg_set(&g, REG_STRTAB_BASE, 8, l1);
	reg_set(&g, REG_STRTAB_CFG, 4, 1 << 16 | 6 << 6 | 8);
	reg_set(&g, REG_CR0, 4, CR0_ON);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_OK);
	put(&g, l1, l2[1] | 7);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_false(see(&g, 0, 0x1000).stale); /* nothing cached had a part */
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_OK);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "configuration"));
	cmd(&g, CFGI_STE | SID(20), 0); /* a neighbour behind the same one */
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

static void stale_atc_entries_are_found(void **state)
{
	struct model_access a = { .iova = 0x1000, .pasid = MODEL_NO_PASID };
	struct model_translation t;
	uint64_t root, cds;
	struct rig g;

	(void)state;
	root = up(&g);
	cds = *at(&g, STRTAB + 64 * 8) & 0xfffff000;
	ste(&g, 8, STE_S1 | cds, STE1 | STE1_ATS, 5, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
	assert_int_equal(g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
	assert_true(t.hit && !t.stale);
	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	cmd(&g, NH_ALL | VMID(5), 0);
	cmd(&g, ATC_INV | SID(8), 0x7000);
	assert_int_equal(g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
	assert_true(t.hit && t.stale);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "ATC entry"));
	assert_non_null(strstr(g.why, "address outside"));
	cmd(&g, ATC_INV | SID(8), 0x1000);
	assert_int_equal(g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
	assert_true(!t.stale && t.pa == DATA + 0x5000);
	rig_down(&g);
}

static void an_atc_filled_from_a_stale_entry_is_told(void **state)
{
	struct model_access a = { .iova = 0x1000,
				  .pasid = MODEL_NO_PASID,
				  .flags = MODEL_WRITE };
	struct model_translation t;
	uint64_t root, cds;
	struct rig g;

	(void)state;
	root = up(&g);
	cds = *at(&g, STRTAB + 64 * 8) & 0xfffff000;
	ste(&g, 8, STE_S1 | cds, STE1 | STE1_ATS, 5, 0);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	assert_int_equal(g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
	assert_true(t.stale && !t.hit);
	assert_int_equal(g.stales, 1);
	assert_non_null(strstr(g.why, "stage-1 translations"));
	/* a read-only answer to a write is no difference */
	map(&g, root, 0x2000, 3, 0, DATA | PAGE_RO);
	a.iova = 0x2000;
	for (int n = 0; n < 2; n++) {
		assert_int_equal(
			g.model->ops->ats_request(g.port[0], &a, 1, &t), 0);
		assert_true(!t.stale && t.read && !t.write);
	}
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/* A page made clean again must be written through a walk; AF is a hint. */
static void
a_lost_dirty_flag_is_stale_and_a_lost_access_flag_is_not(void **state)
{
	const uint64_t clean = DATA | PAGE_RO | 1ULL << 51; /* DBM */
	uint64_t root, cds;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = page(&g);
	cds = page(&g);
	cd(&g, cds, CD0 | CD0_HA | CD0_HD | CD_ASID(1), root);
	ste(&g, 8, STE_S1 | cds, STE1, 0, 0);
	map(&g, root, 0x1000, 3, 0, clean);
	look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE);
	look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE);
	assert_int_equal(g.stales, 0);
	map(&g, root, 0x1000, 3, 0, clean);
	assert_false(see(&g, 0, 0x1000).stale);
	assert_true(look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).stale);
	map(&g, root, 0x1000, 3, 0, (clean & ~0x480ULL));
	assert_false(look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).stale);
	rig_down(&g);
}

/* Random changes, each followed by its exact invalidation: never a word. */
static void correct_software_is_never_blamed(void **state)
{
	uint64_t seed = 42, root, s2;
	struct rig g;

	(void)state;
	for (int policy = IOTLB_FAST; policy <= IOTLB_HOSTILE; policy++) {
		s2 = 0;
		rig_up(&g, policy);
		root = stream_nested(&g, 8, 3, 7, &s2);
		for (int n = 0; n < 4000; n++) {
			uint64_t va, to;

			seed = seed * 6364136223846793005ULL + 1;
			va = (seed >> 40 & 31) << 12;
			to = DATA + (seed >> 50 & 255) * 0x1000;
			map(&g, root, va, 3, DELTA,
			    seed >> 60 ? (to + DELTA) | PAGE_NG : 0);
			cmd(&g, NH_VA | VMID(3) | ASID(7),
			    va | TG_4K | TTL(3) | LEAF);
			for (int i = 0; i < 3; i++) {
				struct model_translation t = see(&g, 0, va);

				if (seed >> 60)
					assert_int_equal(t.pa, to);
				else
					assert_int_equal(t.event, 0x10);
				assert_false(t.stale);
			}
			see(&g, 0, (seed >> 33 & 31) << 12);
			reg_set(&g, REG_EVENTQ_CONS, 4,
				reg_get(&g, REG_EVENTQ_PROD, 4));
		}
		assert_int_equal(g.stales, 0);
		rig_down(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_invalidation_is_told),
		cmocka_unit_test(
			the_nearest_wrong_command_is_told_with_its_fault),
		cmocka_unit_test(an_unmapped_page_is_stale_too),
		cmocka_unit_test(
			permissions_count_only_as_far_as_they_are_needed),
		cmocka_unit_test(
			stale_tables_are_found_behind_leaf_only_commands),
		cmocka_unit_test(stage_2_changes_take_more_than_s2_ipa),
		cmocka_unit_test(stale_configuration_is_told_apart),
		cmocka_unit_test(a_moved_level_2_stream_table_needs_leaf_0),
		cmocka_unit_test(stale_atc_entries_are_found),
		cmocka_unit_test(an_atc_filled_from_a_stale_entry_is_told),
		cmocka_unit_test(
			a_lost_dirty_flag_is_stale_and_a_lost_access_flag_is_not),
		cmocka_unit_test(correct_software_is_never_blamed),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
