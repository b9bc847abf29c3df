// SPDX-License-Identifier: MIT
/* See cases.h. */
#include "cases.h"

#include <string.h>

const uint32_t places[PLACES] = { 0, 1, 5, 62, 63, 64, 4095 };

static const struct {
	const char *name;
	uint64_t cmd[2];
	uint8_t op; /* as the host's queue has it */
} targets[TARGETS] = {
	[T_CFGI_CD] = { "CFGI_CD", { 0x1000000005, 1 }, 0x05 },
	[T_CFGI_CD_ALL] = { "CFGI_CD_ALL", { 0x1000000006, 0 }, 0x06 },
	[T_NH_ALL] = { "TLBI_NH_ALL", { 0x10, 0 }, 0x10 },
	[T_NH_ASID] = { "TLBI_NH_ASID", { 0x0001000000000011, 0 }, 0x11 },
	[T_NH_VA] = { "TLBI_NH_VA", { 0x0001000000000012, 0x1003001 }, 0x12 },
	[T_NH_VAA] = { "TLBI_NH_VAA", { 0x13, 0x2004001 }, 0x13 },
	[T_NSNH_ALL] = { "TLBI_NSNH_ALL", { 0x30, 0 }, 0x10 },
	/* pages 4 to 7 of device 0 */
	[T_ATC_INV] = { "ATC_INV", { 0x1000000040, 0x1004002 }, 0x40 },
	[T_SYNC] = { "SYNC", { 0x46, 0 }, 0x46 },
	[T_SYNC_IRQ] = { "SYNC of SIG_IRQ", { 0x1046, 0 }, 0x46 },
	[T_BAD_OPCODE] = { "bad opcode", { 0xff, 0 }, 0xff },
	[T_RESERVED] = { "reserved bit", { 0x10, 1 }, 0x10 },
	[T_NO_VSID] = { "unknown vSID", { 0x7700000005, 1 }, 0x05 },
	/* a virtual SMMU makes CFGI_CD_ALL of it, others refuse it */
	[T_CFGI_STE] = { "CFGI_STE", { 0x1000000003, 1 }, 0x06 },
};

const char *target_name(enum target target)
{
	return target < TARGETS ? targets[target].name : "anything";
}

static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33) % below;
}

static void put(uint64_t cmd[2], uint64_t dw0, uint64_t dw1)
{
	cmd[0] = dw0;
	cmd[1] = dw1;
}

/* Sixteen or so of them forget a page of some cache; the others nothing. */
static void other(struct span *s, uint64_t cmd[2], uint64_t *state)
{
	uint32_t d = draw(state, DEVICES);
	uint32_t page = draw(state, PAGES);
	bool quiet = s->n > 16 && draw(state, s->n) >= 16;
	uint32_t what = quiet ? 4 + draw(state, 8) : draw(state, 6);

	/* device 0's are few, they may be the ones at fault */
	if (what == 3 && d == 0 && draw(state, 2))
		d = 1;
	if (what < 3)
		put(cmd, (d + 1ULL) << 48 | 0x12, IOVA(d, page) | 1);
	else if (what == 3)
		put(cmd, (VSID_0 + (uint64_t)d) << 32 | 0x40, IOVA(d, page));
	else if (what == 4 && s->syncs)
		put(cmd, draw(state, 2) ? 0x46 : 0x2046, 0);
	else if (what == 5)
		put(cmd, (VSID_0 + (uint64_t)d) << 32 | 0x05, 1);
	else /* of an ASID that is not in use */
		put(cmd, 0x0077000000000011, 0);
}

void span_make(struct span *s, enum target target, uint32_t at, uint32_t behind,
	       int fault, bool syncs)
{
	uint64_t state = (uint64_t)target << 40 ^ (uint64_t)fault << 32 ^
			 (uint64_t)at << 8 ^ behind;

	memset(s, 0, sizeof(*s));
	s->target = target;
	s->at = at;
	s->n = at + 1 + behind;
	s->fault.kind = fault;
	s->fault.op = targets[target].op;
	s->syncs = syncs;
	for (uint32_t i = 0; i < s->n; i++)
		other(s, s->cmds[i], &state);
	/* else everything in front is at fault before the target is */
	for (uint32_t i = 0; i < at; i++) {
		bool first = fault == FAULT_ILL &&
			     (s->cmds[i][0] & 0xff) == s->fault.op;

		first |= (fault == FAULT_ATC || fault == FAULT_GONE) &&
			 (s->cmds[i][0] & 0xff) == 0x40 &&
			 s->cmds[i][0] >> 32 == VSID_0;
		if (first)
			put(s->cmds[i],
			    s->fault.op == 0x13 ? 0x0077000000000011 : 0x13,
			    s->fault.op == 0x13 ? 0 : 0x5000001);
	}
	memcpy(s->cmds[at], targets[target].cmd, sizeof(s->cmds[at]));
}

void span_random(struct span *s, uint64_t seed, uint32_t max, bool syncs)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ULL;
	uint32_t often;

	memset(s, 0, sizeof(*s));
	s->n = 1 + draw(&state, max);
	s->target = TARGETS;
	s->syncs = syncs;
	s->fault.kind = draw(&state, FAULT_ABT);
	s->fault.op = targets[draw(&state, T_SYNC)].op;
	often = 1u << draw(&state, 10);
	for (uint32_t i = 0; i < s->n; i++) {
		if (draw(&state, often))
			other(s, s->cmds[i], &state);
		else
			memcpy(s->cmds[i], targets[draw(&state, TARGETS)].cmd,
			       sizeof(s->cmds[i]));
	}
}
