/* SPDX-License-Identifier: MIT */
/*
 * Builder of VMSAv8-64 translation tables (Arm ARM DDI 0487, D8), stage 1
 * (one TTBR0 range) and stage 2, for hardware that walks them concurrently:
 * a table is filled before a descriptor points to it, and a valid descriptor
 * becomes invalid by one 8-byte store.
 *
 * A *leaf* is a block or page descriptor. map() makes the largest leaves that
 * alignment allows, never larger than its own range. Addresses are below 2^48.
 *
 * The caller serialises all calls on one struct armv8_pt.
 */
#ifndef PT_ARMV8_H
#define PT_ARMV8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct armv8_pt;
struct armv8_table;

#define ARMV8_PROT_READ	  0x1u
#define ARMV8_PROT_WRITE  0x2u /* implies reading in stage 1 */
#define ARMV8_PROT_DEVICE 0x4u /* device memory: an MSI doorbell */

/* Memory of a table, as the walker and the builder see it. */
struct armv8_table_mem {
	void *host;
	uint64_t pa;
	void *priv[2]; /* the allocator's */
};

struct armv8_mem_ops {
	/* Zeroed, aligned to @size (a power of two). 0 or -ENOMEM. */
	int (*alloc)(void *ctx, size_t size, struct armv8_table_mem *mem);
	void (*free)(void *ctx, const struct armv8_table_mem *mem);
};

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

/*
 * What an unmap has taken out of the tables but hardware may still hold: to be
 * freed after the invalidation. All zero is empty. @tables not NULL means that
 * table descriptors went: then an invalidation must reach walk caches and must
 * not claim a level (TTL).
 */
struct armv8_gather {
	struct armv8_table *tables;
};

/* Leaf sizes of a granule: bit n for 2^n bytes */
uint64_t armv8_page_sizes(unsigned int granule_lg2);

/* Return: 0, -EINVAL (no such configuration), -ENOMEM */
int armv8_pt_create(const struct armv8_pt_config *config,
		    const struct armv8_mem_ops *mem, void *mem_ctx,
		    struct armv8_pt **pt);

/* Frees every table; hardware must have forgotten them. */
void armv8_pt_destroy(struct armv8_pt *pt);

void armv8_pt_root(const struct armv8_pt *pt, struct armv8_pt_root *root);

/*
 * Return: 0; -EINVAL (alignment, no permission, empty), -ERANGE (beyond ias or
 * oas), -EEXIST (something of it is mapped), -ENOMEM. On failure hardware
 * cannot have seen anything of it.
 */
int armv8_pt_map(struct armv8_pt *pt, uint64_t iova, uint64_t pa,
		 uint64_t length, unsigned int prot);

/*
 * Holes are skipped. Needs no memory, thus never splits a leaf: -EINVAL, and
 * nothing changed, when a leaf at either end lies partly outside the range
 * (impossible for a union of ranges given to map()), or for bad alignment.
 */
int armv8_pt_unmap(struct armv8_pt *pt, uint64_t iova, uint64_t length,
		   struct armv8_gather *gather);

/* After the invalidation of all gathered. */
void armv8_gather_free(struct armv8_pt *pt, struct armv8_gather *gather);

/* Software walk; false where nothing is mapped. @prot and @size_lg2 may be
 * NULL. */
bool armv8_pt_translate(const struct armv8_pt *pt, uint64_t iova, uint64_t *pa,
			unsigned int *prot, unsigned int *size_lg2);

/* Tables in use, the root included. */
size_t armv8_pt_tables(const struct armv8_pt *pt);

#endif
