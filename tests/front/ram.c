// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "ram.h"

static bool aborts(const struct ram *ram, uint64_t addr, size_t len)
{
	if (addr >= ram->size || len > ram->size - addr)
		return true;
	return ram->aborting && addr <= ram->abort_last &&
	       addr + len - 1 >= ram->abort_first;
}

int ram_read(struct ram *ram, uint64_t addr, void *buf, size_t len)
{
	ram->reads++;
	ram->bytes_read += len;
	if (aborts(ram, addr, len))
		return -EFAULT;
	memcpy(buf, ram->bytes + addr, len);
	return 0;
}

int ram_write(struct ram *ram, uint64_t addr, const void *buf, size_t len)
{
	ram->writes++;
	if (aborts(ram, addr, len))
		return -EFAULT;
	memcpy(ram->bytes + addr, buf, len);
	return 0;
}

void ram_abort_at(struct ram *ram, uint64_t first, uint64_t last)
{
	ram->abort_first = first;
	ram->abort_last = last;
	ram->aborting = true;
}

/* byte by byte: memory is little-endian whatever the host is */
void ram_put(struct ram *ram, uint64_t addr, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		ram->bytes[addr + i] = (uint8_t)(value >> 8 * i);
}

uint64_t ram_get(const struct ram *ram, uint64_t addr, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t)ram->bytes[addr + i] << 8 * i;
	return value;
}
