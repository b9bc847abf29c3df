/* SPDX-License-Identifier: MIT */
/*
 * A VT-d front with a little memory behind it, and a sink that writes down
 * what it is told. Memory is [0, RIG_MEM) except the range that aborts; a
 * write to RIG_REGS + n comes back as a write to register n, as a hostile
 * guest can arrange it.
 */
#ifndef TESTS_FRONT_VTD_RIG_H
#define TESTS_FRONT_VTD_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "front/vtd/decode.h"
#include "ram.h"

#define RIG_MEM	  RAM_MOST
#define RIG_REGS  0x10000000u
#define RIG_LOG	  4096
#define RIG_QUEUE 0x10000u /* where tests put the invalidation queue */
#define RIG_PRQ	  0x40000u

/* Registers, by hand from 11.4 */
#define R_GCMD	 0x18
#define R_GSTS	 0x1c
#define R_RTADDR 0x20
#define R_CCMD	 0x28
#define R_FSTS	 0x34
#define R_FECTL	 0x38
#define R_IQH	 0x80
#define R_IQT	 0x88
#define R_IQA	 0x90
#define R_ICS	 0x9c
#define R_IECTL	 0xa0
#define R_IQERCD 0xb0
#define R_IRTA	 0xb8
#define R_PQH	 0xc0
#define R_PQT	 0xc8
#define R_PQA	 0xd0
#define R_PRS	 0xdc
#define R_PECTL	 0xe0
#define R_IVA	 0xf0 /* ECAP.IRO of id_full() */
#define R_IOTLB	 0xf8
#define R_FRCD	 0x220 /* CAP.FRO of id_full() */

/* GCMD and GSTS */
#define G_TE	0x80000000u
#define G_SRTP	0x40000000u
#define G_QIE	0x04000000u
#define G_IRE	0x02000000u
#define G_SIRTP 0x01000000u
#define G_CFI	0x00800000u

/* RTADDR.TTM */
#define TTM_LEGACY   0u
#define TTM_SCALABLE 0x400u
#define TTM_RESERVED 0x800u
#define TTM_ABORT    0xc00u

struct rig {
	struct vtd_front *front;
	struct ram ram;
	bool mem_is_regs; /* RIG_REGS works */

	uint64_t descs[RIG_LOG][4];
	unsigned int count;
	unsigned int spans;
	unsigned int waits;
	/* the sink stops at a descriptor of this type and source-id */
	uint16_t silent_sid;
	bool take_none;
	bool fences; /* a wait with FN ends what is taken */
	bool ice;
	void (*on_consume)(struct rig *rig);

	struct vtd_desc invalidated; /* by registers */
	unsigned int invalidations;
	unsigned int granularity;
	uint64_t command_seen; /* CCMD while it was under way */

	unsigned int changes[8];
	uint32_t gsts_seen; /* in the last changed() */
	void (*on_change)(struct rig *rig, enum vtd_change what);

	/* rig_create_with_irq(): else messages are writes */
	unsigned int irqs[3];
	uint64_t irq_addr;
	uint32_t irq_data;
	uint64_t iqh_seen; /* in the last irq() */
};

/* Everything this front offers: version 4, 52-bit addresses */
struct vtd_id id_full(void);

int rig_create(struct rig *rig, const struct vtd_id *id, uint32_t max_span);
int rig_create_with_irq(struct rig *rig, const struct vtd_id *id);
void rig_destroy(struct rig *rig);

/* cmocka fixtures: *state is a rig of id_full() that counts irqs */
int rig_setup(void **state);
int rig_teardown(void **state);

uint32_t rd(struct rig *rig, uint32_t offset);
uint64_t rd64(struct rig *rig, uint32_t offset);
void wr(struct rig *rig, uint32_t offset, uint32_t value);
void wr64(struct rig *rig, uint32_t offset, uint64_t value);

/* The mode goes through SRTP; the root table lies at 0x5000 */
void rig_mode(struct rig *rig, uint32_t ttm);
/* One page at RIG_QUEUE: 128 entries of 256 bits, or 256 of 128; then QIE */
void rig_queue(struct rig *rig, bool wide);
void rig_post(struct rig *rig, unsigned int index, const uint64_t dw[4]);

#endif
