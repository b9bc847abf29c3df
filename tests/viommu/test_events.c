// SPDX-License-Identifier: MIT
/*
 * Events on their way to the guest: streams without a valid STE, whose accesses
 * the guest is told of in the words of its own tables (IHI 0070 7.3), and what
 * a reset makes of events that are still under way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"

#define EVENTQ_PROD 0x100a8
#define STE_S1	    0x4000bULL
#define CFGI_STE    0x0000001000000003ULL, 1ULL
#define C_BAD_STE   0x04

/* What the backend answered HWPT_ALLOC with, in the order of creation */
enum { ABORT, BYPASS, INVALID };

static int setup(void **state)
{
	*state = way_start(WAY_CODES);
	return 0;
}

static int teardown(void **state)
{
	way_end(*state);
	return 0;
}

/* An event of vSID 0x10 behind those that are there */
static void host_event(struct fake *fake, uint32_t sequence, uint64_t type)
{
	uint64_t event[5] = { (uint64_t)sequence << 32,
			      0x0000001000000000ULL | type, 0, 0, 0 };

	memcpy(fake->events + fake->event_bytes, event, sizeof(event));
	fake->event_bytes += sizeof(event);
}

/* The guest has another STE; it says so. */
static void change_ste(struct fake *fake, uint64_t dw0, uint64_t dw1)
{
	guest_ste(fake, 0x10, dw0, dw1);
	guest_put(fake, CFGI_STE);
	guest_doorbell(fake, fake->viommu);
}

static void an_ste_without_v_is_invalid_down_below(void **state)
{
	struct fake *fake = *state;

	change_ste(fake, STE_S1 & ~1ULL, 0);
	assert_int_equal(fake->attached, fake->hwpt_id[INVALID]);
	assert_int_equal(fake->hwpt_ste[INVALID][0], 0);
	assert_int_equal(fake->hwpt_ste[INVALID][1], 0);
}

/* 5.2: abort without an event. 0b001 to 0b011 behave as 0b000. */
static void an_ste_that_aborts_is_no_invalid_one(void **state)
{
	struct fake *fake = *state;

	for (uint64_t config = 0; config < 4; config++) {
		change_ste(fake, 0x9, 0);
		assert_int_equal(fake->attached, fake->hwpt_id[BYPASS]);
		change_ste(fake, 1 | config << 1, 0);
		assert_int_equal(fake->attached, fake->hwpt_id[ABORT]);
	}
}

/* Without IDR0.S2P these are ILLEGAL. */
static void an_ste_with_stage_2_is_invalid(void **state)
{
	struct fake *fake = *state;

	for (uint64_t config = 6; config < 8; config++) {
		change_ste(fake, 0x9, 0);
		change_ste(fake, 1 | config << 1, 0);
		assert_int_equal(fake->attached, fake->hwpt_id[INVALID]);
	}
}

static void what_the_host_refuses_is_invalid(void **state)
{
	static const int errors[] = { -EIO, -EINVAL, -EOPNOTSUPP };
	struct fake *fake = *state;

	for (int i = 0; i < 3; i++) {
		change_ste(fake, 0x9, 0);
		fake->fail_hwpt = errors[i];
		change_ste(fake, STE_S1, 0xd6);
		assert_int_equal(fake->attached, fake->hwpt_id[INVALID]);
		/* the event needs no translation */
		host_event(fake, (uint32_t)i, C_BAD_STE);
		assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
		assert_true(guest_word(fake, EVENTQ_ADDR + 32 * i) ==
			    0x0000001000000004ULL);
	}
}

static void c_bad_ste_reaches_the_guest_as_it_is(void **state)
{
	struct fake *fake = *state;

	change_ste(fake, 0, 0);
	host_event(fake, 0, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
	assert_true(guest_word(fake, EVENTQ_ADDR) == 0x0000001000000004ULL);
	assert_int_equal(fake->irqs[0], 1);
}

/* A second-level table of which nothing is there: 2-level, split 6 */
static void two_levels(struct fake *fake, uint64_t l1std)
{
	memcpy(fake->mem + STRTAB_ADDR, &l1std, 8);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xc);
	nestfd_viommu_write(fake->viommu, 0x88, 4, 0x10000 | 6 << 6 | 8);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
}

/* 7.3.4: FetchAddr is bits 55:3 of the record's last doubleword */
static void an_ste_that_cannot_be_read_is_f_ste_fetch(void **state)
{
	struct fake *fake = *state;

	two_levels(fake, 0x80000000 | 7); /* beyond memory */
	assert_int_equal(fake->attached, fake->hwpt_id[INVALID]);
	host_event(fake, 0, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_true(guest_word(fake, EVENTQ_ADDR) == 0x0000001000000003ULL);
	assert_true(guest_word(fake, EVENTQ_ADDR + 24) ==
		    0x80000000 + 0x10 * 64);
}

/* Why an STE is invalid may change while it stays invalid. */
static void the_reason_follows_the_tables(void **state)
{
	const uint64_t l1std = 0x60000 | 7; /* zeros: V = 0 */
	struct fake *fake = *state;

	two_levels(fake, 0); /* C_BAD_STREAMID, which is not recorded */
	host_event(fake, 0, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 0);
	memcpy(fake->mem + STRTAB_ADDR, &l1std, 8);
	guest_put(fake, CFGI_STE);
	guest_doorbell(fake, fake->viommu);
	host_event(fake, 1, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
	assert_int_equal(guest_word(fake, EVENTQ_ADDR) & 0xff, 4);
}

/* 7.3.3: recorded only with CR2.RECINVSID */
static void a_stream_beyond_the_table_is_c_bad_streamid(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct fake *fake = *state;

	two_levels(fake, 0); /* span 0: no such streams */
	host_event(fake, 0, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 0);
	nestfd_viommu_stats(fake->viommu, &stats);
	assert_int_equal(stats.events_lost, 0);

	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xc);
	nestfd_viommu_write(fake->viommu, 0x2c, 4, 2);
	nestfd_viommu_write(fake->viommu, 0x20, 4, 0xd);
	host_event(fake, 1, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
	assert_true(guest_word(fake, EVENTQ_ADDR) == 0x0000001000000002ULL);
}

/* Only C_BAD_STE is put into other words, and only while it is true. */
static void other_events_and_other_streams_stay_as_they_are(void **state)
{
	struct fake *fake = *state;
	int n = 0;

	two_levels(fake, 0x80000000 | 7);
	for (uint64_t type = 1; type < 0x30; type++) {
		if (type == C_BAD_STE)
			continue;
		fake->event_bytes = 0;
		host_event(fake, (uint32_t)n, type);
		assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
		assert_int_equal(guest_word(fake, EVENTQ_ADDR + 32 * (n % 16)),
				 0x0000001000000000ULL | type);
		nestfd_viommu_write(fake->viommu, 0x100ac, 4,
				    fake_reg(fake, EVENTQ_PROD));
		n++;
	}
	assert_int_equal(n, 46);
}

static void pump_meanwhile(struct fake *fake)
{
	fake->on_hwpt = NULL;
	host_event(fake, 0, C_BAD_STE);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
}

/* Events need not wait until a command is through; this would for ever. */
static void events_go_on_while_a_stream_changes(void **state)
{
	struct fake *fake = *state;

	change_ste(fake, 0, 0);
	fake->on_hwpt = pump_meanwhile;
	change_ste(fake, STE_S1, 0xd6);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
}

/* ---- reset ---- */

static void a_reset_drops_what_was_under_way(void **state)
{
	struct nestfd_viommu_stats stats = { .size = sizeof(stats) };
	struct fake *fake = *state;

	for (uint32_t i = 0; i < 20; i++)
		host_event(fake, i, 0x10);
	nestfd_viommu_reset(fake->viommu);
	assert_int_equal(fake->event_bytes, 0);
	guest_boot(fake, fake->viommu);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 0);
	/* and those of the new life count on from there */
	host_event(fake, 20, 0x10);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 1);
	assert_int_equal(fake_reg(fake, EVENTQ_PROD), 1);
	nestfd_viommu_stats(fake->viommu, &stats);
	assert_int_equal(stats.events, 1);
	assert_int_equal(stats.events_lost, 0);
}

/* Devices that fault all the time do not keep a reset from its end. */
static void a_reset_ends_under_a_storm(void **state)
{
	struct fake *fake = *state;

	host_event(fake, 0, 0x10);
	fake->events_without_end = true;
	nestfd_viommu_reset(fake->viommu);
	fake->events_without_end = false;
	assert_int_equal(fake_reg(fake, 0x20), 0);
}

static void streams_bypass_before_events_are_dropped(void **state)
{
	struct fake *fake = *state;

	nestfd_viommu_reset(fake->viommu);
	assert_int_equal(fake->attached, fake->hwpt_id[BYPASS]);
}

static void the_probe_tells_of_the_additions(void **state)
{
	static const struct {
		uint64_t ext;
		const char *text;
	} backends[] = {
		{ 0, "additions to the ABI: none" },
		{ 1, "error codes yes, ring no" },
		{ 2, "error codes no, ring yes" },
		{ 3, "error codes yes, ring yes" },
	};
	struct nestfd_viommu_config config;
	char text[1024];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct fake *other = test_malloc(sizeof(*other));

		fake_config(other, &config);
		other->ext = backends[i].ext;
		assert_int_equal(
			nestfd_probe(&config.backend, 7, text, sizeof(text)),
			0);
		assert_non_null(strstr(text, backends[i].text));
		assert_int_equal(other->ext_on, 0);
		test_free(other);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_ste_without_v_is_invalid_down_below),
		CASE(an_ste_that_aborts_is_no_invalid_one),
		CASE(an_ste_with_stage_2_is_invalid),
		CASE(what_the_host_refuses_is_invalid),
		CASE(c_bad_ste_reaches_the_guest_as_it_is),
		CASE(an_ste_that_cannot_be_read_is_f_ste_fetch),
		CASE(the_reason_follows_the_tables),
		CASE(a_stream_beyond_the_table_is_c_bad_streamid),
		CASE(other_events_and_other_streams_stay_as_they_are),
		CASE(events_go_on_while_a_stream_changes),
		CASE(a_reset_drops_what_was_under_way),
		CASE(a_reset_ends_under_a_storm),
		CASE(streams_bypass_before_events_are_dropped),
		cmocka_unit_test(the_probe_tells_of_the_additions),
	};

	return cmocka_run_group_tests_name("viommu events", tests, NULL, NULL);
}
