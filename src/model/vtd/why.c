// SPDX-License-Identifier: MIT
/*
 * Why no descriptor removed what was found stale. Each one's scope comes from
 * where it is executed (vtd_exec_scope()); here it is only asked what it
 * lacked.
 */
#include "model/vtd/engine.h"

static const struct history_words names = { "domain id", "PASID" };

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
static enum nearness judge_scope(void *ctx, const struct iotlb_inval *i,
				 struct near *near)
{
	const struct stale_part *part = ctx;
	const struct iotlb_entry *e = part->entry;
	bool reaches = i->regimes & 1u << e->regime;
	bool keeps = is_table(e->regime) && descriptor(near)->ih;
	enum nearness how;

	if (!reaches && !keeps)
		return because(near, NEAR_KIND, "it does not reach %s",
			       kind_name(e->regime));
	how = history_scope(i, e, &names, near);
	if (how != NEAR_COVERS || reaches)
		return how;
	return because(near, NEAR_MISS, "IH=1 keeps paging structures");
}

static enum nearness judge_iotlb(const struct stale_part *part,
				 struct near *near)
{
	struct iotlb_inval inval[2];
	unsigned int n = vtd_exec_scope(descriptor(near), inval);

	return history_nearest(inval, n, judge_scope, (void *)part, near);
}

static enum nearness judge_source(const struct stale_part *part,
				  struct near *near)
{
	const struct vtd_desc *desc = descriptor(near);
	uint32_t sid = part->port->base.config.stream_id;

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

static enum nearness judge_atc(const struct stale_part *part, struct near *near)
{
	const struct vtd_desc *desc = descriptor(near);
	const struct history_atc atc = {
		.sid = desc->sid,
		.first = desc->first,
		.last = desc->last,
		.pasid = desc->pasid,
		.with = desc->type == VTD_QI_PDEV_TLB,
		.global = desc->global,
		.stream = "source-id",
	};

	if (desc->type != VTD_QI_DEV_TLB && !atc.with)
		return NEAR_NOT;
	return history_atc(&atc, part->port->base.config.stream_id, part->entry,
			   near);
}

static enum nearness judge(void *ctx, struct near *near)
{
	const struct stale_part *part = ctx;

	if (part->atc)
		return judge_atc(part, near);
	if (part->source)
		return judge_source(part, near);
	return part->space ? judge_space(part, near) : judge_iotlb(part, near);
}

static void tell_descriptor(void *ctx, const void *command, char *text,
			    size_t size)
{
	const struct vtd_desc *desc = command;
	const char *name = vtd_desc_name(desc->type);
	int at = words(text, size, 0, "%s", name ? name : "?");

	(void)ctx;
	if (desc->first || (desc->last && ~desc->last))
		words(text, size, at, " %#llx-%#llx",
		      (unsigned long long)desc->first,
		      (unsigned long long)desc->last);
}

static int tell_part(const struct stale_part *part, char *text, size_t size)
{
	const struct iotlb_entry *e = part->entry;
	uint32_t sid = part->port->base.config.stream_id;
	int at = 0;

	if (part->source)
		return words(text, size, at, "context of source-id %#x cached",
			     sid);
	if (part->space)
		return words(text, size, at,
			     "entry of PASID %u, domain id %u, of source-id "
			     "%#x cached",
			     part->pasid, part->did, sid);
	if (part->atc)
		return words(text, size, at,
			     "device TLB entry of source-id %#x at %#llx "
			     "cached",
			     sid, (unsigned long long)e->iova);
	at = words(text, size, at, "%s: domain id %u", kind_name(e->regime),
		   e->vmid);
	if (!part->legacy && !(1u << e->regime & REGIMES_TABLE_SS))
		at = words(text, size, at, " PASID %u", e->asid);
	return words(text, size, at, ", level %u, %#llx-%#llx, cached",
		     e->level, (unsigned long long)e->leaf,
		     (unsigned long long)(e->leaf + low_mask(e->leaf_lg2)));
}

void vtd_why(struct engine *e, const void *part, char *text, size_t size)
{
	const struct history_judge j = {
		.judge = judge,
		.tell = tell_descriptor,
		.ctx = (void *)part,
	};
	const struct stale_part *p = part;

	history_why(e->history, p->serial, &j, text, size,
		    tell_part(p, text, size));
}
