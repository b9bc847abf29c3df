/* SPDX-License-Identifier: MIT */
/*
 * Work that an interrupt brings: records in a queue that hardware fills, or
 * faults in registers. The interrupt comes in the thread that made hardware
 * write, and only if there was nothing before. So who handles it goes on while
 * there is more, but not for ever: when it is enough, what is left is for a
 * thread of the unit's own (a kernel's threaded interrupt), which is made when
 * it is first needed. Nobody's DMA is held up for others' for longer.
 */
#ifndef DRV_HOSTWORK_H
#define DRV_HOSTWORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of one unit */
#define HOSTWORK_KINDS 2

struct hostwork_thread;

struct hostwork {
	/*
	 * What is there when it looks: how much; *@any: there was something, so
	 * it is to be called again. With @lock held, by any thread.
	 */
	uint32_t (*some)(struct hostwork *w, bool *any);
	uint32_t enough; /* for one thread, at one interrupt */
	struct hostwork_thread *thread;

	pthread_mutex_t lock; /* handling */
	uint32_t pending;     /* atomic; 1: an interrupt not yet looked at */
	uint32_t busy;	      /* atomic: who handles, or has left some to do */
	uint32_t wanted;      /* atomic: who catches up */
};

/* The thread that does what handlers leave */
struct hostwork_thread {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	pthread_t thread;
	pid_t process; /* where it runs: it does not survive a fork */
	bool running;
	bool stop;
	struct hostwork *left[HOSTWORK_KINDS];
	unsigned int left_n;
};

void hostwork_thread_init(struct hostwork_thread *t);
/* No handler is called any more. */
void hostwork_thread_fini(struct hostwork_thread *t);

/* With the three fields set, all else 0; one of the HOSTWORK_KINDS of a thread
 */
void hostwork_init(struct hostwork *w);
void hostwork_fini(struct hostwork *w);

/* The interrupt; struct hostwork */
void hostwork_handle(void *arg);

/*
 * Goes on until nothing is left of what hardware had done before @mark, a value
 * of its own that is_behind() compares with. With no lock that some() takes.
 */
void hostwork_catch_up(struct hostwork *w,
		       bool (*is_behind)(const struct hostwork *w,
					 uint32_t mark),
		       uint32_t mark);

/* Somebody handles it, or has left some. */
static inline bool hostwork_is_busy(const struct hostwork *w)
{
	return __atomic_load_n(&w->busy, __ATOMIC_SEQ_CST);
}

#endif
