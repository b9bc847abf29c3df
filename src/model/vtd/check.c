// SPDX-License-Identifier: MIT
/* What the checker (model/check.h) asks of VT-d. */
#include "model/vtd/engine.h"

static const struct vtd_context *context_of(const struct check *c)
{
	return (const struct vtd_context *)c->ctx;
}

static struct stale_part *part_of(const struct check *c)
{
	return (struct stale_part *)c->part;
}

static unsigned int look(struct visit *v, const struct check *c,
			 enum check_keep keep, struct outcome *o)
{
	const struct vtd_context *ctx = context_of(c);
	enum vtd_at at = part_of(c)->at;
	struct vtd_context tmp;
	struct result r = { 0 };
	bool cold = keep != CHECK_ALL;

	if (keep == CHECK_NOTHING || keep == CHECK_ALL) {
		ctx = vtd_context_get(v, at, cold, &tmp, &r.fault);
	} else if (keep == CHECK_PART) {
		tmp = (struct vtd_context){
			.base.pasid = ctx->base.pasid,
			.source = ctx->source,
		};
		ctx = vtd_context_reload(v, &tmp, &r.fault) ? &tmp : NULL;
	}
	if (ctx)
		vtd_path(v, at, ctx, cold, &r);
	*o = r.o;
	return r.fault.reason;
}

static bool has_rest(const struct check *c)
{
	return context_of(c)->space.scalable;
}

static void blame_rest(const struct check *c)
{
	part_of(c)->space = true;
	c->part->serial = context_of(c)->space_serial;
}

const struct check_ops vtd_check = {
	.look = look,
	.has_rest = has_rest,
	.blame_rest = blame_rest,
};

bool vtd_check_path(struct visit *v, enum vtd_at at,
		    const struct vtd_context *ctx, const struct result *r)
{
	struct stale_part part = {
		.at = at,
		.pasid = ctx->space.pasid,
		.did = ctx->fault.reason ? 0 : ctx->space.did,
		.legacy = !ctx->space.scalable,
	};
	const struct check c = {
		.v = v,
		.ctx = &ctx->base,
		.seen = &r->o,
		.fault = r->fault.reason,
		.part = &part.base,
	};

	return check_stale(&c);
}
