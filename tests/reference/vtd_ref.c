// SPDX-License-Identifier: MIT
/* See vtd_ref.h. */
#include "vtd_ref.h"

#include <stddef.h>

#define HAW	 48
#define ABOVE	 (~0ULL << HAW)	       /* reserved of pointers */
#define PT_ABOVE 0x000f000000000000ULL /* the same in paging entries */

/* How a request is to be translated */
struct way {
	struct vref *r;
	struct vref_answer *out;
	bool write;
	bool super;
	bool legacy;
	bool first, second;
	int fs_levels, ss_levels;
	uint64_t fs_root, ss_root;
	bool sre, wpe, eafe, ssade, snoops;
};

static bool no(struct way *w, uint8_t reason)
{
	w->out->reason = reason;
	return false;
}

static uint64_t *word(struct vref *r, uint64_t pa)
{
	if (pa < r->first || pa - r->first > r->length - 8)
		return NULL;
	return &r->words[(pa - r->first) / 8];
}

static uint64_t bits(uint64_t v, int high, int low)
{
	return v >> low & ((2ULL << (high - low)) - 1);
}

static bool interrupts(uint64_t pa)
{
	return pa >> 20 == 0xfee;
}

/* ---- second stage ---- */

/* What the address is for decides what a missing right is called. */
enum use { PAGE, FS_ROOT_READ, FS_READ, FS_WRITE };

static bool ss_refused(struct way *w, enum use use, bool write)
{
	if (use == FS_WRITE || (use != PAGE && write))
		return no(w, 0x77);
	if (use == FS_ROOT_READ)
		return no(w, 0x75);
	if (use == FS_READ)
		return no(w, 0x76);
	if (w->legacy)
		return no(w, write ? 0x05 : 0x06);
	return no(w, write ? 0x85 : 0x86);
}

static bool ss_walk(struct way *w, uint64_t gpa, enum use use, uint64_t *pa)
{
	bool write = use == FS_WRITE || (use == PAGE && w->write);
	bool read = use != PAGE || !w->write;
	bool both = use != PAGE && w->ssade;
	uint64_t table = w->ss_root;
	bool r = true, wr = true;

	if (gpa >> (12 + 9 * w->ss_levels))
		return no(w, w->first ? 0x74 : w->legacy ? 0x04 : 0x84);
	for (int level = w->ss_levels;; level--) {
		int shift = 12 + 9 * (level - 1);
		uint64_t *e =
			word(w->r, table + bits(gpa, shift + 8, shift) * 8);
		bool leaf, er, ew;
		uint64_t reserved, flags;

		if (!e && level == w->ss_levels)
			return no(w, w->legacy ? 0x03 : 0x7b);
		if (!e)
			return no(w, w->legacy ? 0x07 : 0x78);
		er = *e & 1;
		ew = *e & 2;
		if (!er && !ew)
			return no(w,
				  w->legacy ? (w->write ? 0x05 : 0x06) : 0x79);
		leaf = level == 1 || (level <= 3 && *e & 0x80);
		reserved = PT_ABOVE | 1ULL << 62;
		if (!leaf)
			reserved |= 0x800 | (level > 3 ? 0x80 : 0);
		else if (level > 1)
			reserved |= ((1ULL << shift) - 1) & ~0xfffULL;
		if (*e & reserved)
			return no(w, w->legacy ? 0x0c : 0x7a);
		r &= er;
		wr &= ew;
		if (!r && !wr)
			return no(w,
				  w->legacy ? (w->write ? 0x05 : 0x06) : 0x79);
		if (leaf && write && !wr)
			return ss_refused(w, use, true);
		if (leaf && ((read && !r) || (both && !wr)))
			return ss_refused(w, use == FS_WRITE ? FS_READ : use,
					  false);
		flags = w->ssade ? 0x100 | (leaf && write ? 0x200 : 0) : 0;
		if (flags & ~*e) {
			if (!w->snoops)
				return no(w, 0x7c);
			*e |= flags;
		}
		if (leaf) {
			*pa = (*e & 0x000ffffffffff000ULL &
			       ~((1ULL << shift) - 1)) |
			      (gpa & ((1ULL << shift) - 1));
			return true;
		}
		table = *e & 0x000ffffffffff000ULL;
	}
}

/* ---- first stage ---- */

static bool fs_walk(struct way *w, uint64_t addr, uint64_t *out)
{
	int width = w->fs_levels == 5 ? 57 : 48;
	uint64_t table = w->fs_root;
	bool rw = true;

	if (addr >> (width - 1) && ~addr >> (width - 1))
		return no(w, 0x80);
	for (int level = w->fs_levels;; level--) {
		int shift = 12 + 9 * (level - 1);
		uint64_t at = table + bits(addr, shift + 8, shift) * 8;
		uint64_t pa = at, *e, flags, reserved;
		bool leaf;

		if (w->second &&
		    !ss_walk(w, at,
			     level == w->fs_levels ? FS_ROOT_READ : FS_READ,
			     &pa))
			return false;
		e = word(w->r, pa);
		if (!e)
			return no(w, level == w->fs_levels ? 0x73 : 0x70);
		if (!(*e & 1))
			return no(w, 0x71);
		leaf = level == 1 || (level <= 3 && *e & 0x80);
		reserved = PT_ABOVE;
		if (!leaf)
			reserved |= level > 3 ? 0x80 : 0;
		else if (level > 1)
			reserved |= ((1ULL << shift) - 1) & ~0x1fffULL;
		if (*e & reserved)
			return no(w, 0x72);
		if (w->second &&
		    (*e & 0x000ffffffffff000ULL) >> (12 + 9 * w->ss_levels))
			return no(w, 0x74);
		rw &= *e >> 1 & 1;
		if (!w->super && !(*e & 4))
			return no(w, 0x81);
		if (leaf && w->write && !rw && !(w->super && !w->wpe))
			return no(w, 0x85);
		flags = 0x20 | (w->eafe ? 0x400 : 0) |
			(leaf && w->write ? 0x40 : 0);
		if (flags & ~*e) {
			if (!w->snoops)
				return no(w, 0x90);
			if (w->second && !ss_walk(w, at, FS_WRITE, &pa))
				return false;
			*e |= flags;
		}
		if (leaf) {
			*out = (*e & 0x000ffffffffff000ULL &
				~((1ULL << shift) - 1)) |
			       (addr & ((1ULL << shift) - 1));
			return true;
		}
		table = *e & 0x000ffffffffff000ULL;
	}
}

static void walk(struct way *w, uint64_t addr)
{
	uint64_t pa = addr;

	if (w->first && !fs_walk(w, addr, &pa))
		return;
	if (w->second && !ss_walk(w, pa, PAGE, &pa))
		return;
	if (!w->first && !w->second && pa & ABOVE)
		no(w, w->legacy ? 0x04 : 0x83);
	else if (interrupts(pa))
		no(w, w->legacy ? 0x0e : 0x87);
	else
		w->out->pa = pa;
}

/* ---- legacy mode ---- */

static bool legacy(struct way *w, const struct vref_access *a)
{
	uint64_t *root =
		word(w->r, (w->r->rtaddr & ~0xfffULL) + 16ULL * (a->sid >> 8));
	uint64_t *ctx;
	int tt, aw;

	w->legacy = true;
	if (!root)
		return no(w, 0x08);
	if (!(root[0] & 1))
		return no(w, 0x01);
	if (root[0] & (0xffe | ABOVE) || root[1])
		return no(w, 0x0a);
	ctx = word(w->r, (root[0] & ~0xfffULL) + 16ULL * (a->sid & 0xff));
	if (!ctx)
		return no(w, 0x09);
	w->out->silent = ctx[0] & 2;
	if (!(ctx[0] & 1))
		return no(w, 0x02);
	tt = (int)bits(ctx[0], 3, 2);
	aw = (int)bits(ctx[1], 2, 0);
	if (ctx[0] & (0xff0 | (tt == 2 ? 0 : ABOVE)) ||
	    ctx[1] & 0xffffffffff000080ULL)
		return no(w, 0x0b);
	if (aw < 1 || aw > 3 || tt == 3)
		return no(w, 0x03);
	w->second = tt != 2;
	w->ss_levels = aw + 2;
	w->ss_root = ctx[0] & ~0xfffULL;
	return true;
}

/* ---- scalable mode ---- */

static uint64_t *context(struct way *w, const struct vref_access *a)
{
	uint64_t *root =
		word(w->r, (w->r->rtaddr & ~0xfffULL) + 16ULL * (a->sid >> 8));
	uint64_t half, *ctx;

	if (!root) {
		no(w, 0x38);
		return NULL;
	}
	half = root[a->sid >> 7 & 1];
	if (!(half & 1)) {
		no(w, 0x39);
		return NULL;
	}
	if (half & (0xffe | ABOVE)) {
		no(w, 0x3a);
		return NULL;
	}
	ctx = word(w->r, (half & ~0xfffULL) + 32ULL * (a->sid & 0x7f));
	if (!ctx)
		no(w, 0x40);
	return ctx;
}

static bool pasid_of(struct way *w, const uint64_t *ctx,
		     const struct vref_access *a, uint64_t *pasid)
{
	uint64_t rid = bits(ctx[1], 19, 0);
	uint64_t count = 64ULL << (bits(ctx[0], 11, 9) + 7);

	if (!(ctx[0] & 1))
		return no(w, 0x41);
	if (ctx[0] & (0x1e0 | ABOVE) || ctx[1] >> 21 || ctx[2] || ctx[3])
		return no(w, 0x42);
	if ((ctx[0] & 0x14) == 0x10 || rid >= count)
		return no(w, 0x43);
	*pasid = rid;
	w->super = ctx[1] >> 20 & 1;
	if (a->pasid < 0)
		return true;
	*pasid = (uint64_t)a->pasid;
	w->super = a->priv;
	if (!(ctx[0] & 8))
		return no(w, 0x45);
	if (*pasid >= count)
		return no(w, 0x46);
	if (*pasid == rid)
		return no(w, 0x48);
	return true;
}

static bool type_of(struct way *w, const uint64_t *e)
{
	int aw = (int)bits(e[0], 4, 2);
	int type = (int)bits(e[0], 8, 6);
	int mode = (int)bits(e[2], 3, 2);

	w->first = type == 1 || type == 3;
	w->second = type == 2 || type == 3;
	if (type < 1 || type > 4 || (w->second && (aw < 1 || aw > 3)) ||
	    (w->first && mode > 1))
		return no(w, 0x5b);
	w->ss_levels = aw + 2;
	w->ss_root = e[0] & ~0xfffULL;
	w->fs_levels = 4 + mode;
	w->fs_root = e[2] & ~0xfffULL;
	if (type == 3 && w->fs_root >> (12 + 9 * w->ss_levels))
		return no(w, 0x5b);
	w->ssade = w->second && e[0] & 0x200;
	w->snoops = e[1] & 0x800000;
	w->sre = e[2] & 1;
	w->wpe = e[2] & 0x10;
	w->eafe = e[2] & 0x80;
	if (w->super && !w->sre)
		return no(w, 0x5d);
	return true;
}

static bool scalable(struct way *w, const struct vref_access *a)
{
	uint64_t *ctx = context(w, a);
	uint64_t *dir, *e, pasid, rest = 0;

	if (!ctx)
		return false;
	w->out->silent = ctx[0] & 2;
	if (!pasid_of(w, ctx, a, &pasid))
		return false;
	dir = word(w->r, (ctx[0] & ~0xfffULL) + 8 * (pasid >> 6));
	if (!dir) {
		w->out->silent = false;
		return no(w, 0x50);
	}
	w->out->silent |= *dir >> 1 & 1;
	if (!(*dir & 1))
		return no(w, 0x51);
	if (*dir & (0xffc | ABOVE))
		return no(w, 0x52);
	e = word(w->r, (*dir & ~0xfffULL) + 64 * (pasid & 63));
	if (!e) {
		w->out->silent = false;
		return no(w, 0x58);
	}
	w->out->silent |= e[0] >> 1 & 1;
	if (!(e[0] & 1))
		return no(w, 0x59);
	for (int n = 3; n < 8; n++)
		rest |= e[n];
	if (rest || e[0] & (0xc20 | ABOVE) || e[1] & 0xfffffffffe7f0000ULL ||
	    e[2] & (0xf02 | ABOVE))
		return no(w, 0x5a);
	return type_of(w, e);
}

struct vref_answer vref_translate(struct vref *r, const struct vref_access *a)
{
	struct vref_answer out = { 0 };
	struct way w = { .r = r, .out = &out, .write = a->write };
	int mode = (int)bits(r->rtaddr, 11, 10);

	if (mode == 0 && a->pasid >= 0)
		no(&w, 0x31);
	else if (mode == 2)
		no(&w, 0x30);
	else if (mode == 3)
		no(&w, 0x33);
	else if (mode ? scalable(&w, a) : legacy(&w, a))
		walk(&w, a->addr);
	return out;
}
