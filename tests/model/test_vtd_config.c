// SPDX-License-Identifier: MIT
/* Root, context and PASID tables of VT-d: chapter 9, table 30. */
#include "vtd_pure.h"

#define SID 0x0a93u /* bus 10, device 18, function 3 */

/* HAW is 46: address bits above it */
#define BEYOND 0xffffc00000000000ULL

struct tables {
	struct pure p;
	uint64_t root;	  /* RTADDR, the mode in it */
	uint64_t context; /* the entry */
	uint64_t dir;
	uint64_t entry; /* of the PASID table */
};

static void setup(struct tables *t, bool scalable)
{
	uint64_t root, table;

	pure_up(&t->p);
	root = ppage(&t->p);
	table = ppage(&t->p);
	pat(&t->p, root + 10 * 16)[scalable ? 1 : 0] = table | 1;
	t->root = root | (scalable ? 0x400 : 0);
	if (!scalable) {
		t->context = table + 0x93 * 16;
		pat(&t->p, t->context)[0] = 0x00001234567ff000ULL | 1;
		pat(&t->p, t->context)[1] = 0x070902; /* DID 0x709, AW 48 */
		return;
	}
	t->context = table + 0x13 * 32;
	t->dir = ppage(&t->p);
	t->entry = ppage(&t->p);
	/* P; DTE, PASIDE; RID_PASID 0x41, in the second table */
	pat(&t->p, t->context)[0] = t->dir | 0xd;
	pat(&t->p, t->context)[1] = 0x41;
	pat(&t->p, t->dir)[1] = t->entry | 1;
	t->entry += 64;
	/* P, AW 48, first stage */
	pat(&t->p, t->entry)[0] = 0x49;
	pat(&t->p, t->entry)[1] = 0x0123; /* DID */
	pat(&t->p, t->entry)[2] = 0x00001234567ff000ULL;
}

static uint8_t source(struct tables *t)
{
	struct pure *p = &t->p;

	memset(&p->source, 0xee, sizeof(p->source));
	if (vtd_source_load(&p->env, &p->id, t->root, SID, &p->source,
			    &p->fault))
		return 0;
	assert_int_not_equal(p->fault.reason, 0);
	return p->fault.reason;
}

/* The way of a request as far as its space */
static uint8_t whole(struct tables *t, enum vtd_at at, int64_t pasid)
{
	struct pure *p = &t->p;
	struct vtd_input req = {
		.sid = SID,
		.at = at,
		.pv = pasid >= 0,
		.pasid = pasid >= 0 ? (uint32_t)pasid : 0,
	};
	uint8_t reason;
	uint32_t found;

	if (!vtd_mode_admits(t->root, &req, &p->fault))
		return p->fault.reason;
	reason = source(t);
	if (reason)
		return reason;
	if (!vtd_source_admits(&p->id, &p->source, &req, &found, &p->fault) ||
	    !vtd_space_load(&p->env, &p->id, &p->source, found, &p->space,
			    &p->fault))
		return p->fault.reason;
	return 0;
}

static uint8_t plain(struct tables *t)
{
	return whole(t, VTD_AT_UNTRANSLATED, -1);
}

/* Each bit of @reserved faults with @reason, each of @ignored changes nothing.
 */
static void sweep(struct tables *t, uint64_t pa, uint64_t reserved,
		  uint64_t ignored, uint8_t reason)
{
	struct vtd_source source_was;
	struct vtd_space space_was;
	uint64_t *word = pat(&t->p, pa);
	uint64_t was = *word;

	assert_int_equal(reserved & ignored, 0);
	assert_int_equal(plain(t), 0);
	source_was = t->p.source;
	space_was = t->p.space;
	for (unsigned int n = 0; n < 64; n++) {
		*word = was ^ (1ULL << n);
		if (reserved >> n & 1) {
			assert_int_equal(plain(t), reason);
		} else if (ignored >> n & 1) {
			assert_int_equal(plain(t), 0);
			assert_memory_equal(&source_was, &t->p.source,
					    sizeof(source_was));
			assert_memory_equal(&space_was, &t->p.space,
					    sizeof(space_was));
		}
		*word = was;
	}
}

/* ---- legacy mode ---- */

static void a_legacy_context_says_where_the_second_stage_is(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	assert_int_equal(plain(&t), 0);
	assert_false(t.p.space.scalable);
	assert_int_equal(t.p.space.pgtt, 2);
	assert_int_equal(t.p.space.did, 0x709);
	assert_int_equal(t.p.space.ss_levels, 4);
	assert_int_equal(t.p.space.ss_bits, 48);
	assert_int_equal(t.p.space.ss_root, 0x00001234567ff000ULL);
	pure_down(&t.p);
}

static void legacy_entries_that_are_not_present_fault_by_level(void **state)
{
	struct tables t;
	uint64_t root;

	(void)state;
	setup(&t, false);
	root = t.root + 10 * 16;
	*pat(&t.p, t.context) ^= 1;
	assert_int_equal(plain(&t), 0x2);
	*pat(&t.p, root) ^= 1;
	assert_int_equal(plain(&t), 0x1);
	*pat(&t.p, root) = (NOWHERE & 0x00003ffffffff000ULL) | 1;
	assert_int_equal(plain(&t), 0x9);
	assert_false(t.p.fault.unreported);
	t.root = NOWHERE & 0x00003ffffffff000ULL;
	assert_int_equal(plain(&t), 0x8);
	pure_down(&t.p);
}

static void legacy_reserved_bits_fault_one_by_one(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	sweep(&t, t.root + 10 * 16, 0xffe | BEYOND, 0, 0xa);
	sweep(&t, t.root + 10 * 16 + 8, ~0ULL, 0, 0xa);
	sweep(&t, t.context, 0xff0 | BEYOND, 0, 0xb);
	sweep(&t, t.context + 8, 0xffffffffff000080ULL, 0x78, 0xb);
	/* 8-bit domain ids: the upper half of DID is reserved */
	t.p.id.cap = (P_CAP & ~7ULL) | 2;
	*pat(&t.p, t.context + 8) = 0x000902;
	sweep(&t, t.context + 8, 0xffffffffffff0080ULL, 0x78, 0xb);
	pure_down(&t.p);
}

static void reserved_bits_do_not_count_where_nothing_is_present(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	*pat(&t.p, t.context) = 0xff0;
	assert_int_equal(plain(&t), 0x2);
	*pat(&t.p, t.root + 10 * 16) = ~1ULL;
	assert_int_equal(plain(&t), 0x1);
	pure_down(&t.p);
}

static void legacy_widths_and_types_must_be_offered(void **state)
{
	static const uint8_t by_aw[8] = { 3, 0, 0, 0, 3, 3, 3, 3 };
	static const uint8_t by_tt[4] = { 0, 0, 0, 3 };
	struct tables t;
	uint64_t was;

	(void)state;
	setup(&t, false);
	was = *pat(&t.p, t.context + 8);
	for (uint64_t aw = 0; aw < 8; aw++) {
		*pat(&t.p, t.context + 8) = (was & ~7ULL) | aw;
		assert_int_equal(plain(&t), by_aw[aw]);
		if (!by_aw[aw])
			assert_int_equal(t.p.space.ss_levels, aw + 2);
	}
	t.p.id.cap &= ~0x800ULL; /* SAGAW without 57 */
	*pat(&t.p, t.context + 8) = (was & ~7ULL) | 3;
	assert_int_equal(plain(&t), 3);
	*pat(&t.p, t.context + 8) = was;
	was = *pat(&t.p, t.context);
	for (uint64_t tt = 0; tt < 4; tt++) {
		*pat(&t.p, t.context) = was | tt << 2;
		assert_int_equal(plain(&t), by_tt[tt]);
	}
	t.p.id.ecap = P_ECAP & ~(E_DT | E_PT);
	for (uint64_t tt = 1; tt < 4; tt++) {
		*pat(&t.p, t.context) = was | tt << 2;
		assert_int_equal(plain(&t), 3);
	}
	pure_down(&t.p);
}

static void legacy_pass_through_ignores_the_pointer(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	*pat(&t.p, t.context) |= 0x8;
	assert_int_equal(plain(&t), 0);
	assert_int_equal(t.p.space.pgtt, 4);
	*pat(&t.p, t.context) |= BEYOND;
	assert_int_equal(plain(&t), 0);
	pure_down(&t.p);
}

static void legacy_types_block_ats(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	for (uint64_t tt = 0; tt < 3; tt++) {
		*pat(&t.p, t.context) = 0x00001234567ff001ULL | tt << 2;
		assert_int_equal(whole(&t, VTD_AT_REQUEST, -1),
				 tt == 1 ? 0 : 0xd);
		assert_int_equal(whole(&t, VTD_AT_TRANSLATED, -1),
				 tt == 1 ? 0 : 0xd);
	}
	pure_down(&t.p);
}

static void legacy_mode_knows_no_pasid(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	*pat(&t.p, t.root + 10 * 16) = 0; /* it is not even looked at */
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 7), 0x31);
	assert_false(t.p.fault.unreported);
	pure_down(&t.p);
}

static void fpd_of_a_legacy_context_silences_qualified_faults(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, false);
	*pat(&t.p, t.context) = 2;
	assert_int_equal(plain(&t), 0x2);
	assert_true(t.p.fault.unreported);
	*pat(&t.p, t.context) = 0x13;
	assert_int_equal(plain(&t), 0xb);
	assert_true(t.p.fault.unreported);
	*pat(&t.p, t.context) = 0x3;
	assert_int_equal(whole(&t, VTD_AT_REQUEST, -1), 0xd);
	assert_true(t.p.fault.unreported);
	assert_int_equal(plain(&t), 0);
	assert_true(t.p.space.fpd);
	*pat(&t.p, t.root + 10 * 16) = 0;
	assert_int_equal(plain(&t), 0x1);
	assert_false(t.p.fault.unreported);
	pure_down(&t.p);
}

/* ---- modes ---- */

static void translation_table_modes_that_are_none_fault(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	t.root = (t.root & ~0xc00ULL) | 0x800;
	assert_int_equal(plain(&t), 0x30);
	t.root |= 0xc00;
	assert_int_equal(plain(&t), 0x33);
	t.p.id.ecap &= ~E_ADMS;
	assert_int_equal(plain(&t), 0x30);
	t.root = (t.root & ~0xc00ULL) | 0x400;
	t.p.id.ecap &= ~E_SMTS;
	assert_int_equal(plain(&t), 0x30);
	assert_false(t.p.fault.unreported);
	pure_down(&t.p);
}

/* ---- scalable mode ---- */

static void a_pasid_entry_says_what_a_space_is(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	assert_int_equal(plain(&t), 0);
	assert_true(t.p.space.scalable);
	assert_int_equal(t.p.space.pasid, 0x41);
	assert_int_equal(t.p.space.did, 0x123);
	assert_int_equal(t.p.space.pgtt, 1);
	assert_int_equal(t.p.space.fs_levels, 4);
	assert_int_equal(t.p.space.fs_root, 0x00001234567ff000ULL);
	assert_false(t.p.space.sre || t.p.space.wpe || t.p.space.eafe ||
		     t.p.space.ssade || t.p.space.pwsnp);
	/* SRE, 5 levels, WPE, EAFE; PWSNP; SSADE */
	pat(&t.p, t.entry)[2] |= 0x95;
	pat(&t.p, t.entry)[1] |= 0x800000;
	pat(&t.p, t.entry)[0] |= 0x200;
	assert_int_equal(plain(&t), 0);
	assert_int_equal(t.p.space.fs_levels, 5);
	assert_true(t.p.space.sre && t.p.space.wpe && t.p.space.eafe &&
		    t.p.space.ssade && t.p.space.pwsnp);
	pure_down(&t.p);
}

static void scalable_entries_that_are_not_present_fault_by_level(void **state)
{
	struct tables t;
	uint64_t root;

	(void)state;
	setup(&t, true);
	root = (t.root & ~0xfffULL) + 10 * 16 + 8;
	*pat(&t.p, t.entry) ^= 1;
	assert_int_equal(plain(&t), 0x59);
	*pat(&t.p, t.dir + 8) ^= 1;
	assert_int_equal(plain(&t), 0x51);
	*pat(&t.p, t.context) ^= 1;
	assert_int_equal(plain(&t), 0x41);
	*pat(&t.p, root) ^= 1;
	assert_int_equal(plain(&t), 0x39);
	pure_down(&t.p);
}

static void scalable_tables_that_cannot_be_read_fault_by_level(void **state)
{
	struct tables t;
	uint64_t root;
	uint64_t nowhere = NOWHERE & 0x00003ffffffff000ULL;

	(void)state;
	setup(&t, true);
	root = (t.root & ~0xfffULL) + 10 * 16 + 8;
	*pat(&t.p, t.context) |= 2; /* FPD: SPD.1 and SPT.1 are not qualified */
	*pat(&t.p, t.dir + 8) = nowhere | 1;
	assert_int_equal(plain(&t), 0x58);
	assert_false(t.p.fault.unreported);
	*pat(&t.p, t.context) = nowhere | 0xf;
	assert_int_equal(plain(&t), 0x50);
	assert_false(t.p.fault.unreported);
	*pat(&t.p, root) = nowhere | 1;
	assert_int_equal(plain(&t), 0x40);
	t.root = nowhere | 0x400;
	assert_int_equal(plain(&t), 0x38);
	pure_down(&t.p);
}

/*
 * Each way down takes one entry of each kind of table, wherever it lies: one
 * that leads back is read as what it is reached as. An address of a page with P
 * set is a legal entry of a directory; as a PASID entry it has PGTT 0, which is
 * none (SPT.4), and beside it reserved bits (SPT.3).
 */
static void pasid_directories_that_loop_fault_or_are_read_as_both(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	/* PASID 0x41 is entry 1 of table 1: in this page, words 8 to 15 */
	pat(&t.p, t.dir)[1] = t.dir | 1;
	assert_int_equal(plain(&t), 0x59); /* zeros: SPT.2 */
	pat(&t.p, t.dir)[8] = t.dir | 1;
	assert_int_equal(plain(&t), 0x5b);
	for (unsigned int n = 0; n < 512; n++)
		pat(&t.p, t.dir)[n] = t.dir | 1;
	assert_int_equal(plain(&t), 0x5a);
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x1fff), 0x5a);
	/* a PASID entry there, which as one of the directory is SPD.3 */
	memset(pat(&t.p, t.dir), 0, 4096);
	pat(&t.p, t.dir)[1] = t.dir | 1;
	pat(&t.p, t.dir)[8] = 0x49;
	pat(&t.p, t.dir)[9] = 0x0123;
	pat(&t.p, t.dir)[10] = 0x00001234567ff000ULL;
	assert_int_equal(plain(&t), 0);
	assert_int_equal(t.p.space.did, 0x123);
	assert_true(t.p.space.fs_root == 0x00001234567ff000ULL);
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 8 * 64), 0x52);
	pure_down(&t.p);
}

static void roots_and_contexts_that_loop_fault(void **state)
{
	struct tables t;
	uint64_t root;

	(void)state;
	setup(&t, true);
	root = t.root & ~0xfffULL;
	/* the directory is the context table; entry 1 of that is zeros: SPD.2
	 */
	pat(&t.p, t.context)[0] = (t.context & ~0xfffULL) | 0xd;
	assert_int_equal(plain(&t), 0x51);
	/* the root table; entry 21 is bus 10's upper half, by PASID */
	pat(&t.p, t.context)[0] = root | 0xd;
	assert_int_equal(plain(&t), 0x51);
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 21 * 64), 0x59);
	/* the root table is the context table: bus 38's, zeros: SCT.2 */
	pat(&t.p, root + 10 * 16)[1] = root | 1;
	assert_int_equal(plain(&t), 0x41);
	/* and the directory, and the PASID table: SPT.4 */
	pat(&t.p, root + 0x13 * 32)[0] = root | 0xd;
	pat(&t.p, root)[0] = root | 1;
	assert_int_equal(plain(&t), 0x5b);
	pure_down(&t.p);
}

static void scalable_reserved_bits_fault_one_by_one(void **state)
{
	struct tables t;
	uint64_t root;

	(void)state;
	setup(&t, true);
	root = (t.root & ~0xfffULL) + 10 * 16;
	sweep(&t, root, 0, ~0ULL, 0); /* the half of devices 0 to 15 */
	sweep(&t, root + 8, 0xffe | BEYOND, 0, 0x3a);
	sweep(&t, t.context, 0x1e0 | BEYOND, 0, 0x42);
	sweep(&t, t.context + 8, ~0x1fffffULL, 0, 0x42);
	sweep(&t, t.context + 16, ~0ULL, 0, 0x42);
	sweep(&t, t.context + 24, ~0ULL, 0, 0x42);
	sweep(&t, t.dir + 8, 0xffc | BEYOND, 0, 0x52);
	sweep(&t, t.entry, 0xc20 | BEYOND, 0, 0x5a);
	/* PAT, EMTE, CD are of memory types */
	sweep(&t, t.entry + 8, 0xfffffffffe7f0000ULL & ~0x1000000ULL, 0, 0x5a);
	sweep(&t, t.entry + 16, 0xf02 | BEYOND, 0x60, 0x5a);
	for (unsigned int n = 3; n < 8; n++)
		sweep(&t, t.entry + 8 * n, ~0ULL, 0, 0x5a);
	pure_down(&t.p);
}

static void fields_that_are_not_offered_are_reserved(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	t.p.id.ecap = P_ECAP & ~(E_PRS | E_RPRIVS);
	sweep(&t, t.context, 0x10, 0, 0x42);
	sweep(&t, t.context + 8, 0x100000, 0, 0x42);
	t.p.id.ecap = P_ECAP & ~(E_SC | E_SMPWC | E_SRS | E_EAFS | E_SSADS);
	sweep(&t, t.entry, 0x200, 0, 0x5a);
	sweep(&t, t.entry + 8, 0x1800000, 0, 0x5a);
	sweep(&t, t.entry + 16, 0x81, 0, 0x5a);
	t.p.id.ecap = P_ECAP & ~(E_SSTS | E_NEST);
	pat(&t.p, t.entry)[0] = 0x41;
	sweep(&t, t.entry, 0x3ffffffff21cULL & ~0x1c0ULL, 0, 0x5a);
	t.p.id.ecap = P_ECAP & ~(E_PASID | E_DT);
	pat(&t.p, t.context)[0] &= ~0xcULL;
	sweep(&t, t.context, 0xc, 0, 0x42);
	t.p.id.ecap = P_ECAP & ~E_RPS;
	assert_int_equal(plain(&t), 0x42); /* RID_PASID 0x41 */
	pure_down(&t.p);
}

static void first_stage_fields_are_reserved_without_it(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	t.p.id.ecap = P_ECAP & ~(E_FSTS | E_NEST);
	pat(&t.p, t.entry)[0] = 0x89; /* second stage */
	pat(&t.p, t.entry)[2] = 0;
	sweep(&t, t.entry + 16, 0x3ffffffff01cULL, 0, 0x5a);
	pure_down(&t.p);
}

static void types_of_translation_must_be_offered(void **state)
{
	static const struct {
		uint64_t pgtt;
		uint64_t needs;
	} types[] = {
		{ 1, E_FSTS }, { 2, E_SSTS }, { 3, E_NEST }, { 4, E_PT }
	};
	struct tables t;

	(void)state;
	setup(&t, true);
	pat(&t.p, t.entry)[2] = 0;
	for (unsigned int pgtt = 0; pgtt < 8; pgtt++) {
		pat(&t.p, t.entry)[0] = 0x9 | (uint64_t)pgtt << 6;
		assert_int_equal(plain(&t), pgtt >= 1 && pgtt <= 4 ? 0 : 0x5b);
	}
	for (unsigned int n = 0; n < 4; n++) {
		t.p.id.ecap = P_ECAP & ~types[n].needs;
		if (types[n].needs == E_SSTS)
			continue; /* AW would be reserved first */
		pat(&t.p, t.entry)[0] = 0x9 | types[n].pgtt << 6;
		assert_int_equal(plain(&t), 0x5b);
	}
	pure_down(&t.p);
}

static void programming_that_cannot_be_used_faults(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	/* AW counts with a second stage only */
	for (uint64_t aw = 0; aw < 8; aw++) {
		bool good = aw >= 1 && aw <= 3;

		pat(&t.p, t.entry)[0] = 0x41 | aw << 2;
		assert_int_equal(plain(&t), 0);
		pat(&t.p, t.entry)[0] = 0x81 | aw << 2;
		assert_int_equal(plain(&t), good ? 0 : 0x5b);
	}
	pat(&t.p, t.entry)[0] = 0x49;
	pat(&t.p, t.entry)[2] = 0x8; /* FSPM 2, then 3 */
	assert_int_equal(plain(&t), 0x5b);
	pat(&t.p, t.entry)[2] = 0xc;
	assert_int_equal(plain(&t), 0x5b);
	pat(&t.p, t.entry)[2] = 0x4;
	assert_int_equal(plain(&t), 0);
	t.p.id.cap &= ~(1ULL << 60); /* FS5LP */
	assert_int_equal(plain(&t), 0x5b);
	/* nested: the root is a GPA below 2^39 */
	pat(&t.p, t.entry)[0] = 0xc5;
	pat(&t.p, t.entry)[2] = 0x7ffffff000ULL;
	assert_int_equal(plain(&t), 0);
	pat(&t.p, t.entry)[2] = 0x8000000000ULL;
	assert_int_equal(plain(&t), 0x5b);
	pure_down(&t.p);
}

static void contexts_that_contradict_themselves_fault(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	*pat(&t.p, t.context) = (*pat(&t.p, t.context) & ~0x4ULL) | 0x10;
	assert_int_equal(plain(&t), 0x43); /* PRE without DTE */
	*pat(&t.p, t.context) |= 0x4;
	assert_int_equal(plain(&t), 0);
	/* PDTS 0: 128 directory entries, PASIDs below 8192 */
	*pat(&t.p, t.context + 8) = 0x2000;
	assert_int_equal(plain(&t), 0x43);
	*pat(&t.p, t.context) |= 0x200;
	assert_int_equal(plain(&t), 0x51);
	pure_down(&t.p);
}

static void requests_are_admitted_by_the_context(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	pat(&t.p, t.entry - 64)[0] = 0x49; /* PASID 0x40 */
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x40), 0);
	assert_int_equal(t.p.space.pasid, 0x40);
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x41), 0x48);
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x2000), 0x46);
	assert_int_equal(whole(&t, VTD_AT_TRANSLATED, 0x40), 0x49);
	*pat(&t.p, t.context) &= ~8ULL; /* PASIDE */
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x40), 0x45);
	assert_int_equal(plain(&t), 0);
	assert_int_equal(whole(&t, VTD_AT_REQUEST, -1), 0);
	*pat(&t.p, t.context) &= ~4ULL; /* DTE */
	assert_int_equal(whole(&t, VTD_AT_REQUEST, -1), 0x44);
	assert_int_equal(whole(&t, VTD_AT_TRANSLATED, -1), 0x44);
	/* 8-bit PASIDs */
	t.p.id.ecap = (P_ECAP & ~(0x1fULL << 35)) | 7ULL << 35;
	assert_int_equal(whole(&t, VTD_AT_UNTRANSLATED, 0x100), 0x89);
	/* not of page requests: PASIDE, no directory entry, PDTS */
	assert_int_equal(whole(&t, VTD_AT_PAGE, 0x100), 0x45);
	*pat(&t.p, t.context) |= 0xc;
	assert_int_equal(whole(&t, VTD_AT_REQUEST, 0x100), 0x89);
	assert_int_equal(whole(&t, VTD_AT_TRANSLATED, 0x100), 0x89);
	assert_int_equal(whole(&t, VTD_AT_PAGE, 0x100), 0x51);
	assert_int_equal(whole(&t, VTD_AT_PAGE, 0x2000), 0x46);
	assert_int_equal(whole(&t, VTD_AT_PAGE, 0x40), 0);
	pure_down(&t.p);
}

static void without_rid_pasid_it_is_zero(void **state)
{
	struct tables t;

	(void)state;
	setup(&t, true);
	t.p.id.ecap &= ~E_RPS;
	*pat(&t.p, t.context + 8) = 0;
	assert_int_equal(plain(&t), 0x51); /* directory entry 0 */
	pure_down(&t.p);
}

static void fpd_anywhere_on_the_way_silences(void **state)
{
	struct tables t;
	uint64_t fpd[3];

	(void)state;
	setup(&t, true);
	fpd[0] = t.context;
	fpd[1] = t.dir + 8;
	fpd[2] = t.entry;
	*pat(&t.p, t.entry) &= ~1ULL;
	for (unsigned int n = 0; n < 3; n++) {
		assert_int_equal(plain(&t), 0x59);
		assert_false(t.p.fault.unreported);
		*pat(&t.p, fpd[n]) |= 2;
		assert_int_equal(plain(&t), 0x59);
		assert_true(t.p.fault.unreported);
		*pat(&t.p, fpd[n]) &= ~2ULL;
	}
	pure_down(&t.p);
}

static void spaces_let_requests_in(void **state)
{
	struct vtd_space space = { .scalable = true, .pgtt = 1, .fpd = true };
	struct vtd_input req = { .pv = true };
	struct vtd_denial fault;

	(void)state;
	assert_true(vtd_space_admits(&space, &req, &fault));
	req.priv = true;
	assert_false(vtd_space_admits(&space, &req, &fault));
	assert_int_equal(fault.reason, 0x5d);
	assert_true(fault.unreported);
	space.sre = true;
	assert_true(vtd_space_admits(&space, &req, &fault));
	req.exec = true;
	assert_false(vtd_space_admits(&space, &req, &fault));
	assert_int_equal(fault.reason, 0x5c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_legacy_context_says_where_the_second_stage_is),
		cmocka_unit_test(
			legacy_entries_that_are_not_present_fault_by_level),
		cmocka_unit_test(legacy_reserved_bits_fault_one_by_one),
		cmocka_unit_test(
			reserved_bits_do_not_count_where_nothing_is_present),
		cmocka_unit_test(legacy_widths_and_types_must_be_offered),
		cmocka_unit_test(legacy_pass_through_ignores_the_pointer),
		cmocka_unit_test(legacy_types_block_ats),
		cmocka_unit_test(legacy_mode_knows_no_pasid),
		cmocka_unit_test(
			fpd_of_a_legacy_context_silences_qualified_faults),
		cmocka_unit_test(translation_table_modes_that_are_none_fault),
		cmocka_unit_test(a_pasid_entry_says_what_a_space_is),
		cmocka_unit_test(
			scalable_entries_that_are_not_present_fault_by_level),
		cmocka_unit_test(
			scalable_tables_that_cannot_be_read_fault_by_level),
		cmocka_unit_test(
			pasid_directories_that_loop_fault_or_are_read_as_both),
		cmocka_unit_test(roots_and_contexts_that_loop_fault),
		cmocka_unit_test(scalable_reserved_bits_fault_one_by_one),
		cmocka_unit_test(fields_that_are_not_offered_are_reserved),
		cmocka_unit_test(first_stage_fields_are_reserved_without_it),
		cmocka_unit_test(types_of_translation_must_be_offered),
		cmocka_unit_test(programming_that_cannot_be_used_faults),
		cmocka_unit_test(contexts_that_contradict_themselves_fault),
		cmocka_unit_test(requests_are_admitted_by_the_context),
		cmocka_unit_test(without_rid_pasid_it_is_zero),
		cmocka_unit_test(fpd_anywhere_on_the_way_silences),
		cmocka_unit_test(spaces_let_requests_in),
	};

	return cmocka_run_group_tests(tests, pure_group, NULL);
}
