// SPDX-License-Identifier: MIT
/*
 * The invalidation queue (6.5.2) as a host queue. Its syncs are wait
 * descriptors that write a status: those of one batch the batch's number, each
 * to a place of its own, so that software sees which have completed whatever
 * hardware says its head is.
 */
#include <errno.h>

#include "drv/vtd/unit.h"
#include "hwdef/vtd_qi.h"
#include "hwdef/vtd_regs.h"

#define QUEUE_LG2_DEFAULT 10
#define QUEUE_LG2_MIN	  8
#define QUEUE_LG2_MAX	  14

static struct unit *unit_of(const struct hostq *q)
{
	return container_of(q, struct unit, q);
}

static unsigned int index_shift(const struct hostq *q)
{
	return q->dwords == 4 ? 5 : 4;
}

static uint32_t qi_consumed(struct hostq *q)
{
	uint64_t head = vtd_unit_read(unit_of(q), VTD_IQH, 8) & VTD_IQ_INDEX;

	return (uint32_t)(head >> index_shift(q)) & q->indices;
}

static void qi_doorbell(struct hostq *q)
{
	vtd_unit_write(unit_of(q), VTD_IQT, 8,
		       (uint64_t)q->prod << index_shift(q));
}

static uint64_t status_pa(const struct unit *u, uint32_t nth)
{
	return u->status.pa + nth * sizeof(le32);
}

/* Pairs with the write of the wait descriptor */
static bool is_written(const struct unit *u, uint32_t nth, uint32_t seq)
{
	const uint32_t *place = (const uint32_t *)u->status.host + nth;

	return le32toh(__atomic_load_n(place, __ATOMIC_ACQUIRE)) == seq;
}

static void qi_sync(const struct hostq *q, const struct hostq_batch *b,
		    uint32_t nth, uint64_t *cmd)
{
	desc_wait(status_pa(unit_of(q), nth), b->seq, cmd);
}

/* The first wait inside @b that has not completed; @otherwise: all have */
static uint32_t first_aborted(const struct hostq *q,
			      const struct hostq_batch *b, uint32_t otherwise)
{
	uint32_t nth = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (!desc_is_wait(b->cmds + (size_t)i * q->stride))
			continue;
		if (!is_written(unit_of(q), nth++, b->seq))
			return i;
	}
	return otherwise;
}

/*
 * 6.5.2.11: the waits that were pending are aborted, the queue has stopped at
 * its head. What stands there is fetched when ITE is cleared; if the last wait
 * is not among that, nothing more will come of it.
 */
static void take_ite(struct hostq *q, struct hostq_batch *b)
{
	struct unit *u = unit_of(q);
	uint64_t record = vtd_unit_read(u, VTD_IQERCD, 8);
	uint32_t at = hostq_sub(q, qi_consumed(q), b->first);
	uint64_t sid = field_get(VTD_IQERCD_ITESID, record);
	bool known = b->failed;

	hostq_timeout(q, b, at);
	if (at > b->end)
		b->over = true;
	if (at > b->end && !known && !is_written(u, b->nth, b->seq))
		b->failed = true;
	if (!known) {
		b->limit = first_aborted(q, b, b->limit);
		b->named = sid ? sid : HOSTQ_NO_SID;
	}
	vtd_unit_write(u, VTD_FSTS, 4, VTD_FSTS_ITE);
}

static void take_iqe(struct hostq *q, struct hostq_batch *b)
{
	struct unit *u = unit_of(q);
	uint64_t record = vtd_unit_read(u, VTD_IQERCD, 8);
	uint32_t at = hostq_sub(q, qi_consumed(q), b->first);

	switch (field_get(VTD_IQERCD_IQEI, record)) {
	case VTD_IQEI_FETCH:
		hostq_count(&q->stats.aborts);
		hostq_try_again(q, b, at, "the queue cannot be fetched");
		break;
	case VTD_IQEI_TYPE:
	case VTD_IQEI_RESERVED:
		hostq_refused(q, b, at);
		break;
	default:
		hostq_kill(q, "the queue is not set up as hardware sees it");
	}
	if (!q->dead)
		vtd_unit_write(u, VTD_FSTS, 4, VTD_FSTS_IQE);
}

static void take_ice(struct hostq *q, struct hostq_batch *b)
{
	struct unit *u = unit_of(q);
	uint64_t record = vtd_unit_read(u, VTD_IQERCD, 8);
	uint64_t sid = field_get(VTD_IQERCD_ICESID, record);

	logger_log(q->logger, LOGGER_WARN,
		   "vtd: invalid answer to an invalidation from %#llx",
		   (unsigned long long)sid);
	b->refused = true;
	if (!b->failed)
		b->named = sid ? sid : HOSTQ_NO_SID;
	vtd_unit_write(u, VTD_FSTS, 4, VTD_FSTS_ICE);
}

static bool qi_error(struct hostq *q, struct hostq_batch *b)
{
	uint64_t fsts = vtd_unit_read(unit_of(q), VTD_FSTS, 4);

	if (fsts & VTD_FSTS_IQE)
		take_iqe(q, b);
	else if (fsts & VTD_FSTS_ITE)
		take_ite(q, b);
	else if (fsts & VTD_FSTS_ICE)
		take_ice(q, b);
	else
		return false;
	return true;
}

/* An answer that was not one stops nothing: it has to be looked for. */
static bool qi_complete(struct hostq *q, struct hostq_batch *b)
{
	uint64_t fsts;

	/* or it was in front of it that the queue stopped */
	if (b->over || (b->end < b->n && b->limit <= b->end))
		return true;
	if (!is_written(unit_of(q), b->nth, b->seq))
		return false;
	fsts = vtd_unit_read(unit_of(q), VTD_FSTS, 4);
	return !(fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE));
}

static void qi_stop(struct hostq *q)
{
	vtd_unit_stop(unit_of(q));
}

static const struct hostq_ops queue_ops = {
	.name = "vtd",
	.consumed = qi_consumed,
	.doorbell = qi_doorbell,
	.error = qi_error,
	.complete = qi_complete,
	.sync = qi_sync,
	.nothing = desc_nothing,
	.is_sync = desc_is_wait,
	.asks = desc_is_dev_tlb,
	.stop = qi_stop,
	.unsure = true,
};

/* Below this many descriptors there is no such queue: a page of them */
static unsigned int page_lg2(const struct hostq *q)
{
	return q->dwords == 4 ? 7 : 8;
}

int vtd_queue_init(struct unit *u)
{
	unsigned int lg2 =
		u->cfg.queue_lg2 ? u->cfg.queue_lg2 : QUEUE_LG2_DEFAULT;
	struct hostq *q = &u->q;
	int rc;

	if (lg2 < QUEUE_LG2_MIN || lg2 > QUEUE_LG2_MAX)
		return -EINVAL;
	q->ops = &queue_ops;
	q->port = &u->port;
	q->logger = u->cfg.logger;
	q->timeout_ms = u->cfg.timeout_ms;
	q->dwords = u->feat.wide ? 4 : 2;
	q->stride = DESC_DWORDS;
	rc = hostmem_alloc(&u->port, (HOSTQ_BATCH_MAX + 1) * sizeof(le32), 4096,
			   &u->status);
	if (rc)
		return rc;
	rc = vtd_stop_init(u);
	if (rc)
		goto out_status;
	rc = hostq_init(q, lg2, false);
	if (rc)
		goto out_stop;
	vtd_unit_write(u, VTD_IQT, 8, 0);
	vtd_unit_write(u, VTD_IQA, 8,
		       q->mem.pa | (u->feat.wide ? VTD_IQA_DW : 0) |
			       (lg2 - page_lg2(q)));
	return 0;

out_stop:
	vtd_stop_fini(u);
out_status:
	hostmem_free(&u->port, &u->status);
	return rc;
}

void vtd_queue_fini(struct unit *u)
{
	hostq_fini(&u->q);
	vtd_stop_fini(u);
	hostmem_free(&u->port, &u->status);
}

void vtd_unit_inv(struct hostinv *h, struct unit *u)
{
	hostinv_start(h, &u->q, &u->devs);
}
