/* SPDX-License-Identifier: MIT */
/*
 * A machine (rig.h) with the VT-d model: queues and tables in its memory, ports
 * of two source-ids, everything driven through registers. Words, offsets and
 * shifts are worked out by hand; no hardware definition is used.
 */
#ifndef TESTS_MODEL_VTD_RIG_H
#define TESTS_MODEL_VTD_RIG_H

#include "model/vtd/model.h"
#include "rig.h"

#define IQ	   (RAM + 0x0000)  /* 128 descriptors of 32 bytes */
#define PRQ	   (RAM + 0x10000) /* 128 requests */
#define ROOT	   (RAM + 0x20000)
#define STATUS	   (RAM + 0x30000)
#define MSI	   (RAM + 0x31000)

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
	struct model_host host;
	int rc;

	if (id)
		config.id = *id;
	else
		vtd_model_default_id(&config.id);
	rc = rig_memory(g, config.id.haw);
	if (rc)
		return rc;
	host = rig_host(g);
	rc = vtd_model_create(&config, &host, &g->model);
	return rc ? rc : rig_ports(g, SID0, SID1, true);
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

#endif
