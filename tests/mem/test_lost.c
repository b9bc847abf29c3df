// SPDX-License-Identifier: MIT
/* Memory taken away while it has physical addresses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "mem/phys.h"

#define PAGE 4096ull
#define RW   (PHYS_READ | PHYS_WRITE)

struct place {
	struct phys *p;
	struct phys_range *r;
	char *host;
	uint64_t pa;
	uint64_t pages;
};

/* @pages pages of 'x', of which the range leaves out @head bytes */
static struct place start(uint64_t pages, uint64_t head)
{
	struct place s = { .pages = pages };

	assert_int_equal(guard_init(), 0);
	assert_int_equal(phys_create(48, &s.p), 0);
	s.host = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(s.host != MAP_FAILED);
	memset(s.host, 'x', pages * PAGE);
	assert_int_equal(phys_add(s.p, s.host + head, pages * PAGE - head, RW,
				  0, 0, &s.r),
			 0);
	s.pa = phys_range_pa(s.r) - head;
	return s;
}

static void stop(struct place *s)
{
	phys_remove(s->r);
	phys_release(s->r);
	phys_destroy(s->p);
	munmap(s->host, s->pages * PAGE);
}

static unsigned int lose(struct place *s, uint64_t page, uint64_t n)
{
	return phys_lose(s->p, 0, (uintptr_t)s->host + page * PAGE, n * PAGE);
}

static bool reads(struct place *s, uint64_t offset, size_t len)
{
	char buf[3 * PAGE];
	int rc = phys_read(s->p, s->pa + offset, buf, len);

	assert_true(rc == 0 || rc == -EFAULT);
	if (!rc)
		assert_int_equal(buf[len - 1], 'x');
	return !rc;
}

static void what_is_lost_aborts_and_its_neighbours_stay(void **state)
{
	struct place s = start(8, 0);
	uint32_t word;
	uint64_t big;

	(void)state;
	assert_int_equal(lose(&s, 3, 2), PHYS_LOST);
	assert_true(reads(&s, 0, 3 * PAGE));
	assert_true(reads(&s, 5 * PAGE, 3 * PAGE));
	assert_false(reads(&s, 3 * PAGE, 1));
	assert_false(reads(&s, 5 * PAGE - 1, 1));
	assert_false(reads(&s, 3 * PAGE - 1, 2)); /* into it */
	assert_false(reads(&s, 5 * PAGE - 1, 2)); /* out of it */
	assert_false(reads(&s, 2 * PAGE, 3 * PAGE));
	assert_int_equal(phys_write(s.p, s.pa + 3 * PAGE, "yy", 2), -EFAULT);
	assert_int_equal(phys_fill(s.p, s.pa + 4 * PAGE, 'y', 9), -EFAULT);
	assert_int_equal(phys_load32(s.p, s.pa + 3 * PAGE, &word), -EFAULT);
	assert_int_equal(phys_load64(s.p, s.pa + 3 * PAGE, &big), -EFAULT);
	assert_int_equal(phys_store32(s.p, s.pa + 3 * PAGE, 1), -EFAULT);
	assert_int_equal(phys_store64(s.p, s.pa + 3 * PAGE, 1), -EFAULT);
	assert_int_equal(phys_cas64(s.p, s.pa + 3 * PAGE, &big, 1), -EFAULT);
	assert_int_equal(phys_load64(s.p, s.pa + 3 * PAGE - 8, &big), 0);
	/* the memory itself was never touched: something else may be there */
	for (uint64_t i = 0; i < 8 * PAGE; i++)
		assert_int_equal(s.host[i], 'x');
	stop(&s);
}

static void each_page_of_many_can_be_lost_alone(void **state)
{
	struct place s = start(200, 0);

	(void)state;
	for (uint64_t page = 0; page < 200; page += 3)
		assert_int_equal(lose(&s, page, 1), PHYS_LOST);
	for (uint64_t page = 0; page < 200; page++) {
		assert_int_equal(reads(&s, page * PAGE, 1), page % 3 != 0);
		assert_int_equal(reads(&s, page * PAGE + PAGE - 1, 1),
				 page % 3 != 0);
	}
	stop(&s);
}

/* The bits of a word at a time, whatever the range begins and ends with */
static void any_run_of_pages_is_just_those(void **state)
{
	(void)state;
	for (uint64_t first = 60; first < 68; first++) {
		for (uint64_t n = 1; n < 140; n += 13) {
			struct place s = start(256, 0);

			assert_int_equal(lose(&s, first, n), PHYS_LOST);
			assert_true(reads(&s, first * PAGE - 1, 1));
			assert_false(reads(&s, first * PAGE, 1));
			assert_false(reads(&s, (first + n) * PAGE - 1, 1));
			assert_true(reads(&s, (first + n) * PAGE, 1));
			stop(&s);
		}
	}
}

static void a_span_ends_where_memory_was_lost(void **state)
{
	struct place s = start(8, 100);
	struct phys_span span;

	(void)state;
	assert_int_equal(lose(&s, 2, 1), PHYS_LOST);
	assert_true(phys_find(s.p, s.pa + 100, &span));
	assert_true(span.first == s.pa + 100 && span.host == s.host + 100);
	assert_true(span.last == s.pa + 2 * PAGE - 1);
	assert_false(phys_find(s.p, s.pa + 2 * PAGE, &span));
	assert_false(phys_find(s.p, s.pa + 3 * PAGE - 1, &span));
	assert_true(phys_find(s.p, s.pa + 7 * PAGE, &span));
	assert_true(span.first == s.pa + 3 * PAGE &&
		    span.host == s.host + 3 * PAGE);
	assert_true(span.last == s.pa + 8 * PAGE - 1);
	stop(&s);
}

static void what_was_found_before_is_looked_for_again(void **state)
{
	struct place s = start(8, 0);
	struct phys_cursor cursor = { 0 };
	uint64_t generation = phys_generation(s.p);
	uint64_t word;
	char c;

	(void)state;
	assert_int_equal(
		phys_cursor_load64(s.p, &cursor, s.pa + 3 * PAGE, &word), 0);
	assert_int_equal(lose(&s, 3, 1), PHYS_LOST);
	assert_true(phys_generation(s.p) != generation);
	assert_int_equal(
		phys_cursor_load64(s.p, &cursor, s.pa + 3 * PAGE, &word),
		-EFAULT);
	assert_null(phys_cursor_find(s.p, &cursor, s.pa + 3 * PAGE));
	assert_int_equal(phys_cursor_read(s.p, &cursor, s.pa + 3 * PAGE, &c, 1),
			 -EFAULT);
	for (uint64_t at = 0; at < 8 * PAGE; at += 8)
		assert_int_equal(
			phys_cursor_load64(s.p, &cursor, s.pa + at, &word),
			at / PAGE == 3 ? -EFAULT : 0);
	stop(&s);
}

static void other_memory_is_nobody_s_business(void **state)
{
	struct place s = start(4, 0);
	uint64_t generation = phys_generation(s.p);
	uint64_t va = (uintptr_t)s.host;

	(void)state;
	assert_int_equal(phys_lose(s.p, 0, va - 64 * PAGE, 64 * PAGE), 0);
	assert_int_equal(phys_lose(s.p, 0, va + 4 * PAGE, PAGE), 0);
	assert_int_equal(phys_lose(s.p, 0, va, 0), 0);
	assert_int_equal(phys_lose(s.p, 0, va, UINT64_MAX), 0);
	assert_int_equal(phys_lose(s.p, 1, va, 4 * PAGE), 0);
	assert_true(phys_generation(s.p) == generation);
	assert_true(reads(&s, 0, 1) && reads(&s, 4 * PAGE - 1, 1));
	stop(&s);
}

static void more_than_all_of_it_is_all_of_it(void **state)
{
	struct place s = start(4, 0);

	(void)state;
	assert_int_equal(
		phys_lose(s.p, 0, (uintptr_t)s.host - 8 * PAGE, 100 * PAGE),
		PHYS_LOST);
	for (uint64_t at = 0; at < 4 * PAGE; at += PAGE / 2)
		assert_false(reads(&s, at, 1));
	stop(&s);
}

static void all_ranges_of_the_same_memory_lose_it(void **state)
{
	struct place s = start(4, 0);
	struct phys_range *twin;
	char c;

	(void)state;
	assert_int_equal(
		phys_add(s.p, s.host + PAGE, 2 * PAGE, RW, 0, 0, &twin), 0);
	assert_int_equal(lose(&s, 2, 2), PHYS_LOST);
	assert_true(reads(&s, PAGE, 1));
	assert_false(reads(&s, 2 * PAGE, 1));
	assert_int_equal(phys_read(s.p, phys_range_pa(twin), &c, 1), 0);
	assert_int_equal(phys_read(s.p, phys_range_pa(twin) + PAGE, &c, 1),
			 -EFAULT);
	phys_remove(twin);
	phys_release(twin);
	/* once more, as after a new mmap() there: it is new memory */
	assert_int_equal(
		phys_add(s.p, s.host + PAGE, 2 * PAGE, RW, 0, 0, &twin), 0);
	assert_int_equal(phys_read(s.p, phys_range_pa(twin) + PAGE, &c, 1), 0);
	assert_false(reads(&s, 2 * PAGE, 1));
	phys_remove(twin);
	phys_release(twin);
	stop(&s);
}

static void what_stays_after_all_is_there_again(void **state)
{
	struct place s = start(200, 0);

	(void)state;
	assert_int_equal(lose(&s, 10, 100), PHYS_LOST);
	phys_regain(s.p, 0, (uintptr_t)s.host + 10 * PAGE, 100 * PAGE);
	for (uint64_t page = 0; page < 200; page++)
		assert_true(reads(&s, page * PAGE, 1));
	assert_int_equal(lose(&s, 20, 1), PHYS_LOST);
	assert_int_equal(lose(&s, 10, 100), PHYS_LOST | PHYS_LOST_BEFORE);
	assert_int_equal(lose(&s, 150, 10), PHYS_LOST);
	phys_regain(s.p, 0, (uintptr_t)s.host + 150 * PAGE, 10 * PAGE);
	assert_true(reads(&s, 150 * PAGE, 3 * PAGE));
	assert_false(reads(&s, 109 * PAGE, 1));
	stop(&s);
}

static int io_read(void *ctx, uint64_t offset, void *dst, size_t len)
{
	(void)ctx;
	memset(dst, (int)(offset / PAGE), len);
	return 0;
}

static void memory_of_other_address_spaces_is_lost_by_its_own(void **state)
{
	static const struct phys_io_ops ops = { .read = io_read };
	struct place s = start(4, 0);
	uint64_t va = (uintptr_t)s.host;
	struct phys_range *io;
	char buf[2 * PAGE];

	(void)state;
	assert_int_equal(phys_add_io(s.p, 0x10000, 4 * PAGE, &ops, NULL, &io),
			 0);
	phys_range_is_memory(io, 77, va);
	assert_int_equal(phys_lose(s.p, 77, va + PAGE, PAGE), PHYS_LOST);
	assert_true(reads(&s, PAGE, 1));
	assert_int_equal(phys_read(s.p, 0x10000, buf, PAGE), 0);
	assert_int_equal(phys_read(s.p, 0x11000, buf, 1), -EFAULT);
	assert_int_equal(phys_read(s.p, 0x10fff, buf, 2), -EFAULT);
	/* offsets still count from the beginning */
	assert_int_equal(phys_read(s.p, 0x12ff0, buf, 32), 0);
	assert_int_equal(buf[0], 2);
	assert_int_equal(lose(&s, 2, 1), PHYS_LOST);
	assert_int_equal(phys_read(s.p, 0x12000, buf, 1), 0);
	phys_remove(io);
	phys_release(io);
	stop(&s);
}

static void without_memory_for_the_bits_all_of_it_is_lost(void **state)
{
	struct place s = start(4, 0);
	struct alloc_plan plan = { .fail_at = 1 };

	(void)state;
	alloc_arm(&plan);
	assert_int_equal(lose(&s, 1, 1), PHYS_LOST | PHYS_LOST_BEFORE);
	alloc_arm(NULL);
	for (uint64_t page = 0; page < 4; page++)
		assert_false(reads(&s, page * PAGE, 1));
	phys_regain(s.p, 0, (uintptr_t)s.host, 4 * PAGE);
	assert_false(reads(&s, 0, 1));
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_lost_aborts_and_its_neighbours_stay),
		cmocka_unit_test(each_page_of_many_can_be_lost_alone),
		cmocka_unit_test(any_run_of_pages_is_just_those),
		cmocka_unit_test(a_span_ends_where_memory_was_lost),
		cmocka_unit_test(what_was_found_before_is_looked_for_again),
		cmocka_unit_test(other_memory_is_nobody_s_business),
		cmocka_unit_test(more_than_all_of_it_is_all_of_it),
		cmocka_unit_test(all_ranges_of_the_same_memory_lose_it),
		cmocka_unit_test(what_stays_after_all_is_there_again),
		cmocka_unit_test(
			memory_of_other_address_spaces_is_lost_by_its_own),
		cmocka_unit_test(without_memory_for_the_bits_all_of_it_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
