// SPDX-License-Identifier: MIT
/* See kit.h. */
#include "kit.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGES 16

_Static_assert(sizeof(struct cmd) == 72, "Linux's");

int kit_setup(void **state)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
	};
	struct kit *kit = calloc(1, sizeof(*kit));

	if (!kit || nestfd_machine_create(&config, &kit->machine) ||
	    nestfd_open(kit->machine, &kit->ctx) || kit_ioas(kit, &kit->ioas))
		return -1;
	kit->pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = kit;
	return kit->pages == MAP_FAILED;
}

int kit_setup_dev(void **state)
{
	struct kit *kit;

	if (kit_setup(state))
		return -1;
	kit = *state;
	return test_device(kit, kit->ioas, 0, &kit->object, &kit->hwpt,
			   &kit->dev);
}

int kit_teardown(void **state)
{
	struct kit *kit = *state;

	nestfd_close(kit->ctx);
	nestfd_machine_destroy(kit->machine);
	munmap(kit->pages, PAGES * PAGE);
	free(kit);
	return 0;
}

void kit_expect_faults(void)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
	};
	struct nestfd_machine *machine;

	assert_int_equal(nestfd_machine_create(&config, &machine), 0);
	nestfd_machine_destroy(machine);
}

int test_cmd(struct kit *kit, struct cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return nestfd_ioctl(kit->ctx, _IO(';', 0xa0), cmd);
}

int test_op(struct kit *kit, uint32_t op, uint32_t id, uint32_t w0, uint32_t w1)
{
	struct cmd cmd = { .op = op, .id = id, .w = { w0, w1 } };

	return test_cmd(kit, &cmd);
}

int test_device(struct kit *kit, uint32_t pt, uint32_t flags, uint32_t *object,
		uint32_t *hwpt, uint32_t *dev)
{
	struct cmd cmd = { .op = 12, .id = pt, .w = { 0, 0, 0, flags } };
	int rc = test_cmd(kit, &cmd);

	if (rc)
		return rc;
	*object = cmd.w[0];
	*hwpt = cmd.w[1];
	*dev = cmd.w[2];
	return 0;
}

int check_map(struct kit *kit, uint32_t hwpt, uint64_t iova, uint64_t length,
	      const void *at)
{
	struct cmd cmd = { .op = 3,
			   .id = hwpt,
			   .d = { iova, length, (uintptr_t)at } };

	return test_cmd(kit, &cmd);
}

int check_refs(struct kit *kit, const void *at, uint64_t length, uint32_t refs)
{
	struct cmd cmd = { .op = 4, .d = { length, (uintptr_t)at, refs } };

	return test_cmd(kit, &cmd);
}

int check_iotlb(struct kit *kit, uint32_t hwpt, uint32_t cell, uint32_t value)
{
	return test_op(kit, 14, hwpt, cell, value);
}

int check_cache(struct kit *kit, uint32_t dev, uint32_t cell, uint32_t value)
{
	return test_op(kit, 16, dev, cell, value);
}

int kit_map(struct kit *kit, uint64_t iova, const void *at, uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = kit->ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_IOAS_MAP, &arg);
}

int kit_unmap(struct kit *kit, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = kit->ioas,
		.iova = iova,
		.length = length,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_IOAS_UNMAP, &arg);
}

int kit_hwpt(struct kit *kit, uint32_t pt, uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = kit->dev,
		.pt_id = pt,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

int kit_nested(struct kit *kit, uint32_t pt, uint32_t value, uint32_t *hwpt)
{
	uint32_t data[2] = { value, 0 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = kit->dev,
		.pt_id = pt,
		.data_type = 0xdead,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc)
		*hwpt = arg.out_hwpt_id;
	return rc;
}

int kit_viommu(struct kit *kit, uint32_t parent, uint32_t *viommu)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = 0xdeadbeef,
		.dev_id = kit->dev,
		.hwpt_id = parent,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_VIOMMU_ALLOC, &arg);

	if (!rc)
		*viommu = arg.out_viommu_id;
	return rc;
}

int kit_vdevice(struct kit *kit, uint32_t viommu, uint32_t dev,
		uint64_t virt_id, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.dev_id = dev,
		.virt_id = virt_id,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_VDEVICE_ALLOC, &arg);

	if (!rc)
		*vdevice = arg.out_vdevice_id;
	return rc;
}

int kit_invalidate(struct kit *kit, uint32_t id, const void *array,
		   uint32_t entry_len, uint32_t *n)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)array,
		.data_type = 0xdeadbeef,
		.entry_len = entry_len,
		.entry_num = *n,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_HWPT_INVALIDATE, &arg);

	*n = arg.entry_num;
	return rc;
}

int kit_destroy(struct kit *kit, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return nestfd_ioctl(kit->ctx, IOMMU_DESTROY, &arg);
}

int kit_ioas(struct kit *kit, uint32_t *ioas)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = nestfd_ioctl(kit->ctx, IOMMU_IOAS_ALLOC, &arg);

	if (!rc)
		*ioas = arg.out_ioas_id;
	return rc;
}

int kit_replace(struct kit *kit, uint32_t pt)
{
	return test_op(kit, 10, kit->object, pt, 0);
}

int kit_access(struct kit *kit, uint32_t flags, uint32_t *fd)
{
	struct cmd cmd = { .op = 5, .id = kit->ioas, .w = { 0, flags } };
	int rc = test_cmd(kit, &cmd);

	if (!rc)
		*fd = cmd.w[0];
	return rc;
}

int kit_pin(struct kit *kit, uint32_t fd, uint32_t flags, uint64_t iova,
	    uint64_t length, const void *at, uint32_t *item)
{
	struct cmd cmd = { .op = 7,
			   .id = fd,
			   .d = { flags, iova, length, (uintptr_t)at } };
	int rc = test_cmd(kit, &cmd);

	if (!rc)
		*item = cmd.w[1];
	return rc;
}

int kit_rw(struct kit *kit, uint32_t fd, uint32_t flags, uint64_t iova,
	   void *buf, uint64_t length)
{
	struct cmd cmd = { .op = 8,
			   .id = fd,
			   .d = { iova, length, (uintptr_t)buf, flags } };

	return test_cmd(kit, &cmd);
}

void kit_nest(struct kit *kit, struct kit_nest *nest)
{
	assert_int_equal(kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
				  &nest->parent),
			 0);
	assert_int_equal(kit_viommu(kit, nest->parent, &nest->viommu), 0);
	assert_int_equal(kit_nested(kit, nest->viommu, 0, &nest->nested), 0);
}
