// SPDX-License-Identifier: MIT
/* Invalidations that go to devices' own caches, and what comes back. */
#include "model/engine.h"

/* The sync that fails for this one fails only then. */
static void give_up_after(struct engine *e, uint32_t delay_us)
{
	if (delay_us)
		engine_hold(e, delay_us);
}

/* True if its ATC does not answer this one; *bad: but not well */
static bool unanswered(struct engine *e, struct engine_port *port, bool *bad)
{
	const struct inject_chance chance = {
		.kinds = INJECT_OF_ATC |
			 (e->ops->atc_bad ? INJECT_SET(INJECT_ATC_BAD) : 0),
		.streams = true,
		.sid = port->config.stream_id,
		.sid_last = port->config.stream_id,
	};
	uint32_t delay_us;

	if (__atomic_load_n(&port->failed, __ATOMIC_RELAXED)) {
		give_up_after(e, port->silent_us);
		return true;
	}
	if (!inject_armed(&e->inject))
		return false;
	switch (inject_ask(&e->inject, &chance, &delay_us)) {
	case INJECT_GONE:
		port->silent_us = delay_us;
		__atomic_store_n(&port->failed, 1, __ATOMIC_RELEASE);
		give_up_after(e, delay_us);
		return true;
	case INJECT_ATC_TIMEOUT:
		give_up_after(e, delay_us);
		return true;
	case INJECT_ATC_LATE:
		engine_hold(e, delay_us);
		return false;
	case INJECT_ATC_BAD:
		*bad = true;
		return false;
	default:
		return false;
	}
}

bool engine_atc_invalidate(struct engine *e, uint32_t sid,
			   const struct iotlb_inval *inval)
{
	bool answered = true;
	bool bad = false;

	ports_enter(e);
	for (size_t n = port_find(e, sid); n < e->port_count; n++) {
		struct engine_port *port = e->ports[n];

		if (port->config.stream_id != sid)
			break;
		if (unanswered(e, port, &bad))
			answered = false;
		else if (port->atc)
			iotlb_invalidate(port->atc, inval);
	}
	ports_leave(e);
	if (bad)
		e->ops->atc_bad(e, sid);
	return answered;
}
