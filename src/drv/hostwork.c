// SPDX-License-Identifier: MIT
/* See hostwork.h. */
#include "drv/hostwork.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* What was there, and twice what has come of it since */
#define PASSES 3

/* With the lock held; true if it left some: @left is used up */
static bool some_of_it(struct hostwork *w, uint64_t *left)
{
	bool any = true;
	uint32_t n;

	while (any) {
		if (!*left)
			return true;
		n = w->some(w, &any);
		*left -= n < *left ? n : *left;
	}
	return false;
}

static void busy(struct hostwork *w)
{
	__atomic_add_fetch(&w->busy, 1, __ATOMIC_SEQ_CST);
}

static void not_busy(struct hostwork *w)
{
	__atomic_sub_fetch(&w->busy, 1, __ATOMIC_SEQ_CST);
}

/*
 * Telling hardware that there is room may make it write what was waiting, and
 * its interrupt arrives in the middle of this function, in this thread: whoever
 * has the lock goes round again. True if it left some.
 */
static bool handle(struct hostwork *w, uint64_t enough)
{
	bool left = false;

	/* read-modify-writes, for the reason given at hostq.c's unlock() */
	while (!left && __atomic_fetch_or(&w->pending, 0, __ATOMIC_ACQ_REL) &&
	       !pthread_mutex_trylock(&w->lock)) {
		__atomic_exchange_n(&w->pending, 0, __ATOMIC_ACQ_REL);
		left = some_of_it(w, &enough);
		pthread_mutex_unlock(&w->lock);
	}
	return left;
}

static void ask_for(struct hostwork *w)
{
	__atomic_exchange_n(&w->pending, 1, __ATOMIC_ACQ_REL);
}

/* ---- the thread ---- */

/* Who wants to catch up does the work himself, and goes first. */
static void thread_handle(struct hostwork *w)
{
	bool left = true;

	while (left) {
		while (__atomic_load_n(&w->wanted, __ATOMIC_RELAXED))
			sched_yield();
		ask_for(w);
		left = handle(w, w->enough);
	}
	not_busy(w);
}

static void *thread_run(void *arg)
{
	struct hostwork_thread *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		struct hostwork *w;

		if (!t->left_n) {
			pthread_cond_wait(&t->wake, &t->lock);
			continue;
		}
		w = t->left[--t->left_n];
		pthread_mutex_unlock(&t->lock);
		thread_handle(w);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* With its lock held. No signal of the program's is for it. */
static bool thread_start(struct hostwork_thread *t)
{
	sigset_t all, before;
	int rc;

	if (t->running && t->process == getpid())
		return true;
	if (alloc_fault_point())
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&t->thread, NULL, thread_run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->process = getpid();
	t->running = !rc;
	return t->running;
}

/* False: no thread. Busy in the name of the thread from here on. */
static bool leave_to_thread(struct hostwork *w)
{
	struct hostwork_thread *t = w->thread;
	bool started;

	pthread_mutex_lock(&t->lock);
	started = thread_start(t);
	for (unsigned int i = 0; started && i < t->left_n; i++) {
		if (t->left[i] == w) {
			pthread_mutex_unlock(&t->lock);
			return true;
		}
	}
	if (started) {
		busy(w);
		t->left[t->left_n++] = w;
		pthread_cond_signal(&t->wake);
	}
	pthread_mutex_unlock(&t->lock);
	return started;
}

void hostwork_thread_init(struct hostwork_thread *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
}

void hostwork_thread_fini(struct hostwork_thread *t)
{
	bool running;

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	running = t->running && t->process == getpid();
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	if (running)
		pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

/* ---- entry points ---- */

/* Whoever has handled some goes on until there is none, or leaves some. */
static void finish(struct hostwork *w)
{
	ask_for(w);
	if (handle(w, w->enough) && !leave_to_thread(w)) {
		ask_for(w);
		handle(w, UINT64_MAX);
	}
	not_busy(w);
}

void hostwork_handle(void *arg)
{
	struct hostwork *w = arg;

	busy(w);
	finish(w);
}

/* Whoever handles has the lock, or is about to give it away. */
void hostwork_catch_up(struct hostwork *w,
		       bool (*is_behind)(const struct hostwork *w,
					 uint32_t mark),
		       uint32_t mark)
{
	unsigned int passes = 0;
	bool any = true;

	busy(w);
	__atomic_add_fetch(&w->wanted, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&w->lock);
	while (any && passes++ < PASSES && is_behind(w, mark))
		w->some(w, &any);
	pthread_mutex_unlock(&w->lock);
	__atomic_sub_fetch(&w->wanted, 1, __ATOMIC_RELAXED);
	/* what came meanwhile has found some there: no interrupt */
	finish(w);
}

void hostwork_init(struct hostwork *w)
{
	pthread_mutex_init(&w->lock, NULL);
}

void hostwork_fini(struct hostwork *w)
{
	pthread_mutex_destroy(&w->lock);
}
