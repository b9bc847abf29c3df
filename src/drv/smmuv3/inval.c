// SPDX-License-Identifier: MIT
/*
 * IOMMU_HWPT_INVALIDATE on a vIOMMU: a guest's commands, copied once, judged
 * against what a guest may say, rewritten with the host's identifiers, carried
 * out by the host's queue.
 *
 * The array is worked through in chunks, so that no memory grows with it. An
 * entry counts as done when a sync behind it is complete, or when there was
 * nothing to do for it (an ATC_INV for a device that has no ATC).
 *
 * A *native* queue (NESTFD_HWPT_INVALIDATE_RING) is a guest's own. Whatever in
 * it is not plainly an invalidation is left to the VMM, who alone knows what
 * SMMU the guest sees. Of its CMD_SYNCs the host's queue gets those that stand
 * behind an ATC_INV: there it must stop if that one is not answered. The others
 * have nothing left to say, because the call ends with a sync anyhow.
 */
#include <errno.h>
#include <string.h>

#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"
#include "nestfd/ext.h"

#define CHUNK	     512
#define SPAN	     (2 * CHUNK) /* a CMD_SYNC in front of each at most */

#define TLBI_RANGE_0 (SMMUV3_TLBI_0_NUM | SMMUV3_TLBI_0_SCALE)
#define SYNC_0                                                    \
	(SMMUV3_CMD_0_OP | SMMUV3_SYNC_0_CS | SMMUV3_SYNC_0_MSH | \
	 SMMUV3_SYNC_0_MSIATTR | SMMUV3_SYNC_0_MSIDATA)

/* Commands for the queue, and which entry each is made of */
struct span {
	uint32_t n;
	bool unsynced;	/* something that an ATC_INV must come after */
	bool config;	/* a CFGI without a sync behind, */
	bool ordered;	/* and a CMD_SYNC of the guest's */
	uint64_t asked; /* ATC_INVs without a sync behind: whose, or NOBODY */
	bool asks;	/* some device */
	uint64_t cmds[SPAN][2];
	uint16_t entry[SPAN];
};

enum verdict {
	ISSUE,
	SKIP,
	REFUSE, /* a native queue: the VMM's */
	SILENT, /* an ATC_INV for a device in quarantine */
	SYNC,	/* a native queue's own */
};

#define NONE   UINT32_MAX
#define NOBODY UINT64_MAX

/* Devices that one call remembers not to have answered */
#define SILENT_MAX 16

/* One call */
struct work {
	struct viommu *v;
	struct core_inval *inv;
	uint32_t failed; /* native: the first ATC_INV without answer, or NONE */
	uint32_t silent_n;
	uint32_t silent[SILENT_MAX]; /* native: asked no more by this call */
	bool locked;		     /* v->lock is held */
	bool synced;		     /* the hardware has completed a CMD_SYNC */
};

/*
 * Bits a guest may set, per command: fields of the specification, 4.3 to 4.5,
 * less what belongs to another security state. The VMID is the host's: what
 * the guest puts there is overwritten.
 */
static bool allowed_bits(uint64_t dw0, uint64_t dw1, bool ril, bool native,
			 uint64_t allowed[2])
{
	bool range = ril && (dw1 & SMMUV3_TLBI_1_TG);

	allowed[0] = SMMUV3_CMD_0_OP | SMMUV3_TLBI_0_VMID;
	allowed[1] = 0;
	switch (dw0 & SMMUV3_CMD_0_OP) {
	case SMMUV3_OP_CFGI_CD:
		allowed[0] |= SMMUV3_CMD_0_SID | SMMUV3_CMD_0_SSID;
		allowed[1] = SMMUV3_CFGI_1_LEAF;
		return true;
	case SMMUV3_OP_CFGI_CD_ALL:
		allowed[0] |= SMMUV3_CMD_0_SID;
		return true;
	case SMMUV3_OP_TLBI_NSNH_ALL:
		/* it names none (4.4.4.1), but Linux takes it in an array */
		if (native)
			allowed[0] = SMMUV3_CMD_0_OP;
		return true;
	case SMMUV3_OP_TLBI_NH_ALL:
		return true;
	case SMMUV3_OP_TLBI_NH_ASID:
		allowed[0] |= SMMUV3_TLBI_0_ASID;
		return true;
	case SMMUV3_OP_TLBI_NH_VA:
		allowed[0] |= SMMUV3_TLBI_0_ASID;
		__attribute__((fallthrough));
	case SMMUV3_OP_TLBI_NH_VAA:
		allowed[0] |= range ? TLBI_RANGE_0 : 0;
		allowed[1] = SMMUV3_TLBI_1_LEAF | SMMUV3_TLBI_1_VA;
		if (range)
			allowed[1] |= SMMUV3_TLBI_1_TG | SMMUV3_TLBI_1_TTL;
		return true;
	case SMMUV3_OP_ATC_INV:
		allowed[0] |= SMMUV3_CMD_0_SID | SMMUV3_CMD_0_SSID |
			      SMMUV3_CMD_0_SSV | SMMUV3_ATC_0_G;
		allowed[1] = SMMUV3_ATC_1_SIZE | SMMUV3_ATC_1_ADDR;
		return true;
	}
	return false;
}

static const struct vdev *vdev_find(const struct viommu *v, uint32_t vsid)
{
	size_t start = 0;
	size_t end = v->vdevs_n;

	while (start < end) {
		size_t mid = start + (end - start) / 2;

		if (v->vdevs[mid].virt_id == vsid)
			return &v->vdevs[mid];
		if (v->vdevs[mid].virt_id < vsid)
			start = mid + 1;
		else
			end = mid;
	}
	return NULL;
}

static bool was_silent(const struct work *w, uint32_t sid)
{
	for (uint32_t i = 0; i < w->silent_n; i++) {
		if (w->silent[i] == sid)
			return true;
	}
	return false;
}

static enum verdict rewrite_stream(struct work *w, uint64_t cmd[2])
{
	const struct vdev *vdev;

	if (!w->locked)
		pthread_rwlock_rdlock(&w->v->lock);
	w->locked = true;
	vdev = vdev_find(w->v, (uint32_t)field_get(SMMUV3_CMD_0_SID, cmd[0]));
	if (!vdev)
		return REFUSE;
	cmd[0] = (cmd[0] & ~SMMUV3_CMD_0_SID) |
		 field_prep(SMMUV3_CMD_0_SID, vdev->sid);
	if ((cmd[0] & SMMUV3_CMD_0_OP) != SMMUV3_OP_ATC_INV)
		return ISSUE;
	if (!vdev->ats)
		return SKIP;
	return master_is_broken(vdev->dev->drv) || was_silent(w, vdev->sid)
		       ? SILENT
		       : ISSUE;
}

/*
 * 4.7.3: without SIG_IRQ the fields of the interrupt are ignored. SIG_SEV wakes
 * CPUs that wait for CONS to move, which they see anyhow.
 */
static enum verdict judge_sync(const uint64_t cmd[2])
{
	uint64_t cs = field_get(SMMUV3_SYNC_0_CS, cmd[0]);

	if ((cs != SMMUV3_SYNC_CS_NONE && cs != SMMUV3_SYNC_CS_SEV) ||
	    (cmd[0] & ~SYNC_0) || (cmd[1] & ~SMMUV3_SYNC_1_MSIADDR))
		return REFUSE;
	return SYNC;
}

/* @cmd in CPU order, as the guest gave it; rewritten for the host's queue. */
static enum verdict rewrite(struct work *w, uint64_t cmd[2])
{
	const struct viommu *v = w->v;
	uint64_t allowed[2];

	if (w->inv->native && (cmd[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_SYNC)
		return judge_sync(cmd);
	if (!allowed_bits(cmd[0], cmd[1], v->unit->feat.ril, w->inv->native,
			  allowed) ||
	    (cmd[0] & ~allowed[0]) || (cmd[1] & ~allowed[1]))
		return REFUSE;
	switch (cmd[0] & SMMUV3_CMD_0_OP) {
	case SMMUV3_OP_CFGI_CD:
	case SMMUV3_OP_CFGI_CD_ALL:
		return rewrite_stream(w, cmd);
	case SMMUV3_OP_ATC_INV:
		/* a guest's own SMMU must say then that it is illegal */
		if (w->inv->native && !v->unit->feat.ats)
			return REFUSE;
		/* 4.5.1: both are IGNORED without SSV */
		if (!(cmd[0] & SMMUV3_CMD_0_SSV))
			cmd[0] &= ~(SMMUV3_CMD_0_SSID | SMMUV3_ATC_0_G);
		return rewrite_stream(w, cmd);
	case SMMUV3_OP_TLBI_NSNH_ALL:
		cmd[0] = SMMUV3_OP_TLBI_NH_ALL;
		break;
	}
	cmd[0] = (cmd[0] & ~SMMUV3_TLBI_0_VMID) |
		 field_prep(SMMUV3_TLBI_0_VMID, v->vmid);
	return ISSUE;
}

static void span_put(struct span *s, uint64_t dw0, uint64_t dw1, uint32_t entry)
{
	s->cmds[s->n][0] = dw0;
	s->cmds[s->n][1] = dw1;
	s->entry[s->n++] = (uint16_t)entry;
}

static void span_put_sync(struct span *s, uint32_t entry)
{
	span_put(s, SMMUV3_OP_SYNC, 0, entry);
	s->unsynced = false;
	s->config = false;
	s->ordered = false;
	s->asked = NOBODY;
}

/*
 * 4.5.1: an ATC must be told when the SMMU has forgotten, else it may ask and
 * be given the old translation again. And a sync that fails must name a device:
 * it stands behind the ATC_INVs of one.
 */
static void span_add(struct span *s, const uint64_t cmd[2], uint32_t entry)
{
	uint64_t sid = field_get(SMMUV3_CMD_0_SID, cmd[0]);
	uint64_t op = cmd[0] & SMMUV3_CMD_0_OP;
	bool asks = op == SMMUV3_OP_ATC_INV;

	if (s->ordered ||
	    (asks && (s->unsynced || (s->asked != NOBODY && s->asked != sid))))
		span_put_sync(s, entry);
	if (asks) {
		s->asked = sid;
		s->asks = true;
	} else {
		s->unsynced = true;
		s->config |=
			op == SMMUV3_OP_CFGI_CD || op == SMMUV3_OP_CFGI_CD_ALL;
	}
	span_put(s, cmd[0], cmd[1], entry);
}

/* A CMD_SYNC of the guest's. For a CFGI there may be nothing to wait for. */
static void span_sync(struct span *s, uint32_t entry)
{
	if (s->asked != NOBODY)
		span_put_sync(s, entry);
	else
		s->ordered = s->config;
}

/*
 * Entries [@start, *@end) of @raw make @s; what has ended it is the answer,
 * ISSUE: nothing special. *@silent: a native queue's first entry for a device
 * in quarantine.
 */
static enum verdict gather(struct work *w, const struct smmuv3_cmd_rec *raw,
			   uint32_t start, uint32_t *end, uint32_t *silent,
			   struct span *s)
{
	uint32_t n = *end;
	uint32_t i;

	for (i = start; i < n; i++) {
		uint64_t cmd[2] = { le64_get(raw[i].dw[0]),
				    le64_get(raw[i].dw[1]) };
		enum verdict verdict = rewrite(w, cmd);

		*end = i;
		if (verdict == ISSUE)
			span_add(s, cmd, i);
		if (verdict == REFUSE || (verdict == SILENT && !w->inv->native))
			return verdict;
		if (verdict == SILENT && *silent == NONE)
			*silent = i;
		if (verdict != SYNC)
			continue;
		if (w->failed != NONE || *silent != NONE)
			return SYNC;
		span_sync(s, i);
	}
	*end = n;
	return ISSUE;
}

static void unlock(struct work *w)
{
	if (w->locked)
		pthread_rwlock_unlock(&w->v->lock);
	w->locked = false;
}

/* @cmd has not been answered: the sync that fails is for all like it. */
static void remember(struct work *w, const uint64_t cmd[2])
{
	if (w->silent_n < SILENT_MAX)
		w->silent[w->silent_n++] =
			(uint32_t)field_get(SMMUV3_CMD_0_SID, cmd[0]);
}

/* Entry @entry of the call has not been answered: the sync behind it fails. */
static void latch(struct work *w, uint32_t entry)
{
	if (entry < w->failed)
		w->failed = entry;
}

/* The call ends here, with an ATC_INV to report if there is one. */
static int stop(struct work *w, int rc, uint32_t code, uint32_t info)
{
	struct core_inval *inv = w->inv;

	inv->code = code;
	inv->info = info;
	if (w->failed == NONE || code == SMMUV3_CERROR_ABT)
		return rc;
	inv->code = SMMUV3_CERROR_ATC_INV_SYNC;
	inv->info = w->failed;
	inv->info_entry = true;
	return -ETIMEDOUT;
}

/* What the guest wrote at @raw ended the span. */
static int stop_for(struct work *w, enum verdict verdict,
		    const struct smmuv3_cmd_rec *raw)
{
	uint64_t dw0 = le64_get(raw->dw[0]);

	switch (verdict) {
	case SILENT:
		return stop(w, -ETIMEDOUT, SMMUV3_CERROR_ATC_INV_SYNC,
			    (uint32_t)field_get(SMMUV3_CMD_0_SID, dw0));
	case SYNC:
		return stop(w, -ETIMEDOUT, SMMUV3_CERROR_ATC_INV_SYNC, 0);
	case REFUSE:
		if (!w->inv->native)
			return stop(w, -EIO, SMMUV3_CERROR_ILL, 0);
		return stop(w, -EOPNOTSUPP, NESTFD_ERR_VMM,
			    (uint32_t)(dw0 & SMMUV3_CMD_0_OP));
	default:
		return 0;
	}
}

/* The guest has spent its budget: all of its devices go into quarantine. */
static bool is_over(const struct hostq_result *res)
{
	return res->code == HOSTQ_HELD && res->until_ms == HOSTDEVS_NEVER;
}

/*
 * Carries out entries [@start, @n) of @raw until something stops it; *@next is
 * the first one not carried out. On failure it is the one at fault; without, it
 * may also be one that has to wait for its guest's window, which is over then.
 * @base: the number of entry 0.
 */
static int run_span(struct work *w, const struct smmuv3_cmd_rec *raw,
		    uint32_t base, uint32_t start, uint32_t n, uint32_t *next)
{
	const struct hostq_payer payer = {
		.devs = &w->v->unit->devs,
		.guest = &w->v->budget,
		.patient = true,
	};
	struct hostq_result res;
	uint32_t silent = NONE;
	enum verdict verdict;
	struct span s;
	int rc;

	s.n = 0;
	s.unsynced = false;
	s.config = false;
	s.ordered = false;
	s.asked = NOBODY;
	s.asks = false;
	*next = n;
	verdict = gather(w, raw, start, next, &silent, &s);
	unlock(w);
	rc = cmdq_issue(&w->v->unit->cmdq, s.cmds, s.n, s.asks ? &payer : NULL,
			&res);
	if (res.timeouts || is_over(&res))
		viommu_timed_out(w->v);
	w->synced |= s.n;
	if (rc == -ETIMEDOUT && !w->inv->native) {
		*next = s.entry[res.done];
		return stop_for(w, SILENT, &raw[*next]);
	}
	if (rc == -ETIMEDOUT) {
		latch(w, base + s.entry[res.done]);
		remember(w, s.cmds[res.done]);
		verdict = res.next < s.n ? ISSUE : verdict;
		*next = res.next < s.n ? s.entry[res.next] : *next;
	} else if (rc) {
		*next = s.entry[res.done];
	}
	if (silent < *next)
		latch(w, base + silent);
	if (rc == -EAGAIN) {
		if (!is_over(&res))
			hostq_pause(&w->v->unit->cmdq.q, &payer, &res);
		return 0; /* to be looked at again */
	}
	if (rc && rc != -ETIMEDOUT)
		return stop(w, rc, cmdq_code(&res), 0);
	return *next < n ? stop_for(w, verdict, &raw[*next]) : 0;
}

/*
 * A chunk of an array that cannot be read whole is not begun; of a queue what
 * can be read is carried out.
 */
static int run_chunk(struct work *w, uint32_t n)
{
	struct smmuv3_cmd_rec raw[CHUNK];
	struct core_inval *inv = w->inv;
	uint32_t base = inv->done;
	uint32_t copied = 0;
	uint32_t next = 0;
	int unread;
	int rc = 0;

	unread = core_inval_copy(inv, base, n, raw, sizeof(raw[0]), &copied);
	if (unread && !inv->native)
		return unread;
	while (!rc && next < copied) {
		rc = run_span(w, raw, base, next, copied, &next);
		inv->done = base + next;
	}
	return !rc && unread ? stop(w, unread, 0, 0) : rc;
}

int viommu_invalidate(struct core_viommu *core, struct core_inval *inv)
{
	struct work w = { .v = to_viommu(core), .inv = inv, .failed = NONE };
	uint32_t n;
	int rc = 0;

	inv->done = 0;
	inv->code = 0;
	inv->info = 0;
	inv->info_entry = false;
	if (inv->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
		return -EINVAL;
	if (cmdq_is_dead(&w.v->unit->cmdq))
		return stop(&w, -EIO, SMMUV3_CERROR_ABT, 0);
	while (!rc && inv->done < inv->count) {
		n = inv->count - inv->done;
		rc = run_chunk(&w, n < CHUNK ? n : CHUNK);
	}
	if (!rc && w.failed != NONE)
		rc = stop_for(&w, SYNC, &(struct smmuv3_cmd_rec){ 0 });
	/* what DMA before this call has caused can be read behind it */
	if (w.synced)
		outq_sync(&w.v->unit->evtq);
	else
		outq_catch_up(&w.v->unit->evtq);
	return rc;
}
