// SPDX-License-Identifier: MIT
/* A fresh walk told in words: what each structure says, and the outcome. */
#include "model/smmuv3/engine.h"

#include "model/story.h"

static const char *path_name(enum smmuv3_path path)
{
	switch (path) {
	case SMMUV3_PATH_ABORT:
		return "abort";
	case SMMUV3_PATH_BYPASS:
		return "bypass";
	case SMMUV3_PATH_S1:
		return "stage 1";
	case SMMUV3_PATH_S2:
		return "stage 2";
	default:
		return "stage 1 and 2";
	}
}

static void say_fault(struct story *story, const struct smmuv3_fault *fault)
{
	if (!fault->event) {
		say(story, "aborted, nothing is recorded\n");
		return;
	}
	say(story, "fault %s", smmuv3_event_name(fault->event));
	if (fault->event >= SMMUV3_EVT_F_WALK_EABT) {
		say(story, ", stage %d, level %u", fault->s2 ? 2 : 1,
		    fault->level);
		if (fault->s2)
			say(story, ", IPA %#llx", (ull)fault->ipa);
	}
	if (fault->fetch)
		say(story, ", reading %#llx", (ull)fault->fetch);
	say(story, "\n");
}

static void say_tables(struct story *story, const struct smmuv3_context *ctx)
{
	const struct smmuv3_s2 *s2 = &ctx->stream.s2;

	say(story, "STE: %s\n", path_name(ctx->path));
	if (ctx->has_s1)
		say(story,
		    "CD %u: ASID %u, TTB0 %#llx (%u bits), TTB1 %#llx (%u "
		    "bits)\n",
		    ctx->ssid, ctx->s1.asid, (ull)ctx->s1.tt[0].ttb,
		    ctx->s1.tt[0].in_bits, (ull)ctx->s1.tt[1].ttb,
		    ctx->s1.tt[1].in_bits);
	if (ctx->path == SMMUV3_PATH_S2 || ctx->path == SMMUV3_PATH_NESTED)
		say(story, "stage 2: VMID %u, S2TTB %#llx (%u bits)\n",
		    s2->vmid, (ull)s2->tt.ttb, s2->tt.in_bits);
}

static void say_walk(struct story *story, const struct smmuv3_context *ctx)
{
	struct walk_env env;
	struct smmuv3_input in;
	struct smmuv3_walk w;

	engine_env(story->v, &env);
	story_listen(story, &env);
	context_input(story->v, &in);
	smmuv3_stream_attrs(&ctx->stream, &smmu_of(story->v)->id, &in);
	if (!smmuv3_walk(&env, ctx->has_s1 ? &ctx->s1 : NULL,
			 ctx->path == SMMUV3_PATH_S1 ? NULL : &ctx->stream.s2,
			 &in, &w)) {
		say_fault(story, &w.fault);
		return;
	}
	say_page(story, w.pa, w.page_lg2,
		 ctx->path == SMMUV3_PATH_NESTED ? "IPA" : NULL, w.ipa);
}

static void say_path(struct story *story, const struct smmuv3_context *ctx)
{
	struct result r = { 0 };

	say_tables(story, ctx);
	if (ctx->path != SMMUV3_PATH_ABORT && ctx->path != SMMUV3_PATH_BYPASS) {
		say_walk(story, ctx);
		return;
	}
	engine_path(story->v, ctx, true, &r);
	if (r.o.ok)
		say_passed(story, r.o.pa);
	else
		say_fault(story, &r.fault);
}

static void explain(struct story *story)
{
	struct smmuv3_fault fault = { 0 };
	const struct smmuv3_context *ctx;
	struct smmuv3_context tmp;

	ctx = context_get(story->v, true, &tmp, &fault);
	if (ctx)
		say_path(story, ctx);
	else
		say_fault(story, &fault);
}

static const char *off(enum engine_mode mode)
{
	return mode == MODE_ABORT ? "SMMUEN is 0: GBPA aborts"
				  : "SMMUEN is 0: GBPA bypasses";
}

static const struct story_ops ops = {
	.stream = "stream",
	.pasid = "substream",
	.off = off,
	.tell = explain,
};

void engine_explain(struct model_port *port, const struct model_access *access,
		    char *text, size_t size)
{
	story_tell(port, access, text, size, &ops);
}
