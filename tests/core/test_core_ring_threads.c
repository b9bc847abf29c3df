// SPDX-License-Identifier: MIT
/*
 * A producer that goes on while the queue is consumed, and scribbles where it
 * may not: each entry is consumed once, in order, as it was when PROD passed
 * it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "queue.h"

#define BITS	2
#define SLOTS	(1U << BITS)
#define INDICES (2 * SLOTS - 1)
#define TOTAL	20000U

struct rig {
	struct world w; /* first: world_of() */
	unsigned char log[SLOTS][16];
	_Atomic uint64_t slots[SLOTS][2];
	_Atomic uint32_t prod;
	struct queue q; /* its cons: what the producer watches */
	_Atomic bool stop;
};

static int setup_rig(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	world_begin_nested(&r->w);
	r->w.unit.inval_log = r->log;
	r->w.unit.inval_chunk = 3;
	assert_rc(ext_enable(&r->w, 2), 0);
	queue_init(&r->q, r->w.viommu, r->slots, BITS, SLOTS);
	*state = r;
	return 0;
}

/* The guest: waits for room, writes the entry, moves PROD. */
static void *produce(void *arg)
{
	struct rig *r = arg;
	uint32_t prod = 0;

	for (uint32_t n = 0; n < TOTAL; n++) {
		_Atomic uint64_t *slot = r->slots[prod % SLOTS];

		while (((prod - __atomic_load_n(&r->q.cons, __ATOMIC_ACQUIRE)) &
			INDICES) == SLOTS)
			sched_yield();
		atomic_store_explicit(&slot[0], n, memory_order_relaxed);
		atomic_store_explicit(&slot[1], ~(uint64_t)n,
				      memory_order_relaxed);
		prod = (prod + 1) & INDICES;
		atomic_store_explicit(&r->prod, prod, memory_order_release);
	}
	return NULL;
}

static void check_entry(const struct rig *r, uint32_t at, uint32_t n)
{
	uint64_t words[2];

	memcpy(words, r->log[at], sizeof(words));
	assert_int_equal(words[0], n);
	assert_int_equal(words[1], ~(uint64_t)n);
}

/* Each call may fail after an entry or two, and is made again. */
static void entries_arrive_once_and_in_order(void **state)
{
	struct rig *r = (struct rig *)world_of(state);
	uint32_t next = 0;
	pthread_t guest;

	assert_rc(pthread_create(&guest, NULL, produce, r), 0);
	while (next < TOTAL) {
		uint32_t prod =
			atomic_load_explicit(&r->prod, memory_order_acquire);
		uint32_t before = r->q.cons;
		uint32_t n;
		int rc;

		r->w.unit.inval_rc = next % 3 ? -EIO : 0;
		r->w.unit.inval_done = next % 2 + 1;
		rc = queue_consume(&r->w, &r->q, prod);
		n = (r->q.cons - before) & INDICES;
		assert_true(n <= SLOTS);
		assert_true(((prod - r->q.cons) & INDICES) <= SLOTS);
		assert_true(rc || r->q.cons == prod);
		for (uint32_t i = 0; i < n; i++)
			check_entry(r, i, next++);
		if (!n)
			sched_yield();
	}
	pthread_join(guest, NULL);
	assert_int_equal(r->q.cons, TOTAL & INDICES);
}

/* A guest gone mad: any PROD, any entry, at any time */
static void *scribble(void *arg)
{
	struct rig *r = arg;
	uint32_t seed = 1;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		seed = seed * 1103515245u + 12345u;
		atomic_store_explicit(&r->prod, seed >> 28,
				      memory_order_relaxed);
		atomic_store_explicit(&r->slots[seed >> 16 & 3][seed >> 20 & 1],
				      seed, memory_order_relaxed);
	}
	return NULL;
}

static void a_mad_producer_gets_no_more_than_one_queue(void **state)
{
	struct rig *r = (struct rig *)world_of(state);
	pthread_t guest;

	assert_rc(pthread_create(&guest, NULL, scribble, r), 0);
	for (uint32_t i = 0; i < TOTAL; i++) {
		uint32_t prod =
			atomic_load_explicit(&r->prod, memory_order_acquire);
		uint32_t before = r->q.cons;
		uint32_t pending = (prod - before) & INDICES;
		bool good = prod <= INDICES && pending <= SLOTS;

		assert_rc(queue_consume(&r->w, &r->q, prod),
			  good ? 0 : -EINVAL);
		assert_int_equal(r->q.cons, good ? prod : before);
	}
	r->stop = true;
	pthread_join(guest, NULL);
}

int main(void)
{
#define RIG_CASE(f) \
	cmocka_unit_test_setup_teardown(f, setup_rig, teardown_world)
	const struct CMUnitTest tests[] = {
		RIG_CASE(entries_arrive_once_and_in_order),
		RIG_CASE(a_mad_producer_gets_no_more_than_one_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
