// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static int mem_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct rig *rig = ctx;

	return ram_read(&rig->ram, addr, buf, len);
}

static int mem_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct rig *rig = ctx;

	if (rig->mem_is_regs && addr >= RIG_REGS && addr < RIG_REGS + 0x20000) {
		for (size_t i = 0; i + 4 <= len; i += 4) {
			uint32_t word;

			memcpy(&word, (const char *)buf + i, 4);
			wr(rig, (uint32_t)(addr - RIG_REGS + i), word);
		}
		rig->ack_seen = rd(rig, R_IRQ_CTRLACK);
		return 0;
	}
	return ram_write(&rig->ram, addr, buf, len);
}

static struct smmuv3_consumed consume(void *ctx, const uint64_t (*cmds)[2],
				      uint32_t n)
{
	struct rig *rig = ctx;
	struct smmuv3_consumed end = { 0 };

	rig->spans++;
	if (rig->on_consume)
		rig->on_consume(rig);
	for (; end.done < n; end.done++) {
		uint8_t op = (uint8_t)cmds[end.done][0];

		if (rig->bad_op && op == rig->bad_op) {
			end.code = rig->bad_code;
			break;
		}
		memcpy(rig->cmds[rig->cmd_count++ % RIG_LOG], cmds[end.done],
		       16);
		if (op == 0x46)
			smmuv3_front_sync(rig->front, cmds[end.done],
					  end.done + 1);
	}
	return end;
}

static void changed(void *ctx, enum smmuv3_change what)
{
	struct rig *rig = ctx;

	rig->changes[what]++;
	if (rig->on_change)
		rig->on_change(rig, what);
}

static void irq(void *ctx, enum smmuv3_irq which)
{
	struct rig *rig = ctx;

	rig->irqs[which]++;
	if (rig->on_irq)
		rig->on_irq(rig, which);
}

static struct smmuv3_taken take(void *ctx, const struct smmuv3_queue *queue)
{
	uint32_t n = (queue->prod - queue->cons) & ((2u << queue->lg2) - 1);
	struct rig *rig = ctx;

	rig->queues[rig->takes++ % RIG_QUEUES] = *queue;
	return rig->take(rig, n);
}

int rig_create(struct rig *rig, const struct smmuv3_id *id, uint32_t max_span)
{
	static const struct smmuv3_front_ops ops = {
		.read = mem_read,
		.write = mem_write,
		.consume = consume,
		.changed = changed,
		.irq = irq,
	};
	struct smmuv3_front_config config = { .id = *id, .max_span = max_span };

	rig->ram.size = RIG_MEM;
	return smmuv3_front_create(&config, &ops, rig, &rig->front);
}

int rig_create_taking(struct rig *rig, const struct smmuv3_id *id)
{
	static const struct smmuv3_front_ops ops = {
		.read = mem_read,
		.write = mem_write,
		.consume = consume,
		.consume_queue = take,
		.changed = changed,
		.irq = irq,
	};
	struct smmuv3_front_config config = { .id = *id };

	rig->ram.size = RIG_MEM;
	return smmuv3_front_create(&config, &ops, rig, &rig->front);
}

void rig_destroy(struct rig *rig)
{
	smmuv3_front_destroy(rig->front);
}

int rig_setup(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	*state = rig;
	return rig_create(rig, &id, 0);
}

int rig_teardown(void **state)
{
	rig_destroy(*state);
	free(*state);
	return 0;
}

uint32_t rd(struct rig *rig, uint32_t offset)
{
	return (uint32_t)smmuv3_front_read(rig->front, offset, 4);
}

uint64_t rd64(struct rig *rig, uint32_t offset)
{
	return smmuv3_front_read(rig->front, offset, 8);
}

void wr(struct rig *rig, uint32_t offset, uint32_t value)
{
	smmuv3_front_write(rig->front, offset, 4, value);
}

void wr64(struct rig *rig, uint32_t offset, uint64_t value)
{
	smmuv3_front_write(rig->front, offset, 8, value);
}

void mem_put32(struct rig *rig, uint64_t addr, uint32_t value)
{
	ram_put(&rig->ram, addr, value, 4);
}

void mem_put64(struct rig *rig, uint64_t addr, uint64_t value)
{
	ram_put(&rig->ram, addr, value, 8);
}

uint32_t mem_get32(const struct rig *rig, uint64_t addr)
{
	return (uint32_t)ram_get(&rig->ram, addr, 4);
}

uint64_t mem_get64(const struct rig *rig, uint64_t addr)
{
	return ram_get(&rig->ram, addr, 8);
}

void abort_at(struct rig *rig, uint64_t first, uint64_t last)
{
	ram_abort_at(&rig->ram, first, last);
}
