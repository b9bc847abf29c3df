// SPDX-License-Identifier: MIT
/* The bare hardware model: include/nestfd/model.h. */
#include <errno.h>
#include <string.h>

#include "lib/machine.h"

#define TRANSLATE_FLAGS                                         \
	(NESTFD_DMA_WRITE | NESTFD_DMA_PRIV | NESTFD_DMA_EXEC | \
	 NESTFD_TRANSLATE_QUIET)

int nestfd_memory_add(struct nestfd_machine *machine, uint64_t pa, void *host,
		      uint64_t length)
{
	struct phys_range *range; /* lives as long as the machine */

	if (!length || (pa | length) & 4095)
		return -EINVAL;
	return phys_add_at(machine->phys, pa, host, length,
			   PHYS_READ | PHYS_WRITE, &range);
}

uint64_t nestfd_iommu_read(struct nestfd_machine *machine, uint32_t offset,
			   unsigned int bytes)
{
	return machine->model->ops->read(machine->model, offset, bytes);
}

void nestfd_iommu_write(struct nestfd_machine *machine, uint32_t offset,
			unsigned int bytes, uint64_t value)
{
	machine->model->ops->write(machine->model, offset, bytes, value);
}

int nestfd_iommu_irq(struct nestfd_machine *machine,
		     void (*irq)(void *ctx, unsigned int line), void *ctx)
{
	int rc = 0;

	pthread_mutex_lock(&machine->lock);
	pthread_rwlock_wrlock(&machine->lines_lock);
	if (machine->iommu) {
		rc = -EBUSY;
	} else {
		machine->bare_irq = irq;
		machine->bare_irq_ctx = ctx;
	}
	pthread_rwlock_unlock(&machine->lines_lock);
	pthread_mutex_unlock(&machine->lock);
	return rc;
}

static void make_access(uint64_t iova, uint32_t pasid, uint32_t flags,
			struct model_access *access)
{
	access->iova = iova;
	access->pasid = pasid;
	access->flags = flags & (MODEL_WRITE | MODEL_PRIV | MODEL_EXEC);
	if (flags & NESTFD_TRANSLATE_QUIET)
		access->flags |= MODEL_QUIET;
}

static enum nestfd_result result_of(const struct model_translation *tr)
{
	switch (tr->result) {
	case MODEL_OK:
		return tr->bypass ? NESTFD_BYPASSED : NESTFD_TRANSLATED;
	case MODEL_STALLED:
		return NESTFD_STALLED;
	default:
		return NESTFD_ABORTED;
	}
}

int nestfd_translate(struct nestfd_device *dev, uint64_t iova, uint32_t pasid,
		     uint32_t flags, struct nestfd_translation *out)
{
	struct model_translation tr = { 0 };
	struct model_access access;

	if (out->size != sizeof(*out) || flags & ~TRANSLATE_FLAGS)
		return -EINVAL;
	make_access(iova, pasid, flags, &access);
	reader_enter_of(dev->machine->grace);
	dev->machine->model->ops->translate(dev->port, &access, &tr);
	reader_exit();
	grace_help(dev->machine->grace);
	*out = (struct nestfd_translation){
		.size = sizeof(*out),
		.result = result_of(&tr),
		.event = tr.event,
		.hit = tr.hit,
		.stale = tr.stale,
		.readable = tr.read,
		.writable = tr.write,
		.executable = tr.exec,
		.pa = tr.pa,
		.page_lg2 = tr.size_lg2,
	};
	return 0;
}

void nestfd_explain(struct nestfd_device *dev, uint64_t iova, uint32_t pasid,
		    uint32_t flags, char *text, size_t length)
{
	struct model_access access;

	if (!length)
		return;
	make_access(iova, pasid, flags, &access);
	access.flags |= MODEL_QUIET;
	reader_enter_of(dev->machine->grace);
	dev->machine->model->ops->explain(dev->port, &access, text, length);
	reader_exit();
}

void nestfd_iommu_stats(struct nestfd_machine *machine,
			struct nestfd_iommu_stats *stats)
{
	struct nestfd_iommu_stats all;
	struct model_stats s = { 0 };
	size_t size = stats->size < sizeof(all) ? stats->size : sizeof(all);

	machine->model->ops->stats(machine->model, &s);
	all = (struct nestfd_iommu_stats){
		.size = size,
		.hits = s.hits,
		.misses = s.misses,
		.stale = s.stale,
		.events = s.events,
		.events_lost = s.events_lost,
		.commands = s.commands,
		.syncs = s.syncs,
	};
	memcpy(stats, &all, size);
}

struct entry_visit {
	const struct arch *arch;
	void (*fn)(void *ctx, const struct nestfd_cache_entry *entry);
	void *ctx;
};

static void visit_entry(void *ctx, const struct iotlb_entry *entry)
{
	struct entry_visit *visit = ctx;
	struct nestfd_cache_entry told = {
		.size = sizeof(told),
		.kind = visit->arch->entry_kind(entry->regime),
		.vmid = entry->vmid,
		.asid = entry->asid,
		.global = entry->global,
		.level = entry->level,
		.size_lg2 = entry->size_lg2,
		.leaf_lg2 = entry->leaf_lg2,
		.iova = entry->iova,
		.leaf = entry->leaf,
		.pa = entry->out,
	};

	visit->fn(visit->ctx, &told);
}

void nestfd_iommu_entries(struct nestfd_machine *machine,
			  void (*fn)(void *ctx,
				     const struct nestfd_cache_entry *entry),
			  void *ctx)
{
	struct entry_visit visit = { machine->arch, fn, ctx };

	machine->model->ops->for_each_entry(machine->model, visit_entry,
					    &visit);
}
