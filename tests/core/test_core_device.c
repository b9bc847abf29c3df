// SPDX-License-Identifier: MIT
/* Devices: bound, told about, attached to page tables, with their PASIDs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "mem/phys.h"

#define NONE CORE_NO_PASID

static int attach(struct world *w, int dev, uint32_t pasid, uint32_t pt)
{
	return core_attach(w->ctx, w->dev_id[dev], pasid, &pt);
}

static int replace(struct world *w, int dev, uint32_t pasid, uint32_t pt)
{
	return core_replace(w->ctx, w->dev_id[dev], pasid, &pt);
}

/* ---- bind ---- */

static void a_device_is_bound_once(void **state)
{
	struct world *w = world_of(state);
	struct core_ctx *other;
	uint32_t id = 55;

	assert_int_equal(w->dev_id[0], 1); /* A1 */
	assert_int_equal(w->dev_id[1], 2); /* A2 */
	assert_rc(core_open(&w->env, &other), 0);
	assert_rc(core_bind(w->ctx, &w->dev[0], &id), -EBUSY);
	assert_rc(core_bind(other, &w->dev[0], &id), -EBUSY);
	assert_int_equal(id, 55);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	assert_rc(core_bind(other, &w->dev[0], &id), 0);
	core_close(other); /* unbinds */
	assert_null(w->dev[0].core);
}

static void a_bound_device_cannot_be_destroyed_by_its_id(void **state)
{
	struct world *w = world_of(state);

	assert_rc(try_destroy(w, w->dev_id[0]), -EBUSY);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	assert_rc(try_destroy(w, w->dev_id[0]), -ENOENT);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), -ENOENT);
	assert_rc(core_unbind(w->ctx, w->ioas), -ENOENT);
}

static void unbinding_detaches(void **state)
{
	struct world *w = world_of(state);
	uint32_t hwpt =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_PASID);

	assert_rc(attach(w, 0, NONE, hwpt), 0);
	assert_rc(attach(w, 0, 3, hwpt), 0);
	assert_rc(try_destroy(w, hwpt), -EBUSY);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	assert_int_equal(w->unit.blocks, 2);
	assert_rc(try_destroy(w, hwpt), 0);
}

/* L32 to L35 */
static void unbinding_ends_the_vdevice_and_its_id(void **state)
{
	struct world *w = world_of(state);
	uint32_t vdevice;
	uint32_t next;

	assert_rc(try_vdevice(w, w->viommu, w->dev_id[0], 0x55, &vdevice), 0);
	assert_rc(core_unbind(w->ctx, w->dev_id[0]), 0);
	assert_int_equal(w->unit.vdevices, 0);
	assert_rc(try_destroy(w, vdevice), -ENOENT);
	assert_rc(try_destroy(w, vdevice), -ENOENT);
	/* neither id nor anything else of it is in the way */
	assert_rc(try_vdevice(w, w->viommu, w->dev_id[1], 0x55, &next), 0);
	assert_int_not_equal(next, vdevice);
	assert_int_equal(next, w->dev_id[0]); /* the lowest that is free */
	assert_rc(try_destroy(w, next), 0);
	assert_rc(try_destroy(w, w->viommu), 0);
}

/* ---- GET_HW_INFO ---- */

static struct iommu_hw_info info_arg(struct world *w, void *buf, uint32_t len)
{
	return (struct iommu_hw_info){
		.size = sizeof(struct iommu_hw_info),
		.dev_id = w->dev_id[0],
		.data_len = len,
		.data_uptr = (uintptr_t)buf,
	};
}

static void hw_info_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[20];
	struct iommu_hw_info arg;

	for (int bit = 1; bit < 32; bit++) {
		arg = info_arg(w, buf, 20);
		arg.flags = 1U << bit;
		assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	}
	for (int i = 0; i < 3; i++) {
		arg = info_arg(w, buf, 20);
		arg.__reserved[i] = 1;
		assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	}
	arg = info_arg(w, buf, 20);
	arg.dev_id = w->ioas;
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), -ENOENT);
	arg = info_arg(w, NULL, 20);
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), -EFAULT);
}

static void hw_info_fills_what_fits_and_zeroes_the_rest(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[32];
	struct iommu_hw_info arg = info_arg(w, buf, 20);

	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0); /* A3 */
	assert_int_equal(arg.out_data_type, 2);
	assert_int_equal(arg.data_len, 20);
	assert_int_equal(buf[19], 20);
	memset(buf, 0xee, sizeof(buf)); /* A4 */
	arg = info_arg(w, buf, 28);
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.data_len, 20);
	for (int i = 20; i < 28; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(buf[28], 0xee);
	memset(buf, 0xee, sizeof(buf)); /* A5 */
	arg = info_arg(w, buf, 3);
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.data_len, 20);
	assert_int_equal(buf[2], 3);
	assert_int_equal(buf[3], 0xee);
	arg = info_arg(w, NULL, 0); /* A6 */
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.data_len, 20);
}

static void hw_info_asks_for_a_type_only_with_its_flag(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[20];
	struct iommu_hw_info arg = info_arg(w, buf, 20);

	arg.in_data_type = 1;
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
	arg = info_arg(w, buf, 20);
	arg.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	arg.in_data_type = 1; /* A7: nothing is written */
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	assert_int_equal(arg.in_data_type, 1);
	arg.in_data_type = 2; /* A8 */
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
}

static void hw_info_tells_capabilities(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hw_info arg = info_arg(w, NULL, 0);

	w->unit.caps = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	w->unit.pasid_lg2 = 20;
	assert_rc(ioctl_on(w, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.out_capabilities, 8);
	assert_int_equal(arg.out_max_pasid_log2, 20);
}

/* ---- attach, replace, detach ---- */

static void attach_answers_linuxs_errnos(void **state)
{
	struct world *w = world_of(state);

	assert_rc(attach(w, 0, NONE, 99), -ENOENT);
	assert_rc(attach(w, 0, NONE, w->viommu), -EINVAL);
	assert_rc(attach(w, 0, NONE, w->dev_id[1]), -EINVAL);
	assert_rc(replace(w, 0, NONE, w->parent), -EINVAL);
	assert_rc(attach(w, 0, NONE, w->parent), 0);
	assert_rc(attach(w, 0, NONE, w->parent), -EBUSY);
	assert_rc(replace(w, 0, NONE, w->parent), 0); /* F27 */
	assert_rc(core_detach(w->ctx, 99, NONE), -ENOENT);
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_int_equal(w->unit.blocks, 1);
	w->unit.attach_rc = -ENOMEM;
	assert_rc(attach(w, 0, NONE, w->parent), -ENOMEM);
	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), 0);
}

static void set_pt_attaches_or_replaces(void **state)
{
	struct world *w = world_of(state);
	uint32_t second = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	uint32_t pt = w->parent;

	assert_rc(core_set_pt(w->ctx, w->dev_id[0], NONE, &pt), 0);
	assert_rc(core_set_pt(w->ctx, w->dev_id[0], NONE, &second), 0);
	assert_int_equal(fake_domain_of(&w->dev[0])->flags, 0);
	assert_rc(try_destroy(w, second), -EBUSY);
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_rc(try_destroy(w, second), 0);
}

static void a_failed_replace_changes_nothing(void **state)
{
	struct world *w = world_of(state);
	uint32_t other = do_ioas(w);
	uint32_t hwpt = do_hwpt(w, w->dev_id[0], other, 0);
	struct fake_domain *before;
	char *mem = pages_alloc(1);

	w->unit.resv[0] = (struct core_resv){ 0x8000000, 0x80fffff, true };
	w->unit.resv_count = 1;
	assert_rc(attach(w, 0, NONE, w->parent), 0);
	before = fake_domain_of(&w->dev[0]);
	w->unit.attach_rc = -EIO;
	assert_rc(replace(w, 0, NONE, hwpt), -EIO);
	assert_ptr_equal(fake_domain_of(&w->dev[0]), before);
	/* the window is free in the new, and taken in the old */
	assert_rc(try_map(w, other, mem, 4096, 0x8000000), 0);
	assert_rc(try_map(w, w->ioas, mem, 4096, 0x8000000), -EINVAL);
	w->unit.attach_rc = 0;
	assert_rc(replace(w, 0, NONE, hwpt), -EADDRINUSE);
	assert_rc(try_unmap(w, other, 0x8000000, 4096, NULL), 0);
	assert_rc(replace(w, 0, NONE, hwpt), 0);
	assert_rc(try_map(w, other, mem, 4096, 0x8000000), -EINVAL);
	assert_rc(try_map(w, w->ioas, mem, 4096, 0x8000000), 0);
	assert_rc(try_destroy(w, hwpt), -EBUSY);
	free(mem);
}

/* C39: that check is the driver's, its answer must come through */
static void a_driver_may_want_a_vdevice_first(void **state)
{
	struct world *w = world_of(state);
	uint32_t nested = do_nested(w, w->dev_id[0], w->viommu);

	w->unit.attach_needs_vdevice = true;
	assert_rc(attach(w, 0, NONE, nested), -ENOENT);
	w->unit.attach_needs_vdevice = false;
	assert_rc(attach(w, 0, NONE, nested), 0);
}

static void two_devices_share_a_hwpt(void **state)
{
	struct world *w = world_of(state);

	assert_rc(attach(w, 0, NONE, w->parent), 0);
	assert_rc(attach(w, 1, NONE, w->parent), 0);
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_non_null(fake_domain_of(&w->dev[1]));
	assert_rc(try_destroy(w, w->viommu), 0);
	assert_rc(try_destroy(w, w->parent), -EBUSY);
	assert_rc(core_detach(w->ctx, w->dev_id[1], NONE), 0);
	assert_rc(try_destroy(w, w->parent), 0);
}

static void another_drivers_domain_does_not_suit(void **state)
{
	struct world *w = world_of(state);
	struct fake_unit other = { 0 };
	struct core_device dev;
	uint32_t pt = w->parent;
	uint32_t id;

	fake_unit_init(&other);
	fake_device_init(&dev, &other, 9);
	id = do_bind(w, &dev);
	assert_rc(core_attach(w->ctx, id, NONE, &pt), -EINVAL);
	assert_rc(core_unbind(w->ctx, id), 0);
}

static void an_ioas_makes_a_hwpt_and_shares_it(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	size_t before = core_objects(w->ctx);
	uint32_t first = ioas;
	uint32_t second = ioas;

	assert_rc(core_attach(w->ctx, w->dev_id[0], NONE, &first), 0);
	assert_int_equal(core_objects(w->ctx), before + 1);
	assert_rc(core_attach(w->ctx, w->dev_id[1], NONE, &second), 0);
	assert_int_equal(first, second);
	assert_rc(try_destroy(w, first), -EBUSY);
	assert_rc(replace(w, 0, NONE, ioas), 0); /* stays where it is */
	/* it goes with the last device, by detach or by replace */
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_int_equal(core_objects(w->ctx), before + 1);
	assert_rc(replace(w, 1, NONE, w->parent), 0);
	assert_int_equal(core_objects(w->ctx), before);
	assert_rc(try_destroy(w, ioas), 0);
}

static void an_ioas_picks_no_hwpt_that_was_allocated(void **state)
{
	struct world *w = world_of(state);
	uint32_t hwpt = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	uint32_t pt = w->ioas;

	assert_rc(core_attach(w->ctx, w->dev_id[0], NONE, &pt), 0);
	assert_int_not_equal(pt, hwpt);
	assert_int_not_equal(pt, w->parent);
	/* nor can one nest on what it made */
	assert_true(w->unit.domains == 3);
}

static void an_ioas_whose_hwpt_cannot_be_had_says_why(void **state)
{
	struct world *w = world_of(state);
	uint32_t ioas = do_ioas(w);
	size_t before = core_objects(w->ctx);

	w->unit.attach_rc = -EINVAL;
	assert_rc(attach(w, 0, NONE, ioas), -EINVAL);
	w->unit.attach_rc = -EIO;
	assert_rc(attach(w, 0, NONE, ioas), -EIO);
	assert_int_equal(core_objects(w->ctx), before);
	assert_rc(try_destroy(w, ioas), 0);
	assert_rc(attach(w, 0, NONE, w->ioas), -EIO);
	assert_int_equal(w->unit.domains, 1);
}

/* ---- PASIDs ---- */

static void pasids_want_hwpts_made_for_them(void **state)
{
	struct world *w = world_of(state);
	uint32_t plain = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	uint32_t hwpt =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_PASID);

	assert_rc(attach(w, 0, 1, plain), -EINVAL);
	assert_rc(attach(w, 0, NONE, plain), 0);
	assert_rc(attach(w, 0, 1, hwpt), -EINVAL); /* the device itself */
	assert_rc(replace(w, 0, NONE, hwpt), 0);
	assert_rc(attach(w, 0, 1, hwpt), 0);
	assert_rc(attach(w, 0, 1, hwpt), -EBUSY);
	assert_rc(replace(w, 0, NONE, plain), -EINVAL);
	assert_rc(replace(w, 0, 1, plain), -EINVAL);
	assert_rc(replace(w, 0, 2, hwpt), -EINVAL);
	assert_rc(attach(w, 0, 15, hwpt), 0);
	assert_rc(attach(w, 0, 16, hwpt), -EINVAL); /* 4 bits */
	assert_rc(core_detach(w->ctx, w->dev_id[0], 1), 0);
	assert_rc(core_detach(w->ctx, w->dev_id[0], 15), 0);
	assert_rc(replace(w, 0, NONE, plain), 0);
	assert_rc(try_destroy(w, hwpt), 0);
}

static void pasid_0_is_the_device_itself(void **state)
{
	struct world *w = world_of(state);

	assert_rc(attach(w, 0, 0, w->parent), 0);
	assert_rc(attach(w, 0, NONE, w->parent), -EBUSY);
	assert_non_null(fake_domain_of(&w->dev[0]));
}

static void a_device_without_pasids_gets_none(void **state)
{
	struct world *w = world_of(state);
	uint32_t hwpt =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_PASID);

	w->dev[0].pasid_bits = 0;
	assert_rc(attach(w, 0, 1, hwpt), -EOPNOTSUPP);
}

static void pasids_reserve_nothing(void **state)
{
	struct world *w = world_of(state);
	uint32_t hwpt =
		do_hwpt(w, w->dev_id[0], w->ioas, IOMMU_HWPT_ALLOC_PASID);
	char *mem = pages_alloc(1);

	w->unit.resv[0] = (struct core_resv){ 0x8000000, 0x80fffff, true };
	w->unit.resv_count = 1;
	assert_rc(attach(w, 0, 1, hwpt), 0);
	assert_rc(try_map(w, w->ioas, mem, 4096, 0x8000000), 0);
	free(mem);
}

/* ---- MSI ---- */

static void msi_setup(struct world *w)
{
	w->unit.resv[0] = (struct core_resv){ 0x8000000, 0x8001fff, true };
	w->unit.resv_count = 1;
}

static void doorbells_are_mapped_in_the_window(void **state)
{
	struct world *w = world_of(state);
	struct itree_node *node;
	uint64_t iova = 0;

	msi_setup(w);
	assert_rc(core_msi_map(w->ctx, 99, 0x1040, &iova), -ENOENT);
	assert_rc(core_msi_map(w->ctx, w->dev_id[0], 0x1040, &iova), -EINVAL);
	assert_rc(attach(w, 0, NONE, w->parent), 0);
	assert_rc(attach(w, 1, NONE, w->parent), 0);
	assert_rc(core_msi_map(w->ctx, w->dev_id[0], 0x77001040, &iova), 0);
	assert_int_equal(iova, 0x8000040);
	/* the same for everybody */
	assert_rc(core_msi_map(w->ctx, w->dev_id[1], 0x77001080, &iova), 0);
	assert_int_equal(iova, 0x8000080);
	assert_rc(core_msi_map(w->ctx, w->dev_id[1], 0x88000000, &iova), 0);
	assert_int_equal(iova, 0x8001000);
	/* the window has two pages */
	assert_rc(core_msi_map(w->ctx, w->dev_id[1], 0x99000000, &iova),
		  -EOVERFLOW);
	node = itree_first(&fake_domain_of(&w->dev[0])->maps, 0x8000000,
			   0x8000000);
	assert_non_null(node);
}

static void doorbells_follow_the_device(void **state)
{
	struct world *w = world_of(state);
	uint32_t second = do_hwpt(w, w->dev_id[0], w->ioas, 0);
	uint64_t iova;

	msi_setup(w);
	assert_rc(attach(w, 0, NONE, w->parent), 0);
	assert_rc(core_msi_map(w->ctx, w->dev_id[0], 0x77001040, &iova), 0);
	w->unit.map_rc = -ENOMEM;
	w->unit.map_fail_at = 1;
	assert_rc(replace(w, 0, NONE, second), -ENOMEM);
	assert_rc(replace(w, 0, NONE, second), 0);
	assert_non_null(itree_first(&fake_domain_of(&w->dev[0])->maps,
				    0x8000000, 0x8000fff));
	assert_rc(core_detach(w->ctx, w->dev_id[0], NONE), 0);
	assert_rc(attach(w, 0, NONE, do_nested(w, w->dev_id[0], w->viommu)), 0);
	assert_non_null(itree_first(&fake_domain_of(&w->dev[0])->parent->maps,
				    0x8000000, 0x8000fff));
}

static void without_a_window_there_are_no_doorbells(void **state)
{
	struct world *w = world_of(state);
	uint64_t iova;

	assert_rc(attach(w, 0, NONE, w->parent), 0);
	assert_rc(core_msi_map(w->ctx, w->dev_id[0], 0x1000, &iova),
		  -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_NESTED(a_device_is_bound_once),
		CASE_NESTED(a_bound_device_cannot_be_destroyed_by_its_id),
		CASE_NESTED(unbinding_detaches),
		CASE_NESTED(unbinding_ends_the_vdevice_and_its_id),
		CASE_NESTED(hw_info_answers_linuxs_errnos),
		CASE_NESTED(hw_info_fills_what_fits_and_zeroes_the_rest),
		CASE_NESTED(hw_info_asks_for_a_type_only_with_its_flag),
		CASE_NESTED(hw_info_tells_capabilities),
		CASE_NESTED(attach_answers_linuxs_errnos),
		CASE_NESTED(set_pt_attaches_or_replaces),
		CASE_NESTED(a_failed_replace_changes_nothing),
		CASE_NESTED(a_driver_may_want_a_vdevice_first),
		CASE_NESTED(two_devices_share_a_hwpt),
		CASE_NESTED(another_drivers_domain_does_not_suit),
		CASE_NESTED(an_ioas_makes_a_hwpt_and_shares_it),
		CASE_NESTED(an_ioas_picks_no_hwpt_that_was_allocated),
		CASE_NESTED(an_ioas_whose_hwpt_cannot_be_had_says_why),
		CASE_NESTED(pasids_want_hwpts_made_for_them),
		CASE_NESTED(pasid_0_is_the_device_itself),
		CASE_NESTED(a_device_without_pasids_gets_none),
		CASE_NESTED(pasids_reserve_nothing),
		CASE_NESTED(doorbells_are_mapped_in_the_window),
		CASE_NESTED(doorbells_follow_the_device),
		CASE_NESTED(without_a_window_there_are_no_doorbells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
