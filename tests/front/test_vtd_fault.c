// SPDX-License-Identifier: MIT
/*
 * Fault recording, the fault event, page requests and theirs. Words by hand
 * from VT-d 7.2, 7.3, 7.5 and 11.4.7.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_rig.h"

#define PFO 0x1u
#define PPF 0x2u
#define ICE 0x20u
#define IM  0x80000000u
#define IP  0x40000000u
#define F   0x80000000u

static bool fault(struct rig *rig, uint16_t sid)
{
	struct vtd_fault fault = { .reason = 0x71, .sid = sid };

	return vtd_front_fault(rig->front, &fault);
}

static uint32_t frcd_top(struct rig *rig, unsigned int n)
{
	return rd(rig, R_FRCD + 16 * n + 12);
}

static void clear_frcd(struct rig *rig, unsigned int n)
{
	wr(rig, R_FRCD + 16 * n + 12, F);
}

static void a_record_has_its_fields(void **state)
{
	struct rig *rig = *state;
	struct vtd_fault f = {
		.reason = 0x85,
		.request = VTD_REQUEST_WRITE,
		.at = 2,
		.pasid_valid = true,
		.priv = true,
		.sid = 0x1234,
		.pasid = 0xabcde,
		.info = 0xff00123456789abc,
	};

	assert_true(vtd_front_fault(rig->front, &f));
	/* bits above the widest AGAW, 57, are reserved; so are 11:0 */
	assert_true(rd64(rig, R_FRCD) == 0x0100123456789000);
	assert_true(rd64(rig, R_FRCD + 8) == 0xaabcde85a0001234);
	assert_int_equal(frcd_top(rig, 0), 0xaabcde85);
}

static void requests_have_their_types(void **state)
{
	static const struct {
		uint8_t request;
		uint64_t bits; /* T1 62, T2 28 */
	} types[] = {
		{ VTD_REQUEST_WRITE, 0 },
		{ VTD_REQUEST_PAGE, 1ull << 28 },
		{ VTD_REQUEST_READ, 1ull << 62 },
		{ VTD_REQUEST_ATOMIC, 1ull << 62 | 1ull << 28 },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 4; i++) {
		struct vtd_fault f = { .reason = 6,
				       .sid = (uint16_t)i,
				       .exe = true, /* without a PASID: not */
				       .pasid = 0xfffff,
				       .request = types[i].request };

		assert_true(vtd_front_fault(rig->front, &f));
		assert_true(rd64(rig, R_FRCD + 16 * i + 8) ==
			    (0x8000000600000000 | i | types[i].bits));
	}
}

static void interrupt_faults_keep_their_index(void **state)
{
	struct rig *rig = *state;
	struct vtd_fault f = { .reason = 0x22, .info = 0xfedc000000000fff };

	assert_true(vtd_front_fault(rig->front, &f));
	assert_true(rd64(rig, R_FRCD) == 0xfedc000000000000);
}

static void fields_of_absent_features_are_zero(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();
	struct vtd_fault f = { .reason = 0xff,
			       .at = 3,
			       .pasid_valid = true,
			       .exe = true,
			       .priv = true,
			       .pasid = 0xfffff,
			       .sid = 1 };

	(void)state;
	assert_non_null(rig);
	/* no PASIDs, no device TLBs and what builds on these */
	id.ecap &= ~(1ull << 40 | 1ull << 2 | 1ull << 29 | 1ull << 33 |
		     3ull << 41);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	assert_true(vtd_front_fault(rig->front, &f));
	assert_true(rd64(rig, R_FRCD + 8) == 0x800000ff00000001);
	rig_destroy(rig);
	free(rig);
}

static void addresses_have_the_width_of_the_widest_table(void **state)
{
	static const struct {
		uint64_t sagaw;
		uint64_t seen;
	} widths[] = {
		{ 0x200, 0x0000007ffffff000 },
		{ 0x600, 0x0000fffffffff000 },
		{ 0xe00, 0x01fffffffffff000 },
	};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_fault f = { .reason = 5, .info = ~0ull };

	(void)state;
	assert_non_null(rig);
	for (int i = 0; i < 3; i++) {
		struct vtd_id id = id_full();

		/* legacy mode only */
		id.ecap = 0xdf | 0xf00;
		id.cap &= ~(1ull << 56 | 1ull << 60 | 0xe00);
		id.cap |= widths[i].sagaw;
		assert_int_equal(rig_create(rig, &id, 0), 0);
		assert_true(vtd_front_fault(rig->front, &f));
		assert_true(rd64(rig, R_FRCD) == widths[i].seen);
		rig_destroy(rig);
	}
	free(rig);
}

static void records_are_filled_round_robin(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_GCMD, G_TE);
	for (uint16_t i = 0; i < 3; i++)
		assert_true(fault(rig, 0x100 + i));
	assert_int_equal(rd(rig, R_FSTS), PPF); /* FRI 0 */
	for (unsigned int i = 0; i < 3; i++)
		clear_frcd(rig, i);
	assert_int_equal(rd(rig, R_FSTS) & PPF, 0);
	/* the next one is number 3, and the first pending */
	assert_true(fault(rig, 0x200));
	assert_int_equal(rd(rig, R_FSTS), PPF | 3 << 8);
	for (uint16_t i = 0; i < 7; i++)
		assert_true(fault(rig, 0x201 + i));
	assert_int_equal(rd(rig, R_FRCD + 16 * 2 + 8), 0x207);
	assert_int_equal(rd(rig, R_FSTS), PPF | 3 << 8);
}

static void translation_off_starts_again_at_record_0(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_GCMD, G_TE | G_IRE);
	assert_true(fault(rig, 1));
	assert_true(fault(rig, 2));
	clear_frcd(rig, 0);
	clear_frcd(rig, 1);
	wr(rig, R_GCMD, G_IRE);
	wr(rig, R_GCMD, G_TE | G_IRE);
	assert_true(fault(rig, 3));
	assert_int_equal(rd(rig, R_FSTS), PPF | 2 << 8);
	clear_frcd(rig, 2);
	wr(rig, R_GCMD, 0);
	wr(rig, R_GCMD, G_TE);
	assert_true(fault(rig, 4));
	assert_int_equal(rd(rig, R_FSTS), PPF);
}

static void a_full_set_of_records_overflows(void **state)
{
	struct rig *rig = *state;

	for (uint16_t i = 0; i < 8; i++)
		assert_true(fault(rig, i));
	assert_int_equal(rd(rig, R_FSTS), PPF);
	assert_false(fault(rig, 8));
	assert_int_equal(rd(rig, R_FSTS), PPF | PFO);
	/* nothing is recorded while PFO is set, room or not */
	clear_frcd(rig, 0);
	assert_false(fault(rig, 9));
	assert_int_equal(frcd_top(rig, 0) & F, 0);
	wr(rig, R_FSTS, PFO);
	assert_int_equal(rd(rig, R_FSTS) & PFO, 0);
	assert_true(fault(rig, 9));
	assert_int_equal(rd(rig, R_FRCD + 8), 9);
	/* PPF and FRI are not software's to clear */
	wr(rig, R_FSTS, ~0u);
	assert_int_equal(rd(rig, R_FSTS), PPF);
}

static void faults_of_one_requester_are_merged(void **state)
{
	struct rig *rig = *state;

	assert_true(fault(rig, 0x10));
	assert_true(fault(rig, 0x11));
	for (int i = 0; i < 20; i++) {
		assert_false(fault(rig, 0x10));
		assert_false(fault(rig, 0x11));
	}
	assert_int_equal(rd(rig, R_FSTS), PPF);
	clear_frcd(rig, 0);
	assert_true(fault(rig, 0x10));
	assert_int_equal(frcd_top(rig, 2) & F, F);
	/* 8 bytes clear as well; 0 does not */
	wr64(rig, R_FRCD + 16 + 8, 0x7fffffffffffffff);
	assert_int_equal(frcd_top(rig, 1) & F, F);
	wr64(rig, R_FRCD + 16 + 8, 0x8000000000000000);
	assert_int_equal(frcd_top(rig, 1) & F, 0);
	wr64(rig, R_FRCD + 32, ~0ull); /* the other half */
	wr(rig, R_FRCD + 32 + 8, ~0u);
	assert_int_equal(frcd_top(rig, 2) & F, F);
}

static void the_first_condition_sends_the_event(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_FECTL + 4, 0x21);
	wr(rig, R_FECTL + 8, 0xfee01000);
	wr(rig, R_FECTL + 12, 0x2);
	wr(rig, R_FECTL, 0);
	assert_true(fault(rig, 1));
	assert_int_equal(rig->irqs[0], 1);
	assert_true(rig->irq_addr == 0x2fee01000);
	assert_int_equal(rig->irq_data, 0x21);
	assert_true(fault(rig, 2));
	vtd_front_ice(rig->front, 7);
	assert_int_equal(rig->irqs[0], 1);
	clear_frcd(rig, 0);
	clear_frcd(rig, 1);
	/* ICE is still to be serviced */
	assert_true(fault(rig, 3));
	assert_int_equal(rig->irqs[0], 1);
	clear_frcd(rig, 2);
	wr(rig, R_FSTS, ICE);
	assert_true(fault(rig, 4));
	assert_int_equal(rig->irqs[0], 2);
}

static void a_masked_fault_event_pends(void **state)
{
	struct rig *rig = *state;

	assert_true(fault(rig, 1));
	assert_int_equal(rd(rig, R_FECTL), IM | IP);
	assert_int_equal(rig->irqs[0], 0);
	wr(rig, R_FECTL, 0);
	assert_int_equal(rig->irqs[0], 1);
	assert_int_equal(rd(rig, R_FECTL), 0);
	wr(rig, R_FECTL, IM);
	wr(rig, R_FECTL, 0);
	assert_int_equal(rig->irqs[0], 1);
}

static void servicing_everything_drops_a_pending_event(void **state)
{
	struct rig *rig = *state;

	assert_true(fault(rig, 1));
	assert_true(fault(rig, 2));
	vtd_front_ice(rig->front, 3);
	clear_frcd(rig, 0);
	wr(rig, R_FSTS, ICE);
	assert_int_equal(rd(rig, R_FECTL), IM | IP);
	clear_frcd(rig, 1);
	assert_int_equal(rd(rig, R_FECTL), IM);
	/* the other way round */
	vtd_front_ice(rig->front, 3);
	assert_true(fault(rig, 2));
	clear_frcd(rig, 2);
	assert_int_equal(rd(rig, R_FECTL), IM | IP);
	wr(rig, R_FSTS, ICE);
	assert_int_equal(rd(rig, R_FECTL), IM);
	/* an overflow is a status to service too */
	for (uint16_t i = 0; i < 9; i++)
		fault(rig, 0x20 + i);
	for (unsigned int i = 0; i < 8; i++)
		clear_frcd(rig, i);
	assert_int_equal(rd(rig, R_FSTS) & (PFO | PPF), PFO);
	assert_int_equal(rd(rig, R_FECTL), IM | IP);
	wr(rig, R_FSTS, PFO);
	assert_int_equal(rd(rig, R_FECTL), IM);
	wr(rig, R_FECTL, 0);
	assert_int_equal(rig->irqs[0], 0);
}

static void a_queue_error_is_a_fault_event(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_FECTL, 0);
	rig_queue(rig, false);
	wr(rig, R_IQT, 16); /* a descriptor of zeros */
	assert_int_equal(rd(rig, R_FSTS), 0x10);
	assert_int_equal(rig->irqs[0], 1);
}

static const uint64_t page_rec[4] = { 0x00abcde12340101, 0x1000000000000ff7, 0,
				      0 };

static void page_requests_are_queued(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_PQA, RIG_PRQ);
	wr(rig, R_PECTL + 4, 0x33);
	wr(rig, R_PECTL + 8, 0xfee02000);
	wr(rig, R_PECTL, 0);
	assert_true(vtd_front_page_request(rig->front, page_rec));
	assert_int_equal(rd64(rig, R_PQT), 32);
	assert_int_equal(rd(rig, R_PRS), 1);
	for (int i = 0; i < 4; i++)
		assert_true(ram_get(&rig->ram, RIG_PRQ + 8 * i, 8) ==
			    page_rec[i]);
	assert_int_equal(rig->irqs[2], 1);
	assert_int_equal(rig->irq_data, 0x33);
	/* PPR stands */
	assert_true(vtd_front_page_request(rig->front, page_rec));
	assert_true(ram_get(&rig->ram, RIG_PRQ + 32, 8) == page_rec[0]);
	assert_int_equal(rig->irqs[2], 1);
	wr(rig, R_PRS, 1);
	assert_int_equal(rd(rig, R_PRS), 0);
	assert_true(vtd_front_page_request(rig->front, page_rec));
	assert_int_equal(rig->irqs[2], 2);
}

static void a_full_page_request_queue_overflows(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_PQA, RIG_PRQ);
	for (int i = 0; i < 127; i++) {
		assert_true(vtd_front_page_request_room(rig->front));
		assert_true(vtd_front_page_request(rig->front, page_rec));
	}
	assert_false(vtd_front_page_request_room(rig->front));
	assert_int_equal(rd(rig, R_PRS), 1);
	assert_false(vtd_front_page_request(rig->front, page_rec));
	assert_int_equal(rd(rig, R_PRS), 3);
	assert_int_equal(rd(rig, R_PQT), 127 * 32);
	assert_true(!ram_get(&rig->ram, RIG_PRQ + 127 * 32, 8));
	/* room alone does not end the overflow */
	wr(rig, R_PQH, 64 * 32);
	assert_int_equal(rig->changes[VTD_CHANGE_PRQ], 1);
	assert_false(vtd_front_page_request_room(rig->front));
	assert_false(vtd_front_page_request(rig->front, page_rec));
	wr(rig, R_PRS, 2);
	assert_int_equal(rig->changes[VTD_CHANGE_PRQ], 2);
	assert_int_equal(rd(rig, R_PRS), 1);
	assert_true(vtd_front_page_request_room(rig->front));
	assert_true(vtd_front_page_request(rig->front, page_rec));
	assert_true(ram_get(&rig->ram, RIG_PRQ + 127 * 32, 8) == page_rec[0]);
	assert_int_equal(rd(rig, R_PQT), 0); /* around the end */
}

static void a_page_request_that_cannot_be_written_overflows(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_PQA, RIG_PRQ);
	ram_abort_at(&rig->ram, RIG_PRQ, RIG_PRQ + 31);
	assert_false(vtd_front_page_request(rig->front, page_rec));
	assert_int_equal(rd(rig, R_PRS), 2);
	assert_int_equal(rd(rig, R_PQT), 0);
}

static void masked_page_request_events_pend(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_PQA, RIG_PRQ);
	assert_true(vtd_front_page_request(rig->front, page_rec));
	assert_int_equal(rd(rig, R_PECTL), IM | IP);
	wr(rig, R_PRS, 1);
	assert_int_equal(rd(rig, R_PECTL), IM);
	wr(rig, R_PECTL, 0);
	assert_int_equal(rig->irqs[2], 0);
	wr(rig, R_PECTL, IM);
	assert_true(vtd_front_page_request(rig->front, page_rec));
	wr(rig, R_PECTL, 0);
	assert_int_equal(rig->irqs[2], 1);
}

static void without_page_requests_there_is_no_queue(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	id.ecap &= ~(1ull << 29);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	assert_false(vtd_front_page_request(rig->front, page_rec));
	assert_false(vtd_front_page_request_room(rig->front));
	assert_int_equal(rig->ram.writes, 0);
	rig_destroy(rig);
	free(rig);
}

/* A queue whose memory is the unit's own registers */
static void page_requests_into_registers_end(void **state)
{
	struct rig *rig = *state;

	rig->mem_is_regs = true;
	wr64(rig, R_PQA, RIG_REGS);
	for (int i = 0; i < 200; i++)
		vtd_front_page_request(rig->front, page_rec);
	/* the second one lay over RTADDR, the seventh over PQA */
	assert_true(rd64(rig, R_RTADDR) == (page_rec[0] & ~0x3ffull));
	assert_true(!rd64(rig, R_PQA));
}

static void request_again(struct rig *rig, enum vtd_change what)
{
	if (what == VTD_CHANGE_PRQ)
		assert_false(vtd_front_page_request(rig->front, page_rec));
}

/* The record is written over PQH, and the sink answers with another one. */
static void a_request_from_inside_a_request_is_dropped(void **state)
{
	struct rig *rig = *state;

	rig->mem_is_regs = true;
	rig->on_change = request_again;
	wr64(rig, R_PQA, RIG_REGS);
	wr64(rig, R_PQT, 0xc0);
	vtd_front_page_request(rig->front, page_rec);
	assert_true(rig->changes[VTD_CHANGE_PRQ] > 0);
}

#define WITH_RIG(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(a_record_has_its_fields),
		WITH_RIG(requests_have_their_types),
		WITH_RIG(interrupt_faults_keep_their_index),
		cmocka_unit_test(fields_of_absent_features_are_zero),
		cmocka_unit_test(addresses_have_the_width_of_the_widest_table),
		WITH_RIG(records_are_filled_round_robin),
		WITH_RIG(translation_off_starts_again_at_record_0),
		WITH_RIG(a_full_set_of_records_overflows),
		WITH_RIG(faults_of_one_requester_are_merged),
		WITH_RIG(the_first_condition_sends_the_event),
		WITH_RIG(a_masked_fault_event_pends),
		WITH_RIG(servicing_everything_drops_a_pending_event),
		WITH_RIG(a_queue_error_is_a_fault_event),
		WITH_RIG(page_requests_are_queued),
		WITH_RIG(a_full_page_request_queue_overflows),
		WITH_RIG(a_page_request_that_cannot_be_written_overflows),
		WITH_RIG(masked_page_request_events_pend),
		cmocka_unit_test(without_page_requests_there_is_no_queue),
		WITH_RIG(page_requests_into_registers_end),
		WITH_RIG(a_request_from_inside_a_request_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
