/* SPDX-License-Identifier: MIT */
/* Registers of an SMMUv3 that a replay uses (IHI 0070 6.2); page 1 at 0x10000.
 */
#ifndef TOOLS_REPLAY_SMMUV3_H
#define TOOLS_REPLAY_SMMUV3_H

#define REG_CR0		0x20
#define REG_CR0ACK	0x24
#define REG_CR1		0x28
#define REG_CR2		0x2c
#define REG_GBPA	0x44
#define REG_IRQ_CTRL	0x50
#define REG_GERROR	0x60
#define REG_GERRORN	0x64
#define REG_STRTAB_BASE 0x80
#define REG_STRTAB_CFG	0x88
#define REG_CMDQ_BASE	0x90
#define REG_CMDQ_PROD	0x98
#define REG_CMDQ_CONS	0x9c
#define REG_EVENTQ_BASE 0xa0
#define REG_EVENTQ_PROD 0x100a8
#define REG_EVENTQ_CONS 0x100ac
#define CR0_SMMUEN	0x1u
#define CR0_CMDQEN	0x8u
#define GBPA_UPDATE	0x80000000u
#define IRQ_CTRL_EVENTQ 0x4u
#define QUEUE_BASE_ADDR 0x00ffffffffffffe0ull
#define QUEUE_BASE_LOG2 0x1full

#endif
