/* SPDX-License-Identifier: MIT */
/*
 * The host driver of one VT-d remapping unit (Architecture Specification,
 * revision 5.10), behind core/driver.h: what the kernel does between iommufd
 * and the hardware.
 *
 * In scalable mode everything is there; a unit that has only legacy mode gets
 * paging domains without PASIDs. A stream is a requester id (bus, device,
 * function: 16 bits). HWPTs may be attached behind several units.
 *
 * Interrupt lines it connects (core_hwport_ops.irq) are the unit's event
 * messages, numbered as below. Handlers take only the driver's own locks and
 * never wait for a descriptor to complete.
 */
#ifndef DRV_VTD_DRIVER_H
#define DRV_VTD_DRIVER_H

#include <stdint.h>

#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"

#define VTD_DRV_LINE_FAULT	  0
#define VTD_DRV_LINE_INVALIDATION 1 /* never connected: waits are polled */
#define VTD_DRV_LINE_PAGE_REQUEST 2 /* with ECAP.PRS */

/* Messages of devices to processors: no IOVA on this platform */
#define VTD_DRV_MSI_FIRST 0xfee00000ULL
#define VTD_DRV_MSI_LAST  0xfeefffffULL

struct vtd_drv_config {
	const struct logger *logger; /* NULL: silent; must outlive the unit */
	unsigned int queue_lg2;	     /* descriptors, 8 to 14; 0: default */
	unsigned int haw; /* host address width (8.1), 32 to 52; 0: that */
	/* A queue that does not move for so long is dead; 0: default */
	unsigned int timeout_ms;
	/* Timeouts that a device may cost before it is in quarantine; a guest
	 * four times as many. And how long after one it may not cause another:
	 * UINT32_MAX for no time at all. 0: defaults (docs/security.md) */
	unsigned int atc_timeouts;
	unsigned int atc_window_ms;
};

/*
 * Probes, resets and enables the unit: all streams are blocked. @port (what it
 * points to, not the struct) must outlive the unit, and so must the unit the
 * domains made by one of its devices.
 * Return: 0; -ENXIO (hardware that this driver cannot use), -ENOMEM, -EIO (a
 * register or the queue does not respond), -EINVAL (@config).
 */
int vtd_drv_create(const struct vtd_drv_config *config,
		   const struct core_hwport *port, struct core_iommu **iommu);

#endif
