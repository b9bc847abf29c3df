/* SPDX-License-Identifier: MIT */
/*
 * Identification registers for the tests, worked out by hand from IHI 0070
 * 6.3.1 to 6.3.8.
 */
#ifndef TESTS_FRONT_IDS_H
#define TESTS_FRONT_IDS_H

#include <stdint.h>

#include "front/smmuv3/front.h"

/* IDR0 bits */
#define ID_S2P		0x00000001u
#define ID_S1P		0x00000002u
#define ID_BTM		0x00000020u
#define ID_HYP		0x00000200u
#define ID_ATS		0x00000400u
#define ID_ASID16	0x00001000u
#define ID_MSI		0x00002000u
#define ID_PRI		0x00010000u
#define ID_VMW		0x00020000u
#define ID_VMID16	0x00040000u
#define ID_ATSRECERR	0x00800000u
#define ID_STALL_NONE	0x01000000u
#define ID_STALL_FORCED 0x02000000u
#define ID_TERM_MODEL	0x04000000u
#define ID_2LVL		0x08000000u

/*
 * SMMUv3.2 with everything the front offers: 16-bit StreamIDs, 20-bit
 * SubstreamIDs, queues of at most 2^8 commands, 2^4 events, 2^3 page requests,
 * range invalidation, MPAM, three granules, 48-bit addresses, 16 stalls.
 */
static inline struct smmuv3_id id_full(void)
{
	return (struct smmuv3_id){
		.idr = { 0x08cf763b, 0x01041d10, 0, 0x00000494, 0, 0x00100075 },
		.iidr = 0x0123443b,
		.aidr = 2,
	};
}

#endif
