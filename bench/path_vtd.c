// SPDX-License-Identifier: MIT
/*
 * The VT-d unit of the benchmarks. Words worked out by hand from the
 * specification, 6.5.2 and chapter 9.
 */
#include "guest_arch.h"
#include "silent.h"

#include <linux/iommufd.h>
#include <string.h>

#define DID	(PATH_ASID << 16)
#define P_IOTLB (0x36 | DID) /* PASID 0, page-selective */
#define LEAF	0x40ULL
#define BATCH	64, 256, true

#define PAGE_JOBS                                                           \
	{ "P_IOTLB + wait, one doorbell (per pair)",                        \
	  P_IOTLB,                                                          \
	  PATH_HOT | LEAF,                                                  \
	  0,                                                                \
	  1,                                                                \
	  4096,                                                             \
	  true,                                                             \
	  false },                                                          \
		{ "P_IOTLB of a page, 64 per doorbell",                     \
		  P_IOTLB,                                                  \
		  PATH_HOT | LEAF,                                          \
		  4096,                                                     \
		  BATCH,                                                    \
		  false },                                                  \
		{ "P_IOTLB of a page, 4096 per doorbell",                   \
		  P_IOTLB,                                                  \
		  PATH_HOT | LEAF,                                          \
		  4096,                                                     \
		  4096,                                                     \
		  4,                                                        \
		  true,                                                     \
		  false },                                                  \
	{                                                                   \
		"P_IOTLB of 512 pages, 64 per doorbell", P_IOTLB, LEAF | 9, \
			0x200000, 64, 64, true, false                       \
	}

static const struct path_job page_jobs[] = { PAGE_JOBS, { 0 } };

/* With ATS the host invalidates the device's TLB with each of the first. */
static const struct path_job jobs[] = {
	PAGE_JOBS,
	{ "PASID cache, of a PASID, 64 per doorbell", 0x17 | DID, 0, 0, BATCH,
	  false },
	{ "context cache, of a device, 64 per doorbell",
	  0x31 | DID | PATH_VSID << 32, 0, 0, BATCH, false },
	{ "device TLB of a page, 64 per doorbell", 0x3 | PATH_VSID << 32,
	  PATH_HOT, 4096, BATCH, false },
	{ "wait alone, 64 per doorbell", 0x25, 0x40005000, 0, 64, 256, false,
	  false },
	/* last: they empty the cache */
	{ "P_IOTLB of a PASID, 64 per doorbell", 0x26 | DID, 0, 0, BATCH,
	  false },
	{ "IOTLB of a page, 64 per doorbell", 0x32 | DID, PATH_HOT | LEAF, 4096,
	  BATCH, true },
	{ "IOTLB of a domain, 64 per doorbell", 0x22 | DID, 0, 0, BATCH, true },
	{ "IOTLB, global, 64 per doorbell", 0x12, 0, 0, BATCH, true },
	{ 0 },
};

/* IQH, and no error of the queue's in FSTS */
static bool consumed(const struct guest *guest)
{
	return guest_read(guest, 0x80, 8) == guest_read(guest, 0x88, 8) &&
	       !(guest_read(guest, 0x34, 4) & 0x70);
}

/* A page of 1 GiB below 4 levels; the PASID entry: P, nested, 48 bits */
static void nest(struct guest *guest)
{
	uint64_t entry = guest->base + 0x3000;
	uint64_t level4 = path_table(guest);
	uint64_t level3 = path_table(guest);

	guest_put(guest, level4, level3 | 3);
	guest_put(guest, level3 + 8, HOST_RAM_BASE | 0x83);
	guest_put(guest, entry, level4 | 0xc9);
	guest_command(guest, 0x37, 0); /* PASID cache, then IOTLB, global */
	guest_command(guest, 0x12, 0);
	guest_wait(guest);
	guest_ring(guest);
}

/* The PASID entry: P, second stage, 48 bits, with an empty table of its own */
static void shadow(struct guest *guest)
{
	static struct guest_arch words;
	uint64_t entry = guest->base + 0x3000;
	uint64_t level4 = path_table(guest);

	words = guest_vtd;
	words.table_bits = 3;
	words.page_bits = 3;
	words.root = level4 - guest->base;
	guest->arch = &words;
	guest_put(guest, entry, level4 | 0x89);
	guest_command(guest, 0x37, 0);
	guest_command(guest, 0x12, 0);
	guest_wait(guest);
	guest_ring(guest);
}

static const struct path_job shadow_jobs[] = {
	{ "IOTLB of the page", 0x32 | DID, PATH_HOT | LEAF, 0, 1, 256, true,
	  false },
	{ "IOTLB of 256 pages", 0x32 | DID, LEAF | 8, 0, 1, 256, true, false },
	{ "IOTLB of the domain", 0x22 | DID, 0, 0, 1, 16, true, false },
	{ 0 },
};

/* Linux's structs have no vIOMMU here: the HWPT of the guest's device */
static int nested_hwpt(struct guest *guest, uint32_t *id)
{
	*id = guest->pt_id;
	return 0;
}

static void entry(void *entry, uint64_t iova)
{
	struct iommu_hwpt_vtd_s1_invalidate words = {
		.addr = iova,
		.npages = 1,
		.flags = IOMMU_VTD_INV_FLAGS_LEAF,
	};

	memcpy(entry, &words, sizeof(words));
}

const struct path_arch path_vtd = {
	.arch = NESTFD_ARCH_VTD,
	.name = "vtd",
	.jobs = jobs,
	.jobs_without_ats = page_jobs,
	.forget = { 0x26 | DID, 0 },
	.forget_all = { 0x12, 0 },
	.forget_leaves = { P_IOTLB, LEAF | 8 },
	.consumed = consumed,
	.nest = nest,
	.shadow = shadow,
	.shadow_jobs = shadow_jobs,
	.object_is = "a nested HWPT",
	.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
	.entry_len = sizeof(struct iommu_hwpt_vtd_s1_invalidate),
	.object = nested_hwpt,
	.entry = entry,
	.silent = &silent_vtd,
};
