// SPDX-License-Identifier: MIT
/* The fake SMMUv3; see fake.h. */
#include "fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drv/smmuv3/unit.h"
#include "fake_time.h"

/* ---- memory ---- */

static int mem_alloc(void *ctx, size_t size, size_t align,
		     struct core_dma_mem *mem)
{
	struct fake *f = ctx;

	return fakemem_alloc(&f->mem, size, align, mem);
}

static void mem_free(void *ctx, struct core_dma_mem *mem)
{
	struct fake *f = ctx;

	fakemem_free(&f->mem, mem);
}

uint64_t fake_load(const struct fake *f, uint64_t pa)
{
	return *(const uint64_t *)fakemem_at(&f->mem, pa);
}

/* ---- the command queue ---- */

void fake_irq(struct fake *f, unsigned int line)
{
	if (f->handler[line])
		f->handler[line](f->handler_arg[line]);
}

static void cmdq_error(struct fake *f, uint32_t code)
{
	f->cmdq_cons = (f->cmdq_cons & 0xfffff) | code << 24;
	f->gerror ^= 1;
	if (f->irq_ctrl & 1)
		fake_irq(f, 3);
}

/* The error code of executing @dw, 0 for none */
static uint32_t execute(struct fake *f, const uint64_t dw[2])
{
	uint32_t op = dw[0] & 0xff;
	uint32_t sid = dw[0] >> 32;

	if (f->abort_times) {
		f->abort_times--;
		return 2;
	}
	if (f->spy)
		f->spy(f, dw);
	if (f->ill_dw0 && dw[0] == f->ill_dw0) {
		if (f->ill_times && !--f->ill_times)
			f->ill_dw0 = 0;
		return 1;
	}
	if (op == 0x46 && f->atc_outstanding) {
		f->atc_outstanding = false;
		return 3;
	}
	if (op == 0x40 && sid == f->mute_sid) {
		f->atc_outstanding = true;
		if (f->mute_times && !--f->mute_times)
			f->mute_sid = UINT32_MAX;
	}
	assert_true(f->log_n < FAKE_LOG);
	f->log[f->log_n][0] = dw[0];
	f->log[f->log_n++][1] = dw[1];
	return 0;
}

static void consume(struct fake *f)
{
	unsigned int lg2 = f->cmdq_base & 0x1f;
	uint32_t mask = (2u << lg2) - 1;

	while ((f->cr0 & 8) && !f->stuck && !((f->gerror ^ f->gerrorn) & 1) &&
	       (f->cmdq_cons & mask) != (f->cmdq_prod & mask)) {
		uint32_t at = f->cmdq_cons & (mask >> 1);
		uint64_t *cmd =
			fakemem_at(&f->mem, (f->cmdq_base & 0xffffffffffffe0) +
						    at * 16ULL);
		uint64_t dw[2] = { cmd[0], cmd[1] };
		uint32_t code = execute(f, dw);

		if (code) {
			cmdq_error(f, code);
			return;
		}
		f->cmdq_cons = (f->cmdq_cons + 1) & mask;
	}
}

/* ---- registers ---- */

static uint64_t reg_read(void *ctx, uint32_t offset, unsigned int size)
{
	struct fake *f = ctx;

	assert_int_equal(size, 4);
	if (offset < 0x18)
		return f->idr[offset / 4];
	switch (offset) {
	case 0x18:
		return f->iidr;
	case 0x1c:
		return f->aidr;
	case 0x24:
		return f->cr0ack;
	case 0x44:
		return f->gbpa;
	case 0x54:
		return f->irq_ctrl;
	case 0x60:
		return f->gerror;
	case 0x9c:
		f->cons_reads++;
		if (f->lazy_left && !--f->lazy_left)
			consume(f);
		return f->cmdq_cons;
	case 0x100a8:
		return f->evtq_prod;
	case 0x100c8:
		return f->priq_prod;
	}
	fail_msg("unexpected read of %#x", offset);
	return 0;
}

static void reg_write(void *ctx, uint32_t offset, unsigned int size,
		      uint64_t value)
{
	struct fake *f = ctx;
	bool wide = offset == 0x80 || offset == 0x90 || offset == 0xa0 ||
		    offset == 0x68 || offset == 0xb0 || offset == 0xc0 ||
		    offset == 0xd0;

	assert_int_equal(size, wide ? 8 : 4);
	switch (offset) {
	case 0x20:
		f->cr0 = (uint32_t)value;
		if (!f->deaf)
			f->cr0ack = f->cr0;
		break;
	case 0x28:
		assert_int_equal(f->cr0, 0);
		f->cr1 = (uint32_t)value;
		break;
	case 0x2c:
		assert_int_equal(f->cr0, 0);
		f->cr2 = (uint32_t)value;
		break;
	case 0x44:
		assert_true(value & 0x80000000);
		f->gbpa = (uint32_t)value & 0x7fffffff;
		break;
	case 0x50:
		f->irq_ctrl = (uint32_t)value;
		break;
	case 0x64:
		f->gerrorn = (uint32_t)value;
		consume(f);
		break;
	case 0x68:
	case 0xb0:
	case 0xd0:
		assert_int_equal(value, 0);
		break;
	case 0x80:
		f->strtab_base = value;
		break;
	case 0x88:
		f->strtab_cfg = (uint32_t)value;
		break;
	case 0x90:
		f->cmdq_base = value;
		break;
	case 0x98:
		f->cmdq_prod = (uint32_t)value;
		f->doorbells++;
		if (f->lazy)
			f->lazy_left = f->lazy;
		else
			consume(f);
		break;
	case 0x9c:
		assert_false(f->cr0 & 8);
		f->cmdq_cons = (uint32_t)value;
		break;
	case 0xa0:
		f->evtq_base = value;
		break;
	case 0x100a8:
		assert_false(f->cr0 & 4);
		f->evtq_prod = (uint32_t)value;
		break;
	case 0x100ac:
		f->evtq_cons = (uint32_t)value;
		if (f->cons_spy)
			f->cons_spy(f);
		break;
	case 0xc0:
		f->priq_base = value;
		break;
	case 0x100c8:
		assert_false(f->cr0 & 2);
		f->priq_prod = (uint32_t)value;
		break;
	case 0x100cc:
		f->priq_cons = (uint32_t)value;
		break;
	default:
		fail_msg("unexpected write of %#x", offset);
	}
}

static void irq_connect(void *ctx, unsigned int line,
			void (*handler)(void *arg), void *arg)
{
	struct fake *f = ctx;

	assert_true(line == 0 || line == 3 ||
		    (line == 1 && f->idr[0] & 1u << 16));
	f->handler[line] = handler;
	f->handler_arg[line] = arg;
}

const struct core_hwport_ops fake_ops = {
	.read = reg_read,
	.write = reg_write,
	.mem_alloc = mem_alloc,
	.mem_free = mem_free,
	.irq = irq_connect,
};

void fake_init(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	/* S2P S1P TTF=2 COHACC ATS ASID16 MSI VMID16 CD2L TTENDIAN=2
	 * STALL_MODEL=1 ST_LEVEL=1 */
	f->idr[0] = 1 | 1 << 1 | 2 << 2 | 1 << 4 | 1 << 10 | 1 << 12 | 1 << 13 |
		    1 << 18 | 1 << 19 | 2 << 21 | 1 << 24 | 1 << 27;
	/* SIDSIZE 16, SSIDSIZE 20, EVENTQS 19, CMDQS 19 */
	f->idr[1] = 16 | 20 << 6 | 19 << 16 | 19 << 21;
	f->idr[3] = 1 << 10;	/* RIL */
	f->idr[5] = 5 | 7 << 4; /* OAS 48; 4K 16K 64K */
	f->iidr = 0x43b;
	f->aidr = 2;
	f->gbpa = 0x1000;
	f->gerror = 0x5; /* left over, to be acknowledged */
	f->cmdq_prod = 0x55;
	fakemem_init(&f->mem, 1);
	f->mute_sid = UINT32_MAX;
	f->log = calloc(FAKE_LOG, sizeof(f->log[0]));
	assert_non_null(f->log);
}

void fake_fini(struct fake *f)
{
	fakemem_fini(&f->mem);
	free(f->log);
}

struct core_hwport fake_port(struct fake *f)
{
	return (struct core_hwport){ .ops = &fake_ops, .ctx = f };
}

void fake_clear_log(struct fake *f)
{
	f->log_n = 0;
	f->doorbells = 0;
}

uint64_t fake_ste(const struct fake *f, uint32_t sid, unsigned int i)
{
	uint64_t base = f->strtab_base & 0xffffffffffffc0;
	uint64_t l1;

	if ((f->strtab_cfg >> 16 & 3) == 1) {
		l1 = fake_load(f, base + (sid >> 8) * 8ULL);
		if (!(l1 & 0x1f))
			return UINT64_MAX;
		assert_int_equal(l1 & 0x1f, 9);
		base = l1 & 0xffffffffffffc0;
		sid &= 0xff;
	}
	return fake_load(f, base + sid * 64ULL + i * 8);
}

uint64_t fake_cd(const struct fake *f, uint32_t sid, uint32_t ssid,
		 unsigned int i)
{
	uint64_t ste0 = fake_ste(f, sid, 0);
	uint64_t table = ste0 & 0xffffffffffffc0;

	if (ste0 >> 4 & 3) {
		uint64_t l1 = fake_load(f, table + ssid / 64 * 8);

		if (!(l1 & 1))
			return UINT64_MAX;
		table = l1 & 0xfffffffffff000;
		ssid %= 64;
	}
	return fake_load(f, table + ssid * 64ULL + i * 8);
}

bool fake_walk(const struct fake *f, uint64_t ttb, unsigned int t0sz,
	       unsigned int start_level, uint64_t ia, uint64_t *pa)
{
	uint64_t table = ttb;

	for (unsigned int level = start_level;; level++) {
		unsigned int shift = 12 + (3 - level) * 9;
		unsigned int bits =
			level == start_level ? 64 - t0sz - shift : 9;
		uint64_t d = fake_load(
			f, table + (ia >> shift & ((1ULL << bits) - 1)) * 8);

		if (!(d & 1))
			return false;
		if (level == 3 || !(d & 2)) {
			*pa = (d & 0xfffffffff000 & ~((1ULL << shift) - 1)) |
			      (ia & ((1ULL << shift) - 1));
			return true;
		}
		table = d & 0xfffffffff000;
	}
}

void fake_event(struct fake *f, const uint64_t evt[4], bool irq)
{
	unsigned int lg2 = f->evtq_base & 0x1f;
	uint32_t mask = (2u << lg2) - 1;
	uint32_t at = f->evtq_prod & (mask >> 1);
	uint64_t *rec = fakemem_at(&f->mem, (f->evtq_base & 0xffffffffffffe0) +
						    at * 32ULL);

	memcpy(rec, evt, 32);
	f->evtq_prod = (f->evtq_prod & ~mask) | ((f->evtq_prod + 1) & mask);
	if (irq && (f->irq_ctrl & 4))
		fake_irq(f, 0);
}

/* ---- core ---- */

void fake_page_request(struct fake *f, uint64_t dw0, uint64_t dw1, bool irq)
{
	unsigned int lg2 = f->priq_base & 0x1f;
	uint32_t mask = (2u << lg2) - 1;
	uint32_t at = f->priq_prod & (mask >> 1);
	uint64_t *rec = fakemem_at(&f->mem, (f->priq_base & 0xffffffffffffe0) +
						    at * 16ULL);

	rec[0] = dw0;
	rec[1] = dw1;
	f->priq_prod = (f->priq_prod & ~mask) | ((f->priq_prod + 1) & mask);
	if (irq)
		fake_irq(f, 1);
}

struct fake_core_pages fake_core_pages;

int core_page_request(struct core_device *dev,
		      const struct core_page_request *request)
{
	fake_core_pages.dev = dev;
	fake_core_pages.last = *request;
	fake_core_pages.n++;
	if (fake_core_pages.rc && request->flags & 2)
		dev->iommu->ops->page_response(dev, request, 1);
	return fake_core_pages.rc;
}

void core_page_requests_lost(struct core_device *dev, uint32_t kind)
{
	(void)dev;
	if (fake_core_pages.n)
		assert_int_equal(kind, fake_core_pages.last.kind);
	fake_core_pages.lost++;
}

struct fake_core_event fake_core_event;
unsigned int fake_core_events;
unsigned int fake_core_lost;

int core_viommu_event(struct core_viommu *viommu, uint32_t type,
		      const void *record, size_t size)
{
	fake_core_event.viommu = viommu;
	fake_core_event.type = type;
	if (!record) {
		fake_core_lost++;
		return 0;
	}
	fake_core_event.size = size;
	assert_int_equal(size, 32);
	memcpy(fake_core_event.evt, record, 32);
	fake_core_events++;
	return 0;
}

/* An entry whose doubleword 1 is all ones stands for unreadable memory. */
int core_inval_copy(const struct core_inval *inv, uint32_t start, uint32_t n,
		    void *dst, size_t size, uint32_t *copied)
{
	const char *src = (const char *)(uintptr_t)inv->uptr;

	for (uint32_t i = 0; i < n; i++) {
		size_t take = inv->stride < size ? inv->stride : size;
		char *to = (char *)dst + i * size;
		uint64_t dw1;

		*copied = i;
		memset(to, 0, size);
		memcpy(to, src + (size_t)(start + i) * inv->stride, take);
		memcpy(&dw1, to + 8, 8);
		if (dw1 == UINT64_MAX)
			return -EFAULT;
	}
	*copied = n;
	return 0;
}

/* ---- the rig ---- */

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	fake_init(&r->hw);
	r->cfg.timeout_ms = 50;
	r->cfg.msi_first = SMMUV3_DRV_MSI_FIRST;
	r->cfg.msi_last = SMMUV3_DRV_MSI_LAST;
}

void rig_start_devices(struct rig *r)
{
	struct core_hwport port = fake_port(&r->hw);

	assert_int_equal(smmuv3_drv_create(&r->cfg, &port, &r->iommu), 0);
	fake_time(&to_unit(r->iommu)->devs);
	for (int i = 0; i < 3; i++) {
		r->dev[i].iommu = r->iommu;
		r->dev[i].stream_id = 0x100 + i;
		r->dev[i].ats = i > 0;
		r->dev[i].pasid_bits = i == 2 ? 8 : 0;
		assert_int_equal(r->iommu->ops->device_add(&r->dev[i]), 0);
	}
	fake_clear_log(&r->hw);
	fake_core_events = 0;
	fake_core_lost = 0;
	fake_core_pages = (struct fake_core_pages){ .rc = -19 };
}

void rig_start(struct rig *r)
{
	rig_init(r);
	rig_start_devices(r);
}

void rig_stop(struct rig *r)
{
	parts_destroy(r->iommu, r->dev, 3);
	fake_fini(&r->hw);
}

struct core_domain *rig_domain(struct rig *r, uint32_t flags)
{
	return parts_domain(&r->dev[0], flags);
}

struct core_viommu *rig_viommu(struct rig *r, struct core_domain *parent)
{
	struct core_viommu *v = NULL;

	assert_int_equal(
		r->iommu->ops->viommu_alloc(&r->dev[0], parent, 1, NULL, &v),
		0);
	return v;
}

int rig_nested(struct core_viommu *v, uint64_t ste0, uint64_t ste1,
	       struct core_domain **n)
{
	uint64_t ste[2] = { ste0, ste1 };
	struct core_user_data data = { .type = 2,
				       .len = 16,
				       .uptr = (uintptr_t)ste };

	return v->ops->nested_alloc(v, 0, &data, n);
}

void rig_vdev(struct core_viommu *v, struct core_vdevice *vdev,
	      struct core_device *dev, uint64_t virt_id)
{
	vdev->viommu = v;
	vdev->dev = dev;
	vdev->virt_id = virt_id;
	assert_int_equal(v->ops->vdevice_add(v, vdev), 0);
}

int rig_inval(struct core_viommu *v, const uint64_t (*cmds)[2], uint32_t n,
	      struct core_inval *inv)
{
	*inv = (struct core_inval){ .uptr = (uintptr_t)cmds,
				    .type = 1,
				    .stride = 16,
				    .count = n,
				    .done = 77 };
	return v->ops->invalidate(v, inv);
}
