// SPDX-License-Identifier: MIT
/* Accesses by IOMMU_TEST_CMD: pinning and copying, with each of their flags. */
#include "kit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	OP_ACCESS_CREATE = 5,
	OP_ACCESS_UNPIN,
	OP_ACCESS_PAGES,
	OP_ACCESS_RW,
	OP_ACCESS_REPLACE = 11,
};

#define WRITE	   0x1u
#define SLOW	   0x4u
#define NTH	   0x10000u /* MOCK_FLAGS_ACCESS_SYZ */
#define LENGTH_MAX (16ULL << 20)

/* What NTH makes of an IOVA: two 32-bit numbers */
static uint64_t nth(uint32_t area, uint32_t offset)
{
	return area | (uint64_t)offset << 32;
}

static void an_access_pins_until_it_unpins(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;
	uint32_t item, other;
	uint32_t fd = 0;

	assert_int_equal(kit_map(kit, APERTURE, p, 4 * PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(
		kit_pin(kit, fd, 1, APERTURE + PAGE, 2 * PAGE, p + PAGE, &item),
		0);
	assert_int_equal(check_refs(kit, p + PAGE, 2 * PAGE, 1), 0);
	assert_int_equal(check_refs(kit, p, PAGE, 0), 0);
	assert_int_equal(kit_pin(kit, fd, 1, APERTURE, PAGE, p + PAGE, &other),
			 -EBADE);
	assert_int_equal(check_refs(kit, p, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, item + 1, 0),
			 -ENOENT);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, item, 0), 0);
	assert_int_equal(check_refs(kit, p, 4 * PAGE, 0), 0);
	close((int)fd);
}

static void closing_the_fd_ends_the_access(void **state)
{
	struct kit *kit = *state;
	uint32_t item;
	uint32_t fd = 0;
	int copy;

	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 1, APERTURE, PAGE, kit->pages, &item),
			 0);
	copy = dup((int)fd);
	close((int)fd);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 1), 0);
	/* a copy of the fd is as good */
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, (uint32_t)copy, 77, 0),
			 -ENOENT);
	close(copy);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, (uint32_t)copy, item, 0),
			 -EBADFD);
	assert_int_equal(kit_unmap(kit, APERTURE, PAGE), 0);
	assert_int_equal(kit_destroy(kit, kit->ioas), 0);
}

static void unmapping_takes_the_pins_away(void **state)
{
	struct kit *kit = *state;
	uint32_t item;
	uint32_t fd = 0;

	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 1, APERTURE, PAGE, kit->pages, &item),
			 0);
	assert_int_equal(kit_unmap(kit, APERTURE, PAGE), 0);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, item, 0), -ENOENT);
	close((int)fd);
}

static void an_access_reads_and_writes(void **state)
{
	struct kit *kit = *state;
	char buf[16] = "fifteen letters";
	struct cmd cmd = { .op = OP_ACCESS_RW,
			   .d = { APERTURE + 5, 16, (uintptr_t)buf } };
	uint32_t item;
	uint32_t fd = 0;

	kit_expect_faults();
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	cmd.id = fd;
	cmd.w[6] = 1;
	assert_int_equal(test_cmd(kit, &cmd), 0);
	assert_memory_equal(kit->pages + 5, buf, 16);
	memset(buf, 0, sizeof(buf));
	cmd.w[6] = 0;
	assert_int_equal(test_cmd(kit, &cmd), 0);
	assert_string_equal(buf, "fifteen letters");
	cmd.d[2] = PAGE;
	assert_int_equal(test_cmd(kit, &cmd), -EFAULT);
	cmd.d[0] = APERTURE + PAGE;
	cmd.d[2] = (uintptr_t)buf;
	assert_int_equal(test_cmd(kit, &cmd), -ENOENT);
	for (unsigned int bit = 0; bit < 32; bit++) {
		if (bit == 0 || bit == 2 || bit == 16)
			continue;
		cmd.w[6] = 1u << bit;
		assert_int_equal(test_cmd(kit, &cmd), -EOPNOTSUPP);
	}
	/* it was not made to pin */
	assert_int_equal(kit_pin(kit, fd, 1, APERTURE, PAGE, NULL, &item),
			 -EOPNOTSUPP);
	close((int)fd);
}

static void only_fds_of_accesses_are_accesses(void **state)
{
	struct kit *kit = *state;
	uint32_t fd = (uint32_t)dup(1);

	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, 0, 0), -EBADFD);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, UINT32_MAX, 0, 0),
			 -EBADFD);
	assert_int_equal(test_op(kit, OP_ACCESS_REPLACE, fd, kit->ioas, 0),
			 -EBADFD);
	close((int)fd);
	assert_int_equal(kit_access(kit, 2, &fd), -EOPNOTSUPP);
	kit->ioas = 999;
	assert_int_equal(kit_access(kit, 0, &fd), -ENOENT);
}

static void an_access_open_at_the_end_holds_nothing_up(void **state)
{
	struct kit *kit = *state;
	uint32_t item;
	uint32_t fd = 0;

	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 1, APERTURE, PAGE, kit->pages, &item),
			 0);
	nestfd_close(kit->ctx);
	assert_int_equal(nestfd_open(kit->machine, &kit->ctx), 0);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, item, 0), -EBADFD);
	close((int)fd);
}

/* ---- flags and bounds ---- */

static int map_flags(struct kit *kit, uint32_t flags, uint64_t iova,
		     const void *at, uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.ioas_id = kit->ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	return nestfd_ioctl(kit->ctx, IOMMU_IOAS_MAP, &arg);
}

static void flags_are_judged_before_the_fd(void **state)
{
	struct kit *kit = *state;
	uint32_t item;
	char byte;

	for (unsigned int bit = 0; bit < 32; bit++) {
		uint32_t flag = 1u << bit;

		assert_int_equal(kit_pin(kit, UINT32_MAX, flag, APERTURE, PAGE,
					 NULL, &item),
				 flag & (WRITE | NTH) ? -EBADFD : -EOPNOTSUPP);
		assert_int_equal(
			kit_rw(kit, UINT32_MAX, flag, APERTURE, &byte, 1),
			flag & (WRITE | SLOW | NTH) ? -EBADFD : -EOPNOTSUPP);
	}
}

static void too_long_comes_before_everything(void **state)
{
	struct kit *kit = *state;
	uint32_t item;

	for (unsigned int bit = 0; bit < 2; bit++) {
		uint64_t length = LENGTH_MAX + bit;
		int rc = bit ? -ENOMEM : -EOPNOTSUPP;

		assert_int_equal(kit_pin(kit, UINT32_MAX, 2, APERTURE, length,
					 NULL, &item),
				 rc);
		assert_int_equal(
			kit_rw(kit, UINT32_MAX, 2, APERTURE, NULL, length), rc);
	}
}

static void unknown_flags_of_a_new_access_are_refused(void **state)
{
	struct kit *kit = *state;
	uint32_t fd;

	for (unsigned int bit = 0; bit < 32; bit++) {
		int rc = kit_access(kit, 1u << bit, &fd);

		assert_int_equal(rc, bit ? -EOPNOTSUPP : 0);
		if (!rc)
			close((int)fd);
	}
}

static void a_range_must_be_one(void **state)
{
	struct kit *kit = *state;
	uint32_t item, fd;
	char byte;

	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 2 * PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, 0, NULL, &item),
			 -EINVAL);
	assert_int_equal(kit_rw(kit, fd, 0, APERTURE, &byte, 0), -EINVAL);
	assert_int_equal(kit_pin(kit, fd, 0, UINT64_MAX, 2, NULL, &item),
			 -EOVERFLOW);
	assert_int_equal(kit_rw(kit, fd, 0, UINT64_MAX, &byte, 2), -EOVERFLOW);
	/* not from the middle of a page, and over no hole */
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE + 1, 1, NULL, &item),
			 -EINVAL);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, 3 * PAGE, NULL, &item),
			 -ENOENT);
	assert_int_equal(check_refs(kit, kit->pages, 2 * PAGE, 0), 0);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, 1, NULL, &item), 0);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 1), 0);
	close((int)fd);
}

static void a_mapping_permits_what_it_permits(void **state)
{
	struct kit *kit = *state;
	uint32_t item, fd;
	char byte = 0;

	assert_int_equal(map_flags(kit, IOMMU_IOAS_MAP_READABLE, APERTURE,
				   kit->pages, PAGE),
			 0);
	assert_int_equal(map_flags(kit, IOMMU_IOAS_MAP_WRITEABLE, 2 * APERTURE,
				   kit->pages, PAGE),
			 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	for (uint32_t slow = 0; slow <= SLOW; slow += SLOW) {
		assert_int_equal(kit_rw(kit, fd, slow, APERTURE, &byte, 1), 0);
		assert_int_equal(
			kit_rw(kit, fd, slow | WRITE, APERTURE, &byte, 1),
			-EPERM);
		assert_int_equal(kit_rw(kit, fd, slow, 2 * APERTURE, &byte, 1),
				 -EPERM);
		assert_int_equal(
			kit_rw(kit, fd, slow | WRITE, 2 * APERTURE, &byte, 1),
			0);
	}
	assert_int_equal(kit_pin(kit, fd, WRITE, APERTURE, 1, NULL, &item),
			 -EPERM);
	assert_int_equal(kit_pin(kit, fd, 0, 2 * APERTURE, 1, NULL, &item),
			 -EPERM);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, 1, NULL, &item), 0);
	assert_int_equal(kit_pin(kit, fd, WRITE, 2 * APERTURE, 1, NULL, &item),
			 0);
	close((int)fd);
}

static void what_is_compared_must_be_there(void **state)
{
	struct kit *kit = *state;
	uint32_t item, fd;

	kit_expect_faults();
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, PAGE,
				 (void *)(uintptr_t)PAGE, &item),
			 -EFAULT);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 0), 0);
	close((int)fd);
}

static void memory_at_address_0_is_none(void **state)
{
	struct kit *kit = *state;
	uint32_t item, fd;
	char byte;

	kit_expect_faults();
	assert_int_equal(kit_map(kit, APERTURE, NULL, PAGE), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_rw(kit, fd, 0, APERTURE, &byte, 1), -EFAULT);
	assert_int_equal(kit_rw(kit, fd, WRITE, APERTURE, &byte, 1), -EFAULT);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, PAGE, NULL, &item),
			 -EFAULT);
	close((int)fd);
}

/* ---- IOVAs by area and offset ---- */

/* Three areas, not mapped in their order, and what lies in them */
static void map_three(struct kit *kit)
{
	for (int i = 0; i < 3; i++)
		kit->pages[i * 2 * PAGE + 5] = (char)('a' + i);
	assert_int_equal(
		kit_map(kit, 3 * APERTURE, kit->pages + 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(kit_map(kit, APERTURE, kit->pages, 2 * PAGE), 0);
	assert_int_equal(
		kit_map(kit, 2 * APERTURE, kit->pages + 2 * PAGE, 2 * PAGE), 0);
}

static void the_nth_area_counts_from_the_lowest_iova(void **state)
{
	struct kit *kit = *state;
	uint32_t fd;

	map_three(kit);
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	for (uint32_t i = 0; i < 3; i++) {
		char byte = 0;

		assert_int_equal(kit_rw(kit, fd, NTH, nth(i, 5), &byte, 1), 0);
		assert_int_equal(byte, 'a' + i);
		byte = (char)('A' + i);
		assert_int_equal(kit_rw(kit, fd, NTH | SLOW | WRITE, nth(i, 5),
					&byte, 1),
				 0);
		assert_int_equal(kit->pages[i * 2 * PAGE + 5], 'A' + i);
	}
	close((int)fd);
}

static void the_offset_may_lead_out_of_the_area(void **state)
{
	struct kit *kit = *state;
	uint32_t fd;
	char byte = 0;

	map_three(kit);
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	assert_int_equal(kit_rw(kit, fd, NTH, nth(0, 2 * PAGE), &byte, 1),
			 -ENOENT);
	assert_int_equal(kit_rw(kit, fd, NTH, nth(1, APERTURE + 5), &byte, 1),
			 0);
	assert_int_equal(byte, 'c');
	assert_int_equal(kit_rw(kit, fd, NTH, nth(1, UINT32_MAX), &byte, 1),
			 -ENOENT);
	close((int)fd);
}

static void an_area_that_is_not_there_is_iova_0(void **state)
{
	struct kit *kit = *state;
	uint32_t fd;
	char byte = 0;

	map_three(kit);
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	assert_int_equal(kit_rw(kit, fd, NTH, nth(3, 5), &byte, 1), -ENOENT);
	kit->pages[6 * PAGE] = '0';
	assert_int_equal(kit_map(kit, 0, kit->pages + 6 * PAGE, PAGE), 0);
	assert_int_equal(kit_rw(kit, fd, NTH, nth(4, 5), &byte, 1), 0);
	assert_int_equal(byte, '0'); /* without the offset */
	assert_int_equal(kit_rw(kit, fd, NTH, nth(UINT32_MAX, 5), &byte, 1), 0);
	close((int)fd);
}

static void pages_of_the_nth_area_are_pinned(void **state)
{
	struct kit *kit = *state;
	char *p = kit->pages;
	struct cmd cmd = { .op = OP_ACCESS_PAGES,
			   .d = { NTH | WRITE, nth(1, PAGE), PAGE,
				  (uintptr_t)p + 3 * PAGE } };
	uint32_t item, fd;

	map_three(kit);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	cmd.id = fd;
	assert_int_equal(test_cmd(kit, &cmd), 0);
	assert_int_equal(check_refs(kit, p + 3 * PAGE, PAGE, 1), 0);
	assert_int_equal(check_refs(kit, p, 3 * PAGE, 0), 0);
	/* the answer shows what was asked */
	assert_true(cmd.d[1] == nth(1, PAGE));
	assert_int_equal(cmd.w[0], NTH | WRITE);
	/* it is known by where it is */
	assert_int_equal(kit_unmap(kit, 2 * APERTURE, 2 * PAGE), 0);
	assert_int_equal(check_refs(kit, p + 3 * PAGE, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, cmd.w[1], 0),
			 -ENOENT);
	assert_int_equal(kit_pin(kit, fd, NTH, nth(1, 0), PAGE, p, &item),
			 -EBADE);
	assert_int_equal(kit_pin(kit, fd, NTH, nth(9, 0), PAGE, p, &item),
			 -ENOENT);
	close((int)fd);
}

static int copy(struct kit *kit, struct iommu_ioas_copy *arg)
{
	arg->size = sizeof(*arg);
	arg->src_ioas_id = kit->ioas;
	return nestfd_ioctl(kit->ctx, IOMMU_IOAS_COPY, arg);
}

static void ioas_copy_takes_the_nth_area_too(void **state)
{
	struct kit *kit = *state;
	struct iommu_ioas_copy arg = {
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA |
			 NTH,
		.length = PAGE,
		.dst_iova = 5 * APERTURE,
		.src_iova = nth(2, PAGE),
	};
	char byte = 0;
	uint32_t fd;

	map_three(kit);
	assert_int_equal(kit_ioas(kit, &arg.dst_ioas_id), 0);
	kit->pages[5 * PAGE] = 'x';
	assert_int_equal(copy(kit, &arg), 0);
	/* Linux converts in place, and answers with all of it. */
	assert_int_equal(arg.flags,
			 IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA);
	assert_true(arg.src_iova == 3 * APERTURE + PAGE);
	kit->ioas = arg.dst_ioas_id;
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	assert_int_equal(kit_rw(kit, fd, 0, 5 * APERTURE, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	close((int)fd);
}

static void ioas_copy_knows_no_other_flag(void **state)
{
	struct kit *kit = *state;
	struct iommu_ioas_copy arg = { .length = PAGE };

	map_three(kit);
	assert_int_equal(kit_ioas(kit, &arg.dst_ioas_id), 0);
	for (unsigned int bit = 3; bit < 32; bit++) {
		arg.flags = IOMMU_IOAS_MAP_READABLE | 1u << bit;
		arg.src_iova = nth(0, 0);
		arg.dst_iova = 0;
		assert_int_equal(copy(kit, &arg),
				 1u << bit == NTH ? 0 : -EOPNOTSUPP);
	}
	arg.flags = IOMMU_IOAS_MAP_READABLE | NTH;
	arg.src_iova = nth(7, 0);
	assert_int_equal(copy(kit, &arg), -ENOENT);
	kit->ioas = 999;
	arg.src_iova = nth(0, 0);
	assert_int_equal(copy(kit, &arg), -ENOENT);
}

static void an_smmuv3_knows_no_nth_area(void **state)
{
	struct kit *kit = *state;
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
	};
	struct iommu_ioas_copy arg = {
		.flags = IOMMU_IOAS_MAP_READABLE | NTH,
		.length = PAGE,
	};
	struct nestfd_machine *machine;
	struct kit other = { 0 };

	assert_int_equal(nestfd_machine_create(&config, &machine), 0);
	assert_int_equal(nestfd_open(machine, &other.ctx), 0);
	assert_int_equal(kit_ioas(&other, &other.ioas), 0);
	assert_int_equal(kit_map(&other, APERTURE, kit->pages, PAGE), 0);
	arg.dst_ioas_id = other.ioas;
	assert_int_equal(copy(&other, &arg), -EOPNOTSUPP);
	nestfd_machine_destroy(machine);
}

/* ---- another IOAS ---- */

static void replacing_lets_go_of_what_was_pinned(void **state)
{
	struct kit *kit = *state;
	uint32_t item, fd, other;
	char byte = 0;

	assert_int_equal(kit_map(kit, APERTURE, kit->pages, PAGE), 0);
	assert_int_equal(kit_ioas(kit, &other), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_pin(kit, fd, 0, APERTURE, PAGE, NULL, &item), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_REPLACE, fd, 999, 0), -ENOENT);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 1), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_REPLACE, fd, kit->ioas, 0), 0);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 1), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_REPLACE, fd, other, 0), 0);
	assert_int_equal(check_refs(kit, kit->pages, PAGE, 0), 0);
	assert_int_equal(test_op(kit, OP_ACCESS_UNPIN, fd, item, 0), -ENOENT);
	assert_int_equal(kit_rw(kit, fd, 0, APERTURE, &byte, 1), -ENOENT);
	assert_int_equal(kit_destroy(kit, other), -EBUSY);
	assert_int_equal(kit_destroy(kit, kit->ioas), 0);
	close((int)fd);
	assert_int_equal(kit_destroy(kit, other), 0);
}

static void an_access_that_pins_wants_pages_aligned(void **state)
{
	struct kit *kit = *state;
	uint32_t fd;

	assert_int_equal(kit_map(kit, APERTURE + 1, kit->pages + 1, 100), 0);
	assert_int_equal(kit_access(kit, 1, &fd), -EADDRINUSE);
	assert_int_equal(kit_access(kit, 0, &fd), 0);
	close((int)fd);
	assert_int_equal(kit_unmap(kit, APERTURE + 1, 100), 0);
	assert_int_equal(kit_access(kit, 1, &fd), 0);
	assert_int_equal(kit_map(kit, APERTURE + 1, kit->pages + 1, 100),
			 -EINVAL);
	close((int)fd);
}

#define plain(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plain(an_access_pins_until_it_unpins),
		plain(closing_the_fd_ends_the_access),
		plain(unmapping_takes_the_pins_away),
		plain(an_access_reads_and_writes),
		plain(only_fds_of_accesses_are_accesses),
		plain(an_access_open_at_the_end_holds_nothing_up),
		plain(flags_are_judged_before_the_fd),
		plain(too_long_comes_before_everything),
		plain(unknown_flags_of_a_new_access_are_refused),
		plain(a_range_must_be_one),
		plain(a_mapping_permits_what_it_permits),
		plain(what_is_compared_must_be_there),
		plain(memory_at_address_0_is_none),
		plain(the_nth_area_counts_from_the_lowest_iova),
		plain(the_offset_may_lead_out_of_the_area),
		plain(an_area_that_is_not_there_is_iova_0),
		plain(pages_of_the_nth_area_are_pinned),
		plain(ioas_copy_takes_the_nth_area_too),
		plain(ioas_copy_knows_no_other_flag),
		plain(an_smmuv3_knows_no_nth_area),
		plain(replacing_lets_go_of_what_was_pinned),
		plain(an_access_that_pins_wants_pages_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
