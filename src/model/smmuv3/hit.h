/* SPDX-License-Identifier: MIT */
/*
 * The way of a hit: one load of the context, one probe of the cache. It takes
 * no lock, writes nothing that another port's threads write, and gives up
 * wherever there is something to think about. Never under policy hostile,
 * where the checker looks at each hit.
 */
#ifndef MODEL_SMMUV3_HIT_H
#define MODEL_SMMUV3_HIT_H

#include "model/smmuv3/engine.h"

static inline uint64_t smmuv3_addr(const struct context *ctx, uint64_t iova)
{
	return ctx->has_s1 ? smmuv3_effective_va(&ctx->s1, iova) : iova;
}

static inline const struct iotlb_entry *hit_lookup(const struct smmuv3_model *m,
						   const struct context *ctx,
						   uint64_t addr)
{
	const struct iotlb_key key = {
		.iova = addr,
		.asid = ctx->asid,
		.vmid = ctx->vmid,
		.regime = ctx->regime,
	};

	return iotlb_lookup(m->tlb, &key);
}

/* What the tables permit, dirty flags that are still to be set included */
static inline uint8_t hit_allowed(const struct iotlb_entry *e)
{
	return (uint8_t)(field_get(ATTR_ALLOWED, e->attrs) &
			 field_get(ATTR_ALLOWED_S2, e->attrs));
}

/* Where the entry's memory lies, if it still does and permits the access */
static inline void *hit_host(const struct smmuv3_model *m,
			     const struct iotlb_entry *e, bool write,
			     uint64_t offset)
{
	if (!(e->attrs & (write ? ATTR_HOST_W : ATTR_HOST_R)) ||
	    e->cookie != phys_generation(m->host.phys))
		return NULL;
	return (char *)e->host + offset;
}

static inline bool hit(struct smmuv3_port *port, struct slot *slot,
		       const struct model_access *access,
		       struct model_translation *out)
{
	const struct smmuv3_model *m = port->model;
	const struct iotlb_entry *e;
	const struct context *ctx;
	unsigned int flags = access->flags & 7;
	uint64_t addr, offset;
	uint8_t allowed;

	if (__atomic_load_n(&m->mode, __ATOMIC_ACQUIRE) != MODE_TRANSLATE ||
	    m->hostile || (access->flags & MODEL_TRANSLATED) ||
	    __atomic_load_n(&port->failed, __ATOMIC_RELAXED))
		return false;
	ctx = context_cached(port, access->pasid);
	if (!ctx || ctx->regime == REGIME_NONE)
		return false;
	addr = smmuv3_addr(ctx, access->iova);
	e = hit_lookup(m, ctx, addr);
	if (!e)
		return false;
	if (!(e->attrs & ctx->bits[flags])) /* ATTR_READY is at bit 0 */
		return false;
	allowed = hit_allowed(e);
	offset = addr - e->iova;
	*out = (struct model_translation){
		.result = MODEL_OK,
		.hit = true,
		.read = allowed & ctx->bits[flags & MODEL_PRIV],
		.write =
			allowed & ctx->bits[(flags & MODEL_PRIV) | MODEL_WRITE],
		.exec = allowed & ctx->bits[(flags & MODEL_PRIV) | MODEL_EXEC],
		.size_lg2 = e->size_lg2,
		.pa = e->out + offset,
		.host = hit_host(m, e, flags & MODEL_WRITE, offset),
	};
	count_own(&slot->hits);
	return true;
}

#endif
