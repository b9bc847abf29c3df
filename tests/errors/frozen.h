/* SPDX-License-Identifier: MIT */
/*
 * A machine whose host driver has time of its own, which stands still: it moves
 * when the test says so, and by what a device takes to answer late. So whatever
 * a guest may do once in a window it does once until the test goes on, and who
 * waits for a window waits until then.
 *
 * One thread is the bad guest's. Where it says so, its doorbells wait until
 * somebody waits for the host's queue behind it: what it does to others then
 * happens to them, and not only perhaps.
 */
#ifndef TESTS_ERRORS_FROZEN_H
#define TESTS_ERRORS_FROZEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/hwport.h"
#include "nestfd/nestfd.h"

struct hostdevs;
struct hostunit;

struct frozen {
	struct nestfd_machine *machine;
	struct hostunit *unit;
	struct core_hwport *port;
	struct core_hwport real;
	uint64_t (*now_ms)(struct hostdevs *h);
	void (*nap_ms)(struct hostdevs *h, uint64_t ms);
	uint32_t doorbell; /* the register */
	pthread_t bad;	   /* set before it does anything */
	bool meets;	   /* the bad thread's own, as the next */
	uint32_t late_ms;  /* how long a late answer takes */
	uint64_t missed;   /* doorbells behind which nobody came; atomic */

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t moved;
	uint64_t now;
	bool held;	     /* the bad thread waits for a window */
	unsigned int others; /* waits of anybody else: there should be none */
};

/* Of an open @machine; one at a time. Nothing may be on its way. */
void frozen_start(struct frozen *f, struct nestfd_machine *machine,
		  uint32_t doorbell);
/* Before the machine is destroyed */
void frozen_stop(struct frozen *f);

/* Another machine, whose time is nobody's: no answer is ever late there */
void frozen_for_good(struct nestfd_machine *machine);

void frozen_pass(struct frozen *f, uint64_t ms);
bool frozen_is_held(struct frozen *f);
/* The bad thread's: until frozen_pass() */
void frozen_wait(struct frozen *f);

/* Timeouts, and answers that were late enough to be paid for */
uint64_t frozen_delays(const struct frozen *f);
/* Of these: what a call had to wait for that was not to blame */
uint64_t frozen_waited(const struct frozen *f);
uint64_t frozen_quarantines(const struct frozen *f);

#endif
