// SPDX-License-Identifier: MIT
/* See config.h. */
#include "model/vtd/config.h"

#include <errno.h>

#include "base/bits.h"
#include "hwdef/vtd_regs.h"

/*
 * Hardware takes an entry as a whole. Here it is read from its start, where P
 * is: software that writes P last (6.5.3.3) finds nothing of what was before
 * it cached, least of all another domain id, that no invalidation would name.
 */
static int read_table(void *ctx, uint64_t addr, void *buf, size_t len)
{
	const struct walk_env *env = ctx;
	uint64_t *raw = buf;

	for (size_t i = 0; i < len / sizeof(*raw); i++)
		if (phys_cursor_load64(env->phys, &env->cursors->s1,
				       addr + i * sizeof(*raw), &raw[i]))
			return -EFAULT;
	return 0;
}

static void tables_of(const struct walk_env *env, const struct vtd_id *id,
		      struct vtd_tables *t)
{
	*t = (struct vtd_tables){
		.id = id,
		.read = read_table,
		.ctx = (void *)env,
	};
}

bool vtd_source_load(const struct walk_env *env, const struct vtd_id *id,
		     uint64_t rta, uint16_t sid, struct vtd_source *source,
		     struct vtd_denial *fault)
{
	struct vtd_tables t;

	tables_of(env, id, &t);
	return vtd_read_source(&t, rta, sid, source, fault);
}

bool vtd_space_load(const struct walk_env *env, const struct vtd_id *id,
		    const struct vtd_source *source, uint32_t pasid,
		    struct vtd_space *space, struct vtd_denial *fault)
{
	struct vtd_tables t;

	tables_of(env, id, &t);
	return vtd_read_space(&t, source, pasid, space, fault);
}

/* A qualified fault, which an FPD on the way keeps from being reported. */
static bool fail(struct vtd_denial *fault, uint8_t reason, bool fpd)
{
	*fault = (struct vtd_denial){ .reason = reason, .unreported = fpd };
	return false;
}

bool vtd_mode_admits(uint64_t rta, const struct vtd_input *req,
		     struct vtd_denial *fault)
{
	if (req->pv && field_get(VTD_RTADDR_TTM, rta) == VTD_TTM_LEGACY)
		return fail(fault, VTD_FR_RTA_2_PASID, false);
	return true;
}

bool vtd_pasid_fits(const struct vtd_id *id, uint32_t pasid)
{
	return !(pasid >> (field_get(VTD_ECAP_PSS, id->ecap) + 1));
}

static bool pasid_admitted(const struct vtd_id *id,
			   const struct vtd_source *source,
			   const struct vtd_input *req,
			   struct vtd_denial *fault)
{
	bool fpd = source->fpd;

	if (req->at != VTD_AT_PAGE && !vtd_pasid_fits(id, req->pasid))
		return fail(fault, VTD_FR_SGN_10_PASID_SIZE, fpd);
	/* PASIDs in translated requests are not offered (PTRS) */
	if (req->at == VTD_AT_TRANSLATED)
		return fail(fault, VTD_FR_SCT_10_EPTR, fpd);
	if (!source->paside)
		return fail(fault, VTD_FR_SCT_6_PASIDE, fpd);
	if (req->pasid >= source->pasids)
		return fail(fault, VTD_FR_SCT_7_PASID_LARGE, fpd);
	if (req->pasid == source->rid_pasid)
		return fail(fault, VTD_FR_SCT_9_RID_PASID, fpd);
	return true;
}

bool vtd_source_admits(const struct vtd_id *id, const struct vtd_source *source,
		       const struct vtd_input *req, uint32_t *pasid,
		       struct vtd_denial *fault)
{
	if ((req->at == VTD_AT_REQUEST || req->at == VTD_AT_TRANSLATED) &&
	    !source->ats)
		return fail(fault,
			    source->scalable ? VTD_FR_SCT_5_DTE
					     : VTD_FR_LCT_5_BLOCKED,
			    source->fpd);
	if (req->pv && !pasid_admitted(id, source, req, fault))
		return false;
	*pasid = req->pv ? req->pasid : source->rid_pasid;
	return true;
}
