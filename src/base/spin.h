/* SPDX-License-Identifier: MIT */
/*
 * A lock for sections of tens of nanoseconds, where a mutex would cost more
 * than the work. All zero is free. Not for sections that wait for anything.
 */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool spin_try(uint32_t *lock)
{
	return !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}

/* The holder may have lost its processor: then ours helps most. */
static __attribute__((cold, noinline, unused)) void spin_wait(uint32_t *lock)
{
	unsigned int spins = 0;

	do {
		while (__atomic_load_n(lock, __ATOMIC_RELAXED)) {
			if (++spins % 128 == 0)
				sched_yield();
		}
	} while (!spin_try(lock));
}

static inline void spin_take(uint32_t *lock)
{
	if (__builtin_expect(!spin_try(lock), 0))
		spin_wait(lock);
}

static inline void spin_drop(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
