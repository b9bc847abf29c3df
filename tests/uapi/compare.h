/* SPDX-License-Identifier: MIT */
/*
 * One header's names and numbers as an array, so that two headers with the same
 * guard can be compared: each is included by a source file of its own.
 */
#ifndef UAPI_COMPARE_H
#define UAPI_COMPARE_H

#include <stddef.h>
#include <stdint.h>

/* @number: a constant, a size, or offset << 32 | size of a member */
struct uapi_item {
	const char *name;
	uint64_t number;
};

extern const struct uapi_item uapi_ours[];
extern const size_t uapi_ours_count;
extern const struct uapi_item uapi_system[];
extern const size_t uapi_system_count;

#define SIZE(s, size) { "sizeof " #s, sizeof(struct s) },
#define MEMBER(s, m, offset, size)                           \
	{ #s "." #m, (uint64_t)offsetof(struct s, m) << 32 | \
			     sizeof(((struct s *)NULL)->m) },
#define NUMBER(n, value) { #n, (uint64_t)(n) },

#endif
