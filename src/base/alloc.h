/* SPDX-License-Identifier: MIT */
/*
 * Allocation that can be made to fail. A thread may arm a plan; the n-th
 * fault point that this thread then passes fails once. Without a plan the cost
 * is one thread-local load. Everything is freed with free().
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * struct alloc_plan - which fault point of the arming thread fails
 * @fail_at: 1 fails the first one; 0 only counts
 * @passed: out, fault points passed since the plan was armed
 */
struct alloc_plan {
	uint64_t fail_at;
	uint64_t passed;
};

/* Arm @plan for the calling thread; NULL disarms. The plan must outlive it. */
void alloc_arm(struct alloc_plan *plan);

/* True if this point must fail now; for failures that are not allocations. */
bool alloc_fault_point(void);

/* All return zeroed memory, or NULL. */
void *alloc_zero(size_t size);
void *alloc_array(size_t count, size_t size);
void *alloc_aligned(size_t align, size_t size);

/* Grow to @count elements of @size; the new tail is not zeroed. */
void *alloc_grow(void *ptr, size_t count, size_t size);

#endif
