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
	struct vtd_input req;
	struct walk_env env;
	struct vtd_walk w;

	vtd_env(story->v, &env);
	story_listen(story, &env);
	vtd_context_request(story->v, VTD_AT_UNTRANSLATED, &req);
	if (!req.pv)
		req.priv = ctx->source.rid_priv;
	if (!vtd_space_admits(&ctx->space, &req, &w.fault) ||
	    !vtd_walk(&env, &vtd_of(story->v)->id, &ctx->space, &req, &w)) {
		say_fault(story, &w.fault);
		return;
	}
	say_page(story, w.pa, w.page_lg2,
		 ctx->space.pgtt == VTD_PGTT_NESTED ? "GPA" : NULL, w.gpa);
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
		say_passed(story, r.o.pa);
	else
		say_fault(story, &r.fault);
}

static void explain(struct story *story)
{
	struct vtd_denial fault = { 0 };
	const struct vtd_context *ctx;
	struct vtd_context tmp;

	ctx = vtd_context_get(story->v, VTD_AT_UNTRANSLATED, true, &tmp,
			      &fault);
	if (ctx)
		say_path(story, ctx);
	else
		say_fault(story, &fault);
}

static const char *off(enum engine_mode mode)
{
	(void)mode;
	return "TE is 0: not translated";
}

static const struct story_ops ops = {
	.stream = "source-id",
	.pasid = "PASID",
	.off = off,
	.tell = explain,
};

void vtd_explain(struct model_port *port, const struct model_access *access,
		 char *text, size_t size)
{
	story_tell(port, access, text, size, &ops);
}
