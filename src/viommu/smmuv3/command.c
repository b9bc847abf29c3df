// SPDX-License-Identifier: MIT
/*
 * The sink of the guest's command queue. Invalidations are gathered into a run
 * and go down in one ioctl; a change of a stream table entry, a refused
 * command, a CMD_SYNC that may have to stop the queue or that orders a CFGI
 * before a TLBI, or the end of the doorbell's commands ends a run. CMD_SYNCs
 * complete in order, each after the ioctl that carried what stands in front of
 * it: till then they are kept, since each command is read once, be it in the
 * front's copy or still in the guest's memory.
 *
 * A device that does not answer an ATC_INV: the commands behind it are still
 * carried out, and the next CMD_SYNC stops the queue (IHI 0070 4.1.4,
 * CERROR_ATC_INV_SYNC); acknowledged, that CMD_SYNC runs again and completes.
 *
 * Of Linux nobody knows whether that was it, nor that anything has taken effect
 * (relay.h). So there a CMD_SYNC, the first time or again, completes only when
 * the host has completed one of its own. Until then it stops the queue, with
 * CERROR_ATC_INV_SYNC if a device is asked, else with CERROR_ABT, which the
 * guest may repeat as well.
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "base/alloc.h"
#include "front/smmuv3/decode.h"
#include "hwdef/smmuv3_regs.h"
#include "nestfd/ext.h"
#include "viommu/smmuv3/smmuv3.h"

#define NO_FAILURE VIOMMU_RUN_ALL

/* One span on its way */
struct span {
	struct vsmmu *vsmmu;
	uint32_t n;
	uint32_t atc_failed_at; /* an ATC_INV of this span, or NO_FAILURE */
	bool ordered;		/* the run has what cmd_sync() looks for */
	bool followed;		/* the streams in [first, last] below */
	uint32_t followed_first;
	uint32_t followed_last;
	struct smmuv3_consumed result;
};

/* Stops the span at command @at. */
static void stop(struct span *span, uint32_t at, uint32_t code)
{
	span->result = (struct smmuv3_consumed){ .done = at, .code = code };
}

/* An ATC_INV in front of the CMD_SYNC at @at has failed, now or earlier. */
static bool atc_failed_before(const struct span *span, uint32_t at)
{
	return span->vsmmu->atc_failed || span->atc_failed_at < at;
}

uint32_t vsmmu_cerror(int rc, const struct relay_outcome *outcome)
{
	switch (outcome->error) {
	case NESTFD_ERR_SMMUV3_ILL:
		return SMMUV3_CERROR_ILL;
	case NESTFD_ERR_SMMUV3_ABT:
		return SMMUV3_CERROR_ABT;
	case NESTFD_ERR_SMMUV3_ATC_INV_SYNC:
		return SMMUV3_CERROR_ATC_INV_SYNC;
	}
	if (rc == -ETIMEDOUT)
		return SMMUV3_CERROR_ATC_INV_SYNC;
	return rc == -EIO ? SMMUV3_CERROR_ILL : SMMUV3_CERROR_ABT;
}

static bool is_silence(int rc, const struct relay_outcome *outcome)
{
	return vsmmu_cerror(rc, outcome) == SMMUV3_CERROR_ATC_INV_SYNC;
}

static bool may_be_silent(const void *entry)
{
	const struct smmuv3_cmd_rec *rec = entry;

	return field_get(SMMUV3_CMD_0_OP, le64_get(rec->dw[0])) ==
	       SMMUV3_OP_ATC_INV;
}

static void silent(void *ctx, const struct viommu_run *run, uint32_t index)
{
	struct span *span = ctx;

	if (span->atc_failed_at == NO_FAILURE)
		span->atc_failed_at = run->map[index];
}

/* TLBI_NH_VA of ASID 0, address 0, the leaf */
static void idle(void *entry)
{
	struct smmuv3_cmd_rec *rec = entry;

	rec->dw[0] = le64_make(SMMUV3_OP_TLBI_NH_VA);
	rec->dw[1] = le64_make(SMMUV3_TLBI_1_LEAF);
}

static const struct viommu_run_ops run_ops = {
	.is_silence = is_silence,
	.may_be_silent = may_be_silent,
	.silent = silent,
	.idle = idle,
};

/*
 * Completes the CMD_SYNCs in front of @end that wait; false if one must stop
 * the queue, which ends the span.
 */
static bool complete_syncs(struct span *span, uint32_t end)
{
	struct vsmmu *vsmmu = span->vsmmu;
	const struct vsmmu_sync *sync = vsmmu->syncs.sync;
	uint32_t n = vsmmu->syncs.n;

	vsmmu->syncs.n = 0;
	for (uint32_t i = 0; i < n && sync[i].at < end; i++) {
		if (atc_failed_before(span, sync[i].at)) {
			vsmmu->atc_failed = false;
			span->atc_failed_at = NO_FAILURE;
			stop(span, sync[i].at, SMMUV3_CERROR_ATC_INV_SYNC);
			return false;
		}
		if (vsmmu->base.unsynced &&
		    viommu_run_settle(&vsmmu->base, &vsmmu->run, &run_ops)) {
			stop(span, sync[i].at,
			     vsmmu->base.unsynced_asks
				     ? SMMUV3_CERROR_ATC_INV_SYNC
				     : SMMUV3_CERROR_ABT);
			return false;
		}
		/* 4.7.3: events of what has been terminated are visible */
		if (!i)
			viommu_catch_up(&vsmmu->base);
		smmuv3_front_sync(vsmmu->front, sync[i].dw, sync[i].at + 1);
		viommu_count(&vsmmu->base.counters.syncs, 1);
	}
	return true;
}

/* Makes commands [first, end) take effect; false when the span has stopped. */
static bool flush(struct span *span, uint32_t end, enum nestfd_split why)
{
	struct viommu_run *run = &span->vsmmu->run;
	struct viommu_run_end failed = { .at = NO_FAILURE };

	if (run->count) {
		viommu_count(&span->vsmmu->base.counters.splits[why], 1);
		failed = viommu_run_submit(&span->vsmmu->base, run, &run_ops,
					   span);
		viommu_run_clear(run);
		span->ordered = false;
	}
	if (failed.at == NO_FAILURE)
		return complete_syncs(span, end);
	if (complete_syncs(span, failed.at))
		stop(span, failed.at, vsmmu_cerror(failed.rc, &failed.outcome));
	return false;
}

/* Adds an entry for command @at; false when the span has stopped. */
static bool run_add(struct span *span, uint32_t at, uint64_t dw0, uint64_t dw1)
{
	struct viommu_run *run = &span->vsmmu->run;
	struct smmuv3_cmd_rec *entry = viommu_run_next(run, at);

	/* there is room in an empty one: reserved when it was made */
	if (!entry && flush(span, at, NESTFD_SPLIT_LIMIT))
		entry = viommu_run_next(run, at);
	if (!entry)
		return false;
	entry->dw[0] = le64_make(dw0);
	entry->dw[1] = le64_make(dw1);
	return true;
}

/* The same for a CFGI or an ATC_INV */
static bool run_add_ordered(struct span *span, uint32_t at, uint64_t dw0,
			    uint64_t dw1)
{
	if (!run_add(span, at, dw0, dw1))
		return false;
	span->ordered = true;
	return true;
}

/* One stream whose STE the guest named: follow it, or drop its CDs. */
static bool refresh_stream(struct span *span, uint32_t at,
			   struct vsmmu_look *look)
{
	struct vsmmu *vsmmu = span->vsmmu;

	vsmmu_look_read(vsmmu, look);
	switch (vsmmu_news(vsmmu, look)) {
	case VSMMU_NO_NEWS:
		return true;
	case VSMMU_SAME_CDS:
		/* CFGI_STE covers the CDs behind the STE too (4.3.1) */
		return run_add_ordered(
			span, at,
			SMMUV3_OP_CFGI_CD_ALL |
				field_prep(SMMUV3_CMD_0_SID, look->sid),
			0);
	case VSMMU_NEWS:
		break;
	}
	if (!flush(span, at, NESTFD_SPLIT_STE))
		return false;
	if (vsmmu_follow(vsmmu, look)) {
		stop(span, at, SMMUV3_CERROR_ABT);
		return false;
	}
	return true;
}

/*
 * The commands of a span were all in the queue when it began, and so was the
 * table in memory: following a stream once per span is enough. So a queue
 * full of CFGI_STE_RANGE costs one look at each stream, not one per command.
 */
static bool config_streams(struct span *span, uint32_t at, uint32_t first,
			   uint32_t last)
{
	struct vsmmu *vsmmu = span->vsmmu;
	struct vsmmu_look look;
	bool going = true;

	if (span->followed && first >= span->followed_first &&
	    last <= span->followed_last)
		return true;
	for (uint64_t sid = first; going && sid <= last;
	     sid = (uint64_t)look.sid + 1) {
		if (!vsmmu_look(vsmmu, (uint32_t)sid, last, vsmmu->span, &look))
			break;
		going = refresh_stream(span, at, &look);
	}
	span->followed = going;
	span->followed_first = first;
	span->followed_last = last;
	return going;
}

/* A command of one stream: without a device behind it there is no cache. */
static bool stream_command(struct span *span, uint32_t at, uint32_t vsid,
			   uint64_t dw0, uint64_t dw1)
{
	bool known;

	pthread_mutex_lock(&span->vsmmu->lock);
	known = vsmmu_stream_find(span->vsmmu, vsid);
	pthread_mutex_unlock(&span->vsmmu->lock);
	return known ? run_add_ordered(span, at, dw0, dw1) : true;
}

#define TLBI_RANGE_0 (SMMUV3_TLBI_0_NUM | SMMUV3_TLBI_0_SCALE)
#define TLBI_ADDR_1                                                  \
	(SMMUV3_TLBI_1_LEAF | SMMUV3_TLBI_1_TTL | SMMUV3_TLBI_1_TG | \
	 SMMUV3_TLBI_1_VA)

/*
 * What goes down starts from the fields that the command has; bits that the
 * architecture ignores never reach a host that refuses them.
 */
static bool tlbi(struct span *span, uint32_t at, const uint64_t dw[2],
		 const struct smmuv3_cmd *cmd)
{
	uint64_t dw0 = dw[0] & SMMUV3_CMD_0_OP;
	uint64_t dw1 = 0;

	if (dw0 == SMMUV3_OP_TLBI_NH_ASID || dw0 == SMMUV3_OP_TLBI_NH_VA)
		dw0 |= dw[0] & SMMUV3_TLBI_0_ASID;
	switch (cmd->op) {
	case SMMUV3_OP_TLBI_NH_VA:
	case SMMUV3_OP_TLBI_NH_VAA:
		dw1 = dw[1] & TLBI_ADDR_1;
		if (!(span->vsmmu->id.idr[3] & SMMUV3_IDR3_RIL))
			dw1 &= SMMUV3_TLBI_1_LEAF | SMMUV3_TLBI_1_VA;
		if (dw1 & SMMUV3_TLBI_1_TG)
			dw0 |= dw[0] & TLBI_RANGE_0;
		break;
	default:
		break;
	}
	return run_add(span, at, dw0, dw1);
}

static bool cfgi_cd(struct span *span, uint32_t at, const uint64_t dw[2],
		    const struct smmuv3_cmd *cmd)
{
	uint64_t dw0 = dw[0] & (SMMUV3_CMD_0_OP | SMMUV3_CMD_0_SID);

	if (cmd->op != SMMUV3_OP_CFGI_CD)
		return stream_command(span, at, cmd->sid, dw0, 0);
	dw0 |= dw[0] & SMMUV3_CMD_0_SSID;
	return stream_command(span, at, cmd->sid, dw0,
			      dw[1] & SMMUV3_CFGI_1_LEAF);
}

bool vsmmu_is_enabled(const struct vsmmu *vsmmu)
{
	struct smmuv3_regs regs;

	smmuv3_front_regs(vsmmu->front, &regs);
	return regs.cr0 & SMMUV3_CR0_SMMUEN;
}

/*
 * A CMD_SYNC in front of an ATC_INV: else the device could be answered, when it
 * asks again, with what the TLBs still have (3.9.1). nestfd's driver sees to
 * that; Linux has one CMD_SYNC behind up to 63 commands.
 */
static bool in_order(struct span *span, uint32_t at)
{
	return !span->vsmmu->syncs.n || relay_is_exact(&span->vsmmu->base) ||
	       flush(span, at, NESTFD_SPLIT_SYNC);
}

/* 4.5.1: IGNORED while the guest's SMMUEN is 0, answered or not */
static bool atc_inv(struct span *span, uint32_t at, const uint64_t dw[2],
		    const struct smmuv3_cmd *cmd)
{
	uint64_t dw0 = dw[0] & (SMMUV3_CMD_0_OP | SMMUV3_CMD_0_SID |
				SMMUV3_CMD_0_SSV | SMMUV3_ATC_0_G);

	if (!vsmmu_is_enabled(span->vsmmu))
		return true;
	if (!in_order(span, at))
		return false;
	if (cmd->ssv)
		dw0 |= dw[0] & SMMUV3_CMD_0_SSID;
	return stream_command(span, at, cmd->sid, dw0,
			      dw[1] & (SMMUV3_ATC_1_SIZE | SMMUV3_ATC_1_ADDR));
}

/*
 * What it answers may have been mapped anew: invalidations in front of it come
 * first, as a device that is told may use the page at once.
 */
static bool pri_resp(struct span *span, uint32_t at,
		     const struct smmuv3_cmd *cmd)
{
	if (!flush(span, at, NESTFD_SPLIT_PRI))
		return false;
	vsmmu_pri_response(span->vsmmu, cmd);
	return true;
}

/* Twice the room for CMD_SYNCs that wait; without memory it stays. */
static bool syncs_grow(struct vsmmu_syncs *syncs)
{
	uint32_t room = syncs->room * 2;
	void *grown = alloc_grow(syncs->sync, room, sizeof(*syncs->sync));

	if (!grown)
		return false;
	syncs->sync = grown;
	syncs->room = room;
	return true;
}

/*
 * It completes with the run that it stands in. It ends the run, in front of
 * other commands, where the guest could tell that they went down with it:
 * behind an ATC_INV, which may not be answered, since the queue stops here then
 * and what is newer has no effect (7.1), and the guest may put something else
 * there; and behind a CFGI, which nothing else orders before a TLBI (4.7.3).
 */
static bool cmd_sync(struct span *span, uint32_t at, const uint64_t dw[2])
{
	struct vsmmu_syncs *syncs = &span->vsmmu->syncs;

	if (syncs->n == syncs->room && !syncs_grow(syncs) &&
	    !flush(span, at, NESTFD_SPLIT_LIMIT))
		return false;
	syncs->sync[syncs->n++] = (struct vsmmu_sync){
		.at = at,
		.dw = { dw[0], dw[1] },
	};
	if (at + 1 == span->n ||
	    !(span->ordered || atc_failed_before(span, at)))
		return true;
	return flush(span, at + 1, NESTFD_SPLIT_SYNC);
}

/* One decoded command; false when the span has stopped. */
static bool execute(struct span *span, uint32_t at, const uint64_t dw[2],
		    const struct smmuv3_cmd *cmd)
{
	switch (cmd->op) {
	case SMMUV3_OP_CFGI_STE:
		return config_streams(span, at, cmd->sid, cmd->sid);
	case SMMUV3_OP_CFGI_STE_RANGE:
		return config_streams(span, at, cmd->sid, cmd->sid_last);
	case SMMUV3_OP_CFGI_CD:
	case SMMUV3_OP_CFGI_CD_ALL:
		return cfgi_cd(span, at, dw, cmd);
	case SMMUV3_OP_TLBI_NH_ALL:
	case SMMUV3_OP_TLBI_NH_ASID:
	case SMMUV3_OP_TLBI_NH_VA:
	case SMMUV3_OP_TLBI_NH_VAA:
	case SMMUV3_OP_TLBI_NSNH_ALL:
		return tlbi(span, at, dw, cmd);
	case SMMUV3_OP_ATC_INV:
		return atc_inv(span, at, dw, cmd);
	case SMMUV3_OP_PRI_RESP:
		return pri_resp(span, at, cmd);
	case SMMUV3_OP_SYNC:
		return cmd_sync(span, at, dw);
	default:
		return true; /* PREFETCH_* is a hint */
	}
}

/* Of a doorbell that a ring has begun with, or of none. */
static void count_left(struct vsmmu_ring *ring,
		       const struct smmuv3_consumed *result)
{
	if (result->code || result->done > ring->left)
		ring->left = 0;
	else
		ring->left -= result->done;
}

/* One command, in CPU order; false when the span has stopped. */
static bool step(struct span *span, uint32_t at, const uint64_t dw[2])
{
	struct smmuv3_cmd cmd;

	if (!smmuv3_decode(dw, &span->vsmmu->id, &cmd))
		return execute(span, at, dw, &cmd);
	if (flush(span, at, NESTFD_SPLIT_ERROR))
		stop(span, at, SMMUV3_CERROR_ILL);
	return false;
}

struct smmuv3_consumed vsmmu_consume_from(struct vsmmu *vsmmu,
					  const struct vsmmu_source *from,
					  uint32_t n)
{
	struct span span = {
		.vsmmu = vsmmu,
		.n = n,
		.atc_failed_at = NO_FAILURE,
	};
	uint32_t i;

	vsmmu->span++;
	vsmmu->syncs.n = 0;
	if (!vsmmu->ring.left)
		viommu_count(&vsmmu->base.counters.doorbells, 1);
	for (i = 0; i < n; i++) {
		const uint64_t dw[2] = { vsmmu_word(from, i, 0),
					 vsmmu_word(from, i, 1) };

		if (!step(&span, i, dw))
			break;
	}
	if (i == n && flush(&span, n, NESTFD_SPLIT_END))
		stop(&span, n, SMMUV3_CERROR_NONE);
	/* one behind what has stopped the queue is asked again */
	if (span.atc_failed_at < span.result.done)
		vsmmu->atc_failed = true;
	viommu_count(&vsmmu->base.counters.commands, span.result.done);
	count_left(&vsmmu->ring, &span.result);
	return span.result;
}

struct smmuv3_consumed vsmmu_consume(void *ctx, const uint64_t (*cmds)[2],
				     uint32_t n)
{
	const struct vsmmu_source from = {
		.words = cmds[0],
		.mask = UINT32_MAX,
		.in_cpu_order = true,
	};

	return vsmmu_consume_from(ctx, &from, n);
}
