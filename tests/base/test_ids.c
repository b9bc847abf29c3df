// SPDX-License-Identifier: MIT
/* Object ids: reserved first, published last, lowest free one next. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/ids.h"

static void ids_count_from_one(void **state)
{
	struct ids t;
	uint32_t id;

	(void)state;
	ids_init(&t, 0);
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_int_equal(ids_reserve(&t, &id), 0);
		assert_int_equal(id, i);
	}
	ids_fini(&t);
}

static void the_lowest_freed_id_comes_next(void **state)
{
	static const uint32_t freed[] = { 700, 256, 3, 512, 255 };
	static const uint32_t want[] = { 3, 255, 256, 512, 700, 1001 };
	struct ids t;
	uint32_t id;

	(void)state;
	ids_init(&t, 0);
	for (int i = 0; i < 1000; i++)
		ids_reserve(&t, &id);
	for (int i = 0; i < 5; i++)
		assert_null(ids_remove(&t, freed[i]));
	for (int i = 0; i < 6; i++) {
		assert_int_equal(ids_reserve(&t, &id), 0);
		assert_int_equal(id, want[i]);
	}
	ids_fini(&t);
}

static void only_published_ids_are_found(void **state)
{
	struct ids t;
	uint32_t id;
	int a, b;

	(void)state;
	ids_init(&t, 0);
	assert_null(ids_get(&t, 1));
	ids_reserve(&t, &id);
	assert_null(ids_get(&t, id));
	ids_publish(&t, id, &a);
	assert_ptr_equal(ids_get(&t, id), &a);
	ids_publish(&t, id, &b);
	assert_ptr_equal(ids_unpublish(&t, id), &b);
	assert_null(ids_get(&t, id));
	assert_null(ids_unpublish(&t, id));
	ids_reserve(&t, &id);
	assert_int_equal(id, 2);
	ids_publish(&t, 1, &a);
	assert_ptr_equal(ids_remove(&t, 1), &a);
	assert_null(ids_get(&t, 1));
	assert_null(ids_remove(&t, 1));
	ids_fini(&t);
}

static void odd_numbers_find_nothing(void **state)
{
	static const uint32_t odd[] = { 0,	    2,		256,
					65536,	    0x7fffffff, 0x80000000,
					0x80000001, 0xffffffff };
	struct ids t;
	uint32_t id;

	(void)state;
	ids_init(&t, 0);
	ids_reserve(&t, &id);
	ids_publish(&t, id, &t);
	for (int i = 0; i < 8; i++) {
		assert_null(ids_get(&t, odd[i]));
		assert_null(ids_remove(&t, odd[i]));
	}
	assert_ptr_equal(ids_get(&t, 1), &t);
	ids_fini(&t);
}

static void a_full_table_says_enospc(void **state)
{
	static const uint32_t limits[] = { 1, 255, 256, 257, 70000 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct ids t;
		uint32_t id = 0;

		ids_init(&t, limits[i]);
		for (uint32_t n = 1; n <= limits[i]; n++)
			assert_int_equal(ids_reserve(&t, &id), 0);
		assert_int_equal(ids_reserve(&t, &id), -ENOSPC);
		assert_int_equal(id, limits[i]);
		ids_remove(&t, 1);
		assert_int_equal(ids_reserve(&t, &id), 0);
		assert_int_equal(id, 1);
		assert_int_equal(ids_reserve(&t, &id), -ENOSPC);
		ids_fini(&t);
	}
}

static void iteration_sees_published_ids_in_order(void **state)
{
	static const uint32_t live[] = { 1,	255,   256,   257,
					 65535, 65536, 66000, 140000 };
	struct ids t;
	uint32_t id, after = 0;

	(void)state;
	ids_init(&t, 0);
	assert_null(ids_next(&t, 0, &id));
	for (int i = 0; i < 140000; i++)
		ids_reserve(&t, &id);
	assert_null(ids_next(&t, 0, &id));
	for (int i = 0; i < 8; i++)
		ids_publish(&t, live[i], (void *)&live[i]);
	for (int i = 0; i < 8; i++) {
		assert_ptr_equal(ids_next(&t, after, &id), &live[i]);
		assert_int_equal(id, live[i]);
		after = id;
	}
	id = 77;
	assert_null(ids_next(&t, after, &id));
	assert_null(ids_next(&t, UINT32_MAX, &id));
	assert_int_equal(id, 77);
	ids_unpublish(&t, 257);
	ids_remove(&t, 65535);
	assert_ptr_equal(ids_next(&t, 256, &id), &live[5]);
	ids_fini(&t);
}

static void a_random_mix_agrees_with_an_array(void **state)
{
	enum { MAX = 3000 };
	static void *model[MAX + 1]; /* model itself: reserved */
	uint64_t seed = 42;
	struct ids t;

	(void)state;
	ids_init(&t, MAX);
	for (int step = 0; step < 60000; step++) {
		uint32_t at, id, low = 1;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at = (uint32_t)(seed >> 33) % MAX + 1;
		if (seed >> 63 || step < 4000) {
			while (low <= MAX && model[low])
				low++;
			if (low > MAX) {
				assert_int_equal(ids_reserve(&t, &id), -ENOSPC);
				continue;
			}
			assert_int_equal(ids_reserve(&t, &id), 0);
			assert_int_equal(id, low);
			model[id] = model;
			if (seed & 1ULL << 40) {
				model[id] = &model[id];
				ids_publish(&t, id, &model[id]);
			}
		} else {
			void *was = model[at] == model ? NULL : model[at];

			assert_ptr_equal(ids_get(&t, at), was);
			assert_ptr_equal(ids_remove(&t, at), was);
			model[at] = NULL;
		}
		for (low = at + 1; low <= MAX; low++) {
			if (model[low] && model[low] != model)
				break;
		}
		assert_ptr_equal(ids_next(&t, at, &id),
				 low <= MAX ? model[low] : NULL);
	}
	ids_fini(&t);
}

static void a_million_ids_are_no_trouble(void **state)
{
	static char objects[1000001];
	struct ids t;
	uint32_t id;

	(void)state;
	ids_init(&t, 0);
	for (uint32_t i = 1; i <= 1000000; i++) {
		ids_reserve(&t, &id);
		ids_publish(&t, id, &objects[i]);
	}
	assert_int_equal(id, 1000000);
	for (uint32_t i = 1; i <= 1000000; i += 3)
		assert_ptr_equal(ids_get(&t, i), &objects[i]);
	for (uint32_t i = 1; i < 1000000; i++)
		ids_remove(&t, i);
	assert_ptr_equal(ids_next(&t, 0, &id), &objects[1000000]);
	ids_fini(&t);
}

/* Each reservation with each of its allocations failing, then succeeding. */
static void failed_reservations_leave_no_trace(void **state)
{
	struct ids t;
	uint32_t id = 0;
	int points = 0;

	(void)state;
	ids_init(&t, 0);
	for (uint32_t i = 1; i <= 600; i++) {
		struct alloc_plan plan = { .fail_at = 1 };
		int rc;

		for (;; plan.fail_at++) {
			alloc_arm(&plan);
			rc = ids_reserve(&t, &id);
			alloc_arm(NULL);
			if (!rc)
				break;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(id, i - 1);
			assert_null(ids_get(&t, i));
			points++;
		}
		assert_int_equal(id, i);
	}
	print_message("%d injection points\n", points);
	/*
	 * Nodes got before a failure stay, so the first id fails at its first,
	 * then (root there) third, then (one more there) last node; each of two
	 * more leaves fails once.
	 */
	assert_int_equal(points, 3 + 2);
	ids_fini(&t);
}

struct shared {
	struct ids t;
	int stop;
};

static void *look_up(void *arg)
{
	struct shared *s = arg;
	uint64_t found = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		for (uint32_t id = 0; id < 3000; id++) {
			uint32_t *obj = ids_get(&s->t, id);

			if (obj && *obj != id)
				return (void *)1;
			found += obj != NULL;
		}
	}
	return found ? NULL : (void *)2;
}

static void lookups_may_run_beside_writers(void **state)
{
	static uint32_t objects[2001];
	struct shared s = { .stop = 0 };
	pthread_t threads[2];
	uint32_t id;
	void *bad;

	(void)state;
	ids_init(&s.t, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, look_up, &s);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 2000; i++) {
			assert_int_equal(ids_reserve(&s.t, &id), 0);
			if (!round)
				objects[id] = id;
			ids_publish(&s.t, id, &objects[id]);
		}
		for (uint32_t i = 1; round < 19 && i <= 2000; i++)
			assert_ptr_equal(ids_remove(&s.t, i), &objects[i]);
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &bad);
		assert_ptr_not_equal(bad, (void *)1);
	}
	ids_fini(&s.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_count_from_one),
		cmocka_unit_test(the_lowest_freed_id_comes_next),
		cmocka_unit_test(only_published_ids_are_found),
		cmocka_unit_test(odd_numbers_find_nothing),
		cmocka_unit_test(a_full_table_says_enospc),
		cmocka_unit_test(iteration_sees_published_ids_in_order),
		cmocka_unit_test(a_random_mix_agrees_with_an_array),
		cmocka_unit_test(a_million_ids_are_no_trouble),
		cmocka_unit_test(failed_reservations_leave_no_trace),
		cmocka_unit_test(lookups_may_run_beside_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
