// SPDX-License-Identifier: MIT
/*
 * Many threads at one VT-d front: doorbells that must not be lost, faults and
 * page requests that must arrive once each, a picture of the registers that is
 * never torn. Meant to run under ThreadSanitizer as well.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_rig.h"

#define DESCS	 6000u /* per ringing thread */
#define FAULTS	 3000u /* per faulting thread */
#define REQUESTS 3000u
#define QUEUE	 0x4000u
#define PRQ	 0x8000u
#define RINGERS	 2

struct many {
	struct vtd_front *front;
	uint8_t mem[0x10000];

	pthread_mutex_t ring; /* software's own lock of its queue */
	uint32_t tail;
	uint64_t next;
	uint64_t consumed; /* by the consumer, whoever it is; see consume() */
	uint64_t bad;

	uint64_t irqs[3]; /* atomic */
	bool stop;	  /* atomic */
	uint64_t torn;
	uint64_t recorded; /* atomic */
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
static struct vtd_consumed consume(void *ctx, const uint64_t (*descs)[4],
				   uint32_t n)
{
	struct many *m = ctx;

	for (uint32_t i = 0; i < n; i++) {
		struct vtd_desc desc;

		if (vtd_front_decode(m->front, descs[i], &desc) ||
		    desc.status_data != m->consumed + i)
			m->bad++;
		vtd_front_wait(m->front, &desc, i + 1);
	}
	m->consumed += n;
	return (struct vtd_consumed){ .done = n };
}

static void irq(void *ctx, enum vtd_irq which, uint64_t addr, uint32_t data)
{
	struct many *m = ctx;

	(void)addr;
	(void)data;
	__atomic_fetch_add(&m->irqs[which], 1, __ATOMIC_SEQ_CST);
}

static uint32_t read32(struct many *m, uint32_t offset)
{
	return (uint32_t)vtd_front_read(m->front, offset, 4);
}

static void write32(struct many *m, uint32_t offset, uint32_t value)
{
	vtd_front_write(m->front, offset, 4, value);
}

static int setup(void **state)
{
	static const struct vtd_front_ops ops = {
		.read = mem_read,
		.write = mem_write,
		.consume = consume,
		.irq = irq,
	};
	struct vtd_front_config config = { .id = id_full() };
	struct many *m = calloc(1, sizeof(*m));

	if (!m || vtd_front_create(&config, &ops, m, &m->front))
		return -1;
	pthread_mutex_init(&m->ring, NULL);
	vtd_front_write(m->front, R_IQA, 8, QUEUE);
	vtd_front_write(m->front, R_PQA, 8, PRQ);
	write32(m, R_FECTL, 0);
	write32(m, R_IECTL, 0);
	write32(m, R_PECTL, 0);
	write32(m, R_GCMD, G_QIE);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct many *m = *state;

	vtd_front_destroy(m->front);
	pthread_mutex_destroy(&m->ring);
	free(m);
	return 0;
}

/* One more wait if there is room; numbered by their order in the queue */
static bool post(struct many *m)
{
	const uint64_t dw[2] = { 0x35 | m->next << 32, 0x1000 }; /* IF, SW */
	uint32_t after = (m->tail + 16) % 4096;

	if (after == read32(m, R_IQH))
		return false;
	memcpy(m->mem + QUEUE + m->tail, dw, sizeof(dw));
	m->next++;
	m->tail = after;
	write32(m, R_IQT, m->tail);
	return true;
}

static void *ring(void *arg)
{
	struct many *m = arg;
	unsigned int done = 0;

	while (done < DESCS) {
		pthread_mutex_lock(&m->ring);
		done += post(m);
		pthread_mutex_unlock(&m->ring);
		write32(m, R_ICS, 1);
	}
	return NULL;
}

static void descriptors_of_two_threads_arrive_in_order(void **state)
{
	struct many *m = *state;
	pthread_t threads[RINGERS];

	for (int i = 0; i < RINGERS; i++)
		pthread_create(&threads[i], NULL, ring, m);
	for (int i = 0; i < RINGERS; i++)
		pthread_join(threads[i], NULL);
	/* all have returned: nothing may be left */
	assert_int_equal(read32(m, R_IQH), m->tail);
	assert_int_equal(m->consumed, RINGERS * DESCS);
	assert_int_equal(m->bad, 0);
	assert_true(m->irqs[VTD_IRQ_INVALIDATION] > 0);
}

/* Errors come and go beside the queue; each acknowledgement looks at it. */
static void *kick(void *arg)
{
	struct many *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		vtd_front_ice(m->front, 0x55);
		write32(m, R_FSTS, ~0u);
		vtd_front_kick(m->front);
	}
	return NULL;
}

static void doorbells_beside_other_kicks_are_not_lost(void **state)
{
	struct many *m = *state;
	pthread_t thread;
	uint64_t lost = 0;

	pthread_create(&thread, NULL, kick, m);
	for (int i = 0; i < 20000; i++) {
		lost += !post(m);
		if (i % 100 == 0)
			sched_yield();
		/* another thread may be at it: then it is not lost, but late */
		while (read32(m, R_IQH) != m->tail)
			sched_yield();
	}
	__atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(lost, 0);
	assert_int_equal(m->consumed, 20000);
	assert_int_equal(m->bad, 0);
}

static void *faulting(void *arg)
{
	struct many *m = arg;
	struct vtd_fault fault = { .reason = 5 };

	for (unsigned int i = 0; i < FAULTS; i++) {
		fault.sid = (uint16_t)(i * 7);
		if (vtd_front_fault(m->front, &fault))
			__atomic_fetch_add(&m->recorded, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* As a driver does: from FRI on, until a record without F */
static unsigned int service(struct many *m)
{
	uint32_t fsts = read32(m, R_FSTS);
	unsigned int n = fsts >> 8 & 0xff;
	unsigned int seen = 0;

	if (!(fsts & 2)) {
		write32(m, R_FSTS, 1);
		return 0;
	}
	while (read32(m, R_FRCD + 16 * n + 12) & 0x80000000) {
		write32(m, R_FRCD + 16 * n + 12, 0x80000000);
		n = (n + 1) % 8;
		seen++;
	}
	write32(m, R_FSTS, 1);
	return seen;
}

static void each_recorded_fault_is_found_once(void **state)
{
	struct many *m = *state;
	pthread_t threads[2];
	uint64_t found = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, faulting, m);
	for (int i = 0; i < 20000; i++)
		found += service(m);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 16; i++)
		found += service(m);
	assert_int_equal(found, m->recorded);
	assert_int_equal(read32(m, R_FSTS), read32(m, R_FSTS) & ~3u);
	assert_true(m->recorded > 0 && m->irqs[VTD_IRQ_FAULT] > 0);
}

static void *requesting(void *arg)
{
	struct many *m = arg;
	const uint64_t rec[4] = { 1, 2, 3, 4 };
	unsigned int done = 0;

	while (done < REQUESTS) {
		if (vtd_front_page_request(m->front, rec))
			done++;
		else
			sched_yield();
	}
	return NULL;
}

static void page_requests_of_two_threads_all_arrive(void **state)
{
	struct many *m = *state;
	pthread_t threads[2];
	uint32_t head = 0;
	uint64_t found = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, requesting, m);
	while (found < 2 * REQUESTS) {
		uint32_t tail;

		write32(m, R_PRS, 3);
		tail = read32(m, R_PQT);
		found += ((tail - head) & 4095) / 32;
		head = tail;
		write32(m, R_PQH, head);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(found, 2 * REQUESTS);
	assert_int_equal(read32(m, R_PQT), head);
}

static void *watch(void *arg)
{
	struct many *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		struct vtd_regs regs;

		vtd_front_regs(m->front, &regs);
		if ((uint32_t)(regs.rtaddr >> 32) !=
		    (uint32_t)(regs.rtaddr & ~0xfffull))
			m->torn++;
	}
	return NULL;
}

static void pictures_are_never_torn(void **state)
{
	struct many *m = *state;
	pthread_t thread;

	pthread_create(&thread, NULL, watch, m);
	for (uint32_t i = 0; i < 30000; i++) {
		uint64_t half = (uint64_t)(i & 0xff) << 12;

		vtd_front_write(m->front, R_RTADDR, 8, half << 32 | half);
		write32(m, R_GCMD, G_QIE | G_SRTP | (i & 1 ? G_TE : 0));
	}
	__atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(m->torn, 0);
}

#define WITH_MANY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MANY(descriptors_of_two_threads_arrive_in_order),
		WITH_MANY(doorbells_beside_other_kicks_are_not_lost),
		WITH_MANY(each_recorded_fault_is_found_once),
		WITH_MANY(page_requests_of_two_threads_all_arrive),
		WITH_MANY(pictures_are_never_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
