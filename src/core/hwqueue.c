// SPDX-License-Identifier: MIT
/*
 * What hardware and guest share directly: queues in guest memory that the
 * hardware reads by physical address, and device memory that the client maps
 * into itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

#define queue_of(q) container_of(q, struct core_hwq, drv)

int core_hw_queue_depend(struct core_hw_queue *queue, struct core_hw_queue *on)
{
	if (queue == on)
		return -EINVAL;
	core_use(&queue_of(on)->obj);
	return 0;
}

void core_hw_queue_undepend(struct core_hw_queue *queue,
			    struct core_hw_queue *on)
{
	(void)queue;
	core_put(&queue_of(on)->obj);
}

/* The whole pages that the queue lies in */
static int queue_pages(const struct iommu_hw_queue_alloc *arg, uint64_t *first,
		       uint64_t *length)
{
	uint64_t offset = arg->nesting_parent_iova % CORE_PAGE_SIZE;
	uint64_t end;

	if (!add_u64(offset, arg->length, &end) ||
	    !add_u64(end, CORE_PAGE_SIZE - 1, &end))
		return -ERANGE;
	/* More pages than an array of Linux's could name */
	if (end / CORE_PAGE_SIZE > INT_MAX / sizeof(void *) ||
	    alloc_fault_point())
		return -ENOMEM;
	*first = arg->nesting_parent_iova - offset;
	*length = end & ~(CORE_PAGE_SIZE - 1);
	return 0;
}

/* The pages, pinned for as long as the queue lives, must be contiguous */
static int pin_queue(struct core_hwq *q, const struct iommu_hw_queue_alloc *arg)
{
	struct core_ctx *ctx = q->obj.ctx;
	int rc = queue_pages(arg, &q->first, &q->length);

	if (rc)
		return rc;
	rc = access_new(ctx, NULL, NULL, &q->access);
	if (rc)
		return rc;
	rc = access_attach_ioas(q->access, q->viommu->parent->ioas);
	if (rc)
		goto destroy_access;
	rc = core_access_pin_pages(q->access, q->first, q->length, NULL, 0);
	if (rc)
		goto destroy_access;
	rc = access_pa(q->access, q->first, q->length, &q->drv.pa);
	if (rc)
		goto unpin;
	q->drv.pa += arg->nesting_parent_iova - q->first;
	return 0;

unpin:
	core_access_unpin_pages(q->access, q->first, q->length);
destroy_access:
	core_access_destroy(q->access);
	return rc;
}

static void unpin_queue(struct core_hwq *q)
{
	core_access_unpin_pages(q->access, q->first, q->length);
	core_access_destroy(q->access);
}

void hw_queue_destroy(struct core_object *obj)
{
	struct core_hwq *q = container_of(obj, struct core_hwq, obj);
	struct core_viommu *viommu = q->viommu->drv;

	if (viommu->ops->hw_queue_destroy)
		viommu->ops->hw_queue_destroy(viommu, &q->drv);
	unpin_queue(q);
	core_put(&q->viommu->obj);
}

static int hw_queue_new(struct core_call *call,
			struct core_viommu_object *viommu,
			struct core_hwq **out)
{
	const struct iommu_hw_queue_alloc *arg = call->arg;
	struct core_hwq *q;
	int rc = core_object_new(call->ctx, CORE_HW_QUEUE, &q);

	if (rc)
		return rc;
	q->viommu = viommu;
	q->drv = (struct core_hw_queue){
		.viommu = viommu->drv,
		.type = arg->type,
		.index = arg->index,
		.base_addr = arg->nesting_parent_iova,
		.length = arg->length,
	};
	rc = pin_queue(q, arg);
	if (rc)
		goto abort;
	rc = viommu->drv->ops->hw_queue_init(viommu->drv, &q->drv);
	if (rc)
		goto unpin;
	core_use(&viommu->obj);
	*out = q;
	return 0;

unpin:
	unpin_queue(q);
abort:
	core_object_abort(&q->obj);
	return rc;
}

static int hw_queue_alloc(struct core_call *call,
			  struct core_viommu_object *viommu)
{
	struct iommu_hw_queue_alloc *arg = call->arg;
	const struct core_viommu_ops *ops = viommu->drv->ops;
	struct core_hwq *q;
	int rc;

	if (!ops->hw_queue_init ||
	    (ops->hw_queue_type && !ops->hw_queue_type(viommu->drv, arg->type)))
		return -EOPNOTSUPP;
	rc = hw_queue_new(call, viommu, &q);
	if (rc)
		return rc;
	arg->out_hw_queue_id = q->obj.id;
	rc = core_reply(call, sizeof(*arg));
	if (rc) {
		hw_queue_destroy(&q->obj);
		core_object_abort(&q->obj);
	} else {
		core_object_publish(&q->obj);
	}
	return rc;
}

int hw_queue_ioctl_alloc(struct core_call *call)
{
	struct iommu_hw_queue_alloc *arg = call->arg;
	struct core_viommu_object *viommu;
	uint64_t last;
	int rc;

	if (arg->flags || arg->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = range_last(arg->nesting_parent_iova, arg->length, &last);
	if (rc)
		return rc;
	rc = core_get(call->ctx, arg->viommu_id, CORE_VIOMMU, &viommu);
	if (rc)
		return rc;
	rc = hw_queue_alloc(call, viommu);
	core_put(&viommu->obj);
	return rc;
}

/* With ctx->lock held: where a gap of @length begins; the list is in order */
static struct core_mmap **find_gap(struct core_ctx *ctx, uint64_t length,
				   uint64_t *offset)
{
	struct core_mmap **link = &ctx->mmaps;
	uint64_t at = 0;

	while (*link && (*link)->offset - at < length) {
		at = (*link)->offset + (*link)->length;
		link = &(*link)->next;
	}
	*offset = at;
	return link;
}

/* What offsets may sum up to */
#define MMAP_MAX (1ULL << 52)

int core_mmap_add(struct core_viommu *viommu, int fd, uint64_t fd_offset,
		  uint64_t length, uint64_t *offset)
{
	struct core_viommu_object *owner = viommu->core;
	struct core_ctx *ctx = owner->obj.ctx;
	struct core_mmap *map;
	struct core_mmap **link;

	if (!length || length % CORE_PAGE_SIZE || length > MMAP_MAX)
		return -EINVAL;
	map = alloc_zero(sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->owner = owner;
	map->fd = fd;
	map->fd_offset = fd_offset;
	map->length = length;
	pthread_mutex_lock(&ctx->lock);
	link = find_gap(ctx, length, &map->offset);
	map->next = *link;
	*link = map;
	if (fd_offset == CORE_MMAP_SAME)
		map->fd_offset = map->offset;
	*offset = map->offset;
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

/* With ctx->lock held */
static struct core_mmap **find_mmap(struct core_ctx *ctx, uint64_t offset)
{
	struct core_mmap **link = &ctx->mmaps;

	while (*link && (*link)->offset != offset)
		link = &(*link)->next;
	return link;
}

void core_mmap_remove(struct core_viommu *viommu, uint64_t offset)
{
	struct core_viommu_object *owner = viommu->core;
	struct core_ctx *ctx = owner->obj.ctx;
	struct core_mmap **link;
	struct core_mmap *map;

	pthread_mutex_lock(&ctx->lock);
	link = find_mmap(ctx, offset);
	map = *link;
	if (map)
		*link = map->next;
	pthread_mutex_unlock(&ctx->lock);
	free(map);
}

int core_mmap_get(struct core_ctx *ctx, uint64_t offset, uint64_t length,
		  int *fd, uint64_t *fd_offset)
{
	struct core_mmap *map;
	int rc = -ENXIO;

	pthread_mutex_lock(&ctx->lock);
	map = *find_mmap(ctx, offset);
	if (map && map->length == length && core_try_use(&map->owner->obj)) {
		map->users++;
		*fd = map->fd;
		*fd_offset = map->fd_offset;
		rc = 0;
	}
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

void core_mmap_put(struct core_ctx *ctx, uint64_t offset)
{
	struct core_mmap *map;

	pthread_mutex_lock(&ctx->lock);
	map = *find_mmap(ctx, offset);
	if (map && map->users) {
		map->users--;
		core_put(&map->owner->obj);
	}
	pthread_mutex_unlock(&ctx->lock);
}

/* The context is closing: what is still mapped holds nobody any more. */
void mmap_put_all(struct core_ctx *ctx)
{
	for (struct core_mmap *map = ctx->mmaps; map; map = map->next) {
		for (; map->users; map->users--)
			core_put(&map->owner->obj);
	}
}
