// SPDX-License-Identifier: MIT
/*
 * Why no command removed what was found stale. Each command's scope comes from
 * where it is executed (exec_scope()); here it is only asked what it lacked.
 */
#include "model/smmuv3/engine.h"

static const struct history_words names = { "VMID", "ASID" };

static const struct smmuv3_cmd *command(const struct near *near)
{
	return (const struct smmuv3_cmd *)near->cmd;
}

static const char *kind_name(uint8_t regime)
{
	switch (regime) {
	case SMMUV3_REGIME_S1:
		return "stage-1 translations";
	case SMMUV3_REGIME_S12:
		return "combined translations";
	case SMMUV3_REGIME_S2:
		return "stage-2 translations";
	case SMMUV3_REGIME_S1_TABLE:
	case SMMUV3_REGIME_S1_TABLE_L2:
	case SMMUV3_REGIME_S1_TABLE_L1:
		return "pointers to stage-1 tables";
	default:
		return "pointers to stage-2 tables";
	}
}

static bool is_table(uint8_t regime)
{
	return 1u << regime & (REGIMES_TABLE_S1 | REGIMES_TABLE_S2);
}

static bool of_stage2(uint32_t regimes)
{
	return regimes & (REGIMES_LEAF_S2 | REGIMES_TABLE_S2);
}

/*
 * A command for the other stage. What stage 1 made of an IPA survives its
 * TLBI_S2_IPA, which is worth telling when it named that very IPA.
 */
static enum nearness judge_kind(const struct iotlb_inval *i,
				const struct iotlb_entry *e, struct near *near)
{
	bool here = e->regime == SMMUV3_REGIME_S12 && i->vmid == e->vmid &&
		    (i->by & IOTLB_BY_RANGE) && e->ipa <= i->last &&
		    e->ipa + low_mask(e->size_lg2) >= i->first;

	return because(near, here ? NEAR_TAG : NEAR_KIND,
		       "it does not reach %s", kind_name(e->regime));
}

/* What @i lacks to remove @e; the address first, then tags, then the rest. */
static enum nearness judge_scope(void *ctx, const struct iotlb_inval *i,
				 struct near *near)
{
	const struct stale_part *part = ctx;
	const struct smmuv3_cmd *cmd = command(near);
	const struct iotlb_entry *e = part->entry;
	enum nearness how;

	if (!(i->regimes & 1u << e->regime) &&
	    of_stage2(i->regimes) != of_stage2(1u << e->regime))
		return judge_kind(i, e, near);
	how = history_scope(i, e, &names, near);
	if (how != NEAR_COVERS)
		return how;
	if (!(i->regimes & 1u << e->regime)) {
		if (is_table(e->regime) && cmd->leaf)
			return because(near, NEAR_MISS, "Leaf=1 keeps tables");
		return because(near, NEAR_KIND, "it does not reach %s",
			       kind_name(e->regime));
	}
	if ((i->by & IOTLB_BY_LEVEL) && i->level != e->level)
		return because(near, NEAR_MISS, "TTL %u, cached from level %u",
			       i->level, e->level);
	if ((i->by & IOTLB_BY_GRANULE) && i->granule_lg2 != e->granule_lg2)
		return because(near, NEAR_MISS, "granule %u KiB, not %u KiB",
			       1u << (i->granule_lg2 - 10),
			       1u << (e->granule_lg2 - 10));
	return NEAR_COVERS;
}

static enum nearness judge_tlbi(const struct stale_part *part,
				struct near *near)
{
	struct iotlb_inval inval[2];
	unsigned int n = exec_scope(command(near), inval);

	return history_nearest(inval, n, judge_scope, (void *)part, near);
}

static enum nearness judge_l1cd(const struct stale_part *part,
				struct near *near)
{
	const struct smmuv3_cmd *cmd = command(near);

	if (cmd->op != SMMUV3_OP_CFGI_CD)
		return NEAR_COVERS;
	if (cmd->ssid >> part->split != part->ssid >> part->split)
		return because(near, NEAR_TAG,
			       "CD %u lies behind another level-1 descriptor",
			       cmd->ssid);
	if (cmd->leaf)
		return because(near, NEAR_MISS,
			       "Leaf=1 keeps level-1 descriptors");
	return NEAR_COVERS;
}

static enum nearness judge_cfgi(const struct stale_part *part,
				struct near *near)
{
	const struct smmuv3_cmd *cmd = command(near);
	uint32_t sid = part->port->base.config.stream_id;

	if (cmd->op < SMMUV3_OP_CFGI_STE || cmd->op > SMMUV3_OP_CFGI_CD_ALL)
		return NEAR_NOT;
	if (sid < cmd->sid || sid > cmd->sid_last)
		return because(near, NEAR_ADDRESS, "another StreamID");
	if (part->l1cd)
		return judge_l1cd(part, near);
	if (cmd->op == SMMUV3_OP_CFGI_CD && part->cd && cmd->ssid != part->ssid)
		return because(near, NEAR_TAG, "CD %u, cached is CD %u",
			       cmd->ssid, part->ssid);
	if (part->cd)
		return NEAR_COVERS;
	if (cmd->op == SMMUV3_OP_CFGI_CD || cmd->op == SMMUV3_OP_CFGI_CD_ALL)
		return because(near, NEAR_MISS, "it leaves the STE");
	return because(near, NEAR_MISS, "it leaves the level-1 descriptor");
}

static enum nearness judge_atc(const struct stale_part *part, struct near *near)
{
	const struct smmuv3_cmd *cmd = command(near);
	const struct history_atc atc = {
		.sid = cmd->sid,
		.first = cmd->first,
		.last = cmd->last,
		.pasid = cmd->ssid,
		.with = cmd->ssv,
		.global = cmd->global,
		.stream = "StreamID",
	};

	if (cmd->op != SMMUV3_OP_ATC_INV)
		return NEAR_NOT;
	return history_atc(&atc, part->port->base.config.stream_id, part->entry,
			   near);
}

static enum nearness judge(void *ctx, struct near *near)
{
	const struct stale_part *part = ctx;

	if (part->atc)
		return judge_atc(part, near);
	return part->config ? judge_cfgi(part, near) : judge_tlbi(part, near);
}

static void tell_command(void *ctx, const void *command, char *text,
			 size_t size)
{
	const struct smmuv3_cmd *cmd = command;
	int at = words(text, size, 0, "%s", smmuv3_op_name(cmd->op));

	(void)ctx;
	if (cmd->first || cmd->last)
		words(text, size, at, " %#llx-%#llx",
		      (unsigned long long)cmd->first,
		      (unsigned long long)cmd->last);
}

static int tell_part(const struct stale_part *part, char *text, size_t size)
{
	const struct iotlb_entry *e = part->entry;
	int at = 0;

	if (part->l1cd)
		return words(text, size, at,
			     "level-1 descriptor to CD %u of stream %#x cached",
			     part->ssid, part->port->base.config.stream_id);
	if (part->config)
		return words(text, size, at,
			     "configuration of stream %#x cached",
			     part->port->base.config.stream_id);
	if (part->atc)
		return words(text, size, at,
			     "ATC entry of stream %#x at %#llx cached",
			     part->port->base.config.stream_id,
			     (unsigned long long)e->iova);
	at = words(text, size, at, "%s: VMID %u", kind_name(e->regime),
		   e->vmid);
	if (e->global)
		at = words(text, size, at, " global");
	else if (1u << e->regime & (REGIMES_LEAF_S1 | REGIMES_TABLE_S1))
		at = words(text, size, at, " ASID %u", e->asid);
	return words(text, size, at, ", level %u, %#llx-%#llx, cached",
		     e->level, (unsigned long long)e->leaf,
		     (unsigned long long)(e->leaf + low_mask(e->leaf_lg2)));
}

void stale_why(struct engine *e, const void *part, char *text, size_t size)
{
	const struct history_judge j = {
		.judge = judge,
		.tell = tell_command,
		.ctx = (void *)part,
	};
	const struct stale_part *p = part;

	history_why(e->history, p->serial, &j, text, size,
		    tell_part(p, text, size));
}
