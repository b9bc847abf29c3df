/* SPDX-License-Identifier: MIT */
/*
 * Read sections (RCU). Between reader_enter() and reader_exit() nothing that
 * the thread can reach through published pointers is freed. Writers unpublish,
 * then wait for a grace period: every section that began before has ended.
 *
 * The registry of threads is the process's, but a section may say whose memory
 * it is in: then only that machine's grace periods wait for it, and a reader
 * that is stuck there delays no other. A child of fork() without exec() must
 * not use any of this after a parent that had several readers.
 *
 * Publish with release and load with acquire (reader_publish, reader_load), or
 * with any C11 atomics of that strength.
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stdint.h>

#define reader_load(pp)	      __atomic_load_n((pp), __ATOMIC_ACQUIRE)
#define reader_publish(pp, v) __atomic_store_n((pp), (v), __ATOMIC_RELEASE)

/*
 * Nesting is fine. The first call of a thread registers it (until it exits),
 * which may block shortly; otherwise about a nanosecond. Not for signal
 * handlers.
 */
void reader_enter(void);
void reader_exit(void);

/* One per machine: waits for readers and frees what they may have held. */
struct grace;

/*
 * The same, for whoever uses nothing until the exit but what is freed by way of
 * @g. Entered in a section that is not @g's it is everybody's, and so is a
 * section of @g's in which another begins.
 */
void reader_enter_of(const struct grace *g);

/* True between enter and exit of the calling thread; for assertions. */
bool reader_inside(void);

/*
 * True if a thread other than the caller has ever entered a section and still
 * lives. When it is false after unpublishing, no grace period is needed.
 */
bool reader_others(void);

struct grace_head {
	struct grace_head *next;
	void (*fn)(struct grace_head *head);
};

/* Return: 0 or -ENOMEM. */
int grace_create(struct grace **out);

/*
 * Runs everything deferred. No thread may be inside a section that can still
 * reach it. NULL is fine.
 */
void grace_destroy(struct grace *g);

/*
 * Wait until every section that had begun when this was called, and is not some
 * other machine's, has ended; at once when no other thread is registered.
 * Afterwards runs the callbacks that were deferred before the call. Any thread,
 * but outside a section.
 *
 * Return: 0, -ETIMEDOUT after about @timeout_ns (nothing may be freed, try
 * again later), -EDEADLK inside a section of the caller's own.
 */
int grace_wait(struct grace *g, uint64_t timeout_ns);

/*
 * The wait alone, by looking again and again: for callers that may hold any
 * lock of the program's, an allocator's say, since nothing is allocated and
 * nothing deferred is run. Return: as grace_wait().
 */
int grace_poll(const struct grace *g, uint64_t timeout_ns);

/*
 * Call @fn(@head) after a later grace period: from a later grace_wait() or
 * grace_defer() of any thread, or from grace_destroy(). @fn may take only
 * locks that are never held across those calls, and must not call them. From
 * inside a section it only queues. Once 1024 heads wait, the caller helps with
 * a short grace period of its own, so the backlog is bounded unless a reader
 * is stuck. Never fails.
 */
void grace_defer(struct grace *g, struct grace_head *head,
		 void (*fn)(struct grace_head *head));

/*
 * For who may have deferred inside a section, after it has left it: the same
 * help. Else what one thread puts off would pile up for another's grace_wait().
 */
void grace_help(struct grace *g);

#endif
