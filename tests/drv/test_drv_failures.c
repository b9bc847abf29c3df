// SPDX-License-Identifier: MIT
/*
 * Every allocation of the driver made to fail once: a whole scenario is run
 * again and again, failing its first, second, n-th allocation, until it passes
 * untouched. Whatever fails must leave everything as it was.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "fake.h"

#define NO_PASID UINT32_MAX

struct scene {
	struct rig r;
	struct core_device *dev;
	struct core_domain *s1, *s1b, *s2, *nested;
	struct core_viommu *v;
	struct core_vdevice vdev;
	bool has_dev, has_vdev, has_pasid;
};

static int attach(struct core_domain *d, struct core_device *dev,
		  uint32_t pasid)
{
	uint64_t before = fake_ste(((struct core_hwport *)dev->owner)->ctx,
				   dev->stream_id, 0);
	int rc = d->ops->attach(d, dev, pasid);

	if (rc)
		assert_int_equal(
			fake_ste(((struct core_hwport *)dev->owner)->ctx,
				 dev->stream_id, 0),
			before);
	return rc;
}

static int create(struct scene *s, struct core_hwport *port)
{
	struct core_iommu *iommu = NULL;
	int rc;

	s->r.iommu = NULL;
	rc = smmuv3_drv_create(&s->r.cfg, port, &iommu);
	if (rc) {
		assert_null(iommu);
		return rc;
	}
	s->r.iommu = iommu;
	s->dev = &s->r.dev[0];
	*s->dev = (struct core_device){ .iommu = iommu,
					.stream_id = 0x777,
					.pasid_bits = 10,
					.ats = true,
					.owner = port };
	rc = iommu->ops->device_add(s->dev);
	s->has_dev = !rc;
	return rc;
}

static int domains(struct scene *s)
{
	const struct core_iommu_ops *ops = s->r.iommu->ops;
	int rc;

	rc = ops->domain_alloc(s->dev, 8, &s->s1);
	if (!rc)
		rc = ops->domain_alloc(s->dev, 8, &s->s1b);
	if (!rc)
		rc = ops->domain_alloc(s->dev, 1, &s->s2);
	if (!rc)
		rc = s->s2->ops->map(s->s2, 0x1000, 0x1000, 0x400000, 3);
	if (!rc)
		rc = s->s1->ops->map(s->s1, 0x1000, 0x1000, 0x2000, 3);
	return rc;
}

static int attaches(struct scene *s)
{
	int rc;

	rc = attach(s->s1, s->dev, NO_PASID);
	if (!rc)
		rc = attach(s->s1b, s->dev, NO_PASID);
	if (rc)
		return rc;
	rc = attach(s->s1, s->dev, 0x155);
	s->has_pasid = !rc;
	if (!rc)
		rc = attach(s->s1b, s->dev, 0x155);
	if (rc)
		return rc;
	s->r.iommu->ops->block(s->dev, 0x155);
	s->has_pasid = false;
	return 0;
}

static int guest(struct scene *s)
{
	int rc;

	rc = s->r.iommu->ops->viommu_alloc(s->dev, s->s2, 1, NULL, &s->v);
	if (rc)
		return rc;
	s->vdev = (struct core_vdevice){ .viommu = s->v,
					 .dev = s->dev,
					 .virt_id = 5 };
	rc = s->v->ops->vdevice_add(s->v, &s->vdev);
	s->has_vdev = !rc;
	if (!rc)
		rc = rig_nested(s->v, 0xb, 0, &s->nested);
	if (!rc)
		rc = attach(s->nested, s->dev, NO_PASID);
	return rc;
}

/* What cannot fail: must work with every allocation failing. */
static void tear_down(struct scene *s)
{
	struct core_inval inv;
	uint64_t cmd[1][2] = { { 0x500000005, 0 } };

	if (s->has_vdev) {
		assert_int_equal(rig_inval(s->v, cmd, 1, &inv), 0);
		s->v->ops->vdevice_remove(s->v, &s->vdev);
	}
	if (s->s2)
		s->s2->ops->unmap(s->s2, 0x1000, 0x400000);
	if (s->has_pasid)
		s->r.iommu->ops->block(s->dev, 0x155);
	if (s->has_dev)
		s->r.iommu->ops->block(s->dev, NO_PASID);
	if (s->nested)
		s->nested->ops->free(s->nested);
	if (s->v)
		s->v->ops->free(s->v);
	if (s->s2)
		s->s2->ops->free(s->s2);
	if (s->s1b)
		s->s1b->ops->free(s->s1b);
	if (s->s1)
		s->s1->ops->free(s->s1);
	if (s->has_dev)
		s->r.iommu->ops->device_remove(s->dev);
	if (s->r.iommu)
		s->r.iommu->ops->destroy(s->r.iommu);
}

static int play(struct scene *s, struct core_hwport *port)
{
	int rc;

	rc = create(s, port);
	if (!rc)
		rc = domains(s);
	if (!rc)
		rc = attaches(s);
	if (!rc)
		rc = guest(s);
	return rc;
}

static void run(bool two_level, uint64_t at_least)
{
	struct alloc_plan plan = { 0 };
	int rc;

	for (plan.fail_at = 1;; plan.fail_at++) {
		struct core_hwport port;
		struct scene s;

		memset(&s, 0, sizeof(s));
		rig_init(&s.r);
		if (!two_level)
			s.r.hw.idr[0] &= ~(1u << 19 | 3u << 27);
		port = fake_port(&s.r.hw);
		alloc_arm(&plan);
		rc = play(&s, &port);
		alloc_arm(NULL);
		tear_down(&s);
		fake_fini(&s.r.hw);
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	print_message("%llu injection points\n",
		      (unsigned long long)plan.fail_at - 1);
	assert_true(plan.fail_at > at_least);
}

static void test_every_allocation_fails_once_with_two_level_tables(void **state)
{
	(void)state;
	run(true, 30);
}

static void test_every_allocation_fails_once_with_linear_tables(void **state)
{
	(void)state;
	run(false, 25);
}

static void test_what_cannot_fail_needs_no_memory(void **state)
{
	struct alloc_plan plan = { 0 };
	struct core_hwport port;
	struct scene s;

	(void)state;
	memset(&s, 0, sizeof(s));
	rig_init(&s.r);
	port = fake_port(&s.r.hw);
	assert_int_equal(play(&s, &port), 0);
	alloc_arm(&plan); /* counts */
	tear_down(&s);
	alloc_arm(NULL);
	assert_int_equal(plan.passed, 0);
	fake_fini(&s.r.hw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_allocation_fails_once_with_two_level_tables),
		cmocka_unit_test(
			test_every_allocation_fails_once_with_linear_tables),
		cmocka_unit_test(test_what_cannot_fail_needs_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
