/* SPDX-License-Identifier: MIT */
/*
 * What drivers share with their hardware: memory, tables in it, and numbers
 * from a pool.
 */
#ifndef DRV_MEMORY_H
#define DRV_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/ids.h"
#include "base/le.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "pt/tree.h"

/* Zeroed; -ENOMEM */
int hostmem_alloc(const struct core_hwport *port, size_t size, size_t align,
		  struct core_dma_mem *mem);
/* Leaves @mem all zero. */
void hostmem_free(const struct core_hwport *port, struct core_dma_mem *mem);

/*
 * Zeroed, for what each invalidation reads: from the beginning of a cache line,
 * so that its cost does not hang on what malloc puts beside it. NULL: -ENOMEM
 */
static inline void *hostmem_object(size_t size)
{
	return alloc_aligned(64, size);
}

/* A doubleword that hardware may read at any time */
static inline void hostmem_store(le64 *dw, uint64_t value)
{
	__atomic_store_n(&dw->raw, le64_make(value).raw, __ATOMIC_RELEASE);
}

/* What a table's entries lead to: tables made when they are first needed */
struct hosttables {
	struct core_dma_mem *below; /* host NULL: not there */
	uint32_t n;
};

/* @top of @bytes, with @n entries that lead to tables; -ENOMEM: nothing is */
int hosttables_init(const struct core_hwport *port, struct hosttables *t,
		    uint32_t n, size_t bytes, struct core_dma_mem *top);
/* Both may be all zero, and are. */
void hosttables_fini(const struct core_hwport *port, struct hosttables *t,
		     struct core_dma_mem *top);
/* That of entry @i is there, of @bytes. @fresh: since now, all zero; -ENOMEM */
int hosttables_need(const struct core_hwport *port, struct hosttables *t,
		    uint32_t i, size_t bytes, bool *fresh);

/* CORE_PROT_* as PT_PROT_* */
unsigned int hostmem_prot(uint32_t prot);

/* Page tables in such memory; the context is a struct core_hwport */
extern const struct pt_mem_ops hostmem_tables;

/*
 * pt_unmap() that always does it: should a leaf lie partly outside (which no
 * unmap of whole areas asks for), it goes whole. [*@first, *@last] is what has
 * gone. False: that happened.
 */
bool hostmem_unmap(struct pt *pt, uint64_t *first, uint64_t *last,
		   struct pt_gather *gather);

/* For who reads dirty flags in tables; @ctx: struct core_dirty, or NULL */
static inline void hostmem_record_dirty(void *ctx, uint64_t iova,
					uint64_t length)
{
	if (ctx)
		core_dirty_record(ctx, iova, length);
}

struct hostids {
	pthread_mutex_t lock;
	struct ids ids;
};

/* Numbers from 1 to @limit */
void hostids_init(struct hostids *h, uint32_t limit);
void hostids_fini(struct hostids *h);
/* Lowest free one; -ENOSPC, -ENOMEM */
int hostids_get(struct hostids *h, uint16_t *id);
void hostids_put(struct hostids *h, uint16_t id);

#endif
