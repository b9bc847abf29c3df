// SPDX-License-Identifier: MIT
/* IOMMU_HWPT_INVALIDATE: what a guest has changed, on its way to the driver. */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"
#include "nestfd/ext.h"

static int check_array(const struct iommu_hwpt_invalidate *arg)
{
	if (arg->__reserved)
		return -EOPNOTSUPP;
	if (!arg->entry_num)
		return 0;
	if (!arg->data_uptr || !arg->entry_len ||
	    arg->entry_len > INVAL_ENTRY_LEN_MAX ||
	    arg->entry_num > INVAL_ENTRIES_MAX)
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

void inval_code(const struct core_inval *inv, uint32_t *error, uint32_t *info)
{
	*error = inv->code ? NESTFD_ERR_VALID | inv->code : 0;
	*info = inv->code ? inv->info : 0;
}

int inval_run(struct core_ctx *ctx, uint32_t id, struct core_inval *inv)
{
	struct core_object *obj;
	int rc = core_get(ctx, id, CORE_ANY, &obj);

	if (rc)
		return rc;
	inv->errors = atomic_load_explicit(&ctx->ext, memory_order_relaxed) &
		      NESTFD_EXT_ERRORS;
	rc = on_object(obj, inv);
	core_put(obj);
	return rc;
}

/*
 * The reply is written on every path but E2BIG: entry_num then tells the VMM
 * how many requests took effect before the one that failed.
 */
int hwpt_ioctl_invalidate(struct core_call *call)
{
	struct nestfd_hwpt_invalidate *ext = call->arg;
	struct iommu_hwpt_invalidate *arg = call->arg;
	bool extended = call->filled == sizeof(*ext);
	struct core_inval inv = {
		.uptr = arg->data_uptr,
		.type = arg->data_type,
		.stride = arg->entry_len,
		.count = arg->entry_num,
	};
	size_t size = sizeof(*arg);
	int rc;

	if (extended && (ext->out_error || ext->out_error_info))
		return -E2BIG; /* as if nobody knew these members */
	rc = check_array(arg);
	if (!rc)
		rc = inval_run(call->ctx, arg->hwpt_id, &inv);
	arg->entry_num = inv.done;
	if (extended) {
		inval_code(&inv, &ext->out_error, &ext->out_error_info);
		size = sizeof(*ext);
	}
	return core_reply(call, size) ? -EFAULT : rc;
}
