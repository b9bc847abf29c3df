/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a front share.
 *
 * Locks. @lock guards the register file and is never held across a callback.
 * @prq is locked while a page request is written to memory, and never while
 * an interrupt is sent. Order: @prq, then @lock.
 *
 * Callbacks may come back: memory that software names may be this unit's own
 * registers, and an interrupt handler may write FSTS at once. So a thread
 * never waits for work that it is itself in the middle of.
 *
 * Fields marked A are also used without the lock, by __atomic accesses.
 */
#ifndef FRONT_VTD_INTERNAL_H
#define FRONT_VTD_INTERNAL_H

#include <pthread.h>

#include "base/bits.h"
#include "front/consumer.h"
#include "front/memory.h"
#include "front/output.h"
#include "front/vtd/decode.h"
#include "hwdef/vtd_regs.h"

#define VTD_EVENTS 3 /* enum vtd_irq */

/*
 * Message registers of an event. IP in @control is the message that is still
 * to be sent: whoever clears it with IM clear sends it.
 */
struct vtd_event {
	uint32_t control;
	uint32_t data;
	uint32_t addr;
	uint32_t upper;
};

struct fault_record {
	uint64_t info;
	uint64_t high;
};

struct vtd_front {
	struct vtd_id id;
	struct vtd_front_ops ops;
	void *ctx;
	struct front_memory mem;

	pthread_mutex_t lock;
	/* Picture for vtd_front_regs(): odd while it changes; all A */
	uint32_t seq;
	struct vtd_regs regs;
	uint32_t gsts; /* A; the enables of @regs follow to here */
	uint64_t rtaddr;
	uint64_t irta;
	uint64_t ccmd;
	uint64_t iva;
	uint64_t iotlb;
	struct vtd_event events[VTD_EVENTS];

	/* FSTS but for PPF and FRI, which come of the records; A */
	uint32_t fsts;
	uint64_t iqercd;
	uint32_t fault_next;  /* where the next one goes */
	uint32_t fault_first; /* FRI */
	uint32_t fault_pending;
	uint32_t fault_count;
	struct fault_record *faults;

	/* Invalidation queue; IQH is the consumer's while QIES is set */
	uint64_t iqh; /* A */
	uint64_t iqt; /* A */
	uint64_t iqa; /* A */
	uint32_t ics;
	struct consumer consumer;
	/* The consumer's: the queue as IQA describes it, index of the span */
	struct front_ring ring;
	uint32_t span_start;
	uint32_t span_most; /* what to fetch at once; 0: all */

	/* Page request queue */
	struct front_output prq;
	uint64_t pqh; /* A */
	uint64_t pqt; /* A */
	uint64_t pqa; /* A */
	uint32_t prs; /* A */
};

/* What follows from a register write, in this order */
#define FOLLOW_ROOT   (1u << 0)
#define FOLLOW_IRTA   (1u << 1)
#define FOLLOW_TE     (1u << 2)
#define FOLLOW_IRE    (1u << 3)
#define FOLLOW_CCMD   (1u << 4)
#define FOLLOW_IOTLB  (1u << 5)
#define FOLLOW_ITE    (1u << 6)
#define FOLLOW_KICK   (1u << 7)
#define FOLLOW_PRQ    (1u << 8)
#define FOLLOW_EVENT0 (1u << 9) /* and one for each of the others */

void vtd_changed(struct vtd_front *f, enum vtd_change what);

static inline unsigned int vtd_ttm(const struct vtd_front *f)
{
	return (unsigned int)field_get(VTD_RTADDR_TTM,
				       load_acquire(&f->regs.rtaddr));
}

/* event.c; those named _locked need @lock */
uint32_t vtd_fsts_locked(const struct vtd_front *f);
/* A condition that no unserviced one of its event precedes: IP. */
void vtd_condition_locked(struct vtd_front *f, enum vtd_irq irq);
/* Software has serviced: without a condition left, IP goes. */
void vtd_serviced_locked(struct vtd_front *f, enum vtd_irq irq);
/* Sends the message that IP holds, unless IM does. */
void vtd_deliver(struct vtd_front *f, enum vtd_irq irq);
/* Sets @error of FSTS and what @field of IQERCD tells about it. */
void vtd_error(struct vtd_front *f, uint32_t error, uint64_t field,
	       uint64_t info);
/* RW1C of the F bit of record @n */
void vtd_fault_clear_locked(struct vtd_front *f, uint32_t n);

/* command.c: what ICC and IVT ask for */
void vtd_invalidate_context(struct vtd_front *f);
void vtd_invalidate_iotlb(struct vtd_front *f);

/* invq.c */
void vtd_kick(struct vtd_front *f);
/* Takes up what a bounded pass left, if there is anything. */
void vtd_unstarve(struct vtd_front *f);

#endif
