// SPDX-License-Identifier: MIT
/* See run.h. */
#include "viommu/run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

#define RUN_FIRST_ROOM 16u
#define RUN_TRIES      2 /* of a second each, on Linux */

void viommu_run_init(struct viommu_run *run, uint32_t data_type,
		     uint32_t stride)
{
	*run = (struct viommu_run){ .data_type = data_type, .stride = stride };
}

void viommu_run_free(struct viommu_run *run)
{
	free(run->entries);
	free(run->map);
	viommu_run_init(run, run->data_type, run->stride);
}

int viommu_run_reserve(struct viommu_run *run, uint32_t n)
{
	void *grown;

	grown = alloc_grow(run->entries, n, run->stride);
	if (!grown)
		return -ENOMEM;
	run->entries = grown;
	grown = alloc_grow(run->map, n, sizeof(*run->map));
	if (!grown)
		return -ENOMEM;
	run->map = grown;
	run->room = n;
	return 0;
}

bool viommu_run_grow(struct viommu_run *run)
{
	uint32_t room = run->room ? run->room * 2 : RUN_FIRST_ROOM;

	return room <= RELAY_MAX_ENTRIES && !viommu_run_reserve(run, room);
}

/*
 * An exact backend says which entry it was; of another only the last one that
 * was issued is known, so it may be any from @start on that can end so: the
 * first, lest a wait behind the real one completes. If none can, something else
 * holds the host's queue up, and nobody is to blame.
 */
static void blame(struct nestfd_viommu *viommu, const struct viommu_run *run,
		  const struct viommu_run_ops *ops, uint32_t start,
		  uint32_t last, void *ctx)
{
	uint32_t i = start;

	if (relay_is_exact(viommu)) {
		ops->silent(ctx, run, last);
		return;
	}
	while (i <= last && !ops->may_be_silent(viommu_run_entry(run, i)))
		i++;
	if (i > last)
		return;
	viommu->unsynced_asks = true;
	ops->silent(ctx, run, i);
}

int viommu_run_settle(struct nestfd_viommu *viommu,
		      const struct viommu_run *run,
		      const struct viommu_run_ops *ops)
{
	uint64_t entry[VIOMMU_RUN_STRIDE / sizeof(uint64_t)];
	struct relay_array array = {
		.hwpt_id = run->hwpt_id,
		.entries = entry,
		.stride = run->stride,
		.count = 1,
		.data_type = run->data_type,
	};
	struct relay_outcome outcome;
	int rc = 0;

	if (!viommu->unsynced || !ops->idle)
		return 0;
	ops->idle(entry);
	for (int i = 0; viommu->unsynced && i < RUN_TRIES; i++)
		rc = relay_invalidate(viommu, &array, &outcome);
	return rc;
}

struct viommu_run_end viommu_run_submit(struct nestfd_viommu *viommu,
					const struct viommu_run *run,
					const struct viommu_run_ops *ops,
					void *ctx)
{
	struct viommu_run_end end = { .at = VIOMMU_RUN_ALL };
	uint32_t start = 0, at;

	while (start < run->count) {
		struct relay_array array = {
			.hwpt_id = run->hwpt_id,
			.entries = viommu_run_entry(run, start),
			.stride = run->stride,
			.count = run->count - start,
			.data_type = run->data_type,
		};

		end.rc = relay_invalidate(viommu, &array, &end.outcome);
		if (!end.rc)
			break;
		at = start + end.outcome.done;
		if (!ops->is_silence(end.rc, &end.outcome)) {
			end.at = run->map[at];
			break;
		}
		blame(viommu, run, ops, start, at, ctx);
		start = at + 1;
		if (start < run->count && viommu_run_settle(viommu, run, ops)) {
			end.at = run->map[start];
			end.rc = -EBUSY;
			break;
		}
	}
	return end;
}
