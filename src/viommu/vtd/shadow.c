// SPDX-License-Identifier: MIT
/*
 * Shadows: an IOAS that is kept like a guest's second-stage table, by
 * IOMMU_IOAS_COPY out of the parent's IOAS (where guest memory lies at its
 * guest physical address) and IOMMU_IOAS_UNMAP. The guest says where its table
 * has changed; in caching mode also where an entry has become present.
 *
 * One leaf of the guest's table is one mapping, never more: an IOAS gives up
 * whole mappings only, and taking away a neighbour for a moment would break DMA
 * that the guest allows. What is no leaf any more, or another one, goes first;
 * then what is new comes. A leaf that is not wholly guest memory, that touches
 * the addresses of interrupts or that the host refuses is left out.
 *
 * Bounds: VVTD_MAPS mappings in all shadows, VVTD_TABLES tables read for one
 * span of descriptors. A guest that exceeds one loses all mappings of the
 * table in question, until it invalidates that whole.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/le.h"
#include "front/vtd/tables.h"
#include "hwdef/vtd_regs.h"
#include "hwdef/vtd_tables.h"
#include "viommu/vtd/vtd.h"

#define ENTRIES	     512u
#define LEAVES_FIRST 64u
#define PAGE_LG2     12u
#define INDEX_BITS   9u

/* 3.15: writes are interrupts, which no table translates; Linux reserves it */
#define MSI_FIRST 0xfee00000u
#define MSI_LAST  0xfeefffffu

struct map {
	struct itree_node node; /* the IOVAs */
	uint64_t gpa;
	uint32_t perm; /* IOMMU_IOAS_MAP_* */
};

struct leaf {
	uint64_t first;
	uint64_t last;
	uint64_t gpa;
	uint32_t perm;
};

/* Leaves of [first, last], in order */
struct walk {
	struct vvtd *vvtd;
	uint64_t first;
	uint64_t last;
	struct leaf *leaves;
	uint32_t count;
	uint32_t room;
};

/* ---- the guest's table ---- */

static int add_leaf(struct walk *walk, const struct leaf *leaf)
{
	uint32_t room = walk->room ? walk->room * 2 : LEAVES_FIRST;
	void *grown;

	if (walk->count == VVTD_MAPS)
		return -ENOSPC;
	if (walk->count == walk->room) {
		grown = alloc_grow(walk->leaves, room, sizeof(*leaf));
		if (!grown)
			return -ENOMEM;
		walk->leaves = grown;
		walk->room = room;
	}
	walk->leaves[walk->count++] = *leaf;
	return 0;
}

static uint32_t perm_of(uint64_t rights)
{
	uint32_t perm = IOMMU_IOAS_MAP_FIXED_IOVA;

	if (rights & VTD_SS_R)
		perm |= IOMMU_IOAS_MAP_READABLE;
	if (rights & VTD_SS_W)
		perm |= IOMMU_IOAS_MAP_WRITEABLE;
	return perm;
}

static int walk_table(struct walk *walk, uint64_t table, unsigned int level,
		      uint64_t base, uint64_t rights);

/* An entry that maps [first, last], or leads to a table that does */
static int walk_entry(struct walk *walk, uint64_t entry, unsigned int level,
		      uint64_t first, uint64_t last, uint64_t rights)
{
	rights &= entry;
	if (!(rights & (VTD_SS_R | VTD_SS_W)))
		return 0;
	if (entry & vtd_ss_reserved(&walk->vvtd->id, level, entry))
		return 0; /* SSS.3, LSS.2 */
	if (vtd_ss_is_leaf(level, entry)) {
		struct leaf leaf = {
			.first = first,
			.last = last,
			.gpa = entry & VTD_SS_ADDR & ~(last - first),
			.perm = perm_of(rights),
		};

		return add_leaf(walk, &leaf);
	}
	return walk_table(walk, entry & VTD_SS_ADDR, level - 1, first, rights);
}

/* Recursion ends with the levels: five at most. */
static int walk_table(struct walk *walk, uint64_t table, unsigned int level,
		      uint64_t base, uint64_t rights)
{
	const struct nestfd_guest *guest = &walk->vvtd->base.guest;
	unsigned int shift = PAGE_LG2 + (level - 1) * INDEX_BITS;
	uint64_t last = base | low_mask(shift + INDEX_BITS);
	uint64_t from = walk->first > base ? walk->first : base;
	uint64_t to = walk->last < last ? walk->last : last;
	uint32_t start = (uint32_t)((from - base) >> shift);
	uint32_t n = (uint32_t)((to - base) >> shift) - start + 1;
	uint64_t entries[ENTRIES];
	int rc = 0;

	if (!walk->vvtd->tables)
		return -ENOSPC;
	walk->vvtd->tables--;
	if (guest->read(guest->ctx, table + start * 8ULL, entries, n * 8ULL))
		return 0; /* its translations fault */
	for (uint32_t i = 0; i < n && !rc; i++) {
		uint64_t first = base + ((uint64_t)(start + i) << shift);

		rc = walk_entry(walk, le64toh(entries[i]), level, first,
				first | low_mask(shift), rights);
	}
	return rc;
}

/* ---- the IOAS ---- */

static struct map *map_at(const struct vvtd_shadow *shadow, uint64_t first,
			  uint64_t last)
{
	struct itree_node *node = itree_first(&shadow->maps, first, last);

	return node ? container_of(node, struct map, node) : NULL;
}

static void map_free(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		     struct map *map)
{
	itree_remove(&shadow->maps, &map->node);
	vvtd->maps--;
	free(map);
}

static int unmap(struct vvtd *vvtd, const struct vvtd_shadow *shadow,
		 uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = shadow->ioas_id,
		.iova = iova,
		.length = length,
	};
	int rc = relay_call(&vvtd->base, IOMMU_IOAS_UNMAP, &arg);

	return rc == -ENOENT ? 0 : rc; /* there is nothing */
}

static int take_away(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		     struct map *map)
{
	int rc = unmap(vvtd, shadow, map->node.first,
		       map->node.last - map->node.first + 1);

	if (!rc)
		map_free(vvtd, shadow, map);
	return rc;
}

static int take_all(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	struct itree_node *node;
	int rc = unmap(vvtd, shadow, 0, UINT64_MAX);

	while (!rc && (node = itree_from(&shadow->maps, 0)))
		map_free(vvtd, shadow, container_of(node, struct map, node));
	return rc;
}

static bool is_map_of(const struct map *map, const struct leaf *leaf)
{
	return map->node.first == leaf->first && map->node.last == leaf->last &&
	       map->gpa == leaf->gpa && map->perm == leaf->perm;
}

/* A mapping there would keep all of the IOAS from being attached. */
static bool is_for_msis(const struct leaf *leaf)
{
	return leaf->first <= MSI_LAST && leaf->last >= MSI_FIRST;
}

/* -ENOSPC, -ENOMEM; what the host refuses is left out */
static int add(struct vvtd *vvtd, struct vvtd_shadow *shadow,
	       const struct leaf *leaf)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = leaf->perm,
		.dst_ioas_id = shadow->ioas_id,
		.src_ioas_id = vvtd->parent_ioas,
		.length = leaf->last - leaf->first + 1,
		.dst_iova = leaf->first,
		.src_iova = leaf->gpa,
	};
	struct map *map;

	if (is_for_msis(leaf))
		return 0;
	if (vvtd->maps == VVTD_MAPS)
		return -ENOSPC;
	map = alloc_zero(sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (relay_call(&vvtd->base, IOMMU_IOAS_COPY, &arg)) {
		free(map);
		return 0;
	}
	map->node.first = leaf->first;
	map->node.last = leaf->last;
	map->gpa = leaf->gpa;
	map->perm = leaf->perm;
	itree_insert(&shadow->maps, &map->node);
	vvtd->maps++;
	return 0;
}

/* ---- comparing them ---- */

/* Maps overlapping the walk's range that are no leaf of it go. */
static int take_stale(struct vvtd_shadow *shadow, const struct walk *walk)
{
	struct itree_node *node, *next;
	uint32_t i = 0;
	int rc = 0;

	for (node = itree_first(&shadow->maps, walk->first, walk->last);
	     node && !rc; node = next) {
		struct map *map = container_of(node, struct map, node);

		next = itree_next(node, walk->first, walk->last);
		while (i < walk->count &&
		       walk->leaves[i].first < map->node.first)
			i++;
		if (i == walk->count || !is_map_of(map, &walk->leaves[i]))
			rc = take_away(walk->vvtd, shadow, map);
	}
	return rc;
}

static int add_new(struct vvtd_shadow *shadow, const struct walk *walk)
{
	int rc = 0;

	for (uint32_t i = 0; i < walk->count && !rc; i++) {
		const struct leaf *leaf = &walk->leaves[i];

		if (!map_at(shadow, leaf->first, leaf->last))
			rc = add(walk->vvtd, shadow, leaf);
	}
	return rc;
}

static uint64_t last_iova(const struct vvtd *vvtd,
			  const struct vvtd_shadow *shadow)
{
	unsigned int mgaw =
		1 + (unsigned int)field_get(VTD_CAP_MGAW, vvtd->id.cap);
	unsigned int bits = PAGE_LG2 + shadow->levels * INDEX_BITS;

	return low_mask(bits < mgaw ? bits : mgaw);
}

/* A leaf larger than what was asked for displaces all that lies in it. */
static void widen_to_leaves(struct walk *walk)
{
	if (!walk->count)
		return;
	if (walk->leaves[0].first < walk->first)
		walk->first = walk->leaves[0].first;
	if (walk->leaves[walk->count - 1].last > walk->last)
		walk->last = walk->leaves[walk->count - 1].last;
}

/* A mapping that lies across an end is looked at whole. */
static void widen(const struct vvtd_shadow *shadow, struct walk *walk)
{
	struct map *map = map_at(shadow, walk->first, walk->first);

	if (map)
		walk->first = map->node.first;
	map = map_at(shadow, walk->last, walk->last);
	if (map)
		walk->last = map->node.last;
}

/*
 * The table is read before anything goes, so that what cannot be followed is
 * known in time. Then nothing is left that the guest may have taken away.
 */
static int sync_range(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		      uint64_t first, uint64_t last)
{
	struct walk walk = { .vvtd = vvtd, .first = first, .last = last };
	int rc;

	if (first > last_iova(vvtd, shadow))
		return 0;
	if (last > last_iova(vvtd, shadow))
		walk.last = last_iova(vvtd, shadow);
	widen(shadow, &walk);
	rc = walk_table(&walk, shadow->root, shadow->levels, 0,
			VTD_SS_R | VTD_SS_W);
	widen_to_leaves(&walk);
	if (!rc)
		rc = take_stale(shadow, &walk);
	if (!rc)
		rc = add_new(shadow, &walk);
	free(walk.leaves);
	if (rc)
		rc = take_all(vvtd, shadow);
	return rc;
}

/* Sorted by insertion; few, and mostly in order */
static void sort(struct vvtd_ranges *ranges)
{
	for (uint32_t i = 1; i < ranges->count; i++) {
		uint64_t first = ranges->first[i];
		uint64_t last = ranges->last[i];
		uint32_t at = i;

		for (; at && ranges->first[at - 1] > first; at--) {
			ranges->first[at] = ranges->first[at - 1];
			ranges->last[at] = ranges->last[at - 1];
		}
		ranges->first[at] = first;
		ranges->last[at] = last;
	}
}

int vvtd_shadow_sync(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	struct vvtd_ranges *ranges = &shadow->ranges;
	uint32_t i = 0;
	int rc = 0;

	sort(ranges);
	while (i < ranges->count && !rc) {
		uint64_t first = ranges->first[i];
		uint64_t last = ranges->last[i++];

		for (; i < ranges->count && ranges->first[i] <= last; i++)
			if (ranges->last[i] > last)
				last = ranges->last[i];
		rc = sync_range(vvtd, shadow, first, last);
	}
	ranges->count = 0;
	if (shadow->dirty)
		TAILQ_REMOVE(&vvtd->dirty_shadows, shadow, dirty_link);
	shadow->dirty = false;
	return rc;
}

/* Too many become the one that holds all. */
static void merge(struct vvtd_ranges *ranges)
{
	for (uint32_t i = 1; i < ranges->count; i++) {
		if (ranges->first[i] < ranges->first[0])
			ranges->first[0] = ranges->first[i];
		if (ranges->last[i] > ranges->last[0])
			ranges->last[0] = ranges->last[i];
	}
	ranges->count = 1;
}

void vvtd_shadow_invalidate(struct vvtd *vvtd, struct vvtd_shadow *shadow,
			    uint64_t first, uint64_t last, uint32_t at)
{
	struct vvtd_ranges *ranges = &shadow->ranges;

	if (!shadow->dirty) {
		TAILQ_INSERT_TAIL(&vvtd->dirty_shadows, shadow, dirty_link);
		shadow->dirty = true;
		ranges->at = at;
	}
	if (ranges->count && ranges->first[ranges->count - 1] <= first &&
	    ranges->last[ranges->count - 1] >= last)
		return;
	if (ranges->count == VVTD_RANGES)
		merge(ranges);
	ranges->first[ranges->count] = first;
	ranges->last[ranges->count++] = last;
}

/* ---- life ---- */

static struct vvtd_shadow *find(const struct vvtd *vvtd,
				const struct vvtd_want *want)
{
	struct itree_node *node =
		itree_first(&vvtd->shadows, want->did, want->did);

	for (; node; node = itree_next(node, want->did, want->did)) {
		struct vvtd_shadow *shadow =
			container_of(node, struct vvtd_shadow, by_did);

		if (shadow->root == want->root &&
		    shadow->levels == want->levels)
			return shadow;
	}
	return NULL;
}

int vvtd_ioas_alloc(struct vvtd *vvtd, uint32_t *ioas_id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = relay_call(&vvtd->base, IOMMU_IOAS_ALLOC, &arg);

	if (!rc)
		*ioas_id = arg.out_ioas_id;
	return rc;
}

struct vvtd_shadow *vvtd_shadow_get(struct vvtd *vvtd,
				    const struct vvtd_want *want, int *rc)
{
	struct vvtd_shadow *shadow = find(vvtd, want);

	if (shadow) {
		shadow->users++;
		return shadow;
	}
	*rc = -ENOMEM;
	shadow = alloc_zero(sizeof(*shadow));
	if (!shadow)
		return NULL;
	*rc = vvtd_ioas_alloc(vvtd, &shadow->ioas_id);
	if (*rc) {
		free(shadow);
		return NULL;
	}
	shadow->root = want->root;
	shadow->levels = want->levels;
	shadow->users = 1;
	shadow->by_did.first = want->did;
	shadow->by_did.last = want->did;
	itree_insert(&vvtd->shadows, &shadow->by_did);
	/* it is empty, so at worst it stays so */
	(void)sync_range(vvtd, shadow, 0, UINT64_MAX);
	return shadow;
}

void vvtd_shadow_put(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	struct itree_node *node;

	if (--shadow->users)
		return;
	if (shadow->dirty)
		TAILQ_REMOVE(&vvtd->dirty_shadows, shadow, dirty_link);
	while ((node = itree_from(&shadow->maps, 0)))
		map_free(vvtd, shadow, container_of(node, struct map, node));
	itree_remove(&vvtd->shadows, &shadow->by_did);
	relay_destroy(&vvtd->base, shadow->ioas_id);
	free(shadow);
}
