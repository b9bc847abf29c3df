// SPDX-License-Identifier: MIT
/*
 * How a fault ends: an event, a stall, an abort. Arm IHI 0070 3.12 and 7.2.
 */
#include "model/smmuv3/engine.h"

#include <string.h>

#include "hwdef/smmuv3_regs.h"

/*
 * STE.MEV lets events that are the same be merged: here, while software has
 * not moved EVENTQ_CONS since the first of them.
 */
static bool merged(struct smmuv3_model *m, struct smmuv3_port *port,
		   const uint64_t rec[4])
{
	uint64_t epoch = counted(&m->event_epoch);
	bool same;

	pthread_mutex_lock(&m->event_lock);
	same = port->last_event_epoch == epoch &&
	       !memcmp(port->last_event, rec, sizeof(port->last_event));
	memcpy(port->last_event, rec, sizeof(port->last_event));
	port->last_event_epoch = epoch;
	pthread_mutex_unlock(&m->event_lock);
	return same;
}

void report_event(struct smmuv3_model *m, struct smmuv3_port *port,
		  const uint64_t rec[4], bool merge)
{
	if (merge && merged(m, port, rec))
		return;
	count(&m->engine.events);
	if (!smmuv3_front_event(m->front, rec))
		count(&m->engine.events_lost);
}

/* CR2.RECINVSID asks for C_BAD_STREAMID; all others are recorded. */
static bool config_recorded(struct smmuv3_model *m, uint8_t event)
{
	struct smmuv3_regs regs;

	if (event != SMMUV3_EVT_C_BAD_STREAMID)
		return true;
	smmuv3_front_regs(m->front, &regs);
	return regs.cr2 & SMMUV3_CR2_RECINVSID;
}

static void judge(struct visit *v, const struct smmuv3_context *ctx,
		  const struct smmuv3_fault *fault,
		  struct smmuv3_verdict *verdict)
{
	*verdict = (struct smmuv3_verdict){ .abort = true };
	if (ctx->has_stream)
		smmuv3_fault_verdict(&ctx->stream,
				     ctx->has_s1 ? &ctx->s1 : NULL, fault,
				     verdict);
	else
		verdict->record = config_recorded(smmu_of(v), fault->event);
}

static void stall(struct visit *v, const struct smmuv3_input *in,
		  const struct smmuv3_fault *fault,
		  struct model_translation *out)
{
	switch (stall_begin(v, in, fault, &out->stall_tag)) {
	case STALL_ABORT:
		return;
	case STALL_RAZ:
		v->raz = true;
		return;
	default:
		out->result = MODEL_STALLED;
		return;
	}
}

void report_fault(struct visit *v, const struct smmuv3_context *ctx,
		  const struct smmuv3_fault *fault,
		  struct model_translation *out)
{
	struct smmuv3_verdict verdict;
	struct smmuv3_input in;
	uint64_t rec[4];

	out->result = MODEL_ABORTED;
	if (!fault->event)
		return;
	judge(v, ctx, fault, &verdict);
	if (verdict.record)
		out->event = fault->event;
	v->raz = !verdict.stall && !verdict.abort;
	if (v->quiet)
		return;
	context_input(v, &in);
	if (ctx->has_stream)
		smmuv3_stream_attrs(&ctx->stream, &smmu_of(v)->id, &in);
	if (verdict.stall) {
		stall(v, &in, fault, out);
	} else if (verdict.record) {
		smmuv3_event_build(&in, fault, NULL, rec);
		report_event(smmu_of(v), port_of(v), rec,
			     ctx->has_stream && ctx->stream.mev);
	}
}
