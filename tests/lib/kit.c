// SPDX-License-Identifier: MIT
/* See kit.h. */
#include "kit.h"

#include <linux/iommufd.h>
#include <sys/mman.h>

int kit_machine_of(enum nestfd_arch arch, enum nestfd_cache cache,
		   struct nestfd_machine **machine)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = arch,
		.cache = cache,
	};

	return nestfd_machine_create(&config, machine);
}

int kit_machine(enum nestfd_cache cache, struct nestfd_machine **machine)
{
	return kit_machine_of(NESTFD_ARCH_SMMUV3, cache, machine);
}

int kit_device(struct nestfd_machine *machine, uint32_t stream_id,
	       struct nestfd_device **dev)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = stream_id,
	};

	return nestfd_device_add(machine, &config, dev);
}

int kit_ioas(struct nestfd *ctx, uint32_t *ioas)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = nestfd_ioctl(ctx, IOMMU_IOAS_ALLOC, &arg);

	if (!rc)
		*ioas = arg.out_ioas_id;
	return rc;
}

int kit_map(struct nestfd *ctx, uint32_t ioas, uint64_t iova, const void *va,
	    uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return nestfd_ioctl(ctx, IOMMU_IOAS_MAP, &arg);
}

int kit_unmap(struct nestfd *ctx, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return nestfd_ioctl(ctx, IOMMU_IOAS_UNMAP, &arg);
}

int kit_hwpt(struct nestfd *ctx, uint32_t dev_id, uint32_t pt_id,
	     uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = pt_id,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

int kit_nested(struct nestfd *ctx, uint32_t dev_id, uint32_t viommu,
	       uint64_t ste0, uint64_t ste1, uint32_t *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { ste0, ste1 } };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = dev_id,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

int kit_nested_vtd(struct nestfd *ctx, uint32_t dev_id, uint32_t parent,
		   uint64_t root, uint32_t *hwpt)
{
	struct iommu_hwpt_vtd_s1 data = {
		.pgtbl_addr = root,
		.addr_width = 48,
	};
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = dev_id,
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

int kit_invalidate_vtd(struct nestfd *ctx, uint32_t hwpt, uint64_t addr,
		       uint64_t npages)
{
	struct iommu_hwpt_vtd_s1_invalidate entry = {
		.addr = addr,
		.npages = npages,
	};
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.data_uptr = (uintptr_t)&entry,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(entry),
		.entry_num = 1,
	};

	return nestfd_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &arg);
}

int kit_viommu(struct nestfd *ctx, uint32_t dev_id, uint32_t parent,
	       uint32_t *viommu)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
		.hwpt_id = parent,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_VIOMMU_ALLOC, &arg);

	if (!rc)
		*viommu = arg.out_viommu_id;
	return rc;
}

int kit_vdevice(struct nestfd *ctx, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_VDEVICE_ALLOC, &arg);

	if (!rc)
		*vdevice = arg.out_vdevice_id;
	return rc;
}

int kit_veventq(struct nestfd *ctx, uint32_t viommu, uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 64,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_VEVENTQ_ALLOC, &arg);

	if (!rc) {
		*id = arg.out_veventq_id;
		*fd = (int)arg.out_veventq_fd;
	}
	return rc;
}

int kit_invalidate(struct nestfd *ctx, uint32_t viommu, const void *cmds,
		   uint32_t *n)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu,
		.data_uptr = (uintptr_t)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = *n,
	};
	int rc = nestfd_ioctl(ctx, IOMMU_HWPT_INVALIDATE, &arg);

	*n = arg.entry_num;
	return rc;
}

uint32_t kit_find_viommu(struct nestfd *ctx, unsigned int nth)
{
	for (uint32_t id = 1; id < 100; id++) {
		uint32_t n = 0;

		if (!kit_invalidate(ctx, id, NULL, &n) && !nth--)
			return id;
	}
	fail_msg("no such vIOMMU");
	return 0;
}

int kit_destroy(struct nestfd *ctx, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return nestfd_ioctl(ctx, IOMMU_DESTROY, &arg);
}

int kit_attach(struct nestfd_device *dev, uint32_t pt_id)
{
	return nestfd_attach(dev, NESTFD_NO_PASID, &pt_id);
}

int kit_read(struct nestfd_device *dev, uint64_t iova, uint64_t *value)
{
	return nestfd_dma_read(dev, iova, value, sizeof(*value));
}

int kit_write(struct nestfd_device *dev, uint64_t iova, uint64_t value)
{
	return nestfd_dma_write(dev, iova, &value, sizeof(value));
}

void *kit_pages(size_t n)
{
	void *pages = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	return pages;
}

void kit_pages_free(void *pages, size_t n)
{
	munmap(pages, n * PAGE);
}

struct counting {
	bool (*keep)(const struct nestfd_cache_entry *entry, uint64_t arg);
	uint64_t arg;
	unsigned int n;
};

static void count_one(void *ctx, const struct nestfd_cache_entry *entry)
{
	struct counting *c = ctx;

	if (c->keep(entry, c->arg))
		c->n++;
}

unsigned int kit_entries(struct nestfd_machine *machine,
			 bool (*keep)(const struct nestfd_cache_entry *entry,
				      uint64_t arg),
			 uint64_t arg)
{
	struct counting c = { .keep = keep, .arg = arg };

	nestfd_iommu_entries(machine, count_one, &c);
	return c.n;
}
