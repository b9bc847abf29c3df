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
	MUTATE_DROP,   /* CMD_SYNC in its place */
	MUTATE_NARROW, /* part of its range, or the range behind it */
	MUTATE_ASID,   /* another ASID, for stage 2 another VMID */
	MUTATE_TTL,    /* another level */
};

struct mutation_range {
	uint64_t first;
	uint64_t last;
};

struct mutation {
	uint64_t index; /* of the command */
	uint64_t words[2];
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
int mutation_choose(const struct trace *trace, enum mutation_kind kind,
		    uint64_t seed, uint32_t count, struct mutation_set *set);
void mutation_free(struct mutation_set *set);

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
