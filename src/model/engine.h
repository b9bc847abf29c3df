/* SPDX-License-Identifier: MIT */
/*
 * What the engines behind all fronts share: ports and what is on its way
 * through them, the translations and contexts they keep, the way of a hit,
 * the wait for DMA in flight. An architecture puts a struct engine first in
 * its model and a struct engine_port first in its ports, and brings the rest
 * by struct engine_ops.
 *
 * Vocabulary: a *context* is the configuration of one (StreamID, PASID) as a
 * transaction needs it; a *visit* is one transaction on its way; a *slot* is
 * what one thread keeps in a port, so that threads share nothing while they
 * hit. Tags of translations are called VMID and ASID: for VT-d these are the
 * domain id and the PASID.
 *
 * Locks, in this order: engine.ports_lock, port.lock. Neither is held while a
 * front is called; none at all while memory of clients is read or a grace
 * period is awaited.
 */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/reader.h"
#include "base/spin.h"
#include "iotlb/iotlb.h"
#include "mem/phys.h"
#include "model/inject.h"
#include "model/model.h"
#include "model/walk.h"

#define PORT_SLOTS   4u
#define RECENT	     1024u
#define CONTEXT_LEAF 1024u
#define REGIME_NONE  0xffu

/* struct iotlb_entry.attrs: sets of PERM_PRIV_R ..., and the rest */
#define ATTR_READY	GENMASK_ULL(7, 0)
#define ATTR_ALLOWED	GENMASK_ULL(15, 8)  /* of the leaf at @leaf */
#define ATTR_ALLOWED_S2 GENMASK_ULL(23, 16) /* of stage 2 below it, or all */
#define ATTR_HOST_R	BIT_ULL(24)	    /* @host may be read */
#define ATTR_HOST_W	BIT_ULL(25)
#define ATTR_CONT	BIT_ULL(26)
#define ATTR_DEVICE	BIT_ULL(27)
#define ATTR_ASET	BIT_ULL(28)	  /* of the context that cached it */
#define ATTR_TABLE	GENMASK_ULL(7, 0) /* table entries: the walk's attrs */

/* struct engine.mode */
enum engine_mode {
	MODE_BYPASS, /* translation is off */
	MODE_ABORT,
	MODE_TRANSLATE,
};

struct engine;
struct engine_port;
struct visit;

struct context {
	struct grace_head free;
	struct context *next; /* of the port; under its lock */
	struct context **link;
	uint8_t regime;	 /* REGIME_NONE: its translations are not cached */
	bool plain;	 /* a cached page is all there is to a hit (hit.h) */
	bool cached;	 /* some of it came from a cache */
	bool tbi[2];	 /* the top byte does not count, by bit 55 */
	uint8_t bits[8]; /* access bit by MODEL_WRITE, _PRIV, _EXEC */
	uint16_t vmid;
	uint32_t asid;
	uint32_t aset;	 /* ATTR_ASET or 0: global entries must have it */
	uint64_t tag;	 /* regime, vmid and asid in one; not 0 */
	uint32_t pasid;	 /* MODEL_NO_PASID */
	uint64_t serial; /* the oldest part's */
};

/*
 * What all contexts of a port are made of, as its StreamID alone finds it: an
 * architecture's begins with this.
 */
struct context_part {
	struct grace_head free;
	uint64_t serial; /* when it was read */
};

/*
 * A translation the thread has lately used: what iotlb_lookup() would find, as
 * long as engine.forgotten is still the same. All zero is empty.
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

struct engine_port {
	struct engine *engine;
	uint32_t failed;	  /* atomic: stuck (wait.c) or gone: no DMA, no
				   * answers */
	uint32_t silent_us;	  /* gone: how long hardware waits for it; under
				   * engine.ports_lock */
	struct context *ctx;	  /* RCU: without PASID */
	struct context ***pasids; /* RCU: [1024] of [1024]; NULL: none */
	struct slot slot[PORT_SLOTS];
	uint32_t crowd; /* atomic: DMAs of threads that have no slot */

	struct model_port_config config;
	struct grace_head free;
	struct iotlb *atc;   /* NULL: no ATS */
	uint64_t crowd_hits; /* atomic */
	uint64_t crowd_misses;

	size_t index; /* in engine.ports; under ports_lock */
	bool listed;
	/*
	 * Atomic; false: nothing of its configuration is kept, nor about to be:
	 * nothing has been read for it since an invalidation dropped all.
	 */
	bool loaded;

	uint32_t lock;	     /* base/spin.h */
	uint64_t config_seq; /* atomic; moved by invalidations under the lock */
	struct context_part *part; /* RCU */
	struct context *contexts;
	uint32_t noted[PORT_SLOTS]; /* the command consumer's, see wait.c */
	uint32_t noted_crowd;
};

/* What became of a visit; why not is the architecture's to say. */
struct outcome {
	bool ok;
	bool hit;
	bool bypass;
	bool used;	/* something cached had a part in it */
	bool has_entry; /* @entry */
	uint8_t ready;	/* if ok: PERM_PRIV_R ... */
	uint8_t allowed;
	uint8_t size_lg2;
	uint64_t pa;
	uint64_t ipa;
	void *host;		  /* usable for this access */
	struct iotlb_entry entry; /* hostile: the oldest at work */
};

struct atc_answer;
struct check_ops;
struct why_ops;

struct engine_ops {
	const struct model_ops *model;
	size_t model_size; /* the architecture's model, and its port */
	size_t port_size;
	size_t command_size; /* decoded, as history.h keeps it */

	/*
	 * The rest of a model and its front, from what engine_create() was
	 * given. fini() also of what init() has not finished; ports are still
	 * there, but nobody uses them.
	 */
	int (*init)(struct engine *e, const void *config);
	void (*fini)(struct engine *e);
	/* What the front's registers want; with the mode's lock held */
	enum engine_mode (*mode)(struct engine *e);

	/* The way of an access that is no plain hit; slow or not. */
	void (*translate)(struct visit *v, struct model_translation *out);

	/* A port was taken out (no device behind it), and is to be freed: its
	 * own parts. May be NULL. */
	void (*port_gone)(struct engine_port *port);
	void (*port_fini)(struct engine_port *port);

	/* ATS; see ats.c. False: refused, *out says how */
	bool (*ats_resolve)(struct visit *v, struct atc_answer *answer,
			    struct model_translation *out);
	/* An ATC's answer made no sense. NULL: nobody is told of such */
	void (*atc_bad)(struct engine *e, uint32_t sid);
	/* May there be translation requests at all? */
	bool (*ats_open)(struct visit *v, struct model_translation *out);
	/* Hostile: what the ATC holds against memory; true: stale */
	bool (*ats_check)(struct visit *v, const struct iotlb_entry *entry,
			  uint64_t pa);
	/* Hostile, see check.h and why.h */
	const struct check_ops *check;
	const struct why_ops *why;
};

struct history;

struct engine {
	struct model base;
	const struct engine_ops *ops;
	struct model_host host;
	struct iotlb *tlb;
	bool hostile;
	uint64_t sync_timeout_ns;

	uint32_t mode; /* atomic: enum engine_mode */
	/*
	 * Atomic: odd while an invalidation removes entries, then even and new.
	 * What is found in the cache may be remembered, or serve to make other
	 * entries, only if this was even before it was looked for: otherwise it
	 * may be about to be removed, and what is made of it would outlive it.
	 */
	uint64_t forgotten;
	/*
	 * Atomic: invalidations that reach more than leaves of stage 1. Moves
	 * while @forgotten is odd, and is loaded before it.
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
	uint64_t hold;	 /* no sync ends before: inject_deadline(), or 0 */
	struct inject inject;
	struct history *history; /* policy hostile */

	pthread_mutex_t mode_lock; /* of writers of @mode */
	pthread_mutex_t ports_lock;
	struct engine_port **ports; /* sorted by StreamID */
	uint64_t *loaded;	    /* bit n: ports[n].loaded */
	size_t port_count;
	size_t port_room;
};

struct visit {
	struct engine *engine;
	struct engine_port *port;
	struct slot *slot;
	const struct model_access *access;
	/* Not NULL: hit_find() has looked for the access, the cache has none.
	 */
	const struct context *missed;
	uint64_t len; /* of a translation request, in bytes */
	bool quiet;
	bool raz; /* out: reads zeros, writes nothing */
};

static inline struct engine *to_engine(struct model *model)
{
	return (struct engine *)model;
}

static inline struct engine_port *to_port(struct model_port *port)
{
	return (struct engine_port *)port;
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

/* engine.c: @capacity of the cache, @config is for ops->init(). -ENOMEM */
int engine_create(const struct engine_ops *ops, const struct model_host *host,
		  enum iotlb_policy policy, uint32_t capacity,
		  const void *config, struct model **model);
/* Registers have changed. True: that was the end of translation. */
bool engine_mode_update(struct engine *e);
void engine_irq(struct engine *e, unsigned int line);
/* What a front reads its queue through, and writes to; @ctx is the model. */
int engine_front_read(void *ctx, uint64_t addr, void *buf, size_t len);
int engine_front_write(void *ctx, uint64_t addr, const void *buf, size_t len);
/* Those of struct model_ops that are the engine's alone */
#define ENGINE_MODEL_OPS                                               \
	.destroy = engine_destroy, .port_remove = port_remove,         \
	.translate = engine_translate, .dma = engine_dma,              \
	.ats_request = ats_request, .for_each_entry = engine_for_each, \
	.stats = engine_stats, .inject = engine_inject,                \
	.inject_clear = engine_inject_clear, .port_reset = port_reset
void engine_destroy(struct model *model);
void engine_for_each(struct model *model,
		     void (*fn)(void *ctx, const struct iotlb_entry *entry),
		     void *ctx);
void engine_stats(struct model *model, struct model_stats *stats);
int engine_inject(struct model *model, const struct inject_fault *fault);
uint64_t engine_inject_clear(struct model *model);
/* Removes @n scopes at once; @tables: more than leaves of stage 1 */
void engine_forget(struct engine *e, const struct iotlb_inval *inval,
		   unsigned int n, bool tables);

/* port.c */
extern __thread char slot_self;
struct slot *slot_enter_slow(struct engine_port *port, struct slot *spare);
void slot_leave_spare(struct engine_port *port, const struct slot *slot);

static inline void slot_seq_move(struct slot *slot)
{
	uint32_t seq = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED);

	__atomic_store_n(&slot->seq, seq + 1, __ATOMIC_RELAXED);
}

/* Marks a DMA as under way; @spare is used where no slot is to be had. */
static inline struct slot *slot_enter(struct engine_port *port,
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

static inline void slot_leave(struct engine_port *port, struct slot *slot,
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
size_t port_find(const struct engine *e, uint32_t sid);
void port_free_all(struct engine *e);
/*
 * Around invalidations of what ports keep: what is dropped is freed behind it,
 * for a DMA that waits for the lock inside its section would keep it waiting.
 */
void ports_enter(struct engine *e);
void ports_leave(struct engine *e);
/* Its configuration is about to be read; after config_seq was. */
void port_load(struct engine_port *port);
/* All of it is about to be dropped; before config_seq moves. Under ports_lock.
 */
void port_unload(struct engine_port *port);
/* The first at or behind @index that is loaded, or NULL; under ports_lock. */
struct engine_port *port_next_loaded(const struct engine *e, size_t index);
uint64_t port_hits(const struct engine_port *port);
uint64_t port_misses(const struct engine_port *port);

/* wait.c: until the next sync may end, well or not (engine_hold()) */
void engine_hold_wait(struct engine *e);
/* Wait for the DMA in flight, for so long */
void engine_wait(struct engine *e);
/* The next sync does not complete before. */
void engine_hold(struct engine *e, uint32_t delay_us);

/* ats.c: what a translation request is answered */
#define ATC_READ	 0x1u
#define ATC_WRITE	 0x2u
#define ATC_EXEC	 0x4u
#define ATC_UNTRANSLATED 0x8u /* the address is not to be used */

struct atc_answer {
	bool stale;	/* by the checker */
	uint8_t access; /* ATC_* */
	uint8_t size_lg2;
	uint64_t pa;
};

#define ATC_PAGES_MAX 512u /* of one request */
#define ATC_PASIDS    1u   /* vmid of entries of requests with a PASID */
int ats_request(struct model_port *port, const struct model_access *access,
		uint64_t len, struct model_translation *out);
/* All that entries of @pasid, or of MODEL_NO_PASID, have in common */
void atc_scope(uint32_t pasid, uint64_t first, uint64_t last,
	       struct iotlb_inval *inval);

/* atc.c: to the devices of that StreamID; false: one does not answer */
bool engine_atc_invalidate(struct engine *e, uint32_t sid,
			   const struct iotlb_inval *inval);

/* contexts.c: what a port keeps, forgotten by invalidations and nothing else */
static inline const struct context *context_cached(struct engine_port *port,
						   uint32_t pasid)
{
	struct context ***top;
	struct context **leaf;

	if (pasid == MODEL_NO_PASID)
		return reader_load(&port->ctx);
	top = reader_load(&port->pasids);
	if (!top || pasid >= CONTEXT_LEAF * CONTEXT_LEAF)
		return NULL;
	leaf = reader_load(&top[pasid / CONTEXT_LEAF]);
	return leaf ? reader_load(&leaf[pasid % CONTEXT_LEAF]) : NULL;
}

/* Of what is read now: what must not have moved when it is to be kept */
struct context_when {
	uint64_t seq;	 /* port.config_seq */
	uint64_t serial; /* engine.serial */
};

static inline void context_now(const struct visit *v, struct context_when *when)
{
	when->seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE);
	if (!__atomic_load_n(&v->port->loaded, __ATOMIC_RELAXED))
		port_load(v->port);
	when->serial = counted(&v->engine->serial);
}

/* NULL: not cached, or not to be looked for (@cold) */
static inline const struct context_part *context_part(const struct visit *v,
						      bool cold)
{
	return cold ? NULL : reader_load(&v->port->part);
}

/* struct context.tag; regime and the other tags are set */
static inline uint64_t context_tag(const struct context *ctx)
{
	return (ctx->aset ? BIT_ULL(63) : 0) | (uint64_t)ctx->asid << 32 |
	       (uint64_t)ctx->vmid << 8 | (ctx->regime + 1u);
}

/* A copy to be published, of an architecture's context; NULL: no memory */
struct context *context_copy(const struct context *ctx, size_t size);
/*
 * Publishes @ctx, which must be a copy, from then on the port's: in the place
 * of @old, which must still be there, or (NULL) if there is none yet. Frees it
 * if that cannot be, or if an invalidation has come since port.config_seq was
 * @seq.
 */
void context_publish(struct engine_port *port, uint64_t seq,
		     const struct context *old, struct context *ctx);
/*
 * The same for a part that was read @when, if there is none: a copy, of @size
 * bytes, is kept. Not by a quiet visit.
 */
void context_part_keep(const struct visit *v, const struct context_when *when,
		       const struct context_part *part, size_t size);

/*
 * An invalidation of what a port keeps, which has its lock from begin to end.
 * What was dropped is not made again of what was read before the end, and is
 * freed when nobody uses it any more.
 */
struct context_purge {
	struct engine_port *port;
	struct context_part *part;
	struct context *gone;
};
void context_purge_begin(struct context_purge *purge, struct engine_port *port);
void context_purge_part(struct context_purge *purge);
void context_purge_one(struct context_purge *purge, struct context *ctx);
/* Those that @named says; NULL: all */
void context_purge_each(struct context_purge *purge,
			bool (*named)(struct context *ctx, const void *arg),
			const void *arg);
void context_purge_end(struct context_purge *purge);
void contexts_free_all(struct engine_port *port);

/* page.c: answers to page requests; @pasid or MODEL_NO_PASID */
void page_answer(struct engine_port *port, uint16_t group, uint32_t pasid,
		 uint8_t code);
/* To the devices of that StreamID; one that is gone hears nothing. */
void page_respond(struct engine *e, uint32_t sid, uint16_t group,
		  uint32_t pasid, uint8_t code);

/* dma.c */
int engine_dma(struct model_port *port, const struct model_access *access,
	       void *buf, size_t len, struct model_translation *last);
void engine_translate(struct model_port *port,
		      const struct model_access *access,
		      struct model_translation *out);

#endif
