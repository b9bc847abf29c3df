// SPDX-License-Identifier: MIT
/*
 * The mock IOMMU's tables. Each table in shared memory has a node here, which
 * knows its children and how many words are in use.
 */
#include "drv/mock/table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/le.h"
#include "hwdef/mock.h"

struct mock_node {
	struct core_dma_mem mem;
	unsigned int level;
	unsigned int used;
	struct mock_node *next;	   /* of mock_table.empty */
	struct mock_node *child[]; /* MOCK_TABLE_WORDS above level 0 */
};

static uint64_t *word(const struct mock_node *node, unsigned int index)
{
	return &((uint64_t *)node->mem.host)[index];
}

static uint64_t load(const struct mock_node *node, unsigned int index)
{
	return le64toh(__atomic_load_n(word(node, index), __ATOMIC_ACQUIRE));
}

static void store(struct mock_node *node, unsigned int index, uint64_t pte)
{
	__atomic_store_n(word(node, index), htole64(pte), __ATOMIC_RELEASE);
}

static struct mock_node *node_new(const struct core_hwport *port,
				  unsigned int level)
{
	size_t children = level ? MOCK_TABLE_WORDS : 0;
	struct mock_node *node;

	node = alloc_zero(sizeof(*node) + children * sizeof(node->child[0]));
	if (!node)
		return NULL;
	if (port->ops->mem_alloc(port->ctx, MOCK_TABLE_BYTES, MOCK_TABLE_BYTES,
				 &node->mem)) {
		free(node);
		return NULL;
	}
	node->level = level;
	return node;
}

static void node_free(const struct core_hwport *port, struct mock_node *node)
{
	port->ops->mem_free(port->ctx, &node->mem);
	free(node);
}

int mock_table_init(struct mock_table *t, const struct core_hwport *port,
		    unsigned int levels, uint64_t page_sizes)
{
	*t = (struct mock_table){
		.port = port,
		.levels = levels,
		.page_sizes = page_sizes | BIT_ULL(MOCK_PAGE_LG2),
	};
	t->root = node_new(port, levels - 1);
	return t->root ? 0 : -ENOMEM;
}

/* Depth first; a node's used words that are left are leaves. */
void mock_table_fini(struct mock_table *t)
{
	struct mock_node *path[MOCK_LEVELS_MAX] = { t->root };
	unsigned int at[MOCK_LEVELS_MAX] = { 0 };
	unsigned int depth = 0;

	mock_table_reap(t);
	for (;;) {
		struct mock_node *node = path[depth];

		if (node->level && at[depth] < MOCK_TABLE_WORDS) {
			struct mock_node *child = node->child[at[depth]++];

			if (child) {
				path[++depth] = child;
				at[depth] = 0;
			}
			continue;
		}
		node_free(t->port, node);
		if (!depth--)
			return;
	}
}

uint64_t mock_table_root(const struct mock_table *t)
{
	return t->root->mem.pa | t->levels;
}

/* The node of @level that holds @iova; made if need be. NULL: no memory */
static struct mock_node *descend(struct mock_table *t, uint64_t iova,
				 unsigned int level)
{
	struct mock_node *node = t->root;

	while (node->level > level) {
		unsigned int index = mock_index(iova, node->level);
		struct mock_node *child = node->child[index];

		if (!child) {
			child = node_new(t->port, node->level - 1);
			if (!child)
				return NULL;
			node->child[index] = child;
			node->used++;
			store(node, index, child->mem.pa | MOCK_PTE_VALID);
		}
		node = child;
	}
	return node;
}

/* The highest level whose leaves fit */
static unsigned int choose_level(const struct mock_table *t, uint64_t iova,
				 uint64_t pa, uint64_t length)
{
	unsigned int level = t->levels;

	while (--level) {
		uint64_t size = BIT_ULL(mock_level_lg2(level));

		if ((t->page_sizes & size) && length >= size &&
		    !((iova | pa) & (size - 1)))
			break;
	}
	return level;
}

/* Cuts tables off that have become empty; the root stays. */
static void prune(struct mock_table *t, uint64_t iova,
		  struct mock_node *path[MOCK_LEVELS_MAX], unsigned int depth)
{
	while (--depth && !path[depth]->used) {
		struct mock_node *parent = path[depth - 1];
		unsigned int index = mock_index(iova, parent->level);

		store(parent, index, 0);
		parent->child[index] = NULL;
		parent->used--;
		path[depth]->next = t->empty;
		t->empty = path[depth];
	}
}

/* Cuts off what descend() has made on its way to nowhere. */
static void trim(struct mock_table *t, uint64_t iova)
{
	struct mock_node *path[MOCK_LEVELS_MAX] = { t->root };
	unsigned int depth = 1;
	struct mock_node *node = t->root;

	while (node->level) {
		node = node->child[mock_index(iova, node->level)];
		if (!node)
			break;
		path[depth++] = node;
	}
	prune(t, iova, path, depth);
}

int mock_table_map(struct mock_table *t, uint64_t iova, uint64_t pa,
		   uint64_t length, bool read, bool write)
{
	uint64_t flags = MOCK_PTE_VALID | MOCK_PTE_LEAF |
			 (read ? MOCK_PTE_READ : 0) |
			 (write ? MOCK_PTE_WRITE : 0);
	uint64_t done = 0;

	while (done < length) {
		unsigned int level =
			choose_level(t, iova + done, pa + done, length - done);
		struct mock_node *node = descend(t, iova + done, level);
		unsigned int index = mock_index(iova + done, level);

		if (!node) {
			trim(t, iova + done);
			mock_table_unmap(t, iova, done);
			return -ENOMEM;
		}
		/* On in this table while it goes on like this */
		do {
			store(node, index, (pa + done) | flags);
			node->used++;
			done += BIT_ULL(mock_level_lg2(level));
		} while (++index < MOCK_TABLE_WORDS && done < length &&
			 choose_level(t, iova + done, pa + done,
				      length - done) == level);
	}
	return 0;
}

/* The way from the root to the leaf's table; its length, 0: no leaf there */
static unsigned int find(const struct mock_table *t, uint64_t iova,
			 struct mock_node *path[MOCK_LEVELS_MAX])
{
	struct mock_node *node = t->root;
	unsigned int depth = 0;

	for (;;) {
		unsigned int index = mock_index(iova, node->level);

		path[depth++] = node;
		if (load(node, index) & MOCK_PTE_LEAF)
			return depth;
		node = node->level ? node->child[index] : NULL;
		if (!node)
			return 0;
	}
}

/* Bytes from @iova to the end of its leaf in @node, no more than @left */
static uint64_t to_leaf_end(const struct mock_node *node, uint64_t iova,
			    uint64_t left)
{
	uint64_t size = BIT_ULL(mock_level_lg2(node->level));
	uint64_t n = size - (iova & (size - 1));

	return n < left ? n : left;
}

void mock_table_unmap(struct mock_table *t, uint64_t iova, uint64_t length)
{
	struct mock_node *path[MOCK_LEVELS_MAX];

	while (length) {
		unsigned int depth = find(t, iova, path);
		struct mock_node *node = depth ? path[depth - 1] : t->root;
		uint64_t n;

		if (!depth) { /* not mapped: core never asks for that */
			n = length < BIT_ULL(MOCK_PAGE_LG2)
				    ? length
				    : BIT_ULL(MOCK_PAGE_LG2);
		} else {
			n = to_leaf_end(node, iova, length);
			store(node, mock_index(iova, node->level), 0);
			node->used--;
			if (!node->used)
				prune(t, iova, path, depth);
		}
		iova += n;
		length -= n;
	}
}

void mock_table_reap(struct mock_table *t)
{
	while (t->empty) {
		struct mock_node *node = t->empty;

		t->empty = node->next;
		node_free(t->port, node);
	}
}

void mock_table_dirty(struct mock_table *t, uint64_t iova, uint64_t length,
		      bool clear,
		      void (*fn)(void *ctx, uint64_t iova, uint64_t length),
		      void *ctx)
{
	struct mock_node *path[MOCK_LEVELS_MAX];

	while (length) {
		unsigned int depth = find(t, iova, path);
		struct mock_node *node = depth ? path[depth - 1] : NULL;
		uint64_t *at;
		uint64_t n;

		if (!node)
			return;
		n = to_leaf_end(node, iova, length);
		at = word(node, mock_index(iova, node->level));
		if (__atomic_load_n(at, __ATOMIC_ACQUIRE) &
		    htole64(MOCK_PTE_DIRTY)) {
			if (clear)
				__atomic_fetch_and(at, ~htole64(MOCK_PTE_DIRTY),
						   __ATOMIC_ACQ_REL);
			fn(ctx, iova, n);
		}
		iova += n;
		length -= n;
	}
}
