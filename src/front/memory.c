// SPDX-License-Identifier: MIT
/* What fronts do with memory. */
#include "front/memory.h"
#include "base/le.h"

#define FETCH_UNIT    4096u
#define RECORD_DWORDS 4 /* the longest */

static int read_entries(const struct front_memory *mem,
			const struct front_ring *ring, uint64_t addr,
			uint32_t n, char *to)
{
	return mem->read(mem->ctx, addr, to, (size_t)n * ring->size);
}

/*
 * How many of @n entries at @addr can be read, in steps of what memory can
 * vanish in, then one by one; entries read before are simply read again.
 */
static uint32_t fetch_readable(const struct front_memory *mem,
			       const struct front_ring *ring, uint64_t addr,
			       uint32_t n, char *to)
{
	uint32_t done = 0;
	uint32_t step = 0;

	while (done < n) {
		uint64_t at = (uint64_t)done * ring->size;

		step = (FETCH_UNIT - (uint32_t)((addr + at) % FETCH_UNIT)) /
		       ring->size;
		if (step > n - done)
			step = n - done;
		if (read_entries(mem, ring, addr + at, step, to + at))
			break;
		done += step;
	}
	step += done;
	while (done < n && done < step) {
		uint64_t at = (uint64_t)done * ring->size;

		if (read_entries(mem, ring, addr + at, 1, to + at))
			break;
		done++;
	}
	return done;
}

static uint32_t fetch_run(const struct front_memory *mem,
			  const struct front_ring *ring, uint64_t addr,
			  uint32_t n, char *to)
{
	if (!read_entries(mem, ring, addr, n, to))
		return n;
	return fetch_readable(mem, ring, addr, n, to);
}

uint32_t front_fetch(const struct front_memory *mem,
		     const struct front_ring *ring, uint32_t index, uint32_t n,
		     void *to)
{
	uint32_t to_end = (1u << ring->lg2) - index;
	uint32_t run = n < to_end ? n : to_end;
	uint32_t got;

	got = fetch_run(mem, ring, ring->base + (uint64_t)index * ring->size,
			run, to);
	if (got == run && run < n)
		got += fetch_run(mem, ring, ring->base, n - run,
				 (char *)to + (size_t)run * ring->size);
	return got;
}

bool front_write32(const struct front_memory *mem, uint64_t addr,
		   uint32_t value)
{
	le32 raw = le32_make(value);

	return !mem->write(mem->ctx, addr, &raw, sizeof(raw));
}

bool front_write_record(const struct front_memory *mem, uint64_t addr,
			const uint64_t *rec, size_t dwords)
{
	le64 raw[RECORD_DWORDS];

	for (size_t i = 0; i < dwords; i++)
		raw[i] = le64_make(rec[i]);
	return !mem->write(mem->ctx, addr, raw, dwords * sizeof(raw[0]));
}
