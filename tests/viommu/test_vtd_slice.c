// SPDX-License-Identifier: MIT
/*
 * What a guest's tables may cost: domains of one table share an IOAS, an access
 * to a register carries out a slice of what a doorbell asks for, and nothing is
 * lost or told too early of what it leaves. And what VMMs do inside a read of
 * guest memory.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_fake.h"

/* Tables of four levels: 0x20000, 0x21000, 0x22000, 0x23000 */
#define TABLE VG_TABLE
#define RW    3ull
#define MANY  0x100000u /* tables in numbers */

/* PGTT 2, 48 bits */
static void shadow(struct vfake *fake, uint32_t pasid, uint64_t did,
		   uint64_t root)
{
	vg_pasid(fake, pasid, root | 0x89, did, 0);
}

static struct vfake *start(bool pasids)
{
	struct vfake *fake = vf_start(false, pasids);

	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	shadow(fake, 0, 5, TABLE);
	vg_boot(fake, false);
	return fake;
}

/*
 * So many times the same 512 leaves, of which the host takes none, and behind
 * them one that it takes. A slice is enough for 64 of them.
 */
static void put_leaves(struct vfake *fake, uint32_t root, uint32_t times)
{
	fake->no_memory_first = 0x300000;
	fake->no_memory_last = 0x3fffff;
	vg_link_tables(fake, root);
	for (uint32_t i = 0; i < times; i++)
		vg_store(fake, root + 0x2000 + i * 8, (root + 0x3000) | RW);
	for (uint32_t i = 0; i < 512; i++)
		vg_store(fake, root + 0x3000 + i * 8, 0x300000 | RW);
	vg_store(fake, root + 0x2000 + times * 8, (root + 0x4000) | RW);
	vg_store(fake, root + 0x4000, 0x123000 | RW);
}

#define BEHIND_MANY (81u * 0x200000u)

static void many_leaves(struct vfake *fake, uint32_t root)
{
	put_leaves(fake, root, 81);
}

/* Mappings of that IOAS; the fake keeps those of one that is gone. */
static int maps_of(const struct vfake *fake, uint32_t ioas)
{
	int n = 0;

	for (int i = 0; i < fake->nmap; i++)
		n += fake->map[i].ioas == ioas;
	return n;
}

static bool is_mapped(const struct vfake *fake, uint32_t ioas, uint64_t iova)
{
	for (int i = 0; i < fake->nmap; i++)
		if (fake->map[i].ioas == ioas && fake->map[i].iova == iova)
			return true;
	return false;
}

static void domains_of_one_table_share_an_ioas(void **state)
{
	struct vfake *fake = start(true);
	int nioas = fake->nioas;
	uint32_t ioas = fake->map[0].ioas;

	(void)state;
	for (uint32_t pasid = 1; pasid < 4; pasid++)
		shadow(fake, pasid, 5 + pasid, TABLE);
	vg_do(fake, 0x37, 0);
	assert_int_equal(fake->nioas, nioas);
	assert_int_equal(fake->nmap, 1);
	/* what one of them invalidates was in memory for all */
	vg_page(fake, 1, 0);
	vg_page(fake, 2, 0x222000 | RW);
	vg_do(fake, 0x40032, 0x2000); /* DID 4: not one of them */
	assert_non_null(vf_map_at(fake, 0x1000));
	vg_do(fake, 0x70032, 0x2000);
	assert_non_null(vf_map_at(fake, 0x2000));
	vg_do(fake, 0x80032, 0x1000);
	assert_null(vf_map_at(fake, 0x1000));
	/* the ids go one by one, and the IOAS with the last */
	for (uint32_t pasid = 0; pasid < 4; pasid++) {
		assert_false(vf_is_destroyed(fake, ioas));
		vg_pasid(fake, pasid, 0, 0, 0);
		vg_do(fake, 0x37, 0);
		vg_page(fake, 10 + pasid, 0x222000 | RW);
		vg_do(fake, 0x32 | (5ull + pasid) << 16,
		      0xa000 + pasid * 0x1000);
		assert_null(vf_map_at(fake, 0xa000 + pasid * 0x1000));
	}
	assert_true(vf_is_destroyed(fake, ioas));
	vf_end(fake);
}

/* Leaves of which another domain has not been told count for a new one. */
static void a_new_domain_sees_the_table_as_it_is(void **state)
{
	struct vfake *fake = start(true);

	(void)state;
	vg_page(fake, 1, 0);
	vg_page(fake, 2, 0x222000 | RW);
	shadow(fake, 1, 5, TABLE); /* the same one: cached as it was */
	vg_do(fake, 0x37, 0);
	assert_non_null(vf_map_at(fake, 0x1000));
	shadow(fake, 2, 6, TABLE);
	vg_do(fake, 0x37, 0);
	assert_null(vf_map_at(fake, 0x1000));
	assert_non_null(vf_map_at(fake, 0x2000));
	vf_end(fake);
}

static void another_depth_is_another_table(void **state)
{
	struct vfake *fake = start(true);

	(void)state;
	/* 57 bits: one level more above the same */
	vg_store(fake, TABLE, (TABLE + 0x1000) | RW);
	vg_pasid(fake, 1, TABLE | 0x8d, 5, 0);
	vg_do(fake, 0x37, 0);
	/* there 0x21000 is of level 4, and so on: 0x23000 leads to tables */
	assert_int_equal(fake->nmap, 1);
	assert_int_not_equal(fake->hwpt[fake->nhwpt - 1].pt_id,
			     fake->map[0].ioas);
	vf_end(fake);
}

static void neighbours_go_in_one_call(void **state)
{
	struct vfake *fake = start(false);

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		vg_page(fake, i, (0x100000 + i * 0x1000) | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 64);
	vf_forget(fake);
	for (uint32_t i = 10; i < 20; i++)
		vg_page(fake, i, 0);
	for (uint32_t i = 21; i < 30; i++)
		vg_page(fake, i, 0x300000 | RW); /* elsewhere */
	vg_page(fake, 63, 0);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nunmaps, 3);
	assert_int_equal(fake->ncopies, 9);
	assert_int_equal(fake->nmap, 53);
	assert_non_null(vf_map_at(fake, 0x14000));
	vf_end(fake);
}

/* Without a doorbell: those two are what was left. */
static void read_until(struct vfake *fake, uint32_t wait, int most)
{
	for (int i = 0; i < most && vg_status(fake) != wait; i++)
		vg_reg(fake, R_FSTS);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
}

static void a_spent_slice_leaves_the_waits_behind_it(void **state)
{
	struct vfake *fake = start(false);
	uint32_t before, behind;
	int copies;

	(void)state;
	many_leaves(fake, TABLE);
	vf_forget(fake);
	before = vg_put_wait(fake);
	vg_put(fake, 0x50022, 0);
	behind = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), before);
	assert_int_equal(vg_reg64(fake, R_IQH) & 31, 0);
	copies = fake->ncopies;
	assert_true(copies > 1000);
	read_until(fake, behind, 3);
	/* nothing twice */
	assert_true(fake->ncopies <= 81 * 512 + 1);
	assert_non_null(vf_map_at(fake, BEHIND_MANY));
	vf_end(fake);
}

static void no_access_is_dearer_than_a_slice(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;
	int last = 0;

	(void)state;
	many_leaves(fake, TABLE);
	vf_forget(fake);
	vg_put(fake, 0x50022, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	for (int i = 0; i < 4; i++) {
		/* a slice, and what was loaded at once */
		assert_true(fake->ncopies - last <= 32768 + 1024);
		last = fake->ncopies;
		vg_reg(fake, R_GSTS);
	}
	assert_int_equal(vg_status(fake), wait);
	vf_end(fake);
}

/* Nothing behind a fence is begun early, and all of it is one access's. */
static void fences_are_no_way_round_a_slice(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait = 0;
	int last = 0;
	int n = 0;

	(void)state;
	put_leaves(fake, TABLE, 20); /* a third of a slice */
	vf_forget(fake);
	for (int i = 0; i < 20; i++) {
		vg_put(fake, 0x50022, 0);
		wait = ++fake->waits; /* FN */
		vg_put(fake, 0x65 | (uint64_t)wait << 32, VG_STATUS);
	}
	vg_doorbell(fake);
	for (; vg_status(fake) != wait && n < 20; n++) {
		assert_true(fake->ncopies - last <= 32768 + 1024);
		last = fake->ncopies;
		vg_reg(fake, R_FSTS);
	}
	assert_int_equal(vg_status(fake), wait);
	assert_in_range(n, 5, 10);
	vf_end(fake);
}

/* A queue of 2048: IOTLB of a page behind all tables, and a fence, in turn */
static void fill_large_queue(struct vfake *fake)
{
	vg_set(fake, R_GCMD, 0x80000000);
	vg_set64(fake, R_IQT, 0);
	vg_set64(fake, R_IQA, 0x300000 | 0x800 | 4);
	vg_set(fake, R_GCMD, 0x84000000);
	for (uint64_t i = 0; i < 2048; i++) {
		uint64_t at = 0x300000 + i * 32;

		vg_store(fake, at, i & 1 ? 0x65 | i << 32 : 0x50032);
		vg_store(fake, at + 8, i & 1 ? VG_STATUS : 1ull << 50);
		vg_store(fake, at + 16, 0);
		vg_store(fake, at + 24, 0);
	}
}

/* One domain id, 3900 tables, 1024 times: 4 million shadows to be told */
static void visits_of_shadows_are_charged_as_well(void **state)
{
	struct vfake *fake = start(true);
	uint32_t wait;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		vg_store(fake, VG_DIR + i * 8, (0x200000 + i * 0x1000) | 1);
	for (uint32_t i = 0; i < 3900; i++) {
		uint64_t root = i ? 0x10000000 + i * 0x1000 : TABLE;

		vg_store(fake, 0x200000 + i * 64, root | 0x89);
		vg_store(fake, 0x200008 + i * 64, 5);
	}
	vg_put(fake, 0x37, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	if (vg_status(fake) != wait)
		read_until(fake, wait, 4);
	vg_store(fake, VG_STATUS, 0);
	fill_large_queue(fake);
	vf_forget(fake);
	vg_set64(fake, R_IQT, 2046 * 32);
	assert_in_range(vg_status(fake), 3, 2043);
	read_until(fake, 2045, 3);
	assert_int_equal(vg_reg64(fake, R_IQH), 2046 * 32);
	vf_end(fake);
}

static void pumping_goes_on_as_well(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	many_leaves(fake, TABLE);
	vg_put(fake, 0x50022, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), wait);
	assert_true(nestfd_viommu_pump(fake->viommu) > 0);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
	vf_end(fake);
}

static void *ring(void *fake)
{
	vg_doorbell(fake);
	return NULL;
}

static void *look(void *fake)
{
	vg_reg(fake, R_GSTS);
	return NULL;
}

static void in_a_thread(void *(*routine)(void *), struct vfake *fake)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, routine, fake), 0);
	pthread_join(thread, NULL);
}

/* Each is the first access of its thread, which lies where the last one did. */
static void an_access_may_have_a_thread_of_its_own(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	many_leaves(fake, TABLE);
	vg_put(fake, 0x50022, 0);
	wait = vg_put_wait(fake);
	in_a_thread(ring, fake);
	assert_int_not_equal(vg_status(fake), wait);
	in_a_thread(look, fake);
	assert_int_equal(vg_status(fake), wait);
	vf_end(fake);
}

static void what_is_queued_meanwhile_waits_too(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	many_leaves(fake, TABLE);
	vg_put(fake, 0x50022, 0); /* and no wait */
	vg_doorbell(fake);
	vg_store(fake, TABLE + 0x4008, 0x124000 | RW);
	vg_put(fake, 0x50032, BEHIND_MANY + 0x1000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	read_until(fake, wait, 3);
	assert_non_null(vf_map_at(fake, BEHIND_MANY));
	assert_non_null(vf_map_at(fake, BEHIND_MANY + 0x1000));
	vf_end(fake);
}

/* For what was consumed without a wait: the first wait of all that come. */
static void a_later_wait_waits_too(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	put_leaves(fake, TABLE, 200);
	vg_put(fake, 0x4, 0);
	vg_put(fake, 0x50022, 0);
	vg_doorbell(fake);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), wait);
	assert_null(vf_map_at(fake, 200 * 0x200000));
	read_until(fake, wait, 4);
	assert_non_null(vf_map_at(fake, 200 * 0x200000));
	vf_end(fake);
}

/*
 * A directory of 16384 entries that all lead to the same table, in which all
 * entries are present and none is valid: to follow it takes a slice.
 */
static void dear_directory(struct vfake *fake)
{
	for (uint32_t i = 0; i < 16384; i++)
		vg_store(fake, 0x200000 + i * 8, 0x7001);
	for (uint32_t i = 0; i < 64; i++)
		vg_store(fake, 0x7000 + i * 64, 1);
	vg_store(fake, 0x200000, VG_PASIDS | 1);
	vg_store(fake, VG_CTX + 0x10 * 32, 0x200000 | 9 | 7 << 9);
}

/* What stands behind the wait is looked at in the first slice as well. */
static void what_is_dear_behind_a_wait_does_not_hold_it_up(void **state)
{
	struct vfake *fake = start(true);
	uint32_t before, behind;

	(void)state;
	dear_directory(fake);
	vg_do(fake, 0x37, 0);
	assert_non_null(vf_map_at(fake, 0x1000));
	vg_page(fake, 1, 0);
	vg_put(fake, 0x50032, 0x1000);
	before = vg_put_wait(fake);
	vg_put(fake, 0x37, 0);
	behind = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), before);
	assert_int_not_equal(vg_status(fake), behind);
	assert_true(nestfd_viommu_pump(fake->viommu) > 0);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
	assert_int_equal(vg_status(fake), behind);
	assert_null(vf_map_at(fake, 0x1000));
	vf_end(fake);
}

/* Each of the two is carried out once, in slices. */
static void what_is_asked_again_behind_a_wait_comes_behind_it(void **state)
{
	struct vfake *fake = start(false);
	uint32_t before, behind;

	(void)state;
	many_leaves(fake, TABLE);
	vg_put(fake, 0x50022, 0);
	before = vg_put_wait(fake);
	vg_put(fake, 0x50022, 0);
	behind = vg_put_wait(fake);
	vf_forget(fake);
	vg_doorbell(fake);
	for (int i = 0; i < 5 && vg_status(fake) != before; i++)
		vg_reg(fake, R_FSTS);
	assert_int_equal(vg_status(fake), before);
	assert_non_null(vf_map_at(fake, BEHIND_MANY));
	read_until(fake, behind, 5);
	assert_true(fake->ncopies <= 2 * 81 * 512 + 1);
	assert_non_null(vf_map_at(fake, BEHIND_MANY));
	vf_end(fake);
}

/* 1 GiB becomes 2048 leaves and others behind: all of it is followed. */
static void what_lies_across_the_end_is_followed_to_its_end(void **state)
{
	struct vfake *fake = start(false);

	(void)state;
	vg_store(fake, TABLE + 0x1000, 0x40000000 | 0x80 | RW);
	vg_do(fake, 0x50022, 0);
	assert_int_equal(fake->nmap, 1);
	for (uint32_t i = 0; i < 512; i++)
		vg_page(fake, i, 0x100000 | RW);
	for (uint32_t i = 0; i < 4; i++)
		vg_store(fake, TABLE + 0x2000 + i * 8, (TABLE + 0x3000) | RW);
	vg_store(fake, TABLE + 0x2000 + 9 * 8, 0x600000 | 0x80 | RW);
	vg_store(fake, TABLE + 0x1000, (TABLE + 0x2000) | RW);
	vg_do(fake, 0x50032, 11); /* the first 8 MiB */
	assert_int_equal(fake->nmap, 2049);
	assert_non_null(vf_map_at(fake, 9 * 0x200000));
	vf_end(fake);
}

/* The device has the table when the wait says so, however it was filled. */
static void a_new_table_is_filled_in_slices(void **state)
{
	struct vfake *fake = start(false);
	uint32_t old = fake->map[0].ioas;
	uint32_t wait;

	(void)state;
	many_leaves(fake, MANY);
	shadow(fake, 0, 5, MANY);
	vg_put(fake, 0x37, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), wait);
	read_until(fake, wait, 3);
	assert_true(vf_is_destroyed(fake, old));
	assert_true(
		is_mapped(fake, vf_attached(fake, VF_NO_PASID), BEHIND_MANY));
	vf_end(fake);
}

static uint32_t second_pt; /* what 0x11 is attached to */

static int attach_second(void *ctx, uint32_t pt_id)
{
	(void)ctx;
	second_pt = pt_id;
	return 0;
}

static void add_device(struct vfake *fake, uint32_t vsid,
		       int (*attach)(void *ctx, uint32_t pt_id))
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = vsid,
		.dev_id = vsid,
		.attach = attach,
		.ctx = fake,
	};

	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
}

/* Legacy, 48 bits; device 0x10 + @n with that table */
static void context(struct vfake *fake, uint32_t n, uint64_t root, uint64_t did)
{
	vg_store(fake, VG_CTX + (0x10 + n) * 16, root ? root | 1 : 0);
	vg_store(fake, VG_CTX + (0x10 + n) * 16 + 8, did << 8 | 2);
}

#define MANY_TOO 0x180000u /* another root of the same */

static struct vfake *start_two(int (*attach)(void *ctx, uint32_t pt_id))
{
	struct vfake *fake = vf_start(false, false);

	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_boot_legacy(fake, TABLE | 1, 0x502);
	add_device(fake, 0x11, attach);
	many_leaves(fake, MANY);
	return fake;
}

/* 0x10 takes all of the slice: 0x11 is not yet followed. */
static void a_spent_slice_leaves_devices(void **state)
{
	struct vfake *fake = start_two(attach_second);
	uint32_t before, behind;

	(void)state;
	context(fake, 0, MANY, 6);
	context(fake, 1, TABLE, 7);
	second_pt = 0;
	before = vg_put_wait(fake);
	vg_put(fake, 0x11, 0);
	behind = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), before);
	assert_int_equal(second_pt, 0);
	read_until(fake, behind, 3);
	assert_true(is_mapped(fake, second_pt, 0x1000));
	assert_true(
		is_mapped(fake, vf_attached(fake, VF_NO_PASID), BEHIND_MANY));
	vf_end(fake);
}

/* 0x10 and 0x11 take a slice each: 0x12 is left when both are spent. */
static struct vfake *start_three(void)
{
	struct vfake *fake = start_two(attach_second);

	add_device(fake, 0x12, attach_second);
	vg_store(fake, MANY_TOO, (MANY + 0x1000) | RW);
	context(fake, 0, MANY, 6);
	context(fake, 1, MANY_TOO, 6);
	context(fake, 2, TABLE, 7);
	vg_put(fake, 0x11, 0);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), 0);
	return fake;
}

/* A descriptor that comes meanwhile is not what has been followed in part. */
static void what_changes_meanwhile_is_followed(void **state)
{
	struct vfake *fake = start_three();
	uint32_t wait;

	(void)state;
	context(fake, 0, 0, 0);
	vg_put(fake, 0x11, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), wait);
	read_until(fake, wait, 5);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	assert_true(is_mapped(fake, second_pt, 0x1000));
	vf_end(fake);
}

static void another_queue_begins_from_the_start(void **state)
{
	struct vfake *fake = start_three();
	uint32_t wait;

	(void)state;
	/* off, another head, on: what was left is not the guest's any more */
	context(fake, 0, 0, 0);
	vg_set(fake, R_GCMD, 0x80000000);
	fake->tail = 0;
	vg_set64(fake, R_IQT, 0);
	vg_set(fake, R_GCMD, 0x84000000);
	vg_put(fake, 0x11, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	read_until(fake, wait, 5);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	assert_true(is_mapped(fake, second_pt, 0x1000));
	vf_end(fake);
}

static void a_reset_forgets_what_was_left(void **state)
{
	struct vfake *fake = start(false);

	(void)state;
	many_leaves(fake, TABLE);
	vg_put_wait(fake);
	vg_put(fake, 0x50022, 0);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), 1);
	vg_store(fake, VG_STATUS, 0); /* the next guest's memory by now */
	nestfd_viommu_reset(fake->viommu);
	assert_int_equal(vg_status(fake), 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
	assert_int_equal(vg_reg64(fake, R_IQH), 0);
	vf_end(fake);
}

/* GSTS and IOTLB_REG cannot say that there is more. */
static void registers_are_not_sliced(void **state)
{
	struct vfake *fake = start_two(attach_second);

	(void)state;
	vg_set(fake, R_GCMD, 0);
	context(fake, 0, MANY, 6);
	context(fake, 1, MANY, 6);
	vg_set(fake, R_GCMD, 0x80000000);
	assert_true(is_mapped(fake, second_pt, BEHIND_MANY));
	vg_store(fake, MANY + 0x4008, 0x124000 | RW);
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57, 9);
	assert_true(is_mapped(fake, second_pt, BEHIND_MANY + 0x1000));
	vf_end(fake);
}

/* What a queue that is off by now could not take away, no register has. */
static void registers_do_not_hide_what_is_left(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_boot_legacy(fake, TABLE | 1, 0x502);
	vg_page(fake, 1, 0);
	fake->fail_unmap = -EIO;
	vg_put_wait(fake);
	vg_put_wait(fake);
	vg_put(fake, 0x50032, 0x1000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	vg_set(fake, R_GCMD, 0x80000000);
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57 & 3, 0);
	assert_non_null(vf_map_at(fake, 0x1000));
	fake->fail_unmap = 0;
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57 & 3, 1);
	assert_null(vf_map_at(fake, 0x1000));
	vf_end(fake);
}

static void what_cannot_be_taken_away_stays_to_be_done(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	vg_page(fake, 1, 0);
	fake->fail_unmap = -EBUSY;
	vg_put(fake, 0x50032, 0x1000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	/* the guest gives that one up: DID 9 instead */
	vg_store(fake, VG_QUEUE + (fake->tail - 2) * 32, 0x90032);
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	assert_int_not_equal(vg_status(fake), wait);
	fake->fail_unmap = 0;
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(fake->nmap, 0);
	vf_end(fake);
}

/* Which of them are gone nobody knows: all are made anew. */
static void what_half_went_is_made_anew(void **state)
{
	struct vfake *fake = start(false);
	uint32_t wait;

	(void)state;
	vg_page(fake, 1, 0);
	vg_page(fake, 2, 0x112000 | RW);
	vg_do(fake, 0x50032, 0x2000);
	vg_page(fake, 3, 0x113000 | RW);
	vg_do(fake, 0x50032, 0x3000);
	vg_page(fake, 2, 0);
	fake->fail_unmap = -EBUSY;
	fake->unmap_first = true;
	vg_put(fake, 0x50032, 0x2000);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_not_equal(vg_status(fake), wait);
	fake->fail_unmap = 0;
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(vg_status(fake), wait);
	assert_non_null(vf_map_at(fake, 0x3000));
	assert_null(vf_map_at(fake, 0x2000));
	vf_end(fake);
}

/* 63 PASIDs of their own tables, 41473 leaves each */
static void refused_tables_are_bounded_work(void **state)
{
	struct vfake *fake = start(true);
	uint32_t wait;

	(void)state;
	many_leaves(fake, MANY);
	for (uint32_t i = 1; i < 64; i++) {
		uint32_t root = 0x200000 + i * 0x1000;

		vg_store(fake, root, (MANY + 0x1000) | RW);
		shadow(fake, i, 100 + i, root);
	}
	vf_forget(fake);
	fake->fail_attach = -EBUSY;
	fake->fail_attaches = 1000000;
	vg_put(fake, 0x37, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	read_until(fake, wait, 200);
	assert_true(fake->ncopies <= 1 << 19);
	assert_int_equal(1000000 - fake->fail_attaches, 63);
	vf_end(fake);
}

/* Five pages, of which 0x2000 to 0x3fff are the device's own on the host */
static void boot_beside_reserved(struct vfake *fake)
{
	vg_link_tables(fake, TABLE);
	for (uint32_t i = 1; i < 6; i++)
		vg_page(fake, i, (0x110000 + i * 0x1000) | RW);
	shadow(fake, 0, 5, TABLE);
	fake->resv_first = 0x2000;
	fake->resv_last = 0x3fff;
	vg_boot(fake, false);
}

static void reserved_addresses_are_left_out(void **state)
{
	for (int pasids = 0; pasids < 2; pasids++) {
		struct vfake *fake = vf_start(false, pasids);
		uint32_t ioas;

		(void)state;
		boot_beside_reserved(fake);
		ioas = fake->resv_ioas;
		assert_int_equal(maps_of(fake, ioas), 3);
		assert_true(is_mapped(fake, ioas, 0x1000));
		assert_true(is_mapped(fake, ioas, 0x4000));
		assert_true(is_mapped(fake, ioas, 0x5000));
		/* it is followed as any other */
		vg_page(fake, 3, 0);
		vg_page(fake, 6, 0x116000 | RW);
		vg_page(fake, 1, 0);
		vg_do(fake, 0x50022, 0);
		assert_int_equal(maps_of(fake, ioas), 3);
		assert_true(is_mapped(fake, ioas, 0x6000));
		vf_end(fake);
	}
}

/* That a shared one does not do has been seen. */
static void a_devices_own_table_is_found_again(void **state)
{
	struct vfake *fake = vf_start(false, true);
	int nioas;

	(void)state;
	boot_beside_reserved(fake);
	nioas = fake->nioas;
	vf_forget(fake);
	shadow(fake, 1, 5, TABLE);
	vg_do(fake, 0x37, 0);
	assert_int_equal(fake->nioas, nioas);
	assert_int_equal(fake->ncopies, 0);
	assert_int_equal(vf_attached(fake, 1), fake->hwpt[0].id);
	assert_int_equal(fake->hwpt[0].pt_id, fake->resv_ioas);
	vf_end(fake);
}

/* Its neighbour, which has those addresses, keeps all. */
static void reserved_addresses_are_one_devices(void **state)
{
	struct vfake *fake = start_two(vf_attach);
	uint32_t shared, own;

	(void)state;
	vg_page(fake, 2, 0x112000 | RW);
	context(fake, 1, TABLE, 5);
	shared = fake->map[0].ioas;
	fake->resv_first = 0x2000;
	fake->resv_last = 0x3fff;
	vg_do(fake, 0x50022, 0);
	vg_do(fake, 0x31 | 5 << 16 | 0x11ull << 32, 0);
	own = vf_attached(fake, VF_NO_PASID);
	assert_int_not_equal(own, shared);
	assert_int_equal(fake->resv_ioas, own);
	assert_int_equal(maps_of(fake, own), 1);
	assert_int_equal(maps_of(fake, shared), 2);
	/* both follow the domain */
	vg_page(fake, 1, 0);
	vg_do(fake, 0x50032, 0x1000);
	assert_int_equal(maps_of(fake, own), 0);
	assert_int_equal(maps_of(fake, shared), 1);
	vf_end(fake);
}

/* ---- inside a read of guest memory ---- */

static struct vfake *inside;
static void (*once)(struct vfake *fake);
static uint64_t at_gpa;

static int read_and_call(void *ctx, uint64_t gpa, void *buf, size_t len)
{
	struct vfake *fake = ctx;
	void (*call)(struct vfake * fake) = once;

	if (gpa >= VG_MEM || len > VG_MEM - gpa)
		return -EFAULT;
	memcpy(buf, fake->mem + gpa, len);
	if (call && gpa == at_gpa) {
		once = NULL;
		call(fake);
	}
	return 0;
}

static struct vfake *start_inside(void)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);

	config.guest.read = read_and_call;
	once = NULL;
	inside = fake;
	assert_int_equal(nestfd_viommu_vtd_create(&config, &fake->viommu), 0);
	add_device(fake, VG_SID, vf_attach);
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_boot_legacy(fake, TABLE | 1, 0x502);
	return fake;
}

static void call_devices(struct vfake *fake)
{
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x12,
		.dev_id = 12,
		.attach = vf_attach,
		.ctx = fake,
	};

	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), -EBUSY);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, VG_SID),
			 -EBUSY);
	assert_int_equal(vg_reg(fake, R_GSTS), 0xc4000000);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
}

static void devices_stay_while_tables_are_read(void **state)
{
	struct vfake *fake = start_inside();

	(void)state;
	once = call_devices;
	at_gpa = TABLE + 0x3000 + 8;
	vg_do(fake, 0x50032, 0x1000);
	assert_null(once);
	once = call_devices;
	at_gpa = VG_CTX + 0x10 * 16;
	vg_do(fake, 0x11, 0);
	assert_null(once);
	assert_int_equal(fake->nmap, 1);
	vf_end(fake);
}

static void call_te_off(struct vfake *fake)
{
	vg_set(fake, R_GCMD, 0x04000000);
}

static void translation_ends_inside_a_read(void **state)
{
	struct vfake *fake = start_inside();

	(void)state;
	once = call_te_off;
	at_gpa = TABLE + 0x3000;
	vg_page(fake, 2, 0x112000 | RW);
	vg_do(fake, 0x50022, 0);
	assert_null(once);
	assert_int_equal(vg_reg(fake, R_GSTS), 0x44000000);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vf_end(fake);
}

static uint32_t rung;

static void call_doorbell(struct vfake *fake)
{
	vg_page(fake, 3, 0x113000 | RW);
	vg_put(fake, 0x50032, 0x3000);
	rung = vg_put_wait(fake);
	vg_doorbell(fake);
}

/* By a doorbell, and by TE, which itself consumes nothing */
static void a_doorbell_inside_a_read_is_answered(void **state)
{
	struct vfake *fake = start_inside();

	(void)state;
	once = call_doorbell;
	at_gpa = TABLE + 0x3000 + 8;
	vg_put(fake, 0x50032, 0x1000);
	vg_doorbell(fake);
	assert_null(once);
	assert_int_equal(vg_status(fake), rung);
	assert_non_null(vf_map_at(fake, 0x3000));
	vg_set(fake, R_GCMD, 0x04000000);
	once = call_doorbell;
	at_gpa = VG_CTX + 0x10 * 16;
	vg_set(fake, R_GCMD, 0x84000000);
	assert_null(once);
	assert_int_equal(vg_status(fake), rung);
	vf_end(fake);
}

static void call_reset(struct vfake *fake)
{
	nestfd_viommu_reset(fake->viommu);
	nestfd_viommu_reset(fake->viommu);
}

static void a_reset_inside_a_read_comes_last(void **state)
{
	struct vfake *fake = start_inside();

	(void)state;
	once = call_reset;
	at_gpa = TABLE + 0x3000 + 8;
	vg_put(fake, 0x50032, 0x1000);
	vg_doorbell(fake);
	assert_null(once);
	assert_int_equal(vg_reg(fake, R_GSTS), 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vf_end(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_of_one_table_share_an_ioas),
		cmocka_unit_test(a_new_domain_sees_the_table_as_it_is),
		cmocka_unit_test(another_depth_is_another_table),
		cmocka_unit_test(neighbours_go_in_one_call),
		cmocka_unit_test(a_spent_slice_leaves_the_waits_behind_it),
		cmocka_unit_test(no_access_is_dearer_than_a_slice),
		cmocka_unit_test(fences_are_no_way_round_a_slice),
		cmocka_unit_test(visits_of_shadows_are_charged_as_well),
		cmocka_unit_test(pumping_goes_on_as_well),
		cmocka_unit_test(an_access_may_have_a_thread_of_its_own),
		cmocka_unit_test(what_is_queued_meanwhile_waits_too),
		cmocka_unit_test(a_later_wait_waits_too),
		cmocka_unit_test(
			what_is_dear_behind_a_wait_does_not_hold_it_up),
		cmocka_unit_test(
			what_is_asked_again_behind_a_wait_comes_behind_it),
		cmocka_unit_test(
			what_lies_across_the_end_is_followed_to_its_end),
		cmocka_unit_test(a_new_table_is_filled_in_slices),
		cmocka_unit_test(a_spent_slice_leaves_devices),
		cmocka_unit_test(what_changes_meanwhile_is_followed),
		cmocka_unit_test(another_queue_begins_from_the_start),
		cmocka_unit_test(a_reset_forgets_what_was_left),
		cmocka_unit_test(registers_are_not_sliced),
		cmocka_unit_test(registers_do_not_hide_what_is_left),
		cmocka_unit_test(what_cannot_be_taken_away_stays_to_be_done),
		cmocka_unit_test(what_half_went_is_made_anew),
		cmocka_unit_test(refused_tables_are_bounded_work),
		cmocka_unit_test(reserved_addresses_are_left_out),
		cmocka_unit_test(a_devices_own_table_is_found_again),
		cmocka_unit_test(reserved_addresses_are_one_devices),
		cmocka_unit_test(devices_stay_while_tables_are_read),
		cmocka_unit_test(translation_ends_inside_a_read),
		cmocka_unit_test(a_doorbell_inside_a_read_is_answered),
		cmocka_unit_test(a_reset_inside_a_read_comes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
