/* SPDX-License-Identifier: MIT */
/*
 * A run: invalidations gathered for one ioctl on one object, and which of the
 * guest's commands each came from. Devices that do not answer end no run: what
 * stands behind is sent again, and who made the run is told, so that it can
 * hold the failure until the architecture lets the guest see it.
 */
#ifndef VIOMMU_RUN_H
#define VIOMMU_RUN_H

#include <string.h>

#include "viommu/relay.h"

#define VIOMMU_RUN_ALL	  UINT32_MAX /* no command failed */
#define VIOMMU_RUN_STRIDE 64

struct viommu_run {
	uint32_t hwpt_id; /* a nested HWPT or a vIOMMU */
	uint32_t data_type;
	uint32_t stride;
	uint32_t count;
	uint32_t room;
	char *entries;
	uint32_t *map; /* the command of each entry, ascending */
};

/* What an architecture makes of outcomes. */
struct viommu_run_ops {
	/* This failure is a device's that does not answer. */
	bool (*is_silence)(int rc, const struct relay_outcome *outcome);
	/* An entry that can end so */
	bool (*may_be_silent)(const void *entry);
	/* One did: entry @index, or the first that may be to blame. */
	void (*silent)(void *ctx, const struct viommu_run *run, uint32_t index);
	/*
	 * Makes an entry that takes from no guest what it needs, of at most
	 * VIOMMU_RUN_STRIDE bytes. NULL: no backend is other than exact.
	 */
	void (*idle)(void *entry);
};

/*
 * Why a command failed; @at is its index, VIOMMU_RUN_ALL if none did. -EBUSY:
 * the host's queue does not move, those in front are in it.
 */
struct viommu_run_end {
	uint32_t at;
	int rc;
	struct relay_outcome outcome;
};

/* Nothing is allocated before the first entry. */
void viommu_run_init(struct viommu_run *run, uint32_t data_type,
		     uint32_t stride);
void viommu_run_free(struct viommu_run *run);

/* Room for @n entries from the start; 0, -ENOMEM */
int viommu_run_reserve(struct viommu_run *run, uint32_t n);

/* Twice the room, within the ioctl's bound. False: it stays. */
bool viommu_run_grow(struct viommu_run *run);

static inline void *viommu_run_entry(const struct viommu_run *run,
				     uint32_t index)
{
	return run->entries + (size_t)index * run->stride;
}

/*
 * One more entry, for command @at, to be filled in. NULL: there is no room and
 * none to be had: submit what there is first. (An empty run may still lack
 * memory for one entry.)
 */
static inline void *viommu_run_next(struct viommu_run *run, uint32_t at)
{
	if (__builtin_expect(run->count == run->room, 0) &&
	    !viommu_run_grow(run))
		return NULL;
	run->map[run->count] = at;
	return viommu_run_entry(run, run->count++);
}

/* The same with @entry, of @stride bytes, in it; false if there is none */
static inline bool viommu_run_add(struct viommu_run *run, const void *entry,
				  uint32_t at)
{
	void *next = viommu_run_next(run, at);

	if (next)
		memcpy(next, entry, run->stride);
	return next;
}

/*
 * All entries, past devices that do not answer. The run keeps its entries, for
 * the caller to look at; viommu_run_clear() it.
 */
struct viommu_run_end viommu_run_submit(struct nestfd_viommu *viommu,
					const struct viommu_run *run,
					const struct viommu_run_ops *ops,
					void *ctx);

/*
 * Waits until what was issued is complete, if that is in doubt: an idle entry
 * goes down behind it. Of a run that is empty or submitted. 0, -errno: it is
 * not
 */
int viommu_run_settle(struct nestfd_viommu *viommu,
		      const struct viommu_run *run,
		      const struct viommu_run_ops *ops);

static inline void viommu_run_clear(struct viommu_run *run)
{
	run->count = 0;
}

#endif
