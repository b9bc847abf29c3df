// SPDX-License-Identifier: MIT
/*
 * The register file: what can be written, when, and what reads back. Masks and
 * conditions by hand from IHI 0070 6.3.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "rig.h"

struct reg {
	uint32_t offset;
	unsigned int size;
	uint64_t mask;	   /* what is writable with everything off */
	uint32_t cr0_lock; /* CR0 bits, any of which makes it read-only */
	uint32_t irq_lock; /* the same for IRQ_CTRL */
};

/* OAS is 48 bits; CMDQS 8, EVENTQS 4, PRIQS 3 */
static const struct reg regs[] = {
	{ 0x28, 4, 0xfff, 0, 0 }, /* CR1: see its own cases */
	{ 0x2c, 4, 0xf, C_SMMUEN, 0 },
	{ 0x64, 4, 0x1fd, 0, 0 },
	{ 0x68, 8, 0x0000fffffffffffc, 0, 0x1 },
	{ 0x70, 4, 0xffffffff, 0, 0x1 },
	{ 0x74, 4, 0x3f, 0, 0x1 },
	{ 0x80, 8, 0x4000ffffffffffc0, C_SMMUEN, 0 },
	{ 0x88, 4, 0x000307ff, C_SMMUEN, 0 },
	{ 0x90, 8, 0x4000ffffffffffff, C_CMDQEN, 0 },
	{ 0x98, 4, 0x000fffff, 0, 0 },
	{ 0xa0, 8, 0x4000ffffffffffff, C_EVENTQEN, 0 },
	{ 0xb0, 8, 0x0000fffffffffffc, 0, 0x4 },
	{ 0xb8, 4, 0xffffffff, 0, 0x4 },
	{ 0xbc, 4, 0x3f, 0, 0x4 },
	{ 0xc0, 8, 0x4000ffffffffffff, C_PRIQEN, 0 },
	{ 0xd0, 8, 0x0000fffffffffffc, 0, 0x2 },
	{ 0xd8, 4, 0xffffffff, 0, 0x2 },
	{ 0xdc, 4, 0x8000003f, 0, 0x2 },
	{ 0x100ac, 4, 0x800fffff, 0, 0 },
	{ 0x100cc, 4, 0x800fffff, 0, 0 },
};

#define REGS (sizeof(regs) / sizeof(regs[0]))

static uint64_t reg_read(struct rig *rig, const struct reg *r)
{
	return smmuv3_front_read(rig->front, r->offset, r->size);
}

static void reg_write(struct rig *rig, const struct reg *r, uint64_t value)
{
	smmuv3_front_write(rig->front, r->offset, r->size, value);
}

static void expect_bits(struct rig *rig, const struct reg *r, uint64_t mask)
{
	for (unsigned int bit = 0; bit < 8 * r->size; bit++) {
		uint64_t one = 1ULL << bit;

		reg_write(rig, r, one);
		assert_int_equal(reg_read(rig, r), one & mask);
		reg_write(rig, r, ~one);
		assert_int_equal(reg_read(rig, r), ~one & mask);
	}
	reg_write(rig, r, 0);
	assert_int_equal(reg_read(rig, r), 0);
}

static void every_bit_is_writable_or_zero(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < REGS; i++)
		expect_bits(rig, &regs[i], regs[i].mask);
}

/* keep one value, and see that nothing changes it */
static void expect_locked(struct rig *rig, const struct reg *r, uint64_t was)
{
	for (unsigned int bit = 0; bit < 8 * r->size; bit++) {
		reg_write(rig, r, was ^ 1ULL << bit);
		assert_int_equal(reg_read(rig, r), was);
	}
}

static void guards_make_registers_read_only(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 1; i < REGS; i++) {
		const struct reg *r = &regs[i];
		uint64_t was = 0x5555555555555555 & r->mask;

		for (uint32_t bit = 1; bit <= 8; bit <<= 1) {
			reg_write(rig, r, was);
			wr(rig, R_CR0, bit);
			assert_int_equal(rd(rig, R_CR0ACK), bit);
			if (r->cr0_lock & bit)
				expect_locked(rig, r, was);
			else
				expect_bits(rig, r, r->mask);
			wr(rig, R_CR0, 0);
		}
	}
}

static void enabled_interrupts_guard_their_configuration(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 1; i < REGS; i++) {
		const struct reg *r = &regs[i];
		uint64_t was = 0x5555555555555555 & r->mask;

		for (uint32_t bit = 1; bit <= 4; bit <<= 1) {
			reg_write(rig, r, was);
			wr(rig, R_IRQ_CTRL, bit);
			if (r->irq_lock & bit)
				expect_locked(rig, r, was);
			else if (r->irq_lock)
				expect_bits(rig, r, r->mask);
			wr(rig, R_IRQ_CTRL, 0);
		}
	}
}

static void halves_of_64_bit_registers_are_separate(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < REGS; i++) {
		const struct reg *r = &regs[i];
		uint64_t v = 0x0000123489abcdff & r->mask;

		if (r->size != 8)
			continue;
		reg_write(rig, r, v);
		assert_int_equal(rd(rig, r->offset), (uint32_t)v);
		assert_int_equal(rd(rig, r->offset + 4), v >> 32);
		wr(rig, r->offset, 0);
		assert_int_equal(reg_read(rig, r), v & 0xffffffff00000000);
		wr(rig, r->offset, 0xffffffff);
		wr(rig, r->offset + 4, 0);
		assert_int_equal(reg_read(rig, r), r->mask & 0xffffffff);
	}
}

static void identification_is_constant(void **state)
{
	static const uint32_t want[] = { 0x08cf763b, 0x01041d10, 0,
					 0x00000494, 0,		 0x00100075,
					 0x0123443b, 2 };
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 8; i++) {
		wr(rig, 4 * i, ~want[i]);
		assert_int_equal(rd(rig, 4 * i), want[i]);
	}
	assert_int_equal(rd64(rig, 0), 0x01041d1008cf763b);
	/* component identification: class 0xf */
	assert_int_equal(rd(rig, 0xff0), 0x0d);
	assert_int_equal(rd(rig, 0xff4), 0xf0);
	assert_int_equal(rd(rig, 0xff8), 0x05);
	assert_int_equal(rd(rig, 0xffc), 0xb1);
}

static bool is_defined(uint32_t offset)
{
	if (offset < 0x30 || (offset >= 0xfd0 && offset < 0x1000))
		return true;
	if (offset == 0x40 || offset == 0x44 || offset == 0x50 ||
	    offset == 0x54 || (offset >= 0x60 && offset < 0x78) ||
	    (offset >= 0x80 && offset < 0x8c) ||
	    (offset >= 0x90 && offset < 0xe0))
		return true;
	return offset == 0x100a8 || offset == 0x100ac || offset == 0x100c8 ||
	       offset == 0x100cc;
}

static void everything_else_reads_zero_and_ignores_writes(void **state)
{
	struct rig *rig = *state;

	for (uint32_t offset = 0; offset < 0x30000; offset += 4) {
		if (is_defined(offset))
			continue;
		wr(rig, offset, 0xffffffff);
		assert_int_equal(rd(rig, offset), 0);
	}
	/* read-only ones */
	wr(rig, 0x24, 0xff);
	wr(rig, 0x40, 0xff);
	wr(rig, 0x54, 0xff);
	wr(rig, 0x60, 0xff);
	wr(rig, 0x48, 0xff);
	for (uint32_t i = 0; i < 8; i++) {
		static const uint32_t ro[] = { 0x24, 0x40, 0x48, 0x54,
					       0x60, 0x20, 0x50, 0x64 };

		assert_int_equal(rd(rig, ro[i]), 0);
	}
}

static void odd_accesses_do_nothing(void **state)
{
	struct rig *rig = *state;
	static const unsigned int sizes[] = { 0, 1, 2, 3, 5, 16 };

	wr64(rig, R_CMDQ_BASE, 0x10004);
	for (size_t i = 0; i < 6; i++) {
		smmuv3_front_write(rig->front, R_CMDQ_BASE, sizes[i], ~0ULL);
		assert_int_equal(
			smmuv3_front_read(rig->front, R_CMDQ_BASE, sizes[i]),
			0);
	}
	for (uint32_t off = 1; off < 8; off++) {
		smmuv3_front_write(rig->front, R_CMDQ_BASE + off, 8, ~0ULL);
		assert_int_equal(
			smmuv3_front_read(rig->front, R_CMDQ_BASE + off, 8), 0);
	}
	smmuv3_front_write(rig->front, R_CMDQ_BASE + 2, 4, 0xffffffff);
	assert_int_equal(smmuv3_front_read(rig->front, 0x92, 4), 0);
	assert_int_equal(rd64(rig, R_CMDQ_BASE), 0x10004);
	smmuv3_front_write(rig->front, 0xfffffffc, 4, ~0ULL);
	assert_int_equal(smmuv3_front_read(rig->front, 0xfffffff8, 8), 0);
}

static void a_wide_access_reaches_two_words(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_CMDQ_BASE, 0x10004);
	wr64(rig, R_CMDQ_PROD, 0x0000000500000005);
	assert_int_equal(rd(rig, R_CMDQ_PROD), 5);
	assert_int_equal(rd(rig, R_CMDQ_CONS), 5);
	assert_int_equal(rd64(rig, R_CMDQ_PROD), 0x0000000500000005);
	wr64(rig, R_EVENTQ_PROD, 0x8000000300000002);
	assert_int_equal(rd(rig, R_EVENTQ_CONS), 0x80000003);
}

static void page_0_aliases_the_indices_of_page_1(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_EVENTQ_BASE, 4);
	wr64(rig, R_PRIQ_BASE, 3);
	wr(rig, 0xa8, 0x1);
	wr(rig, 0xac, 0x2);
	wr(rig, 0xc8, 0x3);
	wr(rig, 0xcc, 0x4);
	assert_int_equal(rd(rig, R_EVENTQ_PROD), 1);
	assert_int_equal(rd(rig, R_EVENTQ_CONS), 2);
	assert_int_equal(rd(rig, R_PRIQ_PROD), 3);
	assert_int_equal(rd(rig, R_PRIQ_CONS), 4);
	wr(rig, R_EVENTQ_CONS, 0x5);
	assert_int_equal(rd(rig, 0xac), 5);
	assert_int_equal(rd(rig, 0xc8), 3);
}

static void indices_read_up_to_their_wrap_bit(void **state)
{
	struct rig *rig = *state;

	for (uint32_t lg2 = 0; lg2 < 32; lg2++) {
		uint32_t cmdq = lg2 < 8 ? lg2 : 8;
		uint32_t evtq = lg2 < 4 ? lg2 : 4;

		wr64(rig, R_CMDQ_BASE, lg2);
		assert_int_equal(rd64(rig, R_CMDQ_BASE), lg2);
		wr(rig, R_CMDQ_CONS, 0xffffffff);
		assert_int_equal(rd(rig, R_CMDQ_CONS), (2u << cmdq) - 1);
		wr64(rig, R_EVENTQ_BASE, lg2);
		wr(rig, R_EVENTQ_PROD, 0xffffffff);
		assert_int_equal(rd(rig, R_EVENTQ_PROD),
				 0x80000000 | ((2u << evtq) - 1));
	}
}

static void indices_are_guarded_by_their_queue(void **state)
{
	struct rig *rig = *state;

	wr64(rig, R_CMDQ_BASE, 4);
	wr64(rig, R_EVENTQ_BASE, 4);
	wr64(rig, R_PRIQ_BASE, 3);
	wr(rig, R_CR0, 0xe);
	for (int bit = 0; bit < 32; bit++) {
		wr(rig, R_CMDQ_CONS, 1u << bit);
		wr(rig, R_EVENTQ_PROD, 1u << bit);
		wr(rig, R_PRIQ_PROD, 1u << bit);
		assert_int_equal(rd(rig, R_CMDQ_CONS), 0);
		assert_int_equal(rd(rig, R_EVENTQ_PROD), 0);
		assert_int_equal(rd(rig, R_PRIQ_PROD), 0);
	}
}

static void cr0_has_the_bits_of_the_features(void **state)
{
	static const struct {
		uint32_t clear;
		uint32_t bits;
	} cases[] = {
		{ 0, 0x1df },
		{ ID_PRI, 0x1dd },
		{ ID_PRI | ID_ATS | ID_ATSRECERR, 0x1cd },
		{ ID_VMW, 0x1f },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct smmuv3_id id = id_full();
		struct rig *rig = calloc(1, sizeof(*rig));

		id.idr[0] &= ~cases[i].clear;
		assert_int_equal(rig_create(rig, &id, 0), 0);
		for (int bit = 0; bit < 32; bit++) {
			uint32_t want = cases[i].bits & 1u << bit;

			wr(rig, R_CR0, 1u << bit);
			assert_int_equal(rd(rig, R_CR0), want);
			assert_int_equal(rd(rig, R_CR0ACK), want);
		}
		wr(rig, R_CR0, 0xffffffff);
		assert_int_equal(rd(rig, R_CR0), cases[i].bits);
		assert_int_equal(rd(rig, R_CR0ACK), cases[i].bits);
		rig_destroy(rig);
		free(rig);
	}
}

static void cr1_fields_have_their_own_guards(void **state)
{
	struct rig *rig = *state;

	for (uint32_t cr0 = 0; cr0 < 16; cr0++) {
		uint32_t mask = 0;

		if (!(cr0 & 1))
			mask |= 0xfc0; /* TABLE_* */
		if (!(cr0 & 0xe))
			mask |= 0x03f; /* QUEUE_* */
		wr(rig, R_CR0, 0);
		wr(rig, 0x28, 0);
		wr(rig, R_CR0, cr0);
		for (int bit = 0; bit < 32; bit++) {
			wr(rig, 0x28, 1u << bit);
			assert_int_equal(rd(rig, 0x28), mask & 1u << bit);
		}
	}
}

static void features_decide_what_other_registers_have(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	/* neither HYP, BTM, ATSRECERR, MSI nor two levels */
	id.idr[0] &= ~(ID_HYP | ID_BTM | ID_ATSRECERR | ID_MSI | ID_2LVL);
	id.idr[1] = (id.idr[1] & ~0x3fu) | 6;
	assert_int_equal(rig_create(rig, &id, 0), 0);
	expect_bits(rig, &(struct reg){ 0x2c, 4 }, 0x2);
	expect_bits(rig, &(struct reg){ 0x88, 4 }, 0x3f);
	expect_bits(rig, &(struct reg){ 0x64, 4 }, 0x10d);
	for (uint32_t off = 0x68; off < 0x78; off += 4)
		expect_bits(rig, &(struct reg){ off, 4 }, 0);
	for (uint32_t off = 0xb0; off < 0xc0; off += 4)
		expect_bits(rig, &(struct reg){ off, 4 }, 0);
	for (uint32_t off = 0xd0; off < 0xdc; off += 4)
		expect_bits(rig, &(struct reg){ off, 4 }, 0);
	/* Last Only is no matter of MSIs */
	expect_bits(rig, &(struct reg){ 0xdc, 4 }, 0x80000000);
	rig_destroy(rig);
	free(rig);
}

static void without_pri_its_registers_are_reserved(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	id.idr[0] &= ~ID_PRI;
	assert_int_equal(rig_create(rig, &id, 0), 0);
	for (uint32_t off = 0xc0; off < 0xe0; off += 4)
		expect_bits(rig, &(struct reg){ off, 4 }, 0);
	expect_bits(rig, &(struct reg){ 0x100c8, 4 }, 0);
	expect_bits(rig, &(struct reg){ 0x100cc, 4 }, 0);
	expect_bits(rig, &(struct reg){ 0x50, 4 }, 0x5);
	expect_bits(rig, &(struct reg){ 0x64, 4 }, 0x1b5);
	rig_destroy(rig);
	free(rig);
}

static void addresses_are_cut_at_the_output_size(void **state)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52 };

	(void)state;
	for (uint32_t oas = 0; oas < 7; oas++) {
		struct smmuv3_id id = id_full();
		struct rig *rig = calloc(1, sizeof(*rig));
		uint64_t mask = (1ULL << bits[oas]) - 1;

		id.idr[5] = 0x70 | oas;
		assert_int_equal(rig_create(rig, &id, 0), 0);
		wr64(rig, 0x80, ~0ULL);
		assert_int_equal(rd64(rig, 0x80),
				 0x4000000000000000 | (mask & ~0x3fULL));
		wr64(rig, 0x90, ~0ULL);
		assert_int_equal(rd64(rig, 0x90), 0x4000000000000000 | mask);
		wr64(rig, 0x68, ~0ULL);
		assert_int_equal(rd64(rig, 0x68), mask & ~3ULL);
		rig_destroy(rig);
		free(rig);
	}
}

static void gbpa_needs_update(void **state)
{
	struct rig *rig = *state;
	struct smmuv3_regs picture;

	assert_int_equal(rd(rig, R_GBPA), 0x1000);
	wr(rig, R_GBPA, 0x00100000);
	assert_int_equal(rd(rig, R_GBPA), 0x1000);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_GBPA], 0);
	for (int bit = 0; bit < 31; bit++) {
		wr(rig, R_GBPA, 0x80000000 | 1u << bit);
		assert_int_equal(rd(rig, R_GBPA), 0x001f3f1f & 1u << bit);
		smmuv3_front_regs(rig->front, &picture);
		assert_int_equal(picture.gbpa, 0x001f3f1f & 1u << bit);
	}
	assert_int_equal(rig->changes[SMMUV3_CHANGE_GBPA], 31);
}

static void gbpa_from_inside(struct rig *rig, enum smmuv3_change what)
{
	if (what != SMMUV3_CHANGE_GBPA)
		return;
	assert_int_equal(rd(rig, R_GBPA), 0x80100000);
	wr(rig, R_GBPA, 0x80000000);
}

static void gbpa_ignores_writes_during_an_update(void **state)
{
	struct rig *rig = *state;

	rig->on_change = gbpa_from_inside;
	wr(rig, R_GBPA, 0x80100000);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_GBPA], 1);
	assert_int_equal(rd(rig, R_GBPA), 0x00100000);
}

static void smmuen_from_inside(struct rig *rig, enum smmuv3_change what)
{
	struct smmuv3_regs picture;

	if (what != SMMUV3_CHANGE_SMMUEN)
		return;
	smmuv3_front_regs(rig->front, &picture);
	assert_int_equal(picture.cr0, 1);
	assert_int_equal(rd(rig, R_CR0), 1);
	assert_int_equal(rd(rig, R_CR0ACK), 0);
	/* waits for its acknowledgement: no second change, no guarded one */
	wr(rig, R_CR0, 0);
	wr64(rig, 0x80, 0x12345000);
}

static void smmuen_is_acknowledged_after_its_consequences(void **state)
{
	struct rig *rig = *state;

	rig->on_change = smmuen_from_inside;
	wr(rig, R_CR0, 1);
	assert_int_equal(rd(rig, R_CR0), 1);
	assert_int_equal(rd(rig, R_CR0ACK), 1);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_SMMUEN], 1);
	assert_int_equal(rd64(rig, 0x80), 0);
	/* writing the same again is no change */
	wr(rig, R_CR0, 1);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_SMMUEN], 1);
}

static void the_picture_is_what_was_written(void **state)
{
	struct rig *rig = *state;
	struct smmuv3_regs picture;

	wr64(rig, 0x80, 0x4000123456789000);
	wr(rig, 0x88, 0x1018a);
	wr(rig, 0x28, 0xd75);
	wr(rig, 0x2c, 0x3);
	wr(rig, R_CR0, 0x95);
	smmuv3_front_regs(rig->front, &picture);
	assert_int_equal(picture.strtab_base, 0x4000123456789000);
	assert_int_equal(picture.strtab_cfg, 0x1018a);
	assert_int_equal(picture.cr1, 0xd75);
	assert_int_equal(picture.cr2, 3);
	assert_int_equal(picture.cr0, 0x95);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_STRTAB], 2);
	assert_int_equal(rig->changes[SMMUV3_CHANGE_EVENTQ], 1);
}

static void irq_ctrl_is_acknowledged(void **state)
{
	struct rig *rig = *state;

	for (int bit = 0; bit < 32; bit++) {
		wr(rig, R_IRQ_CTRL, 1u << bit);
		assert_int_equal(rd(rig, R_IRQ_CTRL), 7 & 1u << bit);
		assert_int_equal(rd(rig, R_IRQ_CTRLACK), 7 & 1u << bit);
	}
}

static void contradicting_identification_is_refused(void **state)
{
	/* word, bits to clear, bits to set */
	static const struct {
		int word;
		uint32_t clear, set;
		int rc;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 0, 0x20203, 0, -EINVAL },	    /* no stage */
		{ 0, 0x0202, 0, 0 },		    /* stage 2 only */
		{ 0, 0x20201, 0, 0 },		    /* stage 1 only */
		{ 0, 0x0002, 0, -EINVAL },	    /* HYP without stage 1 */
		{ 0, 0x0201, 0, -EINVAL },	    /* VMW without stage 2 */
		{ 0, 0x0400, 0, -EINVAL },	    /* PRI without ATS */
		{ 0, 0x10400, 0, -EINVAL },	    /* ATSRECERR without ATS */
		{ 0, 0, 0x8000, -EINVAL },	    /* ATOS */
		{ 0, 0, 0x100000, -EINVAL },	    /* VATOS */
		{ 0, 0, 0x40000000, -EINVAL },	    /* RME */
		{ 0, 0, 0x03000000, -EINVAL },	    /* STALL_MODEL 3 */
		{ 0, 0, 0x10000000, -EINVAL },	    /* ST_LEVEL 3 */
		{ 0, 0x400000, 0x200000, -EINVAL }, /* TTENDIAN 1 */
		{ 0, 0x08000000, 0, -EINVAL },	    /* 16-bit SIDs, one level */
		{ 1, 0x3f, 32, 0 },
		{ 1, 0x3f, 33, -EINVAL },
		{ 1, 0, 0x540, -EINVAL }, /* SSIDSIZE 21 */
		{ 1, 0x03e00000, 19 << 21, 0 },
		{ 1, 0x03e00000, 20 << 21, -EINVAL },
		{ 1, 0x001f0000, 20 << 16, -EINVAL },
		{ 1, 0x0000f800, 20 << 11, -EINVAL },
		{ 1, 0, 0x10000000, -EINVAL }, /* REL and the presets */
		{ 1, 0, 0x20000000, -EINVAL },
		{ 1, 0, 0x40000000, -EINVAL },
		{ 1, 0, 0x80000000, -EINVAL }, /* ECMDQ */
		{ 3, 0, 0x8000, -EINVAL },     /* DPT */
		{ 5, 0, 0x100, -EINVAL },      /* D128 */
		{ 5, 7, 6, 0 },
		{ 5, 0, 7, -EINVAL }, /* 56 bits */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smmuv3_id id = id_full();
		struct rig *rig = calloc(1, sizeof(*rig));

		id.idr[cases[i].word] &= ~cases[i].clear;
		id.idr[cases[i].word] |= cases[i].set;
		assert_int_equal(rig_create(rig, &id, 0), cases[i].rc);
		if (cases[i].rc)
			assert_null(rig->front);
		else
			rig_destroy(rig);
		free(rig);
	}
	smmuv3_front_destroy(NULL);
}

static void each_allocation_can_fail(void **state)
{
	struct smmuv3_id id = id_full();
	struct rig *rig = calloc(1, sizeof(*rig));
	uint64_t n = 0;
	int rc;

	(void)state;
	do {
		struct alloc_plan plan = { .fail_at = ++n };

		alloc_arm(&plan);
		rc = rig_create(rig, &id, 0);
		alloc_arm(NULL);
		if (rc) {
			assert_int_equal(rc, -ENOMEM);
			assert_null(rig->front);
		}
	} while (rc);
	assert_int_equal(n, 3);
	rig_destroy(rig);
	free(rig);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_bit_is_writable_or_zero),
		TEST(guards_make_registers_read_only),
		TEST(enabled_interrupts_guard_their_configuration),
		TEST(halves_of_64_bit_registers_are_separate),
		TEST(identification_is_constant),
		TEST(everything_else_reads_zero_and_ignores_writes),
		TEST(odd_accesses_do_nothing),
		TEST(a_wide_access_reaches_two_words),
		TEST(page_0_aliases_the_indices_of_page_1),
		TEST(indices_read_up_to_their_wrap_bit),
		TEST(indices_are_guarded_by_their_queue),
		TEST(cr0_has_the_bits_of_the_features),
		TEST(cr1_fields_have_their_own_guards),
		TEST(features_decide_what_other_registers_have),
		TEST(without_pri_its_registers_are_reserved),
		TEST(addresses_are_cut_at_the_output_size),
		TEST(gbpa_needs_update),
		TEST(gbpa_ignores_writes_during_an_update),
		TEST(smmuen_is_acknowledged_after_its_consequences),
		TEST(the_picture_is_what_was_written),
		TEST(irq_ctrl_is_acknowledged),
		TEST(contradicting_identification_is_refused),
		TEST(each_allocation_can_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
