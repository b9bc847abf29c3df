// SPDX-License-Identifier: MIT
/*
 * From the guest's stream table to the host's page tables: a stream whose STE
 * aborts, bypasses or is not valid uses one of three HWPTs made once, one whose
 * STE translates has a nested HWPT of its own, made anew when the STE changes.
 *
 * An STE that is not valid, not legal or not to be had aborts as well, but the
 * guest's accesses are then to be recorded in its event queue. The HWPT for
 * that has V = 0: Linux makes it abort and nobody is told; a host whose own STE
 * becomes invalid records C_BAD_STE, which event.c puts into the guest's terms.
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "front/smmuv3/strtab.h"
#include "hwdef/smmuv3_regs.h"
#include "hwdef/smmuv3_tables.h"
#include "viommu/smmuv3/smmuv3.h"

/* What struct iommu_hwpt_arm_smmuv3 takes of an STE */
#define STE_0_DOWN                                                   \
	(SMMUV3_STE_0_V | SMMUV3_STE_0_CONFIG | SMMUV3_STE_0_S1FMT | \
	 SMMUV3_STE_0_S1CONTEXTPTR | SMMUV3_STE_0_S1CDMAX)
#define STE_1_DOWN                                                      \
	(SMMUV3_STE_1_S1DSS | SMMUV3_STE_1_S1CIR | SMMUV3_STE_1_S1COR | \
	 SMMUV3_STE_1_S1CSH | SMMUV3_STE_1_S1STALLD | SMMUV3_STE_1_EATS)

struct vsmmu_stream *vsmmu_stream_find(struct vsmmu *vsmmu, uint32_t vsid)
{
	struct itree_node *node = itree_first(&vsmmu->streams, vsid, vsid);

	return node ? container_of(node, struct vsmmu_stream, node) : NULL;
}

int vsmmu_hwpt_alloc(struct vsmmu *vsmmu, uint32_t dev_id,
		     const uint64_t ste[2], uint32_t *hwpt_id)
{
	struct iommu_hwpt_arm_smmuv3 data;
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = dev_id,
		.pt_id = vsmmu->base.viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc;

	if (vsmmu->pri.on) {
		arg.flags = IOMMU_HWPT_FAULT_ID_VALID;
		arg.fault_id = vsmmu->pri.fault_id;
	}
	data.ste[0] = le64_make(ste[0]).raw;
	data.ste[1] = le64_make(ste[1]).raw;
	rc = relay_call(&vsmmu->base, IOMMU_HWPT_ALLOC, &arg);
	if (!rc)
		*hwpt_id = arg.out_hwpt_id;
	return rc;
}

static int read64(void *ctx, uint64_t addr, uint64_t *value)
{
	struct vsmmu *vsmmu = ctx;
	le64 word;
	int rc;

	rc = vsmmu->base.guest.read(vsmmu->base.guest.ctx, addr, &word,
				    sizeof(word));
	if (!rc)
		*value = le64_get(word);
	return rc;
}

static void want_invalid(struct vsmmu_want *want, uint8_t event, uint64_t fetch)
{
	*want = (struct vsmmu_want){
		.kind = VSMMU_INVALID,
		.event = event,
		.fetch = fetch,
	};
}

/* The guest's STE, judged by what this virtual SMMU offers (5.2). */
static void want_of_ste(const struct vsmmu *vsmmu, const struct smmuv3_ste *ste,
			struct vsmmu_want *want)
{
	uint64_t dw0 = le64_get(ste->dw[0]);
	uint64_t dw1 = le64_get(ste->dw[1]);

	want_invalid(want, SMMUV3_EVT_C_BAD_STE, 0);
	if (!(dw0 & SMMUV3_STE_0_V))
		return;
	switch (field_get(SMMUV3_STE_0_CONFIG, dw0)) {
	case SMMUV3_STE_CONFIG_BYPASS:
		*want = (struct vsmmu_want){ .kind = VSMMU_BYPASS };
		break;
	case SMMUV3_STE_CONFIG_S1:
		if (!(vsmmu->id.idr[0] & SMMUV3_IDR0_ATS))
			dw1 &= ~SMMUV3_STE_1_EATS;
		if (vsmmu->pri.stalld) /* CD.S is ILLEGAL (5.4) */
			dw1 |= SMMUV3_STE_1_S1STALLD;
		*want = (struct vsmmu_want){
			.kind = VSMMU_NESTED,
			.ste = { dw0 & STE_0_DOWN, dw1 & STE_1_DOWN },
		};
		break;
	case SMMUV3_STE_CONFIG_S2: /* ILLEGAL without IDR0.S2P */
	case SMMUV3_STE_CONFIG_NESTED:
		break;
	default: /* silently; 0b001 to 0b011 count as 0b000 (5.2) */
		*want = (struct vsmmu_want){ .kind = VSMMU_ABORT };
		break;
	}
}

void vsmmu_look_read(struct vsmmu *vsmmu, struct vsmmu_look *look)
{
	struct vsmmu_want *want = &look->want;
	struct smmuv3_ste_at at = { 0 };
	struct smmuv3_regs regs;
	struct smmuv3_ste ste;

	smmuv3_front_regs(vsmmu->front, &regs);
	*want = (struct vsmmu_want){ .kind = VSMMU_ABORT };
	if (!(regs.cr0 & SMMUV3_CR0_SMMUEN)) {
		if (!(regs.gbpa & SMMUV3_GBPA_ABORT))
			want->kind = VSMMU_BYPASS;
		return;
	}
	smmuv3_strtab_find(&regs, &vsmmu->id, look->sid, read64, vsmmu, &at);
	if (at.event)
		want_invalid(want, at.event, at.fetch);
	else if (vsmmu->base.guest.read(vsmmu->base.guest.ctx, at.addr, &ste,
					sizeof(ste)))
		want_invalid(want, SMMUV3_EVT_F_STE_FETCH, at.addr);
	else
		want_of_ste(vsmmu, &ste, want);
}

static bool differs(const struct vsmmu_stream *stream,
		    const struct vsmmu_want *want)
{
	return stream->now.kind != want->kind ||
	       stream->now.event != want->event ||
	       stream->now.fetch != want->fetch ||
	       stream->now.ste[0] != want->ste[0] ||
	       stream->now.ste[1] != want->ste[1];
}

/* These the host answers to an STE, others tell of the host's own trouble. */
static bool is_illegal(int rc)
{
	return rc == -EIO || rc == -EINVAL || rc == -EOPNOTSUPP;
}

/*
 * The HWPT for @want; *made is set if it is the stream's own. What the host
 * calls ILLEGAL aborts with C_BAD_STE, as it would on hardware.
 */
static int hwpt_for(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
		    const struct vsmmu_want *want, uint32_t *hwpt_id,
		    uint32_t *made)
{
	int rc;

	*made = 0;
	*hwpt_id = vsmmu->invalid_hwpt;
	if (want->kind == VSMMU_ABORT)
		*hwpt_id = vsmmu->abort_hwpt;
	else if (want->kind == VSMMU_BYPASS)
		*hwpt_id = vsmmu->bypass_hwpt;
	if (want->kind != VSMMU_NESTED)
		return 0;
	rc = vsmmu_hwpt_alloc(vsmmu, stream->device.dev_id, want->ste, made);
	if (!rc)
		*hwpt_id = *made;
	return is_illegal(rc) ? 0 : rc;
}

static int stream_attach(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
			 uint32_t hwpt_id)
{
	viommu_count(&vsmmu->base.counters.other_ioctls, 1);
	return vsmmu_pri_attach(vsmmu, stream, hwpt_id);
}

static void set_now(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
		    const struct vsmmu_want *now)
{
	pthread_mutex_lock(&vsmmu->event_lock);
	stream->now = *now;
	pthread_mutex_unlock(&vsmmu->event_lock);
}

/*
 * The host could not do it now: what the guest has given up must not go on,
 * so all aborts until the guest names the stream again.
 */
static void stream_block(struct vsmmu *vsmmu, struct vsmmu_stream *stream)
{
	const struct vsmmu_want nothing = { .kind = VSMMU_NOTHING };

	if (stream->now.kind == VSMMU_NOTHING)
		return;
	set_now(vsmmu, stream, &nothing);
	if (stream_attach(vsmmu, stream, vsmmu->abort_hwpt))
		return;
	relay_destroy(&vsmmu->base, stream->hwpt_id);
	stream->hwpt_id = 0;
}

static int stream_apply(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
			const struct vsmmu_want *want)
{
	uint32_t hwpt_id, made;
	int rc;

	rc = hwpt_for(vsmmu, stream, want, &hwpt_id, &made);
	if (!rc)
		rc = stream_attach(vsmmu, stream, hwpt_id);
	if (rc) {
		relay_destroy(&vsmmu->base, made);
		stream_block(vsmmu, stream);
		return rc;
	}
	relay_destroy(&vsmmu->base, stream->hwpt_id);
	stream->hwpt_id = made;
	set_now(vsmmu, stream, want);
	return 0;
}

/* ---- looks ---- */

void vsmmu_stream_insert(struct vsmmu *vsmmu, struct vsmmu_stream *stream,
			 struct vsmmu_look *look)
{
	look->sid = (uint32_t)stream->node.first;
	look->number = ++vsmmu->looks;
	stream->looked = look->number;
	pthread_mutex_lock(&vsmmu->event_lock);
	itree_insert(&vsmmu->streams, &stream->node);
	pthread_mutex_unlock(&vsmmu->event_lock);
}

bool vsmmu_look(struct vsmmu *vsmmu, uint32_t first, uint32_t last,
		uint64_t span, struct vsmmu_look *look)
{
	struct vsmmu_stream *stream = NULL;
	struct itree_node *node;

	pthread_mutex_lock(&vsmmu->lock);
	for (node = itree_first(&vsmmu->streams, first, last); node;
	     node = itree_next(node, first, last)) {
		stream = container_of(node, struct vsmmu_stream, node);
		if (!span || stream->span != span)
			break;
	}
	if (node) {
		stream->span = span;
		look->sid = (uint32_t)node->first;
		look->number = ++vsmmu->looks;
	}
	pthread_mutex_unlock(&vsmmu->lock);
	return node;
}

/* The stream that @look is to tell of; NULL: it has gone, or been told later */
static struct vsmmu_stream *told_by(struct vsmmu *vsmmu,
				    const struct vsmmu_look *look)
{
	struct vsmmu_stream *stream = vsmmu_stream_find(vsmmu, look->sid);

	return stream && stream->looked <= look->number ? stream : NULL;
}

enum vsmmu_news vsmmu_news(struct vsmmu *vsmmu, const struct vsmmu_look *look)
{
	enum vsmmu_news news = VSMMU_NO_NEWS;
	struct vsmmu_stream *stream;

	pthread_mutex_lock(&vsmmu->lock);
	stream = told_by(vsmmu, look);
	if (stream && differs(stream, &look->want)) {
		news = VSMMU_NEWS;
	} else {
		if (stream)
			stream->looked = look->number;
		else
			stream = vsmmu_stream_find(vsmmu, look->sid);
		if (stream && stream->now.kind == VSMMU_NESTED)
			news = VSMMU_SAME_CDS;
	}
	pthread_mutex_unlock(&vsmmu->lock);
	return news;
}

int vsmmu_follow(struct vsmmu *vsmmu, const struct vsmmu_look *look)
{
	struct vsmmu_stream *stream;
	int rc = 0;

	pthread_mutex_lock(&vsmmu->lock);
	stream = told_by(vsmmu, look);
	if (stream && differs(stream, &look->want)) {
		bool first = stream->looked == look->number;

		rc = stream_apply(vsmmu, stream, &look->want);
		if (rc && first)
			vsmmu_stream_discard(vsmmu, stream);
		else
			stream->looked = look->number;
	}
	pthread_mutex_unlock(&vsmmu->lock);
	return rc;
}

void vsmmu_refresh(struct vsmmu *vsmmu)
{
	struct vsmmu_look look = { 0 };

	for (uint64_t sid = 0; sid <= UINT32_MAX;
	     sid = (uint64_t)look.sid + 1) {
		if (!vsmmu_look(vsmmu, (uint32_t)sid, UINT32_MAX, 0, &look))
			break;
		vsmmu_look_read(vsmmu, &look);
		if (vsmmu_news(vsmmu, &look) == VSMMU_NEWS)
			vsmmu_follow(vsmmu, &look);
	}
}
