// SPDX-License-Identifier: MIT
/*
 * The virtual SMMUv3 over libnestfd, by each kind of queue: an invalidation in
 * the guest's queue reaches the hardware's caches, an access of a stream
 * without a valid STE reaches the guest's event queue.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest.h"

#define CMDQ_CONS   0x9c
#define GERROR	    0x60
#define GERRORN	    0x64
#define EVENTQ_PROD 0x100a8
#define EVENTQ_CONS 0x100ac
#define IOVA	    0x1000ULL

struct world {
	struct host host;
	struct guest guest;
	atomic_uint stale;
};

static void count_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct host *host = ctx;
	struct world *w = (struct world *)host; /* its first member */

	(void)stale;
	w->stale++;
}

static struct world *world_start(enum nestfd_queue queue)
{
	struct world *w = test_calloc(1, sizeof(*w));

	w->host.guests = 1;
	w->host.cache = NESTFD_CACHE_HOSTILE;
	w->host.stale = count_stale;
	w->host.ats = true;
	w->host.queue = queue;
	assert_int_equal(host_start(&w->host), 0);
	assert_int_equal(guest_start(&w->guest, &w->host, 0, 5), 0);
	return w;
}

static void world_end(struct world *w)
{
	guest_stop(&w->guest);
	host_stop(&w->host);
	test_free(w);
}

static uint32_t reg(struct world *w, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(w->guest.viommu, offset, 4);
}

#define EACH_QUEUE(w)                                                         \
	for (enum nestfd_queue q = NESTFD_QUEUE_AUTO; q <= NESTFD_QUEUE_RING; \
	     q++)                                                             \
		for (struct world *w = world_start(q); w;                     \
		     world_end(w), w = NULL)

/* Many pages, each invalidated with as many others as one doorbell brings */
static void an_invalidation_reaches_the_caches(void **state)
{
	(void)state;
	EACH_QUEUE(w)
	{
		struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
		uint64_t word = 7;
		int n;

		for (n = 1; n < 40; n++) {
			for (int i = 0; i < n; i++) {
				guest_map(&w->guest, IOVA + i * 0x1000,
					  guest_page(&w->guest, 1));
				assert_int_equal(
					nestfd_dma_write(w->guest.dev,
							 IOVA + i * 0x1000,
							 &word, 8),
					0);
			}
			for (int i = 0; i < n; i++) {
				guest_map(&w->guest, IOVA + i * 0x1000, 0);
				guest_command(
					&w->guest, guest_tlbi_va_0(&w->guest),
					guest_tlbi_va_1(IOVA + i * 0x1000));
			}
			guest_command(&w->guest, GUEST_SYNC);
			guest_ring(&w->guest);
			assert_int_equal(reg(w, CMDQ_CONS), w->guest.prod);
			for (int i = 0; i < n; i++)
				assert_true(nestfd_dma_write(w->guest.dev,
							     IOVA + i * 0x1000,
							     &word, 8) < 0);
		}
		assert_int_equal(w->stale, 0);
		nestfd_viommu_stats(w->guest.viommu, &stats);
		assert_int_equal(!stats.ring_ioctls, q == NESTFD_QUEUE_ARRAY);
	}
}

static void the_last_event_is(struct world *w, uint64_t dw0)
{
	uint32_t prod = reg(w, EVENTQ_PROD);

	assert_true(prod > 0);
	assert_int_equal(
		guest_get(&w->guest, w->guest.base + 0x10000 + (prod - 1) * 32),
		dw0);
}

static void write_ste(struct world *w, uint64_t dw0)
{
	guest_put(&w->guest, w->guest.base + w->guest.vsid * 64, dw0);
	guest_command(&w->guest, 0x03 | (uint64_t)w->guest.vsid << 32, 1);
	guest_command(&w->guest, GUEST_SYNC);
	guest_ring(&w->guest);
}

static void an_access_without_a_valid_ste_is_reported(void **state)
{
	(void)state;
	EACH_QUEUE(w)
	{
		uint64_t word = 7;

		/* V = 0, then stage 2, which this SMMU has not got */
		for (int i = 0; i < 2; i++) {
			write_ste(w, i ? 0xd : 0);
			assert_true(nestfd_dma_write(w->guest.dev, IOVA, &word,
						     8) < 0);
			assert_int_equal(nestfd_viommu_pump(w->guest.viommu),
					 1);
			the_last_event_is(w, 0x0000001000000004ULL);
		}
		/* abort: silent */
		write_ste(w, 1);
		assert_true(nestfd_dma_write(w->guest.dev, IOVA, &word, 8) < 0);
		assert_int_equal(nestfd_viommu_pump(w->guest.viommu), 0);
		assert_int_equal(reg(w, EVENTQ_PROD), 2);
	}
}

static void events_of_a_former_life_are_dropped(void **state)
{
	struct world *w = world_start(NESTFD_QUEUE_AUTO);
	uint64_t word = 7;

	(void)state;
	for (int i = 0; i < 5; i++)
		nestfd_dma_write(w->guest.dev, 0x7000 + i * 0x1000, &word, 8);
	nestfd_viommu_reset(w->guest.viommu);
	assert_int_equal(nestfd_viommu_pump(w->guest.viommu), 0);
	world_end(w);
}

/* ---- a guest that rewrites its queue while it is consumed ---- */

struct scribbler {
	struct world *w;
	atomic_bool stop;
};

static void *scribble(void *arg)
{
	static const uint64_t scraps[][2] = {
		{ 0x10, 0 },
		{ 0x46, 0 },
		{ 0x1046, 0 },
		{ 0x0000001000000003ULL, 1 },
		{ 0x0000001000000040ULL, 0x34 },
		{ 0x0000001100000005ULL, 1 },
		{ 0xff, 0 },
		{ ~0ULL, ~0ULL },
	};
	struct scribbler *s = arg;
	uint32_t seed = 1;

	while (!s->stop) {
		uint64_t at;

		seed = seed * 1664525 + 1013904223;
		at = guest_command_at(&s->w->guest, seed >> 8 & 0x3ff);
		guest_put(&s->w->guest, at, scraps[seed >> 24 & 7][0]);
		guest_put(&s->w->guest, at + 8, scraps[seed >> 24 & 7][1]);
	}
	return NULL;
}

static void acknowledge(struct world *w)
{
	uint32_t error = reg(w, GERROR);

	if ((error ^ reg(w, GERRORN)) & 1)
		nestfd_viommu_write(w->guest.viommu, GERRORN, 4, error);
}

static void a_queue_rewritten_meanwhile_harms_nobody_else(void **state)
{
	(void)state;
	EACH_QUEUE(w)
	{
		struct scribbler s = { .w = w };
		pthread_t thread;

		w->guest.prod = 0;
		nestfd_viommu_write(w->guest.viommu, 0x20, 4, 0x5);
		nestfd_viommu_write(w->guest.viommu, CMDQ_CONS, 4, 0);
		nestfd_viommu_write(w->guest.viommu, 0x98, 4, 0);
		nestfd_viommu_write(w->guest.viommu, 0x20, 4, 0xd);
		pthread_create(&thread, NULL, scribble, &s);
		for (int turn = 0; turn < 150; turn++) {
			w->guest.prod = (w->guest.prod + 100) & 0x1ffff;
			guest_ring(&w->guest);
			for (int i = 0; i < 10; i++)
				acknowledge(w);
		}
		s.stop = true;
		pthread_join(thread, NULL);
		assert_int_equal(
			nestfd_iommu_read(w->host.machine, GERROR, 4),
			nestfd_iommu_read(w->host.machine, GERRORN, 4));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invalidation_reaches_the_caches),
		cmocka_unit_test(an_access_without_a_valid_ste_is_reported),
		cmocka_unit_test(events_of_a_former_life_are_dropped),
		cmocka_unit_test(a_queue_rewritten_meanwhile_harms_nobody_else),
	};

	return cmocka_run_group_tests_name("viommu path", tests, NULL, NULL);
}
