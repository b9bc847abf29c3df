/* SPDX-License-Identifier: MIT */
/*
 * The devices behind a unit, by stream id, and those of them that do not answer
 * invalidations of their TLBs. Each time everybody behind the unit waits until
 * hardware gives up, so a device has a *budget* of such timeouts, and so has a
 * guest, whatever it does with its devices. Who has spent it is in
 * *quarantine*: no ATS, and no such invalidation until its reset. Where an
 * invalidation is the host's own, one timeout is enough: what it was to forget
 * must be out of reach when it returns.
 *
 * Each timeout opens a *window* of its device and its guest, in which neither
 * may cause another: until it ends, nothing that a device has to answer is sent
 * for them (hostq.h). Numbers: docs/security.md.
 */
#ifndef DRV_DEVICES_H
#define DRV_DEVICES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/itree.h"
#include "core/driver.h"

/* hostdevs_init(): no windows */
#define HOSTDEVS_NO_WINDOW UINT32_MAX
/*
 * What others had to wait for devices: below SLOW nobody is charged. A machine
 * that is busy makes a thread wait as long, so up to LATE only time is charged.
 */
#define HOSTDEVS_SLOW_MS 10
#define HOSTDEVS_LATE_MS 100
/* A guest's in all that are a timeout, so that its pauses have an end */
#define HOSTDEVS_LATE_SUM_MS 1000
/* No window ends then: who is over its budget, or in quarantine */
#define HOSTDEVS_NEVER UINT64_MAX

/* Timeouts that one device or guest made everybody wait for. All 0: none */
struct budget {
	uint64_t spent; /* atomic: when the last was, and how many; devices.c */
	uint64_t pause; /* atomic: the end of one for late answers, or 0 */
	uint64_t late;	/* atomic: ms of such, not yet charged as a timeout */
};

/* A device: embedded in what the driver has of it */
struct hostdev {
	struct itree_node node; /* by stream id */
	struct budget budget;
	struct budget lasting; /* as a guest's: a reset does not give it back */
	bool broken;	       /* written under the unit's lock, read by any */
	/* under the unit's lock: who pays as well, or NULL */
	struct budget *guest;
};

/* Of a unit. Its lock is taken inside the queue's. */
struct hostdevs {
	pthread_mutex_t lock; /* what follows */
	struct itree tree;
	unsigned int timeouts; /* of a device; of a guest four times as many */
	unsigned int window_ms;
	bool marked; /* some device is broken and may still have its ATS */
	uint64_t quarantines;
	uint32_t changes;   /* atomic: devices marked, or forgiven */
	uint64_t charge_ms; /* atomic: when the last charge was, 0: never */

	/* Time. Tests have their own. */
	uint64_t (*now_ms)(struct hostdevs *h);
	void (*nap_ms)(struct hostdevs *h, uint64_t ms);
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
bool hostdevs_sid_is_broken(struct hostdevs *h, uint32_t sid);
/*
 * As hostdevs_charge(), but they have answered, and @took_ms was what others
 * had to wait. From HOSTDEVS_LATE_MS on, or in a pause, that is as bad as a
 * timeout; else there is a *pause*, until @took_ms was a tenth of the time. It
 * holds whoever can wait.
 */
void hostdevs_charge_late(struct hostdevs *h, struct budget *guest,
			  uint64_t sid, uint64_t took_ms);
/*
 * @sid (HOSTQ_NO_SID: nobody knows who) has cost a timeout, and has asked on
 * behalf of @guest (NULL: its own, if it has one).
 */
void hostdevs_charge(struct hostdevs *h, struct budget *guest, uint64_t sid);
/* When @sid may be asked something for @guest, or for its own: 0, now */
uint64_t hostdevs_sid_window(struct hostdevs *h, const struct budget *guest,
			     uint32_t sid);
/* Likewise, pauses included */
uint64_t hostdevs_sid_pause(struct hostdevs *h, const struct budget *guest,
			    uint32_t sid);
/* A reset: not if @dev or its guest is over a budget that lasts */
void hostdevs_forgive(struct hostdevs *h, struct hostdev *dev);
/* @dev's timeouts are @guest's from now on (NULL: nobody's) */
void hostdevs_set_guest(struct hostdevs *h, struct hostdev *dev,
			struct budget *guest);

/* Usually: none has ever been charged */
static inline bool budget_is_untouched(const struct budget *b)
{
	return !__atomic_load_n(&b->spent, __ATOMIC_ACQUIRE);
}

bool hostdevs_is_over(struct hostdevs *h, const struct budget *guest);
/* When the open window of @b ends, or 0; NEVER if it is over its budget */
uint64_t hostdevs_window(struct hostdevs *h, const struct budget *b);
/* Nothing that has happened so far matters to anybody's next invalidation. */
bool hostdevs_all_is_quiet(struct hostdevs *h);
/*
 * Until then, or until @h->changes is not @changes any more; never longer than
 * a window. With no lock that others may need.
 */
void hostdevs_pause(struct hostdevs *h, uint64_t until_ms, uint32_t changes,
		    bool (*over)(void *ctx), void *ctx);

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
