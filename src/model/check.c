// SPDX-License-Identifier: MIT
/* See check.h. */
#include "model/check.h"

#include "model/why.h"

#define WHY_SIZE 1024u

/* A write through an entry that was dirty, to a page that is clean again */
static bool misses_dirty(const struct visit *v, const struct context *ctx,
			 const struct outcome *now)
{
	uint8_t need = ctx->bits[v->access->flags & 7];

	return v->access->flags & MODEL_WRITE && now->ready &&
	       !(now->ready & need);
}

/* What came of an access */
struct look {
	const struct outcome *o;
	unsigned int fault;
	struct outcome own;
};

/* Is what came of it other than it would be @now? */
static bool differs(const struct check *c, const struct look *seen,
		    const struct look *now)
{
	const struct outcome *o = seen->o;

	if (o->ok != now->o->ok)
		return true;
	if (!o->ok)
		return seen->fault != now->fault;
	return o->pa != now->o->pa ||
	       (o->hit && misses_dirty(c->v, c->ctx, now->o));
}

static void look(const struct check *c, enum check_keep keep, struct look *look)
{
	const struct check_ops *ops = c->v->engine->ops->check;
	struct visit cold = *c->v;

	cold.quiet = true;
	look->own = (struct outcome){ 0 };
	look->fault = ops->look(&cold, c, keep, &look->own);
	look->o = &look->own;
}

/* Which part of the configuration? Or a translation that made one, after all */
static void blame_config(const struct check *c, const struct look *now)
{
	const struct check_ops *ops = c->v->engine->ops->check;
	struct look same;

	c->part->of = STALE_CONFIG;
	c->part->serial = c->ctx->serial;
	if (!ops->has_rest(c))
		return;
	look(c, CHECK_PART, &same);
	if (!differs(c, &same, now))
		ops->blame_rest(c);
}

/* Would it be right if only translations were looked up again? */
static bool config_is_stale(const struct check *c, const struct look *seen)
{
	struct look same;

	if (!c->seen->has_entry)
		return true;
	if (!c->ctx->cached)
		return false;
	look(c, CHECK_CONTEXT, &same);
	return !differs(c, seen, &same);
}

static void tell(struct visit *v, const struct stale_base *part,
		 const uint64_t *pa, const uint64_t *current)
{
	struct engine *e = v->engine;
	char why[WHY_SIZE];
	struct model_stale stale = {
		.stream_id = v->port->config.stream_id,
		.pasid = v->access->pasid,
		.iova = v->access->iova,
		.cached_pa = pa ? *pa : 0,
		.current_pa = current ? *current : 0,
		.mapped = current,
		.cached_at = part->serial,
		.now = counted(&e->serial),
		.why = why,
	};

	if (v->quiet)
		return;
	count(&e->stale);
	if (!e->host.stale)
		return;
	why_tell(e, part, why, sizeof(why));
	e->host.stale(e->host.ctx, &stale);
}

/*
 * Part of it the access has read by itself. If the same caches lead elsewhere
 * by now, it is that which has changed, and nothing cached that is to blame:
 * what was not present needs no invalidation when it is.
 */
static bool has_moved(const struct check *c, const struct look *seen)
{
	struct look again;

	look(c, CHECK_ALL, &again);
	return differs(c, seen, &again);
}

bool check_stale(const struct check *c)
{
	const struct look seen = { .o = c->seen, .fault = c->fault };
	struct stale_base *part = c->part;
	struct look now;

	look(c, CHECK_NOTHING, &now);
	if (!differs(c, &seen, &now) || has_moved(c, &seen))
		return false;
	part->port = c->v->port;
	part->of = STALE_TRANSLATION;
	part->entry = &c->seen->entry;
	part->serial = c->seen->entry.serial;
	if (config_is_stale(c, &seen))
		blame_config(c, &now);
	tell(c->v, part, seen.o->ok ? &seen.o->pa : NULL,
	     now.o->ok ? &now.o->pa : NULL);
	return true;
}

bool check_answer(struct visit *v, const struct iotlb_entry *entry, uint64_t pa,
		  const struct atc_answer *now)
{
	const struct stale_base part = {
		.port = v->port,
		.of = STALE_ATC,
		.entry = entry,
		.serial = entry->serial,
	};

	if (now && now->pa == pa && !(entry->attrs & ~now->access & 0x7u))
		return false;
	tell(v, &part, &pa, now ? &now->pa : NULL);
	return true;
}
