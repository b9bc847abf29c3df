/* SPDX-License-Identifier: MIT */
/*
 * Altered invalidations. Each is judged alone: alterations that could meddle
 * with each other, because their address ranges meet, go into different
 * groups, and each group is a run of its own. A wrong access in a run is then
 * the doing of the one alteration whose range holds its address.
 */
#ifndef TOOLS_REPLAY_MUTATE_H
#define TOOLS_REPLAY_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/trace.h"

enum mutation_kind {
	MUTATE_NOTHING,
	MUTATE_DROP,   /* a command in its place that removes nothing */
	MUTATE_NARROW, /* part of its range, or the range behind it */
	MUTATE_ASID,   /* another ASID, for stage 2 another VMID */
	MUTATE_TTL,    /* another level */
	MUTATE_DOMAIN, /* VT-d: another domain id */
	MUTATE_PASID,  /* VT-d: another PASID */
	/* the same of what goes to devices' own caches */
	MUTATE_ATC_DROP,
	MUTATE_ATC_NARROW,
	MUTATE_KINDS,
};

struct mutation_range {
	uint64_t first;
	uint64_t last;
};

#define MUTATION_WORDS 4 /* of a command, at most */

/* What an architecture knows of its invalidations */
struct mutation_ops {
	unsigned int kinds; /* a bit for each */
	/* False: this kind has nothing to alter here; @rng may have moved on */
	bool (*alter)(enum mutation_kind kind, uint64_t *words, uint64_t *rng);
	/* The addresses a command names */
	struct mutation_range (*named)(const uint64_t *words);
	/* log2 of the size of a large leaf that one address of it removes */
	unsigned int (*leaf_lg2)(const uint64_t *words);
};

struct mutation {
	uint64_t index; /* of the command */
	uint64_t words[MUTATION_WORDS];
	struct mutation_range before;
	struct mutation_range after;
	unsigned int leaf_lg2;
	unsigned int group;
	bool flagged;
	uint64_t uses; /* wrong accesses laid at its door */
	char *why;     /* the first of them */
};

struct mutation_set {
	enum mutation_kind kind;
	const struct mutation_ops *ops;
	unsigned int words;    /* of a command */
	struct mutation *list; /* by ascending index */
	size_t nr;
	unsigned int groups;
	uint64_t eligible; /* commands that could have been altered */
	uint64_t nobodys;  /* wrong accesses no alteration explains */
	char *nobodys_why;
};

extern const char *const mutation_names[];

/* -ENOENT for a name that is none */
int mutation_kind_of(const char *name, enum mutation_kind *kind);

/**
 * mutation_choose() - alter up to @count invalidations of @trace
 *
 * The same seed gives the same alterations.
 */
int mutation_choose(const struct trace *trace, const struct mutation_ops *ops,
		    enum mutation_kind kind, uint64_t seed, uint32_t count,
		    struct mutation_set *set);
void mutation_free(struct mutation_set *set);

/* splitmix64 */
uint64_t mutation_draw(uint64_t *state);

/* The words that stand for command @index in a run of @group, if altered. */
const uint64_t *mutation_words(const struct mutation_set *set,
			       unsigned int group, uint64_t index);

/**
 * mutation_blame() - an access of @iova went wrong
 * @consumed: commands so far: only earlier ones can be the cause
 */
void mutation_blame(struct mutation_set *set, unsigned int group,
		    uint64_t consumed, uint64_t iova, const char *why);

#endif
