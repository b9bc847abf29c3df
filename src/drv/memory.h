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

#include "base/ids.h"
#include "core/hwport.h"
#include "pt/tree.h"

/* Zeroed; -ENOMEM */
int hostmem_alloc(const struct core_hwport *port, size_t size, size_t align,
		  struct core_dma_mem *mem);
/* Leaves @mem all zero. */
void hostmem_free(const struct core_hwport *port, struct core_dma_mem *mem);

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
