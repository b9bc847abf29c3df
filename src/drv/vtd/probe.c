// SPDX-License-Identifier: MIT
/* Bringing a unit up and down: sections 6.5.2, 11.4.4 and 11.4.5. */
#include <errno.h>

#include "base/alloc.h"
#include "drv/vtd/unit.h"
#include "hwdef/vtd_regs.h"

#define MESSAGE_ADDR 0xfee00000u
#define HAW_MIN	     32
#define HAW_MAX	     52

uint64_t vtd_unit_read(const struct unit *u, uint32_t offset, unsigned int size)
{
	return u->port.ops->read(u->port.ctx, offset, size);
}

void vtd_unit_write(const struct unit *u, uint32_t offset, unsigned int size,
		    uint64_t value)
{
	u->port.ops->write(u->port.ctx, offset, size, value);
}

/* 11.4.4.1: one bit at a time; those that stay are written again. */
int vtd_unit_command(struct unit *u, uint32_t bit, bool on)
{
	u->gcmd = on ? u->gcmd | bit : u->gcmd & ~bit;
	vtd_unit_write(u, VTD_GCMD, 4, u->gcmd);
	return hostunit_wait(&u->host, VTD_GSTS, bit, on ? bit : 0);
}

/* Events are messages: data is the line. */
static void event_init(struct unit *u, uint32_t control, unsigned int line,
		       bool on)
{
	vtd_unit_write(u, control, 4, VTD_ECTL_IM);
	vtd_unit_write(u, control + 4, 4, line);
	vtd_unit_write(u, control + 8, 4, MESSAGE_ADDR);
	vtd_unit_write(u, control + 12, 4, 0);
	if (on)
		vtd_unit_write(u, control, 4, 0);
}

/* What another has left running: translation, queue, events. */
static int reset(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	uint32_t stay =
		VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_CFI;
	int rc = 0;

	event_init(u, VTD_FECTL, VTD_DRV_LINE_FAULT, false);
	event_init(u, VTD_IECTL, VTD_DRV_LINE_INVALIDATION, false);
	if (u->feat.prq)
		event_init(u, VTD_PECTL, VTD_DRV_LINE_PAGE_REQUEST, false);
	u->gcmd = (uint32_t)vtd_unit_read(u, VTD_GSTS, 4) & stay;
	for (unsigned int i = 31; i > 22 && !rc; i--) {
		if (u->gcmd & BIT_ULL(i))
			rc = vtd_unit_command(u, (uint32_t)BIT_ULL(i), false);
	}
	vtd_fault_reset(u);
	return rc;
}

/* What was cached before this driver came */
static int forget_all(struct unit *u)
{
	uint64_t d[DESC_EVERYTHING][DESC_DWORDS];
	struct hostq_result res;

	return hostq_issue(&u->q, d[0], desc_everything(u, d), NULL, &res);
}

int vtd_unit_set_root(struct unit *u, uint64_t mode)
{
	vtd_unit_write(u, VTD_RTADDR, 8,
		       u->root.pa | field_prep(VTD_RTADDR_TTM, mode));
	vtd_unit_write(u, VTD_GCMD, 4, u->gcmd | VTD_GCMD_SRTP);
	return hostunit_wait(&u->host, VTD_GSTS, VTD_GCMD_SRTP, VTD_GCMD_SRTP);
}

static int switch_on(struct unit *u)
{
	int rc;

	rc = vtd_unit_command(u, VTD_GCMD_QIE, true);
	if (!rc)
		rc = vtd_unit_set_root(u, u->feat.mode);
	if (!rc)
		rc = forget_all(u);
	if (rc)
		return rc;
	u->port.ops->irq(u->port.ctx, VTD_DRV_LINE_FAULT, hostwork_handle,
			 &u->faults);
	event_init(u, VTD_FECTL, VTD_DRV_LINE_FAULT, true);
	if (u->feat.prq) {
		u->port.ops->irq(u->port.ctx, VTD_DRV_LINE_PAGE_REQUEST,
				 hostwork_handle, &u->prq.work);
		event_init(u, VTD_PECTL, VTD_DRV_LINE_PAGE_REQUEST, true);
	}
	return vtd_unit_command(u, VTD_GCMD_TE, true);
}

/* ---- operations of core ---- */

static uint64_t unit_capabilities(struct core_device *dev,
				  uint8_t *max_pasid_log2)
{
	const struct features *f = &to_unit(dev->iommu)->feat;
	uint64_t caps = hostdev_capabilities(dev, f->ats, f->pasid_bits,
					     max_pasid_log2);

	return caps | (f->dirty ? IOMMU_HW_CAP_DIRTY_TRACKING : 0);
}

static const struct core_iommu_ops unit_ops = {
	.name = "vtd",
	.hw_info = hostunit_hw_info,
	.capabilities = unit_capabilities,
	.device_add = vtd_device_add,
	.device_remove = vtd_device_remove,
	.reserved = hostunit_reserved,
	.domain_alloc = vtd_domain_alloc,
	.nested_alloc = vtd_nested_alloc,
	.nested_ops = &vtd_nested_ops,
	.block = vtd_device_block,
	.device_reset = vtd_device_reset,
	.page_response = vtd_page_response,
	.stats = hostunit_stats,
	.destroy = hostunit_destroy,
};

bool vtd_unit_is_ours(const struct core_iommu *iommu)
{
	return iommu->ops == &unit_ops;
}

/* ---- coming and going ---- */

static int numbers_up(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	vtd_fault_init(u);
	hostids_init(&u->dids, (uint32_t)low_mask(u->feat.did_bits));
	return 0;
}

static void numbers_down(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	hostids_fini(&u->dids);
	hostwork_fini(&u->faults);
}

static int queue_up(struct core_iommu *iommu)
{
	return vtd_queue_init(to_unit(iommu));
}

static void queue_down(struct core_iommu *iommu)
{
	vtd_queue_fini(to_unit(iommu));
}

/*
 * Translation off would let all DMA through. So the root table stays, which has
 * nothing in it any more; with TE off the hardware needs none.
 */
static void disable(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	event_init(u, VTD_FECTL, VTD_DRV_LINE_FAULT, false);
	u->port.ops->irq(u->port.ctx, VTD_DRV_LINE_FAULT, NULL, NULL);
	if (u->feat.prq) {
		event_init(u, VTD_PECTL, VTD_DRV_LINE_PAGE_REQUEST, false);
		u->port.ops->irq(u->port.ctx, VTD_DRV_LINE_PAGE_REQUEST, NULL,
				 NULL);
	}
	if (u->gcmd & VTD_GCMD_TE)
		(void)vtd_unit_command(u, VTD_GCMD_TE, false);
	if (u->gcmd & VTD_GCMD_QIE)
		(void)vtd_unit_command(u, VTD_GCMD_QIE, false);
}

static int enable(struct core_iommu *iommu)
{
	int rc = switch_on(to_unit(iommu));

	if (rc)
		disable(iommu);
	return rc;
}

/* On the way down the thread ends before what it works on. */
static const struct hostunit_step steps[] = {
	{ vtd_features_read, NULL },
	{ numbers_up, numbers_down },
	{ reset, NULL },
	{ vtd_tables_init, vtd_tables_fini },
	{ queue_up, queue_down },
	{ vtd_prq_init, vtd_prq_fini },
	{ hostunit_worker_up, hostunit_worker_down },
	{ enable, disable },
};

static const struct hostunit_ops host_ops = {
	.steps = steps,
	.steps_n = ARRAY_SIZE(steps),
	.device = vtd_master_device,
	.place = vtd_master_place,
};

int vtd_drv_create(const struct vtd_drv_config *config,
		   const struct core_hwport *port, struct core_iommu **out)
{
	struct unit *u;

	if (config->haw && (config->haw < HAW_MIN || config->haw > HAW_MAX))
		return -EINVAL;
	u = alloc_zero(sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->port = *port;
	u->cfg = *config;
	u->cfg.haw = config->haw ? config->haw : HAW_MAX;
	u->cfg.timeout_ms = hostunit_timeout_ms(config->timeout_ms);
	u->host = (struct hostunit){
		.core.ops = &unit_ops,
		.ops = &host_ops,
		.port = &u->port,
		.logger = config->logger,
		.timeout_ms = u->cfg.timeout_ms,
		.atc_timeouts = config->atc_timeouts,
		.atc_window_ms = config->atc_window_ms,
		.cfg_lock = &u->cfg_lock,
		.devs = &u->devs,
		.q = &u->q,
		.resv = { VTD_DRV_MSI_FIRST, VTD_DRV_MSI_LAST, false },
		.info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD,
		.info_len = sizeof(u->info),
		.info = &u->info,
	};
	return hostunit_create(&u->host, out);
}
