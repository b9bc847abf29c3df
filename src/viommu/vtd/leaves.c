// SPDX-License-Identifier: MIT
/*
 * What a guest's second-stage table says, a stretch at a time: its leaves in
 * order, with the rights of the whole way to them. What faults is no leaf.
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "base/bits.h"
#include "base/le.h"
#include "front/vtd/tables.h"
#include "hwdef/vtd_tables.h"
#include "viommu/vtd/vtd.h"

#define ENTRIES	   512u
#define PAGE_LG2   12u
#define INDEX_BITS 9u

static uint32_t perm_of(uint64_t rights)
{
	uint32_t perm = IOMMU_IOAS_MAP_FIXED_IOVA;

	if (rights & VTD_SS_R)
		perm |= IOMMU_IOAS_MAP_READABLE;
	if (rights & VTD_SS_W)
		perm |= IOMMU_IOAS_MAP_WRITEABLE;
	return perm;
}

static int add_leaf(struct vvtd_leaves *leaves, uint64_t entry, uint64_t first,
		    uint64_t last, uint64_t rights)
{
	if (leaves->count == VVTD_LEAVES) {
		leaves->next = first;
		return VVTD_LEFT;
	}
	leaves->leaf[leaves->count++] = (struct vvtd_leaf){
		.first = first,
		.last = last,
		.gpa = entry & VTD_SS_ADDR & ~(last - first),
		.perm = perm_of(rights),
	};
	return 0;
}

static int load_table(struct vvtd *vvtd, uint64_t table, unsigned int level,
		      uint64_t base, uint64_t rights);

/* An entry that maps [first, last], or leads to a table that does */
static int load_entry(struct vvtd *vvtd, uint64_t entry, unsigned int level,
		      uint64_t first, uint64_t last, uint64_t rights)
{
	rights &= entry;
	if (!(rights & (VTD_SS_R | VTD_SS_W)))
		return 0;
	if (entry & vtd_ss_reserved(&vvtd->id, level, entry))
		return 0; /* SSS.3, LSS.2 */
	if (vtd_ss_is_leaf(level, entry))
		return add_leaf(vvtd->leaves, entry, first, last, rights);
	return load_table(vvtd, entry & VTD_SS_ADDR, level - 1, first, rights);
}

/* Recursion ends with the levels: five at most. */
static int load_table(struct vvtd *vvtd, uint64_t table, unsigned int level,
		      uint64_t base, uint64_t rights)
{
	const struct nestfd_guest *guest = &vvtd->base.guest;
	struct vvtd_leaves *leaves = vvtd->leaves;
	unsigned int shift = PAGE_LG2 + (level - 1) * INDEX_BITS;
	uint64_t last = base | low_mask(shift + INDEX_BITS);
	uint64_t from = leaves->first > base ? leaves->first : base;
	uint64_t to = leaves->last < last ? leaves->last : last;
	uint32_t start = (uint32_t)((from - base) >> shift);
	uint32_t n = (uint32_t)((to - base) >> shift) - start + 1;
	uint64_t entries[ENTRIES];
	int rc = 0;

	if (!vvtd->tables)
		return -ENOSPC;
	if (!vvtd->slice) {
		leaves->next = from;
		return VVTD_LEFT;
	}
	vvtd->tables--;
	vvtd_spend(vvtd, VVTD_COST_TABLE);
	if (guest->read(guest->ctx, table + start * 8ULL, entries, n * 8ULL))
		return 0; /* its translations fault */
	for (uint32_t i = 0; i < n && !rc; i++) {
		uint64_t first = base + ((uint64_t)(start + i) << shift);

		rc = load_entry(vvtd, le64toh(entries[i]), level, first,
				first | low_mask(shift), rights);
	}
	return rc;
}

int vvtd_leaves_load(struct vvtd *vvtd, uint64_t root, unsigned int levels)
{
	int rc;

	vvtd->leaves->count = 0;
	rc = load_table(vvtd, root, levels, 0, VTD_SS_R | VTD_SS_W);
	vvtd_spend(vvtd, vvtd->leaves->count / VVTD_LEAVES_FOR);
	return rc;
}
