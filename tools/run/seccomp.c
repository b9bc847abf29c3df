// SPDX-License-Identifier: MIT
/*
 * Serving from outside. Every process that the program leaves behind needs us:
 * without a supervisor it could open no file any more. So orphans become our
 * children, and `nestfd run` ends when the last of them has.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cmd.h"
#include "run.h"
#include "shim/seccomp/supervise.h"

#define LOOK_MS 100
#define FDS_MAX 65536u

static bool can_allocate(void)
{
	const size_t some = 1 << 20;
	void *p = mmap(NULL, some, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && !munmap(p, some);
}

/*
 * What the program has open, we have open, too: more than is usual. What it
 * makes us allocate must leave room for others: it gets ENOMEM in time.
 */
static int set_limits(struct run *run)
{
	rlim_t half = (rlim_t)sysconf(_SC_PHYS_PAGES) / 2 *
		      (rlim_t)sysconf(_SC_PAGESIZE);
	struct rlimit more, less;

	if (getrlimit(RLIMIT_NOFILE, &run->fds) ||
	    getrlimit(RLIMIT_DATA, &run->data))
		return -errno;
	less = run->data;
	if (less.rlim_cur > half) {
		less.rlim_cur = half;
		if (setrlimit(RLIMIT_DATA, &less))
			return -errno;
		if (!can_allocate()) /* sanitizers have more already */
			setrlimit(RLIMIT_DATA, &run->data);
	}
	more = run->fds;
	more.rlim_cur = more.rlim_max < FDS_MAX ? more.rlim_max : FDS_MAX;
	if (more.rlim_cur > run->fds.rlim_cur)
		setrlimit(RLIMIT_NOFILE, &more); /* as well as can be */
	return 0;
}

int run_seccomp_create(struct run *run)
{
	const struct supervise_config config = {
		.machine = {
			.iommu = run->iommu,
			.cache = run->cache,
			.memlock = run->memlock,
			.devices = run->devices,
			.inject = run->inject,
			.atc_window = run->atc_window,
		},
		.stats = run->counters,
		.trace_fd = run->trace_fd,
		.verbose = run->verbose,
	};
	const char *why = supervise_why_not();
	int rc;

	if (why) {
		fprintf(stderr, "nestfd run: --via seccomp: %s\n", why);
		return TOOL_INVALID;
	}
	rc = set_limits(run);
	if (!rc)
		rc = supervise_create(&config, &run->supervisor);
	if (!rc && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		rc = -errno;
	if (!rc)
		return 0;
	fprintf(stderr, "nestfd run: --via seccomp: %s\n", strerror(-rc));
	return TOOL_FAILED;
}

int run_seccomp_child(const struct run *run, int fd)
{
	int rc = setrlimit(RLIMIT_NOFILE, &run->fds) ||
				 setrlimit(RLIMIT_DATA, &run->data)
			 ? -errno
			 : 0;

	if (!rc)
		rc = supervise_install(run->supervisor);
	if (rc || fd < 0)
		return rc;
	if (fd == run->fd)
		return fcntl(fd, F_SETFD, 0) ? -errno : 0;
	return dup2(fd, run->fd) < 0 ? -errno : 0;
}

int run_seccomp_start(const struct run *run, pid_t pid)
{
	int rc = supervise_start(run->supervisor);

	if (!rc || rc == -EPIPE)
		return 0; /* the child tells what went wrong there */
	kill(pid, SIGKILL);
	fprintf(stderr, "nestfd run: --via seccomp: %s\n",
		rc == -EINVAL ? "this kernel is too old, Linux 5.14 is needed"
			      : strerror(-rc));
	return TOOL_INVALID;
}

void run_seccomp_wait(const struct run *run, const sigset_t *set)
{
	static const struct timespec look = { .tv_nsec = LOOK_MS * 1000000 };
	bool said = false;
	int sig;

	for (;;) {
		/* Whoever has not been waited for still has the filter. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (supervise_wait(run->supervisor, 0))
			return;
		if (run->verbose && !said)
			fprintf(stderr, "nestfd run: waiting for processes "
					"that the program has left\n");
		said = true;
		sig = sigtimedwait(set, NULL, &look);
		if (sig == SIGHUP || sig == SIGINT || sig == SIGQUIT ||
		    sig == SIGTERM)
			return;
	}
}
