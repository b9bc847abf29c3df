// SPDX-License-Identifier: MIT
/*
 * A guest whose devices are silent keeps an unmap waiting in a window
 * (docs/security.md), and with it whatever else needs the locks of that IOAS:
 * an attach of another of its devices, a detach, an unplugging, the end of its
 * context. A neighbour on the same machine waits for none of that. What shows
 * it is that all of the neighbour's calls are over while the guest's are not.
 *
 * To be run with -Db_sanitize=thread as well.
 */
#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define X	  0x40000000ULL
#define WINDOW_MS 1500
#define SILENT	  3 /* devices of the guest's at most */

enum { GUEST = 0x100, IDLE = 0x110, NEIGHBOUR = 0x200, OTHER = 0x201 };

static void nap_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* ---- two guests ---- */

struct party {
	struct nestfd *ctx;
	struct nestfd_device *dev[SILENT];
	struct nestfd_device *idle; /* bound only */
	uint32_t ioas;
	void *page;
};

struct bed {
	struct nestfd_machine *machine;
	struct party guest;
	struct party neighbour;
};

static struct nestfd_device *add(struct bed *b, uint32_t sid)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = sid,
		.ats = true,
	};
	struct nestfd_device *dev;

	assert_int_equal(nestfd_device_add(b->machine, &config, &dev), 0);
	return dev;
}

static struct nestfd_device *bound(struct bed *b, struct party *p, uint32_t sid)
{
	struct nestfd_device *dev = add(b, sid);
	uint32_t id;

	assert_int_equal(nestfd_bind(p->ctx, dev, &id), 0);
	return dev;
}

static void party_start(struct bed *b, struct party *p, uint32_t sid, int n)
{
	assert_int_equal(nestfd_open(b->machine, &p->ctx), 0);
	assert_int_equal(kit_ioas(p->ctx, &p->ioas), 0);
	p->page = kit_pages(1);
	assert_int_equal(kit_map(p->ctx, p->ioas, X, p->page, PAGE), 0);
	for (int i = 0; i < n; i++) {
		p->dev[i] = bound(b, p, sid + (uint32_t)i);
		assert_int_equal(kit_attach(p->dev[i], p->ioas), 0);
	}
}

/* @silent devices of the guest's: as many timeouts, windows between them */
static void bed_start(struct bed *b, enum nestfd_arch arch, int silent)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = arch,
		.atc_window_ms = WINDOW_MS,
	};

	*b = (struct bed){ 0 };
	if (arch == NESTFD_ARCH_SMMUV3) {
		config.msi_first = 0x8000000;
		config.msi_length = 0x100000;
	}
	assert_int_equal(nestfd_machine_create(&config, &b->machine), 0);
	party_start(b, &b->guest, GUEST, silent);
	b->guest.idle = bound(b, &b->guest, IDLE);
	party_start(b, &b->neighbour, NEIGHBOUR, 1);
	for (int i = 0; i < silent; i++) {
		struct nestfd_fault fault = {
			.size = sizeof(fault),
			.kind = NESTFD_FAULT_ATC_TIMEOUT,
			.stream_id = GUEST + (uint32_t)i,
			.delay_us = 1000,
		};

		assert_int_equal(nestfd_inject(b->machine, &fault), 0);
	}
}

static void bed_end(struct bed *b)
{
	nestfd_machine_destroy(b->machine);
	kit_pages_free(b->guest.page, 1);
	kit_pages_free(b->neighbour.page, 1);
}

/* ---- what the guest does ---- */

struct job {
	struct bed *bed;
	int (*run)(struct bed *bed);
	pthread_t thread;
	bool begun;
	bool over;
	int rc;
};

static void *job_run(void *arg)
{
	struct job *job = arg;

	__atomic_store_n(&job->begun, true, __ATOMIC_RELEASE);
	job->rc = job->run(job->bed);
	__atomic_store_n(&job->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_over(struct job *job)
{
	return __atomic_load_n(&job->over, __ATOMIC_ACQUIRE);
}

static void job_start(struct job *job, struct bed *bed,
		      int (*run)(struct bed *bed))
{
	*job = (struct job){ .bed = bed, .run = run };
	assert_int_equal(pthread_create(&job->thread, NULL, job_run, job), 0);
	while (!__atomic_load_n(&job->begun, __ATOMIC_ACQUIRE))
		nap_ms(1);
}

static int job_end(struct job *job)
{
	pthread_join(job->thread, NULL);
	return job->rc;
}

static int guest_unmap(struct bed *b)
{
	return kit_unmap(b->guest.ctx, b->guest.ioas, X, PAGE);
}

static int guest_attach(struct bed *b)
{
	return kit_attach(b->guest.idle, b->guest.ioas);
}

static int guest_detach(struct bed *b)
{
	nestfd_detach(b->guest.dev[0], NESTFD_NO_PASID);
	return 0;
}

static int guest_unbind(struct bed *b)
{
	nestfd_unbind(b->guest.dev[0]);
	return 0;
}

static int guest_unplug(struct bed *b)
{
	nestfd_device_remove(b->guest.dev[0]);
	return 0;
}

static int guest_close(struct bed *b)
{
	nestfd_close(b->guest.ctx);
	return 0;
}

/* ---- what its neighbour does ---- */

static void wait_for_window(struct bed *b)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	do {
		nap_ms(1);
		nestfd_driver_stats(b->machine, &stats);
	} while (!stats.timeouts);
}

static void everything(struct bed *b)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };
	struct party *p = &b->neighbour;
	struct nestfd_device *other;
	struct nestfd *ctx;
	uint64_t word;
	uint32_t id;

	nestfd_device_reset(p->dev[0]);
	nestfd_detach(p->dev[0], NESTFD_NO_PASID);
	assert_int_equal(kit_read(p->dev[0], X, &word), -EIO);
	assert_int_equal(kit_attach(p->dev[0], p->ioas), 0);
	assert_int_equal(kit_read(p->dev[0], X, &word), 0);
	other = bound(b, p, OTHER);
	assert_int_equal(kit_attach(other, p->ioas), 0);
	nestfd_unbind(other);
	assert_int_equal(nestfd_open(b->machine, &ctx), 0);
	assert_int_equal(nestfd_bind(ctx, other, &id), 0);
	nestfd_close(ctx);
	nestfd_device_remove(other);
	nestfd_driver_stats(b->machine, &stats);
	assert_int_equal(stats.timeouts, 1);
}

static void check(enum nestfd_arch arch, int silent,
		  int (*run)(struct bed *bed))
{
	struct job unmap, other;
	struct bed b;
	uint32_t id;

	bed_start(&b, arch, silent);
	job_start(&unmap, &b, guest_unmap);
	wait_for_window(&b);
	job_start(&other, &b, run);
	nap_ms(50); /* it comes to where it waits */
	assert_false(is_over(&other));
	everything(&b);
	if (run == guest_attach)
		assert_int_equal(
			nestfd_bind(b.neighbour.ctx, b.guest.idle, &id),
			-EBUSY);
	assert_false(is_over(&unmap));
	assert_false(is_over(&other));
	assert_int_equal(job_end(&unmap), 0);
	assert_int_equal(job_end(&other), 0);
	bed_end(&b);
}

static void nobody_waits_for_an_attach_of_a_silent_guest(void **state)
{
	(void)state;
	check(NESTFD_ARCH_SMMUV3, 2, guest_attach);
	check(NESTFD_ARCH_VTD, 2, guest_attach);
}

static void nobody_waits_for_a_detach_of_a_silent_guest(void **state)
{
	(void)state;
	check(NESTFD_ARCH_SMMUV3, 2, guest_detach);
}

static void nobody_waits_for_a_silent_device_to_be_unbound(void **state)
{
	(void)state;
	check(NESTFD_ARCH_VTD, 2, guest_unbind);
}

static void nobody_waits_for_a_silent_device_to_be_unplugged(void **state)
{
	(void)state;
	check(NESTFD_ARCH_SMMUV3, 2, guest_unplug);
}

static void nobody_waits_for_the_end_of_a_silent_guest(void **state)
{
	(void)state;
	/* The last is given up first, the second is what the unmap waits for.
	 */
	check(NESTFD_ARCH_SMMUV3, 3, guest_close);
}

/* ---- who goes first ---- */

#define ROUNDS 100

struct meeting {
	struct party *p;
	pthread_barrier_t all;
};

/* What another thread may do while the context is being closed */
static void *resets(void *arg)
{
	struct meeting *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m->all);
		nestfd_device_reset(m->p->dev[0]);
		nestfd_detach(m->p->dev[0], NESTFD_NO_PASID);
		nestfd_unbind(m->p->dev[0]);
		pthread_barrier_wait(&m->all);
	}
	return NULL;
}

static void *unplugs(void *arg)
{
	struct meeting *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m->all);
		nestfd_device_remove(m->p->dev[1]);
		pthread_barrier_wait(&m->all);
	}
	return NULL;
}

static void *attaches(void *arg)
{
	struct meeting *m = arg;
	int wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int rc;

		pthread_barrier_wait(&m->all);
		rc = kit_attach(m->p->idle, m->p->ioas);
		wrong += rc && rc != -ENODEV; /* closed before */
		pthread_barrier_wait(&m->all);
	}
	return (void *)(uintptr_t)wrong;
}

static void a_context_ends_while_its_devices_do_all_sorts(void **state)
{
	static void *(*const run[])(void *) = { resets, unplugs, attaches };
	struct bed b = { 0 };
	struct meeting m = { .p = &b.guest };
	pthread_t thread[3];
	void *wrong;

	(void)state;
	assert_int_equal(kit_machine(NESTFD_CACHE_FAST, &b.machine), 0);
	pthread_barrier_init(&m.all, NULL, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run[i], &m),
				 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t word;

		party_start(&b, &b.guest, GUEST, 2);
		b.guest.idle = bound(&b, &b.guest, IDLE);
		pthread_barrier_wait(&m.all);
		nestfd_close(b.guest.ctx);
		pthread_barrier_wait(&m.all);
		assert_int_equal(kit_read(b.guest.dev[0], X, &word), -EIO);
		assert_int_equal(kit_read(b.guest.idle, X, &word), -EIO);
		nestfd_device_remove(b.guest.dev[0]);
		nestfd_device_remove(b.guest.idle);
		kit_pages_free(b.guest.page, 1);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	pthread_barrier_destroy(&m.all);
	nestfd_machine_destroy(b.machine);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits_for_an_attach_of_a_silent_guest),
		cmocka_unit_test(nobody_waits_for_a_detach_of_a_silent_guest),
		cmocka_unit_test(
			nobody_waits_for_a_silent_device_to_be_unbound),
		cmocka_unit_test(
			nobody_waits_for_a_silent_device_to_be_unplugged),
		cmocka_unit_test(nobody_waits_for_the_end_of_a_silent_guest),
		cmocka_unit_test(a_context_ends_while_its_devices_do_all_sorts),
	};

	return RUN(tests, argc, argv);
}
