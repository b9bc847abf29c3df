// SPDX-License-Identifier: MIT
/*
 * The last commands, and why none of them removed something that was found
 * stale. Each command's scope comes from where it is executed (exec_scope());
 * here it is only asked what it lacked.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define TOLD_MAX 3u

/* The nearer a command came, the higher; what is not told at all is 0. */
enum nearness {
	NEAR_NOT,
	NEAR_KIND, /* an invalidation of something else */
	NEAR_ADDRESS,
	NEAR_TAG,  /* the right address */
	NEAR_MISS, /* address and tags: only TTL, granule or Leaf is wrong */
	NEAR_COVERS,
};

struct near {
	enum nearness how;
	char reason[96];
	uint64_t serial;
	struct smmuv3_cmd cmd;
};

int history_create(struct history **out)
{
	struct history *h = alloc_zero(sizeof(*h));

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	*out = h;
	return 0;
}

void history_destroy(struct history *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void history_add(struct history *h, const struct smmuv3_cmd *cmd)
{
	pthread_mutex_lock(&h->lock);
	h->cmd[h->count++ % HISTORY_COUNT] = *cmd;
	pthread_mutex_unlock(&h->lock);
}

static enum nearness __attribute__((format(printf, 3, 4)))
because(struct near *near, enum nearness how, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(near->reason, sizeof(near->reason), format, args);
	va_end(args);
	return how;
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
				 const struct smmuv3_cmd *cmd,
				 const struct iotlb_entry *e, struct near *near)
{
	bool any_asid = e->global && (i->by & IOTLB_GLOBALS);

	if (!(i->regimes & 1u << e->regime) &&
	    of_stage2(i->regimes) != of_stage2(1u << e->regime))
		return judge_kind(i, e, near);
	if ((i->by & IOTLB_BY_RANGE) &&
	    (e->leaf > i->last || e->leaf + low_mask(e->leaf_lg2) < i->first))
		return because(near, NEAR_ADDRESS, "address outside");
	if ((i->by & IOTLB_BY_VMID) && i->vmid != e->vmid)
		return because(near, NEAR_TAG, "VMID %u, cached with %u",
			       i->vmid, e->vmid);
	if ((i->by & IOTLB_BY_ASID) && e->global && !any_asid)
		return because(near, NEAR_TAG, "it leaves global ones");
	if ((i->by & IOTLB_BY_ASID) && !any_asid && i->asid != e->asid)
		return because(near, NEAR_TAG, "ASID %u, cached with %u",
			       i->asid, e->asid);
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
	unsigned int n = exec_scope(&near->cmd, inval);
	enum nearness best = NEAR_NOT;

	for (unsigned int i = 0; i < n && best != NEAR_COVERS; i++) {
		struct near this = *near;
		enum nearness how =
			judge_scope(&inval[i], &near->cmd, part->entry, &this);

		if (how < best)
			continue;
		best = how;
		*near = this;
	}
	return best;
}

static enum nearness judge_l1cd(const struct stale_part *part,
				struct near *near)
{
	const struct smmuv3_cmd *cmd = &near->cmd;

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
	const struct smmuv3_cmd *cmd = &near->cmd;
	uint32_t sid = part->port->config.stream_id;

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
	const struct smmuv3_cmd *cmd = &near->cmd;
	const struct iotlb_entry *e = part->entry;

	if (cmd->op != SMMUV3_OP_ATC_INV)
		return NEAR_NOT;
	if (cmd->sid != part->port->config.stream_id)
		return because(near, NEAR_KIND, "another StreamID");
	if (e->iova > cmd->last || e->iova + low_mask(e->size_lg2) < cmd->first)
		return because(near, NEAR_ADDRESS, "address outside");
	if (cmd->ssv != !!e->vmid)
		return because(near, NEAR_TAG, "%s",
			       cmd->ssv ? "it names a PASID, cached without"
					: "it names no PASID, cached with one");
	if (cmd->ssv && !cmd->global && cmd->ssid != part->ssid)
		return because(near, NEAR_TAG, "PASID %u, cached with %u",
			       cmd->ssid, part->ssid);
	return NEAR_COVERS;
}

static enum nearness judge(const struct stale_part *part, struct near *near)
{
	if (part->atc)
		return judge_atc(part, near);
	return part->config ? judge_cfgi(part, near) : judge_tlbi(part, near);
}

/* The nearest stay, of equals the latest; @near is new. */
static void keep(struct near best[TOLD_MAX], const struct near *near)
{
	unsigned int n = TOLD_MAX - 1;

	if (near->how < best[n].how)
		return;
	for (; n && best[n - 1].how <= near->how; n--)
		best[n] = best[n - 1];
	best[n] = *near;
}

/* Returns how many commands have come since; *lost: too many to remember. */
static uint64_t search(struct history *h, const struct stale_part *part,
		       struct near best[TOLD_MAX], bool *lost)
{
	uint64_t since, first;

	pthread_mutex_lock(&h->lock);
	since = h->count > part->serial ? h->count - part->serial : 0;
	*lost = since > HISTORY_COUNT;
	first = *lost ? h->count - HISTORY_COUNT : h->count - since;
	for (uint64_t n = first; n < h->count; n++) {
		struct near near = { .serial = n,
				     .cmd = h->cmd[n % HISTORY_COUNT] };

		near.how = judge(part, &near);
		/* covers: it was being cached while that command ran */
		if (near.how != NEAR_NOT && near.how != NEAR_COVERS)
			keep(best, &near);
	}
	pthread_mutex_unlock(&h->lock);
	return since;
}

static int __attribute__((format(printf, 4, 5)))
append(char *text, size_t size, int at, const char *format, ...)
{
	va_list args;
	int n;

	if (at < 0 || (size_t)at >= size)
		return at;
	va_start(args, format);
	n = vsnprintf(text + at, size - (size_t)at, format, args);
	va_end(args);
	return n < 0 ? at : at + n;
}

static int tell_part(const struct stale_part *part, char *text, size_t size)
{
	const struct iotlb_entry *e = part->entry;
	int at = 0;

	if (part->l1cd)
		return append(
			text, size, at,
			"level-1 descriptor to CD %u of stream %#x cached",
			part->ssid, part->port->config.stream_id);
	if (part->config)
		return append(text, size, at,
			      "configuration of stream %#x cached",
			      part->port->config.stream_id);
	if (part->atc)
		return append(text, size, at,
			      "ATC entry of stream %#x at %#llx cached",
			      part->port->config.stream_id,
			      (unsigned long long)e->iova);
	at = append(text, size, at, "%s: VMID %u", kind_name(e->regime),
		    e->vmid);
	if (e->global)
		at = append(text, size, at, " global");
	else if (1u << e->regime & (REGIMES_LEAF_S1 | REGIMES_TABLE_S1))
		at = append(text, size, at, " ASID %u", e->asid);
	return append(text, size, at, ", level %u, %#llx-%#llx, cached",
		      e->level, (unsigned long long)e->leaf,
		      (unsigned long long)(e->leaf + low_mask(e->leaf_lg2)));
}

static int tell_near(const struct near *near, char *text, size_t size, int at)
{
	const struct smmuv3_cmd *cmd = &near->cmd;

	at = append(text, size, at, "; #%llu %s",
		    (unsigned long long)near->serial, smmuv3_op_name(cmd->op));
	if (cmd->first || cmd->last)
		at = append(text, size, at, " %#llx-%#llx",
			    (unsigned long long)cmd->first,
			    (unsigned long long)cmd->last);
	return append(text, size, at, ": %s", near->reason);
}

void history_why(struct smmuv3_model *m, const struct stale_part *part,
		 char *text, size_t size)
{
	struct near best[TOLD_MAX] = { 0 };
	bool lost = false;
	uint64_t since = 0;
	int at;

	if (m->history)
		since = search(m->history, part, best, &lost);
	at = tell_part(part, text, size);
	at = append(text, size, at, " after %llu commands; ",
		    (unsigned long long)part->serial);
	if (best[0].how == NEAR_NOT)
		at = append(text, size, at,
			    "none of the %llu commands since could remove it",
			    (unsigned long long)since);
	else
		at = append(text, size, at, "%llu commands since%s",
			    (unsigned long long)since,
			    lost ? " (the last 4096 looked at)" : "");
	for (unsigned int n = 0; n < TOLD_MAX && best[n].how != NEAR_NOT; n++)
		at = tell_near(&best[n], text, size, at);
}
