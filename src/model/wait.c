// SPDX-License-Identifier: MIT
/*
 * Waiting for the DMA in flight. A device that is busy for long may be stuck
 * in a client's memory: then it fails, for a queue must not stop for that.
 */
#include <errno.h>

#include "model/engine.h"

/* A device busy for this long before a sync ends is looked at (see below). */
#define FIRST_WAIT_NS 20000000u

/* Slots that are busy are noted, or compared with what was noted. */
static void ports_note(struct engine *e)
{
	pthread_mutex_lock(&e->ports_lock);
	for (size_t n = 0; n < e->port_count; n++) {
		struct engine_port *port = e->ports[n];

		for (unsigned int i = 0; i < PORT_SLOTS; i++)
			port->noted[i] = __atomic_load_n(&port->slot[i].seq,
							 __ATOMIC_RELAXED);
		port->noted_crowd =
			__atomic_load_n(&port->crowd, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&e->ports_lock);
}

static bool port_stuck(const struct engine_port *port)
{
	for (unsigned int i = 0; i < PORT_SLOTS; i++) {
		if (port->noted[i] & 1 &&
		    port->noted[i] == __atomic_load_n(&port->slot[i].seq,
						      __ATOMIC_RELAXED))
			return true;
	}
	/* of a crowd it cannot be said who: the benefit of the doubt is ours */
	return port->noted_crowd &&
	       __atomic_load_n(&port->crowd, __ATOMIC_RELAXED);
}

static void ports_fail(struct engine *e)
{
	pthread_mutex_lock(&e->ports_lock);
	for (size_t n = 0; n < e->port_count; n++) {
		if (port_stuck(e->ports[n]))
			__atomic_store_n(&e->ports[n]->failed, 1,
					 __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&e->ports_lock);
}

/*
 * Every DMA begun before has ended, or its device is failed: it may be stuck
 * in a client's memory, and a queue must not stop for that. A DMA that rings
 * the doorbell itself (-EDEADLK: its target is our own registers) cannot wait
 * for its own end, and goes on.
 */
void engine_wait(struct engine *e)
{
	uint64_t first = e->sync_timeout_ns < FIRST_WAIT_NS ? e->sync_timeout_ns
							    : FIRST_WAIT_NS;

	if (grace_wait(e->host.grace, first) != -ETIMEDOUT)
		return;
	ports_note(e);
	if (grace_wait(e->host.grace, e->sync_timeout_ns - first) == -ETIMEDOUT)
		ports_fail(e);
}

void engine_hold(struct engine *e, uint32_t delay_us)
{
	uint64_t until = inject_deadline(delay_us);

	if (until > e->hold)
		e->hold = until;
}

void engine_hold_wait(struct engine *e)
{
	if (e->hold)
		inject_sleep_until(e->hold);
	e->hold = 0;
}
