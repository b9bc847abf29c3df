// SPDX-License-Identifier: MIT
/* One mock IOMMU: its registers, its devices, what it says of itself. */
#include "drv/mock/unit.h"

#include <errno.h>
#include <stdlib.h>

#include <sys/ioctl.h>

#include "base/alloc.h"
#include "drv/mock/driver.h"

static void write_reg(struct mock_unit *unit, uint32_t offset, uint64_t value)
{
	unit->port.ops->write(unit->port.ctx, offset, 8, value);
}

static uint64_t read_reg(struct mock_unit *unit, uint32_t offset)
{
	return unit->port.ops->read(unit->port.ctx, offset, 8);
}

int unit_command(struct mock_unit *unit, uint64_t cmd, uint64_t arg0,
		 uint64_t arg1, uint64_t *result)
{
	uint64_t status;

	pthread_mutex_lock(&unit->cmd_lock);
	write_reg(unit, MOCK_REG_ARG0, arg0);
	write_reg(unit, MOCK_REG_ARG1, arg1);
	write_reg(unit, MOCK_REG_CMD, cmd);
	status = read_reg(unit, MOCK_REG_STATUS);
	if (status == MOCK_OK && result)
		*result = read_reg(unit, MOCK_REG_RESULT);
	pthread_mutex_unlock(&unit->cmd_lock);
	switch (status) {
	case MOCK_OK:
		return 0;
	case MOCK_NONE:
		return -ENOENT;
	case MOCK_NO_ROOM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* DMA that hangs for ever would hang us; the hardware gives up first. */
void unit_sync(struct mock_unit *unit)
{
	int tries = 8;

	while (unit_command(unit, MOCK_CMD_SYNC, 0, 0, NULL) == -EIO && --tries)
		;
}

static int hw_info(struct core_device *dev, uint32_t type, uint32_t *out_type,
		   const void **data, uint32_t *len)
{
	static const struct mock_hw_info info = { .test_reg =
							  MOCK_HW_INFO_REG };

	(void)dev;
	if (type != IOMMU_HW_INFO_TYPE_DEFAULT && type != MOCK_HW_INFO_TYPE)
		return -EOPNOTSUPP;
	if (alloc_fault_point()) /* Linux answers with a copy */
		return -ENOMEM;
	*out_type = MOCK_HW_INFO_TYPE;
	*data = &info;
	*len = sizeof(info);
	return 0;
}

static uint64_t capabilities(struct core_device *dev, uint8_t *max_pasid_log2)
{
	const struct mock_dev *mdev = dev->drv;

	*max_pasid_log2 = dev->pasid_bits < MOCK_PASID_BITS ? dev->pasid_bits
							    : MOCK_PASID_BITS;
	/* No device here speaks PCI. */
	return IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED |
	       (mdev->no_dirty ? 0 : IOMMU_HW_CAP_DIRTY_TRACKING);
}

static int device_add(struct core_device *dev)
{
	struct mock_unit *unit = to_unit(dev->iommu);
	struct mock_dev *mdev = dev->drv;
	int rc;

	if (!mdev) {
		mdev = alloc_zero(sizeof(*mdev));
		if (!mdev)
			return -ENOMEM;
	}
	rc = unit_command(unit, MOCK_CMD_DEV_ADD, dev->stream_id, 0, NULL);
	if (rc) {
		if (!mdev->test)
			free(mdev);
		return rc;
	}
	dev->drv = mdev;
	return 0;
}

static void device_remove(struct core_device *dev)
{
	struct mock_dev *mdev = dev->drv;

	unit_command(to_unit(dev->iommu), MOCK_CMD_DEV_DEL, dev->stream_id, 0,
		     NULL);
	if (!mdev->test) {
		dev->drv = NULL;
		free(mdev);
	}
}

static size_t reserved(struct core_device *dev, struct core_resv *resv,
		       size_t max)
{
	(void)dev;
	(void)resv;
	(void)max;
	return 0;
}

/* The devices of the test command wait for no answer. */
static void page_response(struct core_device *dev,
			  const struct core_page_request *last, uint32_t code)
{
	(void)dev;
	(void)last;
	(void)code;
}

static void unit_destroy(struct core_iommu *core)
{
	struct mock_unit *unit = to_unit(core);

	mock_access_end(unit, NULL, false);
	ids_fini(&unit->sids);
	unit_lists_fini(unit);
	pthread_mutex_destroy(&unit->lock);
	pthread_mutex_destroy(&unit->cmd_lock);
	free(unit);
}

static const struct core_iommu_ops unit_ops = {
	.name = "mock",
	.hw_info = hw_info,
	.capabilities = capabilities,
	.device_add = device_add,
	.device_remove = device_remove,
	.reserved = reserved,
	.domain_alloc = mock_domain_alloc,
	.domain_alloc_data = mock_domain_alloc_data,
	.nested_alloc = mock_nested_alloc,
	.viommu_alloc = mock_viommu_alloc,
	.viommu_type = mock_viommu_type,
	.block = mock_block,
	.destroy = unit_destroy,
	.nested_ops = &mock_nested_ops,
	.viommu_ops = &mock_viommu_ops,
	.page_response = page_response,
};

int mock_drv_create(const struct core_hwport *port, struct core_iommu **iommu)
{
	struct mock_unit *unit;
	int rc;

	if (port->ops->read(port->ctx, MOCK_REG_ID, 8) != MOCK_ID)
		return -ENXIO;
	unit = alloc_aligned(_Alignof(struct mock_unit), sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	unit->port = *port;
	rc = unit_lists_init(unit);
	if (rc) {
		free(unit);
		return rc;
	}
	unit->core.ops = &unit_ops;
	unit->private = (struct core_private){
		.cmd = _IO(IOMMUFD_TYPE, MOCK_TEST_NR),
		.size = sizeof(struct mock_test),
		.min_size = offsetof(struct mock_test, last) + sizeof(uint32_t),
		.execute = mock_test_execute,
		.ctx = unit,
		.nth_flag = MOCK_ACCESS_NTH,
	};
	pthread_mutex_init(&unit->cmd_lock, NULL);
	pthread_mutex_init(&unit->lock, NULL);
	ids_init(&unit->sids, 0);
	*iommu = &unit->core;
	return 0;
}

const struct core_private *mock_drv_private(struct core_iommu *iommu)
{
	return &to_unit(iommu)->private;
}

void mock_drv_before_call(struct core_iommu *iommu, struct core_ctx *ctx)
{
	struct mock_unit *unit = to_unit(iommu);

	if (atomic_load_explicit(&unit->access_count, memory_order_acquire))
		mock_access_end(unit, ctx, true);
}

void mock_drv_closing(struct core_iommu *iommu, struct core_ctx *ctx)
{
	mock_access_end(to_unit(iommu), ctx, false);
}
