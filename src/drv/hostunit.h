/* SPDX-License-Identifier: MIT */
/*
 * A unit as far as units of all architectures are alike: what core asks it, how
 * it comes and goes, its devices, what has been unmapped. The driver's own
 * struct begins with this; messages begin with core.ops->name.
 */
#ifndef DRV_HOSTUNIT_H
#define DRV_HOSTUNIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "drv/devices.h"
#include "drv/hostq.h"
#include "drv/hostwork.h"
#include "drv/memory.h"

/* A step from unknown hardware to a unit that translates, and back */
struct hostunit_step {
	/* On failure nothing is left of it. -ENXIO: not what the driver needs
	 */
	int (*up)(struct core_iommu *iommu);
	void (*down)(struct core_iommu *iommu); /* may be NULL */
};

struct hostunit_ops {
	const struct hostunit_step *steps;
	size_t steps_n;
	struct core_device *(*device)(const struct hostdev *hd);
	/* cfg_lock held: @hd in the unit's tables, with nothing behind it */
	int (*place)(struct hostdev *hd);
};

struct hostunit {
	struct core_iommu core;
	const struct hostunit_ops *ops;
	const struct core_hwport *port;
	const struct logger *logger;
	unsigned int timeout_ms;
	unsigned int atc_timeouts; /* see hostdevs_init(), like the next */
	unsigned int atc_window_ms;
	pthread_mutex_t *cfg_lock; /* tables; devices that come and go */
	struct hostdevs *devs;
	struct hostq *q;
	struct hostwork_thread worker; /* of interrupts' work */
	struct core_resv resv;	       /* all 0: none */
	/* IOMMU_GET_HW_INFO */
	uint32_t info_type;
	uint32_t info_len;
	const void *info;
};

static inline struct hostunit *to_hostunit(struct core_iommu *iommu)
{
	return container_of(iommu, struct hostunit, core);
}

/* How long hardware may do nothing; @wanted 0: default */
static inline unsigned int hostunit_timeout_ms(unsigned int wanted)
{
	return wanted ? wanted : 1000;
}

/*
 * With all fields set: its locks, then the steps. On failure, which is that of
 * a step, the driver's struct is freed.
 */
int hostunit_create(struct hostunit *h, struct core_iommu **out);

/* A step: the thread that interrupts leave work to */
int hostunit_worker_up(struct core_iommu *iommu);
void hostunit_worker_down(struct core_iommu *iommu);

/* Operations of core */
void hostunit_destroy(struct core_iommu *iommu);
int hostunit_hw_info(struct core_device *dev, uint32_t type, uint32_t *out_type,
		     const void **data, uint32_t *len);
size_t hostunit_reserved(struct core_device *dev, struct core_resv *resv,
			 size_t max);
void hostunit_stats(struct core_iommu *iommu, struct core_iommu_stats *stats);

/* Says why; -ENXIO */
int hostunit_refuse(const struct hostunit *h, const char *why);

/*
 * Until (4-byte register @offset & @mask) == @want; -EIO if that has not come
 * after timeout_ms.
 */
int hostunit_wait(const struct hostunit *h, uint32_t offset, uint32_t mask,
		  uint32_t want);

/* ---- devices ---- */

/*
 * core_iommu_ops.device_add() but for what the driver keeps of a device: @drv,
 * with @hd in it. -EEXIST, or what ops->place() says
 */
int hostunit_add(struct hostunit *h, struct hostdev *hd, void *drv);

/*
 * A page request of device @sid is core's from here on. -ENODEV: there is no
 * such device; -EINVAL: core is not told, for it is @refused. No doorbell is
 * rung meanwhile: hardware's answers may call handlers, which take devs.lock.
 */
int hostunit_page_request(struct hostunit *h, uint32_t sid,
			  const struct core_page_request *request,
			  bool refused);
/* Of each device some groups' last request of that kind may have been lost. */
void hostunit_requests_lost(struct hostunit *h, uint32_t kind);

/* ---- tables of domains ---- */

/* hostmem_unmap(), which says so if it was not just what was asked for */
void hostunit_unmap(const struct hostunit *h, struct pt *pt, uint64_t *first,
		    uint64_t *last, struct pt_gather *gather);

#endif
