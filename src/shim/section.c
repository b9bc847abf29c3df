// SPDX-License-Identifier: MIT
/*
 * Sections. Entering and leaving one costs two stores; who waits for sections
 * pays with membarrier(2). Each thread has a record, taken at its first section
 * and given back at its end; records are never freed.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"

/* Nobody waits longer for a thread that is stuck in memory of the program. */
#define WAIT_NS 5000000000ull

__thread struct section *section_mine;
_Atomic bool section_frozen;
bool section_fence;

static _Atomic(struct section *) sections;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;
static pthread_mutex_t freezing = PTHREAD_MUTEX_INITIALIZER;

static void give_back(void *arg)
{
	struct section *s = arg;

	section_mine = NULL;
	atomic_store_explicit(&s->taken, false, memory_order_release);
}

static void start(void)
{
	have_key = !pthread_key_create(&key, give_back);
	section_fence =
		syscall(SYS_membarrier,
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
}

/* From mmap(), not malloc(): a signal handler may be the first to need one. */
static struct section *make(void)
{
	struct section *s = REAL(mmap)(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		abort(); /* no thread can go on without its record */
	atomic_store(&s->taken, true);
	s->next = atomic_load(&sections);
	while (!atomic_compare_exchange_weak(&sections, &s->next, s))
		;
	return s;
}

struct section *section_claim(void)
{
	struct section *s;
	bool taken;

	pthread_once(&once, start);
	for (s = atomic_load(&sections); s; s = s->next) {
		taken = false;
		if (atomic_compare_exchange_strong(&s->taken, &taken, true))
			break;
	}
	if (!s)
		s = make();
	section_mine = s;
	if (have_key)
		pthread_setspecific(key, s);
	return s;
}

static void nap(void)
{
	static const struct timespec ts = { .tv_nsec = 20000 };

	nanosleep(&ts, NULL);
}

void section_wait(struct section *s)
{
	while (atomic_load_explicit(&section_frozen, memory_order_acquire)) {
		atomic_store_explicit(&s->depth, 0, memory_order_release);
		while (atomic_load_explicit(&section_frozen,
					    memory_order_acquire))
			nap();
		atomic_store_explicit(&s->depth, 1, memory_order_relaxed);
		section_full_fence();
	}
}

static void barrier_all(void)
{
	section_full_fence();
	if (!section_fence)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Every other thread has been outside at some moment from now on. */
void section_quiesce(void)
{
	uint64_t deadline = now() + WAIT_NS;

	pthread_once(&once, start);
	barrier_all();
	for (struct section *s = atomic_load(&sections); s; s = s->next) {
		uint32_t passes = atomic_load(&s->passes);

		while (s != section_mine && atomic_load(&s->depth) &&
		       atomic_load(&s->passes) == passes && now() < deadline)
			nap();
	}
}

void section_freeze(void)
{
	pthread_mutex_lock(&freezing);
	atomic_store(&section_frozen, true);
	section_quiesce();
}

void section_thaw(void)
{
	atomic_store(&section_frozen, false);
	pthread_mutex_unlock(&freezing);
}

void section_after_fork(void)
{
	for (struct section *s = atomic_load(&sections); s; s = s->next) {
		if (s == section_mine)
			continue;
		atomic_store(&s->depth, 0);
		atomic_store(&s->queued, 0);
		atomic_store(&s->taken, false);
	}
	pthread_mutex_init(&freezing, NULL);
	atomic_store(&section_frozen, false);
	/* Registration for membarrier is inherited by fork(). */
}

/*
 * Signals that had to wait are sent once more, each with what it came with;
 * now the program's handler gets them.
 */
void section_deliver(struct section *s)
{
	siginfo_t signals[SECTION_SIGNALS];
	sigset_t all, old;
	uint32_t n;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	n = atomic_exchange(&s->queued, 0);
	for (uint32_t i = 0; i < n; i++)
		signals[i] = s->signals[i];
	for (uint32_t i = 0; i < n; i++)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid),
			signals[i].si_signo, &signals[i]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
