// SPDX-License-Identifier: MIT
/*
 * Invalidation descriptors, one bit at a time. Masks and words by hand from
 * the figures of VT-d 6.5.2.1-6.5.2.9 and 7.6.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vtd_rig.h"

#define LEGACY	  0
#define SCALABLE  1
#define ABORT	  3

#define TYPE_BITS 0xe0full

/* With id_full(), in scalable mode; flips from @base one bit at a time */
struct row {
	uint64_t base;
	uint64_t legal[2];
};

static const struct row rows[] = {
	[1] = { 0x31, { 0x0003ffffffff0030, 0 } },
	/* AM bit 5 alone is 32, above MAMV */
	[2] = { 0x32, { 0x00000000ffff00f0, 0xfffffffffffff05f } },
	[3] = { 0x03, { 0xfff0ffff001ff000, 0xfffffffffffff001 } },
	/* IM bit 4 alone is 16, above MHMV */
	[4] = { 0x14, { 0x0000ffff78000010, 0 } },
	[5] = { 0x05, { 0xffffffff000000f0, 0xfffffffffffffffc } },
	/* G 11b -> 01b is reserved */
	[6] = { 0x36, { 0x000fffffffff0010, 0xfffffffffffff07f } },
	/* G 11b -> 10b is reserved */
	[7] = { 0x37, { 0x000fffffffff0020, 0 } },
	[8] = { 0x08, { 0xfffffffffffff1f0, 0xfffffffffffff801 } },
	[9] = { 0x09, { 0x000ffffffffff010, 0xffc } },
};

static unsigned int decode(const struct vtd_id *id, unsigned int ttm,
			   uint64_t dw0, uint64_t dw1, struct vtd_desc *desc)
{
	const uint64_t dw[4] = { dw0, dw1 };

	return vtd_decode(dw, id, ttm, desc);
}

static struct vtd_desc legal(unsigned int ttm, uint64_t dw0, uint64_t dw1)
{
	struct vtd_id id = id_full();
	struct vtd_desc desc;

	assert_int_equal(decode(&id, ttm, dw0, dw1, &desc), 0);
	return desc;
}

static void illegal(unsigned int ttm, uint64_t dw0, uint64_t dw1,
		    unsigned int iqei)
{
	struct vtd_id id = id_full();
	struct vtd_desc desc;

	assert_int_equal(decode(&id, ttm, dw0, dw1, &desc), iqei);
}

static void reserved_bits_are_refused_and_no_others(void **state)
{
	struct vtd_id id = id_full();

	(void)state;
	for (unsigned int type = 1; type <= 9; type++) {
		const struct row *row = &rows[type];

		for (unsigned int bit = 0; bit < 256; bit++) {
			uint64_t dw[4] = { row->base };
			uint64_t flip = 1ull << bit % 64;
			struct vtd_desc desc;
			bool good;

			if (bit < 64 && (flip & TYPE_BITS))
				continue;
			dw[bit / 64] ^= flip;
			good = bit < 128 && (row->legal[bit / 64] & flip);
			if (vtd_decode(dw, &id, SCALABLE, &desc) !=
			    (good ? 0 : 4))
				fail_msg("type %u bit %u", type, bit);
		}
	}
}

static void all_legal_bits_together_are_legal(void **state)
{
	struct vtd_id id = id_full();
	struct vtd_desc desc;

	(void)state;
	id.cap |= 63ull << 48; /* MAMV: any mask */
	for (unsigned int type = 1; type <= 9; type++) {
		if (decode(&id, SCALABLE, rows[type].base | rows[type].legal[0],
			   rows[type].legal[1], &desc))
			fail_msg("type %u", type);
		assert_int_equal(desc.type, type);
	}
}

/* Table 26; types 4 to 6 of the seven bits lie in bits 9 to 11. */
static void each_mode_has_its_types(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 128; type++) {
		uint64_t dw0 = (type & 15) | (uint64_t)(type >> 4) << 9;
		bool any = type >= 1 && type <= 9;
		struct vtd_desc desc;
		struct vtd_id id = id_full();

		if (any)
			dw0 |= rows[type].base;
		assert_int_equal(decode(&id, LEGACY, dw0, 0, &desc),
				 type >= 1 && type <= 5 ? 0 : 3);
		assert_int_equal(decode(&id, SCALABLE, dw0, 0, &desc),
				 any ? 0 : 3);
		assert_int_equal(decode(&id, ABORT, dw0, 0, &desc),
				 any ? 0 : 3);
		assert_int_equal(vtd_desc_name(type) != NULL, any);
	}
}

static void types_of_absent_features_are_invalid_types(void **state)
{
	struct vtd_id id = id_full();
	struct vtd_desc desc;

	(void)state;
	id.ecap &= ~(1ull << 29); /* PRS */
	assert_int_equal(decode(&id, SCALABLE, 0x9, 0, &desc), 3);
	assert_int_equal(decode(&id, SCALABLE, 0x3, 0, &desc), 0);
	id.ecap &= ~(1ull << 2); /* DT */
	assert_int_equal(decode(&id, SCALABLE, 0x3, 0, &desc), 3);
	assert_int_equal(decode(&id, SCALABLE, 0x8, 0, &desc), 3);
	/* the type is looked at first */
	assert_int_equal(decode(&id, SCALABLE, 0x8, 0x7fe, &desc), 3);
}

static void features_make_bits_legal(void **state)
{
	struct vtd_id id = id_full();
	struct vtd_desc desc;

	(void)state;
	assert_int_equal(decode(&id, LEGACY, 0x85, 0, &desc), 0);
	id.ecap &= ~(1ull << 42); /* PDS */
	assert_int_equal(decode(&id, LEGACY, 0x85, 0, &desc), 4);

	assert_int_equal(decode(&id, LEGACY, 0x1003, 0, &desc), 0);
	id.ecap &= ~(1ull << 41); /* DIT */
	for (unsigned int bit = 0; bit < 16; bit++) {
		uint64_t pfsid =
			bit < 4 ? 1ull << (12 + bit) : 1ull << (52 + bit - 4);

		assert_int_equal(decode(&id, SCALABLE, 3 | pfsid, 0, &desc), 4);
		assert_int_equal(decode(&id, SCALABLE, 8 | pfsid, 0, &desc), 4);
	}
	/* MIP stays a hint */
	assert_int_equal(decode(&id, SCALABLE, 0x1f0003, 0, &desc), 0);
	assert_int_equal(decode(&id, SCALABLE, 0x1f8, 0, &desc), 0);

	id.cap &= ~(1ull << 39); /* PSI */
	assert_int_equal(decode(&id, LEGACY, 0x32, 0, &desc), 4);
	assert_int_equal(decode(&id, LEGACY, 0x22, 0, &desc), 0);
}

static void reserved_granularities_are_refused(void **state)
{
	(void)state;
	illegal(LEGACY, 0x01, 0, 4);
	illegal(LEGACY, 0x02, 0, 4);
	illegal(SCALABLE, 0x06, 0, 4);
	illegal(SCALABLE, 0x16, 0, 4);
	illegal(SCALABLE, 0x27, 0, 4);
	legal(SCALABLE, 0x07, 0);
	legal(SCALABLE, 0x17, 0);
	legal(SCALABLE, 0x37, 0);
}

static void context_cache_by_device(void **state)
{
	struct vtd_desc d = legal(LEGACY, 0x0002123456780031, 0);

	(void)state;
	assert_int_equal(d.gran, 3);
	assert_int_equal(d.did, 0x5678);
	assert_int_equal(d.sid, 0x1234);
	assert_int_equal(d.sid_ignored, 6);
	assert_int_equal(legal(LEGACY, 0x31, 0).sid_ignored, 0);
	assert_int_equal(legal(LEGACY, 0x1000000000031, 0).sid_ignored, 4);
	assert_int_equal(legal(LEGACY, 0x3000000000031, 0).sid_ignored, 7);
}

static void context_cache_in_each_mode(void **state)
{
	struct vtd_desc d = legal(LEGACY, 0x0000123456780021, 0);

	(void)state;
	assert_int_equal(d.gran, 2);
	assert_int_equal(d.did, 0x5678);
	assert_int_equal(d.sid, 0);
	d = legal(SCALABLE, 0x0000123456780021, 0);
	assert_int_equal(d.gran, 1);
	assert_int_equal(d.did, 0);
	d = legal(SCALABLE, 0x0000123456780031, 0);
	assert_int_equal(d.gran, 3);
	assert_int_equal(d.did, 0);
	assert_int_equal(d.sid, 0x1234);
	d = legal(LEGACY, 0x0000123456780011, 0);
	assert_int_equal(d.gran, 1);
	assert_int_equal(d.did, 0);
	assert_int_equal(d.sid, 0);
}

static void pasid_cache(void **state)
{
	struct vtd_desc d = legal(SCALABLE, 0x000abcde43210017, 0);

	(void)state;
	assert_int_equal(d.gran, 1);
	assert_int_equal(d.did, 0x4321);
	assert_true(d.has_pasid);
	assert_int_equal(d.pasid, 0xabcde);
	d = legal(SCALABLE, 0x000abcde43210007, 0);
	assert_int_equal(d.did, 0x4321);
	assert_false(d.has_pasid);
	assert_int_equal(d.pasid, 0);
	d = legal(SCALABLE, 0x000abcde43210037, 0);
	assert_int_equal(d.did, 0);
	assert_int_equal(d.pasid, 0);
}

static void iotlb_by_page_is_aligned_to_its_mask(void **state)
{
	/* AM 9 with IH: a 2 MiB page */
	struct vtd_desc d = legal(LEGACY, 0x420032, 0x12345049);

	(void)state;
	assert_int_equal(d.gran, 3);
	assert_int_equal(d.did, 0x42);
	assert_true(d.ih);
	assert_int_equal(d.am, 9);
	assert_int_equal(d.first, 0x12200000);
	assert_int_equal(d.last, 0x123fffff);
	assert_true(d.first < d.last);
	/* bits from MGAW (57) on are ignored */
	d = legal(LEGACY, 0x32, 0xfe00000000003000);
	assert_int_equal(d.first, 0x3000);
	assert_int_equal(d.last, 0x3fff);
}

static void iotlb_masks_end_at_mamv(void **state)
{
	(void)state;
	for (uint64_t am = 0; am < 64; am++) {
		if (am <= 18)
			assert_int_equal(legal(LEGACY, 0x32, am).last,
					 (4096ull << am) - 1);
		else
			illegal(LEGACY, 0x32, am, 4);
		/* and do not count for the others */
		legal(LEGACY, 0x22, am);
		legal(LEGACY, 0x12, am);
	}
}

static void iotlb_by_domain_and_global_ignore_the_address(void **state)
{
	struct vtd_desc d = legal(LEGACY, 0x420022, 0x1234507f);

	(void)state;
	assert_int_equal(d.gran, 2);
	assert_int_equal(d.did, 0x42);
	assert_false(d.ih);
	assert_int_equal(d.am, 0);
	assert_true(d.first == 0 && d.last == ~0ull);
	d = legal(LEGACY, 0x420012, 0x1234507f);
	assert_int_equal(d.gran, 1);
	assert_int_equal(d.did, 0);
	assert_true(d.first == 0 && d.last == ~0ull);
}

static void drain_bits_count_before_version_2_only(void **state)
{
	struct vtd_id id = id_full();
	struct vtd_desc d = legal(LEGACY, 0x12, 0);

	(void)state;
	assert_true(d.drain_reads && d.drain_writes);
	id.ver = 0x10;
	assert_int_equal(decode(&id, LEGACY, 0x12, 0, &d), 0);
	assert_true(!d.drain_reads && !d.drain_writes);
	assert_int_equal(decode(&id, LEGACY, 0x52, 0, &d), 0);
	assert_true(!d.drain_reads && d.drain_writes);
	assert_int_equal(decode(&id, LEGACY, 0x92, 0, &d), 0);
	assert_true(d.drain_reads && !d.drain_writes);
	id.ver = 0x20;
	assert_int_equal(decode(&id, LEGACY, 0x12, 0, &d), 0);
	assert_true(d.drain_reads && d.drain_writes);
	id.ver = 0x1f;
	id.cap &= ~(3ull << 54);
	assert_int_equal(decode(&id, LEGACY, 0xd2, 0, &d), 0);
	assert_true(!d.drain_reads && !d.drain_writes);
}

static void domain_ids_have_the_width_of_nd(void **state)
{
	static const uint16_t seen[] = { 0xf,	0x3f,	0xff,  0x3ff,
					 0xfff, 0x3fff, 0xffff };
	struct vtd_id id = id_full();
	struct vtd_desc d;

	(void)state;
	for (unsigned int nd = 0; nd < 7; nd++) {
		id.cap = (id.cap & ~7ull) | nd;
		assert_int_equal(decode(&id, LEGACY, 0xffff0022, 0, &d), 0);
		assert_int_equal(d.did, seen[nd]);
		assert_int_equal(decode(&id, LEGACY, 0xffff0021, 0, &d), 0);
		assert_int_equal(d.did, seen[nd]);
		assert_int_equal(decode(&id, SCALABLE, 0xffff0026, 0, &d), 0);
		assert_int_equal(d.did, seen[nd]);
		assert_int_equal(decode(&id, SCALABLE, 0xffff0007, 0, &d), 0);
		assert_int_equal(d.did, seen[nd]);
	}
}

static void pasid_based_iotlb_takes_any_mask(void **state)
{
	(void)state;
	for (uint64_t am = 0; am < 64; am++) {
		struct vtd_desc d =
			legal(SCALABLE, 0x36, 0xfffffffffffff000 | am);

		assert_true(d.last == ~0ull);
		assert_true(d.first == (am < 52 ? ~0ull << (12 + am) : 0));
	}
}

static void pasid_based_iotlb(void **state)
{
	struct vtd_desc d =
		legal(SCALABLE, 0x000abcde43210036, 0xffff800000001041);

	(void)state;
	assert_int_equal(d.did, 0x4321);
	assert_int_equal(d.pasid, 0xabcde);
	assert_true(d.has_pasid && d.ih);
	assert_true(d.first == 0xffff800000000000);
	assert_true(d.last == 0xffff800000001fff);
	d = legal(SCALABLE, 0x000abcde43210026, 0xffff800000001041);
	assert_int_equal(d.gran, 2);
	assert_false(d.ih);
	assert_true(d.first == 0 && d.last == ~0ull);
}

/* PCI Express ATS: the lowest 0 from bit 12 on tells the size */
static void device_tlb_sizes(void **state)
{
	(void)state;
	for (unsigned int n = 12; n < 64; n++) {
		uint64_t addr = ((1ull << n) - 1) & ~0xfffull;
		uint64_t last = n == 63 ? ~0ull : (2ull << n) - 1;
		struct vtd_desc d = legal(SCALABLE, 0x3, addr | 1);

		assert_true(d.first == 0 && d.last == last);
		d = legal(SCALABLE, 0x8, addr | 0x800);
		assert_true(d.first == 0 && d.last == last);
		/* without S a page, whatever the bits are */
		d = legal(SCALABLE, 0x3, addr);
		assert_true(d.first == addr && d.last == addr + 4095);
		d = legal(SCALABLE, 0x8, addr);
		assert_true(d.first == addr && d.last == addr + 4095);
	}
	assert_true(legal(SCALABLE, 0x3, ~0xfffull | 1).first == 0);
	assert_true(legal(SCALABLE, 0x3, ~0xfffull | 1).last == ~0ull);
	/* 16 KiB at 0x48000: bit 12 set, bit 13 clear */
	assert_int_equal(legal(SCALABLE, 0x3, 0x49001).first, 0x48000);
	assert_int_equal(legal(SCALABLE, 0x3, 0x49001).last, 0x4bfff);
}

static void device_tlb_operands(void **state)
{
	struct vtd_desc d = legal(LEGACY, 0xabc01234001fd003, 0x1000);

	(void)state;
	assert_int_equal(d.sid, 0x1234);
	assert_int_equal(d.pfsid, 0xabcd);
	assert_int_equal(d.mip, 31);
	assert_false(d.has_pasid);
	d = legal(SCALABLE, 0xabc567891234d1f8, 0x1000);
	assert_int_equal(d.sid, 0x1234);
	assert_int_equal(d.pfsid, 0xabcd);
	assert_int_equal(d.mip, 31);
	assert_int_equal(d.pasid, 0x56789);
	assert_true(d.has_pasid && !d.global);
	d = legal(SCALABLE, 0xabc567891234d1f8, 0x1001);
	assert_true(d.global && !d.has_pasid);
	assert_int_equal(d.pasid, 0);
}

static void interrupt_entries(void **state)
{
	/* IM 3 at index 0x123d: eight */
	struct vtd_desc d = legal(LEGACY, 0x0000123d18000014, 0);
	struct vtd_id id = id_full();

	(void)state;
	assert_int_equal(d.gran, 1);
	assert_int_equal(d.index_first, 0x1238);
	assert_int_equal(d.index_last, 0x123f);
	d = legal(LEGACY, 0x0000123df8000004, 0);
	assert_int_equal(d.gran, 0);
	assert_int_equal(d.index_first, 0);
	assert_int_equal(d.index_last, 0xffff);
	id.ecap &= ~(15ull << 20); /* MHMV 0 */
	assert_int_equal(decode(&id, LEGACY, 0x08000014, 0, &d), 4);
	assert_int_equal(decode(&id, LEGACY, 0x00000014, 0, &d), 0);
}

/*
 * Table 26 has the type in each mode, 6.5.2.8 asks for no capability; 11.4.3:
 * MHMV is unused, so that no IM is above it.
 */
static void interrupt_entries_without_interrupt_remapping(void **state)
{
	static const unsigned int modes[] = { LEGACY, SCALABLE, ABORT };
	struct vtd_id id = id_full();
	struct vtd_desc d;

	(void)state;
	id.ecap &= ~((15ull << 20) | (1ull << 4) | (1ull << 3));
	for (unsigned int n = 0; n < 3; n++) {
		assert_int_equal(decode(&id, modes[n], 0x04, 0, &d), 0);
		assert_int_equal(d.type, 4);
		assert_int_equal(d.gran, 0);
		for (uint64_t im = 0; im < 32; im++)
			assert_int_equal(decode(&id, modes[n],
						0x0000123d00000014 | im << 27,
						0, &d),
					 0);
		assert_int_equal(d.index_first, 0);
		assert_int_equal(d.index_last, 0xffff);
		/* reserved are 8:5, 26:12, 63:48 and all of the next word */
		for (unsigned int bit = 5; bit < 128; bit++) {
			uint64_t dw0 = bit < 64 ? 1ull << bit : 0;
			uint64_t dw1 = bit < 64 ? 0 : 1ull << (bit - 64);

			if ((bit >= 9 && bit < 12) || (bit >= 27 && bit < 48))
				continue;
			assert_int_equal(
				decode(&id, modes[n], 0x14 | dw0, dw1, &d), 4);
		}
	}
}

static void waits(void **state)
{
	struct vtd_desc d =
		legal(LEGACY, 0xdeadbeef00000025, 0x8000000012345678);

	(void)state;
	assert_true(d.status_write && !d.interrupt && !d.fence);
	assert_int_equal(d.status_data, 0xdeadbeef);
	assert_int_equal(d.status_addr, 0x12345678); /* HAW is 52 */
	d = legal(LEGACY, 0xdeadbeef00000055, 0x12345678);
	assert_true(!d.status_write && d.interrupt && d.fence);
	assert_int_equal(d.status_data, 0);
	assert_int_equal(d.status_addr, 0);
	assert_true(legal(LEGACY, 0x85, 0).page_drain);
	illegal(LEGACY, 0x5, 1, 4);
	illegal(LEGACY, 0x5, 2, 4);
}

static void page_responses(void **state)
{
	struct vtd_desc d = legal(SCALABLE, 0x000abcde1234f019, 0xffc);

	(void)state;
	assert_int_equal(d.sid, 0x1234);
	assert_int_equal(d.response, 15);
	assert_int_equal(d.pasid, 0xabcde);
	assert_true(d.has_pasid);
	assert_int_equal(d.prgi, 0x1ff);
	d = legal(SCALABLE, 0x000abcde12341009, 0x4);
	assert_int_equal(d.response, 1);
	assert_int_equal(d.prgi, 0);
	assert_false(d.has_pasid);
	assert_int_equal(d.pasid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_bits_are_refused_and_no_others),
		cmocka_unit_test(all_legal_bits_together_are_legal),
		cmocka_unit_test(each_mode_has_its_types),
		cmocka_unit_test(types_of_absent_features_are_invalid_types),
		cmocka_unit_test(features_make_bits_legal),
		cmocka_unit_test(reserved_granularities_are_refused),
		cmocka_unit_test(context_cache_by_device),
		cmocka_unit_test(context_cache_in_each_mode),
		cmocka_unit_test(pasid_cache),
		cmocka_unit_test(iotlb_by_page_is_aligned_to_its_mask),
		cmocka_unit_test(iotlb_masks_end_at_mamv),
		cmocka_unit_test(iotlb_by_domain_and_global_ignore_the_address),
		cmocka_unit_test(drain_bits_count_before_version_2_only),
		cmocka_unit_test(domain_ids_have_the_width_of_nd),
		cmocka_unit_test(pasid_based_iotlb_takes_any_mask),
		cmocka_unit_test(pasid_based_iotlb),
		cmocka_unit_test(device_tlb_sizes),
		cmocka_unit_test(device_tlb_operands),
		cmocka_unit_test(interrupt_entries),
		cmocka_unit_test(interrupt_entries_without_interrupt_remapping),
		cmocka_unit_test(waits),
		cmocka_unit_test(page_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
