// SPDX-License-Identifier: MIT
/*
 * The guest's own queue consumed in place: what the backend is told, what it
 * leaves to the VMM, and a guest that rewrites its queue meanwhile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "fake.h"

#define CONS	    0x9c
#define GERROR	    0x60

#define TLBI(n)	    0x0005000000000012ULL, ((uint64_t)(n) << 12) | 0x701
#define ATC(n)	    0x0000001000000040ULL, (uint64_t)(n) << 12
#define SYNC	    0x46ULL, 0ULL
#define SYNC_MSI(n) 0x0000000000001046ULL | (uint64_t)(n) << 32, 0x50000ULL
#define LONG_ADDR   0x60000u
#define CFGI_STE    0x0000001000000003ULL, 1ULL

static int setup(void **state)
{
	*state = way_start(WAY_RING);
	return 0;
}

static int setup_auto(void **state)
{
	*state = way_start(WAY_AUTO);
	return 0;
}

static int teardown(void **state)
{
	way_end(*state);
	return 0;
}

static struct nestfd_viommu_stats stats_of(struct fake *fake)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };

	nestfd_viommu_stats(fake->viommu, &stats);
	return stats;
}

static void a_doorbell_is_one_ring_call_over_the_guests_memory(void **state)
{
	struct nestfd_viommu_stats before, after;
	struct fake *fake = *state;

	before = stats_of(fake);
	for (int i = 0; i < 100; i++) {
		guest_put(fake, TLBI(i));
		guest_put(fake, SYNC);
	}
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 1);
	assert_int_equal(fake->ncalls, 0);
	assert_ptr_equal(fake->rings[0].entries, fake->mem + CMDQ_ADDR);
	assert_int_equal(fake->rings[0].bits, 8);
	assert_int_equal(fake->rings[0].cons, 2);
	assert_int_equal(fake->rings[0].prod, 202);
	assert_int_equal(fake_reg(fake, CONS), 202);
	assert_int_equal(fake->nissued, 100);
	after = stats_of(fake);
	assert_int_equal(after.ring_ioctls - before.ring_ioctls, 1);
	assert_int_equal(after.ring_commands - before.ring_commands, 200);
	assert_int_equal(after.commands - before.commands, 200);
	assert_int_equal(after.doorbells - before.doorbells, 1);
	assert_int_equal(after.ring_stops, before.ring_stops);
	assert_int_equal(after.invalidate_ioctls, before.invalidate_ioctls);
}

static void indices_go_round_with_their_wrap_bit(void **state)
{
	struct fake *fake = *state;
	uint64_t n = 0;

	for (int turn = 0; turn < 40; turn++) {
		uint32_t from = fake->cmdq_prod;

		fake->nissued = 0;
		for (int i = 0; i < 37; i++)
			guest_put(fake, TLBI(n++));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->rings[turn].cons, from);
		assert_int_equal(fake->rings[turn].prod, (from + 37) & 0x1ff);
		assert_int_equal(fake_reg(fake, CONS), (from + 37) & 0x1ff);
		assert_int_equal(fake->nissued, 37);
		for (int i = 0; i < 37; i++)
			assert_int_equal(fake->issued[i][1] >> 12,
					 n - 37 + (uint64_t)i);
	}
}

static void a_full_queue_is_one_call(void **state)
{
	struct fake *fake = *state;

	for (int i = 0; i < 256; i++)
		guest_put(fake, TLBI(i));
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 1);
	assert_int_equal(fake->rings[0].cons, 2);
	assert_int_equal(fake->rings[0].prod, 0x102);
	assert_int_equal(fake->nissued, 256);
	assert_int_equal(fake_reg(fake, CONS), 0x102);
}

static void few_commands_go_through_the_ring_too(void **state)
{
	struct fake *fake = *state;

	for (int i = 0; i < 20; i++) {
		guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
	}
	assert_int_equal(fake->nrings, 20);
	assert_int_equal(fake->ncalls, 0);
	assert_int_equal(fake->nissued, 20);
}

static void put_tlbis(struct fake *fake, int first, int n)
{
	for (int i = first; i < first + n; i++)
		guest_put(fake, TLBI(i));
}

/* Commands behind each other that pay for a call */
#define MANY 40

static void the_vmm_does_its_part_in_its_place(void **state)
{
	struct fake *fake = *state;
	uint64_t stops = stats_of(fake).ring_stops;
	uint32_t before = fake->attached;

	guest_ste(fake, 0x10, 0x9, 0); /* bypass */
	put_tlbis(fake, 0, MANY);
	guest_put(fake, CFGI_STE);
	put_tlbis(fake, MANY, MANY);
	guest_put(fake, SYNC);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 2);
	assert_int_equal(fake->rings[0].prod, 2 + MANY);
	assert_int_equal(fake->rings[0].done, MANY);
	assert_int_equal(fake->rings[1].cons, 3 + MANY);
	assert_int_equal(fake->rings[1].done, MANY + 1);
	assert_true(fake->attached != before);
	assert_int_equal(fake->attached, fake->hwpt_id[1]);
	assert_int_equal(fake->ncalls, 0);
	assert_int_equal(fake->nissued, 2 * MANY);
	for (int i = 0; i < 2 * MANY; i++)
		assert_int_equal(fake->issued[i][1] >> 12, i);
	assert_int_equal(fake_reg(fake, CONS), 4 + 2 * MANY);
	assert_int_equal(stats_of(fake).ring_stops, stops);
	assert_int_equal(stats_of(fake).doorbells, 2);
}

/* One ioctl for all is less than one for each piece. */
static void
among_the_vmms_commands_few_of_the_hosts_go_as_an_array(void **state)
{
	struct fake *fake = *state;

	for (int turn = 0; turn < 8; turn++) {
		guest_put(fake, CFGI_STE);
		put_tlbis(fake, 20 * turn, 20);
	}
	guest_put(fake, SYNC);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	/* CFGI_CD_ALL, and 160 */
	assert_int_equal(fake->nissued, 161);
	for (int i = 0; i < 160; i++)
		assert_int_equal(fake->issued[i + 1][1] >> 12, i);
	assert_int_equal(fake_reg(fake, CONS), 2 + 8 * 21 + 1);
}

/* Wherever the VMM's commands stand, all is done once and in order. */
static void any_mix_is_done_once_and_in_order(void **state)
{
	struct fake *fake = *state;
	uint32_t seed = 1;

	for (int turn = 0; turn < 400; turn++) {
		int n = 0;
		int host = 0;

		fake->nissued = 0;
		fake->ncalls = 0;
		for (seed = seed * 1664525 + 1013904223; n < 240;
		     seed = seed * 1664525 + 1013904223) {
			int run = seed >> 24 & 0x3f;

			if (n + run > 240)
				break;
			put_tlbis(fake, host, run);
			host += run;
			/* of no stream, so that nothing more comes of it */
			guest_put(fake, 0x0000001100000003ULL, 1);
			n += run + 1;
		}
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		assert_int_equal(fake->nissued, host);
		for (int i = 0; i < host; i++)
			assert_int_equal(fake->issued[i][1] >> 12, i);
	}
}

static int issued_at_irq[8];
static unsigned int irqs_seen;

static void count_issued(struct fake *fake, unsigned int line)
{
	if (line == 2 && irqs_seen < 8)
		issued_at_irq[irqs_seen++] = fake->nissued;
}

/* CS = SIG_IRQ without an address: the wire */
static void
interior_syncs_signal_in_order_behind_what_they_vouch_for(void **state)
{
	struct fake *fake = *state;

	irqs_seen = 0;
	fake->on_irq = count_issued;
	put_tlbis(fake, 0, MANY);
	guest_put(fake, 0x1046, 0);
	put_tlbis(fake, 0, MANY);
	guest_put(fake, 0x1046, 0);
	guest_put(fake, TLBI(5));
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(irqs_seen, 2);
	assert_int_equal(issued_at_irq[0], MANY);
	assert_in_range(issued_at_irq[1], 2 * MANY, 2 * MANY + 1);
	assert_int_equal(fake->nissued, 2 * MANY + 1);
	assert_int_equal(fake_reg(fake, CONS), 2 + 2 * MANY + 3);
}

static void msis_of_syncs_are_written(void **state)
{
	struct fake *fake = *state;

	put_tlbis(fake, 0, MANY);
	guest_put(fake, SYNC_MSI(0xabcd));
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(guest_word(fake, 0x50000), 0xabcd);
	assert_int_equal(fake->rings[0].done, MANY);
	assert_int_equal(fake_reg(fake, CONS), 3 + MANY);
	put_tlbis(fake, 0, 10);
	guest_put(fake, SYNC_MSI(0xbcde));
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(guest_word(fake, 0x50000), 0xbcde);
	assert_int_equal(fake->nissued, MANY + 10);
	assert_int_equal(fake_reg(fake, CONS), 14 + MANY);
}

/* As a guest with IDR0.MSI has it: the others go down where they lie. */
static void few_commands_before_a_signal_are_one_ring_call(void **state)
{
	struct fake *fake = *state;

	for (int n = 1; n < 32; n++) {
		int rings = fake->nrings;
		uint64_t doorbells = stats_of(fake).doorbells;

		fake->nissued = 0;
		put_tlbis(fake, 0, n);
		guest_put(fake, SYNC_MSI(0x100 + n));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->nrings - rings, 1);
		assert_int_equal(fake->ncalls, 0);
		assert_int_equal(fake->nissued, n);
		assert_int_equal(guest_word(fake, 0x50000), 0x100 + n);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		assert_int_equal(stats_of(fake).doorbells - doorbells, 1);
	}
}

/* The CFGI_CD_ALL that a CFGI_STE becomes needs a call of its own. */
static void few_commands_before_configuration_are_one_array_call(void **state)
{
	struct fake *fake = *state;

	put_tlbis(fake, 0, 10);
	guest_put(fake, CFGI_STE);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(fake->nissued, 11);
}

/* 7.1: it signals only when it has not failed. */
static void a_signal_behind_a_silent_device_fails_instead(void **state)
{
	const uint64_t bad[2] = { ATC(7) };
	struct fake *fake = *state;

	fake->fail = true;
	fake->fail_times = 1;
	fake->bad_errno = -ETIMEDOUT;
	memcpy(fake->bad, bad, 16);
	guest_put(fake, TLBI(1));	   /* 2 */
	guest_put(fake, ATC(7));	   /* 3 */
	guest_put(fake, TLBI(2));	   /* 4 */
	guest_put(fake, SYNC_MSI(0xabcd)); /* 5 */
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 1);
	assert_int_equal(fake->issued[fake->nissued - 1][1] >> 12, 2);
	assert_int_equal(fake_reg(fake, CONS), 0x03000005);
	assert_int_equal(fake_reg(fake, GERROR), 1);
	assert_int_equal(guest_word(fake, 0x50000), 0);
	guest_acknowledge(fake);
	assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 6);
	assert_int_equal(guest_word(fake, 0x50000), 0xabcd);
}

static void a_queue_of_configuration_is_no_ring(void **state)
{
	struct fake *fake = *state;
	uint64_t doorbells = stats_of(fake).doorbells;

	for (int i = 0; i < 126; i++) {
		guest_put(fake, CFGI_STE);
		guest_put(fake, SYNC);
	}
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(stats_of(fake).doorbells - doorbells, 1);
}

static void signalling_syncs_cost_one_call(void **state)
{
	struct fake *fake = *state;

	for (int i = 0; i < 120; i++) {
		guest_put(fake, TLBI(i));
		guest_put(fake, SYNC_MSI(i));
	}
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 242);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(fake->nissued, 120);
	for (int i = 0; i < 120; i++)
		assert_int_equal(fake->issued[i][1] >> 12, i);
	assert_int_equal(guest_word(fake, 0x50000), 119);
}

/* Of few commands too few are the host's for a ring: it is not tried. */
static void a_guest_that_signals_always_pays_nothing(void **state)
{
	struct fake *fake = *state;

	for (int turn = 0; turn < 60; turn++) {
		for (int i = 0; i < 5; i++) {
			guest_put(fake, SYNC_MSI(i));
			guest_put(fake, TLBI(i));
		}
		fake->ncalls = 0;
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->ncalls, 1);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	}
	assert_int_equal(fake->nissued, 300);
	assert_int_equal(fake->nrings, 0);
}

/* They have nothing to wait for. */
static void a_few_syncs_alone_need_no_call(void **state)
{
	struct fake *fake = *state;
	uint64_t before = stats_of(fake).syncs;

	for (int n = 1; n < 32; n++) {
		for (int i = 0; i < n; i++)
			guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	}
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 0);
	assert_int_equal(stats_of(fake).syncs - before, 31 * 32 / 2);
}

/* The host would need one CMD_SYNC more than an array has. */
static void fewest_that_ask_a_device_before_a_sync_are_an_array(void **state)
{
	struct fake *fake = *state;

	for (int n = 1; n < 10; n++) {
		bool array = n + 1 < 4;
		int rings = fake->nrings;
		int calls = fake->ncalls;

		fake->nissued = 0;
		for (int i = 0; i < n; i++)
			guest_put(fake, ATC(i));
		guest_put(fake, SYNC);
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->ncalls - calls, array);
		assert_int_equal(fake->nrings - rings, !array);
		assert_int_equal(fake->nissued, n);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	}
	guest_put(fake, TLBI(1));
	guest_put(fake, ATC(1));
	guest_put(fake, TLBI(1));
	guest_put(fake, ATC(1));
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->rings[fake->nrings - 1].done, 4);
}

/* What is known of a stream lasts no longer than it is so. */
static void streams_come_and_go(void **state)
{
	struct nestfd_viommu_device device = {
		.size = sizeof(device),
		.dev_id = 1,
		.vsid = 0x11,
		.ctx = *state,
		.attach = fake_attach,
	};
	struct fake *fake = *state;

	for (int turn = 0; turn < 20; turn++) {
		bool there = turn & 1;

		if (turn && there)
			assert_int_equal(
				nestfd_viommu_device_add(fake->viommu, &device),
				0);
		else if (turn)
			assert_int_equal(
				nestfd_viommu_device_remove(fake->viommu, 0x11),
				0);
		for (int i = 0; i < 3; i++) {
			fake->nissued = 0;
			guest_put(fake, 0x0000001100000005ULL, 1);
			guest_put(fake, TLBI(i));
			guest_doorbell(fake, fake->viommu);
			assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
			assert_int_equal(fake_reg(fake, GERROR), 0);
			assert_int_equal(fake->issued[fake->nissued - 1][0],
					 0x0005000000000012ULL);
		}
	}
}

static void rewrite_what_was_read(struct fake *fake)
{
	fake->on_array = NULL;
	guest_overwrite(fake, 2, 0xff, 0);
	guest_overwrite(fake, 3, SYNC_MSI(0xbad));
	guest_overwrite(fake, 4, 0xff, 0);
}

/* Executed where they are, they are read once for all that. */
static void what_is_done_in_place_is_read_once(void **state)
{
	struct fake *fake = *state;

	guest_put(fake, TLBI(1));	   /* 2 */
	guest_put(fake, SYNC_MSI(0xabcd)); /* 3 */
	guest_put(fake, TLBI(2));	   /* 4 */
	fake->on_array = rewrite_what_was_read;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(fake->nissued, 2);
	assert_int_equal(fake_reg(fake, CONS), 5);
	assert_int_equal(fake_reg(fake, GERROR), 0);
	assert_int_equal(guest_word(fake, 0x50000), 0xabcd);
}

/* The queue's end is in the middle of it. */
static void what_is_done_in_place_goes_round(void **state)
{
	struct fake *fake = *state;

	for (int turn = 0; turn < 100; turn++) {
		fake->nissued = 0;
		fake->ncalls = 0;
		guest_put(fake, CFGI_STE);
		for (int i = 0; i < 15; i++) {
			guest_put(fake, TLBI(i));
			guest_put(fake, SYNC_MSI(turn * 16 + i));
		}
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		/* the first CMD_SYNC orders the CFGI before the others */
		assert_int_equal(fake->ncalls, 2);
		assert_int_equal(fake->nissued, 16);
		for (int i = 0; i < 15; i++)
			assert_int_equal(fake->issued[i + 1][1] >> 12, i);
		assert_int_equal(guest_word(fake, 0x50000), turn * 16 + 14);
	}
	assert_int_equal(fake->nrings, 0);
}

/* Room for those that wait is to be had or not: none is lost. */
static void syncs_complete_without_memory_too(void **state)
{
	struct fake *fake = *state;

	for (uint64_t n = 1; n < 8; n++) {
		struct alloc_plan plan = { .fail_at = n };
		uint64_t before = stats_of(fake).syncs;

		fake->nissued = 0;
		fake->ncalls = 0;
		for (int i = 0; i < 120; i++) {
			guest_put(fake, TLBI(i));
			guest_put(fake, SYNC_MSI(i));
		}
		alloc_arm(&plan);
		guest_doorbell(fake, fake->viommu);
		alloc_arm(NULL);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		assert_int_equal(stats_of(fake).syncs - before, 120);
		assert_int_equal(fake->nissued, 120);
		for (int i = 0; i < 120; i++)
			assert_int_equal(fake->issued[i][1] >> 12, i);
		assert_int_equal(guest_word(fake, 0x50000), 119);
		/* 16 at first, then a call for each time that there is none */
		assert_in_range(fake->ncalls, 1, 8);
	}
}

static int tries(struct fake *fake, int n)
{
	int before = fake->nrings;

	fake->nissued = 0;
	put_tlbis(fake, 0, n);
	fake->ncalls = 0;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	assert_int_equal(fake->nissued, n);
	for (int i = 0; i < n; i++)
		assert_int_equal(fake->issued[i][1] >> 12, i);
	return fake->nrings - before;
}

/* Bits of them may say what their opcodes do not. */
static void what_only_looks_like_the_hosts_costs_few_calls(void **state)
{
	struct fake *fake = *state;
	uint64_t stops = stats_of(fake).ring_stops;
	int skipped = 0, few = 0;

	fake->refuse_tlbi = true;
	assert_in_range(tries(fake, 240), 1, 5);
	assert_true(stats_of(fake).ring_stops > stops);
	for (int turn = 0; turn < 60; turn++)
		few += tries(fake, 5);
	assert_in_range(few, 1, 30);
	/* and when it gets somewhere it is used again */
	fake->refuse_tlbi = false;
	while (!tries(fake, 100))
		assert_in_range(++skipped, 1, 8);
	assert_int_equal(tries(fake, 100), 1);
	assert_int_equal(tries(fake, 5), 1);
}

static void streams_the_host_does_not_know_are_done_here(void **state)
{
	struct fake *fake = *state;

	guest_put(fake, TLBI(1));
	guest_put(fake, 0x0000001100000005ULL, 1); /* CFGI_CD of 0x11 */
	guest_put(fake, 0x0000001100000040ULL, 0); /* ATC_INV of 0x11 */
	guest_put(fake, TLBI(2));
	guest_put(fake, SYNC);
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 7);
	assert_int_equal(fake_reg(fake, GERROR), 0);
	assert_int_equal(fake->nissued, 2);
}

/* ---- the guest rewrites its queue during the call ---- */

static void rewrite_with_cfgi(struct fake *fake)
{
	fake->before_ring = NULL;
	guest_overwrite(fake, 4, CFGI_STE);
}

static void rewrite_with_tlbi(struct fake *fake)
{
	fake->on_ring = NULL;
	guest_overwrite(fake, 4, TLBI(0x44));
}

/* It looked like the host's, the host finds the VMM's, the VMM as well. */
static void what_the_backend_finds_is_what_is_done(void **state)
{
	struct fake *fake = *state;
	int attached = fake->nattach;

	guest_ste(fake, 0x10, 0x9, 0);
	put_tlbis(fake, 0, 10);
	fake->before_ring = rewrite_with_cfgi;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nattach, attached + 1);
	assert_int_equal(fake->rings[0].done, 2);
	assert_int_equal(fake->nissued, 9);
	assert_int_equal(fake->issued[2][1] >> 12, 3);
	assert_int_equal(fake_reg(fake, CONS), 12);
}

static void what_is_there_when_the_vmm_reads_is_what_is_done(void **state)
{
	struct fake *fake = *state;
	int attached = fake->nattach;

	guest_ste(fake, 0x10, 0x9, 0);
	guest_put(fake, TLBI(1));
	guest_put(fake, TLBI(2));
	guest_put(fake, TLBI(9)); /* 4: becomes CFGI_STE, and stops */
	guest_put(fake, TLBI(3));
	fake->before_ring = rewrite_with_cfgi;
	fake->on_ring = rewrite_with_tlbi; /* and is something else then */
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake->nattach, attached);
	assert_int_equal(fake->nissued, 4);
	assert_int_equal(fake->issued[2][1] >> 12, 0x44);
	assert_int_equal(fake_reg(fake, CONS), 6);
}

static void rewrite_with_nonsense(struct fake *fake)
{
	fake->on_ring = NULL;
	guest_overwrite(fake, 2, 0xff, 0);
	guest_overwrite(fake, 4, 0xff, 0);
}

static void what_was_taken_is_not_looked_at_again(void **state)
{
	struct fake *fake = *state;

	guest_put(fake, TLBI(1));
	guest_put(fake, TLBI(2));
	guest_put(fake, SYNC);
	guest_put(fake, TLBI(3));
	fake->on_ring = rewrite_with_nonsense;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 6);
	assert_int_equal(fake_reg(fake, GERROR), 0);
	assert_int_equal(fake->nissued, 3);
}

static void rewrite_the_sync(struct fake *fake)
{
	fake->on_ring = NULL;
	guest_overwrite(fake, 5, TLBI(0x55));
}

static void a_failing_sync_that_vanishes_leaves_it_to_the_next(void **state)
{
	const uint64_t bad[2] = { ATC(7) };
	struct fake *fake = *state;

	fake->fail = true;
	fake->fail_times = 1;
	fake->bad_errno = -ETIMEDOUT;
	memcpy(fake->bad, bad, 16);
	guest_put(fake, TLBI(1)); /* 2 */
	guest_put(fake, ATC(7));  /* 3 */
	guest_put(fake, TLBI(2)); /* 4 */
	guest_put(fake, SYNC);	  /* 5: not any more */
	guest_put(fake, TLBI(3)); /* 6 */
	guest_put(fake, SYNC);	  /* 7 */
	guest_put(fake, TLBI(4)); /* 8 */
	fake->on_ring = rewrite_the_sync;
	guest_doorbell(fake, fake->viommu);
	assert_int_equal(fake_reg(fake, CONS), 0x03000007);
	assert_int_equal(fake->issued[fake->nissued - 1][1] >> 12, 3);
	guest_acknowledge(fake);
	assert_int_equal(fake_reg(fake, CONS) & 0xfffff, 9);
}

/* ---- when it is not to be had ---- */

static void
a_call_that_fails_for_no_command_leaves_all_to_an_array(void **state)
{
	static const int errors[] = { -ENOMEM, -EFAULT, -EINVAL, -EOPNOTSUPP,
				      -EIO,    -ENOTTY, -ENOENT };
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake->nissued = 0;
		for (int n = 0; n < 10; n++)
			guest_put(fake, TLBI(n));
		fake->ring_fails = errors[i];
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
		assert_int_equal(fake->nissued, 10);
	}
}

/* Whatever the backend says, nothing counts as done that was not pending. */
static void an_index_that_cannot_be_is_no_progress(void **state)
{
	/* 0 to 10 are pending of 0 to 0x1ff; the rest is cut to that */
	static const uint32_t lies[] = { 0,	11,    0x80,	  0x100,
					 0x1ff, 0x200, 0xffffffff };
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		nestfd_viommu_reset(fake->viommu);
		guest_boot(fake, fake->viommu);
		fake->nissued = 0;
		fake->ring_lies = true;
		for (int n = 0; n < 10; n++)
			guest_put(fake, TLBI(n));
		fake->ring_lie = lies[i];
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake_reg(fake, CONS) & 0xffffff, 10);
		assert_int_equal(fake->ncalls, (int)i + 1);
		assert_int_equal(fake->calls[i].count, 10);
	}
}

static void a_queue_in_pieces_goes_as_an_array(void **state)
{
	struct fake *fake = *state;

	fake->unmapped = true;
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0x5);
	nestfd_viommu_write(fake->viommu, 0x90, 8, 0x40000 | 4);
	nestfd_viommu_write(fake->viommu, 0x98, 4, 0);
	nestfd_viommu_write(fake->viommu, 0x9c, 4, 0);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
	for (int i = 0; i < 16; i++) {
		uint64_t cmd[2] = { TLBI(i) };

		memcpy(fake->mem + 0x40000 + i * 16, cmd, 16);
	}
	nestfd_viommu_write(fake->viommu, 0x98, 4, 10);
	assert_int_equal(fake->nrings, 0);
	assert_int_equal(fake->ncalls, 1);
	assert_int_equal(fake->nissued, 10);
	assert_int_equal(fake_reg(fake, CONS), 10);
	fake->unmapped = false;
	nestfd_viommu_write(fake->viommu, 0x98, 4, 20);
	assert_int_equal(fake->nrings, 1);
	assert_ptr_equal(fake->rings[0].entries, fake->mem + 0x40000);
	assert_int_equal(fake->rings[0].bits, 4);
	assert_int_equal(fake->rings[0].cons, 10);
	assert_int_equal(fake->rings[0].prod, 20);
}

/* The VMM may take memory away between two doorbells. */
static void memory_is_asked_for_each_time(void **state)
{
	struct fake *fake = *state;

	for (int turn = 0; turn < 20; turn++) {
		int rings = fake->nrings;

		fake->unmapped = turn & 1;
		for (int i = 0; i < 10; i++)
			guest_put(fake, TLBI(i));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->nrings - rings, !fake->unmapped);
		assert_int_equal(fake_reg(fake, CONS), fake->cmdq_prod);
	}
	assert_int_equal(fake->nissued, 200);
}

struct choice {
	enum nestfd_queue queue;
	uint64_t ext;
	bool map;
	uint32_t idr[6]; /* what the VMM wants */
	int rc;
	bool ring;
	bool host_no_ats;
};

static void check_choice(const struct choice *choice)
{
	struct fake *fake = test_malloc(sizeof(*fake));
	struct nestfd_viommu_config config;
	struct nestfd_viommu *viommu;
	int rc;

	fake_config(fake, &config);
	if (choice->host_no_ats)
		fake->idr[0] &= ~(1u << 10);
	fake->ext = choice->ext;
	config.queue = choice->queue;
	memcpy(config.idr, choice->idr, sizeof(config.idr));
	if (!choice->map)
		config.guest.map = NULL;
	rc = nestfd_viommu_smmuv3_create(&config, &viommu);
	assert_int_equal(rc, choice->rc);
	assert_int_equal(!!(fake->ext_on & 2), choice->ring);
	if (!rc) {
		guest_boot(fake, viommu);
		for (int i = 0; i < 5; i++)
			guest_put(fake, 0x10, 0); /* legal to everybody */
		guest_doorbell(fake, viommu);
		assert_int_equal(fake->nrings, choice->ring);
		assert_int_equal(fake->nissued, 5);
		nestfd_viommu_destroy(viommu);
	}
	test_free(fake);
}

/* IDRs of the guest: as the host's, without ATS, without RIL, without SSIDs */
#define AS_HOST   \
	{         \
		0 \
	}
#define NO_ATS                                            \
	{                                                 \
		0x084c301b, 0x02730510, 0, 0x404, 0, 0x75 \
	}
#define NO_RIL                                            \
	{                                                 \
		0x084c341b, 0x02730510, 0, 0x004, 0, 0x75 \
	}
#define NO_SSID                                           \
	{                                                 \
		0x084c341b, 0x02730010, 0, 0x404, 0, 0x75 \
	}

/* 4.5.1: CERROR_ILL, whoever reads the queue */
static void an_atc_inv_is_illegal_without_ats_on_either_side(void **state)
{
	(void)state;
	for (int queue = NESTFD_QUEUE_AUTO; queue <= NESTFD_QUEUE_RING;
	     queue++) {
		struct fake *fake = test_malloc(sizeof(*fake));
		struct nestfd_viommu_config config;

		fake_config(fake, &config);
		fake->idr[0] &= ~(1u << 10);
		fake->ext = 3;
		config.queue = (enum nestfd_queue)queue;
		fake_start(fake, &config);
		guest_boot(fake, fake->viommu);
		guest_put(fake, TLBI(1));
		guest_put(fake, TLBI(2));
		guest_put(fake, 0x0000001000000040ULL, 52);
		guest_put(fake, TLBI(3));
		guest_doorbell(fake, fake->viommu);
		assert_int_equal(fake->nrings, queue != NESTFD_QUEUE_ARRAY);
		assert_int_equal(fake->nissued, 2);
		assert_int_equal(fake_reg(fake, CONS), 1 << 24 | 2);
		assert_int_equal(fake_reg(fake, GERROR), 1);
		nestfd_viommu_destroy(fake->viommu);
		test_free(fake);
	}
}

static void a_ring_needs_a_backend_memory_and_the_hosts_judgement(void **state)
{
	static const struct choice choices[] = {
		{ NESTFD_QUEUE_AUTO, 3, true, AS_HOST, 0, true },
		{ NESTFD_QUEUE_RING, 3, true, AS_HOST, 0, true },
		{ NESTFD_QUEUE_RING, 2, true, AS_HOST, 0, true },
		{ NESTFD_QUEUE_ARRAY, 3, true, AS_HOST, 0, false },
		{ NESTFD_QUEUE_AUTO, 1, true, AS_HOST, 0, false },
		{ NESTFD_QUEUE_RING, 1, true, AS_HOST, -EOPNOTSUPP, false },
		{ NESTFD_QUEUE_AUTO, 0, true, AS_HOST, 0, false },
		{ NESTFD_QUEUE_RING, 0, true, AS_HOST, -EOPNOTSUPP, false },
		{ NESTFD_QUEUE_AUTO, 3, false, AS_HOST, 0, false },
		{ NESTFD_QUEUE_RING, 3, false, AS_HOST, -EOPNOTSUPP, false },
		{ NESTFD_QUEUE_AUTO, 3, true, NO_ATS, 0, false },
		{ NESTFD_QUEUE_RING, 3, true, NO_ATS, -EOPNOTSUPP, false },
		{ NESTFD_QUEUE_AUTO, 3, true, NO_ATS, 0, true, true },
		{ NESTFD_QUEUE_RING, 3, true, AS_HOST, 0, true, true },
		{ NESTFD_QUEUE_AUTO, 3, true, NO_RIL, 0, false },
		{ NESTFD_QUEUE_RING, 3, true, NO_RIL, -EOPNOTSUPP, false },
		{ NESTFD_QUEUE_AUTO, 3, true, NO_SSID, 0, false },
		{ NESTFD_QUEUE_RING, 3, true, NO_SSID, -EOPNOTSUPP, false },
		{ (enum nestfd_queue)3, 3, true, AS_HOST, -EINVAL, false },
		{ (enum nestfd_queue) - 1, 3, true, AS_HOST, -EINVAL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		check_choice(&choices[i]);
}

#define LONG 4096u /* commands in a queue too long to be looked at whole */

/* Enables it, full but for one; @at is the VMM's, all others the host's. */
static void ring_long_queue(struct fake *fake, uint32_t at)
{
	uint64_t *queue = (uint64_t *)(fake->mem + LONG_ADDR);
	const uint64_t ste[2] = { CFGI_STE };
	const uint64_t tlbi[2] = { TLBI(1) };

	for (uint32_t i = 0; i < LONG; i++)
		memcpy(queue + (size_t)2 * i, i == at ? ste : tlbi, 16);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0x5);
	nestfd_viommu_write(fake->viommu, 0x90, 8, LONG_ADDR | 12);
	nestfd_viommu_write(fake->viommu, 0x98, 4, 0);
	nestfd_viommu_write(fake->viommu, 0x9c, 4, 0);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
	nestfd_viommu_write(fake->viommu, 0x98, 4, LONG - 1);
	assert_int_equal(fake_reg(fake, CONS), LONG - 1);
	assert_int_equal(fake_reg(fake, GERROR), 0);
}

/*
 * The backend is given what is far behind, and stops: a change behind the look
 * makes a little of it worthless, not a look at all that is pending.
 */
static void a_long_queue_is_not_looked_at_to_its_end(void **state)
{
	struct fake *fake = *state;
	uint64_t stops = stats_of(fake).ring_stops;

	ring_long_queue(fake, 2000);
	assert_int_equal(fake->nrings, 2);
	assert_int_equal(fake->rings[0].cons, 0);
	assert_int_equal(fake->rings[0].prod, LONG - 1);
	assert_int_equal(fake->rings[0].done, 2000);
	assert_int_equal(fake->rings[1].prod, LONG - 1);
	assert_int_equal(stats_of(fake).ring_stops - stops, 1);
}

/* Within the look the ring ends where the VMM's command is. */
static void the_first_of_a_long_queue_are_looked_at(void **state)
{
	struct fake *fake = *state;
	uint64_t stops = stats_of(fake).ring_stops;

	ring_long_queue(fake, 1000);
	assert_int_equal(fake->nrings, 2);
	assert_int_equal(fake->rings[0].prod, 1000);
	assert_int_equal(fake->rings[0].done, 1000);
	assert_int_equal(fake->rings[1].prod, LONG - 1);
	assert_int_equal(stats_of(fake).ring_stops, stops);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_AUTO(name) \
	cmocka_unit_test_setup_teardown(name, setup_auto, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_doorbell_is_one_ring_call_over_the_guests_memory),
		CASE(indices_go_round_with_their_wrap_bit),
		CASE(a_full_queue_is_one_call),
		CASE(a_long_queue_is_not_looked_at_to_its_end),
		CASE(the_first_of_a_long_queue_are_looked_at),
		CASE(the_vmm_does_its_part_in_its_place),
		CASE(interior_syncs_signal_in_order_behind_what_they_vouch_for),
		CASE(msis_of_syncs_are_written),
		CASE(few_commands_before_a_signal_are_one_ring_call),
		CASE_AUTO(few_commands_before_a_signal_are_one_ring_call),
		CASE(few_commands_before_configuration_are_one_array_call),
		CASE(a_signal_behind_a_silent_device_fails_instead),
		CASE(few_commands_go_through_the_ring_too),
		CASE_AUTO(few_commands_go_through_the_ring_too),
		CASE(a_queue_of_configuration_is_no_ring),
		CASE(signalling_syncs_cost_one_call),
		CASE_AUTO(a_queue_of_configuration_is_no_ring),
		CASE_AUTO(signalling_syncs_cost_one_call),
		CASE(among_the_vmms_commands_few_of_the_hosts_go_as_an_array),
		CASE(any_mix_is_done_once_and_in_order),
		CASE(a_guest_that_signals_always_pays_nothing),
		CASE(a_few_syncs_alone_need_no_call),
		CASE(fewest_that_ask_a_device_before_a_sync_are_an_array),
		CASE(streams_come_and_go),
		CASE(what_is_done_in_place_is_read_once),
		CASE(what_is_done_in_place_goes_round),
		CASE(syncs_complete_without_memory_too),
		CASE(what_only_looks_like_the_hosts_costs_few_calls),
		CASE_AUTO(what_only_looks_like_the_hosts_costs_few_calls),
		CASE(streams_the_host_does_not_know_are_done_here),
		CASE(what_the_backend_finds_is_what_is_done),
		CASE(what_is_there_when_the_vmm_reads_is_what_is_done),
		CASE(what_was_taken_is_not_looked_at_again),
		CASE(a_failing_sync_that_vanishes_leaves_it_to_the_next),
		CASE(a_call_that_fails_for_no_command_leaves_all_to_an_array),
		CASE(an_index_that_cannot_be_is_no_progress),
		CASE(a_queue_in_pieces_goes_as_an_array),
		CASE(memory_is_asked_for_each_time),
		cmocka_unit_test(
			an_atc_inv_is_illegal_without_ats_on_either_side),
		cmocka_unit_test(
			a_ring_needs_a_backend_memory_and_the_hosts_judgement),
	};

	return cmocka_run_group_tests_name("viommu ring", tests, NULL, NULL);
}
