/* SPDX-License-Identifier: MIT */
/*
 * A request, and what root, context and PASID tables say of it
 * (front/vtd/tables.h). Pure but for reading memory, in a read section.
 */
#ifndef MODEL_VTD_CONFIG_H
#define MODEL_VTD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "front/vtd/front.h"
#include "front/vtd/tables.h"
#include "model/walk.h"

/* FRCD.AT (11.4.7.6) */
enum vtd_at {
	VTD_AT_UNTRANSLATED,
	VTD_AT_REQUEST, /* a translation request */
	VTD_AT_TRANSLATED,
	VTD_AT_PAGE, /* none of these: a page request */
};

/* A request; @priv and @exec are the device's words, with a PASID only. */
struct vtd_input {
	uint64_t addr;
	uint32_t pasid; /* if @pv */
	uint16_t sid;
	enum vtd_at at;
	bool pv;
	bool write;
	bool priv;
	bool exec;
};

/*
 * The source of @sid, found from RTADDR @rta; false: *fault. @source->fpd
 * holds in either case as far as it was seen.
 */
bool vtd_source_load(const struct walk_env *env, const struct vtd_id *id,
		     uint64_t rta, uint16_t sid, struct vtd_source *source,
		     struct vtd_denial *fault);

/* What no table is needed for: a PASID in legacy mode (RTA.2) */
bool vtd_mode_admits(uint64_t rta, const struct vtd_input *req,
		     struct vtd_denial *fault);

/* Does PSS cover it (SGN.10)? Of page requests nobody asks. */
bool vtd_pasid_fits(const struct vtd_id *id, uint32_t pasid);

/*
 * Does @source let the request in (SCT.5 to SCT.10, LCT.5)? *pasid is
 * the one that its space is found by.
 */
bool vtd_source_admits(const struct vtd_id *id, const struct vtd_source *source,
		       const struct vtd_input *req, uint32_t *pasid,
		       struct vtd_denial *fault);

/* The space of @pasid behind @source; false: *fault. */
bool vtd_space_load(const struct walk_env *env, const struct vtd_id *id,
		    const struct vtd_source *source, uint32_t pasid,
		    struct vtd_space *space, struct vtd_denial *fault);

#endif
