/* SPDX-License-Identifier: MIT */
/*
 * A small fake VT-d unit for tests of the driver: registers that answer,
 * memory, and an invalidation queue executed by hand, which records what it was
 * given and fails where the test says so. Also the few functions of core that
 * the driver calls. Numbers are the specification's (revision 5.10), written
 * out.
 */
#ifndef TESTS_DRV_VTD_FAKE_H
#define TESTS_DRV_VTD_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "drv/vtd/driver.h"
#include "parts.h"

#define VFAKE_LOG 60000
#define NO_PASID  UINT32_MAX

/*
 * CAP: ND 6 (16 bits), 4- and 5-level tables, MGAW 57, 2M and 1G pages, PSI
 * with MAMV 18, FRO 0x20, 2 fault records, drains, 5-level first stage, ESRTPS.
 */
#define VFAKE_CAP 0x91d2018c20380c06ULL
/* ECAP: C QI DT PT SC IRO 0x50 SMTS NEST SSADS SSTS FSTS SMPWCS SRS EAFS PASID
 * PSS 19 */
#define VFAKE_ECAP 0x1e99c840050c7ULL

struct vfake {
	uint64_t cap, ecap;
	uint32_t ver;
	uint32_t gsts;
	uint32_t gcmds[64]; /* writes of GCMD */
	unsigned int gcmds_n;
	uint64_t rtaddr, rtaddr_set;
	uint64_t iqa, iqh, iqt, iqercd;
	uint32_t fsts;
	uint32_t ectl[12]; /* FECTL.., IECTL.., PECTL.. */
	uint64_t frcd[2][2];
	uint64_t pqa, pqh, pqt;
	uint32_t prs;
	unsigned int pro_early; /* PRO was cleared, and the queue not empty */
	uint64_t ccmd, iotlb;
	unsigned int register_invalidations; /* that were obeyed */
	bool no_registers;		     /* none is */
	bool deaf;			     /* GSTS does not follow */

	struct fakemem mem;

	void (*handler[3])(void *arg);
	void *handler_arg[3];

	/* what the queue executed, in order, waits included */
	uint64_t (*log)[4];
	size_t log_n;
	unsigned int doorbells;

	/* failures */
	uint64_t ill_dw0;	 /* IQE, unknown type: this doubleword 0 */
	uint32_t mute_sid;	 /* does not answer; 0: none */
	uint64_t mute_dw1;	 /* only this doubleword 1; 0: any */
	unsigned int mute_times; /* so often; 0: always */
	bool mute_silent;	 /* ITESID is not told */
	bool ahead;		 /* waits are fetched before they abort */
	bool outstanding;
	bool late_ite;	  /* when the queue is turned off */
	bool stays_out;	  /* and of what it has asked answers are still due */
	uint32_t ice_sid; /* answers what it must not; 0: none */
	uint64_t ice_dw1;
	unsigned int abort_times; /* fetches that abort */
	bool stuck;
	/* called before each descriptor executes */
	void (*spy)(struct vfake *f, const uint64_t dw[4]);
	void *spy_arg;
	/* PQH was written, or a fault record cleared */
	void (*room_spy)(struct vfake *f, uint32_t offset);
};

extern const struct core_hwport_ops vfake_ops;

void vfake_init(struct vfake *f);
/* Everything the driver took must be back. */
void vfake_fini(struct vfake *f);
struct core_hwport vfake_port(struct vfake *f);

uint64_t vfake_load(const struct vfake *f, uint64_t pa);
/* Scalable mode: doubleword @i of a context entry and of a PASID table entry,
 * walked as hardware does; UINT64_MAX: something above is not present */
uint64_t vfake_context(const struct vfake *f, uint32_t sid, unsigned int i);
uint64_t vfake_entry(const struct vfake *f, uint32_t sid, uint32_t pasid,
		     unsigned int i);
/* Second-stage walk of @levels from @root; false: not mapped. @entry: leaf */
bool vfake_walk(const struct vfake *f, uint64_t root, unsigned int levels,
		uint64_t iova, uint64_t *pa, uint64_t *entry);
void vfake_set_bits(const struct vfake *f, uint64_t pa, uint64_t bits);

void vfake_clear_log(struct vfake *f);
/* A recorded fault, and the event */
void vfake_fault(struct vfake *f, unsigned int i, uint64_t dw0, uint64_t dw1);

/* A page request, and the event; false: no room */
bool vfake_page_request(struct vfake *f, uint64_t dw0, uint64_t dw1);

/* What core was asked; @rc: what it says, at first -ENODEV */
struct vfake_pages {
	int rc;
	/* first of all; may be NULL */
	void (*spy)(struct core_device *dev, void *arg);
	void *spy_arg;
	unsigned int n;
	unsigned int lost; /* calls of core_page_requests_lost() */
	struct core_device *dev;
	struct core_page_request last;
};
extern struct vfake_pages vfake_pages;

/* core_dirty_record() */
struct vfake_dirty {
	unsigned int n;
	uint64_t iova[64];
	uint64_t length[64];
};

/* A unit with devices: 0x100 (plain), 0x101 (ATS), 0x182 (ATS, 20-bit PASIDs)
 */
struct vrig {
	struct vfake hw;
	struct core_iommu *iommu;
	struct core_device dev[3];
	struct vtd_drv_config cfg;
};
void vrig_init(struct vrig *r); /* hw and cfg only */
void vrig_start(struct vrig *r);
void vrig_begin(struct vrig *r); /* both */
void vrig_stop(struct vrig *r);
struct core_domain *vrig_domain(struct vrig *r, uint32_t flags);
int vrig_nested(struct vrig *r, struct core_domain *parent, uint64_t flags,
		uint64_t table, uint32_t width, struct core_domain **n);
void vrig_stats(struct vrig *r, struct core_iommu_stats *s);

/* The ABI's entry, or ours with room for errors */
struct ventry {
	uint64_t addr;
	uint64_t npages;
	uint32_t flags;
	uint32_t reserved;
	uint32_t hw_error;
	uint32_t hw_error_info;
};
int vrig_inval(struct core_domain *n, struct ventry *entries, uint32_t count,
	       bool errors, struct core_inval *inv);

#define EXPECT_DESC(f, i, a, b)                                  \
	do {                                                     \
		assert_true((i) < (f)->log_n);                   \
		assert_int_equal((f)->log[i][0], (uint64_t)(a)); \
		assert_int_equal((f)->log[i][1], (uint64_t)(b)); \
		assert_int_equal((f)->log[i][2], 0);             \
		assert_int_equal((f)->log[i][3], 0);             \
	} while (0)

/* A wait: status write, fence, type 5; which number does not matter */
#define EXPECT_WAIT(f, i)                                            \
	do {                                                         \
		assert_true((i) < (f)->log_n);                       \
		assert_int_equal((f)->log[i][0] & 0xffffffff, 0x65); \
	} while (0)

#endif
