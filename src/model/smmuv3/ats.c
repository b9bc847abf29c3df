// SPDX-License-Identifier: MIT
/*
 * Address Translation Services, Arm IHI 0070 3.9 and 4.5. Each port that can
 * do ATS has an ATC, the device's own cache, tagged
 *	regime	1 for privileged requests
 *	vmid	1 for requests with a PASID, which @asid holds
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

#define ATC_PAGES_MAX 512u /* of one request */
#define ATC_PASIDS    1u   /* vmid of requests with a PASID */

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
	if (!smmuv3_bypass(&smmu_of(v)->id, &in, &fault))
		return;
	*out = (struct model_translation){
		.result = MODEL_OK,
		.bypass = true,
		.read = true,
		.write = true,
		.exec = true,
		.size_lg2 = 12,
		.pa = in.addr,
	};
}

/* EATS split: what the device holds are IPAs. */
static void pass_stage2(struct visit *v, const struct smmuv3_stream *stream,
			struct model_translation *out)
{
	struct smmuv3_context ctx = { .has_stream = true, .stream = *stream };
	struct result r = { 0 };

	engine_stage2(v, stream, false, &r);
	if (!r.ok) {
		report_fault(v, &ctx, &r.fault, out);
		return;
	}
	out->result = MODEL_OK;
	out->hit = r.hit;
	out->read = r.allowed & (PERM_PRIV_R | PERM_USER_R);
	out->write = r.allowed & (PERM_PRIV_W | PERM_USER_W);
	out->exec = r.allowed & (PERM_PRIV_X | PERM_USER_X);
	out->size_lg2 = r.size_lg2;
	out->pa = r.pa;
	out->host = r.host;
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
	struct model_access plain = *v->access;
	struct visit as = *v;

	/* IDR3.PASIDTT is 0: no PASID, unprivileged, data (3.9.1.3) */
	plain.pasid = MODEL_NO_PASID;
	plain.flags &= ~(MODEL_PRIV | MODEL_EXEC);
	as.access = &plain;
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
	if (v->engine->hostile && !cold && r->used)
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
	if (r->ok || !(ask.flags & MODEL_WRITE) ||
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
	resolve_path(v, ctx, cold, &r, &answer->stale);
	answer->ok = r.ok;
	answer->fault = r.fault;
	answer->size_lg2 = r.size_lg2;
	answer->access = access_of(ctx, v->access->flags, r.ready);
	answer->pa = stream->eats == SMMUV3_EATS_SPLIT ? r.ipa : r.pa;
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

static void fill(const struct iotlb_entry *e, uint64_t iova, bool found,
		 struct model_translation *out)
{
	*out = (struct model_translation){
		.result = MODEL_OK,
		.hit = found,
		.read = e->attrs & ATC_READ,
		.write = e->attrs & ATC_WRITE,
		.exec = e->attrs & ATC_EXEC,
		.size_lg2 = e->size_lg2,
		.pa = e->out + (iova - e->iova),
	};
}

static struct iotlb_key atc_key(const struct model_access *a)
{
	bool pasid = a->pasid != MODEL_NO_PASID;

	return (struct iotlb_key){
		.iova = a->iova,
		.asid = pasid ? a->pasid : 0,
		.vmid = pasid ? ATC_PASIDS : 0,
		.regime = a->flags & MODEL_PRIV ? 1 : 0,
	};
}

static uint32_t wanted(const struct model_access *a)
{
	if (a->flags & MODEL_WRITE)
		return ATC_WRITE;
	return a->flags & MODEL_EXEC ? ATC_EXEC : ATC_READ;
}

/* One page: from the ATC, else by a request. */
static int request(struct visit *v, struct model_translation *out)
{
	struct iotlb_key key = atc_key(v->access);
	uint64_t ticket = iotlb_ticket(v->port->atc);
	struct ats_answer answer;
	const struct iotlb_entry *found;
	struct iotlb_entry e;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	found = iotlb_lookup(v->port->atc, &key);
	if (found && found->attrs & wanted(v->access)) {
		fill(found, key.iova, true, out);
		if (v->engine->hostile)
			out->stale = check_atc(v, found, out->pa);
		return 0;
	}
	e = (struct iotlb_entry){ .serial = counted(&v->engine->serial) };
	ats_resolve(v, false, &answer);
	out->stale = answer.stale;
	if (!answer.ok) {
		refuse(v, &answer, out);
		return -EIO;
	}
	e.iova = key.iova & ~low_mask(answer.size_lg2);
	e.out = answer.pa & ~low_mask(answer.size_lg2);
	e.leaf = e.iova;
	e.asid = key.asid;
	e.vmid = key.vmid;
	e.regime = key.regime;
	e.attrs = answer.access;
	e.size_lg2 = answer.size_lg2;
	e.leaf_lg2 = answer.size_lg2;
	fill(&e, key.iova, false, out);
	out->stale = answer.stale;
	if (!v->quiet)
		iotlb_insert(v->port->atc, ticket, &e);
	return 0;
}

/* The rest of the range, as far as it goes. */
static void request_rest(struct visit *v, uint64_t len, uint8_t size_lg2)
{
	struct model_access a = *v->access;
	struct model_translation out = { .size_lg2 = size_lg2 };
	struct visit next = *v;

	next.access = &a;
	for (unsigned int n = 1; n < ATC_PAGES_MAX; n++) {
		uint64_t size = BIT_ULL(out.size_lg2);
		uint64_t step = size - (a.iova & (size - 1));

		if (step >= len || a.iova + step < a.iova)
			return;
		a.iova += step;
		len -= step;
		next.len = len;
		if (request(&next, &out))
			return;
	}
}

/* SMMUEN is 0 (3.9.1.2) */
static int request_off(struct visit *v, struct model_translation *out)
{
	const struct ats_answer answer = {
		.fault.event = SMMUV3_EVT_F_BAD_ATS_TREQ,
	};

	refuse(v, &answer, out);
	return -EIO;
}

static int request_all(struct visit *v, struct model_translation *out)
{
	struct smmuv3_model *m = smmu_of(v);
	int rc;

	*out = (struct model_translation){ .result = MODEL_ABORTED };
	if (!(m->id.idr[0] & SMMUV3_IDR0_ATS) ||
	    __atomic_load_n(&v->port->failed, __ATOMIC_ACQUIRE))
		return -EIO;
	if (__atomic_load_n(&m->engine.mode, __ATOMIC_ACQUIRE) !=
	    MODE_TRANSLATE)
		return request_off(v, out);
	rc = request(v, out);
	if (!rc)
		request_rest(v, v->len, out->size_lg2);
	return rc;
}

int ats_request(struct model_port *opaque, const struct model_access *access,
		uint64_t len, struct model_translation *out)
{
	struct engine_port *port = to_port(opaque);
	struct model_access ask = *access;
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.access = &ask,
		.len = len,
		.quiet = access->flags & MODEL_QUIET,
	};
	struct slot spare;
	int rc;

	if (ask.pasid == MODEL_NO_PASID) /* it would bring them (13.7) */
		ask.flags &= ~(MODEL_PRIV | MODEL_EXEC);
	if (!port->atc)
		return -EOPNOTSUPP;
	reader_enter();
	v.slot = slot_enter(port, &spare);
	rc = request_all(&v, out);
	slot_leave(port, v.slot, &spare);
	reader_exit();
	return rc;
}

/* G takes the PASIDs all together; without SSV it is the entries without. */
static void atc_inval(const struct smmuv3_cmd *cmd, struct iotlb_inval *inval)
{
	*inval = (struct iotlb_inval){
		.first = cmd->first,
		.last = cmd->last,
		.by = IOTLB_BY_VMID | IOTLB_BY_RANGE,
		.regimes = 0x3,
		.vmid = cmd->ssv ? ATC_PASIDS : 0,
	};
	if (!cmd->global) {
		inval->by |= IOTLB_BY_ASID;
		inval->asid = cmd->ssid;
	}
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
