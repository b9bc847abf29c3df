// SPDX-License-Identifier: MIT
/* IOMMU_OPTION and IOMMU_VFIO_IOAS: settings of a context or an IOAS. */
#include <errno.h>

#include "base/bits.h"
#include "core/internal.h"

static int set_rlimit_mode(struct core_ctx *ctx, uint64_t value)
{
	const struct core_process *process = account_process(&ctx->env);
	int rc = 0;

	if (process && !process->can(process, CORE_CAN_LIMIT))
		return -EPERM;
	pthread_mutex_lock(&ctx->lock);
	if (ctx->objects)
		rc = -EBUSY;
	else if (value > 1)
		rc = -EINVAL;
	else
		ctx->rlimit_process = value;
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

static int rlimit_mode(struct core_ctx *ctx, struct iommu_option *arg)
{
	if (arg->object_id)
		return -EOPNOTSUPP;
	switch (arg->op) {
	case IOMMU_OPTION_OP_GET:
		pthread_mutex_lock(&ctx->lock);
		arg->val64 = ctx->rlimit_process;
		pthread_mutex_unlock(&ctx->lock);
		return 0;
	case IOMMU_OPTION_OP_SET:
		return set_rlimit_mode(ctx, arg->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int huge_pages_op(struct core_ioas *ioas, struct iommu_option *arg)
{
	switch (arg->op) {
	case IOMMU_OPTION_OP_GET:
		arg->val64 = !ioas->no_large_pages;
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (arg->val64 > 1)
			return -EINVAL;
		return ioas_set_large_pages(ioas, arg->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int huge_pages(struct core_ctx *ctx, struct iommu_option *arg)
{
	struct core_ioas *ioas;
	int rc = core_get(ctx, arg->object_id, CORE_IOAS, &ioas);

	if (rc)
		return rc;
	pthread_mutex_lock(&ioas->lock);
	rc = huge_pages_op(ioas, arg);
	pthread_mutex_unlock(&ioas->lock);
	core_put(&ioas->obj);
	return rc;
}

int option_ioctl(struct core_call *call)
{
	struct iommu_option *arg = call->arg;
	uint64_t val =
		(uintptr_t)call->uptr + offsetof(struct iommu_option, val64);
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	switch (arg->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = rlimit_mode(call->ctx, arg);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = huge_pages(call->ctx, arg);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return rc ? rc : core_copy_out(val, &arg->val64, sizeof(arg->val64));
}

static int vfio_ioas_get(struct core_call *call)
{
	struct iommu_vfio_ioas *arg = call->arg;
	struct core_ctx *ctx = call->ctx;
	bool some;

	pthread_mutex_lock(&ctx->lock);
	some = ctx->vfio_ioas;
	if (some)
		arg->ioas_id = ctx->vfio_ioas->obj.id;
	pthread_mutex_unlock(&ctx->lock);
	return some ? core_reply(call, sizeof(*arg)) : -ENODEV;
}

static int vfio_ioas_set(struct core_call *call, uint32_t id)
{
	struct core_ctx *ctx = call->ctx;
	struct core_ioas *ioas;
	int rc = core_get(ctx, id, CORE_IOAS, &ioas);

	if (rc)
		return rc;
	pthread_mutex_lock(&ctx->lock);
	ctx->vfio_ioas = ioas; /* cleared when it is destroyed */
	pthread_mutex_unlock(&ctx->lock);
	core_put(&ioas->obj);
	return 0;
}

int vfio_ioas_ioctl(struct core_call *call)
{
	struct iommu_vfio_ioas *arg = call->arg;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	switch (arg->op) {
	case IOMMU_VFIO_IOAS_GET:
		return vfio_ioas_get(call);
	case IOMMU_VFIO_IOAS_SET:
		return vfio_ioas_set(call, arg->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		pthread_mutex_lock(&call->ctx->lock);
		call->ctx->vfio_ioas = NULL;
		pthread_mutex_unlock(&call->ctx->lock);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
