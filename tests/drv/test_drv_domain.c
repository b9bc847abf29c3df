// SPDX-License-Identifier: MIT
/*
 * Paging domains: the STEs and CDs that are written (worked out by hand from
 * Arm IHI 0070 5.2 and 5.4), changing over, PASIDs, identifiers.
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

#define STE_S1	    0x0bULL	      /* V, Config 0b101 */
#define STE_S1_W1   0xd6ULL	      /* S1DSS 2, CIR 1, COR 1, CSH 3 */
#define EATS	    0x10000000ULL     /* bits 29:28 = 1 */
#define STE_S2	    0x0dULL	      /* V, Config 0b110 */
#define STE_S2_W1   0x100000000000ULL /* SHCFG = 1 */
/* T0SZ 16, SL0 2, IR0 1, OR0 1, SH0 3, TG 0, PS 5, AA64, PTW, R */
#define STE_S2_W2 0x044d359000000000ULL
/* T0SZ 16, IR0 1, OR0 1, SH0 3, EPD1, V, IPS 5, AA64, R, A, ASET */
#define CD_W0 0x0000e205c0003510ULL

static void test_B_rows_which_flags_make_a_domain(void **state)
{
	struct core_domain *d = NULL;
	struct rig r;

	(void)state;
	rig_start(&r);
	/* B1 to B6; FAULT_ID_VALID (4) is core's business */
	static const struct {
		uint32_t flags;
		int rc;
	} rows[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 1 | 2, -EOPNOTSUPP },
		{ 8, 0 },
		{ 1 | 8, -EOPNOTSUPP },
		{ 0x100, -EOPNOTSUPP },
		{ 2, -EOPNOTSUPP },
		{ 4, 0 },
		{ 1 | 4, 0 },
		{ 2 | 8, -EOPNOTSUPP },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0],
							    rows[i].flags, &d),
				 rows[i].rc);
		if (!rows[i].rc)
			d->ops->free(d);
	}
	rig_stop(&r);
}

static void
test_without_a_stage_the_domains_that_need_it_do_not_exist(void **state)
{
	struct core_domain *d = NULL;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[0] &= ~2u; /* S1P */
	rig_start_devices(&r);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 8, &d),
			 -EOPNOTSUPP);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 1, &d),
			 -EOPNOTSUPP);
	d = rig_domain(&r, 0);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x100, 0), STE_S2);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);

	rig_init(&r);
	r.hw.idr[0] &= ~1u; /* S2P */
	rig_start_devices(&r);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 1, &d),
			 -EOPNOTSUPP);
	d = rig_domain(&r, 0);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x100, 0) & 0x3f, STE_S1);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_B21_the_geometry_is_that_of_the_sizes(void **state)
{
	struct core_domain *d;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[5] = 4 | 7 << 4; /* OAS 44, as in the observation */
	rig_start_devices(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(d->geometry.first, 0);
	assert_int_equal(d->geometry.last, 0xfffffffffff);
	assert_int_equal(d->geometry.page_sizes, 0x40201000);
	assert_false(d->nested);
	d->ops->free(d);
	d = rig_domain(&r, 0);
	assert_int_equal(d->geometry.last, 0xffffffffffff);
	d->ops->free(d);
	rig_stop(&r);

	rig_init(&r);
	r.hw.idr[5] = 6 | 4 << 4; /* OAS 52 (used as 48), 64K only */
	rig_start_devices(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(d->geometry.last, 0xffffffffffff);
	assert_int_equal(d->geometry.page_sizes, 0x20010000);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	/* S2TG 1 (64K), SL0 2, PS 5 */
	assert_int_equal(fake_ste(&r.hw, 0x100, 2) >> 38 & 3, 2);
	assert_int_equal(fake_ste(&r.hw, 0x100, 2) >> 46 & 3, 1);
	assert_int_equal(fake_ste(&r.hw, 0x100, 2) >> 48 & 7, 5);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_a_stage1_attach_writes_this_ste_and_cd(void **state)
{
	struct core_domain *d;
	struct rig r;
	uint64_t pa;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, 0);
	assert_int_equal(d->ops->map(d, 0x40000000, 0x80000000, 0x1000, 3), 0);
	assert_int_equal(parts_attach(d, &r.dev[0], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x100, 0) & 0xff0000000000003f,
			 STE_S1);
	assert_int_equal(fake_ste(&r.hw, 0x100, 1), STE_S1_W1);
	for (unsigned int i = 2; i < 8; i++)
		assert_int_equal(fake_ste(&r.hw, 0x100, i), 0);
	assert_int_equal(fake_cd(&r.hw, 0x100, 0, 0), CD_W0 | 1ULL << 48);
	assert_int_equal(fake_cd(&r.hw, 0x100, 0, 2), 0);
	assert_int_equal(fake_cd(&r.hw, 0x100, 0, 3), 0x4ff);
	assert_true(fake_walk(&r.hw, fake_cd(&r.hw, 0x100, 0, 1), 16, 0,
			      0x40000123, &pa));
	assert_int_equal(pa, 0x80000123);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	assert_int_equal(fake_ste(&r.hw, 0x100, 0), 1);
	assert_int_equal(fake_ste(&r.hw, 0x100, 1), 0);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_a_stage2_attach_writes_this_ste(void **state)
{
	struct core_domain *d;
	struct rig r;
	uint64_t pa;

	(void)state;
	rig_start(&r);
	d = rig_domain(&r, NEST_PARENT);
	assert_int_equal(d->ops->map(d, 0x40000000, 0x80000000, 0x200000, 1),
			 0);
	assert_int_equal(parts_attach(d, &r.dev[1], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x101, 0), STE_S2);
	assert_int_equal(fake_ste(&r.hw, 0x101, 1), STE_S2_W1 | EATS);
	assert_int_equal(fake_ste(&r.hw, 0x101, 2), STE_S2_W2 | 1);
	assert_true(fake_walk(&r.hw, fake_ste(&r.hw, 0x101, 3), 16, 0,
			      0x401fffff, &pa));
	assert_int_equal(pa, 0x801fffff);
	for (unsigned int i = 4; i < 8; i++)
		assert_int_equal(fake_ste(&r.hw, 0x101, i), 0);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	d->ops->free(d);
	rig_stop(&r);
}

static void test_stall_models_set_their_bits(void **state)
{
	struct core_domain *s1;
	struct core_domain *s2;
	struct rig r;

	(void)state;
	for (uint32_t model = 0; model < 3; model++) {
		rig_init(&r);
		r.hw.idr[0] = (r.hw.idr[0] & ~(3u << 24)) | model << 24;
		rig_start_devices(&r);
		s1 = rig_domain(&r, 0);
		s2 = rig_domain(&r, NEST_PARENT);
		assert_int_equal(parts_attach(s1, &r.dev[0], NO_PASID), 0);
		assert_int_equal(parts_attach(s2, &r.dev[1], NO_PASID), 0);
		/* S1STALLD 27 where stalls are optional; S where forced */
		assert_int_equal(fake_ste(&r.hw, 0x100, 1) >> 27 & 1,
				 model == 0);
		assert_int_equal(fake_cd(&r.hw, 0x100, 0, 0) >> 44 & 1,
				 model == 2);
		assert_int_equal(fake_ste(&r.hw, 0x101, 2) >> 57 & 1,
				 model == 2);
		r.iommu->ops->block(&r.dev[0], NO_PASID);
		r.iommu->ops->block(&r.dev[1], NO_PASID);
		s1->ops->free(s1);
		s2->ops->free(s2);
		rig_stop(&r);
	}
}

/*
 * What hardware may fetch: after every command the STE must be the old one,
 * the new one, or abort, seen only by the bits it uses.
 */
struct watch {
	struct rig *r;
	uint32_t sid;
	unsigned int gaps;  /* moments with V = 0 or Config abort */
	unsigned int wrong; /* moments with a third meaning */
	uint64_t old_ctx, new_ctx;
};

static void watch_s1(struct fake *f, const uint64_t dw[2])
{
	struct watch *w = f->spy_arg;
	uint64_t w0 = fake_ste(f, w->sid, 0);
	uint64_t asid;

	(void)dw;
	if ((w0 & 0xf) != STE_S1) {
		w->gaps++;
		return;
	}
	asid = fake_cd(&w->r->hw, w->sid, 0, 0) >> 48;
	if (!(fake_cd(&w->r->hw, w->sid, 0, 0) >> 31 & 1))
		w->gaps++;
	else if (fake_cd(&w->r->hw, w->sid, 0, 1) !=
		 (asid == 1 ? w->old_ctx : w->new_ctx))
		w->wrong++;
}

static void test_replacing_stage1_by_stage1_has_no_gap(void **state)
{
	struct core_domain *a;
	struct core_domain *b;
	struct watch w = { 0 };
	struct rig r;

	(void)state;
	for (int dev = 0; dev < 3; dev += 2) {
		rig_start(&r);
		a = rig_domain(&r, 0);
		b = rig_domain(&r, 0);
		w = (struct watch){ .r = &r, .sid = 0x100 + dev };
		assert_int_equal(parts_attach(b, &r.dev[dev], NO_PASID), 0);
		w.new_ctx = fake_cd(&r.hw, w.sid, 0, 1);
		assert_int_equal(parts_attach(a, &r.dev[dev], NO_PASID), 0);
		w.old_ctx = fake_cd(&r.hw, w.sid, 0, 1);
		assert_int_not_equal(w.old_ctx, w.new_ctx);
		r.hw.spy = watch_s1;
		r.hw.spy_arg = &w;
		assert_int_equal(parts_attach(b, &r.dev[dev], NO_PASID), 0);
		r.hw.spy = NULL;
		assert_int_equal(w.gaps, 0);
		assert_int_equal(w.wrong, 0);
		assert_int_equal(fake_cd(&r.hw, w.sid, 0, 0) >> 48, 2);
		r.iommu->ops->block(&r.dev[dev], NO_PASID);
		a->ops->free(a);
		b->ops->free(b);
		rig_stop(&r);
	}
}

static void watch_meanings(struct fake *f, const uint64_t dw[2])
{
	struct watch *w = f->spy_arg;
	uint64_t w0 = fake_ste(f, w->sid, 0);
	uint64_t cfg = w0 >> 1 & 7;

	(void)dw;
	if (!(w0 & 1) || !(cfg & 4)) {
		w->gaps++;
		return;
	}
	if (cfg == 5) /* S1: its fields whole */
		w->wrong += (fake_ste(f, w->sid, 1) & 0xff) != STE_S1_W1 ||
			    !(w0 & 0xffffffffffffc0);
	else if (cfg == 6)
		w->wrong += (fake_ste(f, w->sid, 2) >> 16 != STE_S2_W2 >> 16) ||
			    !fake_ste(f, w->sid, 3) ||
			    (fake_ste(f, w->sid, 1) >> 44 & 3) != 1;
	else
		w->wrong++;
}

static void test_changing_stage_never_shows_a_third_meaning(void **state)
{
	struct core_domain *s1;
	struct core_domain *s2;
	struct watch w = { 0 };
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, 0);
	s2 = rig_domain(&r, NEST_PARENT);
	w.sid = 0x100;
	r.hw.spy = watch_meanings;
	r.hw.spy_arg = &w;
	assert_int_equal(parts_attach(s1, &r.dev[0], NO_PASID), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(
			parts_attach(i & 1 ? s1 : s2, &r.dev[0], NO_PASID), 0);
		assert_int_equal(w.wrong, 0);
	}
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	assert_int_equal(w.wrong, 0);
	r.hw.spy = NULL;
	s1->ops->free(s1);
	s2->ops->free(s2);
	rig_stop(&r);
}

static void test_each_ste_change_is_followed_by_cfgi_and_sync(void **state)
{
	struct core_domain *s2;
	struct rig r;

	(void)state;
	rig_start(&r);
	s2 = rig_domain(&r, NEST_PARENT);
	assert_int_equal(parts_attach(s2, &r.dev[0], NO_PASID), 0);
	/* unused words first, then the one with Config; Leaf 1 */
	EXPECT_CMD(&r.hw, 0, 0x10000000003, 1);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	EXPECT_CMD(&r.hw, 2, 0x10000000003, 1);
	EXPECT_CMD(&r.hw, 3, SYNC, 0);
	assert_int_equal(r.hw.log_n, 4);
	r.iommu->ops->block(&r.dev[0], NO_PASID);
	s2->ops->free(s2);
	rig_stop(&r);
}

static void
test_a_device_with_ats_is_told_to_forget_on_each_change(void **state)
{
	struct core_domain *s1;
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, 0);
	assert_int_equal(parts_attach(s1, &r.dev[1], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x101, 1), STE_S1_W1 | EATS);
	/* ATC_INV, everything (Size 52), no PASID */
	EXPECT_CMD(&r.hw, r.hw.log_n - 2, 0x10100000040, 52);
	EXPECT_CMD(&r.hw, r.hw.log_n - 1, SYNC, 0);
	fake_clear_log(&r.hw);
	r.iommu->ops->block(&r.dev[1], NO_PASID);
	EXPECT_CMD(&r.hw, r.hw.log_n - 2, 0x10100000040, 52);
	/* with PASIDs: those too (SSV, Global) */
	assert_int_equal(parts_attach(s1, &r.dev[2], NO_PASID), 0);
	EXPECT_CMD(&r.hw, r.hw.log_n - 3, 0x10200000040, 52);
	EXPECT_CMD(&r.hw, r.hw.log_n - 2, 0x10200000a40, 52);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	s1->ops->free(s1);
	rig_stop(&r);
}

/* ---- PASIDs ---- */

static void test_pasids_have_cds_of_their_own(void **state)
{
	struct core_domain *a;
	struct core_domain *b;
	struct rig r;

	(void)state;
	rig_start(&r);
	a = rig_domain(&r, PASID_FLAG);
	b = rig_domain(&r, PASID_FLAG);
	assert_int_equal(parts_attach(a, &r.dev[2], NO_PASID), 0);
	/* S1Fmt 1 (4K level 2), S1CDMax 8 */
	assert_int_equal(fake_ste(&r.hw, 0x102, 0) & 0xff0000000000003f,
			 8ULL << 59 | 0x1b);
	assert_int_equal(parts_attach(b, &r.dev[2], 0x47), 0);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0, 0), CD_W0 | 1ULL << 48);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0x47, 0), CD_W0 | 2ULL << 48);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0x46, 0), 0);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0x80, 0), UINT64_MAX);
	/* replaced; CFGI_CD names the SSID */
	fake_clear_log(&r.hw);
	assert_int_equal(parts_attach(a, &r.dev[2], 0x47), 0);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0x47, 0), CD_W0 | 1ULL << 48);
	EXPECT_CMD(&r.hw, 0, 0x10200047005, 0);
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	r.iommu->ops->block(&r.dev[2], 0x47);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0x47, 0) & 1u << 31, 0);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0, 0), CD_W0 | 1ULL << 48);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	a->ops->free(a);
	b->ops->free(b);
	rig_stop(&r);
}

static void test_pasids_that_cannot_be_are_refused(void **state)
{
	struct core_domain *s1;
	struct core_domain *s2;
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, PASID_FLAG);
	s2 = rig_domain(&r, NEST_PARENT);
	assert_int_equal(parts_attach(s1, &r.dev[0], 1), -EINVAL);
	assert_int_equal(parts_attach(s1, &r.dev[2], 0), -EINVAL);
	assert_int_equal(parts_attach(s1, &r.dev[2], 256), -EINVAL);
	assert_int_equal(parts_attach(s2, &r.dev[2], 1), -EINVAL);
	assert_int_equal(parts_attach(s2, &r.dev[2], NO_PASID), 0);
	assert_int_equal(parts_attach(s1, &r.dev[2], 1), -EINVAL);
	assert_int_equal(parts_attach(s1, &r.dev[2], NO_PASID), 0);
	assert_int_equal(parts_attach(s1, &r.dev[2], 255), 0);
	/* stage 2 has no CD table for it */
	assert_int_equal(parts_attach(s2, &r.dev[2], NO_PASID), -EBUSY);
	assert_int_equal(fake_ste(&r.hw, 0x102, 0) >> 1 & 7, 5);
	r.iommu->ops->block(&r.dev[2], 255);
	assert_int_equal(parts_attach(s2, &r.dev[2], NO_PASID), 0);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	s1->ops->free(s1);
	s2->ops->free(s2);
	rig_stop(&r);
}

static void test_pasids_work_while_the_default_is_blocked(void **state)
{
	struct core_domain *s1;
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, PASID_FLAG);
	assert_int_equal(parts_attach(s1, &r.dev[2], 5), 0);
	/* S1DSS 0: transactions without SSID terminate */
	assert_int_equal(fake_ste(&r.hw, 0x102, 0) & 0xf, STE_S1);
	assert_int_equal(fake_ste(&r.hw, 0x102, 1) & 0xff, 0xd4);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0, 0), 0);
	assert_int_equal(parts_attach(s1, &r.dev[2], NO_PASID), 0);
	assert_int_equal(fake_ste(&r.hw, 0x102, 1) & 0xff, 0xd6);
	r.iommu->ops->block(&r.dev[2], NO_PASID);
	assert_int_equal(fake_ste(&r.hw, 0x102, 1) & 0xff, 0xd4);
	assert_int_equal(fake_cd(&r.hw, 0x102, 0, 0) & 1u << 31, 0);
	r.iommu->ops->block(&r.dev[2], 5);
	assert_int_equal(fake_ste(&r.hw, 0x102, 0), 1);
	s1->ops->free(s1);
	rig_stop(&r);
}

static void test_removing_a_device_takes_its_pasids_along(void **state)
{
	struct core_domain *s1;
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, PASID_FLAG);
	assert_int_equal(parts_attach(s1, &r.dev[2], 5), 0);
	assert_int_equal(parts_attach(s1, &r.dev[2], 200), 0);
	assert_int_equal(parts_attach(s1, &r.dev[2], NO_PASID), 0);
	r.iommu->ops->device_remove(&r.dev[2]);
	assert_int_equal(fake_ste(&r.hw, 0x102, 0), 1);
	s1->ops->free(s1);
	assert_int_equal(r.iommu->ops->device_add(&r.dev[2]), 0);
	rig_stop(&r);
}

static void test_identifiers_are_clean_before_they_are_used_again(void **state)
{
	struct core_viommu *v;
	struct core_domain *s1;
	struct core_domain *s2;
	struct rig r;

	(void)state;
	rig_start(&r);
	s1 = rig_domain(&r, 0);
	s2 = rig_domain(&r, NEST_PARENT);
	v = rig_viommu(&r, s2);
	v->ops->free(v);
	EXPECT_CMD(&r.hw, 0, 0x200000028, 0); /* S12_VMALL */
	EXPECT_CMD(&r.hw, 1, SYNC, 0);
	s2->ops->free(s2);
	EXPECT_CMD(&r.hw, 2, 0x100000028, 0);
	s1->ops->free(s1);
	EXPECT_CMD(&r.hw, 4, 0x0001000000000011, 0);
	EXPECT_CMD(&r.hw, 5, SYNC, 0);
	rig_stop(&r);
}

static void test_vmids_run_out_and_come_back(void **state)
{
	struct core_domain *d[255];
	struct core_viommu *v = NULL;
	struct core_domain *more;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.hw.idr[0] &= ~(1u << 18); /* 8-bit VMIDs */
	rig_start_devices(&r);
	for (int i = 0; i < 255; i++)
		d[i] = rig_domain(&r, NEST_PARENT);
	assert_int_equal(r.iommu->ops->domain_alloc(&r.dev[0], 1, &more),
			 -ENOSPC);
	assert_int_equal(
		r.iommu->ops->viommu_alloc(&r.dev[0], d[0], 1, NULL, &v),
		-ENOSPC);
	d[100]->ops->free(d[100]);
	v = rig_viommu(&r, d[0]);
	v->ops->free(v);
	d[100] = rig_domain(&r, NEST_PARENT);
	for (int i = 0; i < 255; i++)
		d[i]->ops->free(d[i]);
	rig_stop(&r);
}

static void test_a_domain_of_another_unit_is_refused(void **state)
{
	struct core_domain *d;
	struct rig a;
	struct rig b;

	(void)state;
	rig_start(&a);
	rig_start(&b);
	d = rig_domain(&a, 0);
	assert_int_equal(parts_attach(d, &b.dev[0], NO_PASID), -EINVAL);
	assert_int_equal(fake_ste(&b.hw, 0x100, 0), 1);
	d->ops->free(d);
	rig_stop(&a);
	rig_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_B_rows_which_flags_make_a_domain),
		cmocka_unit_test(
			test_without_a_stage_the_domains_that_need_it_do_not_exist),
		cmocka_unit_test(test_B21_the_geometry_is_that_of_the_sizes),
		cmocka_unit_test(test_a_stage1_attach_writes_this_ste_and_cd),
		cmocka_unit_test(test_a_stage2_attach_writes_this_ste),
		cmocka_unit_test(test_stall_models_set_their_bits),
		cmocka_unit_test(test_replacing_stage1_by_stage1_has_no_gap),
		cmocka_unit_test(
			test_changing_stage_never_shows_a_third_meaning),
		cmocka_unit_test(
			test_each_ste_change_is_followed_by_cfgi_and_sync),
		cmocka_unit_test(
			test_a_device_with_ats_is_told_to_forget_on_each_change),
		cmocka_unit_test(test_pasids_have_cds_of_their_own),
		cmocka_unit_test(test_pasids_that_cannot_be_are_refused),
		cmocka_unit_test(test_pasids_work_while_the_default_is_blocked),
		cmocka_unit_test(test_removing_a_device_takes_its_pasids_along),
		cmocka_unit_test(
			test_identifiers_are_clean_before_they_are_used_again),
		cmocka_unit_test(test_vmids_run_out_and_come_back),
		cmocka_unit_test(test_a_domain_of_another_unit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
