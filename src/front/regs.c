// SPDX-License-Identifier: MIT
/* Register files as tables. */
#include "front/regs.h"

#include "front/ordered.h"

static const struct front_reg *search(const struct front_regs *regs,
				      uint32_t offset)
{
	size_t low = 0;
	size_t high = regs->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct front_reg *reg = &regs->table[mid];

		if (offset < reg->offset)
			high = mid;
		else if (offset - reg->offset < reg->size)
			return reg;
		else
			low = mid + 1;
	}
	return NULL;
}

/* The register that the 4 bytes at @offset belong to, and where it starts */
static const struct front_reg *find(const struct front_regs *regs,
				    const void *front, uint32_t offset,
				    uint32_t *start)
{
	const struct front_reg *reg = search(regs, offset);

	if (!reg)
		return regs->find ? regs->find(front, offset, start) : NULL;
	if (reg->needs & ~regs->features(front))
		return NULL;
	*start = reg->offset;
	return reg;
}

/* Atomic: there are indices that move without the lock. */
static uint64_t read_field(const void *front, const struct front_reg *reg)
{
	const char *field = (const char *)front + reg->field;

	if (reg->size == 4)
		return load_ordered((const uint32_t *)(const void *)field);
	return load_ordered((const uint64_t *)(const void *)field);
}

static uint64_t read_value(const void *front, const struct front_reg *reg,
			   uint32_t start)
{
	struct front_access access = { .reg = reg, .start = start };

	return reg->read ? reg->read(front, &access) : read_field(front, reg);
}

static uint64_t read_reg(const struct front_regs *regs, void *front,
			 const struct front_reg *reg, uint32_t start)
{
	uint64_t value;

	if (reg->unlocked)
		return read_value(front, reg, start);
	pthread_mutex_lock(regs->lock(front));
	value = read_value(front, reg, start);
	pthread_mutex_unlock(regs->lock(front));
	return value;
}

uint32_t front_regs_store(void *front, const struct front_access *access,
			  uint64_t legal)
{
	const struct front_reg *reg = access->reg;
	char *field = (char *)front + reg->field;
	uint64_t value = front_merge(read_field(front, reg), access, legal);

	if (reg->size == 4)
		store_ordered((uint32_t *)(void *)field, (uint32_t)value);
	else
		store_ordered((uint64_t *)(void *)field, value);
	return 0;
}

static void write_reg(const struct front_regs *regs, void *front,
		      const struct front_reg *reg, uint32_t start,
		      uint64_t value, uint64_t bits)
{
	struct front_access access = { reg, start, value, bits };
	uint32_t what = reg->what;

	pthread_mutex_lock(regs->lock(front));
	if (reg->write)
		what |= reg->write(front, &access);
	else if (reg->legal)
		(void)front_regs_store(front, &access, reg->legal);
	pthread_mutex_unlock(regs->lock(front));
	if (what)
		regs->follow(front, what);
}

static uint32_t read_word(const struct front_regs *regs, void *front,
			  uint32_t offset)
{
	uint32_t start;
	const struct front_reg *reg = find(regs, front, offset, &start);

	if (!reg)
		return 0;
	return (uint32_t)(read_reg(regs, front, reg, start) >>
			  8 * (offset - start));
}

static void write_word(const struct front_regs *regs, void *front,
		       uint32_t offset, uint32_t value)
{
	uint32_t start;
	const struct front_reg *reg = find(regs, front, offset, &start);

	if (reg)
		write_reg(regs, front, reg, start,
			  (uint64_t)value << 8 * (offset - start),
			  (uint64_t)UINT32_MAX << 8 * (offset - start));
}

static bool is_access(uint32_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

uint64_t front_regs_read(const struct front_regs *regs, void *front,
			 uint32_t offset, unsigned int size)
{
	const struct front_reg *reg;
	uint32_t start;
	uint64_t value;

	if (!is_access(offset, size))
		return 0;
	if (size == 4)
		return read_word(regs, front, offset);
	reg = find(regs, front, offset, &start);
	if (reg && reg->size == 8)
		return read_reg(regs, front, reg, start);
	value = read_word(regs, front, offset);
	return value | (uint64_t)read_word(regs, front, offset + 4) << 32;
}

void front_regs_write(const struct front_regs *regs, void *front,
		      uint32_t offset, unsigned int size, uint64_t value)
{
	const struct front_reg *reg;
	uint32_t start;

	if (!is_access(offset, size))
		return;
	if (size == 4) {
		write_word(regs, front, offset, (uint32_t)value);
		return;
	}
	reg = find(regs, front, offset, &start);
	if (reg && reg->size == 8) {
		write_reg(regs, front, reg, start, value, ~0ULL);
		return;
	}
	write_word(regs, front, offset, (uint32_t)value);
	write_word(regs, front, offset + 4, (uint32_t)(value >> 32));
}
