/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a front share.
 *
 * Locks. @lock guards the register file and is never held across a callback.
 * An output queue's lock is held while a record is written to memory, and
 * never while an interrupt is sent. Order: queue lock, then @lock.
 *
 * Callbacks may come back: memory that the guest names may be this SMMU's own
 * registers, and an interrupt handler may write GERRORN at once. So a thread
 * never waits for work that it is itself in the middle of.
 *
 * Register fields marked A are read without the lock, by __atomic loads.
 */
#ifndef FRONT_SMMUV3_INTERNAL_H
#define FRONT_SMMUV3_INTERNAL_H

#include <pthread.h>

#include "base/bits.h"
#include "front/consumer.h"
#include "front/memory.h"
#include "front/output.h"
#include "front/smmuv3/front.h"
#include "hwdef/smmuv3_regs.h"

#define FRONT_IRQS 4 /* enum smmuv3_irq */

/*
 * EVENTQ or PRIQ. The indices are A; base and size change only while the
 * queue is off and acknowledged to be, that is, while nobody reads them.
 */
struct out_queue {
	struct front_output out;
	uint64_t base_reg;
	uint32_t prod;	 /* with OVFLG */
	uint32_t cons;	 /* with OVACKFLG */
	uint32_t enable; /* its bit in CR0 */
	uint32_t abort;	 /* its bit in GERROR */
	uint8_t max_lg2;
	uint8_t entry_lg2; /* of its size in bytes */
	enum smmuv3_irq irq;
};

/* MSI registers of one interrupt; the CMD_SYNC one has none. */
struct irq_source {
	uint64_t cfg0;
	uint32_t cfg1;
	uint32_t cfg2;
	uint32_t enable;    /* its bit in IRQ_CTRL */
	uint32_t abort;	    /* its bit in GERROR */
	uint32_t in_flight; /* MSI writes begun and not ended */
};

struct smmuv3_front {
	struct smmuv3_id id;
	struct smmuv3_front_ops ops;
	void *ctx;
	struct front_memory mem;

	pthread_mutex_t lock;
	/* Picture for smmuv3_front_regs(): odd while it changes; all A */
	uint32_t seq;
	struct smmuv3_regs regs;
	uint32_t cr0ack; /* A */
	bool gbpa_update;
	uint32_t irq_ctrl;
	uint32_t irq_ctrlack;
	uint32_t gerror;  /* A */
	uint32_t gerrorn; /* A */
	struct irq_source irqs[FRONT_IRQS];
	uint32_t held; /* smmuv3_front_hold() */
	uint32_t held_irqs;

	/* what software may write, by the identification registers */
	uint64_t addr_bits; /* OAS */
	uint32_t cr0_bits;
	uint32_t cr2_bits;
	uint32_t gerror_bits;
	uint32_t irq_ctrl_bits;

	struct out_queue eventq;
	struct out_queue priq;

	uint64_t cmdq_base; /* as out_queue.base_reg */
	uint32_t cmdq_prod; /* A */
	uint32_t cmdq_cons; /* A; only the consumer writes while enabled */
	struct consumer consumer;
	uint32_t span_start; /* the consumer's: CONS.RD of the span */
};

void front_changed(struct smmuv3_front *f, enum smmuv3_change what);

/* Entries, as log2: what software asked for, at most what there can be */
unsigned int front_queue_lg2(uint64_t base_reg, unsigned int max_lg2);
unsigned int front_cmdq_lg2(const struct smmuv3_front *f);
unsigned int front_outq_lg2(const struct out_queue *q);
/* The SMMU aligns the base to the queue's size, at least 32 bytes (6.3.26) */
uint64_t front_queue_addr(uint64_t base_reg, unsigned int bytes_lg2);

/* The index and the wrap bit above it */
static inline uint32_t front_index_mask(unsigned int lg2)
{
	return (2u << lg2) - 1;
}

/*
 * Entries between the indices. More than the queue holds is an inconsistent
 * state (3.5.1): the caller decides what that means.
 */
static inline uint32_t front_queue_used(uint32_t prod, uint32_t cons,
					unsigned int lg2)
{
	return (prod - cons) & front_index_mask(lg2);
}

/* cmdq.c: something changed that may let commands be consumed. */
void front_kick(struct smmuv3_front *f);
/* Takes up what a bounded pass left, if there is anything. */
void front_unstarve(struct smmuv3_front *f);

/* outq.c: wait for a record being written by another thread. */
void front_outq_drain(struct smmuv3_front *f, struct out_queue *q);

/* irq.c */
bool front_error_active(const struct smmuv3_front *f, uint32_t error);
void front_raise(struct smmuv3_front *f, uint32_t error);
/* Send the interrupt if IRQ_CTRL enables it. */
void front_irq(struct smmuv3_front *f, enum smmuv3_irq irq);
/* Acknowledge changes of IRQ_CTRL that wait for nothing; @lock is held. */
void front_irq_settle(struct smmuv3_front *f);

#endif
