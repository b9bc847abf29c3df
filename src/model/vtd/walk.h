/* SPDX-License-Identifier: MIT */
/*
 * Page walks of VT-d: first stage, second stage, and both nested. VT-d
 * specification 3.6 to 3.8, entries in 9.7 and 9.8.
 *
 * A walk allocates nothing and is bounded: five levels, each table of the
 * first stage reached through at most five of the second, a few retries of a
 * compare-and-swap. It must run in a read section (mem/phys.h).
 */
#ifndef MODEL_VTD_WALK_H
#define MODEL_VTD_WALK_H

#include "model/vtd/config.h"

/* A finished walk. */
struct vtd_walk {
	uint64_t pa;	     /* of the very address asked for */
	uint64_t gpa;	     /* of the very address, if nested */
	uint64_t page_pa;    /* of @page_first */
	uint64_t page_gpa;   /* if nested */
	uint64_t page_first; /* the entry: the smaller of both leaves */
	uint8_t page_lg2;
	uint8_t ready; /* PERM_*, both stages */
	uint8_t allowed;
	struct walk_page leaf; /* the first stage's, or the second's if alone */
	struct walk_page ss;   /* the second stage's, if nested */
	struct vtd_denial fault; /* if the walk failed */
};

/*
 * Translates @req->addr in @space, which is not pass-through. On true all but
 * @fault is valid and the access is permitted, flags in the tables updated if
 * need be. On false @out->fault says why; nothing else is valid.
 */
bool vtd_walk(const struct walk_env *env, const struct vtd_id *id,
	      const struct vtd_space *space, const struct vtd_input *req,
	      struct vtd_walk *out);

/* Does @space let such a request in at all (SPT.5, SPT.6)? */
bool vtd_space_admits(const struct vtd_space *space,
		      const struct vtd_input *req, struct vtd_denial *fault);

/*
 * What permits a supervisor's write without WPE: it needs no R/W. Entries are
 * shared by spaces that may differ in WPE, so they keep both.
 */
#define VTD_PERM_FORCED_W PERM_PRIV_X

/* The bit of PERM_* that permits @req in @space. */
static inline uint8_t vtd_access_bit(const struct vtd_space *space,
				     const struct vtd_input *req)
{
	if (!req->priv)
		return req->write ? PERM_USER_W : PERM_USER_R;
	if (!req->write)
		return PERM_PRIV_R;
	return space->wpe ? PERM_PRIV_W : VTD_PERM_FORCED_W;
}

#endif
