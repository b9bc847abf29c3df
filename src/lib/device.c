// SPDX-License-Identifier: MIT
/* Devices: plugging, binding, attaching, DMA. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "lib/machine.h"

_Static_assert(NESTFD_DMA_WRITE == MODEL_WRITE &&
		       NESTFD_DMA_PRIV == MODEL_PRIV &&
		       NESTFD_DMA_EXEC == MODEL_EXEC &&
		       NESTFD_DMA_TRANSLATED == MODEL_TRANSLATED,
	       "the flags go down as they are");
_Static_assert(NESTFD_NO_PASID == MODEL_NO_PASID &&
		       NESTFD_NO_PASID == CORE_NO_PASID,
	       "so does no PASID");

#define DMA_FLAGS                                               \
	(NESTFD_DMA_WRITE | NESTFD_DMA_PRIV | NESTFD_DMA_EXEC | \
	 NESTFD_DMA_TRANSLATED)
#define MAX_PASID_BITS 20

static int check_config(const struct nestfd_device_config *config)
{
	if (config->size != sizeof(*config) ||
	    config->pasid_bits > MAX_PASID_BITS ||
	    (config->page_requests && !config->ats))
		return -EINVAL;
	return 0;
}

static bool stream_is_taken_locked(const struct nestfd_machine *machine,
				   uint32_t stream_id)
{
	const struct nestfd_device *dev;

	LIST_FOREACH (dev, &machine->devices, link)
		if (dev->core.stream_id == stream_id)
			return true;
	return false;
}

static void put(struct nestfd_device *dev)
{
	if (__atomic_sub_fetch(&dev->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_destroy(&dev->lock);
	pages_free(dev->pages);
	free(dev);
}

int nestfd_device_add(struct nestfd_machine *machine,
		      const struct nestfd_device_config *config,
		      struct nestfd_device **out)
{
	struct model_port_config port = {
		.stream_id = config->stream_id,
		.pasid_bits = config->pasid_bits,
		.ats = config->ats,
	};
	struct nestfd_device *dev;
	int rc;

	rc = check_config(config);
	if (rc)
		return rc;
	dev = alloc_zero(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->machine = machine;
	dev->refs = 1;
	dev->core.stream_id = config->stream_id;
	dev->core.pasid_bits = config->pasid_bits;
	dev->core.ats = config->ats;
	dev->core.pri = config->page_requests;
	dev->core.stall = config->stall;
	dev->core.owner = dev;
	rc = pages_new(dev, config, &port);
	if (rc) {
		free(dev);
		return rc;
	}
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_lock(&machine->lock);
	if (stream_is_taken_locked(machine, config->stream_id))
		rc = -EEXIST;
	else
		rc = machine->model->ops->port_add(machine->model, &port,
						   &dev->port);
	if (!rc)
		LIST_INSERT_HEAD(&machine->devices, dev, link);
	pthread_mutex_unlock(&machine->lock);
	if (rc) {
		put(dev);
		return rc;
	}
	*out = dev;
	return 0;
}

/* Who waits for the lock finds a device that is unplugged meanwhile. */
static void lock(struct nestfd_device *dev)
{
	__atomic_fetch_add(&dev->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&dev->lock);
}

static void unlock(struct nestfd_device *dev)
{
	pthread_mutex_unlock(&dev->lock);
	put(dev);
}

/* Locked. In the context's list until it needs the context no more. */
static void unbind(struct nestfd_device *dev)
{
	if (!dev->ctx)
		return;
	core_unbind(dev->ctx->core, dev->dev_id);
	pthread_mutex_lock(&dev->machine->lock);
	LIST_REMOVE(dev, bound);
	dev->ctx = NULL;
	pthread_mutex_unlock(&dev->machine->lock);
}

/* With a reference: it may be unplugged as soon as the lock is free. */
static struct nestfd_device *first_bound(struct nestfd *ctx)
{
	struct nestfd_device *dev;

	pthread_mutex_lock(&ctx->machine->lock);
	dev = LIST_FIRST(&ctx->bound);
	if (dev)
		__atomic_fetch_add(&dev->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&ctx->machine->lock);
	return dev;
}

void devices_unbind_all(struct nestfd *ctx)
{
	struct nestfd_device *dev;

	while ((dev = first_bound(ctx))) {
		pthread_mutex_lock(&dev->lock);
		if (dev->ctx == ctx) /* else another was faster */
			unbind(dev);
		unlock(dev);
	}
}

void nestfd_device_remove(struct nestfd_device *dev)
{
	struct nestfd_machine *machine;

	if (!dev)
		return;
	machine = dev->machine;
	lock(dev);
	unbind(dev);
	machine->model->ops->port_remove(dev->port);
	dev->unplugged = true;
	pthread_mutex_lock(&machine->lock);
	LIST_REMOVE(dev, link);
	pthread_mutex_unlock(&machine->lock);
	unlock(dev);
	put(dev);
}

/* Locked, and a call on @ctx: it is not closed before it has found the device.
 */
static int bind(struct nestfd *ctx, struct core_ctx *core,
		struct nestfd_device *dev)
{
	struct nestfd_machine *machine = dev->machine;
	int rc;

	if (dev->unplugged)
		return -ENODEV;
	if (dev->ctx)
		return -EBUSY;
	pthread_mutex_lock(&machine->lock);
	dev->core.iommu = machine->iommu;
	pthread_mutex_unlock(&machine->lock);
	rc = core_bind(core, &dev->core, &dev->dev_id);
	if (rc)
		return rc;
	pthread_mutex_lock(&machine->lock);
	dev->ctx = ctx;
	LIST_INSERT_HEAD(&ctx->bound, dev, bound);
	pthread_mutex_unlock(&machine->lock);
	return 0;
}

/* Asked without the device's lock, which another guest's call may hold long. */
static bool is_bound(struct nestfd_device *dev)
{
	bool yes;

	pthread_mutex_lock(&dev->machine->lock);
	yes = dev->ctx;
	pthread_mutex_unlock(&dev->machine->lock);
	return yes;
}

int nestfd_bind(struct nestfd *ctx, struct nestfd_device *dev, uint32_t *dev_id)
{
	struct core_ctx *core;
	int rc;

	if (ctx->machine != dev->machine)
		return -EXDEV;
	if (is_bound(dev))
		return -EBUSY;
	core = context_call_begin(ctx);
	lock(dev);
	rc = bind(ctx, core, dev);
	if (!rc)
		*dev_id = dev->dev_id;
	unlock(dev);
	context_call_end(ctx);
	return rc;
}

void nestfd_unbind(struct nestfd_device *dev)
{
	lock(dev);
	unbind(dev);
	unlock(dev);
}

int nestfd_attach(struct nestfd_device *dev, uint32_t pasid, uint32_t *pt_id)
{
	int rc = -ENODEV;

	lock(dev);
	if (dev->ctx)
		rc = core_set_pt(dev->ctx->core, dev->dev_id, pasid, pt_id);
	unlock(dev);
	return rc;
}

void nestfd_detach(struct nestfd_device *dev, uint32_t pasid)
{
	lock(dev);
	if (dev->ctx)
		core_detach(dev->ctx->core, dev->dev_id, pasid);
	unlock(dev);
}

void nestfd_device_reset(struct nestfd_device *dev)
{
	lock(dev);
	if (!dev->unplugged) {
		dev->machine->model->ops->port_reset(dev->port);
		pages_reset(dev->pages);
		if (dev->core.iommu && dev->core.iommu->ops->device_reset)
			dev->core.iommu->ops->device_reset(&dev->core);
	}
	unlock(dev);
}

/* What the device may do by what its cache says. */
static bool atc_allows(const struct model_translation *t, uint32_t flags)
{
	if (flags & MODEL_WRITE)
		return t->write;
	return flags & MODEL_EXEC ? t->exec : t->read;
}

/* One page of it; *len: in, what is left; out, what was moved */
static int dma_by_atc(struct nestfd_device *dev,
		      const struct model_access *access, void *buf, size_t *len)
{
	const struct model_ops *ops = dev->machine->model->ops;
	struct model_access ask = *access;
	struct model_access translated = *access;
	struct model_translation t;
	uint64_t size, left;
	int rc;

	ask.flags &= ~MODEL_TRANSLATED;
	rc = ops->ats_request(dev->port, &ask, 1, &t);
	if (rc)
		return rc;
	if (!atc_allows(&t, ask.flags))
		return -EIO;
	size = 1ULL << t.size_lg2;
	left = size - (access->iova & (size - 1));
	if (*len > left)
		*len = left;
	if (t.untranslated)
		translated.flags &= ~MODEL_TRANSLATED;
	else
		translated.iova = t.pa;
	return ops->dma(dev->port, &translated, buf, *len, NULL);
}

/*
 * A device with an ATC answers an invalidation when no DMA uses what it took
 * from there any more: one read section, for which the CMD_SYNC waits.
 */
static int dma_translated(struct nestfd_device *dev,
			  struct model_access *access, char *buf, size_t len)
{
	int rc = 0;

	reader_enter_of(dev->machine->grace);
	while (len && !rc) {
		size_t done = len;

		rc = dma_by_atc(dev, access, buf, &done);
		access->iova += done;
		buf += done;
		len -= done;
	}
	reader_exit();
	grace_help(dev->machine->grace);
	return rc;
}

int nestfd_dma(struct nestfd_device *dev, const struct nestfd_dma *dma)
{
	struct model_access access = {
		.iova = dma->iova,
		.pasid = dma->pasid,
		.flags = dma->flags,
	};
	uint64_t last;

	if (dma->size != sizeof(*dma) || dma->flags & ~DMA_FLAGS ||
	    (dma->flags & NESTFD_DMA_WRITE && dma->flags & NESTFD_DMA_EXEC))
		return -EINVAL;
	if (!dma->length)
		return 0;
	if (__builtin_add_overflow(dma->iova, dma->length - 1, &last))
		return -EINVAL;
	if (dma->flags & NESTFD_DMA_TRANSLATED)
		return dev->core.ats ? dma_translated(dev, &access, dma->buf,
						      dma->length)
				     : -EINVAL;
	return dev->machine->model->ops->dma(dev->port, &access, dma->buf,
					     dma->length, NULL);
}

int nestfd_dma_read(struct nestfd_device *dev, uint64_t iova, void *buf,
		    size_t length)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.buf = buf,
		.length = length,
	};

	return nestfd_dma(dev, &dma);
}

int nestfd_dma_write(struct nestfd_device *dev, uint64_t iova, const void *buf,
		     size_t length)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = iova,
		.pasid = NESTFD_NO_PASID,
		.flags = NESTFD_DMA_WRITE,
		.buf = (void *)(uintptr_t)buf, /* only read */
		.length = length,
	};

	return nestfd_dma(dev, &dma);
}

int nestfd_msi_enable(struct nestfd_device *dev, uint64_t *iova)
{
	int rc = -ENODEV;
	uint64_t page;

	lock(dev);
	if (dev->ctx)
		rc = dev->machine->doorbell
			     ? core_msi_map(dev->ctx->core, dev->dev_id,
					    MACHINE_DOORBELL_PA, &page)
			     : -EOPNOTSUPP;
	unlock(dev);
	if (!rc)
		*iova = page + MACHINE_DOORBELL_OFFSET;
	return rc;
}
