// SPDX-License-Identifier: MIT
/* The VT-d driver: paging domains, attaching, unmapping, dirty tracking. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_fake.h"

#define NEST_PARENT 1
#define DIRTY	    2
#define RW	    3

static uint64_t root_of(struct vrig *r, uint32_t sid, uint32_t pasid)
{
	return vfake_entry(&r->hw, sid, pasid, 0) & ~0xfffULL;
}

static void test_what_can_be_allocated(void **state)
{
	static const struct {
		uint32_t flags;
		uint64_t ecap_off;
		int rc;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, 0, 0 },
		{ 2, 0, 0 },
		{ 8, 0, 0 },
		{ 11, 0, 0 },
		{ 4, 0, 0 }, /* core's, taken out or not */
		{ 16, 0, -EOPNOTSUPP },
		{ 1u << 31, 0, -EOPNOTSUPP },
		{ 1, 1ULL << 26, -EOPNOTSUPP }, /* NEST */
		{ 2, 1ULL << 45, -EOPNOTSUPP }, /* SSADS */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *d = NULL;
		struct vrig r;

		vrig_init(&r);
		r.hw.ecap &= ~cases[i].ecap_off;
		vrig_start(&r);
		assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0],
							    cases[i].flags, &d),
				 cases[i].rc);
		if (!cases[i].rc) {
			assert_int_equal(d->geometry.first, 0);
			assert_int_equal(d->geometry.last, (1ULL << 57) - 1);
			assert_int_equal(d->geometry.page_sizes, 0x40201000);
			assert_int_equal(!!d->dirty_ops,
					 cases[i].flags >> 1 & 1);
			d->ops->free(d);
		}
		assert_int_equal(r.hw.log_n, 0);
		vrig_stop(&r);
	}
}

static void test_sizes_follow_the_capabilities(void **state)
{
	static const struct {
		uint64_t sagaw; /* bits 9 to 11 */
		unsigned int mgaw;
		uint64_t last;
		unsigned int aw;
	} cases[] = {
		{ 0x200, 39, (1ULL << 39) - 1, 1 },
		{ 0x400, 48, (1ULL << 48) - 1, 2 },
		{ 0xe00, 48, (1ULL << 48) - 1, 2 },
		{ 0xc00, 52, (1ULL << 52) - 1, 3 },
		{ 0x400, 57, (1ULL << 48) - 1, 2 },
		{ 0xe00, 36, (1ULL << 36) - 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *d;
		struct vrig r;

		vrig_init(&r);
		r.hw.cap &= ~(0x1f00ULL | 0x3f0000ULL);
		r.hw.cap |= cases[i].sagaw | (cases[i].mgaw - 1) << 16;
		r.hw.cap &= ~(1ULL << 35); /* 1G pages */
		vrig_start(&r);
		d = vrig_domain(&r, 0);
		assert_int_equal(d->geometry.last, cases[i].last);
		assert_int_equal(d->geometry.page_sizes, 0x201000);
		assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
		assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) >> 2 & 7,
				 cases[i].aw);
		r.iommu->ops->block(&r.dev[0], NO_PASID);
		d->ops->free(d);
		vrig_stop(&r);
	}
}

static void test_an_entry_says_what_the_domain_is(void **state)
{
	struct core_domain *d[2];
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d[0] = vrig_domain(&r, 0);
	d[1] = vrig_domain(&r, 0);
	assert_int_equal(d[0]->ops->attach(d[0], &r.dev[0], NO_PASID), 0);
	assert_int_equal(d[1]->ops->attach(d[1], &r.dev[2], 0xabcde), 0);
	/* P, AW 3, PGTT 2; domain, PWSNP */
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 0xfff, 0x08d);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 1), 0x800001);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 0xabcde, 0) & 0xfff, 0x08d);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 0xabcde, 1), 0x800002);
	for (unsigned int i = 2; i < 8; i++)
		assert_int_equal(vfake_entry(&r.hw, 0x100, 0, i), 0);
	/* what was not present needs no invalidation */
	assert_int_equal(r.hw.log_n, 0);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	r.iommu->ops->block(&r.dev[2], 0xabcde);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(vfake_entry(&r.hw, 0x100, 0, i), 0);
		assert_int_equal(vfake_entry(&r.hw, 0x182, 0xabcde, i), 0);
	}
	d[0]->ops->free(d[0]);
	d[1]->ops->free(d[1]);
	vrig_stop(&r);
}

static void test_blocking_follows_table_28(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 0x12345), 0);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	EXPECT_DESC(&r.hw, 0, 0x10017, 0); /* PASID cache: domain 1, PASID 0 */
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0); /* IOTLB: domain 1, drained */
	EXPECT_WAIT(&r.hw, 2);
	assert_int_equal(r.hw.log_n, 3);
	vfake_clear_log(&r.hw);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	EXPECT_DESC(&r.hw, 0, 0x10017, 0);
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0);
	EXPECT_DESC(&r.hw, 2, 0x0000010100000003ULL, 0x7ffffffffffff001ULL);
	EXPECT_WAIT(&r.hw, 3);
	vfake_clear_log(&r.hw);
	r.iommu->ops->block(&r.dev[2], 0x12345);
	EXPECT_DESC(&r.hw, 0, 0x0001234500010017ULL, 0);
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0);
	EXPECT_DESC(&r.hw, 2, 0x0001234501820008ULL, 0x7ffffffffffff800ULL);
	EXPECT_WAIT(&r.hw, 3);
	assert_int_equal(r.hw.doorbells, 1);
	/* again: nothing to do */
	vfake_clear_log(&r.hw);
	r.iommu->ops->block(&r.dev[2], 0x12345);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	assert_int_equal(r.hw.log_n, 0);
	d->ops->free(d);
	vrig_stop(&r);
}

struct watch {
	uint32_t sid;
	unsigned int times;
	unsigned int wrong;
};

/* While hardware is told to forget, the entry is not present. */
static void see_entry(struct vfake *f, const uint64_t dw[4])
{
	struct watch *w = f->spy_arg;

	(void)dw;
	w->times++;
	w->wrong += vfake_entry(f, w->sid, 0, 0) & 1;
}

static void test_replacing_has_no_third_meaning(void **state)
{
	struct watch watch = { .sid = 0x101 };
	struct core_domain *a, *b;
	uint64_t old;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	a = vrig_domain(&r, 0);
	b = vrig_domain(&r, 0);
	assert_int_equal(a->ops->attach(a, &r.dev[1], NO_PASID), 0);
	old = root_of(&r, 0x101, 0);
	r.hw.spy = see_entry;
	r.hw.spy_arg = &watch;
	assert_int_equal(b->ops->attach(b, &r.dev[1], NO_PASID), 0);
	assert_int_equal(watch.times, 4);
	assert_int_equal(watch.wrong, 0);
	EXPECT_DESC(&r.hw, 0, 0x10017, 0);
	EXPECT_DESC(&r.hw, 2, 0x0000010100000003ULL, 0x7ffffffffffff001ULL);
	assert_int_equal(vfake_entry(&r.hw, 0x101, 0, 1), 0x800002);
	assert_int_not_equal(root_of(&r, 0x101, 0), old);
	/* the same again is fine too */
	assert_int_equal(b->ops->attach(b, &r.dev[1], NO_PASID), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x101, 0, 1), 0x800002);
	assert_int_equal(watch.wrong, 0);
	r.hw.spy = NULL;
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	a->ops->free(a);
	b->ops->free(b);
	vrig_stop(&r);
}

static void test_pasids_that_cannot_be(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 8);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 0), -EINVAL);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 0x100000), -EINVAL);
	assert_int_equal(d->ops->attach(d, &r.dev[0], 1), -EINVAL);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 0xfffff), 0);
	r.iommu->ops->block(&r.dev[2], 0xfffff);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_maps_are_made_of_the_largest_leaves(void **state)
{
	struct core_domain *d;
	uint64_t pa, entry;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0x40000000, 0x80000000, 0x40201000, RW),
			 0);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x40123456, &pa,
			       &entry));
	assert_int_equal(pa, 0x80123456);
	assert_int_equal(vfake_load(&r.hw, entry), 0x80000083);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x80000000, &pa,
			       &entry));
	assert_int_equal(vfake_load(&r.hw, entry), 0xc0000083);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x80200fff, &pa,
			       &entry));
	assert_int_equal(vfake_load(&r.hw, entry), 0xc0200003);
	assert_false(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x80201000,
				&pa, NULL));
	assert_int_equal(r.hw.log_n, 0);
	/* read-only, write-only */
	assert_int_equal(d->ops->map(d, 0x1000, 0x5000, 0x1000, 1), 0);
	assert_int_equal(d->ops->map(d, 0x2000, 0x6000, 0x1000, 2), 0);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x1000, &pa,
			       &entry));
	assert_int_equal(vfake_load(&r.hw, entry), 0x5001);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x2000, &pa,
			       &entry));
	assert_int_equal(vfake_load(&r.hw, entry), 0x6002);
	d->ops->unmap(d, 0x40000000, 0x40201000);
	d->ops->unmap(d, 0x1000, 0x2000);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_a_nest_parent_maps_nothing_read_only(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, NEST_PARENT);
	assert_int_equal(d->ops->map(d, 0x1000, 0x5000, 0x1000, 1), -EINVAL);
	assert_int_equal(d->ops->map(d, 0x1000, 0x5000, 0x1000, 2), 0);
	d->ops->unmap(d, 0x1000, 0x1000);
	d->ops->free(d);
	vrig_stop(&r);
}

/* Pages mapped one by one at [@first, +@n), unmapped together */
static void unmap_pages(struct vrig *r, struct core_domain *d, uint64_t first,
			uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(d->ops->map(d, first + i * 4096,
					     0x10000000 + i * 8192, 4096, RW),
				 0);
	vfake_clear_log(&r->hw);
	d->ops->unmap(d, first, n * 4096);
}

static void test_unmap_names_pages_and_leaves(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0x7000, 4096, RW), 0);
	/* one page, its table stays: IH; then the device */
	unmap_pages(&r, d, 0x5000, 1);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x5040);
	EXPECT_DESC(&r.hw, 1, 0x0000010100000003ULL, 0x5000);
	EXPECT_WAIT(&r.hw, 2);
	assert_int_equal(r.hw.log_n, 3);
	/* 3 pages, 0x5, 0x6-0x7; the device's run is 0x4-0x7 */
	unmap_pages(&r, d, 0x5000, 3);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x5040);
	EXPECT_DESC(&r.hw, 1, 0x100f2, 0x6041);
	EXPECT_DESC(&r.hw, 2, 0x0000010100000003ULL, 0x5001);
	/* the last page takes the tables with it: no IH */
	vfake_clear_log(&r.hw);
	d->ops->unmap(d, 0, 4096);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0);
	EXPECT_DESC(&r.hw, 1, 0x0000010100000003ULL, 0);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_large_pages_go_with_their_own_mask(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0x40000000, 0, 0x40000000, RW), 0);
	assert_int_equal(d->ops->map(d, 0x80000000, 0, 0x200000, RW), 0);
	assert_int_equal(d->ops->map(d, 0x90000000, 0, 0x200000, RW), 0);
	vfake_clear_log(&r.hw);
	d->ops->unmap(d, 0x40000000, 0x40000000);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x40000052); /* AM 18, IH */
	d->ops->unmap(d, 0x80000000, 0x200000);
	EXPECT_DESC(&r.hw, 2, 0x100f2, 0x80000049); /* AM 9, IH */
	d->ops->unmap(d, 0x90000000, 0x200000);
	EXPECT_DESC(&r.hw, 4, 0x100f2, 0x90000009); /* and tables */
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_runs_beyond_the_masks_take_the_domain(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	for (int psi = 0; psi < 2; psi++) {
		vrig_init(&r);
		if (!psi)
			r.hw.cap &= ~(1ULL << 39);
		vrig_start(&r);
		d = vrig_domain(&r, 0);
		assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
		/* 9 GiB in runs of at most 1 GiB */
		assert_int_equal(d->ops->map(d, 0, 0, 9ULL << 30, RW), 0);
		vfake_clear_log(&r.hw);
		d->ops->unmap(d, 0, 9ULL << 30);
		EXPECT_DESC(&r.hw, 0, 0x100e2, 0);
		assert_int_equal(r.hw.log_n, 2);
		/* 8 of them are 8 */
		assert_int_equal(d->ops->map(d, 0, 0, 8ULL << 30, RW), 0);
		vfake_clear_log(&r.hw);
		d->ops->unmap(d, 0, 8ULL << 30);
		if (psi)
			EXPECT_DESC(&r.hw, 7, 0x100f2, 0x1c0000012ULL);
		else
			EXPECT_DESC(&r.hw, 0, 0x100e2, 0);
		assert_int_equal(r.hw.log_n, psi ? 9 : 2);
		r.iommu->ops->block(&r.dev[0], NO_PASID);
		d->ops->free(d);
		vrig_stop(&r);
	}
}

static void test_one_domain_in_two_places_is_told_once(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(d->ops->attach(d, &r.dev[i], NO_PASID), 0);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 7), 0);
	assert_int_equal(d->ops->map(d, 0, 0x7000, 4096, RW), 0);
	unmap_pages(&r, d, 0x5000, 1);
	/* one domain id, so one IOTLB; each device and PASID */
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x5040);
	EXPECT_DESC(&r.hw, 1, 0x0000010100000003ULL, 0x5000);
	EXPECT_DESC(&r.hw, 2, 0x0000018200000003ULL, 0x5000);
	EXPECT_DESC(&r.hw, 3, 0x0000000701820008ULL, 0x5000);
	EXPECT_WAIT(&r.hw, 4);
	assert_int_equal(r.hw.log_n, 5);
	d->ops->unmap(d, 0, 4096);
	for (int i = 0; i < 3; i++)
		r.iommu->ops->block(&r.dev[i], NO_PASID);
	r.iommu->ops->block(&r.dev[2], 7);
	/* nobody there: nobody told */
	unmap_pages(&r, d, 0x5000, 1);
	assert_int_equal(r.hw.log_n, 0);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_two_units_share_a_domain(void **state)
{
	struct core_domain *d;
	struct vrig a, b;

	(void)state;
	vrig_begin(&a);
	vrig_begin(&b);
	d = vrig_domain(&a, 0);
	assert_int_equal(d->ops->attach(d, &a.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->attach(d, &b.dev[1], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0x7000, 4096, RW), 0);
	vfake_clear_log(&a.hw);
	vfake_clear_log(&b.hw);
	d->ops->unmap(d, 0, 4096);
	EXPECT_DESC(&a.hw, 0, 0x100f2, 0);
	assert_int_equal(a.hw.log_n, 2);
	EXPECT_DESC(&b.hw, 0, 0x100f2, 0);
	EXPECT_DESC(&b.hw, 1, 0x0000010100000003ULL, 0);
	assert_int_equal(b.hw.log_n, 3);
	b.iommu->ops->block(&b.dev[1], NO_PASID);
	a.iommu->ops->block(&a.dev[0], NO_PASID);
	d->ops->free(d);
	vrig_stop(&b);
	vrig_stop(&a);
}

/* A unit's CAP: tables of three sizes, those it makes itself, MGAW, pages */
static uint64_t cap_of(uint64_t sagaw, uint64_t mgaw, uint64_t pages)
{
	uint64_t cap = VFAKE_CAP & ~(0x1f00ULL | 0x3f0000ULL | 0xfULL << 34);

	return cap | sagaw | (mgaw - 1) << 16 | pages << 34;
}

/* As on Linux: width and pages are the tables', not what the unit would make */
static void test_a_unit_with_other_tables_takes_them(void **state)
{
	static const struct {
		uint64_t sagaw[2]; /* of who made them, and who takes them */
		uint64_t mgaw[2];
		uint64_t pages[2];
		bool legacy;
		unsigned int aw;
		int rc;
	} cases[] = {
		/* 4 levels, where 5 would be made, or 3 */
		{ { 0x400, 0xe00 }, { 48, 57 }, { 3, 3 }, false, 2, 0 },
		{ { 0x400, 0x600 }, { 39, 39 }, { 3, 3 }, false, 2, 0 },
		{ { 0x200, 0xe00 }, { 39, 57 }, { 1, 3 }, false, 1, 0 },
		{ { 0x800, 0xe00 }, { 48, 48 }, { 0, 1 }, false, 3, 0 },
		{ { 0x400, 0xe00 }, { 48, 57 }, { 3, 3 }, true, 2, 0 },
		/* not that size */
		{ { 0x400, 0xa00 }, { 48, 57 }, { 3, 3 }, false, 2, -EINVAL },
		{ { 0x200, 0xc00 }, { 39, 48 }, { 3, 3 }, true, 1, -EINVAL },
		/* not so many bits */
		{ { 0x400, 0xe00 }, { 48, 47 }, { 3, 3 }, false, 2, -EINVAL },
		{ { 0xe00, 0xe00 }, { 57, 56 }, { 3, 3 }, false, 3, -EINVAL },
		{ { 0xe00, 0xe00 }, { 56, 57 }, { 3, 3 }, false, 3, 0 },
		/* not those pages */
		{ { 0x400, 0x400 }, { 48, 48 }, { 1, 0 }, false, 2, -EINVAL },
		{ { 0x400, 0x400 }, { 48, 48 }, { 3, 1 }, false, 2, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *d;
		struct vrig r[2];
		uint64_t context;

		for (int n = 0; n < 2; n++) {
			vrig_init(&r[n]);
			r[n].hw.cap =
				cap_of(cases[i].sagaw[n], cases[i].mgaw[n],
				       cases[i].pages[n]);
			if (n && cases[i].legacy)
				r[n].hw.ecap &= ~(1ULL << 43);
			vrig_start(&r[n]);
		}
		d = vrig_domain(&r[0], 0);
		assert_int_equal(d->ops->attach(d, &r[1].dev[0], NO_PASID),
				 cases[i].rc);
		if (!cases[i].rc && cases[i].legacy) {
			/* P; AW and domain 1 in the next */
			context = vfake_load(&r[1].hw,
					     (r[1].hw.rtaddr_set & ~0xfffULL) +
						     16) &
				  ~0xfffULL;
			assert_int_equal(vfake_load(&r[1].hw, context) & 0xfff,
					 1);
			assert_int_equal(vfake_load(&r[1].hw, context + 8),
					 0x100 | cases[i].aw);
		} else if (!cases[i].rc) {
			assert_int_equal(
				vfake_entry(&r[1].hw, 0x100, 0, 0) >> 2 & 7,
				cases[i].aw);
			assert_int_equal(
				d->ops->attach(d, &r[0].dev[0], NO_PASID), 0);
			assert_int_equal(
				vfake_entry(&r[0].hw, 0x100, 0, 0) >> 2 & 7,
				cases[i].aw);
			assert_int_equal(root_of(&r[0], 0x100, 0),
					 root_of(&r[1], 0x100, 0));
			r[0].iommu->ops->block(&r[0].dev[0], NO_PASID);
		}
		r[1].iommu->ops->block(&r[1].dev[0], NO_PASID);
		d->ops->free(d);
		vrig_stop(&r[1]);
		vrig_stop(&r[0]);
	}
}

static void test_a_unit_may_have_small_pages_only(void **state)
{
	uint64_t pa, entry;
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.hw.cap &= ~(3ULL << 34);
	vrig_start(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->geometry.page_sizes, 0x1000);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0x200000, 0x40000000, 0x400000, RW), 0);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x3ff123, &pa,
			       &entry));
	assert_int_equal(pa, 0x401ff123);
	assert_int_equal(vfake_load(&r.hw, entry), 0x401ff003);
	d->ops->unmap(d, 0x200000, 0x400000);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_a_unit_that_can_less_is_refused(void **state)
{
	static const struct {
		uint64_t cap_off, ecap_off;
		uint32_t flags;
		int rc;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 0x800, 0, 0, -EINVAL },		 /* 57 bits */
		{ 1ULL << 35, 0, 0, -EINVAL },		 /* 1G */
		{ 0, 1ULL << 26, NEST_PARENT, -EINVAL }, /* NEST */
		{ 0, 1ULL << 26, 0, 0 },
		{ 0, 1ULL << 45, DIRTY, -EINVAL }, /* SSADS */
		{ 0, 1ULL << 45, 0, 0 },
		{ 3ULL << 34, 0, 0, -EINVAL }, /* 2M and 1G */
		{ 1ULL << 19, 0, 0, -EINVAL }, /* MGAW 49 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *d;
		struct vrig a, b;

		vrig_begin(&a);
		vrig_init(&b);
		b.hw.cap &= ~cases[i].cap_off;
		b.hw.ecap &= ~cases[i].ecap_off;
		vrig_start(&b);
		d = vrig_domain(&a, cases[i].flags);
		assert_int_equal(d->ops->attach(d, &b.dev[0], NO_PASID),
				 cases[i].rc);
		if (!cases[i].rc)
			b.iommu->ops->block(&b.dev[0], NO_PASID);
		d->ops->free(d);
		vrig_stop(&b);
		vrig_stop(&a);
	}
}

static void test_caching_mode_is_told_of_what_comes(void **state)
{
	struct core_domain *d;
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.hw.cap |= 1 << 7;
	vrig_start(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	/* what was not present is domain 0's (6.2.3), whatever comes */
	EXPECT_DESC(&r.hw, 0, 0x00017, 0);
	EXPECT_DESC(&r.hw, 1, 0x10017, 0);
	EXPECT_DESC(&r.hw, 2, 0x100e2, 0);
	EXPECT_WAIT(&r.hw, 3);
	assert_int_equal(r.hw.log_n, 4);
	assert_int_equal(d->ops->attach(d, &r.dev[2], 0x12345), 0);
	EXPECT_DESC(&r.hw, 4, 0x0001234500000017ULL, 0);
	EXPECT_DESC(&r.hw, 5, 0x0001234500010017ULL, 0);
	EXPECT_DESC(&r.hw, 6, 0x100e2, 0);
	EXPECT_WAIT(&r.hw, 7);
	assert_int_equal(r.hw.log_n, 8);
	r.iommu->ops->block(&r.dev[2], 0x12345);
	vfake_clear_log(&r.hw);
	assert_int_equal(d->ops->map(d, 0x5000, 0x7000, 4096, RW), 0);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x5000);
	EXPECT_WAIT(&r.hw, 1);
	assert_int_equal(r.hw.log_n, 2);
	d->ops->unmap(d, 0x5000, 4096);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_caching_mode_in_legacy_mode_has_contexts_of_domain_0(void **s)
{
	struct core_domain *d;
	struct vrig r;

	(void)s;
	vrig_init(&r);
	r.hw.cap |= 1 << 7;
	r.hw.ecap &= ~(1ULL << 43);
	vrig_start(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	EXPECT_DESC(&r.hw, 0, 0x0000010100000031ULL, 0);
	EXPECT_DESC(&r.hw, 1, 0x0000010100010031ULL, 0);
	EXPECT_DESC(&r.hw, 2, 0x100e2, 0);
	EXPECT_WAIT(&r.hw, 3);
	assert_int_equal(r.hw.log_n, 4);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_dirty_tracking_sets_ssade_and_reads_d(void **state)
{
	struct vfake_dirty dirty = { 0 };
	struct core_domain *d;
	uint64_t pa, entry;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, DIRTY);
	assert_int_equal(d->ops->attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(d->ops->map(d, 0, 0x80000000, 0x3000, RW), 0);
	assert_int_equal(d->dirty_ops->read_and_clear_dirty(d, 0, 0x3000, false,
							    (void *)&dirty),
			 -EINVAL);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, true), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 0xfff, 0x28d);
	EXPECT_DESC(&r.hw, 0, 0x10017, 0);
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0);
	EXPECT_WAIT(&r.hw, 2);
	/* one that comes later has it too */
	assert_int_equal(d->ops->attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x101, 0, 0) & 0xfff, 0x28d);
	assert_true(vfake_walk(&r.hw, root_of(&r, 0x100, 0), 5, 0x1000, &pa,
			       &entry));
	vfake_set_bits(&r.hw, entry, 0x200); /* D */
	vfake_clear_log(&r.hw);
	assert_int_equal(d->dirty_ops->read_and_clear_dirty(d, 0, 0x3000, false,
							    (void *)&dirty),
			 0);
	assert_int_equal(dirty.n, 1);
	assert_int_equal(dirty.iova[0], 0x1000);
	assert_int_equal(dirty.length[0], 0x1000);
	assert_int_equal(r.hw.log_n, 0);
	assert_int_equal(d->dirty_ops->read_and_clear_dirty(d, 0, 0x3000, true,
							    (void *)&dirty),
			 0);
	assert_int_equal(dirty.n, 2);
	assert_int_equal(vfake_load(&r.hw, entry) & 0x200, 0);
	EXPECT_DESC(&r.hw, 0, 0x100f2, 0x0041);
	EXPECT_DESC(&r.hw, 1, 0x100f2, 0x2040);
	EXPECT_DESC(&r.hw, 2, 0x0000010100000003ULL, 0x1001);
	assert_int_equal(d->dirty_ops->read_and_clear_dirty(d, 0, 0x3000, true,
							    (void *)&dirty),
			 0);
	assert_int_equal(dirty.n, 2);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, false), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 0xfff, 0x08d);
	assert_int_equal(vfake_entry(&r.hw, 0x101, 0, 0) & 0xfff, 0x08d);
	d->ops->unmap(d, 0, 0x3000);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_domain_ids_run_out_and_come_back(void **state)
{
	struct core_domain *d[16];
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.hw.cap &= ~7ULL; /* ND 0: 4 bits, of which 0 is hardware's */
	vrig_start(&r);
	for (int i = 0; i < 16; i++) {
		d[i] = vrig_domain(&r, 8);
		assert_int_equal(d[i]->ops->attach(d[i], &r.dev[2], 1 + i),
				 i < 15 ? 0 : -ENOSPC);
	}
	r.iommu->ops->block(&r.dev[2], 4);
	assert_int_equal(d[15]->ops->attach(d[15], &r.dev[2], 16), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 16, 1), 0x800004);
	for (int i = 0; i < 16; i++) {
		r.iommu->ops->block(&r.dev[2], 1 + i);
		d[i]->ops->free(d[i]);
	}
	vrig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_can_be_allocated),
		cmocka_unit_test(test_sizes_follow_the_capabilities),
		cmocka_unit_test(test_an_entry_says_what_the_domain_is),
		cmocka_unit_test(test_blocking_follows_table_28),
		cmocka_unit_test(test_replacing_has_no_third_meaning),
		cmocka_unit_test(test_pasids_that_cannot_be),
		cmocka_unit_test(test_maps_are_made_of_the_largest_leaves),
		cmocka_unit_test(test_a_nest_parent_maps_nothing_read_only),
		cmocka_unit_test(test_unmap_names_pages_and_leaves),
		cmocka_unit_test(test_large_pages_go_with_their_own_mask),
		cmocka_unit_test(test_runs_beyond_the_masks_take_the_domain),
		cmocka_unit_test(test_one_domain_in_two_places_is_told_once),
		cmocka_unit_test(test_two_units_share_a_domain),
		cmocka_unit_test(test_a_unit_that_can_less_is_refused),
		cmocka_unit_test(test_caching_mode_is_told_of_what_comes),
		cmocka_unit_test(
			test_caching_mode_in_legacy_mode_has_contexts_of_domain_0),
		cmocka_unit_test(test_a_unit_with_other_tables_takes_them),
		cmocka_unit_test(test_a_unit_may_have_small_pages_only),
		cmocka_unit_test(test_dirty_tracking_sets_ssade_and_reads_d),
		cmocka_unit_test(test_domain_ids_run_out_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
