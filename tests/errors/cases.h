/* SPDX-License-Identifier: MIT */
/*
 * The table: which command stands where in what batch, while what is wrong with
 * the hardware. Around the one command there are others that do little, so that
 * what was executed and what was not shows in what is cached afterwards.
 */
#ifndef TESTS_ERRORS_CASES_H
#define TESTS_ERRORS_CASES_H

#include "model.h"

#define CASE_MAX 4200u

enum target {
	T_CFGI_CD,
	T_CFGI_CD_ALL,
	T_NH_ALL,
	T_NH_ASID,
	T_NH_VA,
	T_NH_VAA,
	T_NSNH_ALL,
	T_ATC_INV,
	T_SYNC,
	T_SYNC_IRQ, /* to no address: nobody is told */
	T_BAD_OPCODE,
	T_RESERVED, /* TLBI_NH_ALL with a bit that means nothing */
	T_NO_VSID,  /* CFGI_CD */
	T_CFGI_STE,
	TARGETS,
};

struct span {
	enum target target;
	uint32_t at; /* the target's number */
	uint32_t n;
	struct fault fault;
	bool syncs; /* CMD_SYNCs may be among the others */
	uint64_t cmds[CASE_MAX][2];
};

/* Where the target may stand: the 1st, 2nd, 63rd ... of the batch */
#define PLACES 7
extern const uint32_t places[PLACES];

const char *target_name(enum target target);
/* @op of the fault is the target's, as hardware sees it */
void span_make(struct span *s, enum target target, uint32_t at, uint32_t behind,
	       int fault, bool syncs);

/* Anything anywhere, at most @max commands, and any fault but a dead unit */
void span_random(struct span *s, uint64_t seed, uint32_t max, bool syncs);

#endif
