// SPDX-License-Identifier: MIT
/* What went wrong: counted, the first few told in full. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

const char *const wrong_names[WRONG_KINDS] = {
	[WRONG_TRANSLATION] = "translation",
	[WRONG_HIT] = "hit",
	[WRONG_STALE] = "stale",
	[WRONG_FAULT] = "fault",
	[WRONG_INTERRUPT] = "interrupt",
	[WRONG_COMMAND] = "command",
	[WRONG_REGISTER] = "register",
	[WRONG_SNAPSHOT] = "snapshot",
};

const char *const deviation_names[DEV_COUNT] = {
	[DEV_IPA_OFFSET] = "records the IPA with its offset in the page",
	[DEV_S2_CLEAR] = "records S2=0 for a stage-2 fault of a stage-1 table",
	[DEV_WALK_EABT] = "records F_WALK_EABT for a table beyond the OAS",
	[DEV_ADDR_SIZE] = "lets F_ACCESS and F_PERMISSION win over F_ADDR_SIZE",
	[DEV_INPUT_RANGE] = "records nothing for stage-2 input beyond the IAS",
	[DEV_UNSEEN_ENTRY] = "does not log the entry that lets a device pass",
	[DEV_ADDRESS_WIDTH] =
		"takes PASID entries with AW without SSTS, which we add",
	[DEV_UNTOLD] = "reads tables a nested world must be told of",
	[DEV_KEPT_TABLE] = "keeps no tables, and Linux frees one with IH=1",
	[DEV_LEGACY_REASON] = "records fault reasons 5 and 6 in scalable mode",
	[DEV_INTERRUPT] = "interrupts for a record in a queue not empty",
};

/* What an alteration can bring about; the rest is wrong with one as well. */
static bool is_consequence(enum wrong_kind kind)
{
	return kind == WRONG_TRANSLATION || kind == WRONG_STALE ||
	       kind == WRONG_FAULT;
}

static void append_walk(const struct culprit *c, char *text, size_t size)
{
	size_t used = strlen(text);

	if (!c || !c->dev || used + 2 >= size)
		return;
	text[used++] = '\n';
	nestfd_explain(c->dev, c->iova, c->pasid, c->flags, text + used,
		       size - used);
}

static size_t begin(const struct run *run, const struct culprit *c, char *text,
		    size_t size)
{
	int used = snprintf(text, size, "line %" PRIu64 ": ", run->line);

	if (c)
		used += snprintf(text + used, size - (size_t)used,
				 "stream %#x %s %#" PRIx64 ": ", c->stream,
				 c->flags & NESTFD_DMA_WRITE ? "write" : "read",
				 c->iova);
	return (size_t)used;
}

static void keep(struct report *report, const struct culprit *c, char *text,
		 size_t size)
{
	char *copy;

	if (report->nr_shown == WRONG_SHOWN)
		return;
	append_walk(c, text, size);
	copy = strdup(text);
	if (copy)
		report->shown[report->nr_shown++] = copy;
}

void run_wrong(struct run *run, enum wrong_kind kind,
	       const struct culprit *culprit, const char *format, ...)
{
	char text[WRONG_TEXT];
	size_t used = begin(run, culprit, text, sizeof(text));
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - used, format, args);
	va_end(args);
	if (run->altered && culprit && is_consequence(kind)) {
		mutation_blame(run->altered, run->group, run->report->commands,
			       culprit->iova, text);
		return;
	}
	run->report->wrong[kind]++;
	keep(run->report, culprit, text, sizeof(text));
}

uint64_t report_wrong(const struct report *report)
{
	uint64_t sum = 0;

	for (int i = 0; i < WRONG_KINDS; i++)
		sum += report->wrong[i];
	return sum;
}

void report_free(struct report *report)
{
	for (unsigned int i = 0; i < report->nr_shown; i++)
		free(report->shown[i]);
	report->nr_shown = 0;
}
