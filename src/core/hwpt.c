// SPDX-License-Identifier: MIT
/*
 * Hardware page tables: paging ones, which hold an IOAS's mappings, and nested
 * ones, which hold a guest's table over a paging one.
 */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"

#define PAGING_FLAGS                                                      \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | \
	 IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)
#define NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static int check_paging_flags(struct core_device *dev, uint32_t flags)
{
	uint8_t pasid_lg2;

	if (flags & ~PAGING_FLAGS)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !(dev->iommu->ops->capabilities(dev, &pasid_lg2) &
	      IOMMU_HW_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) &&
	    (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return -EOPNOTSUPP;
	return 0;
}

static void put_fault(struct core_hwpt *hwpt)
{
	if (hwpt->fault)
		core_put(&hwpt->fault->base.obj);
}

/* With ioas->hwpt_lock held; the result is not published yet. */
int hwpt_paging_new(struct core_ctx *ctx, struct core_ioas *ioas,
		    struct core_dev *dev, uint32_t flags,
		    const struct core_user_data *data, struct core_hwpt **out)
{
	struct core_iommu *iommu = dev->dev->iommu;
	struct core_hwpt *hwpt;
	int rc;

	if (data && !iommu->ops->domain_alloc_data)
		return -EOPNOTSUPP;
	rc = check_paging_flags(dev->dev, flags);
	if (rc)
		return rc;
	rc = core_object_new(ctx, CORE_HWPT_PAGING, &hwpt);
	if (rc)
		return rc;
	hwpt->ioas = ioas;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	flags &= ~IOMMU_HWPT_FAULT_ID_VALID;
	rc = data ? iommu->ops->domain_alloc_data(dev->dev, flags, data,
						  &hwpt->domain)
		  : iommu->ops->domain_alloc(dev->dev, flags, &hwpt->domain);
	if (rc)
		goto abort;
	hwpt->domain->iommu = iommu;

	pthread_mutex_lock(&ioas->lock);
	rc = ioas_add_domain(ioas, hwpt);
	pthread_mutex_unlock(&ioas->lock);
	if (rc)
		goto free_domain;
	core_use(&ioas->obj);
	*out = hwpt;
	return 0;

free_domain:
	hwpt->domain->ops->free(hwpt->domain);
abort:
	core_object_abort(&hwpt->obj);
	return rc;
}

/* With hwpt_lock held */
static void paging_end(struct core_hwpt *hwpt)
{
	struct core_ioas *ioas = hwpt->ioas;
	struct core_garbage garbage = { 0 };

	pthread_mutex_lock(&ioas->lock);
	ioas_remove_domain(ioas, hwpt, &garbage);
	pthread_mutex_unlock(&ioas->lock);
	hwpt->domain->ops->free(hwpt->domain);
	put_fault(hwpt);
	garbage_free(&ioas->obj.ctx->env, &garbage);
}

void hwpt_paging_destroy(struct core_object *obj)
{
	struct core_hwpt *hwpt = container_of(obj, struct core_hwpt, obj);
	struct core_ioas *ioas = hwpt->ioas;

	pthread_mutex_lock(&ioas->hwpt_lock);
	paging_end(hwpt);
	pthread_mutex_unlock(&ioas->hwpt_lock);
	core_put(&ioas->obj);
}

void hwpt_nested_destroy(struct core_object *obj)
{
	struct core_hwpt *hwpt = container_of(obj, struct core_hwpt, obj);

	hwpt->domain->ops->free(hwpt->domain);
	put_fault(hwpt);
	core_put(hwpt->viommu ? &hwpt->viommu->obj : &hwpt->parent->obj);
}

/* A driver must be able to forget what its nested domains cache. */
static bool can_invalidate(const struct core_hwpt *hwpt)
{
	return hwpt->domain->ops->invalidate ||
	       (hwpt->viommu && hwpt->viommu->drv->ops->invalidate);
}

/* The part that is common to both kinds of nested HWPT: @hwpt is complete. */
static int nested_finish(struct core_hwpt *hwpt, struct core_iommu *iommu,
			 struct core_hwpt **out)
{
	hwpt->domain->iommu = iommu;
	hwpt->domain->nested = true;
	if (!can_invalidate(hwpt)) {
		hwpt->domain->ops->free(hwpt->domain);
		core_object_abort(&hwpt->obj);
		return -EOPNOTSUPP;
	}
	core_use(hwpt->viommu ? &hwpt->viommu->obj : &hwpt->parent->obj);
	*out = hwpt;
	return 0;
}

static int nested_on_parent(struct core_ctx *ctx, struct core_hwpt *parent,
			    struct core_dev *dev, uint32_t flags,
			    const struct core_user_data *data,
			    struct core_hwpt **out)
{
	const struct core_iommu_ops *ops = dev->dev->iommu->ops;
	struct core_hwpt *hwpt;
	int rc;

	if ((flags & ~NESTED_FLAGS) || !data->len || !ops->nested_alloc)
		return -EOPNOTSUPP;
	if (parent->auto_domain || !parent->nest_parent ||
	    parent->domain->iommu->ops != ops)
		return -EINVAL;
	rc = core_object_new(ctx, CORE_HWPT_NESTED, &hwpt);
	if (rc)
		return rc;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->parent = parent;
	rc = ops->nested_alloc(dev->dev, parent->domain,
			       flags & ~IOMMU_HWPT_FAULT_ID_VALID, data,
			       &hwpt->domain);
	if (rc) {
		core_object_abort(&hwpt->obj);
		return rc;
	}
	return nested_finish(hwpt, dev->dev->iommu, out);
}

static int nested_on_viommu(struct core_ctx *ctx,
			    struct core_viommu_object *viommu,
			    struct core_dev *dev, uint32_t flags,
			    const struct core_user_data *data,
			    struct core_hwpt **out)
{
	const struct core_viommu_ops *ops = viommu->drv->ops;
	struct core_hwpt *hwpt;
	int rc;

	if (viommu->drv->iommu != dev->dev->iommu)
		return -EINVAL;
	if ((flags & ~NESTED_FLAGS) || !data->len || !ops->nested_alloc)
		return -EOPNOTSUPP;
	rc = core_object_new(ctx, CORE_HWPT_NESTED, &hwpt);
	if (rc)
		return rc;
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->viommu = viommu;
	hwpt->parent = viommu->parent;
	rc = ops->nested_alloc(viommu->drv, flags & ~IOMMU_HWPT_FAULT_ID_VALID,
			       data, &hwpt->domain);
	if (rc) {
		core_object_abort(&hwpt->obj);
		return rc;
	}
	return nested_finish(hwpt, dev->dev->iommu, out);
}

/* Dispatches on what pt_id names. *@ioas: whose hwpt_lock is now held */
static int alloc_on(struct core_call *call, struct core_object *pt,
		    struct core_dev *dev, struct core_ioas **ioas,
		    struct core_hwpt **out)
{
	const struct iommu_hwpt_alloc *arg = call->arg;
	const struct core_user_data data = {
		.type = arg->data_type,
		.len = arg->data_len,
		.uptr = arg->data_uptr,
	};

	switch (pt->type) {
	case CORE_IOAS:
		*ioas = container_of(pt, struct core_ioas, obj);
		pthread_mutex_lock(&(*ioas)->hwpt_lock);
		return hwpt_paging_new(call->ctx, *ioas, dev, arg->flags,
				       data.len ? &data : NULL, out);
	case CORE_HWPT_PAGING:
		return nested_on_parent(call->ctx,
					container_of(pt, struct core_hwpt, obj),
					dev, arg->flags, &data, out);
	case CORE_VIOMMU:
		return nested_on_viommu(
			call->ctx,
			container_of(pt, struct core_viommu_object, obj), dev,
			arg->flags, &data, out);
	default:
		return -EINVAL;
	}
}

/* Undoes an allocation that has not been published */
static void discard(struct core_hwpt *hwpt)
{
	if (hwpt->obj.type == CORE_HWPT_PAGING) {
		paging_end(hwpt); /* alloc_on() has taken hwpt_lock */
		core_put(&hwpt->ioas->obj);
	} else {
		hwpt_nested_destroy(&hwpt->obj);
	}
	core_object_abort(&hwpt->obj);
}

static int finish_alloc(struct core_call *call, struct core_hwpt *hwpt)
{
	struct iommu_hwpt_alloc *arg = call->arg;
	int rc;

	if (arg->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		rc = core_get(call->ctx, arg->fault_id, CORE_FAULT,
			      &hwpt->fault);
		if (rc)
			return rc;
		hwpt->domain->page_requests = true;
	}
	arg->out_hwpt_id = hwpt->obj.id;
	rc = core_reply(call, sizeof(*arg));
	if (!rc)
		core_object_publish(&hwpt->obj);
	return rc;
}

int hwpt_ioctl_alloc(struct core_call *call)
{
	struct iommu_hwpt_alloc *arg = call->arg;
	struct core_ioas *ioas = NULL;
	struct core_hwpt *hwpt = NULL;
	struct core_object *pt;
	struct core_dev *dev;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	if ((arg->data_type == IOMMU_HWPT_DATA_NONE) != !arg->data_len)
		return -EINVAL;
	rc = core_get(call->ctx, arg->dev_id, CORE_DEVICE, &dev);
	if (rc)
		return rc;
	rc = core_get(call->ctx, arg->pt_id, CORE_ANY, &pt);
	if (rc) {
		rc = -EINVAL; /* unlike everywhere else */
		goto put_dev;
	}
	rc = alloc_on(call, pt, dev, &ioas, &hwpt);
	if (!rc) {
		rc = finish_alloc(call, hwpt);
		if (rc)
			discard(hwpt);
	}
	if (ioas)
		pthread_mutex_unlock(&ioas->hwpt_lock);
	core_put(pt);
put_dev:
	core_put(&dev->obj);
	return rc;
}
