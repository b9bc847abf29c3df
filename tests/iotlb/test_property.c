// SPDX-License-Identifier: MIT
/*
 * Random inserts and invalidations beside a plain list that does what the
 * contract says. Hostile: the same set after every step. Fast: a subset of it.
 */
#include <stdio.h>

#include "common.h"

#define LIST_MAX 4096
#define STEPS	 6000

/* Few values, so that things collide, and the ends of the address space. */
struct list {
	struct iotlb_entry entry[LIST_MAX];
	bool seen[LIST_MAX];
	size_t count;
	size_t matched;
	bool ok;
};

struct kind {
	uint8_t leaf_lg2;
	uint8_t level;
	uint8_t granule_lg2;
};

static const struct kind kinds[] = {
	{ 12, 3, 12 }, { 16, 3, 12 }, { 16, 3, 16 }, { 21, 2, 12 },
	{ 21, 3, 16 }, { 30, 1, 12 }, { 63, 0, 12 },
};

static uint64_t random_address(uint64_t *state)
{
	static const uint64_t bases[] = { 0, 0x40000000, 1ull << 63,
					  0xffffffffffe00000 };
	uint64_t r = next_random(state);

	return bases[r % 4] + ((r >> 8) % 24 << 12) +
	       ((r >> 16) % 8 ? 0 : (r >> 20) % 8 << 18);
}

static struct iotlb_entry random_entry(uint64_t *state, uint64_t serial)
{
	uint64_t r = next_random(state);
	const struct kind *kind = &kinds[r % 7];
	uint64_t address = random_address(state);
	struct iotlb_entry e = {
		.leaf = address & ~((1ull << kind->leaf_lg2) - 1),
		.leaf_lg2 = kind->leaf_lg2,
		.level = kind->level,
		.granule_lg2 = kind->granule_lg2,
		.regime = (r >> 8) % 3,
		.vmid = (r >> 16) % 3,
		.asid = (r >> 24) % 4,
		.global = !((r >> 32) % 5),
		.serial = serial,
	};

	e.size_lg2 = (r >> 40) % 2 ? 12 : kind->leaf_lg2;
	e.iova = address & ~((1ull << e.size_lg2) - 1);
	return e;
}

static struct iotlb_inval random_inval(uint64_t *state)
{
	uint64_t r = next_random(state), first = random_address(state);
	static const uint64_t lengths[] = { 1,	       0x1000,	 0x10000,
					    0x90000,   0x200000, 1 << 30,
					    1ull << 62 };
	struct iotlb_inval i = {
		.regimes = (r >> 8) & 7,
		.vmid = (r >> 16) % 3,
		.asid = (r >> 24) % 4,
		.level = (r >> 32) % 4,
		.granule_lg2 = (r >> 40) & 1 ? 12 : 16,
		.first = first,
		.last = first + (lengths[(r >> 44) % 7] - 1),
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE,
	};

	if (i.last < first)
		i.last = ~0ull;
	if ((r >> 50) % 4 == 0)
		i.by |= IOTLB_BY_LEVEL;
	if ((r >> 52) % 4 == 0)
		i.by |= IOTLB_BY_GRANULE;
	if ((r >> 54) % 2 == 0)
		i.by |= IOTLB_GLOBALS;
	if ((r >> 55) % 4 == 0)
		i.by &= ~IOTLB_BY_ASID;
	if ((r >> 57) % 16 == 0)
		i.by &= ~(IOTLB_BY_ASID | IOTLB_BY_VMID);
	if ((r >> 61) == 0)
		i.by &= ~IOTLB_BY_RANGE;
	return i;
}

static bool named(const struct iotlb_entry *e, const struct iotlb_inval *i)
{
	uint64_t leaf_last = e->leaf + ((1ull << e->leaf_lg2) - 1);

	if (!(i->regimes >> e->regime & 1))
		return false;
	if (i->by & IOTLB_BY_VMID) {
		if (e->vmid != i->vmid)
			return false;
		if (i->by & IOTLB_BY_ASID) {
			if (e->global && !(i->by & IOTLB_GLOBALS))
				return false;
			if (!e->global && e->asid != i->asid)
				return false;
		}
	}
	if (!(i->by & IOTLB_BY_RANGE))
		return true;
	if (leaf_last < i->first || e->leaf > i->last)
		return false;
	if ((i->by & IOTLB_BY_LEVEL) && e->level != i->level)
		return false;
	return !(i->by & IOTLB_BY_GRANULE) || e->granule_lg2 == i->granule_lg2;
}

/* What makes an insert a replacement; globals have no asid of their own. */
static bool same(const struct iotlb_entry *a, const struct iotlb_entry *b)
{
	return a->regime == b->regime && a->vmid == b->vmid &&
	       a->global == b->global && (a->global || a->asid == b->asid) &&
	       a->iova == b->iova && a->size_lg2 == b->size_lg2 &&
	       a->leaf == b->leaf && a->leaf_lg2 == b->leaf_lg2 &&
	       a->level == b->level && a->granule_lg2 == b->granule_lg2;
}

static void list_insert(struct list *list, const struct iotlb_entry *e)
{
	for (size_t n = 0; n < list->count; n++) {
		if (same(&list->entry[n], e)) {
			list->entry[n] = *e;
			return;
		}
	}
	assert_in_range(list->count, 0, LIST_MAX - 1);
	list->entry[list->count++] = *e;
}

static void list_invalidate(struct list *list, const struct iotlb_inval *i)
{
	size_t kept = 0;

	for (size_t n = 0; n < list->count; n++) {
		if (!named(&list->entry[n], i))
			list->entry[kept++] = list->entry[n];
	}
	list->count = kept;
}

static void match_one(void *ctx, const struct iotlb_entry *e)
{
	struct list *list = ctx;

	for (size_t n = 0; n < list->count; n++) {
		if (list->entry[n].serial != e->serial)
			continue;
		if (list->seen[n] ||
		    memcmp(&list->entry[n], e, sizeof(*e)) != 0)
			break;
		list->seen[n] = true;
		list->matched++;
		return;
	}
	list->ok = false;
}

static void compare_sets(struct cache *c, struct list *list, bool exact)
{
	memset(list->seen, 0, sizeof(list->seen));
	list->matched = 0;
	list->ok = true;
	iotlb_for_each(c->tlb, match_one, list);
	assert_true(list->ok);
	if (exact)
		assert_int_equal(list->matched, list->count);
	assert_int_equal(stats(c).entries, list->matched);
}

static void compare_lookup(struct cache *c, const struct list *list, bool exact,
			   uint64_t *state)
{
	uint64_t r = next_random(state),
		 iova = random_address(state) + r % 4096;
	uint8_t regime = (r >> 16) % 3;
	uint16_t vmid = (r >> 24) % 3;
	uint32_t asid = (r >> 32) % 4;
	struct iotlb_entry got;
	bool found = get(c, regime, vmid, asid, iova, &got), may = false;
	bool good = false;

	for (size_t n = 0; n < list->count; n++) {
		const struct iotlb_entry *e = &list->entry[n];

		if (e->regime != regime || e->vmid != vmid ||
		    (!e->global && e->asid != asid) ||
		    e->iova >> e->size_lg2 != iova >> e->size_lg2)
			continue;
		may = true;
		good |= found && e->serial == got.serial;
	}
	if (exact)
		assert_int_equal(found, may);
	if (found)
		assert_true(good);
}

static void play(enum iotlb_policy policy, uint32_t capacity, uint64_t seed)
{
	struct list *list = calloc(1, sizeof(*list));
	bool exact = policy == IOTLB_HOSTILE;
	uint64_t state = seed * 0x9e3779b97f4a7c15ull | 1;
	struct cache c;
	size_t most = 0;

	cache_open(&c, policy, capacity);
	for (uint64_t step = 1; step <= STEPS; step++) {
		if (next_random(&state) % 16) {
			struct iotlb_entry e = random_entry(&state, step);

			assert_int_equal(put(&c, &e), 0);
			list_insert(list, &e);
		} else {
			struct iotlb_inval i = random_inval(&state);

			iotlb_invalidate(c.tlb, &i);
			list_invalidate(list, &i);
		}
		if (list->count > most)
			most = list->count;
		compare_sets(&c, list, exact);
		for (int n = 0; n < 4; n++)
			compare_lookup(&c, list, exact, &state);
	}
	assert_in_range(most, 50, LIST_MAX);
	assert_int_equal(stats(&c).dropped, 0);
	cache_close(&c);
	free(list);
}

static void hostile_equals_the_list_after_every_step(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		play(IOTLB_HOSTILE, 0, seed);
}

static void fast_never_returns_what_was_removed(void **state)
{
	(void)state;
	for (uint64_t seed = 11; seed <= 13; seed++)
		play(IOTLB_FAST, 64, seed);
	play(IOTLB_FAST, 1, 14);
	play(IOTLB_FAST, 0, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_equals_the_list_after_every_step),
		cmocka_unit_test(fast_never_returns_what_was_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
