/* SPDX-License-Identifier: MIT */
/*
 * Devices that read while the test changes what they read: pages of DATA that
 * are good, and poisoned when they should be out of reach.
 */
#ifndef TESTS_MODEL_RIG_THREADS_H
#define TESTS_MODEL_RIG_THREADS_H

#include <sched.h>
#include <time.h>

#include "base/bits.h"
#include "model/engine.h"
#include "rig.h"

#define DATA		 (RAM + 0x1000000)
#define PAGES		 8ULL
#define GOOD		 0x600d600d600d600dULL
#define POISON		 0xbad0bad0bad0bad0ULL

#define SYNC_PATIENCE_NS 600000000000ULL

struct device {
	pthread_t thread;
	struct rig *g;
	int port;
	bool *stop;
	uint64_t reads;
	uint64_t faults;
	uint64_t poisoned;
};

static inline bool stopped(const bool *stop)
{
	return __atomic_load_n(stop, __ATOMIC_ACQUIRE);
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Invisible to TSan, as the device's own accesses are */
static inline void fill(struct rig *g, uint64_t pa, uint64_t value)
{
	guard_write(at(g, pa), &value, sizeof(value));
}

/* One of the pages; false: refused */
static inline bool device_read(struct device *d, uint32_t pasid, uint64_t iova)
{
	const struct model_access a = { .iova = iova, .pasid = pasid };
	uint64_t value = 0;
	bool ok;

	ok = !d->g->model->ops->dma(d->g->port[d->port], &a, &value, 8, NULL);
	if (ok)
		__atomic_store_n(&d->reads, d->reads + 1, __ATOMIC_RELAXED);
	else
		d->faults++;
	d->poisoned += value == POISON;
	return ok;
}

/* Which one a device reads as its @n th */
static inline uint64_t device_page(const struct device *d, uint64_t n)
{
	return ((n * 5 + (uint64_t)d->port) % PAGES) << 12;
}

/*
 * A sync fails a device that is busy for a second: here they are only waiting
 * for a CPU, in the middle of a DMA, for as long as the machine has other work.
 */
static inline void devices_may_be_slow(struct rig *g)
{
	container_of(g->model, struct engine, base)->sync_timeout_ns =
		SYNC_PATIENCE_NS;
}

static inline void devices_start(struct rig *g, struct device d[2], bool *stop,
				 void *(*run)(void *))
{
	devices_may_be_slow(g);
	for (int n = 0; n < 2; n++) {
		d[n] = (struct device){ .g = g, .port = n, .stop = stop };
		pthread_create(&d[n].thread, NULL, run, &d[n]);
	}
}

/* Until each has read something: on a busy machine that takes a while. */
static inline void devices_have_read(const struct device d[2])
{
	for (int n = 0; n < 2; n++)
		while (!__atomic_load_n(&d[n].reads, __ATOMIC_RELAXED))
			sched_yield();
}

static inline void devices_stop(struct device d[2], bool *stop)
{
	__atomic_store_n(stop, true, __ATOMIC_RELEASE);
	for (int n = 0; n < 2; n++)
		pthread_join(d[n].thread, NULL);
}

/* ... and they have read, and nothing that was out of reach */
static inline void devices_stop_well(struct device d[2], bool *stop)
{
	devices_stop(d, stop);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(d[n].poisoned, 0);
		assert_true(d[n].reads > 0);
	}
}

#endif
