// SPDX-License-Identifier: MIT
/*
 * A guest with several processors: one rings, one rewrites the queue while it
 * is consumed, one polls the registers and acknowledges errors; and a VMM that
 * pumps events while another of its threads resets.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define CONS	0x9c
#define GERROR	0x60
#define GERRORN 0x64
#define TURNS	2000

#define TLBI(n) 0x0005000000000012ULL, ((uint64_t)(n) << 12) | 0x701

struct machine {
	struct fake *fake;
	atomic_bool stop;
	atomic_uint polled;
};

/* What a command of the queue may turn into at any time */
static const uint64_t scraps[][2] = {
	{ TLBI(7) },
	{ 0x46, 0 },			   /* CMD_SYNC */
	{ 0x1046, 0 },			   /* which signals */
	{ 0x0000001000000003ULL, 1 },	   /* CFGI_STE */
	{ 0x0000001000000040ULL, 0x7000 }, /* ATC_INV */
	{ 0x0000001100000005ULL, 1 },	   /* CFGI_CD, unknown vSID */
	{ 0xff, 0 },			   /* nothing */
	{ 0xffffffffffffffffULL, ~0ULL },
};

static void *scribble(void *arg)
{
	struct machine *m = arg;
	uint32_t seed = 1;

	while (!m->stop) {
		seed = seed * 1664525 + 1013904223;
		guest_overwrite(m->fake, seed >> 8, scraps[seed >> 24 & 7][0],
				scraps[seed >> 24 & 7][1]);
	}
	return NULL;
}

static void *poll_and_acknowledge(void *arg)
{
	struct machine *m = arg;

	while (!m->stop) {
		if ((fake_reg(m->fake, GERROR) ^ fake_reg(m->fake, GERRORN)) &
		    1)
			guest_acknowledge(m->fake);
		fake_reg(m->fake, CONS);
		m->polled++;
	}
	return NULL;
}

/* The backend's records are bounded: forgotten by the thread that consumes. */
static void forget(struct fake *fake)
{
	fake->ncalls = 0;
	fake->nissued = 0;
	fake->nhwpt = 3;
}

static void ring_under_fire(struct fake *fake)
{
	for (int turn = 0; turn < TURNS; turn++) {
		for (int i = 0; i < 20; i++)
			guest_put(fake, TLBI(i));
		guest_put(fake, 0x46, 0);
		guest_doorbell(fake, fake->viommu);
		if (turn % 4 == 0)
			sched_yield();
		/* a full queue waits for room */
		while (((fake->cmdq_prod - fake_reg(fake, CONS)) & 0x1ff) > 200)
			sched_yield();
	}
}

static void a_queue_rewritten_while_it_is_consumed(void **state)
{
	(void)state;
	for (enum way way = WAY_CODES; way < WAYS; way++) {
		struct machine m = { .fake = way_start(way) };
		pthread_t threads[2];

		m.fake->on_ring = forget;
		m.fake->on_array = forget;
		pthread_create(&threads[0], NULL, scribble, &m);
		pthread_create(&threads[1], NULL, poll_and_acknowledge, &m);
		ring_under_fire(m.fake);
		m.stop = true;
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		assert_true(m.polled > 0);

		/* and the guest can still start over */
		nestfd_viommu_reset(m.fake->viommu);
		guest_boot(m.fake, m.fake->viommu);
		forget(m.fake);
		m.fake->on_ring = NULL;
		m.fake->on_array = NULL;
		for (int i = 0; i < 20; i++)
			guest_put(m.fake, TLBI(i));
		guest_doorbell(m.fake, m.fake->viommu);
		assert_int_equal(fake_reg(m.fake, CONS) & 0xffffff, 20);
		assert_int_equal(m.fake->nissued, 20);
		way_end(m.fake);
	}
}

static void *pump(void *arg)
{
	struct machine *m = arg;

	while (!m->stop)
		m->polled += nestfd_viommu_pump(m->fake->viommu) >= 0;
	return NULL;
}

static void a_reset_while_another_thread_pumps(void **state)
{
	uint64_t event[5] = { 0, 0x0000001000000010ULL, 0, 0, 0 };
	struct machine m = { .fake = way_start(WAY_CODES) };
	pthread_t thread;

	(void)state;
	memcpy(m.fake->events, event, sizeof(event));
	m.fake->event_bytes = sizeof(event);
	m.fake->events_without_end = true;
	pthread_create(&thread, NULL, pump, &m);
	for (int turn = 0; turn < 5; turn++) {
		nestfd_viommu_reset(m.fake->viommu);
		/* off: whatever is pumped now is for nobody */
		assert_int_equal(fake_reg(m.fake, 0x100a8), 0);
	}
	m.stop = true;
	pthread_join(thread, NULL);
	way_end(m.fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_rewritten_while_it_is_consumed),
		cmocka_unit_test(a_reset_while_another_thread_pumps),
	};

	return cmocka_run_group_tests_name("viommu threads", tests, NULL, NULL);
}
