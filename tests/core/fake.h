/* SPDX-License-Identifier: MIT */
/*
 * A driver without hardware: it keeps what core tells it, checks that core
 * keeps the contract of core/driver.h, and fails when told to. And a world: a
 * physical space with contexts and devices for one test.
 */
#ifndef TESTS_CORE_FAKE_H
#define TESTS_CORE_FAKE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/iommufd.h>

#include "base/itree.h"
#include "core/core.h"
#include "mem/client.h"

#define FAKE_VIOMMU_TYPE 1
#define FAKE_DATA_TYPE	 2
#define FAKE_INVAL_TYPE	 1
#define FAKE_EVENT_TYPE	 1
#define FAKE_ENTRY_LEN	 16
#define FAKE_QUEUE_TYPE	 5
#define FAKE_DIRTY_MAX	 64

struct fake_unit;

struct fake_domain {
	struct core_domain core;
	struct fake_unit *unit;
	struct itree maps;
	uint32_t flags;
	uint32_t attached;
	uint32_t map_calls;
	uint32_t unmap_calls;
	uint64_t data[2]; /* what came as user data */
	bool tracking;
	uint64_t dirty[FAKE_DIRTY_MAX]; /* pages, 0 for none */
	struct fake_domain *parent;	/* nested directly */
};

struct fake_viommu {
	struct core_viommu core;
	struct fake_unit *unit;
	uint32_t vdevices;
};

/* One hardware unit. Zero, then fake_unit_init(). */
struct fake_unit {
	struct core_iommu core;
	struct core_iommu_ops ops;
	/* what it is like */
	struct core_geometry geometry;
	struct core_resv resv[4];
	size_t resv_count;
	uint64_t caps;
	uint8_t pasid_lg2;
	bool attach_needs_vdevice;
	/* failures on demand */
	int attach_rc;
	int map_rc;
	uint32_t map_fail_at; /* 1: the next call */
	int inval_rc;
	uint32_t inval_done;
	uint32_t inval_code; /* what goes with it, or with success */
	uint32_t inval_info;
	bool inval_info_entry;
	uint32_t inval_chunk; /* entries copied at once, 0: one; at most 64 */
	void (*inval_hook)(void *ctx, uint32_t done); /* after each */
	void *inval_ctx;
	int vdevice_rc;
	int dirty_rc;
	int queue_rc;
	int init_rc;
	bool init_answers; /* 0xabcd, into the vIOMMU's user data */
	/* what happened */
	_Atomic uint32_t domains;
	_Atomic uint32_t viommus;
	_Atomic uint32_t vdevices;
	_Atomic uint32_t devices;
	_Atomic uint32_t blocks;
	_Atomic uint32_t inval_calls;
	_Atomic uint32_t queues;
	_Atomic uint32_t responses;
	pthread_mutex_t response_lock;
	struct core_page_request response; /* the last */
	uint32_t response_code;
	struct core_device *response_dev;
	struct core_hw_queue *last_queue;
	struct core_viommu *last_viommu;
	struct core_inval inval; /* the last */
	unsigned char inval_entry[64];
	unsigned char (*inval_log)[FAKE_ENTRY_LEN]; /* all, NULL: not wanted */
};

struct world {
	struct phys *phys;
	struct grace *grace;
	struct client_maps maps;
	struct core_env env;
	struct core_ctx *ctx;
	struct fake_unit unit;
	struct core_device dev[4];
	uint32_t dev_id[4];
	uint32_t ioas;
	uint32_t parent; /* a nest parent on ioas */
	uint32_t viommu;
};

void fake_unit_init(struct fake_unit *unit);
/* For ops.domain_alloc_data, which is NULL: data as for nested domains */
int fake_domain_alloc_data(struct core_device *dev, uint32_t flags,
			   const struct core_user_data *data,
			   struct core_domain **out);
void fake_device_init(struct core_device *dev, struct fake_unit *unit,
		      uint32_t stream_id);

/* What lies behind @iova: -EFAULT if nothing is mapped there. */
int fake_read(struct world *w, struct core_device *dev, uint64_t iova,
	      void *dst, size_t len);
/* What a paging domain maps @iova to, 0 for nothing */
uint64_t fake_pa(const struct core_domain *domain, uint64_t iova);
/* The device writes a page: it becomes dirty if that is tracked */
void fake_dirty(struct core_domain *domain, uint64_t iova);
uint64_t fake_mapped(const struct core_domain *domain);
/* The domain that @dev is under, NULL if it is blocked */
struct fake_domain *fake_domain_of(struct core_device *dev);

/*
 * The world that the fixture made. cmocka installs its own signal handlers for
 * each test, so ours have to be put back.
 */
struct world *world_of(void **state);

/* A world with one context and nothing in it; ends with world_end() */
void world_begin(struct world *w);
/* ... and dev[0..1] bound, an IOAS, a nest parent and a vIOMMU */
void world_begin_nested(struct world *w);
/* Closes, and checks that nothing of it is left anywhere. */
void world_end(struct world *w);

/* Fixtures of the two kinds */
int setup_world(void **state);
int setup_nested(void **state);
int teardown_world(void **state);
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_world, teardown_world)
#define CASE_NESTED(f) \
	cmocka_unit_test_setup_teardown(f, setup_nested, teardown_world)

/* Calls that must succeed; they return the new id */
uint32_t do_ioas(struct world *w);
uint32_t do_hwpt(struct world *w, uint32_t dev_id, uint32_t pt_id,
		 uint32_t flags);
uint32_t do_nested(struct world *w, uint32_t dev_id, uint32_t pt_id);
uint32_t do_viommu(struct world *w, uint32_t dev_id, uint32_t hwpt);
uint32_t do_bind(struct world *w, struct core_device *dev);

/* Calls that may fail: 0 or a negative errno */
int try_map(struct world *w, uint32_t ioas, const void *va, uint64_t length,
	    uint64_t iova);
int try_unmap(struct world *w, uint32_t ioas, uint64_t iova, uint64_t length,
	      uint64_t *unmapped);
int try_destroy(struct world *w, uint32_t id);
int try_vdevice(struct world *w, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *id);
int try_veventq(struct world *w, uint32_t viommu, uint32_t type, uint32_t depth,
		uint32_t *id, int *fd);
int try_invalidate(struct world *w, uint32_t id, const void *entries,
		   uint32_t len, uint32_t *num);

/* Page-aligned memory of @pages pages, freed by free() */
void *pages_alloc(size_t pages);

#define RW_FIXED                                               \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
	 IOMMU_IOAS_MAP_WRITEABLE)

#define ioctl_on(w, cmd, arg) core_ioctl((w)->ctx, cmd, arg)

/* cmocka prints numbers; errnos are easier to read so */
#define assert_rc(call, want) assert_int_equal((int)(call), (want))

#endif
