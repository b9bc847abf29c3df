// SPDX-License-Identifier: MIT
/*
 * Event and PRI queues, their interrupts, and global errors: IHI 0070 3.5,
 * 3.18, 7.2, 7.4, 7.5, 8.1, 8.2 and 6.3.36.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

#define BASE 0x8000u
#define PRI  0x9000u

/* IRQ_CTRL */
#define I_GERROR 0x1u
#define I_PRIQ	 0x2u
#define I_EVENTQ 0x4u

static void start(struct rig *rig, uint32_t lg2)
{
	wr64(rig, R_EVENTQ_BASE, BASE | lg2);
	wr(rig, R_EVENTQ_PROD, 0);
	wr(rig, R_EVENTQ_CONS, 0);
	wr(rig, R_CR0, C_EVENTQEN);
}

/* C_BAD_STREAMID of stream @n: an event that never stalls */
static bool event(struct rig *rig, uint64_t n)
{
	return smmuv3_front_event(rig->front,
				  (uint64_t[]){ n << 32 | 0x02, 0, 0, 0 });
}

static void records_are_written_little_endian_at_prod(void **state)
{
	struct rig *rig = *state;
	uint64_t rec[4] = { 0x1122334400000010, 0x5566778899aabbcc,
			    0x0102030405060708, 0xf1f2f3f4f5f6f7f8 };

	start(rig, 3);
	assert_true(event(rig, 0));
	assert_true(smmuv3_front_event(rig->front, rec));
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(mem_get64(rig, BASE + 32 + 8 * i), rec[i]);
	assert_int_equal(mem_get64(rig, BASE + 64), 0);
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 2);
}

static void a_disabled_queue_loses_events_without_overflow(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_EVENTQ_BASE, BASE | 1);
	for (uint64_t i = 0; i < 5; i++)
		assert_false(event(rig, i));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0);
	assert_int_equal(mem_get64(rig, BASE), 0);
	assert_false(smmuv3_front_event_room(rig->front));
}

static void queues_of_every_size_wrap(void **state)
{
	struct rig *rig = *state;

	/* 5 counts as 4 */
	for (uint32_t lg2 = 0; lg2 <= 5; lg2++) {
		uint32_t size = 1u << (lg2 < 4 ? lg2 : 4);

		wr(rig, R_CR0, 0);
		start(rig, lg2);
		for (uint32_t i = 0; i < 5 * size; i++) {
			assert_true(event(rig, i));
			assert_int_equal(mem_get64(rig, BASE + 32 * (i % size)),
					 (uint64_t)i << 32 | 2);
			assert_int_equal(rd(rig, R_EVENTQ_PROD),
					 (i + 1) % (2 * size));
			wr(rig, R_EVENTQ_CONS, (i + 1) % (2 * size));
		}
	}
}

static void a_full_queue_overflows_once(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	assert_true(event(rig, 1));
	assert_true(smmuv3_front_event_room(rig->front));
	assert_true(event(rig, 2));
	assert_false(smmuv3_front_event_room(rig->front));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 2);
	assert_false(event(rig, 3));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0x80000002);
	assert_false(event(rig, 4));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0x80000002);
	assert_int_equal(mem_get64(rig, BASE), 0x100000002);

	/* room without acknowledgement: events are recorded (7.4) */
	wr(rig, R_EVENTQ_CONS, 1);
	assert_true(event(rig, 5));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0x80000003);
	assert_false(event(rig, 6));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0x80000003);

	/* acknowledged: the next one toggles back */
	wr(rig, R_EVENTQ_CONS, 0x80000001);
	assert_false(event(rig, 7));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 0x00000003);
}

static void stalls_wait_instead_of_overflowing(void **state)
{
	/* type, STALL bit: overflows when lost? */
	static const struct {
		uint64_t type, dw1;
		bool overflows;
	} cases[] = {
		{ 0x10, 0x80000000, false }, { 0x11, 0x80000000, false },
		{ 0x12, 0x80000000, false }, { 0x13, 0x80000000, false },
		{ 0x10, 0, true },	     { 0x13, 0, true },
		{ 0x0b, 0x80000000, true },  { 0x20, 0x80000000, true },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		wr(rig, R_CR0, 0);
		start(rig, 0);
		assert_true(event(rig, 1));
		assert_false(smmuv3_front_event(
			rig->front,
			(uint64_t[]){ cases[i].type, cases[i].dw1, 0, 0 }));
		assert_int_equal(rd(rig, R_EVENTQ_PROD),
				 cases[i].overflows ? 0x80000001 : 1);
	}
}

static void inconsistent_indices_count_as_full(void **state)
{
	struct rig *rig = *state;

	start(rig, 2);
	wr(rig, R_EVENTQ_CONS, 1); /* ahead of PROD */
	assert_false(smmuv3_front_event_room(rig->front));
	assert_false(event(rig, 1));
	assert_int_equal(rd(rig, R_EVENTQ_PROD) & 0xfffff, 0);
	assert_int_equal(mem_get64(rig, BASE), 0);
}

static void an_aborted_write_stops_delivery(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	assert_true(event(rig, 0));
	abort_at(rig, BASE + 63, BASE + 63);
	assert_false(event(rig, 1));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 1);
	assert_int_equal(rd(rig, R_GERROR), 0x4);
	rig->ram.aborting = false;
	assert_false(event(rig, 2)); /* before it is acknowledged */
	assert_false(smmuv3_front_event_room(rig->front));
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 1);
	rig->changes[SMMUV3_CHANGE_EVENTQ] = 0;
	wr(rig, R_GERRORN, 0x4);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_EVENTQ], 1);
	assert_true(event(rig, 3));
	assert_int_equal(mem_get64(rig, BASE + 32), 0x300000002);
}

static void cons_writes_tell_the_sink(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	rig->changes[SMMUV3_CHANGE_EVENTQ] = 0;
	wr(rig, R_EVENTQ_CONS, 0);
	wr(rig, 0xac, 0);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_EVENTQ], 2);
	wr(rig, R_CR0, 0);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_EVENTQ], 3);
}

static void the_interrupt_comes_when_the_queue_was_empty(void **state)
{
	struct rig *rig = *state;
	unsigned int *irqs = &rig->irqs[SMMUV3_IRQ_EVENTQ];

	wr(rig, R_IRQ_CTRL, I_EVENTQ);
	start(rig, 1);
	event(rig, 0);
	assert_int_equal(*irqs, 1);
	event(rig, 1);
	assert_int_equal(*irqs, 1);
	event(rig, 2); /* overflow has none */
	assert_int_equal(*irqs, 1);
	wr(rig, R_EVENTQ_CONS, 1);
	event(rig, 3);
	assert_int_equal(*irqs, 1);
	wr(rig, R_EVENTQ_CONS, 3);
	event(rig, 4);
	assert_int_equal(*irqs, 2);
	wr(rig, R_IRQ_CTRL, 0);
	wr(rig, R_EVENTQ_CONS, 0);
	event(rig, 5);
	assert_int_equal(*irqs, 2);
}

static void see_the_record(struct rig *rig, enum smmuv3_irq irq)
{
	if (irq != SMMUV3_IRQ_EVENTQ)
		return;
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 1);
	assert_int_equal(mem_get64(rig, BASE), 0x700000002);
	wr(rig, R_EVENTQ_CONS, 1);
}

static void the_record_is_there_when_the_interrupt_is(void **state)
{
	struct rig *rig = *state;

	rig->on_irq = see_the_record;
	wr(rig, R_IRQ_CTRL, I_EVENTQ);
	start(rig, 1);
	event(rig, 7);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_EVENTQ], 1);
	assert_int_equal(rd(rig, R_EVENTQ_CONS), 1);
}

static void an_msi_replaces_the_wire(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0xb0, 0x2004);
	wr(rig, 0xb8, 0xabcd0001);
	wr(rig, R_IRQ_CTRL, I_EVENTQ);
	start(rig, 1);
	event(rig, 0);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_EVENTQ], 0);
	assert_int_equal(mem_get32(rig, 0x2004), 0xabcd0001);
	assert_int_equal(mem_get32(rig, 0x2008), 0);
	assert_int_equal(rd(rig, R_IRQ_CTRLACK), I_EVENTQ);
	wr(rig, R_IRQ_CTRL, 0);
	assert_int_equal(rd(rig, R_IRQ_CTRLACK), 0);
}

static void an_aborted_event_msi_is_a_global_error(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0xb0, 0x80000000);
	wr(rig, R_IRQ_CTRL, I_EVENTQ | I_GERROR);
	start(rig, 1);
	assert_true(event(rig, 0));
	assert_int_equal(rd(rig, R_GERROR), 0x20);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_GERROR], 1);
	assert_int_equal(rd(rig, R_IRQ_CTRLACK), I_EVENTQ | I_GERROR);
}

static void an_aborted_gerror_msi_raises_no_interrupt(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0x68, 0x80000000);
	wr(rig, R_IRQ_CTRL, I_GERROR);
	wr64(rig, R_EVENTQ_BASE, 0x80000000);
	wr(rig, R_CR0, C_EVENTQEN);
	assert_false(event(rig, 0));
	assert_int_equal(rd(rig, R_GERROR), 0x84);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_GERROR], 0);
}

static void gerror_msis_carry_their_data(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0x68, 0x2010);
	wr(rig, 0x70, 0x600df00d);
	wr(rig, R_IRQ_CTRL, I_GERROR);
	wr64(rig, R_EVENTQ_BASE, 0x80000000);
	wr(rig, R_CR0, C_EVENTQEN);
	assert_false(event(rig, 0));
	assert_int_equal(mem_get32(rig, 0x2010), 0x600df00d);
}

static void disabled_interrupts_stay_silent(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0x68, 0x2010);
	wr(rig, 0x70, 0x600df00d);
	wr64(rig, R_EVENTQ_BASE, 0x80000000);
	wr(rig, R_CR0, C_EVENTQEN);
	event(rig, 0);
	assert_int_equal(rd(rig, R_GERROR), 0x4);
	/* enabling sends nothing for what was before (6.3.16) */
	wr(rig, R_IRQ_CTRL, 7);
	assert_int_equal(mem_get32(rig, 0x2010), 0);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_GERROR], 0);
}

static void toggling_an_inactive_error_activates_it(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	wr(rig, R_GERRORN, 0x4);
	assert_false(event(rig, 0));
	wr(rig, R_GERRORN, 0);
	assert_true(event(rig, 0));
}

static void disable_from_msi(struct rig *rig, enum smmuv3_irq irq)
{
	(void)irq;
	wr(rig, R_IRQ_CTRL, 0);
	assert_int_equal(rd(rig, R_IRQ_CTRLACK), 0);
}

static void a_wired_handler_may_disable_itself(void **state)
{
	struct rig *rig = *state;

	rig->on_irq = disable_from_msi;
	wr(rig, R_IRQ_CTRL, I_EVENTQ);
	start(rig, 1);
	event(rig, 0);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_EVENTQ], 1);
}

static void an_msi_in_flight_holds_back_the_acknowledgement(void **state)
{
	struct rig *rig = *state;

	/* the MSI itself clears IRQ_CTRL; its data is 0 */
	rig->mem_is_regs = true;
	wr64(rig, 0xb0, RIG_REGS + R_IRQ_CTRL);
	wr(rig, 0xb8, 0);
	wr(rig, R_IRQ_CTRL, I_EVENTQ);
	start(rig, 1);
	event(rig, 0);
	assert_int_equal(rig->ack_seen, I_EVENTQ);
	assert_int_equal(rd(rig, R_IRQ_CTRL), 0);
	assert_int_equal(rd(rig, R_IRQ_CTRLACK), 0);
}

static void records_at_our_own_registers_do_not_deadlock(void **state)
{
	static const uint32_t at[] = { 0x20, 0x40, 0x60,   0x80,
				       0xa0, 0xc0, 0x100a0 };
	struct rig *rig = *state;

	rig->mem_is_regs = true;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		wr(rig, R_CR0, 0);
		wr(rig, R_GERRORN, rd(rig, R_GERROR));
		wr64(rig, R_EVENTQ_BASE, RIG_REGS + at[i]);
		wr(rig, R_EVENTQ_PROD, 0);
		wr(rig, R_EVENTQ_CONS, 0);
		wr(rig, R_CR0, C_EVENTQEN);
		event(rig, 0);
		smmuv3_front_event(rig->front,
				   (uint64_t[]){ ~0ULL, ~0ULL, ~0ULL, ~0ULL });
	}
	assert_int_equal(rd(rig, 0), 0x08cf763b);
}

static void event_from_inside(struct rig *rig, enum smmuv3_change what)
{
	if (what == SMMUV3_CHANGE_EVENTQ)
		event(rig, 9);
}

static void an_event_within_an_event_is_lost(void **state)
{
	struct rig *rig = *state;

	/* the record's third and fourth words are EVENTQ_PROD and CONS */
	rig->mem_is_regs = true;
	wr64(rig, R_EVENTQ_BASE, RIG_REGS + 0x100a0);
	wr(rig, R_CR0, C_EVENTQEN);
	rig->on_change = event_from_inside;
	event(rig, 1);
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 1);
}

/* Page requests */

static void start_pri(struct rig *rig, uint32_t lg2, uint32_t cfg2)
{
	wr(rig, R_CR0, 0);
	wr(rig, R_IRQ_CTRL, 0);
	wr64(rig, R_PRIQ_BASE, PRI | lg2);
	wr(rig, R_PRIQ_PROD, 0);
	wr(rig, R_PRIQ_CONS, 0);
	wr(rig, 0xdc, cfg2);
	wr(rig, R_IRQ_CTRL, I_PRIQ);
	wr(rig, R_CR0, C_PRIQEN | C_SMMUEN);
}

static bool request(struct rig *rig, uint64_t sid, bool last)
{
	return smmuv3_front_page_request(
		rig->front,
		(uint64_t[]){ (last ? 0x4000000000000000 : 0) | sid, 0x1001 });
}

static void page_requests_are_16_bytes(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 2, 0);
	assert_true(request(rig, 0x11, false));
	assert_true(request(rig, 0x22, true));
	assert_int_equal(mem_get64(rig, PRI), 0x11);
	assert_int_equal(mem_get64(rig, PRI + 8), 0x1001);
	assert_int_equal(mem_get64(rig, PRI + 16), 0x4000000000000022);
	assert_int_equal(rd(rig, R_PRIQ_PROD), 2);
}

static void page_requests_need_smmuen(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 2, 0);
	wr(rig, R_CR0, C_PRIQEN);
	assert_int_equal(rd(rig, R_CR0ACK), C_PRIQEN);
	assert_false(request(rig, 1, true));
	wr(rig, R_CR0, C_SMMUEN);
	assert_false(request(rig, 1, true));
	assert_int_equal(rd(rig, R_PRIQ_PROD), 0);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 0);
}

static void an_overflow_keeps_page_requests_out(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 1, 0);
	assert_true(request(rig, 1, false));
	assert_true(request(rig, 2, false));
	assert_false(request(rig, 3, false));
	assert_int_equal(rd(rig, R_PRIQ_PROD), 0x80000002);
	/* room alone does not help (8.1) */
	wr(rig, R_PRIQ_CONS, 2);
	assert_false(request(rig, 4, false));
	assert_int_equal(rd(rig, R_PRIQ_PROD), 0x80000002);
	wr(rig, R_PRIQ_CONS, 0x80000002);
	assert_true(request(rig, 5, false));
	assert_int_equal(rd(rig, R_PRIQ_PROD), 0x80000003);
}

static void page_requests_interrupt_an_empty_queue(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 2, 0);
	request(rig, 1, true);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 1);
	request(rig, 2, true);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 1);
}

static void last_only_interrupts_at_the_last(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 1, 0x80000000);
	request(rig, 1, false);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 0);
	request(rig, 2, true);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 1);
	/* even if lost to an overflow */
	request(rig, 3, false);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 1);
	request(rig, 4, true);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 2);
	/* but not if the queue is off */
	wr(rig, R_CR0, C_SMMUEN);
	request(rig, 5, true);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 2);
}

static void an_aborted_page_request_is_a_global_error(void **state)
{
	struct rig *rig = *state;

	start_pri(rig, 2, 0x80000000);
	abort_at(rig, PRI, PRI);
	assert_false(request(rig, 1, true));
	assert_int_equal(rd(rig, R_GERROR), 0x8);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_PRIQ], 0);
	rig->ram.aborting = false;
	assert_false(request(rig, 1, true));
	wr(rig, R_GERRORN, 0x8);
	assert_true(request(rig, 1, true));
	assert_int_equal(rd(rig, R_PRIQ_PROD), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(records_are_written_little_endian_at_prod),
		TEST(a_disabled_queue_loses_events_without_overflow),
		TEST(queues_of_every_size_wrap),
		TEST(a_full_queue_overflows_once),
		TEST(stalls_wait_instead_of_overflowing),
		TEST(inconsistent_indices_count_as_full),
		TEST(an_aborted_write_stops_delivery),
		TEST(cons_writes_tell_the_sink),
		TEST(the_interrupt_comes_when_the_queue_was_empty),
		TEST(the_record_is_there_when_the_interrupt_is),
		TEST(an_msi_replaces_the_wire),
		TEST(an_aborted_event_msi_is_a_global_error),
		TEST(an_aborted_gerror_msi_raises_no_interrupt),
		TEST(gerror_msis_carry_their_data),
		TEST(disabled_interrupts_stay_silent),
		TEST(toggling_an_inactive_error_activates_it),
		TEST(a_wired_handler_may_disable_itself),
		TEST(an_msi_in_flight_holds_back_the_acknowledgement),
		TEST(records_at_our_own_registers_do_not_deadlock),
		TEST(an_event_within_an_event_is_lost),
		TEST(page_requests_are_16_bytes),
		TEST(page_requests_need_smmuen),
		TEST(an_overflow_keeps_page_requests_out),
		TEST(page_requests_interrupt_an_empty_queue),
		TEST(last_only_interrupts_at_the_last),
		TEST(an_aborted_page_request_is_a_global_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
