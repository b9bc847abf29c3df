/* SPDX-License-Identifier: MIT */
/* What grace.c needs of reader.c; for nobody else. */
#ifndef BASE_READER_PRIV_H
#define BASE_READER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

/* Wait for a grace period, however long it takes. */
void reader_synchronize(void);

/* Try to see one within @timeout_ns, busily. */
bool grace_try(uint64_t timeout_ns);

/* Monotonic nanoseconds. */
uint64_t reader_now(void);

#endif
