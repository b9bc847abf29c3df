// SPDX-License-Identifier: MIT
/*
 * Grace periods with a deadline, of one machine each. A short busy attempt is
 * enough unless a reader is stuck, or has lost its processor. Then the caller
 * looks again from time to time: liburcu's own wait could be ended by no
 * deadline, and would be for the readers of all machines.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "base/reader_priv.h"

#define TRY_NS		   20000u
#define NAP_MIN_NS	   50000u
#define NAP_MAX_NS	   1000000u
#define BACKLOG_MAX	   1024u
#define BACKLOG_TIMEOUT_NS 1000000u
#define DESTROY_TIMEOUT_NS 1000000000u

struct grace {
	pthread_mutex_t lock; /* the backlog */
	struct grace_head *head;
	struct grace_head **tail;
	size_t backlog; /* atomic: read without the lock for 0 */
	size_t help_at; /* backlog at which grace_defer() waits itself */
};

/*
 * Looks again and again, ever more politely: the longer a reader has been where
 * it is, the less it matters when its end is seen. One look at least, however
 * late it is.
 */
static int poll_wait(const struct grace *g, uint64_t deadline)
{
	uint64_t start = reader_now();
	uint64_t now = start;
	unsigned long since;
	bool done;

	if (!grace_begin(&since))
		return -ETIMEDOUT;
	for (done = grace_look(g, since); !done && now < deadline;
	     done = grace_look(g, since)) {
		uint64_t nap = (now - start) / 8;

		nap = nap < NAP_MIN_NS ? NAP_MIN_NS : nap;
		nap = nap > NAP_MAX_NS ? NAP_MAX_NS : nap;
		nanosleep(&(struct timespec){ .tv_nsec = (long)nap }, NULL);
		now = reader_now();
	}
	return done ? 0 : -ETIMEDOUT;
}

int grace_poll(const struct grace *g, uint64_t timeout_ns)
{
	uint64_t deadline;

	if (reader_inside())
		return -EDEADLK;
	if (!reader_others())
		return 0;
	if (__builtin_add_overflow(reader_now(), timeout_ns, &deadline))
		deadline = UINT64_MAX;
	return poll_wait(g, deadline);
}

static int wait_readers(const struct grace *g, uint64_t timeout_ns)
{
	uint64_t deadline;

	if (!reader_others())
		return 0;
	if (__builtin_add_overflow(reader_now(), timeout_ns, &deadline))
		deadline = UINT64_MAX;
	if (grace_try(g, timeout_ns < TRY_NS ? timeout_ns : TRY_NS))
		return 0;
	return poll_wait(g, deadline);
}

static void backlog_count(struct grace *g, size_t count)
{
	__atomic_store_n(&g->backlog, count, __ATOMIC_RELAXED);
}

static struct grace_head *backlog_take(struct grace *g)
{
	struct grace_head *head;

	/* What the caller knows to be deferred, it sees counted. */
	if (!__atomic_load_n(&g->backlog, __ATOMIC_RELAXED))
		return NULL;
	pthread_mutex_lock(&g->lock);
	head = g->head;
	g->head = NULL;
	g->tail = &g->head;
	backlog_count(g, 0);
	g->help_at = BACKLOG_MAX;
	pthread_mutex_unlock(&g->lock);
	return head;
}

/* The wait failed: they stay first in line, and nobody retries too soon. */
static void backlog_return(struct grace *g, struct grace_head *head)
{
	struct grace_head *last = head;
	size_t count = 1;

	if (!head)
		return;
	for (; last->next; last = last->next)
		count++;
	pthread_mutex_lock(&g->lock);
	last->next = g->head;
	if (!g->head)
		g->tail = &last->next;
	g->head = head;
	backlog_count(g, g->backlog + count);
	g->help_at = g->backlog + BACKLOG_MAX;
	pthread_mutex_unlock(&g->lock);
}

static void backlog_run(struct grace_head *head)
{
	while (head) {
		struct grace_head *next = head->next;

		head->fn(head);
		head = next;
	}
}

int grace_create(struct grace **out)
{
	struct grace *g = alloc_zero(sizeof(*g));

	if (!g)
		return -ENOMEM;
	pthread_mutex_init(&g->lock, NULL);
	g->tail = &g->head;
	g->help_at = BACKLOG_MAX;
	*out = g;
	return 0;
}

void grace_destroy(struct grace *g)
{
	if (!g)
		return;
	/* The caller vouches for its readers; a miss is made less likely. */
	grace_wait(g, DESTROY_TIMEOUT_NS);
	backlog_run(backlog_take(g));
	pthread_mutex_destroy(&g->lock);
	free(g);
}

int grace_wait(struct grace *g, uint64_t timeout_ns)
{
	struct grace_head *head;
	int rc;

	if (reader_inside())
		return -EDEADLK;
	head = backlog_take(g);
	rc = wait_readers(g, timeout_ns);
	if (rc)
		backlog_return(g, head);
	else
		backlog_run(head);
	return rc;
}

void grace_defer(struct grace *g, struct grace_head *head,
		 void (*fn)(struct grace_head *head))
{
	bool help;

	head->next = NULL;
	head->fn = fn;
	pthread_mutex_lock(&g->lock);
	*g->tail = head;
	g->tail = &head->next;
	backlog_count(g, g->backlog + 1);
	help = g->backlog >= g->help_at;
	pthread_mutex_unlock(&g->lock);
	if (help && !reader_inside())
		grace_wait(g, BACKLOG_TIMEOUT_NS);
}

void grace_help(struct grace *g)
{
	bool help;

	if (__atomic_load_n(&g->backlog, __ATOMIC_RELAXED) < BACKLOG_MAX ||
	    reader_inside())
		return;
	pthread_mutex_lock(&g->lock);
	help = g->backlog >= g->help_at;
	pthread_mutex_unlock(&g->lock);
	if (help)
		grace_wait(g, BACKLOG_TIMEOUT_NS);
}
