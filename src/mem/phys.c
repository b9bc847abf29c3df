// SPDX-License-Identifier: MIT
/*
 * Which physical addresses are taken, and by what. Two structures hold the
 * ranges: a skip list, in which readers find them without a lock, and, for
 * writers, an interval tree weighted by free space, in which PAs stay taken
 * from phys_add() until phys_release().
 */
#include "mem/phys.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "mem/phys_priv.h"

#define PAGE_BYTES	4096u
#define FRESH_START	(1ULL << 32) /* above what boards put below 4 GiB */
#define PLACE_TIGHT_MAX 8

static struct phys_range *range_of(struct itree_node *used)
{
	return container_of(used, struct phys_range, used);
}

/* xorshift64: which levels nodes get only matters to speed */
static unsigned int pick_levels(struct phys *p)
{
	unsigned int levels = 1;
	uint64_t r = __atomic_load_n(&p->random, __ATOMIC_RELAXED);

	r ^= r << 13;
	r ^= r >> 7;
	r ^= r << 17;
	__atomic_store_n(&p->random, r, __ATOMIC_RELAXED);
	while (levels < PHYS_LEVELS && !(r & 3)) {
		levels++;
		r >>= 2;
	}
	return levels;
}

/* The link that points at the first node at or behind @pa, for each level. */
static void find_links(struct phys *p, uint64_t pa,
		       struct phys_range **links[PHYS_LEVELS])
{
	struct phys_range **next = p->head;

	for (int level = PHYS_LEVELS - 1; level >= 0; level--) {
		while (next[level] && next[level]->first < pa)
			next = next[level]->next;
		links[level] = &next[level];
	}
}

static void skip_insert(struct phys *p, struct phys_range *r)
{
	struct phys_range **links[PHYS_LEVELS];

	find_links(p, r->first, links);
	for (unsigned int i = 0; i < r->levels; i++) {
		r->next[i] = *links[i];
		/* Pairs with the lookups: the node is seen complete. */
		reader_publish(links[i], r);
	}
	if (r->levels > p->levels)
		__atomic_store_n(&p->levels, r->levels, __ATOMIC_RELAXED);
}

static void skip_remove(struct phys *p, struct phys_range *r)
{
	struct phys_range **links[PHYS_LEVELS];

	find_links(p, r->first, links);
	for (unsigned int i = r->levels; i-- > 0;)
		reader_publish(links[i], r->next[i]);
}

static void weigh(struct itree_node *node)
{
	struct itree_node *pred = itree_pred(node);

	itree_set_weight(node, node->first - (pred ? pred->last + 1 : 0));
}

static void take_space(struct phys *p, struct phys_range *r)
{
	r->used.first = r->first;
	r->used.last = r->last;
	itree_insert(&p->used, &r->used);
	weigh(&r->used);
	weigh(itree_succ(&r->used)); /* the sentinel at the latest */
}

static void give_space(struct phys *p, struct phys_range *r)
{
	struct itree_node *succ = itree_succ(&r->used);

	itree_remove(&p->used, &r->used);
	weigh(succ);
}

struct wish {
	uint64_t length;
	uint64_t align;
	uint64_t skew; /* below align */
};

/* Does it fit into the space in front of @node, not below @from? */
static bool fits(const struct itree_node *node, uint64_t from,
		 const struct wish *w, uint64_t *pa)
{
	uint64_t start = node->first - node->weight;

	if (start < from)
		start = from;
	start += (w->skew - start) & (w->align - 1);
	if (start >= node->first || w->length > node->first - start)
		return false;
	*pa = start;
	return true;
}

/*
 * The lowest gap from @from on, after a few that are big enough but may be
 * misaligned only one in which any alignment succeeds: so O(log n).
 */
static bool place_from(const struct phys *p, uint64_t from,
		       const struct wish *w, uint64_t *pa)
{
	uint64_t need = w->length;
	uint64_t at = from;
	int tries = 0;

	for (;;) {
		const struct itree_node *node;

		node = itree_next_weight(&p->used, at, need);
		if (!node)
			return false;
		if (fits(node, from, w, pa))
			return true;
		if (++tries == PLACE_TIGHT_MAX)
			need = w->length + w->align - 1;
		at = node->first + 1;
	}
}

static int place(const struct phys *p, const struct wish *w, uint64_t *pa)
{
	if (w->length > p->top.first || w->align > p->top.first)
		return -ENOSPC;
	if (place_from(p, p->fresh, w, pa) || place_from(p, PAGE_BYTES, w, pa))
		return 0;
	return -ENOSPC;
}

int phys_create(unsigned int oas_bits, struct phys **out)
{
	struct phys *p;

	if (oas_bits < 12 || oas_bits > 52)
		return -EINVAL;
	p = alloc_zero(sizeof(*p));
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->oas_bits = oas_bits;
	p->random = 0x9e3779b97f4a7c15u;
	p->fresh = oas_bits > 33 ? FRESH_START : PAGE_BYTES;
	p->top.first = BIT_ULL(oas_bits);
	p->top.last = BIT_ULL(oas_bits);
	itree_insert(&p->used, &p->top);
	weigh(&p->top);
	*out = p;
	return 0;
}

void phys_destroy(struct phys *p)
{
	struct itree_node *node;

	if (!p)
		return;
	for (;;) {
		node = itree_from(&p->used, 0);
		if (node == &p->top)
			break;
		itree_remove(&p->used, node);
		phys_lost_free(range_of(node));
		free(range_of(node));
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/*
 * A range to be filled in and entered; the lock is taken on success. Allocated
 * before: phys_lose() is called by allocators that hold locks of their own.
 */
static struct phys_range *range_begin(struct phys *p)
{
	unsigned int levels = pick_levels(p);
	struct phys_range *r =
		alloc_zero(sizeof(*r) + levels * sizeof(r->next[0]));

	if (!r)
		return NULL;
	r->phys = p;
	r->levels = levels;
	pthread_mutex_lock(&p->lock);
	return r;
}

/* With the lock held */
static void enter_memory(struct phys *p, struct phys_range *r, uint64_t space,
			 uint64_t va)
{
	r->space = space;
	r->memory.first = va;
	r->memory.last = va + (r->last - r->first);
	r->in_memory = true;
	itree_insert(&p->by_memory, &r->memory);
}

static void range_enter(struct phys *p, struct phys_range *r, uint64_t pa,
			uint64_t length)
{
	r->first = pa;
	r->last = pa + (length - 1);
	take_space(p, r);
	if (r->host)
		enter_memory(p, r, 0, (uintptr_t)r->host);
	skip_insert(p, r);
	__atomic_fetch_add(&p->count, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&p->lock);
}

static void range_abandon(struct phys *p, struct phys_range *r)
{
	pthread_mutex_unlock(&p->lock);
	free(r);
}

static int memory_check(const void *host, uint64_t length, uint32_t flags)
{
	uint64_t last;

	if (!host || flags & ~(PHYS_READ | PHYS_WRITE))
		return -EINVAL;
	return range_last((uintptr_t)host, length, &last) ? -EINVAL : 0;
}

int phys_add(struct phys *p, void *host, uint64_t length, uint32_t flags,
	     uint64_t align, uint64_t skew, struct phys_range **out)
{
	struct phys_range *r;
	struct wish w;
	uint64_t pa;
	int rc;

	if (memory_check(host, length, flags) || (align && !is_pow2(align)))
		return -EINVAL;
	w.length = length;
	w.align = align < PAGE_BYTES ? PAGE_BYTES : align;
	w.skew = skew & (w.align - 1);

	r = range_begin(p);
	if (!r)
		return -ENOMEM;
	rc = place(p, &w, &pa);
	if (rc) {
		range_abandon(p, r);
		return rc;
	}
	r->host = host;
	r->flags = flags;
	p->fresh = pa + length;
	range_enter(p, r, pa, length);
	*out = r;
	return 0;
}

static int add_at(struct phys *p, uint64_t pa, uint64_t length,
		  const struct phys_range *what, struct phys_range **out)
{
	struct phys_range *r;
	uint64_t last;

	if (range_last(pa, length, &last) || last >= p->top.first)
		return -EINVAL;
	r = range_begin(p);
	if (!r)
		return -ENOMEM;
	if (itree_first(&p->used, pa, last)) {
		range_abandon(p, r);
		return -EEXIST;
	}
	r->host = what->host;
	r->flags = what->flags;
	r->io = what->io;
	range_enter(p, r, pa, length);
	*out = r;
	return 0;
}

int phys_add_at(struct phys *p, uint64_t pa, void *host, uint64_t length,
		uint32_t flags, struct phys_range **out)
{
	const struct phys_range what = { .host = host, .flags = flags };

	if (memory_check(host, length, flags))
		return -EINVAL;
	return add_at(p, pa, length, &what, out);
}

int phys_add_io(struct phys *p, uint64_t pa, uint64_t length,
		const struct phys_io_ops *ops, void *ctx,
		struct phys_range **out)
{
	const struct phys_range what = {
		.io = { .ops = ops, .ctx = ctx },
		.flags = (ops->read ? PHYS_READ : 0) |
			 (ops->write ? PHYS_WRITE : 0),
	};

	return add_at(p, pa, length, &what, out);
}

void phys_range_is_memory(struct phys_range *range, uint64_t space, uint64_t va)
{
	struct phys *p = range->phys;

	pthread_mutex_lock(&p->lock);
	enter_memory(p, range, space, va);
	pthread_mutex_unlock(&p->lock);
}

void phys_remove(struct phys_range *range)
{
	struct phys *p = range->phys;

	pthread_mutex_lock(&p->lock);
	skip_remove(p, range);
	if (range->in_memory)
		itree_remove(&p->by_memory, &range->memory);
	range->in_memory = false;
	/* Last: who sees the new generation does not find the range again. */
	__atomic_fetch_add(&p->access.generation, 1, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&p->count, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&p->lock);
}

void phys_release(struct phys_range *range)
{
	struct phys *p = range->phys;

	pthread_mutex_lock(&p->lock);
	give_space(p, range);
	pthread_mutex_unlock(&p->lock);
	phys_lost_free(range);
	free(range);
}

static void release_deferred(struct grace_head *head)
{
	phys_release(container_of(head, struct phys_range, grace));
}

void phys_release_later(struct phys_range *range, struct grace *g)
{
	grace_defer(g, &range->grace, release_deferred);
}

uint64_t phys_range_pa(const struct phys_range *range)
{
	return range->first;
}

uint64_t phys_range_length(const struct phys_range *range)
{
	return range->last - range->first + 1;
}

void *phys_range_host(const struct phys_range *range)
{
	return range->host;
}

struct phys_range **phys_range_link(struct phys_range *range)
{
	return &range->link;
}

uint64_t phys_count(const struct phys *p)
{
	return __atomic_load_n(&p->count, __ATOMIC_RELAXED);
}

unsigned int phys_oas_bits(const struct phys *p)
{
	return p->oas_bits;
}
