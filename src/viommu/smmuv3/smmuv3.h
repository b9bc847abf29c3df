/* SPDX-License-Identifier: MIT */
/*
 * The virtual SMMUv3. Its front is what the guest sees; commands come back
 * from it through consume() in command.c, or are taken out of the guest's
 * queue in ring.c; the guest's stream table is followed by stream.c, events are
 * put into the guest's words by event.c.
 *
 * Locks: @lock guards the streams and the page tables made for them. The host
 * is called with it held, the VMM (struct nestfd_guest) never: what the guest's
 * memory says is read without it, see struct vsmmu_look. What an event needs of
 * a stream (that it is there, and what it is attached to) changes with
 * @event_lock held as well, so that who delivers events need not wait for the
 * commands of a guest; nothing is called with it held. @run, @syncs, @ring and
 * what is said so belong to the consuming thread.
 */
#ifndef VIOMMU_SMMUV3_SMMUV3_H
#define VIOMMU_SMMUV3_SMMUV3_H

#include <pthread.h>

#include "base/itree.h"
#include "base/le.h"
#include "front/smmuv3/front.h"
#include "viommu/run.h"
#include "viommu/viommu.h"

/* What a stream is attached to */
enum vsmmu_kind {
	VSMMU_NOTHING,
	VSMMU_ABORT,
	VSMMU_BYPASS,
	VSMMU_NESTED,
	VSMMU_INVALID, /* aborts, and the guest is told of each access */
};

/* What the guest's tables ask for: the part of the STE that goes down */
struct vsmmu_want {
	enum vsmmu_kind kind;
	uint8_t event;	/* INVALID: what the guest is told (7.3) */
	uint64_t fetch; /* its address, if that is F_STE_FETCH */
	uint64_t ste[2];
};

/*
 * A look at what the guest's tables ask for @sid. They are read between two
 * moments at which the lock is held, and others may look at the same time: of
 * two looks the one that began later counts, since it has seen all that the
 * other had to see.
 */
struct vsmmu_look {
	uint32_t sid;
	uint64_t number; /* of all looks, in the order in which they began */
	struct vsmmu_want want;
};

#define VSMMU_GROUPS 512u /* of page requests, of one stream */

struct vsmmu_stream {
	struct itree_node node; /* first == last == vSID */
	struct nestfd_viommu_device device;
	uint32_t vdevice_id;
	uint32_t hwpt_id;      /* made for this stream; 0: a shared one */
	struct vsmmu_want now; /* @event_lock */
	uint64_t looked;       /* when the look began that @now is of */
	uint64_t span;	       /* the last span of commands that looked at it */
	uint32_t *waiting;     /* with PRI: cookies of groups, 0: @event_lock */
};

#define VSMMU_PASS_FIRST 8u /* vsmmu_ring.pass while all goes well */

/* The guest's own queue as the backend sees it; ring.c */
struct vsmmu_ring {
	bool on;
	/* What was last asked of the streams, as a hint: is there a @sid? */
	bool asked;
	bool known;
	uint32_t sid;
	uint32_t pass; /* how many commands the VMM does at the next stop */
	uint32_t left; /* of a doorbell's commands: what comes is no new one */
};

/*
 * Where commands are: copied by the front, or where the guest has put them, in
 * its queue. Command 0 is at @start.
 */
struct vsmmu_source {
	const uint64_t *words;
	uint32_t mask;
	uint32_t start;
	bool in_cpu_order;
};

/* One access: in a queue it may be another one the next time. */
static inline uint64_t vsmmu_word(const struct vsmmu_source *from,
				  uint32_t index, int dw)
{
	const uint64_t *at =
		from->words + 2 * (size_t)((from->start + index) & from->mask);
	uint64_t word = __atomic_load_n(at + dw, __ATOMIC_RELAXED);

	return from->in_cpu_order ? word : le64toh(word);
}

/* CMD_SYNCs that wait for the run which they stand in; command.c */
struct vsmmu_sync {
	uint32_t at; /* in the span */
	uint64_t dw[2];
};

struct vsmmu_syncs {
	uint32_t n;
	uint32_t room; /* never 0 */
	struct vsmmu_sync *sync;
};

struct iommu_hwpt_pgfault;

/* Page requests; pri.c */
struct vsmmu_pri {
	bool on;     /* fixed, as the next three */
	bool stalld; /* the host's CDs must be kept from stalling */
	uint32_t fault_id;
	int fd;
	struct iommu_hwpt_pgfault *faults; /* who pumps */
	size_t room;
	pthread_mutex_t lock; /* outside event_lock; see pri.c */
};

struct vsmmu {
	struct nestfd_viommu base;
	struct smmuv3_front *front;
	struct smmuv3_id id;
	pthread_mutex_t lock;
	pthread_mutex_t event_lock; /* innermost */
	struct itree streams;
	uint64_t looks; /* begun */
	uint32_t abort_hwpt;
	uint32_t bypass_hwpt;
	uint32_t invalid_hwpt;
	struct viommu_run run;
	struct vsmmu_syncs syncs;
	struct vsmmu_ring ring;
	struct vsmmu_pri pri;
	uint64_t span; /* number of the span being consumed, from 1 */
	/*
	 * A device did not answer an ATC_INV: the next CMD_SYNC must say so.
	 * Only a reset forgets it: a CMD_SYNC vouches for all commands consumed
	 * before it, and toggling CMDQEN or moving the indices takes none back.
	 * The consuming thread's.
	 */
	bool atc_failed;
};

static inline struct vsmmu *to_vsmmu(struct nestfd_viommu *viommu)
{
	return (struct vsmmu *)viommu;
}

/* id.c: what the guest may see of @host, no better than @wanted (all 0: any) */
void vsmmu_id(const struct smmuv3_id *host, const uint32_t wanted[6], bool pri,
	      struct smmuv3_id *id);

/*
 * id.c: whether a host driver that goes by its own registers judges commands as
 * the guest's registers demand
 */
bool vsmmu_id_fits_ring(const struct smmuv3_id *host,
			const struct smmuv3_id *guest);

/* SMMUEN of the guest's CR0 */
bool vsmmu_is_enabled(const struct vsmmu *vsmmu);

/* What CMDQ_CONS.ERR says of a failed call (SMMUV3_CERROR_*) */
uint32_t vsmmu_cerror(int rc, const struct relay_outcome *outcome);

/* ring.c: the front's sink for commands that stay where they are */
struct smmuv3_taken vsmmu_consume_queue(void *ctx,
					const struct smmuv3_queue *queue);

/*
 * event.c: one record of the host's queue in the guest's terms; false if the
 * guest would not have been told.
 */
bool vsmmu_event_translate(struct vsmmu *vsmmu, uint64_t rec[4]);

/* pri.c: a fault queue, if the guest has PRI; no stream is there (any more) */
int vsmmu_pri_start(struct vsmmu *vsmmu, const struct smmuv3_id *host);
void vsmmu_pri_stop(struct vsmmu *vsmmu);
int vsmmu_pri_pump(struct nestfd_viommu *viommu);
struct smmuv3_cmd;
void vsmmu_pri_response(struct vsmmu *vsmmu, const struct smmuv3_cmd *cmd);
/* Attaches it: what came before is the guest's to answer no more */
int vsmmu_pri_attach(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
		     uint32_t hwpt_id);
/* What the guest has not answered it never will; with the lock held */
void vsmmu_pri_forget(struct vsmmu *vsmmu);

/* command.c: the front's sink */
struct smmuv3_consumed vsmmu_consume(void *ctx, const uint64_t (*cmds)[2],
				     uint32_t n);
/* The same for commands that may be still where the guest has put them */
struct smmuv3_consumed vsmmu_consume_from(struct vsmmu *vsmmu,
					  const struct vsmmu_source *from,
					  uint32_t n);

/* stream.c, with the lock held */
struct vsmmu_stream *vsmmu_stream_find(struct vsmmu *vsmmu, uint32_t vsid);
int vsmmu_hwpt_alloc(struct vsmmu *vsmmu, uint32_t dev_id,
		     const uint64_t ste[2], uint32_t *hwpt_id);

/* Puts it among the others, attached to nothing yet; @look is the first one. */
void vsmmu_stream_insert(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
			 struct vsmmu_look *look);

/*
 * stream.c, without the lock: a look at the first stream in [first, last] that
 * @span has not looked at yet (0: at any). False: there is none.
 */
bool vsmmu_look(struct vsmmu *vsmmu, uint32_t first, uint32_t last,
		uint64_t span, struct vsmmu_look *look);
/* The reading */
void vsmmu_look_read(struct vsmmu *vsmmu, struct vsmmu_look *look);

/* What is to be done for a stream that has been looked at */
enum vsmmu_news {
	VSMMU_NO_NEWS,
	VSMMU_SAME_CDS, /* nothing, but it has CDs, in caches */
	VSMMU_NEWS,	/* vsmmu_follow() */
};
enum vsmmu_news vsmmu_news(struct vsmmu *vsmmu, const struct vsmmu_look *look);

/*
 * Makes it so, unless the stream has gone or a later look counts. When the host
 * cannot do it the stream is blocked, or ended if @look was its first.
 */
int vsmmu_follow(struct vsmmu *vsmmu, const struct vsmmu_look *look);

/* Follow the guest's registers and tables for every stream. */
void vsmmu_refresh(struct vsmmu *vsmmu);

/* smmuv3.c: with the lock held, its end without anything attached */
void vsmmu_stream_discard(struct vsmmu *vsmmu, struct vsmmu_stream *stream);

#endif
