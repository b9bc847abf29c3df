// SPDX-License-Identifier: MIT
/*
 * Stage 2: from an intermediate physical address to a physical one, for a
 * transaction, for a descriptor of stage 1, or for a CD.
 */
#include <errno.h>

#include "model/smmuv3/walk_priv.h"

#define S2_DEVICE_MASK	   GENMASK_ULL(5, 4) /* MemAttr[3:2]: 0 is Device */
#define S2_DEVICE_MASK_FWB BIT_ULL(4)	     /* MemAttr[2] with FWB */

static __attribute__((cold, noinline)) bool s2_fault(struct smmuv3_fault *fault,
						     uint8_t event,
						     unsigned int level,
						     const struct s2_access *a)
{
	*fault = (struct smmuv3_fault){
		.event = event,
		.class = a->class,
		.level = (uint8_t)level,
		.s2 = true,
		.ipa = a->ipa,
	};
	return false;
}

static __attribute__((cold, noinline)) bool s2_abort(struct smmuv3_fault *fault,
						     unsigned int level,
						     const struct s2_access *a,
						     uint64_t pa)
{
	s2_fault(fault, SMMUV3_EVT_F_WALK_EABT, level, a);
	fault->ipa = 0;
	fault->fetch = pa;
	return false;
}

static bool s2_clean(const struct smmuv3_s2 *s2, uint64_t d)
{
	return s2->hd && d & ARMV8_PTE_DBM && !(d & ARMV8_S2_AP_W);
}

/* Execution and access are independent: execute-only exists (D8.4). */
static uint8_t s2_allowed(const struct smmuv3_s2 *s2, uint64_t d)
{
	static const uint8_t by_ap[4] = { 0, ANY_R, ANY_W, ANY_R | ANY_W };
	static const uint8_t by_xn[4] = {
		PERM_PRIV_X | PERM_USER_X,
		PERM_USER_X,
		0,
		PERM_PRIV_X,
	};
	uint64_t xn = field_get(ARMV8_S2_XN, d);

	if (!s2->xnx)
		xn &= 2; /* bit 53 is RES0 then, and XN is bit 54 alone */
	if (s2_clean(s2, d))
		d |= ARMV8_S2_AP_W;
	return by_ap[field_get(ARMV8_S2_AP_R | ARMV8_S2_AP_W, d)] | by_xn[xn];
}

static bool s2_device(const struct smmuv3_s2 *s2, uint64_t d)
{
	return !(d & (s2->fwb ? S2_DEVICE_MASK_FWB : S2_DEVICE_MASK));
}

/* A table or CD in Device memory, where S2PTW forbids that (5.2) */
static bool s2_protected(const struct smmuv3_s2 *s2, const struct s2_access *a,
			 const struct walk_page *page)
{
	return s2->ptw && page->device && a->class != SMMUV3_CLASS_IN;
}

static bool s2_refuses(const struct smmuv3_s2 *s2, const struct s2_access *a,
		       const struct walk_page *page)
{
	return a->need & ~page->allowed || s2_protected(s2, a, page);
}

static __attribute__((cold, noinline)) bool
s2_denied(const struct s2_access *a, const struct walk_page *page,
	  struct smmuv3_fault *fault)
{
	s2_fault(fault, SMMUV3_EVT_F_PERMISSION, page->level, a);
	fault->tt_write = a->need & ANY_W & ~page->allowed;
	return false;
}

static void s2_page(const struct smmuv3_s2 *s2, uint64_t ipa, uint64_t d,
		    unsigned int level, struct walk_page *page)
{
	unsigned int lg2 = level_shift(&s2->tt, level);

	*page = (struct walk_page){
		.first = ipa & ~below(lg2),
		.out = desc_output(&s2->tt, d, lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = (uint8_t)level,
		.allowed = s2_allowed(s2, d),
		.device = s2_device(s2, d),
		.contiguous = d & ARMV8_PTE_CONT,
	};
	page->ready = page->allowed;
}

/* The descriptor as the access leaves it, with HA (3.13) */
static uint64_t s2_updated(const struct smmuv3_s2 *s2,
			   const struct s2_access *a, uint64_t d)
{
	d |= ARMV8_PTE_AF;
	if (a->need & ANY_W && s2_clean(s2, d))
		d |= ARMV8_S2_AP_W;
	return d;
}

/* Judge a leaf: address size, then access flag, then permission (D8.15). */
static bool s2_leaf(const struct smmuv3_s2 *s2, const struct s2_access *a,
		    uint64_t d, struct walk_page *page,
		    struct smmuv3_fault *fault)
{
	if (out_of_range(&s2->tt, page->out))
		return s2_fault(fault, SMMUV3_EVT_F_ADDR_SIZE, page->level, a);
	if (!(d & ARMV8_PTE_AF) && (s2->ha ? !a->need : !s2->affd))
		return s2_fault(fault, SMMUV3_EVT_F_ACCESS, page->level, a);
	if (s2_refuses(s2, a, page))
		return s2_denied(a, page, fault);
	return true;
}

/* What the page is ready for when its descriptor reads @d */
static void s2_ready(const struct smmuv3_s2 *s2, uint64_t d,
		     struct walk_page *page)
{
	if (s2_clean(s2, d))
		page->ready &= (uint8_t)~ANY_W;
	if (!(d & ARMV8_PTE_AF))
		page->ready = 0;
}

/* 0; -EAGAIN: read the descriptor again; -EFAULT with *fault */
static int s2_finish(const struct walk_env *env, const struct smmuv3_s2 *s2,
		     const struct s2_access *a, const struct descriptor *d,
		     struct walk_page *page, struct smmuv3_fault *fault)
{
	uint64_t to;
	int rc;

	if (!s2->ha)
		return 0;
	to = env->quiet ? d->value : s2_updated(s2, a, d->value);
	if (to != d->value) {
		rc = smmuv3_walk_update(env, &s2->tt, d, to);
		if (rc == -EFAULT)
			s2_abort(fault, page->level, a, d->pa);
		if (rc)
			return rc;
	}
	s2_ready(s2, to, page);
	return 0;
}

/* Does a page known already do for this access? */
static bool s2_suits(const struct smmuv3_s2 *s2, const struct s2_access *a,
		     const struct walk_page *page)
{
	return !(a->need & ~page->ready) && !s2_protected(s2, a, page);
}

/* What may become of an access by what is known of its page */
enum s2_answer {
	S2_UNKNOWN,
	S2_KNOWN,
	S2_REFUSED, /* as it stands */
};

static enum s2_answer s2_cached(const struct walk_env *env,
				const struct smmuv3_s2 *s2,
				const struct s2_access *a,
				struct walk_page *page)
{
	struct walk_page found;

	if (!env->cache->ipa_find ||
	    !env->cache->ipa_find(env->cache_ctx, a->ipa, &found))
		return S2_UNKNOWN;
	if (!s2_suits(s2, a, &found) && !s2_refuses(s2, a, &found))
		return S2_UNKNOWN; /* a flag is to be set in memory first */
	*page = found;
	return s2_suits(s2, a, &found) ? S2_KNOWN : S2_REFUSED;
}

static void s2_start(const struct walk_env *env, const struct smmuv3_s2 *s2,
		     uint64_t ipa, const struct walk_recent *recent,
		     const struct s2_memo *memo, struct position *at)
{
	struct walk_table found;

	at->attrs = 0;
	if (recent) {
		at->table = recent->table.table;
		at->level = recent->table.level;
		return;
	}
	if (covers(memo->first, memo->span_lg2, ipa)) {
		*at = memo->at;
		return;
	}
	at->table = s2->tt.ttb;
	at->level = s2->tt.start_level;
	if (env->cache && env->cache->s2_find &&
	    env->cache->s2_find(env->cache_ctx, ipa, &found)) {
		at->table = found.table;
		at->level = found.level;
	}
}

static void s2_remember(const struct smmuv3_s2 *s2, uint64_t ipa,
			const struct position *at, struct s2_memo *memo)
{
	unsigned int lg2 = level_shift(&s2->tt, at->level - 1u);

	if (at->level == s2->tt.start_level)
		return; /* nothing gained */
	memo->at = *at;
	memo->first = ipa & ~below(lg2);
	memo->span_lg2 = (uint8_t)lg2;
}

static void s2_add_table(const struct walk_env *env, uint64_t ipa,
			 const struct position *at, unsigned int lg2)
{
	struct walk_table table = {
		.table = at->table,
		.first = ipa & ~below(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
	};

	if (!env->quiet && env->cache->s2_add)
		env->cache->s2_add(env->cache_ctx, ipa, &table);
}

/* From @at down to the leaf. */
static bool s2_descend(const struct walk_env *env, const struct smmuv3_s2 *s2,
		       const struct s2_access *a, struct position *at,
		       struct descriptor *leaf, struct smmuv3_fault *fault)
{
	const struct smmuv3_tt *tt = &s2->tt;
	const unsigned int stride = tt->granule_lg2 - 3u;
	unsigned int shift = level_shift(tt, at->level);
	uint64_t index = first_index(tt, at, a->ipa, shift);
	uint64_t pa, raw, d;

	for (;;) {
		pa = at->table + index * 8;
		if (phys_cursor_load64(env->phys, &env->cursors->s2, pa, &raw))
			return s2_abort(fault, at->level, a, pa);
		d = desc_order(tt, raw);
		if (env->cache)
			tell(env, true, at->level, pa, d);
		if (!is_table(at->level, d))
			break;
		at->table = desc_output(tt, d, tt->granule_lg2);
		if (out_of_range(tt, at->table))
			return s2_fault(fault, SMMUV3_EVT_F_ADDR_SIZE,
					at->level, a);
		at->level++;
		if (env->cache)
			s2_add_table(env, a->ipa, at, shift);
		shift -= stride;
		index = (a->ipa >> shift) & below(stride);
	}
	if (!is_leaf(tt, at->level, d))
		return s2_fault(fault, SMMUV3_EVT_F_TRANSLATION, at->level, a);
	*leaf = (struct descriptor){ d, pa, pa };
	return true;
}

/* A leaf that is valid may be cached though it does not permit the access. */
static __attribute__((cold, noinline)) void
s2_add_refused(const struct walk_env *env, const struct smmuv3_s2 *s2,
	       const struct s2_access *a, uint64_t d, struct walk_page *page,
	       const struct smmuv3_fault *fault)
{
	if (fault->event != SMMUV3_EVT_F_PERMISSION || !adds(env) ||
	    !env->cache->ipa_add || (s2->ha && !(d & ARMV8_PTE_AF)))
		return;
	if (s2->ha)
		s2_ready(s2, d, page);
	env->cache->ipa_add(env->cache_ctx, a->ipa, page);
}

/* From a position to a leaf that permits the access; updates its flags. */
static bool s2_walk_from(const struct walk_env *env, const struct smmuv3_s2 *s2,
			 const struct s2_access *a, struct position *at,
			 struct walk_page *page, struct smmuv3_fault *fault)
{
	struct descriptor d = { 0 };
	int rc;

	for (int tries = 0; tries < UPDATE_TRIES; tries++) {
		if (!s2_descend(env, s2, a, at, &d, fault))
			return false;
		s2_page(s2, a->ipa, d.value, at->level, page);
		if (!s2_leaf(s2, a, d.value, page, fault)) {
			s2_add_refused(env, s2, a, d.value, page, fault);
			return false;
		}
		rc = s2_finish(env, s2, a, &d, page, fault);
		if (rc != -EAGAIN)
			return !rc;
	}
	return s2_abort(fault, at->level, a, d.pa);
}

/* A single page is one load away: what is worth keeping is the table. */
static void s2_keep(const struct walk_env *env, const struct smmuv3_s2 *s2,
		    uint64_t ipa, const struct walk_recent *recent,
		    const struct position *at, struct s2_memo *memo)
{
	static const struct walk_page none;
	bool block = at->level < LEAF_LEVEL;

	if (!recent)
		s2_remember(s2, ipa, at, memo);
	if (!recent || block || recent->table.level != at->level)
		recent_keep(env, 2, ipa, &s2->tt, at,
			    block ? &memo->page : &none);
}

/* Do we know the page itself? It is put into @memo. */
static enum s2_answer s2_known(const struct walk_env *env,
			       const struct smmuv3_s2 *s2,
			       const struct s2_access *a,
			       const struct walk_recent *recent,
			       struct s2_memo *memo)
{
	if (covers(memo->page.first, memo->page.size_lg2, a->ipa) &&
	    s2_suits(s2, a, &memo->page))
		return S2_KNOWN;
	if (recent &&
	    covers(recent->page.first, recent->page.size_lg2, a->ipa) &&
	    s2_suits(s2, a, &recent->page)) {
		memo->page = recent->page;
		return S2_KNOWN;
	}
	return env->cache ? s2_cached(env, s2, a, &memo->page) : S2_UNKNOWN;
}

bool smmuv3_walk_s2(const struct walk_env *env, const struct smmuv3_s2 *s2,
		    const struct s2_access *a, struct s2_memo *memo,
		    struct smmuv3_fault *fault)
{
	const struct walk_recent *recent;
	enum s2_answer answer;
	struct position at;

	recent = recent_find(env, 2, a->ipa, &s2->tt);
	answer = s2_known(env, s2, a, recent, memo);
	if (answer == S2_KNOWN)
		return true;
	if (answer == S2_REFUSED)
		return s2_denied(a, &memo->page, fault);
	if (a->ipa >> s2->tt.in_bits)
		return s2_fault(fault, SMMUV3_EVT_F_TRANSLATION,
				s2->tt.start_level, a);
	s2_start(env, s2, a->ipa, recent, memo, &at);
	if (!s2_walk_from(env, s2, a, &at, &memo->page, fault))
		return false;
	s2_keep(env, s2, a->ipa, recent, &at, memo);
	if (adds(env) && env->cache->ipa_add)
		env->cache->ipa_add(env->cache_ctx, a->ipa, &memo->page);
	return true;
}

bool smmuv3_walk_cd(const struct walk_env *env, const struct smmuv3_s2 *s2,
		    uint64_t ipa, uint64_t *pa, struct smmuv3_fault *fault)
{
	struct s2_access a = {
		.ipa = ipa,
		.class = SMMUV3_CLASS_CD,
		.need = PERM_PRIV_R,
	};
	struct s2_memo memo = { 0 };

	if (!smmuv3_walk_s2(env, s2, &a, &memo, fault))
		return false;
	*pa = memo.page.out + (ipa - memo.page.first);
	return true;
}
