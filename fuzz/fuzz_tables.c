// SPDX-License-Identifier: MIT
/*
 * Stream table, CDs and page tables made of the fuzzer's bytes, under DMA of
 * two devices on a bare machine, with invalidations in between. Memory starts
 * with tables that translate, so that mutations reach deep.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "input.h"
#include "nestfd/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEM_SIZE 0x40000u
#define STRTAB	 0x00000u
#define CD	 0x01000u
#define L1	 0x02000u
#define L2	 0x03000u
#define L3	 0x04000u
#define S2_L1	 0x05000u
#define CMDQ	 0x10000u
#define EVENTQ	 0x12000u
#define PASSES	 16

static uint8_t *mem;

static void put(uint32_t at, uint64_t word)
{
	memcpy(mem + at, &word, sizeof(word));
}

/* SID 0: stage 1; SID 1: nested; tables of 4 KiB pages at IOVA 0 */
static void make_tables(void)
{
	memset(mem, 0, MEM_SIZE);
	put(STRTAB, CD | 0xb);
	put(STRTAB + 8, 0xd6);
	put(STRTAB + 64, CD | 0xf);
	put(STRTAB + 72, 0xd6);
	/* S2: T0SZ 25, SL0 1, 48-bit, AA64, AFFD, R; VMID 1 */
	put(STRTAB + 80, 1 | 25ULL << 32 | 1ULL << 38 | 0x35ULL << 40 |
				 5ULL << 48 | 1ULL << 51 | 1ULL << 53 |
				 1ULL << 58);
	put(STRTAB + 88, S2_L1);
	put(CD, 25 | 0x3500 | 1ULL << 30 | 1ULL << 31 | 5ULL << 32 |
			1ULL << 41 | 3ULL << 45 | 1ULL << 48);
	put(CD + 8, L1);
	put(CD + 24, 0xff);
	put(L1, L2 | 3);
	put(L2, L3 | 3);
	for (uint32_t i = 0; i < 64; i++)
		put(L3 + i * 8, (i << 12) | 0xf43);
	put(S2_L1, 0x7fd); /* the first GiB to itself: one block */
}

/* Overwrites 8-byte words at offsets the input names. */
static void scribble(struct input *in)
{
	uint8_t n = input_u8(in) & 31;

	while (n--) {
		uint32_t at = input_u32(in) % 0x8000 & ~7u;

		put(at, input_u64(in));
	}
}

static void one_command(struct nestfd_machine *m, struct input *in,
			uint32_t *prod)
{
	put(CMDQ + (*prod % 256) * 16, input_u64(in));
	put(CMDQ + (*prod % 256) * 16 + 8, input_u64(in));
	*prod = (*prod + 1) % 512;
	nestfd_iommu_write(m, 0x98, 4, *prod);
	/* acknowledge, so that the next one runs past what was refused */
	if (nestfd_iommu_read(m, 0x60, 4) != nestfd_iommu_read(m, 0x64, 4)) {
		put(CMDQ + (nestfd_iommu_read(m, 0x9c, 4) % 256) * 16, 0x46);
		nestfd_iommu_write(m, 0x64, 4, nestfd_iommu_read(m, 0x60, 4));
	}
}

static void one_dma(struct nestfd_device *dev, struct input *in)
{
	char buf[64];
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = input_u64(in),
		.pasid = NESTFD_NO_PASID,
		.flags = input_u8(in) & 7,
		.buf = buf,
		.length = input_u8(in) & 63,
	};
	char text[512];

	memset(buf, 0x5a, sizeof(buf));
	if (input_u8(in) & 1)
		dma.iova &= 0x3ffff;
	if (input_u8(in) & 1)
		dma.pasid = input_u8(in);
	nestfd_dma(dev, &dma);
	nestfd_explain(dev, dma.iova, dma.pasid, 0, text, sizeof(text));
}

static void drive(struct nestfd_machine *m, struct input *in)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.pasid_bits = 8,
		.ats = true,
	};
	struct nestfd_device *dev[2];
	uint32_t prod = 0;

	if (nestfd_device_add(m, &config, &dev[0]))
		return;
	config.stream_id = 1;
	if (nestfd_device_add(m, &config, &dev[1]))
		return;
	nestfd_iommu_write(m, 0x80, 8, STRTAB);
	nestfd_iommu_write(m, 0x88, 4, 6);
	nestfd_iommu_write(m, 0x90, 8, CMDQ | 8);
	nestfd_iommu_write(m, 0xa0, 8, EVENTQ | 4);
	nestfd_iommu_write(m, 0x20, 4, 0xd);
	for (int i = 0; i < PASSES && in->left; i++) {
		scribble(in);
		one_dma(dev[i & 1], in);
		one_command(m, in, &prod);
		one_dma(dev[input_u8(in) & 1], in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
	};
	struct nestfd_machine *m;

	if (!mem) {
		mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			abort();
	}
	make_tables();
	config.cache =
		input_u8(&in) & 1 ? NESTFD_CACHE_HOSTILE : NESTFD_CACHE_FAST;
	if (nestfd_machine_create(&config, &m))
		abort();
	if (nestfd_memory_add(m, 0, mem, MEM_SIZE))
		abort();
	drive(m, &in);
	nestfd_machine_destroy(m);
	return 0;
}
