// SPDX-License-Identifier: MIT
/* Where an STE lies, IHI 0070 5.1, 6.3.24 and 6.3.25. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "front/smmuv3/strtab.h"
#include "ids.h"

#define NO_FETCH UINT64_MAX

struct fetches {
	uint64_t value;
	uint64_t addr; /* the last one; NO_FETCH: none */
	int rc;
};

static int read64(void *ctx, uint64_t addr, uint64_t *value)
{
	struct fetches *f = ctx;

	f->addr = addr;
	*value = f->value;
	return f->rc;
}

static struct smmuv3_ste_at find(uint64_t base, uint32_t cfg, uint32_t sid,
				 struct fetches *f)
{
	struct smmuv3_regs regs = { .strtab_base = base, .strtab_cfg = cfg };
	struct smmuv3_id id = id_full();
	struct smmuv3_ste_at at;

	f->addr = NO_FETCH;
	smmuv3_strtab_find(&regs, &id, sid, read64, f, &at);
	return at;
}

static void linear_tables_are_arrays(void **state)
{
	struct fetches f = { 0 };
	struct smmuv3_ste_at at;

	(void)state;
	at = find(0x80000000, 8, 0x12, &f);
	assert_int_equal(at.event, 0);
	assert_int_equal(at.addr, 0x80000480);
	assert_int_equal(f.addr, NO_FETCH);
	/* LOG2SIZE 0: one entry */
	assert_int_equal(find(0x80000000, 0, 0, &f).addr, 0x80000000);
	assert_int_equal(find(0x80000000, 0, 1, &f).event, 0x02);
}

static void streams_beyond_the_table_are_bad(void **state)
{
	struct fetches f = { .value = 0x90000000 | 7 };

	(void)state;
	for (uint32_t log2 = 0; log2 < 16; log2++) {
		assert_int_equal(find(0, log2, (1u << log2) - 1, &f).event, 0);
		assert_int_equal(find(0, log2, 1u << log2, &f).event, 0x02);
	}
	/* 2-level, split 6 */
	assert_int_equal(find(0, 0x10180 | 7, 127, &f).event, 0);
	assert_int_equal(find(0, 0x10180 | 7, 128, &f).event, 0x02);
}

static void the_size_is_capped_by_sidsize(void **state)
{
	struct fetches f = { 0 };

	(void)state;
	/* SIDSIZE is 16 */
	assert_int_equal(find(0, 20, 0xffff, &f).event, 0);
	assert_int_equal(find(0, 20, 0x10000, &f).event, 0x02);
	assert_int_equal(find(0, 63, 0xffff, &f).event, 0);
	assert_int_equal(find(0, 63, 0xffffffff, &f).event, 0x02);
}

static void the_base_is_aligned_to_the_size_as_written(void **state)
{
	struct fetches f = { .value = 0 };

	(void)state;
	/* 2^8 STEs: 16 KiB; bit 62 is a hint */
	assert_int_equal(find(0x4000000080007fc0, 8, 1, &f).addr, 0x80004040);
	/* 2^20 of them are 64 MiB, whatever SIDSIZE is */
	assert_int_equal(find(0x87ffffc0, 20, 1, &f).addr, 0x84000040);
	assert_int_equal(find(0xffffffffffffc0, 63, 1, &f).addr, 0x40);
	/* level 1 of 2^(12 - 6) descriptors: 512 bytes */
	find(0x800003c0, 0x10180 | 12, 0x41, &f);
	assert_int_equal(f.addr, 0x80000208);
	/* never less than 64 bytes */
	find(0x800003c0, 0x10180 | 7, 0x41, &f);
	assert_int_equal(f.addr, 0x800003c8);
}

static void two_levels_split_the_stream_id(void **state)
{
	static const struct {
		uint32_t split;
		uint64_t l1;
		uint64_t ste;
	} cases[] = {
		/* SID 0x1234 */
		{ 6, 0x80000240, 0x90000d00 },
		{ 8, 0x80000090, 0x90000d00 },
		{ 10, 0x80000020, 0x90008d00 },
		/* reserved ones are 6 */
		{ 0, 0x80000240, 0x90000d00 },
		{ 7, 0x80000240, 0x90000d00 },
		{ 31, 0x80000240, 0x90000d00 },
	};
	struct fetches f = { 0 };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		uint32_t split = cases[i].split;
		struct smmuv3_ste_at at;

		f.value = 0x90000000 |
			  ((split == 8 || split == 10 ? split : 6) + 1);
		at = find(0x80000000, 0x10000 | split << 6 | 16, 0x1234, &f);
		assert_int_equal(f.addr, cases[i].l1);
		assert_int_equal(at.event, 0);
		assert_int_equal(at.addr, cases[i].ste);
	}
}

static void reserved_formats_are_linear(void **state)
{
	struct fetches f = { 0 };

	(void)state;
	assert_int_equal(find(0x80000000, 0x20188, 3, &f).addr, 0x800000c0);
	assert_int_equal(find(0x80000000, 0x30188, 3, &f).addr, 0x800000c0);
	assert_int_equal(f.addr, NO_FETCH);
}

static void without_two_levels_everything_is_linear(void **state)
{
	struct smmuv3_regs regs = { .strtab_base = 0x80000000,
				    .strtab_cfg = 0x10186 };
	struct smmuv3_id id = id_full();
	struct smmuv3_ste_at at;
	struct fetches f = { .addr = NO_FETCH };

	(void)state;
	id.idr[0] &= ~ID_2LVL;
	id.idr[1] = (id.idr[1] & ~0x3fu) | 6;
	smmuv3_strtab_find(&regs, &id, 2, read64, &f, &at);
	assert_int_equal(at.addr, 0x80000080);
	assert_int_equal(f.addr, NO_FETCH);
}

static void the_span_bounds_the_second_level(void **state)
{
	struct fetches f = { 0 };
	struct smmuv3_ste_at at;

	(void)state;
	for (uint32_t span = 0; span < 32; span++) {
		uint32_t in_table = span && span <= 7 ? 1u << (span - 1) : 0;

		f.value = 0x90000000 | span;
		for (uint32_t sid = 0; sid < 64; sid++) {
			at = find(0x80000000, 0x10180 | 10, sid, &f);
			assert_int_equal(at.event, sid < in_table ? 0 : 0x02);
			if (sid < in_table)
				assert_int_equal(at.addr,
						 0x90000000 + 64 * sid);
		}
	}
}

static void a_span_of_eleven_needs_a_split_of_ten(void **state)
{
	struct fetches f = { .value = 0x90000000 | 11 };

	(void)state;
	assert_int_equal(find(0, 0x10180 | 12, 0, &f).event, 0x02);
	assert_int_equal(find(0, 0x10200 | 12, 0, &f).event, 0x02);
	assert_int_equal(find(0, 0x10280 | 12, 1023, &f).event, 0);
	f.value = 0x90000000 | 12;
	assert_int_equal(find(0, 0x10280 | 12, 0, &f).event, 0x02);
}

static void the_second_level_is_aligned_to_its_span(void **state)
{
	struct fetches f = { 0 };

	(void)state;
	/* 2^3 STEs: 512 bytes; reserved bits have no effect */
	f.value = 0xff00000090000fe0 | 4;
	assert_int_equal(find(0, 0x10180 | 10, 1, &f).addr, 0x90000e40);
	f.value = 0x00fffffffffff020 | 1;
	assert_int_equal(find(0, 0x10180 | 10, 0, &f).addr, 0x00fffffffffff000);
}

static void an_unreadable_first_level_is_a_fetch_abort(void **state)
{
	struct fetches f = { .rc = -EFAULT };
	struct smmuv3_ste_at at = find(0x80000000, 0x10180 | 10, 0x80, &f);

	(void)state;
	assert_int_equal(at.event, 0x03);
	assert_int_equal(at.fetch, 0x80000010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_tables_are_arrays),
		cmocka_unit_test(streams_beyond_the_table_are_bad),
		cmocka_unit_test(the_size_is_capped_by_sidsize),
		cmocka_unit_test(the_base_is_aligned_to_the_size_as_written),
		cmocka_unit_test(two_levels_split_the_stream_id),
		cmocka_unit_test(reserved_formats_are_linear),
		cmocka_unit_test(without_two_levels_everything_is_linear),
		cmocka_unit_test(the_span_bounds_the_second_level),
		cmocka_unit_test(a_span_of_eleven_needs_a_split_of_ten),
		cmocka_unit_test(the_second_level_is_aligned_to_its_span),
		cmocka_unit_test(an_unreadable_first_level_is_a_fetch_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
