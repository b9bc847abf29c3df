/* SPDX-License-Identifier: MIT */
/*
 * Builder of radix page tables for hardware that walks them concurrently: a
 * table is filled before an entry points to it, and a valid entry becomes
 * invalid by one 8-byte store. What an entry looks like is a struct pt_format,
 * one file for each architecture's.
 *
 * The *height* of a table is 0 where its entries map pages, and grows towards
 * the root. A *leaf* is an entry that maps memory. pt_map() makes the largest
 * leaves that alignment allows, never larger than its own range.
 *
 * The caller serialises all calls on one struct pt.
 */
#ifndef PT_TREE_H
#define PT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pt;
struct pt_format;
struct pt_table;

#define PT_PROT_READ   0x1u
#define PT_PROT_WRITE  0x2u
#define PT_PROT_DEVICE 0x4u /* device memory: an MSI doorbell */

/* Memory of a table, as the walker and the builder see it. */
struct pt_table_mem {
	void *host;
	uint64_t pa;
	void *priv[2]; /* the allocator's */
};

struct pt_mem_ops {
	/* Zeroed, aligned to @size (a power of two). 0 or -ENOMEM. */
	int (*alloc)(void *ctx, size_t size, struct pt_table_mem *mem);
	void (*free)(void *ctx, const struct pt_table_mem *mem);
};

struct pt_format_ops {
	/* Of a leaf, PT_PROT_* to bits and back */
	uint64_t (*attrs)(const struct pt_format *fmt, unsigned int prot);
	unsigned int (*prot)(const struct pt_format *fmt, uint64_t entry);
};

struct pt_format {
	const struct pt_format_ops *ops;
	unsigned int granule_lg2;
	unsigned int ias;      /* bits of an input address */
	unsigned int oas;      /* bits of an output address */
	unsigned int top;      /* height of the root */
	unsigned int leaf_top; /* highest one with leaves */
	uint64_t valid;	       /* any of these: the entry is in use */
	uint64_t addr;
	uint64_t table; /* bits of an entry that points to a table */
	uint64_t page;	/* bits of a leaf at height 0 */
	uint64_t block; /* bits of a leaf above */
	uint64_t dirty; /* set by hardware; 0: never */
	/* the architecture's own, for its ops */
	unsigned int attr_normal;
	unsigned int attr_device;
};

/*
 * What an unmap has taken out of the tables but hardware may still hold: to be
 * freed after the invalidation. All zero is empty. @tables not NULL means that
 * table entries went: then an invalidation must reach walk caches too.
 */
struct pt_gather {
	struct pt_table *tables;
};

/* Return: 0, -ENOMEM. @fmt is copied; who made it has checked it. */
int pt_create(const struct pt_format *fmt, const struct pt_mem_ops *mem,
	      void *mem_ctx, struct pt **pt);

/* Frees every table; hardware must have forgotten them. */
void pt_destroy(struct pt *pt);

/* Physical address of the root table */
uint64_t pt_root(const struct pt *pt);
const struct pt_format *pt_format(const struct pt *pt);

/*
 * Return: 0; -EINVAL (alignment, no permission, empty), -ERANGE (beyond ias or
 * oas), -EEXIST (something of it is mapped), -ENOMEM. On failure hardware
 * cannot have seen anything of it.
 */
int pt_map(struct pt *pt, uint64_t iova, uint64_t pa, uint64_t length,
	   unsigned int prot);

/*
 * Holes are skipped. Needs no memory, thus never splits a leaf: -EINVAL, and
 * nothing changed, when a leaf at either end lies partly outside the range
 * (impossible for a union of ranges given to pt_map()), or for bad alignment.
 */
int pt_unmap(struct pt *pt, uint64_t iova, uint64_t length,
	     struct pt_gather *gather);

/* After the invalidation of all gathered. */
void pt_gather_free(struct pt *pt, struct pt_gather *gather);

/* Software walk; false where nothing is mapped. @prot and @size_lg2 may be
 * NULL. */
bool pt_translate(const struct pt *pt, uint64_t iova, uint64_t *pa,
		  unsigned int *prot, unsigned int *size_lg2);

/*
 * Calls @fn for each part of [@iova, @last] that a dirty leaf maps; with
 * @clear it is no longer dirty then. Invalidating is the caller's.
 */
void pt_read_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear,
		   void (*fn)(void *ctx, uint64_t iova, uint64_t length),
		   void *ctx);

/* Tables in use, the root included. */
size_t pt_tables(const struct pt *pt);

#endif
