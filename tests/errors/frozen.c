// SPDX-License-Identifier: MIT
/* See frozen.h. */
#include "frozen.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "drv/hostunit.h"
#include "lib/machine.h"
#include "model/engine.h"

#define TURN_MS	  60000u /* nobody loses his turn because he is slow */
#define MEET_SECS 5

static struct frozen *the_one; /* struct hostdevs leads nowhere */

static bool is_bad(const struct frozen *f)
{
	return pthread_equal(pthread_self(), f->bad);
}

/* ---- time ---- */

static uint64_t now_ms(struct hostdevs *h)
{
	uint64_t now;

	(void)h;
	pthread_mutex_lock(&the_one->lock);
	now = the_one->now;
	pthread_mutex_unlock(&the_one->lock);
	return now;
}

void frozen_wait(struct frozen *f)
{
	uint64_t was;

	pthread_mutex_lock(&f->lock);
	was = f->now;
	f->held = true;
	while (f->now == was)
		pthread_cond_wait(&f->moved, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

/* Whoever is not to wait must not wait for ever either: time moves then. */
static void nap_ms(struct hostdevs *h, uint64_t ms)
{
	(void)h;
	if (is_bad(the_one)) {
		frozen_wait(the_one);
		return;
	}
	pthread_mutex_lock(&the_one->lock);
	the_one->others++;
	pthread_mutex_unlock(&the_one->lock);
	frozen_pass(the_one, ms);
}

void frozen_pass(struct frozen *f, uint64_t ms)
{
	pthread_mutex_lock(&f->lock);
	f->now += ms;
	f->held = false;
	pthread_cond_broadcast(&f->moved);
	pthread_mutex_unlock(&f->lock);
}

bool frozen_is_held(struct frozen *f)
{
	bool held;

	pthread_mutex_lock(&f->lock);
	held = f->held;
	pthread_mutex_unlock(&f->lock);
	return held;
}

static uint64_t never_ms(struct hostdevs *h)
{
	(void)h;
	return 1000000;
}

void frozen_for_good(struct nestfd_machine *machine)
{
	to_hostunit(machine->iommu)->devs->now_ms = never_ms;
}

/* ---- doorbells ---- */

static uint64_t injected(struct frozen *f)
{
	struct inject *in = &((struct engine *)f->machine->model)->inject;
	uint64_t n;

	pthread_mutex_lock(&in->lock);
	n = in->injected;
	pthread_mutex_unlock(&in->lock);
	return n;
}

static bool somebody_waits(const struct hostq *q)
{
	return __atomic_load_n(&q->waiting[0], __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&q->waiting[1], __ATOMIC_ACQUIRE);
}

static void meet(struct frozen *f)
{
	time_t until = time(NULL) + MEET_SECS;

	while (!somebody_waits(f->unit->q)) {
		if (time(NULL) > until) {
			__atomic_add_fetch(&f->missed, 1, __ATOMIC_RELAXED);
			return;
		}
		sched_yield();
	}
}

static void port_write(void *ctx, uint32_t offset, unsigned int size,
		       uint64_t value)
{
	struct frozen *f = ctx;
	uint64_t before;

	if (offset != f->doorbell || !is_bad(f)) {
		f->real.ops->write(f->real.ctx, offset, size, value);
		return;
	}
	if (f->meets)
		meet(f);
	before = injected(f);
	f->real.ops->write(f->real.ctx, offset, size, value);
	if (f->late_ms) {
		pthread_mutex_lock(&f->lock);
		f->now += f->late_ms * (injected(f) - before);
		pthread_mutex_unlock(&f->lock);
	}
}

static uint64_t port_read(void *ctx, uint32_t offset, unsigned int size)
{
	struct frozen *f = ctx;

	return f->real.ops->read(f->real.ctx, offset, size);
}

static int port_alloc(void *ctx, size_t size, size_t align,
		      struct core_dma_mem *mem)
{
	struct frozen *f = ctx;

	return f->real.ops->mem_alloc(f->real.ctx, size, align, mem);
}

static void port_free(void *ctx, struct core_dma_mem *mem)
{
	struct frozen *f = ctx;

	f->real.ops->mem_free(f->real.ctx, mem);
}

static void port_irq(void *ctx, unsigned int line, void (*handler)(void *arg),
		     void *arg)
{
	struct frozen *f = ctx;

	f->real.ops->irq(f->real.ctx, line, handler, arg);
}

static const struct core_hwport_ops port_ops = {
	.read = port_read,
	.write = port_write,
	.mem_alloc = port_alloc,
	.mem_free = port_free,
	.irq = port_irq,
};

/* ---- life ---- */

void frozen_start(struct frozen *f, struct nestfd_machine *machine,
		  uint32_t doorbell)
{
	assert_null(the_one);
	memset(f, 0, sizeof(*f));
	f->machine = machine;
	f->unit = to_hostunit(machine->iommu);
	/* the unit's own, which it may write to */
	f->port = (struct core_hwport *)(uintptr_t)f->unit->port;
	f->real = *f->port;
	f->doorbell = doorbell;
	f->bad = pthread_self(); /* until there is another */
	f->now = 1000000;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->moved, NULL);
	the_one = f;
	*f->port = (struct core_hwport){ &port_ops, f };
	f->now_ms = f->unit->devs->now_ms;
	f->nap_ms = f->unit->devs->nap_ms;
	f->unit->devs->now_ms = now_ms;
	f->unit->devs->nap_ms = nap_ms;
	f->unit->q->turn_ms = TURN_MS;
}

void frozen_stop(struct frozen *f)
{
	*f->port = f->real;
	f->unit->devs->now_ms = f->now_ms;
	f->unit->devs->nap_ms = f->nap_ms;
	the_one = NULL;
	pthread_cond_destroy(&f->moved);
	pthread_mutex_destroy(&f->lock);
}

/* ---- counters ---- */

static struct nestfd_driver_stats stats(const struct frozen *f)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(f->machine, &stats);
	return stats;
}

uint64_t frozen_delays(const struct frozen *f)
{
	return stats(f).timeouts + stats(f).late;
}

uint64_t frozen_waited(const struct frozen *f)
{
	return stats(f).waited;
}

uint64_t frozen_quarantines(const struct frozen *f)
{
	return stats(f).quarantines;
}
