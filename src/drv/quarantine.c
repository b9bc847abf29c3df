// SPDX-License-Identifier: MIT
/* See quarantine.h. */
#include "drv/quarantine.h"

#include "drv/clock.h"

#define TIMEOUTS_DEFAULT  4
#define WINDOW_MS_DEFAULT 10000
#define GUEST_FACTOR	  4

void quarantine_init(struct quarantine *q, unsigned int timeouts,
		     unsigned int window_ms)
{
	q->timeouts = timeouts ? timeouts : TIMEOUTS_DEFAULT;
	q->window_ms = window_ms ? window_ms : WINDOW_MS_DEFAULT;
	q->marked = false;
}

/* What is spent of @b in the present window, @more included */
static uint32_t spend(const struct quarantine *q, struct budget *b,
		      uint32_t more)
{
	uint64_t now = clock_ms();

	if (now - b->since_ms >= q->window_ms) {
		b->since_ms = now;
		b->spent = 0;
	}
	b->spent += more;
	return b->spent;
}

/* The device before the unit, so that whoever takes the unit's mark finds the
 * device's. */
void quarantine_mark(struct quarantine *q, struct culprit *c)
{
	__atomic_store_n(&c->broken, true, __ATOMIC_RELEASE);
	__atomic_store_n(&q->marked, true, __ATOMIC_RELEASE);
}

void quarantine_charge(struct quarantine *q, struct culprit *c,
		       uint32_t timeouts)
{
	if (c && spend(q, &c->budget, timeouts) >= q->timeouts)
		quarantine_mark(q, c);
}

bool quarantine_guest_is_over(struct quarantine *q, struct budget *guest,
			      uint32_t timeouts)
{
	return spend(q, guest, timeouts) >= GUEST_FACTOR * q->timeouts;
}

void quarantine_forgive(struct culprit *c)
{
	c->budget.spent = 0;
	__atomic_store_n(&c->broken, false, __ATOMIC_RELEASE);
}
