// SPDX-License-Identifier: MIT
/*
 * The interval tree as an AVL tree over the starts. Every node knows the
 * highest last and the highest weight below it, itself included, so a search
 * for an overlap or a weight can skip whole subtrees.
 */
#include "base/itree.h"

enum { LEFT, RIGHT };

static int height(const struct itree_node *n)
{
	return n ? n->height : 0;
}

static void update(struct itree_node *n)
{
	int l = height(n->child[LEFT]);
	int r = height(n->child[RIGHT]);

	n->height = (l > r ? l : r) + 1;
	n->max_last = n->last;
	n->max_weight = n->weight;
	for (int side = LEFT; side <= RIGHT; side++) {
		const struct itree_node *c = n->child[side];

		if (!c)
			continue;
		if (c->max_last > n->max_last)
			n->max_last = c->max_last;
		if (c->max_weight > n->max_weight)
			n->max_weight = c->max_weight;
	}
}

/* Put @new, which may be NULL, where @old hangs below @parent. */
static void replace_child(struct itree *tree, struct itree_node *parent,
			  struct itree_node *old, struct itree_node *new)
{
	if (!parent)
		tree->root = new;
	else
		parent->child[parent->child[RIGHT] == old] = new;
	if (new)
		new->parent = parent;
}

/* Lift n's child of @side above n; the child comes back, both up to date. */
static struct itree_node *rotate(struct itree *tree, struct itree_node *n,
				 int side)
{
	struct itree_node *up = n->child[side];
	struct itree_node *inner = up->child[!side];

	replace_child(tree, n->parent, n, up);
	up->child[!side] = n;
	n->parent = up;
	n->child[side] = inner;
	if (inner)
		inner->parent = n;
	update(n);
	update(up);
	return up;
}

static struct itree_node *balance(struct itree *tree, struct itree_node *n)
{
	int lean = height(n->child[RIGHT]) - height(n->child[LEFT]);
	int side = lean > 0 ? RIGHT : LEFT;
	struct itree_node *c = n->child[side];

	if (lean >= -1 && lean <= 1)
		return n;
	if (height(c->child[!side]) > height(c->child[side]))
		rotate(tree, c, !side);
	return rotate(tree, n, side);
}

static void repair_upwards(struct itree *tree, struct itree_node *n)
{
	while (n) {
		update(n);
		n = balance(tree, n)->parent;
	}
}

void itree_insert(struct itree *tree, struct itree_node *node)
{
	struct itree_node *parent = NULL;
	struct itree_node **link = &tree->root;

	while (*link) {
		parent = *link;
		link = &parent->child[node->first >= parent->first];
	}
	node->parent = parent;
	node->child[LEFT] = NULL;
	node->child[RIGHT] = NULL;
	node->weight = 0;
	*link = node;
	repair_upwards(tree, node);
}

static struct itree_node *outermost(struct itree_node *n, int side)
{
	while (n->child[side])
		n = n->child[side];
	return n;
}

/* A node with two children: its successor, which has no left one, moves in. */
static struct itree_node *replace_by_succ(struct itree *tree,
					  struct itree_node *node)
{
	struct itree_node *s = outermost(node->child[RIGHT], LEFT);
	struct itree_node *repair = s;

	if (s->parent != node) {
		repair = s->parent;
		replace_child(tree, s->parent, s, s->child[RIGHT]);
		s->child[RIGHT] = node->child[RIGHT];
		s->child[RIGHT]->parent = s;
	}
	s->child[LEFT] = node->child[LEFT];
	s->child[LEFT]->parent = s;
	replace_child(tree, node->parent, node, s);
	return repair;
}

void itree_remove(struct itree *tree, struct itree_node *node)
{
	struct itree_node *repair = node->parent;

	if (node->child[LEFT] && node->child[RIGHT])
		repair = replace_by_succ(tree, node);
	else
		replace_child(tree, node->parent, node,
			      node->child[LEFT] ? node->child[LEFT]
						: node->child[RIGHT]);
	repair_upwards(tree, repair);
}

/*
 * Lowest start in the subtree of @n that overlaps. If the left subtree reaches
 * @first, the answer is there or nowhere: whatever reaches @first there starts
 * before n, and if it starts beyond @last then so does all that follows.
 */
static struct itree_node *subtree_first(struct itree_node *n, uint64_t first,
					uint64_t last)
{
	while (n && n->max_last >= first) {
		struct itree_node *left = n->child[LEFT];

		if (left && left->max_last >= first) {
			n = left;
			continue;
		}
		if (n->first > last)
			return NULL;
		if (n->last >= first)
			return n;
		n = n->child[RIGHT];
	}
	return NULL;
}

struct itree_node *itree_first(const struct itree *tree, uint64_t first,
			       uint64_t last)
{
	return subtree_first(tree->root, first, last);
}

struct itree_node *itree_next(const struct itree_node *node, uint64_t first,
			      uint64_t last)
{
	const struct itree_node *n = node;
	struct itree_node *found;

	for (;;) {
		found = subtree_first(n->child[RIGHT], first, last);
		if (found)
			return found;
		while (n->parent && n->parent->child[RIGHT] == n)
			n = n->parent;
		n = n->parent;
		if (!n || n->first > last)
			return NULL;
		if (n->last >= first)
			return (struct itree_node *)n;
	}
}

static struct itree_node *neighbour(const struct itree_node *n, int side)
{
	if (n->child[side])
		return outermost(n->child[side], !side);
	while (n->parent && n->parent->child[side] == n)
		n = n->parent;
	return n->parent;
}

struct itree_node *itree_succ(const struct itree_node *node)
{
	return neighbour(node, RIGHT);
}

struct itree_node *itree_pred(const struct itree_node *node)
{
	return neighbour(node, LEFT);
}

struct itree_node *itree_from(const struct itree *tree, uint64_t from)
{
	return itree_next_weight(tree, from, 0);
}

void itree_set_weight(struct itree_node *node, uint64_t weight)
{
	node->weight = weight;
	for (; node; node = node->parent)
		update(node);
}

/* Lowest start in the subtree that has the weight, if the subtree has. */
static struct itree_node *subtree_weight(struct itree_node *n, uint64_t weight)
{
	while (n && n->max_weight >= weight) {
		struct itree_node *left = n->child[LEFT];

		if (left && left->max_weight >= weight)
			n = left;
		else if (n->weight >= weight)
			return n;
		else
			n = n->child[RIGHT];
	}
	return NULL;
}

struct itree_node *itree_next_weight(const struct itree *tree, uint64_t from,
				     uint64_t weight)
{
	struct itree_node *n = NULL;
	struct itree_node *at = tree->root;

	/* n: the first node at or after from, whatever it weighs */
	while (at) {
		bool after = at->first >= from;

		if (after)
			n = at;
		at = at->child[after ? LEFT : RIGHT];
	}
	while (n) {
		struct itree_node *found;

		if (n->weight >= weight)
			return n;
		found = subtree_weight(n->child[RIGHT], weight);
		if (found)
			return found;
		while (n->parent && n->parent->child[RIGHT] == n)
			n = n->parent;
		n = n->parent;
	}
	return NULL;
}
