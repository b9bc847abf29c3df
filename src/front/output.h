/* SPDX-License-Identifier: MIT */
/*
 * The lock of a queue that a unit fills. It is held while a record is written
 * to memory, and that memory may be the unit's own registers: the thread that
 * comes back this way must not wait for itself.
 */
#ifndef FRONT_OUTPUT_H
#define FRONT_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "front/ordered.h"

struct front_output {
	pthread_mutex_t lock;
	const char *owner; /* thread_token() of who holds it; atomic */
};

static inline void front_output_init(struct front_output *out)
{
	pthread_mutex_init(&out->lock, NULL);
	out->owner = NULL;
}

static inline void front_output_fini(struct front_output *out)
{
	pthread_mutex_destroy(&out->lock);
}

static inline bool front_output_is_mine(const struct front_output *out)
{
	return load_relaxed(&out->owner) == thread_token();
}

/* False if this thread has it already. */
static inline bool front_output_lock(struct front_output *out)
{
	if (front_output_is_mine(out))
		return false;
	pthread_mutex_lock(&out->lock);
	store_relaxed(&out->owner, thread_token());
	return true;
}

static inline void front_output_unlock(struct front_output *out)
{
	store_relaxed(&out->owner, NULL);
	pthread_mutex_unlock(&out->lock);
}

#endif
