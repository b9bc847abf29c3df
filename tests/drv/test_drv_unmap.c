// SPDX-License-Identifier: MIT
/*
 * What an unmap of a paging domain sends, in which order, and what happens when
 * an ATC does not answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define NO_PASID    UINT32_MAX
#define PASID_FLAG  8
#define NEST_PARENT 1

#define STE_S1_W1   0xd6ULL	  /* S1DSS 2, CIR 1, COR 1, CSH 3 */
#define EATS	    0x10000000ULL /* bits 29:28 = 1 */

static void test_stage1_unmap_invalidates_by_asid(void **state)
{
	struct core_domain *d;
	struct rig r;
	uint64_t pa;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, 0);
	assert_int_equal(d->ops->map(d, 0x1000, 0x80000000, 0x4000, 3), 0);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	fake_clear_log(&r.hw);
	/* one page, the table stays: no range (TG 0), Leaf */
	d->ops->unmap(d, 0x1000, 0x1000);
	EXPECT_CMD(&r.hw, 0, 0x0001000000000012, 0x1001);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	assert_int_equal(r.hw.log_n, 2);
	assert_int_equal(r.hw.doorbells, 1);
	assert_false(fake_walk(&r.hw, fake_cd(&r.hw, 0x100, 0, 1), 16, 0,
			       0x1000, &pa));
	/* 3 pages and the tables go: NUM 2, SCALE 0, TG 1, TTL 0, not Leaf */
	fake_clear_log(&r.hw);
	d->ops->unmap(d, 0x2000, 0x3000);
	EXPECT_CMD(&r.hw, 0, 0x0001000000002012, 0x2400);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

/* Sums what the range commands of the log cover, in pages from @va on. */
static uint64_t covered(const struct fake *f, uint64_t va)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < f->log_n; i++) {
		uint64_t d0 = f->log[i][0];
		uint64_t d1 = f->log[i][1];
		uint64_t n = 1;

		if ((d0 & 0xff) == SYNC)
			continue;
		assert_int_equal(d0 & 0xff, 0x12);
		assert_int_equal(d1 & ~0xfffULL, va + pages * 4096);
		assert_int_equal(d1 >> 8 & 3, 0); /* TTL */
		if (d1 >> 10 & 3) {
			n = ((d0 >> 12 & 0x1f) + 1) << (d0 >> 20 & 0x1f);
			assert_true(n > 1);
		}
		pages += n;
	}
	return pages;
}

static void test_ranges_cover_exactly_what_was_unmapped(void **state)
{
	static const uint64_t pages[] = { 1,	2,	 31,	  32,
					  33,	511,	 512,	  513,
					  1023, 0x12345, 0x3ffff, 0x800000 };
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, 0);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		uint64_t iova = 0x7fff000;
		uint64_t length = pages[i] * 4096;

		assert_int_equal(d->ops->map(d, iova, 0x7fff000, length, 3), 0);
		fake_clear_log(&r.hw);
		d->ops->unmap(d, iova, length);
		assert_int_equal(covered(&r.hw, iova), pages[i]);
		assert_true(r.hw.log_n < 10);
	}
	/* all of 2^48: SCALE stays within its 5 bits */
	fake_clear_log(&r.hw);
	d->ops->unmap(d, 0, 1ULL << 48);
	assert_int_equal(covered(&r.hw, 0), 1ULL << 36);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_without_ranges_single_pages_or_everything(void **state)
{
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[3] = 0;
	rig_start_devices(&r);
	d = rig_domain(&r, 0);
	assert_int_equal(d->ops->map(d, 0, 0, 0x200000, 3), 0);
	assert_int_equal(d->ops->map(d, 0x200000, 0, 0x1000, 3), 0);
	d->ops->unmap(d, 0, 0x200000);
	assert_int_equal(covered(&r.hw, 0), 512);
	for (size_t i = 0; i < r.hw.log_n; i++)
		assert_int_equal(r.hw.log[i][1] >> 8 & 0xf, 0);
	fake_clear_log(&r.hw);
	assert_int_equal(d->ops->map(d, 0x800000, 0, 0x400000, 3), 0);
	d->ops->unmap(d, 0x800000, 0x400000);
	EXPECT_CMD(&r.hw, 0, 0x0001000000000011, 0); /* NH_ASID */
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	d->ops->free(d);
	rig_stop(&r);
}

static void
test_atcs_hear_of_an_unmap_after_the_smmu_has_forgotten(void **state)
{
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, PASID_FLAG);
	assert_int_equal(d->ops->map(d, 0x5000, 0x80000000, 0x6000, 3), 0);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(parts_attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(parts_attach(d, &r.dev[2], 9), 0);
	fake_clear_log(&r.hw);
	d->ops->unmap(d, 0x5000, 0x6000);
	/* 6 pages: NUM 2, SCALE 1, TG 1; the tables go, so not Leaf */
	EXPECT_CMD(&r.hw, 0, 0x0001000000102012, 0x5400);
	fake_clear_log(&r.hw);
	assert_int_equal(d->ops->map(d, 0x5000, 0x80000000, 0x1000, 3), 0);
	d->ops->unmap(d, 0x5000, 0x1000);
	EXPECT_CMD(&r.hw, 0, 0x0001000000000012, 0x5000);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	EXPECT_CMD(&r.hw, 2, 0x10100000040, 0x5000);
	/* one that fails is to name one device */
	EXPECT_CMD(&r.hw, 3, SYNC, 0);
	EXPECT_CMD(&r.hw, 4, 0x10200009840, 0x5000); /* SSV, SSID 9 */
	EXPECT_CMD(&r.hw, 5, SYNC, 0);
	assert_int_equal(r.hw.log_n, 6);
	assert_int_equal(r.hw.doorbells, 2);
	/* 0x5000..0xafff: 16 pages from 0, the smallest aligned span */
	fake_clear_log(&r.hw);
	assert_int_equal(d->ops->map(d, 0x5000, 0x80000000, 0x6000, 3), 0);
	d->ops->unmap(d, 0x5000, 0x6000);
	EXPECT_CMD(&r.hw, r.hw.log_n - 4, 0x10100000040, 4);
	for (int i = 0; i < 3; i++)
		r.iommu->ops->block(&r.dev[i], i == 2 ? 9 : NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_a_stage2_unmap_reaches_every_vmid_over_it(void **state)
{
	struct core_vdevice vdev[2];
	struct core_domain *nested[2];
	struct core_viommu *v[2];
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, NEST_PARENT); /* VMID 1 */
	v[0] = rig_viommu(&r, d);	 /* VMID 2 */
	v[1] = rig_viommu(&r, d);	 /* VMID 3 */
	rig_vdev(v[0], &vdev[0], &r.dev[0], 0x11);
	rig_vdev(v[1], &vdev[1], &r.dev[1], 0x11);
	for (int i = 0; i < 2; i++) {
		/* Config S1, EATS 1 */
		assert_int_equal(rig_nested(v[i], 0x4000000b, EATS, &nested[i]),
				 0);
		assert_int_equal(parts_attach(nested[i], &r.dev[i], NO_PASID),
				 0);
	}
	assert_int_equal(d->ops->map(d, 0x5000, 0x80000000, 0x1000, 3), 0);
	assert_int_equal(d->ops->map(d, 0x6000, 0x90000000, 0x1000, 3), 0);
	fake_clear_log(&r.hw);
	d->ops->unmap(d, 0x5000, 0x1000);
	/* S2_IPA by each VMID, Leaf; then NH_ALL by each guest's; ATCs */
	EXPECT_CMD(&r.hw, 0, 0x10000002a, 0x5001);
	EXPECT_CMD(&r.hw, 1, 0x20000002a, 0x5001);
	EXPECT_CMD(&r.hw, 2, 0x30000002a, 0x5001);
	EXPECT_CMD(&r.hw, 3, SYNC, 0);
	EXPECT_CMD(&r.hw, 4, 0x200000010, 0);
	EXPECT_CMD(&r.hw, 5, 0x300000010, 0);
	EXPECT_CMD(&r.hw, 6, SYNC, 0);
	EXPECT_CMD(&r.hw, 7, 0x10100000040, 52);
	EXPECT_CMD(&r.hw, 8, SYNC, 0);
	assert_int_equal(r.hw.log_n, 9);
	assert_int_equal(r.hw.doorbells, 1);
	/* the table goes: neither Leaf nor TTL */
	fake_clear_log(&r.hw);
	d->ops->unmap(d, 0x6000, 0x1000);
	EXPECT_CMD(&r.hw, 0, 0x10000002a, 0x6000);
	EXPECT_CMD(&r.hw, 2, 0x30000002a, 0x6000);
	for (int i = 0; i < 2; i++) {
		r.iommu->ops->block(&r.dev[i], NO_PASID);
		nested[i]->ops->free(nested[i]);
		v[i]->ops->vdevice_remove(v[i], &vdev[i]);
		v[i]->ops->free(v[i]);
	}
	d->ops->free(d);
	rig_stop(&r);
}

static void test_tables_are_freed_only_after_the_sync(void **state)
{
	struct core_domain *d;
	struct rig r;
	size_t live;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(d->ops->map(d, 0, 0, 0x1000, 3), 0);
	live = r.hw.mem.live;
	d->ops->unmap(d, 0, 0x1000);
	assert_int_equal(r.hw.mem.live, live - 3);
	d->ops->free(d);
	rig_stop(&r);
}

static void tables_still_there(struct fake *f, const uint64_t dw[2])
{
	(void)dw;
	assert_int_equal(f->mem.live, *(size_t *)f->spy_arg);
}

static void test_no_table_is_freed_while_commands_run(void **state)
{
	struct core_domain *d;
	struct rig r;
	size_t live;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(d->ops->map(d, 0, 0, 0x1000, 3), 0);
	live = r.hw.mem.live;
	r.hw.spy = tables_still_there;
	r.hw.spy_arg = &live;
	d->ops->unmap(d, 0, 0x1000);
	r.hw.spy = NULL;
	assert_true(r.hw.mem.live < live);
	d->ops->free(d);
	rig_stop(&r);
}

static void
test_a_partial_unmap_takes_whole_blocks_rather_than_less(void **state)
{
	struct core_domain *d;
	struct rig r;
	uint64_t pa;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0, 0x600000, 3), 0);
	d->ops->unmap(d, 0x1000, 0x200000);
	for (uint64_t ia = 0; ia < 0x600000; ia += 0x1000)
		assert_int_equal(fake_walk(&r.hw, fake_ste(&r.hw, 0x100, 3), 16,
					   0, ia, &pa),
				 ia >= 0x400000);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_a_silent_atc_loses_its_ats(void **state)
{
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, 0);
	assert_int_equal(parts_attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(parts_attach(d, &r.dev[2], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0, 0x1000, 3), 0);
	r.hw.mute_sid = 0x101;
	d->ops->unmap(d, 0, 0x1000);
	assert_int_equal(fake_ste(&r.hw, 0x101, 1), STE_S1_W1);
	assert_int_equal(fake_ste(&r.hw, 0x102, 1), STE_S1_W1 | EATS);
	/* nor does it come back by attaching */
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	assert_int_equal(parts_attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x101, 1), STE_S1_W1);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_atcs_hear_of_an_unmap_after_the_smmu_has_forgotten),
		cmocka_unit_test(
			test_a_partial_unmap_takes_whole_blocks_rather_than_less),
		cmocka_unit_test(test_stage1_unmap_invalidates_by_asid),
		cmocka_unit_test(test_ranges_cover_exactly_what_was_unmapped),
		cmocka_unit_test(
			test_without_ranges_single_pages_or_everything),
		cmocka_unit_test(
			test_a_stage2_unmap_reaches_every_vmid_over_it),
		cmocka_unit_test(test_tables_are_freed_only_after_the_sync),
		cmocka_unit_test(test_no_table_is_freed_while_commands_run),
		cmocka_unit_test(test_a_silent_atc_loses_its_ats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
