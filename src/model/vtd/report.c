// SPDX-License-Identifier: MIT
/* How a fault ends: recorded, unless an FPD says otherwise (7.1.1, 7.2). */
#include "model/vtd/engine.h"

void vtd_report(struct visit *v, enum vtd_at at, const struct vtd_denial *fault,
		struct model_translation *out)
{
	struct vtd_input req;
	struct vtd_fault record;

	out->result = MODEL_ABORTED;
	if (!fault->reason || fault->unreported)
		return;
	out->event = fault->reason;
	if (v->quiet)
		return;
	vtd_context_request(v, at, &req);
	record = (struct vtd_fault){
		.reason = fault->reason,
		.request = req.write ? VTD_REQUEST_WRITE : VTD_REQUEST_READ,
		.at = at == VTD_AT_PAGE ? 0 : (uint8_t)at,
		.pasid_valid = req.pv,
		.exe = req.exec,
		.priv = req.priv,
		.sid = req.sid,
		.pasid = req.pasid,
		.info = req.addr & ~low_mask(12),
	};
	if (at == VTD_AT_PAGE)
		record.request = VTD_REQUEST_PAGE;
	count(&v->engine->events);
	if (!vtd_front_fault(vtd_of(v)->front, &record))
		count(&v->engine->events_lost);
}
