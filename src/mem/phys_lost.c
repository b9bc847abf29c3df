// SPDX-License-Identifier: MIT
/*
 * Memory that is taken away while it has physical addresses. A range that has
 * lost a part gets a bit for each of its pages; most never do.
 *
 * The bits come from mmap(2): who unmaps memory may be an allocator.
 */
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/reader.h"
#include "mem/phys_priv.h"

#define PAGE_LG2   12
#define LOOK_PAGES 512u /* a span ends there at the latest, on either side */

uint64_t phys_all_lost[1];

static uint64_t first_page(const struct phys_range *r)
{
	return r->memory.first >> PAGE_LG2;
}

static uint64_t nr_pages(const struct phys_range *r)
{
	return (r->memory.last >> PAGE_LG2) - first_page(r) + 1;
}

static size_t bits_bytes(const struct phys_range *r)
{
	return (size_t)((nr_pages(r) + 63) / 64 * sizeof(uint64_t));
}

void phys_lost_free(struct phys_range *r)
{
	if (r->lost && r->lost != phys_all_lost)
		munmap(r->lost, bits_bytes(r));
	r->lost = NULL;
}

/* With the lock held. Without memory for the bits all of it is lost. */
static uint64_t *get_bits(struct phys_range *r)
{
	void *bits;

	if (r->lost)
		return r->lost;
	bits = alloc_fault_point()
		       ? MAP_FAILED
		       : mmap(NULL, bits_bytes(r), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reader_publish(&r->lost,
		       bits == MAP_FAILED ? phys_all_lost : (uint64_t *)bits);
	return r->lost;
}

/* The pages of @r within [first, last], by their bits */
struct pages {
	uint64_t first;
	uint64_t last;
};

static struct pages pages_within(const struct phys_range *r, uint64_t first,
				 uint64_t last)
{
	if (first < r->memory.first)
		first = r->memory.first;
	if (last > r->memory.last)
		last = r->memory.last;
	return (struct pages){ (first >> PAGE_LG2) - first_page(r),
			       (last >> PAGE_LG2) - first_page(r) };
}

/* The bits of word @i within @pages */
static uint64_t word_mask(struct pages pages, uint64_t i)
{
	uint64_t mask = ~0ULL;

	if (i == pages.first / 64)
		mask &= ~0ULL << pages.first % 64;
	if (i == pages.last / 64)
		mask &= ~0ULL >> (63 - pages.last % 64);
	return mask;
}

static unsigned int lose_part(struct phys_range *r, struct pages pages)
{
	uint64_t *bits = get_bits(r);
	unsigned int lost = PHYS_LOST;

	if (bits == phys_all_lost)
		return PHYS_LOST | PHYS_LOST_BEFORE;
	for (uint64_t i = pages.first / 64; i <= pages.last / 64; i++) {
		uint64_t mask = word_mask(pages, i);

		if (__atomic_fetch_or(&bits[i], mask, __ATOMIC_RELAXED) & mask)
			lost |= PHYS_LOST_BEFORE;
	}
	return lost;
}

unsigned int phys_lose(struct phys *p, uint64_t space, uint64_t va,
		       uint64_t length)
{
	unsigned int lost = 0;
	struct itree_node *node;
	uint64_t last;

	if (range_last(va, length, &last))
		return 0;
	pthread_mutex_lock(&p->lock);
	node = itree_first(&p->by_memory, va, last);
	for (; node; node = itree_next(node, va, last)) {
		struct phys_range *r =
			container_of(node, struct phys_range, memory);

		if (r->space == space)
			lost |= lose_part(r, pages_within(r, va, last));
	}
	/* Last: who sees the new generation finds the bits. */
	if (lost)
		__atomic_fetch_add(&p->access.generation, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&p->lock);
	return lost;
}

void phys_regain(struct phys *p, uint64_t space, uint64_t va, uint64_t length)
{
	struct itree_node *node;
	uint64_t last;

	if (range_last(va, length, &last))
		return;
	pthread_mutex_lock(&p->lock);
	node = itree_first(&p->by_memory, va, last);
	for (; node; node = itree_next(node, va, last)) {
		struct phys_range *r =
			container_of(node, struct phys_range, memory);
		struct pages pages = pages_within(r, va, last);

		if (r->space != space || !r->lost || r->lost == phys_all_lost)
			continue;
		for (uint64_t i = pages.first / 64; i <= pages.last / 64; i++)
			__atomic_fetch_and(&r->lost[i], ~word_mask(pages, i),
					   __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&p->lock);
}

static bool is_lost(const uint64_t *bits, uint64_t page)
{
	return __atomic_load_n(&bits[page / 64], __ATOMIC_RELAXED) >>
		       page % 64 &
	       1;
}

bool phys_is_there(const struct phys_range *r, uint64_t pa, uint64_t *first,
		   uint64_t *last)
{
	const uint64_t *bits = reader_load(&r->lost);
	uint64_t page, low, high, end;

	*first = r->first;
	*last = r->last;
	if (__builtin_expect(!bits, 1))
		return true;
	page = (r->memory.first + (pa - r->first)) >> PAGE_LG2;
	page -= first_page(r);
	if (bits == phys_all_lost || is_lost(bits, page))
		return false;
	end = nr_pages(r) - 1;
	low = page;
	high = page;
	while (low && page - low < LOOK_PAGES && !is_lost(bits, low - 1))
		low--;
	while (high < end && high - page < LOOK_PAGES &&
	       !is_lost(bits, high + 1))
		high++;
	/* The first and the last page may be cut by the range's own ends. */
	if (low)
		*first += ((first_page(r) + low) << PAGE_LG2) - r->memory.first;
	if (high < end)
		*last -= r->memory.last -
			 (((first_page(r) + high + 1) << PAGE_LG2) - 1);
	return true;
}
