// SPDX-License-Identifier: MIT
/*
 * Readers, walkers that insert, and invalidators at once. A page's truth is a
 * version number; an invalidator raises it, invalidates, and only then states
 * it as the oldest that may still be found. Run it under TSan.
 */
#include <pthread.h>
#include <sched.h>

#include "common.h"

#define PAGES	     512
#define INVALIDATORS 2
#define WALKERS	     3
#define READERS	     2

struct world {
	struct cache cache;
	uint64_t truth[PAGES];	/* the table: what a walk reads */
	uint64_t oldest[PAGES]; /* what a lookup may at least expect */
	uint64_t stop;
	uint64_t cached;
	uint64_t refused;
	uint64_t hits;
	uint64_t stale;
	uint64_t torn;
};

struct worker {
	struct world *world;
	uint64_t seed;
	unsigned int index;
	pthread_t thread;
};

#define LOAD(p)	    __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ADD(p, v)   __atomic_add_fetch(p, v, __ATOMIC_RELAXED)

/* Pages 0, 8, 16, ... are globals of their vmid; four of 8 under one leaf. */
static struct iotlb_entry page_entry(unsigned int page)
{
	struct iotlb_entry entry = page_at((uint16_t)(page % 4), page / 4 % 8,
					   0x40000000 + ((uint64_t)page << 12));

	entry.regime = page % 3;
	entry.global = page % 8 == 0;
	if (page % 8 >= 4) {
		entry.leaf &= ~0x1fffffull;
		entry.leaf_lg2 = 21;
		entry.level = 2;
	}
	return entry;
}

/* How a page is invalidated varies; all of these cover it. */
static struct iotlb_inval page_inval(unsigned int page, uint64_t random)
{
	struct iotlb_entry entry = page_entry(page);
	struct iotlb_inval what = {
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE |
		      IOTLB_GLOBALS,
		.regimes = 1u << entry.regime,
		.vmid = entry.vmid,
		.asid = entry.asid,
		.first = entry.iova,
		.last = entry.iova + 0xfff,
	};

	switch (random % 16) {
	case 0:
		what.by = 0;
		break;
	case 1:
		what.by = IOTLB_BY_VMID;
		break;
	case 2:
		what.by &= ~IOTLB_BY_RANGE;
		break;
	case 3:
		what.by &= ~(IOTLB_BY_ASID | IOTLB_GLOBALS);
		break;
	case 4:
		what.first = 0;
		what.last = ~0ull;
		break;
	}
	return what;
}

static uint64_t check_word(unsigned int page, uint64_t version)
{
	return (version * 0x9e3779b97f4a7c15ull) ^ page;
}

static void *walk_thread(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;

	while (!LOAD(&world->stop)) {
		unsigned int page = next_random(&w->seed) % PAGES;
		uint64_t ticket = iotlb_ticket(world->cache.tlb);
		struct iotlb_entry entry = page_entry(page);
		int rc;

		entry.serial = LOAD(&world->truth[page]);
		entry.cookie = check_word(page, entry.serial);
		if (next_random(&w->seed) % 64 == 0)
			sched_yield();
		rc = iotlb_insert(world->cache.tlb, ticket, &entry);
		ADD(rc ? &world->refused : &world->cached, 1);
		if (rc != 0 && rc != -EAGAIN)
			abort();
	}
	return NULL;
}

static void *read_thread(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;

	while (!LOAD(&world->stop)) {
		unsigned int page = next_random(&w->seed) % PAGES;
		struct iotlb_entry entry = page_entry(page);
		struct iotlb_key key = { entry.iova + 5, entry.asid, entry.vmid,
					 entry.regime };
		const struct iotlb_entry *found;
		uint64_t oldest;

		reader_enter();
		oldest = LOAD(&world->oldest[page]);
		found = iotlb_lookup(world->cache.tlb, &key);
		if (found) {
			ADD(&world->hits, 1);
			if (found->serial < oldest)
				ADD(&world->stale, 1);
			if (next_random(&w->seed) % 64 == 0)
				sched_yield();
			if (found->cookie != check_word(page, found->serial))
				ADD(&world->torn, 1);
		}
		reader_exit();
	}
	return NULL;
}

/* Each has its own pages, so that a version has one writer. */
static void *invalidate_thread(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;

	for (int n = 0; n < 4000; n++) {
		unsigned int page = next_random(&w->seed) %
					    (PAGES / INVALIDATORS) *
					    INVALIDATORS +
				    w->index;
		struct iotlb_inval what =
			page_inval(page, next_random(&w->seed));
		uint64_t version = world->truth[page] + 1;

		STORE(&world->truth[page], version);
		iotlb_invalidate(world->cache.tlb, &what);
		STORE(&world->oldest[page], version);
		if (n % 16 == 0)
			grace_wait(world->cache.grace, 1000000);
		for (uint64_t spin = next_random(&w->seed) % 8; spin; spin--)
			sched_yield();
	}
	return NULL;
}

static void start(struct worker *w, struct world *world, unsigned int index,
		  uint64_t seed, void *(*fn)(void *))
{
	*w = (struct worker){ world, seed * 0x9e3779b97f4a7c15ull, index, 0 };
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static void play(enum iotlb_policy policy, uint32_t capacity)
{
	struct worker invalidator[INVALIDATORS], walker[WALKERS];
	struct worker reader[READERS];
	struct world *world = calloc(1, sizeof(*world));

	cache_open(&world->cache, policy, capacity);
	for (unsigned int n = 0; n < WALKERS; n++)
		start(&walker[n], world, n, 10 + n, walk_thread);
	for (unsigned int n = 0; n < READERS; n++)
		start(&reader[n], world, n, 20 + n, read_thread);
	for (unsigned int n = 0; n < INVALIDATORS; n++)
		start(&invalidator[n], world, n, 30 + n, invalidate_thread);

	for (unsigned int n = 0; n < INVALIDATORS; n++)
		pthread_join(invalidator[n].thread, NULL);
	STORE(&world->stop, 1);
	for (unsigned int n = 0; n < WALKERS; n++)
		pthread_join(walker[n].thread, NULL);
	for (unsigned int n = 0; n < READERS; n++)
		pthread_join(reader[n].thread, NULL);

	assert_int_equal(world->stale, 0);
	assert_int_equal(world->torn, 0);
	/* Or nothing was tried. */
	assert_true(world->hits > 100);
	assert_true(world->cached > 100);
	assert_true(world->refused > 0);
	assert_int_equal(stats(&world->cache).inserted, world->cached);
	assert_int_equal(stats(&world->cache).dropped, world->refused);
	cache_close(&world->cache);
	free(world);
}

static void nothing_stale_is_found_after_an_invalidation(void **state)
{
	(void)state;
	play(IOTLB_HOSTILE, 0);
}

static void nor_in_a_small_fast_cache(void **state)
{
	(void)state;
	play(IOTLB_FAST, 100);
}

#define GROWERS 2
#define GROWN	30000u

/* Tables split under lookups of what is always there: all in one space. */
static void *grow_thread(void *arg)
{
	struct worker *w = arg;
	struct cache *c = &w->world->cache;
	uint64_t base = (uint64_t)w->index << 40 | 1ull << 32;
	struct iotlb_inval mine = {
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID | IOTLB_BY_RANGE,
		.regimes = 1,
		.vmid = 1,
		.asid = 1,
		.first = base,
		.last = base | 0xffffffff,
	};

	for (uint32_t n = 0; n < 2 * GROWN; n++) {
		struct iotlb_entry entry =
			page_at(1, 1, base | (uint64_t)n << 12);

		while (put(c, &entry) == -EAGAIN)
			sched_yield();
		if (n == GROWN)
			iotlb_invalidate(c->tlb, &mine);
	}
	return NULL;
}

static void *steady_thread(void *arg)
{
	struct worker *w = arg;
	struct world *world = w->world;
	struct iotlb_entry entry;

	while (!LOAD(&world->stop)) {
		unsigned int page = next_random(&w->seed) % PAGES;

		if (get(&world->cache, 0, 1, 1, (uint64_t)page << 12, &entry)) {
			ADD(&world->hits, 1);
			ADD(&world->torn, entry.iova != (uint64_t)page << 12);
		} else {
			ADD(&world->stale, 1);
		}
	}
	return NULL;
}

static void tables_grow_under_readers(void **state)
{
	struct worker grower[GROWERS], reader;
	struct world *world = calloc(1, sizeof(*world));

	(void)state;
	cache_open(&world->cache, IOTLB_HOSTILE, 0);
	for (unsigned int n = 0; n < PAGES; n++) {
		struct iotlb_entry entry = page_at(1, 1, (uint64_t)n << 12);

		assert_int_equal(put(&world->cache, &entry), 0);
	}
	start(&reader, world, 0, 1, steady_thread);
	for (unsigned int n = 0; n < GROWERS; n++)
		start(&grower[n], world, n, 2 + n, grow_thread);
	for (unsigned int n = 0; n < GROWERS; n++)
		pthread_join(grower[n].thread, NULL);
	STORE(&world->stop, 1);
	pthread_join(reader.thread, NULL);

	assert_int_equal(world->torn, 0);
	assert_int_equal(world->stale, 0); /* here: not found */
	assert_true(world->hits > 100);
	assert_int_equal(stats(&world->cache).entries,
			 PAGES + GROWERS * (GROWN - 1));
	for (unsigned int n = 0; n < PAGES; n++)
		assert_true(has(&world->cache, 1, 1, (uint64_t)n << 12));
	cache_close(&world->cache);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale_is_found_after_an_invalidation),
		cmocka_unit_test(nor_in_a_small_fast_cache),
		cmocka_unit_test(tables_grow_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
