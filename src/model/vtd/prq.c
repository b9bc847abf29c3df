// SPDX-License-Identifier: MIT
/*
 * Page requests of devices (7.4.1), what they invalidate by themselves
 * (6.5.3.1) and the answers to them (7.6.1).
 */
#include "model/vtd/engine.h"

#include <errno.h>

#define PRQ_TYPE_PAGE 0x1ull

static bool refuse(struct vtd_denial *fault, uint8_t reason, bool fpd)
{
	*fault = (struct vtd_denial){ .reason = reason, .unreported = fpd };
	return false;
}

/* The space that the page belongs to, as caches have it; false: *fault */
static bool find_space(struct visit *v, struct vtd_space *space,
		       struct vtd_denial *fault)
{
	const struct vtd_context *ctx;
	struct vtd_context tmp;
	struct vtd_source source;
	struct visit as = *v;
	uint64_t serial;

	if (field_get(VTD_RTADDR_TTM, vtd_rtaddr(vtd_of(v))) == VTD_TTM_LEGACY)
		return refuse(fault, VTD_FR_RTA_3_PAGE_REQUEST, false);
	if (!vtd_context_source(v, false, &source, &serial, fault))
		return false;
	if (!source.pre)
		return refuse(fault, VTD_FR_SCT_8_PRE, source.fpd);
	/* only of a page request: for others nothing may be cached of it */
	if (as.access->pasid != MODEL_NO_PASID &&
	    !vtd_pasid_fits(&vtd_of(v)->id, as.access->pasid))
		as.quiet = true;
	ctx = vtd_context_get(&as, VTD_AT_PAGE, false, &tmp, fault);
	if (!ctx)
		return false;
	*space = ctx->space;
	return true;
}

/* Table 27 */
static void implicit(struct vtd_model *m, const struct vtd_space *space,
		     uint64_t addr)
{
	struct vtd_desc desc = {
		.did = space->did,
		.pasid = space->pasid,
		.first = addr & ~low_mask(12),
		.last = addr | low_mask(12),
	};

	switch (space->pgtt) {
	case VTD_PGTT_FS:
		desc.type = VTD_QI_PIOTLB;
		desc.gran = VTD_QI_PIOTLB_G_PAGE;
		break;
	case VTD_PGTT_NESTED:
		desc.type = VTD_QI_IOTLB;
		desc.gran = VTD_GRAN_DOMAIN;
		break;
	default:
		desc.type = VTD_QI_IOTLB;
		desc.gran = VTD_GRAN_PAGE;
		break;
	}
	vtd_exec_iotlb(m, &desc);
}

static void build(const struct vtd_port *port,
		  const struct model_page_request *request, uint64_t rec[4])
{
	static const struct {
		uint32_t flag;
		unsigned int word;
		uint64_t bit;
		bool pasid;
	} bits[] = {
		{ MODEL_PAGE_READ, 1, VTD_PRQ_1_R, false },
		{ MODEL_PAGE_WRITE, 1, VTD_PRQ_1_W, false },
		{ MODEL_PAGE_LAST, 1, VTD_PRQ_1_LPIG, false },
		{ MODEL_PAGE_EXEC, 0, VTD_PRQ_0_EXE, true },
		{ MODEL_PAGE_PRIV, 0, VTD_PRQ_0_PM, true },
	};
	bool pasid = request->pasid != MODEL_NO_PASID;

	rec[0] = PRQ_TYPE_PAGE |
		 field_prep(VTD_PRQ_0_RID, port->base.config.stream_id);
	if (pasid)
		rec[0] |= VTD_PRQ_0_PP |
			  field_prep(VTD_PRQ_0_PASID, request->pasid);
	rec[1] = field_prep(VTD_PRQ_1_PRGI, request->group) |
		 (request->iova & VTD_PRQ_1_ADDR);
	rec[2] = 0;
	rec[3] = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++)
		if (request->flags & bits[i].flag && (pasid || !bits[i].pasid))
			rec[bits[i].word] |= bits[i].bit;
}

/* Nobody answers a marker, and only the last of a group is answered. */
static bool is_answered(const struct model_page_request *request)
{
	const uint32_t rw = MODEL_PAGE_WRITE | MODEL_PAGE_READ;

	return request->flags & MODEL_PAGE_LAST &&
	       (request->pasid == MODEL_NO_PASID || request->flags & rw);
}

/* MODEL_PAGE_*: by hardware; or that it is software's to answer */
#define PAGE_QUEUED 0xffu

static uint8_t ask(struct visit *v, const struct model_page_request *request)
{
	struct vtd_model *m = vtd_of(v);
	struct model_translation unused;
	struct vtd_denial fault = { 0 };
	struct vtd_space space;
	uint64_t rec[4];

	if (__atomic_load_n(&v->engine->mode, __ATOMIC_ACQUIRE) !=
	    MODE_TRANSLATE)
		return MODEL_PAGE_FAILURE;
	if (!find_space(v, &space, &fault)) {
		vtd_report(v, VTD_AT_PAGE, &fault, &unused);
		return MODEL_PAGE_INVALID;
	}
	if (vtd_front_page_request_room(m->front))
		implicit(m, &space, request->iova);
	build(vtd_port(v->port), request, rec);
	return vtd_front_page_request(m->front, rec) ? PAGE_QUEUED
						     : MODEL_PAGE_SUCCESS;
}

int vtd_prq_request(struct model_port *opaque,
		    const struct model_page_request *request)
{
	struct engine_port *port = to_port(opaque);
	const struct model_access access = {
		.iova = request->iova,
		.pasid = request->pasid,
		.flags = request->flags & MODEL_PAGE_WRITE ? MODEL_WRITE : 0,
	};
	struct visit v = {
		.engine = port->engine,
		.port = port,
		.access = &access,
	};
	struct slot spare;
	uint8_t code;

	if (!port->config.pri || !(vtd_of(&v)->id.ecap & VTD_ECAP_PRS))
		return -EOPNOTSUPP;
	if (__atomic_load_n(&port->failed, __ATOMIC_ACQUIRE))
		return -ENODEV;
	reader_enter_of(port->engine->host.grace);
	v.slot = slot_enter(port, &spare);
	code = ask(&v, request);
	slot_leave(port, v.slot, &spare);
	reader_exit();
	if (code != PAGE_QUEUED && is_answered(request))
		page_answer(port, request->group, request->pasid, code);
	return 0;
}

void vtd_prq_response(struct vtd_model *m, const struct vtd_desc *desc)
{
	uint8_t code = MODEL_PAGE_FAILURE;

	if (desc->response <= MODEL_PAGE_INVALID)
		code = desc->response;
	page_respond(&m->engine, desc->sid, desc->prgi,
		     desc->has_pasid ? desc->pasid : MODEL_NO_PASID, code);
}
