// SPDX-License-Identifier: MIT
/*
 * The page request queue (7.4): requests of devices go to who takes the faults
 * of what the device is attached to, answers go back as page group responses
 * (7.6.1). Groups of which the last request was lost are dropped: hardware has
 * answered them.
 */
#include <errno.h>

#include "base/barrier.h"
#include "drv/vtd/unit.h"
#include "hwdef/vtd_regs.h"

#define PRQ_LG2	      9
#define REQUESTS      (1u << PRQ_LG2)
#define PAGE_LG2      7 /* of them in 4 KiB */
#define REQUEST_WORDS 4

/* Codes of a response (PCIe, PRG Response Message) */
#define RESPONSE_INVALID 1
#define RESPONSE_FAILURE 0xf

static uint32_t perm_of(const uint64_t dw[REQUEST_WORDS])
{
	return (dw[1] & VTD_PRQ_1_R ? IOMMU_PGFAULT_PERM_READ : 0) |
	       (dw[1] & VTD_PRQ_1_W ? IOMMU_PGFAULT_PERM_WRITE : 0) |
	       (dw[0] & VTD_PRQ_0_EXE ? IOMMU_PGFAULT_PERM_EXEC : 0) |
	       (dw[0] & VTD_PRQ_0_PM ? IOMMU_PGFAULT_PERM_PRIV : 0);
}

static void request_of(const uint64_t dw[REQUEST_WORDS],
		       struct core_page_request *request)
{
	*request = (struct core_page_request){
		.grpid = (uint32_t)field_get(VTD_PRQ_1_PRGI, dw[1]),
		.perm = perm_of(dw),
		.addr = dw[1] & VTD_PRQ_1_ADDR,
	};
	if (dw[1] & VTD_PRQ_1_LPIG)
		request->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	if (dw[0] & VTD_PRQ_0_PP) {
		request->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		request->pasid = (uint32_t)field_get(VTD_PRQ_0_PASID, dw[0]);
	}
}

/*
 * As Linux, which has no first stage of its own for kernels: nobody executes or
 * is privileged. Addresses are sign-extended from 57 bits.
 */
static bool is_refused(const struct core_page_request *request)
{
	bool rw = request->perm &
		  (IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
	int64_t top = (int64_t)request->addr >> 56;

	return (top && top != -1) ||
	       ((request->perm & IOMMU_PGFAULT_PERM_PRIV) && rw) ||
	       ((request->perm & IOMMU_PGFAULT_PERM_EXEC) &&
		(request->perm & IOMMU_PGFAULT_PERM_READ));
}

/* Nothing is asked for, and nobody waits for an answer (7.4.1). */
static bool is_stop_marker(const uint64_t dw[REQUEST_WORDS])
{
	return (dw[1] & (VTD_PRQ_1_LPIG | VTD_PRQ_1_R | VTD_PRQ_1_W)) ==
	       VTD_PRQ_1_LPIG;
}

static void respond(struct unit *u, uint16_t sid,
		    const struct core_page_request *last, unsigned int code)
{
	uint64_t d[DESC_DWORDS];

	if (!(last->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
		return;
	desc_page_response(sid,
			   last->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID
				   ? last->pasid
				   : CORE_NO_PASID,
			   last->grpid, code, d);
	hostq_post(&u->q, d);
}

static void handle_request(struct unit *u, const uint64_t dw[REQUEST_WORDS])
{
	uint16_t sid = (uint16_t)field_get(VTD_PRQ_0_RID, dw[0]);
	struct core_page_request request;
	int rc;

	if (is_stop_marker(dw))
		return;
	request_of(dw, &request);
	rc = hostunit_page_request(&u->host, sid, &request,
				   is_refused(&request));
	if (rc)
		respond(u, sid, &request,
			rc == -EINVAL ? RESPONSE_INVALID : RESPONSE_FAILURE);
}

static void requests_lost(struct unit *u)
{
	logger_log(u->cfg.logger, LOGGER_WARN,
		   "vtd: the page request queue has overflowed");
	hostunit_requests_lost(&u->host, 0);
}

static void read_record(const struct unit *u, uint32_t index,
			uint64_t dw[REQUEST_WORDS])
{
	const le64 *rec =
		(const le64 *)u->prq.mem.host + (size_t)index * REQUEST_WORDS;

	for (unsigned int i = 0; i < REQUEST_WORDS; i++)
		dw[i] = le64_get(rec[i]);
}

static uint32_t tail(const struct unit *u)
{
	uint64_t index = field_get(VTD_PQ_INDEX, vtd_unit_read(u, VTD_PQT, 8));

	return (uint32_t)index & (REQUESTS - 1);
}

/*
 * PPR is cleared before the tail is read, so that what comes later raises the
 * event again. PRO is cleared only when all is consumed (7.4.1): until then
 * hardware takes no more.
 */
static uint32_t drain(struct hostwork *w, bool *any)
{
	struct unit *u = container_of(w, struct unit, prq.work);
	uint64_t status = vtd_unit_read(u, VTD_PRS, 4);
	uint64_t dw[REQUEST_WORDS];
	uint32_t end, n;

	*any = status & (VTD_PRS_PPR | VTD_PRS_PRO);
	if (!*any)
		return 0;
	vtd_unit_write(u, VTD_PRS, 4, VTD_PRS_PPR);
	end = tail(u);
	barrier_after_index();
	for (n = 0; u->prq.head != end; n++) {
		read_record(u, u->prq.head, dw);
		handle_request(u, dw);
		u->prq.head = (u->prq.head + 1) & (REQUESTS - 1);
	}
	vtd_unit_write(u, VTD_PQH, 8, (uint64_t)end * VTD_PRQ_SIZE);
	if ((vtd_unit_read(u, VTD_PRS, 4) & VTD_PRS_PRO) && tail(u) == end) {
		requests_lost(u);
		vtd_unit_write(u, VTD_PRS, 4, VTD_PRS_PRO);
	}
	return n ? n : 1;
}

void vtd_page_response(struct core_device *dev,
		       const struct core_page_request *last, uint32_t code)
{
	struct master *m = dev->drv;

	respond(m->unit, m->sid, last,
		code == IOMMUFD_PAGE_RESP_SUCCESS ? 0 : RESPONSE_INVALID);
}

int vtd_prq_init(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	size_t bytes = (size_t)VTD_PRQ_SIZE << PRQ_LG2;
	int rc;

	if (!u->feat.prq)
		return 0;
	rc = hostmem_alloc(&u->port, bytes, bytes, &u->prq.mem);
	if (rc)
		return rc;
	u->prq.work.some = drain;
	u->prq.work.enough = REQUESTS;
	u->prq.work.thread = &u->host.worker;
	hostwork_init(&u->prq.work);
	vtd_unit_write(u, VTD_PQH, 8, 0);
	vtd_unit_write(u, VTD_PQT, 8, 0);
	vtd_unit_write(u, VTD_PQA, 8, u->prq.mem.pa | (PRQ_LG2 - PAGE_LG2));
	vtd_unit_write(u, VTD_PRS, 4, VTD_PRS_PPR | VTD_PRS_PRO);
	return 0;
}

void vtd_prq_fini(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	if (!u->prq.mem.host)
		return;
	hostwork_fini(&u->prq.work);
	hostmem_free(&u->port, &u->prq.mem);
}
