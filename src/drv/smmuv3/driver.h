/* SPDX-License-Identifier: MIT */
/*
 * The host driver of one SMMUv3 (Arm IHI 0070), behind core/driver.h: what the
 * kernel does between iommufd and the hardware.
 *
 * Interrupt lines it connects (core_hwport_ops.irq) are wired interrupts
 * numbered as below. Handlers take only the driver's own locks and those of
 * core_viommu_event(), and never wait for a command to complete, so they may
 * run inside a read section.
 */
#ifndef DRV_SMMUV3_DRIVER_H
#define DRV_SMMUV3_DRIVER_H

#include <stdint.h>

#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"

#define SMMUV3_DRV_LINE_EVENTQ	 0
#define SMMUV3_DRV_LINE_PRIQ	 1 /* with IDR0.PRI */
#define SMMUV3_DRV_LINE_CMD_SYNC 2 /* never connected: syncs are polled */
#define SMMUV3_DRV_LINE_GERROR	 3

/* Where Linux puts its software MSI window */
#define SMMUV3_DRV_MSI_FIRST 0x08000000ULL
#define SMMUV3_DRV_MSI_LAST  0x080fffffULL

struct smmuv3_drv_config {
	/* The reserved MSI window, inclusive; both 0 for none. */
	uint64_t msi_first;
	uint64_t msi_last;
	const struct logger *logger; /* NULL: silent; must outlive the unit */
	unsigned int cmdq_lg2;	     /* queue sizes wanted; 0: default */
	unsigned int evtq_lg2;
	unsigned int priq_lg2;
	/* A command queue that does not move for so long is dead; 0: default */
	unsigned int timeout_ms;
	/* ATC timeouts that a device may cost before it is in quarantine; a
	 * guest four times as many. And how long after one it may not cause
	 * another: UINT32_MAX for no time at all. 0: defaults
	 * (docs/security.md) */
	unsigned int atc_timeouts;
	unsigned int atc_window_ms;
};

/* What core_iommu_ops.destroy() may not be called before: no device added, no
 * domain, no vIOMMU. */

/*
 * Probes, resets and enables the unit: all streams abort. @port (what it
 * points to, not the struct) must outlive the unit.
 * Return: 0; -ENXIO (hardware that this driver cannot use), -ENOMEM, -EIO (a
 * register or the queue does not respond), -EINVAL (@config).
 */
int smmuv3_drv_create(const struct smmuv3_drv_config *config,
		      const struct core_hwport *port,
		      struct core_iommu **iommu);

#endif
