/* SPDX-License-Identifier: MIT */
/*
 * What STEs and CDs have in common: how tables are described, what the SMMU
 * offers for them, and how structures are fetched.
 */
#ifndef MODEL_SMMUV3_CONFIG_PRIV_H
#define MODEL_SMMUV3_CONFIG_PRIV_H

#include "base/le.h"
#include "hwdef/smmuv3_regs.h"
#include "hwdef/smmuv3_tables.h"
#include "model/smmuv3/config.h"

#define GRANULE_64K 16

/* An address size: CD.IPS and STE.S2PS, capped to IDR5.OAS */
uint8_t smmuv3_capped_bits(const struct smmuv3_id *id, uint64_t field);

/* The largest TxSZ; for S2T0SZ alike (5.2, 5.4) */
uint8_t smmuv3_tsz_max(const struct smmuv3_id *id, uint8_t granule_lg2);

bool smmuv3_granule_offered(const struct smmuv3_id *id, uint8_t granule_lg2);
bool smmuv3_endian_offered(const struct smmuv3_id *id, bool big);
bool smmuv3_aarch64_offered(const struct smmuv3_id *id);

/* Update of the flags in tables: asked for, but not offered */
bool smmuv3_httu_missing(const struct smmuv3_id *id, bool ha, bool hd);

/* The bits of a doubleword that are a TTB */
uint64_t smmuv3_ttb_field(const struct smmuv3_id *id, uint64_t dw);

/* The address of a first table may not leave the output range (5.2, 5.4). */
bool smmuv3_ttb_out_of_range(const struct smmuv3_tt *tt);

/*
 * What follows from granule, sizes and first level: where blocks exist, what
 * bits 15:12 of descriptors are, and how the first table is aligned, which is
 * to its size, and to 64 bytes where outputs have 52 bits.
 */
void smmuv3_tt_complete(struct smmuv3_tt *tt, const struct smmuv3_id *id);

/* An STE or CD in CPU order; false outside memory. */
bool smmuv3_fetch_words(const struct walk_env *env, uint64_t pa,
			uint64_t dw[8]);

static inline bool smmuv3_fetch_fault(struct smmuv3_fault *fault, uint8_t event,
				      uint64_t addr)
{
	*fault = (struct smmuv3_fault){ .event = event, .fetch = addr };
	return false;
}

static inline bool smmuv3_config_fault(struct smmuv3_fault *fault,
				       uint8_t event)
{
	return smmuv3_fetch_fault(fault, event, 0);
}

#endif
