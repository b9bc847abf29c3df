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

void say_step(void *ctx, bool second, uint8_t level, uint64_t pa,
	      uint64_t entry)
{
	say(ctx, "%sstage %d level %u: [%#llx] = %#018llx\n",
	    second ? "    " : "  ", second ? 2 : 1, level, (ull)pa, (ull)entry);
}

void story_tell(struct model_port *opaque, const struct model_access *access,
		char *text, size_t size, void (*tell)(struct story *story))
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
	reader_enter();
	v.slot = slot_enter(port, &spare);
	tell(&story);
	slot_leave(port, v.slot, &spare);
	reader_exit();
}
