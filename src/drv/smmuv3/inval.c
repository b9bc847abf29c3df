// SPDX-License-Identifier: MIT
/*
 * IOMMU_HWPT_INVALIDATE on a vIOMMU: a guest's commands, copied once, judged
 * against what a guest may say, rewritten with the host's identifiers, carried
 * out by the host's queue.
 *
 * The array is worked through in chunks, so that no memory grows with it. An
 * entry counts as done when a sync behind it is complete, or when there was
 * nothing to do for it (an ATC_INV for a device that has no ATC).
 */
#include <errno.h>
#include <string.h>

#include "drv/smmuv3/unit.h"
#include "hwdef/smmuv3_regs.h"

#define CHUNK	     512

#define TLBI_RANGE_0 (SMMUV3_TLBI_0_NUM | SMMUV3_TLBI_0_SCALE)

/* Commands for the queue, and which entry each is made of */
struct span {
	uint32_t n;
	bool unsynced; /* something that an ATC_INV must come after */
	uint64_t cmds[CHUNK][2];
	uint16_t entry[CHUNK];
};

enum verdict {
	ISSUE,
	SKIP,
	REFUSE,
};

/*
 * Bits a guest may set, per command: fields of the specification, 4.3 to 4.5,
 * less what belongs to another security state. The VMID is the host's: what
 * the guest puts there is overwritten.
 */
static bool allowed_bits(uint64_t dw0, uint64_t dw1, bool ril,
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

static enum verdict rewrite_stream(struct viommu *v, uint64_t cmd[2])
{
	enum verdict verdict = REFUSE;
	const struct vdev *vdev;

	pthread_rwlock_rdlock(&v->lock);
	vdev = vdev_find(v, (uint32_t)field_get(SMMUV3_CMD_0_SID, cmd[0]));
	if (vdev) {
		cmd[0] = (cmd[0] & ~SMMUV3_CMD_0_SID) |
			 field_prep(SMMUV3_CMD_0_SID, vdev->sid);
		verdict = ISSUE;
		if ((cmd[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_ATC_INV &&
		    !vdev->ats)
			verdict = SKIP;
	}
	pthread_rwlock_unlock(&v->lock);
	return verdict;
}

/* @cmd in CPU order, as the guest gave it; rewritten for the host's queue. */
static enum verdict rewrite(struct viommu *v, uint64_t cmd[2])
{
	uint64_t allowed[2];

	if (!allowed_bits(cmd[0], cmd[1], v->unit->feat.ril, allowed) ||
	    (cmd[0] & ~allowed[0]) || (cmd[1] & ~allowed[1]))
		return REFUSE;
	switch (cmd[0] & SMMUV3_CMD_0_OP) {
	case SMMUV3_OP_CFGI_CD:
	case SMMUV3_OP_CFGI_CD_ALL:
		return rewrite_stream(v, cmd);
	case SMMUV3_OP_ATC_INV:
		/* 4.5.1: both are IGNORED without SSV */
		if (!(cmd[0] & SMMUV3_CMD_0_SSV))
			cmd[0] &= ~(SMMUV3_CMD_0_SSID | SMMUV3_ATC_0_G);
		return rewrite_stream(v, cmd);
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

/*
 * 4.5.1: an ATC must be told when the SMMU has forgotten, else it may ask and
 * be given the old translation again. False: no room.
 */
static bool span_add(struct span *s, const uint64_t cmd[2], uint32_t entry)
{
	bool atc = (cmd[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_ATC_INV;
	bool sync = atc && s->unsynced;

	if (s->n + 1 + sync > CHUNK)
		return false;
	if (sync)
		span_put(s, SMMUV3_OP_SYNC, 0, entry);
	span_put(s, cmd[0], cmd[1], entry);
	s->unsynced = !atc;
	return true;
}

/*
 * Carries out entries [@start, @n) of @raw until the queue's span is full or
 * an entry is refused; *@next is the first one not carried out. On failure it
 * is the one at fault, *@code the hardware's word for it.
 */
static int run_span(struct viommu *v, const struct smmuv3_cmd_rec *raw,
		    uint32_t start, uint32_t n, uint32_t *next, uint32_t *code)
{
	struct cmdq_result res;
	enum verdict verdict = SKIP;
	struct span s;
	uint32_t i;
	int rc;

	s.n = 0;
	s.unsynced = false;
	for (i = start; i < n; i++) {
		uint64_t cmd[2] = { le64_get(raw[i].dw[0]),
				    le64_get(raw[i].dw[1]) };

		verdict = rewrite(v, cmd);
		if (verdict == REFUSE ||
		    (verdict == ISSUE && !span_add(&s, cmd, i)))
			break;
	}
	rc = cmdq_issue(&v->unit->cmdq, s.cmds, s.n, &res);
	if (rc) {
		*next = s.entry[res.done];
		*code = res.code;
		return rc;
	}
	*next = i;
	if (verdict == REFUSE) {
		*code = SMMUV3_CERROR_ILL;
		return -EIO;
	}
	return 0;
}

/* A chunk that cannot be read whole is not begun. */
static int run_chunk(struct viommu *v, struct core_inval *inv, uint32_t n)
{
	struct smmuv3_cmd_rec raw[CHUNK];
	uint32_t base = inv->done;
	uint32_t copied = 0;
	uint32_t next = 0;
	int rc;

	rc = core_inval_copy(inv, base, n, raw, sizeof(raw[0]), &copied);
	while (!rc && next < n) {
		rc = run_span(v, raw, next, n, &next, &inv->code);
		inv->done = base + next;
	}
	return rc;
}

int viommu_invalidate(struct core_viommu *core, struct core_inval *inv)
{
	struct viommu *v = to_viommu(core);
	uint32_t n;
	int rc = 0;

	inv->done = 0;
	inv->code = 0;
	inv->info = 0;
	if (inv->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
		return -EINVAL;
	while (!rc && inv->done < inv->count) {
		n = inv->count - inv->done;
		rc = run_chunk(v, inv, n < CHUNK ? n : CHUNK);
	}
	return rc;
}
