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
/* Roots of shadowed tables, one for each PASID; and others like them */
#define AT_ROOTS     0x1800000ULL
#define AT_NEW_ROOTS 0x2c00000ULL

/* Which spreads */
#define PASIDS	0x01u
#define DIDS	0x02u /* one for each PASID */
#define ATC	0x04u
#define DEVICES 0x08u
#define STAGE2	0x10u  /* bare: no first stage */
#define REST	0x20u  /* besides: what does not look at translations */
#define SHADOW	0x40u  /* guest: no first stage; kept as an IOAS */
#define TABLES	0x80u  /* one for each PASID */
#define DOMAINS 0x100u /* likewise */
#define FENCES	0x200u /* what takes many accesses */
#define CACHES	(PASIDS | DIDS)

/* What is in the words besides */
#define DID   0x1u
#define PASID 0x2u
#define SID   0x4u
#define PAGE  0x8u
#define WAIT  0x10u
#define FENCE 0x100u /* each second one is a wait with FN and a status */
/* Before it is queued all leaves ... */
#define GONE  0x20u
#define MOVED 0x40u /* lead elsewhere */
#define ANEW  0x80u /* are in another table, which all PASIDs have */

#define LEAF  0x40ULL /* IH */

static const struct full_row rows[] = {
	{ "wait", REST, 0x25, 0, WAIT },
	{ "fence", REST, 0x65, 0, WAIT },
	{ "IOTLB, of a domain, and a fence, in turn", FENCES, 0x22, 0,
	  DID | FENCE },
	{ "PASID cache, global, and a fence, in turn", FENCES, 0x37, 0, FENCE },
	{ "P_IOTLB, a page each", CACHES, 0x36, LEAF, DID | PASID | PAGE },
	{ "P_IOTLB, a page each, and tables", CACHES, 0x36, 0,
	  DID | PASID | PAGE },
	{ "P_IOTLB, 512 pages each", CACHES, 0x36, LEAF | 9,
	  DID | PASID | PAGE },
	{ "P_IOTLB, 2^40 pages", CACHES, 0x36, LEAF | 40, DID | PASID },
	{ "P_IOTLB, 2^40 pages, and tables", CACHES, 0x36, 40, DID | PASID },
	{ "P_IOTLB, of a PASID", CACHES, 0x26, 0, DID | PASID },
	{ "IOTLB, a page each", CACHES | STAGE2 | SHADOW, 0x32, LEAF,
	  DID | PAGE },
	{ "IOTLB, a page each, and tables", CACHES | STAGE2, 0x32, 0,
	  DID | PAGE },
	{ "IOTLB, 2^18 pages, and tables", CACHES | STAGE2 | SHADOW, 0x32, 18,
	  DID | PAGE },
	{ "IOTLB, of a domain", CACHES | STAGE2 | SHADOW, 0x22, 0, DID },
	{ "IOTLB, global", CACHES | STAGE2 | SHADOW, 0x12, 0, 0 },
	{ "PASID cache, global, anew", CACHES | SHADOW, 0x37, 0, ANEW, true },
	{ "IOTLB, a page each, all moved", SHADOW, 0x32, LEAF,
	  DID | PAGE | MOVED },
	{ "IOTLB, of a domain, all gone", SHADOW, 0x22, 0, DID | GONE },
	{ "IOTLB, of a domain, all moved", SHADOW, 0x22, 0, DID | MOVED },
	{ "PASID cache, of a PASID, anew", SHADOW, 0x17, 0, DID | PASID | ANEW,
	  true },
	{ "context cache, global, anew", SHADOW, 0x11, 0, ANEW, true },
	{ "PASID cache, of a PASID", REST | DEVICES | SHADOW, 0x17, 0,
	  DID | PASID, true },
	{ "PASID cache, of a domain", REST | DEVICES | SHADOW, 0x07, 0, DID,
	  true },
	{ "PASID cache, global", REST | DEVICES | SHADOW, 0x37, 0, 0, true },
	{ "context cache, of a device", REST | DEVICES | SHADOW, 0x31, 0,
	  DID | SID, true },
	{ "context cache, of a domain", REST | DEVICES | SHADOW, 0x21, 0, DID,
	  true },
	{ "context cache, global", REST | DEVICES | SHADOW, 0x11, 0, 0, true },
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
	{ "10^5 translations of 4000 PASIDs", PASIDS | REST | FENCES,
	  MANY_E5(4000) },
	{ "10^6 translations of 4000 PASIDs", PASIDS, MANY_E6(4000) },
	{ "10^6 translations of 4000 domains", DIDS | REST, MANY_E6(4000) },
	{ "10^6 translations in a device's TLB", ATC, IN_ATC_E6 },
	{ "64 devices", DEVICES, REQUESTERS(63) },
	{ "128 devices", DEVICES, REQUESTERS(127) },
	{ "10^5 leaves of a shadowed table", SHADOW | FENCES, ONE_E5 },
	{ "10^5 leaves of a table, 63 PASIDs, a domain each", SHADOW | DOMAINS,
	  MANY_E5(63) },
	{ "10^5 leaves of 4000 tables, one domain", SHADOW | TABLES,
	  MANY_E5(4000) },
	{ "10^5 leaves of 4000 tables, a domain each",
	  SHADOW | DOMAINS | TABLES, MANY_E5(4000) },
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
	return bed->spread->kind & (DIDS | DOMAINS) ? 1 + tag : 1;
}

/* The one of requests without PASID is 0. */
static uint64_t pasid_of(const struct full_bed *bed, uint32_t tag)
{
	return bed->spread->tags > 1 ? 1 + tag : 0;
}

/* ---- tables ---- */

static void put_second_stage(const struct full_bed *bed, uint64_t pasid,
			     uint64_t did, uint64_t root)
{
	const struct guest *g = &bed->guest;
	uint64_t at = g->base + AT_PASIDS + pasid * 64;

	guest_put(g, at + 8, did);
	guest_put(g, at, root | 0x89); /* 48 bits */
}

/* As the entry of PASID 0 that the guest booted with: both stages, bare */
static void put_pasid(struct full_bed *bed, uint64_t pasid, uint64_t did)
{
	struct guest *g = &bed->guest;
	uint64_t own = g->base + AT_OWN_PASIDS;
	uint64_t at = g->base + AT_PASIDS + pasid * 64;

	guest_put(g, g->base + AT_DIR + (pasid >> 6) * 8,
		  (g->base + AT_PASIDS + (pasid >> 6) * 4096) | 1);
	if (bed->spread->kind & (STAGE2 | SHADOW)) {
		put_second_stage(bed, pasid, did, g->base + g->arch->root);
		return;
	}
	guest_put(g, at + 8, did);
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

static void forget_all(struct guest *g)
{
	guest_command(g, 0x11, 0); /* context cache, PASID cache, IOTLB */
	guest_command(g, 0x37, 0);
	guest_command(g, 0x12, 0);
	guest_wait(g);
	guest_ring(g);
}

/* The root table is for 16 buses: as many devices as a spread may have. */
static void prepare(struct full_bed *bed)
{
	struct guest *g = &bed->guest;

	if (bed->host.bare)
		path_vtd.nest(g);
	if (bed->spread->kind & (STAGE2 | SHADOW))
		g->arch = second_stage_words();
	for (uint64_t bus = 0; bed->host.bare && bus < 32; bus++)
		guest_put(g, g->base + AT_ROOT + bus * 8,
			  (g->base + AT_CTXS + bus * 4096) | 1);
	put_pasid(bed, 0, did_of(bed, 0));
	for (uint32_t tag = 0; tag < bed->spread->tags; tag++)
		put_pasid(bed, pasid_of(bed, tag), did_of(bed, tag));
	put_context(bed, g->vsid);
	forget_all(g);
}

/* Roots that lead to the same tables as the first: one, or one for each PASID
 */
static void put_roots(const struct full_bed *bed, uint64_t at)
{
	const struct guest *g = &bed->guest;
	uint64_t from = g->base + g->arch->root;
	bool many = bed->spread->kind & TABLES;

	for (uint32_t tag = 0; tag < bed->spread->tags; tag++) {
		uint64_t root = g->base + at + (many ? tag * 4096ULL : 0);

		for (uint64_t i = 0; i < 4096; i += 8)
			guest_put(g, root + i, guest_get(g, from + i));
		if (bed->spread->kind & SHADOW)
			put_second_stage(bed, pasid_of(bed, tag),
					 did_of(bed, tag), root);
		else
			guest_put(g,
				  g->base + AT_PASIDS +
					  pasid_of(bed, tag) * 64 + 16,
				  root);
	}
}

static void mapped(struct full_bed *bed)
{
	if (!(bed->spread->kind & SHADOW))
		return;
	if (bed->spread->kind & TABLES)
		put_roots(bed, AT_ROOTS);
	forget_all(&bed->guest);
	while (nestfd_viommu_pump(bed->guest.viommu) > 0)
		;
}

static uint32_t tag(struct full_bed *bed, uint32_t tag)
{
	uint64_t pasid = pasid_of(bed, tag);

	return pasid ? (uint32_t)pasid : NESTFD_NO_PASID;
}

/* ---- the queue ---- */

/* All leaves of the spread become @entry; @step: each the next page */
static void put_leaves(const struct full_bed *bed, uint64_t entry,
		       uint64_t step)
{
	const struct full_spread *s = bed->spread;
	const struct guest *g = &bed->guest;

	for (uint64_t n = 0; n < s->cached / s->tags; n++) {
		uint64_t table = g->base + g->arch->root;
		uint64_t iova = FULL_IOVA + n * 4096;

		for (unsigned int shift = 39; shift > 12; shift -= 9)
			table = guest_get(g,
					  table + (iova >> shift & 511) * 8) &
				~0xfffULL;
		guest_put(g, table + (iova >> 12 & 511) * 8,
			  entry + n % 512 * step);
	}
}

static void change(const struct full_bed *bed, uint32_t names)
{
	if (names & GONE)
		put_leaves(bed, 0, 0);
	if (names & MOVED)
		put_leaves(bed, guest_page(&bed->guest, 1) | 3, 4096);
	if (names & ANEW)
		put_roots(bed, AT_NEW_ROOTS);
}

static void command(const struct full_bed *bed, const struct full_row *row,
		    uint32_t i, uint64_t dw[2])
{
	uint32_t of = full_tag(bed, i);

	if (!i)
		change(bed, row->names);
	if (row->names & FENCE && i & 1) {
		dw[0] = 0x65;
		dw[1] = bed->guest.base + AT_STATUS;
		return;
	}
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
	.mapped = mapped,
	.stream = put_context,
	.command = command,
};
