/* SPDX-License-Identifier: MIT */
/*
 * Time for tests of the driver: it passes only when somebody waits for it, and
 * then at once.
 */
#ifndef TESTS_DRV_FAKE_TIME_H
#define TESTS_DRV_FAKE_TIME_H

#include <stdint.h>

struct hostdevs;

uint64_t fake_now(void);
void fake_pass(uint64_t ms);
/* How often the driver has waited */
unsigned int fake_naps(void);
/* @h has this time. */
void fake_time(struct hostdevs *h);

#endif
