/* SPDX-License-Identifier: MIT */
/* nestfd run: the parts of it. */
#ifndef TOOLS_RUN_RUN_H
#define TOOLS_RUN_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <nestfd/model.h>

#include "shim/run.h"

struct supervisor;

/* How the program is given its /dev/iommu */
enum run_via {
	RUN_VIA_AUTO,
	RUN_VIA_PRELOAD,
	RUN_VIA_SECCOMP,
};

#define RUN_DEVICES_MAX 64

struct run {
	const char *iommu;
	const char *cache;
	const char *memlock;
	char inject[RUN_INJECT_MAX * RUN_INJECT_TEXT]; /* spaces between */
	const char *atc_window;
	enum run_via via;
	/* spaces between */
	char devices[RUN_DEVICES_MAX * RUN_DEVICE_TEXT];
	struct nestfd_device_config device[RUN_DEVICES_MAX];
	unsigned int nr_devices;
	struct nestfd_fault faults[RUN_INJECT_MAX]; /* those of @inject */
	unsigned int nr_faults;
	int fd; /* -1: the program opens /dev/iommu itself */
	const char *trace;
	bool stats;
	bool verbose;
	char **program; /* with its arguments, ends with NULL */

	int trace_fd;
	int stats_fd;
	struct run_stats *counters;
	struct supervisor *supervisor; /* NULL: served by preload */
	struct rlimit fds;	       /* as we found them, for the program */
	struct rlimit data;
};

/* Exit codes of shells */
#define RUN_NOT_EXECUTABLE 126
#define RUN_NOT_FOUND	   127

/*
 * program.c: where execvp() will find @name. Return: 0; RUN_NOT_FOUND,
 * RUN_NOT_EXECUTABLE after saying so.
 */
int run_find_program(const char *name, char *path, size_t size);
/* NULL if preloading works; else why it cannot */
const char *run_why_not_preload(const char *path);

/* environment.c: what the preloaded library needs. 0 or TOOL_*, having said */
int run_set_environment(struct run *run);
int run_preload_path(char *path, size_t size);

/* seccomp.c: who serves from outside. 0 or TOOL_*, having said */
int run_seccomp_create(struct run *run);
/* In the child, before exec. 0 or -errno */
int run_seccomp_child(const struct run *run, int fd);
/* In the parent. 0 or TOOL_*, having said and killed the child */
int run_seccomp_start(const struct run *run, pid_t pid);
/* Until nobody is left that is to be served, or a signal of @set says stop */
void run_seccomp_wait(const struct run *run, const sigset_t *set);

/* watch.c: --trace and --stats */
int run_watch_start(struct run *run);
void run_watch_end(struct run *run);

/* spawn.c: runs it to its end; the exit code */
int run_spawn(const struct run *run);

#endif
