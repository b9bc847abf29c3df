/* SPDX-License-Identifier: MIT */
/*
 * A small fake SMMUv3 for tests of the driver: registers that answer, memory,
 * and a command queue executed by hand, which records what it was given and
 * fails where the test says so. Also the few functions of core that the driver
 * calls. Numbers are Arm IHI 0070's, written out.
 */
#ifndef TESTS_DRV_FAKE_H
#define TESTS_DRV_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "drv/smmuv3/driver.h"
#include "parts.h"

#define FAKE_LOG 200000

struct fake {
	/* registers */
	uint32_t idr[6];
	uint32_t iidr, aidr;
	uint32_t cr0, cr0ack, cr1, cr2, gbpa, irq_ctrl, gerror, gerrorn;
	uint64_t strtab_base, cmdq_base, evtq_base;
	uint32_t strtab_cfg, cmdq_prod, cmdq_cons, evtq_prod, evtq_cons;
	uint64_t priq_base;
	uint32_t priq_prod, priq_cons;
	bool deaf; /* CR0 is never acknowledged */

	struct fakemem mem;

	/* interrupts */
	void (*handler[4])(void *arg);
	void *handler_arg[4];

	/* what the queue executed, in order, syncs included */
	uint64_t (*log)[2];
	size_t log_n;
	unsigned int doorbells;
	unsigned int cons_reads;

	/* failures */
	uint64_t ill_dw0;	 /* illegal: this very doubleword 0; 0: none */
	unsigned int ill_times;	 /* so often, then it is legal; 0: always */
	uint32_t mute_sid;	 /* no ATC there answers; -1: none */
	unsigned int mute_times; /* so often, then it answers; 0: always */
	bool atc_outstanding;
	unsigned int abort_times; /* fetches that abort */
	bool stuck;		  /* consumes nothing */
	unsigned int lazy;	  /* CONS reads before it begins; 0: at once */
	unsigned int lazy_left;
	/* called before each command executes */
	void (*spy)(struct fake *f, const uint64_t dw[2]);
	void *spy_arg;
	/* called when EVENTQ_CONS has been written */
	void (*cons_spy)(struct fake *f);
};

extern const struct core_hwport_ops fake_ops;

/* 48-bit OAS, 4K, both stages, 2-level tables, RIL, ATS, 20-bit SSIDs ... */
void fake_init(struct fake *f);
/* Everything the driver took must be back. */
void fake_fini(struct fake *f);
struct core_hwport fake_port(struct fake *f);

uint64_t fake_load(const struct fake *f, uint64_t pa);
/* Doubleword @i of the STE of @sid by the registers; UINT64_MAX: none */
uint64_t fake_ste(const struct fake *f, uint32_t sid, unsigned int i);
/* Doubleword @i of a CD, as the STE of @sid leads to it; UINT64_MAX: none */
uint64_t fake_cd(const struct fake *f, uint32_t sid, uint32_t ssid,
		 unsigned int i);
/* Walks 4K stage-2 or stage-1 tables; false: not mapped */
bool fake_walk(const struct fake *f, uint64_t ttb, unsigned int t0sz,
	       unsigned int start_level, uint64_t ia, uint64_t *pa);

void fake_clear_log(struct fake *f);
/* One event into the queue, and the interrupt */
void fake_event(struct fake *f, const uint64_t evt[4], bool irq);
void fake_irq(struct fake *f, unsigned int line);
/* One page request likewise */
void fake_page_request(struct fake *f, uint64_t dw0, uint64_t dw1, bool irq);

/* The event that core was given last, and how many */
struct fake_core_event {
	struct core_viommu *viommu;
	uint32_t type;
	size_t size;
	uint64_t evt[4];
};
extern struct fake_core_event fake_core_event;
extern unsigned int fake_core_events;
extern unsigned int fake_core_lost; /* "some were lost" */

/* Page requests that core was given; @rc: what it says, at first -ENODEV */
struct fake_core_pages {
	int rc;
	unsigned int n;
	unsigned int lost; /* calls of core_page_requests_lost() */
	struct core_device *dev;
	struct core_page_request last;
};
extern struct fake_core_pages fake_core_pages;

/* A unit with devices: SIDs 0x100 (plain), 0x101 (ATS), 0x102 (ATS, PASIDs) */
struct rig {
	struct fake hw;
	struct core_iommu *iommu;
	struct core_device dev[3];
	struct smmuv3_drv_config cfg;
};
void rig_start(struct rig *r);
void rig_start_devices(struct rig *r); /* after own changes to hw and cfg */
void rig_init(struct rig *r);	       /* hw and cfg only */
void rig_stop(struct rig *r);
struct core_domain *rig_domain(struct rig *r, uint32_t flags);
struct core_viommu *rig_viommu(struct rig *r, struct core_domain *parent);
int rig_nested(struct core_viommu *v, uint64_t ste0, uint64_t ste1,
	       struct core_domain **n);
void rig_vdev(struct core_viommu *v, struct core_vdevice *vdev,
	      struct core_device *dev, uint64_t virt_id);
/* IOMMU_HWPT_INVALIDATE with an array of 16-byte entries */
int rig_inval(struct core_viommu *v, const uint64_t (*cmds)[2], uint32_t n,
	      struct core_inval *inv);

#define EXPECT_CMD(f, i, a, b)                                   \
	do {                                                     \
		assert_true((i) < (f)->log_n);                   \
		assert_int_equal((f)->log[i][0], (uint64_t)(a)); \
		assert_int_equal((f)->log[i][1], (uint64_t)(b)); \
	} while (0)

#define SYNC 0x46

#endif
