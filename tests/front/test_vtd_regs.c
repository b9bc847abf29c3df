// SPDX-License-Identifier: MIT
/*
 * The register file: what can be written and what reads back, commands and
 * their status, register-based invalidation. Masks by hand from VT-d 11.4.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "vtd_rig.h"

#define QI  (1ull << 1)
#define IR  (1ull << 3)
#define PRS (1ull << 29)

struct reg {
	uint32_t offset;
	unsigned int size;
	uint64_t mask; /* what can be written */
	uint64_t reset;
	uint64_t needs; /* of ECAP */
};

static const struct reg regs[] = {
	{ 0x20, 8, 0xfffffffffffffc00, 0, 0 },
	{ 0x38, 4, 0x80000000, 0x80000000, 0 },
	{ 0x3c, 4, 0xffff, 0, 0 },
	{ 0x40, 4, 0xfffffffc, 0, 0 },
	{ 0x44, 4, 0xffffffff, 0, 0 },
	{ 0x88, 8, 0x7fff0, 0, QI },
	{ 0x90, 8, 0xfffffffffffff807, 0, QI },
	{ 0xa0, 4, 0x80000000, 0x80000000, QI },
	{ 0xa4, 4, 0xffff, 0, QI },
	{ 0xa8, 4, 0xfffffffc, 0, QI },
	{ 0xac, 4, 0xffffffff, 0, QI },
	{ 0xb8, 8, 0xfffffffffffff80f, 0, IR },
	{ 0xc0, 8, 0x7ffe0, 0, PRS },
	{ 0xc8, 8, 0x7ffe0, 0, PRS },
	{ 0xd0, 8, 0xfffffffffffff007, 0, PRS },
	{ 0xe0, 4, 0x80000000, 0x80000000, PRS },
	{ 0xe4, 4, 0xffff, 0, PRS },
	{ 0xe8, 4, 0xfffffffc, 0, PRS },
	{ 0xec, 4, 0xffffffff, 0, PRS },
};

#define REGS (sizeof(regs) / sizeof(regs[0]))

static const struct reg *reg_at(uint32_t offset)
{
	for (size_t i = 0; i < REGS; i++) {
		if (offset >= regs[i].offset &&
		    offset < regs[i].offset + regs[i].size)
			return &regs[i];
	}
	return NULL;
}

static void each_register_holds_its_bits(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < REGS; i++) {
		const struct reg *r = &regs[i];

		assert_true(vtd_front_read(rig->front, r->offset, r->size) ==
			    r->reset);
		for (unsigned int bit = 0; bit < 8 * r->size; bit++) {
			uint64_t one = 1ull << bit;

			vtd_front_write(rig->front, r->offset, r->size, one);
			if (vtd_front_read(rig->front, r->offset, r->size) !=
			    (one & r->mask))
				fail_msg("%x bit %u", r->offset, bit);
		}
		vtd_front_write(rig->front, r->offset, r->size, ~0ull);
		assert_true(vtd_front_read(rig->front, r->offset, r->size) ==
			    r->mask);
		vtd_front_write(rig->front, r->offset, r->size, 0);
		assert_true(!vtd_front_read(rig->front, r->offset, r->size));
	}
}

static void halves_of_64_bit_registers_are_reached_alone(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < REGS; i++) {
		const struct reg *r = &regs[i];

		if (r->size != 8)
			continue;
		wr64(rig, r->offset, 0);
		wr(rig, r->offset + 4, ~0u);
		assert_true(rd64(rig, r->offset) ==
			    (r->mask & 0xffffffff00000000));
		wr(rig, r->offset, ~0u);
		assert_true(rd64(rig, r->offset) == r->mask);
		wr(rig, r->offset + 4, 0);
		assert_true(rd64(rig, r->offset) == (r->mask & 0xffffffff));
		assert_int_equal(rd(rig, r->offset), (uint32_t)r->mask);
		assert_int_equal(rd(rig, r->offset + 4), 0);
	}
}

static void everything_else_ignores_writes(void **state)
{
	struct vtd_id id = id_full();
	struct rig *rig = *state;

	for (uint32_t offset = 0; offset < 0x2000; offset += 4) {
		uint32_t before = rd(rig, offset);

		if (reg_at(offset) || offset == R_GCMD || offset == R_GSTS ||
		    (offset & ~7u) == R_CCMD || (offset & ~7u) == R_IVA ||
		    (offset & ~7u) == R_IOTLB)
			continue;
		wr(rig, offset, ~0u);
		if (rd(rig, offset) != before)
			fail_msg("%x", offset);
		if (offset >= 0x18 && before)
			fail_msg("%x is %x", offset, before);
	}
	assert_int_equal(rd(rig, 0), 0x40);
	assert_true(rd64(rig, 0x8) == id.cap);
	assert_true(rd64(rig, 0x10) == id.ecap);
	assert_int_equal(vtd_front_size(rig->front), 0x1000);
}

/* Nothing but DMA remapping by register-based invalidation */
static struct vtd_id id_least(void)
{
	struct vtd_id id = id_full();

	id.ecap = 0xf00 | 1;
	id.cap &= ~(1ull << 56 | 1ull << 60);
	return id;
}

static void registers_of_absent_features_are_reserved(void **state)
{
	static const uint64_t features[] = { QI, IR, PRS };
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	for (size_t n = 0; n < 3; n++) {
		struct vtd_id id = id_full();

		id.ecap &= ~features[n];
		if (features[n] == QI)
			id = id_least();
		if (features[n] == IR)
			id.ecap &= ~(15ull << 20 | 1ull << 4);
		assert_int_equal(rig_create(rig, &id, 0), 0);
		for (size_t i = 0; i < REGS; i++) {
			wr64(rig, regs[i].offset & ~7u, ~0ull);
			if (regs[i].needs & features[n])
				assert_int_equal(rd(rig, regs[i].offset), 0);
		}
		rig_destroy(rig);
	}
	free(rig);
}

static void other_accesses_do_nothing(void **state)
{
	struct rig *rig = *state;

	for (unsigned int size = 0; size < 20; size++) {
		for (uint32_t offset = 0x20; offset < 0x30; offset++) {
			if ((size == 4 || size == 8) && offset % size == 0)
				continue;
			vtd_front_write(rig->front, offset, size, ~0ull);
			assert_true(!vtd_front_read(rig->front, offset, size));
		}
	}
	assert_true(!rd64(rig, 0x20));
	assert_true(!vtd_front_read(rig->front, 0xfffffff8, 8));
}

static void eight_bytes_reach_two_registers(void **state)
{
	struct rig *rig = *state;

	wr64(rig, 0x40, 0x1234567889abcdec);
	assert_int_equal(rd(rig, 0x40), 0x89abcdec);
	assert_int_equal(rd(rig, 0x44), 0x12345678);
	assert_true(rd64(rig, 0x40) == 0x1234567889abcdec);
	wr64(rig, 0x30, 0xffffffff00000000); /* reserved, and FSTS */
	assert_true(!rd64(rig, 0x30));
}

static void the_root_pointer_takes_effect_at_srtp(void **state)
{
	struct rig *rig = *state;
	struct vtd_regs seen;

	wr64(rig, R_RTADDR, 0xfff0000000005400);
	vtd_front_regs(rig->front, &seen);
	assert_true(!seen.rtaddr);
	assert_int_equal(rd(rig, R_GSTS), 0);
	wr(rig, R_GCMD, G_SRTP);
	vtd_front_regs(rig->front, &seen);
	assert_true(seen.rtaddr == 0x5400); /* HAW is 52 */
	assert_int_equal(rig->changes[VTD_CHANGE_ROOT], 1);
	assert_int_equal(rig->gsts_seen, 0);
	assert_int_equal(rd(rig, R_GSTS), G_SRTP);
	/* again, and meanwhile the status is clear */
	wr(rig, R_GCMD, G_SRTP);
	assert_int_equal(rig->changes[VTD_CHANGE_ROOT], 2);
	assert_int_equal(rig->gsts_seen, 0);
	/* clearing it has no effect */
	wr(rig, R_GCMD, 0);
	assert_int_equal(rd(rig, R_GSTS), G_SRTP);
	assert_int_equal(rig->changes[VTD_CHANGE_ROOT], 2);
}

static void the_interrupt_table_takes_effect_at_sirtp(void **state)
{
	struct rig *rig = *state;
	struct vtd_regs seen;

	wr64(rig, R_IRTA, 0xfff000000000680f);
	wr(rig, R_GCMD, G_SIRTP);
	vtd_front_regs(rig->front, &seen);
	assert_true(seen.irta == 0x680f);
	assert_int_equal(rig->changes[VTD_CHANGE_IRTA], 1);
	assert_int_equal(rd(rig, R_GSTS), G_SIRTP);
}

static void enables_have_a_status_after_their_consequences(void **state)
{
	static const struct {
		uint32_t bit;
		int change;
	} enables[] = {
		{ G_TE, VTD_CHANGE_TE },
		{ G_IRE, VTD_CHANGE_IRE },
		{ G_CFI, VTD_CHANGE_IRE },
		{ G_QIE, -1 },
	};
	struct rig *rig = *state;
	struct vtd_regs seen;

	for (int i = 0; i < 4; i++) {
		uint32_t bit = enables[i].bit;

		memset(rig->changes, 0, sizeof(rig->changes));
		wr(rig, R_GCMD, bit);
		assert_int_equal(rd(rig, R_GSTS), bit);
		vtd_front_regs(rig->front, &seen);
		assert_int_equal(seen.enabled, bit);
		if (enables[i].change >= 0) {
			assert_int_equal(rig->changes[enables[i].change], 1);
			assert_int_equal(rig->gsts_seen, 0);
		}
		wr(rig, R_GCMD, bit); /* no change */
		wr(rig, R_GCMD, 0);
		assert_int_equal(rd(rig, R_GSTS), 0);
		if (enables[i].change >= 0) {
			assert_int_equal(rig->changes[enables[i].change], 2);
			assert_int_equal(rig->gsts_seen, bit);
		}
	}
	wr(rig, R_GCMD, 0x387fffff | 0x08000000); /* reserved; WBF */
	assert_int_equal(rd(rig, R_GSTS), 0);
}

static void take_back(struct rig *rig, enum vtd_change what)
{
	if (what == VTD_CHANGE_TE)
		wr(rig, R_GCMD, rd(rig, R_GSTS) & G_TE);
}

/* Else the status would tell of a change that nobody has been told of. */
static void an_enable_under_way_keeps_still(void **state)
{
	struct rig *rig = *state;
	struct vtd_regs seen;

	rig->on_change = take_back;
	wr(rig, R_GCMD, G_TE);
	assert_int_equal(rig->changes[VTD_CHANGE_TE], 1);
	assert_int_equal(rd(rig, R_GSTS), G_TE);
	wr(rig, R_GCMD, 0);
	assert_int_equal(rig->changes[VTD_CHANGE_TE], 2);
	assert_int_equal(rd(rig, R_GSTS), 0);
	vtd_front_regs(rig->front, &seen);
	assert_int_equal(seen.enabled, 0);
}

static void commands_of_absent_features_do_nothing(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	id = id_least();
	assert_int_equal(rig_create(rig, &id, 0), 0);
	wr(rig, R_GCMD, ~0u);
	assert_int_equal(rd(rig, R_GSTS), G_TE | G_SRTP);
	assert_int_equal(rig->changes[VTD_CHANGE_IRE], 0);
	assert_int_equal(rig->changes[VTD_CHANGE_IRTA], 0);
	rig_destroy(rig);
	free(rig);
}

static void ssirwe_is_reserved_without_its_feature(void **state)
{
	struct vtd_id id = id_full();
	struct rig *rig = *state;

	wr64(rig, R_RTADDR, 0x80);
	assert_true(!rd64(rig, R_RTADDR));
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	id.ecap |= 1ull << 57;
	assert_int_equal(rig_create(rig, &id, 0), 0);
	wr64(rig, R_RTADDR, ~0ull);
	assert_true(rd64(rig, R_RTADDR) == 0xfffffffffffffc80);
	rig_destroy(rig);
	free(rig);
}

static void a_context_command_names_what_the_descriptor_does(void **state)
{
	struct rig *rig = *state;

	rig->granularity = 2;
	/* ICC, by device, FM 1, SID 0x1234, DID 0x5678 */
	wr64(rig, R_CCMD, 0xe000000112345678);
	assert_int_equal(rig->invalidations, 1);
	assert_int_equal(rig->invalidated.type, 1);
	assert_int_equal(rig->invalidated.gran, 3);
	assert_int_equal(rig->invalidated.sid, 0x1234);
	assert_int_equal(rig->invalidated.sid_ignored, 4);
	assert_int_equal(rig->invalidated.did, 0x5678);
	/* ICC was set meanwhile, and a second command then is ignored */
	assert_true(rig->command_seen == 0xe000000112345678);
	/* done, and CAIG is domain-selective */
	assert_true(rd64(rig, R_CCMD) == 0x7000000112345678);
	assert_int_equal(rig->invalidations, 1);
}

static void the_upper_half_of_a_command_starts_it(void **state)
{
	struct rig *rig = *state;

	wr(rig, R_CCMD, 0x00050006);
	assert_int_equal(rig->invalidations, 0);
	wr(rig, R_CCMD + 4, 0x20000000); /* CIRG without ICC */
	assert_int_equal(rig->invalidations, 0);
	wr(rig, R_CCMD + 4, 0xc0000000);
	assert_int_equal(rig->invalidations, 1);
	assert_int_equal(rig->invalidated.gran, 2);
	assert_int_equal(rig->invalidated.did, 6);
	/* the finished one is not repeated by a write of the lower half */
	wr(rig, R_CCMD, 7);
	assert_int_equal(rig->invalidations, 1);
}

static void an_iotlb_command_takes_its_address_from_iva(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_IVA, 0x0000000012345fc9 | 0xf80); /* reserved 11:7 */
	wr64(rig, R_IOTLB, 0xb003004200000000);
	assert_int_equal(rig->invalidations, 1);
	assert_int_equal(rig->invalidated.type, 2);
	assert_int_equal(rig->invalidated.gran, 3);
	assert_int_equal(rig->invalidated.did, 0x42);
	assert_int_equal(rig->invalidated.first, 0x12200000);
	assert_int_equal(rig->invalidated.last, 0x123fffff);
	assert_true(rig->invalidated.ih);
	assert_true(rig->command_seen == 0xb003004200000000);
	assert_true(rd64(rig, R_IOTLB) == 0x3603004200000000);

	rig->granularity = 1;
	wr64(rig, R_IOTLB, 0x9000000000000000);
	assert_int_equal(rig->invalidated.gran, 1);
	assert_true(rd64(rig, R_IOTLB) == 0x1200000000000000);
}

static void register_commands_that_are_errors(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_CCMD, 0x8000000000000000); /* CIRG 0 */
	assert_true(!rd64(rig, R_CCMD));
	wr64(rig, R_IOTLB, 0x8000000000000000); /* IIRG 0 */
	assert_true(!rd64(rig, R_IOTLB));
	wr64(rig, R_IVA, 19); /* above MAMV */
	wr64(rig, R_IOTLB, 0xb000000000000000);
	assert_true(rd64(rig, R_IOTLB) == 0x3000000000000000);
	assert_int_equal(rig->invalidations, 0);

	wr(rig, R_GCMD, G_QIE);
	wr64(rig, R_CCMD, 0xa000000000000000);
	wr64(rig, R_IOTLB, 0x9000000000000000);
	assert_true(rd64(rig, R_CCMD) == 0x2000000000000000);
	assert_true(rd64(rig, R_IOTLB) == 0x1000000000000000);
	assert_int_equal(rig->invalidations, 0);

	wr(rig, R_GCMD, 0);
	wr64(rig, R_CCMD, 0xa000000000000000);
	assert_int_equal(rig->invalidations, 1);
	for (uint32_t ttm = TTM_SCALABLE; ttm <= TTM_ABORT; ttm += 0x400) {
		rig_mode(rig, ttm);
		wr64(rig, R_CCMD, 0xa000000000000000);
		assert_true(rd64(rig, R_CCMD) == 0x2000000000000000);
		assert_int_equal(rig->invalidations, 1);
	}
}

static void version_6_has_no_register_commands(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	id.ver = 0x60;
	assert_int_equal(rig_create(rig, &id, 0), 0);
	wr64(rig, R_CCMD, 0xa000000000000000);
	wr64(rig, R_IOTLB, 0x9000000000000000);
	assert_true(rd64(rig, R_CCMD) == 0x2000000000000000);
	assert_true(rd64(rig, R_IOTLB) == 0x1000000000000000);
	assert_int_equal(rig->invalidations, 0);
	rig_destroy(rig);
	free(rig);
}

static void without_psi_a_page_command_does_the_domain(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	id.cap &= ~(1ull << 39);
	assert_int_equal(rig_create(rig, &id, 0), 0);
	rig->granularity = 2;
	wr64(rig, R_IVA, 0x1003f);
	wr64(rig, R_IOTLB, 0xb000004200000000);
	assert_int_equal(rig->invalidated.gran, 2);
	assert_true(rd64(rig, R_IOTLB) == 0x3400004200000000);
	rig_destroy(rig);
	free(rig);
}

static int create(const struct vtd_id *id)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int rc;

	assert_non_null(rig);
	rc = rig_create(rig, id, 0);
	if (!rc)
		rig_destroy(rig);
	free(rig);
	return rc;
}

/* Each bit of CAP and ECAP, flipped alone from id_full() */
static void what_is_not_offered_is_refused(void **state)
{
	/* 3, PLMR, PHMR, SAGAW 8 and 12, 13-15, 23, SSLPS 36 and 37, 38,
	   57-58, PI, ECMDS; SSLPS 34 leaves 1G alone; RWBF with SMTS */
	const uint64_t bad_cap = 0x8ull | 0x60 | 0x1100 | 0xe000 | 1ull << 23 |
				 7ull << 34 | 1ull << 37 | 1ull << 38 |
				 7ull << 57 | 1ull << 61 | 0x10 | 1;
	const uint64_t bad_cap_but = 1ull << 35;

	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t one = 1ull << bit;
		struct vtd_id id = id_full();

		id.cap ^= one;
		/* FRO moves onto other registers with bit 25 or 29 off */
		if (bit >= 24 && bit < 34)
			continue;
		if (create(&id) !=
		    ((one & bad_cap & ~bad_cap_but) ? -EINVAL : 0))
			fail_msg("CAP %u", bit);
	}
}

static void reserved_bits_of_ecap_are_refused(void **state)
{
	/* 5, 18, 19, 24, MTS, 27, 28, ERS, 32, VCS, TDXCS, PMS, 54, HPTS,
	   HPT1GPS, RDTS, 63 */
	static const uint8_t bad[] = { 5,  18, 19, 24, 25, 27, 28, 30, 32,
				       44, 50, 51, 54, 55, 59, 60, 63 };
	/* alone these are fine: PTRS, SSIRWS, SMS, EIMER, IRREQ */
	static const uint8_t good[] = { 56, 57, 58, 61, 62 };

	(void)state;
	assert_int_equal(create(&(struct vtd_id){ 0 }), -EINVAL);
	for (size_t i = 0; i < sizeof(bad); i++) {
		struct vtd_id id = id_full();

		id.ecap |= 1ull << bad[i];
		if (create(&id) != -EINVAL)
			fail_msg("ECAP %u", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good); i++) {
		struct vtd_id id = id_full();

		id.ecap |= 1ull << good[i];
		if (create(&id))
			fail_msg("ECAP %u", good[i]);
	}
}

/* 11.4.3: "report this field as Clear" */
static void features_need_what_they_build_on(void **state)
{
	static const uint8_t needed[] = {
		1, 2, 3, 4, 29, 31, 40, 43, 46, 47, 48
	};
	static const uint8_t free[] = { 0,  6,	7,  26, 33, 34,
					41, 42, 45, 49, 52, 53 };

	(void)state;
	for (size_t i = 0; i < sizeof(needed); i++) {
		struct vtd_id id = id_full();

		/* so that each of them has somebody to miss it */
		id.ecap |= 1ull << 56 | 1ull << 58 | 1ull << 61;
		id.ecap &= ~(1ull << needed[i]);
		if (create(&id) != -EINVAL)
			fail_msg("ECAP %u", needed[i]);
	}
	for (size_t i = 0; i < sizeof(free); i++) {
		struct vtd_id id = id_full();

		id.ecap &= ~(1ull << free[i]);
		if (create(&id))
			fail_msg("ECAP %u", free[i]);
	}
}

static void registers_may_not_lie_on_others(void **state)
{
	struct vtd_id id = id_full();

	(void)state;
	/* 8 records at 0x220: 0x220 to 0x29f */
	for (uint64_t iro = 0; iro < 0x400; iro++) {
		bool bad = iro < 0xf || (iro >= 0x22 && iro <= 0x29);

		id.ecap = (id.ecap & ~0x3ff00ull) | iro << 8;
		assert_int_equal(create(&id), bad ? -EINVAL : 0);
	}
	id = id_full();
	for (uint64_t fro = 0; fro < 0x400; fro++) {
		id.cap = (id.cap & ~(0x3ffull << 24)) | fro << 24;
		/* IOTLB at 0xf0 */
		assert_int_equal(create(&id), fro < 0x10 ? -EINVAL : 0);
	}
}

static void sizes_are_checked(void **state)
{
	struct vtd_id id = id_full();

	(void)state;
	id.haw = 31;
	assert_int_equal(create(&id), -EINVAL);
	id.haw = 65;
	assert_int_equal(create(&id), -EINVAL);
	id.haw = 64;
	assert_int_equal(create(&id), 0);
	id.cap &= ~(63ull << 16);
	assert_int_equal(create(&id), -EINVAL);
	id = id_full();
	id.ver = 0x140;
	assert_int_equal(create(&id), -EINVAL);
}

static void records_beyond_the_first_page_are_reached(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_fault fault = { .reason = 5, .sid = 0x1234 };
	struct vtd_id id = id_full();

	(void)state;
	assert_non_null(rig);
	id.cap |= 0x3ffull << 24 | 0xffull << 40; /* 256 at 0x3ff0 */
	assert_int_equal(rig_create(rig, &id, 0), 0);
	assert_int_equal(vtd_front_size(rig->front), 0x5000);
	for (uint16_t i = 0; i < 256; i++) {
		fault.sid = i;
		assert_true(vtd_front_fault(rig->front, &fault));
	}
	assert_int_equal(rd(rig, 0x4fe8), 255);
	assert_int_equal(rd(rig, 0x4ff0), 0);
	rig_destroy(rig);
	free(rig);
}

static void failed_allocations_leave_nothing(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vtd_id id = id_full();
	uint64_t n = 0;
	int rc;

	(void)state;
	assert_non_null(rig);
	do {
		struct alloc_plan plan = { .fail_at = ++n };

		alloc_arm(&plan);
		rc = rig_create(rig, &id, 0);
		alloc_arm(NULL);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc)
			assert_null(rig->front);
	} while (rc);
	assert_int_equal(n, 4);
	rig_destroy(rig);
	free(rig);
}

#define WITH_RIG(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(each_register_holds_its_bits),
		WITH_RIG(halves_of_64_bit_registers_are_reached_alone),
		WITH_RIG(everything_else_ignores_writes),
		cmocka_unit_test(registers_of_absent_features_are_reserved),
		WITH_RIG(other_accesses_do_nothing),
		WITH_RIG(eight_bytes_reach_two_registers),
		WITH_RIG(the_root_pointer_takes_effect_at_srtp),
		WITH_RIG(the_interrupt_table_takes_effect_at_sirtp),
		WITH_RIG(enables_have_a_status_after_their_consequences),
		WITH_RIG(an_enable_under_way_keeps_still),
		cmocka_unit_test(commands_of_absent_features_do_nothing),
		WITH_RIG(ssirwe_is_reserved_without_its_feature),
		WITH_RIG(a_context_command_names_what_the_descriptor_does),
		WITH_RIG(the_upper_half_of_a_command_starts_it),
		WITH_RIG(an_iotlb_command_takes_its_address_from_iva),
		WITH_RIG(register_commands_that_are_errors),
		cmocka_unit_test(version_6_has_no_register_commands),
		cmocka_unit_test(without_psi_a_page_command_does_the_domain),
		cmocka_unit_test(what_is_not_offered_is_refused),
		cmocka_unit_test(reserved_bits_of_ecap_are_refused),
		cmocka_unit_test(features_need_what_they_build_on),
		cmocka_unit_test(registers_may_not_lie_on_others),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(records_beyond_the_first_page_are_reached),
		cmocka_unit_test(failed_allocations_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
