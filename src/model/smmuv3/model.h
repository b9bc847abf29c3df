/* SPDX-License-Identifier: MIT */
/* The SMMUv3 model: a front with an engine behind it. */
#ifndef MODEL_SMMUV3_MODEL_H
#define MODEL_SMMUV3_MODEL_H

#include "front/smmuv3/front.h"
#include "iotlb/iotlb.h"
#include "model/model.h"

struct smmuv3_model_config {
	struct smmuv3_id id;
	enum iotlb_policy policy;
	uint32_t iotlb_capacity; /* fast policy; 0: default */
};

/*
 * Everything this model implements, claimed in IDR0-5: the default of a
 * machine. 48-bit OAS, all granules, both stages, 2-level tables, 16-bit
 * ASIDs and VMIDs, 20-bit SSIDs, ATS, RIL, HTTU, stall, MSI, SEV.
 */
void smmuv3_model_default_id(struct smmuv3_id *id);

/* -EINVAL: @config->id claims what the model has not got; -ENOMEM */
int smmuv3_model_create(const struct smmuv3_model_config *config,
			const struct model_host *host, struct model **model);

/*
 * Regime numbers in cache entries (struct iotlb_entry.regime). The walk cache
 * has one regime per level of table, so that a walk can ask for the deepest.
 */
enum smmuv3_regime {
	SMMUV3_REGIME_S1,	   /* stage 1 only, NS-EL1: VA -> PA */
	SMMUV3_REGIME_S12,	   /* nested: VA -> PA */
	SMMUV3_REGIME_S2,	   /* stage 2: IPA -> PA */
	SMMUV3_REGIME_S1_TABLE,	   /* VA -> stage-1 table of level 3 */
	SMMUV3_REGIME_S2_TABLE,	   /* IPA -> stage-2 table of level 3 */
	SMMUV3_REGIME_S1_TABLE_L2, /* ... of level 2 */
	SMMUV3_REGIME_S1_TABLE_L1,
	SMMUV3_REGIME_S2_TABLE_L2, /* ... of level 2 or 1 */
};

#endif
