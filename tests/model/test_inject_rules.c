// SPDX-License-Identifier: MIT
/* Rules of the error injector: whom they concern, how often, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/inject.h"

#define TRIES 1000

static const enum inject_kind every_kind[] = {
	INJECT_ILL,	 INJECT_ABT,  INJECT_ATC_TIMEOUT,
	INJECT_ATC_LATE, INJECT_GONE, INJECT_SLOW_SYNC,
};

#define KINDS (sizeof(every_kind) / sizeof(every_kind[0]))

static struct inject_fault rule(enum inject_kind kind)
{
	return (struct inject_fault){
		.kind = kind,
		.opcode = INJECT_ANY,
		.stream_id = INJECT_ANY,
		.probability = 1,
	};
}

/* About stream 8, command 0x40 */
static struct inject_chance chance_of(enum inject_kind kind)
{
	return (struct inject_chance){
		.kinds = 1u << kind,
		.opcode = 0x40,
		.streams = true,
		.sid = 8,
		.sid_last = 8,
	};
}

static enum inject_kind ask(struct inject *in, enum inject_kind kind)
{
	const struct inject_chance chance = chance_of(kind);
	uint32_t delay;

	return inject_ask(in, &chance, &delay);
}

static bool applies(const struct inject_fault *fault,
		    const struct inject_chance *chance)
{
	enum inject_kind kind;
	struct inject in;
	uint32_t delay;

	inject_init(&in);
	assert_int_equal(inject_add(&in, fault), 0);
	kind = inject_ask(&in, chance, &delay);
	if (kind != INJECT_NONE)
		assert_int_equal(kind, fault->kind);
	inject_fini(&in);
	return kind != INJECT_NONE;
}

static void a_rule_is_for_its_own_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++)
		for (size_t k = 0; k < KINDS; k++) {
			struct inject_fault fault = rule(every_kind[i]);
			struct inject_chance chance = chance_of(every_kind[k]);

			assert_int_equal(applies(&fault, &chance), i == k);
		}
}

static void an_opcode_is_looked_at_for_illegal_commands_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct inject_chance chance = chance_of(every_kind[i]);
		struct inject_fault fault = rule(every_kind[i]);
		bool illegal = every_kind[i] == INJECT_ILL;

		fault.opcode = 0x40;
		assert_true(applies(&fault, &chance));
		for (int bit = 0; bit < 8; bit++) {
			fault.opcode = 0x40 ^ 1u << bit;
			assert_int_equal(applies(&fault, &chance), !illegal);
		}
	}
}

static void a_stream_is_looked_at_where_there_is_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct inject_chance chance = chance_of(every_kind[i]);
		struct inject_fault fault = rule(every_kind[i]);
		bool deaf = every_kind[i] == INJECT_ABT ||
			    every_kind[i] == INJECT_SLOW_SYNC;

		fault.stream_id = 8;
		assert_true(applies(&fault, &chance));
		chance.streams = false;
		assert_int_equal(applies(&fault, &chance), deaf);
		chance.streams = true;
		for (int bit = 0; bit < 32; bit++) {
			fault.stream_id = 8 ^ 1u << bit;
			assert_int_equal(applies(&fault, &chance), deaf);
		}
		chance.sid_last = 15;
		for (fault.stream_id = 6; fault.stream_id < 18;
		     fault.stream_id++)
			assert_int_equal(applies(&fault, &chance),
					 deaf || (fault.stream_id >= 8 &&
						  fault.stream_id <= 15));
	}
}

static void the_first_rule_that_says_yes_decides(void **state)
{
	struct inject_chance chance = chance_of(INJECT_GONE);
	struct inject_fault fault;
	struct inject in;
	uint32_t delay = 0;

	(void)state;
	chance.kinds = 1u << INJECT_ATC_TIMEOUT | 1u << INJECT_ATC_LATE |
		       1u << INJECT_GONE;
	inject_init(&in);
	fault = rule(INJECT_ATC_LATE);
	fault.count = 2;
	fault.delay_us = 77;
	inject_add(&in, &fault);
	fault = rule(INJECT_GONE);
	fault.stream_id = 9;
	inject_add(&in, &fault);
	fault = rule(INJECT_ATC_TIMEOUT);
	inject_add(&in, &fault);
	for (int n = 0; n < 2; n++)
		assert_int_equal(inject_ask(&in, &chance, &delay),
				 INJECT_ATC_LATE);
	assert_int_equal(delay, 77);
	assert_int_equal(inject_ask(&in, &chance, &delay), INJECT_ATC_TIMEOUT);
	chance.sid = chance.sid_last = 9;
	assert_int_equal(inject_ask(&in, &chance, &delay), INJECT_GONE);
	assert_int_equal(inject_clear(&in), 4);
	inject_fini(&in);
}

static void a_count_ends_a_rule_and_clearing_ends_all(void **state)
{
	struct inject_fault fault = rule(INJECT_ABT);
	unsigned int hits = 0;
	struct inject in;

	(void)state;
	fault.count = 5;
	fault.probability = 0.5;
	inject_init(&in);
	assert_false(inject_armed(&in));
	inject_add(&in, &fault);
	assert_true(inject_armed(&in));
	for (int n = 0; n < TRIES; n++)
		hits += ask(&in, INJECT_ABT) != INJECT_NONE;
	assert_int_equal(hits, 5);
	fault.count = 0;
	inject_add(&in, &fault);
	assert_int_equal(inject_clear(&in), 5);
	assert_false(inject_armed(&in));
	for (int n = 0; n < TRIES; n++)
		assert_int_equal(ask(&in, INJECT_ABT), INJECT_NONE);
	/* what there was is not forgotten */
	fault.probability = 1;
	fault.count = 1;
	inject_add(&in, &fault);
	assert_int_equal(ask(&in, INJECT_ABT), INJECT_ABT);
	assert_int_equal(inject_clear(&in), 6);
	inject_fini(&in);
}

/* Of TRIES chances, those that @fault takes beside @other (or NULL) */
static void pattern(const struct inject_fault *other,
		    const struct inject_fault *fault, bool hit[TRIES])
{
	struct inject in;

	inject_init(&in);
	if (other)
		inject_add(&in, other);
	inject_add(&in, fault);
	for (int n = 0; n < TRIES; n++) {
		if (other)
			ask(&in, other->kind);
		hit[n] = ask(&in, fault->kind) != INJECT_NONE;
	}
	inject_fini(&in);
}

static void the_same_seed_gives_the_same_faults(void **state)
{
	struct inject_fault fault = rule(INJECT_ILL);
	bool first[TRIES], again[TRIES];

	(void)state;
	fault.probability = 0.25;
	pattern(NULL, &fault, first);
	pattern(NULL, &fault, again);
	assert_memory_equal(first, again, sizeof(first));
	for (int bit = 0; bit < 64; bit++) {
		fault.seed = 1ull << bit;
		pattern(NULL, &fault, again);
		assert_memory_not_equal(first, again, sizeof(first));
	}
}

static void rules_have_random_numbers_of_their_own(void **state)
{
	struct inject_fault fault = rule(INJECT_ILL);
	struct inject_fault other = rule(INJECT_ABT);
	bool alone[TRIES], beside[TRIES];

	(void)state;
	fault.probability = other.probability = 0.25;
	pattern(NULL, &fault, alone);
	pattern(&other, &fault, beside);
	assert_memory_equal(alone, beside, sizeof(alone));
	/* and, with one seed, not the same ones */
	for (size_t i = 1; i < KINDS; i++) {
		other.kind = every_kind[i];
		pattern(NULL, &other, beside);
		assert_memory_not_equal(alone, beside, sizeof(alone));
	}
}

/* Where both could decide, too: the one draws though the other has decided. */
static void rules_that_meet_do_not_move_each_other(void **state)
{
	struct inject_chance chance = chance_of(INJECT_ATC_TIMEOUT);
	struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	struct inject_fault other = rule(INJECT_ATC_LATE);
	struct inject in;
	uint32_t delay;
	bool alone[TRIES], first[TRIES];
	unsigned int both = 0;

	(void)state;
	fault.probability = other.probability = 0.25;
	pattern(NULL, &fault, alone);
	pattern(NULL, &other, first);
	chance.kinds |= 1u << INJECT_ATC_LATE;
	inject_init(&in);
	inject_add(&in, &other);
	inject_add(&in, &fault);
	for (int n = 0; n < TRIES; n++) {
		enum inject_kind kind = inject_ask(&in, &chance, &delay);

		assert_int_equal(kind, first[n]	  ? INJECT_ATC_LATE
				       : alone[n] ? INJECT_ATC_TIMEOUT
						  : INJECT_NONE);
		both += first[n] && alone[n];
	}
	assert_true(both);
	inject_fini(&in);
}

static void a_probability_is_how_often(void **state)
{
	static const unsigned int in_100000[] = { 1, 1000, 10000, 50000,
						  90000 };
	struct inject_fault fault = rule(INJECT_ABT);
	struct inject in;

	(void)state;
	for (size_t i = 0; i < sizeof(in_100000) / sizeof(in_100000[0]); i++) {
		unsigned int n = 0;

		fault.probability = in_100000[i] / 100000.0;
		inject_init(&in);
		inject_add(&in, &fault);
		for (int k = 0; k < 100000; k++)
			n += ask(&in, INJECT_ABT) != INJECT_NONE;
		/* four deviations are 632 where they are widest */
		assert_in_range(n, in_100000[i] > 632 ? in_100000[i] - 632 : 0,
				in_100000[i] + 632);
		assert_int_equal(inject_clear(&in), n);
		inject_fini(&in);
	}
}

static void
a_certainty_never_fails_and_next_to_nothing_hardly_happens(void **state)
{
	struct inject_fault fault = rule(INJECT_ABT);
	struct inject in;

	(void)state;
	inject_init(&in);
	inject_add(&in, &fault);
	for (int n = 0; n < 100000; n++)
		assert_int_equal(ask(&in, INJECT_ABT), INJECT_ABT);
	inject_clear(&in);
	fault.probability = 1e-300;
	inject_add(&in, &fault);
	for (int n = 0; n < 100000; n++)
		assert_int_equal(ask(&in, INJECT_ABT), INJECT_NONE);
	inject_fini(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_is_for_its_own_kind),
		cmocka_unit_test(
			an_opcode_is_looked_at_for_illegal_commands_only),
		cmocka_unit_test(a_stream_is_looked_at_where_there_is_one),
		cmocka_unit_test(the_first_rule_that_says_yes_decides),
		cmocka_unit_test(a_count_ends_a_rule_and_clearing_ends_all),
		cmocka_unit_test(the_same_seed_gives_the_same_faults),
		cmocka_unit_test(rules_have_random_numbers_of_their_own),
		cmocka_unit_test(rules_that_meet_do_not_move_each_other),
		cmocka_unit_test(a_probability_is_how_often),
		cmocka_unit_test(
			a_certainty_never_fails_and_next_to_nothing_hardly_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
