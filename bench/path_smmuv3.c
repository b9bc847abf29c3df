// SPDX-License-Identifier: MIT
/* The SMMUv3 of the benchmarks. Words worked out by hand from Arm IHI 0070. */
#include "silent.h"

#include <linux/iommufd.h>
#include <string.h>

#define VA    (0x12 | PATH_ASID << 48)
#define PAGE  0x701ULL /* TG 4K, TTL 3, leaf */
#define ASID  (PATH_ASID << 48)
#define VSID  (PATH_VSID << 32)
#define BATCH 64, 256, true

static const struct path_job jobs[] = {
	{ "TLBI_NH_VA + CMD_SYNC, one doorbell (per pair)", VA, PATH_HOT | PAGE,
	  0, 1, 4096, true, false },
	{ "TLBI_NH_VA, 64 per doorbell", VA, PATH_HOT | PAGE, 4096, BATCH,
	  false },
	{ "TLBI_NH_VA, 4096 per doorbell", VA, PATH_HOT | PAGE, 4096, 4096, 4,
	  true, false },
	{ "TLBI_NH_VAA, 64 per doorbell", 0x13, PATH_HOT | PAGE, 4096, BATCH,
	  false },
	{ "TLBI_NH_VA of 512 pages, 64 per doorbell", VA | 9 << 20, PAGE,
	  0x200000, 64, 64, true, false },
	{ "CFGI_CD, 64 per doorbell", 0x05 | VSID, 1, 0, BATCH, false },
	{ "CFGI_CD_ALL, 64 per doorbell", 0x06 | VSID, 0, 0, BATCH, false },
	{ "CFGI_STE, unchanged, 64 per doorbell", 0x03 | VSID, 1, 0, BATCH,
	  false },
	{ "PREFETCH_CONFIG, 64 per doorbell", 0x01 | VSID, 0, 0, BATCH, false },
	{ "ATC_INV of a page, 64 per doorbell", 0x40 | VSID, PATH_HOT, 4096,
	  BATCH, false },
	{ "CMD_SYNC alone, 64 per doorbell", 0x46, 0, 0, 64, 256, false,
	  false },
	/* last: they empty the cache */
	{ "TLBI_NH_ASID, 64 per doorbell", 0x11 | ASID, 0, 0, BATCH, false },
	{ "TLBI_NH_ALL, 64 per doorbell", 0x10, 0, 0, BATCH, true },
	{ "TLBI_NSNH_ALL, 64 per doorbell", 0x30, 0, 0, BATCH, true },
	{ 0 },
};

#define MSI (1ULL << 12) /* CMD_SYNC: CS SIG_IRQ, by message */

static const struct path_load loads[] = {
	{ "TLBI_NH_VA", VA, PATH_HOT | PAGE, 4096, 0x46, false, false },
	{ "TLBI_NH_VA, a CMD_SYNC at the end", VA, PATH_HOT | PAGE, 4096, 0x46,
	  true, false },
	{ "TLBI_NH_VA, a CMD_SYNC with an MSI at the end", VA, PATH_HOT | PAGE,
	  4096, 0x46 | MSI, true, false },
	{ "TLBI_NH_VA, a CMD_SYNC behind each", VA, PATH_HOT | PAGE, 4096, 0x46,
	  false, true },
	{ "TLBI_NH_VA, a CMD_SYNC with an MSI behind each", VA, PATH_HOT | PAGE,
	  4096, 0x46 | MSI, false, true },
	{ "ATC_INV of a page, a CMD_SYNC at the end", 0x40 | VSID, PATH_HOT,
	  4096, 0x46, true, false },
	{ "CFGI_STE, unchanged, a CMD_SYNC at the end", 0x03 | VSID, 1, 0, 0x46,
	  true, false },
	{ 0 },
};

/* CMDQ_CONS: index and error */
static bool consumed(const struct guest *guest)
{
	return guest_read(guest, 0x9c, 4) == guest->prod;
}

/* A block of 1 GiB, VMID 0. V, R, AArch64, 4 KB, 48 bits from level 0 */
static void nest(struct guest *guest)
{
	uint64_t ste = guest->base + guest->vsid * 64;
	uint64_t level0 = path_table(guest);
	uint64_t level1 = path_table(guest);

	guest_put(guest, level0, level1 | 3);
	guest_put(guest, level1 + 8, HOST_RAM_BASE | 0x4fd);
	guest_put(guest, ste + 16, 0x040d009000000000ULL);
	guest_put(guest, ste + 24, level0);
	guest_put(guest, ste, guest_get(guest, ste) | 0xf);
	guest_command(guest, 0x03 | (uint64_t)guest->vsid << 32, 1);
	guest_wait(guest);
	guest_ring(guest);
}

static int make_viommu(struct guest *guest, uint32_t *id)
{
	struct iommu_viommu_alloc alloc = {
		.size = sizeof(alloc),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = guest->host->probe_dev,
		.hwpt_id = guest->host->parent,
	};
	int rc = nestfd_ioctl(guest->host->ctx, IOMMU_VIOMMU_ALLOC, &alloc);

	if (!rc)
		*id = alloc.out_viommu_id;
	return rc;
}

static void entry(void *entry, uint64_t iova)
{
	uint64_t words[2] = { VA, iova | PAGE };

	memcpy(entry, words, sizeof(words));
}

const struct path_arch path_smmuv3 = {
	.arch = NESTFD_ARCH_SMMUV3,
	.name = "smmuv3",
	.jobs = jobs,
	.loads = loads,
	.forget = { 0x11 | ASID, 0 },
	.forget_all = { 0x30, 0 },
	/* TLBI_NH_VAA, NUM 31, SCALE 3, TG 4K, leaf */
	.forget_leaves = { 0x13 | 31 << 12 | 3 << 20, 0x401 },
	.consumed = consumed,
	.nest = nest,
	.object_is = "a vIOMMU",
	.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	.entry_len = 16,
	.object = make_viommu,
	.entry = entry,
	.silent = &silent_smmuv3,
};
