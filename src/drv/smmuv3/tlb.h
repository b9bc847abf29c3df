/* SPDX-License-Identifier: MIT */
/* Invalidations of the host's own: drv/hostinv.h, with commands of SMMUv3. */
#ifndef DRV_SMMUV3_TLB_H
#define DRV_SMMUV3_TLB_H

#include "drv/hostinv.h"
#include "drv/smmuv3/unit.h"

/* Devices that do not answer are marked, for masters_quarantine(). */
void hostinv_init(struct hostinv *h, struct unit *u);
void hostinv_add(struct hostinv *h, uint64_t dw0, uint64_t dw1);
/* What follows starts only when what precedes is complete. */
void hostinv_barrier(struct hostinv *h);
/* One that nothing follows goes again. */
void hostinv_drop_barrier(struct hostinv *h);

void hostinv_asid(struct hostinv *h, uint16_t asid);
void hostinv_vmid_all(struct hostinv *h, uint16_t vmid); /* both stages */
void hostinv_vmid_s1(struct hostinv *h, uint16_t vmid);
/* [@first, @last] by ASID, VMID 0. @leaf: no table descriptor has changed */
void hostinv_va(struct hostinv *h, uint16_t asid, uint64_t first, uint64_t last,
		bool leaf);
void hostinv_ipa(struct hostinv *h, uint16_t vmid, uint64_t first,
		 uint64_t last, bool leaf);
/* The ATC of @m: without PASID (which reaches all) or of one PASID */
void hostinv_atc(struct hostinv *h, const struct master *m, uint32_t pasid,
		 uint64_t first, uint64_t last);
void hostinv_atc_all(struct hostinv *h, const struct master *m);

void hostinv_ste(struct hostinv *h, uint32_t sid, bool leaf);
void hostinv_cd(struct hostinv *h, uint32_t sid, uint32_t ssid, bool leaf);

#endif
