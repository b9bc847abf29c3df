// SPDX-License-Identifier: MIT
/*
 * Beside each table in hardware's memory stands a struct pt_table with the
 * builder's own view: children, and how many entries are in use. A mapping is
 * made in three passes: count the tables that are missing, allocate them all,
 * fill. Only the last one touches what hardware sees, and it cannot fail.
 */
#include "pt/tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/le.h"

struct pt_table {
	struct pt_table_mem mem;
	struct pt_table *next;	  /* in a gather or a reserve */
	uint32_t used;		  /* entries that are valid */
	struct pt_table *child[]; /* not at height 0 */
};

struct pt {
	struct pt_format fmt;
	const struct pt_mem_ops *ops;
	void *ctx;
	unsigned int index_bits; /* of one table */
	size_t tables;
	struct pt_table *root;
};

/* Tables allocated for one map(): [0] with children, [1] of height 0 */
struct reserve {
	size_t need[2];
	struct pt_table *have[2];
};

/* One mapping: its last byte included, and what output belongs to an input. */
struct mapping {
	uint64_t first;
	uint64_t last;
	uint64_t delta; /* pa - iova, modulo 2^64 */
	uint64_t leaf;	/* attributes of its leaves */
};

static unsigned int shift_of(const struct pt *pt, unsigned int height)
{
	return pt->fmt.granule_lg2 + height * pt->index_bits;
}

static unsigned int entries_of(const struct pt *pt, unsigned int height)
{
	if (height == pt->fmt.top)
		return 1u << (pt->fmt.ias - shift_of(pt, height));
	return 1u << pt->index_bits;
}

static unsigned int index_of(const struct pt *pt, unsigned int height,
			     uint64_t iova)
{
	return (iova >> shift_of(pt, height)) & (entries_of(pt, height) - 1);
}

static uint64_t *slot(const struct pt_table *table, unsigned int index)
{
	return &((uint64_t *)table->mem.host)[index];
}

/*
 * Release: whoever of the walkers sees this entry also sees the table it
 * points to filled. Its partner is the load of the walk.
 */
static void slot_set(struct pt_table *table, unsigned int index, uint64_t entry)
{
	__atomic_store_n(slot(table, index), htole64(entry), __ATOMIC_RELEASE);
}

static uint64_t slot_get(const struct pt_table *table, unsigned int index)
{
	return le64toh(__atomic_load_n(slot(table, index), __ATOMIC_RELAXED));
}

static bool is_valid(const struct pt *pt, uint64_t entry)
{
	return entry & pt->fmt.valid;
}

static struct pt_table *child_of(const struct pt_table *table,
				 unsigned int height, unsigned int index)
{
	return height == 0 ? NULL : table->child[index];
}

static struct pt_table *table_alloc(struct pt *pt, unsigned int height)
{
	size_t bytes = BIT_ULL(pt->fmt.granule_lg2);
	size_t entries = entries_of(pt, height);
	struct pt_table *table;

	if (entries * 8 > bytes)
		bytes = entries * 8;
	if (height == 0)
		entries = 0;
	table = alloc_zero(sizeof(*table) + entries * sizeof(table->child[0]));
	if (!table)
		return NULL;
	if (pt->ops->alloc(pt->ctx, bytes, &table->mem)) {
		free(table);
		return NULL;
	}
	pt->tables++;
	return table;
}

static void table_free(struct pt *pt, struct pt_table *table)
{
	pt->ops->free(pt->ctx, &table->mem);
	free(table);
	pt->tables--;
}

static void list_free(struct pt *pt, struct pt_table *list)
{
	while (list) {
		struct pt_table *next = list->next;

		table_free(pt, list);
		list = next;
	}
}

/* Puts @table and all below it on @list. Depth is bounded by the levels. */
static void list_subtree(const struct pt *pt, struct pt_table *table,
			 unsigned int height, struct pt_table **list)
{
	if (height) {
		for (unsigned int i = 0; i < entries_of(pt, height); i++) {
			if (table->child[i])
				list_subtree(pt, table->child[i], height - 1,
					     list);
		}
	}
	table->next = *list;
	*list = table;
}

/* @fmt is copied; what it says was checked by who made it. */
int pt_create(const struct pt_format *fmt, const struct pt_mem_ops *mem,
	      void *mem_ctx, struct pt **out)
{
	struct pt *pt = alloc_zero(sizeof(*pt));

	if (!pt)
		return -ENOMEM;
	pt->fmt = *fmt;
	pt->ops = mem;
	pt->ctx = mem_ctx;
	pt->index_bits = fmt->granule_lg2 - 3;
	pt->root = table_alloc(pt, fmt->top);
	if (!pt->root) {
		free(pt);
		return -ENOMEM;
	}
	*out = pt;
	return 0;
}

void pt_destroy(struct pt *pt)
{
	struct pt_table *list = NULL;

	list_subtree(pt, pt->root, pt->fmt.top, &list);
	list_free(pt, list);
	free(pt);
}

uint64_t pt_root(const struct pt *pt)
{
	return pt->root->mem.pa;
}

const struct pt_format *pt_format(const struct pt *pt)
{
	return &pt->fmt;
}

size_t pt_tables(const struct pt *pt)
{
	return pt->tables;
}

/* The part of @m inside the entry of @height that contains @iova */
struct part {
	uint64_t first;
	uint64_t last;
	bool leaf; /* one entry of this height can map it */
};

static struct part part_at(const struct pt *pt, const struct mapping *m,
			   unsigned int height, uint64_t iova)
{
	uint64_t low = low_mask(shift_of(pt, height));
	struct part p = { .first = iova, .last = iova | low };

	if (p.last > m->last)
		p.last = m->last;
	p.leaf = height <= pt->fmt.leaf_top && !(p.first & low) &&
		 (p.last & low) == low && !((p.first + m->delta) & low);
	return p;
}

/* ---- map ---- */

/*
 * Counts the tables missing for [first, last] in @table, which is NULL where
 * it is missing itself (and has been counted).
 */
static int count_missing(const struct pt *pt, const struct mapping *m,
			 const struct pt_table *table, unsigned int height,
			 uint64_t first, uint64_t last, struct reserve *r)
{
	struct part p;
	int rc;

	if (!table && height == 0)
		return 0;
	for (uint64_t iova = first; iova <= last; iova = p.last + 1) {
		unsigned int i = index_of(pt, height, iova);
		struct pt_table *child =
			table ? child_of(table, height, i) : NULL;
		bool used = table && is_valid(pt, slot_get(table, i));

		p = part_at(pt, m, height, iova);
		if (p.last > last)
			p.last = last;
		if (used && (p.leaf || !child))
			return -EEXIST;
		if (p.leaf)
			continue;
		if (!child)
			r->need[height == 1]++;
		rc = count_missing(pt, m, child, height - 1, p.first, p.last,
				   r);
		if (rc)
			return rc;
	}
	return 0;
}

static void reserve_free(struct pt *pt, struct reserve *r)
{
	list_free(pt, r->have[0]);
	list_free(pt, r->have[1]);
}

static int reserve_fill(struct pt *pt, struct reserve *r)
{
	for (unsigned int last = 0; last < 2; last++) {
		for (size_t i = 0; i < r->need[last]; i++) {
			struct pt_table *table;

			/* 1 stands for all that lie below the top */
			table = table_alloc(pt, 1 - last);
			if (!table)
				return -ENOMEM;
			table->next = r->have[last];
			r->have[last] = table;
		}
	}
	return 0;
}

static struct pt_table *reserve_take(struct reserve *r, unsigned int height)
{
	struct pt_table **list = &r->have[height == 0];
	struct pt_table *table = *list;

	*list = table->next;
	table->next = NULL;
	return table;
}

static uint64_t leaf_entry(const struct pt *pt, const struct mapping *m,
			   unsigned int height, uint64_t iova)
{
	return ((iova + m->delta) & pt->fmt.addr) | m->leaf |
	       (height ? pt->fmt.block : pt->fmt.page);
}

/* Cannot fail: count_missing() found the slots free and the tables wanted. */
static void fill(struct pt *pt, const struct mapping *m, struct pt_table *table,
		 unsigned int height, uint64_t first, uint64_t last,
		 struct reserve *r)
{
	struct part p;

	for (uint64_t iova = first; iova <= last; iova = p.last + 1) {
		unsigned int i = index_of(pt, height, iova);
		struct pt_table *child = child_of(table, height, i);
		bool fresh = !child;

		p = part_at(pt, m, height, iova);
		if (p.leaf) {
			slot_set(table, i, leaf_entry(pt, m, height, iova));
			table->used++;
			continue;
		}
		if (fresh)
			child = reserve_take(r, height - 1);
		fill(pt, m, child, height - 1, p.first, p.last, r);
		if (fresh) {
			table->child[i] = child;
			table->used++;
			slot_set(table, i, child->mem.pa | pt->fmt.table);
		}
	}
}

/* Alignment and size of a request; *last is its last input address. */
static int check_range(const struct pt *pt, uint64_t iova, uint64_t length,
		       uint64_t *last)
{
	if (((iova | length) & low_mask(pt->fmt.granule_lg2)) || !length)
		return -EINVAL;
	if (range_last(iova, length, last) || *last > low_mask(pt->fmt.ias))
		return -ERANGE;
	return 0;
}

int pt_map(struct pt *pt, uint64_t iova, uint64_t pa, uint64_t length,
	   unsigned int prot)
{
	struct reserve r = { { 0, 0 }, { NULL, NULL } };
	struct mapping m = { .first = iova, .delta = pa - iova };
	uint64_t pa_last;
	int rc;

	rc = check_range(pt, iova, length, &m.last);
	if (rc)
		return rc;
	if ((pa & low_mask(pt->fmt.granule_lg2)) ||
	    !(prot & (PT_PROT_READ | PT_PROT_WRITE)))
		return -EINVAL;
	if (range_last(pa, length, &pa_last) || pa_last > low_mask(pt->fmt.oas))
		return -ERANGE;
	m.leaf = pt->fmt.ops->attrs(&pt->fmt, prot);

	rc = count_missing(pt, &m, pt->root, pt->fmt.top, m.first, m.last, &r);
	if (rc)
		return rc;
	rc = reserve_fill(pt, &r);
	if (rc)
		reserve_free(pt, &r);
	else
		fill(pt, &m, pt->root, pt->fmt.top, m.first, m.last, &r);
	return rc;
}

/* ---- unmap ---- */

/* The height and entry at which a walk of @iova ends, valid or not */
static uint64_t walk(const struct pt *pt, uint64_t iova, unsigned int *height)
{
	const struct pt_table *table = pt->root;
	const struct pt_table *next;
	unsigned int i;

	for (*height = pt->fmt.top;; (*height)--) {
		i = index_of(pt, *height, iova);
		next = child_of(table, *height, i);
		if (!next)
			return slot_get(table, i);
		table = next;
	}
}

static bool leaf_is_inside(const struct pt *pt, uint64_t iova, uint64_t first,
			   uint64_t last)
{
	unsigned int height;
	uint64_t low;

	if (!is_valid(pt, walk(pt, iova, &height)))
		return true;
	low = low_mask(shift_of(pt, height));
	return (iova & ~low) >= first && (iova | low) <= last;
}

static void clear(struct pt *pt, struct pt_table *table, unsigned int height,
		  uint64_t first, uint64_t last, struct pt_gather *gather)
{
	uint64_t low = low_mask(shift_of(pt, height));
	uint64_t end;

	for (uint64_t iova = first; iova <= last; iova = end + 1) {
		unsigned int i = index_of(pt, height, iova);
		struct pt_table *child = child_of(table, height, i);

		end = iova | low;
		if (end > last)
			end = last;
		if (!is_valid(pt, slot_get(table, i)))
			continue;
		if (child && ((iova & low) || (end & low) != low)) {
			clear(pt, child, height - 1, iova, end, gather);
			if (child->used)
				continue;
		}
		slot_set(table, i, 0);
		table->used--;
		if (child) {
			table->child[i] = NULL;
			list_subtree(pt, child, height - 1, &gather->tables);
		}
	}
}

int pt_unmap(struct pt *pt, uint64_t iova, uint64_t length,
	     struct pt_gather *gather)
{
	uint64_t last;

	if (check_range(pt, iova, length, &last))
		return -EINVAL;
	if (!leaf_is_inside(pt, iova, iova, last) ||
	    !leaf_is_inside(pt, last, iova, last))
		return -EINVAL;
	clear(pt, pt->root, pt->fmt.top, iova, last, gather);
	return 0;
}

void pt_gather_free(struct pt *pt, struct pt_gather *gather)
{
	list_free(pt, gather->tables);
	gather->tables = NULL;
}

bool pt_translate(const struct pt *pt, uint64_t iova, uint64_t *pa,
		  unsigned int *prot, unsigned int *size_lg2)
{
	unsigned int height;
	uint64_t entry;
	uint64_t low;

	if (iova > low_mask(pt->fmt.ias))
		return false;
	entry = walk(pt, iova, &height);
	if (!is_valid(pt, entry))
		return false;
	low = low_mask(shift_of(pt, height));
	*pa = (entry & pt->fmt.addr & ~low) | (iova & low);
	if (prot)
		*prot = pt->fmt.ops->prot(&pt->fmt, entry);
	if (size_lg2)
		*size_lg2 = shift_of(pt, height);
	return true;
}

/* The entry that maps @iova, to change its bits; NULL where there is none */
static uint64_t *leaf_slot(const struct pt *pt, uint64_t iova,
			   unsigned int *height)
{
	struct pt_table *table = pt->root;
	struct pt_table *next;
	unsigned int i;

	for (*height = pt->fmt.top;; (*height)--) {
		i = index_of(pt, *height, iova);
		next = child_of(table, *height, i);
		if (!next)
			break;
		table = next;
	}
	return is_valid(pt, slot_get(table, i)) ? slot(table, i) : NULL;
}

/*
 * Hardware sets the bit whenever it likes, so it is cleared atomically; a
 * write that is under way then sets it again, or was seen.
 */
void pt_read_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear,
		   void (*fn)(void *ctx, uint64_t iova, uint64_t length),
		   void *ctx)
{
	uint64_t end;

	for (uint64_t at = iova; at <= last; at = end + 1) {
		unsigned int height;
		uint64_t *leaf = leaf_slot(pt, at, &height);
		uint64_t low = low_mask(shift_of(pt, height));
		uint64_t bit = htole64(pt->fmt.dirty);

		end = at | low;
		if (end > last)
			end = last;
		if (!leaf || !(__atomic_load_n(leaf, __ATOMIC_ACQUIRE) & bit))
			continue;
		if (clear)
			__atomic_fetch_and(leaf, ~bit, __ATOMIC_ACQ_REL);
		fn(ctx, at, end - at + 1);
	}
}
