/* SPDX-License-Identifier: MIT */
/* What grace.c needs of reader.c; for nobody else. */
#ifndef BASE_READER_PRIV_H
#define BASE_READER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

struct grace;

/* Try to see the end of sections of @g's within @timeout_ns, busily. @g is not
 * looked into. */
bool grace_try(const struct grace *g, uint64_t timeout_ns);

/*
 * For longer waits: what is waited for are sections that began before *@since,
 * and once all of them that are @g's are seen to have ended a look says so.
 * False: the system does not let us.
 */
bool grace_begin(unsigned long *since);
bool grace_look(const struct grace *g, unsigned long since);

/* Monotonic nanoseconds. */
uint64_t reader_now(void);

#endif
