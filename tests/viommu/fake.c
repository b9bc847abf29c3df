// SPDX-License-Identifier: MIT
/* See fake.h. */
#include "fake.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "nestfd/ext.h"

#define EVENT_FD 1000
#define FAULT_FD 1001

static bool is_bad(const struct fake *fake, const uint64_t cmd[2])
{
	return fake->fail && fake->fail_times && cmd[0] == fake->bad[0] &&
	       cmd[1] == fake->bad[1];
}

static void issue(struct fake *fake, const uint64_t (*cmd)[2], uint32_t n)
{
	memcpy(fake->issued[fake->nissued], cmd, (size_t)n * 16);
	fake->nissued += (int)n;
}

/*
 * Linux, when the hardware does not complete a piece of 63 commands in time:
 * it was issued, the pieces in front of it are complete, and entry_num is its
 * last command.
 */
static int linux_times_out(struct fake *fake, const uint64_t (*cmd)[2],
			   uint32_t bad, struct iommu_hwpt_invalidate *arg)
{
	uint32_t end = (bad / 63 + 1) * 63;

	if (end > arg->entry_num)
		end = arg->entry_num;
	issue(fake, cmd, end);
	arg->entry_num = end - 1;
	return -ETIMEDOUT;
}

static uint32_t bad_code(const struct fake *fake)
{
	if (fake->bad_code)
		return 0x80000000 | fake->bad_code;
	return fake->bad_errno == -ETIMEDOUT ? 0x80000003 : 0x80000001;
}

static int run_array(struct fake *fake, struct iommu_hwpt_invalidate *arg)
{
	struct inval_call *call = &fake->calls[fake->ncalls++ % MAX_CALLS];
	const uint64_t(*cmd)[2] = (const void *)(uintptr_t)arg->data_uptr;
	uint32_t i;

	call->count = arg->entry_num;
	memcpy(call->cmd, cmd, (size_t)arg->entry_num * 16);
	for (i = 0; i < arg->entry_num; i++) {
		if (!is_bad(fake, cmd[i]))
			continue;
		if (fake->fail_times > 0)
			fake->fail_times--;
		if (fake->like_linux && fake->bad_errno == -ETIMEDOUT)
			return linux_times_out(fake, cmd, i, arg);
		if (!fake->like_linux)
			issue(fake, cmd, i);
		arg->entry_num = i;
		return fake->bad_errno;
	}
	issue(fake, cmd, arg->entry_num);
	return 0;
}

/* 32 bytes as on Linux, 40 with error codes on: then they must come as 0. */
static int invalidate(struct fake *fake, struct nestfd_hwpt_invalidate *arg)
{
	bool codes = fake->ext_on & NESTFD_EXT_ERRORS;
	int rc;

	if (arg->size != (codes ? 40 : 32))
		return -EINVAL;
	if (codes && (arg->out_error || arg->out_error_info))
		return -E2BIG;
	rc = run_array(fake, (struct iommu_hwpt_invalidate *)arg);
	if (fake->on_array)
		fake->on_array(fake);
	if (codes && rc && rc != -ENOMEM) {
		arg->out_error = bad_code(fake);
		arg->out_error_info = 0x10;
	}
	return rc;
}

enum verdict { DONE, VMM, REFUSED, TIMED_OUT };

/* What a driver does with one command of a native queue. */
static enum verdict judge(struct fake *fake, const uint64_t cmd[2])
{
	if (is_bad(fake, cmd)) {
		if (fake->fail_times > 0)
			fake->fail_times--;
		return fake->bad_errno == -ETIMEDOUT ? TIMED_OUT : REFUSED;
	}
	switch (cmd[0] & 0xff) {
	case 0x05: /* CFGI_CD, CFGI_CD_ALL, ATC_INV: of a known vSID */
	case 0x06:
	case 0x40:
		if (cmd[0] >> 32 != 0x10)
			return VMM;
		if ((cmd[0] & 0xff) == 0x40 && !(fake->idr[0] & 1u << 10))
			return VMM;
		break;
	case 0x10: /* TLBI_NH_ALL, ASID, VA, VAA, NSNH_ALL */
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x30:
		if (fake->refuse_tlbi)
			return VMM;
		break;
	case 0x46:
		return (cmd[0] >> 12 & 3) == 1 ? VMM : DONE;
	default:
		return VMM;
	}
	issue(fake, (const uint64_t(*)[2])cmd, 1);
	return DONE;
}

struct ring_run {
	uint32_t timed_out_at;
	bool timed_out;
};

/* Consumes as nestfd/ext.h says; *cons moves past what is complete. */
static int run_ring(struct fake *fake, struct nestfd_hwpt_invalidate_ring *arg,
		    uint32_t *cons, struct ring_run *run)
{
	const uint64_t *queue = (const uint64_t *)(uintptr_t)arg->q_uptr;
	uint32_t mask = (2u << arg->q_index_bits) - 1;

	for (; *cons != arg->q_prod; *cons = (*cons + 1) & mask) {
		const uint64_t *at =
			queue + 2 * (*cons & (arg->q_entry_num - 1));
		uint64_t cmd[2] = { __atomic_load_n(at, __ATOMIC_RELAXED),
				    __atomic_load_n(at + 1, __ATOMIC_RELAXED) };

		if ((cmd[0] & 0xff) == 0x46 && run->timed_out)
			return -ETIMEDOUT;
		switch (judge(fake, cmd)) {
		case DONE:
			break;
		case TIMED_OUT:
			if (!run->timed_out)
				run->timed_out_at = *cons;
			run->timed_out = true;
			break;
		case VMM:
			arg->out_error = 0x80000100;
			arg->out_error_info = cmd[0] & 0xff;
			return run->timed_out ? -ETIMEDOUT : -EOPNOTSUPP;
		case REFUSED:
			arg->out_error = bad_code(fake);
			return run->timed_out ? -ETIMEDOUT : fake->bad_errno;
		}
	}
	return run->timed_out ? -ETIMEDOUT : 0;
}

static int ring(struct fake *fake, struct nestfd_hwpt_invalidate_ring *arg)
{
	struct ring_call *call = &fake->rings[fake->nrings++ % MAX_CALLS];
	uint32_t *q_cons = (uint32_t *)(uintptr_t)arg->q_cons_uptr;
	struct ring_run run = { 0 };
	uint32_t cons = *q_cons;
	int rc;

	if (!(fake->ext_on & NESTFD_EXT_RING))
		return -ENOTTY;
	if (arg->size != sizeof(*arg) || arg->q_entry_len != 16 ||
	    arg->q_entry_num != 1u << arg->q_index_bits || arg->out_error ||
	    arg->out_error_info)
		return -EINVAL;
	*call = (struct ring_call){ cons, arg->q_prod, 0, arg->q_index_bits,
				    (const void *)(uintptr_t)arg->q_uptr };
	if (fake->before_ring)
		fake->before_ring(fake);
	rc = fake->ring_fails;
	fake->ring_fails = 0;
	if (rc)
		return rc;
	rc = run_ring(fake, arg, &cons, &run);
	if (run.timed_out) {
		arg->out_error = 0x80000003;
		arg->out_error_info = run.timed_out_at;
	}
	call->done = (cons - call->cons) & ((2u << arg->q_index_bits) - 1);
	if (fake->on_ring)
		fake->on_ring(fake);
	if (fake->ring_lies)
		cons = fake->ring_lie;
	__atomic_store_n(q_cons, cons, __ATOMIC_RELEASE);
	return rc;
}

static int ext_enable(struct fake *fake, struct nestfd_ext_enable *arg)
{
	uint64_t wanted = arg->features;

	if (!fake->ext)
		return -ENOTTY;
	arg->features = fake->ext;
	if (wanted & ~fake->ext)
		return -EOPNOTSUPP;
	fake->ext_on |= wanted;
	return 0;
}

static int hwpt_alloc(struct fake *fake, struct iommu_hwpt_alloc *arg)
{
	const struct iommu_hwpt_arm_smmuv3 *data =
		(const void *)(uintptr_t)arg->data_uptr;

	if (fake->on_hwpt)
		fake->on_hwpt(fake);
	if (fake->fail_hwpt) {
		int rc = fake->fail_hwpt;

		fake->fail_hwpt = 0;
		return rc;
	}
	fake->hwpt_ste[fake->nhwpt % MAX_CALLS][0] = data->ste[0];
	fake->hwpt_ste[fake->nhwpt % MAX_CALLS][1] = data->ste[1];
	fake->hwpt_id[fake->nhwpt++ % MAX_CALLS] = fake->next_id;
	arg->out_hwpt_id = fake->next_id++;
	return 0;
}

static int hw_info(struct fake *fake, struct iommu_hw_info *arg)
{
	struct iommu_hw_info_arm_smmuv3 hw = { 0 };

	memcpy(hw.idr, fake->idr, sizeof(hw.idr));
	hw.aidr = 2;
	memcpy((void *)(uintptr_t)arg->data_uptr, &hw, sizeof(hw));
	arg->out_data_type = 2;
	return 0;
}

static int fake_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	struct fake *fake = ctx;

	switch (cmd) {
	case IOMMU_GET_HW_INFO:
		return hw_info(fake, arg);
	case IOMMU_IOAS_ALLOC:
	case IOMMU_IOAS_IOVA_RANGES:
		return 0;
	case IOMMU_VIOMMU_ALLOC:
		((struct iommu_viommu_alloc *)arg)->out_viommu_id =
			fake->next_id++;
		return 0;
	case IOMMU_VDEVICE_ALLOC:
		fake->vsid[fake->nvdevice++ % MAX_CALLS] =
			((struct iommu_vdevice_alloc *)arg)->virt_id;
		((struct iommu_vdevice_alloc *)arg)->out_vdevice_id =
			fake->next_id++;
		return 0;
	case IOMMU_VEVENTQ_ALLOC:
		((struct iommu_veventq_alloc *)arg)->out_veventq_id =
			fake->next_id++;
		((struct iommu_veventq_alloc *)arg)->out_veventq_fd = EVENT_FD;
		return 0;
	case IOMMU_FAULT_QUEUE_ALLOC:
		((struct iommu_fault_alloc *)arg)->out_fault_id =
			fake->next_id++;
		((struct iommu_fault_alloc *)arg)->out_fault_fd = FAULT_FD;
		return 0;
	case IOMMU_HWPT_ALLOC:
		return hwpt_alloc(fake, arg);
	case IOMMU_HWPT_INVALIDATE:
		return invalidate(fake, arg);
	case IOMMU_DESTROY:
		fake->destroyed[fake->ndestroyed++ % MAX_CALLS] =
			((struct iommu_destroy *)arg)->id;
		return 0;
	case NESTFD_EXT_ENABLE:
		return ext_enable(fake, arg);
	case NESTFD_HWPT_INVALIDATE_RING:
		return ring(fake, arg);
	default:
		return -ENOTTY;
	}
}

static ssize_t fake_read(void *ctx, int fd, void *buf, size_t len)
{
	struct fake *fake = ctx;
	size_t n = fake->event_bytes < len ? fake->event_bytes : len;

	if (fd == FAULT_FD) {
		n = fake->fault_bytes < len ? fake->fault_bytes : len;
		memcpy(buf, fake->faults, n);
		fake->fault_bytes = 0;
		return (ssize_t)n;
	}
	memcpy(buf, fake->events, n);
	if (!fake->events_without_end)
		fake->event_bytes = 0;
	return (ssize_t)n;
}

static ssize_t fake_write(void *ctx, int fd, const void *buf, size_t len)
{
	struct fake *fake = ctx;

	(void)buf;
	if (fd != FAULT_FD)
		return -EBADF;
	fake->nanswers++;
	return (ssize_t)len;
}

static int fake_close(void *ctx, int fd)
{
	(void)ctx;
	return fd == EVENT_FD || fd == FAULT_FD ? 0 : -EBADF;
}

static bool in_memory(const struct fake *fake, uint64_t gpa, size_t len)
{
	if (gpa >= GUEST_MEM || len > GUEST_MEM - gpa)
		return false;
	return gpa >= fake->hole_end || gpa + len <= fake->hole_start;
}

static void accessed(struct fake *fake, enum access access, uint64_t gpa,
		     size_t len)
{
	if (fake->on_access)
		fake->on_access(fake, access, gpa, len);
}

/* Words one by one: a guest's thread may be writing them. */
static int mem_read(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct fake *fake = ctx;
	uint64_t word;

	if (!in_memory(fake, gpa, len))
		return -EFAULT;
	for (size_t i = 0; i < len; i += 8) {
		word = __atomic_load_n((uint64_t *)(fake->mem + gpa + i),
				       __ATOMIC_RELAXED);
		memcpy((char *)buf + i, &word, 8);
	}
	accessed(fake, ACCESS_READ, gpa, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t gpa, const void *buf, size_t len)
{
	struct fake *fake = ctx;

	if (!in_memory(fake, gpa, len))
		return -EFAULT;
	memcpy(fake->mem + gpa, buf, len);
	accessed(fake, ACCESS_WRITE, gpa, len);
	return 0;
}

static void irq(void *ctx, unsigned int line)
{
	struct fake *fake = ctx;

	fake->irqs[line]++;
	if (fake->on_irq)
		fake->on_irq(fake, line);
}

static void *mem_map(void *ctx, uint64_t gpa, size_t len)
{
	struct fake *fake = ctx;

	fake->nmaps++;
	accessed(fake, ACCESS_MAP, gpa, len);
	if (fake->unmapped || !in_memory(fake, gpa, len))
		return NULL;
	return fake->mem + gpa;
}

int fake_attach(void *ctx, uint32_t pt_id)
{
	struct fake *fake = ctx;

	fake->attached = pt_id;
	fake->nattach++;
	return 0;
}

void fake_config(struct fake *fake, struct nestfd_viommu_config *config)
{
	memset(fake, 0, sizeof(*fake));
	/* S1P S2P AArch64 COHACC ATS ASID16 MSI VMID16 CD2L LE ST_LEVEL 1 */
	fake->idr[0] = 0x084c341b | 1u << 10;
	fake->idr[1] =
		0x02730510; /* CMDQS EVENTQS 19, SSIDSIZE 20, SIDSIZE 16 */
	fake->idr[3] = 0x00000404; /* RIL, HAD */
	fake->idr[5] = 0x00000075; /* 48 bits, all granules */
	fake->next_id = 100;
	*config = (struct nestfd_viommu_config){
		.size = sizeof(*config),
		.backend = {
			.ctx = fake,
			.ioctl = fake_ioctl,
			.read = fake_read,
			.close = fake_close,
			.exact = true,
			.write = fake_write,
		},
		.guest = {
			.ctx = fake,
			.read = mem_read,
			.write = mem_write,
			.irq = irq,
			.map = mem_map,
		},
		.dev_id = 7,
		.parent_hwpt = 9,
	};
}

void fake_start(struct fake *fake, const struct nestfd_viommu_config *config)
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10,
		.dev_id = 7,
		.attach = fake_attach,
		.ctx = fake,
	};

	assert_int_equal(nestfd_viommu_smmuv3_create(config, &fake->viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
}

/* Command 0 and 1: CFGI_STE of 0x10, CMD_SYNC. STE.Config stage 1. */
struct fake *way_start(enum way way)
{
	struct fake *fake = test_malloc(sizeof(*fake));
	struct nestfd_viommu_config config;

	fake_config(fake, &config);
	config.backend.exact = way == WAY_EXACT;
	config.queue = NESTFD_QUEUE_ARRAY;
	if (way >= WAY_RING)
		config.queue =
			way == WAY_RING ? NESTFD_QUEUE_RING : NESTFD_QUEUE_AUTO;
	fake->ext = way == WAY_EXACT ? 0 : 3;
	fake_start(fake, &config);
	guest_boot(fake, fake->viommu);
	guest_ste(fake, 0x10, 0x4000b, 0xd6);
	guest_put(fake, 0x0000001000000003ULL, 1);
	guest_put(fake, 0x46, 0);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, 0x9c), 2);
	fake->ncalls = 0;
	fake->nrings = 0;
	fake->nissued = 0;
	return fake;
}

void way_end(struct fake *fake)
{
	nestfd_viommu_destroy(fake->viommu);
	test_free(fake);
}

uint32_t fake_reg(struct fake *fake, uint32_t offset)
{
	return (uint32_t)nestfd_viommu_read(fake->viommu, offset, 4);
}

void guest_acknowledge(struct fake *fake)
{
	nestfd_viommu_write(fake->viommu, 0x64, 4, fake_reg(fake, 0x60));
}

void guest_boot(struct fake *fake, struct nestfd_viommu *viommu)
{
	nestfd_viommu_write(viommu, 0x80, 8, STRTAB_ADDR);
	nestfd_viommu_write(viommu, 0x88, 4, 6); /* linear, 2^6 */
	nestfd_viommu_write(viommu, 0x90, 8, CMDQ_ADDR | 8);
	nestfd_viommu_write(viommu, 0x98, 4, 0);
	nestfd_viommu_write(viommu, 0x9c, 4, 0);
	nestfd_viommu_write(viommu, 0xa0, 8, EVENTQ_ADDR | 4);
	nestfd_viommu_write(viommu, 0x100a8, 4, 0);
	nestfd_viommu_write(viommu, 0x100ac, 4, 0);
	nestfd_viommu_write(viommu, 0x50, 4, 5); /* GERROR, EVENTQ interrupts */
	nestfd_viommu_write(viommu, 0x20, 4, 0xd); /* SMMUEN EVENTQEN CMDQEN */
	fake->cmdq_prod = 0;
}

void guest_ste(struct fake *fake, uint32_t sid, uint64_t dw0, uint64_t dw1)
{
	uint64_t ste[8] = { dw0, dw1 };

	memcpy(fake->mem + STRTAB_ADDR + sid * 64, ste, sizeof(ste));
}

void guest_overwrite(struct fake *fake, uint32_t index, uint64_t dw0,
		     uint64_t dw1)
{
	uint64_t *at =
		(uint64_t *)(fake->mem + CMDQ_ADDR + (index & 0xff) * 16);

	__atomic_store_n(at, dw0, __ATOMIC_RELAXED);
	__atomic_store_n(at + 1, dw1, __ATOMIC_RELAXED);
}

void guest_put(struct fake *fake, uint64_t dw0, uint64_t dw1)
{
	guest_overwrite(fake, fake->cmdq_prod, dw0, dw1);
	fake->cmdq_prod = (fake->cmdq_prod + 1) & 0x1ff;
}

void guest_doorbell(struct fake *fake, struct nestfd_viommu *viommu)
{
	nestfd_viommu_write(viommu, 0x98, 4, fake->cmdq_prod);
}

uint64_t guest_word(const struct fake *fake, uint32_t addr)
{
	uint64_t word;

	memcpy(&word, fake->mem + addr, sizeof(word));
	return word;
}
