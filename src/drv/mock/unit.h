/* SPDX-License-Identifier: MIT */
/*
 * The driver's own objects. Locks: the unit's command lock is the innermost of
 * all, and so are those of the command lists; @lock of a unit guards its
 * accesses and what its devices are under, and may be held while commands are
 * given, like that of a vIOMMU.
 */
#ifndef DRV_MOCK_UNIT_H
#define DRV_MOCK_UNIT_H

#include <errno.h>
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

struct unit_list {
	_Alignas(64) pthread_mutex_t lock; /* the commands and the registers */
	struct mock_list_command *commands;
	uint32_t page; /* of registers */
};

struct mock_unit {
	struct core_iommu core;
	struct core_hwport port;
	struct core_private private;
	struct core_dma_mem list_mem;
	struct unit_list lists[MOCK_LISTS];
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

/* list.c */
int unit_lists_init(struct mock_unit *unit); /* -ENOMEM */
void unit_lists_fini(struct mock_unit *unit);

/* The longest entry of an array of invalidations */
#define UNIT_INVAL_SIZE sizeof(struct mock_viommu_inval)

/*
 * How an array becomes commands. @convert writes those of entries that are in
 * order, up to the first that is not, of which *@bad then tells; it returns
 * their number. @lock (or NULL) is held from then until they are carried out.
 */
struct unit_inval {
	struct mock_unit *unit;
	pthread_mutex_t *lock;
	size_t size; /* of an entry */
	uint32_t (*convert)(void *owner, const void *entries, uint32_t n,
			    struct mock_list_command *commands, int *bad);
	void *owner;
};
int unit_invalidate(const struct unit_inval *job, struct core_inval *inv);

/*
 * One entry as a command that is done to @cells of @whose. -EOPNOTSUPP for
 * flags, -EINVAL for a cell
 */
static inline int unit_inval_command(struct mock_list_command *command,
				     uint64_t op, uint32_t flags, uint32_t cell,
				     uint64_t whose)
{
	uint32_t all = (1u << MOCK_CELLS) - 1;
	uint32_t cells;

	if (flags & ~MOCK_INVAL_ALL)
		return -EOPNOTSUPP;
	if (cell >= MOCK_CELLS) /* looked at whatever the flags say */
		return -EINVAL;
	cells = flags & MOCK_INVAL_ALL ? all : 1u << cell;
	command->word[0] = le64_make(field_prep(MOCK_LIST_0_OP, op) |
				     field_prep(MOCK_LIST_0_CELLS, cells));
	command->word[1] = le64_make(whose);
	return 0;
}

/*
 * For unit_inval.convert: @one does it for one entry of @size bytes. Part of
 * its caller, which knows @one, so that an entry costs no call.
 */
static inline __attribute__((always_inline)) uint32_t
unit_convert(void *owner, const void *entries, size_t size, uint32_t n,
	     struct mock_list_command *commands, int *bad,
	     int (*one)(void *owner, const void *entry,
			struct mock_list_command *command))
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		*bad = one(owner, (const char *)entries + i * size,
			   &commands[i]);
		if (*bad)
			break;
	}
	return i;
}

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
