// SPDX-License-Identifier: MIT
/*
 * The VT-d formats: entries worked out by hand from the specification's 9.7
 * and 9.8, and read back by a walker that knows only memory. What the tree
 * itself does is tested with the other format.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"
#include "pt/vtd.h"

#define MIB 0x100000ULL
#define GIB 0x40000000ULL
#define RW  (PT_PROT_READ | PT_PROT_WRITE)

struct fixture {
	struct heap heap;
	struct pt *pt;
	struct vtd_pt_config cfg;
};

static void start(struct fixture *f, unsigned int stage, unsigned int levels,
		  bool huge_1g)
{
	memset(f, 0, sizeof(*f));
	f->heap.next_pa = 4 * GIB;
	f->cfg = (struct vtd_pt_config){ .stage = stage,
					 .levels = levels,
					 .oas = 46,
					 .huge_1g = huge_1g,
					 .dirty = true };
	assert_int_equal(vtd_pt_create(&f->cfg, &heap_ops, &f->heap, &f->pt),
			 0);
}

static void stop(struct fixture *f)
{
	pt_destroy(f->pt);
	assert_int_equal(f->heap.live, 0);
	free(f->heap.slot);
}

/* The entry for @iova in the table @depth steps below the root, and its PA */
static uint64_t entry(const struct fixture *f, uint64_t iova,
		      unsigned int depth, uint64_t *where)
{
	uint64_t table = pt_root(f->pt);
	uint64_t value = 0;

	for (unsigned int d = 0; d <= depth; d++) {
		unsigned int shift = 12 + 9 * (f->cfg.levels - 1 - d);

		*where = table + (iova >> shift & 511) * 8;
		value = heap_load(&f->heap, *where);
		table = value & 0x000ffffffffff000ULL;
	}
	return value;
}

static void second_stage_entries_bit_by_bit(void **state)
{
	struct fixture f;
	uint64_t where;

	(void)state;
	start(&f, 2, 4, true);
	assert_int_equal(
		pt_map(f.pt, 0x12345678000, 0x3fffedcba000, 0x1000, RW), 0);
	for (unsigned int depth = 0; depth < 3; depth++)
		assert_int_equal(entry(&f, 0x12345678000, depth, &where) &
					 ~0x000ffffffffff000ULL,
				 0x3);
	assert_int_equal(entry(&f, 0x12345678000, 3, &where), 0x3fffedcba003);
	assert_int_equal(
		pt_map(f.pt, 0x12345679000, 0x1000, 0x1000, PT_PROT_READ), 0);
	assert_int_equal(entry(&f, 0x12345679000, 3, &where), 0x1001);
	assert_int_equal(pt_map(f.pt, 0x1234567a000, 0x1000, 0x1000,
				PT_PROT_WRITE | PT_PROT_DEVICE),
			 0);
	assert_int_equal(entry(&f, 0x1234567a000, 3, &where), 0x1002);
	assert_int_equal(pt_map(f.pt, 0x200000, 0x400000, 2 * MIB, RW), 0);
	assert_int_equal(entry(&f, 0x200000, 2, &where), 0x400083);
	assert_int_equal(pt_map(f.pt, GIB, 3 * GIB, GIB, RW), 0);
	assert_int_equal(entry(&f, GIB, 1, &where), 0xc0000083);
	stop(&f);
}

static void first_stage_entries_bit_by_bit(void **state)
{
	struct fixture f;
	uint64_t where;

	(void)state;
	for (unsigned int levels = 4; levels <= 5; levels++) {
		start(&f, 1, levels, true);
		assert_int_equal(pt_map(f.pt, 0x5678000, 0xabc000, 0x1000, RW),
				 0);
		for (unsigned int d = 0; d < levels - 1; d++)
			assert_int_equal(entry(&f, 0x5678000, d, &where) &
						 ~0x000ffffffffff000ULL,
					 0x27); /* P RW US A */
		assert_int_equal(entry(&f, 0x5678000, levels - 1, &where),
				 0xabc067); /* and D */
		assert_int_equal(
			pt_map(f.pt, 0x5679000, 0xabd000, 0x1000, PT_PROT_READ),
			0);
		assert_int_equal(entry(&f, 0x5679000, levels - 1, &where),
				 0xabd065);
		assert_int_equal(pt_map(f.pt, GIB, GIB, GIB, RW), 0);
		assert_int_equal(entry(&f, GIB, levels - 3, &where),
				 0x400000e7);
		stop(&f);
	}
}

static void without_1_gib_leaves_there_are_none(void **state)
{
	struct fixture f;
	uint64_t where;

	(void)state;
	assert_int_equal(vtd_page_sizes(true), 0x40201000);
	assert_int_equal(vtd_page_sizes(false), 0x201000);
	start(&f, 2, 3, false);
	assert_int_equal(pt_map(f.pt, GIB, GIB, GIB, RW), 0);
	assert_int_equal(entry(&f, GIB, 0, &where) & 0xfff, 0x3);
	assert_int_equal(entry(&f, GIB + 2 * MIB, 1, &where), 0x40200083);
	stop(&f);
}

static void leaves_of_4_kib_may_be_all_there_are(void **state)
{
	struct vtd_pt_config both = {
		.stage = 2,
		.levels = 4,
		.oas = 46,
		.huge_1g = true,
		.only_4k = true,
	};
	struct fixture f;
	struct pt *pt;
	uint64_t where;

	(void)state;
	memset(&f, 0, sizeof(f));
	f.heap.next_pa = 4 * GIB;
	assert_int_equal(vtd_pt_create(&both, &heap_ops, &f.heap, &pt),
			 -EINVAL);
	f.cfg = both;
	f.cfg.huge_1g = false;
	assert_int_equal(vtd_pt_create(&f.cfg, &heap_ops, &f.heap, &f.pt), 0);
	assert_int_equal(pt_map(f.pt, GIB, GIB, GIB, RW), 0);
	for (uint64_t at = 0; at < GIB; at += GIB / 4 + 0x1000) {
		for (unsigned int depth = 0; depth < 3; depth++)
			assert_int_equal(entry(&f, GIB + at, depth, &where) &
						 0xfff,
					 0x3);
		assert_int_equal(entry(&f, GIB + at, 3, &where),
				 (GIB + at) | 3);
	}
	stop(&f);
}

static void widths_end_where_they_should(void **state)
{
	struct fixture f;

	(void)state;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		uint64_t end = 1ULL << (12 + 9 * levels);

		start(&f, 2, levels, true);
		assert_int_equal(pt_map(f.pt, end - 0x1000, 0, 0x1000, RW), 0);
		assert_int_equal(pt_map(f.pt, end, 0, 0x1000, RW), -ERANGE);
		assert_int_equal(
			pt_map(f.pt, 0, (1ULL << 46) - 0x1000, 0x1000, RW), 0);
		assert_int_equal(pt_map(f.pt, 0x1000, 1ULL << 46, 0x1000, RW),
				 -ERANGE);
		stop(&f);
	}
}

static void what_does_not_exist_is_refused(void **state)
{
	static const struct vtd_pt_config bad[] = {
		{ .stage = 0, .levels = 4, .oas = 46 },
		{ .stage = 3, .levels = 4, .oas = 46 },
		{ .stage = 1, .levels = 3, .oas = 46 },
		{ .stage = 2, .levels = 2, .oas = 46 },
		{ .stage = 2, .levels = 6, .oas = 46 },
		{ .stage = 2, .levels = 4, .oas = 35 },
		{ .stage = 2, .levels = 4, .oas = 53 },
	};
	struct heap heap = { .next_pa = GIB };
	struct pt *pt;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vtd_pt_create(&bad[i], &heap_ops, &heap, &pt),
				 -EINVAL);
	assert_int_equal(heap.live, 0);
}

struct seen {
	unsigned int n;
	uint64_t iova[8];
	uint64_t length[8];
};

static void note(void *ctx, uint64_t iova, uint64_t length)
{
	struct seen *s = ctx;

	assert_true(s->n < 8);
	s->iova[s->n] = iova;
	s->length[s->n++] = length;
}

static void dirty_leaves_are_told_and_cleared(void **state)
{
	struct seen s = { 0 };
	struct fixture f;
	uint64_t where;

	(void)state;
	start(&f, 2, 4, true);
	assert_int_equal(pt_map(f.pt, 0, 0, 4 * MIB, RW), 0);
	assert_int_equal(pt_map(f.pt, 8 * MIB, 0, 0x3000, RW), 0);
	pt_read_dirty(f.pt, 0, 16 * MIB - 1, true, note, &s);
	assert_int_equal(s.n, 0);

	entry(&f, 2 * MIB, 2, &where);
	heap_set(&f.heap, where, 1 << 9);
	entry(&f, 8 * MIB + 0x1000, 3, &where);
	heap_set(&f.heap, where, 1 << 9);
	pt_read_dirty(f.pt, 0, 16 * MIB - 1, false, note, &s);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.iova[0], 2 * MIB);
	assert_int_equal(s.length[0], 2 * MIB);
	assert_int_equal(s.iova[1], 8 * MIB + 0x1000);
	assert_int_equal(s.length[1], 0x1000);

	/* a part of a leaf is told as that part */
	s.n = 0;
	pt_read_dirty(f.pt, 3 * MIB, 3 * MIB + 0xfff, true, note, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.iova[0], 3 * MIB);
	assert_int_equal(s.length[0], 0x1000);
	assert_int_equal(entry(&f, 2 * MIB, 2, &where), 0x200083);

	s.n = 0;
	pt_read_dirty(f.pt, 0, 16 * MIB - 1, true, note, &s);
	assert_int_equal(s.n, 1);
	s.n = 0;
	pt_read_dirty(f.pt, 0, 16 * MIB - 1, true, note, &s);
	assert_int_equal(s.n, 0);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_stage_entries_bit_by_bit),
		cmocka_unit_test(first_stage_entries_bit_by_bit),
		cmocka_unit_test(without_1_gib_leaves_there_are_none),
		cmocka_unit_test(leaves_of_4_kib_may_be_all_there_are),
		cmocka_unit_test(widths_end_where_they_should),
		cmocka_unit_test(what_does_not_exist_is_refused),
		cmocka_unit_test(dirty_leaves_are_told_and_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
