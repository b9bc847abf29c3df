/* SPDX-License-Identifier: MIT */
/*
 * The driver's own objects. A *unit* is one SMMU, a *master* a device behind
 * it. Lock order: cfg_lock, then viommu.lock, the numbers' or the command
 * queue's, then devs.lock; an outq's, then devs.lock, then core's for events
 * and page requests. With devs.lock held no doorbell is rung (cmdq_hold()).
 */
#ifndef DRV_SMMUV3_UNIT_H
#define DRV_SMMUV3_UNIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/itree.h"
#include "drv/hostunit.h"
#include "drv/list.h"
#include "drv/memory.h"
#include "drv/smmuv3/cmdq.h"
#include "drv/smmuv3/driver.h"
#include "drv/smmuv3/outq.h"
#include "hwdef/smmuv3_cmd.h"
#include "hwdef/smmuv3_tables.h"
#include "linux/iommufd.h"
#include "pt/armv8.h"

#define STRTAB_SPLIT 8 /* STEs in a level-2 stream table, log2 */
#define CD_SPLIT     6 /* CDs in a level-2 CD table, log2 (S1FMT_4K_L2) */

/* What the identification registers allow */
struct features {
	bool s1;
	bool s2;
	bool nesting; /* both */
	bool strtab_2lvl;
	bool cd_2lvl;
	bool ats;
	bool pri;
	bool hyp;
	bool ril;
	bool stall_optional; /* STALL_MODEL: S1STALLD has a meaning */
	bool stall_forced;
	unsigned int asid_bits;
	unsigned int vmid_bits;
	unsigned int sid_bits;
	unsigned int ssid_bits;
	unsigned int cmdq_lg2;
	unsigned int evtq_lg2;
	unsigned int priq_lg2;
	uint32_t stalls; /* of one device at once */
	unsigned int granule_lg2;
	unsigned int oas;      /* at most 48 */
	unsigned int oas_code; /* IPS and PS fields */
};

/* struct core_page_request.kind */
enum request_kind {
	REQUEST_STALL, /* the group id is its STAG */
	REQUEST_PRI,
};

struct strtab {
	struct core_dma_mem top; /* level 1, or the linear table */
	struct hosttables l2;	 /* n 0: the table is linear */
	unsigned int sid_bits;	 /* what the table covers */
};

struct unit {
	struct hostunit host;
	struct core_hwport port;
	struct smmuv3_drv_config cfg;
	struct features feat;
	struct iommu_hw_info_arm_smmuv3 info;
	uint32_t cr0;
	struct cmdq cmdq;
	struct outq evtq;
	struct outq priq; /* with feat.pri */

	/* stream table, CD tables, who is attached to what, lists */
	pthread_mutex_t cfg_lock;
	struct strtab strtab;

	/* what event handlers read: masters by StreamID, vmaster, vsid */
	struct hostdevs devs;

	struct hostids asids;
	struct hostids vmids;
};

/* A CD table of one master; all zero: none yet */
struct cdtab {
	unsigned int bits; /* log2 of CDs; S1CDMax */
	bool two_level;
	struct core_dma_mem top; /* level 1, or the linear table */
	struct hosttables l2;
};

enum ste_mode {
	STE_ABORT,
	STE_S1,
	STE_S2,
	STE_NESTED,
};

struct domain;
struct nested;
struct viommu;

struct master {
	struct core_device *dev;
	struct unit *unit;
	struct hostdev hostdev; /* it is in quarantine if broken */
	struct smmuv3_ste *ste; /* in the stream table */
	uint8_t ssid_bits;

	/* under cfg_lock */
	enum ste_mode mode;
	bool ats_on;	       /* EATS in the installed STE */
	struct domain *domain; /* of the default SSID, or NULL */
	struct nested *nested; /* or this */
	struct link link;      /* in domain->masters or viommu->masters */
	struct cdtab cdtab;
	struct itree pasids; /* struct pasid by number */

	/* under devs.lock */
	struct viommu *vmaster; /* gets this stream's events, as @vsid */
	uint32_t vsid;

	uint32_t stalls; /* atomic: not answered yet */
};

/* One SSID of a master under a domain */
struct pasid {
	struct itree_node node;
	struct master *master;
	struct domain *domain;
	struct link link; /* in domain->pasids */
};

/* A paging domain */
struct domain {
	struct core_domain core;
	struct unit *unit;
	unsigned int stage;
	bool nest_parent;
	uint16_t asid; /* stage 1 */
	uint16_t vmid; /* stage 2: of streams directly under this domain */
	struct pt *pt;
	struct budget budget; /* of devices directly under it */
	/* under cfg_lock */
	struct link masters;
	struct link pasids;
	struct link viommus;
};

/* A vDEVICE as commands see it */
struct vdev {
	uint64_t virt_id;
	struct core_device *dev;
	uint32_t sid;
	bool ats;
};

struct viommu {
	struct core_viommu core;
	struct unit *unit;
	struct domain *parent;
	uint16_t vmid;
	struct link link; /* in parent->viommus */
	struct link masters;
	struct budget budget;
	pthread_rwlock_t lock; /* what follows */
	struct vdev *vdevs;    /* by virt_id */
	size_t vdevs_n;
};

/* A nested domain: what the guest's STE says */
struct nested {
	struct core_domain core;
	struct viommu *viommu;
	uint64_t ste[2]; /* accepted bits only, EATS taken out */
	bool ats;
};

static inline struct unit *to_unit(struct core_iommu *iommu)
{
	return container_of(iommu, struct unit, host.core);
}

static inline struct domain *to_domain(struct core_domain *core)
{
	return container_of(core, struct domain, core);
}

static inline struct nested *to_nested(struct core_domain *core)
{
	return container_of(core, struct nested, core);
}

static inline struct viommu *to_viommu(struct core_viommu *core)
{
	return container_of(core, struct viommu, core);
}

/* probe.c */
uint32_t unit_read(const struct unit *u, uint32_t offset);
void unit_write(const struct unit *u, uint32_t offset, uint32_t value);
void unit_write64(const struct unit *u, uint32_t offset, uint64_t value);

/* steps of a unit: features.c */
int features_read(struct core_iommu *iommu);

/* evtq.c, priq.c: queues on outq.h; steps */
int evtq_init(struct core_iommu *iommu);
void evtq_fini(struct core_iommu *iommu);
/* Events of nobody knows whom, by overflow or abort */
void evtq_lost(struct unit *u);
int priq_init(struct core_iommu *iommu);
void priq_fini(struct core_iommu *iommu);
/* Page requests may have been lost; no lock that handlers take */
void priq_lost(struct unit *u);
/* What core says to a group; may be called with any lock of core */
void evtq_answer(struct master *m, const struct core_page_request *last,
		 bool success);
void priq_answer(struct master *m, const struct core_page_request *last,
		 bool success);

/* strtab.c; the first two are steps */
int strtab_init(struct core_iommu *iommu);
void strtab_fini(struct core_iommu *iommu);
/* The STE of @sid, made if need be; -ERANGE: beyond the table */
int strtab_entry(struct unit *u, uint32_t sid, struct smmuv3_ste **ste);
/* cfg_lock held: @target into @m's STE, never through a third meaning */
void strtab_install(struct master *m, const uint64_t target[8]);

/* ste.c: pure */
void ste_abort(uint64_t ste[8]);
void ste_s1(const struct master *m, unsigned int s1dss, bool ats,
	    uint64_t ste[8]);
void ste_s2(const struct domain *d, uint16_t vmid, bool ats, bool stall,
	    uint64_t ste[8]);
/* @n: any meaning, abort and bypass included. @told: of what has V = 0 */
void ste_nested(const struct nested *n, bool ats, bool told, uint64_t ste[8]);
void ste_used(const uint64_t ste[8], uint64_t used[8]);
/* @m can be made to stall? */
bool master_stalls(const struct master *m);
void cd_make(const struct domain *d, bool stall, uint64_t cd[8]);
/* The guest's STE as given; -EIO for what a guest must not say */
int nested_set_ste(struct nested *n, const uint64_t ste[2]);
bool nested_translates(const struct nested *n);
bool nested_is_valid(const struct nested *n);

/* cdtab.c; all with cfg_lock held */
int cdtab_init(struct master *m);
void cdtab_fini(struct master *m);
/* Hardware sees the old CD or the new one. -ENOMEM: nothing changed */
int cdtab_set(struct master *m, uint32_t ssid, const uint64_t cd[8]);
void cdtab_clear(struct master *m, uint32_t ssid);

/* master.c */
bool master_can_ats(const struct master *m);
/* hostunit_ops */
struct core_device *master_device(const struct hostdev *hd);
int master_place(struct hostdev *hd);
int master_add(struct core_device *dev);
void master_remove(struct core_device *dev);
int master_attach(struct domain *d, struct master *m);
int master_attach_pasid(struct domain *d, struct master *m, uint32_t pasid);
int master_attach_nested(struct nested *n, struct master *m);
void master_block(struct core_device *dev, uint32_t pasid);
/* devs.lock or cfg_lock held */
struct master *master_find(struct unit *u, uint32_t sid);
void master_reset(struct core_device *dev);

/* quarantine.c */
static inline bool master_is_broken(const struct master *m)
{
	return hostdev_is_broken(&m->hostdev);
}

/* cfg_lock held: takes ATS from masters that do not answer */
void masters_quarantine(struct unit *u);
/* No lock held. Commands of @v have cost a timeout: devices over their budget
 * are in quarantine when it returns. */
void viommu_timed_out(struct viommu *v);
/* cfg_lock held, as the next: no quarantine any more, unless its guest is over
 * its budget */
void master_forgive(struct master *m);
/* What the host asks @m from now on, @guest pays for; NULL: nobody but @m */
void master_pays(struct master *m, struct budget *guest);
/* Not in quarantine, nor in a window of who pays */
bool master_may_be_asked(struct master *m);

/* domain.c, viommu.c: operations of core */
int domain_alloc(struct core_device *dev, uint32_t flags,
		 struct core_domain **out);
int viommu_alloc(struct core_device *dev, struct core_domain *parent,
		 uint32_t type, const struct core_user_data *data,
		 struct core_viommu **out);
/* inval.c */
int viommu_invalidate(struct core_viommu *core, struct core_inval *inv);

#endif
