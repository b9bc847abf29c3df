// SPDX-License-Identifier: MIT
/* Hardware queues in guest memory, and the page that the client maps. */
#include "kit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define QUEUE_TYPE  0xdeadbeefu
#define VIOMMU_TYPE 0xdeadbeefu

struct viommu_data {
	uint32_t in;
	uint32_t out;
	uint64_t offset;
	uint64_t length;
};

static int make_queue(struct kit *kit, uint32_t viommu, uint32_t index,
		      uint64_t iova, uint64_t length, uint32_t *id)
{
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = QUEUE_TYPE,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = nestfd_ioctl(kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg);

	if (!rc)
		*id = arg.out_hw_queue_id;
	return rc;
}

/* A vIOMMU over an IOAS with four pages from APERTURE on */
static void queue_rig(struct kit *kit, struct kit_nest *nest)
{
	kit_nest(kit, nest);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 4 * PAGE), 0);
}

static void queues_come_in_order_and_go_in_reverse(void **state)
{
	struct kit *kit = *state;
	uint32_t other;
	uint32_t first = 0;
	uint32_t second = 0;
	struct kit_nest nest;

	queue_rig(kit, &nest);
	assert_int_equal(
		make_queue(kit, nest.viommu, 1, APERTURE, PAGE, &second), -EIO);
	assert_int_equal(
		make_queue(kit, nest.viommu, 2, APERTURE, PAGE, &second),
		-EINVAL);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE, PAGE, &first), 0);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE, PAGE, &other),
		-EEXIST);
	assert_int_equal(
		make_queue(kit, nest.viommu, 1, APERTURE + PAGE, PAGE, &second),
		0);
	assert_int_equal(kit_destroy(kit, first), -EBUSY);
	assert_int_equal(kit_destroy(kit, nest.viommu), -EBUSY);
	assert_int_equal(kit_destroy(kit, second), 0);
	assert_int_equal(kit_destroy(kit, first), 0);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE, PAGE, &first), 0);
}

static void a_queues_pages_are_pinned_and_stay_mapped(void **state)
{
	struct kit *kit = *state;
	struct kit_nest nest;
	uint32_t id = 0;

	queue_rig(kit, &nest);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE + PAGE, PAGE, &id), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, 4 * PAGE), -EBUSY);
	assert_int_equal(
		check_map(kit, nest.parent, APERTURE, 4 * PAGE, kit->pages), 0);
	assert_int_equal(kit_destroy(kit, id), 0);
	assert_int_equal(kit_unmap(kit, APERTURE, 4 * PAGE), 0);
	assert_int_equal(check_refs(kit, kit->pages, 4 * PAGE, 0), 0);
}

static void a_queue_lies_where_something_is_mapped(void **state)
{
	struct kit *kit = *state;
	struct kit_nest nest;
	uint32_t id = 0;

	queue_rig(kit, &nest);
	assert_int_equal(make_queue(kit, nest.viommu, 0, APERTURE, 0, &id),
			 -EINVAL);
	assert_int_equal(make_queue(kit, nest.viommu, 0, UINT64_MAX, 2, &id),
			 -EOVERFLOW);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE, 5 * PAGE, &id),
		-ENOENT);
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, 2 * APERTURE, PAGE, &id),
		-ENOENT);
	assert_int_equal(make_queue(kit, nest.parent, 0, APERTURE, PAGE, &id),
			 -ENOENT);
	assert_int_equal(make_queue(kit, 999, 0, APERTURE, PAGE, &id), -ENOENT);
	/* inside a page, over a page's end */
	assert_int_equal(
		make_queue(kit, nest.viommu, 0, APERTURE + 100, PAGE, &id), 0);
	assert_int_equal(kit_destroy(kit, id), 0);
}

/*
 * Two mappings next to each other may be contiguous by chance; in the order
 * they were made or in the other, but not in both.
 */
static void a_queue_is_physically_contiguous(void **state)
{
	struct kit *kit = *state;
	char *far = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int refused = 0;
	struct kit_nest nest;
	uint32_t id = 0;

	assert_ptr_not_equal(far, MAP_FAILED);
	kit_nest(kit, &nest);
	for (uint64_t first = 0; first < 2; first++) {
		int rc;

		assert_int_equal(kit_map(kit, APERTURE + first * PAGE,
					 kit->pages + 4 * PAGE, PAGE),
				 0);
		assert_int_equal(
			kit_map(kit, APERTURE + !first * PAGE, far, PAGE), 0);
		rc = make_queue(kit, nest.viommu, 0, APERTURE, 2 * PAGE, &id);
		assert_true(!rc || rc == -EFAULT);
		refused += !!rc;
		if (!rc)
			assert_int_equal(kit_destroy(kit, id), 0);
		/* and nothing is held */
		assert_int_equal(kit_unmap(kit, APERTURE, 2 * PAGE), 0);
	}
	assert_in_range(refused, 1, 2);
	munmap(far, 4 * PAGE);
}

static void flags_and_types_of_queues_are_judged_first(void **state)
{
	struct kit *kit = *state;
	struct iommu_hw_queue_alloc arg = {
		.size = sizeof(arg),
		.type = QUEUE_TYPE,
		.viommu_id = 999,
	};
	struct kit_nest nest;

	queue_rig(kit, &nest);
	for (unsigned int bit = 0; bit < 32; bit++) {
		arg.flags = 1u << bit;
		assert_int_equal(
			nestfd_ioctl(kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg),
			-EOPNOTSUPP);
	}
	arg.flags = 0;
	arg.type = 0;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg),
			 -EOPNOTSUPP);
	arg.type = 1;
	arg.length = PAGE;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg),
			 -ENOENT);
	arg.viommu_id = nest.viommu;
	assert_int_equal(nestfd_ioctl(kit->ctx, IOMMU_HW_QUEUE_ALLOC, &arg),
			 -EOPNOTSUPP);
}

/* ---- the page ---- */

static int make_viommu(struct kit *kit, struct viommu_data *data, uint32_t len,
		       uint32_t *id)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = VIOMMU_TYPE,
		.dev_id = kit->dev,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = kit_hwpt(kit, kit->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
			  &arg.hwpt_id);

	assert_int_equal(rc, 0);
	rc = nestfd_ioctl(kit->ctx, IOMMU_VIOMMU_ALLOC, &arg);
	if (!rc)
		*id = arg.out_viommu_id;
	return rc;
}

static void the_page_shows_what_the_client_has_sent(void **state)
{
	struct kit *kit = *state;
	struct viommu_data data = { .in = 0x12345678 };
	uint64_t fd_offset;
	uint32_t *page;
	uint32_t id;
	int fd;

	assert_int_equal(make_viommu(kit, &data, sizeof(data), &id), 0);
	assert_int_equal(data.out, 0x12345678);
	assert_int_equal(data.length, 2 * PAGE);
	assert_int_equal(nestfd_mmap_get(kit->ctx, data.offset, data.length,
					 &fd, &fd_offset),
			 0);
	page = mmap(NULL, data.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)fd_offset);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(page[0], 0x12345678);
	for (size_t i = 1; i < data.length / sizeof(*page); i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(kit_destroy(kit, id), -EBUSY);
	munmap(page, data.length);
	nestfd_mmap_put(kit->ctx, data.offset);
	assert_int_equal(kit_destroy(kit, id), 0);
	assert_int_equal(nestfd_mmap_get(kit->ctx, data.offset, data.length,
					 &fd, &fd_offset),
			 -ENXIO);
}

static void just_what_was_offered_can_be_mapped(void **state)
{
	struct kit *kit = *state;
	struct viommu_data one = { .in = 1 }, two = { .in = 2 };
	uint64_t fd_offset;
	uint32_t id;
	int fd;

	assert_int_equal(make_viommu(kit, &one, sizeof(one), &id), 0);
	assert_int_equal(make_viommu(kit, &two, sizeof(two), &id), 0);
	assert_true(one.offset + one.length <= two.offset ||
		    two.offset + two.length <= one.offset);
	for (uint64_t length = 0; length <= 4 * PAGE; length += PAGE)
		if (length != 2 * PAGE)
			assert_int_equal(nestfd_mmap_get(kit->ctx, one.offset,
							 length, &fd,
							 &fd_offset),
					 -ENXIO);
	assert_int_equal(nestfd_mmap_get(kit->ctx, one.offset + PAGE, PAGE, &fd,
					 &fd_offset),
			 -ENXIO);
	assert_int_equal(nestfd_mmap_get(kit->ctx, 1ULL << 40, 2 * PAGE, &fd,
					 &fd_offset),
			 -ENXIO);
}

static void the_data_may_be_short_but_not_too_short(void **state)
{
	struct kit *kit = *state;
	struct {
		struct viommu_data data;
		uint64_t more;
	} longer = { .data = { .in = 5 } };
	uint32_t id;

	kit_expect_faults();
	for (uint32_t len = 1; len < 8; len++)
		assert_int_equal(make_viommu(kit, &longer.data, len, &id),
				 -EINVAL);
	/* none at all: no page */
	assert_int_equal(make_viommu(kit, &longer.data, 0, &id), 0);
	assert_int_equal(longer.data.out, 0);
	assert_int_equal(make_viommu(kit, &longer.data, 8, &id), 0);
	assert_int_equal(longer.data.out, 5);
	assert_int_equal(longer.data.length, 0); /* no room for it */
	assert_int_equal(make_viommu(kit, &longer.data, 24, &id), 0);
	assert_int_equal(longer.data.length, 2 * PAGE);
	for (uint32_t len = 25; len <= 32; len++)
		assert_int_equal(make_viommu(kit, &longer.data, len, &id),
				 -EINVAL);
	assert_int_equal(make_viommu(kit, (void *)(uintptr_t)PAGE, 24, &id),
			 -EFAULT);
}

#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(queues_come_in_order_and_go_in_reverse),
		with_dev(a_queues_pages_are_pinned_and_stay_mapped),
		with_dev(a_queue_lies_where_something_is_mapped),
		with_dev(a_queue_is_physically_contiguous),
		with_dev(flags_and_types_of_queues_are_judged_first),
		with_dev(the_page_shows_what_the_client_has_sent),
		with_dev(just_what_was_offered_can_be_mapped),
		with_dev(the_data_may_be_short_but_not_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
