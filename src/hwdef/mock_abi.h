/* SPDX-License-Identifier: MIT */
/*
 * What user space says to the mock IOMMU: the numbers and layouts of Linux
 * 7.2's drivers/iommu/iommufd/iommufd_test.h, which its selftests are built
 * with. The names are ours.
 */
#ifndef HWDEF_MOCK_ABI_H
#define HWDEF_MOCK_ABI_H

#include <stdint.h>

#define MOCK_TEST_NR 0xa0 /* IOMMU_TEST_CMD is _IO(';', 0xa0) */

enum mock_test_op {
	MOCK_OP_ADD_RESERVED = 1,
	MOCK_OP_DOMAIN,
	MOCK_OP_CHECK_MAP,
	MOCK_OP_CHECK_REFS,
	MOCK_OP_ACCESS_CREATE,
	MOCK_OP_ACCESS_UNPIN,
	MOCK_OP_ACCESS_PAGES,
	MOCK_OP_ACCESS_RW,
	MOCK_OP_MEMORY_LIMIT,
	MOCK_OP_DOMAIN_REPLACE,
	MOCK_OP_ACCESS_REPLACE,
	MOCK_OP_DOMAIN_FLAGS,
	MOCK_OP_DIRTY,
	MOCK_OP_CHECK_IOTLB,
	MOCK_OP_IOPF,
	MOCK_OP_CHECK_CACHE,
	MOCK_OP_VEVENT,
	MOCK_OP_PASID_ATTACH,
	MOCK_OP_PASID_REPLACE,
	MOCK_OP_PASID_DETACH,
	MOCK_OP_PASID_CHECK,
	MOCK_OP_DMABUF_GET,
	MOCK_OP_DMABUF_REVOKE,
};

/* domain.dev_flags */
#define MOCK_DEV_NO_DIRTY     0x1u
#define MOCK_DEV_PASID	      0x4u

#define MOCK_ACCESS_NEEDS_PIN 0x1u     /* access_create.flags */
#define MOCK_ACCESS_WRITE     0x1u     /* access.flags */
#define MOCK_ACCESS_SLOW      0x4u     /* likewise, of ACCESS_RW */
#define MOCK_ACCESS_NTH	      0x10000u /* the IOVA is (nth area, offset) */

/* One struct for every operation; @id is what it is about. */
struct mock_test {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		struct {
			uint64_t start;
			uint64_t length;
		} add_reserved;
		struct {
			uint32_t out_object;
			uint32_t out_hwpt;
			uint32_t out_device;
			uint32_t dev_flags; /* DOMAIN_FLAGS only */
		} domain;
		struct {
			uint32_t pt;
		} replace;
		struct {
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
		} check_map;
		struct {
			uint64_t length;
			uint64_t uptr;
			uint32_t refs;
		} check_refs;
		struct {
			uint32_t out_fd;
			uint32_t flags;
		} access_create;
		struct {
			uint32_t item;
		} access_unpin;
		struct {
			uint32_t flags;
			uint32_t out_item;
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
		} access_pages;
		struct {
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
			uint32_t flags;
		} access_rw;
		struct {
			uint32_t limit;
		} memory_limit;
		struct {
			uint32_t ioas;
		} access_replace;
		struct {
			uint32_t flags;
			uint64_t iova;
			uint64_t length;
			uint64_t page_size;
			uint64_t uptr;
			uint64_t out_nr_dirty;
		} dirty;
		struct {
			uint32_t cell;
			uint32_t value;
		} check_cell; /* CHECK_IOTLB, CHECK_CACHE */
		struct {
			uint32_t dev;
			uint32_t pasid;
			uint32_t grpid;
			uint32_t perm;
			uint64_t addr;
		} iopf;
		struct {
			uint32_t dev;
		} vevent;
		struct {
			uint32_t pasid;
			uint32_t pt; /* PASID_CHECK: the HWPT, 0 for none */
		} pasid;
		struct {
			uint32_t length;
			uint32_t open_flags;
		} dmabuf_get;
		struct {
			int32_t fd;
			uint32_t revoked;
		} dmabuf_revoke;
	};
	uint32_t last;
};

_Static_assert(sizeof(struct mock_test) == 72, "as Linux's");

/* IOMMU_GET_HW_INFO */
#define MOCK_HW_INFO_TYPE 0xfeedbeefu
#define MOCK_HW_INFO_REG  0xdeadbeefu

struct mock_hw_info {
	uint32_t flags;
	uint32_t test_reg;
};

/* IOMMU_HWPT_ALLOC */
#define MOCK_HWPT_DATA	 0xdeadu
#define MOCK_TABLE_PLAIN 0u
#define MOCK_TABLE_HUGE	 1u

struct mock_hwpt_data {
	uint32_t iotlb; /* nested: what each cell holds first */
	uint32_t table; /* paging */
};

#define MOCK_APERTURE_FIRST 0x1000000ULL
#define MOCK_APERTURE_LAST  0x7fffffffULL

/* IOMMU_HWPT_INVALIDATE on a nested HWPT and on a vIOMMU */
#define MOCK_INVAL_DATA 0xdeadbeefu
#define MOCK_INVAL_ALL	0x1u

struct mock_hwpt_inval {
	uint32_t flags;
	uint32_t cell;
};

struct mock_viommu_inval {
	uint32_t flags;
	uint32_t virt_id;
	uint32_t cell;
};

/* IOMMU_VIOMMU_ALLOC */
#define MOCK_VIOMMU_TYPE 0xdeadbeefu
#define MOCK_MMAP_BYTES	 8192u

struct mock_viommu_data {
	uint32_t in_data;
	uint32_t out_data;
	uint64_t out_mmap_offset;
	uint64_t out_mmap_length;
};

#define MOCK_VEVENTQ_TYPE 0xbeefbeefu

struct mock_vevent {
	uint32_t virt_id;
};

#define MOCK_HW_QUEUE_TYPE 0xdeadbeefu
#define MOCK_HW_QUEUES	   2u

/* Every second attachment of this PASID fails, to test the way back. */
#define MOCK_PASID_FAILING 1024u

#endif
