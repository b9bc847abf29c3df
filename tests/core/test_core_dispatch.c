// SPDX-License-Identifier: MIT
/* From ioctl to function: numbers, sizes of structs, where they may lie. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake.h"

/*
 * Every call with Linux 7.2's size and minimum size, worked out by hand from
 * the structs, and the errno that a struct of zeros (but for its size) gives.
 */
static const struct call {
	unsigned int cmd;
	uint32_t size;
	uint32_t min;
	int rc;
} calls[] = {
	{ 0x3b80, 8, 8, -ENOENT },	 /* DESTROY */
	{ 0x3b81, 12, 12, 0 },		 /* IOAS_ALLOC */
	{ 0x3b82, 24, 24, -ENOENT },	 /* IOAS_ALLOW_IOVAS */
	{ 0x3b83, 40, 40, -EINVAL },	 /* IOAS_COPY */
	{ 0x3b84, 32, 32, -ENOENT },	 /* IOAS_IOVA_RANGES */
	{ 0x3b85, 40, 40, -EINVAL },	 /* IOAS_MAP */
	{ 0x3b86, 24, 24, -ENOENT },	 /* IOAS_UNMAP */
	{ 0x3b87, 24, 24, -EBUSY },	 /* OPTION: set RLIMIT_MODE */
	{ 0x3b88, 12, 12, -ENODEV },	 /* VFIO_IOAS */
	{ 0x3b89, 48, 24, -ENOENT },	 /* HWPT_ALLOC, up to __reserved */
	{ 0x3b8a, 40, 32, -ENOENT },	 /* GET_HW_INFO, up to __reserved */
	{ 0x3b8b, 16, 16, -ENOENT },	 /* HWPT_SET_DIRTY_TRACKING */
	{ 0x3b8c, 48, 48, -ENOENT },	 /* HWPT_GET_DIRTY_BITMAP */
	{ 0x3b8d, 32, 32, -ENOENT },	 /* HWPT_INVALIDATE */
	{ 0x3b8e, 16, 16, 0 },		 /* FAULT_QUEUE_ALLOC */
	{ 0x3b8f, 40, 40, -EINVAL },	 /* IOAS_MAP_FILE */
	{ 0x3b90, 40, 24, -EOPNOTSUPP }, /* VIOMMU_ALLOC, up to out_viommu_id */
	{ 0x3b91, 24, 24, -ENOENT },	 /* VDEVICE_ALLOC */
	{ 0x3b92, 8, 8, 0 },		 /* IOAS_CHANGE_PROCESS */
	{ 0x3b93, 32, 28, -EOPNOTSUPP }, /* VEVENTQ_ALLOC, up to the fd */
	{ 0x3b94, 40, 40, -EOPNOTSUPP }, /* HW_QUEUE_ALLOC */
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static int setup(void **state)
{
	setup_world(state);
	do_ioas(*state); /* so that RLIMIT_MODE is refused */
	return 0;
}

/* A struct of @size bytes, the first four saying @says */
static int call_with(struct world *w, const struct call *call, uint32_t says,
		     const unsigned char *tail, size_t tail_len)
{
	unsigned char arg[256] = { 0 };

	memcpy(arg, &says, sizeof(says));
	if (tail)
		memcpy(arg + call->size, tail, tail_len);
	return ioctl_on(w, call->cmd, arg);
}

static void a_struct_of_zeros_gets_the_errno_of_linux(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		int rc = call_with(w, &calls[i], calls[i].size, NULL, 0);

		if (rc != calls[i].rc)
			fail_msg("%#x: %d, not %d", calls[i].cmd, rc,
				 calls[i].rc);
	}
}

static void structs_below_the_minimum_are_refused(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		for (uint32_t says = 0; says < calls[i].min; says++)
			assert_rc(call_with(w, &calls[i], says, NULL, 0),
				  -EINVAL);
	}
}

static void structs_between_minimum_and_size_count_as_zero_filled(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		for (uint32_t n = calls[i].min; n < calls[i].size; n++)
			assert_rc(call_with(w, &calls[i], n, NULL, 0),
				  calls[i].rc);
	}
}

static void bytes_past_a_short_struct_are_not_looked_at(void **state)
{
	struct world *w = world_of(state);
	struct iommu_hwpt_alloc arg;

	memset(&arg, 0xff, sizeof(arg));
	memset(&arg, 0, 24);
	arg.size = 24;
	arg.dev_id = 77;
	assert_rc(ioctl_on(w, IOMMU_HWPT_ALLOC, &arg), -ENOENT);
}

static void longer_structs_are_taken_if_their_tail_is_zero(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		for (uint32_t more = 1; more < 100; more += 7)
			assert_rc(call_with(w, &calls[i], calls[i].size + more,
					    NULL, 0),
				  calls[i].rc);
	}
}

static void each_byte_of_a_longer_struct_must_be_zero(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		for (size_t at = 0; at < 40; at++) {
			unsigned char tail[40] = { 0 };

			tail[at] = 0x80;
			assert_rc(call_with(w, &calls[i], calls[i].size + 40,
					    tail, 40),
				  -E2BIG);
		}
	}
}

static void a_tail_that_cannot_be_read_is_a_fault(void **state)
{
	struct world *w = world_of(state);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_rc(munmap(map + 4096, 4096), 0);
	for (size_t i = 0; i < CALLS; i++) {
		char *arg = map + 4096 - calls[i].size;
		uint32_t size = calls[i].size + 4;

		memset(arg, 0, calls[i].size);
		memcpy(arg, &size, sizeof(size));
		assert_rc(ioctl_on(w, calls[i].cmd, arg), -EFAULT);
	}
	munmap(map, 4096);
}

static void a_struct_in_no_memory_is_a_fault(void **state)
{
	struct world *w = world_of(state);

	for (size_t i = 0; i < CALLS; i++) {
		assert_rc(ioctl_on(w, calls[i].cmd, NULL), -EFAULT);
		assert_rc(ioctl_on(w, calls[i].cmd, (void *)UINTPTR_MAX),
			  -EFAULT);
	}
}

/* The size can be read, the rest not */
static void a_struct_that_ends_at_a_hole_is_a_fault(void **state)
{
	struct world *w = world_of(state);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_rc(munmap(map + 4096, 4096), 0);
	for (size_t i = 0; i < CALLS; i++) {
		memcpy(map + 4092, &calls[i].size, 4);
		assert_rc(ioctl_on(w, calls[i].cmd, map + 4092), -EFAULT);
	}
	munmap(map, 4096);
}

static void a_struct_may_lie_at_any_address(void **state)
{
	struct world *w = world_of(state);
	unsigned char buf[64];
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	for (size_t at = 0; at < 8; at++) {
		uint32_t id;

		memcpy(buf + at, &arg, sizeof(arg));
		assert_rc(ioctl_on(w, IOMMU_IOAS_ALLOC, buf + at), 0);
		memcpy(&id, buf + at + 8, sizeof(id));
		assert_rc(try_destroy(w, id), 0);
	}
}

/* Allocating calls undo what they did when the answer cannot be written */
static void a_reply_that_cannot_be_written_leaves_nothing(void **state)
{
	struct world *w = world_of(state);
	size_t before = core_objects(w->ctx);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t size;

	size = 12;
	memcpy(map, &size, 4);
	size = 16;
	memcpy(map + 64, &size, 4);
	assert_rc(mprotect(map, 4096, PROT_READ), 0);
	assert_rc(ioctl_on(w, IOMMU_IOAS_ALLOC, map), -EFAULT);
	assert_rc(ioctl_on(w, IOMMU_FAULT_QUEUE_ALLOC, map + 64), -EFAULT);
	assert_int_equal(core_objects(w->ctx), before);
	munmap(map, 4096);
}

static void commands_linux_does_not_know_are_no_ioctls(void **state)
{
	struct world *w = world_of(state);
	uint32_t arg[64] = { 256 };

	for (unsigned int nr = 0; nr < 256; nr++) {
		if (nr >= 0x80 && nr <= 0x94)
			continue;
		if ((nr >= 0x64 && nr <= 0x66) || (nr >= 0x70 && nr <= 0x72))
			continue; /* VFIO's: test_core_vfio.c */
		if (nr == 0xf0)
			continue; /* our own: test_core_ext.c */
		assert_rc(ioctl_on(w, 0x3b00 | nr, arg), -ENOTTY);
		/* not even looked at */
		assert_rc(ioctl_on(w, 0x3b00 | nr, NULL), -ENOTTY);
	}
}

/* Direction and size bits, and another type, make another command. */
static void each_bit_of_a_command_counts(void **state)
{
	struct world *w = world_of(state);
	uint32_t arg[64] = { 256 };

	for (size_t i = 0; i < CALLS; i++) {
		for (int bit = 8; bit < 32; bit++)
			assert_rc(ioctl_on(w, calls[i].cmd ^ (1UL << bit), arg),
				  -ENOTTY);
	}
}

static void bits_above_32_of_a_command_do_not_reach_the_kernel(void **state)
{
	struct world *w = world_of(state);
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	assert_rc(ioctl_on(w, IOMMU_IOAS_ALLOC | (1UL << 40), &arg), 0);
}

#undef CASE
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_struct_of_zeros_gets_the_errno_of_linux),
		CASE(structs_below_the_minimum_are_refused),
		CASE(structs_between_minimum_and_size_count_as_zero_filled),
		CASE(bytes_past_a_short_struct_are_not_looked_at),
		CASE(longer_structs_are_taken_if_their_tail_is_zero),
		CASE(each_byte_of_a_longer_struct_must_be_zero),
		CASE(a_tail_that_cannot_be_read_is_a_fault),
		CASE(a_struct_in_no_memory_is_a_fault),
		CASE(a_struct_that_ends_at_a_hole_is_a_fault),
		CASE(a_struct_may_lie_at_any_address),
		CASE(a_reply_that_cannot_be_written_leaves_nothing),
		CASE(commands_linux_does_not_know_are_no_ioctls),
		CASE(each_bit_of_a_command_counts),
		CASE(bits_above_32_of_a_command_do_not_reach_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
