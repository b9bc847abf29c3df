// SPDX-License-Identifier: MIT
/*
 * What the model says of itself in VER, CAP and ECAP (11.4.1 to 11.4.3), and
 * what it may be told to say.
 */
#include "model/vtd/engine.h"

#include <errno.h>

/* Bits that may be set; everything else the model has not got */
#define CAP_OFFERED                                                      \
	(VTD_CAP_ND | VTD_CAP_RWBF | VTD_CAP_CM | VTD_CAP_SAGAW |        \
	 VTD_CAP_MGAW | VTD_CAP_ZLR | VTD_CAP_FRO | VTD_CAP_SSLPS |      \
	 VTD_CAP_PSI | VTD_CAP_NFR | VTD_CAP_MAMV | VTD_CAP_DWD |        \
	 VTD_CAP_DRD | VTD_CAP_FS1GP | VTD_CAP_FS5LP | VTD_CAP_ESIRTPS | \
	 VTD_CAP_ESRTPS)
#define ECAP_OFFERED                                                           \
	(VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_DT | VTD_ECAP_IR | VTD_ECAP_EIM | \
	 VTD_ECAP_PT | VTD_ECAP_SC | VTD_ECAP_IRO | VTD_ECAP_MHMV |            \
	 VTD_ECAP_NEST | VTD_ECAP_PRS | VTD_ECAP_SRS | VTD_ECAP_NWFS |         \
	 VTD_ECAP_EAFS | VTD_ECAP_PSS | VTD_ECAP_PASID | VTD_ECAP_DIT |        \
	 VTD_ECAP_PDS | VTD_ECAP_SMTS | VTD_ECAP_SSADS | VTD_ECAP_SSTS |       \
	 VTD_ECAP_FSTS | VTD_ECAP_SMPWCS | VTD_ECAP_RPS | VTD_ECAP_ADMS |      \
	 VTD_ECAP_RPRIVS)

/* From 8 on Execute-Requested is refused as RTA.5, not as SPT.5 (table 30). */
#define MAJOR_MOST 7

/* Without ZLR: DMA of length 0 is no request at all, so there are none. */
void vtd_model_default_id(struct vtd_id *id)
{
	*id = (struct vtd_id){
		.ver = 0x50, /* the last with invalidation by registers */
		.cap = field_prep(VTD_CAP_ND, 6) | VTD_SAGAW_39 | VTD_SAGAW_48 |
		       VTD_SAGAW_57 | field_prep(VTD_CAP_MGAW, 56) |
		       field_prep(VTD_CAP_FRO, 0x22) |
		       field_prep(VTD_CAP_SSLPS, 3) | VTD_CAP_PSI |
		       field_prep(VTD_CAP_NFR, 7) |
		       field_prep(VTD_CAP_MAMV, 52) | VTD_CAP_DWD |
		       VTD_CAP_DRD | VTD_CAP_FS1GP | VTD_CAP_FS5LP |
		       VTD_CAP_ESRTPS,
		.ecap = VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_DT | VTD_ECAP_PT |
			VTD_ECAP_SC | field_prep(VTD_ECAP_IRO, 0xf) |
			VTD_ECAP_NEST | VTD_ECAP_PRS | VTD_ECAP_SRS |
			VTD_ECAP_NWFS | VTD_ECAP_EAFS |
			field_prep(VTD_ECAP_PSS, 19) | VTD_ECAP_PASID |
			VTD_ECAP_PDS | VTD_ECAP_SMTS | VTD_ECAP_SSADS |
			VTD_ECAP_SSTS | VTD_ECAP_FSTS | VTD_ECAP_SMPWCS |
			VTD_ECAP_RPS | VTD_ECAP_ADMS | VTD_ECAP_RPRIVS,
		.haw = 48,
	};
}

static bool cap_is_sound(uint64_t cap)
{
	const uint64_t widths = VTD_SAGAW_39 | VTD_SAGAW_48 | VTD_SAGAW_57;
	uint64_t lps = field_get(VTD_CAP_SSLPS, cap);

	return field_get(VTD_CAP_ND, cap) <= 6 && cap & widths &&
	       !(cap & VTD_CAP_SAGAW & ~widths) &&
	       field_get(VTD_CAP_MGAW, cap) < 64 && !(lps & ~3ull);
}

/* What cannot be without something else (11.4.3) */
static bool ecap_is_sound(uint64_t ecap)
{
	bool first = ecap & VTD_ECAP_FSTS;
	bool second = ecap & VTD_ECAP_SSTS;

	if (ecap & VTD_ECAP_NEST && !(first && second))
		return false;
	if (ecap & (VTD_ECAP_FSTS | VTD_ECAP_PASID | VTD_ECAP_RPS) &&
	    !(ecap & VTD_ECAP_SMTS))
		return false;
	return !(ecap & VTD_ECAP_PRS) || ecap & VTD_ECAP_DT;
}

int vtd_id_check(const struct vtd_id *id)
{
	if (id->cap & ~CAP_OFFERED || id->ecap & ~ECAP_OFFERED ||
	    !cap_is_sound(id->cap) || !ecap_is_sound(id->ecap) ||
	    id->haw < 32 || id->haw > 52 ||
	    field_get(VTD_VER_MAJ, id->ver) > MAJOR_MOST ||
	    field_get(VTD_ECAP_PSS, id->ecap) > 19)
		return -EINVAL;
	return 0;
}
