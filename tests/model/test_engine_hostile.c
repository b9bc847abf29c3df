// SPDX-License-Identifier: MIT
/*
 * What else policy hostile keeps because it may: level-1 CD descriptors, leaves
 * whose only use was refused, and what stage 2 made of the addresses of CDs. A
 * missing or too narrow command always shows, the right one always helps.
 */
#include "engine_rig.h"

#define DATA	(RAM + 0x1000000)
#define SSID(n) ((uint64_t)(n) << 12)
/* STE doubleword 0: S1Fmt 1 (64 CDs in a leaf table), S1CDMax 7 */
#define STE_CD_2L   0x3800000000000010ULL
#define CD_IPA	    0x9999000ULL
#define L1_IPA	    0x999a000ULL
#define STE2_HA	    0x0100000000000000ULL
#define S2_PAGE_WO  0x4bfULL /* AF, S2AP 10, write-back, page */
#define S2_PAGE_OLD 0x0ffULL /* no AF, S2AP 11 */

/* Two level-2 tables whose CDs lead to different places */
struct two {
	struct rig g;
	uint64_t l1;
	uint64_t table[2];
};

static uint64_t cd_table(struct rig *g, unsigned int asid, uint64_t data)
{
	uint64_t table = page(g);
	uint64_t root = page(g);

	map(g, root, 0x1000, 3, 0, data | PAGE_NG);
	for (unsigned int n = 1; n < 3; n++)
		cd(g, table + 64 * n, CD0 | CD_ASID(asid), root);
	return table;
}

static void two_up(struct two *f, enum iotlb_policy policy)
{
	rig_up(&f->g, policy);
	f->l1 = page(&f->g);
	f->table[0] = cd_table(&f->g, 7, DATA);
	f->table[1] = cd_table(&f->g, 8, DATA + 0x5000);
	put(&f->g, f->l1, f->table[0] | 1);
	put(&f->g, f->l1 + 8, f->table[0] | 1);
	for (unsigned int sid = 8; sid < 10; sid++)
		ste(&f->g, sid, STE_S1 | STE_CD_2L | f->l1, STE1, 5, 0);
}

static struct model_translation with(struct two *f, int port, uint32_t pasid)
{
	return look(&f->g, port, pasid, 0x1000, 0);
}

static void says(struct rig *g, const char *words)
{
	if (!strstr(g->why, words))
		fail_msg("\"%s\" does not say \"%s\"", g->why, words);
}

static void a_moved_level_2_cd_table_needs_leaf_0(void **state)
{
	struct two f;

	(void)state;
	two_up(&f, IOTLB_HOSTILE);
	assert_int_equal(with(&f, 0, 1).pa, DATA);
	put(&f.g, f.l1, f.table[1] | 1);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_true(with(&f, 0, 1).stale);
	assert_int_equal(f.g.stale.cached_pa, DATA);
	assert_int_equal(f.g.stale.current_pa, DATA + 0x5000);
	says(&f.g, "level-1 descriptor to CD 1 of stream 0x8 cached");
	says(&f.g, "CFGI_CD: Leaf=1 keeps level-1 descriptors");

	/* of another table; of another stream */
	cmd(&f.g, CFGI_CD | SID(8) | SSID(65), 0);
	cmd(&f.g, CFGI_CD | SID(9) | SSID(1), 0);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_true(with(&f, 0, 1).stale);
	says(&f.g, "CD 65 lies behind another level-1 descriptor");

	/* any SubstreamID of the table names it; the CD itself stays */
	cmd(&f.g, CFGI_CD | SID(8) | SSID(2), 0);
	assert_true(with(&f, 0, 1).stale);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_int_equal(with(&f, 0, 1).pa, DATA + 0x5000);
	assert_int_equal(f.g.stales, 3);
	rig_down(&f.g);
}

/* 4.3.1 to 4.3.4, 4.3.6: whatever reaches the L1CD */
static void each_wider_command_takes_level_1_cd_descriptors(void **state)
{
	static const uint64_t right[][2] = {
		{ CFGI_CD | SID(8) | SSID(1), 0 },
		{ CFGI_CD_ALL | SID(8), 0 },
		{ CFGI_STE | SID(8), LEAF },
		{ CFGI_STE | SID(8), 0 },
		{ 0x04ULL | SID(9), 0 }, /* 8 and 9 */
		{ CFGI_ALL },
	};
	struct model_translation t;
	struct two f;

	(void)state;
	two_up(&f, IOTLB_HOSTILE);
	for (size_t n = 0; n < sizeof(right) / sizeof(right[0]); n++) {
		with(&f, 0, 1);
		put(&f.g, f.l1, f.table[~n & 1] | 1);
		cmd(&f.g, right[n][0], right[n][1]);
		t = with(&f, 0, 1);
		assert_int_equal(t.pa, n & 1 ? DATA : DATA + 0x5000);
		assert_false(t.stale);
	}
	assert_int_equal(f.g.stales, 0);
	rig_down(&f.g);
}

/* 3.21.3, 5.3.1: V going from 0 to 1 takes an invalidation, too. */
static void an_invalid_level_1_cd_descriptor_is_cached(void **state)
{
	struct two f;

	(void)state;
	two_up(&f, IOTLB_HOSTILE);
	put(&f.g, f.l1, 0);
	assert_int_equal(with(&f, 0, 1).event, 0x08);
	assert_int_equal(f.g.stales, 0);
	put(&f.g, f.l1, f.table[0] | 1);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_int_equal(with(&f, 0, 1).event, 0x08);
	assert_int_equal(f.g.stales, 1);
	assert_true(f.g.stale.mapped);
	says(&f.g, "Leaf=1 keeps level-1 descriptors");
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), 0);
	assert_int_equal(with(&f, 0, 1).pa, DATA);
	assert_int_equal(f.g.stales, 1);
	rig_down(&f.g);
}

/* What could not be fetched is not remembered (3.21.3). */
static void a_level_1_cd_descriptor_outside_memory_is_not_cached(void **state)
{
	struct two f;

	(void)state;
	two_up(&f, IOTLB_HOSTILE);
	ste(&f.g, 8, STE_S1 | STE_CD_2L | 0x20000000, STE1, 5, 0);
	assert_int_equal(with(&f, 0, 1).event, 0x09);
	ste(&f.g, 8, STE_S1 | STE_CD_2L | f.l1, STE1, 5, 0);
	cmd(&f.g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(with(&f, 0, 1).pa, DATA);
	assert_int_equal(f.g.stales, 0);
	rig_down(&f.g);
}

static void fast_keeps_no_level_1_cd_descriptors(void **state)
{
	struct two f;

	(void)state;
	two_up(&f, IOTLB_FAST);
	assert_int_equal(with(&f, 0, 1).pa, DATA);
	put(&f.g, f.l1, f.table[1] | 1);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_int_equal(with(&f, 0, 1).pa, DATA + 0x5000);
	rig_down(&f.g);
}

/* The STE and the CD are told apart from what lies between them. */
static void the_right_part_of_the_configuration_is_blamed(void **state)
{
	struct two f;

	(void)state;
	two_up(&f, IOTLB_HOSTILE);
	with(&f, 0, 1);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(1), LEAF);
	with(&f, 0, 1); /* now by the cached L1CD, which is right */
	memcpy(at(&f.g, f.table[0] + 64), at(&f.g, f.table[1] + 64), 64);
	cmd(&f.g, CFGI_CD | SID(8) | SSID(2), 0);
	assert_true(with(&f, 0, 1).stale);
	says(&f.g, "configuration of stream 0x8");
	says(&f.g, "CD 2, cached is CD 1");
	ste(&f.g, 8, STE_ABORT, STE1, 5, 0);
	cmd(&f.g, CFGI_CD_ALL | SID(8), 0);
	assert_true(with(&f, 0, 1).stale);
	says(&f.g, "it leaves the STE");
	cmd(&f.g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(with(&f, 0, 1).result, MODEL_ABORTED);
	assert_int_equal(f.g.stales, 2);
	rig_down(&f.g);
}

/*
 * Leaves that refuse
 */

static struct model_translation write_to(struct rig *g, uint64_t iova)
{
	return look(g, 0, MODEL_NO_PASID, iova, MODEL_WRITE);
}

static void a_refused_page_is_cached_all_the_same(void **state)
{
	uint64_t root;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 5, 7);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_RO);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 0);
	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	cmd(&g, NH_VA | VMID(5) | ASID(7), 0x2000 | LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_int_equal(g.stale.cached_pa, DATA);
	says(&g, "TLBI_NH_VA 0x2000-0x2fff: address outside");
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 2);
	assert_true(g.stale.mapped);
	cmd(&g, NH_VA | VMID(5) | ASID(7), 0x1000 | LEAF);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

/* Nor does fast walk twice for it. */
static void fast_does_not_cache_what_was_refused(void **state)
{
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_RO);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA);
	rig_down(&g);
}

/* D8.16: not with a translation, an address size or an access flag fault */
static void what_is_no_valid_leaf_is_not_cached(void **state)
{
	static const struct {
		uint64_t descriptor;
		uint8_t event;
	} bad[] = {
		{ 0, 0x10 },
		{ (DATA | PAGE_RO) & ~1ULL, 0x10 },
		{ (DATA | PAGE_RO) & ~2ULL, 0x10 }, /* reserved at level 3 */
		{ DATA | (PAGE_RO & ~0x400ULL), 0x12 },
	};
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 5, 7);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		uint64_t va = 0x10000 + n * 0x1000;

		map(&g, root, va, 3, 0, bad[n].descriptor);
		assert_int_equal(write_to(&g, va).event, bad[n].event);
		map(&g, root, va, 3, 0, DATA | PAGE_NG);
		assert_int_equal(write_to(&g, va).pa, DATA);
	}
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* With HA the flag would have to be set first; the refused access does not. */
static void a_refused_page_that_waits_for_its_access_flag_is_not(void **state)
{
	uint64_t root, cds;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = page(&g);
	cds = page(&g);
	cd(&g, cds, CD0 | CD0_HA | CD_ASID(1), root);
	ste(&g, 8, STE_S1 | cds, STE1, 5, 0);
	map(&g, root, 0x1000, 3, 0, DATA | (PAGE_RO & ~0x400ULL));
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(*at(&g, slot_of(&g, root, 0x1000, 3, 0)),
			 DATA | (PAGE_RO & ~0x400ULL));
	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x5000);
	/* and with the flag it is */
	map(&g, root, 0x2000, 3, 0, DATA | PAGE_RO);
	assert_int_equal(write_to(&g, 0x2000).event, 0x13);
	map(&g, root, 0x2000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	assert_true(see(&g, 0, 0x2000).stale);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/* Only a look: nothing is inserted. */
static void a_quiet_look_that_is_refused_caches_nothing(void **state)
{
	struct rig g;
	uint64_t root;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_s1(&g, 8, 5, 7);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_RO);
	look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE | MODEL_QUIET);
	map(&g, root, 0x1000, 3, 0, (DATA + 0x5000) | PAGE_NG);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

static void stage_1_refuses_and_the_combination_is_cached(void **state)
{
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_RO);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA + 0x5000) | PAGE_NG);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_int_equal(g.stale.cached_pa, DATA);
	says(&g, "combined translations");
	cmd(&g, NH_VA | VMID(3) | ASID(7), 0x1000 | LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/* Stage 2 has nothing there: there is no combination to cache. */
static void stage_1_refuses_above_a_hole(void **state)
{
	uint64_t root, s2 = 0;
	uint64_t rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, 0x7777000 | PAGE_RO);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_true(event(&g, rec));
	assert_false(rec[1] & 1ULL << 39); /* S2: of stage 1 it is */
	no_event(&g);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* Both are cached: what stage 2 refused, and what it is of. */
static void stage_2_refuses_and_takes_both_commands(void **state)
{
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, 0x7777000 | PAGE_NG);
	map(&g, s2, 0x7777000, 3, 0, DATA | S2_PAGE_RO);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	map(&g, s2, 0x7777000, 3, 0, DATA | S2_PAGE);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 1);
	cmd(&g, S2_IPA | VMID(3), 0x7777000 | LEAF);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 2);
	says(&g, "does not reach combined translations");
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 2);

	/* the other way round */
	map(&g, s2, 0x7777000, 3, 0, DATA | S2_PAGE_RO);
	cmd(&g, S2_IPA | VMID(3), 0x7777000 | LEAF);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	map(&g, s2, 0x7777000, 3, 0, DATA | S2_PAGE);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 3);
	says(&g, "stage-2 translations");
	cmd(&g, S2_IPA | VMID(3), 0x7777000 | LEAF);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 3);
	rig_down(&g);
}

static void
a_page_of_stage_2_that_waits_for_its_access_flag_is_not(void **state)
{
	const uint64_t old = DATA | (S2_PAGE_RO & ~0x400ULL);
	uint64_t root, s2 = 0, slot;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	ste(&g, 8, *at(&g, STRTAB + 64 * 8), STE1, STE2 | STE2_HA | 3, s2);
	map(&g, root, 0x1000, 3, DELTA, 0x7777000 | PAGE_NG);
	map(&g, root, 0x2000, 3, DELTA, 0x7777000 | PAGE_RO);
	slot = slot_of(&g, s2, 0x7777000, 3, 0);
	put(&g, slot, old);
	assert_int_equal(write_to(&g, 0x1000).event, 0x13);
	assert_int_equal(write_to(&g, 0x2000).event, 0x13);
	assert_int_equal(*at(&g, slot), old);
	put(&g, slot, (DATA + 0x5000) | S2_PAGE);
	assert_int_equal(write_to(&g, 0x1000).pa, DATA + 0x5000);
	map(&g, root, 0x2000, 3, DELTA, 0x7777000 | PAGE_NG);
	assert_int_equal(write_to(&g, 0x2000).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* A table of stage 1 that stage 2 does not let be read */
static void a_refused_table_takes_s2_ipa(void **state)
{
	uint64_t root, s2 = 0;
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	root = stream_nested(&g, 8, 3, 7, &s2);
	map(&g, root, 0x1000, 3, DELTA, (DATA + DELTA) | PAGE_NG);
	/* its level-3 table by another address */
	map(&g, s2, 0x7777000, 3, 0,
	    (slot_of(&g, root, 0, 3, DELTA)) | S2_PAGE_WO);
	put(&g, slot_of(&g, root, 0x1000, 2, DELTA), 0x7777003);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x13);
	map(&g, s2, 0x7777000, 3, 0,
	    (*at(&g, slot_of(&g, s2, 0x7777000, 3, 0)) & ~0xfffULL) | S2_PAGE);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 1);
	says(&g, "stage-2 translations");
	cmd(&g, S2_IPA | VMID(3), 0x7777000 | LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/*
 * CDs under stage 2
 */

/* Like stream_nested(), but the CD lies at CD_IPA, a page of its own */
static void cd_behind_a_page(struct rig *g, uint64_t s2, uint64_t cds[2])
{
	for (unsigned int n = 0; n < 2; n++) {
		uint64_t root = page(g);

		cds[n] = page(g);
		map(g, root, 0x1000, 3, DELTA,
		    (DATA + DELTA + n * 0x5000) | PAGE_NG);
		cd(g, cds[n], CD0 | CD_ASID(7 + n), root + DELTA);
	}
	map(g, s2, CD_IPA, 3, 0, cds[0] | S2_PAGE);
	ste(g, 8, STE_NESTED | CD_IPA, STE1, STE2 | 3, s2);
}

static void a_moved_cd_takes_s2_ipa_and_cfgi_cd(void **state)
{
	uint64_t s2 = 0, cds[2];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	stream_nested(&g, 9, 3, 1, &s2);
	cd_behind_a_page(&g, s2, cds);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	map(&g, s2, CD_IPA, 3, 0, cds[1] | S2_PAGE);
	cmd(&g, CFGI_CD | SID(8), LEAF);
	cmd(&g, NH_ALL | VMID(3), 0);
	assert_true(see(&g, 0, 0x1000).stale);
	assert_int_equal(g.stale.cached_pa, DATA);
	assert_int_equal(g.stale.current_pa, DATA + 0x5000);
	says(&g, "stage-2 translations: VMID 3");
	says(&g, "TLBI_NH_ALL: it does not reach stage-2 translations");
	/* what was made of it is configuration by now */
	cmd(&g, S2_IPA | VMID(3), CD_IPA | LEAF);
	assert_true(see(&g, 0, 0x1000).stale);
	says(&g, "configuration of stream 0x8");
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

/* Stage 2 refuses to let it be read; the event is of class CD. */
static void a_refused_cd_takes_s2_ipa(void **state)
{
	uint64_t s2 = 0, cds[2], rec[4];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	stream_nested(&g, 9, 3, 1, &s2);
	cd_behind_a_page(&g, s2, cds);
	map(&g, s2, CD_IPA, 3, 0, cds[0] | S2_PAGE_WO);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x13);
	map(&g, s2, CD_IPA, 3, 0, cds[0] | S2_PAGE);
	cmd(&g, CFGI_STE | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).event, 0x13);
	assert_int_equal(g.stales, 1);
	says(&g, "stage-2 translations: VMID 3");
	for (int n = 0; n < 2; n++) {
		assert_true(event(&g, rec));
		assert_int_equal(rec[1] >> 39 & 7, 1); /* S2, CLASS CD */
		assert_int_equal(rec[3], CD_IPA);
	}
	cmd(&g, S2_IPA | VMID(3), CD_IPA | LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	assert_int_equal(g.stales, 1);
	rig_down(&g);
}

/* A fault of stage 2 that is not of permission is not remembered (3.21.3). */
static void a_cd_that_stage_2_does_not_map_is_not_cached(void **state)
{
	static const uint64_t bad[2] = { 0, S2_PAGE_OLD };
	uint64_t s2 = 0, cds[2];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	stream_nested(&g, 9, 3, 1, &s2);
	cd_behind_a_page(&g, s2, cds);
	for (int n = 0; n < 2; n++) {
		map(&g, s2, CD_IPA, 3, 0, cds[0] | bad[n]);
		assert_int_equal(see(&g, 0, 0x1000).event, n ? 0x12 : 0x10);
		map(&g, s2, CD_IPA, 3, 0, cds[0] | S2_PAGE);
		assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
		cmd(&g, CFGI_CD | SID(8), LEAF);
		cmd(&g, S12_VMALL | VMID(3), 0);
	}
	assert_int_equal(g.stales, 0);
	rig_down(&g);
}

/* The level-1 table moves below stage 2: three caches know of it. */
static void a_moved_level_1_cd_table_takes_leaf_0_as_well(void **state)
{
	uint64_t s2 = 0, cds[2], l1[2];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_HOSTILE);
	stream_nested(&g, 9, 3, 1, &s2);
	cd_behind_a_page(&g, s2, cds);
	for (int n = 0; n < 2; n++) {
		l1[n] = page(&g);
		put(&g, l1[n], (cds[n] + DELTA) | 1);
		cd(&g, cds[n] + 64, *at(&g, cds[n]), at(&g, cds[n])[1]);
	}
	map(&g, s2, L1_IPA, 3, 0, l1[0] | S2_PAGE);
	ste(&g, 8, STE_NESTED | STE_CD_2L | L1_IPA, STE1, STE2 | 3, s2);
	assert_int_equal(look(&g, 0, 1, 0x1000, 0).pa, DATA);
	map(&g, s2, L1_IPA, 3, 0, l1[1] | S2_PAGE);
	cmd(&g, S2_IPA | VMID(3), L1_IPA | LEAF);
	cmd(&g, CFGI_CD | SID(8) | SSID(1), LEAF);
	assert_true(look(&g, 0, 1, 0x1000, 0).stale);
	says(&g, "Leaf=1 keeps level-1 descriptors");
	cmd(&g, CFGI_CD | SID(8) | SSID(1), 0);
	assert_int_equal(look(&g, 0, 1, 0x1000, 0).pa, DATA + 0x5000);
	assert_int_equal(g.stales, 1);

	/* without S2_IPA the old table is read again */
	map(&g, s2, L1_IPA, 3, 0, l1[0] | S2_PAGE);
	cmd(&g, CFGI_CD | SID(8) | SSID(1), 0);
	assert_true(look(&g, 0, 1, 0x1000, 0).stale);
	says(&g, "stage-2 translations: VMID 3");
	cmd(&g, S2_IPA | VMID(3), L1_IPA | LEAF);
	cmd(&g, CFGI_CD | SID(8) | SSID(1), 0);
	assert_int_equal(look(&g, 0, 1, 0x1000, 0).pa, DATA);
	assert_int_equal(g.stales, 2);
	rig_down(&g);
}

static void fast_reads_cds_through_stage_2_as_it_is(void **state)
{
	uint64_t s2 = 0, cds[2];
	struct rig g;

	(void)state;
	rig_up(&g, IOTLB_FAST);
	stream_nested(&g, 9, 3, 1, &s2);
	cd_behind_a_page(&g, s2, cds);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA);
	map(&g, s2, CD_IPA, 3, 0, cds[1] | S2_PAGE);
	cmd(&g, CFGI_CD | SID(8), LEAF);
	assert_int_equal(see(&g, 0, 0x1000).pa, DATA + 0x5000);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moved_level_2_cd_table_needs_leaf_0),
		cmocka_unit_test(
			each_wider_command_takes_level_1_cd_descriptors),
		cmocka_unit_test(an_invalid_level_1_cd_descriptor_is_cached),
		cmocka_unit_test(
			a_level_1_cd_descriptor_outside_memory_is_not_cached),
		cmocka_unit_test(fast_keeps_no_level_1_cd_descriptors),
		cmocka_unit_test(the_right_part_of_the_configuration_is_blamed),
		cmocka_unit_test(a_refused_page_is_cached_all_the_same),
		cmocka_unit_test(fast_does_not_cache_what_was_refused),
		cmocka_unit_test(what_is_no_valid_leaf_is_not_cached),
		cmocka_unit_test(
			a_refused_page_that_waits_for_its_access_flag_is_not),
		cmocka_unit_test(a_quiet_look_that_is_refused_caches_nothing),
		cmocka_unit_test(stage_1_refuses_and_the_combination_is_cached),
		cmocka_unit_test(stage_1_refuses_above_a_hole),
		cmocka_unit_test(stage_2_refuses_and_takes_both_commands),
		cmocka_unit_test(
			a_page_of_stage_2_that_waits_for_its_access_flag_is_not),
		cmocka_unit_test(a_refused_table_takes_s2_ipa),
		cmocka_unit_test(a_moved_cd_takes_s2_ipa_and_cfgi_cd),
		cmocka_unit_test(a_refused_cd_takes_s2_ipa),
		cmocka_unit_test(a_cd_that_stage_2_does_not_map_is_not_cached),
		cmocka_unit_test(a_moved_level_1_cd_table_takes_leaf_0_as_well),
		cmocka_unit_test(fast_reads_cds_through_stage_2_as_it_is),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
