// SPDX-License-Identifier: MIT
/*
 * Decoding of invalidation descriptors, VT-d 6.5.2 and 7.6.1.
 *
 * A row per type says which bits are defined; the others are reserved (RsvdZ)
 * and refused, as is a reserved value of a field. Doublewords 2 and 3 are
 * reserved in all of them.
 */
#include "front/vtd/decode.h"

#include "base/bits.h"
#include "hwdef/vtd_regs.h"

#define TYPE (VTD_QI_0_TYPE_LO | VTD_QI_0_TYPE_HI)

static uint64_t get(uint64_t mask, uint64_t dw)
{
	return field_get(mask, dw);
}

static bool has(uint64_t reg, uint64_t bits)
{
	return (reg & bits) == bits;
}

static unsigned int lowest_bit(uint64_t word)
{
	return (unsigned int)__builtin_ctzll(word);
}

/* @did, by as many of its bits as the unit tells apart: 4 + 2 ND */
static uint16_t domain(const struct vtd_id *id, uint64_t did)
{
	unsigned int nd = (unsigned int)get(VTD_CAP_ND, id->cap);

	return (uint16_t)(did & ((16u << 2 * nd) - 1));
}

/* What the unit translates of @addr */
static uint64_t guest_address(const struct vtd_id *id, uint64_t addr)
{
	unsigned int mgaw = (unsigned int)get(VTD_CAP_MGAW, id->cap);

	return addr & low_mask(1 + mgaw);
}

static void all_addresses(struct vtd_desc *out)
{
	out->first = 0;
	out->last = ~0ULL;
}

/* 2^@am pages, aligned to their size (table 22) */
static void page_range(struct vtd_desc *out, uint64_t addr, unsigned int am)
{
	uint64_t inside = low_mask(am + 12);

	out->am = (uint8_t)am;
	out->first = addr & ~inside;
	out->last = addr | inside;
}

/*
 * PCI Express ATS: with S the lowest clear bit of ADDR, from bit 12 up, is the
 * highest one that does not count; bit 63 is that of everything.
 */
static void ats_range(struct vtd_desc *out, uint64_t addr, bool s)
{
	uint64_t clear = ~(addr | low_mask(12));
	uint64_t inside = low_mask(12);

	if (s)
		inside = clear ? low_mask(lowest_bit(clear) + 1) : ~0ULL;
	out->first = addr & ~inside;
	out->last = addr | inside;
}

static unsigned int decode_context(const uint64_t dw[4],
				   const struct vtd_id *id,
				   struct vtd_desc *out)
{
	uint64_t fm = get(VTD_QI_CONTEXT_0_FM, dw[0]);

	out->gran = (uint8_t)get(VTD_QI_CONTEXT_0_G, dw[0]);
	if (!out->gran)
		return VTD_IQEI_RESERVED;
	if (out->gran == VTD_GRAN_DEVICE) {
		out->sid = (uint16_t)get(VTD_QI_CONTEXT_0_SID, dw[0]);
		/* the upper ones of the three function bits, table 21 */
		out->sid_ignored = (uint8_t)(7 & ~(7u >> fm));
	}
	if (out->gran != VTD_GRAN_GLOBAL)
		out->did = domain(id, get(VTD_QI_CONTEXT_0_DID, dw[0]));
	return 0;
}

/* 6.5.2.1: in other modes than legacy no domain is told apart. */
static unsigned int decode_context_of_all(const uint64_t dw[4],
					  const struct vtd_id *id,
					  struct vtd_desc *out)
{
	unsigned int iqei = decode_context(dw, id, out);

	out->did = 0;
	if (out->gran == VTD_GRAN_DOMAIN)
		out->gran = VTD_GRAN_GLOBAL;
	return iqei;
}

static unsigned int decode_pasid(const uint64_t dw[4], const struct vtd_id *id,
				 struct vtd_desc *out)
{
	out->gran = (uint8_t)get(VTD_QI_PASID_0_G, dw[0]);
	switch (out->gran) {
	case VTD_QI_PASID_G_GLOBAL:
		return 0;
	case VTD_QI_PASID_G_PASID:
		out->has_pasid = true;
		out->pasid = (uint32_t)get(VTD_QI_PASID_0_PASID, dw[0]);
		break;
	case VTD_QI_PASID_G_DOMAIN:
		break;
	default:
		return VTD_IQEI_RESERVED;
	}
	out->did = domain(id, get(VTD_QI_PASID_0_DID, dw[0]));
	return 0;
}

static bool am_is_supported(const struct vtd_id *id, uint64_t am)
{
	return has(id->cap, VTD_CAP_PSI) && am <= get(VTD_CAP_MAMV, id->cap);
}

/* DR and DW count before major version 2, and if there is draining at all */
static unsigned int decode_iotlb(const uint64_t dw[4], const struct vtd_id *id,
				 struct vtd_desc *out)
{
	uint64_t am = get(VTD_QI_IOTLB_1_AM, dw[1]);
	bool always = get(VTD_VER_MAJ, id->ver) >= 2;

	out->gran = (uint8_t)get(VTD_QI_IOTLB_0_G, dw[0]);
	if (!out->gran)
		return VTD_IQEI_RESERVED;
	if (out->gran == VTD_GRAN_PAGE && !am_is_supported(id, am))
		return VTD_IQEI_RESERVED;
	out->drain_reads = always || (has(dw[0], VTD_QI_IOTLB_0_DR) &&
				      has(id->cap, VTD_CAP_DRD));
	out->drain_writes = always || (has(dw[0], VTD_QI_IOTLB_0_DW) &&
				       has(id->cap, VTD_CAP_DWD));
	if (out->gran != VTD_GRAN_GLOBAL)
		out->did = domain(id, get(VTD_QI_IOTLB_0_DID, dw[0]));
	all_addresses(out);
	if (out->gran != VTD_GRAN_PAGE)
		return 0;
	out->ih = has(dw[1], VTD_QI_IOTLB_1_IH);
	page_range(out, guest_address(id, dw[1] & VTD_QI_IOTLB_1_ADDR),
		   (unsigned int)am);
	return 0;
}

/* Always drains, and takes any address mask (11.4.2, MAMV). */
static unsigned int decode_piotlb(const uint64_t dw[4], const struct vtd_id *id,
				  struct vtd_desc *out)
{
	out->gran = (uint8_t)get(VTD_QI_PIOTLB_0_G, dw[0]);
	if (out->gran < VTD_QI_PIOTLB_G_PASID)
		return VTD_IQEI_RESERVED;
	out->drain_reads = true;
	out->drain_writes = true;
	out->did = domain(id, get(VTD_QI_PIOTLB_0_DID, dw[0]));
	out->has_pasid = true;
	out->pasid = (uint32_t)get(VTD_QI_PIOTLB_0_PASID, dw[0]);
	all_addresses(out);
	if (out->gran == VTD_QI_PIOTLB_G_PASID)
		return 0;
	out->ih = has(dw[1], VTD_QI_PIOTLB_1_IH);
	page_range(out, dw[1] & VTD_QI_PIOTLB_1_ADDR,
		   (unsigned int)get(VTD_QI_PIOTLB_1_AM, dw[1]));
	return 0;
}

/* The same bits in both device TLB descriptors; reserved without DIT */
static unsigned int decode_pfsid(uint64_t dw0, const struct vtd_id *id,
				 struct vtd_desc *out)
{
	uint64_t pfsid = get(VTD_QI_DEV_0_PFSID_HI, dw0) << 4 |
			 get(VTD_QI_DEV_0_PFSID_LO, dw0);

	if (pfsid && !has(id->ecap, VTD_ECAP_DIT))
		return VTD_IQEI_RESERVED;
	out->pfsid = (uint16_t)pfsid;
	return 0;
}

static unsigned int decode_dev_tlb(const uint64_t dw[4],
				   const struct vtd_id *id,
				   struct vtd_desc *out)
{
	out->sid = (uint16_t)get(VTD_QI_DEV_0_SID, dw[0]);
	out->mip = (uint8_t)get(VTD_QI_DEV_0_MIP, dw[0]);
	ats_range(out, dw[1] & VTD_QI_DEV_1_ADDR, has(dw[1], VTD_QI_DEV_1_S));
	return decode_pfsid(dw[0], id, out);
}

static unsigned int decode_pdev_tlb(const uint64_t dw[4],
				    const struct vtd_id *id,
				    struct vtd_desc *out)
{
	out->sid = (uint16_t)get(VTD_QI_PDEV_0_SID, dw[0]);
	out->mip = (uint8_t)get(VTD_QI_PDEV_0_MIP, dw[0]);
	out->global = has(dw[1], VTD_QI_PDEV_1_GI);
	out->has_pasid = !out->global;
	if (out->has_pasid)
		out->pasid = (uint32_t)get(VTD_QI_PDEV_0_PASID, dw[0]);
	ats_range(out, dw[1] & VTD_QI_PDEV_1_ADDR, has(dw[1], VTD_QI_PDEV_1_S));
	return decode_pfsid(dw[0], id, out);
}

/* Without interrupt remapping it is as good a type, and MHMV unused: decode.h
 */
static unsigned int decode_iec(const uint64_t dw[4], const struct vtd_id *id,
			       struct vtd_desc *out)
{
	uint64_t ecap = id->ecap;
	uint64_t im = get(VTD_QI_IEC_0_IM, dw[0]);
	uint64_t inside = low_mask((unsigned int)im);
	uint64_t index = get(VTD_QI_IEC_0_IIDX, dw[0]);

	out->gran = has(dw[0], VTD_QI_IEC_0_G);
	out->index_last = 0xffff;
	if (!out->gran)
		return 0;
	if (has(ecap, VTD_ECAP_IR) && im > get(VTD_ECAP_MHMV, ecap))
		return VTD_IQEI_RESERVED;
	out->index_first = (uint16_t)(index & ~inside);
	out->index_last = (uint16_t)(index | inside);
	return 0;
}

static unsigned int decode_wait(const uint64_t dw[4], const struct vtd_id *id,
				struct vtd_desc *out)
{
	out->interrupt = has(dw[0], VTD_QI_WAIT_0_IF);
	out->status_write = has(dw[0], VTD_QI_WAIT_0_SW);
	out->fence = has(dw[0], VTD_QI_WAIT_0_FN);
	out->page_drain = has(dw[0], VTD_QI_WAIT_0_PD);
	if (out->page_drain && !has(id->ecap, VTD_ECAP_PDS))
		return VTD_IQEI_RESERVED;
	if (!out->status_write)
		return 0;
	out->status_data = (uint32_t)get(VTD_QI_WAIT_0_DATA, dw[0]);
	out->status_addr = dw[1] & VTD_QI_WAIT_1_ADDR & low_mask(id->haw);
	return 0;
}

static unsigned int decode_page_response(const uint64_t dw[4],
					 const struct vtd_id *id,
					 struct vtd_desc *out)
{
	(void)id;
	out->sid = (uint16_t)get(VTD_QI_PGRP_0_SID, dw[0]);
	out->has_pasid = has(dw[0], VTD_QI_PGRP_0_PP);
	if (out->has_pasid)
		out->pasid = (uint32_t)get(VTD_QI_PGRP_0_PASID, dw[0]);
	out->response = (uint8_t)get(VTD_QI_PGRP_0_CODE, dw[0]);
	out->prgi = (uint16_t)get(VTD_QI_PGRP_1_PRGI, dw[1]);
	return 0;
}

struct type {
	const char *name;
	unsigned int (*decode)(const uint64_t dw[4], const struct vtd_id *id,
			       struct vtd_desc *out);
	bool not_legacy; /* table 26 */
	uint64_t needs;	 /* bits of ECAP without which it is no type */
	uint64_t defined[2];
};

static const struct type types[] = {
	[VTD_QI_CONTEXT] = {
		"CONTEXT", decode_context, false, 0,
		{ TYPE | VTD_QI_CONTEXT_0_G | VTD_QI_CONTEXT_0_DID |
		  VTD_QI_CONTEXT_0_SID | VTD_QI_CONTEXT_0_FM },
	},
	[VTD_QI_IOTLB] = {
		"IOTLB", decode_iotlb, false, 0,
		{ TYPE | VTD_QI_IOTLB_0_G | VTD_QI_IOTLB_0_DW |
		  VTD_QI_IOTLB_0_DR | VTD_QI_IOTLB_0_DID,
		  VTD_QI_IOTLB_1_AM | VTD_QI_IOTLB_1_IH | VTD_QI_IOTLB_1_ADDR },
	},
	[VTD_QI_DEV_TLB] = {
		"DEV_TLB", decode_dev_tlb, false, VTD_ECAP_DT,
		{ TYPE | VTD_QI_DEV_0_PFSID_LO | VTD_QI_DEV_0_MIP |
		  VTD_QI_DEV_0_SID | VTD_QI_DEV_0_PFSID_HI,
		  VTD_QI_DEV_1_S | VTD_QI_DEV_1_ADDR },
	},
	[VTD_QI_IEC] = {
		"IEC", decode_iec, false, 0,
		{ TYPE | VTD_QI_IEC_0_G | VTD_QI_IEC_0_IM | VTD_QI_IEC_0_IIDX },
	},
	[VTD_QI_WAIT] = {
		"WAIT", decode_wait, false, 0,
		{ TYPE | VTD_QI_WAIT_0_IF | VTD_QI_WAIT_0_SW |
		  VTD_QI_WAIT_0_FN | VTD_QI_WAIT_0_PD | VTD_QI_WAIT_0_DATA,
		  VTD_QI_WAIT_1_ADDR },
	},
	[VTD_QI_PIOTLB] = {
		"PIOTLB", decode_piotlb, true, 0,
		{ TYPE | VTD_QI_PIOTLB_0_G | VTD_QI_PIOTLB_0_DID |
		  VTD_QI_PIOTLB_0_PASID,
		  VTD_QI_PIOTLB_1_AM | VTD_QI_PIOTLB_1_IH |
		  VTD_QI_PIOTLB_1_ADDR },
	},
	[VTD_QI_PASID_CACHE] = {
		"PASID", decode_pasid, true, 0,
		{ TYPE | VTD_QI_PASID_0_G | VTD_QI_PASID_0_DID |
		  VTD_QI_PASID_0_PASID },
	},
	[VTD_QI_PDEV_TLB] = {
		"PDEV_TLB", decode_pdev_tlb, true, VTD_ECAP_DT,
		{ TYPE | VTD_QI_PDEV_0_MIP | VTD_QI_PDEV_0_PFSID_LO |
		  VTD_QI_PDEV_0_SID | VTD_QI_PDEV_0_PASID |
		  VTD_QI_PDEV_0_PFSID_HI,
		  VTD_QI_PDEV_1_GI | VTD_QI_PDEV_1_S | VTD_QI_PDEV_1_ADDR },
	},
	[VTD_QI_PAGE_RESPONSE] = {
		"PAGE_RESPONSE", decode_page_response, true, VTD_ECAP_PRS,
		{ TYPE | VTD_QI_PGRP_0_PP | VTD_QI_PGRP_0_CODE |
		  VTD_QI_PGRP_0_SID | VTD_QI_PGRP_0_PASID,
		  VTD_QI_PGRP_1_IGN | VTD_QI_PGRP_1_PRGI },
	},
};

static const struct type *find_type(uint64_t type)
{
	return type < ARRAY_SIZE(types) && types[type].decode ? &types[type]
							      : NULL;
}

unsigned int vtd_decode(const uint64_t dw[4], const struct vtd_id *id,
			unsigned int ttm, struct vtd_desc *desc)
{
	uint64_t number = get(VTD_QI_0_TYPE_HI, dw[0]) << 4 |
			  get(VTD_QI_0_TYPE_LO, dw[0]);
	const struct type *type = find_type(number);

	if (!type || (type->not_legacy && ttm == VTD_TTM_LEGACY) ||
	    !has(id->ecap, type->needs))
		return VTD_IQEI_TYPE;
	if ((dw[0] & ~type->defined[0]) | (dw[1] & ~type->defined[1]) | dw[2] |
	    dw[3])
		return VTD_IQEI_RESERVED;
	*desc = (struct vtd_desc){ .type = (uint8_t)number };
	if (number == VTD_QI_CONTEXT && ttm != VTD_TTM_LEGACY)
		return decode_context_of_all(dw, id, desc);
	return type->decode(dw, id, desc);
}

const char *vtd_desc_name(unsigned int type)
{
	const struct type *known = find_type(type);

	return known ? known->name : NULL;
}
