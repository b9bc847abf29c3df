// SPDX-License-Identifier: MIT
/*
 * Altering a VT-d unit's invalidations: IOTLB and PASID-based IOTLB, and those
 * of device TLBs.
 */
#include "replay.h"
#include "trace/vtd.h"
#include "vtd.h"

#define TYPE_IOTLB     0x2
#define TYPE_DEV_TLB   0x3
#define TYPE_WAIT      0x5
#define TYPE_PDEV_TLB  0x8 /* of requests with PASID */
#define TYPE_PIOTLB    0x6
#define BY_PAGE	       3 /* G, of both */
#define W0_G(w)	       ((w)[0] >> 4 & 3)
#define W0_DID_SHIFT   16
#define W0_PASID_SHIFT 32
#define W1_AM(w)       ((w)[1] & 0x3f)
#define W1_ADDR	       0xfffffffffffff000ull
#define PAGE_LG2       12
#define LARGE_LEAF_LG2 21 /* 2 MiB */

static bool is_iotlb(const uint64_t *w)
{
	unsigned int type = vtd_command_type(w[0]);

	return type == TYPE_IOTLB || type == TYPE_PIOTLB;
}

static bool by_page(const uint64_t *w)
{
	return is_iotlb(w) && W0_G(w) == BY_PAGE;
}

static unsigned int leaf_lg2(const uint64_t *w)
{
	(void)w;
	return LARGE_LEAF_LG2;
}

static uint64_t length(const uint64_t *w)
{
	unsigned int lg2 = (unsigned int)W1_AM(w) + PAGE_LG2;

	return lg2 < 64 ? 1ull << lg2 : 0;
}

bool vtd_names_device(const uint64_t *w, uint32_t *stream)
{
	unsigned int type = vtd_command_type(w[0]);

	*stream = (uint32_t)(w[0] >> (type == TYPE_DEV_TLB ? 32 : 16)) & 0xffff;
	return type == TYPE_DEV_TLB || type == TYPE_PDEV_TLB;
}

static bool is_dev_tlb(const uint64_t *w)
{
	uint32_t stream;

	return vtd_names_device(w, &stream);
}

/* S of the second doubleword */
static uint64_t size_bit(const uint64_t *w)
{
	return vtd_command_type(w[0]) == TYPE_DEV_TLB ? 1 : 1ull << 11;
}

/*
 * 6.5.2.5, 6.5.2.6: with S, the lowest zero of the address, from bit 12 on, is
 * the highest of those that do not count. 0: all of them
 */
static uint64_t dev_length(const uint64_t *w)
{
	uint64_t ones = ~(w[1] >> PAGE_LG2);
	unsigned int lg2 = PAGE_LG2;

	if (w[1] & size_bit(w))
		lg2 += (unsigned int)__builtin_ctzll(ones) + 1;
	return lg2 < 64 ? 1ull << lg2 : 0;
}

static struct mutation_range dev_named(const uint64_t *w)
{
	struct mutation_range range = { 0, UINT64_MAX };

	if (!dev_length(w))
		return range;
	range.first = w[1] & W1_ADDR & ~(dev_length(w) - 1);
	range.last = range.first + (dev_length(w) - 1);
	return range;
}

/* Either half of a range; one page moves. */
static bool dev_narrow(uint64_t *w, uint64_t *rng)
{
	uint64_t length = dev_length(w);
	uint64_t first = dev_named(w).first;

	if (!length)
		return false;
	if (length == 1ull << PAGE_LG2) {
		w[1] += length;
		return true;
	}
	length /= 2;
	if (mutation_draw(rng) & 1)
		first += length;
	w[1] = first;
	if (length > 1ull << PAGE_LG2) /* ones up to half of it */
		w[1] |= (length / 2 - (1ull << PAGE_LG2)) | size_bit(w);
	return true;
}

/* Address bits below the mask are ignored (6.5.2.3, 6.5.2.4). */
static struct mutation_range named(const uint64_t *w)
{
	struct mutation_range range = { 0, UINT64_MAX };

	if (is_dev_tlb(w))
		return dev_named(w);
	if (!by_page(w) || !length(w))
		return range;
	range.first = w[1] & W1_ADDR & ~(length(w) - 1);
	range.last = range.first + (length(w) - 1);
	return range;
}

/* Either half of a range; one page cannot shrink: it moves. */
static bool narrow(uint64_t *w, uint64_t *rng)
{
	if (!by_page(w) || !length(w))
		return false;
	if (!W1_AM(w)) {
		w[1] += length(w);
		return true;
	}
	w[1] &= ~(length(w) - 1) | 0x7f; /* AM and IH stay */
	w[1]--;
	if (mutation_draw(rng) & 1)
		w[1] += length(w);
	return true;
}

/* False: this kind has nothing to alter here; @rng may have moved on. */
static bool alter(enum mutation_kind kind, uint64_t *w, uint64_t *rng)
{
	bool device = kind == MUTATE_ATC_DROP || kind == MUTATE_ATC_NARROW;

	if (device ? !is_dev_tlb(w) : !is_iotlb(w))
		return false;
	switch (kind) {
	case MUTATE_DROP: /* a wait that asks for nothing */
	case MUTATE_ATC_DROP:
		w[0] = TYPE_WAIT;
		w[1] = 0;
		return true;
	case MUTATE_NARROW:
		return narrow(w, rng);
	case MUTATE_ATC_NARROW:
		return dev_narrow(w, rng);
	case MUTATE_DOMAIN:
		w[0] ^= (1 + mutation_draw(rng) % 255) << W0_DID_SHIFT;
		return true;
	case MUTATE_PASID:
		if (vtd_command_type(w[0]) != TYPE_PIOTLB)
			return false;
		w[0] ^= (1 + mutation_draw(rng) % 255) << W0_PASID_SHIFT;
		return true;
	default:
		return false;
	}
}

const struct mutation_ops vtd_mutations = {
	.kinds = 1u << MUTATE_DROP | 1u << MUTATE_NARROW | 1u << MUTATE_DOMAIN |
		 1u << MUTATE_PASID | 1u << MUTATE_ATC_DROP |
		 1u << MUTATE_ATC_NARROW,
	.alter = alter,
	.named = named,
	.leaf_lg2 = leaf_lg2,
};
