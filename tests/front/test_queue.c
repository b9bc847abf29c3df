// SPDX-License-Identifier: MIT
/* A sink that takes commands out of the queue's memory: IHI 0070 3.5.1, 7.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

#define BASE 0x4000u

static int setup(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	*state = rig;
	return rig_create_taking(rig, &id);
}

/* 16 entries at BASE, empty, enabled */
static struct rig *start(void **state,
			 struct smmuv3_taken (*take)(struct rig *, uint32_t))
{
	struct rig *rig = *state;

	rig->take = take;
	wr64(rig, R_CMDQ_BASE, BASE | 4);
	wr(rig, R_CR0, C_CMDQEN);
	for (uint32_t i = 0; i < 16; i++)
		mem_put64(rig, BASE + 16 * i, (uint64_t)i << 48 | 0x11);
	return rig;
}

static struct smmuv3_taken all(struct rig *rig, uint32_t n)
{
	(void)rig;
	return (struct smmuv3_taken){ .done = n };
}

static void what_is_taken_is_not_read(void **state)
{
	struct rig *rig = start(state, all);

	wr(rig, R_CMDQ_PROD, 9);
	assert_int_equal(rig->takes, 1);
	assert_int_equal(rig->queues[0].base, BASE);
	assert_int_equal(rig->queues[0].lg2, 4);
	assert_int_equal(rig->queues[0].cons, 0);
	assert_int_equal(rig->queues[0].prod, 9);
	assert_int_equal(rig->ram.reads, 0);
	assert_int_equal(rig->cmd_count, 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 9);
}

static void indices_keep_their_wrap_bit_and_nothing_above(void **state)
{
	struct rig *rig = start(state, all);

	wr(rig, R_CMDQ_PROD, 9);
	wr(rig, R_CMDQ_PROD, 0xfffe0 | 25); /* a full queue */
	assert_int_equal(rig->queues[1].cons, 9);
	assert_int_equal(rig->queues[1].prod, 25);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 25);
	wr(rig, R_CMDQ_PROD, 2);
	assert_int_equal(rig->queues[2].cons, 25);
	assert_int_equal(rig->queues[2].prod, 2);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 2);
}

static void an_empty_or_inconsistent_queue_is_not_offered(void **state)
{
	struct rig *rig = start(state, all);

	wr(rig, R_CMDQ_PROD, 0);
	wr(rig, R_CMDQ_PROD, 17);
	wr(rig, R_CMDQ_PROD, 31);
	assert_int_equal(rig->takes, 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0);
}

/* Three at a time, of what is left then two for the other way */
static struct smmuv3_taken three_then_two(struct rig *rig, uint32_t n)
{
	(void)rig;
	return (struct smmuv3_taken){ .done = n < 3 ? n : 3, .pass = 2 };
}

static void what_is_left_is_copied_as_far_as_asked_for(void **state)
{
	struct rig *rig = start(state, three_then_two);

	wr(rig, R_CMDQ_PROD, 12);
	/* taken 0-2, 5-7, 10-11; consumed 3 4, 8 9 */
	assert_int_equal(rig->takes, 3);
	assert_int_equal(rig->queues[1].cons, 5);
	assert_int_equal(rig->queues[2].cons, 10);
	assert_int_equal(rig->queues[2].prod, 12);
	assert_int_equal(rig->spans, 2);
	assert_int_equal(rig->cmd_count, 4);
	assert_int_equal(rig->cmds[0][0] >> 48, 3);
	assert_int_equal(rig->cmds[1][0] >> 48, 4);
	assert_int_equal(rig->cmds[2][0] >> 48, 8);
	assert_int_equal(rig->cmds[3][0] >> 48, 9);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 12);
}

static struct smmuv3_taken nothing(struct rig *rig, uint32_t n)
{
	(void)rig;
	(void)n;
	return (struct smmuv3_taken){ .pass = UINT32_MAX };
}

static void a_pass_may_be_more_than_there_is(void **state)
{
	struct rig *rig = start(state, nothing);

	wr(rig, R_CMDQ_PROD, 12);
	assert_int_equal(rig->takes, 1);
	assert_int_equal(rig->spans, 1);
	assert_int_equal(rig->cmd_count, 12);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 12);
}

static uint32_t code;

static struct smmuv3_taken four_then_code(struct rig *rig, uint32_t n)
{
	uint32_t done = n > 4 ? 4 : n;

	if (rig->takes > 1)
		return (struct smmuv3_taken){ .done = n };
	return (struct smmuv3_taken){ .done = done, .code = code };
}

static void look(struct rig *rig, enum smmuv3_irq irq)
{
	if (irq != SMMUV3_IRQ_GERROR)
		return;
	assert_int_equal(rd(rig, R_CMDQ_CONS), code << 24 | 4);
	assert_int_equal(rd(rig, R_GERROR), 1);
}

static void a_code_stops_the_queue_there(void **state)
{
	for (code = 1; code < 4; code++) {
		struct rig *rig;

		rig = start(state, four_then_code);
		rig->takes = 0;
		rig->on_irq = look;
		wr(rig, R_IRQ_CTRL, 1);
		wr(rig, R_CMDQ_PROD, 9);
		assert_int_equal(rig->irqs[SMMUV3_IRQ_GERROR], 1);
		assert_int_equal(rd(rig, R_CMDQ_CONS), code << 24 | 4);
		wr(rig, R_CMDQ_PROD, 10);
		assert_int_equal(rig->takes, 1);
		assert_int_equal(rig->ram.reads, 0);
		/* acknowledged, it is asked again from there on */
		rig->on_irq = NULL;
		wr(rig, R_GERRORN, 1);
		assert_int_equal(rig->takes, 2);
		assert_int_equal(rig->queues[1].cons, 4);
		assert_int_equal(rig->queues[1].prod, 10);
		assert_int_equal(rd(rig, R_CMDQ_CONS), 10);
		rig_destroy(rig);
		free(rig);
		setup(state);
	}
}

static void what_is_passed_on_may_stop_as_ever(void **state)
{
	struct rig *rig = start(state, three_then_two);

	mem_put64(rig, BASE + 16 * 4, 0xff);
	rig->bad_op = 0xff;
	rig->bad_code = 1;
	wr(rig, R_CMDQ_PROD, 12);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x01000004);
	assert_int_equal(rig->takes, 1);
	mem_put64(rig, BASE + 16 * 4, 0x11);
	wr(rig, R_GERRORN, 1);
	assert_int_equal(rig->queues[1].cons, 4);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 12);
}

static void what_is_passed_on_may_be_unreadable(void **state)
{
	struct rig *rig = start(state, three_then_two);

	abort_at(rig, BASE + 16 * 3, BASE + 16 * 3);
	wr(rig, R_CMDQ_PROD, 12);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 0x02000003);
	assert_int_equal(rig->cmd_count, 0);
}

static struct smmuv3_taken ring_again(struct rig *rig, uint32_t n)
{
	if (rig->takes < 5)
		wr(rig, R_CMDQ_PROD, (rd(rig, R_CMDQ_PROD) + 1) & 0x1f);
	return (struct smmuv3_taken){ .done = n };
}

static void a_doorbell_from_inside_is_not_lost(void **state)
{
	struct rig *rig = start(state, ring_again);

	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rig->takes, 5);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 7);
}

static struct smmuv3_taken disable(struct rig *rig, uint32_t n)
{
	wr(rig, R_CR0, 0);
	assert_int_equal(rd(rig, R_CR0ACK), C_CMDQEN);
	return (struct smmuv3_taken){ .done = n };
}

static void disabling_is_acknowledged_when_it_returns(void **state)
{
	struct rig *rig = start(state, disable);

	wr(rig, R_CMDQ_PROD, 3);
	assert_int_equal(rd(rig, R_CR0ACK), 0);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 3);
	wr(rig, R_CMDQ_PROD, 5);
	assert_int_equal(rig->takes, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_taken_is_not_read),
		TEST(indices_keep_their_wrap_bit_and_nothing_above),
		TEST(an_empty_or_inconsistent_queue_is_not_offered),
		TEST(what_is_left_is_copied_as_far_as_asked_for),
		TEST(a_pass_may_be_more_than_there_is),
		TEST(a_code_stops_the_queue_there),
		TEST(what_is_passed_on_may_stop_as_ever),
		TEST(what_is_passed_on_may_be_unreadable),
		TEST(a_doorbell_from_inside_is_not_lost),
		TEST(disabling_is_acknowledged_when_it_returns),
	};

	return cmocka_run_group_tests_name("front queue", tests, NULL, NULL);
}
