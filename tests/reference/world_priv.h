/* SPDX-License-Identifier: MIT */
/* What building the random world and playing in it share: see world.h. */
#ifndef TESTS_REFERENCE_WORLD_PRIV_H
#define TESTS_REFERENCE_WORLD_PRIV_H

#include "world.h"

static inline uint64_t low(unsigned int lg2)
{
	return (1ULL << lg2) - 1;
}

static inline unsigned int shift_of(const struct tree *t, unsigned int level)
{
	return t->granule + (3 - level) * (t->granule - 3);
}

/* world.c */
uint64_t *world_descriptor(struct world *w, const struct tree *t, uint64_t addr,
			   unsigned int level);
unsigned int world_map_random(struct world *w, const struct tree *t, int parent,
			      uint64_t addr);
uint64_t world_ste_at(const struct world *w, uint32_t sid);
uint64_t world_cd_at(const struct world *w, const struct stream *s,
		     uint32_t ssid);
void world_write_cd(struct world *w, const struct stream *s, uint32_t ssid,
		    uint32_t vmid);
void world_write_stream(struct world *w, struct stream *s);

#endif
