// SPDX-License-Identifier: MIT
/*
 * The nodes of a space by the address of their leaf. Removal allocates nothing
 * and never touches the ordered tree for a small range: chunks it empties stay
 * until a later insert trims them, or a large range passes.
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

uint64_t node_hash(const void *item)
{
	const struct node *node = item;

	return hash2(node->vm->tlb, node->tag, node->page);
}

uint64_t chunk_hash(const void *item)
{
	const struct chunk *chunk = item;

	return hash2(chunk->shape->space->vm->tlb, (uintptr_t)chunk->shape,
		     chunk->range.first);
}

static bool chunk_equal(const void *item, const void *key)
{
	const struct chunk *chunk = item;
	const struct chunk_key *want = key;

	return chunk->shape == want->shape &&
	       chunk->range.first == want->number;
}

/* Same address and space, same leaf, same level and granule. */
static bool node_same(const void *item, const void *key)
{
	const struct node *node = item, *want = key;

	return node->tag == want->tag && node->page == want->page &&
	       node->space == want->space && node->chunk == want->chunk &&
	       node->entry.leaf == want->entry.leaf;
}

static unsigned int leaf_slot(const struct node *node)
{
	return (node->entry.leaf >> node->entry.leaf_lg2) % CHUNK_LEAVES;
}

static struct chunk *chunk_find(struct iotlb *tlb, struct shape *shape,
				uint64_t number)
{
	struct chunk_key key = { shape, number };

	return table_find(&shape->space->shard->chunks,
			  hash2(tlb, (uintptr_t)shape, number), chunk_equal,
			  &key);
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
	struct shard *shard = shape->space->shard;
	struct chunk *chunk = alloc_zero(sizeof(*chunk));
	int rc;

	if (!chunk)
		return -ENOMEM;
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

/* Only an empty one; lookups do not read chunks. */
static void chunk_free(struct shard *shard, struct chunk *chunk)
{
	chunk_set_used(shard, chunk);
	itree_remove(&chunk->shape->chunks, &chunk->range);
	table_remove(&shard->chunks, chunk_hash(chunk), chunk, &shard->trash);
	free(chunk);
}

static int chunk_get(struct iotlb *tlb, struct shape *shape, uint64_t number,
		     struct chunk **out)
{
	struct chunk *chunk = chunk_find(tlb, shape, number);

	if (!chunk)
		return chunk_create(shape, number, out);
	*out = chunk;
	return 0;
}

static int shape_get(struct space *space, const struct iotlb_entry *entry,
		     struct shape **out)
{
	struct shape *shape;

	for (shape = space->shapes; shape; shape = shape->next) {
		if (shape->leaf_lg2 == entry->leaf_lg2 &&
		    shape->level == entry->level &&
		    shape->granule_lg2 == entry->granule_lg2)
			break;
	}
	if (!shape) {
		shape = alloc_zero(sizeof(*shape));
		if (!shape)
			return -ENOMEM;
		shape->space = space;
		shape->leaf_lg2 = entry->leaf_lg2;
		shape->level = entry->level;
		shape->granule_lg2 = entry->granule_lg2;
		shape->next = space->shapes;
		space->shapes = shape;
	}
	*out = shape;
	return 0;
}

static void sizes_add(struct sizes *sizes, const struct iotlb_entry *entry)
{
	unsigned int g = entry->global, r = entry->regime;
	uint64_t present = sizes->present[r][g];

	if (!sizes->count[r][g][entry->size_lg2]++)
		reader_publish(&sizes->present[r][g],
			       present | 1ull << entry->size_lg2);
}

static void sizes_sub(struct sizes *sizes, const struct iotlb_entry *entry)
{
	unsigned int g = entry->global, r = entry->regime;
	uint64_t present = sizes->present[r][g];

	if (!--sizes->count[r][g][entry->size_lg2])
		reader_publish(&sizes->present[r][g],
			       present & ~(1ull << entry->size_lg2));
}

static void leaf_push(struct shard *shard, struct node *node)
{
	struct chunk *chunk = node->chunk;
	unsigned int slot = leaf_slot(node);

	if (!chunk->present)
		chunk_set_used(shard, chunk);
	chunk->present |= 1u << slot;
	node->prev = NULL;
	node->next = chunk->leaf[slot];
	if (node->next)
		node->next->prev = node;
	chunk->leaf[slot] = node;
}

static void leaf_pull(struct shard *shard, struct node *node)
{
	struct chunk *chunk = node->chunk;
	unsigned int slot = leaf_slot(node);

	if (node->next)
		node->next->prev = node->prev;
	if (node->prev) {
		node->prev->next = node->next;
		return;
	}
	chunk->leaf[slot] = node->next;
	if (node->next)
		return;
	chunk->present &= ~(1u << slot);
	if (!chunk->present)
		chunk_set_idle(shard, chunk);
}

int index_link(struct iotlb *tlb, struct space *space, struct node *node)
{
	const struct iotlb_entry *entry = &node->entry;
	struct shard *shard = space->shard;
	uint64_t hash = node_hash(node);
	struct shape *shape;
	struct node *old;
	int rc;

	rc = shape_get(space, entry, &shape);
	if (rc)
		return rc;
	rc = chunk_get(tlb, shape, entry->leaf >> entry->leaf_lg2 >> CHUNK_LG2,
		       &node->chunk);
	if (rc)
		return rc;
	old = table_find(&shard->nodes, hash, node_same, node);

	rc = table_insert(&shard->nodes, hash, node, &shard->trash);
	if (rc)
		return rc; /* a new chunk is idle, and trimmed some time */
	leaf_push(shard, node);
	sizes_add(&shard->sizes, entry);
	shape->nodes++;
	space->nodes++;
	space->fresh = true;
	shard->inserted++;
	if (old)
		index_unlink(tlb, old);
	return 0;
}

void index_unlink(struct iotlb *tlb, struct node *node)
{
	struct space *space = node->space;
	struct shard *shard = space->shard;

	table_remove(&shard->nodes, node_hash(node), node, &shard->trash);
	/* For a lookup that still has the table as it was. */
	reader_publish(&node->tag, node->tag | NODE_GONE);
	sizes_sub(&shard->sizes, &node->entry);
	node->chunk->shape->nodes--;
	leaf_pull(shard, node);
	shard->removed++;
	shard->work++;
	if (!--space->nodes)
		space_emptied(tlb, space);
	if (tlb->policy == IOTLB_FAST)
		__atomic_sub_fetch(&tlb->used, 1, __ATOMIC_RELAXED);
	/* Last: the links are overwritten. */
	trash_add(&shard->trash, &node->trash);
}

/* The leaves of @chunk that are numbered first to last. */
static void chunk_remove(struct iotlb *tlb, struct chunk *chunk, uint64_t first,
			 uint64_t last)
{
	uint64_t base = chunk->range.first << CHUNK_LG2;
	uint32_t named = chunk->present;

	if (first > base)
		named &= ~low_mask(first - base);
	if (last - base < CHUNK_LEAVES)
		named &= low_mask(last - base + 1);

	for (; named; named &= named - 1) {
		unsigned int slot = __builtin_ctz(named);

		while (chunk->leaf[slot])
			index_unlink(tlb, chunk->leaf[slot]);
	}
}

static void remove_probing(struct iotlb *tlb, struct shape *shape,
			   uint64_t first, uint64_t last)
{
	uint64_t number = first >> CHUNK_LG2;

	for (; number <= last >> CHUNK_LG2; number++) {
		struct chunk *chunk = chunk_find(tlb, shape, number);

		shape->space->shard->work++;
		if (chunk)
			chunk_remove(tlb, chunk, first, last);
	}
}

/* Frees the chunks it empties, so that nobody passes them again. */
static void remove_walking(struct iotlb *tlb, struct shape *shape,
			   uint64_t first, uint64_t last)
{
	struct itree_node *range, *next;

	range = itree_from(&shape->chunks, first >> CHUNK_LG2);
	for (; range && range->first <= last >> CHUNK_LG2; range = next) {
		struct chunk *chunk = container_of(range, struct chunk, range);

		shape->space->shard->work++;
		next = itree_succ(range);
		chunk_remove(tlb, chunk, first, last);
		if (!chunk->present)
			chunk_free(shape->space->shard, chunk);
		if (!shape->nodes)
			return;
	}
}

static void shape_remove(struct iotlb *tlb, struct shape *shape, uint64_t first,
			 uint64_t last)
{
	if ((last >> CHUNK_LG2) - (first >> CHUNK_LG2) < PROBE_CHUNKS)
		remove_probing(tlb, shape, first, last);
	else
		remove_walking(tlb, shape, first, last);
}

void index_remove(struct iotlb *tlb, struct space *space,
		  const struct iotlb_inval *inval)
{
	struct shape *shape;

	for (shape = space->shapes; shape; shape = shape->next) {
		space->shard->work++;
		if (!shape->nodes)
			continue;
		if ((inval->by & IOTLB_BY_LEVEL) &&
		    shape->level != inval->level)
			continue;
		if ((inval->by & IOTLB_BY_GRANULE) &&
		    shape->granule_lg2 != inval->granule_lg2)
			continue;
		shape_remove(tlb, shape, inval->first >> shape->leaf_lg2,
			     inval->last >> shape->leaf_lg2);
	}
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
		index_unlink(tlb, chunk->leaf[__builtin_ctz(chunk->present)]);
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

			for (unsigned int n = 0; n < CHUNK_LEAVES; n++) {
				struct node *node = chunk->leaf[n];

				for (; node; node = node->next)
					fn(ctx, &node->entry);
			}
		}
	}
}
