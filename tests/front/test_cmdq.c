// SPDX-License-Identifier: MIT
/* The command queue: IHI 0070 3.5.1, 4.1, 4.7.3, 7.1 and 6.3.27. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

#define BASE 0x4000u

/* 2^@lg2 entries at BASE, empty, enabled */
static void start(struct rig *rig, uint32_t lg2)
{
	wr64(rig, R_CMDQ_BASE, BASE | lg2);
	wr(rig, R_CMDQ_PROD, 0);
	wr(rig, R_CMDQ_CONS, 0);
	wr(rig, R_CR0, C_CMDQEN);
}

static void put(struct rig *rig, uint32_t index, uint64_t dw0, uint64_t dw1)
{
	mem_put64(rig, BASE + 16 * index, dw0);
	mem_put64(rig, BASE + 16 * index + 8, dw1);
}

/* NH_ASID with @n as its ASID: something to recognise */
static void put_n(struct rig *rig, uint32_t index, uint64_t n)
{
	put(rig, index, n << 48 | 0x11, 0);
}

static void expect_n(struct rig *rig, unsigned int at, uint64_t n)
{
	assert_int_equal(rig->cmds[at][0], n << 48 | 0x11);
}

static void commands_arrive_in_cpu_order(void **state)
{
	struct rig *rig = *state;

	start(rig, 4);
	put(rig, 0, 0x1122334455667712, 0x8899aabbccddeeff);
	wr(rig, R_CMDQ_PROD, 1);
	assert_int_equal(rig->cmd_count, 1);
	assert_int_equal(rig->cmds[0][0], 0x1122334455667712);
	assert_int_equal(rig->cmds[0][1], 0x8899aabbccddeeff);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 1);
}

static void nothing_is_fetched_from_an_empty_or_disabled_queue(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_CMDQ_BASE, BASE | 4);
	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rig->ram.reads, 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0);
	/* enabling looks at what is there already */
	wr(rig, R_CR0, C_CMDQEN);
	assert_int_equal(rig->cmd_count, 3);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 3);
	rig->ram.reads = 0;
	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rig->ram.reads, 0);
	wr(rig, R_CR0, 0);
	wr(rig, R_CMDQ_PROD, 5);
	assert_int_equal(rig->ram.reads, 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 3);
}

static void queues_of_every_size_wrap(void **state)
{
	struct rig *rig = *state;

	for (uint32_t lg2 = 0; lg2 <= 8; lg2++) {
		uint32_t size = 1u << lg2;
		uint32_t mask = 2 * size - 1;
		uint32_t step = size > 2 ? size - 1 : 1;
		uint32_t prod = 0;
		uint64_t n = 0;

		wr(rig, R_CR0, 0);
		start(rig, lg2);
		for (int turn = 0; turn < 9; turn++) {
			unsigned int before = rig->cmd_count;

			for (uint32_t i = 0; i < step; i++)
				put_n(rig, (prod + i) & (size - 1), n + i);
			prod = (prod + step) & mask;
			wr(rig, R_CMDQ_PROD, prod);
			assert_int_equal(rd(rig, R_CMDQ_CONS), prod);
			assert_int_equal(rig->cmd_count, before + step);
			for (uint32_t i = 0; i < step; i++)
				expect_n(rig, (before + i) % RIG_LOG, n + i);
			n += step;
		}
	}
}

static void a_full_queue_is_one_span(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	wr(rig, R_CMDQ_PROD, 5);
	for (uint32_t i = 0; i < 8; i++)
		put_n(rig, i, i);
	rig->spans = 0;
	rig->ram.reads = 0;
	rig->cmd_count = 0;
	wr(rig, R_CMDQ_PROD, 5 + 8);
	assert_int_equal(rig->spans, 1);
	assert_int_equal(rig->ram.reads, 2); /* two pieces, each read once */
	for (uint32_t i = 0; i < 8; i++)
		expect_n(rig, i, (5 + i) & 7);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 13);
}

static void the_size_is_capped_by_cmdqs(void **state)
{
	struct rig *rig = *state;

	start(rig, 19); /* counts as 8 */
	wr(rig, R_CMDQ_PROD, 256);
	assert_int_equal(rig->cmd_count, 256);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 256);
	wr(rig, R_CMDQ_PROD, 1);
	/* 256 to 512 + 1 is further than the queue is long */
	assert_int_equal(rig->cmd_count, 256);
	wr(rig, R_CMDQ_PROD, 0);
	assert_int_equal(rig->cmd_count, 512);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0);
}

static void inconsistent_indices_consume_nothing(void **state)
{
	struct rig *rig = *state;

	start(rig, 2);
	for (uint32_t prod = 5; prod < 8; prod++) {
		wr(rig, R_CMDQ_PROD, prod);
		assert_int_equal(rig->cmd_count, 0);
		assert_int_equal(rd(rig, R_CMDQ_PROD), prod);
	}
	wr(rig, R_CMDQ_PROD, 4);
	assert_int_equal(rig->cmd_count, 4);
}

static void prod_bits_above_the_wrap_have_no_effect(void **state)
{
	struct rig *rig = *state;

	start(rig, 2);
	wr(rig, R_CMDQ_PROD, 0xffff8 | 3);
	assert_int_equal(rig->cmd_count, 3);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 3);
}

static void the_base_is_aligned_to_the_queue(void **state)
{
	struct rig *rig = *state;

	put_n(rig, 0, 0x77);
	wr64(rig, R_CMDQ_BASE, (BASE + 0xe0) | 0x4000000000000004);
	wr(rig, R_CR0, C_CMDQEN);
	wr(rig, R_CMDQ_PROD, 1);
	expect_n(rig, 0, 0x77);
	/* one entry, but 32 bytes aligned */
	wr(rig, R_CR0, 0);
	wr64(rig, R_CMDQ_BASE, BASE + 0x20);
	wr(rig, R_CMDQ_CONS, 0);
	wr(rig, R_CMDQ_PROD, 0);
	put_n(rig, 2, 0x78);
	wr(rig, R_CR0, C_CMDQEN);
	wr(rig, R_CMDQ_PROD, 1);
	expect_n(rig, 1, 0x78);
}

static void spans_are_no_longer_than_asked_for(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	assert_int_equal(rig_create(rig, &id, 3), 0);
	start(rig, 4);
	for (uint32_t i = 0; i < 16; i++)
		put_n(rig, i, i);
	wr(rig, R_CMDQ_PROD, 16);
	assert_int_equal(rig->cmd_count, 16);
	assert_int_equal(rig->spans, 6);
	for (uint32_t i = 0; i < 16; i++)
		expect_n(rig, i, i);
	rig_destroy(rig);
	free(rig);
}

static void an_illegal_command_stops_the_queue(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	for (uint32_t i = 0; i < 6; i++)
		put_n(rig, i, i);
	put(rig, 2, 0xff, 0);
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_CMDQ_PROD, 6);
	assert_int_equal(rig->cmd_count, 2);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000002);
	assert_int_equal(rd(rig, R_GERROR), 1);

	/* PROD writes are accepted, nothing is consumed or read */
	rig->ram.reads = 0;
	wr(rig, R_CMDQ_PROD, 7);
	assert_int_equal(rig->ram.reads, 0);
	assert_int_equal(rd(rig, R_CMDQ_PROD), 7);
	/* neither does disabling acknowledge */
	wr(rig, R_CR0, 0);
	wr(rig, R_CR0, C_CMDQEN);
	assert_int_equal(rig->cmd_count, 2);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000002);
}

static void acknowledging_starts_again_at_cons_from_memory(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	for (uint32_t i = 0; i < 6; i++)
		put_n(rig, i, i);
	put(rig, 2, 0xff, 0);
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_CMDQ_PROD, 6);
	/* what had been copied behind the stop is fetched again */
	put_n(rig, 2, 0x22);
	put_n(rig, 5, 0x55);
	wr(rig, R_GERRORN, 1);
	assert_int_equal(rig->cmd_count, 6);
	expect_n(rig, 2, 0x22);
	expect_n(rig, 3, 3);
	expect_n(rig, 5, 0x55);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 6);

	/* the next error toggles back */
	put(rig, 6, 0xff, 0);
	wr(rig, R_CMDQ_PROD, 7);
	assert_int_equal(rd(rig, R_GERROR), 0);
	assert_int_equal(rd(rig, R_GERRORN), 1);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000006);
	wr(rig, R_GERRORN, 0);
	/* nothing was repaired: the same again */
	assert_int_equal(rd(rig, R_GERROR), 1);
	/* PROD may move back to CONS meanwhile, dropping commands */
	wr(rig, R_CMDQ_PROD, 6);
	wr(rig, R_GERRORN, 1);
	assert_int_equal(rig->cmd_count, 6);
	assert_int_equal(rd(rig, R_CMDQ_CONS) & 0xfffff, 6);
}

static void the_code_is_what_the_sink_says(void **state)
{
	struct rig *rig = *state;

	rig->bad_op = 0xff;
	put(rig, 0, 0xff, 0);
	for (uint32_t code = 1; code < 4; code++) {
		rig->bad_code = code;
		if (code == 1) {
			start(rig, 3);
			wr(rig, R_CMDQ_PROD, 1);
		} else { /* it runs again, and fails again */
			wr(rig, R_GERRORN, rd(rig, R_GERROR));
		}
		assert_int_equal(rd(rig, R_CMDQ_CONS), code << 24);
		assert_int_equal(rd(rig, R_GERROR), code & 1);
		assert_int_equal(rd(rig, R_GERRORN), ~code & 1);
	}
}

static void error_order(struct rig *rig, enum smmuv3_irq irq)
{
	if (irq != SMMUV3_IRQ_GERROR)
		return;
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000001);
	assert_int_equal(rd(rig, R_GERROR), 1);
}

static void the_interrupt_comes_after_cons_err_and_gerror(void **state)
{
	struct rig *rig = *state;

	rig->on_irq = error_order;
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_IRQ_CTRL, 1);
	start(rig, 3);
	put_n(rig, 0, 0);
	put(rig, 1, 0xff, 0);
	wr(rig, R_CMDQ_PROD, 2);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_GERROR], 1);
}

static void acknowledge_at_once(struct rig *rig, enum smmuv3_irq irq)
{
	if (irq != SMMUV3_IRQ_GERROR)
		return;
	put_n(rig, 1, 0x99);
	wr(rig, R_GERRORN, rd(rig, R_GERROR));
}

static void a_handler_may_acknowledge_from_inside(void **state)
{
	struct rig *rig = *state;

	rig->on_irq = acknowledge_at_once;
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_IRQ_CTRL, 1);
	start(rig, 3);
	put(rig, 1, 0xff, 0);
	put_n(rig, 2, 2);
	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rig->cmd_count, 3);
	expect_n(rig, 1, 0x99);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 3);
}

static void acknowledge_only(struct rig *rig, enum smmuv3_irq irq)
{
	if (irq == SMMUV3_IRQ_GERROR)
		wr(rig, R_GERRORN, rd(rig, R_GERROR));
}

static void a_handler_that_repairs_nothing_is_stopped(void **state)
{
	struct rig *rig = *state;
	unsigned int irqs;

	rig->on_irq = acknowledge_only;
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_IRQ_CTRL, 1);
	start(rig, 3);
	put(rig, 0, 0xff, 0);
	wr(rig, R_CMDQ_PROD, 1); /* comes back */
	irqs = rig->irqs[SMMUV3_IRQ_GERROR];
	assert_true(irqs > 1);
	/* what was left is taken up when somebody looks */
	rig->on_irq = NULL;
	put_n(rig, 0, 7);
	assert_int_equal(rd(rig, R_CMDQ_CONS) & 0xfffff, 1);
	expect_n(rig, 0, 7);
}

static void an_unreadable_command_stops_with_abt(void **state)
{
	struct rig *rig = *state;

	start(rig, 4);
	for (uint32_t bad = 0; bad < 12; bad++) {
		rig->cmd_count = 0;
		wr(rig, R_CR0, 0);
		wr(rig, R_CMDQ_CONS, 0);
		wr(rig, R_CMDQ_PROD, 12);
		for (uint32_t i = 0; i < 12; i++)
			put_n(rig, i, i);
		abort_at(rig, BASE + 16 * bad + 8, BASE + 16 * bad + 8);
		wr(rig, R_CR0, C_CMDQEN);
		/* everything that could be read was done */
		assert_int_equal(rig->cmd_count, bad);
		assert_int_equal(rd(rig, R_CMDQ_CONS), 0x02000000 | bad);
		assert_int_equal(rd(rig, R_GERROR) ^ rd(rig, R_GERRORN), 1);
		rig->ram.aborting = false;
		wr(rig, R_GERRORN, rd(rig, R_GERROR));
		assert_int_equal(rig->cmd_count, 12);
		expect_n(rig, 11, 11);
	}
}

static void a_queue_may_run_out_of_memory_at_a_page(void **state)
{
	struct rig *rig = *state;

	/* 256 commands, the last 64 of which end in nothing */
	wr64(rig, R_CMDQ_BASE, (RIG_MEM - 0x1000) | 8);
	wr(rig, R_CR0, C_CMDQEN);
	wr(rig, R_CMDQ_PROD, 256);
	assert_int_equal(rig->cmd_count, 256);
	wr(rig, R_CMDQ_PROD, 256 + 100);
	abort_at(rig, RIG_MEM - 0x1000 + 0xc00, RIG_MEM - 1);
	wr(rig, R_CMDQ_PROD, 0);
	assert_int_equal(rig->cmd_count, 256 + 192);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x02000000 | (256 + 192));
}

static void an_abort_behind_the_wrap_stops_there(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	wr(rig, R_CMDQ_PROD, 6);
	abort_at(rig, BASE + 16, BASE + 31);
	wr(rig, R_CMDQ_PROD, 6 + 6);
	assert_int_equal(rig->cmd_count, 9);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x02000009);
}

static void a_queue_outside_memory_stops_at_its_first_command(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_CMDQ_BASE, 0x0000ffff00000000 | 8);
	wr(rig, R_CR0, C_CMDQEN);
	wr(rig, R_CMDQ_PROD, 256);
	assert_int_equal(rig->cmd_count, 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x02000000);
}

static void sync_publishes_cons_before_its_signal(struct rig *rig,
						  enum smmuv3_irq irq)
{
	if (irq == SMMUV3_IRQ_CMD_SYNC)
		assert_int_equal(rd(rig, R_CMDQ_CONS),
				 rig->irqs[SMMUV3_IRQ_CMD_SYNC] == 1 ? 2 : 4);
}

static void syncs_signal_by_wire_without_an_address(void **state)
{
	struct rig *rig = *state;

	rig->on_irq = sync_publishes_cons_before_its_signal;
	start(rig, 3);
	put_n(rig, 0, 0);
	put(rig, 1, 0x1046, 0);
	put(rig, 2, 0x46, 0); /* SIG_NONE */
	put(rig, 3, 0x1046, 0);
	put(rig, 4, 0x2046, 0); /* SIG_SEV */
	wr(rig, R_CMDQ_PROD, 5);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 2);
	assert_int_equal(rig->spans, 1);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 5);
}

/* 4.7.3: and by wire, which is asserted whatever the address is */
static void syncs_signal_by_msi_with_one(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	put(rig, 0, 0xcafe123400001046, 0x2004);
	mem_put32(rig, 0x2000, 0x11111111);
	mem_put32(rig, 0x2008, 0x22222222);
	wr(rig, R_CMDQ_PROD, 1);
	assert_int_equal(mem_get32(rig, 0x2004), 0xcafe1234);
	assert_int_equal(mem_get32(rig, 0x2000), 0x11111111);
	assert_int_equal(mem_get32(rig, 0x2008), 0x22222222);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 1);
	/* beyond the output size: truncated */
	put(rig, 1, 0xbeef000000001046, 0x000f000000002008);
	wr(rig, R_CMDQ_PROD, 2);
	assert_int_equal(mem_get32(rig, 0x2008), 0xbeef0000);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 2);
	/* SIG_NONE ignores the address */
	put(rig, 2, 0xdead000000000046, 0x2000);
	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(mem_get32(rig, 0x2000), 0x11111111);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 2);
}

static void an_aborted_sync_msi_is_a_global_error(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	put(rig, 0, 0x1046, 0x80000000);
	put_n(rig, 1, 1);
	wr(rig, R_CMDQ_PROD, 2);
	assert_int_equal(rd(rig, R_GERROR), 0x10);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 1);
	assert_int_equal(rig->cmd_count, 2); /* does not stop the queue */
	/* a second one is not logged before the first is acknowledged */
	put(rig, 2, 0x1046, 0x80000000);
	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rd(rig, R_GERROR), 0x10);
	wr(rig, R_GERRORN, 0x10);
	put(rig, 3, 0x1046, 0x80000000);
	wr(rig, R_CMDQ_PROD, 4);
	assert_int_equal(rd(rig, R_GERROR), 0);
}

static void without_msis_syncs_use_the_wire(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	id.idr[0] &= ~ID_MSI;
	assert_int_equal(rig_create(rig, &id, 0), 0);
	start(rig, 3);
	put(rig, 0, 0xcafe123400001046, 0x2004);
	wr(rig, R_CMDQ_PROD, 1);
	assert_int_equal(rig->irqs[SMMUV3_IRQ_CMD_SYNC], 1);
	assert_int_equal(mem_get32(rig, 0x2004), 0);
	rig_destroy(rig);
	free(rig);
}

static void ring_from_inside(struct rig *rig)
{
	if (rig->spans == 1) {
		wr(rig, R_CMDQ_PROD, 5);
		assert_int_equal(rig->spans, 1); /* not nested */
	}
}

static void a_doorbell_from_inside_is_not_lost(void **state)
{
	struct rig *rig = *state;

	rig->on_consume = ring_from_inside;
	start(rig, 3);
	wr(rig, R_CMDQ_PROD, 2);
	assert_int_equal(rig->spans, 2);
	assert_int_equal(rig->cmd_count, 5);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 5);
}

static void disable_from_inside(struct rig *rig)
{
	wr(rig, R_CR0, 0);
	assert_int_equal(rd(rig, R_CR0), 0);
	assert_int_equal(rd(rig, R_CR0ACK), C_CMDQEN);
	wr(rig, R_CMDQ_CONS, 0); /* still guarded */
	wr64(rig, R_CMDQ_BASE, 0);
}

static void disabling_is_acknowledged_when_consumption_has_ended(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	assert_int_equal(rig_create(rig, &id, 2), 0);
	rig->on_consume = disable_from_inside;
	start(rig, 3);
	wr(rig, R_CMDQ_PROD, 6);
	assert_int_equal(rig->cmd_count, 2);
	assert_int_equal(rd(rig, R_CR0ACK), 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 2);
	assert_int_equal(rd64(rig, R_CMDQ_BASE), BASE | 3);
	rig_destroy(rig);
	free(rig);
}

static void msis_at_our_own_doorbell_come_to_an_end(void **state)
{
	struct rig *rig = *state;

	rig->mem_is_regs = true;
	start(rig, 0);
	/* one command: a CMD_SYNC that writes PROD; each toggles the wrap */
	put(rig, 0, 0x0000000100001046, RIG_REGS + R_CMDQ_PROD);
	wr(rig, R_CMDQ_PROD, 1);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 1);

	/* eight of them, each of which declares the queue full again */
	wr(rig, R_CR0, 0);
	start(rig, 3);
	for (uint64_t i = 0; i < 8; i++)
		put(rig, (uint32_t)i, (i + 1 + 8) << 32 | 0x1046,
		    RIG_REGS + R_CMDQ_PROD);
	wr(rig, R_CMDQ_PROD, 1); /* comes back */
	assert_true(rig->cmd_count > 8);
}

static void msis_at_our_own_registers_do_not_deadlock(void **state)
{
	static const uint32_t regs[] = { 0x20, 0x28, 0x2c,    0x44,
					 0x50, 0x64, 0x68,    0x80,
					 0x88, 0x90, 0x98,    0x9c,
					 0xa0, 0xb0, 0x100a8, 0x100ac };
	struct rig *rig = *state;

	rig->mem_is_regs = true;
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		wr(rig, R_CR0, 0);
		wr(rig, R_GERRORN, rd(rig, R_GERROR));
		start(rig, 3);
		put(rig, 0, 0x8000000f00001046, RIG_REGS + regs[i]);
		wr(rig, R_CMDQ_PROD, 1);
	}
}

static void a_written_cons_keeps_the_error_code(void **state)
{
	struct rig *rig = *state;

	start(rig, 3);
	put(rig, 0, 0xff, 0);
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_CMDQ_PROD, 1);
	wr(rig, R_CMDQ_CONS, 5);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000000);
	wr(rig, R_CR0, 0);
	wr(rig, R_CMDQ_CONS, 0x7f000005);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000005);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(commands_arrive_in_cpu_order),
		TEST(nothing_is_fetched_from_an_empty_or_disabled_queue),
		TEST(queues_of_every_size_wrap),
		TEST(a_full_queue_is_one_span),
		TEST(the_size_is_capped_by_cmdqs),
		TEST(inconsistent_indices_consume_nothing),
		TEST(prod_bits_above_the_wrap_have_no_effect),
		TEST(the_base_is_aligned_to_the_queue),
		TEST(spans_are_no_longer_than_asked_for),
		TEST(an_illegal_command_stops_the_queue),
		TEST(acknowledging_starts_again_at_cons_from_memory),
		TEST(the_code_is_what_the_sink_says),
		TEST(the_interrupt_comes_after_cons_err_and_gerror),
		TEST(a_handler_may_acknowledge_from_inside),
		TEST(a_handler_that_repairs_nothing_is_stopped),
		TEST(an_unreadable_command_stops_with_abt),
		TEST(a_queue_may_run_out_of_memory_at_a_page),
		TEST(an_abort_behind_the_wrap_stops_there),
		TEST(a_queue_outside_memory_stops_at_its_first_command),
		TEST(syncs_signal_by_wire_without_an_address),
		TEST(syncs_signal_by_msi_with_one),
		TEST(an_aborted_sync_msi_is_a_global_error),
		TEST(without_msis_syncs_use_the_wire),
		TEST(a_doorbell_from_inside_is_not_lost),
		TEST(disabling_is_acknowledged_when_consumption_has_ended),
		TEST(msis_at_our_own_doorbell_come_to_an_end),
		TEST(msis_at_our_own_registers_do_not_deadlock),
		TEST(a_written_cons_keeps_the_error_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
