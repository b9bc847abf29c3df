// SPDX-License-Identifier: MIT
/*
 * Read sections are liburcu's (memb flavour, inlined: MIT is a licence that
 * its static headers allow). Added here: registration without being asked, a
 * count of readers, and the short wait, grace_try(), that needs no other
 * thread. The long wait with its helper thread is in grace.c.
 */
#define _LGPL_SOURCE
#include "base/tsan.h"
#if BASE_TSAN
#undef _LGPL_SOURCE /* the library itself is not instrumented, so is silent */
#endif

#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <urcu/static/urcu-memb.h>
#include <urcu/urcu-memb.h>

#include "base/reader.h"
#include "base/reader_priv.h"

/* A registered thread, linked in the registry while it lives. */
struct reader {
	struct reader *next;
	struct reader *prev;
	const unsigned long *ctr; /* liburcu's nesting count of the thread */
	bool registered;
};

static __thread struct reader self;

/* liburcu's registry, seen from our side. */
static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	pthread_key_t key;
	struct reader *head;
	unsigned long count; /* changed under lock, read without */
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.once = PTHREAD_ONCE_INIT,
};

/* What TSan shall believe: an exit happens before the end of a grace period */
static char tsan_section_end __attribute__((unused));

static void thread_exits(void *arg)
{
	struct reader *r = arg;

	pthread_mutex_lock(&registry.lock);
	if (r->prev)
		r->prev->next = r->next;
	else
		registry.head = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->registered = false;
	urcu_memb_unregister_thread();
	__atomic_fetch_sub(&registry.count, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&registry.lock);
}

/*
 * fork() leaves one thread. The others' records lie in memory that new threads
 * will get, so the child forgets them; nobody may be changing a list then.
 */
static pthread_mutex_t synchronizing = PTHREAD_MUTEX_INITIALIZER;
static bool have_synchronizing;

static void before_fork(void)
{
	struct timespec until;

	/* Who synchronizes can be waiting for a stuck reader: not for ever. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	have_synchronizing = !pthread_mutex_timedlock(&synchronizing, &until);
	pthread_mutex_lock(&registry.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&registry.lock);
	if (have_synchronizing)
		pthread_mutex_unlock(&synchronizing);
}

static void after_fork_child(void)
{
	for (struct reader *r = registry.head; r; r = r->next) {
		if (r != &self)
			cds_list_del(&caa_container_of(r->ctr,
						       struct urcu_reader, ctr)
					      ->node);
	}
	self.next = NULL;
	self.prev = NULL;
	registry.head = self.registered ? &self : NULL;
	__atomic_store_n(&registry.count, self.registered ? 1 : 0,
			 __ATOMIC_SEQ_CST);
	pthread_mutex_init(&registry.lock, NULL);
	pthread_mutex_init(&synchronizing, NULL);
}

static void make_key(void)
{
	/* Without the key liburcu would keep pointers into dead threads. */
	if (pthread_key_create(&registry.key, thread_exits) ||
	    pthread_atfork(before_fork, after_fork_parent, after_fork_child))
		abort();
}

static __attribute__((noinline)) void register_self(void)
{
	pthread_once(&registry.once, make_key);
	if (pthread_setspecific(registry.key, &self))
		abort();
	pthread_mutex_lock(&registry.lock);
	urcu_memb_register_thread();
	self.ctr = &URCU_TLS(urcu_memb_reader).ctr;
	self.prev = NULL;
	self.next = registry.head;
	if (self.next)
		self.next->prev = &self;
	registry.head = &self;
	self.registered = true;
	/*
	 * Pairs with reader_others(), both being read-modify-writes: either
	 * the writer there counts us, or we see all it has unpublished.
	 */
	__atomic_fetch_add(&registry.count, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&registry.lock);
}

void reader_enter(void)
{
	if (__builtin_expect(!self.registered, 0))
		register_self();
	urcu_memb_read_lock();
}

void reader_exit(void)
{
	tsan_release(&tsan_section_end);
	urcu_memb_read_unlock();
}

bool reader_inside(void)
{
	return self.registered && urcu_memb_read_ongoing();
}

bool reader_others(void)
{
	unsigned long count =
		__atomic_fetch_add(&registry.count, 0, __ATOMIC_SEQ_CST);

	return count > (self.registered ? 1 : 0);
}

void reader_synchronize(void)
{
	pthread_mutex_lock(&synchronizing);
	urcu_memb_synchronize_rcu();
	pthread_mutex_unlock(&synchronizing);
	tsan_acquire(&tsan_section_end);
}

uint64_t reader_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Has the section that @r was first seen in, if any, ended? */
static bool left_section(const struct reader *r, uint64_t deadline)
{
	for (;;) {
		for (int spin = 0; spin < 64; spin++) {
			unsigned long ctr =
				__atomic_load_n(r->ctr, __ATOMIC_ACQUIRE);

			if (!(ctr & URCU_GP_CTR_NEST_MASK))
				return true;
			caa_cpu_relax();
		}
		if (reader_now() >= deadline)
			return false;
	}
}

/* Every running thread passes a full barrier before this returns. */
static bool barrier_all(void)
{
	return !syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0,
			0);
}

/*
 * The barrier makes what the caller unpublished visible to all: a section that
 * has not shown its count by now will not find it. So each thread need only be
 * seen outside once. Where loads may pass later stores, a second barrier
 * orders the sections' last loads before what the caller frees.
 */
bool grace_try(uint64_t timeout_ns)
{
	uint64_t deadline = reader_now() + timeout_ns;
	bool passed = true;

	if (!barrier_all())
		return false;
	if (pthread_mutex_trylock(&registry.lock))
		return false;
	for (struct reader *r = registry.head; r && passed; r = r->next)
		passed = r == &self || left_section(r, deadline);
	pthread_mutex_unlock(&registry.lock);
#if !defined(__x86_64__)
	passed = passed && barrier_all();
#endif
	if (passed)
		tsan_acquire(&tsan_section_end);
	return passed;
}
