// SPDX-License-Identifier: MIT
/* See why.h. */
#include "model/why.h"

static const struct why_ops *ops_of(const struct stale_base *part)
{
	return part->port->engine->ops->why;
}

static enum nearness judge_scope(void *ctx, const struct iotlb_inval *i,
				 struct near *near)
{
	const struct stale_base *part = ctx;

	return ops_of(part)->judge(i, part->entry, near);
}

static enum nearness judge_atc(const struct stale_base *part, struct near *near)
{
	struct history_atc atc;

	if (!ops_of(part)->atc(near->cmd, &atc))
		return NEAR_NOT;
	atc.stream = ops_of(part)->stream;
	return history_atc(&atc, part->port->config.stream_id, part->entry,
			   near);
}

static enum nearness judge(void *ctx, struct near *near)
{
	const struct stale_base *part = ctx;
	struct iotlb_inval inval[2];
	unsigned int n;

	if (part->of == STALE_ATC)
		return judge_atc(part, near);
	if (part->of == STALE_CONFIG)
		return ops_of(part)->config(part, near);
	n = ops_of(part)->scope(near->cmd, inval);
	return history_nearest(inval, n, judge_scope, ctx, near);
}

static void tell_command(void *ctx, const void *cmd, char *text, size_t size)
{
	uint64_t first, last;
	const char *name = ops_of(ctx)->command(cmd, &first, &last);
	int at = words(text, size, 0, "%s", name ? name : "?");

	if (first || last)
		words(text, size, at, " %#llx-%#llx", (unsigned long long)first,
		      (unsigned long long)last);
}

static int tell_part(const struct stale_base *part, char *text, size_t size)
{
	const struct why_ops *ops = ops_of(part);
	const struct iotlb_entry *e = part->entry;
	int at;

	if (part->of == STALE_CONFIG)
		return ops->tell_config(part, text, size);
	if (part->of == STALE_ATC)
		return words(text, size, 0, "%s %#x at %#llx cached",
			     ops->atc_entry, part->port->config.stream_id,
			     (unsigned long long)e->iova);
	at = words(text, size, 0, "%s: %s %u", ops->kind(e->regime),
		   ops->tags->vmid, e->vmid);
	if (e->global)
		at = words(text, size, at, " global");
	else if (ops->by_asid(part))
		at = words(text, size, at, " %s %u", ops->tags->asid, e->asid);
	return words(text, size, at, ", level %u, %#llx-%#llx, cached",
		     e->level, (unsigned long long)e->leaf,
		     (unsigned long long)(e->leaf + low_mask(e->leaf_lg2)));
}

void why_tell(struct engine *e, const struct stale_base *part, char *text,
	      size_t size)
{
	const struct history_judge j = {
		.judge = judge,
		.tell = tell_command,
		.ctx = (void *)part,
	};

	history_why(e->history, part->serial, &j, text, size,
		    tell_part(part, text, size));
}
