/* SPDX-License-Identifier: MIT */
/*
 * Order between memory that hardware shares and its registers: what a driver
 * does around PROD. ThreadSanitizer knows no fences; under it the hardware is
 * a model, whose register accesses order everything.
 */
#ifndef DRV_BARRIER_H
#define DRV_BARRIER_H

#include "base/tsan.h"

/* Records written before the register that announces them */
static inline void barrier_before_doorbell(void)
{
#if BASE_TSAN
	__asm__ volatile("" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/* Records read after the register that announced them */
static inline void barrier_after_index(void)
{
#if BASE_TSAN
	__asm__ volatile("" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

#endif
