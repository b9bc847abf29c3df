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
		       const uint64_t *cmds, uint32_t n)
{
	*b = (struct hostq_batch){ .cmds = cmds, .n = n };
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

/* The only one of @s for the device that hardware has named; s->n: none, more
 */
static uint32_t only_named(const struct hostq *q, const struct hostq_batch *b,
			   const struct asked *s)
{
	uint32_t found = s->n;
	uint32_t of = 0;

	if (s->n == 1)
		return 0;
	for (uint32_t i = 0; i < s->n; i++) {
		q->ops->asks(cmd_at(q, b, s->at[i]), &of);
		if (of != b->named)
			continue;
		if (found < s->n)
			return s->n;
		found = i;
	}
	return found;
}

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

/*
 * Repeats commands of @s, from *@from on, as many as fit, each with a sync
 * behind it: the queue stops at the first that is not answered, so hardware
 * names device and command in one batch and one timeout. (Halving would wait
 * for one in every other of log2 n batches; a timeout lasts longer than all the
 * syncs of a batch.) Invalidating twice does no harm. Where hardware is unsure,
 * what is between is repeated as well. *@from is then the first without an
 * answer; if there is none (false) the first that did not fit.
 */
static bool ask_again(struct hostq *q, const struct hostq_batch *b,
		      const struct asked *s, uint32_t *from, uint32_t end)
{
	uint32_t capacity = hostq_capacity(q);
	struct hostq_batch again;
	uint32_t first = *from;
	uint32_t i = first;
	struct again a;

	a.n = 0;
	a.syncs = 0;
	batch_init(q, &again, a.cmds, 0);
	for (; i < end; i++) {
		uint32_t start =
			q->ops->unsure && i ? s->at[i - 1] + 1 : s->at[i];
		uint32_t more = s->at[i] + 1 - start + (a.n > 0);

		if (a.n + more > capacity)
			break;
		if (a.n)
			again_sync(q, &a, &again);
		again_copy(q, &a, b, start, s->at[i] + 1);
	}
	again.n = a.n; /* and the sync that every batch has */
	again.syncs = a.syncs;
	*from = i;
	__atomic_add_fetch(&q->stats.searches, 1, __ATOMIC_RELAXED);
	/* legal a moment ago: if it is not now, it has not answered */
	if (hostq_run(q, &again) || !(again.failed || again.illegal))
		return false;
	*from = first;
	for (uint32_t at = 0; at < again.limit; at++)
		*from += q->ops->is_sync(cmd_at(q, &again, at));
	return true;
}

/* What is behind the last of @s, which nobody can say was executed; alone */
static bool redo_rest(struct hostq *q, const struct hostq_batch *b,
		      const struct asked *s)
{
	uint32_t start = s->at[s->n - 1] + 1;
	struct hostq_batch rest;

	if (!q->ops->unsure || start == b->limit)
		return true;
	batch_init(q, &rest, cmd_at(q, b, start), b->limit - start);
	return !hostq_run(q, &rest);
}

/* The first of @b without an answer; its limit if all have answered */
static uint32_t culprit(struct hostq *q, const struct hostq_batch *b,
			struct hostq_result *res)
{
	struct asked s;
	uint32_t only;
	uint32_t end;
	uint32_t i = 0;

	find_asked(q, b, &s);
	res->suspect = s.sid;
	if (!s.n)
		return b->limit;
	only = only_named(q, b, &s);
	if (only < s.n && q->ops->unsure && s.n > 1)
		res->suspect = b->named;
	end = only < s.n ? only : s.n;
	while (i < end && !hostq_is_dead(q)) {
		if (!ask_again(q, b, &s, &i, end))
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

	find_asked(q, b, &s);
	end = only_named(q, b, &s);
	if (end < s.n)
		return s.at[end];
	while (start < end && !hostq_is_dead(q)) {
		uint32_t mid = start + (end - start + 1) / 2;
		struct hostq_batch part;

		batch_init(q, &part, cmd_at(q, b, s.at[start]),
			   s.at[mid - 1] + 1 - s.at[start]);
		__atomic_add_fetch(&q->stats.searches, 1, __ATOMIC_RELAXED);
		if (hostq_run(q, &part))
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
	int rc = 0;

	if (!hostq_run(q, b)) {
		if (b->failed)
			rc = judge_timeout(q, b, res);
		else if (b->refused)
			rc = judge_answer(q, b, res);
	}
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

int hostq_issue(struct hostq *q, const uint64_t *cmds, uint32_t n,
		struct hostq_result *res)
{
	uint32_t capacity = hostq_capacity(q);
	uint32_t start = 0;
	int rc = 0;

	*res = (struct hostq_result){ .suspect = HOSTQ_NO_SID };
	while (start < n && !rc) {
		struct hostq_result part = { .suspect = HOSTQ_NO_SID };
		uint32_t count = n - start < capacity ? n - start : capacity;
		struct hostq_batch b;

		batch_init(q, &b, cmds + (size_t)start * q->stride, count);
		rc = hostq_judge(q, &b, &part);
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
