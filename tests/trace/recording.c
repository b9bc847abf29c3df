// SPDX-License-Identifier: MIT
/* A small recording made by hand. See recording.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording.h"

static const char meta_text[] =
	"{\n"
	" \"iommu\": \"Arm SMMUv3\",\n"
	" \"guest_kernel\": \"Linux 6.12\",\n"
	" \"qemu\": \"QEMU 11\",\n"
	" \"command_line\": \"qemu\",\n"
	" \"entry_bytes\": 16,\n"
	" \"commands\": 3,\n"
	" \"opcodes\": {\"SYNC\": 1, \"CFGI_STE_RANGE\": 1, "
	"\"TLBI_NSNH_ALL\": 1},\n"
	" \"opcodes_by_granularity\": {\"SYNC\": 1},\n"
	" \"commands_per_sync\": {\"2\": 1},\n"
	" \"commands_per_doorbell\": {\"3\": 1},\n"
	" \"range_invalidations\": {},\n"
	" \"translations\": 1,\n"
	" \"translations_by_stream\": {\"18\": 1},\n"
	" \"devices\": [\"a device\"],\n"
	" \"ram_base\": \"0x40000000\",\n"
	" \"ram_mib\": 16,\n"
	" \"workload\": \"none\",\n"
	" \"checks\": {\"walk agrees\": 1},\n"
	" \"complete\": true,\n"
	" \"snapshots\": [{\"index\": 0, \"name\": \"boot\", "
	"\"quiescent\": true, \"commands_consumed\": 2, \"leaves\": 1, "
	"\"pages\": 3, \"registers\": {\"IDR0\": \"0xd44101b\"}, "
	"\"tables\": [{\"stream\": 24, \"config\": \"s1\", "
	"\"ste\": [\"4000300b\", \"d6\", \"0\", \"0\", \"0\", \"0\", \"0\", "
	"\"0\"], \"cd\": [{\"ssid\": 0, \"words\": [\"1e204c0003510\", "
	"\"40001000\", \"0\", \"0\", \"0\", \"0\", \"0\", \"0\"]}]}]},\n"
	"  {\"index\": 1, \"name\": \"end\", \"quiescent\": false, "
	"\"commands_consumed\": 3, \"leaves\": 2, \"pages\": 1, "
	"\"registers\": {}}]\n"
	"}\n";

static const char log_text[] = "W 20 8 4\n"
			       "C 0 CFGI_STE_RANGE\n"
			       "C 1 TLBI_NSNH_ALL\n"
			       "N 0 boot\n"
			       "C 2 SYNC\n"
			       "W 98 3 4\n"
			       "P 40001000 40002003\n"
			       "R 40003000 1 0 0 0 0 0 0 8\n"
			       "S 18 40003000\n"
			       "D 40003040\n"
			       "T 18 fffff040 48090040 3 1 w\n"
			       "F SMMU_EVT_F_TRANSLATION 18\n"
			       "Q 0\n"
			       "N 1 end\n";

static const char index_text[] = "0 40001000 0\n"
				 "0 40002000 1\n"
				 "0 40003000 0\n"
				 "1 40001000 2\n";

static const char rows_text[] =
	"snapshot,stream,substream,iova,pa,size,perms,descriptor\n"
	"0,0x18,0,0xfffff000,0x8090000,0x1000,rwu,0x60000008090e4b\n"
	"1,0x18,0,0xfffff000,0x8090000,0x1000,r-noAF,0x60000008090e4b\n"
	"1,0x28,0,0x40000000,0x40200000,0x200000,-w,0x40200685\n";

static const char *const names[NR_PARTS] = {
	"meta.json",  "commands.bin.xz", "log.txt.xz",		"events.bin",
	"memory.idx", "memory.bin.xz",	 "translations.csv.xz",
};

static void set_part(struct recording *rec, int part, const void *data,
		     size_t len)
{
	struct part *p = &rec->parts[part];

	p->name = names[part];
	p->data = calloc(1, len + 1);
	assert_non_null(p->data);
	memcpy(p->data, data, len);
	p->len = len;
}

void recording_init(struct recording *rec)
{
	static const uint8_t commands[48] = {
		[0] = 0x04,
		[8] = 0x1f,
		[16] = 0x30,
		[32] = 0x46,
	};
	static const uint8_t event[32] = { [0] = 0x10, [4] = 0x18 };
	uint8_t pages[3 * 4096] = { 0 };

	pages[0] = 0xa0;
	pages[4096] = 0xa1;
	pages[2 * 4096] = 0xa2;
	memset(rec, 0, sizeof(*rec));
	set_part(rec, PART_META, meta_text, strlen(meta_text));
	set_part(rec, PART_COMMANDS, commands, sizeof(commands));
	set_part(rec, PART_LOG, log_text, strlen(log_text));
	set_part(rec, PART_EVENTS, event, sizeof(event));
	set_part(rec, PART_INDEX, index_text, strlen(index_text));
	set_part(rec, PART_MEMORY, pages, sizeof(pages));
	set_part(rec, PART_ROWS, rows_text, strlen(rows_text));
}

/* A queue of 4 KiB; one device, one page, one fault */
static const char vtd_log_text[] = "W 90 4000e000 8\n"
				   "W 18 4000000 4\n"
				   "QE 1\n"
				   "QS 4000e000 80\n"
				   "ROOT 40003000 1\n"
				   "TE 1\n"
				   "W 88 40 4\n"
				   "C 0 PIOTLB\n"
				   "C 1 WAIT\n"
				   "N 0 boot\n"
				   "W 88 60 4\n"
				   "C 2 IEC\n"
				   "R 40003000 40004001 0\n"
				   "P 40001000 48090003\n"
				   "T 18 fffff000 48090000 fff w 48090003 2\n"
				   "F 18 113 100000 0\n"
				   "FR 0 100000 4000007100000018\n"
				   "IR 1 4ff00 300009\n"
				   "Z iotlb_reset IOTLB reset\n"
				   "N 1 end\n";

void recording_init_vtd(struct recording *rec)
{
	static const uint8_t commands[96] = {
		[0] = 0x36,  [2] = 0x02,  [32] = 0x25, [36] = 0x02,
		[41] = 0xf0, [43] = 0x40, [64] = 0x04,
	};

	recording_init(rec);
	recording_edit(rec, PART_META, "Arm SMMUv3", "Intel VT-d");
	recording_edit(rec, PART_META, "\"entry_bytes\": 16",
		       "\"entry_bytes\": 32");
	recording_edit(rec, PART_META,
		       "\"opcodes\": {\"SYNC\": 1, \"CFGI_STE_RANGE\": 1, "
		       "\"TLBI_NSNH_ALL\": 1}",
		       "\"opcodes\": {\"PIOTLB\": 1, \"WAIT\": 1, "
		       "\"IEC\": 1}");
	recording_edit(rec, PART_ROWS, "0,0x18,0,0xfffff000",
		       "0,0x18,rid,0xfffff000");
	free(rec->parts[PART_COMMANDS].data);
	free(rec->parts[PART_LOG].data);
	set_part(rec, PART_COMMANDS, commands, sizeof(commands));
	set_part(rec, PART_LOG, vtd_log_text, strlen(vtd_log_text));
	rec->parts[PART_EVENTS].absent = true;
}

void recording_free(struct recording *rec)
{
	for (int i = 0; i < NR_PARTS; i++)
		free(rec->parts[i].data);
}

void recording_edit(struct recording *rec, int part, const char *from,
		    const char *to)
{
	struct part *p = &rec->parts[part];
	char *at = strstr((char *)p->data, from);
	size_t before;
	size_t len;
	uint8_t *out;

	assert_non_null(at);
	assert_null(strstr(at + 1, from));
	before = (size_t)((uint8_t *)at - p->data);
	len = p->len - strlen(from) + strlen(to);
	out = calloc(1, len + 1);
	assert_non_null(out);
	memcpy(out, p->data, before);
	memcpy(out + before, to, strlen(to));
	memcpy(out + before + strlen(to), at + strlen(from),
	       p->len - before - strlen(from));
	free(p->data);
	p->data = out;
	p->len = len;
}

void recording_resize(struct recording *rec, int part, size_t len)
{
	struct part *p = &rec->parts[part];
	uint8_t *out = calloc(1, len + 1);

	assert_non_null(out);
	memcpy(out, p->data, len < p->len ? len : p->len);
	free(p->data);
	p->data = out;
	p->len = len;
}

static void compress_part(const struct part *p, uint8_t **out, size_t *len)
{
	size_t bound = lzma_stream_buffer_bound(p->len);

	*out = malloc(bound);
	assert_non_null(*out);
	*len = 0;
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL,
						 p->data, p->len, *out, len,
						 bound),
			 LZMA_OK);
}

static void path_of(const struct recording *rec, const struct part *p,
		    char *path, size_t size)
{
	snprintf(path, size, "%s/%s", rec->dir, p->name);
}

static void write_part(const struct recording *rec, const struct part *p)
{
	char path[256];
	uint8_t *packed = NULL;
	uint8_t *data = p->data;
	size_t len = p->len;
	FILE *f;

	if (strstr(p->name, ".xz")) {
		compress_part(p, &packed, &len);
		data = packed;
	}
	assert_true(p->cut <= len && p->flip < len);
	if (p->flip)
		data[p->flip] ^= 0xff;
	path_of(rec, p, path, sizeof(path));
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len - p->cut, f), len - p->cut);
	if (p->append)
		assert_true(fputs(p->append, f) >= 0);
	assert_int_equal(fclose(f), 0);
	free(packed);
}

void recording_write(struct recording *rec)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(rec->dir, sizeof(rec->dir), "%.40s/nestfd-trace-XXXXXX",
		 tmp && *tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
	assert_non_null(mkdtemp(rec->dir));
	for (int i = 0; i < NR_PARTS; i++)
		if (!rec->parts[i].absent)
			write_part(rec, &rec->parts[i]);
}

void recording_remove(struct recording *rec)
{
	char path[256];

	for (int i = 0; i < NR_PARTS; i++) {
		path_of(rec, &rec->parts[i], path, sizeof(path));
		if (remove(path))
			assert_int_equal(errno, ENOENT);
	}
	assert_int_equal(rmdir(rec->dir), 0);
}
