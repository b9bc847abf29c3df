// SPDX-License-Identifier: MIT
/*
 * The VMSAv8-64 builder: descriptors worked out by hand from DDI 0487 D8.3,
 * random maps and unmaps against an array of pages, read back both by the
 * builder and by a walker written here that knows only memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "heap.h"
#include "pt/armv8.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

struct fixture {
	struct heap heap;
	struct pt *pt;
	struct armv8_pt_config cfg;
	struct armv8_pt_root root;
};

static void start(struct fixture *f, unsigned int stage, unsigned int granule,
		  unsigned int ias)
{
	memset(f, 0, sizeof(*f));
	f->heap.next_pa = 4 * GIB;
	f->cfg = (struct armv8_pt_config){ .stage = stage,
					   .granule_lg2 = granule,
					   .ias = ias,
					   .oas = 48,
					   .attr_normal = 1,
					   .attr_device = 2 };
	assert_int_equal(armv8_pt_create(&f->cfg, &heap_ops, &f->heap, &f->pt),
			 0);
	armv8_pt_root(f->pt, &f->root);
}

static void stop(struct fixture *f)
{
	pt_destroy(f->pt);
	assert_int_equal(f->heap.live, 0);
	free(f->heap.slot);
}

/* The reference walk: only memory and what a CD or STE would say. */
static bool walk(const struct fixture *f, uint64_t iova, uint64_t *pa,
		 uint64_t *leaf, unsigned int *size_lg2)
{
	unsigned int g = f->cfg.granule_lg2;
	uint64_t table = f->root.ttb;

	for (unsigned int level = f->root.start_level;; level++) {
		unsigned int shift = g + (3 - level) * (g - 3);
		unsigned int bits = level == f->root.start_level
					    ? 64 - f->root.t0sz - shift
					    : g - 3;
		uint64_t i = iova >> shift & ((1ULL << bits) - 1);
		uint64_t d = heap_load(&f->heap, table + i * 8);
		uint64_t addr = d & 0x0000fffffffff000ULL;

		if (!(d & 1))
			return false;
		if (level < 3 && (d & 2)) {
			table = addr;
			continue;
		}
		assert_true(level < 3 || (d & 2));
		assert_int_equal(addr & ((1ULL << shift) - 1), 0);
		*pa = addr | (iova & ((1ULL << shift) - 1));
		*leaf = d & ~0x0000fffffffff000ULL;
		*size_lg2 = shift;
		return true;
	}
}

static void expect_leaf(struct fixture *f, uint64_t iova, uint64_t pa,
			unsigned int size_lg2)
{
	unsigned int builder_size;
	uint64_t builder_pa;
	unsigned int size;
	uint64_t leaf;
	uint64_t got;

	assert_true(walk(f, iova, &got, &leaf, &size));
	assert_int_equal(got, pa);
	assert_int_equal(size, size_lg2);
	assert_true(
		pt_translate(f->pt, iova, &builder_pa, NULL, &builder_size));
	assert_int_equal(builder_pa, pa);
	assert_int_equal(builder_size, size_lg2);
}

static void expect_nothing(struct fixture *f, uint64_t iova)
{
	unsigned int size;
	uint64_t leaf;
	uint64_t pa;

	assert_false(walk(f, iova, &pa, &leaf, &size));
	assert_false(pt_translate(f->pt, iova, &pa, NULL, NULL));
}

static int unmap(struct fixture *f, uint64_t iova, uint64_t length)
{
	struct pt_gather gather = { NULL };
	int rc = pt_unmap(f->pt, iova, length, &gather);

	pt_gather_free(f->pt, &gather);
	return rc;
}

/* ---- descriptors ---- */

static uint64_t leaf_made(unsigned int stage, unsigned int prot, uint64_t size)
{
	unsigned int size_lg2;
	struct fixture f;
	uint64_t leaf;
	uint64_t pa;

	start(&f, stage, 12, 44);
	assert_int_equal(pt_map(f.pt, 2 * size, 6 * size, size, prot), 0);
	assert_true(walk(&f, 2 * size, &pa, &leaf, &size_lg2));
	assert_int_equal(pa, 6 * size);
	assert_int_equal(1ULL << size_lg2, size);
	stop(&f);
	return leaf;
}

static void test_stage1_leaves_have_the_bits_of_the_manual(void **state)
{
	(void)state;
	/* nG 11, AF 10, SH inner 9:8, AP[1] 6, AttrIndx 1 at 4:2, type 1:0 */
	assert_int_equal(leaf_made(1, 3, 4 * KIB), 0xf47);
	assert_int_equal(leaf_made(1, 2, 4 * KIB), 0xf47);
	/* AP[2] 7: read-only */
	assert_int_equal(leaf_made(1, 1, 4 * KIB), 0xfc7);
	/* blocks: type 0b01 */
	assert_int_equal(leaf_made(1, 3, 2 * MIB), 0xf45);
	assert_int_equal(leaf_made(1, 1, 1 * GIB), 0xfc5);
	/* device: AttrIndx 2, SH outer (0b10) */
	assert_int_equal(leaf_made(1, 7, 4 * KIB), 0xe4b);
}

static void test_stage2_leaves_have_the_bits_of_the_manual(void **state)
{
	(void)state;
	/* AF 10, SH inner 9:8, S2AP 7:6, MemAttr 0b1111 at 5:2, type 1:0 */
	assert_int_equal(leaf_made(2, 3, 4 * KIB), 0x7ff);
	assert_int_equal(leaf_made(2, 1, 4 * KIB), 0x77f);
	assert_int_equal(leaf_made(2, 2, 4 * KIB), 0x7bf);
	assert_int_equal(leaf_made(2, 3, 2 * MIB), 0x7fd);
	assert_int_equal(leaf_made(2, 3, 1 * GIB), 0x7fd);
	/* device: MemAttr 0b0001, SH outer */
	assert_int_equal(leaf_made(2, 7, 4 * KIB), 0x6c7);
}

static void test_a_table_descriptor_is_address_and_type_only(void **state)
{
	struct fixture f;
	uint64_t d;

	(void)state;
	start(&f, 1, 12, 48);
	assert_int_equal(pt_map(f.pt, 0, 0, 4 * KIB, 3), 0);
	d = heap_load(&f.heap, f.root.ttb);
	assert_int_equal(d & 0xfff, 3);
	assert_int_equal(d >> 48, 0);
	stop(&f);
}

static void test_start_levels_and_concatenation_follow_the_sizes(void **state)
{
	/* stage, granule, ias -> start level, SL0 (stage 2), bytes of root */
	static const struct {
		unsigned int stage, granule, ias, level, sl0;
		uint64_t root;
	} rows[] = {
		{ 1, 12, 48, 0, 0, 4096 },	 { 1, 12, 39, 1, 0, 4096 },
		{ 1, 12, 40, 0, 0, 4096 },	 { 2, 12, 48, 0, 2, 4096 },
		{ 2, 12, 44, 0, 2, 4096 },	 { 2, 12, 43, 1, 1, 16 * 4096 },
		{ 2, 12, 40, 1, 1, 2 * 4096 },	 { 2, 12, 39, 1, 1, 4096 },
		{ 2, 12, 36, 1, 1, 4096 },	 { 2, 12, 34, 2, 0, 16 * 4096 },
		{ 2, 12, 32, 2, 0, 4 * 4096 },	 { 2, 14, 48, 1, 2, 2 * 16384 },
		{ 1, 14, 48, 0, 0, 16384 },	 { 2, 14, 44, 1, 2, 16384 },
		{ 2, 14, 40, 2, 1, 16 * 16384 }, { 2, 16, 48, 1, 2, 65536 },
		{ 2, 16, 46, 2, 1, 16 * 65536 }, { 2, 16, 32, 3, 0, 8 * 65536 },
		{ 1, 16, 48, 1, 0, 65536 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		start(&f, rows[i].stage, rows[i].granule, rows[i].ias);
		assert_int_equal(f.root.t0sz, 64 - rows[i].ias);
		assert_int_equal(f.root.start_level, rows[i].level);
		if (rows[i].stage == 2)
			assert_int_equal(f.root.sl0, rows[i].sl0);
		assert_int_equal(f.heap.slot[0].size, rows[i].root);
		assert_int_equal(f.root.ttb % rows[i].root, 0);
		/* the ends of the input range are reached */
		assert_int_equal(pt_map(f.pt, 0, 0x10000, 0x10000, 3), 0);
		assert_int_equal(pt_map(f.pt, (1ULL << rows[i].ias) - 0x10000,
					0x20000, 0x10000, 3),
				 0);
		expect_leaf(&f, 0, 0x10000, rows[i].granule);
		expect_leaf(&f, (1ULL << rows[i].ias) - 1, 0x2ffff,
			    rows[i].granule);
		stop(&f);
	}
}

static void test_impossible_configurations_are_refused(void **state)
{
	static const struct armv8_pt_config good = {
		.stage = 2, .granule_lg2 = 12, .ias = 48, .oas = 48
	};
	struct armv8_pt_config bad[8];
	struct heap heap = { 0 };
	struct pt *pt = NULL;

	(void)state;
	for (int i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].stage = 0;
	bad[1].stage = 3;
	bad[2].granule_lg2 = 13;
	bad[3].ias = 49;
	bad[4].ias = 31;
	bad[5].oas = 52;
	bad[6].oas = 31;
	bad[7].attr_device = 8;
	for (int i = 0; i < 8; i++)
		assert_int_equal(
			armv8_pt_create(&bad[i], &heap_ops, &heap, &pt),
			-EINVAL);
	assert_null(pt);
}

/* ---- map ---- */

static void test_the_largest_leaves_that_alignment_allows_are_used(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, 1 * GIB - 2 * MIB - 4 * KIB,
				9 * GIB - 2 * MIB - 4 * KIB,
				4 * KIB + 2 * MIB + GIB + 2 * MIB + 4 * KIB, 3),
			 0);
	expect_nothing(&f, GIB - 2 * MIB - 4 * KIB - 1);
	expect_leaf(&f, GIB - 2 * MIB - 4 * KIB, 9 * GIB - 2 * MIB - 4 * KIB,
		    12);
	expect_leaf(&f, GIB - 1, 9 * GIB - 1, 21);
	expect_leaf(&f, GIB, 9 * GIB, 30);
	expect_leaf(&f, 2 * GIB - 1, 10 * GIB - 1, 30);
	expect_leaf(&f, 2 * GIB, 10 * GIB, 21);
	expect_leaf(&f, 2 * GIB + 2 * MIB, 10 * GIB + 2 * MIB, 12);
	expect_nothing(&f, 2 * GIB + 2 * MIB + 4 * KIB);
	/* root, one level-1, two level-2, two level-3 tables */
	assert_int_equal(pt_tables(f.pt), 6);
	stop(&f);
}

static void test_a_skewed_output_address_needs_small_leaves(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, GIB, 2 * GIB + 2 * MIB, GIB, 3), 0);
	expect_leaf(&f, GIB, 2 * GIB + 2 * MIB, 21);
	assert_int_equal(pt_map(f.pt, 8 * GIB, 16 * GIB + 4 * KIB, 4 * MIB, 3),
			 0);
	expect_leaf(&f, 8 * GIB + 2 * MIB, 16 * GIB + 2 * MIB + 4 * KIB, 12);
	stop(&f);
}

static void test_other_granules_use_their_own_blocks(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 14, 48);
	assert_int_equal(
		pt_map(f.pt, 32 * MIB, 64 * MIB, 32 * MIB + 16 * KIB, 3), 0);
	expect_leaf(&f, 32 * MIB, 64 * MIB, 25);
	expect_leaf(&f, 64 * MIB, 96 * MIB, 14);
	stop(&f);
	start(&f, 1, 16, 48);
	assert_int_equal(pt_map(f.pt, 512 * MIB, GIB, 512 * MIB + 64 * KIB, 3),
			 0);
	expect_leaf(&f, 512 * MIB, GIB, 29);
	expect_leaf(&f, GIB, GIB + 512 * MIB, 16);
	stop(&f);
	assert_int_equal(armv8_page_sizes(12), 0x40201000);
	assert_int_equal(armv8_page_sizes(14), 0x2004000);
	assert_int_equal(armv8_page_sizes(16), 0x20010000);
	assert_int_equal(armv8_page_sizes(13), 0);
}

static void test_bad_requests_are_refused_and_change_nothing(void **state)
{
	struct pt_gather gather = { NULL };
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 40);
	f.cfg.oas = 48;
	assert_int_equal(pt_map(f.pt, 1, 0, 4096, 3), -EINVAL);
	assert_int_equal(pt_map(f.pt, 0, 1, 4096, 3), -EINVAL);
	assert_int_equal(pt_map(f.pt, 0, 0, 4095, 3), -EINVAL);
	assert_int_equal(pt_map(f.pt, 0, 0, 0, 3), -EINVAL);
	assert_int_equal(pt_map(f.pt, 0, 0, 4096, 0), -EINVAL);
	assert_int_equal(pt_map(f.pt, 0, 0, 4096, 4), -EINVAL);
	assert_int_equal(pt_map(f.pt, 1ULL << 40, 0, 4096, 3), -ERANGE);
	assert_int_equal(pt_map(f.pt, (1ULL << 40) - 4096, 0, 8192, 3),
			 -ERANGE);
	assert_int_equal(pt_map(f.pt, 0, 1ULL << 48, 4096, 3), -ERANGE);
	assert_int_equal(pt_map(f.pt, -4096ULL, 0, 8192, 3), -ERANGE);
	assert_int_equal(pt_map(f.pt, 0, -4096ULL, 8192, 3), -ERANGE);
	assert_int_equal(pt_tables(f.pt), 1);
	assert_int_equal(pt_unmap(f.pt, 1, 4096, &gather), -EINVAL);
	assert_int_equal(pt_unmap(f.pt, 0, 1ULL << 41, &gather), -EINVAL);
	stop(&f);
}

static void test_mapping_over_something_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, 2 * MIB + 4 * KIB, 0, 4 * KIB, 3), 0);
	assert_int_equal(pt_map(f.pt, 4 * MIB, 0, 2 * MIB, 3), 0);
	assert_int_equal(pt_map(f.pt, 0, 0, 4 * MIB, 3), -EEXIST);
	assert_int_equal(pt_map(f.pt, 2 * MIB, 0, 8 * KIB, 3), -EEXIST);
	assert_int_equal(pt_map(f.pt, 4 * MIB, 0, 4 * KIB, 3), -EEXIST);
	assert_int_equal(pt_map(f.pt, 0, 0, GIB, 3), -EEXIST);
	expect_nothing(&f, 0);
	expect_nothing(&f, 2 * MIB);
	assert_int_equal(pt_map(f.pt, 2 * MIB, 0, 4 * KIB, 3), 0);
	stop(&f);
}

/* ---- unmap ---- */

static void test_emptied_tables_are_gathered_and_freed_only_later(void **state)
{
	struct pt_gather gather = { NULL };
	struct fixture f;
	size_t live;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, 0, 0, 8 * KIB, 3), 0);
	live = f.heap.live;
	assert_int_equal(live, 4);
	assert_int_equal(pt_unmap(f.pt, 0, 4 * KIB, &gather), 0);
	assert_null(gather.tables);
	assert_int_equal(pt_unmap(f.pt, 4 * KIB, 4 * KIB, &gather), 0);
	assert_non_null(gather.tables);
	assert_int_equal(f.heap.live, live);
	assert_int_equal(heap_load(&f.heap, f.root.ttb), 0);
	pt_gather_free(f.pt, &gather);
	assert_null(gather.tables);
	assert_int_equal(f.heap.live, 1);
	stop(&f);
}

static void test_a_leaf_partly_outside_is_never_touched(void **state)
{
	struct pt_gather gather = { NULL };
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, 0, 0, 6 * MIB, 3), 0);
	assert_int_equal(pt_unmap(f.pt, 0, 4 * KIB, &gather), -EINVAL);
	assert_int_equal(pt_unmap(f.pt, MIB, 3 * MIB, &gather), -EINVAL);
	assert_int_equal(pt_unmap(f.pt, 2 * MIB, 3 * MIB, &gather), -EINVAL);
	assert_null(gather.tables);
	expect_leaf(&f, 2 * MIB, 2 * MIB, 21);
	assert_int_equal(pt_unmap(f.pt, 2 * MIB, 2 * MIB, &gather), 0);
	expect_leaf(&f, 0, 0, 21);
	expect_nothing(&f, 2 * MIB);
	expect_leaf(&f, 4 * MIB, 4 * MIB, 21);
	pt_gather_free(f.pt, &gather);
	stop(&f);
}

static void test_one_unmap_takes_many_maps_and_holes(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(pt_map(f.pt, i * 5 * MIB, i * 7 * MIB,
					i % 3 ? MIB : 4 * MIB, 3),
				 0);
	assert_int_equal(unmap(&f, 0, 1ULL << 47), 0);
	assert_int_equal(pt_tables(f.pt), 1);
	for (uint64_t i = 0; i < 64; i++)
		expect_nothing(&f, i * 5 * MIB);
	stop(&f);
}

/* ---- against an array of pages ---- */

#define WINDOW_PAGES 8192u /* 32 MiB across a 1 GiB boundary */

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng_state >> 33) % below;
}

struct shadow {
	uint64_t pa[WINDOW_PAGES];  /* 0: nothing */
	uint32_t map[WINDOW_PAGES]; /* which map() it belongs to */
};

static void check_window(struct fixture *f, const struct shadow *s,
			 uint64_t base)
{
	unsigned int size;
	uint64_t leaf;
	uint64_t pa;

	for (uint32_t i = 0; i < WINDOW_PAGES; i++) {
		bool there = walk(f, base + i * 4096ULL, &pa, &leaf, &size);

		assert_int_equal(there, s->pa[i] != 0);
		if (there)
			assert_int_equal(pa, s->pa[i]);
	}
}

static void random_map(struct fixture *f, struct shadow *s, uint64_t base,
		       uint32_t id)
{
	uint32_t align = rng(3) ? 512 : 1;
	uint32_t first = rng(WINDOW_PAGES / align) * align;
	uint32_t n = 1 + rng(1500);
	uint64_t pa = (1 + rng(1000)) * 2 * MIB + (rng(2) ? 0 : 4096 * rng(9));
	bool busy = false;
	int rc;

	if (first + n > WINDOW_PAGES)
		n = WINDOW_PAGES - first;
	for (uint32_t i = first; i < first + n; i++)
		busy |= s->pa[i] != 0;
	rc = pt_map(f->pt, base + first * 4096ULL, pa, n * 4096ULL, 3);
	assert_int_equal(rc, busy ? -EEXIST : 0);
	if (rc)
		return;
	for (uint32_t i = first; i < first + n; i++) {
		s->pa[i] = pa + (i - first) * 4096ULL;
		s->map[i] = id;
	}
}

static void random_unmap(struct fixture *f, struct shadow *s, uint64_t base)
{
	uint32_t first = rng(WINDOW_PAGES);
	uint32_t last = first + rng(2000);

	if (last >= WINDOW_PAGES)
		last = WINDOW_PAGES - 1;
	/* whole maps only: what core does */
	while (s->pa[first] && first && s->pa[first - 1] &&
	       s->map[first - 1] == s->map[first])
		first--;
	while (s->pa[last] && last + 1 < WINDOW_PAGES && s->pa[last + 1] &&
	       s->map[last + 1] == s->map[last])
		last++;
	assert_int_equal(
		unmap(f, base + first * 4096ULL, (last - first + 1) * 4096ULL),
		0);
	memset(&s->pa[first], 0, (last - first + 1) * sizeof(s->pa[0]));
}

static void test_random_maps_and_unmaps_agree_with_an_array(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 6; seed++) {
		struct shadow *s = calloc(1, sizeof(*s));
		uint64_t base = 5 * GIB - 16 * MIB;
		struct fixture f;

		assert_non_null(s);
		rng_state = seed;
		start(&f, seed % 2 ? 2 : 1, 12, seed % 3 ? 48 : 40);
		for (uint32_t step = 0; step < 120; step++) {
			if (rng(2))
				random_map(&f, s, base, step);
			else
				random_unmap(&f, s, base);
			if (step % 8 == 0)
				check_window(&f, s, base);
		}
		check_window(&f, s, base);
		expect_nothing(&f, base - 4096);
		expect_nothing(&f, base + WINDOW_PAGES * 4096ULL);
		assert_int_equal(unmap(&f, base, WINDOW_PAGES * 4096ULL), 0);
		assert_int_equal(pt_tables(f.pt), 1);
		stop(&f);
		free(s);
	}
}

/* ---- failures and cost ---- */

static void
test_each_allocation_may_fail_and_leaves_nothing_behind(void **state)
{
	struct alloc_plan plan = { 0 };
	uint64_t points = 0;
	struct fixture f;
	int rc;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, GIB, GIB, 4096, 3), 0);
	for (plan.fail_at = 1;; plan.fail_at++) {
		size_t live = f.heap.live;

		alloc_arm(&plan);
		rc = pt_map(f.pt, 2 * GIB - 4096, 3 * GIB, GIB + 8192, 3);
		alloc_arm(NULL);
		if (!rc)
			break;
		points++;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(f.heap.live, live);
		assert_int_equal(pt_tables(f.pt), live);
		expect_nothing(&f, 2 * GIB - 4096);
		expect_nothing(&f, 2 * GIB);
		expect_leaf(&f, GIB, GIB, 12);
	}
	print_message("%llu injection points in map\n",
		      (unsigned long long)points);
	assert_true(points > 512);
	stop(&f);

	for (plan.fail_at = 1;; plan.fail_at++) {
		struct pt *pt = NULL;
		struct heap heap = { 0 };

		alloc_arm(&plan);
		rc = armv8_pt_create(&f.cfg, &heap_ops, &heap, &pt);
		alloc_arm(NULL);
		if (!rc) {
			pt_destroy(pt);
			free(heap.slot);
			break;
		}
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(heap.live, 0);
		free(heap.slot);
	}
	assert_int_equal(plan.fail_at, 4);
}

static void test_a_gigabyte_aligned_costs_one_descriptor(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 2, 12, 48);
	assert_int_equal(pt_map(f.pt, 0, 0, GIB, 3), 0);
	assert_int_equal(pt_tables(f.pt), 2);
	for (uint64_t i = 1; i <= 64; i++)
		assert_int_equal(pt_map(f.pt, i * GIB, i * GIB, GIB, 3), 0);
	assert_int_equal(pt_tables(f.pt), 2);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_stage1_leaves_have_the_bits_of_the_manual),
		cmocka_unit_test(
			test_stage2_leaves_have_the_bits_of_the_manual),
		cmocka_unit_test(
			test_a_table_descriptor_is_address_and_type_only),
		cmocka_unit_test(
			test_start_levels_and_concatenation_follow_the_sizes),
		cmocka_unit_test(test_impossible_configurations_are_refused),
		cmocka_unit_test(
			test_the_largest_leaves_that_alignment_allows_are_used),
		cmocka_unit_test(
			test_a_skewed_output_address_needs_small_leaves),
		cmocka_unit_test(test_other_granules_use_their_own_blocks),
		cmocka_unit_test(
			test_bad_requests_are_refused_and_change_nothing),
		cmocka_unit_test(test_mapping_over_something_is_refused),
		cmocka_unit_test(
			test_emptied_tables_are_gathered_and_freed_only_later),
		cmocka_unit_test(test_a_leaf_partly_outside_is_never_touched),
		cmocka_unit_test(test_one_unmap_takes_many_maps_and_holes),
		cmocka_unit_test(
			test_random_maps_and_unmaps_agree_with_an_array),
		cmocka_unit_test(
			test_each_allocation_may_fail_and_leaves_nothing_behind),
		cmocka_unit_test(test_a_gigabyte_aligned_costs_one_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
