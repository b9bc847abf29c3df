// SPDX-License-Identifier: MIT
/* The physical address space: who lies where, found by readers without locks.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "mem/phys.h"

#define PAGE 4096ull
#define GIB  (1ull << 30)
#define RW   (PHYS_READ | PHYS_WRITE)

static uint64_t seed = 7;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % below;
}

static struct phys *create(unsigned int oas_bits)
{
	struct phys *p = NULL;

	assert_int_equal(phys_create(oas_bits, &p), 0);
	return p;
}

/* Host memory that is only counted, never touched. */
static void *fake_host(uint64_t n)
{
	return (void *)(uintptr_t)(0x10000000 + n * 0x1000000);
}

static void forget(struct phys_range *r)
{
	phys_remove(r);
	phys_release(r);
}

static void bad_sizes_of_the_space_are_refused(void **state)
{
	struct phys *p;

	(void)state;
	assert_int_equal(phys_create(11, &p), -EINVAL);
	assert_int_equal(phys_create(53, &p), -EINVAL);
	for (unsigned int bits = 12; bits <= 52; bits++) {
		p = create(bits);
		assert_int_equal(phys_oas_bits(p), bits);
		phys_destroy(p);
	}
	phys_destroy(NULL);
}

static void nonsense_ranges_are_refused(void **state)
{
	struct phys *p = create(40);
	struct phys_range *r = NULL;
	char c;

	(void)state;
	assert_int_equal(phys_add(p, &c, 0, RW, 0, 0, &r), -EINVAL);
	assert_int_equal(phys_add(p, NULL, 1, RW, 0, 0, &r), -EINVAL);
	assert_int_equal(phys_add(p, &c, 1, 4, 0, 0, &r), -EINVAL);
	assert_int_equal(phys_add(p, &c, 1, RW, 3, 0, &r), -EINVAL);
	assert_int_equal(phys_add(p, &c, UINT64_MAX, RW, 0, 0, &r), -EINVAL);
	assert_int_equal(phys_add_at(p, 0, &c, 0, RW, &r), -EINVAL);
	assert_int_equal(phys_add_at(p, (1ull << 40) - 1, &c, 2, RW, &r),
			 -EINVAL);
	assert_int_equal(phys_add_at(p, UINT64_MAX, &c, 2, RW, &r), -EINVAL);
	assert_null(r);
	assert_int_equal(phys_add_at(p, (1ull << 40) - 1, &c, 1, RW, &r), 0);
	assert_int_equal(phys_count(p), 1);
	phys_destroy(p);
}

static void what_was_added_is_found_and_nothing_else(void **state)
{
	struct phys *p = create(40);
	struct phys_span s = { .first = 99 };
	struct phys_range *r;
	uint64_t pa;

	(void)state;
	assert_false(phys_find(p, 0, &s));
	assert_int_equal(
		phys_add(p, fake_host(1), 3 * PAGE, PHYS_READ, 0, 0, &r), 0);
	pa = phys_range_pa(r);
	assert_true(pa >= PAGE && pa % PAGE == 0);
	assert_int_equal(phys_range_length(r), 3 * PAGE);
	assert_ptr_equal(phys_range_host(r), fake_host(1));
	assert_false(phys_find(p, pa - 1, &s));
	assert_false(phys_find(p, pa + 3 * PAGE, &s));
	assert_false(phys_find(p, UINT64_MAX, &s));
	assert_int_equal(s.first, 99);
	for (uint64_t i = 0; i < 3 * PAGE; i += 3 * PAGE - 1) {
		memset(&s, 0, sizeof(s));
		assert_true(phys_find(p, pa + i, &s));
		assert_true(s.first == pa && s.last == pa + 3 * PAGE - 1);
		assert_ptr_equal(s.host, fake_host(1));
		assert_int_equal(s.flags, PHYS_READ);
		assert_null(s.io);
	}
	phys_remove(r);
	assert_false(phys_find(p, pa, &s));
	assert_int_equal(phys_count(p), 0);
	phys_release(r);
	phys_destroy(p);
}

static void alignment_and_skew_are_kept(void **state)
{
	struct phys *p = create(44);
	struct phys_range *r;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t align = 1ull << rnd(31);
		uint64_t skew = rnd(UINT64_MAX);
		uint64_t least = align < PAGE ? PAGE : align;

		if (!(i % 5))
			align = 0, least = PAGE;
		assert_int_equal(phys_add(p, fake_host(1), 1 + rnd(3 * GIB), RW,
					  align, skew, &r),
				 0);
		assert_true(phys_range_pa(r) % least == skew % least);
		if (rnd(3))
			forget(r);
	}
	phys_destroy(p);
}

static void addresses_are_not_reused_before_release(void **state)
{
	struct phys *p = create(14); /* pages 1, 2 and 3 can be chosen */
	struct phys_range *r[3], *n = NULL;
	uint64_t pa;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r[i]), 0);
	assert_int_equal(phys_add(p, fake_host(2), PAGE, RW, 0, 0, &n),
			 -ENOSPC);
	pa = phys_range_pa(r[1]);
	phys_remove(r[1]);
	assert_int_equal(phys_add(p, fake_host(2), PAGE, RW, 0, 0, &n),
			 -ENOSPC);
	assert_int_equal(phys_add_at(p, pa, fake_host(2), PAGE, RW, &n),
			 -EEXIST);
	phys_release(r[1]);
	assert_null(n);
	assert_int_equal(phys_add(p, fake_host(2), PAGE + 1, RW, 0, 0, &n),
			 -ENOSPC);
	assert_int_equal(phys_add(p, fake_host(2), PAGE, RW, 0, 0, &n), 0);
	assert_int_equal(phys_range_pa(n), pa);
	phys_destroy(p);
}

static void fresh_addresses_come_before_used_ones(void **state)
{
	struct phys *p = create(20);
	struct phys_range *r;
	uint64_t last = 0;

	(void)state;
	for (int i = 1; i < 256; i++) {
		assert_int_equal(phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r),
				 0);
		assert_true(phys_range_pa(r) > last);
		last = phys_range_pa(r);
		forget(r);
	}
	assert_int_equal(phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r), 0);
	assert_int_equal(phys_range_pa(r), PAGE);
	phys_destroy(p);
}

static void small_gaps_do_not_hide_a_large_one(void **state)
{
	struct phys *p = create(32);
	struct phys_range *r;

	(void)state;
	/* Gaps of 3 MiB, of which none holds 2 MiB aligned to 4 MiB + 3 MiB */
	for (uint64_t i = 0; i < 512; i++)
		assert_int_equal(phys_add_at(p, i * 0x400000, fake_host(1),
					     0x100000, RW, &r),
				 0);
	assert_int_equal(
		phys_add(p, fake_host(2), 0x200000, RW, 0x400000, 0x300000, &r),
		0);
	assert_int_equal(phys_range_pa(r), 0x7ff00000);
	assert_int_equal(phys_add(p, fake_host(2), 4 * GIB, RW, 0, 0, &r),
			 -ENOSPC);
	assert_int_equal(phys_add(p, fake_host(2), PAGE, RW, 1ull << 63, 0, &r),
			 -ENOSPC);
	phys_destroy(p);
}

static void fixed_ranges_may_touch_but_not_overlap(void **state)
{
	struct phys *p = create(40);
	struct phys_range *a, *b;
	struct phys_span s;

	(void)state;
	assert_int_equal(phys_add_at(p, 0x1000, fake_host(1), 0x1000, RW, &a),
			 0);
	assert_int_equal(phys_add_at(p, 0x1fff, fake_host(2), 1, RW, &b),
			 -EEXIST);
	assert_int_equal(phys_add_at(p, 0, fake_host(2), 0x1001, RW, &b),
			 -EEXIST);
	assert_int_equal(phys_add_at(p, 0, fake_host(2), 0x10000, RW, &b),
			 -EEXIST);
	assert_int_equal(phys_add_at(p, 0, fake_host(2), 0x1000, RW, &b), 0);
	assert_int_equal(phys_add_at(p, 0x2000, fake_host(3), 1, RW, &b), 0);
	assert_true(phys_find(p, 0xfff, &s));
	assert_ptr_equal(s.host, fake_host(2));
	assert_true(phys_find(p, 0x2000, &s));
	assert_ptr_equal(s.host, fake_host(3));
	assert_false(phys_find(p, 0x2001, &s));
	forget(a);
	assert_false(phys_find(p, 0x1800, &s));
	assert_int_equal(phys_add_at(p, 0x1000, fake_host(4), 0x1000, RW, &a),
			 0);
	phys_destroy(p);
}

/* A small space filled, emptied and searched at random, beside an array. */
static void a_random_mix_agrees_with_brute_force(void **state)
{
	enum { SLOTS = 60, TOP = 1 << 16 };
	struct phys_range *ranges[SLOTS] = { 0 };
	struct phys *p = create(16);
	struct phys_span s;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint64_t slot = rnd(SLOTS);
		uint64_t pa = rnd(TOP), length = 1 + rnd(900);
		const struct phys_range *hit = NULL;
		bool clash = pa + length > TOP;

		for (int i = 0; i < SLOTS; i++) {
			uint64_t at;

			if (!ranges[i])
				continue;
			at = phys_range_pa(ranges[i]);
			if (pa >= at && pa - at < phys_range_length(ranges[i]))
				hit = ranges[i];
			if (pa < at + phys_range_length(ranges[i]) &&
			    at < pa + length)
				clash = true;
		}
		assert_int_equal(phys_find(p, pa, &s), hit != NULL);
		if (hit) {
			assert_true(s.first == phys_range_pa(hit));
			assert_ptr_equal(s.host, phys_range_host(hit));
		}
		if (ranges[slot]) {
			forget(ranges[slot]);
			ranges[slot] = NULL;
		} else {
			int rc = phys_add_at(p, pa, fake_host(slot), length, RW,
					     &ranges[slot]);

			assert_int_equal(rc, pa + length > TOP ? -EINVAL
					     : clash	       ? -EEXIST
							       : 0);
		}
	}
	phys_destroy(p);
}

struct regs {
	uint64_t offset;
	size_t len;
	unsigned char data[256];
	int refuse;
};

static int regs_read(void *ctx, uint64_t offset, void *dst, size_t len)
{
	struct regs *r = ctx;

	r->offset = offset;
	r->len = len;
	memset(dst, 0x5a, len);
	return r->refuse ? -EIO : 0;
}

static int regs_write(void *ctx, uint64_t offset, const void *src, size_t len)
{
	struct regs *r = ctx;

	r->offset = offset;
	r->len = len;
	memcpy(r->data, src, len < sizeof(r->data) ? len : sizeof(r->data));
	return r->refuse ? -EIO : 0;
}

static void registers_get_what_is_written_to_them(void **state)
{
	static const struct phys_io_ops ops = { regs_read, regs_write };
	static const struct phys_io_ops deaf = { NULL, regs_write };
	struct phys *p = create(40);
	struct regs regs = { 0 };
	struct phys_range *r;
	uint64_t v = 0, expected = 0;
	struct phys_span s;

	(void)state;
	assert_int_equal(phys_add_io(p, 0x8000, 0x1000, &ops, &regs, &r), 0);
	assert_int_equal(phys_store32(p, 0x8040, 0x11223344), 0);
	assert_true(regs.offset == 0x40 && regs.len == 4);
	assert_memory_equal(regs.data, &(uint32_t){ 0x11223344 }, 4);
	assert_int_equal(phys_load64(p, 0x8ff8, &v), 0);
	assert_true(v == 0x5a5a5a5a5a5a5a5a && regs.offset == 0xff8);
	assert_int_equal(phys_cas64(p, 0x8000, &expected, 1), -EFAULT);
	assert_int_equal(phys_fill(p, 0x8000, 0x77, 100), 0);
	assert_true(regs.offset == 64 && regs.len == 36);
	assert_true(phys_find(p, 0x8001, &s));
	assert_null(s.host);
	assert_non_null(s.io);
	assert_int_equal(s.flags, RW);
	regs.refuse = 1;
	assert_int_equal(phys_store64(p, 0x8000, 0), -EFAULT);
	assert_int_equal(phys_read(p, 0x8000, &v, 1), -EFAULT);
	assert_int_equal(phys_fill(p, 0x8000, 0, 1), -EFAULT);
	forget(r);
	assert_int_equal(phys_add_io(p, 0x8000, 0x1000, &deaf, &regs, &r), 0);
	regs.refuse = 0;
	assert_int_equal(phys_load32(p, 0x8000, &(uint32_t){ 0 }), -EFAULT);
	assert_int_equal(phys_store32(p, 0x8000, 1), 0);
	phys_destroy(p);
}

static void accesses_cross_adjacent_ranges(void **state)
{
	struct phys *p = create(40);
	struct phys_range *r[3];
	char parts[3][100], buf[300];

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(phys_add_at(p, 0x5000 + i * 100, parts[2 - i],
					     100, RW, &r[i]),
				 0);
	for (int i = 0; i < 300; i++)
		buf[i] = (char)(i * 3);
	assert_int_equal(phys_write(p, 0x5000, buf, 300), 0);
	assert_memory_equal(parts[2], buf, 100);
	assert_memory_equal(parts[1], buf + 100, 100);
	assert_memory_equal(parts[0], buf + 200, 100);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(phys_read(p, 0x5000 + 50, buf, 200), 0);
	assert_memory_equal(buf, parts[2] + 50, 50);
	assert_memory_equal(buf + 150, parts[0], 50);
	assert_int_equal(phys_fill(p, 0x5000 + 99, 0x11, 2), 0);
	assert_true(parts[2][99] == 0x11 && parts[1][0] == 0x11);
	assert_int_equal(phys_read(p, 0x5000, buf, 301), -EFAULT);
	assert_int_equal(phys_read(p, 0x4fff, buf, 2), -EFAULT);
	assert_int_equal(phys_read(p, UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(phys_read(p, 0x4000, buf, 0), 0);
	phys_destroy(p);
}

static void permissions_are_kept(void **state)
{
	struct phys *p = create(40);
	struct phys_range *r;
	uint64_t word[2] = { 3, 4 }, v = 0, expected = 3;

	(void)state;
	assert_int_equal(phys_add_at(p, 0x1000, word, 8, PHYS_READ, &r), 0);
	assert_int_equal(phys_add_at(p, 0x2000, word + 1, 8, PHYS_WRITE, &r),
			 0);
	assert_int_equal(phys_load64(p, 0x1000, &v), 0);
	assert_int_equal(phys_store64(p, 0x1000, 1), -EFAULT);
	assert_int_equal(phys_write(p, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(phys_fill(p, 0x1000, 0, 1), -EFAULT);
	assert_int_equal(phys_cas64(p, 0x1000, &expected, 1), -EFAULT);
	assert_int_equal(phys_load64(p, 0x2000, &v), -EFAULT);
	assert_int_equal(phys_read(p, 0x2000, &v, 1), -EFAULT);
	expected = 4;
	assert_int_equal(phys_cas64(p, 0x2000, &expected, 1), -EFAULT);
	assert_int_equal(phys_store64(p, 0x2000, 1), 0);
	assert_true(word[0] == 3 && word[1] == 1 && v == 3);
	phys_destroy(p);
}

static void words_must_be_aligned_and_whole(void **state)
{
	uint64_t words[2] = { 0x1111111122222222, 0 }, v = 0, expected;
	struct phys *p = create(40);
	struct phys_range *r;
	uint32_t half = 0;

	(void)state;
	assert_int_equal(phys_add_at(p, 0x1000, words, 12, RW, &r), 0);
	for (uint64_t i = 1; i < 8; i++) {
		assert_int_equal(phys_load64(p, 0x1000 + i, &v), -EINVAL);
		assert_int_equal(phys_store64(p, 0x1000 + i, 1), -EINVAL);
		if (i % 4)
			assert_int_equal(phys_load32(p, 0x1000 + i, &half),
					 -EINVAL);
	}
	assert_int_equal(phys_load64(p, 0x1008, &v), -EFAULT);
	assert_int_equal(phys_load32(p, 0x1008, &half), 0);
	assert_int_equal(phys_load32(p, 0x1004, &half), 0);
	assert_true(half == 0x11111111);
	expected = 5;
	assert_int_equal(phys_cas64(p, 0x1000, &expected, 6), -EAGAIN);
	assert_true(expected == 0x1111111122222222);
	assert_int_equal(phys_cas64(p, 0x1000, &expected, 6), 0);
	assert_int_equal(phys_load64(p, 0x1000, &v), 0);
	assert_int_equal(v, 6);
	phys_destroy(p);
}

static void vanished_memory_is_efault(void **state)
{
	struct phys *p = create(40);
	struct phys_cursor cursor = { 0 };
	struct phys_range *r;
	uint64_t v, pa;
	char *m;

	(void)state;
	assert_int_equal(guard_init(), 0); /* cmocka has its own handlers */
	m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(phys_add(p, m, 2 * PAGE, RW, 0, 0, &r), 0);
	pa = phys_range_pa(r);
	munmap(m + PAGE, PAGE);
	assert_int_equal(phys_load64(p, pa, &v), 0);
	assert_int_equal(phys_load64(p, pa + PAGE, &v), -EFAULT);
	assert_int_equal(phys_cursor_load64(p, &cursor, pa, &v), 0);
	assert_int_equal(phys_cursor_load64(p, &cursor, pa + PAGE, &v),
			 -EFAULT);
	assert_int_equal(phys_store64(p, pa + PAGE, 1), -EFAULT);
	assert_int_equal(phys_write(p, pa + PAGE - 4, &v, 8), -EFAULT);
	munmap(m, PAGE);
	phys_destroy(p);
}

static void a_cursor_forgets_what_was_removed(void **state)
{
	struct phys *p = create(40);
	struct phys_cursor cursor = { 0 };
	uint64_t one[2] = { 1, 1 }, two[2] = { 2, 2 }, v = 0;
	struct phys_range *a, *b;
	const struct phys_span *s;

	(void)state;
	assert_null(phys_cursor_find(p, &cursor, 0));
	assert_int_equal(phys_cursor_load64(p, &cursor, 0, &v), -EFAULT);
	assert_int_equal(phys_add_at(p, 0x1000, one, 16, RW, &a), 0);
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1000, &v), 0);
	assert_int_equal(v, 1);
	/* What is added elsewhere does not disturb it. */
	s = phys_cursor_find(p, &cursor, 0x100f);
	assert_ptr_equal(s->host, one);
	assert_int_equal(phys_add_at(p, 0x2000, two, 16, RW, &b), 0);
	assert_int_equal(cursor.generation, phys_generation(p));
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x2008, &v), 0);
	assert_int_equal(v, 2);
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1008, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1004, &v), -EINVAL);
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1010, &v), -EFAULT);
	assert_int_equal(phys_cursor_read(p, &cursor, 0x1008, &v, 8), 0);
	assert_int_equal(phys_cursor_read(p, &cursor, 0x1008, &v, 9), -EFAULT);
	phys_remove(a);
	assert_int_not_equal(cursor.generation, phys_generation(p));
	assert_null(phys_cursor_find(p, &cursor, 0x1000));
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1008, &v), -EFAULT);
	phys_release(a);
	assert_int_equal(phys_add_at(p, 0x1000, two, 16, RW, &a), 0);
	assert_int_equal(phys_cursor_load64(p, &cursor, 0x1008, &v), 0);
	assert_int_equal(v, 2);
	phys_destroy(p);
}

static void a_cursor_loads_only_whole_readable_words(void **state)
{
	static const struct phys_io_ops ops = { regs_read, regs_write };
	struct phys *p = create(40);
	struct phys_cursor cursor = { 0 };
	uint64_t words[2] = { 1, 2 }, v = 0;
	struct regs regs = { 0 };
	struct phys_range *r;

	(void)state;
	for (uint64_t len = 1; len < 16; len++) {
		assert_int_equal(phys_add_at(p, 0x1000, words, len, RW, &r), 0);
		assert_int_equal(phys_cursor_load64(p, &cursor, 0x1000, &v),
				 len < 8 ? -EFAULT : 0);
		assert_int_equal(phys_cursor_load64(p, &cursor, 0x1008, &v),
				 -EFAULT);
		forget(r);
	}
	assert_int_equal(phys_add_at(p, 0x1000, words, 16, PHYS_WRITE, &r), 0);
	assert_int_equal(phys_add_io(p, 0x2000, 16, &ops, &regs, &r), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(phys_cursor_load64(p, &cursor, 0x1008, &v),
				 -EFAULT);
		assert_int_equal(phys_cursor_load64(p, &cursor, 0x2008, &v), 0);
		assert_true(v == 0x5a5a5a5a5a5a5a5a && regs.offset == 8);
	}
	phys_destroy(p);
}

static void two_machines_live_side_by_side(void **state)
{
	struct phys *p = create(40), *q = create(40);
	struct phys_range *r;
	uint64_t one = 1, two = 2, v;

	(void)state;
	assert_int_equal(phys_add_at(p, 0x1000, &one, 8, RW, &r), 0);
	assert_int_equal(phys_load64(q, 0x1000, &v), -EFAULT);
	assert_int_equal(phys_add_at(q, 0x1000, &two, 8, RW, &r), 0);
	assert_int_equal(phys_load64(p, 0x1000, &v), 0);
	assert_int_equal(v, 1);
	phys_destroy(p);
	assert_int_equal(phys_load64(q, 0x1000, &v), 0);
	assert_int_equal(v, 2);
	phys_destroy(q);
}

static void removed_ranges_can_be_released_later(void **state)
{
	struct phys *p = create(20);
	struct phys_range *r, *chain = NULL;
	struct grace *g;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	for (int i = 0; i < 255; i++) {
		assert_int_equal(phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r),
				 0);
		*phys_range_link(r) = chain;
		chain = r;
	}
	assert_int_equal(phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r),
			 -ENOSPC);
	while (chain) {
		r = chain;
		chain = *phys_range_link(r);
		phys_remove(r);
		phys_release_later(r, g);
	}
	assert_int_equal(grace_wait(g, 1000000000), 0);
	assert_int_equal(phys_add(p, fake_host(1), 255 * PAGE, RW, 0, 0, &r),
			 0);
	grace_destroy(g);
	phys_destroy(p);
}

static void a_million_ranges_are_no_trouble(void **state)
{
	enum { COUNT = 1000000 };
	struct phys_range **r = calloc(COUNT, sizeof(struct phys_range *));
	struct phys *p = create(48);
	struct phys_span s;

	(void)state;
	for (uint64_t i = 0; i < COUNT; i++)
		assert_int_equal(
			phys_add(p, fake_host(i), PAGE, RW, 0, 0, &r[i]), 0);
	for (int i = 0; i < 200000; i++) {
		uint64_t n = rnd(COUNT);

		assert_true(phys_find(p, phys_range_pa(r[n]) + rnd(PAGE), &s));
		assert_ptr_equal(s.host, fake_host(n));
	}
	for (uint64_t i = 0; i < COUNT; i++) {
		if (i % 16)
			forget(r[i]);
	}
	assert_int_equal(phys_count(p), COUNT / 16);
	for (uint64_t i = 0; i < COUNT; i += 16)
		assert_true(phys_find(p, phys_range_pa(r[i]), &s));
	phys_destroy(p);
	free(r);
}

/*
 * A page at a fixed place holds its own number over and over; the writer keeps
 * replacing it. A reader must see one whole page or none.
 */
struct race {
	struct phys *p;
	struct grace *g;
	int stop;
};

static void *read_often(void *arg)
{
	struct race *race = arg;
	struct phys_cursor cursor = { 0 };
	intptr_t bad = 0, found = 0;

	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE) || !found) {
		uint64_t pa = 0x1000 * (1 + (uint64_t)found % 8), v = 0;
		int rc;

		reader_enter();
		rc = phys_cursor_load64(race->p, &cursor, pa, &v);
		/* Freed pages are filled with ones. */
		bad += !rc && (v >> 32 != pa || v == UINT64_MAX);
		rc = phys_load64(race->p, pa + 8, &v);
		bad += !rc && v >> 32 != pa;
		found += !rc;
		reader_exit();
	}
	return (void *)bad;
}

struct live {
	struct phys_range *range;
	uint64_t *page;
};

static void live_add(struct race *race, struct live *l, uint64_t slot,
		     uint64_t round)
{
	uint64_t pa = 0x1000 * (1 + slot);

	l->page = malloc(16);
	/* As a client would: the readers' accesses are unknown to checkers. */
	guard_store64(&l->page[0], pa << 32 | round);
	guard_store64(&l->page[1], pa << 32 | round);
	assert_int_equal(phys_add_at(race->p, pa, l->page, 16, RW, &l->range),
			 0);
}

static void live_drop(struct race *race, struct live *l)
{
	phys_remove(l->range);
	assert_int_equal(grace_wait(race->g, 10000000000), 0);
	guard_fill(l->page, 0xff, 16);
	free(l->page);
	phys_release(l->range);
}

static void readers_never_see_what_was_taken_away(void **state)
{
	struct race race = { .p = create(40) };
	struct live live[8] = { 0 };
	pthread_t t[2];
	void *bad;

	(void)state;
	assert_int_equal(grace_create(&race.g), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, read_often, &race);
	for (uint64_t i = 0; i < 3000; i++) {
		struct live *l = &live[rnd(8)];

		if (l->page)
			live_drop(&race, l);
		live_add(&race, l, (uint64_t)(l - live), i);
	}
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	for (int i = 0; i < 8; i++) {
		if (live[i].page)
			live_drop(&race, &live[i]);
	}
	grace_destroy(race.g);
	phys_destroy(race.p);
}

static void *add_and_remove(void *arg)
{
	struct race *race = arg;
	intptr_t bad = 0;

	for (int i = 0; i < 3000; i++) {
		struct phys_range *r;
		struct phys_span s;

		if (phys_add(race->p, fake_host(1), PAGE, RW, 0, 0, &r))
			return (void *)1;
		reader_enter();
		bad += !phys_find(race->p, phys_range_pa(r), &s);
		bad += s.first != phys_range_pa(r);
		reader_exit();
		phys_remove(r);
		phys_release_later(r, race->g);
	}
	return (void *)bad;
}

static void several_writers_do_not_disturb_each_other(void **state)
{
	struct race race = { .p = create(44) };
	pthread_t t[3];
	void *bad;

	(void)state;
	assert_int_equal(grace_create(&race.g), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, add_and_remove, &race);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(phys_count(race.p), 0);
	grace_destroy(race.g);
	phys_destroy(race.p);
}

/* A small life, step by step; the first error ends it. */
static int scenario(void)
{
	static const struct phys_io_ops ops = { regs_read, regs_write };
	struct phys_range *r[3] = { 0 };
	struct regs regs = { 0 };
	struct grace *g = NULL;
	struct phys *p;
	int rc;

	rc = phys_create(40, &p);
	if (rc)
		return rc;
	rc = grace_create(&g);
	if (!rc)
		rc = phys_add(p, fake_host(1), PAGE, RW, 0, 0, &r[0]);
	if (!rc)
		rc = phys_add_at(p, 0x1000, fake_host(2), 1, RW, &r[1]);
	if (!rc)
		rc = phys_add_io(p, 0x2000, 4, &ops, &regs, &r[2]);
	if (r[0]) {
		/* Taking away needs no memory. */
		phys_remove(r[0]);
		phys_release_later(r[0], g);
	}
	assert_int_equal(phys_count(p), (r[1] != NULL) + (r[2] != NULL));
	grace_destroy(g);
	phys_destroy(p);
	return rc;
}

static void every_failed_allocation_is_survived(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	int rc;

	(void)state;
	for (;; plan.fail_at++) {
		alloc_arm(&plan);
		rc = scenario();
		alloc_arm(NULL);
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	print_message("%d injection points\n", (int)plan.fail_at - 1);
	assert_int_equal(plan.fail_at - 1, 5);
}

static int init_guard(void **state)
{
	(void)state;
	return guard_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_sizes_of_the_space_are_refused),
		cmocka_unit_test(nonsense_ranges_are_refused),
		cmocka_unit_test(what_was_added_is_found_and_nothing_else),
		cmocka_unit_test(alignment_and_skew_are_kept),
		cmocka_unit_test(addresses_are_not_reused_before_release),
		cmocka_unit_test(fresh_addresses_come_before_used_ones),
		cmocka_unit_test(small_gaps_do_not_hide_a_large_one),
		cmocka_unit_test(fixed_ranges_may_touch_but_not_overlap),
		cmocka_unit_test(a_random_mix_agrees_with_brute_force),
		cmocka_unit_test(registers_get_what_is_written_to_them),
		cmocka_unit_test(accesses_cross_adjacent_ranges),
		cmocka_unit_test(permissions_are_kept),
		cmocka_unit_test(words_must_be_aligned_and_whole),
		cmocka_unit_test(vanished_memory_is_efault),
		cmocka_unit_test(a_cursor_forgets_what_was_removed),
		cmocka_unit_test(a_cursor_loads_only_whole_readable_words),
		cmocka_unit_test(two_machines_live_side_by_side),
		cmocka_unit_test(removed_ranges_can_be_released_later),
		cmocka_unit_test(a_million_ranges_are_no_trouble),
		cmocka_unit_test(readers_never_see_what_was_taken_away),
		cmocka_unit_test(several_writers_do_not_disturb_each_other),
		cmocka_unit_test(every_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, init_guard, NULL);
}
