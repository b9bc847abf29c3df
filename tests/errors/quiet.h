/* SPDX-License-Identifier: MIT */
/*
 * A guest that does nothing wrong, in a thread of its own: the neighbour of a
 * bed. It moves its pages one after the other, invalidates, and looks by DMA of
 * both kinds whether each has moved.
 */
#ifndef TESTS_ERRORS_QUIET_H
#define TESTS_ERRORS_QUIET_H

#include "bed.h"

struct quiet {
	struct bed *bed;
	unsigned int stop; /* atomic */
	unsigned int rounds;
	unsigned int wrong;
	unsigned int waited;   /* its invalidations while a device timed out */
	unsigned int unfair;   /* of these: met more timeouts than windows */
	unsigned int timeouts; /* of its unit, from start to end */
	struct nestfd_driver_stats before;
	pthread_t thread;
};

/* Its pages have all moved when @bed is new: it goes on from there. */
void quiet_start(struct quiet *q, struct bed *bed);
/* At least a hundred rounds; nothing may have been wrong */
void quiet_end(struct quiet *q);

#endif
