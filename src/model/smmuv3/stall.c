// SPDX-License-Identifier: MIT
/*
 * Stalled transactions, Arm IHI 0070 3.12.2, 4.6 and 7.2. A stall's STAG is
 * its number here; it is given back when the device has taken its answer.
 *
 * Software must hear of every stall: while the event queue has no room, the
 * record waits here and goes out when EVENTQ_CONS moves.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>
#include <string.h>

/* With stall_lock held. NO_STAG: all are in use. */
static uint16_t stag_take(struct smmuv3_model *m, struct smmuv3_port *port)
{
	for (uint32_t n = 0; n < m->stall_max; n++) {
		uint32_t tag = (m->stall_next + n) % m->stall_max;

		if (m->stalls[tag].port)
			continue;
		m->stalls[tag] = (struct stall){ .port = port };
		m->stall_next = tag + 1;
		m->stall_used++;
		return (uint16_t)tag;
	}
	return NO_STAG;
}

static void stag_give(struct smmuv3_model *m, struct stall *stall)
{
	stall->port = NULL;
	m->stall_used--;
}

/* The oldest record that waits; true with a copy of it. */
static bool unreported_take(struct smmuv3_model *m, uint16_t *tag,
			    uint64_t rec[4])
{
	bool found = false;

	pthread_mutex_lock(&m->stall_lock);
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		uint32_t at = (m->stall_next + n) % m->stall_max;
		struct stall *stall = &m->stalls[at];

		if (!stall->port || stall->reported)
			continue;
		stall->reported = true;
		*tag = (uint16_t)at;
		memcpy(rec, stall->rec, sizeof(stall->rec));
		found = true;
		break;
	}
	pthread_mutex_unlock(&m->stall_lock);
	return found;
}

static void unreported_return(struct smmuv3_model *m, uint16_t tag)
{
	pthread_mutex_lock(&m->stall_lock);
	m->stalls[tag].reported = false;
	pthread_mutex_unlock(&m->stall_lock);
}

void stall_report(struct smmuv3_model *m)
{
	uint64_t rec[4];
	uint16_t tag;

	while (smmuv3_front_event_room(m->front) &&
	       unreported_take(m, &tag, rec)) {
		if (!smmuv3_front_event(m->front, rec)) {
			unreported_return(m, tag);
			return;
		}
		count(&m->events);
	}
}

uint16_t stall_begin(struct visit *v, const struct smmuv3_input *in,
		     const struct smmuv3_fault *fault)
{
	struct smmuv3_model *m = v->model;
	struct smmuv3_stall stall = { .stall = true };

	pthread_mutex_lock(&m->stall_lock);
	stall.stag = stag_take(m, v->port);
	if (stall.stag != NO_STAG)
		smmuv3_event_build(in, fault, &stall,
				   m->stalls[stall.stag].rec);
	pthread_mutex_unlock(&m->stall_lock);
	if (stall.stag != NO_STAG)
		stall_report(m);
	return stall.stag;
}

int stall_poll(struct model_port *opaque, uint16_t tag)
{
	struct smmuv3_port *port = to_port(opaque);
	struct smmuv3_model *m = port->model;
	struct stall *stall;
	int rc = -ENOENT;

	pthread_mutex_lock(&m->stall_lock);
	stall = tag < m->stall_max ? &m->stalls[tag] : NULL;
	if (tag == NO_STAG && m->stall_max) {
		rc = m->stall_used < m->stall_max ? 0 : -EINPROGRESS;
	} else if (stall && stall->port == port) {
		rc = -EINPROGRESS;
		if (stall->answered) {
			rc = stall->retry ? 0 : -EIO;
			stag_give(m, stall);
		}
	}
	pthread_mutex_unlock(&m->stall_lock);
	return rc;
}

/* With stall_lock held; a record that has not gone out need not any more. */
static void answer(struct stall *stall, bool retry)
{
	stall->reported = true;
	stall->answered = true;
	stall->retry = retry;
}

/* A tag that is not that stream's stall has no effect (4.6.1). */
void stall_resume(struct smmuv3_model *m, uint32_t sid, uint16_t stag,
		  bool retry)
{
	pthread_mutex_lock(&m->stall_lock);
	if (stag < m->stall_max) {
		struct stall *stall = &m->stalls[stag];

		if (stall->port && !stall->answered &&
		    stall->port->config.stream_id == sid)
			answer(stall, retry);
	}
	pthread_mutex_unlock(&m->stall_lock);
}

static void terminate(struct smmuv3_model *m, bool all, uint32_t sid)
{
	pthread_mutex_lock(&m->stall_lock);
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		struct stall *stall = &m->stalls[n];

		if (stall->port && !stall->answered &&
		    (all || stall->port->config.stream_id == sid))
			answer(stall, false);
	}
	pthread_mutex_unlock(&m->stall_lock);
}

void stall_terminate(struct smmuv3_model *m, uint32_t sid)
{
	terminate(m, false, sid);
}

void stall_terminate_all(struct smmuv3_model *m)
{
	terminate(m, true, 0);
}

void stall_forget(struct smmuv3_port *port)
{
	struct smmuv3_model *m = port->model;

	pthread_mutex_lock(&m->stall_lock);
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		if (m->stalls[n].port == port)
			stag_give(m, &m->stalls[n]);
	}
	pthread_mutex_unlock(&m->stall_lock);
}
