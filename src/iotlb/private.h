/* SPDX-License-Identifier: MIT */
/*
 * How the translation cache is built. Vocabulary:
 *
 * - a *node* is one cached translation;
 * - a *space* is one (regime, vmid, asid), or the globals of one (regime,
 *   vmid); a *vm* is one (regime, vmid). Both exist only while something is
 *   cached in them. Forgetting a space or vm marks it dead, which is what makes
 *   that O(1): lookups check the mark, a later insert makes a new one, and the
 *   nodes of the dead one are reaped little by little, a few per insert
 *   (space.c);
 * - a *shape* is what nodes of a space have in common: their size, and size,
 *   level and granule of the leaf, so that a TTL hint chooses shapes and never
 *   looks at the others;
 * - a *chunk* holds the nodes of 32 neighbouring pages of one shape. Lookups
 * and invalidations of small ranges find it by hash, those of large ranges in
 * the order of addresses (index.c);
 * - a *shard* owns all spaces of some (vmid, asid) pairs. Its lock is all that
 *   an insert needs, save for the first one into a space.
 *
 * Locks: iotlb.vms_lock, then one shard's lock; grace_defer() under neither.
 * Lookups take none: what they reach (nodes, chunks, spaces, vms, tables) is
 * freed through struct trash, or taken up again by the pool (pool.c).
 */
#ifndef IOTLB_PRIVATE_H
#define IOTLB_PRIVATE_H

#include "base/itree.h"
#include "base/spin.h"
#include "iotlb/iotlb.h"
#include "iotlb/table.h"

#define SHARDS_LG2  4
#define SHARDS	    (1u << SHARDS_LG2)
#define HINTS	    256
#define QUIET	    64
#define CHUNK_LG2   5
#define CHUNK_NODES (1u << CHUNK_LG2)

/* A ring with a head; all that hangs in it is of one type. */
struct ring {
	struct ring *next;
	struct ring *prev;
};

struct vm {
	struct trash_head trash;
	struct ring link;   /* in iotlb.vms[] or iotlb.dead_vms */
	struct ring spaces; /* space.link */
	struct iotlb *tlb;
	uint64_t epoch; /* iotlb.epoch[regime] when it was made */
	uint32_t key;
	bool dead; /* atomic */
};

struct space {
	struct trash_head trash;
	struct ring link; /* in vm.spaces; under vms_lock */
	struct vm *vm;
	struct shard *shard;
	uint64_t tag; /* space_tag() */
	bool dead;    /* atomic; under the shard's lock */

	/* All below under the shard's lock, or vms_lock where that is said. */
	bool queued;
	struct space *next_queued; /* in iotlb.queue or (vms_lock) backlog */
	struct shape *shapes;
	uint64_t nodes;
};

struct shape {
	struct shape *next;
	struct space *space;
	struct itree chunks;
	struct chunk *last; /* found last, or NULL */
	uint64_t nodes;
	uint8_t size_lg2;
	uint8_t leaf_lg2;
	uint8_t level;
	uint8_t granule_lg2;
};

/* Lookups read up to @node; the rest is under the shard's lock. */
struct chunk {
	struct trash_head trash;
	uint64_t tag;	 /* of the space, and the size */
	uint64_t number; /* of pages >> CHUNK_LG2 */
	struct space *space;
	struct vm *vm;
	struct node *node[CHUNK_NODES]; /* atomic */
	uint32_t present;		/* bit n: node[n] */
	struct shape *shape;
	struct itree_node range; /* of numbers */
	struct ring idle;	 /* in shard.idle while it holds nothing */
};

/* In its chunk, in trash, or free */
struct node {
	struct trash_head trash;
	struct chunk *chunk;
	struct iotlb_entry entry;
};

/* Sizes that are present, [1] of globals: a bit each, for lookups; chunks. */
struct sizes {
	uint64_t present[IOTLB_REGIMES][2];
	uint32_t count[IOTLB_REGIMES][2][64];
};

struct shard {
	uint32_t lock;
	uint32_t idle_count;
	struct table chunks;
	struct sizes sizes;
	struct table spaces;
	struct ring idle;    /* empty chunks, kept to keep removals cheap */
	struct space *spare; /* emptied last and not queued for that, or NULL */
	struct space *last;  /* found last, or NULL */
	struct pool *pool;   /* NULL: nothing inserted yet */
	struct trash_head *free; /* nodes of the pool */
	uint32_t places;	 /* IOTLB_FAST: that no entry has */
	struct trash trash;
	struct table_hand hand;
	uint64_t inserted;
	uint64_t removed;
	uint64_t work;
	int64_t limit;	  /* of @work: see credit_give(); may be below 0 */
	uint64_t visited; /* tag of the last (vmid, asid) named */
	/* vmid + 1, by vmid % QUIET, that has nothing here and had too much */
	uint32_t quiet[QUIET];
	uint64_t silent_at; /* while @inserted is this, nothing here lives */
} __attribute__((aligned(128)));

struct iotlb {
	struct shard shard[SHARDS];
	uint8_t hint[HINTS]; /* atomic; HINT_* | size last found */

	uint64_t sequence __attribute__((aligned(128))); /* atomic: tickets */

	uint64_t seed[3] __attribute__((aligned(128)));
	uint64_t epoch[IOTLB_REGIMES]; /* atomic; older vms are dead */
	bool globals[IOTLB_REGIMES];   /* atomic: there have been some */
	enum iotlb_policy policy;
	uint32_t spare_places; /* that a shard takes, and keeps, at once */
	struct grace *grace;
	uint64_t capacity;

	/* Atomic, IOTLB_FAST: places of entries, what shards hold included */
	uint64_t used __attribute__((aligned(128)));
	uint64_t dropped; /* atomic */
	uint32_t owed;	  /* atomic: reaping that inserts have not done yet */
	struct space *queue; /* atomic stack of dead or empty spaces */
	bool behind;	     /* atomic: backlog or dead_vms not empty */

	uint32_t vms_lock;
	uint32_t visited; /* vmid + 1 of the last vm a range looked into */
	uint32_t noisy;	  /* vmids that found no place in shard.quiet */
	struct table vm_table;
	struct ring vms[IOTLB_REGIMES];
	struct ring dead_vms;
	struct space *backlog; /* taken from queue, not yet reaped */
};

/* A hint that names globals. */
#define HINT_GLOBAL 0x80u

/* What besides the address identifies a translation */
#define TAG_GLOBAL	   (1ull << 3)
#define TAG_SIZE(lg2)	   ((uint64_t)(lg2) << 4)
#define TAG_VMID(vmid)	   ((uint64_t)(vmid) << 10)
#define TAG_VMID_OF(tag)   ((uint16_t)((tag) >> 10))
#define TAG_ASID(asid)	   ((uint64_t)(asid) << 26)
#define TAG_REGIME_OF(tag) ((tag)&7)

static inline uint64_t space_tag(uint8_t regime, uint16_t vmid, uint32_t asid,
				 bool global)
{
	if (global)
		return regime | TAG_VMID(vmid) | TAG_GLOBAL;
	return regime | TAG_VMID(vmid) | TAG_ASID(asid);
}

/* Seeded, so that a guest cannot choose addresses that collide. */
static inline uint64_t hash2(const struct iotlb *tlb, uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product =
		(unsigned __int128)(a ^ tlb->seed[0]) * (b ^ tlb->seed[1]);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* All regimes of one (vmid, asid) share a shard: they are invalidated as one */
static inline struct shard *shard_of(struct iotlb *tlb, uint64_t tag)
{
	uint64_t hash = (tag | 7) * tlb->seed[2];

	return &tlb->shard[hash >> (64 - SHARDS_LG2)];
}

static inline bool space_is_dead(const struct iotlb *tlb,
				 const struct space *space, const struct vm *vm,
				 uint64_t tag)
{
	return reader_load(&space->dead) || reader_load(&vm->dead) ||
	       vm->epoch != reader_load(&tlb->epoch[TAG_REGIME_OF(tag)]);
}

static inline void ring_init(struct ring *ring)
{
	ring->next = ring;
	ring->prev = ring;
}

static inline bool ring_empty(const struct ring *ring)
{
	return ring->next == ring;
}

static inline void ring_add(struct ring *head, struct ring *ring)
{
	ring->next = head;
	ring->prev = head->prev;
	head->prev->next = ring;
	head->prev = ring;
}

static inline void ring_del(struct ring *ring)
{
	ring->prev->next = ring->next;
	ring->next->prev = ring->prev;
	ring_init(ring);
}

/*
 * A global that is about to be cached is announced before its insert compares
 * the ticket; an invalidation looks for it after it moved the sequence. All
 * four in one total order: one of the two sees the other.
 */
static inline bool globals_seen(const struct iotlb *tlb, uint8_t regime)
{
	return __atomic_load_n(&tlb->globals[regime], __ATOMIC_SEQ_CST);
}

static inline void globals_announce(struct iotlb *tlb, uint8_t regime)
{
	if (!globals_seen(tlb, regime))
		__atomic_store_n(&tlb->globals[regime], true, __ATOMIC_SEQ_CST);
}

/* Drops the lock; what waits to be freed joins @trash when it is enough. */
void shard_unlock(struct shard *shard, struct trash *trash);

/*
 * Credit, all under the shard's lock. A guest must not be able to ask for all
 * that it has ever had cached with each command of a full queue, nor for much
 * of it with one. So invalidations by range may take steps only as far as
 * shard.limit; behind it, what they look into goes as a whole, which costs
 * nothing and which IOTLB_FAST allows itself. What is inserted raises the limit
 * by more than it takes to remove it, and so does each command by what an
 * ordinary one takes, but never to more than CREDIT_MAX steps ahead: what was
 * inserted long ago pays for nothing.
 */
#define CREDIT_MAX     4096u
#define CREDIT_INSERT  40u
#define CREDIT_COMMAND 16u
#define COST_VISIT     24u /* of one space after another, besides its own steps */

static inline void credit_open(const struct iotlb *tlb, struct shard *shard)
{
	shard->limit = tlb->policy == IOTLB_FAST ? CREDIT_MAX : INT64_MAX;
}

static inline void credit_give(const struct iotlb *tlb, struct shard *shard,
			       unsigned int steps)
{
	int64_t most = (int64_t)shard->work + CREDIT_MAX;

	if (tlb->policy != IOTLB_FAST)
		return;
	shard->limit += steps;
	if (shard->limit > most)
		shard->limit = most;
}

static inline void credit_take(const struct iotlb *tlb, struct shard *shard,
			       unsigned int steps)
{
	if (tlb->policy == IOTLB_FAST)
		shard->limit -= steps;
}

static inline bool credit_spent(const struct shard *shard)
{
	return (int64_t)shard->work >= shard->limit;
}

static inline bool vmid_is_quiet(const struct shard *shard, uint16_t vmid)
{
	return shard->quiet[vmid % QUIET] == vmid + 1u ||
	       shard->inserted == shard->silent_at;
}

static inline void vmid_speaks(struct shard *shard, uint16_t vmid)
{
	if (shard->quiet[vmid % QUIET] == vmid + 1u)
		shard->quiet[vmid % QUIET] = 0;
}

/* index.c: nodes in their space; all under the shard's lock */

uint64_t chunk_hash(const void *item);

/*
 * -ENOMEM; -ENOSPC: all places of IOTLB_FAST are taken. A node with the same
 * identity is replaced.
 */
int index_insert(struct iotlb *tlb, struct space *space,
		 const struct iotlb_entry *entry);

/* Drop one node of @shard, whichever comes next; false if it has none. */
bool index_evict(struct iotlb *tlb, struct shard *shard);

/* Places go and come by the dozen, for there is one count of them for all. */
static inline bool place_take(struct iotlb *tlb, struct shard *shard)
{
	uint64_t count = 1 + tlb->spare_places;

	if (tlb->policy != IOTLB_FAST)
		return true;
	if (shard->places) {
		shard->places--;
		return true;
	}
	if (__atomic_add_fetch(&tlb->used, count, __ATOMIC_RELAXED) >
	    tlb->capacity) {
		__atomic_sub_fetch(&tlb->used, count, __ATOMIC_RELAXED);
		return false;
	}
	shard->places = tlb->spare_places;
	return true;
}

static inline void place_give(struct iotlb *tlb, struct shard *shard)
{
	uint32_t count = 1 + tlb->spare_places;

	if (tlb->policy != IOTLB_FAST ||
	    ++shard->places <= 2 * tlb->spare_places)
		return;
	shard->places -= count;
	__atomic_sub_fetch(&tlb->used, count, __ATOMIC_RELAXED);
}

/*
 * Remove what @inval's range, level and granule name; false: the credit did not
 * suffice for all of it.
 */
bool index_remove(struct iotlb *tlb, struct space *space,
		  const struct iotlb_inval *inval);

/* Free at most @budget nodes, chunks and shapes; returns what is left of it. */
unsigned int index_reap(struct iotlb *tlb, struct space *space,
			unsigned int budget);

/* Free some of the empty chunks, if there are many. */
void index_trim(struct shard *shard);

void index_for_each(struct space *space,
		    void (*fn)(void *ctx, const struct iotlb_entry *entry),
		    void *ctx);

/* pool.c: nodes; all but pool_return() under the shard's lock */

/* NULL: no memory. What comes is as it was last, but for @trash.pool. */
struct node *pool_take(struct shard *shard);

/* The shard is no more; what lies in trash still comes back. */
void pool_close(struct shard *shard);

/* space.c: spaces and vms, their death and what follows */

uint64_t space_hash(const void *item);
uint64_t vm_hash(const void *item);

/* Under the shard's lock; NULL if there is none that lives. */
struct space *space_find(struct iotlb *tlb, struct shard *shard, uint64_t tag);

/* Takes the shard's lock and, on success, keeps it. -ENOMEM */
int space_get(struct iotlb *tlb, uint64_t tag, struct space **space);

/* It is dead or empty: reap it some time. Under the shard's lock. */
void space_queue(struct iotlb *tlb, struct space *space);

/* Its last node went, or the first could not be linked. Under shard's lock. */
void space_emptied(struct iotlb *tlb, struct space *space);

/* Under the shard's lock. */
void space_kill(struct iotlb *tlb, struct space *space);

/* Under vms_lock. */
void vm_kill(struct iotlb *tlb, struct vm *vm);
void vm_kill_all(struct iotlb *tlb, uint8_t regime);

/* Under vms_lock; NULL if there is none that lives. */
struct vm *vm_find(struct iotlb *tlb, uint8_t regime, uint16_t vmid);

/* True if iotlb_reap() would find something. */
static inline bool iotlb_must_reap(const struct iotlb *tlb)
{
	return __atomic_load_n(&tlb->queue, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&tlb->behind, __ATOMIC_RELAXED);
}

/* Free some of what dead spaces hold. No lock may be held. */
void iotlb_reap(struct iotlb *tlb);

/* Free it all; no reader may be left. */
void iotlb_reap_all(struct iotlb *tlb);

#endif
