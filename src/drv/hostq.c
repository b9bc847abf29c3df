// SPDX-License-Identifier: MIT
/* The host's queue, up to one batch; vocabulary and contract in hostq.h. */
#include "drv/hostq.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/barrier.h"
#include "base/le.h"
#include "drv/clock.h"

#define SPINS_BEFORE_YIELD 256
#define SPINS_BEFORE_SLEEP 4096
#define POSTED_CHUNK	   HOSTQ_ERROR_ROOM
#define POSTED_MAX	   (1u << 20)

/* How long a search for the culprit lets others go first, at most */
#define TURN_MS 100

/* Devices that took so long for a batch let others go first */
#define TURN_FROM_MS 2

static void put_words(le64 *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = le64_make(from[i]);
}

static void ring_put(struct hostq *q, uint32_t index, const uint64_t *cmd)
{
	le64 *ring = q->mem.host;

	put_words(ring + (size_t)(index & (q->slots - 1)) * q->dwords, cmd,
		  q->dwords);
}

/* From @index on */
static void ring_put_all(struct hostq *q, uint32_t index, const uint64_t *cmds,
			 uint32_t n)
{
	uint32_t slot = index & (q->slots - 1);
	uint32_t together = n < q->slots - slot ? n : q->slots - slot;
	le64 *ring = q->mem.host;

	if (q->stride == q->dwords) {
		put_words(ring + (size_t)slot * q->dwords, cmds,
			  (size_t)together * q->dwords);
		put_words(ring, cmds + (size_t)together * q->dwords,
			  (size_t)(n - together) * q->dwords);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		ring_put(q, index + i, cmds + (size_t)i * q->stride);
}

static void ring_put_nothing(struct hostq *q, uint32_t index)
{
	uint64_t cmd[HOSTQ_CMD_MAX] = { 0 };

	q->ops->nothing(cmd);
	ring_put(q, index, cmd);
}

/* ---- errors ---- */

void hostq_kill(struct hostq *q, const char *why)
{
	if (q->dead)
		return;
	logger_log(q->logger, LOGGER_ERROR,
		   "%s: %s; the unit is dead and all DMA aborts", q->ops->name,
		   why);
	__atomic_store_n(&q->dead, true, __ATOMIC_RELEASE);
	q->ops->stop(q);
}

void hostq_cut(struct hostq *q, struct hostq_batch *b, uint32_t at)
{
	b->limit = at;
	for (uint32_t i = at; i < b->n; i++)
		ring_put_nothing(q, b->first + i);
}

/* Another error at @at: one too many in a row? */
static bool tried_enough(const struct hostq *q, struct hostq_batch *b,
			 uint32_t at)
{
	uint32_t index = (b->first + at) & q->indices;

	b->tries = index == b->tried ? b->tries + 1 : 1;
	b->tried = index;
	return b->tries > HOSTQ_RETRIES;
}

void hostq_try_again(struct hostq *q, struct hostq_batch *b, uint32_t at,
		     const char *why)
{
	if (tried_enough(q, b, at))
		hostq_kill(q, why);
}

void hostq_refused(struct hostq *q, struct hostq_batch *b, uint32_t at)
{
	hostq_count(&q->stats.illegal);
	if (at > b->n) {
		/* not of this batch: one that was posted */
		if (!tried_enough(q, b, at))
			return;
		logger_log(q->logger, LOGGER_ERROR,
			   "%s: a posted command was illegal", q->ops->name);
		ring_put_nothing(q, b->first + at);
		b->errors = 0; /* one less */
	} else if (at >= b->limit ||
		   q->ops->is_sync(b->cmds + at * q->stride)) {
		hostq_try_again(q, b, at, "its own sync is called illegal");
	} else {
		b->illegal = true;
		hostq_cut(q, b, at);
	}
}

void hostq_timeout(struct hostq *q, struct hostq_batch *b, uint32_t at)
{
	hostq_count(&q->stats.timeouts);
	if (b->failed || at > b->n)
		return;
	b->failed = true;
	if (at < b->limit)
		hostq_cut(q, b, at);
}

static bool has_error(struct hostq *q, struct hostq_batch *b)
{
	if (!q->ops->error(q, b))
		return false;
	if (++b->errors > HOSTQ_RETRIES * (b->n + 2 * POSTED_CHUNK))
		hostq_kill(q, "errors of the queue without end");
	return true;
}

/* ---- waiting ---- */

static void relax(uint32_t spins)
{
	if (spins < SPINS_BEFORE_YIELD)
		return;
	if (spins < SPINS_BEFORE_SLEEP)
		sched_yield();
	else
		clock_nap_us(50);
}

static const uint64_t *cmd_at(const struct hostq *q,
			      const struct hostq_batch *b, uint32_t i)
{
	return b->cmds + (size_t)i * q->stride;
}

/* How long hardware may do nothing: as long as some device may */
static unsigned int patience(const struct hostq *q, const struct hostq_batch *b)
{
	uint32_t end = b->end < b->limit ? b->end : b->limit;
	uint32_t sid;

	for (uint32_t i = b->start; i < end; i++) {
		if (q->ops->asks(cmd_at(q, b, i), &sid))
			return q->answer_ms > q->timeout_ms ? q->answer_ms
							    : q->timeout_ms;
	}
	return q->timeout_ms;
}

/* Until hardware has done everything, or the unit is dead. */
static void wait_done(struct hostq *q, struct hostq_batch *b)
{
	uint64_t since = 0;
	uint32_t spins = 0;
	uint32_t cons;

	while (!q->dead) {
		cons = q->ops->consumed(q);
		if (!hostq_sub(q, cons, q->prod) &&
		    (!q->ops->complete || q->ops->complete(q, b))) {
			q->cons = q->prod;
			return;
		}
		if (has_error(q, b)) {
			spins = 0;
			continue;
		}
		if (hostq_sub(q, cons, q->cons) || !spins)
			since = clock_ms();
		else if (spins >= SPINS_BEFORE_YIELD &&
			 clock_ms() - since > patience(q, b))
			hostq_kill(q, "the queue does not move");
		q->cons = cons & q->indices;
		relax(spins++);
	}
}

/* To find errors of what was posted in: all of it is in front */
static struct hostq_batch *no_batch(struct hostq *q)
{
	q->none.first = q->prod;
	q->none.over = true;
	return &q->none;
}

static bool make_room(struct hostq *q, uint32_t n)
{
	if (hostq_sub(q, q->prod, q->cons) + n > q->room)
		wait_done(q, no_batch(q));
	return !q->dead;
}

static uint64_t now(const struct hostq_batch *b)
{
	struct hostdevs *devs = b->payer ? b->payer->devs : NULL;

	return devs ? devs->now_ms(devs) : 0;
}

/*
 * The next sync behind what a device answers, or @b->n; b->nth is its. b->asks:
 * there is something that a device answers
 */
static uint32_t section_end(const struct hostq *q, struct hostq_batch *b,
			    uint32_t start)
{
	uint32_t sid;

	b->asks = false;
	for (uint32_t i = start; b->payer && i < b->n; i++) {
		const uint64_t *cmd = cmd_at(q, b, i);

		if (q->ops->asks(cmd, &sid)) {
			b->asks = true;
		} else if (q->ops->is_sync(cmd)) {
			if (b->asks)
				return i;
			b->nth++;
		}
	}
	b->nth = b->syncs;
	return b->n;
}

/* A section, and its sync at @end: waits, by the clock if a device does */
static void hand_over(struct hostq *q, struct hostq_batch *b, uint32_t start,
		      uint32_t end)
{
	uint64_t before = b->asks ? now(b) : 0;

	b->start = start;
	b->end = end;
	b->over = false;
	q->prod = (b->first + end + 1) & q->indices;
	/* orders the commands before the index for hardware elsewhere */
	barrier_before_index();
	q->ops->doorbell(q);
	wait_done(q, b);
	b->last_ms = b->asks ? now(b) - before : 0;
	b->took_ms += b->last_ms;
}

/* What is left when a section was the last: nothing, and one sync */
static void hand_over_rest(struct hostq *q, struct hostq_batch *b)
{
	uint64_t last = b->last_ms;

	b->nth = b->syncs;
	b->asks = false;
	hand_over(q, b, b->end + 1, b->n);
	b->last_ms = last;
}

static void run_sections(struct hostq *q, struct hostq_batch *b)
{
	uint32_t start = 0;
	uint32_t end = section_end(q, b, 0);

	for (; end < b->n; end = section_end(q, b, start)) {
		hand_over(q, b, start, end);
		start = end + 1;
		b->nth++;
		if (b->took_ms >= HOSTDEVS_SLOW_MS && b->limit > start)
			hostq_cut(q, b, start);
		if (q->dead || b->limit <= start) {
			hand_over_rest(q, b);
			return;
		}
	}
	hand_over(q, b, start, b->n);
}

/* Writes the batch and one sync, and waits. -EIO: the unit is dead. */
static int run(struct hostq *q, struct hostq_batch *b)
{
	uint64_t last[HOSTQ_CMD_MAX] = { 0 };

	b->limit = b->n;
	b->tried = UINT32_MAX;
	b->named = HOSTQ_NO_SID;
	if (q->dead || !make_room(q, b->n + 1))
		return -EIO;
	b->first = q->prod;
	ring_put_all(q, b->first, b->cmds, b->n);
	q->ops->sync(q, b, b->syncs, last);
	ring_put(q, b->first + b->n, last);
	hostq_count(&q->stats.batches);
	run_sections(q, b);
	return q->dead ? -EIO : 0;
}

/* ---- the lock, and work left by those who could not take it ---- */

/* The first few of what was posted; how many */
static uint32_t take_posted(struct hostq *q,
			    uint64_t cmds[POSTED_CHUNK][HOSTQ_CMD_MAX])
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

/*
 * Nobody waits for what is posted. When it has met an error, and that is
 * mended, hardware goes on by itself, and says so when it meets another.
 */
static void mend_posted(struct hostq *q)
{
	struct hostq_batch *b = no_batch(q);

	while (!q->dead && has_error(q, b))
		;
	if (!hostq_sub(q, q->ops->consumed(q), q->prod))
		q->none = (struct hostq_batch){ 0 };
}

static void do_pending(struct hostq *q)
{
	uint64_t cmds[POSTED_CHUNK][HOSTQ_CMD_MAX];
	uint32_t n;

	if (!__atomic_exchange_n(&q->pending, 0, __ATOMIC_ACQ_REL))
		return;
	while ((n = take_posted(q, cmds))) {
		for (uint32_t i = 0; i < n && !q->dead && make_room(q, 1);
		     i++) {
			ring_put(q, q->prod, cmds[i]);
			q->prod = (q->prod + 1) & q->indices;
			barrier_before_index();
			q->ops->doorbell(q);
		}
	}
	mend_posted(q);
	if (q->ops->chores)
		q->ops->chores(q);
}

/* How often devices have kept the queue too long */
static uint64_t delays(const struct hostq *q)
{
	return __atomic_load_n(&q->stats.timeouts, __ATOMIC_ACQUIRE) +
	       __atomic_load_n(&q->stats.late, __ATOMIC_ACQUIRE);
}

static void lock(struct hostq *q)
{
	uint64_t met;

	if (!pthread_mutex_trylock(&q->lock))
		return;
	met = delays(q);
	__atomic_add_fetch(&q->waiting[0], 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&q->lock);
	__atomic_add_fetch(&q->waiting[1], 1, __ATOMIC_RELAXED);
	met = delays(q) - met;
	if (met)
		__atomic_store_n(&q->stats.waited, q->stats.waited + met,
				 __ATOMIC_RELAXED);
}

/* Everybody who is waiting for the queue now gets it once. */
static void give_turns(struct hostq *q)
{
	uint32_t came = __atomic_load_n(&q->waiting[0], __ATOMIC_RELAXED);
	uint64_t deadline = clock_ms() + q->turn_ms;
	uint32_t spins = 0;

	while ((int32_t)(__atomic_load_n(&q->waiting[1], __ATOMIC_RELAXED) -
			 came) < 0 &&
	       clock_ms() < deadline)
		relax(SPINS_BEFORE_YIELD + spins++);
}

/*
 * Handlers set @pending, then try the lock; the holder releases the lock, then
 * looks at @pending. Both are read-modify-writes (acquire and release), so one
 * comes first: either the holder sees the work, or the handler sees the lock
 * released.
 */
static void unlock(struct hostq *q)
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

/* Does the last section ask devices? *@sid: which, if it is one */
static bool last_asks(const struct hostq *q, const struct hostq_batch *b,
		      uint64_t *sid)
{
	uint32_t i = b->limit;
	bool asks = false;
	uint32_t of;

	*sid = HOSTQ_NO_SID;
	if (i && q->ops->is_sync(cmd_at(q, b, i - 1)))
		i--;
	while (i-- && !q->ops->is_sync(cmd_at(q, b, i))) {
		if (!q->ops->asks(cmd_at(q, b, i), &of))
			continue;
		*sid = !asks || *sid == of ? of : HOSTQ_NO_SID;
		asks = true;
	}
	return asks;
}

/* What devices have cost: a timeout, or answers that came late */
static void charge(struct hostq *q, struct hostq_batch *b)
{
	const struct hostq_payer *p = b->payer;
	uint64_t sid;

	if (!p)
		return;
	if (b->failed) {
		hostdevs_charge(p->devs, p->guest, hostq_culprit_sid(q, b));
		return;
	}
	if (b->took_ms < HOSTDEVS_SLOW_MS || !last_asks(q, b, &sid))
		return;
	b->late = true;
	hostq_count(&q->stats.late);
	if (b->last_ms < HOSTDEVS_SLOW_MS)
		sid = HOSTQ_NO_SID; /* many, a little each */
	hostdevs_charge_late(p->devs, p->guest, sid, b->took_ms);
}

/*
 * Whether it is held is looked at, and timeouts are charged, under the lock: of
 * two batches that one guest has issued at once the second finds the window
 * that the first has opened.
 */
int hostq_run(struct hostq *q, struct hostq_batch *b)
{
	uint64_t until;
	int rc;

	lock(q);
	if (hostq_first_held(q, b, &until) < b->n) {
		unlock(q);
		return -EAGAIN;
	}
	rc = run(q, b);
	charge(q, b);
	unlock(q);
	if (b->failed || b->took_ms >= TURN_FROM_MS)
		give_turns(q);
	return rc;
}

void hostq_give_up(struct hostq *q, const char *why)
{
	lock(q);
	hostq_kill(q, why);
	unlock(q);
}

void hostq_kick(struct hostq *q)
{
	/* who lets go of it: decrements, then looks at pending */
	__atomic_exchange_n(&q->pending, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&q->held, __ATOMIC_SEQ_CST) &&
	    !pthread_mutex_trylock(&q->lock))
		unlock(q);
}

/* With posted_lock held */
static bool posted_grow(struct hostq *q)
{
	uint32_t room = 2 * q->posted_room;
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

void hostq_post(struct hostq *q, const uint64_t *cmd)
{
	bool room;

	pthread_mutex_lock(&q->posted_lock);
	room = posted_grow(q);
	if (room)
		memcpy(q->posted[q->posted_n++], cmd,
		       q->stride * sizeof(uint64_t));
	pthread_mutex_unlock(&q->posted_lock);
	if (!room)
		logger_log(q->logger, LOGGER_ERROR,
			   "%s: no room for a posted command, it is lost",
			   q->ops->name);
	hostq_kick(q);
}

void hostq_hold(struct hostq *q)
{
	__atomic_add_fetch(&q->held, 1, __ATOMIC_SEQ_CST);
}

void hostq_release(struct hostq *q)
{
	if (!__atomic_sub_fetch(&q->held, 1, __ATOMIC_SEQ_CST) &&
	    __atomic_load_n(&q->pending, __ATOMIC_SEQ_CST))
		hostq_kick(q);
}

/* ---- life ---- */

uint32_t hostq_capacity(const struct hostq *q)
{
	uint32_t room = q->room - 1;

	return room < HOSTQ_BATCH_MAX ? room : HOSTQ_BATCH_MAX;
}

void hostq_read_stats(const struct hostq *q, struct core_iommu_stats *stats)
{
	const uint64_t *from = (const uint64_t *)&q->stats;
	uint64_t *to = (uint64_t *)stats;

	for (size_t i = 0; i < sizeof(*stats) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int hostq_init(struct hostq *q, unsigned int lg2, bool wraps)
{
	size_t bytes = sizeof(le64) * q->dwords << lg2;
	int rc;

	/* an answer to a device needs no memory unless many are waiting */
	q->posted = alloc_array(POSTED_CHUNK, sizeof(*q->posted));
	if (!q->posted)
		return -ENOMEM;
	q->posted_room = POSTED_CHUNK;
	rc = q->port->ops->mem_alloc(q->port->ctx, bytes, bytes, &q->mem);
	if (rc) {
		free(q->posted);
		return rc;
	}
	q->turn_ms = TURN_MS;
	q->answer_ms = HOSTQ_ANSWER_MS;
	q->slots = 1u << lg2;
	q->indices = wraps ? 2 * q->slots - 1 : q->slots - 1;
	q->room = wraps ? q->slots : q->slots - 1;
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->posted_lock, NULL);
	return 0;
}

void hostq_fini(struct hostq *q)
{
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->posted_lock);
	free(q->posted);
	q->port->ops->mem_free(q->port->ctx, &q->mem);
}
