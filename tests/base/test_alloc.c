// SPDX-License-Identifier: MIT
/* Allocation that fails on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/checked.h"

static void memory_comes_zeroed(void **state)
{
	unsigned char *p = alloc_zero(100);
	unsigned char *a = alloc_aligned(256, 300);

	(void)state;
	assert_non_null(p);
	assert_non_null(a);
	assert_int_equal((uintptr_t)a % 256, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(a[i], 0);
	free(p);
	free(a);
}

static void nothing_is_not_a_failure(void **state)
{
	void *p[] = { alloc_zero(0), alloc_array(0, 8), alloc_array(8, 0),
		      alloc_aligned(64, 0), alloc_grow(NULL, 0, 8) };

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_non_null(p[i]);
		free(p[i]);
	}
}

static void sizes_that_overflow_fail(void **state)
{
	/* Through volatile, or the compiler warns of what is tested. */
	volatile size_t half = SIZE_MAX / 2;
	char *p = alloc_zero(8);

	(void)state;
	assert_null(alloc_array(half, 3));
	assert_null(alloc_grow(p, half, 4));
	free(p);
}

static void growing_keeps_the_content(void **state)
{
	char *p = alloc_grow(NULL, 4, 1);

	(void)state;
	memcpy(p, "abc", 4);
	p = alloc_grow(p, 4000, 16);
	assert_non_null(p);
	assert_string_equal(p, "abc");
	free(p);
}

static void exactly_the_nth_fails(void **state)
{
	struct alloc_plan plan = { .fail_at = 3 };

	(void)state;
	alloc_arm(&plan);
	for (int i = 1; i <= 6; i++) {
		void *p = alloc_zero(1);

		assert_int_equal(p == NULL, i == 3);
		free(p);
	}
	assert_int_equal(plan.passed, 6);
	alloc_arm(NULL);
	assert_false(alloc_fault_point());
	assert_int_equal(plan.passed, 6);
}

static void every_kind_is_a_fault_point(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };

	(void)state;
	alloc_arm(&plan);
	assert_null(alloc_zero(1));
	alloc_arm(&plan);
	assert_null(alloc_array(1, 1));
	alloc_arm(&plan);
	assert_null(alloc_aligned(8, 1));
	alloc_arm(&plan);
	assert_null(alloc_grow(NULL, 1, 1));
	alloc_arm(&plan);
	assert_true(alloc_fault_point());
	assert_false(alloc_fault_point());
	alloc_arm(NULL);
}

static void *other_thread(void *arg)
{
	*(void **)arg = alloc_zero(1);
	return NULL;
}

static void a_plan_is_for_one_thread(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	void *got = NULL;
	pthread_t t;

	(void)state;
	alloc_arm(&plan);
	assert_int_equal(pthread_create(&t, NULL, other_thread, &got), 0);
	pthread_join(t, NULL);
	assert_non_null(got);
	assert_int_equal(plan.passed, 0);
	assert_true(alloc_fault_point());
	alloc_arm(NULL);
	free(got);
}

static void ranges_that_wrap_are_told(void **state)
{
	uint64_t last = 5;

	(void)state;
	assert_int_equal(range_last(0, 0, &last), -EINVAL);
	assert_int_equal(range_last(2, UINT64_MAX, &last), -EOVERFLOW);
	assert_int_equal(last, 5);
	assert_int_equal(range_last(1, UINT64_MAX, &last), 0);
	assert_true(last == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_comes_zeroed),
		cmocka_unit_test(nothing_is_not_a_failure),
		cmocka_unit_test(sizes_that_overflow_fail),
		cmocka_unit_test(growing_keeps_the_content),
		cmocka_unit_test(exactly_the_nth_fails),
		cmocka_unit_test(every_kind_is_a_fault_point),
		cmocka_unit_test(a_plan_is_for_one_thread),
		cmocka_unit_test(ranges_that_wrap_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
