// SPDX-License-Identifier: MIT
/*
 * Nodes, allocated many at a time and never given back while the shard lives:
 * one comes and goes with each page that a guest maps and unmaps. Those that
 * readers may still hold return when their grace period is over, in whatever
 * thread sees that, and perhaps after the cache itself has gone.
 */
#include "iotlb/private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"

#define SLAB_NODES 64

/* Far more than nodes there can be: the share of an open shard. */
#define OPEN (1ull << 62)

struct slab {
	struct slab *next;
	struct node node[SLAB_NODES];
};

struct pool {
	struct trash_head *returned; /* atomic stack */
	uint64_t
		balance; /* atomic: nodes to come back after the end; 0: free */
	struct slab *slabs;
};

static void pool_free(struct pool *pool)
{
	while (pool->slabs) {
		struct slab *slab = pool->slabs;

		pool->slabs = slab->next;
		free(slab);
	}
	free(pool);
}

/* Acquire and release: the last to come sees what all before it did. */
static void pool_settle(struct pool *pool, uint64_t change)
{
	if (!__atomic_add_fetch(&pool->balance, change, __ATOMIC_ACQ_REL))
		pool_free(pool);
}

void pool_return(struct pool *pool, struct trash_head *first,
		 struct trash_head *last, uint64_t count)
{
	last->next = __atomic_load_n(&pool->returned, __ATOMIC_RELAXED);
	/* Pairs with the exchange in refill(): the links. */
	while (!__atomic_compare_exchange_n(&pool->returned, &last->next, first,
					    true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	pool_settle(pool, -count);
}

static struct trash_head *slab_add(struct pool *pool)
{
	struct slab *slab = alloc_zero(sizeof(*slab));

	if (!slab)
		return NULL;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (unsigned int n = 0; n < SLAB_NODES; n++) {
		slab->node[n].trash.pool = pool;
		if (n)
			slab->node[n - 1].trash.next = &slab->node[n].trash;
	}
	return &slab->node[0].trash;
}

static struct trash_head *refill(struct shard *shard)
{
	struct trash_head *head;

	if (!shard->pool) {
		shard->pool = alloc_zero(sizeof(*shard->pool));
		if (!shard->pool)
			return NULL;
		shard->pool->balance = OPEN;
	}
	head = __atomic_exchange_n(&shard->pool->returned, NULL,
				   __ATOMIC_ACQUIRE);
	return head ? head : slab_add(shard->pool);
}

struct node *pool_take(struct shard *shard)
{
	struct trash_head *head = shard->free;

	if (!head)
		head = refill(shard);
	if (!head)
		return NULL;
	shard->free = head->next;
	return container_of(head, struct node, trash);
}

void pool_close(struct shard *shard)
{
	/* All that was removed went into trash, and comes back from there. */
	if (shard->pool)
		pool_settle(shard->pool, shard->removed - OPEN);
	shard->pool = NULL;
	shard->free = NULL;
}
