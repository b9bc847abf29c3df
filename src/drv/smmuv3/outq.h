/* SPDX-License-Identifier: MIT */
/*
 * A queue that hardware fills: events or page requests, Arm IHI 0070 3.5. Its
 * interrupt comes in the thread that made hardware write, and only when the
 * queue was empty before. So who handles it goes on while records come, but not
 * for ever: after as many as the queue holds, what is left is for a thread of
 * the unit's own (a kernel's threaded interrupt), which is made when it is
 * first needed. Nobody's DMA is held up for others' events for longer.
 */
#ifndef DRV_SMMUV3_OUTQ_H
#define DRV_SMMUV3_OUTQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/hwport.h"

#define OUTQ_DWORDS_MAX 4

struct unit;
struct outq_thread;

struct outq {
	struct unit *unit;
	struct core_dma_mem mem;
	unsigned int lg2;
	unsigned int dwords; /* of a record */
	uint32_t prod_reg;
	uint32_t cons_reg;
	/*
	 * One record, CPU order; and overflowed() once hardware has lost some.
	 * An event queue takes records again as soon as there is room, so that
	 * those that are there may have come later: @lost_first. A PRI queue
	 * does not, and all that is there came before. Called with @lock held,
	 * by any thread.
	 */
	void (*record)(struct unit *u, const uint64_t *dw);
	void (*overflowed)(struct unit *u);
	bool lost_first;
	struct outq_thread *thread;

	pthread_mutex_t lock; /* handling, and @cons */
	uint32_t cons;
	uint32_t pending; /* atomic; 1: an interrupt not yet looked at */
	uint32_t busy;	  /* atomic: who handles, or has left some to do */
	uint32_t wanted;  /* atomic: who catches up */
};

/* The thread that does what handlers leave; of one unit */
struct outq_thread {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	pthread_t thread;
	pid_t process; /* where it runs: it does not survive a fork */
	bool running;
	bool stop;
	struct outq *left[2];
	unsigned int left_n;
};

void outq_thread_init(struct outq_thread *t);
/* No handler is called any more. */
void outq_thread_fini(struct outq_thread *t);

/* With the register offsets and functions set; 2^@lg2 records. -ENOMEM */
int outq_init(struct outq *q, struct unit *u, uint32_t base_reg,
	      unsigned int lg2);
void outq_fini(struct outq *q);

/* The interrupt; struct outq */
void outq_handle(void *arg);

/*
 * Everything that hardware had written before is with core when it returns.
 * With no lock that record() takes.
 */
void outq_catch_up(struct outq *q);

/*
 * The same behind a CMD_SYNC: that waits for DMA in flight, and so for those
 * who were about to handle what they made hardware write, but not for who then
 * handles more. One load if nobody does.
 */
static inline void outq_sync(struct outq *q)
{
	if (__builtin_expect(__atomic_load_n(&q->busy, __ATOMIC_SEQ_CST), 0))
		outq_catch_up(q);
}

#endif
