/* SPDX-License-Identifier: MIT */
/*
 * What root, context and PASID tables say of a request: VT-d specification
 * 3.4 and chapter 9, judged by what a unit offers: of what it does not offer,
 * fields are reserved and values invalid. Pure but for reading memory.
 *
 * Two steps, as caches keep them: the *source* is what the context entry says
 * of a source-id, the *space* what it, or the PASID-table entry behind it,
 * says of one address space.
 */
#ifndef FRONT_VTD_TABLES_H
#define FRONT_VTD_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "front/vtd/front.h"
#include "hwdef/vtd_regs.h"
#include "hwdef/vtd_tables.h"

#define VTD_PASID_DWORDS (VTD_PASID_SIZE / 8)

/* What tables are read through, and judged by */
struct vtd_tables {
	const struct vtd_id *id;
	/* All of it or a negative errno */
	int (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	void *ctx;
	/* AW is no reserved field where there is no second stage */
	bool any_aw;
};

/* Why a request is refused. */
struct vtd_denial {
	uint8_t reason;	 /* VTD_FR_*; 0: none */
	bool unreported; /* an FPD on the way says so, and the fault is
			  * qualified (7.1.1) */
	uint8_t level;	 /* of the paging entry at fault, from 1; for people */
	uint64_t fetch;	 /* what could not be read; for people */
};

/* What a context entry says. */
struct vtd_source {
	bool scalable;
	bool fpd;
	bool ats;    /* TT 01, DTE: translated and translation requests */
	bool paside; /* the rest is of scalable mode */
	bool pre;
	bool rid_priv;
	uint32_t rid_pasid;
	uint32_t pasids; /* PASIDs below are in the directory */
	uint64_t directory;
	/* legacy mode: the space itself */
	uint8_t pgtt; /* VTD_PGTT_SS or _PT */
	uint8_t levels;
	uint16_t did;
	uint64_t root;
};

/* One address space, as translations in it go. */
struct vtd_space {
	bool scalable;
	bool fpd;
	uint8_t pgtt; /* VTD_PGTT_* */
	uint16_t did;
	uint32_t pasid; /* that it is cached by; legacy mode: 0 */
	/* second stage */
	uint8_t ss_levels;
	uint8_t ss_bits; /* of an input address: MGAW counts as well */
	uint64_t ss_root;
	bool ssade;
	/* first stage */
	uint8_t fs_levels;
	uint64_t fs_root; /* nested: a GPA */
	bool sre;
	bool wpe;
	bool eafe;
	bool pwsnp;
};

/*
 * The source of @sid, found from RTADDR @rta; false: *fault. @source->fpd
 * holds in either case as far as it was seen.
 */
bool vtd_read_source(const struct vtd_tables *t, uint64_t rta, uint16_t sid,
		     struct vtd_source *source, struct vtd_denial *fault);

/* The space of @pasid behind @source; false: *fault. */
bool vtd_read_space(const struct vtd_tables *t, const struct vtd_source *source,
		    uint32_t pasid, struct vtd_space *space,
		    struct vtd_denial *fault);

/* Its two steps, for who reads tables as a whole: @fpd gathers, in and out */
bool vtd_read_directory(const struct vtd_tables *t, uint64_t directory,
			uint32_t pasid, bool *fpd, uint64_t *table,
			struct vtd_denial *fault);
/* @dw in CPU order; of @space all but what the caller knows: pasid, scalable */
bool vtd_read_entry(const struct vtd_tables *t,
		    const uint64_t dw[VTD_PASID_DWORDS],
		    struct vtd_space *space, struct vtd_denial *fault);

/*
 * Second-stage entries; levels count down to 1, where one maps 4 KiB. Inline,
 * as they are in each step of a walk.
 */
static inline bool vtd_ss_is_leaf(unsigned int level, uint64_t entry)
{
	return level == 1 || (level <= 3 && entry & VTD_SS_PS);
}

/* Bits that a present one must not have (9.8, tables 41 to 47) */
static inline uint64_t vtd_ss_reserved(const struct vtd_id *id,
				       unsigned int level, uint64_t entry)
{
	uint64_t bits =
		BIT_ULL(62) | (GENMASK_ULL(51, 12) & ~low_mask(id->haw));

	if (!vtd_ss_is_leaf(level, entry))
		return bits | BIT_ULL(11) | (level > 3 ? VTD_SS_PS : 0);
	if (!(id->ecap & VTD_ECAP_SC))
		bits |= VTD_SS_SNP;
	if (level > 1) {
		bits |= GENMASK_ULL(11 + 9 * (level - 1), 12);
		if (!(field_get(VTD_CAP_SSLPS, id->cap) >> (level - 2) & 1))
			bits |= VTD_SS_PS;
	}
	return bits;
}

#endif
