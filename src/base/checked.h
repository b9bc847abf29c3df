/* SPDX-License-Identifier: MIT */
/* Arithmetic on addresses that hostile callers choose. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *last = first + length - 1; -EOVERFLOW if it wraps, -EINVAL if length is 0 */
static inline int range_last(uint64_t first, uint64_t length, uint64_t *last)
{
	uint64_t sum;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(first, length - 1, &sum))
		return -EOVERFLOW;
	*last = sum;
	return 0;
}

static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline bool mul_size(size_t a, size_t b, size_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

#endif
