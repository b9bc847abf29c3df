/* SPDX-License-Identifier: MIT */
/* One call that is looked at: --trace and --stats. */
#ifndef SHIM_SECCOMP_WATCHED_H
#define SHIM_SECCOMP_WATCHED_H

#include "shim/seccomp/notify.h"
#include "shim/trace.h"

struct watched {
	const struct notify_env *env; /* NULL: nobody looks */
	struct trace_line line;
	unsigned int row;
	uint64_t began;
	pid_t tid;
};

bool watched_by(const struct notify_env *env);

/* Before it: an ioctl */
void watched_ioctl(struct watched *w, const struct notify_env *env,
		   const struct seccomp_notif *n,
		   const struct notify_client *client);
/* Another one: its text up to the result */
void watched_other(struct watched *w, const struct notify_env *env,
		   const struct seccomp_notif *n, unsigned int row,
		   const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* After it */
void watched_end(struct watched *w, long rc);

#endif
