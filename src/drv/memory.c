// SPDX-License-Identifier: MIT
/* See memory.h. */
#include "drv/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

/* The widest rule of a table's alignment that its size does not give */
#define ALIGN_MIN 64

unsigned int hostmem_prot(uint32_t prot)
{
	return (prot & CORE_PROT_READ ? PT_PROT_READ : 0) |
	       (prot & CORE_PROT_WRITE ? PT_PROT_WRITE : 0) |
	       (prot & CORE_PROT_MMIO ? PT_PROT_DEVICE : 0);
}

int hostmem_alloc(const struct core_hwport *port, size_t size, size_t align,
		  struct core_dma_mem *mem)
{
	struct core_dma_mem got = { 0 };
	int rc;

	rc = port->ops->mem_alloc(port->ctx, size, align, &got);
	if (!rc)
		*mem = got;
	return rc;
}

void hostmem_free(const struct core_hwport *port, struct core_dma_mem *mem)
{
	port->ops->mem_free(port->ctx, mem);
	memset(mem, 0, sizeof(*mem));
}

/* ---- tables ---- */

int hosttables_init(const struct core_hwport *port, struct hosttables *t,
		    uint32_t n, size_t bytes, struct core_dma_mem *top)
{
	struct core_dma_mem *below = NULL;
	int rc;

	if (n) {
		below = alloc_array(n, sizeof(*below));
		if (!below)
			return -ENOMEM;
	}
	rc = hostmem_alloc(port, bytes, bytes < ALIGN_MIN ? ALIGN_MIN : bytes,
			   top);
	if (rc) {
		free(below);
		return rc;
	}
	*t = (struct hosttables){ below, n };
	return 0;
}

void hosttables_fini(const struct core_hwport *port, struct hosttables *t,
		     struct core_dma_mem *top)
{
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->below[i].host)
			hostmem_free(port, &t->below[i]);
	}
	free(t->below);
	memset(t, 0, sizeof(*t));
	if (top->host)
		hostmem_free(port, top);
}

int hosttables_need(const struct core_hwport *port, struct hosttables *t,
		    uint32_t i, size_t bytes, bool *fresh)
{
	*fresh = !t->below[i].host;
	return *fresh ? hostmem_alloc(port, bytes, bytes, &t->below[i]) : 0;
}

/* ---- page tables ---- */

static int table_alloc(void *ctx, size_t size, struct pt_table_mem *mem)
{
	struct core_dma_mem dma;
	int rc;

	rc = hostmem_alloc(ctx, size, size, &dma);
	if (rc)
		return rc;
	mem->host = dma.host;
	mem->pa = dma.pa;
	mem->priv[0] = dma.priv;
	mem->priv[1] = (void *)(uintptr_t)dma.size;
	return 0;
}

static void table_free(void *ctx, const struct pt_table_mem *mem)
{
	struct core_dma_mem dma = {
		.host = mem->host,
		.pa = mem->pa,
		.size = (size_t)(uintptr_t)mem->priv[1],
		.priv = mem->priv[0],
	};

	hostmem_free(ctx, &dma);
}

const struct pt_mem_ops hostmem_tables = { table_alloc, table_free };

/* Outwards to whole leaves, so that what must go goes whatever else does. */
static void widen(const struct pt *pt, uint64_t *first, uint64_t *last)
{
	unsigned int size_lg2;
	uint64_t pa;

	if (pt_translate(pt, *first, &pa, NULL, &size_lg2))
		*first &= ~low_mask(size_lg2);
	if (pt_translate(pt, *last, &pa, NULL, &size_lg2))
		*last |= low_mask(size_lg2);
}

bool hostmem_unmap(struct pt *pt, uint64_t *first, uint64_t *last,
		   struct pt_gather *gather)
{
	if (!pt_unmap(pt, *first, *last - *first + 1, gather))
		return true;
	widen(pt, first, last);
	(void)pt_unmap(pt, *first, *last - *first + 1, gather);
	return false;
}

/* ---- numbers ---- */

void hostids_init(struct hostids *h, uint32_t limit)
{
	pthread_mutex_init(&h->lock, NULL);
	ids_init(&h->ids, limit);
}

void hostids_fini(struct hostids *h)
{
	pthread_mutex_destroy(&h->lock);
	ids_fini(&h->ids);
}

int hostids_get(struct hostids *h, uint16_t *id)
{
	uint32_t got;
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = ids_reserve(&h->ids, &got);
	pthread_mutex_unlock(&h->lock);
	if (!rc)
		*id = (uint16_t)got;
	return rc;
}

void hostids_put(struct hostids *h, uint16_t id)
{
	pthread_mutex_lock(&h->lock);
	(void)ids_remove(&h->ids, id);
	pthread_mutex_unlock(&h->lock);
}
