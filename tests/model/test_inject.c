// SPDX-License-Identifier: MIT
/*
 * Injected errors at the bare SMMUv3: where the queue stops and with which
 * code (IHI 0070 7.1), and what has been invalidated by then.
 */
#include <time.h>

#include "engine_rig.h"

#define DATA	   (RAM + 0x1000000)
#define SYNC	   0x46ULL, 0ULL
#define ILL	   0x01000000u
#define ABT	   0x02000000u
#define ATC_FAILED 0x03000000u
#define ALL	   0x1feu /* eight pages, from the second on */

static struct inject_fault rule(enum inject_kind kind)
{
	return (struct inject_fault){
		.kind = kind,
		.opcode = INJECT_ANY,
		.stream_id = INJECT_ANY,
		.probability = 1,
		.delay_us = 1000,
	};
}

static void add(struct rig *g, const struct inject_fault *fault)
{
	assert_int_equal(g->model->ops->inject(g->model, fault), 0);
}

static uint64_t clear(struct rig *g)
{
	return g->model->ops->inject_clear(g->model);
}

/* Streams 8 and 9 over one table of eight pages, ASID 7, with ATS */
static void up(struct rig *g)
{
	uint64_t root, cds;

	assert_int_equal(rig_try(g, IOTLB_HOSTILE, NULL), 0);
	rig_on(g, CR0_ON | CR0_ATSCHK);
	root = page(g);
	cds = page(g);
	cd(g, cds, CD0 | CD_ASID(7), root);
	for (unsigned int sid = 8; sid <= 9; sid++)
		ste(g, sid, STE_S1 | cds, STE1 | STE1_ATS, 0, 0);
	for (uint64_t n = 1; n < 9; n++)
		map(g, root, n << 12, 3, 0, (DATA + (n << 12)) | PAGE_NG);
}

static void fill_tlb(struct rig *g)
{
	for (uint64_t n = 1; n < 9; n++)
		see(g, 0, n << 12);
}

/* Of the eight pages, a mask of those that are cached */
static unsigned int in_tlb(struct rig *g)
{
	unsigned int mask = 0;

	for (uint64_t n = 1; n < 9; n++)
		mask |= (unsigned int)look(g, 0, MODEL_NO_PASID, n << 12,
					   MODEL_QUIET)
				.hit
			<< n;
	return mask;
}

static int request(struct rig *g, int port, uint64_t iova, uint32_t flags,
		   uint64_t len, struct model_translation *t)
{
	const struct model_access a = { .iova = iova,
					.pasid = MODEL_NO_PASID,
					.flags = flags };

	return g->model->ops->ats_request(g->port[port], &a, len, t);
}

static void fill_atcs(struct rig *g)
{
	struct model_translation t;

	for (int port = 0; port < 2; port++)
		assert_int_equal(request(g, port, 0x1000, 0, 0x8000, &t), 0);
}

static unsigned int in_atc(struct rig *g, int port)
{
	struct model_translation t;
	unsigned int mask = 0;

	for (uint64_t n = 1; n < 9; n++)
		mask |= (unsigned int)(!request(g, port, n << 12, MODEL_QUIET,
						1, &t) &&
				       t.hit)
			<< n;
	return mask;
}

static void flush_page(struct rig *g, uint64_t n)
{
	cmd_put(g, NH_VA | ASID(7), n << 12 | LEAF);
}

static void stopped(struct rig *g, uint32_t cons)
{
	assert_int_equal(reg_get(g, REG_CMDQ_CONS, 4), cons);
	assert_int_equal(reg_get(g, REG_GERROR, 4) ^ reg_get(g, REG_GERRORN, 4),
			 1);
}

static void went_through(struct rig *g)
{
	assert_int_equal(reg_get(g, REG_CMDQ_CONS, 4), g->cmd_prod);
	assert_int_equal(reg_get(g, REG_GERROR, 4), reg_get(g, REG_GERRORN, 4));
}

static void acknowledge(struct rig *g)
{
	reg_set(g, REG_GERRORN, 4, reg_get(g, REG_GERROR, 4));
}

/* What it does at one of ten commands, by its position */
static void a_stop_is_in_front_of(uint32_t position, enum inject_kind kind,
				  uint32_t err)
{
	const struct inject_fault never = {
		.kind = kind,
		.opcode = INJECT_ANY,
		.stream_id = INJECT_ANY,
		.probability = 1,
		.count = 1,
	};
	unsigned int left = ALL;
	struct rig g;

	up(&g);
	fill_tlb(&g);
	for (uint32_t n = 0; n < position; n++) {
		flush_page(&g, n + 1);
		left &= ~(2u << n);
	}
	doorbell(&g);
	went_through(&g);
	assert_int_equal(in_tlb(&g), left);

	add(&g, &never);
	for (uint32_t n = position; n < 8; n++)
		flush_page(&g, n + 1);
	cmd_put(&g, SYNC);
	doorbell(&g);
	stopped(&g, err | position);
	assert_int_equal(in_tlb(&g), left);
	/* while the error is active, nothing goes on */
	doorbell(&g);
	stopped(&g, err | position);
	assert_int_equal(in_tlb(&g), left);

	acknowledge(&g);
	went_through(&g);
	assert_int_equal(in_tlb(&g), 0);
	assert_int_equal(clear(&g), 1);
	rig_down(&g);
}

static void an_illegal_command_stops_the_queue_in_front_of_it(void **state)
{
	(void)state;
	for (uint32_t position = 0; position < 8; position++)
		a_stop_is_in_front_of(position, INJECT_ILL, ILL);
}

static void an_aborted_fetch_stops_the_queue_in_front_of_it(void **state)
{
	(void)state;
	for (uint32_t position = 0; position < 8; position++)
		a_stop_is_in_front_of(position, INJECT_ABT, ABT);
}

/* The one that @probability picks, in the middle of a span, with syncs */
static void what_precedes_the_stop_is_done_and_nothing_behind_it(void **state)
{
	struct inject_fault fault = rule(INJECT_ILL);
	struct rig g;

	(void)state;
	up(&g);
	fill_tlb(&g);
	fault.opcode = 0x11;
	add(&g, &fault);
	flush_page(&g, 1);
	cmd_put(&g, SYNC);
	flush_page(&g, 2);
	cmd_put(&g, NH_ASID | ASID(9), 0);
	flush_page(&g, 3);
	cmd_put(&g, SYNC);
	doorbell(&g);
	stopped(&g, ILL | 3);
	assert_int_equal(in_tlb(&g), ALL & ~0x6u);
	/* as software recovers: by another command */
	at(&g, CMDQ + 3 * 16)[0] = 0x46;
	acknowledge(&g);
	went_through(&g);
	assert_int_equal(in_tlb(&g), ALL & ~0xeu);
	assert_int_equal(clear(&g), 1);
	rig_down(&g);
}

static void an_abort_can_be_retried_as_often_as_it_is_counted(void **state)
{
	struct inject_fault fault = rule(INJECT_ABT);
	struct rig g;

	(void)state;
	up(&g);
	fault.count = 3;
	add(&g, &fault);
	cmd_put(&g, SYNC);
	doorbell(&g);
	for (int n = 0; n < 3; n++) {
		stopped(&g, ABT);
		acknowledge(&g);
	}
	went_through(&g);
	assert_int_equal(clear(&g), 3);
	rig_down(&g);
}

/* One of each that a queue with both stages and ATS takes */
static const uint64_t commands[][2] = {
	{ 0x01 | 8ULL << 32, 0 },
	{ 0x02 | 8ULL << 32, 0 },
	{ 0x03 | 8ULL << 32, 1 },
	{ 0x04 | 8ULL << 32, 3 },
	{ 0x05 | 8ULL << 32, 1 },
	{ 0x06 | 8ULL << 32, 0 },
	{ 0x10 | 8ULL << 32, 0 },
	{ 0x11 | 8ULL << 32, 0 },
	{ 0x12 | 8ULL << 32, 1 },
	{ 0x13 | 8ULL << 32, 1 },
	{ 0x28 | 8ULL << 32, 0 },
	{ 0x2a | 8ULL << 32, 1 },
	{ 0x30, 0 },
	{ 0x40 | 8ULL << 32, 52 },
	{ 0x44 | 8ULL << 32, 0 },
	{ 0x45 | 8ULL << 32, 0 },
	{ 0x46, 0 },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void put_command(struct rig *g, size_t n)
{
	cmd_put(g, commands[n][0], commands[n][1]);
}

static void an_opcode_is_called_illegal_and_no_other(void **state)
{
	(void)state;
	for (size_t picked = 0; picked < COMMANDS; picked++) {
		struct inject_fault fault = rule(INJECT_ILL);
		struct rig g;

		up(&g);
		fault.opcode = (uint32_t)(commands[picked][0] & 0xff);
		add(&g, &fault);
		for (size_t n = 0; n < COMMANDS; n++)
			put_command(&g, n);
		doorbell(&g);
		stopped(&g, ILL | (uint32_t)picked);
		clear(&g);
		acknowledge(&g);
		went_through(&g);
		rig_down(&g);
	}
}

/* The streams that commands[] name; others have something else there. */
static bool names(size_t n, uint32_t sid)
{
	switch (commands[n][0] & 0xff) {
	case 0x04: /* a range of 16 */
		return sid < 16;
	case 0x10:
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x28:
	case 0x2a: /* VMID 8 */
	case 0x30:
	case 0x46:
		return false;
	default:
		return sid == 8;
	}
}

static void only_commands_that_name_the_stream_are_called_illegal(void **state)
{
	static const uint32_t sids[] = { 0, 7, 8, 9, 15, 16, 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(sids) / sizeof(sids[0]); i++) {
		struct inject_fault fault = rule(INJECT_ILL);
		struct rig g;

		up(&g);
		fault.stream_id = sids[i];
		for (uint32_t n = 0; n < COMMANDS; n++) {
			add(&g, &fault);
			put_command(&g, n);
			doorbell(&g);
			if (names(n, sids[i]))
				stopped(&g, ILL | n);
			clear(&g);
			if (names(n, sids[i]))
				acknowledge(&g);
			went_through(&g);
		}
		rig_down(&g);
	}
}

static void what_is_illegal_anyway_is_no_chance(void **state)
{
	struct inject_fault fault = rule(INJECT_ILL);
	struct rig g;

	(void)state;
	up(&g);
	fault.count = 1;
	add(&g, &fault);
	cmd_put(&g, 0xff, 0);
	doorbell(&g);
	stopped(&g, ILL);
	assert_int_equal(clear(&g), 0);
	rig_down(&g);
}

static void a_sync_fails_once_for_what_an_atc_did_not_answer(void **state)
{
	struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	struct rig g;

	(void)state;
	up(&g);
	fill_atcs(&g);
	fault.stream_id = 9;
	fault.count = 2;
	add(&g, &fault);
	cmd_put(&g, ATC_INV | SID(8), 0x1000);
	cmd_put(&g, SYNC);
	cmd_put(&g, ATC_INV | SID(9), 0x2000);
	cmd_put(&g, ATC_INV | SID(8), 0x2000);
	cmd_put(&g, ATC_INV | SID(9), 0x3000);
	cmd_put(&g, ATC_INV | SID(9), 0x4000);
	cmd_put(&g, SYNC);
	cmd_put(&g, ATC_INV | SID(9), 0x5000);
	cmd_put(&g, SYNC);
	doorbell(&g);
	/* two were not answered; one sync fails, once */
	stopped(&g, ATC_FAILED | 6);
	assert_int_equal(in_atc(&g, 0), ALL & ~0x6u);
	assert_int_equal(in_atc(&g, 1), ALL & ~0x10u);
	acknowledge(&g);
	went_through(&g);
	assert_int_equal(in_atc(&g, 1), ALL & ~0x30u);
	assert_int_equal(clear(&g), 2);
	rig_down(&g);
}

/* The sync may come with a later doorbell. */
static void a_missing_answer_waits_for_its_sync(void **state)
{
	struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	struct rig g;

	(void)state;
	up(&g);
	add(&g, &fault);
	cmd_put(&g, ATC_INV | SID(8), 0x1000);
	doorbell(&g);
	went_through(&g);
	clear(&g);
	cmd_put(&g, SYNC);
	doorbell(&g);
	stopped(&g, ATC_FAILED | 1);
	acknowledge(&g);
	went_through(&g);
	rig_down(&g);
}

static void an_atc_inv_to_nobody_is_no_chance(void **state)
{
	const struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	struct rig g;

	(void)state;
	up(&g);
	add(&g, &fault);
	cmd(&g, ATC_INV | SID(10), 0x1000);
	assert_int_equal(clear(&g), 0);
	rig_down(&g);
}

static int read_word(struct rig *g, int port)
{
	uint64_t value;

	return dma(g, port, 0x1000, 0, &value, 8, NULL);
}

static void a_device_that_is_gone_answers_nothing_until_its_reset(void **state)
{
	struct inject_fault fault = rule(INJECT_GONE);
	struct model_translation t;
	struct rig g;

	(void)state;
	up(&g);
	fill_atcs(&g);
	fault.stream_id = 8;
	add(&g, &fault);
	assert_int_equal(read_word(&g, 0), 0); /* until it is asked */
	for (int n = 0; n < 3; n++) {
		cmd_put(&g, ATC_INV | SID(8), 52);
		cmd_put(&g, SYNC);
		doorbell(&g);
		stopped(&g, ATC_FAILED | (uint32_t)(2 * n + 1));
		acknowledge(&g);
		went_through(&g);
		clear(&g); /* it stays gone */
	}
	assert_int_equal(read_word(&g, 0), -ENODEV);
	assert_int_equal(see(&g, 0, 0x1000).result, MODEL_ABORTED);
	assert_int_equal(request(&g, 0, 0x1000, 0, 1, &t), -EIO);
	no_event(&g);
	/* nobody else */
	assert_int_equal(read_word(&g, 1), 0);
	assert_int_equal(in_atc(&g, 1), ALL);
	cmd(&g, ATC_INV | SID(9), 0x1000);

	g.model->ops->port_reset(g.port[0]);
	assert_int_equal(read_word(&g, 0), 0);
	assert_int_equal(in_atc(&g, 0), 0);
	assert_int_equal(request(&g, 0, 0x1000, 0, 1, &t), 0);
	cmd(&g, ATC_INV | SID(8), 52);
	assert_int_equal(in_atc(&g, 0), 0);
	assert_int_equal(clear(&g), 1);
	rig_down(&g);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t doorbell_us(struct rig *g)
{
	uint64_t start = now_us();

	doorbell(g);
	return now_us() - start;
}

static void a_slow_sync_takes_its_time(void **state)
{
	struct inject_fault fault = rule(INJECT_SLOW_SYNC);
	struct rig g;

	(void)state;
	up(&g);
	fill_tlb(&g);
	fault.delay_us = 30000;
	fault.count = 1;
	add(&g, &fault);
	flush_page(&g, 1);
	doorbell(&g);
	assert_int_equal(clear(&g), 0); /* no chance of it */
	add(&g, &fault);
	cmd_put(&g, SYNC);
	assert_true(doorbell_us(&g) >= 30000);
	went_through(&g);
	assert_int_equal(clear(&g), 1);
	rig_down(&g);
}

static void *ring(void *arg)
{
	doorbell(arg);
	return NULL;
}

static uint32_t await_cons(struct rig *g, uint32_t least)
{
	uint32_t cons;

	do {
		cons = (uint32_t)reg_get(g, REG_CMDQ_CONS, 4);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	} while (cons < least);
	return cons;
}

/* The delay is one of 300 ms: what is seen before its end is told apart. */
static void a_late_answer_delays_the_next_sync_and_none_before(void **state)
{
	struct inject_fault fault = rule(INJECT_ATC_LATE);
	uint64_t start = now_us();
	pthread_t thread;
	struct rig g;

	(void)state;
	up(&g);
	fill_atcs(&g);
	fault.delay_us = 300000;
	fault.stream_id = 8;
	add(&g, &fault);
	cmd_put(&g, ATC_INV | SID(9), 0x1000);
	cmd_put(&g, SYNC);
	cmd_put(&g, ATC_INV | SID(8), 0x1000);
	cmd_put(&g, SYNC);
	pthread_create(&thread, NULL, ring, &g);
	assert_int_equal(await_cons(&g, 2), 2);
	assert_int_equal(await_cons(&g, 4), 4);
	assert_true(now_us() - start >= 300000);
	pthread_join(thread, NULL);
	went_through(&g);
	assert_int_equal(in_atc(&g, 0), ALL & ~0x2u);
	assert_int_equal(in_atc(&g, 1), ALL & ~0x2u);
	assert_int_equal(clear(&g), 1);
	rig_down(&g);
}

/* Behind the CMD_ATC_INV; those in front of it, and those behind, are quick. */
static void hardware_gives_up_after_a_while(void **state)
{
	struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	uint64_t start = now_us();
	pthread_t thread;
	struct rig g;

	(void)state;
	up(&g);
	fault.delay_us = 300000;
	fault.stream_id = 8;
	fault.count = 2;
	add(&g, &fault);
	cmd_put(&g, ATC_INV | SID(9), 0x1000);
	cmd_put(&g, SYNC);
	cmd_put(&g, ATC_INV | SID(8), 0x1000);
	cmd_put(&g, ATC_INV | SID(8), 0x2000);
	cmd_put(&g, SYNC);
	pthread_create(&thread, NULL, ring, &g);
	assert_int_equal(await_cons(&g, 2) & 0xff, 2);
	/* both are waited for at once */
	assert_true(await_cons(&g, 4) == (ATC_FAILED | 4));
	assert_true(now_us() - start >= 300000);
	assert_true(now_us() - start < 590000);
	pthread_join(thread, NULL);
	stopped(&g, ATC_FAILED | 4);
	start = now_us();
	acknowledge(&g);
	went_through(&g);
	assert_true(now_us() - start < 300000);
	assert_int_equal(clear(&g), 2);
	rig_down(&g);
}

static void a_device_that_is_gone_is_waited_for_each_time(void **state)
{
	struct inject_fault fault = rule(INJECT_GONE);
	struct rig g;

	(void)state;
	up(&g);
	fault.delay_us = 20000;
	fault.stream_id = 8;
	add(&g, &fault);
	for (uint32_t n = 0; n < 3; n++) {
		cmd_put(&g, ATC_INV | SID(8), 52);
		cmd_put(&g, SYNC);
		assert_true(doorbell_us(&g) >= 20000);
		stopped(&g, ATC_FAILED | (2 * n + 1));
		acknowledge(&g);
		went_through(&g);
		clear(&g);
	}
	g.model->ops->port_reset(g.port[0]);
	cmd(&g, ATC_INV | SID(8), 52);
	rig_down(&g);
}

static void nobody_waits_unless_asked_to(void **state)
{
	struct inject_fault fault = rule(INJECT_ATC_TIMEOUT);
	uint64_t start;
	struct rig g;

	(void)state;
	up(&g);
	fault.delay_us = 0;
	add(&g, &fault);
	start = now_us();
	for (uint32_t n = 0; n < 100; n++) {
		cmd_put(&g, ATC_INV | SID(8), 52);
		cmd_put(&g, SYNC);
		doorbell(&g);
		acknowledge(&g);
		went_through(&g);
	}
	/* by far less than the default of what is late */
	assert_true(now_us() - start < 100 * 1000);
	assert_int_equal(clear(&g), 100);
	rig_down(&g);
}

#define TRIES 200

/*
 * Which of TRIES commands are stopped at, once each; @batch doorbells fewer.
 * The command is put again as a sync, which the rules are not about.
 */
static void pattern_of(const struct inject_fault *fault, unsigned int batch,
		       bool hit[TRIES])
{
	struct rig g;

	up(&g);
	add(&g, fault);
	memset(hit, 0, TRIES * sizeof(*hit));
	for (unsigned int i = 0; i < TRIES; i++) {
		cmd_put(&g, NH_ALL, 0);
		if (i % batch && i != TRIES - 1)
			continue;
		doorbell(&g);
		while (reg_get(&g, REG_CMDQ_CONS, 4) != g.cmd_prod) {
			uint32_t slot = reg_get(&g, REG_CMDQ_CONS, 4) & 0xff;

			hit[slot] = true;
			at(&g, CMDQ + slot * 16)[0] = 0x46;
			acknowledge(&g);
		}
	}
	rig_down(&g);
}

static void a_doorbell_more_or_less_makes_no_difference(void **state)
{
	struct inject_fault fault = rule(INJECT_ILL);
	bool first[TRIES], other[TRIES];
	unsigned int hits = 0;

	(void)state;
	fault.opcode = 0x10;
	fault.probability = 0.25;
	pattern_of(&fault, 1, first);
	for (unsigned int i = 0; i < TRIES; i++)
		hits += first[i];
	assert_in_range(hits, TRIES / 8, TRIES * 3 / 8);
	for (unsigned int batch = 1; batch <= TRIES; batch += 33) {
		pattern_of(&fault, batch, other);
		assert_memory_equal(first, other, sizeof(first));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_illegal_command_stops_the_queue_in_front_of_it),
		cmocka_unit_test(
			an_aborted_fetch_stops_the_queue_in_front_of_it),
		cmocka_unit_test(
			what_precedes_the_stop_is_done_and_nothing_behind_it),
		cmocka_unit_test(
			an_abort_can_be_retried_as_often_as_it_is_counted),
		cmocka_unit_test(an_opcode_is_called_illegal_and_no_other),
		cmocka_unit_test(
			only_commands_that_name_the_stream_are_called_illegal),
		cmocka_unit_test(what_is_illegal_anyway_is_no_chance),
		cmocka_unit_test(
			a_sync_fails_once_for_what_an_atc_did_not_answer),
		cmocka_unit_test(a_missing_answer_waits_for_its_sync),
		cmocka_unit_test(an_atc_inv_to_nobody_is_no_chance),
		cmocka_unit_test(
			a_device_that_is_gone_answers_nothing_until_its_reset),
		cmocka_unit_test(a_slow_sync_takes_its_time),
		cmocka_unit_test(
			a_late_answer_delays_the_next_sync_and_none_before),
		cmocka_unit_test(hardware_gives_up_after_a_while),
		cmocka_unit_test(a_device_that_is_gone_is_waited_for_each_time),
		cmocka_unit_test(nobody_waits_unless_asked_to),
		cmocka_unit_test(a_doorbell_more_or_less_makes_no_difference),
	};

	return cmocka_run_group_tests(tests, group_up, NULL);
}
