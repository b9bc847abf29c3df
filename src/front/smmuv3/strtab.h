/* SPDX-License-Identifier: MIT */
/* Finding an STE in a linear or two-level stream table, IHI 0070 3.3.1, 5.1 */
#ifndef FRONT_SMMUV3_STRTAB_H
#define FRONT_SMMUV3_STRTAB_H

#include <stdint.h>

#include "front/smmuv3/front.h"

/* Reads 8-byte table words (CPU order); -EFAULT outside memory */
typedef int (*smmuv3_read64_fn)(void *ctx, uint64_t addr, uint64_t *value);

struct smmuv3_ste_at {
	uint64_t addr;	/* of the STE */
	uint8_t event;	/* SMMUV3_EVT_C_BAD_STREAMID, F_STE_FETCH; 0: found */
	uint64_t fetch; /* F_STE_FETCH: the address that aborted */
};

/* How many bits of a StreamID index the second level: reserved ones are 6 */
unsigned int smmuv3_strtab_split(const struct smmuv3_regs *regs);

/*
 * Where the STE of @sid lies according to @regs. 0 with *at filled; its event
 * is not 0 where the architecture ends the look-up with one.
 */
void smmuv3_strtab_find(const struct smmuv3_regs *regs,
			const struct smmuv3_id *id, uint32_t sid,
			smmuv3_read64_fn read64, void *ctx,
			struct smmuv3_ste_at *at);

#endif
