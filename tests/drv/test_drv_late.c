// SPDX-License-Identifier: MIT
/*
 * Devices that answer, but late: how long a guest's batch keeps the queue, when
 * its next one may come, and when that is the end of a device's ATS. The queue
 * is locked while a device answers, so what passes then is what a neighbour
 * waits for. Time is the test's own.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "drv/smmuv3/unit.h"
#include "fake_time.h"

/* docs/security.md */
#define WINDOW 1000u
#define BUDGET 4u
#define SLOW   10u
#define LATE   100u
#define FACTOR 10u

#define MANY   1536

struct guest {
	struct bed b;
	struct core_inval inv;
	uint64_t cmds[MANY][2];
	/* under the queue's lock */
	unsigned int late[3]; /* ms until each device has answered a sync */
	unsigned int asked;   /* devices with something outstanding: bits */
	uint64_t syncs;	      /* that waited for a device */
	uint64_t held;	      /* ms, all in all */
	/* the doorbells and ms of the batch on its way, and the most of all */
	uint64_t batch, batch_held, worst;
};

static uint64_t batches(struct guest *g)
{
	return bed_stats(&g->b).batches;
}

static uint64_t lates(struct guest *g)
{
	return bed_stats(&g->b).late;
}

static uint64_t timeouts(struct guest *g)
{
	return bed_stats(&g->b).timeouts;
}

static void waited(struct guest *g, unsigned int ms)
{
	uint64_t batch = batches(g);

	if (batch != g->batch)
		g->batch_held = 0;
	g->batch = batch;
	g->batch_held += ms;
	__atomic_add_fetch(&g->held, ms, __ATOMIC_ACQ_REL);
	if (g->batch_held > g->worst)
		g->worst = g->batch_held;
	fake_pass(ms);
}

/* The queue is locked here. One sync waits for all it covers at once. */
static void watch(struct fake *f, const uint64_t dw[2])
{
	struct guest *g = f->spy_arg;
	unsigned int ms = 0;

	f->log_n = 0;
	if ((dw[0] & 0xff) == 0x40)
		g->asked |= 1u << (dw[0] >> 32 & 3);
	if ((dw[0] & 0xff) != SYNC || !g->asked)
		return;
	for (int d = 0; d < 3; d++)
		if (g->asked >> d & 1 && g->late[d] > ms)
			ms = g->late[d];
	g->asked = 0;
	g->syncs++;
	waited(g, ms);
}

static void guest_start(struct guest *g, unsigned int timeouts)
{
	memset(g, 0, sizeof(*g));
	bed_init(&g->b);
	g->b.r.cfg.atc_timeouts = timeouts;
	bed_start(&g->b);
	g->b.r.hw.spy = watch;
	g->b.r.hw.spy_arg = g;
}

static void guest_stop(struct guest *g)
{
	memset(g->late, 0, sizeof(g->late));
	bed_stop(&g->b);
}

static bool has_ats(struct guest *g, uint32_t sid)
{
	return bed_has_ats(&g->b, sid);
}

/* @n ATC_INVs in turns to both devices */
static void alternate(struct guest *g, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		g->cmds[i][0] = (0x51ULL + i % 2) << 32 | 0x40;
		g->cmds[i][1] = (uint64_t)i << 12;
	}
}

static int send(struct guest *g, uint32_t n)
{
	return rig_inval(g->b.v, g->cmds, n, &g->inv);
}

static int atc_inv(struct guest *g, uint32_t vsid)
{
	struct core_inval inv;

	return bed_atc_inv(&g->b, vsid, &inv);
}

/* ---- how long a batch keeps the queue ---- */

static void test_a_batch_ends_at_the_first_late_answer(void **state)
{
	static const unsigned int late[] = { 10, 11, 50, 99 };
	struct guest g;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		guest_start(&g, 1000000);
		alternate(&g, 64);
		g.late[1] = g.late[2] = late[i];
		assert_int_equal(send(&g, 64), 0);
		assert_int_equal(g.inv.done, 64);
		/* each was asked once */
		assert_int_equal(g.syncs, 64);
		assert_int_equal(g.worst, late[i]);
		assert_int_equal(timeouts(&g), 0);
		assert_int_equal(lates(&g), 64);
		guest_stop(&g);
	}
}

static void test_small_delays_add_up(void **state)
{
	struct guest g;

	(void)state;
	for (unsigned int late = 1; late < SLOW; late++) {
		guest_start(&g, 1000000);
		alternate(&g, 512);
		g.late[1] = g.late[2] = late;
		assert_int_equal(send(&g, 512), 0);
		assert_int_equal(g.inv.done, 512);
		assert_int_equal(g.syncs, 512);
		/* 10 ms, and what the answer that passed it took */
		assert_true(g.worst >= SLOW && g.worst < SLOW + late);
		guest_stop(&g);
	}
}

static void test_prompt_devices_are_one_batch(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, 0);
	alternate(&g, 512);
	was = batches(&g);
	assert_int_equal(send(&g, 512), 0);
	assert_int_equal(batches(&g) - was, 1);
	assert_int_equal(fake_naps(), 0);
	/* below the bound nobody waits for anything */
	g.late[1] = SLOW - 1;
	for (int i = 0; i < 100; i++)
		assert_int_equal(atc_inv(&g, 0x51), 0);
	assert_int_equal(fake_naps(), 0);
	guest_stop(&g);
}

static void test_a_slow_unit_is_no_slow_device(void **state)
{
	uint64_t cmds[2][2] = { { 7ULL << 48 | 0x11 }, { 8ULL << 48 | 0x11 } };
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, 0);
	/* the sync waits, though nothing was asked */
	for (int i = 0; i < 20; i++) {
		g.asked = 2;
		g.late[1] = 500;
		assert_int_equal(rig_inval(g.b.v, cmds, 2, &g.inv), 0);
	}
	g.late[1] = 0;
	was = fake_now();
	assert_int_equal(atc_inv(&g, 0x51), 0);
	assert_int_equal(fake_now(), was);
	assert_true(has_ats(&g, 0x101));
	guest_stop(&g);
}

/* ---- when the next may come ---- */

static void test_a_guests_devices_have_a_tenth_of_the_time(void **state)
{
	static const unsigned int late[] = { 10, 25, 60, 99 };
	struct guest g;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t was;

		guest_start(&g, 0);
		g.late[1] = late[i];
		was = fake_now();
		for (int k = 0; k < 18; k++)
			assert_int_equal(atc_inv(&g, 0x51 + k % 2), 0);
		/* every other one is late, and the next waits */
		assert_int_equal(g.held, 9 * late[i]);
		assert_int_equal(fake_now() - was, FACTOR * g.held);
		/* time is all that it costs */
		assert_true(has_ats(&g, 0x101));
		guest_stop(&g);
	}
}

/* The pauses of one guest, and so its ioctls, have an end. */
static void test_a_second_in_all_is_a_timeout(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, 0);
	alternate(&g, MANY);
	g.late[1] = g.late[2] = 50;
	was = fake_now();
	assert_int_equal(send(&g, MANY), -ETIMEDOUT);
	/* the last of each 20 answers is 0x102's: four times, then its end */
	assert_int_equal(g.inv.done, 4 * 20 + 1);
	assert_int_equal(g.inv.info, 0x52);
	assert_true(has_ats(&g, 0x101) && !has_ats(&g, 0x102));
	assert_true(fake_now() - was < 60 * WINDOW);
	guest_stop(&g);
}

static void test_late_as_a_timeout_opens_a_window(void **state)
{
	static const unsigned int late[] = { 100, 400, 900, 5000 };
	struct guest g;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t was;

		guest_start(&g, 1000000);
		g.late[1] = late[i];
		was = fake_now();
		for (int k = 0; k < 5; k++)
			assert_int_equal(atc_inv(&g, 0x51), 0);
		assert_int_equal(fake_now() - was, 5 * late[i] + 4 * WINDOW);
		assert_int_equal(g.worst, late[i]);
		guest_stop(&g);
	}
}

/* ---- quarantine ---- */

static void test_late_again_and_again_is_quarantine(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	g.late[1] = LATE;
	for (unsigned int i = 0; i < BUDGET; i++) {
		assert_true(has_ats(&g, 0x101));
		assert_int_equal(atc_inv(&g, 0x51), 0);
	}
	assert_false(has_ats(&g, 0x101));
	assert_true(has_ats(&g, 0x102));
	/* no hardware any more */
	for (int i = 0; i < 100; i++)
		assert_int_equal(atc_inv(&g, 0x51), -ETIMEDOUT);
	assert_int_equal(g.syncs, BUDGET);
	g.late[1] = 0;
	g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	assert_true(has_ats(&g, 0x101));
	assert_int_equal(atc_inv(&g, 0x51), 0);
	guest_stop(&g);
}

/* Two devices in turns: 512 times late would be 460 s. */
static void test_two_that_are_late_in_turns(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	alternate(&g, 512);
	g.late[1] = g.late[2] = 900;
	assert_int_equal(send(&g, 512), -ETIMEDOUT);
	/* 0x101 is in quarantine when 0x102 has been late for the 4th time */
	assert_int_equal(g.syncs, 2 * BUDGET);
	assert_int_equal(g.inv.done, 2 * BUDGET);
	assert_int_equal(g.inv.info, 0x51);
	assert_int_equal(g.worst, 900);
	guest_stop(&g);
}

static void test_a_guest_that_resets_is_over_at_last(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	g.late[1] = 300;
	for (int i = 0; i < 100; i++) {
		atc_inv(&g, 0x51);
		g.b.r.iommu->ops->device_reset(&g.b.r.dev[1]);
	}
	assert_int_equal(g.syncs, 4 * BUDGET);
	assert_int_equal(g.held, 4 * BUDGET * 300);
	assert_false(has_ats(&g, 0x101) || has_ats(&g, 0x102));
	guest_stop(&g);
}

/* The first answer never comes, and when it is searched for all come late. */
static void test_a_search_among_late_answers(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 1000000);
	for (uint64_t i = 0; i < 64; i++) {
		g.cmds[i][0] = 0x5100000040;
		g.cmds[i][1] = i << 12;
	}
	g.b.r.hw.mute_sid = 0x101;
	g.b.r.hw.mute_times = 1;
	g.late[1] = 900;
	assert_int_equal(send(&g, 64), 0);
	assert_int_equal(g.inv.done, 64);
	assert_int_equal(timeouts(&g), 1);
	assert_int_equal(g.syncs, 65);
	assert_int_equal(g.worst, 900);
	guest_stop(&g);
}

static void test_an_unmap_among_late_answers(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 1000000);
	assert_int_equal(
		g.b.parent->ops->map(g.b.parent, 0x1000, 0x1000, 0x1000, 3), 0);
	g.late[1] = g.late[2] = 900;
	g.b.parent->ops->unmap(g.b.parent, 0x1000, 0x1000);
	assert_int_equal(g.syncs, 2);
	assert_int_equal(g.worst, 900);
	/* both have answered */
	assert_true(has_ats(&g, 0x101) && has_ats(&g, 0x102));
	guest_stop(&g);
}

static void attach(struct guest *g, int i)
{
	assert_int_equal(g->b.nested[i]->ops->attach(
				 g->b.nested[i], &g->b.r.dev[i], UINT32_MAX),
			 0);
}

/* It may be a busy machine: nobody loses ATS for that who cannot wait. */
static void test_detaching_in_a_pause_asks(void **state)
{
	struct guest g;
	uint64_t was;

	(void)state;
	guest_start(&g, 0);
	g.late[1] = 50;
	assert_int_equal(atc_inv(&g, 0x51), 0);
	g.late[1] = 0;
	was = fake_now();
	g.syncs = 0;
	g.b.r.iommu->ops->block(&g.b.r.dev[1], UINT32_MAX);
	assert_int_equal(g.syncs, 1);
	assert_int_equal(fake_now(), was);
	attach(&g, 1);
	assert_true(has_ats(&g, 0x101));
	guest_stop(&g);
}

/* But who is late then as well pays in full. */
static void test_late_in_a_pause_is_as_a_timeout(void **state)
{
	unsigned int times = 0;
	struct guest g;

	(void)state;
	guest_start(&g, 0);
	g.late[1] = 50;
	for (int i = 0; i < 100; i++) {
		if (!has_ats(&g, 0x101))
			break;
		g.b.r.iommu->ops->block(&g.b.r.dev[1], UINT32_MAX);
		attach(&g, 1);
		times++;
	}
	assert_in_range(times, 1, 2 * BUDGET);
	assert_in_range(g.held, 50, 2 * BUDGET * 50);
	guest_stop(&g);
}

/* ---- a neighbour ---- */

struct neighbour {
	struct guest *g;
	struct core_viommu *v;
	unsigned int stop;
	unsigned int wrong;
	unsigned int unfair;
	uint64_t calls;
};

static uint64_t held(struct guest *g)
{
	return __atomic_load_n(&g->held, __ATOMIC_ACQUIRE);
}

/* Each call begins while some batch is on its way, and waits for that. */
static void *quiet_cpu(void *arg)
{
	uint64_t cmds[2][2] = { { 9ULL << 48 | 0x11 }, { 0x10 } };
	struct neighbour *n = arg;
	struct core_inval inv;

	while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE) || n->calls < 50) {
		uint64_t at = fake_now();
		uint64_t before = held(n->g);
		uint64_t rest;

		n->wrong += rig_inval(n->v, cmds, 2, &inv) || inv.done != 2;
		before = held(n->g) - before;
		/* an answer for each window that has passed, and one */
		rest = (fake_now() - at) / (WINDOW + 900) + 1;
		n->unfair += before > rest * 900;
		n->calls++;
	}
	return NULL;
}

static void test_a_neighbour_waits_for_one_answer_in_a_window(void **state)
{
	struct neighbour n = { 0 };
	pthread_t thread;
	struct guest g;

	(void)state;
	guest_start(&g, 1000000);
	n.g = &g;
	n.v = rig_viommu(&g.b.r, g.b.parent);
	alternate(&g, 128);
	g.late[1] = g.late[2] = 900;
	assert_int_equal(pthread_create(&thread, NULL, quiet_cpu, &n), 0);
	assert_int_equal(send(&g, 128), 0);
	__atomic_store_n(&n.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(g.syncs, 128);
	assert_int_equal(n.wrong, 0);
	assert_int_equal(n.unfair, 0);
	n.v->ops->free(n.v);
	guest_stop(&g);
}

/* ---- a queue that does not move ---- */

static void test_hardware_has_longer_while_a_device_is_asked(void **state)
{
	struct guest g;

	(void)state;
	for (unsigned int asks = 0; asks < 2; asks++) {
		uint64_t cmd[1][2] = { { asks ? 0x5100000040 : 0x11, 0 } };

		guest_start(&g, 0);
		assert_int_equal(to_unit(g.b.r.iommu)->cmdq.q.answer_ms, 90000);
		to_unit(g.b.r.iommu)->cmdq.q.timeout_ms = 1;
		to_unit(g.b.r.iommu)->cmdq.q.answer_ms = asks ? 60000 : 1;
		/* each look at a queue that does not move naps for 50 us */
		g.b.r.hw.spy = NULL;
		g.b.r.hw.lazy = 6000;
		assert_int_equal(rig_inval(g.b.v, cmd, 1, &g.inv),
				 asks ? 0 : -EIO);
		g.b.r.hw.lazy = 0;
		guest_stop(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prompt_devices_are_one_batch),
		cmocka_unit_test(test_a_batch_ends_at_the_first_late_answer),
		cmocka_unit_test(test_small_delays_add_up),
		cmocka_unit_test(test_a_slow_unit_is_no_slow_device),
		cmocka_unit_test(
			test_a_guests_devices_have_a_tenth_of_the_time),
		cmocka_unit_test(test_a_second_in_all_is_a_timeout),
		cmocka_unit_test(test_late_as_a_timeout_opens_a_window),
		cmocka_unit_test(test_late_again_and_again_is_quarantine),
		cmocka_unit_test(test_two_that_are_late_in_turns),
		cmocka_unit_test(test_a_guest_that_resets_is_over_at_last),
		cmocka_unit_test(test_a_search_among_late_answers),
		cmocka_unit_test(test_an_unmap_among_late_answers),
		cmocka_unit_test(test_detaching_in_a_pause_asks),
		cmocka_unit_test(test_late_in_a_pause_is_as_a_timeout),
		cmocka_unit_test(
			test_a_neighbour_waits_for_one_answer_in_a_window),
		cmocka_unit_test(
			test_hardware_has_longer_while_a_device_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
