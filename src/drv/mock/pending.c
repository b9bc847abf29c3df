// SPDX-License-Identifier: MIT
/*
 * What core/driver.h promises and core has not got yet: refused until it has.
 * Weak: core's own win, and this file goes.
 */
#include <errno.h>

#include "core/driver.h"

#define PENDING __attribute__((weak))

PENDING void core_dirty_record(struct core_dirty *dirty, uint64_t iova,
			       uint64_t length)
{
	(void)dirty;
	(void)iova;
	(void)length;
}

PENDING int core_page_request(struct core_device *dev,
			      const struct core_page_request *request)
{
	(void)dev;
	(void)request;
	return -ENODEV;
}

PENDING int core_hw_queue_depend(struct core_hw_queue *queue,
				 struct core_hw_queue *on)
{
	(void)queue;
	(void)on;
	return -EOPNOTSUPP;
}

PENDING void core_hw_queue_undepend(struct core_hw_queue *queue,
				    struct core_hw_queue *on)
{
	(void)queue;
	(void)on;
}

PENDING int core_mmap_add(struct core_viommu *viommu, int fd,
			  uint64_t fd_offset, uint64_t length, uint64_t *offset)
{
	(void)viommu;
	(void)fd;
	(void)fd_offset;
	(void)length;
	(void)offset;
	return -EOPNOTSUPP;
}

PENDING void core_mmap_remove(struct core_viommu *viommu, uint64_t offset)
{
	(void)viommu;
	(void)offset;
}

PENDING int core_copy_back(const struct core_user_data *data, const void *src,
			   size_t size)
{
	(void)data;
	(void)src;
	(void)size;
	return -EOPNOTSUPP;
}
