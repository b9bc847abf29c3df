// SPDX-License-Identifier: MIT
/*
 * The areas of an IOAS in order, each carrying the free space in front of it
 * as its weight, and the choice of a free IOVA by Linux's rules.
 */
#include <errno.h>

#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

/* Linux with transparent huge pages: alignment of VAs is kept up to 2 MiB. */
#define CHOOSE_ALIGN_MAX (2ULL << 20)

static void weigh(struct itree_node *node)
{
	struct itree_node *before = itree_pred(node);

	itree_set_weight(node,
			 before ? node->first - before->last - 1 : node->first);
}

void ioas_area_insert(struct core_ioas *ioas, struct core_area *area)
{
	struct itree_node *after;

	itree_insert(&ioas->areas, &area->node);
	weigh(&area->node);
	after = itree_succ(&area->node);
	if (after)
		weigh(after);
	else
		ioas->last_area = &area->node;
}

void ioas_area_remove(struct core_ioas *ioas, struct core_area *area)
{
	struct itree_node *after = itree_succ(&area->node);

	if (!after)
		ioas->last_area = itree_pred(&area->node);
	itree_remove(&ioas->areas, &area->node);
	if (after)
		weigh(after);
}

struct choice {
	uint64_t length;
	uint64_t align;
	uint64_t page_offset;
};

/* The first suitable start at or above @from that ends by @last */
static bool align_start(const struct choice *c, uint64_t from, uint64_t last,
			uint64_t *start)
{
	uint64_t up;

	if (!add_u64(from, c->align - 1, &up))
		return false;
	up &= ~(c->align - 1);
	up |= c->page_offset;
	if (up >= last || last - up < c->length - 1)
		return false;
	*start = up;
	return true;
}

/* Where the next gap behind @area that is long enough begins */
static bool next_gap(const struct core_ioas *ioas, struct itree_node *area,
		     uint64_t length, uint64_t *from)
{
	struct itree_node *next;

	if (ioas->last_area->last == UINT64_MAX)
		return false;
	next = itree_next_weight(&ioas->areas, area->last + 1, length);
	*from = next ? next->first - next->weight : ioas->last_area->last + 1;
	return true;
}

/* Lowest free start in [@first, @last] */
static bool choose_in(const struct core_ioas *ioas, const struct choice *c,
		      uint64_t first, uint64_t last, uint64_t *iova)
{
	uint64_t from = first;
	uint64_t start;

	while (align_start(c, from, last, &start)) {
		uint64_t end = start + c->length - 1;
		struct itree_node *hit =
			itree_first(&ioas->reserved, start, end);

		if (hit) {
			if (hit->last == UINT64_MAX)
				return false;
			from = hit->last + 1;
			continue;
		}
		hit = itree_first(&ioas->areas, start, end);
		if (!hit) {
			*iova = start;
			return true;
		}
		if (!next_gap(ioas, hit, c->length, &from))
			return false;
	}
	return false;
}

static uint64_t round_up_pow2(uint64_t v)
{
	return is_pow2(v) ? v : 2ULL << ilog2_u64(v);
}

int ioas_choose_iova(struct core_ioas *ioas, uint64_t addr, uint64_t length,
		     uint64_t *iova)
{
	struct choice c = {
		.length = length,
		.page_offset = addr % CORE_PAGE_SIZE,
	};
	struct itree_node *allowed;

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	c.align = round_up_pow2(length);
	if (addr && (addr & -addr) < c.align)
		c.align = addr & -addr;
	if (c.align > CHOOSE_ALIGN_MAX)
		c.align = CHOOSE_ALIGN_MAX;
	if (c.align < ioas->alignment)
		return -EINVAL;

	/* Neither the first nor the last page, even if they are free */
	if (itree_empty(&ioas->allowed))
		return choose_in(ioas, &c, CORE_PAGE_SIZE,
				 UINT64_MAX - CORE_PAGE_SIZE, iova)
			       ? 0
			       : -ENOSPC;
	allowed = itree_first(&ioas->allowed, CORE_PAGE_SIZE,
			      UINT64_MAX - CORE_PAGE_SIZE);
	for (; allowed; allowed = itree_next(allowed, CORE_PAGE_SIZE,
					     UINT64_MAX - CORE_PAGE_SIZE)) {
		uint64_t first = allowed->first;
		uint64_t last = allowed->last;

		if (first < CORE_PAGE_SIZE)
			first = CORE_PAGE_SIZE;
		if (last > UINT64_MAX - CORE_PAGE_SIZE)
			last = UINT64_MAX - CORE_PAGE_SIZE;
		if (choose_in(ioas, &c, first, last, iova))
			return 0;
	}
	return -ENOSPC;
}
