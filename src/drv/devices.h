/* SPDX-License-Identifier: MIT */
/*
 * The devices behind a unit, by stream id, and those of them that do not answer
 * invalidations of their TLBs. Each time everybody behind the unit waits until
 * hardware gives up, so a device has a *budget* of such timeouts, and so has a
 * guest, whatever it does with its devices. Who has spent it is in
 * *quarantine*: no ATS, and no such invalidation until its reset. Where an
 * invalidation is the host's own, one timeout is enough: what it was to forget
 * must be out of reach when it returns. Numbers: docs/security.md.
 */
#ifndef DRV_DEVICES_H
#define DRV_DEVICES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/itree.h"
#include "core/driver.h"

/* Timeouts that one device or guest made everybody wait for */
struct budget {
	uint64_t since_ms; /* the window's beginning */
	uint32_t spent;
};

/* A device: embedded in what the driver has of it */
struct hostdev {
	struct itree_node node; /* by stream id */
	struct budget budget;	/* under the unit's lock */
	bool broken;		/* written under it, read by any */
};

/* Of a unit */
struct hostdevs {
	pthread_mutex_t lock; /* what follows, and budgets */
	struct itree tree;
	unsigned int timeouts; /* of a device; of a guest four times as many */
	unsigned int window_ms;
	bool marked; /* some device is broken and may still have its ATS */
	uint64_t quarantines;
};

/* 0: defaults */
void hostdevs_init(struct hostdevs *h, unsigned int timeouts,
		   unsigned int window_ms);
void hostdevs_fini(struct hostdevs *h);

/* Lock held, or what keeps devices from coming and going; NULL: none */
struct hostdev *hostdevs_find(struct hostdevs *h, uint32_t sid);
/* The next one behind @dev (NULL: the first) */
struct hostdev *hostdevs_next(struct hostdevs *h, const struct hostdev *dev);
/* Nobody else is there under that number: the caller has looked. */
void hostdevs_insert(struct hostdevs *h, struct hostdev *dev, uint32_t sid);
void hostdevs_remove(struct hostdevs *h, struct hostdev *dev);

/* What of its PASIDs a device can use behind hardware with @bits of them */
static inline uint8_t hostdev_pasid_bits(const struct core_device *dev,
					 unsigned int bits)
{
	return dev->pasid_bits < bits ? dev->pasid_bits : (uint8_t)bits;
}

/* core_iommu_ops.capabilities(), of what all have; @ats: of the unit */
uint64_t hostdev_capabilities(const struct core_device *dev, bool ats,
			      unsigned int pasid_bits, uint8_t *max_pasid_log2);

static inline bool hostdev_is_broken(const struct hostdev *dev)
{
	return __atomic_load_n(&dev->broken, __ATOMIC_ACQUIRE);
}

/* The following take the lock. */
void hostdevs_mark(struct hostdevs *h, struct hostdev *dev);
void hostdevs_mark_sid(struct hostdevs *h, uint32_t sid);
/* @sid (HOSTQ_NO_SID: nobody knows who) has cost @timeouts */
void hostdevs_charge(struct hostdevs *h, uint64_t sid, uint32_t timeouts);
/* True: @guest, with @timeouts more, is over its budget */
bool hostdevs_guest_is_over(struct hostdevs *h, struct budget *guest,
			    uint32_t timeouts);
void hostdevs_forgive(struct hostdevs *h, struct hostdev *dev);

/*
 * Takes ATS from marked devices: @off does that, false: it has none. With what
 * keeps devices from coming and going.
 */
void hostdevs_quarantine(struct hostdevs *h, bool (*off)(struct hostdev *dev));

static inline uint64_t hostdevs_quarantines(const struct hostdevs *h)
{
	return __atomic_load_n(&h->quarantines, __ATOMIC_RELAXED);
}

#endif
