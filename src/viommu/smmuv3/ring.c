// SPDX-License-Identifier: MIT
/*
 * The sink that takes nothing out: the backend is pointed at the guest's own
 * command queue and executes what it may. What it may not goes the ordinary way
 * (command.c): from where it is if that is all of a doorbell, otherwise out of
 * a copy, which the front makes of what stands where the ring stopped.
 *
 * A call costs as much as dozens of commands, and a command that is the VMM's
 * ends it. So the opcodes are looked at first: a *stretch* of commands that are
 * all the host's goes down as a ring, what lies between two stretches is one
 * array. Of what lies between only every so many commands are looked at: one
 * that is the VMM's rules out all stretches that hold it. The first that is the
 * VMM's ends the look at a few commands: these cost what an array costs, since
 * what they save (a copy) pays for the look. Nor is a long queue looked at to
 * its end: if the first LOOK are the host's, all the rest goes down. A guest
 * that changes its queue behind the look has had that much looked at in vain.
 *
 * The guest may rewrite its queue at any time. So what was seen decides what is
 * cheap and nothing else: the backend judges what it reads, and what is
 * executed here is read once more, for good, and judged afresh. (Who puts a
 * CMD_SYNC where there was none may find events later than it.)
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "hwdef/smmuv3_regs.h"
#include "nestfd/ext.h"
#include "viommu/smmuv3/smmuv3.h"

#define STRETCH 32u   /* commands that pay for a call, if others stand behind */
#define ASKING	4u    /* that do if one of few asks a device */
#define LOOK	1024u /* at most: not much more than a call costs */

/* What the queue seems to hold */
struct look {
	struct vsmmu *vsmmu;
	struct vsmmu_source from;
	bool syncs; /* there was one, without a signal */
	bool works; /* there was something for the host but such */
	bool few;   /* fewer than ASKING */
};

/*
 * Where the queue lies; NULL if it does not in one piece, or not any more, or
 * where commands cannot be looked at
 */
static const void *queue_memory(struct vsmmu *vsmmu,
				const struct smmuv3_queue *queue)
{
	struct nestfd_guest *guest = &vsmmu->base.guest;
	void *at = guest->map(guest->ctx, queue->base,
			      (size_t)SMMUV3_CMD_SIZE << queue->lg2);

	return (uintptr_t)at % sizeof(uint64_t) ? NULL : at;
}

/*
 * Commands for one stream tend to come together, from one doorbell to the next
 * as well. A stream that has gone since is nobody's: there the ring stops.
 */
static bool is_known(struct look *look, uint32_t sid)
{
	struct vsmmu *vsmmu = look->vsmmu;
	struct vsmmu_ring *ring = &vsmmu->ring;

	if (ring->asked && ring->sid == sid)
		return ring->known;
	pthread_mutex_lock(&vsmmu->lock);
	ring->known = vsmmu_stream_find(vsmmu, sid);
	pthread_mutex_unlock(&vsmmu->lock);
	ring->sid = sid;
	ring->asked = true;
	return ring->known;
}

/* Who carries a command out, as far as its opcode says */
enum whose { VMMS, HOSTS, BY_STREAM, ASKS_STREAM, BY_SIGNAL };

static const uint8_t whose[256] = {
	[SMMUV3_OP_TLBI_NH_ALL] = HOSTS,     [SMMUV3_OP_TLBI_NH_ASID] = HOSTS,
	[SMMUV3_OP_TLBI_NH_VA] = HOSTS,	     [SMMUV3_OP_TLBI_NH_VAA] = HOSTS,
	[SMMUV3_OP_TLBI_NSNH_ALL] = HOSTS,   [SMMUV3_OP_CFGI_CD] = BY_STREAM,
	[SMMUV3_OP_CFGI_CD_ALL] = BY_STREAM, [SMMUV3_OP_ATC_INV] = ASKS_STREAM,
	[SMMUV3_OP_SYNC] = BY_SIGNAL,
};

/*
 * A CMD_SYNC behind an ATC_INV is one more for the host than it has with an
 * array: a few such commands are no better off in a ring.
 */
static inline bool is_hosts_by(struct look *look, enum whose by, uint64_t dw0)
{
	if (by == BY_STREAM || (by == ASKS_STREAM && !look->few)) {
		look->works = true;
		return is_known(look,
				(uint32_t)field_get(SMMUV3_CMD_0_SID, dw0));
	}
	if (by != BY_SIGNAL ||
	    field_get(SMMUV3_SYNC_0_CS, dw0) == SMMUV3_SYNC_CS_IRQ)
		return false;
	look->syncs = true;
	return true;
}

static inline bool is_hosts(struct look *look, uint32_t index)
{
	uint64_t dw0 = vsmmu_word(&look->from, index, 0);
	enum whose by = (enum whose)whose[dw0 & SMMUV3_CMD_0_OP];

	return by == HOSTS || is_hosts_by(look, by, dw0);
}

/* Where the first stretch from @start on begins; @n: there is none. */
static uint32_t find_stretch(struct look *look, uint32_t start, uint32_t n)
{
	uint32_t i;

	while (n - start >= STRETCH) {
		for (i = start + STRETCH; i > start; i--)
			if (!is_hosts(look, i - 1))
				break;
		if (i == start)
			return start;
		start = i;
	}
	return n;
}

static bool is_signal(const struct look *look, uint32_t index)
{
	uint64_t dw0 = vsmmu_word(&look->from, index, 0);

	return whose[dw0 & SMMUV3_CMD_0_OP] == BY_SIGNAL &&
	       field_get(SMMUV3_SYNC_0_CS, dw0) == SMMUV3_SYNC_CS_IRQ;
}

/* How many from cons on are the host's; all @n if the first LOOK are */
static uint32_t hosts_prefix(struct look *look, uint32_t n)
{
	uint32_t most = n < LOOK ? n : LOOK;
	bool works = false;
	uint32_t i;

	for (i = 0; i < most; i++) {
		uint64_t dw0 = vsmmu_word(&look->from, i, 0);
		enum whose by = (enum whose)whose[dw0 & SMMUV3_CMD_0_OP];

		if (by == HOSTS)
			works = true;
		else if (!is_hosts_by(look, by, dw0))
			break;
	}
	look->works |= works;
	if (i < most || most == n)
		return i;
	look->syncs = true; /* for all that is known */
	return n;
}

/*
 * Whether the first @part of @n commands, all the host's, are worth a call: a
 * few CMD_SYNCs and nothing else need none. It is as well if all are the host's
 * but a CMD_SYNC at the end that signals, as a guest with IDR0.MSI has it: the
 * others are one call anyway, and it needs none.
 */
static bool pays(const struct look *look, uint32_t part, uint32_t n)
{
	if (part >= STRETCH)
		return true;
	return look->works &&
	       (part == n || (part == n - 1 && is_signal(look, part)));
}

/*
 * The command at which the ring stopped, though it had looked like the host's,
 * and some behind it. Each stop that follows little progress hands over more,
 * so that a queue full of such commands costs few calls that get nowhere.
 */
static uint32_t pass_on(struct vsmmu_ring *ring, uint32_t done, uint32_t n)
{
	if (done >= VSMMU_PASS_FIRST || 2 * done >= n)
		ring->pass = VSMMU_PASS_FIRST;
	else if (ring->pass < RELAY_MAX_ENTRIES)
		ring->pass *= 4;
	return ring->pass;
}

/* Not worth a call: likely to be stopped early, as others were lately */
static bool is_poor(struct vsmmu_ring *ring, uint32_t n)
{
	if (ring->pass <= VSMMU_PASS_FIRST || n > ring->pass)
		return false;
	ring->pass /= 2;
	return true;
}

/* The backend stopped behind @outcome->done of @n commands. */
static void stopped(struct vsmmu *vsmmu, int rc,
		    const struct relay_outcome *outcome, uint32_t n,
		    struct smmuv3_taken *taken)
{
	bool left = outcome->done < n;

	switch (outcome->error) {
	case NESTFD_ERR_VMM:
		viommu_count(&vsmmu->base.counters.ring_stops, 1);
		taken->pass = pass_on(&vsmmu->ring, outcome->done, n);
		vsmmu->ring.asked = false;
		break;
	case NESTFD_ERR_SMMUV3_ATC_INV_SYNC:
		/*
		 * What is next should be the CMD_SYNC that fails. If it is
		 * something else by now, that is executed, and the first
		 * CMD_SYNC behind it fails.
		 */
		vsmmu->atc_failed = true;
		taken->pass = VSMMU_PASS_FIRST;
		break;
	case NESTFD_ERR_SMMUV3_ILL:
	case NESTFD_ERR_SMMUV3_ABT:
		taken->code = left ? vsmmu_cerror(rc, outcome) : 0;
		break;
	default: /* not of any command: the rest is tried as an array */
		taken->pass = n;
		break;
	}
}

/* The next @n commands are for consume(). */
static struct smmuv3_taken leave(uint32_t n)
{
	return (struct smmuv3_taken){ .pass = n };
}

/* The first @part of @n commands, of which the rest is not all the host's. */
static struct smmuv3_taken call_ring(struct look *look,
				     const struct smmuv3_queue *queue,
				     uint32_t part, uint32_t n)
{
	struct vsmmu *vsmmu = look->vsmmu;
	struct relay_ring ring = {
		.entries = look->from.words,
		.stride = SMMUV3_CMD_SIZE,
		.lg2 = queue->lg2,
		.cons = queue->cons,
		.prod = (queue->cons + part) & ((2u << queue->lg2) - 1),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};
	struct smmuv3_taken taken = { .pass = n };
	struct relay_outcome outcome;
	int rc = relay_ring(&vsmmu->base, &ring, &outcome);

	viommu_count(&vsmmu->base.counters.commands, outcome.done);
	taken.done = outcome.done;
	/* 4.7.3; those behind it do so for themselves */
	if (look->syncs)
		viommu_catch_up(&vsmmu->base);
	if (rc) {
		stopped(vsmmu, rc, &outcome, part, &taken);
	} else {
		vsmmu->ring.pass = VSMMU_PASS_FIRST;
		if (part < n)
			taken.pass = find_stretch(look, part + 1, n) - part;
	}
	vsmmu->ring.left = taken.code ? 0 : n - taken.done;
	return taken;
}

/* The next @n commands go the ordinary way, from where they are. */
static struct smmuv3_taken do_here(const struct look *look, uint32_t n)
{
	struct smmuv3_consumed end =
		vsmmu_consume_from(look->vsmmu, &look->from, n);

	return (struct smmuv3_taken){
		.done = end.done,
		.code = end.code,
		.pass = n,
	};
}

/* Command @vmms of @n is the VMM's, and no stretch begins before it. */
static struct smmuv3_taken do_or_leave(struct look *look, uint32_t vmms,
				       uint32_t n)
{
	uint32_t part = n;

	if (n - vmms > STRETCH)
		part = find_stretch(look, vmms + 1, n);
	return part == n ? do_here(look, n) : leave(part);
}

/* Nothing for a ring, as a glance at the first of few shows */
static bool is_idle(const struct look *look, uint32_t n)
{
	uint64_t dw0 = vsmmu_word(&look->from, 0, 0);
	enum whose by = (enum whose)whose[dw0 & SMMUV3_CMD_0_OP];

	return by == VMMS ? n < STRETCH : by == BY_SIGNAL && n == 1;
}

struct smmuv3_taken vsmmu_consume_queue(void *ctx,
					const struct smmuv3_queue *queue)
{
	struct vsmmu *vsmmu = ctx;
	uint32_t n = (queue->prod - queue->cons) & ((2u << queue->lg2) - 1);
	struct look look = {
		.vsmmu = vsmmu,
		.from.mask = (1u << queue->lg2) - 1,
		.from.start = queue->cons,
		.few = n < ASKING,
	};
	uint32_t part;

	if (!vsmmu->ring.left)
		viommu_count(&vsmmu->base.counters.doorbells, 1);
	vsmmu->ring.left = n;
	look.from.words = queue_memory(vsmmu, queue);
	if (!look.from.words)
		return leave(n);
	if (vsmmu->atc_failed || is_poor(&vsmmu->ring, n) || is_idle(&look, n))
		return do_here(&look, n);
	/* a stream that is not there may have come since */
	vsmmu->ring.asked &= vsmmu->ring.known;
	part = hosts_prefix(&look, n);
	if (!pays(&look, part, n))
		return do_or_leave(&look, part, n);
	/* the host knows nothing of the guest's SMMUEN (4.5.1) */
	if (!vsmmu_is_enabled(vsmmu))
		return do_here(&look, n);
	return call_ring(&look, queue, part, n);
}
