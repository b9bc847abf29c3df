// SPDX-License-Identifier: MIT
/* Altering an SMMUv3's invalidations. */
#include "replay.h"

/* Arm IHI 0070 4.4: opcodes and fields of invalidations */
#define OP_NH_ALL      0x10
#define OP_NH_ASID     0x11
#define OP_NH_VA       0x12
#define OP_NH_VAA      0x13
#define OP_S12_VMALL   0x28
#define OP_S2_IPA      0x2a
#define OP_NSNH_ALL    0x30
#define OP_ATC_INV     0x40 /* 4.5.1 */
#define OP_SYNC	       0x46

#define W0_NUM_SHIFT   12
#define W0_SCALE_SHIFT 20
#define W0_FIVE_BITS   0x1full
#define W0_VMID_SHIFT  32
#define W0_ASID_SHIFT  48
#define W1_TTL_SHIFT   8
#define W1_TTL	       0x300ull
#define W1_TG_SHIFT    10
#define W1_ADDR	       0xfffffffffffff000ull
#define W1_IPA	       0x00fffffffffff000ull

#define W1_SIZE	       0x3full
#define ATC_ALL	       52

static unsigned int opcode(const uint64_t *w)
{
	return w[0] & 0xff;
}

static bool is_tlbi(unsigned int op)
{
	return op == OP_NH_ALL || op == OP_NH_ASID || op == OP_NH_VA ||
	       op == OP_NH_VAA || op == OP_S12_VMALL || op == OP_S2_IPA ||
	       op == OP_NSNH_ALL;
}

static bool by_address(unsigned int op)
{
	return op == OP_NH_VA || op == OP_NH_VAA || op == OP_S2_IPA;
}

/* log2 of the granule; 0: not a range command */
static unsigned int granule(const uint64_t *w)
{
	static const uint8_t lg2[] = { 0, 12, 14, 16 };

	return by_address(opcode(w)) ? lg2[w[1] >> W1_TG_SHIFT & 3] : 0;
}

/* log2 of the size of a level-2 leaf */
static unsigned int leaf_lg2(const uint64_t *w)
{
	unsigned int lg2 = granule(w) ? granule(w) : 12;

	return lg2 + (lg2 - 3);
}

/* 4.5.1: 2^Size pages of 4 KiB; 52 and more: all */
static struct mutation_range atc_named(const uint64_t *w)
{
	struct mutation_range range = { 0, UINT64_MAX };
	uint64_t length;

	if ((w[1] & W1_SIZE) >= ATC_ALL)
		return range;
	length = 4096ull << (w[1] & W1_SIZE);
	range.first = w[1] & W1_ADDR & ~(length - 1);
	range.last = range.first + (length - 1);
	return range;
}

/* The addresses a command names */
static struct mutation_range named(const uint64_t *w)
{
	struct mutation_range range = { 0, UINT64_MAX };
	unsigned int lg2 = granule(w);
	uint64_t pages = 1;

	if (opcode(w) == OP_ATC_INV)
		return atc_named(w);
	if (!by_address(opcode(w)))
		return range;
	range.first = w[1] & (opcode(w) == OP_S2_IPA ? W1_IPA : W1_ADDR);
	if (lg2) {
		pages = (w[0] >> W0_NUM_SHIFT & W0_FIVE_BITS) + 1;
		pages <<= w[0] >> W0_SCALE_SHIFT & W0_FIVE_BITS;
	} else {
		lg2 = 12;
	}
	if (pages <= (UINT64_MAX - range.first) >> lg2)
		range.last = range.first + (pages << lg2) - 1;
	return range;
}

/* Either half; one page moves. */
static bool atc_narrow(uint64_t *w, uint64_t *rng)
{
	struct mutation_range was = atc_named(w);
	uint64_t length = was.last - was.first + 1;

	if (opcode(w) != OP_ATC_INV || !length)
		return false;
	if (length == 4096) {
		w[1] += length;
		return true;
	}
	w[1] = (was.first | (w[1] & W1_SIZE)) - 1;
	if (mutation_draw(rng) & 1)
		w[1] += length / 2;
	return true;
}

/* One page cannot shrink: it moves. */
static bool narrow(uint64_t *w, uint64_t *rng)
{
	uint64_t num = w[0] >> W0_NUM_SHIFT & W0_FIVE_BITS;
	uint64_t scale = w[0] >> W0_SCALE_SHIFT & W0_FIVE_BITS;
	unsigned int lg2 = granule(w);

	if (!lg2)
		return false;
	if ((!num && !scale) || mutation_draw(rng) & 1) {
		w[1] += ((num + 1) << scale) << lg2;
		return true;
	}
	if (scale) {
		w[0] -= 1ull << W0_SCALE_SHIFT;
	} else {
		w[0] &= ~(W0_FIVE_BITS << W0_NUM_SHIFT);
		w[0] |= num / 2 << W0_NUM_SHIFT;
	}
	return true;
}

static bool other_tag(uint64_t *w, uint64_t *rng)
{
	uint64_t flip =
		1 + mutation_draw(rng) % 255; /* eight bits are always there */

	switch (opcode(w)) {
	case OP_NH_VA:
	case OP_NH_ASID:
		w[0] ^= flip << W0_ASID_SHIFT;
		return true;
	case OP_S2_IPA:
	case OP_S12_VMALL:
		w[0] ^= flip << W0_VMID_SHIFT;
		return true;
	default:
		return false;
	}
}

/* Level 1 has leaves with the 4 KiB granule only. */
static bool other_level(uint64_t *w, uint64_t *rng)
{
	uint64_t ttl = (w[1] & W1_TTL) >> W1_TTL_SHIFT;
	unsigned int lg2 = granule(w);
	unsigned int lowest = lg2 == 12 ? 1 : 2;
	uint64_t other;

	if (!lg2)
		return false;
	do
		other = lowest + mutation_draw(rng) % (4 - lowest);
	while (other == ttl);
	w[1] = (w[1] & ~W1_TTL) | other << W1_TTL_SHIFT;
	return true;
}

/* False: this kind has nothing to alter here; @rng may have moved on. */
static bool alter(enum mutation_kind kind, uint64_t *w, uint64_t *rng)
{
	bool atc = kind == MUTATE_ATC_DROP || kind == MUTATE_ATC_NARROW;

	if (atc ? opcode(w) != OP_ATC_INV : !is_tlbi(opcode(w)))
		return false;
	switch (kind) {
	case MUTATE_DROP:
	case MUTATE_ATC_DROP:
		w[0] = OP_SYNC;
		w[1] = 0;
		return true;
	case MUTATE_ATC_NARROW:
		return atc_narrow(w, rng);
	case MUTATE_NARROW:
		return narrow(w, rng);
	case MUTATE_ASID:
		return other_tag(w, rng);
	case MUTATE_TTL:
		return other_level(w, rng);
	default:
		return false;
	}
}

const struct mutation_ops smmuv3_mutations = {
	.kinds = 1u << MUTATE_DROP | 1u << MUTATE_NARROW | 1u << MUTATE_ASID |
		 1u << MUTATE_TTL | 1u << MUTATE_ATC_DROP |
		 1u << MUTATE_ATC_NARROW,
	.alter = alter,
	.named = named,
	.leaf_lg2 = leaf_lg2,
};
