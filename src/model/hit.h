/* SPDX-License-Identifier: MIT */
/*
 * The way of a hit: one load of the context, one probe of the cache, or none
 * for what the thread has just used. It takes no lock, writes nothing that
 * another thread writes, and gives up wherever there is something to think
 * about. Never under policy hostile, where the checker looks at each hit.
 *
 * Remembering translations per thread is sound: a ticket loaded before the
 * entry was found and equal to the one loaded now says that nothing was
 * invalidated in between; and an invalidation after that waits for this
 * section.
 */
#ifndef MODEL_HIT_H
#define MODEL_HIT_H

#include "model/engine.h"

/* The address as tables and caches see it: without a top byte, maybe */
static inline uint64_t context_addr(const struct context *ctx, uint64_t iova)
{
	if (!ctx->tbi[(iova >> 55) & 1])
		return iova;
	return (uint64_t)((int64_t)(iova << 8) >> 8);
}

static inline const struct iotlb_entry *
hit_lookup(const struct engine *m, const struct context *ctx, uint64_t addr)
{
	const struct iotlb_key key = {
		.iova = addr,
		.asid = ctx->asid,
		.vmid = ctx->vmid,
		.regime = ctx->regime,
	};
	const struct iotlb_entry *e = iotlb_lookup(m->tlb, &key);

	/* global entries serve contexts of their own ASID set only */
	if (e && e->global && (e->attrs & ATTR_ASET) != ctx->aset)
		return NULL;
	return e;
}

/* What the tables permit, dirty flags that are still to be set included */
static inline uint8_t attrs_allowed(uint32_t attrs)
{
	return (uint8_t)(field_get(ATTR_ALLOWED, attrs) &
			 field_get(ATTR_ALLOWED_S2, attrs));
}

/* Where the entry's memory lies, if it still does and permits the access */
static inline void *hit_host(const struct engine *m,
			     const struct iotlb_entry *e, bool write,
			     uint64_t offset)
{
	if (!(e->attrs & (write ? ATTR_HOST_W : ATTR_HOST_R)) ||
	    e->cookie != phys_generation(m->host.phys))
		return NULL;
	return (char *)e->host + offset;
}

/* What the thread has lately used, or the cache's answer put in its place. */
static inline struct recent *hit_recent(const struct engine *m,
					struct slot *slot,
					const struct context *ctx,
					uint64_t addr)
{
	struct recent *recent = slot->recent
					? &slot->recent[(addr >> 12) % RECENT]
					: &slot->last;
	uint64_t forgotten = __atomic_load_n(&m->forgotten, __ATOMIC_ACQUIRE);
	const struct iotlb_entry *e;

	if (recent->forgotten == forgotten && recent->tag == ctx->tag &&
	    (addr ^ recent->iova) >> recent->size_lg2 == 0)
		return recent;
	e = hit_lookup(m, ctx, addr);
	if (!e)
		return NULL;
	recent->tag = forgotten & 1 ? 0 : ctx->tag;
	recent->forgotten = forgotten;
	recent->iova = e->iova;
	recent->out = e->out;
	recent->host = e->host;
	recent->cookie = e->cookie;
	recent->attrs = e->attrs;
	recent->size_lg2 = e->size_lg2;
	return recent;
}

/*
 * NULL: look closer, and with *context set there need be no more looking into
 * the cache. *addr: the effective address
 */
static inline const struct recent *hit_find(struct engine_port *port,
					    struct slot *slot,
					    const struct model_access *access,
					    const struct context **context,
					    uint64_t *addr)
{
	const struct engine *m = port->engine;
	const struct context *ctx;
	struct recent *recent;

	*context = NULL;
	if (__atomic_load_n(&m->mode, __ATOMIC_ACQUIRE) != MODE_TRANSLATE ||
	    m->hostile || (access->flags & (MODEL_TRANSLATED | MODEL_QUIET)) ||
	    __atomic_load_n(&port->failed, __ATOMIC_RELAXED))
		return NULL;
	ctx = context_cached(port, access->pasid);
	if (!ctx || !ctx->plain)
		return NULL;
	*addr = context_addr(ctx, access->iova);
	recent = hit_recent(m, slot, ctx, *addr);
	if (!recent) {
		*context = ctx;
		return NULL;
	}
	/* ATTR_READY is at bit 0 */
	if (!(recent->attrs & ctx->bits[access->flags & 7])) {
		recent->tag = 0; /* the cache may soon know more */
		return NULL;
	}
	*context = ctx;
	return recent;
}

static inline void *recent_host(const struct engine *m,
				const struct recent *recent, bool write,
				uint64_t offset)
{
	if (!(recent->attrs & (write ? ATTR_HOST_W : ATTR_HOST_R)) ||
	    recent->cookie != phys_generation(m->host.phys))
		return NULL;
	return recent->host + offset;
}

static inline bool hit(struct visit *v, struct model_translation *out)
{
	const struct model_access *access = v->access;
	unsigned int priv = access->flags & MODEL_PRIV;
	const struct recent *recent;
	const struct context *ctx;
	uint64_t addr, offset;
	uint8_t allowed;

	recent = hit_find(v->port, v->slot, access, &ctx, &addr);
	if (!recent) {
		v->missed = ctx;
		return false;
	}
	allowed = attrs_allowed(recent->attrs);
	offset = addr - recent->iova;
	*out = (struct model_translation){
		.result = MODEL_OK,
		.hit = true,
		.read = allowed & ctx->bits[priv],
		.write = allowed & ctx->bits[priv | MODEL_WRITE],
		.exec = allowed & ctx->bits[priv | MODEL_EXEC],
		.size_lg2 = recent->size_lg2,
		.pa = recent->out + offset,
		.host = recent_host(v->engine, recent,
				    access->flags & MODEL_WRITE, offset),
	};
	count_own(&v->slot->hits);
	return true;
}

#endif
