// SPDX-License-Identifier: MIT
/* What the identification registers say, Arm IHI 0070 6.3.1 to 6.3.8. */
#include <string.h>

#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

#define CMDQ_LG2_DEFAULT 11
#define EVTQ_LG2_DEFAULT 10
#define PRIQ_LG2_DEFAULT 10
#define STALL_SHARE	 8 /* of the tags, for one device */
#define CMDQ_LG2_MIN	 1 /* one command and its sync */
#define OAS_USED_MAX	 48
#define OAS_CODE_48	 5

static unsigned int get(uint64_t mask, uint32_t idr)
{
	return (unsigned int)field_get(mask, idr);
}

static int read_idr0(struct unit *u, uint32_t idr)
{
	struct features *f = &u->feat;
	unsigned int ttf = get(SMMUV3_IDR0_TTF, idr);
	unsigned int endian = get(SMMUV3_IDR0_TTENDIAN, idr);
	unsigned int stall = get(SMMUV3_IDR0_STALL_MODEL, idr);

	if (ttf != SMMUV3_TTF_AARCH64 && ttf != SMMUV3_TTF_BOTH)
		return hostunit_refuse(&u->host,
				       "no AArch64 translation tables");
	if (endian != SMMUV3_TTENDIAN_MIXED && endian != SMMUV3_TTENDIAN_LITTLE)
		return hostunit_refuse(&u->host,
				       "no little-endian translation tables");
	if (!(idr & SMMUV3_IDR0_COHACC))
		return hostunit_refuse(&u->host,
				       "table accesses are not coherent");
	f->s1 = idr & SMMUV3_IDR0_S1P;
	f->s2 = idr & SMMUV3_IDR0_S2P;
	f->nesting = f->s1 && f->s2;
	if (!f->s1 && !f->s2)
		return hostunit_refuse(&u->host, "no translation at all");
	f->strtab_2lvl = get(SMMUV3_IDR0_ST_LEVEL, idr) == 1;
	f->cd_2lvl = idr & SMMUV3_IDR0_CD2L;
	f->ats = idr & SMMUV3_IDR0_ATS;
	f->pri = f->ats && (idr & SMMUV3_IDR0_PRI);
	f->hyp = idr & SMMUV3_IDR0_HYP;
	f->stall_optional = stall == SMMUV3_STALL_BOTH;
	f->stall_forced = stall == SMMUV3_STALL_FORCED;
	f->asid_bits = idr & SMMUV3_IDR0_ASID16 ? 16 : 8;
	f->vmid_bits = idr & SMMUV3_IDR0_VMID16 ? 16 : 8;
	return 0;
}

static unsigned int queue_lg2(unsigned int wanted, unsigned int usual,
			      unsigned int max)
{
	unsigned int lg2 = wanted ? wanted : usual;

	return lg2 < max ? lg2 : max;
}

static int read_idr1(struct unit *u, uint32_t idr)
{
	struct features *f = &u->feat;

	if (idr & (SMMUV3_IDR1_TABLES_PRESET | SMMUV3_IDR1_QUEUES_PRESET |
		   SMMUV3_IDR1_REL))
		return hostunit_refuse(&u->host, "preset tables or queues");
	f->sid_bits = get(SMMUV3_IDR1_SIDSIZE, idr);
	f->ssid_bits = get(SMMUV3_IDR1_SSIDSIZE, idr);
	f->cmdq_lg2 = queue_lg2(u->cfg.cmdq_lg2, CMDQ_LG2_DEFAULT,
				get(SMMUV3_IDR1_CMDQS, idr));
	f->evtq_lg2 = queue_lg2(u->cfg.evtq_lg2, EVTQ_LG2_DEFAULT,
				get(SMMUV3_IDR1_EVENTQS, idr));
	f->priq_lg2 = queue_lg2(u->cfg.priq_lg2, PRIQ_LG2_DEFAULT,
				get(SMMUV3_IDR1_PRIQS, idr));
	if (f->cmdq_lg2 < CMDQ_LG2_MIN)
		return hostunit_refuse(&u->host,
				       "the command queue is too small");
	if (f->sid_bits > 32 || f->ssid_bits > 20)
		return hostunit_refuse(&u->host, "impossible identification");
	return 0;
}

/* Output addresses above 48 bits need tables this driver does not build. */
static int read_idr5(struct unit *u, uint32_t idr)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };
	struct features *f = &u->feat;

	if (idr & SMMUV3_IDR5_GRAN4K)
		f->granule_lg2 = 12;
	else if (idr & SMMUV3_IDR5_GRAN16K)
		f->granule_lg2 = 14;
	else if (idr & SMMUV3_IDR5_GRAN64K)
		f->granule_lg2 = 16;
	else
		return hostunit_refuse(&u->host, "no granule");
	f->oas_code = get(SMMUV3_IDR5_OAS, idr);
	f->oas = bits[f->oas_code];
	if (f->oas > OAS_USED_MAX) {
		f->oas = OAS_USED_MAX;
		f->oas_code = OAS_CODE_48;
	}
	return 0;
}

int features_read(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	int rc;

	memset(&u->info, 0, sizeof(u->info));
	for (unsigned int i = 0; i < 6; i++)
		u->info.idr[i] = unit_read(u, SMMUV3_IDR0 + 4 * i);
	u->info.iidr = unit_read(u, SMMUV3_IIDR);
	u->info.aidr = unit_read(u, SMMUV3_AIDR);

	rc = read_idr0(u, u->info.idr[0]);
	if (!rc)
		rc = read_idr1(u, u->info.idr[1]);
	if (!rc)
		rc = read_idr5(u, u->info.idr[5]);
	u->feat.stalls = get(SMMUV3_IDR5_STALL_MAX, u->info.idr[5]);
	u->feat.stalls = (u->feat.stalls + STALL_SHARE - 1) / STALL_SHARE;
	u->feat.ril = u->info.idr[3] & SMMUV3_IDR3_RIL;
	return rc;
}
