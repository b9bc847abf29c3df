/* SPDX-License-Identifier: MIT */
/*
 * The memory that a front reads and writes, and what every architecture does
 * with it: fetch entries of a queue, write records, write 32 bits as a message.
 * -EFAULT is an aborted access.
 */
#ifndef FRONT_MEMORY_H
#define FRONT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct front_memory {
	int (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *buf, size_t len);
	void *ctx;
};

/* 2^lg2 entries of @size bytes, a power of two up to 4096 */
struct front_ring {
	uint64_t base;
	unsigned int lg2;
	uint32_t size;
};

/*
 * Copies @n entries from @index on, around the ring's end, once, as they lie in
 * memory. Returns how many could be read before the first that could not.
 */
uint32_t front_fetch(const struct front_memory *mem,
		     const struct front_ring *ring, uint32_t index, uint32_t n,
		     void *to);

/* Interrupt messages and status words */
bool front_write32(const struct front_memory *mem, uint64_t addr,
		   uint32_t value);

/* @dwords doublewords in CPU order, at most 4 */
bool front_write_record(const struct front_memory *mem, uint64_t addr,
			const uint64_t *rec, size_t dwords);

#endif
