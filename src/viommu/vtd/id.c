// SPDX-License-Identifier: MIT
/*
 * Which features the guest sees: the host's, less what a nested guest cannot
 * have (nesting of its own, page requests, interrupt remapping, dirty bits),
 * less what the VMM did not ask for. VT-d 11.4.2 and 11.4.3.
 *
 * Caching mode is not the host's: with it a guest says so when an entry becomes
 * present, without which nobody could follow its tables. A VMM that asks for
 * certain registers decides for itself.
 */
#include <errno.h>

#include "hwdef/vtd_regs.h"
#include "viommu/vtd/vtd.h"

#define CAP_HOST \
	(VTD_CAP_ZLR | VTD_CAP_PSI | VTD_CAP_DWD | VTD_CAP_DRD | VTD_CAP_SSLPS)
#define CAP_HOST_FIRST (VTD_CAP_FS1GP | VTD_CAP_FS5LP)
#define ECAP_HOST      (VTD_ECAP_C | VTD_ECAP_PT)
#define ECAP_HOST_SCALABLE                                               \
	(VTD_ECAP_SRS | VTD_ECAP_EAFS | VTD_ECAP_SMPWCS | VTD_ECAP_RPS | \
	 VTD_ECAP_ADMS)
#define ECAP_NESTED (VTD_ECAP_SMTS | VTD_ECAP_NEST | VTD_ECAP_FSTS)

/* Where registers lie: 11.4.7.6 and 11.4.6.2; one fault record */
#define FAULT_RECORDS 0x220u
#define IOTLB_REGS    0xf0u

#define VERSION	      0x10u /* 1.0: invalidation by registers is possible */
#define HAW	      52u

static uint64_t least(uint64_t mask, uint64_t a, uint64_t b)
{
	uint64_t fa = a & mask;
	uint64_t fb = b & mask;

	return fa < fb ? fa : fb;
}

static uint64_t cap_of(const struct vvtd_host *host, uint64_t wanted,
		       bool scalable)
{
	uint64_t cap = host->cap & wanted & CAP_HOST;

	if (scalable)
		cap |= host->cap & wanted & CAP_HOST_FIRST;
	if (host->shadows)
		cap |= host->cap & wanted & VTD_CAP_SAGAW & ~0x1100ULL;
	cap &= ~(BIT_ULL(36) | BIT_ULL(37));
	if (!(cap & BIT_ULL(34))) /* 1 GiB pages need those of 2 MiB */
		cap &= ~VTD_CAP_SSLPS;
	return cap | least(VTD_CAP_ND, host->cap, wanted) |
	       least(VTD_CAP_MGAW, host->cap, wanted) |
	       least(VTD_CAP_MAMV, host->cap, wanted) | (wanted & VTD_CAP_CM) |
	       field_prep(VTD_CAP_FRO, FAULT_RECORDS / 16);
}

static uint64_t ecap_of(const struct vvtd_host *host, uint64_t wanted,
			bool scalable)
{
	uint64_t both = host->ecap & wanted;
	uint64_t ecap = VTD_ECAP_QI | (both & ECAP_HOST);

	if (host->ats)
		ecap |= both & VTD_ECAP_DT;
	ecap |= field_prep(VTD_ECAP_IRO, IOTLB_REGS / 16);
	if (!scalable)
		return ecap;
	ecap |= VTD_ECAP_SMTS | VTD_ECAP_FSTS | (both & ECAP_HOST_SCALABLE);
	if (!(ecap & VTD_ECAP_SMPWCS))
		ecap &= ~VTD_ECAP_EAFS;
	if (host->shadows)
		ecap |= both & VTD_ECAP_SSTS;
	if (host->pasids && (both & VTD_ECAP_PASID))
		ecap |= VTD_ECAP_PASID |
			least(VTD_ECAP_PSS, host->ecap, wanted);
	return ecap;
}

int vvtd_id(const struct vvtd_host *host, uint64_t cap, uint64_t ecap,
	    struct vtd_id *id)
{
	bool scalable = (host->ecap & ECAP_NESTED) == ECAP_NESTED;
	uint64_t table_sizes;

	if (!cap)
		cap = ~0ULL;
	if (!ecap)
		ecap = ~0ULL;
	scalable = scalable && (ecap & VTD_ECAP_SMTS) && (ecap & VTD_ECAP_FSTS);
	*id = (struct vtd_id){
		.ver = VERSION,
		.cap = cap_of(host, cap, scalable),
		.ecap = ecap_of(host, ecap, scalable),
		.haw = HAW,
	};
	table_sizes = id->cap & VTD_CAP_SAGAW;
	return scalable || table_sizes ? 0 : -EOPNOTSUPP;
}
