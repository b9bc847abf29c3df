/* SPDX-License-Identifier: MIT */
/*
 * The virtual SMMUv3. Its front is what the guest sees; commands come back
 * from it through consume() in command.c, the guest's stream table is followed
 * by stream.c.
 *
 * Locks: @lock guards the streams and the page tables made for them. It is
 * taken inside the front's consumption; nothing of the front that consumes is
 * called with it held. @run belongs to the consuming thread.
 */
#ifndef VIOMMU_SMMUV3_SMMUV3_H
#define VIOMMU_SMMUV3_SMMUV3_H

#include <pthread.h>

#include "base/itree.h"
#include "front/smmuv3/front.h"
#include "viommu/relay.h"
#include "viommu/viommu.h"

/* What a stream is attached to */
enum vsmmu_kind {
	VSMMU_NOTHING,
	VSMMU_ABORT,
	VSMMU_BYPASS,
	VSMMU_NESTED,
};

/* What the guest's tables ask for: the part of the STE that goes down */
struct vsmmu_want {
	enum vsmmu_kind kind;
	uint64_t ste[2];
};

struct vsmmu_stream {
	struct itree_node node; /* first == last == vSID */
	struct nestfd_viommu_device device;
	uint32_t vdevice_id;
	uint32_t hwpt_id; /* made for this stream; 0: a shared one */
	struct vsmmu_want now;
	uint64_t span; /* the last span of commands that followed it */
};

/* Invalidations gathered for one ioctl; map[] says which command each was. */
struct vsmmu_run {
	struct smmuv3_cmd_rec *entries;
	uint32_t *map;
	uint32_t count;
	uint32_t room;
};

struct vsmmu {
	struct nestfd_viommu base;
	struct smmuv3_front *front;
	struct smmuv3_id id;
	pthread_mutex_t lock;
	struct itree streams;
	uint32_t abort_hwpt;
	uint32_t bypass_hwpt;
	struct vsmmu_run run;
	uint64_t span;	 /* number of the span being consumed, from 1 */
	bool atc_failed; /* the next CMD_SYNC must say so */
};

static inline struct vsmmu *to_vsmmu(struct nestfd_viommu *viommu)
{
	return (struct vsmmu *)viommu;
}

/* id.c: what the guest may see of @host, no better than @wanted (all 0: any) */
void vsmmu_id(const struct smmuv3_id *host, const uint32_t wanted[6],
	      struct smmuv3_id *id);

/* command.c: the front's sink */
struct smmuv3_consumed vsmmu_consume(void *ctx, const uint64_t (*cmds)[2],
				     uint32_t n);
int vsmmu_run_init(struct vsmmu_run *run);
void vsmmu_run_free(struct vsmmu_run *run);

/* stream.c, all with the lock held */
struct vsmmu_stream *vsmmu_stream_find(struct vsmmu *vsmmu, uint32_t vsid);
void vsmmu_stream_want(struct vsmmu *vsmmu, const struct vsmmu_stream *stream,
		       struct vsmmu_want *want);
bool vsmmu_stream_differs(const struct vsmmu_stream *stream,
			  const struct vsmmu_want *want);
int vsmmu_stream_apply(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
		       const struct vsmmu_want *want);
int vsmmu_hwpt_alloc(struct vsmmu *vsmmu, uint32_t dev_id,
		     const uint64_t ste[2], uint32_t *hwpt_id);

/* Follow the guest's registers and tables for every stream. */
void vsmmu_refresh(struct vsmmu *vsmmu);

#endif
