// SPDX-License-Identifier: MIT
/*
 * What IOMMU_TEST_CMD refuses, operation by operation, and with what: the
 * errnos of Linux 7.2. Accesses, dirty tracking, dma-bufs, page requests and
 * PASIDs have files of their own.
 */
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEST_CMD 0x3ba0
#define OP_LIMIT 9

enum kind {
	NO_ID,
	MAX_ID,
	IOAS,
	DEVICE,
	OBJECT,
	HWPT,
	NESTED,
	VIOMMU,
	KINDS,
};

static void make_one_of_each(struct kit *kit, uint32_t ids[KINDS])
{
	struct kit_nest nest;

	kit_nest(kit, &nest);
	ids[NO_ID] = 0;
	ids[MAX_ID] = UINT32_MAX;
	ids[IOAS] = kit->ioas;
	ids[DEVICE] = kit->dev;
	ids[OBJECT] = kit->object;
	ids[HWPT] = nest.parent;
	ids[NESTED] = nest.nested;
	ids[VIOMMU] = nest.viommu;
}

/* Operations whose id stands in the struct's head; the rest lets them pass */
static const struct {
	struct cmd cmd;
	enum kind takes;
	int otherwise; /* for the wrong kind; -ENOENT for no such id */
} by_id[] = {
	{ { .op = 1, .d = { 1ULL << 60, PAGE } }, IOAS, -ENOENT },
	{ { .op = 3 }, HWPT, -ENOENT },
	{ { .op = 5, .w = { 0, 0 } }, IOAS, -ENOENT },
	{ { .op = 14, .w = { 0, 0 } }, NESTED, -ENOENT },
	{ { .op = 16, .w = { 0, 0xbaddad } }, DEVICE, -ENOENT },
	{ { .op = 20, .w = { 5 } }, OBJECT, -ENOENT },
	{ { .op = 21, .w = { 5, 0 } }, OBJECT, -ENOENT },
};

static void an_id_must_be_of_the_right_kind(void **state)
{
	struct kit *kit = *state;
	uint32_t ids[KINDS];

	make_one_of_each(kit, ids);
	for (size_t i = 0; i < sizeof(by_id) / sizeof(by_id[0]); i++) {
		for (int kind = NO_ID; kind < KINDS; kind++) {
			struct cmd cmd = by_id[i].cmd;
			int rc;

			cmd.id = ids[kind];
			rc = test_cmd(kit, &cmd);
			if (kind == (int)by_id[i].takes)
				assert_int_equal(rc, 0);
			else
				assert_int_equal(rc, by_id[i].otherwise);
			if (!rc && cmd.op == 5)
				close((int)cmd.w[0]);
		}
	}
}

static void devices_are_put_on_page_tables_only(void **state)
{
	struct kit *kit = *state;
	uint32_t ids[KINDS];

	make_one_of_each(kit, ids);
	for (int kind = NO_ID; kind < KINDS; kind++) {
		uint32_t object, hwpt, dev;
		int want = kind <= MAX_ID		     ? -ENOENT
			   : kind == IOAS || kind == HWPT    ? 0
			   : kind == NESTED /* no vDEVICE */ ? -ENOENT
							     : -EINVAL;

		assert_int_equal(
			test_device(kit, ids[kind], 0, &object, &hwpt, &dev),
			want);
		assert_int_equal(test_op(kit, 10, kit->object, ids[kind], 0),
				 want);
		/* the object is what has an id; that of the device has not */
		assert_int_equal(test_op(kit, 10, ids[kind], kit->ioas, 0),
				 kind == OBJECT ? 0 : -ENOENT);
	}
}

static void events_come_from_devices_only(void **state)
{
	struct kit *kit = *state;
	uint32_t ids[KINDS];

	make_one_of_each(kit, ids);
	for (int kind = NO_ID; kind < KINDS; kind++) {
		int want = kind == DEVICE ? 0 : -ENOENT;

		assert_int_equal(test_op(kit, 15, 0, ids[kind], 0), want);
		/* under no vIOMMU */
		assert_int_equal(test_op(kit, 17, 0, ids[kind], 0), -ENOENT);
	}
}

static void cells_beyond_the_fourth_are_not_there(void **state)
{
	struct kit *kit = *state;
	struct kit_nest nest;

	kit_nest(kit, &nest);
	for (unsigned int bit = 0; bit < 32; bit++) {
		int rc = bit < 2 ? 0 : -EINVAL;

		assert_int_equal(check_iotlb(kit, nest.nested, 1u << bit, 0),
				 rc);
		assert_int_equal(
			check_cache(kit, kit->dev, 1u << bit, 0xbaddad), rc);
		/* each bit of the value counts */
		assert_int_equal(check_iotlb(kit, nest.nested, 0, 1u << bit),
				 -EINVAL);
		assert_int_equal(
			check_cache(kit, kit->dev, 0, 0xbaddad ^ 1u << bit),
			-EINVAL);
	}
}

static void the_reserved_word_is_not_looked_at(void **state)
{
	struct kit *kit = *state;
	struct cmd cmd = { .op = OP_LIMIT,
			   .id = 0xffffffff,
			   .reserved = 0xffffffff,
			   .w = { 4096 },
			   .last = 0xffffffff };

	assert_int_equal(test_cmd(kit, &cmd), 0);
}

static void operations_are_1_to_23(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(test_op(kit, 0, 0, 0, 0), -EOPNOTSUPP);
	for (uint32_t op = 24; op < 64; op++)
		assert_int_equal(test_op(kit, op, 0, 0, 0), -EOPNOTSUPP);
	for (unsigned int bit = 5; bit < 32; bit++)
		assert_int_equal(test_op(kit, 1u << bit | OP_LIMIT, 0, 4096, 0),
				 -EOPNOTSUPP);
}

/* From 68 bytes on, the end of the last member; what is behind 72 is zero. */
static void sizes_below_68_are_too_short(void **state)
{
	struct kit *kit = *state;
	static const uint32_t large[] = { 73, 80, 96, 97, 4096 };
	char *buf = kit->pages;
	struct cmd cmd = { .op = OP_LIMIT, .w = { 4096 } };

	memset(buf, 0, 2 * PAGE);
	for (uint32_t size = 0; size <= 72; size++) {
		cmd.size = size;
		memcpy(buf, &cmd, sizeof(cmd));
		assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, buf),
				 size < 68 ? -EINVAL : 0);
	}
	for (int i = 0; i < 5; i++) {
		cmd.size = large[i];
		memcpy(buf, &cmd, sizeof(cmd));
		assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, buf), 0);
		buf[large[i] - 1] = 1;
		assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, buf), -E2BIG);
		buf[large[i] - 1] = 0;
	}
}

static void a_struct_must_be_readable_to_its_end(void **state)
{
	struct kit *kit = *state;
	char *end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cmd cmd = { .op = OP_LIMIT, .w = { 4096 } };

	assert_ptr_not_equal(end, MAP_FAILED);
	kit_expect_faults();
	end += PAGE;
	mprotect(end, PAGE, PROT_NONE);
	for (size_t there = 4; there <= 72; there += 4) {
		cmd.size = 72;
		memcpy(end - there, &cmd, there);
		assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, end - there),
				 there < 72 ? -EFAULT : 0);
	}
	cmd.size = UINT32_MAX;
	memcpy(end - 72, &cmd, 72);
	assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, end - 72), -EFAULT);
	cmd.size = 4; /* too short, and nothing else is there */
	memcpy(end - 4, &cmd, 4);
	assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, end - 4), -EINVAL);
	assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, end - 2), -EFAULT);
	munmap(end - PAGE, 2 * PAGE);
}

/* What cannot be answered has not happened. */
static void an_answer_that_cannot_be_written_undoes_it(void **state)
{
	struct kit *kit = *state;
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cmd domain = { .size = 72, .op = 2, .id = kit->ioas };
	struct cmd access = { .size = 72, .op = 5, .id = kit->ioas };
	uint32_t id, next;

	assert_ptr_not_equal(page, MAP_FAILED);
	kit_expect_faults();
	assert_int_equal(kit_ioas(kit, &id), 0);
	assert_int_equal(kit_destroy(kit, id), 0);
	memcpy(page, &domain, sizeof(domain));
	mprotect(page, PAGE, PROT_READ);
	assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, page), -EFAULT);
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	memcpy(page, &access, sizeof(access));
	mprotect(page, PAGE, PROT_READ);
	assert_int_equal(nestfd_ioctl(kit->ctx, TEST_CMD, page), -EFAULT);
	assert_int_equal(kit_ioas(kit, &next), 0);
	assert_int_equal(next, id);
	munmap(page, PAGE);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static uint32_t next_id(struct kit *kit)
{
	uint32_t id;

	assert_int_equal(kit_ioas(kit, &id), 0);
	assert_int_equal(kit_destroy(kit, id), 0);
	return id;
}

static void call_read_only(struct kit *kit, unsigned long cmd, const void *arg)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int fds = count_fds();
	uint32_t id = next_id(kit);

	assert_ptr_not_equal(page, MAP_FAILED);
	memcpy(page, arg, *(const uint32_t *)arg);
	mprotect(page, PAGE, PROT_READ);
	assert_int_equal(nestfd_ioctl(kit->ctx, cmd, page), -EFAULT);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(next_id(kit), id);
	/* and nothing stands in the way of the next */
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(nestfd_ioctl(kit->ctx, cmd, page), 0);
	munmap(page, PAGE);
}

static void no_object_is_made_that_cannot_be_told(void **state)
{
	struct kit *kit = *state;
	struct kit_nest nest;
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_fault_alloc faults = { .size = sizeof(faults) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt),
					 .dev_id = kit->dev,
					 .pt_id = kit->ioas };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu),
					     .type = 0xdeadbeef,
					     .dev_id = kit->dev };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice),
					       .dev_id = kit->dev,
					       .virt_id = 7 };
	struct iommu_veventq_alloc events = { .size = sizeof(events),
					      .type = 0xbeefbeef,
					      .veventq_depth = 1 };
	struct iommu_hw_queue_alloc queue = { .size = sizeof(queue),
					      .type = 0xdeadbeef,
					      .nesting_parent_iova = APERTURE,
					      .length = PAGE };
	const struct {
		unsigned long cmd;
		const void *arg;
	} calls[] = {
		{ IOMMU_IOAS_ALLOC, &ioas },
		{ IOMMU_FAULT_QUEUE_ALLOC, &faults },
		{ IOMMU_HWPT_ALLOC, &hwpt },
		{ IOMMU_VIOMMU_ALLOC, &viommu },
		{ IOMMU_VDEVICE_ALLOC, &vdevice },
		{ IOMMU_VEVENTQ_ALLOC, &events },
		{ IOMMU_HW_QUEUE_ALLOC, &queue },
	};

	kit_expect_faults();
	kit_nest(kit, &nest);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	viommu.hwpt_id = nest.parent;
	vdevice.viommu_id = nest.viommu;
	events.viommu_id = nest.viommu;
	queue.viommu_id = nest.viommu;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		call_read_only(kit, calls[i].cmd, calls[i].arg);
}

static void device_flags_belong_to_one_operation(void **state)
{
	struct kit *kit = *state;
	struct cmd cmd = { .op = 2, .id = kit->ioas, .w = { 0, 0, 0, 2 } };

	assert_int_equal(test_cmd(kit, &cmd), 0);
	cmd = (struct cmd){ .op = 12, .id = kit->ioas, .w = { 0, 0, 0, 2 } };
	assert_int_equal(test_cmd(kit, &cmd), -EINVAL);
}

static void refs_are_counted_page_by_page(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;

	kit_expect_faults();
	assert_int_equal(check_refs(kit, p, 0, 5), 0); /* of nothing */
	assert_int_equal(check_refs(kit, (void *)(uintptr_t)PAGE, PAGE, 0),
			 -EFAULT);
	assert_int_equal(check_refs(kit, (void *)-PAGE, PAGE, 0), -EINVAL);
	assert_int_equal(kit_map(kit, APERTURE, p, PAGE), 0);
	assert_int_equal(kit_map(kit, 2 * APERTURE, p, 2 * PAGE), 0);
	assert_int_equal(check_refs(kit, p, PAGE, 2), 0);
	assert_int_equal(check_refs(kit, p + PAGE, PAGE, 1), 0);
	assert_int_equal(check_refs(kit, p, 2 * PAGE, 2), -EIO);
	/* what comes first decides */
	assert_int_equal(check_refs(kit, p, 2 * PAGE, 1), -EIO);
}

static void check_map_judges_the_range_behind_the_id(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(check_map(kit, 999, APERTURE, 1, kit->pages), -ENOENT);
	assert_int_equal(check_map(kit, kit->hwpt, APERTURE, 0, kit->pages), 0);
	assert_int_equal(
		check_map(kit, kit->hwpt, APERTURE, PAGE, (void *)-PAGE),
		-EINVAL);
}

#define plain(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dev(an_id_must_be_of_the_right_kind),
		with_dev(devices_are_put_on_page_tables_only),
		with_dev(events_come_from_devices_only),
		with_dev(cells_beyond_the_fourth_are_not_there),
		plain(the_reserved_word_is_not_looked_at),
		plain(operations_are_1_to_23),
		plain(sizes_below_68_are_too_short),
		plain(a_struct_must_be_readable_to_its_end),
		plain(an_answer_that_cannot_be_written_undoes_it),
		with_dev(no_object_is_made_that_cannot_be_told),
		plain(device_flags_belong_to_one_operation),
		with_dev(refs_are_counted_page_by_page),
		with_dev(check_map_judges_the_range_behind_the_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
