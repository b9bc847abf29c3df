// SPDX-License-Identifier: MIT
/*
 * Event records bit by bit, from the layouts of Arm IHI 0070 section 7.3. Each
 * event is built from arguments that are all ones, so that a field it has not
 * got shows, and from none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/smmuv3/event.h"

#define ADDR  0xfedcba9876543210ULL
#define IPA   0xfff7654321fedcbaULL
#define FETCH 0xfff123456789abcfULL

static const struct smmuv3_input ones = {
	.addr = ADDR,
	.sid = 0x89abcdef,
	.ssid = 0xfffff,
	.ssv = true,
	.priv = true,
	.exec = true,
};

static const struct smmuv3_stall stalled = { .stall = true, .stag = 0xface };

static void build(uint8_t event, const struct smmuv3_input *in, int class,
		  uint64_t rec[4])
{
	const struct smmuv3_fault fault = {
		.event = event,
		.class = (uint8_t) class,
		.level = 3,
		.s2 = true,
		.tt_write = true,
		.ipa = IPA,
		.fetch = FETCH,
		.reason = 0xbeef,
		.treq = UINT32_MAX,
	};

	memset(rec, 0xee, 32);
	smmuv3_event_build(in, &fault, &stalled, rec);
}

/*
 * SSV is bit 11, SSID bits 31:12, StreamID bits 63:32. In doubleword 1: STAG
 * 15:0, Reason 31:16, Stall 31, PnU 33, InD 34, RnW 35, S2 39, CLASS 41:40.
 * F_BAD_ATS_TREQ: Span 3:0, P 28, X 29, W 30, R 31.
 */
static const struct {
	const char *name;
	uint8_t event;
	uint64_t rec[4];
} layouts[] = {
	{ "F_UUT", 0x01, { 0x89abcdeffffff801, 0x0000000ebeef0000, ADDR, 0 } },
	{ "C_BAD_STREAMID", 0x02, { 0x89abcdeffffff802, 0, 0, 0 } },
	{ "F_STE_FETCH",
	  0x03,
	  { 0x89abcdeffffff803, 0, 0, 0x00f123456789abc8 } },
	{ "C_BAD_STE", 0x04, { 0x89abcdeffffff804, 0, 0, 0 } },
	{ "F_BAD_ATS_TREQ",
	  0x05,
	  { 0x89abcdeffffff805, 0x00000000f000000f, 0xfedcba9876543000, 0 } },
	{ "F_STREAM_DISABLED", 0x06, { 0x89abcdef00000006, 0, 0, 0 } },
	{ "F_TRANSL_FORBIDDEN",
	  0x07,
	  { 0x89abcdef00000007, 0x0000000800000000, ADDR, 0 } },
	{ "C_BAD_SUBSTREAMID", 0x08, { 0x89abcdeffffff008, 0, 0, 0 } },
	{ "F_CD_FETCH",
	  0x09,
	  { 0x89abcdeffffff809, 0, 0, 0x00f123456789abc8 } },
	{ "C_BAD_CD", 0x0a, { 0x89abcdeffffff80a, 0, 0, 0 } },
	{ "F_WALK_EABT",
	  0x0b,
	  { 0x89abcdeffffff80b, 0x0000028e00000000, ADDR,
	    0x00f123456789abc8 } },
	{ "F_TRANSLATION",
	  0x10,
	  { 0x89abcdeffffff810, 0x0000028e8000face, ADDR,
	    0x00f7654321fed000 } },
	{ "F_ADDR_SIZE",
	  0x11,
	  { 0x89abcdeffffff811, 0x0000028e8000face, ADDR,
	    0x00f7654321fed000 } },
	{ "F_ACCESS",
	  0x12,
	  { 0x89abcdeffffff812, 0x0000028e8000face, ADDR,
	    0x00f7654321fed000 } },
	{ "F_PERMISSION",
	  0x13,
	  { 0x89abcdeffffff813, 0x0000028e8000face, ADDR,
	    0x00f7654321fed000 } },
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static void expect_record(const uint64_t rec[4], const uint64_t want[4])
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(rec[i], want[i]);
}

static void test_every_event_has_the_fields_of_its_layout(void **state)
{
	uint64_t rec[4];

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		build(layouts[i].event, &ones, 2, rec);
		expect_record(rec, layouts[i].rec);
		assert_string_equal(smmuv3_event_name(layouts[i].event),
				    layouts[i].name);
	}
}

static void test_nothing_set_leaves_the_number_alone(void **state)
{
	const struct smmuv3_input in = { .write = true };
	uint64_t rec[4];

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		const struct smmuv3_fault fault = { .event = layouts[i].event };
		const uint64_t want[4] = { layouts[i].event };

		smmuv3_event_build(&in, &fault, NULL, rec);
		expect_record(rec, want);
	}
}

/* Without SSV the SubstreamID is UNKNOWN (0 here); C_BAD_SUBSTREAMID then is
 * about CD 0 (7.3.9). */
static void test_no_substream(void **state)
{
	struct smmuv3_input in = ones;
	uint64_t rec[4];

	(void)state;
	in.ssv = false;
	for (size_t i = 0; i < LAYOUTS; i++) {
		build(layouts[i].event, &in, 2, rec);
		assert_int_equal(rec[0],
				 0x89abcdef00000000ULL | layouts[i].event);
		assert_int_equal(rec[1], layouts[i].rec[1]);
	}
}

static void test_each_attribute_has_its_bit(void **state)
{
	struct smmuv3_input in = ones;
	uint64_t rec[4];

	(void)state;
	in.priv = false;
	build(0x10, &in, 2, rec);
	assert_int_equal(rec[1], 0x0000028c8000faceULL);
	in.priv = true;
	in.exec = false;
	build(0x10, &in, 2, rec);
	assert_int_equal(rec[1], 0x0000028a8000faceULL);
	/* InD is 0 whenever RnW is 0 */
	in.exec = true;
	in.write = true;
	build(0x10, &in, 2, rec);
	assert_int_equal(rec[1], 0x000002828000faceULL);
}

static void test_class_and_stage(void **state)
{
	struct smmuv3_fault fault = { .event = 0x12, .ipa = 0x123456789abcULL };
	uint64_t rec[4];

	(void)state;
	for (int class = 0; class < 3; class ++) {
		fault.class = (uint8_t) class;
		fault.s2 = true;
		smmuv3_event_build(&ones, &fault, NULL, rec);
		assert_int_equal(rec[1],
				 0x8e00000000ULL | (uint64_t) class << 40);
		assert_int_equal(rec[3], 0x123456789000ULL);
		/* stage 1: no IPA */
		fault.s2 = false;
		smmuv3_event_build(&ones, &fault, NULL, rec);
		assert_int_equal(rec[1],
				 0x0e00000000ULL | (uint64_t) class << 40);
		assert_int_equal(rec[3], 0);
	}
}

/* TTRnW, bit 44: F_PERMISSION on a stage-1 descriptor, 1 for reading it. */
static void test_ttrnw_tells_which_access_to_the_table_was_refused(void **state)
{
	uint64_t rec[4];

	(void)state;
	for (int event = 0x10; event <= 0x13; event++) {
		for (int class = 0; class < 3; class ++) {
			struct smmuv3_fault fault = {
				.event = (uint8_t)event,
				.class = (uint8_t) class,
				.s2 = true,
			};
			uint64_t want = event == 0x13 && class == 1;

			smmuv3_event_build(&ones, &fault, NULL, rec);
			assert_int_equal(rec[1] >> 44, want);
			fault.tt_write = true;
			smmuv3_event_build(&ones, &fault, NULL, rec);
			assert_int_equal(rec[1] >> 44, 0);
		}
	}
}

static void test_not_stalled_has_no_tag(void **state)
{
	const struct smmuv3_stall running = { .stall = false, .stag = 0xface };
	const struct smmuv3_fault fault = { .event = 0x10, .class = 2 };
	uint64_t rec[4];

	(void)state;
	smmuv3_event_build(&ones, &fault, &running, rec);
	assert_int_equal(rec[1], 0x0000020e00000000ULL);
}

static void test_numbers_that_are_no_events(void **state)
{
	static const uint8_t known[] = { 1,    2,    3,	   4,	 5,
					 6,    7,    8,	   9,	 10,
					 11,   0x10, 0x11, 0x12, 0x13,
					 0x20, 0x21, 0x24, 0x25 };

	(void)state;
	for (int event = 0; event < 256; event++)
		assert_int_equal(smmuv3_event_name((uint8_t)event) != NULL,
				 memchr(known, event, sizeof(known)) != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_has_the_fields_of_its_layout),
		cmocka_unit_test(test_nothing_set_leaves_the_number_alone),
		cmocka_unit_test(test_no_substream),
		cmocka_unit_test(test_each_attribute_has_its_bit),
		cmocka_unit_test(test_class_and_stage),
		cmocka_unit_test(
			test_ttrnw_tells_which_access_to_the_table_was_refused),
		cmocka_unit_test(test_not_stalled_has_no_tag),
		cmocka_unit_test(test_numbers_that_are_no_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
