// SPDX-License-Identifier: MIT
/*
 * Grace periods with a deadline. A short busy attempt by the caller is enough
 * unless a reader is busy at every look or stuck. Then a helper thread does
 * liburcu's wait, which no deadline can end, and the caller sleeps on a
 * condition variable, which one can.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "base/reader_priv.h"

#define TRY_NS		   20000u
#define BACKLOG_MAX	   1024u
#define BACKLOG_TIMEOUT_NS 1000000u
#define DESTROY_TIMEOUT_NS 1000000000u

/* Lives until both its owner and its thread have let go. */
struct helper {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the thread: work or stop */
	pthread_cond_t done; /* the waiters */
	uint64_t asked;	     /* tickets given out */
	uint64_t passed;     /* all up to this ticket have their grace period */
	bool running;
	pid_t process; /* in which it runs: not in a forked child */
	bool stop;
};

struct grace {
	struct helper *helper;
	pthread_mutex_t lock; /* the backlog */
	struct grace_head *head;
	struct grace_head **tail;
	size_t backlog; /* atomic: read without the lock for 0 */
	size_t help_at; /* backlog at which grace_defer() waits itself */
};

static struct helper *helper_create(void)
{
	struct helper *h = alloc_zero(sizeof(*h));
	pthread_condattr_t attr;

	if (!h)
		return NULL;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->done, &attr);
	pthread_condattr_destroy(&attr);
	return h;
}

static void helper_free(struct helper *h)
{
	pthread_cond_destroy(&h->done);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* A grace period begun after a ticket was given serves that ticket. */
static void *helper_run(void *arg)
{
	struct helper *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		uint64_t ticket = h->asked;

		if (ticket == h->passed) {
			pthread_cond_wait(&h->wake, &h->lock);
			continue;
		}
		pthread_mutex_unlock(&h->lock);
		reader_synchronize();
		pthread_mutex_lock(&h->lock);
		h->passed = ticket;
		pthread_cond_broadcast(&h->done);
	}
	pthread_mutex_unlock(&h->lock);
	helper_free(h);
	return NULL;
}

/* With lock held. */
static int helper_start(struct helper *h)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (h->running && h->process == getpid())
		return 0;
	if (alloc_fault_point())
		return -EAGAIN;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, helper_run, h);
	pthread_attr_destroy(&attr);
	h->running = !rc;
	h->process = getpid();
	return -rc;
}

static int helper_wait(struct helper *h, uint64_t deadline)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline / 1000000000u),
		.tv_nsec = (long)(deadline % 1000000000u),
	};
	uint64_t ticket;
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = helper_start(h);
	if (!rc) {
		ticket = ++h->asked;
		pthread_cond_signal(&h->wake);
		while (h->passed < ticket && !rc)
			rc = -pthread_cond_timedwait(&h->done, &h->lock, &ts);
		if (h->passed >= ticket)
			rc = 0;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

/* No thread to be had: keep looking, politely, until the deadline. */
static int poll_wait(uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 50000 };

	while (reader_now() < deadline) {
		if (grace_try(TRY_NS))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

int grace_poll(uint64_t timeout_ns)
{
	uint64_t deadline;

	if (reader_inside())
		return -EDEADLK;
	if (!reader_others())
		return 0;
	if (__builtin_add_overflow(reader_now(), timeout_ns, &deadline))
		deadline = UINT64_MAX;
	return poll_wait(deadline);
}

static int wait_readers(struct grace *g, uint64_t timeout_ns)
{
	uint64_t deadline;
	int rc;

	if (!reader_others())
		return 0;
	if (__builtin_add_overflow(reader_now(), timeout_ns, &deadline))
		deadline = UINT64_MAX;
	if (grace_try(timeout_ns < TRY_NS ? timeout_ns : TRY_NS))
		return 0;
	rc = helper_wait(g->helper, deadline);
	return rc && rc != -ETIMEDOUT ? poll_wait(deadline) : rc;
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
	g->helper = helper_create();
	if (!g->helper) {
		free(g);
		return -ENOMEM;
	}
	pthread_mutex_init(&g->lock, NULL);
	g->tail = &g->head;
	g->help_at = BACKLOG_MAX;
	*out = g;
	return 0;
}

/* The thread may be waiting for a reader stuck elsewhere: do not wait for it */
static void helper_release(struct helper *h)
{
	bool running;

	pthread_mutex_lock(&h->lock);
	running = h->running;
	h->stop = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	if (!running)
		helper_free(h);
}

void grace_destroy(struct grace *g)
{
	if (!g)
		return;
	/* The caller vouches for its readers; a miss is made less likely. */
	grace_wait(g, DESTROY_TIMEOUT_NS);
	backlog_run(backlog_take(g));
	helper_release(g->helper);
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
