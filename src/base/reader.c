// SPDX-License-Identifier: MIT
/*
 * Read sections are liburcu's (memb flavour, inlined: MIT is a licence that
 * its static headers allow). Added here: registration without being asked, a
 * count of readers, whose a section is, and the wait, grace_try(), which looks
 * at each thread and needs no other one. The long wait is in grace.c.
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
	/* Of the outermost section, stored in front of that count: */
	uintptr_t whose;   /* atomic: a struct grace, 0: everybody's */
	unsigned long era; /* atomic: when it began */
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
	unsigned long era;   /* atomic: grace_begin() */
} registry = {
	.era = 1,
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
static void before_fork(void)
{
	pthread_mutex_lock(&registry.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&registry.lock);
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

static inline void section_begin(uintptr_t whose)
{
	if (!urcu_memb_read_ongoing()) {
		/* pairs with grace_begin(): nothing is found of what was
		 * unpublished before this era */
		unsigned long now =
			__atomic_load_n(&registry.era, __ATOMIC_ACQUIRE);

		__atomic_store_n(&self.era, now, __ATOMIC_RELEASE);
		__atomic_store_n(&self.whose, whose, __ATOMIC_RELEASE);
	} else if (self.whose != whose) {
		__atomic_store_n(&self.whose, 0, __ATOMIC_RELEASE);
	}
}

void reader_enter_of(const struct grace *g)
{
	if (__builtin_expect(!self.registered, 0))
		register_self();
	section_begin((uintptr_t)g);
	urcu_memb_read_lock();
}

void reader_enter(void)
{
	reader_enter_of(NULL);
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

uint64_t reader_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Has the section that @r was in ended, is it of no interest to @g, or (unless
 * @since is 0) has it begun in that era or later?
 */
static bool has_left(const struct reader *r, const struct grace *g,
		     unsigned long since)
{
	unsigned long ctr = __atomic_load_n(r->ctr, __ATOMIC_ACQUIRE);
	uintptr_t whose = __atomic_load_n(&r->whose, __ATOMIC_ACQUIRE);
	unsigned long era = __atomic_load_n(&r->era, __ATOMIC_ACQUIRE);

	return !(ctr & URCU_GP_CTR_NEST_MASK) ||
	       (whose && whose != (uintptr_t)g) ||
	       (since && (long)(era - since) >= 0);
}

static bool left_section(const struct reader *r, const struct grace *g,
			 unsigned long since, uint64_t deadline)
{
	for (;;) {
		for (int spin = 0; spin < 64; spin++) {
			if (has_left(r, g, since))
				return true;
			caa_cpu_relax();
		}
		if (reader_now() >= deadline)
			return false;
	}
}

/*
 * Every running thread passes a full barrier before this returns. Where the
 * system has no such call liburcu's readers have a barrier of their own.
 */
static bool barrier_all(void)
{
	if (!urcu_memb_has_sys_membarrier) {
		cmm_smp_mb();
		return true;
	}
	return !syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0,
			0);
}

static bool all_left(const struct grace *g, unsigned long since,
		     uint64_t deadline)
{
	bool passed = true;

	if (pthread_mutex_trylock(&registry.lock))
		return false;
	for (struct reader *r = registry.head; r && passed; r = r->next)
		passed = r == &self || left_section(r, g, since, deadline);
	pthread_mutex_unlock(&registry.lock);
#if !defined(__x86_64__)
	passed = passed && barrier_all();
#endif
	if (passed)
		tsan_acquire(&tsan_section_end);
	return passed;
}

/*
 * The barrier makes what the caller unpublished visible to all: a section that
 * has not shown its count by now will not find it, and of those that have it is
 * seen whose they are. So each thread need only be seen outside, or elsewhere,
 * once. Where loads may pass later stores, a second barrier orders the
 * sections' last loads before what the caller frees.
 */
bool grace_try(const struct grace *g, uint64_t timeout_ns)
{
	uint64_t deadline = reader_now() + timeout_ns;

	return barrier_all() && all_left(g, 0, deadline);
}

/*
 * A new era, behind what the caller has unpublished: who is in a section of it
 * need not be waited for, though it is never seen outside. (On a busy machine a
 * thread that does nothing but DMA is inside whenever it is looked at.)
 */
bool grace_begin(unsigned long *since)
{
	*since = __atomic_add_fetch(&registry.era, 1, __ATOMIC_SEQ_CST);
	return barrier_all();
}

bool grace_look(const struct grace *g, unsigned long since)
{
	return all_left(g, since, 0);
}
