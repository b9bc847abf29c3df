/* SPDX-License-Identifier: MIT */
/*
 * Inside the VT-d driver. A *layer* is what a device or PASID is attached to: a
 * paging domain, or a nested one over it. An *attachment* is one PASID of one
 * device under a layer, its *entry* the PASID table entry (in legacy mode the
 * context entry) that says so. PASID 0 stands for requests without a PASID:
 * that is RID_PASID.
 *
 * Each layer has a domain id of its own in each unit where it is attached.
 * Nested ones need that: caches tag a guest's entries with (domain id, PASID),
 * and devices that are attached without PASID all have PASID 0, whatever their
 * tables.
 *
 * Locks, outermost first: a parent's layer, a nested layer, a unit's cfg_lock,
 * its devs.lock. Handlers have their work's (drv/hostwork.h), then devs.lock.
 */
#ifndef DRV_VTD_UNIT_H
#define DRV_VTD_UNIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/itree.h"
#include "drv/hostinv.h"
#include "drv/hostunit.h"
#include "drv/hostwork.h"
#include "drv/list.h"
#include "drv/memory.h"
#include "drv/vtd/desc.h"
#include "drv/vtd/driver.h"
#include "hwdef/vtd_tables.h"
#include "linux/iommufd.h"
#include "pt/vtd.h"

/* What the capability registers allow */
struct features {
	bool scalable;
	bool wide; /* 256-bit descriptors */
	bool nested;
	bool first5; /* 5-level first stage */
	bool ats;
	bool prq;
	bool dirty; /* SSADS */
	bool srs;
	bool eafs;
	bool psi;
	/* entries that come into being must be told of (CM, RWBF) */
	bool eager;
	bool snoops; /* SMPWCS */
	bool abort_mode;
	bool root_forgets; /* ESRTPS */
	bool registers;	   /* that invalidate, in legacy mode */
	bool drain_reads;
	bool drain_writes;
	bool throttles; /* DIT */
	bool huge_2m;	/* second-stage pages */
	bool huge_1g;
	unsigned int sagaw;  /* bit n: second-stage tables of n + 2 levels */
	unsigned int mgaw;   /* bits of what they translate */
	unsigned int levels; /* of those that are made for it */
	unsigned int bits;   /* of an IOVA in these */
	unsigned int did_bits;
	unsigned int pasid_bits; /* 0: none */
	unsigned int order_max;	 /* MAMV */
	unsigned int mode;	 /* RTADDR.TTM */
};

struct unit {
	struct hostunit host;
	struct core_hwport port;
	struct vtd_drv_config cfg;
	struct features feat;
	struct iommu_hw_info_vtd info;
	uint32_t gcmd; /* bits that stay */
	struct hostq q;
	struct core_dma_mem status; /* waits write here */
	struct core_dma_mem root;
	struct core_dma_mem last; /* of stop.c, if it needs any */
	struct hostwork faults;
	/* with feat.prq */
	struct {
		struct hostwork work;
		struct core_dma_mem mem;
		uint32_t head; /* under the work's lock */
	} prq;

	pthread_mutex_t cfg_lock;   /* tables and entries, devices */
	struct hosttables contexts; /* two for each bus */
	struct hostdevs devs;
	struct hostids dids;
};

struct layer;

struct master {
	struct core_device *dev;
	struct unit *unit;
	struct hostdev hostdev;
	uint16_t sid;
	uint8_t pasid_bits;

	/* under cfg_lock */
	le64 *context; /* its entry */
	struct core_dma_mem dir;
	struct hosttables tables; /* PASID tables by directory index */
	bool ats_on;		  /* read by any */
	struct itree atts;	  /* installed ones, by PASID */
};

/* A layer's domain id in one unit, and what is attached there */
struct did {
	struct link link;
	struct unit *unit;
	uint16_t id;
	uint32_t users;
	struct link atts; /* by PASID */
	struct itree by_pasid;
};

struct att {
	struct itree_node node; /* in master->atts */
	struct master *master;
	struct layer *layer;
	struct did *did;
	struct link link; /* in did->atts */
	struct itree_node by_pasid;
};

struct layer {
	struct core_domain core;
	pthread_rwlock_t lock; /* what follows */
	struct link dids;
};

/* A paging domain */
struct domain {
	struct layer layer;
	struct unit *home; /* whose memory its tables are */
	struct pt *pt;
	unsigned int levels;
	bool nest_parent;
	bool eager; /* atomic, as the next: new mappings must be told of */
	bool dirty; /* tracking is on; entries follow under cfg_lock */
	struct link nested;   /* under layer.lock */
	struct budget budget; /* of its guest, or of what is under it */
};

/* A guest's first stage over a domain */
struct nested {
	struct layer layer;
	struct domain *parent;
	struct link link; /* in parent->nested */
	struct iommu_hwpt_vtd_s1 s1;
};

static inline struct unit *to_unit(struct core_iommu *iommu)
{
	return container_of(iommu, struct unit, host.core);
}

static inline struct layer *to_layer(struct core_domain *core)
{
	return container_of(core, struct layer, core);
}

static inline struct domain *to_domain(struct core_domain *core)
{
	return container_of(to_layer(core), struct domain, layer);
}

static inline struct nested *to_nested(struct core_domain *core)
{
	return container_of(to_layer(core), struct nested, layer);
}

static inline uint32_t att_pasid(const struct att *a)
{
	return (uint32_t)a->node.first;
}

static inline bool master_has_ats(const struct master *m)
{
	return __atomic_load_n(&m->ats_on, __ATOMIC_ACQUIRE);
}

/* The paging domain whose tables @l uses */
static inline struct domain *layer_tables(struct layer *l)
{
	return l->core.nested ? to_nested(&l->core)->parent
			      : to_domain(&l->core);
}

/* probe.c */
uint64_t vtd_unit_read(const struct unit *u, uint32_t offset,
		       unsigned int size);
void vtd_unit_write(const struct unit *u, uint32_t offset, unsigned int size,
		    uint64_t value);
/* A bit of GCMD that stays, until GSTS says so; -EIO: it does not */
int vtd_unit_command(struct unit *u, uint32_t bit, bool on);
/* The root table pointer, and the mode VTD_TTM_*; -EIO likewise */
int vtd_unit_set_root(struct unit *u, uint64_t mode);
/* True: @iommu is one of this driver's */
bool vtd_unit_is_ours(const struct core_iommu *iommu);

/* steps of a unit: features.c */
int vtd_features_read(struct core_iommu *iommu);

/* queue.c */
int vtd_queue_init(struct unit *u);
void vtd_queue_fini(struct unit *u);
/* What is collected here is for @u; devices that do not answer are marked. */
void vtd_unit_inv(struct hostinv *h, struct unit *u);

/* stop.c: the unit is dead. With the queue's lock held */
void vtd_unit_stop(struct unit *u);
int vtd_stop_init(struct unit *u);
void vtd_stop_fini(struct unit *u);

/* fault.c: @u->faults */
void vtd_fault_init(struct unit *u);
/* What was recorded before is dropped. */
void vtd_fault_reset(struct unit *u);

/* prq.c: page requests, @u->prq.work; the first two are steps */
int vtd_prq_init(struct core_iommu *iommu);
void vtd_prq_fini(struct core_iommu *iommu);
/* Called with any lock of core */
void vtd_page_response(struct core_device *dev,
		       const struct core_page_request *last, uint32_t code);

/* tables.c: steps */
int vtd_tables_init(struct core_iommu *iommu);
void vtd_tables_fini(struct core_iommu *iommu);
/* cfg_lock held */
int vtd_tables_add(struct master *m); /* its context entry, nothing present */
void vtd_tables_remove(struct master *m);
/* Room for the entry of @pasid; -ENOMEM */
int vtd_tables_need(struct master *m, uint32_t pasid);
/* The entry of @pasid, for which there is room */
le64 *vtd_tables_entry(const struct master *m, uint32_t pasid);
/* DTE, and TT in legacy mode */
void vtd_tables_set_ats(struct master *m, bool on);

/* entry.c; cfg_lock held. Table 28 of the specification. */
void vtd_entry_install(struct att *a);
/* Hardware has forgotten @a, and its device what it cached through it. */
void vtd_entry_clear(struct att *a);
void vtd_entry_set_dirty(struct att *a, bool on);

/* attach.c */
/* hostunit_ops */
struct core_device *vtd_master_device(const struct hostdev *hd);
int vtd_master_place(struct hostdev *hd);
int vtd_device_add(struct core_device *dev);
void vtd_device_remove(struct core_device *dev);
void vtd_device_block(struct core_device *dev, uint32_t pasid);
void vtd_device_reset(struct core_device *dev);
int vtd_layer_attach(struct layer *l, struct core_device *dev, uint32_t pasid);
void vtd_layer_init(struct layer *l, const struct core_domain_ops *ops);
void vtd_layer_fini(struct layer *l);
/* With its lock held: where it is in the next unit behind @prev, or NULL */
struct did *vtd_layer_next(const struct layer *l, const struct unit *prev);

/* silent.c: devices that do not answer */
/* cfg_lock held */
void vtd_masters_quarantine(struct unit *u);
/* No lock held. What a guest under @d asked for has cost a timeout of @u. */
void vtd_guest_timed_out(struct domain *d, struct unit *u);
void vtd_master_forgive(struct master *m);

/* domain.c, nested.c, inval.c */
int vtd_domain_alloc(struct core_device *dev, uint32_t flags,
		     struct core_domain **out);
int vtd_nested_alloc(struct core_device *dev, struct core_domain *parent,
		     uint32_t flags, const struct core_user_data *data,
		     struct core_domain **out);
extern const struct core_domain_ops vtd_nested_ops;
/* Can @dev be attached to @d? -EINVAL: hardware has not what tables have */
int vtd_domain_fits(const struct domain *d, const struct core_device *dev);
/* -EINVAL: hardware cannot do what @n asks for */
int vtd_nested_fits(const struct nested *n, const struct core_device *dev);
int vtd_nested_invalidate(struct core_domain *core, struct core_inval *inv);

#endif
