// SPDX-License-Identifier: MIT
/*
 * What the model says of itself in IDR0-5 (6.3.1 to 6.3.6), and what it may be
 * told to say.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>

#include "hwdef/smmuv3_regs.h"

/* Bits that may be set in each; everything else the model has not got */
static const uint32_t offered[6] = {
	SMMUV3_IDR0_S2P | SMMUV3_IDR0_S1P | SMMUV3_IDR0_TTF |
		SMMUV3_IDR0_COHACC | SMMUV3_IDR0_HTTU | SMMUV3_IDR0_ATS |
		SMMUV3_IDR0_NS1ATS | SMMUV3_IDR0_PRI | SMMUV3_IDR0_ASID16 |
		SMMUV3_IDR0_MSI | SMMUV3_IDR0_SEV | SMMUV3_IDR0_VMID16 |
		SMMUV3_IDR0_CD2L | SMMUV3_IDR0_TTENDIAN |
		SMMUV3_IDR0_ATSRECERR | SMMUV3_IDR0_STALL_MODEL |
		SMMUV3_IDR0_TERM_MODEL | SMMUV3_IDR0_ST_LEVEL,
	SMMUV3_IDR1_SIDSIZE | SMMUV3_IDR1_SSIDSIZE | SMMUV3_IDR1_EVENTQS |
		SMMUV3_IDR1_CMDQS | SMMUV3_IDR1_PRIQS |
		SMMUV3_IDR1_ATTR_PERMS_OVR | SMMUV3_IDR1_ATTR_TYPES_OVR,
	0,
	SMMUV3_IDR3_HAD | SMMUV3_IDR3_XNX | SMMUV3_IDR3_PPS | SMMUV3_IDR3_FWB |
		SMMUV3_IDR3_STT | SMMUV3_IDR3_RIL | SMMUV3_IDR3_BBML |
		SMMUV3_IDR3_E0PD,
	~0u, /* IMPLEMENTATION DEFINED */
	SMMUV3_IDR5_OAS | SMMUV3_IDR5_GRAN4K | SMMUV3_IDR5_GRAN16K |
		SMMUV3_IDR5_GRAN64K | SMMUV3_IDR5_VAX | SMMUV3_IDR5_STALL_MAX,
};

void smmuv3_model_default_id(struct smmuv3_id *id)
{
	*id = (struct smmuv3_id){
		.idr = {
			SMMUV3_IDR0_S2P | SMMUV3_IDR0_S1P |
				field_prep(SMMUV3_IDR0_TTF,
					   SMMUV3_TTF_AARCH64) |
				SMMUV3_IDR0_COHACC |
				field_prep(SMMUV3_IDR0_HTTU,
					   SMMUV3_HTTU_DIRTY) |
				SMMUV3_IDR0_ATS | SMMUV3_IDR0_ASID16 |
				SMMUV3_IDR0_MSI | SMMUV3_IDR0_SEV |
				SMMUV3_IDR0_VMID16 | SMMUV3_IDR0_CD2L |
				field_prep(SMMUV3_IDR0_ST_LEVEL, 1),
			field_prep(SMMUV3_IDR1_SIDSIZE, 20) |
				field_prep(SMMUV3_IDR1_SSIDSIZE, 20) |
				field_prep(SMMUV3_IDR1_EVENTQS, 19) |
				field_prep(SMMUV3_IDR1_CMDQS, 19) |
				SMMUV3_IDR1_ATTR_PERMS_OVR |
				SMMUV3_IDR1_ATTR_TYPES_OVR,
			0,
			SMMUV3_IDR3_HAD | SMMUV3_IDR3_XNX | SMMUV3_IDR3_FWB |
				SMMUV3_IDR3_RIL | SMMUV3_IDR3_E0PD |
				field_prep(SMMUV3_IDR3_BBML, 2),
			0,
			field_prep(SMMUV3_IDR5_OAS, 5) |
				SMMUV3_IDR5_GRAN4K | SMMUV3_IDR5_GRAN16K |
				SMMUV3_IDR5_GRAN64K |
				field_prep(SMMUV3_IDR5_STALL_MAX, 256),
		},
		.aidr = 3, /* SMMUv3.3 */
	};
}

static uint32_t get(uint64_t field, uint32_t word)
{
	return (uint32_t)field_get(field, word);
}

static bool idr0_is_sound(uint32_t w)
{
	return (w & (SMMUV3_IDR0_S1P | SMMUV3_IDR0_S2P)) &&
	       get(SMMUV3_IDR0_TTF, w) == SMMUV3_TTF_AARCH64 &&
	       get(SMMUV3_IDR0_HTTU, w) <= SMMUV3_HTTU_DIRTY &&
	       get(SMMUV3_IDR0_ST_LEVEL, w) <= 1 &&
	       get(SMMUV3_IDR0_STALL_MODEL, w) <= SMMUV3_STALL_FORCED &&
	       get(SMMUV3_IDR0_TTENDIAN, w) != 1;
}

static bool idr1_is_sound(uint32_t w)
{
	return get(SMMUV3_IDR1_SIDSIZE, w) <= 32 &&
	       get(SMMUV3_IDR1_SSIDSIZE, w) <= 20 &&
	       get(SMMUV3_IDR1_EVENTQS, w) <= 19 &&
	       get(SMMUV3_IDR1_CMDQS, w) <= 19 &&
	       get(SMMUV3_IDR1_PRIQS, w) <= 19;
}

/* 52-bit addresses take the 64K granule; a stall needs a tag, NO_STAG is one */
static bool idr5_is_sound(uint32_t w, bool stalls)
{
	uint32_t granules =
		SMMUV3_IDR5_GRAN4K | SMMUV3_IDR5_GRAN16K | SMMUV3_IDR5_GRAN64K;
	bool large = get(SMMUV3_IDR5_OAS, w) == 6 ||
		     get(SMMUV3_IDR5_VAX, w) == SMMUV3_VAX_52;
	uint32_t max = get(SMMUV3_IDR5_STALL_MAX, w);

	return (w & granules) && get(SMMUV3_IDR5_OAS, w) <= 6 &&
	       get(SMMUV3_IDR5_VAX, w) <= SMMUV3_VAX_52 &&
	       (!large || w & SMMUV3_IDR5_GRAN64K) &&
	       (stalls ? max && max < NO_STAG : !max);
}

int engine_id_check(const struct smmuv3_id *id)
{
	bool stalls =
		get(SMMUV3_IDR0_STALL_MODEL, id->idr[0]) != SMMUV3_STALL_NONE;

	for (unsigned int n = 0; n < ARRAY_SIZE(offered); n++) {
		if (id->idr[n] & ~offered[n])
			return -EINVAL;
	}
	if (!idr0_is_sound(id->idr[0]) || !idr1_is_sound(id->idr[1]) ||
	    !idr5_is_sound(id->idr[5], stalls) ||
	    get(SMMUV3_IDR3_BBML, id->idr[3]) > 2)
		return -EINVAL;
	return 0;
}
