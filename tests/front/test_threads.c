// SPDX-License-Identifier: MIT
/*
 * Many threads at one front: doorbells that must not be lost, events that must
 * arrive once each, and a picture of the registers that is never torn. Meant
 * to run under ThreadSanitizer as well.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define CMDS	6000u /* per ringing thread */
#define EVENTS	3000u /* per recording thread */
#define CMDQ	0x4000u
#define EVENTQ	0x8000u
#define RINGERS 2

struct many {
	struct smmuv3_front *front;
	uint8_t mem[0x10000];

	pthread_mutex_t ring; /* software's own lock of its queue */
	uint32_t prod;
	uint64_t consumed; /* by the consumer, whoever it is; see consume() */
	uint64_t bad;

	uint64_t event_irqs; /* atomic */
	bool stop;	     /* atomic */
	uint64_t torn;
};

static int mem_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct many *m = ctx;

	memcpy(buf, m->mem + addr, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct many *m = ctx;

	memcpy(m->mem + addr, buf, len);
	return 0;
}

/* Not atomic on purpose: one thread at a time, each after the one before */
static struct smmuv3_consumed consume(void *ctx, const uint64_t (*cmds)[2],
				      uint32_t n)
{
	struct many *m = ctx;

	for (uint32_t i = 0; i < n; i++) {
		if (cmds[i][1] != m->consumed + i)
			m->bad++;
	}
	m->consumed += n;
	return (struct smmuv3_consumed){ .done = n };
}

static void irq(void *ctx, enum smmuv3_irq which)
{
	struct many *m = ctx;

	if (which == SMMUV3_IRQ_EVENTQ)
		__atomic_fetch_add(&m->event_irqs, 1, __ATOMIC_SEQ_CST);
}

static uint32_t read32(struct many *m, uint32_t offset)
{
	return (uint32_t)smmuv3_front_read(m->front, offset, 4);
}

static int setup(void **state)
{
	static const struct smmuv3_front_ops ops = {
		.read = mem_read,
		.write = mem_write,
		.consume = consume,
		.irq = irq,
	};
	struct smmuv3_front_config config = { .id = id_full() };
	struct many *m = calloc(1, sizeof(*m));

	if (!m || smmuv3_front_create(&config, &ops, m, &m->front))
		return -1;
	pthread_mutex_init(&m->ring, NULL);
	smmuv3_front_write(m->front, R_CMDQ_BASE, 8, CMDQ | 5);
	smmuv3_front_write(m->front, R_EVENTQ_BASE, 8, EVENTQ | 4);
	smmuv3_front_write(m->front, R_IRQ_CTRL, 4, 4);
	smmuv3_front_write(m->front, R_CR0, 4, C_CMDQEN | C_EVENTQEN);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct many *m = *state;

	smmuv3_front_destroy(m->front);
	pthread_mutex_destroy(&m->ring);
	free(m);
	return 0;
}

/* One more command if there is room; numbered by their order in the queue */
static bool post(struct many *m, uint64_t number)
{
	uint32_t cons = read32(m, R_CMDQ_CONS);

	if (((m->prod - cons) & 63) == 32)
		return false;
	memcpy(m->mem + CMDQ + 16 * (m->prod & 31) + 8, &number, 8);
	m->prod = (m->prod + 1) & 63;
	smmuv3_front_write(m->front, R_CMDQ_PROD, 4, m->prod);
	return true;
}

struct ringer {
	struct many *m;
	uint64_t *next; /* under the ring's lock */
};

static void *ring(void *arg)
{
	struct ringer *r = arg;
	unsigned int done = 0;

	while (done < CMDS) {
		pthread_mutex_lock(&r->m->ring);
		if (post(r->m, *r->next)) {
			++*r->next;
			done++;
		}
		pthread_mutex_unlock(&r->m->ring);
	}
	return NULL;
}

static void commands_of_two_threads_arrive_in_order(void **state)
{
	struct many *m = *state;
	uint64_t next = 0;
	struct ringer r = { .m = m, .next = &next };
	pthread_t threads[RINGERS];

	for (int i = 0; i < RINGERS; i++)
		pthread_create(&threads[i], NULL, ring, &r);
	for (int i = 0; i < RINGERS; i++)
		pthread_join(threads[i], NULL);
	/* all have returned: nothing may be left */
	assert_int_equal(read32(m, R_CMDQ_CONS), m->prod);
	assert_int_equal(m->consumed, RINGERS * CMDS);
	assert_int_equal(m->bad, 0);
}

#define ROUNDS 30000u

struct rounds {
	struct many *m;
	uint32_t go;   /* the round that may begin; atomic */
	uint32_t done; /* the last one that the other thread ended; atomic */
};

static void wait_for(uint32_t *counter, uint32_t value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value)
		sched_yield();
}

/* Looks at the queue for reasons of its own, as an acknowledgement does */
static void *kick(void *arg)
{
	struct rounds *r = arg;

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		wait_for(&r->go, round);
		smmuv3_front_write(r->m->front, R_GERRORN, 4, 0);
		__atomic_store_n(&r->done, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Ring while the other thread may just be about to stop consuming. */
static void a_doorbell_at_the_consumers_last_look_is_not_lost(void **state)
{
	struct many *m = *state;
	struct rounds r = { .m = m };
	pthread_t thread;
	uint32_t lost = 0;

	pthread_create(&thread, NULL, kick, &r);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		__atomic_store_n(&r.go, round, __ATOMIC_RELEASE);
		for (volatile uint32_t skew = round % 128; skew; skew--)
			;
		post(m, round - 1);
		wait_for(&r.done, round);
		lost += read32(m, R_CMDQ_CONS) != m->prod;
	}
	pthread_join(thread, NULL);
	assert_int_equal(lost, 0);
	assert_int_equal(m->consumed, ROUNDS);
}

struct recorder {
	struct many *m;
	uint64_t id;
};

static void *record(void *arg)
{
	struct recorder *r = arg;

	for (uint64_t i = 0; i < EVENTS;) {
		uint64_t rec[4] = { r->id << 32 | 0x10, 0x80000000, i, ~i };

		if (smmuv3_front_event(r->m->front, rec))
			i++;
	}
	return NULL;
}

/* The guest's handler: every record whole, each thread's in its order */
static uint64_t drain(struct many *m, uint64_t *expect)
{
	uint32_t cons = read32(m, R_EVENTQ_CONS);
	uint64_t n = 0;

	while (cons != read32(m, R_EVENTQ_PROD)) {
		uint64_t rec[4];

		memcpy(rec, m->mem + EVENTQ + 32 * (cons & 15), 32);
		assert_in_range(rec[0] >> 32, 0, 1);
		assert_int_equal(rec[2], expect[rec[0] >> 32]++);
		assert_int_equal(rec[3], ~rec[2]);
		cons = (cons + 1) & 31;
		smmuv3_front_write(m->front, R_EVENTQ_CONS, 4, cons);
		n++;
	}
	return n;
}

static void events_of_two_threads_arrive_beside_doorbells(void **state)
{
	struct many *m = *state;
	struct recorder recorders[2] = { { m, 0 }, { m, 1 } };
	uint64_t next = 0, expect[2] = { 0, 0 }, seen = 0, irqs = 0;
	struct ringer r = { .m = m, .next = &next };
	pthread_t threads[3];

	pthread_create(&threads[0], NULL, record, &recorders[0]);
	pthread_create(&threads[1], NULL, record, &recorders[1]);
	pthread_create(&threads[2], NULL, ring, &r);
	/* looks only when it was told to: a lost interrupt would hang */
	while (seen < 2 * EVENTS) {
		uint64_t now =
			__atomic_load_n(&m->event_irqs, __ATOMIC_SEQ_CST);

		if (now != irqs) {
			irqs = now;
			seen += drain(m, expect);
		}
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(seen, 2 * EVENTS);
	assert_int_equal(m->consumed, CMDS);
	assert_int_equal(read32(m, R_EVENTQ_PROD) >> 31, 0);
}

#define PICTURES 200000u

/* Written in the order base, cfg, cr1, each with the low bits of a number */
static bool is_torn(const struct smmuv3_regs *regs)
{
	uint64_t n = regs->strtab_base >> 16;
	uint32_t cfg = regs->strtab_cfg;
	uint32_t cr1 = regs->cr1 >> 6;

	if (cfg != (n & 0x3f))
		return cfg != ((n - 1) & 0x3f) || cr1 != ((n - 1) & 0x3f);
	return cr1 != (n & 0x3f) && cr1 != ((n - 1) & 0x3f);
}

static void *look(void *arg)
{
	struct many *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		struct smmuv3_regs regs;

		smmuv3_front_regs(m->front, &regs);
		m->torn += is_torn(&regs);
	}
	return NULL;
}

static void write_number(struct many *m, uint64_t n)
{
	smmuv3_front_write(m->front, 0x80, 8, n << 16);
	smmuv3_front_write(m->front, 0x88, 4, (uint32_t)(n & 0x3f));
	smmuv3_front_write(m->front, 0x28, 4, (uint32_t)(n & 0x3f) << 6);
}

static void the_picture_is_never_torn(void **state)
{
	struct many *m = *state;
	pthread_t thread;

	write_number(m, 1);
	pthread_create(&thread, NULL, look, m);
	for (uint64_t n = 2; n < PICTURES; n++)
		write_number(m, n);
	__atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(m->torn, 0);
}

static void *toggle(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < 2000; i++) {
		uint32_t cr0 = i & 1 ? C_CMDQEN | C_EVENTQEN : 0;

		smmuv3_front_write(m->front, R_CR0, 4, cr0);
		while (read32(m, R_CR0ACK) != cr0)
			;
		if (cr0)
			continue;
		/* acknowledged: nobody reads these any more */
		smmuv3_front_write(m->front, R_CMDQ_BASE, 8, CMDQ | 5);
		smmuv3_front_write(m->front, R_EVENTQ_BASE, 8, EVENTQ | 4);
	}
	return NULL;
}

static void queues_can_be_switched_under_load(void **state)
{
	struct many *m = *state;
	uint64_t next = 0;
	struct ringer r = { .m = m, .next = &next };
	pthread_t threads[2];
	uint64_t rec[4] = { 0x02, 0, 0, 0 };

	pthread_create(&threads[0], NULL, toggle, m);
	pthread_create(&threads[1], NULL, ring, &r);
	for (int i = 0; i < 5000; i++) {
		smmuv3_front_event(m->front, rec);
		smmuv3_front_event_room(m->front);
		smmuv3_front_write(m->front, R_EVENTQ_CONS, 4,
				   read32(m, R_EVENTQ_PROD));
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(read32(m, R_CMDQ_CONS), m->prod);
	assert_int_equal(m->consumed, CMDS);
	assert_int_equal(m->bad, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(commands_of_two_threads_arrive_in_order),
		TEST(a_doorbell_at_the_consumers_last_look_is_not_lost),
		TEST(events_of_two_threads_arrive_beside_doorbells),
		TEST(the_picture_is_never_torn),
		TEST(queues_can_be_switched_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
