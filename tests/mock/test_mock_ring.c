// SPDX-License-Identifier: MIT
/*
 * Queues of the mock IOMMU's invalidations, of both kinds: what they remove is
 * read from the hardware. Entries of a nested HWPT are flags and a cell, those
 * of a vIOMMU have the virtual device's id in between.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <nestfd/ext.h>

#include "kit.h"

#define VALUE	0x1234 /* of a nested HWPT's cells */
#define CACHED	0xbaddad
#define VIRT_ID 0x99

struct ring {
	struct nestfd_hwpt_invalidate_ring arg;
	uint32_t cons;
};

static void switch_on(struct kit *kit)
{
	struct nestfd_ext_enable arg = { .size = 16, .features = 3 };

	assert_int_equal(nestfd_ioctl(kit->ctx, NESTFD_EXT_ENABLE, &arg), 0);
}

static void ring_init(struct ring *ring, uint32_t id, const void *entries,
		      uint32_t len, uint32_t bits)
{
	*ring = (struct ring){
		.arg = {
			.size = sizeof(ring->arg),
			.hwpt_id = id,
			.q_uptr = (uintptr_t)entries,
			.q_cons_uptr = (uintptr_t)&ring->cons,
			.q_index_bits = bits,
			.q_entry_num = 1U << bits,
			.q_entry_len = len,
			.data_type = 0xdeadbeef,
		},
	};
}

static int consume(struct kit *kit, struct ring *ring, uint32_t prod)
{
	ring->arg.q_prod = prod;
	ring->arg.out_error = 0;
	ring->arg.out_error_info = 0;
	return nestfd_ioctl(kit->ctx, NESTFD_HWPT_INVALIDATE_RING, &ring->arg);
}

static uint32_t nested_on(struct kit *kit, uint32_t *viommu)
{
	uint32_t parent, nested, vdevice;

	switch_on(kit);
	assert_int_equal(kit_hwpt(kit, kit->ioas, 1, &parent), 0);
	if (viommu) {
		assert_int_equal(kit_viommu(kit, parent, viommu), 0);
		assert_int_equal(
			kit_vdevice(kit, *viommu, kit->dev, VIRT_ID, &vdevice),
			0);
		parent = *viommu;
	}
	assert_int_equal(kit_nested(kit, parent, VALUE, &nested), 0);
	return nested;
}

static void a_queue_of_a_nested_hwpt_wraps(void **state)
{
	struct kit *kit = *state;
	uint32_t nested = nested_on(kit, NULL);
	uint32_t entries[4][2] = { { 0, 2 }, { 0, 1 }, { 0, 0 }, { 0, 3 } };
	struct ring ring;

	ring_init(&ring, nested, entries, 8, 2);
	ring.cons = 3;
	assert_int_equal(consume(kit, &ring, 5), 0);
	assert_int_equal(ring.cons, 5);
	assert_int_equal(check_iotlb(kit, nested, 0, VALUE), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, VALUE), 0);
	assert_int_equal(check_iotlb(kit, nested, 2, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 3, 0), 0);
	assert_int_equal(consume(kit, &ring, 6), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 0, VALUE), 0);
}

static void what_precedes_a_bad_entry_is_done(void **state)
{
	struct kit *kit = *state;
	uint32_t nested = nested_on(kit, NULL);
	uint32_t entries[4][2] = { { 2, 2 }, { 0, 1 }, { 0, 0 }, { 0, 3 } };
	struct ring ring;

	ring_init(&ring, nested, entries, 8, 2);
	ring.cons = 3;
	assert_int_equal(consume(kit, &ring, 7), -EOPNOTSUPP);
	assert_int_equal(ring.cons, 4); /* slot 0, with the wrap flag */
	assert_int_equal(ring.arg.out_error, 0x80000001);
	assert_int_equal(ring.arg.out_error_info, 0);
	assert_int_equal(check_iotlb(kit, nested, 3, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, VALUE), 0);
	entries[0][0] = 0;
	entries[0][1] = 4;
	assert_int_equal(consume(kit, &ring, 7), -EINVAL);
	assert_int_equal(ring.cons, 4);
	assert_int_equal(ring.arg.out_error, 0x80000001);
	entries[0][1] = 2;
	assert_int_equal(consume(kit, &ring, 7), 0);
	assert_int_equal(ring.cons, 7);
	assert_int_equal(ring.arg.out_error, 0);
	assert_int_equal(check_iotlb(kit, nested, 0, 0), 0);
}

/* Over several of the hardware's lists, over the end of the queue, twice */
static void long_queues_of_a_viommu_go_round(void **state)
{
	static uint32_t entries[1024][3];
	struct kit *kit = *state;
	struct ring ring;
	uint32_t viommu;

	nested_on(kit, &viommu);
	for (int i = 0; i < 1024; i++) {
		entries[i][0] = 0;
		entries[i][1] = VIRT_ID;
		entries[i][2] = 1;
	}
	entries[499][2] = 0; /* the last one of the first round */
	ring_init(&ring, viommu, entries, 12, 10);
	ring.cons = 500;
	assert_int_equal(consume(kit, &ring, 1024 + 499), 0);
	assert_int_equal(ring.cons, 1024 + 499);
	assert_int_equal(check_cache(kit, kit->dev, 0, CACHED), 0);
	assert_int_equal(check_cache(kit, kit->dev, 1, 0), 0);
	assert_int_equal(consume(kit, &ring, 1024 + 500), 0);
	assert_int_equal(check_cache(kit, kit->dev, 0, 0), 0);
	assert_int_equal(check_cache(kit, kit->dev, 2, CACHED), 0);
	/* an unknown device far behind */
	entries[400][1] = 7;
	assert_int_equal(consume(kit, &ring, 450), -EINVAL);
	assert_int_equal(ring.cons, 400);
}

/* An array would be looked at as a whole first; a queue is consumed. */
static void a_viommus_queue_is_consumed_up_to_missing_memory(void **state)
{
	struct kit *kit = *state;
	uint32_t(*entries)[3];
	struct ring ring;
	uint32_t viommu;
	uint32_t n = 512;
	char *mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	nested_on(kit, &viommu);
	kit_expect_faults();
	entries = (uint32_t(*)[3])mem;
	for (int i = 0; i < 1024; i++)
		entries[i][1] = VIRT_ID;
	mprotect(mem + PAGE, PAGE, PROT_NONE); /* entries 341 to 682 */
	assert_int_equal(kit_invalidate(kit, viommu, entries, 12, &n), -EFAULT);
	assert_int_equal(n, 0);
	assert_int_equal(check_cache(kit, kit->dev, 0, CACHED), 0);
	ring_init(&ring, viommu, entries, 12, 10);
	assert_int_equal(consume(kit, &ring, 512), -EFAULT);
	assert_int_equal(ring.cons, 341);
	assert_int_equal(check_cache(kit, kit->dev, 0, 0), 0);
	munmap(mem, 3 * PAGE);
}

static void both_are_probed_by_nothing_pending(void **state)
{
	struct kit *kit = *state;
	uint32_t viommu;
	uint32_t nested = nested_on(kit, &viommu);
	struct ring ring;

	for (int i = 0; i < 2; i++) {
		ring_init(&ring, i ? viommu : nested, NULL, 0, 4);
		ring.cons = 0x1f;
		assert_int_equal(consume(kit, &ring, 0x1f), 0);
		ring.arg.data_type = 2;
		assert_int_equal(consume(kit, &ring, 0x1f), -EINVAL);
	}
}

int main(void)
{
#define DEV_CASE(f) \
	cmocka_unit_test_setup_teardown(f, kit_setup_dev, kit_teardown)
	const struct CMUnitTest tests[] = {
		DEV_CASE(a_queue_of_a_nested_hwpt_wraps),
		DEV_CASE(what_precedes_a_bad_entry_is_done),
		DEV_CASE(long_queues_of_a_viommu_go_round),
		DEV_CASE(a_viommus_queue_is_consumed_up_to_missing_memory),
		DEV_CASE(both_are_probed_by_nothing_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
