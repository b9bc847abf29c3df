// SPDX-License-Identifier: MIT
/*
 * bench_full_queue's VT-d. Words worked out by hand from the specification,
 * 6.5.2 and chapter 9. The largest queue of 256-bit descriptors has 2^14, one
 * of them free.
 */
#include "full.h"
#include "guest_arch.h"

#define AT_ROOT	      0x0000ULL
#define AT_CTX	      0x1000ULL /* the guest's own, of bus 0 */
#define AT_OWN_PASIDS 0x3000ULL
#define AT_STATUS     0x5000ULL	  /* what waits write */
#define AT_DIR	      0x20000ULL  /* of 2^16 PASIDs */
#define AT_CTXS	      0x100000ULL /* bare: two of each bus */
#define AT_PASIDS     0x400000ULL

/* Which spreads */
#define PASIDS	0x01u
#define DIDS	0x02u /* one for each PASID */
#define ATC	0x04u
#define DEVICES 0x08u
#define STAGE2	0x10u /* bare: no first stage */
#define REST	0x20u /* besides: what does not look at translations */
#define CACHES	(PASIDS | DIDS)

/* What is in the words besides */
#define DID   0x1u
#define PASID 0x2u
#define SID   0x4u
#define PAGE  0x8u
#define WAIT  0x10u

#define LEAF  0x40ULL /* IH */

static const struct full_row rows[] = {
	{ "wait", REST, 0x25, 0, WAIT },
	{ "P_IOTLB, a page each", CACHES, 0x36, LEAF, DID | PASID | PAGE },
	{ "P_IOTLB, a page each, and tables", CACHES, 0x36, 0,
	  DID | PASID | PAGE },
	{ "P_IOTLB, 512 pages each", CACHES, 0x36, LEAF | 9,
	  DID | PASID | PAGE },
	{ "P_IOTLB, 2^40 pages", CACHES, 0x36, LEAF | 40, DID | PASID },
	{ "P_IOTLB, 2^40 pages, and tables", CACHES, 0x36, 40, DID | PASID },
	{ "P_IOTLB, of a PASID", CACHES, 0x26, 0, DID | PASID },
	{ "IOTLB, a page each", CACHES | STAGE2, 0x32, LEAF, DID | PAGE },
	{ "IOTLB, a page each, and tables", CACHES | STAGE2, 0x32, 0,
	  DID | PAGE },
	{ "IOTLB, 2^18 pages, and tables", CACHES | STAGE2, 0x32, 18,
	  DID | PAGE },
	{ "IOTLB, of a domain", CACHES | STAGE2, 0x22, 0, DID },
	{ "IOTLB, global", CACHES | STAGE2, 0x12, 0, 0 },
	{ "PASID cache, of a PASID", REST | DEVICES, 0x17, 0, DID | PASID,
	  true },
	{ "PASID cache, of a domain", REST | DEVICES, 0x07, 0, DID, true },
	{ "PASID cache, global", REST | DEVICES, 0x37, 0, 0, true },
	{ "context cache, of a device", REST | DEVICES, 0x31, 0, DID | SID,
	  true },
	{ "context cache, of a domain", REST | DEVICES, 0x21, 0, DID, true },
	{ "context cache, global", REST | DEVICES, 0x11, 0, 0, true },
	{ "device TLB, a page each", REST | ATC, 0x03, 0, SID | PAGE },
	{ "device TLB, half of all", ATC, 0x03, 0x3ffffffffffff001, SID },
	{ "device TLB, everything", REST | ATC, 0x03, 0x7ffffffffffff001, SID },
	{ 0 },
};

#define ONE_E5	      100000, 1, 0, false
#define ONE_E6	      1000000, 1, 0, false
#define MANY_E5(n)    100000, n, 0, false
#define MANY_E6(n)    1000000, n, 0, false
#define IN_ATC_E6     1000000, 1, 0, true
#define REQUESTERS(n) 1000, 1, n, false

static const struct full_spread guest_spreads[] = {
	{ "10^5 translations of one PASID", PASIDS | REST, ONE_E5 },
	{ "10^6 translations of one PASID", PASIDS, ONE_E6 },
	{ "10^5 translations of 4000 PASIDs", PASIDS | REST, MANY_E5(4000) },
	{ "10^6 translations of 4000 PASIDs", PASIDS, MANY_E6(4000) },
	{ "10^6 translations of 4000 domains", DIDS | REST, MANY_E6(4000) },
	{ "10^6 translations in a device's TLB", ATC, IN_ATC_E6 },
	{ "64 devices", DEVICES, REQUESTERS(63) },
	{ 0 },
};

static const struct full_spread host_spreads[] = {
	{ "10^5 translations of one PASID", PASIDS | REST, ONE_E5 },
	{ "10^6 translations of one PASID", PASIDS, ONE_E6 },
	{ "10^5 translations of 50000 PASIDs", PASIDS | REST, MANY_E5(50000) },
	{ "10^6 translations of 50000 PASIDs", PASIDS, MANY_E6(50000) },
	{ "10^5 translations of 50000 domains", DIDS, MANY_E5(50000) },
	{ "10^6 translations of 50000 domains", DIDS | REST, MANY_E6(50000) },
	{ "10^6 translations of the second stage", STAGE2, ONE_E6 },
	{ "10^6 translations in a device's TLB", ATC, IN_ATC_E6 },
	{ "64 devices", DEVICES, REQUESTERS(63) },
	{ "4096 devices", DEVICES, REQUESTERS(4095) },
	{ 0 },
};

static const struct full_way ways[] = {
	{ "whole path", false, guest_spreads, rows },
	{ "bare model", true, host_spreads, rows },
};

static uint64_t did_of(const struct full_bed *bed, uint32_t tag)
{
	return bed->spread->kind & DIDS ? 1 + tag : 1;
}

/* The one of requests without PASID is 0. */
static uint64_t pasid_of(const struct full_bed *bed, uint32_t tag)
{
	return bed->spread->tags > 1 ? 1 + tag : 0;
}

/* ---- tables ---- */

/* As the entry of PASID 0 that the guest booted with: both stages, bare */
static void put_pasid(struct full_bed *bed, uint64_t pasid, uint64_t did)
{
	struct guest *g = &bed->guest;
	uint64_t own = g->base + AT_OWN_PASIDS;
	uint64_t at = g->base + AT_PASIDS + pasid * 64;

	guest_put(g, g->base + AT_DIR + (pasid >> 6) * 8,
		  (g->base + AT_PASIDS + (pasid >> 6) * 4096) | 1);
	guest_put(g, at + 8, did);
	if (bed->spread->kind & STAGE2) {
		guest_put(g, at, (g->base + g->arch->root) | 0x89);
		return;
	}
	guest_put(g, at + 16, guest_get(g, own + 16));
	guest_put(g, at, guest_get(g, own));
}

static uint64_t context_of(const struct full_bed *bed, uint32_t sid)
{
	if (!bed->host.bare)
		return bed->guest.base + AT_CTX + sid * 32;
	return bed->guest.base + AT_CTXS + sid * 32;
}

static void put_context(struct full_bed *bed, uint32_t sid)
{
	struct guest *g = &bed->guest;

	/* P, DTE, PASIDE, PDTS 3: 1024 of the directory */
	guest_put(g, context_of(bed, sid), (g->base + AT_DIR) | 0x60d);
}

/* Second-stage tables have other words. */
static const struct guest_arch *second_stage_words(void)
{
	static struct guest_arch words;

	words = guest_vtd;
	words.table_bits = 3;
	words.page_bits = 3;
	return &words;
}

/* The root table is for 16 buses: as many devices as a spread may have. */
static void prepare(struct full_bed *bed)
{
	struct guest *g = &bed->guest;

	if (bed->host.bare)
		path_vtd.nest(g);
	if (bed->spread->kind & STAGE2)
		g->arch = second_stage_words();
	for (uint64_t bus = 0; bed->host.bare && bus < 32; bus++)
		guest_put(g, g->base + AT_ROOT + bus * 8,
			  (g->base + AT_CTXS + bus * 4096) | 1);
	put_pasid(bed, 0, did_of(bed, 0));
	for (uint32_t tag = 0; tag < bed->spread->tags; tag++)
		put_pasid(bed, pasid_of(bed, tag), did_of(bed, tag));
	put_context(bed, g->vsid);
	guest_command(g, 0x11, 0); /* context cache, PASID cache, IOTLB: all */
	guest_command(g, 0x37, 0);
	guest_command(g, 0x12, 0);
	guest_wait(g);
	guest_ring(g);
}

static uint32_t tag(struct full_bed *bed, uint32_t tag)
{
	uint64_t pasid = pasid_of(bed, tag);

	return pasid ? (uint32_t)pasid : NESTFD_NO_PASID;
}

/* ---- the queue ---- */

static void command(const struct full_bed *bed, const struct full_row *row,
		    uint32_t i, uint64_t dw[2])
{
	uint32_t of = full_tag(bed, i);

	dw[0] = row->dw0;
	dw[1] = row->dw1;
	if (row->names & DID)
		dw[0] |= did_of(bed, of) << 16;
	if (row->names & PASID)
		dw[0] |= pasid_of(bed, of) << 32;
	if (row->names & SID)
		dw[0] |= (uint64_t)bed->guest.vsid << 32;
	if (row->names & PAGE)
		dw[1] |= full_page(bed, i) &
			 ~((4096ULL << (row->dw1 & 0x3f)) - 1);
	if (row->names & WAIT)
		dw[1] = bed->guest.base + AT_STATUS;
}

const struct full_arch full_vtd = {
	.path = &path_vtd,
	.commands = (1u << 14) - 1,
	.pasid_bits = 16,
	.ways = ways,
	.nways = sizeof(ways) / sizeof(ways[0]),
	.prepare = prepare,
	.tag = tag,
	.stream = put_context,
	.command = command,
};
