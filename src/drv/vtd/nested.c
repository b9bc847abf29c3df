// SPDX-License-Identifier: MIT
/*
 * Nested domains: a guest's first-stage table over a nest parent. What hardware
 * cannot do is found out when one is attached, as on Linux, which may be behind
 * another unit than it was made for.
 */
#include <errno.h>
#include <stdlib.h>

#include "drv/vtd/unit.h"

#define WIDTH_4_LEVEL 48
#define WIDTH_5_LEVEL 57

int vtd_nested_fits(const struct nested *n, const struct core_device *dev)
{
	const struct features *f = &to_unit(dev->iommu)->feat;

	if (n->s1.addr_width != WIDTH_4_LEVEL &&
	    !(n->s1.addr_width == WIDTH_5_LEVEL && f->first5))
		return -EINVAL;
	if (((n->s1.flags & IOMMU_VTD_S1_SRE) && !f->srs) ||
	    ((n->s1.flags & IOMMU_VTD_S1_EAFE) && !f->eafs))
		return -EINVAL;
	/* 6.2.3.1: host software refuses what hardware calls a fault */
	if (n->s1.pgtbl_addr & ~low_mask(to_unit(dev->iommu)->cfg.haw))
		return -EINVAL;
	return 0;
}

static int nested_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct nested *n = to_nested(core);

	if (vtd_unit_is_ours(dev->iommu) && to_unit(dev->iommu)->feat.eager)
		__atomic_store_n(&n->parent->eager, true, __ATOMIC_RELAXED);
	return vtd_layer_attach(&n->layer, dev, pasid);
}

static void nested_free(struct core_domain *core)
{
	struct nested *n = to_nested(core);

	pthread_rwlock_wrlock(&n->parent->layer.lock);
	link_del(&n->link);
	pthread_rwlock_unlock(&n->parent->layer.lock);
	vtd_layer_fini(&n->layer);
	free(n);
}

static bool nested_inval_type(struct core_domain *core, uint32_t type)
{
	(void)core;
	return type == IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
}

const struct core_domain_ops vtd_nested_ops = {
	.free = nested_free,
	.attach = nested_attach,
	.invalidate = vtd_nested_invalidate,
	.inval_type = nested_inval_type,
};

static int check(const struct core_device *dev,
		 const struct core_domain *parent, uint32_t flags,
		 const struct core_user_data *data)
{
	uint32_t known = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID;

	if (!to_unit(dev->iommu)->feat.nested || (flags & ~known) ||
	    data->type != IOMMU_HWPT_DATA_VTD_S1)
		return -EOPNOTSUPP;
	if (!vtd_unit_is_ours(parent->iommu) || parent->nested ||
	    !to_domain((struct core_domain *)parent)->nest_parent)
		return -EINVAL;
	return 0;
}

int vtd_nested_alloc(struct core_device *dev, struct core_domain *parent,
		     uint32_t flags, const struct core_user_data *data,
		     struct core_domain **out)
{
	struct iommu_hwpt_vtd_s1 s1;
	struct nested *n;
	int rc;

	rc = check(dev, parent, flags, data);
	if (!rc)
		rc = core_copy_user_data(data, IOMMU_HWPT_DATA_VTD_S1,
					 sizeof(s1), &s1, sizeof(s1));
	if (rc)
		return rc;
	n = hostmem_object(sizeof(*n));
	if (!n)
		return -ENOMEM;
	vtd_layer_init(&n->layer, &vtd_nested_ops);
	n->layer.core.iommu = dev->iommu;
	n->layer.core.nested = true;
	n->parent = to_domain(parent);
	n->s1 = s1;
	pthread_rwlock_wrlock(&n->parent->layer.lock);
	link_add(&n->parent->nested, &n->link);
	pthread_rwlock_unlock(&n->parent->layer.lock);
	*out = &n->layer.core;
	return 0;
}
