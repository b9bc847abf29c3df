// SPDX-License-Identifier: MIT
/*
 * That invalidations cost what they remove and not what is cached: counted in
 * steps (struct iotlb_stats), never timed.
 */
#include "common.h"

#define MILLION 1000000ull
#define BASE	0x100000000ull

static uint64_t work_of(struct cache *c, uint32_t by, uint64_t first,
			uint64_t last)
{
	struct iotlb_inval what = {
		.by = by,
		.regimes = 1,
		.vmid = 1,
		.asid = 1,
		.level = 3,
		.granule_lg2 = 12,
		.first = first,
		.last = last,
	};
	uint64_t before = stats(c).work;

	iotlb_invalidate(c->tlb, &what);
	return stats(c).work - before;
}

#define BY_ASID	 (IOTLB_BY_VMID | IOTLB_BY_ASID)
#define BY_RANGE (BY_ASID | IOTLB_BY_RANGE)

static void put_pages(struct cache *c, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++) {
		struct iotlb_entry entry = page_at(1, 1, BASE + (n << 12));

		assert_int_equal(put(c, &entry), 0);
	}
}

static void a_page_costs_the_same_whatever_is_cached(void **state)
{
	static const uint64_t counts[] = { 256, 4096, MILLION };

	(void)state;
	for (int n = 0; n < 3; n++) {
		uint64_t end = BASE + (counts[n] << 12);
		struct cache c;

		cache_open(&c, IOTLB_HOSTILE, 0);
		put_pages(&c, counts[n]);
		assert_int_equal(stats(&c).entries, counts[n]);
		for (uint64_t p = 0; p < 255; p++) {
			uint64_t at = BASE + (p << 12);

			assert_true(has(&c, 1, 1, at));
			/* space, shape, chunk, entry */
			assert_int_equal(work_of(&c, BY_RANGE, at, at + 0xfff),
					 4);
			assert_false(has(&c, 1, 1, at));
			assert_int_equal(work_of(&c, BY_RANGE, at, at + 0xfff),
					 3);
			assert_int_equal(work_of(&c, BY_RANGE, end, end), 3);
		}
		assert_int_equal(stats(&c).entries, counts[n] - 255);
		cache_close(&c);
	}
}

static void ranges_among_a_million_cost_what_they_remove(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	put_pages(&c, MILLION);

	assert_in_range(work_of(&c, BY_RANGE, 0, BASE - 1), 1, 3);
	assert_in_range(work_of(&c, BY_RANGE, BASE + (MILLION << 12), ~0ull), 1,
			3);
	/* 1000 pages lie in at most 64 chunks of 16 */
	assert_in_range(work_of(&c, BY_RANGE, BASE + (5000 << 12),
				BASE + (6000 << 12) - 1),
			1000, 1000 + 64 + 3);
	assert_int_equal(stats(&c).entries, MILLION - 1000);
	/* The hole is not walked again. */
	assert_in_range(work_of(&c, BY_RANGE, BASE + (5000 << 12),
				BASE + (6000 << 12) - 1),
			1, 4);
	assert_true(has(&c, 1, 1, BASE + (4999 << 12)));
	assert_true(has(&c, 1, 1, BASE + (6000 << 12)));

	assert_in_range(work_of(&c, BY_RANGE, 0, ~0ull), MILLION - 1000,
			(MILLION - 1000) * 17 / 16 + 8);
	assert_int_equal(stats(&c).entries, 0);
	assert_in_range(work_of(&c, BY_RANGE, 0, ~0ull), 1, 4);
	cache_close(&c);
}

static void scattered_pages_cost_what_they_remove(void **state)
{
	uint64_t state64 = 12345, half = 0, work;
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	for (int n = 0; n < 100000; n++) {
		uint64_t iova = next_random(&state64) & ~0xfffull;
		struct iotlb_entry entry = page_at(1, 1, iova);

		assert_int_equal(put(&c, &entry), 0);
		half += iova >> 63;
	}
	work = work_of(&c, BY_RANGE, 1ull << 63, ~0ull);
	assert_in_range(work, half, 2 * half + 4);
	assert_int_equal(stats(&c).entries, 100000 - half);
	assert_in_range(work_of(&c, BY_RANGE, 1ull << 63, ~0ull), 1, 4);
	cache_close(&c);
}

static void pages_removed_one_by_one_do_not_burden_ranges_for_long(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	put_pages(&c, 16000);
	for (uint64_t n = 0; n < 15999; n++)
		work_of(&c, BY_RANGE, BASE + (n << 12), BASE + (n << 12));
	assert_int_equal(stats(&c).entries, 1);
	assert_in_range(work_of(&c, BY_RANGE, BASE, BASE + 0x3000000), 1, 1004);
	assert_in_range(work_of(&c, BY_RANGE, BASE, BASE + 0x3000000), 1, 4);
	cache_close(&c);
}

/* Else a guest that maps and unmaps here and there would fill memory. */
static void what_removals_leave_behind_is_trimmed(void **state)
{
	struct iotlb_entry last = page_at(1, 1, 0xfffffffffffff000);
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	assert_int_equal(put(&c, &last), 0);
	for (uint64_t n = 0; n < 20000; n++) {
		struct iotlb_entry entry = page_at(1, 1, n << 20);

		assert_int_equal(put(&c, &entry), 0);
		work_of(&c, BY_RANGE, n << 20, n << 20);
	}
	assert_int_equal(stats(&c).entries, 1);
	assert_in_range(work_of(&c, BY_RANGE, 0, ~0ull), 1, 64);
	cache_close(&c);
}

/* 100000 pages of stage 2 under one 1 GiB block of stage 1. */
static void a_leaf_of_many_entries_goes_as_one(void **state)
{
	struct cache c;
	uint64_t work;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	for (uint64_t n = 0; n < 200000; n++) {
		struct iotlb_entry entry = page_at(1, 1, 0);

		entry.leaf = 0x40000000 + (n % 2) * 0x40000000;
		entry.iova = entry.leaf + (n / 2 << 12);
		entry.leaf_lg2 = 30;
		entry.level = 1;
		assert_int_equal(put(&c, &entry), 0);
	}
	work = work_of(&c, BY_RANGE, 0x7ffff000, 0x7fffffff);
	/* and pages that lie together are found together */
	assert_in_range(work, 100000, 100000 + 100000 / 32 + 3);
	assert_int_equal(stats(&c).entries, 100000);
	assert_false(has(&c, 1, 1, 0x40000000));
	assert_true(has(&c, 1, 1, 0x80000000));
	cache_close(&c);
}

static void a_level_that_matches_nothing_costs_nothing(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	for (uint64_t n = 0; n < 10000; n++) {
		struct iotlb_entry entry = page_at(1, 1, BASE + (n << 12));

		entry.level = 2;
		assert_int_equal(put(&c, &entry), 0);
	}
	assert_in_range(work_of(&c, BY_RANGE | IOTLB_BY_LEVEL, 0, ~0ull), 1, 2);
	assert_in_range(work_of(&c, BY_RANGE | IOTLB_BY_GRANULE, BASE, BASE), 4,
			4);
	assert_int_equal(stats(&c).entries, 9999);
	cache_close(&c);
}

static void by_asid_by_vmid_and_all_do_not_look_at_entries(void **state)
{
	static const uint32_t bys[] = { BY_ASID, IOTLB_BY_VMID, 0 };

	(void)state;
	for (int n = 0; n < 3; n++) {
		struct cache c;

		cache_open(&c, IOTLB_HOSTILE, 0);
		put_pages(&c, 20000);
		assert_in_range(work_of(&c, bys[n], 0, 0), 0, 1);
		assert_int_equal(stats(&c).entries, 0);
		assert_int_equal(stats(&c).stale, 20000);
		assert_false(has(&c, 1, 1, BASE));
		/* As many again sweep them, and then some are left over. */
		put_pages(&c, 4000);
		assert_int_equal(stats(&c).entries, 4000);
		assert_int_equal(stats(&c).stale, 0);
		cache_close(&c);
	}
}

static void a_range_in_one_asid_ignores_a_hundred_thousand_others(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	for (uint32_t asid = 0; asid < 100000; asid++) {
		struct iotlb_entry entry = page_at(1, asid, BASE);

		assert_int_equal(put(&c, &entry), 0);
	}
	assert_int_equal(work_of(&c, BY_RANGE, BASE, BASE), 4);
	assert_int_equal(stats(&c).entries, 99999);
	assert_in_range(work_of(&c, IOTLB_BY_VMID, 0, 0), 0, 1);
	assert_int_equal(stats(&c).entries, 0);
	cache_close(&c);
}

#define BY_VMID_RANGE (IOTLB_BY_VMID | IOTLB_BY_RANGE)

static void put_asids(struct cache *c, uint32_t count)
{
	for (uint32_t asid = 0; asid < count; asid++) {
		struct iotlb_entry entry = page_at(1, asid, BASE);

		assert_int_equal(put(c, &entry), 0);
	}
}

/* A guest asks for a page that is not there, of each of its many ASIDs. */
static void
ranges_in_all_asids_asked_for_in_vain_end_in_a_clearance(void **state)
{
	const struct iotlb_inval what = {
		.by = BY_VMID_RANGE,
		.regimes = 1,
		.vmid = 1,
		.last = 0xfff,
	};
	struct cache c;
	uint64_t work;

	(void)state;
	cache_open(&c, IOTLB_FAST, 0);
	put_asids(&c, 20000);
	work = stats(&c).work;
	for (int n = 0; n < 100000; n++)
		iotlb_invalidate(c.tlb, &what);
	work = stats(&c).work - work;
	/* all once, or nearly; then nothing is left to look at */
	assert_in_range(work, 5000, 16 * 4096 + 100000);
	assert_int_equal(stats(&c).entries, 0);

	for (int n = 0; n < 10; n++) { /* who inserts pays */
		put_asids(&c, 20);
		work_of(&c, BY_VMID_RANGE, 0, 0xfff);
	}
	assert_int_equal(stats(&c).entries, 20);
	cache_close(&c);
}

/* What was inserted long ago pays for nothing. */
static void a_range_in_very_many_asids_goes_with_all_the_rest(void **state)
{
	static const uint32_t counts[] = { 5000, 100000, 400000 };

	(void)state;
	for (int n = 0; n < 3; n++) {
		struct cache c;

		cache_open(&c, IOTLB_FAST, 1u << 20);
		put_asids(&c, counts[n]);
		assert_in_range(work_of(&c, BY_VMID_RANGE, BASE, BASE), 2000,
				16 * 4096);
		assert_int_equal(stats(&c).entries, 0);
		cache_close(&c);
	}
}

static void many_vmids_do_not_multiply_what_ranges_cost(void **state)
{
	struct iotlb_inval what = {
		.by = BY_VMID_RANGE,
		.regimes = 1,
		.first = BASE,
		.last = BASE,
	};
	struct cache c;
	uint64_t before;

	(void)state;
	cache_open(&c, IOTLB_FAST, 1u << 20);
	for (uint32_t n = 0; n < 400000; n++) {
		struct iotlb_entry entry =
			page_at((uint16_t)(n % 4000), n / 4000, BASE);

		assert_int_equal(put(&c, &entry), 0);
	}
	before = stats(&c).work;
	for (what.vmid = 0; what.vmid < 4000; what.vmid++)
		iotlb_invalidate(c.tlb, &what);
	assert_in_range(stats(&c).work - before, 2000, 16 * 4096 + 4000 * 16);
	assert_int_equal(stats(&c).entries, 0);
	cache_close(&c);
}

/* Each costs memory's time, wherever it lies: not with all of a full queue. */
static void
pages_of_ever_other_asids_end_in_a_clearance_of_the_vmid(void **state)
{
	struct iotlb_inval what = {
		.by = BY_RANGE,
		.regimes = 1,
		.vmid = 1,
		.first = BASE,
		.last = BASE,
	};
	struct iotlb_entry other = page_at(65, 3, BASE), mine;
	struct cache c;
	uint64_t before;

	(void)state;
	cache_open(&c, IOTLB_FAST, 1u << 20);
	put_asids(&c, 50000);
	assert_int_equal(put(&c, &other), 0);
	before = stats(&c).work;
	for (what.asid = 0; what.asid < 50000; what.asid++)
		iotlb_invalidate(c.tlb, &what);
	assert_in_range(stats(&c).removed, 4000, 45000);
	assert_in_range(stats(&c).work - before, 50000, 200000);
	assert_int_equal(stats(&c).entries, 1);
	assert_true(has(&c, 65, 3, BASE)); /* another vmid's */

	/* What it caches again is found again, global or not. */
	mine = page_at(1, 7, BASE);
	assert_int_equal(put(&c, &mine), 0);
	mine = page_at(1, 8, BASE + 0x1000);
	mine.global = true;
	assert_int_equal(put(&c, &mine), 0);
	assert_int_equal(stats(&c).entries, 3);
	what.asid = 7;
	iotlb_invalidate(c.tlb, &what);
	assert_false(has(&c, 1, 7, BASE));
	for (what.asid = 100; what.asid < 200; what.asid++) {
		mine.iova = mine.leaf = BASE + 0x1000;
		assert_int_equal(put(&c, &mine), 0);
		what.by = BY_RANGE | IOTLB_GLOBALS;
		what.first = what.last = BASE + 0x1000;
		iotlb_invalidate(c.tlb, &what);
		assert_false(has(&c, 1, what.asid, BASE + 0x1000));
	}
	assert_int_equal(stats(&c).entries, 1);
	cache_close(&c);
}

/* What software with more vmids than any host has guests asks for */
static void commands_of_ever_other_vmids_end_in_a_clearance(void **state)
{
	static const uint32_t bys[] = { BY_RANGE, BY_ASID, BY_VMID_RANGE };

	(void)state;
	for (int n = 0; n < 3; n++) {
		struct iotlb_inval what = {
			.by = bys[n],
			.regimes = 1,
			.asid = 3,
			.first = BASE,
			.last = BASE,
		};
		struct iotlb_entry entry;
		struct cache c;

		cache_open(&c, IOTLB_FAST, 1u << 20);
		for (uint32_t vmid = 0; vmid < 65000; vmid++) {
			entry = page_at((uint16_t)vmid, 3, BASE);
			assert_int_equal(put(&c, &entry), 0);
		}
		for (uint32_t vmid = 0; vmid < 60000; vmid++) {
			what.vmid = (uint16_t)vmid;
			iotlb_invalidate(c.tlb, &what);
		}
		assert_int_equal(stats(&c).entries, 0);
		for (uint32_t vmid = 0; vmid < 1000; vmid++) {
			entry = page_at((uint16_t)vmid, 3, BASE);
			assert_int_equal(put(&c, &entry), 0);
			assert_true(has(&c, (uint16_t)vmid, 3, BASE));
			what.vmid = (uint16_t)vmid;
			iotlb_invalidate(c.tlb, &what);
			assert_false(has(&c, (uint16_t)vmid, 3, BASE));
		}
		cache_close(&c);
	}
}

static void a_few_asids_stay_exact_whatever_is_asked_for_in_vain(void **state)
{
	struct iotlb_inval what = {
		.by = BY_RANGE | IOTLB_GLOBALS,
		.regimes = 7,
		.vmid = 1,
		.asid = 5,
		.first = BASE - 0x1000,
		.last = BASE - 0x1000,
	};
	struct iotlb_entry entry = page_at(1, 5, BASE);
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_FAST, 0);
	for (entry.regime = 0; entry.regime < 3; entry.regime++) {
		entry.asid = 5;
		assert_int_equal(put(&c, &entry), 0);
		entry.asid = 6;
		assert_int_equal(put(&c, &entry), 0);
	}
	for (int n = 0; n < 200000; n++)
		iotlb_invalidate(c.tlb, &what);
	what.by = BY_VMID_RANGE;
	for (int n = 0; n < 100; n++)
		iotlb_invalidate(c.tlb, &what);
	assert_int_equal(stats(&c).entries, 6);
	cache_close(&c);
}

static void pages_of_many_asids_in_use_stay_exact(void **state)
{
	struct iotlb_inval what = {
		.by = BY_RANGE,
		.regimes = 1,
		.vmid = 1,
		.first = BASE,
		.last = BASE,
	};
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_FAST, 1u << 20);
	put_asids(&c, 3000);
	for (int n = 0; n < 30; n++) {
		for (what.asid = 0; what.asid < 3000; what.asid++) {
			struct iotlb_entry entry = page_at(1, what.asid, BASE);

			iotlb_invalidate(c.tlb, &what);
			assert_int_equal(put(&c, &entry), 0);
		}
		assert_int_equal(stats(&c).entries, 3000);
	}
	cache_close(&c);
}

static void a_large_range_of_one_asid_is_exact_up_to_a_bound(void **state)
{
	const uint64_t last = BASE + (3000 << 12) - 1;
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_FAST, 1u << 20);
	put_pages(&c, 10000);
	work_of(&c, BY_RANGE, BASE, last);
	assert_int_equal(stats(&c).entries, 7000);
	cache_close(&c);

	cache_open(&c, IOTLB_FAST, 1u << 20);
	put_pages(&c, 400000);
	assert_in_range(work_of(&c, BY_RANGE, BASE + 0x1000, ~0ull), 4000,
			4096 + 64);
	assert_int_equal(stats(&c).entries, 0);
	put_pages(&c, 100);
	work_of(&c, BY_RANGE, BASE, BASE);
	assert_int_equal(stats(&c).entries, 99);
	cache_close(&c);

	cache_open(&c, IOTLB_HOSTILE, 0);
	put_pages(&c, 400000);
	work_of(&c, BY_RANGE, BASE + 0x1000, ~0ull);
	assert_int_equal(stats(&c).entries, 1);
	cache_close(&c);
}

static void ranges_in_all_asids_that_are_in_use_stay_exact(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_FAST, 0);
	for (int n = 0; n < 100; n++) {
		put_asids(&c, 500);
		work_of(&c, BY_VMID_RANGE, 0, 0xfff);
		assert_int_equal(stats(&c).entries, 500);
	}
	cache_close(&c);
	cache_open(&c, IOTLB_HOSTILE, 0);
	put_asids(&c, 500);
	for (int n = 0; n < 1000; n++)
		work_of(&c, BY_VMID_RANGE, 0, 0xfff);
	assert_int_equal(stats(&c).entries, 500);
	cache_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_costs_the_same_whatever_is_cached),
		cmocka_unit_test(ranges_among_a_million_cost_what_they_remove),
		cmocka_unit_test(scattered_pages_cost_what_they_remove),
		cmocka_unit_test(
			pages_removed_one_by_one_do_not_burden_ranges_for_long),
		cmocka_unit_test(what_removals_leave_behind_is_trimmed),
		cmocka_unit_test(a_leaf_of_many_entries_goes_as_one),
		cmocka_unit_test(a_level_that_matches_nothing_costs_nothing),
		cmocka_unit_test(
			by_asid_by_vmid_and_all_do_not_look_at_entries),
		cmocka_unit_test(
			a_range_in_one_asid_ignores_a_hundred_thousand_others),
		cmocka_unit_test(
			ranges_in_all_asids_asked_for_in_vain_end_in_a_clearance),
		cmocka_unit_test(
			a_range_in_very_many_asids_goes_with_all_the_rest),
		cmocka_unit_test(many_vmids_do_not_multiply_what_ranges_cost),
		cmocka_unit_test(
			pages_of_ever_other_asids_end_in_a_clearance_of_the_vmid),
		cmocka_unit_test(
			commands_of_ever_other_vmids_end_in_a_clearance),
		cmocka_unit_test(
			a_few_asids_stay_exact_whatever_is_asked_for_in_vain),
		cmocka_unit_test(pages_of_many_asids_in_use_stay_exact),
		cmocka_unit_test(
			a_large_range_of_one_asid_is_exact_up_to_a_bound),
		cmocka_unit_test(
			ranges_in_all_asids_that_are_in_use_stay_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
