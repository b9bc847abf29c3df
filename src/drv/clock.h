/* SPDX-License-Identifier: MIT */
/* Time as drivers use it: to give up, and to wait a little. */
#ifndef DRV_CLOCK_H
#define DRV_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void clock_nap_us(unsigned int us)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
}

#endif
