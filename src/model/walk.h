/* SPDX-License-Identifier: MIT */
/*
 * What walks of page tables have in common, whatever the architecture: what
 * they find, what they permit, and the caches they go through.
 *
 * Vocabulary: a *page* here is any leaf, page or block; *allowed* is what the
 * tables permit, *ready* what they permit without first being updated: a
 * write to a page that is writable but clean is allowed but not ready, and a
 * cached translation must be walked again for it. Levels are the
 * architecture's; stage 1 and 2 are VT-d's first and second stage.
 */
#ifndef MODEL_WALK_H
#define MODEL_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/phys.h"

/* What an access does, and (as sets) what a translation permits */
#define PERM_PRIV_R 0x01u
#define PERM_PRIV_W 0x02u
#define PERM_PRIV_X 0x04u
#define PERM_USER_R 0x10u
#define PERM_USER_W 0x20u
#define PERM_USER_X 0x40u

/* A table that a walk went through: reached from any address of its span. */
struct walk_table {
	uint64_t table;	  /* stage 1 under stage 2: an IPA; else a PA */
	uint64_t first;	  /* first input address of what it maps ... */
	uint8_t size_lg2; /* ... and how much that is */
	uint8_t level;	  /* of the descriptors in it */
	uint8_t attrs;	  /* the architecture's, gathered on the way */
};

/* One leaf: what it maps to, and what it permits. */
struct walk_page {
	uint64_t first;	  /* first input address */
	uint64_t out;	  /* output address of @first */
	uint8_t size_lg2; /* the contiguous hint is not counted */
	uint8_t level;
	uint8_t ready; /* PERM_PRIV_R ... */
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
struct walk_cache {
	/* The deepest table known for @addr; false: start at the TTB. */
	bool (*s1_find)(void *ctx, uint64_t addr, struct walk_table *table);
	void (*s1_add)(void *ctx, uint64_t addr,
		       const struct walk_table *table);
	/*
	 * The same with the page of stage 2 that the table lies in, where the
	 * architecture keeps both in one (size_lg2 0: there is none).
	 */
	bool (*s1_find_at)(void *ctx, uint64_t addr, struct walk_table *table,
			   struct walk_page *at);
	void (*s1_add_at)(void *ctx, uint64_t addr,
			  const struct walk_table *table,
			  const struct walk_page *at);
	bool (*s2_find)(void *ctx, uint64_t ipa, struct walk_table *table);
	void (*s2_add)(void *ctx, uint64_t ipa, const struct walk_table *table);
	bool (*ipa_find)(void *ctx, uint64_t ipa, struct walk_page *page);
	void (*ipa_add)(void *ctx, uint64_t ipa, const struct walk_page *page);
	/*
	 * Entry @index of a directory of address spaces (level-1 CD
	 * descriptors, PASID directories), which lies at @addr.
	 */
	bool (*dir_find)(void *ctx, uint32_t index, uint64_t addr,
			 uint64_t *entry);
	void (*dir_add)(void *ctx, uint32_t index, uint64_t addr,
			uint64_t entry);
	/* Each descriptor read, for telling a walk in words. */
	void (*step)(void *ctx, bool s2, uint8_t level, uint64_t pa,
		     uint64_t descriptor);
};

/* The last ranges used; zeroed at first; one thread at a time. */
struct walk_cursors {
	struct phys_cursor s1; /* stage-1 tables and CDs */
	struct phys_cursor s2;
};

/*
 * The last table that a thread's walk went through. What was kept under another
 * @stamp or @tag is not used; all zero is empty. @page is of stage 2: what the
 * table of stage 1 lies in, or the last block that the table of stage 2 mapped.
 */
struct walk_recent {
	uint64_t stamp;
	uint64_t tag;
	struct walk_table table;
	struct walk_page page; /* size_lg2 0: none */
};

#define WALK_RECENT 4u

/* One thread's, of both stages. Until its @stamp is set it serves nobody. */
struct walk_recents {
	uint64_t stamp;	 /* not 0; another one: all is forgotten */
	uint64_t tag[2]; /* whose tables, below bit 24 and above bit 31 */
	struct walk_recent at[2][WALK_RECENT];
};

struct walk_env {
	struct phys *phys;
	struct walk_cursors *cursors;
	struct walk_recents *recents;	/* may be NULL */
	const struct walk_cache *cache; /* NULL: cold */
	void *cache_ctx;
	uint8_t oas_bits;
	bool quiet; /* updates nothing, adds nothing */
	/* Nested or stage 1: asks for no permission, updates nothing, fails
	 * where the access flag is still to be set: what may be cached? */
	bool any;
};

#endif
