// SPDX-License-Identifier: MIT
/*
 * NESTFD_HWPT_INVALIDATE_RING of a hostile guest and a careless VMM: any
 * indices, any entries, memory that is missing, and that changes while it is
 * read, by another thread or, for a client that is another process, between
 * any two reads. Whatever happens, the consumer's index moves forward, by no
 * more than what was pending, and only if the indices were sane.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "input.h"
#include "nestfd/ext.h"
#include "nestfd/nestfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS	  24
#define PAGE	  4096u
#define CONS_AT	  (8 * PAGE) /* behind the queue's pages */
#define ARG_AT	  (9 * PAGE)
#define BYTES	  (10 * PAGE)
#define VIRT_ID	  0x99
#define MOCK_TYPE 0xdeadbeef
#define THEIRS	  0x10000u /* where another process has the memory */

static unsigned char *memory;

struct world {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t ids[3]; /* vIOMMU, HWPT on the parent or the vIOMMU, IOAS */
	uint32_t data_type;
	uint32_t entry_len;
	bool foreign;
	uint8_t holes;	   /* bit n: page n of the queue is not there */
	uint8_t read_only; /* of the consumer's index: 0: no, 1: yes */
	uint8_t noise;
};

/* ---- the machine ---- */

static void must(int rc)
{
	if (rc)
		abort();
}

/* The mock's own command 0xa0, op 12: a test device */
static uint32_t mock_device(struct world *w)
{
	uint32_t arg[18] = { [0] = 72, [1] = 12, [2] = w->ids[2] };

	must(nestfd_ioctl(w->ctx, _IO(';', 0xa0), arg));
	return arg[6];
}

static uint32_t smmuv3_device(struct world *w)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = 0x10,
		.ats = true,
	};
	struct nestfd_device *dev;
	uint32_t id;

	must(nestfd_device_add(w->machine, &config, &dev));
	must(nestfd_bind(w->ctx, dev, &id));
	return id;
}

static uint32_t hwpt(struct world *w, uint32_t dev, uint32_t pt, uint32_t flags,
		     const uint32_t *data)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.data_type = data ? 0xdead : 0,
		.data_len = data ? 8 : 0,
		.data_uptr = (uintptr_t)data,
	};

	must(nestfd_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &arg));
	return arg.out_hwpt_id;
}

static void start(struct world *w, bool mock)
{
	static const uint32_t cells[2] = { 7, 0 };
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = mock ? NESTFD_ARCH_MOCK : NESTFD_ARCH_SMMUV3,
	};
	struct nestfd_ext_enable enable = { 16, 0, 3 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu) };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice) };
	uint32_t dev, parent;

	must(nestfd_machine_create(&config, &w->machine));
	must(nestfd_open(w->machine, &w->ctx));
	must(nestfd_ioctl(w->ctx, NESTFD_EXT_ENABLE, &enable));
	must(nestfd_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &ioas));
	w->ids[2] = ioas.out_ioas_id;
	dev = mock ? mock_device(w) : smmuv3_device(w);
	parent = hwpt(w, dev, ioas.out_ioas_id, 1, NULL);
	viommu.type = mock ? MOCK_TYPE : 1;
	viommu.dev_id = dev;
	viommu.hwpt_id = parent;
	must(nestfd_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &viommu));
	w->ids[0] = viommu.out_viommu_id;
	vdevice.viommu_id = w->ids[0];
	vdevice.dev_id = dev;
	vdevice.virt_id = VIRT_ID;
	must(nestfd_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &vdevice));
	w->ids[1] = mock ? hwpt(w, dev, parent, 0, cells) : parent;
	w->data_type = mock ? MOCK_TYPE : 1;
	w->entry_len = mock ? 12 : 16;
}

/* ---- memory that changes ---- */

struct scribbler {
	uint32_t seed;
	bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		s->seed = s->seed * 1103515245u + 12345u;
		__atomic_store_n(&memory[s->seed >> 16 & 0xff],
				 (unsigned char)(s->seed >> 8),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool is_there(const struct world *w, uint64_t at, size_t len)
{
	if (at >= BYTES || len > BYTES - at)
		return false;
	for (uint64_t page = at / PAGE; page <= (at + len - 1) / PAGE; page++)
		if (page < 8 && w->holes & 1u << page)
			return false;
	return true;
}

static int client_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct world *w = ctx;
	uint64_t at = addr - THEIRS;

	if (!len || !is_there(w, at, len))
		return len ? -EFAULT : 0;
	memcpy(dst, memory + at, len);
	if (at < CONS_AT)
		memory[at] += w->noise;
	return 0;
}

static int client_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct world *w = ctx;
	uint64_t at = addr - THEIRS;

	if (!len || !is_there(w, at, len) ||
	    (at < ARG_AT && at + len > CONS_AT && w->read_only))
		return len ? -EFAULT : 0;
	memcpy(memory + at, src, len);
	return 0;
}

static int no_fd(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return -EBADF;
}

static int call(struct world *w, unsigned long cmd)
{
	const struct nestfd_client client = {
		.size = sizeof(client),
		.ctx = w,
		.read = client_read,
		.write = client_write,
		.get_fd = no_fd,
		.give_fd = no_fd,
	};

	return w->foreign
		       ? nestfd_ioctl_for(w->ctx, cmd, THEIRS + ARG_AT, &client)
		       : nestfd_ioctl(w->ctx, cmd, memory + ARG_AT);
}

static void set_memory(struct world *w, struct input *in)
{
	/* SMMUv3: TLBI of all, by ASID, by address; ATC_INV, SYNC, CFGI_CD */
	static const unsigned char ops[] = { 0x10, 0x11, 0x12, 0x13,
					     0x30, 0x40, 0x46, 0x05 };
	uint32_t bad = input_u8(in);

	mprotect(memory, BYTES, PROT_READ | PROT_WRITE);
	memset(memory, 0, BYTES);
	for (uint32_t at = 0; at < CONS_AT; at += w->entry_len) {
		unsigned char *entry = memory + at;
		unsigned char op = ops[at / w->entry_len * 5 % 8];

		if (at + w->entry_len > CONS_AT)
			break;
		if (w->data_type == 1)
			entry[0] = op;
		if (w->data_type != 1 || op == 0x40 || op == 0x05)
			entry[4] = VIRT_ID;
		/* Often enough for a queue to get somewhere, or not. */
		if (at / w->entry_len % (bad + 4) == 1)
			input_bytes(in, entry, w->entry_len);
	}
	w->noise = input_u8(in);
	w->holes = input_u8(in) & input_u8(in) & input_u8(in);
	w->read_only = input_u8(in) > 240;
	if (w->foreign)
		return;
	for (uint32_t page = 0; page < 8; page++)
		if (w->holes & 1u << page)
			mprotect(memory + page * PAGE, PAGE, PROT_NONE);
	if (w->read_only)
		mprotect(memory + CONS_AT, PAGE, PROT_READ);
}

/* ---- one call ---- */

static uint64_t base(const struct world *w)
{
	return w->foreign ? THEIRS : (uintptr_t)memory;
}

static void fill(const struct world *w, struct nestfd_hwpt_invalidate_ring *arg,
		 uint32_t from, uint32_t bits, struct input *in)
{
	/* a bit for each that makes no sense */
	uint8_t wild = input_u8(in) & input_u8(in) & input_u8(in);
	/* an SMMUv3 has no queues of nested HWPTs */
	uint32_t nested = (input_u8(in) & (w->data_type == 1 ? 15 : 1)) == 1;
	uint32_t some = input_u32(in);

	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->hwpt_id = w->ids[nested];
	arg->q_uptr = base(w) + (wild & 2 ? input_u64(in) : 0);
	arg->q_cons_uptr = base(w) + CONS_AT;
	arg->q_index_bits = bits;
	arg->q_entry_num = 1u << arg->q_index_bits;
	arg->q_prod = from + some % (arg->q_entry_num + 1);
	arg->q_prod &= 2 * arg->q_entry_num - 1;
	arg->q_entry_len = w->data_type != 1 && nested ? 8 : w->entry_len;
	arg->data_type = w->data_type;
	if (wild & 1)
		arg->q_prod = input_u32(in);
	if (wild & 4)
		arg->q_cons_uptr += input_u8(in);
	if (wild & 8)
		arg->q_index_bits = input_u32(in) & 63;
	if (wild & 16)
		arg->q_entry_num = input_u32(in);
	if (wild & 32)
		arg->q_entry_len = input_u32(in) & 0x1fff;
	if ((wild & 0xc0) == 0xc0 && input_u8(in) > 200) {
		arg->size = input_u8(in);
		arg->out_error = input_u8(in) & 1;
		arg->__reserved = input_u8(in) & 1;
		arg->data_type = input_u8(in) & 3;
	}
}

/* What ext.h says of indices */
static bool is_sane(const struct nestfd_hwpt_invalidate_ring *arg,
		    uint32_t from, uint64_t *pending)
{
	uint64_t size, modulus;

	if (arg->q_index_bits > 31)
		return false;
	size = 1ULL << arg->q_index_bits;
	modulus = 2 * size;
	if (arg->q_entry_num > size || from >= modulus ||
	    arg->q_prod >= modulus)
		return false;
	*pending = (modulus + arg->q_prod - from) % modulus;
	if (*pending > arg->q_entry_num || *pending > 1u << 19)
		return false;
	return arg->q_entry_num == size ||
	       (from <= arg->q_prod && arg->q_prod <= arg->q_entry_num);
}

static void judge(const struct world *w, uint32_t from, uint32_t to, int rc,
		  const struct nestfd_hwpt_invalidate_ring *before)
{
	const struct nestfd_hwpt_invalidate_ring *arg =
		(const void *)(memory + ARG_AT);
	uint64_t pending = 0;
	uint64_t moved;
	bool sane = is_sane(before, from, &pending);

	if (before->q_cons_uptr != base(w) + CONS_AT)
		return; /* another word */
	if (!sane && (rc == 0 || to != from))
		abort();
	if (sane && rc == 0 && to != before->q_prod)
		abort();
	if (sane) {
		moved = ((2ULL << before->q_index_bits) + to - from) %
			(2ULL << before->q_index_bits);
		if (moved > pending)
			abort();
	}
	if (arg->size < 56 || rc == -E2BIG)
		return;
	if (arg->out_error && !(arg->out_error & NESTFD_ERR_VALID))
		abort();
	if (memcmp(arg, before, 44) || arg->__reserved != before->__reserved)
		abort();
}

static void ring_step(struct world *w, struct input *in)
{
	struct nestfd_hwpt_invalidate_ring *arg = (void *)(memory + ARG_AT);
	uint32_t *cons = (uint32_t *)(memory + CONS_AT);
	struct nestfd_hwpt_invalidate_ring before;
	uint32_t bits = input_u8(in) % 12; /* 2048 entries there are */
	uint32_t from;
	int rc;

	if (!w->read_only && input_u8(in) > 200)
		*cons = input_u32(in);
	if (!w->read_only && input_u8(in) < 240)
		*cons &= (2u << bits) - 1;
	from = *cons;
	fill(w, arg, from, bits, in);
	before = *arg;
	rc = call(w, NESTFD_HWPT_INVALIDATE_RING);
	judge(w, from, *cons, rc, &before);
}

/* The same entries as an array, with a code */
static void array_step(struct world *w, struct input *in)
{
	struct nestfd_hwpt_invalidate *arg = (void *)(memory + ARG_AT);
	uint32_t num = input_u32(in) & 0xfff;
	int rc;

	*arg = (struct nestfd_hwpt_invalidate){
		.size = sizeof(*arg),
		.hwpt_id = w->ids[input_u8(in) & 1],
		.data_uptr = base(w),
		.data_type = w->data_type,
		.entry_len = w->entry_len,
		.entry_num = num,
	};
	rc = call(w, IOMMU_HWPT_INVALIDATE);
	if (arg->entry_num > num || (!rc && arg->entry_num != num) ||
	    (!rc && arg->out_error))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = input_u8(&in);
	struct world w = { .foreign = how & 2 };
	struct scribbler s = { .seed = how };
	bool threaded = how & 4 && !w.foreign;
	pthread_t thread;

	if (!memory) {
		memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			abort();
	}
	start(&w, how & 1);
	set_memory(&w, &in);
	threaded = threaded && !(w.holes & 1);
	if (threaded)
		must(pthread_create(&thread, NULL, scribble, &s));
	for (int i = 0; i < STEPS && in.left; i++) {
		if (input_u8(&in) & 7)
			ring_step(&w, &in);
		else
			array_step(&w, &in);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	if (threaded)
		pthread_join(thread, NULL);
	nestfd_machine_destroy(w.machine);
	return 0;
}
