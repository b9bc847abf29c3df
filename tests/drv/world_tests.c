// SPDX-License-Identifier: MIT
/* A driver on the model of its hardware: tests of any architecture. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* ---- paging domains ---- */

#define WINDOW 2048u /* pages */
#define BASE   (0x40000000ULL - 4 * WORLD_MIB)

struct shadow {
	struct core_domain *d;
	uint64_t pa[WINDOW];
	uint32_t map[WINDOW];
};

static void random_map(struct world *w, struct shadow *s, uint32_t id)
{
	uint32_t align = world_random(w, 2) ? 512 : 1;
	uint32_t first = world_random(w, WINDOW / align) * align;
	uint32_t n = 1 + world_random(w, 700);
	uint64_t pa = w->ram_pa + world_random(w, 24) * 2 * WORLD_MIB +
		      (world_random(w, 2) ? 0 : WORLD_PAGE);

	if (first + n > WINDOW)
		n = WINDOW - first;
	for (uint32_t i = first; i < first + n; i++) {
		if (s->pa[i])
			return;
	}
	assert_int_equal(s->d->ops->map(s->d, BASE + first * WORLD_PAGE, pa,
					n * WORLD_PAGE, 3),
			 0);
	for (uint32_t i = first; i < first + n; i++) {
		s->pa[i] = pa + (i - first) * WORLD_PAGE;
		s->map[i] = id;
	}
}

static void random_unmap(struct world *w, struct shadow *s)
{
	uint32_t first = world_random(w, WINDOW);
	uint32_t last = first;

	if (!s->pa[first])
		return;
	while (first && s->pa[first - 1] && s->map[first - 1] == s->map[first])
		first--;
	while (last + 1 < WINDOW && s->pa[last + 1] &&
	       s->map[last + 1] == s->map[last])
		last++;
	s->d->ops->unmap(s->d, BASE + first * WORLD_PAGE,
			 (last - first + 1) * WORLD_PAGE);
	memset(&s->pa[first], 0, (last - first + 1) * sizeof(s->pa[0]));
}

static void check(struct world *w, const struct shadow *s, int dev,
		  uint32_t pasid, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		uint32_t page = world_random(w, WINDOW);
		uint64_t low = world_random(w, WORLD_PAGE);
		uint64_t pa = world_translate(
			w, dev, BASE + page * WORLD_PAGE + low, pasid,
			world_random(w, 4) == 0, world_random(w, 2));

		assert_int_equal(pa, s->pa[page] ? s->pa[page] + low : 0);
	}
	world_is_fresh(w);
}

static void test_random_maps_translate_as_mapped(void **state)
{
	static const uint32_t flags[] = { 0, 1, 8 };
	struct world w;

	world_start(&w, *state);
	for (uint32_t seed = 0; seed < 9; seed++) {
		struct shadow *s = calloc(1, sizeof(*s));
		uint32_t kind = seed % 3; /* plain, a nest parent, a PASID */
		uint32_t pasid = kind == 2 ? 77 : WORLD_NO_PASID;

		assert_non_null(s);
		w.rng = seed + 1;
		assert_int_equal(w.iommu->ops->domain_alloc(&w.dev[0],
							    flags[kind], &s->d),
				 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(
				s->d->ops->attach(s->d, &w.dev[i], pasid), 0);
		for (uint32_t step = 0; step < 300; step++) {
			if (world_random(&w, 2))
				random_map(&w, s, step);
			else
				random_unmap(&w, s);
			check(&w, s, step & 1, pasid, 60);
		}
		for (int i = 0; i < 2; i++)
			w.iommu->ops->block(&w.dev[i], pasid);
		assert_int_equal(
			world_translate(&w, 0, BASE, pasid, false, false), 0);
		s->d->ops->unmap(s->d, BASE, WINDOW * WORLD_PAGE);
		s->d->ops->free(s->d);
		free(s);
	}
	world_stop(&w);
}

static void test_attaching_elsewhere_changes_every_translation(void **state)
{
	struct shadow *s[4];
	struct world w;

	world_start(&w, *state);
	w.rng = 5;
	for (uint32_t i = 0; i < 4; i++) {
		s[i] = calloc(1, sizeof(*s[i]));
		assert_non_null(s[i]);
		assert_int_equal(
			w.iommu->ops->domain_alloc(&w.dev[0], i & 1, &s[i]->d),
			0);
		for (uint32_t n = 0; n < 20; n++)
			random_map(&w, s[i], n);
	}
	for (uint32_t step = 0; step < 300; step++) {
		struct shadow *now = s[world_random(&w, 4)];
		int dev = world_random(&w, WORLD_DEVICES);

		assert_int_equal(now->d->ops->attach(now->d, &w.dev[dev],
						     WORLD_NO_PASID),
				 0);
		check(&w, now, dev, WORLD_NO_PASID, 30);
		if (!world_random(&w, 8)) {
			w.iommu->ops->block(&w.dev[dev], WORLD_NO_PASID);
			for (uint32_t i = 0; i < 20; i++)
				assert_int_equal(
					world_translate(
						&w, dev,
						BASE + world_random(&w,
								    WINDOW) *
								WORLD_PAGE,
						WORLD_NO_PASID, i & 1, false),
					0);
		}
	}
	for (int i = 0; i < WORLD_DEVICES; i++)
		w.iommu->ops->block(&w.dev[i], WORLD_NO_PASID);
	for (uint32_t i = 0; i < 4; i++) {
		s[i]->d->ops->free(s[i]->d);
		free(s[i]);
	}
	world_stop(&w);
}

/* ---- guests ---- */

static void replace_stage_2(struct world *w, struct guest *g,
			    struct core_domain *parent)
{
	uint64_t at = 8 * WORLD_MIB + world_random(w, 4) * 2 * WORLD_MIB;
	uint64_t ipa = GUEST_IPA + at;

	guest_check(g, 1, 0, 100);
	parent->ops->unmap(parent, ipa, 2 * WORLD_MIB);
	guest_check(g, ipa, ipa + 2 * WORLD_MIB - 1, 100);
	assert_int_equal(
		parent->ops->map(parent, ipa, w->ram_pa + at, 2 * WORLD_MIB, 3),
		0);
}

static void test_a_guests_maps_translate_through_both_stages(void **state)
{
	struct core_domain *parent;
	struct guest *g = calloc(1, sizeof(*g));
	struct world w;

	assert_non_null(g);
	world_start(&w, *state);
	w.rng = 11;
	parent = guest_parent(&w);
	guest_start(g, &w, parent, 0, WORLD_NO_PASID, 0, 8 * WORLD_MIB);
	for (uint32_t i = 0; i < 1000; i++)
		guest_step(g);
	for (uint32_t step = 0; step < 400; step++) {
		guest_step(g);
		guest_check(g, 1, 0, 20);
	}
	/* the host takes stage 2 away and gives it back: the guest is silent */
	for (uint32_t step = 0; step < 100; step++)
		replace_stage_2(&w, g, parent);
	guest_stop(g);
	guest_parent_free(parent);
	world_stop(&w);
	free(g);
}

/* The same addresses, ASID or PASID; other tables */
static void test_guests_with_one_parent_never_meet(void **state)
{
	static const uint32_t pasid[] = { WORLD_NO_PASID, WORLD_NO_PASID, 5 };
	const struct world_arch *arch = *state;
	struct core_domain *parent;
	struct guest *g[3];
	struct world w;

	world_start(&w, arch);
	w.rng = 12;
	parent = guest_parent(&w);
	for (unsigned int i = 0; i < arch->guests; i++) {
		g[i] = calloc(1, sizeof(*g[i]));
		assert_non_null(g[i]);
		guest_start(g[i], &w, parent, i & 1, pasid[i],
			    i * 2 * WORLD_MIB, (i + 1) * 2 * WORLD_MIB);
	}
	for (uint32_t step = 0; step < 600; step++) {
		guest_step(g[step % arch->guests]);
		for (unsigned int i = 0; i < arch->guests; i++)
			guest_check(g[i], 1, 0, 10);
	}
	for (unsigned int i = 0; i < arch->guests; i++) {
		guest_stop(g[i]);
		free(g[i]);
	}
	guest_parent_free(parent);
	world_stop(&w);
}

static uint64_t first_page(struct guest *g)
{
	return world_translate(g->w, g->dev, GUEST_VA, g->pasid, false, false);
}

/* It is still seen then, and told of, until the page is invalidated. */
static void forget_badly(struct guest *g)
{
	uint64_t pa = g->w->ram_pa + 8 * WORLD_MIB;
	struct pt_gather gone = { NULL };

	assert_int_equal(pt_map(g->pt, GUEST_VA, GUEST_IPA + 8 * WORLD_MIB,
				WORLD_PAGE, 3),
			 0);
	assert_int_equal(first_page(g), pa);
	assert_int_equal(pt_unmap(g->pt, GUEST_VA, WORLD_PAGE, &gone), 0);
	g->w->arch->guest_forget_other(g);
	assert_int_equal(first_page(g), pa);
	assert_true(g->w->stales > 0);
	g->w->arch->guest_forget(g, GUEST_VA, !gone.tables);
	assert_int_equal(first_page(g), 0);
	pt_gather_free(g->pt, &gone);
}

static void test_a_guest_that_forgets_to_invalidate_is_seen(void **state)
{
	const struct world_arch *arch = *state;
	struct guest *g = calloc(1, sizeof(*g));
	struct core_domain *parent;
	struct world w;

	assert_non_null(g);
	world_start(&w, arch);
	parent = guest_parent(&w);
	guest_start(g, &w, parent, 0, WORLD_NO_PASID, 0, 8 * WORLD_MIB);
	forget_badly(g);
	if (arch->guest_told)
		arch->guest_told(g);
	guest_stop(g);
	guest_parent_free(parent);
	world_stop(&w);
	free(g);
}

/* ---- DMA while things change ---- */

struct dma_thread {
	struct world *w;
	int dev;
	bool stop;
	uint64_t written;
};

static void *dma_run(void *arg)
{
	struct dma_thread *t = arg;
	uint64_t word = 0xdddddddddddddddd;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		struct model_access access = { .iova = BASE,
					       .pasid = WORLD_NO_PASID,
					       .flags = MODEL_WRITE };

		if (!t->w->model->ops->dma(t->w->port[t->dev], &access, &word,
					   sizeof(word), NULL))
			__atomic_add_fetch(&t->written, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint64_t load(const void *p)
{
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}

static void test_after_an_unmap_no_dma_reaches_the_page(void **state)
{
	struct core_domain *d[2];
	struct dma_thread t[2];
	pthread_t thread[2];
	struct world w;

	world_start(&w, *state);
	w.rng = 3;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			w.iommu->ops->domain_alloc(&w.dev[0], i, &d[i]), 0);
		assert_int_equal(
			d[i]->ops->attach(d[i], &w.dev[i], WORLD_NO_PASID), 0);
		t[i] = (struct dma_thread){ .w = &w, .dev = i };
		assert_int_equal(
			pthread_create(&thread[i], NULL, dma_run, &t[i]), 0);
	}
	for (uint32_t round = 0; round < 200; round++) {
		int i = round & 1;
		uint64_t at =
			world_random(&w, WORLD_RAM / WORLD_PAGE) * WORLD_PAGE;
		uint64_t before =
			__atomic_load_n(&t[i].written, __ATOMIC_RELAXED);

		assert_int_equal(d[i]->ops->map(d[i], BASE, w.ram_pa + at,
						WORLD_PAGE, 3),
				 0);
		while (__atomic_load_n(&t[i].written, __ATOMIC_RELAXED) ==
		       before)
			sched_yield();
		__atomic_store_n(&w.unmapping[i], true, __ATOMIC_SEQ_CST);
		d[i]->ops->unmap(d[i], BASE, WORLD_PAGE);
		__atomic_store_n(&w.unmapping[i], false, __ATOMIC_SEQ_CST);
		__atomic_store_n((uint64_t *)(w.ram + at), round,
				 __ATOMIC_RELAXED);
		for (int look = 0; look < 2000; look++)
			assert_int_equal(load(w.ram + at), round);
	}
	for (int i = 0; i < 2; i++) {
		__atomic_store_n(&t[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(thread[i], NULL);
		w.iommu->ops->block(&w.dev[i], WORLD_NO_PASID);
		d[i]->ops->free(d[i]);
	}
	assert_int_equal(w.stales, 0);
	world_stop(&w);
}

/* ---- threads: two contexts, each its own guest behind one unit ---- */

struct worker {
	struct world *w;
	int dev;
	pthread_t thread;
	bool *stop;
};

/* DMA of whatever is there, while it changes */
static void *run_dma(void *arg)
{
	struct worker *k = arg;
	uint64_t x = (uint64_t)k->dev + 1;

	while (!__atomic_load_n(k->stop, __ATOMIC_ACQUIRE)) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		world_translate(k->w, k->dev,
				GUEST_VA + (x >> 40) % 64 * WORLD_PAGE,
				WORLD_NO_PASID, x >> 39 & 1, false);
	}
	return NULL;
}

/* A page of a first stage comes and goes, now and then one of the second */
static void change(struct guest *g, struct core_domain *parent, uint64_t i)
{
	uint64_t va = GUEST_VA + i % 64 * WORLD_PAGE;
	uint64_t at = 10 * WORLD_MIB;
	struct pt_gather gone = { NULL };

	assert_int_equal(
		pt_map(g->pt, va, GUEST_IPA + 8 * WORLD_MIB, WORLD_PAGE, 3), 0);
	assert_int_equal(pt_unmap(g->pt, va, WORLD_PAGE, &gone), 0);
	g->w->arch->guest_forget(g, va, false);
	pt_gather_free(g->pt, &gone);
	if (i % 50)
		return;
	parent->ops->unmap(parent, GUEST_IPA + at, 2 * WORLD_MIB);
	assert_int_equal(parent->ops->map(parent, GUEST_IPA + at,
					  g->w->ram_pa + at, 2 * WORLD_MIB, 3),
			 0);
}

static void *run_context(void *arg)
{
	struct worker *k = arg;
	struct core_domain *parent = guest_parent(k->w);
	uint64_t used = (uint64_t)k->dev * 4 * WORLD_MIB;

	__atomic_store_n(&k->w->unmapping[k->dev], true, __ATOMIC_SEQ_CST);
	for (int life = 0; life < 4; life++) {
		struct guest *g = calloc(1, sizeof(*g));

		assert_non_null(g);
		guest_start(g, k->w, parent, k->dev, WORLD_NO_PASID, used,
			    used + 4 * WORLD_MIB);
		for (uint64_t i = 0; i < 200; i++)
			change(g, parent, i);
		guest_stop(g);
		free(g);
	}
	guest_parent_free(parent);
	return NULL;
}

static void test_two_contexts_at_once(void **state)
{
	struct worker context[2], dma[2];
	bool done = false;
	struct world w;

	world_start(&w, *state);
	for (int i = 0; i < 2; i++) {
		context[i] = (struct worker){ .w = &w, .dev = i };
		dma[i] = (struct worker){ .w = &w, .dev = i, .stop = &done };
		assert_int_equal(
			pthread_create(&dma[i].thread, NULL, run_dma, &dma[i]),
			0);
		assert_int_equal(pthread_create(&context[i].thread, NULL,
						run_context, &context[i]),
				 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(context[i].thread, NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(dma[i].thread, NULL);
	assert_int_equal(w.stales, 0);
	world_stop(&w);
}

int world_run(const struct world_arch *arch)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_random_maps_translate_as_mapped, arch),
		WORLD_TEST(test_attaching_elsewhere_changes_every_translation,
			   arch),
		WORLD_TEST(test_a_guests_maps_translate_through_both_stages,
			   arch),
		WORLD_TEST(test_guests_with_one_parent_never_meet, arch),
		WORLD_TEST(test_a_guest_that_forgets_to_invalidate_is_seen,
			   arch),
		WORLD_TEST(test_after_an_unmap_no_dma_reaches_the_page, arch),
		WORLD_TEST(test_two_contexts_at_once, arch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
