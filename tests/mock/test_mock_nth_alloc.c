// SPDX-License-Identifier: MIT
/*
 * What the mock IOMMU can do, with the first, second, n-th allocation behind
 * it failing. For each injection point the table that is printed says which
 * step met it and what came out of it: ENOMEM, as on Linux, or nothing where
 * the step can do without (nth.c lists which may).
 *
 * Behind each: what had been made can be taken away again; the context is then
 * as it was, by its number of objects, the ids it gives, the pages it pins and
 * the fds of the process; and the whole scenario goes through. Or the step
 * works when it is tried again. Or the context is closed as it is.
 */
#include "nth.h"

#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>

static int given_nothing(struct run *run)
{
	(void)run;
	return 0;
}

static int given_device(struct run *run)
{
	STEP(run, "", make_ioas(run, &run->ioas));
	STEP(run, "", make_device(run, run->ioas, 0));
	return 0;
}

static int given_map(struct run *run)
{
	STEP(run, "", given_device(run));
	STEP(run, "", step_map(run, run->ioas, APERTURE, 4 * PAGE));
	return 0;
}

static int use_ioas(struct run *run)
{
	uint32_t other, hwpt;
	int fd;

	STEP(run, "IOAS_ALLOC", make_ioas(run, &run->ioas));
	STEP(run, "ALLOW_IOVAS", step_allow(run, run->ioas));
	STEP(run, "MAP", step_map(run, run->ioas, APERTURE, 4 * PAGE));
	STEP(run, "MOCK_DOMAIN", make_device(run, run->ioas, 0));
	STEP(run, "MAP, pinned",
	     step_map(run, run->ioas, 2 * APERTURE, 8 * PAGE));
	STEP(run, "memfd", make_memfd(run, &fd));
	STEP(run, "MAP_FILE", step_map_file(run, fd, 3 * APERTURE));
	STEP(run, "IOAS_ALLOC", make_ioas(run, &other));
	STEP(run, "COPY", step_copy(run, other));
	STEP(run, "ADD_RESERVED", step_reserve(run, other, 1ULL << 60));
	STEP(run, "IOVA_RANGES", step_ranges(run, run->ioas));
	STEP(run, "HWPT_ALLOC", make_hwpt(run, 0, 0, &hwpt));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, hwpt));
	STEP(run, "OPTION", step_large_pages(run, other, 0));
	STEP(run, "UNMAP", step_unmap(run, run->ioas, APERTURE, 4 * PAGE));
	EXPECT(!check_map(run->kit, hwpt, 2 * APERTURE, 8 * PAGE,
			  run->kit->pages));
	return 0;
}

static int use_access(struct run *run)
{
	char *p = run->kit->pages;
	struct cmd pin = { .op = 7,
			   .d = { 1, APERTURE, 2 * PAGE, (uintptr_t)p } };
	char buf[100] = "";
	struct cmd rw = { .op = 8,
			  .d = { APERTURE + 9, sizeof(buf), (uintptr_t)buf } };
	uint32_t other;
	uint32_t fd = 0;

	STEP(run, "IOAS_ALLOC", make_ioas(run, &other));
	STEP(run, "CREATE_ACCESS", make_access(run, run->ioas, &fd));
	pin.id = fd;
	rw.id = fd;
	STEP(run, "ACCESS_PAGES", test_cmd(run->kit, &pin));
	EXPECT(!check_refs(run->kit, p, 2 * PAGE, 1));
	STEP(run, "ACCESS_RW", test_cmd(run->kit, &rw));
	rw.w[6] = 1;
	STEP(run, "ACCESS_RW, write", test_cmd(run->kit, &rw));
	STEP(run, "ACCESS_UNPIN", test_op(run->kit, 6, fd, pin.w[1], 0));
	pin.w[0] = 0;
	STEP(run, "ACCESS_PAGES", test_cmd(run->kit, &pin));
	STEP(run, "ACCESS_REPLACE", test_op(run->kit, 11, fd, other, 0));
	return 0;
}

static int use_nested(struct run *run)
{
	uint32_t inv[70][2] = { { 0 } };
	uint32_t parent, nested;
	uint32_t n = 70;

	STEP(run, "HWPT_ALLOC, parent",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &parent));
	STEP(run, "HWPT_ALLOC, nested", make_nested(run, parent, &nested));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, nested));
	STEP(run, "HWPT_INVALIDATE",
	     kit_invalidate(run->kit, nested, inv, 8, &n));
	EXPECT(n == 70);
	EXPECT(!check_iotlb(run->kit, nested, 0, 0));
	EXPECT(!check_iotlb(run->kit, nested, 1, 0x1234));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, run->ioas));
	return 0;
}

static int use_viommu(struct run *run)
{
	uint32_t inv[70][3] = { { 0 } };
	uint32_t parent, viommu, nested;
	uint32_t n = 70;

	for (int i = 0; i < 70; i++)
		inv[i][1] = 0x99;
	STEP(run, "HWPT_ALLOC, parent",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &parent));
	STEP(run, "VIOMMU_ALLOC", make_viommu(run, parent, &viommu, NULL));
	STEP(run, "VDEVICE_ALLOC", make_vdevice(run, viommu));
	STEP(run, "HWPT_ALLOC, nested", make_nested(run, viommu, &nested));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, nested));
	STEP(run, "HWPT_INVALIDATE",
	     kit_invalidate(run->kit, viommu, inv, 12, &n));
	EXPECT(n == 70);
	EXPECT(!check_cache(run->kit, run->dev, 0, 0));
	EXPECT(!check_cache(run->kit, run->dev, 1, 0xbaddad));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, run->ioas));
	return 0;
}

static int use_veventq(struct run *run)
{
	uint32_t parent, viommu, nested;
	struct {
		struct iommufd_vevent_header header;
		uint32_t virt_id;
	} event;
	ssize_t n;
	int fd;

	STEP(run, "HWPT_ALLOC, parent",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &parent));
	STEP(run, "VIOMMU_ALLOC", make_viommu(run, parent, &viommu, NULL));
	STEP(run, "VDEVICE_ALLOC", make_vdevice(run, viommu));
	STEP(run, "HWPT_ALLOC, nested", make_nested(run, viommu, &nested));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, nested));
	STEP(run, "VEVENTQ_ALLOC", make_veventq(run, viommu, &fd));
	STEP(run, "TRIGGER_VEVENT", test_op(run->kit, 17, 0, run->dev, 0));
	n = nestfd_read(run->kit->ctx, fd, &event, sizeof(event));
	run_note(run, "read", n < 0 ? (int)n : 0);
	EXPECT(n == sizeof(event) && event.virt_id == 0x99);
	STEP(run, "DOMAIN_REPLACE", step_replace(run, run->ioas));
	return 0;
}

static int read_fault(struct run *run, int fd, struct iommu_hwpt_pgfault *fault)
{
	ssize_t n = nestfd_read(run->kit->ctx, fd, fault, sizeof(*fault));

	return n < 0 ? (int)n : 0;
}

static int respond(struct run *run, int fd, uint32_t cookie)
{
	struct iommu_hwpt_page_response response = { .cookie = cookie };
	ssize_t n =
		nestfd_write(run->kit->ctx, fd, &response, sizeof(response));

	return n < 0 ? (int)n : 0;
}

static int use_fault_queue(struct run *run)
{
	struct iommu_hwpt_pgfault fault = { 0 };
	struct cmd iopf = { .op = 15 };
	uint32_t id, hwpt;
	int fd;

	STEP(run, "FAULT_QUEUE_ALLOC", make_fault_queue(run, &id, &fd));
	STEP(run, "HWPT_ALLOC, faults",
	     make_hwpt(run, IOMMU_HWPT_FAULT_ID_VALID, id, &hwpt));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, hwpt));
	iopf.w[0] = run->dev;
	iopf.w[2] = 7; /* group */
	iopf.d[2] = 0x5000;
	STEP(run, "IOPF", test_cmd(run->kit, &iopf));
	if (run->point.step && !strcmp(run->point.step, "IOPF"))
		STEP(run, "", test_cmd(run->kit, &iopf)); /* asked once more */
	STEP(run, "read", read_fault(run, fd, &fault));
	EXPECT(fault.addr == 0x5000 && fault.grpid == 7);
	STEP(run, "write", respond(run, fd, fault.cookie));
	STEP(run, "IOPF", test_cmd(run->kit, &iopf));
	STEP(run, "DOMAIN_REPLACE", step_replace(run, run->ioas));
	return 0;
}

static int use_hw_queue(struct run *run)
{
	uint32_t parent, viommu;
	uint64_t offset;

	STEP(run, "HWPT_ALLOC, parent",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &parent));
	STEP(run, "VIOMMU_ALLOC, data",
	     make_viommu(run, parent, &viommu, &offset));
	STEP(run, "HW_QUEUE_ALLOC 0", make_hw_queue(run, viommu, 0));
	STEP(run, "HW_QUEUE_ALLOC 1", make_hw_queue(run, viommu, 1));
	STEP(run, "mmap", make_mmap(run, offset));
	return 0;
}

static int set_tracking(struct run *run, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking arg = {
		.size = sizeof(arg),
		.flags = flags,
		.hwpt_id = hwpt,
	};

	return nestfd_ioctl(run->kit->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg);
}

static int get_dirty(struct run *run, uint32_t hwpt, uint64_t *bits)
{
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.iova = APERTURE,
		.length = 4 * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)bits,
	};

	*bits = 0;
	return nestfd_ioctl(run->kit->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

static int use_dirty(struct run *run)
{
	uint64_t touch = 5;
	struct cmd dirty = {
		.op = 13,
		.d = { 0, APERTURE, 4 * PAGE, PAGE, (uintptr_t)&touch },
	};
	uint64_t bits;
	uint32_t hwpt;

	STEP(run, "HWPT_ALLOC, dirty",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &hwpt));
	STEP(run, "SET_DIRTY_TRACKING", set_tracking(run, hwpt, 1));
	dirty.id = hwpt;
	STEP(run, "DIRTY", test_cmd(run->kit, &dirty));
	STEP(run, "GET_DIRTY_BITMAP", get_dirty(run, hwpt, &bits));
	EXPECT(bits == 5);
	STEP(run, "SET_DIRTY_TRACKING", set_tracking(run, hwpt, 0));
	return 0;
}

static int map_revoked(struct run *run, int fd)
{
	int rc = step_map_file(run, fd, 2 * APERTURE);

	return rc == -ENODEV ? 0 : rc ? rc : -EPROTO;
}

static int use_dmabuf(struct run *run)
{
	int fd;

	STEP(run, "DMABUF_GET", make_dmabuf(run, &fd));
	STEP(run, "MAP_FILE", step_map_file(run, fd, APERTURE));
	STEP(run, "DMABUF_REVOKE", test_op(run->kit, 23, 0, (uint32_t)fd, 1));
	STEP(run, "MAP_FILE, revoked", map_revoked(run, fd));
	STEP(run, "DMABUF_REVOKE", test_op(run->kit, 23, 0, (uint32_t)fd, 0));
	STEP(run, "UNMAP", step_unmap(run, run->ioas, APERTURE, 4 * PAGE));
	STEP(run, "MAP_FILE", step_map_file(run, fd, APERTURE));
	return 0;
}

static int given_pasids(struct run *run)
{
	uint32_t hwpt;

	STEP(run, "", make_ioas(run, &run->ioas));
	STEP(run, "", make_device(run, run->ioas, 4));
	STEP(run, "", make_hwpt(run, IOMMU_HWPT_ALLOC_PASID, 0, &hwpt));
	STEP(run, "", step_replace(run, hwpt));
	return 0;
}

static int use_pasids(struct run *run)
{
	struct kit *kit = run->kit;
	uint32_t a, b;

	STEP(run, "HWPT_ALLOC, PASID",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_PASID, 0, &a));
	STEP(run, "HWPT_ALLOC, PASID",
	     make_hwpt(run, IOMMU_HWPT_ALLOC_PASID, 0, &b));
	STEP(run, "PASID_ATTACH", step_pasid_attach(run, 200, a));
	STEP(run, "PASID_ATTACH", step_pasid_attach(run, 300, a));
	STEP(run, "PASID_REPLACE", test_op(kit, 19, run->object, 200, b));
	EXPECT(!test_op(kit, 21, run->object, 200, b));
	EXPECT(!test_op(kit, 21, run->object, 300, a));
	STEP(run, "PASID_DETACH", test_op(kit, 20, run->object, 200, 0));
	EXPECT(!test_op(kit, 21, run->object, 200, 0));
	return 0;
}

static int use_change_process(struct run *run)
{
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };
	int fd;

	STEP(run, "memfd", make_memfd(run, &fd));
	STEP(run, "MAP_FILE", step_map_file(run, fd, APERTURE));
	STEP(run, "CHANGE_PROCESS",
	     nestfd_ioctl(run->kit->ctx, IOMMU_IOAS_CHANGE_PROCESS, &arg));
	return 0;
}

static int vfio(struct run *run, unsigned long cmd, void *arg)
{
	return nestfd_ioctl(run->kit->ctx, cmd, arg);
}

static int use_vfio(struct run *run)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = run->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};
	struct {
		struct vfio_iommu_type1_info info;
		char more[256];
	} info = { .info = { .argsz = sizeof(info) } };
	struct vfio_iommu_type1_dma_map in = {
		.argsz = sizeof(in),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)run->kit->pages,
		.iova = APERTURE,
		.size = 4 * PAGE,
	};
	struct vfio_iommu_type1_dma_unmap out = {
		.argsz = sizeof(out),
		.iova = APERTURE,
		.size = 4 * PAGE,
	};

	STEP(run, "VFIO_IOAS", vfio(run, IOMMU_VFIO_IOAS, &set));
	STEP(run, "VFIO_SET_IOMMU",
	     vfio(run, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	STEP(run, "VFIO_IOMMU_GET_INFO", vfio(run, VFIO_IOMMU_GET_INFO, &info));
	STEP(run, "VFIO_IOMMU_MAP_DMA", vfio(run, VFIO_IOMMU_MAP_DMA, &in));
	STEP(run, "VFIO_IOMMU_UNMAP_DMA",
	     vfio(run, VFIO_IOMMU_UNMAP_DMA, &out));
	STEP(run, "VFIO_IOMMU_MAP_DMA", vfio(run, VFIO_IOMMU_MAP_DMA, &in));
	return 0;
}

static int make_machine_device(struct run *run, struct nestfd_device **dev)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 7,
		.pasid_bits = 8,
	};
	int rc = nestfd_device_add(run->kit->machine, &config, dev);

	if (!rc)
		run_made(run, MADE_DEVICE, (uintptr_t)*dev);
	return rc;
}

static int use_machine_device(struct run *run)
{
	struct nestfd_device *dev;
	uint32_t id, pt;
	char byte = 'd';

	STEP(run, "device_add", make_machine_device(run, &dev));
	STEP(run, "bind", nestfd_bind(run->kit->ctx, dev, &id));
	pt = run->ioas;
	STEP(run, "attach", nestfd_attach(dev, NESTFD_NO_PASID, &pt));
	EXPECT(!nestfd_dma_write(dev, APERTURE, &byte, 1));
	EXPECT(run->kit->pages[0] == 'd');
	return 0;
}

#define SCENARIO(test, title, given_fn, when_fn)   \
	static void test(void **state)             \
	{                                          \
		static const struct scenario s = { \
			.name = title,             \
			.given = given_fn,         \
			.when = when_fn,           \
		};                                 \
                                                   \
		(void)state;                       \
		run_each_point(&s);                \
	}

SCENARIO(ioas_map_and_domain, "IOAS, map, domain", given_nothing, use_ioas)
SCENARIO(accesses_pin_and_copy, "access", given_map, use_access)
SCENARIO(nested_hwpts_are_invalidated, "nested HWPT", given_map, use_nested)
SCENARIO(viommus_are_invalidated, "vIOMMU", given_map, use_viommu)
SCENARIO(events_are_queued, "vEVENTQ", given_map, use_veventq)
SCENARIO(page_requests_are_answered, "fault queue", given_map, use_fault_queue)
SCENARIO(hardware_queues_and_their_page, "HW queue", given_map, use_hw_queue)
SCENARIO(dirty_pages_are_tracked, "dirty tracking", given_map, use_dirty)
SCENARIO(dma_bufs_are_mapped, "dma-buf", given_device, use_dmabuf)
SCENARIO(pasids_are_attached, "PASIDs", given_pasids, use_pasids)
SCENARIO(processes_change, "change process", given_device, use_change_process)
SCENARIO(vfio_maps, "VFIO compatibility", given_device, use_vfio)
SCENARIO(a_machines_own_device, "machine's device", given_map,
	 use_machine_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ioas_map_and_domain),
		cmocka_unit_test(accesses_pin_and_copy),
		cmocka_unit_test(nested_hwpts_are_invalidated),
		cmocka_unit_test(viommus_are_invalidated),
		cmocka_unit_test(events_are_queued),
		cmocka_unit_test(page_requests_are_answered),
		cmocka_unit_test(hardware_queues_and_their_page),
		cmocka_unit_test(dirty_pages_are_tracked),
		cmocka_unit_test(dma_bufs_are_mapped),
		cmocka_unit_test(pasids_are_attached),
		cmocka_unit_test(processes_change),
		cmocka_unit_test(vfio_maps),
		cmocka_unit_test(a_machines_own_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
