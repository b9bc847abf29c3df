// SPDX-License-Identifier: MIT
/*
 * Events of the host in the words of the guest's own tables. The host knows one
 * kind of stream that may do nothing and has its accesses reported: one without
 * a valid STE, C_BAD_STE (IHI 0070 7.3.5). Why the guest's stream became one is
 * known here.
 */
#include "hwdef/smmuv3_regs.h"
#include "viommu/smmuv3/smmuv3.h"

/* What the guest's stream is told, and where a fetch failed; 0: no change */
static uint8_t reason(struct vsmmu *vsmmu, uint32_t vsid, uint64_t *fetch)
{
	const struct vsmmu_stream *stream;
	uint8_t event = 0;

	pthread_mutex_lock(&vsmmu->event_lock);
	stream = vsmmu_stream_find(vsmmu, vsid);
	if (stream && stream->now.kind == VSMMU_INVALID) {
		event = stream->now.event;
		*fetch = stream->now.fetch;
	}
	pthread_mutex_unlock(&vsmmu->event_lock);
	return event;
}

static bool wants_bad_streamids(struct vsmmu *vsmmu)
{
	struct smmuv3_regs regs;

	smmuv3_front_regs(vsmmu->front, &regs);
	return regs.cr2 & SMMUV3_CR2_RECINVSID;
}

bool vsmmu_event_translate(struct vsmmu *vsmmu, uint64_t rec[4])
{
	uint64_t fetch = 0;
	uint8_t event;

	if (field_get(SMMUV3_EVT_0_TYPE, rec[0]) != SMMUV3_EVT_C_BAD_STE)
		return true;
	event = reason(vsmmu, (uint32_t)field_get(SMMUV3_EVT_0_SID, rec[0]),
		       &fetch);
	if (!event || event == SMMUV3_EVT_C_BAD_STE)
		return true;
	if (event == SMMUV3_EVT_C_BAD_STREAMID && !wants_bad_streamids(vsmmu))
		return false;
	rec[0] = (rec[0] & ~SMMUV3_EVT_0_TYPE) |
		 field_prep(SMMUV3_EVT_0_TYPE, event);
	if (event == SMMUV3_EVT_F_STE_FETCH)
		rec[3] = fetch & SMMUV3_EVT_3_FETCHADDR;
	return true;
}
