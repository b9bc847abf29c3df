/* SPDX-License-Identifier: MIT */
/*
 * The host's command queue, Arm IHI 0070 3.5 and 7.1. A *batch* is a run of
 * commands with a CMD_SYNC behind it; who issues it waits for that. Batches of
 * different threads follow each other and never mix, so that an error belongs
 * to the batch that is waiting.
 *
 * A *timeout* is a CMD_SYNC that ends with CERROR_ATC_INV_SYNC: while it
 * lasted, nobody's commands were executed. A batch has at most one: what stands
 * behind that sync is not executed. Before the next one of the same call
 * everybody who is waiting for the queue has his turn.
 */
#ifndef DRV_SMMUV3_CMDQ_H
#define DRV_SMMUV3_CMDQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/hwport.h"

/* Since the unit was made */
struct cmdq_stats {
	uint64_t batches;
	uint64_t timeouts;
	uint64_t searches; /* batches that looked for who did not answer */
	uint64_t illegal;
	uint64_t aborts;
};

struct cmdq {
	const struct core_hwport *port;
	const struct logger *logger;
	unsigned int timeout_ms;
	unsigned int lg2;
	struct core_dma_mem mem;

	pthread_mutex_t lock;	 /* what follows, and GERRORN */
	uint32_t prod;		 /* index and wrap bit */
	uint32_t cons;		 /* last known */
	uint32_t waiting[2];	 /* who found it taken: came, got it */
	struct cmdq_stats stats; /* written under @lock, read by any */

	/* acknowledged errors; written under @lock, read by any */
	uint32_t gerrorn;
	bool dead; /* likewise; hardware does no DMA any more */

	/* work that interrupt handlers leave for the holder of @lock */
	pthread_mutex_t posted_lock;
	uint64_t (*posted)[2];
	uint32_t posted_n;
	uint32_t posted_room;
	uint32_t held;	  /* cmdq_hold(); atomic, as the next */
	uint32_t pending; /* 1: there is some */
};

#define CMDQ_NO_SID UINT64_MAX

struct cmdq_result {
	uint32_t done; /* commands behind which a completed sync stands */
	uint32_t code; /* SMMUV3_CERROR_* of command @done, or 0 */
	/* ATC_INV_SYNC: the first command that was not executed, or @n. It is
	 * the CMD_SYNC that failed, if that was one of the caller's. */
	uint32_t next;
	uint32_t timeouts; /* waited for */
	/* with timeouts and no failure: the one device that may have been late,
	 * CMDQ_NO_SID if there are several */
	uint64_t suspect;
};

/* 2^@lg2 entries. Programs CMDQ_BASE, PROD and CONS; CMDQEN is the caller's. */
int cmdq_init(struct cmdq *q, const struct core_hwport *port,
	      const struct logger *logger, unsigned int lg2,
	      unsigned int timeout_ms);
void cmdq_fini(struct cmdq *q);

/* Commands that fit into one batch */
uint32_t cmdq_capacity(const struct cmdq *q);

static inline bool cmdq_is_dead(const struct cmdq *q)
{
	return __atomic_load_n(&q->dead, __ATOMIC_ACQUIRE);
}

void cmdq_read_stats(const struct cmdq *q, struct cmdq_stats *stats);

/*
 * Executes any number of commands in CPU order and waits until they are
 * complete. CMD_SYNCs among them are allowed. On failure @res says what
 * happened: -EIO with code ILL (nothing behind it was executed), -ETIMEDOUT
 * with code ATC_INV_SYNC (what is behind it was executed up to @next, and not
 * from there on), -EIO with code ABT: the queue is dead.
 *
 * An ATC_INV that is answered when it is asked again has not failed; one that
 * alone can be at fault is not asked again.
 */
int cmdq_issue(struct cmdq *q, const uint64_t (*cmds)[2], uint32_t n,
	       struct cmdq_result *res);

/*
 * Adds a command that needs no sync (RESUME, PRI_RESP). Never waits: may be
 * called by an interrupt handler, whatever the interrupted thread holds.
 * Dropped with a message without memory for it.
 */
void cmdq_post(struct cmdq *q, uint64_t dw0, uint64_t dw1);

/*
 * Until the release nothing that is posted rings the doorbell, which may run
 * handlers in this thread: for who holds locks that handlers take.
 */
void cmdq_hold(struct cmdq *q);
void cmdq_release(struct cmdq *q);

/* GERROR bits that are active */
uint32_t cmdq_errors(const struct cmdq *q);

/* GERROR has changed. Like cmdq_post(). */
void cmdq_gerror(struct cmdq *q);

#endif
