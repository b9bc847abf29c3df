/* SPDX-License-Identifier: MIT */
/*
 * Access to memory that can vanish: unmapped, protected or truncated by a
 * client while we use it. A fault in one of these functions becomes -EFAULT;
 * a fault anywhere else goes to whatever handler the process had before.
 *
 * guard_init() must have succeeded before any other call. All others are
 * async-signal-safe and work in any thread. Nothing checks that memory is
 * initialised or unpoisoned: sanitizers do not see these accesses.
 */
#ifndef MEM_GUARD_H
#define MEM_GUARD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Make ours the process's SIGSEGV and SIGBUS handler, for good: handlers that
 * chain to ours could not be unhooked. Any thread, any number of times. A
 * handler that the process installs later must chain to ours with siginfo, or
 * this be called again after it (test frameworks install theirs per test).
 * Return: 0, the errno of sigaction(), or -ENOSPC after too many different
 * handlers of others.
 */
int guard_init(void);

/*
 * The kernel kills a thread that faults while it blocks SIGSEGV or SIGBUS (as
 * sigfillset() does). Threads that we create call this once; it unblocks both.
 * Return: 0 or the errno of pthread_sigmask().
 */
int guard_thread(void);

/*
 * Copy @len bytes; either side may vanish. Bytes are copied in no
 * particular order, so check what has arrived, never the source again. Ranges
 * must not overlap.
 * Return: 0 or -EFAULT, with an unspecified part copied.
 */
int guard_read(void *dst, const void *src, size_t len);
int guard_write(void *dst, const void *src, size_t len);

/* Fill with one byte. Return: 0 or -EFAULT, with a part written. */
int guard_fill(void *dst, int byte, size_t len);

/*
 * Single-copy atomic accesses of aligned words in native byte order; loads
 * are acquire, stores release, cas is both. A misaligned address answers
 * -EFAULT.
 */
int guard_load32(const void *src, uint32_t *value);
int guard_load64(const void *src, uint64_t *value);
int guard_store32(void *dst, uint32_t value);
int guard_store64(void *dst, uint64_t value);

/*
 * Return: 0 (swapped), -EAGAIN (differed; *expected is what was found) or
 * -EFAULT (absent or read-only).
 */
int guard_cas64(void *dst, uint64_t *expected, uint64_t desired);

#endif
