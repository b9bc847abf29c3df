/* SPDX-License-Identifier: MIT */
/*
 * Memory that driver and hardware share: tables and queues. Small blocks come
 * from chunks that are one physical range each, so that a machine with a
 * million table pages has a few thousand ranges. Their chunks live as long as
 * the pool: hardware that reads a freed table late reads old words, never
 * foreign memory.
 */
#ifndef LIB_POOL_H
#define LIB_POOL_H

#include <pthread.h>
#include <sys/queue.h>

#include "core/hwport.h"
#include "mem/phys.h"

#define POOL_CHUNK_LG2 21u
#define POOL_MIN_LG2   12u
#define POOL_MAX_LG2   16u /* larger blocks have a chunk of their own */
#define POOL_CLASSES   (POOL_MAX_LG2 - POOL_MIN_LG2 + 1)

struct pool_chunk;

struct pool {
	struct phys *phys;
	struct grace *grace;
	pthread_mutex_t lock;
	LIST_HEAD(pool_chunks, pool_chunk) chunks;
	struct pool_chunk *current;
	/* freed blocks of 2^(12+n) bytes; linked through the blocks */
	void *freed[POOL_CLASSES];
};

void pool_init(struct pool *pool, struct phys *phys, struct grace *grace);
/* Nothing may read the memory any more. */
void pool_fini(struct pool *pool);

/* Zeroed, aligned to @align; -ENOMEM, -EINVAL */
int pool_alloc(struct pool *pool, size_t size, size_t align,
	       struct core_dma_mem *mem);
void pool_free(struct pool *pool, struct core_dma_mem *mem);

#endif
