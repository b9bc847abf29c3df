/* SPDX-License-Identifier: MIT */
/*
 * VMSAv8-64 translation table walks as an SMMUv3 makes them: stage 1, stage 2
 * and both nested. Arm ARM (DDI 0487) section D8, Arm IHI 0070 section 3.4,
 * 3.13 (HTTU) and chapter 7.
 *
 * A walk allocates nothing and is bounded: four levels, each table of stage 1
 * reached through at most four levels of stage 2, a few retries of a
 * compare-and-swap. It must run in a read section (mem/phys.h).
 *
 * Vocabulary: a *page* here is any leaf, page or block; *allowed* is what the
 * tables permit, *ready* what they permit without first being updated: a
 * write to a page that is writable-clean (DBM) is allowed but not ready, and
 * a cached translation must be walked again for it.
 */
#ifndef MODEL_SMMUV3_WALK_H
#define MODEL_SMMUV3_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/phys.h"
#include "model/smmuv3/event.h"

/* What an access does, and (as sets) what a translation permits */
#define SMMUV3_PRIV_R	0x01u
#define SMMUV3_PRIV_W	0x02u
#define SMMUV3_PRIV_X	0x04u
#define SMMUV3_UNPRIV_R 0x10u
#define SMMUV3_UNPRIV_W 0x20u
#define SMMUV3_UNPRIV_X 0x40u

/* One set of tables, already judged: TTB0 or TTB1 of a CD, or stage 2. */
struct smmuv3_tt {
	uint64_t ttb;	     /* of the first table */
	uint8_t in_bits;     /* 64 - TxSZ */
	uint8_t granule_lg2; /* 12, 14, 16 */
	uint8_t start_level; /* 0..3 */
	uint8_t block_level; /* the lowest at which blocks exist */
	uint8_t out_bits;    /* effective IPS or S2PS */
	bool high_bits;	     /* descriptor bits 15:12 are address bits 51:48 */
	bool big_endian;
	bool disabled; /* EPDx */
	bool tbi;
	bool had;  /* attributes of table descriptors do not count */
	bool e0pd; /* unprivileged accesses fault, no walk */
};

/* What a CD says */
struct smmuv3_s1 {
	struct smmuv3_tt tt[2];
	uint16_t asid;
	bool aset; /* ASID is not shared with CPUs */
	bool affd;
	bool wxn; /* UWXN does nothing in VMSAv8-64: it is always so */
	bool pan;
	bool ha;
	bool hd;
	bool s; /* stall */
	bool r; /* record */
	bool a; /* abort rather than RAZ/WI */
};

/* What an STE says of stage 2 */
struct smmuv3_s2 {
	struct smmuv3_tt tt;
	uint16_t vmid;
	bool affd;
	bool ptw; /* S2PTW: tables in Device memory are refused */
	bool ha;
	bool hd;
	bool s;
	bool r;
	bool xnx; /* both bits of XN count */
	bool fwb; /* changes what MemAttr means */
};

/* A table that a walk went through: reached from any address of its span. */
struct smmuv3_table {
	uint64_t table;	  /* stage 1 under stage 2: an IPA; else a PA */
	uint64_t first;	  /* first input address of what it maps ... */
	uint8_t size_lg2; /* ... and how much that is */
	uint8_t level;	  /* of the descriptors in it */
	uint8_t attrs;	  /* SMMUV3_TABLE_*, gathered on the way */
};

#define SMMUV3_TABLE_RO	 0x01u /* APTable: no write below */
#define SMMUV3_TABLE_EL0 0x02u /* APTable: no unprivileged access below */
#define SMMUV3_TABLE_UXN 0x04u
#define SMMUV3_TABLE_PXN 0x08u

/* One leaf: what it maps to, and what it permits. */
struct smmuv3_page {
	uint64_t first;	  /* first input address */
	uint64_t out;	  /* output address of @first */
	uint8_t size_lg2; /* the contiguous hint is not counted */
	uint8_t level;
	uint8_t ready; /* SMMUV3_PRIV_R ...; stage 2: see smmuv3_s2_perms */
	uint8_t allowed;
	bool device;	 /* stage 2: MemAttr is of a Device type */
	bool global;	 /* stage 1: nG is 0 */
	bool contiguous; /* the hint was set */
};

/*
 * Caches that the engine offers to the walk; any member may be NULL. Stage-1
 * tables are kept by VA, stage-2 tables and pages by IPA; tags (VMID, ASID)
 * are the engine's. A quiet walk looks things up but adds nothing. The first
 * tables (TTB0, TTB1, S2TTB) are never offered. Pages offered never wait for
 * their access flag; @ready lacks writing where the dirty flag is to be set,
 * and a page found that is not ready for what is needed is walked afresh. What
 * was refused is offered as well, for a leaf that is valid may be cached (DDI
 * 0487, D8.16): a page found that does not allow what is needed faults.
 */
struct smmuv3_walk_cache {
	/* The deepest table known for @addr; false: start at the TTB. */
	bool (*s1_find)(void *ctx, uint64_t addr, struct smmuv3_table *table);
	void (*s1_add)(void *ctx, uint64_t addr,
		       const struct smmuv3_table *table);
	bool (*s2_find)(void *ctx, uint64_t ipa, struct smmuv3_table *table);
	void (*s2_add)(void *ctx, uint64_t ipa,
		       const struct smmuv3_table *table);
	bool (*ipa_find)(void *ctx, uint64_t ipa, struct smmuv3_page *page);
	void (*ipa_add)(void *ctx, uint64_t ipa,
			const struct smmuv3_page *page);
	/* Level-1 CD descriptors, of which @addr is where they lie: see
	 * config.h */
	bool (*l1cd_find)(void *ctx, uint32_t index, uint64_t addr,
			  uint64_t *l1cd);
	void (*l1cd_add)(void *ctx, uint32_t index, uint64_t addr,
			 uint64_t l1cd);
	/* Each descriptor read, for telling a walk in words. */
	void (*step)(void *ctx, bool s2, uint8_t level, uint64_t pa,
		     uint64_t descriptor);
};

/* The last ranges used; zeroed at first; one thread at a time. */
struct smmuv3_walk_cursors {
	struct phys_cursor s1; /* stage-1 tables and CDs */
	struct phys_cursor s2;
};

/*
 * The last table that a thread's walk went through. What was kept under another
 * @stamp or @tag is not used; all zero is empty. @page is of stage 2: what the
 * table of stage 1 lies in, or the last block that the table of stage 2 mapped.
 */
struct smmuv3_walk_recent {
	uint64_t stamp;
	uint64_t tag;
	struct smmuv3_table table;
	struct smmuv3_page page; /* size_lg2 0: none */
};

#define SMMUV3_WALK_RECENT 4u

/* One thread's, of both stages. Until its @stamp is set it serves nobody. */
struct smmuv3_walk_recents {
	uint64_t stamp;	 /* not 0; another one: all is forgotten */
	uint64_t tag[2]; /* whose tables, below bit 24 and above bit 31 */
	struct smmuv3_walk_recent at[2][SMMUV3_WALK_RECENT];
};

struct smmuv3_walk_env {
	struct phys *phys;
	struct smmuv3_walk_cursors *cursors;
	struct smmuv3_walk_recents *recents;   /* may be NULL */
	const struct smmuv3_walk_cache *cache; /* NULL: cold */
	void *cache_ctx;
	uint8_t oas_bits;
	bool quiet; /* updates nothing, adds nothing */
	/* Nested or stage 1: asks for no permission, updates nothing, fails
	 * where the access flag is still to be set: what may be cached? */
	bool any;
};

/* A finished walk. */
struct smmuv3_walk {
	uint64_t pa;	     /* of the very address asked for */
	uint64_t ipa;	     /* of the very address, if stage 2 took part */
	uint64_t page_pa;    /* of @page_first */
	uint64_t page_ipa;   /* if stage 2 took part */
	uint64_t page_first; /* the entry: the smaller of both leaves */
	uint8_t page_lg2;
	uint8_t ready; /* SMMUV3_PRIV_R ..., both stages */
	uint8_t allowed;
	uint8_t granule_lg2;	   /* of stage 1; else of stage 2 */
	bool global;		   /* stage 1 and nG is 0 */
	struct smmuv3_page leaf;   /* stage 1's, or stage 2's if alone */
	struct smmuv3_page s2;	   /* stage 2's, if it took part */
	struct smmuv3_fault fault; /* if the walk failed */
};

/*
 * Translate @in->addr (attributes already overridden) through @s1 (or NULL)
 * and @s2 (or NULL, but not both). On true everything but @fault is valid and
 * the access is permitted, flags in the tables updated if need be. On false
 * @out->fault says why; nothing else is valid.
 */
bool smmuv3_walk(const struct smmuv3_walk_env *env, const struct smmuv3_s1 *s1,
		 const struct smmuv3_s2 *s2, const struct smmuv3_input *in,
		 struct smmuv3_walk *out);

/*
 * Stage 2 of the address of a CD or L1CD (a read, class CD): *pa, or false
 * with *fault.
 */
bool smmuv3_walk_cd(const struct smmuv3_walk_env *env,
		    const struct smmuv3_s2 *s2, uint64_t ipa, uint64_t *pa,
		    struct smmuv3_fault *fault);

/*
 * The address as the tables of @s1 see it, which is what a cache goes by: with
 * TBI the top byte is a copy of bit 55 (3.4.1).
 */
static inline uint64_t smmuv3_effective_va(const struct smmuv3_s1 *s1,
					   uint64_t va)
{
	if (!s1->tt[(va >> 55) & 1].tbi)
		return va;
	return (uint64_t)((int64_t)(va << 8) >> 8);
}

/* The bit of SMMUV3_PRIV_R ... that permits @in (attributes overridden). */
static inline uint8_t smmuv3_access_bit(const struct smmuv3_input *in)
{
	uint8_t bit = in->write	 ? SMMUV3_PRIV_W
		      : in->exec ? SMMUV3_PRIV_X
				 : SMMUV3_PRIV_R;

	return in->priv ? bit : (uint8_t)(bit << 4);
}

#endif
