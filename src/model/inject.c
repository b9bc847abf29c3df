// SPDX-License-Identifier: MIT
/* See inject.h. */
#include "model/inject.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"

#define CERTAIN	      (1ULL << 53) /* probability 1, as the numbers drawn */
#define NS_PER_SECOND 1000000000u

struct inject_rule {
	struct inject_fault fault;
	uint64_t threshold; /* below it a number says yes; at most CERTAIN */
	uint64_t state;
	uint32_t left; /* of fault.count */
};

/* SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

void inject_init(struct inject *in)
{
	*in = (struct inject){ 0 };
	pthread_mutex_init(&in->lock, NULL);
}

void inject_fini(struct inject *in)
{
	free(in->rules);
	pthread_mutex_destroy(&in->lock);
}

/* Rules of different kinds are not to fall together if the seed is the same. */
static void rule_make(struct inject_rule *rule,
		      const struct inject_fault *fault)
{
	uint64_t state = fault->kind;

	*rule = (struct inject_rule){
		.fault = *fault,
		.threshold = (uint64_t)(fault->probability * (double)CERTAIN),
		.state = fault->seed ^ draw(&state),
		.left = fault->count,
	};
	if (!rule->threshold)
		rule->threshold = 1;
}

int inject_add(struct inject *in, const struct inject_fault *fault)
{
	struct inject_rule *rules;

	pthread_mutex_lock(&in->lock);
	rules = alloc_grow(in->rules, in->count + 1, sizeof(*rules));
	if (rules) {
		in->rules = rules;
		rule_make(&rules[in->count++], fault);
		__atomic_store_n(&in->armed, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&in->lock);
	return rules ? 0 : -ENOMEM;
}

uint64_t inject_clear(struct inject *in)
{
	uint64_t injected;

	pthread_mutex_lock(&in->lock);
	__atomic_store_n(&in->armed, 0, __ATOMIC_RELAXED);
	in->count = 0;
	injected = in->injected;
	pthread_mutex_unlock(&in->lock);
	return injected;
}

static bool applies(const struct inject_rule *rule,
		    const struct inject_chance *chance)
{
	const struct inject_fault *fault = &rule->fault;

	if (!(chance->kinds & INJECT_SET(fault->kind)) ||
	    (fault->count && !rule->left))
		return false;
	if (fault->kind == INJECT_ABT || fault->kind == INJECT_SLOW_SYNC)
		return true;
	if (fault->kind == INJECT_ILL && fault->opcode != INJECT_ANY &&
	    fault->opcode != chance->opcode)
		return false;
	return fault->stream_id == INJECT_ANY ||
	       (chance->streams && fault->stream_id >= chance->sid &&
		fault->stream_id <= chance->sid_last);
}

static bool says_yes(struct inject_rule *rule)
{
	return draw(&rule->state) >> 11 < rule->threshold;
}

enum inject_kind inject_ask(struct inject *in,
			    const struct inject_chance *chance,
			    uint32_t *delay_us)
{
	enum inject_kind kind = INJECT_NONE;

	pthread_mutex_lock(&in->lock);
	/* each draws, so that what one does depends on no other */
	for (size_t n = 0; n < in->count; n++) {
		struct inject_rule *rule = &in->rules[n];

		if (!applies(rule, chance) || !says_yes(rule) || kind)
			continue;
		kind = rule->fault.kind;
		*delay_us = rule->fault.delay_us;
		if (rule->left)
			rule->left--;
		in->injected++;
	}
	pthread_mutex_unlock(&in->lock);
	return kind;
}

uint64_t inject_deadline(uint32_t delay_us)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec +
	       (uint64_t)delay_us * 1000;
}

void inject_sleep_until(uint64_t deadline)
{
	const struct timespec until = {
		.tv_sec = (time_t)(deadline / NS_PER_SECOND),
		.tv_nsec = (long)(deadline % NS_PER_SECOND),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
	       EINTR)
		;
}
