/* SPDX-License-Identifier: MIT */
/*
 * Building the tables that the mock IOMMU walks. The caller serialises
 * everything; the hardware may walk, and set dirty bits, at any time.
 */
#ifndef DRV_MOCK_TABLE_H
#define DRV_MOCK_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hwport.h"

struct mock_node;

struct mock_table {
	const struct core_hwport *port;
	struct mock_node *root;
	unsigned int levels;
	uint64_t page_sizes;	 /* leaves it may make; 2 KiB always */
	struct mock_node *empty; /* cut off, to be freed after a sync */
};

/* Return: 0, -ENOMEM */
int mock_table_init(struct mock_table *t, const struct core_hwport *port,
		    unsigned int levels, uint64_t page_sizes);
void mock_table_fini(struct mock_table *t);

/* What MOCK_CMD_CTX_PAGING wants */
uint64_t mock_table_root(const struct mock_table *t);

/* Aligned to 2 KiB, nothing there yet. -ENOMEM: nothing of it is mapped. */
int mock_table_map(struct mock_table *t, uint64_t iova, uint64_t pa,
		   uint64_t length, bool read, bool write);

/*
 * Afterwards the caller lets the hardware end what it is doing, and calls
 * mock_table_reap().
 */
void mock_table_unmap(struct mock_table *t, uint64_t iova, uint64_t length);
void mock_table_reap(struct mock_table *t);

/* Calls @fn for each dirty leaf's share of the range, and forgets if @clear. */
void mock_table_dirty(struct mock_table *t, uint64_t iova, uint64_t length,
		      bool clear,
		      void (*fn)(void *ctx, uint64_t iova, uint64_t length),
		      void *ctx);

#endif
