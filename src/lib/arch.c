// SPDX-License-Identifier: MIT
/* The table of architectures. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "drv/mock/driver.h"
#include "drv/smmuv3/driver.h"
#include "drv/vtd/driver.h"
#include "hwdef/mock.h"
#include "hwdef/smmuv3_regs.h"
#include "hwdef/vtd_regs.h"
#include "lib/machine.h"
#include "model/mock/model.h"
#include "model/smmuv3/model.h"
#include "model/vtd/model.h"

#define PRIQS_MAX 19 /* log2 of the architecture's largest */

static void smmuv3_id_of(const struct nestfd_machine_config *config,
			 struct smmuv3_id *id)
{
	if (!config->smmuv3_id) {
		smmuv3_model_default_id(id);
	} else {
		memcpy(id->idr, config->smmuv3_id->idr, sizeof(id->idr));
		id->iidr = config->smmuv3_id->iidr;
		id->aidr = config->smmuv3_id->aidr;
	}
	if (config->pri) {
		id->idr[0] |= SMMUV3_IDR0_PRI;
		id->idr[1] &= ~(uint32_t)SMMUV3_IDR1_PRIQS;
		id->idr[1] |=
			(uint32_t)field_prep(SMMUV3_IDR1_PRIQS, PRIQS_MAX);
	}
}

static unsigned int smmuv3_oas_bits(const struct nestfd_machine_config *config)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	struct smmuv3_id id;

	smmuv3_id_of(config, &id);
	return bits[field_get(SMMUV3_IDR5_OAS, id.idr[5])];
}

static int smmuv3_make_model(const struct nestfd_machine_config *config,
			     const struct model_host *host,
			     struct model **model)
{
	struct smmuv3_model_config mc = {
		.policy = config->cache == NESTFD_CACHE_HOSTILE ? IOTLB_HOSTILE
								: IOTLB_FAST,
		.iotlb_capacity = config->cache_entries,
	};

	smmuv3_id_of(config, &mc.id);
	return smmuv3_model_create(&mc, host, model);
}

static int smmuv3_make_driver(const struct nestfd_machine_config *config,
			      const struct core_hwport *port,
			      struct core_iommu **iommu)
{
	struct smmuv3_drv_config dc = {
		.atc_timeouts = config->atc_timeouts,
		.atc_window_ms = config->atc_window_ms,
	};

	if (config->msi_length) {
		dc.msi_first = config->msi_first;
		dc.msi_last = config->msi_first + config->msi_length - 1;
	}
	return smmuv3_drv_create(&dc, port, iommu);
}

/* The model has a regime for each level of table; people need not know. */
static uint32_t smmuv3_entry_kind(uint8_t regime)
{
	switch (regime) {
	case SMMUV3_REGIME_S1_TABLE_L2:
	case SMMUV3_REGIME_S1_TABLE_L1:
		return SMMUV3_REGIME_S1_TABLE;
	case SMMUV3_REGIME_S2_TABLE_L2:
		return SMMUV3_REGIME_S2_TABLE;
	default:
		return regime;
	}
}

static void vtd_id_of(const struct nestfd_machine_config *config,
		      struct vtd_id *id)
{
	const struct nestfd_vtd_id *given = config->vtd_id;

	vtd_model_default_id(id);
	if (!given) {
		if (!config->pri)
			id->ecap &= ~VTD_ECAP_PRS;
		return;
	}
	id->ver = given->version;
	id->cap = given->cap;
	id->ecap = given->ecap;
	id->haw = (uint8_t)(given->haw < 64 ? given->haw : 64);
}

/* Of a width that is none the model will complain. */
static unsigned int vtd_oas_bits(const struct nestfd_machine_config *config)
{
	struct vtd_id id;

	vtd_id_of(config, &id);
	return id.haw < 32 ? 32 : id.haw > 52 ? 52 : id.haw;
}

static int vtd_make_model(const struct nestfd_machine_config *config,
			  const struct model_host *host, struct model **model)
{
	struct vtd_model_config mc = {
		.policy = config->cache == NESTFD_CACHE_HOSTILE ? IOTLB_HOSTILE
								: IOTLB_FAST,
		.iotlb_capacity = config->cache_entries,
	};

	vtd_id_of(config, &mc.id);
	return vtd_model_create(&mc, host, model);
}

static int vtd_make_driver(const struct nestfd_machine_config *config,
			   const struct core_hwport *port,
			   struct core_iommu **iommu)
{
	/* its interrupts are none that software maps */
	struct vtd_drv_config dc = {
		.haw = vtd_oas_bits(config),
		.atc_timeouts = config->atc_timeouts,
		.atc_window_ms = config->atc_window_ms,
	};

	return vtd_drv_create(&dc, port, iommu);
}

/* The same kinds as of SMMUv3, and regimes for levels that nobody need know. */
static uint32_t vtd_entry_kind(uint8_t regime)
{
	switch (regime) {
	case VTD_REGIME_FS_TABLE_L2:
	case VTD_REGIME_FS_TABLE_L3:
		return VTD_REGIME_FS_TABLE;
	case VTD_REGIME_SS_TABLE_L2:
		return VTD_REGIME_SS_TABLE;
	default:
		return regime;
	}
}

static unsigned int mock_oas_bits(const struct nestfd_machine_config *config)
{
	(void)config;
	return MOCK_OAS_BITS;
}

static int mock_make_model(const struct nestfd_machine_config *config,
			   const struct model_host *host, struct model **model)
{
	(void)config; /* it has no cache to choose */
	return mock_model_create(host, model);
}

static int mock_make_driver(const struct nestfd_machine_config *config,
			    const struct core_hwport *port,
			    struct core_iommu **iommu)
{
	(void)config;
	return mock_drv_create(port, iommu);
}

static uint32_t mock_entry_kind(uint8_t regime)
{
	return regime;
}

static const struct arch archs[] = {
	{
		.arch = NESTFD_ARCH_SMMUV3,
		.oas_bits = smmuv3_oas_bits,
		.model = smmuv3_make_model,
		.driver = smmuv3_make_driver,
		.entry_kind = smmuv3_entry_kind,
	},
	{
		.arch = NESTFD_ARCH_VTD,
		.oas_bits = vtd_oas_bits,
		.model = vtd_make_model,
		.driver = vtd_make_driver,
		.entry_kind = vtd_entry_kind,
	},
	{
		.arch = NESTFD_ARCH_MOCK,
		.oas_bits = mock_oas_bits,
		.model = mock_make_model,
		.driver = mock_make_driver,
		.entry_kind = mock_entry_kind,
		.private_op = mock_drv_private,
		.before_call = mock_drv_before_call,
		.closing = mock_drv_closing,
	},
};

const struct arch *arch_find(enum nestfd_arch arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (archs[i].arch == arch)
			return &archs[i];
	return NULL;
}
