// SPDX-License-Identifier: MIT
/* See desc.h. */
#include "drv/vtd/desc.h"

#include <string.h>

#include "drv/vtd/unit.h"
#include "hwdef/vtd_qi.h"
#include "hwdef/vtd_regs.h"

#define PAGE_LG2 12

static void set(uint64_t d[DESC_DWORDS], uint64_t dw0, uint64_t dw1)
{
	d[0] = dw0;
	d[1] = dw1;
	d[2] = 0;
	d[3] = 0;
}

void desc_context(uint16_t did, uint16_t sid, uint64_t d[DESC_DWORDS])
{
	set(d,
	    VTD_QI_CONTEXT | field_prep(VTD_QI_CONTEXT_0_G, VTD_GRAN_DEVICE) |
		    field_prep(VTD_QI_CONTEXT_0_DID, did) |
		    field_prep(VTD_QI_CONTEXT_0_SID, sid),
	    0);
}

static void desc_context_all(uint64_t d[DESC_DWORDS])
{
	set(d, VTD_QI_CONTEXT | field_prep(VTD_QI_CONTEXT_0_G, VTD_GRAN_GLOBAL),
	    0);
}

void desc_pasid_cache(uint16_t did, uint32_t pasid, uint64_t d[DESC_DWORDS])
{
	set(d,
	    VTD_QI_PASID_CACHE |
		    field_prep(VTD_QI_PASID_0_G, VTD_QI_PASID_G_PASID) |
		    field_prep(VTD_QI_PASID_0_DID, did) |
		    field_prep(VTD_QI_PASID_0_PASID, pasid),
	    0);
}

void desc_pasid_cache_domain(uint16_t did, uint64_t d[DESC_DWORDS])
{
	set(d,
	    VTD_QI_PASID_CACHE |
		    field_prep(VTD_QI_PASID_0_G, VTD_QI_PASID_G_DOMAIN) |
		    field_prep(VTD_QI_PASID_0_DID, did),
	    0);
}

void desc_pasid_cache_all(uint64_t d[DESC_DWORDS])
{
	set(d,
	    VTD_QI_PASID_CACHE |
		    field_prep(VTD_QI_PASID_0_G, VTD_QI_PASID_G_GLOBAL),
	    0);
}

/* 6.5.2.3: from version 2 on hardware drains whatever these say */
static uint64_t iotlb_0(const struct unit *u, unsigned int gran, uint16_t did)
{
	return VTD_QI_IOTLB | field_prep(VTD_QI_IOTLB_0_G, gran) |
	       (u->feat.drain_reads ? VTD_QI_IOTLB_0_DR : 0) |
	       (u->feat.drain_writes ? VTD_QI_IOTLB_0_DW : 0) |
	       field_prep(VTD_QI_IOTLB_0_DID, did);
}

void desc_iotlb(const struct unit *u, uint16_t did, uint64_t addr,
		unsigned int order, bool leaf, uint64_t d[DESC_DWORDS])
{
	set(d, iotlb_0(u, VTD_GRAN_PAGE, did),
	    (addr & VTD_QI_IOTLB_1_ADDR) | order |
		    (leaf ? VTD_QI_IOTLB_1_IH : 0));
}

void desc_iotlb_domain(const struct unit *u, uint16_t did,
		       uint64_t d[DESC_DWORDS])
{
	set(d, iotlb_0(u, VTD_GRAN_DOMAIN, did), 0);
}

void desc_iotlb_all(const struct unit *u, uint64_t d[DESC_DWORDS])
{
	set(d, iotlb_0(u, VTD_GRAN_GLOBAL, 0), 0);
}

unsigned int desc_everything(const struct unit *u,
			     uint64_t d[DESC_EVERYTHING][DESC_DWORDS])
{
	unsigned int n = 0;

	desc_context_all(d[n++]);
	if (u->feat.scalable)
		desc_pasid_cache_all(d[n++]);
	desc_iotlb_all(u, d[n++]);
	return n;
}

static uint64_t piotlb_0(unsigned int gran, uint16_t did, uint32_t pasid)
{
	return VTD_QI_PIOTLB | field_prep(VTD_QI_PIOTLB_0_G, gran) |
	       field_prep(VTD_QI_PIOTLB_0_DID, did) |
	       field_prep(VTD_QI_PIOTLB_0_PASID, pasid);
}

void desc_piotlb(uint16_t did, uint32_t pasid, uint64_t addr,
		 unsigned int order, bool leaf, uint64_t d[DESC_DWORDS])
{
	set(d, piotlb_0(VTD_QI_PIOTLB_G_PAGE, did, pasid),
	    (addr & VTD_QI_PIOTLB_1_ADDR) | order |
		    (leaf ? VTD_QI_PIOTLB_1_IH : 0));
}

void desc_piotlb_all(uint16_t did, uint32_t pasid, uint64_t d[DESC_DWORDS])
{
	set(d, piotlb_0(VTD_QI_PIOTLB_G_PASID, did, pasid), 0);
}

/*
 * PCIe, ATS: with S the lowest zero bit of the address says how large the run
 * is, and bit 63 stays clear for the largest (6.5.3.3: "global").
 */
static uint64_t dev_range(uint64_t first, uint64_t last, uint64_t s)
{
	uint64_t differ = (first ^ last) >> PAGE_LG2;
	unsigned int order = differ ? ilog2_u64(differ) + 1 : 0;
	uint64_t ones;

	if (!order)
		return first & ~low_mask(PAGE_LG2);
	ones = low_mask(PAGE_LG2 + order - 1) & ~low_mask(PAGE_LG2);
	return (first & ~low_mask(PAGE_LG2 + order)) | ones | s;
}

/*
 * What throttles is a physical function's: which one a virtual function belongs
 * to is not known here, so each counts for itself. MIP 0: no need for it.
 */
static uint64_t pfsid(const struct unit *u, uint16_t sid)
{
	if (!u->feat.throttles)
		return 0;
	return field_prep(VTD_QI_DEV_0_PFSID_LO, sid & 0xf) |
	       field_prep(VTD_QI_DEV_0_PFSID_HI, sid >> 4);
}

void desc_dev_tlb(const struct unit *u, uint16_t sid, uint32_t pasid,
		  uint64_t first, uint64_t last, uint64_t d[DESC_DWORDS])
{
	if (!pasid)
		set(d,
		    VTD_QI_DEV_TLB | field_prep(VTD_QI_DEV_0_SID, sid) |
			    pfsid(u, sid),
		    dev_range(first, last, VTD_QI_DEV_1_S));
	else
		set(d,
		    VTD_QI_PDEV_TLB | field_prep(VTD_QI_PDEV_0_SID, sid) |
			    field_prep(VTD_QI_PDEV_0_PASID, pasid) |
			    pfsid(u, sid),
		    dev_range(first, last, VTD_QI_PDEV_1_S));
}

void desc_page_response(uint16_t sid, uint32_t pasid, uint32_t group,
			unsigned int code, uint64_t d[DESC_DWORDS])
{
	uint64_t dw0 = VTD_QI_PAGE_RESPONSE |
		       field_prep(VTD_QI_PGRP_0_CODE, code) |
		       field_prep(VTD_QI_PGRP_0_SID, sid);

	if (pasid != CORE_NO_PASID)
		dw0 |= VTD_QI_PGRP_0_PP |
		       field_prep(VTD_QI_PGRP_0_PASID, pasid);
	set(d, dw0, field_prep(VTD_QI_PGRP_1_PRGI, group));
}

void desc_nothing(uint64_t *d)
{
	set(d, VTD_QI_WAIT, 0);
}

void desc_wait(uint64_t addr, uint32_t data, uint64_t *d)
{
	set(d,
	    VTD_QI_WAIT | VTD_QI_WAIT_0_SW | VTD_QI_WAIT_0_FN |
		    field_prep(VTD_QI_WAIT_0_DATA, data),
	    addr & VTD_QI_WAIT_1_ADDR);
}

static uint64_t type_of(const uint64_t *d)
{
	return d[0] & (VTD_QI_0_TYPE_HI | VTD_QI_0_TYPE_LO);
}

bool desc_is_wait(const uint64_t *d)
{
	return type_of(d) == VTD_QI_WAIT;
}

bool desc_is_dev_tlb(const uint64_t *d, uint32_t *sid)
{
	switch (type_of(d)) {
	case VTD_QI_DEV_TLB:
		*sid = (uint32_t)field_get(VTD_QI_DEV_0_SID, d[0]);
		return true;
	case VTD_QI_PDEV_TLB:
		*sid = (uint32_t)field_get(VTD_QI_PDEV_0_SID, d[0]);
		return true;
	}
	return false;
}
