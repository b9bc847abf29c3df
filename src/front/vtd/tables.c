// SPDX-License-Identifier: MIT
/* See tables.h. */
#include "front/vtd/tables.h"

#include <endian.h>

#include "base/bits.h"
#include "hwdef/vtd_regs.h"

static bool fail(struct vtd_denial *fault, uint8_t reason)
{
	*fault = (struct vtd_denial){ .reason = reason };
	return false;
}

/* A qualified fault, which an FPD on the way keeps from being reported. */
static bool fail_qualified(struct vtd_denial *fault, uint8_t reason, bool fpd)
{
	*fault = (struct vtd_denial){ .reason = reason, .unreported = fpd };
	return false;
}

/* @n doublewords at @pa in CPU order */
static bool fetch(const struct vtd_tables *t, uint64_t pa, uint64_t *dw,
		  unsigned int n, struct vtd_denial *fault, uint8_t reason)
{
	if (t->read(t->ctx, pa, dw, n * 8)) {
		fail(fault, reason);
		fault->fetch = pa;
		return false;
	}
	for (unsigned int i = 0; i < n; i++)
		dw[i] = le64toh(dw[i]);
	return true;
}

/* Address bits that the host has not got are reserved (9.1 and others). */
static uint64_t beyond(const struct vtd_tables *t)
{
	return ~low_mask(t->id->haw);
}

/* Bits of @field that the identification registers leave reserved */
static uint64_t unless(bool offered, uint64_t field)
{
	return offered ? 0 : field;
}

static uint64_t did_reserved(const struct vtd_id *id, unsigned int shift)
{
	unsigned int bits =
		4 + 2 * (unsigned int)field_get(VTD_CAP_ND, id->cap);

	return bits < 16 ? GENMASK_ULL(15, 0) << shift &
				   ~(low_mask(bits) << shift)
			 : 0;
}

/* AW to levels; 0: not offered (SAGAW) */
static uint8_t aw_levels(const struct vtd_id *id, uint64_t aw)
{
	if (aw < VTD_AW_39 || aw > VTD_AW_57 ||
	    !(id->cap & VTD_SAGAW_39 << (aw - VTD_AW_39)))
		return 0;
	return (uint8_t)(aw + 2);
}

/* ---- legacy mode ---- */

static bool legacy_root(const struct vtd_tables *t, uint64_t rta, uint16_t sid,
			uint64_t *table, struct vtd_denial *fault)
{
	uint64_t at = (rta & VTD_RTADDR_RTA) + (sid >> 8) * VTD_ROOT_SIZE;
	uint64_t dw[2];

	if (!fetch(t, at, dw, 2, fault, VTD_FR_LRT_1_ACCESS))
		return false;
	if (!(dw[0] & VTD_ROOT_0_P))
		return fail(fault, VTD_FR_LRT_2_NOT_PRESENT);
	if ((dw[0] & (GENMASK_ULL(11, 1) | beyond(t))) || dw[1])
		return fail(fault, VTD_FR_LRT_3_RESERVED);
	*table = dw[0] & VTD_ROOT_0_CTP;
	return true;
}

static bool legacy_type(const struct vtd_id *id, uint64_t tt,
			struct vtd_source *source)
{
	source->pgtt = VTD_PGTT_SS;
	switch (tt) {
	case VTD_TT_UNTRANSLATED:
		return true;
	case VTD_TT_ALL:
		source->ats = true;
		return id->ecap & VTD_ECAP_DT;
	case VTD_TT_PASSTHROUGH:
		source->pgtt = VTD_PGTT_PT;
		return id->ecap & VTD_ECAP_PT;
	default:
		return false;
	}
}

static bool legacy_load(const struct vtd_tables *t, uint64_t rta, uint16_t sid,
			struct vtd_source *source, struct vtd_denial *fault)
{
	const struct vtd_id *id = t->id;
	uint64_t table, reserved, dw[2];

	if (!legacy_root(t, rta, sid, &table, fault) ||
	    !fetch(t, table + (sid & 0xff) * VTD_CTX_SIZE, dw, 2, fault,
		   VTD_FR_LCT_1_ACCESS))
		return false;
	source->fpd = dw[0] & VTD_CTX_0_FPD;
	if (!(dw[0] & VTD_CTX_0_P))
		return fail_qualified(fault, VTD_FR_LCT_2_NOT_PRESENT,
				      source->fpd);
	/* 9.3: SSPTPTR is ignored in pass-through entries */
	reserved = GENMASK_ULL(11, 4);
	if (field_get(VTD_CTX_0_TT, dw[0]) != VTD_TT_PASSTHROUGH)
		reserved |= beyond(t);
	if ((dw[0] & reserved) ||
	    (dw[1] & (GENMASK_ULL(63, 24) | BIT_ULL(7) | did_reserved(id, 8))))
		return fail_qualified(fault, VTD_FR_LCT_3_RESERVED,
				      source->fpd);
	source->did = (uint16_t)field_get(VTD_CTX_1_DID, dw[1]);
	source->levels = aw_levels(id, field_get(VTD_CTX_1_AW, dw[1]));
	source->root = dw[0] & VTD_CTX_0_SSPTPTR;
	if (!source->levels ||
	    !legacy_type(id, field_get(VTD_CTX_0_TT, dw[0]), source))
		return fail_qualified(fault, VTD_FR_LCT_4_INVALID, source->fpd);
	return true;
}

/* ---- scalable mode ---- */

/* 9.2: functions of devices 16 to 31 have a table of their own */
static bool scalable_root(const struct vtd_tables *t, uint64_t rta,
			  uint16_t sid, uint64_t *table,
			  struct vtd_denial *fault)
{
	uint64_t at = (rta & VTD_RTADDR_RTA) + (sid >> 8) * VTD_ROOT_SIZE;
	unsigned int half = (sid >> 7) & 1;
	uint64_t dw[2];

	if (!fetch(t, at, dw, 2, fault, VTD_FR_SRT_1_ACCESS))
		return false;
	if (!(dw[half] & VTD_SM_ROOT_0_LP))
		return fail(fault, VTD_FR_SRT_2_NOT_PRESENT);
	if (dw[half] & (GENMASK_ULL(11, 1) | beyond(t)))
		return fail(fault, VTD_FR_SRT_3_RESERVED);
	*table = dw[half] & VTD_SM_ROOT_0_LCTP;
	return true;
}

static bool scalable_reserved(const struct vtd_tables *t, const uint64_t dw[4])
{
	const struct vtd_id *id = t->id;
	uint64_t low = GENMASK_ULL(8, 5) | beyond(t);
	uint64_t high = GENMASK_ULL(63, 21);

	low |= unless(id->ecap & VTD_ECAP_DT, VTD_SM_CTX_0_DTE);
	low |= unless(id->ecap & VTD_ECAP_PASID, VTD_SM_CTX_0_PASIDE);
	low |= unless(id->ecap & VTD_ECAP_PRS, VTD_SM_CTX_0_PRE);
	high |= unless(id->ecap & VTD_ECAP_RPS, VTD_SM_CTX_1_RID_PASID);
	high |= unless(id->ecap & VTD_ECAP_RPRIVS, VTD_SM_CTX_1_RID_PRIV);
	return (dw[0] & low) || (dw[1] & high) || dw[2] || dw[3];
}

static bool scalable_load(const struct vtd_tables *t, uint64_t rta,
			  uint16_t sid, struct vtd_source *source,
			  struct vtd_denial *fault)
{
	uint64_t table, dw[4];

	source->scalable = true;
	if (!scalable_root(t, rta, sid, &table, fault) ||
	    !fetch(t, table + (sid & 0x7f) * VTD_SM_CTX_SIZE, dw, 4, fault,
		   VTD_FR_SCT_1_ACCESS))
		return false;
	source->fpd = dw[0] & VTD_SM_CTX_0_FPD;
	if (!(dw[0] & VTD_SM_CTX_0_P))
		return fail_qualified(fault, VTD_FR_SCT_2_NOT_PRESENT,
				      source->fpd);
	if (scalable_reserved(t, dw))
		return fail_qualified(fault, VTD_FR_SCT_3_RESERVED,
				      source->fpd);
	source->ats = dw[0] & VTD_SM_CTX_0_DTE;
	source->paside = dw[0] & VTD_SM_CTX_0_PASIDE;
	source->pre = dw[0] & VTD_SM_CTX_0_PRE;
	source->rid_pasid = (uint32_t)field_get(VTD_SM_CTX_1_RID_PASID, dw[1]);
	source->rid_priv = dw[1] & VTD_SM_CTX_1_RID_PRIV;
	source->directory = dw[0] & VTD_SM_CTX_0_PASIDDIR;
	/* 2^(PDTS + 7) directory entries of 64 PASIDs; PASIDs have 20 bits */
	source->pasids = 1u << (field_get(VTD_SM_CTX_0_PDTS, dw[0]) + 7 +
				VTD_PASID_TABLE_LG2);
	if ((source->pre && !source->ats) ||
	    source->rid_pasid >= source->pasids)
		return fail_qualified(fault, VTD_FR_SCT_4_INVALID, source->fpd);
	return true;
}

bool vtd_read_source(const struct vtd_tables *t, uint64_t rta, uint16_t sid,
		     struct vtd_source *source, struct vtd_denial *fault)
{
	const struct vtd_id *id = t->id;

	*source = (struct vtd_source){ 0 };
	*fault = (struct vtd_denial){ 0 };
	switch (field_get(VTD_RTADDR_TTM, rta)) {
	case VTD_TTM_LEGACY:
		return legacy_load(t, rta, sid, source, fault);
	case VTD_TTM_SCALABLE:
		if (id->ecap & VTD_ECAP_SMTS)
			return scalable_load(t, rta, sid, source, fault);
		return fail(fault, VTD_FR_RTA_1_INVALID);
	case VTD_TTM_ABORT:
		return fail(fault, id->ecap & VTD_ECAP_ADMS
					   ? VTD_FR_RTA_4_ABORT
					   : VTD_FR_RTA_1_INVALID);
	default:
		return fail(fault, VTD_FR_RTA_1_INVALID);
	}
}

/* ---- spaces ---- */

static uint8_t input_bits(const struct vtd_id *id, uint8_t levels)
{
	unsigned int mgaw = (unsigned int)field_get(VTD_CAP_MGAW, id->cap) + 1;
	unsigned int bits = 12 + 9u * levels;

	return (uint8_t)(bits < mgaw ? bits : mgaw);
}

static void legacy_space(const struct vtd_id *id,
			 const struct vtd_source *source,
			 struct vtd_space *space)
{
	*space = (struct vtd_space){
		.fpd = source->fpd,
		.pgtt = source->pgtt,
		.did = source->did,
		.ss_levels = source->levels,
		.ss_bits = input_bits(id, source->levels),
		.ss_root = source->root,
	};
}

/* No cache keeps them (6.2). */
bool vtd_read_directory(const struct vtd_tables *t, uint64_t directory,
			uint32_t pasid, bool *fpd, uint64_t *table,
			struct vtd_denial *fault)
{
	uint32_t index = pasid >> VTD_PASID_TABLE_LG2;
	uint64_t at = directory + (uint64_t)index * VTD_PASID_DIR_SIZE;
	uint64_t dw;

	if (!fetch(t, at, &dw, 1, fault, VTD_FR_SPD_1_ACCESS))
		return false;
	*fpd |= !!(dw & VTD_PASID_DIR_0_FPD);
	if (!(dw & VTD_PASID_DIR_0_P))
		return fail_qualified(fault, VTD_FR_SPD_2_NOT_PRESENT, *fpd);
	if (dw & (GENMASK_ULL(11, 2) | beyond(t)))
		return fail_qualified(fault, VTD_FR_SPD_3_RESERVED, *fpd);
	*table = dw & VTD_PASID_DIR_0_TABLE;
	return true;
}

/* 9.6: fields of what is not offered are reserved. */
static bool pasid_reserved(const struct vtd_tables *t,
			   const uint64_t dw[VTD_PASID_DWORDS])
{
	const struct vtd_id *id = t->id;
	bool ss = id->ecap & VTD_ECAP_SSTS;
	bool fs = id->ecap & VTD_ECAP_FSTS;
	/* 63:HAW and 191:HAW+128 are reserved whatever uses the pointers */
	uint64_t first = GENMASK_ULL(11, 10) | BIT_ULL(5) | beyond(t);
	uint64_t second =
		GENMASK_ULL(22, 16) | GENMASK_ULL(63, 25) | did_reserved(id, 0);
	uint64_t third = GENMASK_ULL(11, 8) | BIT_ULL(1) | beyond(t);

	first |= unless(ss || t->any_aw, VTD_PASID_0_AW);
	first |= unless(ss, VTD_PASID_0_SSPTPTR);
	first |= unless(ss && id->ecap & VTD_ECAP_SSADS, VTD_PASID_0_SSADE);
	second |= unless(id->ecap & VTD_ECAP_SMPWCS, VTD_PASID_1_PWSNP);
	second |= unless(id->ecap & VTD_ECAP_SC, VTD_PASID_1_PGSNP);
	third |= unless(fs, VTD_PASID_2_FSPM | VTD_PASID_2_WPE |
				    VTD_PASID_2_FSPTPTR);
	third |= unless(id->ecap & VTD_ECAP_SRS, VTD_PASID_2_SRE);
	third |= unless(id->ecap & VTD_ECAP_EAFS, VTD_PASID_2_EAFE);
	if ((dw[0] & first) || (dw[1] & second) || (dw[2] & third))
		return true;
	return dw[3] || dw[4] || dw[5] || dw[6] || dw[7];
}

static bool type_offered(const struct vtd_id *id, uint8_t pgtt)
{
	switch (pgtt) {
	case VTD_PGTT_FS:
		return id->ecap & VTD_ECAP_FSTS;
	case VTD_PGTT_SS:
		return id->ecap & VTD_ECAP_SSTS;
	case VTD_PGTT_NESTED:
		return id->ecap & VTD_ECAP_NEST;
	case VTD_PGTT_PT:
		return id->ecap & VTD_ECAP_PT;
	default:
		return false;
	}
}

static bool has_first(const struct vtd_space *space)
{
	return space->pgtt == VTD_PGTT_FS || space->pgtt == VTD_PGTT_NESTED;
}

static bool has_second(const struct vtd_space *space)
{
	return space->pgtt == VTD_PGTT_SS || space->pgtt == VTD_PGTT_NESTED;
}

/* SPT.4: can it be used as it is programmed? */
static bool space_valid(const struct vtd_id *id, const struct vtd_space *space,
			uint64_t fspm)
{
	if (!type_offered(id, space->pgtt))
		return false;
	if (has_second(space) && !space->ss_levels)
		return false;
	if (!has_first(space))
		return true;
	if (fspm > VTD_FSPM_5LEVEL ||
	    (fspm == VTD_FSPM_5LEVEL && !(id->cap & VTD_CAP_FS5LP)))
		return false;
	return space->pgtt != VTD_PGTT_NESTED ||
	       !(space->fs_root >> space->ss_bits);
}

bool vtd_read_entry(const struct vtd_tables *t,
		    const uint64_t dw[VTD_PASID_DWORDS],
		    struct vtd_space *space, struct vtd_denial *fault)
{
	const struct vtd_id *id = t->id;

	space->fpd |= !!(dw[0] & VTD_PASID_0_FPD);
	if (!(dw[0] & VTD_PASID_0_P))
		return fail_qualified(fault, VTD_FR_SPT_2_NOT_PRESENT,
				      space->fpd);
	if (pasid_reserved(t, dw))
		return fail_qualified(fault, VTD_FR_SPT_3_RESERVED, space->fpd);
	space->pgtt = (uint8_t)field_get(VTD_PASID_0_PGTT, dw[0]);
	space->did = (uint16_t)field_get(VTD_PASID_1_DID, dw[1]);
	space->ss_levels = aw_levels(id, field_get(VTD_PASID_0_AW, dw[0]));
	space->ss_bits = input_bits(id, space->ss_levels);
	space->ss_root = dw[0] & VTD_PASID_0_SSPTPTR;
	space->ssade = dw[0] & VTD_PASID_0_SSADE;
	space->fs_levels = (uint8_t)(4 + field_get(VTD_PASID_2_FSPM, dw[2]));
	space->fs_root = dw[2] & VTD_PASID_2_FSPTPTR;
	space->sre = dw[2] & VTD_PASID_2_SRE;
	space->wpe = dw[2] & VTD_PASID_2_WPE;
	space->eafe = dw[2] & VTD_PASID_2_EAFE;
	space->pwsnp = dw[1] & VTD_PASID_1_PWSNP;
	if (!space_valid(id, space, field_get(VTD_PASID_2_FSPM, dw[2])))
		return fail_qualified(fault, VTD_FR_SPT_4_INVALID, space->fpd);
	return true;
}

bool vtd_read_space(const struct vtd_tables *t, const struct vtd_source *source,
		    uint32_t pasid, struct vtd_space *space,
		    struct vtd_denial *fault)
{
	uint64_t table, dw[VTD_PASID_DWORDS];

	*fault = (struct vtd_denial){ 0 };
	if (!source->scalable) {
		legacy_space(t->id, source, space);
		return true;
	}
	*space = (struct vtd_space){
		.scalable = true,
		.fpd = source->fpd,
		.pasid = pasid,
	};
	if (!vtd_read_directory(t, source->directory, pasid, &space->fpd,
				&table, fault))
		return false;
	table += (pasid & low_mask(VTD_PASID_TABLE_LG2)) * VTD_PASID_SIZE;
	return fetch(t, table, dw, VTD_PASID_DWORDS, fault,
		     VTD_FR_SPT_1_ACCESS) &&
	       vtd_read_entry(t, dw, space, fault);
}
