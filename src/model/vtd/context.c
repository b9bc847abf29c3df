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

#include <string.h>

static const struct vtd_context *to_context(const struct context *ctx)
{
	return (const struct vtd_context *)ctx;
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

bool vtd_context_source(struct visit *v, bool cold, struct vtd_source *source,
			uint64_t *serial, struct vtd_denial *fault)
{
	struct vtd_model *m = vtd_of(v);
	const struct source_entry *entry;
	struct context_when when;
	struct walk_env env;
	bool ok;

	context_now(v, &when);
	entry = (const struct source_entry *)context_part(v, cold);
	if (entry) {
		*source = entry->source;
		*serial = entry->base.serial;
		*fault = entry->fault;
		return !fault->reason;
	}
	*serial = NO_SERIAL;
	vtd_env(v, &env);
	ok = vtd_source_load(&env, &m->id, vtd_rtaddr(m),
			     (uint16_t)v->port->config.stream_id, source,
			     fault);
	if (!cold && (ok || m->caches_faults)) {
		const struct source_entry read = { .source = *source,
						   .fault = *fault };

		context_part_keep(v, &when, &read.base, sizeof(read));
	}
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
	ctx->base.tag = context_tag(&ctx->base);
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
	struct context_when when;
	struct context *copy;
	uint64_t seq = tmp->seq;
	uint64_t serial;
	uint32_t pasid;
	bool ok;

	memset(tmp, 0, sizeof(*tmp));
	tmp->seq = seq;
	*fault = (struct vtd_denial){ 0 };
	tmp->base.pasid = v->access->pasid;
	tmp->base.serial = NO_SERIAL;
	tmp->base.regime = REGIME_NONE;
	context_now(v, &when);
	ok = vtd_context_source(v, cold, &tmp->source, &serial, fault);
	tmp->base.serial = serial;
	tmp->base.cached = serial != NO_SERIAL;
	if (!ok || !vtd_source_admits(&vtd_of(v)->id, &tmp->source, req, &pasid,
				      fault))
		return NULL;
	ok = get_space(v, old, pasid, cold, tmp, fault);
	if (tmp->space_serial < tmp->base.serial)
		tmp->base.serial = tmp->space_serial;
	if (cold || v->quiet || (!ok && !tmp->fault.reason))
		return ok ? tmp : NULL;
	copy = context_copy(&tmp->base, sizeof(*tmp));
	if (copy)
		context_publish(v->port, when.seq, (const struct context *)old,
				copy);
	return ok ? tmp : NULL;
}

/* But for what others change when it goes: links, and whether it has a source
 */
static void known(struct vtd_context *tmp, const struct vtd_context *found)
{
	const size_t from = offsetof(struct context, regime);

	memcpy((char *)&tmp->base + from, (const char *)&found->base + from,
	       sizeof(tmp->base) - from);
	tmp->source = found->source;
	tmp->space = found->space;
	tmp->fault = found->fault;
	tmp->space_serial = found->space_serial;
}

const struct vtd_context *vtd_context_get(struct visit *v, enum vtd_at at,
					  bool cold, struct vtd_context *tmp,
					  struct vtd_denial *fault)
{
	const struct vtd_context *found = NULL;
	struct vtd_input req;
	uint32_t pasid;

	vtd_context_request(v, at, &req);
	*tmp = (struct vtd_context){
		.base.pasid = v->access->pasid,
		.seq = __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE),
	};
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
	known(tmp, found);
	return NULL;
}

bool vtd_context_is_current(const struct visit *v,
			    const struct vtd_context *ctx)
{
	return context_cached(v->port, ctx->base.pasid) == &ctx->base ||
	       __atomic_load_n(&v->port->config_seq, __ATOMIC_ACQUIRE) ==
		       ctx->seq;
}

/* ---- invalidation ---- */

/* Spaces of scalable mode stay, where they may. */
static bool goes_with_source(struct context *ctx, const void *keep)
{
	struct vtd_context *c = (struct vtd_context *)ctx;

	if (!*(const bool *)keep || !c->space.scalable)
		return true;
	__atomic_store_n(&c->sourceless, true, __ATOMIC_RELEASE);
	return false;
}

/* Nothing cached: something may be on its way that is named. */
static bool names_source(const struct vtd_port *port, uint16_t did)
{
	const struct source_entry *entry =
		(const struct source_entry *)port->base.part;

	return !entry || (entry->fault.reason ? 0 : entry->source.did) == did;
}

void vtd_context_drop_source(struct vtd_port *port, bool all, uint16_t did)
{
	bool keep = port->base.engine->hostile;
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	if (all || names_source(port, did)) {
		context_purge_part(&purge);
		context_purge_each(&purge, goes_with_source, &keep);
	}
	context_purge_end(&purge);
}

static bool names_space(struct context *ctx, const void *opaque)
{
	const struct vtd_space *space = &to_context(ctx)->space;
	const struct vtd_desc *desc = opaque;

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

/* A space serves requests with its PASID, and maybe those without. */
static void drop_pasid(struct context_purge *purge, const struct vtd_desc *desc)
{
	const uint32_t pasids[] = { desc->pasid, MODEL_NO_PASID };

	for (size_t n = 0; n < ARRAY_SIZE(pasids); n++) {
		struct context *ctx = (struct context *)context_cached(
			purge->port, pasids[n]);

		if (ctx && names_space(ctx, desc))
			context_purge_one(purge, ctx);
	}
}

/*
 * One domain's: a search through all that a guest has had cached, which a full
 * queue may ask for in vain; so they go together, where more may go.
 */
void vtd_context_drop_spaces(struct vtd_port *port, const struct vtd_desc *desc)
{
	bool exact = port->base.engine->hostile;
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	if (desc->gran == VTD_QI_PASID_G_PASID)
		drop_pasid(&purge, desc);
	else
		context_purge_each(&purge, exact ? names_space : NULL, desc);
	context_purge_end(&purge);
}

void vtd_context_drop_all(struct vtd_port *port)
{
	struct context_purge purge;

	context_purge_begin(&purge, &port->base);
	context_purge_part(&purge);
	context_purge_each(&purge, NULL, NULL);
	context_purge_end(&purge);
}
