/* SPDX-License-Identifier: MIT */
/*
 * The host's command queue, Arm IHI 0070 3.5 and 7.1. A *batch* is a run of
 * commands with one CMD_SYNC behind it; who issues it waits for that. Batches
 * of different threads follow each other and never mix, so that an error
 * belongs to the batch that is waiting.
 */
#ifndef DRV_SMMUV3_CMDQ_H
#define DRV_SMMUV3_CMDQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/hwport.h"

#define CMDQ_POSTED_MAX 64

struct cmdq {
	const struct core_hwport *port;
	const struct logger *logger;
	unsigned int timeout_ms;
	unsigned int lg2;
	struct core_dma_mem mem;

	pthread_mutex_t lock; /* what follows, and GERRORN */
	uint32_t prod;	      /* index and wrap bit */
	uint32_t cons;	      /* last known */

	/* acknowledged errors; written under @lock, read by any */
	uint32_t gerrorn;
	bool dead; /* likewise; hardware does no DMA any more */

	/* work that interrupt handlers leave for the holder of @lock */
	pthread_mutex_t posted_lock;
	uint64_t posted[CMDQ_POSTED_MAX][2];
	uint32_t posted_n;
	uint32_t pending; /* 1: there is some */
};

struct cmdq_result {
	uint32_t done; /* commands behind which a completed sync stands */
	uint32_t code; /* SMMUV3_CERROR_* of command @done, or 0 */
};

/* 2^@lg2 entries. Programs CMDQ_BASE, PROD and CONS; CMDQEN is the caller's. */
int cmdq_init(struct cmdq *q, const struct core_hwport *port,
	      const struct logger *logger, unsigned int lg2,
	      unsigned int timeout_ms);
void cmdq_fini(struct cmdq *q);

/* Commands that fit into one batch */
uint32_t cmdq_capacity(const struct cmdq *q);

/*
 * Executes any number of commands in CPU order and waits until they are
 * complete. CMD_SYNCs among them are allowed. On failure @res says what
 * happened: -EIO with code ILL (nothing behind it was executed), -ETIMEDOUT
 * with code ATC_INV_SYNC (what is behind it in its batch was), -EIO with code
 * ABT: the queue is dead.
 */
int cmdq_issue(struct cmdq *q, const uint64_t (*cmds)[2], uint32_t n,
	       struct cmdq_result *res);

/*
 * Adds a command that needs no sync (RESUME). Never waits: may be called by an
 * interrupt handler, whatever the interrupted thread holds. Dropped with a
 * message when too many are waiting.
 */
void cmdq_post(struct cmdq *q, uint64_t dw0, uint64_t dw1);

/* GERROR has changed. Like cmdq_post(). */
void cmdq_gerror(struct cmdq *q);

#endif
