/* SPDX-License-Identifier: MIT */
/*
 * VMSAv8-64 translation table walks as an SMMUv3 makes them: stage 1, stage 2
 * and both nested. Arm ARM (DDI 0487) section D8, Arm IHI 0070 section 3.4,
 * 3.13 (HTTU) and chapter 7.
 *
 * A walk allocates nothing and is bounded: four levels, each table of stage 1
 * reached through at most four levels of stage 2, a few retries of a
 * compare-and-swap. It must run in a read section (mem/phys.h).
 *
 * A write to a page that is writable-clean (DBM) is allowed but not ready.
 */
#ifndef MODEL_SMMUV3_WALK_H
#define MODEL_SMMUV3_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "model/smmuv3/event.h"
#include "model/walk.h"

/* One set of tables, already judged: TTB0 or TTB1 of a CD, or stage 2. */
struct smmuv3_tt {
	uint64_t ttb;	     /* of the first table */
	uint8_t in_bits;     /* 64 - TxSZ */
	uint8_t granule_lg2; /* 12, 14, 16 */
	uint8_t start_level; /* 0..3 */
	uint8_t block_level; /* the lowest at which blocks exist */
	uint8_t out_bits;    /* effective IPS or S2PS */
	bool high_bits;	     /* descriptor bits 15:12 are address bits 51:48 */
	bool big_endian;
	bool disabled; /* EPDx */
	bool tbi;
	bool had;  /* attributes of table descriptors do not count */
	bool e0pd; /* unprivileged accesses fault, no walk */
};

/* What a CD says */
struct smmuv3_s1 {
	struct smmuv3_tt tt[2];
	uint16_t asid;
	bool aset; /* ASID is not shared with CPUs */
	bool affd;
	bool wxn; /* UWXN does nothing in VMSAv8-64: it is always so */
	bool pan;
	bool ha;
	bool hd;
	bool s; /* stall */
	bool r; /* record */
	bool a; /* abort rather than RAZ/WI */
};

/* What an STE says of stage 2 */
struct smmuv3_s2 {
	struct smmuv3_tt tt;
	uint16_t vmid;
	bool affd;
	bool ptw; /* S2PTW: tables in Device memory are refused */
	bool ha;
	bool hd;
	bool s;
	bool r;
	bool xnx; /* both bits of XN count */
	bool fwb; /* changes what MemAttr means */
};

#define SMMUV3_TABLE_RO	 0x01u /* APTable: no write below */
#define SMMUV3_TABLE_EL0 0x02u /* APTable: no unprivileged access below */
#define SMMUV3_TABLE_UXN 0x04u
#define SMMUV3_TABLE_PXN 0x08u

/* A finished walk. */
struct smmuv3_walk {
	uint64_t pa;	     /* of the very address asked for */
	uint64_t ipa;	     /* of the very address, if stage 2 took part */
	uint64_t page_pa;    /* of @page_first */
	uint64_t page_ipa;   /* if stage 2 took part */
	uint64_t page_first; /* the entry: the smaller of both leaves */
	uint8_t page_lg2;
	uint8_t ready; /* PERM_PRIV_R ..., both stages */
	uint8_t allowed;
	uint8_t granule_lg2;	   /* of stage 1; else of stage 2 */
	bool global;		   /* stage 1 and nG is 0 */
	struct walk_page leaf;	   /* stage 1's, or stage 2's if alone */
	struct walk_page s2;	   /* stage 2's, if it took part */
	struct smmuv3_fault fault; /* if the walk failed */
};

/*
 * Translate @in->addr (attributes already overridden) through @s1 (or NULL)
 * and @s2 (or NULL, but not both). On true everything but @fault is valid and
 * the access is permitted, flags in the tables updated if need be. On false
 * @out->fault says why; nothing else is valid.
 */
bool smmuv3_walk(const struct walk_env *env, const struct smmuv3_s1 *s1,
		 const struct smmuv3_s2 *s2, const struct smmuv3_input *in,
		 struct smmuv3_walk *out);

/*
 * Stage 2 of the address of a CD or L1CD (a read, class CD): *pa, or false
 * with *fault.
 */
bool smmuv3_walk_cd(const struct walk_env *env, const struct smmuv3_s2 *s2,
		    uint64_t ipa, uint64_t *pa, struct smmuv3_fault *fault);

/*
 * The address as the tables of @s1 see it, which is what a cache goes by: with
 * TBI the top byte is a copy of bit 55 (3.4.1).
 */
static inline uint64_t smmuv3_effective_va(const struct smmuv3_s1 *s1,
					   uint64_t va)
{
	if (!s1->tt[(va >> 55) & 1].tbi)
		return va;
	return (uint64_t)((int64_t)(va << 8) >> 8);
}

/* The bit of PERM_PRIV_R ... that permits @in (attributes overridden). */
static inline uint8_t smmuv3_access_bit(const struct smmuv3_input *in)
{
	uint8_t bit = in->write	 ? PERM_PRIV_W
		      : in->exec ? PERM_PRIV_X
				 : PERM_PRIV_R;

	return in->priv ? bit : (uint8_t)(bit << 4);
}

#endif
