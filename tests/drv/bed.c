// SPDX-License-Identifier: MIT
/* See bed.h. */
#include "bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void bed_init(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	rig_init(&b->r);
}

void bed_begin(struct bed *b)
{
	rig_start_devices(&b->r);
	b->parent = rig_domain(&b->r, 1);
	b->v = rig_viommu(&b->r, b->parent);
	for (int i = 0; i < 3; i++)
		rig_vdev(b->v, &b->vdev[i], &b->r.dev[i], 0x50 + i);
	fake_clear_log(&b->r.hw);
}

void bed_nest(struct bed *b)
{
	for (int i = 0; i < 3; i++) {
		/* V, S1 translates; EATS = 1 */
		assert_int_equal(
			rig_nested(b->v, 0xb, i ? EATS_FULL : 0, &b->nested[i]),
			0);
		bed_attach(b, i);
	}
	fake_clear_log(&b->r.hw);
}

void bed_attach(struct bed *b, int i)
{
	assert_int_equal(b->nested[i]->ops->attach(b->nested[i], &b->r.dev[i],
						   UINT32_MAX),
			 0);
}

void bed_start(struct bed *b)
{
	bed_begin(b);
	bed_nest(b);
}

void bed_stop(struct bed *b)
{
	b->r.hw.mute_sid = UINT32_MAX;
	b->r.hw.spy = NULL;
	for (int i = 0; i < 3; i++) {
		if (b->nested[i]) {
			b->r.iommu->ops->block(&b->r.dev[i], UINT32_MAX);
			b->nested[i]->ops->free(b->nested[i]);
		}
		b->v->ops->vdevice_remove(b->v, &b->vdev[i]);
	}
	b->v->ops->free(b->v);
	b->parent->ops->free(b->parent);
	rig_stop(&b->r);
}

bool bed_has_ats(const struct bed *b, uint32_t sid)
{
	return fake_ste(&b->r.hw, sid, 1) >> 28 & 3;
}

struct core_iommu_stats bed_stats(struct bed *b)
{
	struct core_iommu_stats s;

	b->r.iommu->ops->stats(b->r.iommu, &s);
	return s;
}

int bed_atc_inv(struct bed *b, uint32_t vsid, struct core_inval *inv)
{
	uint64_t cmd[1][2] = { { (uint64_t)vsid << 32 | 0x40, 52 } };

	return rig_inval(b->v, cmd, 1, inv);
}
