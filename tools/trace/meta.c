// SPDX-License-Identifier: MIT
/*
 * meta.json. A wrong field has no place in the text that jansson could tell,
 * so the message names it by its path and says 0 for the offset.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Where in the document we are, for messages. */
struct place {
	const char *file;
	struct trace_error *err;
	char path[64];
};

static int bad_field(const struct place *at, const char *key, const char *what)
{
	return trace_fail(at->err, -EBADMSG, at->file, 0, "%s%s: %s", at->path,
			  key, what);
}

static int no_memory(const struct place *at)
{
	return trace_fail(at->err, -ENOMEM, at->file, 0, "out of memory");
}

static int get_u64(const struct place *at, const json_t *obj, const char *key,
		   uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return bad_field(at, key, "not a number from 0 up");
	if ((uint64_t)json_integer_value(v) > max)
		return bad_field(at, key, "too large");
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

static int get_bool(const struct place *at, const json_t *obj, const char *key,
		    bool *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_boolean(v))
		return bad_field(at, key, "neither true nor false");
	*out = json_is_true(v);
	return 0;
}

static int get_string(const struct place *at, const json_t *obj,
		      const char *key, char **out)
{
	const char *text = json_string_value(json_object_get(obj, key));
	char *copy;

	if (!text)
		return bad_field(at, key, "not a string");
	copy = strdup(text);
	if (!copy)
		return no_memory(at);
	*out = copy;
	return 0;
}

/* A number of up to 64 bits, all of the string; "0x" may stand before it. */
static bool parse_hex(const char *text, uint64_t *out)
{
	char *end;

	if (!text)
		return false;
	if (!strncmp(text, "0x", 2))
		text += 2;
	if (!*text || strspn(text, "0123456789abcdef") != strlen(text) ||
	    strlen(text) > 16)
		return false;
	*out = strtoull(text, &end, 16);
	return true;
}

static int get_hex(const struct place *at, const json_t *obj, const char *key,
		   uint64_t *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!parse_hex(json_string_value(v), out))
		return bad_field(at, key, "not a 64-bit hexadecimal string");
	return 0;
}

static bool count_value(const json_t *v, uint64_t *out)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*out = (uint64_t)json_integer_value(v);
		return true;
	}
	return parse_hex(json_string_value(v), out);
}

/* An object of numbers; registers have theirs as hexadecimal strings. */
static int get_counts(const struct place *at, json_t *parent, const char *key,
		      struct trace_counts *out)
{
	json_t *obj = json_object_get(parent, key);
	const char *name;
	json_t *v;

	if (!json_is_object(obj))
		return bad_field(at, key, "not an object");
	out->entries = calloc(json_object_size(obj) + 1, sizeof(*out->entries));
	if (!out->entries)
		return no_memory(at);
	json_object_foreach(obj, name, v)
	{
		struct trace_count *entry = &out->entries[out->nr];

		if (!count_value(v, &entry->value))
			return bad_field(at, key, "holds what is no number");
		entry->name = strdup(name);
		if (!entry->name)
			return no_memory(at);
		out->nr++;
	}
	return 0;
}

static int get_strings(const struct place *at, const json_t *parent,
		       const char *key, char ***out, size_t *nr)
{
	const json_t *list = json_object_get(parent, key);
	const char *text;

	if (!json_is_array(list))
		return bad_field(at, key, "not a list");
	*out = calloc(json_array_size(list) + 1, sizeof(**out));
	if (!*out)
		return no_memory(at);
	for (size_t i = 0; i < json_array_size(list); i++) {
		text = json_string_value(json_array_get(list, i));
		if (!text)
			return bad_field(at, key, "holds what is no string");
		(*out)[i] = strdup(text);
		if (!(*out)[i])
			return no_memory(at);
		(*nr)++;
	}
	return 0;
}

static const char *const record_names[] = { "ste", "cd", "context", "entry",
					    "dte", "dc", "pc",	    "root" };

/* Names are constant, so that records need no strings of their own. */
static const char *record_name(const char *key)
{
	for (size_t i = 0; i < sizeof(record_names) / sizeof(*record_names);
	     i++)
		if (!strcmp(record_names[i], key))
			return record_names[i];
	return NULL;
}

static int add_record(const struct place *at, struct trace_snapshot *snap,
		      const char *name, uint32_t stream, uint32_t id,
		      const json_t *words)
{
	struct trace_record rec = { .name = name, .stream = stream, .id = id };
	struct trace_record *grown;
	const json_t *v;

	rec.nr_words = (unsigned int)json_array_size(words);
	if (json_array_size(words) > TRACE_MAX_RECORD_WORDS)
		return bad_field(at, name, "has too many words");
	for (unsigned int i = 0; i < rec.nr_words; i++) {
		v = json_array_get(words, i);
		if (!parse_hex(json_string_value(v), &rec.words[i]))
			return bad_field(at, name, "not hexadecimal words");
	}
	/* grown by doubling: capacity is the next power of two */
	if (!(snap->nr_records & (snap->nr_records - 1))) {
		grown = reallocarray(snap->records,
				     snap->nr_records ? snap->nr_records * 2
						      : 1,
				     sizeof(*grown));
		if (!grown)
			return no_memory(at);
		snap->records = grown;
	}
	snap->records[snap->nr_records++] = rec;
	return 0;
}

/* A CD or PASID entry: an object with its number and its words. */
static int add_inner(const struct place *at, struct trace_snapshot *snap,
		     const char *outer, uint32_t stream, json_t *obj)
{
	uint64_t id = 0;
	const char *key;
	json_t *v;
	int rc;

	if (json_object_get(obj, "ssid"))
		rc = get_u64(at, obj, "ssid", UINT32_MAX, &id);
	else
		rc = get_u64(at, obj, "pasid", UINT32_MAX, &id);
	if (rc)
		return rc;
	json_object_foreach(obj, key, v)
	{
		const char *name = record_name(key);

		if (!json_is_array(v))
			continue;
		if (!name)
			name = record_name(outer);
		if (!name)
			continue;
		rc = add_record(at, snap, name, stream, (uint32_t)id, v);
		if (rc)
			return rc;
	}
	return 0;
}

/* Lists of words are structures; lists of objects hold more of them. */
static int add_table(const struct place *at, struct trace_snapshot *snap,
		     json_t *table)
{
	uint64_t stream;
	const char *key;
	json_t *first;
	json_t *v;
	int rc;

	if (!json_is_object(table))
		return bad_field(at, "tables", "holds what is no object");
	rc = get_u64(at, table, "stream", UINT32_MAX, &stream);
	if (rc)
		return rc;
	json_object_foreach(table, key, v)
	{
		first = json_array_get(v, 0);
		if (json_is_string(first) && record_name(key))
			rc = add_record(at, snap, record_name(key),
					(uint32_t)stream, 0, v);
		for (size_t i = 0;
		     !rc && json_is_object(first) && i < json_array_size(v);
		     i++)
			rc = add_inner(at, snap, key, (uint32_t)stream,
				       json_array_get(v, i));
		if (rc)
			return rc;
	}
	return 0;
}

static int parse_tables(const struct place *at, struct trace_snapshot *snap,
			const json_t *obj)
{
	const json_t *tables = json_object_get(obj, "tables");
	int rc = 0;

	if (!tables)
		return 0;
	if (!json_is_array(tables))
		return bad_field(at, "tables", "not a list");
	for (size_t i = 0; !rc && i < json_array_size(tables); i++)
		rc = add_table(at, snap, json_array_get(tables, i));
	return rc;
}

static int parse_snapshot(const struct place *at, const struct trace_meta *meta,
			  size_t index, json_t *obj,
			  struct trace_snapshot *snap)
{
	uint64_t number;
	int rc;

	rc = get_u64(at, obj, "index", TRACE_MAX_SNAPSHOTS, &number);
	if (!rc && number != index)
		rc = bad_field(at, "index", "not the position in the list");
	if (!rc)
		rc = get_string(at, obj, "name", &snap->name);
	if (!rc)
		rc = get_bool(at, obj, "quiescent", &snap->quiescent);
	if (!rc)
		rc = get_u64(at, obj, "commands_consumed", meta->commands,
			     &snap->commands_consumed);
	if (!rc && index &&
	    snap->commands_consumed < snap[-1].commands_consumed)
		rc = bad_field(at, "commands_consumed", "goes backwards");
	if (!rc)
		rc = get_u64(at, obj, "leaves", TRACE_MAX_BYTES, &snap->leaves);
	if (!rc)
		rc = get_u64(at, obj, "pages", TRACE_MAX_BYTES, &snap->pages);
	if (!rc)
		rc = get_counts(at, obj, "registers", &snap->registers);
	if (!rc && json_object_get(obj, "reference_tlb"))
		rc = get_counts(at, obj, "reference_tlb", &snap->reference_tlb);
	return rc ? rc : parse_tables(at, snap, obj);
}

static int parse_snapshots(const struct place *top, json_t *doc,
			   struct trace_meta *meta)
{
	const json_t *list = json_object_get(doc, "snapshots");
	struct place at = *top;
	size_t nr = json_array_size(list);
	int rc = 0;

	if (!json_is_array(list))
		return bad_field(top, "snapshots", "not a list");
	if (nr > TRACE_MAX_SNAPSHOTS)
		return bad_field(top, "snapshots", "too many");
	meta->snapshots = calloc(nr + 1, sizeof(*meta->snapshots));
	if (!meta->snapshots)
		return no_memory(top);
	meta->nr_snapshots = nr;
	for (size_t i = 0; !rc && i < nr; i++) {
		snprintf(at.path, sizeof(at.path), "snapshots[%zu].", i);
		rc = parse_snapshot(&at, meta, i, json_array_get(list, i),
				    &meta->snapshots[i]);
	}
	return rc;
}

static const struct {
	const char *name;
	enum trace_iommu iommu;
} iommus[] = {
	{ "Arm SMMUv3", TRACE_SMMUV3 },
	{ "Intel VT-d", TRACE_VTD },
	{ "AMD-Vi", TRACE_AMDVI },
	{ "RISC-V", TRACE_RISCV },
};

static int parse_iommu(const struct place *at, const json_t *doc,
		       struct trace_meta *meta)
{
	int rc = get_string(at, doc, "iommu", &meta->iommu_name);

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(iommus) / sizeof(iommus[0]); i++) {
		if (strncmp(meta->iommu_name, iommus[i].name,
			    strlen(iommus[i].name)))
			continue;
		meta->iommu = iommus[i].iommu;
		return 0;
	}
	return bad_field(at, "iommu", "not an IOMMU known here");
}

static int parse_sizes(const struct place *at, const json_t *doc,
		       struct trace_meta *meta)
{
	uint64_t bytes;
	int rc;

	rc = get_u64(at, doc, "entry_bytes", 32, &bytes);
	if (rc)
		return rc;
	if (bytes != 16 && (bytes != 32 || meta->iommu != TRACE_VTD))
		return bad_field(at, "entry_bytes",
				 "not the size of a command of this IOMMU");
	meta->entry_bytes = (uint32_t)bytes;
	rc = get_u64(at, doc, "commands", TRACE_MAX_BYTES / bytes,
		     &meta->commands);
	if (!rc)
		rc = get_u64(at, doc, "translations", INT64_MAX,
			     &meta->translations);
	if (!rc)
		rc = get_hex(at, doc, "ram_base", &meta->ram_base);
	/* 2^32 MiB is all of a 52-bit physical space */
	if (!rc)
		rc = get_u64(at, doc, "ram_mib", 1ULL << 32, &meta->ram_mib);
	return rc;
}

static int parse_texts(const struct place *at, const json_t *doc,
		       struct trace_meta *meta)
{
	int rc;

	rc = get_string(at, doc, "guest_kernel", &meta->guest_kernel);
	if (!rc)
		rc = get_string(at, doc, "qemu", &meta->qemu);
	if (!rc)
		rc = get_string(at, doc, "command_line", &meta->command_line);
	if (!rc)
		rc = get_string(at, doc, "workload", &meta->workload);
	if (!rc)
		rc = get_strings(at, doc, "devices", &meta->devices,
				 &meta->nr_devices);
	if (!rc)
		rc = get_bool(at, doc, "complete", &meta->complete);
	return rc;
}

static int parse_histograms(const struct place *at, json_t *doc,
			    struct trace_meta *meta)
{
	const struct {
		const char *key;
		struct trace_counts *counts;
	} all[] = {
		{ "opcodes", &meta->opcodes },
		{ "opcodes_by_granularity", &meta->opcodes_by_granularity },
		{ "commands_per_sync", &meta->commands_per_sync },
		{ "commands_per_doorbell", &meta->commands_per_doorbell },
		{ "range_invalidations", &meta->range_invalidations },
		{ "translations_by_stream", &meta->translations_by_stream },
		{ "checks", &meta->checks },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(all) / sizeof(all[0]); i++)
		rc = get_counts(at, doc, all[i].key, all[i].counts);
	return rc;
}

static int check_opcodes(const struct place *at, const struct trace_meta *meta)
{
	uint64_t left = meta->commands;

	for (size_t i = 0; i < meta->opcodes.nr; i++) {
		if (meta->opcodes.entries[i].value > left)
			return bad_field(at, "opcodes",
					 "more commands than there are");
		left -= meta->opcodes.entries[i].value;
	}
	return left ? bad_field(at, "opcodes", "fewer commands than there are")
		    : 0;
}

static void free_counts(struct trace_counts *counts)
{
	for (size_t i = 0; i < counts->nr; i++)
		free(counts->entries[i].name);
	free(counts->entries);
}

void trace_meta_free(struct trace_meta *meta)
{
	for (size_t i = 0; i < meta->nr_snapshots; i++) {
		free(meta->snapshots[i].name);
		free(meta->snapshots[i].records);
		free_counts(&meta->snapshots[i].registers);
		free_counts(&meta->snapshots[i].reference_tlb);
	}
	free(meta->snapshots);
	for (size_t i = 0; i < meta->nr_devices; i++)
		free(meta->devices[i]);
	free(meta->devices);
	free_counts(&meta->opcodes);
	free_counts(&meta->opcodes_by_granularity);
	free_counts(&meta->commands_per_sync);
	free_counts(&meta->commands_per_doorbell);
	free_counts(&meta->range_invalidations);
	free_counts(&meta->translations_by_stream);
	free_counts(&meta->checks);
	free(meta->iommu_name);
	free(meta->guest_kernel);
	free(meta->qemu);
	free(meta->command_line);
	free(meta->workload);
}

int trace_parse_meta(const char *text, size_t len, const char *file,
		     struct trace_meta *meta, struct trace_error *err)
{
	struct place at = { .file = file, .err = err };
	struct trace_meta out = { 0 };
	json_error_t bad;
	json_t *doc;
	int rc;

	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
	if (!doc)
		return trace_fail(
			err, -EBADMSG, file,
			(uint64_t)(bad.position < 0 ? 0 : bad.position), "%s",
			bad.text);
	rc = parse_iommu(&at, doc, &out);
	if (!rc)
		rc = parse_sizes(&at, doc, &out);
	if (!rc)
		rc = parse_texts(&at, doc, &out);
	if (!rc)
		rc = parse_histograms(&at, doc, &out);
	if (!rc)
		rc = check_opcodes(&at, &out);
	if (!rc)
		rc = parse_snapshots(&at, doc, &out);
	json_decref(doc);
	if (rc)
		trace_meta_free(&out);
	else
		*meta = out;
	return rc;
}
