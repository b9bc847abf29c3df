/* SPDX-License-Identifier: MIT */
/*
 * A machine with the mock IOMMU, and IOMMU_TEST_CMD said by hand: the numbers
 * are Linux 7.2's, from iommufd_test.h.
 */
#ifndef TESTS_MOCK_KIT_H
#define TESTS_MOCK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/iommufd.h>

#include <nestfd/nestfd.h>

#define PAGE	 4096ULL
#define APERTURE 0x1000000ULL

/* The struct as words: size, op, id, reserved, the union, last */
struct cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		uint32_t w[12];
		uint64_t d[6];
	};
	uint32_t last;
	uint32_t padding;
};

struct kit {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t ioas;
	uint32_t object; /* of a test device on @ioas */
	uint32_t hwpt;
	uint32_t dev;
	char *pages; /* 16 of them */
};

int kit_setup(void **state);	 /* machine, context, IOAS, pages */
int kit_setup_dev(void **state); /* and a test device */
int kit_teardown(void **state);
/*
 * To be called by tests that hand over bad pointers: cmocka has put handlers of
 * its own in front of the library's, after the set-up.
 */
void kit_expect_faults(void);

int test_cmd(struct kit *kit, struct cmd *cmd);
/* A command whose union is nothing but these 32-bit words */
int test_op(struct kit *kit, uint32_t op, uint32_t id, uint32_t w0,
	    uint32_t w1);
int test_device(struct kit *kit, uint32_t pt, uint32_t flags, uint32_t *object,
		uint32_t *hwpt, uint32_t *dev);
int check_map(struct kit *kit, uint32_t hwpt, uint64_t iova, uint64_t length,
	      const void *at);
int check_refs(struct kit *kit, const void *at, uint64_t length, uint32_t refs);
int check_iotlb(struct kit *kit, uint32_t hwpt, uint32_t cell, uint32_t value);
int check_cache(struct kit *kit, uint32_t dev, uint32_t cell, uint32_t value);

int kit_map(struct kit *kit, uint64_t iova, const void *at, uint64_t length);
int kit_unmap(struct kit *kit, uint64_t iova, uint64_t length);
int kit_hwpt(struct kit *kit, uint32_t pt, uint32_t flags, uint32_t *hwpt);
/* @value: what each cell holds first */
int kit_nested(struct kit *kit, uint32_t pt, uint32_t value, uint32_t *hwpt);
int kit_viommu(struct kit *kit, uint32_t parent, uint32_t *viommu);
int kit_vdevice(struct kit *kit, uint32_t viommu, uint32_t dev,
		uint64_t virt_id, uint32_t *vdevice);
int kit_invalidate(struct kit *kit, uint32_t id, const void *array,
		   uint32_t entry_len, uint32_t *n);
int kit_destroy(struct kit *kit, uint32_t id);
/* The kit's own test device, to a HWPT or an IOAS */
int kit_replace(struct kit *kit, uint32_t pt);

/* An access on the kit's IOAS; its fd is closed with close() */
int kit_access(struct kit *kit, uint32_t flags, uint32_t *fd);
/* ACCESS_PAGES: @item is what it is unpinned by, untouched on failure */
int kit_pin(struct kit *kit, uint32_t fd, uint32_t flags, uint64_t iova,
	    uint64_t length, const void *at, uint32_t *item);
/* ACCESS_RW: bit 0 of @flags writes what is in @buf */
int kit_rw(struct kit *kit, uint32_t fd, uint32_t flags, uint64_t iova,
	   void *buf, uint64_t length);

/* A nest parent with a vIOMMU, and a nested HWPT of that, for the device */
struct kit_nest {
	uint32_t parent;
	uint32_t viommu;
	uint32_t nested;
};

void kit_nest(struct kit *kit, struct kit_nest *nest);
int kit_ioas(struct kit *kit, uint32_t *ioas);

#endif
