/* SPDX-License-Identifier: MIT */
/* A walk told in words: where the words go, the same for every architecture. */
#ifndef MODEL_STORY_H
#define MODEL_STORY_H

#include <stddef.h>
#include <stdint.h>

#include "model/engine.h"

typedef unsigned long long ull;

struct story {
	struct visit *v;
	char *text;
	size_t size;
	size_t at;
};

void __attribute__((format(printf, 2, 3)))
say(struct story *story, const char *format, ...);

/* For struct walk_cache.step; the story is its ctx */
void say_step(void *ctx, bool second, uint8_t level, uint64_t pa,
	      uint64_t entry);

/* Calls @tell for a quiet look at @access, in a read section. */
void story_tell(struct model_port *port, const struct model_access *access,
		char *text, size_t size, void (*tell)(struct story *story));

#endif
