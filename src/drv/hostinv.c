// SPDX-License-Identifier: MIT
/* See hostinv.h. */
#include "drv/hostinv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"

static void empty(struct hostinv *h)
{
	h->n = 0;
	h->room = HOSTINV_MAX;
	h->cmds = h->few;
}

void hostinv_start(struct hostinv *h, struct hostq *q, struct hostdevs *devs)
{
	h->q = q;
	h->devs = devs;
	h->guest = NULL;
	empty(h);
}

static uint64_t *cmd_at(struct hostinv *h, uint32_t i)
{
	return h->cmds + (size_t)i * h->q->stride;
}

const uint64_t *hostinv_last(const struct hostinv *h)
{
	return h->n ? h->cmds + (size_t)(h->n - 1) * h->q->stride : NULL;
}

/* Of what is in [@start, h->n) only what does not ask @sid stays. */
static void forget_device(struct hostinv *h, uint32_t start, uint32_t sid)
{
	uint32_t n = start;
	uint32_t of;

	for (uint32_t i = start; i < h->n; i++) {
		if (h->q->ops->asks(cmd_at(h, i), &of) && of == sid)
			continue;
		memmove(cmd_at(h, n++), cmd_at(h, i),
			h->q->stride * sizeof(uint64_t));
	}
	h->n = n;
}

/*
 * Without it hardware would go on using what is about to be given away: there
 * is nobody to tell, so it is issued again, a few times.
 */
static bool again(struct hostinv *h, uint32_t at, uint32_t tries)
{
	logger_log(h->q->logger, LOGGER_ERROR,
		   "%s: hardware refuses command %#llx", h->q->ops->name,
		   (unsigned long long)*cmd_at(h, at));
	if (tries <= HOSTQ_RETRIES)
		return true;
	hostq_give_up(h->q, "an invalidation of the host's is refused");
	return false;
}

/* What to do about a device that may not be asked now */
enum held {
	MARK_IT,
	LEAVE_IT,
	WAIT_FOR_IT,
};

/* True: @res is that some device may not be asked now, but later it may */
static bool is_held(const struct hostq_result *res)
{
	return res->code == HOSTQ_HELD && res->until_ms != HOSTDEVS_NEVER;
}

/* What is left of @h are commands from @start on. */
static bool leave(struct hostinv *h, uint32_t start)
{
	h->n -= start;
	memmove(h->cmds, cmd_at(h, start),
		(size_t)h->n * h->q->stride * sizeof(uint64_t));
	return false;
}

/* False: some is left */
static bool issue(struct hostinv *h, enum held held)
{
	const struct hostq_payer payer = {
		.devs = h->devs,
		.guest = h->guest,
		.host = true,
		.patient = held == WAIT_FOR_IT,
		.urgent = held == MARK_IT,
	};
	struct hostq_result res;
	uint32_t start = 0;
	uint32_t tries = 0;
	uint32_t sid = 0;

	while (start < h->n) {
		if (!hostq_issue(h->q, cmd_at(h, start), h->n - start, &payer,
				 &res) ||
		    res.code == HOSTQ_DEAD)
			break;
		if (res.done)
			tries = 0;
		start += res.done;
		if (is_held(&res) && held == LEAVE_IT)
			return leave(h, start);
		if (is_held(&res) && held == WAIT_FOR_IT) {
			hostq_pause(h->q, &payer, &res);
			continue;
		}
		if (res.code != HOSTQ_ILLEGAL &&
		    h->q->ops->asks(cmd_at(h, start), &sid)) {
			hostdevs_mark_sid(h->devs, sid);
			forget_device(h, start, sid);
			continue;
		}
		if (!again(h, start, ++tries))
			break;
	}
	if (h->cmds != h->few)
		free(h->cmds);
	empty(h);
	return true;
}

void hostinv_finish(struct hostinv *h)
{
	issue(h, MARK_IT);
}

bool hostinv_try(struct hostinv *h)
{
	return issue(h, LEAVE_IT);
}

void hostinv_wait(struct hostinv *h)
{
	issue(h, WAIT_FOR_IT);
}

static bool grow(struct hostinv *h)
{
	uint32_t room = 2 * h->room;
	bool few = h->cmds == h->few;
	uint64_t *more = room ? alloc_grow(few ? NULL : h->cmds, room,
					   h->q->stride * sizeof(*more))
			      : NULL;

	if (!more)
		return false;
	if (few)
		memcpy(more, h->few,
		       (size_t)h->n * h->q->stride * sizeof(*more));
	h->cmds = more;
	h->room = room;
	return true;
}

void hostinv_put(struct hostinv *h, const uint64_t *cmd)
{
	if (h->n == h->room && !hostinv_try(h) && h->n == h->room && !grow(h))
		hostinv_finish(h);
	memcpy(cmd_at(h, h->n++), cmd, h->q->stride * sizeof(*cmd));
}

static unsigned int order_at(uint64_t page, uint64_t last, unsigned int max)
{
	uint64_t left = last - page;
	unsigned int order = left == UINT64_MAX ? 64 : ilog2_u64(left + 1);

	if (page && (unsigned int)__builtin_ctzll(page) < order)
		order = (unsigned int)__builtin_ctzll(page);
	return order < max ? order : max;
}

static unsigned int split(uint64_t first, uint64_t last, unsigned int order_max,
			  struct run runs[RUNS_MAX])
{
	unsigned int n = 0;

	for (;;) {
		unsigned int order = order_at(first, last, order_max);

		if (n == RUNS_MAX)
			return 0;
		runs[n++] = (struct run){ first, order };
		if (low_mask(order) >= last - first)
			return n;
		first += BIT_ULL(order);
	}
}

unsigned int runs_cover(uint64_t first, uint64_t last, unsigned int order_max,
			struct run runs[RUNS_MAX])
{
	unsigned int n = split(first, last, order_max, runs);
	unsigned int step;

	if (n)
		return n;
	/* both ends to multiples of an eighth, at most, of the length */
	step = ilog2_u64(last - first) - 3;
	return split(first & ~low_mask(step), last | low_mask(step), order_max,
		     runs);
}
