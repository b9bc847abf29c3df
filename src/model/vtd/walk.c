// SPDX-License-Identifier: MIT
/*
 * The first stage, alone or nested (specification 3.6, 3.8, 9.7), and what
 * comes of both.
 */
#include "model/vtd/walk.h"

#include <errno.h>

#include "model/vtd/walk_priv.h"

struct fs_walk {
	const struct walk_env *env;
	const struct vtd_id *id;
	const struct vtd_space *space;
	const struct vtd_input *req;
	struct walk_page memo; /* nested: where tables were found last */
	struct walk_page *page;
	struct vtd_denial *fault;
};

/* An entry as it was read: where, and what */
struct entry {
	uint64_t value;
	uint64_t addr; /* nested: a GPA */
	uint64_t pa;
};

static bool nested(const struct fs_walk *w)
{
	return w->space->pgtt == VTD_PGTT_NESTED;
}

/* Where an entry lies; @write: it is to be changed. */
static bool fs_locate(struct fs_walk *w, unsigned int level, uint64_t addr,
		      bool write, uint64_t *pa)
{
	const struct ss_access a = {
		.gpa = addr,
		.read = true,
		.write = write,
		.why = level == w->space->fs_levels ? SS_TABLE_ROOT : SS_TABLE,
	};

	*pa = addr;
	if (!nested(w))
		return true;
	/* tables often lie together; looked at here for speed alone */
	if (!write && !w->space->ssade && w->memo.ready & ANY_R &&
	    covers(w->memo.first, w->memo.size_lg2, addr)) {
		*pa = w->memo.out + (addr - w->memo.first);
		return true;
	}
	if (!vtd_walk_ss(w->env, w->id, w->space, &a, &w->memo, w->fault))
		return false;
	*pa = w->memo.out + (addr - w->memo.first);
	return true;
}

static bool fs_is_leaf(unsigned int level, uint64_t entry)
{
	return level == 1 || (level <= 3 && entry & VTD_FS_PS);
}

/* 9.7: tables 34 to 40 */
static uint64_t fs_reserved(const struct fs_walk *w, unsigned int level,
			    uint64_t entry)
{
	uint64_t bits = GENMASK_ULL(51, 12) & ~low_mask(w->env->oas_bits);

	if (!fs_is_leaf(level, entry))
		return bits | (level > 3 ? VTD_FS_PS : 0);
	if (level > 1) /* bit 12 is PAT */
		bits |= GENMASK_ULL(level_shift(level) - 1, 13);
	if (level == 3 && !(w->id->cap & VTD_CAP_FS1GP))
		bits |= VTD_FS_PS;
	return bits;
}

static bool fs_may_write(const struct fs_walk *w, uint8_t rights, bool priv)
{
	return rights & RIGHT_WRITE || (priv && !w->space->wpe);
}

static uint8_t fs_allowed(uint8_t rights)
{
	unsigned int user = !!(rights & RIGHT_USER);
	unsigned int write = !!(rights & RIGHT_WRITE);

	return (uint8_t)(PERM_PRIV_R | VTD_PERM_FORCED_W | write * PERM_PRIV_W |
			 user * PERM_USER_R | (user & write) * PERM_USER_W);
}

/* What the access sets (3.6.2) */
static uint64_t fs_flags(const struct fs_walk *w, bool leaf)
{
	uint64_t flags = VTD_FS_A;

	if (w->space->eafe)
		flags |= VTD_FS_EA;
	if (leaf && w->req->write)
		flags |= VTD_FS_D;
	return flags;
}

/* 0; -EAGAIN: read the entry again; -EFAULT with the fault */
static int fs_update(struct fs_walk *w, unsigned int level, struct entry *e,
		     bool leaf)
{
	uint64_t flags = fs_flags(w, leaf);
	int rc;

	if (!(flags & ~e->value))
		return 0;
	if (w->env->any) {
		w->fault->reason = 0;
		return -EFAULT;
	}
	if (w->env->quiet)
		return 0;
	if (!w->space->pwsnp) { /* as without ECAP.SMPWCS */
		vtd_fail(w->fault, VTD_FR_SFS_9_NO_SNOOP, level);
		return -EFAULT;
	}
	if (!fs_locate(w, level, e->addr, true, &e->pa))
		return -EFAULT;
	rc = entry_update(w->env, e->pa, e->value, flags);
	if (rc == -EFAULT)
		vtd_fail(w->fault, VTD_FR_SFS_10_UPDATE, level);
	if (!rc)
		e->value |= flags;
	return rc;
}

static void fs_page(const struct fs_walk *w, unsigned int level, uint8_t rights,
		    uint64_t entry)
{
	unsigned int lg2 = level_shift(level);

	*w->page = (struct walk_page){
		.first = w->req->addr & ~low_mask(lg2),
		.out = entry & VTD_FS_ADDR & ~low_mask(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = (uint8_t)level,
		.allowed = fs_allowed(rights),
	};
	w->page->ready = w->page->allowed;
	if (!(entry & VTD_FS_D))
		w->page->ready &= (uint8_t)~ANY_W;
	if (!(entry & VTD_FS_A))
		w->page->ready = 0;
}

/* SGN.6; and what lies beyond the second stage's input addresses (SFS.5) */
static bool fs_leaf_permits(const struct fs_walk *w, unsigned int level,
			    uint8_t rights)
{
	if (w->env->any || !w->req->write ||
	    fs_may_write(w, rights, w->req->priv))
		return true;
	return vtd_fail(w->fault, VTD_FR_SGN_6_WRITE, level);
}

/* Present, reserved bits, a GPA that can be one, privilege: in this order */
static bool fs_valid(const struct fs_walk *w, unsigned int level,
		     uint64_t entry)
{
	if (!(entry & VTD_FS_P))
		return vtd_fail(w->fault, VTD_FR_SFS_2_NOT_PRESENT, level);
	if (entry & fs_reserved(w, level, entry))
		return vtd_fail(w->fault, VTD_FR_SFS_3_RESERVED, level);
	if (nested(w) && (entry & VTD_FS_ADDR) >> w->space->ss_bits)
		return vtd_fail(w->fault, VTD_FR_SFS_5_GPA, level);
	if (!w->env->any && !w->req->priv && !(entry & VTD_FS_US))
		return vtd_fail(w->fault, VTD_FR_SGN_2_PRIVILEGE, level);
	return true;
}

/* 1: *at has moved on; 0: @w->page is known; -EAGAIN; -EFAULT with a fault */
static int fs_entry(struct fs_walk *w, struct position *at, struct entry *e)
{
	bool leaf = fs_is_leaf(at->level, e->value);
	uint8_t rights;
	int rc;

	if (!fs_valid(w, at->level, e->value))
		return -EFAULT;
	rights = (e->value & VTD_FS_US ? RIGHT_USER : 0) |
		 (e->value & VTD_FS_RW ? RIGHT_WRITE : 0);
	rights &= at->rights;
	if (leaf && !fs_leaf_permits(w, at->level, rights))
		return -EFAULT;
	rc = fs_update(w, at->level, e, leaf);
	if (rc)
		return rc;
	if (leaf) {
		fs_page(w, at->level, rights, e->value);
		return 0;
	}
	at->rights = rights;
	at->table = e->value & VTD_FS_ADDR;
	at->level--;
	return 1;
}

/* The table at @at has just been reached and, nested, found in @w->memo. */
static void fs_add(const struct fs_walk *w, const struct position *at)
{
	const struct walk_cache *cache = w->env->cache;
	struct walk_table table;

	if (!adds(w->env) || !cache->s1_add_at)
		return;
	table_of(at, w->req->addr, &table);
	cache->s1_add_at(w->env->cache_ctx, w->req->addr, &table, &w->memo);
}

/*
 * A table known from before is of use only if all on the way to it may be
 * used by this request; else the walk finds out where not.
 */
static bool fs_start_at(struct fs_walk *w, const struct walk_table *table,
			const struct walk_page *page, struct position *at)
{
	if (!w->env->any && !w->req->priv && !(table->attrs & RIGHT_USER))
		return false;
	at->table = table->table;
	at->level = table->level;
	at->rights = table->attrs;
	w->memo = *page;
	return true;
}

static void fs_start(struct fs_walk *w, struct position *at)
{
	const struct walk_cache *cache = w->env->cache;
	const struct walk_recent *recent;
	struct walk_table found;
	struct walk_page page;

	recent = walk_recent_find(w->env, 1, w->req->addr, LAST_SPAN,
				  w->space->fs_levels);
	if (recent && fs_start_at(w, &recent->table, &recent->page, at))
		return;
	if (cache && cache->s1_find_at &&
	    cache->s1_find_at(w->env->cache_ctx, w->req->addr, &found, &page) &&
	    fs_start_at(w, &found, &page, at))
		return;
	*at = (struct position){
		.table = w->space->fs_root,
		.level = w->space->fs_levels,
		.rights = RIGHT_USER | RIGHT_WRITE,
	};
}

static void fs_keep(const struct fs_walk *w, const struct position *at)
{
	struct walk_table table;

	if (!w->env->recents || w->env->quiet ||
	    at->level == w->space->fs_levels)
		return;
	table_of(at, w->req->addr, &table);
	walk_recent_keep(w->env, 1, w->req->addr, LAST_SPAN,
			 w->space->fs_levels, &table, &w->memo);
}

/* 48 or 57 bits, the upper ones all the same (SGN.1) */
static bool canonical(const struct vtd_space *space, uint64_t addr)
{
	unsigned int bits = 12 + 9u * space->fs_levels;

	return (uint64_t)((int64_t)(addr << (64 - bits)) >> (64 - bits)) ==
	       addr;
}

static void fs_unreadable(const struct fs_walk *w, unsigned int level,
			  uint64_t pa)
{
	vtd_fail(w->fault,
		 level == w->space->fs_levels ? VTD_FR_SFS_4_ROOT
					      : VTD_FR_SFS_1_ACCESS,
		 level);
	w->fault->fetch = pa;
}

/* 1, 0, -EAGAIN, -EFAULT as fs_entry(); @reached: by the last step */
static int fs_step(struct fs_walk *w, struct position *at, bool reached)
{
	struct entry e = { .addr = entry_at(at, w->req->addr) };
	uint64_t raw;

	if (!fs_locate(w, at->level, e.addr, false, &e.pa))
		return -EFAULT;
	if (reached)
		fs_add(w, at);
	if (phys_cursor_load64(w->env->phys, &w->env->cursors->s1, e.pa,
			       &raw)) {
		fs_unreadable(w, at->level, e.pa);
		return -EFAULT;
	}
	e.value = le64toh(raw);
	tell(w->env, false, at->level, e.pa, e.value);
	return fs_entry(w, at, &e);
}

static bool fs_walk(struct fs_walk *w)
{
	unsigned int tries = UPDATE_TRIES;
	struct position at;
	uint8_t from;
	int rc;

	if (!canonical(w->space, w->req->addr))
		return vtd_fail(w->fault, VTD_FR_SGN_1_CANONICAL,
				w->space->fs_levels);
	fs_start(w, &at);
	from = at.level;
	rc = fs_step(w, &at, false);
	while (rc == 1 || (rc == -EAGAIN && --tries))
		rc = fs_step(w, &at, rc == 1);
	if (rc == -EAGAIN)
		return vtd_fail(w->fault, VTD_FR_SFS_10_UPDATE, at.level);
	if (!rc && at.level != from)
		fs_keep(w, &at);
	return !rc;
}

/* The page that both leaves have in common */
static void combine(const struct vtd_input *req, struct vtd_walk *out)
{
	const struct walk_page *small =
		out->ss.size_lg2 < out->leaf.size_lg2 ? &out->ss : &out->leaf;
	uint64_t offset = req->addr & low_mask(small->size_lg2);

	out->page_lg2 = small->size_lg2;
	out->page_first = req->addr - offset;
	out->page_gpa = out->gpa - offset;
	out->page_pa = out->pa - offset;
	out->ready = out->leaf.ready & out->ss.ready;
	out->allowed = out->leaf.allowed & out->ss.allowed;
}

static void alone(const struct vtd_input *req, struct vtd_walk *out)
{
	uint64_t offset = req->addr & low_mask(out->leaf.size_lg2);

	out->page_lg2 = out->leaf.size_lg2;
	out->page_first = out->leaf.first;
	out->page_pa = out->leaf.out;
	out->pa = out->leaf.out + offset;
	out->ready = out->leaf.ready;
	out->allowed = out->leaf.allowed;
}

static bool walk_first(const struct walk_env *env, const struct vtd_id *id,
		       const struct vtd_space *space,
		       const struct vtd_input *req, struct vtd_walk *out)
{
	struct fs_walk w = {
		.env = env,
		.id = id,
		.space = space,
		.req = req,
		.page = &out->leaf,
		.fault = &out->fault,
	};
	struct ss_access a = {
		.read = !req->write,
		.write = req->write,
		.why = SS_OUTPUT,
	};

	if (!fs_walk(&w))
		return false;
	if (!nested(&w)) {
		alone(req, out);
		return true;
	}
	out->gpa = out->leaf.out + (req->addr - out->leaf.first);
	a.gpa = out->gpa;
	out->ss = w.memo;
	if (!vtd_walk_ss(env, id, space, &a, &out->ss, &out->fault))
		return false;
	out->pa = out->ss.out + (out->gpa - out->ss.first);
	combine(req, out);
	return true;
}

static bool walk_second(const struct walk_env *env, const struct vtd_id *id,
			const struct vtd_space *space,
			const struct vtd_input *req, struct vtd_walk *out)
{
	const struct ss_access a = {
		.gpa = req->addr,
		.read = !req->write,
		.write = req->write,
		.why = SS_ALONE,
	};

	if (!vtd_walk_ss(env, id, space, &a, &out->leaf, &out->fault))
		return false;
	alone(req, out);
	return true;
}

bool vtd_walk(const struct walk_env *env, const struct vtd_id *id,
	      const struct vtd_space *space, const struct vtd_input *req,
	      struct vtd_walk *out)
{
	bool ok;

	out->leaf.size_lg2 = 0;
	out->fault = (struct vtd_denial){ 0 };
	if (space->pgtt == VTD_PGTT_SS)
		ok = walk_second(env, id, space, req, out);
	else
		ok = walk_first(env, id, space, req, out);
	if (ok && is_interrupt(out->pa, 0))
		ok = vtd_fail(&out->fault,
			      space->scalable ? VTD_FR_SGN_8_INTERRUPT
					      : VTD_FR_LGN_4_INTERRUPT,
			      out->leaf.level);
	if (!ok)
		out->fault.unreported = space->fpd;
	return ok;
}

bool vtd_space_admits(const struct vtd_space *space,
		      const struct vtd_input *req, struct vtd_denial *fault)
{
	uint8_t reason = 0;

	if (space->scalable && req->exec)
		reason = VTD_FR_SPT_5_EXECUTE;
	else if (space->scalable && req->priv && !space->sre)
		reason = VTD_FR_SPT_6_SUPERVISOR;
	*fault = (struct vtd_denial){
		.reason = reason,
		.unreported = space->fpd,
	};
	return !reason;
}
