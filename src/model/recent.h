/* SPDX-License-Identifier: MIT */
/*
 * The tables that a thread's walks have lately gone through (struct
 * walk_recents), as walks find and keep them.
 *
 * Neighbours in what one table maps share a place. Tables are told apart by
 * the tags of their stage and by @geometry, below 256, which is the walk's.
 */
#ifndef MODEL_RECENT_H
#define MODEL_RECENT_H

#include "model/walk.h"

/* low_mask() for sizes of pages, which are below 64 */
static inline uint64_t below(unsigned int lg2)
{
	return (1ULL << lg2) - 1;
}

static inline bool covers(uint64_t first, unsigned int lg2, uint64_t addr)
{
	return lg2 && !((first ^ addr) >> lg2);
}

/* @lg2: of what a table of the last level maps */
static inline struct walk_recent *walk_recent_at(const struct walk_env *env,
						 unsigned int stage,
						 uint64_t addr,
						 unsigned int lg2)
{
	return &env->recents->at[stage - 1][(addr >> lg2) % WALK_RECENT];
}

static inline uint64_t walk_recent_tag(const struct walk_env *env,
				       unsigned int stage, uint64_t geometry)
{
	return env->recents->tag[stage - 1] | geometry << 24;
}

/* NULL: not known */
static inline const struct walk_recent *
walk_recent_find(const struct walk_env *env, unsigned int stage, uint64_t addr,
		 unsigned int lg2, uint64_t geometry)
{
	const struct walk_recent *recent;

	if (!env->recents)
		return NULL;
	recent = walk_recent_at(env, stage, addr, lg2);
	if (recent->stamp != env->recents->stamp ||
	    recent->tag != walk_recent_tag(env, stage, geometry) ||
	    !covers(recent->table.first, recent->table.size_lg2, addr))
		return NULL;
	return recent;
}

/* Kept for @addr; never by a quiet walk, nor one without a place to keep. */
static inline void walk_recent_keep(const struct walk_env *env,
				    unsigned int stage, uint64_t addr,
				    unsigned int lg2, uint64_t geometry,
				    const struct walk_table *table,
				    const struct walk_page *page)
{
	struct walk_recent *recent = walk_recent_at(env, stage, addr, lg2);

	recent->stamp = env->recents->stamp;
	recent->tag = walk_recent_tag(env, stage, geometry);
	recent->table = *table;
	recent->page = *page;
}

#endif
