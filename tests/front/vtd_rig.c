// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "vtd_rig.h"

static int mem_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct rig *rig = ctx;

	return ram_read(&rig->ram, addr, buf, len);
}

static int mem_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct rig *rig = ctx;

	if (rig->mem_is_regs && addr >= RIG_REGS && addr < RIG_REGS + 0x1000) {
		for (size_t i = 0; i + 4 <= len; i += 4) {
			uint32_t word;

			memcpy(&word, (const char *)buf + i, 4);
			wr(rig, (uint32_t)(addr - RIG_REGS + i), word);
		}
		return 0;
	}
	return ram_write(&rig->ram, addr, buf, len);
}

/* A device-TLB invalidation to @silent_sid times out at the next wait. */
static struct vtd_consumed consume(void *ctx, const uint64_t (*descs)[4],
				   uint32_t n)
{
	struct rig *rig = ctx;
	struct vtd_consumed end = { 0 };
	bool timed_out = false;

	rig->spans++;
	if (rig->on_consume)
		rig->on_consume(rig);
	for (; end.done < n && !rig->take_none; end.done++) {
		const uint64_t *dw = descs[end.done];
		struct vtd_desc desc;
		unsigned int iqei = vtd_front_decode(rig->front, dw, &desc);

		if (iqei)
			return (struct vtd_consumed){ end.done, VTD_STOP_IQE,
						      (uint16_t)iqei };
		if (desc.type == 3 && desc.sid == rig->silent_sid)
			timed_out = true;
		if (desc.type == 3 && rig->ice)
			vtd_front_ice(rig->front, desc.sid);
		if (desc.type == 5 && timed_out)
			return (struct vtd_consumed){ end.done, VTD_STOP_ITE,
						      rig->silent_sid };
		memcpy(rig->descs[rig->count++ % RIG_LOG], dw, 32);
		if (desc.type == 5) {
			rig->waits++;
			vtd_front_wait(rig->front, &desc, end.done + 1);
			if (rig->fences && desc.fence) {
				end.done++;
				return end;
			}
		}
	}
	if (timed_out)
		return (struct vtd_consumed){ end.done, VTD_STOP_ITE,
					      rig->silent_sid };
	return end;
}

static unsigned int invalidate(void *ctx, const struct vtd_desc *desc)
{
	uint32_t reg = desc->type == 1 ? R_CCMD : R_IOTLB;
	struct rig *rig = ctx;

	rig->invalidated = *desc;
	rig->invalidations++;
	rig->command_seen = rd64(rig, reg);
	wr64(rig, reg, 0x9000000000000000); /* while one is under way */
	return rig->granularity;
}

static void changed(void *ctx, enum vtd_change what)
{
	struct rig *rig = ctx;

	rig->changes[what]++;
	rig->gsts_seen = rd(rig, R_GSTS);
	if (rig->on_change)
		rig->on_change(rig, what);
}

static void irq(void *ctx, enum vtd_irq which, uint64_t addr, uint32_t data)
{
	struct rig *rig = ctx;

	rig->irqs[which]++;
	rig->irq_addr = addr;
	rig->irq_data = data;
	rig->iqh_seen = rd64(rig, R_IQH);
}

struct vtd_id id_full(void)
{
	return (struct vtd_id){
		.ver = 0x40,
		/*
		 * 16-bit domain ids, AGAW 39 to 57, MGAW 57, FRO 0x220, 2M and
		 * 1G, page-selective with masks to 18, 8 records, draining,
		 * first stage 1G and 5 levels
		 */
		.cap = 6 | 0xe00ull | 56ull << 16 | 0x22ull << 24 | 3ull << 34 |
		       1ull << 39 | 7ull << 40 | 18ull << 48 | 3ull << 54 |
		       1ull << 56 | 1ull << 60,
		/* IRO 0xf0, MHMV 15, 20-bit PASIDs */
		.ecap = 0xdfull | 0xfull << 8 | 15ull << 20 | 1ull << 26 |
			1ull << 29 | 1ull << 31 | 3ull << 33 | 19ull << 35 |
			0xfull << 40 | 0x1full << 45 | 3ull << 52,
		.haw = 52,
	};
}

static const struct vtd_front_ops ops = {
	.read = mem_read,
	.write = mem_write,
	.consume = consume,
	.invalidate = invalidate,
	.changed = changed,
};

int rig_create(struct rig *rig, const struct vtd_id *id, uint32_t max_span)
{
	struct vtd_front_config config = { .id = *id, .max_span = max_span };

	rig->ram.size = RIG_MEM;
	rig->granularity = 3;
	rig->silent_sid = 0xffff;
	return vtd_front_create(&config, &ops, rig, &rig->front);
}

int rig_create_with_irq(struct rig *rig, const struct vtd_id *id)
{
	struct vtd_front_config config = { .id = *id };
	struct vtd_front_ops with = ops;

	with.irq = irq;
	rig->ram.size = RIG_MEM;
	rig->granularity = 3;
	rig->silent_sid = 0xffff;
	return vtd_front_create(&config, &with, rig, &rig->front);
}

void rig_destroy(struct rig *rig)
{
	vtd_front_destroy(rig->front);
}

int rig_setup(void **state)
{
	struct vtd_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	*state = rig;
	return rig_create_with_irq(rig, &id);
}

int rig_teardown(void **state)
{
	rig_destroy(*state);
	free(*state);
	return 0;
}

uint32_t rd(struct rig *rig, uint32_t offset)
{
	return (uint32_t)vtd_front_read(rig->front, offset, 4);
}

uint64_t rd64(struct rig *rig, uint32_t offset)
{
	return vtd_front_read(rig->front, offset, 8);
}

void wr(struct rig *rig, uint32_t offset, uint32_t value)
{
	vtd_front_write(rig->front, offset, 4, value);
}

void wr64(struct rig *rig, uint32_t offset, uint64_t value)
{
	vtd_front_write(rig->front, offset, 8, value);
}

void rig_mode(struct rig *rig, uint32_t ttm)
{
	uint32_t on = rd(rig, R_GSTS) & 0x86800000;

	wr64(rig, R_RTADDR, 0x5000 | ttm);
	wr(rig, R_GCMD, on | G_SRTP);
}

void rig_queue(struct rig *rig, bool wide)
{
	wr64(rig, R_IQA, RIG_QUEUE | (wide ? 0x800 : 0));
	wr64(rig, R_IQT, 0);
	wr(rig, R_GCMD, (rd(rig, R_GSTS) & 0x86800000) | G_QIE);
}

void rig_post(struct rig *rig, unsigned int index, const uint64_t dw[4])
{
	bool wide = rd64(rig, R_IQA) & 0x800;
	uint64_t at = RIG_QUEUE + (uint64_t)index * (wide ? 32 : 16);

	for (unsigned int i = 0; i < (wide ? 4 : 2); i++)
		ram_put(&rig->ram, at + 8 * i, dw[i], 8);
}
