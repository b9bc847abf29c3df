// SPDX-License-Identifier: MIT
/*
 * A hostile guest: any write to any register of the virtual SMMU, any bytes in
 * its queue and tables, over the whole nested path, arrays and rings, with DMA
 * and resets in between. A second guest on the same host must translate as
 * before at the end.
 */
#include <stdlib.h>

#include "guest.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 64

/* Half of the writes go where something happens. */
static const uint32_t offsets[] = {
	0x20, 0x24, 0x28, 0x2c, 0x44, 0x50,    0x60,	0x64,	 0x68,	  0x70,
	0x74, 0x80, 0x84, 0x88, 0x90, 0x94,    0x98,	0x9c,	 0xa0,	  0xa4,
	0xb0, 0xb8, 0xbc, 0xc0, 0xd0, 0x100a8, 0x100ac, 0x100c8, 0x100cc,
};

static void write_register(struct guest *g, struct input *in)
{
	uint8_t how = input_u8(in);
	uint32_t offset =
		how & 1 ? offsets[input_u8(in) % (sizeof(offsets) / 4)]
			: input_u32(in) & 0x1fffc;
	uint64_t value = input_u64(in);

	if (how & 2) /* addresses inside the guest's memory */
		value = g->base + (value & 0x3ffffff);
	nestfd_viommu_write(g->viommu, offset, how & 4 ? 8 : 4, value);
	nestfd_viommu_read(g->viommu, offset, 4);
}

static void write_memory(struct guest *g, struct input *in)
{
	uint64_t at = g->base + (input_u32(in) & 0x3fff8);
	uint64_t word = input_u64(in);

	memcpy(guest_at(g, at), &word, sizeof(word));
}

static void write_command(struct guest *g, struct input *in)
{
	uint64_t dw0 = input_u64(in);
	uint64_t dw1 = input_u64(in);

	guest_command(g, dw0, dw1);
	if (input_u8(in) & 1)
		guest_ring(g);
}

static void dma(struct guest *g, struct input *in)
{
	uint64_t word = input_u64(in);

	nestfd_dma_write(g->dev, input_u64(in) & 0xffffff, &word, 8);
	nestfd_viommu_pump(g->viommu);
}

static void step(struct guest *g, struct input *in)
{
	switch (input_u8(in) % 6) {
	case 0:
		write_register(g, in);
		break;
	case 1:
		write_memory(g, in);
		break;
	case 2:
		write_command(g, in);
		break;
	case 3:
		dma(g, in);
		break;
	case 4:
		if (input_u8(in) == 0x55) /* seldom: all is to do again */
			nestfd_viommu_reset(g->viommu);
		break;
	default:
		guest_invalidate(g, input_u64(in));
		break;
	}
}

static void check_neighbour(struct guest *g)
{
	uint64_t word = 0x1122334455667788ULL, seen;

	guest_map(g, 0x5000, guest_page(g, 3));
	guest_invalidate(g, 0x5000);
	if (nestfd_dma_write(g->dev, 0x5000, &word, 8))
		abort();
	memcpy(&seen, guest_at(g, guest_page(g, 3)), 8);
	if (seen != word)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct host host = { .guests = 2 };
	struct guest hostile, neighbour;
	uint8_t how = input_u8(&in);

	host.cache = how & 1 ? NESTFD_CACHE_HOSTILE : NESTFD_CACHE_FAST;
	host.queue = (enum nestfd_queue)((how >> 1) % 3);
	host.ats = input_u8(&in) & 1;
	if (host_start(&host) || guest_start(&hostile, &host, 0, 5) ||
	    guest_start(&neighbour, &host, 1, 5))
		abort();
	guest_map(&hostile, 0x1000, guest_page(&hostile, 0));
	for (int i = 0; i < STEPS && in.left; i++)
		step(&hostile, &in);
	check_neighbour(&neighbour);
	guest_stop(&neighbour);
	guest_stop(&hostile);
	host_stop(&host);
	return 0;
}
