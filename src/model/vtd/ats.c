// SPDX-License-Identifier: MIT
/*
 * Device TLBs: translation requests (4.2.3, the columns of table 30), and the
 * invalidations that reach them (4.3).
 */
#include "model/vtd/engine.h"

#include "model/vtd/walk_priv.h"

/* What a translation request comes to. */
struct reply {
	bool ok;
	bool stale; /* by the checker */
	struct atc_answer answer;
	struct vtd_denial fault; /* if not ok */
};

/* Answered with success, but neither read nor write: nobody is told. */
static bool is_recoverable(uint8_t reason)
{
	switch (reason) {
	case VTD_FR_LGN_1_ADDRESS:
	case VTD_FR_LGN_2_WRITE:
	case VTD_FR_LGN_3_READ:
	case VTD_FR_SPD_2_NOT_PRESENT:
	case VTD_FR_SPT_2_NOT_PRESENT:
	case VTD_FR_SPT_5_EXECUTE:
	case VTD_FR_SPT_6_SUPERVISOR:
	case VTD_FR_SSS_2_NONE:
	case VTD_FR_SGN_1_CANONICAL:
	case VTD_FR_SGN_2_PRIVILEGE:
	case VTD_FR_SGN_4_HOST_ADDRESS:
	case VTD_FR_SGN_5_ADDRESS:
	case VTD_FR_SGN_6_WRITE:
	case VTD_FR_SGN_7_READ:
	case VTD_FR_SFS_9_NO_SNOOP:
		return true;
	default: /* SFS.10 is told in either way */
		return reason >= VTD_FR_SFS_1_ACCESS &&
		       reason <= VTD_FR_SFS_8_TABLE_WRITE;
	}
}

static bool refuses_write(uint8_t reason)
{
	return reason == VTD_FR_LGN_2_WRITE || reason == VTD_FR_SGN_6_WRITE;
}

static void path_checked(struct visit *v, const struct vtd_context *ctx,
			 bool cold, struct result *r, bool *stale)
{
	*r = (struct result){ 0 };
	vtd_path(v, VTD_AT_REQUEST, ctx, cold, r);
	if (v->engine->hostile && !cold && r->o.used)
		*stale |= vtd_check_path(v, VTD_AT_REQUEST, ctx, r);
}

/*
 * Without NW it is an atomic access, so that the dirty flag is set; where it
 * may not write it is still answered, read-only.
 */
static void resolve_path(struct visit *v, const struct vtd_context *ctx,
			 bool cold, struct result *r, bool *stale)
{
	struct model_access ask = *v->access;
	struct visit as = *v;

	as.access = &ask;
	path_checked(&as, ctx, cold, r, stale);
	if (r->o.ok || !(ask.flags & MODEL_WRITE) ||
	    !refuses_write(r->fault.reason))
		return;
	ask.flags &= ~MODEL_WRITE;
	path_checked(&as, ctx, cold, r, stale);
}

static uint8_t access_of(const struct vtd_context *ctx, uint32_t flags,
			 const struct outcome *o)
{
	unsigned int priv = flags & MODEL_PRIV;
	uint8_t access = 0;

	if (o->ready & ctx->base.bits[priv])
		access |= ATC_READ;
	if (flags & MODEL_WRITE &&
	    o->ready & ctx->base.bits[priv | MODEL_WRITE])
		access |= ATC_WRITE;
	return access;
}

/*
 * Pass-through comes in pieces of the largest page there is (4.2.3), but what
 * a device writes as a message must not come from its TLB.
 */
static uint8_t pass_lg2(const struct vtd_id *id, uint64_t pa)
{
	uint64_t second = field_get(VTD_CAP_SSLPS, id->cap);
	bool first = id->ecap & VTD_ECAP_FSTS;
	bool has_1g = second & 2 || (first && id->cap & VTD_CAP_FS1GP);

	if (has_1g && !is_interrupt(pa, 30))
		return 30;
	return (first || second & 1) && !is_interrupt(pa, 21) ? 21 : 12;
}

static void answer_of(const struct vtd_id *id, const struct vtd_context *ctx,
		      uint32_t flags, const struct outcome *o,
		      struct atc_answer *answer)
{
	answer->access = access_of(ctx, flags, o);
	answer->pa = o->pa;
	answer->size_lg2 = o->bypass ? pass_lg2(id, o->pa) : o->size_lg2;
}

/*
 * S.1 and S.2 of table 30: where messages go (3.15) a device may write without
 * translation; with NW it is told of neither.
 */
static void interrupt_range(const struct model_access *a, struct reply *reply)
{
	if (!(a->flags & MODEL_WRITE))
		return;
	reply->ok = true;
	reply->answer = (struct atc_answer){
		.access = ATC_WRITE | ATC_UNTRANSLATED,
		.size_lg2 = 12,
		.pa = a->iova,
	};
}

static void resolve(struct visit *v, bool cold, struct reply *reply)
{
	const struct vtd_context *ctx;
	struct vtd_context tmp;
	struct result r;

	*reply = (struct reply){ 0 };
	ctx = vtd_context_get(v, VTD_AT_REQUEST, cold, &tmp, &reply->fault);
	if (!ctx)
		return;
	if (v->access->pasid == MODEL_NO_PASID &&
	    is_interrupt(v->access->iova, 0)) {
		interrupt_range(v->access, reply);
		return;
	}
	resolve_path(v, ctx, cold, &r, &reply->stale);
	reply->fault = r.fault;
	if (!r.o.ok)
		return;
	answer_of(&vtd_of(v)->id, ctx, v->access->flags, &r.o, &reply->answer);
	reply->answer.stale = reply->stale;
	reply->ok = reply->answer.access;
}

/* An atomic access, where the unit does not look at NW (ECAP.NWFS) */
static void ask_as(struct visit *v, struct model_access *ask)
{
	*ask = *v->access;
	if (!(vtd_of(v)->id.ecap & VTD_ECAP_NWFS))
		ask->flags |= MODEL_WRITE;
	v->access = ask;
}

bool vtd_ats_resolve(struct visit *v, struct atc_answer *answer,
		     struct model_translation *out)
{
	struct model_access ask;
	struct visit as = *v;
	struct reply reply;

	ask_as(&as, &ask);
	resolve(&as, false, &reply);
	out->stale = reply.stale;
	if (reply.ok) {
		*answer = reply.answer;
		return true;
	}
	if (is_recoverable(reply.fault.reason))
		out->event = reply.fault.reason;
	else
		vtd_report(&as, VTD_AT_REQUEST, &reply.fault, out);
	return false;
}

/* TE is 0, or there are no device TLBs: unsupported request (4.2.1) */
bool vtd_ats_open(struct visit *v, struct model_translation *out)
{
	(void)out;
	return vtd_of(v)->id.ecap & VTD_ECAP_DT &&
	       __atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) ==
		       MODE_TRANSLATE;
}

bool vtd_ats_check(struct visit *v, const struct iotlb_entry *entry,
		   uint64_t pa)
{
	struct model_access ask;
	struct visit cold = *v;
	struct reply now;

	cold.quiet = true;
	ask_as(&cold, &ask);
	ask.flags |= entry->attrs & ATC_WRITE ? MODEL_WRITE : 0;
	resolve(&cold, true, &now);
	return check_answer(v, entry, pa, now.ok ? &now.answer : NULL);
}

/* GI takes the PASIDs all together (6.5.2.6). */
void vtd_ats_scope(const struct vtd_desc *desc, struct iotlb_inval *inval)
{
	atc_scope(desc->type == VTD_QI_DEV_TLB ? MODEL_NO_PASID : desc->pasid,
		  desc->first, desc->last, inval);
	if (desc->global)
		inval->by &= ~IOTLB_BY_ASID;
}

bool vtd_ats_invalidate(struct vtd_model *m, const struct vtd_desc *desc)
{
	struct iotlb_inval inval;

	vtd_ats_scope(desc, &inval);
	return engine_atc_invalidate(&m->engine, desc->sid, &inval);
}
