// SPDX-License-Identifier: MIT
/*
 * The context cache and the PASID cache, 6.2.2 and 6.2.3. Each port keeps its
 * source and, by PASID, contexts made of it and a space. Descriptors make them
 * forget, in either policy, and nothing else but SRTP. In scalable mode a
 * source does not take along the spaces that were found through it.
 *
 * A fault is not cached but in caching mode (6.1), then under domain id 0.
 * Loading reads memory without a lock; what it read is kept only if no such
 * descriptor has come meanwhile (port.config_seq).
 */
#include "model/vtd/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const struct vtd_context *to_context(const struct context *ctx)
{
	return (const struct vtd_context *)ctx;
}

static struct vtd_port *port_of(const struct visit *v)
{
	return vtd_port(v->port);
}

void vtd_context_request(const struct visit *v, enum vtd_at at,
			 struct vtd_input *req)
{
	const struct model_access *a = v->access;
	bool pv = a->pasid != MODEL_NO_PASID;

	*req = (struct vtd_input){
		.addr = a->iova,
		.pasid = pv ? a->pasid : 0,
		.sid = (uint16_t)v->port->config.stream_id,
		.at = at,
		.pv = pv,
		.write = a->flags & MODEL_WRITE,
		.priv = pv && a->flags & MODEL_PRIV,
		.exec = pv && a->flags & MODEL_EXEC &&
			(at == VTD_AT_REQUEST || !(a->flags & MODEL_WRITE)),
	};
}

static void free_source(struct grace_head *head)
{
	free(container_of(head, struct source_entry, free));
}

static void source_keep(struct visit *v, uint64_t seq, uint64_t serial,
			const struct vtd_source *source,
			const struct vtd_denial *fault)
{
	struct vtd_port *port = port_of(v);
	struct source_entry *entry;

	if (v->quiet)
		return;
	entry = alloc_zero(sizeof(*entry));
	if (!entry)
		return;
	entry->serial = serial;
	entry->source = *source;
	entry->fault = *fault;
	if (!context_part_publish(&port->base, seq, &port->source, entry))
		free(entry);
}

bool vtd_context_source(struct visit *v, bool cold, struct vtd_source *source,
			uint64_t *serial, struct vtd_denial *fault)
{
	const struct source_entry *entry = NULL;
	struct vtd_model *m = vtd_of(v);
	struct walk_env env;
	uint64_t seq, now;
	bool ok;

	seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE);
	if (!cold)
		entry = reader_load(&port_of(v)->source);
	if (entry) {
		*source = entry->source;
		*serial = entry->serial;
		*fault = entry->fault;
		return !fault->reason;
	}
	*serial = NO_SERIAL;
	now = counted(&v->engine->serial);
	vtd_env(v, &env);
	ok = vtd_source_load(&env, &m->id, vtd_rtaddr(m),
			     (uint16_t)v->port->config.stream_id, source,
			     fault);
	if (!cold && (ok || m->caches_faults))
		source_keep(v, seq, now, source, fault);
	return ok;
}

/* Which permission each kind of access needs; none where a space or a unit
 * does not let it in, for such an access is looked at closer. */
static void context_bits(const struct visit *v, struct vtd_context *ctx)
{
	for (unsigned int flags = 0; flags < ARRAY_SIZE(ctx->base.bits);
	     flags++) {
		struct model_access access = *v->access;
		struct visit as = *v;
		struct vtd_denial fault;
		struct vtd_input req;

		access.flags = flags;
		as.access = &access;
		vtd_context_request(&as, VTD_AT_UNTRANSLATED, &req);
		if (!req.pv)
			req.priv = ctx->source.rid_priv;
		ctx->base.bits[flags] = 0;
		if (vtd_space_admits(&ctx->space, &req, &fault))
			ctx->base.bits[flags] =
				vtd_access_bit(&ctx->space, &req);
	}
}

static void context_tags(const struct visit *v, struct vtd_context *ctx)
{
	static const uint8_t regimes[] = {
		[VTD_PGTT_FS] = VTD_REGIME_FS,
		[VTD_PGTT_SS] = VTD_REGIME_SS,
		[VTD_PGTT_NESTED] = VTD_REGIME_NESTED,
		[VTD_PGTT_PT] = REGIME_NONE,
	};

	ctx->base.regime = regimes[ctx->space.pgtt];
	ctx->base.vmid = ctx->space.did;
	ctx->base.asid = ctx->space.pasid;
	ctx->base.plain = ctx->base.regime != REGIME_NONE;
	ctx->base.tag = (uint64_t)ctx->base.asid << 32 |
			(uint64_t)ctx->base.vmid << 8 | (ctx->base.regime + 1u);
	context_bits(v, ctx);
}

static bool load_space(struct visit *v, struct vtd_context *ctx, uint32_t pasid,
		       struct vtd_denial *fault)
{
	struct walk_env env;

	vtd_env(v, &env);
	if (!vtd_space_load(&env, &vtd_of(v)->id, &ctx->source, pasid,
			    &ctx->space, fault))
		return false;
	context_tags(v, ctx);
	return true;
}

bool vtd_context_reload(struct visit *v, struct vtd_context *ctx,
			struct vtd_denial *fault)
{
	struct vtd_input req;
	uint32_t pasid;

	vtd_context_request(v, VTD_AT_UNTRANSLATED, &req);
	return vtd_source_admits(&vtd_of(v)->id, &ctx->source, &req, &pasid,
				 fault) &&
	       load_space(v, ctx, pasid, fault);
}

static void context_keep(struct visit *v, uint64_t seq,
			 const struct context *old,
			 const struct vtd_context *ctx)
{
	struct vtd_context *copy;
	bool kept;

	if (v->quiet)
		return;
	copy = alloc_zero(sizeof(*copy));
	if (!copy)
		return;
	*copy = *ctx;
	copy->base.cached = true;
	kept = old ? context_replace(v->port, seq, (struct context *)old,
				     &copy->base)
		   : context_publish(v->port, seq, &copy->base);
	if (!kept)
		free(copy);
}

/* The PASID-cache entry of @pasid, or a fresh one */
static bool get_space(struct visit *v, const struct vtd_context *old,
		      uint32_t pasid, bool cold, struct vtd_context *ctx,
		      struct vtd_denial *fault)
{
	bool ok;

	if (old && old->space.scalable == ctx->source.scalable &&
	    old->space.pasid == pasid) {
		ctx->space = old->space;
		ctx->space_serial = old->space_serial;
		ctx->fault = old->fault;
		ctx->base.cached = true;
		*fault = old->fault;
		if (fault->reason)
			return false;
		context_tags(v, ctx);
		return true;
	}
	ctx->space_serial = counted(&v->engine->serial);
	ok = load_space(v, ctx, pasid, fault);
	if (ok || cold || !vtd_of(v)->caches_faults)
		return ok;
	ctx->fault = *fault;
	ctx->space.did = 0;
	ctx->space.pasid = pasid;
	ctx->space.scalable = true;
	return false;
}

static const struct vtd_context *
context_load(struct visit *v, const struct vtd_input *req,
	     const struct vtd_context *old, bool cold, struct vtd_context *tmp,
	     struct vtd_denial *fault)
{
	uint64_t seq, serial;
	uint32_t pasid;
	bool ok;

	memset(tmp, 0, sizeof(*tmp));
	*fault = (struct vtd_denial){ 0 };
	tmp->base.pasid = v->access->pasid;
	tmp->base.serial = NO_SERIAL;
	tmp->base.regime = REGIME_NONE;
	seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE);
	ok = vtd_context_source(v, cold, &tmp->source, &serial, fault);
	tmp->base.serial = serial;
	tmp->base.cached = serial != NO_SERIAL;
	if (!ok || !vtd_source_admits(&vtd_of(v)->id, &tmp->source, req, &pasid,
				      fault))
		return NULL;
	ok = get_space(v, old, pasid, cold, tmp, fault);
	if (tmp->space_serial < tmp->base.serial)
		tmp->base.serial = tmp->space_serial;
	if (!cold && (ok || tmp->fault.reason))
		context_keep(v, seq, old ? &old->base : NULL, tmp);
	return ok ? tmp : NULL;
}

const struct vtd_context *vtd_context_get(struct visit *v, enum vtd_at at,
					  bool cold, struct vtd_context *tmp,
					  struct vtd_denial *fault)
{
	const struct vtd_context *found = NULL;
	struct vtd_input req;
	uint32_t pasid;

	vtd_context_request(v, at, &req);
	*tmp = (struct vtd_context){ .base.pasid = v->access->pasid };
	if (!vtd_mode_admits(vtd_rtaddr(vtd_of(v)), &req, fault))
		return NULL;
	if (!cold)
		found = to_context(context_cached(v->port, v->access->pasid));
	if (!found || __atomic_load_n(&found->sourceless, __ATOMIC_ACQUIRE))
		return context_load(v, &req, found, cold, tmp, fault);
	*fault = found->fault;
	if (!fault->reason && vtd_source_admits(&vtd_of(v)->id, &found->source,
						&req, &pasid, fault))
		return found;
	*tmp = *found;
	return NULL;
}

/* ---- invalidation ---- */

static void drop_entry(struct vtd_port *port, struct source_entry *entry)
{
	if (entry)
		grace_defer(port->base.engine->host.grace, &entry->free,
			    free_source);
}

/* With the lock held */
static void drop_contexts(struct vtd_port *port, struct context **gone)
{
	while (port->base.contexts)
		context_drop(&port->base, port->base.contexts, gone);
}

/* With the lock held: spaces of scalable mode stay, where they may. */
static void drop_sources(struct vtd_port *port, bool keep,
			 struct context **gone)
{
	struct context *ctx, *next;

	for (ctx = port->base.contexts; ctx; ctx = next) {
		struct vtd_context *c = (struct vtd_context *)ctx;

		next = ctx->next;
		if (keep && c->space.scalable)
			__atomic_store_n(&c->sourceless, true,
					 __ATOMIC_RELEASE);
		else
			context_drop(&port->base, ctx, gone);
	}
}

static bool same_did(const struct source_entry *entry, uint16_t did)
{
	return (entry->fault.reason ? 0 : entry->source.did) == did;
}

void vtd_context_drop_source(struct vtd_port *port, bool all, bool by_did,
			     uint16_t did)
{
	bool keep = port->base.engine->hostile;
	struct context *gone = NULL;
	struct source_entry *entry;

	spin_take(&port->base.lock);
	entry = port->source;
	if (!all && by_did && entry && !same_did(entry, did)) {
		spin_drop(&port->base.lock);
		return;
	}
	reader_publish(&port->source, NULL);
	drop_sources(port, keep, &gone);
	context_moves(&port->base);
	spin_drop(&port->base.lock);
	drop_entry(port, entry);
	contexts_defer(&port->base, gone);
}

static bool names_space(const struct vtd_desc *desc,
			const struct vtd_space *space)
{
	if (!space->scalable)
		return false;
	switch (desc->gran) {
	case VTD_QI_PASID_G_DOMAIN:
		return space->did == desc->did;
	case VTD_QI_PASID_G_PASID:
		return space->did == desc->did && space->pasid == desc->pasid;
	default:
		return true;
	}
}

void vtd_context_drop_spaces(struct vtd_port *port, const struct vtd_desc *desc)
{
	struct context *gone = NULL;
	struct context *ctx, *next;

	spin_take(&port->base.lock);
	for (ctx = port->base.contexts; ctx; ctx = next) {
		next = ctx->next;
		if (names_space(desc, &to_context(ctx)->space))
			context_drop(&port->base, ctx, &gone);
	}
	context_moves(&port->base);
	spin_drop(&port->base.lock);
	contexts_defer(&port->base, gone);
}

void vtd_context_drop_all(struct vtd_port *port)
{
	struct context *gone = NULL;
	struct source_entry *entry;

	spin_take(&port->base.lock);
	entry = port->source;
	reader_publish(&port->source, NULL);
	drop_contexts(port, &gone);
	context_moves(&port->base);
	spin_drop(&port->base.lock);
	drop_entry(port, entry);
	contexts_defer(&port->base, gone);
}

void vtd_context_fini(struct engine_port *port)
{
	free(vtd_port(port)->source);
}
