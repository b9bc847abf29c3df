// SPDX-License-Identifier: MIT
/*
 * Invalidations as the mock IOMMU gets them: command lists in memory, and the
 * long arrays that become several of them. Registers and words are written out
 * by hand: list n has its registers at 0x1000 * (n + 1); a command's word 0 is
 * the opcode (9 a context's cells, 11 a device's) and, from bit 8, one bit for
 * each of four cells; word 1 is whose.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <nestfd/model.h>

#include "base/alloc.h"
#include "kit.h"

/* ---- the hardware alone ---- */

#define MEMORY_PA 0x10000ULL

struct bare {
	struct nestfd_machine *machine;
	uint64_t *memory; /* one page at MEMORY_PA */
	uint64_t nested;  /* its cells hold 7 */
};

static uint64_t command(struct bare *bare, uint64_t cmd, uint64_t arg0,
			uint64_t arg1)
{
	nestfd_iommu_write(bare->machine, 0x08, 8, arg0);
	nestfd_iommu_write(bare->machine, 0x10, 8, arg1);
	nestfd_iommu_write(bare->machine, 0x18, 8, cmd);
	assert_int_equal(nestfd_iommu_read(bare->machine, 0x20, 8), 0);
	return nestfd_iommu_read(bare->machine, 0x28, 8);
}

static int bare_setup(void **state)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
	};
	struct bare *bare = calloc(1, sizeof(*bare));

	if (!bare || posix_memalign((void **)&bare->memory, 4096, 4096) ||
	    nestfd_machine_create(&config, &bare->machine) ||
	    nestfd_memory_add(bare->machine, MEMORY_PA, bare->memory, 4096))
		return -1;
	memset(bare->memory, 0, 4096);
	bare->nested = command(bare, 4, command(bare, 3, 0x20003, 0), 7);
	command(bare, 1, 33, 0); /* a device, whose cells hold 0xbaddad */
	*state = bare;
	return 0;
}

static int bare_teardown(void **state)
{
	struct bare *bare = *state;

	nestfd_machine_destroy(bare->machine);
	free(bare->memory);
	free(bare);
	return 0;
}

static uint64_t run(struct bare *bare, uint32_t list, uint64_t base, uint64_t n)
{
	uint32_t page = 0x1000 * (list + 1);

	nestfd_iommu_write(bare->machine, page, 8, base);
	nestfd_iommu_write(bare->machine, page + 8, 8, n);
	return nestfd_iommu_read(bare->machine, page + 16, 8);
}

static void put(struct bare *bare, int i, uint64_t word0, uint64_t word1)
{
	bare->memory[2 * i] = word0;
	bare->memory[2 * i + 1] = word1;
}

static void a_list_makes_just_the_named_cells_zero(void **state)
{
	struct bare *bare = *state;

	put(bare, 0, 9 | 0x500, bare->nested);
	put(bare, 1, 11 | 0x800, 33);
	assert_int_equal(run(bare, 0, MEMORY_PA, 2), 2);
	assert_int_equal(command(bare, 10, bare->nested, 0), 0);
	assert_int_equal(command(bare, 10, bare->nested, 1), 7);
	assert_int_equal(command(bare, 10, bare->nested, 2), 0);
	assert_int_equal(command(bare, 10, bare->nested, 3), 7);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(command(bare, 12, 33, i),
				 i == 3 ? 0 : 0xbaddad);
}

static void each_list_has_registers_of_its_own(void **state)
{
	struct bare *bare = *state;

	put(bare, 0, 9 | 0x100, bare->nested);
	put(bare, 1, 9 | 0x200, bare->nested);
	assert_int_equal(run(bare, 7, MEMORY_PA + 16, 1), 1);
	assert_int_equal(command(bare, 10, bare->nested, 0), 7);
	assert_int_equal(command(bare, 10, bare->nested, 1), 0);
	assert_int_equal(nestfd_iommu_read(bare->machine, 0x8000, 8),
			 MEMORY_PA + 16);
	assert_int_equal(nestfd_iommu_read(bare->machine, 0x7000, 8), 0);
	assert_int_equal(nestfd_iommu_read(bare->machine, 0x7010, 8), 0);
	assert_int_equal(run(bare, 8, MEMORY_PA, 1), 0); /* there is none */
	assert_int_equal(command(bare, 10, bare->nested, 0), 7);
}

static void a_list_stops_at_what_cannot_be(void **state)
{
	struct bare *bare = *state;
	const uint64_t bad[][2] = {
		{ 8 | 0x100, bare->nested }, /* no such opcode */
		{ 10 | 0x100, bare->nested },
		{ 9 | 0x100, 0 },   /* no such context, device */
		{ 9 | 0x100, 999 }, /* ... */
		{ 9 | 0x100, 1ULL << 32 | bare->nested },
		{ 9 | 0x100, bare->nested - 1 }, /* a paging one */
		{ 11 | 0x100, 34 },
		{ 11 | 0x100, 1ULL << 32 | 33 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(bare, 0, 9 | 0x100, bare->nested);
		put(bare, 1, bad[i][0], bad[i][1]);
		put(bare, 2, 9 | 0x200, bare->nested);
		/* One is done; status 1 */
		assert_int_equal(run(bare, 0, MEMORY_PA, 3), 1ULL << 32 | 1);
	}
	assert_int_equal(command(bare, 10, bare->nested, 0), 0);
	assert_int_equal(command(bare, 10, bare->nested, 1), 7);
	assert_int_equal(command(bare, 12, 33, 0), 0xbaddad);
}

static void every_reserved_bit_of_a_command_counts(void **state)
{
	struct bare *bare = *state;

	for (int bit = 12; bit < 64; bit++) {
		put(bare, 0, 9 | 0xf00 | 1ULL << bit, bare->nested);
		assert_int_equal(run(bare, 0, MEMORY_PA, 1), 1ULL << 32);
	}
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(command(bare, 10, bare->nested, i), 7);
}

static void a_list_may_be_too_long_or_nowhere(void **state)
{
	struct bare *bare = *state;

	for (int i = 0; i < 128; i++)
		put(bare, i, 9 | 0x100, bare->nested);
	assert_int_equal(run(bare, 0, MEMORY_PA, 65), 2ULL << 32);
	assert_int_equal(run(bare, 0, MEMORY_PA, ~0ULL), 2ULL << 32);
	assert_int_equal(run(bare, 0, MEMORY_PA + 4096, 1), 1ULL << 32);
	assert_int_equal(run(bare, 0, MEMORY_PA + 4080, 2), 1ULL << 32);
	assert_int_equal(run(bare, 0, ~0ULL, 1), 1ULL << 32);
	assert_int_equal(command(bare, 10, bare->nested, 0), 7);
	assert_int_equal(run(bare, 0, MEMORY_PA + 4096, 0), 0);
	assert_int_equal(run(bare, 0, MEMORY_PA, 64), 64);
	assert_int_equal(command(bare, 10, bare->nested, 0), 0);
}

static void commands_of_lists_are_counted(void **state)
{
	struct nestfd_iommu_stats before = { .size = sizeof(before) };
	struct nestfd_iommu_stats after = before;
	struct bare *bare = *state;

	for (int i = 0; i < 5; i++)
		put(bare, i, 9 | 0x100, i == 4 ? 999 : bare->nested);
	nestfd_iommu_stats(bare->machine, &before);
	run(bare, 2, MEMORY_PA, 5);
	nestfd_iommu_stats(bare->machine, &after);
	assert_int_equal(after.commands - before.commands, 4);
}

/* Lists are made with the first context. */
static void a_machine_opens_or_is_out_of_memory(void **state)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_MOCK,
	};
	struct alloc_plan plan = { 0 };
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	int rc;

	(void)state;
	do {
		machine = NULL;
		ctx = NULL;
		plan.fail_at++;
		plan.passed = 0;
		alloc_arm(&plan);
		rc = nestfd_machine_create(&config, &machine);
		if (!rc)
			rc = nestfd_open(machine, &ctx);
		alloc_arm(NULL);
		assert_int_equal(rc, plan.passed < plan.fail_at ? 0 : -ENOMEM);
		if (rc && machine) /* the machine is as it was */
			assert_int_equal(nestfd_open(machine, &ctx), 0);
		nestfd_close(ctx);
		nestfd_machine_destroy(machine);
	} while (rc);
	print_message("%d injection points, each -ENOMEM\n",
		      (int)plan.fail_at - 1);
	assert_in_range(plan.fail_at, 8, 100);
}

/* ---- arrays longer than a list ---- */

#define MANY 300

static uint32_t nested_of(struct kit *kit, uint32_t *parent)
{
	uint32_t nested;

	assert_int_equal(kit_hwpt(kit, kit->ioas, 1, parent), 0);
	assert_int_equal(kit_nested(kit, *parent, 7, &nested), 0);
	return nested;
}

/* Entry @at names cell 3, all others cell 0; the one behind it is bad. */
static void nested_stops_behind(struct kit *kit, uint32_t parent, uint32_t at)
{
	uint32_t inv[MANY][2] = { { 0 } };
	uint32_t n = MANY;
	uint32_t nested;

	assert_int_equal(kit_nested(kit, parent, 7, &nested), 0);
	inv[at][1] = 3;
	inv[at + 1][1] = 4; /* there are four */
	inv[at + 2][1] = 1;
	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), -EINVAL);
	assert_int_equal(n, at + 1);
	assert_int_equal(check_iotlb(kit, nested, 3, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 7), 0);
	assert_int_equal(kit_destroy(kit, nested), 0);
}

static void a_long_array_stops_at_the_entry_at_fault(void **state)
{
	struct kit *kit = *state;
	uint32_t parent;

	nested_of(kit, &parent);
	for (uint32_t at = 0; at < MANY - 2; at++)
		nested_stops_behind(kit, parent, at);
}

static void a_long_array_is_carried_out_to_its_last_entry(void **state)
{
	struct kit *kit = *state;
	uint32_t inv[MANY][2] = { { 0 } };
	uint32_t parent, nested;

	nested_of(kit, &parent);
	for (uint32_t n = 1; n <= MANY; n++) {
		uint32_t done = n;

		assert_int_equal(kit_nested(kit, parent, 7, &nested), 0);
		inv[n - 1][1] = 2;
		assert_int_equal(kit_invalidate(kit, nested, inv, 8, &done), 0);
		inv[n - 1][1] = 0;
		assert_int_equal(done, n);
		assert_int_equal(check_iotlb(kit, nested, 2, 0), 0);
		assert_int_equal(check_iotlb(kit, nested, 3, 7), 0);
		assert_int_equal(kit_destroy(kit, nested), 0);
	}
}

static void memory_that_ends_in_a_list_leaves_what_is_before_done(void **state)
{
	struct kit *kit = *state;
	/* 100 entries before the last page, which goes; 412 in front of it */
	uint32_t *inv = (uint32_t *)(kit->pages + PAGE - 800);
	uint32_t n = 200;
	uint32_t parent, nested = nested_of(kit, &parent);

	kit_expect_faults();
	inv[2 * 99 + 1] = 1;
	assert_int_equal(munmap(kit->pages + PAGE, PAGE), 0);
	assert_int_equal(kit_invalidate(kit, nested, inv, 8, &n), -EFAULT);
	assert_int_equal(n, 100);
	assert_int_equal(check_iotlb(kit, nested, 0, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 1, 0), 0);
	assert_int_equal(check_iotlb(kit, nested, 2, 7), 0);
}

static void a_long_array_for_several_devices(void **state)
{
	struct kit *kit = *state;
	uint32_t inv[MANY][3] = { { 0 } };
	uint32_t object, hwpt, dev, parent, viommu, vdevice;
	uint32_t n = MANY;

	nested_of(kit, &parent);
	assert_int_equal(test_device(kit, kit->ioas, 0, &object, &hwpt, &dev),
			 0);
	assert_int_equal(kit_viommu(kit, parent, &viommu), 0);
	assert_int_equal(kit_vdevice(kit, viommu, kit->dev, 5, &vdevice), 0);
	assert_int_equal(kit_vdevice(kit, viommu, dev, 6, &vdevice), 0);
	for (uint32_t i = 0; i < MANY; i++)
		inv[i][1] = 5 + i % 2;
	inv[200][2] = 2; /* of vDEVICE 5 */
	inv[201][2] = 3; /* of vDEVICE 6 */
	inv[250][1] = 7; /* there is none */
	inv[251][2] = 1;
	assert_int_equal(kit_invalidate(kit, viommu, inv, 12, &n), -EINVAL);
	assert_int_equal(n, 250);
	assert_int_equal(check_cache(kit, kit->dev, 2, 0), 0);
	assert_int_equal(check_cache(kit, kit->dev, 3, 0xbaddad), 0);
	assert_int_equal(check_cache(kit, dev, 2, 0xbaddad), 0);
	assert_int_equal(check_cache(kit, dev, 3, 0), 0);
	assert_int_equal(check_cache(kit, kit->dev, 1, 0xbaddad), 0);
	assert_int_equal(check_cache(kit, dev, 1, 0xbaddad), 0);
}

/* ---- at once ---- */

#define THREADS 4

struct work {
	struct kit *kit;
	uint32_t id;
	uint32_t parent;
	uint32_t viommu;
	int turns;
	int bad;
	pthread_t thread;
};

static void *invalidates(void *arg)
{
	struct work *w = arg;
	uint32_t inv[70][2] = { { 1, 0 } };

	for (int i = 0; i < w->turns; i++) {
		uint32_t n = 70;

		w->bad += kit_invalidate(w->kit, w->id, inv, 8, &n) || n != 70;
	}
	return NULL;
}

/* What lists look for comes and goes meanwhile. */
static void *comes_and_goes(void *arg)
{
	struct work *w = arg;
	uint32_t inv[70][3] = { { 1, 9, 0 } };
	uint32_t nested, object, hwpt, dev, vdevice;

	for (int i = 0; i < 70; i++)
		inv[i][1] = 9;
	for (int i = 0; i < w->turns / 10; i++) {
		uint32_t n = 70;

		w->bad += !!kit_nested(w->kit, w->parent, 3, &nested);
		w->bad += !!test_device(w->kit, w->kit->ioas, 0, &object, &hwpt,
					&dev);
		w->bad += !!kit_vdevice(w->kit, w->viommu, dev, 9, &vdevice);
		w->bad += !!kit_invalidate(w->kit, w->viommu, inv, 12, &n);
		w->bad += !!check_cache(w->kit, dev, 3, 0);
		w->bad += !!kit_destroy(w->kit, vdevice);
		w->bad += !!kit_destroy(w->kit, object);
		w->bad += !!kit_destroy(w->kit, nested);
	}
	return NULL;
}

static void threads_invalidate_while_others_make_and_destroy(void **state)
{
	struct kit *kit = *state;
	struct work work[THREADS];
	uint32_t parent, viommu;

	nested_of(kit, &parent);
	assert_int_equal(kit_viommu(kit, parent, &viommu), 0);
	for (int i = 0; i < THREADS; i++) {
		work[i] = (struct work){ kit, 0, parent, viommu, 2000, 0, 0 };
		if (i < 3) /* the first two share one */
			assert_int_equal(
				kit_nested(kit, parent, 7, &work[i].id), 0);
		if (i == 1)
			work[1].id = work[0].id;
		assert_int_equal(
			pthread_create(&work[i].thread, NULL,
				       i < 3 ? invalidates : comes_and_goes,
				       &work[i]),
			0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(work[i].thread, NULL);
		assert_int_equal(work[i].bad, 0);
	}
	for (uint32_t cell = 0; cell < 4; cell++) {
		assert_int_equal(check_iotlb(kit, work[0].id, cell, 0), 0);
		assert_int_equal(check_iotlb(kit, work[2].id, cell, 0), 0);
	}
}

#define bare(test) \
	cmocka_unit_test_setup_teardown(test, bare_setup, bare_teardown)
#define with_dev(test) \
	cmocka_unit_test_setup_teardown(test, kit_setup_dev, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare(a_list_makes_just_the_named_cells_zero),
		bare(each_list_has_registers_of_its_own),
		bare(a_list_stops_at_what_cannot_be),
		bare(every_reserved_bit_of_a_command_counts),
		bare(a_list_may_be_too_long_or_nowhere),
		bare(commands_of_lists_are_counted),
		cmocka_unit_test(a_machine_opens_or_is_out_of_memory),
		with_dev(a_long_array_stops_at_the_entry_at_fault),
		with_dev(a_long_array_is_carried_out_to_its_last_entry),
		with_dev(memory_that_ends_in_a_list_leaves_what_is_before_done),
		with_dev(a_long_array_for_several_devices),
		with_dev(threads_invalidate_while_others_make_and_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
