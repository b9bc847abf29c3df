// SPDX-License-Identifier: MIT
/* The virtual VT-d unit follows the guest's root, context and PASID tables. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "vtd_fake.h"

/* P and a first-stage table */
#define FS 0x41

static const struct vf_hwpt *last_nested(const struct vfake *fake)
{
	for (int i = fake->nhwpt; i--;)
		if (fake->hwpt[i].data_type)
			return &fake->hwpt[i];
	return NULL;
}

static bool is_blocked(const struct vfake *fake)
{
	uint32_t id = vf_attached(fake, VF_NO_PASID);

	/* the first HWPT: on an IOAS that nothing is ever mapped in */
	return id == fake->hwpt[0].id && fake->hwpt[0].pt_id == 100;
}

static void a_device_passes_until_translation_is_on(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	assert_int_equal(fake->nattach, 1);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	assert_int_equal(fake->nhwpt, 1); /* blocking */
	assert_int_equal(fake->hwpt[0].flags, 0);
	vf_end(fake);
}

static void without_tables_all_is_blocked(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_boot(fake, true);
	assert_true(is_blocked(fake));
	vg_set(fake, R_GCMD, 0x04000000); /* TE off again */
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vf_end(fake);
}

static void a_first_stage_entry_becomes_a_nested_hwpt(void **state)
{
	struct vfake *fake = vf_start(false, false);
	const struct vf_hwpt *hwpt;

	(void)state;
	vg_pasid(fake, 0, FS, 0x123, 0x22f0000);
	vg_boot(fake, true);
	hwpt = last_nested(fake);
	assert_non_null(hwpt);
	assert_int_equal(hwpt->pt_id, VF_PARENT);
	assert_int_equal(hwpt->dev_id, 7);
	assert_int_equal(hwpt->data_type, 1);
	assert_int_equal(hwpt->flags, 0);
	assert_int_equal(hwpt->s1_root, 0x22f0000);
	assert_int_equal(hwpt->s1_width, 48);
	assert_int_equal(hwpt->s1_flags, 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), hwpt->id);
	vf_end(fake);
}

static void what_the_entry_says_of_its_table_goes_down(void **state)
{
	static const struct {
		uint64_t dw2;
		uint64_t flags;
		uint32_t width;
	} cases[] = {
		{ 0x7000, 0, 48 }, { 0x7001, 1, 48 }, /* SRE */
		{ 0x7080, 2, 48 },		      /* EAFE */
		{ 0x7010, 4, 48 },		      /* WPE */
		{ 0x7004, 0, 57 },		      /* FSPM 1 */
		{ 0x7095, 7, 57 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = vf_start(false, false);

		vg_pasid(fake, 0, FS, 1, cases[i].dw2);
		vg_boot(fake, false);
		assert_non_null(last_nested(fake));
		assert_int_equal(last_nested(fake)->s1_flags, cases[i].flags);
		assert_int_equal(last_nested(fake)->s1_width, cases[i].width);
		assert_int_equal(last_nested(fake)->s1_root, 0x7000);
		vf_end(fake);
	}
}

/* 9.6, by hand: bits that are reserved here or mean something else */
static void each_reserved_bit_of_a_pasid_entry_blocks(void **state)
{
	static const uint64_t legal[8] = {
		/* P is not one of them, nor PGTT; FPD, AW, SSPTPTR to bit 51 */
		0x000ffffffffff01e,
		0x000000000180ffff & ~0x1000000ull, /* DID, PWSNP */
		/* SRE, FSPM low bit, WPE, PCD.., EAFE, table to bit 51 */
		0x000ffffffffff0f5,
	};
	struct vfake *fake = vf_start(false, false);
	int blocked = 0;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	for (int bit = 0; bit < 512; bit++) {
		uint64_t at = VG_PASIDS + (uint64_t)bit / 64 * 8;
		uint64_t flip = 1ull << bit % 64;
		uint64_t old = vg_word(fake, at);

		vg_store(fake, at, old ^ flip);
		vg_do(fake, 0x37, 0); /* PASID cache, global */
		assert_int_equal(is_blocked(fake), !(legal[bit / 64] & flip));
		blocked += is_blocked(fake);
		vg_store(fake, at, old);
		vg_do(fake, 0x37, 0);
		assert_false(is_blocked(fake));
	}
	assert_int_equal(blocked, 512 - 44 - 17 - 46);
	vf_end(fake);
}

static void each_reserved_bit_of_a_context_entry_blocks(void **state)
{
	/* FPD, DTE, PASIDE, PDTS; bits 51:12 are the directory's address */
	static const uint64_t legal0 = 0xe0e;
	struct vfake *fake = vf_start(false, false);
	uint64_t at = VG_CTX + 0x10 * 32;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, true);
	for (int bit = 0; bit < 256; bit++) {
		uint64_t flip = 1ull << bit % 64;
		uint64_t old = vg_word(fake, at + (uint64_t)bit / 64 * 8);
		bool expect = bit >= 64 || !(legal0 & flip);

		vg_store(fake, at + (uint64_t)bit / 64 * 8, old ^ flip);
		/* context cache, by device */
		vg_do(fake, 0x31 | (uint64_t)VG_SID << 32, 0);
		assert_int_equal(is_blocked(fake), expect);
		vg_store(fake, at + (uint64_t)bit / 64 * 8, old);
		vg_do(fake, 0x11, 0); /* global */
		assert_false(is_blocked(fake));
	}
	vf_end(fake);
}

/* A host without @cap, @ecap; scalable mode, DTE if it has ATS */
static struct vfake *start_less(uint64_t cap, uint64_t ecap)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);

	fake->cap &= ~cap;
	fake->ecap &= ~ecap;
	vf_plug(fake, &config, false);
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	return fake;
}

static void what_is_not_offered_is_reserved(void **state)
{
	static const struct {
		uint64_t cap, ecap;
		uint64_t context0, context1;
		uint64_t pasid[3];
	} cases[] = {
		{ 1ull << 60, 0, 9, 0, { FS, 1, 0x7004 } }, /* FS5LP */
		{ 0, 1ull << 31, 9, 0, { FS, 1, 0x7001 } }, /* SRS */
		{ 0, 1ull << 34, 9, 0, { FS, 1, 0x7080 } }, /* EAFS */
		{ 0, 1ull << 6, 9, 0, { 0x101, 1, 0 } },    /* PT */
		{ 0, 1ull << 46, 9, 0, { 0x30089, 1, 0 } }, /* SSTS */
		{ 0, 1ull << 48, 9, 0, { FS, 0x800001, 0x7000 } },
		{ 0, 1ull << 2, 0xd, 0, { FS, 1, 0x7000 } }, /* DT */
		{ 0, 1ull << 40, 9, 0, { FS, 1, 0x7000 } },  /* PASID */
		{ 0, 1ull << 49, 9, 1, { FS, 1, 0x7000 } },  /* RPS */
		{ 6, 0, 9, 0, { FS, 0x10, 0x7000 } },	     /* ND */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int less = 0; less < 2; less++) {
			struct vfake *fake =
				start_less(less ? cases[i].cap : 0,
					   less ? cases[i].ecap : 0);

			vg_store(fake, VG_CTX + 0x10 * 32,
				 VG_DIR | cases[i].context0);
			vg_store(fake, VG_CTX + 0x10 * 32 + 8,
				 cases[i].context1);
			for (uint32_t pasid = 0; pasid < 2; pasid++)
				vg_pasid(fake, pasid, cases[i].pasid[0],
					 cases[i].pasid[1], cases[i].pasid[2]);
			vg_do(fake, 0x11, 0);
			assert_int_equal(is_blocked(fake), less);
			vf_end(fake);
		}
	}
}

static void rid_pasid_is_within_the_directory(void **state)
{
	struct vfake *fake = start_less(0, 0);

	(void)state;
	/* PASID 0x2000 would be in entry 128; there are 128, then 256 */
	vg_store(fake, VG_DIR + 128 * 8, VG_PASIDS | 1);
	vg_store(fake, VG_CTX + 0x10 * 32 + 8, 0x2000);
	vg_do(fake, 0x11, 0);
	assert_true(is_blocked(fake));
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 0x209);
	vg_do(fake, 0x11, 0);
	assert_false(is_blocked(fake));
	vf_end(fake);
}

static void rid_pasid_names_another_entry(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_pasid(fake, 5, FS, 1, 0x9000);
	vg_boot(fake, false);
	assert_true(is_blocked(fake));
	vg_store(fake, VG_CTX + 0x10 * 32 + 8, 5);
	vg_do(fake, 0x31 | (uint64_t)VG_SID << 32, 0);
	assert_int_equal(last_nested(fake)->s1_root, 0x9000);
	vf_forget(fake);
	/* P_IOTLB of DID 1: not PASID 0, but 5 */
	vg_do(fake, 0x26 | 1 << 16, 0);
	assert_int_equal(fake->ninval, 0);
	vg_do(fake, 0x26 | 1 << 16 | 5ull << 32, 0);
	assert_int_equal(fake->ninval, 1);
	vf_end(fake);
}

static void functions_above_127_have_a_table_of_their_own(void **state)
{
	struct vfake *fake = vf_start(false, false);
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x390,
		.dev_id = 12,
		.attach = vf_attach,
		.ctx = fake,
	};

	(void)state;
	vg_boot(fake, false);
	/* bus 3: upper table at 0x8000; device 18 there is number 0x10 */
	vg_store(fake, VG_ROOT + 3 * 16 + 8, 0x8001);
	vg_store(fake, 0x8000 + 0x10 * 32, VG_DIR | 1);
	vg_pasid(fake, 0, FS, 1, 0x7000);
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
	assert_int_equal(last_nested(fake)->dev_id, 12);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x390), 0);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x390),
			 -ENOENT);
	vf_end(fake);
}

static void pass_through_is_the_parent(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_pasid(fake, 0, 0x101, 1, 0); /* PGTT 4 */
	vg_boot(fake, false);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	assert_null(last_nested(fake));
	vf_end(fake);
}

static void types_that_are_not_offered_block(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_boot(fake, false);
	for (uint64_t pgtt = 0; pgtt < 8; pgtt++) {
		vg_pasid(fake, 0, 1 | pgtt << 6 | 2 << 2, 1, 0x7000);
		vg_do(fake, 0x17, 0); /* PASID cache: PASID 0 */
		assert_int_equal(is_blocked(fake),
				 pgtt != 1 && pgtt != 2 && pgtt != 4);
	}
	vf_end(fake);
}

static void a_changed_entry_counts_when_it_is_invalidated(void **state)
{
	struct vfake *fake = vf_start(false, false);
	uint32_t old;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	old = vf_attached(fake, VF_NO_PASID);
	vf_forget(fake);
	vg_pasid(fake, 0, FS, 1, 0x8000);
	vg_do(fake, 0x26 | 1 << 16, 0); /* P_IOTLB is not enough */
	assert_int_equal(fake->nhwpt, 0);
	vg_do(fake, 0x17 | 1 << 16, 0);
	assert_int_equal(fake->nhwpt, 1);
	assert_int_equal(fake->hwpt[0].s1_root, 0x8000);
	assert_int_equal(fake->nattach, 1);
	assert_int_equal(fake->attach[0].pt_id, fake->hwpt[0].id);
	assert_int_equal(fake->ndestroyed, 1);
	assert_int_equal(fake->destroyed[0], old);
	/* as before: nothing to do */
	vg_do(fake, 0x17 | 1 << 16, 0);
	assert_int_equal(fake->nhwpt, 1);
	vg_pasid(fake, 0, 0, 0, 0);
	vg_do(fake, 0x17 | 1 << 16, 0);
	assert_true(vf_is_destroyed(fake, fake->hwpt[0].id));
	assert_int_equal(fake->nattach, 2);
	vf_end(fake);
}

static void pasids_are_attached_and_detached(void **state)
{
	struct vfake *fake = vf_start(false, true);
	uint32_t id;

	(void)state;
	assert_int_equal(fake->hwpt[0].flags, 8); /* ALLOC_PASID */
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_pasid(fake, 3, FS, 2, 0x8000);
	vg_boot(fake, false);
	assert_int_equal(fake->hwpt[1].flags, 8);
	assert_int_equal(fake->hwpt[2].flags, 8);
	assert_int_equal(vf_attached(fake, 3), fake->hwpt[2].id);
	assert_int_equal(fake->hwpt[2].s1_root, 0x8000);
	/* one appears */
	vg_pasid(fake, 63, FS, 2, 0x9000);
	vg_do(fake, 0x17 | 63ull << 32, 0);
	assert_int_equal(vf_attached(fake, 63), fake->hwpt[3].id);
	/* pass-through, too */
	vg_pasid(fake, 40, 0x101, 2, 0);
	vg_do(fake, 0x37, 0);
	assert_int_equal(vf_attached(fake, 40), VF_PARENT);
	/* one goes */
	id = vf_attached(fake, 3);
	vg_pasid(fake, 3, 0, 0, 0);
	vg_do(fake, 0x07 | 2 << 16, 0); /* PASID cache: domain 2 */
	assert_int_equal(vf_attached(fake, 3), 0);
	assert_true(vf_is_destroyed(fake, id));
	assert_int_not_equal(vf_attached(fake, 63), 0);
	/* PASIDs off: all go */
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 1);
	vg_do(fake, 0x11, 0);
	assert_int_equal(vf_attached(fake, 63), 0);
	assert_int_equal(vf_attached(fake, 40), 0);
	vf_end(fake);
}

static void tables_of_pasids_beyond_the_first_are_found(void **state)
{
	struct vfake *fake = vf_start(false, true);

	(void)state;
	vg_boot(fake, false);
	/* PASID 0x1fff: entry 127 of the directory, 63 of the table */
	vg_store(fake, VG_DIR + 127 * 8, 0x9001);
	vg_store(fake, 0x9000 + 63 * 64, FS);
	vg_store(fake, 0x9000 + 63 * 64 + 16, 0x8000);
	vg_do(fake, 0x37, 0);
	assert_int_not_equal(vf_attached(fake, 0x1fff), 0);
	/* 2^8 tables now, the directory goes on */
	vg_store(fake, VG_CTX + 0x10 * 32, VG_DIR | 0x209);
	vg_store(fake, VG_DIR + 255 * 8, 0x9001);
	vg_do(fake, 0x11, 0);
	assert_int_not_equal(vf_attached(fake, 0x3fff), 0);
	vf_end(fake);
}

static void devices_without_pasids_have_only_one_space(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_boot(fake, false);
	vg_pasid(fake, 3, FS, 2, 0x8000);
	vg_do(fake, 0x17 | 3ull << 32, 0);
	vg_do(fake, 0x37, 0);
	assert_int_equal(fake->nhwpt, 1);
	vf_end(fake);
}

static void what_the_host_refuses_is_blocked_and_tried_again(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	fake->fail_hwpt = -EINVAL;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	assert_true(is_blocked(fake));
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
	fake->fail_hwpt = 0;
	vg_do(fake, 0x17, 0);
	assert_false(is_blocked(fake));
	vf_end(fake);
}

static void what_cannot_be_revoked_completes_no_wait(void **state)
{
	struct vfake *fake = vf_start(false, false);
	uint32_t before, wait;

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	before = vf_attached(fake, VF_NO_PASID);
	vg_put(fake, 0x11, 0);
	vg_put_wait(fake);
	vg_doorbell(fake);
	vg_pasid(fake, 0, 0, 0, 0);
	fake->fail_attach = -EIO;
	fake->fail_attaches = 1;
	vg_put_wait(fake);
	vg_put(fake, 0x17, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait - 1);   /* the one in front */
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);  /* IQE */
	assert_int_equal(vg_reg64(fake, R_IQERCD), 2); /* fetch */
	assert_int_equal(vg_reg64(fake, R_IQH), 3 * 32);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), before);
	assert_false(vf_is_destroyed(fake, before));
	assert_int_equal(vg_word(fake, VG_MSI) & 0xffffffff, 0x77);
	vg_set(fake, R_FSTS, 0x10); /* seen: again, and now it works */
	assert_int_equal(vg_status(fake), wait);
	assert_true(is_blocked(fake));
	assert_true(vf_is_destroyed(fake, before));
	vf_end(fake);
}

/* Rings with PASID 5 named @n times, then @last; how often memory is read */
static uint64_t name_pasids(struct vfake *fake, uint32_t n, uint32_t last)
{
	uint64_t reads = fake->reads;

	vg_set(fake, R_GCMD, 0x80000000); /* QIE off; 512 descriptors */
	vg_set64(fake, R_IQA, VG_QUEUE | 0x802);
	vg_set64(fake, R_IQT, 0);
	vg_set(fake, R_GCMD, 0x84000000);
	for (uint32_t i = 0; i <= n; i++) {
		uint64_t pasid = i < n ? 5 : last;

		memset(fake->mem + VG_QUEUE + i * 32, 0, 32);
		vg_store(fake, VG_QUEUE + i * 32, 0x10017 | pasid << 32);
	}
	vg_set64(fake, R_IQT, (n + 1) * 32);
	assert_int_equal(vg_reg64(fake, R_IQH), (n + 1) * 32);
	return fake->reads - reads;
}

static void many_pasids_are_followed_all_at_once(void **state)
{
	struct vfake *fake = vf_start(false, true);
	uint64_t some, many, more;

	(void)state;
	vg_boot(fake, false);
	vg_pasid(fake, 5, FS, 1, 0x7000);
	some = name_pasids(fake, 100, 5);
	assert_int_not_equal(vf_attached(fake, 5), 0);
	many = name_pasids(fake, 300, 5);
	vg_pasid(fake, 9, FS, 1, 0x8000);
	more = name_pasids(fake, 500, 9);
	assert_int_not_equal(vf_attached(fake, 9), 0);
	assert_true(many > some);
	assert_true(more - many < 100);
	/* what is gone is noticed as well */
	vg_pasid(fake, 9, 0, 0, 0);
	name_pasids(fake, 400, 9);
	assert_int_equal(vf_attached(fake, 9), 0);
	assert_int_not_equal(vf_attached(fake, 5), 0);
	vf_end(fake);
}

static void tables_outside_memory_block(void **state)
{
	struct vfake *fake = vf_start(false, true);

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	vg_store(fake, VG_DIR, 0x800000001);
	vg_do(fake, 0x37, 0);
	assert_true(is_blocked(fake));
	vg_store(fake, VG_CTX + 0x10 * 32, 0xffffffffff009);
	vg_do(fake, 0x11, 0);
	assert_true(is_blocked(fake));
	vg_set64(fake, R_RTADDR, 0xfffffffff400);
	vg_set(fake, R_GCMD, 0xc4000000);
	assert_true(is_blocked(fake));
	vf_end(fake);
}

static void abort_mode_blocks(void **state)
{
	struct vfake *fake = vf_start(false, false);

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_boot(fake, false);
	assert_false(is_blocked(fake));
	vg_set64(fake, R_RTADDR, VG_ROOT | 0xc00);
	vg_set(fake, R_GCMD, 0xc4000000); /* SRTP */
	assert_true(is_blocked(fake));
	vf_end(fake);
}

static void a_reset_starts_from_the_beginning(void **state)
{
	struct vfake *fake = vf_start(false, true);

	(void)state;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_pasid(fake, 3, FS, 2, 0x8000);
	vg_boot(fake, true);
	vg_put(fake, 0xffff, 0);
	vg_doorbell(fake);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	nestfd_viommu_reset(fake->viommu);
	assert_int_equal(vg_reg(fake, R_FSTS), 0);
	assert_int_equal(vg_reg(fake, R_GSTS), 0);
	assert_int_equal(vg_reg64(fake, R_RTADDR), 0);
	assert_int_equal(vg_reg64(fake, R_IQT), 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	assert_int_equal(vf_attached(fake, 3), 0);
	fake->tail = 0;
	vg_boot(fake, true);
	vg_do(fake, 0x11, 0);
	assert_int_not_equal(vf_attached(fake, 3), 0);
	vf_end(fake);
}

static void devices_are_checked(void **state)
{
	struct vfake *fake = vf_start(false, false);
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x10000,
		.dev_id = 12,
		.attach = vf_attach,
		.ctx = fake,
	};

	(void)state;
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), -EINVAL);
	dev.vsid = VG_SID;
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), -EEXIST);
	dev.vsid = 0x11;
	fake->fail_attach = -EBUSY;
	fake->fail_attaches = 2;
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), -EBUSY);
	dev.attach = NULL;
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), -EINVAL);
	assert_int_equal(nestfd_viommu_device_remove(fake->viommu, 0x11),
			 -ENOENT);
	assert_int_equal(
		nestfd_viommu_device_remove(fake->viommu, 0x10000 + VG_SID),
		-ENOENT);
	assert_int_equal(nestfd_viommu_event_fd(fake->viommu), -1);
	assert_int_equal(nestfd_viommu_pump(fake->viommu), 0);
	vf_end(fake);
}

/* ---- identification ---- */

struct ids {
	uint64_t cap;
	uint64_t ecap;
};

static int read_ids(struct vfake *fake,
		    const struct nestfd_viommu_config *config, struct ids *ids)
{
	int rc = nestfd_viommu_vtd_create(config, &fake->viommu);

	if (rc)
		return rc;
	ids->cap = vg_reg64(fake, R_CAP);
	ids->ecap = vg_reg64(fake, R_ECAP);
	nestfd_viommu_destroy(fake->viommu);
	assert_int_equal(fake->live, 0);
	return 0;
}

static void the_guest_sees_the_hosts_best(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	struct ids ids;

	(void)state;
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	/*
	 * ND 6, CM, 48 and 57 bits, MGAW 57, ZLR, FRO 0x22, 2M and 1G, PSI,
	 * MAMV 45, DWD, DRD, FS1GP, FS5LP; one fault record
	 */
	assert_int_equal(ids.cap, 0x11ed008c22780c86);
	/*
	 * C, QI, DT, PT, IRO 0xf, SRS, EAFS, PSS 19, PASID, SMTS, SSTS, FSTS,
	 * SMPWCS, RPS. (The host: no ADMS.)
	 */
	assert_int_equal(ids.ecap, 0x3c99c80000f47);
	free(fake);
}

static void each_feature_the_vmm_leaves_out_is_gone(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	struct ids all, less;

	(void)state;
	assert_int_equal(read_ids(fake, &config, &all), 0);
	for (int bit = 0; bit < 64; bit++) {
		uint64_t flip = 1ull << bit;

		config.cap = ~flip;
		config.ecap = 0;
		if (read_ids(fake, &config, &less) == 0) {
			/* FRO is where it is; ND, MGAW, MAMV are numbers */
			assert_false(less.cap & flip & ~0x3f0003ff3f0007ull);
			assert_false(less.cap & ~all.cap &
				     ~0x3f0000003f0007ull);
		}
		config.cap = 0;
		config.ecap = ~flip;
		if (read_ids(fake, &config, &less) == 0) {
			/* QI, and IRO where it is; PSS is a number */
			assert_false(less.ecap & flip & ~0xf80003ff02ull);
			assert_false(less.ecap & ~all.ecap & ~0xf800000000ull);
			assert_true((less.ecap >> 35 & 31) <= 19);
		}
	}
	free(fake);
}

static void what_the_host_lacks_is_not_offered(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	struct ids ids;

	(void)state;
	fake->ecap &= ~(1ull << 26); /* NEST: legacy mode remains */
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	assert_int_equal(ids.ecap, 0xf47);
	config.parent_ioas = 0; /* nor anything to copy from */
	assert_int_equal(read_ids(fake, &config, &ids), -EOPNOTSUPP);
	vf_config(fake, &config);
	config.parent_ioas = 0;
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	assert_int_equal(ids.cap & 0x1f00, 0);	    /* SAGAW */
	assert_int_equal(ids.ecap & 1ull << 46, 0); /* SSTS */
	fake->caps = 8;				    /* PCI_ATS_NOT_SUPPORTED */
	fake->pasid_log2 = 0;
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	assert_int_equal(ids.ecap & 4, 0);	       /* DT */
	assert_int_equal(ids.ecap & 0x1f800000000, 0); /* PASID, PSS */
	fake->hw_type = 2;
	assert_int_equal(read_ids(fake, &config, &ids), -EOPNOTSUPP);
	free(fake);
}

static void caching_mode_is_as_the_vmm_says(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	struct ids ids;

	(void)state;
	config.cap = 0x19ed008c40780c66; /* CM is 0 */
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	assert_int_equal(ids.cap & 0x80, 0);
	config.cap |= 0x80;
	assert_int_equal(read_ids(fake, &config, &ids), 0);
	assert_int_equal(ids.cap & 0x80, 0x80);
	free(fake);
}

static void configurations_are_checked(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	struct ids ids;

	(void)state;
	config.size--;
	assert_int_equal(read_ids(fake, &config, &ids), -EINVAL);
	vf_config(fake, &config);
	config.queue = NESTFD_QUEUE_RING;
	assert_int_equal(read_ids(fake, &config, &ids), -EOPNOTSUPP);
	config.queue = (enum nestfd_queue)3;
	assert_int_equal(read_ids(fake, &config, &ids), -EINVAL);
	vf_config(fake, &config);
	config.guest.write = NULL;
	assert_int_equal(read_ids(fake, &config, &ids), -EINVAL);
	free(fake);
}

/* Whatever call fails, the rest is consistent and everything is returned. */
static void any_call_may_fail(void **state)
{
	(void)state;
	for (int n = 1; n < 40; n++) {
		struct nestfd_viommu_config config;
		struct vfake *fake = vf_new(&config);
		struct nestfd_viommu_device dev = vf_device(fake, true);

		fake->fail_nth_ioctl = n;
		if (nestfd_viommu_vtd_create(&config, &fake->viommu)) {
			assert_int_equal(fake->live, 0);
			free(fake);
			continue;
		}
		if (!nestfd_viommu_device_add(fake->viommu, &dev)) {
			vg_pasid(fake, 0, FS, 1, 0x7000);
			vg_pasid(fake, 3, 0x89, 2, 0); /* second stage */
			vg_boot(fake, true);
			vg_put(fake, 0x12, 0);
			vg_put(fake, 0x37, 0);
			vg_put_wait(fake);
			vg_doorbell(fake);
		}
		vf_end(fake);
	}
}

/* What VFIO is asked, in place of libc's */
static struct {
	int fd;
	unsigned long request;
	uint32_t arg[4];
} asked;

int ioctl(int fd, unsigned long request, ...)
{
	const uint32_t *arg;
	va_list args;

	va_start(args, request);
	arg = va_arg(args, const void *);
	va_end(args);
	asked.fd = fd;
	asked.request = request;
	memcpy(asked.arg, arg, arg[0] < 16 ? arg[0] : 16);
	if (fd == 77)
		return 0;
	errno = EBUSY;
	return -1;
}

static void real_devices_attach_by_pasid(void **state)
{
	int fd = 77, bad = 78;

	(void)state;
	/* VFIO_DEVICE_ATTACH_IOMMUFD_PT: argsz, ATTACH_PASID, pt_id, pasid */
	assert_int_equal(nestfd_vfio_attach_pasid(&fd, 5, 9), 0);
	assert_int_equal(asked.fd, 77);
	assert_int_equal(asked.request, 0x3b77);
	assert_memory_equal(asked.arg, ((uint32_t[]){ 16, 1, 9, 5 }), 16);
	/* VFIO_DEVICE_DETACH_IOMMUFD_PT: argsz, DETACH_PASID, pasid */
	assert_int_equal(nestfd_vfio_attach_pasid(&fd, 6, 0), 0);
	assert_int_equal(asked.request, 0x3b78);
	assert_memory_equal(asked.arg, ((uint32_t[]){ 12, 1, 6 }), 12);
	assert_int_equal(nestfd_vfio_attach(&fd, 9), 0);
	assert_int_equal(asked.request, 0x3b77);
	assert_memory_equal(asked.arg, ((uint32_t[]){ 12, 0, 9 }), 12);
	assert_int_equal(nestfd_vfio_attach_pasid(&bad, 5, 9), -EBUSY);
	assert_int_equal(nestfd_vfio_attach_pasid(&bad, 5, 0), -EBUSY);
	assert_int_equal(nestfd_vfio_attach(&bad, 9), -EBUSY);
}

static void a_probe_says_it_in_words(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);
	char text[2048];

	(void)state;
	assert_int_equal(nestfd_probe(&config.backend, 7, text, sizeof(text)),
			 0);
	assert_non_null(strstr(text, "CAP 0x19ed008c40780c66, "
				     "ECAP 0x0003ef9e86f050df\n"
				     "scalable mode yes; stages: 1 2; "
				     "nesting possible\n"
				     "PASIDs of 20 bits, IOVAs of 57 bits, "
				     "ATS yes\n"));
	free(fake);
}

/* One life of a guest; false if it could not even be made. */
static bool live(struct vfake *fake)
{
	struct nestfd_viommu_config config;
	struct nestfd_viommu_device dev = vf_device(fake, true);

	vf_config(fake, &config);
	if (nestfd_viommu_vtd_create(&config, &fake->viommu))
		return false;
	if (nestfd_viommu_device_add(fake->viommu, &dev))
		return true;
	vg_pasid(fake, 0, FS, 1, 0x7000);
	vg_pasid(fake, 3, 0x30089, 2, 0); /* second stage */
	vg_store(fake, 0x30000, 0x31003);
	vg_store(fake, 0x31000, 0x32003);
	vg_store(fake, 0x32000, 0x33003);
	for (uint32_t i = 0; i < 100; i++)
		vg_store(fake, 0x33000 + i * 8, 0x40003 + i * 0x1000);
	vg_boot(fake, true);
	for (uint64_t i = 0; i < 40; i++)
		vg_put(fake, 0x10036, i * 0x1000);
	vg_put(fake, 0x12, 0);
	vg_put(fake, 0x37, 0);
	vg_put_wait(fake);
	vg_doorbell(fake);
	nestfd_viommu_reset(fake->viommu);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	assert_int_equal(vf_attached(fake, 3), 0);
	return true;
}

/* Without memory less is attached and mapped, but nothing is left behind. */
static void any_allocation_may_fail(void **state)
{
	struct alloc_plan plan = { 0 };

	(void)state;
	do {
		struct vfake *fake = calloc(1, sizeof(*fake));

		assert_non_null(fake);
		plan.fail_at++;
		plan.passed = 0;
		alloc_arm(&plan);
		if (live(fake)) {
			alloc_arm(NULL);
			if (fake->waits && !vg_status(fake))
				fail_msg("a wait that never completes");
			vf_end(fake);
		} else {
			alloc_arm(NULL);
			assert_int_equal(fake->live, 0);
			free(fake);
		}
	} while (plan.passed >= plan.fail_at);
	print_message("%u allocations\n", (unsigned int)plan.fail_at - 1);
	assert_true(plan.fail_at > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_passes_until_translation_is_on),
		cmocka_unit_test(without_tables_all_is_blocked),
		cmocka_unit_test(a_first_stage_entry_becomes_a_nested_hwpt),
		cmocka_unit_test(what_the_entry_says_of_its_table_goes_down),
		cmocka_unit_test(each_reserved_bit_of_a_pasid_entry_blocks),
		cmocka_unit_test(each_reserved_bit_of_a_context_entry_blocks),
		cmocka_unit_test(what_is_not_offered_is_reserved),
		cmocka_unit_test(rid_pasid_is_within_the_directory),
		cmocka_unit_test(rid_pasid_names_another_entry),
		cmocka_unit_test(functions_above_127_have_a_table_of_their_own),
		cmocka_unit_test(pass_through_is_the_parent),
		cmocka_unit_test(types_that_are_not_offered_block),
		cmocka_unit_test(a_changed_entry_counts_when_it_is_invalidated),
		cmocka_unit_test(pasids_are_attached_and_detached),
		cmocka_unit_test(tables_of_pasids_beyond_the_first_are_found),
		cmocka_unit_test(devices_without_pasids_have_only_one_space),
		cmocka_unit_test(
			what_the_host_refuses_is_blocked_and_tried_again),
		cmocka_unit_test(what_cannot_be_revoked_completes_no_wait),
		cmocka_unit_test(many_pasids_are_followed_all_at_once),
		cmocka_unit_test(tables_outside_memory_block),
		cmocka_unit_test(abort_mode_blocks),
		cmocka_unit_test(a_reset_starts_from_the_beginning),
		cmocka_unit_test(devices_are_checked),
		cmocka_unit_test(the_guest_sees_the_hosts_best),
		cmocka_unit_test(each_feature_the_vmm_leaves_out_is_gone),
		cmocka_unit_test(what_the_host_lacks_is_not_offered),
		cmocka_unit_test(caching_mode_is_as_the_vmm_says),
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(real_devices_attach_by_pasid),
		cmocka_unit_test(a_probe_says_it_in_words),
		cmocka_unit_test(any_call_may_fail),
		cmocka_unit_test(any_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
