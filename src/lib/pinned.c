// SPDX-License-Identifier: MIT
/*
 * How much each process has pinned through a context, as Linux shows it in
 * /proc/PID/status. Counted only, since who may use nestfd needs no rights;
 * unless the machine's config wants RLIMIT_MEMLOCK enforced. Then users' sums
 * are the machine's: what they pin elsewhere is not known here.
 *
 * A client is its pid, and is forgotten with the context: pages may be pinned
 * for it after it has gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/foreign.h"
#include "lib/machine.h"

#define PAGE_LG2 12

static pid_t pid_of(const struct core_process *process)
{
	return container_of(process, const struct pinned, core)->pid;
}

/* The line of /proc/PID/status that begins with @name, read as @format */
static bool read_status(pid_t pid, const char *format, void *value)
{
	bool found = false;
	char line[128];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", pid);
	file = fopen(line, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, format, value) == 1;
	if (file)
		fclose(file);
	return found;
}

/* ---- who may do what ---- */

static bool own_can(const struct core_process *process, enum core_capability c)
{
	return c == CORE_CAN_LIMIT || core_self_can(process, c);
}

/* Capabilities in a user namespace of its own are none over the machine. */
static bool in_our_user_namespace(pid_t pid)
{
	struct stat theirs, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	return !stat(path, &theirs) && !stat("/proc/self/ns/user", &ours) &&
	       theirs.st_ino == ours.st_ino;
}

/* Threads of ours stand in for it, so what they may do is not the answer. */
static bool client_can_enforced(const struct core_process *process,
				enum core_capability c)
{
	int cap = c == CORE_CAN_LOCK ? CAP_IPC_LOCK : CAP_SYS_RESOURCE;
	unsigned long long effective = 0;
	pid_t pid = pid_of(process);

	return read_status(pid, "CapEff: %llx", &effective) &&
	       (effective & 1ULL << cap) && in_our_user_namespace(pid);
}

static bool client_can(const struct core_process *process,
		       enum core_capability c)
{
	return c == CORE_CAN_LIMIT || client_can_enforced(process, c);
}

/* Of a process that has gone, the last one */
static uint64_t client_limit(const struct core_process *process)
{
	struct pinned *p = container_of((struct core_process *)process,
					struct pinned, core);
	struct rlimit limit;

	if (prlimit(p->pid, RLIMIT_MEMLOCK, NULL, &limit))
		return p->limit;
	p->limit = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
						   : limit.rlim_cur >> PAGE_LG2;
	return p->limit;
}

/* ---- users ---- */

static struct core_account *user_of(struct nestfd_machine *machine, uid_t uid)
{
	struct pinned_user *user;

	pthread_mutex_lock(&machine->users_lock);
	user = machine->users;
	while (user && user->uid != uid)
		user = user->next;
	if (!user) {
		user = alloc_zero(sizeof(*user));
		if (user) {
			user->uid = uid;
			user->next = machine->users;
			machine->users = user;
		}
	}
	pthread_mutex_unlock(&machine->users_lock);
	return user ? &user->core : NULL;
}

void pinned_forget_users(struct nestfd_machine *machine)
{
	while (machine->users) {
		struct pinned_user *user = machine->users;

		machine->users = user->next;
		free(user);
	}
}

static bool is_enforced(const struct nestfd *ctx)
{
	return ctx->machine->config.memlock == NESTFD_MEMLOCK_ENFORCE;
}

/* ---- processes ---- */

static struct core_process *current(void *arg)
{
	const struct core_client *client = core_foreign();
	struct nestfd *ctx = arg;

	return client ? client->account : &ctx->own.core;
}

int pinned_start(struct nestfd *ctx, struct core_env *env)
{
	ctx->own.core.can = own_can;
	ctx->own.pid = getpid();
	if (is_enforced(ctx)) {
		ctx->own.core.can = core_self_can;
		ctx->own.core.limit = core_self_limit;
		ctx->own.core.user = user_of(ctx->machine, getuid());
		if (!ctx->own.core.user)
			return -ENOMEM;
	}
	env->process = current;
	env->process_ctx = ctx;
	return 0;
}

void pinned_end(struct nestfd *ctx)
{
	struct pinned *p = ctx->clients;

	while (p) {
		struct pinned *next = p->next;

		free(p);
		p = next;
	}
}

static struct pinned *find(struct nestfd *ctx, pid_t pid)
{
	struct pinned *p = ctx->clients;

	while (p && p->pid != pid)
		p = p->next;
	return p;
}

static struct pinned *new_client(struct nestfd *ctx, pid_t pid)
{
	struct pinned *p = alloc_zero(sizeof(*p));
	uid_t uid = 0;

	if (!p)
		return NULL;
	p->pid = pid;
	p->core.can = client_can;
	if (is_enforced(ctx)) {
		p->core.can = client_can_enforced;
		p->core.limit = client_limit;
		if (read_status(pid, "Uid: %u", &uid))
			p->core.user = user_of(ctx->machine, uid);
		if (!p->core.user) {
			free(p);
			return NULL;
		}
	}
	return p;
}

struct core_process *pinned_of(struct nestfd *ctx, pid_t pid)
{
	struct pinned *p;

	pthread_mutex_lock(&ctx->process_lock);
	p = find(ctx, pid);
	if (!p) {
		p = new_client(ctx, pid);
		if (p) {
			p->next = ctx->clients;
			ctx->clients = p;
		}
	}
	pthread_mutex_unlock(&ctx->process_lock);
	if (p && p->core.limit)
		p->core.limit(&p->core); /* while it lives */
	return p ? &p->core : NULL;
}

/* Takes no lock: the shim asks with its own held. */
void nestfd_pinned(struct nestfd *ctx, pid_t pid, uint64_t *pinned,
		   uint64_t *locked)
{
	const struct pinned *p = find(ctx, pid);

	*pinned = p ? p->core.pinned << PAGE_LG2 : 0;
	*locked = p ? p->core.locked << PAGE_LG2 : 0;
	/* A copy of the process that goes on in its place is not it. */
	if (pid == ctx->own.pid && pid == getpid()) {
		*pinned += ctx->own.core.pinned << PAGE_LG2;
		*locked += ctx->own.core.locked << PAGE_LG2;
	}
}
