// SPDX-License-Identifier: MIT
/* Our <linux/iommufd.h> against numbers worked out by hand (items.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/iommufd.h>

#include "all_items.h"

enum kind {
	KIND_SIZE,
	KIND_MEMBER,
	KIND_NUMBER,
};

struct row {
	enum kind kind;
	const char *name;
	const char *of; /* the struct a member belongs to */
	uint64_t is;
	uint64_t want;
	uint64_t bytes;
	uint64_t want_bytes;
};

#define SIZE(s, size) { KIND_SIZE, #s, #s, sizeof(struct s), size, 0, 0 },
#define MEMBER(s, m, offset, size)                    \
	{ KIND_MEMBER, #s "." #m,                     \
	  #s,	       offsetof(struct s, m),         \
	  offset,      sizeof(((struct s *)NULL)->m), \
	  size },
#define NUMBER(n, value) { KIND_NUMBER, #n, NULL, n, value, 0, 0 },

static const struct row rows[] = {
#include "items.h"
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void check_kind(enum kind kind, size_t at_least)
{
	size_t seen = 0;

	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->kind != kind)
			continue;
		seen++;
		if (row->is != row->want || row->bytes != row->want_bytes)
			fail_msg("%s: %llu (%llu bytes), not %llu (%llu)",
				 row->name, (unsigned long long)row->is,
				 (unsigned long long)row->bytes,
				 (unsigned long long)row->want,
				 (unsigned long long)row->want_bytes);
	}
	assert_int_equal(seen, at_least);
}

static void every_struct_has_linuxs_size(void **state)
{
	(void)state;
	check_kind(KIND_SIZE, 37);
}

static void every_member_lies_where_linux_has_it(void **state)
{
	(void)state;
	check_kind(KIND_MEMBER, 173);
}

static void every_command_and_constant_has_linuxs_number(void **state)
{
	(void)state;
	check_kind(KIND_NUMBER, 98);
}

/* No hole: members follow each other (two may share a place) up to the end */
static void the_members_of_the_table_fill_their_structs(void **state)
{
	uint64_t end = 0;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->kind == KIND_NUMBER)
			continue;
		if (i && (!rows[i - 1].of || strcmp(rows[i - 1].of, row->of)))
			end = 0;
		if (row->kind == KIND_SIZE) {
			assert_int_equal(end, row->want);
			continue;
		}
		if (row->want != end)
			assert_int_equal(row->want + row->want_bytes, end);
		end = row->want + row->want_bytes;
	}
}

static void commands_follow_each_other_without_a_gap(void **state)
{
	static const unsigned long cmds[] = {
		IOMMU_DESTROY,
		IOMMU_IOAS_ALLOC,
		IOMMU_IOAS_ALLOW_IOVAS,
		IOMMU_IOAS_COPY,
		IOMMU_IOAS_IOVA_RANGES,
		IOMMU_IOAS_MAP,
		IOMMU_IOAS_UNMAP,
		IOMMU_OPTION,
		IOMMU_VFIO_IOAS,
		IOMMU_HWPT_ALLOC,
		IOMMU_GET_HW_INFO,
		IOMMU_HWPT_SET_DIRTY_TRACKING,
		IOMMU_HWPT_GET_DIRTY_BITMAP,
		IOMMU_HWPT_INVALIDATE,
		IOMMU_FAULT_QUEUE_ALLOC,
		IOMMU_IOAS_MAP_FILE,
		IOMMU_VIOMMU_ALLOC,
		IOMMU_VDEVICE_ALLOC,
		IOMMU_IOAS_CHANGE_PROCESS,
		IOMMU_VEVENTQ_ALLOC,
		IOMMU_HW_QUEUE_ALLOC,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		assert_int_equal(cmds[i], 0x3b80 + i);
}

static void out_type_and_in_type_share_one_word(void **state)
{
	struct iommu_hw_info info = { .in_data_type = 0x12345678 };

	(void)state;
	assert_int_equal(info.out_data_type, 0x12345678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_struct_has_linuxs_size),
		cmocka_unit_test(every_member_lies_where_linux_has_it),
		cmocka_unit_test(every_command_and_constant_has_linuxs_number),
		cmocka_unit_test(the_members_of_the_table_fill_their_structs),
		cmocka_unit_test(commands_follow_each_other_without_a_gap),
		cmocka_unit_test(out_type_and_in_type_share_one_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
