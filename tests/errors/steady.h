/* SPDX-License-Identifier: MIT */
/*
 * A guest that always does the same, alone with its virtual IOMMU on a unit or
 * beside another: it moves a page, invalidates by its queue and by ioctls (one
 * of which names a command that is not legal), looks by DMA of both kinds, and
 * takes the event that a DMA to nowhere has caused. What it gets each time is
 * kept. Words are worked out by hand from Arm IHI 0070 and the VT-d
 * specification.
 */
#ifndef TESTS_ERRORS_STEADY_H
#define TESTS_ERRORS_STEADY_H

#include "guest.h"

/* All that one round has brought */
struct steady_round {
	int ioctl[2];
	uint32_t done[2];
	uint32_t code[2];
	uint32_t info[2];
	uint32_t cons;	 /* of its queue; VT-d: IQH */
	uint32_t error;	 /* GERROR; VT-d: FSTS */
	uint32_t waited; /* VT-d: what the wait has written */
	int dma[3];
	uint64_t value[2];
	uint32_t events; /* SMMUv3 */
	uint32_t unused;
	uint64_t event[4];
};

struct steady {
	struct host host;
	struct guest guest;
	uint32_t object; /* its vIOMMU, or nested HWPT */
	unsigned int stale;
	struct steady_round *rounds;
	uint32_t n; /* atomic */
	uint32_t room;
};

#define STEADY_SID	0x100u
#define STEADY_REQUESTS 8u /* page requests that a device may have */

void steady_start(struct steady *s, enum nestfd_arch arch);
void steady_stop(struct steady *s);
/* May run in any thread, but asserts nothing. */
void steady_round(struct steady *s);

/* The first @n rounds were those of @want, which is without a neighbour. */
void steady_compare(const struct steady *s, const struct steady *want,
		    uint32_t n);

#endif
