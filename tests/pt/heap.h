/* SPDX-License-Identifier: MIT */
/* Table memory for builders' tests: PAs count up, one slot per allocation. */
#ifndef TESTS_PT_HEAP_H
#define TESTS_PT_HEAP_H

#include "pt/tree.h"

struct heap {
	struct {
		void *host;
		uint64_t pa;
		size_t size;
	} * slot;
	size_t slots;
	size_t live;
	uint64_t next_pa;
};

extern const struct pt_mem_ops heap_ops; /* their context: a struct heap */

/* 8 bytes of a table; fails the test where there is none */
uint64_t heap_load(const struct heap *h, uint64_t pa);
/* Sets bits in a table, as hardware would */
void heap_set(struct heap *h, uint64_t pa, uint64_t bits);

#endif
