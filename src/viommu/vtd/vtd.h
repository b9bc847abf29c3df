/* SPDX-License-Identifier: MIT */
/*
 * The virtual VT-d unit. Its front is what the guest sees; descriptors come
 * back from it through consume() in command.c. tables.c reads what the guest's
 * tables say, space.c makes it so with HWPTs, shadow.c keeps an IOAS like a
 * guest's second-stage table.
 *
 * A *space* is what a device's requests are translated by: one for requests
 * without PASID, and one for each PASID whose entry is present. A *shadow* is
 * a guest's second-stage table (a domain), which spaces may share.
 *
 * Locks: @lock guards all of struct vvtd but what is fixed. It is taken inside
 * the front's consumption, and not held while a wait completes. What is said
 * to be of a span belongs to the consuming thread or who invalidates by
 * registers, with the lock held.
 */
#ifndef VIOMMU_VTD_VTD_H
#define VIOMMU_VTD_VTD_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/itree.h"
#include "front/vtd/decode.h"
#include "front/vtd/front.h"
#include "viommu/run.h"
#include "viommu/viommu.h"

/* Bounds on what a guest's tables can cost; docs/testing-a-vmm.md */
#define VVTD_PASIDS 4096u      /* spaces of one device */
#define VVTD_MAPS   (1u << 18) /* leaves in all shadows */
#define VVTD_TABLES (1u << 16) /* second-stage tables read for one span */
#define VVTD_NAMED  256u       /* PASIDs that one span follows singly */

/* What a space is attached to */
enum vvtd_kind {
	VVTD_NOTHING, /* not known, or not what was wanted */
	VVTD_BLOCK,
	VVTD_PASS,
	VVTD_NESTED,
	VVTD_SHADOW,
};

/* What the guest's tables ask for */
struct vvtd_want {
	enum vvtd_kind kind;
	uint16_t did;
	uint8_t levels;
	uint64_t root;
	uint64_t flags; /* NESTED: IOMMU_VTD_S1_* */
};

/* A run of address ranges that a shadow is to be compared with, inclusive */
#define VVTD_RANGES 64u
struct vvtd_ranges {
	uint32_t count;
	uint32_t at; /* the first command that asked */
	uint64_t first[VVTD_RANGES];
	uint64_t last[VVTD_RANGES];
};

struct vvtd_shadow {
	struct itree_node by_did; /* first == last == did */
	TAILQ_ENTRY(vvtd_shadow) dirty_link;
	bool dirty;
	uint8_t levels;
	uint32_t ioas_id;
	uint32_t users;
	uint64_t root;
	struct itree maps; /* struct map of shadow.c */
	struct vvtd_ranges ranges;
};

/* Ranges of a space that its device's TLB may still hold, inclusive */
#define VVTD_STALE 8u
struct vvtd_stale {
	uint32_t count;
	uint64_t first[VVTD_STALE];
	uint64_t last[VVTD_STALE];
};

struct vvtd_device;

struct vvtd_space {
	struct itree_node by_pasid; /* in the device; not the RID's */
	struct itree_node by_id;    /* NESTED: did << 20 | pasid */
	TAILQ_ENTRY(vvtd_space) dirty_link;
	bool dirty;	 /* has something in @run */
	bool everything; /* and that is all there is to forget */
	bool rid;
	struct vvtd_device *device;
	uint32_t pasid;
	uint32_t hwpt_id; /* made for it; 0: none */
	struct vvtd_shadow *shadow;
	struct vvtd_want now;
	uint64_t look; /* the last look at its device that found it */
	struct viommu_run run;
	struct vvtd_stale stale;
	struct vvtd_want refused; /* by the host, in span @refused_in */
	uint64_t refused_in;
};

/*
 * What the host's device-TLB invalidation met, and the guest is not yet told:
 * it waits for the guest's own one, if the guest knows that there is a TLB.
 */
struct vvtd_trouble {
	bool held;
	bool due;   /* the next wait behind @at (ITE), or at once (ICE) */
	int64_t at; /* command of this span; -1: of an earlier one */
};

struct vvtd_device {
	struct itree_node node; /* first == last == source-id */
	struct nestfd_viommu_device config;
	uint32_t block_hwpt;
	bool ats; /* the guest has enabled it */
	struct vvtd_space rid;
	struct itree pasids;
	uint32_t npasids;
	uint64_t span;	/* the last one that looked at all of it */
	uint64_t cover; /* all of its TLB was invalidated again */
	struct vvtd_trouble ite;
	struct vvtd_trouble ice;
	TAILQ_ENTRY(vvtd_device) trouble_link;
	bool troubled;
};

TAILQ_HEAD(vvtd_space_list, vvtd_space);
TAILQ_HEAD(vvtd_shadow_list, vvtd_shadow);
TAILQ_HEAD(vvtd_device_list, vvtd_device);

/*
 * Domains of which all was forgotten lately. The descriptors of a span were all
 * in the queue when it was copied, and what they announce was in memory: once
 * is enough for all of them, as long as every device answers.
 */
#define VVTD_COVERED 64u

struct vvtd_covered {
	uint64_t cover; /* struct vvtd.cover */
	uint32_t did;	/* VVTD_EVERY_DID: of all */
	bool shadows;
};

#define VVTD_EVERY_DID UINT32_MAX

struct vvtd {
	struct nestfd_viommu base;
	struct vtd_front *front; /* changes only in a reset */
	struct vtd_id id;
	uint32_t parent_ioas; /* 0: no shadows */
	uint32_t block_ioas;
	uint32_t entry_size; /* of an invalidation */
	pthread_mutex_t lock;
	struct itree devices;
	struct itree spaces; /* NESTED, by_id */
	struct itree shadows;
	struct vvtd_space_list dirty_spaces;
	struct vvtd_shadow_list dirty_shadows;
	struct vvtd_device_list troubled;
	uint64_t span;	/* number of the span being consumed, from 1 */
	uint64_t whole; /* the last one that looked at all of all devices */
	uint32_t named; /* PASIDs that this one has followed singly */
	uint64_t cover; /* moves with @span, and when a device is silent */
	struct vvtd_covered covered[VVTD_COVERED + 1]; /* by did; of all */
	uint64_t look;
	uint32_t stale; /* spaces that have such ranges */
	uint32_t maps;
	uint32_t tables; /* that may still be read for this span */
};

static inline struct vvtd *to_vvtd(struct nestfd_viommu *viommu)
{
	return (struct vvtd *)viommu;
}

/*
 * id.c: what the guest may see of the host's CAP and ECAP, no better than
 * @wanted (all 0: any). -EOPNOTSUPP: nothing can be offered
 */
struct vvtd_host {
	uint64_t cap;
	uint64_t ecap;
	bool shadows; /* second-stage tables can be followed */
	bool ats;
	bool pasids;
};
int vvtd_id(const struct vvtd_host *host, uint64_t cap, uint64_t ecap,
	    struct vtd_id *id);

/* tables.c */
struct vvtd_context {
	bool scalable;
	bool ats;
	uint32_t pasids; /* how many the directory has; 0: without PASIDs */
	uint32_t rid_pasid;
	uint64_t directory;
	struct vvtd_want rid; /* unless scalable */
};

/* What a device's context entry says; false: its requests are blocked. */
bool vvtd_context_load(struct vvtd *vvtd, const struct vtd_regs *regs,
		       uint16_t sid, struct vvtd_context *context);

/* The entry of one PASID; BLOCK if there is none that is valid. */
void vvtd_pasid_load(struct vvtd *vvtd, const struct vvtd_context *context,
		     uint32_t pasid, struct vvtd_want *want);

/*
 * Calls @found for each present entry, valid or not, in the order of PASIDs;
 * it returns false to end this.
 */
void vvtd_pasids_load(struct vvtd *vvtd, const struct vvtd_context *context,
		      bool (*found)(void *ctx, uint32_t pasid,
				    const struct vvtd_want *want),
		      void *ctx);

/*
 * space.c, all with the lock held. Following fails only if something that the
 * guest has given up is still in use; what the host refuses is blocked.
 */
struct vvtd_device *vvtd_device_find(struct vvtd *vvtd, uint16_t sid);
/* Not the RID's; NULL */
struct vvtd_space *vvtd_space_find(const struct vvtd_device *device,
				   uint32_t pasid);
int vvtd_device_follow(struct vvtd *vvtd, struct vvtd_device *device);
int vvtd_device_follow_pasid(struct vvtd *vvtd, struct vvtd_device *device,
			     uint32_t pasid);
int vvtd_follow_all(struct vvtd *vvtd);
int vvtd_device_start(struct vvtd *vvtd, struct vvtd_device *device);
/* Attached to the parent, and nothing of this viommu's is in use. */
void vvtd_device_end(struct vvtd *vvtd, struct vvtd_device *device);

/* stale.c, with the lock held: an invalidation has failed; one has succeeded */
void vvtd_stale_add(struct vvtd *vvtd, struct vvtd_space *space, uint64_t first,
		    uint64_t last);
void vvtd_stale_remove(struct vvtd *vvtd, struct vvtd_space *space,
		       uint64_t first, uint64_t last);

/*
 * command.c: a span begins, or what is followed without one, with the lock
 * held; the front's sinks
 */
void vvtd_begin(struct vvtd *vvtd);
struct vtd_consumed vvtd_consume(void *ctx, const uint64_t (*descs)[4],
				 uint32_t n);
unsigned int vvtd_invalidate(void *ctx, const struct vtd_desc *desc);

/* shadow.c, all with the lock held */

/* One with nothing in it */
int vvtd_ioas_alloc(struct vvtd *vvtd, uint32_t *ioas_id);

/* The shadow of that table, whole; NULL, *@rc: why not */
struct vvtd_shadow *vvtd_shadow_get(struct vvtd *vvtd,
				    const struct vvtd_want *want, int *rc);
void vvtd_shadow_put(struct vvtd *vvtd, struct vvtd_shadow *shadow);
/* Command @at invalidates [first, last]. */
void vvtd_shadow_invalidate(struct vvtd *vvtd, struct vvtd_shadow *shadow,
			    uint64_t first, uint64_t last, uint32_t at);
/*
 * Does so. Fails only if what the guest has taken away could not be; what
 * cannot be added is left out.
 */
int vvtd_shadow_sync(struct vvtd *vvtd, struct vvtd_shadow *shadow);

#endif
