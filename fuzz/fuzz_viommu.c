// SPDX-License-Identifier: MIT
/*
 * A hostile guest: any write to any register of the virtual SMMU, any bytes in
 * its queue and tables, over the whole nested path, arrays and rings, with DMA
 * and resets in between, and with another of its CPUs that changes commands
 * while they are looked at, copied and executed. A second guest on the same
 * host must translate as before at the end.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "guest.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	  64
#define QUEUE_LG2 8
#define QUEUE	  (1u << QUEUE_LG2)
#define SCRIBBLES (1u << 24) /* at most, of one run */

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

/* Of the host, of a stream, of the VMM, of nobody; SYNC by its signal */
static const uint8_t ops[] = { 0x12, 0x46, 0x11, 0x10, 0x13, 0x30, 0x05, 0x06,
			       0x40, 0x46, 0x03, 0x04, 0x41, 0x01, 0x12, 0xff };

/* One of @ops as it is legal, mostly, so that a queue goes on */
static void any_command(const struct guest *g, uint64_t word, uint64_t dw[2])
{
	dw[0] = ops[word & 15];
	dw[1] = 0;
	switch (dw[0]) {
	case 0x46: /* CS 0 or SIG_IRQ */
		dw[0] |= (word & 0x10) << 8;
		dw[1] = guest_page(g, 9);
		break;
	case 0x12:
	case 0x13:
		dw[1] = guest_tlbi_va_1(word << 12 & ~0ULL >> 16);
		break;
	case 0x10:
	case 0x11:
	case 0x30:
		break;
	default: /* the guest's stream, and one that is not there */
		dw[0] |= (uint64_t)(g->vsid + (word >> 5 & 1)) << 32;
		break;
	}
}

/* ---- the other CPU ---- */

struct scribbler {
	const struct guest *guest;
	uint64_t *queue;
	uint32_t seed;
	bool stop;
	uint32_t done;
	bool runs;
	pthread_t thread;
};

/* Seldom what stops a queue for good, or there would be nothing to see. */
static void scribble_once(struct scribbler *s)
{
	uint64_t dw[2] = { guest_tlbi_va_0(s->guest), guest_tlbi_va_1(0) };
	uint64_t *command;
	uint32_t kind;

	s->seed = s->seed * 1103515245u + 12345u;
	command = s->queue + (s->seed >> 16 & (QUEUE - 1)) * 2;
	kind = s->seed >> 24;
	if (kind < 4)
		any_command(s->guest, s->seed >> 8, dw);
	if (kind == 4 && (s->seed >> 14 & 3) == 0)
		dw[s->seed >> 8 & 1] ^= 1ULL << (s->seed >> 9 & 31);
	__atomic_store_n(command, dw[0], __ATOMIC_RELAXED);
	__atomic_store_n(command + 1, dw[1], __ATOMIC_RELAXED);
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	for (uint32_t i = 0; i < SCRIBBLES; i++) {
		if (__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
			break;
		scribble_once(s);
		__atomic_store_n(&s->done, i + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void scribbler_start(struct scribbler *s, const struct guest *g,
			    uint32_t seed)
{
	*s = (struct scribbler){
		.guest = g,
		.queue = guest_at(g, guest_command_at(g, 0)),
		.seed = seed,
		.runs = true,
	};
	if (pthread_create(&s->thread, NULL, scribble, s))
		abort();
}

/* Waits for it to get on, so that it is likely to go on at the same time. */
static void scribbler_meet(const struct scribbler *s)
{
	uint32_t before = __atomic_load_n(&s->done, __ATOMIC_RELAXED);

	for (int i = 0; s->runs && i < 1000; i++) {
		if (__atomic_load_n(&s->done, __ATOMIC_RELAXED) - before > 2)
			break;
		sched_yield();
	}
}

static void scribbler_stop(struct scribbler *s)
{
	if (!s->runs)
		return;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, NULL);
}

/* ---- this one ---- */

static bool is_stopped(struct guest *g)
{
	return (nestfd_viommu_read(g->viommu, 0x60, 4) ^
		nestfd_viommu_read(g->viommu, 0x64, 4)) &
	       1;
}

/* What was rung for has been consumed, or the guest knows why not. */
static void check_consumed(struct guest *g)
{
	uint64_t base = nestfd_viommu_read(g->viommu, 0x90, 8);
	uint32_t prod = (uint32_t)nestfd_viommu_read(g->viommu, 0x98, 4);
	uint32_t cons = (uint32_t)nestfd_viommu_read(g->viommu, 0x9c, 4);

	if (is_stopped(g) || (base & 31) != QUEUE_LG2 ||
	    !(nestfd_viommu_read(g->viommu, 0x24, 4) & 8))
		return;
	if (((prod - cons) & (2 * QUEUE - 1)) - 1 < QUEUE)
		abort();
}

/* An acknowledged queue goes on where it was, with what is there by now. */
static void acknowledge(struct guest *g)
{
	uint32_t cons = (uint32_t)nestfd_viommu_read(g->viommu, 0x9c, 4);

	guest_put(g, guest_command_at(g, cons), 0x30);
	guest_put(g, guest_command_at(g, cons) + 8, 0);
	nestfd_viommu_write(g->viommu, 0x64, 4,
			    nestfd_viommu_read(g->viommu, 0x60, 4));
}

/* A doorbell of many, what is certainly the host's in runs */
static void storm(struct guest *g, struct input *in, const struct scribbler *s)
{
	uint32_t n = input_u8(in);
	uint32_t run = 1 + input_u8(in) % 64;
	uint64_t word = input_u64(in);
	uint32_t cons = (uint32_t)nestfd_viommu_read(g->viommu, 0x9c, 4);
	uint32_t used = (g->prod - cons) & (2 * QUEUE - 1);

	for (uint32_t i = 1; i <= n && used < QUEUE; i++, used++) {
		uint64_t dw[2] = { guest_tlbi_va_0(g),
				   guest_tlbi_va_1(i * 4096ULL) };

		if (i % run == 0)
			any_command(g, word, dw);
		guest_command(g, dw[0], dw[1]);
		word = word >> 5 | word << 59;
	}
	scribbler_meet(s);
	guest_ring(g);
	for (int i = 0; i < 8 && is_stopped(g); i++)
		acknowledge(g);
	check_consumed(g);
}

static void dma(struct guest *g, struct input *in)
{
	uint64_t word = input_u64(in);

	nestfd_dma_write(g->dev, input_u64(in) & 0xffffff, &word, 8);
	nestfd_viommu_pump(g->viommu);
}

static void step(struct guest *g, struct input *in, const struct scribbler *s)
{
	switch (input_u8(in) % 8) {
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
	case 5:
		guest_invalidate(g, input_u64(in));
		break;
	default:
		storm(g, in, s);
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
	struct host host = { .guests = 2, .cmdq_lg2 = QUEUE_LG2 };
	struct scribbler scribbler = { 0 };
	struct guest hostile, neighbour;
	uint8_t how = input_u8(&in);

	host.cache = how & 1 ? NESTFD_CACHE_HOSTILE : NESTFD_CACHE_FAST;
	host.queue = (enum nestfd_queue)((how >> 1) % 3);
	host.ats = input_u8(&in) & 1;
	if (host_start(&host) || guest_start(&hostile, &host, 0, 5) ||
	    guest_start(&neighbour, &host, 1, 5))
		abort();
	guest_map(&hostile, 0x1000, guest_page(&hostile, 0));
	if (how & 8)
		scribbler_start(&scribbler, &hostile, how);
	for (int i = 0; i < STEPS && in.left; i++)
		step(&hostile, &in, &scribbler);
	scribbler_stop(&scribbler);
	check_neighbour(&neighbour);
	guest_stop(&neighbour);
	guest_stop(&hostile);
	host_stop(&host);
	return 0;
}
