// SPDX-License-Identifier: MIT
/*
 * Consumption of the command queue, Arm IHI 0070 sections 3.5.1, 4.1 and 7.1.
 *
 * One thread consumes at a time; @kicks decides which, and loses nobody's
 * doorbell: who stores PROD (or CR0, GERRORN) and then finds @kicks above 0
 * has made the consumer's compare-and-exchange fail, so that it looks again.
 *
 * While the indices are in an inconsistent state, that is further apart than
 * the queue is long, nothing is consumed: one of the choices of 3.5.1.
 */
#include <assert.h>

#include "base/alloc.h"
#include "base/le.h"
#include "front/smmuv3/internal.h"

/*
 * What one pass may do on behalf of kicks from inside itself: a CMD_SYNC whose
 * MSI is aimed at CMDQ_PROD must not keep a register write busy for ever.
 */
#define PASS_BUDGET (1u << 20)

#define FETCH_UNIT  4096u

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

/* Without memory the span stays as it is, and the queue is taken in pieces. */
static void grow_span(struct smmuv3_front *f, uint32_t n)
{
	uint32_t room = 2u << ilog2_u64(n - 1);
	void *span = alloc_grow(f->span, room, sizeof(f->span[0]));

	if (!span)
		return;
	f->span = span;
	f->span_room = room;
}

/* Commands in the queue */
static uint32_t pending(struct smmuv3_front *f, uint32_t cons)
{
	unsigned int lg2 = front_cmdq_lg2(f);
	uint32_t n = front_queue_used(load_acquire(&f->cmdq_prod), cons, lg2);

	return n > 1u << lg2 ? 0 : n;
}

/* How many of @n to fetch now */
static uint32_t span_length(struct smmuv3_front *f, uint32_t n)
{
	if (n > f->max_span)
		n = f->max_span;
	if (n > f->span_room)
		grow_span(f, n);
	return n < f->span_room ? n : f->span_room;
}

static uint64_t cmdq_addr(const struct smmuv3_front *f, unsigned int lg2)
{
	return front_queue_addr(f->cmdq_base, lg2 + 4) & f->addr_bits;
}

static int fetch_piece(struct smmuv3_front *f, uint64_t addr, uint32_t at,
		       uint32_t n)
{
	return f->ops.read(f->ctx, addr, f->span[at],
			   (size_t)n * SMMUV3_CMD_SIZE);
}

/*
 * How many of @n commands at @addr can be read, in steps of what memory can
 * vanish in, then one by one; commands read before are simply read again.
 */
static uint32_t fetch_readable(struct smmuv3_front *f, uint64_t addr,
			       uint32_t at, uint32_t n)
{
	uint32_t done = 0;
	uint32_t step = 0;

	while (done < n) {
		uint64_t from = addr + (uint64_t)done * SMMUV3_CMD_SIZE;

		step = (FETCH_UNIT - (uint32_t)(from % FETCH_UNIT)) /
		       SMMUV3_CMD_SIZE;
		if (step > n - done)
			step = n - done;
		if (fetch_piece(f, from, at + done, step))
			break;
		done += step;
	}
	step += done;
	while (done < n && done < step &&
	       !fetch_piece(f, addr + (uint64_t)done * SMMUV3_CMD_SIZE,
			    at + done, 1))
		done++;
	return done;
}

static uint32_t fetch_run(struct smmuv3_front *f, uint64_t addr, uint32_t at,
			  uint32_t n)
{
	if (!fetch_piece(f, addr, at, n))
		return n;
	return fetch_readable(f, addr, at, n);
}

/*
 * Copies up to @n commands from @cons on, once, into the buffer and into the
 * CPU's byte order. Returns how many could be read before the first abort.
 */
static uint32_t fetch(struct smmuv3_front *f, uint32_t cons, uint32_t n)
{
	unsigned int lg2 = front_cmdq_lg2(f);
	uint64_t base = cmdq_addr(f, lg2);
	uint32_t index = cons & ((1u << lg2) - 1);
	uint32_t to_end = (1u << lg2) - index;
	uint32_t run = n < to_end ? n : to_end;
	uint32_t got;

	got = fetch_run(f, base + (uint64_t)index * SMMUV3_CMD_SIZE, 0, run);
	if (got == run && run < n)
		got += fetch_run(f, base, run, n - run);
	for (uint32_t i = 0; i < got; i++) {
		f->span[i][0] = le64toh(f->span[i][0]);
		f->span[i][1] = le64toh(f->span[i][1]);
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

static void spend(uint64_t *budget, uint32_t n)
{
	*budget -= *budget > n ? n : *budget;
}

/*
 * One span: false if the queue cannot go on by itself. What was copied behind
 * the command that stops the queue is dropped and fetched again later.
 */
static bool consume_span(struct smmuv3_front *f, uint32_t cons, uint32_t n,
			 uint64_t *budget)
{
	uint32_t mask = front_index_mask(front_cmdq_lg2(f));
	uint32_t got = fetch(f, cons, n);
	struct smmuv3_consumed end = { 0 };

	if (got) {
		f->span_start = cons;
		end = f->ops.consume(f->ctx, (const uint64_t(*)[2])f->span,
				     got);
		assert(end.done <= got && (!end.code || end.done < got));
		cons = (cons + end.done) & mask;
	}
	spend(budget, end.done);

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
static struct smmuv3_taken take(struct smmuv3_front *f, uint32_t cons,
				uint32_t n)
{
	unsigned int lg2 = front_cmdq_lg2(f);
	uint32_t mask = front_index_mask(lg2);
	struct smmuv3_queue queue = {
		.base = cmdq_addr(f, lg2),
		.lg2 = lg2,
		.cons = cons,
		.prod = (cons + n) & mask,
	};
	struct smmuv3_taken taken = f->ops.consume_queue(f->ctx, &queue);

	assert(taken.done <= n && (!taken.code || taken.done < n) &&
	       (taken.code || taken.done == n || taken.pass));
	if (taken.pass > n - taken.done)
		taken.pass = n - taken.done;
	cons = (cons + taken.done) & mask;
	if (taken.code)
		stop(f, cons, taken.code);
	else if (taken.done)
		store_release(&f->cmdq_cons, cons);
	return taken;
}

/* Some of @n commands; false if the queue cannot go on by itself. */
static bool consume_some(struct smmuv3_front *f, uint32_t cons, uint32_t n,
			 uint64_t *budget)
{
	struct smmuv3_taken taken = { .pass = n };

	if (f->ops.consume_queue) {
		taken = take(f, cons, n);
		spend(budget, taken.done);
		if (taken.code || taken.done == n)
			return true;
	}
	cons = (cons + taken.done) & front_index_mask(front_cmdq_lg2(f));
	return consume_span(f, cons, span_length(f, taken.pass), budget);
}

/* Consumes until there is nothing to do; false when @budget ended it. */
static bool consume_all(struct smmuv3_front *f, uint64_t *budget)
{
	for (;;) {
		uint32_t cons, n;

		acknowledge_enable(f);
		if (!(load_acquire(&f->regs.cr0) & SMMUV3_CR0_CMDQEN) ||
		    front_error_active(f, SMMUV3_GERROR_CMDQ))
			return true;
		cons = load_relaxed(&f->cmdq_cons) &
		       front_index_mask(front_cmdq_lg2(f));
		n = pending(f, cons);
		if (!n)
			return true;
		if (!*budget && f->self_fed)
			return false;
		if (*budget)
			--*budget; /* spans that only fail count as well */
		if (!consume_some(f, cons, n, budget))
			return true;
	}
}

/*
 * Acquire and release on @kicks: a kicker's store of PROD is before its
 * addition, and the consumer's loads are after the exchange that failed
 * because of it. Had the exchange succeeded, the kicker would have found 0.
 */
void front_kick(struct smmuv3_front *f)
{
	const char *self = front_thread();
	uint64_t budget = PASS_BUDGET;
	uint64_t seen;

	if (__atomic_fetch_add(&f->kicks, 1, __ATOMIC_ACQ_REL)) {
		if (load_relaxed(&f->consumer) == self)
			f->self_fed = true;
		return;
	}
	store_relaxed(&f->consumer, self);
	store_relaxed(&f->starved, false);
	f->self_fed = false;
	do {
		seen = load_acquire(&f->kicks);
		if (!consume_all(f, &budget)) {
			/* left for whoever looks next at the queue */
			store_relaxed(&f->starved, true);
			store_relaxed(&f->consumer, NULL);
			store_ordered(&f->kicks, 0);
			return;
		}
		store_relaxed(&f->consumer, NULL);
		if (__atomic_compare_exchange_n(&f->kicks, &seen, 0, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return;
		store_relaxed(&f->consumer, self);
	} while (true);
}

void front_unstarve(struct smmuv3_front *f)
{
	if (load_relaxed(&f->starved) && !load_relaxed(&f->kicks))
		front_kick(f);
}
