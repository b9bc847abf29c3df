// SPDX-License-Identifier: MIT
/* What descriptors lacked to remove what was found stale (model/why.h). */
#include "model/why.h"
#include "model/vtd/engine.h"

static const struct history_words tags = { "domain id", "PASID" };

static const struct vtd_desc *descriptor(const struct near *near)
{
	return (const struct vtd_desc *)near->cmd;
}

static const char *kind_name(uint8_t regime)
{
	switch (regime) {
	case VTD_REGIME_FS:
		return "first-stage translations";
	case VTD_REGIME_NESTED:
		return "nested translations";
	case VTD_REGIME_SS:
		return "second-stage translations";
	case VTD_REGIME_SS_TABLE:
	case VTD_REGIME_SS_TABLE_L2:
		return "second-stage paging structures";
	default:
		return "first-stage paging structures";
	}
}

static bool is_table(uint8_t regime)
{
	return 1u << regime & (REGIMES_TABLE_FS | REGIMES_TABLE_SS);
}

/* What @i lacks to remove @e; the kind first: one descriptor has two scopes. */
static enum nearness judge_scope(const struct iotlb_inval *i,
				 const struct iotlb_entry *e, struct near *near)
{
	bool reaches = i->regimes & 1u << e->regime;
	bool keeps = is_table(e->regime) && descriptor(near)->ih;
	enum nearness how;

	if (!reaches && !keeps)
		return because(near, NEAR_KIND, "it does not reach %s",
			       kind_name(e->regime));
	how = history_scope(i, e, &tags, near);
	if (how != NEAR_COVERS || reaches)
		return how;
	return because(near, NEAR_MISS, "IH=1 keeps paging structures");
}

static unsigned int scope(const void *desc, struct iotlb_inval inval[2])
{
	return vtd_exec_scope(desc, inval);
}

static enum nearness judge_source(const struct stale_part *part,
				  struct near *near)
{
	const struct vtd_desc *desc = descriptor(near);
	uint32_t sid = part->base.port->config.stream_id;

	if (desc->type == VTD_QI_PASID_CACHE)
		return because(near, NEAR_KIND, "it leaves the context cache");
	if (desc->type != VTD_QI_CONTEXT)
		return NEAR_NOT;
	if (desc->gran == VTD_GRAN_DEVICE &&
	    (sid ^ desc->sid) & ~(uint32_t)desc->sid_ignored)
		return because(near, NEAR_ADDRESS, "another source-id");
	if (desc->gran != VTD_GRAN_GLOBAL && part->legacy &&
	    desc->did != part->did)
		return because(near, NEAR_TAG, "domain id %u, cached with %u",
			       desc->did, part->did);
	return NEAR_COVERS;
}

static enum nearness judge_space(const struct stale_part *part,
				 struct near *near)
{
	const struct vtd_desc *desc = descriptor(near);

	if (desc->type == VTD_QI_CONTEXT)
		return because(near, NEAR_KIND, "it leaves the PASID cache");
	if (desc->type != VTD_QI_PASID_CACHE)
		return NEAR_NOT;
	if (desc->gran == VTD_QI_PASID_G_GLOBAL)
		return NEAR_COVERS;
	if (desc->gran == VTD_QI_PASID_G_PASID && desc->pasid != part->pasid)
		return because(near, NEAR_ADDRESS, "PASID %u, cached with %u",
			       desc->pasid, part->pasid);
	if (desc->did != part->did)
		return because(near, NEAR_TAG, "domain id %u, cached with %u",
			       desc->did, part->did);
	return NEAR_COVERS;
}

static enum nearness judge_config(const struct stale_base *base,
				  struct near *near)
{
	const struct stale_part *part = (const struct stale_part *)base;

	return part->space ? judge_space(part, near) : judge_source(part, near);
}

static bool atc_of(const void *opaque, struct history_atc *atc)
{
	const struct vtd_desc *desc = opaque;

	*atc = (struct history_atc){
		.sid = desc->sid,
		.first = desc->first,
		.last = desc->last,
		.pasid = desc->pasid,
		.with = desc->type == VTD_QI_PDEV_TLB,
		.global = desc->global,
	};
	return desc->type == VTD_QI_DEV_TLB || atc->with;
}

/* All addresses are not worth a word. */
static const char *desc_name(const void *opaque, uint64_t *first,
			     uint64_t *last)
{
	const struct vtd_desc *desc = opaque;

	*first = desc->first;
	*last = desc->first || ~desc->last ? desc->last : 0;
	return vtd_desc_name(desc->type);
}

static int tell_config(const struct stale_base *base, char *text, size_t size)
{
	const struct stale_part *part = (const struct stale_part *)base;
	uint32_t sid = base->port->config.stream_id;

	if (!part->space)
		return words(text, size, 0, "context of source-id %#x cached",
			     sid);
	return words(text, size, 0,
		     "entry of PASID %u, domain id %u, of source-id %#x cached",
		     part->pasid, part->did, sid);
}

static bool by_pasid(const struct stale_base *base)
{
	return !((const struct stale_part *)base)->legacy &&
	       !(1u << base->entry->regime & REGIMES_TABLE_SS);
}

const struct why_ops vtd_why = {
	.tags = &tags,
	.stream = "source-id",
	.atc_entry = "device TLB entry of source-id",
	.kind = kind_name,
	.by_asid = by_pasid,
	.scope = scope,
	.judge = judge_scope,
	.atc = atc_of,
	.config = judge_config,
	.tell_config = tell_config,
	.command = desc_name,
};
