// SPDX-License-Identifier: MIT
/* Bringing a unit up and down, Arm IHI 0070 6.3 and 3.11 (reset). */
#include <errno.h>

#include "base/alloc.h"
#include "drv/smmuv3/tlb.h"
#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

#define CACHE_WB    1
#define SHARE_INNER 3

uint32_t unit_read(const struct unit *u, uint32_t offset)
{
	return (uint32_t)u->port.ops->read(u->port.ctx, offset, 4);
}

void unit_write(const struct unit *u, uint32_t offset, uint32_t value)
{
	u->port.ops->write(u->port.ctx, offset, 4, value);
}

void unit_write64(const struct unit *u, uint32_t offset, uint64_t value)
{
	u->port.ops->write(u->port.ctx, offset, 8, value);
}

static int set_cr0(struct unit *u, uint32_t value)
{
	u->cr0 = value;
	unit_write(u, SMMUV3_CR0, value);
	return hostunit_wait(&u->host, SMMUV3_CR0ACK, value | 0x1ff, value);
}

/* Without translation everything aborts; 6.3.14: UPDATE comes back as 0. */
static int set_abort(struct unit *u)
{
	int rc;

	rc = hostunit_wait(&u->host, SMMUV3_GBPA, SMMUV3_GBPA_UPDATE, 0);
	if (rc)
		return rc;
	unit_write(u, SMMUV3_GBPA, SMMUV3_GBPA_UPDATE | SMMUV3_GBPA_ABORT);
	return hostunit_wait(&u->host, SMMUV3_GBPA,
			     SMMUV3_GBPA_UPDATE | SMMUV3_GBPA_ABORT,
			     SMMUV3_GBPA_ABORT);
}

static int reset(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	int rc;

	rc = set_abort(u);
	if (!rc)
		rc = set_cr0(u, 0);
	if (rc)
		return rc;
	unit_write(u, SMMUV3_IRQ_CTRL, 0);
	rc = hostunit_wait(&u->host, SMMUV3_IRQ_CTRLACK, 0x7, 0);
	if (rc)
		return rc;
	unit_write(u, SMMUV3_CR1,
		   (uint32_t)(field_prep(SMMUV3_CR1_TABLE_SH, SHARE_INNER) |
			      field_prep(SMMUV3_CR1_TABLE_OC, CACHE_WB) |
			      field_prep(SMMUV3_CR1_TABLE_IC, CACHE_WB) |
			      field_prep(SMMUV3_CR1_QUEUE_SH, SHARE_INNER) |
			      field_prep(SMMUV3_CR1_QUEUE_OC, CACHE_WB) |
			      field_prep(SMMUV3_CR1_QUEUE_IC, CACHE_WB)));
	unit_write(u, SMMUV3_CR2, SMMUV3_CR2_PTM | SMMUV3_CR2_RECINVSID);
	return 0;
}

/* What was cached before this driver came. */
static int forget_all(struct unit *u)
{
	uint64_t cmds[3][2] = {
		{ SMMUV3_OP_CFGI_STE_RANGE, SMMUV3_CFGI_1_RANGE },
		{ SMMUV3_OP_TLBI_NSNH_ALL, 0 },
		{ SMMUV3_OP_TLBI_EL2_ALL, 0 },
	};
	struct hostq_result res;

	return cmdq_issue(&u->cmdq, cmds, u->feat.hyp ? 3 : 2, NULL, &res);
}

static void gerror_handle(void *arg)
{
	struct unit *u = arg;

	cmdq_gerror(&u->cmdq);
}

/* 7.2.2, 8.2: hardware could not write what it had to say. */
static void gerror_taken(struct cmdq *c, uint32_t errors)
{
	struct unit *u = container_of(c, struct unit, cmdq);

	if (errors & SMMUV3_GERROR_EVENTQ_ABT)
		evtq_lost(u);
	if (errors & SMMUV3_GERROR_PRIQ_ABT && u->feat.pri)
		priq_lost(u);
}

/* Wired interrupts: an MSI address of 0 means none. */
static int irqs_on(struct unit *u)
{
	uint32_t irqs = SMMUV3_IRQ_CTRL_EVENTQ | SMMUV3_IRQ_CTRL_GERROR;

	if (u->info.idr[0] & SMMUV3_IDR0_MSI) {
		unit_write64(u, SMMUV3_GERROR_IRQ_CFG0, 0);
		unit_write64(u, SMMUV3_EVENTQ_IRQ_CFG0, 0);
		if (u->feat.pri)
			unit_write64(u, SMMUV3_PRIQ_IRQ_CFG0, 0);
	}
	if (u->feat.pri) {
		irqs |= SMMUV3_IRQ_CTRL_PRIQ;
		u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_PRIQ, outq_handle,
				 &u->priq);
	}
	u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_EVENTQ, outq_handle,
			 &u->evtq);
	u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_GERROR, gerror_handle, u);
	unit_write(u, SMMUV3_IRQ_CTRL, irqs);
	return hostunit_wait(&u->host, SMMUV3_IRQ_CTRLACK, irqs, irqs);
}

static int switch_on(struct unit *u)
{
	uint32_t cr0 = SMMUV3_CR0_CMDQEN;
	int rc;

	rc = set_cr0(u, cr0);
	if (!rc)
		rc = forget_all(u);
	if (rc)
		return rc;
	cr0 |= SMMUV3_CR0_EVENTQEN;
	if (u->feat.pri)
		cr0 |= SMMUV3_CR0_PRIQEN;
	rc = set_cr0(u, cr0);
	if (!rc)
		rc = irqs_on(u);
	if (!rc && u->feat.ats) {
		/* translated requests are checked against EATS */
		cr0 |= SMMUV3_CR0_ATSCHK;
		rc = set_cr0(u, cr0);
	}
	return rc ? rc : set_cr0(u, cr0 | SMMUV3_CR0_SMMUEN);
}

/* ---- operations of core ---- */

static uint64_t unit_capabilities(struct core_device *dev,
				  uint8_t *max_pasid_log2)
{
	struct unit *u = to_unit(dev->iommu);

	return hostdev_capabilities(dev, u->feat.ats, u->feat.ssid_bits,
				    max_pasid_log2);
}

/* With core's locks held: nothing but to post a command */
static void unit_page_response(struct core_device *dev,
			       const struct core_page_request *last,
			       uint32_t code)
{
	bool success = code == IOMMUFD_PAGE_RESP_SUCCESS;

	if (last->kind == REQUEST_PRI)
		priq_answer(dev->drv, last, success);
	else
		evtq_answer(dev->drv, last, success);
}

static void unit_sync_events(struct core_iommu *iommu)
{
	outq_catch_up(&to_unit(iommu)->evtq);
}

static const struct core_iommu_ops unit_ops = {
	.name = "smmuv3",
	.hw_info = hostunit_hw_info,
	.capabilities = unit_capabilities,
	.device_add = master_add,
	.device_remove = master_remove,
	.reserved = hostunit_reserved,
	.domain_alloc = domain_alloc,
	.viommu_alloc = viommu_alloc,
	.block = master_block,
	.stats = hostunit_stats,
	.device_reset = master_reset,
	.page_response = unit_page_response,
	.sync_events = unit_sync_events,
	.destroy = hostunit_destroy,
};

/* ---- coming and going ---- */

static int numbers_up(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	hostids_init(&u->asids, (uint32_t)low_mask(u->feat.asid_bits));
	hostids_init(&u->vmids, (uint32_t)low_mask(u->feat.vmid_bits));
	return 0;
}

static void numbers_down(struct core_iommu *iommu)
{
	hostids_fini(&to_unit(iommu)->asids);
	hostids_fini(&to_unit(iommu)->vmids);
}

static int cmdq_up(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);
	int rc = cmdq_init(&u->cmdq, &u->port, u->cfg.logger, u->feat.cmdq_lg2,
			   u->host.timeout_ms);

	u->cmdq.taken = gerror_taken;
	return rc;
}

static void cmdq_down(struct core_iommu *iommu)
{
	cmdq_fini(&to_unit(iommu)->cmdq);
}

/* GBPA stays: without this driver DMA aborts. */
static void disable(struct core_iommu *iommu)
{
	struct unit *u = to_unit(iommu);

	unit_write(u, SMMUV3_IRQ_CTRL, 0);
	u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_EVENTQ, NULL, NULL);
	if (u->feat.pri)
		u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_PRIQ, NULL, NULL);
	u->port.ops->irq(u->port.ctx, SMMUV3_DRV_LINE_GERROR, NULL, NULL);
	(void)set_cr0(u, 0);
}

static int enable(struct core_iommu *iommu)
{
	int rc = switch_on(to_unit(iommu));

	if (rc)
		disable(iommu);
	return rc;
}

/* On the way down the thread ends before the queues that it drains. */
static const struct hostunit_step steps[] = {
	{ features_read, NULL },
	{ reset, NULL },
	{ numbers_up, numbers_down },
	{ cmdq_up, cmdq_down },
	{ strtab_init, strtab_fini },
	{ evtq_init, evtq_fini },
	{ priq_init, priq_fini },
	{ hostunit_worker_up, hostunit_worker_down },
	{ enable, disable },
};

static const struct hostunit_ops host_ops = {
	.steps = steps,
	.steps_n = ARRAY_SIZE(steps),
	.device = master_device,
	.place = master_place,
};

int smmuv3_drv_create(const struct smmuv3_drv_config *config,
		      const struct core_hwport *port, struct core_iommu **out)
{
	struct unit *u;

	if (config->msi_first > config->msi_last)
		return -EINVAL;
	u = alloc_zero(sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->port = *port;
	u->cfg = *config;
	u->host = (struct hostunit){
		.core.ops = &unit_ops,
		.ops = &host_ops,
		.port = &u->port,
		.logger = config->logger,
		.timeout_ms = hostunit_timeout_ms(config->timeout_ms),
		.atc_timeouts = config->atc_timeouts,
		.atc_window_ms = config->atc_window_ms,
		.cfg_lock = &u->cfg_lock,
		.devs = &u->devs,
		.q = &u->cmdq.q,
		.resv = { config->msi_first, config->msi_last, true },
		.info_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
		.info_len = sizeof(u->info),
		.info = &u->info,
	};
	return hostunit_create(&u->host, out);
}
