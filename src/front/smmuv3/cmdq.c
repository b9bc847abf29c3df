// SPDX-License-Identifier: MIT
/*
 * Consumption of the command queue, Arm IHI 0070 sections 3.5.1, 4.1 and 7.1.
 *
 * While the indices are in an inconsistent state, that is further apart than
 * the queue is long, nothing is consumed: one of the choices of 3.5.1.
 */
#include <assert.h>

#include "base/le.h"
#include "front/smmuv3/internal.h"

unsigned int front_cmdq_lg2(const struct smmuv3_front *f)
{
	return front_queue_lg2(
		load_relaxed(&f->cmdq_base),
		(unsigned int)field_get(SMMUV3_IDR1_CMDQS, f->id.idr[1]));
}

/* CMDQEN is acknowledged between spans: what was begun is consumed (6.3.9.3) */
static void acknowledge_enable(struct smmuv3_front *f)
{
	uint32_t moving = load_acquire(&f->regs.cr0) ^ load_relaxed(&f->cr0ack);

	if (!(moving & SMMUV3_CR0_CMDQEN))
		return;
	pthread_mutex_lock(&f->lock);
	store_release(&f->cr0ack, f->cr0ack ^ ((f->regs.cr0 ^ f->cr0ack) &
					       SMMUV3_CR0_CMDQEN));
	pthread_mutex_unlock(&f->lock);
}

static uint32_t pending(void *front)
{
	struct smmuv3_front *f = front;
	unsigned int lg2;
	uint32_t n;

	acknowledge_enable(f);
	if (!(load_acquire(&f->regs.cr0) & SMMUV3_CR0_CMDQEN) ||
	    front_error_active(f, SMMUV3_GERROR_CMDQ))
		return 0;
	lg2 = front_cmdq_lg2(f);
	f->span_start = load_relaxed(&f->cmdq_cons) & front_index_mask(lg2);
	n = front_queue_used(load_acquire(&f->cmdq_prod), f->span_start, lg2);
	return n > 1u << lg2 ? 0 : n;
}

static uint64_t cmdq_addr(const struct smmuv3_front *f, unsigned int lg2)
{
	return front_queue_addr(f->cmdq_base, lg2 + 4) & f->addr_bits;
}

/*
 * Copies up to @n commands of the span, once, into the buffer and into the
 * CPU's byte order. Returns how many could be read before the first abort.
 */
static uint32_t fetch(struct smmuv3_front *f, uint32_t n)
{
	unsigned int lg2 = front_cmdq_lg2(f);
	const struct front_ring ring = {
		.base = cmdq_addr(f, lg2),
		.lg2 = lg2,
		.size = SMMUV3_CMD_SIZE,
	};
	uint64_t(*span)[2] = f->consumer.span;
	uint32_t got = front_fetch(&f->mem, &ring,
				   f->span_start & ((1u << lg2) - 1), n, span);

	for (uint32_t i = 0; i < got; i++) {
		span[i][0] = le64toh(span[i][0]);
		span[i][1] = le64toh(span[i][1]);
	}
	return got;
}

/* CONS and its ERR are visible before the error is (7.1) */
static void stop(struct smmuv3_front *f, uint32_t cons, uint32_t code)
{
	store_release(&f->cmdq_cons,
		      cons | (uint32_t)field_prep(SMMUV3_CMDQ_CONS_ERR, code));
	front_raise(f, SMMUV3_GERROR_CMDQ);
}

/*
 * One span: false if the queue cannot go on by itself. What was copied behind
 * the command that stops the queue is dropped and fetched again later.
 */
static bool consume_span(struct smmuv3_front *f, uint32_t n, uint32_t *done)
{
	uint32_t mask = front_index_mask(front_cmdq_lg2(f));
	uint32_t got = fetch(f, n);
	struct smmuv3_consumed end = { 0 };
	uint32_t cons;

	if (got) {
		end = f->ops.consume(f->ctx, f->consumer.span, got);
		assert(end.done <= got && (!end.code || end.done < got));
	}
	cons = (f->span_start + end.done) & mask;
	*done += end.done;

	if (end.code)
		stop(f, cons, end.code);
	else if (end.done == got && got < n)
		stop(f, cons, SMMUV3_CERROR_ABT);
	else
		store_release(&f->cmdq_cons, cons);
	return end.done || end.code || got < n;
}

/*
 * The sink takes commands out of memory itself, as many as it can; CONS passes
 * them. Returns its answer: what is left is at most answer.pass.
 */
static struct smmuv3_taken take(struct smmuv3_front *f, uint32_t n)
{
	unsigned int lg2 = front_cmdq_lg2(f);
	uint32_t mask = front_index_mask(lg2);
	struct smmuv3_queue queue = {
		.base = cmdq_addr(f, lg2),
		.lg2 = lg2,
		.cons = f->span_start,
		.prod = (f->span_start + n) & mask,
	};
	struct smmuv3_taken taken = f->ops.consume_queue(f->ctx, &queue);

	assert(taken.done <= n && (!taken.code || taken.done < n) &&
	       (taken.code || taken.done == n || taken.pass));
	if (taken.pass > n - taken.done)
		taken.pass = n - taken.done;
	f->span_start = (f->span_start + taken.done) & mask;
	if (taken.code)
		stop(f, f->span_start, taken.code);
	else if (taken.done)
		store_release(&f->cmdq_cons, f->span_start);
	return taken;
}

/* Some of @n commands; false if the queue cannot go on by itself. */
static bool some(void *front, uint32_t n, uint32_t *done)
{
	struct smmuv3_front *f = front;
	struct smmuv3_taken taken = { .pass = n };

	if (f->ops.consume_queue) {
		taken = take(f, n);
		*done = taken.done;
		if (taken.code || taken.done == n)
			return true;
	}
	return consume_span(f, consumer_room(&f->consumer, taken.pass), done);
}

static const struct consumer_ops ops = { .pending = pending, .some = some };

void front_kick(struct smmuv3_front *f)
{
	if (f->ops.waits && f->ops.waits(f->ctx))
		return;
	consumer_kick(&f->consumer, &ops, f);
}

void smmuv3_front_kick(struct smmuv3_front *f)
{
	front_kick(f);
}

void front_unstarve(struct smmuv3_front *f)
{
	if (consumer_is_starved(&f->consumer))
		front_kick(f);
}
