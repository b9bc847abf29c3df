/* SPDX-License-Identifier: MIT */
/* What fake hardware of both architectures is made of. */
#ifndef TESTS_DRV_PARTS_H
#define TESTS_DRV_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/driver.h"
#include "core/hwport.h"

/* Physical memory, as the driver takes it and gives it back */
struct fakemem {
	struct {
		void *host; /* NULL: given back */
		uint64_t pa;
		size_t size;
	} * areas;
	size_t n;
	size_t live;
	uint64_t next_pa;
	size_t page; /* areas are whole ones, and aligned to that */
};

void fakemem_init(struct fakemem *m, size_t page);
/* Everything must be back. */
void fakemem_fini(struct fakemem *m);
/* Zeroed; -ENOMEM. core_hwport_ops, like the next */
int fakemem_alloc(struct fakemem *m, size_t size, size_t align,
		  struct core_dma_mem *mem);
void fakemem_free(struct fakemem *m, struct core_dma_mem *mem);
/* What is at @pa; the test fails if nothing is */
void *fakemem_at(const struct fakemem *m, uint64_t pa);

/* Paging domain with @flags, by @dev */
struct core_domain *parts_domain(struct core_device *dev, uint32_t flags);
int parts_attach(struct core_domain *d, struct core_device *dev,
		 uint32_t pasid);
/* The devices go, then the unit. */
void parts_destroy(struct core_iommu *iommu, struct core_device *dev, int n);

#endif
