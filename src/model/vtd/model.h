/* SPDX-License-Identifier: MIT */
/* The VT-d model: a front with an engine behind it. */
#ifndef MODEL_VTD_MODEL_H
#define MODEL_VTD_MODEL_H

#include "front/vtd/front.h"
#include "iotlb/iotlb.h"
#include "model/model.h"

struct vtd_model_config {
	struct vtd_id id;
	enum iotlb_policy policy;
	uint32_t iotlb_capacity; /* fast policy; 0: default */
};

/*
 * Everything this model implements: the default of a machine. Legacy, scalable
 * and abort mode, all translation types, 3- to 5-level tables with large pages,
 * 20-bit PASIDs, 16-bit domain ids, device TLBs and page requests, accessed and
 * dirty flags in both stages, 8 fault registers, 48-bit host addresses. Without
 * interrupt remapping and caching mode, which @id of the configuration may
 * claim: of the former the model has the registers and descriptors only.
 */
void vtd_model_default_id(struct vtd_id *id);

/*
 * -EINVAL: @config->id claims what the model has not got; -ENOMEM. With CM
 * (caching mode) and the policy hostile, faults are cached as well (6.1).
 */
int vtd_model_create(const struct vtd_model_config *config,
		     const struct model_host *host, struct model **model);

/*
 * Regime numbers in cache entries (struct iotlb_entry.regime). Tags: vmid is
 * the domain id; asid the PASID, 0 in legacy mode and for second-stage tables.
 */
enum vtd_regime {
	VTD_REGIME_FS, /* first stage only */
	VTD_REGIME_NESTED,
	VTD_REGIME_SS,		/* second stage only */
	VTD_REGIME_FS_TABLE,	/* -> first-stage table of level 1: PDE-cache */
	VTD_REGIME_SS_TABLE,	/* -> second-stage table of level 1 */
	VTD_REGIME_FS_TABLE_L2, /* PDPE-cache */
	VTD_REGIME_FS_TABLE_L3, /* PML4- and PML5-cache */
	VTD_REGIME_SS_TABLE_L2, /* ... of level 2 and above */
};

#endif
