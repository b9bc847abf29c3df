/* SPDX-License-Identifier: MIT */
/* What both stages of a walk do alike: indexing tables, reading descriptors */
#ifndef MODEL_SMMUV3_WALK_PRIV_H
#define MODEL_SMMUV3_WALK_PRIV_H

#include <endian.h>

#include "base/bits.h"
#include "hwdef/armv8_pt.h"
#include "model/smmuv3/walk.h"

#define LEAF_LEVEL 3

/* Readings of one descriptor that other agents keep changing under HTTU */
#define UPDATE_TRIES 16

#define ANY_R	     (SMMUV3_PRIV_R | SMMUV3_UNPRIV_R)
#define ANY_W	     (SMMUV3_PRIV_W | SMMUV3_UNPRIV_W)

enum desc_kind {
	DESC_INVALID,
	DESC_TABLE,
	DESC_LEAF,
};

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
 * The descriptor of @addr, which is already cut to in_bits: so at the first
 * level, where tables may be concatenated or small, the index needs no mask.
 */
static inline uint64_t desc_address(const struct smmuv3_tt *tt,
				    const struct position *at, uint64_t addr,
				    unsigned int shift)
{
	uint64_t index = addr >> shift;

	if (at->level != tt->start_level)
		index &= low_mask(tt->granule_lg2 - 3);
	return at->table + index * 8;
}

static inline uint64_t desc_order(const struct smmuv3_tt *tt, uint64_t raw)
{
	return tt->big_endian ? be64toh(raw) : le64toh(raw);
}

static inline enum desc_kind desc_kind(const struct smmuv3_tt *tt,
				       unsigned int level, uint64_t d)
{
	if (!(d & ARMV8_PTE_VALID))
		return DESC_INVALID;
	if (level == LEAF_LEVEL)
		return d & ARMV8_PTE_TABLE ? DESC_LEAF : DESC_INVALID;
	if (d & ARMV8_PTE_TABLE)
		return DESC_TABLE;
	return level >= tt->block_level ? DESC_LEAF : DESC_INVALID;
}

/* The address in a descriptor of something of 2^@lg2 bytes */
static inline uint64_t desc_output(const struct smmuv3_tt *tt, uint64_t d,
				   unsigned int lg2)
{
	uint64_t out = d & ARMV8_PTE_ADDR & ~low_mask(lg2);

	if (tt->high_bits)
		out |= field_get(ARMV8_PTE_ADDR_HIGH, d) << 48;
	return out;
}

static inline bool out_of_range(const struct smmuv3_tt *tt, uint64_t out)
{
	return out >> tt->out_bits;
}

static inline void told(const struct smmuv3_walk_env *env, bool s2,
			uint8_t level, uint64_t pa, uint64_t d)
{
	if (env->cache && env->cache->step)
		env->cache->step(env->cache_ctx, s2, level, pa, d);
}

static inline bool adds(const struct smmuv3_walk_env *env)
{
	return env->cache && !env->quiet;
}

/* What reaches stage 2, and why */
struct s2_access {
	uint64_t ipa;
	uint8_t class; /* SMMUV3_CLASS_* */
	uint8_t need;  /* all of these SMMUV3_PRIV_R ... */
};

/* The page of @a->ipa; it permits what is needed, its flags are updated. */
bool smmuv3_walk_s2(const struct smmuv3_walk_env *env,
		    const struct smmuv3_s2 *s2, const struct s2_access *a,
		    struct smmuv3_page *page, struct smmuv3_fault *fault);

/*
 * Make @d read @to. 0; -EAGAIN: it is another one by now; -EFAULT: it cannot
 * be written.
 */
int smmuv3_walk_update(const struct smmuv3_walk_env *env,
		       const struct smmuv3_tt *tt, const struct descriptor *d,
		       uint64_t to);

#endif
