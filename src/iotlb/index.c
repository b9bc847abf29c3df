// SPDX-License-Identifier: MIT
/*
 * The nodes of a space by their address. All pages of a leaf lie in one shape,
 * so that a range, widened to whole leaves, names them. Removal allocates
 * nothing and never touches the ordered tree for a small range: chunks it
 * empties stay until a later insert trims them, or a large range passes.
 */
#include "iotlb/private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

/* A range of at most so many chunks is probed, a larger one walked in order. */
#define PROBE_CHUNKS 8

/* Empty chunks a shard keeps, and how many more than these an insert frees. */
#define IDLE_KEEP 32
#define IDLE_TRIM 2

struct chunk_key {
	const struct shape *shape;
	uint64_t number;
};

uint64_t chunk_hash(const void *item)
{
	const struct chunk *chunk = item;

	return hash2(chunk->vm->tlb, chunk->tag, chunk->number);
}

static bool chunk_equal(const void *item, const void *key)
{
	const struct chunk *chunk = item;
	const struct chunk_key *want = key;

	return chunk->shape == want->shape && chunk->number == want->number;
}

static unsigned int node_slot(const struct iotlb_entry *entry)
{
	return (entry->iova >> entry->size_lg2) % CHUNK_NODES;
}

static struct chunk *chunk_find(struct iotlb *tlb, struct shape *shape,
				uint64_t number)
{
	struct chunk_key key = { shape, number };
	uint64_t tag = shape->space->tag | TAG_SIZE(shape->size_lg2);

	if (shape->last && shape->last->number == number)
		return shape->last;
	return table_find(&shape->space->shard->chunks, hash2(tlb, tag, number),
			  chunk_equal, &key);
}

/* Chunks of each size that hold something, so that lookups try no others */
static void sizes_add(struct sizes *sizes, const struct chunk *chunk)
{
	unsigned int g = !!(chunk->tag & TAG_GLOBAL);
	unsigned int r = TAG_REGIME_OF(chunk->tag);
	unsigned int size_lg2 = chunk->shape->size_lg2;
	uint64_t present = sizes->present[r][g];

	if (!sizes->count[r][g][size_lg2]++)
		reader_publish(&sizes->present[r][g],
			       present | 1ull << size_lg2);
}

static void sizes_sub(struct sizes *sizes, const struct chunk *chunk)
{
	unsigned int g = !!(chunk->tag & TAG_GLOBAL);
	unsigned int r = TAG_REGIME_OF(chunk->tag);
	unsigned int size_lg2 = chunk->shape->size_lg2;
	uint64_t present = sizes->present[r][g];

	if (!--sizes->count[r][g][size_lg2])
		reader_publish(&sizes->present[r][g],
			       present & ~(1ull << size_lg2));
}

static void chunk_set_idle(struct shard *shard, struct chunk *chunk)
{
	ring_add(&shard->idle, &chunk->idle);
	shard->idle_count++;
}

static void chunk_set_used(struct shard *shard, struct chunk *chunk)
{
	ring_del(&chunk->idle);
	shard->idle_count--;
}

/* A chunk that holds nothing. */
static int chunk_create(struct shape *shape, uint64_t number,
			struct chunk **out)
{
	struct space *space = shape->space;
	struct shard *shard = space->shard;
	struct chunk *chunk = alloc_zero(sizeof(*chunk));
	int rc;

	if (!chunk)
		return -ENOMEM;
	chunk->tag = space->tag | TAG_SIZE(shape->size_lg2);
	chunk->number = number;
	chunk->space = space;
	chunk->vm = space->vm;
	chunk->shape = shape;
	chunk->range.first = number;
	chunk->range.last = number;

	rc = table_insert(&shard->chunks, chunk_hash(chunk), chunk,
			  &shard->trash);
	if (rc) {
		free(chunk);
		return rc;
	}
	itree_insert(&shape->chunks, &chunk->range);
	chunk_set_idle(shard, chunk);
	*out = chunk;
	return 0;
}

/* Only an empty one. */
static void chunk_free(struct shard *shard, struct chunk *chunk)
{
	struct shape *shape = chunk->shape;

	chunk_set_used(shard, chunk);
	if (shape->last == chunk)
		shape->last = NULL;
	itree_remove(&shape->chunks, &chunk->range);
	table_remove(&shard->chunks, chunk_hash(chunk), chunk, &shard->trash);
	trash_add(&shard->trash, &chunk->trash);
}

static int chunk_get(struct iotlb *tlb, struct shape *shape, uint64_t number,
		     struct chunk **out)
{
	struct chunk *chunk = chunk_find(tlb, shape, number);
	int rc;

	if (!chunk) {
		rc = chunk_create(shape, number, &chunk);
		if (rc)
			return rc;
	}
	shape->last = chunk;
	*out = chunk;
	return 0;
}

static int shape_get(struct space *space, const struct iotlb_entry *entry,
		     struct shape **out)
{
	struct shape *shape;

	for (shape = space->shapes; shape; shape = shape->next) {
		if (shape->size_lg2 == entry->size_lg2 &&
		    shape->leaf_lg2 == entry->leaf_lg2 &&
		    shape->level == entry->level &&
		    shape->granule_lg2 == entry->granule_lg2)
			break;
	}
	if (!shape) {
		shape = alloc_zero(sizeof(*shape));
		if (!shape)
			return -ENOMEM;
		shape->space = space;
		shape->size_lg2 = entry->size_lg2;
		shape->leaf_lg2 = entry->leaf_lg2;
		shape->level = entry->level;
		shape->granule_lg2 = entry->granule_lg2;
		shape->next = space->shapes;
		space->shapes = shape;
	}
	*out = shape;
	return 0;
}

/* What is not reached any more: out of the counts, into the trash. */
static void node_drop(struct iotlb *tlb, struct node *node)
{
	struct space *space = node->chunk->space;
	struct shard *shard = space->shard;

	node->chunk->shape->nodes--;
	space->nodes--;
	shard->removed++;
	shard->work++;
	trash_add(&shard->trash, &node->trash);
	place_give(tlb, shard);
}

static void node_link(struct iotlb *tlb, struct space *space,
		      struct chunk *chunk, struct node *node)
{
	unsigned int slot = node_slot(&node->entry);
	struct node *old = chunk->node[slot];

	node->chunk = chunk;
	reader_publish(&chunk->node[slot], node);
	if (!chunk->present) {
		chunk_set_used(space->shard, chunk);
		sizes_add(&space->shard->sizes, chunk);
	}
	chunk->present |= 1u << slot;
	chunk->shape->nodes++;
	space->nodes++;
	space->shard->inserted++;
	if (old)
		node_drop(tlb, old);
}

int index_insert(struct iotlb *tlb, struct space *space,
		 const struct iotlb_entry *entry)
{
	struct shape *shape;
	struct chunk *chunk;
	struct node *node;
	int rc;

	rc = shape_get(space, entry, &shape);
	if (rc)
		return rc;
	rc = chunk_get(tlb, shape, entry->iova >> entry->size_lg2 >> CHUNK_LG2,
		       &chunk);
	if (rc)
		return rc;
	if (!place_take(tlb, space->shard))
		return -ENOSPC; /* a new chunk is idle, and trimmed some time */
	node = pool_take(space->shard);
	if (!node) {
		place_give(tlb, space->shard);
		return -ENOMEM;
	}
	node->entry = *entry;
	node_link(tlb, space, chunk, node);
	return 0;
}

static void node_remove(struct iotlb *tlb, struct node *node)
{
	struct chunk *chunk = node->chunk;
	struct space *space = chunk->space;
	unsigned int slot = node_slot(&node->entry);

	reader_publish(&chunk->node[slot], NULL);
	chunk->present &= ~(1u << slot);
	if (!chunk->present) {
		chunk_set_idle(space->shard, chunk);
		sizes_sub(&space->shard->sizes, chunk);
	}
	node_drop(tlb, node);
	if (!space->nodes)
		space_emptied(tlb, space);
}

static bool chunk_is_used(const void *item)
{
	const struct chunk *chunk = item;

	return chunk->present;
}

static struct node *chunk_first(const struct chunk *chunk)
{
	return chunk->node[__builtin_ctz(chunk->present)];
}

bool index_evict(struct iotlb *tlb, struct shard *shard)
{
	if (shard->inserted == shard->removed)
		return false;
	node_remove(tlb, chunk_first(table_pick(&shard->chunks, &shard->hand,
						chunk_is_used)));
	return true;
}

/* The pages of @chunk that are numbered first to last. */
static void chunk_remove(struct iotlb *tlb, struct chunk *chunk, uint64_t first,
			 uint64_t last)
{
	uint64_t base = chunk->number << CHUNK_LG2;
	uint32_t named = chunk->present;

	if (first > base)
		named &= ~low_mask(first - base);
	if (last - base < CHUNK_NODES)
		named &= low_mask(last - base + 1);

	for (; named; named &= named - 1)
		node_remove(tlb, chunk->node[__builtin_ctz(named)]);
}

static bool remove_probing(struct iotlb *tlb, struct shape *shape,
			   uint64_t first, uint64_t last)
{
	uint64_t number = first >> CHUNK_LG2;

	for (; number <= last >> CHUNK_LG2; number++) {
		struct chunk *chunk = chunk_find(tlb, shape, number);

		shape->space->shard->work++;
		if (chunk)
			chunk_remove(tlb, chunk, first, last);
	}
	return true;
}

/* Frees the chunks it empties, so that nobody passes them again. */
static bool remove_walking(struct iotlb *tlb, struct shape *shape,
			   uint64_t first, uint64_t last)
{
	struct shard *shard = shape->space->shard;
	struct itree_node *range, *next;

	range = itree_from(&shape->chunks, first >> CHUNK_LG2);
	for (; range && range->first <= last >> CHUNK_LG2; range = next) {
		struct chunk *chunk = container_of(range, struct chunk, range);

		if (credit_spent(shard))
			return false;
		shard->work++;
		next = itree_succ(range);
		chunk_remove(tlb, chunk, first, last);
		if (!chunk->present)
			chunk_free(shard, chunk);
		if (!shape->nodes)
			break;
	}
	return true;
}

static bool shape_remove(struct iotlb *tlb, struct shape *shape, uint64_t first,
			 uint64_t last)
{
	if ((last >> CHUNK_LG2) - (first >> CHUNK_LG2) < PROBE_CHUNKS)
		return remove_probing(tlb, shape, first, last);
	return remove_walking(tlb, shape, first, last);
}

bool index_remove(struct iotlb *tlb, struct space *space,
		  const struct iotlb_inval *inval)
{
	struct shape *shape;

	for (shape = space->shapes; shape; shape = shape->next) {
		if (credit_spent(space->shard))
			return false;
		space->shard->work++;
		if (!shape->nodes)
			continue;
		if ((inval->by & IOTLB_BY_LEVEL) &&
		    shape->level != inval->level)
			continue;
		if ((inval->by & IOTLB_BY_GRANULE) &&
		    shape->granule_lg2 != inval->granule_lg2)
			continue;
		if (!shape_remove(tlb, shape,
				  (inval->first & ~low_mask(shape->leaf_lg2)) >>
					  shape->size_lg2,
				  (inval->last | low_mask(shape->leaf_lg2)) >>
					  shape->size_lg2))
			return false;
	}
	return true;
}

static void shape_reap(struct iotlb *tlb, struct space *space)
{
	struct shape *shape = space->shapes;
	struct chunk *chunk;

	if (itree_empty(&shape->chunks)) {
		space->shapes = shape->next;
		free(shape);
		return;
	}
	chunk = container_of(shape->chunks.root, struct chunk, range);
	if (chunk->present)
		node_remove(tlb, chunk_first(chunk));
	else
		chunk_free(space->shard, chunk);
}

unsigned int index_reap(struct iotlb *tlb, struct space *space,
			unsigned int budget)
{
	for (; budget && space->shapes; budget--)
		shape_reap(tlb, space);
	return budget;
}

void index_trim(struct shard *shard)
{
	for (int n = 0; n < IDLE_TRIM && shard->idle_count > IDLE_KEEP; n++)
		chunk_free(shard,
			   container_of(shard->idle.next, struct chunk, idle));
}

void index_for_each(struct space *space,
		    void (*fn)(void *ctx, const struct iotlb_entry *entry),
		    void *ctx)
{
	for (struct shape *shape = space->shapes; shape; shape = shape->next) {
		struct itree_node *range = itree_from(&shape->chunks, 0);

		for (; range; range = itree_succ(range)) {
			struct chunk *chunk =
				container_of(range, struct chunk, range);

			for (uint32_t left = chunk->present; left;
			     left &= left - 1)
				fn(ctx,
				   &chunk->node[__builtin_ctz(left)]->entry);
		}
	}
}
