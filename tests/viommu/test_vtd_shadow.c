// SPDX-License-Identifier: MIT
/*
 * Guests' second-stage tables, in legacy and scalable mode, become IOASes that
 * are kept like them: what the guest has made present appears and what it has
 * taken away goes when it invalidates, and not before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd_fake.h"

/* Three tables of four levels: 0x20000, 0x21000, 0x22000, 0x23000 */
#define TABLE VG_TABLE
#define RW    3ull
#define PS    0x80ull

/* Legacy: TT 0, that table, 48 bits, DID 5 */
static struct vfake *start(void)
{
	struct vfake *fake = vf_start(false, false);

	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_boot_legacy(fake, TABLE | 1, 0x502);
	return fake;
}

static void assert_map(struct vfake *fake, uint64_t iova, uint64_t length,
		       uint64_t gpa, uint32_t flags)
{
	const struct vf_map *map = vf_map_at(fake, iova);

	assert_non_null(map);
	assert_int_equal(map->iova, iova);
	assert_int_equal(map->length, length);
	assert_int_equal(map->gpa, gpa);
	assert_int_equal(map->flags, flags);
}

static void a_table_is_there_before_its_device(void **state)
{
	struct vfake *fake = start();

	(void)state;
	assert_int_equal(fake->nmap, 1);
	assert_map(fake, 0x1000, 0x1000, 0x111000, 7);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->map[0].ioas);
	vf_end(fake);
}

static void changes_count_when_they_are_invalidated(void **state)
{
	struct vfake *fake = start();

	(void)state;
	vg_page(fake, 2, 0x222000 | RW);
	vg_page(fake, 1, 0);
	vg_do(fake, 0x4, 0);
	assert_int_equal(fake->nmap, 1);
	vg_do(fake, 0x50032, 0x2000); /* IOTLB: DID 5, page 2 */
	assert_int_equal(fake->nmap, 2);
	assert_map(fake, 0x2000, 0x1000, 0x222000, 7);
	vg_do(fake, 0x60032, 0x1000); /* DID 6 */
	assert_int_equal(fake->nmap, 2);
	vg_do(fake, 0x50032, 0x1000);
	assert_null(vf_map_at(fake, 0x1000));
	vg_page(fake, 1, 0x555000 | RW); /* what was invalidated once is over */
	vg_do(fake, 0x50032, 0x2000);
	assert_null(vf_map_at(fake, 0x1000));
	vg_page(fake, 1, 0);
	vg_page(fake, 2, 0x333000 | RW);
	vg_page(fake, 3, 0x444000 | RW);
	vg_do(fake, 0x50022, 0); /* all of DID 5 */
	assert_map(fake, 0x2000, 0x1000, 0x333000, 7);
	assert_map(fake, 0x3000, 0x1000, 0x444000, 7);
	vg_page(fake, 3, 0);
	vg_do(fake, 0x12, 0); /* global */
	assert_int_equal(fake->nmap, 1);
	vf_end(fake);
}

static void what_is_unchanged_is_left_alone(void **state)
{
	struct vfake *fake = start();

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		vg_page(fake, i, (0x100000 + i * 0x1000) | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 64);
	vf_forget(fake);
	vg_page(fake, 7, 0);
	vg_page(fake, 9, 0x300000 | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nunmaps, 2);
	assert_int_equal(fake->ncopies, 1);
	assert_int_equal(fake->nmap, 63);
	vf_end(fake);
}

static void rights_are_those_of_the_whole_way(void **state)
{
	struct vfake *fake = start();

	(void)state;
	vg_page(fake, 0, 0x100001); /* R */
	vg_page(fake, 1, 0x101002); /* W */
	vg_page(fake, 2, 0x102004); /* neither */
	vg_do(fake, 0x12, 0);
	assert_map(fake, 0, 0x1000, 0x100000, 5);
	assert_map(fake, 0x1000, 0x1000, 0x101000, 3);
	assert_null(vf_map_at(fake, 0x2000));
	vg_store(fake, TABLE + 0x1000, (TABLE + 0x2000) | 1);
	vg_do(fake, 0x12, 0);
	assert_map(fake, 0, 0x1000, 0x100000, 5);
	assert_null(vf_map_at(fake, 0x1000));
	vf_end(fake);
}

static void large_pages_are_one_mapping(void **state)
{
	struct vfake *fake = start();

	(void)state;
	/* 2 MiB at 2 MiB, 1 GiB at 1 GiB */
	vg_store(fake, TABLE + 0x2008, 0x40000000 | PS | RW);
	vg_store(fake, TABLE + 0x1008, 0x80000000 | PS | RW);
	vg_do(fake, 0x12, 0);
	assert_map(fake, 0x200000, 0x200000, 0x40000000, 7);
	assert_map(fake, 0x40000000, 0x40000000, 0x80000000, 7);
	/* PS in a PML4E is no page */
	vg_store(fake, TABLE + 8, 0x80000000 | PS | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 3);
	vf_end(fake);
}

/* 9.8: each entry with each bit that is neither a right nor of its address */
static void reserved_bits_do_not_translate(void **state)
{
	static const struct {
		uint64_t at;
		uint64_t entry;
		uint64_t reserved;
	} cases[] = {
		/* 62, 11; 7, as the tables are not that much aligned */
		{ TABLE, (TABLE + 0x1000) | RW, 1ull << 62 | 0x880 },
		{ TABLE + 0x1000, (TABLE + 0x2000) | RW, 1ull << 62 | 0x880 },
		{ TABLE + 0x2000, (TABLE + 0x3000) | RW, 1ull << 62 | 0x880 },
		/* 62; 11, without snoop control; all within the page */
		{ TABLE + 0x3008, 0x111000 | RW, 1ull << 62 | 0x800 },
		{ TABLE + 0x2000, 0x40000000 | PS | RW, 1ull << 62 | 0x1ff800 },
		{ TABLE + 0x1000, 0x40000000 | PS | RW,
		  1ull << 62 | 0x3ffff800 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = start();

		for (unsigned int n = 2; n < 64; n++) {
			uint64_t bit = 1ull << n;
			bool reserved = cases[i].reserved & bit;

			if (!reserved && n >= 12 && n < 52)
				continue;
			vg_store(fake, cases[i].at, cases[i].entry | bit);
			vg_do(fake, 0x12, 0);
			assert_int_equal(!vf_map_at(fake, 0x1000), reserved);
			vg_store(fake, cases[i].at, cases[i].entry);
			vg_do(fake, 0x12, 0);
			assert_non_null(vf_map_at(fake, 0x1000));
		}
		vf_end(fake);
	}
}

/* 3.15: as no translation is asked for there, none is needed. */
static void the_interrupt_window_is_left_out(void **state)
{
	struct vfake *fake = start();

	(void)state;
	/* 0xfedff000, 0xfee00000, 0xfeeff000, 0xfef00000 */
	vg_store(fake, TABLE + 0x1018, (TABLE + 0x4000) | RW);
	vg_store(fake, TABLE + 0x4fb0, (TABLE + 0x5000) | RW);
	vg_store(fake, TABLE + 0x4fb8, (TABLE + 0x6000) | RW);
	vg_store(fake, TABLE + 0x5ff8, 0x101000 | RW);
	vg_store(fake, TABLE + 0x6000, 0x102000 | RW);
	vg_store(fake, TABLE + 0x67f8, 0x103000 | RW);
	vg_store(fake, TABLE + 0x6800, 0x104000 | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 3);
	assert_map(fake, 0xfedff000, 0x1000, 0x101000, 7);
	assert_map(fake, 0xfef00000, 0x1000, 0x104000, 7);
	/* large pages around it */
	vg_store(fake, TABLE + 0x4fb8, 0x40000000 | PS | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 2);
	assert_non_null(vf_map_at(fake, 0xfedff000));
	vg_store(fake, TABLE + 0x1018, 0x40000000 | PS | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 1);
	vf_end(fake);
}

static void a_page_is_split_and_joined(void **state)
{
	struct vfake *fake = start();

	(void)state;
	vg_store(fake, TABLE + 0x2000, 0x200000 | PS | RW);
	vg_do(fake, 0x50032, 9); /* 2 MiB at 0 */
	assert_int_equal(fake->nmap, 1);
	assert_map(fake, 0, 0x200000, 0x200000, 7);
	/* split: only one page of it is invalidated, all of it follows */
	vg_store(fake, TABLE + 0x2000, (TABLE + 0x3000) | RW);
	for (uint32_t i = 0; i < 512; i++)
		vg_page(fake, i, (0x200000 + i * 0x1000) | RW);
	vg_page(fake, 3, 0);
	vg_do(fake, 0x50032, 0x3000);
	assert_int_equal(fake->nmap, 511);
	assert_null(vf_map_at(fake, 0x3000));
	/* joined */
	vg_store(fake, TABLE + 0x2000, 0x200000 | PS | RW);
	vg_do(fake, 0x50032, 0x3000);
	assert_int_equal(fake->nmap, 1);
	assert_map(fake, 0, 0x200000, 0x200000, 7);
	vf_end(fake);
}

static void what_is_no_guest_memory_is_left_out(void **state)
{
	struct vfake *fake = start();

	(void)state;
	fake->no_memory_first = 0x300000;
	fake->no_memory_last = 0x300fff;
	vg_page(fake, 2, 0x300000 | RW);
	vg_page(fake, 3, 0x301000 | RW);
	vg_do(fake, 0x12, 0);
	assert_null(vf_map_at(fake, 0x2000));
	assert_map(fake, 0x3000, 0x1000, 0x301000, 7);
	fake->no_memory_first = 0x1ull << 60; /* plugged in */
	vg_do(fake, 0x50032, 0x2000);
	assert_map(fake, 0x2000, 0x1000, 0x300000, 7);
	vf_end(fake);
}

static void domains_share_and_end(void **state)
{
	struct vfake *fake = start();
	struct nestfd_viommu_device dev = {
		.size = sizeof(dev),
		.vsid = 0x11,
		.dev_id = 12,
		.attach = vf_attach,
		.ctx = fake,
	};
	uint32_t ioas = fake->map[0].ioas;

	(void)state;
	vg_store(fake, VG_CTX + 0x11 * 16, TABLE | 1);
	vg_store(fake, VG_CTX + 0x11 * 16 + 8, 0x502);
	vf_forget(fake);
	assert_int_equal(nestfd_viommu_device_add(fake->viommu, &dev), 0);
	assert_int_equal(fake->attach[0].pt_id, ioas);
	assert_int_equal(fake->nmap, 1);
	/* the one goes, then the other */
	vg_store(fake, VG_CTX + 0x10 * 16, 0);
	vg_do(fake, 0x11, 0);
	assert_false(vf_is_destroyed(fake, ioas));
	vg_store(fake, VG_CTX + 0x11 * 16, 0);
	vg_do(fake, 0x10031 | 0x11ull << 32, 0);
	assert_true(vf_is_destroyed(fake, ioas));
	vf_end(fake);
}

static void another_root_is_another_domain(void **state)
{
	struct vfake *fake = start();
	uint32_t ioas = fake->map[0].ioas;

	(void)state;
	vg_store(fake, VG_CTX + 0x10 * 16, 0x30001);
	vg_store(fake, 0x30000, 0);
	vg_do(fake, 0x50021, 0); /* context cache: domain 5 */
	assert_true(vf_is_destroyed(fake, ioas));
	assert_int_not_equal(vf_attached(fake, VF_NO_PASID), ioas);
	vf_end(fake);
}

static void legacy_contexts_are_judged(void **state)
{
	static const struct {
		uint64_t dw[2];
		bool blocked;
	} cases[] = {
		{ { TABLE | 1, 0x502 }, false },
		{ { TABLE | 3, 0x502 }, false },  /* FPD */
		{ { TABLE | 5, 0x502 }, false },  /* TT 1: ATS */
		{ { TABLE | 9, 0x502 }, false },  /* TT 2: passes */
		{ { TABLE | 0xd, 0x502 }, true }, /* TT 3 */
		{ { TABLE, 0x502 }, true },
		{ { TABLE | 1, 0x501 }, true },	 /* 39 bits: not offered */
		{ { TABLE | 1, 0x503 }, false }, /* 57 */
		{ { TABLE | 1, 0x500 }, true },
		{ { TABLE | 1, 0x504 }, true },
		{ { TABLE | 0x11, 0x502 }, true }, /* reserved */
		{ { TABLE | 1, 0x582 }, true },
		{ { TABLE | 1, 0x1000502 }, true },
		{ { TABLE | 1 | 1ull << 52, 0x502 }, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vfake *fake = vf_start(false, false);

		vg_link_tables(fake, TABLE);
		vg_boot_legacy(fake, cases[i].dw[0], cases[i].dw[1]);
		assert_int_equal(vf_attached(fake, VF_NO_PASID) ==
					 fake->hwpt[0].id,
				 cases[i].blocked);
		vf_end(fake);
	}
}

static void scalable_mode_has_them_too(void **state)
{
	struct vfake *fake = vf_start(false, true);

	(void)state;
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	/* PGTT 2, 48 bits */
	vg_pasid(fake, 0, TABLE | 0x89, 5, 0);
	vg_pasid(fake, 3, TABLE | 0x89, 5, 0);
	vg_boot(fake, true);
	assert_int_equal(fake->nmap, 1);
	/* with PASIDs a HWPT of its own, fit for them, on the shared IOAS */
	assert_int_equal(fake->nhwpt, 3);
	assert_int_equal(fake->hwpt[1].pt_id, fake->map[0].ioas);
	assert_int_equal(fake->hwpt[1].flags, 8);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[1].id);
	assert_int_equal(vf_attached(fake, 3), fake->hwpt[2].id);
	vg_page(fake, 2, 0x222000 | RW);
	vg_do(fake, 0x50032, 0x2000);
	assert_int_equal(fake->nmap, 2);
	vf_end(fake);
}

static void a_refusal_counts_for_all_of_a_doorbell(void **state)
{
	struct vfake *fake = vf_start(false, false);
	uint32_t blocked = fake->hwpt[0].id;
	int nioas;

	(void)state;
	vg_pasid(fake, 0, 0x41, 1, 0x7000);
	vg_boot(fake, false);
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_page(fake, 2, 0x112000 | RW);
	vg_pasid(fake, 0, TABLE | 0x89, 5, 0);
	nioas = fake->nioas;
	vf_forget(fake);
	fake->fail_attach = -EBUSY;
	fake->fail_attaches = 1;
	for (int i = 0; i < 20; i++)
		vg_put(fake, 0x10017, 0); /* PASID cache: DID 1, PASID 0 */
	vg_do(fake, 0x10017, 0);
	assert_int_equal(fake->nioas - nioas, 1);
	assert_int_equal(fake->ncopies, 2);
	assert_int_equal(fake->nattach, 1);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), blocked);
	/* and for no other */
	vg_do(fake, 0x10017, 0);
	assert_int_equal(fake->nioas - nioas, 2);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->map[2].ioas);
	vf_end(fake);
}

static void what_was_refused_is_tried_again_with_translation(void **state)
{
	struct vfake *fake = vf_start(false, false);
	uint32_t blocked = fake->hwpt[0].id;

	(void)state;
	vg_boot(fake, false);
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_pasid(fake, 0, TABLE | 0x89, 5, 0);
	fake->fail_attach = -EBUSY;
	fake->fail_attaches = 1;
	vg_do(fake, 0x10017, 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), blocked);
	vg_set(fake, R_GCMD, 0x04000000); /* TE off and on */
	assert_int_equal(vf_attached(fake, VF_NO_PASID), VF_PARENT);
	vg_set(fake, R_GCMD, 0x84000000);
	/* the first is of the IOAS that was given up */
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->map[1].ioas);
	vf_end(fake);
}

static void many_ranges_in_one_doorbell(void **state)
{
	struct vfake *fake = start();

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		vg_page(fake, 511 - i, (0x100000 + i * 0x1000) | RW);
		vg_put(fake, 0x50032, (511 - i) * 0x1000);
	}
	vg_do(fake, 0x4, 0);
	assert_int_equal(fake->nmap, 201);
	vf_end(fake);
}

static void what_cannot_be_taken_away_completes_no_wait(void **state)
{
	struct vfake *fake = start();
	uint32_t wait;

	(void)state;
	vg_page(fake, 1, 0);
	fake->fail_unmap = -EBUSY;
	wait = vg_put_wait(fake);
	vg_put(fake, 0x50032, 0x1000);
	vg_put_wait(fake);
	vg_doorbell(fake);
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(vg_reg(fake, R_FSTS), 0x10);
	assert_int_equal(vg_reg64(fake, R_IQH), 16);
	fake->fail_unmap = 0;
	vg_set(fake, R_FSTS, 0x10);
	assert_int_equal(vg_status(fake), wait + 1);
	assert_int_equal(fake->nmap, 0);
	vf_end(fake);
}

/* A table that leads to itself: 2^36 translations, of which none remains. */
static void a_table_without_end_is_given_up(void **state)
{
	struct vfake *fake = start();
	uint32_t wait;

	(void)state;
	fake->no_memory_first = 0; /* so that the host's list stays short */
	for (uint32_t i = 0; i < 512; i++)
		vg_store(fake, TABLE + i * 8, TABLE | RW);
	vg_put(fake, 0x12, 0);
	wait = vg_put_wait(fake);
	vg_doorbell(fake);
	for (int i = 0; i < 20 && vg_status(fake) != wait; i++)
		vg_reg(fake, R_FSTS); /* as a guest that waits */
	assert_int_equal(vg_status(fake), wait);
	assert_int_equal(fake->nmap, 0);
	/* mended, and invalidated as a whole, it is there again */
	fake->no_memory_first = 1ull << 60;
	memset(fake->mem + TABLE, 0, 4096);
	vg_link_tables(fake, TABLE);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 1);
	vf_end(fake);
}

/* 2^27 tables without a leaf: bounded work, and none of it for ever */
static void tables_without_leaves_are_given_up(void **state)
{
	struct vfake *fake = start();
	uint64_t reads;

	(void)state;
	for (uint32_t i = 0; i < 512; i++) {
		vg_store(fake, TABLE + i * 8, (TABLE + 0x1000) | RW);
		vg_store(fake, TABLE + 0x1000 + i * 8, (TABLE + 0x2000) | RW);
		vg_store(fake, TABLE + 0x2000 + i * 8, (TABLE + 0x3000) | RW);
		vg_page(fake, i, 0);
	}
	reads = fake->reads;
	for (int i = 0; i < 10; i++)
		vg_put(fake, 0x12, 0);
	vg_do(fake, 0x50022, 0);
	assert_true(fake->reads - reads < 70000);
	assert_int_equal(fake->nmap, 0);
	memset(fake->mem + TABLE, 0, 0x3000);
	vg_link_tables(fake, TABLE);
	vg_page(fake, 1, 0x111000 | RW);
	vg_do(fake, 0x12, 0);
	assert_int_equal(fake->nmap, 1);
	vf_end(fake);
}

static void registers_invalidate_shadows(void **state)
{
	struct vfake *fake = start();

	(void)state;
	vg_set(fake, R_GCMD, 0x80000000); /* QIE off */
	vg_page(fake, 1, 0);
	vg_page(fake, 2, 0x222000 | RW);
	/* by page, DID 5: pages 0 to 3 */
	vg_set64(fake, R_IVA, 2);
	vg_set64(fake, R_IOTLB, 0xb000000500000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57, 0x1b);
	assert_int_equal(fake->nmap, 1);
	assert_map(fake, 0x2000, 0x1000, 0x222000, 7);
	/* what could not be taken away was not done */
	vg_page(fake, 2, 0);
	fake->fail_unmap = -EBUSY;
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57, 8);
	fake->fail_unmap = 0;
	vg_set64(fake, R_IOTLB, 0x9000000000000000);
	assert_int_equal(vg_reg64(fake, R_IOTLB) >> 57, 9);
	assert_int_equal(fake->nmap, 0);
	vf_end(fake);
}

static void without_an_ioas_to_copy_from_there_is_no_second_stage(void **state)
{
	struct nestfd_viommu_config config;
	struct vfake *fake = vf_new(&config);

	(void)state;
	config.parent_ioas = 0;
	vf_plug(fake, &config, false);
	vg_link_tables(fake, TABLE);
	vg_pasid(fake, 0, TABLE | 0x89, 5, 0);
	vg_boot(fake, true);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	assert_int_equal(fake->ncopies, 0);
	/* Linux sets AW in first-stage entries too; nothing else */
	vg_pasid(fake, 0, 0x49, 5, 0x7000);
	vg_do(fake, 0x37, 0);
	assert_int_not_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	vg_pasid(fake, 0, 0x1041, 5, 0x7000);
	vg_do(fake, 0x37, 0);
	assert_int_equal(vf_attached(fake, VF_NO_PASID), fake->hwpt[0].id);
	vf_end(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_there_before_its_device),
		cmocka_unit_test(changes_count_when_they_are_invalidated),
		cmocka_unit_test(what_is_unchanged_is_left_alone),
		cmocka_unit_test(rights_are_those_of_the_whole_way),
		cmocka_unit_test(large_pages_are_one_mapping),
		cmocka_unit_test(reserved_bits_do_not_translate),
		cmocka_unit_test(the_interrupt_window_is_left_out),
		cmocka_unit_test(a_page_is_split_and_joined),
		cmocka_unit_test(what_is_no_guest_memory_is_left_out),
		cmocka_unit_test(domains_share_and_end),
		cmocka_unit_test(another_root_is_another_domain),
		cmocka_unit_test(legacy_contexts_are_judged),
		cmocka_unit_test(scalable_mode_has_them_too),
		cmocka_unit_test(a_refusal_counts_for_all_of_a_doorbell),
		cmocka_unit_test(
			what_was_refused_is_tried_again_with_translation),
		cmocka_unit_test(many_ranges_in_one_doorbell),
		cmocka_unit_test(what_cannot_be_taken_away_completes_no_wait),
		cmocka_unit_test(a_table_without_end_is_given_up),
		cmocka_unit_test(tables_without_leaves_are_given_up),
		cmocka_unit_test(registers_invalidate_shadows),
		cmocka_unit_test(
			without_an_ioas_to_copy_from_there_is_no_second_stage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
