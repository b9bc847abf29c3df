// SPDX-License-Identifier: MIT
/* Dirty tracking: its flags, its bitmaps, and what the mock's TOUCH can do. */
#include "kit.h"

#include <errno.h>
#include <string.h>

#define OP_DIRTY   13
#define NO_DIRTY   1u /* a device's flag */
#define SMALL_PAGE 2048ULL

static int dirty_hwpt(struct kit *kit, uint32_t *hwpt)
{
	return kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, hwpt);
}

static int track(struct kit *kit, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking arg = {
		.size = sizeof(arg),
		.flags = flags,
		.hwpt_id = hwpt,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg);
}

static int touch(struct kit *kit, uint32_t hwpt, uint64_t page_size,
		 uint64_t bits, uint64_t *touched)
{
	struct cmd cmd = { .op = OP_DIRTY,
			   .id = hwpt,
			   .d = { 0, APERTURE, 64 * page_size, page_size,
				  (uintptr_t)&bits } };
	int rc = test_cmd(kit, &cmd);

	if (!rc)
		*touched = cmd.d[5];
	return rc;
}

static int get(struct kit *kit, uint32_t hwpt, uint32_t flags,
	       uint64_t page_size, uint64_t *bits)
{
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = APERTURE,
		.length = 16 * PAGE,
		.page_size = page_size,
		.data = (uintptr_t)bits,
	};

	*bits = 0;
	return nestfd_ioctl(kit->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

/* Sixteen pages, in a HWPT that tracks them */
static uint32_t tracked(struct kit *kit)
{
	uint32_t hwpt;

	assert_int_equal(dirty_hwpt(kit, &hwpt), 0);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 16 * PAGE), 0);
	assert_int_equal(track(kit, hwpt, 1), 0);
	return hwpt;
}

static void bits_are_read_once(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	uint64_t touched, bits;

	assert_int_equal(get(kit, hwpt, 0, SMALL_PAGE, &bits), 0);
	assert_true(bits == 0);
	assert_int_equal(touch(kit, hwpt, SMALL_PAGE, 0x80000005, &touched), 0);
	assert_int_equal(touched, 3);
	assert_int_equal(get(kit, hwpt, 0, SMALL_PAGE, &bits), 0);
	assert_true(bits == 0x80000005);
	assert_int_equal(get(kit, hwpt, 0, SMALL_PAGE, &bits), 0);
	assert_true(bits == 0);
}

static void no_clear_leaves_them(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	uint64_t touched, bits;

	assert_int_equal(touch(kit, hwpt, SMALL_PAGE, 0x10, &touched), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get(kit, hwpt,
				     IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
				     SMALL_PAGE, &bits),
				 0);
		assert_true(bits == 0x10);
	}
	assert_int_equal(get(kit, hwpt, 0, SMALL_PAGE, &bits), 0);
	assert_true(bits == 0x10);
	assert_int_equal(get(kit, hwpt, 1, SMALL_PAGE, &bits), 0);
	assert_true(bits == 0);
}

static void the_bitmaps_pages_may_be_larger(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	uint64_t touched, bits;

	assert_int_equal(touch(kit, hwpt, SMALL_PAGE, 0x83, &touched), 0);
	assert_int_equal(get(kit, hwpt, 1, 2 * PAGE, &bits), 0);
	assert_true(bits == 3); /* 2 KiB pages 0, 1 and 7 */
	assert_int_equal(get(kit, hwpt, 1, 16 * PAGE, &bits), 0);
	assert_true(bits == 1);
}

static void bits_of_a_client_that_are_set_stay_set(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.iova = APERTURE,
		.length = 16 * PAGE,
		.page_size = PAGE,
	};
	uint64_t touched;
	uint64_t bits = 0x100;

	arg.data = (uintptr_t)&bits;
	assert_int_equal(touch(kit, hwpt, PAGE, 4, &touched), 0);
	assert_int_equal(
		nestfd_ioctl(kit->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg), 0);
	assert_true(bits == 0x104);
}

static void tracking_begins_with_a_clean_slate(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	uint64_t touched, bits;

	assert_int_equal(touch(kit, hwpt, PAGE, 0xff, &touched), 0);
	assert_int_equal(track(kit, hwpt, 0), 0);
	assert_int_equal(track(kit, hwpt, 0), 0);
	assert_int_equal(touch(kit, hwpt, PAGE, 0xff, &touched), -EINVAL);
	assert_int_equal(track(kit, hwpt, 1), 0);
	assert_int_equal(get(kit, hwpt, 0, PAGE, &bits), 0);
	assert_true(bits == 0);
	assert_int_equal(touch(kit, hwpt, PAGE, 2, &touched), 0);
	assert_int_equal(get(kit, hwpt, 0, PAGE, &bits), 0);
	assert_true(bits == 2);
}

static void what_is_mapped_later_is_tracked_too(void **state)
{
	struct kit *kit = *state;
	uint64_t touched, bits;
	uint32_t hwpt;

	assert_int_equal(dirty_hwpt(kit, &hwpt), 0);
	assert_int_equal(track(kit, hwpt, 1), 0);
	assert_int_equal(touch(kit, hwpt, PAGE, 1, &touched), 0);
	assert_int_equal(touched, 0); /* nothing is there */
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 16 * PAGE), 0);
	assert_int_equal(touch(kit, hwpt, PAGE, 0x10001, &touched), 0);
	assert_int_equal(touched, 1); /* the 17th is not */
	assert_int_equal(get(kit, hwpt, 0, PAGE, &bits), 0);
	assert_true(bits == 1);
}

static void each_hwpt_has_bits_of_its_own(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);
	uint64_t touched, bits;
	uint32_t other;

	assert_int_equal(dirty_hwpt(kit, &other), 0);
	assert_int_equal(track(kit, other, 1), 0);
	assert_int_equal(touch(kit, other, PAGE, 1, &touched), 0);
	assert_int_equal(get(kit, hwpt, 0, PAGE, &bits), 0);
	assert_true(bits == 0);
	assert_int_equal(get(kit, other, 0, PAGE, &bits), 0);
	assert_true(bits == 1);
}

static void only_devices_that_can_are_tracked(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt, object, plain_hwpt, other;

	assert_int_equal(dirty_hwpt(kit, &hwpt), 0);
	assert_int_equal(test_device(kit, kit->ioas, NO_DIRTY, &object,
				     &plain_hwpt, &kit->dev),
			 0);
	assert_int_equal(dirty_hwpt(kit, &other), -EOPNOTSUPP);
	assert_int_equal(test_op(kit, 10, object, hwpt, 0), -EINVAL);
	assert_int_equal(test_device(kit, hwpt, NO_DIRTY, &object, &plain_hwpt,
				     &kit->dev),
			 -EINVAL);
}

static void only_hwpts_made_for_it_track(void **state)
{
	struct kit *kit = *state;
	uint64_t touched, bits;
	struct kit_nest nest;

	kit_nest(kit, &nest);
	assert_int_equal(track(kit, kit->hwpt, 1), -EOPNOTSUPP);
	assert_int_equal(track(kit, kit->hwpt, 0), -EOPNOTSUPP);
	assert_int_equal(track(kit, nest.nested, 1), -ENOENT);
	assert_int_equal(track(kit, kit->ioas, 1), -ENOENT);
	assert_int_equal(track(kit, 999, 1), -ENOENT);
	assert_int_equal(get(kit, kit->hwpt, 0, PAGE, &bits), -EOPNOTSUPP);
	assert_int_equal(get(kit, nest.nested, 0, PAGE, &bits), -ENOENT);
	assert_int_equal(touch(kit, kit->hwpt, PAGE, 1, &touched), -EINVAL);
	assert_int_equal(touch(kit, nest.nested, PAGE, 1, &touched), -ENOENT);
}

static void flags_are_judged_bit_by_bit(void **state)
{
	struct kit *kit = *state;
	struct iommu_hwpt_get_dirty_bitmap arg = { .size = sizeof(arg),
						   .hwpt_id = 999 };
	uint64_t bits;

	for (unsigned int bit = 0; bit < 32; bit++) {
		int rc = bit ? -EOPNOTSUPP : -ENOENT;

		assert_int_equal(track(kit, 999, 1u << bit), rc);
		assert_int_equal(get(kit, 999, 1u << bit, PAGE, &bits), rc);
		arg.__reserved = 1u << bit;
		assert_int_equal(nestfd_ioctl(kit->ctx,
					      IOMMU_HWPT_GET_DIRTY_BITMAP,
					      &arg),
				 -EOPNOTSUPP);
	}
}

static int get_range(struct kit *kit, uint32_t hwpt, uint64_t iova,
		     uint64_t length, uint64_t page_size)
{
	static uint64_t bits[16];
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.data = (uintptr_t)bits,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

static void ranges_must_be_aligned(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt = tracked(kit);

	assert_int_equal(get_range(kit, hwpt, APERTURE, PAGE, 0), -EINVAL);
	assert_int_equal(get_range(kit, hwpt, APERTURE, PAGE, 2 * PAGE),
			 -EINVAL);
	assert_int_equal(
		get_range(kit, hwpt, APERTURE + PAGE, 2 * PAGE, 2 * PAGE),
		-EINVAL);
	for (unsigned int bit = 0; bit < 11; bit++) {
		uint64_t odd = 1ULL << bit;

		assert_int_equal(get_range(kit, hwpt, APERTURE + odd, PAGE, 1),
				 -EINVAL);
		assert_int_equal(get_range(kit, hwpt, APERTURE, odd, 1),
				 -EINVAL);
	}
	assert_int_equal(get_range(kit, hwpt, APERTURE, 0, PAGE), -EOVERFLOW);
	assert_int_equal(get_range(kit, hwpt, -PAGE, 2 * PAGE, PAGE),
			 -EOVERFLOW);
	assert_int_equal(get_range(kit, hwpt, APERTURE, PAGE, PAGE), 0);
}

static void the_touch_is_judged_before_the_hwpt(void **state)
{
	struct kit *kit = *state;
	uint64_t most = (16ULL << 20) * 8;
	struct cmd cmd;

	kit_expect_faults();
#define TOUCH(...)                                                          \
	(cmd = (struct cmd){ .op = OP_DIRTY, .id = 999, .d = __VA_ARGS__ }, \
	 test_cmd(kit, &cmd))
	assert_int_equal(TOUCH({ 0, APERTURE, PAGE, 0, PAGE }), -EINVAL);
	assert_int_equal(TOUCH({ 0, APERTURE, 0, PAGE, PAGE }), -EINVAL);
	assert_int_equal(TOUCH({ 0, APERTURE + 1, PAGE, PAGE, PAGE }), -EINVAL);
	assert_int_equal(TOUCH({ 0, APERTURE, PAGE + 1, PAGE, PAGE }), -EINVAL);
	assert_int_equal(TOUCH({ 0, APERTURE, PAGE, PAGE, 0 }), -EINVAL);
	assert_int_equal(TOUCH({ 0, 0, most + 1, 1, PAGE }), -EOVERFLOW);
	assert_int_equal(TOUCH({ 0, 0, most, 1, PAGE }), -ENOENT);
	/* flags mean nothing */
	assert_int_equal(TOUCH({ 0xffffffff, 0, PAGE, PAGE, PAGE }), -ENOENT);
#undef TOUCH
	cmd.id = tracked(kit);
	cmd.d[1] = APERTURE;
	cmd.d[2] = PAGE;
	cmd.d[3] = PAGE;
	cmd.d[4] = PAGE; /* no memory */
	assert_int_equal(test_cmd(kit, &cmd), -EFAULT);
}

#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(bits_are_read_once),
		with_dev(no_clear_leaves_them),
		with_dev(the_bitmaps_pages_may_be_larger),
		with_dev(bits_of_a_client_that_are_set_stay_set),
		with_dev(tracking_begins_with_a_clean_slate),
		with_dev(what_is_mapped_later_is_tracked_too),
		with_dev(each_hwpt_has_bits_of_its_own),
		with_dev(only_devices_that_can_are_tracked),
		with_dev(only_hwpts_made_for_it_track),
		with_dev(flags_are_judged_bit_by_bit),
		with_dev(ranges_must_be_aligned),
		with_dev(the_touch_is_judged_before_the_hwpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
