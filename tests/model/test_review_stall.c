// SPDX-License-Identifier: MIT
/*
 * What becomes of a stalled transaction when its answer arrives: Arm IHI 0070
 * 3.12.2, 4.7.1, 4.7.2, 7.2.1. The device is one that repeats its access, as a
 * user of the library does, or one that asks with stall_poll().
 */
#include "engine_rig.h"

#define DATA (RAM + 0x1000000)
#define AC   (1ULL << 12)
#define AB   (1ULL << 13)

/* Both streams stall; returns the root of their tables. */
static uint64_t up(struct rig *g, unsigned int stags, unsigned int events_lg2,
		   uint32_t idr0)
{
	struct smmuv3_id id;
	uint64_t root, cds;

	smmuv3_model_default_id(&id);
	id.idr[0] |= idr0;
	id.idr[5] = (id.idr[5] & 0xffff) | stags << 16;
	assert_int_equal(rig_try(g, IOTLB_FAST, &id), 0);
	rig_on(g, 0);
	reg_set(g, REG_EVENTQ_BASE, 8, EVENTQ | events_lg2);
	reg_set(g, REG_CR0, 4, CR0_ON);
	root = page(g);
	cds = page(g);
	cd(g, cds, CD0 | CD0_S | CD0_A | CD_ASID(1), root);
	ste(g, 8, STE_S1 | cds, STE1, 0, 0);
	ste(g, 9, STE_S1 | cds, STE1, 0, 0);
	return root;
}

static uint16_t stall(struct rig *g, int port, uint64_t iova)
{
	struct model_translation t;
	char buf[4];

	assert_int_equal(dma(g, port, iova, 0, buf, 4, &t), -EINPROGRESS);
	assert_int_equal(t.result, MODEL_STALLED);
	return t.stall_tag;
}

static int answer_of(struct rig *g, uint16_t tag)
{
	return g->model->ops->stall_poll(g->port[0], tag);
}

static void terminating_without_abort_is_raz_wi(void **state)
{
	char buf[4] = "abc";
	uint16_t tag;
	struct rig g;

	(void)state;
	up(&g, 4, 7, 0);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(8), tag); /* Ac 0, Ab 0 */
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), 0);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	/* that was the transaction; the next one is new */
	stall(&g, 0, 0x1000);
	rig_down(&g);
}

static void terminating_with_abort_reaches_the_device(void **state)
{
	uint64_t rec[4];
	char buf[4];
	uint16_t tag;
	struct rig g;

	(void)state;
	up(&g, 4, 7, 0);
	tag = stall(&g, 0, 0x1000);
	assert_true(event(&g, rec));
	cmd(&g, RESUME | SID(8) | AB, tag);
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), -EIO);
	no_event(&g);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, STALL_TERM | SID(8), 0);
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), -EIO);
	rig_down(&g);
}

/* IDR0.TERM_MODEL, bit 26: there is no RAZ/WI, Ab is IGNORED (4.7.1) */
static void without_raz_wi_terminating_aborts(void **state)
{
	char buf[4];
	uint16_t tag;
	struct rig g;

	(void)state;
	up(&g, 4, 7, 1u << 26);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(8), tag);
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), -EIO);
	rig_down(&g);
}

static void who_asks_is_told_how_it_ends(void **state)
{
	uint16_t tag;
	struct rig g;

	(void)state;
	up(&g, 4, 7, 0);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(8), tag);
	assert_int_equal(answer_of(&g, tag), -ECANCELED);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(8) | AB, tag);
	assert_int_equal(answer_of(&g, tag), -EIO);
	tag = stall(&g, 0, 0x1000);
	cmd(&g, RESUME | SID(8) | AC | AB, tag); /* Ab is IGNORED */
	assert_int_equal(answer_of(&g, tag), 0);
	tag = stall(&g, 0, 0x1000);
	reg_set(&g, REG_CR0, 4, 0xc); /* SMMUEN off: marked to abort */
	assert_int_equal(answer_of(&g, tag), -EIO);
	rig_down(&g);
}

/* One transaction, one record, until software retries it (3.12.2.1). */
static void an_access_repeated_too_early_is_the_same_stall(void **state)
{
	uint64_t root, rec[4];
	char buf[4];
	uint16_t tag;
	struct rig g;

	(void)state;
	root = up(&g, 4, 7, 0);
	tag = stall(&g, 0, 0x1000);
	assert_int_equal(stall(&g, 0, 0x1000), tag);
	assert_true(event(&g, rec));
	no_event(&g);
	/* other addresses, streams and kinds of access are others */
	assert_true(stall(&g, 0, 0x1004) != tag);
	assert_true(stall(&g, 1, 0x1000) != tag);
	assert_true(
		look(&g, 0, MODEL_NO_PASID, 0x1000, MODEL_WRITE).stall_tag !=
		tag);
	for (int n = 0; n < 3; n++)
		assert_true(event(&g, rec));
	/* retried in vain: a new fault, a new record */
	cmd(&g, RESUME | SID(8) | AC, tag);
	stall(&g, 0, 0x1000);
	assert_true(event(&g, rec));
	no_event(&g);
	map(&g, root, 0x1000, 3, 0, DATA | PAGE_NG);
	assert_int_equal(dma(&g, 0, 0x1000, 0, buf, 4, NULL), 0);
	rig_down(&g);
}

/* STAGs of answered stalls may be used again (4.7.1), asked for or not. */
static void answered_stalls_do_not_use_up_the_tags(void **state)
{
	struct rig g;

	(void)state;
	up(&g, 4, 7, 0);
	for (uint64_t n = 0; n < 20; n++) {
		uint16_t tag = stall(&g, 0, 0x1000 + (n << 12));

		assert_int_not_equal(tag, 0xffff);
		cmd(&g, RESUME | SID(8) | AC, tag);
	}
	rig_down(&g);
}

/*
 * A record that could not be written is of no use once something was
 * invalidated: the transaction is retried instead (7.2.1).
 */
static void a_waiting_record_does_not_outlive_an_invalidation(void **state)
{
	uint64_t root, rec[4];
	uint16_t tag[5];
	char buf[4];
	struct rig g;

	(void)state;
	root = up(&g, 8, 2, 0); /* 4 events */
	for (uint64_t n = 0; n < 5; n++)
		tag[n] = stall(&g, 0, n << 12);
	map(&g, root, 0x4000, 3, 0, DATA | PAGE_NG);
	cmd(&g, NH_ALL, 0);
	memcpy(rec, at(&g, EVENTQ), 32);
	assert_int_equal(rec[2], 0);
	reg_set(&g, REG_EVENTQ_CONS, 4, 1); /* room */
	assert_int_equal(reg_get(&g, REG_EVENTQ_PROD, 4), 4);
	assert_int_equal(answer_of(&g, tag[4]), 0);
	assert_int_equal(dma(&g, 0, 0x4000, 0, buf, 4, NULL), 0);
	assert_int_equal(answer_of(&g, tag[3]), -EINPROGRESS);
	rig_down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terminating_without_abort_is_raz_wi),
		cmocka_unit_test(terminating_with_abort_reaches_the_device),
		cmocka_unit_test(without_raz_wi_terminating_aborts),
		cmocka_unit_test(who_asks_is_told_how_it_ends),
		cmocka_unit_test(
			an_access_repeated_too_early_is_the_same_stall),
		cmocka_unit_test(answered_stalls_do_not_use_up_the_tags),
		cmocka_unit_test(
			a_waiting_record_does_not_outlive_an_invalidation),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
