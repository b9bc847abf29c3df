// SPDX-License-Identifier: MIT
/* What commands lacked to remove what was found stale (model/why.h). */
#include "model/why.h"
#include "model/smmuv3/engine.h"

static const struct history_words tags = { "VMID", "ASID" };

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
static enum nearness judge_scope(const struct iotlb_inval *i,
				 const struct iotlb_entry *e, struct near *near)
{
	const struct smmuv3_cmd *cmd = command(near);
	enum nearness how;

	if (!(i->regimes & 1u << e->regime) &&
	    of_stage2(i->regimes) != of_stage2(1u << e->regime))
		return judge_kind(i, e, near);
	how = history_scope(i, e, &tags, near);
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

static unsigned int scope(const void *cmd, struct iotlb_inval inval[2])
{
	return exec_scope(cmd, inval);
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

static const struct stale_part *to_part(const struct stale_base *part)
{
	return (const struct stale_part *)part;
}

static enum nearness judge_cfgi(const struct stale_base *base,
				struct near *near)
{
	const struct stale_part *part = to_part(base);
	const struct smmuv3_cmd *cmd = command(near);
	uint32_t sid = base->port->config.stream_id;

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

static bool atc_of(const void *opaque, struct history_atc *atc)
{
	const struct smmuv3_cmd *cmd = opaque;

	*atc = (struct history_atc){
		.sid = cmd->sid,
		.first = cmd->first,
		.last = cmd->last,
		.pasid = cmd->ssid,
		.with = cmd->ssv,
		.global = cmd->global,
	};
	return cmd->op == SMMUV3_OP_ATC_INV;
}

static const char *command_name(const void *opaque, uint64_t *first,
				uint64_t *last)
{
	const struct smmuv3_cmd *cmd = opaque;

	*first = cmd->first;
	*last = cmd->last;
	return smmuv3_op_name(cmd->op);
}

static int tell_config(const struct stale_base *base, char *text, size_t size)
{
	const struct stale_part *part = to_part(base);
	uint32_t sid = base->port->config.stream_id;

	if (part->l1cd)
		return words(text, size, 0,
			     "level-1 descriptor to CD %u of stream %#x cached",
			     part->ssid, sid);
	return words(text, size, 0, "configuration of stream %#x cached", sid);
}

static bool by_asid(const struct stale_base *part)
{
	return 1u << part->entry->regime & (REGIMES_LEAF_S1 | REGIMES_TABLE_S1);
}

const struct why_ops smmuv3_why = {
	.tags = &tags,
	.stream = "StreamID",
	.atc_entry = "ATC entry of stream",
	.kind = kind_name,
	.by_asid = by_asid,
	.scope = scope,
	.judge = judge_scope,
	.atc = atc_of,
	.config = judge_cfgi,
	.tell_config = tell_config,
	.command = command_name,
};
