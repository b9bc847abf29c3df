/* SPDX-License-Identifier: MIT */
/* What the walks of both stages do alike. */
#ifndef MODEL_VTD_WALK_PRIV_H
#define MODEL_VTD_WALK_PRIV_H

#include <endian.h>

#include "base/bits.h"
#include "hwdef/vtd_regs.h"
#include "model/recent.h"
#include "model/vtd/walk.h"

/* Readings of one entry that other agents keep changing */
#define UPDATE_TRIES 16

#define ANY_R	     (PERM_PRIV_R | PERM_USER_R)
#define ANY_W	     (PERM_PRIV_W | PERM_USER_W | VTD_PERM_FORCED_W)

/* Tables of the last level map 2 MiB: what recent ones are told apart by */
#define LAST_SPAN 21

/*
 * Where a walk stands: the next entry is one of this table's. Levels count
 * down to 1, where entries map 4 KiB. @rights: what all entries on the way
 * have granted, struct walk_table.attrs.
 */
struct position {
	uint64_t table;
	uint8_t level;
	uint8_t rights;
};

#define RIGHT_R	    0x1u /* second stage */
#define RIGHT_W	    0x2u
#define RIGHT_USER  0x4u /* first stage */
#define RIGHT_WRITE 0x8u

static inline unsigned int level_shift(unsigned int level)
{
	return 12 + (level - 1) * 9;
}

static inline uint64_t entry_at(const struct position *at, uint64_t addr)
{
	return at->table + ((addr >> level_shift(at->level)) & 511) * 8;
}

static inline void tell(const struct walk_env *env, bool second, uint8_t level,
			uint64_t pa, uint64_t entry)
{
	if (env->cache && env->cache->step)
		env->cache->step(env->cache_ctx, second, level, pa, entry);
}

static inline bool adds(const struct walk_env *env)
{
	return env->cache && !env->quiet;
}

static inline bool vtd_fail(struct vtd_denial *fault, uint8_t reason,
			    unsigned int level)
{
	*fault = (struct vtd_denial){
		.reason = reason,
		.level = (uint8_t)level,
	};
	return false;
}

/* What lies at the table reached from @at for @addr; to be kept */
static inline void table_of(const struct position *at, uint64_t addr,
			    struct walk_table *table)
{
	unsigned int lg2 = level_shift(at->level + 1u);

	*table = (struct walk_table){
		.table = at->table,
		.first = addr & ~low_mask(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
		.attrs = at->rights,
	};
}

/* What reaches the second stage, and why */
enum ss_why {
	SS_ALONE,      /* the request itself, without a first stage */
	SS_OUTPUT,     /* what the first stage made of it */
	SS_TABLE_ROOT, /* an entry of the first stage's root table */
	SS_TABLE,
};

struct ss_access {
	uint64_t gpa;
	bool read;
	bool write;
	enum ss_why why;
};

/*
 * The page of @a->gpa in *page, which may hold the one of the last access
 * (size_lg2 0: none). It permits what is needed, its flags are updated.
 */
bool vtd_walk_ss(const struct walk_env *env, const struct vtd_id *id,
		 const struct vtd_space *space, const struct ss_access *a,
		 struct walk_page *page, struct vtd_denial *fault);

/*
 * Sets @bits in the entry at @pa, which read @entry. 0; -EAGAIN: it is another
 * one by now; -EFAULT: it cannot be written.
 */
static inline int entry_update(const struct walk_env *env, uint64_t pa,
			       uint64_t entry, uint64_t bits)
{
	uint64_t expected = htole64(entry);

	return phys_cas64(env->phys, pa, &expected, htole64(entry | bits));
}

/* FEEx_xxxx: interrupts, not memory (3.14) */
static inline bool is_interrupt(uint64_t addr, unsigned int lg2)
{
	uint64_t first = addr & ~low_mask(lg2);

	return first <= 0xfeefffff && (first | low_mask(lg2)) >= 0xfee00000;
}

#endif
