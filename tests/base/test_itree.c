// SPDX-License-Identifier: MIT
/* The interval tree, against an array that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/itree.h"

#define NODES 96

struct item {
	struct itree_node node;
	uint64_t weight;
	uint64_t order; /* of insertion; 0: not in the tree */
};

static uint64_t seed = 1;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static bool before(const struct item *a, const struct item *b)
{
	if (a->node.first != b->node.first)
		return a->node.first < b->node.first;
	return a->order < b->order;
}

/* The first after @prev in order that the question is about, by brute force */
static struct item *scan(struct item *items, const struct item *prev,
			 uint64_t first, uint64_t last, uint64_t from,
			 uint64_t weight)
{
	struct item *best = NULL;

	for (int i = 0; i < NODES; i++) {
		struct item *it = &items[i];

		if (!it->order || it->node.first > last ||
		    it->node.last < first || it->node.first < from ||
		    it->weight < weight || (prev && !before(prev, it)))
			continue;
		if (!best || before(it, best))
			best = it;
	}
	return best;
}

static void check_overlaps(struct itree *tree, struct item *items)
{
	uint64_t first = rnd(1100);
	uint64_t last = first + rnd(80);
	struct item *want = scan(items, NULL, first, last, 0, 0);
	struct itree_node *n = itree_first(tree, first, last);

	for (;;) {
		assert_ptr_equal(n, want);
		if (!n)
			break;
		n = itree_next(n, first, last);
		want = scan(items, want, first, last, 0, 0);
	}
}

static void check_order(struct itree *tree, struct item *items)
{
	struct item *want = scan(items, NULL, 0, UINT64_MAX, 0, 0);
	struct itree_node *n = itree_from(tree, 0);
	struct itree_node *prev = NULL;

	while (n) {
		assert_ptr_equal(n, want);
		assert_ptr_equal(itree_pred(n), prev);
		prev = n;
		n = itree_succ(n);
		want = scan(items, want, 0, UINT64_MAX, 0, 0);
	}
	assert_null(want);
}

static void check_weights(struct itree *tree, struct item *items)
{
	uint64_t from = rnd(1100);
	uint64_t weight = rnd(40);

	assert_ptr_equal(itree_next_weight(tree, from, weight),
			 scan(items, NULL, 0, UINT64_MAX, from, weight));
	assert_ptr_equal(itree_from(tree, from),
			 scan(items, NULL, 0, UINT64_MAX, from, 0));
}

/* Height of an AVL tree of n nodes is below 1.45 log2(n + 2). */
static int check_shape(const struct itree_node *n)
{
	int l, r;

	if (!n)
		return 0;
	l = check_shape(n->child[0]);
	r = check_shape(n->child[1]);
	assert_in_range(l - r + 1, 0, 2);
	return 1 + (l > r ? l : r);
}

static void any_mix_agrees_with_brute_force(void **state)
{
	struct item items[NODES] = { 0 };
	struct itree tree = { 0 };
	uint64_t order = 0;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		struct item *it = &items[rnd(NODES)];

		if (it->order && rnd(3)) {
			it->weight = rnd(40);
			itree_set_weight(&it->node, it->weight);
		} else if (it->order) {
			itree_remove(&tree, &it->node);
			it->order = 0;
		} else {
			it->node.first = rnd(1000);
			it->node.last = it->node.first + rnd(rnd(4) ? 9 : 300);
			it->weight = 0;
			it->order = ++order;
			itree_insert(&tree, &it->node);
		}
		check_overlaps(&tree, items);
		check_weights(&tree, items);
		if (step % 64 == 0) {
			check_order(&tree, items);
			check_shape(tree.root);
		}
	}
	for (int i = 0; i < NODES; i++) {
		if (items[i].order)
			itree_remove(&tree, &items[i].node);
	}
	assert_true(itree_empty(&tree));
}

static void the_last_address_is_an_address(void **state)
{
	struct itree_node top = { .first = UINT64_MAX, .last = UINT64_MAX };
	struct itree_node all = { .first = 0, .last = UINT64_MAX };
	struct itree tree = { 0 };

	(void)state;
	itree_insert(&tree, &top);
	itree_insert(&tree, &all);
	assert_ptr_equal(itree_first(&tree, UINT64_MAX, UINT64_MAX), &all);
	assert_ptr_equal(itree_next(&all, UINT64_MAX, UINT64_MAX), &top);
	assert_null(itree_next(&all, 0, UINT64_MAX - 1));
	assert_null(itree_next(&top, 0, UINT64_MAX));
	itree_remove(&tree, &all);
	assert_null(itree_first(&tree, 0, UINT64_MAX - 1));
	assert_ptr_equal(itree_first(&tree, 0, UINT64_MAX), &top);
	assert_ptr_equal(itree_from(&tree, UINT64_MAX), &top);
}

static void equal_starts_keep_their_order(void **state)
{
	struct itree_node n[5] = { 0 };
	struct itree tree = { 0 };
	struct itree_node *at;

	(void)state;
	for (int i = 0; i < 5; i++) {
		n[i].first = 7;
		n[i].last = (uint64_t)(20 - i);
		itree_insert(&tree, &n[i]);
	}
	at = itree_first(&tree, 0, 100);
	for (int i = 0; i < 5; i++) {
		assert_ptr_equal(at, &n[i]);
		at = itree_next(at, 0, 100);
	}
	assert_null(at);
}

static void an_empty_tree_finds_nothing(void **state)
{
	struct itree tree = { 0 };

	(void)state;
	assert_null(itree_first(&tree, 0, UINT64_MAX));
	assert_null(itree_from(&tree, 0));
	assert_null(itree_next_weight(&tree, 0, 0));
	assert_true(itree_empty(&tree));
}

static void a_million_in_a_row_stay_balanced(void **state)
{
	const uint64_t count = 1000000;
	struct itree_node *n = calloc(count, sizeof(*n));
	struct itree tree = { 0 };

	(void)state;
	assert_non_null(n);
	for (uint64_t i = 0; i < count; i++) {
		n[i].first = i * 16;
		n[i].last = i * 16 + 7;
		itree_insert(&tree, &n[i]);
	}
	assert_in_range(check_shape(tree.root), 20, 28);
	for (uint64_t i = 0; i < count; i += 997) {
		assert_ptr_equal(itree_first(&tree, i * 16 + 7, i * 16 + 15),
				 &n[i]);
		assert_null(itree_first(&tree, i * 16 + 8, i * 16 + 15));
	}
	for (uint64_t i = 0; i < count; i += 2)
		itree_remove(&tree, &n[i]);
	check_shape(tree.root);
	assert_ptr_equal(itree_first(&tree, 0, UINT64_MAX), &n[1]);
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_mix_agrees_with_brute_force),
		cmocka_unit_test(the_last_address_is_an_address),
		cmocka_unit_test(equal_starts_keep_their_order),
		cmocka_unit_test(an_empty_tree_finds_nothing),
		cmocka_unit_test(a_million_in_a_row_stay_balanced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
