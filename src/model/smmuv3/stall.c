// SPDX-License-Identifier: MIT
/*
 * Stalled transactions, Arm IHI 0070 3.12.2, 4.7 and 7.2. A stall's STAG is
 * its number here; it is given back when the device has taken its answer, or
 * when there is no other one left.
 *
 * A transaction is known again by its StreamID, SubstreamID, address and
 * attributes: a device that repeats it before it is answered is the same stall,
 * with no other record; after that it takes the answer.
 *
 * Software must hear of every stall: while the event queue has no room, the
 * record waits here and goes out when EVENTQ_CONS moves. If a CMD_SYNC came in
 * between, which may have completed an invalidation, the transaction is to be
 * retried instead (7.2.1).
 */
#include "model/smmuv3/engine.h"

#include <errno.h>
#include <string.h>

static void stag_give(struct smmuv3_model *m, struct stall *stall)
{
	stall->port = NULL;
	m->stall_used--;
}

/* The free tag that comes next, else one whose answer nobody came for */
static uint16_t stag_find(const struct smmuv3_model *m)
{
	uint16_t found = NO_STAG;

	for (uint32_t n = 0; n < m->stall_max; n++) {
		uint32_t tag = (m->stall_next + n) % m->stall_max;

		if (!m->stalls[tag].port)
			return (uint16_t)tag;
		if (found == NO_STAG && m->stalls[tag].state != STALL_WAITS)
			found = (uint16_t)tag;
	}
	return found;
}

/* With stall_lock held. NO_STAG: all are in use. */
static uint16_t stag_take(struct smmuv3_model *m, struct engine_port *port)
{
	uint16_t tag = stag_find(m);
	struct stall *stall;

	if (tag == NO_STAG)
		return tag;
	stall = &m->stalls[tag];
	if (stall->port)
		stag_give(m, stall);
	*stall = (struct stall){
		.port = port,
		.syncs = counted(&m->engine.syncs),
	};
	m->stall_next = tag + 1u;
	m->stall_used++;
	return tag;
}

/* With stall_lock held; a record that has not gone out need not any more. */
static void answer(struct stall *stall, enum stall_state state)
{
	stall->reported = true;
	stall->state = state;
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
		if (stall->syncs != counted(&m->engine.syncs)) {
			answer(stall, STALL_RETRY);
			continue;
		}
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
		count(&m->engine.events);
	}
}

/* Are these records of one transaction, whatever its faults were? */
static bool same_transaction(const uint64_t a[4], const uint64_t b[4])
{
	const uint64_t how =
		SMMUV3_EVT_1_RNW | SMMUV3_EVT_1_PNU | SMMUV3_EVT_1_IND;

	return !((a[0] ^ b[0]) & ~SMMUV3_EVT_0_TYPE) &&
	       !((a[1] ^ b[1]) & how) && a[2] == b[2];
}

/* With stall_lock held: the stall of the transaction of @rec, or NULL. */
static struct stall *stall_again(struct smmuv3_model *m,
				 const struct engine_port *port,
				 const uint64_t rec[4])
{
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		struct stall *stall = &m->stalls[n];

		if (stall->port == port && same_transaction(stall->rec, rec))
			return stall;
	}
	return NULL;
}

/*
 * With stall_lock held. A fault met before the record of the last one is out
 * takes its place (7.2.1).
 */
static enum stall_state stall_enter(struct visit *v,
				    const struct smmuv3_input *in,
				    const struct smmuv3_fault *fault,
				    uint16_t *tag)
{
	struct smmuv3_model *m = smmu_of(v);
	struct smmuv3_stall told = { .stall = true };
	struct stall *stall;
	enum stall_state state;
	uint64_t rec[4];

	smmuv3_event_build(in, fault, &told, rec);
	stall = stall_again(m, v->port, rec);
	if (stall && stall->state != STALL_WAITS) {
		state = stall->state;
		stag_give(m, stall);
		if (state != STALL_RETRY)
			return state;
		stall = NULL;
	}
	told.stag =
		stall ? (uint16_t)(stall - m->stalls) : stag_take(m, v->port);
	*tag = told.stag;
	if (told.stag == NO_STAG || (stall && stall->reported))
		return STALL_WAITS;
	stall = &m->stalls[told.stag];
	stall->syncs = counted(&m->engine.syncs);
	smmuv3_event_build(in, fault, &told, stall->rec);
	return STALL_WAITS;
}

enum stall_state stall_begin(struct visit *v, const struct smmuv3_input *in,
			     const struct smmuv3_fault *fault, uint16_t *tag)
{
	struct smmuv3_model *m = smmu_of(v);
	enum stall_state state;

	pthread_mutex_lock(&m->stall_lock);
	state = stall_enter(v, in, fault, tag);
	pthread_mutex_unlock(&m->stall_lock);
	if (state == STALL_WAITS)
		stall_report(m);
	return state;
}

static int answer_errno(enum stall_state state)
{
	static const int errnos[] = {
		[STALL_WAITS] = -EINPROGRESS,
		[STALL_RETRY] = 0,
		[STALL_ABORT] = -EIO,
		[STALL_RAZ] = -ECANCELED,
	};

	return errnos[state];
}

int stall_poll(struct model_port *opaque, uint16_t tag)
{
	struct engine_port *port = to_port(opaque);
	struct smmuv3_model *m = (struct smmuv3_model *)port->engine;
	struct stall *stall;
	int rc = -ENOENT;

	pthread_mutex_lock(&m->stall_lock);
	stall = tag < m->stall_max ? &m->stalls[tag] : NULL;
	if (tag == NO_STAG && m->stall_max) {
		rc = stag_find(m) != NO_STAG ? 0 : -EINPROGRESS;
	} else if (stall && stall->port == port) {
		rc = answer_errno(stall->state);
		if (stall->state != STALL_WAITS)
			stag_give(m, stall);
	}
	pthread_mutex_unlock(&m->stall_lock);
	return rc;
}

/* A tag that is not that stream's stall has no effect (4.7.1). */
void stall_resume(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	enum stall_state state = cmd->retry   ? STALL_RETRY
				 : cmd->abort ? STALL_ABORT
					      : STALL_RAZ;

	pthread_mutex_lock(&m->stall_lock);
	if (cmd->stag < m->stall_max) {
		struct stall *stall = &m->stalls[cmd->stag];

		if (stall->port && stall->state == STALL_WAITS &&
		    stall->port->config.stream_id == cmd->sid)
			answer(stall, state);
	}
	pthread_mutex_unlock(&m->stall_lock);
}

static void terminate(struct smmuv3_model *m, bool all, uint32_t sid)
{
	pthread_mutex_lock(&m->stall_lock);
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		struct stall *stall = &m->stalls[n];

		if (stall->port && stall->state == STALL_WAITS &&
		    (all || stall->port->config.stream_id == sid))
			answer(stall, STALL_ABORT);
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

void stall_forget(struct engine_port *port)
{
	struct smmuv3_model *m = (struct smmuv3_model *)port->engine;

	pthread_mutex_lock(&m->stall_lock);
	for (uint32_t n = 0; m->stall_used && n < m->stall_max; n++) {
		if (m->stalls[n].port == port)
			stag_give(m, &m->stalls[n]);
	}
	pthread_mutex_unlock(&m->stall_lock);
}
