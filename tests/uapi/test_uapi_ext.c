// SPDX-License-Identifier: MIT
/* The additions of ext.h as literal numbers: what clients have compiled in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/iommufd.h>
#include <nestfd/ext.h>

#define SIZE(type, bytes) assert_int_equal(sizeof(struct type), bytes)
#define MEMBER(type, member, offset, bytes)                              \
	do {                                                             \
		assert_int_equal(offsetof(struct type, member), offset); \
		assert_int_equal(sizeof(((struct type *)NULL)->member),  \
				 bytes);                                 \
	} while (0)
#define NUMBER(name, value) assert_int_equal(name, value)

static void numbers_stay(void **state)
{
	(void)state;
	NUMBER(NESTFD_EXT_ENABLE, 0x3bf0);
	NUMBER(NESTFD_HWPT_INVALIDATE_RING, 0x3bf1);
	NUMBER(NESTFD_EXT_ERRORS, 1);
	NUMBER(NESTFD_EXT_RING, 2);
	NUMBER(NESTFD_EXT_INVALID, 4);
	NUMBER(NESTFD_ERR_VALID, 0x80000000);
	NUMBER(NESTFD_ERR_SMMUV3_ILL, 1);
	NUMBER(NESTFD_ERR_SMMUV3_ABT, 2);
	NUMBER(NESTFD_ERR_SMMUV3_ATC_INV_SYNC, 3);
	NUMBER(NESTFD_ERR_VMM, 0x100);
	NUMBER(NESTFD_ERR_CONS, 0x101);
}

static void enable_keeps_its_members(void **state)
{
	(void)state;
	MEMBER(nestfd_ext_enable, size, 0, 4);
	MEMBER(nestfd_ext_enable, flags, 4, 4);
	MEMBER(nestfd_ext_enable, features, 8, 8);
	SIZE(nestfd_ext_enable, 16);
}

/* Linux's struct, and two members behind it */
static void invalidate_begins_as_linuxs(void **state)
{
	(void)state;
	MEMBER(nestfd_hwpt_invalidate, size, 0, 4);
	MEMBER(nestfd_hwpt_invalidate, hwpt_id, 4, 4);
	MEMBER(nestfd_hwpt_invalidate, data_uptr, 8, 8);
	MEMBER(nestfd_hwpt_invalidate, data_type, 16, 4);
	MEMBER(nestfd_hwpt_invalidate, entry_len, 20, 4);
	MEMBER(nestfd_hwpt_invalidate, entry_num, 24, 4);
	MEMBER(nestfd_hwpt_invalidate, __reserved, 28, 4);
	MEMBER(iommu_hwpt_invalidate, size, 0, 4);
	MEMBER(iommu_hwpt_invalidate, hwpt_id, 4, 4);
	MEMBER(iommu_hwpt_invalidate, data_uptr, 8, 8);
	MEMBER(iommu_hwpt_invalidate, data_type, 16, 4);
	MEMBER(iommu_hwpt_invalidate, entry_len, 20, 4);
	MEMBER(iommu_hwpt_invalidate, entry_num, 24, 4);
	MEMBER(iommu_hwpt_invalidate, __reserved, 28, 4);
	SIZE(iommu_hwpt_invalidate, 32);
	MEMBER(nestfd_hwpt_invalidate, out_error, 32, 4);
	MEMBER(nestfd_hwpt_invalidate, out_error_info, 36, 4);
	SIZE(nestfd_hwpt_invalidate, 40);
}

static void a_ring_keeps_its_members(void **state)
{
	(void)state;
	MEMBER(nestfd_hwpt_invalidate_ring, size, 0, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, hwpt_id, 4, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, q_uptr, 8, 8);
	MEMBER(nestfd_hwpt_invalidate_ring, q_cons_uptr, 16, 8);
	MEMBER(nestfd_hwpt_invalidate_ring, q_prod, 24, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, q_index_bits, 28, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, q_entry_num, 32, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, q_entry_len, 36, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, data_type, 40, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, out_error, 44, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, out_error_info, 48, 4);
	MEMBER(nestfd_hwpt_invalidate_ring, __reserved, 52, 4);
	SIZE(nestfd_hwpt_invalidate_ring, 56);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_stay),
		cmocka_unit_test(enable_keeps_its_members),
		cmocka_unit_test(invalidate_begins_as_linuxs),
		cmocka_unit_test(a_ring_keeps_its_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
