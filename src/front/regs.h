/* SPDX-License-Identifier: MIT */
/*
 * Register files as tables. A register is an offset, a width, and either the
 * field of the front that it is or functions that read and write it. Writes
 * are made under the front's lock; what follows from one (a callback, a queue
 * to look at, an interrupt to send) is returned as bits and done after it.
 *
 * Accesses are of 4 or 8 bytes, naturally aligned; others read 0 and write
 * nothing, as do offsets that are no register's. 4 bytes reach half of an
 * 8-byte register; 8 bytes reach two 4-byte registers, the lower one and what
 * follows from it first.
 */
#ifndef FRONT_REGS_H
#define FRONT_REGS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct front_reg;

/* What read() and write() of a register are told */
struct front_access {
	const struct front_reg *reg;
	uint32_t start; /* of the register: some share an entry */
	uint64_t value;
	uint64_t bits; /* those that the access covers */
};

struct front_reg {
	uint32_t offset;
	uint8_t size;	/* 4 or 8 */
	uint8_t which;	/* for the functions: of several alike */
	uint16_t field; /* its offset in the front; when there is no read() */
	/* The features it comes with: all of these bits. */
	uint64_t needs;
	/* Without write(): the bits of its field that software sets */
	uint64_t legal;
	uint32_t what; /* follows from any write */
	/* It is read without the lock: a poll must cost little. */
	bool unlocked;
	/* Both locked. write() returns what follows. */
	uint64_t (*read)(const void *front, const struct front_access *access);
	uint32_t (*write)(void *front, const struct front_access *access);
};

struct front_regs {
	/* Sorted by offset */
	const struct front_reg *table;
	size_t count;
	/* Registers whose place is not constant; may be NULL. @offset % 4: 0 */
	const struct front_reg *(*find)(const void *front, uint32_t offset,
					uint32_t *start);
	pthread_mutex_t *(*lock)(void *front);
	uint64_t (*features)(const void *front);
	void (*follow)(void *front, uint32_t what);
};

uint64_t front_regs_read(const struct front_regs *regs, void *front,
			 uint32_t offset, unsigned int size);
void front_regs_write(const struct front_regs *regs, void *front,
		      uint32_t offset, unsigned int size, uint64_t value);

/* What @old becomes, of which software may change @legal */
static inline uint64_t
front_merge(uint64_t old, const struct front_access *access, uint64_t legal)
{
	legal &= access->bits;
	return (old & ~legal) | (access->value & legal);
}

/* The same for the field of the register itself; returns what follows: 0. */
uint32_t front_regs_store(void *front, const struct front_access *access,
			  uint64_t legal);

#endif
