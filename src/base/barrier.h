/* SPDX-License-Identifier: MIT */
/*
 * Order between memory that two sides share and the index that says how far it
 * is good: around PROD and CONS. ThreadSanitizer knows no fences; under it the
 * other side is a model, whose register accesses order everything, or a test
 * that has its own.
 */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

#include "base/tsan.h"

/* Records written, or read for good, before the index that says so */
static inline void barrier_before_index(void)
{
#if BASE_TSAN
	__asm__ volatile("" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/* Records read after the index that announced them */
static inline void barrier_after_index(void)
{
#if BASE_TSAN
	__asm__ volatile("" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

#endif
