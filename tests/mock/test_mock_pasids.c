// SPDX-License-Identifier: MIT
/* The PASID operations of IOMMU_TEST_CMD. */
#include "kit.h"

#include <errno.h>

#define PASID_DEV 4u /* a device's flag */

enum {
	OP_ATTACH = 18,
	OP_REPLACE,
	OP_DETACH,
	OP_CHECK,
};

struct rig {
	uint32_t object; /* a device with PASIDs, on the first HWPT */
	uint32_t dev;
	uint32_t hwpt[2]; /* made for PASIDs */
};

static void rig_begin(struct kit *kit, struct rig *rig)
{
	uint32_t got;

	for (int i = 0; i < 2; i++)
		assert_int_equal(kit_hwpt(kit, kit->ioas,
					  IOMMU_HWPT_ALLOC_PASID,
					  &rig->hwpt[i]),
				 0);
	assert_int_equal(test_device(kit, rig->hwpt[0], PASID_DEV, &rig->object,
				     &got, &rig->dev),
			 0);
}

static void pasids_are_attached_replaced_and_detached(void **state)
{
	struct kit *kit = *state;
	struct rig r;
	uint32_t a, b;

	rig_begin(kit, &r);
	a = r.hwpt[0];
	b = r.hwpt[1];
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, 0), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, a), -EINVAL);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 200, a), -EINVAL);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 200, a), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, a), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, b), -EINVAL);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, 0), -EINVAL);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 201, 0), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 200, b), -EBUSY);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 200, b), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, b), 0);
	assert_int_equal(test_op(kit, OP_DETACH, r.object, 200, 0), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, 0), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 200, b), -EINVAL);
	assert_int_equal(test_op(kit, OP_DETACH, r.object, 200, 0), 0);
}

static void pasid_1024_fails_every_second_time(void **state)
{
	struct kit *kit = *state;
	struct rig r;
	uint32_t a, b;

	rig_begin(kit, &r);
	a = r.hwpt[0];
	b = r.hwpt[1];
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 1024, a), 0);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 1024, b), -ENOMEM);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 1024, a), 0);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 1024, b), 0);
	assert_int_equal(test_op(kit, OP_DETACH, r.object, 1024, 0), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 1024, a), 0);
}

static void the_device_has_twenty_bits_of_them(void **state)
{
	struct kit *kit = *state;
	struct rig r;

	rig_begin(kit, &r);
	for (unsigned int bit = 0; bit < 32; bit++) {
		uint32_t pasid = 1u << bit;
		int rc = bit < 20 ? 0 : -EINVAL;

		assert_int_equal(
			test_op(kit, OP_ATTACH, r.object, pasid, r.hwpt[1]),
			rc);
		assert_int_equal(test_op(kit, OP_CHECK, r.object, pasid,
					 rc ? 0 : r.hwpt[1]),
				 0);
		assert_int_equal(test_op(kit, OP_DETACH, r.object, pasid, 0),
				 0);
	}
}

static void pasid_0_is_the_device_itself(void **state)
{
	struct kit *kit = *state;
	struct rig r;

	rig_begin(kit, &r);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 0, r.hwpt[0]), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 0, r.hwpt[1]),
			 -EBUSY);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 0, r.hwpt[1]), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 0, r.hwpt[1]), 0);
	assert_int_equal(test_op(kit, OP_DETACH, r.object, 0, 0), 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 0, 0), 0);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 0, r.hwpt[1]),
			 -EINVAL);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 0, r.hwpt[1]), 0);
}

static void only_hwpts_made_for_pasids_go_with_them(void **state)
{
	struct kit *kit = *state;
	uint32_t plain;
	struct rig r;

	rig_begin(kit, &r);
	assert_int_equal(kit_hwpt(kit, kit->ioas, 0, &plain), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, plain), -EINVAL);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, kit->ioas),
			 -EINVAL);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, r.hwpt[1]), 0);
	assert_int_equal(test_op(kit, OP_REPLACE, r.object, 5, plain), -EINVAL);
	/* nor for the device, while it has one */
	assert_int_equal(test_op(kit, 10, r.object, plain, 0), -EINVAL);
	assert_int_equal(test_op(kit, OP_DETACH, r.object, 5, 0), 0);
	assert_int_equal(test_op(kit, 10, r.object, plain, 0), 0);
	/* and none beside such a device */
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, r.hwpt[1]),
			 -EINVAL);
}

static void a_pasid_may_be_nested(void **state)
{
	struct kit *kit = *state;
	uint32_t data[2] = { 0x1234, 0 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.data_type = 0xdead,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	struct rig r;

	rig_begin(kit, &r);
	arg.dev_id = r.dev;
	kit->dev = r.dev;
	assert_int_equal(kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
				  &arg.pt_id),
			 0);
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_HWPT_ALLOC, &arg), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 9, arg.out_hwpt_id),
			 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 9, arg.out_hwpt_id),
			 0);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 9, arg.pt_id),
			 -EINVAL);
	assert_int_equal(kit_destroy(kit, arg.out_hwpt_id), -EBUSY);
}

static void ids_must_name_what_they_should(void **state)
{
	struct kit *kit = *state;
	struct rig r;

	rig_begin(kit, &r);
	for (uint32_t op = OP_ATTACH; op <= OP_CHECK; op++) {
		assert_int_equal(test_op(kit, op, 999, 5, r.hwpt[1]), -ENOENT);
		assert_int_equal(test_op(kit, op, r.dev, 5, r.hwpt[1]),
				 -ENOENT);
	}
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, 999), -ENOENT);
	assert_int_equal(test_op(kit, OP_ATTACH, r.object, 5, r.dev), -EINVAL);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 5, 999), -ENOENT);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 5, r.dev), -EINVAL);
	assert_int_equal(test_op(kit, OP_CHECK, r.object, 5, kit->ioas),
			 -EINVAL);
}

static void a_device_that_goes_lets_go_of_all(void **state)
{
	struct kit *kit = *state;
	struct rig r;

	rig_begin(kit, &r);
	for (uint32_t pasid = 1; pasid < 100; pasid++)
		assert_int_equal(
			test_op(kit, OP_ATTACH, r.object, pasid, r.hwpt[1]), 0);
	assert_int_equal(kit_destroy(kit, r.hwpt[1]), -EBUSY);
	assert_int_equal(kit_destroy(kit, r.object), 0);
	assert_int_equal(kit_destroy(kit, r.hwpt[1]), 0);
	assert_int_equal(kit_destroy(kit, r.hwpt[0]), 0);
}

/* Linux lets it pass, without effect: a deviation of docs/abi.md. */
static void a_device_without_pasids_has_none(void **state)
{
	struct kit *kit = *state;
	uint32_t object, hwpt, got, dev;

	assert_int_equal(
		kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt), 0);
	assert_int_equal(test_device(kit, hwpt, 0, &object, &got, &dev), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, object, 5, hwpt), -EOPNOTSUPP);
	assert_int_equal(test_op(kit, OP_CHECK, object, 5, 0), 0);
	/* what it is on itself is judged first */
	assert_int_equal(test_op(kit, 10, object, kit->ioas, 0), 0);
	assert_int_equal(test_op(kit, OP_ATTACH, object, 5, hwpt), -EINVAL);
}

#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(pasids_are_attached_replaced_and_detached),
		with_dev(pasid_1024_fails_every_second_time),
		with_dev(the_device_has_twenty_bits_of_them),
		with_dev(pasid_0_is_the_device_itself),
		with_dev(only_hwpts_made_for_pasids_go_with_them),
		with_dev(a_pasid_may_be_nested),
		with_dev(ids_must_name_what_they_should),
		with_dev(a_device_that_goes_lets_go_of_all),
		with_dev(a_device_without_pasids_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
