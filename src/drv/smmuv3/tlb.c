// SPDX-License-Identifier: MIT
/* Invalidations of the host's own, Arm IHI 0070 4.3 to 4.5. */
#include "drv/smmuv3/tlb.h"

#include "hwdef/smmuv3_regs.h"

#define ATC_SIZE_ALL	52 /* 2^52 pages: everything */
#define RANGE_NUMS	32
#define RANGE_SCALE_MAX 31
#define MAX_SINGLE_OPS	512 /* more pages than this: everything instead */

static struct unit *unit_of(const struct hostinv *h)
{
	return container_of(h->q, struct unit, cmdq.q);
}

void hostinv_init(struct hostinv *h, struct unit *u)
{
	hostinv_start(h, &u->cmdq.q, &u->devs);
}

void hostinv_add(struct hostinv *h, uint64_t dw0, uint64_t dw1)
{
	hostinv_put(h, (uint64_t[]){ dw0, dw1 });
}

void hostinv_barrier(struct hostinv *h)
{
	if (h->n)
		hostinv_add(h, SMMUV3_OP_SYNC, 0);
}

void hostinv_drop_barrier(struct hostinv *h)
{
	const uint64_t *last = hostinv_last(h);

	if (last && (last[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_SYNC)
		h->n--;
}

void hostinv_asid(struct hostinv *h, uint16_t asid)
{
	hostinv_add(h,
		    SMMUV3_OP_TLBI_NH_ASID |
			    field_prep(SMMUV3_TLBI_0_ASID, asid),
		    0);
}

void hostinv_vmid_all(struct hostinv *h, uint16_t vmid)
{
	hostinv_add(h,
		    SMMUV3_OP_TLBI_S12_VMALL |
			    field_prep(SMMUV3_TLBI_0_VMID, vmid),
		    0);
}

void hostinv_vmid_s1(struct hostinv *h, uint16_t vmid)
{
	hostinv_add(
		h, SMMUV3_OP_TLBI_NH_ALL | field_prep(SMMUV3_TLBI_0_VMID, vmid),
		0);
}

/*
 * 4.4.1: (NUM + 1) << SCALE granules from the address on. A level (TTL) is
 * never claimed. One granule alone may not be a range command then.
 */
static void add_ranges(struct hostinv *h, uint64_t dw0, uint64_t dw1,
		       uint64_t first, uint64_t granules)
{
	unsigned int granule_lg2 = unit_of(h)->feat.granule_lg2;
	uint64_t tg = (granule_lg2 - 10) / 2; /* 4K 1, 16K 2, 64K 3 */

	while (granules) {
		unsigned int low = (unsigned int)__builtin_ctzll(granules);
		unsigned int scale =
			low < RANGE_SCALE_MAX ? low : RANGE_SCALE_MAX;
		uint64_t num = (granules >> scale) % RANGE_NUMS;
		uint64_t done;

		if (!num)
			num = RANGE_NUMS;
		done = num << scale;
		if (done == 1)
			hostinv_add(h, dw0, dw1 | first);
		else
			hostinv_add(
				h,
				dw0 | field_prep(SMMUV3_TLBI_0_NUM, num - 1) |
					field_prep(SMMUV3_TLBI_0_SCALE, scale),
				dw1 | first | field_prep(SMMUV3_TLBI_1_TG, tg));
		first += done << granule_lg2;
		granules -= done;
	}
}

/* False: so many commands that dropping everything is cheaper */
static bool add_by_address(struct hostinv *h, uint64_t dw0, uint64_t first,
			   uint64_t last, bool leaf)
{
	unsigned int granule_lg2 = unit_of(h)->feat.granule_lg2;
	uint64_t granules = ((last - first) >> granule_lg2) + 1;
	uint64_t dw1 = leaf ? SMMUV3_TLBI_1_LEAF : 0;

	if (unit_of(h)->feat.ril) {
		add_ranges(h, dw0, dw1, first, granules);
		return true;
	}
	if (granules > MAX_SINGLE_OPS)
		return false;
	for (uint64_t i = 0; i < granules; i++)
		hostinv_add(h, dw0, dw1 | (first + (i << granule_lg2)));
	return true;
}

void hostinv_va(struct hostinv *h, uint16_t asid, uint64_t first, uint64_t last,
		bool leaf)
{
	uint64_t dw0 =
		SMMUV3_OP_TLBI_NH_VA | field_prep(SMMUV3_TLBI_0_ASID, asid);

	if (!add_by_address(h, dw0, first, last, leaf))
		hostinv_asid(h, asid);
}

void hostinv_ipa(struct hostinv *h, uint16_t vmid, uint64_t first,
		 uint64_t last, bool leaf)
{
	uint64_t dw0 =
		SMMUV3_OP_TLBI_S2_IPA | field_prep(SMMUV3_TLBI_0_VMID, vmid);

	if (!add_by_address(h, dw0, first, last, leaf))
		hostinv_vmid_all(h, vmid);
}

/*
 * A CMD_SYNC that fails names a device only if what it stands behind asks no
 * other one.
 */
static void add_atc(struct hostinv *h, uint64_t dw0, uint64_t dw1)
{
	const uint64_t *last = hostinv_last(h);
	uint64_t who = SMMUV3_CMD_0_OP | SMMUV3_CMD_0_SID;

	if (last && (last[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_ATC_INV &&
	    ((last[0] ^ dw0) & who))
		hostinv_barrier(h);
	hostinv_add(h, dw0, dw1);
}

/* 4.5.1: the span is 2^Size pages of 4 KiB, aligned to its size. */
void hostinv_atc(struct hostinv *h, const struct master *m, uint32_t pasid,
		 uint64_t first, uint64_t last)
{
	uint64_t dw0 = SMMUV3_OP_ATC_INV |
		       field_prep(SMMUV3_CMD_0_SID, m->dev->stream_id);
	uint64_t differ = (first ^ last) >> 12;
	unsigned int size = differ ? ilog2_u64(differ) + 1 : 0;

	if (pasid != CORE_NO_PASID)
		dw0 |= SMMUV3_CMD_0_SSV | field_prep(SMMUV3_CMD_0_SSID, pasid);
	add_atc(h, dw0,
		(first & ~low_mask(12 + size)) |
			field_prep(SMMUV3_ATC_1_SIZE, size));
}

/*
 * PCIe lets an invalidation without PASID mean all PASIDs or only requests
 * without one, so a device with PASIDs gets both kinds.
 */
void hostinv_atc_all(struct hostinv *h, const struct master *m)
{
	uint64_t dw0 = SMMUV3_OP_ATC_INV |
		       field_prep(SMMUV3_CMD_0_SID, m->dev->stream_id);

	add_atc(h, dw0, ATC_SIZE_ALL);
	if (m->ssid_bits)
		add_atc(h, dw0 | SMMUV3_CMD_0_SSV | SMMUV3_ATC_0_G,
			ATC_SIZE_ALL);
}

void hostinv_ste(struct hostinv *h, uint32_t sid, bool leaf)
{
	hostinv_add(h, SMMUV3_OP_CFGI_STE | field_prep(SMMUV3_CMD_0_SID, sid),
		    leaf ? SMMUV3_CFGI_1_LEAF : 0);
}

void hostinv_cd(struct hostinv *h, uint32_t sid, uint32_t ssid, bool leaf)
{
	hostinv_add(h,
		    SMMUV3_OP_CFGI_CD | field_prep(SMMUV3_CMD_0_SID, sid) |
			    field_prep(SMMUV3_CMD_0_SSID, ssid),
		    leaf ? SMMUV3_CFGI_1_LEAF : 0);
}
