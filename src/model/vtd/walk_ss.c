// SPDX-License-Identifier: MIT
/* The second stage: specification 3.7 and 9.8. */
#include <errno.h>

#include "model/vtd/walk_priv.h"

struct ss_walk {
	const struct walk_env *env;
	const struct vtd_id *id;
	const struct vtd_space *space;
	const struct ss_access *a;
	struct walk_page *page;
	struct vtd_denial *fault;
};

/* Legacy mode numbers its faults differently (7.1.3). */
static bool ss_fail(const struct ss_walk *w, uint8_t scalable, uint8_t legacy,
		    unsigned int level)
{
	return vtd_fail(w->fault, w->space->scalable ? scalable : legacy,
			level);
}

static bool ss_unreadable(const struct ss_walk *w, const struct position *at,
			  uint64_t pa)
{
	if (at->level == w->space->ss_levels)
		ss_fail(w, VTD_FR_SSS_4_ROOT, VTD_FR_LCT_4_INVALID, at->level);
	else
		ss_fail(w, VTD_FR_SSS_1_ACCESS, VTD_FR_LSS_1_ACCESS, at->level);
	w->fault->fetch = pa;
	return false;
}

/* The right that is missing, in the words of who needs it */
static bool ss_denied(const struct ss_walk *w, bool write, unsigned int level)
{
	switch (w->a->why) {
	case SS_TABLE_ROOT:
		return vtd_fail(w->fault,
				write ? VTD_FR_SFS_8_TABLE_WRITE
				      : VTD_FR_SFS_6_ROOT_READ,
				level);
	case SS_TABLE:
		return vtd_fail(w->fault,
				write ? VTD_FR_SFS_8_TABLE_WRITE
				      : VTD_FR_SFS_7_TABLE_READ,
				level);
	default:
		return write ? ss_fail(w, VTD_FR_SGN_6_WRITE,
				       VTD_FR_LGN_2_WRITE, level)
			     : ss_fail(w, VTD_FR_SGN_7_READ, VTD_FR_LGN_3_READ,
				       level);
	}
}

/* Neither read nor write: not present, if one likes. Legacy mode has no such
 * reason, there it is the missing right. */
static bool ss_none(const struct ss_walk *w, unsigned int level)
{
	return ss_fail(w, VTD_FR_SSS_2_NONE,
		       w->a->write ? VTD_FR_LGN_2_WRITE : VTD_FR_LGN_3_READ,
		       level);
}

static uint8_t rights_perms(uint8_t rights)
{
	return (uint8_t)((rights & RIGHT_R ? ANY_R : 0) |
			 (rights & RIGHT_W ? ANY_W : 0));
}

/* What the access sets (3.7.2); 0 without SSADE */
static uint64_t ss_flags(const struct ss_walk *w, bool leaf)
{
	if (!w->space->ssade)
		return 0;
	return VTD_SS_A | (leaf && w->a->write ? VTD_SS_D : 0);
}

/* 0; -EAGAIN: read the entry again; -EFAULT with the fault */
static int ss_update(const struct ss_walk *w, unsigned int level, uint64_t pa,
		     uint64_t *entry, bool leaf)
{
	uint64_t flags = ss_flags(w, leaf);
	int rc;

	if (!(flags & ~*entry))
		return 0;
	if (w->env->any) {
		w->fault->reason = 0;
		return -EFAULT;
	}
	if (w->env->quiet)
		return 0;
	if (!w->space->pwsnp) {
		vtd_fail(w->fault, VTD_FR_SSS_5_NO_SNOOP, level);
		return -EFAULT;
	}
	rc = entry_update(w->env, pa, *entry, flags);
	if (rc == -EFAULT)
		vtd_fail(w->fault, VTD_FR_SSS_6_UPDATE, level);
	if (!rc)
		*entry |= flags;
	return rc;
}

static void ss_page(const struct ss_walk *w, const struct position *at,
		    uint64_t entry)
{
	unsigned int lg2 = level_shift(at->level);

	*w->page = (struct walk_page){
		.first = w->a->gpa & ~low_mask(lg2),
		.out = entry & VTD_SS_ADDR & ~low_mask(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
		.allowed = rights_perms(at->rights),
	};
	w->page->ready = w->page->allowed;
	if (w->space->ssade && !(entry & VTD_SS_D))
		w->page->ready &= (uint8_t)~ANY_W;
	if (w->space->ssade && !(entry & VTD_SS_A))
		w->page->ready = 0;
}

/* A table of the first stage, which with SSADE must be writable (3.8.1) */
static bool ss_guards(const struct ss_walk *w)
{
	return w->space->ssade && w->a->why >= SS_TABLE_ROOT;
}

static bool ss_permits(const struct ss_walk *w, const struct position *at)
{
	if (w->env->any)
		return true;
	if (w->a->write && !(at->rights & RIGHT_W))
		return ss_denied(w, true, at->level);
	if ((w->a->read && !(at->rights & RIGHT_R)) ||
	    (ss_guards(w) && !(at->rights & RIGHT_W)))
		return ss_denied(w, false, at->level);
	return true;
}

/* 1: *at has moved on; 0: @w->page is known; -EAGAIN; -EFAULT with a fault */
static int ss_entry(const struct ss_walk *w, struct position *at, uint64_t pa,
		    uint64_t entry)
{
	bool leaf = vtd_ss_is_leaf(at->level, entry);
	uint8_t rights = (entry & VTD_SS_R ? RIGHT_R : 0) |
			 (entry & VTD_SS_W ? RIGHT_W : 0);
	struct walk_table table;
	int rc;

	if (rights && entry & vtd_ss_reserved(w->id, at->level, entry)) {
		ss_fail(w, VTD_FR_SSS_3_RESERVED, VTD_FR_LSS_2_RESERVED,
			at->level);
		return -EFAULT;
	}
	rights &= at->rights;
	if (!rights) {
		ss_none(w, at->level);
		return -EFAULT;
	}
	if (leaf) {
		struct position here = *at;

		here.rights = rights;
		if (!ss_permits(w, &here))
			return -EFAULT;
		rc = ss_update(w, at->level, pa, &entry, true);
		if (!rc)
			ss_page(w, &here, entry);
		return rc;
	}
	rc = ss_update(w, at->level, pa, &entry, false);
	if (rc)
		return rc;
	at->rights = rights;
	at->table = entry & VTD_SS_ADDR;
	at->level--;
	if (adds(w->env) && w->env->cache->s2_add) {
		table_of(at, w->a->gpa, &table);
		w->env->cache->s2_add(w->env->cache_ctx, w->a->gpa, &table);
	}
	return 1;
}

static void ss_start(const struct ss_walk *w, const struct walk_recent *recent,
		     struct position *at)
{
	const struct walk_cache *cache = w->env->cache;
	const struct walk_table *table = NULL;
	struct walk_table found;

	if (recent)
		table = &recent->table;
	else if (cache && cache->s2_find &&
		 cache->s2_find(w->env->cache_ctx, w->a->gpa, &found))
		table = &found;
	*at = (struct position){
		.table = w->space->ss_root,
		.level = w->space->ss_levels,
		.rights = RIGHT_R | RIGHT_W,
	};
	if (!table)
		return;
	at->table = table->table;
	at->level = table->level;
	at->rights = table->attrs;
}

/* Does a page known already do for this access? */
static bool ss_suits(const struct ss_walk *w, const struct walk_page *page)
{
	return covers(page->first, page->size_lg2, w->a->gpa) &&
	       (!w->a->read || page->ready & ANY_R) &&
	       (!w->a->write || page->ready & ANY_W) &&
	       (!ss_guards(w) || page->allowed & ANY_W);
}

static bool ss_known(const struct ss_walk *w, const struct walk_recent *recent)
{
	if (ss_suits(w, w->page))
		return true;
	if (!recent || !ss_suits(w, &recent->page))
		return false;
	*w->page = recent->page;
	return true;
}

/* A single page is one load away: what is worth keeping is the table. */
static void ss_keep(const struct ss_walk *w, const struct walk_recent *recent,
		    const struct position *at)
{
	static const struct walk_page none;
	bool block = at->level > 1;
	struct walk_table table;

	if (!w->env->recents || w->env->quiet ||
	    at->level == w->space->ss_levels ||
	    (recent && !block && recent->table.level == at->level))
		return;
	table_of(at, w->a->gpa, &table);
	walk_recent_keep(w->env, 2, w->a->gpa, LAST_SPAN, w->space->ss_levels,
			 &table, block ? w->page : &none);
}

/* In legacy mode and alone: beyond what AW and MGAW let in (SGN.5, LGN.1) */
static bool ss_address(const struct ss_walk *w)
{
	if (!(w->a->gpa >> w->space->ss_bits))
		return true;
	if (w->a->why == SS_ALONE)
		return ss_fail(w, VTD_FR_SGN_5_ADDRESS, VTD_FR_LGN_1_ADDRESS,
			       w->space->ss_levels);
	return vtd_fail(w->fault, VTD_FR_SFS_5_GPA, w->space->ss_levels);
}

static bool ss_walk(const struct ss_walk *w, struct position *at)
{
	unsigned int tries = UPDATE_TRIES;
	uint64_t raw;
	int rc;

	do {
		uint64_t pa = entry_at(at, w->a->gpa);

		if (phys_cursor_load64(w->env->phys, &w->env->cursors->s2, pa,
				       &raw))
			return ss_unreadable(w, at, pa);
		tell(w->env, true, at->level, pa, le64toh(raw));
		rc = ss_entry(w, at, pa, le64toh(raw));
	} while (rc == 1 || (rc == -EAGAIN && --tries));
	if (rc == -EAGAIN)
		return vtd_fail(w->fault, VTD_FR_SSS_6_UPDATE, at->level);
	return !rc;
}

bool vtd_walk_ss(const struct walk_env *env, const struct vtd_id *id,
		 const struct vtd_space *space, const struct ss_access *a,
		 struct walk_page *page, struct vtd_denial *fault)
{
	const struct ss_walk w = { env, id, space, a, page, fault };
	const struct walk_recent *recent;
	struct position at;

	if (!ss_address(&w))
		return false;
	recent = walk_recent_find(env, 2, a->gpa, LAST_SPAN, space->ss_levels);
	if (ss_known(&w, recent))
		return true;
	ss_start(&w, recent, &at);
	if (!ss_walk(&w, &at))
		return false;
	ss_keep(&w, recent, &at);
	return true;
}
