// SPDX-License-Identifier: MIT
/*
 * Builder of VMSAv8-64 tables. Beside each table in hardware's memory stands a
 * struct armv8_table with the builder's own view: children, and how many
 * descriptors are in use. A mapping is made in three passes: count the tables
 * that are missing, allocate them all, fill. Only the last one touches what
 * hardware sees, and it cannot fail.
 */
#include "pt/armv8.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/le.h"
#include "hwdef/armv8_pt.h"

#define LAST_LEVEL    3
#define MAX_CONCAT    16 /* stage-2 start tables side by side, D8.2.2 */
#define SH_OUTER      2
#define S2_MEM_DEVICE 1 /* Device-nGnRE */

struct armv8_table {
	struct armv8_table_mem mem;
	struct armv8_table *next;    /* in a gather or a reserve */
	uint32_t used;		     /* descriptors that are valid */
	struct armv8_table *child[]; /* not at the last level */
};

struct armv8_pt {
	struct armv8_pt_config cfg;
	const struct armv8_mem_ops *ops;
	void *ctx;
	unsigned int index_bits; /* of one table */
	unsigned int start_level;
	unsigned int block_level; /* lowest number with block descriptors */
	size_t tables;
	struct armv8_table *root;
};

/* Tables allocated for one map(): [0] with children, [1] of the last level */
struct reserve {
	size_t need[2];
	struct armv8_table *have[2];
};

/* One mapping: its last byte included, and what output belongs to an input. */
struct mapping {
	uint64_t first;
	uint64_t last;
	uint64_t delta; /* pa - iova, modulo 2^64 */
	uint64_t leaf;	/* attributes of its leaves */
};

uint64_t armv8_page_sizes(unsigned int granule_lg2)
{
	switch (granule_lg2) {
	case 12:
		return BIT_ULL(12) | BIT_ULL(21) | BIT_ULL(30);
	case 14:
		return BIT_ULL(14) | BIT_ULL(25);
	case 16:
		return BIT_ULL(16) | BIT_ULL(29);
	}
	return 0;
}

static unsigned int level_shift(const struct armv8_pt *pt, unsigned int level)
{
	return pt->cfg.granule_lg2 + (LAST_LEVEL - level) * pt->index_bits;
}

static unsigned int level_entries(const struct armv8_pt *pt, unsigned int level)
{
	if (level == pt->start_level)
		return 1u << (pt->cfg.ias - level_shift(pt, level));
	return 1u << pt->index_bits;
}

static unsigned int index_of(const struct armv8_pt *pt, unsigned int level,
			     uint64_t iova)
{
	return (iova >> level_shift(pt, level)) &
	       (level_entries(pt, level) - 1);
}

static uint64_t *slot(const struct armv8_table *table, unsigned int index)
{
	return &((uint64_t *)table->mem.host)[index];
}

/*
 * Release: whoever of the walkers sees this descriptor also sees the table it
 * points to filled. Its partner is the load of the walk.
 */
static void slot_set(struct armv8_table *table, unsigned int index,
		     uint64_t desc)
{
	__atomic_store_n(slot(table, index), htole64(desc), __ATOMIC_RELEASE);
}

static uint64_t slot_get(const struct armv8_table *table, unsigned int index)
{
	return le64toh(__atomic_load_n(slot(table, index), __ATOMIC_RELAXED));
}

static bool is_valid(uint64_t desc)
{
	return desc & ARMV8_PTE_VALID;
}

static struct armv8_table *child_of(const struct armv8_table *table,
				    unsigned int level, unsigned int index)
{
	return level == LAST_LEVEL ? NULL : table->child[index];
}

static struct armv8_table *table_alloc(struct armv8_pt *pt, unsigned int level)
{
	size_t bytes = BIT_ULL(pt->cfg.granule_lg2);
	size_t entries = level_entries(pt, level);
	struct armv8_table *table;

	if (entries * 8 > bytes)
		bytes = entries * 8;
	if (level == LAST_LEVEL)
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

static void table_free(struct armv8_pt *pt, struct armv8_table *table)
{
	pt->ops->free(pt->ctx, &table->mem);
	free(table);
	pt->tables--;
}

static void list_free(struct armv8_pt *pt, struct armv8_table *list)
{
	while (list) {
		struct armv8_table *next = list->next;

		table_free(pt, list);
		list = next;
	}
}

/* Puts @table and all below it on @list. Depth is bounded by the levels. */
static void list_subtree(const struct armv8_pt *pt, struct armv8_table *table,
			 unsigned int level, struct armv8_table **list)
{
	if (level < LAST_LEVEL) {
		for (unsigned int i = 0; i < level_entries(pt, level); i++) {
			if (table->child[i])
				list_subtree(pt, table->child[i], level + 1,
					     list);
		}
	}
	table->next = *list;
	*list = table;
}

/* ---- creation ---- */

static bool config_is_valid(const struct armv8_pt_config *cfg)
{
	return (cfg->stage == 1 || cfg->stage == 2) &&
	       armv8_page_sizes(cfg->granule_lg2) && cfg->ias >= 32 &&
	       cfg->ias <= 48 && cfg->oas >= 32 && cfg->oas <= 48 &&
	       cfg->attr_normal < 8 && cfg->attr_device < 8;
}

/*
 * D8.2: the level whose one table resolves the top of the input address; for
 * stage 2 up to 16 tables of the next level side by side replace it.
 */
static unsigned int start_level(const struct armv8_pt_config *cfg,
				unsigned int index_bits)
{
	unsigned int levels =
		(cfg->ias - cfg->granule_lg2 + index_bits - 1) / index_bits;
	unsigned int level = LAST_LEVEL + 1 - levels;
	unsigned int top =
		cfg->ias - cfg->granule_lg2 - (LAST_LEVEL - level) * index_bits;

	if (cfg->stage == 2 && level < LAST_LEVEL && (1u << top) <= MAX_CONCAT)
		return level + 1;
	return level;
}

int armv8_pt_create(const struct armv8_pt_config *config,
		    const struct armv8_mem_ops *mem, void *mem_ctx,
		    struct armv8_pt **out)
{
	struct armv8_pt *pt;

	if (!config_is_valid(config))
		return -EINVAL;
	pt = alloc_zero(sizeof(*pt));
	if (!pt)
		return -ENOMEM;
	pt->cfg = *config;
	pt->ops = mem;
	pt->ctx = mem_ctx;
	pt->index_bits = config->granule_lg2 - 3;
	pt->start_level = start_level(config, pt->index_bits);
	pt->block_level = config->granule_lg2 == 12 ? 1 : 2;
	pt->root = table_alloc(pt, pt->start_level);
	if (!pt->root) {
		free(pt);
		return -ENOMEM;
	}
	*out = pt;
	return 0;
}

void armv8_pt_destroy(struct armv8_pt *pt)
{
	struct armv8_table *list = NULL;

	list_subtree(pt, pt->root, pt->start_level, &list);
	list_free(pt, list);
	free(pt);
}

void armv8_pt_root(const struct armv8_pt *pt, struct armv8_pt_root *root)
{
	root->ttb = pt->root->mem.pa;
	root->t0sz = 64 - pt->cfg.ias;
	root->start_level = pt->start_level;
	root->sl0 = (pt->cfg.granule_lg2 == 12 ? 2 : 3) - pt->start_level;
}

size_t armv8_pt_tables(const struct armv8_pt *pt)
{
	return pt->tables;
}

/* ---- leaves ---- */

static uint64_t stage1_attrs(const struct armv8_pt *pt, unsigned int prot)
{
	bool device = prot & ARMV8_PROT_DEVICE;
	uint64_t desc = ARMV8_PTE_AF | ARMV8_S1_NG | ARMV8_S1_AP_EL0;

	if (!(prot & ARMV8_PROT_WRITE))
		desc |= ARMV8_S1_AP_RO;
	desc |= field_prep(ARMV8_S1_ATTRINDX,
			   device ? pt->cfg.attr_device : pt->cfg.attr_normal);
	return desc |
	       field_prep(ARMV8_PTE_SH, device ? SH_OUTER : ARMV8_SH_INNER);
}

static uint64_t stage2_attrs(unsigned int prot)
{
	bool device = prot & ARMV8_PROT_DEVICE;
	uint64_t desc = ARMV8_PTE_AF;

	if (prot & ARMV8_PROT_READ)
		desc |= ARMV8_S2_AP_R;
	if (prot & ARMV8_PROT_WRITE)
		desc |= ARMV8_S2_AP_W;
	desc |= field_prep(ARMV8_S2_MEMATTR,
			   device ? S2_MEM_DEVICE : ARMV8_S2_MEM_WB);
	return desc |
	       field_prep(ARMV8_PTE_SH, device ? SH_OUTER : ARMV8_SH_INNER);
}

static unsigned int leaf_prot(const struct armv8_pt *pt, uint64_t desc)
{
	unsigned int prot = 0;

	if (pt->cfg.stage == 1) {
		prot |= ARMV8_PROT_READ;
		if (!(desc & ARMV8_S1_AP_RO))
			prot |= ARMV8_PROT_WRITE;
		if (field_get(ARMV8_S1_ATTRINDX, desc) == pt->cfg.attr_device)
			prot |= ARMV8_PROT_DEVICE;
		return prot;
	}
	if (desc & ARMV8_S2_AP_R)
		prot |= ARMV8_PROT_READ;
	if (desc & ARMV8_S2_AP_W)
		prot |= ARMV8_PROT_WRITE;
	if (field_get(ARMV8_S2_MEMATTR, desc) == S2_MEM_DEVICE)
		prot |= ARMV8_PROT_DEVICE;
	return prot;
}

/* The part of @m inside the entry of @level that contains @iova */
struct part {
	uint64_t first;
	uint64_t last;
	bool leaf; /* one descriptor of this level can map it */
};

static struct part part_at(const struct armv8_pt *pt, const struct mapping *m,
			   unsigned int level, uint64_t iova)
{
	uint64_t low = low_mask(level_shift(pt, level));
	struct part p = { .first = iova, .last = iova | low };

	if (p.last > m->last)
		p.last = m->last;
	p.leaf = level >= pt->block_level && !(p.first & low) &&
		 (p.last & low) == low && !((p.first + m->delta) & low);
	return p;
}

/* ---- map ---- */

/*
 * Counts the tables missing for [first, last] in @table, which is NULL where
 * it is missing itself (and has been counted).
 */
static int count_missing(const struct armv8_pt *pt, const struct mapping *m,
			 const struct armv8_table *table, unsigned int level,
			 uint64_t first, uint64_t last, struct reserve *r)
{
	struct part p;
	int rc;

	if (!table && level == LAST_LEVEL)
		return 0;
	for (uint64_t iova = first; iova <= last; iova = p.last + 1) {
		unsigned int i = index_of(pt, level, iova);
		struct armv8_table *child =
			table ? child_of(table, level, i) : NULL;
		bool used = table && is_valid(slot_get(table, i));

		p = part_at(pt, m, level, iova);
		if (p.last > last)
			p.last = last;
		if (used && (p.leaf || !child))
			return -EEXIST;
		if (p.leaf)
			continue;
		if (!child)
			r->need[level + 1 == LAST_LEVEL]++;
		rc = count_missing(pt, m, child, level + 1, p.first, p.last, r);
		if (rc)
			return rc;
	}
	return 0;
}

static void reserve_free(struct armv8_pt *pt, struct reserve *r)
{
	list_free(pt, r->have[0]);
	list_free(pt, r->have[1]);
}

static int reserve_fill(struct armv8_pt *pt, struct reserve *r)
{
	for (unsigned int last = 0; last < 2; last++) {
		for (size_t i = 0; i < r->need[last]; i++) {
			struct armv8_table *table;

			/* level 2 stands for all that lie below the start */
			table = table_alloc(pt, LAST_LEVEL - 1 + last);
			if (!table)
				return -ENOMEM;
			table->next = r->have[last];
			r->have[last] = table;
		}
	}
	return 0;
}

static struct armv8_table *reserve_take(struct reserve *r, unsigned int level)
{
	struct armv8_table **list = &r->have[level == LAST_LEVEL];
	struct armv8_table *table = *list;

	*list = table->next;
	table->next = NULL;
	return table;
}

static uint64_t leaf_desc(const struct mapping *m, unsigned int level,
			  uint64_t iova)
{
	return ARMV8_PTE_VALID | (level == LAST_LEVEL ? ARMV8_PTE_TABLE : 0) |
	       ((iova + m->delta) & ARMV8_PTE_ADDR) | m->leaf;
}

/* Cannot fail: count_missing() found the slots free and the tables wanted. */
static void fill(struct armv8_pt *pt, const struct mapping *m,
		 struct armv8_table *table, unsigned int level, uint64_t first,
		 uint64_t last, struct reserve *r)
{
	struct part p;

	for (uint64_t iova = first; iova <= last; iova = p.last + 1) {
		unsigned int i = index_of(pt, level, iova);
		struct armv8_table *child = child_of(table, level, i);
		bool fresh = !child;

		p = part_at(pt, m, level, iova);
		if (p.leaf) {
			slot_set(table, i, leaf_desc(m, level, iova));
			table->used++;
			continue;
		}
		if (fresh)
			child = reserve_take(r, level + 1);
		fill(pt, m, child, level + 1, p.first, p.last, r);
		if (fresh) {
			table->child[i] = child;
			table->used++;
			slot_set(table, i,
				 child->mem.pa | ARMV8_PTE_VALID |
					 ARMV8_PTE_TABLE);
		}
	}
}

/* Alignment and size of a request; *last is its last input address. */
static int check_range(const struct armv8_pt *pt, uint64_t iova,
		       uint64_t length, uint64_t *last)
{
	if (((iova | length) & low_mask(pt->cfg.granule_lg2)) || !length)
		return -EINVAL;
	if (range_last(iova, length, last) || *last > low_mask(pt->cfg.ias))
		return -ERANGE;
	return 0;
}

int armv8_pt_map(struct armv8_pt *pt, uint64_t iova, uint64_t pa,
		 uint64_t length, unsigned int prot)
{
	struct reserve r = { { 0, 0 }, { NULL, NULL } };
	struct mapping m = { .first = iova, .delta = pa - iova };
	uint64_t pa_last;
	int rc;

	rc = check_range(pt, iova, length, &m.last);
	if (rc)
		return rc;
	if ((pa & low_mask(pt->cfg.granule_lg2)) ||
	    !(prot & (ARMV8_PROT_READ | ARMV8_PROT_WRITE)))
		return -EINVAL;
	if (range_last(pa, length, &pa_last) || pa_last > low_mask(pt->cfg.oas))
		return -ERANGE;
	m.leaf = pt->cfg.stage == 1 ? stage1_attrs(pt, prot)
				    : stage2_attrs(prot);

	rc = count_missing(pt, &m, pt->root, pt->start_level, m.first, m.last,
			   &r);
	if (rc)
		return rc;
	rc = reserve_fill(pt, &r);
	if (rc)
		reserve_free(pt, &r);
	else
		fill(pt, &m, pt->root, pt->start_level, m.first, m.last, &r);
	return rc;
}

/* ---- unmap ---- */

/* The level and descriptor at which a walk of @iova ends, valid or not */
static uint64_t walk(const struct armv8_pt *pt, uint64_t iova,
		     unsigned int *level)
{
	const struct armv8_table *table = pt->root;
	const struct armv8_table *next;
	unsigned int i;

	for (*level = pt->start_level;; (*level)++) {
		i = index_of(pt, *level, iova);
		next = child_of(table, *level, i);
		if (!next)
			return slot_get(table, i);
		table = next;
	}
}

static bool leaf_is_inside(const struct armv8_pt *pt, uint64_t iova,
			   uint64_t first, uint64_t last)
{
	unsigned int level;
	uint64_t low;

	if (!is_valid(walk(pt, iova, &level)))
		return true;
	low = low_mask(level_shift(pt, level));
	return (iova & ~low) >= first && (iova | low) <= last;
}

static void clear(struct armv8_pt *pt, struct armv8_table *table,
		  unsigned int level, uint64_t first, uint64_t last,
		  struct armv8_gather *gather)
{
	uint64_t low = low_mask(level_shift(pt, level));
	uint64_t end;

	for (uint64_t iova = first; iova <= last; iova = end + 1) {
		unsigned int i = index_of(pt, level, iova);
		struct armv8_table *child = child_of(table, level, i);

		end = iova | low;
		if (end > last)
			end = last;
		if (!is_valid(slot_get(table, i)))
			continue;
		if (child && ((iova & low) || (end & low) != low)) {
			clear(pt, child, level + 1, iova, end, gather);
			if (child->used)
				continue;
		}
		slot_set(table, i, 0);
		table->used--;
		if (child) {
			table->child[i] = NULL;
			list_subtree(pt, child, level + 1, &gather->tables);
		}
	}
}

int armv8_pt_unmap(struct armv8_pt *pt, uint64_t iova, uint64_t length,
		   struct armv8_gather *gather)
{
	uint64_t last;

	if (check_range(pt, iova, length, &last))
		return -EINVAL;
	if (!leaf_is_inside(pt, iova, iova, last) ||
	    !leaf_is_inside(pt, last, iova, last))
		return -EINVAL;
	clear(pt, pt->root, pt->start_level, iova, last, gather);
	return 0;
}

void armv8_gather_free(struct armv8_pt *pt, struct armv8_gather *gather)
{
	list_free(pt, gather->tables);
	gather->tables = NULL;
}

bool armv8_pt_translate(const struct armv8_pt *pt, uint64_t iova, uint64_t *pa,
			unsigned int *prot, unsigned int *size_lg2)
{
	unsigned int level;
	uint64_t desc;
	uint64_t low;

	if (iova > low_mask(pt->cfg.ias))
		return false;
	desc = walk(pt, iova, &level);
	if (!is_valid(desc))
		return false;
	low = low_mask(level_shift(pt, level));
	*pa = (desc & ARMV8_PTE_ADDR & ~low) | (iova & low);
	if (prot)
		*prot = leaf_prot(pt, desc);
	if (size_lg2)
		*size_lg2 = level_shift(pt, level);
	return true;
}
