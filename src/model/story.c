// SPDX-License-Identifier: MIT
/* See story.h. */
#include "model/story.h"

#include <stdarg.h>
#include <stdio.h>

void say(struct story *story, const char *format, ...)
{
	va_list args;
	int n;

	if (story->at >= story->size)
		return;
	va_start(args, format);
	n = vsnprintf(story->text + story->at, story->size - story->at, format,
		      args);
	va_end(args);
	if (n > 0)
		story->at += (size_t)n;
}

static void say_step(void *ctx, bool second, uint8_t level, uint64_t pa,
		     uint64_t entry)
{
	say(ctx, "%sstage %d level %u: [%#llx] = %#018llx\n",
	    second ? "    " : "  ", second ? 2 : 1, level, (ull)pa, (ull)entry);
}

void story_listen(struct story *story, struct walk_env *env)
{
	static const struct walk_cache listener = { .step = say_step };

	env->cache = &listener;
	env->cache_ctx = story;
}

void say_page(struct story *story, uint64_t pa, unsigned int page_lg2,
	      const char *middle, uint64_t between)
{
	say(story, "PA %#llx, page of %llu KiB", (ull)pa,
	    (ull)(BIT_ULL(page_lg2) >> 10));
	if (middle)
		say(story, ", %s %#llx", middle, (ull)between);
	say(story, "\n");
}

void say_passed(struct story *story, uint64_t pa)
{
	say(story, "PA %#llx, not translated\n", (ull)pa);
}

static void say_request(struct story *story, const struct story_ops *ops)
{
	const struct model_access *a = story->v->access;

	say(story, "%s %#x", ops->stream, story->v->port->config.stream_id);
	if (a->pasid != MODEL_NO_PASID)
		say(story, " %s %u", ops->pasid, a->pasid);
	say(story, ", %s %#llx\n", a->flags & MODEL_WRITE ? "write" : "read",
	    (ull)a->iova);
}

static void tell(struct story *story, const struct story_ops *ops)
{
	enum engine_mode mode;

	say_request(story, ops);
	mode = __atomic_load_n(&story->v->engine->mode, __ATOMIC_ACQUIRE);
	if (mode == MODE_TRANSLATE)
		ops->tell(story);
	else
		say(story, "%s\n", ops->off(mode));
}

void story_tell(struct model_port *opaque, const struct model_access *access,
		char *text, size_t size, const struct story_ops *ops)
{
	struct engine_port *port = to_port(opaque);
	struct slot spare;
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.access = access,
		.quiet = true,
	};
	struct story story = { .v = &v, .text = text, .size = size };

	if (!size)
		return;
	text[0] = '\0';
	reader_enter_of(port->engine->host.grace);
	v.slot = slot_enter(port, &spare);
	tell(&story, ops);
	slot_leave(port, v.slot, &spare);
	reader_exit();
}
