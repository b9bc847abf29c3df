/* SPDX-License-Identifier: MIT */
/*
 * From a stream to the tables that translate it: stream table entries (STE)
 * and context descriptors (CD), Arm IHI 0070 chapter 5 and section 3.3.
 *
 * The _decode functions are pure: words and identification registers in, a
 * plain struct out. They return an event number, 0 for a legal record. The
 * _load functions fetch as well; they read memory, so they belong in a read
 * section.
 *
 * Of StreamWorlds there is NS-EL1 only: a model that offered IDR0.Hyp would
 * have to look at STRW. Nor are there VMSAv8-32 tables (IDR0.TTF bit 0), DS,
 * D128, permission indirection, DPT or MPAM: what such a feature brings is
 * RES0 without it, and not looked at.
 */
#ifndef MODEL_SMMUV3_CONFIG_H
#define MODEL_SMMUV3_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "front/smmuv3/front.h"
#include "model/smmuv3/event.h"
#include "model/smmuv3/walk.h"

/* An STE, already judged. What Config switches off is zero. */
struct smmuv3_stream {
	uint8_t config; /* SMMUV3_STE_CONFIG_*; 0 for all of 0b0xx */
	bool s1;	/* stage 1 is configured */
	bool s2_on;	/* stage 2 is configured: @s2 is valid */
	uint8_t s1fmt;
	uint8_t s1dss;
	uint8_t s1cdmax;
	uint8_t eats; /* 2 needs CR0.ATSCHK, else it is 0 (5.2) */
	uint8_t privcfg;
	uint8_t instcfg;
	bool s1stalld;
	bool mev;
	bool ppar;
	uint16_t vmid; /* tags stage 1 alone too; 0 without IDR0.S2P */
	uint64_t s1contextptr;
	struct smmuv3_s2 s2;
};

/* Output address size in bits: IDR5.OAS */
uint8_t smmuv3_oas_bits(const struct smmuv3_id *id);

/* 0 or SMMUV3_EVT_C_BAD_STE. Config 0b0xx is legal (and silent). */
uint8_t smmuv3_ste_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			  struct smmuv3_stream *stream);

/* Fetch (@addr from smmuv3_strtab_find()) and decode. */
bool smmuv3_ste_load(const struct walk_env *env, const struct smmuv3_id *id,
		     uint64_t addr, struct smmuv3_stream *stream,
		     struct smmuv3_fault *fault);

/* What becomes of a transaction: S1DSS and substreams, 5.2 and 3.3.1 */
enum smmuv3_path {
	SMMUV3_PATH_ABORT,  /* Config 0b0xx: silently */
	SMMUV3_PATH_BYPASS, /* no stage translates */
	SMMUV3_PATH_S1,	    /* CD number @ssid */
	SMMUV3_PATH_S2,	    /* stage 2 alone (stage 1 off or bypassed) */
	SMMUV3_PATH_NESTED,
};

struct smmuv3_route {
	enum smmuv3_path path;
	uint32_t ssid; /* of the CD to use: 0 without a substream */
};

/* False: *fault has the event (C_BAD_SUBSTREAMID, F_STREAM_DISABLED). */
bool smmuv3_stream_route(const struct smmuv3_stream *stream,
			 const struct smmuv3_input *in,
			 struct smmuv3_route *route,
			 struct smmuv3_fault *fault);

/* Apply PRIVCFG and INSTCFG; and a write is never an instruction fetch. */
void smmuv3_stream_attrs(const struct smmuv3_stream *stream,
			 const struct smmuv3_id *id, struct smmuv3_input *in);

/* A bypassing access: its address is the PA; false: F_ADDR_SIZE. */
bool smmuv3_bypass(const struct smmuv3_id *id, const struct smmuv3_input *in,
		   struct smmuv3_fault *fault);

/* 0 or SMMUV3_EVT_C_BAD_CD. */
uint8_t smmuv3_cd_decode(const uint64_t dw[8], const struct smmuv3_id *id,
			 const struct smmuv3_stream *stream,
			 struct smmuv3_s1 *s1);

/* How many of a SubstreamID's low bits index the level-2 CD table; 0: linear */
unsigned int smmuv3_cd_split(const struct smmuv3_stream *stream);

/* The level-1 descriptor of CD @ssid; the tables have two levels. */
bool smmuv3_l1cd_load(const struct walk_env *env,
		      const struct smmuv3_stream *stream, uint32_t ssid,
		      uint64_t *l1cd, struct smmuv3_fault *fault);

/* Find, fetch and decode CD @ssid (from the route). */
bool smmuv3_cd_load(const struct walk_env *env, const struct smmuv3_id *id,
		    const struct smmuv3_stream *stream, uint32_t ssid,
		    struct smmuv3_s1 *s1, struct smmuv3_fault *fault);

/* How a fault ends for the device and for software, 3.12, 5.5 */
struct smmuv3_verdict {
	bool record; /* an event is written */
	bool stall;  /* the transaction waits; implies record */
	bool abort;  /* else RAZ/WI */
};

/*
 * Only F_TRANSLATION, F_ADDR_SIZE, F_ACCESS and F_PERMISSION leave a choice;
 * all others are recorded and abort. @s1 is NULL where no CD took part.
 */
void smmuv3_fault_verdict(const struct smmuv3_stream *stream,
			  const struct smmuv3_s1 *s1,
			  const struct smmuv3_fault *fault,
			  struct smmuv3_verdict *verdict);

#endif
