// SPDX-License-Identifier: MIT
/*
 * The parsers of a recording's files, on memory. The first byte chooses the
 * parser, for a log the second one the IOMMU.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "trace/internal.h"
#include "trace/smmuv3.h"
#include "trace/vtd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void (*line_user)(unsigned int iommu, char *line, size_t len);

/* What a replay relies on */
static void check_vtd(const struct trace_event *ev)
{
	const struct trace_translation *t = &ev->translate;

	if (ev->type == TRACE_EV_TRANSLATE &&
	    (t->stream > 0xffff || t->mask & (t->mask + 1) ||
	     (t->mask & 0xfff) != 0xfff || t->pa & t->mask))
		abort();
	if (ev->type == TRACE_EV_TRANSLATE && t->has_leaf &&
	    (!(t->leaf & 3) || t->domain > 0xffff))
		abort();
	if (ev->type == TRACE_EV_FAULT &&
	    (!ev->fault.reason || ev->fault.reason > 0xff))
		abort();
}

static void use_event(unsigned int iommu, char *line, size_t len)
{
	struct trace_event ev;
	struct trace_cursor cur;
	struct trace_error err;

	if (trace_parse_event(iommu % 4, line, len, &ev, &cur)) {
		trace_fail_line(&err, "log", 1, &cur);
		return;
	}
	/* strings must end within the line */
	if (ev.type == TRACE_EV_COMMAND && strlen(ev.command.name) > len)
		abort();
	if (ev.type == TRACE_EV_DROP && strlen(ev.note.text) > len)
		abort();
	if (ev.type == TRACE_EV_RECORD && ev.record.nr > TRACE_MAX_RECORD_WORDS)
		abort();
	if (iommu % 4 == TRACE_VTD)
		check_vtd(&ev);
}

static void use_row(unsigned int iommu, char *line, size_t len)
{
	struct trace_row row;
	struct trace_cursor cur;
	struct trace_error err;

	(void)iommu;
	if (trace_parse_row(line, len, &row, &cur)) {
		trace_fail_line(&err, "rows", 1, &cur);
		return;
	}
	if (!row.size || (row.size & (row.size - 1)))
		abort();
}

/* Each line in memory of its own, so that reading past it is seen. */
static void for_lines(const uint8_t *data, size_t size, unsigned int iommu,
		      line_user use)
{
	const uint8_t *nl;
	size_t len;
	char *line;

	for (; size; data += len, size -= len) {
		nl = memchr(data, '\n', size);
		len = nl ? (size_t)(nl - data) : size;
		line = malloc(len + 1);
		if (!line)
			return;
		memcpy(line, data, len);
		line[len] = '\0';
		use(iommu, line, len);
		free(line);
		len += nl != NULL;
	}
}

static void use_index(const uint8_t *data, size_t size)
{
	struct trace_snapshot snaps[2] = { { .pages = 1 }, { .pages = 2 } };
	struct trace_meta meta = { .ram_mib = 1ULL << 32,
				   .snapshots = snaps,
				   .nr_snapshots = 2 };
	struct trace_index index;
	struct trace_error err;
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	if (!trace_parse_index(text, size, "index", &meta, &index, &err)) {
		if (index.nr != 3 || index.nr_pages > 3)
			abort();
		free(index.entries);
	}
	free(text);
}

static void use_meta(const uint8_t *data, size_t size)
{
	struct trace_meta meta;
	struct trace_error err;

	if (trace_parse_meta((const char *)data, size, "meta", &meta, &err))
		return;
	if (meta.commands > TRACE_MAX_BYTES / meta.entry_bytes)
		abort();
	trace_meta_free(&meta);
}

static void use_decoder(const uint8_t *data, size_t size)
{
	uint64_t words[8] = { 0 };
	char text[300];

	memcpy(words, data, size < sizeof(words) ? size : sizeof(words));
	smmuv3_text_command(words, text, sizeof(text));
	smmuv3_text_event(words, text, sizeof(text));
	smmuv3_text_ste(words, text, sizeof(text));
	smmuv3_text_cd(words, text, sizeof(text));
	vtd_text_command(words, text, sizeof(text));
	vtd_text_fault(words, text, sizeof(text));
	vtd_text_root(words, text, sizeof(text));
	vtd_text_context(words, text, sizeof(text));
	vtd_text_sm_root(words, text, sizeof(text));
	vtd_text_sm_context(words, text, sizeof(text));
	vtd_text_directory(words, text, sizeof(text));
	vtd_text_pasid(words, text, sizeof(text));
	vtd_text_first(words, text, sizeof(text));
	vtd_text_second(words, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0] % 5) {
	case 0:
		for_lines(data + 2, size - 2, data[1], use_event);
		break;
	case 1:
		for_lines(data + 2, size - 2, data[1], use_row);
		break;
	case 2:
		use_index(data + 2, size - 2);
		break;
	case 3:
		use_meta(data + 2, size - 2);
		break;
	case 4:
		use_decoder(data + 2, size - 2);
		break;
	}
	return 0;
}
