// SPDX-License-Identifier: MIT
/*
 * Stage 1, and both stages together. Under stage 2 each descriptor of stage 1
 * lies at an IPA: it is translated before it is read (CLASS TT), and once more
 * for writing when its flags are updated. See walk.h for the vocabulary.
 */
#include "model/smmuv3/walk.h"

#include <errno.h>

#include "model/smmuv3/walk_priv.h"

/* One walk of stage 1: all but @memo stays as it is. */
struct s1_walk {
	const struct walk_env *env;
	const struct smmuv3_s1 *s1;
	const struct smmuv3_s2 *s2;
	const struct smmuv3_tt *tt;
	uint64_t va;	/* effective */
	uint64_t index; /* the bits of it that index tables */
	uint8_t need;
	struct s2_memo memo;
	struct smmuv3_fault *fault;
};

int smmuv3_walk_update(const struct walk_env *env, const struct smmuv3_tt *tt,
		       const struct descriptor *d, uint64_t to)
{
	uint64_t expected = desc_order(tt, d->value);

	return phys_cas64(env->phys, d->pa, &expected, desc_order(tt, to));
}

/* A fault of stage 1 is always of the input address (7.3.13). */
static __attribute__((cold, noinline)) bool
s1_fault(const struct s1_walk *w, uint8_t event, unsigned int level)
{
	*w->fault = (struct smmuv3_fault){
		.event = event,
		.class = SMMUV3_CLASS_IN,
		.level = (uint8_t)level,
	};
	return false;
}

static __attribute__((cold, noinline)) bool
s1_abort(const struct s1_walk *w, unsigned int level, uint64_t pa)
{
	s1_fault(w, SMMUV3_EVT_F_WALK_EABT, level);
	w->fault->class = SMMUV3_CLASS_TT; /* 7.3.12: unlike the others */
	w->fault->fetch = pa;
	return false;
}

/* Where a descriptor of stage 1 lies. */
static bool s1_locate(struct s1_walk *w, uint64_t addr, uint8_t need,
		      uint64_t *pa)
{
	struct s2_access a = {
		.ipa = addr,
		.class = SMMUV3_CLASS_TT,
		.need = need,
	};

	if (!w->s2) {
		*pa = addr;
		return true;
	}
	if (!smmuv3_walk_s2(w->env, w->s2, &a, &w->memo, w->fault))
		return false;
	*pa = w->memo.page.out + (addr - w->memo.page.first);
	return true;
}

static uint8_t s1_table_attrs(const struct smmuv3_tt *tt, uint64_t d)
{
	const uint64_t any = ARMV8_TABLE_AP_RO | ARMV8_TABLE_AP_EL0 |
			     ARMV8_TABLE_UXN | ARMV8_TABLE_PXN;
	uint8_t attrs = 0;

	if (!(d & any) || tt->had)
		return 0;
	if (d & ARMV8_TABLE_AP_RO)
		attrs |= SMMUV3_TABLE_RO;
	if (d & ARMV8_TABLE_AP_EL0)
		attrs |= SMMUV3_TABLE_EL0;
	if (d & ARMV8_TABLE_UXN)
		attrs |= SMMUV3_TABLE_UXN;
	if (d & ARMV8_TABLE_PXN)
		attrs |= SMMUV3_TABLE_PXN;
	return attrs;
}

/* Writable but for the flag: APTable has not taken writing away (3.13.3) */
static bool s1_clean(const struct smmuv3_s1 *s1, uint64_t d, uint8_t attrs)
{
	return s1->hd && d & ARMV8_PTE_DBM && d & ARMV8_S1_AP_RO &&
	       !(attrs & SMMUV3_TABLE_RO);
}

/*
 * Direct permissions of EL1&0 (D8.4, 13.4.1). A writable-clean page counts as
 * writable for what may be executed. PAN is about data: it comes last.
 */
static uint8_t s1_allowed(const struct smmuv3_s1 *s1, uint64_t d, uint8_t attrs)
{
	bool el0 = d & ARMV8_S1_AP_EL0 && !(attrs & SMMUV3_TABLE_EL0);
	bool ro = d & ARMV8_S1_AP_RO || attrs & SMMUV3_TABLE_RO;
	bool pxn = d & ARMV8_S1_PXN || attrs & SMMUV3_TABLE_PXN;
	bool uxn = d & ARMV8_S1_UXN || attrs & SMMUV3_TABLE_UXN;
	bool w = !ro | s1_clean(s1, d, attrs);
	bool uw = w & el0;
	/* many bits and each its own branch would cost more than the walk */
	unsigned int allowed = PERM_PRIV_R | w * PERM_PRIV_W |
			       el0 * PERM_USER_R | uw * PERM_USER_W;

	allowed |= (!pxn & !uw & !(s1->wxn & w)) * PERM_PRIV_X;
	allowed |= (!uxn & !(s1->wxn & uw)) * PERM_USER_X;
	if (s1->pan && el0)
		allowed &= ~(PERM_PRIV_R | PERM_PRIV_W);
	return (uint8_t)allowed;
}

static void s1_page(const struct s1_walk *w, const struct position *at,
		    uint64_t d, struct walk_page *page)
{
	unsigned int lg2 = level_shift(w->tt, at->level);

	*page = (struct walk_page){
		.first = w->va & ~below(lg2),
		.out = desc_output(w->tt, d, lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
		.allowed = s1_allowed(w->s1, d, at->attrs),
		.global = !(d & ARMV8_S1_NG),
		.contiguous = d & ARMV8_PTE_CONT,
	};
	page->ready = page->allowed;
}

/* Judge a leaf: address size, then access flag, then permission (D8.15). */
static bool s1_leaf(const struct s1_walk *w, uint64_t d,
		    const struct walk_page *page)
{
	if (out_of_range(w->tt, page->out))
		return s1_fault(w, SMMUV3_EVT_F_ADDR_SIZE, page->level);
	if (!(d & ARMV8_PTE_AF) && (w->s1->ha ? !w->need : !w->s1->affd))
		return s1_fault(w, SMMUV3_EVT_F_ACCESS, page->level);
	if (w->need & ~page->allowed)
		return s1_fault(w, SMMUV3_EVT_F_PERMISSION, page->level);
	return true;
}

/* The descriptor as the access leaves it, with HA (3.13) */
static uint64_t s1_updated(const struct s1_walk *w, uint64_t d, uint8_t attrs)
{
	d |= ARMV8_PTE_AF;
	if (w->need & ANY_W && s1_clean(w->s1, d, attrs))
		d &= ~ARMV8_S1_AP_RO;
	return d;
}

/* What the page is ready for when its descriptor reads @d */
static void s1_ready(const struct s1_walk *w, uint64_t d, uint8_t attrs,
		     struct walk_page *page)
{
	if (s1_clean(w->s1, d, attrs))
		page->ready &= (uint8_t)~ANY_W;
	if (!(d & ARMV8_PTE_AF))
		page->ready = 0;
}

/* 0; -EAGAIN: read the descriptor again; -EFAULT with the fault */
static int s1_finish(struct s1_walk *w, uint8_t attrs, struct descriptor *d,
		     struct walk_page *page)
{
	uint64_t to;
	int rc;

	if (!w->s1->ha)
		return 0;
	to = w->env->quiet ? d->value : s1_updated(w, d->value, attrs);
	if (to != d->value) {
		if (!s1_locate(w, d->addr, PERM_PRIV_R | PERM_PRIV_W, &d->pa))
			return -EFAULT;
		rc = smmuv3_walk_update(w->env, w->tt, d, to);
		if (rc == -EFAULT)
			s1_abort(w, page->level, d->pa);
		if (rc)
			return rc;
	}
	s1_ready(w, to, attrs, page);
	return 0;
}

static void start_at(struct position *at, const struct walk_table *table)
{
	at->table = table->table;
	at->level = table->level;
	at->attrs = table->attrs;
}

static void s1_start(struct s1_walk *w, struct position *at)
{
	const struct walk_env *env = w->env;
	const struct walk_recent *recent;
	struct walk_table found;

	recent = recent_find(env, 1, w->va, w->tt);
	if (recent) {
		start_at(at, &recent->table);
		w->memo.page = recent->page;
		return;
	}
	at->table = w->tt->ttb;
	at->level = w->tt->start_level;
	at->attrs = 0;
	if (env->cache && env->cache->s1_find &&
	    env->cache->s1_find(env->cache_ctx, w->va, &found))
		start_at(at, &found);
}

static void s1_add_table(const struct s1_walk *w, const struct position *at,
			 unsigned int lg2)
{
	struct walk_table table = {
		.table = at->table,
		.first = w->va & ~below(lg2),
		.size_lg2 = (uint8_t)lg2,
		.level = at->level,
		.attrs = at->attrs,
	};

	if (!w->env->quiet && w->env->cache->s1_add)
		w->env->cache->s1_add(w->env->cache_ctx, w->va, &table);
}

/* From @at down to the leaf. */
static bool s1_descend(struct s1_walk *w, struct position *at,
		       struct descriptor *leaf)
{
	const struct walk_env *env = w->env;
	const struct smmuv3_tt *tt = w->tt;
	const unsigned int stride = tt->granule_lg2 - 3u;
	unsigned int shift = level_shift(tt, at->level);
	uint64_t index = first_index(tt, at, w->index, shift);
	uint64_t addr, pa, raw, d;

	for (;;) {
		addr = at->table + index * 8;
		if (!s1_locate(w, addr, PERM_PRIV_R, &pa))
			return false;
		if (phys_cursor_load64(env->phys, &env->cursors->s1, pa, &raw))
			return s1_abort(w, at->level, pa);
		d = desc_order(tt, raw);
		if (env->cache)
			tell(env, false, at->level, pa, d);
		if (!is_table(at->level, d))
			break;
		at->table = desc_output(tt, d, tt->granule_lg2);
		if (out_of_range(tt, at->table))
			return s1_fault(w, SMMUV3_EVT_F_ADDR_SIZE, at->level);
		at->attrs |= s1_table_attrs(tt, d);
		at->level++;
		if (env->cache)
			s1_add_table(w, at, shift);
		shift -= stride;
		index = (w->index >> shift) & below(stride);
	}
	if (!is_leaf(tt, at->level, d))
		return s1_fault(w, SMMUV3_EVT_F_TRANSLATION, at->level);
	*leaf = (struct descriptor){ d, addr, pa };
	return true;
}

/* Is the address inside the table's range, and may it be walked (3.4)? */
static bool s1_in_range(const struct s1_walk *w, bool priv)
{
	uint64_t above = w->va >> w->tt->in_bits;
	uint64_t want = w->tt == &w->s1->tt[1] ? ~0ULL >> w->tt->in_bits : 0;

	if (w->tt->disabled || above != want || (w->tt->e0pd && !priv))
		return s1_fault(w, SMMUV3_EVT_F_TRANSLATION, 0);
	return true;
}

static bool s1_walk(struct s1_walk *w, bool priv, struct walk_page *page)
{
	struct descriptor d = { 0 };
	struct position at;
	uint8_t from;
	int rc;

	if (!s1_in_range(w, priv))
		return false;
	w->index = w->va & below(w->tt->in_bits);
	s1_start(w, &at);
	from = at.level;
	for (int tries = 0; tries < UPDATE_TRIES; tries++) {
		if (!s1_descend(w, &at, &d))
			return false;
		s1_page(w, &at, d.value, page);
		if (!s1_leaf(w, d.value, page))
			return false;
		rc = s1_finish(w, at.attrs, &d, page);
		if (!rc && at.level != from)
			recent_keep(w->env, 1, w->va, w->tt, &at,
				    &w->memo.page);
		if (rc != -EAGAIN)
			return !rc;
	}
	return s1_abort(w, at.level, d.pa);
}

/* One entry of a cache: as far as both stages stay contiguous */
static void combine(struct smmuv3_walk *out, uint64_t va,
		    const struct walk_page *s2)
{
	uint8_t lg2 = out->leaf.size_lg2;

	out->ready = out->leaf.ready;
	out->allowed = out->leaf.allowed;
	if (s2) {
		out->ready &= s2->ready;
		out->allowed &= s2->allowed;
		if (s2->size_lg2 < lg2)
			lg2 = s2->size_lg2;
	}
	out->page_lg2 = lg2;
	out->page_first = va & ~below(lg2);
	out->page_pa = out->pa & ~below(lg2);
	out->page_ipa = out->ipa & ~below(lg2);
}

static bool walk_s2_last(const struct walk_env *env, const struct smmuv3_s2 *s2,
			 uint64_t ipa, uint8_t need, struct s2_memo *memo,
			 struct smmuv3_walk *out)
{
	const struct walk_page *page = &memo->page;
	struct s2_access a = {
		.ipa = ipa,
		.class = SMMUV3_CLASS_IN,
		.need = need,
	};

	if (!smmuv3_walk_s2(env, s2, &a, memo, &out->fault))
		return false;
	out->s2 = *page;
	out->ipa = ipa;
	out->pa = page->out + (ipa - page->first);
	return true;
}

/* Stage 1 bypassed or off: the address is the IPA (3.4). */
static bool walk_s2_only(const struct walk_env *env, const struct smmuv3_s2 *s2,
			 const struct smmuv3_input *in, struct smmuv3_walk *out)
{
	struct s2_memo memo = { 0 };

	if (in->addr >> env->oas_bits) { /* IAS is OAS; marked as stage 1 */
		out->fault = (struct smmuv3_fault){
			.event = SMMUV3_EVT_F_ADDR_SIZE,
			.class = SMMUV3_CLASS_IN,
		};
		return false;
	}
	if (!walk_s2_last(env, s2, in->addr, smmuv3_access_bit(in), &memo, out))
		return false;
	out->leaf = out->s2;
	out->granule_lg2 = s2->tt.granule_lg2;
	out->global = false;
	combine(out, in->addr, NULL);
	return true;
}

bool smmuv3_walk(const struct walk_env *env, const struct smmuv3_s1 *s1,
		 const struct smmuv3_s2 *s2, const struct smmuv3_input *in,
		 struct smmuv3_walk *out)
{
	struct s1_walk w;
	uint64_t ipa;

	if (!s1)
		return walk_s2_only(env, s2, in, out);
	w.env = env;
	w.s1 = s1;
	w.s2 = s2;
	w.need = env->any ? 0 : smmuv3_access_bit(in);
	w.fault = &out->fault;
	w.memo.page = (struct walk_page){ 0 };
	w.memo.span_lg2 = 0;
	w.va = smmuv3_effective_va(s1, in->addr);
	w.tt = &s1->tt[(w.va >> 55) & 1];
	if (!s1_walk(&w, in->priv, &out->leaf))
		return false;
	ipa = out->leaf.out + (w.va - out->leaf.first);
	if (s2) {
		if (!walk_s2_last(env, s2, ipa, w.need, &w.memo, out))
			return false;
	} else {
		out->ipa = 0;
		out->pa = ipa;
	}
	out->granule_lg2 = w.tt->granule_lg2;
	out->global = out->leaf.global;
	combine(out, w.va, s2 ? &w.memo.page : NULL);
	return true;
}
