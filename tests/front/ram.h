/* SPDX-License-Identifier: MIT */
/* Memory behind a front: little-endian, with a range that can abort. */
#ifndef TESTS_FRONT_RAM_H
#define TESTS_FRONT_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAM_MOST 0x100000u

struct ram {
	uint64_t size; /* at most RAM_MOST */
	uint8_t bytes[RAM_MOST];
	uint64_t abort_first; /* reads and writes touching these abort */
	uint64_t abort_last;
	bool aborting;
	unsigned int reads;
	uint64_t bytes_read;
	unsigned int writes;
};

/* 0, or -EFAULT outside of it and where it aborts */
int ram_read(struct ram *ram, uint64_t addr, void *buf, size_t len);
int ram_write(struct ram *ram, uint64_t addr, const void *buf, size_t len);
void ram_abort_at(struct ram *ram, uint64_t first, uint64_t last);

/* For the test itself; @addr is inside */
void ram_put(struct ram *ram, uint64_t addr, uint64_t value, int bytes);
uint64_t ram_get(const struct ram *ram, uint64_t addr, int bytes);

#endif
