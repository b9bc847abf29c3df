// SPDX-License-Identifier: MIT
/*
 * The driver on the model of a VT-d unit, no core between: random maps, unmaps
 * and attachments, every translation compared with an array of pages. The cache
 * policy is hostile, so an invalidation that is missing or too narrow shows as
 * a stale translation.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/reader.h"
#include "drv/vtd/driver.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/model.h"
#include "model/vtd/model.h"
#include "pt/vtd.h"
#include "vtd_fake.h" /* the functions of core */

#define PAGE	 4096ULL
#define MIB	 0x100000ULL
#define RAM_SIZE (64 * MIB)
#define DEVICES	 3

struct world {
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	struct model_port *port[DEVICES]; /* SIDs 0x20.. ; all have ATS */
	struct core_device dev[DEVICES];
	struct core_iommu *iommu;
	char *ram;
	uint64_t ram_pa;
	struct phys_range *ram_range;
	void (*line[4])(void *arg);
	void *line_arg[4];
	bool unmapping[DEVICES]; /* its domain has one under way */
	unsigned int stales;
	char why[512];
};

static uint64_t port_read(void *ctx, uint32_t offset, unsigned int size)
{
	struct world *w = ctx;

	return w->model->ops->read(w->model, offset, size);
}

static void port_write(void *ctx, uint32_t offset, unsigned int size,
		       uint64_t value)
{
	struct world *w = ctx;

	w->model->ops->write(w->model, offset, size, value);
}

static int port_alloc(void *ctx, size_t size, size_t align,
		      struct core_dma_mem *mem)
{
	size_t whole = (size + PAGE - 1) / PAGE * PAGE;
	size_t step = align < PAGE ? PAGE : align;
	struct world *w = ctx;
	struct phys_range *range;

	if (posix_memalign(&mem->host, step, whole))
		return -ENOMEM;
	memset(mem->host, 0, whole);
	assert_int_equal(phys_add(w->phys, mem->host, whole,
				  PHYS_READ | PHYS_WRITE, step, 0, &range),
			 0);
	mem->pa = phys_range_pa(range);
	mem->size = size;
	mem->priv = range;
	return 0;
}

static void port_free(void *ctx, struct core_dma_mem *mem)
{
	struct world *w = ctx;

	phys_remove(mem->priv);
	assert_int_equal(grace_wait(w->grace, 1000000000), 0);
	phys_release(mem->priv);
	free(mem->host);
}

static void port_irq(void *ctx, unsigned int line, void (*handler)(void *arg),
		     void *arg)
{
	struct world *w = ctx;

	w->line[line] = handler;
	w->line_arg[line] = arg;
}

static const struct core_hwport_ops port_ops = {
	port_read, port_write, port_alloc, port_free, port_irq,
};

static void raise_line(void *ctx, unsigned int line)
{
	struct world *w = ctx;

	if (line < 4 && w->line[line])
		w->line[line](w->line_arg[line]);
}

/*
 * Between the change of a table and the return of unmap() old translations are
 * to be expected; the sync has waited for whoever uses one. Without a PA there
 * was no old translation: an access faulted while the page was being mapped.
 */
static void tell_stale(void *ctx, const struct model_stale *stale)
{
	struct world *w = ctx;

	if (!stale->cached_pa ||
	    __atomic_load_n(&w->unmapping[stale->stream_id - 0x20],
			    __ATOMIC_SEQ_CST))
		return;
	__atomic_add_fetch(&w->stales, 1, __ATOMIC_RELAXED);
	strncpy(w->why, stale->why, sizeof(w->why) - 1);
}

static void start(struct world *w)
{
	struct vtd_model_config config = { .policy = IOTLB_HOSTILE };
	struct vtd_drv_config drv = { .timeout_ms = 1000 };
	struct core_hwport port = { .ops = &port_ops, .ctx = w };
	struct model_host host = { .ctx = w,
				   .irq = raise_line,
				   .stale = tell_stale };

	memset(w, 0, sizeof(*w));
	assert_int_equal(guard_init(), 0);
	assert_int_equal(phys_create(46, &w->phys), 0);
	assert_int_equal(grace_create(&w->grace), 0);
	w->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(w->ram, MAP_FAILED);
	assert_int_equal(phys_add(w->phys, w->ram, RAM_SIZE,
				  PHYS_READ | PHYS_WRITE, 2 * MIB, 0,
				  &w->ram_range),
			 0);
	w->ram_pa = phys_range_pa(w->ram_range);
	host.phys = w->phys;
	host.grace = w->grace;
	vtd_model_default_id(&config.id);
	assert_int_equal(vtd_model_create(&config, &host, &w->model), 0);
	assert_int_equal(vtd_drv_create(&drv, &port, &w->iommu), 0);
	for (uint32_t i = 0; i < DEVICES; i++) {
		struct model_port_config at = { .stream_id = 0x20 + i,
						.pasid_bits = 8,
						.ats = true };

		assert_int_equal(
			w->model->ops->port_add(w->model, &at, &w->port[i]), 0);
		w->dev[i] = (struct core_device){ .iommu = w->iommu,
						  .stream_id = 0x20 + i,
						  .pasid_bits = 8,
						  .ats = true };
		assert_int_equal(w->iommu->ops->device_add(&w->dev[i]), 0);
	}
}

static void stop(struct world *w)
{
	for (uint32_t i = 0; i < DEVICES; i++) {
		w->iommu->ops->device_remove(&w->dev[i]);
		w->model->ops->port_remove(w->port[i]);
	}
	w->iommu->ops->destroy(w->iommu);
	w->model->ops->destroy(w->model);
	phys_remove(w->ram_range);
	assert_int_equal(grace_wait(w->grace, 1000000000), 0);
	phys_release(w->ram_range);
	/* everything the driver took has come back */
	assert_int_equal(phys_count(w->phys), 0);
	phys_destroy(w->phys);
	grace_destroy(w->grace);
	munmap(w->ram, RAM_SIZE);
}

/* The PA behind @iova, 0 for an abort; by the device's ATC now and then */
static uint64_t translate(struct world *w, int dev, uint64_t iova,
			  uint32_t pasid, bool ats, bool write)
{
	struct model_access access = { .iova = iova,
				       .pasid = pasid,
				       .flags = write ? MODEL_WRITE : 0 };
	struct model_translation t;
	uint64_t pa = 0;

	memset(&t, 0, sizeof(t));
	reader_enter();
	if (ats) {
		if (w->model->ops->ats_request(w->port[dev], &access, 1, &t))
			goto out;
		access.iova = t.pa;
		access.flags |= MODEL_TRANSLATED;
	}
	w->model->ops->translate(w->port[dev], &access, &t);
	if (t.result == MODEL_OK)
		pa = t.pa;
out:
	reader_exit();
	return pa;
}

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng_state >> 33) % below;
}

/* ---- paging domains ---- */

#define WINDOW 2048u /* pages */
#define BASE   (0x40000000ULL - 4 * MIB)

struct shadow {
	struct core_domain *d;
	uint64_t pa[WINDOW];
	uint32_t map[WINDOW];
};

static void random_map(struct world *w, struct shadow *s, uint32_t id)
{
	uint32_t align = rng(2) ? 512 : 1;
	uint32_t first = rng(WINDOW / align) * align;
	uint32_t n = 1 + rng(700);
	uint64_t pa = w->ram_pa + rng(24) * 2 * MIB + (rng(2) ? 0 : PAGE);

	if (first + n > WINDOW)
		n = WINDOW - first;
	for (uint32_t i = first; i < first + n; i++) {
		if (s->pa[i])
			return;
	}
	assert_int_equal(
		s->d->ops->map(s->d, BASE + first * PAGE, pa, n * PAGE, 3), 0);
	for (uint32_t i = first; i < first + n; i++) {
		s->pa[i] = pa + (i - first) * PAGE;
		s->map[i] = id;
	}
}

static void random_unmap(struct shadow *s)
{
	uint32_t first = rng(WINDOW);
	uint32_t last = first;

	if (!s->pa[first])
		return;
	while (first && s->pa[first - 1] && s->map[first - 1] == s->map[first])
		first--;
	while (last + 1 < WINDOW && s->pa[last + 1] &&
	       s->map[last + 1] == s->map[last])
		last++;
	s->d->ops->unmap(s->d, BASE + first * PAGE, (last - first + 1) * PAGE);
	memset(&s->pa[first], 0, (last - first + 1) * sizeof(s->pa[0]));
}

static void check(struct world *w, const struct shadow *s, int dev,
		  uint32_t pasid, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		uint32_t page = rng(WINDOW);
		uint64_t low = rng(PAGE);
		uint64_t pa = translate(w, dev, BASE + page * PAGE + low, pasid,
					rng(4) == 0, rng(2));

		assert_int_equal(pa, s->pa[page] ? s->pa[page] + low : 0);
	}
	if (w->stales)
		print_message("%s\n", w->why);
	assert_int_equal(w->stales, 0);
}

static void test_random_maps_translate_as_mapped(void **state)
{
	static const uint32_t flags[] = { 0, 1, 8 };
	struct world w;

	(void)state;
	start(&w);
	for (uint32_t seed = 0; seed < 9; seed++) {
		struct shadow *s = calloc(1, sizeof(*s));
		uint32_t kind = seed % 3; /* plain, a nest parent, a PASID */
		uint32_t pasid = kind == 2 ? 77 : NO_PASID;

		assert_non_null(s);
		rng_state = seed + 1;
		assert_int_equal(w.iommu->ops->domain_alloc(&w.dev[0],
							    flags[kind], &s->d),
				 0);
		for (int i = 0; i < 2; i++)
			assert_int_equal(
				s->d->ops->attach(s->d, &w.dev[i], pasid), 0);
		for (uint32_t step = 0; step < 300; step++) {
			if (rng(2))
				random_map(&w, s, step);
			else
				random_unmap(s);
			check(&w, s, step & 1, pasid, 60);
		}
		for (int i = 0; i < 2; i++)
			w.iommu->ops->block(&w.dev[i], pasid);
		assert_int_equal(translate(&w, 0, BASE, pasid, false, false),
				 0);
		s->d->ops->unmap(s->d, BASE, WINDOW * PAGE);
		s->d->ops->free(s->d);
		free(s);
	}
	stop(&w);
}

static void test_attaching_elsewhere_changes_every_translation(void **state)
{
	struct shadow *s[4];
	struct world w;

	(void)state;
	start(&w);
	rng_state = 5;
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
		struct shadow *now = s[rng(4)];
		int dev = rng(DEVICES);

		assert_int_equal(
			now->d->ops->attach(now->d, &w.dev[dev], NO_PASID), 0);
		check(&w, now, dev, NO_PASID, 30);
		if (!rng(8)) {
			w.iommu->ops->block(&w.dev[dev], NO_PASID);
			for (uint32_t i = 0; i < 20; i++)
				assert_int_equal(
					translate(&w, dev,
						  BASE + rng(WINDOW) * PAGE,
						  NO_PASID, i & 1, false),
					0);
		}
	}
	for (int i = 0; i < DEVICES; i++)
		w.iommu->ops->block(&w.dev[i], NO_PASID);
	for (uint32_t i = 0; i < 4; i++) {
		s[i]->d->ops->free(s[i]->d);
		free(s[i]);
	}
	stop(&w);
}

/* ---- guests ---- */

#define GUEST_IPA  0x80000000ULL
#define GUEST_SIZE (16 * MIB)
#define VA	   0x7f000000000ULL

/* A guest's memory and the first stage in it, all by guest physical address */
struct guest {
	struct world *w;
	char *ram; /* in the world's */
	uint64_t pa;
	uint64_t used;
	uint64_t room;
	struct pt *pt;
	struct core_domain *nested;
	uint32_t pasid;
	int dev;
	uint64_t ipa[WINDOW];
};

static int guest_table(void *ctx, size_t size, struct pt_table_mem *mem)
{
	struct guest *g = ctx;

	g->used = (g->used + size - 1) / size * size;
	assert_true(g->used + size <= g->room);
	mem->host = g->ram + g->used;
	mem->pa = GUEST_IPA + g->used;
	memset(mem->host, 0, size);
	g->used += size;
	return 0;
}

static void guest_table_free(void *ctx, const struct pt_table_mem *mem)
{
	(void)ctx;
	(void)mem; /* never used again: a stale walk would find it */
}

static const struct pt_mem_ops guest_ops = { guest_table, guest_table_free };

static int guest_forget(struct guest *g, uint64_t addr, uint64_t npages,
			uint32_t flags)
{
	struct ventry e = { .addr = addr, .npages = npages, .flags = flags };
	struct core_inval inv;
	int rc = vrig_inval(g->nested, &e, 1, true, &inv);

	assert_int_equal(inv.done, !rc);
	return rc;
}

/* Tables at [@used, @room) of the guest's memory */
static void guest_start(struct guest *g, struct world *w,
			struct core_domain *parent, int dev, uint32_t pasid,
			uint64_t used, uint64_t room)
{
	struct vtd_pt_config cfg = { .stage = 1, .levels = 4, .oas = 46 };
	uint64_t s1[3] = { 0, 0, 48 };
	struct core_user_data data = { 1, sizeof(s1), (uintptr_t)s1 };

	memset(g, 0, sizeof(*g));
	g->w = w;
	g->dev = dev;
	g->pasid = pasid;
	g->pa = w->ram_pa;
	g->ram = w->ram;
	g->used = used;
	g->room = room;
	assert_int_equal(vtd_pt_create(&cfg, &guest_ops, g, &g->pt), 0);
	s1[1] = pt_root(g->pt);
	assert_int_equal(w->iommu->ops->nested_alloc(&w->dev[dev], parent, 0,
						     &data, &g->nested),
			 0);
	assert_int_equal(g->nested->ops->attach(g->nested, &w->dev[dev], pasid),
			 0);
}

static void guest_stop(struct guest *g)
{
	g->w->iommu->ops->block(&g->w->dev[g->dev], g->pasid);
	g->nested->ops->free(g->nested);
	pt_destroy(g->pt);
}

/* LEAF where no table has gone: that is what the hint is for */
static void guest_step(struct guest *g)
{
	uint32_t page = rng(WINDOW);
	struct pt_gather gone = { NULL };
	uint64_t ipa = GUEST_IPA + 8 * MIB + rng(2048) * PAGE;

	if (!g->ipa[page]) {
		assert_int_equal(pt_map(g->pt, VA + page * PAGE, ipa, PAGE, 3),
				 0);
		g->ipa[page] = ipa;
		return;
	}
	assert_int_equal(pt_unmap(g->pt, VA + page * PAGE, PAGE, &gone), 0);
	g->ipa[page] = 0;
	assert_int_equal(guest_forget(g, VA + page * PAGE, 1, !gone.tables), 0);
	pt_gather_free(g->pt, &gone);
}

/* @gap: this part of stage 2 is away, [first, last] by its addresses */
static void guest_check(struct guest *g, uint64_t gap_first, uint64_t gap_last,
			uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		uint32_t page = rng(WINDOW);
		uint64_t ipa = g->ipa[page];
		uint64_t want = ipa ? ipa - GUEST_IPA + g->pa + 5 : 0;

		if (ipa >= gap_first && ipa <= gap_last)
			want = 0;
		assert_int_equal(translate(g->w, g->dev, VA + page * PAGE + 5,
					   g->pasid, rng(4) == 0, rng(2)),
				 want);
	}
	if (g->w->stales)
		print_message("%s\n", g->w->why);
	assert_int_equal(g->w->stales, 0);
}

static struct core_domain *guest_parent(struct world *w)
{
	struct core_domain *d = NULL;

	assert_int_equal(w->iommu->ops->domain_alloc(&w->dev[0], 1, &d), 0);
	/* tables, then data in pieces that can be taken away */
	assert_int_equal(d->ops->map(d, GUEST_IPA, w->ram_pa, 8 * MIB, 3), 0);
	for (uint64_t at = 8 * MIB; at < GUEST_SIZE; at += 2 * MIB)
		assert_int_equal(d->ops->map(d, GUEST_IPA + at, w->ram_pa + at,
					     2 * MIB, 3),
				 0);
	return d;
}

static void test_a_guests_maps_translate_through_both_stages(void **state)
{
	struct core_domain *parent;
	struct guest *g = calloc(1, sizeof(*g));
	struct world w;

	(void)state;
	assert_non_null(g);
	start(&w);
	rng_state = 11;
	parent = guest_parent(&w);
	guest_start(g, &w, parent, 0, NO_PASID, 0, 8 * MIB);
	for (uint32_t i = 0; i < 1000; i++)
		guest_step(g);
	for (uint32_t step = 0; step < 400; step++) {
		guest_step(g);
		guest_check(g, 1, 0, 20);
	}
	/* the host takes stage 2 away and gives it back: the guest is silent */
	for (uint32_t step = 0; step < 100; step++) {
		uint64_t at = 8 * MIB + rng(4) * 2 * MIB;

		guest_check(g, 1, 0, 100);
		parent->ops->unmap(parent, GUEST_IPA + at, 2 * MIB);
		guest_check(g, GUEST_IPA + at, GUEST_IPA + at + 2 * MIB - 1,
			    100);
		assert_int_equal(parent->ops->map(parent, GUEST_IPA + at,
						  w.ram_pa + at, 2 * MIB, 3),
				 0);
	}
	guest_stop(g);
	parent->ops->unmap(parent, GUEST_IPA, GUEST_SIZE);
	parent->ops->free(parent);
	stop(&w);
	free(g);
}

static void test_guests_and_pasids_with_one_parent_never_meet(void **state)
{
	static const uint32_t pasid[] = { NO_PASID, NO_PASID, 5 };
	struct core_domain *parent;
	struct guest *g[3];
	struct world w;

	(void)state;
	start(&w);
	rng_state = 12;
	parent = guest_parent(&w);
	/* the same addresses and PASID, other tables */
	for (int i = 0; i < 3; i++) {
		g[i] = calloc(1, sizeof(*g[i]));
		assert_non_null(g[i]);
		guest_start(g[i], &w, parent, i & 1, pasid[i], i * 2 * MIB,
			    (i + 1) * 2 * MIB);
	}
	for (uint32_t step = 0; step < 600; step++) {
		guest_step(g[step % 3]);
		for (int i = 0; i < 3; i++)
			guest_check(g[i], 1, 0, 10);
	}
	for (int i = 0; i < 3; i++) {
		guest_stop(g[i]);
		free(g[i]);
	}
	parent->ops->unmap(parent, GUEST_IPA, GUEST_SIZE);
	parent->ops->free(parent);
	stop(&w);
}

static void test_a_guest_that_forgets_to_invalidate_is_seen(void **state)
{
	struct pt_gather gone = { NULL };
	struct core_domain *parent;
	struct guest *g = calloc(1, sizeof(*g));
	struct world w;

	(void)state;
	assert_non_null(g);
	start(&w);
	parent = guest_parent(&w);
	guest_start(g, &w, parent, 0, NO_PASID, 0, 8 * MIB);
	assert_int_equal(pt_map(g->pt, VA, GUEST_IPA + 8 * MIB, PAGE, 3), 0);
	assert_int_equal(translate(&w, 0, VA, NO_PASID, false, false),
			 w.ram_pa + 8 * MIB);
	assert_int_equal(pt_unmap(g->pt, VA, PAGE, &gone), 0);
	/* the page behind it is none of this */
	assert_int_equal(guest_forget(g, VA + PAGE, 1, 1), 0);
	assert_int_equal(translate(&w, 0, VA, NO_PASID, false, false),
			 w.ram_pa + 8 * MIB);
	assert_true(w.stales > 0);
	assert_int_equal(guest_forget(g, 0, UINT64_MAX, 0), 0);
	assert_int_equal(translate(&w, 0, VA, NO_PASID, false, false), 0);
	pt_gather_free(g->pt, &gone);
	guest_stop(g);
	parent->ops->unmap(parent, GUEST_IPA, GUEST_SIZE);
	parent->ops->free(parent);
	stop(&w);
	free(g);
}

static void test_dirty_pages_are_those_written(void **state)
{
	struct core_domain *d = NULL;
	struct world w;

	(void)state;
	start(&w);
	rng_state = 13;
	assert_int_equal(w.iommu->ops->domain_alloc(&w.dev[0], 2, &d), 0);
	assert_int_equal(d->ops->attach(d, &w.dev[0], NO_PASID), 0);
	for (uint64_t i = 0; i < 32; i++)
		assert_int_equal(d->ops->map(d, BASE + i * PAGE,
					     w.ram_pa + i * PAGE, PAGE, 3),
				 0);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, true), 0);
	for (int round = 0; round < 50; round++) {
		struct vfake_dirty dirty = { 0 };
		uint32_t written = 0;
		uint32_t found = 0;

		for (int i = 0; i < 20; i++) {
			uint32_t page = rng(32);
			bool write = rng(2);

			assert_int_not_equal(translate(&w, 0,
						       BASE + page * PAGE,
						       NO_PASID, false, write),
					     0);
			written |= (uint32_t)write << page;
		}
		assert_int_equal(
			d->dirty_ops->read_and_clear_dirty(
				d, BASE, 32 * PAGE, true, (void *)&dirty),
			0);
		for (unsigned int i = 0; i < dirty.n; i++) {
			for (uint64_t at = 0; at < dirty.length[i]; at += PAGE)
				found |= 1u << ((dirty.iova[i] + at - BASE) /
						PAGE);
		}
		assert_int_equal(found, written);
	}
	assert_int_equal(w.stales, 0);
	d->ops->unmap(d, BASE, 32 * PAGE);
	w.iommu->ops->block(&w.dev[0], NO_PASID);
	d->ops->free(d);
	stop(&w);
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
		translate(k->w, k->dev, VA + (x >> 40) % 64 * PAGE, NO_PASID,
			  x >> 39 & 1, false);
	}
	return NULL;
}

static void *run_context(void *arg)
{
	struct worker *k = arg;
	struct core_domain *parent = guest_parent(k->w);

	for (int life = 0; life < 4; life++) {
		struct guest *g = calloc(1, sizeof(*g));

		assert_non_null(g);
		guest_start(g, k->w, parent, k->dev, NO_PASID,
			    (uint64_t)k->dev * 4 * MIB,
			    (uint64_t)k->dev * 4 * MIB + 4 * MIB);
		for (uint64_t i = 0; i < 200; i++) {
			uint64_t va = VA + i % 64 * PAGE;
			struct pt_gather gone = { NULL };

			__atomic_store_n(&k->w->unmapping[k->dev], true,
					 __ATOMIC_SEQ_CST);
			assert_int_equal(
				pt_map(g->pt, va, GUEST_IPA + 8 * MIB, PAGE, 3),
				0);
			assert_int_equal(pt_unmap(g->pt, va, PAGE, &gone), 0);
			assert_int_equal(guest_forget(g, va, 1, 0), 0);
			pt_gather_free(g->pt, &gone);
			if (i % 50 == 0) {
				parent->ops->unmap(parent, GUEST_IPA + 10 * MIB,
						   2 * MIB);
				assert_int_equal(
					parent->ops->map(
						parent, GUEST_IPA + 10 * MIB,
						k->w->ram_pa + 10 * MIB,
						2 * MIB, 3),
					0);
			}
		}
		guest_stop(g);
		free(g);
	}
	parent->ops->unmap(parent, GUEST_IPA, GUEST_SIZE);
	parent->ops->free(parent);
	return NULL;
}

static void test_two_contexts_at_once(void **state)
{
	struct worker context[2], dma[2];
	bool done = false;
	struct world w;

	(void)state;
	start(&w);
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
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_maps_translate_as_mapped),
		cmocka_unit_test(
			test_attaching_elsewhere_changes_every_translation),
		cmocka_unit_test(
			test_a_guests_maps_translate_through_both_stages),
		cmocka_unit_test(
			test_guests_and_pasids_with_one_parent_never_meet),
		cmocka_unit_test(
			test_a_guest_that_forgets_to_invalidate_is_seen),
		cmocka_unit_test(test_dirty_pages_are_those_written),
		cmocka_unit_test(test_two_contexts_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
