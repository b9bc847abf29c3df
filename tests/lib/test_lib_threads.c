// SPDX-License-Identifier: MIT
/*
 * Devices do DMA in threads of their own while guests invalidate, streams are
 * attached elsewhere, the host takes memory away, contexts and devices come
 * and go. What counts is the promise: once an invalidation (attach, unmap) has
 * returned, no DMA, begun before or after, uses what it took away. So whoever
 * takes a page away poisons it then, and no device may ever see the poison,
 * nor change it.
 *
 * To be run with -Db_sanitize=thread as well.
 */
#include "kit.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "guest.h"

#define X	  0x7654000ULL
#define EXTRA	  0x200000000ULL
#define POISON	  0xdeaddeaddeaddeadULL
#define MILLISECS 250 /* of each case, at least */
#define FLIPS	  5   /* and so many changes, on machines with other work */
#define PATIENCE  20000

static const enum nestfd_cache policies[] = { NESTFD_CACHE_FAST,
					      NESTFD_CACHE_HOSTILE };

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- devices at work ---- */

struct dma_thread {
	struct nestfd_device *dev;
	uint64_t iova;
	uint32_t flags;
	bool may_abort; /* -EIO is an answer */
	pthread_t thread;
	bool over;
	uint64_t done;
	uint64_t aborted;
	uint64_t poisoned;
	uint64_t failed;
	int last_failure;
};

static void judge(struct dma_thread *d, int rc, uint64_t word)
{
	if (!rc) {
		__atomic_add_fetch(&d->done, 1, __ATOMIC_RELAXED);
		d->poisoned += word == POISON;
	} else if (rc == -EIO && d->may_abort) {
		d->aborted++;
	} else {
		d->failed++;
		d->last_failure = rc;
	}
}

static void *dma_run(void *arg)
{
	struct dma_thread *d = arg;
	uint64_t word = 0x4711;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = d->iova,
		.pasid = NESTFD_NO_PASID,
		.flags = d->flags,
		.buf = &word,
		.length = sizeof(word),
	};

	while (!__atomic_load_n(&d->over, __ATOMIC_RELAXED)) {
		int rc = nestfd_dma(d->dev, &dma);

		judge(d, rc, word);
	}
	return NULL;
}

static void dma_start(struct dma_thread *d)
{
	assert_int_equal(pthread_create(&d->thread, NULL, dma_run, d), 0);
	while (!__atomic_load_n(&d->done, __ATOMIC_RELAXED))
		sched_yield();
}

static void dma_stop(struct dma_thread *d)
{
	__atomic_store_n(&d->over, true, __ATOMIC_RELAXED);
	pthread_join(d->thread, NULL);
	assert_int_equal(d->last_failure, 0);
	assert_int_equal(d->failed, 0);
	assert_int_equal(d->poisoned, 0);
	assert_int_not_equal(d->done, 0);
}

/* ---- guests at work ---- */

struct flipper {
	struct guest *guest;
	bool ats;
	uint64_t until;
	uint64_t flips;
	uint64_t written; /* after it was taken away */
	uint64_t stuck;
	pthread_t thread;
};

static bool goes_on(const struct flipper *f)
{
	uint64_t now = now_ms();

	return now < f->until ||
	       (f->flips < FLIPS && now < f->until + PATIENCE);
}

static void forget(struct flipper *f)
{
	if (f->ats)
		guest_invalidate_ats(f->guest, X);
	else
		guest_invalidate(f->guest, X);
	f->stuck += !guest_is_done(f->guest);
}

/* X leads to page A, then B, then A, ...; what it left is poisoned at once */
static void *flip_run(void *arg)
{
	struct flipper *f = arg;
	struct guest *g = f->guest;

	while (goes_on(f)) {
		uint64_t old = guest_page(g, f->flips & 1);
		uint64_t new = guest_page(g, ~f->flips & 1);

		f->written += f->flips && guest_get(g, new) != POISON;
		guest_put(g, new, f->flips);
		guest_map(g, X, new);
		forget(f);
		guest_put(g, old, POISON);
		f->flips++;
	}
	return NULL;
}

static void flip_start(struct flipper *f)
{
	f->until = now_ms() + MILLISECS;
	assert_int_equal(pthread_create(&f->thread, NULL, flip_run, f), 0);
}

static void flip_join(struct flipper *f)
{
	pthread_join(f->thread, NULL);
	assert_int_equal(f->written, 0);
	assert_int_equal(f->stuck, 0);
	assert_in_range(f->flips, FLIPS, UINT64_MAX);
}

struct world {
	struct host host;
	struct guest guest[2];
};

static void world_start(struct world *w, enum nestfd_arch arch,
			enum nestfd_cache cache, bool ats)
{
	*w = (struct world){
		.host = { .arch = arch,
			  .cache = cache,
			  .guests = 2,
			  .ats = ats },
	};
	assert_int_equal(host_start(&w->host), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(guest_start(&w->guest[i], &w->host, i, 1), 0);
		guest_map(&w->guest[i], X, guest_page(&w->guest[i], 0));
	}
}

static void world_stop(struct world *w)
{
	assert_true(host_is_clean(&w->host));
	guest_stop(&w->guest[1]);
	guest_stop(&w->guest[0]);
	host_stop(&w->host);
}

/* Two guests that flip, two devices each with one thread of DMA */
static void flip_both(enum nestfd_arch arch, enum nestfd_cache cache, bool ats,
		      bool second_writes)
{
	struct dma_thread dma[2] = { 0 };
	struct flipper flip[2] = { 0 };
	struct world w;

	world_start(&w, arch, cache, ats);
	for (int i = 0; i < 2; i++) {
		dma[i].dev = w.guest[i].dev;
		dma[i].iova = X;
		dma[i].flags = ats ? NESTFD_DMA_TRANSLATED : 0;
		if (i && second_writes)
			dma[i].flags |= NESTFD_DMA_WRITE;
		flip[i].guest = &w.guest[i];
		flip[i].ats = ats;
		dma_start(&dma[i]);
	}
	for (int i = 0; i < 2; i++)
		flip_start(&flip[i]);
	for (int i = 0; i < 2; i++)
		flip_join(&flip[i]);
	for (int i = 0; i < 2; i++)
		dma_stop(&dma[i]);
	world_stop(&w);
}

static void no_dma_reads_what_a_guest_has_invalidated(void **state)
{
	for (int i = 0; i < 2; i++)
		flip_both(kit_arch(state), policies[i], false, false);
}

static void no_dma_writes_what_a_guest_has_invalidated(void **state)
{
	for (int i = 0; i < 2; i++)
		flip_both(kit_arch(state), policies[i], false, true);
}

static void no_device_uses_its_own_cache_after_its_invalidation(void **state)
{
	for (int i = 0; i < 2; i++)
		flip_both(kit_arch(state), policies[i], true, i);
}

/* Several threads of one device */
static void nor_do_many_threads_of_one_device(void **state)
{
	struct dma_thread dma[4] = { 0 };
	struct flipper flip = { 0 };
	struct world w;

	world_start(&w, kit_arch(state), NESTFD_CACHE_FAST, false);
	for (int i = 0; i < 4; i++) {
		dma[i].dev = w.guest[0].dev;
		dma[i].iova = X;
		dma_start(&dma[i]);
	}
	flip.guest = &w.guest[0];
	flip_start(&flip);
	flip_join(&flip);
	for (int i = 0; i < 4; i++)
		dma_stop(&dma[i]);
	world_stop(&w);
}

/* ---- a neighbour that makes errors ---- */

static void *err_run(void *arg)
{
	struct flipper *f = arg;

	while (goes_on(f)) {
		uint32_t at = f->guest->prod;

		guest_command(f->guest, 0xff, 0); /* of no architecture */
		guest_ring(f->guest);
		f->stuck += guest_head(f->guest) != at;
		guest_mend(f->guest, at);
		f->stuck += !guest_acknowledge(f->guest);
		f->stuck += !guest_is_done(f->guest);
		f->flips++;
	}
	return NULL;
}

static void a_guest_that_makes_errors_changes_none_of_this(void **state)
{
	struct dma_thread dma = { 0 };
	struct flipper flip = { 0 };
	struct flipper err = { 0 };
	struct world w;

	world_start(&w, kit_arch(state), NESTFD_CACHE_HOSTILE, false);
	dma.dev = w.guest[0].dev;
	dma.iova = X;
	dma_start(&dma);
	flip.guest = &w.guest[0];
	err.guest = &w.guest[1];
	err.until = now_ms() + MILLISECS;
	assert_int_equal(pthread_create(&err.thread, NULL, err_run, &err), 0);
	flip_start(&flip);
	flip_join(&flip);
	pthread_join(err.thread, NULL);
	assert_int_equal(err.stuck, 0);
	assert_in_range(err.flips, FLIPS, UINT64_MAX);
	dma_stop(&dma);
	world_stop(&w);
}

/* ---- attach and replace ---- */

/*
 * One IOVA, which nested leads to page 6 and in bypass is page 5. Whichever of
 * them is not in use is poisoned.
 */
static void no_dma_goes_the_old_way_after_attach(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct dma_thread dma = { .may_abort = true };
		struct world w;
		struct guest *g = &w.guest[0];
		uint64_t until, direct, mapped, word;

		world_start(&w, kit_arch(state), policies[i], false);
		direct = guest_page(g, 5);
		mapped = guest_page(g, 6);
		guest_put(g, mapped, 6);
		guest_put(g, direct, POISON);
		guest_map(g, direct, mapped);
		dma.dev = g->dev;
		dma.iova = direct;
		dma_start(&dma);
		until = now_ms() + MILLISECS;
		while (now_ms() < until) {
			guest_put(g, direct, 5);
			guest_set_stream(g, GUEST_BYPASS);
			guest_put(g, mapped, POISON);
			assert_int_equal(kit_read(g->dev, direct, &word), 0);
			assert_int_equal(word, 5);

			guest_set_stream(g, GUEST_ABORT);
			guest_put(g, direct, POISON);
			assert_int_equal(kit_read(g->dev, direct, &word), -EIO);

			guest_put(g, mapped, 6);
			guest_set_stream(g, GUEST_NESTED);
			assert_int_equal(kit_read(g->dev, direct, &word), 0);
			assert_int_equal(word, 6);
		}
		dma_stop(&dma);
		world_stop(&w);
	}
}

/* ---- the host takes memory away ---- */

static void no_dma_reaches_memory_the_host_has_unmapped(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct dma_thread dma[2] = { { .may_abort = true },
					     { .may_abort = true } };
		uint64_t until, word;
		struct world w;

		world_start(&w, kit_arch(state), policies[i], false);
		for (int n = 0; n < 2; n++) {
			dma[n].dev = w.guest[n].dev;
			dma[n].iova = X;
			dma[n].flags = n ? NESTFD_DMA_WRITE : 0;
			dma_start(&dma[n]);
			guest_map(&w.guest[n], X, EXTRA + n * 8);
			guest_invalidate(&w.guest[n], X);
		}
		until = now_ms() + MILLISECS;
		while (now_ms() < until) {
			uint64_t *page = kit_pages(1);

			assert_int_equal(kit_map(w.host.ctx, w.host.ioas, EXTRA,
						 page, PAGE),
					 0);
			assert_int_equal(kit_read(w.guest[0].dev, X, &word), 0);
			assert_int_equal(
				kit_unmap(w.host.ctx, w.host.ioas, EXTRA, PAGE),
				0);
			__atomic_store_n(&page[0], POISON, __ATOMIC_RELAXED);
			assert_int_equal(kit_read(w.guest[0].dev, X, &word),
					 -EIO);
			assert_true(
				__atomic_load_n(&page[0], __ATOMIC_RELAXED) ==
				POISON);
			kit_pages_free(page, 1);
		}
		for (int n = 0; n < 2; n++)
			dma_stop(&dma[n]);
		world_stop(&w);
	}
}

/* ---- contexts and devices come and go ---- */

static void a_context_comes_and_goes_beside_dma(void **state)
{
	struct dma_thread dma[2] = { { 0 }, { .may_abort = true } };
	struct nestfd_device *dev;
	uint64_t until, *page = kit_pages(1);
	unsigned int rounds = 0;
	struct world w;

	world_start(&w, kit_arch(state), NESTFD_CACHE_FAST, false);
	assert_int_equal(kit_device(w.host.machine, 0x999, &dev), 0);
	dma[0].dev = w.guest[0].dev;
	dma[0].iova = X;
	dma_start(&dma[0]);
	until = now_ms() + MILLISECS;
	while (now_ms() < until) {
		struct nestfd *ctx;
		uint32_t id, ioas;
		uint64_t word;

		__atomic_store_n(&page[0], 1, __ATOMIC_RELAXED);
		assert_int_equal(nestfd_open(w.host.machine, &ctx), 0);
		assert_int_equal(nestfd_bind(ctx, dev, &id), 0);
		assert_int_equal(kit_ioas(ctx, &ioas), 0);
		assert_int_equal(kit_map(ctx, ioas, X, page, PAGE), 0);
		assert_int_equal(kit_attach(dev, ioas), 0);
		assert_int_equal(kit_read(dev, X, &word), 0);
		if (!rounds++) {
			dma[1].dev = dev;
			dma[1].iova = X;
			dma_start(&dma[1]);
		}
		nestfd_close(ctx);
		__atomic_store_n(&page[0], POISON, __ATOMIC_RELAXED);
		assert_int_equal(kit_read(dev, X, &word), -EIO);
	}
	dma_stop(&dma[1]);
	dma_stop(&dma[0]);
	world_stop(&w);
	kit_pages_free(page, 1);
}

static void a_third_device_comes_and_goes_beside_dma(void **state)
{
	struct dma_thread dma[2] = { 0 };
	struct flipper flip = { 0 };
	uint64_t until;
	struct world w;

	world_start(&w, kit_arch(state), NESTFD_CACHE_HOSTILE, true);
	for (int i = 0; i < 2; i++) {
		dma[i].dev = w.guest[i].dev;
		dma[i].iova = X;
		dma_start(&dma[i]);
	}
	flip.guest = &w.guest[0];
	flip.ats = true;
	flip_start(&flip);
	until = now_ms() + MILLISECS;
	while (now_ms() < until) {
		struct nestfd_device *dev;
		uint64_t word;
		uint32_t id;

		assert_int_equal(kit_device(w.host.machine, 0x50, &dev), 0);
		assert_int_equal(kit_read(dev, X, &word), -EIO);
		assert_int_equal(nestfd_bind(w.host.ctx, dev, &id), 0);
		assert_int_equal(kit_attach(dev, w.host.parent), 0);
		assert_int_equal(kit_read(dev, HOST_RAM_BASE, &word), 0);
		nestfd_device_remove(dev);
	}
	flip_join(&flip);
	for (int i = 0; i < 2; i++)
		dma_stop(&dma[i]);
	world_stop(&w);
}

/* ---- storms of ioctls ---- */

#define STORMERS 4
#define IDS	 64 /* destroyed by whoever comes along */

struct storm {
	struct world *world;
	unsigned int seed;
	uint64_t until;
	uint64_t calls;
	int unexpected;
	pthread_t thread;
};

/* What may be answered when others destroy what one is about to use */
static bool is_expected(int rc)
{
	return !rc || rc == -ENOENT || rc == -EBUSY || rc == -EINVAL ||
	       rc == -EEXIST || rc == -EIO || rc == -EADDRINUSE;
}

/* What only an SMMUv3 has, on VT-d what it has instead */
static int nested_call(struct storm *s, uint32_t id)
{
	static const uint64_t tlbi[2] = { 0x10, 0 };
	bool vtd = s->world->host.arch == NESTFD_ARCH_VTD;
	struct nestfd *ctx = s->world->host.ctx;
	struct guest *g = &s->world->guest[0];
	uint32_t made, n = 1;

	switch (rand_r(&s->seed) % 4) {
	case 0:
		if (vtd)
			return kit_nested_vtd(ctx, g->dev_id, id, g->base,
					      &made);
		return kit_nested(ctx, g->dev_id, id, 0x9, 0, &made);
	case 1:
		if (vtd)
			return kit_invalidate_vtd(ctx, id, 0, UINT64_MAX);
		return kit_invalidate(ctx, id, tlbi, &n);
	case 2:
		return kit_viommu(ctx, g->dev_id, id, &made);
	default:
		return kit_vdevice(ctx, id, g->dev_id, s->seed & 0xff, &made);
	}
}

static int any_call(struct storm *s, uint32_t id)
{
	struct nestfd *ctx = s->world->host.ctx;
	struct guest *g = &s->world->guest[0];
	uint32_t made;

	switch (rand_r(&s->seed) % 10) {
	case 0:
		return kit_ioas(ctx, &made);
	case 1:
		return kit_hwpt(ctx, g->dev_id, id, rand_r(&s->seed) & 1,
				&made);
	case 2:
	case 3:
	case 4:
	case 5:
		return nested_call(s, id);
	case 6:
		return kit_map(ctx, id, (uint64_t)(s->seed & 0xff) << 12,
			       s->world->host.ram, PAGE);
	case 7:
		return kit_unmap(ctx, id, 0, 1 << 20);
	default:
		return kit_destroy(ctx, id);
	}
}

static void *storm_run(void *arg)
{
	struct storm *s = arg;

	while (now_ms() < s->until) {
		/* the guests' own objects are the first; leave most of them */
		uint32_t id = 18 + (uint32_t)rand_r(&s->seed) % IDS;
		int rc = any_call(s, id);

		if (!is_expected(rc) && rc != -EOPNOTSUPP)
			s->unexpected = rc;
		s->calls++;
	}
	return NULL;
}

static void storms_of_calls_on_one_context_do_no_harm(void **state)
{
	struct storm storm[STORMERS] = { 0 };
	struct dma_thread dma = { 0 };
	struct flipper flip = { 0 };
	struct world w;

	world_start(&w, kit_arch(state), NESTFD_CACHE_FAST, false);
	dma.dev = w.guest[1].dev;
	dma.iova = X;
	dma_start(&dma);
	flip.guest = &w.guest[1];
	flip_start(&flip);
	for (unsigned int i = 0; i < STORMERS; i++) {
		storm[i] = (struct storm){ .world = &w,
					   .seed = i + 1,
					   .until = now_ms() + MILLISECS };
		assert_int_equal(pthread_create(&storm[i].thread, NULL,
						storm_run, &storm[i]),
				 0);
	}
	for (unsigned int i = 0; i < STORMERS; i++) {
		pthread_join(storm[i].thread, NULL);
		assert_int_equal(storm[i].unexpected, 0);
		assert_int_not_equal(storm[i].calls, 0);
	}
	flip_join(&flip);
	dma_stop(&dma);
	world_stop(&w);
}

/* ---- faults ---- */

static void faults_are_told_while_the_guest_listens(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct dma_thread dma = { .may_abort = true };
	uint64_t until, pumped = 0, told;
	struct world w;
	struct guest *g = &w.guest[0];

	world_start(&w, kit_arch(state), NESTFD_CACHE_FAST, false);
	dma.dev = g->dev;
	dma.iova = X;
	dma_start(&dma);
	until = now_ms() + MILLISECS;
	while (now_ms() < until) {
		int n;

		guest_map(g, X, 0);
		guest_invalidate(g, X);
		n = nestfd_viommu_pump(g->viommu);
		assert_true(n >= 0);
		pumped += (uint64_t)n;
		/* the guest takes them all: CONS = PROD */
		nestfd_viommu_write(g->viommu, 0x100ac, 4,
				    nestfd_viommu_read(g->viommu, 0x100a8, 4));
		guest_map(g, X, guest_page(g, 0));
		guest_invalidate(g, X);
	}
	dma_stop(&dma);
	do {
		told = pumped;
		pumped += (uint64_t)nestfd_viommu_pump(g->viommu);
	} while (told != pumped);
	nestfd_viommu_stats(g->viommu, &stats);
	assert_int_not_equal(dma.aborted, 0);
	/* CMD_SYNCs bring them, too */
	assert_in_range(pumped, 0, stats.events);
	assert_in_range(stats.events, 1, dma.aborted);
	world_stop(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		EACH_ARCH(no_dma_reads_what_a_guest_has_invalidated),
		EACH_ARCH(no_dma_writes_what_a_guest_has_invalidated),
		EACH_ARCH(no_device_uses_its_own_cache_after_its_invalidation),
		EACH_ARCH(nor_do_many_threads_of_one_device),
		EACH_ARCH(a_guest_that_makes_errors_changes_none_of_this),
		EACH_ARCH(no_dma_goes_the_old_way_after_attach),
		EACH_ARCH(no_dma_reaches_memory_the_host_has_unmapped),
		EACH_ARCH(a_context_comes_and_goes_beside_dma),
		EACH_ARCH(a_third_device_comes_and_goes_beside_dma),
		EACH_ARCH(storms_of_calls_on_one_context_do_no_harm),
		ON_ARCH(faults_are_told_while_the_guest_listens, SMMUV3),
	};

	return RUN(tests, argc, argv);
}
