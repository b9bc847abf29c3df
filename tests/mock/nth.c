// SPDX-License-Identifier: MIT
/* See nth.h: running a scenario with each injection point failing. */
#include "nth.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"
#include "lib/machine.h"

#define POINTS_MAX 200

/* What is done behind a failure */
enum way {
	ABANDONED, /* all is taken away again, then made anew */
	AGAIN,	   /* the step is tried again at once */
	LEFT,	   /* nothing: the context ends */
};

/* Steps that do without what they have not got */
static const char *const tolerated[] = {
	"IOPF", /* the device is answered INVALID */
};

void run_made(struct run *run, enum made_kind kind, uint64_t value)
{
	assert_in_range(run->nr_made, 0, MADE_MAX - 1);
	run->made[run->nr_made++] = (struct made){ kind, value };
}

static bool is_new_failure(const struct run *run)
{
	return run->armed && !run->point.step && !nestfd_fail_nth_left();
}

bool run_note(struct run *run, const char *step, int rc)
{
	if (!is_new_failure(run))
		return false;
	run->point = (struct point){ step, rc };
	return rc && run->again;
}

static void undo(struct run *run)
{
	struct nestfd *ctx = run->kit->ctx;

	while (run->nr_made) {
		const struct made *m = &run->made[--run->nr_made];
		int rc = 0;

		switch (m->kind) {
		case MADE_OBJECT:
			rc = kit_destroy(run->kit, (uint32_t)m->value);
			break;
		case MADE_FD:
			rc = close((int)m->value);
			break;
		case MADE_QUEUE_FD:
			rc = nestfd_close_fd(ctx, (int)m->value);
			break;
		case MADE_MMAP:
			nestfd_mmap_put(ctx, m->value);
			break;
		case MADE_DEVICE:
			nestfd_device_remove(
				(struct nestfd_device *)(uintptr_t)m->value);
			break;
		case MADE_MOVE:
			rc = test_op(run->kit, 10, run->object, run->ioas, 0);
			break;
		case MADE_PASID:
			rc = test_op(run->kit, 20, run->object,
				     (uint32_t)m->value, 0);
			break;
		}
		assert_int_equal(rc, 0);
	}
}

struct state {
	size_t objects;
	uint32_t next_id;
	unsigned int fds;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void look(struct kit *kit, struct state *state)
{
	/* A call, by which closed accesses are noticed */
	assert_int_equal(kit_ioas(kit, &state->next_id), 0);
	assert_int_equal(kit_destroy(kit, state->next_id), 0);
	state->objects = core_objects(kit->ctx->core);
	state->fds = count_fds();
}

static void expect_nothing_left(const struct run *run,
				const struct state *before)
{
	struct kit *kit = run->kit;
	struct state now;
	uint64_t pinned, locked;

	look(kit, &now);
	assert_int_equal(now.objects, before->objects);
	assert_int_equal(now.next_id, before->next_id);
	assert_int_equal(now.fds, before->fds + run->dmabufs);
	assert_int_equal(check_refs(kit, kit->pages, 16 * PAGE, 0), 0);
	nestfd_pinned(kit->ctx, getpid(), &pinned, &locked);
	assert_int_equal(pinned, 0);
	assert_int_equal(locked, 0);
}

static bool may_be_tolerated(const char *step)
{
	for (size_t i = 0; i < sizeof(tolerated) / sizeof(tolerated[0]); i++)
		if (!strcmp(step, tolerated[i]))
			return true;
	return false;
}

static void judge(const struct scenario *s, uint64_t nth,
		  const struct point *point)
{
	if (point->rc == -ENOMEM ||
	    (!point->rc && may_be_tolerated(point->step)))
		return;
	fail_msg("%s: point %lu, %s: %d", s->name, (unsigned long)nth,
		 point->step, point->rc);
}

/* Takes away what was made, or leaves that to the end of the context */
static void finish(struct run *run, const struct scenario *s, enum way way,
		   const struct state *before)
{
	if (way == LEFT) {
		while (run->nr_made)
			if (run->made[--run->nr_made].kind == MADE_FD)
				close((int)run->made[run->nr_made].value);
		return;
	}
	undo(run);
	expect_nothing_left(run, before);
	assert_int_equal(s->given(run), 0);
	assert_int_equal(s->when(run), 0);
	undo(run);
	expect_nothing_left(run, before);
}

/* False: there are not so many */
static bool run_point(const struct scenario *s, uint64_t nth, enum way way,
		      struct point *point)
{
	struct run run = { .again = way == AGAIN };
	unsigned int fds = count_fds();
	struct state before;
	void *kit;
	int rc;

	assert_int_equal(kit_setup(&kit), 0);
	run.kit = kit;
	look(kit, &before);
	assert_int_equal(s->given(&run), 0);
	run.armed = true;
	nestfd_fail_nth(nth);
	rc = s->when(&run);
	nestfd_fail_nth(0);
	run.armed = false;
	*point = run.point;
	if (point->step)
		judge(s, nth, point);
	assert_int_equal(rc, point->step && way != AGAIN ? point->rc : 0);
	finish(&run, s, way, &before);
	kit_teardown(&kit);
	assert_int_equal(count_fds(), fds);
	return point->step;
}

/* One line for neighbours that met the same */
static void print_points(const struct scenario *s, const struct point *points,
			 unsigned int n)
{
	print_message("%s: %u injection points\n", s->name, n);
	for (unsigned int i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n; j++)
			if (strcmp(points[i].step, points[j].step) ||
			    points[i].rc != points[j].rc)
				break;
		print_message("  %3u-%-3u %-20s -> %s\n", i + 1, j,
			      points[i].step,
			      points[i].rc ? strerrorname_np(-points[i].rc)
					   : "0, done without");
	}
}

void run_each_point(const struct scenario *s)
{
	struct point points[POINTS_MAX];
	struct point same;
	unsigned int n = 0;

	while (run_point(s, n + 1, ABANDONED, &points[n])) {
		assert_true(run_point(s, n + 1, AGAIN, &same));
		assert_true(run_point(s, n + 1, LEFT, &same));
		assert_in_range(++n, 1, POINTS_MAX - 1);
	}
	print_points(s, points, n);
	assert_in_range(n, 1, POINTS_MAX);
}
