// SPDX-License-Identifier: MIT
/*
 * The coherence checker (policy hostile). Whatever a request got with the help
 * of a cache is compared with what memory says now, looked up with no cache at
 * all. A difference means that software changed a structure and has not, or not
 * yet, invalidated what was cached of it.
 */
#include "model/vtd/engine.h"

/* By memory alone; or with this configuration but no cached translation. */
static void look_cold(const struct visit *v, enum vtd_at at,
		      const struct vtd_context *ctx, struct result *r)
{
	struct visit cold = *v;
	struct vtd_context tmp;

	cold.quiet = true;
	*r = (struct result){ 0 };
	if (!ctx)
		ctx = vtd_context_get(&cold, at, true, &tmp, &r->fault);
	if (ctx)
		vtd_path(&cold, at, ctx, true, r);
}

static bool differs(const struct visit *v, const struct vtd_context *ctx,
		    const struct result *r, const struct result *now)
{
	return check_differs(v, &ctx->base, &r->o, &now->o,
			     r->fault.reason == now->fault.reason);
}

/* The same source and what memory says of all the rest */
static void look_with_source(const struct visit *v, enum vtd_at at,
			     const struct vtd_context *ctx, struct result *r)
{
	struct vtd_context tmp = {
		.base.pasid = ctx->base.pasid,
		.source = ctx->source,
	};
	struct visit cold = *v;

	cold.quiet = true;
	*r = (struct result){ 0 };
	if (vtd_context_reload(&cold, &tmp, &r->fault))
		vtd_path(&cold, at, &tmp, true, r);
}

/* Which of both: what was found through the same source, and would be now? */
static void blame_config(const struct visit *v, enum vtd_at at,
			 const struct vtd_context *ctx,
			 const struct result *now, struct stale_part *part)
{
	struct result same;

	part->base.of = STALE_CONFIG;
	part->source = true;
	part->base.serial = ctx->base.serial;
	if (!ctx->space.scalable)
		return;
	look_with_source(v, at, ctx, &same);
	if (differs(v, ctx, &same, now))
		return;
	part->source = false;
	part->base.serial = ctx->space_serial;
}

bool vtd_check_path(struct visit *v, enum vtd_at at,
		    const struct vtd_context *ctx, const struct result *r)
{
	struct stale_part part = {
		.base.port = v->port,
		.base.entry = &r->o.entry,
		.base.serial = r->o.entry.serial,
		.pasid = ctx->space.pasid,
		.did = ctx->fault.reason ? 0 : ctx->space.did,
		.legacy = !ctx->space.scalable,
	};
	struct stale_found found = {
		.part = &part.base,
		.has_pa = r->o.ok,
		.pa = r->o.pa,
	};
	struct result now, same;
	bool config;

	look_cold(v, at, NULL, &now);
	if (!differs(v, ctx, r, &now))
		return false;
	config = !r->o.has_entry;
	if (r->o.has_entry && ctx->base.cached) {
		look_cold(v, at, ctx, &same);
		config = !differs(v, ctx, r, &same);
	}
	if (config)
		blame_config(v, at, ctx, &now, &part);
	found.mapped = now.o.ok;
	found.current = now.o.pa;
	check_tell(v, &found);
	return true;
}
