/* SPDX-License-Identifier: MIT */
/* Register fields and queue indices that are used without a lock. */
#ifndef FRONT_ORDERED_H
#define FRONT_ORDERED_H

#define load_relaxed(p)	    __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)	    __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_ordered(p)	    __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define store_ordered(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

/*
 * A picture of several fields, each A, that is read whole without a lock: @seq
 * is odd while it changes. Release: no field is stored before the odd number,
 * the last store is not before the fields. Acquire on the other side: no field
 * is read before @seq.
 */
#define picture_set(seq, field, value)            \
	do {                                      \
		store_relaxed(&(seq), (seq) + 1); \
		store_release(&(field), value);   \
		store_release(&(seq), (seq) + 1); \
	} while (0)

/* Different for each thread */
const char *thread_token(void);

#endif
