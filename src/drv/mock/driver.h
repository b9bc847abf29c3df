/* SPDX-License-Identifier: MIT */
/*
 * The host driver of the mock IOMMU (hwdef/mock.h), and the test command that
 * Linux has under CONFIG_IOMMUFD_TEST: IOMMU_TEST_CMD makes devices behind this
 * IOMMU and asks it, and core, what has become of them.
 */
#ifndef DRV_MOCK_DRIVER_H
#define DRV_MOCK_DRIVER_H

#include "core/driver.h"
#include "core/hwport.h"
#include "core/private.h"

/*
 * @port (what it points to, not the struct) must outlive the unit.
 * Return: 0, -ENXIO (other hardware), -ENOMEM.
 */
int mock_drv_create(const struct core_hwport *port, struct core_iommu **iommu);

/* IOMMU_TEST_CMD of contexts whose devices are behind @iommu */
const struct core_private *mock_drv_private(struct core_iommu *iommu);

/*
 * The fd of an access is the client's to close, in whatever way. Before any
 * call on @ctx: notices which are gone.
 */
void mock_drv_before_call(struct core_iommu *iommu, struct core_ctx *ctx);

/* Before core_close(): ends what the test command still has open there. */
void mock_drv_closing(struct core_iommu *iommu, struct core_ctx *ctx);

#endif
