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
		while (!m.polled)
			sched_yield();
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

/* ---- handlers that ring ---- */

/* Interrupted for events, a processor of the guest's sends a CMD_SYNC. */
static void ring_at_once(struct fake *fake, unsigned int line)
{
	if (line)
		return;
	guest_put(fake, 0x46, 0);
	guest_doorbell(fake, fake->viommu);
}

static const uint32_t *count(void *ctx, int fd)
{
	static const uint32_t none;

	(void)ctx;
	(void)fd;
	return &none;
}

/* Each CMD_SYNC looks for events, and there is one. */
static struct fake *start_with_event(enum nestfd_queue queue)
{
	uint64_t event[5] = { 0, 0x0000001000000010ULL, 0, 0, 0 };
	struct fake *fake = test_malloc(sizeof(*fake));
	struct nestfd_viommu_config config;

	fake_config(fake, &config);
	config.backend.count = count;
	config.queue = queue;
	fake->ext = 3;
	fake_start(fake, &config);
	guest_boot(fake, fake->viommu);
	memcpy(fake->events, event, sizeof(event));
	fake->event_bytes = sizeof(event);
	return fake;
}

#define EACH_QUEUE(q)                                                         \
	for (enum nestfd_queue q = NESTFD_QUEUE_AUTO; q <= NESTFD_QUEUE_RING; \
	     q++)

static void a_handler_rings_while_events_are_pumped(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	{
		struct fake *fake = start_with_event(queue);
		uint32_t cons = fake->cmdq_prod;

		fake->on_irq = ring_at_once;
		assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
		assert_int_equal(fake->irqs[0], 1);
		assert_int_equal(fake_reg(fake, CONS), cons + 1);
		assert_int_equal(fake_reg(fake, 0x100a8), 1);
		way_end(fake);
	}
}

struct other_cpu {
	struct fake *fake;
	atomic_uint interrupted;
	atomic_uint rung;
};

static struct other_cpu *other; /* of the one test that runs */

/* The VMM's handler returns only when the processor has reacted. */
static void wait_for_the_other(struct fake *fake, unsigned int line)
{
	(void)fake;
	if (line)
		return;
	other->interrupted++;
	while (other->rung != other->interrupted)
		sched_yield();
}

static void *react(void *arg)
{
	struct other_cpu *cpu = arg;

	while (!cpu->interrupted)
		sched_yield();
	guest_put(cpu->fake, 0x46, 0);
	guest_doorbell(cpu->fake, cpu->fake->viommu);
	cpu->rung++;
	return NULL;
}

static void another_cpu_rings_while_the_handler_waits_for_it(void **state)
{
	(void)state;
	EACH_QUEUE(queue)
	{
		struct other_cpu cpu = { .fake = start_with_event(queue) };
		uint32_t cons = cpu.fake->cmdq_prod;
		pthread_t thread;

		other = &cpu;
		cpu.fake->on_irq = wait_for_the_other;
		pthread_create(&thread, NULL, react, &cpu);
		assert_int_equal(nestfd_viommu_pump(cpu.fake->viommu), 1);
		pthread_join(thread, NULL);
		assert_int_equal(fake_reg(cpu.fake, CONS), cons + 1);
		assert_int_equal(cpu.interrupted, 1);
		way_end(cpu.fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_rewritten_while_it_is_consumed),
		cmocka_unit_test(a_reset_while_another_thread_pumps),
		cmocka_unit_test(a_handler_rings_while_events_are_pumped),
		cmocka_unit_test(
			another_cpu_rings_while_the_handler_waits_for_it),
	};

	return cmocka_run_group_tests_name("viommu threads", tests, NULL, NULL);
}
