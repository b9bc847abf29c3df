// SPDX-License-Identifier: MIT
/* See model.h. Opcodes and fields: Arm IHI 0070 4.3 to 4.7. */
#include "model.h"

#include <errno.h>
#include <string.h>

#define ILL 1u
#define ABT 2u
#define ATC 3u
#define VMM 0x100u

/* What a command turns out to be */
enum kind { DONE, FOR_VMM, ILLEGAL, UNANSWERED, SYNC };

static uint8_t op_of(const uint64_t cmd[2])
{
	return cmd[0] & 0xff;
}

/* Bits that are fields of the command, its VMID among them */
static bool fields_of(const uint64_t cmd[2], uint64_t fields[2])
{
	fields[1] = 0;
	switch (op_of(cmd)) {
	case 0x05: /* CFGI_CD: SSID 31:12, StreamID; Leaf */
		fields[0] = 0xfffffffffffff0ff;
		fields[1] = 1;
		return true;
	case 0x06: /* CFGI_CD_ALL: StreamID */
		fields[0] = 0xffffffff000000ff;
		return true;
	case 0x10: /* TLBI_NH_ALL */
		fields[0] = 0x0000ffff000000ff;
		return true;
	case 0x30: /* TLBI_NSNH_ALL: no VMID (which no array here tries) */
		fields[0] = 0x00000000000000ff;
		return true;
	case 0x11: /* TLBI_NH_ASID */
		fields[0] = 0xffffffff000000ff;
		return true;
	case 0x12: /* TLBI_NH_VA, not of a range; Leaf, VA */
		fields[0] = 0xffffffff000000ff;
		fields[1] = 0xfffffffffffff001;
		return true;
	case 0x13: /* TLBI_NH_VAA */
		fields[0] = 0x0000ffff000000ff;
		fields[1] = 0xfffffffffffff001;
		return true;
	case 0x40: /* ATC_INV: G, SSV, SSID, StreamID; Size, VA */
		fields[0] = 0xfffffffffffffaff;
		fields[1] = 0xfffffffffffff03f;
		return true;
	}
	return false;
}

static bool names_stream(uint8_t op)
{
	return op == 0x05 || op == 0x06 || op == 0x40;
}

/* -1: there is no such vSID */
static int device_of(const uint64_t cmd[2])
{
	uint64_t vsid = cmd[0] >> 32;

	return vsid < VSID_0 || vsid >= VSID_0 + DEVICES ? -1
							 : (int)(vsid - VSID_0);
}

/* One of the eight, with nothing in it that means nothing */
static bool is_invalidation(const uint64_t cmd[2])
{
	uint64_t fields[2];

	if (!fields_of(cmd, fields))
		return false;
	if ((cmd[0] & ~fields[0]) || (cmd[1] & ~fields[1]))
		return false;
	return !names_stream(op_of(cmd)) || device_of(cmd) >= 0;
}

static void drop(enum cached *entry, enum cached into)
{
	if (*entry == HELD)
		*entry = into;
}

/* TLBI_NH_*; @into: what becomes of an entry it covers */
static void drop_tlb(struct caches *caches, const uint64_t cmd[2],
		     enum cached into)
{
	uint8_t op = op_of(cmd);

	for (unsigned int d = 0; d < DEVICES; d++) {
		if ((op == 0x11 || op == 0x12) && cmd[0] >> 48 != d + 1)
			continue;
		for (unsigned int n = 0; n < PAGES; n++) {
			if ((op == 0x12 || op == 0x13) &&
			    cmd[1] >> 12 != IOVA(d, n) >> 12)
				continue;
			drop(&caches->tlb[d][n], into);
		}
	}
}

/* The span is 2^Size pages, aligned to its size. */
static void drop_atc(struct caches *caches, const uint64_t cmd[2],
		     enum cached into)
{
	unsigned int lg2 = 12 + (cmd[1] & 0x3f);
	int d = device_of(cmd);

	for (unsigned int n = 0; n < PAGES; n++) {
		if (lg2 >= 64 || IOVA(d, n) >> lg2 == cmd[1] >> lg2)
			drop(&caches->atc[d][n], into);
	}
}

static bool is_silent(const struct fault *fault)
{
	return fault->kind == FAULT_ATC || fault->kind == FAULT_GONE;
}

static void drop_all(struct caches *caches, const struct fault *fault,
		     const uint64_t cmd[2], enum cached into)
{
	switch (op_of(cmd)) {
	case 0x10:
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x30:
		drop_tlb(caches, cmd, into);
		break;
	case 0x40:
		if (!is_silent(fault) || device_of(cmd) != 0)
			drop_atc(caches, cmd, into);
		break;
	}
}

/* The host's hardware: it knows a guest's NSNH_ALL as NH_ALL of a VMID. */
static enum kind execute(struct caches *caches, const struct fault *fault,
			 const uint64_t cmd[2])
{
	uint8_t op = op_of(cmd) == 0x30 ? 0x10 : op_of(cmd);

	if (op == 0x40 && fault->no_ats)
		return DONE; /* never sent */
	if (fault->kind == FAULT_ILL && fault->op == op)
		return ILLEGAL;
	caches->sent++;
	drop_all(caches, fault, cmd, GONE);
	if (op != 0x40 || device_of(cmd) != 0)
		return DONE;
	caches->asked++;
	caches->gone |= fault->kind == FAULT_GONE;
	return is_silent(fault) ? UNANSWERED : DONE;
}

/* A unit whose queue cannot be fetched, or whose every CMD_SYNC is illegal */
static bool is_dead(const struct fault *fault)
{
	return fault->kind == FAULT_ABT ||
	       (fault->kind == FAULT_ILL && fault->op == 0x46);
}

/*
 * With a dead unit: what was executed before it died is anybody's guess, as far
 * as it could be: @n is what there was to execute.
 */
static void dead(const uint64_t (*cmds)[2], uint32_t n,
		 const struct fault *fault, struct caches *caches)
{
	for (uint32_t i = 0; fault->kind == FAULT_ILL && i < n; i++) {
		if (is_invalidation(cmds[i]))
			drop_all(caches, fault, cmds[i], EITHER);
	}
}

/* 4.7.3: CS 13:12; without SIG_IRQ the interrupt's fields are ignored. */
static bool is_quiet_sync(const uint64_t cmd[2])
{
	unsigned int cs = cmd[0] >> 12 & 3;

	return op_of(cmd) == 0x46 && (cs == 0 || cs == 2) &&
	       !(cmd[0] & 0x00000000f03fcf00) && !(cmd[1] & 0xff00000000000003);
}

enum way { ARRAY, RING, GUEST };

/*
 * A virtual SMMU's CFGI_STE (not of a range, its fields StreamID and Leaf) of
 * an STE that has not changed is to the host that the CDs behind it are to be
 * forgotten (4.3.1); the others are what they are.
 */
static void as_host(const uint64_t cmd[2], enum way way, uint64_t host[2])
{
	memcpy(host, cmd, 2 * sizeof(host[0]));
	if (way != GUEST || op_of(cmd) != 0x03 ||
	    (cmd[0] & ~0xffffffff000000ff) || (cmd[1] & ~1ULL))
		return;
	host[0] = (cmd[0] & 0xffffffff00000000) | 0x06;
	host[1] = 0;
}

/* Nothing to do for it, and nothing wrong with it */
static bool is_idle(const uint64_t cmd[2], const struct fault *fault,
		    enum way way)
{
	if (op_of(cmd) == 0x46)
		return way == GUEST || (way == RING && is_quiet_sync(cmd));
	if (way == GUEST && names_stream(op_of(cmd)) && device_of(cmd) < 0)
		return true;
	return op_of(cmd) == 0x40 && fault->no_ats && is_invalidation(cmd);
}

/*
 * PREFETCH_CONFIG, PREFETCH_ADDR, CFGI_STE_RANGE of StreamIDs 0 and 1 with
 * nothing else in them: here there is nothing to be seen of them (4.2, 4.3.2).
 */
static bool is_harmless(const uint64_t cmd[2])
{
	return (cmd[0] == 0x01 || cmd[0] == 0x02 || cmd[0] == 0x04) && !cmd[1];
}

static bool is_unreadable(const struct fault *fault, uint32_t i)
{
	return fault->kind == FAULT_HOLE && i >= fault->hole &&
	       i < fault->hole_end;
}

/* Where a dead unit shows, from @i on; @n: nowhere, something else is first */
static uint32_t dies_at(const uint64_t (*cmds)[2], uint32_t i, uint32_t n,
			const struct fault *fault, enum way way)
{
	uint64_t cmd[2];

	for (; is_dead(fault) && i < n; i++) {
		as_host(cmds[i], way, cmd);
		if (!is_idle(cmd, fault, way))
			return is_invalidation(cmd) ? i : n;
	}
	return n;
}

void model_array(const uint64_t (*cmds)[2], uint32_t n,
		 const struct fault *fault, struct caches *caches,
		 struct answer *answer)
{
	uint32_t i = dies_at(cmds, 0, n, fault, ARRAY);

	*answer = (struct answer){ 0 };
	if (i < n) {
		dead(cmds, n, fault, caches);
		*answer = (struct answer){ .rc = -EIO, .done = i, .code = ABT };
		return;
	}
	for (i = 0; i < n; i++) {
		enum kind kind = is_invalidation(cmds[i])
					 ? execute(caches, fault, cmds[i])
					 : ILLEGAL;

		if (kind == DONE)
			continue;
		answer->rc = kind == UNANSWERED ? -ETIMEDOUT : -EIO;
		answer->code = kind == UNANSWERED ? ATC : ILL;
		answer->info =
			kind == UNANSWERED ? (uint32_t)(cmds[i][0] >> 32) : 0;
		answer->done = i;
		/* "what is behind it may have been executed or not" */
		for (i++; kind == UNANSWERED && i < n; i++) {
			if (is_invalidation(cmds[i]))
				drop_all(caches, fault, cmds[i], EITHER);
		}
		return;
	}
	answer->done = n;
}

void model_ring(const uint64_t (*cmds)[2], uint32_t n,
		const struct fault *fault, struct caches *caches,
		struct answer *answer)
{
	uint32_t i = dies_at(cmds, 0, n, fault, RING);
	bool failed = false;
	uint32_t first = 0;

	*answer = (struct answer){ 0 };
	if (i < n) {
		dead(cmds, n, fault, caches);
		*answer = (struct answer){ .rc = -EIO, .done = i, .code = ABT };
		return;
	}
	for (i = 0; i < n; i++) {
		enum kind kind = FOR_VMM;

		if (is_quiet_sync(cmds[i]))
			kind = SYNC;
		else if (is_invalidation(cmds[i]))
			kind = execute(caches, fault, cmds[i]);
		if (kind == UNANSWERED) {
			first = failed ? first : i;
			failed = true;
			continue;
		}
		if (kind == DONE || (kind == SYNC && !failed))
			continue;
		answer->rc = kind == ILLEGAL ? -EIO : -EOPNOTSUPP;
		answer->code = kind == ILLEGAL ? ILL : VMM;
		answer->info = kind == ILLEGAL ? 0 : op_of(cmds[i]);
		break;
	}
	answer->done = i;
	if (failed) {
		answer->rc = -ETIMEDOUT;
		answer->code = ATC;
		answer->info = first;
	}
}

void model_guest(const uint64_t (*cmds)[2], uint32_t n,
		 const struct fault *fault, struct caches *caches,
		 struct queue *queue)
{
	uint32_t at = dies_at(cmds, queue->cons, n, fault, GUEST);

	queue->err = 0;
	if (at < n) {
		dead(cmds, n, fault, caches);
		queue->cons = at;
		queue->err = ABT;
		return;
	}
	for (; queue->cons < n; queue->cons++) {
		uint64_t cmd[2];

		as_host(cmds[queue->cons], GUEST, cmd);
		if (is_unreadable(fault, queue->cons)) {
			queue->err = ABT;
		} else if (is_harmless(cmd)) {
			continue;
		} else if (op_of(cmd) == 0x46) {
			queue->err = queue->atc_failed ? ATC : 0;
			queue->atc_failed = false;
		} else if (names_stream(op_of(cmd)) && device_of(cmd) < 0) {
			continue; /* no device is behind it */
		} else if (!is_invalidation(cmd)) {
			queue->err = ILL;
		} else {
			switch (execute(caches, fault, cmd)) {
			case UNANSWERED:
				queue->atc_failed = true;
				break;
			case ILLEGAL:
				queue->err = ILL;
				break;
			default:
				break;
			}
		}
		if (queue->err)
			return;
	}
}
