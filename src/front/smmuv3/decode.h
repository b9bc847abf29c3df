/* SPDX-License-Identifier: MIT */
/*
 * Decoding of SMMUv3 commands, Arm IHI 0070 chapter 4: a pure function of the
 * two doublewords and the identification registers. For each command its own
 * text says which bits are RES0 (refused here, CERROR_ILL) and which are
 * IGNORED; operands that a valid bit switches off come out as zero.
 *
 * Operands out of the implemented range are no error (4.1.7) and come out as
 * they are: a StreamID or SubstreamID beyond IDR1's sizes, an ASID or VMID
 * beyond 8 bits without IDR0.ASID16 or VMID16. They name nothing that exists,
 * so the command then has no effect. Without IDR0.S2P a VMID is not matched
 * (4.4.2) and comes out as 0; without SubstreamIDs SSV counts as 0 (4.5.1).
 */
#ifndef FRONT_SMMUV3_DECODE_H
#define FRONT_SMMUV3_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/smmuv3/front.h"

struct smmuv3_cmd {
	uint8_t op;
	bool ssv;
	bool leaf;
	bool global; /* ATC_INV.G */
	bool range;  /* TLBI: a range command (TG != 0 and IDR3.RIL) */
	uint32_t sid;
	uint32_t ssid;
	uint16_t vmid;
	uint16_t asid;
	/*
	 * TLBI by address, ATC_INV, PREFETCH_ADDR: inclusive. A TLBI without
	 * a range names the 4 KiB at its address, in leaves of any granule.
	 */
	uint64_t first;
	uint64_t last;
	uint8_t granule_lg2; /* 12, 14, 16; 0: TG is 0, any granule */
	uint8_t ttl;	     /* level hint 1-3; 0: none */
	uint32_t sid_last;   /* CFGI_STE_RANGE: sid..sid_last; others: sid */
	uint16_t stag;	     /* RESUME */
	bool retry;	     /* RESUME.Ac */
	bool abort;	     /* RESUME.Ab */
	uint16_t prg_index;
	uint8_t resp; /* PRI_RESP, PRI_* */
	uint8_t cs;   /* SYNC */
	uint32_t msi_data;
	uint64_t msi_addr;
};

/* 0, or -EINVAL: the queue stops here with CERROR_ILL. */
int smmuv3_decode(const uint64_t dw[2], const struct smmuv3_id *id,
		  struct smmuv3_cmd *cmd);

/* "TLBI_NH_VA" ...; NULL for an opcode that the Non-secure side has not got */
const char *smmuv3_op_name(uint8_t op);

#endif
