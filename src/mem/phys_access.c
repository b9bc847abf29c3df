// SPDX-License-Identifier: MIT
/* Finding and accessing what lies behind physical addresses, without locks. */
#include <errno.h>
#include <string.h>

#include "mem/guard.h"
#include "mem/phys.h"
#include "mem/phys_priv.h"

static bool is_io(const struct phys_range *r)
{
	return r->io.ops;
}

/* False: what was at @pa has been taken away. */
static bool span_of(const struct phys_range *r, uint64_t pa,
		    struct phys_span *span)
{
	uint64_t first = r->first;
	uint64_t last = r->last;

	if (!phys_is_there(r, pa, &first, &last))
		return false;
	/* Offsets into registers count from the beginning of all of them. */
	span->first = is_io(r) ? r->first : first;
	span->last = last;
	span->host = is_io(r) ? NULL : r->host + (first - r->first);
	span->io = is_io(r) ? &r->io : NULL;
	span->flags = r->flags;
	return true;
}

bool phys_find(const struct phys *p, uint64_t pa, struct phys_span *out)
{
	const struct phys_range *r = phys_lookup(p, pa);

	return r && span_of(r, pa, out);
}

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FILL };

/* One access as a whole: buf moves along, or stays for a fill. */
struct transfer {
	enum access access;
	char *buf;
	int byte;
};

static uint32_t access_flag(enum access access)
{
	return access == ACCESS_READ ? PHYS_READ : PHYS_WRITE;
}

static int io_fill(const struct phys_io *io, uint64_t offset, int byte,
		   size_t len)
{
	char block[64];

	memset(block, byte, sizeof(block));
	while (len) {
		size_t n = len < sizeof(block) ? len : sizeof(block);

		if (io->ops->write(io->ctx, offset, block, n))
			return -EFAULT;
		offset += n;
		len -= n;
	}
	return 0;
}

static int io_transfer(const struct phys_io *io, uint64_t offset, size_t len,
		       const struct transfer *t)
{
	int rc;

	if (t->access == ACCESS_READ)
		rc = io->ops->read(io->ctx, offset, t->buf, len);
	else if (t->access == ACCESS_WRITE)
		rc = io->ops->write(io->ctx, offset, t->buf, len);
	else
		rc = io_fill(io, offset, t->byte, len);
	return rc ? -EFAULT : 0;
}

static int range_transfer(const struct phys_range *r, uint64_t offset,
			  size_t len, const struct transfer *t)
{
	if (!(r->flags & access_flag(t->access)))
		return -EFAULT;
	if (is_io(r))
		return io_transfer(&r->io, offset, len, t);
	switch (t->access) {
	case ACCESS_READ:
		return guard_read(t->buf, r->host + offset, len);
	case ACCESS_WRITE:
		return guard_write(r->host + offset, t->buf, len);
	case ACCESS_FILL:
		break;
	}
	return guard_fill(r->host + offset, t->byte, len);
}

static int transfer(const struct phys *p, uint64_t pa, size_t len,
		    struct transfer t)
{
	while (len) {
		const struct phys_range *r = phys_lookup(p, pa);
		uint64_t first, last;
		size_t n = len;
		int rc;

		if (!r || !phys_is_there(r, pa, &first, &last))
			return -EFAULT;
		if (n - 1 > last - pa)
			n = (size_t)(last - pa) + 1;
		rc = range_transfer(r, pa - r->first, n, &t);
		if (rc)
			return rc;
		if (t.buf)
			t.buf += n;
		pa += n;
		len -= n;
	}
	return 0;
}

int phys_read(const struct phys *p, uint64_t pa, void *dst, size_t len)
{
	return transfer(p, pa, len, (struct transfer){ ACCESS_READ, dst, 0 });
}

int phys_write(const struct phys *p, uint64_t pa, const void *src, size_t len)
{
	return transfer(p, pa, len,
			(struct transfer){ ACCESS_WRITE, (char *)src, 0 });
}

int phys_fill(const struct phys *p, uint64_t pa, int byte, size_t len)
{
	return transfer(p, pa, len,
			(struct transfer){ ACCESS_FILL, NULL, byte });
}

/* The range of a whole aligned word of @size bytes that may be accessed so. */
static int word_find(const struct phys *p, uint64_t pa, size_t size,
		     uint32_t flag, const struct phys_range **out)
{
	const struct phys_range *r;
	uint64_t first, last;

	if (pa & (size - 1))
		return -EINVAL;
	r = phys_lookup(p, pa);
	if (!r || !(r->flags & flag) || !phys_is_there(r, pa, &first, &last) ||
	    last - pa < size - 1)
		return -EFAULT;
	*out = r;
	return 0;
}

int phys_load32(const struct phys *p, uint64_t pa, uint32_t *value)
{
	const struct phys_range *r;
	int rc = word_find(p, pa, sizeof(*value), PHYS_READ, &r);

	if (rc)
		return rc;
	if (is_io(r))
		return phys_read(p, pa, value, sizeof(*value));
	return guard_load32(r->host + (pa - r->first), value);
}

int phys_load64(const struct phys *p, uint64_t pa, uint64_t *value)
{
	const struct phys_range *r;
	int rc = word_find(p, pa, sizeof(*value), PHYS_READ, &r);

	if (rc)
		return rc;
	if (is_io(r))
		return phys_read(p, pa, value, sizeof(*value));
	return guard_load64(r->host + (pa - r->first), value);
}

int phys_store32(const struct phys *p, uint64_t pa, uint32_t value)
{
	const struct phys_range *r;
	int rc = word_find(p, pa, sizeof(value), PHYS_WRITE, &r);

	if (rc)
		return rc;
	if (is_io(r))
		return phys_write(p, pa, &value, sizeof(value));
	return guard_store32(r->host + (pa - r->first), value);
}

int phys_store64(const struct phys *p, uint64_t pa, uint64_t value)
{
	const struct phys_range *r;
	int rc = word_find(p, pa, sizeof(value), PHYS_WRITE, &r);

	if (rc)
		return rc;
	if (is_io(r))
		return phys_write(p, pa, &value, sizeof(value));
	return guard_store64(r->host + (pa - r->first), value);
}

int phys_cas64(const struct phys *p, uint64_t pa, uint64_t *expected,
	       uint64_t desired)
{
	const struct phys_range *r;
	int rc = word_find(p, pa, sizeof(desired), PHYS_WRITE, &r);

	if (rc)
		return rc;
	if (is_io(r) || !(r->flags & PHYS_READ))
		return -EFAULT;
	return guard_cas64(r->host + (pa - r->first), expected, desired);
}

/* Readable memory, and the access ends inside the span. */
static bool span_reads(const struct phys_span *s, uint64_t pa, size_t len)
{
	return s && s->host && (s->flags & PHYS_READ) && len &&
	       len - 1 <= s->last - pa;
}

/*
 * The generation is loaded before the lookup: if a removal comes in between,
 * the cursor holds an older one and is filled anew next time.
 */
const struct phys_span *
phys_cursor_fill(const struct phys *p, struct phys_cursor *cursor, uint64_t pa)
{
	uint64_t generation = phys_generation(p);
	const struct phys_range *r = phys_lookup(p, pa);

	if (!r || !span_of(r, pa, &cursor->span))
		return NULL;
	cursor->generation = generation;
	cursor->loads = 0;
	if (span_reads(&cursor->span, cursor->span.first, sizeof(uint64_t)))
		cursor->loads = cursor->span.last - cursor->span.first - 6;
	cursor->valid = true;
	return &cursor->span;
}

int phys_cursor_load64_slow(const struct phys *p, struct phys_cursor *cursor,
			    uint64_t pa, uint64_t *value)
{
	phys_cursor_fill(p, cursor, pa);
	return phys_load64(p, pa, value);
}

int phys_cursor_read(const struct phys *p, struct phys_cursor *cursor,
		     uint64_t pa, void *dst, size_t len)
{
	const struct phys_span *s = phys_cursor_find(p, cursor, pa);

	if (__builtin_expect(!span_reads(s, pa, len), 0))
		return phys_read(p, pa, dst, len);
	return guard_read(dst, s->host + (pa - s->first), len);
}
