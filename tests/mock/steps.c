// SPDX-License-Identifier: MIT
/* See nth.h: the calls that scenarios consist of. */
#include "nth.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int make_ioas(struct run *run, uint32_t *ioas)
{
	int rc = kit_ioas(run->kit, ioas);

	if (!rc)
		run_made(run, MADE_OBJECT, *ioas);
	return rc;
}

int make_device(struct run *run, uint32_t pt, uint32_t flags)
{
	int rc = test_device(run->kit, pt, flags, &run->object, &run->hwpt,
			     &run->dev);

	if (!rc)
		run_made(run, MADE_OBJECT, run->object);
	return rc;
}

int make_hwpt(struct run *run, uint32_t flags, uint32_t fault, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = run->dev,
		.pt_id = run->ioas,
		.fault_id = fault,
	};
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_HWPT_ALLOC, &arg);

	if (!rc) {
		*hwpt = arg.out_hwpt_id;
		run_made(run, MADE_OBJECT, *hwpt);
	}
	return rc;
}

int make_nested(struct run *run, uint32_t pt, uint32_t *hwpt)
{
	int rc;

	run->kit->dev = run->dev;
	rc = kit_nested(run->kit, pt, 0x1234, hwpt);
	if (!rc)
		run_made(run, MADE_OBJECT, *hwpt);
	return rc;
}

/* With a page to mmap if @offset is wanted */
int make_viommu(struct run *run, uint32_t parent, uint32_t *viommu,
		uint64_t *offset)
{
	struct {
		uint32_t in;
		uint32_t out;
		uint64_t offset;
		uint64_t length;
	} data = { .in = 0xd00d };
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = 0xdeadbeef,
		.dev_id = run->dev,
		.hwpt_id = parent,
		.data_uptr = (uintptr_t)&data,
		.data_len = offset ? sizeof(data) : 0,
	};
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_VIOMMU_ALLOC, &arg);

	if (rc)
		return rc;
	*viommu = arg.out_viommu_id;
	run_made(run, MADE_OBJECT, *viommu);
	if (offset)
		*offset = data.offset;
	return 0;
}

int make_vdevice(struct run *run, uint32_t viommu)
{
	uint32_t vdevice;
	int rc = kit_vdevice(run->kit, viommu, run->dev, 0x99, &vdevice);

	if (!rc)
		run_made(run, MADE_OBJECT, vdevice);
	return rc;
}

int make_veventq(struct run *run, uint32_t viommu, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = 0xbeefbeef,
		.veventq_depth = 4,
	};
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_VEVENTQ_ALLOC, &arg);

	if (rc)
		return rc;
	*fd = (int)arg.out_veventq_fd;
	run_made(run, MADE_OBJECT, arg.out_veventq_id);
	run_made(run, MADE_QUEUE_FD, arg.out_veventq_fd);
	return 0;
}

int make_fault_queue(struct run *run, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg);

	if (rc)
		return rc;
	*id = arg.out_fault_id;
	*fd = (int)arg.out_fault_fd;
	run_made(run, MADE_OBJECT, arg.out_fault_id);
	run_made(run, MADE_QUEUE_FD, arg.out_fault_fd);
	return 0;
}

int make_hw_queue(struct run *run, uint32_t viommu, uint32_t index)
{
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = 0xdeadbeef,
		.index = index,
		.nesting_parent_iova = APERTURE,
		.length = PAGE,
	};
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg);

	if (!rc)
		run_made(run, MADE_OBJECT, arg.out_hw_queue_id);
	return rc;
}

int make_mmap(struct run *run, uint64_t offset)
{
	uint64_t fd_offset;
	int fd;
	int rc = nestfd_mmap_get(run->kit->ctx, offset, 2 * PAGE, &fd,
				 &fd_offset);

	if (!rc)
		run_made(run, MADE_MMAP, offset);
	return rc;
}

int make_access(struct run *run, uint32_t ioas, uint32_t *fd)
{
	struct cmd cmd = { .op = 5, .id = ioas, .w = { 0, 1 } };
	int rc = test_cmd(run->kit, &cmd);

	if (!rc) {
		*fd = cmd.w[0];
		run_made(run, MADE_FD, *fd);
	}
	return rc;
}

int make_dmabuf(struct run *run, int *fd)
{
	int rc = test_op(run->kit, 22, 0, 4 * PAGE, O_CLOEXEC);

	if (rc >= 0) {
		*fd = rc;
		run_made(run, MADE_FD, (uint64_t)rc);
		run->dmabufs++;
	}
	return rc < 0 ? rc : 0;
}

int make_memfd(struct run *run, int *fd)
{
	*fd = memfd_create("nth", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, 4 * PAGE))
		return -EPROTO;
	run_made(run, MADE_FD, (uint64_t)*fd);
	return 0;
}

int step_map(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length)
{
	run->kit->ioas = ioas;
	return kit_map(run->kit, iova, run->kit->pages, length);
}

int step_unmap(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length)
{
	run->kit->ioas = ioas;
	return kit_unmap(run->kit, iova, length);
}

int step_map_file(struct run *run, int fd, uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = run->ioas,
		.fd = fd,
		.length = 4 * PAGE,
		.iova = iova,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_IOAS_MAP_FILE, &arg);
}

int step_copy(struct run *run, uint32_t to)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.dst_ioas_id = to,
		.src_ioas_id = run->ioas,
		.length = 2 * PAGE,
		.src_iova = APERTURE,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_IOAS_COPY, &arg);
}

int step_allow(struct run *run, uint32_t ioas)
{
	struct iommu_iova_range ranges[2] = {
		{ APERTURE, 0x4fffffff },
		{ 0x50000000, 0x5fffffff },
	};
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.num_iovas = 2,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_IOAS_ALLOW_IOVAS, &arg);
}

int step_ranges(struct run *run, uint32_t ioas)
{
	struct iommu_iova_range list[16];
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.num_iovas = 16,
		.allowed_iovas = (uintptr_t)list,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_IOAS_IOVA_RANGES, &arg);
}

int step_large_pages(struct run *run, uint32_t ioas, uint64_t on)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = on,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_OPTION, &arg);
}

int step_reserve(struct run *run, uint32_t ioas, uint64_t first)
{
	struct cmd cmd = { .op = 1, .id = ioas, .d = { first, PAGE } };

	return test_cmd(run->kit, &cmd);
}

int step_replace(struct run *run, uint32_t pt)
{
	int rc = test_op(run->kit, 10, run->object, pt, 0);

	if (!rc && pt != run->ioas)
		run_made(run, MADE_MOVE, 0);
	return rc;
}

int step_pasid_attach(struct run *run, uint32_t pasid, uint32_t pt)
{
	int rc = test_op(run->kit, 18, run->object, pasid, pt);

	if (!rc)
		run_made(run, MADE_PASID, pasid);
	return rc;
}
