// SPDX-License-Identifier: MIT
/* See heap.h. */
#include "heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"

static int heap_alloc(void *ctx, size_t size, struct pt_table_mem *mem)
{
	struct heap *h = ctx;
	void *host = alloc_aligned(size, size);
	size_t i;

	if (!host)
		return -ENOMEM;
	for (i = 0; i < h->slots && h->slot[i].host; i++)
		;
	if (i == h->slots) {
		h->slot = realloc(h->slot, ++h->slots * sizeof(h->slot[0]));
		assert_non_null(h->slot);
	}
	h->next_pa = (h->next_pa + size - 1) / size * size;
	h->slot[i].host = host;
	h->slot[i].pa = h->next_pa;
	h->slot[i].size = size;
	h->next_pa += size;
	h->live++;
	mem->host = host;
	mem->pa = h->slot[i].pa;
	return 0;
}

static void heap_free(void *ctx, const struct pt_table_mem *mem)
{
	struct heap *h = ctx;

	for (size_t i = 0; i < h->slots; i++) {
		if (h->slot[i].host != mem->host)
			continue;
		free(mem->host);
		h->slot[i].host = NULL;
		h->live--;
		return;
	}
	fail_msg("table freed twice");
}

static uint64_t *at(const struct heap *h, uint64_t pa)
{
	for (size_t i = 0; i < h->slots; i++) {
		if (h->slot[i].host && pa >= h->slot[i].pa &&
		    pa < h->slot[i].pa + h->slot[i].size)
			return (uint64_t *)((char *)h->slot[i].host +
					    (pa - h->slot[i].pa));
	}
	fail_msg("walk outside of table memory: %#llx", (unsigned long long)pa);
	return NULL;
}

uint64_t heap_load(const struct heap *h, uint64_t pa)
{
	return *at(h, pa);
}

void heap_set(struct heap *h, uint64_t pa, uint64_t bits)
{
	*at(h, pa) |= bits;
}

const struct pt_mem_ops heap_ops = { heap_alloc, heap_free };
