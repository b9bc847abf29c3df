// SPDX-License-Identifier: MIT
/* The world, and guests in it; see world.h. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/reader.h"
#include "drv/hostunit.h"
#include "fake_time.h"
#include "mem/guard.h"
#include "model/engine.h"

/* ---- what hardware and driver meet in ---- */

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
	size_t whole = (size + WORLD_PAGE - 1) / WORLD_PAGE * WORLD_PAGE;
	size_t step = align < WORLD_PAGE ? WORLD_PAGE : align;
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
	assert_int_equal(grace_wait(w->grace, WORLD_PATIENCE_NS), 0);
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

/*
 * Here everybody is slow only because the machine has other work to do. That is
 * no device's doing: none is charged for it, and none is failed by a sync.
 */
static void slow_is_good(struct world *w)
{
	fake_time(to_hostunit(w->iommu)->devs);
	container_of(w->model, struct engine, base)->sync_timeout_ns =
		WORLD_PATIENCE_NS;
}

void world_start(struct world *w, const struct world_arch *arch)
{
	struct core_hwport port = { .ops = &port_ops, .ctx = w };
	struct model_host host = { .ctx = w,
				   .irq = raise_line,
				   .stale = tell_stale };

	memset(w, 0, sizeof(*w));
	w->arch = arch;
	assert_int_equal(guard_init(), 0);
	assert_int_equal(phys_create(arch->pa_bits, &w->phys), 0);
	assert_int_equal(grace_create(&w->grace), 0);
	w->ram = mmap(NULL, WORLD_RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(w->ram, MAP_FAILED);
	assert_int_equal(phys_add(w->phys, w->ram, WORLD_RAM,
				  PHYS_READ | PHYS_WRITE, 2 * WORLD_MIB, 0,
				  &w->ram_range),
			 0);
	w->ram_pa = phys_range_pa(w->ram_range);
	host.phys = w->phys;
	host.grace = w->grace;
	assert_int_equal(arch->model(&host, &w->model), 0);
	assert_int_equal(arch->driver(&port, &w->iommu), 0);
	slow_is_good(w);
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
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

void world_stop(struct world *w)
{
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		w->iommu->ops->device_remove(&w->dev[i]);
		w->model->ops->port_remove(w->port[i]);
	}
	w->iommu->ops->destroy(w->iommu);
	w->model->ops->destroy(w->model);
	phys_remove(w->ram_range);
	assert_int_equal(grace_wait(w->grace, WORLD_PATIENCE_NS), 0);
	phys_release(w->ram_range);
	assert_int_equal(phys_count(w->phys), 0);
	phys_destroy(w->phys);
	grace_destroy(w->grace);
	munmap(w->ram, WORLD_RAM);
}

uint64_t world_translate(struct world *w, int dev, uint64_t iova,
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

uint32_t world_random(struct world *w, uint32_t below)
{
	w->rng = w->rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(w->rng >> 33) % below;
}

void world_is_fresh(const struct world *w)
{
	if (w->stales)
		print_message("%s\n", w->why);
	assert_int_equal(w->stales, 0);
}

/* ---- guests ---- */

static int guest_table(void *ctx, size_t size, struct pt_table_mem *mem)
{
	struct guest *g = ctx;

	g->used = (g->used + size - 1) / size * size;
	assert_true(g->used + size <= g->room);
	mem->host = g->w->ram + g->used;
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

const struct pt_mem_ops guest_tables = { guest_table, guest_table_free };

static void map_ram(struct world *w, struct core_domain *parent, uint64_t at,
		    uint64_t size)
{
	assert_int_equal(parent->ops->map(parent, GUEST_IPA + at,
					  w->ram_pa + at, size, 3),
			 0);
}

struct core_domain *guest_parent(struct world *w)
{
	struct core_domain *d = NULL;

	assert_int_equal(w->iommu->ops->domain_alloc(&w->dev[0], 1, &d), 0);
	map_ram(w, d, 0, 8 * WORLD_MIB);
	for (uint64_t at = 8 * WORLD_MIB; at < GUEST_SIZE; at += 2 * WORLD_MIB)
		map_ram(w, d, at, 2 * WORLD_MIB);
	return d;
}

void guest_parent_free(struct core_domain *parent)
{
	parent->ops->unmap(parent, GUEST_IPA, GUEST_SIZE);
	parent->ops->free(parent);
}

void guest_start(struct guest *g, struct world *w, struct core_domain *parent,
		 int dev, uint32_t pasid, uint64_t used, uint64_t room)
{
	memset(g, 0, sizeof(*g));
	g->w = w;
	g->dev = dev;
	g->pasid = pasid;
	g->used = used;
	g->room = room;
	w->arch->guest_start(g, parent);
	assert_int_equal(g->nested->ops->attach(g->nested, &w->dev[dev], pasid),
			 0);
}

void guest_stop(struct guest *g)
{
	g->w->iommu->ops->block(&g->w->dev[g->dev], g->pasid);
	g->nested->ops->free(g->nested);
	if (g->w->arch->guest_stop)
		g->w->arch->guest_stop(g);
	pt_destroy(g->pt);
}

void guest_step(struct guest *g)
{
	uint32_t page = world_random(g->w, GUEST_PAGES);
	uint64_t va = GUEST_VA + page * WORLD_PAGE;
	struct pt_gather gone = { NULL };
	uint64_t ipa = GUEST_IPA + 8 * WORLD_MIB +
		       world_random(g->w, 2048) * WORLD_PAGE;

	if (!g->ipa[page]) {
		assert_int_equal(pt_map(g->pt, va, ipa, WORLD_PAGE, 3), 0);
		g->ipa[page] = ipa;
		return;
	}
	assert_int_equal(pt_unmap(g->pt, va, WORLD_PAGE, &gone), 0);
	g->ipa[page] = 0;
	g->w->arch->guest_forget(g, va, !gone.tables);
	pt_gather_free(g->pt, &gone);
}

void guest_check(struct guest *g, uint64_t gap_first, uint64_t gap_last,
		 uint32_t times)
{
	struct world *w = g->w;

	for (uint32_t i = 0; i < times; i++) {
		uint32_t page = world_random(w, GUEST_PAGES);
		uint64_t va = GUEST_VA + page * WORLD_PAGE + 5;
		uint64_t ipa = g->ipa[page];
		uint64_t want = ipa ? ipa - GUEST_IPA + w->ram_pa + 5 : 0;
		bool ats = world_random(w, 4) == 0;

		if (ipa >= gap_first && ipa <= gap_last)
			want = 0;
		assert_int_equal(world_translate(w, g->dev, va, g->pasid, ats,
						 world_random(w, 2)),
				 want);
	}
	world_is_fresh(w);
}
