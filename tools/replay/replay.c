// SPDX-License-Identifier: MIT
/* nestfd replay: its command line, and one recording after the other. */
#include "replay.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define DEFAULT_MUTATIONS 8
#define MAX_MUTATIONS	  100000
#define MAX_BATCH	  (1u << 19)

/* Over all recordings */
struct total {
	uint64_t recordings;
	uint64_t commands;
	uint64_t accesses;
	uint64_t wrong;
	int code;
	json_t *list;
};

static uint64_t parse_number(const char *arg, uint64_t max,
			     struct argp_state *state)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 0);
	if (errno || end == arg || *end || strchr(arg, '-') || value > max)
		argp_error(state, "'%s' is not a number up to %" PRIu64, arg,
			   max);
	return value;
}

enum {
	OPT_DIRECT = 0x100,
	OPT_BATCH,
	OPT_CACHE,
	OPT_QUEUE,
	OPT_MUTATE,
	OPT_SEED,
	OPT_MUTATIONS,
	OPT_INJECT,
	OPT_JSON,
	OPT_NO_SNAPSHOTS,
};

static void parse_cache(struct replay_options *o, const char *arg,
			struct argp_state *state)
{
	o->cache_chosen = true;
	if (!strcmp(arg, "hostile"))
		o->cache = NESTFD_CACHE_HOSTILE;
	else if (!strcmp(arg, "fast"))
		o->cache = NESTFD_CACHE_FAST;
	else
		argp_error(state, "'%s' is no cache: fast or hostile", arg);
}

static void parse_queue(struct replay_options *o, const char *arg,
			struct argp_state *state)
{
	if (!strcmp(arg, "auto"))
		o->queue = NESTFD_QUEUE_AUTO;
	else if (!strcmp(arg, "array"))
		o->queue = NESTFD_QUEUE_ARRAY;
	else if (!strcmp(arg, "ring"))
		o->queue = NESTFD_QUEUE_RING;
	else
		argp_error(state, "'%s' is no queue: auto, array or ring", arg);
}

static void add_fault(struct replay_options *o, const char *arg,
		      struct argp_state *state)
{
	struct nestfd_fault *faults;
	struct nestfd_fault fault;

	if (nestfd_inject_parse(arg, &fault))
		argp_error(state, "--inject %s: must be " INJECT_WORDS, arg);
	faults = reallocarray(o->faults, o->nr_faults + 1, sizeof(*faults));
	if (!faults)
		argp_failure(state, TOOL_FAILED, ENOMEM, "--inject");
	faults[o->nr_faults++] = fault;
	o->faults = faults;
}

static void parse_end(struct replay_options *o, struct argp_state *state)
{
	if (!o->nr_paths)
		argp_error(state, "which recording?");
	if (o->mutate && o->nr_paths > 1)
		argp_error(state, "--mutate takes one recording");
	if (o->direct && o->queue == NESTFD_QUEUE_RING)
		argp_error(state, "a bare model takes no --queue ring");
	if (o->mutate && !o->cache_chosen)
		o->cache = NESTFD_CACHE_HOSTILE;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct replay_options *o = state->input;

	switch (key) {
	case OPT_DIRECT:
		o->direct = true;
		return 0;
	case OPT_BATCH:
		o->batch = (uint32_t)parse_number(arg, MAX_BATCH, state);
		if (!o->batch)
			argp_error(state, "a batch has at least one doorbell");
		return 0;
	case OPT_CACHE:
		parse_cache(o, arg, state);
		return 0;
	case OPT_QUEUE:
		parse_queue(o, arg, state);
		return 0;
	case OPT_MUTATE:
		if (mutation_kind_of(arg, &o->mutate))
			argp_error(state, "'%s' is no alteration", arg);
		return 0;
	case OPT_SEED:
		o->seed = parse_number(arg, UINT64_MAX, state);
		return 0;
	case OPT_MUTATIONS:
		o->mutations =
			(uint32_t)parse_number(arg, MAX_MUTATIONS, state);
		return 0;
	case OPT_INJECT:
		add_fault(o, arg, state);
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_NO_SNAPSHOTS:
		o->snapshots = false;
		return 0;
	case ARGP_KEY_ARGS:
		o->paths = state->argv + state->next;
		o->nr_paths = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		parse_end(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "direct", OPT_DIRECT, NULL, 0,
	  "Let the guest drive the bare hardware model; needed if it uses "
	  "stage 2",
	  0 },
	{ "batch", OPT_BATCH, "N", 0,
	  "Merge up to N doorbells that have nothing but commands between them",
	  0 },
	{ "cache", OPT_CACHE, "POLICY", 0,
	  "fast (the default), or hostile: keep whatever may be kept, and "
	  "check each use of it",
	  0 },
	{ "queue", OPT_QUEUE, "HOW", 0,
	  "How invalidations reach the host: array, ring (the guest's own "
	  "queue, consumed in place; its SMMU then has ATS, RIL and "
	  "SubstreamIDs as the host's), or auto (the default): a ring if the "
	  "recorded SMMU allows it",
	  0 },
	{ "mutate", OPT_MUTATE, "KIND", 0,
	  "Alter single invalidations and say which were noticed: drop, "
	  "narrow, asid or ttl (SMMUv3), domain or pasid (VT-d), or atc-drop, "
	  "atc-narrow, of devices' own caches; the cache is hostile unless "
	  "chosen",
	  0 },
	{ "seed", OPT_SEED, "N", 0, "Which commands to alter (default 1)", 0 },
	{ "mutations", OPT_MUTATIONS, "COUNT", 0,
	  "How many to alter (default 8)", 0 },
	{ "inject", OPT_INJECT, "FAULT", 0,
	  "Let the hardware do something wrong, " INJECT_WORDS
	  ", which the guest overcomes; may be repeated",
	  0 },
	{ "json", OPT_JSON, NULL, 0, "Report for programs", 0 },
	{ "no-snapshots", OPT_NO_SNAPSHOTS, NULL, 0,
	  "Do not check the snapshots", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "RECORDING...",
	.doc = "Follow recordings of a guest's SMMUv3 or VT-d through nested "
	       "translation and check every access of its devices.\v"
	       "Exit status: 0 nothing is wrong (with --mutate: the runs were "
	       "completed and alterations explain what was noticed), 1 "
	       "something is, 2 bad usage or a bad recording.",
};

static void run_init(struct run *run, const struct replay_options *o,
		     const struct trace *trace, struct report *report)
{
	*run = (struct run){
		.options = o,
		.trace = trace,
		.report = report,
		.progress = isatty(STDERR_FILENO),
	};
	report->path = trace->path;
}

static int replay_plain(const struct replay_options *o,
			const struct trace *trace, struct total *total,
			struct trace_error *err)
{
	struct report report = { 0 };
	struct run run;
	int rc;

	run_init(&run, o, trace, &report);
	rc = run_follow(&run);
	*err = run.err;
	if (!rc) {
		total->commands += report.commands;
		total->accesses += report.translated + report.bypassed +
				   report.disabled + report.aborted +
				   report.faults + report.rows + report.gaps;
		total->wrong += report_wrong(&report);
		if (o->json)
			json_array_append_new(total->list,
					      report_json(o, trace, &report));
		else
			report_text(o, trace, &report);
	}
	report_free(&report);
	return rc;
}

static int replay_group(const struct replay_options *o,
			const struct trace *trace, struct mutation_set *set,
			unsigned int group, struct mends *mends,
			struct total *total, struct trace_error *err)
{
	struct report report = { 0 };
	struct run run;
	int rc;

	run_init(&run, o, trace, &report);
	run.altered = set;
	run.mends = mends;
	run.group = group;
	rc = run_follow(&run);
	*err = run.err;
	total->commands += report.commands;
	total->accesses += report.translated + report.faults;
	total->wrong += report_wrong(&report);
	for (unsigned int i = 0; !rc && i < report.nr_shown; i++)
		fprintf(stderr, "nestfd: %s\n", report.shown[i]);
	report_free(&report);
	return rc;
}

/* What has to be mended without any alteration */
static int find_mends(const struct replay_options *o, const struct trace *trace,
		      struct mends *mends, struct trace_error *err)
{
	struct replay_options plain = *o;
	struct report report = { 0 };
	struct run run;
	int rc;

	plain.snapshots = false;
	run_init(&run, &plain, trace, &report);
	run.mends = mends;
	rc = run_follow(&run);
	*err = run.err;
	report_free(&report);
	return rc;
}

static int replay_mutated(const struct replay_options *o,
			  const struct trace *trace, struct total *total,
			  struct trace_error *err)
{
	const struct replay_arch *arch = replay_arch_of(&trace->meta);
	struct mends mends = { 0 };
	struct mutation_set set;
	int rc;

	if (!arch) /* refuses it by name */
		return replay_plain(o, trace, total, err);
	if (!(arch->mutations->kinds & 1u << o->mutate)) {
		snprintf(err->text, sizeof(err->text),
			 "%.200s: invalidations of %s have no %s to alter",
			 trace->path, arch->name, mutation_names[o->mutate]);
		return -EBADMSG;
	}
	rc = mutation_choose(trace, arch->mutations, o->mutate, o->seed,
			     o->mutations, &set);
	if (rc) {
		snprintf(err->text, sizeof(err->text), "no memory");
		return rc;
	}
	if (arch->forget)
		rc = find_mends(o, trace, &mends, err);
	for (unsigned int i = 0; i < set.groups && !rc; i++)
		rc = replay_group(o, trace, &set, i, &mends, total, err);
	total->wrong += set.nobodys;
	if (!rc && o->json)
		json_array_append_new(total->list, mutation_json(o, &set));
	else if (!rc)
		mutation_text(o, trace, &set);
	mutation_free(&set);
	free(mends.lines);
	return rc;
}

static void replay_one(const struct replay_options *o, const char *path,
		       struct total *total)
{
	struct trace_error err = { "" };
	struct trace *trace = NULL;
	int code = TOOL_INVALID;
	int rc;

	rc = trace_open(path, &trace, &err);
	if (!rc) {
		rc = o->mutate ? replay_mutated(o, trace, total, &err)
			       : replay_plain(o, trace, total, &err);
		/* what is not the recording's fault */
		if (rc && rc != -EBADMSG && rc != -EFBIG && rc != -ENOENT)
			code = TOOL_FAILED;
	}
	trace_close(trace);
	total->recordings += !rc;
	if (!rc)
		return;
	fflush(stdout);
	fprintf(stderr, "nestfd: %s\n", err.text);
	if (code > total->code)
		total->code = code;
}

static void show_total(const struct replay_options *o, struct total *total)
{
	json_t *doc;

	if (!o->json) {
		if (total->recordings)
			printf("%" PRIu64 " recording%s, %" PRIu64
			       " commands, %" PRIu64
			       " accesses checked: %" PRIu64 " wrong\n",
			       total->recordings,
			       total->recordings == 1 ? "" : "s",
			       total->commands, total->accesses, total->wrong);
		return;
	}
	if (o->mutate && json_array_size(total->list) == 1) {
		doc = json_incref(json_array_get(total->list, 0));
	} else {
		doc = json_object();
		json_object_set(doc, "recordings", total->list);
		json_object_set_new(doc, "wrong",
				    json_integer((json_int_t)total->wrong));
	}
	json_dumpf(doc, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(doc);
}

int tool_replay(int argc, char **argv)
{
	struct replay_options o = {
		.snapshots = true,
		.batch = 1,
		.seed = 1,
		.mutations = DEFAULT_MUTATIONS,
		.cache = NESTFD_CACHE_FAST,
	};
	struct total total = { 0 };

	if (argp_parse(&argp, argc, argv, 0, NULL, &o))
		return TOOL_INVALID;
	total.list = json_array();
	for (size_t i = 0; i < o.nr_paths; i++)
		replay_one(&o, o.paths[i], &total);
	show_total(&o, &total);
	json_decref(total.list);
	free(o.faults);
	if (total.wrong && !total.code)
		return TOOL_FAILED;
	return total.code;
}
