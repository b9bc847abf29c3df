// SPDX-License-Identifier: MIT
/* Telling of what the coherence checker has found. */
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

bool check_differs(const struct visit *v, const struct context *ctx,
		   const struct outcome *o, const struct outcome *now,
		   bool same_fault)
{
	if (o->ok != now->ok)
		return true;
	if (!o->ok)
		return !same_fault;
	return o->pa != now->pa || (o->hit && misses_dirty(v, ctx, now));
}

void check_tell(struct visit *v, const struct stale_found *found)
{
	struct engine *e = v->engine;
	char why[WHY_SIZE];
	struct model_stale stale = {
		.stream_id = v->port->config.stream_id,
		.pasid = v->access->pasid,
		.iova = v->access->iova,
		.cached_pa = found->has_pa ? found->pa : 0,
		.current_pa = found->mapped ? found->current : 0,
		.mapped = found->mapped,
		.cached_at = found->part->serial,
		.now = counted(&e->serial),
		.why = why,
	};

	if (v->quiet)
		return;
	count(&e->stale);
	if (!e->host.stale)
		return;
	why_tell(e, found->part, why, sizeof(why));
	e->host.stale(e->host.ctx, &stale);
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
	const struct stale_found found = {
		.part = &part,
		.has_pa = true,
		.pa = pa,
		.mapped = now,
		.current = now ? now->pa : 0,
	};

	if (now && now->pa == pa && !(entry->attrs & ~now->access & 0x7u))
		return false;
	check_tell(v, &found);
	return true;
}
