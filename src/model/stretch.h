/* SPDX-License-Identifier: MIT */
/*
 * Executing commands, one span at a time.
 *
 * Invalidations may run ahead of a sync in front of them: they are idempotent,
 * and nobody can tell. So a *stretch* of invalidations and syncs is executed as
 * a whole, then the DMA in flight is awaited once, then the syncs complete in
 * their order. While faults are injected, a stretch ends with its first sync,
 * so that what delays one delays no other.
 */
#ifndef MODEL_STRETCH_H
#define MODEL_STRETCH_H

#include "model/engine.h"
#include "model/history.h"

/* What became of a command */
enum ran {
	RAN,
	RAN_SYNC, /* it completes with its stretch */
	RAN_LAST, /* as RAN_SYNC, and ends it */
	RAN_NOT,  /* not yet: what is in front of it completes first */
	RAN_STOP, /* the queue stops at it */
};

struct stretch_ops {
	/* Command @i; @ahead: of syncs that have not completed */
	enum ran (*run)(struct engine *e, void *span, uint32_t i, bool armed,
			bool ahead);
	bool (*is_sync)(const void *span, uint32_t i);
	/* Command @i completes, and all in front of it have. */
	void (*sync)(struct engine *e, void *span, uint32_t i);
};

/* The command has taken effect. */
static inline void stretch_consumed(struct engine *e, const void *cmd)
{
	if (e->history)
		history_add(e->history, cmd);
	__atomic_store_n(&e->serial, e->serial + 1, __ATOMIC_RELEASE);
}

/* A sync, on its way */
static inline void stretch_slow(struct engine *e, bool armed)
{
	uint32_t delay_us;

	if (armed && inject_happens(&e->inject, INJECT_SLOW_SYNC, &delay_us))
		engine_hold(e, delay_us);
}

/* @syncs of them from @first on, which is one */
static inline void stretch_sync(struct engine *e, const struct stretch_ops *ops,
				void *span, uint32_t first, uint32_t syncs)
{
	if (!syncs)
		return;
	if (e->pending)
		engine_wait(e);
	e->pending = false;
	engine_hold_wait(e);
	for (uint32_t i = first; syncs; i++) {
		if (!ops->is_sync(span, i))
			continue;
		syncs--;
		count_own(&e->syncs);
		ops->sync(e, span, i);
	}
}

/* How many took effect; fewer than @n if one of them was RAN_STOP. */
static inline uint32_t stretch_consume(struct engine *e,
				       const struct stretch_ops *ops,
				       void *span, uint32_t n)
{
	uint32_t end = 0;
	enum ran ran;

	do {
		bool armed = inject_armed(&e->inject);
		uint32_t first = end;
		uint32_t syncs = 0;

		for (ran = RAN; end < n; end++) {
			if (armed && syncs)
				break;
			ran = ops->run(e, span, end, armed, syncs);
			if (ran == RAN_NOT || ran == RAN_STOP)
				break;
			if (ran != RAN && !syncs++)
				first = end;
			if (ran == RAN_LAST) {
				end++;
				break;
			}
		}
		stretch_sync(e, ops, span, first, syncs);
	} while (end < n && ran != RAN_STOP);
	return end;
}

#endif
