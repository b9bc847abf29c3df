// SPDX-License-Identifier: MIT
/*
 * Shadows: an IOAS that is kept like a guest's second-stage table, by
 * IOMMU_IOAS_COPY out of the parent's IOAS (where guest memory lies at its
 * guest physical address) and IOMMU_IOAS_UNMAP. The guest says where its table
 * has changed; in caching mode also where an entry has become present. Domains
 * of one table share it: what changes for one of them was in memory for all.
 *
 * One leaf of the guest's table is one mapping, never more: an IOAS gives up
 * whole mappings only, and taking away a neighbour for a moment would break DMA
 * that the guest allows. What is no leaf any more, or another one, goes first,
 * as many at once as lie together; then what is new comes. A leaf that is not
 * wholly guest memory, that touches the addresses of interrupts or others that
 * the host reserves is left out.
 *
 * A table is followed in stretches. What a slice was not enough for stays in
 * @ranges; the rest of the queue waits for it (command.c).
 *
 * Bounds: VVTD_MAPS mappings in all shadows, VVTD_TABLES tables and VVTD_TRIES
 * leaves for one piece of work. A guest that exceeds one loses all mappings of
 * the table in question, until it invalidates that whole.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "hwdef/vtd_regs.h"
#include "viommu/vtd/vtd.h"

#define PAGE_LG2   12u
#define INDEX_BITS 9u

/* 3.15: writes are interrupts, which no table translates; Linux reserves it */
#define MSI_FIRST 0xfee00000u
#define MSI_LAST  0xfeefffffu

struct map {
	struct itree_node node; /* the IOVAs */
	uint64_t gpa;
	uint32_t perm; /* IOMMU_IOAS_MAP_* */
};

/* ---- the IOAS ---- */

int vvtd_call(struct vvtd *vvtd, unsigned long cmd, void *arg)
{
	vvtd_spend(vvtd, VVTD_COST_CALL);
	return relay_call(&vvtd->base, cmd, arg);
}

void vvtd_destroy_object(struct vvtd *vvtd, uint32_t id)
{
	if (id)
		vvtd_spend(vvtd, VVTD_COST_CALL);
	relay_destroy(&vvtd->base, id);
}

static struct map *map_at(const struct vvtd_shadow *shadow, uint64_t iova)
{
	struct itree_node *node = itree_first(&shadow->maps, iova, iova);

	return node ? container_of(node, struct map, node) : NULL;
}

static void free_maps(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		      uint64_t first, uint64_t last)
{
	struct itree_node *node;

	while ((node = itree_first(&shadow->maps, first, last))) {
		itree_remove(&shadow->maps, node);
		free(container_of(node, struct map, node));
		shadow->nmaps--;
		vvtd->maps--;
		vvtd_spend(vvtd, VVTD_COST_MAP);
	}
}

/* All mappings in there, none of which reaches beyond it */
static int take_away(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		     uint64_t first, uint64_t length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = shadow->ioas_id,
		.iova = first,
		.length = length,
	};
	int rc = vvtd_call(vvtd, IOMMU_IOAS_UNMAP, &arg);

	if (rc && rc != -ENOENT) /* there is nothing */
		return rc;
	free_maps(vvtd, shadow, first, first + length - 1);
	return 0;
}

/* U64_MAX is all of it, whatever there is. */
static int take_all(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	int rc = take_away(vvtd, shadow, 0, UINT64_MAX);

	shadow->unsure = rc;
	return rc;
}

static bool is_map_of(const struct map *map, const struct vvtd_leaf *leaf)
{
	return map->node.first == leaf->first && map->node.last == leaf->last &&
	       map->gpa == leaf->gpa && map->perm == leaf->perm;
}

/* A mapping there would keep all of the IOAS from being attached. */
static bool is_for_msis(const struct vvtd_leaf *leaf)
{
	return leaf->first <= MSI_LAST && leaf->last >= MSI_FIRST;
}

static int copy(struct vvtd *vvtd, const struct vvtd_shadow *shadow,
		const struct vvtd_leaf *leaf)
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

	return vvtd_call(vvtd, IOMMU_IOAS_COPY, &arg);
}

/* -ENOSPC, -ENOMEM; what the host refuses is left out */
static int add(struct vvtd *vvtd, struct vvtd_shadow *shadow,
	       const struct vvtd_leaf *leaf)
{
	struct map *map;

	if (is_for_msis(leaf))
		return 0;
	if (vvtd->maps == VVTD_MAPS || !vvtd->tries)
		return -ENOSPC;
	vvtd->tries--;
	map = alloc_zero(sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (copy(vvtd, shadow, leaf)) {
		free(map);
		return 0;
	}
	map->node.first = leaf->first;
	map->node.last = leaf->last;
	map->gpa = leaf->gpa;
	map->perm = leaf->perm;
	itree_insert(&shadow->maps, &map->node);
	shadow->nmaps++;
	vvtd->maps++;
	return 0;
}

/* ---- comparing them ---- */

/* Mappings that lie together and are no leaves: they go in one call. */
struct gone {
	bool any;
	uint64_t first;
	uint64_t last;
};

static void add_gone(struct gone *gone, const struct map *map)
{
	if (!gone->any)
		gone->first = map->node.first;
	gone->last = map->node.last;
	gone->any = true;
}

static int take_gone(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		     struct gone *gone)
{
	if (!gone->any)
		return 0;
	gone->any = false;
	return take_away(vvtd, shadow, gone->first,
			 gone->last - gone->first + 1);
}

/* Mappings overlapping the range that are no leaf of it go. */
static int take_stale(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	struct vvtd_leaves *leaves = vvtd->leaves;
	struct itree_node *node, *next;
	struct gone gone = { 0 };
	uint32_t i = 0;
	int rc = 0;

	for (node = itree_first(&shadow->maps, leaves->first, leaves->last);
	     node && !rc; node = next) {
		struct map *map = container_of(node, struct map, node);

		next = itree_next(node, leaves->first, leaves->last);
		while (i < leaves->count &&
		       leaves->leaf[i].first < map->node.first)
			i++;
		if (i < leaves->count && is_map_of(map, &leaves->leaf[i])) {
			leaves->leaf[i].is_there = true;
			rc = take_gone(vvtd, shadow, &gone);
		} else {
			add_gone(&gone, map);
		}
	}
	return rc ? rc : take_gone(vvtd, shadow, &gone);
}

static int add_new(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	const struct vvtd_leaves *leaves = vvtd->leaves;
	int rc = 0;

	for (uint32_t i = 0; i < leaves->count && !rc; i++)
		if (!leaves->leaf[i].is_there)
			rc = add(vvtd, shadow, &leaves->leaf[i]);
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
static void widen_to_leaves(struct vvtd_leaves *leaves)
{
	if (!leaves->count)
		return;
	if (leaves->leaf[0].first < leaves->first)
		leaves->first = leaves->leaf[0].first;
	if (leaves->leaf[leaves->count - 1].last > leaves->last)
		leaves->last = leaves->leaf[leaves->count - 1].last;
}

/* A mapping that lies across an end is looked at whole. */
static void widen(const struct vvtd_shadow *shadow, struct vvtd_leaves *leaves)
{
	struct map *map = map_at(shadow, leaves->first);

	if (map)
		leaves->first = map->node.first;
	map = map_at(shadow, leaves->last);
	if (map)
		leaves->last = map->node.last;
}

/*
 * As many leaves as are loaded at once. The table is read before anything goes,
 * so that what cannot be followed is known in time. Then nothing is left that
 * the guest may have taken away.
 */
static int sync_stretch(struct vvtd *vvtd, struct vvtd_shadow *shadow,
			uint64_t *first, uint64_t *last)
{
	struct vvtd_leaves *leaves = vvtd->leaves;
	int rc, end;

	leaves->first = *first;
	leaves->last = *last;
	widen(shadow, leaves);
	*last = leaves->last;
	rc = vvtd_leaves_load(vvtd, shadow->root, shadow->levels);
	end = rc;
	if (end == VVTD_LEFT) {
		if (leaves->next == leaves->first)
			return VVTD_LEFT;
		leaves->last = leaves->next - 1;
		*first = leaves->next;
		rc = 0;
	}
	widen_to_leaves(leaves);
	if (!rc)
		rc = take_stale(vvtd, shadow);
	if (!rc)
		rc = add_new(vvtd, shadow);
	if (rc)
		return take_all(vvtd, shadow);
	return end;
}

/* VVTD_LEFT: from *@first on */
static int sync_range(struct vvtd *vvtd, struct vvtd_shadow *shadow,
		      uint64_t *first, uint64_t *last)
{
	uint64_t end = last_iova(vvtd, shadow);
	int rc;

	if (*first > end)
		return 0;
	if (*last > end)
		*last = end;
	do {
		if (!vvtd->slice)
			return VVTD_LEFT;
		rc = sync_stretch(vvtd, shadow, first, last);
	} while (rc == VVTD_LEFT);
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

/* The @n lowest are done, and the rest stays. */
static void drop_ranges(struct vvtd_ranges *ranges, uint32_t n)
{
	ranges->count -= n;
	memmove(ranges->first, ranges->first + n,
		ranges->count * sizeof(ranges->first[0]));
	memmove(ranges->last, ranges->last + n,
		ranges->count * sizeof(ranges->last[0]));
}

static int sync_ranges(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	struct vvtd_ranges *r = &shadow->ranges;
	uint32_t i = 0;
	int rc = 0;

	sort(r);
	while (i < r->count && !rc) {
		for (; i + 1 < r->count && r->first[i + 1] <= r->last[i]; i++) {
			r->first[i + 1] = r->first[i];
			if (r->last[i + 1] < r->last[i])
				r->last[i + 1] = r->last[i];
		}
		rc = sync_range(vvtd, shadow, &r->first[i], &r->last[i]);
		if (!rc)
			i++;
	}
	drop_ranges(r, i);
	return rc;
}

static void make_clean(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	if (shadow->dirty)
		TAILQ_REMOVE(&vvtd->dirty_shadows, shadow, dirty_link);
	shadow->dirty = false;
}

int vvtd_shadow_sync(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	int rc = shadow->unsure ? take_all(vvtd, shadow) : 0;

	if (!rc)
		rc = sync_ranges(vvtd, shadow);
	if (rc < 0) {
		shadow->ranges.count = 1;
		shadow->ranges.first[0] = 0;
		shadow->ranges.last[0] = UINT64_MAX;
	}
	if (!rc)
		make_clean(vvtd, shadow);
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

	if (first > last_iova(vvtd, shadow))
		return; /* no table has anything there */
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

int vvtd_ioas_alloc(struct vvtd *vvtd, uint32_t *ioas_id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = vvtd_call(vvtd, IOMMU_IOAS_ALLOC, &arg);

	if (!rc)
		*ioas_id = arg.out_ioas_id;
	return rc;
}

static uint64_t root_key(const struct vvtd_want *want)
{
	return want->root | want->levels;
}

static struct vvtd_shadow *find(const struct vvtd *vvtd, uint64_t key,
				const struct vvtd_device *owner)
{
	struct itree_node *node = itree_first(&vvtd->shadows, key, key);

	for (; node; node = itree_next(node, key, key)) {
		struct vvtd_shadow *shadow =
			container_of(node, struct vvtd_shadow, by_root);

		if (shadow->owner == owner)
			return shadow;
	}
	return NULL;
}

/* Empty, without users yet */
static struct vvtd_shadow *make(struct vvtd *vvtd, const struct vvtd_want *want,
				const struct vvtd_device *owner, int *rc)
{
	struct vvtd_shadow *shadow = alloc_zero(sizeof(*shadow));

	*rc = -ENOMEM;
	if (!shadow)
		return NULL;
	*rc = vvtd_ioas_alloc(vvtd, &shadow->ioas_id);
	if (*rc) {
		free(shadow);
		return NULL;
	}
	shadow->root = want->root;
	shadow->levels = want->levels;
	shadow->owner = owner;
	shadow->by_root.first = root_key(want);
	shadow->by_root.last = root_key(want);
	itree_insert(&vvtd->shadows, &shadow->by_root);
	return shadow;
}

static void end(struct vvtd *vvtd, struct vvtd_shadow *shadow)
{
	make_clean(vvtd, shadow);
	itree_remove(&vvtd->shadows, &shadow->by_root);
	vvtd_destroy_object(vvtd, shadow->ioas_id);
	free_maps(vvtd, shadow, 0, UINT64_MAX);
	free(shadow);
}

static uint64_t domain_key(uint16_t did, const struct vvtd_shadow *shadow)
{
	return (uint64_t)did << 32 | shadow->ioas_id;
}

/*
 * The domain @did of @shadow, one user more; NULL: no memory. Of a new one
 * nothing is cached: what has not been invalidated for others counts for it.
 */
static struct vvtd_domain *domain_of(struct vvtd *vvtd, uint16_t did,
				     struct vvtd_shadow *shadow)
{
	uint64_t key = domain_key(did, shadow);
	struct itree_node *node = itree_first(&vvtd->domains, key, key);
	struct vvtd_domain *domain;

	if (node) {
		domain = container_of(node, struct vvtd_domain, by_id);
		domain->users++;
		return domain;
	}
	domain = alloc_zero(sizeof(*domain));
	if (!domain)
		return NULL;
	domain->shadow = shadow;
	domain->users = 1;
	domain->by_id.first = key;
	domain->by_id.last = key;
	itree_insert(&vvtd->domains, &domain->by_id);
	shadow->users++;
	vvtd_shadow_invalidate(vvtd, shadow, 0, UINT64_MAX, vvtd->at);
	return domain;
}

bool vvtd_has_own_shadow(const struct vvtd *vvtd, const struct vvtd_want *want,
			 const struct vvtd_device *owner)
{
	return find(vvtd, root_key(want), owner);
}

struct vvtd_domain *vvtd_domain_get(struct vvtd *vvtd,
				    const struct vvtd_want *want,
				    const struct vvtd_device *owner, int *rc)
{
	struct vvtd_shadow *shadow = find(vvtd, root_key(want), owner);
	struct vvtd_domain *domain;

	if (!shadow)
		shadow = make(vvtd, want, owner, rc);
	if (!shadow)
		return NULL;
	domain = domain_of(vvtd, want->did, shadow);
	if (!domain) {
		*rc = -ENOMEM;
		if (!shadow->users)
			end(vvtd, shadow);
		return NULL;
	}
	/* one that is empty stays so at worst */
	if (!owner && shadow->dirty && !shadow->nmaps)
		(void)vvtd_shadow_sync(vvtd, shadow);
	return domain;
}

void vvtd_domain_put(struct vvtd *vvtd, struct vvtd_domain *domain)
{
	struct vvtd_shadow *shadow = domain->shadow;

	if (--domain->users)
		return;
	itree_remove(&vvtd->domains, &domain->by_id);
	free(domain);
	if (!--shadow->users)
		end(vvtd, shadow);
}
