/* SPDX-License-Identifier: MIT */
/*
 * What software sees of an SMMUv3: registers, queues, decoding of commands.
 * Arm IHI 0070, chapters 3.5 (queues), 4 (commands), 6 (registers), 7 (events).
 *
 * Behind a front stands either an engine that executes (model/) or one that
 * forwards (viommu/): the *sink*. The front copies new commands once out of
 * memory, hands them over as one span, and moves CONS, ERR and GERROR by what
 * the sink answers. A sink that can take commands out of the queue's memory
 * itself is asked first; what it leaves is copied and handed over as ever.
 *
 * Any thread may read or write registers. Commands are consumed in the thread
 * that wrote CMDQ_PROD, GERRORN or CR0, one thread at a time.
 */
#ifndef FRONT_SMMUV3_FRONT_H
#define FRONT_SMMUV3_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hwdef/smmuv3_cmd.h"
#include "hwdef/smmuv3_event.h"

struct smmuv3_front;

/* Interrupt lines; also what a wired interrupt is called towards the sink */
enum smmuv3_irq {
	SMMUV3_IRQ_EVENTQ,
	SMMUV3_IRQ_PRIQ,
	SMMUV3_IRQ_CMD_SYNC,
	SMMUV3_IRQ_GERROR,
};

/* What a register write has just changed (after the write took effect) */
enum smmuv3_change {
	SMMUV3_CHANGE_SMMUEN, /* CR0.SMMUEN toggled */
	SMMUV3_CHANGE_GBPA,   /* GBPA updated */
	SMMUV3_CHANGE_STRTAB, /* STRTAB_BASE or _CFG written */
	/* EVENTQEN toggled, EVENTQ_CONS written or EVENTQ_ABT acknowledged */
	SMMUV3_CHANGE_EVENTQ,
};

/* @done commands of the span took effect; if @code, span[done] is at fault. */
struct smmuv3_consumed {
	uint32_t done;
	uint32_t code; /* SMMUV3_CERROR_* */
};

/* The command queue in memory: indices with their wrap bit, none above it */
struct smmuv3_queue {
	uint64_t base;
	unsigned int lg2;
	uint32_t cons;
	uint32_t prod; /* ahead of @cons by 1 to 2^lg2 commands */
};

/*
 * @done commands from the queue's CONS on took effect. If @code, the next one
 * is at fault. Otherwise, if that is not all, at most @pass (1 or more) of the
 * next are for consume().
 */
struct smmuv3_taken {
	uint32_t done;
	uint32_t code;
	uint32_t pass;
};

struct smmuv3_front_ops {
	/* Memory this SMMU reads and writes: -EFAULT is an external abort. */
	int (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t addr, const void *buf, size_t len);

	/*
	 * The sink. @cmds are in CPU order, two doublewords each, @n >= 1. On a
	 * CMD_SYNC it calls smmuv3_front_sync() when all before it is complete.
	 */
	struct smmuv3_consumed (*consume)(void *ctx, const uint64_t (*cmds)[2],
					  uint32_t n);
	/*
	 * Tried before consume(), and again behind what that was handed. May
	 * be NULL. What it takes is memory that software can write: the front
	 * does not know which commands they were. Those that must signal are
	 * left to consume().
	 */
	struct smmuv3_taken (*consume_queue)(void *ctx,
					     const struct smmuv3_queue *queue);
	/*
	 * This thread is in the middle of something without which no command
	 * can complete: what it has just rung for is left until
	 * smmuv3_front_kick(), unless another thread takes it. May be NULL.
	 */
	bool (*waits)(void *ctx);
	void (*changed)(void *ctx, enum smmuv3_change what);
	/* A wired interrupt edge (MSIs go through write()). May be NULL. */
	void (*irq)(void *ctx, enum smmuv3_irq irq);
};

/* Values of the identification registers: what the front and decoder obey */
struct smmuv3_id {
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct smmuv3_front_config {
	struct smmuv3_id id;
	uint32_t max_span; /* commands per consume(); 0: all that are pending */
};

/* 0, -ENOMEM, -EINVAL (id values that contradict each other) */
int smmuv3_front_create(const struct smmuv3_front_config *config,
			const struct smmuv3_front_ops *ops, void *ctx,
			struct smmuv3_front **front);
void smmuv3_front_destroy(struct smmuv3_front *front);

/*
 * Register access; @size 4 or 8, naturally aligned. Accesses the architecture
 * does not define read 0 and write nothing. 8-byte accesses reach two 4-byte
 * registers where the architecture allows it.
 */
uint64_t smmuv3_front_read(struct smmuv3_front *front, uint32_t offset,
			   unsigned int size);
void smmuv3_front_write(struct smmuv3_front *front, uint32_t offset,
			unsigned int size, uint64_t value);

/* Consumes what there is, behind ops.waits. Any thread. */
void smmuv3_front_kick(struct smmuv3_front *front);

/*
 * Called by the sink inside consume(), or consume_queue() with the commands
 * from the queue's CONS on as the span: commands [0, done) of the span are
 * complete and the last of them is the CMD_SYNC @dw. Publishes CONS to there,
 * then signals as CS asks (interrupt, MSI write, event).
 */
void smmuv3_front_sync(struct smmuv3_front *front, const uint64_t dw[2],
		       uint32_t done);

/*
 * Appends @rec (CPU order) to the EVENTQ, 3.5.3 and 7.2: false if it was lost
 * because the queue is off, full (overflow is then flagged) or aborts (GERROR).
 * Any thread.
 */
bool smmuv3_front_event(struct smmuv3_front *front, const uint64_t rec[4]);

/* The same for the PRIQ (16-byte entries, 3.5.4, 8.2). */
bool smmuv3_front_page_request(struct smmuv3_front *front,
			       const uint64_t rec[2]);

/* What became of it, by which hardware decides on an answer (8.1, 8.2) */
enum smmuv3_priq_result {
	SMMUV3_PRIQ_CLOSED, /* the queue is off, or its writes abort */
	SMMUV3_PRIQ_FULL,   /* or in overflow */
	SMMUV3_PRIQ_DONE,
};
enum smmuv3_priq_result smmuv3_front_priq_add(struct smmuv3_front *front,
					      const uint64_t rec[2]);

/*
 * For who holds locks while he adds records that interrupt handlers may want:
 * interrupts wait for smmuv3_front_release(), which sends those that do. (That
 * of a CMD_SYNC waits for nobody.) Any thread; may nest.
 */
void smmuv3_front_hold(struct smmuv3_front *front);
void smmuv3_front_release(struct smmuv3_front *front);

/* Room in the EVENTQ, so that a stalled event can wait (3.5.3, 7.2) */
bool smmuv3_front_event_room(struct smmuv3_front *front);

/* The registers that decide how a transaction is treated: one atomic picture */
struct smmuv3_regs {
	uint64_t strtab_base;
	uint32_t strtab_cfg;
	uint32_t cr0; /* as acknowledged */
	uint32_t cr1;
	uint32_t cr2;
	uint32_t gbpa;
};

/* Takes no lock (a sequence count); any thread. */
void smmuv3_front_regs(struct smmuv3_front *front, struct smmuv3_regs *regs);

const struct smmuv3_id *smmuv3_front_id(const struct smmuv3_front *front);

#endif
