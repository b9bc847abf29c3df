/* SPDX-License-Identifier: MIT */
/* What the reference's two halves share: ref.c and ref_walk.c. */
#ifndef TESTS_REFERENCE_WAY_H
#define TESTS_REFERENCE_WAY_H

#include "ref.h"

#define ALL_PERMS 0x77u
#define NO_ASID	  (~0u)

enum {
	C_BAD_STREAMID = 0x02,
	F_STE_FETCH = 0x03,
	C_BAD_STE = 0x04,
	F_STREAM_DISABLED = 0x06,
	C_BAD_SUBSTREAMID = 0x08,
	F_CD_FETCH = 0x09,
	C_BAD_CD = 0x0a,
	F_WALK_EABT = 0x0b,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

enum {
	CLASS_CD,
	CLASS_TT,
	CLASS_IN,
};

/* One set of tables */
struct tables {
	uint64_t base;
	unsigned int in_bits;
	unsigned int granule;
	unsigned int start;
	unsigned int out_bits;
	bool wide; /* descriptors hold 52-bit addresses */
	bool off;  /* EPD */
	bool had;
	bool e0pd;
};

/* A leaf as a walk found it */
struct leaf {
	uint64_t first;
	uint64_t out;
	unsigned int lg2;
	unsigned int level;
	uint8_t perms;
	bool global;
};

/* One translation on its way */
struct way {
	struct ref *r;
	const struct ref_access *a;
	struct ref_outcome *out;
	enum ref_look look;
	unsigned int choice;
	uint64_t ste[8];
	uint64_t cd[8];
	uint32_t vmid;
	uint32_t asid;
	uint8_t need;
};

static inline uint64_t bits(uint64_t word, unsigned int high, unsigned int low)
{
	return (word >> low) & (~0ULL >> (63 - (high - low)));
}

static inline uint64_t mask(unsigned int lg2)
{
	return lg2 >= 64 ? ~0ULL : (1ULL << lg2) - 1;
}

/* ref_walk.c; false: a fault, or nothing there */

bool way_load(const struct ref *r, uint64_t pa, uint64_t *words, size_t n);
/* Any fault; the fields that do not apply are zero. Always false. */
bool way_fault(struct way *w, uint8_t event, bool s2, uint8_t class,
	       uint64_t ipa, uint64_t fetch);
bool way_fault_s1(struct way *w, uint8_t event);
bool way_fault_config(struct way *w, uint8_t event);

void way_add(struct way *w, const struct ref_entry *e);
/*
 * The entry that serves @addr: the deepest, unless the choice says otherwise.
 * @t: for tables, which fit only a walk of the same geometry.
 */
const struct ref_entry *way_find(struct way *w, uint32_t kind, uint64_t addr,
				 const struct tables *t);

/* False if what the STE says of stage 2 is ILLEGAL (5.2) */
bool way_s2_tables(const struct way *w, struct tables *t);
bool way_has_s2(const struct way *w);
/* IPA to PA for @need, on behalf of @class */
bool way_s2(struct way *w, uint64_t ipa, uint8_t class, uint8_t need,
	    struct leaf *leaf);
/* Where something lies that stage 1 names by @addr */
bool way_locate(struct way *w, uint64_t addr, uint8_t class, uint64_t *pa);

/* False if the half of the CD is ILLEGAL (5.4) */
bool way_s1_tables(const struct way *w, unsigned int half, struct tables *t);
/* F_PERMISSION: *leaf says which refuses. */
bool way_s1(struct way *w, uint64_t va, const struct tables *t,
	    struct leaf *leaf);

#endif
