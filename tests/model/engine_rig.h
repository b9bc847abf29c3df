/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests of the whole SMMUv3 model: memory, queues and tables in
 * it, two ports, everything driven through registers. Words, offsets and
 * shifts are worked out by hand; no hardware definition is used.
 */
#ifndef TESTS_MODEL_ENGINE_RIG_H
#define TESTS_MODEL_ENGINE_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/model.h"
#include "model/smmuv3/model.h"

#define RAM		0x40000000ULL
#define RAM_SIZE	0x2000000ULL
#define CMDQ		(RAM + 0x0000)	/* 256 commands */
#define EVENTQ		(RAM + 0x10000) /* 128 events */
#define STRTAB		(RAM + 0x20000) /* 256 STEs, linear */
#define FREE		(RAM + 0x100000)

#define REG_CR0		0x20
#define REG_CR0ACK	0x24
#define REG_CR2		0x2c
#define REG_GBPA	0x44
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

#define CR0_ON		0xdu /* SMMUEN, EVENTQEN, CMDQEN */
#define CR0_ATSCHK	0x10u

/* V and Config in doubleword 0 */
#define STE_BYPASS 0x9ULL
#define STE_ABORT  0x1ULL
#define STE_S1	   0xbULL
#define STE_S2	   0xdULL
#define STE_NESTED 0xfULL
/* doubleword 1: SHCFG 1 (incoming); EATS full, split; MEV; S1DSS SSID 0 */
#define STE1	    0x0000100000000000ULL
#define STE1_ATS    0x0000000010000000ULL
#define STE1_SPLIT  0x0000000020000000ULL
#define STE1_MEV    0x0000000000080000ULL
#define STE1_DSS_BY 0x0000000000000001ULL
#define STE1_DSS_0  0x0000000000000002ULL
/* doubleword 2: S2R, AA64, PTW 0, S2PS 48 bits, SL0 2, T0SZ 16; VMID added */
#define STE2 0x040d009000000000ULL

/* CD doubleword 0: A R AA64 IPS 48 bits, V, EPD1, T0SZ 16; ASID added */
#define CD0	   0x00006205c0000010ULL
#define CD0_S	   0x0000100000000000ULL /* stall */
#define CD0_A	   0x0000400000000000ULL
#define CD0_HA	   0x0000080000000000ULL
#define CD0_HD	   0x0000040000000000ULL
#define CD_ASID(n) ((uint64_t)(n) << 48)

#define PAGE_NG	   0xc43ULL /* AF, nG, AP 01, page */
#define PAGE_G	   0x443ULL /* AF, AP 01, page: global */
#define PAGE_RO	   0xcc3ULL /* AF, nG, AP 11, page */
#define BLOCK_NG   0xc41ULL
#define S2_PAGE	   0x4ffULL /* AF, S2AP 11, write-back, page */
#define S2_PAGE_RO 0x47fULL /* AF, S2AP 01 */
#define S2_BLOCK   0x4fdULL

/* Stage-1 tables and pages of nested streams: IPA = PA + DELTA */
#define DELTA 0x10000000000ULL

struct rig {
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	struct model_port *port[2]; /* StreamIDs 8 and 9 */
	char *ram;
	uint64_t used;
	uint32_t cmd_prod;
	uint32_t event_cons;
	pthread_mutex_t lock;
	struct model_stale stale;
	char why[1024];
	unsigned int stales;
	unsigned int irqs;
};

/* Threads may report at the same time. */
static void rig_stale(void *ctx, const struct model_stale *stale)
{
	struct rig *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->stale = *stale;
	snprintf(g->why, sizeof(g->why), "%s", stale->why);
	g->stales++;
	pthread_mutex_unlock(&g->lock);
}

static void rig_irq(void *ctx, unsigned int line)
{
	struct rig *g = ctx;

	(void)line;
	__atomic_fetch_add(&g->irqs, 1, __ATOMIC_RELAXED);
}

static inline uint64_t *at(struct rig *g, uint64_t pa)
{
	return (uint64_t *)(g->ram + (pa - RAM));
}

/* Words that DMA threads read at the same time */
static inline void put(struct rig *g, uint64_t pa, uint64_t value)
{
	__atomic_store_n(at(g, pa), value, __ATOMIC_RELEASE);
}

static inline uint64_t page(struct rig *g)
{
	uint64_t pa = FREE + g->used;

	g->used += 0x1000;
	return pa;
}

static inline uint64_t reg_get(struct rig *g, uint32_t reg, unsigned int size)
{
	return g->model->ops->read(g->model, reg, size);
}

static inline void reg_set(struct rig *g, uint32_t reg, unsigned int size,
			   uint64_t value)
{
	g->model->ops->write(g->model, reg, size, value);
}

static inline void cmd_put(struct rig *g, uint64_t dw0, uint64_t dw1)
{
	uint64_t slot = CMDQ + (g->cmd_prod & 0xff) * 16;

	at(g, slot)[0] = dw0;
	at(g, slot)[1] = dw1;
	g->cmd_prod = (g->cmd_prod + 1) & 0x1ff;
}

static inline void doorbell(struct rig *g)
{
	reg_set(g, REG_CMDQ_PROD, 4, g->cmd_prod);
}

/* One command and a sync; both are consumed without an error. */
static inline void cmd(struct rig *g, uint64_t dw0, uint64_t dw1)
{
	cmd_put(g, dw0, dw1);
	cmd_put(g, 0x46, 0);
	doorbell(g);
	assert_int_equal(reg_get(g, REG_CMDQ_CONS, 4), g->cmd_prod);
}

#define SID(n)	    ((uint64_t)(n) << 32)
#define VMID(n)	    ((uint64_t)(n) << 32)
#define ASID(n)	    ((uint64_t)(n) << 48)
#define CFGI_STE    0x03ULL
#define CFGI_ALL    0x04ULL, 31ULL
#define CFGI_CD	    0x05ULL
#define CFGI_CD_ALL 0x06ULL
#define NH_ALL	    0x10ULL
#define NH_ASID	    0x11ULL
#define NH_VA	    0x12ULL
#define NH_VAA	    0x13ULL
#define S12_VMALL   0x28ULL
#define S2_IPA	    0x2aULL
#define NSNH_ALL    0x30ULL
#define ATC_INV	    0x40ULL
#define RESUME	    0x44ULL
#define STALL_TERM  0x45ULL
#define LEAF	    1ULL
#define TTL(n)	    ((uint64_t)(n) << 8)
#define TG_4K	    (1ULL << 10)

static inline void ste(struct rig *g, unsigned int sid, uint64_t dw0,
		       uint64_t dw1, uint64_t dw2, uint64_t dw3)
{
	uint64_t pa = STRTAB + 64ULL * sid;

	put(g, pa + 8, dw1);
	put(g, pa + 16, dw2);
	put(g, pa + 24, dw3);
	put(g, pa, dw0);
}

static inline void cd(struct rig *g, uint64_t pa, uint64_t dw0, uint64_t ttb)
{
	put(g, pa + 8, ttb);
	put(g, pa + 24, 0xff); /* MAIR: normal memory */
	put(g, pa, dw0);
}

/* The descriptor of @addr at @level, 4 KiB granule, tables from level 0 */
static inline uint64_t slot_of(struct rig *g, uint64_t root, uint64_t addr,
			       int level, uint64_t delta)
{
	uint64_t table = root;

	for (int l = 0;; l++) {
		uint64_t slot = table + ((addr >> (39 - 9 * l)) & 0x1ff) * 8;

		if (l == level)
			return slot;
		if (!*at(g, slot))
			put(g, slot, (page(g) + delta) | 3);
		table = (*at(g, slot) & 0x0000fffffffff000ULL) - delta;
	}
}

static inline void map(struct rig *g, uint64_t root, uint64_t addr, int level,
		       uint64_t delta, uint64_t descriptor)
{
	put(g, slot_of(g, root, addr, level, delta), descriptor);
}

/* Stage 2: all RAM at IPA = PA + DELTA by 2 MiB blocks */
static inline void map_ram(struct rig *g, uint64_t root)
{
	for (uint64_t pa = RAM; pa < RAM + RAM_SIZE; pa += 0x200000)
		map(g, root, pa + DELTA, 2, 0, pa | S2_BLOCK);
}

static inline struct model_translation
look(struct rig *g, int port, uint32_t pasid, uint64_t iova, uint32_t flags)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };
	struct model_translation t;

	reader_enter();
	g->model->ops->translate(g->port[port], &a, &t);
	reader_exit();
	return t;
}

static inline struct model_translation see(struct rig *g, int port,
					   uint64_t iova)
{
	return look(g, port, MODEL_NO_PASID, iova, 0);
}

static inline int dma(struct rig *g, int port, uint64_t iova, uint32_t flags,
		      const void *buf, size_t len, struct model_translation *t)
{
	const struct model_access a = { .iova = iova,
					.pasid = MODEL_NO_PASID,
					.flags = flags };

	return g->model->ops->dma(g->port[port], &a, (void *)buf, len, t);
}

/* The next event, or false */
static inline bool event(struct rig *g, uint64_t rec[4])
{
	uint32_t prod = (uint32_t)reg_get(g, REG_EVENTQ_PROD, 4) & 0xff;

	if (prod == g->event_cons)
		return false;
	memcpy(rec, at(g, EVENTQ + (g->event_cons & 0x7f) * 32), 32);
	g->event_cons = (g->event_cons + 1) & 0xff;
	reg_set(g, REG_EVENTQ_CONS, 4, g->event_cons);
	return true;
}

static inline void no_event(struct rig *g)
{
	uint64_t rec[4];

	assert_false(event(g, rec));
}

/* Queues and table registers are set; nothing is on. */
static inline int rig_try(struct rig *g, enum iotlb_policy policy,
			  const struct smmuv3_id *id)
{
	struct smmuv3_model_config config = { .policy = policy };
	struct phys_range *range;
	int rc;

	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	if (id)
		config.id = *id;
	else
		smmuv3_model_default_id(&config.id);
	rc = phys_create(48, &g->phys);
	if (rc)
		return rc;
	rc = grace_create(&g->grace);
	if (rc)
		return rc;
	if (posix_memalign((void **)&g->ram, 4096, RAM_SIZE))
		return -ENOMEM;
	memset(g->ram, 0, RAM_SIZE);
	rc = phys_add_at(g->phys, RAM, g->ram, RAM_SIZE, PHYS_READ | PHYS_WRITE,
			 &range);
	if (rc)
		return rc;
	rc = smmuv3_model_create(&config,
				 &(struct model_host){ .phys = g->phys,
						       .grace = g->grace,
						       .ctx = g,
						       .irq = rig_irq,
						       .stale = rig_stale },
				 &g->model);
	for (unsigned int n = 0; n < 2 && !rc; n++)
		rc = g->model->ops->port_add(
			g->model,
			&(struct model_port_config){ .stream_id = 8 + n,
						     .pasid_bits = 20,
						     .ats = true },
			&g->port[n]);
	return rc;
}

static inline void rig_down(struct rig *g)
{
	if (g->model)
		g->model->ops->destroy(g->model);
	if (g->grace)
		grace_destroy(g->grace);
	if (g->phys)
		phys_destroy(g->phys);
	free(g->ram);
}

static inline void rig_on(struct rig *g, uint32_t cr0)
{
	reg_set(g, REG_STRTAB_BASE, 8, STRTAB);
	reg_set(g, REG_STRTAB_CFG, 4, 8); /* linear, 2^8 */
	reg_set(g, REG_CMDQ_BASE, 8, CMDQ | 8);
	reg_set(g, REG_EVENTQ_BASE, 8, EVENTQ | 7);
	reg_set(g, REG_CR2, 4, 2); /* RECINVSID */
	reg_set(g, REG_CR0, 4, cr0);
	assert_int_equal(reg_get(g, REG_CR0ACK, 4), cr0);
}

static inline void rig_up(struct rig *g, enum iotlb_policy policy)
{
	assert_int_equal(rig_try(g, policy, NULL), 0);
	rig_on(g, CR0_ON);
}

/* Stream @sid: stage 1 alone; returns the root of its tables. */
static inline uint64_t stream_s1(struct rig *g, unsigned int sid,
				 unsigned int vmid, unsigned int asid)
{
	uint64_t root = page(g);
	uint64_t cds = page(g);

	cd(g, cds, CD0 | CD_ASID(asid), root);
	ste(g, sid, STE_S1 | cds, STE1, vmid, 0);
	return root;
}

/* Stream @sid: nested; *s2 is the root of stage 2 (made if 0). */
static inline uint64_t stream_nested(struct rig *g, unsigned int sid,
				     unsigned int vmid, unsigned int asid,
				     uint64_t *s2)
{
	uint64_t root = page(g);
	uint64_t cds = page(g);

	if (!*s2) {
		*s2 = page(g);
		map_ram(g, *s2);
	}
	cd(g, cds, CD0 | CD_ASID(asid), root + DELTA);
	ste(g, sid, STE_NESTED | (cds + DELTA), STE1, STE2 | vmid, *s2);
	return root;
}

/* For the whole program: cmocka has signal handlers of its own, per test. */
static inline int group_up(void **state)
{
	(void)state;
	return guard_init();
}

#endif
