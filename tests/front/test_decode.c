// SPDX-License-Identifier: MIT
/*
 * Decoding of commands: for each opcode the bits that have a meaning, by hand
 * from IHI 0070 4.2 to 4.7, swept one at a time; the rest is the meaning.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "front/smmuv3/decode.h"
#include "ids.h"

#define BIT(n) (1ULL << (n))

struct layout {
	uint8_t op;
	uint64_t legal0; /* without the opcode itself */
	uint64_t legal1;
	uint32_t need; /* IDR0 */
	const char *name;
};

/* SMMUv3.2, without a range where there could be one */
static const struct layout layouts[] = {
	{ 0x01, 0xfffffffffffff800, 0, 0, "PREFETCH_CONFIG" },
	{ 0x02, 0xfffffffffffff800, 0xfffffffffffff3ff, 0, "PREFETCH_ADDR" },
	{ 0x03, 0xffffffff00000000, 0x1, 0, "CFGI_STE" },
	{ 0x04, 0xffffffff00000000, 0x1f, 0, "CFGI_STE_RANGE" },
	{ 0x05, 0xfffffffffffff000, 0x1, ID_S1P, "CFGI_CD" },
	{ 0x06, 0xffffffff00000000, 0, ID_S1P, "CFGI_CD_ALL" },
	{ 0x07, 0x0000ffff00000000, 0, 0, "CFGI_VMS_PIDM" },
	{ 0x10, 0x0000ffff00000000, 0, ID_S1P, "TLBI_NH_ALL" },
	{ 0x11, 0xffffffff00000000, 0, ID_S1P, "TLBI_NH_ASID" },
	{ 0x12, 0xffffffff00000000, 0xfffffffffffff001, ID_S1P, "TLBI_NH_VA" },
	{ 0x13, 0x0000ffff00000000, 0xfffffffffffff001, ID_S1P, "TLBI_NH_VAA" },
	{ 0x20, 0, 0, ID_HYP, "TLBI_EL2_ALL" },
	{ 0x21, 0xffff000000000000, 0, ID_HYP, "TLBI_EL2_ASID" },
	{ 0x22, 0xffff000000000000, 0xfffffffffffff001, ID_HYP, "TLBI_EL2_VA" },
	{ 0x23, 0, 0xfffffffffffff001, ID_HYP, "TLBI_EL2_VAA" },
	{ 0x28, 0x0000ffff00000000, 0, ID_S2P, "TLBI_S12_VMALL" },
	{ 0x2a, 0x0000ffff00000000, 0x000ffffffffff001, ID_S2P, "TLBI_S2_IPA" },
	{ 0x30, 0, 0, 0, "TLBI_NSNH_ALL" },
	{ 0x40, 0xfffffffffffffa00, 0xfffffffffffff03f, ID_ATS, "ATC_INV" },
	{ 0x41, 0xfffffffffffff800, 0x31ff, ID_PRI, "PRI_RESP" },
	{ 0x44, 0xffffffff00003000, 0xffff, 0, "RESUME" },
	{ 0x45, 0xffffffff00000000, 0, 0, "STALL_TERM" },
	{ 0x46, 0xffffffff0fc03000, 0x00fffffffffffffc, 0, "SYNC" },
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static const struct layout *layout_of(unsigned int op)
{
	for (size_t i = 0; i < LAYOUTS; i++) {
		if (layouts[i].op == op)
			return &layouts[i];
	}
	return NULL;
}

static int decode_id(uint64_t dw0, uint64_t dw1, const struct smmuv3_id *id,
		     struct smmuv3_cmd *cmd)
{
	return smmuv3_decode((uint64_t[]){ dw0, dw1 }, id, cmd);
}

static int decode(uint64_t dw0, uint64_t dw1, struct smmuv3_cmd *cmd)
{
	struct smmuv3_id id = id_full();

	return decode_id(dw0, dw1, &id, cmd);
}

static void every_opcode_without_a_layout_is_illegal(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	for (unsigned int op = 0; op < 256; op++) {
		const struct layout *l = layout_of(op);

		assert_int_equal(decode(op, 0, &cmd), l ? 0 : -EINVAL);
		if (l)
			assert_int_equal(cmd.op, op);
	}
}

static void names_are_those_of_the_specification(void **state)
{
	(void)state;
	for (unsigned int op = 0; op < 256; op++) {
		const struct layout *l = layout_of(op);

		if (l)
			assert_string_equal(smmuv3_op_name((uint8_t)op),
					    l->name);
		else if (op != 0x18 && op != 0x1a)
			assert_null(smmuv3_op_name((uint8_t)op));
	}
	assert_string_equal(smmuv3_op_name(0x18), "TLBI_EL3_ALL");
	assert_string_equal(smmuv3_op_name(0x1a), "TLBI_EL3_VA");
}

static void every_reserved_bit_of_every_command_is_refused(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		const struct layout *l = &layouts[i];

		for (int bit = 8; bit < 64; bit++)
			assert_int_equal(decode(l->op | BIT(bit), 0, &cmd),
					 l->legal0 & BIT(bit) ? 0 : -EINVAL);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(decode(l->op, BIT(bit), &cmd),
					 l->legal1 & BIT(bit) ? 0 : -EINVAL);
	}
}

static void all_defined_bits_together_are_legal(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		const struct layout *l = &layouts[i];
		uint64_t dw0 = l->legal0, dw1 = l->legal1;

		if (l->op == 0x40)
			dw1 &= ~0xbULL; /* SIZE 52 */
		if (l->op == 0x41)
			dw1 &= ~0x1000ULL; /* Success */
		if (l->op == 0x46) {
			dw0 &= ~0x2000ULL; /* SIG_IRQ */
			dw1 &= 0x000fffffffffffff;
		}
		assert_int_equal(decode(l->op | dw0, dw1, &cmd), 0);
	}
}

static void a_refused_command_leaves_the_output_alone(void **state)
{
	struct smmuv3_cmd cmd, before;

	(void)state;
	memset(&cmd, 0x5a, sizeof(cmd));
	before = cmd;
	assert_int_equal(decode(0x10, 1, &cmd), -EINVAL);
	assert_memory_equal(&cmd, &before, sizeof(cmd));
}

static const uint8_t address_ops[] = { 0x12, 0x13, 0x22, 0x23, 0x2a };

/* NUM 3, SCALE 1; TG 4 KiB, TTL 2 */
#define RANGE0 0x0000000000103000ULL
#define RANGE1 0x0000000000000600ULL

static void ranges_have_their_fields_and_no_other(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	for (size_t i = 0; i < sizeof(address_ops); i++) {
		const struct layout *l = layout_of(address_ops[i]);
		uint64_t legal0 = l->legal0 | 0x01f1f000; /* SCALE, NUM */
		uint64_t legal1 = l->legal1 | 0xf00;	  /* TG, TTL */

		legal1 &= ~0x400ULL; /* without TG the others are RES0 */
		for (int bit = 8; bit < 64; bit++)
			assert_int_equal(decode(l->op | (RANGE0 ^ BIT(bit)),
						RANGE1, &cmd),
					 legal0 & BIT(bit) ? 0 : -EINVAL);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(
				decode(l->op | RANGE0, RANGE1 ^ BIT(bit), &cmd),
				legal1 & BIT(bit) ? 0 : -EINVAL);
	}
}

static void without_ril_nothing_of_a_range_is_legal(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.idr[3] &= ~0x400u;
	for (size_t i = 0; i < sizeof(address_ops); i++) {
		const struct layout *l = layout_of(address_ops[i]);

		assert_int_equal(decode_id(l->op | RANGE0, RANGE1, &id, &cmd),
				 -EINVAL);
		for (int bit = 8; bit < 64; bit++)
			assert_int_equal(
				decode_id(l->op | BIT(bit), 0, &id, &cmd),
				l->legal0 & BIT(bit) ? 0 : -EINVAL);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(decode_id(l->op, BIT(bit), &id, &cmd),
					 l->legal1 & BIT(bit) ? 0 : -EINVAL);
	}
}

static void scale_has_a_sixth_bit_with_ds_only(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x12 | BIT(25), 0x400, &cmd), -EINVAL);
	id.idr[5] |= 0x80;
	assert_int_equal(decode_id(0x12 | BIT(25), 0x400, &id, &cmd), 0);
	/* SCALE 32: 2^32 granules of 4 KiB */
	assert_int_equal(cmd.last, (1ULL << 44) - 1);
	/* SCALE 63 counts as 39 */
	assert_int_equal(decode_id(0x12 | 0x3f00000, 0x400, &id, &cmd), 0);
	assert_int_equal(cmd.last, (1ULL << 51) - 1);
}

static void a_granule_alone_is_reserved(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	for (uint64_t tg = 1; tg < 4; tg++) {
		assert_int_equal(decode(0x12, tg << 10, &cmd), -EINVAL);
		for (uint64_t ttl = 1; ttl < 4; ttl++) {
			bool no_such_leaf = tg == 2 && ttl == 1;

			assert_int_equal(
				decode(0x12, tg << 10 | ttl << 8, &cmd),
				no_such_leaf ? -EINVAL : 0);
		}
	}
	/* 16 KiB blocks of level 1 exist with DS */
	id.idr[5] |= 0x80;
	assert_int_equal(decode_id(0x12, 0x900, &id, &cmd), 0);
	assert_int_equal(cmd.ttl, 1);
}

static void a_level_that_cannot_be_is_no_hint(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	/* NUM 1, 16 KiB, TTL 1, without DS */
	assert_int_equal(decode(0x12 | 0x1000, 0x900, &cmd), 0);
	assert_int_equal(cmd.ttl, 0);
	assert_int_equal(cmd.granule_lg2, 14);
	assert_int_equal(cmd.last, 0x7fff);
}

static void ranges_mean_num_plus_one_shifted_granules(void **state)
{
	static const struct {
		uint64_t num, scale, tg;
		uint64_t length;
	} cases[] = {
		{ 1, 0, 1, 0x2000 },
		{ 31, 0, 1, 0x20000 },
		{ 0, 1, 1, 0x2000 },
		{ 0, 9, 1, 0x200000 },
		{ 5, 3, 2, 0xc0000 },
		{ 2, 4, 3, 0x300000 },
		{ 31, 31, 1, 0x1000000000000 },
		{ 31, 31, 3, 0x10000000000000 },
	};
	struct smmuv3_cmd cmd;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			decode(0x13 | cases[i].num << 12 | cases[i].scale << 20,
			       0x1230000 | cases[i].tg << 10, &cmd),
			0);
		assert_true(cmd.range);
		assert_int_equal(cmd.first, 0x1230000);
		assert_int_equal(cmd.last, 0x1230000 + cases[i].length - 1);
		assert_int_equal(cmd.granule_lg2, 10 + 2 * cases[i].tg);
		assert_int_equal(cmd.ttl, 0);
	}
}

static void a_range_ends_at_the_top_of_the_address_space(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x12 | 0x1f1f000, 0xfffffffffffff400, &cmd), 0);
	assert_int_equal(cmd.first, 0xfffffffffffff000);
	assert_int_equal(cmd.last, UINT64_MAX);
	/* exactly the top page */
	assert_int_equal(decode(0x12, 0xfffffffffffff700, &cmd), 0);
	assert_int_equal(cmd.last, UINT64_MAX);
}

static void features_decide_which_commands_exist(void **state)
{
	static const uint32_t bits[] = { ID_S1P, ID_S2P, ID_HYP,
					 ID_ATS, ID_PRI, ID_STALL_NONE };
	struct smmuv3_cmd cmd;

	(void)state;
	for (unsigned int set = 0; set < 64; set++) {
		struct smmuv3_id id = id_full();

		for (int i = 0; i < 6; i++) {
			id.idr[0] &= ~bits[i];
			if (set & 1u << i)
				id.idr[0] |= bits[i];
		}
		for (size_t i = 0; i < LAYOUTS; i++) {
			const struct layout *l = &layouts[i];
			bool there = (id.idr[0] & l->need) == l->need;

			if (l->op == 0x44 || l->op == 0x45)
				there = !(set & 0x20);
			assert_int_equal(decode_id(l->op, 0, &id, &cmd),
					 there ? 0 : -EINVAL);
		}
	}
}

static void forced_stalls_can_be_answered(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.idr[0] |= ID_STALL_FORCED;
	assert_int_equal(decode_id(0x44, 0, &id, &cmd), 0);
	assert_int_equal(decode_id(0x45, 0, &id, &cmd), 0);
}

static void without_mpam_there_is_no_partid_map(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.idr[3] &= ~0x80u;
	assert_int_equal(decode_id(0x07, 0, &id, &cmd), -EINVAL);
}

static void addresses_are_as_wide_as_the_version_says(void **state)
{
	static const struct {
		uint32_t aidr;
		int top; /* first bit that does not exist */
	} cases[] = { { 0, 48 }, { 1, 52 }, { 3, 52 }, { 4, 56 }, { 5, 56 } };
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		id.aidr = cases[i].aidr;
		for (int bit = 12; bit < 64; bit++) {
			int want = bit < cases[i].top ? 0 : -EINVAL;

			assert_int_equal(decode_id(0x2a, BIT(bit), &id, &cmd),
					 want);
			/* SIG_IRQ */
			assert_int_equal(decode_id(0x1046, BIT(bit), &id, &cmd),
					 want);
		}
	}
}

static void version_0_has_no_stride(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.aidr = 0;
	for (int bit = 5; bit < 10; bit++)
		assert_int_equal(decode_id(0x02, BIT(bit), &id, &cmd), -EINVAL);
	assert_int_equal(decode_id(0x02, 0x1f, &id, &cmd), 0);
}

static void tlbi_operands_come_from_their_fields(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0xabcd123400000012, 0x0000fedcba987001, &cmd),
			 0);
	assert_int_equal(cmd.asid, 0xabcd);
	assert_int_equal(cmd.vmid, 0x1234);
	assert_int_equal(cmd.first, 0x0000fedcba987000);
	assert_int_equal(cmd.last, 0x0000fedcba987fff);
	assert_true(cmd.leaf);
	assert_false(cmd.range);
	assert_int_equal(cmd.granule_lg2, 0);
	assert_int_equal(cmd.ttl, 0);

	assert_int_equal(decode(0x0000123400000010, 0, &cmd), 0);
	assert_int_equal(cmd.vmid, 0x1234);
	assert_int_equal(cmd.asid, 0);
	assert_int_equal(decode(0xabcd000000000022, 0x1000, &cmd), 0);
	assert_int_equal(cmd.vmid, 0);
	assert_int_equal(cmd.asid, 0xabcd);
	assert_false(cmd.leaf);
}

static void without_stage_2_a_vmid_is_not_matched(void **state)
{
	static const uint8_t vmid_ops[] = { 0x10, 0x11, 0x12, 0x13 };
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.idr[0] &= ~(ID_S2P | ID_HYP | ID_VMW);
	for (size_t i = 0; i < sizeof(vmid_ops); i++) {
		assert_int_equal(
			decode_id(vmid_ops[i] | 0xffff00000000, 0, &id, &cmd),
			0);
		assert_int_equal(cmd.vmid, 0);
	}
}

static void values_out_of_range_come_out_whole(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	id.idr[0] &= ~(ID_ASID16 | ID_VMID16);
	id.idr[1] = 0x00000141; /* SIDSIZE 1, SSIDSIZE 5 */
	assert_int_equal(decode_id(0xabcd123400000011, 0, &id, &cmd), 0);
	assert_int_equal(cmd.asid, 0xabcd);
	assert_int_equal(cmd.vmid, 0x1234);
	assert_int_equal(decode_id(0x80000001fffff005, 0, &id, &cmd), 0);
	assert_int_equal(cmd.sid, 0x80000001);
	assert_int_equal(cmd.ssid, 0xfffff);
}

static void ste_ranges_are_aligned_to_their_size(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x0000123500000003, 1, &cmd), 0);
	assert_int_equal(cmd.sid, 0x1235);
	assert_int_equal(cmd.sid_last, 0x1235);
	assert_true(cmd.leaf);
	assert_int_equal(decode(0x0000123500000004, 0, &cmd), 0);
	assert_int_equal(cmd.sid, 0x1234);
	assert_int_equal(cmd.sid_last, 0x1235);
	assert_int_equal(decode(0x0000123500000004, 7, &cmd), 0);
	assert_int_equal(cmd.sid, 0x1200);
	assert_int_equal(cmd.sid_last, 0x12ff);
	assert_int_equal(decode(0x0000123500000004, 31, &cmd), 0);
	assert_int_equal(cmd.sid, 0);
	assert_int_equal(cmd.sid_last, 0xffffffff);
}

static void ssv_switches_substream_and_global(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x00001234abcdea40, 0x7001, &cmd), 0);
	assert_true(cmd.ssv);
	assert_true(cmd.global);
	assert_int_equal(cmd.ssid, 0xabcde);
	assert_int_equal(cmd.sid, 0x1234);
	/* G is IGNORED and SSID unused without SSV */
	assert_int_equal(decode(0x00001234abcde240, 0x7001, &cmd), 0);
	assert_false(cmd.ssv);
	assert_false(cmd.global);
	assert_int_equal(cmd.ssid, 0);
	/* no SubstreamIDs at all: as without SSV */
	id.idr[1] &= ~0x7c0u;
	assert_int_equal(decode_id(0x00001234abcdea40, 0x7001, &id, &cmd), 0);
	assert_false(cmd.ssv);
	assert_false(cmd.global);
	assert_int_equal(decode_id(0x00001234abcde841, 0, &id, &cmd), 0);
	assert_false(cmd.ssv);
	assert_int_equal(decode_id(0x00001234abcde801, 0, &id, &cmd), 0);
	assert_false(cmd.ssv);
	assert_int_equal(cmd.ssid, 0);
}

static void atc_spans_are_aligned_powers_of_two(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x40, 0x12345000, &cmd), 0);
	assert_int_equal(cmd.first, 0x12345000);
	assert_int_equal(cmd.last, 0x12345fff);
	assert_int_equal(decode(0x40, 0x12345009, &cmd), 0);
	assert_int_equal(cmd.first, 0x12200000);
	assert_int_equal(cmd.last, 0x123fffff);
	assert_int_equal(decode(0x40, 0xffffffff12345000 | 52, &cmd), 0);
	assert_int_equal(cmd.first, 0);
	assert_int_equal(cmd.last, UINT64_MAX);
	assert_int_equal(decode(0x40, 51, &cmd), 0);
	assert_int_equal(cmd.last, UINT64_MAX >> 1);
	for (uint64_t size = 53; size < 64; size++)
		assert_int_equal(decode(0x40, size, &cmd), -EINVAL);
}

static void prefetches_span_strides(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	/* 2^3 translations 2^(12 + 4) apart */
	assert_int_equal(decode(0x02, 0x100000 | 4 << 5 | 3, &cmd), 0);
	assert_int_equal(cmd.first, 0x100000);
	assert_int_equal(cmd.last, 0x17ffff);
	assert_int_equal(decode(0x02, 0x1000 | 0x3ff, &cmd), 0);
	assert_int_equal(cmd.last, UINT64_MAX);
}

static void page_responses_have_three_meanings(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x0000777700000041, 0x21a5, &cmd), 0);
	assert_int_equal(cmd.sid, 0x7777);
	assert_int_equal(cmd.prg_index, 0x1a5);
	assert_int_equal(cmd.resp, 2);
	assert_int_equal(decode(0x41, 0x1000, &cmd), 0);
	assert_int_equal(cmd.resp, 1);
	assert_int_equal(decode(0x41, 0x3000, &cmd), -EINVAL);
}

static void resume_retries_or_terminates(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x0000123400001044, 0xbeef, &cmd), 0);
	assert_int_equal(cmd.sid, 0x1234);
	assert_int_equal(cmd.stag, 0xbeef);
	assert_true(cmd.retry);
	assert_false(cmd.abort);
	/* Ab is IGNORED when retrying */
	assert_int_equal(decode(0x3044, 0, &cmd), 0);
	assert_true(cmd.retry);
	assert_false(cmd.abort);
	assert_int_equal(decode(0x2044, 0, &cmd), 0);
	assert_false(cmd.retry);
	assert_true(cmd.abort);
	assert_int_equal(decode(0x44, 0, &cmd), 0);
	assert_false(cmd.abort);
	/* an SMMU that always aborts */
	id.idr[0] |= ID_TERM_MODEL;
	assert_int_equal(decode_id(0x44, 0, &id, &cmd), 0);
	assert_true(cmd.abort);
}

static void sync_signals_as_cs_says(void **state)
{
	struct smmuv3_id id = id_full();
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x89abcdef0fc01046, 0x0000fffffffffffc, &cmd),
			 0);
	assert_int_equal(cmd.cs, 1);
	assert_int_equal(cmd.msi_data, 0x89abcdef);
	assert_int_equal(cmd.msi_addr, 0x0000fffffffffffc);
	/* IGNORED with SIG_NONE and SIG_SEV, even what would be RES0 */
	assert_int_equal(decode(0x89abcdef0fc00046, 0x00fffffffffffffc, &cmd),
			 0);
	assert_int_equal(cmd.cs, 0);
	assert_int_equal(cmd.msi_addr, 0);
	assert_int_equal(cmd.msi_data, 0);
	assert_int_equal(decode(0x89abcdef00002046, 0x00fffffffffffffc, &cmd),
			 0);
	assert_int_equal(cmd.cs, 2);
	assert_int_equal(cmd.msi_addr, 0);
	assert_int_equal(decode(0x3046, 0, &cmd), -EINVAL);
	/* and without MSIs */
	id.idr[0] &= ~ID_MSI;
	assert_int_equal(
		decode_id(0x89abcdef00001046, 0x00fffffffffffffc, &id, &cmd),
		0);
	assert_int_equal(cmd.cs, 1);
	assert_int_equal(cmd.msi_addr, 0);
}

static void el3_is_not_for_this_queue(void **state)
{
	struct smmuv3_cmd cmd;

	(void)state;
	assert_int_equal(decode(0x18, 0, &cmd), -EINVAL);
	assert_int_equal(decode(0x1a, 0x1000, &cmd), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode_without_a_layout_is_illegal),
		cmocka_unit_test(names_are_those_of_the_specification),
		cmocka_unit_test(
			every_reserved_bit_of_every_command_is_refused),
		cmocka_unit_test(all_defined_bits_together_are_legal),
		cmocka_unit_test(a_refused_command_leaves_the_output_alone),
		cmocka_unit_test(ranges_have_their_fields_and_no_other),
		cmocka_unit_test(without_ril_nothing_of_a_range_is_legal),
		cmocka_unit_test(scale_has_a_sixth_bit_with_ds_only),
		cmocka_unit_test(a_granule_alone_is_reserved),
		cmocka_unit_test(a_level_that_cannot_be_is_no_hint),
		cmocka_unit_test(ranges_mean_num_plus_one_shifted_granules),
		cmocka_unit_test(a_range_ends_at_the_top_of_the_address_space),
		cmocka_unit_test(features_decide_which_commands_exist),
		cmocka_unit_test(forced_stalls_can_be_answered),
		cmocka_unit_test(without_mpam_there_is_no_partid_map),
		cmocka_unit_test(addresses_are_as_wide_as_the_version_says),
		cmocka_unit_test(version_0_has_no_stride),
		cmocka_unit_test(tlbi_operands_come_from_their_fields),
		cmocka_unit_test(without_stage_2_a_vmid_is_not_matched),
		cmocka_unit_test(values_out_of_range_come_out_whole),
		cmocka_unit_test(ste_ranges_are_aligned_to_their_size),
		cmocka_unit_test(ssv_switches_substream_and_global),
		cmocka_unit_test(atc_spans_are_aligned_powers_of_two),
		cmocka_unit_test(prefetches_span_strides),
		cmocka_unit_test(page_responses_have_three_meanings),
		cmocka_unit_test(resume_retries_or_terminates),
		cmocka_unit_test(sync_signals_as_cs_says),
		cmocka_unit_test(el3_is_not_for_this_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
