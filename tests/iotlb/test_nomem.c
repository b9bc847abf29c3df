// SPDX-License-Identifier: MIT
/*
 * Memory that runs out at every point in turn: what was cached stays cached,
 * what could not be is not, and invalidations need none.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "common.h"

#define PAGES 1500

static struct iotlb_entry nth(uint32_t n)
{
	/* Spread over shapes, spaces and vms; many in one, so tables grow. */
	struct iotlb_entry entry = page_at(1, 1, (uint64_t)n << 21);

	if (n % 5 == 0)
		entry.asid = n;
	if (n % 50 == 0)
		entry.vmid = (uint16_t)n;
	if (n % 7 == 0) {
		entry.leaf_lg2 = 21;
		entry.level = 2;
	}
	entry.global = n % 31 == 0;
	return entry;
}

static void creation_survives_without_memory(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct iotlb_config config = { .policy = IOTLB_HOSTILE };
	struct iotlb *tlb = NULL;

	(void)state;
	assert_int_equal(grace_create(&config.grace), 0);
	alloc_arm(&plan);
	assert_int_equal(iotlb_create(&config, &tlb), -ENOMEM);
	alloc_arm(NULL);
	assert_null(tlb);
	grace_destroy(config.grace);
}

static size_t check_all(struct cache *c, const bool *cached)
{
	size_t count = 0;

	for (uint32_t n = 0; n < PAGES; n++) {
		struct iotlb_entry entry = nth(n);

		assert_int_equal(has(c, entry.vmid, entry.asid, entry.iova),
				 cached[n]);
		count += cached[n];
	}
	assert_int_equal(stats(c).entries, count);
	return count;
}

static void remove_all(struct cache *c, bool *cached)
{
	struct alloc_plan none = { 0 };

	alloc_arm(&none);
	for (uint32_t n = 0; n < PAGES; n++) {
		struct iotlb_entry entry = nth(n);
		struct iotlb_inval what = {
			.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE |
			      IOTLB_GLOBALS,
			.regimes = 1,
			.vmid = entry.vmid,
			.asid = entry.asid,
			.first = entry.leaf,
			.last = n % 3 ? entry.leaf : entry.leaf + 0xffff,
		};

		if (n % 100 == 0)
			continue;
		if (n % 10 == 0)
			what.by &= ~IOTLB_BY_RANGE;
		if (entry.vmid == 1 && entry.asid == 1)
			what.by |= IOTLB_BY_RANGE;
		iotlb_invalidate(c->tlb, &what);
		cached[n] = false;
	}
	alloc_arm(NULL);
	assert_int_equal(none.passed, 0);
}

/* Returns true if the plan's failure was met. */
static bool play(uint64_t fail_at, uint64_t *points)
{
	struct alloc_plan plan = { .fail_at = fail_at };
	bool cached[PAGES] = { 0 };
	struct iotlb_inval all = { .by = 0, .regimes = 0xff };
	uint64_t dropped;
	struct cache c;

	cache_open(&c, IOTLB_HOSTILE, 0);
	alloc_arm(&plan);
	for (uint32_t n = 0; n < PAGES; n++) {
		struct iotlb_entry entry = nth(n);
		int rc = put(&c, &entry);

		assert_true(rc == 0 || rc == -ENOMEM);
		cached[n] = !rc;
	}
	alloc_arm(NULL);
	*points = plan.passed;
	dropped = stats(&c).dropped;
	assert_in_range(dropped, 0, 1);
	assert_int_equal(check_all(&c, cached), PAGES - dropped);

	remove_all(&c, cached);
	check_all(&c, cached);
	/* And it still works. */
	for (uint32_t n = 0; n < PAGES; n++) {
		struct iotlb_entry entry = nth(n);

		assert_int_equal(put(&c, &entry), 0);
		cached[n] = true;
	}
	check_all(&c, cached);
	iotlb_invalidate(c.tlb, &all);
	memset(cached, 0, sizeof(cached));
	check_all(&c, cached);
	cache_close(&c);
	return fail_at && plan.passed >= fail_at;
}

/* Every point up to the 600th (all kinds are among them), then every 37th. */
static void each_allocation_may_fail(void **state)
{
	uint64_t fail_at = 1, points = 0, dummy, runs = 0;

	(void)state;
	play(0, &points);
	for (; play(fail_at, &dummy); runs++)
		fail_at += fail_at < 600 ? 1 : 37;
	/* how often the tables split depends on the seed, run by run */
	assert_in_range(fail_at, points - points / 20, points + points / 20);
	printf("%llu injection points, %llu tried\n",
	       (unsigned long long)points, (unsigned long long)runs);
}

/* A space whose first insert fails must not stay behind. */
static void failed_first_inserts_leave_no_memory(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_HOSTILE, 0);
	for (uint32_t n = 0; n < 5000; n++) {
		struct alloc_plan plan = { .fail_at = 1 + n % 8 };
		struct iotlb_entry entry = page_at((uint16_t)n, n, 0x1000);
		struct iotlb_inval what = { .by = IOTLB_BY_VMID,
					    .regimes = 1,
					    .vmid = (uint16_t)n };

		alloc_arm(&plan);
		put(&c, &entry);
		alloc_arm(NULL);
		iotlb_invalidate(c.tlb, &what);
	}
	assert_int_equal(stats(&c).entries, 0);
	assert_in_range(stats(&c).spaces, 0, 8);
	assert_in_range(stats(&c).dropped, 1000, 5000);
	cache_close(&c);
}

static void a_fast_cache_that_fails_keeps_its_places(void **state)
{
	struct cache c;

	(void)state;
	cache_open(&c, IOTLB_FAST, 16);
	for (uint32_t n = 0; n < 1000; n++) {
		struct alloc_plan plan = { .fail_at = 1 + n % 6 };
		struct iotlb_entry entry = page_at(1, n, 0x1000);

		alloc_arm(&plan);
		put(&c, &entry);
		alloc_arm(NULL);
	}
	/* A place that was lost would show as fewer than 16. */
	for (uint32_t n = 0; n < 64; n++) {
		struct iotlb_entry entry = page_at(2, 1, n << 12);

		assert_int_equal(put(&c, &entry), 0);
	}
	assert_int_equal(stats(&c).entries + stats(&c).stale, 16);
	cache_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation_survives_without_memory),
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(failed_first_inserts_leave_no_memory),
		cmocka_unit_test(a_fast_cache_that_fails_keeps_its_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
