// SPDX-License-Identifier: MIT
/*
 * The accesses of guard.h where there is no assembly for the machine: the
 * kernel copies, and answers instead of signalling. Slow; words are only as
 * atomic as the kernel's copy of an aligned word, and a cas is a load and a
 * store: not atomic against other writers. Write the assembly for a machine
 * that matters.
 */
#include "mem/guard.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

int guard_init(void)
{
	return 0;
}

int guard_thread(void)
{
	return 0;
}

int guard_read(void *dst, const void *src, size_t len)
{
	struct iovec to = { dst, len };
	struct iovec from = { (void *)src, len };

	if (!len)
		return 0;
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

int guard_write(void *dst, const void *src, size_t len)
{
	struct iovec to = { dst, len };
	struct iovec from = { (void *)src, len };

	if (!len)
		return 0;
	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

int guard_fill(void *dst, int byte, size_t len)
{
	unsigned char block[256];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)byte;
	while (len) {
		size_t n = len < sizeof(block) ? len : sizeof(block);

		if (guard_write(dst, block, n))
			return -EFAULT;
		dst = (char *)dst + n;
		len -= n;
	}
	return 0;
}

static int load(const void *src, void *value, size_t size)
{
	int rc = -EFAULT;

	if (!((uintptr_t)src % size))
		rc = guard_read(value, src, size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return rc;
}

static int store(void *dst, const void *value, size_t size)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if ((uintptr_t)dst % size)
		return -EFAULT;
	return guard_write(dst, value, size);
}

int guard_load32(const void *src, uint32_t *value)
{
	return load(src, value, sizeof(*value));
}

int guard_load64(const void *src, uint64_t *value)
{
	return load(src, value, sizeof(*value));
}

int guard_store32(void *dst, uint32_t value)
{
	return store(dst, &value, sizeof(value));
}

int guard_store64(void *dst, uint64_t value)
{
	return store(dst, &value, sizeof(value));
}

int guard_cas64(void *dst, uint64_t *expected, uint64_t desired)
{
	uint64_t found;

	if (guard_load64(dst, &found))
		return -EFAULT;
	if (found != *expected) {
		*expected = found;
		return -EAGAIN;
	}
	return guard_store64(dst, desired);
}
