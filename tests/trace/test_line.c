// SPDX-License-Identifier: MIT
/* One line of a log at a time: what each event holds, per architecture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/internal.h"
#include "trace/smmuv3.h"
#include "trace/vtd.h"

static struct trace_event ev;
static struct trace_cursor cur;
static char line[256];

static int parse(enum trace_iommu iommu, const char *text)
{
	memset(&ev, 0xa5, sizeof(ev));
	strcpy(line, text);
	return trace_parse_event(iommu, line, strlen(line), &ev, &cur);
}

static void a_command_has_its_number_in_decimal(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "C 10 TLBI_NH_VA"), 0);
	assert_int_equal(ev.type, TRACE_EV_COMMAND);
	assert_int_equal(ev.command.index, 10);
	assert_string_equal(ev.command.name, "TLBI_NH_VA");
	assert_int_equal(parse(TRACE_SMMUV3, "C a SYNC"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "C 1000000000000000000 SYNC"),
			 -EBADMSG);
}

static void a_register_write_has_a_possible_size(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "W 80 40000000430fb000 8"), 0);
	assert_int_equal(ev.type, TRACE_EV_REGISTER);
	assert_int_equal(ev.reg.addr, 0x80);
	assert_int_equal(ev.reg.value, 0x40000000430fb000);
	assert_int_equal(ev.reg.size, 8);
	assert_int_equal(parse(TRACE_SMMUV3, "W 80 0 3"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "W 80 0 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "W 80 0 10"), -EBADMSG);
}

static void table_words_keep_all_64_bits(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "P fffffffffffffff8 "
					     "fedcba9876543210"),
			 0);
	assert_int_equal(ev.type, TRACE_EV_WORD);
	assert_int_equal(ev.word.addr, 0xfffffffffffffff8);
	assert_int_equal(ev.word.value, 0xfedcba9876543210);
}

static void a_structure_has_one_to_eight_words(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "R 1c13020 1c24001 2"), 0);
	assert_int_equal(ev.type, TRACE_EV_RECORD);
	assert_int_equal(ev.record.nr, 2);
	assert_int_equal(ev.record.words[1], 2);
	assert_int_equal(parse(TRACE_SMMUV3, "R 40 1 2 3 4 5 6 7 8"), 0);
	assert_int_equal(ev.record.nr, 8);
	assert_int_equal(ev.record.words[7], 8);
	assert_int_equal(parse(TRACE_SMMUV3, "R 40"), -EBADMSG);
}

static void smmuv3_translations_have_permission_stage_and_source(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 fffff040 8090040 2 1 h"), 0);
	assert_int_equal(ev.type, TRACE_EV_TRANSLATE);
	assert_int_equal(ev.translate.stream, 0x18);
	assert_int_equal(ev.translate.iova, 0xfffff040);
	assert_int_equal(ev.translate.pa, 0x8090040);
	assert_int_equal(ev.translate.perm, TRACE_PERM_W);
	assert_int_equal(ev.translate.stage, 1);
	assert_true(ev.translate.has_how);
	assert_false(ev.translate.walked);
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 0 0 0 1 h"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 0 0 4 1 h"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 0 0 3 0 h"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 0 0 3 1 x"), -EBADMSG);
}

static void vtd_translations_have_mask_leaf_and_domain(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "T 200 fffff000 10dba000 fff w "
					  "10dba067 9"),
			 0);
	assert_true(ev.translate.walked);
	assert_int_equal(ev.translate.mask, 0xfff);
	assert_true(ev.translate.has_leaf);
	assert_int_equal(ev.translate.leaf, 0x10dba067);
	assert_int_equal(ev.translate.domain, 9);
	assert_int_equal(parse(TRACE_VTD, "T 100 3058000 3058000 fff w"), 0);
	assert_false(ev.translate.has_leaf);
	assert_int_equal(parse(TRACE_VTD, "T 100 0 0 ffd w"), -EBADMSG);
}

static void amdvi_translations_have_only_a_source(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_AMDVI, "T 10 fffff002 2916000 w"), 0);
	assert_true(ev.translate.walked);
	assert_int_equal(ev.translate.perm, 0);
	assert_int_equal(parse(TRACE_AMDVI, "T 10 fffff002 2916000"), -EBADMSG);
}

static void riscv_translations_have_a_direction(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_RISCV, "T 8 3 W fffff000 80001000"), 0);
	assert_int_equal(ev.translate.pasid, 3);
	assert_int_equal(ev.translate.perm, TRACE_PERM_W);
	assert_int_equal(ev.translate.pa, 0x80001000);
	assert_false(ev.translate.has_how);
}

static void faults_differ_by_architecture(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "F SMMU_EVT_F_ACCESS 28"), 0);
	assert_int_equal(ev.type, TRACE_EV_FAULT);
	assert_string_equal(ev.fault.text, "SMMU_EVT_F_ACCESS");
	assert_int_equal(ev.fault.stream, 0x28);
	assert_int_equal(parse(TRACE_VTD, "F 28 113 100004 1"), 0);
	assert_int_equal(ev.fault.reason, 0x71); /* 113 in decimal */
	assert_int_equal(ev.fault.addr, 0x100004);
	assert_true(ev.fault.write);
	assert_int_equal(parse(TRACE_AMDVI, "F 28 100000"), 0);
	assert_true(ev.fault.has_addr);
	assert_null(ev.fault.text);
	assert_int_equal(parse(TRACE_AMDVI, "F command_error error: a 0x0"), 0);
	assert_false(ev.fault.has_addr);
	assert_string_equal(ev.fault.text, "command_error error: a 0x0");
	assert_int_equal(parse(TRACE_RISCV, "F anything at all"), 0);
	assert_string_equal(ev.fault.text, "anything at all");
}

static void accesses_without_translation_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "B 10 1000 1"), 0);
	assert_int_equal(ev.type, TRACE_EV_BYPASS);
	assert_true(ev.access.write);
	assert_int_equal(parse(TRACE_SMMUV3, "O 10 1000 0"), 0);
	assert_int_equal(ev.type, TRACE_EV_DISABLED);
	assert_false(ev.access.write);
	assert_int_equal(parse(TRACE_SMMUV3, "A 10 1000 1"), 0);
	assert_int_equal(ev.type, TRACE_EV_ABORT);
	assert_int_equal(parse(TRACE_SMMUV3, "A 10 1000 2"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "B 10 1000"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "B 100 3058000"), 0);
	assert_int_equal(ev.access.iova, 0x3058000);
}

static void smmuv3_fetches_interrupts_and_errors(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "S 18 5b660600"), 0);
	assert_int_equal(ev.type, TRACE_EV_STE);
	assert_int_equal(ev.ste.addr, 0x5b660600);
	assert_int_equal(parse(TRACE_SMMUV3, "D 48251000"), 0);
	assert_int_equal(ev.type, TRACE_EV_CD);
	assert_int_equal(ev.cd.addr, 0x48251000);
	assert_int_equal(parse(TRACE_SMMUV3, "Q 2"), 0);
	assert_int_equal(ev.irq.number, 2);
	assert_int_equal(parse(TRACE_SMMUV3, "G 1 5"), 0);
	assert_int_equal(ev.gerror.toggled, 1);
	assert_int_equal(ev.gerror.now, 5);
	assert_int_equal(parse(TRACE_SMMUV3, "E bad command here"), 0);
	assert_int_equal(ev.type, TRACE_EV_ERROR);
	assert_string_equal(ev.note.text, "bad command here");
}

static void vtd_register_events(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "QS 1202000 100"), 0);
	assert_int_equal(ev.type, TRACE_EV_QUEUE);
	assert_int_equal(ev.base.arg, 0x100);
	assert_int_equal(parse(TRACE_VTD, "QE 1"), 0);
	assert_int_equal(ev.type, TRACE_EV_QUEUE_ENABLE);
	assert_true(ev.enable.on);
	assert_int_equal(parse(TRACE_VTD, "TE 0"), 0);
	assert_int_equal(ev.type, TRACE_EV_ENABLE);
	assert_false(ev.enable.on);
	assert_int_equal(parse(TRACE_VTD, "ROOT 1c13000 1"), 0);
	assert_int_equal(ev.type, TRACE_EV_ROOT);
	assert_int_equal(parse(TRACE_VTD, "FR 0 100000 4000000600000028"), 0);
	assert_int_equal(ev.type, TRACE_EV_FAULT_RECORD);
	assert_int_equal(ev.entry.hi, 0x4000000600000028);
	assert_int_equal(parse(TRACE_VTD, "IR 11 4ff00 210009"), 0);
	assert_int_equal(ev.type, TRACE_EV_IRTE);
	assert_int_equal(ev.entry.index, 0x11);
	assert_int_equal(parse(TRACE_VTD, "Z context_cache_reset "), 0);
	assert_int_equal(ev.type, TRACE_EV_DROP);
}

static void each_line_belongs_to_an_architecture(void **state)
{
	static const char *const smmuv3[] = { "S 18 5b660600", "D 48251000",
					      "Q 2",	       "G 1 5",
					      "E text",	       "O 10 1000 0",
					      "A 10 1000 1" };
	static const char *const vtd[] = {
		"QS 1202000 100", "QE 1",     "TE 1",
		"ROOT 1c13000 1", "IR 1 2 3", "FR 0 100000 4000000600000028"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(smmuv3) / sizeof(smmuv3[0]); i++) {
		assert_int_equal(parse(TRACE_SMMUV3, smmuv3[i]), 0);
		assert_int_equal(parse(TRACE_VTD, smmuv3[i]), -EBADMSG);
		assert_int_equal(parse(TRACE_AMDVI, smmuv3[i]), -EBADMSG);
	}
	for (size_t i = 0; i < sizeof(vtd) / sizeof(vtd[0]); i++) {
		assert_int_equal(parse(TRACE_VTD, vtd[i]), 0);
		assert_int_equal(parse(TRACE_SMMUV3, vtd[i]), -EBADMSG);
		assert_int_equal(parse(TRACE_RISCV, vtd[i]), -EBADMSG);
	}
	assert_int_equal(parse(TRACE_SMMUV3, "Z iotlb_reset"), -EBADMSG);
	assert_int_equal(parse(TRACE_AMDVI, "B 10 1000"), -EBADMSG);
}

static void vtd_leaves_are_whole_and_let_something_through(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "T 28 800000 3600000 1fffff w "
					  "3600081 6"),
			 0);
	assert_int_equal(ev.translate.mask, 0x1fffff);
	/* not the address of a page of 2 MiB */
	assert_int_equal(parse(TRACE_VTD, "T 28 800000 3601000 1fffff w "
					  "3601081 6"),
			 -EBADMSG);
	/* less than a page; not a mask; no mask at all */
	assert_int_equal(parse(TRACE_VTD, "T 28 0 0 7ff w 3 6"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 0 1ffe w 3 6"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 0 0 w 3 6"), -EBADMSG);
	/* neither read nor write; a domain without its leaf; a large domain */
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1ffc 6"),
			 -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003 10000"),
			 -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003 ffff"), 0);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff x 1003 6"),
			 -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003 6 0"),
			 -EBADMSG);
}

static void vtd_accesses_may_have_a_pasid(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003 6"), 0);
	assert_false(ev.translate.has_pasid);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w 1003 6 pasid=145"),
			 0);
	assert_true(ev.translate.has_pasid);
	assert_int_equal(ev.translate.pasid, 0x145);
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff h 1003 6 pasid=0"),
			 0);
	assert_true(ev.translate.has_pasid);
	assert_int_equal(parse(TRACE_VTD, "F 28 113 1000 0"), 0);
	assert_false(ev.fault.has_pasid);
	assert_int_equal(parse(TRACE_VTD, "F 28 113 1000 0 pasid=fffff"), 0);
	assert_true(ev.fault.has_pasid);
	assert_int_equal(ev.fault.pasid, 0xfffff);
}

static void what_is_no_pasid_is_refused(void **state)
{
	static const char *const words[] = {
		"pasid=100000", "pasid=", "pasid",     "pasid=x",
		"pasid=-1",	"145",	  "pasid=1 1", "Pasid=1",
	};
	char with[80];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(with, sizeof(with), "T 28 0 1000 fff w 1003 6 %s",
			 words[i]);
		assert_int_equal(parse(TRACE_VTD, with), -EBADMSG);
		snprintf(with, sizeof(with), "F 28 113 1000 0 %s", words[i]);
		assert_int_equal(parse(TRACE_VTD, with), -EBADMSG);
	}
	/* what passes has none to tell; nor does an SMMUv3 */
	assert_int_equal(parse(TRACE_VTD, "T 28 0 1000 fff w pasid=1"),
			 -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "T 28 0 0 1 1 w pasid=1"),
			 -EBADMSG);
}

static void vtd_sources_and_reasons_have_their_width(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_VTD, "T ffff 0 1000 fff w 1003 6"), 0);
	assert_int_equal(parse(TRACE_VTD, "T 10000 0 1000 fff w 1003 6"),
			 -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "B 10000 1000"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "B 100 1000 1"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F ffff 255 0 0"), 0);
	assert_int_equal(ev.fault.reason, 0xff);
	assert_int_equal(parse(TRACE_VTD, "F 10000 5 0 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F 28 256 0 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F 28 0 0 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F 28 7f 0 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F 28 5 0 2"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "F 28 5 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "QE 2"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "TE"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "FR 0 100000"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "R 1c13021 1"), -EBADMSG);
	assert_int_equal(parse(TRACE_VTD, "R 1c13020 1 2 3 4 5 6 7 8 9"),
			 -EBADMSG);
}

/* Words from the descriptions of the specification, 6.5.2 and chapter 9 */
static void vtd_records_in_words(void **state)
{
	static const uint64_t iotlb[4] = { 0x600f2, 0x12345045 };
	static const uint64_t piotlb[4] = { 0x0000000700020036, 0xfffff040 };
	static const uint64_t wait[4] = { 0x200000025, 0x1052cbc };
	static const uint64_t odd[4] = { 0x20f, 0, 1, 0 };
	static const uint64_t reserved[4] = { 0x4000000000000004 };
	static const uint64_t fault[2] = { 0x100000, 0xc000007100000028 };
	static const uint64_t context[2] = { 0x1ac9005, 0x202 };
	static const uint64_t pasid[8] = { 0x1f5d089, 8 };
	static const uint64_t leaf[1] = { 0x1ff64067 };
	char text[256];

	(void)state;
	vtd_text_command(iotlb, text, sizeof(text));
	assert_string_equal(text, "IOTLB G=3 DW DR DID=6 AM=5 IH "
				  "Address=0x12345000");
	vtd_text_command(piotlb, text, sizeof(text));
	assert_string_equal(text, "PIOTLB G=3 DID=2 PASID=0x7 AM=0 IH "
				  "Address=0xfffff000");
	vtd_text_command(wait, text, sizeof(text));
	assert_string_equal(text, "WAIT SW Data=0x2 Address=0x1052cbc");
	vtd_text_command(odd, text, sizeof(text));
	assert_string_equal(text, "descriptor 0x1f? other=0:0:1:0");
	vtd_text_command(reserved, text, sizeof(text));
	assert_string_equal(text, "IEC G=0 IM=0 IIDX=0 "
				  "other=4000000000000000:0:0:0");
	vtd_text_fault(fault, text, sizeof(text));
	assert_string_equal(text, "fault F T1=1 AT=0 PV=0 FR=0x71 T2=0 "
				  "SID=0x28 FI=0x100000 (SFS.2 first-stage "
				  "entry not present)");
	vtd_text_context(context, text, sizeof(text));
	assert_string_equal(text, "context P=1 TT=1 DID=2 AW=2 AVAIL=0 "
				  "SSPTPTR=0x1ac9000");
	vtd_text_pasid(pasid, text, sizeof(text));
	assert_string_equal(text, "PASID P=1 AW=2 PGTT=2 SSPTPTR=0x1f5d000 "
				  "DID=8 FSPM=0 FSPTPTR=0");
	vtd_text_first(leaf, text, sizeof(text));
	assert_string_equal(text, "first-stage entry P=1 R/W U/S A D "
				  "ADDR=0x1ff64000");
	vtd_text_second(leaf, text, sizeof(text));
	assert_string_equal(text, "second-stage entry R W X EMT=0x4 IPAT "
				  "ADDR=0x1ff64000");
	vtd_text_second(leaf, text, 8);
	assert_string_equal(text, "second-");
}

static void separators_are_single_blanks(void **state)
{
	(void)state;
	assert_int_equal(parse(TRACE_SMMUV3, "Q  0"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "Q 0 "), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, " Q 0"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "Q\t0"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "Q 0x0"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "Q A"), -EBADMSG);
	assert_int_equal(parse(TRACE_SMMUV3, "Q -1"), -EBADMSG);
}

/* One output per bit of the argument: no bit is lost or counted twice. */
static void every_bit_of_a_number_arrives(void **state)
{
	char text[64];

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		snprintf(text, sizeof(text), "Q %llx", 1ULL << bit);
		assert_int_equal(parse(TRACE_SMMUV3, text), 0);
		assert_int_equal(ev.irq.number, 1ULL << bit);
	}
}

static void on_failure_the_event_is_untouched(void **state)
{
	struct trace_event before;

	(void)state;
	memset(&before, 0xa5, sizeof(before));
	assert_int_equal(parse(TRACE_SMMUV3, "T 18 fffff040 8090040 3 1 w 9"),
			 -EBADMSG);
	assert_memory_equal(&ev, &before, sizeof(ev));
}

static void check_command(uint64_t w0, uint64_t w1, const char *expected)
{
	char text[1024];

	smmuv3_text_command((uint64_t[]){ w0, w1 }, text, sizeof(text));
	assert_string_equal(text, expected);
}

/* IHI 0070 4.4.2: opcode 0x12, NUM 16:12, SCALE 24:20, VMID, ASID, TTL, TG */
static void smmuv3_commands_are_decoded(void **state)
{
	(void)state;
	check_command(0x0005000700912012, 0x10002000 | 2 << 8 | 1 << 10 | 1,
		      "CMD_TLBI_NH_VA NUM=18 SCALE=9 VMID=7 ASID=5 Leaf=1 "
		      "TTL=2 TG=1 Address=0x10002000 (9728 x 4 KiB)");
	check_command(0x000000070000002a, 0x5000,
		      "CMD_TLBI_S2_IPA NUM=0 SCALE=0 VMID=7 Leaf=0 TTL=0 TG=0 "
		      "Address=0x5000");
	check_command(0x4, 0x1f, "CMD_CFGI_ALL StreamID=0 Range=31");
	check_command(0x1800000004, 0x3,
		      "CMD_CFGI_STE_RANGE StreamID=0x18 Range=3");
	check_command(0x0000002000005840, 0x7000 | 3,
		      "CMD_ATC_INV SSV SSID=0x5 StreamID=0x20 Size=3 "
		      "Address=0x7000");
	check_command(0xfc02046, 0,
		      "CMD_SYNC CS=2 MSH=3 MSIAttr=0xf MSIData=0 "
		      "MSIAddress=0");
	check_command(0x30 | 1 << 10, 8, "CMD_TLBI_NSNH_ALL other=400:8");
	check_command(0xfe, 0, "opcode 0xfe?");
}

/* IHI 0070 7.3.13: RnW, S2 and CLASS in doubleword 1 */
static void smmuv3_events_are_decoded(void **state)
{
	char text[1024];

	(void)state;
	smmuv3_text_event((uint64_t[]){ 0x2800000010, 0x28800000000, 0x1234000,
					0x5678000 },
			  text, sizeof(text));
	assert_string_equal(text,
			    "F_TRANSLATION StreamID=0x28 SSID=0 STAG=0 PnU=0 "
			    "InD=0 RnW=1 S2=1 CLASS=2 InputAddr=0x1234000 "
			    "IPA=0x5678000");
}

static void decoded_text_is_cut_off_where_the_room_ends(void **state)
{
	char text[12];

	(void)state;
	memset(text, 'z', sizeof(text));
	smmuv3_text_command((uint64_t[]){ 0x4, 0x1f }, text, 8);
	assert_string_equal(text, "CMD_CFG");
	assert_int_equal(text[8], 'z');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_has_its_number_in_decimal),
		cmocka_unit_test(a_register_write_has_a_possible_size),
		cmocka_unit_test(table_words_keep_all_64_bits),
		cmocka_unit_test(a_structure_has_one_to_eight_words),
		cmocka_unit_test(
			smmuv3_translations_have_permission_stage_and_source),
		cmocka_unit_test(vtd_translations_have_mask_leaf_and_domain),
		cmocka_unit_test(amdvi_translations_have_only_a_source),
		cmocka_unit_test(riscv_translations_have_a_direction),
		cmocka_unit_test(faults_differ_by_architecture),
		cmocka_unit_test(accesses_without_translation_are_told_apart),
		cmocka_unit_test(smmuv3_fetches_interrupts_and_errors),
		cmocka_unit_test(vtd_register_events),
		cmocka_unit_test(each_line_belongs_to_an_architecture),
		cmocka_unit_test(
			vtd_leaves_are_whole_and_let_something_through),
		cmocka_unit_test(vtd_accesses_may_have_a_pasid),
		cmocka_unit_test(what_is_no_pasid_is_refused),
		cmocka_unit_test(vtd_sources_and_reasons_have_their_width),
		cmocka_unit_test(vtd_records_in_words),
		cmocka_unit_test(separators_are_single_blanks),
		cmocka_unit_test(every_bit_of_a_number_arrives),
		cmocka_unit_test(on_failure_the_event_is_untouched),
		cmocka_unit_test(smmuv3_commands_are_decoded),
		cmocka_unit_test(smmuv3_events_are_decoded),
		cmocka_unit_test(decoded_text_is_cut_off_where_the_room_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
