// SPDX-License-Identifier: MIT
/*
 * nestfd_memory_gone(): memory that a client took away is not what lies at its
 * addresses next.
 */
#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define IOVA   0x100000ULL
#define ROUNDS 200

struct client {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	uint32_t ioas;
	char *pages; /* four of them, at IOVA */
};

static void start(struct client *c, enum nestfd_cache cache)
{
	uint32_t dev_id;

	c->pages = kit_pages(4);
	assert_int_equal(kit_machine(cache, &c->machine), 0);
	assert_int_equal(nestfd_open(c->machine, &c->ctx), 0);
	assert_int_equal(kit_device(c->machine, 3, &c->dev), 0);
	assert_int_equal(nestfd_bind(c->ctx, c->dev, &dev_id), 0);
	assert_int_equal(kit_ioas(c->ctx, &c->ioas), 0);
	assert_int_equal(kit_attach(c->dev, c->ioas), 0);
	assert_int_equal(kit_map(c->ctx, c->ioas, IOVA, c->pages, 4 * PAGE), 0);
}

static void stop(struct client *c)
{
	nestfd_machine_destroy(c->machine);
	kit_pages_free(c->pages, 4);
}

static int gone(struct client *c, uint64_t page, uint64_t n)
{
	return nestfd_memory_gone(c->machine, 0,
				  (uintptr_t)c->pages + page * PAGE, n * PAGE);
}

static void replace(struct client *c, uint64_t page, uint64_t n)
{
	void *at = c->pages + page * PAGE;

	assert_int_equal(munmap(at, n * PAGE), 0);
	assert_true(mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

static void remap(struct client *c)
{
	assert_int_equal(kit_unmap(c->ctx, c->ioas, IOVA, 4 * PAGE), 0);
	assert_int_equal(kit_map(c->ctx, c->ioas, IOVA, c->pages, 4 * PAGE), 0);
}

static void dma_reaches_nothing_that_came_later(enum nestfd_cache cache)
{
	uint64_t word = 0;
	struct client c;

	start(&c, cache);
	for (uint64_t page = 0; page < 4; page++)
		assert_int_equal(kit_write(c.dev, IOVA + page * PAGE, page), 0);
	assert_int_equal(gone(&c, 1, 2), NESTFD_GONE);
	replace(&c, 1, 2);
	for (uint64_t page = 0; page < 4; page++) {
		bool left = page == 0 || page == 3;

		assert_int_equal(kit_read(c.dev, IOVA + page * PAGE, &word),
				 left ? 0 : -EFAULT);
		assert_int_equal(kit_write(c.dev, IOVA + page * PAGE, 7),
				 left ? 0 : -EFAULT);
		assert_int_equal(c.pages[page * PAGE], left ? 7 : 0);
	}
	/* from one page into the next */
	assert_int_equal(
		nestfd_dma_write(c.dev, IOVA + PAGE - 4, "abcdefgh", 8),
		-EFAULT);
	assert_int_equal(c.pages[PAGE], 0);
	stop(&c);
}

static void dma_aborts_with_a_lazy_cache(void **state)
{
	(void)state;
	dma_reaches_nothing_that_came_later(NESTFD_CACHE_FAST);
}

static void dma_aborts_with_a_hostile_cache(void **state)
{
	(void)state;
	dma_reaches_nothing_that_came_later(NESTFD_CACHE_HOSTILE);
}

static void what_is_mapped_again_is_reached_again(void **state)
{
	uint64_t word = 0;
	struct client c;

	(void)state;
	start(&c, NESTFD_CACHE_FAST);
	assert_int_equal(gone(&c, 1, 1), NESTFD_GONE);
	replace(&c, 1, 1);
	remap(&c);
	c.pages[PAGE] = 5;
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), 0);
	assert_int_equal(word, 5);
	stop(&c);
}

/* What several IOASes share is gone from each of them. */
static void every_mapping_of_it_is_gone(void **state)
{
	struct client c;
	uint64_t word;

	(void)state;
	start(&c, NESTFD_CACHE_FAST);
	assert_int_equal(kit_map(c.ctx, c.ioas, 2 * IOVA, c.pages + PAGE, PAGE),
			 0);
	assert_int_equal(kit_read(c.dev, 2 * IOVA, &word), 0);
	assert_int_equal(gone(&c, 0, 4), NESTFD_GONE);
	assert_int_equal(kit_read(c.dev, 2 * IOVA, &word), -EFAULT);
	assert_int_equal(kit_read(c.dev, IOVA, &word), -EFAULT);
	stop(&c);
}

static void what_stays_after_all_is_reached(void **state)
{
	uint64_t va, word = 0;
	struct client c;

	(void)state;
	start(&c, NESTFD_CACHE_FAST);
	va = (uintptr_t)c.pages + PAGE;
	assert_int_equal(gone(&c, 1, 1), NESTFD_GONE);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), -EFAULT);
	nestfd_memory_kept(c.machine, 0, va, PAGE);
	assert_int_equal(kit_read(c.dev, IOVA + PAGE, &word), 0);
	assert_int_equal(gone(&c, 1, 1), NESTFD_GONE);
	assert_int_equal(gone(&c, 0, 2), NESTFD_GONE_BEFORE);
	stop(&c);
}

static void other_memory_may_come_and_go(void **state)
{
	void *other = kit_pages(4);
	struct client c;
	uint64_t word;

	(void)state;
	start(&c, NESTFD_CACHE_FAST);
	assert_int_equal(
		nestfd_memory_gone(c.machine, 0, (uintptr_t)other, 4 * PAGE),
		0);
	assert_int_equal(nestfd_memory_gone(c.machine, 4711, (uintptr_t)c.pages,
					    4 * PAGE),
			 0);
	assert_int_equal(nestfd_memory_gone(c.machine, 0, UINT64_MAX, 4096), 0);
	assert_int_equal(nestfd_memory_gone(c.machine, 0, 0, 0), 0);
	assert_int_equal(kit_read(c.dev, IOVA, &word), 0);
	kit_pages_free(other, 4);
	stop(&c);
}

/* ---- DMA that goes on all the time ---- */

struct hammer {
	struct client c;
	bool stop;
	uint64_t written;
	uint64_t aborted;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		if (kit_write(h->c.dev, IOVA + PAGE + 8, ~0ULL))
			__atomic_fetch_add(&h->aborted, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&h->written, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void wait_for(const uint64_t *count)
{
	uint64_t from = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (__atomic_load_n(count, __ATOMIC_RELAXED) < from + 10)
		;
}

static void no_dma_in_flight_reaches_it(void **state)
{
	struct hammer h = { 0 };
	pthread_t thread;

	(void)state;
	start(&h.c, NESTFD_CACHE_FAST);
	assert_int_equal(pthread_create(&thread, NULL, hammer, &h), 0);
	for (int i = 0; i < ROUNDS; i++) {
		wait_for(&h.written);
		assert_int_equal(gone(&h.c, 1, 1), NESTFD_GONE);
		replace(&h.c, 1, 1);
		wait_for(&h.aborted);
		for (unsigned int at = 0; at < PAGE; at++)
			assert_int_equal(h.c.pages[PAGE + at], 0);
		remap(&h.c);
	}
	__atomic_store_n(&h.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	stop(&h.c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dma_aborts_with_a_lazy_cache),
		cmocka_unit_test(dma_aborts_with_a_hostile_cache),
		cmocka_unit_test(what_is_mapped_again_is_reached_again),
		cmocka_unit_test(every_mapping_of_it_is_gone),
		cmocka_unit_test(what_stays_after_all_is_reached),
		cmocka_unit_test(other_memory_may_come_and_go),
		cmocka_unit_test(no_dma_in_flight_reaches_it),
	};

	return RUN(tests, argc, argv);
}
