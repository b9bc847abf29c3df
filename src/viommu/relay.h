/* SPDX-License-Identifier: MIT */
/*
 * Calls on the backend: objects, and arrays of invalidations whose outcome can
 * be trusted whether the backend counts exactly or not.
 */
#ifndef VIOMMU_RELAY_H
#define VIOMMU_RELAY_H

#include <stdint.h>

#include "viommu/viommu.h"

#define RELAY_MAX_ENTRIES (1u << 19) /* bound of IOMMU_HWPT_INVALIDATE */

struct relay_array {
	uint32_t hwpt_id; /* a nested HWPT or a vIOMMU */
	const void *entries;
	uint32_t stride;
	uint32_t count;
	uint32_t data_type;
};

/*
 * What became of entries: @done of them took effect. On failure the one behind
 * them is at fault, and @error is the code that a backend with error codes
 * gives (nestfd/ext.h); 0: none, judge by the errno.
 */
struct relay_outcome {
	uint32_t done;
	uint32_t error;
};

/*
 * Invalidates. Return: 0, -EIO (the entry is refused), -ETIMEDOUT (a device did
 * not answer it), or another errno of the backend.
 *
 * If the backend is not exact, -ETIMEDOUT says no more than that the host's own
 * CMD_SYNC is not complete: because of a device, or of anything else that holds
 * its queue up. All up to the entry at fault are in that queue and stay there;
 * nothing says that any has taken effect. viommu->unsynced is true from then
 * on, until an invalidation succeeds: its CMD_SYNC stands behind them all (Arm
 * IHI 0070 4.7.3).
 */
int relay_invalidate(struct nestfd_viommu *viommu,
		     const struct relay_array *array,
		     struct relay_outcome *outcome);

/* A queue in memory that others write; @lg2 entries' log2, indices wrap */
struct relay_ring {
	const void *entries;
	uint32_t stride;
	uint32_t lg2;
	uint32_t cons;
	uint32_t prod;
	uint32_t data_type;
};

/* The same for a ring, with a backend whose NESTFD_EXT_RING is on. */
int relay_ring(struct nestfd_viommu *viommu, const struct relay_ring *ring,
	       struct relay_outcome *outcome);

/* Switches on what the backend has of @wanted: viommu->ext. */
void relay_extend(struct nestfd_viommu *viommu, uint64_t wanted);

/* A failed invalidation's count can be trusted. */
bool relay_is_exact(const struct nestfd_viommu *viommu);

/* A call that is not an invalidation: counted. 0 or a negative errno */
int relay_call(struct nestfd_viommu *viommu, unsigned long cmd, void *arg);

/*
 * IOMMU_GET_HW_INFO of the device that the config names. -EOPNOTSUPP: it is
 * behind another kind of IOMMU than @type
 */
struct iommu_hw_info;
int relay_hw_info(struct nestfd_viommu *viommu, uint32_t type, void *data,
		  uint32_t size, struct iommu_hw_info *info);

/* IOMMU_DESTROY; ids of 0 are ignored. Its failure leaves nothing to do. */
void relay_destroy(struct nestfd_viommu *viommu, uint32_t id);

/* The vIOMMU object of @type and its event queue of @event_type. */
int relay_setup(struct nestfd_viommu *viommu, uint32_t type,
		uint32_t event_type, uint32_t depth);
void relay_teardown(struct nestfd_viommu *viommu);

#endif
