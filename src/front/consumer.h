/* SPDX-License-Identifier: MIT */
/*
 * Consumption of a queue that software fills: one thread at a time, and nobody
 * waits. @kicks decides which thread, and loses nobody's doorbell: who stores
 * the producer's index (or what enables the queue, or ends an error) and then
 * finds @kicks above 0 has made the consumer's compare-and-exchange fail, so
 * that it looks again.
 *
 * Fields marked A are used without a lock, by __atomic accesses.
 */
#ifndef FRONT_CONSUMER_H
#define FRONT_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front/ordered.h"

/*
 * What one pass may do on behalf of kicks from inside itself: a completion
 * that is written to the queue's own doorbell must not keep a register write
 * busy for ever.
 */
#define CONSUMER_BUDGET (1u << 20)

struct consumer {
	/*
	 * The consumer is the thread that raised it from 0; the others only
	 * add to it, and the consumer goes on until it can set back to 0 what
	 * it saw before it last looked. A.
	 */
	uint64_t kicks;
	const char *thread; /* A */
	bool starved;	    /* A: gave up with entries left */
	/* The rest is the consumer's. */
	bool self_fed;	   /* kicked from inside its callbacks */
	uint32_t max_span; /* entries at once */
	uint32_t room;	   /* entries that fit in @span */
	size_t entry_size; /* of one in @span */
	void *span;
};

/* Constant, so that the calls below become direct ones. */
struct consumer_ops {
	/*
	 * Settles what waits for a moment between spans (an enable to
	 * acknowledge), then: entries that may be consumed now.
	 */
	uint32_t (*pending)(void *front);
	/*
	 * Some of @n: false if the queue cannot go on by itself. *@done is how
	 * many took effect.
	 */
	bool (*some)(void *front, uint32_t n, uint32_t *done);
};

/* @max_span is at least 1. 0, -ENOMEM */
int consumer_init(struct consumer *consumer, uint32_t max_span,
		  size_t entry_size);
void consumer_fini(struct consumer *consumer);

/* consumer_room()'s second half: makes room for @n if there is memory. */
void consumer_grow(struct consumer *consumer, uint32_t n);

/* How many of @n to fetch now; as many fit in @span. */
static inline uint32_t consumer_room(struct consumer *consumer, uint32_t n)
{
	if (n > consumer->max_span)
		n = consumer->max_span;
	if (n > consumer->room)
		consumer_grow(consumer, n);
	return n < consumer->room ? n : consumer->room;
}

/* Consumes until there is nothing to do; false when @budget ended it. */
static inline bool consumer_pass(struct consumer *consumer,
				 const struct consumer_ops *ops, void *front,
				 uint64_t *budget)
{
	uint32_t n;

	while ((n = ops->pending(front)) != 0) {
		uint32_t done = 0;
		bool more;

		if (!*budget && consumer->self_fed)
			return false;
		if (*budget)
			--*budget; /* spans that only fail count as well */
		more = ops->some(front, n, &done);
		*budget -= *budget > done ? done : *budget;
		if (!more)
			return true;
	}
	return true;
}

/*
 * Something changed that may let entries be consumed.
 *
 * Acquire and release on @kicks: a kicker's store of the producer's index is
 * before its addition, and the consumer's loads are after the exchange that
 * failed because of it. Had the exchange succeeded, the kicker would have
 * found 0.
 */
static inline void consumer_kick(struct consumer *consumer,
				 const struct consumer_ops *ops, void *front)
{
	const char *self = thread_token();
	uint64_t budget = CONSUMER_BUDGET;
	uint64_t seen;

	if (__atomic_fetch_add(&consumer->kicks, 1, __ATOMIC_ACQ_REL)) {
		if (load_relaxed(&consumer->thread) == self)
			consumer->self_fed = true;
		return;
	}
	store_relaxed(&consumer->thread, self);
	store_relaxed(&consumer->starved, false);
	consumer->self_fed = false;
	do {
		seen = load_acquire(&consumer->kicks);
		if (!consumer_pass(consumer, ops, front, &budget)) {
			/* left for whoever looks next at the queue */
			store_relaxed(&consumer->starved, true);
			store_relaxed(&consumer->thread, NULL);
			store_ordered(&consumer->kicks, 0);
			return;
		}
		store_relaxed(&consumer->thread, NULL);
		if (__atomic_compare_exchange_n(&consumer->kicks, &seen, 0,
						false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return;
		store_relaxed(&consumer->thread, self);
	} while (true);
}

/* A bounded pass left something, and nobody is at it. */
static inline bool consumer_is_starved(const struct consumer *consumer)
{
	return load_relaxed(&consumer->starved) &&
	       !load_relaxed(&consumer->kicks);
}

#endif
