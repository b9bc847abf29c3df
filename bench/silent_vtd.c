// SPDX-License-Identifier: MIT
/*
 * See silent.h: a nested HWPT. The TLB of each device that is attached to it is
 * invalidated with each entry, so the one that may be silent is alone there.
 */
#include <linux/iommufd.h>
#include <string.h>

#include "silent.h"

static int make(struct silent *s)
{
	struct iommu_hwpt_vtd_s1 data = { .addr_width = 48 };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = s->dev_id[1],
		.pt_id = s->parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = nestfd_ioctl(s->ctx, IOMMU_HWPT_ALLOC, &hwpt);
	uint32_t pt_id = hwpt.out_hwpt_id;

	s->object = hwpt.out_hwpt_id;
	return rc ? rc : nestfd_attach(s->dev[1], NESTFD_NO_PASID, &pt_id);
}

static void entry(void *entry, enum silent_asks asks, uint64_t iova)
{
	(void)asks;
	path_vtd.entry(entry, iova);
}

const struct silent_arch silent_vtd = {
	.make = make,
	.entry = entry,
};
