// SPDX-License-Identifier: MIT
/*
 * VT-d records as text: Intel Virtualization Technology for Directed I/O,
 * Architecture Specification, revision 5.10, section 6.5.2 (descriptors),
 * table 30 (fault reasons), chapter 9 (structures in memory), 11.4.7.6 (fault
 * recording registers).
 */
#include <inttypes.h>

#include "fields.h"
#include "vtd.h"

#define NR(list)  (sizeof(list) / sizeof((list)[0]))

#define TYPE_BITS 0xe0full /* of word 0, the name says it */

#define GRAN                           \
	{                              \
		"G", 0, 5, 4, SHOW_DEC \
	}
#define DID                                \
	{                                  \
		"DID", 0, 31, 16, SHOW_DEC \
	}
#define PASID                                \
	{                                    \
		"PASID", 0, 51, 32, SHOW_HEX \
	}
#define PAGES                                                      \
	{ "AM", 1, 5, 0, SHOW_DEC }, { "IH", 1, 6, 6, SHOW_FLAG }, \
	{                                                          \
		"Address", 1, 63, 12, SHOW_ADDR                    \
	}

static const struct field context_cache[] = { GRAN,
					      DID,
					      { "SID", 0, 47, 32, SHOW_HEX },
					      { "FM", 0, 49, 48, SHOW_DEC },
					      END };
static const struct field iotlb[] = { GRAN,
				      { "DW", 0, 6, 6, SHOW_FLAG },
				      { "DR", 0, 7, 7, SHOW_FLAG },
				      DID,
				      PAGES,
				      END };
static const struct field dev_iotlb[] = { { "SID", 0, 47, 32, SHOW_HEX },
					  { "PFSID_L", 0, 15, 12, SHOW_HEX },
					  { "PFSID_H", 0, 63, 52, SHOW_HEX },
					  { "MIP", 0, 20, 16, SHOW_DEC },
					  { "S", 1, 0, 0, SHOW_FLAG },
					  { "Address", 1, 63, 12, SHOW_ADDR },
					  END };
static const struct field iec[] = { { "G", 0, 4, 4, SHOW_DEC },
				    { "IM", 0, 31, 27, SHOW_DEC },
				    { "IIDX", 0, 47, 32, SHOW_HEX },
				    END };
static const struct field wait[] = { { "IF", 0, 4, 4, SHOW_FLAG },
				     { "SW", 0, 5, 5, SHOW_FLAG },
				     { "FN", 0, 6, 6, SHOW_FLAG },
				     { "PD", 0, 7, 7, SHOW_FLAG },
				     { "Data", 0, 63, 32, SHOW_HEX },
				     { "Address", 1, 63, 2, SHOW_ADDR },
				     END };
static const struct field piotlb[] = { GRAN, DID, PASID, PAGES, END };
static const struct field pasid_cache[] = { GRAN, DID, PASID, END };
static const struct field pdev_iotlb[] = { { "SID", 0, 31, 16, SHOW_HEX },
					   PASID,
					   { "PFSID_L", 0, 15, 12, SHOW_HEX },
					   { "PFSID_H", 0, 63, 52, SHOW_HEX },
					   { "MIP", 0, 8, 4, SHOW_DEC },
					   { "G", 1, 0, 0, SHOW_FLAG },
					   { "S", 1, 11, 11, SHOW_FLAG },
					   { "Address", 1, 63, 12, SHOW_ADDR },
					   END };
static const struct field page_response[] = {
	{ "PP", 0, 4, 4, SHOW_FLAG },	{ "Code", 0, 15, 12, SHOW_HEX },
	{ "RID", 0, 31, 16, SHOW_HEX }, PASID,
	{ "PRGI", 1, 11, 3, SHOW_DEC }, END
};

static const struct layout commands[] = {
	{ 0x1, "CONTEXT", context_cache },
	{ 0x2, "IOTLB", iotlb },
	{ 0x3, "DEV_IOTLB", dev_iotlb },
	{ 0x4, "IEC", iec },
	{ 0x5, "WAIT", wait },
	{ 0x6, "PIOTLB", piotlb },
	{ 0x7, "PASID_CACHE", pasid_cache },
	{ 0x8, "PDEV_IOTLB", pdev_iotlb },
	{ 0x9, "PAGE_RESPONSE", page_response },
};

const char *vtd_command_name(unsigned int type)
{
	const struct layout *l = text_layout(commands, NR(commands), type);

	return l ? l->name : NULL;
}

void vtd_text_command(const uint64_t words[4], char *text, size_t size)
{
	struct writer w = { text, size };
	uint64_t known[4] = { TYPE_BITS };
	unsigned int type = vtd_command_type(words[0]);
	const struct layout *l = text_layout(commands, NR(commands), type);

	if (l)
		text_put(&w, "%s", l->name);
	else
		text_put(&w, "descriptor %#x?", type);
	if (l)
		text_fields(&w, l->fields, words, known);
	text_other(&w, words, known, 4);
}

/* The conditions in table 30 that have a number */
static const struct {
	uint8_t reason;
	const char *name;
} reasons[] = {
	{ 0x01, "LRT.2 root entry not present" },
	{ 0x02, "LCT.2 context entry not present" },
	{ 0x03, "LCT.4 context entry not valid" },
	{ 0x04, "LGN.1 address beyond the limit" },
	{ 0x05, "LGN.2 no write permission" },
	{ 0x06, "LGN.3 no read permission" },
	{ 0x07, "LSS.1 second-stage table not accessible" },
	{ 0x08, "LRT.1 root table not accessible" },
	{ 0x09, "LCT.1 context table not accessible" },
	{ 0x0a, "LRT.3 root entry: reserved bits" },
	{ 0x0b, "LCT.3 context entry: reserved bits" },
	{ 0x0c, "LSS.2 second-stage entry: reserved bits" },
	{ 0x0d, "LCT.5 request type blocked" },
	{ 0x0e, "LGN.4 table in the interrupt range" },
	{ 0x30, "RTA.1 root table address not valid" },
	{ 0x31, "RTA.2 PASID in legacy mode" },
	{ 0x32, "RTA.3 page request in legacy mode" },
	{ 0x33, "RTA.4 abort-DMA mode" },
	{ 0x34, "RTA.5 execute in legacy mode" },
	{ 0x38, "SRT.1 root table not accessible" },
	{ 0x39, "SRT.2 root entry not present" },
	{ 0x3a, "SRT.3 root entry: reserved bits" },
	{ 0x40, "SCT.1 context table not accessible" },
	{ 0x41, "SCT.2 context entry not present" },
	{ 0x42, "SCT.3 context entry: reserved bits" },
	{ 0x43, "SCT.4 context entry not valid" },
	{ 0x44, "SCT.5 DTE=0" },
	{ 0x45, "SCT.6 PASIDE=0" },
	{ 0x46, "SCT.7 PASID beyond the directory" },
	{ 0x47, "SCT.8 PRE=0" },
	{ 0x48, "SCT.9 RID_PASID beyond the directory" },
	{ 0x50, "SPD.1 PASID directory not accessible" },
	{ 0x51, "SPD.2 PASID directory entry not present" },
	{ 0x52, "SPD.3 PASID directory entry: reserved bits" },
	{ 0x58, "SPT.1 PASID table not accessible" },
	{ 0x59, "SPT.2 PASID entry not present" },
	{ 0x5a, "SPT.3 PASID entry: reserved bits" },
	{ 0x5b, "SPT.4 PASID entry not valid" },
	{ 0x5c, "SPT.5 execute not enabled" },
	{ 0x5d, "SPT.6 supervisor requests not enabled" },
	{ 0x70, "SFS.1 first-stage table not accessible" },
	{ 0x71, "SFS.2 first-stage entry not present" },
	{ 0x72, "SFS.3 first-stage entry: reserved bits" },
	{ 0x73, "SFS.4 first-stage root not accessible" },
	{ 0x74, "SFS.5 second stage does not map the address" },
	{ 0x75, "SFS.6 second stage does not map the root" },
	{ 0x76, "SFS.7 second stage does not map a table" },
	{ 0x77, "SFS.8 second stage lets no table be written" },
	{ 0x78, "SSS.1 second-stage table not accessible" },
	{ 0x79, "SSS.2 second-stage entry without permissions" },
	{ 0x7a, "SSS.3 second-stage entry: reserved bits" },
	{ 0x7b, "SSS.4 second-stage root not accessible" },
	{ 0x7c, "SSS.5 no-snoop not allowed" },
	{ 0x7d, "SSS.6 accessed or dirty flag not written" },
	{ 0x80, "SGN.1 address not canonical" },
	{ 0x81, "SGN.2 user request for a supervisor page" },
	{ 0x83, "SGN.4 address beyond the host's" },
	{ 0x84, "SGN.5 address beyond the limit" },
	{ 0x85, "SGN.6 no write permission" },
	{ 0x86, "SGN.7 no read permission" },
	{ 0x87, "SGN.8 address in the interrupt range" },
	{ 0x89, "SGN.10 PASID too large" },
	{ 0x90, "SFS.9 no-snoop not allowed" },
	{ 0x91, "SFS.10 accessed or dirty flag not written" },
};

const char *vtd_reason_name(unsigned int reason)
{
	for (size_t i = 0; i < NR(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return NULL;
}

void vtd_text_fault(const uint64_t words[2], char *text, size_t size)
{
	static const struct field fields[] = { { "F", 1, 63, 63, SHOW_FLAG },
					       { "T1", 1, 62, 62, SHOW_DEC },
					       { "AT", 1, 61, 60, SHOW_DEC },
					       { "PV", 1, 59, 40, SHOW_HEX },
					       { "FR", 1, 39, 32, SHOW_HEX },
					       { "PP", 1, 31, 31, SHOW_FLAG },
					       { "EXE", 1, 30, 30, SHOW_FLAG },
					       { "PRIV", 1, 29, 29, SHOW_FLAG },
					       { "T2", 1, 28, 28, SHOW_DEC },
					       { "SID", 1, 15, 0, SHOW_HEX },
					       { "FI", 0, 63, 12, SHOW_ADDR },
					       END };
	const char *reason = vtd_reason_name(words[1] >> 32 & 0xff);
	struct writer w = { text, size };
	uint64_t known[2] = { 0 };

	text_put(&w, "fault");
	text_fields(&w, fields, words, known);
	text_other(&w, words, known, 2);
	if (reason)
		text_put(&w, " (%s)", reason);
}

void vtd_text_root(const uint64_t words[2], char *text, size_t size)
{
	static const struct field fields[] = { { "P", 0, 0, 0, SHOW_DEC },
					       { "CTP", 0, 63, 12, SHOW_ADDR },
					       END };

	text_record("root", fields, words, 2, text, size);
}

void vtd_text_sm_root(const uint64_t words[2], char *text, size_t size)
{
	static const struct field fields[] = { { "LP", 0, 0, 0, SHOW_DEC },
					       { "LCTP", 0, 63, 12, SHOW_ADDR },
					       { "UP", 1, 0, 0, SHOW_DEC },
					       { "UCTP", 1, 63, 12, SHOW_ADDR },
					       END };

	text_record("root", fields, words, 2, text, size);
}

void vtd_text_context(const uint64_t words[2], char *text, size_t size)
{
	static const struct field fields[] = {
		{ "P", 0, 0, 0, SHOW_DEC },
		{ "FPD", 0, 1, 1, SHOW_FLAG },
		{ "TT", 0, 3, 2, SHOW_DEC },
		{ "DID", 1, 23, 8, SHOW_DEC },
		{ "AW", 1, 2, 0, SHOW_DEC },
		{ "AVAIL", 1, 6, 3, SHOW_HEX },
		{ "SSPTPTR", 0, 63, 12, SHOW_ADDR },
		END
	};

	text_record("context", fields, words, 2, text, size);
}

void vtd_text_sm_context(const uint64_t words[4], char *text, size_t size)
{
	static const struct field fields[] = {
		{ "P", 0, 0, 0, SHOW_DEC },
		{ "FPD", 0, 1, 1, SHOW_FLAG },
		{ "DTE", 0, 2, 2, SHOW_FLAG },
		{ "PASIDE", 0, 3, 3, SHOW_FLAG },
		{ "PRE", 0, 4, 4, SHOW_FLAG },
		{ "PDTS", 0, 11, 9, SHOW_DEC },
		{ "PASIDDIRPTR", 0, 63, 12, SHOW_ADDR },
		{ "RID_PASID", 1, 19, 0, SHOW_HEX },
		{ "RID_PRIV", 1, 20, 20, SHOW_FLAG },
		END
	};

	text_record("context", fields, words, 4, text, size);
}

void vtd_text_directory(const uint64_t words[1], char *text, size_t size)
{
	static const struct field fields[] = { { "P", 0, 0, 0, SHOW_DEC },
					       { "FPD", 0, 1, 1, SHOW_FLAG },
					       { "SMPTBLPTR", 0, 63, 12,
						 SHOW_ADDR },
					       END };

	text_record("PASID directory", fields, words, 1, text, size);
}

void vtd_text_pasid(const uint64_t words[8], char *text, size_t size)
{
	static const struct field fields[] = {
		{ "P", 0, 0, 0, SHOW_DEC },
		{ "FPD", 0, 1, 1, SHOW_FLAG },
		{ "AW", 0, 4, 2, SHOW_DEC },
		{ "PGTT", 0, 8, 6, SHOW_DEC },
		{ "SSADE", 0, 9, 9, SHOW_FLAG },
		{ "SSPTPTR", 0, 63, 12, SHOW_ADDR },
		{ "DID", 1, 15, 0, SHOW_DEC },
		{ "PWSNP", 1, 23, 23, SHOW_FLAG },
		{ "PGSNP", 1, 24, 24, SHOW_FLAG },
		{ "SRE", 2, 0, 0, SHOW_FLAG },
		{ "FSPM", 2, 3, 2, SHOW_DEC },
		{ "WPE", 2, 4, 4, SHOW_FLAG },
		{ "EAFE", 2, 7, 7, SHOW_FLAG },
		{ "FSPTPTR", 2, 63, 12, SHOW_ADDR },
		END
	};

	text_record("PASID", fields, words, 8, text, size);
}

void vtd_text_first(const uint64_t words[1], char *text, size_t size)
{
	static const struct field fields[] = { { "P", 0, 0, 0, SHOW_DEC },
					       { "R/W", 0, 1, 1, SHOW_FLAG },
					       { "U/S", 0, 2, 2, SHOW_FLAG },
					       { "PWT", 0, 3, 3, SHOW_FLAG },
					       { "PCD", 0, 4, 4, SHOW_FLAG },
					       { "A", 0, 5, 5, SHOW_FLAG },
					       { "D", 0, 6, 6, SHOW_FLAG },
					       { "PS", 0, 7, 7, SHOW_FLAG },
					       { "G", 0, 8, 8, SHOW_FLAG },
					       { "EA", 0, 10, 10, SHOW_FLAG },
					       { "XD", 0, 63, 63, SHOW_FLAG },
					       { "ADDR", 0, 51, 12, SHOW_ADDR },
					       END };

	text_record("first-stage entry", fields, words, 1, text, size);
}

void vtd_text_second(const uint64_t words[1], char *text, size_t size)
{
	static const struct field fields[] = { { "R", 0, 0, 0, SHOW_FLAG },
					       { "W", 0, 1, 1, SHOW_FLAG },
					       { "X", 0, 2, 2, SHOW_FLAG },
					       { "EMT", 0, 5, 3, SHOW_HEX },
					       { "IPAT", 0, 6, 6, SHOW_FLAG },
					       { "PS", 0, 7, 7, SHOW_FLAG },
					       { "A", 0, 8, 8, SHOW_FLAG },
					       { "D", 0, 9, 9, SHOW_FLAG },
					       { "SNP", 0, 11, 11, SHOW_FLAG },
					       { "ADDR", 0, 51, 12, SHOW_ADDR },
					       END };

	text_record("second-stage entry", fields, words, 1, text, size);
}
