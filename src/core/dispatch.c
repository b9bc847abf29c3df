// SPDX-License-Identifier: MIT
/*
 * From ioctl numbers to functions, and Linux's rules for the struct: it may be
 * shorter than ours down to a minimum, or longer if what we do not know is
 * zero.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bits.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "nestfd/ext.h"

/* Every struct of the ABI fits, and private ones */
#define ARG_MAX_SIZE CORE_PRIVATE_SIZE

/* @ext: NESTFD_EXT_* with which it is there, @ext_size long instead of @size */
struct core_op {
	unsigned int cmd;
	uint16_t size;
	uint16_t min_size;
	int (*execute)(struct core_call *call);
	uint16_t ext_size;
	uint64_t ext;
};

static int destroy_ioctl(struct core_call *call)
{
	struct iommu_destroy *arg = call->arg;

	return core_destroy_id(call->ctx, arg->id);
}

#define END_OF(type, member) \
	(offsetof(type, member) + sizeof(((type *)NULL)->member))
#define OP(ioctl_cmd, function, type, last)            \
	[_IOC_NR(ioctl_cmd) - IOMMUFD_CMD_BASE] = {    \
		.cmd = ioctl_cmd,                      \
		.size = sizeof(struct type),           \
		.min_size = END_OF(struct type, last), \
		.execute = function,                   \
	}

/* @last: the last member that the oldest client has to know */
static const struct core_op ops[] = {
	OP(IOMMU_DESTROY, destroy_ioctl, iommu_destroy, id),
	OP(IOMMU_IOAS_ALLOC, ioas_ioctl_alloc, iommu_ioas_alloc, out_ioas_id),
	OP(IOMMU_IOAS_ALLOW_IOVAS, ioas_ioctl_allow_iovas,
	   iommu_ioas_allow_iovas, allowed_iovas),
	OP(IOMMU_IOAS_COPY, ioas_ioctl_copy, iommu_ioas_copy, src_iova),
	OP(IOMMU_IOAS_IOVA_RANGES, ioas_ioctl_iova_ranges,
	   iommu_ioas_iova_ranges, out_iova_alignment),
	OP(IOMMU_IOAS_MAP, ioas_ioctl_map, iommu_ioas_map, iova),
	OP(IOMMU_IOAS_UNMAP, ioas_ioctl_unmap, iommu_ioas_unmap, length),
	OP(IOMMU_OPTION, option_ioctl, iommu_option, val64),
	OP(IOMMU_VFIO_IOAS, vfio_ioas_ioctl, iommu_vfio_ioas, __reserved),
	OP(IOMMU_HWPT_ALLOC, hwpt_ioctl_alloc, iommu_hwpt_alloc, __reserved),
	OP(IOMMU_GET_HW_INFO, dev_ioctl_hw_info, iommu_hw_info, __reserved),
	OP(IOMMU_HWPT_SET_DIRTY_TRACKING, hwpt_ioctl_set_dirty_tracking,
	   iommu_hwpt_set_dirty_tracking, __reserved),
	OP(IOMMU_HWPT_GET_DIRTY_BITMAP, hwpt_ioctl_get_dirty_bitmap,
	   iommu_hwpt_get_dirty_bitmap, data),
	[_IOC_NR(IOMMU_HWPT_INVALIDATE) - IOMMUFD_CMD_BASE] = {
		.cmd = IOMMU_HWPT_INVALIDATE,
		.size = sizeof(struct iommu_hwpt_invalidate),
		.min_size = END_OF(struct iommu_hwpt_invalidate, __reserved),
		.execute = hwpt_ioctl_invalidate,
		.ext_size = sizeof(struct nestfd_hwpt_invalidate),
		.ext = NESTFD_EXT_ERRORS,
	},
	OP(IOMMU_FAULT_QUEUE_ALLOC, fault_ioctl_alloc, iommu_fault_alloc,
	   out_fault_fd),
	OP(IOMMU_IOAS_MAP_FILE, ioas_ioctl_map_file, iommu_ioas_map_file, iova),
	OP(IOMMU_VIOMMU_ALLOC, viommu_ioctl_alloc, iommu_viommu_alloc,
	   out_viommu_id),
	OP(IOMMU_VDEVICE_ALLOC, vdevice_ioctl_alloc, iommu_vdevice_alloc,
	   virt_id),
	OP(IOMMU_IOAS_CHANGE_PROCESS, ioas_ioctl_change_process,
	   iommu_ioas_change_process, __reserved),
	OP(IOMMU_VEVENTQ_ALLOC, veventq_ioctl_alloc, iommu_veventq_alloc,
	   out_veventq_fd),
	OP(IOMMU_HW_QUEUE_ALLOC, hw_queue_ioctl_alloc, iommu_hw_queue_alloc,
	   length),
};

/* What Linux has not got, see ext.h */
static const struct core_op ext_ops[] = {
	{
		.cmd = NESTFD_EXT_ENABLE,
		.size = sizeof(struct nestfd_ext_enable),
		.min_size = END_OF(struct nestfd_ext_enable, features),
		.execute = ext_ioctl_enable,
	},
	{
		.cmd = NESTFD_HWPT_INVALIDATE_RING,
		.size = sizeof(struct nestfd_hwpt_invalidate_ring),
		.min_size = sizeof(struct nestfd_hwpt_invalidate_ring),
		.execute = ring_ioctl_invalidate,
		.ext_size = sizeof(struct nestfd_hwpt_invalidate_ring),
		.ext = NESTFD_EXT_RING,
	},
};

int core_reply(struct core_call *call, size_t size)
{
	if (call->user_size < size)
		size = call->user_size;
	return core_copy_out((uintptr_t)call->uptr, call->arg, size) ? -EFAULT
								     : 0;
}

static bool has_ext(const struct core_ctx *ctx, uint64_t ext)
{
	return atomic_load_explicit(&ctx->ext, memory_order_relaxed) & ext;
}

int ext_ioctl_enable(struct core_call *call)
{
	const uint64_t all =
		NESTFD_EXT_ERRORS | NESTFD_EXT_RING | NESTFD_EXT_INVALID;
	struct nestfd_ext_enable *arg = call->arg;
	uint64_t wanted = arg->features;

	arg->features = all;
	if (core_reply(call, sizeof(*arg)))
		return -EFAULT;
	if (arg->flags || (wanted & ~all))
		return -EOPNOTSUPP;
	atomic_fetch_or_explicit(&call->ctx->ext, wanted, memory_order_relaxed);
	return 0;
}

/* Behind the minimum, which has been copied: what both sides know, or zeros */
static int copy_rest(struct core_call *call, const struct core_op *op)
{
	uint64_t uptr = (uintptr_t)call->uptr;
	uint32_t size = has_ext(call->ctx, op->ext) ? op->ext_size : op->size;
	uint32_t known = call->user_size;
	int rc;

	if (call->user_size > size) {
		known = size;
		rc = core_check_zero(uptr + known, call->user_size - known);
		if (rc)
			return rc;
	}
	if (core_copy_in((char *)call->arg + op->min_size, uptr + op->min_size,
			 known - op->min_size))
		return -EFAULT;
	memset((char *)call->arg + known, 0, size - known);
	call->filled = size;
	return 0;
}

/* Each byte is read once: what is judged is what is used. */
static int copy_arg(struct core_call *call, const struct core_op *op)
{
	uint32_t size;

	if (core_copy_in(call->arg, (uintptr_t)call->uptr, op->min_size)) {
		/* Too short comes before what cannot be read. */
		if (core_copy_in(&size, (uintptr_t)call->uptr, sizeof(size)))
			return -EFAULT;
		return size < op->min_size ? -EINVAL : -EFAULT;
	}
	memcpy(&call->user_size, call->arg, sizeof(call->user_size));
	if (call->user_size < op->min_size)
		return -EINVAL;
	if (call->user_size == op->size && op->size == op->min_size)
		return 0;
	return copy_rest(call, op);
}

/* The machine's own command, by the same rules */
static int run_private(const struct core_private *private,
		       struct core_call *call)
{
	const struct core_op op = {
		.cmd = private->cmd,
		.size = private->size,
		.min_size = private->min_size,
	};
	int rc;

	if (private->size > ARG_MAX_SIZE || private->min_size > private->size ||
	    private->min_size < sizeof(uint32_t))
		return -ENOTTY;
	rc = copy_arg(call, &op);
	return rc ? rc : private->execute(private->ctx, call);
}

/* Numbers that mean something in the client's process only */
static int execute_foreign(struct core_call *call, const struct core_op *op)
{
	const struct core_client *client = core_foreign();
	struct iommu_ioas_map_file *arg = call->arg;
	int theirs, fd, rc;

	if (op->cmd != IOMMU_IOAS_MAP_FILE)
		return op->execute(call);
	theirs = arg->fd;
	fd = client->get_fd(client->ctx, theirs);
	arg->fd = fd < 0 ? -1 : fd; /* what else is wrong comes first */
	rc = op->execute(call);	    /* has answered with our number in it */
	if (!rc) {
		arg->fd = theirs;
		rc = core_reply(call, sizeof(*arg));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static const struct core_op *find_ext(const struct core_ctx *ctx,
				      unsigned int cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext_ops); i++) {
		const struct core_op *op = &ext_ops[i];

		if (op->cmd == cmd && (!op->ext || has_ext(ctx, op->ext)))
			return op;
	}
	return NULL;
}

/* Numbers behind Linux's */
static int run_other(struct core_call *call, unsigned int cmd)
{
	const struct core_private *private = call->ctx->env.private_op;
	const struct core_op *op = find_ext(call->ctx, cmd);
	int rc;

	if (op) {
		rc = copy_arg(call, op);
		return rc ? rc : op->execute(call);
	}
	if (private && private->cmd == cmd)
		return run_private(private, call);
	return vfio_ioctl(call->ctx, cmd, call->uptr);
}

static int run(struct core_ctx *ctx, unsigned int cmd, void *uptr)
{
	unsigned int index = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;
	_Alignas(8) unsigned char arg[ARG_MAX_SIZE];
	struct core_call call = { .ctx = ctx, .arg = arg, .uptr = uptr };
	const struct core_op *op;
	uint32_t size;
	int rc;

	if (index >= ARRAY_SIZE(ops))
		return run_other(&call, cmd);
	op = &ops[index];
	if (op->cmd != cmd)
		return core_copy_in(&size, (uintptr_t)uptr, sizeof(size))
			       ? -EFAULT
			       : -ENOTTY;
	rc = copy_arg(&call, op);
	if (rc)
		return rc;
	return core_foreign() ? execute_foreign(&call, op) : op->execute(&call);
}

/* By processor, for want of better: any is right, few at once is fast. */
static unsigned int this_slot(void)
{
	return (unsigned int)sched_getcpu() % CORE_CALL_SLOTS;
}

int core_ioctl(struct core_ctx *ctx, unsigned long cmd, void *arg)
{
	struct core_calls *calls = &ctx->calls[this_slot()];
	int rc;

	atomic_fetch_add_explicit(&calls->count, 1, memory_order_relaxed);
	rc = run(ctx, (unsigned int)cmd, arg); /* the kernel's cmd is 32 bits */
	/* Pairs with the acquire in core_close(). */
	atomic_fetch_sub_explicit(&calls->count, 1, memory_order_release);
	return rc;
}

int core_ioctl_for(struct core_ctx *ctx, unsigned long cmd, uint64_t arg,
		   const struct core_client *client)
{
	const struct core_client *old = core_foreign_set(client);
	int rc = core_ioctl(ctx, cmd, (void *)(uintptr_t)arg);

	core_foreign_set(old);
	return rc;
}
