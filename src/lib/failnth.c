// SPDX-License-Identifier: MIT
/* Making the library's allocations fail, from outside: nestfd_fail_nth(). */
#include "base/alloc.h"
#include "nestfd/nestfd.h"

static __thread struct alloc_plan plan;

void nestfd_fail_nth(uint64_t nth)
{
	plan.fail_at = nth;
	alloc_arm(nth ? &plan : NULL);
}

uint64_t nestfd_fail_nth_left(void)
{
	return plan.fail_at > plan.passed ? plan.fail_at - plan.passed : 0;
}
