/* SPDX-License-Identifier: MIT */
/*
 * A small SMMUv3 to judge the large one by: obviously right rather than fast.
 * Written from Arm IHI 0070 and the Arm ARM (DDI 0487, D8); it shares no code,
 * no constant and no header with what it judges.
 *
 * It has the features that translate: stream tables, CDs, VMSAv8-64 with both
 * stages, and a *naive cache*, a list that keeps every entry until a command
 * names it. Not here: HTTU, stalls, RAZ/WI (CD.A is 1), ATS, 16-bit choices
 * such as big-endian tables.
 *
 * Where the architecture lets hardware choose, the reference has chosen:
 *
 * - A cached leaf that matches is used, and faults as it stands if it does not
 *   permit the access; so does a cached stage-2 page that a *walk* needs.
 * - A walk starts at the deepest cached table. Where several entries match, all
 *   of them are right answers: ref_translate() gives one for each *choice*.
 * - What is kept: every table descriptor and every stage-2 page that a walk
 *   used, even if the walk ended in a fault, and even if the page refused the
 *   access; a leaf if that is so of stage 1 and, under it, of stage 2. Of a
 *   valid leaf of stage 1 nothing is kept where stage 2 has none. CDs and L1CDs
 *   are found through stage 2 as tables of stage 1 are.
 * - Configuration: per stream its STE and L1STD, valid ones only; per stream
 *   and level-2 CD table its L1CD, valid or not; and per (stream, SubstreamID
 *   or none) the CD in use.
 */
#ifndef TESTS_REFERENCE_REF_H
#define TESTS_REFERENCE_REF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REF_ENTRIES  8192
#define REF_STREAMS  64
#define REF_CONTEXTS 256
#define REF_L1CDS    512

/* As nestfd_cache_entry.kind says */
enum ref_kind {
	REF_S1,
	REF_S12,
	REF_S2,
	REF_S1_TABLE,
	REF_S2_TABLE,
};

/* Permissions; those of unprivileged accesses are four bits further up */
#define REF_R 0x01u
#define REF_W 0x02u
#define REF_X 0x04u

struct ref_entry {
	uint32_t kind;
	uint32_t vmid;
	uint32_t asid;
	bool global;
	uint8_t level;
	uint8_t size_lg2;
	uint8_t leaf_lg2;
	uint8_t granule_lg2;
	uint64_t iova;
	uint64_t leaf;
	uint64_t out;
	uint64_t ipa;	  /* REF_S12: of @iova */
	uint8_t perms;	  /* of the leaf */
	uint8_t perms_s2; /* REF_S12; else all */
	uint8_t attrs;	  /* of tables: bits 62:59 of the way down, joined */
};

struct ref_access {
	uint32_t sid;
	uint32_t ssid;
	bool ssv;
	bool write;
	bool priv;
	bool exec;
	uint64_t addr;
};

enum ref_result {
	REF_TRANSLATED,
	REF_BYPASSED,
	REF_ABORTED,
};

struct ref_outcome {
	enum ref_result result;
	bool hit;  /* a cached leaf answered */
	bool used; /* something cached took part */
	uint64_t pa;
	uint8_t page_lg2;
	bool readable; /* at the access's privilege */
	bool writable;
	bool executable;
	/* a fault, if event is not 0 */
	uint8_t event;
	bool recorded;
	bool s2;
	uint8_t class; /* 0 CD, 1 TT, 2 IN */
	uint64_t ipa;
	uint64_t fetch;
	bool priv; /* the access as the STE made it */
	bool exec;
	unsigned int ways; /* how many choices there are */
};

struct ref_stream {
	uint32_t sid;
	bool has_ste;
	uint64_t ste[8];
	bool has_l1;
	uint64_t l1_addr;
	uint64_t l1;
};

struct ref_l1cd {
	uint32_t sid;
	uint32_t index;
	unsigned int split;
	uint64_t addr; /* before stage 2 */
	uint64_t value;
};

struct ref_context {
	uint32_t sid;
	uint32_t ssid;
	bool ssv;
	bool has_cd; /* stage 1 is on: of @cd_ssid */
	uint32_t cd_ssid;
	uint64_t ste[8];
	uint64_t cd[8];
};

struct ref {
	/* the machine: set by the test */
	const uint8_t *ram;
	uint64_t ram_base;
	uint64_t ram_size;
	bool smmuen;
	bool gbpa_abort;
	bool recinvsid;
	uint64_t strtab_base;
	uint32_t strtab_cfg;
	uint8_t oas_bits;
	bool wide_va; /* IDR5.VAX */
	uint8_t ssid_bits;

	/* what is cached */
	struct ref_entry entry[REF_ENTRIES];
	size_t count;
	size_t fresh; /* behind @count: added by the last translation */
	struct ref_stream stream[REF_STREAMS];
	size_t streams;
	struct ref_context context[REF_CONTEXTS];
	size_t contexts;
	struct ref_l1cd l1cd[REF_L1CDS];
	size_t l1cds;

	/* what the last translation would add to the configuration caches */
	struct ref_stream new_stream;
	struct ref_context new_context;
	bool keep_context;
	struct ref_l1cd new_l1cd;
	bool keep_l1cd;
	bool overflow; /* the test's own limits */
};

enum ref_look {
	REF_CACHED, /* by caches and memory */
	REF_COLD,   /* by memory alone */
	REF_EAGER,  /* the same, but all that was read is cached */
};

/*
 * Translate. @choice below
 * out->ways picks among several right answers; 0 is the likeliest. Nothing
 * stays cached unless ref_commit() follows.
 */
void ref_translate(struct ref *r, const struct ref_access *a,
		   enum ref_look look, unsigned int choice,
		   struct ref_outcome *out);
void ref_commit(struct ref *r);

/* A legal command's effect on the caches (chapter 4). */
void ref_command(struct ref *r, const uint64_t cmd[2]);

/* Is entry @n replaced by a later one of the same key? */
bool ref_replaced(const struct ref *r, size_t n);
struct ref_stream *ref_stream_of(struct ref *r, uint32_t sid);
struct ref_l1cd *ref_l1cd_of(struct ref *r, uint32_t sid, uint32_t index);
bool ref_same_key(const struct ref_entry *a, const struct ref_entry *b);

#endif
