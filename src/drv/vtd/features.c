// SPDX-License-Identifier: MIT
/* What the unit can do: CAP and ECAP, 11.4.2 and 11.4.3. */
#include <string.h>

#include "drv/vtd/unit.h"
#include "hwdef/vtd_regs.h"

#define PDS_BITS 20
/* The major version from which on registers invalidate nothing */
#define NO_REGISTERS 6

/*
 * The largest IOVA that both MGAW and a table of a size there is allow, then
 * the smallest table for it.
 */
static bool choose_levels(struct features *f, uint64_t cap)
{
	static const struct {
		uint64_t sagaw;
		unsigned int levels;
		unsigned int bits;
	} sizes[] = { { VTD_SAGAW_39, 3, 39 },
		      { VTD_SAGAW_48, 4, 48 },
		      { VTD_SAGAW_57, 5, 57 } };

	f->mgaw = (unsigned int)field_get(VTD_CAP_MGAW, cap) + 1;
	f->sagaw = (unsigned int)field_get(VTD_CAP_SAGAW, cap);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (!(cap & sizes[i].sagaw))
			continue;
		f->levels = sizes[i].levels;
		f->bits = f->mgaw < sizes[i].bits ? f->mgaw : sizes[i].bits;
		if (f->mgaw <= sizes[i].bits)
			break;
	}
	return f->levels;
}

static void read_cap(struct features *f, uint64_t cap)
{
	f->did_bits = 4 + 2 * (unsigned int)field_get(VTD_CAP_ND, cap);
	if (f->did_bits > 16)
		f->did_bits = 16;
	f->first5 = cap & VTD_CAP_FS5LP;
	f->psi = cap & VTD_CAP_PSI;
	f->order_max = (unsigned int)field_get(VTD_CAP_MAMV, cap);
	f->eager = cap & (VTD_CAP_CM | VTD_CAP_RWBF);
	f->drain_reads = cap & VTD_CAP_DRD;
	f->drain_writes = cap & VTD_CAP_DWD;
	f->root_forgets = cap & VTD_CAP_ESRTPS;
	f->huge_2m = field_get(VTD_CAP_SSLPS, cap) & 1;
	f->huge_1g = (field_get(VTD_CAP_SSLPS, cap) & 3) == 3;
}

static void read_ecap(struct features *f, uint64_t ecap)
{
	/* legacy mode always has a second stage */
	f->scalable = (ecap & VTD_ECAP_SMTS) && (ecap & VTD_ECAP_SSTS);
	f->mode = f->scalable ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;
	f->abort_mode = ecap & VTD_ECAP_ADMS;
	f->wide = f->scalable || f->abort_mode;
	f->ats = ecap & VTD_ECAP_DT;
	f->throttles = ecap & VTD_ECAP_DIT;
	if (!f->scalable)
		return;
	f->nested = ecap & VTD_ECAP_NEST;
	f->dirty = ecap & VTD_ECAP_SSADS;
	f->snoops = ecap & VTD_ECAP_SMPWCS;
	f->srs = ecap & VTD_ECAP_SRS;
	f->eafs = ecap & VTD_ECAP_EAFS;
	f->prq = ecap & VTD_ECAP_PRS;
	if (ecap & VTD_ECAP_PASID)
		f->pasid_bits = (unsigned int)field_get(VTD_ECAP_PSS, ecap) + 1;
	if (f->pasid_bits > PDS_BITS)
		f->pasid_bits = PDS_BITS;
}

int vtd_features_read(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	struct features *f = &u->feat;

	memset(f, 0, sizeof(*f));
	u->info.cap_reg = vtd_unit_read(u, VTD_CAP, 8);
	u->info.ecap_reg = vtd_unit_read(u, VTD_ECAP, 8);
	f->registers = field_get(VTD_VER_MAJ, vtd_unit_read(u, VTD_VER, 4)) <
		       NO_REGISTERS;
	/* as Linux, which says so of every unit */
	u->info.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17;
	read_cap(f, u->info.cap_reg);
	read_ecap(f, u->info.ecap_reg);
	if (!(u->info.ecap_reg & VTD_ECAP_QI))
		return hostunit_refuse(&u->host, "no queued invalidation");
	if (!choose_levels(f, u->info.cap_reg))
		return hostunit_refuse(&u->host, "no table size that is known");
	return 0;
}
