// SPDX-License-Identifier: MIT
/* Allocation that can be made to fail; the contract is in alloc.h. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static __thread struct alloc_plan *armed;

void alloc_arm(struct alloc_plan *plan)
{
	if (plan)
		plan->passed = 0;
	armed = plan;
}

bool alloc_fault_point(void)
{
	if (__builtin_expect(!armed, 1))
		return false;
	return ++armed->passed == armed->fail_at;
}

void *alloc_zero(size_t size)
{
	return alloc_array(1, size);
}

/* Of nothing is not NULL, which means failure everywhere here. */
void *alloc_array(size_t count, size_t size)
{
	size_t bytes;

	if (alloc_fault_point() || !mul_size(count, size, &bytes))
		return NULL;
	return calloc(1, bytes ? bytes : 1);
}

void *alloc_aligned(size_t align, size_t size)
{
	void *ptr;

	if (alloc_fault_point())
		return NULL;
	if (align < sizeof(void *))
		align = sizeof(void *);
	if (posix_memalign(&ptr, align, size ? size : 1))
		return NULL;
	memset(ptr, 0, size);
	return ptr;
}

void *alloc_grow(void *ptr, size_t count, size_t size)
{
	size_t bytes;

	if (alloc_fault_point() || !mul_size(count, size, &bytes))
		return NULL;
	return realloc(ptr, bytes ? bytes : 1);
}
