// SPDX-License-Identifier: MIT
/*
 * Where following the guest's context and PASID tables ends: what has changed
 * its place, PASIDs beyond those that the unit tells apart, tables that lead to
 * themselves.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vtd_fake.h"

#define FS	  0x41ull /* P, first stage */
#define FSTS_ICE  0x20u
#define SID	  ((uint64_t)VG_SID)
#define CONTEXT	  (VG_CTX + VG_SID * 32)
#define BIG_DIR	  0x100000u /* 2^14 entries: 128 KiB */
#define PSS_OF(n) (~(0x1full << 35) | (uint64_t)(n) << 35)

/* @ecap: what the VMM offers of it */
static struct vfake *start(uint64_t ecap, bool ext)
{
	struct vfake *fake = calloc(1, sizeof(*fake));
	struct nestfd_viommu_config config;
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = VG_SID,
		.dev_id = 7,
		.attach = vf_attach,
		.attach_pasid = vf_attach_pasid,
		.ctx = fake,
	};

	assert_non_null(fake);
	vf_config(fake, &config);
	fake->ext = ext;
	config.ecap = ecap;
	assert_int_equal(nestfd_viommu_vtd_create(&config, &fake->viommu), 0);
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
	return fake;
}

/* ---- RID_PASID ---- */

/*
 * From one PASID to another whose entry is the same, word for word: it is
 * another space nevertheless, and is told apart by its PASID.
 */
static void another_rid_pasid_with_the_same_entry_is_another_space(void **state)
{
	struct vfake *fake = start(~0ull, false);
	uint32_t first, second;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_pasid(fake, 5, FS, 1, 0x7000);
	vg_boot(fake, false);
	first = vf_attached(fake, VF_NO_PASID);
	assert_int_equal(fake->hwpt[fake->nhwpt - 1].s1_root, 0x7000);
	vg_do(fake, 0x26 | 1 << 16, 0);
	assert_int_equal(fake->ninval, 1);
	vg_store(fake, CONTEXT + 8, 5);
	vg_do(fake, 0x31 | SID << 32, 0);
	second = vf_attached(fake, VF_NO_PASID);
	assert_int_not_equal(second, first);
	assert_true(vf_is_destroyed(fake, first));
	vf_forget(fake);
	vg_do(fake, 0x36 | 1 << 16 | 5ull << 32, 0x2000);
	assert_int_equal(fake->ninval, 1);
	assert_int_equal(fake->inval[0].hwpt_id, second);
	vf_end(fake);
}

/* What takes its place may not be there: then nothing passes. */
static void a_rid_pasid_that_cannot_be_left_completes_no_wait(void **state)
{
	struct vfake *fake = start(~0ull, false);
	uint32_t wait;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_pasid(fake, 5, FS, 1, 0x7000);
	vg_boot(fake, false);
	vg_store(fake, CONTEXT + 8, 5);
	fake->fail_attach = -EIO;
	fake->fail_attaches = 1;
	vg_put(fake, 0x31 | SID << 32, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	assert_int_equal(vg_reg64(fake, R_IQERCD), 2);
	assert_int_not_equal(vg_status(fake), wait);
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(vg_status(fake), wait);
	vf_end(fake);
}

/* ---- ATS off ---- */

static void an_invalid_answer_is_moot_with_ats_off(void **state)
{
	struct vfake *fake = start(~0ull, true);

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, true);
	fake->bad_addr = 0x2000;
	fake->bad_error = 1; /* ICE */
	fake->bad_times = 1;
	vg_do(fake, 0x10036, 0x2000);
	assert_int_equal(fake->bad_times, 0);
	vg_store(fake, CONTEXT, VG_DIR | 9); /* DTE off */
	vg_do(fake, 0x11, 0);
	vg_store(fake, CONTEXT, VG_DIR | 0xd);
	vg_do(fake, 0x11, 0);
	vg_do(fake, 0x3 | SID << 32, 0x2000);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
	/* of a device that keeps it on, it is told */
	fake->bad_times = 1;
	vg_do(fake, 0x10036, 0x2000);
	vg_put(fake, 0x3 | SID << 32, 0x2000);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), FSTS_ICE);
	vf_end(fake);
}

/* ---- PASIDs beyond PSS ---- */

/*
 * SGN.10: a request whose PASID has more bits than PSS is not translated, so
 * no such PASID is attached, by whatever descriptor it is named, and none of
 * their tables is read.
 */
static void pasids_beyond_pss_are_not_attached(void **state)
{
	(void)state;
	for (unsigned int bits = 7; bits <= 12; bits++) {
		struct vfake *fake = start(PSS_OF(bits - 1), false);
		uint32_t most = 1u << bits;
		uint64_t reads;

		/* all 128 entries lead to one table */
		for (uint64_t i = 1; i < 128; i++)
			vg_store(fake, VG_DIR + i * 8, VG_PASIDS | 1);
		vg_boot(fake, false);
		vg_pasid(fake, 63, FS, 1, 0x7000);
		reads = fake->reads;
		vg_do(fake, 0x37, 0);
		assert_in_range(fake->reads - reads, most / 64, most / 32 + 8);
		for (uint32_t pasid = 63; pasid < 0x2000; pasid += 64)
			assert_int_equal(!!vf_attached(fake, pasid),
					 pasid < most);
		/* one by one */
		vg_do(fake, 0x17 | 1 << 16 | (most - 1ull) << 32, 0);
		vg_do(fake, 0x17 | 1 << 16 | (most + 63ull) << 32, 0);
		assert_int_not_equal(vf_attached(fake, most - 1), 0);
		assert_int_equal(vf_attached(fake, most + 63), 0);
		vf_end(fake);
	}
}

/* ---- tables that lead to themselves ---- */

/* Until the wait is done; no access does more than a slice of work. */
static void finish(struct vfake *fake, uint32_t wait)
{
	for (int i = 0; i < 64 && vg_status(fake) != wait; i++) {
		uint64_t reads = fake->reads;

		vg_reg(fake, R_FSTS);
		assert_in_range(fake->reads - reads, 0, 1u << 17);
	}
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
}

/*
 * A directory whose entries are the directory, or pages of it. Read as a PASID
 * entry, such an entry has P set and PGTT 0, which is no type (SPT.4).
 */
static void a_pasid_directory_that_loops_blocks(void **state)
{
	struct vfake *fake = start(~0ull, false);
	uint64_t reads;
	int calls;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	for (unsigned int pages = 1; pages <= 32; pages *= 32) {
		uint32_t wait;

		for (uint64_t i = 0; i < 1 << 14; i++)
			vg_store(fake, BIG_DIR + i * 8,
				 (BIG_DIR + i % pages * 0x1000) | 1);
		/* PDTS 7: 2^14 entries */
		vg_store(fake, CONTEXT, BIG_DIR | 0xe09);
		calls = fake->nhwpt;
		reads = fake->reads;
		vg_put(fake, 0x11, 0);
		wait = vg_put_wait(fake);
		vg_doorbell(fake);
		finish(fake, wait);
		/* each entry, and the table behind it, once */
		assert_in_range(fake->reads - reads, 1 << 14,
				2 * (1 << 14) + 64);
		assert_int_equal(fake->nhwpt, calls);
		assert_int_equal(vf_attached(fake, VF_NO_PASID),
				 fake->hwpt[0].id); /* blocked */
		for (uint32_t pasid = 1; pasid < 1 << 20; pasid += 1023)
			assert_int_equal(vf_attached(fake, pasid), 0);
	}
	/* and back */
	vg_store(fake, CONTEXT, VG_DIR | 9);
	vg_do(fake, 0x11, 0);
	assert_int_equal(fake->hwpt[fake->nhwpt - 1].s1_root, 0x7000);
	assert_int_equal(vf_attached(fake, VF_NO_PASID),
			 fake->hwpt[fake->nhwpt - 1].id);
	vf_end(fake);
}

/*
 * One page that is the directory and its own first PASID table, and is legal as
 * both: entry 1 of the table lies where the directory's entries 8 to 15 are.
 * Those, as entries of the directory, have reserved bits set (SPD.3).
 */
static void a_directory_that_is_its_own_table_is_read_as_both(void **state)
{
	struct vfake *fake = start(~0ull, false);
	const uint64_t at = BIG_DIR;

	(void)state;
	vg_store(fake, at, at | 1);
	vg_store(fake, at + 64, FS);
	vg_store(fake, at + 64 + 8, 1);
	vg_store(fake, at + 64 + 16, 0x7000);
	vg_boot(fake, false);
	vg_store(fake, CONTEXT, at | 9);
	vg_do(fake, 0x11, 0);
	/* PASID 1 alone; RID_PASID is 0, whose entry has no type */
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	assert_int_not_equal(vf_attached(fake, 1), 0);
	for (uint32_t pasid = 2; pasid < 0x2000; pasid++)
		assert_int_equal(vf_attached(fake, pasid), 0);
	vg_store(fake, CONTEXT + 8, 1);
	vg_do(fake, 0x11, 0);
	assert_int_not_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	vf_end(fake);
}

/* The root table as its own context table, and that as the directory */
static void roots_and_contexts_that_loop_block(void **state)
{
	static const uint32_t pages[] = { VG_ROOT, VG_CTX };
	struct vfake *fake = start(~0ull, false);

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	for (int i = 0; i < 2; i++) {
		vg_store(fake, CONTEXT, pages[i] | 9);
		vg_do(fake, 0x11, 0);
		assert_int_equal(vf_attached(fake, VF_NO_PASID),
				 fake->hwpt[0].id);
		vg_store(fake, CONTEXT, VG_DIR | 9);
		vg_do(fake, 0x11, 0);
		assert_int_not_equal(vf_attached(fake, VF_NO_PASID),
				     fake->hwpt[0].id);
	}
	/* 00:02.0 is at 0x200 of the root table, bus 32's entry: zeros */
	vg_store(fake, VG_ROOT, VG_ROOT | 1);
	vg_do(fake, 0x11, 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	/* itself, once more */
	vg_store(fake, VG_ROOT + 0x200, VG_ROOT | 1);
	vg_do(fake, 0x11, 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	vf_end(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			another_rid_pasid_with_the_same_entry_is_another_space),
		cmocka_unit_test(
			a_rid_pasid_that_cannot_be_left_completes_no_wait),
		cmocka_unit_test(an_invalid_answer_is_moot_with_ats_off),
		cmocka_unit_test(pasids_beyond_pss_are_not_attached),
		cmocka_unit_test(a_pasid_directory_that_loops_blocks),
		cmocka_unit_test(
			a_directory_that_is_its_own_table_is_read_as_both),
		cmocka_unit_test(roots_and_contexts_that_loop_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
