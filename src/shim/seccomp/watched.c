// SPDX-License-Identifier: MIT
/* See watched.h. */
#include "shim/seccomp/watched.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/tally.h"

bool watched_by(const struct notify_env *env)
{
	return env->stats || env->trace_fd >= 0;
}

static bool begin(struct watched *w, const struct notify_env *env,
		  const struct seccomp_notif *n, unsigned int row)
{
	w->env = watched_by(env) ? env : NULL;
	w->tid = (pid_t)n->pid;
	w->row = row;
	w->began = w->env ? tally_now() : 0;
	return env->trace_fd >= 0;
}

void watched_ioctl(struct watched *w, const struct notify_env *env,
		   const struct seccomp_notif *n,
		   const struct notify_client *client)
{
	const struct trace_mem mem = {
		.read = client->read,
		.ctx = client->ctx,
	};
	unsigned long cmd = (uint32_t)n->data.args[1];

	if (begin(w, env, n, tally_row(cmd)))
		trace_enter(&w->line, (int)n->data.args[0], cmd,
			    n->data.args[2], &mem);
	if (w->env)
		w->began = tally_now(); /* without what the trace costs */
}

void watched_other(struct watched *w, const struct notify_env *env,
		   const struct seccomp_notif *n, unsigned int row,
		   const char *format, ...)
{
	char text[160];
	va_list args;

	if (!begin(w, env, n, row))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	trace_text(&w->line, "%s", text);
}

void watched_end(struct watched *w, long rc)
{
	uint64_t took;

	if (!w->env)
		return;
	took = tally_now() - w->began;
	if (w->env->stats)
		tally_count(w->env->stats, w->row, took, rc < 0);
	if (w->env->trace_fd < 0)
		return;
	trace_exit(&w->line, rc);
	tally_write(w->env->stats, w->env->trace_fd, &w->line,
		    w->env->verbose ? w->tid : 0, write);
}
