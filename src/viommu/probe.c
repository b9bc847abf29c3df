// SPDX-License-Identifier: MIT
/* What a /dev/iommu offers, told in words. */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nestfd/ext.h"
#include "nestfd/viommu.h"

struct report {
	char *text;
	size_t room;
};

static void say(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct report *report, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(report->text, report->room, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= report->room)
		n = report->room ? (int)report->room - 1 : 0;
	report->text += n;
	report->room -= (size_t)n;
}

static int call(const struct nestfd_backend *backend, unsigned long cmd,
		void *arg)
{
	return backend->ioctl(backend->ctx, cmd, arg);
}

/* An IOAS can be made, says which addresses it has, and goes again. */
static int probe_ioas(const struct nestfd_backend *backend,
		      struct report *report)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_iova_range range = { 0 };
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges),
		.num_iovas = 1,
		.allowed_iovas = (uintptr_t)&range,
	};
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	int rc;

	rc = call(backend, IOMMU_IOAS_ALLOC, &alloc);
	if (rc) {
		say(report, "IOMMU_IOAS_ALLOC: %s\n", strerror(-rc));
		return rc;
	}
	ranges.ioas_id = alloc.out_ioas_id;
	rc = call(backend, IOMMU_IOAS_IOVA_RANGES, &ranges);
	if (!rc)
		say(report, "IOAS: 0x%llx to 0x%llx, alignment 0x%llx\n",
		    (unsigned long long)range.start,
		    (unsigned long long)range.last,
		    (unsigned long long)ranges.out_iova_alignment);
	destroy.id = alloc.out_ioas_id;
	call(backend, IOMMU_DESTROY, &destroy);
	return 0;
}

/* Nothing is switched on. */
static void probe_additions(const struct nestfd_backend *backend,
			    struct report *report)
{
	struct nestfd_ext_enable arg = { .size = sizeof(arg) };

	if (call(backend, NESTFD_EXT_ENABLE, &arg)) {
		say(report, "additions to the ABI: none\n");
		return;
	}
	say(report,
	    "additions to the ABI: error codes %s, ring %s, "
	    "invalid streams told %s\n",
	    arg.features & NESTFD_EXT_ERRORS ? "yes" : "no",
	    arg.features & NESTFD_EXT_RING ? "yes" : "no",
	    arg.features & NESTFD_EXT_INVALID ? "yes" : "no");
}

static const char *hw_name(uint32_t type)
{
	switch (type) {
	case IOMMU_HW_INFO_TYPE_NONE:
		return "no details";
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		return "Intel VT-d";
	case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
		return "Arm SMMUv3";
	default:
		return "another IOMMU";
	}
}

static void say_smmuv3(struct report *report,
		       const struct iommu_hw_info_arm_smmuv3 *hw)
{
	static const int oas[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	for (int i = 0; i < 6; i++)
		say(report, "IDR%d 0x%08x\n", i, hw->idr[i]);
	say(report, "stages:%s%s; nesting %s\n", hw->idr[0] & 2 ? " 1" : "",
	    hw->idr[0] & 1 ? " 2" : "",
	    (hw->idr[0] & 3) == 3 ? "possible" : "not possible");
	say(report, "StreamIDs of %u bits, substreams of %u bits\n",
	    hw->idr[1] & 0x3f, hw->idr[1] >> 6 & 0x1f);
	say(report, "output addresses of %d bits, granules:%s%s%s\n",
	    oas[hw->idr[5] & 7], hw->idr[5] & 0x10 ? " 4K" : "",
	    hw->idr[5] & 0x20 ? " 16K" : "", hw->idr[5] & 0x40 ? " 64K" : "");
	say(report, "range invalidation %s, ATS %s\n",
	    hw->idr[3] & 0x400 ? "yes" : "no",
	    hw->idr[0] & 0x400 ? "yes" : "no");
}

static bool has(uint64_t reg, unsigned int bit)
{
	return reg >> bit & 1;
}

static void say_vtd(struct report *report, const struct iommu_hw_info_vtd *hw)
{
	uint64_t ecap = hw->ecap_reg;
	bool scalable = has(ecap, 43);
	bool nesting = scalable && has(ecap, 47) && has(ecap, 26);

	say(report, "CAP 0x%016llx, ECAP 0x%016llx\n",
	    (unsigned long long)hw->cap_reg, (unsigned long long)ecap);
	say(report, "scalable mode %s; stages:%s%s; nesting %s\n",
	    scalable ? "yes" : "no", has(ecap, 47) ? " 1" : "",
	    !scalable || has(ecap, 46) ? " 2" : "",
	    nesting ? "possible" : "not possible");
	say(report, "PASIDs of %u bits, IOVAs of %u bits, ATS %s\n",
	    has(ecap, 40) ? (unsigned int)(ecap >> 35 & 0x1f) + 1 : 0,
	    (unsigned int)(hw->cap_reg >> 16 & 0x3f) + 1,
	    has(ecap, 2) ? "yes" : "no");
}

static int probe_device(const struct nestfd_backend *backend, uint32_t dev_id,
			struct report *report)
{
	union {
		struct iommu_hw_info_arm_smmuv3 smmuv3;
		struct iommu_hw_info_vtd vtd;
	} hw = { 0 };
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = dev_id,
		.data_len = sizeof(hw),
		.data_uptr = (uintptr_t)&hw,
	};
	int rc;

	rc = call(backend, IOMMU_GET_HW_INFO, &info);
	if (rc) {
		say(report, "IOMMU_GET_HW_INFO: %s\n", strerror(-rc));
		return rc;
	}
	say(report, "device %u: %s, PASIDs of %u bits, capabilities 0x%llx\n",
	    dev_id, hw_name(info.out_data_type), info.out_max_pasid_log2,
	    (unsigned long long)info.out_capabilities);
	if (info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		say_smmuv3(report, &hw.smmuv3);
	else if (info.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD)
		say_vtd(report, &hw.vtd);
	return 0;
}

int nestfd_probe(const struct nestfd_backend *backend, uint32_t dev_id,
		 char *text, size_t length)
{
	struct report report = { text, length };
	int rc;

	if (length)
		text[0] = '\0';
	rc = probe_ioas(backend, &report);
	if (rc)
		return rc;
	probe_additions(backend, &report);
	if (!dev_id)
		return 0;
	return probe_device(backend, dev_id, &report);
}
