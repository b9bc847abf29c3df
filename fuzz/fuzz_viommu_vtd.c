// SPDX-License-Identifier: MIT
/*
 * A hostile guest of the virtual VT-d unit: any write to any register, any
 * bytes in its queue and tables, over the whole nested path, with DMA, PASIDs
 * and resets in between. What was guest memory of another guest must be as
 * before at the end, and a device of that guest translates as before.
 */
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "input.h"
#include "nestfd/model.h"
#include "nestfd/nestfd.h"
#include "nestfd/viommu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	 64
#define RAM_SIZE 0x400000u
#define ROOT	 0x1000u
#define CTX	 0x2000u
#define DIR	 0x3000u
#define PASIDS	 0x4000u
#define QUEUE	 0x8000u
#define FS_TABLE 0x10000u /* four levels */
#define SS_TABLE 0x14000u
#define USED	 0x18000u /* what the fuzzer writes to */

struct guest {
	struct nestfd *ctx;
	struct nestfd_device *dev;
	struct nestfd_viommu *viommu;
	uint8_t *ram;
	uint32_t dev_id;
	uint32_t tail;
	bool legacy;
};

static int ram_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct guest *g = ctx;

	if (gpa >= RAM_SIZE || len > RAM_SIZE - gpa)
		return -1;
	memcpy(buf, g->ram + gpa, len);
	return 0;
}

static int ram_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct guest *g = ctx;

	if (gpa >= RAM_SIZE || len > RAM_SIZE - gpa)
		return -1;
	memcpy(g->ram + gpa, buf, len);
	return 0;
}

static int attach(void *ctx, uint32_t pt_id)
{
	struct guest *g = ctx;

	return nestfd_attach(g->dev, NESTFD_NO_PASID, &pt_id);
}

static int attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id)
{
	struct guest *g = ctx;

	if (pt_id)
		return nestfd_attach(g->dev, pasid, &pt_id);
	nestfd_detach(g->dev, pasid);
	return 0;
}

static void put(struct guest *g, uint64_t gpa, uint64_t word)
{
	memcpy(g->ram + gpa, &word, 8);
}

static void must(bool good)
{
	if (!good)
		abort();
}

static void make(struct guest *g, struct nestfd_machine *machine, uint32_t sid)
{
	struct nestfd_device_config device = {
		.size = sizeof(device),
		.stream_id = sid,
		.pasid_bits = 20,
		.ats = true,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 7,
		.length = RAM_SIZE,
	};
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .flags = 9 };
	struct nestfd_viommu_config config = { .size = sizeof(config) };
	struct nestfd_viommu_device member = {
		.size = sizeof(member),
		.vsid = 0x10,
		.attach = attach,
		.attach_pasid = attach_pasid,
		.ctx = g,
	};

	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(g->ram != MAP_FAILED);
	must(!nestfd_device_add(machine, &device, &g->dev));
	must(!nestfd_open(machine, &g->ctx));
	must(!nestfd_bind(g->ctx, g->dev, &g->dev_id));
	must(!nestfd_ioctl(g->ctx, IOMMU_IOAS_ALLOC, &ioas));
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)g->ram;
	must(!nestfd_ioctl(g->ctx, IOMMU_IOAS_MAP, &map));
	hwpt.pt_id = ioas.out_ioas_id;
	hwpt.dev_id = g->dev_id;
	must(!nestfd_ioctl(g->ctx, IOMMU_HWPT_ALLOC, &hwpt));
	config.backend =
		(struct nestfd_backend){ .ctx = g->ctx, .ioctl = nestfd_ioctl };
	config.guest = (struct nestfd_guest){ .ctx = g,
					      .read = ram_read,
					      .write = ram_write };
	config.dev_id = g->dev_id;
	config.parent_hwpt = hwpt.out_hwpt_id;
	config.parent_ioas = ioas.out_ioas_id;
	must(!nestfd_viommu_vtd_create(&config, &g->viommu));
	member.dev_id = g->dev_id;
	must(!nestfd_viommu_device_add(g->viommu, &member));
}

static void unmake(struct guest *g)
{
	nestfd_viommu_destroy(g->viommu);
	nestfd_device_remove(g->dev);
	nestfd_close(g->ctx);
	munmap(g->ram, RAM_SIZE);
}

/* Legacy mode with the second-stage table, or scalable with the first-stage */
static void boot(struct guest *g, bool legacy)
{
	g->legacy = legacy;
	for (uint32_t i = 0; i < 3; i++) {
		put(g, FS_TABLE + i * 0x1000,
		    FS_TABLE + (i + 1) * 0x1000 + 0x27);
		put(g, SS_TABLE + i * 0x1000, SS_TABLE + (i + 1) * 0x1000 + 3);
	}
	put(g, FS_TABLE + 0x3000 + 8, 0x100067);
	put(g, SS_TABLE + 0x3000 + 8, 0x100003);
	put(g, ROOT, CTX | 1);
	if (legacy) {
		put(g, CTX + 0x10 * 16, SS_TABLE | 1);
		put(g, CTX + 0x10 * 16 + 8, 0x102);
	} else {
		put(g, CTX + 0x10 * 32, DIR | 0xd);
		put(g, DIR, PASIDS | 1);
		put(g, PASIDS, 0x41);
		put(g, PASIDS + 8, 1);
		put(g, PASIDS + 16, FS_TABLE);
	}
	nestfd_viommu_write(g->viommu, 0x90, 8, QUEUE | (legacy ? 0 : 0x800));
	nestfd_viommu_write(g->viommu, 0x20, 8, ROOT | (legacy ? 0 : 0x400));
	nestfd_viommu_write(g->viommu, 0x18, 4, 0x40000000);
	nestfd_viommu_write(g->viommu, 0x18, 4, 0x84000000);
}

static void doorbell(struct guest *g)
{
	nestfd_viommu_write(g->viommu, 0x88, 8,
			    g->tail * (g->legacy ? 16 : 32));
}

static void queue(struct guest *g, uint64_t dw0, uint64_t dw1)
{
	uint32_t size = g->legacy ? 16 : 32;
	uint32_t at = QUEUE + g->tail * size;

	memset(g->ram + at, 0, size);
	put(g, at, dw0);
	put(g, at + 8, dw1);
	g->tail = (g->tail + 1) % (4096 / size);
}

static void write_register(struct guest *g, struct input *in)
{
	static const uint8_t often[] = { 0x18, 0x20, 0x28, 0x2c, 0x34, 0x80,
					 0x88, 0x90, 0x9c, 0xf0, 0xf8, 0xfc };
	uint8_t how = input_u8(in);
	uint32_t offset = how & 1 ? often[input_u8(in) % sizeof(often)]
				  : input_u32(in) & 0xffc;
	uint64_t value = input_u64(in);

	if (how & 2)
		value &= USED - 1;
	nestfd_viommu_write(g->viommu, offset, how & 4 ? 8 : 4, value);
	nestfd_viommu_read(g->viommu, offset, how & 8 ? 8 : 4);
}

/* Entries that lead somewhere, or any word */
static void write_memory(struct guest *g, struct input *in)
{
	uint8_t how = input_u8(in);
	uint64_t at = input_u32(in) % USED & ~7u;
	uint64_t word = input_u64(in);

	if (how & 1)
		word &= (USED - 1) | 3;
	if (how & 2) /* an entry that something uses */
		at = (how & 4 ? PASIDS : CTX + 0x100) + at % 0x140;
	put(g, at, word);
}

/* Any, or one of a type that is known, with small numbers */
static void write_desc(struct guest *g, struct input *in)
{
	static const uint64_t masks[] = {
		0x3001f00ff0031,    0x1f00f2,	 0x1f00000003, 0xffff00000014,
		0xffffffff000000f5, 0x700010036, 0xf00010037,  0xf001f0008,
	};
	uint8_t how = input_u8(in);
	uint64_t dw0 = input_u64(in);
	uint64_t dw1 = input_u64(in);
	unsigned int type = how % 8;

	if (how & 0x80)
		dw0 = (dw0 & masks[type] & ~0xfull) | (type + 1);
	if (how & 0x40)
		dw1 &= type == 4 ? (USED - 1) & ~3ull : 0x7fffff07f;
	queue(g, dw0, dw1);
	if (how & 0x20)
		queue(g, 0x100000025, 0x7000);
	if (how & 0x10)
		doorbell(g);
}

static void dma(struct guest *g, struct input *in)
{
	uint64_t word = input_u64(in);
	uint8_t how = input_u8(in);
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = input_u64(in) & 0xffffffff,
		.pasid = how & 1 ? how >> 4 : NESTFD_NO_PASID,
		.flags = how & 2 ? NESTFD_DMA_TRANSLATED : NESTFD_DMA_WRITE,
		.buf = &word,
		.length = 8,
	};

	nestfd_dma(g->dev, &dma);
}

/* So many leaves that one access is not enough for all of them */
static void widen(struct guest *g, uint8_t tables)
{
	for (uint32_t i = 0; i < 512; i++)
		put(g, SS_TABLE + 0x3000 + i * 8, (0x100000 + i * 0x1000) | 3);
	for (uint32_t i = 0; i < tables; i++)
		put(g, SS_TABLE + 0x2000 + i * 8, (SS_TABLE + 0x3000) | 3);
}

/* What is left comes to an end. */
static void finish(struct guest *g)
{
	int n = 0;

	while (nestfd_viommu_pump(g->viommu) > 0)
		must(++n < 1000);
}

static void rare(struct guest *g, struct input *in)
{
	switch (input_u8(in)) {
	case 0x55:
		nestfd_viommu_reset(g->viommu);
		g->tail = 0;
		boot(g, input_u8(in) & 1);
		break;
	case 0x66:
		widen(g, input_u8(in));
		break;
	case 0x77:
		nestfd_viommu_pump(g->viommu);
		break;
	default:
		break;
	}
}

static void step(struct guest *g, struct input *in)
{
	switch (input_u8(in) % 8) {
	case 0:
		write_register(g, in);
		break;
	case 1:
	case 2:
		write_memory(g, in);
		break;
	case 3:
	case 4:
	case 5:
		write_desc(g, in);
		break;
	case 6:
		dma(g, in);
		break;
	default:
		rare(g, in);
		break;
	}
}

static void check_neighbour(struct guest *g)
{
	uint64_t word = 0;

	must(!nestfd_dma_read(g->dev, 0x1000, &word, 8));
	must(word == 0x1122334455667788);
	put(g, FS_TABLE + 0x3000 + 8, 0x101067);
	put(g, 0x101000, 5);
	queue(g, 0x10036, 0x1000);
	queue(g, 0x100000025, 0x7000);
	doorbell(g);
	must(!nestfd_dma_read(g->dev, 0x1000, &word, 8));
	must(word == 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = input_u8(&in);
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_VTD,
		.cache = how & 1 ? NESTFD_CACHE_HOSTILE : NESTFD_CACHE_FAST,
		.atc_window_ms = NESTFD_NO_WINDOW,
	};
	struct nestfd_fault fault = {
		.size = sizeof(fault),
		.kind = NESTFD_FAULT_ATC_TIMEOUT,
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = 0x100,
		.probability = 0.5,
	};
	struct guest hostile = { 0 }, neighbour = { 0 };
	struct nestfd_machine *machine;

	must(!nestfd_machine_create(&config, &machine));
	make(&hostile, machine, 0x100);
	make(&neighbour, machine, 0x200);
	if (how & 4)
		must(!nestfd_inject(machine, &fault));
	boot(&hostile, how & 2);
	boot(&neighbour, false);
	put(&neighbour, 0x100000, 0x1122334455667788);
	for (int i = 0; i < STEPS && in.left; i++)
		step(&hostile, &in);
	finish(&hostile);
	check_neighbour(&neighbour);
	unmake(&hostile);
	unmake(&neighbour);
	nestfd_machine_destroy(machine);
	return 0;
}
