// SPDX-License-Identifier: MIT
/*
 * Tables and what is cached of them: Arm IHI 0070 chapters 3 and 7, DDI 0487
 * D8. See ref.h and way.h.
 */
#include "way.h"

#include <string.h>

bool way_load(const struct ref *r, uint64_t pa, uint64_t *words, size_t n)
{
	if (pa < r->ram_base || pa - r->ram_base > r->ram_size - n * 8)
		return false;
	memcpy(words, r->ram + (pa - r->ram_base), n * 8);
	return true; /* the tests run on little-endian hosts */
}

bool way_fault(struct way *w, uint8_t event, bool s2, uint8_t class,
	       uint64_t ipa, uint64_t fetch)
{
	w->out->result = REF_ABORTED;
	w->out->event = event;
	w->out->s2 = s2;
	w->out->class = class;
	w->out->ipa = ipa;
	w->out->fetch = fetch;
	return false;
}

bool way_fault_s1(struct way *w, uint8_t event)
{
	return way_fault(w, event, false, CLASS_IN, 0, 0);
}

bool way_fault_config(struct way *w, uint8_t event)
{
	return way_fault(w, event, false, 0, 0, 0);
}

/*
 * The naive cache
 */

bool ref_same_key(const struct ref_entry *a, const struct ref_entry *b)
{
	return a->kind == b->kind && a->vmid == b->vmid && a->asid == b->asid &&
	       a->global == b->global && a->level == b->level &&
	       a->size_lg2 == b->size_lg2 && a->leaf_lg2 == b->leaf_lg2 &&
	       a->granule_lg2 == b->granule_lg2 && a->iova == b->iova &&
	       a->leaf == b->leaf;
}

void way_add(struct way *w, const struct ref_entry *e)
{
	struct ref *r = w->r;

	if (w->look == REF_COLD)
		return;
	if (r->count + r->fresh == REF_ENTRIES) {
		r->overflow = true;
		return;
	}
	r->entry[r->count + r->fresh++] = *e;
}

static bool matches(const struct way *w, const struct ref_entry *e,
		    uint32_t kind, uint64_t addr)
{
	bool has_asid =
		kind == REF_S1 || kind == REF_S12 || kind == REF_S1_TABLE;

	if (e->kind != kind || e->vmid != w->vmid)
		return false;
	if (has_asid && !e->global && e->asid != w->asid)
		return false;
	return !((e->iova ^ addr) & ~mask(e->size_lg2));
}

bool ref_replaced(const struct ref *r, size_t n)
{
	size_t i = n < r->count ? r->count : n + 1; /* the old are unique */

	for (; i < r->count + r->fresh; i++) {
		if (ref_same_key(&r->entry[i], &r->entry[n]))
			return true;
	}
	return false;
}

const struct ref_entry *way_find(struct way *w, uint32_t kind, uint64_t addr,
				 const struct tables *t)
{
	const struct ref_entry *found[16];
	unsigned int n = 0, pick;
	const struct ref *r = w->r;

	if (w->look != REF_CACHED)
		return NULL;
	for (int level = 3; level >= 0; level--) {
		for (size_t i = 0; i < r->count + r->fresh; i++) {
			const struct ref_entry *e = &r->entry[i];

			if (e->level != level || !matches(w, e, kind, addr) ||
			    (t && (e->granule_lg2 != t->granule ||
				   e->level < t->start)) ||
			    ref_replaced(r, i) || n == 16)
				continue;
			found[n++] = e;
		}
	}
	if (!n)
		return NULL;
	pick = w->choice % n;
	w->choice /= n;
	w->out->ways *= n;
	w->out->used = true;
	return found[pick];
}

/*
 * Tables
 */

static unsigned int shift_of(const struct tables *t, unsigned int level)
{
	return t->granule + (3 - level) * (t->granule - 3);
}

/* DDI 0487: 4 KB has blocks from level 1, others from 2; 64 KB + LPA from 1 */
static bool block_exists(const struct tables *t, unsigned int level)
{
	return level == 2 || (level == 1 && (t->granule == 12 || t->wide));
}

static uint64_t address_of(const struct tables *t, uint64_t d, unsigned int lg2)
{
	uint64_t out = d & mask(48) & ~mask(lg2);

	if (t->wide)
		out |= bits(d, 15, 12) << 48;
	return out;
}

/* Effective IPS, S2PS: never more than OAS */
static unsigned int size_bits(const struct ref *r, uint64_t field)
{
	static const unsigned int sizes[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return sizes[field] < r->oas_bits ? sizes[field] : r->oas_bits;
}

static uint64_t table_base(const struct tables *t, uint64_t word)
{
	unsigned int size = t->in_bits - shift_of(t, t->start) + 3;

	if (t->out_bits == 52 && size < 6)
		size = 6;
	return word & mask(52) & ~mask(size) & ~0xfULL;
}

/*
 * Stage 2
 */

bool way_s2_tables(const struct way *w, struct tables *t)
{
	static const unsigned int granules[4] = { 12, 16, 14, 0 };
	uint64_t word = w->ste[2];
	unsigned int t0sz = (unsigned int)bits(word, 37, 32);
	unsigned int sl0 = (unsigned int)bits(word, 39, 38);
	unsigned int least;

	*t = (struct tables){
		.granule = granules[bits(word, 47, 46)],
		.in_bits = 64 - t0sz,
		.out_bits = size_bits(w->r, bits(word, 50, 48)),
	};
	if (!t->granule || !bits(word, 51, 51))
		return false;
	least = t->granule == 16 && w->r->oas_bits == 52 ? 12 : 16;
	if (t0sz < least || t0sz < 64u - w->r->oas_bits || t0sz > 39 ||
	    sl0 == 3)
		return false;
	t->start = (t->granule == 12 ? 2 : 3) - sl0;
	t->wide = t->granule == 16 && w->r->oas_bits == 52;
	/* it must need the first level; up to 16 tables may be concatenated */
	if (t->in_bits <= shift_of(t, t->start) ||
	    t->in_bits > shift_of(t, t->start) + t->granule - 3 + 4)
		return false;
	if (bits(w->ste[3], 51, 4) << 4 >> t->out_bits)
		return false;
	t->base = table_base(t, w->ste[3]);
	return true;
}

static uint8_t s2_perms(uint64_t d)
{
	uint8_t data = (uint8_t)bits(d, 7, 6); /* R, W */
	uint64_t xn = bits(d, 54, 53);
	uint8_t perms = (uint8_t)(data | data << 4);

	if (xn == 0 || xn == 3)
		perms |= REF_X;
	if (xn == 0 || xn == 1)
		perms |= REF_X << 4;
	return perms;
}

static bool s2_judge(struct way *w, const struct tables *t, uint64_t d,
		     uint64_t ipa, uint8_t class, uint8_t need,
		     struct leaf *leaf)
{
	if (leaf->out >> t->out_bits)
		return way_fault(w, F_ADDR_SIZE, true, class, ipa, 0);
	if (!bits(d, 10, 10) && !bits(w->ste[2], 53, 53))
		return way_fault(w, F_ACCESS, true, class, ipa, 0);
	if (need & ~leaf->perms)
		return way_fault(w, F_PERMISSION, true, class, ipa, 0);
	return true;
}

static void s2_keep(struct way *w, const struct tables *t,
		    const struct leaf *leaf)
{
	const struct ref_entry e = {
		.kind = REF_S2,
		.vmid = w->vmid,
		.level = (uint8_t)leaf->level,
		.size_lg2 = (uint8_t)leaf->lg2,
		.leaf_lg2 = (uint8_t)leaf->lg2,
		.granule_lg2 = (uint8_t)t->granule,
		.iova = leaf->first,
		.leaf = leaf->first,
		.out = leaf->out,
		.perms = leaf->perms,
		.perms_s2 = ALL_PERMS,
	};

	way_add(w, &e);
}

static void table_keep(struct way *w, uint32_t kind, const struct tables *t,
		       uint64_t addr, unsigned int level, uint64_t table,
		       uint8_t attrs)
{
	unsigned int lg2 = shift_of(t, level);
	const struct ref_entry e = {
		.kind = kind,
		.vmid = w->vmid,
		.asid = kind == REF_S1_TABLE ? w->asid : 0,
		.level = (uint8_t)level,
		.size_lg2 = (uint8_t)lg2,
		.leaf_lg2 = (uint8_t)lg2,
		.granule_lg2 = (uint8_t)t->granule,
		.iova = addr & ~mask(lg2),
		.leaf = addr & ~mask(lg2),
		.out = table,
		.attrs = attrs,
	};

	way_add(w, &e);
}

bool way_s2(struct way *w, uint64_t ipa, uint8_t class, uint8_t need,
	    struct leaf *leaf)
{
	const struct ref_entry *e;
	struct tables t;
	unsigned int level, shift;
	uint64_t table, index, d;

	way_s2_tables(w, &t);
	e = way_find(w, REF_S2, ipa, NULL);
	if (e && !(need & ~e->perms)) {
		*leaf = (struct leaf){ e->iova,	 e->out,   e->size_lg2,
				       e->level, e->perms, false };
		return true;
	}
	if (e)
		return way_fault(w, F_PERMISSION, true, class, ipa, 0);
	if (ipa >> t.in_bits)
		return way_fault(w, F_TRANSLATION, true, class, ipa, 0);
	table = t.base;
	level = t.start;
	e = way_find(w, REF_S2_TABLE, ipa, &t);
	if (e) {
		table = e->out;
		level = e->level + 1u;
	}
	for (;; level++) {
		shift = shift_of(&t, level);
		index = ipa >> shift;
		if (level != t.start)
			index &= mask(t.granule - 3);
		if (!way_load(w->r, table + index * 8, &d, 1))
			return way_fault(w, F_WALK_EABT, true, class, 0,
					 table + index * 8);
		if (level == 3 || bits(d, 1, 0) != 3)
			break;
		table = address_of(&t, d, t.granule);
		if (table >> t.out_bits)
			return way_fault(w, F_ADDR_SIZE, true, class, ipa, 0);
		table_keep(w, REF_S2_TABLE, &t, ipa, level, table, 0);
	}
	if (level == 3 ? bits(d, 1, 0) != 3
		       : !(bits(d, 0, 0) && block_exists(&t, level)))
		return way_fault(w, F_TRANSLATION, true, class, ipa, 0);
	*leaf = (struct leaf){
		.first = ipa & ~mask(shift),
		.out = address_of(&t, d, shift),
		.lg2 = shift,
		.level = level,
		.perms = s2_perms(d),
	};
	if (s2_judge(w, &t, d, ipa, class, need, leaf)) {
		s2_keep(w, &t, leaf);
		return true;
	}
	if (w->out->event == F_PERMISSION) /* a valid leaf, though */
		s2_keep(w, &t, leaf);
	return false;
}

bool way_has_s2(const struct way *w)
{
	return bits(w->ste[0], 3, 3) && bits(w->ste[0], 2, 2);
}

bool way_locate(struct way *w, uint64_t addr, uint8_t class, uint64_t *pa)
{
	struct leaf leaf = { 0 };

	*pa = addr;
	if (!way_has_s2(w))
		return true;
	/* fetches are reads; privileged or not is the same to S2AP (3.9) */
	if (!way_s2(w, addr, class, REF_R, &leaf))
		return false;
	*pa = leaf.out + (addr - leaf.first);
	return true;
}

/*
 * Stage 1
 */

bool way_s1_tables(const struct way *w, unsigned int half, struct tables *t)
{
	static const unsigned int granules[2][4] = { { 12, 16, 14, 0 },
						     { 0, 14, 12, 16 } };
	uint64_t word = w->cd[0] >> (half ? 16 : 0);
	unsigned int tsz = (unsigned int)bits(word, 5, 0);
	uint64_t ttb = w->cd[1 + half];

	*t = (struct tables){
		.off = bits(word, 14, 14),
		.in_bits = 64 - tsz,
		.granule = granules[half][bits(word, 7, 6)],
		.out_bits = size_bits(w->r, bits(w->cd[0], 34, 32)),
		.had = bits(ttb, 1, 1),
		.e0pd = bits(ttb, 2, 2),
	};
	if (t->off)
		return true;
	if (!t->granule || tsz > 39 ||
	    tsz < (t->granule == 16 && w->r->wide_va ? 12u : 16u) ||
	    bits(ttb, 51, 4) << 4 >> t->out_bits)
		return false;
	t->wide = t->granule == 16 && w->r->oas_bits == 52;
	t->start = 3;
	while (t->in_bits > shift_of(t, t->start) + t->granule - 3)
		t->start--;
	t->base = table_base(t, ttb);
	return true;
}

/* Bits 62:59 of a table descriptor: APTable, UXNTable, PXNTable (D8.4) */
static uint8_t s1_perms(const struct way *w, uint64_t d, uint8_t attrs)
{
	bool wxn = bits(w->cd[0], 36, 36);
	bool el0 = bits(d, 6, 6) && !bits(attrs, 2, 2);
	bool ro = bits(d, 7, 7) || bits(attrs, 3, 3);
	bool uxn = bits(d, 54, 54) || bits(attrs, 1, 1);
	bool pxn = bits(d, 53, 53) || bits(attrs, 0, 0);
	uint8_t perms = REF_R;

	if (!ro)
		perms |= REF_W;
	if (el0)
		perms |= (uint8_t)(perms << 4);
	/* what EL0 may write, EL1 does not execute */
	if (!pxn && !(el0 && !ro) && !(wxn && !ro))
		perms |= REF_X;
	if (!uxn && !(wxn && el0 && !ro))
		perms |= REF_X << 4;
	if (bits(w->cd[0], 40, 40) && el0) /* PAN */
		perms &= (uint8_t) ~(REF_R | REF_W);
	return perms;
}

static bool s1_range(struct way *w, const struct tables *t, uint64_t va)
{
	uint64_t top = bits(va, 55, 55) ? ~mask(t->in_bits) : 0;

	if (t->off || (va & ~mask(t->in_bits)) != top)
		return way_fault_s1(w, F_TRANSLATION);
	return true;
}

bool way_s1(struct way *w, uint64_t va, const struct tables *t,
	    struct leaf *leaf)
{
	const struct ref_entry *e;
	unsigned int level, shift;
	uint64_t table, at, pa, d;
	uint8_t attrs = 0;

	if (!s1_range(w, t, va))
		return false;
	table = t->base;
	level = t->start;
	e = way_find(w, REF_S1_TABLE, va, t);
	if (e) {
		table = e->out;
		level = e->level + 1u;
		attrs = e->attrs;
	}
	for (;; level++) {
		shift = shift_of(t, level);
		at = (va & mask(t->in_bits)) >> shift & mask(t->granule - 3);
		at = table + at * 8;
		if (!way_locate(w, at, CLASS_TT, &pa))
			return false;
		if (!way_load(w->r, pa, &d, 1))
			return way_fault(w, F_WALK_EABT, false, CLASS_TT, 0,
					 pa);
		if (level == 3 || bits(d, 1, 0) != 3)
			break;
		table = address_of(t, d, t->granule);
		if (table >> t->out_bits)
			return way_fault_s1(w, F_ADDR_SIZE);
		if (!t->had)
			attrs |= (uint8_t)bits(d, 62, 59);
		table_keep(w, REF_S1_TABLE, t, va, level, table, attrs);
	}
	if (level == 3 ? bits(d, 1, 0) != 3
		       : !(bits(d, 0, 0) && block_exists(t, level)))
		return way_fault_s1(w, F_TRANSLATION);
	*leaf = (struct leaf){
		.first = va & ~mask(shift),
		.out = address_of(t, d, shift),
		.lg2 = shift,
		.level = level,
		.perms = s1_perms(w, d, attrs),
		.global = !bits(d, 11, 11),
	};
	if (leaf->out >> t->out_bits)
		return way_fault_s1(w, F_ADDR_SIZE);
	if (!bits(d, 10, 10) && !bits(w->cd[0], 35, 35))
		return way_fault_s1(w, F_ACCESS);
	if (w->need & ~leaf->perms)
		return way_fault_s1(w, F_PERMISSION);
	return true;
}
