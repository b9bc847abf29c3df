// SPDX-License-Identifier: MIT
/* Each operation of IOMMU_TEST_CMD: that it tells the truth. */
#include "kit.h"

#include <errno.h>

enum {
	OP_RESERVED = 1,
	OP_LIMIT = 9,
	OP_REPLACE,
	OP_PASID_CHECK = 21,
};

/* ---- the command itself ---- */

static void an_unknown_operation_is_not_supported(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(test_op(kit, 0, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(test_op(kit, 99, 0, 0, 0), -EOPNOTSUPP);
}

static void the_struct_follows_the_rules_of_all_structs(void **state)
{
	struct kit *kit = *state;
	struct {
		struct cmd cmd;
		uint64_t more;
	} longer = {
		.cmd = { .size = sizeof(longer), .op = OP_LIMIT, .w = { 4096 } }
	};

	kit_expect_faults();
	assert_int_equal(nestfd_ioctl(kit->ctx, 0x3ba0, &longer), 0);
	longer.more = 1;
	assert_int_equal(nestfd_ioctl(kit->ctx, 0x3ba0, &longer), -E2BIG);
	longer.cmd.size = 60;
	assert_int_equal(nestfd_ioctl(kit->ctx, 0x3ba0, &longer), -EINVAL);
	assert_int_equal(nestfd_ioctl(kit->ctx, 0x3ba0, NULL), -EFAULT);
}

static void the_memory_limit_must_hold_one_element(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(test_op(kit, OP_LIMIT, 0, 11, 0), -EINVAL);
	assert_int_equal(test_op(kit, OP_LIMIT, 0, 12, 0), 0);
}

/* ---- devices ---- */

static void a_test_device_has_an_object_a_hwpt_and_an_id(void **state)
{
	struct kit *kit = *state;

	assert_int_not_equal(kit->object, kit->dev);
	assert_int_not_equal(kit->hwpt, kit->ioas);
	assert_int_equal(kit_destroy(kit, kit->dev), -EBUSY);
	assert_int_equal(kit_destroy(kit, kit->hwpt), -EBUSY);
	assert_int_equal(kit_destroy(kit, kit->ioas), -EBUSY);
	assert_int_equal(kit_destroy(kit, kit->object), 0);
	assert_int_equal(kit_destroy(kit, kit->dev), -ENOENT);
	assert_int_equal(kit_destroy(kit, kit->hwpt), -ENOENT);
	assert_int_equal(kit_destroy(kit, kit->ioas), 0);
}

static void unknown_device_flags_are_refused_bit_by_bit(void **state)
{
	struct kit *kit = *state;
	uint32_t object, hwpt, dev;

	for (unsigned int bit = 0; bit < 32; bit++) {
		int rc = test_device(kit, kit->ioas, 1u << bit, &object, &hwpt,
				     &dev);

		assert_int_equal(rc, bit == 0 || bit == 2 ? 0 : -EINVAL);
	}
}

static void a_device_on_nothing_is_refused_and_forgotten(void **state)
{
	struct kit *kit = *state;
	uint32_t object, hwpt, dev, ioas;

	assert_int_equal(test_device(kit, 999, 0, &object, &hwpt, &dev),
			 -ENOENT);
	assert_int_equal(kit_ioas(kit, &ioas), 0);
	assert_int_equal(ioas, kit->ioas + 1); /* no id was lost */
}

static void two_devices_share_the_hwpt_of_an_ioas(void **state)
{
	struct kit *kit = *state;
	uint32_t object, hwpt, dev;

	assert_int_equal(test_device(kit, kit->ioas, 0, &object, &hwpt, &dev),
			 0);
	assert_int_equal(hwpt, kit->hwpt);
	assert_int_equal(kit_destroy(kit, kit->object), 0);
	assert_int_equal(kit_destroy(kit, hwpt), -EBUSY);
	assert_int_equal(kit_destroy(kit, object), 0);
}

static void replacing_moves_the_device(void **state)
{
	struct kit *kit = *state;
	uint32_t hwpt;

	assert_int_equal(kit_hwpt(kit, kit->ioas, 0, &hwpt), 0);
	assert_int_equal(test_op(kit, OP_REPLACE, kit->object, hwpt, 0), 0);
	assert_int_equal(test_op(kit, OP_PASID_CHECK, kit->object, 0, hwpt), 0);
	/* the automatic one has gone with its last device */
	assert_int_equal(kit_destroy(kit, kit->hwpt), -ENOENT);
	assert_int_equal(test_op(kit, OP_REPLACE, kit->object, 999, 0),
			 -ENOENT);
	assert_int_equal(test_op(kit, OP_REPLACE, kit->ioas, hwpt, 0), -ENOENT);
	assert_int_equal(test_op(kit, OP_PASID_CHECK, kit->object, 0, hwpt), 0);
}

/* ---- maps ---- */

static void check_map_knows_the_very_page(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;

	assert_int_equal(kit_map(kit, APERTURE, p, 4 * PAGE), 0);
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, 4 * PAGE, p), 0);
	/* equal bytes elsewhere are not the same memory */
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, PAGE, p + PAGE),
			 -EINVAL);
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, 5 * PAGE, p),
			 -EINVAL);
	assert_int_equal(
		check_map(kit, kit->hwpt, APERTURE + 2048, 2048, p + 2048), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, 4 * PAGE), 0);
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, PAGE, p), -EINVAL);
}

static void check_map_wants_whole_io_pages(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;

	kit_expect_faults();
	assert_int_equal(kit_map(kit, APERTURE, p, PAGE), 0);
	for (unsigned int bit = 0; bit < 11; bit++) {
		uint64_t off = 1ULL << bit;

		assert_int_equal(
			check_map(kit, kit->hwpt, APERTURE + off, PAGE, p),
			-EINVAL);
		assert_int_equal(check_map(kit, kit->hwpt, APERTURE, off, p),
				 -EINVAL);
		assert_int_equal(
			check_map(kit, kit->hwpt, APERTURE, PAGE, p + off),
			-EINVAL);
	}
	assert_int_equal(check_map(kit, kit->ioas, APERTURE, PAGE, p), -ENOENT);
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, PAGE,
				   (void *)(uintptr_t)PAGE),
			 -EFAULT);
}

static void check_refs_counts_pins(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;

	assert_int_equal(check_refs(kit, p, 4 * PAGE, 0), 0);
	assert_int_equal(kit_map(kit, APERTURE, p, 2 * PAGE), 0);
	assert_int_equal(check_refs(kit, p, 2 * PAGE, 1), 0);
	assert_int_equal(check_refs(kit, p, 3 * PAGE, 1), -EIO);
	assert_int_equal(check_refs(kit, p + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, 2 * PAGE), 0);
	assert_int_equal(check_refs(kit, p, 2 * PAGE, 0), 0);
	assert_int_equal(check_refs(kit, p + 1, PAGE, 0), -EINVAL);
	assert_int_equal(check_refs(kit, p, 1, 0), -EINVAL);
}

static void the_aperture_is_linuxs(void **state)
{
	struct kit *kit = *state;

	assert_int_not_equal(kit_map(kit, APERTURE - PAGE, kit->pages, PAGE),
			     0);
	assert_int_equal(kit_map(kit, 0x80000000ULL - PAGE, kit->pages, PAGE),
			 0);
	assert_int_not_equal(kit_map(kit, 0x80000000ULL, kit->pages, PAGE), 0);
}

static void reserved_iovas_cannot_be_mapped(void **state)
{
	struct kit *kit = *state;
	struct cmd cmd = { .op = OP_RESERVED,
			   .id = kit->ioas,
			   .d = { APERTURE, PAGE } };

	assert_int_equal(test_cmd(kit, &cmd), 0);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), -EINVAL);
	assert_int_equal(kit_map(kit, APERTURE + PAGE, kit->pages, PAGE), 0);
	cmd.d[0] = APERTURE + PAGE;
	assert_int_equal(test_cmd(kit, &cmd), -EADDRINUSE);
	cmd.d[1] = 0;
	assert_int_equal(test_cmd(kit, &cmd), -EINVAL);
	cmd.d[0] = UINT64_MAX;
	cmd.d[1] = 2;
	assert_int_equal(test_cmd(kit, &cmd), -EOVERFLOW);
	cmd = (struct cmd){ .op = OP_RESERVED, .id = 999, .d = { 0, PAGE } };
	assert_int_equal(test_cmd(kit, &cmd), -ENOENT);
}

/* ---- cells ---- */

static void a_nested_hwpt_has_four_cells(void **state)
{
	struct kit *kit = *state;
	uint32_t parent, nested, other;
	uint32_t n = 1;
	uint32_t inv[2] = { 0, 2 };

	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		0);
	assert_int_equal(kit_nested(kit, parent, 0x1234, &nested), 0);
	assert_int_equal(kit_nested(kit, parent, 0x5678, &other), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(check_iotlb(kit, nested, i, 0x1234), 0);
	assert_int_equal(check_iotlb(kit, nested, 4, 0x1234), -EINVAL);
	assert_int_equal(check_iotlb(kit, nested, 0, 0x1235), -EINVAL);
	assert_int_equal(check_iotlb(kit, parent, 0, 0x1234), -ENOENT);

	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(check_iotlb(kit, nested, 2, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 0x1234), 0);
	assert_int_equal(check_iotlb(kit, other, 2, 0x5678), 0);
}

static void pins_are_counted_whoever_has_them(void **state)
{
	struct kit *kit = *state;
	struct kit other = *kit;
	uint32_t object, hwpt, dev;

	assert_int_equal(nestfd_open(kit->machine, &other.ctx), 0);
	assert_int_equal(kit_ioas(&other, &other.ioas), 0);
	assert_int_equal(
		test_device(&other, other.ioas, 0, &object, &hwpt, &dev), 0);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 2 * PAGE), 0);
	assert_int_equal(kit_map(&other, APERTURE, kit->pages + PAGE, PAGE), 0);
	assert_int_equal(check_refs(&other, kit->pages, PAGE, 1), 0);
	assert_int_equal(check_refs(&other, kit->pages + PAGE, PAGE, 2), 0);
	assert_int_equal(check_refs(kit, kit->pages + PAGE, PAGE, 2), 0);
	nestfd_close(other.ctx);
	assert_int_equal(check_refs(kit, kit->pages, 2 * PAGE, 1), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, 2 * PAGE), 0);
	assert_int_equal(check_refs(kit, kit->pages, 2 * PAGE, 0), 0);
}

static void invalidation_stops_at_the_entry_at_fault(void **state)
{
	struct kit *kit = *state;
	uint32_t parent, nested;
	uint32_t inv[3][2] = { { 0, 0 }, { 0, 4 }, { 0, 1 } };
	uint32_t n = 3;

	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		0);
	assert_int_equal(kit_nested(kit, parent, 7, &nested), 0);
	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), -EINVAL);
	assert_int_equal(n, 1);
	assert_int_equal(check_iotlb(kit, nested, 0, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 7), 0);
	for (unsigned int bit = 1; bit < 32; bit++) {
		inv[0][0] = 1u << bit;
		n = 1;
		assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n),
				 -EOPNOTSUPP);
		assert_int_equal(n, 0);
	}
	inv[0][0] = 1; /* all of them */
	n = 1;
	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(check_iotlb(kit, nested, i, 0), 0);
	n = 1;
	assert_int_equal(kit_invalidate(kit, nested, inv, 7, &n), -EINVAL);
	n = 1;
	assert_int_equal(kit_invalidate(kit, nested, inv, 9, &n), -EINVAL);
}

static void a_thousand_entries_are_all_carried_out(void **state)
{
	struct kit *kit = *state;
	static uint32_t inv[1000][2];
	uint32_t parent, nested;
	uint32_t n = 1000;

	inv[999][1] = 3;
	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		0);
	assert_int_equal(kit_nested(kit, parent, 7, &nested), 0);
	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), 0);
	assert_int_equal(n, 1000);
	assert_int_equal(check_iotlb(kit, nested, 3, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 7), 0);
}

static void a_viommu_reaches_the_cache_of_its_own_device_only(void **state)
{
	struct kit *kit = *state;
	uint32_t object, hwpt, dev, parent, viommu, vdevice;
	uint32_t inv[3] = { 0, 0x99, 1 };
	uint32_t n = 1;

	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
		0);
	assert_int_equal(kit_viommu(kit, parent, &viommu), 0);
	assert_int_equal(test_device(kit, kit->ioas, 0, &object, &hwpt, &dev),
			 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(check_cache(kit, kit->dev, i, 0xbaddad), 0);
	assert_int_equal(check_cache(kit, kit->dev, 4, 0xbaddad), -EINVAL);
	assert_int_equal(check_cache(kit, 999, 0, 0xbaddad), -ENOENT);

	assert_int_equal(kit_invalidate(kit, viommu, inv, 12, &n), -EINVAL);
	assert_int_equal(n, 0);
	assert_int_equal(kit_vdevice(kit, viommu, kit->dev, 0x99, &vdevice), 0);
	n = 1;
	assert_int_equal(kit_invalidate(kit, viommu, inv, 12, &n), 0);
	assert_int_equal(check_cache(kit, kit->dev, 1, 0), 0);
	assert_int_equal(check_cache(kit, kit->dev, 0, 0xbaddad), 0);
	assert_int_equal(check_cache(kit, dev, 1, 0xbaddad), 0);
	inv[0] = 1;
	n = 1;
	assert_int_equal(kit_invalidate(kit, viommu, inv, 12, &n), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(check_cache(kit, kit->dev, i, 0), 0);
	assert_int_equal(kit_destroy(kit, vdevice), 0);
	n = 1;
	assert_int_equal(kit_invalidate(kit, viommu, inv, 12, &n), -EINVAL);
}

#define plain(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plain(an_unknown_operation_is_not_supported),
		plain(the_struct_follows_the_rules_of_all_structs),
		plain(the_memory_limit_must_hold_one_element),
		with_dev(a_test_device_has_an_object_a_hwpt_and_an_id),
		plain(unknown_device_flags_are_refused_bit_by_bit),
		plain(a_device_on_nothing_is_refused_and_forgotten),
		with_dev(two_devices_share_the_hwpt_of_an_ioas),
		with_dev(replacing_moves_the_device),
		with_dev(check_map_knows_the_very_page),
		with_dev(check_map_wants_whole_io_pages),
		with_dev(check_refs_counts_pins),
		with_dev(the_aperture_is_linuxs),
		with_dev(reserved_iovas_cannot_be_mapped),
		with_dev(a_nested_hwpt_has_four_cells),
		with_dev(pins_are_counted_whoever_has_them),
		with_dev(invalidation_stops_at_the_entry_at_fault),
		with_dev(a_thousand_entries_are_all_carried_out),
		with_dev(a_viommu_reaches_the_cache_of_its_own_device_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
