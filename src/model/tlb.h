/* SPDX-License-Identifier: MIT */
/*
 * The translation cache as one walk sees it: what it finds, what it adds, and
 * when it may do either. All of it is in line, for it is a good part of what a
 * miss costs.
 */
#ifndef MODEL_TLB_H
#define MODEL_TLB_H

#include "model/hit.h"

/* One walk: whose tables, and what it has got from the cache. */
struct walk_tags {
	struct visit *v;
	struct outcome *out;
	uint64_t ticket;
	uint64_t serial; /* when the walk began */
	uint32_t asid;
	uint16_t vmid;
};

/* All but @entry, which there is nothing to see of without has_entry */
static inline void outcome_init(struct outcome *o)
{
	o->ok = false;
	o->hit = false;
	o->bypass = false;
	o->used = false;
	o->has_entry = false;
	o->ready = 0;
	o->allowed = 0;
	o->size_lg2 = 0;
	o->pa = 0;
	o->ipa = 0;
	o->host = NULL;
}

/* An entry had a part in what comes out: the checker wants the oldest one. */
static inline void outcome_used(const struct visit *v, struct outcome *o,
				const struct iotlb_entry *e)
{
	o->used = true;
	if (!v->engine->hostile)
		return;
	if (o->has_entry && o->entry.serial <= e->serial)
		return;
	o->has_entry = true;
	o->entry = *e;
}

static inline void outcome_entry(const struct visit *v,
				 const struct iotlb_entry *e, uint64_t addr,
				 struct outcome *o)
{
	bool write = v->access->flags & MODEL_WRITE;
	uint64_t offset = addr - e->iova;

	o->ok = true;
	o->ready = (uint8_t)field_get(ATTR_READY, e->attrs);
	o->allowed = attrs_allowed(e->attrs);
	o->size_lg2 = e->size_lg2;
	o->pa = e->out + offset;
	o->ipa = e->ipa + offset;
	o->host = hit_host(v->engine, e, write, offset);
}

/* Not translated: as it came, any access, page by page */
static inline void outcome_pass(struct outcome *o, uint64_t pa)
{
	o->ready = 0xff;
	o->allowed = 0xff;
	o->size_lg2 = 12;
	o->pa = pa;
}

static inline void translation_pass(struct model_translation *out, uint64_t pa)
{
	*out = (struct model_translation){
		.result = MODEL_OK,
		.bypass = true,
		.read = true,
		.write = true,
		.exec = true,
		.size_lg2 = 12,
		.pa = pa,
	};
}

/*
 * What @e, found in the cache, says of an access to @addr that needs @need: ok
 * or, if it does not permit it, not. False: nothing, for a flag is to be set in
 * memory first.
 */
static inline bool outcome_cached(const struct visit *v,
				  const struct iotlb_entry *e, uint8_t need,
				  uint64_t addr, struct outcome *o)
{
	if (!(e->attrs & need) && (attrs_allowed(e->attrs) & need))
		return false;
	outcome_used(v, o, e);
	o->hit = true;
	if (e->attrs & need)
		outcome_entry(v, e, addr, o);
	return true;
}

/* @ctx may be NULL if it is not ok */
static inline void outcome_tell(const struct visit *v,
				const struct context *ctx,
				const struct outcome *o,
				struct model_translation *out)
{
	unsigned int flags = v->access->flags & MODEL_PRIV;

	out->hit = o->hit;
	out->bypass = o->bypass;
	if (!v->quiet)
		count_own(o->hit ? &v->slot->hits : &v->slot->misses);
	if (!o->ok)
		return;
	out->result = MODEL_OK;
	out->read = o->allowed & ctx->bits[flags];
	out->write = o->allowed & ctx->bits[flags | MODEL_WRITE];
	out->exec = o->allowed & ctx->bits[flags | MODEL_EXEC];
	out->size_lg2 = o->size_lg2;
	out->pa = o->pa;
	out->host = o->host;
}

/* A translated transaction brings neither PASID nor what comes with one. */
static inline struct visit visit_plain(const struct visit *v,
				       struct model_access *plain)
{
	struct visit as = *v;

	*plain = *v->access;
	plain->pasid = MODEL_NO_PASID;
	plain->flags &= ~(MODEL_PRIV | MODEL_EXEC);
	as.access = plain;
	return as;
}

static inline const struct iotlb_entry *tlb_find(const struct walk_tags *t,
						 uint64_t addr, uint8_t regime,
						 uint32_t asid)
{
	const struct iotlb_key key = {
		.iova = addr,
		.asid = asid,
		.vmid = t->vmid,
		.regime = regime,
	};

	return iotlb_lookup(t->v->engine->tlb, &key);
}

/* @e, found, leads to a table of @level, and so is used. */
static inline void tlb_table_of(const struct walk_tags *t,
				const struct iotlb_entry *e, unsigned int level,
				struct walk_table *table)
{
	*table = (struct walk_table){
		.table = e->out,
		.first = e->iova,
		.size_lg2 = e->size_lg2,
		.level = (uint8_t)level,
		.attrs = (uint8_t)(e->attrs & ATTR_TABLE),
	};
	outcome_used(t->v, t->out, e);
}

/* What leads to @table, from an entry of @level */
static inline void tlb_table_entry(const struct walk_tags *t,
				   const struct walk_table *table,
				   unsigned int level, struct iotlb_entry *e)
{
	*e = (struct iotlb_entry){
		.iova = table->first,
		.out = table->table,
		.leaf = table->first,
		.serial = t->serial,
		.attrs = table->attrs,
		.vmid = t->vmid,
		.size_lg2 = table->size_lg2,
		.leaf_lg2 = table->size_lg2,
		.level = (uint8_t)level,
	};
}

static inline void tlb_add(const struct walk_tags *t,
			   const struct iotlb_entry *e)
{
	iotlb_insert(t->v->engine->tlb, t->ticket, e);
}

static inline uint32_t tlb_page_attrs(const struct walk_page *page,
				      uint8_t ready, uint8_t allowed_s2)
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

/* Finds what lies behind the whole page, if that is one piece of memory. */
static inline void tlb_host(struct visit *v, struct iotlb_entry *e)
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

/*
 * The ticket first: if no invalidation was at work after that, one that is
 * still to come will make the ticket worthless, whatever the caches contribute
 * now. While one is at work only memory counts, which was changed before it.
 */
static inline void tlb_begin(struct walk_tags *t, uint64_t tag,
			     const struct walk_cache *hostile,
			     const struct walk_cache *fast,
			     struct walk_env *env)
{
	struct walk_recents *recents = &t->v->slot->tables;
	struct engine *m = t->v->engine;
	uint64_t forgotten, tables;

	t->serial = counted(&m->serial);
	t->ticket = iotlb_ticket(m->tlb);
	tables = __atomic_load_n(&m->forgotten_tables, __ATOMIC_ACQUIRE);
	forgotten = __atomic_load_n(&m->forgotten, __ATOMIC_ACQUIRE);
	env->cache_ctx = t;
	if (forgotten & 1)
		return;
	env->cache = m->hostile ? hostile : fast;
	if (m->hostile)
		return;
	recents->stamp = tables + 1;
	recents->tag[0] = tag;
	recents->tag[1] = (uint64_t)t->vmid << 8;
	env->recents = recents;
}

#endif
