// SPDX-License-Identifier: MIT
/* What the checker (model/check.h) asks of SMMUv3. */
#include "model/smmuv3/engine.h"

static const struct smmuv3_context *context_of(const struct check *c)
{
	return (const struct smmuv3_context *)c->ctx;
}

static unsigned int look(struct visit *v, const struct check *c,
			 enum check_keep keep, struct outcome *o)
{
	const struct smmuv3_context *ctx = context_of(c);
	struct smmuv3_context tmp;
	struct result r = { 0 };
	bool cold = keep != CHECK_ALL;

	if (keep == CHECK_NOTHING || keep == CHECK_ALL) {
		ctx = context_get(v, cold, &tmp, &r.fault);
	} else if (keep == CHECK_PART) {
		tmp = (struct smmuv3_context){
			.base.pasid = ctx->base.pasid,
			.stream = ctx->stream,
			.has_stream = true,
		};
		ctx = context_reload(v, &tmp, &r.fault) ? &tmp : NULL;
	}
	if (ctx)
		engine_path(v, ctx, cold, &r);
	*o = r.o;
	return r.fault.event;
}

static bool has_rest(const struct check *c)
{
	return context_of(c)->has_stream;
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
 * The CD, what leads to it, or what stage 2 made of its address? Of a CD just
 * read the last two are left.
 */
static void blame_rest(const struct check *c)
{
	struct stale_part *part = (struct stale_part *)c->part;
	const struct smmuv3_context *ctx = context_of(c);

	part->cd = true;
	part->base.serial = ctx->cd_serial;
	if (ctx->has_l1cd && l1cd_is_stale(c->v, ctx)) {
		part->l1cd = true;
		part->split = smmuv3_cd_split(&ctx->stream);
		part->base.serial = ctx->l1cd.serial;
	} else if (ctx->has_entry) {
		part->base.of = STALE_TRANSLATION;
		part->base.entry = &ctx->entry;
		part->base.serial = ctx->entry.serial;
	}
}

const struct check_ops smmuv3_check = {
	.look = look,
	.has_rest = has_rest,
	.blame_rest = blame_rest,
};

bool check_path(struct visit *v, const struct smmuv3_context *ctx,
		const struct result *r)
{
	struct stale_part part = { .ssid = ctx->ssid };
	const struct check c = {
		.v = v,
		.ctx = &ctx->base,
		.seen = &r->o,
		.fault = r->fault.event,
		.part = &part.base,
	};

	return check_stale(&c);
}

bool check_atc(struct visit *v, const struct iotlb_entry *entry, uint64_t pa)
{
	struct visit cold = *v;
	struct ats_answer now;

	cold.quiet = true;
	ats_resolve(&cold, true, &now);
	return check_answer(v, entry, pa, now.ok ? &now.atc : NULL);
}
