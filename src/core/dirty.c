// SPDX-License-Identifier: MIT
/*
 * Dirty tracking: the two calls, and the bitmap in the client's memory, one
 * bit for each page of the size the client chose. As on Linux, a bitmap that
 * cannot be written, a hole in what is mapped, or tracking that is off end the
 * work silently: bits that could not be delivered are lost.
 */
#include <errno.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/internal.h"

struct core_dirty {
	uint64_t first;
	uint64_t last;
	unsigned int shift;
	uint64_t uptr;
};

/* Sets bits [@first, @last] of the bitmap at @uptr, byte by byte */
static int set_bits(uint64_t uptr, uint64_t first, uint64_t last)
{
	while (first <= last) {
		unsigned char chunk[256];
		uint64_t start = first / 8;
		uint64_t n = last / 8 - start + 1;

		if (n > sizeof(chunk))
			n = sizeof(chunk);
		if (core_copy_in(chunk, uptr + start, n))
			return -EFAULT;
		for (; first <= last && first / 8 < start + n; first++)
			chunk[first / 8 - start] |= 1U << first % 8;
		if (core_copy_out(uptr + start, chunk, n))
			return -EFAULT;
	}
	return 0;
}

void core_dirty_record(struct core_dirty *dirty, uint64_t iova, uint64_t length)
{
	uint64_t last = iova + length - 1;

	if (!length || last < iova)
		return;
	if (iova < dirty->first)
		iova = dirty->first;
	if (last > dirty->last)
		last = dirty->last;
	if (iova > last)
		return;
	set_bits(dirty->uptr, (iova - dirty->first) >> dirty->shift,
		 (last - dirty->first) >> dirty->shift);
}

static bool is_unmapped(const struct itree_node *node)
{
	return container_of(node, const struct core_area, node)->unmapped;
}

/* With ioas->lock held */
static int forget_all(struct core_hwpt *hwpt)
{
	struct itree_node *node = itree_from(&hwpt->ioas->areas, 0);
	int rc = 0;

	for (; node && !rc; node = itree_succ(node)) {
		if (is_unmapped(node))
			continue;
		rc = hwpt->domain->dirty_ops->read_and_clear_dirty(
			hwpt->domain, node->first, node->last - node->first + 1,
			true, NULL);
	}
	return rc;
}

static int set_tracking(struct core_hwpt *hwpt, bool enable)
{
	const struct core_dirty_ops *ops = hwpt->domain->dirty_ops;
	int rc = 0;

	if (!ops)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&hwpt->ioas->lock);
	if (enable)
		rc = forget_all(hwpt); /* tracking begins with a clean slate */
	if (!rc)
		rc = ops->set_dirty_tracking(hwpt->domain, enable);
	pthread_mutex_unlock(&hwpt->ioas->lock);
	return rc;
}

int hwpt_ioctl_set_dirty_tracking(struct core_call *call)
{
	struct iommu_hwpt_set_dirty_tracking *arg = call->arg;
	struct core_hwpt *hwpt;
	int rc;

	if (arg->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	rc = core_get(call->ctx, arg->hwpt_id, CORE_HWPT_PAGING, &hwpt);
	if (rc)
		return rc;
	rc = set_tracking(hwpt, arg->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
	core_put(&hwpt->obj);
	return rc;
}

static int check_bitmap(const struct iommu_hwpt_get_dirty_bitmap *arg,
			uint64_t alignment)
{
	uint64_t end = arg->iova + arg->length;

	/* An empty bitmap at IOVA 0 is a length of 2^64 to Linux */
	if (arg->length ? end - 1 < arg->iova : arg->iova)
		return -EOVERFLOW;
	if ((arg->iova | end) & (alignment - 1))
		return -EINVAL;
	if (!arg->page_size || ((arg->iova | end) & (arg->page_size - 1)))
		return -EINVAL;
	return 0;
}

/* With ioas->lock held: areas from the first IOVA on, up to a hole */
static void read_areas(struct core_hwpt *hwpt, struct core_dirty *dirty,
		       bool clear)
{
	uint64_t at = dirty->first;
	struct itree_node *node;

	while ((node = itree_first(&hwpt->ioas->areas, at, at))) {
		uint64_t end =
			node->last < dirty->last ? node->last : dirty->last;

		if (!is_unmapped(node) &&
		    hwpt->domain->dirty_ops->read_and_clear_dirty(
			    hwpt->domain, at, end - at + 1, clear, dirty))
			return;
		if (end == dirty->last)
			return;
		at = end + 1;
	}
}

static int get_bitmap(struct core_hwpt *hwpt,
		      const struct iommu_hwpt_get_dirty_bitmap *arg)
{
	struct core_dirty dirty = {
		.first = arg->iova,
		.last = arg->iova + arg->length - 1,
		.uptr = arg->data,
	};
	bool clear = !(arg->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
	int rc = check_bitmap(arg, hwpt->ioas->alignment);

	if (rc)
		return rc;
	if (!hwpt->domain->dirty_ops)
		return -EOPNOTSUPP;
	if (alloc_fault_point())
		return -ENOMEM;
	dirty.shift = (unsigned int)__builtin_ctzll(arg->page_size);
	read_areas(hwpt, &dirty, clear);
	return 0;
}

int hwpt_ioctl_get_dirty_bitmap(struct core_call *call)
{
	struct iommu_hwpt_get_dirty_bitmap *arg = call->arg;
	struct core_hwpt *hwpt;
	int rc;

	if ((arg->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
	    arg->__reserved)
		return -EOPNOTSUPP;
	rc = core_get(call->ctx, arg->hwpt_id, CORE_HWPT_PAGING, &hwpt);
	if (rc)
		return rc;
	pthread_mutex_lock(&hwpt->ioas->lock);
	rc = get_bitmap(hwpt, arg);
	pthread_mutex_unlock(&hwpt->ioas->lock);
	core_put(&hwpt->obj);
	return rc;
}
