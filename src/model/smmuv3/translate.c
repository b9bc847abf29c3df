// SPDX-License-Identifier: MIT
/*
 * The way of a transaction, Arm IHI 0070 chapter 15: configuration, cache,
 * walk, insertion; and how a walk sees the caches. The way of a hit is
 * hit.h; everything here also handles hits, for the checker needs to look at
 * them.
 */
#include "model/smmuv3/engine.h"

#include <string.h>

#include "model/hit.h"

/* The caches as one walk sees them; the tags are the context's. */
struct walk_tags {
	struct visit *v;
	const struct smmuv3_s1 *s1; /* NULL: stage 2 alone */
	const struct smmuv3_s2 *s2; /* NULL: stage 1 alone */
	struct result *r;
	uint64_t ticket;
	uint64_t serial; /* when the walk began */
	uint32_t asid;
	uint16_t vmid;
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

/* An entry had a part in what comes out: the checker wants the oldest one. */
static void result_used(const struct visit *v, struct result *r,
			const struct iotlb_entry *e)
{
	r->used = true;
	if (!v->engine->hostile)
		return;
	if (r->has_entry && r->entry.serial <= e->serial)
		return;
	r->has_entry = true;
	r->entry = *e;
}

static bool table_find(struct walk_tags *t, uint64_t addr, uint8_t regime,
		       uint32_t asid, const struct smmuv3_tt *tt,
		       struct walk_table *table)
{
	const struct iotlb_key key = {
		.iova = addr,
		.asid = asid,
		.vmid = t->vmid,
		.regime = regime,
	};
	const struct iotlb_entry *e = iotlb_lookup(t->v->engine->tlb, &key);

	/* Tags shared by tables of another geometry: software's mistake. */
	if (!e || e->granule_lg2 != tt->granule_lg2 ||
	    e->level < tt->start_level)
		return false;
	*table = (struct walk_table){
		.table = e->out,
		.first = e->iova,
		.size_lg2 = e->size_lg2,
		.level = (uint8_t)(e->level + 1),
		.attrs = (uint8_t)(e->attrs & ATTR_TABLE),
	};
	result_used(t->v, t->r, e);
	return true;
}

static void table_add(struct walk_tags *t, const struct walk_table *table,
		      uint8_t regime, uint32_t asid, uint8_t granule_lg2)
{
	const struct iotlb_entry e = {
		.iova = table->first,
		.out = table->table,
		.leaf = table->first,
		.serial = t->serial,
		.asid = asid,
		.attrs = table->attrs,
		.vmid = t->vmid,
		.regime = regime,
		.size_lg2 = table->size_lg2,
		.leaf_lg2 = table->size_lg2,
		.level = (uint8_t)(table->level - 1),
		.granule_lg2 = granule_lg2,
	};

	iotlb_insert(t->v->engine->tlb, t->ticket, &e);
}

/* Deepest first: the nearer to the leaf, the shorter the walk. */
static bool s1_find(void *ctx, uint64_t addr, struct walk_table *table)
{
	static const uint8_t regimes[] = { SMMUV3_REGIME_S1_TABLE,
					   SMMUV3_REGIME_S1_TABLE_L2,
					   SMMUV3_REGIME_S1_TABLE_L1 };
	struct walk_tags *t = ctx;
	const struct smmuv3_tt *tt = &t->s1->tt[(addr >> 55) & 1];
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
	struct walk_tags *t = ctx;

	/* fast: the upper ones save too little to be worth their insertion */
	if (table->level < (t->v->engine->hostile ? 1 : 2) || table->level > 3)
		return;
	table_add(t, table, regimes[table->level], t->asid,
		  t->s1->tt[(addr >> 55) & 1].granule_lg2);
}

static bool s2_find(void *ctx, uint64_t ipa, struct walk_table *table)
{
	struct walk_tags *t = ctx;
	const struct smmuv3_tt *tt = &t->s2->tt;

	return table_find(t, ipa, SMMUV3_REGIME_S2_TABLE, 0, tt, table) ||
	       table_find(t, ipa, SMMUV3_REGIME_S2_TABLE_L2, 0, tt, table);
}

static void s2_add(void *ctx, uint64_t ipa, const struct walk_table *table)
{
	struct walk_tags *t = ctx;

	(void)ipa;
	if (table->level < 1 || table->level > 3)
		return;
	table_add(t, table,
		  table->level == 3 ? SMMUV3_REGIME_S2_TABLE
				    : SMMUV3_REGIME_S2_TABLE_L2,
		  0, t->s2->tt.granule_lg2);
}

static uint32_t page_attrs(const struct walk_page *page, uint8_t ready,
			   uint8_t allowed_s2)
{
	uint32_t attrs = (uint32_t)(field_prep(ATTR_READY, ready) |
				    field_prep(ATTR_ALLOWED, page->allowed) |
				    field_prep(ATTR_ALLOWED_S2, allowed_s2));

	if (page->contiguous)
		attrs |= ATTR_CONT;
	if (page->device)
		attrs |= ATTR_DEVICE;
	return attrs;
}

static bool ipa_find(void *ctx, uint64_t ipa, struct walk_page *page)
{
	struct walk_tags *t = ctx;
	const struct iotlb_key key = {
		.iova = ipa,
		.vmid = t->vmid,
		.regime = SMMUV3_REGIME_S2,
	};
	const struct iotlb_entry *e = iotlb_lookup(t->v->engine->tlb, &key);

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
	result_used(t->v, t->r, e);
	return true;
}

/* Finds what lies behind the whole page, if that is one piece of memory. */
static void entry_host(struct visit *v, struct iotlb_entry *e)
{
	const struct phys *phys = v->engine->host.phys;
	const struct phys_span *span;

	e->cookie = phys_generation(phys);
	span = phys_cursor_find(phys, &v->slot->data, e->out);
	if (!span || !span->host || span->last - e->out < low_mask(e->size_lg2))
		return;
	e->host = span->host + (e->out - span->first);
	if (span->flags & PHYS_READ)
		e->attrs |= ATTR_HOST_R;
	if (span->flags & PHYS_WRITE)
		e->attrs |= ATTR_HOST_W;
}

static void ipa_add(void *ctx, uint64_t ipa, const struct walk_page *page)
{
	struct walk_tags *t = ctx;
	struct iotlb_entry e = {
		.iova = page->first,
		.out = page->out,
		.leaf = page->first,
		.serial = t->serial,
		.attrs = page_attrs(page, page->ready, 0xff),
		.vmid = t->vmid,
		.regime = SMMUV3_REGIME_S2,
		.size_lg2 = page->size_lg2,
		.leaf_lg2 = page->size_lg2,
		.level = page->level,
		.granule_lg2 = t->s2->tt.granule_lg2,
	};

	(void)ipa;
	entry_host(t->v, &e);
	iotlb_insert(t->v->engine->tlb, t->ticket, &e);
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
	struct walk_tags walk;
	struct smmuv3_context *ctx;
	uint64_t seq; /* port.config_seq before it began */
};

static bool cd_l1_find(void *ctx, uint32_t index, uint64_t addr, uint64_t *l1cd)
{
	struct cd_tags *t = container_of(ctx, struct cd_tags, walk);

	if (!l1cd_find(port_of(t->walk.v), index, addr, &t->ctx->l1cd))
		return false;
	t->ctx->has_l1cd = true;
	t->ctx->base.cached = true;
	*l1cd = t->ctx->l1cd.value;
	return true;
}

static void cd_l1_add(void *ctx, uint32_t index, uint64_t addr, uint64_t value)
{
	struct cd_tags *t = container_of(ctx, struct cd_tags, walk);
	const struct l1cd l1cd = {
		.addr = addr,
		.value = value,
		.serial = t->walk.serial,
	};

	l1cd_keep(port_of(t->walk.v), t->seq, index,
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
walk_entry(const struct walk_tags *t, const struct smmuv3_context *ctx,
	   const struct smmuv3_walk *w, struct iotlb_entry *e)
{
	*e = (struct iotlb_entry){
		.iova = w->page_first,
		.out = w->page_pa,
		.leaf = w->leaf.first,
		.ipa = w->page_ipa,
		.serial = t->serial,
		.asid = ctx->base.asid,
		.attrs = page_attrs(&w->leaf, w->ready,
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

static void result_entry(struct visit *v, const struct iotlb_entry *e,
			 uint64_t addr, struct result *r)
{
	bool write = v->access->flags & MODEL_WRITE;
	uint64_t offset = addr - e->iova;

	r->ok = true;
	r->ready = (uint8_t)field_get(ATTR_READY, e->attrs);
	r->allowed = attrs_allowed(e->attrs);
	r->size_lg2 = e->size_lg2;
	r->pa = e->out + offset;
	r->ipa = e->ipa + offset;
	r->host = hit_host(v->engine, e, write, offset);
}

/*
 * The ticket first: if no TLBI was at work after that, one that is still to
 * come will make the ticket worthless, whatever the caches contribute now.
 * While one is at work only memory counts, which was changed before it.
 */
static void walk_begin(struct walk_tags *t, uint64_t tag, struct walk_env *env)
{
	struct walk_recents *recents = &t->v->slot->tables;
	struct smmuv3_model *m = smmu_of(t->v);
	uint64_t forgotten, tables;

	t->serial = counted(&m->engine.serial);
	t->ticket = iotlb_ticket(m->engine.tlb);
	tables = __atomic_load_n(&m->engine.forgotten_tables, __ATOMIC_ACQUIRE);
	forgotten = __atomic_load_n(&m->engine.forgotten, __ATOMIC_ACQUIRE);
	env->cache_ctx = t;
	if (forgotten & 1)
		return;
	env->cache = m->engine.hostile ? &cache_hostile : &cache_fast;
	if (m->engine.hostile)
		return;
	recents->stamp = tables + 1;
	recents->tag[0] = tag;
	recents->tag[1] = (uint64_t)t->vmid << 8;
	env->recents = recents;
}

static __attribute__((cold, noinline)) bool
cd_by_caches(struct visit *v, struct smmuv3_context *ctx, uint64_t seq,
	     struct smmuv3_fault *fault)
{
	const struct smmuv3_model *m = smmu_of(v);
	struct result r = { 0 };
	struct cd_tags t = {
		.walk = {
			.v = v,
			.s2 = &ctx->stream.s2,
			.r = &r,
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
	env.cache_ctx = &t.walk;
	if (!(__atomic_load_n(&m->engine.forgotten, __ATOMIC_ACQUIRE) & 1))
		env.cache = &cache_cd; /* as in walk_begin() */
	ok = smmuv3_cd_load(&env, &smmu_of(v)->id, &ctx->stream, ctx->ssid,
			    &ctx->s1, fault);
	ctx->base.cached |= r.used;
	ctx->has_entry = r.has_entry;
	if (r.has_entry)
		ctx->entry = r.entry;
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
path_refused(const struct walk_tags *refused, const struct smmuv3_context *ctx,
	     const struct walk_env *env, const struct smmuv3_input *in,
	     const struct smmuv3_fault *fault)
{
	struct walk_env again = *env;
	struct walk_tags t = *refused;
	struct result unused = { 0 };
	struct smmuv3_walk w;
	struct iotlb_entry e;

	if (env->cache != &cache_hostile || t.v->quiet || !t.s1 ||
	    fault->event != SMMUV3_EVT_F_PERMISSION ||
	    fault->class != SMMUV3_CLASS_IN)
		return;
	t.r = &unused;
	again.cache_ctx = &t;
	again.any = true;
	if (!smmuv3_walk(&again, t.s1, t.s2, in, &w))
		return;
	walk_entry(&t, ctx, &w, &e);
	entry_host(t.v, &e);
	iotlb_insert(t.v->engine->tlb, t.ticket, &e);
}

static void path_walk(struct visit *v, const struct smmuv3_context *ctx,
		      bool cold, const struct smmuv3_input *in,
		      struct result *r)
{
	struct walk_tags t = {
		.v = v,
		.s1 = ctx->has_s1 ? &ctx->s1 : NULL,
		.s2 = ctx->path == SMMUV3_PATH_S1 ? NULL : &ctx->stream.s2,
		.r = r,
		.asid = ctx->base.asid,
		.vmid = ctx->base.vmid,
	};
	struct walk_env env;
	struct smmuv3_walk w;
	struct iotlb_entry e;

	engine_env(v, &env);
	if (!cold)
		walk_begin(&t, ctx->base.tag, &env);
	if (!smmuv3_walk(&env, t.s1, t.s2, in, &w)) {
		r->fault = w.fault;
		path_refused(&t, ctx, &env, in, &w.fault);
		return;
	}
	walk_entry(&t, ctx, &w, &e);
	if (!cold)
		entry_host(v, &e);
	result_entry(v, &e, context_addr(&ctx->base, in->addr), r);
	if (!cold && !v->quiet)
		iotlb_insert(v->engine->tlb, t.ticket, &e);
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
	if (!(e->attrs & need) && (attrs_allowed(e->attrs) & need))
		return false; /* a flag is to be set in memory first */
	result_used(v, r, e);
	r->hit = true;
	if (e->attrs & need)
		result_entry(v, e, addr, r);
	else
		entry_fault(ctx, e, need, addr, &r->fault);
	return true;
}

void engine_path(struct visit *v, const struct smmuv3_context *ctx, bool cold,
		 struct result *r)
{
	struct smmuv3_input in;

	r->used = ctx->base.cached && !cold;
	if (ctx->path == SMMUV3_PATH_ABORT)
		return;
	context_input(v, &in);
	smmuv3_stream_attrs(&ctx->stream, &smmu_of(v)->id, &in);
	if (ctx->path == SMMUV3_PATH_BYPASS) {
		r->bypass = smmuv3_bypass(&smmu_of(v)->id, &in, &r->fault);
		r->ok = r->bypass;
		r->ready = 0xff;
		r->allowed = 0xff;
		r->size_lg2 = 12;
		r->pa = in.addr;
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

static void tell(struct visit *v, const struct smmuv3_context *ctx,
		 const struct result *r, struct model_translation *out)
{
	unsigned int flags = v->access->flags & MODEL_PRIV;
	uint8_t r_bit = ctx->base.bits[flags];
	uint8_t w_bit = ctx->base.bits[flags | MODEL_WRITE];
	uint8_t x_bit = ctx->base.bits[flags | MODEL_EXEC];

	out->hit = r->hit;
	out->bypass = r->bypass;
	if (!r->ok)
		return;
	out->result = MODEL_OK;
	out->read = r->allowed & r_bit;
	out->write = r->allowed & w_bit;
	out->exec = r->allowed & x_bit;
	out->size_lg2 = r->size_lg2;
	out->pa = r->pa;
	out->host = r->host;
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
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_RELAXED) == MODE_ABORT ||
	    !smmuv3_bypass(&smmu_of(v)->id, &in, &fault))
		return;
	out->result = MODEL_OK;
	out->bypass = true;
	out->read = true;
	out->write = true;
	out->exec = true;
	out->size_lg2 = 12;
	out->pa = in.addr;
}

/* All but @entry, which there is nothing to see of without has_entry */
static void result_init(struct result *r)
{
	r->ok = false;
	r->hit = false;
	r->bypass = false;
	r->used = false;
	r->ready = 0;
	r->allowed = 0;
	r->size_lg2 = 0;
	r->pa = 0;
	r->ipa = 0;
	r->host = NULL;
	r->fault = (struct smmuv3_fault){ 0 };
	r->has_entry = false;
}

void smmuv3_translate(struct visit *v, struct model_translation *out)
{
	const struct smmuv3_context *ctx =
		(const struct smmuv3_context *)v->missed;
	struct smmuv3_context tmp;
	struct result r;

	result_init(&r);
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
		r.used = tmp.base.cached;
	if (v->engine->hostile && r.used)
		out->stale = check_path(v, ctx ? ctx : &tmp, &r);
out:
	if (ctx)
		tell(v, ctx, &r, out);
	if (!v->quiet)
		count_own(r.hit ? &v->slot->hits : &v->slot->misses);
	if (!r.ok)
		report_fault(v, ctx ? ctx : &tmp, &r.fault, out);
}
