// SPDX-License-Identifier: MIT
/* Stalled transactions: Arm IHI 0070 3.12.2, 4.6, 7.2. */
#include "engine_rig.h"

#define DATA (RAM + 0x1000000)

/* Stream 8 stalls on faults; returns the root of its tables. */
static uint64_t up(struct rig *g, unsigned int stags, unsigned int events_lg2)
{
	struct smmuv3_id id;
	uint64_t root, cds;

	smmuv3_model_default_id(&id);
	id.idr[5] = (id.idr[5] & 0xffff) | stags << 16;
	assert_int_equal(rig_try(g, IOTLB_FAST, &id), 0);
	reg_set(g, REG_EVENTQ_BASE, 8, EVENTQ | 7);
	rig_on(g, 0);
	reg_set(g, REG_EVENTQ_BASE, 8, EVENTQ | events_lg2);
	reg_set(g, REG_CR0, 4, CR0_ON);
	root = page(g);
	cds = page(g);
	cd(g, cds, CD0 | CD0_S | CD_ASID(1), root);
	ste(g, 8, STE_S1 | cds, STE1, 0, 0);
	ste(g, 9, STE_S1 | cds, STE1, 0, 0);
	return root;
}

static int poll_stall(struct rig *g, int port, uint16_t tag)
{
	return g->model->ops->stall_poll(g->port[port], tag);
}

static void a_fault_stalls_and_is_retried(void **state)
{
	struct model_translation t;
	uint64_t root, rec[4];
	char buf[4];
	struct rig g;

	(void)state;
	root = up(&g, 4, 7);
	assert_int_equal(dma(&g, 0, 0x1000, MODEL_WRITE, "abcd", 4, &t),
			 -EINPROGRESS);
	assert_int_equal(t.result, MODEL_STALLED);
	assert_int_equal(t.event, 0x10);
	assert_true(event(&g, rec));
	assert_int_equal(rec[0], 0x0000000800000010);
	/* Stall at bit 31, STAG in bits 15:0, CLASS IN */
	assert_int_equal(rec[1], 0x0000020080000000 | t.stall_tag);
	assert_int_equal(poll_stall(&g, 0, t.stall_tag), -EINPROGRESS);
	assert_int_equal(poll_stall(&g, 1, t.stall_tag), -ENOENT);
	assert_int_equal(poll_stall(&g, 0, (uint16_t)(t.stall_tag + 1)),
			 -ENOENT);

	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	cmd(&g, RESUME | SID(8) | 1 << 12, t.stall_tag);
	assert_int_equal(poll_stall(&g, 0, t.stall_tag), 0);
	assert_int_equal(poll_stall(&g, 0, t.stall_tag), -ENOENT);
	assert_int_equal(dma(&g, 0, 0x1000, MODEL_WRITE, "abcd", 4, &t), 0);
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), 0);
	assert_memory_equal(buf, "abcd", 4);
	no_event(&g);
	rig_down(&g);
}

static void resume_needs_the_right_stream_and_tag(void **state)
{
	struct model_translation t;
	struct rig g;

	(void)state;
	up(&g, 4, 7);
	t = see(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(9) | 1 << 12, t.stall_tag);
	cmd(&g, RESUME | SID(8) | 1 << 12, (t.stall_tag + 1) & 3);
	cmd(&g, RESUME | SID(8) | 1 << 12, 0xfffe);
	assert_int_equal(poll_stall(&g, 0, t.stall_tag), -EINPROGRESS);
	cmd(&g, RESUME | SID(8) | 1 << 13, t.stall_tag); /* terminate, Ab */
	cmd(&g, RESUME | SID(8) | 1 << 12, t.stall_tag); /* too late */
	assert_int_equal(poll_stall(&g, 0, t.stall_tag), -EIO);
	rig_down(&g);
}

static void stall_term_ends_all_of_one_stream(void **state)
{
	uint16_t a, b, c;
	struct rig g;

	(void)state;
	up(&g, 4, 7);
	a = see(&g, 0, 0x1000).stall_tag;
	b = see(&g, 1, 0x1000).stall_tag;
	c = see(&g, 0, 0x2000).stall_tag;
	assert_true(a != b && b != c && a != c);
	cmd(&g, STALL_TERM | SID(8), 0);
	assert_int_equal(poll_stall(&g, 0, a), -EIO);
	assert_int_equal(poll_stall(&g, 0, c), -EIO);
	assert_int_equal(poll_stall(&g, 1, b), -EINPROGRESS);
	reg_set(&g, REG_CR0, 4, 0xc); /* SMMUEN off ends the others */
	assert_int_equal(poll_stall(&g, 1, b), -EIO);
	rig_down(&g);
}

static void without_a_tag_the_device_waits(void **state)
{
	struct model_translation t;
	uint16_t tag[2];
	struct rig g;

	(void)state;
	up(&g, 2, 7);
	tag[0] = see(&g, 0, 0x1000).stall_tag;
	tag[1] = see(&g, 0, 0x2000).stall_tag;
	assert_int_equal(tag[0] + tag[1], 1); /* 0 and 1 */
	t = see(&g, 0, 0x3000);
	assert_int_equal(t.result, MODEL_STALLED);
	assert_int_equal(t.stall_tag, 0xffff);
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 2);
	assert_int_equal(poll_stall(&g, 0, 0xffff), -EINPROGRESS);
	cmd(&g, RESUME | SID(8), tag[0]); /* terminate, Ab 0 */
	assert_int_equal(poll_stall(&g, 0, tag[0]), -ECANCELED);
	assert_int_equal(poll_stall(&g, 0, 0xffff), 0);
	assert_int_equal(see(&g, 0, 0x3000).stall_tag, tag[0]);
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 3);
	rig_down(&g);
}

/* A full queue loses plain faults, with overflow; stalls wait for room. */
static void a_full_queue_loses_no_stall(void **state)
{
	uint64_t rec[4], seen = 0;
	struct model_stats stats;
	struct rig g;

	(void)state;
	up(&g, 16, 2); /* 4 events */
	for (uint64_t n = 0; n < 10; n++)
		assert_int_equal(see(&g, 0, n << 12).result, MODEL_STALLED);
	/* full: same index, other wrap bit; nothing was lost, so no overflow */
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 4);
	for (uint32_t cons = 0; cons < 10; cons++) {
		assert_true((uint32_t)reg_get(&g, REG_EVENTQ_PROD, 4) != cons);
		memcpy(rec, at(&g, EVENTQ + (cons & 3) * 32), 32);
		assert_int_equal(rec[1] >> 31 & 1, 1);
		seen |= 1ULL << (rec[2] >> 12);
		reg_set(&g, REG_EVENTQ_CONS, 4, (cons + 1) & 7);
		if (((cons + 1) & 7) == (reg_get(&g, REG_EVENTQ_PROD, 4) & 7))
			break;
	}
	assert_int_equal(seen, 0x3ff);
	g.model->ops->stats(g.model, &stats);
	assert_int_equal(stats.events, 10);
	assert_int_equal(stats.events_lost, 0);
	rig_down(&g);
}

static void an_answered_stall_is_not_reported_late(void **state)
{
	struct rig g;

	(void)state;
	up(&g, 16, 2);
	for (uint64_t n = 0; n < 6; n++)
		see(&g, 0, n << 12);
	cmd(&g, STALL_TERM | SID(8), 0);
	reg_set(&g, REG_EVENTQ_CONS, 4, 4);
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 4);
	rig_down(&g);
}

static void a_removed_device_takes_its_stalls_along(void **state)
{
	struct model_port *port;
	uint16_t tag;
	struct rig g;

	(void)state;
	up(&g, 1, 7);
	assert_int_equal(g.model->ops->port_add(
				 g.model,
				 &(struct model_port_config){ .stream_id = 8 },
				 &port),
			 0);
	g.model->ops->port_remove(g.port[0]);
	g.port[0] = port;
	tag = see(&g, 0, 0x1000).stall_tag;
	assert_int_equal(tag, 0);
	g.model->ops->port_remove(port);
	g.port[0] = g.port[1];
	assert_int_equal(see(&g, 1, 0x1000).stall_tag, 0);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_stalls_and_is_retried),
		cmocka_unit_test(resume_needs_the_right_stream_and_tag),
		cmocka_unit_test(stall_term_ends_all_of_one_stream),
		cmocka_unit_test(without_a_tag_the_device_waits),
		cmocka_unit_test(a_full_queue_loses_no_stall),
		cmocka_unit_test(an_answered_stall_is_not_reported_late),
		cmocka_unit_test(a_removed_device_takes_its_stalls_along),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
