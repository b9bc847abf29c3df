// SPDX-License-Identifier: MIT
/*
 * The invalidation queue: fetching in both widths, waits, and the errors that
 * stop it. Words by hand from VT-d 6.5.2 and 11.4.9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_rig.h"

#define IQE 0x10u
#define ICE 0x20u
#define ITE 0x40u

/* A domain-selective IOTLB invalidation: the DID tells them apart */
static void post_iotlb(struct rig *rig, unsigned int index, uint16_t did)
{
	const uint64_t dw[4] = { 0x22 | (uint64_t)did << 16 };

	rig_post(rig, index, dw);
}

/* SW: @data to @addr */
static void post_wait(struct rig *rig, unsigned int index, uint32_t data,
		      uint64_t addr)
{
	const uint64_t dw[4] = { 0x25 | (uint64_t)data << 32, addr };

	rig_post(rig, index, dw);
}

static void post_word(struct rig *rig, unsigned int index, uint64_t dw0)
{
	const uint64_t dw[4] = { dw0 };

	rig_post(rig, index, dw);
}

static void post_dev_tlb(struct rig *rig, unsigned int index, uint16_t sid)
{
	post_word(rig, index, 0x3 | (uint64_t)sid << 32);
}

static uint16_t did_of(const struct rig *rig, unsigned int n)
{
	return (uint16_t)(rig->descs[n][0] >> 16);
}

static void descriptors_come_in_order_in_both_widths(void **state)
{
	struct rig *rig = *state;

	for (int wide = 0; wide < 2; wide++) {
		unsigned int size = wide ? 32 : 16;

		rig->count = 0;
		rig_queue(rig, wide);
		for (uint16_t i = 0; i < 5; i++)
			post_iotlb(rig, i, 0x100 + i);
		wr(rig, R_IQT, 5 * size);
		assert_int_equal(rig->count, 5);
		for (uint16_t i = 0; i < 5; i++) {
			assert_int_equal(did_of(rig, i), 0x100 + i);
			assert_true(!rig->descs[i][1] && !rig->descs[i][2] &&
				    !rig->descs[i][3]);
		}
		assert_int_equal(rd64(rig, R_IQH), 5 * size);
		assert_int_equal(rd(rig, R_FSTS), 0);
		wr(rig, R_GCMD, 0);
		assert_int_equal(rd64(rig, R_IQH), 0);
	}
	assert_int_equal(rig->spans, 2);
}

static void narrow_neighbours_do_not_run_together(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	for (unsigned int i = 0; i < 64; i++) {
		const uint64_t dw[4] = { 0x32 | (uint64_t)i << 16,
					 (uint64_t)i << 12 };

		rig_post(rig, i, dw);
	}
	wr64(rig, R_IQT, 64 * 16);
	assert_int_equal(rig->count, 64);
	for (unsigned int i = 0; i < 64; i++) {
		assert_true(rig->descs[i][0] == (0x32 | (uint64_t)i << 16));
		assert_true(rig->descs[i][1] == (uint64_t)i << 12);
		assert_true(!rig->descs[i][2] && !rig->descs[i][3]);
	}
}

static void nothing_is_fetched_before_the_queue_is_enabled(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_IQA, RIG_QUEUE);
	post_iotlb(rig, 0, 1);
	wr(rig, R_IQT, 16);
	assert_int_equal(rig->ram.reads, 0);
	wr(rig, R_GCMD, G_QIE);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rd(rig, R_GSTS), G_QIE);
	assert_int_equal(rd(rig, R_IQH), 16);
}

static void the_queue_wraps(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, true);
	for (uint16_t i = 0; i < 128; i++)
		post_iotlb(rig, i, i);
	wr(rig, R_IQT, 120 * 32);
	assert_int_equal(rig->count, 120);
	post_iotlb(rig, 0, 1000);
	post_iotlb(rig, 1, 1001);
	wr(rig, R_IQT, 2 * 32);
	assert_int_equal(rig->count, 130);
	assert_int_equal(did_of(rig, 127), 127);
	assert_int_equal(did_of(rig, 128), 1000);
	assert_int_equal(did_of(rig, 129), 1001);
	assert_int_equal(rd(rig, R_IQH), 2 * 32);
	assert_int_equal(rig->spans, 2);

	/* full but for one, and to the very end */
	rig->count = 0;
	wr(rig, R_IQT, 1 * 32);
	assert_int_equal(rig->count, 127);
	wr(rig, R_IQT, 1 * 32);
	assert_int_equal(rig->count, 127);
	assert_int_equal(rd(rig, R_FSTS), 0);
	wr(rig, R_IQT, 0);
	assert_int_equal(rig->count, 127 + 127);
	assert_int_equal(rd(rig, R_IQH), 0);
}

static void every_size_wraps_where_it_should(void **state)
{
	struct rig *rig = *state;

	for (unsigned int qs = 0; qs < 6; qs++) {
		unsigned int entries = 256u << qs;

		memset(rig->ram.bytes, 0, sizeof(rig->ram.bytes));
		wr64(rig, R_IQA, RIG_QUEUE | qs);
		for (unsigned int i = 0; i < entries; i++)
			ram_put(&rig->ram, RIG_QUEUE + 16 * i, 0x12, 8);
		wr64(rig, R_IQT, 16 * (entries - 1));
		rig->count = 0;
		wr(rig, R_GCMD, G_QIE);
		assert_int_equal(rig->count, entries - 1);
		wr(rig, R_IQT, 16);
		assert_int_equal(rig->count, entries + 1);
		assert_int_equal(rd(rig, R_IQH), 16);
		assert_int_equal(rd(rig, R_FSTS), 0);
		wr(rig, R_GCMD, 0);
	}
}

static void spans_are_limited_as_configured(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	assert_int_equal(rig_create(rig, &id, 3), 0);
	rig_queue(rig, false);
	for (uint16_t i = 0; i < 10; i++)
		post_iotlb(rig, i, i);
	wr(rig, R_IQT, 160);
	assert_int_equal(rig->count, 10);
	assert_int_equal(rig->spans, 4);
	rig_destroy(rig);
	free(rig);
}

static void garbage_in_the_tail_is_masked_or_an_error(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	post_iotlb(rig, 0, 7);
	/* reserved bits do not count */
	wr64(rig, R_IQT, 0xfffffffffff8001f);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rd64(rig, R_IQT), 0x10);
	assert_int_equal(rd(rig, R_FSTS), 0);
	/* outside of one page */
	for (unsigned int bit = 12; bit < 19; bit++) {
		wr64(rig, R_IQT, 1ull << bit);
		assert_int_equal(rd(rig, R_FSTS), IQE);
		assert_int_equal(rd64(rig, R_IQERCD), 1);
		assert_int_equal(rd(rig, R_IQH), 0x10);
		wr64(rig, R_IQT, 0x10);
		wr(rig, R_FSTS, IQE);
		assert_int_equal(rd(rig, R_FSTS), 0);
	}
	assert_int_equal(rig->count, 1);
	assert_int_equal(rig->irqs[0], 0); /* FECTL.IM is set */
}

static void a_tail_between_wide_descriptors_is_an_error(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, true);
	post_iotlb(rig, 0, 7);
	wr(rig, R_IQT, 0x30);
	assert_int_equal(rd(rig, R_FSTS), IQE);
	assert_int_equal(rd64(rig, R_IQERCD), 6);
	assert_int_equal(rig->count, 0);
	wr(rig, R_IQT, 0x20);
	assert_int_equal(rig->count, 0);
	wr(rig, R_FSTS, IQE);
	assert_int_equal(rig->count, 1);
}

static void each_mode_has_its_width(void **state)
{
	static const struct {
		uint32_t ttm;
		int narrow;
		int wide;
	} modes[] = {
		{ TTM_LEGACY, 0, 0 },
		{ TTM_SCALABLE, 5, 0 },
		{ TTM_RESERVED, 7, 7 },
		{ TTM_ABORT, 5, 0 },
	};
	struct rig *rig = *state;

	for (int i = 0; i < 4; i++) {
		for (int wide = 0; wide < 2; wide++) {
			int iqei = wide ? modes[i].wide : modes[i].narrow;

			rig_mode(rig, modes[i].ttm);
			rig->count = 0;
			rig_queue(rig, wide);
			post_iotlb(rig, 0, 7);
			if (!wide)
				post_iotlb(rig, 1, 7);
			assert_int_equal(rd(rig, R_FSTS), 0); /* empty */
			wr(rig, R_IQT, 0x20);
			assert_int_equal(rd(rig, R_FSTS), iqei ? IQE : 0);
			if (iqei) {
				assert_int_equal(rd64(rig, R_IQERCD), iqei);
				assert_int_equal(rd(rig, R_IQH), 0);
				assert_int_equal(rig->count, 0);
			}
			wr(rig, R_GCMD, 0);
			wr64(rig, R_IQT, 0);
			wr(rig, R_FSTS, IQE);
		}
	}
}

static void without_scalable_mode_descriptors_are_narrow(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	/* DT and IR, but neither SMTS, what builds on it, nor ADMS */
	id.ecap = 0xdf | 0xf00;
	id.cap &= ~(1ull << 56 | 1ull << 60);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	rig_queue(rig, true);
	wr(rig, R_IQT, 0x20);
	assert_int_equal(rd64(rig, R_IQERCD), 5);
	wr(rig, R_GCMD, 0);
	wr(rig, R_FSTS, IQE);
	rig_mode(rig, TTM_SCALABLE);
	rig_queue(rig, false);
	wr(rig, R_IQT, 0x20);
	assert_int_equal(rd64(rig, R_IQERCD), 7);
	rig_destroy(rig);
	free(rig);
}

static void a_bad_descriptor_stops_the_queue_at_itself(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, true);
	post_iotlb(rig, 0, 1);
	post_iotlb(rig, 1, 2);
	post_word(rig, 2, 0xa); /* HPT: no such type here */
	post_iotlb(rig, 3, 4);
	wr(rig, R_IQT, 4 * 32);
	assert_int_equal(rig->count, 2);
	assert_int_equal(rd(rig, R_IQH), 2 * 32);
	assert_int_equal(rd(rig, R_FSTS), IQE);
	assert_int_equal(rd64(rig, R_IQERCD), 3);
	/* tail writes fetch nothing while the error stands */
	wr(rig, R_IQT, 5 * 32);
	wr(rig, R_IQT, 4 * 32);
	assert_int_equal(rig->spans, 1);
	/* software mends it in memory and clears the error */
	post_iotlb(rig, 2, 3);
	wr(rig, R_FSTS, IQE);
	assert_int_equal(rig->count, 4);
	assert_int_equal(did_of(rig, 2), 3);
	assert_int_equal(did_of(rig, 3), 4);
	assert_int_equal(rd(rig, R_IQH), 4 * 32);
	assert_int_equal(rd(rig, R_FSTS), 0);
}

static void an_error_is_found_again_when_it_still_stands(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, true);
	post_word(rig, 0, 0x22 | 1ull << 12);
	wr(rig, R_IQT, 32);
	assert_int_equal(rd64(rig, R_IQERCD), 4);
	for (int i = 0; i < 3; i++) {
		wr(rig, R_FSTS, IQE);
		assert_int_equal(rd(rig, R_FSTS), IQE);
		assert_int_equal(rd(rig, R_IQH), 0);
	}
	assert_int_equal(rig->spans, 4);
}

static void the_upper_half_of_a_wide_descriptor_is_padding(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, true);
	for (unsigned int bit = 0; bit < 128; bit++) {
		uint64_t dw[4] = { 0x12 };

		dw[2 + bit / 64] = 1ull << bit % 64;
		rig_post(rig, 0, dw);
		wr(rig, R_IQT, 32);
		assert_int_equal(rd(rig, R_FSTS), IQE);
		assert_int_equal(rd64(rig, R_IQERCD), 4);
		wr(rig, R_IQT, 0);
		wr(rig, R_FSTS, IQE);
	}
	assert_int_equal(rig->count, 0);
}

static void disabling_ends_an_erroneous_queue(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	post_iotlb(rig, 0, 1);
	post_word(rig, 1, 0xf);
	wr(rig, R_IQT, 32);
	assert_int_equal(rd(rig, R_IQH), 16);
	wr(rig, R_GCMD, 0);
	assert_int_equal(rd(rig, R_GSTS), 0);
	assert_int_equal(rd(rig, R_IQH), 0);
	assert_int_equal(rd(rig, R_FSTS), IQE); /* sticky */
	wr64(rig, R_IQT, 0);
	wr(rig, R_FSTS, IQE);
	rig_queue(rig, false);
	post_iotlb(rig, 0, 5);
	wr(rig, R_IQT, 16);
	assert_int_equal(rig->count, 2);
	assert_int_equal(did_of(rig, 1), 5);
}

static void memory_that_vanishes_stops_the_queue_where_it_ends(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_IQA, RIG_QUEUE | 1); /* two pages */
	for (unsigned int i = 0; i < 512; i++)
		ram_put(&rig->ram, RIG_QUEUE + 16 * i, 0x22 | i << 16, 8);
	wr64(rig, R_IQT, 0);
	wr(rig, R_GCMD, G_QIE);
	ram_abort_at(&rig->ram, RIG_QUEUE + 300 * 16, RIG_QUEUE + 300 * 16);
	wr(rig, R_IQT, 400 * 16);
	assert_int_equal(rig->count, 300);
	assert_int_equal(rd(rig, R_IQH), 300 * 16);
	assert_int_equal(rd(rig, R_FSTS), IQE);
	assert_int_equal(rd64(rig, R_IQERCD), 2);
	rig->ram.aborting = false;
	wr(rig, R_FSTS, IQE);
	assert_int_equal(rig->count, 400);
	assert_int_equal(rd(rig, R_FSTS), 0);
}

static void a_queue_outside_memory_is_a_fetch_error(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_IQA, 0x000ffffffffff000);
	wr(rig, R_GCMD, G_QIE);
	wr(rig, R_IQT, 16);
	assert_int_equal(rd64(rig, R_IQERCD), 2);
	assert_int_equal(rd(rig, R_IQH), 0);
	assert_int_equal(rig->spans, 0);
}

static void waits_write_their_status(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	post_iotlb(rig, 0, 1);
	post_wait(rig, 1, 0xdeadbeef, 0x80004);
	post_iotlb(rig, 2, 2);
	/* SW clear: the address is ignored */
	ram_put(&rig->ram, RIG_QUEUE + 48, 0x05 | 0x11111111ull << 32, 8);
	ram_put(&rig->ram, RIG_QUEUE + 56, 0x80008, 8);
	wr(rig, R_IQT, 64);
	assert_int_equal(rig->waits, 2);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 0);
	assert_int_equal(ram_get(&rig->ram, 0x80004, 4), 0xdeadbeef);
	assert_int_equal(ram_get(&rig->ram, 0x80008, 4), 0);
	assert_int_equal(rig->ram.writes, 1);
	assert_int_equal(rd(rig, R_ICS), 0);
}

static void a_status_outside_memory_is_lost(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	post_wait(rig, 0, 1, 0xfffffffffffc);
	post_wait(rig, 1, 2, 0x80000);
	wr(rig, R_IQT, 32);
	assert_int_equal(rd(rig, R_FSTS), 0);
	assert_int_equal(rd(rig, R_IQH), 32);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 2);
}

static void a_wait_may_write_to_the_units_own_registers(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	rig->mem_is_regs = true;
	rig_queue(rig, false);
	post_wait(rig, 0, 0x1000, RIG_REGS + R_RTADDR);
	post_iotlb(rig, 1, 1);
	wr(rig, R_IQT, 32);
	assert_int_equal(rd(rig, R_RTADDR), 0x1000);
	assert_int_equal(rd(rig, R_IQH), 32);
	rig_destroy(rig);
	free(rig);
}

/* Messages are writes to memory where nobody takes them as such. */
static void events_are_memory_writes_without_irq(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	wr(rig, R_IECTL + 4, 0x1234);
	wr(rig, R_IECTL + 8, 0x80000);
	wr(rig, R_IECTL, 0);
	rig_queue(rig, false);
	post_word(rig, 0, 0x15);
	wr(rig, R_IQT, 16);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 0x1234);
	assert_int_equal(ram_get(&rig->ram, 0x80004, 4), 0);
	rig_destroy(rig);
	free(rig);
}

static void completion_events_follow_iwc(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_IECTL, 0);
	wr(rig, R_IECTL + 4, 0x4041);
	wr(rig, R_IECTL + 8, 0xfee00018);
	wr(rig, R_IECTL + 12, 0x1);
	rig_queue(rig, false);
	post_word(rig, 0, 0x15);
	post_word(rig, 1, 0x15);
	post_iotlb(rig, 2, 1);
	wr(rig, R_IQT, 16);
	assert_int_equal(rd(rig, R_ICS), 1);
	assert_int_equal(rig->irqs[1], 1);
	assert_int_equal(rig->iqh_seen, 16); /* past the wait already */
	assert_true(rig->irq_addr == 0x1fee00018);
	assert_int_equal(rig->irq_data, 0x4041);
	assert_int_equal(rd(rig, R_IECTL), 0);
	/* IWC stands: no second one */
	wr(rig, R_IQT, 32);
	assert_int_equal(rig->irqs[1], 1);
	/* writing 0 clears nothing */
	wr(rig, R_ICS, 0);
	assert_int_equal(rd(rig, R_ICS), 1);
	wr(rig, R_ICS, 1);
	assert_int_equal(rd(rig, R_ICS), 0);
	post_word(rig, 2, 0x15);
	wr(rig, R_IQT, 48);
	assert_int_equal(rig->irqs[1], 2);
}

static void masked_completion_events_pend(void **state)
{
	struct rig *rig = *state;

	rig_queue(rig, false);
	for (unsigned int i = 0; i < 3; i++)
		post_word(rig, i, 0x15);
	wr(rig, R_IQT, 16);
	assert_int_equal(rig->irqs[1], 0);
	assert_int_equal(rd(rig, R_IECTL), 0xc0000000);
	/* IP is read-only */
	wr(rig, R_IECTL, 0x80000000);
	assert_int_equal(rd(rig, R_IECTL), 0xc0000000);
	wr(rig, R_IECTL, 0);
	assert_int_equal(rig->irqs[1], 1);
	assert_int_equal(rd(rig, R_IECTL), 0);
	/* serviced while masked: nothing is left to send */
	wr(rig, R_ICS, 1);
	wr(rig, R_IECTL, 0x80000000);
	wr(rig, R_IQT, 32);
	assert_int_equal(rd(rig, R_IECTL), 0xc0000000);
	wr(rig, R_ICS, 1);
	assert_int_equal(rd(rig, R_IECTL), 0x80000000);
	wr(rig, R_IECTL, 0);
	assert_int_equal(rig->irqs[1], 1);
	/* software cannot make one up */
	wr(rig, R_IECTL, 0x40000000);
	assert_int_equal(rig->irqs[1], 1);
}

static void a_device_that_does_not_answer_aborts_waits(void **state)
{
	struct rig *rig = *state;

	rig->silent_sid = 0x1234;
	rig_queue(rig, false);
	post_iotlb(rig, 0, 1);
	post_wait(rig, 1, 1, 0x80000);
	post_dev_tlb(rig, 2, 0x1234);
	post_wait(rig, 3, 1, 0x80004);
	post_iotlb(rig, 4, 2);
	post_wait(rig, 5, 1, 0x80008);
	wr(rig, R_IQT, 6 * 16);
	assert_int_equal(rd(rig, R_FSTS), ITE);
	assert_true(rd64(rig, R_IQERCD) == 0x0000123400000000);
	assert_int_equal(rd(rig, R_IQH), 3 * 16); /* at the aborted wait */
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 1);
	assert_int_equal(ram_get(&rig->ram, 0x80004, 4), 0);
	wr(rig, R_IQT, 6 * 16);
	assert_int_equal(rig->spans, 1);
	assert_int_equal(rig->changes[VTD_CHANGE_ITE], 0);

	wr(rig, R_FSTS, ITE);
	assert_int_equal(rig->changes[VTD_CHANGE_ITE], 1);
	assert_int_equal(rd(rig, R_FSTS), 0);
	assert_int_equal(ram_get(&rig->ram, 0x80004, 4), 1);
	assert_int_equal(ram_get(&rig->ram, 0x80008, 4), 1);
	assert_int_equal(rd(rig, R_IQH), 6 * 16);
}

static void without_a_wait_the_head_is_past_all(void **state)
{
	struct rig *rig = *state;

	rig->silent_sid = 0x1234;
	rig_queue(rig, false);
	post_dev_tlb(rig, 0, 0x1234);
	wr(rig, R_IQT, 16);
	assert_int_equal(rd(rig, R_FSTS), ITE);
	assert_int_equal(rd(rig, R_IQH), 16);
	post_wait(rig, 1, 1, 0x80000);
	wr(rig, R_IQT, 32);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 0);
	wr(rig, R_FSTS, ITE);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 1);
}

static void an_invalid_answer_does_not_stop_the_queue(void **state)
{
	struct rig *rig = *state;

	rig->ice = true;
	wr(rig, R_FECTL, 0);
	rig_queue(rig, false);
	post_dev_tlb(rig, 0, 0x4321);
	post_dev_tlb(rig, 1, 0x5678);
	post_wait(rig, 2, 1, 0x80000);
	wr(rig, R_IQT, 48);
	assert_int_equal(rd(rig, R_FSTS), ICE);
	/* the first one's source-id */
	assert_true(rd64(rig, R_IQERCD) == 0x4321000000000000);
	assert_int_equal(ram_get(&rig->ram, 0x80000, 4), 1);
	assert_int_equal(rig->irqs[0], 1);
	wr(rig, R_FSTS, ICE);
	vtd_front_ice(rig->front, 0x9999);
	assert_true(rd64(rig, R_IQERCD) == 0x9999000000000000);
	assert_int_equal(rig->irqs[0], 2);
}

static void clearing_one_error_leaves_the_other(void **state)
{
	struct rig *rig = *state;

	rig->silent_sid = 0x1234;
	rig_queue(rig, false);
	post_dev_tlb(rig, 0, 0x1234);
	post_word(rig, 1, 0xf);
	post_iotlb(rig, 2, 1);
	wr(rig, R_IQT, 16);
	vtd_front_ice(rig->front, 1);
	assert_int_equal(rd(rig, R_FSTS), ITE | ICE);
	wr(rig, R_IQT, 48);
	wr(rig, R_FSTS, ICE);
	assert_int_equal(rd(rig, R_FSTS), ITE);
	assert_int_equal(rig->spans, 1);
	wr(rig, R_FSTS, ITE);
	assert_int_equal(rd(rig, R_FSTS), IQE);
	assert_true(rd64(rig, R_IQERCD) == 0x0001123400000003);
}

static void what_a_sink_leaves_comes_again(void **state)
{
	struct rig *rig = *state;

	rig->take_none = true;
	rig_queue(rig, false);
	post_iotlb(rig, 0, 1);
	wr(rig, R_IQT, 16);
	assert_int_equal(rig->spans, 1);
	assert_int_equal(rd(rig, R_IQH), 0);
	rig->take_none = false;
	vtd_front_kick(rig->front);
	assert_int_equal(rig->count, 1);
	assert_int_equal(rd(rig, R_IQH), 16);
}

static void post_waits(struct rig *rig, unsigned int n, uint64_t dw0)
{
	for (unsigned int i = 0; i < n; i++)
		post_word(rig, i, dw0);
}

/* Each ends a span: what is dropped behind it must not be all the rest. */
static void a_queue_of_fences_is_fetched_a_few_times(void **state)
{
	struct rig *rig = *state;
	const unsigned int n = 8191;

	rig->fences = true;
	wr64(rig, R_IQA, RIG_QUEUE | 5);
	wr(rig, R_GCMD, G_QIE);
	post_waits(rig, n, 0x45);
	wr(rig, R_IQT, n * 16);
	assert_int_equal(rig->waits, n);
	assert_int_equal(rig->spans, n);
	assert_int_equal(rd(rig, R_IQH), n * 16);
	assert_true(rig->ram.bytes_read <= 70ull * 16 * n);
}

/* Behind fences spans are long again soon. */
static void fences_do_not_cut_what_comes_later(void **state)
{
	struct rig *rig = *state;
	const unsigned int n = 8000;

	rig->fences = true;
	wr64(rig, R_IQA, RIG_QUEUE | 5);
	wr(rig, R_GCMD, G_QIE);
	post_waits(rig, n, 0x05);
	post_word(rig, 0, 0x45);
	wr(rig, R_IQT, n * 16);
	assert_int_equal(rig->waits, n);
	/* 1, 66, 132 ... 4224 */
	assert_in_range(rig->spans, 2, 9);
	assert_true(rig->ram.bytes_read <= 2ull * 16 * n);
	/* and all at once with the queue anew */
	wr(rig, R_GCMD, 0);
	wr64(rig, R_IQT, 0);
	wr(rig, R_GCMD, G_QIE);
	post_waits(rig, n, 0x05);
	rig->spans = 0;
	wr(rig, R_IQT, n * 16);
	assert_int_equal(rig->spans, 1);
}

/* A wait whose status is the queue's own tail: bounded, then taken up again */
static void a_queue_that_feeds_itself_is_bounded(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	rig->mem_is_regs = true;
	rig_queue(rig, false);
	for (unsigned int i = 0; i < 256; i++)
		post_wait(rig, i, (i + 17) % 256 * 16, RIG_REGS + R_IQT);
	wr(rig, R_IQT, 16);
	assert_true(rig->waits > 1000);
	assert_true(rig->waits < 3000000);
	rig->mem_is_regs = false;
	rd(rig, R_IQH);
	assert_int_equal(rd(rig, R_IQH), rd(rig, R_IQT));
	rig_destroy(rig);
	free(rig);
}

static void disable(struct rig *rig)
{
	if (rig->count == 0)
		wr(rig, R_GCMD, 0);
}

static void disabling_from_inside_a_span_lets_it_end(void **state)
{
	struct rig *rig = *state;

	rig->on_consume = disable;
	rig_queue(rig, false);
	for (uint16_t i = 0; i < 4; i++)
		post_iotlb(rig, i, i);
	wr(rig, R_IQT, 64);
	assert_int_equal(rig->count, 4);
	assert_int_equal(rd(rig, R_GSTS), 0);
	assert_int_equal(rd(rig, R_IQH), 0);
}

#define WITH_RIG(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(descriptors_come_in_order_in_both_widths),
		WITH_RIG(narrow_neighbours_do_not_run_together),
		WITH_RIG(nothing_is_fetched_before_the_queue_is_enabled),
		WITH_RIG(the_queue_wraps),
		WITH_RIG(every_size_wraps_where_it_should),
		cmocka_unit_test(spans_are_limited_as_configured),
		WITH_RIG(garbage_in_the_tail_is_masked_or_an_error),
		WITH_RIG(a_tail_between_wide_descriptors_is_an_error),
		WITH_RIG(each_mode_has_its_width),
		cmocka_unit_test(without_scalable_mode_descriptors_are_narrow),
		WITH_RIG(a_bad_descriptor_stops_the_queue_at_itself),
		WITH_RIG(an_error_is_found_again_when_it_still_stands),
		WITH_RIG(the_upper_half_of_a_wide_descriptor_is_padding),
		WITH_RIG(disabling_ends_an_erroneous_queue),
		WITH_RIG(memory_that_vanishes_stops_the_queue_where_it_ends),
		WITH_RIG(a_queue_outside_memory_is_a_fetch_error),
		WITH_RIG(waits_write_their_status),
		WITH_RIG(a_status_outside_memory_is_lost),
		cmocka_unit_test(a_wait_may_write_to_the_units_own_registers),
		cmocka_unit_test(events_are_memory_writes_without_irq),
		WITH_RIG(completion_events_follow_iwc),
		WITH_RIG(masked_completion_events_pend),
		WITH_RIG(a_device_that_does_not_answer_aborts_waits),
		WITH_RIG(without_a_wait_the_head_is_past_all),
		WITH_RIG(an_invalid_answer_does_not_stop_the_queue),
		WITH_RIG(clearing_one_error_leaves_the_other),
		WITH_RIG(what_a_sink_leaves_comes_again),
		WITH_RIG(a_queue_of_fences_is_fetched_a_few_times),
		WITH_RIG(fences_do_not_cut_what_comes_later),
		cmocka_unit_test(a_queue_that_feeds_itself_is_bounded),
		WITH_RIG(disabling_from_inside_a_span_lets_it_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
