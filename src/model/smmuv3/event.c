// SPDX-License-Identifier: MIT
/*
 * Event records, Arm IHI 0070 section 7.3: which fields each event has is a
 * table, what stands in them is one function each.
 */
#include "model/smmuv3/event.h"

#include <stddef.h>

/* The fields of a record besides the event number and the StreamID */
#define HAS_SSV	   0x001u /* SSV, and SubstreamID where it is set */
#define HAS_SSID   0x002u /* SubstreamID alone */
#define HAS_RNW	   0x004u
#define HAS_ATTRS  0x008u /* PnU, InD */
#define HAS_STAGE  0x010u /* S2, CLASS */
#define HAS_STALL  0x020u /* Stall, STAG */
#define HAS_INPUT  0x040u /* InputAddr */
#define HAS_PAGE   0x080u /* InputAddr bits 63:12 */
#define HAS_IPA	   0x100u
#define HAS_FETCH  0x200u
#define HAS_REASON 0x400u
#define HAS_TTRNW  0x800u
#define HAS_TREQ   0x1000u

#define HAS_ACCESS (HAS_RNW | HAS_ATTRS | HAS_INPUT)
#define HAS_TRANSL (HAS_SSV | HAS_ACCESS | HAS_STAGE | HAS_STALL | HAS_IPA)

/* 7.3.2: Reason; 7.3.16: TTRnW */
#define EVT_1_REASON GENMASK_ULL(31, 16)
#define EVT_1_TTRNW  BIT_ULL(44)

static const struct {
	const char *name;
	uint16_t has;
} events[] = {
	[SMMUV3_EVT_F_UUT] = { "F_UUT", HAS_SSV | HAS_ACCESS | HAS_REASON },
	[SMMUV3_EVT_C_BAD_STREAMID] = { "C_BAD_STREAMID", HAS_SSV },
	[SMMUV3_EVT_F_STE_FETCH] = { "F_STE_FETCH", HAS_SSV | HAS_FETCH },
	[SMMUV3_EVT_C_BAD_STE] = { "C_BAD_STE", HAS_SSV },
	[SMMUV3_EVT_F_BAD_ATS_TREQ] = { "F_BAD_ATS_TREQ",
					HAS_SSV | HAS_PAGE | HAS_TREQ },
	[SMMUV3_EVT_F_STREAM_DISABLED] = { "F_STREAM_DISABLED", 0 },
	[SMMUV3_EVT_F_TRANSL_FORBIDDEN] = { "F_TRANSL_FORBIDDEN",
					    HAS_RNW | HAS_INPUT },
	[SMMUV3_EVT_C_BAD_SUBSTREAMID] = { "C_BAD_SUBSTREAMID", HAS_SSID },
	[SMMUV3_EVT_F_CD_FETCH] = { "F_CD_FETCH", HAS_SSV | HAS_FETCH },
	[SMMUV3_EVT_C_BAD_CD] = { "C_BAD_CD", HAS_SSV },
	[SMMUV3_EVT_F_WALK_EABT] = { "F_WALK_EABT", HAS_SSV | HAS_ACCESS |
							    HAS_STAGE |
							    HAS_FETCH },
	[SMMUV3_EVT_F_TRANSLATION] = { "F_TRANSLATION", HAS_TRANSL },
	[SMMUV3_EVT_F_ADDR_SIZE] = { "F_ADDR_SIZE", HAS_TRANSL },
	[SMMUV3_EVT_F_ACCESS] = { "F_ACCESS", HAS_TRANSL },
	[SMMUV3_EVT_F_PERMISSION] = { "F_PERMISSION", HAS_TRANSL | HAS_TTRNW },
	/* The model's caches do not conflict, and it has no VMS. */
	[SMMUV3_EVT_F_TLB_CONFLICT] = { "F_TLB_CONFLICT", 0 },
	[SMMUV3_EVT_F_CFG_CONFLICT] = { "F_CFG_CONFLICT", 0 },
	[SMMUV3_EVT_E_PAGE_REQUEST] = { "E_PAGE_REQUEST", 0 },
	[SMMUV3_EVT_F_VMS_FETCH] = { "F_VMS_FETCH", 0 },
};

static unsigned int fields_of(uint8_t event)
{
	return event < ARRAY_SIZE(events) ? events[event].has : 0;
}

static uint64_t build_0(unsigned int has, const struct smmuv3_input *in,
			uint8_t event)
{
	uint64_t dw = field_prep(SMMUV3_EVT_0_TYPE, event) |
		      field_prep(SMMUV3_EVT_0_SID, in->sid);

	if (in->ssv && has & (HAS_SSV | HAS_SSID))
		dw |= field_prep(SMMUV3_EVT_0_SSID, in->ssid);
	if (in->ssv && has & HAS_SSV)
		dw |= SMMUV3_EVT_0_SSV;
	return dw;
}

/* RnW, PnU and InD are the transaction's, whatever access faulted (7.3). */
static uint64_t build_access(unsigned int has, const struct smmuv3_input *in)
{
	uint64_t dw = 0;

	if (has & HAS_RNW && !in->write)
		dw |= SMMUV3_EVT_1_RNW;
	if (has & HAS_ATTRS && in->priv)
		dw |= SMMUV3_EVT_1_PNU;
	if (has & HAS_ATTRS && in->exec && !in->write)
		dw |= SMMUV3_EVT_1_IND;
	return dw;
}

static uint64_t build_stage(unsigned int has, const struct smmuv3_fault *fault)
{
	uint64_t dw = 0;

	if (has & HAS_STAGE) {
		dw |= field_prep(SMMUV3_EVT_1_CLASS, fault->class);
		if (fault->s2)
			dw |= SMMUV3_EVT_1_S2;
	}
	if (has & HAS_TTRNW && fault->class == SMMUV3_CLASS_TT &&
	    !fault->tt_write)
		dw |= EVT_1_TTRNW;
	if (has & HAS_REASON)
		dw |= field_prep(EVT_1_REASON, fault->reason);
	if (has & HAS_TREQ)
		dw |= fault->treq & SMMUV3_EVT_1_TREQ;
	return dw;
}

void smmuv3_event_build(const struct smmuv3_input *in,
			const struct smmuv3_fault *fault,
			const struct smmuv3_stall *stall, uint64_t rec[4])
{
	unsigned int has = fields_of(fault->event);

	rec[0] = build_0(has, in, fault->event);
	rec[1] = build_access(has, in) | build_stage(has, fault);
	if (has & HAS_STALL && stall && stall->stall)
		rec[1] |= SMMUV3_EVT_1_STALL |
			  field_prep(SMMUV3_EVT_1_STAG, stall->stag);
	rec[2] = 0;
	if (has & HAS_INPUT)
		rec[2] = in->addr;
	else if (has & HAS_PAGE)
		rec[2] = in->addr & ~0xfffULL;
	rec[3] = 0;
	/* Stage 1 has no IPA to tell: UNKNOWN, so 0. */
	if (has & HAS_IPA && fault->s2)
		rec[3] = fault->ipa & SMMUV3_EVT_3_IPA;
	if (has & HAS_FETCH)
		rec[3] = fault->fetch & SMMUV3_EVT_3_FETCHADDR;
}

const char *smmuv3_event_name(uint8_t event)
{
	return event < ARRAY_SIZE(events) ? events[event].name : NULL;
}
