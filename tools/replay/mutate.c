// SPDX-License-Identifier: MIT
/* Choosing and making alterations; finding the one that did it. */
#include "mutate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Arm IHI 0070 4.4: opcodes and fields of invalidations */
#define OP_NH_ALL      0x10
#define OP_NH_ASID     0x11
#define OP_NH_VA       0x12
#define OP_NH_VAA      0x13
#define OP_S12_VMALL   0x28
#define OP_S2_IPA      0x2a
#define OP_NSNH_ALL    0x30
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

#define LARGEST_LEAF   (1ull << 30)

const char *const mutation_names[] = {
	[MUTATE_NOTHING] = "nothing", [MUTATE_DROP] = "drop",
	[MUTATE_NARROW] = "narrow",   [MUTATE_ASID] = "asid",
	[MUTATE_TTL] = "ttl",
};

int mutation_kind_of(const char *name, enum mutation_kind *kind)
{
	for (unsigned int i = MUTATE_DROP; i <= MUTATE_TTL; i++) {
		if (!strcmp(name, mutation_names[i])) {
			*kind = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned int opcode(const uint64_t w[2])
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
static unsigned int granule(const uint64_t w[2])
{
	static const uint8_t lg2[] = { 0, 12, 14, 16 };

	return by_address(opcode(w)) ? lg2[w[1] >> W1_TG_SHIFT & 3] : 0;
}

/* log2 of the size of a level-2 leaf */
static unsigned int leaf_lg2(const uint64_t w[2])
{
	unsigned int lg2 = granule(w) ? granule(w) : 12;

	return lg2 + (lg2 - 3);
}

/* The addresses a command names */
static struct mutation_range named(const uint64_t w[2])
{
	struct mutation_range range = { 0, UINT64_MAX };
	unsigned int lg2 = granule(w);
	uint64_t pages = 1;

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

static bool meet(struct mutation_range a, struct mutation_range b)
{
	return a.first <= b.last && b.first <= a.last;
}

/* One page cannot shrink: it moves. */
static bool narrow(uint64_t w[2], uint64_t *rng)
{
	uint64_t num = w[0] >> W0_NUM_SHIFT & W0_FIVE_BITS;
	uint64_t scale = w[0] >> W0_SCALE_SHIFT & W0_FIVE_BITS;
	unsigned int lg2 = granule(w);

	if (!lg2)
		return false;
	if ((!num && !scale) || draw(rng) & 1) {
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

static bool other_tag(uint64_t w[2], uint64_t *rng)
{
	uint64_t flip = 1 + draw(rng) % 255; /* eight bits are always there */

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
static bool other_level(uint64_t w[2], uint64_t *rng)
{
	uint64_t ttl = (w[1] & W1_TTL) >> W1_TTL_SHIFT;
	unsigned int lg2 = granule(w);
	unsigned int lowest = lg2 == 12 ? 1 : 2;
	uint64_t other;

	if (!lg2)
		return false;
	do
		other = lowest + draw(rng) % (4 - lowest);
	while (other == ttl);
	w[1] = (w[1] & ~W1_TTL) | other << W1_TTL_SHIFT;
	return true;
}

/* False: this kind has nothing to alter here; @rng may have moved on. */
static bool alter(enum mutation_kind kind, uint64_t w[2], uint64_t *rng)
{
	if (!is_tlbi(opcode(w)))
		return false;
	switch (kind) {
	case MUTATE_DROP:
		w[0] = OP_SYNC;
		w[1] = 0;
		return true;
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

static bool eligible(const struct trace *trace, enum mutation_kind kind,
		     uint64_t index)
{
	uint64_t w[2] = { trace_command_word(trace, index, 0),
			  trace_command_word(trace, index, 1) };
	uint64_t rng = 0;

	return alter(kind, w, &rng);
}

static void make(const struct trace *trace, enum mutation_kind kind,
		 uint64_t index, uint64_t *rng, struct mutation *m)
{
	*m = (struct mutation){ .index = index };
	m->words[0] = trace_command_word(trace, index, 0);
	m->words[1] = trace_command_word(trace, index, 1);
	m->before = named(m->words);
	m->leaf_lg2 = leaf_lg2(m->words);
	alter(kind, m->words, rng);
	m->after = kind == MUTATE_DROP ? m->before : named(m->words);
}

/* Two alterations share a run if neither can touch what the other does. */
static bool compatible(const struct mutation *a, const struct mutation *b)
{
	return !meet(a->before, b->before) && !meet(a->before, b->after) &&
	       !meet(a->after, b->before) && !meet(a->after, b->after);
}

static void put_in_group(struct mutation_set *set, size_t nr)
{
	struct mutation *m = &set->list[nr];

	for (m->group = 0; m->group < set->groups; m->group++) {
		bool fits = true;

		for (size_t i = 0; i < nr && fits; i++)
			fits = set->list[i].group != m->group ||
			       compatible(&set->list[i], m);
		if (fits)
			return;
	}
	set->groups++;
}

/* One of each of @count equal shares of the eligible commands. */
static void choose(const struct trace *trace, uint64_t seed, uint32_t count,
		   struct mutation_set *set)
{
	uint64_t rng = seed * 8 + set->kind;
	uint64_t at = 0;
	uint64_t next = 0;

	for (uint64_t i = 0; i < trace->meta.commands && set->nr < count; i++) {
		uint64_t start = set->eligible * set->nr / count;
		uint64_t end = set->eligible * (set->nr + 1) / count;

		if (!eligible(trace, set->kind, i))
			continue;
		if (at == start)
			next = start + draw(&rng) % (end - start);
		if (at == next) {
			make(trace, set->kind, i, &rng, &set->list[set->nr]);
			put_in_group(set, set->nr);
			/* the rest of this share is passed over below */
			set->nr++;
		}
		at++;
	}
}

int mutation_choose(const struct trace *trace, enum mutation_kind kind,
		    uint64_t seed, uint32_t count, struct mutation_set *set)
{
	*set = (struct mutation_set){ .kind = kind };
	for (uint64_t i = 0; i < trace->meta.commands; i++)
		set->eligible += eligible(trace, kind, i);
	if (count > set->eligible)
		count = (uint32_t)set->eligible;
	set->list = calloc(count ? count : 1, sizeof(*set->list));
	if (!set->list)
		return -ENOMEM;
	choose(trace, seed, count, set);
	return 0;
}

void mutation_free(struct mutation_set *set)
{
	for (size_t i = 0; i < set->nr; i++)
		free(set->list[i].why);
	free(set->list);
	free(set->nobodys_why);
	*set = (struct mutation_set){ 0 };
}

static int by_index(const void *key, const void *entry)
{
	uint64_t index = *(const uint64_t *)key;
	const struct mutation *m = entry;

	return index < m->index ? -1 : index > m->index;
}

const uint64_t *mutation_words(const struct mutation_set *set,
			       unsigned int group, uint64_t index)
{
	const struct mutation *m = bsearch(&index, set->list, set->nr,
					   sizeof(*set->list), by_index);

	return m && m->group == group ? m->words : NULL;
}

/* Naming any page of a large leaf (level 2) removes all of it. */
static bool may_have(const struct mutation *m, uint64_t iova, bool leaf)
{
	uint64_t around = leaf ? (1ull << m->leaf_lg2) - 1 : 0;

	return iova >= (m->before.first & ~around) &&
	       iova <= (m->before.last | around);
}

static struct mutation *find_culprit(struct mutation_set *set, unsigned int of,
				     uint64_t consumed, uint64_t iova,
				     bool leaf)
{
	struct mutation *found = NULL;

	for (size_t i = 0; i < set->nr; i++) {
		struct mutation *m = &set->list[i];

		if (m->group == of && m->index < consumed &&
		    may_have(m, iova, leaf))
			found = m;
	}
	return found;
}

static void keep_first(char **why, const char *text)
{
	if (!*why)
		*why = strdup(text);
}

void mutation_blame(struct mutation_set *set, unsigned int of,
		    uint64_t consumed, uint64_t iova, const char *why)
{
	struct mutation *m = find_culprit(set, of, consumed, iova, false);

	if (!m)
		m = find_culprit(set, of, consumed, iova, true);
	if (!m) {
		set->nobodys++;
		keep_first(&set->nobodys_why, why);
		return;
	}
	m->flagged = true;
	m->uses++;
	keep_first(&m->why, why);
}
