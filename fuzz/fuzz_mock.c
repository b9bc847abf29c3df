// SPDX-License-Identifier: MIT
/*
 * IOMMU_TEST_CMD, each operation of it, among the calls that make what it works
 * on: nested HWPTs, vIOMMUs, queues with their fds, accesses, dma-bufs, PASIDs,
 * VFIO's calls. Structs are partly sensible and partly the fuzzer's.
 */
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"
#include "nestfd/nestfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	   48
#define CLIENT_MEM 0x40000u
#define FDS	   8
#define TEST_CMD   _IO(';', 0xa0)
#define TEST_OPS   23u
#define MOCK_TYPE  0xdeadbeefu
#define MOCK_DATA  0xdeadu
#define EVENT_TYPE 0xbeefbeefu
#define NTH	   0x10000u

static char *client; /* the second quarter without access */
static int file;     /* as long */

/* The test command's struct as words: size, op, id, reserved, the union */
struct cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		uint32_t w[12];
		uint64_t d[6];
	};
	uint32_t last;
	uint32_t padding;
};

struct world {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	int fds[FDS];	 /* of accesses and dma-bufs; -1: none */
	int queues[FDS]; /* of events and faults */
	uint64_t page;	 /* what of a vIOMMU can be mapped */
	uint32_t mapped; /* how often it is */
};

/* Small numbers: ids are dense from 1 */
static uint32_t an_id(struct input *in)
{
	return input_u8(in) & 15;
}

/* In process a client may harm itself: so no address that could be ours */
static uint64_t not_ours(uint64_t address)
{
	return address < 0x1000 ? address : address | 1ULL << 63;
}

static uint64_t an_address(struct input *in)
{
	uint8_t how = input_u8(in);

	if (how < 220)
		return (uintptr_t)client + (input_u32(in) & (CLIENT_MEM - 1));
	return how < 240 ? 0 : not_ours(input_u64(in));
}

/* In the mock's aperture, a few areas, most of them whole pages */
static uint64_t an_iova(struct input *in)
{
	uint8_t how = input_u8(in);
	uint64_t iova = 0x1000000 + ((how & 3) << 16);

	if (how < 230)
		return iova + ((uint64_t)(input_u8(in) & 31) << 11);
	return input_u64(in);
}

static uint64_t a_length(struct input *in)
{
	uint8_t how = input_u8(in);

	if (how < 230)
		return (uint64_t)((how & 15) + 1) << 11;
	return how < 250 ? input_u8(in) : input_u64(in);
}

/* One that is open if any is */
static int *a_slot(int fds[FDS], uint8_t first)
{
	unsigned int i = first % FDS;

	for (unsigned int n = 1; n < FDS && fds[i] < 0; n++)
		i = (i + 1) % FDS;
	return &fds[i];
}

static int an_fd(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);

	return how < 240 ? *a_slot(w->fds, how) : (int)input_u32(in) & 0xff;
}

/* Replaces what was there */
static void keep_fd(struct world *w, int fd)
{
	int *slot = &w->fds[(unsigned int)fd % FDS];

	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static void keep_queue(struct world *w, uint32_t fd)
{
	int *slot = &w->queues[fd % FDS];

	if (*slot >= 0)
		nestfd_close_fd(w->ctx, *slot);
	*slot = (int)fd;
}

/* ---- the test command ---- */

/* Makes it plausible; what is not set here is the fuzzer's. */
static void test_sense(struct world *w, struct cmd *cmd, struct input *in)
{
	cmd->id = an_id(in);
	switch (cmd->op) {
	case 1: /* ADD_RESERVED */
		cmd->d[0] = an_iova(in);
		cmd->d[1] = a_length(in);
		break;
	case 3: /* MD_CHECK_MAP */
		cmd->d[0] = an_iova(in);
		cmd->d[1] = a_length(in);
		cmd->d[2] = an_address(in);
		break;
	case 4: /* MD_CHECK_REFS */
		cmd->d[0] = a_length(in);
		cmd->d[1] = an_address(in) & ~0xfffULL;
		break;
	case 6: /* DESTROY_ACCESS_PAGES, ACCESS_REPLACE_IOAS */
	case 11:
		cmd->id = (uint32_t)an_fd(w, in);
		cmd->w[0] = an_id(in);
		break;
	case 7: /* ACCESS_PAGES */
		cmd->id = (uint32_t)an_fd(w, in);
		cmd->w[0] &= 1 | NTH;
		cmd->d[1] = cmd->w[0] & NTH ? input_u8(in) & 3 : an_iova(in);
		cmd->d[2] = a_length(in);
		cmd->d[3] = input_u8(in) & 1 ? 0 : an_address(in);
		break;
	case 8: /* ACCESS_RW */
		cmd->id = (uint32_t)an_fd(w, in);
		cmd->w[6] &= 5 | NTH;
		cmd->d[0] = cmd->w[6] & NTH ? input_u8(in) & 3 : an_iova(in);
		cmd->d[1] = a_length(in);
		cmd->d[2] = an_address(in);
		break;
	case 13: /* DIRTY */
		cmd->d[1] = an_iova(in);
		cmd->d[2] = a_length(in);
		cmd->d[3] = input_u8(in) < 240 ? 2048 : input_u64(in);
		cmd->d[4] = an_address(in);
		break;
	case 23: /* DMABUF_REVOKE */
		cmd->w[0] = (uint32_t)an_fd(w, in);
		break;
	case 22: /* DMABUF_GET */
		cmd->w[0] &= 0xffff;
		break;
	default:
		cmd->w[0] &= 15;
		cmd->w[1] &= 15;
		if (cmd->op == 12)
			cmd->w[3] &= 5;
		break;
	}
}

static void test_step(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct cmd cmd = { .size = sizeof(cmd), .op = how % TEST_OPS + 1 };
	int rc;

	if (how < 230) {
		input_bytes(in, &cmd.w, 4 * sizeof(cmd.w[0]));
		test_sense(w, &cmd, in);
	} else {
		input_bytes(in, &cmd, sizeof(cmd));
		for (int i = 0; i < 6; i++)
			cmd.d[i] = not_ours(cmd.d[i]);
	}
	rc = nestfd_ioctl(w->ctx, TEST_CMD, &cmd);
	if (rc >= 0 && cmd.op == 22)
		keep_fd(w, rc);
	else if (!rc && cmd.op == 5)
		keep_fd(w, (int)cmd.w[0]);
}

/* ---- what it works on ---- */

static void alloc_hwpt(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	uint32_t data[2] = { input_u8(in), how >> 7 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = how & 15,
		.dev_id = an_id(in),
		.pt_id = an_id(in),
		.fault_id = an_id(in),
	};

	if (how & 0x10) {
		arg.data_type = MOCK_DATA;
		arg.data_len = sizeof(data);
		arg.data_uptr = (uintptr_t)data;
	}
	nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &arg);
}

static void alloc_viommu(struct world *w, struct input *in)
{
	uint64_t data[3] = { input_u8(in), 0, 0 };
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = MOCK_TYPE,
		.dev_id = an_id(in),
		.hwpt_id = an_id(in),
		.data_len = input_u8(in) & 31,
		.data_uptr = (uintptr_t)data,
	};

	nestfd_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &arg);
}

static void use_mmap(struct world *w, uint8_t how)
{
	uint64_t offset;
	int fd;

	if (how & 1) {
		w->mapped += !nestfd_mmap_get(w->ctx, w->page + (how & 2),
					      0x2000, &fd, &offset);
	} else if (w->mapped) {
		w->mapped--;
		nestfd_mmap_put(w->ctx, w->page);
	}
}

static void alloc_vdevice(struct world *w, struct input *in)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = an_id(in),
		.dev_id = an_id(in),
		.virt_id = input_u8(in) & 3,
	};

	nestfd_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &arg);
}

static void alloc_queues(struct world *w, struct input *in)
{
	struct iommu_veventq_alloc events = {
		.size = sizeof(events),
		.viommu_id = an_id(in),
		.type = EVENT_TYPE,
		.veventq_depth = input_u8(in) & 7,
	};
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };
	struct iommu_hw_queue_alloc queue = {
		.size = sizeof(queue),
		.viommu_id = an_id(in),
		.type = MOCK_TYPE,
		.index = input_u8(in) % 3,
		.nesting_parent_iova = an_iova(in),
		.length = a_length(in),
	};

	switch (input_u8(in) % 3) {
	case 0:
		if (!nestfd_ioctl(w->ctx, IOMMU_VEVENTQ_ALLOC, &events))
			keep_queue(w, events.out_veventq_fd);
		break;
	case 1:
		if (!nestfd_ioctl(w->ctx, IOMMU_FAULT_QUEUE_ALLOC, &faults))
			keep_queue(w, faults.out_fault_fd);
		break;
	default:
		nestfd_ioctl(w->ctx, IOMMU_HW_QUEUE_ALLOC, &queue);
		break;
	}
}

static void map(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct iommu_ioas_map user = {
		.size = sizeof(user),
		.flags = how & 7,
		.ioas_id = an_id(in),
		.user_va = an_address(in),
		.iova = an_iova(in),
		.length = a_length(in),
	};
	struct iommu_ioas_map_file from_file = {
		.size = sizeof(from_file),
		.flags = how & 7,
		.ioas_id = user.ioas_id,
		.fd = how & 0x10 ? file : an_fd(w, in),
		.start = input_u8(in) << 11,
		.iova = user.iova,
		.length = user.length,
	};

	if (how & 8)
		nestfd_ioctl(w->ctx, IOMMU_IOAS_MAP, &user);
	else
		nestfd_ioctl(w->ctx, IOMMU_IOAS_MAP_FILE, &from_file);
}

static void change_maps(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct iommu_ioas_unmap gone = {
		.size = sizeof(gone),
		.ioas_id = an_id(in),
		.iova = an_iova(in),
		.length = how & 0x20 ? UINT64_MAX : a_length(in),
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = (how & 7) | (how & 8 ? NTH : 0),
		.dst_ioas_id = an_id(in),
		.src_ioas_id = an_id(in),
		.length = a_length(in),
		.dst_iova = an_iova(in),
		.src_iova = how & 8 ? input_u8(in) & 3 : an_iova(in),
	};

	if (how & 0x20)
		gone.iova = 0;
	if (how & 0x10)
		nestfd_ioctl(w->ctx, IOMMU_IOAS_UNMAP, &gone);
	else
		nestfd_ioctl(w->ctx, IOMMU_IOAS_COPY, &copy);
}

static void invalidate(struct world *w, struct input *in)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = an_id(in),
		.data_type = MOCK_TYPE,
		.data_uptr = an_address(in),
		.entry_len = input_u8(in) & 15,
		.entry_num = input_u8(in) & 127,
	};

	nestfd_ioctl(w->ctx, IOMMU_HWPT_INVALIDATE, &arg);
}

static void dirty(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set),
		.flags = how & 1,
		.hwpt_id = an_id(in),
	};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.flags = how & 1,
		.hwpt_id = set.hwpt_id,
		.iova = an_iova(in),
		.length = a_length(in),
		.page_size = how & 4 ? 2048 : input_u64(in),
		.data = an_address(in),
	};

	if (how & 2)
		nestfd_ioctl(w->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &set);
	else
		nestfd_ioctl(w->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
}

/* ---- fds, VFIO, and the rest ---- */

static void use_fd(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	int *queue = a_slot(w->queues, how);
	int *fd = a_slot(w->fds, how);
	char buf[128];

	input_bytes(in, buf, sizeof(buf) / 8);
	switch (how / FDS % 5) {
	case 4:
		use_mmap(w, input_u8(in));
		break;
	case 0:
		nestfd_read(w->ctx, *queue, buf, input_u8(in) & 127);
		break;
	case 1:
		nestfd_write(w->ctx, *queue, buf, input_u8(in) & 127);
		break;
	case 2:
		nestfd_close_fd(w->ctx, *queue);
		*queue = -1;
		break;
	default:
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		break;
	}
}

static void use_vfio(struct world *w, struct input *in)
{
	static const unsigned long cmds[] = {
		VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION,
		VFIO_SET_IOMMU,	      VFIO_IOMMU_GET_INFO,
		VFIO_IOMMU_MAP_DMA,   VFIO_IOMMU_UNMAP_DMA,
	};
	unsigned int which = input_u8(in) % 6;
	uint32_t number = input_u8(in) & 15;
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = number,
		.op = input_u8(in) & 3,
	};
	union {
		struct vfio_iommu_type1_dma_map in;
		struct vfio_iommu_type1_dma_unmap out;
		char info[256];
	} arg = { 0 };

	nestfd_ioctl(w->ctx, IOMMU_VFIO_IOAS, &set);
	arg.in.argsz = input_u8(in);
	arg.in.flags = input_u8(in) & 7;
	if (which == 4) {
		arg.in.vaddr = an_address(in);
		arg.in.iova = an_iova(in);
		arg.in.size = a_length(in);
	} else if (which == 5) {
		arg.out.iova = an_iova(in);
		arg.out.size = a_length(in);
	}
	nestfd_ioctl(w->ctx, cmds[which],
		     which < 3 ? (void *)(uintptr_t)number : &arg);
}

static void use_device(struct world *w, struct input *in)
{
	uint64_t word = input_u8(in);
	uint32_t id = an_id(in);

	switch (input_u8(in) % 4) {
	case 0:
		nestfd_attach(w->dev, NESTFD_NO_PASID, &id);
		break;
	case 1:
		nestfd_attach(w->dev, (uint32_t)word, &id);
		break;
	case 2:
		nestfd_detach(w->dev, word & 1 ? NESTFD_NO_PASID : 1);
		break;
	default:
		nestfd_dma_write(w->dev, an_iova(in), &word, sizeof(word));
		break;
	}
}

static void ask(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct iommu_iova_range ranges[2];
	struct iommu_ioas_iova_ranges all = {
		.size = sizeof(all),
		.ioas_id = an_id(in),
		.num_iovas = how & 3,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = all.ioas_id,
		.num_iovas = how & 1,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.flags = how & 1,
		.dev_id = an_id(in),
		.data_len = input_u8(in),
		.data_uptr = an_address(in),
	};

	ranges[0].start = an_iova(in);
	ranges[0].last = ranges[0].start + a_length(in) - 1;
	if (how & 4)
		nestfd_ioctl(w->ctx, IOMMU_IOAS_IOVA_RANGES, &all);
	else if (how & 8)
		nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOW_IOVAS, &allow);
	else
		nestfd_ioctl(w->ctx, IOMMU_GET_HW_INFO, &info);
}

static void simple(struct world *w, struct input *in)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	struct iommu_option option = { .size = sizeof(option) };

	switch (input_u8(in) % 4) {
	case 0:
		nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &ioas);
		break;
	case 1:
		nestfd_ioctl(w->ctx, IOMMU_IOAS_CHANGE_PROCESS, &change);
		break;
	case 2:
		option.option_id = input_u8(in) & 3;
		option.op = input_u8(in) & 1;
		option.object_id = an_id(in);
		option.val64 = input_u8(in) & 3;
		nestfd_ioctl(w->ctx, IOMMU_OPTION, &option);
		break;
	default:
		destroy.id = an_id(in);
		nestfd_ioctl(w->ctx, IOMMU_DESTROY, &destroy);
		break;
	}
}

static void (*const kinds[])(struct world *w, struct input *in) = {
	test_step,    test_step,     test_step,	  test_step,  test_step,
	alloc_hwpt,   alloc_viommu,  map,	  map,	      simple,
	alloc_queues, alloc_vdevice, change_maps, dirty,      invalidate,
	use_fd,	      use_vfio,	     ask,	  use_device,
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- the machine ---- */

static void make_client(void)
{
	/* What is mapped, or written, goes no further than this. */
	client = mmap(NULL, 2 * CLIENT_MEM, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	file = memfd_create("client", 0);
	if (client == MAP_FAILED || file < 0 || ftruncate(file, CLIENT_MEM))
		abort();
	mprotect(client, CLIENT_MEM / 4, PROT_READ | PROT_WRITE);
	mprotect(client + CLIENT_MEM / 2, CLIENT_MEM / 2,
		 PROT_READ | PROT_WRITE);
}

static void must(int rc)
{
	if (rc)
		abort();
}

static uint32_t new_hwpt(struct world *w, uint32_t dev, uint32_t pt,
			 uint32_t flags, uint32_t fault)
{
	uint32_t data[2] = { 1, 0 };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.fault_id = fault,
		.data_type = MOCK_DATA,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};

	must(nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &arg));
	return arg.out_hwpt_id;
}

static uint32_t new_viommu(struct world *w, uint32_t dev, uint32_t parent)
{
	uint64_t data[3] = { 0 };
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = MOCK_TYPE,
		.dev_id = dev,
		.hwpt_id = parent,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.dev_id = dev,
		.virt_id = 1,
	};
	struct iommu_veventq_alloc events = {
		.size = sizeof(events),
		.type = EVENT_TYPE,
		.veventq_depth = 2,
	};

	must(nestfd_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &arg));
	w->page = data[1];
	vdevice.viommu_id = arg.out_viommu_id;
	events.viommu_id = arg.out_viommu_id;
	must(nestfd_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &vdevice));
	must(nestfd_ioctl(w->ctx, IOMMU_VEVENTQ_ALLOC, &events));
	keep_queue(w, events.out_veventq_fd);
	return arg.out_viommu_id;
}

static void new_queue(struct world *w, uint32_t viommu)
{
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = MOCK_TYPE,
		.nesting_parent_iova = 0x1000000,
		.length = 4096,
	};

	must(nestfd_ioctl(w->ctx, IOMMU_HW_QUEUE_ALLOC, &arg));
}

/* One of everything that takes several calls to make; @dev's is @object */
static void furnish(struct world *w, uint32_t ioas, uint32_t dev,
		    uint32_t object, bool queue)
{
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };
	struct cmd access = {
		.size = sizeof(access), .op = 5, .id = ioas, .w = { 0, 1 }
	};
	struct cmd move = { .size = sizeof(move), .op = 10, .id = object };
	struct iommu_ioas_map user = {
		.size = sizeof(user),
		.flags = 7,
		.ioas_id = ioas,
		.user_va = (uintptr_t)client,
		.length = 0x10000,
		.iova = 0x1000000,
	};
	uint32_t parent =
		new_hwpt(w, dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	uint32_t viommu = new_viommu(w, dev, parent);

	must(nestfd_ioctl(w->ctx, IOMMU_FAULT_QUEUE_ALLOC, &faults));
	keep_queue(w, faults.out_fault_fd);
	new_hwpt(w, dev, parent, 0, 0);
	new_hwpt(w, dev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	new_hwpt(w, dev, ioas, IOMMU_HWPT_ALLOC_PASID, 0);
	move.w[0] = new_hwpt(w, dev, viommu,
			     IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
			     faults.out_fault_id);
	must(nestfd_ioctl(w->ctx, TEST_CMD, &move));
	must(nestfd_ioctl(w->ctx, TEST_CMD, &access));
	keep_fd(w, (int)access.w[0]);
	must(nestfd_ioctl(w->ctx, IOMMU_IOAS_MAP, &user));
	if (queue)
		new_queue(w, viommu);
}

static void start(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
		.memlock =
			how & 1 ? NESTFD_MEMLOCK_ENFORCE : NESTFD_MEMLOCK_COUNT,
	};
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = 7,
		.pasid_bits = how & 2 ? 4 : 0,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct cmd cmd = { .size = sizeof(cmd), .op = 12, .w = { 0, 0, 0, 4 } };
	uint32_t id;

	must(nestfd_machine_create(&config, &w->machine));
	must(nestfd_open(w->machine, &w->ctx));
	must(nestfd_device_add(w->machine, &device, &w->dev));
	must(nestfd_bind(w->ctx, w->dev, &id));
	must(nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &ioas));
	cmd.id = ioas.out_ioas_id;
	w->page = 0;
	w->mapped = 0;
	for (int i = 0; i < FDS; i++) {
		w->fds[i] = -1;
		w->queues[i] = -1;
	}
	if (how & 4)
		must(nestfd_ioctl(w->ctx, TEST_CMD, &cmd));
	if (!(~how & 12))
		furnish(w, ioas.out_ioas_id, cmd.w[2], cmd.w[0], how & 16);
}

static void end(struct world *w)
{
	for (int i = 0; i < FDS; i++) {
		if (w->queues[i] >= 0)
			nestfd_close_fd(w->ctx, w->queues[i]);
		if (w->fds[i] >= 0)
			close(w->fds[i]);
	}
	nestfd_machine_destroy(w->machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w;

	if (!client)
		make_client();
	start(&w, &in);
	for (int i = 0; i < STEPS && in.left; i++)
		kinds[input_u8(&in) % KINDS](&w, &in);
	end(&w);
	return 0;
}
