// SPDX-License-Identifier: MIT
/*
 * What the mock IOMMU can do, with the first, second, n-th allocation behind
 * it failing. For each injection point the table that is printed says which
 * step met it and what came out of it: ENOMEM, as on Linux, or nothing where
 * the step can do without (its name then stands in tolerated[]).
 *
 * Behind each: what had been made can be taken away again; the context is then
 * as it was, by its number of objects, the ids it gives, the pages it pins and
 * the fds of the process; and the whole scenario goes through. Or the step
 * works when it is tried again. Or the context is closed as it is.
 */
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/core.h"
#include "lib/machine.h"

#define MADE_MAX   32
#define POINTS_MAX 200

enum made_kind {
	MADE_OBJECT,
	MADE_FD,
	MADE_QUEUE_FD,
	MADE_MMAP,
	MADE_DEVICE,
	MADE_MOVE,  /* of the test device, away from its IOAS */
	MADE_PASID, /* of it */
};

struct made {
	enum made_kind kind;
	uint64_t value;
};

/* What is done behind a failure */
enum way {
	ABANDONED, /* all is taken away again, then made anew */
	AGAIN,	   /* the step is tried again at once */
	LEFT,	   /* nothing: the context ends */
};

/* What one injection point has led to */
struct point {
	const char *step;
	int rc;
};

struct run {
	struct kit *kit;
	bool again; /* try again at once what has failed */
	bool armed;
	struct point point;
	unsigned int nr_made;
	struct made made[MADE_MAX];
	unsigned int dmabufs; /* core keeps an fd of each */
	/* what scenarios begin with: an IOAS with a device on it */
	uint32_t ioas;
	uint32_t object;
	uint32_t hwpt;
	uint32_t dev;
};

struct scenario {
	const char *name;
	int (*given)(struct run *run); /* without failures */
	int (*when)(struct run *run);
};

/* Steps that do without what they have not got */
static const char *const tolerated[] = {
	"IOPF", /* the device is answered INVALID */
};

static void made(struct run *run, enum made_kind kind, uint64_t value)
{
	assert_in_range(run->nr_made, 0, MADE_MAX - 1);
	run->made[run->nr_made++] = (struct made){ kind, value };
}

static bool is_new_failure(const struct run *run)
{
	return run->armed && !run->point.step && !nestfd_fail_nth_left();
}

/* Notes which step has met the injected failure. True: try it again */
static bool note(struct run *run, const char *step, int rc)
{
	if (!is_new_failure(run))
		return false;
	run->point = (struct point){ step, rc };
	return rc && run->again;
}

#define STEP(run, name, call)                 \
	do {                                  \
		int step_rc = (call);         \
                                              \
		if (note(run, name, step_rc)) \
			step_rc = (call);     \
		if (step_rc < 0)              \
			return step_rc;       \
	} while (0)

/* What must not fail for want of memory */
#define EXPECT(condition)                                              \
	do {                                                           \
		if (!(condition)) {                                    \
			print_error("%s:%d: %s\n", __func__, __LINE__, \
				    #condition);                       \
			return -EPROTO;                                \
		}                                                      \
	} while (0)

/* ---- steps ---- */

static int make_ioas(struct run *run, uint32_t *ioas)
{
	int rc = kit_ioas(run->kit, ioas);

	if (!rc)
		made(run, MADE_OBJECT, *ioas);
	return rc;
}

static int make_device(struct run *run, uint32_t pt, uint32_t flags)
{
	int rc = test_device(run->kit, pt, flags, &run->object, &run->hwpt,
			     &run->dev);

	if (!rc)
		made(run, MADE_OBJECT, run->object);
	return rc;
}

static int make_hwpt(struct run *run, uint32_t flags, uint32_t fault,
		     uint32_t *hwpt)
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
		made(run, MADE_OBJECT, *hwpt);
	}
	return rc;
}

static int make_nested(struct run *run, uint32_t pt, uint32_t *hwpt)
{
	int rc;

	run->kit->dev = run->dev;
	rc = kit_nested(run->kit, pt, 0x1234, hwpt);
	if (!rc)
		made(run, MADE_OBJECT, *hwpt);
	return rc;
}

/* With a page to mmap if @offset is wanted */
static int make_viommu(struct run *run, uint32_t parent, uint32_t *viommu,
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
	made(run, MADE_OBJECT, *viommu);
	if (offset)
		*offset = data.offset;
	return 0;
}

static int make_vdevice(struct run *run, uint32_t viommu)
{
	uint32_t vdevice;
	int rc = kit_vdevice(run->kit, viommu, run->dev, 0x99, &vdevice);

	if (!rc)
		made(run, MADE_OBJECT, vdevice);
	return rc;
}

static int make_veventq(struct run *run, uint32_t viommu, int *fd)
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
	made(run, MADE_OBJECT, arg.out_veventq_id);
	made(run, MADE_QUEUE_FD, arg.out_veventq_fd);
	return 0;
}

static int make_fault_queue(struct run *run, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int rc = nestfd_ioctl(run->kit->ctx, IOMMU_FAULT_QUEUE_ALLOC, &arg);

	if (rc)
		return rc;
	*id = arg.out_fault_id;
	*fd = (int)arg.out_fault_fd;
	made(run, MADE_OBJECT, arg.out_fault_id);
	made(run, MADE_QUEUE_FD, arg.out_fault_fd);
	return 0;
}

static int make_hw_queue(struct run *run, uint32_t viommu, uint32_t index)
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
		made(run, MADE_OBJECT, arg.out_hw_queue_id);
	return rc;
}

static int make_mmap(struct run *run, uint64_t offset)
{
	uint64_t fd_offset;
	int fd;
	int rc = nestfd_mmap_get(run->kit->ctx, offset, 2 * PAGE, &fd,
				 &fd_offset);

	if (!rc)
		made(run, MADE_MMAP, offset);
	return rc;
}

static int make_access(struct run *run, uint32_t ioas, uint32_t *fd)
{
	struct cmd cmd = { .op = 5, .id = ioas, .w = { 0, 1 } };
	int rc = test_cmd(run->kit, &cmd);

	if (!rc) {
		*fd = cmd.w[0];
		made(run, MADE_FD, *fd);
	}
	return rc;
}

static int make_dmabuf(struct run *run, int *fd)
{
	int rc = test_op(run->kit, 22, 0, 4 * PAGE, O_CLOEXEC);

	if (rc >= 0) {
		*fd = rc;
		made(run, MADE_FD, (uint64_t)rc);
		run->dmabufs++;
	}
	return rc < 0 ? rc : 0;
}

static int make_memfd(struct run *run, int *fd)
{
	*fd = memfd_create("nth", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, 4 * PAGE))
		return -EPROTO;
	made(run, MADE_FD, (uint64_t)*fd);
	return 0;
}

static int map(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length)
{
	run->kit->ioas = ioas;
	return kit_map(run->kit, iova, run->kit->pages, length);
}

static int unmap(struct run *run, uint32_t ioas, uint64_t iova, uint64_t length)
{
	run->kit->ioas = ioas;
	return kit_unmap(run->kit, iova, length);
}

static int map_file(struct run *run, int fd, uint64_t iova)
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

static int copy(struct run *run, uint32_t to)
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

static int allow(struct run *run, uint32_t ioas)
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

static int ranges(struct run *run, uint32_t ioas)
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

static int large_pages(struct run *run, uint32_t ioas, uint64_t on)
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

static int reserve(struct run *run, uint32_t ioas, uint64_t first)
{
	struct cmd cmd = { .op = 1, .id = ioas, .d = { first, PAGE } };

	return test_cmd(run->kit, &cmd);
}

static int replace(struct run *run, uint32_t pt)
{
	int rc = test_op(run->kit, 10, run->object, pt, 0);

	if (!rc && pt != run->ioas)
		made(run, MADE_MOVE, 0);
	return rc;
}

static int pasid_attach(struct run *run, uint32_t pasid, uint32_t pt)
{
	int rc = test_op(run->kit, 18, run->object, pasid, pt);

	if (!rc)
		made(run, MADE_PASID, pasid);
	return rc;
}

/* ---- scenarios ---- */

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
	STEP(run, "", map(run, run->ioas, APERTURE, 4 * PAGE));
	return 0;
}

static int use_ioas(struct run *run)
{
	uint32_t other, hwpt;
	int fd;

	STEP(run, "IOAS_ALLOC", make_ioas(run, &run->ioas));
	STEP(run, "ALLOW_IOVAS", allow(run, run->ioas));
	STEP(run, "MAP", map(run, run->ioas, APERTURE, 4 * PAGE));
	STEP(run, "MOCK_DOMAIN", make_device(run, run->ioas, 0));
	STEP(run, "MAP, pinned", map(run, run->ioas, 2 * APERTURE, 8 * PAGE));
	STEP(run, "memfd", make_memfd(run, &fd));
	STEP(run, "MAP_FILE", map_file(run, fd, 3 * APERTURE));
	STEP(run, "IOAS_ALLOC", make_ioas(run, &other));
	STEP(run, "COPY", copy(run, other));
	STEP(run, "ADD_RESERVED", reserve(run, other, 1ULL << 60));
	STEP(run, "IOVA_RANGES", ranges(run, run->ioas));
	STEP(run, "HWPT_ALLOC", make_hwpt(run, 0, 0, &hwpt));
	STEP(run, "DOMAIN_REPLACE", replace(run, hwpt));
	STEP(run, "OPTION", large_pages(run, other, 0));
	STEP(run, "UNMAP", unmap(run, run->ioas, APERTURE, 4 * PAGE));
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
	STEP(run, "DOMAIN_REPLACE", replace(run, nested));
	STEP(run, "HWPT_INVALIDATE",
	     kit_invalidate(run->kit, nested, inv, 8, &n));
	EXPECT(n == 70);
	EXPECT(!check_iotlb(run->kit, nested, 0, 0));
	EXPECT(!check_iotlb(run->kit, nested, 1, 0x1234));
	STEP(run, "DOMAIN_REPLACE", replace(run, run->ioas));
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
	STEP(run, "DOMAIN_REPLACE", replace(run, nested));
	STEP(run, "HWPT_INVALIDATE",
	     kit_invalidate(run->kit, viommu, inv, 12, &n));
	EXPECT(n == 70);
	EXPECT(!check_cache(run->kit, run->dev, 0, 0));
	EXPECT(!check_cache(run->kit, run->dev, 1, 0xbaddad));
	STEP(run, "DOMAIN_REPLACE", replace(run, run->ioas));
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
	STEP(run, "DOMAIN_REPLACE", replace(run, nested));
	STEP(run, "VEVENTQ_ALLOC", make_veventq(run, viommu, &fd));
	STEP(run, "TRIGGER_VEVENT", test_op(run->kit, 17, 0, run->dev, 0));
	n = nestfd_read(run->kit->ctx, fd, &event, sizeof(event));
	note(run, "read", n < 0 ? (int)n : 0);
	EXPECT(n == sizeof(event) && event.virt_id == 0x99);
	STEP(run, "DOMAIN_REPLACE", replace(run, run->ioas));
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
	STEP(run, "DOMAIN_REPLACE", replace(run, hwpt));
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
	STEP(run, "DOMAIN_REPLACE", replace(run, run->ioas));
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
	int rc = map_file(run, fd, 2 * APERTURE);

	return rc == -ENODEV ? 0 : rc ? rc : -EPROTO;
}

static int use_dmabuf(struct run *run)
{
	int fd;

	STEP(run, "DMABUF_GET", make_dmabuf(run, &fd));
	STEP(run, "MAP_FILE", map_file(run, fd, APERTURE));
	STEP(run, "DMABUF_REVOKE", test_op(run->kit, 23, 0, (uint32_t)fd, 1));
	STEP(run, "MAP_FILE, revoked", map_revoked(run, fd));
	STEP(run, "DMABUF_REVOKE", test_op(run->kit, 23, 0, (uint32_t)fd, 0));
	STEP(run, "UNMAP", unmap(run, run->ioas, APERTURE, 4 * PAGE));
	STEP(run, "MAP_FILE", map_file(run, fd, APERTURE));
	return 0;
}

static int given_pasids(struct run *run)
{
	uint32_t hwpt;

	STEP(run, "", make_ioas(run, &run->ioas));
	STEP(run, "", make_device(run, run->ioas, 4));
	STEP(run, "", make_hwpt(run, IOMMU_HWPT_ALLOC_PASID, 0, &hwpt));
	STEP(run, "", replace(run, hwpt));
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
	STEP(run, "PASID_ATTACH", pasid_attach(run, 200, a));
	STEP(run, "PASID_ATTACH", pasid_attach(run, 300, a));
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
	STEP(run, "MAP_FILE", map_file(run, fd, APERTURE));
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
		made(run, MADE_DEVICE, (uintptr_t)*dev);
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

/* ---- running them ---- */

static void undo(struct run *run)
{
	struct nestfd *ctx = run->kit->ctx;

	while (run->nr_made) {
		const struct made *m = &run->made[--run->nr_made];
		int rc = 0;

		switch (m->kind) {
		case MADE_OBJECT:
			rc = kit_destroy(run->kit, (uint32_t)m->value);
			break;
		case MADE_FD:
			rc = close((int)m->value);
			break;
		case MADE_QUEUE_FD:
			rc = nestfd_close_fd(ctx, (int)m->value);
			break;
		case MADE_MMAP:
			nestfd_mmap_put(ctx, m->value);
			break;
		case MADE_DEVICE:
			nestfd_device_remove(
				(struct nestfd_device *)(uintptr_t)m->value);
			break;
		case MADE_MOVE:
			rc = test_op(run->kit, 10, run->object, run->ioas, 0);
			break;
		case MADE_PASID:
			rc = test_op(run->kit, 20, run->object,
				     (uint32_t)m->value, 0);
			break;
		}
		assert_int_equal(rc, 0);
	}
}

struct state {
	size_t objects;
	uint32_t next_id;
	unsigned int fds;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void look(struct kit *kit, struct state *state)
{
	/* A call, by which closed accesses are noticed */
	assert_int_equal(kit_ioas(kit, &state->next_id), 0);
	assert_int_equal(kit_destroy(kit, state->next_id), 0);
	state->objects = core_objects(kit->ctx->core);
	state->fds = count_fds();
}

static void expect_nothing_left(const struct run *run,
				const struct state *before)
{
	struct kit *kit = run->kit;
	struct state now;
	uint64_t pinned, locked;

	look(kit, &now);
	assert_int_equal(now.objects, before->objects);
	assert_int_equal(now.next_id, before->next_id);
	assert_int_equal(now.fds, before->fds + run->dmabufs);
	assert_int_equal(check_refs(kit, kit->pages, 16 * PAGE, 0), 0);
	nestfd_pinned(kit->ctx, getpid(), &pinned, &locked);
	assert_int_equal(pinned, 0);
	assert_int_equal(locked, 0);
}

static bool may_be_tolerated(const char *step)
{
	for (size_t i = 0; i < sizeof(tolerated) / sizeof(tolerated[0]); i++)
		if (!strcmp(step, tolerated[i]))
			return true;
	return false;
}

static void judge(const struct scenario *s, uint64_t nth,
		  const struct point *point)
{
	if (point->rc == -ENOMEM ||
	    (!point->rc && may_be_tolerated(point->step)))
		return;
	fail_msg("%s: point %lu, %s: %d", s->name, (unsigned long)nth,
		 point->step, point->rc);
}

/* Takes away what was made, or leaves that to the end of the context */
static void finish(struct run *run, const struct scenario *s, enum way way,
		   const struct state *before)
{
	if (way == LEFT) {
		while (run->nr_made)
			if (run->made[--run->nr_made].kind == MADE_FD)
				close((int)run->made[run->nr_made].value);
		return;
	}
	undo(run);
	expect_nothing_left(run, before);
	assert_int_equal(s->given(run), 0);
	assert_int_equal(s->when(run), 0);
	undo(run);
	expect_nothing_left(run, before);
}

/* False: there are not so many */
static bool run_point(const struct scenario *s, uint64_t nth, enum way way,
		      struct point *point)
{
	struct run run = { .again = way == AGAIN };
	unsigned int fds = count_fds();
	struct state before;
	void *kit;
	int rc;

	assert_int_equal(kit_setup(&kit), 0);
	run.kit = kit;
	look(kit, &before);
	assert_int_equal(s->given(&run), 0);
	run.armed = true;
	nestfd_fail_nth(nth);
	rc = s->when(&run);
	nestfd_fail_nth(0);
	run.armed = false;
	*point = run.point;
	if (point->step)
		judge(s, nth, point);
	assert_int_equal(rc, point->step && way != AGAIN ? point->rc : 0);
	finish(&run, s, way, &before);
	kit_teardown(&kit);
	assert_int_equal(count_fds(), fds);
	return point->step;
}

/* One line for neighbours that met the same */
static void print_points(const struct scenario *s, const struct point *points,
			 unsigned int n)
{
	print_message("%s: %u injection points\n", s->name, n);
	for (unsigned int i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n; j++)
			if (strcmp(points[i].step, points[j].step) ||
			    points[i].rc != points[j].rc)
				break;
		print_message("  %3u-%-3u %-20s -> %s\n", i + 1, j,
			      points[i].step,
			      points[i].rc ? strerrorname_np(-points[i].rc)
					   : "0, done without");
	}
}

static void fail_each_point(const struct scenario *s)
{
	struct point points[POINTS_MAX];
	struct point same;
	unsigned int n = 0;

	while (run_point(s, n + 1, ABANDONED, &points[n])) {
		assert_true(run_point(s, n + 1, AGAIN, &same));
		assert_true(run_point(s, n + 1, LEFT, &same));
		assert_in_range(++n, 1, POINTS_MAX - 1);
	}
	print_points(s, points, n);
	assert_in_range(n, 1, POINTS_MAX);
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
		fail_each_point(&s);               \
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
