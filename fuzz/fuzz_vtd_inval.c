// SPDX-License-Identifier: MIT
/*
 * A client of a machine with a VT-d unit: nested HWPTs of the fuzzer's bytes,
 * attached with and without PASIDs, and invalidated by arrays and rings of its
 * bytes, with and without room for errors, while devices are gone now and then.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "nestfd/ext.h"
#include "nestfd/model.h"
#include "nestfd/nestfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEM_SIZE 0x200000u
#define ARRAY	 4096u
#define DEVICES	 2
#define STEPS	 24

struct world {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev[DEVICES];
	uint32_t dev_id[DEVICES];
	uint32_t ioas, parent, nested;
	uint8_t *mem;
	uint8_t array[ARRAY];
};

static void must(int ok)
{
	if (!ok)
		abort();
}

static void start(struct world *w, int errors)
{
	struct nestfd_machine_config config = { .size = sizeof(config),
						.arch = NESTFD_ARCH_VTD,
						.cache = NESTFD_CACHE_HOSTILE,
						.atc_window_ms =
							NESTFD_NO_WINDOW };
	struct nestfd_ext_enable on = { .size = sizeof(on),
					.features = NESTFD_EXT_RING };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = 7,
				      .length = MEM_SIZE };
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };

	memset(w, 0, sizeof(*w));
	w->mem = aligned_alloc(MEM_SIZE, MEM_SIZE);
	must(w->mem != NULL);
	memset(w->mem, 0, MEM_SIZE);
	must(!nestfd_machine_create(&config, &w->machine));
	must(!nestfd_open(w->machine, &w->ctx));
	if (errors)
		on.features |= NESTFD_EXT_ERRORS;
	must(!nestfd_ioctl(w->ctx, NESTFD_EXT_ENABLE, &on));
	for (uint32_t i = 0; i < DEVICES; i++) {
		struct nestfd_device_config dc = { .size = sizeof(dc),
						   .stream_id = 0x10 + i,
						   .ats = i,
						   .pasid_bits = 8 };

		must(!nestfd_device_add(w->machine, &dc, &w->dev[i]));
		must(!nestfd_bind(w->ctx, w->dev[i], &w->dev_id[i]));
	}
	must(!nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &alloc));
	w->ioas = alloc.out_ioas_id;
	map.ioas_id = w->ioas;
	map.user_va = (uintptr_t)w->mem;
	must(!nestfd_ioctl(w->ctx, IOMMU_IOAS_MAP, &map));
	parent.dev_id = w->dev_id[0];
	parent.pt_id = w->ioas;
	must(!nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &parent));
	w->parent = parent.out_hwpt_id;
}

/* The last one that could be made is the one that is used. */
static void make_nested(struct world *w, struct input *in)
{
	uint8_t s1[40];
	uint8_t how = input_u8(in);
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = how & 0x80 ? input_u8(in) : how & 8,
		.dev_id = w->dev_id[how & 1],
		.pt_id = w->parent,
		.data_type = how & 0x40 ? input_u8(in) : 1,
		.data_len = how & 0x20 ? input_u8(in) % sizeof(s1) : 24,
		.data_uptr = (uintptr_t)s1,
	};

	input_bytes(in, s1, sizeof(s1));
	if (!(how & 0x10)) {
		const uint32_t width[] = { how & 2 ? 57 : 48, 0 };

		memcpy(s1 + 16, width, sizeof(width));
		s1[14] = s1[15] = 0;
	}
	if (!nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &arg))
		w->nested = arg.out_hwpt_id;
}

static void attach(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	uint32_t pasid = how & 2 ? input_u8(in) : NESTFD_NO_PASID;
	uint32_t pt = how & 4 ? w->parent : w->nested;

	if (how & 8)
		nestfd_detach(w->dev[how & 1], pasid);
	else
		(void)nestfd_attach(w->dev[how & 1], pasid, &pt);
}

static void fill(struct world *w, struct input *in, uint32_t len, uint32_t num)
{
	memset(w->array, 0, ARRAY);
	for (uint32_t i = 0; i < num && (i + 1) * len <= ARRAY; i++) {
		uint8_t how = input_u8(in);
		uint64_t words[2] = { input_u64(in), input_u64(in) };

		if (how & 1)
			words[0] &= ~0xfffULL;
		if (how & 2)
			words[1] &= 0xff;
		if (how & 4)
			words[1] = UINT64_MAX;
		if (how & 8)
			words[0] = 0;
		memcpy(w->array + i * len, words, len < 16 ? len : 16);
		if (how & 0x10)
			w->array[i * len + input_u8(in) % len] = how;
	}
}

static void invalidate(struct world *w, struct input *in, int errors)
{
	uint32_t len = input_u8(in) & 1 ? 24 : 1 + input_u8(in) % 64;
	uint32_t num = input_u8(in) % (ARRAY / len);
	struct nestfd_hwpt_invalidate arg = {
		.size = errors ? sizeof(arg)
			       : sizeof(struct iommu_hwpt_invalidate),
		.hwpt_id = w->nested,
		.data_uptr = (uintptr_t)w->array,
		.entry_len = len,
		.entry_num = num,
	};
	int rc;

	fill(w, in, len, num);
	rc = nestfd_ioctl(w->ctx, IOMMU_HWPT_INVALIDATE, &arg);
	must(arg.entry_num <= num);
	must(rc || arg.entry_num == num);
	must(!arg.out_error || (errors && rc == -ETIMEDOUT));
}

static void ring(struct world *w, struct input *in)
{
	uint32_t len = 24 + input_u8(in) % 3 * 4;
	uint32_t cons = input_u8(in) & 31;
	struct nestfd_hwpt_invalidate_ring arg = {
		.size = sizeof(arg),
		.hwpt_id = w->nested,
		.q_uptr = (uintptr_t)w->array,
		.q_cons_uptr = (uintptr_t)&cons,
		.q_prod = input_u8(in) & 31,
		.q_index_bits = 4,
		.q_entry_num = 16,
		.q_entry_len = len,
	};

	fill(w, in, len, 16);
	if (!nestfd_ioctl(w->ctx, NESTFD_HWPT_INVALIDATE_RING, &arg))
		must(cons == arg.q_prod);
}

static void dma(struct world *w, struct input *in)
{
	uint8_t how = input_u8(in);
	uint64_t word = 0;
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = input_u64(in) & (how & 2 ? 0xfffff : UINT64_MAX),
		.pasid = how & 4 ? input_u8(in) : NESTFD_NO_PASID,
		.flags = how >> 4 & 9,
		.buf = &word,
		.length = 8,
	};

	(void)nestfd_dma(w->dev[how & 1], &dma);
}

static void device_gone(struct world *w, struct input *in)
{
	struct nestfd_fault fault;

	if (input_u8(in) & 1) {
		nestfd_inject_clear(w->machine);
		nestfd_device_reset(w->dev[1]);
	} else if (!nestfd_inject_parse("gone:dev=0x11", &fault)) {
		(void)nestfd_inject(w->machine, &fault);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int errors = input_u8(&in) & 1;
	struct world w;

	start(&w, errors);
	make_nested(&w, &in);
	for (int i = 0; i < STEPS && in.left; i++) {
		switch (input_u8(&in) & 7) {
		case 0:
			make_nested(&w, &in);
			break;
		case 1:
			attach(&w, &in);
			break;
		case 2:
			dma(&w, &in);
			break;
		case 3:
			device_gone(&w, &in);
			break;
		case 4:
			ring(&w, &in);
			break;
		default:
			invalidate(&w, &in, errors);
			break;
		}
	}
	nestfd_machine_destroy(w.machine);
	free(w.mem);
	return 0;
}
