/* SPDX-License-Identifier: MIT */
/*
 * The way in for programs into which nothing can be preloaded: a seccomp filter
 * stops the calls that may be for /dev/iommu, in the program and whatever it
 * starts, and threads of `nestfd run` answer them.
 *
 * In order: supervise_create(), fork(); in the child supervise_install() and
 * exec; in the parent supervise_start(), supervise_wait(). Needs Linux 5.14.
 */
#ifndef SHIM_SECCOMP_SUPERVISE_H
#define SHIM_SECCOMP_SUPERVISE_H

#include <stdbool.h>

#include "shim/run.h"

struct server;
struct supervisor;

struct supervise_config {
	struct run_machine machine;
	struct run_stats *stats; /* or NULL */
	int trace_fd;		 /* or -1 */
	bool verbose;
};

/* NULL if this kernel lets us; else why not */
const char *supervise_why_not(void);

int supervise_create(const struct supervise_config *config,
		     struct supervisor **out);

/* A /dev/iommu for the program to inherit; the caller closes it. */
int supervise_open(struct supervisor *s);

/*
 * In the child, which has no other thread: from here on its calls wait for the
 * supervisor. Makes system calls only. 0 or -errno.
 */
int supervise_install(struct supervisor *s);

/*
 * Serves from now on, in threads of its own that take no signals. -EPIPE: the
 * child has not got so far.
 */
int supervise_start(struct supervisor *s);

/*
 * True once no process has the filter any more; waits at most @timeout
 * milliseconds for that. Processes must have been waited for (waitpid) to count
 * as gone.
 */
bool supervise_wait(struct supervisor *s, int timeout);

/*
 * Ends the threads and frees all, once supervise_wait() has said true or the
 * filter was never installed. NULL is fine.
 */
void supervise_destroy(struct supervisor *s);

/* For tests: what it serves */
struct server *supervise_server(struct supervisor *s);

#endif
