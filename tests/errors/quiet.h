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
	/* how long its invalidations took */
	uint64_t slow_ns; /* in: from here on it is slow; 0: never */
	unsigned int slow;
	uint64_t max_ns;
	pthread_t thread;
};

/* Its pages have all moved when @bed is new: it goes on from there. */
void quiet_start(struct quiet *q, struct bed *bed, uint64_t slow_ns);
/* At least a hundred rounds; nothing may have been wrong */
void quiet_end(struct quiet *q);

#endif
