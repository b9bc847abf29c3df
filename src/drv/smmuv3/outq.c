// SPDX-License-Identifier: MIT
/* Queues that hardware fills; see outq.h. */
#include "drv/smmuv3/outq.h"

#include "base/barrier.h"
#include "base/bits.h"
#include "base/le.h"
#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

static struct outq *outq_of(const struct hostwork *w)
{
	return container_of(w, struct outq, work);
}

static uint32_t index_mask(const struct outq *q)
{
	return (uint32_t)BIT_ULL(q->lg2 + 1) - 1;
}

static void read_record(const struct outq *q, uint32_t index, uint64_t *dw)
{
	const le64 *ring = q->mem.host;
	size_t at = (size_t)(index & (index_mask(q) >> 1)) * q->dwords;

	for (unsigned int i = 0; i < q->dwords; i++)
		dw[i] = le64_get(ring[at + i]);
}

/* Records up to PROD as read once: how many; @any: or an overflow */
static uint32_t drain(struct hostwork *w, bool *any)
{
	struct outq *q = outq_of(w);
	uint32_t prod = unit_read(q->unit, q->prod_reg);
	uint32_t overflow = prod & SMMUV3_Q_OVFLG;
	bool overflowed = overflow != (q->cons & SMMUV3_Q_OVFLG);
	uint32_t n = (prod - q->cons) & index_mask(q);
	uint64_t dw[OUTQ_DWORDS_MAX];

	*any = n || overflowed;
	if (!*any)
		return 0;
	/* PROD before the records that it covers; hardware wrote them first */
	barrier_after_index();
	if (n > BIT_ULL(q->lg2))
		n = (uint32_t)BIT_ULL(q->lg2);
	if (overflowed && q->lost_first)
		q->overflowed(q->unit);
	for (uint32_t i = 0; i < n; i++) {
		read_record(q, q->cons + i, dw);
		q->record(q->unit, dw);
	}
	if (overflowed && !q->lost_first)
		q->overflowed(q->unit);
	q->cons = ((q->cons + n) & index_mask(q)) | overflow;
	unit_write(q->unit, q->cons_reg, q->cons);
	/* more may have been lost before it was acknowledged */
	if (overflowed && q->lost_first)
		q->overflowed(q->unit);
	return n;
}

/* With the lock held: is there something that PROD was @prod for, or before? */
static bool is_behind(const struct hostwork *w, uint32_t prod)
{
	const struct outq *q = outq_of(w);
	uint32_t n = (prod - q->cons) & index_mask(q);

	return ((prod ^ q->cons) & SMMUV3_Q_OVFLG) ||
	       (n && n <= BIT_ULL(q->lg2));
}

void outq_handle(void *arg)
{
	struct outq *q = arg;

	hostwork_handle(&q->work);
}

/* At most as much as the queue holds is before what PROD says now. */
void outq_catch_up(struct outq *q)
{
	hostwork_catch_up(&q->work, is_behind, unit_read(q->unit, q->prod_reg));
}

int outq_init(struct outq *q, struct unit *u, uint32_t base_reg,
	      unsigned int lg2)
{
	size_t bytes = sizeof(le64) * q->dwords << lg2;
	int rc;

	rc = hostmem_alloc(&u->port, bytes, bytes < 32 ? 32 : bytes, &q->mem);
	if (rc)
		return rc;
	q->unit = u;
	q->lg2 = lg2;
	q->work.some = drain;
	q->work.enough = 1u << lg2;
	q->work.thread = &u->host.worker;
	hostwork_init(&q->work);
	unit_write64(u, base_reg,
		     SMMUV3_Q_BASE_HINT | (q->mem.pa & SMMUV3_Q_BASE_ADDR) |
			     lg2);
	unit_write(u, q->prod_reg, 0);
	unit_write(u, q->cons_reg, 0);
	return 0;
}

void outq_fini(struct outq *q)
{
	if (!q->mem.host)
		return;
	hostwork_fini(&q->work);
	hostmem_free(&q->unit->port, &q->mem);
}
