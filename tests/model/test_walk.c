// SPDX-License-Identifier: MIT
/*
 * Walks of both stages and every granule: where they lead, and every fault at
 * every level. Events: 0x0b F_WALK_EABT, 0x10 F_TRANSLATION, 0x11 F_ADDR_SIZE,
 * 0x12 F_ACCESS, 0x13 F_PERMISSION.
 */
#include "walk_setup.h"

#define VA  0x0000123456789abcULL
#define OUT 0x00000abc00000000ULL /* aligned to every page, not to blocks */

static uint64_t low(int bits)
{
	return (1ULL << bits) - 1;
}

static uint64_t block_out(const struct gran *g, int level)
{
	const int *shift = g->lg2 == 12	  ? shift_4k
			   : g->lg2 == 14 ? shift_16k
					  : shift_64k;

	return 0x0000500000000000ULL & ~low(shift[level]);
}

static void test_stage_1_leaves_of_every_size(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->block; level <= 3; level++) {
			struct setup s = { 0 };
			uint64_t out = block_out(g, level);
			int lg2;

			setup_s1(&s, g);
			lg2 = s.t1.shift[level];
			tree_set(&s.t1, VA, level,
				 out | (level == 3 ? S1_PAGE : S1_BLOCK));
			assert_true(setup_walk(&s, VA, ACCESS_W | ACCESS_U));
			assert_int_equal(s.out.pa, out + (VA & low(lg2)));
			assert_int_equal(s.out.ipa, 0);
			assert_int_equal(s.out.page_lg2, lg2);
			assert_int_equal(s.out.page_first, VA & ~low(lg2));
			assert_int_equal(s.out.page_pa, out);
			assert_int_equal(s.out.leaf.first, VA & ~low(lg2));
			assert_int_equal(s.out.leaf.size_lg2, lg2);
			assert_int_equal(s.out.leaf.level, level);
			assert_int_equal(s.out.granule_lg2, g->lg2);
			assert_true(s.out.global);
			setup_down(&s);
		}
	}
}

static void test_stage_2_leaves_of_every_size(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->block; level <= 3; level++) {
			struct setup s = { 0 };
			uint64_t out = block_out(g, level);
			int lg2;

			setup_s2(&s, g);
			lg2 = s.t2.shift[level];
			tree_set(&s.t2, VA, level,
				 out | (level == 3 ? S2_PAGE : S2_BLOCK));
			assert_true(setup_walk(&s, VA, ACCESS_X));
			assert_int_equal(s.out.pa, out + (VA & low(lg2)));
			assert_int_equal(s.out.ipa, VA);
			assert_int_equal(s.out.page_lg2, lg2);
			assert_int_equal(s.out.page_ipa, VA & ~low(lg2));
			assert_int_equal(s.out.s2.level, level);
			assert_false(s.out.global);
			setup_down(&s);
		}
	}
}

/* All nine pairs of granules; the entry is the smaller of both leaves. */
static void test_nested_leaves_of_all_pairs_of_granules(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		const struct gran *g1 = &grans[i / 3];
		const struct gran *g2 = &grans[i % 3];
		int small = g1->lg2 < g2->lg2 ? g1->lg2 : g2->lg2;
		struct setup s = { 0 };
		uint64_t ipa = OUT | (VA & low(g1->lg2));

		setup_nested(&s, g1, g2);
		tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
		setup_map_tables(&s);
		tree_set(&s.t2, ipa, 3, 0x0000300000000000ULL | S2_PAGE);
		assert_true(setup_walk(&s, VA, ACCESS_W));
		assert_int_equal(s.out.ipa, ipa);
		assert_int_equal(s.out.pa,
				 0x0000300000000000ULL | (ipa & low(g2->lg2)));
		assert_int_equal(s.out.page_lg2, small);
		assert_int_equal(s.out.page_first, VA & ~low(small));
		assert_int_equal(s.out.page_ipa, ipa & ~low(small));
		assert_int_equal(s.out.page_pa, s.out.pa & ~low(small));
		assert_int_equal(s.out.leaf.size_lg2, g1->lg2);
		assert_int_equal(s.out.leaf.out, OUT);
		assert_int_equal(s.out.s2.size_lg2, g2->lg2);
		assert_int_equal(s.out.granule_lg2, g1->lg2);
		setup_down(&s);
	}
}

static void
test_a_small_stage_2_page_under_a_block_and_the_reverse(void **state)
{
	const struct gran *g = &grans[0];
	struct setup s = { 0 };

	(void)state;
	setup_nested(&s, g, g);
	tree_set(&s.t1, VA, 2, 0x0000500000200000ULL | S1_BLOCK);
	setup_map_tables(&s);
	/* VA & 0x1fffff is 0x189abc: one page of the block */
	tree_set(&s.t2, 0x0000500000389000ULL, 3,
		 0x0000200000007000ULL | S2_PAGE);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.pa, 0x0000200000007abcULL);
	assert_int_equal(s.out.page_lg2, 12);
	assert_int_equal(s.out.leaf.size_lg2, 21);
	assert_int_equal(s.out.leaf.first, 0x0000123456600000ULL);
	/* a page of stage 1 in a 1 GiB block of stage 2 */
	tree_set(&s.t1, 0x4000, 3, 0x0000612345678000ULL | S1_PAGE);
	setup_map_tables(&s);
	tree_set(&s.t2, 0x0000612345678000ULL, 1,
		 0x0000010040000000ULL | S2_BLOCK);
	assert_true(setup_walk(&s, 0x4123, ACCESS_R));
	assert_int_equal(s.out.pa, 0x0000010045678123ULL);
	assert_int_equal(s.out.page_lg2, 12);
	assert_int_equal(s.out.s2.size_lg2, 30);
	setup_down(&s);
}

/* Stage 1 alone: an invalid descriptor at each level, and encodings that the
 * level has not got: blocks too high up, bit 1 clear at level 3. */
static void test_translation_faults_of_stage_1_at_each_level(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s1_first; level <= 3; level++) {
			struct expect e = { 0x10, 2, 0, level, 0, 0 };
			struct setup s = { 0 };

			setup_s1(&s, g);
			tree_set(&s.t1, VA, level, OUT | (S1_PAGE & ~1ULL));
			expect_walk_fault(&s, VA, ACCESS_R, e);
			tree_set(&s.t1, VA, level, OUT | S1_BLOCK);
			if (level < g->block || level == 3)
				expect_walk_fault(&s, VA, ACCESS_R, e);
			else
				assert_true(setup_walk(&s, VA, ACCESS_R));
			setup_down(&s);
		}
	}
}

static void test_translation_faults_of_stage_2_at_each_level(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s2_first; level <= 3; level++) {
			struct expect e = { 0x10, 2, 1, level, VA, 0 };
			struct setup s = { 0 };

			setup_s2(&s, g);
			tree_set(&s.t2, VA, level, OUT | (S2_PAGE & ~1ULL));
			expect_walk_fault(&s, VA, ACCESS_R, e);
			tree_set(&s.t2, VA, level, OUT | S2_BLOCK);
			if (level < g->block || level == 3)
				expect_walk_fault(&s, VA, ACCESS_R, e);
			else
				assert_true(setup_walk(&s, VA, ACCESS_R));
			setup_down(&s);
		}
	}
}

/* Outputs of 40 bits, bit 40 set: in table descriptors and in leaves. An
 * access flag that is clear and a denied write come second. */
static void test_address_size_faults_at_each_level(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s1_first; level <= 3; level++) {
			struct expect e = { 0x11, 2, 0, level, 0, 0 };
			struct setup s = { 0 };

			setup_s1(&s, g);
			s.cd[0] = (s.cd[0] & ~IPS_ALL) | IPS_40;
			setup_decode(&s);
			tree_set(&s.t1, VA, level, 0x0000010000000003ULL);
			expect_walk_fault(&s, VA, ACCESS_W, e);
			if (level >= g->block && level < 3) {
				tree_set(&s.t1, VA, level,
					 0x0000018000000001ULL);
				expect_walk_fault(&s, VA, ACCESS_W, e);
			}
			setup_down(&s);
		}
		for (int level = g->s2_first; level <= 3; level++) {
			struct expect e = { 0x11, 2, 1, level, VA, 0 };
			struct setup s = { 0 };

			setup_s2(&s, g);
			s.ste[2] = (s.ste[2] & ~S2PS_ALL) | S2PS_40;
			setup_decode(&s);
			tree_set(&s.t2, VA, level, 0x0000010000000003ULL);
			expect_walk_fault(&s, VA, ACCESS_W, e);
			setup_down(&s);
		}
	}
}

/* A table outside memory: the descriptor that cannot be read is named. */
static void test_external_aborts_at_each_level(void **state)
{
	const uint64_t nowhere = 0x0000007f00000000ULL;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];
		uint64_t mask = low(g->lg2 - 3);

		for (int level = g->s1_first; level < 3; level++) {
			struct setup s = { 0 };
			uint64_t index;

			setup_s1(&s, g);
			tree_set(&s.t1, VA, level, nowhere | 3);
			index = (VA >> s.t1.shift[level + 1]) & mask;
			expect_walk_fault(
				&s, VA, ACCESS_R,
				(struct expect){ 0x0b, 1, 0, level + 1, 0,
						 nowhere + index * 8 });
			setup_down(&s);
		}
		for (int level = g->s2_first; level < 3; level++) {
			struct setup s = { 0 };
			uint64_t index;

			setup_s2(&s, g);
			tree_set(&s.t2, VA, level, nowhere | 3);
			index = (VA >> s.t2.shift[level + 1]) & mask;
			expect_walk_fault(
				&s, VA, ACCESS_R,
				(struct expect){ 0x0b, 2, 1, level + 1, 0,
						 nowhere + index * 8 });
			setup_down(&s);
		}
	}
}

static void test_access_flag_and_permission_faults_at_each_leaf(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->block; level <= 3; level++) {
			uint64_t page = level == 3 ? 2 : 0;
			struct setup s = { 0 };
			struct setup t = { 0 };

			/* AP 10 (read-only), AF clear: F_ACCESS comes first */
			setup_s1(&s, g);
			tree_set(&s.t1, VA, level, 0x081 | page);
			expect_walk_fault(&s, VA, ACCESS_W,
					  (struct expect){ 0x12, 2, 0, level });
			tree_set(&s.t1, VA, level, 0x481 | page);
			expect_walk_fault(&s, VA, ACCESS_W,
					  (struct expect){ 0x13, 2, 0, level });
			setup_down(&s);

			/* S2AP 01 */
			setup_s2(&t, g);
			tree_set(&t.t2, VA, level, 0x07d | page);
			expect_walk_fault(
				&t, VA, ACCESS_W,
				(struct expect){ 0x12, 2, 1, level, VA });
			tree_set(&t.t2, VA, level, 0x47d | page);
			expect_walk_fault(
				&t, VA, ACCESS_W,
				(struct expect){ 0x13, 2, 1, level, VA });
			assert_true(setup_walk(&t, VA, ACCESS_R));
			setup_down(&t);
		}
	}
}

static void test_nested_faults_of_stage_1_at_each_level(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s1_first; level <= 3; level++) {
			struct setup s = { 0 };

			setup_nested(&s, g, g);
			tree_set(&s.t1, VA, level, 0);
			setup_map_tables(&s);
			expect_walk_fault(&s, VA, ACCESS_R,
					  (struct expect){ 0x10, 2, 0, level });
			setup_down(&s);
		}
	}
}

/* The stage-2 page of the table of one stage-1 level: CLASS TT, and the IPA is
 * that of the descriptor, whatever the fault. */
static void test_stage_2_faults_on_the_table_of_each_stage_1_level(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s1_first; level <= 3; level++) {
			struct setup s = { 0 };
			uint64_t slot, page;

			setup_nested(&s, g, g);
			tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
			setup_map_tables(&s);
			slot = tree_slot(&s.t1, VA, level);
			page = slot & ~low(g->lg2);
			tree_set(&s.t2, slot + DELTA, 3, page | 0x4fe);
			expect_walk_fault(
				&s, VA, ACCESS_W,
				(struct expect){ 0x10, 1, 1, 3, slot + DELTA });
			tree_set(&s.t2, slot + DELTA, 3, page | 0x0ff);
			expect_walk_fault(
				&s, VA, ACCESS_W,
				(struct expect){ 0x12, 1, 1, 3, slot + DELTA });
			/* write-only: S2AP 10 */
			tree_set(&s.t2, slot + DELTA, 3, page | 0x4bf);
			expect_walk_fault(
				&s, VA, ACCESS_W,
				(struct expect){ 0x13, 1, 1, 3, slot + DELTA });
			assert_false(s.out.fault.tt_write);
			/* reading suffices: nothing is updated */
			tree_set(&s.t2, slot + DELTA, 3, page | 0x47f);
			tree_set(&s.t2, OUT, 3, S2_PAGE);
			assert_true(setup_walk(&s, VA, ACCESS_W));
			setup_down(&s);
		}
	}
}

/* Each level of stage 2 on the way to the first table of stage 1. */
static void test_stage_2_faults_at_each_level_under_stage_1(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];

		for (int level = g->s2_first; level <= 3; level++) {
			struct setup s = { 0 };
			uint64_t ipa;

			setup_nested(&s, g, g);
			tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
			ipa = tree_slot(&s.t1, VA, g->s1_first) + DELTA;
			setup_map_tables(&s);
			tree_set(&s.t2, ipa, level, 0);
			expect_walk_fault(
				&s, VA, ACCESS_R,
				(struct expect){ 0x10, 1, 1, level, ipa });
			setup_down(&s);
		}
	}
}

static void test_stage_2_faults_on_the_final_address(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct gran *g = &grans[i];
		uint64_t ipa = OUT | (VA & low(g->lg2));

		for (int level = g->s2_first; level <= 3; level++) {
			struct setup s = { 0 };

			setup_nested(&s, g, g);
			tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
			setup_map_tables(&s);
			tree_set(&s.t2, ipa, level, 0);
			expect_walk_fault(
				&s, VA, ACCESS_R,
				(struct expect){ 0x10, 2, 1, level, ipa });
			setup_down(&s);
		}
	}
}

static void
test_nested_aborts_name_the_stage_whose_descriptor_it_was(void **state)
{
	const uint64_t nowhere = 0x0000007f00000000ULL;
	struct setup s = { 0 };
	uint64_t slot;

	(void)state;
	setup_nested(&s, &grans[0], &grans[0]);
	tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
	setup_map_tables(&s);
	/* stage 2 leads the level-2 table of stage 1 to where nothing is */
	slot = tree_slot(&s.t1, VA, 2);
	tree_set(&s.t2, slot + DELTA, 3, nowhere | S2_PAGE);
	expect_walk_fault(
		&s, VA, ACCESS_R,
		(struct expect){ 0x0b, 1, 0, 2, 0, nowhere + (slot & 0xfff) });
	/* a table of stage 2 itself is not there */
	tree_set(&s.t2, slot + DELTA, 2, nowhere | 3);
	slot = tree_slot(&s.t1, VA, 0) + DELTA;
	expect_walk_fault(
		&s, VA, ACCESS_R,
		(struct expect){ 0x0b, 1, 1, 3, 0,
				 nowhere + ((slot >> 12) & 0x1ff) * 8 });
	setup_down(&s);
}

/* IPAs of 40 bits: stage 2 takes no more, the fault is its own. */
static void test_an_ipa_beyond_the_range_of_stage_2_is_its_fault(void **state)
{
	struct setup s = { 0 };

	(void)state;
	/* T0SZ 24, SL0 1: level 1 of 4 KB granules, two tables side by side */
	setup_nested(&s, &grans[0], &grans[0]);
	s.t2.first_level = 1;
	s.ste[2] = 0x040d005800000003ULL;
	setup_decode(&s);
	tree_set(&s.t1, VA, 3, 0x0000010000000000ULL | S1_PAGE);
	setup_map_tables(&s);
	expect_walk_fault(
		&s, VA, ACCESS_R,
		(struct expect){ 0x10, 2, 1, 1, 0x0000010000000abcULL });
	/* the last page below: in the second of the tables */
	tree_set(&s.t1, VA, 3, 0x000000fffffff000ULL | S1_PAGE);
	tree_set(&s.t2, 0x000000fffffff000ULL, 3, 0x5000 | S2_PAGE);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.pa, 0x5abc);
	setup_down(&s);
}

/* 16 tables at most: a 4 KB granule's level 2 for 2^34, T0SZ 30, SL0 0. */
static void test_sixteen_concatenated_tables(void **state)
{
	const uint64_t last = 0x00000003ffffffffULL;
	struct setup s = { 0 };

	(void)state;
	setup_s2(&s, &grans[0]);
	s.t2.first_level = 2;
	s.ste[2] = 0x040d001e00000003ULL;
	setup_decode(&s);
	for (uint64_t part = 0; part < 16; part++) {
		uint64_t ipa = (part << 30) | 0x3fe00000;

		tree_set(&s.t2, ipa, 2, ((part + 1) << 32) | S2_BLOCK);
		assert_true(setup_walk(&s, ipa | 5, ACCESS_R));
		assert_int_equal(s.out.pa, ((part + 1) << 32) | 5);
	}
	assert_true(setup_walk(&s, last, ACCESS_R));
	expect_walk_fault(&s, last + 1, ACCESS_R,
			  (struct expect){ 0x10, 2, 1, 2, last + 1 });
	setup_down(&s);
}

/* Stage 2 alone checks its input against OAS first: a stage-1 fault (3.4). */
static void
test_an_input_beyond_oas_is_a_stage_1_address_size_fault(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s2(&s, &grans[0]);
	expect_walk_fault(&s, 1ULL << 48, ACCESS_R,
			  (struct expect){ 0x11, 2, 0, 0, 0, 0 });
	setup_down(&s);
}

/* T0SZ 25 (39 bits), T1SZ 28 (36 bits), both 4 KB; TG1 is 2 then. */
static void test_both_halves_of_the_address_space(void **state)
{
	struct setup s = { 0 };
	struct tree high;

	(void)state;
	setup_s1(&s, &grans[0]);
	s.t1.first_level = 1;
	tree_up(&high, &s.f, 12, 1);
	s.cd[0] = 0x00076205809c0019ULL;
	s.cd[2] = high.root;
	setup_decode(&s);
	tree_set(&s.t1, 0x7ffffff000ULL, 3, 0x1000 | S1_PAGE);
	tree_set(&high, 0x0, 3, 0x2000 | S1_PAGE | 0x800); /* nG */
	tree_set(&high, 0xffffff000ULL, 3, 0x3000 | S1_PAGE);
	assert_true(setup_walk(&s, 0x7fffffffffULL, ACCESS_R));
	assert_int_equal(s.out.pa, 0x1fff);
	assert_true(setup_walk(&s, 0xfffffff000000010ULL, ACCESS_R));
	assert_int_equal(s.out.pa, 0x2010);
	assert_int_equal(s.out.page_first, 0xfffffff000000000ULL);
	assert_false(s.out.global);
	assert_true(setup_walk(&s, 0xffffffffffffffffULL, ACCESS_R));
	assert_int_equal(s.out.pa, 0x3fff);
	assert_true(s.out.global);
	/* just outside, and with a top byte of its own */
	for (int i = 0; i < 4; i++) {
		static const uint64_t bad[4] = {
			0x0000008000000000ULL,
			0xffffffefffffffffULL,
			0x0100000000000000ULL,
			0x00ffffffffffffffULL,
		};

		expect_walk_fault(&s, bad[i], ACCESS_R,
				  (struct expect){ 0x10, 2, 0, 0 });
	}
	setup_down(&s);
}

static void test_a_half_with_epd_is_not_walked(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	tree_set(&s.t1, 0, 3, 0x1000 | S1_PAGE);
	assert_true(setup_walk(&s, 0, ACCESS_R));
	expect_walk_fault(&s, 0xffffffffffffffffULL, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	s.cd[0] = 0x0007620580904000ULL | 0x100000; /* EPD0, TG1 4K, T1SZ 16 */
	s.cd[2] = s.t1.root;
	setup_decode(&s);
	expect_walk_fault(&s, 0, ACCESS_R, (struct expect){ 0x10, 2, 0, 0 });
	assert_true(setup_walk(&s, 0xffff000000000000ULL, ACCESS_R));
	setup_down(&s);
}

static void test_tbi_ignores_the_top_byte_of_its_half_only(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.cd[0] = 0x0007624580900010ULL | 0x100000; /* TBI0, both halves */
	s.cd[2] = s.t1.root;
	setup_decode(&s);
	tree_set(&s.t1, 0x5000, 3, 0x1000 | S1_PAGE);
	assert_true(setup_walk(&s, 0x5a00000000005008ULL, ACCESS_R));
	assert_int_equal(s.out.pa, 0x1008);
	assert_int_equal(s.out.page_first, 0x5000);
	assert_int_equal(smmuv3_effective_va(&s.s1, 0x5a00000000005008ULL),
			 0x5008);
	expect_walk_fault(&s, 0x5a01000000005008ULL, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	expect_walk_fault(&s, 0x5aff000000005008ULL, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	s.cd[0] |= 0x8000000000ULL; /* TBI1 */
	setup_decode(&s);
	assert_true(setup_walk(&s, 0x5aff000000005008ULL, ACCESS_R));
	assert_int_equal(s.out.page_first, 0xffff000000005000ULL);
	setup_down(&s);
}

/* IDR3.E0PD is bit 13, the CD's flag bit 2 of the TTB's doubleword. */
static void test_e0pd_keeps_the_unprivileged_out(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	tree_set(&s.t1, VA, 3, OUT | S1_PAGE);
	s.cd[1] |= 4;
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_R | ACCESS_U));
	s.f.id.idr[3] |= 0x2000;
	setup_decode(&s);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	expect_walk_fault(&s, VA, ACCESS_R | ACCESS_U,
			  (struct expect){ 0x10, 2, 0, 0 });
	setup_down(&s);
}

/* A table of 2^3 entries: T0SZ 31 starts at level 1, index bits 32:30. The
 * low bits of TTB0 that the table's size does not reach are not there. */
static void test_small_first_tables_ignore_low_bits_of_the_ttb(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.t1.first_level = 1;
	s.cd[0] = (CD0_48 & ~0x3fULL) | 31;
	s.cd[1] = s.t1.root | 0x30; /* below the alignment of 64 */
	setup_decode(&s);
	tree_set(&s.t1, 0x1ffffffffULL, 1, 0x40000000 | S1_BLOCK);
	assert_true(setup_walk(&s, 0x1ffffffffULL, ACCESS_R));
	assert_int_equal(s.out.pa, 0x7fffffff);
	expect_walk_fault(&s, 0x200000000ULL, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	setup_down(&s);
}

/* T0SZ 48 with IDR3.STT: 16 bits, four of them in a level-3 table. */
static void test_the_smallest_tables_start_at_level_3(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.f.id.idr[3] |= 0x200;
	s.t1.first_level = 3;
	s.cd[0] = (CD0_48 & ~0x3fULL) | 48;
	setup_decode(&s);
	tree_set(&s.t1, 0xf000, 3, 0x8000 | S1_PAGE);
	assert_true(setup_walk(&s, 0xffff, ACCESS_R));
	assert_int_equal(s.out.pa, 0x8fff);
	expect_walk_fault(&s, 0x10000, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	setup_down(&s);
}

static void test_the_contiguous_hint_changes_no_translation(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	tree_set(&s.t1, 0x10000, 3, 0x0010000000010000ULL | S1_PAGE);
	tree_set(&s.t1, 0x11000, 3, 0x0010000000077000ULL | S1_PAGE);
	assert_true(setup_walk(&s, 0x10008, ACCESS_R));
	assert_int_equal(s.out.pa, 0x10008);
	assert_int_equal(s.out.page_lg2, 12);
	assert_true(s.out.leaf.contiguous);
	assert_true(setup_walk(&s, 0x11008, ACCESS_R));
	assert_int_equal(s.out.pa, 0x77008);
	setup_down(&s);
}

static void test_big_endian_tables(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[0]);
	s.f.id.idr[0] &= ~0x600000u; /* TTENDIAN: both */
	s.t1.first_level = 3;
	s.f.id.idr[3] |= 0x200;
	s.cd[0] = (CD0_48 & ~0x3fULL) | 48 | 0x8000; /* ENDI */
	s.cd[0] |= 0x80000000000ULL;		     /* HA: the update too */
	setup_decode(&s);
	/* 0x0000000012345043 byte by byte */
	tree_set(&s.t1, 0x3000, 3, 0x4350341200000000ULL);
	assert_true(setup_walk(&s, 0x3010, ACCESS_R));
	assert_int_equal(s.out.pa, 0x12345010);
	assert_int_equal(*fake_at(&s.f, s.t1.root + 24), 0x4354341200000000ULL);
	setup_down(&s);
}

/* OAS 52, VAX 52, 64 KB: T0SZ 12, ten bits at level 1; address bits 51:48 are
 * descriptor bits 15:12; blocks of 4 TiB. */
static void test_52_bit_addresses_with_64k_pages(void **state)
{
	const uint64_t va = 0x000fedcba9876543ULL;
	struct setup s = { 0 };

	(void)state;
	fake_up(&s.f, 52);
	tree_up(&s.t1, &s.f, 16, 1);
	s.has_s1 = true;
	s.ste[0] = STE0_S1;
	s.cd[0] = 0x00076206c000004cULL;
	s.cd[1] = s.t1.root;
	setup_decode(&s);
	tree_set(&s.t1, va, 3, 0x123456780000ULL | 0xa000 | S1_PAGE);
	assert_true(setup_walk(&s, va, ACCESS_R));
	assert_int_equal(s.out.pa, 0x000a123456786543ULL);
	tree_set(&s.t1, va, 1, 0x140000000000ULL | 0x5000 | S1_BLOCK);
	assert_true(setup_walk(&s, va, ACCESS_R));
	assert_int_equal(s.out.pa,
			 0x0005140000000000ULL | (va & 0x3ffffffffffULL));
	assert_int_equal(s.out.page_lg2, 42);
	expect_walk_fault(&s, 1ULL << 52, ACCESS_R,
			  (struct expect){ 0x10, 2, 0, 0 });
	/* IPS 48: these bits are an address too big */
	s.cd[0] = 0x00076205c000004cULL;
	setup_decode(&s);
	expect_walk_fault(&s, va, ACCESS_R, (struct expect){ 0x11, 2, 0, 1 });
	setup_down(&s);
}

/* The same descriptor bits where OAS is 48: nothing, and no 4 TiB blocks. */
static void test_bits_15_12_mean_nothing_below_52_bits(void **state)
{
	struct setup s = { 0 };

	(void)state;
	setup_s1(&s, &grans[2]);
	tree_set(&s.t1, VA, 3, 0x123456780000ULL | 0xa000 | S1_PAGE);
	assert_true(setup_walk(&s, VA, ACCESS_R));
	assert_int_equal(s.out.pa, 0x123456780000ULL | (VA & 0xffff));
	tree_set(&s.t1, VA, 1, 0x140000000000ULL | S1_BLOCK);
	expect_walk_fault(&s, VA, ACCESS_R, (struct expect){ 0x10, 2, 0, 1 });
	setup_down(&s);
}

/* Tables above 2^48 are reached too: stage 2, 64 KB, T0SZ 12, SL0 2. */
static void test_tables_above_48_bits(void **state)
{
	const uint64_t far = 0x0009000000000000ULL;
	const uint64_t ipa = 0x000fffffffffffffULL;
	struct setup s = { 0 };
	struct phys_range *range;
	uint64_t *table = NULL;

	(void)state;
	fake_up(&s.f, 52);
	tree_up(&s.t2, &s.f, 16, 1);
	assert_int_equal(posix_memalign((void **)&table, 4096, CHUNK), 0);
	memset(table, 0, CHUNK);
	assert_int_equal(phys_add_at(s.f.phys, far, table, CHUNK,
				     PHYS_READ | PHYS_WRITE, &range),
			 0);
	s.has_s2 = true;
	s.ste[0] = STE0_S2;
	s.ste[2] = 0x040e408c00000003ULL;
	s.ste[3] = s.t2.root;
	setup_decode(&s);
	*fake_at(&s.f, s.t2.root + 0x3ff * 8) = 0x9000 | 3;
	table[0x1fff] = 0x20000000 | 0x3000 | S2_BLOCK;
	assert_true(setup_walk(&s, ipa, ACCESS_R));
	assert_int_equal(s.out.pa, 0x000300003fffffffULL);
	setup_down(&s);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stage_1_leaves_of_every_size),
		cmocka_unit_test(test_stage_2_leaves_of_every_size),
		cmocka_unit_test(test_nested_leaves_of_all_pairs_of_granules),
		cmocka_unit_test(
			test_a_small_stage_2_page_under_a_block_and_the_reverse),
		cmocka_unit_test(
			test_translation_faults_of_stage_1_at_each_level),
		cmocka_unit_test(
			test_translation_faults_of_stage_2_at_each_level),
		cmocka_unit_test(test_address_size_faults_at_each_level),
		cmocka_unit_test(test_external_aborts_at_each_level),
		cmocka_unit_test(
			test_access_flag_and_permission_faults_at_each_leaf),
		cmocka_unit_test(test_nested_faults_of_stage_1_at_each_level),
		cmocka_unit_test(
			test_stage_2_faults_on_the_table_of_each_stage_1_level),
		cmocka_unit_test(
			test_stage_2_faults_at_each_level_under_stage_1),
		cmocka_unit_test(test_stage_2_faults_on_the_final_address),
		cmocka_unit_test(
			test_nested_aborts_name_the_stage_whose_descriptor_it_was),
		cmocka_unit_test(
			test_an_ipa_beyond_the_range_of_stage_2_is_its_fault),
		cmocka_unit_test(test_sixteen_concatenated_tables),
		cmocka_unit_test(
			test_an_input_beyond_oas_is_a_stage_1_address_size_fault),
		cmocka_unit_test(test_both_halves_of_the_address_space),
		cmocka_unit_test(test_a_half_with_epd_is_not_walked),
		cmocka_unit_test(
			test_tbi_ignores_the_top_byte_of_its_half_only),
		cmocka_unit_test(test_e0pd_keeps_the_unprivileged_out),
		cmocka_unit_test(
			test_small_first_tables_ignore_low_bits_of_the_ttb),
		cmocka_unit_test(test_the_smallest_tables_start_at_level_3),
		cmocka_unit_test(
			test_the_contiguous_hint_changes_no_translation),
		cmocka_unit_test(test_big_endian_tables),
		cmocka_unit_test(test_52_bit_addresses_with_64k_pages),
		cmocka_unit_test(test_bits_15_12_mean_nothing_below_52_bits),
		cmocka_unit_test(test_tables_above_48_bits),
	};

	return cmocka_run_group_tests(tests, fake_group_up, NULL);
}
