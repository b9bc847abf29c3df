// SPDX-License-Identifier: MIT
/*
 * Address Translation Services, Arm IHI 0070 3.9 and 4.5; the devices' caches
 * are in model/ats.c.
 *
 * A translation request records no translation fault: the device is told that
 * it may not. Errors of configuration are recorded if CR2.REC_CFG_ATS asks, and
 * those of translated transactions likewise; F_BAD_ATS_TREQ always. Read is
 * asked for by every request, Execute and Privileged only with a PASID. With
 *split-stage ATS a request goes through both stages and is answered with the
 *IPA; an address that stage 2 does not map is thus refused here already, not
 *when it is used.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>

#include "hwdef/smmuv3_regs.h"
#include "hwdef/smmuv3_tables.h"
#include "model/tlb.h"

/* CR2.REC_CFG_ATS asks for it, and for C_BAD_STREAMID @also (3.9.1.2) */
static bool config_recorded(struct smmuv3_model *m, uint8_t event,
			    uint32_t also)
{
	struct smmuv3_regs regs;
	uint32_t need = SMMUV3_CR2_REC_CFG_ATS;

	if (!(m->id.idr[0] & SMMUV3_IDR0_ATSRECERR) || !event ||
	    event > SMMUV3_EVT_F_WALK_EABT)
		return false;
	if (event == SMMUV3_EVT_C_BAD_STREAMID)
		need |= also;
	smmuv3_front_regs(m->front, &regs);
	return (regs.cr2 & need) == need;
}

static void record(struct visit *v, const struct smmuv3_fault *fault, bool mev)
{
	struct smmuv3_input in;
	uint64_t rec[4];

	if (v->quiet)
		return;
	context_input(v, &in);
	smmuv3_event_build(&in, fault, NULL, rec);
	report_event(smmu_of(v), port_of(v), rec, mev);
}

void ats_no_stream(struct visit *v, const struct smmuv3_fault *fault)
{
	if (config_recorded(smmu_of(v), fault->event, SMMUV3_CR2_RECINVSID))
		record(v, fault, false);
}

/* CR0.ATSCHK is 0: translated transactions are trusted as they are (6.3.9). */
static bool unchecked(struct smmuv3_model *m)
{
	struct smmuv3_regs regs;

	smmuv3_front_regs(m->front, &regs);
	return !(regs.cr0 & SMMUV3_CR0_ATSCHK);
}

/* Does the STE forbid it (5.2)? Split-stage ATS needs checked transactions. */
static bool stream_forbids(struct smmuv3_model *m,
			   const struct smmuv3_stream *stream)
{
	if (stream->config == SMMUV3_STE_CONFIG_BYPASS ||
	    stream->eats == SMMUV3_EATS_ABORT)
		return true;
	return stream->eats == SMMUV3_EATS_SPLIT && unchecked(m);
}

static void pass(struct visit *v, struct model_translation *out)
{
	struct smmuv3_fault fault = { 0 };
	struct smmuv3_input in;

	context_input(v, &in);
	if (smmuv3_bypass(&smmu_of(v)->id, &in, &fault))
		translation_pass(out, in.addr);
}

/* EATS split: what the device holds are IPAs. */
static void pass_stage2(struct visit *v, const struct smmuv3_stream *stream,
			struct model_translation *out)
{
	struct smmuv3_context ctx = { .has_stream = true, .stream = *stream };
	struct result r = { 0 };

	engine_stage2(v, stream, false, &r);
	if (!r.o.ok) {
		report_fault(v, &ctx, &r.fault, out);
		return;
	}
	out->result = MODEL_OK;
	out->hit = r.o.hit;
	out->read = r.o.allowed & (PERM_PRIV_R | PERM_USER_R);
	out->write = r.o.allowed & (PERM_PRIV_W | PERM_USER_W);
	out->exec = r.o.allowed & (PERM_PRIV_X | PERM_USER_X);
	out->size_lg2 = r.o.size_lg2;
	out->pa = r.o.pa;
	out->host = r.o.host;
}

static void forbid(struct visit *v, bool mev, struct model_translation *out)
{
	struct smmuv3_fault fault = { .event = SMMUV3_EVT_F_TRANSL_FORBIDDEN };

	out->event = fault.event;
	record(v, &fault, mev);
}

void ats_forbidden(struct visit *v, struct model_translation *out)
{
	forbid(v, false, out);
}

/* Not even an STE; RECINVSID has no say in that (3.9.1.3) */
static void no_stream(struct visit *v, const struct smmuv3_fault *fault,
		      struct model_translation *out)
{
	if (!config_recorded(smmu_of(v), fault->event, 0))
		return;
	out->event = fault->event;
	record(v, fault, false);
}

static void translated(struct visit *v, struct model_translation *out)
{
	struct smmuv3_model *m = smmu_of(v);
	struct smmuv3_fault fault = { 0 };
	struct smmuv3_stream stream;
	uint64_t serial;

	if (!context_stream(v, false, &stream, &serial, &fault))
		no_stream(v, &fault, out);
	else if (stream.config == SMMUV3_STE_CONFIG_ABORT)
		return;
	else if (stream_forbids(m, &stream))
		forbid(v, stream.mev, out);
	else if (stream.eats == SMMUV3_EATS_SPLIT)
		pass_stage2(v, &stream, out);
	else
		pass(v, out);
}

void ats_translated(struct visit *v, struct model_translation *out)
{
	struct model_access plain;
	/* IDR3.PASIDTT is 0: no PASID, unprivileged, data (3.9.1.3) */
	struct visit as = visit_plain(v, &plain);

	if (!(smmu_of(v)->id.idr[0] & SMMUV3_IDR0_ATS))
		ats_forbidden(&as, out);
	else if (unchecked(smmu_of(v)))
		pass(&as, out);
	else
		translated(&as, out);
	v->raz = as.raz;
}

static void path_checked(struct visit *v, const struct smmuv3_context *ctx,
			 bool cold, struct result *r, bool *stale)
{
	*r = (struct result){ 0 };
	engine_path(v, ctx, cold, r);
	if (v->engine->hostile && !cold && r->o.used)
		*stale |= check_path(v, ctx, r);
}

/* A write that is refused may still be answered: read-only. */
static void resolve_path(struct visit *v, const struct smmuv3_context *ctx,
			 bool cold, struct result *r, bool *stale)
{
	struct model_access ask = *v->access;
	struct visit as = *v;

	as.access = &ask;
	ask.flags &= ~MODEL_EXEC; /* a permission, not what is looked up */
	path_checked(&as, ctx, cold, r, stale);
	if (r->o.ok || !(ask.flags & MODEL_WRITE) ||
	    r->fault.event != SMMUV3_EVT_F_PERMISSION)
		return;
	ask.flags &= ~MODEL_WRITE;
	path_checked(&as, ctx, cold, r, stale);
}

/* Execute: where asked for, and only with Read (13.7.1) */
static uint8_t access_of(const struct smmuv3_context *ctx, uint32_t flags,
			 uint8_t ready)
{
	unsigned int priv = flags & MODEL_PRIV;
	uint8_t access = 0;

	if (ready & ctx->base.bits[priv])
		access |= ATC_READ;
	if (ready & ctx->base.bits[priv | MODEL_WRITE])
		access |= ATC_WRITE;
	if (flags & MODEL_EXEC && access & ATC_READ &&
	    ready & ctx->base.bits[priv | MODEL_EXEC])
		access |= ATC_EXEC;
	return access;
}

void ats_resolve(struct visit *v, bool cold, struct ats_answer *answer)
{
	const struct smmuv3_stream *stream;
	const struct smmuv3_context *ctx;
	struct smmuv3_context tmp;
	struct result r;

	*answer = (struct ats_answer){ 0 };
	ctx = context_get(v, cold, &tmp, &answer->fault);
	stream = ctx ? &ctx->stream : &tmp.stream;
	if (ctx || tmp.has_stream) {
		answer->mev = stream->mev;
		if (stream->config == SMMUV3_STE_CONFIG_ABORT)
			return;
		if (stream_forbids(smmu_of(v), stream))
			answer->fault.event = SMMUV3_EVT_F_BAD_ATS_TREQ;
	}
	if (!ctx || answer->fault.event)
		return;
	resolve_path(v, ctx, cold, &r, &answer->atc.stale);
	answer->ok = r.o.ok;
	answer->fault = r.fault;
	answer->atc.size_lg2 = r.o.size_lg2;
	answer->atc.access = access_of(ctx, v->access->flags, r.o.ready);
	answer->atc.pa = stream->eats == SMMUV3_EATS_SPLIT ? r.o.ipa : r.o.pa;
}

/*
 * What F_BAD_ATS_TREQ says of the request, before the STE's overrides (7.3.6):
 * R is always set, and Span, in the ATC's units of 4 KiB, has four bits.
 */
static uint32_t treq_of(const struct visit *v)
{
	const struct model_access *a = v->access;
	uint64_t span = ((a->iova & 0xfff) + v->len + 0xfff) >> 12;
	uint64_t dw = SMMUV3_EVT_1_TREQ_READ;

	if (a->flags & MODEL_WRITE)
		dw |= SMMUV3_EVT_1_TREQ_WRITE;
	if (a->flags & MODEL_EXEC)
		dw |= SMMUV3_EVT_1_TREQ_EXEC;
	if (a->flags & MODEL_PRIV)
		dw |= SMMUV3_EVT_1_TREQ_PRIV;
	if (v->len > ATC_PAGES_MAX << 12 || span > SMMUV3_EVT_1_TREQ_SPAN)
		span = SMMUV3_EVT_1_TREQ_SPAN;
	return (uint32_t)(dw | span);
}

/* Faults of translation are the device's business, not software's (3.9.1) */
static void refuse(struct visit *v, const struct ats_answer *answer,
		   struct model_translation *out)
{
	struct smmuv3_fault fault = answer->fault;
	uint8_t event = fault.event;

	out->event = event;
	if (event == SMMUV3_EVT_F_BAD_ATS_TREQ) {
		fault.treq = treq_of(v);
		record(v, &fault, answer->mev);
	} else if (config_recorded(smmu_of(v), event, SMMUV3_CR2_RECINVSID)) {
		record(v, &fault, answer->mev);
	}
}

bool smmuv3_ats_resolve(struct visit *v, struct atc_answer *answer,
			struct model_translation *out)
{
	struct ats_answer full;

	ats_resolve(v, false, &full);
	*answer = full.atc;
	out->stale = full.atc.stale;
	if (!full.ok)
		refuse(v, &full, out);
	return full.ok;
}

/* SMMUEN is 0 (3.9.1.2) */
bool smmuv3_ats_open(struct visit *v, struct model_translation *out)
{
	const struct ats_answer off = {
		.fault.event = SMMUV3_EVT_F_BAD_ATS_TREQ,
	};

	if (!(smmu_of(v)->id.idr[0] & SMMUV3_IDR0_ATS))
		return false;
	if (__atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) ==
	    MODE_TRANSLATE)
		return true;
	refuse(v, &off, out);
	return false;
}

/* G takes the PASIDs all together; without SSV it is the entries without. */
static void atc_inval(const struct smmuv3_cmd *cmd, struct iotlb_inval *inval)
{
	atc_scope(cmd->ssv ? cmd->ssid : MODEL_NO_PASID, cmd->first, cmd->last,
		  inval);
	if (cmd->global)
		inval->by &= ~IOTLB_BY_ASID;
}

/* To the devices of that StreamID and no others; an answer may be missing. */
void ats_invalidate(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	struct iotlb_inval inval;

	if (__atomic_load_n(&m->engine.mode, __ATOMIC_RELAXED) !=
	    MODE_TRANSLATE)
		return;
	atc_inval(cmd, &inval);
	if (!engine_atc_invalidate(&m->engine, cmd->sid, &inval))
		m->engine.atc_failed = true;
}
