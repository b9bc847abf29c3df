// SPDX-License-Identifier: MIT
/*
 * The sink that takes nothing out: the backend is pointed at the guest's own
 * command queue and executes what it may. Where it stops, the front copies the
 * next commands and they go the ordinary way (command.c).
 *
 * A call costs as much as dozens of commands, and a command that is the VMM's
 * ends it. So the opcodes are looked at first: a *stretch* of commands that are
 * all the host's goes down as a ring, what lies between two stretches is
 * copied, and is one array. Of what lies between only every so many commands
 * are looked at: one that is the VMM's rules out all stretches that hold it.
 *
 * The guest may rewrite its queue at any time. So what was seen decides what is
 * cheap and nothing else: the backend judges what it reads, and what consume()
 * is handed afterwards is a copy of its own, judged afresh. (Who puts a
 * CMD_SYNC where there was none may find events later than it.)
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "hwdef/smmuv3_regs.h"
#include "nestfd/ext.h"
#include "viommu/smmuv3/smmuv3.h"

#define STRETCH 32u /* commands that pay for a call, if others stand behind */

/* What the queue seems to hold; index 0 is at cons. */
struct look {
	struct vsmmu *vsmmu;
	const uint64_t *queue;
	uint32_t mask;
	uint32_t cons;
	bool syncs; /* there was one, without a signal */
	bool asked; /* whether there is a stream @sid, and */
	bool known;
	uint32_t sid;
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

/* Commands for one stream tend to come together. */
static bool is_known(struct look *look, uint32_t sid)
{
	struct vsmmu *vsmmu = look->vsmmu;

	if (look->asked && look->sid == sid)
		return look->known;
	pthread_mutex_lock(&vsmmu->lock);
	look->known = vsmmu_stream_find(vsmmu, sid);
	pthread_mutex_unlock(&vsmmu->lock);
	look->sid = sid;
	look->asked = true;
	return look->known;
}

/* Who carries a command out, as far as its opcode says */
enum whose { VMMS, HOSTS, BY_STREAM, BY_SIGNAL };

static const uint8_t whose[256] = {
	[SMMUV3_OP_TLBI_NH_ALL] = HOSTS,     [SMMUV3_OP_TLBI_NH_ASID] = HOSTS,
	[SMMUV3_OP_TLBI_NH_VA] = HOSTS,	     [SMMUV3_OP_TLBI_NH_VAA] = HOSTS,
	[SMMUV3_OP_TLBI_NSNH_ALL] = HOSTS,   [SMMUV3_OP_CFGI_CD] = BY_STREAM,
	[SMMUV3_OP_CFGI_CD_ALL] = BY_STREAM, [SMMUV3_OP_ATC_INV] = BY_STREAM,
	[SMMUV3_OP_SYNC] = BY_SIGNAL,
};

static bool is_hosts_by(struct look *look, enum whose by, uint64_t dw0)
{
	if (by == BY_STREAM)
		return is_known(look,
				(uint32_t)field_get(SMMUV3_CMD_0_SID, dw0));
	if (by == VMMS ||
	    field_get(SMMUV3_SYNC_0_CS, dw0) == SMMUV3_SYNC_CS_IRQ)
		return false;
	look->syncs = true;
	return true;
}

static inline uint64_t word(const struct look *look, uint32_t index, int dw)
{
	const uint64_t *at =
		look->queue + 2 * ((look->cons + index) & look->mask);

	return le64toh(__atomic_load_n(at + dw, __ATOMIC_RELAXED));
}

static inline bool is_hosts(struct look *look, uint32_t index)
{
	uint64_t dw0 = word(look, index, 0);
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

static inline bool is_signal(const struct look *look, uint32_t index)
{
	uint64_t dw0 = word(look, index, 0);

	return whose[dw0 & SMMUV3_CMD_0_OP] == BY_SIGNAL &&
	       field_get(SMMUV3_SYNC_0_CS, dw0) == SMMUV3_SYNC_CS_IRQ;
}

/*
 * How many from cons on are for the host, if that is worth a call; or 0. It is
 * as well if all are but a CMD_SYNC at the end that signals, as a guest with
 * IDR0.MSI has it: the others are one call anyway, and it needs none.
 */
static uint32_t host_part(struct look *look, uint32_t n)
{
	uint32_t least = n < STRETCH ? n : STRETCH;
	uint32_t i;

	if (!is_hosts(look, 0))
		return 0;
	if (n > 1 && n <= STRETCH && is_signal(look, n - 1))
		least = n - 1;
	for (i = least - 1; i > 0; i--)
		if (!is_hosts(look, i))
			return 0;
	for (i = least; i < n; i++)
		if (!is_hosts(look, i))
			break;
	return i;
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
		.entries = look->queue,
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

static void copy_run(const uint64_t *from, uint32_t n, uint64_t (*to)[2])
{
	for (uint32_t i = 0; i < n; i++, from += 2) {
		to[i][0] = le64toh(__atomic_load_n(from, __ATOMIC_RELAXED));
		to[i][1] = le64toh(__atomic_load_n(from + 1, __ATOMIC_RELAXED));
	}
}

/* @n commands, fewer than a stretch, into a buffer and the CPU's byte order */
static void copy(const struct look *look, uint32_t n, uint64_t (*to)[2])
{
	uint32_t start = look->cons & look->mask;
	uint32_t to_end = look->mask + 1 - start;
	uint32_t run = n < to_end ? n : to_end;

	copy_run(look->queue + 2 * (size_t)start, run, to);
	copy_run(look->queue, n - run, to + run);
}

/*
 * A few commands, not all the host's: copied here, since memory is at hand, and
 * executed as if the front had copied them.
 */
static struct smmuv3_taken do_few(const struct look *look, uint32_t n)
{
	uint64_t cmds[STRETCH][2];
	struct smmuv3_consumed end;

	copy(look, n, cmds);
	end = vsmmu_consume(look->vsmmu, cmds, n);
	return (struct smmuv3_taken){
		.done = end.done,
		.code = end.code,
		.pass = n,
	};
}

struct smmuv3_taken vsmmu_consume_queue(void *ctx,
					const struct smmuv3_queue *queue)
{
	struct vsmmu *vsmmu = ctx;
	uint32_t n = (queue->prod - queue->cons) & ((2u << queue->lg2) - 1);
	struct look look = {
		.vsmmu = vsmmu,
		.mask = (1u << queue->lg2) - 1,
		.cons = queue->cons,
	};
	uint32_t part;

	if (!vsmmu->ring.left)
		viommu_count(&vsmmu->base.counters.doorbells, 1);
	vsmmu->ring.left = n;
	if (vsmmu->atc_failed || is_poor(&vsmmu->ring, n))
		return leave(n);
	look.queue = queue_memory(vsmmu, queue);
	if (!look.queue)
		return leave(n);
	part = host_part(&look, n);
	if (!part && n < STRETCH)
		return do_few(&look, n);
	if (!part)
		return leave(find_stretch(&look, 1, n));
	/* the host knows nothing of the guest's SMMUEN (4.5.1) */
	if (!vsmmu_is_enabled(vsmmu))
		return leave(n);
	return call_ring(&look, queue, part, n);
}
