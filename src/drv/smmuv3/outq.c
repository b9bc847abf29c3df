// SPDX-License-Identifier: MIT
/* Queues that hardware fills; see outq.h. */
#include "drv/smmuv3/outq.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/barrier.h"
#include "base/bits.h"
#include "base/le.h"
#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

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
static uint32_t drain(struct outq *q, bool *any)
{
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

/* With the lock held; true if it left some, having had enough */
static bool drain_all(struct outq *q, bool forever)
{
	uint64_t done = 0;
	bool any = true;

	while (any) {
		if (!forever && done >= BIT_ULL(q->lg2))
			return true;
		done += drain(q, &any);
	}
	return false;
}

static void busy(struct outq *q)
{
	__atomic_add_fetch(&q->busy, 1, __ATOMIC_SEQ_CST);
}

static void not_busy(struct outq *q)
{
	__atomic_sub_fetch(&q->busy, 1, __ATOMIC_SEQ_CST);
}

/*
 * Moving CONS may make room for an event that was waiting, and its interrupt
 * arrives in the middle of this function, in this thread: whoever has the lock
 * goes round again. True if it left some.
 */
static bool handle(struct outq *q, bool forever)
{
	bool left = false;

	/* read-modify-writes, for the reason given at cmdq.c's unlock() */
	while (!left && __atomic_fetch_or(&q->pending, 0, __ATOMIC_ACQ_REL) &&
	       !pthread_mutex_trylock(&q->lock)) {
		__atomic_exchange_n(&q->pending, 0, __ATOMIC_ACQ_REL);
		left = drain_all(q, forever);
		pthread_mutex_unlock(&q->lock);
	}
	return left;
}

static void ask_for(struct outq *q)
{
	__atomic_exchange_n(&q->pending, 1, __ATOMIC_ACQ_REL);
}

/* ---- the thread ---- */

/* Who wants to catch up does the work himself, and goes first. */
static void thread_handle(struct outq *q)
{
	bool left = true;

	while (left) {
		while (__atomic_load_n(&q->wanted, __ATOMIC_RELAXED))
			sched_yield();
		ask_for(q);
		left = handle(q, false);
	}
	not_busy(q);
}

static void *thread_run(void *arg)
{
	struct outq_thread *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		struct outq *q;

		if (!t->left_n) {
			pthread_cond_wait(&t->wake, &t->lock);
			continue;
		}
		q = t->left[--t->left_n];
		pthread_mutex_unlock(&t->lock);
		thread_handle(q);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* With its lock held. No signal of the program's is for it. */
static bool thread_start(struct outq_thread *t)
{
	sigset_t all, before;
	int rc;

	if (t->running && t->process == getpid())
		return true;
	if (alloc_fault_point())
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&t->thread, NULL, thread_run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->process = getpid();
	t->running = !rc;
	return t->running;
}

/* False: no thread. Busy in the name of the thread from here on. */
static bool leave_to_thread(struct outq *q)
{
	struct outq_thread *t = q->thread;
	bool started;

	pthread_mutex_lock(&t->lock);
	started = thread_start(t);
	for (unsigned int i = 0; started && i < t->left_n; i++) {
		if (t->left[i] == q) {
			pthread_mutex_unlock(&t->lock);
			return true;
		}
	}
	if (started) {
		busy(q);
		t->left[t->left_n++] = q;
		pthread_cond_signal(&t->wake);
	}
	pthread_mutex_unlock(&t->lock);
	return started;
}

void outq_thread_init(struct outq_thread *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
}

void outq_thread_fini(struct outq_thread *t)
{
	bool running;

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	running = t->running && t->process == getpid();
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	if (running)
		pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

/* ---- entry points ---- */

/* Whoever has handled a record goes on until there is none, or leaves some */
static void finish(struct outq *q)
{
	ask_for(q);
	if (handle(q, false) && !leave_to_thread(q)) {
		ask_for(q);
		handle(q, true);
	}
	not_busy(q);
}

void outq_handle(void *arg)
{
	struct outq *q = arg;

	busy(q);
	finish(q);
}

/* With the lock held: is there something that PROD was @prod for, or before? */
static bool is_behind(const struct outq *q, uint32_t prod)
{
	uint32_t n = (prod - q->cons) & index_mask(q);

	return ((prod ^ q->cons) & SMMUV3_Q_OVFLG) ||
	       (n && n <= BIT_ULL(q->lg2));
}

/*
 * Whoever handles has the lock, or is about to give it away. At most as much as
 * the queue holds is before what PROD says now.
 */
void outq_catch_up(struct outq *q)
{
	uint32_t prod = unit_read(q->unit, q->prod_reg);
	unsigned int passes = 0;
	bool any = true;

	busy(q);
	__atomic_add_fetch(&q->wanted, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&q->lock);
	/* one for what was there, and one if that was lost and told since */
	while (any && passes++ < 3 && is_behind(q, prod))
		drain(q, &any);
	pthread_mutex_unlock(&q->lock);
	__atomic_sub_fetch(&q->wanted, 1, __ATOMIC_RELAXED);
	/* what came meanwhile has found the queue not empty: no interrupt */
	finish(q);
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
	q->thread = &u->outq_thread;
	pthread_mutex_init(&q->lock, NULL);
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
	pthread_mutex_destroy(&q->lock);
	hostmem_free(&q->unit->port, &q->mem);
}
