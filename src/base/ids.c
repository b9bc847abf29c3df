// SPDX-License-Identifier: MIT
/*
 * Ids as a radix tree of fixed height: four levels of 256 slots. Two bitmaps
 * per node speak of each slot: full (a leaf's id is taken; nothing free below
 * an inner slot) and live (something is published there or below).
 */
#include "base/ids.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

#define SLOT_BITS 8
#define SLOTS	  (1u << SLOT_BITS)
#define LEVELS	  4

struct ids_node {
	void *slot[SLOTS];
	uint64_t full[SLOTS / 64];
	uint64_t live[SLOTS / 64];
};

/* The nodes from the root to an id's leaf; level 0 is the leaf. */
struct path {
	struct ids_node *node[LEVELS];
};

static unsigned int slot_of(uint32_t id, int level)
{
	return (id >> (level * SLOT_BITS)) & (SLOTS - 1);
}

static void bit_set(uint64_t *map, unsigned int bit, bool value)
{
	if (value)
		map[bit / 64] |= BIT_ULL(bit % 64);
	else
		map[bit / 64] &= ~BIT_ULL(bit % 64);
}

/* The first bit of the wanted kind at or after @from; SLOTS if none. */
static unsigned int bit_find(const uint64_t *map, unsigned int from, bool value)
{
	while (from < SLOTS) {
		uint64_t word = value ? map[from / 64] : ~map[from / 64];

		word &= ~0ULL << (from % 64);
		if (word)
			return (from & ~63u) +
			       (unsigned int)__builtin_ctzll(word);
		from = (from | 63u) + 1;
	}
	return SLOTS;
}

static bool map_is(const uint64_t *map, uint64_t word)
{
	for (unsigned int i = 0; i < SLOTS / 64; i++) {
		if (map[i] != word)
			return false;
	}
	return true;
}

/* Readers may be on their way down: a new node is published complete. */
static void slot_store(struct ids_node *n, unsigned int slot, void *ptr)
{
	__atomic_store_n(&n->slot[slot], ptr, __ATOMIC_RELEASE);
}

static void *slot_load(const struct ids_node *n, unsigned int slot)
{
	return __atomic_load_n(&n->slot[slot], __ATOMIC_ACQUIRE);
}

void ids_init(struct ids *t, uint32_t limit)
{
	t->root = NULL;
	t->limit = limit && limit <= IDS_LIMIT_MAX ? limit : IDS_LIMIT_MAX;
}

static void free_node(struct ids_node *n, int level)
{
	for (unsigned int i = 0; n && level && i < SLOTS; i++)
		free_node(n->slot[i], level - 1); /* depth: LEVELS */
	free(n);
}

void ids_fini(struct ids *t)
{
	free_node(t->root, LEVELS - 1);
	t->root = NULL;
}

static bool path_find(const struct ids *t, uint32_t id, struct path *p)
{
	struct ids_node *n = t->root;

	if (!id || id > t->limit)
		return false;
	for (int level = LEVELS - 1; n; level--) {
		p->node[level] = n;
		if (!level)
			return true;
		n = n->slot[slot_of(id, level)];
	}
	return false;
}

/* An id was taken or freed: keep the bits above it true. */
static void path_set_full(struct path *p, uint32_t id, bool full)
{
	for (int level = 0; level < LEVELS; level++) {
		bit_set(p->node[level]->full, slot_of(id, level), full);
		full = map_is(p->node[level]->full, ~0ULL);
	}
}

static void path_set_live(struct path *p, uint32_t id, bool live)
{
	for (int level = 0; level < LEVELS; level++) {
		bit_set(p->node[level]->live, slot_of(id, level), live);
		live = !map_is(p->node[level]->live, 0);
	}
}

/* The child, made if need be. An empty one left by a failure is no harm. */
static struct ids_node *child_get(struct ids_node *n, unsigned int slot)
{
	struct ids_node *child = n->slot[slot];

	if (child)
		return child;
	child = alloc_zero(sizeof(*child));
	if (child)
		slot_store(n, slot, child);
	return child;
}

static int root_get(struct ids *t)
{
	struct ids_node *root;

	if (t->root)
		return 0;
	root = alloc_zero(sizeof(*root));
	if (!root)
		return -ENOMEM;
	__atomic_store_n(&t->root, root, __ATOMIC_RELEASE);
	return 0;
}

int ids_reserve(struct ids *t, uint32_t *id)
{
	struct ids_node *n;
	struct path p;
	uint64_t found = 0;

	if (root_get(t))
		return -ENOMEM;
	n = t->root;
	for (int level = LEVELS - 1; level >= 0; level--) {
		unsigned int slot = bit_find(n->full, 0, false);

		if (slot == SLOTS)
			return -ENOSPC;
		p.node[level] = n;
		found = found << SLOT_BITS | slot;
		if (found << (level * SLOT_BITS) > t->limit)
			return -ENOSPC;
		if (!level)
			break;
		n = child_get(n, slot);
		if (!n)
			return -ENOMEM;
		if (level == 1 && !found)
			bit_set(n->full, 0, true); /* id 0 is nobody's */
	}
	path_set_full(&p, (uint32_t)found, true);
	*id = (uint32_t)found;
	return 0;
}

void ids_publish(struct ids *t, uint32_t id, void *ptr)
{
	struct path p;

	if (!path_find(t, id, &p))
		return;
	path_set_live(&p, id, true);
	slot_store(p.node[0], slot_of(id, 0), ptr);
}

void *ids_get(const struct ids *t, uint32_t id)
{
	const struct ids_node *n = __atomic_load_n(&t->root, __ATOMIC_ACQUIRE);

	if (!id || id > t->limit)
		return NULL;
	for (int level = LEVELS - 1; n && level; level--)
		n = slot_load(n, slot_of(id, level));
	return n ? slot_load(n, slot_of(id, 0)) : NULL;
}

static void *unpublish(struct path *p, uint32_t id)
{
	void *ptr = p->node[0]->slot[slot_of(id, 0)];

	if (ptr) {
		slot_store(p->node[0], slot_of(id, 0), NULL);
		path_set_live(p, id, false);
	}
	return ptr;
}

void *ids_unpublish(struct ids *t, uint32_t id)
{
	struct path p;

	return path_find(t, id, &p) ? unpublish(&p, id) : NULL;
}

void *ids_remove(struct ids *t, uint32_t id)
{
	struct path p;
	void *ptr;

	if (!path_find(t, id, &p))
		return NULL;
	ptr = unpublish(&p, id);
	path_set_full(&p, id, false);
	return ptr;
}

/*
 * Each round descends towards @at; where nothing is live under its path, @at
 * moves on to the next candidate, with the lower digits zero.
 */
void *ids_next(const struct ids *t, uint32_t after, uint32_t *id)
{
	uint64_t at = (uint64_t)after + 1;

	while (t->root && at <= t->limit) {
		const struct ids_node *n = t->root;

		for (int level = LEVELS - 1; level >= 0; level--) {
			unsigned int shift = (unsigned int)level * SLOT_BITS;
			unsigned int want = slot_of((uint32_t)at, level);
			unsigned int slot = bit_find(n->live, want, true);

			if (slot != want)
				at = (at >> (shift + SLOT_BITS)
						    << (shift + SLOT_BITS)) +
				     ((uint64_t)slot << shift);
			if (slot == SLOTS)
				break; /* at: where the next node begins */
			if (!level) {
				*id = (uint32_t)at;
				return n->slot[slot];
			}
			n = n->slot[slot];
		}
	}
	return NULL;
}
