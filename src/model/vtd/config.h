/* SPDX-License-Identifier: MIT */
/*
 * What root, context and PASID tables say of a request: VT-d specification
 * 3.4 and chapter 9. Pure but for reading memory, in a read section.
 *
 * Two steps, as caches keep them: the *source* is what the context entry says
 * of a Source-ID, the *space* what it, or the PASID-table entry behind it,
 * says of one address space.
 */
#ifndef MODEL_VTD_CONFIG_H
#define MODEL_VTD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "front/vtd/front.h"
#include "hwdef/vtd_tables.h"
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

/* Why a request is refused. */
struct vtd_denial {
	uint8_t reason;	 /* VTD_FR_*; 0: none */
	bool unreported; /* an FPD on the way says so, and the fault is
			  * qualified (7.1.1) */
	uint8_t level;	 /* of the paging entry at fault, from 1; for people */
	uint64_t fetch;	 /* what could not be read; for people */
};

/* What a context entry says. */
struct vtd_source {
	bool scalable;
	bool fpd;
	bool ats;    /* TT 01, DTE: translated and translation requests */
	bool paside; /* the rest is of scalable mode */
	bool pre;
	bool rid_priv;
	uint32_t rid_pasid;
	uint32_t pasids; /* PASIDs below are in the directory */
	uint64_t directory;
	/* legacy mode: the space itself */
	uint8_t pgtt; /* VTD_PGTT_SS or _PT */
	uint8_t levels;
	uint16_t did;
	uint64_t root;
};

/* One address space, as translations in it go. */
struct vtd_space {
	bool scalable;
	bool fpd;
	uint8_t pgtt; /* VTD_PGTT_* */
	uint16_t did;
	uint32_t pasid; /* that it is cached by; legacy mode: 0 */
	/* second stage */
	uint8_t ss_levels;
	uint8_t ss_bits; /* of an input address: MGAW counts as well */
	uint64_t ss_root;
	bool ssade;
	/* first stage */
	uint8_t fs_levels;
	uint64_t fs_root; /* nested: a GPA */
	bool sre;
	bool wpe;
	bool eafe;
	bool pwsnp;
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
