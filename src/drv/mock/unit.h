/* SPDX-License-Identifier: MIT */
/*
 * The driver's own objects. Locks: the unit's command lock is the innermost of
 * all; @lock of a unit guards its lists and what its devices are under, and
 * may be held while commands are given.
 */
#ifndef DRV_MOCK_UNIT_H
#define DRV_MOCK_UNIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/ids.h"
#include "base/itree.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "core/private.h"
#include "drv/mock/table.h"
#include "hwdef/mock.h"
#include "hwdef/mock_abi.h"
#include "linux/iommufd.h"

struct mock_access;

struct mock_unit {
	struct core_iommu core;
	struct core_hwport port;
	struct core_private private;
	pthread_mutex_t cmd_lock; /* the registers */
	pthread_mutex_t lock;	  /* all below */
	struct ids sids;	  /* StreamIDs of test devices, from the top */
	struct mock_access *accesses;
	_Atomic uint32_t access_count;
};

struct mock_viommu;

/*
 * One device behind the unit, hung on core_device.drv: by the test command
 * before the device is bound, else by device_add().
 */
struct mock_dev {
	bool test; /* the test command's own */
	bool no_dirty;
	bool fail_next_1024; /* see domain.c; dev's group lock */
	/* under unit->lock */
	struct mock_viommu *viommu; /* whose nested domain it is under */
	uint64_t virt_id;
};

struct mock_domain {
	struct core_domain core;
	struct mock_unit *unit;
	uint32_t context;
	bool tracking; /* dirty bits; atomic */
	struct mock_table table;
};

struct mock_nested {
	struct core_domain core;
	struct mock_unit *unit;
	struct mock_viommu *viommu; /* or NULL */
	uint32_t context;
};

struct mock_vdev {
	struct itree_node node; /* by virt_id */
	struct core_device *dev;
};

struct mock_viommu {
	struct core_viommu core;
	struct mock_unit *unit;
	pthread_mutex_t lock; /* vdevs, queues */
	struct itree vdevs;
	struct core_hw_queue *queues[MOCK_HW_QUEUES];
	int page_fd; /* -1: none */
	uint64_t mmap_offset;
};

static inline struct mock_unit *to_unit(struct core_iommu *iommu)
{
	return container_of(iommu, struct mock_unit, core);
}

static inline struct mock_domain *to_domain(struct core_domain *core)
{
	return container_of(core, struct mock_domain, core);
}

static inline struct mock_nested *to_nested(struct core_domain *core)
{
	return container_of(core, struct mock_nested, core);
}

static inline struct mock_viommu *to_viommu(struct core_viommu *core)
{
	return container_of(core, struct mock_viommu, core);
}

/* A command; its STATUS as 0, -ENOENT, -ENOMEM, -EIO. @result may be NULL */
int unit_command(struct mock_unit *unit, uint64_t cmd, uint64_t arg0,
		 uint64_t arg1, uint64_t *result);
void unit_sync(struct mock_unit *unit);

static inline uint64_t unit_stream(const struct core_device *dev,
				   uint32_t pasid)
{
	uint64_t ssid = pasid == CORE_NO_PASID ? 0 : (uint64_t)pasid + 1;

	return ssid << MOCK_STREAM_SSID_SHIFT | dev->stream_id;
}

/* domain.c */
int mock_domain_alloc(struct core_device *dev, uint32_t flags,
		      struct core_domain **out);
int mock_domain_alloc_data(struct core_device *dev, uint32_t flags,
			   const struct core_user_data *data,
			   struct core_domain **out);
int mock_nested_new(struct mock_unit *unit, struct core_domain *parent,
		    uint32_t flags, const struct core_user_data *data,
		    struct mock_viommu *viommu, struct core_domain **out);
int mock_nested_alloc(struct core_device *dev, struct core_domain *parent,
		      uint32_t flags, const struct core_user_data *data,
		      struct core_domain **out);
void mock_block(struct core_device *dev, uint32_t pasid);
extern const struct core_domain_ops mock_nested_ops;

/* viommu.c */
int mock_viommu_alloc(struct core_device *dev, struct core_domain *parent,
		      uint32_t type, const struct core_user_data *data,
		      struct core_viommu **out);
bool mock_viommu_type(struct core_device *dev, uint32_t type);
extern const struct core_viommu_ops mock_viommu_ops;
/* -ENOENT: @dev has no vDEVICE there */
int mock_viommu_virt_id(struct mock_viommu *viommu,
			const struct core_device *dev, uint64_t *virt_id);

/* test.c */
int mock_test_execute(void *ctx, struct core_call *call);

/* test_access.c: the end of those of one context, or of all */
void mock_access_end(struct mock_unit *unit, struct core_ctx *ctx,
		     bool closed_only);
/* operations on accesses, by the client's fd */
int mock_access_create(struct mock_unit *unit, struct core_call *call);
int mock_access_replace(struct mock_unit *unit, struct core_call *call);
int mock_access_pages(struct mock_unit *unit, struct core_call *call);
int mock_access_rw(struct mock_unit *unit, struct core_call *call);
int mock_access_unpin(struct mock_unit *unit, struct core_call *call);

#endif
