// SPDX-License-Identifier: MIT
/* The driver on the model of a VT-d unit; see world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drv/vtd/driver.h"
#include "model/vtd/model.h"
#include "pt/vtd.h"
#include "vtd_fake.h" /* the functions of core */
#include "world.h"

#define IOVA 0x40000000ULL

static int model_create(const struct model_host *host, struct model **model)
{
	struct vtd_model_config config = { .policy = IOTLB_HOSTILE };

	vtd_model_default_id(&config.id);
	return vtd_model_create(&config, host, model);
}

/* CM, which is what a unit that emulates another has */
static int caching_model_create(const struct model_host *host,
				struct model **model)
{
	struct vtd_model_config config = { .policy = IOTLB_HOSTILE };

	vtd_model_default_id(&config.id);
	config.id.cap |= 1 << 7;
	return vtd_model_create(&config, host, model);
}

static int driver_create(const struct core_hwport *port,
			 struct core_iommu **iommu)
{
	struct vtd_drv_config config = { .timeout_ms = WORLD_PATIENCE_MS };

	return vtd_drv_create(&config, port, iommu);
}

static void start_guest(struct guest *g, struct core_domain *parent)
{
	struct vtd_pt_config cfg = { .stage = 1, .levels = 4, .oas = 46 };
	uint64_t s1[3] = { 0, 0, 48 };
	struct core_user_data data = { 1, sizeof(s1), (uintptr_t)s1 };
	struct world *w = g->w;

	assert_int_equal(vtd_pt_create(&cfg, &guest_tables, g, &g->pt), 0);
	s1[1] = pt_root(g->pt);
	assert_int_equal(w->iommu->ops->nested_alloc(&w->dev[g->dev], parent, 0,
						     &data, &g->nested),
			 0);
}

static void forget(struct guest *g, uint64_t addr, uint64_t npages,
		   uint32_t flags)
{
	struct ventry e = { .addr = addr, .npages = npages, .flags = flags };
	struct core_inval inv;

	assert_int_equal(vrig_inval(g->nested, &e, 1, true, &inv), 0);
	assert_int_equal(inv.done, 1);
}

/* LEAF where no table has gone: that is what the hint is for */
static void forget_page(struct guest *g, uint64_t va, bool leaf)
{
	forget(g, va, 1, leaf);
}

static void forget_next_page(struct guest *g)
{
	forget(g, GUEST_VA + WORLD_PAGE, 1, 1);
}

static const struct world_arch arch = {
	.pa_bits = 46,
	.model = model_create,
	.driver = driver_create,
	.guest_start = start_guest,
	.guest_forget = forget_page,
	.guest_forget_other = forget_next_page,
	.guests = 3,
};

static const struct world_arch caching = {
	.pa_bits = 46,
	.model = caching_model_create,
	.driver = driver_create,
	.guest_start = start_guest,
	.guest_forget = forget_page,
	.guest_forget_other = forget_next_page,
	.guests = 3,
};

/* DMA that came too early must not be remembered. */
static void test_what_was_nothing_is_forgotten_when_it_comes(void **state)
{
	static const uint32_t pasids[] = { NO_PASID, 0x15 };
	struct core_domain *d[2] = { NULL };
	struct world w;

	world_start(&w, *state);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			w.iommu->ops->domain_alloc(&w.dev[0], 0, &d[i]), 0);
		assert_int_equal(
			d[i]->ops->map(d[i], IOVA, w.ram_pa, WORLD_PAGE, 3), 0);
	}
	for (int round = 0; round < 8; round++) {
		struct core_domain *now = d[round & 1];

		for (int dev = 0; dev < 2; dev++) {
			uint32_t pasid = pasids[dev];

			assert_int_equal(world_translate(&w, dev, IOVA, pasid,
							 false, false),
					 0);
			assert_int_equal(
				now->ops->attach(now, &w.dev[dev], pasid), 0);
			assert_int_equal(world_translate(&w, dev, IOVA, pasid,
							 false, false),
					 w.ram_pa);
		}
		for (int dev = 0; dev < 2; dev++)
			w.iommu->ops->block(&w.dev[dev], pasids[dev]);
	}
	world_is_fresh(&w);
	for (int i = 0; i < 2; i++) {
		d[i]->ops->unmap(d[i], IOVA, WORLD_PAGE);
		d[i]->ops->free(d[i]);
	}
	world_stop(&w);
}

static void test_dirty_pages_are_those_written(void **state)
{
	struct core_domain *d = NULL;
	struct world w;

	world_start(&w, *state);
	w.rng = 13;
	assert_int_equal(w.iommu->ops->domain_alloc(&w.dev[0], 2, &d), 0);
	assert_int_equal(d->ops->attach(d, &w.dev[0], NO_PASID), 0);
	for (uint64_t i = 0; i < 32; i++)
		assert_int_equal(d->ops->map(d, IOVA + i * WORLD_PAGE,
					     w.ram_pa + i * WORLD_PAGE,
					     WORLD_PAGE, 3),
				 0);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, true), 0);
	for (int round = 0; round < 50; round++) {
		struct vfake_dirty dirty = { 0 };
		uint32_t written = 0;
		uint32_t found = 0;

		for (int i = 0; i < 20; i++) {
			uint32_t page = world_random(&w, 32);
			bool write = world_random(&w, 2);

			assert_int_not_equal(
				world_translate(&w, 0, IOVA + page * WORLD_PAGE,
						NO_PASID, false, write),
				0);
			written |= (uint32_t)write << page;
		}
		assert_int_equal(
			d->dirty_ops->read_and_clear_dirty(
				d, IOVA, 32 * WORLD_PAGE, true, (void *)&dirty),
			0);
		for (unsigned int i = 0; i < dirty.n; i++) {
			for (uint64_t at = 0; at < dirty.length[i];
			     at += WORLD_PAGE)
				found |= 1u << ((dirty.iova[i] + at - IOVA) /
						WORLD_PAGE);
		}
		assert_int_equal(found, written);
	}
	world_is_fresh(&w);
	d->ops->unmap(d, IOVA, 32 * WORLD_PAGE);
	w.iommu->ops->block(&w.dev[0], NO_PASID);
	d->ops->free(d);
	world_stop(&w);
}

/* With an argument only the tests that match it */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_dirty_pages_are_those_written, &arch),
		WORLD_TEST(test_dirty_pages_are_those_written, &caching),
		WORLD_TEST(test_what_was_nothing_is_forgotten_when_it_comes,
			   &arch),
		WORLD_TEST(test_what_was_nothing_is_forgotten_when_it_comes,
			   &caching),
	};
	int failed;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed = world_run(&arch) + world_run(&caching);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
