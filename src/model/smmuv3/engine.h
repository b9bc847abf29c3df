/* SPDX-License-Identifier: MIT */
/*
 * The engine of the SMMUv3 model: what its parts share. For model/smmuv3 only.
 *
 * Vocabulary: a *context* is the configuration of one (StreamID, SubstreamID)
 * as a transaction needs it, made of a cached STE and a cached CD; a *visit* is
 * one transaction on its way; a *slot* is what one thread keeps in a port, so
 * that threads share nothing while they hit.
 *
 * Locks, in this order: model.ports_lock, port.lock; the others (mode, stalls,
 * events, history) alone. None but mode_lock is held while the front is called,
 * none at all while memory of clients is read or a grace period is awaited.
 */
#ifndef MODEL_SMMUV3_ENGINE_H
#define MODEL_SMMUV3_ENGINE_H

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/reader.h"
#include "base/spin.h"
#include "front/smmuv3/decode.h"
#include "front/smmuv3/front.h"
#include "iotlb/iotlb.h"
#include "mem/phys.h"
#include "model/inject.h"
#include "model/model.h"
#include "model/smmuv3/config.h"
#include "model/smmuv3/event.h"
#include "model/smmuv3/model.h"
#include "model/smmuv3/walk.h"

#define PORT_SLOTS    4u
#define RECENT	      1024u
#define SSID_LEAF     1024u
#define NO_STAG	      0xffffu /* a stall for which no STAG was left */
#define REGIME_NONE   0xffu
#define HISTORY_COUNT 4096u

/* struct iotlb_entry.attrs: sets of PERM_PRIV_R ..., and the rest */
#define ATTR_READY	GENMASK_ULL(7, 0)
#define ATTR_ALLOWED	GENMASK_ULL(15, 8)  /* of the leaf at @leaf */
#define ATTR_ALLOWED_S2 GENMASK_ULL(23, 16) /* of stage 2 below it, or all */
#define ATTR_HOST_R	BIT_ULL(24)	    /* @host may be read */
#define ATTR_HOST_W	BIT_ULL(25)
#define ATTR_CONT	BIT_ULL(26)
#define ATTR_DEVICE	BIT_ULL(27)
#define ATTR_ASET	BIT_ULL(28)	  /* of the CD that cached it */
#define ATTR_TABLE	GENMASK_ULL(7, 0) /* table entries: SMMUV3_TABLE_* */

/* struct smmuv3_model.mode */
enum engine_mode {
	MODE_BYPASS, /* SMMUEN is 0: GBPA decides */
	MODE_ABORT,
	MODE_TRANSLATE,
};

/* A level-1 context descriptor; @addr: where STE and stage 1 say it lies */
struct l1cd {
	uint64_t addr;
	uint64_t value;
	uint64_t serial;
};

struct context {
	struct grace_head free;
	struct context *next; /* of the port; under its lock */
	struct context **link;
	enum smmuv3_path path;
	uint8_t regime;	 /* REGIME_NONE: not cached, see path */
	bool plain;	 /* a cached page is all there is to a hit (hit.h) */
	uint8_t bits[8]; /* access bit by MODEL_WRITE, _PRIV, _EXEC */
	uint16_t vmid;
	uint32_t asid;
	uint64_t tag;	/* regime, vmid and asid in one; not 0 */
	uint32_t pasid; /* MODEL_NO_PASID */
	uint32_t ssid;	/* of the CD, if has_s1 */
	bool has_stream;
	bool has_s1;
	bool cached;	 /* some of it came from a cache */
	uint64_t serial; /* the oldest part's */
	struct smmuv3_stream stream;
	struct smmuv3_s1 s1;
	/* By what the CD was found, for the checker; policy hostile */
	uint64_t cd_serial;
	bool has_l1cd; /* a cached one */
	bool has_entry;
	struct l1cd l1cd;
	struct iotlb_entry entry; /* of stage 2, the oldest; not when cached */
};

/* A cached STE. */
struct stream_entry {
	struct grace_head free;
	uint64_t serial;
	struct smmuv3_stream stream;
};

/*
 * A translation the thread has lately used: what iotlb_lookup() would find, as
 * long as model.forgotten is still the same. All zero is empty.
 */
struct recent {
	uint64_t tag; /* context.tag */
	uint64_t forgotten;
	uint64_t iova;
	uint64_t out;
	char *host;
	uint64_t cookie;
	uint32_t attrs;
	uint8_t size_lg2;
};

/* Of one thread; @owner is its address of a thread-local variable. */
struct slot {
	const void *owner; /* atomic */
	uint32_t seq;	   /* atomic; odd: a DMA is on its way */
	bool crowd;	   /* a spare one, counted in port.crowd */
	uint64_t hits;	   /* atomic, this thread's */
	uint64_t misses;
	struct recent *recent; /* [RECENT], or NULL */
	struct recent last;    /* where there are none */
	struct walk_recents tables;
	struct phys_cursor data;
	struct walk_cursors walk;
} __attribute__((aligned(128)));

struct smmuv3_port {
	struct smmuv3_model *model;
	uint32_t failed;	  /* atomic: stuck (exec.c) or gone: no DMA, no
				   * answers */
	struct context *ctx;	  /* RCU: without PASID */
	struct context ***pasids; /* RCU: [1024] of [1024]; NULL: none */
	struct slot slot[PORT_SLOTS];
	uint32_t crowd; /* atomic: DMAs of threads that have no slot */

	struct model_port_config config;
	struct grace_head free;
	struct iotlb *atc;   /* NULL: no ATS */
	uint64_t crowd_hits; /* atomic */
	uint64_t crowd_misses;

	uint32_t lock;		     /* base/spin.h */
	uint64_t config_seq;	     /* atomic; moved by CFGI under the lock */
	struct stream_entry *stream; /* RCU */
	struct context *contexts;
	struct {
		bool valid;
		uint64_t addr;
		uint64_t value;
	} l1std;		    /* under the lock; policy hostile */
	struct l1cd_cache *l1cds;   /* likewise; NULL until there is one */
	uint32_t noted[PORT_SLOTS]; /* the command consumer's, see exec.c */
	uint32_t noted_crowd;
	uint64_t last_event[4]; /* under model.event_lock */
	uint64_t last_event_epoch;
};

/* What software has said of a stalled transaction, or not yet */
enum stall_state {
	STALL_WAITS,
	STALL_RETRY,
	STALL_ABORT,
	STALL_RAZ, /* it ends as if done: RAZ/WI */
};

struct stall {
	struct smmuv3_port *port; /* NULL: free */
	enum stall_state state;
	bool reported;	/* its event is in the queue */
	uint64_t syncs; /* model.syncs when it faulted */
	uint64_t rec[4];
};

/* The last commands, for the checker; policy hostile. */
struct history {
	pthread_mutex_t lock;
	uint64_t count; /* record n is [(n - 1) % HISTORY_COUNT], from 1 */
	struct smmuv3_cmd cmd[HISTORY_COUNT];
};

struct smmuv3_model {
	struct model base;
	struct model_host host;
	struct smmuv3_id id;
	struct smmuv3_front *front;
	struct iotlb *tlb;
	bool hostile;
	bool has_s2;
	uint8_t oas_bits;
	uint64_t sync_timeout_ns;

	uint32_t mode; /* atomic: enum engine_mode */
	/*
	 * Atomic: odd while a TLBI removes entries, then even and new. What is
	 * found in the cache may be remembered, or serve to make other entries,
	 * only if this was even before it was looked for: otherwise it may be
	 * about to be removed, and what is made of it would outlive it.
	 */
	uint64_t forgotten;
	/*
	 * Atomic: TLBIs that reach more than leaves of stage 1. Moves while
	 * @forgotten is odd, and is loaded before it.
	 */
	uint64_t forgotten_tables;
	uint64_t serial; /* atomic: commands consumed */
	uint64_t syncs;	 /* atomic, as all counters */
	uint64_t events;
	uint64_t events_lost;
	uint64_t stale;
	uint64_t hits_gone; /* of ports that were removed */
	uint64_t misses_gone;

	/* the thread that consumes commands */
	struct phys_cursor queue;
	bool pending;	 /* something was invalidated since the last wait */
	bool atc_failed; /* the next sync fails */
	uint64_t hold;	 /* no sync completes before: inject_deadline(), or 0 */
	struct inject inject;
	struct history *history;

	pthread_mutex_t ports_lock;
	struct smmuv3_port **ports; /* sorted by StreamID */
	size_t port_count;
	size_t port_room;

	pthread_mutex_t mode_lock;

	pthread_mutex_t stall_lock;
	struct stall *stalls; /* [stall_max] */
	uint32_t stall_max;
	uint32_t stall_used;
	uint32_t stall_next;

	pthread_mutex_t event_lock;
	uint64_t event_epoch; /* atomic; moves with the queue's consumer */
};

/* What became of a visit. */
struct result {
	bool ok;
	bool hit;
	bool bypass;
	bool used;     /* something cached had a part in it */
	uint8_t ready; /* if ok: PERM_PRIV_R ... */
	uint8_t allowed;
	uint8_t size_lg2;
	uint64_t pa;
	uint64_t ipa;
	void *host;		   /* usable for this access */
	struct smmuv3_fault fault; /* if not ok */
	bool has_entry;
	struct iotlb_entry entry; /* the oldest cache entry at work, if any */
};

struct visit {
	struct smmuv3_model *model;
	struct smmuv3_port *port;
	struct slot *slot;
	const struct model_access *access;
	/* Not NULL: hit_find() has looked for the access, the cache has none.
	 */
	const struct context *missed;
	uint64_t len; /* of a translation request, in bytes */
	bool quiet;
	bool raz; /* out: ends as RAZ/WI */
};

static inline struct smmuv3_model *to_engine(struct model *model)
{
	return (struct smmuv3_model *)model;
}

static inline struct smmuv3_port *to_port(struct model_port *port)
{
	return (struct smmuv3_port *)port;
}

static inline void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static inline uint64_t counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Counters that one thread writes at a time: no atomic addition is needed. */
static inline void count_own(uint64_t *counter)
{
	__atomic_store_n(counter, counted(counter) + 1, __ATOMIC_RELAXED);
}

/* id.c */
int engine_id_check(const struct smmuv3_id *id);

/* port.c */
extern __thread char slot_self;
struct slot *slot_enter_slow(struct smmuv3_port *port, struct slot *spare);
void slot_leave_spare(struct smmuv3_port *port, const struct slot *slot);

static inline void slot_seq_move(struct slot *slot)
{
	uint32_t seq = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED);

	__atomic_store_n(&slot->seq, seq + 1, __ATOMIC_RELAXED);
}

/* Marks a DMA as under way; @spare is used where no slot is to be had. */
static inline struct slot *slot_enter(struct smmuv3_port *port,
				      struct slot *spare)
{
	for (unsigned int n = 0; n < PORT_SLOTS; n++) {
		struct slot *slot = &port->slot[n];

		if (__atomic_load_n(&slot->owner, __ATOMIC_RELAXED) !=
		    &slot_self)
			continue;
		if (__atomic_load_n(&slot->seq, __ATOMIC_RELAXED) & 1)
			break;
		slot_seq_move(slot);
		return slot;
	}
	return slot_enter_slow(port, spare);
}

static inline void slot_leave(struct smmuv3_port *port, struct slot *slot,
			      const struct slot *spare)
{
	if (slot == spare)
		slot_leave_spare(port, slot);
	else
		slot_seq_move(slot);
}

int port_add(struct model *model, const struct model_port_config *config,
	     struct model_port **port);
void port_remove(struct model_port *port);
void port_reset(struct model_port *port);
/* The index of the first port with a StreamID >= @sid; under ports_lock. */
size_t port_find(const struct smmuv3_model *m, uint32_t sid);
void port_free_all(struct smmuv3_model *m);
uint64_t port_hits(const struct smmuv3_port *port);
uint64_t port_misses(const struct smmuv3_port *port);

/*
 * context.c. The context of @pasid: cached, or loaded into *tmp (and cached,
 * unless the visit is quiet). NULL: *fault says why; then tmp->stream may be
 * valid (tmp->has_stream). @cold looks at memory only.
 */
const struct context *context_get(struct visit *v, bool cold,
				  struct context *tmp,
				  struct smmuv3_fault *fault);
/* The cached STE or a fresh one; false: *fault. *serial: when cached, or ~0 */
bool context_stream(struct visit *v, bool cold, struct smmuv3_stream *stream,
		    uint64_t *serial, struct smmuv3_fault *fault);
void context_input(const struct visit *v, struct smmuv3_input *in);

static inline const struct context *context_cached(struct smmuv3_port *port,
						   uint32_t pasid)
{
	struct context ***top;
	struct context **leaf;

	if (pasid == MODEL_NO_PASID)
		return reader_load(&port->ctx);
	top = reader_load(&port->pasids);
	if (!top || pasid >= SSID_LEAF * SSID_LEAF)
		return NULL;
	leaf = reader_load(&top[pasid / SSID_LEAF]);
	return leaf ? reader_load(&leaf[pasid % SSID_LEAF]) : NULL;
}

void context_drop_stream(struct smmuv3_port *port, bool leaf);
void context_drop_l1std(struct smmuv3_port *port);
void context_drop_cd(struct smmuv3_port *port, uint32_t ssid, bool leaf);
void context_drop_cds(struct smmuv3_port *port);
void context_free_all(struct smmuv3_port *port);
/*
 * What *ctx is if its STE is as it says, whatever the STE's memory says now,
 * and all the rest is as in memory; false: *fault.
 */
bool context_reload(struct visit *v, struct context *ctx,
		    struct smmuv3_fault *fault);

/* l1cd.c; @index: SubstreamID >> @split */
bool l1cd_find(struct smmuv3_port *port, uint32_t index, uint64_t addr,
	       struct l1cd *l1cd);
/* Not if a CFGI has come since port.config_seq was @seq */
void l1cd_keep(struct smmuv3_port *port, uint64_t seq, uint32_t index,
	       unsigned int split, const struct l1cd *l1cd);
/* With the port's lock held. */
void l1cd_drop(struct smmuv3_port *port, uint32_t ssid);
void l1cd_drop_all(struct smmuv3_port *port);
void l1cd_free(struct smmuv3_port *port);

/* translate.c */
void engine_translate(struct visit *v, struct model_translation *out);
/* Run @ctx's path for an access; with caches or without. */
void engine_path(struct visit *v, const struct context *ctx, bool cold,
		 struct result *r);
void engine_env(const struct visit *v, struct walk_env *env);
/*
 * The CD of @ctx: from memory or, under hostile, found by what is cached of
 * level-1 descriptors and of stage 2; @seq: port.config_seq before it began.
 */
bool engine_cd(struct visit *v, struct context *ctx, bool cold, uint64_t seq,
	       struct smmuv3_fault *fault);
/* Stage 2 alone for a translated transaction (EATS split). */
void engine_stage2(struct visit *v, const struct smmuv3_stream *stream,
		   bool cold, struct result *r);
void engine_model_translate(struct model_port *port,
			    const struct model_access *access,
			    struct model_translation *out);

/* dma.c */
int engine_dma(struct model_port *port, const struct model_access *access,
	       void *buf, size_t len, struct model_translation *last);

/* report.c */
void report_fault(struct visit *v, const struct context *ctx,
		  const struct smmuv3_fault *fault,
		  struct model_translation *out);
void report_event(struct smmuv3_model *m, struct smmuv3_port *port,
		  const uint64_t rec[4], bool merge);

/* stall.c */
/*
 * The visit stalls, with *tag; or software has already said what becomes of
 * this transaction, which then is not STALL_WAITS.
 */
enum stall_state stall_begin(struct visit *v, const struct smmuv3_input *in,
			     const struct smmuv3_fault *fault, uint16_t *tag);
int stall_poll(struct model_port *port, uint16_t tag);
void stall_resume(struct smmuv3_model *m, const struct smmuv3_cmd *cmd);
void stall_terminate(struct smmuv3_model *m, uint32_t sid);
void stall_terminate_all(struct smmuv3_model *m);
void stall_forget(struct smmuv3_port *port);
/* The event queue has room again, perhaps. */
void stall_report(struct smmuv3_model *m);

/* ats.c */
void ats_translated(struct visit *v, struct model_translation *out);
/* A translated transaction that may not be: F_TRANSL_FORBIDDEN. */
void ats_forbidden(struct visit *v, struct model_translation *out);
int ats_request(struct model_port *port, const struct model_access *access,
		uint64_t len, struct model_translation *out);
void ats_invalidate(struct smmuv3_model *m, const struct smmuv3_cmd *cmd);
/* What a translation request for the visit's access is answered. */
#define ATC_READ  0x1u
#define ATC_WRITE 0x2u
#define ATC_EXEC  0x4u
struct ats_answer {
	bool ok;
	bool stale; /* by the checker */
	bool mev;
	uint8_t access; /* ATC_* */
	uint8_t size_lg2;
	uint64_t pa;
	struct smmuv3_fault fault; /* if not ok */
};
void ats_resolve(struct visit *v, bool cold, struct ats_answer *answer);

/* exec.c */
struct smmuv3_consumed exec_consume(void *ctx, const uint64_t (*cmds)[2],
				    uint32_t n);
/* What a TLBI removes: up to two invalidations; returns how many. */
unsigned int exec_scope(const struct smmuv3_cmd *cmd,
			struct iotlb_inval inval[2]);
/* Wait for the DMA in flight, for so long. */
void exec_wait(struct smmuv3_model *m);
/* The next sync does not complete before. */
void exec_hold(struct smmuv3_model *m, uint32_t delay_us);
#define REGIMES_LEAF_S1 (1u << SMMUV3_REGIME_S1 | 1u << SMMUV3_REGIME_S12)
#define REGIMES_TABLE_S1                                                  \
	(1u << SMMUV3_REGIME_S1_TABLE | 1u << SMMUV3_REGIME_S1_TABLE_L2 | \
	 1u << SMMUV3_REGIME_S1_TABLE_L1)
#define REGIMES_LEAF_S2 (1u << SMMUV3_REGIME_S2)
#define REGIMES_TABLE_S2 \
	(1u << SMMUV3_REGIME_S2_TABLE | 1u << SMMUV3_REGIME_S2_TABLE_L2)

/* check.c: compare @r with memory; true: stale. */
bool check_path(struct visit *v, const struct context *ctx,
		const struct result *r);
/* The same for an ATC entry that was hit, with what it says. */
bool check_atc(struct visit *v, const struct iotlb_entry *entry, uint64_t pa);

/* history.c */
int history_create(struct history **out);
void history_destroy(struct history *h);
void history_add(struct history *h, const struct smmuv3_cmd *cmd);
/* What was found stale: one of these is its reason. */
struct stale_part {
	const struct smmuv3_port *port;
	uint32_t ssid;	    /* the CD's or, of the ATC, the PASID */
	bool config;	    /* STE or CD */
	bool cd;	    /* config: the CD, not the STE ... */
	bool l1cd;	    /* ... or what leads to it */
	unsigned int split; /* l1cd: SubstreamIDs have that many bits below */
	bool atc;
	const struct iotlb_entry *entry; /* unless config */
	uint64_t serial;		 /* when it was cached */
};

/* Words about the commands since then, and why none of them covered it */
void history_why(struct smmuv3_model *m, const struct stale_part *part,
		 char *text, size_t size);

/* explain.c */
void engine_explain(struct model_port *port, const struct model_access *access,
		    char *text, size_t size);

#endif
