/* SPDX-License-Identifier: MIT */
/*
 * The translation cache that all models share.
 *
 * A *regime* is a small number the model chooses: what kind of translation an
 * entry is (stage 1, combined, stage 2, a cached table pointer ...). The cache
 * gives it no meaning. The *leaf* of an entry is the stage-1 page or block it
 * was made from; it is the unit of invalidation by address: naming any address
 * of a leaf removes every entry made from that leaf, however small the
 * stage-2 pages below it (for entries without two stages leaf == entry).
 *
 * Policies: IOTLB_FAST is bounded and may remove more than it was asked to;
 * IOTLB_HOSTILE is unbounded and removes exactly what an invalidation names.
 */
#ifndef IOTLB_IOTLB_H
#define IOTLB_IOTLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reader.h"

#define IOTLB_REGIMES 8

enum iotlb_policy {
	IOTLB_FAST,
	IOTLB_HOSTILE,
};

struct iotlb;

/* What a lookup asks for. @asid is 0 where the regime has none. */
struct iotlb_key {
	uint64_t iova;
	uint32_t asid;
	uint16_t vmid;
	uint8_t regime;
};

/*
 * One cached translation. Addresses are aligned to their sizes; sizes are
 * log2 of bytes and never above 63. Entries with @global match every asid of
 * their vmid. @attrs, @level, @granule_lg2, @cookie belong to the model.
 */
struct iotlb_entry {
	uint64_t iova;	 /* first input address */
	uint64_t out;	 /* output address of @iova */
	void *host;	 /* where @out lies in this process, or NULL */
	uint64_t leaf;	 /* first input address of the stage-1 leaf */
	uint64_t ipa;	 /* intermediate address of @iova, if two stages */
	uint64_t serial; /* the model's time when it was cached */
	uint64_t cookie;
	uint32_t asid;
	uint32_t attrs;
	uint16_t vmid;
	uint8_t regime;
	uint8_t size_lg2;
	uint8_t leaf_lg2; /* >= size_lg2 */
	uint8_t level;	  /* of the leaf: what a TTL hint compares with */
	uint8_t granule_lg2;
	bool global;
};

/* Which parts of struct iotlb_inval are looked at */
#define IOTLB_BY_VMID	 0x01u
#define IOTLB_BY_ASID	 0x02u /* with IOTLB_BY_VMID only */
#define IOTLB_BY_RANGE	 0x04u /* leaf overlaps [first, last] */
#define IOTLB_BY_LEVEL	 0x08u /* with IOTLB_BY_RANGE only */
#define IOTLB_BY_GRANULE 0x10u /* with IOTLB_BY_RANGE only */
#define IOTLB_GLOBALS	 0x20u /* IOTLB_BY_ASID takes global entries too */

/*
 * Without IOTLB_BY_ASID global entries of the vmid go like all others. A bit
 * whose condition ("with ... only") does not hold is ignored, which makes the
 * invalidation wider, never narrower. first > last names nothing.
 */

struct iotlb_inval {
	uint64_t first;
	uint64_t last;
	uint32_t by;	  /* IOTLB_BY_*; 0 removes all of @regimes */
	uint32_t regimes; /* bit n: regime n */
	uint32_t asid;
	uint16_t vmid;
	uint8_t level;
	uint8_t granule_lg2;
};

struct iotlb_config {
	enum iotlb_policy policy;
	uint32_t capacity;   /* IOTLB_FAST: entries at most; 0: 65536 */
	struct grace *grace; /* frees removed entries; not owned */
};

struct iotlb_stats {
	uint64_t entries; /* valid now */
	uint64_t inserted;
	uint64_t removed; /* one by one: by address, swept, evicted, replaced */
	uint64_t dropped; /* inserts refused: raced, or out of memory */
	uint64_t stale;	  /* dead by an O(1) removal and not yet swept */
	uint64_t spaces;  /* (regime, vmid, asid) that hold memory now */
	uint64_t work;	  /* steps invalidations took; to test that it is few */
};

/* -ENOMEM; -EINVAL: no such policy, no grace */
int iotlb_create(const struct iotlb_config *config, struct iotlb **tlb);

/* Frees all entries at once: no reader may be left. NULL is fine. */
void iotlb_destroy(struct iotlb *tlb);

/*
 * The entry that translates @key, or NULL. Takes no lock; the caller is in a
 * read section (base/reader.h) and the entry stays readable until it leaves.
 * Probes the sizes present only, the last one used first.
 */
const struct iotlb_entry *iotlb_lookup(struct iotlb *tlb,
				       const struct iotlb_key *key);

/*
 * A walk that will insert takes the ticket first. iotlb_insert() refuses with
 * -EAGAIN if any invalidation ran since, so that a walk that read a table
 * before it was changed cannot cache the old value after the invalidation.
 * The refused translation may still be used once: the invalidation's sync
 * waits for it.
 */
uint64_t iotlb_ticket(struct iotlb *tlb);

/*
 * 0, -EAGAIN, -ENOMEM (both harmless: nothing is cached), -EINVAL (an entry
 * that is not as struct iotlb_entry says); any thread, inside a read section or
 * not. An entry with the same tags, address, leaf, level and granule is
 * replaced. Any other that covers the address stays (a lookup then returns one
 * of them) and goes with the invalidations that name it.
 */
int iotlb_insert(struct iotlb *tlb, uint64_t ticket,
		 const struct iotlb_entry *entry);

/*
 * Removes what @inval names; any thread. Lookups that begin after it returned
 * do not find it; what a lookup returned before stays readable until its read
 * section ends, which is what grace_wait() waits for. Never fails, allocates
 * nothing.
 *
 * Everything, by vmid, by (vmid, asid) without a range: O(1), by marking it
 * dead; later inserts sweep. By range: a probe per leaf size present for small
 * ranges, an ordered index per (vmid, asid) for large ones: O(min(pages asked,
 * log n + removed)). Without IOTLB_BY_ASID a range is looked for in every asid
 * of the vmid (O(asids present)). IOTLB_FAST bounds both, and removals here and
 * there in many asids: some thousand steps beyond what has been inserted
 * meanwhile, and the (vmid, asid) or all of the vmid goes instead.
 */
void iotlb_invalidate(struct iotlb *tlb, const struct iotlb_inval *inval);

/*
 * Calls @fn for every valid entry, in no order; not while others write. @fn may
 * not write either.
 */
void iotlb_for_each(struct iotlb *tlb,
		    void (*fn)(void *ctx, const struct iotlb_entry *entry),
		    void *ctx);

void iotlb_stats(struct iotlb *tlb, struct iotlb_stats *stats);

#endif
