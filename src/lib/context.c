// SPDX-License-Identifier: MIT
/* An open /dev/iommu. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "base/alloc.h"
#include "core/foreign.h"
#include "lib/machine.h"

/* A context whose driver is there, not in the list yet */
static int start(struct nestfd *ctx)
{
	struct nestfd_machine *machine = ctx->machine;
	struct core_env env;
	int rc;

	pthread_mutex_lock(&machine->lock);
	rc = machine_driver(machine);
	env = machine->env;
	pthread_mutex_unlock(&machine->lock);
	if (!rc)
		rc = pinned_start(ctx, &env);
	return rc ? rc : core_open(&env, &ctx->core);
}

int nestfd_open(struct nestfd_machine *machine, struct nestfd **out)
{
	struct nestfd *ctx;
	int rc;

	ctx = alloc_zero(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->machine = machine;
	LIST_INIT(&ctx->bound);
	pthread_mutex_init(&ctx->process_lock, NULL);
	rc = start(ctx);
	if (rc) {
		pthread_mutex_destroy(&ctx->process_lock);
		free(ctx);
		return rc;
	}
	pthread_mutex_lock(&machine->lock);
	LIST_INSERT_HEAD(&machine->contexts, ctx, link);
	pthread_mutex_unlock(&machine->lock);
	*out = ctx;
	return 0;
}

struct core_ctx *context_call_begin(struct nestfd *ctx)
{
	__atomic_fetch_add(&ctx->calls, 1, __ATOMIC_RELAXED);
	return ctx->core;
}

/* Pairs with the acquire in nestfd_close(). */
void context_call_end(struct nestfd *ctx)
{
	__atomic_fetch_sub(&ctx->calls, 1, __ATOMIC_RELEASE);
}

void nestfd_close(struct nestfd *ctx)
{
	static const struct timespec nap = { .tv_nsec = 50000 };
	struct nestfd_machine *machine;

	if (!ctx)
		return;
	machine = ctx->machine;
	while (__atomic_load_n(&ctx->calls, __ATOMIC_ACQUIRE))
		nanosleep(&nap, NULL);
	devices_unbind_all(ctx);
	if (machine->arch->closing)
		machine->arch->closing(machine->iommu, ctx->core);
	core_close(ctx->core);
	pinned_end(ctx);
	pthread_mutex_lock(&machine->lock);
	LIST_REMOVE(ctx, link);
	pthread_mutex_unlock(&machine->lock);
	if (ctx->process)
		client_process_put(ctx->process);
	pthread_mutex_destroy(&ctx->process_lock);
	free(ctx);
}

static void before_call(const struct nestfd *ctx)
{
	const struct nestfd_machine *machine = ctx->machine;

	if (__builtin_expect(!!machine->arch->before_call, 0))
		machine->arch->before_call(machine->iommu, ctx->core);
}

int nestfd_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	before_call(ctx);
	return core_ioctl(((struct nestfd *)ctx)->core, cmd, arg);
}

/* Calls that need more of a process than to copy from and to it: mapping, and
 * private ones, which ask what is mapped */
static bool maps_memory(const struct nestfd *ctx, unsigned int cmd)
{
	const struct core_private *own = ctx->machine->env.private_op;

	return cmd == IOMMU_IOAS_MAP || cmd == VFIO_IOMMU_MAP_DMA ||
	       cmd == IOMMU_IOAS_CHANGE_PROCESS || (own && own->cmd == cmd);
}

/* Whose pages are counted, or who may say how */
static bool needs_account(const struct nestfd *ctx, unsigned int cmd)
{
	return maps_memory(ctx, cmd) || cmd == IOMMU_IOAS_MAP_FILE ||
	       cmd == IOMMU_OPTION;
}

/*
 * Is @process what the caller's memory is now? It is gone after exec, except
 * while another process shares it, so what it holds is looked at.
 */
static bool is_theirs(const struct client_process *process,
		      const struct nestfd_client *client, uint64_t arg)
{
	uint64_t theirs, here;

	return !client->read(client->ctx, &theirs, arg, sizeof(theirs)) &&
	       !client_process_read(process, &here, arg, sizeof(here)) &&
	       here == theirs;
}

/*
 * Calls of one process share it: the fds that it keeps are few, and what one
 * call has mapped, another knows as the same memory. NULL: cannot be had
 */
static struct client_process *
process_of(struct nestfd *ctx, const struct nestfd_client *client, uint64_t arg)
{
	struct client_process *process;

	pthread_mutex_lock(&ctx->process_lock);
	process = ctx->process;
	if (!process || ctx->pid != client->pid ||
	    !is_theirs(process, client, arg)) {
		if (process)
			client_process_put(process);
		if (client_process_open(client->pid, &process))
			process = NULL;
		ctx->process = process;
		ctx->pid = client->pid;
	}
	if (process)
		client_process_get(process);
	pthread_mutex_unlock(&ctx->process_lock);
	return process;
}

int nestfd_ioctl_for(struct nestfd *ctx, unsigned long cmd, uint64_t arg,
		     const struct nestfd_client *client)
{
	struct core_client c;
	int rc = 0;

	if (client->size != sizeof(*client) || !client->read ||
	    !client->write || !client->get_fd || !client->give_fd)
		return -EINVAL;
	c = (struct core_client){
		.ctx = client->ctx,
		.read = client->read,
		.write = client->write,
		.get_fd = client->get_fd,
		.give_fd = client->give_fd,
	};
	/* Without it core says what cannot be mapped. */
	if (client->pid && maps_memory(ctx, (unsigned int)cmd))
		c.process = process_of(ctx, client, arg);
	if (client->pid && needs_account(ctx, (unsigned int)cmd)) {
		c.account = pinned_of(ctx, client->pid);
		rc = c.account ? 0 : -ENOMEM;
	}
	before_call(ctx);
	if (!rc)
		rc = core_ioctl_for(ctx->core, cmd, arg, &c);
	if (c.process)
		client_process_put(c.process);
	return rc;
}

ssize_t nestfd_write(void *ctx, int fd, const void *buf, size_t len)
{
	ssize_t rc = core_fd_write(context_call_begin(ctx), fd, buf, len);

	context_call_end(ctx);
	return rc;
}

ssize_t nestfd_read(void *ctx, int fd, void *buf, size_t len)
{
	ssize_t rc = core_fd_read(context_call_begin(ctx), fd, buf, len);

	context_call_end(ctx);
	return rc;
}

const uint32_t *nestfd_event_count(void *ctx, int fd)
{
	const uint32_t *count =
		core_fd_event_count(context_call_begin(ctx), fd);

	context_call_end(ctx);
	return count;
}

int nestfd_close_fd(void *ctx, int fd)
{
	int rc = core_fd_close(context_call_begin(ctx), fd);

	context_call_end(ctx);
	return rc;
}

int nestfd_mmap_get(struct nestfd *ctx, uint64_t offset, uint64_t length,
		    int *fd, uint64_t *fd_offset)
{
	return core_mmap_get(ctx->core, offset, length, fd, fd_offset);
}

void nestfd_mmap_put(struct nestfd *ctx, uint64_t offset)
{
	core_mmap_put(ctx->core, offset);
}
