// SPDX-License-Identifier: MIT
/*
 * Whatever is not for us goes on in the kernel as if nobody had looked
 * (SECCOMP_USER_NOTIF_FLAG_CONTINUE). The kernel then reads the arguments
 * again, which other threads may have changed: it does no more than it would
 * have done without us. What we do ourselves, we do on our own copies; an open
 * of /dev/iommu hands out a file of ours, whatever the name says by then.
 */
#include "shim/seccomp/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/tally.h"

#define DEVICE_PATH "/dev/iommu"
/* The first word of every struct of the ABI is its size. */
#define STRUCT_MAX	64u
#define COMMAND_MAP_DMA 0x3b71u /* VFIO_IOMMU_MAP_DMA */
#define COMMAND_TEST	0x3ba0u /* IOMMU_TEST_CMD */

/* struct open_how of openat2(2): flags, mode, resolve */
#define OPEN_HOW_SIZE 24u

/* ---- Names ---- */

/* What cannot be read is not that name, and the kernel says why. */
static bool is_device(const struct notify_client *client, uint64_t addr)
{
	char path[sizeof(DEVICE_PATH)];

	return !client->read(client->ctx, path, addr, sizeof(path)) &&
	       !memcmp(path, DEVICE_PATH, sizeof(path));
}

/* ---- Trace ---- */

/* One call that is looked at */
struct watched_call {
	const struct notify_env *env;
	struct trace_line line;
	unsigned int row;
	uint64_t began;
	pid_t tid;
};

static bool is_watched(const struct notify_env *env)
{
	return env->stats || env->trace_fd >= 0;
}

static void begin_ioctl(struct watched_call *w, const struct notify_env *env,
			const struct seccomp_notif *n,
			const struct notify_client *client)
{
	const struct trace_mem mem = {
		.read = client->read,
		.ctx = client->ctx,
	};
	unsigned long cmd = (uint32_t)n->data.args[1];

	w->env = env;
	w->tid = (pid_t)n->pid;
	w->row = tally_row(cmd);
	if (env->trace_fd >= 0)
		trace_enter(&w->line, (int)n->data.args[0], cmd,
			    n->data.args[2], &mem);
	w->began = tally_now();
}

static void begin_open(struct watched_call *w, const struct notify_env *env,
		       const struct seccomp_notif *n, uint64_t flags)
{
	w->env = env;
	w->tid = (pid_t)n->pid;
	w->row = RUN_STAT_OPEN;
	if (env->trace_fd >= 0)
		trace_text(&w->line, "open(\"" DEVICE_PATH "\", %#x",
			   (unsigned int)flags);
	w->began = tally_now();
}

static void end_watched(struct watched_call *w, long rc)
{
	uint64_t took = tally_now() - w->began;

	if (w->env->stats)
		tally_count(w->env->stats, w->row, took, rc < 0);
	if (w->env->trace_fd < 0)
		return;
	trace_exit(&w->line, rc);
	tally_write(w->env->trace_fd, &w->line, w->env->verbose ? w->tid : 0,
		    write);
}

/* ---- open ---- */

/*
 * The fd it has got, or a negative errno to be answered. @answer: it has had
 * its answer then.
 */
static long open_device(const struct notify_env *env,
			const struct notify_client *client, uint64_t flags,
			bool answer)
{
	int fd, rc;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	fd = server_open(env->server, (int)(flags & O_NONBLOCK));
	if (fd < 0)
		return fd;
	rc = client->add_fd(client->ctx, fd, flags & O_CLOEXEC, answer);
	/* If it was not given away, this is its end. */
	close(fd);
	return rc;
}

/* False for what goes on in the kernel */
static bool open_flags(const struct seccomp_notif *n,
		       const struct notify_client *client, uint64_t *path,
		       uint64_t *flags)
{
	const __u64 *args = n->data.args;
	uint64_t how[OPEN_HOW_SIZE / sizeof(uint64_t)];

	switch (n->data.nr) {
#ifdef SYS_open
	case SYS_open:
		*path = args[0];
		*flags = args[1];
		return true;
#endif
	case SYS_openat:
		*path = args[1];
		*flags = args[2];
		return true;
#ifdef SYS_openat2
	case SYS_openat2:
		if (args[3] < OPEN_HOW_SIZE ||
		    client->read(client->ctx, how, args[2], sizeof(how)))
			return false;
		*path = args[1];
		*flags = how[0];
		return true;
#endif
	default:
		return false;
	}
}

static bool answer_open(const struct notify_env *env,
			const struct seccomp_notif *n,
			const struct notify_client *client,
			struct seccomp_notif_resp *resp)
{
	struct watched_call w;
	uint64_t path, flags;
	long rc;

	if (!open_flags(n, client, &path, &flags) || flags & O_PATH ||
	    !is_device(client, path)) {
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		return true;
	}
	if (is_watched(env))
		begin_open(&w, env, n, flags);
	/* Its line comes before those of what it does with the fd. */
	rc = open_device(env, client, flags, !is_watched(env));
	if (is_watched(env))
		end_watched(&w, rc);
	else if (rc >= 0)
		return false;
	if (rc < 0)
		resp->error = (int)rc;
	else
		resp->val = rc;
	return true;
}

/* ---- access ---- */

static void answer_access(const struct notify_client *client, uint64_t path,
			  uint64_t mode, struct seccomp_notif_resp *resp)
{
	if (mode & ~(uint64_t)(R_OK | W_OK | X_OK) || !is_device(client, path))
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (mode & X_OK)
		resp->error = -EACCES;
}

/* ---- ioctl ---- */

/* A call in progress, as libnestfd's callbacks see it */
struct call {
	const struct notify_client *client;
	struct server *server;
	struct server_context *context;
	struct server_queue *queue; /* being made */
	int inner;
	uint64_t arg;
	bool private; /* a command of the machine's own */
};

static int call_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	const struct call *call = ctx;

	return call->client->read(call->client->ctx, dst, addr, len);
}

static int call_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	const struct call *call = ctx;

	return call->client->write(call->client->ctx, addr, src, len);
}

static int call_get_fd(void *ctx, int fd)
{
	const struct call *call = ctx;

	return call->client->get_fd(call->client->ctx, fd);
}

/*
 * An fd once given cannot be taken back, so what would make the call fail
 * afterwards is tried before: writing the struct, with what is in it.
 */
static int check_writable(const struct call *call)
{
	unsigned char bytes[STRUCT_MAX];
	uint32_t size;
	int rc = call_read((void *)(uintptr_t)call, &size, call->arg,
			   sizeof(size));

	if (rc)
		return rc;
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	rc = call_read((void *)(uintptr_t)call, bytes, call->arg, size);
	return rc ? rc
		  : call_write((void *)(uintptr_t)call, call->arg, bytes, size);
}

static int call_give_fd(void *ctx, int inner)
{
	struct call *call = ctx;
	int program, rc;

	/* What the test command gives is no queue of ours to serve. */
	if (call->private)
		return call->client->add_fd(call->client->ctx, inner, true,
					    false);
	if (call->queue)
		return -EMFILE; /* no call makes two */
	rc = check_writable(call);
	if (rc)
		return rc;
	rc = server_queue_new(call->server, call->context, &call->queue,
			      &program);
	if (rc)
		return rc;
	call->inner = inner;
	rc = call->client->add_fd(call->client->ctx, program, true, false);
	close(program);
	return rc;
}

/*
 * What maps memory, or is only for some, and what the selftests ask of memory
 * that is mapped
 */
static bool wants_process(uint32_t cmd)
{
	return cmd == IOMMU_IOAS_MAP || cmd == COMMAND_MAP_DMA ||
	       cmd == IOMMU_IOAS_MAP_FILE || cmd == IOMMU_OPTION ||
	       cmd == IOMMU_IOAS_CHANGE_PROCESS || cmd == COMMAND_TEST;
}

static long perform(struct call *call, uint32_t cmd)
{
	struct nestfd_client client = {
		.size = sizeof(client),
		.ctx = call,
		.read = call_read,
		.write = call_write,
		.get_fd = call_get_fd,
		.give_fd = call_give_fd,
	};
	struct nestfd *nestfd;
	long rc = server_use(call->server, call->context, &nestfd);

	if (rc)
		return rc;
	call->private = cmd == COMMAND_TEST;
	if (wants_process(cmd))
		client.pid = call->client->process(call->client->ctx);
	server_settle(call->server, call->context);
	rc = nestfd_ioctl_for(nestfd, cmd, call->arg, &client);
	server_settle(call->server, call->context);
	if (call->queue && rc >= 0)
		server_queue_start(call->server, call->queue, call->inner);
	else if (call->queue)
		server_queue_cancel(call->server, call->queue);
	return rc;
}

/* *@context is NULL if @fd is none of ours; -ENFILE: nobody can tell */
static int context_of(const struct notify_env *env,
		      const struct notify_client *client, int fd,
		      struct server_context **context)
{
	int file = client->get_fd(client->ctx, fd);

	*context = NULL;
	if (file < 0)
		return file == -ENFILE ? file : 0;
	*context = server_get(env->server, file);
	close(file);
	return 0;
}

static void answer_ioctl(const struct notify_env *env,
			 const struct seccomp_notif *n,
			 const struct notify_client *client,
			 struct seccomp_notif_resp *resp)
{
	struct call call = {
		.client = client,
		.server = env->server,
		.arg = n->data.args[2],
	};
	struct watched_call w;
	long rc;

	rc = context_of(env, client, (int)n->data.args[0], &call.context);
	if (!call.context) {
		resp->error = (int)rc;
		resp->flags = rc ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		return;
	}
	if (is_watched(env))
		begin_ioctl(&w, env, n, client);
	rc = perform(&call, (uint32_t)n->data.args[1]);
	if (is_watched(env))
		end_watched(&w, rc);
	server_put(env->server, call.context);
	if (rc < 0)
		resp->error = (int)rc;
	else
		resp->val = rc;
}

bool notify_answer(const struct notify_env *env, const struct seccomp_notif *n,
		   const struct notify_client *client,
		   struct seccomp_notif_resp *resp)
{
	const __u64 *args = n->data.args;

	memset(resp, 0, sizeof(*resp));
	resp->id = n->id;
	switch (n->data.nr) {
	case SYS_ioctl:
		answer_ioctl(env, n, client, resp);
		return true;
#ifdef SYS_access
	case SYS_access:
		answer_access(client, args[0], args[1], resp);
		return true;
#endif
	case SYS_faccessat:
#ifdef SYS_faccessat2
	case SYS_faccessat2:
#endif
		answer_access(client, args[1], args[2], resp);
		return true;
	default:
		return answer_open(env, n, client, resp);
	}
}
