// SPDX-License-Identifier: MIT
/* IOMMU_HWPT_INVALIDATE: what a guest has changed, on its way to the driver. */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"

/* Far above any real batch; keeps one call from taking for ever */
#define ENTRIES_MAX   (1U << 19)
#define ENTRY_LEN_MAX 4096U

static int check_array(const struct iommu_hwpt_invalidate *arg)
{
	if (arg->__reserved)
		return -EOPNOTSUPP;
	if (!arg->entry_num)
		return 0;
	if (!arg->data_uptr || !arg->entry_len ||
	    arg->entry_len > ENTRY_LEN_MAX || arg->entry_num > ENTRIES_MAX)
		return -EINVAL;
	return 0;
}

static int on_nested(struct core_hwpt *hwpt, struct core_inval *inv)
{
	const struct core_domain_ops *ops = hwpt->domain->ops;

	if (!ops->invalidate)
		return -EOPNOTSUPP;
	if (inv->count)
		return ops->invalidate(hwpt->domain, inv);
	return ops->inval_type && ops->inval_type(hwpt->domain, inv->type)
		       ? 0
		       : -EINVAL;
}

static int on_viommu(struct core_viommu_object *viommu, struct core_inval *inv)
{
	const struct core_viommu_ops *ops = viommu->drv->ops;

	if (!ops->invalidate)
		return -EOPNOTSUPP;
	if (inv->count)
		return ops->invalidate(viommu->drv, inv);
	return ops->inval_type && ops->inval_type(viommu->drv, inv->type)
		       ? 0
		       : -EINVAL;
}

static int on_object(struct core_object *obj, struct core_inval *inv)
{
	switch (obj->type) {
	case CORE_HWPT_NESTED:
		return on_nested(container_of(obj, struct core_hwpt, obj), inv);
	case CORE_VIOMMU:
		return on_viommu(
			container_of(obj, struct core_viommu_object, obj), inv);
	default:
		return -EINVAL;
	}
}

/*
 * The reply is written on every path: entry_num then tells the VMM how many
 * requests took effect before the one that failed.
 */
int hwpt_ioctl_invalidate(struct core_call *call)
{
	struct iommu_hwpt_invalidate *arg = call->arg;
	struct core_inval inv = {
		.uptr = arg->data_uptr,
		.type = arg->data_type,
		.stride = arg->entry_len,
		.count = arg->entry_num,
	};
	struct core_object *obj;
	int rc = check_array(arg);

	if (rc)
		goto reply;
	rc = core_get(call->ctx, arg->hwpt_id, CORE_ANY, &obj);
	if (rc)
		goto reply;
	rc = on_object(obj, &inv);
	core_put(obj);
reply:
	arg->entry_num = inv.done;
	return core_reply(call, sizeof(*arg)) ? -EFAULT : rc;
}
