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

/* Each entry that a walk reads is told; it sees no cache. */
void story_listen(struct story *story, struct walk_env *env);
/* What a walk came to; @middle: what its @between is called, or NULL */
void say_page(struct story *story, uint64_t pa, unsigned int page_lg2,
	      const char *middle, uint64_t between);
void say_passed(struct story *story, uint64_t pa);

struct story_ops {
	const char *stream; /* what StreamIDs and PASIDs are called */
	const char *pasid;
	/* Why nothing is translated */
	const char *(*off)(enum engine_mode mode);
	/* A quiet look at story->v->access, in a read section */
	void (*tell)(struct story *story);
};

void story_tell(struct model_port *port, const struct model_access *access,
		char *text, size_t size, const struct story_ops *ops);

#endif
