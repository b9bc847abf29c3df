// SPDX-License-Identifier: MIT
/*
 * Configuration and the whole of a translation, Arm IHI 0070 chapters 3, 5, 6
 * and 7: see ref.h.
 */
#include "way.h"

#include <string.h>

/*
 * A whole translation
 */

static uint64_t effective_va(const struct way *w, uint64_t addr)
{
	bool high = bits(addr, 55, 55);

	if (!bits(w->cd[0], 38 + high, 38 + high))
		return addr;
	return high ? addr | ~mask(56) : addr & mask(56);
}

static uint8_t need_of(const struct way *w, bool write, bool exec)
{
	uint8_t need = write ? REF_W : exec ? REF_X : REF_R;

	return w->out->priv ? need : (uint8_t)(need << 4);
}

/* What a read, a write, a fetch would be allowed; INSTCFG may turn them */
static void tell_perms(struct way *w, uint8_t perms)
{
	uint64_t instcfg = bits(w->ste[1], 51, 50);

	w->out->readable = perms & need_of(w, false, instcfg == 3);
	w->out->writable = perms & need_of(w, true, false);
	w->out->executable = perms & need_of(w, false, instcfg != 2);
}

static void done(struct way *w, const struct ref_entry *e, uint64_t addr)
{
	w->out->result = REF_TRANSLATED;
	w->out->pa = e->out + (addr - e->iova);
	w->out->page_lg2 = e->size_lg2;
	tell_perms(w, e->perms & e->perms_s2);
}

/* A cached leaf answers, be it with a fault */
static void from_cache(struct way *w, const struct ref_entry *e, uint64_t addr)
{
	w->out->hit = true;
	if (!(w->need & ~(e->perms & e->perms_s2)))
		done(w, e, addr);
	else if (e->kind == REF_S2)
		way_fault(w, F_PERMISSION, true, CLASS_IN, addr, 0);
	else if (w->need & ~e->perms)
		way_fault_s1(w, F_PERMISSION);
	else
		way_fault(w, F_PERMISSION, true, CLASS_IN,
			  e->ipa + (addr - e->iova), 0);
}

/* The entry for both leaves: as far as both stay contiguous */
static struct ref_entry keep(struct way *w, uint32_t kind,
			     const struct tables *t, const struct leaf *s1,
			     const struct leaf *s2, uint64_t addr)
{
	unsigned int lg2 = s2 && s2->lg2 < s1->lg2 ? s2->lg2 : s1->lg2;
	uint64_t ipa = s1->out + (addr - s1->first);
	uint64_t pa = s2 ? s2->out + (ipa - s2->first) : ipa;
	const struct ref_entry e = {
		.kind = kind,
		.vmid = w->vmid,
		.asid = w->asid,
		.global = s1->global,
		.level = (uint8_t)s1->level,
		.size_lg2 = (uint8_t)lg2,
		.leaf_lg2 = (uint8_t)s1->lg2,
		.granule_lg2 = (uint8_t)t->granule,
		.iova = addr & ~mask(lg2),
		.leaf = s1->first,
		.out = pa & ~mask(lg2),
		.ipa = ipa & ~mask(lg2),
		.perms = s1->perms,
		.perms_s2 = s2 ? s2->perms : ALL_PERMS,
	};

	way_add(w, &e);
	return e;
}

/*
 * A leaf that refuses an access is valid all the same, and may be cached (DDI
 * 0487, D8.16); under stage 2 if there is a leaf there, whatever it permits.
 */
static void keep_refused(struct way *w, bool nested, const struct tables *t,
			 const struct leaf *s1, uint64_t addr)
{
	struct ref_outcome fault = *w->out;
	struct leaf s2 = { 0 };

	if (!nested)
		keep(w, REF_S1, t, s1, NULL, addr);
	else if (way_s2(w, s1->out + (addr - s1->first), CLASS_IN, 0, &s2))
		keep(w, REF_S12, t, s1, &s2, addr);
	fault.ways = w->out->ways;
	*w->out = fault;
}

static void path_s1(struct way *w, bool nested)
{
	uint32_t kind = nested ? REF_S12 : REF_S1;
	uint64_t va = effective_va(w, w->a->addr);
	const struct ref_entry *e;
	struct leaf s1 = { 0 }, s2 = { 0 };
	struct tables t = { 0 };
	struct ref_entry made;
	uint64_t ipa;

	w->asid = (uint32_t)bits(w->cd[0], 63, 48);
	way_s1_tables(w, bits(va, 55, 55), &t);
	if (t.e0pd && !t.off && !w->out->priv) { /* whatever is cached */
		way_fault_s1(w, F_TRANSLATION);
		return;
	}
	e = way_find(w, kind, va, NULL);
	if (e) {
		from_cache(w, e, va);
		return;
	}
	if (!way_s1(w, va, &t, &s1)) {
		if (w->out->event == F_PERMISSION && !w->out->s2)
			keep_refused(w, nested, &t, &s1, va);
		return;
	}
	ipa = s1.out + (va - s1.first);
	if (nested && !way_s2(w, ipa, CLASS_IN, w->need, &s2)) {
		if (w->out->event == F_PERMISSION)
			keep_refused(w, nested, &t, &s1, va);
		return;
	}
	made = keep(w, kind, &t, &s1, nested ? &s2 : NULL, va);
	done(w, &made, va);
}

static void path_s2(struct way *w)
{
	uint64_t ipa = w->a->addr;
	const struct ref_entry *e = way_find(w, REF_S2, ipa, NULL);
	struct leaf leaf = { 0 };

	if (e) {
		from_cache(w, e, ipa);
		return;
	}
	if (ipa >> w->r->oas_bits) { /* 3.4: more than IAS; a stage-1 fault */
		way_fault_s1(w, F_ADDR_SIZE);
		return;
	}
	if (!way_s2(w, ipa, CLASS_IN, w->need, &leaf))
		return;
	w->out->result = REF_TRANSLATED;
	w->out->pa = leaf.out + (ipa - leaf.first);
	w->out->page_lg2 = (uint8_t)leaf.lg2;
	tell_perms(w, leaf.perms);
}

static void path_bypass(struct way *w)
{
	if (w->a->addr >> w->r->oas_bits) {
		way_fault_s1(w, F_ADDR_SIZE);
		return;
	}
	w->out->result = REF_BYPASSED;
	w->out->pa = w->a->addr;
}

/*
 * Configuration
 */

struct ref_stream *ref_stream_of(struct ref *r, uint32_t sid)
{
	for (size_t n = 0; n < r->streams; n++) {
		if (r->stream[n].sid == sid)
			return &r->stream[n];
	}
	return NULL;
}

/* 5.1: the address of the STE */
static bool find_ste(struct way *w, uint64_t *addr)
{
	struct ref *r = w->r;
	const struct ref_stream *known = ref_stream_of(r, w->a->sid);
	unsigned int log2size = bits(r->strtab_cfg, 5, 0);
	unsigned int split = bits(r->strtab_cfg, 10, 6);
	uint64_t base = r->strtab_base & mask(52) & ~mask(6);
	uint64_t low = w->a->sid & mask(split);
	unsigned int span;
	uint64_t at, l1;

	if ((uint64_t)w->a->sid >> log2size)
		return way_fault_config(w, C_BAD_STREAMID);
	if (bits(r->strtab_cfg, 17, 16) != 1) {
		*addr = (base & ~mask(log2size + 6)) + w->a->sid * 64ULL;
		return true;
	}
	at = (base & ~mask(log2size - split + 3)) + (w->a->sid >> split) * 8ULL;
	if (w->look == REF_CACHED && known && known->has_l1 &&
	    known->l1_addr == at)
		l1 = known->l1;
	else if (!way_load(r, at, &l1, 1))
		return way_fault(w, F_STE_FETCH, false, 0, 0, at);
	span = (unsigned int)bits(l1, 4, 0);
	if (!span || span > split + 1 || low >> (span - 1))
		return way_fault_config(w, C_BAD_STREAMID);
	r->new_stream.has_l1 = true;
	r->new_stream.l1_addr = at;
	r->new_stream.l1 = l1;
	*addr = (l1 & mask(52) & ~mask(span - 1 + 6)) + low * 64;
	return true;
}

/* 5.2, as far as the tests go: what makes an STE ILLEGAL */
static bool ste_legal(const struct way *w)
{
	struct tables t;

	if (!bits(w->ste[0], 0, 0))
		return false;
	if (!bits(w->ste[0], 3, 3))
		return true;
	if (bits(w->ste[0], 1, 1)) {
		if (bits(w->ste[0], 63, 59) > w->r->ssid_bits ||
		    bits(w->ste[0], 51, 6) << 6 >> w->r->oas_bits)
			return false;
	}
	return !bits(w->ste[0], 2, 2) || way_s2_tables(w, &t);
}

static bool get_ste(struct way *w)
{
	struct ref *r = w->r;
	const struct ref_stream *known = ref_stream_of(r, w->a->sid);
	uint64_t addr = 0;

	r->new_stream.sid = w->a->sid;
	if (w->look == REF_CACHED && known && known->has_ste) {
		memcpy(w->ste, known->ste, sizeof(w->ste));
		w->out->used = true;
		return true;
	}
	if (!find_ste(w, &addr))
		return false;
	if (!way_load(r, addr, w->ste, 8))
		return way_fault(w, F_STE_FETCH, false, 0, 0, addr);
	if (!ste_legal(w))
		return way_fault_config(w, C_BAD_STE);
	r->new_stream.has_ste = true;
	memcpy(r->new_stream.ste, w->ste, sizeof(w->ste));
	return true;
}

struct ref_l1cd *ref_l1cd_of(struct ref *r, uint32_t sid, uint32_t index)
{
	for (size_t n = 0; n < r->l1cds; n++) {
		if (r->l1cd[n].sid == sid && r->l1cd[n].index == index)
			return &r->l1cd[n];
	}
	return NULL;
}

/* 3.21.3: kept if it was fetched, valid or not */
static bool get_l1cd(struct way *w, const struct ref_l1cd *what, uint64_t *l1)
{
	const struct ref_l1cd *known =
		ref_l1cd_of(w->r, what->sid, what->index);
	uint64_t pa;

	if (w->look == REF_CACHED && known && known->addr == what->addr) {
		*l1 = known->value;
		w->out->used = true;
		return true;
	}
	if (!way_locate(w, what->addr, CLASS_CD, &pa))
		return false;
	if (!way_load(w->r, pa, l1, 1))
		return way_fault(w, F_CD_FETCH, false, 0, 0, pa);
	w->r->keep_l1cd = true;
	w->r->new_l1cd = *what;
	w->r->new_l1cd.value = *l1;
	return true;
}

/* 3.3.2, 5.4: linear, or two levels with 64 or 1024 CDs in a leaf */
static bool find_cd(struct way *w, uint32_t ssid, uint64_t *addr)
{
	uint64_t ptr = bits(w->ste[0], 51, 6) << 6;
	unsigned int max = (unsigned int)bits(w->ste[0], 63, 59);
	uint64_t fmt = max ? bits(w->ste[0], 5, 4) : 0;
	unsigned int split = fmt == 1 ? 6 : 10;
	struct ref_l1cd what = { .sid = w->a->sid, .split = split };
	uint64_t l1;

	if (fmt != 1 && fmt != 2) {
		*addr = (ptr & ~mask(max + 6)) + ssid * 64ULL;
		return true;
	}
	if (max > split)
		ptr &= ~mask(max - split + 3);
	what.index = ssid >> split;
	what.addr = ptr + what.index * 8ULL;
	if (!get_l1cd(w, &what, &l1))
		return false;
	/* 3.4.3: an address that is too large makes it invalid */
	if (!bits(l1, 0, 0) || bits(l1, 51, 0) >> w->r->oas_bits)
		return way_fault_config(w, C_BAD_SUBSTREAMID);
	*addr = (l1 & mask(52) & ~mask(split + 6)) +
		(ssid & mask(split)) * 64ULL;
	return true;
}

static bool get_cd(struct way *w, uint32_t ssid)
{
	struct tables t;
	uint64_t addr = 0, pa = 0;

	if (!find_cd(w, ssid, &addr) || !way_locate(w, addr, CLASS_CD, &pa))
		return false;
	if (!way_load(w->r, pa, w->cd, 8))
		return way_fault(w, F_CD_FETCH, false, 0, 0, pa);
	if (!bits(w->cd[0], 31, 31) || !bits(w->cd[0], 41, 41) ||
	    !way_s1_tables(w, 0, &t) || !way_s1_tables(w, 1, &t))
		return way_fault_config(w, C_BAD_CD);
	return true;
}

/* 5.2, S1DSS and S1CDMax: what a transaction's SubstreamID means */
static bool route(struct way *w, bool *s1)
{
	uint64_t max = *s1 ? bits(w->ste[0], 63, 59) : 0;
	uint64_t dss = bits(w->ste[1], 1, 0);

	if (w->a->ssv) {
		if (!max || w->a->ssid >> max)
			return way_fault_config(w, C_BAD_SUBSTREAMID);
		if (!w->a->ssid && dss == 2)
			return way_fault_config(w, F_STREAM_DISABLED);
		return true;
	}
	if (max && (dss == 0 || dss == 3))
		return way_fault_config(w, F_STREAM_DISABLED);
	if (max && dss == 1)
		*s1 = false;
	return true;
}

static struct ref_context *context_of(struct ref *r, const struct ref_access *a)
{
	for (size_t n = 0; n < r->contexts; n++) {
		struct ref_context *c = &r->context[n];

		if (c->sid == a->sid && c->ssv == a->ssv &&
		    (!a->ssv || c->ssid == a->ssid))
			return c;
	}
	return NULL;
}

/* What the STE makes of the access, 5.2 PRIVCFG and INSTCFG */
static void override(struct way *w)
{
	uint64_t privcfg = bits(w->ste[1], 49, 48);
	uint64_t instcfg = bits(w->ste[1], 51, 50);

	if (privcfg & 2)
		w->out->priv = privcfg & 1;
	if (instcfg & 2)
		w->out->exec = instcfg & 1;
	if (w->a->write)
		w->out->exec = false;
}

/* STE and CD of the access, from caches or memory; *s1: is there stage 1? */
static bool configure(struct way *w, bool *s1)
{
	struct ref *r = w->r;
	const struct ref_context *known = context_of(r, w->a);

	if (w->look == REF_CACHED && known) {
		memcpy(w->ste, known->ste, sizeof(w->ste));
		memcpy(w->cd, known->cd, sizeof(w->cd));
		*s1 = known->has_cd;
		w->out->used = true;
		override(w);
		return true;
	}
	if (!get_ste(w))
		return false;
	if (!bits(w->ste[0], 3, 3)) /* Config 0b0xx: aborted, no event */
		return false;
	override(w);
	*s1 = bits(w->ste[0], 1, 1);
	if (!route(w, s1))
		return false;
	w->vmid = bits(w->ste[2], 15, 0);
	if (*s1 && !get_cd(w, w->a->ssv ? w->a->ssid : 0))
		return false;
	r->keep_context = w->look == REF_CACHED;
	r->new_context = (struct ref_context){
		.sid = w->a->sid,
		.ssid = w->a->ssid,
		.ssv = w->a->ssv,
		.has_cd = *s1,
		.cd_ssid = w->a->ssv ? w->a->ssid : 0,
	};
	memcpy(r->new_context.ste, w->ste, sizeof(w->ste));
	memcpy(r->new_context.cd, w->cd, sizeof(w->cd));
	return true;
}

/* 7.2: R bits, and CR2.RECINVSID for StreamIDs that are out of range */
static bool recorded(const struct way *w)
{
	uint8_t event = w->out->event;

	if (event == C_BAD_STREAMID)
		return w->r->recinvsid;
	if (event < F_TRANSLATION)
		return event;
	if (w->out->s2)
		return bits(w->ste[2], 58, 58);
	return w->asid == NO_ASID || bits(w->cd[0], 45, 45);
}

void ref_translate(struct ref *r, const struct ref_access *a,
		   enum ref_look look, unsigned int choice,
		   struct ref_outcome *out)
{
	struct way w = {
		.r = r,
		.a = a,
		.out = out,
		.look = look,
		.choice = choice,
		.asid = NO_ASID,
	};
	bool s1 = false;

	*out = (struct ref_outcome){
		.result = REF_ABORTED,
		.priv = a->priv,
		.exec = a->exec && !a->write,
		.ways = 1,
	};
	r->fresh = 0;
	r->keep_context = false;
	r->keep_l1cd = false;
	r->new_stream = (struct ref_stream){ 0 };
	if (!r->smmuen) { /* 6.3.13; nothing is recorded */
		if (!r->gbpa_abort && !(a->addr >> r->oas_bits)) {
			out->result = REF_BYPASSED;
			out->pa = a->addr;
		}
		return;
	}
	if (configure(&w, &s1)) {
		w.vmid = bits(w.ste[2], 15, 0);
		w.need = need_of(&w, a->write, out->exec);
		if (s1)
			path_s1(&w, way_has_s2(&w));
		else if (way_has_s2(&w))
			path_s2(&w);
		else
			path_bypass(&w);
	}
	out->recorded = recorded(&w);
}
