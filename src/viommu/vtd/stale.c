// SPDX-License-Identifier: MIT
/*
 * What a device's TLB may still hold: ranges of a space for which the host's
 * invalidation of it failed, and no later one has succeeded.
 */
#include "viommu/vtd/vtd.h"

static void drop(struct vvtd_stale *stale, uint32_t i)
{
	stale->count--;
	stale->first[i] = stale->first[stale->count];
	stale->last[i] = stale->last[stale->count];
}

/* The last one is widened when there is no room: more than needed is kept. */
void vvtd_stale_add(struct vvtd *vvtd, struct vvtd_space *space, uint64_t first,
		    uint64_t last)
{
	struct vvtd_stale *stale = &space->stale;
	uint32_t i;

	for (i = 0; i < stale->count; i++)
		if (stale->first[i] <= first && stale->last[i] >= last)
			return;
	if (!stale->count)
		vvtd->stale++;
	if (stale->count < VVTD_STALE) {
		stale->first[stale->count] = first;
		stale->last[stale->count++] = last;
		return;
	}
	i = VVTD_STALE - 1;
	if (first < stale->first[i])
		stale->first[i] = first;
	if (last > stale->last[i])
		stale->last[i] = last;
}

/* What would leave two ranges of one leaves all of it. */
void vvtd_stale_remove(struct vvtd *vvtd, struct vvtd_space *space,
		       uint64_t first, uint64_t last)
{
	struct vvtd_stale *stale = &space->stale;

	if (!stale->count)
		return;
	for (uint32_t i = stale->count; i--;) {
		bool head = first <= stale->first[i] && last >= stale->first[i];
		bool tail = last >= stale->last[i] && first <= stale->last[i];

		if (head && tail)
			drop(stale, i);
		else if (head)
			stale->first[i] = last + 1;
		else if (tail)
			stale->last[i] = first - 1;
	}
	if (!stale->count)
		vvtd->stale--;
}
