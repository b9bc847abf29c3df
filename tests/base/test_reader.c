// SPDX-License-Identifier: MIT
/* Read sections and grace periods, with readers that stay, leave or get stuck
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/alloc.h"
#include "base/reader.h"

#define MS 1000000ull

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_nsec = (long)ns };

	nanosleep(&ts, NULL);
}

static int get(int *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void set(int *p, int value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static void wait_for(int *p, int value)
{
	while (get(p) != value)
		sleep_ns(MS / 10);
}

/*
 * A thread that enters and stays in a section until told to leave: everybody's,
 * or one of two machines', or of both.
 */
struct stayer {
	pthread_t thread;
	const struct grace *of[2];
	int inside;
	int leave;
	int left;
	int end;
};

static void *stay(void *arg)
{
	struct stayer *s = arg;

	reader_enter_of(s->of[0]);
	if (s->of[1])
		reader_enter_of(s->of[1]);
	set(&s->inside, 1);
	wait_for(&s->leave, 1);
	set(&s->left, 1);
	if (s->of[1])
		reader_exit();
	reader_exit();
	wait_for(&s->end, 1);
	return NULL;
}

static void stayer_start_of(struct stayer *s, const struct grace *first,
			    const struct grace *second)
{
	*s = (struct stayer){ .of = { first, second } };
	assert_int_equal(pthread_create(&s->thread, NULL, stay, s), 0);
	wait_for(&s->inside, 1);
}

static void stayer_start(struct stayer *s)
{
	stayer_start_of(s, NULL, NULL);
}

static void stayer_end(struct stayer *s)
{
	set(&s->leave, 1);
	set(&s->end, 1);
	pthread_join(s->thread, NULL);
}

/* Something deferred, that knows how often it was freed, and in which order. */
struct thing {
	struct grace_head head;
	int freed;
};

static int freed_count;

static void free_thing(struct grace_head *head)
{
	((struct thing *)head)->freed = ++freed_count;
}

static void sections_nest(void **state)
{
	(void)state;
	assert_false(reader_inside());
	reader_enter();
	reader_enter();
	reader_exit();
	assert_true(reader_inside());
	reader_exit();
	assert_false(reader_inside());
}

static void alone_nothing_is_waited_for(void **state)
{
	struct grace *g;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	reader_enter();
	reader_exit();
	assert_false(reader_others());
	/* who had to wait would have no time left to do so */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(grace_wait(g, 0), 0);
	grace_destroy(g);
}

static void threads_count_from_entry_to_exit(void **state)
{
	struct stayer s;

	(void)state;
	stayer_start(&s);
	assert_true(reader_others());
	set(&s.leave, 1);
	wait_for(&s.left, 1);
	assert_true(reader_others());
	stayer_end(&s);
	assert_false(reader_others());
}

static void waiting_inside_a_section_is_refused(void **state)
{
	struct grace *g;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	reader_enter();
	assert_int_equal(grace_wait(g, MS), -EDEADLK);
	reader_exit();
	grace_destroy(g);
}

static void idle_readers_are_not_waited_for(void **state)
{
	struct grace *g;
	struct stayer s;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	stayer_start(&s);
	set(&s.leave, 1);
	wait_for(&s.left, 1);
	sleep_ns(5 * MS);
	for (int i = 0; i < 100; i++)
		assert_int_equal(grace_wait(g, 1000 * MS), 0);
	stayer_end(&s);
	grace_destroy(g);
}

static void *leave_soon(void *arg)
{
	struct stayer *s = arg;

	sleep_ns(30 * MS);
	set(&s->leave, 1);
	return NULL;
}

static void a_wait_ends_after_the_section(void **state)
{
	struct grace *g;
	struct stayer s;
	pthread_t t;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	for (int i = 0; i < 3; i++) {
		stayer_start(&s);
		pthread_create(&t, NULL, leave_soon, &s);
		assert_int_equal(grace_wait(g, 10000 * MS), 0);
		assert_int_equal(get(&s.left), 1);
		pthread_join(t, NULL);
		stayer_end(&s);
	}
	grace_destroy(g);
}

static void a_stuck_reader_costs_no_more_than_the_timeout(void **state)
{
	struct thing thing = { .freed = 0 };
	struct grace *g;
	struct stayer s;
	uint64_t start;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	stayer_start(&s);
	grace_defer(g, &thing.head, free_thing);
	for (int i = 0; i < 3; i++) {
		start = now();
		assert_int_equal(grace_wait(g, 20 * MS), -ETIMEDOUT);
		assert_true(now() - start >= 20 * MS);
	}
	assert_int_equal(grace_wait(g, 0), -ETIMEDOUT);
	assert_int_equal(thing.freed, 0);
	set(&s.leave, 1);
	assert_int_equal(grace_wait(g, 10000 * MS), 0);
	assert_int_equal(thing.freed, 1);
	stayer_end(&s);
	grace_destroy(g);
}

static void waiting_alone_allocates_and_frees_nothing(void **state)
{
	struct thing thing = { .freed = 0 };
	struct alloc_plan plan = { .fail_at = 1 };
	struct grace *g;
	struct stayer s;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	assert_int_equal(grace_poll(g, 0), 0); /* nobody reads */
	stayer_start(&s);
	grace_defer(g, &thing.head, free_thing);
	alloc_arm(&plan);
	assert_int_equal(grace_poll(g, 20 * MS), -ETIMEDOUT);
	set(&s.leave, 1);
	assert_int_equal(grace_poll(g, 10000 * MS), 0);
	alloc_arm(NULL);
	assert_int_equal(plan.passed, 0);
	assert_int_equal(thing.freed, 0);
	reader_enter();
	assert_int_equal(grace_poll(g, MS), -EDEADLK);
	reader_exit();
	stayer_end(&s);
	grace_destroy(g);
	assert_int_equal(thing.freed, 1);
}

static void a_wait_allocates_nothing(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct grace *g;
	struct stayer s;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	stayer_start(&s);
	alloc_arm(&plan);
	assert_int_equal(grace_wait(g, 10 * MS), -ETIMEDOUT);
	alloc_arm(NULL);
	assert_int_equal(plan.passed, 0);
	stayer_end(&s);
	grace_destroy(g);
}

/* ---- two machines ---- */

static void
a_reader_stuck_in_one_machine_is_not_waited_for_by_another(void **state)
{
	struct thing things[2] = { { .freed = 0 } };
	struct grace *g[2];
	struct stayer s;

	(void)state;
	freed_count = 0;
	for (int i = 0; i < 2; i++)
		assert_int_equal(grace_create(&g[i]), 0);
	stayer_start_of(&s, g[0], NULL);
	for (int i = 0; i < 2; i++)
		grace_defer(g[i], &things[i].head, free_thing);
	for (int i = 0; i < 100; i++)
		assert_int_equal(grace_wait(g[1], 10000 * MS), 0);
	assert_int_equal(get(&s.left), 0);
	assert_int_equal(things[1].freed, 1);
	assert_int_equal(grace_wait(g[0], MS), -ETIMEDOUT);
	assert_int_equal(grace_poll(g[1], 10000 * MS), 0);
	assert_int_equal(grace_poll(g[0], MS), -ETIMEDOUT);
	assert_int_equal(things[0].freed, 0);
	set(&s.leave, 1);
	assert_int_equal(grace_wait(g[0], 10000 * MS), 0);
	assert_int_equal(things[0].freed, 2);
	stayer_end(&s);
	for (int i = 0; i < 2; i++)
		grace_destroy(g[i]);
}

/* Whatever is entered in whatever, if they are not the same */
static void a_section_of_two_machines_is_waited_for_by_all(void **state)
{
	struct grace *g[3];
	struct stayer s;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(grace_create(&g[i]), 0);
	for (int i = 0; i < 2; i++) {
		stayer_start_of(&s, i ? g[0] : NULL, g[1]);
		for (int n = 0; n < 3; n++)
			assert_int_equal(grace_wait(g[n], MS), -ETIMEDOUT);
		stayer_end(&s);
	}
	stayer_start_of(&s, g[0], g[0]);
	assert_int_equal(grace_wait(g[0], MS), -ETIMEDOUT);
	assert_int_equal(grace_wait(g[1], 10000 * MS), 0);
	stayer_end(&s);
	for (int i = 0; i < 3; i++)
		grace_destroy(g[i]);
}

/* A thread that has been in another machine's is in the right one's now. */
static void what_counts_is_the_section_that_it_is_in(void **state)
{
	struct grace *g[2];
	struct stayer s;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(grace_create(&g[i]), 0);
	for (unsigned int i = 0; i < 40; i++) {
		/* as many as there are numbers of sections, and more */
		for (unsigned int n = 0; n < i; n++) {
			reader_enter_of(g[n % 2]);
			reader_exit();
		}
		stayer_start_of(&s, g[i % 2], NULL);
		assert_int_equal(grace_wait(g[i % 2], 0), -ETIMEDOUT);
		assert_int_equal(grace_wait(g[i % 2], MS), -ETIMEDOUT);
		assert_int_equal(grace_wait(g[!(i % 2)], 10000 * MS), 0);
		stayer_end(&s);
	}
	for (int i = 0; i < 2; i++)
		grace_destroy(g[i]);
}

/* In one section after the other, it never seems to be outside. */
static void *restless(void *arg)
{
	struct stayer *s = arg;

	while (!get(&s->end)) {
		reader_enter_of(s->of[0]);
		set(&s->inside, 1);
		reader_exit();
	}
	return NULL;
}

static void a_later_section_is_as_good_as_none(void **state)
{
	struct grace *g;
	struct stayer s;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	s = (struct stayer){ .of = { g } };
	assert_int_equal(pthread_create(&s.thread, NULL, restless, &s), 0);
	wait_for(&s.inside, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(grace_wait(g, 10000 * MS), 0);
	set(&s.end, 1);
	pthread_join(s.thread, NULL);
	grace_destroy(g);
}

static void the_deferred_run_in_order_at_the_next_wait(void **state)
{
	struct thing things[10] = { 0 };
	struct grace *g;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	for (int i = 0; i < 10; i++)
		grace_defer(g, &things[i].head, free_thing);
	assert_int_equal(freed_count, 0);
	assert_int_equal(grace_wait(g, MS), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(things[i].freed, i + 1);
	grace_destroy(g);
	assert_int_equal(freed_count, 10);
}

static void the_backlog_is_bounded(void **state)
{
	enum { COUNT = 5000 };
	struct thing *things = calloc(COUNT, sizeof(*things));
	struct grace *g;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	for (int i = 0; i < COUNT; i++) {
		grace_defer(g, &things[i].head, free_thing);
		assert_true(i + 1 - freed_count <= 1024);
	}
	grace_destroy(g);
	assert_int_equal(freed_count, COUNT);
	free(things);
}

static void inside_a_section_deferring_only_queues(void **state)
{
	enum { COUNT = 3000 };
	struct thing *things = calloc(COUNT, sizeof(*things));
	struct grace *g;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	reader_enter();
	for (int i = 0; i < COUNT; i++)
		grace_defer(g, &things[i].head, free_thing);
	assert_int_equal(freed_count, 0);
	reader_exit();
	assert_int_equal(grace_wait(g, MS), 0);
	assert_int_equal(freed_count, COUNT);
	grace_destroy(g);
	free(things);
}

static void who_deferred_inside_a_section_helps_outside(void **state)
{
	enum { COUNT = 3000 };
	struct thing *things = calloc(COUNT, sizeof(*things));
	struct grace *g;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	for (int i = 0; i < COUNT; i++) {
		reader_enter();
		grace_defer(g, &things[i].head, free_thing);
		grace_help(g); /* inside: nothing */
		assert_true(things[i].freed == 0);
		reader_exit();
		grace_help(g);
		assert_true(i + 1 - freed_count <= 1024);
	}
	grace_destroy(g);
	assert_int_equal(freed_count, COUNT);
	free(things);
}

static void a_stuck_reader_makes_the_backlog_wait_in_order(void **state)
{
	enum { COUNT = 2500 };
	struct thing *things = calloc(COUNT, sizeof(*things));
	struct grace *g;
	struct stayer s;

	(void)state;
	freed_count = 0;
	assert_int_equal(grace_create(&g), 0);
	stayer_start(&s);
	for (int i = 0; i < COUNT; i++)
		grace_defer(g, &things[i].head, free_thing);
	assert_int_equal(freed_count, 0);
	set(&s.leave, 1);
	assert_int_equal(grace_wait(g, 10000 * MS), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(things[i].freed, i + 1);
	stayer_end(&s);
	grace_destroy(g);
	free(things);
}

static void destroying_ends_though_a_foreign_reader_is_stuck(void **state)
{
	struct thing thing = { .freed = 0 };
	struct grace *g;
	struct stayer s;

	(void)state;
	assert_int_equal(grace_create(&g), 0);
	stayer_start(&s);
	assert_int_equal(grace_wait(g, MS), -ETIMEDOUT);
	grace_defer(g, &thing.head, free_thing);
	grace_destroy(g);
	assert_true(thing.freed);
	grace_destroy(NULL);
	stayer_end(&s);
}

static void failed_creation_leaves_nothing(void **state)
{
	struct alloc_plan plan = { .fail_at = 1 };
	struct grace *untouched = (struct grace *)&plan;
	struct grace *g = untouched;
	int rc;

	(void)state;
	for (;; plan.fail_at++) {
		alloc_arm(&plan);
		rc = grace_create(&g);
		alloc_arm(NULL);
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_ptr_equal(g, untouched);
	}
	print_message("%d injection points\n", (int)plan.fail_at - 1);
	assert_int_equal(plan.fail_at - 1, 1);
	grace_destroy(g);
}

/* Readers follow a pointer that the writer keeps replacing and freeing. */
struct box {
	struct grace_head head;
	uint64_t value;
	uint64_t same;
};

struct race {
	struct box *box;
	struct grace *g;
	int stop;
	int pause;
};

static void free_box(struct grace_head *head)
{
	struct box *box = (struct box *)head;

	box->same = ~box->value;
	free(box);
}

static struct box *new_box(uint64_t value)
{
	struct box *box = malloc(sizeof(*box));

	*box = (struct box){ .value = value, .same = value };
	return box;
}

static void *follow(void *arg)
{
	struct race *r = arg;
	intptr_t bad = 0;

	while (!get(&r->stop)) {
		struct box *box;

		reader_enter();
		box = reader_load(&r->box);
		bad += box->value != box->same;
		if (r->pause)
			sched_yield();
		bad += box->value != box->same;
		reader_exit();
	}
	return (void *)bad;
}

static void run_race(int pause, int rounds)
{
	struct race r = { .box = new_box(0), .pause = pause };
	pthread_t t[3];
	void *bad;

	assert_int_equal(grace_create(&r.g), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, follow, &r);
	for (int i = 1; i <= rounds; i++) {
		struct box *old = r.box;

		reader_publish(&r.box, new_box((uint64_t)i));
		if (i % 3) {
			grace_defer(r.g, &old->head, free_box);
		} else {
			assert_int_equal(grace_wait(r.g, 10000 * MS), 0);
			free_box(&old->head);
		}
	}
	set(&r.stop, 1);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	grace_destroy(r.g);
	free(r.box);
}

static void nothing_is_freed_under_busy_readers(void **state)
{
	(void)state;
	run_race(0, 3000);
}

static void nothing_is_freed_under_sleeping_readers(void **state)
{
	(void)state;
	run_race(1, 1000);
}

static void *enter_once(void *arg)
{
	struct race *r = arg;
	struct box *box;
	intptr_t bad;

	reader_enter();
	box = reader_load(&r->box);
	bad = box->value != box->same;
	reader_exit();
	return (void *)bad;
}

/* The wait is skipped when there is no reader: one may just be coming. */
static void a_reader_may_appear_at_any_moment(void **state)
{
	struct race r = { .box = new_box(0) };

	(void)state;
	assert_int_equal(grace_create(&r.g), 0);
	for (int i = 1; i <= 500; i++) {
		struct box *old = r.box;
		pthread_t t;
		void *bad;

		pthread_create(&t, NULL, enter_once, &r);
		reader_publish(&r.box, new_box((uint64_t)i));
		assert_int_equal(grace_wait(r.g, 10000 * MS), 0);
		free_box(&old->head);
		pthread_join(t, &bad);
		assert_null(bad);
	}
	assert_false(reader_others());
	grace_destroy(r.g);
	free(r.box);
}

static void *wait_often(void *arg)
{
	struct race *r = arg;
	intptr_t bad = 0;

	for (int i = 0; i < 200; i++)
		bad += grace_wait(r->g, 10000 * MS) != 0;
	return (void *)bad;
}

static void several_threads_may_wait_at_once(void **state)
{
	struct race r = { .box = new_box(0), .pause = 1 };
	pthread_t waiters[3], reader;
	void *bad;

	(void)state;
	assert_int_equal(grace_create(&r.g), 0);
	pthread_create(&reader, NULL, follow, &r);
	for (int i = 0; i < 3; i++)
		pthread_create(&waiters[i], NULL, wait_often, &r);
	for (int i = 0; i < 3; i++) {
		pthread_join(waiters[i], &bad);
		assert_null(bad);
	}
	set(&r.stop, 1);
	pthread_join(reader, NULL);
	grace_destroy(r.g);
	free(r.box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_nest),
		cmocka_unit_test(alone_nothing_is_waited_for),
		cmocka_unit_test(threads_count_from_entry_to_exit),
		cmocka_unit_test(waiting_inside_a_section_is_refused),
		cmocka_unit_test(idle_readers_are_not_waited_for),
		cmocka_unit_test(a_wait_ends_after_the_section),
		cmocka_unit_test(a_stuck_reader_costs_no_more_than_the_timeout),
		cmocka_unit_test(waiting_alone_allocates_and_frees_nothing),
		cmocka_unit_test(a_wait_allocates_nothing),
		cmocka_unit_test(
			a_reader_stuck_in_one_machine_is_not_waited_for_by_another),
		cmocka_unit_test(
			a_section_of_two_machines_is_waited_for_by_all),
		cmocka_unit_test(what_counts_is_the_section_that_it_is_in),
		cmocka_unit_test(a_later_section_is_as_good_as_none),
		cmocka_unit_test(the_deferred_run_in_order_at_the_next_wait),
		cmocka_unit_test(the_backlog_is_bounded),
		cmocka_unit_test(who_deferred_inside_a_section_helps_outside),
		cmocka_unit_test(inside_a_section_deferring_only_queues),
		cmocka_unit_test(
			a_stuck_reader_makes_the_backlog_wait_in_order),
		cmocka_unit_test(
			destroying_ends_though_a_foreign_reader_is_stuck),
		cmocka_unit_test(failed_creation_leaves_nothing),
		cmocka_unit_test(nothing_is_freed_under_busy_readers),
		cmocka_unit_test(nothing_is_freed_under_sleeping_readers),
		cmocka_unit_test(a_reader_may_appear_at_any_moment),
		cmocka_unit_test(several_threads_may_wait_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
