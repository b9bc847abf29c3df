// SPDX-License-Identifier: MIT
/* See silent.h: a vIOMMU with two devices, which are never attached. */
#include <linux/iommufd.h>
#include <string.h>

#include "silent.h"

#define VSID(i) (0x10u + (i))

static int make(struct silent *s)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = s->dev_id[0],
		.hwpt_id = s->parent,
	};
	int rc = nestfd_ioctl(s->ctx, IOMMU_VIOMMU_ALLOC, &viommu);

	s->object = viommu.out_viommu_id;
	for (uint32_t i = 0; i < 2 && !rc; i++) {
		struct iommu_vdevice_alloc vdevice = {
			.size = sizeof(vdevice),
			.viommu_id = s->object,
			.dev_id = s->dev_id[i],
			.virt_id = VSID(i),
		};

		rc = nestfd_ioctl(s->ctx, IOMMU_VDEVICE_ALLOC, &vdevice);
	}
	return rc;
}

/* TLBI_NH_VA of ASID 5, leaf; ATC_INV of a page */
static void entry(void *entry, enum silent_asks asks, uint64_t iova)
{
	uint64_t words[2] = { 0x0005000000000012, iova | 1 };

	if (asks != SILENT_NONE) {
		words[0] = 0x40 | (uint64_t)VSID(asks == SILENT_IT) << 32;
		words[1] = iova;
	}
	memcpy(entry, words, sizeof(words));
}

const struct silent_arch silent_smmuv3 = {
	.chooses = true,
	.make = make,
	.entry = entry,
};
