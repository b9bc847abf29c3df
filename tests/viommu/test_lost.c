// SPDX-License-Identifier: MIT
/*
 * No invalidation is lost: whatever the backend is like and whatever fails,
 * each command that the guest sees completed has taken effect, nothing behind
 * an error runs before the guest has seen it, and no CMD_SYNC behind an
 * unanswered ATC_INV completes before one has failed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

#define CONS	0x9c
#define GERROR	0x60
#define GERRORN 0x64
#define QUEUE	256u

/* What the guest has put at each number of command, counted from 0 for ever */
enum what { NOTHING, TLBI, ATC, SYNC, CONFIG };

struct world {
	struct fake fake;
	struct host_model host;
	struct host_backend backend;
	uint8_t what[HOST_COMMANDS];
	uint8_t fate[HOST_COMMANDS];
	uint32_t first;	   /* number of the command at index 0 of lap 0 */
	uint32_t put;	   /* numbers given out */
	uint32_t complete; /* numbers that the guest has seen consumed */
	uint32_t vouched;  /* and a CMD_SYNC completed behind */
	bool ats;
	bool unreported; /* an ATC_INV without answer is among them */
	uint32_t seed;
	uint32_t errors[4];
};

static uint32_t chance(struct world *w, uint32_t of)
{
	w->seed = w->seed * 1664525 + 1013904223;
	return (w->seed >> 12) % of;
}

static struct world *world_start(enum host_kind kind, uint32_t seed,
				 uint32_t room)
{
	struct world *w = test_calloc(1, sizeof(*w));
	struct nestfd_viommu_config config;

	fake_config(&w->fake, &config);
	w->seed = seed;
	w->ats = true;
	w->host.kind = kind;
	w->host.room = room;
	w->host.again = 1;
	w->backend = (struct host_backend){ &w->host, &w->fake,
					    config.backend.ioctl };
	config.backend.ctx = &w->backend;
	config.backend.ioctl = host_ioctl;
	config.backend.exact = kind == HOST_EXACT;
	config.backend.read = NULL;
	config.backend.close = NULL;
	config.queue =
		kind == HOST_RING ? NESTFD_QUEUE_RING : NESTFD_QUEUE_AUTO;
	fake_start(&w->fake, &config);
	guest_boot(&w->fake, w->fake.viommu);
	return w;
}

static void world_end(struct world *w)
{
	nestfd_viommu_destroy(w->fake.viommu);
	test_free(w);
}

static void put(struct world *w, enum what what, enum fate fate)
{
	uint32_t n = w->put++;
	uint64_t cmd[2] = { 0x46, 0 };

	w->what[n] = (uint8_t)what;
	w->fate[n] = (uint8_t)fate;
	if (what == CONFIG) {
		cmd[0] = 0x0000001000000003ULL;
		cmd[1] = 1;
	} else if (what != SYNC) {
		host_command(n, fate, what == ATC, cmd);
	}
	guest_put(&w->fake, cmd[0], cmd[1]);
}

static void put_some(struct world *w)
{
	uint32_t n = 1 + chance(w, chance(w, 2) ? 8 : QUEUE);
	uint32_t trouble = chance(w, 3) ? 1000 : 12;

	for (uint32_t i = 0; i < n; i++) {
		enum fate fate = FATE_FINE;

		if (!chance(w, 9)) {
			put(w, chance(w, 8) ? SYNC : CONFIG, fate);
			continue;
		}
		if (!chance(w, trouble))
			fate = 1 + chance(w, w->ats ? 3 : 2);
		if (fate == FATE_SILENT || (w->ats && !chance(w, 5)))
			put(w, ATC, fate);
		else
			put(w, TLBI, fate);
	}
}

/* Linux calls a command that the hardware refuses done; so must the guest. */
static bool took_effect(const struct world *w, uint32_t n)
{
	if (w->host.done[n])
		return true;
	return w->fate[n] == FATE_SILENT ||
	       (w->fate[n] == FATE_ILLEGAL && w->host.kind == HOST_LINUX);
}

static void check_effects(struct world *w, uint32_t end)
{
	for (; w->vouched < end; w->vouched++) {
		uint32_t n = w->vouched;

		if (w->what[n] == TLBI || w->what[n] == ATC)
			assert_true(took_effect(w, n));
	}
}

/*
 * Everything up to @end, in the guest's view: it has been consumed, and what
 * stands in front of a CMD_SYNC has taken effect. Only Linux may need that.
 */
static void check_complete(struct world *w, uint32_t end)
{
	for (; w->complete < end; w->complete++) {
		uint32_t n = w->complete;

		if (w->what[n] == SYNC || w->host.kind != HOST_LINUX)
			check_effects(w, n + 1);
		if (w->what[n] == ATC && w->fate[n] == FATE_SILENT)
			w->unreported = true;
		else if (w->what[n] == SYNC)
			assert_false(w->unreported);
	}
}

static uint32_t seen_complete(struct world *w)
{
	uint32_t cons = fake_reg(&w->fake, CONS) & (2 * QUEUE - 1);

	return w->complete + ((cons - w->complete) & (2 * QUEUE - 1));
}

/* The guest repairs what stopped at number @n. */
static void recover(struct world *w, uint32_t n)
{
	uint32_t code = fake_reg(&w->fake, CONS) >> 24;

	assert_in_range(code, 1, 3);
	assert_true(n < w->put);
	w->errors[code]++;
	if (code == 1) {
		assert_true(w->fate[n] == FATE_REFUSED ||
			    (w->fate[n] == FATE_ILLEGAL &&
			     w->host.kind != HOST_LINUX));
		assert_int_equal(w->host.done[n], 0);
		w->what[n] = SYNC;
		w->fate[n] = FATE_FINE;
		guest_overwrite(&w->fake, n, 0x46, 0);
	} else if (code == 3) {
		assert_int_equal(w->what[n], SYNC);
		w->unreported = false;
		for (n++; n < w->put; n++)
			assert_int_equal(w->host.done[n], 0);
	}
	guest_acknowledge(&w->fake);
}

static bool stopped(struct world *w)
{
	return (fake_reg(&w->fake, GERROR) ^ fake_reg(&w->fake, GERRORN)) & 1;
}

/*
 * ERR = 3 at a CMD_SYNC: everything in front is complete, a silent ATC_INV
 * among it; or, where Linux does not say which it was, one that was sent with
 * it. The other codes leave what was unreported for later.
 */
static void ring_and_recover(struct world *w)
{
	guest_doorbell(&w->fake, w->fake.viommu);
	while (stopped(w)) {
		uint32_t n = seen_complete(w);

		check_complete(w, n);
		if (fake_reg(&w->fake, CONS) >> 24 == 3 &&
		    w->host.kind != HOST_LINUX)
			assert_true(w->unreported);
		recover(w, n);
	}
	check_complete(w, w->put);
	assert_int_equal(seen_complete(w), w->put);
}

static void one_life(enum host_kind kind, uint32_t seed, uint32_t room,
		     uint32_t errors[4])
{
	struct world *w = world_start(kind, seed, room);

	for (int turn = 0; turn < 60; turn++) {
		put_some(w);
		ring_and_recover(w);
	}
	for (int i = 0; i < 4; i++)
		errors[i] += w->errors[i];
	world_end(w);
}

static void no_invalidation_is_lost(enum host_kind kind, uint32_t room)
{
	uint32_t errors[4] = { 0 };

	for (uint32_t seed = 1; seed <= 60; seed++)
		one_life(kind, seed, room, errors);
	/* the lives were not too quiet to tell */
	assert_true(errors[1] > 100);
	assert_true(errors[3] > 100);
	assert_int_equal(errors[2], 0);
}

static void over_linux(void **state)
{
	(void)state;
	no_invalidation_is_lost(HOST_LINUX, UINT32_MAX);
}

static void over_a_linux_short_of_memory(void **state)
{
	(void)state;
	no_invalidation_is_lost(HOST_LINUX, 100);
	no_invalidation_is_lost(HOST_LINUX, 17);
}

static void over_a_backend_that_counts_exactly(void **state)
{
	(void)state;
	no_invalidation_is_lost(HOST_EXACT, 0);
}

static void over_a_backend_that_gives_codes(void **state)
{
	(void)state;
	no_invalidation_is_lost(HOST_CODES, 0);
}

static void over_a_ring(void **state)
{
	(void)state;
	no_invalidation_is_lost(HOST_RING, 0);
}

/* Rows K1 and K4: a refused command is no device's silence. */
static void a_guest_without_ats_is_told_of_no_device(void **state)
{
	uint32_t timeouts = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		struct world *w = world_start(HOST_LINUX, seed, UINT32_MAX);

		w->ats = false;
		for (int turn = 0; turn < 60; turn++) {
			put_some(w);
			ring_and_recover(w);
		}
		assert_int_equal(w->errors[2], 0);
		assert_int_equal(w->errors[3], 0);
		timeouts += w->host.timeouts;
		world_end(w);
	}
	assert_true(timeouts > 100);
}

static void expect_stop(struct world *w, uint32_t code, uint32_t at,
			uint32_t calls)
{
	assert_true(stopped(w));
	assert_int_equal(fake_reg(&w->fake, CONS), code << 24 | at);
	assert_int_equal(w->host.calls, calls);
	w->host.calls = 0;
}

static void expect_all_done(struct world *w, uint32_t calls)
{
	assert_false(stopped(w));
	assert_int_equal(fake_reg(&w->fake, CONS) & 0xfffff, w->put);
	assert_int_equal(w->host.calls, calls);
	for (uint32_t n = 0; n < w->put; n++)
		if (w->what[n] != SYNC)
			assert_int_equal(w->host.done[n], 1);
}

/*
 * 4.7.3: what a CMD_SYNC that failed has left incomplete, another completes.
 * The guest's does when the host's has; each try takes a second there.
 */
static void a_sync_waits_for_a_linux_that_does_not_move(void **state)
{
	struct world *w = world_start(HOST_LINUX, 1, UINT32_MAX);

	(void)state;
	put(w, TLBI, FATE_FINE);
	put(w, TLBI, FATE_FINE);
	put(w, SYNC, FATE_FINE);
	w->host.calls = 0;
	w->host.left = HOST_STUCK;
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_stop(w, 2, 2, 3);
	guest_acknowledge(&w->fake);
	expect_stop(w, 2, 2, 2);
	assert_int_equal(w->host.done[0] + w->host.done[1], 0);
	w->host.left = 1;
	guest_acknowledge(&w->fake);
	expect_all_done(w, 2);
	/* that is over: another costs nothing */
	put(w, SYNC, FATE_FINE);
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_all_done(w, 2);
	world_end(w);
}

static void it_fails_as_a_devices_while_a_device_is_asked(void **state)
{
	struct world *w = world_start(HOST_LINUX, 1, UINT32_MAX);

	(void)state;
	put(w, TLBI, FATE_FINE);
	put(w, ATC, FATE_FINE);
	put(w, TLBI, FATE_FINE);
	put(w, SYNC, FATE_FINE);
	put(w, TLBI, FATE_FINE);
	put(w, SYNC, FATE_FINE);
	w->host.calls = 0;
	w->host.left = HOST_STUCK;
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_stop(w, 3, 3, 1);
	w->host.left = 0;
	guest_acknowledge(&w->fake);
	expect_all_done(w, 1); /* the TLBI behind says it, too */
	world_end(w);

	w = world_start(HOST_LINUX, 1, UINT32_MAX);
	put(w, ATC, FATE_FINE);
	put(w, SYNC, FATE_FINE);
	w->host.calls = 0;
	w->host.left = HOST_STUCK;
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_stop(w, 3, 1, 1);
	guest_acknowledge(&w->fake);
	expect_stop(w, 3, 1, 2);
	assert_int_equal(w->host.done[0], 0);
	w->host.left = 0;
	guest_acknowledge(&w->fake);
	expect_all_done(w, 1);
	world_end(w);
}

/* A CMD_SYNC of a later doorbell, and after a reset, speaks for it as well. */
static void what_is_not_complete_is_not_forgotten(void **state)
{
	struct world *w = world_start(HOST_LINUX, 1, UINT32_MAX);

	(void)state;
	put(w, TLBI, FATE_FINE);
	w->host.calls = 0;
	w->host.left = HOST_STUCK;
	guest_doorbell(&w->fake, w->fake.viommu);
	assert_false(stopped(w));
	assert_int_equal(w->host.calls, 1);
	nestfd_viommu_reset(w->fake.viommu);
	guest_boot(&w->fake, w->fake.viommu);
	w->fake.cmdq_prod = 0;
	guest_put(&w->fake, 0x46, 0);
	w->host.calls = 0;
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_stop(w, 2, 0, 2);
	w->host.left = 0;
	guest_acknowledge(&w->fake);
	assert_int_equal(fake_reg(&w->fake, CONS) & 0xfffff, 1);
	assert_int_equal(w->host.done[0], 1);
	world_end(w);
}

/* 63 commands are in the queue; the others are not sent after them. */
static void a_linux_that_does_not_move_is_given_no_more(void **state)
{
	struct world *w = world_start(HOST_LINUX, 1, UINT32_MAX);

	(void)state;
	for (int i = 0; i < 200; i++)
		put(w, TLBI, FATE_FINE);
	put(w, SYNC, FATE_FINE);
	w->host.calls = 0;
	w->host.left = HOST_STUCK;
	guest_doorbell(&w->fake, w->fake.viommu);
	expect_stop(w, 2, 63, 3);
	assert_int_equal(w->host.done[0], 0);
	w->host.left = 0;
	guest_acknowledge(&w->fake);
	expect_all_done(w, 1);
	world_end(w);
}

/* 4 MiB of 16-byte entries, as kmalloc() bounds them: a queue of 2^19 */
static void what_is_too_large_for_linux_goes_in_few_pieces(void **state)
{
	static uint8_t queue[16u << 12];
	struct world *w = world_start(HOST_LINUX, 1, 1u << 10);

	(void)state;
	nestfd_viommu_write(w->fake.viommu, 0x20, 4, 0x5);
	nestfd_viommu_write(w->fake.viommu, 0x90, 8, 0x80000 | 12);
	nestfd_viommu_write(w->fake.viommu, 0x98, 4, 0);
	nestfd_viommu_write(w->fake.viommu, 0x9c, 4, 0);
	nestfd_viommu_write(w->fake.viommu, 0x20, 4, 0xd);
	for (uint32_t n = 0; n < 4096; n++)
		host_command(n, FATE_FINE, false, (uint64_t *)(queue + n * 16));
	memcpy(w->fake.mem + 0x80000, queue, sizeof(queue));
	w->host.calls = 0;
	nestfd_viommu_write(w->fake.viommu, 0x98, 4, 4096);
	assert_int_equal(fake_reg(&w->fake, CONS), 4096);
	for (uint32_t n = 0; n < 4096; n++)
		assert_int_equal(w->host.done[n], 1);
	/* 4096 and 2048 in vain, then four of 1024 */
	assert_int_equal(w->host.calls, 6);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_linux),
		cmocka_unit_test(over_a_linux_short_of_memory),
		cmocka_unit_test(over_a_backend_that_counts_exactly),
		cmocka_unit_test(over_a_backend_that_gives_codes),
		cmocka_unit_test(over_a_ring),
		cmocka_unit_test(a_guest_without_ats_is_told_of_no_device),
		cmocka_unit_test(a_sync_waits_for_a_linux_that_does_not_move),
		cmocka_unit_test(it_fails_as_a_devices_while_a_device_is_asked),
		cmocka_unit_test(what_is_not_complete_is_not_forgotten),
		cmocka_unit_test(a_linux_that_does_not_move_is_given_no_more),
		cmocka_unit_test(
			what_is_too_large_for_linux_goes_in_few_pieces),
	};

	return cmocka_run_group_tests_name("viommu loses nothing", tests, NULL,
					   NULL);
}
