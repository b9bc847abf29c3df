// SPDX-License-Identifier: MIT
/* Virtual IOMMUs and the devices a guest sees behind them. */
#include <errno.h>

#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"
#include "nestfd/ext.h"

/* A driver must be able to forget what its nested domains cache. */
static bool viommu_ok(const struct core_viommu *viommu)
{
	const struct core_viommu_ops *ops = viommu->ops;

	return ops && ops->free && (!ops->nested_alloc || ops->invalidate);
}

static int viommu_new(struct core_call *call, struct core_dev *dev,
		      struct core_hwpt *parent, struct core_viommu_object **out)
{
	const struct iommu_viommu_alloc *arg = call->arg;
	const struct core_user_data data = {
		.type = arg->type,
		.len = arg->data_len,
		.uptr = arg->data_uptr,
	};
	struct core_iommu *iommu = dev->dev->iommu;
	struct core_viommu_object *viommu;
	int rc;

	rc = core_object_new(call->ctx, CORE_VIOMMU, &viommu);
	if (rc)
		return rc;
	pthread_mutex_init(&viommu->lock, NULL);
	viommu->parent = parent;
	rc = iommu->ops->viommu_alloc(dev->dev, parent->domain, arg->type,
				      data.len ? &data : NULL, &viommu->drv);
	if (rc)
		goto abort;
	if (!viommu_ok(viommu->drv)) {
		if (viommu->drv->ops && viommu->drv->ops->free)
			viommu->drv->ops->free(viommu->drv);
		rc = -EOPNOTSUPP;
		goto abort;
	}
	viommu->drv->iommu = iommu;
	viommu->drv->parent = parent->domain;
	viommu->drv->tell_invalid =
		atomic_load_explicit(&call->ctx->ext, memory_order_relaxed) &
		NESTFD_EXT_INVALID;
	/* Pairs with the acquire in core_viommu_event(). */
	reader_publish(&viommu->drv->core, (void *)viommu);
	rc = viommu->drv->ops->init ? viommu->drv->ops->init(viommu->drv, &data)
				    : 0;
	if (rc) {
		viommu->drv->ops->free(viommu->drv);
		goto abort;
	}
	core_use(&parent->obj);
	*out = viommu;
	return 0;

abort:
	pthread_mutex_destroy(&viommu->lock);
	core_object_abort(&viommu->obj);
	return rc;
}

void viommu_destroy(struct core_object *obj)
{
	struct core_viommu_object *viommu =
		container_of(obj, struct core_viommu_object, obj);

	viommu->drv->ops->free(viommu->drv);
	core_put(&viommu->parent->obj);
	pthread_mutex_destroy(&viommu->lock);
}

static int viommu_alloc(struct core_call *call, struct core_dev *dev)
{
	struct iommu_viommu_alloc *arg = call->arg;
	const struct core_iommu_ops *ops = dev->dev->iommu->ops;
	struct core_viommu_object *viommu;
	struct core_hwpt *parent;
	int rc;

	if (!ops->viommu_alloc ||
	    (ops->viommu_type && !ops->viommu_type(dev->dev, arg->type)))
		return -EOPNOTSUPP;
	rc = core_get(call->ctx, arg->hwpt_id, CORE_HWPT_PAGING, &parent);
	if (rc)
		return rc;
	rc = parent->nest_parent ? viommu_new(call, dev, parent, &viommu)
				 : -EINVAL;
	if (rc)
		goto put_parent;
	arg->out_viommu_id = viommu->obj.id;
	rc = core_reply(call, sizeof(*arg));
	if (rc) {
		viommu_destroy(&viommu->obj);
		core_object_abort(&viommu->obj);
	} else {
		core_object_publish(&viommu->obj);
	}
put_parent:
	core_put(&parent->obj);
	return rc;
}

int viommu_ioctl_alloc(struct core_call *call)
{
	struct iommu_viommu_alloc *arg = call->arg;
	struct core_dev *dev;
	int rc;

	if (arg->flags || arg->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = core_get(call->ctx, arg->dev_id, CORE_DEVICE, &dev);
	if (rc)
		return rc;
	rc = viommu_alloc(call, dev);
	core_put(&dev->obj);
	return rc;
}

static int reserve_virt_id(struct core_viommu_object *viommu,
			   struct core_vdev *vdev)
{
	int rc = 0;

	pthread_mutex_lock(&viommu->lock);
	if (itree_first(&viommu->vdevs, vdev->node.first, vdev->node.last))
		rc = -EEXIST;
	else
		itree_insert(&viommu->vdevs, &vdev->node);
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

static void release_virt_id(struct core_viommu_object *viommu,
			    struct core_vdev *vdev)
{
	pthread_mutex_lock(&viommu->lock);
	itree_remove(&viommu->vdevs, &vdev->node);
	pthread_mutex_unlock(&viommu->lock);
}

/* With dev->lock held */
void vdevice_end(struct core_vdev *vdev)
{
	struct core_viommu_object *viommu = vdev->viommu;

	if (viommu->drv->ops->vdevice_remove)
		viommu->drv->ops->vdevice_remove(viommu->drv, &vdev->drv);
	release_virt_id(viommu, vdev);
	vdev->dev->vdev = NULL;
	core_put(&viommu->obj);
	core_put(&vdev->dev->obj);
}

void vdevice_destroy(struct core_object *obj)
{
	struct core_vdev *vdev = container_of(obj, struct core_vdev, obj);
	struct core_dev *dev = vdev->dev;

	/* core_unbind() waits for dev->vdev to go, so dev outlives this. */
	pthread_mutex_lock(&dev->lock);
	vdevice_end(vdev);
	pthread_mutex_unlock(&dev->lock);
}

/* With dev->lock held */
static int vdevice_new(struct core_call *call,
		       struct core_viommu_object *viommu, struct core_dev *dev)
{
	struct iommu_vdevice_alloc *arg = call->arg;
	const struct core_viommu_ops *ops = viommu->drv->ops;
	struct core_vdev *vdev;
	int rc;

	rc = core_object_new(call->ctx, CORE_VDEVICE, &vdev);
	if (rc)
		return rc;
	vdev->viommu = viommu;
	vdev->dev = dev;
	vdev->node.first = arg->virt_id;
	vdev->node.last = arg->virt_id;
	vdev->drv = (struct core_vdevice){
		.viommu = viommu->drv,
		.dev = dev->dev,
		.virt_id = arg->virt_id,
	};
	rc = reserve_virt_id(viommu, vdev);
	if (rc)
		goto abort;
	if (ops->vdevice_add) {
		rc = ops->vdevice_add(viommu->drv, &vdev->drv);
		if (rc)
			goto release_id;
	}
	core_use(&viommu->obj);
	core_use(&dev->obj);
	dev->vdev = vdev;
	arg->out_vdevice_id = vdev->obj.id;
	rc = core_reply(call, sizeof(*arg));
	if (rc) {
		vdevice_end(vdev);
		goto abort;
	}
	core_object_publish(&vdev->obj);
	return 0;

release_id:
	release_virt_id(viommu, vdev);
abort:
	core_object_abort(&vdev->obj);
	return rc;
}

static int vdevice_alloc(struct core_call *call,
			 struct core_viommu_object *viommu,
			 struct core_dev *dev)
{
	int rc;

	if (viommu->drv->iommu != dev->dev->iommu)
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	if (dev->leaving)
		rc = -ENOENT;
	else if (dev->vdev)
		rc = -EEXIST;
	else
		rc = vdevice_new(call, viommu, dev);
	pthread_mutex_unlock(&dev->lock);
	return rc;
}

int vdevice_ioctl_alloc(struct core_call *call)
{
	struct iommu_vdevice_alloc *arg = call->arg;
	struct core_viommu_object *viommu;
	struct core_dev *dev;
	int rc;

	rc = core_get(call->ctx, arg->viommu_id, CORE_VIOMMU, &viommu);
	if (rc)
		return rc;
	rc = core_get(call->ctx, arg->dev_id, CORE_DEVICE, &dev);
	if (!rc) {
		rc = vdevice_alloc(call, viommu, dev);
		core_put(&dev->obj);
	}
	core_put(&viommu->obj);
	return rc;
}
