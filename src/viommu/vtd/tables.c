// SPDX-License-Identifier: MIT
/*
 * What the guest's root, context and PASID tables say, VT-d chapter 9, judged
 * by what this unit offers: reserved bits or what is not offered block, as
 * they do on hardware. Each entry is read once, whole.
 */
#include <linux/iommufd.h>

#include "base/bits.h"
#include "base/le.h"
#include "hwdef/vtd_regs.h"
#include "hwdef/vtd_tables.h"
#include "viommu/vtd/vtd.h"

#define PASID_DWORDS (VTD_PASID_SIZE / 8)
#define TABLE_PASIDS (1u << VTD_PASID_TABLE_LG2)

static bool fetch(struct vvtd *vvtd, uint64_t gpa, uint64_t *dw, size_t n)
{
	const struct nestfd_guest *guest = &vvtd->base.guest;

	if (guest->read(guest->ctx, gpa, dw, n * 8))
		return false;
	for (size_t i = 0; i < n; i++)
		dw[i] = le64toh(dw[i]);
	return true;
}

static uint64_t beyond(const struct vvtd *vvtd)
{
	return ~low_mask(vvtd->id.haw);
}

static uint64_t unless(bool offered, uint64_t field)
{
	return offered ? 0 : field;
}

static uint64_t did_reserved(const struct vvtd *vvtd)
{
	unsigned int n =
		4 + 2 * (unsigned int)field_get(VTD_CAP_ND, vvtd->id.cap);

	return GENMASK_ULL(15, 0) & ~low_mask(n);
}

/* 0: a width that is not offered */
static uint8_t second_levels(const struct vvtd *vvtd, uint64_t aw)
{
	if (aw < VTD_AW_39 || aw > VTD_AW_57 ||
	    !(vvtd->id.cap & VTD_SAGAW_39 << (aw - VTD_AW_39)))
		return 0;
	return (uint8_t)(aw + 2);
}

static void block(struct vvtd_want *want)
{
	*want = (struct vvtd_want){ .kind = VVTD_BLOCK };
}

/* 9.3 */
static bool legacy_entry(const struct vvtd *vvtd, const uint64_t dw[2],
			 struct vvtd_context *context)
{
	uint64_t tt = field_get(VTD_CTX_0_TT, dw[0]);
	bool pass = tt == VTD_TT_PASSTHROUGH;
	uint64_t reserved = GENMASK_ULL(11, 4);
	struct vvtd_want want = {
		.kind = pass ? VVTD_PASS : VVTD_SHADOW,
		.did = (uint16_t)field_get(VTD_CTX_1_DID, dw[1]),
		.levels = second_levels(vvtd, field_get(VTD_CTX_1_AW, dw[1])),
		.root = pass ? 0 : dw[0] & VTD_CTX_0_SSPTPTR,
	};

	if (!pass)
		reserved |= beyond(vvtd);
	if (!(dw[0] & VTD_CTX_0_P) || (dw[0] & reserved) ||
	    (dw[1] &
	     (GENMASK_ULL(63, 24) | BIT_ULL(7) | did_reserved(vvtd) << 8)) ||
	    !want.levels)
		return false;
	if (tt > VTD_TT_PASSTHROUGH ||
	    (pass && !(vvtd->id.ecap & VTD_ECAP_PT)) ||
	    (tt == VTD_TT_ALL && !(vvtd->id.ecap & VTD_ECAP_DT)))
		return false;
	context->ats = tt == VTD_TT_ALL;
	context->rid = want;
	return true;
}

static bool legacy_load(struct vvtd *vvtd, uint64_t root, uint16_t sid,
			struct vvtd_context *context)
{
	uint64_t dw[2];

	if (!fetch(vvtd, root + (sid >> 8) * VTD_ROOT_SIZE, dw, 2))
		return false;
	if (!(dw[0] & VTD_ROOT_0_P) || dw[1] ||
	    (dw[0] & (GENMASK_ULL(11, 1) | beyond(vvtd))))
		return false;
	return fetch(vvtd,
		     (dw[0] & VTD_ROOT_0_CTP) + (sid & 0xff) * VTD_CTX_SIZE, dw,
		     2) &&
	       legacy_entry(vvtd, dw, context);
}

/* 9.4 */
static bool scalable_entry(const struct vvtd *vvtd, const uint64_t dw[4],
			   struct vvtd_context *context)
{
	uint64_t ecap = vvtd->id.ecap;
	uint64_t low = GENMASK_ULL(8, 5) | VTD_SM_CTX_0_PRE | beyond(vvtd);
	uint64_t high = GENMASK_ULL(63, 20); /* RID_PRIV too: not offered */

	low |= unless(ecap & VTD_ECAP_DT, VTD_SM_CTX_0_DTE);
	low |= unless(ecap & VTD_ECAP_PASID, VTD_SM_CTX_0_PASIDE);
	high |= unless(ecap & VTD_ECAP_RPS, VTD_SM_CTX_1_RID_PASID);
	if (!(dw[0] & VTD_SM_CTX_0_P) || (dw[0] & low) || (dw[1] & high) ||
	    dw[2] || dw[3])
		return false;
	context->scalable = true;
	context->ats = dw[0] & VTD_SM_CTX_0_DTE;
	context->directory = dw[0] & VTD_SM_CTX_0_PASIDDIR;
	context->rid_pasid = (uint32_t)field_get(VTD_SM_CTX_1_RID_PASID, dw[1]);
	context->pasids = 1u << (field_get(VTD_SM_CTX_0_PDTS, dw[0]) + 7 +
				 VTD_PASID_TABLE_LG2);
	if (context->rid_pasid >= context->pasids)
		return false;
	if (!(dw[0] & VTD_SM_CTX_0_PASIDE))
		context->pasids = 0;
	return true;
}

/* 9.2: functions of devices 16 to 31 have a table of their own */
static bool scalable_load(struct vvtd *vvtd, uint64_t root, uint16_t sid,
			  struct vvtd_context *context)
{
	unsigned int half = (sid >> 7) & 1;
	uint64_t dw[4];

	if (!fetch(vvtd, root + (sid >> 8) * VTD_ROOT_SIZE, dw, 2))
		return false;
	if (!(dw[half] & VTD_SM_ROOT_0_LP) ||
	    (dw[half] & (GENMASK_ULL(11, 1) | beyond(vvtd))))
		return false;
	return fetch(vvtd,
		     (dw[half] & VTD_SM_ROOT_0_LCTP) +
			     (sid & 0x7f) * VTD_SM_CTX_SIZE,
		     dw, 4) &&
	       scalable_entry(vvtd, dw, context);
}

bool vvtd_context_load(struct vvtd *vvtd, const struct vtd_regs *regs,
		       uint16_t sid, struct vvtd_context *context)
{
	uint64_t root = regs->rtaddr & VTD_RTADDR_RTA;

	*context = (struct vvtd_context){ 0 };
	switch (field_get(VTD_RTADDR_TTM, regs->rtaddr)) {
	case VTD_TTM_LEGACY:
		return legacy_load(vvtd, root, sid, context);
	case VTD_TTM_SCALABLE:
		return (vvtd->id.ecap & VTD_ECAP_SMTS) &&
		       scalable_load(vvtd, root, sid, context);
	default:
		return false;
	}
}

/* 9.6: fields of what is not offered are reserved. */
static bool pasid_reserved(const struct vvtd *vvtd,
			   const uint64_t dw[PASID_DWORDS])
{
	uint64_t ecap = vvtd->id.ecap;
	uint64_t first = GENMASK_ULL(11, 9) | BIT_ULL(5) | beyond(vvtd);
	uint64_t second =
		GENMASK_ULL(22, 16) | GENMASK_ULL(63, 25) | did_reserved(vvtd);
	uint64_t third = GENMASK_ULL(11, 8) | BIT_ULL(1) | beyond(vvtd);
	uint64_t rest = 0;

	/* so is AW, but Linux sets it in entries of either stage */
	first |= unless(ecap & VTD_ECAP_SSTS, VTD_PASID_0_SSPTPTR);
	second |= unless(ecap & VTD_ECAP_SMPWCS, VTD_PASID_1_PWSNP);
	second |= unless(ecap & VTD_ECAP_SC, VTD_PASID_1_PGSNP);
	third |= unless(ecap & VTD_ECAP_SRS, VTD_PASID_2_SRE);
	third |= unless(ecap & VTD_ECAP_EAFS, VTD_PASID_2_EAFE);
	for (unsigned int i = 3; i < PASID_DWORDS; i++)
		rest |= dw[i];
	return (dw[0] & first) || (dw[1] & second) || (dw[2] & third) || rest;
}

static void first_stage(const struct vvtd *vvtd, uint64_t dw2,
			struct vvtd_want *want)
{
	uint64_t fspm = field_get(VTD_PASID_2_FSPM, dw2);

	if (fspm > VTD_FSPM_5LEVEL ||
	    (fspm == VTD_FSPM_5LEVEL && !(vvtd->id.cap & VTD_CAP_FS5LP))) {
		block(want);
		return;
	}
	want->kind = VVTD_NESTED;
	want->levels = (uint8_t)(4 + fspm);
	want->root = dw2 & VTD_PASID_2_FSPTPTR;
	if (dw2 & VTD_PASID_2_SRE)
		want->flags |= IOMMU_VTD_S1_SRE;
	if (dw2 & VTD_PASID_2_EAFE)
		want->flags |= IOMMU_VTD_S1_EAFE;
	if (dw2 & VTD_PASID_2_WPE)
		want->flags |= IOMMU_VTD_S1_WPE;
}

static void second_stage(const struct vvtd *vvtd, uint64_t dw0,
			 struct vvtd_want *want)
{
	want->kind = VVTD_SHADOW;
	want->levels = second_levels(vvtd, field_get(VTD_PASID_0_AW, dw0));
	want->root = dw0 & VTD_PASID_0_SSPTPTR;
	if (!want->levels || !(vvtd->id.ecap & VTD_ECAP_SSTS))
		block(want);
}

/* A present entry */
static void want_of_entry(const struct vvtd *vvtd,
			  const uint64_t dw[PASID_DWORDS],
			  struct vvtd_want *want)
{
	block(want);
	if (pasid_reserved(vvtd, dw))
		return;
	want->did = (uint16_t)field_get(VTD_PASID_1_DID, dw[1]);
	switch (field_get(VTD_PASID_0_PGTT, dw[0])) {
	case VTD_PGTT_FS:
		first_stage(vvtd, dw[2], want);
		break;
	case VTD_PGTT_SS:
		second_stage(vvtd, dw[0], want);
		break;
	case VTD_PGTT_PT:
		if (vvtd->id.ecap & VTD_ECAP_PT)
			want->kind = VVTD_PASS;
		break;
	default: /* nesting in the guest is not offered */
		break;
	}
}

/* The table that entry @index of the directory leads to */
static bool directory_entry(struct vvtd *vvtd,
			    const struct vvtd_context *context, uint32_t index,
			    uint64_t *table)
{
	uint64_t dw;

	if (!fetch(vvtd,
		   context->directory + (uint64_t)index * VTD_PASID_DIR_SIZE,
		   &dw, 1))
		return false;
	if (!(dw & VTD_PASID_DIR_0_P) ||
	    (dw & (GENMASK_ULL(11, 2) | beyond(vvtd))))
		return false;
	*table = dw & VTD_PASID_DIR_0_TABLE;
	return true;
}

void vvtd_pasid_load(struct vvtd *vvtd, const struct vvtd_context *context,
		     uint32_t pasid, struct vvtd_want *want)
{
	uint64_t table, dw[PASID_DWORDS];

	block(want);
	if (!directory_entry(vvtd, context, pasid >> VTD_PASID_TABLE_LG2,
			     &table))
		return;
	table += (uint64_t)(pasid & (TABLE_PASIDS - 1)) * VTD_PASID_SIZE;
	if (fetch(vvtd, table, dw, PASID_DWORDS) && (dw[0] & VTD_PASID_0_P))
		want_of_entry(vvtd, dw, want);
}

/* PASIDs that the unit tells apart are fewer than a directory may have. */
static uint32_t pasid_count(const struct vvtd *vvtd,
			    const struct vvtd_context *context)
{
	uint32_t most = 1u << (field_get(VTD_ECAP_PSS, vvtd->id.ecap) + 1);

	return context->pasids < most ? context->pasids : most;
}

void vvtd_pasids_load(struct vvtd *vvtd, const struct vvtd_context *context,
		      bool (*found)(void *ctx, uint32_t pasid,
				    const struct vvtd_want *want),
		      void *ctx)
{
	uint32_t count = pasid_count(vvtd, context);
	uint64_t dw[TABLE_PASIDS * PASID_DWORDS];
	struct vvtd_want want;
	uint64_t table;

	for (uint32_t pasid = 0; pasid < count; pasid++) {
		uint32_t in_table = pasid & (TABLE_PASIDS - 1);
		const uint64_t *entry = dw + in_table * PASID_DWORDS;

		if (!in_table &&
		    (!directory_entry(vvtd, context,
				      pasid >> VTD_PASID_TABLE_LG2, &table) ||
		     !fetch(vvtd, table, dw, ARRAY_SIZE(dw)))) {
			pasid += TABLE_PASIDS - 1;
			continue;
		}
		if (!(entry[0] & VTD_PASID_0_P))
			continue;
		want_of_entry(vvtd, entry, &want);
		if (!found(ctx, pasid, &want))
			return;
	}
}
