/* SPDX-License-Identifier: MIT */
/*
 * A machine (rig.h) with the SMMUv3 model: queues and tables in its memory,
 * ports of StreamIDs 8 and 9, everything driven through registers. Words,
 * offsets and shifts are worked out by hand; no hardware definition is used.
 */
#ifndef TESTS_MODEL_ENGINE_RIG_H
#define TESTS_MODEL_ENGINE_RIG_H

#include "model/smmuv3/model.h"
#include "rig.h"

#define CMDQ		(RAM + 0x0000)	/* 256 commands */
#define EVENTQ		(RAM + 0x10000) /* 128 events */
#define STRTAB		(RAM + 0x20000) /* 256 STEs, linear */

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
	struct model_host host;
	int rc;

	if (id)
		config.id = *id;
	else
		smmuv3_model_default_id(&config.id);
	rc = rig_memory(g, 48);
	if (rc)
		return rc;
	host = rig_host(g);
	rc = smmuv3_model_create(&config, &host, &g->model);
	return rc ? rc : rig_ports(g, 8, 9, false);
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

#endif
