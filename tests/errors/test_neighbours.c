// SPDX-License-Identifier: MIT
/*
 * What a guest's failures are to others, and what a device in quarantine can
 * still do: the whole library, driver and modelled hardware.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "cases.h"
#include "quiet.h"

static uint64_t load(struct bed *bed, unsigned int d, unsigned int n, bool ats)
{
	uint64_t value = ~0ULL;

	assert_int_equal(bed_load(bed, d, n, ats, &value), 0);
	return value;
}

static int atc_inv(struct bed *bed)
{
	uint64_t cmd[1][2] = { { 0x1000000040, 52 } };
	struct answer answer;

	bed_array(bed, GUEST_CTX, cmd, 1, &answer);
	assert_int_equal(answer.done, answer.rc ? 0 : 1);
	assert_int_equal(answer.code, answer.rc ? 3 : 0);
	assert_int_equal(answer.info, answer.rc ? VSID_0 : 0);
	return answer.rc;
}

static void tlbi_all(struct bed *bed)
{
	uint64_t cmd[1][2] = { { 0x10, 0 } };
	struct answer answer;

	bed_array(bed, GUEST_CTX, cmd, 1, &answer);
	assert_int_equal(answer.rc, 0);
}

/* ---- quarantine ---- */

static void what_a_silent_atc_holds_is_of_no_use_in_quarantine(void **state)
{
	struct bed bed;
	uint64_t value;

	(void)state;
	bed_make(&bed, WAY_ARRAY);
	tlbi_all(&bed);
	bed_break(&bed, &(struct fault){ .kind = FAULT_ATC });
	for (int i = 0; i < 4; i++) {
		/* not yet: the guest has been told that it cannot rely on it */
		assert_int_equal(load(&bed, 0, 1, true), 1);
		assert_int_equal(atc_inv(&bed), -ETIMEDOUT);
	}
	/* neither what it holds nor what it asks for: EATS is 0 */
	for (unsigned int n = 0; n < PAGES; n++)
		assert_int_equal(bed_load(&bed, 0, n, true, &value), -EIO);
	/* what the SMMU translates is as it should be; others are untouched */
	for (unsigned int n = 0; n < PAGES; n++) {
		assert_int_equal(load(&bed, 0, n, false), n + 0x100);
		assert_int_equal(load(&bed, 1, n, true), n);
		assert_int_equal(load(&bed, NEIGHBOUR, n, true), n);
	}
	assert_int_equal(atc_inv(&bed), -ETIMEDOUT);
	bed_end(&bed);
}

static void a_reset_ends_the_quarantine_with_an_empty_atc(void **state)
{
	struct bed bed;

	(void)state;
	bed_make(&bed, WAY_ARRAY);
	tlbi_all(&bed);
	bed_break(&bed, &(struct fault){ .kind = FAULT_ATC });
	for (int i = 0; i < 5; i++)
		assert_int_equal(atc_inv(&bed), -ETIMEDOUT);
	bed_mend(&bed);
	assert_int_equal(atc_inv(&bed), -ETIMEDOUT);
	nestfd_device_reset(bed.dev[0]);
	for (unsigned int n = 0; n < PAGES; n++)
		assert_int_equal(load(&bed, 0, n, true), n + 0x100);
	assert_int_equal(atc_inv(&bed), 0);
	bed_end(&bed);
}

static void a_device_that_is_gone_costs_its_budget_and_comes_back(void **state)
{
	struct nestfd_fault gone = { .size = sizeof(gone),
				     .kind = NESTFD_FAULT_GONE,
				     .stream_id = 0x100 };
	struct bed bed;
	uint64_t value;

	(void)state;
	bed_make(&bed, WAY_ARRAY);
	assert_int_equal(nestfd_inject(bed.machine, &gone), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(atc_inv(&bed), -ETIMEDOUT);
	assert_true(nestfd_inject_clear(bed.machine) >= 1);
	assert_int_not_equal(bed_load(&bed, 0, 0, false, &value), 0);
	nestfd_device_reset(bed.dev[0]);
	tlbi_all(&bed);
	assert_int_equal(atc_inv(&bed), 0);
	assert_int_equal(load(&bed, 0, 0, true), 0x100);
	bed_end(&bed);
}

static void a_dead_unit_moves_no_data_at_all(void **state)
{
	struct answer answer;
	uint64_t cmd[1][2] = { { 0x10, 0 } };
	struct bed other;
	struct bed bed;
	uint64_t value;

	(void)state;
	bed_make(&bed, WAY_ARRAY);
	bed_make(&other, WAY_ARRAY);
	bed_break(&bed, &(struct fault){ .kind = FAULT_ABT });
	for (int who = 0; who < 2; who++) {
		bed_array(&bed, who, cmd, 1, &answer);
		assert_int_equal(answer.rc, -EIO);
		assert_int_equal(answer.code, 2);
		bed_mend(&bed); /* too late */
	}
	for (unsigned int d = 0; d <= NEIGHBOUR; d++) {
		for (int ats = 0; ats < 2; ats++)
			assert_int_not_equal(bed_load(&bed, d, 3, ats, &value),
					     0);
		assert_int_equal(load(&other, d, 3, true), 3);
	}
	tlbi_all(&other);
	bed_end(&bed);
	bed_end(&other);
}

/* ---- two at once ---- */

/*
 * What is wrong with the hardware must be wrong for this guest only: an opcode
 * that the neighbour (quiet.c) uses as well is legal.
 */
static int fault_of(enum target target, unsigned int round)
{
	switch (target) {
	case T_BAD_OPCODE:
	case T_RESERVED:
	case T_NO_VSID:
	case T_CFGI_STE:
		return FAULT_NONE; /* it is wrong by itself */
	case T_NH_VA:
	case T_ATC_INV:
	case T_SYNC:
	case T_SYNC_IRQ:
		return FAULT_ATC;
	default:
		return (round + round / TARGETS) % 2 ? FAULT_ATC : FAULT_ILL;
	}
}

/* True if something failed */
static bool fail_in_every_way(struct bed *bed, unsigned int round)
{
	static struct span span;
	enum target target = round % TARGETS;
	struct answer want, got;
	struct caches caches;

	memset(&caches, 0, sizeof(caches));
	span_make(&span, target, places[round / TARGETS % 5], 7,
		  fault_of(target, round), bed->way == WAY_RING);
	bed_break(bed, &span.fault);
	bed_ioctl(bed, span.cmds, span.n, round, &got);
	bed_mend(bed);
	(bed->way == WAY_RING ? model_ring : model_array)(
		span.cmds, span.n, &span.fault, &caches, &want);
	assert_int_equal(got.rc, want.rc);
	assert_int_equal(got.done, want.done);
	assert_int_equal(got.code, want.code);
	/* quarantine is not what this is about */
	nestfd_device_reset(bed->dev[0]);
	return got.rc;
}

#define GUESTS 20
#define ROUNDS 8

static void two_contexts(enum way way)
{
	unsigned int failed = 0;
	struct quiet q;
	struct bed bed;

	/* a new guest now and then: one is soon over its budget for good */
	for (unsigned int guests = 0; guests < GUESTS; guests++) {
		bed_make(&bed, way);
		quiet_start(&q, &bed);
		for (unsigned int round = 0; round < ROUNDS; round++)
			failed += fail_in_every_way(&bed,
						    guests * ROUNDS + round);
		quiet_end(&q);
		bed_end(&bed);
	}
	assert_true(failed >= GUESTS * ROUNDS * 2 / 3);
}

static void arrays_that_fail_are_nothing_to_a_neighbour(void **state)
{
	(void)state;
	two_contexts(WAY_ARRAY);
}

static void rings_that_fail_are_nothing_to_a_neighbour(void **state)
{
	(void)state;
	two_contexts(WAY_RING);
}

/* Hardware that calls one guest's command illegal, its device aside */
static void an_illegal_command_is_its_guests_alone(void **state)
{
	struct nestfd_fault ill = { .size = sizeof(ill),
				    .kind = NESTFD_FAULT_ILL,
				    .opcode = 0x05,
				    .stream_id = 0x100 };
	uint64_t cmds[3][2] = { { 0x1100000005, 1 },
				{ 0x1000000005, 1 },
				{ 0x10, 0 } };
	struct answer answer;
	struct quiet q;
	struct bed bed;

	(void)state;
	bed_make(&bed, WAY_ARRAY);
	assert_int_equal(nestfd_inject(bed.machine, &ill), 0);
	quiet_start(&q, &bed);
	for (int i = 0; i < 2000; i++) {
		bed_array(&bed, GUEST_CTX, cmds, 3, &answer);
		assert_int_equal(answer.rc, -EIO);
		assert_int_equal(answer.done, 1);
		assert_int_equal(answer.code, 1);
	}
	quiet_end(&q);
	bed_end(&bed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_a_silent_atc_holds_is_of_no_use_in_quarantine),
		cmocka_unit_test(a_reset_ends_the_quarantine_with_an_empty_atc),
		cmocka_unit_test(
			a_device_that_is_gone_costs_its_budget_and_comes_back),
		cmocka_unit_test(a_dead_unit_moves_no_data_at_all),
		cmocka_unit_test(arrays_that_fail_are_nothing_to_a_neighbour),
		cmocka_unit_test(rings_that_fail_are_nothing_to_a_neighbour),
		cmocka_unit_test(an_illegal_command_is_its_guests_alone),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
