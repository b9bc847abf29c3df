// SPDX-License-Identifier: MIT
/*
 * What stays cached after a translation, and what commands take away: Arm IHI
 * 0070, 4.3 and 4.4. See ref.h.
 */
#include "ref.h"

#include <string.h>

static void commit_stream(struct ref *r)
{
	const struct ref_stream *new = &r->new_stream;
	struct ref_stream *s = ref_stream_of(r, new->sid);

	if (!new->has_ste && !new->has_l1)
		return;
	if (!s) {
		if (r->streams == REF_STREAMS) {
			r->overflow = true;
			return;
		}
		s = &r->stream[r->streams++];
		*s = (struct ref_stream){ .sid = new->sid };
	}
	if (new->has_l1) {
		s->has_l1 = true;
		s->l1_addr = new->l1_addr;
		s->l1 = new->l1;
	}
	if (new->has_ste) {
		s->has_ste = true;
		memcpy(s->ste, new->ste, sizeof(s->ste));
	}
}

static void commit_l1cd(struct ref *r)
{
	const struct ref_l1cd *new = &r->new_l1cd;
	struct ref_l1cd *known = ref_l1cd_of(r, new->sid, new->index);

	if (!r->keep_l1cd)
		return;
	r->keep_l1cd = false;
	if (known)
		*known = *new;
	else if (r->l1cds == REF_L1CDS)
		r->overflow = true;
	else
		r->l1cd[r->l1cds++] = *new;
}

void ref_commit(struct ref *r)
{
	size_t kept = 0;

	for (size_t n = 0; n < r->count + r->fresh; n++) {
		if (!ref_replaced(r, n))
			r->entry[kept++] = r->entry[n];
	}
	r->count = kept;
	r->fresh = 0;
	commit_stream(r);
	commit_l1cd(r);
	if (!r->keep_context)
		return;
	r->keep_context = false;
	if (r->contexts == REF_CONTEXTS)
		r->overflow = true;
	else
		r->context[r->contexts++] = r->new_context;
}

/*
 * TLBI: each command is a question asked of every entry
 */

struct tlbi {
	uint8_t op;
	uint32_t vmid;
	uint32_t asid;
	uint64_t first;
	uint64_t last;
	unsigned int granule; /* 0: any */
	unsigned int level;   /* TTL; 0: any */
	bool leaf_only;
};

static uint32_t field(uint64_t word, unsigned int high, unsigned int low)
{
	return (uint32_t)((word >> low) & ((2ULL << (high - low)) - 1));
}

/* 4.4.1.1: (NUM + 1) * 2^SCALE granules from the address; TG 0: 4 KB */
static void tlbi_decode(const uint64_t cmd[2], struct tlbi *t)
{
	uint32_t tg = field(cmd[1], 11, 10);
	__uint128_t last;

	*t = (struct tlbi){
		.op = (uint8_t)cmd[0],
		.vmid = field(cmd[0], 47, 32),
		.asid = field(cmd[0], 63, 48),
		.first = cmd[1] & ~0xfffULL,
		.leaf_only = cmd[1] & 1,
	};
	last = 4096;
	if (tg) {
		t->granule = 10 + 2 * tg;
		t->level = field(cmd[1], 9, 8);
		if (tg == 2 && t->level == 1) /* there is none with 16 KB */
			t->level = 0;
		last = field(cmd[0], 16, 12) + 1;
		last <<= field(cmd[0], 24, 20) + t->granule;
	}
	last += t->first;
	last--;
	t->last = last > ~0ULL ? ~0ULL : (uint64_t)last;
}

/*
 * By address: an entry goes if its leaf lies in the range, its granule is TG's
 * and its level TTL's; tables only without Leaf, and above the level of TTL.
 */
static bool in_range(const struct tlbi *t, const struct ref_entry *e,
		     bool table)
{
	uint64_t end = e->leaf + ((1ULL << e->leaf_lg2) - 1);

	if (e->leaf > t->last || end < t->first)
		return false;
	if (t->granule && t->granule != e->granule_lg2)
		return false;
	if (table)
		return !t->leaf_only && (!t->level || e->level < t->level);
	return !t->level || t->level == e->level;
}

static bool removes(const struct tlbi *t, const struct ref_entry *e)
{
	bool table = e->kind == REF_S1_TABLE || e->kind == REF_S2_TABLE;
	bool stage2 = e->kind == REF_S2 || e->kind == REF_S2_TABLE;

	if (t->op == 0x30) /* NSNH_ALL */
		return true;
	if (t->vmid != e->vmid)
		return false;
	switch (t->op) {
	case 0x10: /* NH_ALL */
		return !stage2;
	case 0x11: /* NH_ASID: not the global ones */
		return !stage2 && !e->global && t->asid == e->asid;
	case 0x12: /* NH_VA: the global ones too */
		return !stage2 && (e->global || t->asid == e->asid) &&
		       in_range(t, e, table);
	case 0x13: /* NH_VAA */
		return !stage2 && in_range(t, e, table);
	case 0x28: /* S12_VMALL */
		return true;
	case 0x2a: /* S2_IPA: nothing that stage 1 had a part in */
		return stage2 && in_range(t, e, table);
	default:
		return false;
	}
}

static void tlbi(struct ref *r, const uint64_t cmd[2])
{
	struct tlbi t;
	size_t kept = 0;

	tlbi_decode(cmd, &t);
	for (size_t n = 0; n < r->count; n++) {
		if (!removes(&t, &r->entry[n]))
			r->entry[kept++] = r->entry[n];
	}
	r->count = kept;
}

/*
 * CFGI
 */

static void drop_contexts(struct ref *r, uint32_t first, uint32_t last,
			  bool cds_only, const uint32_t *ssid)
{
	size_t kept = 0;

	for (size_t n = 0; n < r->contexts; n++) {
		const struct ref_context *c = &r->context[n];

		if (c->sid < first || c->sid > last ||
		    (cds_only && !c->has_cd) || (ssid && *ssid != c->cd_ssid))
			r->context[kept++] = *c;
	}
	r->contexts = kept;
}

/* @ssid: of that one's table only */
static void drop_l1cds(struct ref *r, uint32_t first, uint32_t last,
		       const uint32_t *ssid)
{
	size_t kept = 0;

	for (size_t n = 0; n < r->l1cds; n++) {
		const struct ref_l1cd *l = &r->l1cd[n];

		if (l->sid < first || l->sid > last ||
		    (ssid && *ssid >> l->split != l->index))
			r->l1cd[kept++] = *l;
	}
	r->l1cds = kept;
}

/* The STEs of [first, last], the CDs found through them, maybe L1STDs */
static void drop_stes(struct ref *r, uint32_t first, uint32_t last, bool l1)
{
	unsigned int split = field(r->strtab_cfg, 10, 6);

	for (size_t n = 0; n < r->streams; n++) {
		struct ref_stream *s = &r->stream[n];

		if (s->sid >= first && s->sid <= last)
			s->has_ste = false;
		/* an L1STD serves the neighbours as well */
		if (l1 && s->sid >> split >= first >> split &&
		    s->sid >> split <= last >> split)
			s->has_l1 = false;
	}
	drop_contexts(r, first, last, false, NULL);
	drop_l1cds(r, first, last, NULL);
}

void ref_command(struct ref *r, const uint64_t cmd[2])
{
	uint32_t sid = (uint32_t)(cmd[0] >> 32);
	uint32_t ssid = field(cmd[0], 31, 12);
	uint32_t low = (uint32_t)((2ULL << field(cmd[1], 4, 0)) - 1);

	switch (cmd[0] & 0xff) {
	case 0x03: /* CFGI_STE */
		drop_stes(r, sid, sid, !(cmd[1] & 1));
		break;
	case 0x04: /* CFGI_STE_RANGE: 2^(RANGE + 1) of them, aligned */
		drop_stes(r, sid & ~low, sid | low, true);
		break;
	case 0x05: /* CFGI_CD */
		drop_contexts(r, sid, sid, true, &ssid);
		if (!(cmd[1] & 1))
			drop_l1cds(r, sid, sid, &ssid);
		break;
	case 0x06: /* CFGI_CD_ALL */
		drop_contexts(r, sid, sid, true, NULL);
		drop_l1cds(r, sid, sid, NULL);
		break;
	default:
		tlbi(r, cmd);
		break;
	}
}
