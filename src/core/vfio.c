// SPDX-License-Identifier: MIT
/*
 * The calls of VFIO's type-1 containers, on the IOAS that IOMMU_VFIO_IOAS has
 * set (-ENODEV without). Their structs have rules of their own: argsz says
 * what the client knows, and the answer may be positive.
 */
#include <errno.h>

#include <linux/vfio.h>

#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

#define END_OF(type, member) \
	(offsetof(type, member) + sizeof(((type *)NULL)->member))

static int get_ioas(struct core_ctx *ctx, struct core_ioas **ioas)
{
	int rc = -ENODEV;

	pthread_mutex_lock(&ctx->lock);
	if (ctx->vfio_ioas && core_try_use(&ctx->vfio_ioas->obj)) {
		*ioas = ctx->vfio_ioas;
		rc = 0;
	}
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

/* Only a domain that makes all DMA coherent may say so, and none does. */
static int coherent(struct core_ctx *ctx)
{
	struct core_ioas *ioas;
	int rc = get_ioas(ctx, &ioas);

	if (rc)
		return rc;
	pthread_mutex_lock(&ioas->lock);
	rc = !ioas->hwpts;
	pthread_mutex_unlock(&ioas->lock);
	core_put(&ioas->obj);
	return rc;
}

static int check_extension(struct core_ctx *ctx, uint64_t type)
{
	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return coherent(ctx);
	default:
		return 0;
	}
}

/* The older type may unmap parts of mappings: large leaves would be in the way
 */
static int set_iommu(struct core_ctx *ctx, uint64_t type)
{
	struct core_ioas *ioas;
	int rc;

	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	rc = get_ioas(ctx, &ioas);
	if (rc)
		return rc;
	if (type == VFIO_TYPE1_IOMMU) {
		pthread_mutex_lock(&ioas->lock);
		rc = ioas_set_large_pages(ioas, false);
		pthread_mutex_unlock(&ioas->lock);
	}
	core_put(&ioas->obj);
	return rc;
}

static uint64_t page_sizes(const struct core_ioas *ioas)
{
	const struct core_hwpt *hwpt = ioas->hwpts;
	uint64_t sizes = UINT64_MAX;

	for (; hwpt; hwpt = hwpt->next)
		sizes &= hwpt->domain->geometry.page_sizes;
	/* Whoever can map less than a page can map a page. */
	if (sizes & (CORE_PAGE_SIZE - 1))
		sizes = (sizes & ~(CORE_PAGE_SIZE - 1)) | CORE_PAGE_SIZE;
	return sizes > ioas->alignment ? sizes : ioas->alignment;
}

/* A capability on its way to the client, if there is room for it */
struct cap {
	uint64_t uptr;
	uint64_t room;
	uint32_t ranges;
};

static uint64_t ranges_size(uint32_t ranges)
{
	return sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
	       (uint64_t)ranges * sizeof(struct vfio_iova_range);
}

static int put_range(void *ctx, uint64_t first, uint64_t last)
{
	struct cap *cap = ctx;
	struct vfio_iova_range range = { .start = first, .end = last };
	uint64_t at = cap->uptr + ranges_size(cap->ranges++);

	if (cap->room < ranges_size(cap->ranges))
		return 0;
	return core_copy_out(at, &range, sizeof(range));
}

static int put_iova_ranges(struct core_ioas *ioas, struct cap *cap,
			   uint64_t *size)
{
	struct vfio_iommu_type1_info_cap_iova_range head = {
		.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
		.header.version = 1,
	};
	int rc = ioas_for_each_free(ioas, put_range, cap);

	if (rc)
		return rc;
	head.nr_iovas = cap->ranges;
	*size = ranges_size(cap->ranges);
	return cap->room < *size
		       ? 0
		       : core_copy_out(cap->uptr, &head, sizeof(head));
}

static int put_dma_avail(struct core_ioas *ioas, struct cap *cap,
			 uint64_t *size)
{
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
		.header.version = 1,
		.avail = UINT32_MAX, /* no limit but memory */
	};

	(void)ioas;
	*size = sizeof(avail);
	return cap->room < *size
		       ? 0
		       : core_copy_out(cap->uptr, &avail, sizeof(avail));
}

/* With ioas->lock held. Each capability tells where the next one is. */
static int put_caps(struct core_ioas *ioas, uint64_t uptr, uint32_t argsz,
		    uint32_t *total)
{
	static int (*const put[])(struct core_ioas * ioas, struct cap * cap,
				  uint64_t * size) = {
		put_dma_avail,
		put_iova_ranges,
	};
	uint64_t at = sizeof(struct vfio_iommu_type1_info);
	uint64_t link = 0;

	for (size_t i = 0; i < ARRAY_SIZE(put); i++) {
		struct cap cap = { .uptr = uptr + at };
		uint32_t next = (uint32_t)at;
		uint64_t size = 0;
		int rc;

		cap.room = argsz > at ? argsz - at : 0;
		rc = put[i](ioas, &cap, &size);
		if (!rc && link && argsz >= at)
			rc = core_copy_out(uptr + link, &next, sizeof(next));
		if (rc)
			return rc;
		link = at + offsetof(struct vfio_info_cap_header, next);
		at += (size + 7) & ~7ULL;
	}
	*total = (uint32_t)at;
	return 0;
}

static int get_info(struct core_ctx *ctx, uint64_t uptr)
{
	size_t size = END_OF(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { 0 };
	struct core_ioas *ioas;
	uint32_t total = 0;
	int rc;

	if (core_copy_in(&info, uptr, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	size = info.argsz < sizeof(info) ? info.argsz : sizeof(info);
	rc = get_ioas(ctx, &ioas);
	if (rc)
		return rc;

	pthread_mutex_lock(&ioas->lock);
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = page_sizes(ioas);
	rc = put_caps(ioas, uptr, info.argsz, &total);
	pthread_mutex_unlock(&ioas->lock);
	if (!rc) {
		/* Without room for all of them there are none */
		info.cap_offset = info.argsz >= total ? sizeof(info) : 0;
		info.argsz = total;
		rc = core_copy_out(uptr, &info, size);
	}
	core_put(&ioas->obj);
	return rc;
}

static int map_dma(struct core_ctx *ctx, uint64_t uptr)
{
	size_t size = END_OF(struct vfio_iommu_type1_dma_map, size);
	uint32_t flags = IOMMU_IOAS_MAP_FIXED_IOVA;
	struct vfio_iommu_type1_dma_map map;
	struct core_ioas *ioas;
	uint64_t iova;
	int rc;

	if (core_copy_in(&map, uptr, size))
		return -EFAULT;
	if (map.argsz < size ||
	    (map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)))
		return -EINVAL;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		flags |= IOMMU_IOAS_MAP_READABLE;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		flags |= IOMMU_IOAS_MAP_WRITEABLE;
	rc = get_ioas(ctx, &ioas);
	if (rc)
		return rc;
	iova = map.iova;
	rc = ioas_map_user(ioas, map.vaddr, map.size, flags, &iova);
	core_put(&ioas->obj);
	return rc;
}

/* With ioas->lock held: cuts areas where the range begins and ends */
static int cut(struct core_ioas *ioas, uint64_t iova, uint64_t size)
{
	int rc;

	if (!ioas->no_large_pages)
		return 0;
	rc = ioas_split(ioas, iova + size - 1);
	if (!rc && iova)
		rc = ioas_split(ioas, iova - 1);
	return rc;
}

static int unmap_range(struct core_ioas *ioas, uint64_t iova, uint64_t length,
		       uint64_t *unmapped, struct core_garbage *garbage)
{
	uint64_t last;
	int rc = range_last(iova, length, &last);

	return rc ? rc : ioas_unmap_range(ioas, iova, last, unmapped, garbage);
}

static int unmap_ioas(struct core_ioas *ioas, uint64_t uptr,
		      struct vfio_iommu_type1_dma_unmap *unmap, size_t size)
{
	struct core_garbage garbage = { 0 };
	uint64_t unmapped = 0;
	bool cannot_cut;
	int rc;

	pthread_mutex_lock(&ioas->lock);
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		cannot_cut = unmap->iova || unmap->size;
		rc = cannot_cut ? -EINVAL
				: ioas_unmap_range(ioas, 0, UINT64_MAX,
						   &unmapped, &garbage);
	} else {
		rc = cut(ioas, unmap->iova, unmap->size);
		cannot_cut = rc;
		if (!rc)
			rc = unmap_range(ioas, unmap->iova, unmap->size,
					 &unmapped, &garbage);
	}
	pthread_mutex_unlock(&ioas->lock);
	garbage_free(&ioas->obj.ctx->env, &garbage);
	if (cannot_cut)
		return rc;
	unmap->size = unmapped; /* also if it is not all */
	return core_copy_out(uptr, unmap, size) ? -EFAULT : rc;
}

static int unmap_dma(struct core_ctx *ctx, uint64_t uptr)
{
	size_t size = END_OF(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct core_ioas *ioas;
	int rc;

	if (core_copy_in(&unmap, uptr, size))
		return -EFAULT;
	if (unmap.argsz < size || (unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL))
		return -EINVAL;
	rc = get_ioas(ctx, &ioas);
	if (rc)
		return rc;
	rc = unmap_ioas(ioas, uptr, &unmap, size);
	core_put(&ioas->obj);
	return rc;
}

int vfio_ioctl(struct core_ctx *ctx, unsigned int cmd, void *arg)
{
	uint64_t uptr = (uintptr_t)arg;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ctx, uptr);
	case VFIO_SET_IOMMU:
		return set_iommu(ctx, uptr);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ctx, uptr);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, uptr);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, uptr);
	default:
		return -ENOTTY;
	}
}
