/* SPDX-License-Identifier: MIT */
/*
 * Transactions, faults, and the event records made of both: Arm IHI 0070,
 * section 7.3. Pure functions; where a record goes is the front's business.
 */
#ifndef MODEL_SMMUV3_EVENT_H
#define MODEL_SMMUV3_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "hwdef/smmuv3_event.h"

/*
 * A transaction. @priv and @exec are what the device said; once the STE is
 * known, smmuv3_stream_attrs() overrides them (5.2, PRIVCFG and INSTCFG).
 */
struct smmuv3_input {
	uint64_t addr;
	uint32_t sid;
	uint32_t ssid; /* if @ssv */
	bool ssv;
	bool write;
	bool priv;
	bool exec; /* reads only: a write is always data */
};

/* Why a transaction (or the fetch of its configuration) ended. */
struct smmuv3_fault {
	uint8_t event;	 /* SMMUV3_EVT_*; 0: no event (e.g. STE.Config abort) */
	uint8_t class;	 /* SMMUV3_CLASS_* of translation related events */
	uint8_t level;	 /* of the descriptor at fault, for people */
	bool s2;	 /* a stage-2 fault */
	bool tt_write;	 /* class TT: writing the descriptor was refused */
	uint64_t ipa;	 /* if @s2: the address stage 2 could not translate */
	uint64_t fetch;	 /* F_*_FETCH, F_WALK_EABT: what could not be read */
	uint16_t reason; /* F_UUT: implementation defined, 7.3.2 */
	uint32_t treq;	 /* F_BAD_ATS_TREQ: SMMUV3_EVT_1_TREQ_* */
};

/* Whether the record's transaction waits for CMD_RESUME. */
struct smmuv3_stall {
	bool stall;
	uint16_t stag;
};

/*
 * The record of @fault. @stall may be NULL: not stalled. Fields that the
 * event's own layout does not have are zero, whatever the arguments hold.
 */
void smmuv3_event_build(const struct smmuv3_input *in,
			const struct smmuv3_fault *fault,
			const struct smmuv3_stall *stall, uint64_t rec[4]);

/* "F_TRANSLATION" ...; NULL for a number that does not exist */
const char *smmuv3_event_name(uint8_t event);

#endif
