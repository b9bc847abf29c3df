/* SPDX-License-Identifier: MIT */
/*
 * A small reference of VT-d's translation, written from the specification
 * (chapters 3, 7 and 9) and from nothing else: no cache, one function per kind
 * of structure, and memory that it updates like the hardware it describes.
 */
#ifndef TESTS_REFERENCE_VTD_REF_H
#define TESTS_REFERENCE_VTD_REF_H

#include <stdbool.h>
#include <stdint.h>

/* [first, first + length) is memory, in @words. */
struct vref {
	uint64_t first;
	uint64_t length;
	uint64_t *words;
	uint64_t rtaddr;
};

struct vref_access {
	uint64_t addr;
	uint16_t sid;
	int64_t pasid; /* -1: without */
	bool write;
	bool priv;
};

struct vref_answer {
	uint8_t reason; /* 0: translated */
	bool silent;	/* an FPD */
	uint64_t pa;
};

/* Of a unit with all that the default one has, 48-bit host addresses */
struct vref_answer vref_translate(struct vref *r, const struct vref_access *a);

#endif
