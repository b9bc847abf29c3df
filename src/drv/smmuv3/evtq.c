// SPDX-License-Identifier: MIT
/*
 * The event queue, Arm IHI 0070 3.5 and 7.2. Events of a stream that is under
 * a guest's stage 1 and are not stage 2's go to the guest, with its own
 * StreamID; the others are the host's and only logged. A stall is a question to
 * who takes the faults of what the device is attached to, and no event.
 */
#include <errno.h>
#include <string.h>

#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_event.h"
#include "hwdef/smmuv3_regs.h"

/* The kinds of event the ABI passes on (iommu_vevent_arm_smmuv3) */
static bool is_for_guests(unsigned int type)
{
	switch (type) {
	case SMMUV3_EVT_C_BAD_STE:
	case SMMUV3_EVT_F_STREAM_DISABLED:
	case SMMUV3_EVT_C_BAD_SUBSTREAMID:
	case SMMUV3_EVT_C_BAD_CD:
	case SMMUV3_EVT_F_TRANSLATION:
	case SMMUV3_EVT_F_ADDR_SIZE:
	case SMMUV3_EVT_F_ACCESS:
	case SMMUV3_EVT_F_PERMISSION:
		return true;
	}
	return false;
}

static bool is_stalled(const uint64_t evt[4])
{
	uint64_t type = field_get(SMMUV3_EVT_0_TYPE, evt[0]);

	return type >= SMMUV3_EVT_F_TRANSLATION &&
	       type <= SMMUV3_EVT_F_PERMISSION && (evt[1] & SMMUV3_EVT_1_STALL);
}

/* Ac = 0, Ab = 1: the transaction ends with an abort */
static void resume(struct unit *u, uint32_t sid, uint64_t stag, bool retry)
{
	cmdq_post(&u->cmdq,
		  SMMUV3_OP_RESUME |
			  (retry ? SMMUV3_RESUME_0_AC : SMMUV3_RESUME_0_AB) |
			  field_prep(SMMUV3_CMD_0_SID, sid),
		  stag & SMMUV3_RESUME_1_STAG);
}

/* Core has the answer to a stall of @m. */
void evtq_answer(struct master *m, const struct core_page_request *last,
		 bool success)
{
	__atomic_sub_fetch(&m->stalls, 1, __ATOMIC_RELAXED);
	resume(m->unit, m->dev->stream_id, last->grpid, success);
}

static uint32_t stall_perm(uint64_t dw1)
{
	uint32_t perm = dw1 & SMMUV3_EVT_1_RNW ? IOMMU_PGFAULT_PERM_READ
					       : IOMMU_PGFAULT_PERM_WRITE;

	if (dw1 & SMMUV3_EVT_1_IND)
		perm |= IOMMU_PGFAULT_PERM_EXEC;
	if (dw1 & SMMUV3_EVT_1_PNU)
		perm |= IOMMU_PGFAULT_PERM_PRIV;
	return perm;
}

/*
 * devs.lock is held. True if somebody will answer, or has: a stall that nobody
 * takes is one that is terminated. So is one of stage 2 below a guest, whose
 * VMM must not be asked for what the host has not mapped, and those by which
 * one device would take so many tags that others could not stall.
 */
static bool stalled(struct unit *u, struct master *m, const uint64_t evt[4])
{
	struct core_page_request request = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE,
		.grpid = (uint32_t)(evt[1] & SMMUV3_EVT_1_STAG),
		.perm = stall_perm(evt[1]),
		.addr = evt[2],
		.kind = REQUEST_STALL,
	};

	if ((m->vmaster && (evt[1] & SMMUV3_EVT_1_S2)) ||
	    __atomic_load_n(&m->stalls, __ATOMIC_RELAXED) >= u->feat.stalls) {
		resume(u, m->dev->stream_id, request.grpid, false);
		return false;
	}
	if (evt[0] & SMMUV3_EVT_0_SSV) {
		request.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		request.pasid = (uint32_t)field_get(SMMUV3_EVT_0_SSID, evt[0]);
	}
	__atomic_add_fetch(&m->stalls, 1, __ATOMIC_RELAXED);
	return !core_page_request(m->dev, &request);
}

/* devs.lock is held, so that the vIOMMU lives: detaching clears vmaster first
 */
static bool forward(const struct master *m, const uint64_t evt[4])
{
	struct iommu_vevent_arm_smmuv3 record;

	if (!m->vmaster || (evt[1] & SMMUV3_EVT_1_S2) ||
	    !is_for_guests((unsigned int)field_get(SMMUV3_EVT_0_TYPE, evt[0])))
		return false;
	for (int i = 0; i < 4; i++)
		record.evt[i] = htole64(evt[i]);
	record.evt[0] = htole64((evt[0] & ~SMMUV3_EVT_0_SID) |
				field_prep(SMMUV3_EVT_0_SID, m->vsid));
	if (is_stalled(evt)) /* terminated by us: what the guest sees is that */
		record.evt[1] = htole64(
			evt[1] & ~(SMMUV3_EVT_1_STALL | SMMUV3_EVT_1_STAG));
	core_viommu_event(&m->vmaster->core, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
			  &record, sizeof(record));
	return true;
}

/* With devs.lock: true if it is not only the host's */
static bool deliver(struct unit *u, uint32_t sid, const uint64_t evt[4])
{
	struct master *m = master_find(u, sid);

	if (!m && is_stalled(evt))
		resume(u, sid, evt[1], false);
	if (!m)
		return false;
	if (is_stalled(evt) && stalled(u, m, evt))
		return true;
	return forward(m, evt);
}

static void handle_event(struct unit *u, const uint64_t *evt)
{
	uint32_t sid = (uint32_t)field_get(SMMUV3_EVT_0_SID, evt[0]);
	bool taken;

	cmdq_hold(&u->cmdq);
	pthread_mutex_lock(&u->devs.lock);
	taken = deliver(u, sid, evt);
	pthread_mutex_unlock(&u->devs.lock);
	cmdq_release(&u->cmdq);
	if (!taken)
		logger_log(
			u->cfg.logger, LOGGER_INFO,
			"smmuv3: event %#x of stream %#x: %016llx %016llx "
			"%016llx %016llx",
			(unsigned int)field_get(SMMUV3_EVT_0_TYPE, evt[0]), sid,
			(unsigned long long)evt[0], (unsigned long long)evt[1],
			(unsigned long long)evt[2], (unsigned long long)evt[3]);
}

/* Any guest's may have been among them, so each is told. */
void evtq_lost(struct unit *u)
{
	struct itree_node *node;

	pthread_mutex_lock(&u->devs.lock);
	for (node = itree_from(&u->devs.tree, 0); node;
	     node = itree_succ(node)) {
		const struct master *m =
			container_of(node, struct master, hostdev.node);

		if (m->vmaster)
			core_viommu_event(&m->vmaster->core,
					  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, NULL,
					  0);
	}
	pthread_mutex_unlock(&u->devs.lock);
	logger_log(u->cfg.logger, LOGGER_WARN, "smmuv3: events were lost");
}

int evtq_init(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	u->evtq.dwords = 4;
	u->evtq.prod_reg = SMMUV3_EVENTQ_PROD;
	u->evtq.cons_reg = SMMUV3_EVENTQ_CONS;
	u->evtq.record = handle_event;
	u->evtq.overflowed = evtq_lost;
	u->evtq.lost_first = true;
	return outq_init(&u->evtq, u, SMMUV3_EVENTQ_BASE, u->feat.evtq_lg2);
}

void evtq_fini(struct core_iommu *iommu)
{
	outq_fini(&to_unit(iommu)->evtq);
}
