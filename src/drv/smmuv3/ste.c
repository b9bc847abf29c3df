// SPDX-License-Identifier: MIT
/*
 * What is written into stream table entries and context descriptors, Arm IHI
 * 0070 5.2 and 5.4: pure functions, doublewords in CPU order.
 */
#include <errno.h>
#include <string.h>

#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

/* Cacheability of what the SMMU fetches by itself */
#define CACHE_WB    1 /* write-back, read- (and write-) allocate */
#define SHARE_INNER 3
#define MAIR_NORMAL 0xffULL /* attribute 0: write-back */
#define MAIR_DEVICE 0x04ULL /* attribute 1: Device-nGnRE */

/* What a guest may say in its STE: the rest is the host's. */
#define VSTE_0                                                       \
	(SMMUV3_STE_0_V | SMMUV3_STE_0_CONFIG | SMMUV3_STE_0_S1FMT | \
	 SMMUV3_STE_0_S1CONTEXTPTR | SMMUV3_STE_0_S1CDMAX)
#define VSTE_1                                                          \
	(SMMUV3_STE_1_S1DSS | SMMUV3_STE_1_S1CIR | SMMUV3_STE_1_S1COR | \
	 SMMUV3_STE_1_S1CSH | SMMUV3_STE_1_S1STALLD | SMMUV3_STE_1_EATS)

static uint64_t config(unsigned int value)
{
	return SMMUV3_STE_0_V | field_prep(SMMUV3_STE_0_CONFIG, value);
}

static uint64_t eats(bool ats)
{
	return ats ? field_prep(SMMUV3_STE_1_EATS, SMMUV3_EATS_FULL) : 0;
}

void ste_abort(uint64_t ste[8])
{
	memset(ste, 0, 8 * sizeof(ste[0]));
	ste[0] = config(SMMUV3_STE_CONFIG_ABORT);
}

void ste_s1(const struct master *m, unsigned int s1dss, bool ats,
	    uint64_t ste[8])
{
	const struct cdtab *t = &m->cdtab;

	memset(ste, 0, 8 * sizeof(ste[0]));
	ste[0] = config(SMMUV3_STE_CONFIG_S1) |
		 (t->top.pa & SMMUV3_STE_0_S1CONTEXTPTR) |
		 field_prep(SMMUV3_STE_0_S1CDMAX, t->bits) |
		 field_prep(SMMUV3_STE_0_S1FMT, t->two_level
							? SMMUV3_S1FMT_4K_L2
							: SMMUV3_S1FMT_LINEAR);
	ste[1] = field_prep(SMMUV3_STE_1_S1DSS, s1dss) |
		 field_prep(SMMUV3_STE_1_S1CIR, CACHE_WB) |
		 field_prep(SMMUV3_STE_1_S1COR, CACHE_WB) |
		 field_prep(SMMUV3_STE_1_S1CSH, SHARE_INNER) | eats(ats);
	if (m->unit->feat.stall_optional && !master_stalls(m))
		ste[1] |= SMMUV3_STE_1_S1STALLD;
}

static unsigned int s2tg(unsigned int granule_lg2)
{
	switch (granule_lg2) {
	case 14:
		return SMMUV3_S2TG_16K;
	case 16:
		return SMMUV3_S2TG_64K;
	}
	return SMMUV3_S2TG_4K;
}

void ste_s2(const struct domain *d, uint16_t vmid, bool ats, bool stall,
	    uint64_t ste[8])
{
	const struct features *feat = &d->unit->feat;
	struct armv8_pt_root root;

	armv8_pt_root(d->pt, &root);
	memset(ste, 0, 8 * sizeof(ste[0]));
	ste[0] = config(SMMUV3_STE_CONFIG_S2);
	ste[1] = field_prep(SMMUV3_STE_1_SHCFG, SMMUV3_SHCFG_INCOMING) |
		 eats(ats);
	ste[2] = field_prep(SMMUV3_STE_2_S2VMID, vmid) |
		 field_prep(SMMUV3_STE_2_S2T0SZ, root.t0sz) |
		 field_prep(SMMUV3_STE_2_S2SL0, root.sl0) |
		 field_prep(SMMUV3_STE_2_S2IR0, CACHE_WB) |
		 field_prep(SMMUV3_STE_2_S2OR0, CACHE_WB) |
		 field_prep(SMMUV3_STE_2_S2SH0, SHARE_INNER) |
		 field_prep(SMMUV3_STE_2_S2TG, s2tg(feat->granule_lg2)) |
		 field_prep(SMMUV3_STE_2_S2PS, feat->oas_code) |
		 SMMUV3_STE_2_S2AA64 | SMMUV3_STE_2_S2PTW | SMMUV3_STE_2_S2R;
	if (stall || feat->stall_forced)
		ste[2] |= SMMUV3_STE_2_S2S;
	ste[3] = root.ttb & SMMUV3_STE_3_S2TTB;
}

static unsigned int vste_config(const struct nested *n)
{
	return (unsigned int)field_get(SMMUV3_STE_0_CONFIG, n->ste[0]);
}

bool nested_is_valid(const struct nested *n)
{
	return n->ste[0] & SMMUV3_STE_0_V;
}

bool nested_translates(const struct nested *n)
{
	return nested_is_valid(n) && vste_config(n) == SMMUV3_STE_CONFIG_S1;
}

/* What is not valid aborts, too; only hardware says so if it is not valid */
void ste_nested(const struct nested *n, bool ats, bool told, uint64_t ste[8])
{
	if (!nested_is_valid(n) && told) {
		memset(ste, 0, 8 * sizeof(ste[0]));
		return;
	}
	if (!nested_is_valid(n) || vste_config(n) == SMMUV3_STE_CONFIG_ABORT) {
		ste_abort(ste);
		return;
	}
	ste_s2(n->viommu->parent, n->viommu->vmid, ats, false, ste);
	if (vste_config(n) == SMMUV3_STE_CONFIG_BYPASS)
		return;
	ste[0] = config(SMMUV3_STE_CONFIG_NESTED) |
		 (n->ste[0] & ~SMMUV3_STE_0_CONFIG);
	/* MEV: a guest that faults in a loop may have its events merged */
	ste[1] |= n->ste[1] | SMMUV3_STE_1_MEV;
}

int nested_set_ste(struct nested *n, const uint64_t ste[2])
{
	uint64_t cfg = field_get(SMMUV3_STE_0_CONFIG, ste[0]);
	uint64_t ats = field_get(SMMUV3_STE_1_EATS, ste[1]);

	if (!(ste[0] & SMMUV3_STE_0_V)) {
		memset(n->ste, 0, sizeof(n->ste));
		n->ats = false;
		return 0;
	}
	if ((ste[0] & ~VSTE_0) || (ste[1] & ~VSTE_1))
		return -EIO;
	if (cfg != SMMUV3_STE_CONFIG_ABORT && cfg != SMMUV3_STE_CONFIG_BYPASS &&
	    cfg != SMMUV3_STE_CONFIG_S1)
		return -EIO;
	if (ats != SMMUV3_EATS_ABORT && ats != SMMUV3_EATS_FULL)
		return -EIO;
	n->ste[0] = ste[0];
	n->ste[1] = ste[1] & ~SMMUV3_STE_1_EATS;
	n->ats = cfg == SMMUV3_STE_CONFIG_S1 && ats == SMMUV3_EATS_FULL;
	return 0;
}

/*
 * The bits hardware looks at in a given STE. MEV counts as unused: changing it
 * at any moment only changes how many events there are; so does PPAR, which
 * says what an answer looks like that hardware gives by itself (8.1).
 */
void ste_used(const uint64_t ste[8], uint64_t used[8])
{
	uint64_t cfg = field_get(SMMUV3_STE_0_CONFIG, ste[0]);

	memset(used, 0, 8 * sizeof(used[0]));
	used[0] = SMMUV3_STE_0_V;
	if (!(ste[0] & SMMUV3_STE_0_V))
		return;
	used[0] |= SMMUV3_STE_0_CONFIG;
	if (!(cfg & 4))
		return;
	used[1] = SMMUV3_STE_1_EATS | SMMUV3_STE_1_S2FWB;
	if (cfg & 1) {
		used[0] |= SMMUV3_STE_0_S1FMT | SMMUV3_STE_0_S1CONTEXTPTR |
			   SMMUV3_STE_0_S1CDMAX;
		used[1] |= SMMUV3_STE_1_S1DSS | SMMUV3_STE_1_S1CIR |
			   SMMUV3_STE_1_S1COR | SMMUV3_STE_1_S1CSH |
			   SMMUV3_STE_1_S1STALLD | SMMUV3_STE_1_STRW;
		used[2] = SMMUV3_STE_2_S2VMID; /* tags stage 1 too */
	}
	if (cfg & 2) {
		used[1] |= SMMUV3_STE_1_SHCFG;
		used[2] = ~0ULL;
		used[3] = SMMUV3_STE_3_S2TTB;
	}
	if (cfg == SMMUV3_STE_CONFIG_S1 &&
	    field_get(SMMUV3_STE_1_S1DSS, ste[1]) == SMMUV3_S1DSS_BYPASS)
		used[1] |= SMMUV3_STE_1_SHCFG;
}

static unsigned int cd_tg0(unsigned int granule_lg2)
{
	switch (granule_lg2) {
	case 14:
		return SMMUV3_TG0_16K;
	case 16:
		return SMMUV3_TG0_64K;
	}
	return SMMUV3_TG0_4K;
}

void cd_make(const struct domain *d, bool stall, uint64_t cd[8])
{
	const struct features *feat = &d->unit->feat;
	struct armv8_pt_root root;

	armv8_pt_root(d->pt, &root);
	memset(cd, 0, 8 * sizeof(cd[0]));
	cd[0] = field_prep(SMMUV3_CD_0_T0SZ, root.t0sz) |
		field_prep(SMMUV3_CD_0_TG0, cd_tg0(feat->granule_lg2)) |
		field_prep(SMMUV3_CD_0_IR0, CACHE_WB) |
		field_prep(SMMUV3_CD_0_OR0, CACHE_WB) |
		field_prep(SMMUV3_CD_0_SH0, SHARE_INNER) | SMMUV3_CD_0_EPD1 |
		SMMUV3_CD_0_V | field_prep(SMMUV3_CD_0_IPS, feat->oas_code) |
		SMMUV3_CD_0_AA64 | SMMUV3_CD_0_R | SMMUV3_CD_0_A |
		SMMUV3_CD_0_ASET | field_prep(SMMUV3_CD_0_ASID, d->asid);
	if (stall || feat->stall_forced)
		cd[0] |= SMMUV3_CD_0_S;
	cd[1] = root.ttb & SMMUV3_CD_1_TTB;
	cd[3] = MAIR_NORMAL | MAIR_DEVICE << 8;
}
