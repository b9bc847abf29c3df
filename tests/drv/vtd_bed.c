// SPDX-License-Identifier: MIT
/* See vtd_bed.h. */
#include "vtd_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void vbed_init(struct vbed *b)
{
	memset(b, 0, sizeof(*b));
	vrig_init(&b->r);
}

void vbed_start(struct vbed *b)
{
	vrig_start(&b->r);
	b->parent = vrig_domain(&b->r, 1);
	assert_int_equal(vrig_nested(&b->r, b->parent, 0, 0x1234000, 48, &b->n),
			 0);
	for (int i = 0; i < VBED_ENTRIES; i++)
		b->e[i] = (struct ventry){ .addr = (uint64_t)i << 12,
					   .npages = 1 };
}

void vbed_attach(struct vbed *b, int dev, uint32_t pasid)
{
	assert_int_equal(b->n->ops->attach(b->n, &b->r.dev[dev], pasid), 0);
}

void vbed_stop(struct vbed *b)
{
	b->r.hw.mute_sid = 0;
	b->r.hw.spy = NULL;
	for (int i = 0; i < 3; i++)
		b->r.iommu->ops->block(&b->r.dev[i], NO_PASID);
	b->n->ops->free(b->n);
	b->parent->ops->free(b->parent);
	vrig_stop(&b->r);
}

bool vbed_has_ats(const struct vbed *b, uint32_t sid)
{
	return vfake_context(&b->r.hw, sid, 0) & 4; /* DTE */
}

int vbed_inval(struct vbed *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		b->e[i].hw_error = b->e[i].hw_error_info = 0;
	return vrig_inval(b->n, b->e, count, true, &b->inv);
}
