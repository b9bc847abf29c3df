// SPDX-License-Identifier: MIT
/*
 * vIOMMUs, the guest's STEs, vDEVICEs, events. Names carry the row ids of the
 * observed Linux answers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define NO_PASID UINT32_MAX

/* vSTE words: V and Config (bits 3:1) */
#define V_S1	 0x0bULL
#define V_BYPASS 0x09ULL
#define V_ABORT	 0x01ULL

struct guest {
	struct rig r;
	struct core_domain *parent; /* VMID 1 */
	struct core_viommu *v;	    /* VMID 2 */
};

static void guest_start(struct guest *g)
{
	rig_start(&g->r);
	g->parent = rig_domain(&g->r, 1);
	g->v = rig_viommu(&g->r, g->parent);
	fake_clear_log(&g->r.hw);
	fake_core_events = 0;
}

static void guest_stop(struct guest *g)
{
	g->v->ops->free(g->v);
	g->parent->ops->free(g->parent);
	rig_stop(&g->r);
}

static void test_B10_to_B17_which_vIOMMUs_can_be_had(void **state)
{
	struct core_user_data data = { .len = 8, .uptr = 0x1000 };
	struct core_domain *plain;
	struct core_viommu *v = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t type = 0; type < 100; type++) {
		int rc = g.r.iommu->ops->viommu_alloc(&g.r.dev[0], g.parent,
						      type, NULL, &v);

		assert_int_equal(rc, type == 1 ? 0 : -EOPNOTSUPP);
		if (!rc)
			v->ops->free(v);
	}
	/* B17 */
	plain = rig_domain(&g.r, 0);
	assert_int_equal(
		g.r.iommu->ops->viommu_alloc(&g.r.dev[0], plain, 1, NULL, &v),
		-EINVAL);
	plain->ops->free(plain);
	/* B23: data that nobody defined is not looked at */
	assert_int_equal(g.r.iommu->ops->viommu_alloc(&g.r.dev[0], g.parent, 1,
						      &data, &v),
			 0);
	assert_ptr_equal(v->parent, g.parent);
	assert_ptr_equal(v->iommu, g.r.iommu);
	v->ops->free(v);
	guest_stop(&g);
}

static void test_a_parent_of_another_unit_is_refused(void **state)
{
	struct core_viommu *v = NULL;
	struct guest a;
	struct guest b;

	(void)state;
	guest_start(&a);
	guest_start(&b);
	assert_int_equal(a.r.iommu->ops->viommu_alloc(&a.r.dev[0], b.parent, 1,
						      NULL, &v),
			 -EINVAL);
	guest_stop(&a);
	guest_stop(&b);
}

static void test_E3_E7_E8_any_kind_of_event_queue_can_be_made(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_false(g.v->ops->veventq_type(g.v, 0));
	assert_true(g.v->ops->veventq_type(g.v, 1));
	assert_true(g.v->ops->veventq_type(g.v, 2));
	assert_true(g.v->ops->veventq_type(g.v, 77));
	guest_stop(&g);
}

static int try_ste(struct guest *g, uint64_t w0, uint64_t w1)
{
	struct core_domain *n = NULL;
	int rc = rig_nested(g->v, w0, w1, &n);

	if (!rc) {
		assert_true(n->nested);
		n->ops->free(n);
	} else {
		assert_null(n);
	}
	return rc;
}

static void test_C1_to_C24_which_STEs_a_guest_may_have(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(try_ste(&g, V_S1, 0), 0);	/* C1 */
	assert_int_equal(try_ste(&g, V_BYPASS, 0), 0);	/* C2 */
	assert_int_equal(try_ste(&g, V_ABORT, 0), 0);	/* C3 */
	assert_int_equal(try_ste(&g, 0, 0), 0);		/* C4 */
	assert_int_equal(try_ste(&g, ~1ULL, ~0ULL), 0); /* C5 */
	for (uint64_t cfg = 0; cfg < 8; cfg++)		/* C6 to C10 */
		assert_int_equal(try_ste(&g, 1 | cfg << 1, 0),
				 cfg == 0 || cfg == 4 || cfg == 5 ? 0 : -EIO);
	assert_int_equal(try_ste(&g, V_S1 | 1ULL << 56, 0), -EIO); /* C11 */
	for (uint64_t eats = 0; eats < 4; eats++) /* C12 to C14 */
		assert_int_equal(try_ste(&g, V_S1, eats << 28),
				 eats < 2 ? 0 : -EIO);
	for (uint64_t dss = 0; dss < 4; dss++) /* C15, C16 */
		assert_int_equal(try_ste(&g, V_S1, dss), 0);
	assert_int_equal(try_ste(&g, V_S1, 1ULL << 27), 0);    /* C17 */
	assert_int_equal(try_ste(&g, V_S1, 1ULL << 30), -EIO); /* C18 */
	assert_int_equal(try_ste(&g, V_S1, 1ULL << 44), -EIO); /* C19 */
	assert_int_equal(try_ste(&g, V_S1, 1ULL << 19), -EIO); /* C20 */
	assert_int_equal(try_ste(&g, V_S1, 1ULL << 25), -EIO); /* C21 */
	for (uint64_t fmt = 0; fmt < 4; fmt++)		       /* C22 */
		assert_int_equal(try_ste(&g, V_S1 | fmt << 4, 0), 0);
	for (uint64_t max = 0; max < 32; max++) /* C23, C24 */
		assert_int_equal(try_ste(&g, V_S1 | max << 59, 0), 0);
	guest_stop(&g);
}

static void test_every_other_bit_of_an_STE_is_refused(void **state)
{
	/* V Config S1Fmt S1ContextPtr S1CDMax; S1DSS CIR COR CSH S1STALLD */
	static const uint64_t ok[2] = { 0xf8ffffffffffffff, 0x180000ff };
	struct guest g;

	(void)state;
	guest_start(&g);
	for (int bit = 4; bit < 128; bit++) {
		uint64_t flip = 1ULL << (bit % 64);
		bool allowed = ok[bit / 64] & flip;

		assert_int_equal(try_ste(&g, V_S1 | (bit < 64 ? flip : 0),
					 bit < 64 ? 0 : flip),
				 allowed ? 0 : -EIO);
	}
	/* both halves of ones at once */
	assert_int_equal(try_ste(&g, 0xf8fffffffffffffb, 0x180000ff), 0);
	guest_stop(&g);
}

static void test_C25_to_C34_arguments_of_a_nested_domain(void **state)
{
	uint64_t ste[3] = { V_S1, 0, 0 };
	struct core_user_data data = { .type = 2,
				       .len = 16,
				       .uptr = (uintptr_t)ste };
	struct core_domain *n = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	for (uint32_t len = 0; len < 32; len++) {
		data.len = len;
		assert_int_equal(g.v->ops->nested_alloc(g.v, 0, &data, &n),
				 len == 16 ? 0 : -EINVAL);
		if (len == 16)
			n->ops->free(n);
	}
	data.len = 16;
	for (uint32_t type = 0; type < 5; type++) {
		data.type = type;
		assert_int_equal(g.v->ops->nested_alloc(g.v, 0, &data, &n),
				 type == 2 ? 0 : -EINVAL);
		if (type == 2)
			n->ops->free(n);
	}
	data.type = 2;
	for (uint32_t bit = 0; bit < 32; bit++) { /* C32 to C34, C36 */
		int rc = g.v->ops->nested_alloc(g.v, 1u << bit, &data, &n);

		assert_int_equal(rc, bit == 2 ? 0 : -EOPNOTSUPP);
		if (!rc)
			n->ops->free(n);
	}
	data.uptr = 0;
	assert_int_equal(g.v->ops->nested_alloc(g.v, 0, &data, &n), -EFAULT);
	guest_stop(&g);
}

static void test_C39_to_C44_attaching_without_a_vDEVICE(void **state)
{
	struct core_domain *s1 = NULL;
	struct core_domain *bypass = NULL;
	struct core_domain *abort_ste = NULL;
	struct core_device *dev;
	struct guest g;

	(void)state;
	guest_start(&g);
	dev = &g.r.dev[0];
	assert_int_equal(rig_nested(g.v, V_S1, 0, &s1), 0);
	assert_int_equal(rig_nested(g.v, V_BYPASS, 0, &bypass), 0);
	assert_int_equal(rig_nested(g.v, V_ABORT, 0, &abort_ste), 0);
	assert_int_equal(s1->ops->attach(s1, dev, NO_PASID), -ENOENT);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 1);
	assert_int_equal(g.r.hw.log_n, 0);
	assert_int_equal(bypass->ops->attach(bypass, dev, NO_PASID), 0);
	/* stage 2 alone, with the vIOMMU's VMID */
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 0xd);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 2), 0x044d359000000002);
	assert_int_equal(s1->ops->attach(s1, dev, NO_PASID), -ENOENT);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 0xd);
	assert_int_equal(abort_ste->ops->attach(abort_ste, dev, NO_PASID), 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 1);
	g.r.iommu->ops->block(dev, NO_PASID);
	s1->ops->free(s1);
	bypass->ops->free(bypass);
	abort_ste->ops->free(abort_ste);
	guest_stop(&g);
}

static void
test_nested_domains_are_for_whole_devices_of_their_unit(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *s1 = NULL;
	struct core_domain *pasid;
	struct guest g;
	struct rig other;

	(void)state;
	guest_start(&g);
	rig_start(&other);
	rig_vdev(g.v, &vdev, &g.r.dev[2], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &s1), 0);
	assert_int_equal(s1->ops->attach(s1, &g.r.dev[2], 5), -EOPNOTSUPP);
	assert_int_equal(s1->ops->attach(s1, &other.dev[0], NO_PASID), -EINVAL);
	pasid = rig_domain(&g.r, 8);
	assert_int_equal(pasid->ops->attach(pasid, &g.r.dev[2], 5), 0);
	assert_int_equal(s1->ops->attach(s1, &g.r.dev[2], NO_PASID), -EBUSY);
	g.r.iommu->ops->block(&g.r.dev[2], 5);
	assert_int_equal(s1->ops->attach(s1, &g.r.dev[2], NO_PASID), 0);
	g.r.iommu->ops->block(&g.r.dev[2], NO_PASID);
	pasid->ops->free(pasid);
	s1->ops->free(s1);
	g.v->ops->vdevice_remove(g.v, &vdev);
	rig_stop(&other);
	guest_stop(&g);
}

static void test_all_of_the_guests_fields_reach_the_hosts_STE(void **state)
{
	struct core_vdevice vdev[2];
	struct core_domain *n = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev[0], &g.r.dev[0], 0x123);
	rig_vdev(g.v, &vdev[1], &g.r.dev[1], 0x124);
	/* S1CDMax 31, S1ContextPtr, S1Fmt 3; EATS 1, S1STALLD, CSH .. S1DSS */
	assert_int_equal(rig_nested(g.v, 0xf8fffffffffffffb, 0x180000ff, &n),
			 0);
	assert_int_equal(n->ops->attach(n, &g.r.dev[0], NO_PASID), 0);
	/* Config becomes 7 (nested) */
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 0xf8ffffffffffffff);
	/* SHCFG 1, S1STALLD, MEV (19); no EATS, the device has no ATS (G26) */
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 1), 0x1000080800ff);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 2), 0x044d359000000002);
	assert_int_equal(n->ops->attach(n, &g.r.dev[1], NO_PASID), 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x101, 1), 0x1000180800ff);
	/* both have the parent's tables */
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 3),
			 fake_ste(&g.r.hw, 0x101, 3));
	for (uint32_t i = 4; i < 8; i++)
		assert_int_equal(fake_ste(&g.r.hw, 0x100, i), 0);
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	g.r.iommu->ops->block(&g.r.dev[1], NO_PASID);
	n->ops->free(n);
	g.v->ops->vdevice_remove(g.v, &vdev[0]);
	g.v->ops->vdevice_remove(g.v, &vdev[1]);
	guest_stop(&g);
}

static void test_an_invalid_STE_is_an_abort(void **state)
{
	struct core_domain *n = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(rig_nested(g.v, ~1ULL, ~0ULL, &n), 0);
	assert_int_equal(n->ops->attach(n, &g.r.dev[1], NO_PASID), 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x101, 0), 1);
	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(fake_ste(&g.r.hw, 0x101, i), 0);
	g.r.iommu->ops->block(&g.r.dev[1], NO_PASID);
	n->ops->free(n);
	guest_stop(&g);
}

static void see_no_gap(struct fake *f, const uint64_t dw[2])
{
	uint64_t w0 = fake_ste(f, 0x100, 0);

	(void)dw;
	if ((w0 & 0xf) != 0xf)
		(*(unsigned int *)f->spy_arg)++;
}

static void test_a_guest_that_moves_its_CD_table_loses_no_dma(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *a = NULL;
	struct core_domain *b = NULL;
	unsigned int gaps = 0;
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1 | 0x40000000, 0xd6, &a), 0);
	assert_int_equal(rig_nested(g.v, V_S1 | 0x50000000, 0xd6, &b), 0);
	assert_int_equal(a->ops->attach(a, &g.r.dev[0], NO_PASID), 0);
	g.r.hw.spy = see_no_gap;
	g.r.hw.spy_arg = &gaps;
	assert_int_equal(b->ops->attach(b, &g.r.dev[0], NO_PASID), 0);
	g.r.hw.spy = NULL;
	assert_int_equal(gaps, 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 0x5000000f);
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	a->ops->free(a);
	b->ops->free(b);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

/* ---- vDEVICEs ---- */

static void test_D_rows_ids_are_64_bits_and_unique(void **state)
{
	struct core_device dev[4];
	struct core_vdevice vdev[4];
	struct core_vdevice same;
	struct guest g;
	struct rig other;
	static const uint64_t ids[] = { 0x123, UINT64_MAX, 1ULL << 40, 0 };

	(void)state;
	guest_start(&g);
	rig_start(&other);
	for (uint32_t i = 0; i < 4; i++) {
		dev[i] = (struct core_device){ .iommu = g.r.iommu,
					       .stream_id = 0x200 + i };
		assert_int_equal(g.r.iommu->ops->device_add(&dev[i]), 0);
		rig_vdev(g.v, &vdev[i], &dev[i], ids[i]);
	}
	same = vdev[1];
	assert_int_equal(g.v->ops->vdevice_add(g.v, &same), -EEXIST);
	same.virt_id = 7;
	same.dev = &other.dev[0];
	assert_int_equal(g.v->ops->vdevice_add(g.v, &same), -EINVAL);
	for (uint32_t i = 0; i < 4; i++) {
		g.v->ops->vdevice_remove(g.v, &vdev[i]);
		g.r.iommu->ops->device_remove(&dev[i]);
	}
	rig_stop(&other);
	guest_stop(&g);
}

/* ---- events ---- */

/* F_TRANSLATION of @sid: SSV and SSID, RnW, class IN, an address */
static void fault(struct guest *g, uint32_t sid, uint64_t type, uint64_t w1)
{
	uint64_t evt[4] = { (uint64_t)sid << 32 | 0xabcde800 | type, w1,
			    0x1122334455667788, 0x99aabbccddee000 };

	fake_event(&g->r.hw, evt, true);
}

static void expect_event(struct guest *g, unsigned int n, uint32_t vsid,
			 uint64_t type, uint64_t w1)
{
	assert_int_equal(fake_core_events, n);
	assert_ptr_equal(fake_core_event.viommu, g->v);
	assert_int_equal(fake_core_event.type, 1);
	assert_int_equal(fake_core_event.size, 32);
	assert_int_equal(fake_core_event.evt[0],
			 (uint64_t)vsid << 32 | 0xabcde800 | type);
	assert_int_equal(fake_core_event.evt[1], w1);
	assert_int_equal(fake_core_event.evt[2], 0x1122334455667788);
	assert_int_equal(fake_core_event.evt[3], 0x99aabbccddee000);
}

static void test_G_rows_events_of_a_guests_stage_1_reach_the_guest(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *n = NULL;
	unsigned int want = 0;
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &n), 0);
	fault(&g, 0x100, 0x10, 0);
	assert_int_equal(fake_core_events, 0);
	assert_int_equal(n->ops->attach(n, &g.r.dev[0], NO_PASID), 0);
	for (uint64_t type = 0; type < 0x40; type++) {
		bool forwarded = type == 0x04 || type == 0x06 || type == 0x08 ||
				 type == 0x0a || (type >= 0x10 && type < 0x14);

		fault(&g, 0x100, type, 0x20800000000);
		want += forwarded;
		assert_int_equal(fake_core_events, want);
		if (forwarded)
			expect_event(&g, want, 0x123, type, 0x20800000000);
	}
	/* stage 2's are the host's (bit 39) */
	fault(&g, 0x100, 0x10, 0x20800000000 | 1ULL << 39);
	/* so are those of streams that are not the guest's */
	fault(&g, 0x101, 0x10, 0);
	fault(&g, 0x999, 0x10, 0);
	assert_int_equal(fake_core_events, want);
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	fault(&g, 0x100, 0x10, 0);
	assert_int_equal(fake_core_events, want);
	n->ops->free(n);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

static void test_G29_bypass_and_abort_have_no_events(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *n[3] = { NULL };
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &n[0]), 0);
	assert_int_equal(rig_nested(g.v, V_BYPASS, 0, &n[1]), 0);
	assert_int_equal(rig_nested(g.v, 1, 0, &n[2]), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(n[i]->ops->attach(n[i], &g.r.dev[0], NO_PASID),
				 0);
		fault(&g, 0x100, 0x10, 0);
		assert_int_equal(fake_core_events, 1);
	}
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	for (int i = 0; i < 3; i++)
		n[i]->ops->free(n[i]);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

static void test_L8_to_L18_the_vSID_is_that_of_the_last_attach(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *a = NULL;
	struct core_domain *b = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &a), 0);
	assert_int_equal(rig_nested(g.v, V_S1 | 0x40, 0, &b), 0);
	assert_int_equal(a->ops->attach(a, &g.r.dev[0], NO_PASID), 0);
	g.v->ops->vdevice_remove(g.v, &vdev);
	fault(&g, 0x100, 0x10, 0);
	expect_event(&g, 1, 0x123, 0x10, 0); /* L8 */
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x777);
	fault(&g, 0x100, 0x10, 0);
	expect_event(&g, 2, 0x123, 0x10, 0); /* L11 */
	assert_int_equal(b->ops->attach(b, &g.r.dev[0], NO_PASID), 0);
	fault(&g, 0x100, 0x10, 0);
	expect_event(&g, 3, 0x777, 0x10, 0); /* L17 */
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	a->ops->free(a);
	b->ops->free(b);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

/* 5.2: V = 0 is C_BAD_STE. Not Linux's way: there it aborts silently. */
static void test_an_ste_without_v_is_invalid_to_hardware_too(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *s1 = NULL;
	struct core_domain *invalid = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &s1), 0);
	assert_int_equal(rig_nested(g.v, 0, 0, &invalid), 0);
	/* without a vDEVICE: abort, which is valid, and nobody is told */
	assert_int_equal(invalid->ops->attach(invalid, &g.r.dev[0], NO_PASID),
			 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 1);
	fault(&g, 0x100, 0x04, 0);
	assert_int_equal(fake_core_events, 0);

	/* with one, but the client did not ask for it: as on Linux */
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(s1->ops->attach(s1, &g.r.dev[0], NO_PASID), 0);
	assert_int_equal(invalid->ops->attach(invalid, &g.r.dev[0], NO_PASID),
			 0);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 1);
	fault(&g, 0x100, 0x04, 0);
	assert_int_equal(fake_core_events, 0);

	g.v->tell_invalid = true;
	for (unsigned int n = 1; n < 4; n++) {
		assert_int_equal(s1->ops->attach(s1, &g.r.dev[0], NO_PASID), 0);
		assert_int_equal(
			invalid->ops->attach(invalid, &g.r.dev[0], NO_PASID),
			0);
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(fake_ste(&g.r.hw, 0x100, i), 0);
		fault(&g, 0x100, 0x04, 0);
		expect_event(&g, n, 0x123, 0x04, 0);
	}
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	assert_int_equal(fake_ste(&g.r.hw, 0x100, 0), 1);
	fault(&g, 0x100, 0x04, 0);
	assert_int_equal(fake_core_events, 3);
	s1->ops->free(s1);
	invalid->ops->free(invalid);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

static void test_a_stalled_transaction_is_terminated(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *n = NULL;
	struct guest g;

	(void)state;
	guest_start(&g);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &n), 0);
	assert_int_equal(n->ops->attach(n, &g.r.dev[0], NO_PASID), 0);
	fake_clear_log(&g.r.hw);
	/* Stall (31), STAG 0xbeef: the guest sees what became of it */
	fault(&g, 0x100, 0x13, 0x2088000beef);
	expect_event(&g, 1, 0x123, 0x13, 0x20800000000);
	/* RESUME, Ac 0, Ab 1 (bit 13), STAG */
	EXPECT_CMD(&g.r.hw, 0, 0x10000002044, 0xbeef);
	assert_int_equal(g.r.hw.log_n, 1);
	/* a stream of the host's too */
	fault(&g, 0x101, 0x10, 0x80000007);
	EXPECT_CMD(&g.r.hw, 1, 0x10100002044, 7);
	/* bit 31 of other events means nothing */
	fault(&g, 0x101, 0x0a, 0x80000007);
	assert_int_equal(g.r.hw.log_n, 2);
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	n->ops->free(n);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

static void test_a_full_event_queue_is_emptied_and_overflow_taken(void **state)
{
	struct core_vdevice vdev;
	struct core_domain *n = NULL;
	uint64_t evt[4] = { 0x10000000010 };
	struct guest g;

	(void)state;
	rig_init(&g.r);
	g.r.cfg.evtq_lg2 = 3;
	rig_start_devices(&g.r);
	g.parent = rig_domain(&g.r, 1);
	g.v = rig_viommu(&g.r, g.parent);
	rig_vdev(g.v, &vdev, &g.r.dev[0], 0x123);
	assert_int_equal(rig_nested(g.v, V_S1, 0, &n), 0);
	assert_int_equal(n->ops->attach(n, &g.r.dev[0], NO_PASID), 0);
	for (unsigned int round = 1; round <= 5; round++) {
		for (int i = 0; i < 8; i++)
			fake_event(&g.r.hw, evt, false);
		g.r.hw.evtq_prod ^= 1u << 31; /* OVFLG: some were lost */
		fake_irq(&g.r.hw, 0);
		assert_int_equal(fake_core_events, round * 8);
		/* before the records, and up to the acknowledgement */
		assert_int_equal(fake_core_lost, 2 * round);
		assert_int_equal(g.r.hw.evtq_cons, g.r.hw.evtq_prod);
	}
	/* an interrupt for nothing */
	fake_irq(&g.r.hw, 0);
	assert_int_equal(fake_core_events, 40);
	/* EVENTQ_ABT (7.2.2): the record could not be written */
	g.r.hw.gerror ^= 4;
	fake_irq(&g.r.hw, 3);
	assert_int_equal(fake_core_lost, 11);
	g.r.iommu->ops->block(&g.r.dev[0], NO_PASID);
	n->ops->free(n);
	g.v->ops->vdevice_remove(g.v, &vdev);
	guest_stop(&g);
}

static void event_inside(struct fake *f, const uint64_t dw[2])
{
	uint64_t evt[4] = { 0x10100000010, 0x80000009 };

	if ((dw[0] & 0xff) == 0x11)
		fake_event(f, evt, true);
}

static void test_a_stall_inside_a_doorbell_does_not_deadlock(void **state)
{
	uint64_t cmd[1][2] = { { 0x11, 0 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.spy = event_inside;
	assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	g.r.hw.spy = NULL;
	EXPECT_CMD(&g.r.hw, 0, 0x200000011, 0);
	EXPECT_CMD(&g.r.hw, 1, SYNC, 0);
	EXPECT_CMD(&g.r.hw, 2, 0x10100002044, 9);
	guest_stop(&g);
}

/* What was called illegal when it was not is executed; nobody else is needed.
 */
static void test_a_posted_command_is_tried_again(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = 0x10100002044;
	g.r.hw.ill_times = 7;
	fault(&g, 0x101, 0x10, 0x80000007);
	assert_int_equal(g.r.hw.log_n, 1);
	EXPECT_CMD(&g.r.hw, 0, 0x10100002044, 7);
	guest_stop(&g);
}

static void test_an_illegal_posted_command_harms_nobody(void **state)
{
	uint64_t cmd[1][2] = { { 0x11, 0 } };
	struct core_inval inv;
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.ill_dw0 = 0x10100002044;
	fault(&g, 0x101, 0x10, 0x80000007);
	/* an empty sync is in its place, and the next is executed */
	EXPECT_CMD(&g.r.hw, 0, SYNC, 0);
	assert_int_equal(g.r.hw.log_n, 1);
	g.r.hw.ill_dw0 = 0;
	fault(&g, 0x101, 0x10, 0x80000008);
	EXPECT_CMD(&g.r.hw, 1, 0x10100002044, 8);
	assert_int_equal(rig_inval(g.v, cmd, 1, &inv), 0);
	assert_int_equal(inv.done, 1);
	EXPECT_CMD(&g.r.hw, 2, 0x200000011, 0);
	guest_stop(&g);
}

static void
test_a_posted_command_that_is_not_fetched_is_fetched_again(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	/* more in all than may be in a row */
	for (uint64_t n = 0; n < 300; n++) {
		g.r.hw.abort_times = 7;
		g.r.hw.log_n = 0;
		fault(&g, 0x101, 0x10, 0x80000000 | n);
		EXPECT_CMD(&g.r.hw, 0, 0x10100002044, n);
	}
	assert_int_equal(g.r.hw.cr0 & 1, 1);
	guest_stop(&g);
}

static void test_a_queue_that_only_answers_use_can_die(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g);
	g.r.hw.abort_times = 8;
	fault(&g, 0x101, 0x10, 0x80000007);
	assert_int_equal(g.r.hw.log_n, 0);
	assert_int_equal(g.r.hw.cr0 & 1, 0);
	guest_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_B10_to_B17_which_vIOMMUs_can_be_had),
		cmocka_unit_test(test_a_parent_of_another_unit_is_refused),
		cmocka_unit_test(
			test_E3_E7_E8_any_kind_of_event_queue_can_be_made),
		cmocka_unit_test(test_C1_to_C24_which_STEs_a_guest_may_have),
		cmocka_unit_test(test_every_other_bit_of_an_STE_is_refused),
		cmocka_unit_test(test_C25_to_C34_arguments_of_a_nested_domain),
		cmocka_unit_test(test_C39_to_C44_attaching_without_a_vDEVICE),
		cmocka_unit_test(
			test_nested_domains_are_for_whole_devices_of_their_unit),
		cmocka_unit_test(
			test_all_of_the_guests_fields_reach_the_hosts_STE),
		cmocka_unit_test(test_an_invalid_STE_is_an_abort),
		cmocka_unit_test(
			test_a_guest_that_moves_its_CD_table_loses_no_dma),
		cmocka_unit_test(test_D_rows_ids_are_64_bits_and_unique),
		cmocka_unit_test(
			test_G_rows_events_of_a_guests_stage_1_reach_the_guest),
		cmocka_unit_test(test_G29_bypass_and_abort_have_no_events),
		cmocka_unit_test(
			test_L8_to_L18_the_vSID_is_that_of_the_last_attach),
		cmocka_unit_test(
			test_an_ste_without_v_is_invalid_to_hardware_too),
		cmocka_unit_test(test_a_stalled_transaction_is_terminated),
		cmocka_unit_test(
			test_a_full_event_queue_is_emptied_and_overflow_taken),
		cmocka_unit_test(
			test_a_stall_inside_a_doorbell_does_not_deadlock),
		cmocka_unit_test(test_a_posted_command_is_tried_again),
		cmocka_unit_test(test_an_illegal_posted_command_harms_nobody),
		cmocka_unit_test(
			test_a_posted_command_that_is_not_fetched_is_fetched_again),
		cmocka_unit_test(test_a_queue_that_only_answers_use_can_die),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
