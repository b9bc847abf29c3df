// SPDX-License-Identifier: MIT
/*
 * Whole recordings: the ones in traces/, one made by hand, and that one with a
 * single thing broken. Every break must be found, and its message must say in
 * which file, where and what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "recording.h"
#include "trace/trace.h"

/* What reading everything saw. */
struct tally {
	uint64_t commands;
	uint64_t snapshots;
	uint64_t translations;
	uint64_t rows;
};

static int read_log(const struct trace *trace, struct tally *tally,
		    struct trace_error *err)
{
	struct trace_log *log;
	struct trace_event ev;
	int rc;

	rc = trace_log_open(trace, &log, err);
	if (rc)
		return rc;
	while ((rc = trace_log_next(log, &ev)) > 0) {
		tally->commands += ev.type == TRACE_EV_COMMAND;
		tally->snapshots += ev.type == TRACE_EV_SNAPSHOT;
		tally->translations += ev.type == TRACE_EV_TRANSLATE;
	}
	trace_log_close(log);
	return rc;
}

static int read_rows(const struct trace *trace, struct tally *tally,
		     struct trace_error *err)
{
	struct trace_rows *rows;
	struct trace_row row;
	int rc = 0;

	for (size_t s = 0; !rc && s < trace->meta.nr_snapshots; s++) {
		rc = trace_rows_open(trace, s, &rows, err);
		if (rc)
			return rc;
		while ((rc = trace_rows_next(rows, &row)) > 0) {
			assert_int_equal(row.snapshot, s);
			tally->rows++;
		}
		trace_rows_close(rows);
	}
	return rc;
}

static int read_everything(const char *path, struct tally *tally,
			   struct trace_error *err)
{
	struct trace *trace;
	int rc;

	rc = trace_open(path, &trace, err);
	if (rc)
		return rc;
	rc = read_log(trace, tally, err);
	if (!rc)
		rc = read_rows(trace, tally, err);
	trace_close(trace);
	return rc;
}

/* One break per row; the name is the case's sentence. */
struct breakage {
	const char *name;
	int part;
	const char *from; /* text to replace, or NULL */
	const char *to;
	size_t cut;
	size_t flip;
	const char *append;
	bool absent;
	size_t resize; /* to so many bytes, or 0 */
	int rc;
	const char *message; /* behind the folder's name */
};

static const struct breakage breakages[] = {
	/* files */
	{ .name = "a recording without meta.json is refused",
	  .part = PART_META,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "meta.json:0: No such file" },
	{ .name = "a recording without commands is refused",
	  .part = PART_COMMANDS,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "commands.bin.xz:0: No such file" },
	{ .name = "a recording without a log is refused",
	  .part = PART_LOG,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "log.txt.xz:0: No such file" },
	{ .name = "a recording without a memory index is refused",
	  .part = PART_INDEX,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "memory.idx:0: No such file" },
	{ .name = "a recording without memory is refused",
	  .part = PART_MEMORY,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "memory.bin.xz:0: No such file" },
	{ .name = "a recording without translations is refused",
	  .part = PART_ROWS,
	  .absent = true,
	  .rc = -ENOENT,
	  .message = "translations.csv.xz:0: No such file" },
	{ .name = "missing event records are noticed at the end of the log",
	  .part = PART_EVENTS,
	  .absent = true,
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: the log has 1 events, the recording 0" },
	/* compression */
	{ .name = "truncated xz data is refused",
	  .part = PART_LOG,
	  .cut = 5,
	  .rc = -EBADMSG,
	  .message = "the compressed data ends early" },
	{ .name = "an xz file cut to nothing is refused",
	  .part = PART_COMMANDS,
	  .cut = 60,
	  .rc = -EBADMSG,
	  .message = "commands.bin.xz:" },
	{ .name = "a flipped byte in the xz header is refused",
	  .part = PART_COMMANDS,
	  .flip = 1,
	  .rc = -EBADMSG,
	  .message = "commands.bin.xz:12: not an xz file" },
	{ .name = "a flipped byte in xz data is refused",
	  .part = PART_LOG,
	  .flip = 40,
	  .rc = -EBADMSG,
	  .message = "the compressed data is damaged" },
	{ .name = "garbage behind xz data is refused",
	  .part = PART_MEMORY,
	  .append = "garbage",
	  .rc = -EBADMSG,
	  .message = "memory.bin.xz:" },
	/* sizes */
	{ .name = "fewer commands than declared are refused",
	  .part = PART_COMMANDS,
	  .resize = 32,
	  .rc = -EBADMSG,
	  .message = "commands.bin.xz:32: ends early: 16 bytes are missing" },
	{ .name = "a command cut in two is refused",
	  .part = PART_COMMANDS,
	  .resize = 47,
	  .rc = -EBADMSG,
	  .message = "commands.bin.xz:47: ends early: 1 bytes are missing" },
	{ .name = "more commands than declared are refused",
	  .part = PART_COMMANDS,
	  .resize = 64,
	  .rc = -EFBIG,
	  .message = "commands.bin.xz:48: more than the 48 bytes" },
	{ .name = "a decompression bomb stops at the declared size",
	  .part = PART_COMMANDS,
	  .resize = 16 << 20,
	  .rc = -EFBIG,
	  .message = "commands.bin.xz:48: more than the 48 bytes" },
	{ .name = "a memory bomb stops at the size of the index",
	  .part = PART_MEMORY,
	  .resize = 16 << 20,
	  .rc = -EFBIG,
	  .message = "memory.bin.xz:12288: more than the 12288 bytes" },
	{ .name = "fewer pages than indexed are refused",
	  .part = PART_MEMORY,
	  .resize = 8192,
	  .rc = -EBADMSG,
	  .message = "memory.bin.xz:8192: ends early: 4096 bytes" },
	{ .name = "a huge declared number of commands is refused at once",
	  .part = PART_META,
	  .from = "\"commands\": 3,",
	  .to = "\"commands\": 67108865,",
	  .rc = -EBADMSG,
	  .message = "meta.json:0: commands: too large" },
	{ .name = "a negative number of commands is refused",
	  .part = PART_META,
	  .from = "\"commands\": 3,",
	  .to = "\"commands\": -3,",
	  .rc = -EBADMSG,
	  .message = "meta.json:0: commands: not a number from 0 up" },
	{ .name = "an event record cut in two is refused",
	  .part = PART_EVENTS,
	  .resize = 63,
	  .rc = -EBADMSG,
	  .message = "events.bin:32: the last record is cut off" },
	{ .name = "an event record nobody logged is noticed",
	  .part = PART_EVENTS,
	  .resize = 64,
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: the log has 1 events, the recording 2" },
	/* meta.json */
	{ .name = "broken JSON is refused with its offset",
	  .part = PART_META,
	  .from = "\"qemu\": \"QEMU 11\",",
	  .to = "\"qemu\" \"QEMU 11\",",
	  .rc = -EBADMSG,
	  .message = "meta.json:74: " },
	{ .name = "a key that stands twice is refused",
	  .part = PART_META,
	  .from = "\"commands\": 3,",
	  .to = "\"commands\": 3, \"commands\": 3,",
	  .rc = -EBADMSG,
	  .message = "duplicate object key" },
	{ .name = "an unknown IOMMU is refused",
	  .part = PART_META,
	  .from = "Arm SMMUv3",
	  .to = "Arm SMMUv2",
	  .rc = -EBADMSG,
	  .message = "meta.json:0: iommu: not an IOMMU known here" },
	{ .name = "an entry size of another IOMMU is refused",
	  .part = PART_META,
	  .from = "\"entry_bytes\": 16",
	  .to = "\"entry_bytes\": 32",
	  .rc = -EBADMSG,
	  .message = "entry_bytes: not the size of a command" },
	{ .name = "a missing field is named",
	  .part = PART_META,
	  .from = "\"ram_base\"",
	  .to = "\"rom_base\"",
	  .rc = -EBADMSG,
	  .message = "meta.json:0: ram_base: not a 64-bit" },
	{ .name = "a histogram with fewer commands is refused",
	  .part = PART_META,
	  .from = "\"CFGI_STE_RANGE\": 1, ",
	  .to = "",
	  .rc = -EBADMSG,
	  .message = "opcodes: fewer commands than there are" },
	{ .name = "a histogram with more commands is refused",
	  .part = PART_META,
	  .from = "\"CFGI_STE_RANGE\": 1",
	  .to = "\"CFGI_STE_RANGE\": 2",
	  .rc = -EBADMSG,
	  .message = "opcodes: more commands than there are" },
	{ .name = "a histogram of text is refused",
	  .part = PART_META,
	  .from = "\"walk agrees\": 1",
	  .to = "\"walk agrees\": \"many\"",
	  .rc = -EBADMSG,
	  .message = "checks: holds what is no number" },
	{ .name = "a device that is no text is refused",
	  .part = PART_META,
	  .from = "\"a device\"",
	  .to = "7",
	  .rc = -EBADMSG,
	  .message = "devices: holds what is no string" },
	{ .name = "a snapshot out of place is refused",
	  .part = PART_META,
	  .from = "\"index\": 1",
	  .to = "\"index\": 2",
	  .rc = -EBADMSG,
	  .message = "snapshots[1].index: not the position" },
	{ .name = "a snapshot beyond the last command is refused",
	  .part = PART_META,
	  .from = "\"commands_consumed\": 3",
	  .to = "\"commands_consumed\": 4",
	  .rc = -EBADMSG,
	  .message = "snapshots[1].commands_consumed: too large" },
	{ .name = "snapshots that go backwards are refused",
	  .part = PART_META,
	  .from = "\"commands_consumed\": 3",
	  .to = "\"commands_consumed\": 1",
	  .rc = -EBADMSG,
	  .message = "snapshots[1].commands_consumed: goes backwards" },
	{ .name = "a register that is no number is refused",
	  .part = PART_META,
	  .from = "0xd44101b",
	  .to = "0xd44101g",
	  .rc = -EBADMSG,
	  .message = "snapshots[0].registers: holds what is no number" },
	{ .name = "an STE of nine words is refused",
	  .part = PART_META,
	  .from = "\"4000300b\", ",
	  .to = "\"4000300b\", \"0\", ",
	  .rc = -EBADMSG,
	  .message = "snapshots[0].ste: has too many words" },
	{ .name = "an STE with a bad word is refused",
	  .part = PART_META,
	  .from = "\"4000300b\"",
	  .to = "\"4000300x\"",
	  .rc = -EBADMSG,
	  .message = "snapshots[0].ste: not hexadecimal words" },
	{ .name = "another number of translations is noticed",
	  .part = PART_META,
	  .from = "\"translations\": 1",
	  .to = "\"translations\": 2",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: the log has 1 translations, "
		     "the recording 2" },
	/* log */
	{ .name = "a command left out of the log is refused",
	  .part = PART_LOG,
	  .from = "C 1 TLBI_NSNH_ALL\n",
	  .to = "",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:3: the log has 1 commands before this "
		     "snapshot, the recording 2" },
	{ .name = "a command with a wrong number is refused",
	  .part = PART_LOG,
	  .from = "C 1 ",
	  .to = "C 2 ",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:3: not the number of the next command" },
	{ .name = "a command behind the last one is refused",
	  .part = PART_LOG,
	  .from = "C 2 SYNC\n",
	  .to = "C 2 SYNC\nC 3 SYNC\n",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:6: more commands than there are" },
	{ .name = "a log that ends before the last command is refused",
	  .part = PART_LOG,
	  .resize = 55,
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:4: the log has 2 commands, the recording 3" },
	{ .name = "a command under an unknown name is refused",
	  .part = PART_LOG,
	  .from = "2 SYNC",
	  .to = "2 SINK",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:5: a command that meta.json does not count" },
	{ .name = "a command under the name of another is noticed",
	  .part = PART_LOG,
	  .from = "2 SYNC",
	  .to = "2 TLBI_NSNH_ALL",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: the log has 0 SYNC, the recording 1" },
	{ .name = "a snapshot under a wrong name is refused",
	  .part = PART_LOG,
	  .from = "N 1 end",
	  .to = "N 1 fin",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: not the name of this snapshot" },
	{ .name = "a snapshot left out of the log is refused",
	  .part = PART_LOG,
	  .from = "N 0 boot\n",
	  .to = "",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:13: not the number of the next snapshot" },
	{ .name = "a log without its last snapshot is refused",
	  .part = PART_LOG,
	  .from = "N 1 end\n",
	  .to = "",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:13: the log has 1 snapshots, "
		     "the recording 2" },
	{ .name = "an unknown event is refused",
	  .part = PART_LOG,
	  .from = "Q 0",
	  .to = "X 0",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:13: field 1: unknown event" },
	{ .name = "an empty line is refused",
	  .part = PART_LOG,
	  .from = "Q 0",
	  .to = "",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:13: field 1: missing" },
	{ .name = "a bad hexadecimal digit is refused",
	  .part = PART_LOG,
	  .from = "P 40001000",
	  .to = "P 4000100g",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:7: field 2: not a 64-bit hexadecimal" },
	{ .name = "a number of more than 64 bits is refused",
	  .part = PART_LOG,
	  .from = "P 40001000 ",
	  .to = "P 40001000 0000000000",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:7: field 3: not a 64-bit hexadecimal" },
	{ .name = "a stream of more than 32 bits is refused",
	  .part = PART_LOG,
	  .from = "S 18",
	  .to = "S 100000018",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:9: field 2: does not fit 32 bits" },
	{ .name = "a line without its last field is refused",
	  .part = PART_LOG,
	  .from = "48090040 3 1 w",
	  .to = "48090040 3 1",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:11: field 7: missing" },
	{ .name = "a line with one field too many is refused",
	  .part = PART_LOG,
	  .from = "48090040 3 1 w",
	  .to = "48090040 3 1 w 5",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:11: field 8: one field too many" },
	{ .name = "a structure of nine words is refused",
	  .part = PART_LOG,
	  .from = "0 0 8\n",
	  .to = "0 0 8 9\n",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:8: field 10: the structure has too many" },
	{ .name = "a table entry at an odd address is refused",
	  .part = PART_LOG,
	  .from = "P 40001000",
	  .to = "P 40001001",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:7: field 2: the address is not a multiple" },
	{ .name = "a control character in a name is refused",
	  .part = PART_LOG,
	  .from = "F SMMU",
	  .to = "F \x1b[2J",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:12: field 2: not a printable word" },
	{ .name = "a last line without its end is refused",
	  .part = PART_LOG,
	  .from = "end\n",
	  .to = "end",
	  .rc = -EBADMSG,
	  .message = "log.txt.xz:14: the last line ends early" },
	/* memory.idx */
	{ .name = "a page of no snapshot is refused",
	  .part = PART_INDEX,
	  .from = "1 40001000 2",
	  .to = "2 40001000 2",
	  .rc = -EBADMSG,
	  .message = "memory.idx:4: there is no such snapshot" },
	{ .name = "a page at a crooked address is refused",
	  .part = PART_INDEX,
	  .from = "40002000",
	  .to = "40002800",
	  .rc = -EBADMSG,
	  .message = "memory.idx:2: not the address of a page" },
	{ .name = "a page below the RAM is refused",
	  .part = PART_INDEX,
	  .from = "0 40001000 0",
	  .to = "0 3ffff000 0",
	  .rc = -EBADMSG,
	  .message = "memory.idx:1: the page is not in the guest's RAM" },
	{ .name = "a page above the RAM is refused",
	  .part = PART_INDEX,
	  .from = "40003000",
	  .to = "41000000",
	  .rc = -EBADMSG,
	  .message = "memory.idx:3: the page is not in the guest's RAM" },
	{ .name = "pages out of order are refused",
	  .part = PART_INDEX,
	  .from = "40003000",
	  .to = "40002000",
	  .rc = -EBADMSG,
	  .message = "memory.idx:3: not in ascending order" },
	{ .name = "a page number that leaves a gap is refused",
	  .part = PART_INDEX,
	  .from = "40001000 2",
	  .to = "40001000 3",
	  .rc = -EBADMSG,
	  .message = "memory.idx:4: the page number leaves a gap" },
	{ .name = "a number of pages other than declared is refused",
	  .part = PART_META,
	  .from = "\"pages\": 3",
	  .to = "\"pages\": 2",
	  .rc = -EBADMSG,
	  .message = "memory.idx:3: snapshot 0 has 3 pages, meta.json says 2" },
	{ .name = "an index line that ends early is refused",
	  .part = PART_INDEX,
	  .cut = 1,
	  .rc = -EBADMSG,
	  .message = "memory.idx:4: the last line ends early" },
	{ .name = "an index line with bad hexadecimal is refused",
	  .part = PART_INDEX,
	  .from = "40003000",
	  .to = "0x400030",
	  .rc = -EBADMSG,
	  .message = "memory.idx:3: field 2: not a 64-bit hexadecimal" },
	/* translations */
	{ .name = "another header of the translations is refused",
	  .part = PART_ROWS,
	  .from = "stream,substream",
	  .to = "stream,sub",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:1: the header is not" },
	{ .name = "a row of no snapshot is refused",
	  .part = PART_ROWS,
	  .from = "1,0x28",
	  .to = "2,0x28",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: there is no such snapshot" },
	{ .name = "rows out of order are refused",
	  .part = PART_ROWS,
	  .from = "1,0x28",
	  .to = "0,0x28",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: the snapshots are not in order" },
	{ .name = "a number of leaves other than declared is refused",
	  .part = PART_META,
	  .from = "\"leaves\": 2",
	  .to = "\"leaves\": 3",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: the number of rows" },
	{ .name = "a leaf whose size is no power of two is refused",
	  .part = PART_ROWS,
	  .from = "0x200000,",
	  .to = "0x300000,",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: field 6: not a power of two" },
	{ .name = "a leaf of size 0 is refused",
	  .part = PART_ROWS,
	  .from = "0x200000,",
	  .to = "0x0,",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: field 6: not a power of two" },
	{ .name = "a crooked leaf is refused",
	  .part = PART_ROWS,
	  .from = "0x40000000,",
	  .to = "0x40001000,",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: field 6: the leaf is not" },
	{ .name = "unknown permissions are refused",
	  .part = PART_ROWS,
	  .from = "-w,",
	  .to = "-z,",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: field 7: not permissions" },
	{ .name = "an unknown substream is refused",
	  .part = PART_ROWS,
	  .from = "0x28,0,",
	  .to = "0x28,rod,",
	  .rc = -EBADMSG,
	  .message = "translations.csv.xz:4: field 3: not a substream" },
};

#define NR_BREAKAGES (sizeof(breakages) / sizeof(breakages[0]))

static void check_refused(struct recording *rec, int rc, const char *message)
{
	struct trace_error err = { "" };
	struct tally tally = { 0 };
	int got;

	recording_write(rec);
	got = read_everything(rec->dir, &tally, &err);
	recording_remove(rec);
	recording_free(rec);
	if (got != rc || !strstr(err.text, message) ||
	    strncmp(err.text, rec->dir, strlen(rec->dir)))
		fail_msg("%d, \"%s\"; expected %d, \"%s\"", got, err.text, rc,
			 message);
	assert_null(strchr(err.text, '\n'));
}

static void test_breakage(void **state)
{
	const struct breakage *b = *state;
	struct recording rec;
	struct part *part;

	recording_init(&rec);
	part = &rec.parts[b->part];
	if (b->from)
		recording_edit(&rec, b->part, b->from, b->to);
	if (b->resize)
		recording_resize(&rec, b->part, b->resize);
	part->cut = b->cut;
	part->flip = b->flip;
	part->append = b->append;
	part->absent = b->absent;
	check_refused(&rec, b->rc, b->message);
}

static void an_endless_line_is_refused(void **state)
{
	struct recording rec;
	char line[70000];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "E ", 2);
	line[sizeof(line) - 1] = '\0';
	recording_init(&rec);
	recording_edit(&rec, PART_LOG, "Q 0", line);
	check_refused(&rec, -EBADMSG, "log.txt.xz:13: the line is too long");
}

/* The longest line that may be has 1023 characters. */
static void a_line_of_1023_characters_is_read_one_of_1024_is_not(void **state)
{
	struct trace_error err = { "" };
	struct tally tally = { 0 };
	struct recording rec;
	char line[1025] = "";

	(void)state;
	memset(line, 'x', 1023);
	memcpy(line, "E ", 2);
	recording_init(&rec);
	recording_edit(&rec, PART_LOG, "Q 0", line);
	recording_write(&rec);
	assert_int_equal(read_everything(rec.dir, &tally, &err), 0);
	recording_remove(&rec);
	recording_free(&rec);

	line[1023] = 'x';
	recording_init(&rec);
	recording_edit(&rec, PART_LOG, "Q 0", line);
	check_refused(&rec, -EBADMSG, "log.txt.xz:13: the line is too long");
}

static void a_zero_byte_in_a_line_is_refused(void **state)
{
	struct recording rec;
	char *at;

	(void)state;
	recording_init(&rec);
	at = strstr((char *)rec.parts[PART_LOG].data, "Q 0\n");
	assert_non_null(at);
	at[2] = '\0';
	check_refused(&rec, -EBADMSG, "log.txt.xz:13: field 2: not a 64-bit");
}

static void a_fifo_in_the_place_of_a_file_does_not_hang(void **state)
{
	struct trace_error err;
	struct trace *trace;
	struct recording rec;
	char path[256];
	int rc;

	(void)state;
	recording_init(&rec);
	rec.parts[PART_COMMANDS].absent = true;
	recording_write(&rec);
	snprintf(path, sizeof(path), "%s/commands.bin.xz", rec.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	rc = trace_open(rec.dir, &trace, &err);
	recording_remove(&rec);
	recording_free(&rec);
	assert_int_equal(rc, -EBADMSG);
	assert_non_null(strstr(err.text, ":0: not a regular file"));
}

static void the_error_is_optional(void **state)
{
	struct trace *trace = NULL;

	(void)state;
	assert_int_equal(trace_open("/nonexistent", &trace, NULL), -ENOENT);
	assert_null(trace);
}

static void the_made_up_recording_is_read_as_written(void **state)
{
	struct trace_error err = { "" };
	const struct trace_snapshot *snap;
	struct recording rec;
	struct trace *trace;
	uint64_t value;

	(void)state;
	recording_init(&rec);
	recording_write(&rec);
	assert_int_equal(trace_open(rec.dir, &trace, &err), 0);
	assert_int_equal(trace->meta.iommu, TRACE_SMMUV3);
	assert_int_equal(trace->meta.ram_base, 0x40000000);
	assert_int_equal(trace->meta.ram_mib, 16);
	assert_int_equal(trace->meta.nr_devices, 1);
	assert_int_equal(trace_command_word(trace, 0, 1), 0x1f);
	assert_int_equal(trace_command_word(trace, 2, 0), 0x46);
	assert_int_equal(trace->nr_events, 1);
	assert_int_equal(trace_event_word(trace, 0, 0), 0x1800000010);
	assert_int_equal(
		trace_count_get(&trace->meta.opcodes, "TLBI_NSNH_ALL", &value),
		0);
	assert_int_equal(value, 1);
	snap = &trace->meta.snapshots[0];
	assert_string_equal(snap->name, "boot");
	assert_int_equal(trace_count_get(&snap->registers, "IDR0", &value), 0);
	assert_int_equal(value, 0xd44101b);
	value = 7;
	assert_int_equal(trace_count_get(&snap->registers, "IDR1", &value),
			 -ENOENT);
	assert_int_equal(value, 7);
	assert_int_equal(snap->nr_records, 2);
	assert_string_equal(snap->records[0].name, "ste");
	assert_int_equal(snap->records[0].stream, 24);
	assert_int_equal(snap->records[0].words[1], 0xd6);
	assert_string_equal(snap->records[1].name, "cd");
	assert_int_equal(snap->records[1].words[0], 0x1e204c0003510);
	trace_close(trace);
	recording_remove(&rec);
	recording_free(&rec);
}

static void pages_are_found_in_their_snapshot_only(void **state)
{
	struct trace_error err;
	struct recording rec;
	struct trace *trace;

	(void)state;
	recording_init(&rec);
	recording_write(&rec);
	assert_int_equal(trace_open(rec.dir, &trace, &err), 0);
	assert_int_equal(trace->spans[0].nr, 3);
	assert_int_equal(trace->spans[1].nr, 1);
	assert_int_equal(trace->spans[0].pages[1].addr, 0x40002000);
	assert_int_equal(trace_page_at(trace, 0, 0x40001000)[0], 0xa0);
	assert_int_equal(trace_page_at(trace, 0, 0x40002000)[0], 0xa1);
	assert_int_equal(trace_page_at(trace, 0, 0x40003000)[0], 0xa0);
	assert_int_equal(trace_page_at(trace, 1, 0x40001000)[0], 0xa2);
	assert_null(trace_page_at(trace, 1, 0x40002000));
	assert_null(trace_page_at(trace, 0, 0x40004000));
	assert_null(trace_page_at(trace, 0, 0x40001008));
	assert_null(trace_page_at(trace, 2, 0x40001000));
	trace_close(trace);
	recording_remove(&rec);
	recording_free(&rec);
}

static void rows_come_for_the_snapshot_asked_for(void **state)
{
	struct trace_error err;
	struct trace_rows *rows;
	struct trace_row row;
	struct recording rec;
	struct trace *trace;

	(void)state;
	recording_init(&rec);
	recording_write(&rec);
	assert_int_equal(trace_open(rec.dir, &trace, &err), 0);
	assert_int_equal(trace_rows_open(trace, 1, &rows, &err), 0);
	assert_int_equal(trace_rows_next(rows, &row), 1);
	assert_int_equal(row.stream, 0x18);
	assert_int_equal(row.perms, TRACE_ROW_R | TRACE_ROW_NO_AF);
	assert_int_equal(trace_rows_next(rows, &row), 1);
	assert_int_equal(row.iova, 0x40000000);
	assert_int_equal(row.pa, 0x40200000);
	assert_int_equal(row.size, 0x200000);
	assert_int_equal(row.perms, TRACE_ROW_W);
	assert_int_equal(row.descriptor, 0x40200685);
	assert_int_equal(trace_rows_next(rows, &row), 0);
	assert_int_equal(trace_rows_next(rows, &row), 0);
	trace_rows_close(rows);
	assert_int_equal(trace_rows_open(trace, 2, &rows, &err), -ENOENT);
	trace_close(trace);
	recording_remove(&rec);
	recording_free(&rec);
}

static void check_recording(const char *path)
{
	struct trace_error err = { "" };
	struct tally tally = { 0 };
	struct trace *trace;
	uint64_t leaves = 0;
	uint64_t pages = 0;

	if (trace_open(path, &trace, &err) || read_log(trace, &tally, &err) ||
	    read_rows(trace, &tally, &err))
		fail_msg("%s", err.text);
	assert_int_equal(tally.commands, trace->meta.commands);
	assert_int_equal(tally.snapshots, trace->meta.nr_snapshots);
	/* AMD-Vi counts its page faults among the translations */
	if (trace->meta.iommu == TRACE_AMDVI)
		tally.translations += trace->nr_events;
	assert_int_equal(tally.translations, trace->meta.translations);
	for (size_t i = 0; i < trace->meta.nr_snapshots; i++) {
		leaves += trace->meta.snapshots[i].leaves;
		pages += trace->spans[i].nr;
		assert_int_equal(trace->spans[i].nr,
				 trace->meta.snapshots[i].pages);
		assert_true(trace->meta.snapshots[i].registers.nr > 0);
		assert_true(trace->meta.snapshots[i].nr_records > 0);
	}
	assert_int_equal(tally.rows, leaves);
	assert_true(pages > 0);
	trace_close(trace);
}

static size_t check_recordings(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	char sub[4096];
	struct stat st;
	size_t nr = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, entry->d_name);
		if (stat(sub, &st) || !S_ISDIR(st.st_mode))
			continue;
		check_recording(sub);
		nr++;
	}
	if (dir)
		closedir(dir);
	return nr;
}

static void the_recordings_of_the_tree_agree_with_themselves(void **state)
{
	const char *path = getenv("NESTFD_TRACES");

	(void)state;
	assert_non_null(path);
	assert_true(check_recordings(path) >= 2);
}

static void all_further_recordings_agree_with_themselves(void **state)
{
	const char *path = getenv("NESTFD_MORE_TRACES");
	size_t nr;

	(void)state;
	if (!path || !(nr = check_recordings(path)))
		skip();
	else
		print_message("%zu further recordings\n", nr);
}

static int read_vtd(const struct recording *rec, struct tally *tally)
{
	struct trace_error err = { "" };
	int rc;

	recording_write((struct recording *)rec);
	memset(tally, 0, sizeof(*tally));
	rc = read_everything(rec->dir, tally, &err);
	recording_remove((struct recording *)rec);
	if (rc)
		print_message("%s\n", err.text);
	return rc;
}

static void a_vtd_recording_is_read_as_written(void **state)
{
	struct recording rec;
	struct tally tally;

	(void)state;
	recording_init_vtd(&rec);
	assert_int_equal(read_vtd(&rec, &tally), 0);
	assert_int_equal(tally.commands, 3);
	assert_int_equal(tally.translations, 1);
	assert_int_equal(tally.rows, 3);
	recording_free(&rec);
}

/* Each makes one thing of the recording above untrue. */
static void a_vtd_recording_is_checked_like_any_other(void **state)
{
	static const struct {
		int part;
		const char *from;
		const char *to;
	} cases[] = {
		/* a command too few, and not in its order */
		{ PART_LOG, "C 2 IEC\n", "" },
		{ PART_LOG, "C 1 WAIT\n", "C 2 WAIT\n" },
		/* a name that belongs to another type */
		{ PART_LOG, "C 1 WAIT", "C 1 IEC" },
		{ PART_META, "\"PIOTLB\": 1, \"WAIT\": 1",
		  "\"PIOTLB\": 2, \"WAIT\": 0" },
		/* lines of an SMMUv3 */
		{ PART_LOG, "TE 1\n", "Q 0\n" },
		{ PART_LOG, "QE 1\n", "S 18 40003000\n" },
		/* a translation too few; what is none */
		{ PART_LOG, "T 18 fffff000 48090000 fff w 48090003 2\n", "" },
		{ PART_LOG, "48090003 2", "48090000 2" },
		{ PART_LOG, "48090000 fff", "48090000 1fffff" },
		{ PART_LOG, "F 18 113", "F 18 300" },
		/* the wrong width, and half a command */
		{ PART_META, "\"entry_bytes\": 32", "\"entry_bytes\": 16" },
		{ PART_META, "\"entry_bytes\": 32", "\"entry_bytes\": 24" },
		{ PART_META, "\"commands\": 3", "\"commands\": 4" },
		{ PART_ROWS, "0,0x18,rid", "0,0x18,ri" },
	};
	struct recording rec;
	struct tally tally;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		recording_init_vtd(&rec);
		recording_edit(&rec, cases[i].part, cases[i].from, cases[i].to);
		assert_int_equal(read_vtd(&rec, &tally),
				 i == 10 ? -EFBIG : -EBADMSG);
		recording_free(&rec);
	}
}

int main(void)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(an_endless_line_is_refused),
		cmocka_unit_test(
			a_line_of_1023_characters_is_read_one_of_1024_is_not),
		cmocka_unit_test(a_zero_byte_in_a_line_is_refused),
		cmocka_unit_test(a_fifo_in_the_place_of_a_file_does_not_hang),
		cmocka_unit_test(the_error_is_optional),
		cmocka_unit_test(the_made_up_recording_is_read_as_written),
		cmocka_unit_test(a_vtd_recording_is_read_as_written),
		cmocka_unit_test(a_vtd_recording_is_checked_like_any_other),
		cmocka_unit_test(pages_are_found_in_their_snapshot_only),
		cmocka_unit_test(rows_come_for_the_snapshot_asked_for),
		cmocka_unit_test(
			the_recordings_of_the_tree_agree_with_themselves),
		cmocka_unit_test(all_further_recordings_agree_with_themselves),
	};
	const size_t nr_fixed = sizeof(fixed) / sizeof(fixed[0]);
	struct CMUnitTest all[NR_BREAKAGES + sizeof(fixed) / sizeof(fixed[0])];

	memset(all, 0, sizeof(all));
	memcpy(all, fixed, sizeof(fixed));
	for (size_t i = 0; i < NR_BREAKAGES; i++) {
		all[nr_fixed + i].name = breakages[i].name;
		all[nr_fixed + i].test_func = test_breakage;
		all[nr_fixed + i].initial_state = (void *)&breakages[i];
	}
	return _cmocka_run_group_tests("trace", all, nr_fixed + NR_BREAKAGES,
				       NULL, NULL);
}
