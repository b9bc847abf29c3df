/* SPDX-License-Identifier: MIT */
/*
 * Intrusive interval tree: nodes with inclusive [first, last], found by
 * overlap in O(log n). Intervals may overlap each other. Deterministic: the
 * same calls in the same order give the same answers.
 *
 * Each node may also carry a weight, by which itree_next_weight() finds nodes
 * in O(log n); who stores the free space in front of each node as its weight
 * has an allocator. The caller serialises everything.
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set first and last before itree_insert(); not to be changed while inside. */
struct itree_node {
	uint64_t first;
	uint64_t last;
	/* private */
	uint64_t max_last;
	uint64_t weight;
	uint64_t max_weight;
	struct itree_node *parent;
	struct itree_node *child[2];
	int height;
};

/* All zero is an empty tree. */
struct itree {
	struct itree_node *root;
};

/* Equal starts are kept in insertion order. The weight becomes 0. */
void itree_insert(struct itree *tree, struct itree_node *node);
void itree_remove(struct itree *tree, struct itree_node *node);

/* The node of lowest start that overlaps [first, last], or NULL. */
struct itree_node *itree_first(const struct itree *tree, uint64_t first,
			       uint64_t last);

/* The one after @node that overlaps [first, last], or NULL. */
struct itree_node *itree_next(const struct itree_node *node, uint64_t first,
			      uint64_t last);

/* Neighbours in order of start, whatever they overlap; NULL at the ends. */
struct itree_node *itree_succ(const struct itree_node *node);
struct itree_node *itree_pred(const struct itree_node *node);

/* The node of lowest start with start >= @from, or NULL. */
struct itree_node *itree_from(const struct itree *tree, uint64_t from);

void itree_set_weight(struct itree_node *node, uint64_t weight);

/* The node of lowest start with start >= @from and weight >= @weight. */
struct itree_node *itree_next_weight(const struct itree *tree, uint64_t from,
				     uint64_t weight);

static inline bool itree_empty(const struct itree *tree)
{
	return !tree->root;
}

#endif
