// SPDX-License-Identifier: MIT
/* Devices: bound to a context, and what IOMMU_GET_HW_INFO tells about them. */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "base/bits.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "mem/guard.h"

int core_iommu_check(const struct core_iommu *iommu)
{
	const struct core_iommu_ops *ops = iommu->ops;

	if (!ops || !ops->hw_info || !ops->capabilities || !ops->reserved ||
	    !ops->domain_alloc || !ops->block)
		return -EINVAL;
	if (ops->nested_alloc &&
	    (!ops->nested_ops || !ops->nested_ops->invalidate))
		return -EINVAL;
	/* A driver that lists its vIOMMU's operations is checked here too;
	 * the others when they make one. */
	if (ops->viommu_ops && ops->viommu_ops->nested_alloc &&
	    !ops->viommu_ops->invalidate)
		return -EINVAL;
	return 0;
}

/* Claims @dev for one context; the machine's contexts race for it. */
static bool claim_device(struct core_device *dev, struct core_dev *owner)
{
	void *none = NULL;

	return __atomic_compare_exchange_n(&dev->core, &none, owner, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void unclaim_device(struct core_device *dev)
{
	__atomic_store_n(&dev->core, NULL, __ATOMIC_RELEASE);
}

int core_bind(struct core_ctx *ctx, struct core_device *device,
	      uint32_t *dev_id)
{
	const struct core_iommu_ops *ops = device->iommu->ops;
	struct core_dev *dev;
	int rc = core_iommu_check(device->iommu);

	if (rc)
		return rc;
	rc = core_object_new(ctx, CORE_DEVICE, &dev);
	if (rc)
		return rc;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->fault_lock, NULL);
	dev->dev = device;
	dev->msi_window[0] = 1; /* none */
	if (!claim_device(device, dev)) {
		rc = -EBUSY;
		goto abort;
	}
	if (ops->device_add) {
		rc = ops->device_add(device);
		if (rc)
			goto unclaim;
	}
	core_use(&dev->obj); /* until core_unbind() */
	*dev_id = dev->obj.id;
	core_object_publish(&dev->obj);
	return 0;

unclaim:
	unclaim_device(device);
abort:
	pthread_mutex_destroy(&dev->fault_lock);
	pthread_mutex_destroy(&dev->lock);
	core_object_abort(&dev->obj);
	return rc;
}

static void nap(void)
{
	static const struct timespec ts = { .tv_nsec = 20000 };

	nanosleep(&ts, NULL);
}

/*
 * The vDEVICE goes with its device; its id stays taken. It may be on its way
 * out in another thread, which needs dev->lock to finish.
 */
static void end_vdevice(struct core_dev *dev)
{
	bool gone = false;

	while (!gone) {
		struct core_vdev *vdev;

		pthread_mutex_lock(&dev->lock);
		vdev = dev->vdev;
		gone = !vdev;
		if (vdev && core_object_claim(&vdev->obj)) {
			vdevice_end(vdev);
			core_object_free(&vdev->obj);
			gone = true;
		}
		pthread_mutex_unlock(&dev->lock);
		if (!gone)
			nap();
	}
}

/* True for the one caller that may go on to unbind */
static bool begin_leaving(struct core_dev *dev)
{
	bool first;

	pthread_mutex_lock(&dev->lock);
	first = !dev->leaving;
	dev->leaving = true;
	pthread_mutex_unlock(&dev->lock);
	return first;
}

int core_unbind(struct core_ctx *ctx, uint32_t dev_id)
{
	struct core_device *device;
	struct core_dev *dev;
	int rc = core_get(ctx, dev_id, CORE_DEVICE, &dev);

	if (rc)
		return rc;
	if (!begin_leaving(dev)) {
		core_put(&dev->obj);
		return -ENOENT;
	}
	core_detach_all(dev);
	end_vdevice(dev);

	pthread_mutex_lock(&ctx->lock);
	ids_unpublish(&ctx->ids, dev_id);
	pthread_mutex_unlock(&ctx->lock);
	atomic_store_explicit(&dev->gone, true, memory_order_relaxed);
	/* Releases it to whoever adds a user later: get_dev() in fault.c */
	atomic_fetch_add_explicit(&dev->obj.users, 0, memory_order_acq_rel);
	/* The table's user, core_bind()'s and ours; calls in progress end. */
	while (atomic_load_explicit(&dev->obj.users, memory_order_acquire) > 3)
		nap();

	device = dev->dev;
	if (device->iommu->ops->device_remove)
		device->iommu->ops->device_remove(device);
	fault_forget_partial(dev);
	unclaim_device(device);
	pthread_mutex_lock(&ctx->lock);
	ids_remove(&ctx->ids, dev_id);
	ctx->objects--;
	pthread_mutex_unlock(&ctx->lock);
	pthread_mutex_destroy(&dev->fault_lock);
	pthread_mutex_destroy(&dev->lock);
	core_object_free(&dev->obj);
	return 0;
}

/* A bound device always has core_bind()'s user: only core_unbind() ends it. */
void dev_destroy(struct core_object *obj)
{
	(void)obj;
}

static int fill_zero(uint64_t uptr, uint64_t len)
{
	static const unsigned char zeros[256];
	int rc = 0;

	if (!core_foreign())
		return len ? guard_fill((void *)(uintptr_t)uptr, 0, len) : 0;
	while (len && !rc) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		rc = core_copy_out(uptr, zeros, n);
		uptr += n;
		len -= n;
	}
	return rc;
}

static int hw_info(struct core_dev *dev, struct iommu_hw_info *arg)
{
	const struct core_iommu_ops *ops = dev->dev->iommu->ops;
	const void *data = NULL;
	uint32_t out_type = IOMMU_HW_INFO_TYPE_NONE;
	uint32_t len = 0;
	uint32_t n;
	int rc;

	rc = ops->hw_info(dev->dev, arg->in_data_type, &out_type, &data, &len);
	if (rc)
		return rc;
	n = arg->data_len < len ? arg->data_len : len;
	if (core_copy_out(arg->data_uptr, data, n) ||
	    fill_zero(arg->data_uptr + n, arg->data_len - n))
		return -EFAULT;
	arg->data_len = len;
	arg->out_data_type = out_type;
	arg->out_max_pasid_log2 = 0;
	arg->out_capabilities =
		ops->capabilities(dev->dev, &arg->out_max_pasid_log2);
	return 0;
}

int dev_ioctl_hw_info(struct core_call *call)
{
	struct iommu_hw_info *arg = call->arg;
	struct core_dev *dev;
	int rc;

	if (arg->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return -EOPNOTSUPP;
	if (arg->__reserved[0] || arg->__reserved[1] || arg->__reserved[2])
		return -EOPNOTSUPP;
	if (!(arg->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE))
		arg->in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	rc = core_get(call->ctx, arg->dev_id, CORE_DEVICE, &dev);
	if (rc)
		return rc;
	rc = hw_info(dev, arg);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	core_put(&dev->obj);
	return rc;
}
