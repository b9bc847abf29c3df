/* SPDX-License-Identifier: MIT */
/*
 * Decoding of invalidation descriptors, VT-d 6.5.2 and 7.6.1: a pure function
 * of the doublewords, the identification registers and the translation table
 * mode. Fields that the architecture has ignored come out as zero.
 *
 * Where 11.4.9.9 leaves the error open: a reserved granularity, page-selective
 * without CAP.PSI, AM above CAP.MAMV, IM above ECAP.MHMV and a nonzero upper
 * half are reserved fields of a valid type; types that ECAP or the mode has not
 * got are invalid types. Addresses are aligned to AM, never refused for it.
 *
 * Interrupt entry cache invalidation is legal without ECAP.IR, and does nothing
 * then: what 6.5.2.5 to 6.5.2.7 say of their types and DT or HPTS, 6.5.2.8 says
 * of no capability, and table 26 has the type in every mode that has any. IM
 * may be anything then, since MHMV is unused (11.4.3).
 */
#ifndef FRONT_VTD_DECODE_H
#define FRONT_VTD_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/vtd/front.h"

struct vtd_desc {
	uint8_t type; /* VTD_QI_* */
	/*
	 * Granularity: VTD_GRAN_* for context cache and IOTLB,
	 * VTD_QI_PASID_G_* and VTD_QI_PIOTLB_G_* for those; interrupt entry
	 * cache: 0 global, 1 by index. A domain- or device-selective context
	 * cache invalidation has no DID in scalable mode; the former is then
	 * global (6.5.2.1).
	 */
	uint8_t gran;
	bool ih; /* only leaves changed */
	bool drain_reads;
	bool drain_writes;
	bool global;	/* PASID-based device TLB: all PASIDs */
	bool has_pasid; /* @pasid counts; page response: PP */
	uint8_t am;	/* IOTLB by page: as encoded */
	/*
	 * Context cache, by device: bits of @sid that do not count. Device
	 * TLBs and page response: @sid exactly.
	 */
	uint8_t sid_ignored;
	uint16_t did;
	uint16_t sid;
	uint16_t pfsid; /* device TLBs, with ECAP.DIT */
	uint8_t mip;	/* device TLBs: as encoded, 0 is 32 */
	uint32_t pasid;
	/* Inclusive. Selections without an address: 0 to ~0 */
	uint64_t first;
	uint64_t last;
	/* Interrupt entries, inclusive; global: 0 to 0xffff */
	uint16_t index_first;
	uint16_t index_last;
	/* Wait */
	bool status_write; /* SW */
	bool interrupt;	   /* IF */
	bool fence;	   /* FN */
	bool page_drain;   /* PD */
	uint32_t status_data;
	uint64_t status_addr;
	/* Page response */
	uint16_t prgi;
	uint8_t response; /* 0 success, 1 invalid request, 15 failure */
};

/*
 * @ttm: VTD_TTM_* in force. 0, or the VTD_IQEI_* (TYPE, RESERVED) for which
 * the queue stops; @desc holds nothing then.
 */
unsigned int vtd_decode(const uint64_t dw[4], const struct vtd_id *id,
			unsigned int ttm, struct vtd_desc *desc);

/* "IOTLB" ...; NULL for a type that the architecture has not got */
const char *vtd_desc_name(unsigned int type);

#endif
