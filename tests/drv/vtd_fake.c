// SPDX-License-Identifier: MIT
/* See vtd_fake.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drv/vtd/unit.h"
#include "fake_time.h"
#include "vtd_fake.h"

/* ---- memory ---- */

static int fake_alloc(void *ctx, size_t size, size_t align,
		      struct core_dma_mem *mem)
{
	struct vfake *f = ctx;

	return fakemem_alloc(&f->mem, size, align, mem);
}

static void fake_free(void *ctx, struct core_dma_mem *mem)
{
	struct vfake *f = ctx;

	fakemem_free(&f->mem, mem);
}

static void *at(const struct vfake *f, uint64_t pa)
{
	return fakemem_at(&f->mem, pa);
}

uint64_t vfake_load(const struct vfake *f, uint64_t pa)
{
	return __atomic_load_n((uint64_t *)at(f, pa), __ATOMIC_ACQUIRE);
}

void vfake_set_bits(const struct vfake *f, uint64_t pa, uint64_t bits)
{
	__atomic_or_fetch((uint64_t *)at(f, pa), bits, __ATOMIC_RELAXED);
}

/* ---- the queue ---- */

static void event(struct vfake *f)
{
	if (!(f->ectl[0] & 0x80000000u) && f->handler[0])
		f->handler[0](f->handler_arg[0]);
}

static bool is_wide(const struct vfake *f)
{
	return f->iqa & 0x800;
}

static void stop(struct vfake *f, uint32_t bit)
{
	f->fsts |= bit;
	event(f);
}

static void iqe(struct vfake *f, uint64_t why)
{
	f->iqercd = (f->iqercd & ~0xfULL) | why;
	stop(f, 0x10);
}

static void fetch(const struct vfake *f, uint64_t dw[4])
{
	uint64_t pa = (f->iqa & ~0xfffULL) + f->iqh;

	memset(dw, 0, 32);
	for (unsigned int i = 0; i < (is_wide(f) ? 4u : 2u); i++)
		dw[i] = vfake_load(f, pa + 8 * i);
}

static uint32_t asked(const uint64_t dw[4])
{
	if ((dw[0] & 0xf) == 3)
		return (uint32_t)(dw[0] >> 32) & 0xffff;
	return (uint32_t)(dw[0] >> 16) & 0xffff;
}

static void ask(struct vfake *f, const uint64_t dw[4])
{
	uint32_t sid = asked(dw);

	if (f->ice_sid && sid == f->ice_sid &&
	    (!f->ice_dw1 || f->ice_dw1 == dw[1])) {
		f->iqercd = (f->iqercd & ~(0xffffULL << 48)) | (uint64_t)sid
								       << 48;
		stop(f, 0x20);
	}
	if (!f->mute_sid || sid != f->mute_sid ||
	    (f->mute_dw1 && f->mute_dw1 != dw[1]))
		return;
	f->outstanding = true;
	if (f->mute_times && !--f->mute_times)
		f->mute_sid = 0;
	f->iqercd &= ~(0xffffULL << 32);
	if (!f->mute_silent)
		f->iqercd |= (uint64_t)sid << 32;
}

static uint64_t step(const struct vfake *f)
{
	return is_wide(f) ? 32 : 16;
}

static void move_head(struct vfake *f)
{
	uint64_t bytes = 4096ULL << (f->iqa & 7);

	f->iqh = (f->iqh + step(f)) % bytes;
}

/* False: it does not complete. */
static bool execute(struct vfake *f, const uint64_t dw[4])
{
	switch (dw[0] & 0xe0f) {
	case 3:
	case 8:
		ask(f, dw);
		return true;
	case 5:
		if (f->outstanding) {
			f->outstanding = false;
			stop(f, 0x40);
			return false;
		}
		if (dw[0] & 0x20)
			__atomic_store_n((uint32_t *)at(f, dw[1]),
					 (uint32_t)(dw[0] >> 32),
					 __ATOMIC_RELEASE);
		return true;
	default:
		return true;
	}
}

/* Table 26: what there is in each mode */
static bool is_type(const struct vfake *f, const uint64_t dw[4])
{
	uint64_t type = dw[0] & 0xe0f;
	bool scalable = ((f->rtaddr_set >> 10) & 3) == 1;

	return type && type <= (scalable ? 9u : 5u);
}

static void run(struct vfake *f)
{
	uint64_t dw[4];

	while ((f->gsts & 1u << 26) && f->iqh != f->iqt && !f->stuck &&
	       !(f->fsts & 0x50)) {
		if (f->abort_times) {
			f->abort_times--;
			iqe(f, 2);
			return;
		}
		fetch(f, dw);
		if (!is_type(f, dw) || (f->ill_dw0 && dw[0] == f->ill_dw0)) {
			iqe(f, 3);
			return;
		}
		if (f->spy)
			f->spy(f, dw);
		if (f->log_n < VFAKE_LOG)
			memcpy(f->log[f->log_n++], dw, 32);
		if (execute(f, dw) || f->ahead)
			move_head(f);
	}
}

/* ---- registers ---- */

static void write_gcmd(struct vfake *f, uint32_t value)
{
	uint32_t stay = value & 0x87800000u;

	if (f->gcmds_n < 64)
		f->gcmds[f->gcmds_n++] = value;
	if (f->deaf)
		return;
	if (value & 0x40000000u) {
		f->rtaddr_set = f->rtaddr;
		stay |= 0x40000000u;
	}
	stay |= f->gsts & 0x40000000u;
	if (!(stay & 1u << 26)) {
		f->iqh = 0;
		f->fsts |= f->late_ite ? 0x40 : 0;
		f->outstanding |= f->stays_out;
	}
	f->gsts = stay;
	run(f);
}

static void write_fsts(struct vfake *f, uint32_t value)
{
	f->fsts &= ~(value & 0x71u);
	run(f);
}

/*
 * 11.4.6: done at once. What was done, from bit @actual on, is what was asked
 * for, from bit @requested on, or 0: with the queue on, in another mode than
 * legacy, and from version 6 on that is an error.
 */
static uint64_t by_register(struct vfake *f, uint64_t value,
			    unsigned int requested, unsigned int actual)
{
	bool obeyed = !(f->gsts & 1u << 26) && !(f->rtaddr_set & 0xc00) &&
		      f->ver >> 4 < 6 && !f->no_registers;

	f->register_invalidations += obeyed;
	value &= ~(1ULL << 63 | 3ULL << actual);
	return value | (obeyed ? (value >> requested & 3) << actual : 0);
}

static uint64_t fake_read(void *ctx, uint32_t offset, unsigned int size)
{
	struct vfake *f = ctx;
	unsigned int ppf;

	assert_true(size == 4 || size == 8);
	switch (offset) {
	case 0x00:
		return f->ver;
	case 0x08:
		return f->cap;
	case 0x10:
		return f->ecap;
	case 0x1c:
		return f->gsts;
	case 0x28:
		return f->ccmd;
	case 0x2c:
		return f->ccmd >> 32;
	case 0x508:
		return f->iotlb;
	case 0x50c:
		return f->iotlb >> 32;
	case 0x34:
		ppf = f->frcd[0][1] >> 63 || f->frcd[1][1] >> 63 ? 2 : 0;
		return f->fsts | ppf |
		       (f->frcd[0][1] >> 63 ? 0 : 1u << 8 & -(ppf / 2));
	case 0x80:
		return f->iqh;
	case 0xb0:
		return f->iqercd;
	case 0xc0:
		return f->pqh;
	case 0xc8:
		return f->pqt;
	case 0xdc:
		return f->prs;
	case 0x200:
	case 0x208:
	case 0x210:
	case 0x218:
		return f->frcd[(offset >> 4) & 1][(offset >> 3) & 1];
	}
	return 0;
}

static void fake_write(void *ctx, uint32_t offset, unsigned int size,
		       uint64_t value)
{
	struct vfake *f = ctx;

	assert_true(size == 4 || size == 8);
	if (offset >= 0x38 && offset < 0x48)
		f->ectl[(offset - 0x38) / 4] = (uint32_t)value;
	else if (offset >= 0xa0 && offset < 0xb0)
		f->ectl[4 + (offset - 0xa0) / 4] = (uint32_t)value;
	else if (offset >= 0xe0 && offset < 0xf0)
		f->ectl[8 + (offset - 0xe0) / 4] = (uint32_t)value;
	switch (offset) {
	case 0x18:
		write_gcmd(f, (uint32_t)value);
		break;
	case 0x20:
		f->rtaddr = value;
		break;
	case 0x28:
		f->ccmd = by_register(f, value, 61, 59);
		break;
	case 0x508:
		f->iotlb = by_register(f, value, 60, 57);
		break;
	case 0x34:
		write_fsts(f, (uint32_t)value);
		break;
	case 0x88:
		f->iqt = value;
		f->doorbells++;
		run(f);
		break;
	case 0x90:
		f->iqa = value;
		break;
	case 0xc0:
		f->pqh = value;
		if (f->room_spy)
			f->room_spy(f, offset);
		break;
	case 0xc8:
		f->pqt = value;
		break;
	case 0xd0:
		f->pqa = value;
		break;
	case 0xdc:
		f->pro_early += (value & f->prs & 2) && f->pqh != f->pqt;
		f->prs &= ~(uint32_t)(value & 3);
		break;
	case 0x208:
	case 0x218:
		f->frcd[(offset >> 4) & 1][1] &= ~(value & 1ULL << 63);
		if (f->room_spy)
			f->room_spy(f, offset);
		break;
	}
}

static void fake_irq_connect(void *ctx, unsigned int line,
			     void (*handler)(void *arg), void *arg)
{
	struct vfake *f = ctx;

	assert_true(line < 3);
	f->handler[line] = handler;
	f->handler_arg[line] = arg;
}

const struct core_hwport_ops vfake_ops = {
	fake_read, fake_write, fake_alloc, fake_free, fake_irq_connect,
};

struct core_hwport vfake_port(struct vfake *f)
{
	return (struct core_hwport){ .ops = &vfake_ops, .ctx = f };
}

void vfake_init(struct vfake *f)
{
	memset(f, 0, sizeof(*f));
	f->cap = VFAKE_CAP;
	f->ecap = VFAKE_ECAP;
	f->ver = 0x50;
	fakemem_init(&f->mem, 4096);
	f->log = calloc(VFAKE_LOG, sizeof(*f->log));
	assert_non_null(f->log);
}

void vfake_fini(struct vfake *f)
{
	fakemem_fini(&f->mem);
	free(f->log);
}

void vfake_clear_log(struct vfake *f)
{
	f->log_n = 0;
	f->doorbells = 0;
}

void vfake_fault(struct vfake *f, unsigned int i, uint64_t dw0, uint64_t dw1)
{
	f->frcd[i][0] = dw0;
	f->frcd[i][1] = dw1 | 1ULL << 63;
	event(f);
}

bool vfake_page_request(struct vfake *f, uint64_t dw0, uint64_t dw1)
{
	uint64_t bytes = 4096ULL << (f->pqa & 7);
	uint64_t next = (f->pqt + 32) % bytes;
	bool room = next != f->pqh && !(f->prs & 2);

	if (room) {
		uint64_t *rec = at(f, (f->pqa & ~0xfffULL) + f->pqt);

		rec[0] = dw0;
		rec[1] = dw1;
		rec[2] = rec[3] = 0;
		f->pqt = next;
	}
	f->prs |= room ? 1 : 2;
	if (!(f->ectl[8] & 0x80000000u) && f->handler[2])
		f->handler[2](f->handler_arg[2]);
	return room;
}

/* ---- tables, as hardware walks them ---- */

static uint64_t context_pa(const struct vfake *f, uint32_t sid)
{
	uint64_t root = f->rtaddr_set & ~0xfffULL;
	uint32_t devfn = sid & 0xff;
	uint64_t half =
		vfake_load(f, root + (sid >> 8) * 16 + (devfn >= 128 ? 8 : 0));

	if (!(half & 1))
		return UINT64_MAX;
	return (half & ~0xfffULL) + (devfn & 127) * 32;
}

uint64_t vfake_context(const struct vfake *f, uint32_t sid, unsigned int i)
{
	uint64_t pa = context_pa(f, sid);

	return pa == UINT64_MAX ? pa : vfake_load(f, pa + 8 * i);
}

uint64_t vfake_entry(const struct vfake *f, uint32_t sid, uint32_t pasid,
		     unsigned int i)
{
	uint64_t dir = vfake_context(f, sid, 0);
	uint64_t table;

	if (dir == UINT64_MAX || !(dir & 1))
		return UINT64_MAX;
	/* 2^(PDTS + 7) entries, each for 64 PASIDs */
	assert_true(pasid >> 6 < 1u << (7 + ((dir >> 9) & 7)));
	table = vfake_load(f, (dir & ~0xfffULL) + (pasid >> 6) * 8);
	if (!(table & 1))
		return UINT64_MAX;
	return vfake_load(f, (table & ~0xfffULL) + (pasid & 63) * 64 + 8 * i);
}

bool vfake_walk(const struct vfake *f, uint64_t root, unsigned int levels,
		uint64_t iova, uint64_t *pa, uint64_t *entry)
{
	uint64_t table = root;

	for (unsigned int level = levels; level; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		uint64_t e = vfake_load(f, table + ((iova >> shift) & 511) * 8);

		if (!(e & 3))
			return false;
		if (level == 1 || (e & 0x80)) {
			uint64_t low = (1ULL << shift) - 1;

			*pa = (e & 0xffffffffff000ULL & ~low) | (iova & low);
			if (entry)
				*entry = table + ((iova >> shift) & 511) * 8;
			return true;
		}
		table = e & 0xffffffffff000ULL;
	}
	return false;
}

/* ---- core ---- */

struct vfake_pages vfake_pages = { .rc = -ENODEV };

int core_page_request(struct core_device *dev,
		      const struct core_page_request *request)
{
	if (vfake_pages.spy)
		vfake_pages.spy(dev, vfake_pages.spy_arg);
	vfake_pages.n++;
	vfake_pages.dev = dev;
	vfake_pages.last = *request;
	return vfake_pages.rc;
}

void core_page_requests_lost(struct core_device *dev, uint32_t kind)
{
	(void)dev;
	assert_int_equal(kind, 0);
	vfake_pages.lost++;
}

static struct vfake_dirty *dirty_of(struct core_dirty *dirty)
{
	return (struct vfake_dirty *)dirty;
}

void core_dirty_record(struct core_dirty *dirty, uint64_t iova, uint64_t length)
{
	struct vfake_dirty *d = dirty_of(dirty);

	assert_true(d->n < 64);
	d->iova[d->n] = iova;
	d->length[d->n++] = length;
}

/* An address below 4096 cannot be reached; from @inv->first on (if not 0) too.
 */
int core_inval_copy(const struct core_inval *inv, uint32_t start, uint32_t n,
		    void *dst, size_t size, uint32_t *copied)
{
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *entry =
			(void *)(uintptr_t)(inv->uptr + (uint64_t)(start + i) *
								inv->stride);

		*copied = i;
		if (inv->first && start + i >= inv->first)
			return -EFAULT;
		for (size_t b = size; b < inv->stride; b++) {
			if (entry[b])
				return -E2BIG;
		}
		memset((char *)dst + i * size, 0, size);
		memcpy((char *)dst + i * size, entry,
		       size < inv->stride ? size : inv->stride);
	}
	*copied = n;
	return 0;
}

int core_inval_put(const struct core_inval *inv, uint32_t where, size_t offset,
		   const void *src, size_t size)
{
	assert_true(offset + size <= inv->stride);
	assert_true(where < inv->count);
	memcpy((char *)(uintptr_t)(inv->uptr + (uint64_t)where * inv->stride +
				   offset),
	       src, size);
	return 0;
}

/* ---- the rig ---- */

void vrig_init(struct vrig *r)
{
	memset(r, 0, sizeof(*r));
	vfake_init(&r->hw);
	r->cfg.timeout_ms = 100;
}

void vrig_start(struct vrig *r)
{
	static const uint32_t sid[] = { 0x100, 0x101, 0x182 };
	struct core_hwport port = vfake_port(&r->hw);

	assert_int_equal(vtd_drv_create(&r->cfg, &port, &r->iommu), 0);
	fake_time(&to_unit(r->iommu)->devs);
	for (int i = 0; i < 3; i++) {
		r->dev[i] = (struct core_device){
			.iommu = r->iommu,
			.stream_id = sid[i],
			.ats = i > 0,
			.pasid_bits = i == 2 ? 20 : 0,
		};
		assert_int_equal(r->iommu->ops->device_add(&r->dev[i]), 0);
	}
	vfake_clear_log(&r->hw);
}

void vrig_begin(struct vrig *r)
{
	vrig_init(r);
	vrig_start(r);
}

void vrig_stop(struct vrig *r)
{
	parts_destroy(r->iommu, r->dev, 3);
	vfake_fini(&r->hw);
}

struct core_domain *vrig_domain(struct vrig *r, uint32_t flags)
{
	return parts_domain(&r->dev[0], flags);
}

int vrig_nested(struct vrig *r, struct core_domain *parent, uint64_t flags,
		uint64_t table, uint32_t width, struct core_domain **n)
{
	struct {
		uint64_t flags;
		uint64_t table;
		uint32_t width;
		uint32_t reserved;
	} s1 = { flags, table, width, 0 };
	struct core_user_data data = { 1, sizeof(s1), (uintptr_t)&s1 };

	return r->iommu->ops->nested_alloc(&r->dev[0], parent, 0, &data, n);
}

void vrig_stats(struct vrig *r, struct core_iommu_stats *s)
{
	memset(s, 0, sizeof(*s));
	r->iommu->ops->stats(r->iommu, s);
}

int vrig_inval(struct core_domain *n, struct ventry *entries, uint32_t count,
	       bool errors, struct core_inval *inv)
{
	*inv = (struct core_inval){
		.uptr = (uintptr_t)entries,
		.stride = sizeof(*entries),
		.count = count,
		.errors = errors,
		.done = 77,
	};
	return n->ops->invalidate(n, inv);
}
