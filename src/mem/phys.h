/* SPDX-License-Identifier: MIT */
/*
 * A machine's physical address space: which host memory, or which device's
 * registers, lies behind each physical address (PA).
 *
 * Adding and removing lock inside, any thread. Finding and accessing take no
 * lock and must happen in a read section (base/reader.h), which also covers
 * the use of anything found: host pointers, io, cursors just filled.
 *
 * Taking memory away has three steps:
 *	phys_remove(r);			nobody finds it any more
 *	grace_wait(g, timeout);		nobody uses it any more
 *	phys_release(r);		its PAs may be given out again
 * One grace period serves any number of removed ranges (chain them by
 * phys_range_link()). When the wait times out, phys_release_later().
 */
#ifndef MEM_PHYS_H
#define MEM_PHYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reader.h"
#include "mem/guard.h"

#define PHYS_READ  0x1u
#define PHYS_WRITE 0x2u

struct phys_range;

/* What struct phys begins with: all of it that accesses in line look at. */
struct phys_head {
	uint64_t generation; /* bumped after a range was unlinked */
};
struct phys;

/*
 * Registers behind PAs. Called in the reader's section and thread, @offset
 * from the range's first byte. @len is what the access had: a client's choice.
 * Return: 0 or -EFAULT (the bus aborts). A NULL function aborts too.
 */
struct phys_io_ops {
	int (*read)(void *ctx, uint64_t offset, void *dst, size_t len);
	int (*write)(void *ctx, uint64_t offset, const void *src, size_t len);
};

struct phys_io {
	const struct phys_io_ops *ops;
	void *ctx;
};

/* What lies at [first, last]; host belongs to first; NULL host for io. */
struct phys_span {
	uint64_t first;
	uint64_t last;
	char *host;
	const struct phys_io *io;
	uint32_t flags;
};

/* @oas_bits: 12..52; all PAs are below 2^oas_bits. Return: 0, -EINVAL, -ENOMEM
 */
int phys_create(unsigned int oas_bits, struct phys **out);

/* Frees ranges still there, removed ones included, but before that destroy the
 * grace that ranges were released to. Nobody may be reading. */
void phys_destroy(struct phys *p);

/*
 * Give @length bytes at @host a PA with PA % align == skew % align (@align a
 * power of two, 0 or 1 for none; 4096 is the least used, and PA 0..4095 is
 * never chosen). Fresh addresses are preferred to ones used before, so that
 * stale users show. Memory need not be present or accessible.
 * Return: 0, -EINVAL, -ENOSPC (no such gap; a smaller @align may do) or
 * -ENOMEM.
 */
int phys_add(struct phys *p, void *host, uint64_t length, uint32_t flags,
	     uint64_t align, uint64_t skew, struct phys_range **out);

/* At a given PA. Return: as phys_add(); -EEXIST when something is
 * there, or was and is not released. */
int phys_add_at(struct phys *p, uint64_t pa, void *host, uint64_t length,
		uint32_t flags, struct phys_range **out);
int phys_add_io(struct phys *p, uint64_t pa, uint64_t length,
		const struct phys_io_ops *ops, void *ctx,
		struct phys_range **out);

void phys_remove(struct phys_range *range);
void phys_release(struct phys_range *range);
void phys_release_later(struct phys_range *range, struct grace *g);

uint64_t phys_range_pa(const struct phys_range *range);
uint64_t phys_range_length(const struct phys_range *range);
void *phys_range_host(const struct phys_range *range);

/*
 * Memory can be taken from under its ranges, by whoever it belongs to: who
 * unmaps it says so here, before something else can get its addresses.
 * Accesses to it are refused from then on, in flight ones once a grace period
 * is over; its PAs stay taken. @space tells address spaces apart: 0 is that of
 * phys_add() and phys_add_at(), where @va is what they got as @host. Nothing
 * is allocated through the C library, and no lock held while something is.
 *
 * phys_lose() returns PHYS_LOST if there was any such memory, with
 * PHYS_LOST_BEFORE if some of it had been lost already. If it has not been
 * taken away after all, phys_regain() of the same, unless PHYS_LOST_BEFORE.
 */
#define PHYS_LOST	 0x1u
#define PHYS_LOST_BEFORE 0x2u
unsigned int phys_lose(struct phys *p, uint64_t space, uint64_t va,
		       uint64_t length);
void phys_regain(struct phys *p, uint64_t space, uint64_t va, uint64_t length);

/* Says that behind a range of phys_add_io() is memory, at @va of @space. */
void phys_range_is_memory(struct phys_range *range, uint64_t space,
			  uint64_t va);

/* One pointer for the owner's use, for lists of removed ranges. */
struct phys_range **phys_range_link(struct phys_range *range);

/* Number of ranges that can be found. */
uint64_t phys_count(const struct phys *p);
unsigned int phys_oas_bits(const struct phys *p);

/* What lies at @pa; false (and *out untouched) for nothing. */
bool phys_find(const struct phys *p, uint64_t pa, struct phys_span *out);

/*
 * A counter that changes whenever a range is removed. Who keeps a span or host
 * pointer beyond a read section may use it again, inside another one, only if
 * the generation is still the one loaded before the span was found.
 */
static inline uint64_t phys_generation(const struct phys *p)
{
	return reader_load(&((const struct phys_head *)p)->generation);
}

/*
 * Accesses across any number of adjacent ranges. Return: 0; -EFAULT where
 * there is nothing, the range's flags forbid it, io refuses, or the memory
 * behind it has vanished (a part may have been transferred).
 */
int phys_read(const struct phys *p, uint64_t pa, void *dst, size_t len);
int phys_write(const struct phys *p, uint64_t pa, const void *src, size_t len);
int phys_fill(const struct phys *p, uint64_t pa, int byte, size_t len);

/*
 * Aligned words in native order (page tables: le64), single-copy atomic on
 * memory; acquire, release. -EINVAL when @pa is not a multiple of the size.
 * cas64: -EAGAIN with *expected updated when the word differed; -EFAULT on io.
 */
int phys_load32(const struct phys *p, uint64_t pa, uint32_t *value);
int phys_load64(const struct phys *p, uint64_t pa, uint64_t *value);
int phys_store32(const struct phys *p, uint64_t pa, uint32_t value);
int phys_store64(const struct phys *p, uint64_t pa, uint64_t value);
int phys_cas64(const struct phys *p, uint64_t pa, uint64_t *expected,
	       uint64_t desired);

/*
 * The last range that one call site used. All zero is empty. Belongs to one
 * thread at a time, and to one struct phys; may live across read sections.
 */
struct phys_cursor {
	struct phys_span span;
	/* private */
	uint64_t generation;
	uint64_t loads; /* offsets below it begin 8 bytes of readable memory */
	bool valid;
};

const struct phys_span *
phys_cursor_fill(const struct phys *p, struct phys_cursor *cursor, uint64_t pa);
int phys_cursor_load64_slow(const struct phys *p, struct phys_cursor *cursor,
			    uint64_t pa, uint64_t *value);

/* The span at @pa by the cursor; NULL for nothing. */
static inline const struct phys_span *
phys_cursor_find(const struct phys *p, struct phys_cursor *cursor, uint64_t pa)
{
	const struct phys_span *s = &cursor->span;

	if (__builtin_expect(cursor->valid &&
				     pa - s->first <= s->last - s->first &&
				     cursor->generation == phys_generation(p),
			     1))
		return s;
	return phys_cursor_fill(p, cursor, pa);
}

/* The hot path of page walks: one comparison for bounds, rights and kind. */
static inline int phys_cursor_load64(const struct phys *p,
				     struct phys_cursor *cursor, uint64_t pa,
				     uint64_t *value)
{
	uint64_t offset = pa - cursor->span.first;

	if (__builtin_expect(offset >= cursor->loads || (pa & 7) ||
				     cursor->generation != phys_generation(p),
			     0))
		return phys_cursor_load64_slow(p, cursor, pa, value);
	return guard_load64(cursor->span.host + offset, value);
}

int phys_cursor_read(const struct phys *p, struct phys_cursor *cursor,
		     uint64_t pa, void *dst, size_t len);

#endif
