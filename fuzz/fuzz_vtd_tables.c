// SPDX-License-Identifier: MIT
/*
 * Root, context, PASID and page tables of VT-d made of the fuzzer's bytes,
 * under DMA of two devices on a bare machine, with descriptors in between.
 * Memory starts with tables that translate, so that mutations reach deep.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "input.h"
#include "nestfd/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEM_SIZE 0x40000u
#define ROOT	 0x00000u
#define CONTEXT	 0x01000u
#define DIR	 0x02000u
#define PASIDS	 0x03000u
#define FS	 0x04000u /* 4 tables, of levels 4 to 1 */
#define SS	 0x08000u /* 3, of levels 4 to 2 */
#define LEGACY	 0x0b000u /* context table */
#define IQ	 0x10000u
#define PRQ	 0x11000u
#define PASSES	 16

static uint8_t *mem;

static void put(uint32_t at, uint64_t word)
{
	memcpy(mem + at, &word, sizeof(word));
}

/* PASID 0: first stage, 1: second, 2: nested, 3: none */
static void make_scalable(void)
{
	static const uint64_t types[4] = { 0x049, 0x289, 0x2c9, 0x109 };

	put(ROOT, CONTEXT | 1);
	for (uint32_t sid = 0; sid < 2; sid++)
		put(CONTEXT + 32 * sid, DIR | 0x1d);
	put(DIR, PASIDS | 1);
	for (uint32_t n = 0; n < 4; n++) {
		put(PASIDS + 64 * n, types[n] | (n ? SS : 0));
		put(PASIDS + 64 * n + 8, 0x800000 | (n + 5));
		put(PASIDS + 64 * n + 16, FS | 0x91);
	}
}

static void make_legacy(void)
{
	put(ROOT, LEGACY | 1);
	for (uint32_t sid = 0; sid < 2; sid++) {
		put(LEGACY + 16 * sid, SS | 5);
		put(LEGACY + 16 * sid + 8, 0x502);
	}
}

static void make_tables(bool scalable)
{
	memset(mem, 0, MEM_SIZE);
	if (scalable)
		make_scalable();
	else
		make_legacy();
	for (uint32_t n = 0; n < 3; n++)
		put(FS + 0x1000 * n, (FS + 0x1000 * (n + 1)) | 0x7);
	for (uint32_t n = 0; n < 64; n++)
		put(FS + 0x3000 + 8 * n, (uint64_t)n << 12 | 0x7);
	put(SS, (SS + 0x1000) | 3);
	put(SS + 0x1000, (SS + 0x2000) | 3);
	put(SS + 0x2000, 0x83); /* the first 2 MiB to themselves */
}

/* Overwrites 8-byte words at offsets the input names. */
static void scribble(struct input *in)
{
	uint8_t n = input_u8(in) & 31;

	while (n--) {
		uint32_t at = input_u32(in) % 0xc000 & ~7u;

		put(at, input_u64(in));
	}
}

static void one_descriptor(struct nestfd_machine *m, struct input *in,
			   uint32_t *tail)
{
	for (unsigned int n = 0; n < 2; n++)
		put(IQ + *tail + 8 * n, input_u64(in));
	put(IQ + *tail + 16, 0);
	put(IQ + *tail + 24, 0);
	*tail = (*tail + 32) & 0xfff;
	nestfd_iommu_write(m, 0x88, 8, *tail);
	/* correct it and acknowledge, so that the next one is fetched */
	if (nestfd_iommu_read(m, 0x34, 4) & 0x70) {
		uint32_t head = nestfd_iommu_read(m, 0x80, 8) & 0xfe0;

		put(IQ + head, 0x12);
		put(IQ + head + 8, 0);
		nestfd_iommu_write(m, 0x34, 4, 0x70);
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
		dma.pasid = input_u8(in) & 7;
	nestfd_dma(dev, &dma);
	nestfd_explain(dev, dma.iova, dma.pasid, 0, text, sizeof(text));
}

/* CAP and ECAP of nothing the model has not got are taken, with CM. */
static int make_machine(struct input *in, struct nestfd_machine **m)
{
	struct nestfd_vtd_id id = {
		.cap = 0x91f40078001f8e06 | (input_u8(in) & 1 ? 0x80 : 0),
		.ecap = 0,
		.version = 0x50,
		.haw = 40,
	};
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_VTD,
		.cache = input_u8(in) & 1 ? NESTFD_CACHE_HOSTILE
					  : NESTFD_CACHE_FAST,
		.pri = true,
	};

	id.ecap = input_u64(in);
	config.vtd_id = &id;
	if (input_u8(in) & 1 && !nestfd_machine_create(&config, m))
		return 0;
	config.vtd_id = NULL;
	return nestfd_machine_create(&config, m);
}

static void drive(struct nestfd_machine *m, struct input *in)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.pasid_bits = 8,
		.ats = true,
	};
	bool scalable = input_u8(in) & 1;
	struct nestfd_device *dev[2];
	uint32_t tail = 0;

	make_tables(scalable);
	if (nestfd_device_add(m, &config, &dev[0]))
		return;
	config.stream_id = 1;
	if (nestfd_device_add(m, &config, &dev[1]))
		return;
	nestfd_iommu_write(m, 0x20, 8, ROOT | (scalable ? 0x400 : 0));
	nestfd_iommu_write(m, 0x18, 4, 0x40000000);
	nestfd_iommu_write(m, 0x90, 8, IQ | 0x800);
	nestfd_iommu_write(m, 0xd0, 8, PRQ);
	nestfd_iommu_write(m, 0x18, 4, 0x04000000);
	nestfd_iommu_write(m, 0x18, 4, 0x84000000);
	for (int i = 0; i < PASSES && in->left; i++) {
		scribble(in);
		one_dma(dev[i & 1], in);
		one_descriptor(m, in, &tail);
		one_dma(dev[input_u8(in) & 1], in);
		if (input_u8(in) & 1)
			nestfd_iommu_write(m, input_u32(in) & 0x2fc, 4,
					   input_u32(in));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct nestfd_machine *m;

	if (!mem) {
		mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			abort();
	}
	if (make_machine(&in, &m))
		abort();
	if (nestfd_memory_add(m, 0, mem, MEM_SIZE))
		abort();
	drive(m, &in);
	nestfd_machine_destroy(m);
	return 0;
}
