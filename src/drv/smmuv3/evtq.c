// SPDX-License-Identifier: MIT
/*
 * The event queue, Arm IHI 0070 3.5 and 7.2. Events of a stream that is under
 * a guest's stage 1 and are not stage 2's go to the guest, with its own
 * StreamID; the others are the host's and only logged. A stalled transaction
 * is always terminated: nobody here resumes it.
 */
#include <errno.h>
#include <string.h>

#include "drv/smmuv3/barrier.h"
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

static void terminate(struct unit *u, const uint64_t evt[4])
{
	/* Ac = 0, Ab = 1: the transaction ends with an abort */
	cmdq_post(&u->cmdq,
		  SMMUV3_OP_RESUME | SMMUV3_RESUME_0_AB |
			  (evt[0] & SMMUV3_EVT_0_SID),
		  evt[1] & SMMUV3_EVT_1_STAG);
}

/* sid_lock is held, so that the vIOMMU lives: detaching clears vmaster first */
static bool forward(struct unit *u, uint32_t sid, const uint64_t evt[4])
{
	struct itree_node *node = itree_first(&u->masters, sid, sid);
	struct iommu_vevent_arm_smmuv3 record;
	struct master *m;

	if (!node || (evt[1] & SMMUV3_EVT_1_S2) ||
	    !is_for_guests((unsigned int)field_get(SMMUV3_EVT_0_TYPE, evt[0])))
		return false;
	m = container_of(node, struct master, sid_node);
	if (!m->vmaster)
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

static void handle_one(struct unit *u, const uint64_t evt[4])
{
	uint32_t sid = (uint32_t)field_get(SMMUV3_EVT_0_SID, evt[0]);
	bool taken;

	pthread_mutex_lock(&u->sid_lock);
	taken = forward(u, sid, evt);
	pthread_mutex_unlock(&u->sid_lock);
	if (is_stalled(evt))
		terminate(u, evt);
	if (!taken)
		logger_log(
			u->cfg.logger, LOGGER_INFO,
			"smmuv3: event %#x of stream %#x: %016llx %016llx "
			"%016llx %016llx",
			(unsigned int)field_get(SMMUV3_EVT_0_TYPE, evt[0]), sid,
			(unsigned long long)evt[0], (unsigned long long)evt[1],
			(unsigned long long)evt[2], (unsigned long long)evt[3]);
}

static uint32_t index_mask(const struct evtq *q)
{
	return (uint32_t)BIT_ULL(q->lg2 + 1) - 1;
}

/* Records up to PROD as read once; false when there was nothing. */
static bool drain(struct unit *u)
{
	struct evtq *q = &u->evtq;
	const struct smmuv3_evt_rec *ring = q->mem.host;
	uint32_t prod = unit_read(u, SMMUV3_EVENTQ_PROD);
	uint32_t overflow = prod & SMMUV3_Q_OVFLG;
	bool overflowed = overflow != (q->cons & SMMUV3_Q_OVFLG);
	uint32_t n = (prod - q->cons) & index_mask(q);

	if (!n && !overflowed)
		return false;
	/* PROD before the records that it covers; hardware wrote them first */
	barrier_after_index();
	if (n > BIT_ULL(q->lg2))
		n = (uint32_t)BIT_ULL(q->lg2);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (q->cons + i) & (index_mask(q) >> 1);
		uint64_t evt[4];

		for (int word = 0; word < 4; word++)
			evt[word] = le64_get(ring[at].dw[word]);
		handle_one(u, evt);
	}
	if (overflowed)
		logger_log(u->cfg.logger, LOGGER_WARN,
			   "smmuv3: the event queue has overflowed");
	q->cons = ((q->cons + n) & index_mask(q)) | overflow;
	unit_write(u, SMMUV3_EVENTQ_CONS, q->cons);
	return true;
}

/*
 * Moving CONS may make room for an event that was waiting, and its interrupt
 * arrives in the middle of this function, in this thread: whoever has the lock
 * goes round again.
 */
void evtq_handle(void *arg)
{
	struct unit *u = arg;
	struct evtq *q = &u->evtq;

	/* read-modify-writes, for the reason given at cmdq.c's unlock() */
	__atomic_exchange_n(&q->pending, 1, __ATOMIC_ACQ_REL);
	while (__atomic_fetch_or(&q->pending, 0, __ATOMIC_ACQ_REL) &&
	       !pthread_mutex_trylock(&q->lock)) {
		__atomic_exchange_n(&q->pending, 0, __ATOMIC_ACQ_REL);
		while (drain(u))
			;
		pthread_mutex_unlock(&q->lock);
	}
}

int evtq_init(struct unit *u)
{
	struct evtq *q = &u->evtq;
	size_t bytes = SMMUV3_EVT_SIZE << u->feat.evtq_lg2;
	int rc;

	q->lg2 = u->feat.evtq_lg2;
	rc = unit_mem_alloc(u, bytes, bytes, &q->mem);
	if (rc)
		return rc;
	pthread_mutex_init(&q->lock, NULL);
	unit_write64(u, SMMUV3_EVENTQ_BASE,
		     SMMUV3_Q_BASE_HINT | (q->mem.pa & SMMUV3_Q_BASE_ADDR) |
			     q->lg2);
	unit_write(u, SMMUV3_EVENTQ_PROD, 0);
	unit_write(u, SMMUV3_EVENTQ_CONS, 0);
	return 0;
}

void evtq_fini(struct unit *u)
{
	struct evtq *q = &u->evtq;

	if (!q->mem.host)
		return;
	pthread_mutex_destroy(&q->lock);
	unit_mem_free(u, &q->mem);
}
