// SPDX-License-Identifier: MIT
/*
 * The ioctl surface: sequences of calls whose structs are partly sensible (ids
 * that exist, memory that is mapped) and partly the fuzzer's, with devices
 * bound, attached, doing DMA and leaving in between.
 */
#include <linux/iommufd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"
#include "nestfd/ext.h"
#include "nestfd/nestfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	   64
#define DEVICES	   3
#define CLIENT_MEM 0x100000u

static char *client; /* 1 MiB, every other 64 KiB without access */
static int file;     /* as long */

struct world {
	struct nestfd_machine *machine;
	struct nestfd *ctx[2];
	struct nestfd_device *dev[DEVICES];
};

/* Small numbers: ids are dense from 1 */
static uint32_t an_id(struct input *in)
{
	return input_u8(in) & 15;
}

static uint64_t an_address(struct input *in)
{
	uint8_t how = input_u8(in);

	if (how < 200)
		return (uintptr_t)client + (input_u32(in) & (CLIENT_MEM - 1));
	return how < 230 ? 0 : input_u64(in);
}

static uint64_t a_length(struct input *in)
{
	return input_u8(in) < 240 ? (uint64_t)(input_u8(in) + 1) << 12
				  : input_u64(in);
}

/* All of them, with the sizes of their structs: most get past that check */
#define COMMAND(cmd, type)               \
	{                                \
		cmd, sizeof(struct type) \
	}
static const struct {
	unsigned long cmd;
	uint32_t size;
} commands[] = {
	COMMAND(IOMMU_DESTROY, iommu_destroy),
	COMMAND(IOMMU_IOAS_ALLOC, iommu_ioas_alloc),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas),
	COMMAND(IOMMU_IOAS_COPY, iommu_ioas_copy),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges),
	COMMAND(IOMMU_IOAS_MAP, iommu_ioas_map),
	COMMAND(IOMMU_IOAS_UNMAP, iommu_ioas_unmap),
	COMMAND(IOMMU_OPTION, iommu_option),
	COMMAND(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc),
	COMMAND(IOMMU_GET_HW_INFO, iommu_hw_info),
	COMMAND(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate),
	COMMAND(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc),
	COMMAND(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc),
	COMMAND(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc),
	COMMAND(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process),
	COMMAND(IOMMU_VFIO_IOAS, iommu_vfio_ioas),
	COMMAND(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc),
};

union arg {
	uint32_t size;
	uint8_t bytes[128];
	struct iommu_ioas_map map;
	struct iommu_ioas_unmap unmap;
	struct iommu_hwpt_alloc hwpt;
	struct iommu_hwpt_invalidate inval;
	struct iommu_viommu_alloc viommu;
	struct iommu_vdevice_alloc vdevice;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_map_file file;
	struct iommu_hwpt_get_dirty_bitmap dirty;
	struct iommu_hw_queue_alloc queue;
	struct iommu_veventq_alloc events;
};

/* Makes a struct plausible; what is not set here is the fuzzer's. */
static void make_sense(union arg *arg, unsigned long cmd, struct input *in)
{
	switch (cmd) {
	case IOMMU_IOAS_MAP:
		arg->map.flags &= 7;
		arg->map.__reserved = 0;
		arg->map.ioas_id = an_id(in);
		arg->map.user_va = an_address(in) & ~0xfffULL;
		arg->map.length = a_length(in);
		arg->map.iova &= 0xfffff000;
		break;
	case IOMMU_IOAS_MAP_FILE:
		arg->file.flags &= 7;
		arg->file.ioas_id = an_id(in);
		arg->file.fd = file;
		arg->file.start &= CLIENT_MEM - 1;
		arg->file.length = a_length(in);
		arg->file.iova &= 0xfffff000;
		break;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		arg->dirty.hwpt_id = an_id(in);
		arg->dirty.flags &= 1;
		arg->dirty.__reserved = 0;
		arg->dirty.iova &= 0xfffff000;
		arg->dirty.length = a_length(in);
		arg->dirty.page_size = 4096;
		arg->dirty.data = an_address(in);
		break;
	case IOMMU_HW_QUEUE_ALLOC:
		arg->queue.flags = 0;
		arg->queue.viommu_id = an_id(in);
		arg->queue.type &= 3;
		break;
	case IOMMU_IOAS_UNMAP:
		arg->unmap.ioas_id = an_id(in);
		arg->unmap.iova &= 0xfffff000;
		arg->unmap.length = a_length(in);
		break;
	case IOMMU_IOAS_COPY:
		arg->copy.flags &= 7;
		arg->copy.dst_ioas_id = an_id(in);
		arg->copy.src_ioas_id = an_id(in);
		arg->copy.length = a_length(in);
		arg->copy.dst_iova &= 0xfffff000;
		arg->copy.src_iova &= 0xfffff000;
		break;
	case IOMMU_HWPT_ALLOC:
		arg->hwpt.flags &= 3;
		arg->hwpt.dev_id = an_id(in);
		arg->hwpt.pt_id = an_id(in);
		arg->hwpt.__reserved = 0;
		arg->hwpt.__reserved2 = 0;
		arg->hwpt.data_type &= 3;
		arg->hwpt.data_len = arg->hwpt.data_type ? 16 : 0;
		arg->hwpt.data_uptr = an_address(in);
		break;
	case IOMMU_VIOMMU_ALLOC:
		arg->viommu.flags = 0;
		arg->viommu.type = 1;
		arg->viommu.dev_id = an_id(in);
		arg->viommu.hwpt_id = an_id(in);
		break;
	case IOMMU_VDEVICE_ALLOC:
		arg->vdevice.viommu_id = an_id(in);
		arg->vdevice.dev_id = an_id(in);
		break;
	case IOMMU_HWPT_INVALIDATE:
		arg->inval.hwpt_id = an_id(in);
		arg->inval.data_type = 1;
		arg->inval.__reserved = 0;
		arg->inval.data_uptr = an_address(in);
		arg->inval.entry_len = input_u8(in) < 200 ? 16 : input_u32(in);
		arg->inval.entry_num &= 0xffff;
		break;
	default:
		((uint32_t *)arg)[1] &= 15;
		((uint32_t *)arg)[2] &= 15;
		break;
	}
}

static void read_events(struct nestfd *ctx, int fd, struct input *in)
{
	char buf[256];

	nestfd_read(ctx, fd, buf, input_u8(in));
	nestfd_close_fd(ctx, fd);
}

static void call(struct world *w, struct input *in)
{
	size_t which = input_u8(in) % (sizeof(commands) / sizeof(commands[0]));
	uint8_t how = input_u8(in);
	union arg arg;

	input_bytes(in, &arg, sizeof(arg) / 2);
	memset(arg.bytes + sizeof(arg) / 2, 0, sizeof(arg) / 2);
	if (how & 1)
		arg.size = commands[which].size;
	else
		arg.size &= 127;
	if (how & 6)
		make_sense(&arg, commands[which].cmd, in);
	if (!nestfd_ioctl(
		    w->ctx[how >> 7],
		    how & 0x78 ? commands[which].cmd : _IO(';', input_u8(in)),
		    how == 0x55 ? (void *)(uintptr_t)input_u64(in) : &arg) &&
	    commands[which].cmd == IOMMU_VEVENTQ_ALLOC && how & 0x78)
		read_events(w->ctx[how >> 7], (int)arg.events.out_veventq_fd,
			    in);
}

static void device_step(struct world *w, struct input *in)
{
	struct nestfd_device *dev = w->dev[input_u8(in) % DEVICES];
	uint64_t word = 0;
	uint32_t id = an_id(in);

	switch (input_u8(in) % 6) {
	case 0:
		nestfd_bind(w->ctx[id & 1], dev, &id);
		break;
	case 1:
		nestfd_attach(dev, NESTFD_NO_PASID, &id);
		break;
	case 2:
		nestfd_attach(dev, input_u8(in), &id);
		break;
	case 3:
		nestfd_detach(dev, NESTFD_NO_PASID);
		break;
	case 4:
		nestfd_unbind(dev);
		break;
	default:
		nestfd_dma_write(dev, input_u32(in), &word, sizeof(word));
		break;
	}
}

static void make_client(void)
{
	/* Nothing of ours behind it, where a client may harm itself */
	client = mmap(NULL, 2 * CLIENT_MEM, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (client == MAP_FAILED ||
	    mprotect(client, CLIENT_MEM, PROT_READ | PROT_WRITE))
		abort();
	file = memfd_create("client", 0);
	if (file < 0 || ftruncate(file, CLIENT_MEM))
		abort();
	for (uint32_t at = 0x10000; at < CLIENT_MEM; at += 0x40000)
		mprotect(client + at, 0x10000, PROT_NONE);
}

static void start(struct world *w, struct input *in)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.msi_first = 0x8000000,
		.msi_length = 0x100000,
	};
	struct nestfd_device_config device = { .size = sizeof(device) };

	config.cache =
		input_u8(in) & 1 ? NESTFD_CACHE_HOSTILE : NESTFD_CACHE_FAST;
	if (nestfd_machine_create(&config, &w->machine))
		abort();
	for (int i = 0; i < DEVICES; i++) {
		device.stream_id = 0x10 + i;
		device.ats = i & 1;
		device.pasid_bits = i == 2 ? 8 : 0;
		if (nestfd_device_add(w->machine, &device, &w->dev[i]))
			abort();
	}
	if (nestfd_open(w->machine, &w->ctx[0]) ||
	    nestfd_open(w->machine, &w->ctx[1]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct nestfd_ext_enable all = { .size = sizeof(all), .features = 3 };
	struct world w;
	uint32_t id;

	if (!client)
		make_client();
	start(&w, &in);
	nestfd_ioctl(w.ctx[0], NESTFD_EXT_ENABLE, &all);
	nestfd_bind(w.ctx[0], w.dev[0], &id);
	nestfd_bind(w.ctx[0], w.dev[1], &id);
	for (int i = 0; i < STEPS && in.left; i++) {
		if (input_u8(&in) & 3)
			call(&w, &in);
		else
			device_step(&w, &in);
	}
	if (input_u8(&in) & 1)
		nestfd_close(w.ctx[1]);
	nestfd_machine_destroy(w.machine);
	return 0;
}
