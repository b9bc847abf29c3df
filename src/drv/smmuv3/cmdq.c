// SPDX-License-Identifier: MIT
/* The host's command queue; vocabulary and contract in cmdq.h. */
#include "drv/smmuv3/cmdq.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/le.h"
#include "drv/smmuv3/barrier.h"
#include "hwdef/smmuv3_cmd.h"
#include "hwdef/smmuv3_regs.h"

#define SPINS_BEFORE_YIELD 256
#define SPINS_BEFORE_SLEEP 4096
#define RETRIES		   3
#define BATCH_MAX	   1024
#define POSTED_CHUNK	   64
#define POSTED_MAX	   (1u << 20)

/* How long a search for the culprit lets others go first, at most */
#define TURN_MS 100

/* One batch on its way. Indices count from its first command. */
struct batch {
	const uint64_t (*cmds)[2];
	uint32_t n;
	uint32_t first;	 /* queue index, with wrap bit */
	uint32_t limit;	 /* the first command not executed, or n */
	bool illegal;	 /* because it was called illegal */
	bool atc_failed; /* some CMD_ATC_INV was not answered */
	uint32_t errors;
	uint32_t tried; /* where the last error was that was tried again */
	uint32_t tries; /* how often there */
};

static uint32_t reg_read(const struct cmdq *q, uint32_t offset)
{
	return (uint32_t)q->port->ops->read(q->port->ctx, offset, 4);
}

static void reg_write(const struct cmdq *q, uint32_t offset, uint32_t value)
{
	q->port->ops->write(q->port->ctx, offset, 4, value);
}

/* Indices run over twice the queue: the top bit is the wrap flag. */
static uint32_t index_mask(const struct cmdq *q)
{
	return (uint32_t)BIT_ULL(q->lg2 + 1) - 1;
}

static uint32_t index_sub(const struct cmdq *q, uint32_t a, uint32_t b)
{
	return (a - b) & index_mask(q);
}

static void ring_put(struct cmdq *q, uint32_t index, uint64_t dw0, uint64_t dw1)
{
	struct smmuv3_cmd_rec *ring = q->mem.host;
	struct smmuv3_cmd_rec *rec = &ring[index & (index_mask(q) >> 1)];

	rec->dw[0] = le64_make(dw0);
	rec->dw[1] = le64_make(dw1);
}

static void ring_put_sync(struct cmdq *q, uint32_t index)
{
	/* CS = SIG_NONE; shareability and attributes matter to MSIs only */
	ring_put(q, index, SMMUV3_OP_SYNC, 0);
}

static bool is_op(const uint64_t cmd[2], uint64_t op)
{
	return (cmd[0] & SMMUV3_CMD_0_OP) == op;
}

/* Under @lock; read by any thread */
static void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* Orders the commands before PROD for hardware on another core. */
static void ring_doorbell(struct cmdq *q)
{
	barrier_before_doorbell();
	reg_write(q, SMMUV3_CMDQ_PROD, q->prod);
}

/*
 * The queue cannot be trusted any more, so nothing can be invalidated: stop
 * all translation, so that no promise about old pages is broken.
 */
static void kill_unit(struct cmdq *q, const char *why)
{
	if (q->dead)
		return;
	logger_log(q->logger, LOGGER_ERROR,
		   "smmuv3: %s; the unit is dead and all DMA aborts", why);
	__atomic_store_n(&q->dead, true, __ATOMIC_RELEASE);
	reg_write(q, SMMUV3_GBPA, SMMUV3_GBPA_UPDATE | SMMUV3_GBPA_ABORT);
	reg_write(q, SMMUV3_CR0, 0);
}

static void ack(struct cmdq *q, uint32_t errors)
{
	__atomic_store_n(&q->gerrorn, q->gerrorn ^ errors, __ATOMIC_RELAXED);
	/* replaced commands before the restart that fetches them */
	barrier_before_doorbell();
	reg_write(q, SMMUV3_GERRORN, q->gerrorn);
}

static uint32_t active_errors(const struct cmdq *q)
{
	return reg_read(q, SMMUV3_GERROR) ^
	       __atomic_load_n(&q->gerrorn, __ATOMIC_RELAXED);
}

/* ---- waiting and errors ---- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What follows is not to be executed: it becomes CMD_SYNCs (7.1). */
static void cut(struct cmdq *q, struct batch *b, uint32_t at)
{
	b->limit = at;
	for (uint32_t i = at; i < b->n; i++)
		ring_put_sync(q, b->first + i);
}

/* Hardware gets a few more tries at one command. */
static void try_again(struct cmdq *q, struct batch *b, uint32_t at,
		      const char *why)
{
	b->tries = at == b->tried ? b->tries + 1 : 1;
	b->tried = at;
	if (b->tries > RETRIES)
		kill_unit(q, why);
}

static void error_ill(struct cmdq *q, struct batch *b, uint32_t at)
{
	count(&q->stats.illegal);
	if (at > b->n) {
		/* not of this batch: one that was posted */
		logger_log(q->logger, LOGGER_ERROR,
			   "smmuv3: a posted command was illegal");
		ring_put_sync(q, b->first + at);
	} else if (at >= b->limit || is_op(b->cmds[at], SMMUV3_OP_SYNC)) {
		try_again(q, b, at, "CMD_SYNC is called illegal");
	} else {
		b->illegal = true;
		cut(q, b, at);
	}
}

/* The sync runs again and finds nothing outstanding (7.1). */
static void error_atc(struct cmdq *q, struct batch *b, uint32_t at)
{
	count(&q->stats.timeouts);
	if (b->atc_failed || at > b->n)
		return;
	b->atc_failed = true;
	if (at < b->limit)
		cut(q, b, at);
}

static void handle_error(struct cmdq *q, struct batch *b, uint32_t cons)
{
	uint32_t at = index_sub(q, cons, b->first);

	if (++b->errors > RETRIES * (b->n + 2 * POSTED_CHUNK)) {
		kill_unit(q, "command queue errors without end");
		return;
	}
	switch (field_get(SMMUV3_CMDQ_CONS_ERR, cons)) {
	case SMMUV3_CERROR_ILL:
		error_ill(q, b, at);
		break;
	case SMMUV3_CERROR_ATC_INV_SYNC:
		error_atc(q, b, at);
		break;
	case SMMUV3_CERROR_ABT:
		count(&q->stats.aborts);
		try_again(q, b, at, "the command queue cannot be fetched");
		break;
	default:
		kill_unit(q, "unknown command queue error");
	}
	if (!q->dead)
		ack(q, SMMUV3_GERROR_CMDQ);
}

static void relax(uint32_t spins)
{
	if (spins < SPINS_BEFORE_YIELD)
		return;
	if (spins < SPINS_BEFORE_SLEEP)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

/* Until hardware has consumed everything, or the unit is dead. */
static void wait_consumed(struct cmdq *q, struct batch *b)
{
	uint64_t deadline = 0;
	uint32_t spins = 0;
	uint32_t cons;

	while (!q->dead) {
		cons = reg_read(q, SMMUV3_CMDQ_CONS);
		if (!index_sub(q, cons, q->prod)) {
			q->cons = q->prod;
			return;
		}
		if (active_errors(q) & SMMUV3_GERROR_CMDQ) {
			/* CONS.ERR is valid from here on */
			handle_error(q, b, reg_read(q, SMMUV3_CMDQ_CONS));
			spins = 0;
			continue;
		}
		if (index_sub(q, cons, q->cons) || !spins)
			deadline = now_ms() + q->timeout_ms;
		else if (spins >= SPINS_BEFORE_YIELD && now_ms() > deadline)
			kill_unit(q, "the command queue does not move");
		q->cons = cons & index_mask(q);
		relax(spins++);
	}
}

static bool make_room(struct cmdq *q, uint32_t n)
{
	struct batch none = { .first = q->prod };

	if (index_sub(q, q->prod, q->cons) + n > index_mask(q) / 2 + 1)
		wait_consumed(q, &none);
	return !q->dead;
}

/* Writes the batch and one sync, and waits. -EIO: the unit is dead. */
static int run(struct cmdq *q, struct batch *b)
{
	b->limit = b->n;
	b->tried = UINT32_MAX;
	if (q->dead || !make_room(q, b->n + 1))
		return -EIO;
	b->first = q->prod;
	for (uint32_t i = 0; i < b->n; i++)
		ring_put(q, b->first + i, b->cmds[i][0], b->cmds[i][1]);
	ring_put_sync(q, b->first + b->n);
	q->prod = (q->prod + b->n + 1) & index_mask(q);
	count(&q->stats.batches);
	ring_doorbell(q);
	wait_consumed(q, b);
	return q->dead ? -EIO : 0;
}

/* ---- the lock, and work left by those who could not take it ---- */

/* GERROR bits other than CMDQ: nothing to repair, but they must be taken. */
static void take_gerrors(struct cmdq *q)
{
	uint32_t errors = active_errors(q) & ~(uint32_t)SMMUV3_GERROR_CMDQ;

	if (!errors)
		return;
	logger_log(q->logger, LOGGER_WARN, "smmuv3: global errors %#x", errors);
	if (errors & SMMUV3_GERROR_SFM)
		kill_unit(q, "service failure mode");
	else
		ack(q, errors);
}

/* The first few of what was posted; how many */
static uint32_t take_posted(struct cmdq *q, uint64_t cmds[POSTED_CHUNK][2])
{
	uint32_t n;

	pthread_mutex_lock(&q->posted_lock);
	n = q->posted_n < POSTED_CHUNK ? q->posted_n : POSTED_CHUNK;
	q->posted_n -= n;
	if (n) {
		memcpy(cmds, q->posted, n * sizeof(cmds[0]));
		memmove(q->posted, q->posted + n,
			q->posted_n * sizeof(cmds[0]));
	}
	pthread_mutex_unlock(&q->posted_lock);
	return n;
}

static void do_pending(struct cmdq *q)
{
	uint64_t cmds[POSTED_CHUNK][2];
	uint32_t n;

	if (!__atomic_exchange_n(&q->pending, 0, __ATOMIC_ACQ_REL))
		return;
	while ((n = take_posted(q, cmds))) {
		for (uint32_t i = 0; i < n && !q->dead && make_room(q, 1);
		     i++) {
			ring_put(q, q->prod, cmds[i][0], cmds[i][1]);
			q->prod = (q->prod + 1) & index_mask(q);
			ring_doorbell(q);
		}
	}
	take_gerrors(q);
}

static void lock(struct cmdq *q)
{
	if (!pthread_mutex_trylock(&q->lock))
		return;
	__atomic_add_fetch(&q->waiting[0], 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&q->lock);
	__atomic_add_fetch(&q->waiting[1], 1, __ATOMIC_RELAXED);
}

/* Everybody who is waiting for the queue now gets it once. */
static void give_turns(struct cmdq *q)
{
	uint32_t came = __atomic_load_n(&q->waiting[0], __ATOMIC_RELAXED);
	uint64_t deadline = now_ms() + TURN_MS;
	uint32_t spins = 0;

	while ((int32_t)(__atomic_load_n(&q->waiting[1], __ATOMIC_RELAXED) -
			 came) < 0 &&
	       now_ms() < deadline)
		relax(SPINS_BEFORE_YIELD + spins++);
}

/*
 * Handlers set @pending, then try the lock; the holder releases the lock, then
 * looks at @pending. Both are read-modify-writes (acquire and release), so one
 * comes first: either the holder sees the work, or the handler sees the lock
 * released.
 */
static void unlock(struct cmdq *q)
{
	do {
		if (__atomic_load_n(&q->pending, __ATOMIC_RELAXED))
			do_pending(q);
		pthread_mutex_unlock(&q->lock);
	} while (__builtin_expect(
			 __atomic_fetch_or(&q->pending, 0, __ATOMIC_ACQ_REL),
			 0) &&
		 !pthread_mutex_trylock(&q->lock));
}

static void kick(struct cmdq *q)
{
	__atomic_exchange_n(&q->pending, 1, __ATOMIC_ACQ_REL);
	if (!pthread_mutex_trylock(&q->lock))
		unlock(q);
}

/* With posted_lock held */
static bool posted_grow(struct cmdq *q)
{
	uint32_t room = q->posted_room ? 2 * q->posted_room : POSTED_CHUNK;
	void *grown;

	if (q->posted_n < q->posted_room)
		return true;
	grown = room <= POSTED_MAX
			? alloc_grow(q->posted, room, sizeof(*q->posted))
			: NULL;
	if (!grown)
		return false;
	q->posted = grown;
	q->posted_room = room;
	return true;
}

void cmdq_post(struct cmdq *q, uint64_t dw0, uint64_t dw1)
{
	bool room;

	pthread_mutex_lock(&q->posted_lock);
	room = posted_grow(q);
	if (room) {
		q->posted[q->posted_n][0] = dw0;
		q->posted[q->posted_n++][1] = dw1;
	}
	pthread_mutex_unlock(&q->posted_lock);
	if (!room)
		logger_log(q->logger, LOGGER_ERROR,
			   "smmuv3: no room for a posted command, it is lost");
	/* the holder: decrements, then looks at pending. Here: the other way */
	__atomic_exchange_n(&q->pending, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&q->held, __ATOMIC_SEQ_CST))
		kick(q);
}

void cmdq_hold(struct cmdq *q)
{
	__atomic_add_fetch(&q->held, 1, __ATOMIC_SEQ_CST);
}

void cmdq_release(struct cmdq *q)
{
	if (!__atomic_sub_fetch(&q->held, 1, __ATOMIC_SEQ_CST) &&
	    __atomic_load_n(&q->pending, __ATOMIC_SEQ_CST))
		kick(q);
}

uint32_t cmdq_errors(const struct cmdq *q)
{
	return active_errors(q);
}

void cmdq_gerror(struct cmdq *q)
{
	/* CMDQ_ERR belongs to whoever waits for the queue */
	if (active_errors(q) & ~(uint32_t)SMMUV3_GERROR_CMDQ)
		kick(q);
}

/* ---- batches, and which CMD_ATC_INV was not answered ---- */

/* Not in the middle of another's; -EIO: the unit is dead. */
static int run_alone(struct cmdq *q, struct batch *b)
{
	int rc;

	lock(q);
	rc = run(q, b);
	unlock(q);
	if (b->atc_failed)
		give_turns(q);
	return rc;
}

/* The ATC_INVs that the failed sync stood for: @atc, their number returned. */
static uint32_t suspects(const struct batch *b, uint16_t atc[BATCH_MAX],
			 uint64_t *sid)
{
	uint32_t end = b->limit;
	uint32_t start = end;
	uint32_t n = 0;

	while (start && !is_op(b->cmds[start - 1], SMMUV3_OP_SYNC))
		start--;
	for (uint32_t i = start; i < end; i++) {
		uint64_t of = field_get(SMMUV3_CMD_0_SID, b->cmds[i][0]);

		if (!is_op(b->cmds[i], SMMUV3_OP_ATC_INV))
			continue;
		*sid = !n || *sid == of ? of : CMDQ_NO_SID;
		atc[n++] = (uint16_t)i;
	}
	return n;
}

/*
 * Repeats @n ATC_INVs, each with a sync behind it: the queue stops at the first
 * that is not answered, so hardware names device and command in one batch and
 * one timeout. (Halving would wait for one in every other of log2 n batches; a
 * timeout lasts longer than all the syncs of a batch.) Invalidating twice does
 * no harm. Returns the first without an answer, @n if there is none.
 */
static uint32_t ask_again(struct cmdq *q, const struct batch *b,
			  const uint16_t *atc, uint32_t n)
{
	uint64_t cmds[BATCH_MAX][2];
	struct batch again = { .cmds = cmds };

	for (uint32_t i = 0; i < n; i++) {
		cmds[2 * i][0] = b->cmds[atc[i]][0];
		cmds[2 * i][1] = b->cmds[atc[i]][1];
		cmds[2 * i + 1][0] = SMMUV3_OP_SYNC;
		cmds[2 * i + 1][1] = 0;
	}
	again.n = 2 * n - 1; /* and the sync that every batch has */
	if (run_alone(q, &again))
		return n;
	/* legal a moment ago: if it is not now, it has not answered */
	return again.atc_failed || again.illegal ? again.limit / 2 : n;
}

/* The first ATC_INV of @b without an answer; @b->limit if all have answered */
static uint32_t culprit(struct cmdq *q, const struct batch *b,
			struct cmdq_result *res)
{
	uint32_t room = (cmdq_capacity(q) + 1) / 2;
	uint16_t atc[BATCH_MAX];
	uint32_t n = suspects(b, atc, &res->suspect);
	uint32_t piece;
	uint32_t found;

	if (n == 1)
		return atc[0];
	for (uint32_t i = 0; i < n && !cmdq_is_dead(q); i += piece) {
		piece = n - i < room ? n - i : room;
		found = ask_again(q, b, atc + i, piece);
		__atomic_add_fetch(&q->stats.searches, 1, __ATOMIC_RELAXED);
		if (found == piece)
			continue;
		res->timeouts++;
		return atc[i + found];
	}
	return b->limit;
}

/* One batch; 0 with @res->done < @b->n: to be continued there. */
static int run_and_judge(struct cmdq *q, struct batch *b,
			 struct cmdq_result *res)
{
	uint32_t at;

	if (run_alone(q, b))
		goto dead;
	if (b->atc_failed) {
		res->timeouts++;
		at = culprit(q, b, res);
		if (cmdq_is_dead(q))
			goto dead;
		if (at < b->limit) {
			res->done = at;
			res->next = b->limit;
			res->code = SMMUV3_CERROR_ATC_INV_SYNC;
			return -ETIMEDOUT;
		}
	}
	res->done = b->limit;
	if (b->illegal) {
		res->code = SMMUV3_CERROR_ILL;
		return -EIO;
	}
	/* the sync that failed has been executed */
	if (b->limit < b->n)
		res->done++;
	return 0;
dead:
	res->done = 0;
	res->code = SMMUV3_CERROR_ABT;
	return -EIO;
}

/* ---- entry points ---- */

uint32_t cmdq_capacity(const struct cmdq *q)
{
	uint32_t room = (uint32_t)BIT_ULL(q->lg2) - 1;

	return room < BATCH_MAX ? room : BATCH_MAX;
}

void cmdq_read_stats(const struct cmdq *q, struct cmdq_stats *stats)
{
	const uint64_t *from = (const uint64_t *)&q->stats;
	uint64_t *to = (uint64_t *)stats;

	for (size_t i = 0; i < sizeof(*stats) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int cmdq_issue(struct cmdq *q, const uint64_t (*cmds)[2], uint32_t n,
	       struct cmdq_result *res)
{
	uint32_t capacity = cmdq_capacity(q);
	uint32_t start = 0;
	int rc = 0;

	*res = (struct cmdq_result){ .suspect = CMDQ_NO_SID };
	while (start < n && !rc) {
		struct cmdq_result part = { .suspect = CMDQ_NO_SID };
		struct batch b = { .cmds = cmds + start, .n = n - start };

		if (b.n > capacity)
			b.n = capacity;
		rc = run_and_judge(q, &b, &part);
		res->code = part.code;
		res->next = start + part.next;
		res->timeouts += part.timeouts;
		if (part.timeouts)
			res->suspect = part.suspect;
		start += part.done;
	}
	res->done = start;
	return rc;
}

int cmdq_init(struct cmdq *q, const struct core_hwport *port,
	      const struct logger *logger, unsigned int lg2,
	      unsigned int timeout_ms)
{
	size_t bytes = SMMUV3_CMD_SIZE * BIT_ULL(lg2);
	int rc;

	memset(q, 0, sizeof(*q));
	q->port = port;
	q->logger = logger;
	q->lg2 = lg2;
	q->timeout_ms = timeout_ms;
	rc = port->ops->mem_alloc(port->ctx, bytes, bytes, &q->mem);
	if (rc)
		return rc;
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->posted_lock, NULL);
	/* nothing of the time before is our error */
	q->gerrorn = reg_read(q, SMMUV3_GERROR);
	reg_write(q, SMMUV3_GERRORN, q->gerrorn);
	port->ops->write(port->ctx, SMMUV3_CMDQ_BASE, 8,
			 SMMUV3_Q_BASE_HINT | (q->mem.pa & SMMUV3_Q_BASE_ADDR) |
				 lg2);
	reg_write(q, SMMUV3_CMDQ_PROD, 0);
	reg_write(q, SMMUV3_CMDQ_CONS, 0);
	return 0;
}

void cmdq_fini(struct cmdq *q)
{
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->posted_lock);
	free(q->posted);
	q->port->ops->mem_free(q->port->ctx, &q->mem);
}
