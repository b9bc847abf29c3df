// SPDX-License-Identifier: MIT
/* The client's memory: guarded copies, and the copies drivers ask for. */
#include <errno.h>
#include <string.h>

#include "base/barrier.h"
#include "base/checked.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "mem/guard.h"

/* Set for the length of one call; drivers copy from deep inside of it. */
static __thread const struct core_client *foreign
	__attribute__((tls_model("initial-exec")));

const struct core_client *core_foreign(void)
{
	return foreign;
}

const struct core_client *core_foreign_set(const struct core_client *client)
{
	const struct core_client *old = foreign;

	foreign = client;
	return old;
}

int core_give_fd(int fd, uint32_t *number)
{
	int rc = foreign ? foreign->give_fd(foreign->ctx, fd) : fd;

	if (rc < 0)
		return rc;
	*number = (uint32_t)rc;
	return 0;
}

static void *client_ptr(uint64_t uptr)
{
	return (void *)(uintptr_t)uptr;
}

int core_copy_in(void *dst, uint64_t uptr, size_t len)
{
	if (__builtin_expect(foreign != NULL, 0))
		return len ? foreign->read(foreign->ctx, dst, uptr, len) : 0;
	return len ? guard_read(dst, client_ptr(uptr), len) : 0;
}

int core_copy_out(uint64_t uptr, const void *src, size_t len)
{
	if (__builtin_expect(foreign != NULL, 0))
		return len ? foreign->write(foreign->ctx, uptr, src, len) : 0;
	return len ? guard_write(client_ptr(uptr), src, len) : 0;
}

int core_load32(uint64_t uptr, uint32_t *value)
{
	int rc;

	if (!foreign)
		return guard_load32(client_ptr(uptr), value);
	rc = foreign->read(foreign->ctx, value, uptr, sizeof(*value));
	barrier_after_index();
	return rc;
}

int core_store32(uint64_t uptr, uint32_t value)
{
	if (!foreign)
		return guard_store32(client_ptr(uptr), value);
	barrier_before_index();
	return foreign->write(foreign->ctx, uptr, &value, sizeof(value));
}

int core_check_zero(uint64_t uptr, uint64_t len)
{
	unsigned char chunk[256];

	while (len) {
		size_t n = len < sizeof(chunk) ? len : sizeof(chunk);
		unsigned char any = 0;

		if (core_copy_in(chunk, uptr, n))
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			any |= chunk[i];
		if (any)
			return -E2BIG;
		uptr += n;
		len -= n;
	}
	return 0;
}

int core_copy_user_data(const struct core_user_data *data, uint32_t type,
			size_t min_len, void *dst, size_t size)
{
	if (data->type != type)
		return -EINVAL;
	if (!data->uptr || data->len < min_len || data->len > size)
		return -EINVAL;
	memset(dst, 0, size);
	return core_copy_in(dst, data->uptr, data->len);
}

int core_copy_back(const struct core_user_data *data, const void *src,
		   size_t size)
{
	if (!data->uptr)
		return -EINVAL;
	return core_copy_out(data->uptr, src,
			     data->len < size ? data->len : size);
}

/*
 * Where entry @at lies, and how many from there on lie behind one another. A
 * queue may go on at its beginning. -EFAULT: beyond all addresses.
 */
static int place(const struct core_inval *inv, uint32_t at, uint64_t *uptr,
		 uint32_t *together)
{
	uint64_t index = (uint64_t)inv->first + at;
	uint64_t offset;

	*together = UINT32_MAX;
	if (inv->mask) {
		index &= inv->mask;
		*together = (uint32_t)(inv->mask - index) + 1;
	}
	offset = index * inv->stride; /* 31 and 13 bits at most */
	*uptr = inv->uptr + offset;
	return *uptr < offset ? -EFAULT : 0;
}

static int copy_entry(const struct core_inval *inv, uint32_t at,
		      unsigned char *dst, size_t size)
{
	size_t len = inv->stride < size ? inv->stride : size;
	uint32_t together;
	uint64_t uptr;
	int rc = place(inv, at, &uptr, &together);

	if (!rc && inv->stride > size)
		rc = core_check_zero(uptr + size, inv->stride - size);
	if (rc)
		return rc;
	if (core_copy_in(dst, uptr, len))
		return -EFAULT;
	memset(dst + len, 0, size - len);
	return 0;
}

/* All of them, in at most two pieces; else we must look which one cannot be */
static int copy_span(const struct core_inval *inv, uint32_t start, uint32_t n,
		     unsigned char *dst)
{
	uint32_t together;
	uint64_t uptr;
	size_t len;

	if (place(inv, start, &uptr, &together))
		return -EFAULT;
	if (__builtin_expect(n <= together, 1))
		return core_copy_in(dst, uptr, (size_t)n * inv->stride);
	len = (size_t)together * inv->stride;
	if (core_copy_in(dst, uptr, len))
		return -EFAULT;
	return core_copy_in(dst + len, inv->uptr,
			    (size_t)(n - together) * inv->stride);
}

int core_inval_copy(const struct core_inval *inv, uint32_t start, uint32_t n,
		    void *dst, size_t size, uint32_t *copied)
{
	unsigned char *to = dst;
	uint32_t i = 0;
	int rc = 0;

	if (inv->stride == size && !copy_span(inv, start, n, dst)) {
		*copied = n;
		return 0;
	}
	/* Entry by entry: it matters which one cannot be had. */
	for (; i < n; i++) {
		rc = copy_entry(inv, start + i, to + i * size, size);
		if (rc)
			break;
	}
	*copied = i;
	return rc;
}

int core_inval_put(const struct core_inval *inv, uint32_t at, size_t offset,
		   const void *src, size_t size)
{
	uint32_t together;
	uint64_t uptr;
	int rc = place(inv, at, &uptr, &together);

	return rc ? rc : core_copy_out(uptr + offset, src, size);
}

int core_inval_check(const struct core_inval *inv, size_t size)
{
	uint64_t bytes = (uint64_t)inv->count * inv->stride;
	unsigned char byte;

	if (inv->native)
		return 0;
	for (uint64_t at = 0; at < bytes; at += CORE_PAGE_SIZE) {
		if (core_copy_in(&byte, inv->uptr + at, 1))
			return -EFAULT;
	}
	if (core_copy_in(&byte, inv->uptr + bytes - 1, 1))
		return -EFAULT;
	if (inv->stride <= size)
		return 0;
	for (uint32_t i = 0; i < inv->count; i++) {
		uint64_t tail = inv->uptr + (uint64_t)i * inv->stride + size;
		int rc = core_check_zero(tail, inv->stride - size);

		if (rc)
			return rc;
	}
	return 0;
}
