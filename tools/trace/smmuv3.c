// SPDX-License-Identifier: MIT
/*
 * SMMUv3 records as text: Arm IHI 0070, chapter 4 (commands), chapter 5 (STE,
 * CD) and section 7.3 (event records). One table per structure; a layout is a
 * list of fields, each with its place as high:low bit of a doubleword.
 */
#include <inttypes.h>
#include <string.h>

#include "fields.h"
#include "smmuv3.h"

#define SSID                                \
	{ "SSV", 0, 11, 11, SHOW_FLAG },    \
	{                                   \
		"SSID", 0, 31, 12, SHOW_HEX \
	}
#define STREAM                                  \
	{                                       \
		"StreamID", 0, 63, 32, SHOW_HEX \
	}
#define VMID                                \
	{                                   \
		"VMID", 0, 47, 32, SHOW_DEC \
	}
#define ASID                                \
	{                                   \
		"ASID", 0, 63, 48, SHOW_DEC \
	}
#define RANGE                                \
	{ "NUM", 0, 16, 12, SHOW_DEC },      \
	{                                    \
		"SCALE", 0, 24, 20, SHOW_DEC \
	}
#define LEAF                              \
	{                                 \
		"Leaf", 1, 0, 0, SHOW_DEC \
	}
#define LEVEL                             \
	{ "TTL", 1, 9, 8, SHOW_DEC },     \
	{                                 \
		"TG", 1, 11, 10, SHOW_DEC \
	}
#define VA                                      \
	{                                       \
		"Address", 1, 63, 12, SHOW_ADDR \
	}
static const struct field no_fields[] = { END };
static const struct field prefetch_config[] = { SSID, STREAM, END };
static const struct field prefetch_addr[] = { SSID,
					      STREAM,
					      { "Size", 1, 4, 0, SHOW_DEC },
					      { "Stride", 1, 9, 5, SHOW_DEC },
					      VA,
					      END };
static const struct field cfgi_ste[] = { STREAM, LEAF, END };
static const struct field cfgi_range[] = { STREAM,
					   { "Range", 1, 4, 0, SHOW_DEC },
					   END };
static const struct field cfgi_cd[] = {
	{ "SSID", 0, 31, 12, SHOW_HEX }, STREAM, LEAF, END
};
static const struct field by_stream[] = { STREAM, END };
static const struct field by_vmid[] = { VMID, END };
static const struct field by_asid[] = { VMID, ASID, END };
static const struct field by_el2_asid[] = { ASID, END };
static const struct field by_va[] = { RANGE, VMID, ASID, LEAF, LEVEL, VA, END };
static const struct field by_vaa[] = { RANGE, VMID, LEAF, LEVEL, VA, END };
static const struct field by_el2_va[] = { RANGE, ASID, LEAF, LEVEL, VA, END };
static const struct field by_el2_vaa[] = { RANGE, LEAF, LEVEL, VA, END };
static const struct field by_ipa[] = {
	RANGE, VMID, LEAF, LEVEL, { "Address", 1, 55, 12, SHOW_ADDR }, END
};
static const struct field atc_inv[] = {
	{ "Global", 0, 9, 9, SHOW_FLAG }, SSID, STREAM,
	{ "Size", 1, 5, 0, SHOW_DEC },	  VA,	END
};
static const struct field pri_resp[] = { SSID,
					 STREAM,
					 { "PRGIndex", 1, 8, 0, SHOW_DEC },
					 { "Resp", 1, 13, 12, SHOW_DEC },
					 END };
static const struct field resume[] = { { "Ac", 0, 12, 12, SHOW_DEC },
				       { "Ab", 0, 13, 13, SHOW_DEC },
				       STREAM,
				       { "STAG", 1, 15, 0, SHOW_HEX },
				       END };
static const struct field sync[] = { { "CS", 0, 13, 12, SHOW_DEC },
				     { "MSH", 0, 23, 22, SHOW_DEC },
				     { "MSIAttr", 0, 27, 24, SHOW_HEX },
				     { "MSIData", 0, 63, 32, SHOW_HEX },
				     { "MSIAddress", 1, 55, 2, SHOW_ADDR },
				     END };

static const struct layout commands[] = {
	{ 0x01, "CMD_PREFETCH_CONFIG", prefetch_config },
	{ 0x02, "CMD_PREFETCH_ADDR", prefetch_addr },
	{ 0x03, "CMD_CFGI_STE", cfgi_ste },
	{ 0x04, "CMD_CFGI_STE_RANGE", cfgi_range },
	{ 0x05, "CMD_CFGI_CD", cfgi_cd },
	{ 0x06, "CMD_CFGI_CD_ALL", by_stream },
	{ 0x07, "CMD_CFGI_VMS_PIDM", by_vmid },
	{ 0x10, "CMD_TLBI_NH_ALL", by_vmid },
	{ 0x11, "CMD_TLBI_NH_ASID", by_asid },
	{ 0x12, "CMD_TLBI_NH_VA", by_va },
	{ 0x13, "CMD_TLBI_NH_VAA", by_vaa },
	{ 0x18, "CMD_TLBI_EL3_ALL", no_fields },
	{ 0x1a, "CMD_TLBI_EL3_VA", by_el2_vaa },
	{ 0x20, "CMD_TLBI_EL2_ALL", no_fields },
	{ 0x21, "CMD_TLBI_EL2_ASID", by_el2_asid },
	{ 0x22, "CMD_TLBI_EL2_VA", by_el2_va },
	{ 0x23, "CMD_TLBI_EL2_VAA", by_el2_vaa },
	{ 0x28, "CMD_TLBI_S12_VMALL", by_vmid },
	{ 0x2a, "CMD_TLBI_S2_IPA", by_ipa },
	{ 0x30, "CMD_TLBI_NSNH_ALL", no_fields },
	{ 0x40, "CMD_ATC_INV", atc_inv },
	{ 0x41, "CMD_PRI_RESP", pri_resp },
	{ 0x44, "CMD_RESUME", resume },
	{ 0x45, "CMD_STALL_TERM", by_stream },
	{ 0x46, "CMD_SYNC", sync },
	{ 0x50, "CMD_TLBI_S_EL2_ALL", no_fields },
	{ 0x51, "CMD_TLBI_S_EL2_ASID", by_el2_asid },
	{ 0x52, "CMD_TLBI_S_EL2_VA", by_el2_va },
	{ 0x53, "CMD_TLBI_S_EL2_VAA", by_el2_vaa },
	{ 0x58, "CMD_TLBI_S_S12_VMALL", by_vmid },
	{ 0x5a, "CMD_TLBI_S_S2_IPA", by_ipa },
	{ 0x60, "CMD_TLBI_SNH_ALL", no_fields },
	{ 0x70, "CMD_DPTI_ALL", no_fields },
	{ 0x73, "CMD_DPTI_PA", no_fields },
};

/*
 * IHI 0070 4.4.1: with TG not 0 the range is (NUM + 1) << SCALE granules;
 * TG 1, 2, 3: 4, 16, 64 KiB. Without it, the one page that holds Address.
 */
static void put_range(struct writer *w, const uint64_t words[2])
{
	static const unsigned int kib[] = { 0, 4, 16, 64 };
	unsigned int tg = words[1] >> 10 & 3;
	uint64_t pages = (words[0] >> 12 & 31) + 1;

	if (tg)
		text_put(w, " (%" PRIu64 " x %u KiB)",
			 pages << (words[0] >> 20 & 31), kib[tg]);
}

void smmuv3_text_command(const uint64_t words[2], char *text, size_t size)
{
	struct writer w = { text, size };
	uint64_t known[2] = { 0xff, 0 };
	const struct layout *l =
		text_layout(commands, sizeof(commands) / sizeof(commands[0]),
			    words[0] & 0xff);

	if (!l) {
		text_put(&w, "opcode %#" PRIx64 "?", words[0] & 0xff);
		return;
	}
	/* IHI 0070 4.3.2: all streams is a range of 2^32 */
	if (l->code == 0x04 && (words[1] & 31) == 31)
		text_put(&w, "CMD_CFGI_ALL");
	else
		text_put(&w, "%s", l->name);
	text_fields(&w, l->fields, words, known);
	if (l->fields[0].name && !strcmp(l->fields[0].name, "NUM"))
		put_range(&w, words);
	text_other(&w, words, known, 2);
}

#define INPUT                                   \
	{                                       \
		"InputAddr", 2, 63, 0, SHOW_HEX \
	}
#define FETCH                                    \
	{                                        \
		"FetchAddr", 3, 55, 3, SHOW_ADDR \
	}
#define ACCESS                                                          \
	{ "PnU", 1, 33, 33, SHOW_DEC }, { "InD", 1, 34, 34, SHOW_DEC }, \
	{                                                               \
		"RnW", 1, 35, 35, SHOW_DEC                              \
	}
#define FAULT                                                              \
	{ "STAG", 1, 15, 0, SHOW_HEX }, { "Stall", 1, 31, 31, SHOW_FLAG }, \
		ACCESS, { "NSIPA", 1, 38, 38, SHOW_FLAG },                 \
		{ "S2", 1, 39, 39, SHOW_DEC },                             \
	{                                                                  \
		"CLASS", 1, 41, 40, SHOW_DEC                               \
	}
#define IPA                                 \
	{                                   \
		"IPA", 3, 55, 12, SHOW_ADDR \
	}

static const struct field ev_plain[] = { END };
static const struct field ev_fetch[] = { FETCH, END };
static const struct field ev_uut[] = { ACCESS, INPUT, END };
static const struct field ev_ats[] = { INPUT, END };
static const struct field ev_forbidden[] = { { "RnW", 1, 35, 35, SHOW_DEC },
					     INPUT,
					     END };
static const struct field ev_walk_abort[] = { FAULT, INPUT, FETCH, END };
static const struct field ev_fault[] = { FAULT, INPUT, IPA, END };
static const struct field ev_tlb_conflict[] = {
	ACCESS, { "S2", 1, 39, 39, SHOW_DEC }, INPUT, IPA, END
};

static const struct layout events[] = {
	{ 0x01, "F_UUT", ev_uut },
	{ 0x02, "C_BAD_STREAMID", ev_plain },
	{ 0x03, "F_STE_FETCH", ev_fetch },
	{ 0x04, "C_BAD_STE", ev_plain },
	{ 0x05, "F_BAD_ATS_TREQ", ev_ats },
	{ 0x06, "F_STREAM_DISABLED", ev_plain },
	{ 0x07, "F_TRANSL_FORBIDDEN", ev_forbidden },
	{ 0x08, "C_BAD_SUBSTREAMID", ev_plain },
	{ 0x09, "F_CD_FETCH", ev_fetch },
	{ 0x0a, "C_BAD_CD", ev_plain },
	{ 0x0b, "F_WALK_EABT", ev_walk_abort },
	{ 0x10, "F_TRANSLATION", ev_fault },
	{ 0x11, "F_ADDR_SIZE", ev_fault },
	{ 0x12, "F_ACCESS", ev_fault },
	{ 0x13, "F_PERMISSION", ev_fault },
	{ 0x20, "F_TLB_CONFLICT", ev_tlb_conflict },
	{ 0x21, "F_CFG_CONFLICT", ev_plain },
	{ 0x24, "E_PAGE_REQUEST", ev_plain },
	{ 0x25, "F_VMS_FETCH", ev_fetch },
};

static const struct field ev_head[] = { STREAM, SSID, END };

void smmuv3_text_event(const uint64_t words[4], char *text, size_t size)
{
	struct writer w = { text, size };
	uint64_t known[4] = { 0xff };
	const struct layout *l = text_layout(
		events, sizeof(events) / sizeof(events[0]), words[0] & 0xff);

	if (l)
		text_put(&w, "%s", l->name);
	else
		text_put(&w, "event %#" PRIx64 "?", words[0] & 0xff);
	text_fields(&w, ev_head, words, known);
	if (l)
		text_fields(&w, l->fields, words, known);
	text_other(&w, words, known, 4);
}

static const struct field ste_fields[] = { { "V", 0, 0, 0, SHOW_DEC },
					   { "Config", 0, 3, 1, SHOW_DEC },
					   { "S1Fmt", 0, 5, 4, SHOW_DEC },
					   { "S1ContextPtr", 0, 55, 6,
					     SHOW_ADDR },
					   { "S1CDMax", 0, 63, 59, SHOW_DEC },
					   { "S1DSS", 1, 1, 0, SHOW_DEC },
					   { "S1CIR", 1, 3, 2, SHOW_DEC },
					   { "S1COR", 1, 5, 4, SHOW_DEC },
					   { "S1CSH", 1, 7, 6, SHOW_DEC },
					   { "S1STALLD", 1, 27, 27, SHOW_FLAG },
					   { "EATS", 1, 29, 28, SHOW_DEC },
					   { "STRW", 1, 31, 30, SHOW_DEC },
					   { "MTCFG", 1, 36, 36, SHOW_FLAG },
					   { "SHCFG", 1, 45, 44, SHOW_DEC },
					   END };
static const struct field ste_s2_fields[] = {
	{ "S2VMID", 2, 15, 0, SHOW_DEC },   { "S2T0SZ", 2, 37, 32, SHOW_DEC },
	{ "S2SL0", 2, 39, 38, SHOW_DEC },   { "S2IR0", 2, 41, 40, SHOW_DEC },
	{ "S2OR0", 2, 43, 42, SHOW_DEC },   { "S2SH0", 2, 45, 44, SHOW_DEC },
	{ "S2TG", 2, 47, 46, SHOW_DEC },    { "S2PS", 2, 50, 48, SHOW_DEC },
	{ "S2AA64", 2, 51, 51, SHOW_FLAG }, { "S2ENDI", 2, 52, 52, SHOW_FLAG },
	{ "S2AFFD", 2, 53, 53, SHOW_FLAG }, { "S2PTW", 2, 54, 54, SHOW_FLAG },
	{ "S2HD", 2, 55, 55, SHOW_FLAG },   { "S2HA", 2, 56, 56, SHOW_FLAG },
	{ "S2S", 2, 57, 57, SHOW_FLAG },    { "S2R", 2, 58, 58, SHOW_FLAG },
	{ "S2TTB", 3, 55, 4, SHOW_ADDR },   END
};
static const struct field cd_fields[] = {
	{ "V", 0, 31, 31, SHOW_DEC },	  { "ASID", 0, 63, 48, SHOW_DEC },
	{ "AA64", 0, 41, 41, SHOW_FLAG }, { "T0SZ", 0, 5, 0, SHOW_DEC },
	{ "TG0", 0, 7, 6, SHOW_DEC },	  { "IR0", 0, 9, 8, SHOW_DEC },
	{ "OR0", 0, 11, 10, SHOW_DEC },	  { "SH0", 0, 13, 12, SHOW_DEC },
	{ "EPD0", 0, 14, 14, SHOW_FLAG }, { "ENDI", 0, 15, 15, SHOW_FLAG },
	{ "T1SZ", 0, 21, 16, SHOW_DEC },  { "TG1", 0, 23, 22, SHOW_DEC },
	{ "IR1", 0, 25, 24, SHOW_DEC },	  { "OR1", 0, 27, 26, SHOW_DEC },
	{ "SH1", 0, 29, 28, SHOW_DEC },	  { "EPD1", 0, 30, 30, SHOW_FLAG },
	{ "IPS", 0, 34, 32, SHOW_DEC },	  { "AFFD", 0, 35, 35, SHOW_FLAG },
	{ "WXN", 0, 36, 36, SHOW_FLAG },  { "UWXN", 0, 37, 37, SHOW_FLAG },
	{ "TBI", 0, 39, 38, SHOW_DEC },	  { "PAN", 0, 40, 40, SHOW_FLAG },
	{ "HD", 0, 42, 42, SHOW_FLAG },	  { "HA", 0, 43, 43, SHOW_FLAG },
	{ "S", 0, 44, 44, SHOW_FLAG },	  { "R", 0, 45, 45, SHOW_FLAG },
	{ "A", 0, 46, 46, SHOW_FLAG },	  { "ASET", 0, 47, 47, SHOW_FLAG },
	{ "TTB0", 1, 55, 4, SHOW_ADDR },  { "TTB1", 2, 55, 4, SHOW_ADDR },
	{ "MAIR", 3, 63, 0, SHOW_HEX },	  END
};

void smmuv3_text_ste(const uint64_t words[8], char *text, size_t size)
{
	struct writer w = { text, size };
	uint64_t known[8] = { 0 };

	text_put(&w, "STE");
	text_fields(&w, ste_fields, words, known);
	/* Config 0b11x: stage 2 translates (IHI 0070 5.2) */
	if ((words[0] >> 1 & 6) == 6)
		text_fields(&w, ste_s2_fields, words, known);
	text_other(&w, words, known, 8);
}

void smmuv3_text_cd(const uint64_t words[8], char *text, size_t size)
{
	text_record("CD", cd_fields, words, 8, text, size);
}
