// SPDX-License-Identifier: MIT
/*
 * bench_full_queue's SMMUv3. Words worked out by hand from Arm IHI 0070. One
 * stream, whose CD gets another ASID (bare: whose STE gets another VMID) and
 * then the same pages again: so a guest fills a cache, whatever its devices.
 */
#include "full.h"
#include "guest_arch.h"

#define AT_STREAMS 0x400000ULL /* where a larger stream table has room */

/* Which spreads */
#define ASIDS	   0x01u
#define ATC	   0x02u
#define DEVICES	   0x04u
#define VMIDS	   0x08u /* bare, as what follows */
#define BOTH	   0x10u /* ASIDs of many VMIDs */
#define STAGE2	   0x20u /* no stage 1 */
#define HOST	   0x40u /* besides: what only a host's software may do */
#define REST	   0x80u /* besides: what does not look at translations */
#define STAGE1	   (ASIDS | VMIDS | BOTH)

#define BOTH_ASIDS 250u

/* What is in the words besides */
#define ASID	  0x1u
#define VMID	  0x2u
#define STREAM	  0x4u
#define PAGE	  0x8u

#define ALL_PAGES (31ULL << 12 | 31ULL << 20) /* NUM, SCALE */
#define TG_4K	  0x400ULL
#define TG_64K	  0xc00ULL
#define TTL_1	  0x100ULL
#define TTL_3	  0x300ULL
#define LEAF	  0x1ULL

static const struct full_row rows[] = {
	{ "CMD_SYNC", REST, 0x46, 0, 0 },
	{ "TLBI_NH_VA, a page each", STAGE1, 0x12, TG_4K | TTL_3 | LEAF,
	  VMID | ASID | PAGE },
	{ "TLBI_NH_VA, a page each, and tables", STAGE1, 0x12, 0,
	  VMID | ASID | PAGE },
	{ "TLBI_NH_VA, all pages", STAGE1, 0x12 | ALL_PAGES, TG_4K | LEAF,
	  VMID | ASID },
	{ "TLBI_NH_VA, all pages, and tables", ASIDS, 0x12 | ALL_PAGES, TG_4K,
	  VMID | ASID },
	{ "TLBI_NH_VA, all pages, TTL of none", ASIDS, 0x12 | ALL_PAGES,
	  TG_4K | TTL_1 | LEAF, VMID | ASID },
	{ "TLBI_NH_VA, all pages, TG of none", ASIDS, 0x12 | ALL_PAGES,
	  TG_64K | LEAF, VMID | ASID },
	{ "TLBI_NH_VAA, a page each", STAGE1, 0x13, TG_4K | TTL_3 | LEAF,
	  VMID | PAGE },
	{ "TLBI_NH_VAA, a page each, and tables", STAGE1, 0x13, 0,
	  VMID | PAGE },
	{ "TLBI_NH_VAA, 512 pages each", STAGE1, 0x13 | 1ULL << 12 | 8ULL << 20,
	  TG_4K | LEAF, VMID | PAGE },
	{ "TLBI_NH_VAA, all pages", STAGE1, 0x13 | ALL_PAGES, TG_4K | LEAF,
	  VMID },
	{ "TLBI_NH_VAA, all pages, and tables", STAGE1, 0x13 | ALL_PAGES, TG_4K,
	  VMID },
	{ "TLBI_NH_VAA, all pages, TTL of none", STAGE1, 0x13 | ALL_PAGES,
	  TG_4K | TTL_1 | LEAF, VMID },
	{ "TLBI_NH_VAA, all pages, TG of none", STAGE1, 0x13 | ALL_PAGES,
	  TG_64K | LEAF, VMID },
	{ "TLBI_NH_ASID", STAGE1, 0x11, 0, VMID | ASID },
	{ "TLBI_NH_ALL", STAGE1, 0x10, 0, VMID },
	{ "TLBI_NSNH_ALL", STAGE1, 0x30, 0, 0 },
	{ "TLBI_S12_VMALL", HOST, 0x28, 0, VMID },
	{ "TLBI_S2_IPA, a page each", STAGE2, 0x2a, TG_4K | TTL_3 | LEAF,
	  VMID | PAGE },
	{ "TLBI_S2_IPA, all pages", HOST, 0x2a | ALL_PAGES, TG_4K | LEAF,
	  VMID },
	{ "TLBI_S2_IPA, all pages, and tables", HOST, 0x2a | ALL_PAGES, TG_4K,
	  VMID },
	{ "CFGI_STE", REST | DEVICES, 0x03, 1, STREAM, true },
	{ "CFGI_STE_RANGE, all streams", REST | DEVICES, 0x04, 31, 0, true },
	{ "CFGI_CD", REST | DEVICES, 0x05, 1, STREAM, true },
	{ "CFGI_CD_ALL", REST | DEVICES, 0x06, 0, STREAM, true },
	{ "ATC_INV, a page each", REST | ATC, 0x40, 0, STREAM | PAGE },
	{ "ATC_INV, half of all", ATC, 0x40, 1ULL << 63 | 51, STREAM },
	{ "ATC_INV, everything", REST | ATC, 0x40, 52, STREAM },
	{ 0 },
};

#define ONE_E5	    100000, 1, 0, false
#define ONE_E6	    1000000, 1, 0, false
#define MANY_E5	    100000, 50000, 0, false
#define MANY_E6	    1000000, 50000, 0, false
#define IN_ATC_E6   1000000, 1, 0, true
#define STREAMS_(n) 1000, 1, n, false

static const struct full_spread guest_spreads[] = {
	{ "10^5 translations of one ASID", ASIDS | REST, ONE_E5 },
	{ "10^6 translations of one ASID", ASIDS, ONE_E6 },
	{ "10^5 translations of 50000 ASIDs", ASIDS, MANY_E5 },
	{ "10^6 translations of 50000 ASIDs", ASIDS | REST, MANY_E6 },
	{ "10^6 translations in a device's ATC", ATC, IN_ATC_E6 },
	{ "64 devices", DEVICES, STREAMS_(63) },
	{ 0 },
};

static const struct full_spread host_spreads[] = {
	{ "10^5 translations of one ASID", ASIDS | HOST | REST, ONE_E5 },
	{ "10^6 translations of one ASID", ASIDS | HOST, ONE_E6 },
	{ "10^5 translations of 50000 ASIDs", ASIDS | HOST, MANY_E5 },
	{ "10^6 translations of 50000 ASIDs", ASIDS | HOST, MANY_E6 },
	{ "10^5 translations of 50000 VMIDs", VMIDS | HOST, MANY_E5 },
	{ "10^6 translations of 50000 VMIDs", VMIDS | HOST, MANY_E6 },
	{ "10^6 translations of 250 ASIDs in each of 250 VMIDs", BOTH | HOST,
	  1000000, BOTH_ASIDS * 250, 0, false },
	{ "10^6 translations of stage 2", STAGE2 | HOST, ONE_E6 },
	{ "10^6 translations in a device's ATC", ATC, IN_ATC_E6 },
	{ "64 devices", DEVICES, STREAMS_(63) },
	{ "4096 devices", DEVICES, STREAMS_(4095) },
	{ 0 },
};

static const struct full_way ways[] = {
	{ "whole path", false, guest_spreads, rows },
	{ "bare model", true, host_spreads, rows },
};

static uint16_t asid_of(const struct full_bed *bed, uint32_t tag)
{
	switch (bed->spread->kind & (ASIDS | BOTH)) {
	case ASIDS:
		return (uint16_t)(1 + tag);
	case BOTH:
		return (uint16_t)(1 + tag % BOTH_ASIDS);
	default:
		return 1;
	}
}

static uint16_t vmid_of(const struct full_bed *bed, uint32_t tag)
{
	switch (bed->spread->kind & (VMIDS | BOTH)) {
	case VMIDS:
		return (uint16_t)(1 + tag);
	case BOTH:
		return (uint16_t)(1 + tag / BOTH_ASIDS);
	default:
		return bed->host.bare ? 1 : 0; /* a guest has none */
	}
}

/* ---- tables ---- */

static uint64_t ste_of(const struct full_bed *bed, uint32_t sid)
{
	return bed->guest.base + (bed->host.bare ? AT_STREAMS : 0) + sid * 64;
}

static void copy_ste(const struct full_bed *bed, uint64_t to, uint64_t from)
{
	for (unsigned int i = 0; i < 64; i += 8)
		guest_put(&bed->guest, to + i,
			  guest_get(&bed->guest, from + i));
}

/* Stage 1's tables as stage 2's: V, R, AArch64, 4 KB, 39 bits from level 1 */
static void second_stage_alone(struct full_bed *bed, uint64_t ste)
{
	struct guest *g = &bed->guest;

	guest_put(g, ste + 16, 0x040d005900000000ULL);
	guest_put(g, ste + 24, g->base + g->arch->root);
	guest_put(g, ste, 0xd);
}

/* Bare: a stream with both stages, or the second alone; a larger table */
static void prepare(struct full_bed *bed)
{
	struct guest *g = &bed->guest;
	uint64_t ste = ste_of(bed, g->vsid);

	if (!bed->host.bare)
		return;
	path_smmuv3.nest(g);
	guest_write(g, 0x20, 4, 0);
	copy_ste(bed, ste, g->base + (uint64_t)g->vsid * 64);
	if (bed->spread->kind & STAGE2)
		second_stage_alone(bed, ste);
	guest_write(g, 0x80, 8, g->base + AT_STREAMS);
	guest_write(g, 0x88, 4, 16);
	guest_write(g, 0x20, 4, 0xd);
}

static void stream(struct full_bed *bed, uint32_t sid)
{
	copy_ste(bed, ste_of(bed, sid), ste_of(bed, bed->guest.vsid));
}

static uint32_t tag(struct full_bed *bed, uint32_t tag)
{
	struct guest *g = &bed->guest;
	uint64_t ste = ste_of(bed, g->vsid);
	uint64_t cd = guest_get(g, ste) & 0xfffffffffffc0ULL;
	uint64_t sid = (uint64_t)g->vsid << 32;

	if (cd)
		guest_put(g, cd,
			  (guest_get(g, cd) & 0xffffffffffffULL) |
				  (uint64_t)asid_of(bed, tag) << 48);
	if (bed->host.bare)
		guest_put(g, ste + 16,
			  (guest_get(g, ste + 16) & ~0xffffULL) |
				  vmid_of(bed, tag));
	guest_command(g, (bed->host.bare ? 0x03 : 0x05) | sid, 1);
	guest_wait(g);
	guest_ring(g);
	return NESTFD_NO_PASID;
}

/* ---- the queue ---- */

static void command(const struct full_bed *bed, const struct full_row *row,
		    uint32_t i, uint64_t dw[2])
{
	uint32_t of = full_tag(bed, i);

	dw[0] = row->dw0;
	dw[1] = row->dw1;
	if (row->names & ASID)
		dw[0] |= (uint64_t)asid_of(bed, of) << 48;
	if (row->names & VMID)
		dw[0] |= (uint64_t)vmid_of(bed, of) << 32;
	if (row->names & STREAM)
		dw[0] |= (uint64_t)bed->guest.vsid << 32;
	if (row->names & PAGE)
		dw[1] |= full_page(bed, i);
}

const struct full_arch full_smmuv3 = {
	.path = &path_smmuv3,
	.commands = 1u << 19,
	.ways = ways,
	.nways = sizeof(ways) / sizeof(ways[0]),
	.prepare = prepare,
	.tag = tag,
	.stream = stream,
	.command = command,
};
