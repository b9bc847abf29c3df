// SPDX-License-Identifier: MIT
/*
 * Page requests of devices and the answers to them, Arm IHI 0070 chapter 8 and
 * 4.5.2. The SMMU looks at no table for a request: it only passes it on, and
 * where it cannot, answers by itself.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>

#include "hwdef/smmuv3_regs.h"

/* Without SubstreamIDs a PASID is dropped, and with it what depends on it. */
static bool has_pasid(const struct smmuv3_model *m,
		      const struct model_page_request *request)
{
	return request->pasid != MODEL_NO_PASID &&
	       (m->id.idr[1] & SMMUV3_IDR1_SSIDSIZE);
}

static void build(const struct smmuv3_model *m, uint32_t sid,
		  const struct model_page_request *request, uint64_t rec[2])
{
	static const struct {
		uint32_t flag;
		uint64_t bit;
		bool pasid;
	} bits[] = {
		{ MODEL_PAGE_READ, SMMUV3_PRI_REC_0_READ, false },
		{ MODEL_PAGE_WRITE, SMMUV3_PRI_REC_0_WRITE, false },
		{ MODEL_PAGE_LAST, SMMUV3_PRI_REC_0_LAST, false },
		{ MODEL_PAGE_EXEC, SMMUV3_PRI_REC_0_EXEC, true },
		{ MODEL_PAGE_PRIV, SMMUV3_PRI_REC_0_PRIV, true },
	};
	bool pasid = has_pasid(m, request);

	rec[0] = field_prep(SMMUV3_PRI_REC_0_SID, sid);
	if (pasid)
		rec[0] |= SMMUV3_PRI_REC_0_SSV |
			  field_prep(SMMUV3_PRI_REC_0_SSID, request->pasid);
	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++)
		if (request->flags & bits[i].flag && (pasid || !bits[i].pasid))
			rec[0] |= bits[i].bit;
	rec[1] = field_prep(SMMUV3_PRI_REC_1_PRGINDEX, request->group) |
		 (request->iova & SMMUV3_PRI_REC_1_ADDR);
}

/* Nobody answers a marker, whatever becomes of it (8.1, 8.2). */
static bool is_marker(const struct model_page_request *request)
{
	const uint32_t lwr =
		MODEL_PAGE_LAST | MODEL_PAGE_WRITE | MODEL_PAGE_READ;

	return request->pasid != MODEL_NO_PASID &&
	       (request->flags & lwr) == MODEL_PAGE_LAST;
}

/* STE.PPAR; false: there is no STE to say so (8.1) */
static bool load_ppar(struct smmuv3_port *port,
		      const struct model_page_request *request, bool *ppar)
{
	const struct model_access access = {
		.iova = request->iova,
		.pasid = request->pasid,
	};
	struct visit v = {
		.engine = port->base.engine,
		.port = &port->base,
		.access = &access,
	};
	struct smmuv3_fault fault = { 0 };
	struct smmuv3_stream stream;
	struct slot spare;
	uint64_t serial;
	bool ok;

	reader_enter_of(port->base.engine->host.grace);
	v.slot = slot_enter(&port->base, &spare);
	ok = context_stream(&v, false, &stream, &serial, &fault);
	if (ok)
		*ppar = stream.ppar;
	else
		ats_no_stream(&v, &fault);
	slot_leave(&port->base, v.slot, &spare);
	reader_exit();
	return ok;
}

/* The request was lost to an overflow: the device shall try again. */
static void answer_overflow(struct smmuv3_model *m, struct smmuv3_port *port,
			    const struct model_page_request *request)
{
	bool with = true;

	if (!(request->flags & MODEL_PAGE_LAST))
		return;
	if (!has_pasid(m, request)) {
		page_answer(&port->base, request->group, MODEL_NO_PASID,
			    MODEL_PAGE_SUCCESS);
		return;
	}
	if (!(m->id.idr[3] & SMMUV3_IDR3_PPS) &&
	    !load_ppar(port, request, &with)) {
		page_answer(&port->base, request->group, MODEL_NO_PASID,
			    MODEL_PAGE_FAILURE);
		return;
	}
	page_answer(&port->base, request->group,
		    with ? request->pasid : MODEL_NO_PASID, MODEL_PAGE_SUCCESS);
}

int pri_request(struct model_port *opaque,
		const struct model_page_request *request)
{
	struct smmuv3_port *port = (struct smmuv3_port *)to_port(opaque);
	struct smmuv3_model *m = (struct smmuv3_model *)port->base.engine;
	enum smmuv3_priq_result result;
	uint64_t rec[2];

	if (!port->base.config.pri)
		return -EOPNOTSUPP;
	if (__atomic_load_n(&port->base.failed, __ATOMIC_ACQUIRE))
		return -ENODEV;
	build(m, port->base.config.stream_id, request, rec);
	result = smmuv3_front_priq_add(m->front, rec);
	if (is_marker(request))
		return 0;
	if (result == SMMUV3_PRIQ_FULL)
		answer_overflow(m, port, request);
	else if (result == SMMUV3_PRIQ_CLOSED)
		page_answer(&port->base, request->group, MODEL_NO_PASID,
			    MODEL_PAGE_FAILURE);
	return 0;
}

static uint8_t code_of(uint8_t resp)
{
	switch (resp) {
	case SMMUV3_PRI_SUCCESS:
		return MODEL_PAGE_SUCCESS;
	case SMMUV3_PRI_INVALID:
		return MODEL_PAGE_INVALID;
	default:
		return MODEL_PAGE_FAILURE;
	}
}

void pri_response(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	/* 4.5.2: IGNORED while SMMUEN is 0 */
	if (__atomic_load_n(&m->engine.mode, __ATOMIC_RELAXED) !=
	    MODE_TRANSLATE)
		return;
	page_respond(&m->engine, cmd->sid, cmd->prg_index,
		     cmd->ssv ? cmd->ssid : MODEL_NO_PASID, code_of(cmd->resp));
}
