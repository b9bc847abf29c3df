// SPDX-License-Identifier: MIT
/* A fresh walk told in words: what each structure says, and the outcome. */
#include "model/story.h"
#include "model/vtd/engine.h"

static const char *type_name(uint8_t pgtt)
{
	switch (pgtt) {
	case VTD_PGTT_FS:
		return "first stage";
	case VTD_PGTT_SS:
		return "second stage";
	case VTD_PGTT_NESTED:
		return "nested";
	default:
		return "pass-through";
	}
}

static void say_fault(struct story *story, const struct vtd_denial *fault)
{
	say(story, "fault %#x", fault->reason);
	if (fault->level)
		say(story, ", level %u", fault->level);
	if (fault->fetch)
		say(story, ", reading %#llx", (ull)fault->fetch);
	say(story, fault->unreported ? ", not reported (FPD)\n" : "\n");
}

static void say_space(struct story *story, const struct vtd_space *space)
{
	if (space->scalable)
		say(story, "PASID %u: ", space->pasid);
	say(story, "%s, domain id %u", type_name(space->pgtt), space->did);
	if (space->pgtt == VTD_PGTT_FS || space->pgtt == VTD_PGTT_NESTED)
		say(story, ", FSPTPTR %#llx (%u levels)", (ull)space->fs_root,
		    space->fs_levels);
	if (space->pgtt == VTD_PGTT_SS || space->pgtt == VTD_PGTT_NESTED)
		say(story, ", SSPTPTR %#llx (%u levels)", (ull)space->ss_root,
		    space->ss_levels);
	say(story, "\n");
}

static void say_walk(struct story *story, const struct vtd_context *ctx)
{
	const struct walk_cache listener = { .step = say_step };
	struct vtd_input req;
	struct walk_env env;
	struct vtd_walk w;

	vtd_env(story->v, &env);
	env.cache = &listener;
	env.cache_ctx = story;
	vtd_context_request(story->v, VTD_AT_UNTRANSLATED, &req);
	if (!req.pv)
		req.priv = ctx->source.rid_priv;
	if (!vtd_space_admits(&ctx->space, &req, &w.fault) ||
	    !vtd_walk(&env, &vtd_of(story->v)->id, &ctx->space, &req, &w)) {
		say_fault(story, &w.fault);
		return;
	}
	say(story, "PA %#llx, page of %llu KiB", (ull)w.pa,
	    (ull)(BIT_ULL(w.page_lg2) >> 10));
	if (ctx->space.pgtt == VTD_PGTT_NESTED)
		say(story, ", GPA %#llx", (ull)w.gpa);
	say(story, "\n");
}

static void say_path(struct story *story, const struct vtd_context *ctx)
{
	struct result r = { 0 };

	say_space(story, &ctx->space);
	if (ctx->space.pgtt != VTD_PGTT_PT) {
		say_walk(story, ctx);
		return;
	}
	vtd_path(story->v, VTD_AT_UNTRANSLATED, ctx, true, &r);
	if (r.o.ok)
		say(story, "PA %#llx, not translated\n", (ull)r.o.pa);
	else
		say_fault(story, &r.fault);
}

static void explain(struct story *story)
{
	struct visit *v = story->v;
	struct vtd_denial fault = { 0 };
	const struct vtd_context *ctx;
	struct vtd_context tmp;

	say(story, "source-id %#x", v->port->config.stream_id);
	if (v->access->pasid != MODEL_NO_PASID)
		say(story, " PASID %u", v->access->pasid);
	say(story, ", %s %#llx\n",
	    v->access->flags & MODEL_WRITE ? "write" : "read",
	    (ull)v->access->iova);
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) !=
	    MODE_TRANSLATE) {
		say(story, "TE is 0: not translated\n");
		return;
	}
	ctx = vtd_context_get(v, VTD_AT_UNTRANSLATED, true, &tmp, &fault);
	if (ctx)
		say_path(story, ctx);
	else
		say_fault(story, &fault);
}

void vtd_explain(struct model_port *port, const struct model_access *access,
		 char *text, size_t size)
{
	story_tell(port, access, text, size, explain);
}
