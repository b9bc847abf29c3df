// SPDX-License-Identifier: MIT
/*
 * Faults that the unit records (7.3): said to people. Linux has no
 * event queue for them, so a guest hears of its own from nobody.
 */
#include "drv/vtd/unit.h"
#include "hwdef/vtd_regs.h"

/* Records for one thread at one interrupt; hardware may have a single one. */
#define ENOUGH 64

static uint32_t record_offset(const struct unit *u, unsigned int i)
{
	return ((uint32_t)field_get(VTD_CAP_FRO, u->info.cap_reg) + i) * 16;
}

static unsigned int records(const struct unit *u)
{
	return (unsigned int)field_get(VTD_CAP_NFR, u->info.cap_reg) + 1;
}

static void say(struct unit *u, uint64_t dw0, uint64_t dw1)
{
	bool pasid = dw1 & VTD_FRCD_1_PP;

	logger_log(u->cfg.logger, LOGGER_WARN,
		   "vtd: fault %#x of device %#x%s%.0x, type %u%u, at %#llx",
		   (unsigned int)field_get(VTD_FRCD_1_FR, dw1),
		   (unsigned int)field_get(VTD_FRCD_1_SID, dw1),
		   pasid ? ", PASID 0x" : "",
		   pasid ? (unsigned int)field_get(VTD_FRCD_1_PV, dw1) : 0,
		   !!(dw1 & VTD_FRCD_1_T1), !!(dw1 & VTD_FRCD_1_T2),
		   (unsigned long long)(dw0 & VTD_FRCD_0_FI));
}

/* 11.4.7.6: F is the last bit to be set and the first to be cleared. */
static bool take(struct unit *u, unsigned int i, bool tell)
{
	uint32_t offset = record_offset(u, i);
	uint64_t dw1 = vtd_unit_read(u, offset + 8, 8);
	uint64_t dw0;

	if (!(dw1 & VTD_FRCD_1_F))
		return false;
	dw0 = vtd_unit_read(u, offset, 8);
	vtd_unit_write(u, offset + 8, 8, VTD_FRCD_1_F);
	if (tell)
		say(u, dw0, dw1);
	return true;
}

/* What comes while any of it is set raises no event (7.3). */
static uint64_t look(struct unit *u)
{
	uint64_t fsts = vtd_unit_read(u, VTD_FSTS, 4);

	if (fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE))
		hostq_kick(&u->q);
	return fsts;
}

/* A full circle at most */
static uint32_t take_some(struct hostwork *w, bool *any)
{
	struct unit *u = container_of(w, struct unit, faults);
	uint64_t fsts = look(u);
	unsigned int n = records(u);
	unsigned int at = (unsigned int)field_get(VTD_FSTS_FRI, fsts) % n;
	unsigned int taken = 0;

	*any = fsts & (VTD_FSTS_PPF | VTD_FSTS_PFO);
	if (!*any)
		return 0;
	while (taken < n && take(u, (at + taken) % n, true))
		taken++;
	if (fsts & VTD_FSTS_PFO)
		vtd_unit_write(u, VTD_FSTS, 4, VTD_FSTS_PFO);
	return taken ? taken : 1;
}

void vtd_fault_init(struct unit *u)
{
	u->faults.some = take_some;
	u->faults.enough = ENOUGH;
	u->faults.thread = &u->host.worker;
	hostwork_init(&u->faults);
}

void vtd_fault_reset(struct unit *u)
{
	for (unsigned int i = 0; i < records(u); i++)
		take(u, i, false);
	vtd_unit_write(u, VTD_FSTS, 4,
		       VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE |
			       VTD_FSTS_ITE);
}
