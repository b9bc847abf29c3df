/* SPDX-License-Identifier: MIT */
/*
 * The virtual VT-d unit. Its front is what the guest sees; descriptors come
 * back from it through consume() in command.c. tables.c reads what the guest's
 * tables say, space.c makes it so with HWPTs, shadow.c keeps an IOAS like a
 * guest's second-stage table.
 *
 * A *space* is what a device's requests are translated by: one for requests
 * without PASID, and one for each PASID whose entry is present. A *shadow* is
 * an IOAS that is kept like a guest's second-stage table. A *domain* is a
 * domain id that a shadow is used with: by one table several may translate.
 *
 * Locks: @lock guards all of struct vvtd but what is fixed. It is taken inside
 * the front's consumption, and not held while a wait completes. Tables are read
 * with it held, and who lends guest memory may call back: a thread that is
 * inside already does not take it, and what it changes is followed when it
 * leaves (vvtd_enter()). What is said to be of a span belongs to the consuming
 * thread or who invalidates by registers, with the lock held.
 *
 * What one access of the guest's to the registers may cost is the *slice*,
 * however many spans it consumes. When it is spent, what is left of the queue
 * waits for the next access: IQH stays in front of it, and no wait completes
 * behind a change that is not carried out yet. What belongs together then is a
 * *piece* of work: from a doorbell until nothing is left. Functions that stop
 * for the slice return VVTD_LEFT.
 */
#ifndef VIOMMU_VTD_VTD_H
#define VIOMMU_VTD_VTD_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/itree.h"
#include "front/vtd/decode.h"
#include "front/vtd/front.h"
#include "viommu/run.h"
#include "viommu/viommu.h"

/* Bounds on what a guest's tables can cost; docs/testing-a-vmm.md */
#define VVTD_PASIDS 4096u      /* spaces of one device */
#define VVTD_MAPS   (1u << 18) /* leaves in all shadows */
#define VVTD_TABLES (1u << 16) /* second-stage tables read for one piece */
#define VVTD_TRIES  (1u << 19) /* leaves mapped, or refused, for one piece */
#define VVTD_NAMED  256u       /* PASIDs that one span follows singly */
#define VVTD_VISITS (1u << 17) /* shadows that one span visits for pages */

/* Of a slice, in about eighths of a microsecond of nestfd's own host */
#define VVTD_SLICE	(1u << 19)
#define VVTD_NO_SLICE	UINT32_MAX
#define VVTD_COST_CALL	16u /* of the host: a leaf mapped, a HWPT ... */
#define VVTD_COST_MAP	4u  /* one of those that one call takes away */
#define VVTD_COST_TABLE 8u  /* one that is read */
#define VVTD_COST_ENTRY 1u  /* of a directory */
#define VVTD_COST_PASID 2u  /* an entry that is looked at */
#define VVTD_LEAVES_FOR 4u  /* so many leaves are compared for 1 */
#define VVTD_INVALS_FOR 2u  /* so many entries are forgotten for 1 */
#define VVTD_VISITS_FOR 4u  /* so many shadows are visited for 1 */

#define VVTD_LEFT	1

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

struct vvtd_device;
struct vvtd_leaves;

struct vvtd_shadow {
	struct itree_node by_root; /* first == last == root | levels */
	TAILQ_ENTRY(vvtd_shadow) dirty_link;
	bool dirty;  /* has @ranges */
	bool unsure; /* which of @maps are still there */
	uint8_t levels;
	uint64_t root;
	uint32_t ioas_id;
	uint32_t users; /* domains */
	uint32_t nmaps;
	/* whose reserved addresses it leaves out; NULL: anybody's */
	const struct vvtd_device *owner;
	struct itree maps; /* struct map of shadow.c */
	struct vvtd_ranges ranges;
};

struct vvtd_domain {
	struct itree_node by_id; /* did << 32 | ioas_id */
	struct vvtd_shadow *shadow;
	uint32_t users; /* spaces */
};

/* Ranges of a space that its device's TLB may still hold, inclusive */
#define VVTD_STALE 8u
struct vvtd_stale {
	uint32_t count;
	uint64_t first[VVTD_STALE];
	uint64_t last[VVTD_STALE];
};

struct vvtd_space {
	struct itree_node by_pasid; /* in the device; not the RID's */
	struct itree_node by_id;    /* NESTED: did << 20 | pasid */
	TAILQ_ENTRY(vvtd_space) dirty_link;
	bool dirty;	 /* has something in @run */
	bool everything; /* and that is all there is to forget */
	bool rid;
	struct vvtd_device *device;
	uint32_t pasid;
	uint32_t hwpt_id;	    /* made for it; 0: none */
	struct vvtd_domain *domain; /* SHADOW */
	struct vvtd_want now;
	uint64_t look; /* the last look at its device that found it */
	struct viommu_run run;
	struct vvtd_stale stale;
	struct vvtd_want refused; /* by the host, in piece @refused_in */
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

/*
 * A slice was spent at the device @from while all of them followed command @at,
 * which then is the queue's head; 0: not
 */
struct vvtd_paused {
	uint32_t from;
	uint32_t at;
	uint32_t type;
	uint32_t gran;
	uint32_t sid;
};

struct vvtd {
	struct nestfd_viommu base;
	struct vtd_front *front; /* changes only in a reset */
	struct vtd_id id;
	uint32_t parent_ioas; /* 0: no shadows */
	uint32_t block_ioas;
	uint32_t entry_size; /* of an invalidation */
	pthread_mutex_t lock;
	_Atomic(const char *) holder; /* whose thread has it */
	bool changed_inside;	      /* by it, through a callback */
	bool rang_inside;
	struct itree devices;
	struct itree spaces;  /* NESTED, by_id */
	struct itree shadows; /* by_root */
	struct itree domains; /* by_id */
	struct vvtd_space_list dirty_spaces;
	struct vvtd_shadow_list dirty_shadows;
	struct vvtd_device_list troubled;
	uint64_t span;	 /* number of the span being consumed, from 1 */
	uint64_t whole;	 /* the last one that looked at all of all devices */
	uint32_t named;	 /* PASIDs that this one has followed singly */
	uint32_t visits; /* of shadows, for pages */
	uint32_t at;	 /* the command that is being followed */
	uint64_t cover;	 /* moves with @span, and when a device is silent */
	struct vvtd_covered covered[VVTD_COVERED + 1]; /* by did; of all */
	uint64_t look;
	uint32_t stale; /* spaces that have such ranges */
	uint32_t maps;
	struct vvtd_leaves *leaves; /* of the shadow being synced */
	uint64_t piece;		    /* its number */
	uint32_t tables;	    /* that may still be read for it */
	uint32_t tries;		    /* leaves that may still be mapped for it */
	uint32_t slice;		    /* what is left of it, in a span */
	uint32_t rest;		    /* likewise, between them: of @access */
	const struct vvtd *access_of; /* whose number @access is */
	uint64_t access;
	_Atomic uint64_t accesses; /* so many were begun */
	bool unfinished;	   /* the piece is */
	struct vvtd_paused paused;
	_Atomic bool left; /* until the guest's next access */
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
	uint32_t pasids; /* below this; 0: without PASIDs */
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
 * it returns false to end this. 0, VVTD_LEFT
 */
int vvtd_pasids_load(struct vvtd *vvtd, const struct vvtd_context *context,
		     bool (*found)(void *ctx, uint32_t pasid,
				   const struct vvtd_want *want),
		     void *ctx);

/*
 * space.c, all with the lock held. Following fails only if something that the
 * guest has given up is still in use; what the host refuses is blocked. Or it
 * returns VVTD_LEFT.
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

/*
 * trouble.c, with the lock held: command @at met it; all that was met is of
 * commands in front of those that now come; nothing of it is to be told
 */
void vvtd_trouble_note(struct vvtd *vvtd, struct vvtd_device *device,
		       struct vvtd_trouble *trouble, uint32_t at);
void vvtd_trouble_age(struct vvtd *vvtd);
void vvtd_trouble_forget(struct vvtd *vvtd);
/* Without the lock: the guest's own device-TLB invalidation */
void vvtd_trouble_meet(struct vvtd *vvtd, uint16_t sid, uint32_t at);
/* Likewise: one that is due before @at, and not any more then; false: none */
bool vvtd_trouble_take(struct vvtd *vvtd, bool ice, uint32_t at, uint16_t *sid);

/* stale.c, with the lock held: an invalidation has failed; one has succeeded */
void vvtd_stale_add(struct vvtd *vvtd, struct vvtd_space *space, uint64_t first,
		    uint64_t last);
void vvtd_stale_remove(struct vvtd *vvtd, struct vvtd_space *space,
		       uint64_t first, uint64_t last);

/*
 * command.c: a span begins, or what is followed without one, with the lock
 * held. All shadows as the guest's tables say, whatever it costs. The front's
 * sinks
 */
void vvtd_begin(struct vvtd *vvtd);
void vvtd_sync_shadows(struct vvtd *vvtd);
struct vtd_consumed vvtd_consume(void *ctx, const uint64_t (*descs)[4],
				 uint32_t n);
unsigned int vvtd_invalidate(void *ctx, const struct vtd_desc *desc);

/*
 * vtd.c: takes the lock, unless this very thread has it and is back through a
 * callback: false.
 */
bool vvtd_enter(struct vvtd *vvtd);
void vvtd_leave(struct vvtd *vvtd);

/* Likewise, with the lock held: this access has consumed nothing yet. */
bool vvtd_is_new_access(struct vvtd *vvtd);

/* A call of the host's, or what costs as much */
static inline void vvtd_spend(struct vvtd *vvtd, uint32_t cost)
{
	if (vvtd->slice != VVTD_NO_SLICE)
		vvtd->slice -= vvtd->slice > cost ? cost : vvtd->slice;
}

int vvtd_call(struct vvtd *vvtd, unsigned long cmd, void *arg);
void vvtd_destroy_object(struct vvtd *vvtd, uint32_t id);

/* leaves.c: what a guest's second-stage table says */
struct vvtd_leaf {
	uint64_t first;
	uint64_t last;
	uint64_t gpa;
	uint32_t perm; /* IOMMU_IOAS_MAP_* */
	bool is_there; /* in the shadow */
};

#define VVTD_LEAVES 1024u

/* Leaves of [first, last], in order; too much for a stack */
struct vvtd_leaves {
	uint64_t first;
	uint64_t last;
	uint64_t next; /* LEFT: where to go on */
	uint32_t count;
	struct vvtd_leaf leaf[VVTD_LEAVES];
};

/*
 * Fills vvtd->leaves, of which the caller has set @first and @last, from the
 * table at @root. 0; VVTD_LEFT: with all in front of @next; -ENOSPC: too many
 * tables
 */
int vvtd_leaves_load(struct vvtd *vvtd, uint64_t root, unsigned int levels);

/* shadow.c, all with the lock held */

/* One with nothing in it */
int vvtd_ioas_alloc(struct vvtd *vvtd, uint32_t *ioas_id);

/*
 * That domain, with the shadow of its table, as far as the slice has allowed;
 * NULL, *@rc: why not. With @owner the table is shared with none but spaces of
 * that device, and a new shadow is empty until it is synced.
 */
struct vvtd_domain *vvtd_domain_get(struct vvtd *vvtd,
				    const struct vvtd_want *want,
				    const struct vvtd_device *owner, int *rc);
void vvtd_domain_put(struct vvtd *vvtd, struct vvtd_domain *domain);
bool vvtd_has_own_shadow(const struct vvtd *vvtd, const struct vvtd_want *want,
			 const struct vvtd_device *owner);
/* Command @at invalidates [first, last]. */
void vvtd_shadow_invalidate(struct vvtd *vvtd, struct vvtd_shadow *shadow,
			    uint64_t first, uint64_t last, uint32_t at);
/*
 * Does so, VVTD_LEFT: in part. Fails only if what the guest has taken away
 * could not be, and stays dirty then; what cannot be added is left out.
 */
int vvtd_shadow_sync(struct vvtd *vvtd, struct vvtd_shadow *shadow);

#endif
