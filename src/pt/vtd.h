/* SPDX-License-Identifier: MIT */
/*
 * VT-d paging structures (specification 9.7, 9.8) as a format for pt/tree.h:
 * first-stage (that of Intel 64, 4 or 5 levels) and second-stage (3 to 5
 * levels). In the first stage PT_PROT_WRITE implies reading. Memory types are
 * not told apart: PT_PROT_DEVICE is lost.
 */
#ifndef PT_VTD_H
#define PT_VTD_H

#include "pt/tree.h"

struct vtd_pt_config {
	unsigned int stage;  /* 1 or 2 */
	unsigned int levels; /* 4 or 5; stage 2: 3 as well */
	unsigned int oas;    /* bits of an output address, 36..52 */
	bool huge_1g;	     /* leaves of 1 GiB, beside those of 2 MiB */
	bool only_4k;	     /* neither of them */
	bool dirty;	     /* stage 2: hardware sets D (SSADE) */
};

/* Return: 0, -EINVAL (no such configuration), -ENOMEM */
int vtd_pt_create(const struct vtd_pt_config *config,
		  const struct pt_mem_ops *mem, void *mem_ctx, struct pt **pt);

/* Leaf sizes, unless all are 4 KiB: bit n for 2^n bytes */
uint64_t vtd_page_sizes(bool huge_1g);

#endif
