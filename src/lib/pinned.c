// SPDX-License-Identifier: MIT
/*
 * How much each process has pinned through a context, as Linux shows it in
 * /proc/PID/status. Counted only: who may use nestfd needs no rights, so
 * RLIMIT_MEMLOCK does not hold anybody up.
 *
 * A client is its pid, and is forgotten with the context: pages may be pinned
 * for it after it has gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/foreign.h"
#include "lib/machine.h"

#define PAGE_LG2 12

static bool own_can(const struct core_process *process, enum core_capability c)
{
	return c == CORE_CAN_LIMIT || core_self_can(process, c);
}

/* Threads of ours stand in for it, so what they may do is not the answer. */
static bool client_can(const struct core_process *process,
		       enum core_capability c)
{
	unsigned long long effective = 0;
	char line[128];
	FILE *file;

	if (c == CORE_CAN_LIMIT)
		return true;
	snprintf(line, sizeof(line), "/proc/%d/status",
		 container_of(process, const struct pinned, core)->pid);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	if (file)
		fclose(file);
	return effective & 1ULL << CAP_IPC_LOCK;
}

static struct core_process *current(void *arg)
{
	const struct core_client *client = core_foreign();
	struct nestfd *ctx = arg;

	return client ? client->account : &ctx->own.core;
}

void pinned_start(struct nestfd *ctx, struct core_env *env)
{
	ctx->own.core.can = own_can;
	ctx->own.pid = getpid();
	env->process = current;
	env->process_ctx = ctx;
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

struct core_process *pinned_of(struct nestfd *ctx, pid_t pid)
{
	struct pinned *p;

	pthread_mutex_lock(&ctx->process_lock);
	p = find(ctx, pid);
	if (!p)
		p = alloc_zero(sizeof(*p));
	if (p && !p->pid) {
		p->core.can = client_can;
		p->pid = pid;
		p->next = ctx->clients;
		ctx->clients = p;
	}
	pthread_mutex_unlock(&ctx->process_lock);
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
