/* SPDX-License-Identifier: MIT */
/* Bit masks and fields of registers and in-memory records. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT_ULL(n)	  (1ULL << (n))
#define GENMASK_ULL(h, l) ((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#define ARRAY_SIZE(a)	  (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
	((type *)((char *)(p)-offsetof(type, member)))

/* The value of the field that @mask marks in @word. */
static inline uint64_t field_get(uint64_t mask, uint64_t word)
{
	return (word & mask) >> __builtin_ctzll(mask);
}

/* @value moved to the field that @mask marks; bits that do not fit are cut. */
static inline uint64_t field_prep(uint64_t mask, uint64_t value)
{
	return (value << __builtin_ctzll(mask)) & mask;
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* Largest n with 2^n <= v; v must not be 0. */
static inline unsigned int ilog2_u64(uint64_t v)
{
	return 63 - (unsigned int)__builtin_clzll(v);
}

/* All bits below @n; n may be 64. */
static inline uint64_t low_mask(unsigned int n)
{
	return n >= 64 ? ~0ULL : BIT_ULL(n) - 1;
}

#endif
