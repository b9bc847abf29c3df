// SPDX-License-Identifier: MIT
/* Opening a recording: what is read as a whole, in the order of dependence. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int load_meta(struct trace *trace, struct trace_source *src,
		     struct trace_error *err)
{
	uint8_t *text;
	size_t len;
	int rc;

	rc = trace_source_open(src, trace->path, "meta.json", TRACE_MAX_META,
			       err);
	if (rc)
		return rc;
	rc = trace_source_all(src, &text, &len);
	if (rc)
		goto close_source;
	rc = trace_parse_meta((char *)text, len, src->file, &trace->meta, err);
	free(text);
close_source:
	trace_source_close(src);
	return rc;
}

static int load_commands(struct trace *trace, struct trace_source *src,
			 struct trace_error *err)
{
	uint64_t size = trace->meta.commands * trace->meta.entry_bytes;
	int rc;

	rc = trace_source_open(src, trace->path, "commands.bin.xz", 0, err);
	if (rc)
		return rc;
	rc = trace_source_exactly(src, size, &trace->commands);
	trace_source_close(src);
	return rc;
}

/* Only these two have event records, and only where there were events. */
static size_t event_bytes(enum trace_iommu iommu)
{
	switch (iommu) {
	case TRACE_SMMUV3:
		return 32;
	case TRACE_AMDVI:
		return 16;
	default:
		return 0;
	}
}

static int load_events(struct trace *trace, struct trace_source *src,
		       struct trace_error *err)
{
	size_t bytes = event_bytes(trace->meta.iommu);
	size_t size;
	int rc;

	if (!bytes)
		return 0;
	trace->event_bytes = bytes;
	rc = trace_source_open(src, trace->path, "events.bin", TRACE_MAX_INDEX,
			       err);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = trace_source_all(src, &trace->events, &size);
	if (!rc && size % bytes)
		rc = trace_fail(err, -EBADMSG, src->file, size - size % bytes,
				"the last record is cut off");
	if (!rc)
		trace->nr_events = size / bytes;
	trace_source_close(src);
	return rc;
}

int trace_open(const char *path, struct trace **out, struct trace_error *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	struct trace_source *src = malloc(sizeof(*src));
	int rc = -ENOMEM;

	if (!trace || !src)
		goto no_memory;
	trace->path = strdup(path);
	if (!trace->path)
		goto no_memory;
	rc = load_meta(trace, src, err);
	if (!rc)
		rc = load_commands(trace, src, err);
	if (!rc)
		rc = load_events(trace, src, err);
	if (!rc)
		rc = trace_load_memory(trace, err);
	free(src);
	if (rc)
		trace_close(trace);
	else
		*out = trace;
	return rc;

no_memory:
	free(src);
	free(trace);
	return trace_fail(err, rc, path, 0, "out of memory");
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	trace_meta_free(&trace->meta);
	free(trace->commands);
	free(trace->events);
	free(trace->page_data);
	free(trace->pages);
	free(trace->spans);
	free(trace->path);
	free(trace);
}

static uint64_t le_word(const uint8_t *at)
{
	uint64_t raw;

	memcpy(&raw, at, sizeof(raw));
	return le64toh(raw);
}

uint64_t trace_command_word(const struct trace *trace, uint64_t index,
			    unsigned int n)
{
	return le_word(trace->commands + index * trace->meta.entry_bytes +
		       n * 8);
}

uint64_t trace_event_word(const struct trace *trace, uint64_t index,
			  unsigned int n)
{
	return le_word(trace->events + index * trace->event_bytes + n * 8);
}

int trace_count_get(const struct trace_counts *counts, const char *name,
		    uint64_t *value)
{
	for (size_t i = 0; i < counts->nr; i++) {
		if (strcmp(counts->entries[i].name, name))
			continue;
		*value = counts->entries[i].value;
		return 0;
	}
	return -ENOENT;
}
