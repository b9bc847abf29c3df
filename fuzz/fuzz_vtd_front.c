// SPDX-License-Identifier: MIT
/*
 * A VT-d front as hostile software sees it: any access to any register, any
 * bytes in the memory that queues lie in, memory that aborts or is the unit's
 * own registers, faults and page requests in between. What the decoder accepts
 * must be consistent in itself, and what it refuses must be a code that exists.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "front/vtd/decode.h"
#include "hwdef/vtd_regs.h"
#include "input.h"

#define MEM  0x4000u
#define REGS 0x8000u /* addresses that come back as registers */
#define DEEP 4

struct world {
	struct vtd_front *front;
	struct input in;
	unsigned int depth; /* of register accesses inside callbacks */
	uint32_t hole;	    /* a page that aborts */
	uint8_t mem[MEM];
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool is_there(const struct world *w, uint64_t addr, size_t len)
{
	return addr < MEM && len <= MEM - addr &&
	       !(addr <= w->hole + 4095ull && addr + len > w->hole);
}

static int mem_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct world *w = ctx;

	if (!is_there(w, addr, len))
		return -EFAULT;
	memcpy(buf, w->mem + addr, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct world *w = ctx;

	if (addr >= REGS && addr < REGS + 0x1000 && w->depth < DEEP) {
		uint32_t value;

		memcpy(&value, buf, sizeof(value));
		w->depth++;
		vtd_front_write(w->front, (uint32_t)addr - REGS, 4, value);
		w->depth--;
		return 0;
	}
	if (!is_there(w, addr, len))
		return -EFAULT;
	memcpy(w->mem + addr, buf, len);
	return 0;
}

static void check_desc(const struct vtd_desc *d, const uint64_t dw[4])
{
	check(vtd_desc_name(d->type) != NULL);
	check(d->type == ((dw[0] & 15) | (dw[0] >> 5 & 0x70)));
	check(d->first <= d->last && d->index_first <= d->index_last);
	check(d->pasid < 1u << 20 && d->gran <= 3);
	check(d->has_pasid || !d->pasid);
	check(d->status_write || (!d->status_addr && !d->status_data));
	check(!(d->status_addr & 3) && !(d->status_addr >> 52));
	check(!dw[2] && !dw[3]);
}

static struct vtd_consumed consume(void *ctx, const uint64_t (*descs)[4],
				   uint32_t n)
{
	struct vtd_consumed end = { 0 };
	struct world *w = ctx;

	for (; end.done < n; end.done++) {
		struct vtd_desc desc;
		unsigned int iqei =
			vtd_front_decode(w->front, descs[end.done], &desc);

		if (iqei) {
			check(iqei == 3 || iqei == 4);
			end.stop = VTD_STOP_IQE;
			end.info = (uint16_t)iqei;
			return end;
		}
		check_desc(&desc, descs[end.done]);
		if (desc.type == VTD_QI_DEV_TLB && desc.sid == 0xdead) {
			end.stop = VTD_STOP_ITE;
			end.info = desc.sid;
			return end;
		}
		if (desc.type == VTD_QI_DEV_TLB && desc.sid == 0xbeef)
			vtd_front_ice(w->front, desc.sid);
		if (desc.type == VTD_QI_WAIT)
			vtd_front_wait(w->front, &desc, end.done + 1);
	}
	return end;
}

static unsigned int invalidate(void *ctx, const struct vtd_desc *desc)
{
	(void)ctx;
	check(desc->type == VTD_QI_CONTEXT || desc->type == VTD_QI_IOTLB);
	check(desc->gran >= 1);
	return desc->gran;
}

static void inject(struct world *w)
{
	struct vtd_fault fault;
	uint64_t rec[4];

	fault = (struct vtd_fault){
		.reason = input_u8(&w->in),
		.request = input_u8(&w->in) & 3,
		.at = input_u8(&w->in) & 3,
		.sid = input_u8(&w->in),
		.pasid_valid = input_u8(&w->in) & 1,
		.pasid = input_u32(&w->in),
		.info = input_u64(&w->in),
	};
	(void)vtd_front_fault(w->front, &fault);
	input_bytes(&w->in, rec, sizeof(rec));
	(void)vtd_front_page_request(w->front, rec);
}

static void step(struct world *w)
{
	uint8_t what = input_u8(&w->in);
	uint32_t offset = input_u8(&w->in) * 4u;
	uint32_t at;

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		vtd_front_write(w->front, offset, 4, input_u32(&w->in));
		break;
	case 3:
		vtd_front_write(w->front, offset, 8, input_u64(&w->in));
		break;
	case 4:
		(void)vtd_front_read(w->front, offset, what & 8 ? 8 : 4);
		break;
	case 5:
	case 6:
		at = offset * 16 % MEM;
		input_bytes(&w->in, w->mem + at, 32);
		break;
	case 7:
		inject(w);
		break;
	}
}

/* All that a front offers, in legacy and scalable mode */
static const struct vtd_id id = {
	.ver = 0x40,
	.cap = 6 | 0xe00ull | 56ull << 16 | 0x22ull << 24 | 3ull << 34 |
	       1ull << 39 | 3ull << 40 | 18ull << 48 | 3ull << 54 | 1ull << 56 |
	       1ull << 60,
	.ecap = 0xdfull | 0xfull << 8 | 15ull << 20 | 1ull << 26 | 1ull << 29 |
		1ull << 31 | 3ull << 33 | 19ull << 35 | 0xfull << 40 |
		0x1full << 45 | 3ull << 52,
	.haw = 52,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vtd_front_ops ops = {
		.read = mem_read,
		.write = mem_write,
		.consume = consume,
		.invalidate = invalidate,
	};
	struct vtd_front_config config = { .id = id, .max_span = 16 };
	struct world w = { .in = { data, size }, .hole = 0x2000 };
	uint8_t mode = input_u8(&w.in);

	check(!vtd_front_create(&config, &ops, &w, &w.front));
	/* a queue at 0, so that short inputs get somewhere */
	vtd_front_write(w.front, VTD_RTADDR, 8, (mode & 3u) << 10);
	vtd_front_write(w.front, VTD_IQA, 8, mode & 4 ? VTD_IQA_DW : 0);
	vtd_front_write(w.front, VTD_GCMD, 4,
			VTD_GCMD_SRTP | (mode & 8 ? VTD_GCMD_QIE : 0));
	while (w.in.left)
		step(&w);
	vtd_front_destroy(w.front);
	return 0;
}
