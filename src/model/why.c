// SPDX-License-Identifier: MIT
/* See why.h. */
#include "model/why.h"

static enum nearness judge_scope(void *ctx, const struct iotlb_inval *i,
				 struct near *near)
{
	const struct why *why = ctx;

	return why->ops->judge(i, why->entry, near);
}

static enum nearness judge_atc(const struct why *why, struct near *near)
{
	struct history_atc atc;

	if (!why->ops->atc(near->cmd, &atc))
		return NEAR_NOT;
	atc.stream = why->ops->stream;
	return history_atc(&atc, why->port->config.stream_id, why->entry, near);
}

static enum nearness judge(void *ctx, struct near *near)
{
	const struct why *why = ctx;
	struct iotlb_inval inval[2];
	unsigned int n;

	if (why->of == WHY_ATC)
		return judge_atc(why, near);
	if (why->of == WHY_CONFIG)
		return why->ops->config(why->part, near);
	n = why->ops->scope(near->cmd, inval);
	return history_nearest(inval, n, judge_scope, ctx, near);
}

static void tell_command(void *ctx, const void *cmd, char *text, size_t size)
{
	const struct why *why = ctx;
	uint64_t first, last;
	const char *name = why->ops->command(cmd, &first, &last);
	int at = words(text, size, 0, "%s", name ? name : "?");

	if (first || last)
		words(text, size, at, " %#llx-%#llx", (unsigned long long)first,
		      (unsigned long long)last);
}

static int tell_part(const struct why *why, char *text, size_t size)
{
	const struct iotlb_entry *e = why->entry;
	int at;

	if (why->of == WHY_CONFIG)
		return why->ops->tell_config(why->part, text, size);
	if (why->of == WHY_ATC)
		return words(text, size, 0, "%s %#x at %#llx cached",
			     why->ops->atc_entry, why->port->config.stream_id,
			     (unsigned long long)e->iova);
	at = words(text, size, 0, "%s: %s %u", why->ops->kind(e->regime),
		   why->ops->tags->vmid, e->vmid);
	if (e->global)
		at = words(text, size, at, " global");
	else if (why->by_asid)
		at = words(text, size, at, " %s %u", why->ops->tags->asid,
			   e->asid);
	return words(text, size, at, ", level %u, %#llx-%#llx, cached",
		     e->level, (unsigned long long)e->leaf,
		     (unsigned long long)(e->leaf + low_mask(e->leaf_lg2)));
}

void why_tell(struct engine *e, const struct why *why, char *text, size_t size)
{
	const struct history_judge j = {
		.judge = judge,
		.tell = tell_command,
		.ctx = (void *)why,
	};

	history_why(e->history, why->serial, &j, text, size,
		    tell_part(why, text, size));
}
