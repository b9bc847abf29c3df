// SPDX-License-Identifier: MIT
/* See fake_time.h. */
#include "fake_time.h"

#include <sched.h>

#include "drv/devices.h"

static uint64_t now = 1000000;
static unsigned int naps;

uint64_t fake_now(void)
{
	return __atomic_load_n(&now, __ATOMIC_ACQUIRE);
}

void fake_pass(uint64_t ms)
{
	__atomic_add_fetch(&now, ms, __ATOMIC_ACQ_REL);
}

unsigned int fake_naps(void)
{
	return __atomic_load_n(&naps, __ATOMIC_ACQUIRE);
}

static uint64_t now_ms(struct hostdevs *h)
{
	(void)h;
	return fake_now();
}

static void nap_ms(struct hostdevs *h, uint64_t ms)
{
	(void)h;
	__atomic_add_fetch(&naps, 1, __ATOMIC_ACQ_REL);
	fake_pass(ms);
	sched_yield();
}

void fake_time(struct hostdevs *h)
{
	h->now_ms = now_ms;
	h->nap_ms = nap_ms;
}
