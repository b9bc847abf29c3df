// SPDX-License-Identifier: MIT
/* The contract of the translation cache, case by case, in both policies. */
#include "common.h"

static int open_hostile(void **state)
{
	struct cache *c = calloc(1, sizeof(*c));

	cache_open(c, IOTLB_HOSTILE, 0);
	*state = c;
	return 0;
}

static int open_fast(void **state)
{
	struct cache *c = calloc(1, sizeof(*c));

	cache_open(c, IOTLB_FAST, 0);
	*state = c;
	return 0;
}

static int close_cache(void **state)
{
	struct cache *c = *state;

	cache_close(c);
	free(c);
	return 0;
}

static void inval(struct cache *c, uint32_t by, uint16_t vmid, uint32_t asid,
		  uint64_t first, uint64_t last)
{
	struct iotlb_inval what = {
		.by = by,
		.regimes = 1,
		.vmid = vmid,
		.asid = asid,
		.first = first,
		.last = last,
	};

	iotlb_invalidate(c->tlb, &what);
}

#define BY_PAGE (IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE)

static void put_page(struct cache *c, uint16_t vmid, uint32_t asid,
		     uint64_t iova)
{
	struct iotlb_entry entry = page_at(vmid, asid, iova);

	assert_int_equal(put(c, &entry), 0);
}

static void an_empty_cache_finds_nothing(void **state)
{
	struct cache *c = *state;

	assert_false(has(c, 0, 0, 0));
	assert_false(has(c, 0xffff, 0xffffffff, ~0ull));
	assert_false(get(c, 7, 0, 0, 0, NULL));
	assert_false(get(c, 8, 0, 0, 0, NULL));
	assert_false(get(c, 255, 0, 0, 0, NULL));
}

static void every_field_of_an_entry_comes_back(void **state)
{
	struct cache *c = *state;
	int somewhere;
	struct iotlb_entry in = {
		.iova = 0xfffffffffffff000,
		.out = 0x123456789000,
		.host = &somewhere,
		.leaf = 0xffffffffffe00000,
		.ipa = 0xabcdef000,
		.serial = 77,
		.cookie = ~0ull,
		.asid = 0xffffffff,
		.attrs = 0x80000001,
		.vmid = 0xffff,
		.regime = 7,
		.size_lg2 = 12,
		.leaf_lg2 = 21,
		.level = 2,
		.granule_lg2 = 12,
		.global = false,
	};
	struct iotlb_entry out = { 0 };

	assert_int_equal(put(c, &in), 0);
	assert_true(get(c, 7, 0xffff, 0xffffffff, ~0ull, &out));
	assert_memory_equal(&in, &out, sizeof(in));
	assert_true(get(c, 7, 0xffff, 0xffffffff, 0xfffffffffffff000, &out));
	assert_false(get(c, 7, 0xffff, 0xffffffff, 0xffffffffffffefff, &out));
}

static void each_bit_of_the_key_counts(void **state)
{
	struct cache *c = *state;
	uint64_t iova = 0x5a5a5a5a5a5a5000;

	put_page(c, 0x5a5a, 0x5a5a5a5a, iova);
	for (int bit = 0; bit < 64; bit++)
		assert_int_equal(has(c, 0x5a5a, 0x5a5a5a5a, iova ^ 1ull << bit),
				 bit < 12);
	for (int bit = 0; bit < 32; bit++)
		assert_false(has(c, 0x5a5a, 0x5a5a5a5a ^ 1u << bit, iova));
	for (int bit = 0; bit < 16; bit++)
		assert_false(has(c, (uint16_t)(0x5a5a ^ 1u << bit), 0x5a5a5a5a,
				 iova));
	for (int bit = 0; bit < 3; bit++)
		assert_false(get(c, (uint8_t)(1u << bit), 0x5a5a, 0x5a5a5a5a,
				 iova, NULL));
}

static void each_bit_of_an_invalidation_counts(void **state)
{
	struct cache *c = *state;
	uint64_t iova = 0x5a5a5a5a5a5a5000;

	put_page(c, 0x5a5a, 0x5a5a5a5a, iova);
	for (int bit = 12; bit < 64; bit++) {
		uint64_t other = iova ^ 1ull << bit;

		inval(c, BY_PAGE, 0x5a5a, 0x5a5a5a5a, other, other + 0xfff);
	}
	for (int bit = 0; bit < 32; bit++) {
		inval(c, BY_PAGE, 0x5a5a, 0x5a5a5a5a ^ 1u << bit, 0, ~0ull);
		inval(c, IOTLB_BY_VMID | IOTLB_BY_ASID, 0x5a5a,
		      0x5a5a5a5a ^ 1u << bit, 0, 0);
	}
	for (int bit = 0; bit < 16; bit++) {
		uint16_t vmid = (uint16_t)(0x5a5a ^ 1u << bit);

		inval(c, BY_PAGE, vmid, 0x5a5a5a5a, 0, ~0ull);
		inval(c, IOTLB_BY_VMID | IOTLB_BY_RANGE, vmid, 0, 0, ~0ull);
		inval(c, IOTLB_BY_VMID, vmid, 0, 0, 0);
	}
	assert_true(has(c, 0x5a5a, 0x5a5a5a5a, iova));
	inval(c, BY_PAGE, 0x5a5a, 0x5a5a5a5a, iova, iova);
	assert_false(has(c, 0x5a5a, 0x5a5a5a5a, iova));
}

static void every_size_is_found_and_removed_at_both_ends(void **state)
{
	struct cache *c = *state;

	for (uint8_t size = 0; size < 64; size++) {
		uint64_t first = size == 63 ? 1ull << 63 : 3ull << size;
		uint64_t last = first + ((1ull << size) - 1);
		struct iotlb_entry entry = page_at(1, 1, first);

		entry.size_lg2 = size;
		entry.leaf_lg2 = size;
		for (int end = 0; end < 2; end++) {
			uint64_t at = end ? last : first;

			assert_int_equal(put(c, &entry), 0);
			assert_true(has(c, 1, 1, first));
			assert_true(has(c, 1, 1, last));
			assert_false(has(c, 1, 1, first - 1));
			if (last != ~0ull)
				assert_false(has(c, 1, 1, last + 1));
			inval(c, BY_PAGE, 1, 1, 0, first - 1);
			if (last != ~0ull)
				inval(c, BY_PAGE, 1, 1, last + 1, ~0ull);
			assert_true(has(c, 1, 1, at));
			inval(c, BY_PAGE, 1, 1, at, at);
			assert_false(has(c, 1, 1, first));
			assert_false(has(c, 1, 1, last));
		}
	}
}

static void malformed_entries_are_refused(void **state)
{
	struct cache *c = *state;
	struct iotlb_entry good = page_at(1, 1, 0x201000), bad;

	bad = good;
	bad.regime = 8;
	assert_int_equal(put(c, &bad), -EINVAL);
	bad = good;
	bad.iova |= 1;
	assert_int_equal(put(c, &bad), -EINVAL);
	bad = good;
	bad.leaf_lg2 = 11;
	assert_int_equal(put(c, &bad), -EINVAL);
	bad = good;
	bad.leaf_lg2 = 21; /* the leaf would begin at 0x200000 */
	assert_int_equal(put(c, &bad), -EINVAL);
	bad.leaf = 0x400000;
	assert_int_equal(put(c, &bad), -EINVAL);
	bad.leaf = 0x200000;
	assert_int_equal(put(c, &bad), 0);
	bad.leaf_lg2 = 64;
	assert_int_equal(put(c, &bad), -EINVAL);
}

static void creation_checks_its_config(void **state)
{
	struct cache *c = *state;
	struct iotlb_config config = { .policy = IOTLB_FAST };
	struct iotlb *tlb = (void *)c;

	assert_int_equal(iotlb_create(&config, &tlb), -EINVAL);
	config.grace = c->grace;
	config.policy = 2;
	assert_int_equal(iotlb_create(&config, &tlb), -EINVAL);
	assert_ptr_equal(tlb, c);
	iotlb_destroy(NULL);
}

/* A 2 MiB stage-1 block over 4 KiB stage-2 pages. */
static void put_block_part(struct cache *c, uint64_t leaf, uint64_t iova)
{
	struct iotlb_entry entry = page_at(1, 1, iova);

	entry.leaf = leaf;
	entry.leaf_lg2 = 21;
	entry.level = 2;
	assert_int_equal(put(c, &entry), 0);
}

static void any_address_of_a_leaf_removes_all_of_it(void **state)
{
	struct cache *c = *state;

	for (uint64_t page = 0; page < 512; page++) {
		put_block_part(c, 0x200000, 0x200000 + (page << 12));
		put_block_part(c, 0x400000, 0x400000 + (page << 12));
	}
	assert_int_equal(stats(c).entries, 1024);
	/* An address of the block of which nothing need be cached. */
	inval(c, BY_PAGE, 1, 1, 0x2ab000, 0x2abfff);
	assert_int_equal(stats(c).entries, 512);
	assert_false(has(c, 1, 1, 0x200000));
	assert_false(has(c, 1, 1, 0x3ff000));
	assert_true(has(c, 1, 1, 0x400000));
	inval(c, BY_PAGE, 1, 1, 0x3fffff, 0x400000);
	assert_int_equal(stats(c).entries, 0);
}

static void a_block_and_a_page_at_one_address_live_side_by_side(void **state)
{
	struct cache *c = *state;
	struct iotlb_inval ttl = {
		.by = BY_PAGE | IOTLB_BY_LEVEL,
		.regimes = 1,
		.vmid = 1,
		.asid = 1,
		.first = 0x205000,
		.last = 0x205fff,
		.level = 3,
	};
	struct iotlb_entry out;

	put_block_part(c, 0x200000, 0x205000);
	put_page(c, 1, 1, 0x205000);
	assert_int_equal(stats(c).entries, 2);
	iotlb_invalidate(c->tlb, &ttl);
	assert_true(get(c, 0, 1, 1, 0x205000, &out));
	assert_int_equal(out.leaf_lg2, 21);

	put_page(c, 1, 1, 0x205000);
	inval(c, BY_PAGE, 1, 1, 0x205000, 0x205000);
	assert_false(has(c, 1, 1, 0x205000));
	assert_int_equal(stats(c).entries, 0);
}

static void the_same_translation_again_replaces_the_old(void **state)
{
	struct cache *c = *state;
	struct iotlb_entry entry = page_at(1, 1, 0x1000), out;

	entry.attrs = 1;
	assert_int_equal(put(c, &entry), 0);
	entry.attrs = 2;
	assert_int_equal(put(c, &entry), 0);
	assert_int_equal(stats(c).entries, 1);
	assert_true(get(c, 0, 1, 1, 0x1000, &out));
	assert_int_equal(out.attrs, 2);
}

static void level_and_granule_are_matched_exactly(void **state)
{
	struct cache *c = *state;

	for (unsigned int bit = 0; bit < 8; bit++) {
		struct iotlb_entry entry = page_at(1, 1, 0x1000);
		struct iotlb_inval what = {
			.by = BY_PAGE | IOTLB_BY_LEVEL | IOTLB_BY_GRANULE,
			.regimes = 1,
			.vmid = 1,
			.asid = 1,
			.last = ~0ull,
		};

		entry.level = 0x55;
		entry.granule_lg2 = 0xaa;
		assert_int_equal(put(c, &entry), 0);
		what.level = (uint8_t)(0x55 ^ 1u << bit);
		what.granule_lg2 = 0xaa;
		iotlb_invalidate(c->tlb, &what);
		what.level = 0x55;
		what.granule_lg2 = (uint8_t)(0xaa ^ 1u << bit);
		iotlb_invalidate(c->tlb, &what);
		assert_true(has(c, 1, 1, 0x1000));
		what.granule_lg2 = 0xaa;
		iotlb_invalidate(c->tlb, &what);
		assert_false(has(c, 1, 1, 0x1000));
	}
}

static void put_global(struct cache *c, uint16_t vmid, uint64_t iova)
{
	struct iotlb_entry entry = page_at(vmid, 5, iova);

	entry.global = true;
	assert_int_equal(put(c, &entry), 0);
}

static void a_global_entry_matches_every_asid_of_its_vmid(void **state)
{
	struct cache *c = *state;

	put_global(c, 1, 0x1000);
	assert_true(has(c, 1, 5, 0x1000));
	assert_true(has(c, 1, 0, 0x1000));
	assert_true(has(c, 1, 0xffffffff, 0x1fff));
	assert_false(has(c, 2, 5, 0x1000));
	assert_false(get(c, 1, 1, 5, 0x1000, NULL));
}

static void by_asid_takes_globals_only_when_told(void **state)
{
	struct cache *c = *state;

	put_global(c, 1, 0x1000);
	inval(c, IOTLB_BY_VMID | IOTLB_BY_ASID, 1, 5, 0, 0);
	inval(c, BY_PAGE, 1, 5, 0x1000, 0x1fff);
	assert_true(has(c, 1, 5, 0x1000));
	inval(c, BY_PAGE | IOTLB_GLOBALS, 1, 6, 0x2000, ~0ull);
	inval(c, BY_PAGE | IOTLB_GLOBALS, 2, 6, 0x1000, 0x1fff);
	assert_true(has(c, 1, 5, 0x1000));
	inval(c, BY_PAGE | IOTLB_GLOBALS, 1, 6, 0x1000, 0x1fff);
	assert_false(has(c, 1, 5, 0x1000));

	put_global(c, 1, 0x1000);
	inval(c, IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_GLOBALS, 1, 6, 0, 0);
	assert_false(has(c, 1, 5, 0x1000));
}

static void by_vmid_and_range_takes_every_asid_and_globals(void **state)
{
	struct cache *c = *state;

	for (uint32_t asid = 0; asid < 100; asid++) {
		put_page(c, 1, asid, 0x1000);
		put_page(c, 1, asid, 0x2000);
		put_page(c, 2, asid, 0x1000);
	}
	put_global(c, 1, 0x1000);
	inval(c, IOTLB_BY_VMID | IOTLB_BY_RANGE, 1, 3, 0x1000, 0x1fff);
	for (uint32_t asid = 0; asid < 100; asid++) {
		assert_false(has(c, 1, asid, 0x1000));
		assert_true(has(c, 1, asid, 0x2000));
		assert_true(has(c, 2, asid, 0x1000));
	}
	assert_false(has(c, 1, 1000, 0x1000));
	inval(c, IOTLB_BY_RANGE, 0, 0, 0x1000, 0x1fff);
	assert_false(has(c, 2, 7, 0x1000));
	assert_int_equal(stats(c).entries, 100);
}

static void only_the_regimes_named_are_touched(void **state)
{
	struct cache *c = *state;
	static const uint32_t bys[] = { 0, IOTLB_BY_VMID,
					IOTLB_BY_VMID | IOTLB_BY_ASID, BY_PAGE,
					IOTLB_BY_VMID | IOTLB_BY_RANGE };

	for (size_t by = 0; by < sizeof(bys) / sizeof(bys[0]); by++) {
		for (uint32_t mask = 0; mask < 256; mask++) {
			struct iotlb_inval what = { .by = bys[by],
						    .regimes = mask | 0xff00,
						    .vmid = 1,
						    .asid = 1,
						    .first = 0x1000,
						    .last = 0x1000 };

			for (uint8_t r = 0; r < 8; r++) {
				struct iotlb_entry entry =
					page_at(1, 1, 0x1000);

				entry.regime = r;
				assert_int_equal(put(c, &entry), 0);
			}
			iotlb_invalidate(c->tlb, &what);
			for (uint8_t r = 0; r < 8; r++)
				assert_int_equal(get(c, r, 1, 1, 0x1000, NULL),
						 !(mask >> r & 1));
		}
	}
}

static void a_ticket_from_before_an_invalidation_is_refused(void **state)
{
	struct cache *c = *state;
	struct iotlb_entry entry = page_at(1, 1, 0x1000);
	static const uint32_t bys[] = { 0, IOTLB_BY_VMID,
					IOTLB_BY_VMID | IOTLB_BY_ASID, BY_PAGE,
					IOTLB_BY_RANGE };

	for (size_t by = 0; by < sizeof(bys) / sizeof(bys[0]); by++) {
		uint64_t ticket = iotlb_ticket(c->tlb);
		uint64_t dropped = stats(c).dropped;

		inval(c, bys[by], 9, 9, 0x9000, 0x9fff);
		assert_int_equal(iotlb_insert(c->tlb, ticket, &entry), -EAGAIN);
		assert_false(has(c, 1, 1, 0x1000));
		assert_int_equal(stats(c).dropped, dropped + 1);
	}
	assert_int_equal(put(c, &entry), 0);
}

static void a_range_that_ends_before_it_begins_names_nothing(void **state)
{
	struct cache *c = *state;

	put_page(c, 1, 1, 0x1000);
	inval(c, BY_PAGE, 1, 1, 0x2000, 0x1000);
	assert_true(has(c, 1, 1, 0x1000));
}

static void what_died_is_swept_by_later_inserts(void **state)
{
	struct cache *c = *state;
	static const uint32_t bys[] = { 0, IOTLB_BY_VMID,
					IOTLB_BY_VMID | IOTLB_BY_ASID };

	for (int n = 0; n < 3000; n++) {
		uint16_t vmid = (uint16_t)(n % 7);

		for (uint64_t page = 0; page < 10; page++)
			put_page(c, vmid, (uint32_t)n, page << 12);
		inval(c, bys[n % 3], vmid, (uint32_t)n, 0, 0);
		assert_in_range(stats(c).stale, 0, 64);
		assert_in_range(stats(c).spaces, 0, 16);
	}
}

/* Each leaves its space empty, in a new (vmid, asid) every time. */
static void emptied_spaces_do_not_pile_up(void **state)
{
	struct cache *c = *state;

	for (uint32_t n = 0; n < 20000; n++) {
		put_page(c, (uint16_t)n, n * 7, 0x1000);
		inval(c, BY_PAGE, (uint16_t)n, n * 7, 0x1000, 0x1fff);
	}
	assert_int_equal(stats(c).entries, 0);
	assert_in_range(stats(c).spaces, 0, 32);
}

static void a_full_fast_cache_evicts_and_stays_bounded(void **state)
{
	struct cache c;
	uint64_t found = 0;

	(void)state;
	cache_open(&c, IOTLB_FAST, 100);
	for (uint64_t n = 0; n < 5000; n++) {
		put_page(&c, (uint16_t)(n / 64), 0, n << 12);
		assert_true(has(&c, (uint16_t)(n / 64), 0, n << 12));
		assert_in_range(stats(&c).entries, 1, 100);
	}
	for (uint64_t n = 0; n < 5000; n++)
		found += has(&c, (uint16_t)(n / 64), 0, n << 12);
	assert_int_equal(found, 100);
	cache_close(&c);
}

#define BOTH(test)                                                     \
	{ #test " (hostile)", test, open_hostile, close_cache, NULL }, \
	{                                                              \
#test " (fast)", test, open_fast, close_cache, NULL    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_empty_cache_finds_nothing),
		BOTH(every_field_of_an_entry_comes_back),
		BOTH(each_bit_of_the_key_counts),
		BOTH(each_bit_of_an_invalidation_counts),
		BOTH(every_size_is_found_and_removed_at_both_ends),
		BOTH(malformed_entries_are_refused),
		BOTH(creation_checks_its_config),
		BOTH(any_address_of_a_leaf_removes_all_of_it),
		BOTH(a_block_and_a_page_at_one_address_live_side_by_side),
		BOTH(the_same_translation_again_replaces_the_old),
		BOTH(level_and_granule_are_matched_exactly),
		BOTH(a_global_entry_matches_every_asid_of_its_vmid),
		BOTH(by_asid_takes_globals_only_when_told),
		BOTH(by_vmid_and_range_takes_every_asid_and_globals),
		BOTH(only_the_regimes_named_are_touched),
		BOTH(a_ticket_from_before_an_invalidation_is_refused),
		BOTH(a_range_that_ends_before_it_begins_names_nothing),
		BOTH(what_died_is_swept_by_later_inserts),
		BOTH(emptied_spaces_do_not_pile_up),
		cmocka_unit_test(a_full_fast_cache_evicts_and_stays_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
