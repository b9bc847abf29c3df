// SPDX-License-Identifier: MIT
/* Bringing the unit up: registers, what is refused, what core is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "linux/iommufd.h"

static int create(struct rig *r)
{
	struct core_hwport port = fake_port(&r->hw);

	return smmuv3_drv_create(&r->cfg, &port, &r->iommu);
}

static void destroy(struct rig *r)
{
	r->iommu->ops->destroy(r->iommu);
	fake_fini(&r->hw);
}

static void test_the_unit_is_reset_and_enabled(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_int_equal(create(&r), 0);
	/* ATSCHK, CMDQEN, EVENTQEN, SMMUEN */
	assert_int_equal(r.hw.cr0, 0x1d);
	/* table SH inner, OC/IC write-back; queues alike */
	assert_int_equal(r.hw.cr1, 0xd75);
	assert_int_equal(r.hw.cr2, 0x6);       /* PTM, RECINVSID */
	assert_int_equal(r.hw.gbpa, 0x100000); /* ABORT */
	assert_int_equal(r.hw.irq_ctrl, 0x5);  /* EVENTQ, GERROR */
	assert_int_equal(r.hw.gerrorn, r.hw.gerror);
	/* RA hint; two levels, split 8, 16 bits */
	assert_int_equal(r.hw.strtab_base >> 56, 0x40);
	assert_int_equal(r.hw.strtab_cfg, 1 << 16 | 8 << 6 | 16);
	assert_int_equal(r.hw.cmdq_base & 0x1f, 11);
	assert_int_equal(r.hw.evtq_base & 0x1f, 10);
	/* CFGI_ALL, TLBI_NSNH_ALL, a sync */
	EXPECT_CMD(&r.hw, 0, 0x04, 31);
	EXPECT_CMD(&r.hw, 1, 0x30, 0);
	EXPECT_CMD(&r.hw, 2, SYNC, 0);
	assert_int_equal(r.hw.log_n, 3);
	r.iommu->ops->destroy(r.iommu);
	assert_int_equal(r.hw.cr0, 0);
	assert_int_equal(r.hw.gbpa, 0x100000);
	assert_null(r.hw.handler[0]);
	assert_null(r.hw.handler[3]);
	fake_fini(&r.hw);
}

static void test_a_unit_with_el2_forgets_el2_too(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[0] |= 1 << 9;
	assert_int_equal(create(&r), 0);
	EXPECT_CMD(&r.hw, 2, 0x20, 0);
	EXPECT_CMD(&r.hw, 3, SYNC, 0);
	destroy(&r);
}

static void test_without_ats_nothing_is_checked(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[0] &= ~(1u << 10);
	assert_int_equal(create(&r), 0);
	assert_int_equal(r.hw.cr0, 0x0d);
	destroy(&r);
}

static void
test_small_or_single_level_hardware_gets_a_linear_table(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[0] &= ~(3u << 27); /* ST_LEVEL 0 */
	r.hw.idr[1] = (r.hw.idr[1] & ~0x3fu) | 10;
	assert_int_equal(create(&r), 0);
	assert_int_equal(r.hw.strtab_cfg, 10);
	for (uint32_t sid = 0; sid < 1024; sid++)
		assert_int_equal(fake_ste(&r.hw, sid, 0), 1);
	destroy(&r);

	rig_init(&r);
	r.hw.idr[1] = (r.hw.idr[1] & ~0x3fu) | 8;
	assert_int_equal(create(&r), 0);
	assert_int_equal(r.hw.strtab_cfg, 8);
	destroy(&r);
}

static void test_queues_are_no_larger_than_the_hardware_can(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[1] = (r.hw.idr[1] & 0xffff) | 3 << 16 | 4 << 21;
	assert_int_equal(create(&r), 0);
	assert_int_equal(r.hw.cmdq_base & 0x1f, 4);
	assert_int_equal(r.hw.evtq_base & 0x1f, 3);
	destroy(&r);

	rig_init(&r);
	r.cfg.cmdq_lg2 = 7;
	r.cfg.evtq_lg2 = 5;
	assert_int_equal(create(&r), 0);
	assert_int_equal(r.hw.cmdq_base & 0x1f, 7);
	assert_int_equal(r.hw.evtq_base & 0x1f, 5);
	destroy(&r);
}

static void test_unusable_hardware_is_refused(void **state)
{
	static const struct {
		int idr;
		uint32_t clear, set;
	} rows[] = {
		{ 0, 3 << 2, 1 << 2 },	   /* TTF: AArch32 only */
		{ 0, 3 << 2, 0 },	   /* TTF: reserved */
		{ 0, 3 << 21, 3 << 21 },   /* TTENDIAN: big only */
		{ 0, 3 << 21, 1 << 21 },   /* TTENDIAN: reserved */
		{ 0, 1 << 4, 0 },	   /* COHACC */
		{ 0, 3, 0 },		   /* no stage */
		{ 1, 0, 1 << 28 },	   /* REL */
		{ 1, 0, 1 << 29 },	   /* QUEUES_PRESET */
		{ 1, 0, 1 << 30 },	   /* TABLES_PRESET */
		{ 1, 0x1f << 21, 0 },	   /* CMDQS 0 */
		{ 1, 0x3f, 33 },	   /* SIDSIZE */
		{ 1, 0x1f << 6, 21 << 6 }, /* SSIDSIZE */
		{ 5, 7 << 4, 0 },	   /* no granule */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig r;

		rig_init(&r);
		r.hw.idr[rows[i].idr] &= ~rows[i].clear;
		r.hw.idr[rows[i].idr] |= rows[i].set;
		assert_int_equal(create(&r), -ENXIO);
		assert_null(r.iommu);
		fake_fini(&r.hw);
	}
}

static void test_deaf_hardware_is_refused_after_a_while(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.cr0ack = 1;
	r.hw.deaf = true;
	assert_int_equal(create(&r), -EIO);
	fake_fini(&r.hw);

	rig_init(&r);
	r.hw.stuck = true;
	assert_int_equal(create(&r), -EIO);
	assert_int_equal(r.hw.cr0, 0);
	fake_fini(&r.hw);
}

static void test_a_backward_msi_window_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.cfg.msi_first = 2;
	r.cfg.msi_last = 1;
	assert_int_equal(create(&r), -EINVAL);
	fake_fini(&r.hw);
}

static void test_A3_hw_info_is_the_identification_registers(void **state)
{
	const struct iommu_hw_info_arm_smmuv3 *info;
	const void *data = NULL;
	uint32_t type = 99;
	uint32_t len = 0;
	struct rig r;

	(void)state;
	rig_start(&r);
	assert_int_equal(
		r.iommu->ops->hw_info(&r.dev[0], 0, &type, &data, &len), 0);
	assert_int_equal(type, 2);
	assert_int_equal(len, 40);
	info = data;
	assert_int_equal(info->flags, 0);
	assert_int_equal(info->__reserved, 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(info->idr[i], r.hw.idr[i]);
	assert_int_equal(info->iidr, 0x43b);
	assert_int_equal(info->aidr, 2);
	rig_stop(&r);
}

static void test_A7_to_A10_only_its_own_type_of_info_exists(void **state)
{
	const void *data;
	uint32_t type;
	uint32_t len;
	struct rig r;

	(void)state;
	rig_start(&r);
	for (uint32_t ask = 0; ask < 6; ask++) {
		type = 99;
		assert_int_equal(r.iommu->ops->hw_info(&r.dev[0], ask, &type,
						       &data, &len),
				 ask == 0 || ask == 2 ? 0 : -EOPNOTSUPP);
		assert_int_equal(type, ask == 0 || ask == 2 ? 2 : 99);
	}
	rig_stop(&r);
}

static void test_capabilities_are_those_of_device_and_unit(void **state)
{
	uint8_t pasids = 99;
	struct rig r;

	(void)state;
	rig_start(&r);
	/* A3: no ATS is 0x8 */
	assert_int_equal(r.iommu->ops->capabilities(&r.dev[0], &pasids), 8);
	assert_int_equal(pasids, 0);
	assert_int_equal(r.iommu->ops->capabilities(&r.dev[2], &pasids), 0);
	assert_int_equal(pasids, 8);
	rig_stop(&r);

	rig_init(&r);
	r.hw.idr[0] &= ~(1u << 10);
	r.hw.idr[1] &= ~(0x1fu << 6);
	r.hw.idr[1] |= 3 << 6;
	rig_start_devices(&r);
	assert_int_equal(r.iommu->ops->capabilities(&r.dev[2], &pasids), 8);
	assert_int_equal(pasids, 3);
	rig_stop(&r);
}

static void test_F2_the_msi_window_is_reserved(void **state)
{
	struct core_resv resv[2];
	struct rig r;

	(void)state;
	rig_start(&r);
	assert_int_equal(r.iommu->ops->reserved(&r.dev[0], resv, 2), 1);
	assert_int_equal(resv[0].first, 0x8000000);
	assert_int_equal(resv[0].last, 0x80fffff);
	assert_true(resv[0].msi);
	assert_int_equal(r.iommu->ops->reserved(&r.dev[0], resv, 0), 0);
	rig_stop(&r);

	rig_init(&r);
	r.cfg.msi_first = 0;
	r.cfg.msi_last = 0;
	rig_start_devices(&r);
	assert_int_equal(r.iommu->ops->reserved(&r.dev[0], resv, 2), 0);
	rig_stop(&r);
}

static void test_a_new_device_aborts_and_its_table_is_made(void **state)
{
	struct core_device dev = { .stream_id = 0x4207 };
	struct core_device same = { .stream_id = 0x4207 };
	struct core_device far = { .stream_id = 0x10000 };
	struct rig r;

	(void)state;
	rig_start(&r);
	dev.iommu = same.iommu = far.iommu = r.iommu;
	assert_int_equal(fake_ste(&r.hw, 0x4207, 0), UINT64_MAX);
	assert_int_equal(r.iommu->ops->device_add(&dev), 0);
	/* CFGI_STE, Leaf 0: the level-1 descriptor may be cached */
	EXPECT_CMD(&r.hw, 0, 0x420700000003, 0);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	for (uint32_t sid = 0x4200; sid < 0x4300; sid++)
		assert_int_equal(fake_ste(&r.hw, sid, 0), 1);
	assert_int_equal(r.iommu->ops->device_add(&same), -EEXIST);
	assert_int_equal(r.iommu->ops->device_add(&far), -ERANGE);
	r.iommu->ops->device_remove(&dev);
	assert_null(dev.drv);
	assert_int_equal(r.iommu->ops->device_add(&same), 0);
	r.iommu->ops->device_remove(&same);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_unit_is_reset_and_enabled),
		cmocka_unit_test(test_a_unit_with_el2_forgets_el2_too),
		cmocka_unit_test(test_without_ats_nothing_is_checked),
		cmocka_unit_test(
			test_small_or_single_level_hardware_gets_a_linear_table),
		cmocka_unit_test(
			test_queues_are_no_larger_than_the_hardware_can),
		cmocka_unit_test(test_unusable_hardware_is_refused),
		cmocka_unit_test(test_deaf_hardware_is_refused_after_a_while),
		cmocka_unit_test(test_a_backward_msi_window_is_refused),
		cmocka_unit_test(
			test_A3_hw_info_is_the_identification_registers),
		cmocka_unit_test(
			test_A7_to_A10_only_its_own_type_of_info_exists),
		cmocka_unit_test(
			test_capabilities_are_those_of_device_and_unit),
		cmocka_unit_test(test_F2_the_msi_window_is_reserved),
		cmocka_unit_test(
			test_a_new_device_aborts_and_its_table_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
