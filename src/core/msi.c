// SPDX-License-Identifier: MIT
/*
 * MSI doorbells of platforms that translate interrupts like any other write:
 * pages of a reserved window map to them. One doorbell has one IOVA in the
 * whole context, and is mapped in a domain once a device that needs it is
 * attached there.
 */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"

/* ctx->msi's index of the page, made if need be */
static int msi_index(struct core_ctx *ctx, const uint64_t window[2],
		     uint64_t pa)
{
	uint64_t pages = 0;
	int index;

	pthread_mutex_lock(&ctx->lock);
	for (index = 0; index < (int)ctx->msi_count; index++) {
		if (ctx->msi[index].window != window[0])
			continue;
		if (ctx->msi[index].pa == pa)
			goto unlock;
		pages++;
	}
	if (index == CORE_MSI_MAX ||
	    (window[1] - window[0]) / CORE_PAGE_SIZE < pages) {
		index = -EOVERFLOW;
		goto unlock;
	}
	ctx->msi[index] = (struct core_msi){
		.pa = pa,
		.iova = window[0] + pages * CORE_PAGE_SIZE,
		.window = window[0],
	};
	ctx->msi_count++;
unlock:
	pthread_mutex_unlock(&ctx->lock);
	return index;
}

static struct core_msi msi_get(struct core_ctx *ctx, int index)
{
	struct core_msi msi;

	pthread_mutex_lock(&ctx->lock);
	msi = ctx->msi[index];
	pthread_mutex_unlock(&ctx->lock);
	return msi;
}

static int install_one(struct core_hwpt *paging, int index)
{
	struct core_msi msi = msi_get(paging->obj.ctx, index);
	struct core_ioas *ioas = paging->ioas;
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	if (!(paging->msi_present & BIT_ULL(index))) {
		rc = paging->domain->ops->map(
			paging->domain, msi.iova, msi.pa, CORE_PAGE_SIZE,
			CORE_PROT_READ | CORE_PROT_WRITE | CORE_PROT_MMIO);
		if (!rc)
			paging->msi_present |= BIT_ULL(index);
	}
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

int msi_install(struct core_dev *dev, struct core_hwpt *paging)
{
	int rc = 0;

	for (int i = 0; i < CORE_MSI_MAX && !rc; i++) {
		if (dev->msi_required & BIT_ULL(i))
			rc = install_one(paging, i);
	}
	return rc;
}

/* With dev->lock held */
static int msi_map(struct core_dev *dev, uint64_t doorbell, uint64_t *iova)
{
	uint64_t offset = doorbell % CORE_PAGE_SIZE;
	struct itree_node *node = itree_first(&dev->attached, 0, 0);
	struct core_attach *attach;
	int index;
	int rc;

	if (!node)
		return -EINVAL; /* not attached: no domain to map it in */
	if (dev->msi_window[0] > dev->msi_window[1])
		return -EOPNOTSUPP;
	attach = container_of(node, struct core_attach, node);
	index = msi_index(dev->obj.ctx, dev->msi_window, doorbell - offset);
	if (index < 0)
		return index;
	rc = install_one(hwpt_paging(attach->hwpt), index);
	if (rc)
		return rc;
	dev->msi_required |= BIT_ULL(index);
	*iova = msi_get(dev->obj.ctx, index).iova + offset;
	return 0;
}

int core_msi_map(struct core_ctx *ctx, uint32_t dev_id, uint64_t doorbell,
		 uint64_t *iova)
{
	struct core_dev *dev;
	int rc = core_get(ctx, dev_id, CORE_DEVICE, &dev);

	if (rc)
		return rc;
	pthread_mutex_lock(&dev->lock);
	rc = msi_map(dev, doorbell, iova);
	pthread_mutex_unlock(&dev->lock);
	core_put(&dev->obj);
	return rc;
}
