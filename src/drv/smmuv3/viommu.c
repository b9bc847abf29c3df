// SPDX-License-Identifier: MIT
/*
 * A guest's slice of the SMMU: a VMID of its own over a nest parent, nested
 * domains that carry its STEs, vSIDs. Invalidations are in inval.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"

/* ---- nested domains ---- */

static void nested_free(struct core_domain *core)
{
	free(to_nested(core));
}

static int nested_attach(struct core_domain *core, struct core_device *dev,
			 uint32_t pasid)
{
	struct nested *n = to_nested(core);

	if (dev->iommu != &n->viommu->unit->host.core)
		return -EINVAL;
	/* PASIDs are the guest's own, in its CD table */
	if (pasid != CORE_NO_PASID)
		return -EOPNOTSUPP;
	return master_attach_nested(n, dev->drv);
}

static const struct core_domain_ops nested_ops = {
	.free = nested_free,
	.attach = nested_attach,
};

static int nested_alloc(struct core_viommu *core, uint32_t flags,
			const struct core_user_data *data,
			struct core_domain **out)
{
	struct viommu *v = to_viommu(core);
	struct iommu_hwpt_arm_smmuv3 arg;
	uint64_t ste[2];
	struct nested *n;
	int rc;

	if (flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID)
		return -EOPNOTSUPP;
	rc = core_copy_user_data(data, IOMMU_HWPT_DATA_ARM_SMMUV3, sizeof(arg),
				 &arg, sizeof(arg));
	if (rc)
		return rc;
	n = alloc_zero(sizeof(*n));
	if (!n)
		return -ENOMEM;
	ste[0] = le64toh(arg.ste[0]);
	ste[1] = le64toh(arg.ste[1]);
	rc = nested_set_ste(n, ste);
	if (rc) {
		free(n);
		return rc;
	}
	n->core.ops = &nested_ops;
	n->core.iommu = &v->unit->host.core;
	n->core.nested = true;
	n->viommu = v;
	*out = &n->core;
	return 0;
}

/* ---- vDEVICEs ---- */

/* Index of the first vDEVICE whose id is not below @virt_id */
static size_t vdev_index(const struct viommu *v, uint64_t virt_id)
{
	size_t start = 0;
	size_t end = v->vdevs_n;

	while (start < end) {
		size_t mid = start + (end - start) / 2;

		if (v->vdevs[mid].virt_id < virt_id)
			start = mid + 1;
		else
			end = mid;
	}
	return start;
}

static int vdev_insert(struct viommu *v, const struct vdev *vdev)
{
	size_t at = vdev_index(v, vdev->virt_id);
	struct vdev *grown;

	if (at < v->vdevs_n && v->vdevs[at].virt_id == vdev->virt_id)
		return -EEXIST;
	grown = alloc_grow(v->vdevs, v->vdevs_n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	v->vdevs = grown;
	memmove(&grown[at + 1], &grown[at], (v->vdevs_n - at) * sizeof(*grown));
	grown[at] = *vdev;
	v->vdevs_n++;
	return 0;
}

static int vdevice_add(struct core_viommu *core, struct core_vdevice *vdevice)
{
	struct viommu *v = to_viommu(core);
	struct core_device *dev = vdevice->dev;
	struct vdev vdev = {
		.virt_id = vdevice->virt_id,
		.dev = dev,
		.sid = dev->stream_id,
		.ats = dev->ats && v->unit->feat.ats,
	};
	int rc;

	if (dev->iommu != &v->unit->host.core)
		return -EINVAL;
	pthread_rwlock_wrlock(&v->lock);
	rc = vdev_insert(v, &vdev);
	pthread_rwlock_unlock(&v->lock);
	return rc;
}

static void vdevice_remove(struct core_viommu *core,
			   struct core_vdevice *vdevice)
{
	struct viommu *v = to_viommu(core);
	size_t at;

	pthread_rwlock_wrlock(&v->lock);
	at = vdev_index(v, vdevice->virt_id);
	if (at < v->vdevs_n && v->vdevs[at].virt_id == vdevice->virt_id) {
		v->vdevs_n--;
		memmove(&v->vdevs[at], &v->vdevs[at + 1],
			(v->vdevs_n - at) * sizeof(v->vdevs[0]));
	}
	pthread_rwlock_unlock(&v->lock);
}

/* ---- the vIOMMU ---- */

static bool viommu_inval_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type == IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
}

/*
 * As Linux: a queue of any kind can be made, and those of other kinds stay
 * empty for ever.
 */
static bool viommu_veventq_type(struct core_viommu *core, uint32_t type)
{
	(void)core;
	return type != IOMMU_VEVENTQ_TYPE_DEFAULT;
}

static void viommu_free(struct core_viommu *core)
{
	struct viommu *v = to_viommu(core);
	struct unit *u = v->unit;
	struct hostinv h;

	pthread_mutex_lock(&u->cfg_lock);
	link_del(&v->link);
	pthread_mutex_unlock(&u->cfg_lock);
	hostinv_init(&h, u);
	hostinv_vmid_all(&h, v->vmid);
	hostinv_finish(&h);
	hostids_put(&u->vmids, v->vmid);
	pthread_rwlock_destroy(&v->lock);
	free(v->vdevs);
	free(v);
}

static const struct core_viommu_ops viommu_ops = {
	.free = viommu_free,
	.nested_alloc = nested_alloc,
	.invalidate = viommu_invalidate,
	.inval_type = viommu_inval_type,
	.vdevice_add = vdevice_add,
	.vdevice_remove = vdevice_remove,
	.veventq_type = viommu_veventq_type,
};

int viommu_alloc(struct core_device *dev, struct core_domain *parent,
		 uint32_t type, const struct core_user_data *data,
		 struct core_viommu **out)
{
	struct unit *u = to_unit(dev->iommu);
	struct domain *d = to_domain(parent);
	struct viommu *v;
	int rc;

	(void)data; /* none is defined for this type; Linux looks at none */
	if (type != IOMMU_VIOMMU_TYPE_ARM_SMMUV3 || !u->feat.nesting)
		return -EOPNOTSUPP;
	if (parent->iommu != &u->host.core || parent->nested || !d->nest_parent)
		return -EINVAL;
	if (cmdq_is_dead(&u->cmdq))
		return -EIO;
	v = alloc_zero(sizeof(*v));
	if (!v)
		return -ENOMEM;
	rc = hostids_get(&u->vmids, &v->vmid);
	if (rc) {
		free(v);
		return rc;
	}
	v->core.ops = &viommu_ops;
	v->core.iommu = &u->host.core;
	v->core.parent = parent;
	v->unit = u;
	v->parent = d;
	link_init(&v->masters);
	pthread_rwlock_init(&v->lock, NULL);
	pthread_mutex_lock(&u->cfg_lock);
	link_add(&d->viommus, &v->link);
	pthread_mutex_unlock(&u->cfg_lock);
	*out = &v->core;
	return 0;
}
