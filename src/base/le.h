/* SPDX-License-Identifier: MIT */
/*
 * Byte order in the type: what lies in guest or hardware memory is a leNN, and
 * forgetting to convert it does not compile.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <endian.h>
#include <stdint.h>

typedef struct {
	uint16_t raw;
} le16;
typedef struct {
	uint32_t raw;
} le32;
typedef struct {
	uint64_t raw;
} le64;

static inline uint16_t le16_get(le16 v)
{
	return le16toh(v.raw);
}

static inline uint32_t le32_get(le32 v)
{
	return le32toh(v.raw);
}

static inline uint64_t le64_get(le64 v)
{
	return le64toh(v.raw);
}

static inline le16 le16_make(uint16_t v)
{
	return (le16){ htole16(v) };
}

static inline le32 le32_make(uint32_t v)
{
	return (le32){ htole32(v) };
}

static inline le64 le64_make(uint64_t v)
{
	return (le64){ htole64(v) };
}

#endif
