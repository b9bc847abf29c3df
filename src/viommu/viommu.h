/* SPDX-License-Identifier: MIT */
/*
 * The neutral half of libviommu: what every virtual IOMMU has, and the table
 * of operations by which the public functions reach an architecture.
 */
#ifndef VIOMMU_VIOMMU_H
#define VIOMMU_VIOMMU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nestfd/viommu.h"

struct viommu_ops {
	void (*destroy)(struct nestfd_viommu *viommu);
	uint64_t (*read)(struct nestfd_viommu *viommu, uint32_t offset,
			 unsigned int bytes);
	void (*write)(struct nestfd_viommu *viommu, uint32_t offset,
		      unsigned int bytes, uint64_t value);
	int (*device_add)(struct nestfd_viommu *viommu,
			  const struct nestfd_viommu_device *device);
	int (*device_remove)(struct nestfd_viommu *viommu, uint32_t vsid);
	void (*reset)(struct nestfd_viommu *viommu);
	/* One record of the event queue, already checked for its length */
	bool (*event)(struct nestfd_viommu *viommu, const void *record);
	size_t event_size;
	/* What else the host has for the guest: how much, or a negative errno;
	 * who pumps. May be NULL. */
	int (*pump)(struct nestfd_viommu *viommu);
	int (*fault_fd)(struct nestfd_viommu *viommu);
	/* With pump_lock held / not held any more: interrupts wait until then,
	 * since who is interrupted may ring a doorbell, which pumps. NULL: both
	 */
	void (*hold)(struct nestfd_viommu *viommu);
	void (*release)(struct nestfd_viommu *viommu);
	/* Looks for commands that were left because of viommu_is_pumping() */
	void (*resume)(struct nestfd_viommu *viommu);
};

/*
 * A public function on its way. Callbacks call such functions again: those that
 * are inside another one of the same thread have its @root, which remembers
 * what must wait until the inner ones have returned. So nothing nests deeper
 * than there are kinds of things to do, and nobody waits for himself.
 */
struct viommu_call {
	struct nestfd_viommu *viommu;
	struct viommu_call *outer; /* of any virtual IOMMU */
	struct viommu_call *root;
	/* The rest is the root's. */
	bool signalling; /* interrupts of pumped events are being sent */
	uint32_t owed;	 /* release()s for who does that */
	uint32_t moved;	 /* events and page requests meanwhile */
	bool left;	 /* commands, see resume() */
	bool reset;	 /* when it ends */
};

struct viommu_counters {
	_Atomic uint64_t commands;
	_Atomic uint64_t doorbells;
	_Atomic uint64_t syncs;
	_Atomic uint64_t invalidate_ioctls;
	_Atomic uint64_t invalidations;
	_Atomic uint64_t splits[NESTFD_SPLIT_COUNT];
	_Atomic uint64_t other_ioctls;
	_Atomic uint64_t events;
	_Atomic uint64_t events_lost;
	_Atomic uint64_t ring_ioctls;
	_Atomic uint64_t ring_commands;
	_Atomic uint64_t ring_stops;
};

/* Embedded first by each architecture. */
struct nestfd_viommu {
	const struct viommu_ops *ops;
	struct nestfd_backend backend;
	struct nestfd_guest guest;
	uint32_t dev_id;
	uint32_t parent_hwpt;
	uint32_t viommu_id;
	uint32_t veventq_id;
	uint64_t ext;	/* NESTFD_EXT_* that are on */
	int veventq_fd; /* -1: none */
	uint32_t veventq_depth;
	pthread_mutex_t pump_lock; /* reading events, and the next member */
	/* Whose root has it: only to be compared with one's own. Atomic */
	const struct viommu_call *pumper;
	uint32_t next_sequence;
	const uint32_t *event_count; /* fixed; NULL: poll(2) */
	_Atomic uint32_t pumped;     /* what it was before all was read */
	uint64_t ioctls; /* the consuming thread's: at the last catching up */
	/*
	 * The consuming thread's, of a backend that is not exact: commands are
	 * in the host's queue that may not be complete, see relay.h; a device
	 * is asked by one of them.
	 */
	bool unsynced;
	bool unsynced_asks;
	struct viommu_counters counters;
};

/* -EINVAL: a config that no architecture takes */
int viommu_check(const struct nestfd_viommu_config *config);

/* What every virtual IOMMU starts with; all else is 0. */
void viommu_init(struct nestfd_viommu *viommu, const struct viommu_ops *ops,
		 const struct nestfd_viommu_config *config);
void viommu_fini(struct nestfd_viommu *viommu);

/* Guest memory, as fronts ask for it: @viommu is a struct nestfd_viommu. */
int viommu_read_memory(void *viommu, uint64_t gpa, void *buf, size_t len);
int viommu_write_memory(void *viommu, uint64_t gpa, const void *buf,
			size_t len);

/*
 * What the host has for the guest goes into the guest's queue, before a command
 * completes that waits for it. The consuming thread's.
 */
void viommu_catch_up(struct nestfd_viommu *viommu);

/*
 * With the guest's queues off: what the host has for them is refused, events
 * are read and dropped.
 */
void viommu_drop_events(struct nestfd_viommu *viommu);

/*
 * This very thread is writing a record for the guest, and is back through a
 * callback: no command can complete now, since what it waits for is under way.
 * They are to be left; resume() comes.
 */
bool viommu_is_pumping(struct nestfd_viommu *viommu);

/*
 * Each counter has one writer at a time (the consuming thread, the pumping one,
 * or who holds the architecture's lock), so no locked addition is needed; the
 * atomic type is for readers.
 */
static inline void viommu_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

#endif
