/* SPDX-License-Identifier: MIT */
/*
 * A front with a little memory behind it, and a sink that writes down what it
 * is told. Memory is [0, RIG_MEM) except the range that aborts; a write to
 * RIG_REGS + n comes back as a write to register n, as a hostile guest can
 * arrange it.
 */
#ifndef TESTS_FRONT_RIG_H
#define TESTS_FRONT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "front/smmuv3/front.h"
#include "ids.h"
#include "ram.h"

#define RIG_MEM	   0x40000u
#define RIG_REGS   0x10000000u
#define RIG_LOG	   4096
#define RIG_QUEUES 64

/* Registers, by hand from 6.2 */
#define R_CR0	      0x20
#define R_CR0ACK      0x24
#define R_GBPA	      0x44
#define R_IRQ_CTRL    0x50
#define R_IRQ_CTRLACK 0x54
#define R_GERROR      0x60
#define R_GERRORN     0x64
#define R_CMDQ_BASE   0x90
#define R_CMDQ_PROD   0x98
#define R_CMDQ_CONS   0x9c
#define R_EVENTQ_BASE 0xa0
#define R_EVENTQ_PROD 0x100a8
#define R_EVENTQ_CONS 0x100ac
#define R_PRIQ_BASE   0xc0
#define R_PRIQ_PROD   0x100c8
#define R_PRIQ_CONS   0x100cc

/* CR0 */
#define C_SMMUEN   0x1u
#define C_PRIQEN   0x2u
#define C_EVENTQEN 0x4u
#define C_CMDQEN   0x8u

struct rig {
	struct smmuv3_front *front;
	struct ram ram;
	bool mem_is_regs;  /* RIG_REGS works */
	uint32_t ack_seen; /* IRQ_CTRLACK while such a write was under way */

	uint64_t cmds[RIG_LOG][2];
	unsigned int cmd_count;
	unsigned int spans;
	uint8_t bad_op; /* stops with @bad_code */
	uint32_t bad_code;

	/* rig_create_taking(): the sink that takes commands in memory */
	struct smmuv3_queue queues[RIG_QUEUES];
	unsigned int takes;
	struct smmuv3_taken (*take)(struct rig *rig, uint32_t n);

	unsigned int irqs[4];
	unsigned int changes[4];
	void (*on_irq)(struct rig *rig, enum smmuv3_irq irq);
	void (*on_change)(struct rig *rig, enum smmuv3_change what);
	void (*on_consume)(struct rig *rig);
};

int rig_create(struct rig *rig, const struct smmuv3_id *id, uint32_t max_span);
/* The same with a sink that is asked to take commands first: rig->take */
int rig_create_taking(struct rig *rig, const struct smmuv3_id *id);
void rig_destroy(struct rig *rig);

/* cmocka fixtures: *state is a rig of id_full() */
int rig_setup(void **state);
int rig_teardown(void **state);

uint32_t rd(struct rig *rig, uint32_t offset);
uint64_t rd64(struct rig *rig, uint32_t offset);
void wr(struct rig *rig, uint32_t offset, uint32_t value);
void wr64(struct rig *rig, uint32_t offset, uint64_t value);

void mem_put32(struct rig *rig, uint64_t addr, uint32_t value);
void mem_put64(struct rig *rig, uint64_t addr, uint64_t value);
uint32_t mem_get32(const struct rig *rig, uint64_t addr);
uint64_t mem_get64(const struct rig *rig, uint64_t addr);
void abort_at(struct rig *rig, uint64_t first, uint64_t last);

#endif
