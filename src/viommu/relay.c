// SPDX-License-Identifier: MIT
/* See relay.h. */
#include "viommu/relay.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <unistd.h>

#include "nestfd/ext.h"

/*
 * Linux converts its array in pieces of about this many commands and counts
 * what it converted, not what it issued. A piece is small enough to repeat.
 * Large arrays it may have no memory for (-ENOMEM, nothing done, all counted).
 *
 * Not so after -ETIMEDOUT: each repetition would wait a second. There Linux
 * names the last command of the piece whose CMD_SYNC it has waited for in vain,
 * so all up to that one are in the hardware's queue, and nothing behind it. It
 * takes none of them out again. (What has stopped the queue it acknowledges in
 * an interrupt, which a CPU that waits for a CMD_SYNC does not take: so on that
 * CPU an illegal command ends in -ETIMEDOUT, on others in 0.)
 */
#define RELAY_PIECE 64u

int relay_call(struct nestfd_viommu *viommu, unsigned long cmd, void *arg)
{
	viommu_count(&viommu->counters.other_ioctls, 1);
	return viommu->backend.ioctl(viommu->backend.ctx, cmd, arg);
}

void relay_destroy(struct nestfd_viommu *viommu, uint32_t id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	if (id)
		relay_call(viommu, IOMMU_DESTROY, &destroy);
}

int relay_hw_info(struct nestfd_viommu *viommu, uint32_t type, void *data,
		  uint32_t size, struct iommu_hw_info *info)
{
	int rc;

	*info = (struct iommu_hw_info){
		.size = sizeof(*info),
		.dev_id = viommu->dev_id,
		.data_len = size,
		.data_uptr = (uintptr_t)data,
	};
	rc = relay_call(viommu, IOMMU_GET_HW_INFO, info);
	if (!rc && info->out_data_type != type)
		rc = -EOPNOTSUPP;
	return rc;
}

bool relay_is_exact(const struct nestfd_viommu *viommu)
{
	return viommu->backend.exact || (viommu->ext & NESTFD_EXT_ERRORS);
}

/*
 * Asked for what it has not got, a backend switches nothing on and says what
 * there is. ENOTTY, or any other trouble: there is nothing.
 */
void relay_extend(struct nestfd_viommu *viommu, uint64_t wanted)
{
	struct nestfd_ext_enable arg = {
		.size = sizeof(arg),
		.features = wanted,
	};
	int rc;

	viommu->ext = 0;
	rc = relay_call(viommu, NESTFD_EXT_ENABLE, &arg);
	if (rc == -EOPNOTSUPP) {
		wanted &= arg.features;
		arg.features = wanted;
		rc = relay_call(viommu, NESTFD_EXT_ENABLE, &arg);
	}
	if (!rc)
		viommu->ext = wanted & arg.features;
}

static uint32_t error_code(uint32_t out_error)
{
	return out_error & NESTFD_ERR_VALID ? out_error & ~NESTFD_ERR_VALID : 0;
}

/* One ioctl; what the backend says, but never more done than was asked. */
static int submit(struct nestfd_viommu *viommu, const struct relay_array *array,
		  uint32_t start, uint32_t count, struct relay_outcome *outcome)
{
	struct nestfd_hwpt_invalidate arg = {
		.size = viommu->ext & NESTFD_EXT_ERRORS
				? sizeof(arg)
				: sizeof(struct iommu_hwpt_invalidate),
		.hwpt_id = array->hwpt_id,
		.data_uptr = (uintptr_t)array->entries +
			     (uint64_t)start * array->stride,
		.data_type = array->data_type,
		.entry_len = array->stride,
		.entry_num = count,
	};
	int rc;

	viommu_count(&viommu->counters.invalidate_ioctls, 1);
	rc = viommu->backend.ioctl(viommu->backend.ctx, IOMMU_HWPT_INVALIDATE,
				   &arg);
	*outcome = (struct relay_outcome){
		/* a failure that claims all: nothing is known */
		.done = arg.entry_num < count ? arg.entry_num : 0,
		.error = error_code(arg.out_error),
	};
	if (!rc) {
		outcome->done = count;
		viommu->unsynced = false;
		viommu->unsynced_asks = false;
	} else if (rc == -ETIMEDOUT) {
		viommu->unsynced = !relay_is_exact(viommu);
	}
	return rc;
}

/*
 * The @n entries from @start on; if one is refused, what stands in front of it
 * may have been converted but never issued: that is issued then.
 */
static int submit_piece(struct nestfd_viommu *viommu,
			const struct relay_array *array, uint32_t start,
			uint32_t n, struct relay_outcome *outcome)
{
	struct relay_outcome before;
	int rc, rc_before;

	rc = submit(viommu, array, start, n, outcome);
	if (!rc || rc == -ETIMEDOUT || !outcome->done)
		return rc;
	rc_before = submit(viommu, array, start, outcome->done, &before);
	if (!rc_before)
		return rc;
	*outcome = before;
	return rc_before;
}

/*
 * All at once, and what fails so in pieces whose failure can be repaired. Half
 * as much each time while memory was all that lacked.
 */
static int submit_pieces(struct nestfd_viommu *viommu,
			 const struct relay_array *array,
			 struct relay_outcome *outcome)
{
	uint32_t limit = array->count;
	uint32_t at = 0;
	uint32_t n;
	int rc;

	while (at < array->count) {
		n = array->count - at < limit ? array->count - at : limit;
		if (n > RELAY_PIECE)
			rc = submit(viommu, array, at, n, outcome);
		else
			rc = submit_piece(viommu, array, at, n, outcome);
		if (!rc) {
			at += n;
		} else if (rc == -ENOMEM && n > 1) {
			limit = n / 2;
		} else if (n > RELAY_PIECE && rc != -ETIMEDOUT) {
			limit = RELAY_PIECE;
		} else {
			outcome->done += at;
			return rc;
		}
	}
	outcome->done = array->count;
	return 0;
}

int relay_invalidate(struct nestfd_viommu *viommu,
		     const struct relay_array *array,
		     struct relay_outcome *outcome)
{
	viommu_count(&viommu->counters.invalidations, array->count);
	if (relay_is_exact(viommu))
		return submit(viommu, array, 0, array->count, outcome);
	return submit_pieces(viommu, array, outcome);
}

int relay_ring(struct nestfd_viommu *viommu, const struct relay_ring *ring,
	       struct relay_outcome *outcome)
{
	uint32_t mask = (2u << ring->lg2) - 1;
	uint32_t pending = (ring->prod - ring->cons) & mask;
	uint32_t cons = ring->cons;
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu->viommu_id,
		.q_uptr = (uintptr_t)ring->entries,
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = ring->prod,
		.q_index_bits = ring->lg2,
		.q_entry_num = 1u << ring->lg2,
		.q_entry_len = ring->stride,
		.data_type = ring->data_type,
	};
	int rc;

	viommu_count(&viommu->counters.ring_ioctls, 1);
	rc = viommu->backend.ioctl(viommu->backend.ctx,
				   NESTFD_HWPT_INVALIDATE_RING, &arg);
	/* pairs with the release that the ABI promises */
	cons = __atomic_load_n(&cons, __ATOMIC_ACQUIRE);
	*outcome = (struct relay_outcome){
		.done = (cons - ring->cons) & mask,
		.error = error_code(arg.out_error),
	};
	if (outcome->done > pending)
		outcome->done = 0; /* no such index: nothing is known */
	viommu_count(&viommu->counters.ring_commands, outcome->done);
	return rc;
}

static int alloc_viommu(struct nestfd_viommu *viommu, uint32_t type)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = type,
		.dev_id = viommu->dev_id,
		.hwpt_id = viommu->parent_hwpt,
	};
	int rc;

	rc = relay_call(viommu, IOMMU_VIOMMU_ALLOC, &arg);
	if (!rc)
		viommu->viommu_id = arg.out_viommu_id;
	return rc;
}

static int alloc_veventq(struct nestfd_viommu *viommu, uint32_t type,
			 uint32_t depth)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu->viommu_id,
		.type = type,
		.veventq_depth = depth,
	};
	int rc;

	rc = relay_call(viommu, IOMMU_VEVENTQ_ALLOC, &arg);
	if (!rc) {
		viommu->veventq_depth = depth;
		viommu->veventq_id = arg.out_veventq_id;
		viommu->veventq_fd = (int)arg.out_veventq_fd;
		if (viommu->backend.count)
			viommu->event_count = viommu->backend.count(
				viommu->backend.ctx, viommu->veventq_fd);
	}
	return rc;
}

int relay_setup(struct nestfd_viommu *viommu, uint32_t type,
		uint32_t event_type, uint32_t depth)
{
	int rc;

	viommu->veventq_fd = -1;
	rc = alloc_viommu(viommu, type);
	if (rc)
		return rc;
	rc = alloc_veventq(viommu, event_type, depth);
	if (rc) {
		relay_destroy(viommu, viommu->viommu_id);
		viommu->viommu_id = 0;
	}
	return rc;
}

void relay_teardown(struct nestfd_viommu *viommu)
{
	if (viommu->veventq_fd >= 0) {
		if (viommu->backend.close)
			viommu->backend.close(viommu->backend.ctx,
					      viommu->veventq_fd);
		else
			close(viommu->veventq_fd);
	}
	relay_destroy(viommu, viommu->veventq_id);
	relay_destroy(viommu, viommu->viommu_id);
}
