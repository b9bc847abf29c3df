// SPDX-License-Identifier: MIT
/* The host's queue: which device did not answer, and which command. */
#include <errno.h>
#include <string.h>

#include "drv/hostq.h"

/* Commands that a device answers */
struct asked {
	uint32_t n;
	uint64_t sid; /* of all of them, or HOSTQ_NO_SID */
	uint16_t at[HOSTQ_BATCH_MAX];
};

static const uint64_t *cmd_at(const struct hostq *q,
			      const struct hostq_batch *b, uint32_t i)
{
	return b->cmds + (size_t)i * q->stride;
}

static void batch_init(struct hostq *q, struct hostq_batch *b,
		       const struct hostq_payer *payer, const uint64_t *cmds,
		       uint32_t n)
{
	*b = (struct hostq_batch){ .payer = payer, .cmds = cmds, .n = n };
	b->seq = __atomic_add_fetch(&q->seq, 1, __ATOMIC_RELAXED);
}

/* The part of @b between its last sync before its limit and the limit */
static void find_asked(const struct hostq *q, const struct hostq_batch *b,
		       struct asked *s)
{
	uint32_t start = b->limit;
	uint32_t of;

	s->n = 0;
	s->sid = HOSTQ_NO_SID;
	while (start && !q->ops->is_sync(cmd_at(q, b, start - 1)))
		start--;
	for (uint32_t i = start; i < b->limit; i++) {
		if (!q->ops->asks(cmd_at(q, b, i), &of))
			continue;
		s->sid = !s->n || s->sid == of ? of : HOSTQ_NO_SID;
		s->at[s->n++] = (uint16_t)i;
	}
}

static uint64_t sid_at(const struct hostq *q, const struct hostq_batch *b,
		       uint32_t at)
{
	uint32_t of = 0;

	q->ops->asks(cmd_at(q, b, at), &of);
	return of;
}

/* The first of @s for @sid, from @i on; s->n: none. *@more: not the only one */
static uint32_t first_of(const struct hostq *q, const struct hostq_batch *b,
			 const struct asked *s, uint32_t i, uint64_t sid,
			 bool *more)
{
	uint32_t found = s->n;

	*more = false;
	for (; i < s->n && !*more; i++) {
		if (sid_at(q, b, s->at[i]) != sid)
			continue;
		*more = found < s->n;
		found = *more ? found : i;
	}
	return found;
}

/*
 * A sync that stands behind one device's invalidations names it by failing;
 * else hardware may.
 */
static uint64_t who_of(const struct hostq *q, const struct hostq_batch *b,
		       const struct asked *s)
{
	bool more;

	if (s->n && s->sid != HOSTQ_NO_SID)
		return s->sid;
	return first_of(q, b, s, 0, b->named, &more) < s->n ? b->named
							    : HOSTQ_NO_SID;
}

uint64_t hostq_culprit_sid(const struct hostq *q, const struct hostq_batch *b)
{
	struct asked s;

	find_asked(q, b, &s);
	return who_of(q, b, &s);
}

/* ---- windows ---- */

/* Can nothing be held? Usually there has never been a timeout. */
static bool all_is_free(const struct hostq_payer *p)
{
	if (p->guest && !budget_is_untouched(p->guest) &&
	    hostdevs_window(p->devs, p->guest))
		return false;
	return hostdevs_all_is_quiet(p->devs);
}

uint32_t hostq_first_held(const struct hostq *q, const struct hostq_batch *b,
			  uint64_t *until_ms)
{
	const struct hostq_payer *p = b->payer;
	uint64_t end = 0;
	uint64_t last = HOSTQ_NO_SID;
	uint32_t of;

	if (!p || all_is_free(p) || hostq_is_dead(q))
		return b->n;
	for (uint32_t i = 0; i < b->n; i++) {
		if (!q->ops->asks(cmd_at(q, b, i), &of) || of == last)
			continue;
		last = of;
		/* the device's as well: its guest may be a new one */
		end = p->urgent ? hostdevs_sid_window(p->devs, p->guest, of)
				: hostdevs_sid_pause(p->devs, p->guest, of);
		if (!end)
			continue;
		*until_ms = end;
		return i;
	}
	return b->n;
}

static bool is_over(void *q)
{
	return hostq_is_dead(q);
}

void hostq_pause(struct hostq *q, const struct hostq_payer *payer,
		 const struct hostq_result *res)
{
	hostdevs_pause(payer->devs, res->until_ms, res->changes, is_over, q);
}

/* Is it of no use to ask @sid once more? */
static bool has_given_up(const struct hostq_payer *p, uint64_t sid)
{
	if (!p)
		return false;
	if (p->guest && hostdevs_is_over(p->devs, p->guest))
		return true;
	return sid != HOSTQ_NO_SID &&
	       hostdevs_sid_is_broken(p->devs, (uint32_t)sid);
}

static uint32_t changes_of(const struct hostq_payer *p)
{
	return p ? __atomic_load_n(&p->devs->changes, __ATOMIC_ACQUIRE) : 0;
}

/*
 * hostq_run() once @b is held no more. -EAGAIN: nobody here may wait for that,
 * or @sid is not to be asked any more.
 */
static int run_later(struct hostq *q, struct hostq_batch *b, uint64_t sid)
{
	const struct hostq_payer *p = b->payer;
	struct hostq_result held = { 0 };
	int rc = -EAGAIN;

	while (rc == -EAGAIN && !has_given_up(p, sid)) {
		held.changes = changes_of(p);
		rc = hostq_run(q, b);
		if (rc != -EAGAIN)
			break;
		if (!p->patient || hostq_is_dead(q))
			break;
		if (hostq_first_held(q, b, &held.until_ms) < b->n) {
			if (held.until_ms == HOSTDEVS_NEVER)
				break;
			hostq_pause(q, p, &held);
		}
	}
	return rc;
}

/* ---- asking again ---- */

struct again {
	uint64_t cmds[HOSTQ_BATCH_MAX * HOSTQ_CMD_MAX];
	uint32_t n;
	uint32_t syncs;
};

static void again_sync(const struct hostq *q, struct again *a,
		       const struct hostq_batch *b)
{
	uint64_t *cmd = a->cmds + (size_t)a->n++ * q->stride;

	memset(cmd, 0, q->stride * sizeof(*cmd));
	q->ops->sync(q, b, a->syncs++, cmd);
}

static void again_copy(const struct hostq *q, struct again *a,
		       const struct hostq_batch *b, uint32_t start,
		       uint32_t end)
{
	memcpy(a->cmds + (size_t)a->n * q->stride, cmd_at(q, b, start),
	       (size_t)(end - start) * q->stride * sizeof(a->cmds[0]));
	a->n += end - start;
}

/* Commands of @s from *@from on, as many as fit, each with a sync behind it */
static void again_fill(struct hostq *q, const struct hostq_batch *b,
		       const struct asked *s, uint32_t *from, uint32_t end,
		       struct again *a, struct hostq_batch *again)
{
	uint32_t capacity = hostq_capacity(q);
	uint32_t i = *from;

	a->n = 0;
	a->syncs = 0;
	batch_init(q, again, b->payer, a->cmds, 0);
	for (; i < end; i++) {
		uint32_t start =
			q->ops->unsure && i ? s->at[i - 1] + 1 : s->at[i];
		uint32_t more = s->at[i] + 1 - start + (a->n > 0);

		if (a->n + more > capacity)
			break;
		if (a->n)
			again_sync(q, a, again);
		again_copy(q, a, b, start, s->at[i] + 1);
	}
	again->n = a->n; /* and the sync that every batch has */
	again->syncs = a->syncs;
	*from = i;
}

/*
 * Repeats commands of @s, from *@from on, as many as fit, each with a sync
 * behind it: the queue stops at the first that is not answered, so hardware
 * names device and command in one batch and one timeout. (Halving would wait
 * for one in every other of log2 n batches; a timeout lasts longer than all the
 * syncs of a batch.) Invalidating twice does no harm. Where hardware is unsure,
 * what is between is repeated as well. *@from is then the first without an
 * answer (*@found), or the first that did not fit. -EAGAIN: see run_later()
 */
static int ask_again(struct hostq *q, const struct hostq_batch *b,
		     const struct asked *s, uint64_t sid, uint32_t *from,
		     uint32_t end, bool *found)
{
	struct hostq_batch again;
	uint32_t next = *from;
	struct again a;
	bool part;
	int rc;

	again_fill(q, b, s, &next, end, &a, &again);
	rc = run_later(q, &again, sid);
	if (rc == -EAGAIN)
		return rc;
	__atomic_add_fetch(&q->stats.searches, 1, __ATOMIC_RELAXED);
	/* legal a moment ago: if it is not now, it has not answered */
	*found = !rc && (again.failed || again.illegal);
	/* it may also have ended because answers came late */
	part = *found || again.limit < again.n;
	for (uint32_t at = 0; part && at < again.limit; at++)
		*from += q->ops->is_sync(cmd_at(q, &again, at));
	if (!part)
		*from = next;
	return 0;
}

/* What is behind the last of @s, which nobody can say was executed; alone */
static bool redo_rest(struct hostq *q, const struct hostq_batch *b,
		      const struct asked *s)
{
	uint32_t start = s->at[s->n - 1] + 1;
	struct hostq_batch rest;

	if (!q->ops->unsure || start == b->limit)
		return true;
	batch_init(q, &rest, b->payer, cmd_at(q, b, start), b->limit - start);
	return !hostq_run(q, &rest);
}

/*
 * The first of @b without an answer; its limit if all have answered. Which
 * device it is (@who) is known first, as a rule. Its commands are asked for
 * again if there are several, unless it has had its last chance: then it is the
 * first of them. Others' in front of that are repeated where hardware is
 * unsure.
 */
static uint32_t culprit(struct hostq *q, const struct hostq_batch *b,
			struct hostq_result *res)
{
	const struct hostq_payer *p = b->payer;
	bool found = false;
	bool several;
	bool itself;
	struct asked s;
	uint64_t who;
	uint32_t end;
	uint32_t i = 0;

	find_asked(q, b, &s);
	if (!s.n)
		return b->limit;
	who = who_of(q, b, &s);
	end = first_of(q, b, &s, 0, who, &several);
	itself = end == s.n || (several && !(p && p->host));
	while (!hostq_is_dead(q)) {
		if (itself && has_given_up(p, who))
			itself = false;
		end = itself ? s.n : first_of(q, b, &s, i, who, &several);
		if (i >= end)
			break;
		if (ask_again(q, b, &s, itself ? who : HOSTQ_NO_SID, &i, end,
			      &found) &&
		    !(itself && has_given_up(p, who)))
			return s.at[i]; /* nobody may ask now */
		if (!found)
			continue;
		res->timeouts++;
		return s.at[i];
	}
	if (end < s.n)
		return s.at[end];
	redo_rest(q, b, &s);
	return b->limit;
}

/*
 * Who answered what no device may answer: that costs no time, so halving finds
 * it. @b->n: it was not done again.
 */
static uint32_t bad_answer(struct hostq *q, const struct hostq_batch *b)
{
	struct asked s;
	uint32_t end;
	uint32_t start = 0;
	bool several;

	find_asked(q, b, &s);
	end = first_of(q, b, &s, 0, who_of(q, b, &s), &several);
	if (end < s.n && !several)
		return s.at[end];
	end = s.n;
	while (start < end && !hostq_is_dead(q)) {
		uint32_t mid = start + (end - start + 1) / 2;
		struct hostq_batch part;

		batch_init(q, &part, b->payer, cmd_at(q, b, s.at[start]),
			   s.at[mid - 1] + 1 - s.at[start]);
		__atomic_add_fetch(&q->stats.searches, 1, __ATOMIC_RELAXED);
		if (run_later(q, &part, HOSTQ_NO_SID))
			break;
		if (!part.refused && !part.failed)
			start = mid;
		else if (mid == start + 1)
			return s.at[start];
		else
			end = mid;
	}
	return b->n;
}

static int judge_timeout(struct hostq *q, struct hostq_batch *b,
			 struct hostq_result *res)
{
	uint32_t at;

	res->timeouts++;
	at = culprit(q, b, res);
	if (hostq_is_dead(q) || at == b->limit)
		return 0;
	res->done = at;
	res->next = b->limit;
	res->code = HOSTQ_NO_ANSWER;
	return -ETIMEDOUT;
}

static int judge_answer(struct hostq *q, struct hostq_batch *b,
			struct hostq_result *res)
{
	uint32_t at = bad_answer(q, b);

	if (hostq_is_dead(q) || at == b->n)
		return 0;
	res->done = at;
	res->next = b->limit;
	res->code = HOSTQ_BAD_ANSWER;
	return -EIO;
}

int hostq_judge(struct hostq *q, struct hostq_batch *b,
		struct hostq_result *res)
{
	int rc;

	rc = hostq_run(q, b);
	if (rc == -EAGAIN)
		return rc;
	res->timeouts += b->late;
	if (!rc && b->failed)
		rc = judge_timeout(q, b, res);
	else if (!rc && b->refused)
		rc = judge_answer(q, b, res);
	if (hostq_is_dead(q)) {
		res->done = 0;
		res->code = HOSTQ_DEAD;
		return -EIO;
	}
	if (rc)
		return rc;
	res->done = b->limit;
	if (b->illegal) {
		res->code = HOSTQ_ILLEGAL;
		return -EIO;
	}
	/* the sync that failed has been executed */
	if (b->limit < b->n && q->ops->is_sync(cmd_at(q, b, b->limit)))
		res->done++;
	return 0;
}

/* *@count: of @b's commands, those that may go now; none: it is held */
static bool is_held(const struct hostq *q, const struct hostq_batch *b,
		    uint32_t *count, struct hostq_result *res)
{
	res->changes = changes_of(b->payer);
	*count = hostq_first_held(q, b, &res->until_ms);
	return !*count;
}

int hostq_issue(struct hostq *q, const uint64_t *cmds, uint32_t n,
		const struct hostq_payer *payer, struct hostq_result *res)
{
	uint32_t capacity = hostq_capacity(q);
	uint32_t start = 0;
	int rc = 0;

	*res = (struct hostq_result){ 0 };
	while (start < n && !rc) {
		struct hostq_result part = { 0 };
		uint32_t count = n - start < capacity ? n - start : capacity;
		struct hostq_batch b;

		batch_init(q, &b, payer, cmds + (size_t)start * q->stride,
			   count);
		if (is_held(q, &b, &count, res)) {
			res->code = HOSTQ_HELD;
			rc = -EAGAIN;
			break;
		}
		b.n = count;
		rc = hostq_judge(q, &b, &part);
		if (rc == -EAGAIN) {
			rc = 0; /* since a moment ago: look again */
			continue;
		}
		res->code = part.code;
		res->next = start + part.next;
		res->timeouts += part.timeouts;
		start += part.done;
	}
	res->done = start;
	return rc;
}
