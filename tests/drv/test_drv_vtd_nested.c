// SPDX-License-Identifier: MIT
/* The VT-d driver: nested domains, their entries, their invalidation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_bed.h"

#define ALL UINT64_MAX
#define RW  3

static void begin(struct vbed *t)
{
	vbed_init(t);
	vbed_start(t);
}

/* ---- allocation and entries ---- */

static void test_allocation_answers_as_linux(void **state)
{
	uint64_t s1[4] = { 0, 0x1000, 48, 0 };
	struct core_user_data good = { 1, 24, (uintptr_t)s1 };
	struct core_user_data data;
	struct core_domain *plain, *n = NULL;
	struct vbed t;
	struct vrig *r = &t.r;

	(void)state;
	begin(&t);
	plain = vrig_domain(r, 0);
#define ALLOC(parent, flags) \
	r->iommu->ops->nested_alloc(&r->dev[0], parent, flags, &data, &n)
	data = good;
	assert_int_equal(ALLOC(t.parent, 1), -EOPNOTSUPP);
	assert_int_equal(ALLOC(t.parent, 2), -EOPNOTSUPP);
	assert_int_equal(ALLOC(t.parent, 16), -EOPNOTSUPP);
	assert_int_equal(ALLOC(plain, 0), -EINVAL);
	assert_int_equal(ALLOC(t.n, 0), -EINVAL);
	data.type = 2;
	assert_int_equal(ALLOC(t.parent, 0), -EOPNOTSUPP);
	data = good;
	data.len = 23;
	assert_int_equal(ALLOC(t.parent, 0), -EINVAL);
	data = good;
	data.uptr = 0;
	assert_int_equal(ALLOC(t.parent, 0), -EFAULT);
	assert_null(n);
	data = good;
	assert_int_equal(ALLOC(t.parent, 8), 0);
	n->ops->free(n);
	plain->ops->free(plain);
	vbed_stop(&t);
}

static void test_without_nest_there_are_none(void **state)
{
	uint64_t s1[4] = { 0, 0x1000, 48, 0 };
	struct core_user_data data = { 1, 24, (uintptr_t)s1 };
	struct core_domain *d, *n = NULL;
	struct vrig r;

	(void)state;
	vrig_init(&r);
	r.hw.ecap &= ~(1ULL << 26);
	vrig_start(&r);
	d = vrig_domain(&r, 0);
	assert_int_equal(r.iommu->ops->nested_alloc(&r.dev[0], d, 0, &data, &n),
			 -EOPNOTSUPP);
	d->ops->free(d);
	vrig_stop(&r);
}

static void test_what_hardware_cannot_do_is_found_at_attach(void **state)
{
	static const struct {
		uint64_t flags, cap_off, ecap_off;
		uint32_t width;
		int rc;
	} cases[] = {
		{ 0, 0, 0, 48, 0 },
		{ 0, 0, 0, 57, 0 },
		{ 0, 0, 0, 0, -EINVAL },
		{ 0, 0, 0, 47, -EINVAL },
		{ 0, 0, 0, 64, -EINVAL },
		{ 0, 1ULL << 60, 0, 57, -EINVAL },
		{ 0, 1ULL << 60, 0, 48, 0 },
		{ 1, 0, 0, 48, 0 },
		{ 1, 0, 1ULL << 31, 48, -EINVAL },
		{ 2, 0, 0, 48, 0 },
		{ 2, 0, 1ULL << 34, 48, -EINVAL },
		{ 4, 0, 0, 48, 0 },
		{ 1ULL << 63, 0, 0, 48, 0 }, /* Linux looks at none of these */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *d, *n;
		struct vrig r;

		vrig_init(&r);
		r.hw.cap &= ~cases[i].cap_off;
		r.hw.ecap &= ~cases[i].ecap_off;
		vrig_start(&r);
		d = vrig_domain(&r, 1);
		assert_int_equal(vrig_nested(&r, d, cases[i].flags, 0x1000,
					     cases[i].width, &n),
				 0);
		assert_int_equal(n->ops->attach(n, &r.dev[0], NO_PASID),
				 cases[i].rc);
		assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 1,
				 !cases[i].rc);
		r.iommu->ops->block(&r.dev[0], NO_PASID);
		n->ops->free(n);
		d->ops->free(d);
		vrig_stop(&r);
	}
}

/* 6.2.3.1: bits from the host's address width on are a fault of hardware's */
static void test_a_table_beyond_the_hosts_addresses_is_refused(void **state)
{
	static const unsigned int haws[] = { 0, 32, 39, 46, 52 };

	(void)state;
	for (size_t i = 0; i < sizeof(haws) / sizeof(haws[0]); i++) {
		unsigned int width = haws[i] ? haws[i] : 52;
		struct core_domain *d, *n;
		struct vrig r;

		vrig_init(&r);
		r.cfg.haw = haws[i];
		vrig_start(&r);
		d = vrig_domain(&r, 1);
		for (unsigned int bit = 0; bit < 64; bit++) {
			assert_int_equal(
				vrig_nested(&r, d, 0, 1ULL << bit, 48, &n), 0);
			assert_int_equal(n->ops->attach(n, &r.dev[2], NO_PASID),
					 bit < width ? 0 : -EINVAL);
			assert_int_equal(n->ops->attach(n, &r.dev[2], 5),
					 bit < width ? 0 : -EINVAL);
			assert_int_equal(vfake_entry(&r.hw, 0x182, 0, 2),
					 bit >= 12 && bit < width ? 1ULL << bit
								  : 0);
			r.iommu->ops->block(&r.dev[2], NO_PASID);
			r.iommu->ops->block(&r.dev[2], 5);
			n->ops->free(n);
		}
		d->ops->free(d);
		vrig_stop(&r);
	}
}

/* It is the parent's mappings that the other unit has to be told of. */
static void test_caching_mode_behind_another_unit_is_told_as_well(void **state)
{
	struct core_domain *parent, *n;
	struct vrig a, b;

	(void)state;
	vrig_begin(&a);
	vrig_init(&b);
	b.hw.cap |= 1 << 7;
	vrig_start(&b);
	parent = vrig_domain(&a, 1);
	assert_int_equal(vrig_nested(&a, parent, 0, 0x1000, 48, &n), 0);
	assert_int_equal(parent->ops->map(parent, 0, 0x7000, 4096, RW), 0);
	assert_int_equal(b.hw.log_n, 0);
	assert_int_equal(n->ops->attach(n, &b.dev[0], NO_PASID), 0);
	vfake_clear_log(&b.hw);
	assert_int_equal(parent->ops->map(parent, 0x5000, 0x7000, 4096, RW), 0);
	EXPECT_DESC(&b.hw, 0, 0x100f2, 0x5000);
	EXPECT_WAIT(&b.hw, 1);
	assert_int_equal(a.hw.log_n, 0);
	b.iommu->ops->block(&b.dev[0], NO_PASID);
	n->ops->free(n);
	parent->ops->free(parent);
	vrig_stop(&b);
	vrig_stop(&a);
}

#define MANY 10007u /* a prime, so that steps of any size reach all */

/* In any order of coming and going each is told once, by PASID. */
static void test_many_pasids_of_one_table(void **state)
{
	struct ventry e = { .addr = 0x5000, .npages = 1 };
	struct core_inval inv;
	struct vbed t;
	uint64_t at = 0;

	(void)state;
	begin(&t);
	for (uint64_t i = 0; i < MANY; i++)
		vbed_attach(&t, 2, 1 + (uint32_t)(i * 6007 % MANY));
	for (uint64_t i = 0; i < MANY; i += 3)
		t.r.iommu->ops->block(&t.r.dev[2],
				      1 + (uint32_t)(i * 997 % MANY));
	vfake_clear_log(&t.r.hw);
	assert_int_equal(vrig_inval(t.n, &e, 1, false, &inv), 0);
	for (size_t i = 0; i < t.r.hw.log_n; i++) {
		const uint64_t *dw = t.r.hw.log[i];

		if ((dw[0] & 0xf) == 5)
			continue;
		/* IOTLB of domain 1 and this PASID, then device 0x182 */
		assert_true(dw[0] >> 32 > at);
		at = dw[0] >> 32;
		assert_int_equal(dw[0] & 0xffffffff, 0x10036);
		while ((t.r.hw.log[++i][0] & 0xf) == 5)
			;
		assert_int_equal(t.r.hw.log[i][0], at << 32 | 0x01820008);
		t.r.hw.log[i][0] = 0;
	}
	/* all that have stayed */
	at = 0;
	for (size_t i = 0; i < t.r.hw.log_n; i++)
		at += !t.r.hw.log[i][0];
	assert_int_equal(at, MANY - (MANY + 2) / 3);
	for (uint32_t i = 1; i <= MANY; i++)
		t.r.iommu->ops->block(&t.r.dev[2], i);
	vbed_stop(&t);
}

static void test_an_entry_has_both_stages(void **state)
{
	static const struct {
		uint64_t flags;
		uint32_t width;
		uint64_t dw2;
	} cases[] = {
		{ 0, 48, 0 },
		{ 0, 57, 1 << 2 },     /* FSPM 1 */
		{ 1, 48, 1 },	       /* SRE */
		{ 2, 48, 1 << 7 },     /* EAFE */
		{ 4, 48, 0 },	       /* WPE is nothing without SRE */
		{ 5, 48, 1 | 1 << 4 }, /* SRE, WPE */
		{ 7, 57, 1 | 1 << 2 | 1 << 4 | 1 << 7 },
	};
	struct core_domain *direct;
	struct vbed t;

	(void)state;
	begin(&t);
	direct = t.parent;
	assert_int_equal(direct->ops->attach(direct, &t.r.dev[1], NO_PASID), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_domain *n;

		/* bits below 12 are none of an address */
		assert_int_equal(vrig_nested(&t.r, t.parent, cases[i].flags,
					     0xcdef123456fffULL, cases[i].width,
					     &n),
				 0);
		assert_int_equal(n->ops->attach(n, &t.r.dev[0], NO_PASID), 0);
		/* P, AW 3, PGTT 3; the parent's table; a domain id of its own
		 */
		assert_int_equal(
			vfake_entry(&t.r.hw, 0x100, 0, 0),
			(vfake_entry(&t.r.hw, 0x101, 0, 0) & ~0xfffULL) |
				0x0cd);
		assert_int_equal(vfake_entry(&t.r.hw, 0x100, 0, 1), 0x800002);
		assert_int_equal(vfake_entry(&t.r.hw, 0x100, 0, 2),
				 0xcdef123456000ULL | cases[i].dw2);
		t.r.iommu->ops->block(&t.r.dev[0], NO_PASID);
		n->ops->free(n);
	}
	vbed_stop(&t);
}

static void test_nested_domains_of_one_parent_have_their_own_ids(void **state)
{
	struct core_domain *other;
	struct vbed t;

	(void)state;
	begin(&t);
	assert_int_equal(vrig_nested(&t.r, t.parent, 0, 0x5000, 48, &other), 0);
	vbed_attach(&t, 0, NO_PASID);
	assert_int_equal(other->ops->attach(other, &t.r.dev[1], NO_PASID), 0);
	assert_int_equal(vfake_entry(&t.r.hw, 0x100, 0, 1) & 0xffff, 1);
	assert_int_equal(vfake_entry(&t.r.hw, 0x101, 0, 1) & 0xffff, 2);
	/* replacing: the old one's id is told of */
	vfake_clear_log(&t.r.hw);
	assert_int_equal(other->ops->attach(other, &t.r.dev[0], NO_PASID), 0);
	EXPECT_DESC(&t.r.hw, 0, 0x10017, 0);
	EXPECT_DESC(&t.r.hw, 1, 0x100e2, 0);
	assert_int_equal(vfake_entry(&t.r.hw, 0x100, 0, 1) & 0xffff, 2);
	t.r.iommu->ops->block(&t.r.dev[0], NO_PASID);
	t.r.iommu->ops->block(&t.r.dev[1], NO_PASID);
	other->ops->free(other);
	vbed_stop(&t);
}

static void test_a_change_below_reaches_every_guest(void **state)
{
	struct core_domain *other;
	struct vbed t;

	(void)state;
	begin(&t);
	assert_int_equal(vrig_nested(&t.r, t.parent, 0, 0x5000, 48, &other), 0);
	vbed_attach(&t, 1, NO_PASID);
	assert_int_equal(other->ops->attach(other, &t.r.dev[2], 9), 0);
	assert_int_equal(t.parent->ops->attach(t.parent, &t.r.dev[2], NO_PASID),
			 0);
	assert_int_equal(t.parent->ops->map(t.parent, 0, 0x7000, 4096, RW), 0);
	assert_int_equal(t.parent->ops->map(t.parent, 0x5000, 0x8000, 4096, RW),
			 0);
	vfake_clear_log(&t.r.hw);
	t.parent->ops->unmap(t.parent, 0x5000, 4096);
	/* page-selective with each domain id (table 28) ... */
	EXPECT_DESC(&t.r.hw, 0, 0x300f2, 0x5040);
	EXPECT_DESC(&t.r.hw, 1, 0x100f2, 0x5040);
	EXPECT_DESC(&t.r.hw, 2, 0x200f2, 0x5040);
	/* ... the page of who is directly there, all of guests' devices */
	EXPECT_DESC(&t.r.hw, 3, 0x0000018200000003ULL, 0x5000);
	EXPECT_DESC(&t.r.hw, 4, 0x0000010100000003ULL, 0x7ffffffffffff001ULL);
	EXPECT_DESC(&t.r.hw, 5, 0x0000000901820008ULL, 0x7ffffffffffff800ULL);
	EXPECT_WAIT(&t.r.hw, 6);
	assert_int_equal(t.r.hw.log_n, 7);
	assert_int_equal(t.r.hw.doorbells, 1);
	t.parent->ops->unmap(t.parent, 0, 4096);
	t.r.iommu->ops->block(&t.r.dev[2], 9);
	t.r.iommu->ops->block(&t.r.dev[1], NO_PASID);
	t.r.iommu->ops->block(&t.r.dev[2], NO_PASID);
	other->ops->free(other);
	vbed_stop(&t);
}

static void test_tracking_the_parent_tracks_the_nested(void **state)
{
	struct core_domain *d, *n;
	struct vrig r;

	(void)state;
	vrig_begin(&r);
	d = vrig_domain(&r, 3);
	assert_int_equal(vrig_nested(&r, d, 0, 0x5000, 48, &n), 0);
	assert_int_equal(n->ops->attach(n, &r.dev[2], 9), 0);
	vfake_clear_log(&r.hw);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, true), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 9, 0) & 0xfff, 0x2cd);
	EXPECT_DESC(&r.hw, 0, 0x0000000900010017ULL, 0);
	EXPECT_DESC(&r.hw, 1, 0x100e2, 0);
	EXPECT_DESC(&r.hw, 2, 0x0000000901820008ULL, 0x7ffffffffffff800ULL);
	assert_int_equal(n->ops->attach(n, &r.dev[0], NO_PASID), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 0xfff, 0x2cd);
	assert_int_equal(d->dirty_ops->set_dirty_tracking(d, false), 0);
	assert_int_equal(vfake_entry(&r.hw, 0x100, 0, 0) & 0xfff, 0x0cd);
	assert_int_equal(vfake_entry(&r.hw, 0x182, 9, 0) & 0xfff, 0x0cd);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	r.iommu->ops->block(&r.dev[2], 9);
	n->ops->free(n);
	d->ops->free(d);
	vrig_stop(&r);
}

/* ---- invalidation ---- */

static int inval(struct vbed *t, struct ventry *e, uint32_t n, uint32_t *done)
{
	struct core_inval inv;
	int rc;

	vfake_clear_log(&t->r.hw);
	rc = vrig_inval(t->n, e, n, false, &inv);
	*done = inv.done;
	return rc;
}

static void test_a_page_of_one_device_without_ats(void **state)
{
	struct ventry e = { .addr = 0x7fff12345000, .npages = 1 };
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	assert_int_equal(done, 1);
	EXPECT_DESC(&t.r.hw, 0, 0x10036, 0x7fff12345000);
	EXPECT_WAIT(&t.r.hw, 1);
	assert_int_equal(t.r.hw.log_n, 2);
	e.flags = 1; /* LEAF: IH */
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	EXPECT_DESC(&t.r.hw, 0, 0x10036, 0x7fff12345040);
	vbed_stop(&t);
}

static void test_everything_of_a_pasid(void **state)
{
	struct ventry e = { .npages = ALL, .flags = 1 };
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 1, NO_PASID);
	vbed_attach(&t, 2, 0xabcde);
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	EXPECT_DESC(&t.r.hw, 0, 0x10026, 0);
	EXPECT_DESC(&t.r.hw, 1, 0x0000010100000003ULL, 0x7ffffffffffff001ULL);
	EXPECT_DESC(&t.r.hw, 2, 0x000abcde00010026ULL, 0);
	EXPECT_DESC(&t.r.hw, 3, 0x000abcde01820008ULL, 0x7ffffffffffff800ULL);
	EXPECT_WAIT(&t.r.hw, 4);
	assert_int_equal(t.r.hw.log_n, 5);
	e.npages = 1ULL << 52; /* all there are */
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	EXPECT_DESC(&t.r.hw, 0, 0x10026, 0);
	assert_int_equal(t.r.hw.log_n, 5);
	t.r.iommu->ops->block(&t.r.dev[2], 0xabcde);
	vbed_stop(&t);
}

static void test_each_place_is_told_once(void **state)
{
	struct ventry e = { .addr = 0x5000, .npages = 1 };
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	for (int i = 0; i < 3; i++)
		vbed_attach(&t, i, NO_PASID);
	vbed_attach(&t, 2, 6);
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	/* three devices with PASID 0 under one id: one entry of the IOTLB */
	EXPECT_DESC(&t.r.hw, 0, 0x10036, 0x5000);
	EXPECT_DESC(&t.r.hw, 1, 0x0000010100000003ULL, 0x5000);
	EXPECT_DESC(&t.r.hw, 2, 0x0000018200000003ULL, 0x5000);
	EXPECT_DESC(&t.r.hw, 3, 0x0000000600010036ULL, 0x5000);
	EXPECT_DESC(&t.r.hw, 4, 0x0000000601820008ULL, 0x5000);
	EXPECT_WAIT(&t.r.hw, 5);
	assert_int_equal(t.r.hw.log_n, 6);
	t.r.iommu->ops->block(&t.r.dev[2], 6);
	vbed_stop(&t);
}

static void test_ranges_become_aligned_runs(void **state)
{
	static const struct {
		uint64_t addr, npages;
		uint64_t dw1[9]; /* 1: the end */
		uint64_t dev;
	} cases[] = {
		{ 0x4000, 4, { 0x4002, 1 }, 0x5001 },
		{ 0x5000, 2, { 0x5000, 0x6000, 1 }, 0x5001 },
		{ 0x200000, 512, { 0x200009, 1 }, 0x2ff001 },
		{ 0x1000, 7, { 0x1000, 0x2001, 0x4002, 1 }, 0x3001 },
		{ 0, 1ULL << 51, { 0x33, 1 }, 0x3ffffffffffff001ULL },
		{ 0xfffffffffffff000ULL,
		  1,
		  { 0xfffffffffffff000ULL, 1 },
		  0xfffffffffffff000ULL },
		/* 1 to 510: 16 runs exactly; so outwards to 32 pages: 0 to 511
		 */
		{ 0x1000, 510, { 0x0009, 1 }, 0xff001 },
		/* 33 to 1054: 9 runs and more exactly; so 0 to 1087 */
		{ 0x21000, 1022, { 0x000a, 0x400006, 1 }, 0x3ff001 },
	};
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 1, NO_PASID);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ventry e = { .addr = cases[i].addr,
				    .npages = cases[i].npages };
		size_t n = 0;

		assert_int_equal(inval(&t, &e, 1, &done), 0);
		for (; cases[i].dw1[n] != 1; n++)
			EXPECT_DESC(&t.r.hw, n, 0x10036, cases[i].dw1[n]);
		EXPECT_DESC(&t.r.hw, n, 0x0000010100000003ULL, cases[i].dev);
		assert_int_equal(t.r.hw.log_n, n + 2);
	}
	vbed_stop(&t);
}

static void test_every_range_is_covered(void **state)
{
	uint64_t seed = 1;
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	for (int i = 0; i < 3000; i++) {
		struct ventry e = { 0 };
		uint64_t next, end_page, covered = 0;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		e.npages = 1 + (seed >> 20 & ((1ULL << (seed >> 59)) - 1));
		e.addr = (seed >> 8 & 0xffffffffff) << 12;
		next = e.addr >> 12;
		end_page = next + e.npages;
		assert_int_equal(inval(&t, &e, 1, &done), 0);
		assert_true(t.r.hw.log_n <= 9);
		for (size_t k = 0; k + 1 < t.r.hw.log_n; k++) {
			uint64_t dw1 = t.r.hw.log[k][1];
			uint64_t size = 1ULL << (dw1 & 0x3f);

			assert_int_equal(dw1 >> 12 & (size - 1), 0);
			assert_true(dw1 >> 12 <= next);
			next = (dw1 >> 12) + size;
			covered += size;
		}
		assert_true(next >= end_page);
		assert_true(covered <= e.npages + e.npages / 4);
	}
	vbed_stop(&t);
}

static void test_bad_entries_answer_an_errno_and_count(void **state)
{
	static const struct {
		struct ventry e;
		int rc;
	} cases[] = {
		{ { .npages = 1, .flags = 2 }, -EOPNOTSUPP },
		{ { .npages = 1, .flags = 1u << 31 }, -EOPNOTSUPP },
		{ { .npages = 1, .reserved = 1 }, -EOPNOTSUPP },
		{ { .npages = 1, .reserved = 1u << 31 }, -EOPNOTSUPP },
		/* unknown bits before what is wrong with known ones */
		{ { .addr = 1, .npages = 1, .flags = 2 }, -EOPNOTSUPP },
		{ { .addr = 1, .npages = 1 }, -EINVAL },
		{ { .addr = 0x800, .npages = 1 }, -EINVAL },
		{ { .addr = 0x1000, .npages = ALL }, -EINVAL },
		{ { .addr = 0x1800, .npages = 0 }, -EINVAL },
		{ { .addr = 0x1000, .npages = 1ULL << 52 }, -EINVAL },
		{ { .addr = 0, .npages = (1ULL << 52) + 1 }, -EINVAL },
		{ { .addr = 0, .npages = ALL - 1 }, -EINVAL },
		{ { .addr = ALL << 12, .npages = 2 }, -EINVAL },
		/* nobody knows these bytes without NESTFD_EXT_ERRORS */
		{ { .npages = 1, .hw_error = 1 }, -E2BIG },
		{ { .npages = 1, .hw_error_info = 1 }, -E2BIG },
	};
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ventry e[4] = { { .addr = 0x1000, .npages = 1 },
				       { .addr = 0x2000, .npages = 1 },
				       cases[i].e,
				       { .addr = 0x3000, .npages = 1 } };

		assert_int_equal(inval(&t, e, 4, &done), cases[i].rc);
		assert_int_equal(done, 2);
		EXPECT_DESC(&t.r.hw, 0, 0x10036, 0x1000);
		EXPECT_DESC(&t.r.hw, 1, 0x10036, 0x2000);
		EXPECT_WAIT(&t.r.hw, 2);
		assert_int_equal(t.r.hw.log_n, 3);
		assert_int_equal(inval(&t, &e[2], 1, &done), cases[i].rc);
		assert_int_equal(done, 0);
		assert_int_equal(t.r.hw.log_n, 0);
	}
	vbed_stop(&t);
}

static void test_every_bit_of_flags_and_reserved(void **state)
{
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	for (int bit = 0; bit < 32; bit++) {
		struct ventry e = { .npages = 1, .flags = 1u << bit };

		assert_int_equal(inval(&t, &e, 1, &done),
				 bit ? -EOPNOTSUPP : 0);
		e = (struct ventry){ .npages = 1, .reserved = 1u << bit };
		assert_int_equal(inval(&t, &e, 1, &done), -EOPNOTSUPP);
	}
	for (int bit = 0; bit < 64; bit++) {
		struct ventry e = { .npages = 1, .addr = 1ULL << bit };

		assert_int_equal(inval(&t, &e, 1, &done),
				 bit < 12 ? -EINVAL : 0);
	}
	vbed_stop(&t);
}

static void test_no_pages_and_nobody_there_are_done(void **state)
{
	struct ventry e = { .addr = 0x1000, .npages = 0 };
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(t.r.hw.log_n, 0);
	t.r.iommu->ops->block(&t.r.dev[0], NO_PASID);
	e.npages = 1;
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(t.r.hw.log_n, 0);
	vbed_stop(&t);
}

static void test_types_and_lengths_of_entries(void **state)
{
	struct ventry e[2] = { { .npages = 1 }, { .npages = 1 } };
	struct core_inval inv = { .uptr = (uintptr_t)e, .count = 1 };
	struct vbed t;

	(void)state;
	begin(&t);
	assert_true(t.n->ops->inval_type(t.n, 0));
	assert_false(t.n->ops->inval_type(t.n, 1));
	inv.stride = 24;
	inv.type = 1;
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), -EINVAL);
	inv.type = 0;
	inv.stride = 23;
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), -EINVAL);
	assert_int_equal(inv.done, 0);
	inv.stride = 24;
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), 0);
	assert_int_equal(inv.done, 1);
	inv.stride = 28; /* between the two: unknown bytes */
	inv.errors = true;
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), 0);
	e[0].hw_error = 1;
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), -E2BIG);
	assert_int_equal(inv.done, 0);
	vbed_stop(&t);
}

static void test_what_can_be_read_is_done(void **state)
{
	struct ventry *e = calloc(300, sizeof(*e));
	struct core_inval inv = { .uptr = (uintptr_t)e,
				  .stride = sizeof(*e),
				  .count = 300,
				  .first = 200 };
	struct vbed t;

	(void)state;
	assert_non_null(e);
	begin(&t);
	vbed_attach(&t, 0, NO_PASID);
	for (int i = 0; i < 300; i++) {
		e[i].addr = (uint64_t)i << 12;
		e[i].npages = 1;
	}
	vfake_clear_log(&t.r.hw);
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), -EFAULT);
	assert_int_equal(inv.done, 200);
	/* chunks of 128 entries, each with a wait */
	assert_int_equal(t.r.hw.log_n, 202);
	EXPECT_WAIT(&t.r.hw, 128);
	inv.first = 0;
	vfake_clear_log(&t.r.hw);
	assert_int_equal(t.n->ops->invalidate(t.n, &inv), 0);
	assert_int_equal(inv.done, 300);
	assert_int_equal(t.r.hw.log_n, 303);
	assert_int_equal(t.r.hw.doorbells, 3);
	vbed_stop(&t);
	free(e);
}

static void test_two_units_are_both_told(void **state)
{
	struct ventry e = { .addr = 0x5000, .npages = 1 };
	struct vrig other;
	uint32_t done;
	struct vbed t;

	(void)state;
	begin(&t);
	vrig_begin(&other);
	vbed_attach(&t, 0, NO_PASID);
	assert_int_equal(t.n->ops->attach(t.n, &other.dev[1], NO_PASID), 0);
	assert_int_equal(inval(&t, &e, 1, &done), 0);
	EXPECT_DESC(&t.r.hw, 0, 0x10036, 0x5000);
	EXPECT_DESC(&other.hw, 0, 0x10036, 0x5000);
	EXPECT_DESC(&other.hw, 1, 0x0000010100000003ULL, 0x5000);
	assert_int_equal(other.hw.log_n, 3);
	other.iommu->ops->block(&other.dev[1], NO_PASID);
	vrig_stop(&other);
	vbed_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocation_answers_as_linux),
		cmocka_unit_test(test_without_nest_there_are_none),
		cmocka_unit_test(
			test_what_hardware_cannot_do_is_found_at_attach),
		cmocka_unit_test(
			test_a_table_beyond_the_hosts_addresses_is_refused),
		cmocka_unit_test(
			test_caching_mode_behind_another_unit_is_told_as_well),
		cmocka_unit_test(test_many_pasids_of_one_table),
		cmocka_unit_test(test_an_entry_has_both_stages),
		cmocka_unit_test(
			test_nested_domains_of_one_parent_have_their_own_ids),
		cmocka_unit_test(test_a_change_below_reaches_every_guest),
		cmocka_unit_test(test_tracking_the_parent_tracks_the_nested),
		cmocka_unit_test(test_a_page_of_one_device_without_ats),
		cmocka_unit_test(test_everything_of_a_pasid),
		cmocka_unit_test(test_each_place_is_told_once),
		cmocka_unit_test(test_ranges_become_aligned_runs),
		cmocka_unit_test(test_every_range_is_covered),
		cmocka_unit_test(test_bad_entries_answer_an_errno_and_count),
		cmocka_unit_test(test_every_bit_of_flags_and_reserved),
		cmocka_unit_test(test_no_pages_and_nobody_there_are_done),
		cmocka_unit_test(test_types_and_lengths_of_entries),
		cmocka_unit_test(test_what_can_be_read_is_done),
		cmocka_unit_test(test_two_units_are_both_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
