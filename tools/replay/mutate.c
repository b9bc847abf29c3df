// SPDX-License-Identifier: MIT
/* Choosing and making alterations; finding the one that did it. */
#include "mutate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const mutation_names[] = {
	[MUTATE_NOTHING] = "nothing",
	[MUTATE_DROP] = "drop",
	[MUTATE_NARROW] = "narrow",
	[MUTATE_ASID] = "asid",
	[MUTATE_TTL] = "ttl",
	[MUTATE_DOMAIN] = "domain",
	[MUTATE_PASID] = "pasid",
	[MUTATE_ATC_DROP] = "atc-drop",
	[MUTATE_ATC_NARROW] = "atc-narrow",
};

int mutation_kind_of(const char *name, enum mutation_kind *kind)
{
	for (unsigned int i = MUTATE_DROP; i < MUTATE_KINDS; i++) {
		if (!strcmp(name, mutation_names[i])) {
			*kind = i;
			return 0;
		}
	}
	return -ENOENT;
}

uint64_t mutation_draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static bool meet(struct mutation_range a, struct mutation_range b)
{
	return a.first <= b.last && b.first <= a.last;
}

static void read_words(const struct mutation_set *set,
		       const struct trace *trace, uint64_t index,
		       uint64_t words[MUTATION_WORDS])
{
	for (unsigned int i = 0; i < set->words; i++)
		words[i] = trace_command_word(trace, index, i);
}

static bool eligible(const struct mutation_set *set, const struct trace *trace,
		     uint64_t index)
{
	uint64_t words[MUTATION_WORDS] = { 0 };
	uint64_t rng = 0;

	read_words(set, trace, index, words);
	return set->ops->alter(set->kind, words, &rng);
}

static void make(const struct mutation_set *set, const struct trace *trace,
		 uint64_t index, uint64_t *rng, struct mutation *m)
{
	const struct mutation_ops *ops = set->ops;

	*m = (struct mutation){ .index = index };
	read_words(set, trace, index, m->words);
	m->before = ops->named(m->words);
	m->leaf_lg2 = ops->leaf_lg2(m->words);
	ops->alter(set->kind, m->words, rng);
	m->after = m->before;
	if (set->kind != MUTATE_DROP && set->kind != MUTATE_ATC_DROP)
		m->after = ops->named(m->words);
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

		if (!eligible(set, trace, i))
			continue;
		if (at == start)
			next = start + mutation_draw(&rng) % (end - start);
		if (at == next) {
			make(set, trace, i, &rng, &set->list[set->nr]);
			put_in_group(set, set->nr);
			/* the rest of this share is passed over below */
			set->nr++;
		}
		at++;
	}
}

int mutation_choose(const struct trace *trace, const struct mutation_ops *ops,
		    enum mutation_kind kind, uint64_t seed, uint32_t count,
		    struct mutation_set *set)
{
	*set = (struct mutation_set){ .kind = kind,
				      .ops = ops,
				      .words = trace->meta.entry_bytes / 8 };
	for (uint64_t i = 0; i < trace->meta.commands; i++)
		set->eligible += eligible(set, trace, i);
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
