// SPDX-License-Identifier: MIT
/*
 * Stream table entries and context descriptors: which are legal, bit by bit,
 * what the legal ones say, and how they are found. Events: 0x03 F_STE_FETCH,
 * 0x04 C_BAD_STE, 0x06 F_STREAM_DISABLED, 0x08 C_BAD_SUBSTREAMID, 0x09
 * F_CD_FETCH, 0x0a C_BAD_CD.
 */
#include "walk_setup.h"

static const struct smmuv3_id all = {
	.idr = { IDR0, IDR1, 0, IDR3, 0, IDR5 },
	.aidr = 1,
};

struct legal {
	uint64_t ste[8];
	uint64_t flips[8]; /* bits that may be flipped, each alone */
};

/*
 * Doubleword 0: V 0, Config 3:1, S1Fmt 5:4, S1ContextPtr 55:6, S1CDMax 63:59.
 * OAS is 48: S1ContextPtr 55:48 is out of range. Where Config[1] leads to
 * stage 2, its fields are 0 unless given: no VMSAv8-64, ILLEGAL.
 */
static const struct legal bypass = {
	.ste = { 0x9 },
	.flips = { ~0x5ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL },
};

static const struct legal abort_ste = {
	.ste = { 0x1 },
	.flips = { ~0x1ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL },
};

/* S1CDMax 1, 2, 4, 8, 16 are legal; EATS 2 (bit 29) is without stage 2. */
static const struct legal stage_1 = {
	.ste = { 0xb },
	.flips = { 0xff00fffffffffffaULL, 0xffffffffdfffffffULL, ~0ULL, ~0ULL,
		   ~0ULL, ~0ULL, ~0ULL, ~0ULL },
};

/*
 * Doubleword 2: S2T0SZ 37:32 is 16, S2SL0 39:38 is 2, S2TG 47:46, S2PS 50:48
 * is 5, S2AA64 51, S2ENDI 52. S2T0SZ 17, 18, 20, 24 keep level 0; 0 is beyond
 * OAS, 48 beyond 39. S2SL0 3 wants STT, 0 is too low a level. 64 KB and 16 KB
 * granules start at level 1 with SL0 2, and 48 bits fit that. S2TTB 51:48 is
 * out of range, 55:52 RES0.
 */
static const struct legal stage_2 = {
	.ste = { 0xd, 0, 0x040d009000000003ULL, 0x10000000ULL },
	.flips = { ~0x1ULL, 0xffffffffdfffffffULL, 0xffe7ff0fffffffffULL,
		   0xfff0ffffffffffffULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL },
};

static const struct legal nested = {
	.ste = { 0xf, 0, 0x040d009000000003ULL, 0x10000000ULL },
	.flips = { 0xff00fffffffffffeULL, ~0ULL, 0xffe7ff0fffffffffULL,
		   0xfff0ffffffffffffULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL },
};

static void expect_ste(const uint64_t ste[8], const struct smmuv3_id *id,
		       bool legal)
{
	struct smmuv3_stream stream;
	struct smmuv3_stream before;
	uint8_t event;

	memset(&stream, 0xee, sizeof(stream));
	before = stream;
	event = smmuv3_ste_decode(ste, id, &stream);
	assert_int_equal(event, legal ? 0 : 4);
	if (!legal)
		assert_memory_equal(&stream, &before, sizeof(stream));
}

static void sweep_ste(const struct legal *l)
{
	expect_ste(l->ste, &all, true);
	for (int bit = 0; bit < 512; bit++) {
		uint64_t ste[8];

		memcpy(ste, l->ste, sizeof(ste));
		ste[bit / 64] ^= 1ULL << (bit & 63);
		expect_ste(ste, &all, l->flips[bit / 64] >> (bit & 63) & 1);
	}
}

static void test_one_bit_of_a_bypass_ste(void **state)
{
	(void)state;
	sweep_ste(&bypass);
}

static void test_one_bit_of_an_abort_ste(void **state)
{
	(void)state;
	sweep_ste(&abort_ste);
}

static void test_one_bit_of_a_stage_1_ste(void **state)
{
	(void)state;
	sweep_ste(&stage_1);
}

static void test_one_bit_of_a_stage_2_ste(void **state)
{
	(void)state;
	sweep_ste(&stage_2);
}

static void test_one_bit_of_a_nested_ste(void **state)
{
	(void)state;
	sweep_ste(&nested);
}

/*
 * CD doubleword 0: T0SZ 5:0, TG0 7:6, EPD0 14, ENDI 15, T1SZ 21:16, TG1 23:22,
 * EPD1 30, V 31, IPS 34:32, AA64 41.
 */
static const struct {
	uint64_t cd[3];
	uint64_t flips[3];
} cds[] = {
	/* TTB0 alone: clearing EPD1 uncovers T1SZ 0 and a reserved TG1 */
	{ { 0x00076205c0000010ULL, 0x10000000, 0 },
	  { 0xfffffdff3fff7fcfULL, 0xfff0ffffffffffffULL, ~0ULL } },
	/* both halves, 4 KB and 48 bits each */
	{ { 0x0007620580900010ULL, 0x10000000, 0x20000000 },
	  { 0xfffffdff7f4f7fcfULL, 0xfff0ffffffffffffULL,
	    0xfff0ffffffffffffULL } },
	/* neither: ENDI, T0SZ, TG0 and both TTBs are IGNORED */
	{ { 0x00076205c0004010ULL, 0x10000000, 0 },
	  { 0xfffffdff3fffffffULL, ~0ULL, ~0ULL } },
};

static void expect_cd(const uint64_t cd[8], const struct smmuv3_id *id,
		      const struct smmuv3_stream *stream, bool legal)
{
	struct smmuv3_s1 s1;
	struct smmuv3_s1 before;

	memset(&s1, 0xee, sizeof(s1));
	before = s1;
	assert_int_equal(smmuv3_cd_decode(cd, id, stream, &s1),
			 legal ? 0 : 0x0a);
	if (!legal)
		assert_memory_equal(&s1, &before, sizeof(s1));
}

static void test_one_bit_of_a_cd(void **state)
{
	const struct smmuv3_stream stream = { .s1 = true };

	(void)state;
	for (size_t i = 0; i < sizeof(cds) / sizeof(cds[0]); i++) {
		for (int bit = -1; bit < 512; bit++) {
			uint64_t cd[8] = { 0 };
			bool legal = true;

			memcpy(cd, cds[i].cd, sizeof(cds[i].cd));
			if (bit >= 0)
				cd[bit / 64] ^= 1ULL << (bit & 63);
			if (bit >= 0 && bit < 192)
				legal = cds[i].flips[bit / 64] >> (bit & 63) &
					1;
			expect_cd(cd, &all, &stream, legal);
		}
	}
}

/* What is not there, and what the SMMU has not got (IDR to change). */
static const struct {
	const char *what;
	uint64_t or0, or1, or2; /* to the doublewords of the STE below */
	uint64_t base;		/* doubleword 0: Config */
	int idr;
	uint32_t clear, set;
	bool legal;
} stes[] = {
	{ "stage 1 without S1P", 0, 0, 0, 0xb, 0, 2, 0, false },
	{ "stage 2 without S2P", 0, 0, 0, 0xd, 0, 1, 0, false },
	{ "nested without S1P", 0, 0, 0, 0xf, 0, 2, 0, false },
	{ "nested without S2P", 0, 0, 0, 0xf, 0, 1, 0, false },
	{ "stage 1 without S2P", 0, 0, 0, 0xb, 0, 1, 0, true },
	{ "stage 2 without S1P", 0, 0, 0, 0xd, 0, 2, 0, true },
	{ "S1CDMax 20 of 20", 0xa000000000000000, 0, 0, 0xb, 0, 0, 0, true },
	{ "S1CDMax 21 of 20", 0xa800000000000000, 0, 0, 0xb, 0, 0, 0, false },
	{ "S1CDMax 31, bypass", 0xf800000000000000, 0, 0, 0x9, 0, 0, 0, true },
	{ "S1CDMax 31, stage 2", 0xf800000000000000, 0, 0, 0xd, 0, 0, 0, true },
	{ "S1CDMax 31, no SSIDs", 0xf800000000000000, 0, 0, 0xb, 1, 0x7c0, 0,
	  true },
	{ "S1Fmt 1", 0x2000000000000010, 0, 0, 0xb, 0, 0, 0, true },
	{ "S1Fmt 1 without CD2L", 0x2000000000000010, 0, 0, 0xb, 0, 0x80000, 0,
	  false },
	{ "S1Fmt 2 without CD2L", 0x2000000000000020, 0, 0, 0xb, 0, 0x80000, 0,
	  false },
	{ "S1Fmt 3 is 0", 0x2000000000000030, 0, 0, 0xb, 0, 0x80000, 0, true },
	{ "S1Fmt 1, one CD", 0x10, 0, 0, 0xb, 0, 0x80000, 0, true },
	{ "S1STALLD, no stalls", 0, 0x8000000, 0, 0xb, 0, 0, 0x1000000, false },
	{ "S1STALLD, forced", 0, 0x8000000, 0, 0xb, 0, 0, 0x2000000, false },
	{ "S1STALLD, stage 2", 0, 0x8000000, 0, 0xd, 0, 0, 0x1000000, true },
	{ "S2S, no stalls", 0, 0, 1ULL << 57, 0xd, 0, 0, 0x1000000, false },
	{ "S2S, forced", 0, 0, 1ULL << 57, 0xd, 0, 0, 0x2000000, true },
	{ "no S2S, forced", 0, 0, 0, 0xd, 0, 0, 0x2000000, false },
	{ "no S2S, forced, stage 1", 0, 0, 0, 0xb, 0, 0, 0x2000000, true },
	{ "EATS 1, S2S", 0, 0x10000000, 1ULL << 57, 0xf, 0, 0, 0, false },
	{ "EATS 1, S2S, stage 1", 0, 0x10000000, 1ULL << 57, 0xb, 0, 0, 0,
	  true },
	{ "EATS 1, S2S, no ATS", 0, 0x10000000, 1ULL << 57, 0xf, 0, 0x400, 0,
	  true },
	{ "EATS 2", 0, 0x20000000, 0, 0xf, 0, 0, 0, true },
	{ "EATS 2, S2S", 0, 0x20000000, 1ULL << 57, 0xf, 0, 0, 0, false },
	{ "EATS 2, NS1ATS", 0, 0x20000000, 0, 0xf, 0, 0, 0x800, false },
	{ "EATS 2, stage 2", 0, 0x20000000, 0, 0xd, 0, 0, 0, false },
	{ "EATS 2, no ATS", 0, 0x20000000, 0, 0xd, 0, 0x400, 0, true },
	{ "EATS 2, bypass", 0, 0x20000000, 0, 0x9, 0, 0, 0, true },
	{ "EATS 3", 0, 0x30000000, 0, 0xd, 0, 0, 0, true },
	{ "STRW 1 without Hyp", 0, 0x40000000, 0, 0xb, 0, 0, 0, true },
	{ "VMID 0x100", 0, 0, 0x100, 0xd, 0, 0, 0, true },
	{ "VMID 0x100 of 8 bits", 0, 0, 0x100, 0xd, 0, 0x40000, 0, false },
	{ "VMID 0x100, stage 1", 0, 0, 0x100, 0xb, 0, 0x40000, 0, false },
	{ "VMID 0x100, bypass", 0, 0, 0x100, 0x9, 0, 0x40000, 0, true },
	{ "VMID 0x100, no S2P", 0, 0, 0x100, 0xb, 0, 0x40001, 0, true },
	{ "S2HA, no HTTU", 0, 0, 1ULL << 56, 0xd, 0, 0xc0, 0, false },
	{ "S2HD, no HTTU", 0, 0, 1ULL << 55, 0xd, 0, 0xc0, 0, false },
	{ "S2HA, HTTU 1", 0, 0, 1ULL << 56, 0xd, 0, 0xc0, 0x40, true },
	{ "S2HD, HTTU 1", 0, 0, 1ULL << 55, 0xd, 0, 0xc0, 0x40, false },
	{ "S2HA, stage 1", 0, 0, 1ULL << 56, 0xb, 0, 0xc0, 0, true },
	{ "S2ENDI, both", 0, 0, 1ULL << 52, 0xd, 0, 0x600000, 0, true },
	{ "S2ENDI 0, both", 0, 0, 0, 0xd, 0, 0x600000, 0, true },
	{ "S2ENDI, big", 0, 0, 1ULL << 52, 0xd, 0, 0, 0x600000, true },
	{ "S2ENDI 0, big", 0, 0, 0, 0xd, 0, 0, 0x600000, false },
	{ "no VMSAv8-64", 0, 0, 0, 0xd, 0, 0xc, 0x4, false },
	{ "no 4 KB", 0, 0, 0, 0xd, 5, 0x10, 0, false },
	{ "no 16 KB", 0, 0, 1ULL << 47, 0xd, 5, 0x20, 0, false },
	{ "no 64 KB", 0, 0, 1ULL << 46, 0xd, 5, 0x40, 0, false },
	{ "no 16 KB, 4 KB used", 0, 0, 0, 0xd, 5, 0x20, 0, true },
	{ "no 4 KB, stage 1", 0, 0, 0, 0xb, 5, 0x10, 0, true },
	{ "S2T0SZ 16 of OAS 44", 0, 0, 0, 0xd, 5, 1, 0, false },
};

static void test_stes_against_what_the_smmu_offers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stes) / sizeof(stes[0]); i++) {
		uint64_t ste[8] = { stes[i].base | stes[i].or0, stes[i].or1,
				    0x040d009000000003ULL | stes[i].or2,
				    0x10000000 };
		struct smmuv3_id id = all;
		struct smmuv3_stream st;
		bool legal;

		id.idr[stes[i].idr] &= ~stes[i].clear;
		id.idr[stes[i].idr] |= stes[i].set;
		legal = !smmuv3_ste_decode(ste, &id, &st);
		if (legal != stes[i].legal)
			fail_msg("%s: legal %d", stes[i].what, legal);
	}
}

/* The first and last legal S2T0SZ by S2TG and S2SL0; 1, 0: none */
struct range {
	int first, last;
};

static void sweep_s2t0sz(const struct smmuv3_id *id,
			 const struct range want[4][4])
{
	for (int tg = 0; tg < 4; tg++) {
		for (int sl0 = 0; sl0 < 4; sl0++) {
			for (int t0sz = 0; t0sz < 64; t0sz++) {
				uint64_t ste[8] = { 0xd };
				bool legal = t0sz >= want[tg][sl0].first &&
					     t0sz <= want[tg][sl0].last;

				ste[2] = 0x000e000000000000ULL |
					 (uint64_t)tg << 46 |
					 (uint64_t)sl0 << 38 |
					 (uint64_t)t0sz << 32;
				expect_ste(ste, id, legal);
			}
		}
	}
}

static void test_every_s2t0sz_with_every_first_level(void **state)
{
	static const struct range oas48[4][4] = {
		{ { 30, 39 }, { 21, 33 }, { 16, 24 }, { 1, 0 } },
		{ { 31, 39 }, { 18, 34 }, { 16, 21 }, { 1, 0 } },
		{ { 35, 39 }, { 24, 38 }, { 16, 27 }, { 1, 0 } },
		{ { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } },
	};
	static const struct range stt[4][4] = {
		{ { 30, 42 }, { 21, 33 }, { 16, 24 }, { 39, 48 } },
		{ { 31, 47 }, { 18, 34 }, { 16, 21 }, { 1, 0 } },
		{ { 35, 48 }, { 24, 38 }, { 16, 27 }, { 1, 0 } },
		{ { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } },
	};
	static const struct range oas40[4][4] = {
		{ { 30, 39 }, { 24, 33 }, { 1, 0 }, { 1, 0 } },
		{ { 31, 39 }, { 24, 34 }, { 1, 0 }, { 1, 0 } },
		{ { 35, 39 }, { 24, 38 }, { 1, 0 }, { 1, 0 } },
		{ { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } },
	};
	static const struct range oas52[4][4] = {
		{ { 30, 39 }, { 21, 33 }, { 16, 24 }, { 1, 0 } },
		{ { 31, 39 }, { 18, 34 }, { 12, 21 }, { 1, 0 } },
		{ { 35, 39 }, { 24, 38 }, { 16, 27 }, { 1, 0 } },
		{ { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } },
	};
	struct smmuv3_id id = all;

	(void)state;
	sweep_s2t0sz(&id, oas48);
	id.idr[3] |= 0x200;
	sweep_s2t0sz(&id, stt);
	id = all;
	id.idr[5] = 0x72;
	sweep_s2t0sz(&id, oas40);
	id.idr[5] = 0x76;
	sweep_s2t0sz(&id, oas52);
}

/* TG0: 0 4 KB, 1 64 KB, 2 16 KB; TG1: 1 16 KB, 2 4 KB, 3 64 KB. */
static void test_every_t0sz_and_t1sz(void **state)
{
	static const struct {
		uint32_t idr3, idr5;
		struct range range[3]; /* 4, 16, 64 KB */
	} rows[] = {
		{ 0, 0, { { 16, 39 }, { 16, 39 }, { 16, 39 } } },
		{ 0x200, 0, { { 16, 48 }, { 16, 48 }, { 16, 47 } } },
		{ 0, 0x400, { { 16, 39 }, { 16, 39 }, { 12, 39 } } },
	};
	static const int tg0[4] = { 0, 2, 1, -1 };
	static const int tg1[4] = { -1, 1, 0, 2 };
	const struct smmuv3_stream stream = { .s1 = true };

	(void)state;
	for (int i = 0; i < 3 * 4 * 64; i++) {
		const struct range *range = rows[i >> 8].range;
		int tg = i >> 6 & 3;
		int sz = i & 63;
		int g0 = tg0[tg];
		int g1 = tg1[tg];
		uint64_t cd[8] = { 0 };
		struct smmuv3_id id = all;

		id.idr[3] |= rows[i >> 8].idr3;
		id.idr[5] |= rows[i >> 8].idr5;
		cd[0] = 0x00076205c0000000ULL | (uint64_t)tg << 6 |
			(uint64_t)sz;
		expect_cd(cd, &id, &stream,
			  g0 >= 0 && sz >= range[g0].first &&
				  sz <= range[g0].last);
		cd[0] = 0x0007620580004000ULL | (uint64_t)tg << 22 |
			(uint64_t)sz << 16;
		expect_cd(cd, &id, &stream,
			  g1 >= 0 && sz >= range[g1].first &&
				  sz <= range[g1].last);
	}
}

static const struct {
	const char *what;
	uint64_t flip; /* of CD doubleword 0 */
	bool s1stalld;
	int idr;
	uint32_t clear, set;
	bool legal;
} offers[] = {
	{ "S", 1ULL << 44, false, 0, 0, 0, true },
	{ "S, S1STALLD", 1ULL << 44, true, 0, 0, 0, false },
	{ "no S, S1STALLD", 0, true, 0, 0, 0, true },
	{ "S, no stalls", 1ULL << 44, false, 0, 0, 0x1000000, false },
	{ "no S, no stalls", 0, false, 0, 0, 0x1000000, true },
	{ "S, forced", 1ULL << 44, false, 0, 0, 0x2000000, true },
	{ "no S, forced", 0, false, 0, 0, 0x2000000, false },
	{ "A, TERM_MODEL", 0, false, 0, 0, 0x4000000, true },
	{ "no A, TERM_MODEL", 1ULL << 46, false, 0, 0, 0x4000000, false },
	{ "HA, no HTTU", 1ULL << 43, false, 0, 0xc0, 0, false },
	{ "HD, no HTTU", 1ULL << 42, false, 0, 0xc0, 0, false },
	{ "HA, HTTU 1", 1ULL << 43, false, 0, 0xc0, 0x40, true },
	{ "HD, HTTU 1", 1ULL << 42, false, 0, 0xc0, 0x40, false },
	{ "ASID 0x107 of 8 bits", 1ULL << 56, false, 0, 0x1000, 0, false },
	{ "ASID 0x87 of 8 bits", 1ULL << 55, false, 0, 0x1000, 0, true },
	{ "ENDI, both", 0x8000, false, 0, 0x600000, 0, true },
	{ "ENDI, big", 0x8000, false, 0, 0, 0x600000, true },
	{ "ENDI 0, big", 0, false, 0, 0, 0x600000, false },
	{ "no 4 KB", 0, false, 5, 0x10, 0, false },
	{ "no 16 KB", 0x80, false, 5, 0x20, 0, false },
	{ "no 64 KB", 0x40, false, 5, 0x40, 0, false },
	{ "no 4 KB, EPD0", 0x4000, false, 5, 0x10, 0, true },
	{ "no VMSAv8-64", 0, false, 0, 0xc, 0x4, false },
};

static void test_cds_against_what_the_smmu_and_the_ste_offer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		uint64_t cd[8] = { 0x00076205c0000010ULL ^ offers[i].flip };
		struct smmuv3_stream stream = {
			.s1 = true,
			.s1stalld = offers[i].s1stalld,
		};
		struct smmuv3_id id = all;
		struct smmuv3_s1 s1;
		bool legal;

		id.idr[offers[i].idr] &= ~offers[i].clear;
		id.idr[offers[i].idr] |= offers[i].set;
		legal = !smmuv3_cd_decode(cd, &id, &stream, &s1);
		if (legal != offers[i].legal)
			fail_msg("%s: legal %d", offers[i].what, legal);
	}
}

/* IPS 1 is 36 bits: a TTB0 of 2^36 is outside, one of 2^36 - 64 inside. */
static void test_ttbs_must_lie_in_the_output_range(void **state)
{
	const struct smmuv3_stream stream = { .s1 = true };
	uint64_t cd[8] = { 0x00076201c0000010ULL, 0xfffffffc0 };
	struct smmuv3_id id = all;

	(void)state;
	expect_cd(cd, &id, &stream, true);
	cd[1] = 0x1000000000;
	expect_cd(cd, &id, &stream, false);
	/* 52 bits are for 64 KB granules only */
	id.idr[5] = IDR5_52;
	cd[0] = 0x00076206c0000010ULL;
	cd[1] = 0x0001000000000000;
	expect_cd(cd, &id, &stream, false);
	cd[0] |= 0x40;
	expect_cd(cd, &id, &stream, true);
	/* v3.0 has TTB bits 47:4 only */
	id.aidr = 0;
	id.idr[5] = IDR5;
	cd[0] = 0x00076206c0000010ULL;
	expect_cd(cd, &id, &stream, true);
}

/* Two descriptors need 16 bytes; where outputs have 52 bits, 64 are taken. */
static void test_first_tables_are_aligned_to_64_bytes_at_52_bits(void **state)
{
	const struct smmuv3_stream stream = { .s1 = true };
	/* T0SZ 34, TG0 64 KB: one bit at level 2 */
	uint64_t cd[8] = { 0x00076206c0000062ULL, 0x10000030 };
	struct smmuv3_id id = all;
	struct smmuv3_s1 s1;

	(void)state;
	id.idr[5] = IDR5_52;
	assert_int_equal(smmuv3_cd_decode(cd, &id, &stream, &s1), 0);
	assert_int_equal(s1.tt[0].start_level, 2);
	assert_int_equal(s1.tt[0].ttb, 0x10000000);
	cd[0] = 0x00076205c0000062ULL; /* IPS 48 bits */
	assert_int_equal(smmuv3_cd_decode(cd, &id, &stream, &s1), 0);
	assert_int_equal(s1.tt[0].ttb, 0x10000030);
}

static void test_what_a_nested_ste_says(void **state)
{
	/* S1ContextPtr, S1CDMax 5, S1Fmt 1; S1DSS 2, PPAR, MEV, S1STALLD,
	 * EATS 2, PRIVCFG 3, INSTCFG 2; VMID, T0SZ 25, SL0 1, TG 4 KB, PS 2,
	 * AA64, AFFD, PTW, HD, HA, R */
	const uint64_t ste[8] = { 0x280012345678905fULL, 0x000b0000280c0002ULL,
				  0x05ea00590000beefULL, 0x2345678900ULL };
	struct smmuv3_stream st;

	(void)state;
	assert_int_equal(smmuv3_ste_decode(ste, &all, &st), 0);
	assert_int_equal(st.config, 7);
	assert_true(st.s1 && st.s2_on);
	assert_int_equal(st.s1contextptr, 0x123456789040ULL);
	assert_int_equal(st.s1cdmax, 5);
	assert_int_equal(st.s1fmt, 1);
	assert_int_equal(st.s1dss, 2);
	assert_true(st.ppar && st.mev && st.s1stalld);
	assert_int_equal(st.eats, 2);
	assert_int_equal(st.privcfg, 3);
	assert_int_equal(st.instcfg, 2);
	assert_int_equal(st.vmid, 0xbeef);
	assert_int_equal(st.s2.vmid, 0xbeef);
	assert_int_equal(st.s2.tt.in_bits, 39);
	assert_int_equal(st.s2.tt.start_level, 1);
	assert_int_equal(st.s2.tt.granule_lg2, 12);
	assert_int_equal(st.s2.tt.out_bits, 40);
	/* a table of 2^9 descriptors is aligned to 4 KB */
	assert_int_equal(st.s2.tt.ttb, 0x2345678000ULL);
	assert_true(st.s2.affd && st.s2.ptw && st.s2.ha && st.s2.hd);
	assert_true(st.s2.r && !st.s2.s && st.s2.xnx && !st.s2.fwb);
}

static void test_what_a_cd_says(void **state)
{
	/* T0SZ 25, TG0 4 KB; T1SZ 20, TG1 64 KB; IPS 4, AFFD, WXN, UWXN,
	 * TBI1, PAN, AA64, HD, HA, S, A, ASET, ASID */
	uint64_t cd[8] = { 0xabcddfbc80d40019ULL, 0x023456789000ULL,
			   0x00000fedcba98002ULL };
	const struct smmuv3_stream st = { .s1 = true };
	struct smmuv3_s1 s1;

	(void)state;
	cd[1] |= 1ULL << 44; /* out of IPS */
	assert_int_equal(smmuv3_cd_decode(cd, &all, &st, &s1), 0x0a);
	cd[1] ^= 1ULL << 44;
	assert_int_equal(smmuv3_cd_decode(cd, &all, &st, &s1), 0);
	assert_int_equal(s1.asid, 0xabcd);
	assert_true(s1.aset && s1.affd && s1.wxn && s1.pan && s1.ha && s1.hd);
	assert_true(s1.s && !s1.r && s1.a);
	assert_int_equal(s1.tt[0].in_bits, 39);
	assert_int_equal(s1.tt[0].start_level, 1);
	assert_int_equal(s1.tt[0].granule_lg2, 12);
	assert_int_equal(s1.tt[0].out_bits, 44);
	assert_int_equal(s1.tt[0].ttb, 0x023456789000ULL);
	assert_false(s1.tt[0].tbi || s1.tt[0].had);
	assert_int_equal(s1.tt[1].in_bits, 44);
	assert_int_equal(s1.tt[1].start_level, 1);
	assert_int_equal(s1.tt[1].granule_lg2, 16);
	assert_true(s1.tt[1].tbi && s1.tt[1].had);
	/* four descriptors: aligned to 32 bytes */
	assert_int_equal(s1.tt[1].ttb, 0x00000fedcba98000ULL);
}

static void expect_route(const uint64_t ste[8], const struct smmuv3_id *id,
			 bool ssv, uint32_t ssid, int path, uint32_t cd,
			 int event)
{
	const struct smmuv3_input in = { .ssv = ssv, .ssid = ssid };
	struct smmuv3_stream st;
	struct smmuv3_route route;
	struct smmuv3_fault fault;

	assert_int_equal(smmuv3_ste_decode(ste, id, &st), 0);
	if (event) {
		assert_false(smmuv3_stream_route(&st, &in, &route, &fault));
		assert_int_equal(fault.event, event);
		return;
	}
	assert_true(smmuv3_stream_route(&st, &in, &route, &fault));
	assert_int_equal(route.path, path);
	assert_int_equal(route.ssid, cd);
}

static void
test_the_way_of_transactions_with_and_without_substream(void **state)
{
	enum { ABORT, BYPASS, S1, S2, NESTED };
	const uint64_t s2 = 0x040d009000000003ULL;
	const struct smmuv3_id *id = &all;
	struct smmuv3_id no_ssid = all;

	(void)state;
	no_ssid.idr[1] &= ~0x7c0u;
#define STE(a, b) ((uint64_t[8]){ (a), (b), s2, 0 })
	expect_route(STE(0x1, 0), id, false, 0, ABORT, 0, 0);
	expect_route(STE(0x7, 0), id, true, 5, ABORT, 5, 0);
	expect_route(STE(0x9, 0), id, false, 0, BYPASS, 0, 0);
	expect_route(STE(0x9, 0), id, true, 0, 0, 0, 0x08);
	expect_route(STE(0xd, 0), id, false, 0, S2, 0, 0);
	expect_route(STE(0xd, 0), id, true, 1, 0, 0, 0x08);
	/* one CD: no substreams, and S1DSS is IGNORED */
	expect_route(STE(0xb, 0), id, false, 0, S1, 0, 0);
	expect_route(STE(0xb, 1), id, false, 0, S1, 0, 0);
	expect_route(STE(0xf, 0), id, false, 0, NESTED, 0, 0);
	expect_route(STE(0xb, 0), id, true, 0, 0, 0, 0x08);
	/* sixteen CDs (S1CDMax 4), S1DSS 0 to 3 */
	for (uint64_t dss = 0; dss < 4; dss++) {
		const uint64_t s1 = 0x200000000000000bULL;
		bool zero = dss == 2;

		expect_route(STE(s1, dss), id, true, 1, S1, 1, 0);
		expect_route(STE(s1, dss), id, true, 15, S1, 15, 0);
		expect_route(STE(s1, dss), id, true, 16, 0, 0, 0x08);
		expect_route(STE(s1, dss), id, true, 0xfffff, 0, 0, 0x08);
		expect_route(STE(s1, dss), id, true, 0, S1, 0, zero ? 6 : 0);
		expect_route(STE(s1 | 4, dss), id, true, 15, NESTED, 15, 0);
	}
	expect_route(STE(0x200000000000000bULL, 0), id, false, 0, 0, 0, 0x06);
	expect_route(STE(0x200000000000000bULL, 3), id, false, 0, 0, 0, 0x06);
	expect_route(STE(0x200000000000000bULL, 1), id, false, 0, BYPASS, 0, 0);
	expect_route(STE(0x200000000000000fULL, 1), id, false, 0, S2, 0, 0);
	expect_route(STE(0x200000000000000bULL, 2), id, false, 0, S1, 0, 0);
	expect_route(STE(0x200000000000000fULL, 2), id, false, 0, NESTED, 0, 0);
	/* no SSIDs at all: S1CDMax is IGNORED too */
	expect_route(STE(0x200000000000000bULL, 0), &no_ssid, false, 0, S1, 0,
		     0);
	expect_route(STE(0x200000000000000bULL, 0), &no_ssid, true, 1, 0, 0,
		     0x08);
#undef STE
}

static void test_privcfg_and_instcfg_override_the_device(void **state)
{
	/* 0 and 1: as it comes; 2: clear; 3: set */
	struct smmuv3_id id = all;

	(void)state;
	for (unsigned int i = 0; i < 4 * 8; i++) {
		uint8_t cfg = i & 3;
		bool came = i & 4;
		bool write = i & 8;
		bool ovr = i & 16;
		bool want = cfg < 2 || !ovr ? came : cfg == 3;
		struct smmuv3_stream st = { .privcfg = cfg, .instcfg = cfg };
		struct smmuv3_input in = {
			.priv = came,
			.exec = came,
			.write = write,
		};

		id.idr[1] = ovr ? IDR1 : IDR1 & ~0x4000000u;
		smmuv3_stream_attrs(&st, &id, &in);
		assert_int_equal(in.priv, want);
		assert_int_equal(in.exec, want && !write);
	}
}

static void test_bypass_ends_at_the_output_size(void **state)
{
	struct smmuv3_input in = { .addr = 0x0000ffffffffffffULL };
	struct smmuv3_fault fault;

	(void)state;
	assert_true(smmuv3_bypass(&all, &in, &fault));
	in.addr++;
	assert_false(smmuv3_bypass(&all, &in, &fault));
	assert_int_equal(fault.event, 0x11);
	assert_int_equal(fault.class, 2);
	assert_false(fault.s2);
}

static void test_the_oas_field(void **state)
{
	static const uint8_t bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	struct smmuv3_id id = all;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		id.aidr = 1;
		id.idr[5] = 0x70 | i;
		assert_int_equal(smmuv3_oas_bits(&id), bits[i]);
		id.aidr = 0;
		assert_int_equal(smmuv3_oas_bits(&id), i > 5 ? 48 : bits[i]);
	}
}

/* CDs that tell each other apart by their ASID. */
static uint64_t cd_of(unsigned int asid)
{
	return 0x00006205c0000010ULL | (uint64_t)asid << 48;
}

static void expect_asid(struct fake *f, const uint64_t ste[8], uint32_t ssid,
			unsigned int asid)
{
	struct smmuv3_stream st;
	struct smmuv3_fault fault;
	struct smmuv3_s1 s1;

	assert_int_equal(smmuv3_ste_decode(ste, &f->id, &st), 0);
	assert_true(smmuv3_cd_load(&f->env, &f->id, &st, ssid, &s1, &fault));
	assert_int_equal(s1.asid, asid);
}

static void expect_cd_fault(struct fake *f, const uint64_t ste[8],
			    uint32_t ssid, struct expect e)
{
	struct smmuv3_stream st;
	struct smmuv3_fault fault;
	struct smmuv3_s1 s1;

	assert_int_equal(smmuv3_ste_decode(ste, &f->id, &st), 0);
	assert_false(smmuv3_cd_load(&f->env, &f->id, &st, ssid, &s1, &fault));
	assert_int_equal(fault.event, e.event);
	assert_int_equal(fault.class, e.class);
	assert_int_equal(fault.s2, e.s2);
	assert_int_equal(fault.ipa, e.ipa);
	assert_int_equal(fault.fetch, e.fetch);
}

/* S1CDMax 4: bits 9:6 of S1ContextPtr are RES0, taken for zero. */
static void test_a_linear_cd_table(void **state)
{
	struct fake f;
	uint64_t at;

	(void)state;
	fake_up(&f, 48);
	at = fake_chunk(&f);
	for (unsigned int i = 0; i < 16; i++)
		*fake_at(&f, at + i * 64) = cd_of(0x100 + i);
	for (uint64_t fmt = 0; fmt < 4; fmt += 3) {
		const uint64_t ste[8] = {
			0x200000000000000bULL | fmt << 4 | at | 0x3c0, 2
		};

		for (unsigned int i = 0; i < 16; i++)
			expect_asid(&f, ste, i, 0x100 + i);
	}
	expect_asid(&f, (uint64_t[8]){ 0xb | at | 0x3c0 }, 0, 0x10f);
	fake_down(&f);
}

static void test_a_cd_table_with_4k_leaves(void **state)
{
	/* S1CDMax 8: four L1CDs of 64 CDs each */
	struct fake f;
	uint64_t l1, l2;

	(void)state;
	fake_up(&f, 48);
	l1 = fake_chunk(&f);
	l2 = fake_chunk(&f) + 0x3000;
	*fake_at(&f, l1 + 2 * 8) = l2 | 1 | 0xffe; /* 11:1 are RES0 */
	*fake_at(&f, l1 + 3 * 8) = l2 & ~1ULL;
	*fake_at(&f, l1 + 1 * 8) = 0x0001000000000001ULL;
	for (unsigned int i = 0; i < 64; i++)
		*fake_at(&f, l2 + i * 64) = cd_of(0x200 + i);
	const uint64_t ste[8] = { 0x400000000000001bULL | l1 };

	expect_asid(&f, ste, 128, 0x200);
	expect_asid(&f, ste, 191, 0x23f);
	expect_cd_fault(&f, ste, 192, (struct expect){ 0x08 });
	/* L2Ptr beyond OAS */
	expect_cd_fault(&f, ste, 64, (struct expect){ 0x08 });
	/* S1CDMax 6 and less: entry 0 only */
	*fake_at(&f, l1) = l2 | 1;
	expect_asid(&f, (uint64_t[8]){ 0x300000000000001bULL | l1 }, 63, 0x23f);
	expect_asid(&f, (uint64_t[8]){ 0x080000000000001bULL | l1 }, 1, 0x201);
	fake_down(&f);
}

static void test_a_cd_table_with_64k_leaves(void **state)
{
	/* S1CDMax 12: four L1CDs of 1024 CDs each */
	struct fake f;
	uint64_t l1, l2;

	(void)state;
	fake_up(&f, 48);
	l1 = fake_chunk(&f);
	l2 = fake_chunk(&f);
	*fake_at(&f, l1 + 3 * 8) = l2 | 1 | 0xf000; /* 15:12 are RES0 */
	for (unsigned int i = 0; i < 1024; i++)
		*fake_at(&f, l2 + i * 64) = cd_of(0x1000 + i);
	const uint64_t ste[8] = { 0x600000000000002bULL | l1 };

	expect_asid(&f, ste, 3072, 0x1000);
	expect_asid(&f, ste, 4095, 0x13ff);
	expect_cd_fault(&f, ste, 1024, (struct expect){ 0x08 });
	fake_down(&f);
}

static void test_cds_that_cannot_be_fetched_or_used(void **state)
{
	const uint64_t far = 0x0000700000000000ULL;
	struct fake f;
	uint64_t at;

	(void)state;
	fake_up(&f, 48);
	at = fake_chunk(&f);
	expect_cd_fault(&f, (uint64_t[8]){ 0xb | at }, 0,
			(struct expect){ 0x0a });
	expect_cd_fault(&f, (uint64_t[8]){ 0xb | far }, 0,
			(struct expect){ 0x09, .fetch = far });
	expect_cd_fault(&f, (uint64_t[8]){ 0x400000000000001bULL | far }, 65,
			(struct expect){ 0x09, .fetch = far + 8 });
	*fake_at(&f, at) = far | 1;
	expect_cd_fault(&f, (uint64_t[8]){ 0x400000000000001bULL | at }, 3,
			(struct expect){ 0x09, .fetch = far + 3 * 64 });
	fake_down(&f);
}

/* Under stage 2 both levels lie at IPAs; faults are of CLASS CD (0), S2. */
static void test_cds_under_stage_2(void **state)
{
	const uint64_t ipa1 = 0x0000123456789000ULL;
	const uint64_t ipa2 = 0x0000223456780000ULL;
	uint64_t ste[8] = { 0x400000000000001fULL | ipa1, 0,
			    0x040d009000000003ULL };
	struct fake f;
	struct tree t;
	uint64_t l1, l2;

	(void)state;
	fake_up(&f, 48);
	tree_up(&t, &f, 12, 0);
	ste[3] = t.root;
	l1 = fake_chunk(&f);
	l2 = fake_chunk(&f);
	*fake_at(&f, l1 + 8) = ipa2 | 1;
	*fake_at(&f, l2 + 5 * 64) = cd_of(0x55);
	expect_cd_fault(&f, ste, 69,
			(struct expect){ 0x10, 0, 1, 0, ipa1 + 8 });
	tree_set(&t, ipa1, 3, l1 | S2_PAGE);
	expect_cd_fault(&f, ste, 69,
			(struct expect){ 0x10, 0, 1, 0, ipa2 + 5 * 64 });
	tree_set(&t, ipa2, 3, l2 | 0x0ff);
	expect_cd_fault(&f, ste, 69,
			(struct expect){ 0x12, 0, 1, 0, ipa2 + 5 * 64 });
	tree_set(&t, ipa2, 3, l2 | 0x4bf);
	expect_cd_fault(&f, ste, 69,
			(struct expect){ 0x13, 0, 1, 0, ipa2 + 5 * 64 });
	tree_set(&t, ipa2, 3, l2 | 0x47f);
	expect_asid(&f, ste, 69, 0x55);
	/* S2PTW and Device memory */
	ste[2] |= 1ULL << 54;
	tree_set(&t, ipa2, 3, l2 | 0x44f);
	expect_cd_fault(&f, ste, 69,
			(struct expect){ 0x13, 0, 1, 0, ipa2 + 5 * 64 });
	/* what stage 2 leads to is not there: the PA is told */
	tree_set(&t, ipa2, 3, 0x700000000000ULL | 0x47f);
	expect_cd_fault(
		&f, ste, 69,
		(struct expect){ 0x09, .fetch = 0x700000000000ULL + 320 });
	fake_down(&f);
}

static void test_stes_that_cannot_be_fetched_or_used(void **state)
{
	struct smmuv3_stream st;
	struct smmuv3_fault fault;
	struct fake f;
	uint64_t at;

	(void)state;
	fake_up(&f, 48);
	at = fake_chunk(&f);
	assert_false(smmuv3_ste_load(&f.env, &f.id, 0x5000, &st, &fault));
	assert_int_equal(fault.event, 0x03);
	assert_int_equal(fault.fetch, 0x5000);
	assert_false(smmuv3_ste_load(&f.env, &f.id, at, &st, &fault));
	assert_int_equal(fault.event, 0x04);
	*fake_at(&f, at) = 0x9;
	assert_true(smmuv3_ste_load(&f.env, &f.id, at, &st, &fault));
	assert_int_equal(st.config, 4);
	fake_down(&f);
}

/* A R S of stage 1, S2R S2S of stage 2; all other events have no choice. */
static void test_how_faults_end(void **state)
{
	(void)state;
	for (int event = 0; event < 0x26; event++) {
		for (int ars = 0; ars < 8; ars++) {
			bool four = event >= 0x10 && event <= 0x13;
			const struct smmuv3_s1 s1 = {
				.a = ars & 4,
				.r = ars & 2,
				.s = ars & 1,
			};
			const struct smmuv3_stream st = {
				.s2 = { .r = ars & 2, .s = ars & 1 },
			};
			struct smmuv3_fault fault = {
				.event = (uint8_t)event,
			};
			struct smmuv3_verdict v;

			smmuv3_fault_verdict(&st, &s1, &fault, &v);
			assert_int_equal(v.record, event && (!four || ars & 3));
			assert_int_equal(v.stall, four && ars & 1);
			assert_int_equal(v.abort, !four || ars & 4);
			fault.s2 = true;
			smmuv3_fault_verdict(&st, &s1, &fault, &v);
			assert_int_equal(v.record, event && (!four || ars & 3));
			assert_int_equal(v.stall, four && ars & 1);
			assert_true(v.abort);
			/* stage 1 bypassed: recorded, aborted (3.4) */
			fault.s2 = false;
			smmuv3_fault_verdict(&st, NULL, &fault, &v);
			assert_int_equal(v.record, event != 0);
			assert_false(v.stall);
			assert_true(v.abort);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_bit_of_a_bypass_ste),
		cmocka_unit_test(test_one_bit_of_an_abort_ste),
		cmocka_unit_test(test_one_bit_of_a_stage_1_ste),
		cmocka_unit_test(test_one_bit_of_a_stage_2_ste),
		cmocka_unit_test(test_one_bit_of_a_nested_ste),
		cmocka_unit_test(test_one_bit_of_a_cd),
		cmocka_unit_test(test_stes_against_what_the_smmu_offers),
		cmocka_unit_test(test_every_s2t0sz_with_every_first_level),
		cmocka_unit_test(test_every_t0sz_and_t1sz),
		cmocka_unit_test(
			test_cds_against_what_the_smmu_and_the_ste_offer),
		cmocka_unit_test(test_ttbs_must_lie_in_the_output_range),
		cmocka_unit_test(
			test_first_tables_are_aligned_to_64_bytes_at_52_bits),
		cmocka_unit_test(test_what_a_nested_ste_says),
		cmocka_unit_test(test_what_a_cd_says),
		cmocka_unit_test(
			test_the_way_of_transactions_with_and_without_substream),
		cmocka_unit_test(test_privcfg_and_instcfg_override_the_device),
		cmocka_unit_test(test_bypass_ends_at_the_output_size),
		cmocka_unit_test(test_the_oas_field),
		cmocka_unit_test(test_a_linear_cd_table),
		cmocka_unit_test(test_a_cd_table_with_4k_leaves),
		cmocka_unit_test(test_a_cd_table_with_64k_leaves),
		cmocka_unit_test(test_cds_that_cannot_be_fetched_or_used),
		cmocka_unit_test(test_cds_under_stage_2),
		cmocka_unit_test(test_stes_that_cannot_be_fetched_or_used),
		cmocka_unit_test(test_how_faults_end),
	};

	return cmocka_run_group_tests(tests, fake_group_up, NULL);
}
