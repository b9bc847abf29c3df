// SPDX-License-Identifier: MIT
/*
 * The way of a request, chapter 3: configuration, cache, walk, insertion; and
 * how a walk sees the caches (6.2). The way of a hit is hit.h; everything here
 * also handles hits, for the checker needs to look at them.
 */
#include "model/vtd/engine.h"

#include <string.h>

#include "model/tlb.h"
#include "model/vtd/walk_priv.h"

/* The asid of second-stage tables that are not there, of others it is 0 */
#define NOTHING 1u

/* The interrupt address range has 1 MiB. */
#define INTERRUPT_LG2 20

void vtd_env(const struct visit *v, struct walk_env *env)
{
	*env = (struct walk_env){
		.phys = v->engine->host.phys,
		.cursors = &v->slot->walk,
		.oas_bits = vtd_of(v)->id.haw,
		.quiet = v->quiet,
	};
}

/* ---- paging-structure caches ---- */

static bool fs_find(void *ctx, uint64_t addr, struct walk_table *table,
		    struct walk_page *at)
{
	/* Deepest first: the nearer to the leaf, the shorter the walk. */
	static const uint8_t regimes[] = { VTD_REGIME_FS_TABLE,
					   VTD_REGIME_FS_TABLE_L2,
					   VTD_REGIME_FS_TABLE_L3 };
	const struct walk_tags *t = ctx;
	size_t levels = t->v->engine->hostile ? ARRAY_SIZE(regimes) : 2;
	const struct iotlb_entry *e = NULL;

	for (size_t n = 0; n < levels && !e; n++)
		e = tlb_find(t, addr, regimes[n], t->asid);
	if (!e)
		return false;
	tlb_table_of(t, e, e->level - 1u, table);
	*at = (struct walk_page){ 0 };
	if (e->attrs & ATTR_PLACED) {
		at->first = e->out;
		at->out = e->ipa;
		at->size_lg2 = 12;
		at->allowed = (uint8_t)field_get(ATTR_ALLOWED, e->attrs);
		at->ready = (uint8_t)field_get(ATTR_ALLOWED_S2, e->attrs);
	}
	return true;
}

static void fs_add(void *ctx, uint64_t addr, const struct walk_table *table,
		   const struct walk_page *at)
{
	static const uint8_t regimes[] = { [1] = VTD_REGIME_FS_TABLE,
					   [2] = VTD_REGIME_FS_TABLE_L2,
					   [3] = VTD_REGIME_FS_TABLE_L3,
					   [4] = VTD_REGIME_FS_TABLE_L3 };
	const struct walk_tags *t = ctx;
	struct iotlb_entry e;

	(void)addr;
	/* fast: the upper ones save too little to be worth their insertion */
	if (table->level > (t->v->engine->hostile ? 4 : 2))
		return;
	tlb_table_entry(t, table, table->level + 1u, &e);
	e.asid = t->asid;
	e.regime = regimes[table->level];
	if (at->size_lg2) {
		e.ipa = at->out + (table->table - at->first);
		e.attrs |= ATTR_PLACED |
			   (uint32_t)field_prep(ATTR_ALLOWED, at->allowed) |
			   (uint32_t)field_prep(ATTR_ALLOWED_S2, at->ready);
	}
	tlb_add(t, &e);
}

static uint8_t ss_regime(unsigned int level)
{
	return level == 1 ? VTD_REGIME_SS_TABLE : VTD_REGIME_SS_TABLE_L2;
}

static bool ss_find(void *ctx, uint64_t gpa, struct walk_table *table)
{
	const struct walk_tags *t = ctx;
	const struct iotlb_entry *e;

	e = tlb_find(t, gpa, VTD_REGIME_SS_TABLE, 0);
	if (!e)
		e = tlb_find(t, gpa, VTD_REGIME_SS_TABLE_L2, 0);
	if (!e)
		return false;
	tlb_table_of(t, e, e->level - 1u, table);
	return true;
}

static void ss_add(void *ctx, uint64_t gpa, const struct walk_table *table)
{
	const struct walk_tags *t = ctx;
	struct iotlb_entry e;

	(void)gpa;
	tlb_table_entry(t, table, table->level + 1u, &e);
	e.regime = ss_regime(table->level);
	tlb_add(t, &e);
}

static const struct walk_cache cache = {
	.s1_find_at = fs_find,
	.s1_add_at = fs_add,
	.s2_find = ss_find,
	.s2_add = ss_add,
};

/* ---- IOTLB ---- */

/*
 * Neither requests to the interrupt range (3.15) nor to pages that lie there
 * are for the cache to answer: what is cached of a leaf keeps clear of it,
 * as a fractured translation (6.5.3.2).
 */
static void keep_clear(struct iotlb_entry *e, uint64_t addr)
{
	uint64_t offset;

	if (e->size_lg2 <= INTERRUPT_LG2 ||
	    (!is_interrupt(e->iova, e->size_lg2) &&
	     !is_interrupt(e->out, e->size_lg2)))
		return;
	offset = (addr - e->iova) & ~low_mask(INTERRUPT_LG2);
	e->iova += offset;
	e->out += offset;
	e->ipa += offset;
	e->size_lg2 = INTERRUPT_LG2;
}

/* The same of what is left, or of a small page */
static bool cacheable(const struct iotlb_entry *e)
{
	return !is_interrupt(e->iova, 0) && !is_interrupt(e->out, 0);
}

static void leaf_entry(const struct walk_tags *t, const struct vtd_context *ctx,
		       const struct vtd_walk *w, struct iotlb_entry *e)
{
	bool nested = ctx->space.pgtt == VTD_PGTT_NESTED;

	*e = (struct iotlb_entry){
		.iova = w->page_first,
		.out = w->page_pa,
		.leaf = w->leaf.first,
		.ipa = nested ? w->page_gpa : 0,
		.serial = t->serial,
		.asid = ctx->base.asid,
		.attrs = tlb_page_attrs(&w->leaf, w->ready,
					nested ? w->ss.allowed : 0xff),
		.vmid = ctx->base.vmid,
		.regime = ctx->base.regime,
		.size_lg2 = w->page_lg2,
		.leaf_lg2 = w->leaf.size_lg2,
		.level = w->leaf.level,
	};
}

static bool of_rights(uint8_t reason)
{
	return reason == VTD_FR_LGN_2_WRITE || reason == VTD_FR_LGN_3_READ ||
	       reason == VTD_FR_SGN_6_WRITE || reason == VTD_FR_SGN_7_READ;
}

/* A cached translation that does not permit the access faults as it stands. */
static void entry_fault(const struct vtd_context *ctx,
			const struct iotlb_entry *e,
			const struct vtd_input *req, struct vtd_denial *fault)
{
	bool first = ctx->space.pgtt != VTD_PGTT_SS;
	bool scalable = ctx->space.scalable;
	uint8_t reason;

	/* legacy mode calls what is not there a right that lacks */
	if (e->attrs & ATTR_NOTHING && !of_rights((uint8_t)e->ipa))
		reason = (uint8_t)e->ipa;
	else if (first && !(e->attrs & ATTR_NOTHING) && !req->priv &&
		 !(field_get(ATTR_ALLOWED, e->attrs) & PERM_USER_R))
		reason = VTD_FR_SGN_2_PRIVILEGE;
	else if (req->write)
		reason = scalable ? VTD_FR_SGN_6_WRITE : VTD_FR_LGN_2_WRITE;
	else
		reason = scalable ? VTD_FR_SGN_7_READ : VTD_FR_LGN_3_READ;
	*fault = (struct vtd_denial){
		.reason = reason,
		.unreported = ctx->space.fpd,
		.level = e->level,
	};
}

/* Caching mode: an entry of the second stage that was not present */
static const struct iotlb_entry *nothing_find(const struct visit *v,
					      const struct vtd_context *ctx,
					      uint64_t addr)
{
	const struct walk_tags t = {
		.v = (struct visit *)v,
		.vmid = ctx->base.vmid,
	};
	const struct iotlb_entry *e;

	if (!vtd_of(v)->caches_faults || ctx->space.pgtt != VTD_PGTT_SS)
		return NULL;
	e = tlb_find(&t, addr, VTD_REGIME_SS_TABLE, NOTHING);
	return e ? e : tlb_find(&t, addr, VTD_REGIME_SS_TABLE_L2, NOTHING);
}

/* True if the cache has the answer, be it a fault. */
static bool path_lookup(struct visit *v, const struct vtd_context *ctx,
			const struct vtd_input *req, struct result *r)
{
	uint8_t need = vtd_access_bit(&ctx->space, req);
	const struct iotlb_entry *e;

	e = hit_lookup(v->engine, &ctx->base, req->addr);
	if (!e)
		e = nothing_find(v, ctx, req->addr);
	if (!e)
		return false;
	if (!outcome_cached(v, e, need, req->addr, &r->o))
		return false;
	if (!r->o.ok)
		entry_fault(ctx, e, req, &r->fault);
	return true;
}

/* ---- caching mode: what faulted is cached as well (6.1) ---- */

static bool of_second_stage(uint8_t reason)
{
	return (reason >= VTD_FR_SSS_1_ACCESS &&
		reason <= VTD_FR_SSS_6_UPDATE) ||
	       reason == VTD_FR_LSS_1_ACCESS ||
	       reason == VTD_FR_LSS_2_RESERVED ||
	       reason == VTD_FR_LCT_4_INVALID;
}

static void nothing_add(const struct walk_tags *t, uint64_t addr,
			unsigned int lg2, struct iotlb_entry *e)
{
	e->iova = addr & ~low_mask(lg2);
	e->leaf = e->iova;
	e->size_lg2 = (uint8_t)lg2;
	e->leaf_lg2 = (uint8_t)lg2;
	tlb_add(t, e);
}

/* In the IOTLB and, of an entry that leads to no table, in its cache */
static void path_nothing(const struct walk_tags *t,
			 const struct vtd_context *ctx,
			 const struct vtd_input *req,
			 const struct vtd_denial *fault)
{
	struct iotlb_entry e = {
		.serial = t->serial,
		.ipa = fault->reason,
		.attrs = ATTR_NOTHING,
		.asid = ctx->base.asid,
		.vmid = ctx->base.vmid,
		.regime = ctx->base.regime,
		.level = fault->level,
	};

	nothing_add(t, req->addr, 12, &e);
	if (ctx->space.pgtt != VTD_PGTT_SS || fault->level < 2)
		return;
	e.asid = NOTHING;
	e.regime = ss_regime(fault->level - 1u);
	nothing_add(t, req->addr, level_shift(fault->level), &e);
}

static __attribute__((cold, noinline)) void
path_refused(const struct walk_tags *refused, const struct vtd_context *ctx,
	     const struct walk_env *env, const struct vtd_input *req,
	     const struct vtd_denial *fault)
{
	struct outcome unused = { 0 };
	struct walk_tags t = *refused;
	struct walk_env again = *env;
	struct iotlb_entry e;
	struct vtd_walk w;

	if (!vtd_of(t.v)->caches_faults || t.v->quiet || !env->cache)
		return;
	t.out = &unused;
	again.cache_ctx = &t;
	again.any = true;
	if (ctx->space.pgtt == VTD_PGTT_SS && of_rights(fault->reason) &&
	    vtd_walk(&again, &vtd_of(t.v)->id, &ctx->space, req, &w)) {
		leaf_entry(&t, ctx, &w, &e);
		keep_clear(&e, req->addr);
		tlb_host(t.v, &e);
		tlb_add(&t, &e);
	} else if (of_second_stage(fault->reason) || of_rights(fault->reason)) {
		if (ctx->space.pgtt == VTD_PGTT_SS ||
		    of_second_stage(fault->reason))
			path_nothing(&t, ctx, req, fault);
	}
}

/* ---- the way ---- */

static void path_walk(struct visit *v, const struct vtd_context *ctx, bool cold,
		      const struct vtd_input *req, struct result *r)
{
	struct walk_tags t = {
		.v = v,
		.out = &r->o,
		.asid = ctx->base.asid,
		.vmid = ctx->base.vmid,
	};
	struct walk_env env;
	struct iotlb_entry e;
	struct vtd_walk w;
	bool keep = !cold;

	vtd_env(v, &env);
	if (!cold)
		tlb_begin(&t, ctx->base.tag, &cache, &cache, &env);
	/*
	 * 6.5.2.12: what removes translations by an entry's domain comes when
	 * no use of that entry is under way any more.
	 */
	if (!cold && !vtd_context_is_current(v, ctx)) {
		vtd_env(v, &env);
		keep = false;
	}
	if (!vtd_walk(&env, &vtd_of(v)->id, &ctx->space, req, &w)) {
		r->fault = w.fault;
		if (!cold)
			path_refused(&t, ctx, &env, req, &w.fault);
		return;
	}
	leaf_entry(&t, ctx, &w, &e);
	keep_clear(&e, req->addr);
	if (!cold)
		tlb_host(v, &e);
	outcome_entry(v, &e, req->addr, &r->o);
	if (keep && !v->quiet && cacheable(&e))
		tlb_add(&t, &e);
}

/* 3.9: the host's addresses, and not those of interrupts */
static bool passes(const struct vtd_model *m, bool scalable, uint64_t addr,
		   struct vtd_denial *fault)
{
	uint8_t reason = 0;

	if (addr & ~low_mask(m->id.haw))
		reason = scalable ? VTD_FR_SGN_4_HOST_ADDRESS
				  : VTD_FR_LGN_1_ADDRESS;
	else if (is_interrupt(addr, 0))
		reason = scalable ? VTD_FR_SGN_8_INTERRUPT
				  : VTD_FR_LGN_4_INTERRUPT;
	*fault = (struct vtd_denial){ .reason = reason };
	return !reason;
}

static void path_pass(struct visit *v, const struct vtd_context *ctx,
		      const struct vtd_input *req, struct result *r)
{
	r->o.ok = passes(vtd_of(v), ctx->space.scalable, req->addr, &r->fault);
	r->fault.unreported = ctx->space.fpd;
	r->o.bypass = true;
	outcome_pass(&r->o, req->addr);
}

void vtd_path(struct visit *v, enum vtd_at at, const struct vtd_context *ctx,
	      bool cold, struct result *r)
{
	struct vtd_input req;

	r->o.used = ctx->base.cached && !cold;
	vtd_context_request(v, at, &req);
	if (!req.pv)
		req.priv = ctx->source.rid_priv;
	if (!vtd_space_admits(&ctx->space, &req, &r->fault))
		return;
	if (ctx->space.pgtt == VTD_PGTT_PT)
		path_pass(v, ctx, &req, r);
	else if (cold || !path_lookup(v, ctx, &req, r))
		path_walk(v, ctx, cold, &req, r);
}

/* What hit_find() has not found; of such an access it knew what it needs. */
static void path_missed(struct visit *v, const struct vtd_context *ctx,
			struct result *r)
{
	struct vtd_input req;

	vtd_context_request(v, VTD_AT_UNTRANSLATED, &req);
	if (!req.pv)
		req.priv = ctx->source.rid_priv;
	/* bits are of what is admitted */
	if (ctx->base.bits[v->access->flags & 7] ||
	    vtd_space_admits(&ctx->space, &req, &r->fault))
		path_walk(v, ctx, false, &req, r);
}

/* TE is 0: as if there was no unit, but for what ATS needs one (4.2.1). */
static void disabled(struct visit *v, struct model_translation *out)
{
	if (!(v->access->flags & MODEL_TRANSLATED))
		translation_pass(out, v->access->iova);
}

/*
 * 3.15: without a PASID this is an interrupt or an illegal request, whatever
 * the tables say. Interrupts are not remapped here.
 */
static void interrupt(struct visit *v, struct model_translation *out)
{
	static const struct vtd_denial illegal = {
		.reason = VTD_FR_INTERRUPT_ILLEGAL,
	};

	if (v->access->flags & MODEL_WRITE)
		translation_pass(out, v->access->iova);
	else
		vtd_report(v, VTD_AT_UNTRANSLATED, &illegal, out);
}

static void translated(struct visit *v, struct model_translation *out)
{
	struct vtd_model *m = vtd_of(v);
	struct vtd_denial fault = { 0 };
	struct vtd_source source;
	struct vtd_input req;
	uint64_t serial;
	uint32_t pasid;

	vtd_context_request(v, VTD_AT_TRANSLATED, &req);
	if (vtd_context_source(v, false, &source, &serial, &fault) &&
	    vtd_source_admits(&m->id, &source, &req, &pasid, &fault)) {
		if (passes(m, source.scalable, req.addr, &fault)) {
			translation_pass(out, req.addr);
			return;
		}
		fault.unreported = source.fpd;
	}
	vtd_report(v, VTD_AT_TRANSLATED, &fault, out);
}

/* PASIDs in translated requests are not offered (ECAP.PTRS): none is sent. */
void vtd_ats_translated(struct visit *v, struct model_translation *out)
{
	struct model_access plain;
	struct visit as = visit_plain(v, &plain);

	translated(&as, out);
}

static void untranslated(struct visit *v, struct model_translation *out)
{
	const struct vtd_context *ctx = (const struct vtd_context *)v->missed;
	struct vtd_context tmp;
	struct result r;

	outcome_init(&r.o);
	r.fault = (struct vtd_denial){ 0 };
	v->missed = NULL;
	if (ctx) {
		path_missed(v, ctx, &r);
	} else {
		ctx = vtd_context_get(v, VTD_AT_UNTRANSLATED, false, &tmp,
				      &r.fault);
		if (ctx)
			vtd_path(v, VTD_AT_UNTRANSLATED, ctx, false, &r);
		else
			r.o.used = tmp.base.cached;
		if (v->engine->hostile && r.o.used)
			out->stale = vtd_check_path(v, VTD_AT_UNTRANSLATED,
						    ctx ? ctx : &tmp, &r);
	}
	outcome_tell(v, (const struct context *)ctx, &r.o, out);
	if (!r.o.ok)
		vtd_report(v, VTD_AT_UNTRANSLATED, &r.fault, out);
}

void vtd_translate(struct visit *v, struct model_translation *out)
{
	const struct model_access *a = v->access;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	if (__atomic_load_n(&v->port->failed, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) !=
	    MODE_TRANSLATE)
		disabled(v, out);
	else if (a->flags & MODEL_TRANSLATED)
		vtd_ats_translated(v, out);
	else if (a->pasid == MODEL_NO_PASID && is_interrupt(a->iova, 0))
		interrupt(v, out);
	else
		untranslated(v, out);
}
