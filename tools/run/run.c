// SPDX-License-Identifier: MIT
/* nestfd run: a program gets a /dev/iommu. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmd.h"
#include "run.h"
#include "shim/seccomp/supervise.h"

enum {
	OPT_IOMMU = 256,
	OPT_CACHE,
	OPT_MEMLOCK,
	OPT_DEVICE,
	OPT_INJECT,
	OPT_ATC_WINDOW,
	OPT_VIA,
	OPT_FD,
	OPT_TRACE,
	OPT_STATS,
};

#define DEVICE_WORDS "edu@SID[,ats][,pri][,pasid=BITS]"

static const struct argp_option options[] = {
	{ "iommu", OPT_IOMMU, "KIND", 0,
	  "The machine's IOMMU: smmuv3, vtd, or mock, "
	  "which Linux's selftests expect",
	  0 },
	{ "cache", OPT_CACHE, "POLICY", 0,
	  "How it caches: fast, or hostile, which keeps all it may keep", 0 },
	{ "memlock", OPT_MEMLOCK, "WHAT", 0,
	  "What is pinned beyond RLIMIT_MEMLOCK: count, or enforce, as on "
	  "Linux, where who lacks CAP_IPC_LOCK gets ENOMEM",
	  0 },
	{ "device", OPT_DEVICE, DEVICE_WORDS, 0,
	  "Put a device behind it, with this StreamID, which can do ATS, make "
	  "page requests, issue PASIDs of so many bits; may be repeated",
	  0 },
	{ "inject", OPT_INJECT, "FAULT", 0,
	  "Let the hardware do something wrong, " INJECT_WORDS
	  ": ill, abt, atc-timeout, atc-late, gone or slow-sync; may be "
	  "repeated",
	  0 },
	{ "atc-window", OPT_ATC_WINDOW, "MS", 0,
	  "How long a guest whose device did not answer an invalidation waits "
	  "before it may ask one again (1000), or none",
	  0 },
	{ "via", OPT_VIA, "WAY", 0,
	  "How the program is served: preload (in its process), seccomp (from "
	  "outside), or auto: preload wherever that works",
	  0 },
	{ "fd", OPT_FD, "N", 0, "Open /dev/iommu as fd N of the program", 0 },
	{ "trace", OPT_TRACE, "FILE", 0,
	  "Write a line for each call to FILE (-: standard error)", 0 },
	{ "stats", OPT_STATS, NULL, 0,
	  "At the end, say on standard error how many calls, errors, and how "
	  "long",
	  0 },
	{ "verbose", 'v', NULL, 0,
	  "Say what is done; begin lines of the trace with the thread's id",
	  0 },
	{ 0 },
};

/* What there is, and what is only planned */
static const struct {
	const char *name;
	bool built;
} kinds[] = {
	{ "smmuv3", true }, { "mock", true },	{ "vtd", true },
	{ "amdvi", false }, { "riscv", false },
};

static void set_iommu(struct run *run, const char *name,
		      struct argp_state *state)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name))
			continue;
		if (!kinds[i].built)
			argp_error(state, "--iommu %s: not built yet", name);
		run->iommu = name;
		return;
	}
	argp_error(state, "--iommu %s: no such kind", name);
}

static void set_via(struct run *run, const char *name, struct argp_state *state)
{
	if (!strcmp(name, "auto"))
		run->via = RUN_VIA_AUTO;
	else if (!strcmp(name, "preload"))
		run->via = RUN_VIA_PRELOAD;
	else if (!strcmp(name, "seccomp"))
		run->via = RUN_VIA_SECCOMP;
	else
		argp_error(state, "--via %s: no such way", name);
}

/* Digits (or 0x and more of them) to the end */
static bool number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoul(text, &end, 0);
	return !errno && !*end && *value <= max;
}

/* @text behind what is there, which has room for it */
static void append(char *list, size_t size, const char *text)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? " " : "", text);
}

static void add_device(struct run *run, const char *text,
		       struct argp_state *state)
{
	struct nestfd_device_config config = { 0 };

	if (run_device_parse(text, strlen(text), &config))
		argp_error(state, "--device %s: must be " DEVICE_WORDS, text);
	for (unsigned int i = 0; i < run->nr_devices; i++)
		if (run->device[i].stream_id == config.stream_id)
			argp_error(state, "--device %s: there is one already",
				   text);
	if (run->nr_devices == RUN_DEVICES_MAX)
		argp_error(state, "--device: at most %d", RUN_DEVICES_MAX);
	append(run->devices, sizeof(run->devices), text);
	run->device[run->nr_devices++] = config;
}

/* Rules before --iommu are looked at as well: at the end. */
static void add_fault(struct run *run, const char *text,
		      struct argp_state *state)
{
	struct nestfd_fault fault = { 0 };

	if (strlen(text) >= RUN_INJECT_TEXT ||
	    nestfd_inject_parse(text, &fault))
		argp_error(state, "--inject %s: must be " INJECT_WORDS, text);
	if (run->nr_faults == RUN_INJECT_MAX)
		argp_error(state, "--inject: at most %d", RUN_INJECT_MAX);
	append(run->inject, sizeof(run->inject), text);
	run->faults[run->nr_faults++] = fault;
}

static void check_faults(struct run *run, struct argp_state *state)
{
	struct nestfd_machine_config config = { .size = sizeof(config) };
	struct nestfd_machine *machine;
	int rc;

	if (!run->nr_faults)
		return;
	config.arch = !strcmp(run->iommu, "mock")  ? NESTFD_ARCH_MOCK
		      : !strcmp(run->iommu, "vtd") ? NESTFD_ARCH_VTD
						   : NESTFD_ARCH_SMMUV3;
	rc = nestfd_machine_create(&config, &machine);
	for (unsigned int i = 0; i < run->nr_faults && !rc; i++)
		rc = nestfd_inject(machine, &run->faults[i]);
	if (rc == -EOPNOTSUPP)
		argp_error(state, "--inject: %s has none such: %s", run->iommu,
			   run->inject);
	else if (rc)
		argp_failure(state, TOOL_FAILED, -rc, "--inject");
	nestfd_machine_destroy(machine);
}

/* The mock's devices have no caches of their own. */
static void check_devices(const struct run *run, struct argp_state *state)
{
	for (unsigned int i = 0; i < run->nr_devices; i++) {
		if (run->device[i].ats && !strcmp(run->iommu, "mock"))
			argp_error(state, "--device: mock has no ATS: %s",
				   run->devices);
	}
}

static void set_fd(struct run *run, const char *text, struct argp_state *state)
{
	unsigned long fd = 0;

	if (!number(text, 1023, &fd))
		argp_error(state, "--fd %s: must be 0 to 1023", text);
	run->fd = (int)fd;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct run *run = state->input;

	switch (key) {
	case OPT_IOMMU:
		set_iommu(run, arg, state);
		return 0;
	case OPT_CACHE:
		if (strcmp(arg, "fast") && strcmp(arg, "hostile"))
			argp_error(state, "--cache %s: fast or hostile", arg);
		run->cache = arg;
		return 0;
	case OPT_MEMLOCK:
		if (strcmp(arg, "count") && strcmp(arg, "enforce"))
			argp_error(state, "--memlock %s: count or enforce",
				   arg);
		run->memlock = arg;
		return 0;
	case OPT_DEVICE:
		add_device(run, arg, state);
		return 0;
	case OPT_INJECT:
		add_fault(run, arg, state);
		return 0;
	case OPT_ATC_WINDOW:
		if (run_window_parse(arg, &(uint32_t){ 0 }))
			argp_error(state,
				   "--atc-window %s: 1 to 1000000, or none",
				   arg);
		run->atc_window = arg;
		return 0;
	case OPT_VIA:
		set_via(run, arg, state);
		return 0;
	case OPT_FD:
		set_fd(run, arg, state);
		return 0;
	case OPT_TRACE:
		run->trace = arg;
		return 0;
	case OPT_STATS:
		run->stats = true;
		return 0;
	case 'v':
		run->verbose = true;
		return 0;
	case ARGP_KEY_ARG: /* all from here on is the program's */
		run->program = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		check_devices(run, state);
		check_faults(run, state);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "PROGRAM [ARG...]",
	.doc = "Run a program on a machine with a modelled IOMMU: it finds "
	       "/dev/iommu.",
};

static int check_fd(const struct run *run)
{
	struct rlimit limit;

	if (run->fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) ||
	    (rlim_t)run->fd < limit.rlim_cur)
		return 0;
	fprintf(stderr,
		"nestfd run: --fd %d: the limit of open files is %lu "
		"(ulimit -n)\n",
		run->fd, (unsigned long)limit.rlim_cur);
	return TOOL_INVALID;
}

/* Decides what "auto" means. 0, or the exit code after a message */
static int choose_way(struct run *run)
{
	char path[PATH_MAX];
	const char *why;
	int rc;

	rc = run_find_program(run->program[0], path, sizeof(path));
	if (rc)
		return rc;
	why = run_why_not_preload(path);
	if (why && run->via == RUN_VIA_PRELOAD) {
		fprintf(stderr, "nestfd run: %s: %s\n", path, why);
		fprintf(stderr, "nestfd run: %s: needs --via seccomp\n", path);
		return TOOL_INVALID;
	}
	if (run->verbose)
		fprintf(stderr, "nestfd run: %s: served by %s: %s\n", path,
			why || run->via == RUN_VIA_SECCOMP ? "seccomp"
							   : "preload",
			why			      ? why
			: run->via == RUN_VIA_SECCOMP ? "as asked for"
						      : "a dynamic program");
	if (run->via == RUN_VIA_AUTO)
		run->via = why ? RUN_VIA_SECCOMP : RUN_VIA_PRELOAD;
	return 0;
}

int tool_run(int argc, char **argv)
{
	struct run run = {
		.iommu = "smmuv3",
		.cache = "fast",
		.memlock = "count",
		.fd = -1,
		.trace_fd = -1,
		.stats_fd = -1,
	};
	int rc;

	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &run))
		return TOOL_INVALID;
	rc = check_fd(&run);
	if (!rc)
		rc = choose_way(&run);
	if (!rc)
		rc = run_watch_start(&run);
	if (!rc)
		rc = run.via == RUN_VIA_SECCOMP ? run_seccomp_create(&run)
						: run_set_environment(&run);
	if (!rc)
		rc = run_spawn(&run);
	supervise_destroy(run.supervisor);
	run_watch_end(&run);
	return rc;
}
