// SPDX-License-Identifier: MIT
/*
 * The way of a transaction, Arm IHI 0070 chapter 15: configuration, cache,
 * walk, insertion; and how a walk sees the caches. The way of a hit is
 * hit.h; everything here also handles hits, for the checker needs to look at
 * them.
 */
#include "model/smmuv3/engine.h"

#include <string.h>

#include "model/tlb.h"

/* One walk's tags, and the tables of both stages */
struct stage_tags {
	struct walk_tags tags;
	const struct smmuv3_s1 *s1; /* NULL: stage 2 alone */
	const struct smmuv3_s2 *s2; /* NULL: stage 1 alone */
};

void engine_env(const struct visit *v, struct walk_env *env)
{
	*env = (struct walk_env){
		.phys = v->engine->host.phys,
		.cursors = &v->slot->walk,
		.oas_bits = smmu_of(v)->oas_bits,
		.quiet = v->quiet,
	};
}

static bool table_find(const struct walk_tags *t, uint64_t addr, uint8_t regime,
		       uint32_t asid, const struct smmuv3_tt *tt,
		       struct walk_table *table)
{
	const struct iotlb_entry *e = tlb_find(t, addr, regime, asid);

	/* Tags shared by tables of another geometry: software's mistake. */
	if (!e || e->granule_lg2 != tt->granule_lg2 ||
	    e->level < tt->start_level)
		return false;
	tlb_table_of(t, e, e->level + 1u, table);
	return true;
}

static void table_add(const struct walk_tags *t, const struct walk_table *table,
		      uint8_t regime, uint32_t asid, uint8_t granule_lg2)
{
	struct iotlb_entry e;

	tlb_table_entry(t, table, table->level - 1u, &e);
	e.asid = asid;
	e.regime = regime;
	e.granule_lg2 = granule_lg2;
	tlb_add(t, &e);
}

static const struct stage_tags *stages(void *ctx)
{
	return container_of(ctx, struct stage_tags, tags);
}

/* Deepest first: the nearer to the leaf, the shorter the walk. */
static bool s1_find(void *ctx, uint64_t addr, struct walk_table *table)
{
	static const uint8_t regimes[] = { SMMUV3_REGIME_S1_TABLE,
					   SMMUV3_REGIME_S1_TABLE_L2,
					   SMMUV3_REGIME_S1_TABLE_L1 };
	const struct walk_tags *t = ctx;
	const struct smmuv3_tt *tt = &stages(ctx)->s1->tt[(addr >> 55) & 1];
	size_t levels = t->v->engine->hostile ? ARRAY_SIZE(regimes) : 2;

	for (size_t n = 0; n < levels; n++) {
		if (table_find(t, addr, regimes[n], t->asid, tt, table))
			return true;
	}
	return false;
}

static void s1_add(void *ctx, uint64_t addr, const struct walk_table *table)
{
	static const uint8_t regimes[] = { [1] = SMMUV3_REGIME_S1_TABLE_L1,
					   [2] = SMMUV3_REGIME_S1_TABLE_L2,
					   [3] = SMMUV3_REGIME_S1_TABLE };
	const struct walk_tags *t = ctx;

	/* fast: the upper ones save too little to be worth their insertion */
	if (table->level < (t->v->engine->hostile ? 1 : 2) || table->level > 3)
		return;
	table_add(t, table, regimes[table->level], t->asid,
		  stages(ctx)->s1->tt[(addr >> 55) & 1].granule_lg2);
}

static bool s2_find(void *ctx, uint64_t ipa, struct walk_table *table)
{
	const struct walk_tags *t = ctx;
	const struct smmuv3_tt *tt = &stages(ctx)->s2->tt;

	return table_find(t, ipa, SMMUV3_REGIME_S2_TABLE, 0, tt, table) ||
	       table_find(t, ipa, SMMUV3_REGIME_S2_TABLE_L2, 0, tt, table);
}

static void s2_add(void *ctx, uint64_t ipa, const struct walk_table *table)
{
	const struct walk_tags *t = ctx;

	(void)ipa;
	if (table->level < 1 || table->level > 3)
		return;
	table_add(t, table,
		  table->level == 3 ? SMMUV3_REGIME_S2_TABLE
				    : SMMUV3_REGIME_S2_TABLE_L2,
		  0, stages(ctx)->s2->tt.granule_lg2);
}

static bool ipa_find(void *ctx, uint64_t ipa, struct walk_page *page)
{
	const struct walk_tags *t = ctx;
	const struct iotlb_entry *e = tlb_find(t, ipa, SMMUV3_REGIME_S2, 0);

	if (!e)
		return false;
	*page = (struct walk_page){
		.first = e->iova,
		.out = e->out,
		.size_lg2 = e->size_lg2,
		.level = e->level,
		.ready = (uint8_t)field_get(ATTR_READY, e->attrs),
		.allowed = (uint8_t)field_get(ATTR_ALLOWED, e->attrs),
		.contiguous = e->attrs & ATTR_CONT,
		.device = e->attrs & ATTR_DEVICE,
	};
	outcome_used(t->v, t->out, e);
	return true;
}

static void ipa_add(void *ctx, uint64_t ipa, const struct walk_page *page)
{
	const struct walk_tags *t = ctx;
	struct iotlb_entry e = {
		.iova = page->first,
		.out = page->out,
		.leaf = page->first,
		.serial = t->serial,
		.attrs = tlb_page_attrs(page, page->ready, 0xff),
		.vmid = t->vmid,
		.regime = SMMUV3_REGIME_S2,
		.size_lg2 = page->size_lg2,
		.leaf_lg2 = page->size_lg2,
		.level = page->level,
		.granule_lg2 = stages(ctx)->s2->tt.granule_lg2,
	};

	(void)ipa;
	tlb_host(t->v, &e);
	tlb_add(t, &e);
}

/*
 * Under fast, single pages of stage 2 are not kept for nested walks: with the
 * level-3 tables cached they are one load away.
 */
static const struct walk_cache cache_hostile = {
	.s1_find = s1_find,
	.s1_add = s1_add,
	.s2_find = s2_find,
	.s2_add = s2_add,
	.ipa_find = ipa_find,
	.ipa_add = ipa_add,
};

static const struct walk_cache cache_fast = {
	.s1_find = s1_find,
	.s1_add = s1_add,
	.s2_find = s2_find,
	.s2_add = s2_add,
};

/* The same for one CD */
struct cd_tags {
	struct stage_tags walk;
	struct smmuv3_context *ctx;
	uint64_t seq; /* port.config_seq before it began */
};

static bool cd_l1_find(void *ctx, uint32_t index, uint64_t addr, uint64_t *l1cd)
{
	struct cd_tags *t = container_of(ctx, struct cd_tags, walk.tags);

	if (!l1cd_find(port_of(t->walk.tags.v), index, addr, &t->ctx->l1cd))
		return false;
	t->ctx->has_l1cd = true;
	t->ctx->base.cached = true;
	*l1cd = t->ctx->l1cd.value;
	return true;
}

static void cd_l1_add(void *ctx, uint32_t index, uint64_t addr, uint64_t value)
{
	struct cd_tags *t = container_of(ctx, struct cd_tags, walk.tags);
	const struct l1cd l1cd = {
		.addr = addr,
		.value = value,
		.serial = t->walk.tags.serial,
	};

	l1cd_keep(port_of(t->walk.tags.v), t->seq, index,
		  smmuv3_cd_split(&t->ctx->stream), &l1cd);
}

/* CDs are read through stage 2 like tables of stage 1 (3.21.1). */
static const struct walk_cache cache_cd = {
	.s2_find = s2_find,
	.s2_add = s2_add,
	.ipa_find = ipa_find,
	.ipa_add = ipa_add,
	.dir_find = cd_l1_find,
	.dir_add = cd_l1_add,
};

/* In line: the second caller, for what is refused, is not worth a call. */
static inline __attribute__((always_inline)) void
walk_entry(const struct stage_tags *t, const struct smmuv3_context *ctx,
	   const struct smmuv3_walk *w, struct iotlb_entry *e)
{
	*e = (struct iotlb_entry){
		.iova = w->page_first,
		.out = w->page_pa,
		.leaf = w->leaf.first,
		.ipa = w->page_ipa,
		.serial = t->tags.serial,
		.asid = ctx->base.asid,
		.attrs = tlb_page_attrs(&w->leaf, w->ready,
					t->s1 && t->s2 ? w->s2.allowed : 0xff),
		.vmid = ctx->base.vmid,
		.regime = ctx->base.regime,
		.size_lg2 = w->page_lg2,
		.leaf_lg2 = w->leaf.size_lg2,
		.level = w->leaf.level,
		.granule_lg2 = w->granule_lg2,
		.global = w->global,
	};
	if (w->global && ctx->s1.aset)
		e->attrs |= ATTR_ASET;
}

static __attribute__((cold, noinline)) bool
cd_by_caches(struct visit *v, struct smmuv3_context *ctx, uint64_t seq,
	     struct smmuv3_fault *fault)
{
	const struct smmuv3_model *m = smmu_of(v);
	struct result r = { 0 };
	struct cd_tags t = {
		.walk.s2 = &ctx->stream.s2,
		.walk.tags = {
			.v = v,
			.out = &r.o,
			.serial = counted(&m->engine.serial),
			.ticket = iotlb_ticket(m->engine.tlb),
			.vmid = ctx->stream.vmid,
		},
		.ctx = ctx,
		.seq = seq,
	};
	struct walk_env env;
	bool ok;

	engine_env(v, &env);
	env.cache_ctx = &t.walk.tags;
	if (!(__atomic_load_n(&m->engine.forgotten, __ATOMIC_ACQUIRE) & 1))
		env.cache = &cache_cd; /* as in tlb_begin() */
	ok = smmuv3_cd_load(&env, &smmu_of(v)->id, &ctx->stream, ctx->ssid,
			    &ctx->s1, fault);
	ctx->base.cached |= r.o.used;
	ctx->has_entry = r.o.has_entry;
	if (r.o.has_entry)
		ctx->entry = r.o.entry;
	return ok;
}

bool engine_cd(struct visit *v, struct smmuv3_context *ctx, bool cold,
	       uint64_t seq, struct smmuv3_fault *fault)
{
	struct walk_env env;

	if (v->engine->hostile && !cold)
		return cd_by_caches(v, ctx, seq, fault);
	engine_env(v, &env);
	return smmuv3_cd_load(&env, &smmu_of(v)->id, &ctx->stream, ctx->ssid,
			      &ctx->s1, fault);
}

/*
 * An access that is refused does not keep its leaves from being cached: they
 * are valid, the access flag is set (DDI 0487, D8.16). Under stage 2 that
 * takes a leaf there, too.
 */
static __attribute__((cold, noinline)) void
path_refused(const struct stage_tags *refused, const struct smmuv3_context *ctx,
	     const struct walk_env *env, const struct smmuv3_input *in,
	     const struct smmuv3_fault *fault)
{
	struct walk_env again = *env;
	struct stage_tags t = *refused;
	struct outcome unused = { 0 };
	struct smmuv3_walk w;
	struct iotlb_entry e;

	if (env->cache != &cache_hostile || t.tags.v->quiet || !t.s1 ||
	    fault->event != SMMUV3_EVT_F_PERMISSION ||
	    fault->class != SMMUV3_CLASS_IN)
		return;
	t.tags.out = &unused;
	again.cache_ctx = &t.tags;
	again.any = true;
	if (!smmuv3_walk(&again, t.s1, t.s2, in, &w))
		return;
	walk_entry(&t, ctx, &w, &e);
	tlb_host(t.tags.v, &e);
	tlb_add(&t.tags, &e);
}

static void path_walk(struct visit *v, const struct smmuv3_context *ctx,
		      bool cold, const struct smmuv3_input *in,
		      struct result *r)
{
	struct stage_tags t = {
		.tags.v = v,
		.tags.out = &r->o,
		.tags.asid = ctx->base.asid,
		.tags.vmid = ctx->base.vmid,
		.s1 = ctx->has_s1 ? &ctx->s1 : NULL,
		.s2 = ctx->path == SMMUV3_PATH_S1 ? NULL : &ctx->stream.s2,
	};
	struct walk_env env;
	struct smmuv3_walk w;
	struct iotlb_entry e;

	engine_env(v, &env);
	if (!cold)
		tlb_begin(&t.tags, ctx->base.tag, &cache_hostile, &cache_fast,
			  &env);
	if (!smmuv3_walk(&env, t.s1, t.s2, in, &w)) {
		r->fault = w.fault;
		path_refused(&t, ctx, &env, in, &w.fault);
		return;
	}
	walk_entry(&t, ctx, &w, &e);
	if (!cold)
		tlb_host(v, &e);
	outcome_entry(v, &e, context_addr(&ctx->base, in->addr), &r->o);
	if (!cold && !v->quiet)
		tlb_add(&t.tags, &e);
}

/* A cached translation that does not permit the access faults as it stands. */
static void entry_fault(const struct smmuv3_context *ctx,
			const struct iotlb_entry *e, uint8_t need,
			uint64_t addr, struct smmuv3_fault *fault)
{
	bool s1_refuses = !(field_get(ATTR_ALLOWED, e->attrs) & need);

	*fault = (struct smmuv3_fault){
		.event = SMMUV3_EVT_F_PERMISSION,
		.class = SMMUV3_CLASS_IN,
		.level = e->level,
	};
	if (ctx->path == SMMUV3_PATH_S2) {
		fault->s2 = true;
		fault->ipa = addr;
	} else if (ctx->path == SMMUV3_PATH_NESTED && !s1_refuses) {
		fault->s2 = true;
		fault->ipa = e->ipa + (addr - e->iova);
	}
}

/* True if the cache has the answer, be it a fault. */
static bool path_lookup(struct visit *v, const struct smmuv3_context *ctx,
			const struct smmuv3_input *in, struct result *r)
{
	uint64_t addr = context_addr(&ctx->base, in->addr);
	uint8_t need = smmuv3_access_bit(in);
	const struct iotlb_entry *e;

	/* E0PD keeps the unprivileged out whatever is cached (5.4) */
	if (ctx->has_s1 && ctx->s1.tt[(addr >> 55) & 1].e0pd && !in->priv)
		return false;
	e = hit_lookup(v->engine, &ctx->base, addr);
	if (!e)
		return false;
	if (!outcome_cached(v, e, need, addr, &r->o))
		return false;
	if (!r->o.ok)
		entry_fault(ctx, e, need, addr, &r->fault);
	return true;
}

void engine_path(struct visit *v, const struct smmuv3_context *ctx, bool cold,
		 struct result *r)
{
	struct smmuv3_input in;

	r->o.used = ctx->base.cached && !cold;
	if (ctx->path == SMMUV3_PATH_ABORT)
		return;
	context_input(v, &in);
	smmuv3_stream_attrs(&ctx->stream, &smmu_of(v)->id, &in);
	if (ctx->path == SMMUV3_PATH_BYPASS) {
		r->o.bypass = smmuv3_bypass(&smmu_of(v)->id, &in, &r->fault);
		r->o.ok = r->o.bypass;
		outcome_pass(&r->o, in.addr);
		return;
	}
	if (cold || !path_lookup(v, ctx, &in, r))
		path_walk(v, ctx, cold, &in, r);
}

/* What hit_find() has not found */
static void path_missed(struct visit *v, const struct smmuv3_context *ctx,
			struct result *r)
{
	struct smmuv3_input in;

	context_input(v, &in);
	smmuv3_stream_attrs(&ctx->stream, &smmu_of(v)->id, &in);
	path_walk(v, ctx, false, &in, r);
}

void engine_stage2(struct visit *v, const struct smmuv3_stream *stream,
		   bool cold, struct result *r)
{
	struct smmuv3_context ctx = {
		.path = SMMUV3_PATH_S2,
		.base.regime = SMMUV3_REGIME_S2,
		.base.vmid = stream->vmid,
		.stream = *stream,
	};

	engine_path(v, &ctx, cold, r);
}

/*
 * SMMUEN is 0: GBPA decides (6.3.13), and nothing is recorded (7.2) but of
 * translated transactions (7.3.8).
 */
static void disabled(struct visit *v, struct model_translation *out)
{
	struct smmuv3_fault fault = { 0 };
	struct smmuv3_input in;

	if (v->access->flags & MODEL_TRANSLATED) {
		ats_forbidden(v, out);
		return;
	}
	context_input(v, &in);
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_RELAXED) != MODE_ABORT &&
	    smmuv3_bypass(&smmu_of(v)->id, &in, &fault))
		translation_pass(out, in.addr);
}

void smmuv3_translate(struct visit *v, struct model_translation *out)
{
	const struct smmuv3_context *ctx =
		(const struct smmuv3_context *)v->missed;
	struct smmuv3_context tmp;
	struct result r;

	outcome_init(&r.o);
	r.fault = (struct smmuv3_fault){ 0 };
	v->missed = NULL;
	*out = (struct model_translation){ .result = MODEL_ABORTED };
	if (__atomic_load_n(&v->port->failed, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) !=
	    MODE_TRANSLATE) {
		disabled(v, out);
		return;
	}
	if (v->access->flags & MODEL_TRANSLATED) {
		ats_translated(v, out);
		return;
	}
	if (ctx) {
		path_missed(v, ctx, &r);
		goto out;
	}
	ctx = context_get(v, false, &tmp, &r.fault);
	if (ctx)
		engine_path(v, ctx, false, &r);
	else
		r.o.used = tmp.base.cached;
	if (v->engine->hostile && r.o.used)
		out->stale = check_path(v, ctx ? ctx : &tmp, &r);
out:
	outcome_tell(v, (const struct context *)ctx, &r.o, out);
	if (!r.o.ok)
		report_fault(v, ctx ? ctx : &tmp, &r.fault, out);
}
