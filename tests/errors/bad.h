/* SPDX-License-Identifier: MIT */
/*
 * A guest, and its VMM, that does wrong whatever there is to do wrong, on the
 * unit of another: by ioctls of its own, and by a virtual IOMMU. In a thread of
 * its own, on a machine whose time is frozen.h's. Four devices: one never
 * answers, one is gone whenever it is asked, one answers late, one always
 * answers; behind the virtual IOMMU there is another that does.
 */
#ifndef TESTS_ERRORS_BAD_H
#define TESTS_ERRORS_BAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "frozen.h"
#include "guest.h"

enum bad_device { BAD_SILENT, BAD_GONE, BAD_LATE, BAD_GOOD, BAD_DEVICES };

#define BAD_SID	    0x110u /* of the first */
#define BAD_QUEUE   256u   /* entries of its ring */
#define BAD_PENDING 4u	   /* page requests it answers later, or never */
#define BAD_EVENTS  4u	   /* events that there is room for */

struct bad_arch;

struct bad {
	const struct bad_arch *arch;
	struct frozen *time;
	struct host host; /* its /dev/iommu, RAM and parent; no machine made */
	struct guest front;
	struct nestfd_device *dev[BAD_DEVICES];
	uint32_t dev_id[BAD_DEVICES];
	uint32_t viommu; /* SMMUv3 */
	uint32_t hwpt[BAD_DEVICES];
	uint32_t object[BAD_DEVICES]; /* what invalidates for a device */
	int events;		      /* a vEVENTQ, SMMUv3: never read */
	uint32_t fault_id;
	int faults;
	uint32_t cookie[BAD_PENDING];
	unsigned int cookies;
	unsigned int groups;
	uint64_t random;
	uint64_t queue[BAD_QUEUE * 4] __attribute__((aligned(4096)));

	pthread_t thread;
	bool over; /* atomic: all that it did is done; devices are held back */
	bool done; /* atomic */
	/* the first thing that went otherwise for itself than it should, and
	 * how many did */
	const char *wrong;
	unsigned int wrongs;
};

/* On the unit of @machine; asserts */
void bad_start(struct bad *b, enum nestfd_arch arch,
	       struct nestfd_machine *machine, struct frozen *time);
void bad_stop(struct bad *b);

static inline bool bad_is(const bool *what)
{
	return __atomic_load_n(what, __ATOMIC_ACQUIRE);
}

#endif
