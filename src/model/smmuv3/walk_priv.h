/* SPDX-License-Identifier: MIT */
/* What both stages of a walk do alike: indexing tables, reading descriptors */
#ifndef MODEL_SMMUV3_WALK_PRIV_H
#define MODEL_SMMUV3_WALK_PRIV_H

#include <endian.h>

#include "base/bits.h"
#include "hwdef/armv8_pt.h"
#include "model/recent.h"
#include "model/smmuv3/walk.h"

#define LEAF_LEVEL 3

/* Readings of one descriptor that other agents keep changing under HTTU */
#define UPDATE_TRIES 16

#define ANY_R	     (PERM_PRIV_R | PERM_USER_R)
#define ANY_W	     (PERM_PRIV_W | PERM_USER_W)

/* Where a walk stands: the next descriptor is one of this table's. */
struct position {
	uint64_t table;
	uint8_t level;
	uint8_t attrs; /* SMMUV3_TABLE_* */
};

/* A descriptor as it was read: where, and in CPU order what */
struct descriptor {
	uint64_t value;
	uint64_t addr; /* stage 1 under stage 2: an IPA */
	uint64_t pa;
};

static inline unsigned int level_shift(const struct smmuv3_tt *tt,
				       unsigned int level)
{
	unsigned int stride = tt->granule_lg2 - 3;

	return tt->granule_lg2 + (LEAF_LEVEL - level) * stride;
}

/*
 * The index of @addr, which is already cut to in_bits, into the table at @at:
 * the first level, where tables may be concatenated or small, needs no mask.
 */
static inline uint64_t first_index(const struct smmuv3_tt *tt,
				   const struct position *at, uint64_t addr,
				   unsigned int shift)
{
	uint64_t index = addr >> shift;

	if (at->level != tt->start_level)
		index &= below(tt->granule_lg2 - 3u);
	return index;
}

static inline uint64_t desc_order(const struct smmuv3_tt *tt, uint64_t raw)
{
	return tt->big_endian ? be64toh(raw) : le64toh(raw);
}

static inline bool is_table(unsigned int level, uint64_t d)
{
	const uint64_t both = ARMV8_PTE_VALID | ARMV8_PTE_TABLE;

	return level < LEAF_LEVEL && (d & both) == both;
}

/* Of what is no table: a page or a block, where there are any? */
static inline bool is_leaf(const struct smmuv3_tt *tt, unsigned int level,
			   uint64_t d)
{
	if (!(d & ARMV8_PTE_VALID))
		return false;
	return level == LEAF_LEVEL ? !!(d & ARMV8_PTE_TABLE)
				   : level >= tt->block_level;
}

/* The address in a descriptor of something of 2^@lg2 bytes */
static inline uint64_t desc_output(const struct smmuv3_tt *tt, uint64_t d,
				   unsigned int lg2)
{
	uint64_t out = d & ARMV8_PTE_ADDR & ~below(lg2);

	if (tt->high_bits)
		out |= field_get(ARMV8_PTE_ADDR_HIGH, d) << 48;
	return out;
}

static inline bool out_of_range(const struct smmuv3_tt *tt, uint64_t out)
{
	return out >> tt->out_bits;
}

static inline void tell(const struct walk_env *env, bool s2, uint8_t level,
			uint64_t pa, uint64_t d)
{
	if (env->cache && env->cache->step)
		env->cache->step(env->cache_ctx, s2, level, pa, d);
}

static inline bool adds(const struct walk_env *env)
{
	return env->cache && !env->quiet;
}

/* What reaches stage 2, and why */
struct s2_access {
	uint64_t ipa;
	uint8_t class; /* SMMUV3_CLASS_* */
	uint8_t need;  /* all of these PERM_PRIV_R ... */
};

/*
 * What one walk remembers of stage 2 from its last use, for the next: tables
 * of stage 1 often lie together. It never outlives the walk, so there is
 * nothing to invalidate. All zero is empty.
 */
struct s2_memo {
	struct walk_page page; /* size_lg2 0: none */
	struct position at;    /* the table that the leaf was in ... */
	uint64_t first;	       /* ... and what it maps; span_lg2 0: none */
	uint8_t span_lg2;
};

/* NULL: not known */
static inline const struct walk_recent *recent_find(const struct walk_env *env,
						    unsigned int stage,
						    uint64_t addr,
						    const struct smmuv3_tt *tt)
{
	const struct walk_recent *recent = walk_recent_find(
		env, stage, addr, level_shift(tt, LEAF_LEVEL - 1),
		tt->granule_lg2);

	return recent && recent->table.level > tt->start_level ? recent : NULL;
}

/* The table at @at, where a walk for @addr has ended */
static inline void recent_keep(const struct walk_env *env, unsigned int stage,
			       uint64_t addr, const struct smmuv3_tt *tt,
			       const struct position *at,
			       const struct walk_page *page)
{
	unsigned int lg2;
	struct walk_table table;

	if (!env->recents || env->quiet || at->level <= tt->start_level)
		return;
	lg2 = level_shift(tt, at->level - 1u);
	table = (struct walk_table){
		.table = at->table,
		.first = addr & ~below(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
		.attrs = at->attrs,
	};
	walk_recent_keep(env, stage, addr, level_shift(tt, LEAF_LEVEL - 1),
			 tt->granule_lg2, &table, page);
}

/*
 * The page of @a->ipa in @memo->page; it permits what is needed, its flags are
 * updated.
 */
bool smmuv3_walk_s2(const struct walk_env *env, const struct smmuv3_s2 *s2,
		    const struct s2_access *a, struct s2_memo *memo,
		    struct smmuv3_fault *fault);

/*
 * Make @d read @to. 0; -EAGAIN: it is another one by now; -EFAULT: it cannot
 * be written.
 */
int smmuv3_walk_update(const struct walk_env *env, const struct smmuv3_tt *tt,
		       const struct descriptor *d, uint64_t to);

#endif
