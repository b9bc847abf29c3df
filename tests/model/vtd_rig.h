/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests of the whole VT-d model: memory, queues and tables in
 * it, two ports, everything driven through registers. Words, offsets and
 * shifts are worked out by hand; no hardware definition is used.
 */
#ifndef TESTS_MODEL_VTD_RIG_H
#define TESTS_MODEL_VTD_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "mem/guard.h"
#include "mem/phys.h"
#include "model/model.h"
#include "model/vtd/model.h"

#define RAM	   0x40000000ULL
#define RAM_SIZE   0x2000000ULL
#define IQ	   (RAM + 0x0000)  /* 128 descriptors of 32 bytes */
#define PRQ	   (RAM + 0x10000) /* 128 requests */
#define ROOT	   (RAM + 0x20000)
#define STATUS	   (RAM + 0x30000)
#define MSI	   (RAM + 0x31000)
#define FREE	   (RAM + 0x100000)

#define REG_GCMD   0x18
#define REG_GSTS   0x1c
#define REG_RTADDR 0x20
#define REG_CCMD   0x28
#define REG_FSTS   0x34
#define REG_FECTL  0x38
#define REG_FEDATA 0x3c
#define REG_FEADDR 0x40
#define REG_IQH	   0x80
#define REG_IQT	   0x88
#define REG_IQA	   0x90
#define REG_IQERCD 0xb0
#define REG_PQH	   0xc0
#define REG_PQT	   0xc8
#define REG_PQA	   0xd0
#define REG_PRS	   0xdc
#define REG_IVA	   0xf0
#define REG_IOTLB  0xf8
#define REG_FRCD   0x220

#define SID0	   0x0108u /* bus 1, device 1 */
#define SID1	   0x0109u

/* PASID-table entries, AW 48: doubleword 0 and (4 levels) 2 */
#define PT_FS	  0x049ULL
#define PT_SS	  0x089ULL
#define PT_NESTED 0x0c9ULL
#define PT_PASS	  0x109ULL
#define PT_SSADE  0x200ULL
#define PT1_PWSNP 0x800000ULL
#define PT2_SRE	  0x1ULL
#define PT2_WPE	  0x10ULL

#define FS_PAGE	  0x67ULL /* P, R/W, U/S, A, D */
#define FS_CLEAN  0x27ULL
#define FS_RO	  0x65ULL
#define FS_BLOCK  0xe7ULL
#define FS_TABLE  0x27ULL
#define SS_PAGE	  0x3ULL
#define SS_BLOCK  0x83ULL

/* Nested: GPA = PA + DELTA */
#define DELTA 0x10000000000ULL

struct rig {
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	struct model_port *port[2];
	char *ram;
	uint64_t used;
	uint32_t tail; /* bytes */
	uint32_t waits;
	uint64_t dir[2]; /* PASID directories */
	uint64_t context[2];
	pthread_mutex_t lock;
	struct model_stale stale;
	char why[1024];
	unsigned int stales;
	unsigned int irqs[3];
	unsigned int answers;
	struct model_page_response answer;
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

	__atomic_fetch_add(&g->irqs[line], 1, __ATOMIC_RELAXED);
}

static void rig_answer(void *ctx, const struct model_page_response *response)
{
	struct rig *g = ctx;

	g->answer = *response;
	g->answers++;
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

/* ---- the queue ---- */

static inline void desc_put(struct rig *g, uint64_t dw0, uint64_t dw1)
{
	uint64_t *slot = at(g, IQ + g->tail);

	slot[0] = dw0;
	slot[1] = dw1;
	slot[2] = 0;
	slot[3] = 0;
	g->tail = (g->tail + 32) & 0xfff;
}

/* SW: the count of waits to STATUS */
static inline void wait_put(struct rig *g)
{
	g->waits++;
	desc_put(g, 0x25 | (uint64_t)g->waits << 32, STATUS);
}

static inline void doorbell(struct rig *g)
{
	reg_set(g, REG_IQT, 8, g->tail);
}

static inline bool waited(struct rig *g)
{
	return *(uint32_t *)at(g, STATUS) == g->waits;
}

/* One descriptor and a wait; both are consumed without an error. */
static inline void desc(struct rig *g, uint64_t dw0, uint64_t dw1)
{
	desc_put(g, dw0, dw1);
	wait_put(g);
	doorbell(g);
	assert_int_equal(reg_get(g, REG_IQH, 8), g->tail);
	assert_true(waited(g));
}

#define DID(n)	   ((uint64_t)(n) << 16)
#define PASID(n)   ((uint64_t)(n) << 32)
#define SRC(n)	   ((uint64_t)(n) << 32)
#define CC_ALL	   0x11ULL
#define CC_DOMAIN  0x21ULL
#define CC_DEVICE  0x31ULL
#define IOTLB_ALL  0x12ULL
#define IOTLB_DID  0x22ULL
#define IOTLB_PAGE 0x32ULL
#define PC_DOMAIN  0x07ULL
#define PC_PASID   0x17ULL
#define PC_ALL	   0x37ULL
#define P_PASID	   0x26ULL
#define P_PAGE	   0x36ULL
#define IH	   0x40ULL
#define DEV_TLB	   0x03ULL
#define PDEV_TLB   0x08ULL
#define IEC_ALL	   0x04ULL

/* ---- tables ---- */

/* Scalable mode: PASID directories of 128 entries, RID_PASID 0 */
static inline void rig_context(struct rig *g, unsigned int n, uint64_t flags)
{
	uint32_t sid = n ? SID1 : SID0;
	uint64_t root = ROOT + 16 * (sid >> 8);

	if (!(*at(g, root) & 1))
		put(g, root, page(g) | 1);
	if (!g->dir[n])
		g->dir[n] = page(g);
	g->context[n] = (*at(g, root) & ~1ULL) + 32 * (sid & 0x7f);
	put(g, g->context[n] + 8, 0);
	put(g, g->context[n], g->dir[n] | flags);
}

static inline uint64_t pasid_at(struct rig *g, unsigned int n, uint32_t pasid)
{
	uint64_t slot = g->dir[n] + 8 * (pasid >> 6);

	if (!*at(g, slot))
		put(g, slot, page(g) | 1);
	return (*at(g, slot) & ~0xfffULL) + 64 * (pasid & 63);
}

static inline void pasid_set(struct rig *g, unsigned int n, uint32_t pasid,
			     uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
	uint64_t pa = pasid_at(g, n, pasid);

	put(g, pa, 0);
	put(g, pa + 8, dw1 | PT1_PWSNP);
	put(g, pa + 16, dw2);
	put(g, pa, dw0);
}

/* The entry of @addr at @level; tables from level 4, made with @flags */
static inline uint64_t slot_of(struct rig *g, uint64_t root, uint64_t addr,
			       int level, uint64_t delta, uint64_t flags)
{
	uint64_t table = root;

	for (int l = 4;; l--) {
		uint64_t slot = table + (addr >> (12 + 9 * (l - 1)) & 511) * 8;

		if (l == level)
			return slot;
		if (!*at(g, slot))
			put(g, slot, (page(g) + delta) | flags);
		table = (*at(g, slot) & 0x000ffffffffff000ULL) - delta;
	}
}

static inline void fs_map(struct rig *g, uint64_t root, uint64_t addr,
			  int level, uint64_t delta, uint64_t entry)
{
	put(g, slot_of(g, root, addr, level, delta, FS_TABLE), entry);
}

static inline void ss_map(struct rig *g, uint64_t root, uint64_t addr,
			  int level, uint64_t entry)
{
	put(g, slot_of(g, root, addr, level, 0, 0x3), entry);
}

/* The second stage: all RAM at GPA = PA + DELTA by 2 MiB blocks */
static inline uint64_t ss_ram(struct rig *g)
{
	uint64_t root = page(g);

	for (uint64_t pa = RAM; pa < RAM + RAM_SIZE; pa += 0x200000)
		ss_map(g, root, pa + DELTA, 2, pa | SS_BLOCK);
	return root;
}

/* ---- accesses ---- */

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

static inline struct model_translation see(struct rig *g, uint32_t pasid,
					   uint64_t iova)
{
	return look(g, 0, pasid, iova, 0);
}

static inline int dma(struct rig *g, int port, uint32_t pasid, uint64_t iova,
		      uint32_t flags, void *buf, size_t len)
{
	const struct model_access a = { .iova = iova,
					.pasid = pasid,
					.flags = flags };

	return g->model->ops->dma(g->port[port], &a, buf, len, NULL);
}

#define RID MODEL_NO_PASID

/* ---- faults ---- */

struct fault {
	uint8_t reason;
	uint8_t type; /* 0 write, 1 page request, 2 read */
	uint16_t sid;
	bool pv;
	uint32_t pasid;
	uint64_t addr;
	uint8_t at;
	bool priv;
};

/* Takes the fault of register @n. */
static inline bool fault_take(struct rig *g, unsigned int n, struct fault *f)
{
	uint64_t lo = reg_get(g, REG_FRCD + 16 * n, 8);
	uint64_t hi = reg_get(g, REG_FRCD + 16 * n + 8, 8);

	if (!(hi >> 63))
		return false;
	*f = (struct fault){
		.reason = (uint8_t)(hi >> 32),
		.type = (uint8_t)((hi >> 62 & 1) << 1 | (hi >> 28 & 1)),
		.sid = (uint16_t)hi,
		.pv = hi >> 31 & 1,
		.pasid = (uint32_t)(hi >> 40 & 0xfffff),
		.addr = lo & ~0xfffULL,
		.at = (uint8_t)(hi >> 60 & 3),
		.priv = hi >> 29 & 1,
	};
	reg_set(g, REG_FRCD + 16 * n + 8, 8, 1ULL << 63);
	return true;
}

/* ---- life ---- */

static inline int rig_try(struct rig *g, enum iotlb_policy policy,
			  const struct vtd_id *id)
{
	struct vtd_model_config config = { .policy = policy };
	struct phys_range *range;
	int rc;

	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	if (id)
		config.id = *id;
	else
		vtd_model_default_id(&config.id);
	rc = phys_create(config.id.haw, &g->phys);
	if (rc)
		return rc;
	rc = grace_create(&g->grace);
	if (rc)
		return rc;
	/* zero, and only what is used has to be */
	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->ram == MAP_FAILED) {
		g->ram = NULL;
		return -ENOMEM;
	}
	rc = phys_add_at(g->phys, RAM, g->ram, RAM_SIZE, PHYS_READ | PHYS_WRITE,
			 &range);
	if (rc)
		return rc;
	rc = vtd_model_create(&config,
			      &(struct model_host){ .phys = g->phys,
						    .grace = g->grace,
						    .ctx = g,
						    .irq = rig_irq,
						    .stale = rig_stale },
			      &g->model);
	for (unsigned int n = 0; n < 2 && !rc; n++)
		rc = g->model->ops->port_add(
			g->model,
			&(struct model_port_config){
				.stream_id = n ? SID1 : SID0,
				.pasid_bits = 20,
				.ats = true,
				.pri = true,
				.page_response = rig_answer,
				.ctx = g },
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
	if (g->ram)
		munmap(g->ram, RAM_SIZE);
}

/* SRTP, then QIE, then TE; @rtaddr with its mode, @iqa with DW and size */
static inline void rig_on(struct rig *g, uint64_t rtaddr, uint64_t iqa)
{
	reg_set(g, REG_RTADDR, 8, rtaddr);
	reg_set(g, REG_GCMD, 4, 0x40000000);
	reg_set(g, REG_IQT, 8, 0);
	reg_set(g, REG_IQA, 8, iqa);
	reg_set(g, REG_GCMD, 4, 0x04000000);
	reg_set(g, REG_PQA, 8, PRQ);
	reg_set(g, REG_FEDATA, 4, 0x77);
	reg_set(g, REG_FEADDR, 4, MSI);
	reg_set(g, REG_FECTL, 4, 0);
	reg_set(g, REG_GCMD, 4, 0x84000000);
	assert_int_equal(reg_get(g, REG_GSTS, 4), 0xc4000000);
}

/* Scalable mode, 256-bit descriptors, both sources with all there is */
static inline void rig_up_as(struct rig *g, enum iotlb_policy policy,
			     const struct vtd_id *id)
{
	assert_int_equal(rig_try(g, policy, id), 0);
	rig_context(g, 0, 0x1d);
	rig_context(g, 1, 0x1d);
	rig_on(g, ROOT | 0x400, IQ | 0x800);
}

static inline void rig_up(struct rig *g, enum iotlb_policy policy)
{
	rig_up_as(g, policy, NULL);
}

static inline int group_up(void **state)
{
	(void)state;
	return guard_init();
}

#endif
