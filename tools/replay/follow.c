// SPDX-License-Identifier: MIT
/* Following a recording line by line. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay.h"

#define PROGRESS_LINES 4096

int run_fail(struct run *run, int rc, const char *format, ...)
{
	char what[300];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(run->err.text, sizeof(run->err.text),
		 "%.180s/log.txt.xz:%" PRIu64 ": %s", run->trace->path,
		 run->line, what);
	return rc;
}

int run_fail_world(struct run *run, int rc)
{
	char what[300];

	snprintf(what, sizeof(what), "%.290s", run->world->err.text);
	return run_fail(run, rc, "%s", what);
}

static int store(struct run *run, uint64_t addr, const uint64_t *words,
		 unsigned int nr)
{
	void *to = world_memory(run->world, addr, nr * sizeof(*words));
	int rc = 0;

	if (run->cmdq.deferred)
		rc = cmdq_flush(run);
	if (rc)
		return rc;
	if (!to)
		return run_fail(run, -EBADMSG,
				"%#" PRIx64 " is not in the guest's memory",
				addr);
	memcpy(to, words, nr * sizeof(*words)); /* both are little-endian */
	run->new_words = true;
	return 0;
}

void run_expect_register(struct run *run, uint32_t offset, unsigned int bytes,
			 uint64_t mask, uint64_t expected)
{
	uint64_t got = run->world->ops->read(run->world, offset, bytes);

	if ((got ^ expected) & mask)
		run_wrong(run, WRONG_REGISTER, NULL,
			  "register %#x is %#" PRIx64 ", expected %#" PRIx64,
			  offset, got, expected);
}

static int on_register(struct run *run, uint64_t logged, unsigned int bytes,
		       uint64_t value)
{
	run->report->registers++;
	if (logged >= run->arch->register_bytes || (bytes != 4 && bytes != 8) ||
	    logged & (bytes - 1))
		return run_fail(run, -EBADMSG, "there is no such register");
	return run->arch->write(run, (uint32_t)logged, bytes, value);
}

static int on_snapshot(struct run *run, uint64_t index)
{
	run->next_snapshot = index + 1;
	if (!run->options->snapshots || run->altered)
		return 0;
	return snapshot_check(run, index);
}

/* A line that only some architectures have */
static int on_other(struct run *run, const struct trace_event *ev)
{
	int rc = run->arch->event(run, ev);

	if (rc == -ENOENT)
		return run_fail(run, -EBADMSG, "no line of %s",
				run->arch->name);
	return rc;
}

static int on_record(struct run *run, const struct trace_event *ev)
{
	int rc = store(run, ev->record.addr, ev->record.words, ev->record.nr);

	if (!rc && run->arch->stored)
		run->arch->stored(run, ev);
	return rc;
}

static int on_bypass(struct run *run, const struct trace_event *ev)
{
	int rc = cmdq_flush(run);

	if (rc)
		return rc;
	run->report->bypassed++;
	if (run->arch->passes)
		run->arch->passes(run, ev->access.stream);
	return access_untranslated(run, ev->access.stream, ev->access.iova,
				   ev->access.write);
}

static int follow_event(struct run *run, const struct trace_event *ev)
{
	switch (ev->type) {
	case TRACE_EV_SNAPSHOT:
		return on_snapshot(run, ev->snapshot.index);
	case TRACE_EV_REGISTER:
		return on_register(run, ev->reg.addr, ev->reg.size,
				   ev->reg.value);
	case TRACE_EV_COMMAND:
		return cmdq_place(run, ev->command.index);
	case TRACE_EV_WORD:
		return store(run, ev->word.addr, &ev->word.value, 1);
	case TRACE_EV_RECORD:
		return on_record(run, ev);
	case TRACE_EV_TRANSLATE:
		return access_translate(run, &ev->translate);
	case TRACE_EV_BYPASS:
		return on_bypass(run, ev);
	default:
		return on_other(run, ev);
	}
}

/* On a terminal, and out of the way again at the end */
static void show_progress(const struct run *run)
{
	fprintf(stderr, "\r%.60s: %3.0f%%\033[K", run->report->path,
		100.0 * (double)run->report->translated /
			(double)(run->trace->meta.translations + 1));
}

static int follow_log(struct run *run, struct trace_log *log)
{
	struct trace_event ev;
	int rc;

	while ((rc = trace_log_next(log, &ev)) > 0) {
		run->line = ev.line;
		run->report->events++;
		if (run->progress && !(run->report->events % PROGRESS_LINES))
			show_progress(run);
		rc = follow_event(run, &ev);
		if (rc)
			break;
	}
	if (!rc)
		rc = cmdq_flush(run);
	if (run->progress)
		fputs("\r\033[K", stderr);
	return rc;
}

static int check_recording(struct run *run)
{
	const char *why = NULL;

	run->arch = replay_arch_of(&run->trace->meta);
	if (!run->arch) {
		snprintf(run->err.text, sizeof(run->err.text),
			 "%.200s: a recording of %.60s; only Arm SMMUv3 and "
			 "Intel VT-d can be replayed",
			 run->trace->path, run->trace->meta.iommu_name);
		return -EBADMSG;
	}
	if (!run->options->direct && run->arch->only_direct)
		why = run->arch->only_direct(run->trace);
	if (why) {
		snprintf(run->err.text, sizeof(run->err.text),
			 "%.200s: %.200s: use --direct", run->trace->path, why);
		return -EBADMSG;
	}
	if (run->options->queue == NESTFD_QUEUE_RING && !run->arch->rings) {
		snprintf(run->err.text, sizeof(run->err.text),
			 "%.200s: commands of %.60s go in no ring",
			 run->trace->path, run->arch->name);
		return -EBADMSG;
	}
	return 0;
}

/* What the checker says; called by the machine in the middle of a DMA */
static void on_stale(void *ctx, const struct nestfd_stale *stale)
{
	struct run *run = ctx;
	struct culprit c = {
		.stream = world_guest_stream(run->world, stale->stream_id),
		.pasid = stale->pasid,
		.iova = stale->iova,
	};
	char now[64] = "unmapped";

	if (stale->mapped)
		snprintf(now, sizeof(now), "%#" PRIx64, stale->current_pa);
	run_wrong(run, WRONG_STALE, &c,
		  "a stale translation to %#" PRIx64 " (now %s): %s",
		  stale->cached_pa, now, stale->why ? stale->why : "");
}

/* The devices that the guest has are there from the start. */
static int plug_devices(struct run *run)
{
	const struct trace_counts *streams;
	struct world_stream *stream;
	int rc = 0;

	streams = &run->trace->meta.translations_by_stream;
	for (size_t i = 0; i < streams->nr && !rc; i++) {
		unsigned long sid = strtoul(streams->entries[i].name, NULL, 16);

		if (sid <= WORLD_MAX_STREAM)
			rc = world_stream(run->world, (uint32_t)sid, &stream);
	}
	return rc ? run_fail_world(run, rc) : 0;
}

/* Not while the machine is set up, which is nobody's test. */
static int inject(struct run *run)
{
	int rc = 0;

	for (size_t i = 0; i < run->options->nr_faults && !rc; i++)
		rc = nestfd_inject(run->world->machine,
				   &run->options->faults[i]);
	for (size_t i = 0; i < run->options->nr_faults; i++)
		run->may_be_gone |=
			run->options->faults[i].kind == NESTFD_FAULT_GONE;
	return rc ? run_fail(run, rc, "--inject: %s", strerror(-rc)) : 0;
}

static void keep_stats(struct run *run)
{
	struct report *report = run->report;

	report->injected = nestfd_inject_clear(run->world->machine);
	report->iommu.size = sizeof(report->iommu);
	nestfd_iommu_stats(run->world->machine, &report->iommu);
	for (unsigned int i = 0; i < WORLD_LINES; i++)
		report->interrupts += run->world->irqs[i];
	if (!run->world->viommu)
		return;
	report->viommu.size = sizeof(report->viommu);
	nestfd_viommu_stats(run->world->viommu, &report->viommu);
}

int run_follow(struct run *run)
{
	struct world_config config = {
		.meta = &run->trace->meta,
		.direct = run->options->direct,
		.cache = run->options->cache,
		.queue = run->options->queue,
		.stale = on_stale,
		.ctx = run,
	};
	struct trace_log *log;
	int rc = check_recording(run);

	if (rc)
		return rc;
	rc = world_create(&config, &run->world, &run->err);
	if (rc)
		return rc;
	for (size_t i = 0; i < run->arch->nr_ids; i++)
		run->report->id[i] = run->world->ops->read(
			run->world, run->arch->ids[i].offset,
			run->arch->ids[i].bytes);
	rc = plug_devices(run);
	if (!rc)
		rc = inject(run);
	if (rc)
		goto destroy;
	rc = trace_log_open(run->trace, &log, &run->err);
	if (rc)
		goto destroy;
	rc = follow_log(run, log);
	trace_log_close(log);
	keep_stats(run);
destroy:
	world_destroy(run->world);
	run->world = NULL;
	return rc;
}
