/* SPDX-License-Identifier: MIT */
/*
 * Devices that do not answer invalidations of their TLBs. Each time everybody
 * behind the unit waits until hardware gives up, so a device has a *budget* of
 * such timeouts, and so has a guest, whatever it does with its devices. Who has
 * spent it is in *quarantine*: no ATS, and no such invalidation until its
 * reset. Where an invalidation is the host's own, one timeout is enough: what
 * it was to forget must be out of reach when it returns. Numbers:
 * docs/security.md.
 */
#ifndef DRV_QUARANTINE_H
#define DRV_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

/* Timeouts that one device or guest made everybody wait for */
struct budget {
	uint64_t since_ms; /* the window's beginning */
	uint32_t spent;
};

/* Of a unit, whose lock guards it and the culprits */
struct quarantine {
	unsigned int timeouts; /* of a device; of a guest four times as many */
	unsigned int window_ms;
	bool marked; /* some device is broken and may still have its ATS */
};

/* Of a device */
struct culprit {
	struct budget budget;
	bool broken; /* read by any */
};

/* 0: defaults */
void quarantine_init(struct quarantine *q, unsigned int timeouts,
		     unsigned int window_ms);

static inline bool culprit_is_broken(const struct culprit *c)
{
	return __atomic_load_n(&c->broken, __ATOMIC_ACQUIRE);
}

/* All with the unit's lock held. */
void quarantine_mark(struct quarantine *q, struct culprit *c);
/* @c (or NULL: nobody knows who) has cost @timeouts; marked if that is over */
void quarantine_charge(struct quarantine *q, struct culprit *c,
		       uint32_t timeouts);
/* True: @guest, with @timeouts more, is over its budget */
bool quarantine_guest_is_over(struct quarantine *q, struct budget *guest,
			      uint32_t timeouts);
void quarantine_forgive(struct culprit *c);

/* True once after a mark: whoever takes it takes ATS from all that have one */
static inline bool quarantine_take(struct quarantine *q)
{
	return __atomic_load_n(&q->marked, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&q->marked, false, __ATOMIC_ACQ_REL);
}

#endif
