// SPDX-License-Identifier: MIT
/*
 * The log in its order, checked against what the rest of the recording says:
 * numbers of commands and snapshots without gaps, one name per opcode, and at
 * the end the counts of meta.json.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAX_OPCODES 256

struct trace_log {
	const struct trace *trace;
	uint64_t commands;
	uint64_t snapshots;
	uint64_t translations;
	uint64_t faults; /* that have a record in events.bin */
	bool finished;
	uint64_t *counts;	    /* per entry of meta.opcodes */
	int16_t names[MAX_OPCODES]; /* index into meta.opcodes, or -1 */
	struct trace_lines lines;
};

int trace_log_open(const struct trace *trace, struct trace_log **out,
		   struct trace_error *err)
{
	struct trace_log *log = calloc(1, sizeof(*log));
	int rc;

	if (!log)
		return trace_fail(err, -ENOMEM, trace->path, 0,
				  "out of memory");
	log->trace = trace;
	memset(log->names, 0xff, sizeof(log->names));
	log->counts = calloc(trace->meta.opcodes.nr + 1, sizeof(*log->counts));
	if (!log->counts) {
		rc = trace_fail(err, -ENOMEM, trace->path, 0, "out of memory");
		goto free_log;
	}
	rc = trace_source_open(&log->lines.src, trace->path, "log.txt.xz",
			       TRACE_MAX_BYTES, err);
	if (rc)
		goto free_log;
	*out = log;
	return 0;

free_log:
	free(log->counts);
	free(log);
	return rc;
}

void trace_log_close(struct trace_log *log)
{
	if (!log)
		return;
	trace_source_close(&log->lines.src);
	free(log->counts);
	free(log);
}

static int bad_event(struct trace_log *log, const char *what)
{
	return trace_fail(log->lines.src.err, -EBADMSG, log->lines.src.file,
			  log->lines.line, "%s", what);
}

static int bad_count(struct trace_log *log, const char *what, uint64_t here,
		     uint64_t there)
{
	return trace_fail(
		log->lines.src.err, -EBADMSG, log->lines.src.file,
		log->lines.line, "the log has %llu %s, the recording %llu",
		(unsigned long long)here, what, (unsigned long long)there);
}

/* What selects the kind of a command, squeezed into eight bits. */
static unsigned int opcode_key(enum trace_iommu iommu, uint64_t word)
{
	switch (iommu) {
	case TRACE_SMMUV3:
		return word & 0xff;
	case TRACE_VTD: /* bits 3:0, and three more in 11:9 */
		return (word & 0xf) | (word >> 5 & 0x70);
	case TRACE_AMDVI:
		return (unsigned int)(word >> 60);
	case TRACE_RISCV: /* bits 6:0 and func3; the low ones tell them apart */
		return (word & 0x1f) | (word >> 2 & 0xe0);
	}
	return 0;
}

static int find_name(const struct trace_counts *names, const char *name)
{
	for (size_t i = 0; i < names->nr && i < INT16_MAX; i++)
		if (!strcmp(names->entries[i].name, name))
			return (int)i;
	return -1;
}

/* The first command with an opcode fixes the name of all others. */
static int check_name(struct trace_log *log, uint64_t index, const char *name)
{
	const struct trace_counts *all = &log->trace->meta.opcodes;
	uint64_t word = trace_command_word(log->trace, index, 0);
	int16_t *slot;
	int found;

	slot = &log->names[opcode_key(log->trace->meta.iommu, word)];
	if (*slot < 0) {
		found = find_name(all, name);
		if (found < 0)
			return bad_event(log, "a command that meta.json does "
					      "not count");
		*slot = (int16_t)found;
	}
	if (strcmp(all->entries[*slot].name, name))
		return bad_event(log, "the name does not belong to the opcode "
				      "of this command");
	log->counts[*slot]++;
	return 0;
}

static int check_command(struct trace_log *log, const struct trace_event *ev)
{
	if (ev->command.index != log->commands)
		return bad_event(log, "not the number of the next command");
	if (ev->command.index >= log->trace->meta.commands)
		return bad_event(log, "more commands than there are");
	log->commands++;
	return check_name(log, ev->command.index, ev->command.name);
}

static int check_snapshot(struct trace_log *log, const struct trace_event *ev)
{
	const struct trace_meta *meta = &log->trace->meta;
	const struct trace_snapshot *snap;

	if (ev->snapshot.index != log->snapshots)
		return bad_event(log, "not the number of the next snapshot");
	if (ev->snapshot.index >= meta->nr_snapshots)
		return bad_event(log, "more snapshots than there are");
	snap = &meta->snapshots[log->snapshots++];
	if (strcmp(snap->name, ev->snapshot.name))
		return bad_event(log, "not the name of this snapshot");
	if (snap->commands_consumed != log->commands)
		return bad_count(log, "commands before this snapshot",
				 log->commands, snap->commands_consumed);
	return 0;
}

static int check_event(struct trace_log *log, const struct trace_event *ev)
{
	switch (ev->type) {
	case TRACE_EV_COMMAND:
		return check_command(log, ev);
	case TRACE_EV_SNAPSHOT:
		return check_snapshot(log, ev);
	case TRACE_EV_TRANSLATE:
		log->translations++;
		return 0;
	case TRACE_EV_FAULT:
		log->faults++;
		return 0;
	default:
		return 0;
	}
}

/* AMD-Vi counts a fault as a translation, and logs it more than once. */
static int check_translations(struct trace_log *log)
{
	const struct trace *trace = log->trace;
	uint64_t all = log->translations;

	if (trace->meta.iommu == TRACE_AMDVI)
		all += trace->nr_events;
	if (all != trace->meta.translations)
		return bad_count(log, "translations", all,
				 trace->meta.translations);
	if (trace->meta.iommu == TRACE_SMMUV3 &&
	    log->faults != trace->nr_events)
		return bad_count(log, "events", log->faults, trace->nr_events);
	return 0;
}

static int check_end(struct trace_log *log)
{
	const struct trace_meta *meta = &log->trace->meta;

	log->finished = true;
	if (log->commands != meta->commands)
		return bad_count(log, "commands", log->commands,
				 meta->commands);
	if (log->snapshots != meta->nr_snapshots)
		return bad_count(log, "snapshots", log->snapshots,
				 meta->nr_snapshots);
	for (size_t i = 0; i < meta->opcodes.nr; i++)
		if (log->counts[i] != meta->opcodes.entries[i].value)
			return bad_count(log, meta->opcodes.entries[i].name,
					 log->counts[i],
					 meta->opcodes.entries[i].value);
	return check_translations(log);
}

int trace_log_next(struct trace_log *log, struct trace_event *ev)
{
	struct trace_cursor cur;
	char *text;
	size_t len;
	int rc;

	if (log->finished)
		return 0;
	rc = trace_lines_next(&log->lines, &text, &len);
	if (rc < 0)
		return rc;
	if (!rc)
		return check_end(log);
	rc = trace_parse_event(log->trace->meta.iommu, text, len, ev, &cur);
	if (rc)
		return trace_fail_line(log->lines.src.err, log->lines.src.file,
				       log->lines.line, &cur);
	ev->line = log->lines.line;
	rc = check_event(log, ev);
	return rc ? rc : 1;
}
