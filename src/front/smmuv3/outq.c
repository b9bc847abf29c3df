// SPDX-License-Identifier: MIT
/*
 * Event and PRI queues, Arm IHI 0070 sections 3.5, 7.2, 7.4, 8.1 and 8.2: the
 * SMMU produces, software consumes.
 *
 * External aborts are synchronous (7.2.2): PROD never covers a record whose
 * write aborted. Inconsistent indices count as a full queue (3.5.1).
 */
#include "front/smmuv3/internal.h"

/* False if this very thread is writing a record, to this queue or the other. */
static bool outq_lock(struct smmuv3_front *f, struct out_queue *q)
{
	return !front_output_is_mine(&f->eventq.out) &&
	       !front_output_is_mine(&f->priq.out) &&
	       front_output_lock(&q->out);
}

void front_outq_drain(struct smmuv3_front *f, struct out_queue *q)
{
	if (outq_lock(f, q))
		front_output_unlock(&q->out);
}

unsigned int front_outq_lg2(const struct out_queue *q)
{
	return front_queue_lg2(load_relaxed(&q->base_reg), q->max_lg2);
}

/* Enabled, and no abort that software does not know of (7.2.1, 8.2) */
static bool is_open(const struct smmuv3_front *f, const struct out_queue *q)
{
	uint32_t cr0 = load_acquire(&f->regs.cr0);

	if (!(cr0 & q->enable) || front_error_active(f, q->abort))
		return false;
	/* the effective value of PRIQEN depends on SMMUEN (6.3.9.5) */
	return q->irq != SMMUV3_IRQ_PRIQ || (cr0 & SMMUV3_CR0_SMMUEN);
}

static bool is_full(const struct out_queue *q)
{
	unsigned int lg2 = front_outq_lg2(q);

	return front_queue_used(load_relaxed(&q->prod), load_ordered(&q->cons),
				lg2) >= 1u << lg2;
}

static bool has_overflowed(const struct out_queue *q)
{
	return (load_relaxed(&q->prod) ^ load_ordered(&q->cons)) &
	       SMMUV3_Q_OVFLG;
}

/* A second overflow cannot be told before the first is acknowledged (7.4) */
static void flag_overflow(struct out_queue *q)
{
	if (!has_overflowed(q))
		store_ordered(&q->prod, q->prod ^ SMMUV3_Q_OVFLG);
}

enum append_result {
	APPEND_LOST,
	APPEND_FULL,
	APPEND_ABORTED,
	APPEND_DONE,
	APPEND_DONE_NONEMPTY, /* it was empty before */
};

/*
 * Software stores CONS and then loads PROD, here it is the other way round:
 * either it sees this record, or we see that it had consumed all before, and
 * send the interrupt.
 */
static enum append_result publish(struct out_queue *q)
{
	unsigned int lg2 = front_outq_lg2(q);
	uint32_t mask = front_index_mask(lg2);
	uint32_t old = q->prod;

	store_ordered(&q->prod,
		      ((old + 1) & mask) | (old & (uint32_t)SMMUV3_Q_OVFLG));
	if (front_queue_used(old, load_ordered(&q->cons), lg2))
		return APPEND_DONE;
	return APPEND_DONE_NONEMPTY;
}

/* The queue is open and has room; its lock is held. */
static enum append_result write_record(struct smmuv3_front *f,
				       struct out_queue *q, const uint64_t *rec)
{
	unsigned int lg2 = front_outq_lg2(q);
	uint64_t base = front_queue_addr(q->base_reg, lg2 + q->entry_lg2) &
			f->addr_bits;
	uint32_t index = q->prod & ((1u << lg2) - 1);
	uint64_t addr = base + ((uint64_t)index << q->entry_lg2);

	if (!front_write_record(&f->mem, addr, rec, 1u << (q->entry_lg2 - 3)))
		return APPEND_ABORTED;
	return publish(q);
}

/* An active overflow keeps page requests out, but not events (7.4, 8.1) */
static bool has_room(const struct out_queue *q)
{
	return !is_full(q) && (q->irq != SMMUV3_IRQ_PRIQ || !has_overflowed(q));
}

/* @overflows: losing the record for want of room is an overflow. */
static enum append_result append(struct smmuv3_front *f, struct out_queue *q,
				 const uint64_t *rec, bool overflows)
{
	enum append_result result = APPEND_LOST;

	if (!outq_lock(f, q))
		return result;
	if (!is_open(f, q))
		goto unlock;
	if (has_room(q)) {
		result = write_record(f, q, rec);
	} else {
		result = APPEND_FULL;
		if (overflows)
			flag_overflow(q);
	}
unlock:
	front_output_unlock(&q->out);
	if (result == APPEND_ABORTED)
		front_raise(f, q->abort);
	return result;
}

/* Records of stalled transactions wait instead of being lost (7.4) */
static bool is_stall(const uint64_t rec[4])
{
	uint64_t type = field_get(SMMUV3_EVT_0_TYPE, rec[0]);

	return type >= SMMUV3_EVT_F_TRANSLATION &&
	       type <= SMMUV3_EVT_F_PERMISSION && (rec[1] & SMMUV3_EVT_1_STALL);
}

bool smmuv3_front_event(struct smmuv3_front *f, const uint64_t rec[4])
{
	enum append_result result = append(f, &f->eventq, rec, !is_stall(rec));

	/* overflow has no interrupt of its own (3.18.2) */
	if (result == APPEND_DONE_NONEMPTY)
		front_irq(f, SMMUV3_IRQ_EVENTQ);
	return result >= APPEND_DONE;
}

bool smmuv3_front_event_room(struct smmuv3_front *f)
{
	return is_open(f, &f->eventq) && has_room(&f->eventq);
}

/*
 * LO: tell software when a request with Last came, be it lost to an overflow
 * (6.3.36); else when the queue was empty.
 */
static bool page_request_interrupts(struct smmuv3_front *f, bool last,
				    enum append_result result)
{
	uint32_t lo;

	pthread_mutex_lock(&f->lock);
	lo = f->irqs[SMMUV3_IRQ_PRIQ].cfg2 & SMMUV3_IRQ_CFG2_LO;
	pthread_mutex_unlock(&f->lock);

	if (!lo)
		return result == APPEND_DONE_NONEMPTY;
	/* lost for whatever other reason: none */
	return last && (result == APPEND_FULL || result >= APPEND_DONE);
}

enum smmuv3_priq_result smmuv3_front_priq_add(struct smmuv3_front *f,
					      const uint64_t rec[2])
{
	enum append_result result = append(f, &f->priq, rec, true);

	if (page_request_interrupts(f, rec[0] & SMMUV3_PRI_REC_0_LAST, result))
		front_irq(f, SMMUV3_IRQ_PRIQ);
	if (result >= APPEND_DONE)
		return SMMUV3_PRIQ_DONE;
	return result == APPEND_FULL ? SMMUV3_PRIQ_FULL : SMMUV3_PRIQ_CLOSED;
}

bool smmuv3_front_page_request(struct smmuv3_front *f, const uint64_t rec[2])
{
	return smmuv3_front_priq_add(f, rec) == SMMUV3_PRIQ_DONE;
}
