// SPDX-License-Identifier: MIT
/* See relay.h. */
#include "viommu/relay.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <unistd.h>

/*
 * Linux converts its array in pieces of about this many commands and counts
 * what it converted, not what it issued. A piece is small enough to repeat.
 *
 * Not so after -ETIMEDOUT: each repetition would wait a second. There Linux
 * names the last command of the piece that it issued in vain, so all up to that
 * one have been in the hardware's queue, and nothing behind it.
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

/* One ioctl; *@done is what the backend says, never more than was asked. */
static int submit(struct nestfd_viommu *viommu, const struct relay_array *array,
		  uint32_t start, uint32_t count, uint32_t *done)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu->viommu_id,
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
	*done = arg.entry_num < count ? arg.entry_num : count;
	if (!rc)
		*done = count;
	else if (*done == count)
		*done = 0; /* a failure that claims all: nothing is known */
	return rc;
}

/*
 * The @n entries from @start on; if one is refused, what stands in front of it
 * may have been converted but never issued: that is issued then.
 */
static int submit_piece(struct nestfd_viommu *viommu,
			const struct relay_array *array, uint32_t start,
			uint32_t n, uint32_t *done)
{
	uint32_t before_done;
	int before;
	int rc;

	rc = submit(viommu, array, start, n, done);
	if (!rc || rc == -ETIMEDOUT || !*done)
		return rc;
	before = submit(viommu, array, start, *done, &before_done);
	if (!before)
		return rc;
	*done = before_done;
	return before;
}

/* In pieces whose failure can be repaired */
static int submit_pieces(struct nestfd_viommu *viommu,
			 const struct relay_array *array, uint32_t *done)
{
	uint32_t at, n, piece_done;
	int rc;

	for (at = 0; at < array->count; at += n) {
		n = array->count - at;
		if (n > RELAY_PIECE)
			n = RELAY_PIECE;
		rc = submit_piece(viommu, array, at, n, &piece_done);
		if (rc) {
			*done = at + piece_done;
			return rc;
		}
	}
	*done = array->count;
	return 0;
}

int relay_invalidate(struct nestfd_viommu *viommu,
		     const struct relay_array *array, uint32_t *done)
{
	int rc;

	viommu_count(&viommu->counters.invalidations, array->count);
	rc = submit(viommu, array, 0, array->count, done);
	if (!rc || viommu->backend.exact || rc == -ETIMEDOUT)
		return rc;
	return submit_pieces(viommu, array, done);
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
