/* SPDX-License-Identifier: MIT */
/* Invalidation descriptors (6.5.2), as this driver makes them. */
#ifndef DRV_VTD_DESC_H
#define DRV_VTD_DESC_H

#include <stdbool.h>
#include <stdint.h>

struct unit;

#define DESC_DWORDS 4

/* Of one device; @did: in legacy mode */
void desc_context(uint16_t did, uint16_t sid, uint64_t d[DESC_DWORDS]);

void desc_pasid_cache(uint16_t did, uint32_t pasid, uint64_t d[DESC_DWORDS]);
void desc_pasid_cache_domain(uint16_t did, uint64_t d[DESC_DWORDS]);
void desc_pasid_cache_all(uint64_t d[DESC_DWORDS]);

/* By second-stage address: 2^@order pages from @addr on, aligned to that */
void desc_iotlb(const struct unit *u, uint16_t did, uint64_t addr,
		unsigned int order, bool leaf, uint64_t d[DESC_DWORDS]);
void desc_iotlb_domain(const struct unit *u, uint16_t did,
		       uint64_t d[DESC_DWORDS]);
void desc_iotlb_all(const struct unit *u, uint64_t d[DESC_DWORDS]);

/* By first-stage address */
void desc_piotlb(uint16_t did, uint32_t pasid, uint64_t addr,
		 unsigned int order, bool leaf, uint64_t d[DESC_DWORDS]);
void desc_piotlb_all(uint16_t did, uint32_t pasid, uint64_t d[DESC_DWORDS]);

/* All caches of the unit, one after the other (6.5.3.3); how many */
#define DESC_EVERYTHING 3
unsigned int desc_everything(const struct unit *u,
			     uint64_t d[DESC_EVERYTHING][DESC_DWORDS]);

/* The TLB of a device: a run that holds [@first, @last]. @pasid 0: of requests
 * without one */
void desc_dev_tlb(const struct unit *u, uint16_t sid, uint32_t pasid,
		  uint64_t first, uint64_t last, uint64_t d[DESC_DWORDS]);

/* 7.6.1; @code: the specification's. @pasid: CORE_NO_PASID: none */
void desc_page_response(uint16_t sid, uint32_t pasid, uint32_t group,
			unsigned int code, uint64_t d[DESC_DWORDS]);

void desc_nothing(uint64_t *d);
/* Status @data to @addr; what follows waits for that */
void desc_wait(uint64_t addr, uint32_t data, uint64_t *d);
bool desc_is_wait(const uint64_t *d);
bool desc_is_dev_tlb(const uint64_t *d, uint32_t *sid);

#endif
