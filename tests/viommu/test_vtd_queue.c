// SPDX-License-Identifier: MIT
/*
 * What a guest queues for the virtual VT-d unit becomes ioctls, waits complete
 * behind them, and what goes wrong below is told as hardware tells it.
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
/* of DID 1, PASID 0; page-selective: one page */
#define P_IOTLB_ALL 0x10026ull

/* Booted, DID 1 with PASID 0, by which the device's requests go */
static struct vfake *start(bool ext, bool ats)
{
	struct vfake *fake = vf_start(ext, true);

	vg_pasid(fake, 0, 0x41, 1, 0x7000);
	vg_boot(fake, ats);
	vf_forget(fake);
	return fake;
}

static void one_ioctl_carries_all_that_was_queued(void **state)
{
	struct vfake *fake = start(false, true);
	uint32_t wait;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		vg_put(fake, VG_P_IOTLB, 0x1000 * i);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].count, 100);
	assert_int_equal(fake->inval[0].entry_len, 24);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(fake->inval[0].entry[i].addr, 0x1000 * i);
		assert_int_equal(fake->inval[0].entry[i].npages, 1);
	}
	assert_int_equal(fake->inval[0].status_then, wait - 1);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg64(fake, R_IQH), 101 * 32);
	vf_end(fake);
}

static void waits_between_split_nothing_and_complete_in_order(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct vfake *fake = start(false, true);

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put_wait(fake);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x17, 0); /* the same entry still: no split */
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].count, 2);
	assert_int_equal(fake->inval[0].status_then, 0);
	assert_int_equal(vg_status(fake), 2);
	nestfd_viommu_stats(fake->viommu, &stats);
	assert_int_equal(stats.commands, 5);
	assert_int_equal(stats.doorbells, 1);
	assert_int_equal(stats.syncs, 2);
	assert_int_equal(stats.invalidate_ioctls, 1);
	assert_int_equal(stats.invalidations, 2);
	assert_int_equal(stats.splits[NESTFD_SPLIT_END], 1);
	vf_end(fake);
}

/* 6.5.2.12: FN (bit 6); the PASID cache descriptor makes a HWPT, too. */
static void nothing_behind_a_fence_is_begun_before_its_status(void **state)
{
	struct vfake *fake = start(false, true);
	uint32_t wait = fake->waits + 1;

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put(fake, 0x65 | (uint64_t)wait << 32, VG_STATUS);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	/* two in a row, then one that writes nothing, and one at the end */
	vg_put(fake, 0x65 | (uint64_t)(wait + 1) << 32, VG_STATUS);
	vg_put(fake, 0x65 | (uint64_t)(wait + 2) << 32, VG_STATUS);
	vg_put(fake, VG_P_IOTLB, 0x3000);
	vg_put(fake, 0x45, 0);
	vg_put(fake, VG_P_IOTLB, 0x4000);
	vg_put(fake, 0x65 | (uint64_t)(wait + 3) << 32, VG_STATUS);
	vg_doorbell(fake);
	assert_int_equal(fake->ninval, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(fake->inval[i].count, 1);
		assert_int_equal(fake->inval[i].entry[0].addr,
				 0x1000 * (i + 1));
	}
	assert_int_equal(fake->inval[0].status_then, 0);
	assert_int_equal(fake->inval[1].status_then, wait);
	assert_int_equal(fake->inval[2].status_then, wait + 2);
	assert_int_equal(vg_status(fake), wait + 3);
	assert_int_equal(vg_reg64(fake, R_IQH), 9 * 32);
	vf_end(fake);
}

static void what_fails_behind_a_fence_leaves_the_fence_done(void **state)
{
	struct vfake *fake = start(false, true);
	uint32_t wait = fake->waits + 1;

	(void)state;
	fake->bad_addr = 0x2000;
	fake->bad_errno = -EIO;
	fake->bad_times = 1000;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put(fake, 0x65 | (uint64_t)wait << 32, VG_STATUS);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x65 | (uint64_t)(wait + 1) << 32, VG_STATUS);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_IQE);
	assert_int_equal(vg_reg64(fake, R_IQH), 2 * 32);
	assert_int_equal(vg_status(fake), wait);
	vf_end(fake);
}

static void descriptors_become_entries(void **state)
{
	static const struct {
		uint64_t dw[2];
		struct vf_entry entry;
	} cases[] = {
		/* VG_P_IOTLB by page: mask 0, 1, 9, 18; leaf hint */
		{ { VG_P_IOTLB, 0x5000 }, { 0x5000, 1, 0 } },
		{ { VG_P_IOTLB, 0x5001 }, { 0x4000, 2, 0 } },
		{ { VG_P_IOTLB, 0x345049 }, { 0x200000, 512, 1 } },
		{ { VG_P_IOTLB, 0x12 }, { 0, 0x40000, 0 } },
		{ { VG_P_IOTLB, 0xfffffffffffff040 },
		  { 0xfffffffffffff000, 1, 1 } },
		/* everything but one bit; and everything */
		{ { VG_P_IOTLB, 0x8000000000000033 },
		  { 0x8000000000000000, 0x8000000000000, 0 } },
		{ { VG_P_IOTLB, 0x34 }, { 0, ALL, 0 } },
		{ { VG_P_IOTLB, 0x7f }, { 0, ALL, 0 } },
		{ { P_IOTLB_ALL, 0 }, { 0, ALL, 0 } },
		/* IOTLB: global, domain 1, a page of it */
		{ { 0x12, 0 }, { 0, ALL, 0 } },
		{ { 0x10022, 0 }, { 0, ALL, 0 } },
		{ { 0x10032, 0x5000 }, { 0, ALL, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = start(false, true);

		vg_do(fake, cases[i].dw[0], cases[i].dw[1]);
		assert_int_equal(fake->ninval, 1);
		assert_int_equal(fake->inval[0].hwpt_id,
				 vf_attached(fake, VF_NO_PASID) ?: 102);
		assert_int_equal(fake->inval[0].count, 1);
		assert_memory_equal(&fake->inval[0].entry[0], &cases[i].entry,
				    sizeof(cases[i].entry));
		vf_end(fake);
	}
}

static void what_names_others_reaches_no_ioctl(void **state)
{
	static const uint64_t others[][2] = {
		{ 0x20036, 0x5000 },		/* VG_P_IOTLB: DID 2 */
		{ VG_P_IOTLB | 1ull << 32, 0 }, /* PASID 1 */
		{ 0x20026, 0 },
		{ 0x20022, 0 },		/* IOTLB: DID 2 */
		{ 0x3 | SID << 32, 0 }, /* device TLB */
		{ 0x8 | SID << 16, 0 }, /* by PASID */
		{ 0x4, 0 }, /* interrupt entries: IR is not offered */
		{ 0x500000014, 0 },
		{ 0xffff78000014, 0 },
		{ 0xfffff8000014, 0 },	 /* MHMV is unused then */
		{ 0x31 | SID << 32, 0 }, /* context: as it was */
		{ 0x37, 0 },
	};
	struct vfake *fake = start(false, true);

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		vg_do(fake, others[i][0], others[i][1]);
	assert_int_equal(fake->ninval, 0);
	assert_int_equal(fake->nhwpt, 0);
	vf_end(fake);
}

static void each_hwpt_of_a_domain_gets_its_own_call(void **state)
{
	struct vfake *fake = start(false, true);
	uint32_t rid, three, four;

	(void)state;
	vg_pasid(fake, 3, 0x41, 1, 0x8000);
	vg_pasid(fake, 4, 0x41, 2, 0x9000);
	vg_do(fake, 0x37, 0);
	three = vf_attached(fake, 3);
	four = vf_attached(fake, 4);
	vf_forget(fake);
	vg_do(fake, 0x10022, 0); /* IOTLB: domain 1 */
	assert_int_equal(fake->ninval, 2);
	rid = fake->inval[0].hwpt_id;
	assert_int_equal(fake->inval[1].hwpt_id, three);
	assert_int_not_equal(rid, four);
	vf_forget(fake);
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put(fake, VG_P_IOTLB | 3ull << 32, 0x2000);
	vg_put(fake, 0x20036 | 4ull << 32, 0x3000);
	vg_put(fake, VG_P_IOTLB, 0x4000);
	vg_do(fake, 0x4, 0);
	assert_int_equal(fake->ninval, 3);
	assert_int_equal(fake->inval[0].hwpt_id, rid);
	assert_int_equal(fake->inval[0].count, 2);
	assert_int_equal(fake->inval[0].entry[1].addr, 0x4000);
	assert_int_equal(fake->inval[1].hwpt_id, three);
	assert_int_equal(fake->inval[2].hwpt_id, four);
	assert_int_equal(fake->inval[2].entry[0].addr, 0x3000);
	vf_end(fake);
}

static void everything_swallows_pages(void **state)
{
	struct vfake *fake = start(false, true);

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put(fake, 0x12, 0);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x12, 0);
	vg_do(fake, 0x4, 0);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].count, 1);
	assert_int_equal(fake->inval[0].entry[0].npages, ALL);
	/* and the next one is by page again */
	vg_do(fake, VG_P_IOTLB, 0x3000);
	assert_int_equal(fake->inval[1].entry[0].addr, 0x3000);
	vg_put(fake, 0x12, 0);
	vg_do(fake, VG_P_IOTLB, 0x4000);
	assert_int_equal(fake->ninval, 3);
	assert_int_equal(fake->inval[2].count, 1);
	vf_end(fake);
}

static void a_domain_is_forgotten_once_per_doorbell_and_in_each(void **state)
{
	/* domains 1, 65, 1; a page of 1; global, twice; domain 1 */
	static const uint64_t descs[][2] = {
		{ 0x10022, 0 },	     { 0x410022, 0 }, { 0x10022, 0 },
		{ 0x10032, 0x5000 }, { 0x12, 0 },     { 0x12, 0 },
		{ 0x10022, 0 },
	};
	const size_t count = sizeof(descs) / sizeof(descs[0]);
	struct vfake *fake = start(false, true);

	(void)state;
	for (uint32_t n = 1; n <= count; n++) {
		for (size_t i = 0; i < n; i++)
			vg_put(fake, descs[i][0], descs[i][1]);
		vg_do(fake, 0x4, 0);
		assert_int_equal(fake->ninval, n);
		assert_int_equal(fake->inval[n - 1].count, 1);
		assert_int_equal(fake->inval[n - 1].entry[0].npages, ALL);
	}
	vg_do(fake, 0x410022, 0); /* nobody's */
	assert_int_equal(fake->ninval, count);
	for (size_t i = 2; i < count; i++) {
		vg_do(fake, descs[i][0], descs[i][1]);
		assert_int_equal(fake->ninval, count + i - 1);
	}
	vf_end(fake);
}

static void a_replaced_hwpt_needs_no_invalidation(void **state)
{
	struct vfake *fake = start(false, true);

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_pasid(fake, 0, 0x41, 1, 0x8000);
	vg_put(fake, 0x17, 0);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_do(fake, 0x4, 0);
	assert_int_equal(fake->nhwpt, 1);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].hwpt_id, fake->hwpt[0].id);
	assert_int_equal(fake->inval[0].count, 1);
	assert_int_equal(fake->inval[0].entry[0].addr, 0x2000);
	/* nor does what was asked of it count for its successor */
	vg_put(fake, 0x12, 0);
	vg_pasid(fake, 0, 0x41, 1, 0x9000);
	vg_do(fake, 0x17, 0);
	assert_int_equal(fake->ninval, 1);
	vg_do(fake, VG_P_IOTLB, 0x3000);
	assert_int_equal(fake->ninval, 2);
	assert_int_equal(fake->inval[1].hwpt_id, fake->hwpt[1].id);
	assert_int_equal(fake->inval[1].entry[0].addr, 0x3000);
	vf_end(fake);
}

static void a_malformed_descriptor_stops_the_queue(void **state)
{
	static const struct {
		uint64_t dw[2];
		uint32_t iqei;
	} cases[] = {
		{ { 0x0, 0 }, 3 }, /* no type */
		{ { 0x9, 0 }, 3 }, /* page response: no PRS */
		{ { 0xe, 0 }, 3 },
		{ { 0x206, 0 }, 3 }, /* type 0x16 */
		{ { 0x6, 0 }, 4 },   /* granularity */
		{ { VG_P_IOTLB | 1ull << 52, 0 }, 4 },
		{ { VG_P_IOTLB, 0x80 }, 4 },
		{ { 0x105, 0 }, 4 },
		{ { 0x85, 0 }, 4 }, /* PD: not offered */
		{ { 0x2, 0 }, 4 },
		{ { 0x27, 0 }, 4 },
		{ { 0x24, 0 }, 4 }, /* interrupt entries: bits 5, 12, 48, 64 */
		{ { 0x1004, 0 }, 4 },
		{ { 0x1000000000004, 0 }, 4 },
		{ { 0x4, 1 }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = start(false, true);
		uint32_t wait;

		vg_put(fake, VG_P_IOTLB, 0x1000);
		wait = vg_put_wait(fake);
		vg_put(fake, cases[i].dw[0], cases[i].dw[1]);
		vg_put_wait(fake);
		vg_doorbell(fake);
		assert_int_equal(vg_reg(fake, R_FSTS), FSTS_IQE);
		assert_int_equal(vg_reg64(fake, R_IQERCD), cases[i].iqei);
		assert_int_equal(vg_reg64(fake, R_IQH), 2 * 32);
		assert_int_equal(vg_status(fake), wait);
		assert_int_equal(fake->ninval, 1);
		assert_int_equal(vg_word(fake, VG_MSI) & 0xffffffff, 0x77);
		/* mended in place, it goes on */
		vg_store(fake, VG_QUEUE + 2 * 32, VG_P_IOTLB);
		vg_store(fake, VG_QUEUE + 2 * 32 + 8, 0x2000);
		vg_set(fake, R_FSTS, FSTS_IQE);
		assert_int_equal(fake->ninval, 2);
		assert_int_equal(vg_status(fake), wait + 1);
		vf_end(fake);
	}
}

static void what_the_host_cannot_do_completes_no_wait(void **state)
{
	static const int errnos[] = { -EIO, -EINVAL, -ENOMEM, -EFAULT };

	(void)state;
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		struct vfake *fake = start(false, true);
		uint32_t wait;

		fake->bad_addr = 0x2000;
		fake->bad_errno = errnos[i];
		fake->bad_times = 1000;
		vg_put(fake, VG_P_IOTLB, 0x1000);
		wait = vg_put_wait(fake);
		vg_put(fake, VG_P_IOTLB, 0x2000);
		vg_put_wait(fake);
		vg_put(fake, VG_P_IOTLB, 0x3000);
		vg_doorbell(fake);
		assert_int_equal(vg_reg(fake, R_FSTS), FSTS_IQE);
		assert_int_equal(vg_reg64(fake, R_IQERCD), 2);
		assert_int_equal(vg_reg64(fake, R_IQH), 2 * 32);
		assert_int_equal(vg_status(fake), wait);
		fake->bad_times = 0;
		vf_forget(fake);
		vg_set(fake, R_FSTS, FSTS_IQE);
		assert_int_equal(vg_status(fake), wait + 1);
		assert_int_equal(fake->inval[0].entry[0].addr, 0x2000);
		assert_int_equal(fake->inval[0].entry[1].addr, 0x3000);
		vf_end(fake);
	}
}

/* ---- devices that do not answer ---- */

/* Entries whose addr is 0x2000 time out, so many times */
static struct vfake *start_silent(bool ext, bool ats, int times)
{
	struct vfake *fake = start(ext, ats);

	fake->bad_addr = 0x2000;
	fake->bad_errno = -ETIMEDOUT;
	fake->bad_error = 2; /* ITE */
	fake->bad_times = times;
	return fake;
}

static void ite_waits_for_the_guests_own_invalidation(void **state)
{
	(void)state;
	for (int ext = 0; ext < 2; ext++) {
		struct vfake *fake = start_silent(ext, true, 1);
		uint32_t wait;

		/* the IOTLB is clean: as on hardware */
		vg_do(fake, VG_P_IOTLB, 0x2000);
		vg_do(fake, VG_P_IOTLB, 0x5000);
		/* another device's TLB */
		vg_do(fake, 0x3 | 0x18ull << 32, 0x2000);
		vg_put(fake, 0x3 | SID << 32, 0x2000);
		wait = vg_put_wait(fake);
		vg_put_wait(fake);
		vg_doorbell(fake);
		assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
		assert_int_equal(vg_reg64(fake, R_IQERCD), SID << 32);
		assert_int_equal(vg_word(fake, VG_MSI) & 0xffffffff, 0x77);
		assert_int_equal(vg_status(fake), wait - 1);
		assert_int_equal(vg_reg64(fake, R_IQH), 7 * 32);
		/* what comes meanwhile waits */
		vg_put(fake, VG_P_IOTLB, 0x6000);
		vg_doorbell(fake);
		assert_int_equal(fake->ninval, 2);
		vg_set(fake, R_FSTS, FSTS_ITE);
		assert_int_equal(vg_status(fake), wait + 1);
		assert_int_equal(fake->ninval, 3);
		/* told once */
		vg_do(fake, 0x3 | SID << 32, 0x2000);
		/* and told again when it happens again */
		fake->bad_times = 1;
		vg_do(fake, VG_P_IOTLB, 0x2000);
		vg_put(fake, 0x3 | SID << 32, 0x2000);
		vg_put_wait(fake);
		vg_doorbell(fake);
		assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
		vf_end(fake);
	}
}

static void ite_in_one_doorbell_stops_at_the_wait_behind(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);
	uint32_t wait;

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x2000);
	wait = vg_put_wait(fake);
	vg_put(fake, 0x8 | SID << 16, 0x2000); /* by PASID */
	vg_put_wait(fake);
	vg_put(fake, VG_P_IOTLB, 0x3000);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_reg64(fake, R_IQH), 3 * 32);
	assert_int_equal(vg_status(fake), wait);
	/* what stood behind the silent one was sent again */
	assert_int_equal(fake->ninval, 2);
	assert_int_equal(fake->inval[1].count, 1);
	assert_int_equal(fake->inval[1].entry[0].addr, 0x3000);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_status(fake), wait + 1);
	assert_int_equal(vg_reg64(fake, R_IQH), 5 * 32);
	vf_end(fake);
}

static void a_device_tlb_invalidated_before_is_not_meant(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);
	uint32_t wait;

	(void)state;
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
	/* it is later */
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	vf_end(fake);
}

static void without_ats_the_next_wait_is_aborted(void **state)
{
	struct vfake *fake = start_silent(true, false, 1);
	uint32_t wait;

	(void)state;
	wait = vg_put_wait(fake);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_reg64(fake, R_IQERCD), SID << 32);
	assert_int_equal(vg_status(fake), wait);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_status(fake), wait + 1);
	vf_end(fake);
}

static void without_a_wait_ite_is_shown_at_once(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);

	(void)state;
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_reg64(fake, R_IQH), 2 * 32);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), 0);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_status(fake), 1);
	vf_end(fake);
}

static void two_devices_are_told_of_one_by_one(void **state)
{
	struct vfake *fake = start_silent(true, true, 2);
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x11,
		.dev_id = 12,
		.attach = vf_attach,
		.ctx = fake,
	};
	uint32_t wait;

	(void)state;
	vg_store(fake, VG_CTX + 0x11 * 32, VG_DIR | 5); /* P, DTE */
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_put(fake, 0x3 | 0x11ull << 32, 0x2000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg64(fake, R_IQERCD) >> 32, 0x10);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_reg64(fake, R_IQERCD) >> 32, 0x11);
	assert_int_equal(vg_status(fake), wait - 1);
	vg_set(fake, R_FSTS, FSTS_ITE);
	assert_int_equal(vg_status(fake), wait);
	/* one that goes away takes its trouble along */
	fake->bad_times = 2;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x11), 0);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x10), 0);
	vg_do(fake, 0x3 | SID << 32, 0x2000);
	vf_end(fake);
}

static void a_reset_forgets_what_was_to_be_told(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);

	(void)state;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	nestfd_viommu_reset(fake->viommu);
	fake->tail = 0;
	vg_boot(fake, true);
	vg_do(fake, 0x3 | SID << 32, 0x2000);
	vf_end(fake);
}

/* Another error came first, so the guest has not seen ITE yet. */
static void a_reset_forgets_what_is_due(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct vfake *fake = start_silent(true, false, 1);

		vg_put(fake, VG_P_IOTLB, 0x2000);
		vg_put(fake, 0, 0);
		vg_doorbell(fake);
		assert_int_equal(vg_reg(fake, R_FSTS), FSTS_IQE);
		if (reset) {
			nestfd_viommu_reset(fake->viommu);
			fake->tail = 0;
			vg_boot(fake, false);
			vg_do(fake, 0x4, 0);
		} else {
			vg_store(fake, VG_QUEUE + 32, 0x4);
			vg_put_wait(fake);
			vg_doorbell(fake);
			vg_set(fake, R_FSTS, FSTS_IQE);
			assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
			assert_int_equal(vg_status(fake), 0);
			vg_set(fake, R_FSTS, FSTS_ITE);
			assert_int_equal(vg_status(fake), 1);
		}
		vf_end(fake);
	}
}

static void a_look_at_the_context_does_not_end_it(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);

	(void)state;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	vg_do(fake, 0x11, 0);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	vf_end(fake);
}

static void an_invalid_answer_needs_no_wait(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);

	(void)state;
	fake->bad_errno = 0;
	fake->bad_error = 1; /* ICE */
	vg_do(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ICE);
	vf_end(fake);
}

static void ats_turned_off_ends_the_matter(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);

	(void)state;
	vg_do(fake, VG_P_IOTLB, 0x2000);
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 9);
	vg_do(fake, 0x11, 0);
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 0xd);
	vg_do(fake, 0x11, 0);
	vg_do(fake, 0x3 | SID << 32, 0x2000);
	vf_end(fake);
}

static void an_invalid_answer_stops_nothing(void **state)
{
	struct vfake *fake = start_silent(true, true, 1);
	uint32_t wait;

	(void)state;
	fake->bad_errno = 0;
	fake->bad_error = 1; /* ICE */
	vg_do(fake, VG_P_IOTLB, 0x2000);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ICE);
	assert_int_equal(vg_reg64(fake, R_IQERCD), SID << 48);
	assert_int_equal(vg_word(fake, VG_MSI) & 0xffffffff, 0x77);
	vg_set(fake, R_FSTS, FSTS_ICE);
	vg_do(fake, 0x3 | SID << 32, 0x2000);
	vf_end(fake);
}

/* A backend that counts as Linux may: the first that can be to blame is. */
static void an_inexact_backend_blames_the_first(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	uint32_t wait;

	(void)state;
	config.backend.exact = false;
	vf_plug(fake, &config, false);
	vg_pasid(fake, 0, 0x41, 1, 0x7000);
	vg_boot(fake, false);
	vf_forget(fake);
	fake->bad_addr = 0x2000;
	fake->bad_errno = -ETIMEDOUT;
	fake->bad_times = 1;
	wait = vg_put_wait(fake);
	vg_put(fake, VG_P_IOTLB, 0x1000);
	vg_put_wait(fake);
	vg_put(fake, VG_P_IOTLB, 0x2000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ITE);
	assert_int_equal(vg_status(fake), wait);
	vf_end(fake);
}

/*
 * 11.4.7.1: ITE and ICE are RsvdZ in a unit without device TLBs, and this one
 * has none if the VMM says so, whatever the host's.
 */
static void a_unit_without_device_tlbs_tells_of_none(void **state)
{
	static const struct {
		int rc;
		uint32_t error;
	} cases[] = { { -ETIMEDOUT, 2 }, { 0, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nestfd_viommu_config config;
		struct vfake *fake = vf_new(&config);
		struct nestfd_viommu_device dev = vf_device(fake, false);

		config.ecap = ~4ull;
		assert_int_equal(
			nestfd_viommu_vtd_create(&config, &fake->viommu), 0);
		assert_int_equal(vg_reg64(fake, R_ECAP) & 4, 0);
		assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev),
				 0);
		vg_pasid(fake, 0, 0x41, 1, 0x7000);
		vg_boot(fake, false);
		vf_forget(fake);
		fake->bad_addr = 0x2000;
		fake->bad_errno = cases[i].rc;
		fake->bad_error = cases[i].error;
		fake->bad_times = 1;
		vg_put(fake, VG_P_IOTLB, 0x2000);
		vg_do(fake, VG_P_IOTLB, 0x3000);
		assert_int_equal(fake->bad_times, 0);
		assert_int_equal(vg_reg(fake, R_FSTS), 0);
		assert_int_equal(vg_reg64(fake, R_IQERCD), 0);
		vf_end(fake);
	}
}

/* ---- invalidation by registers ---- */

static void registers_invalidate_too(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	/* legacy mode, no queue; pass-through of DID 1, 48 bits */
	vg_store(fake, VG_ROOT, VG_CTX | 1);
	vg_set64(fake, R_RTADDR, VG_ROOT);
	vg_set(fake, R_GCMD, 0x40000000);
	vg_set(fake, R_GCMD, 0x80000000);
	assert_int_not_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vg_store(fake, VG_CTX + 0x10 * 16, 0x9);
	vg_store(fake, VG_CTX + 0x10 * 16 + 8, 0x102);
	/* ICC, by device, source-id 0x10 */
	vg_set64(fake, R_CCMD, 0xe000000000100001);
	assert_int_equal(vg_reg64(fake, R_CCMD) >> 59, 0xf);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57, 9);
	/* what cannot be revoked was not done: granularity 0 */
	vg_store(fake, VG_CTX + 0x10 * 16, 0);
	fake->fail_attach = -EIO;
	fake->fail_attaches = 1;
	vg_set64(fake, R_CCMD, 0xa000000000000000);
	assert_int_equal(vg_reg64(fake, R_CCMD) >> 59, 4);
	vg_set64(fake, R_CCMD, 0xa000000000000000);
	assert_int_equal(vg_reg64(fake, R_CCMD) >> 59, 5);
	assert_int_not_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vf_end(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_ioctl_carries_all_that_was_queued),
		cmocka_unit_test(
			waits_between_split_nothing_and_complete_in_order),
		cmocka_unit_test(
			nothing_behind_a_fence_is_begun_before_its_status),
		cmocka_unit_test(
			what_fails_behind_a_fence_leaves_the_fence_done),
		cmocka_unit_test(descriptors_become_entries),
		cmocka_unit_test(what_names_others_reaches_no_ioctl),
		cmocka_unit_test(each_hwpt_of_a_domain_gets_its_own_call),
		cmocka_unit_test(everything_swallows_pages),
		cmocka_unit_test(
			a_domain_is_forgotten_once_per_doorbell_and_in_each),
		cmocka_unit_test(a_replaced_hwpt_needs_no_invalidation),
		cmocka_unit_test(a_malformed_descriptor_stops_the_queue),
		cmocka_unit_test(what_the_host_cannot_do_completes_no_wait),
		cmocka_unit_test(ite_waits_for_the_guests_own_invalidation),
		cmocka_unit_test(ite_in_one_doorbell_stops_at_the_wait_behind),
		cmocka_unit_test(a_device_tlb_invalidated_before_is_not_meant),
		cmocka_unit_test(without_ats_the_next_wait_is_aborted),
		cmocka_unit_test(without_a_wait_ite_is_shown_at_once),
		cmocka_unit_test(two_devices_are_told_of_one_by_one),
		cmocka_unit_test(a_reset_forgets_what_was_to_be_told),
		cmocka_unit_test(a_reset_forgets_what_is_due),
		cmocka_unit_test(a_look_at_the_context_does_not_end_it),
		cmocka_unit_test(an_invalid_answer_needs_no_wait),
		cmocka_unit_test(ats_turned_off_ends_the_matter),
		cmocka_unit_test(an_invalid_answer_stops_nothing),
		cmocka_unit_test(an_inexact_backend_blames_the_first),
		cmocka_unit_test(a_unit_without_device_tlbs_tells_of_none),
		cmocka_unit_test(registers_invalidate_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
