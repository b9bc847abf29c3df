// SPDX-License-Identifier: MIT
/*
 * A guest that is told of a device TLB that did not answer (ITE) may send its
 * device-TLB invalidation again and nothing else: then that has to reach the
 * host, which would not ask the device otherwise.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_fake.h"

#define ALL 0xffffffffffffffffull
#define SID ((uint64_t)VG_SID)
/* of DID 1, PASID 0 by page; device TLBs, without PASID and of one */
#define PDEV_TLB(n) (0x8 | SID << 16 | (uint64_t)(n) << 32)

/*
 * DID 1 with PASID 0, by which the device's requests go, and with PASID 3;
 * entries whose addr is 0x2000 time out, so many times
 */
static struct vfake *start(bool ext, int times)
{
	struct vfake *fake = vf_start(ext, true);

	vg_pasid(fake, 0, 0x41, 1, 0x7000);
	vg_pasid(fake, 3, 0x41, 1, 0x8000);
	vg_boot(fake, true);
	fake->bad_addr = 0x2000;
	fake->bad_errno = -ETIMEDOUT;
	fake->bad_error = 2; /* ITE */
	fake->bad_times = times;
	return fake;
}

/* The wait behind all that is queued is aborted; seen, and it goes on. */
static void told(struct vfake *fake)
{
	uint32_t wait = vg_put_wait(fake);

	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_reg64(fake, R_IQERCD), SID << 32);
	assert_int_not_equal(vg_status(fake), wait);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
	assert_int_equal(vg_status(fake), wait);
}

/* An invalidation that the device does not answer to, and the guest knows */
static struct vfake *start_told(bool ext)
{
	struct vfake *fake = start(ext, 1);

	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, VG_DEV_TLB, 0x2000);
	told(fake);
	assert_int_equal(fake->bad_times, 0);
	fake->ninval = 0;
	return fake;
}

/* @dw0 with @dw1 is one call of one entry on the HWPT of @pasid. */
static void reaches(struct vfake *fake, uint64_t dw0, uint64_t dw1,
		    uint32_t pasid, uint64_t addr, uint64_t npages)
{
	fake->ninval = 0;
	vg_do(fake, dw0, dw1);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].hwpt_id, vf_attached(fake, pasid));
	assert_int_equal(fake->inval[0].count, 1);
	assert_int_equal(fake->inval[0].entry[0].addr, addr);
	assert_int_equal(fake->inval[0].entry[0].npages, npages);
	assert_int_equal(fake->inval[0].entry[0].flags, 0);
	/* before the wait behind completes */
	assert_int_not_equal(fake->inval[0].status_then, vg_status(fake));
}

static void reaches_nothing(struct vfake *fake, uint64_t dw0, uint64_t dw1)
{
	fake->ninval = 0;
	vg_do(fake, dw0, dw1);
	assert_int_equal(fake->ninval, 0);
}

static void sent_again_it_reaches_the_hwpt_once(void **state)
{
	(void)state;
	for (int ext = 0; ext < 2; ext++) {
		struct vfake *fake = start_told(ext);

		reaches(fake, VG_DEV_TLB, 0x2000, VF_NO_PASID, 0x2000, 1);
		reaches_nothing(fake, VG_DEV_TLB, 0x2000);
		vf_end(fake);
	}
}

static void without_a_failure_it_reaches_nothing(void **state)
{
	struct vfake *fake = start(true, 0);

	(void)state;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	reaches_nothing(fake, PDEV_TLB(0), 0x2000);
	reaches_nothing(fake, PDEV_TLB(3), 0x2000);
	reaches_nothing(fake, PDEV_TLB(0), 0x2001); /* all PASIDs */
	vf_end(fake);
}

static void sizes_become_pages(void **state)
{
	static const uint64_t cases[][3] = {
		/* S is bit 0; the lowest 0 from bit 12 on is the size's */
		{ 0x2001, 0x2000, 2 },
		{ 0x5001, 0x4000, 4 },
		{ 0xff001, 0, 512 },
		{ 0x7ffffffffffff001, 0, ALL },
		{ 0xfffffffffffff000, 0xfffffffffffff000, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = start_told(false);

		reaches(fake, VG_DEV_TLB, cases[i][0], VF_NO_PASID, cases[i][1],
			cases[i][2]);
		vf_end(fake);
	}
}

static void it_is_relayed_until_the_device_has_answered(void **state)
{
	(void)state;
	for (int ext = 0; ext < 2; ext++) {
		struct vfake *fake = start_told(ext);

		for (int again = 0; again < 3; again++) {
			fake->bad_times = 1;
			fake->ninval = 0;
			vg_put(fake, VG_DEV_TLB, 0x2000);
			told(fake);
			assert_int_equal(fake->ninval, 1);
		}
		reaches(fake, VG_DEV_TLB, 0x2000, VF_NO_PASID, 0x2000, 1);
		reaches_nothing(fake, VG_DEV_TLB, 0x2000);
		vf_end(fake);
	}
}

static void other_pages_do_not_answer_for_it(void **state)
{
	struct vfake *fake = start_told(true);

	(void)state;
	reaches(fake, VG_DEV_TLB, 0x1000, VF_NO_PASID, 0x1000, 1);
	reaches(fake, VG_DEV_TLB, 0x3000, VF_NO_PASID, 0x3000, 1);
	vg_do(fake, VG_P_IOTLB, 0x5000);
	/* another device, which is not there */
	reaches_nothing(fake, 0x3 | 0x18ull << 32, 0x2000);
	reaches(fake, VG_DEV_TLB, 0x2001, VF_NO_PASID, 0x2000, 2);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

static void a_range_is_done_with_piece_by_piece(void **state)
{
	(void)state;
	for (uint64_t first = 0x2000; first <= 0x3000; first += 0x1000) {
		struct vfake *fake = start(true, 1);
		uint64_t second = first ^ 0x1000;

		vg_put(fake, VG_P_IOTLB, 0x2); /* 4 pages from 0 on: answers */
		vg_put(fake, VG_P_IOTLB, 0x2001); /* 2 pages: does not */
		vg_put(fake, VG_DEV_TLB, 0x2001);
		told(fake);
		reaches(fake, VG_DEV_TLB, first, VF_NO_PASID, first, 1);
		reaches(fake, VG_DEV_TLB, second, VF_NO_PASID, second, 1);
		reaches_nothing(fake, VG_DEV_TLB, first);
		vf_end(fake);
	}
}

static void what_was_answered_is_not_in_doubt(void **state)
{
	struct vfake *fake = start(true, 1);

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, VG_P_IOTLB, 0x3000);
	vg_put(fake, VG_DEV_TLB, 0x1);
	told(fake);
	reaches(fake, VG_DEV_TLB, 0x2000, VF_NO_PASID, 0x2000, 1);
	reaches_nothing(fake, VG_DEV_TLB, 0x1000);
	reaches_nothing(fake, VG_DEV_TLB, 0x3000);
	vf_end(fake);
}

static void what_was_answered_before_another_failure_is_not(void **state)
{
	struct vfake *fake = start_told(true);

	(void)state;
	fake->bad_addr = 0x5000;
	fake->bad_times = 1;
	vg_put(fake, VG_DEV_TLB, 0x2000);
	vg_do(fake, VG_P_IOTLB, 0x5000);
	vg_put(fake, VG_DEV_TLB, 0x5000);
	told(fake);
	reaches(fake, VG_DEV_TLB, 0x5000, VF_NO_PASID, 0x5000, 1);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

static void everything_has_the_last_page_as_well(void **state)
{
	struct vfake *fake = start(true, 1);

	(void)state;
	fake->bad_addr = 0xfffffffffffff000;
	vg_put(fake, VG_P_IOTLB, 0xfffffffffffff000);
	vg_put(fake, VG_DEV_TLB, 0xfffffffffffff000);
	told(fake);
	reaches(fake, VG_DEV_TLB, 0x7ffffffffffff001, VF_NO_PASID, 0, ALL);
	reaches_nothing(fake, VG_DEV_TLB, 0xfffffffffffff000);
	vf_end(fake);
}

static void so_does_an_invalidation_of_the_iotlb(void **state)
{
	static const uint64_t others[][2] = {
		{ VG_P_IOTLB, 0x2000 },
		{ 0x10026, 0 }, /* of that PASID */
		{ 0x10022, 0 }, /* of the domain */
		{ 0x12, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct vfake *fake = start_told(true);

		vg_do(fake, others[i][0], others[i][1]);
		reaches_nothing(fake, VG_DEV_TLB, 0x2000);
		vf_end(fake);
	}
}

static void what_is_still_to_be_told_is_not_asked_again(void **state)
{
	struct vfake *fake = start(true, 1);

	(void)state;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	fake->ninval = 0;
	vg_put(fake, VG_DEV_TLB, 0x2000);
	told(fake);
	assert_int_equal(fake->ninval, 0);
	reaches(fake, VG_DEV_TLB, 0x2000, VF_NO_PASID, 0x2000, 1);
	vf_end(fake);
}

static void a_pasids_own_is_needed(void **state)
{
	struct vfake *fake = start(true, 1);

	(void)state;
	vg_put(fake, VG_P_IOTLB | 3ull << 32, 0x2000);
	vg_put(fake, PDEV_TLB(3), 0x2000);
	told(fake);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	reaches_nothing(fake, PDEV_TLB(4), 0x2000);
	reaches(fake, PDEV_TLB(3), 0x1800, 3, 0, 4); /* S is bit 11 */
	reaches_nothing(fake, PDEV_TLB(3), 0x2000);
	vf_end(fake);
}

static void that_of_all_pasids_does_for_each(void **state)
{
	struct vfake *fake = start(true, 2);

	(void)state;
	vg_put(fake, VG_P_IOTLB | 3ull << 32, 0x2000);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, VG_DEV_TLB, 0x2000);
	told(fake);
	fake->ninval = 0;
	vg_put(fake, PDEV_TLB(0), 0x2001); /* G is bit 0 */
	vg_do(fake, PDEV_TLB(0), 0x5001);
	assert_int_equal(fake->ninval, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fake->inval[i].hwpt_id,
				 vf_attached(fake, i ? 3 : VF_NO_PASID));
		assert_int_equal(fake->inval[i].count, 1);
		assert_int_equal(fake->inval[i].entry[0].npages, ALL);
	}
	reaches_nothing(fake, PDEV_TLB(0), 0x2001);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	reaches_nothing(fake, PDEV_TLB(3), 0x2000);
	vf_end(fake);
}

static void a_replaced_hwpt_left_nothing_behind(void **state)
{
	struct vfake *fake = start_told(true);

	(void)state;
	vg_pasid(fake, 0, 0x41, 1, 0x9000);
	vg_do(fake, 0x17, 0);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

static void all_pasids_may_have_to_be_asked_once_more(void **state)
{
	struct vfake *fake = start_told(true);

	(void)state;
	fake->bad_addr = 0; /* where everything begins */
	for (int again = 0; again < 3; again++) {
		fake->bad_times = 1;
		vg_put(fake, PDEV_TLB(0), 0x2001);
		told(fake);
	}
	reaches(fake, PDEV_TLB(0), 0x2001, VF_NO_PASID, 0, ALL);
	reaches_nothing(fake, PDEV_TLB(0), 0x2001);
	vf_end(fake);
}

static void more_failures_than_there_is_room_for(void **state)
{
	(void)state;
	for (uint64_t down = 0; down < 2; down++) {
		struct vfake *fake = start(true, 0);

		for (uint64_t i = 0; i < 20; i++) {
			fake->bad_addr = 0x2000 * (down ? 19 - i : i);
			fake->bad_times = 1;
			vg_do(fake, VG_P_IOTLB, fake->bad_addr);
		}
		vg_put(fake, VG_DEV_TLB, 0x7ffffffffffff001);
		told(fake);
		for (uint64_t i = 0; i < 20; i++) {
			uint64_t addr = 0x2000 * (down ? i : 19 - i);

			reaches(fake, VG_DEV_TLB, addr, VF_NO_PASID, addr, 1);
		}
		/* all at once, and there is nothing left */
		reaches(fake, VG_DEV_TLB, 0x7ffffffffffff001, VF_NO_PASID, 0,
			ALL);
		reaches_nothing(fake, VG_DEV_TLB, 0x2000);
		vf_end(fake);
	}
}

static void an_invalid_answer_is_none(void **state)
{
	struct vfake *fake = start(true, 1);

	(void)state;
	fake->bad_errno = 0;
	fake->bad_error = 1; /* ICE */
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, VG_DEV_TLB, 0x2000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ICE);
	vg_set(fake, R_FSTS, FSTS_ICE);
	reaches(fake, VG_DEV_TLB, 0x2000, VF_NO_PASID, 0x2000, 1);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

static void what_the_host_cannot_do_is_tried_again(void **state)
{
	struct vfake *fake = start_told(true);
	uint32_t wait;

	(void)state;
	fake->bad_errno = -EIO;
	fake->bad_times = 1;
	vg_put(fake, VG_DEV_TLB, 0x2000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10); /* IQE */
	assert_int_equal(vg_status(fake), wait - 1);
	fake->ninval = 0;
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].entry[0].addr, 0x2000);
	assert_int_equal(vg_status(fake), wait);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

/* Which one it was is not known, so it may be any of them. */
static void of_an_inexact_backend_all_are_in_doubt(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);

	(void)state;
	config.backend.exact = false;
	vf_plug(fake, &config, false);
	vg_pasid(fake, 0, 0x41, 1, 0x7000);
	vg_boot(fake, true);
	fake->bad_addr = 0x2000;
	fake->bad_errno = -ETIMEDOUT;
	fake->bad_times = 1;
	for (uint64_t page = 1; page < 4; page++)
		vg_put(fake, VG_P_IOTLB, page << 12);
	vg_put(fake, VG_DEV_TLB, 0x1001);
	told(fake);
	for (uint64_t page = 1; page < 4; page++)
		reaches(fake, VG_DEV_TLB, page << 12, VF_NO_PASID, page << 12,
			1);
	reaches_nothing(fake, VG_DEV_TLB, 0x2000);
	vf_end(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sent_again_it_reaches_the_hwpt_once),
		cmocka_unit_test(without_a_failure_it_reaches_nothing),
		cmocka_unit_test(sizes_become_pages),
		cmocka_unit_test(it_is_relayed_until_the_device_has_answered),
		cmocka_unit_test(other_pages_do_not_answer_for_it),
		cmocka_unit_test(a_range_is_done_with_piece_by_piece),
		cmocka_unit_test(what_was_answered_is_not_in_doubt),
		cmocka_unit_test(
			what_was_answered_before_another_failure_is_not),
		cmocka_unit_test(everything_has_the_last_page_as_well),
		cmocka_unit_test(so_does_an_invalidation_of_the_iotlb),
		cmocka_unit_test(what_is_still_to_be_told_is_not_asked_again),
		cmocka_unit_test(a_pasids_own_is_needed),
		cmocka_unit_test(that_of_all_pasids_does_for_each),
		cmocka_unit_test(all_pasids_may_have_to_be_asked_once_more),
		cmocka_unit_test(a_replaced_hwpt_left_nothing_behind),
		cmocka_unit_test(more_failures_than_there_is_room_for),
		cmocka_unit_test(an_invalid_answer_is_none),
		cmocka_unit_test(what_the_host_cannot_do_is_tried_again),
		cmocka_unit_test(of_an_inexact_backend_all_are_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
