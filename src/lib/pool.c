// SPDX-License-Identifier: MIT
/* See pool.h. */
#include "lib/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/bits.h"

struct pool_chunk {
	LIST_ENTRY(pool_chunk) link;
	struct grace_head gone;
	struct phys_range *range;
	char *host;
	uint64_t pa;
	size_t size;
	size_t used;
};

/* The first words of a freed block, and what its PA was. */
struct freed_block {
	struct freed_block *next;
	uint64_t pa;
};

void pool_init(struct pool *pool, struct phys *phys, struct grace *grace)
{
	*pool = (struct pool){ .phys = phys, .grace = grace };
	pthread_mutex_init(&pool->lock, NULL);
	LIST_INIT(&pool->chunks);
}

/* Fresh zeroed memory that costs nothing until it is touched. */
static void *map_memory(size_t size)
{
	void *host;

	if (alloc_fault_point())
		return NULL;
	host = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return host == MAP_FAILED ? NULL : host;
}

static int chunk_make(struct pool *pool, size_t size, size_t align,
		      struct pool_chunk **out)
{
	struct pool_chunk *chunk;
	int rc = -ENOMEM;

	chunk = alloc_zero(sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	chunk->host = map_memory(size);
	if (!chunk->host)
		goto free_chunk;
	rc = phys_add(pool->phys, chunk->host, size, PHYS_READ | PHYS_WRITE,
		      align, 0, &chunk->range);
	if (rc)
		goto unmap;
	chunk->pa = phys_range_pa(chunk->range);
	chunk->size = size;
	LIST_INSERT_HEAD(&pool->chunks, chunk, link);
	*out = chunk;
	return 0;

unmap:
	munmap(chunk->host, size);
free_chunk:
	free(chunk);
	return rc;
}

/* Nobody finds the chunk any more, nor reads it. */
static void chunk_free(struct pool_chunk *chunk)
{
	phys_release(chunk->range);
	munmap(chunk->host, chunk->size);
	free(chunk);
}

static void chunk_gone(struct grace_head *head)
{
	chunk_free(container_of(head, struct pool_chunk, gone));
}

void pool_fini(struct pool *pool)
{
	struct pool_chunk *chunk;

	while ((chunk = LIST_FIRST(&pool->chunks))) {
		LIST_REMOVE(chunk, link);
		phys_remove(chunk->range);
		chunk_free(chunk);
	}
	pthread_mutex_destroy(&pool->lock);
}

static unsigned int size_class(size_t size, size_t align)
{
	size_t need = size > align ? size : align;
	unsigned int lg2 = POOL_MIN_LG2;

	while (lg2 <= POOL_MAX_LG2 && (1UL << lg2) < need)
		lg2++;
	return lg2 - POOL_MIN_LG2;
}

/* A block of @bytes (a power of two) from the chunk in use, or a new one. */
static int carve(struct pool *pool, size_t bytes, struct core_dma_mem *mem)
{
	struct pool_chunk *chunk = pool->current;
	size_t at = 0;
	int rc;

	if (chunk)
		at = (chunk->used + bytes - 1) & ~(bytes - 1);
	if (!chunk || at + bytes > chunk->size) {
		rc = chunk_make(pool, 1UL << POOL_CHUNK_LG2,
				1UL << POOL_CHUNK_LG2, &chunk);
		if (rc)
			return rc;
		pool->current = chunk;
		at = 0;
	}
	chunk->used = at + bytes;
	mem->host = chunk->host + at;
	mem->pa = chunk->pa + at;
	return 0;
}

static int alloc_small(struct pool *pool, unsigned int class,
		       struct core_dma_mem *mem)
{
	size_t bytes = 1UL << (class + POOL_MIN_LG2);
	struct freed_block *block = pool->freed[class];

	if (!block)
		return carve(pool, bytes, mem);
	if (alloc_fault_point())
		return -ENOMEM;
	pool->freed[class] = block->next;
	mem->host = block;
	mem->pa = block->pa;
	memset(block, 0, bytes);
	return 0;
}

static int alloc_large(struct pool *pool, size_t size, size_t align,
		       struct core_dma_mem *mem)
{
	struct pool_chunk *chunk;
	int rc;

	size = (size + 4095) & ~4095UL;
	rc = chunk_make(pool, size, align, &chunk);
	if (rc)
		return rc;
	mem->host = chunk->host;
	mem->pa = chunk->pa;
	mem->priv = chunk;
	return 0;
}

int pool_alloc(struct pool *pool, size_t size, size_t align,
	       struct core_dma_mem *mem)
{
	struct core_dma_mem got = { .size = size };
	unsigned int class;
	int rc;

	if (!size || !is_pow2(align))
		return -EINVAL;
	class = size_class(size, align);
	pthread_mutex_lock(&pool->lock);
	if (class < POOL_CLASSES)
		rc = alloc_small(pool, class, &got);
	else
		rc = alloc_large(pool, size, align, &got);
	pthread_mutex_unlock(&pool->lock);
	if (rc)
		return rc;
	got.size = class < POOL_CLASSES ? 1UL << (class + POOL_MIN_LG2) : size;
	*mem = got;
	return 0;
}

/* A large block goes with its chunk, once nobody can be reading it. */
static void free_large(struct pool *pool, struct pool_chunk *chunk)
{
	pthread_mutex_lock(&pool->lock);
	LIST_REMOVE(chunk, link);
	pthread_mutex_unlock(&pool->lock);
	phys_remove(chunk->range);
	grace_defer(pool->grace, &chunk->gone, chunk_gone);
}

static void free_small(struct pool *pool, struct core_dma_mem *mem)
{
	struct freed_block *block = mem->host;
	unsigned int class = size_class(mem->size, 1);

	pthread_mutex_lock(&pool->lock);
	block->pa = mem->pa;
	block->next = pool->freed[class];
	pool->freed[class] = block;
	pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool, struct core_dma_mem *mem)
{
	if (!mem->host)
		return;
	if (mem->priv)
		free_large(pool, mem->priv);
	else
		free_small(pool, mem);
	*mem = (struct core_dma_mem){ 0 };
}
