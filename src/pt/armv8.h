/* SPDX-License-Identifier: MIT */
/*
 * VMSAv8-64 translation tables (Arm ARM DDI 0487, D8), stage 1 (one TTBR0
 * range) and stage 2, as a format for pt/tree.h. Addresses are below 2^48.
 * PT_PROT_WRITE implies reading in stage 1.
 */
#ifndef PT_ARMV8_H
#define PT_ARMV8_H

#include "pt/tree.h"

struct armv8_pt_config {
	unsigned int stage;	  /* 1 or 2 */
	unsigned int granule_lg2; /* 12, 14 or 16 */
	unsigned int ias;	  /* bits of an input address, 32..48 */
	unsigned int oas;	  /* bits of an output address, 32..48 */
	/* stage 1: indices into MAIR */
	unsigned int attr_normal;
	unsigned int attr_device;
};

/* What goes into a CD or STE. */
struct armv8_pt_root {
	uint64_t ttb;
	unsigned int t0sz;
	unsigned int start_level;
	unsigned int sl0; /* stage 2: the encoding of start_level */
};

/* Leaf sizes of a granule: bit n for 2^n bytes */
uint64_t armv8_page_sizes(unsigned int granule_lg2);

/* Return: 0, -EINVAL (no such configuration), -ENOMEM */
int armv8_pt_create(const struct armv8_pt_config *config,
		    const struct pt_mem_ops *mem, void *mem_ctx,
		    struct pt **pt);

void armv8_pt_root(const struct pt *pt, struct armv8_pt_root *root);

#endif
