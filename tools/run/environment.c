// SPDX-License-Identifier: MIT
/* The environment that the preloaded library finds in the program. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmd.h"
#include "run.h"

/* From the folder of the executable: build tree, prefix */
static const char *const beside[] = {
	"",
	"../src/shim/",
	"../lib/",
	"../lib64/",
};

static bool try_path(char *path, size_t size, const char *dir, size_t length,
		     const char *folder)
{
	int n = snprintf(path, size, "%.*s/%s" RUN_PRELOAD_NAME, (int)length,
			 dir, folder);

	return n > 0 && (size_t)n < size && !access(path, R_OK);
}

int run_preload_path(char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < sizeof(beside) / sizeof(beside[0]); i++)
		if (try_path(path, size, self, (size_t)(slash - self),
			     beside[i]))
			return 0;
	if (try_path(path, size, NESTFD_LIBDIR, strlen(NESTFD_LIBDIR), ""))
		return 0;
	fprintf(stderr, "nestfd run: " RUN_PRELOAD_NAME
			" is neither beside nestfd nor in " NESTFD_LIBDIR "\n");
	return TOOL_FAILED;
}

/* Behind what is preloaded already: some of that must come first (ASan). */
static int set_preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char path[PATH_MAX];
	char *all;
	int rc = run_preload_path(path, sizeof(path));

	if (rc)
		return rc;
	if (strpbrk(path, ": ")) {
		fprintf(stderr,
			"nestfd run: %s: the dynamic linker takes no such "
			"path (space or colon)\n",
			path);
		return TOOL_FAILED;
	}
	if (asprintf(&all, "%s%s%s", old ? old : "", old && *old ? ":" : "",
		     path) < 0)
		return TOOL_FAILED;
	rc = setenv("LD_PRELOAD", all, 1) ? TOOL_FAILED : 0;
	free(all);
	return rc;
}

static void set_or_unset(const char *name, const char *text)
{
	if (text && *text)
		setenv(name, text, 1);
	else
		unsetenv(name);
}

/* A file of ours that every process of the program can open by this name */
static void set_proc_path(const char *name, int fd)
{
	char path[64];

	if (fd < 0) {
		unsetenv(name);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	setenv(name, path, 1);
}

int run_set_environment(struct run *run)
{
	char number[16];

	setenv(RUN_ENV_IOMMU, run->iommu, 1);
	setenv(RUN_ENV_CACHE, run->cache, 1);
	setenv(RUN_ENV_MEMLOCK, run->memlock, 1);
	set_or_unset(RUN_ENV_INJECT, run->inject);
	set_or_unset(RUN_ENV_ATC_WINDOW, run->atc_window);
	set_or_unset(RUN_ENV_DEVICES, run->devices);
	set_proc_path(RUN_ENV_TRACE, run->trace_fd);
	set_proc_path(RUN_ENV_STATS, run->stats_fd);
	if (run->verbose)
		setenv(RUN_ENV_VERBOSE, "1", 1);
	else
		unsetenv(RUN_ENV_VERBOSE);
	snprintf(number, sizeof(number), "%d", run->fd);
	if (run->fd >= 0)
		setenv(RUN_ENV_FD, number, 1);
	else
		unsetenv(RUN_ENV_FD);
	return set_preload();
}
