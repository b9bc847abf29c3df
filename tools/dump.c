// SPDX-License-Identifier: MIT
/*
 * nestfd dump: a recording as text. Without options a summary and the first
 * commands; each option prints one part of it instead. Strings of a recording
 * go through show_text(), so that they cannot drive the terminal.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "trace/smmuv3.h"
#include "trace/trace.h"
#include "trace/vtd.h"

#define SUMMARY_COMMANDS 20
#define TEXT_MAX	 1024
#define ALL_SNAPSHOTS	 SIZE_MAX

struct dump {
	const char *path;
	bool commands;
	bool events;
	bool tables;
	bool log;
	size_t snapshot; /* of --tables; ALL_SNAPSHOTS */
	uint64_t limit;	 /* of each part */
	struct trace *trace;
	struct trace_error err;
	/* VT-d: what the log said last, which tells what a structure is */
	uint64_t root;
	bool scalable;
	bool first_stage;
};

/* Nothing more needs to be made once it cannot be written. */
static bool writing(void)
{
	return !ferror(stdout);
}

static void show_text(const char *text)
{
	for (; *text; text++)
		putchar(*text < ' ' || *text > '~' ? '?' : *text);
}

static void show_line(const char *label, const char *text)
{
	printf("%-12s ", label);
	show_text(text);
	putchar('\n');
}

static void show_counts(const char *label, const struct trace_counts *counts)
{
	if (!counts->nr)
		return;
	printf("%s\n", label);
	for (size_t i = 0; i < counts->nr && writing(); i++) {
		printf("  %10" PRIu64 "  ", counts->entries[i].value);
		show_text(counts->entries[i].name);
		putchar('\n');
	}
}

static void show_snapshot_list(const struct trace_meta *meta)
{
	if (!meta->nr_snapshots)
		return;
	printf("snapshots\n   nr  %-10s %10s %8s %7s\n", "name", "commands",
	       "leaves", "pages");
	for (size_t i = 0; i < meta->nr_snapshots && writing(); i++) {
		const struct trace_snapshot *s = &meta->snapshots[i];
		int pad = 10 - (int)strnlen(s->name, 10);

		printf("  %3zu  ", i);
		show_text(s->name);
		printf("%*s %10" PRIu64 " %8" PRIu64 " %7" PRIu64 "%s\n", pad,
		       "", s->commands_consumed, s->leaves, s->pages,
		       s->quiescent ? "  quiescent" : "");
	}
}

static void show_summary(const struct dump *d)
{
	const struct trace_meta *meta = &d->trace->meta;

	show_line("recording", d->path);
	show_line("IOMMU", meta->iommu_name);
	show_line("guest", meta->guest_kernel);
	show_line("emulator", meta->qemu);
	show_line("workload", meta->workload);
	printf("%-12s %" PRIu64 " MiB at %#" PRIx64 "\n", "RAM", meta->ram_mib,
	       meta->ram_base);
	printf("%-12s %" PRIu64 " of %u bytes\n", "commands", meta->commands,
	       meta->entry_bytes);
	printf("%-12s %" PRIu64 "\n", "translations", meta->translations);
	printf("%-12s %zu\n", "events", d->trace->nr_events);
	if (!meta->complete)
		show_line("incomplete", "the recording was cut short");
	for (size_t i = 0; i < meta->nr_devices && writing(); i++)
		show_line("device", meta->devices[i]);
	show_counts("commands by kind", &meta->opcodes_by_granularity);
	show_counts("commands before each completion",
		    &meta->commands_per_sync);
	show_counts("translations by stream", &meta->translations_by_stream);
	show_snapshot_list(meta);
}

/* @name: what the log calls a command that cannot be decoded here */
static void show_command(const struct trace *trace, uint64_t index,
			 const char *name)
{
	unsigned int nr = trace->meta.entry_bytes / 8;
	uint64_t words[4] = { 0 };
	char text[TEXT_MAX];

	printf("%8" PRIu64 " ", index);
	for (unsigned int i = 0; i < nr; i++) {
		words[i] = trace_command_word(trace, index, i);
		printf(" %016" PRIx64, words[i]);
	}
	if (trace->meta.iommu == TRACE_SMMUV3) {
		smmuv3_text_command(words, text, sizeof(text));
		name = text;
	} else if (trace->meta.iommu == TRACE_VTD) {
		vtd_text_command(words, text, sizeof(text));
		name = text;
	}
	printf("  %s\n", name);
}

/* Only the log has the names of other architectures' commands. */
static int show_named_commands(struct dump *d, uint64_t count)
{
	struct trace_log *log;
	struct trace_event ev;
	int rc;

	rc = trace_log_open(d->trace, &log, &d->err);
	if (rc)
		return rc;
	rc = 1;
	while (rc > 0 && count && writing()) {
		rc = trace_log_next(log, &ev);
		if (rc <= 0 || ev.type != TRACE_EV_COMMAND)
			continue;
		show_command(d->trace, ev.command.index, ev.command.name);
		count--;
	}
	trace_log_close(log);
	return rc < 0 ? rc : 0;
}

static int show_commands(struct dump *d, uint64_t limit)
{
	uint64_t count = d->trace->meta.commands;

	if (count > limit)
		count = limit;
	printf("first %" PRIu64 " of %" PRIu64 " commands\n", count,
	       d->trace->meta.commands);
	if (d->trace->meta.iommu != TRACE_SMMUV3 &&
	    d->trace->meta.iommu != TRACE_VTD)
		return show_named_commands(d, count);
	for (uint64_t i = 0; i < count && writing(); i++)
		show_command(d->trace, i, "");
	return 0;
}

static void show_events(const struct dump *d)
{
	const struct trace *trace = d->trace;
	size_t nr = trace->nr_events;
	uint64_t words[4];
	char text[TEXT_MAX];

	if (nr > d->limit)
		nr = (size_t)d->limit;
	printf("first %zu of %zu events\n", nr, trace->nr_events);
	for (size_t i = 0; i < nr && writing(); i++) {
		printf("%8zu ", i);
		for (unsigned int n = 0; n < trace->event_bytes / 8; n++) {
			words[n] = trace_event_word(trace, i, n);
			printf(" %016" PRIx64, words[n]);
		}
		if (trace->meta.iommu == TRACE_SMMUV3) {
			smmuv3_text_event(words, text, sizeof(text));
			printf("  %s", text);
		}
		putchar('\n');
	}
}

static void show_record(const struct trace_record *rec)
{
	char text[TEXT_MAX];

	printf("  stream %#x", rec->stream);
	if (rec->nr_words == 8 && !strcmp(rec->name, "ste")) {
		smmuv3_text_ste(rec->words, text, sizeof(text));
		printf("  %s\n", text);
		return;
	}
	if (rec->nr_words == 8 && !strcmp(rec->name, "cd")) {
		smmuv3_text_cd(rec->words, text, sizeof(text));
		printf(" ssid %#x  %s\n", rec->id, text);
		return;
	}
	if (rec->nr_words == 2 && !strcmp(rec->name, "context")) {
		vtd_text_context(rec->words, text, sizeof(text));
		printf("  %s\n", text);
		return;
	}
	if (rec->nr_words == 4 && !strcmp(rec->name, "context")) {
		vtd_text_sm_context(rec->words, text, sizeof(text));
		printf("  %s\n", text);
		return;
	}
	if (rec->nr_words == 8 && !strcmp(rec->name, "entry")) {
		vtd_text_pasid(rec->words, text, sizeof(text));
		printf(" pasid %#x  %s\n", rec->id, text);
		return;
	}
	printf(" id %#x  %s", rec->id, rec->name);
	for (unsigned int i = 0; i < rec->nr_words; i++)
		printf(" %" PRIx64, rec->words[i]);
	putchar('\n');
}

/* What one stream has mapped; rows of one stream stand together. */
struct stream_sum {
	uint32_t stream;
	uint32_t substream;
	bool rid;
	uint64_t leaves;
	uint64_t bytes;
	uint64_t by_size[64];
	uint64_t first;
	uint64_t last;
};

static void show_sum(const struct stream_sum *sum)
{
	if (!sum->leaves)
		return;
	printf("  stream %#x", sum->stream);
	if (sum->substream)
		printf(" substream %#x", sum->substream);
	printf("%s: %" PRIu64 " leaves, %" PRIu64 " KiB in %#" PRIx64
	       "..%#" PRIx64 ":",
	       sum->rid ? " without PASID" : "", sum->leaves, sum->bytes >> 10,
	       sum->first, sum->last);
	for (unsigned int i = 0; i < 64; i++)
		if (sum->by_size[i])
			printf(" %" PRIu64 " x %" PRIu64 " KiB",
			       sum->by_size[i], ((uint64_t)1 << i) >> 10);
	putchar('\n');
}

static void add_row(struct stream_sum *sum, const struct trace_row *row)
{
	uint64_t last = row->iova + (row->size - 1);

	if (!sum->leaves || row->iova < sum->first)
		sum->first = row->iova;
	if (!sum->leaves || last > sum->last)
		sum->last = last;
	sum->leaves++;
	sum->bytes += row->size;
	sum->by_size[__builtin_ctzll(row->size)]++;
}

static int show_leaves(struct dump *d, size_t snapshot)
{
	struct stream_sum sum = { 0 };
	struct trace_rows *rows;
	struct trace_row row;
	int rc;

	rc = trace_rows_open(d->trace, snapshot, &rows, &d->err);
	if (rc)
		return rc;
	while ((rc = trace_rows_next(rows, &row)) > 0 && writing()) {
		if (row.stream != sum.stream || row.rid != sum.rid ||
		    row.substream != sum.substream) {
			show_sum(&sum);
			sum = (struct stream_sum){ .stream = row.stream,
						   .substream = row.substream,
						   .rid = row.rid };
		}
		add_row(&sum, &row);
	}
	show_sum(&sum);
	trace_rows_close(rows);
	return rc < 0 ? rc : 0;
}

static int show_tables(struct dump *d, size_t snapshot)
{
	const struct trace_snapshot *s = &d->trace->meta.snapshots[snapshot];

	printf("snapshot %zu ", snapshot);
	show_text(s->name);
	printf(": %" PRIu64 " commands consumed%s\n", s->commands_consumed,
	       s->quiescent ? ", quiescent" : "");
	for (size_t i = 0; i < s->registers.nr && writing(); i++) {
		printf("  register ");
		show_text(s->registers.entries[i].name);
		printf(" %#" PRIx64 "\n", s->registers.entries[i].value);
	}
	for (size_t i = 0; i < s->nr_records && i < d->limit && writing(); i++)
		show_record(&s->records[i]);
	return show_leaves(d, snapshot);
}

static int show_all_tables(struct dump *d)
{
	size_t nr = d->trace->meta.nr_snapshots;
	int rc = 0;

	if (d->snapshot == ALL_SNAPSHOTS) {
		for (size_t i = 0; !rc && i < nr && writing(); i++)
			rc = show_tables(d, i);
		return rc;
	}
	if (d->snapshot < nr)
		return show_tables(d, d->snapshot);
	snprintf(d->err.text, sizeof(d->err.text),
		 "%s/meta.json:0: there is no snapshot %zu, only %zu", d->path,
		 d->snapshot, nr);
	return -ENOENT;
}

static void show_translation(const struct trace_translation *t)
{
	printf("translate stream %#x", t->stream);
	if (t->pasid || t->has_pasid)
		printf(" pasid %#x", t->pasid);
	printf(" iova %#" PRIx64 " -> %#" PRIx64, t->iova, t->pa);
	if (t->perm)
		printf(" %s%s", t->perm & TRACE_PERM_R ? "r" : "-",
		       t->perm & TRACE_PERM_W ? "w" : "-");
	if (t->stage)
		printf(" stage %u", t->stage);
	if (t->mask)
		printf(" mask %#" PRIx64, t->mask);
	if (t->has_leaf)
		printf(" leaf %#" PRIx64 " domain %#x", t->leaf, t->domain);
	if (t->has_how)
		printf(" (%s)", t->walked ? "walk" : "hit");
}

static void show_reason(unsigned int reason)
{
	const char *name = vtd_reason_name(reason);

	printf(" reason %#x", reason);
	if (name)
		printf(" (%s)", name);
}

static void show_fault(const struct trace_event *ev)
{
	printf("fault");
	if (ev->fault.text)
		printf(" %s", ev->fault.text);
	if (ev->fault.has_stream)
		printf(" stream %#x", ev->fault.stream);
	if (ev->fault.has_pasid)
		printf(" pasid %#x", ev->fault.pasid);
	if (ev->fault.has_addr)
		printf(" at %#" PRIx64, ev->fault.addr);
	if (ev->fault.write)
		printf(" write");
	if (ev->fault.reason)
		show_reason((unsigned int)ev->fault.reason);
}

static void show_access(const struct trace_event *ev, const char *what)
{
	printf("%s stream %#x iova %#" PRIx64 "%s", what, ev->access.stream,
	       ev->access.iova, ev->access.write ? " write" : "");
}

/* Entries of one size are told apart by where they lie. */
static bool vtd_structure(struct dump *d, const struct trace_event *ev,
			  char *text, size_t size)
{
	const uint64_t *words = ev->record.words;
	bool root = ev->record.addr - d->root < TRACE_PAGE_SIZE;

	switch (ev->record.nr) {
	case 1:
		vtd_text_directory(words, text, size);
		return true;
	case 2:
		if (root && d->scalable)
			vtd_text_sm_root(words, text, size);
		else if (root)
			vtd_text_root(words, text, size);
		else
			vtd_text_context(words, text, size);
		return true;
	case 4:
		vtd_text_sm_context(words, text, size);
		return true;
	case 8:
		vtd_text_pasid(words, text, size);
		/* PGTT 1: first stage only */
		d->first_stage = (words[0] >> 6 & 7) == 1;
		return true;
	default:
		return false;
	}
}

static void show_structure(struct dump *d, const struct trace_event *ev)
{
	char text[TEXT_MAX];

	printf("structure at %#" PRIx64 ":", ev->record.addr);
	if (d->trace->meta.iommu == TRACE_VTD &&
	    vtd_structure(d, ev, text, sizeof(text))) {
		printf(" %s", text);
		return;
	}
	for (unsigned int i = 0; i < ev->record.nr; i++)
		printf(" %" PRIx64, ev->record.words[i]);
}

static void show_entry(const struct trace_event *ev, const char *what)
{
	printf("%s %#" PRIx64 ": %#" PRIx64 " %#" PRIx64, what, ev->entry.index,
	       ev->entry.lo, ev->entry.hi);
}

/* Which stage an entry belongs to is taken from the PASID entry before it. */
static void show_word(const struct dump *d, const struct trace_event *ev)
{
	char text[TEXT_MAX];

	printf("word at %#" PRIx64 ": %#" PRIx64, ev->word.addr,
	       ev->word.value);
	if (d->trace->meta.iommu != TRACE_VTD)
		return;
	if (d->first_stage)
		vtd_text_first(&ev->word.value, text, sizeof(text));
	else
		vtd_text_second(&ev->word.value, text, sizeof(text));
	printf("  %s", text);
}

static void show_fault_record(const struct trace_event *ev)
{
	uint64_t words[2] = { ev->entry.lo, ev->entry.hi };
	char text[TEXT_MAX];

	vtd_text_fault(words, text, sizeof(text));
	printf("fault record %#" PRIx64 ": %s", ev->entry.index, text);
}

/* A long switch, but it only delegates. */
static void show_event(struct dump *d, const struct trace_event *ev)
{
	printf("%8" PRIu64 "  ", ev->line);
	switch (ev->type) {
	case TRACE_EV_SNAPSHOT:
		printf("snapshot %" PRIu64 " %s", ev->snapshot.index,
		       ev->snapshot.name);
		break;
	case TRACE_EV_REGISTER:
		printf("register %#" PRIx64 " <- %#" PRIx64 " (%u bytes)",
		       ev->reg.addr, ev->reg.value, ev->reg.size);
		break;
	case TRACE_EV_COMMAND:
		break; /* has its own line */
	case TRACE_EV_WORD:
		show_word(d, ev);
		break;
	case TRACE_EV_RECORD:
		show_structure(d, ev);
		break;
	case TRACE_EV_STE:
		printf("STE of stream %#x at %#" PRIx64, ev->ste.stream,
		       ev->ste.addr);
		break;
	case TRACE_EV_CD:
		printf("CD at %#" PRIx64, ev->cd.addr);
		break;
	case TRACE_EV_TRANSLATE:
		show_translation(&ev->translate);
		break;
	case TRACE_EV_BYPASS:
		show_access(ev, "bypass");
		break;
	case TRACE_EV_DISABLED:
		show_access(ev, "disabled");
		break;
	case TRACE_EV_ABORT:
		show_access(ev, "abort");
		break;
	case TRACE_EV_FAULT:
		show_fault(ev);
		break;
	case TRACE_EV_IRQ:
		printf("interrupt %" PRIu64, ev->irq.number);
		break;
	case TRACE_EV_GERROR:
		printf("GERROR toggled %#" PRIx64 " now %#" PRIx64,
		       ev->gerror.toggled, ev->gerror.now);
		break;
	case TRACE_EV_ERROR:
		printf("command error %s", ev->note.text);
		break;
	case TRACE_EV_QUEUE:
		printf("queue at %#" PRIx64 ", %" PRIu64 " entries",
		       ev->base.addr, ev->base.arg);
		break;
	case TRACE_EV_QUEUE_ENABLE:
		printf("queue %s", ev->enable.on ? "on" : "off");
		break;
	case TRACE_EV_ROOT:
		d->root = ev->base.addr;
		d->scalable = ev->base.arg;
		printf("root table at %#" PRIx64 "%s", ev->base.addr,
		       ev->base.arg ? " scalable" : "");
		break;
	case TRACE_EV_ENABLE:
		printf("translation %s", ev->enable.on ? "on" : "off");
		break;
	case TRACE_EV_FAULT_RECORD:
		show_fault_record(ev);
		break;
	case TRACE_EV_IRTE:
		show_entry(ev, "IRTE");
		break;
	case TRACE_EV_DROP:
		printf("emulator dropped a cache: %s", ev->note.text);
		break;
	}
	putchar('\n');
}

static void show_logged(struct dump *d, const struct trace_event *ev)
{
	if (ev->type != TRACE_EV_COMMAND) {
		show_event(d, ev);
		return;
	}
	printf("%8" PRIu64 "  command", ev->line);
	show_command(d->trace, ev->command.index, ev->command.name);
}

static int show_log(struct dump *d)
{
	struct trace_log *log;
	struct trace_event ev;
	uint64_t left = d->limit;
	int rc;

	rc = trace_log_open(d->trace, &log, &d->err);
	if (rc)
		return rc;
	while (left-- && writing()) {
		rc = trace_log_next(log, &ev);
		if (rc <= 0)
			break;
		show_logged(d, &ev);
	}
	trace_log_close(log);
	return rc < 0 ? rc : 0;
}

static int show(struct dump *d)
{
	int rc = 0;

	if (!d->commands && !d->events && !d->tables && !d->log) {
		show_summary(d);
		return show_commands(d, d->limit < SUMMARY_COMMANDS
						? d->limit
						: SUMMARY_COMMANDS);
	}
	if (d->commands)
		rc = show_commands(d, d->limit);
	if (!rc && d->events)
		show_events(d);
	if (!rc && d->tables)
		rc = show_all_tables(d);
	if (!rc && d->log)
		rc = show_log(d);
	return rc;
}

static uint64_t parse_number(const char *arg, struct argp_state *state)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (errno || end == arg || *end || strchr(arg, '-'))
		argp_error(state, "'%s' is not a number", arg);
	return value;
}

enum {
	OPT_COMMANDS = 0x100,
	OPT_EVENTS,
	OPT_TABLES,
	OPT_LOG,
	OPT_LIMIT,
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct dump *d = state->input;

	switch (key) {
	case OPT_COMMANDS:
		d->commands = true;
		return 0;
	case OPT_EVENTS:
		d->events = true;
		return 0;
	case OPT_TABLES:
		d->tables = true;
		if (arg)
			d->snapshot = parse_number(arg, state);
		return 0;
	case OPT_LOG:
		d->log = true;
		return 0;
	case OPT_LIMIT:
		d->limit = parse_number(arg, state);
		return 0;
	case ARGP_KEY_ARG:
		if (d->path)
			argp_error(state, "only one recording at a time");
		d->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!d->path)
			argp_error(state, "which recording?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "commands", OPT_COMMANDS, NULL, 0, "The commands, decoded", 0 },
	{ "events", OPT_EVENTS, NULL, 0, "The event records, decoded", 0 },
	{ "tables", OPT_TABLES, "SNAPSHOT", OPTION_ARG_OPTIONAL,
	  "Registers, configuration and what is mapped, in one snapshot or all",
	  0 },
	{ "log", OPT_LOG, NULL, 0, "Everything in its order", 0 },
	{ "limit", OPT_LIMIT, "N", 0, "At most N entries of each part", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "RECORDING",
	.doc = "Print a recording: without options a summary and its first "
	       "commands.",
};

int tool_dump(int argc, char **argv)
{
	struct dump d = { .snapshot = ALL_SNAPSHOTS, .limit = UINT64_MAX };
	int rc;

	if (argp_parse(&argp, argc, argv, 0, NULL, &d))
		return TOOL_INVALID;
	rc = trace_open(d.path, &d.trace, &d.err);
	if (!rc)
		rc = show(&d);
	trace_close(d.trace);
	if (!rc)
		return TOOL_OK;
	fflush(stdout);
	fprintf(stderr, "nestfd: %s\n", d.err.text);
	return TOOL_INVALID;
}
