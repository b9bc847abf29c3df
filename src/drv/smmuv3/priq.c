// SPDX-License-Identifier: MIT
/*
 * The PRI queue, Arm IHI 0070 chapter 8: page requests of devices go to who
 * takes the faults of what the device is attached to, answers go back as
 * CMD_PRI_RESP. Groups of which the last request was lost are dropped (8.1.1):
 * hardware has answered them.
 */
#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_event.h"
#include "hwdef/smmuv3_regs.h"

#define REC_LWR \
	(SMMUV3_PRI_REC_0_LAST | SMMUV3_PRI_REC_0_WRITE | SMMUV3_PRI_REC_0_READ)

static void respond(struct unit *u, uint32_t sid,
		    const struct core_page_request *last, unsigned int code)
{
	uint64_t dw0 = SMMUV3_OP_PRI_RESP | field_prep(SMMUV3_CMD_0_SID, sid);

	if (last->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID)
		dw0 |= SMMUV3_CMD_0_SSV |
		       field_prep(SMMUV3_CMD_0_SSID, last->pasid);
	cmdq_post(&u->cmdq, dw0,
		  field_prep(SMMUV3_PRI_1_PRGINDEX, last->grpid) |
			  field_prep(SMMUV3_PRI_1_RESP, code));
}

void priq_answer(struct master *m, const struct core_page_request *last,
		 bool success)
{
	respond(m->unit, m->dev->stream_id, last,
		success ? SMMUV3_PRI_SUCCESS : SMMUV3_PRI_INVALID);
}

static uint32_t perm_of(uint64_t dw0)
{
	uint32_t perm = 0;

	if (dw0 & SMMUV3_PRI_REC_0_READ)
		perm |= IOMMU_PGFAULT_PERM_READ;
	if (dw0 & SMMUV3_PRI_REC_0_WRITE)
		perm |= IOMMU_PGFAULT_PERM_WRITE;
	if (dw0 & SMMUV3_PRI_REC_0_EXEC)
		perm |= IOMMU_PGFAULT_PERM_EXEC;
	if (dw0 & SMMUV3_PRI_REC_0_PRIV)
		perm |= IOMMU_PGFAULT_PERM_PRIV;
	return perm;
}

/* Nothing is asked for, and nobody waits for an answer (8). */
static bool is_stop_marker(uint64_t dw0)
{
	return (dw0 & SMMUV3_PRI_REC_0_SSV) &&
	       (dw0 & REC_LWR) == SMMUV3_PRI_REC_0_LAST;
}

static void request_of(const uint64_t *dw, struct core_page_request *request)
{
	*request = (struct core_page_request){
		.grpid = (uint32_t)(dw[1] & SMMUV3_PRI_REC_1_PRGINDEX),
		.perm = perm_of(dw[0]),
		.addr = dw[1] & SMMUV3_PRI_REC_1_ADDR,
		.kind = REQUEST_PRI,
	};
	if (dw[0] & SMMUV3_PRI_REC_0_LAST)
		request->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	if (dw[0] & SMMUV3_PRI_REC_0_SSV) {
		request->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		request->pasid =
			(uint32_t)field_get(SMMUV3_PRI_REC_0_SSID, dw[0]);
	}
}

static void handle_request(struct unit *u, const uint64_t *dw)
{
	uint32_t sid = (uint32_t)field_get(SMMUV3_PRI_REC_0_SID, dw[0]);
	struct core_page_request request;

	if (is_stop_marker(dw[0]))
		return;
	request_of(dw, &request);
	if (hostunit_page_request(&u->host, sid, &request, false) &&
	    (request.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
		respond(u, sid, &request, SMMUV3_PRI_FAILURE);
}

void priq_lost(struct unit *u)
{
	hostunit_requests_lost(&u->host, REQUEST_PRI);
}

static void overflowed(struct unit *u)
{
	logger_log(u->cfg.logger, LOGGER_WARN,
		   "smmuv3: the PRI queue has overflowed");
	priq_lost(u);
}

int priq_init(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	if (!u->feat.pri)
		return 0;
	u->priq.dwords = 2;
	u->priq.prod_reg = SMMUV3_PRIQ_PROD;
	u->priq.cons_reg = SMMUV3_PRIQ_CONS;
	u->priq.record = handle_request;
	u->priq.overflowed = overflowed;
	return outq_init(&u->priq, u, SMMUV3_PRIQ_BASE, u->feat.priq_lg2);
}

void priq_fini(struct core_iommu *iommu)
{
	outq_fini(&to_unit(iommu)->priq);
}
