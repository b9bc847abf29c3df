// SPDX-License-Identifier: MIT
/*
 * The coherence checker (policy hostile). Whatever a transaction got with the
 * help of a cache is compared with what memory says now, looked up with no
 * cache at all. A difference means that software changed a structure and has
 * not, or not yet, invalidated what was cached of it.
 */
#include "model/smmuv3/engine.h"

/* By memory alone; or with this configuration but no cached translation. */
static void look_cold(const struct visit *v, const struct smmuv3_context *ctx,
		      struct result *r)
{
	struct visit cold = *v;
	struct smmuv3_context tmp;

	cold.quiet = true;
	*r = (struct result){ 0 };
	if (!ctx)
		ctx = context_get(&cold, true, &tmp, &r->fault);
	if (ctx)
		engine_path(&cold, ctx, true, r);
}

static bool differs(const struct visit *v, const struct smmuv3_context *ctx,
		    const struct result *r, const struct result *now)
{
	return check_differs(v, &ctx->base, &r->o, &now->o,
			     r->fault.event == now->fault.event);
}

/* The same STE and what memory says of all the rest */
static void look_with_ste(const struct visit *v,
			  const struct smmuv3_context *ctx, struct result *r)
{
	struct smmuv3_context tmp = {
		.base.pasid = ctx->base.pasid,
		.stream = ctx->stream,
		.has_stream = true,
	};
	struct visit cold = *v;

	cold.quiet = true;
	*r = (struct result){ 0 };
	if (context_reload(&cold, &tmp, &r->fault))
		engine_path(&cold, &tmp, true, r);
}

/* Does memory still say what the cached level-1 descriptor does? */
static bool l1cd_is_stale(const struct visit *v,
			  const struct smmuv3_context *ctx)
{
	struct smmuv3_fault fault;
	struct walk_env env;
	struct visit cold = *v;
	uint64_t now;

	cold.quiet = true;
	engine_env(&cold, &env);
	return !smmuv3_l1cd_load(&env, &ctx->stream, ctx->ssid, &now, &fault) ||
	       now != ctx->l1cd.value;
}

/*
 * Which part of the configuration: STE, CD, what leads to the CD, or what stage
 * 2 made of its address? Of a CD just read the last two are left.
 */
static void blame_config(const struct visit *v,
			 const struct smmuv3_context *ctx,
			 const struct result *now, struct stale_part *part)
{
	struct result same_ste;

	part->base.of = STALE_CONFIG;
	part->base.serial = ctx->base.serial;
	if (!ctx->has_stream)
		return;
	look_with_ste(v, ctx, &same_ste);
	if (differs(v, ctx, &same_ste, now))
		return;
	part->cd = true;
	part->base.serial = ctx->cd_serial;
	if (ctx->has_l1cd && l1cd_is_stale(v, ctx)) {
		part->l1cd = true;
		part->split = smmuv3_cd_split(&ctx->stream);
		part->base.serial = ctx->l1cd.serial;
	} else if (ctx->has_entry) {
		part->base.of = STALE_TRANSLATION;
		part->base.entry = &ctx->entry;
		part->base.serial = ctx->entry.serial;
	}
}

bool check_path(struct visit *v, const struct smmuv3_context *ctx,
		const struct result *r)
{
	struct stale_part part = {
		.base.port = v->port,
		.base.entry = &r->o.entry,
		.base.serial = r->o.entry.serial,
		.ssid = ctx->ssid,
	};
	struct stale_found found = {
		.part = &part.base,
		.has_pa = r->o.ok,
		.pa = r->o.pa,
	};
	struct result now, same_config;
	bool config;

	look_cold(v, NULL, &now);
	if (!differs(v, ctx, r, &now))
		return false;
	config = !r->o.has_entry;
	if (r->o.has_entry && ctx->base.cached) {
		look_cold(v, ctx, &same_config);
		config = !differs(v, ctx, r, &same_config);
	}
	if (config)
		blame_config(v, ctx, &now, &part);
	found.mapped = now.o.ok;
	found.current = now.o.pa;
	check_tell(v, &found);
	return true;
}

bool check_atc(struct visit *v, const struct iotlb_entry *entry, uint64_t pa)
{
	struct visit cold = *v;
	struct ats_answer now;

	cold.quiet = true;
	ats_resolve(&cold, true, &now);
	return check_answer(v, entry, pa, now.ok ? &now.atc : NULL);
}
