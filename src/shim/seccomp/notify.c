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
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/seccomp/faults.h"
#include "shim/seccomp/filter.h"
#include "shim/seccomp/notify_priv.h"
#include "shim/seccomp/watched.h"

/* The first word of every struct of the ABI is its size. */
#define STRUCT_MAX	64u
#define COMMAND_MAP_DMA 0x3b71u /* VFIO_IOMMU_MAP_DMA */
#define COMMAND_TEST	0x3ba0u /* IOMMU_TEST_CMD */

void notice_continue(const struct notice *m)
{
	m->resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

void notice_result(const struct notice *m, long rc)
{
	if (rc < 0)
		m->resp->error = (int)rc;
	else
		m->resp->val = rc;
}

bool notice_give(const struct notice *m, int fd, unsigned int flags)
{
	long rc;

	if (m->env->interrupted)
		flags |= NOTIFY_FD_ANSWER;
	rc = m->client->add_fd(m->client->ctx, fd, flags);
	/* If it was not given away, this is its end. */
	close(fd);
	notice_result(m, rc);
	return rc < 0 || !m->env->interrupted;
}

/* ---- ioctl ---- */

/* A call in progress, as libnestfd's callbacks see it */
struct call {
	const struct notify_client *client;
	struct server *server;
	struct server_context *context;
	struct server_queue *queue; /* being made */
	struct server_queue_kind kind;
	uint32_t fds_first;
	uint64_t arg;
	bool private;  /* a command of the machine's own */
	bool restored; /* its fd was a stand-in until now */
	pid_t tid;
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
		return call->client->add_fd(call->client->ctx, inner,
					    NOTIFY_FD_CLOEXEC);
	if (call->queue)
		return -EMFILE; /* no call makes two */
	rc = check_writable(call);
	if (rc)
		return rc;
	rc = server_queue_new(call->server, call->context, &call->queue,
			      &program);
	if (rc)
		return rc;
	call->kind.inner = inner;
	rc = call->client->add_fd(call->client->ctx, program,
				  NOTIFY_FD_CLOEXEC | NOTIFY_FD_PLACED);
	close(program);
	if (rc >= 0 && call->fds_first)
		call->kind.stops = (uint32_t)rc - call->fds_first < FILTER_FDS;
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
	struct faults *faults = server_faults(call->server);
	struct nestfd *nestfd;
	long rc = server_use(call->server, call->context, &nestfd);

	if (rc)
		return rc;
	call->private = cmd == COMMAND_TEST;
	call->kind.faults = cmd == IOMMU_FAULT_QUEUE_ALLOC;
	if (wants_process(cmd))
		client.pid = call->client->process(call->client->ctx);
	server_settle(call->server, call->context);
	if (cmd == IOMMU_DESTROY)
		server_look_at_maps(call->server, nestfd,
				    call->restored ? call->tid : 0);
	if (faults)
		faults_arm(faults, call->tid);
	rc = nestfd_ioctl_for(nestfd, cmd, call->arg, &client);
	if (faults)
		faults_disarm(faults, call->tid);
	server_settle(call->server, call->context);
	if (call->queue && rc >= 0)
		server_queue_start(call->server, call->queue, &call->kind);
	else if (call->queue)
		server_queue_cancel(call->server, call->queue);
	return rc;
}

/* The fd is of a mapping's file: the socket comes back. */
static int restore(const struct notice *m, int file, int fd,
		   struct server_context **context)
{
	int socket = server_socket_of(m->env->server, file);
	int rc;

	if (socket < 0)
		return socket;
	rc = m->client->replace_fd(m->client->ctx, socket, fd);
	*context = server_get(m->env->server, socket);
	close(socket);
	if (rc >= 0 || !*context)
		return rc < 0 ? rc : 0;
	server_put(m->env->server, *context);
	*context = NULL;
	return rc;
}

int notice_context(const struct notice *m, int fd,
		   struct server_context **context, bool *restored)
{
	int file = m->client->get_fd(m->client->ctx, fd);
	int rc = 0;

	*context = NULL;
	*restored = false;
	if (file < 0)
		return file == -ENFILE ? file : 0;
	*context = server_get(m->env->server, file);
	if (!*context) {
		rc = restore(m, file, fd, context);
		*restored = !rc;
	}
	close(file);
	return rc == -ENOTTY ? 0 : rc;
}

static void answer_ioctl(const struct notice *m)
{
	const __u64 *args = m->n->data.args;
	struct call call = {
		.client = m->client,
		.server = m->env->server,
		.fds_first = m->env->fds_first,
		.arg = args[2],
		.tid = (pid_t)m->n->pid,
	};
	struct watched w;
	long rc;

	rc = notice_context(m, (int)args[0], &call.context, &call.restored);
	if (!call.context) {
		if (rc)
			notice_result(m, rc);
		else
			notice_continue(m);
		return;
	}
	if (watched_by(m->env))
		watched_ioctl(&w, m->env, m->n, m->client);
	rc = perform(&call, (uint32_t)args[1]);
	if (watched_by(m->env))
		watched_end(&w, rc);
	server_put(m->env->server, call.context);
	notice_result(m, rc);
}

/* F_DUPFD and F_DUPFD_CLOEXEC: other commands do not stop. */
static bool answer_fcntl(const struct notice *m)
{
	return notice_dup(m, m->n->data.args[2],
			  m->n->data.args[1] == F_DUPFD_CLOEXEC);
}

/* False: it has had its answer */
static bool dispatch(const struct notice *m)
{
	const __u64 *args = m->n->data.args;

	switch (m->n->data.nr) {
	case SYS_ioctl:
		answer_ioctl(m);
		return true;
#ifdef SYS_access
	case SYS_access:
		notice_access(m, args[0], args[1]);
		return true;
#endif
	case SYS_faccessat:
#ifdef SYS_faccessat2
	case SYS_faccessat2:
#endif
		notice_access(m, args[1], args[2]);
		return true;
	case SYS_read:
	case SYS_pread64:
		notice_read(m);
		return true;
	case SYS_write:
	case SYS_pwrite64:
		notice_write(m);
		return true;
	case SYS_close:
		notice_close(m);
		return true;
	case SYS_dup:
		return notice_dup(m, 0, false);
	case SYS_fcntl:
		return answer_fcntl(m);
	case SYS_mmap:
		notice_mmap(m);
		return true;
	default:
		return notice_open(m);
	}
}

bool notify_answer(const struct notify_env *env, const struct seccomp_notif *n,
		   const struct notify_client *client,
		   struct seccomp_notif_resp *resp)
{
	const struct notice m = { env, n, client, resp };

	memset(resp, 0, sizeof(*resp));
	resp->id = n->id;
	return dispatch(&m);
}
