/* SPDX-License-Identifier: MIT */
/*
 * The error injector: rules that say what the hardware does wrong. A model
 * asks at each *chance* (a command it fetches, decodes or carries out); the
 * first rule that applies and whose random number says so decides.
 *
 * Each rule has random numbers of its own, of which it takes one per chance
 * that it applies to: the same rules and the same chances give the same faults,
 * whatever other rules there are.
 */
#ifndef MODEL_INJECT_H
#define MODEL_INJECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inject_kind {
	INJECT_NONE,
	INJECT_ILL,	    /* a command is called illegal */
	INJECT_ABT,	    /* the fetch of a command aborts */
	INJECT_ATC_TIMEOUT, /* an ATC does not answer an invalidation */
	INJECT_ATC_LATE,    /* it answers after a while */
	INJECT_GONE,	    /* the device is gone until its reset */
	INJECT_SLOW_SYNC,   /* a sync completes after a while */
	INJECT_ATC_BAD,	    /* an ATC's answer is none to any invalidation */
};

#define INJECT_ANY UINT32_MAX

/* Sets of kinds */
#define INJECT_SET(kind) (1u << (kind))
#define INJECT_OF_ATC                                                   \
	(INJECT_SET(INJECT_ATC_TIMEOUT) | INJECT_SET(INJECT_ATC_LATE) | \
	 INJECT_SET(INJECT_GONE))

struct inject_fault {
	enum inject_kind kind;
	uint32_t opcode;    /* ILL; or INJECT_ANY */
	uint32_t stream_id; /* ILL, and those of an ATC; or INJECT_ANY */
	double probability; /* above 0, at most 1 */
	uint32_t count;	    /* at most so often; 0: no end */
	uint64_t seed;
	uint32_t delay_us; /* ATC_TIMEOUT, GONE: until hardware gives up;
			    * ATC_LATE, SLOW_SYNC */
};

/* What might go wrong now */
struct inject_chance {
	uint32_t kinds; /* INJECT_SET() */
	uint32_t opcode;
	bool streams; /* it is about streams, @sid to @sid_last */
	uint32_t sid;
	uint32_t sid_last;
};

struct inject_rule;

/* Of a model. @armed may be read without the lock. */
struct inject {
	pthread_mutex_t lock;
	uint32_t armed; /* atomic: there are rules */
	struct inject_rule *rules;
	size_t count;
	uint64_t injected;
};

void inject_init(struct inject *in);
void inject_fini(struct inject *in);

/* Any thread. -ENOMEM */
int inject_add(struct inject *in, const struct inject_fault *fault);

/* Any thread. Forgets the rules; how many faults there have been, ever */
uint64_t inject_clear(struct inject *in);

static inline bool inject_armed(const struct inject *in)
{
	return __atomic_load_n(&in->armed, __ATOMIC_RELAXED);
}

/* Any thread. INJECT_NONE, or what goes wrong now, and *@delay_us of it */
enum inject_kind inject_ask(struct inject *in,
			    const struct inject_chance *chance,
			    uint32_t *delay_us);

/* The same for chances that are about nothing but the command itself */
static inline bool inject_happens(struct inject *in, enum inject_kind kind,
				  uint32_t *delay_us)
{
	const struct inject_chance chance = { .kinds = INJECT_SET(kind) };

	return inject_ask(in, &chance, delay_us) != INJECT_NONE;
}

/* CLOCK_MONOTONIC in nanoseconds, so much from now */
uint64_t inject_deadline(uint32_t delay_us);
void inject_sleep_until(uint64_t deadline);

#endif
