// SPDX-License-Identifier: MIT
/* See run.h. */
#include "viommu/run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

#define RUN_FIRST_ROOM 16u

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
 * first, lest a wait behind the real one completes.
 */
static uint32_t to_blame(const struct nestfd_viommu *viommu,
			 const struct viommu_run *run,
			 const struct viommu_run_ops *ops, uint32_t start,
			 uint32_t last)
{
	if (relay_is_exact(viommu))
		return last;
	for (uint32_t i = start; i < last; i++)
		if (ops->may_be_silent(viommu_run_entry(run, i)))
			return i;
	return last;
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
		ops->silent(ctx, run, to_blame(viommu, run, ops, start, at));
		start = at + 1;
	}
	return end;
}
