// SPDX-License-Identifier: MIT
/*
 * Calls on fds: read, write and dup of those that are placed where they stop,
 * close for a trace, and mmap of a context.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/procfs.h"
#include "shim/seccomp/faults.h"
#include "shim/seccomp/filter.h"
#include "shim/seccomp/notify_priv.h"
#include "shim/seccomp/watched.h"

#define PAGE 4096u

/* ---- read ---- */

/*
 * The most that one read of a queue gives. Of faults, only whole ones can be
 * asked for: a longer read stays what it is in that.
 */
#define FAULT	 sizeof(struct iommu_hwpt_pgfault)
#define READ_MAX (100 * FAULT)

static int put(const struct notice *m, const void *src, size_t len)
{
	return m->client->write(m->client->ctx, m->n->data.args[1], src, len);
}

static long read_queue(const struct notice *m, int file, size_t len)
{
	unsigned char bytes[READ_MAX + FAULT];
	ssize_t n;
	int rc;

	if (len > READ_MAX)
		len = READ_MAX + len % FAULT;
	n = server_queue_read(m->env->server, file, bytes, len);
	rc = n > 0 ? put(m, bytes, (size_t)n) : 0;
	if (!rc)
		return n;
	server_queue_unread(m->env->server, file, bytes, (size_t)n);
	return rc;
}

static long read_fail_nth(const struct notice *m, int file, size_t len,
			  uint64_t offset)
{
	struct faults *faults = server_faults(m->env->server);
	char text[PROCFS_FAIL_NTH];
	uint64_t left;
	size_t n;
	int rc;

	rc = faults ? faults_read(faults, file, &left) : -ENOTTY;
	if (rc)
		return rc;
	n = procfs_fail_nth_text(left, text);
	if (offset >= n)
		return 0;
	if (len > n - offset)
		len = n - offset;
	rc = put(m, text + offset, len);
	return rc ? rc : (long)len;
}

/* -ENOTTY: not for us */
static long do_read(const struct notice *m, int file)
{
	const __u64 *args = m->n->data.args;
	bool at = m->n->data.nr == SYS_pread64;
	ssize_t rc = -ENOTTY;

	if (!at)
		rc = read_queue(m, file, args[2]);
	return rc == -ENOTTY ? read_fail_nth(m, file, args[2], at ? args[3] : 0)
			     : rc;
}

/* ---- write ---- */

static long write_queue(const struct notice *m, int file, size_t len)
{
	unsigned char bytes[SERVER_WRITE_MAX];

	if (len > sizeof(bytes))
		len = sizeof(bytes);
	if (!server_is_queue(m->env->server, file))
		return -ENOTTY;
	if (m->client->read(m->client->ctx, bytes, m->n->data.args[1], len))
		return -EFAULT;
	return server_queue_write(m->env->server, file, bytes, len);
}

static long write_fail_nth(const struct notice *m, int file, size_t len)
{
	struct faults *faults = server_faults(m->env->server);
	char text[PROCFS_FAIL_NTH];
	uint64_t nth;
	int rc;

	rc = faults ? faults_read(faults, file, &nth) : -ENOTTY;
	if (!rc && len > sizeof(text))
		rc = -EINVAL;
	if (!rc &&
	    m->client->read(m->client->ctx, text, m->n->data.args[1], len))
		rc = -EFAULT;
	if (!rc)
		rc = procfs_fail_nth_parse(text, len, &nth);
	if (!rc)
		rc = faults_write(faults, file, nth);
	return rc ? rc : (long)len;
}

static long do_write(const struct notice *m, int file)
{
	size_t len = m->n->data.args[2];
	long rc = -ENOTTY;

	if (m->n->data.nr == SYS_write)
		rc = write_queue(m, file, len);
	return rc == -ENOTTY ? write_fail_nth(m, file, len) : rc;
}

/* ---- both ---- */

static bool is_ours(const struct notice *m, int file)
{
	struct faults *faults = server_faults(m->env->server);
	uint64_t left;

	return server_is_queue(m->env->server, file) ||
	       (faults && !faults_read(faults, file, &left));
}

static void answer_io(const struct notice *m, bool write)
{
	const __u64 *args = m->n->data.args;
	int file = m->client->get_fd(m->client->ctx, (int)args[0]);
	long rc = file == -ENFILE ? -ENFILE : -ENOTTY;
	struct watched w;

	if (file >= 0 && is_ours(m, file)) {
		watched_other(&w, m->env, m->n,
			      write ? RUN_STAT_WRITE : RUN_STAT_READ,
			      "%s(%d, %#llx, %llu", write ? "write" : "read",
			      (int)args[0], (unsigned long long)args[1],
			      (unsigned long long)args[2]);
		rc = write ? do_write(m, file) : do_read(m, file);
		watched_end(&w, rc);
	}
	if (file >= 0)
		close(file);
	if (rc == -ENOTTY)
		notice_continue(m);
	else
		notice_result(m, rc);
}

void notice_read(const struct notice *m)
{
	answer_io(m, false);
}

void notice_write(const struct notice *m)
{
	answer_io(m, true);
}

/* ---- close ---- */

/* For the trace only: the kernel closes it, which cannot fail. */
void notice_close(const struct notice *m)
{
	int fd = (int)m->n->data.args[0];
	int file = m->client->get_fd(m->client->ctx, fd);
	struct server_context *context = NULL;
	struct watched w;

	notice_continue(m);
	if (file < 0)
		return;
	if (watched_by(m->env))
		context = server_get(m->env->server, file);
	if (context || is_ours(m, file)) {
		watched_other(&w, m->env, m->n, RUN_STAT_CLOSE, "close(%d", fd);
		watched_end(&w, 0);
	}
	if (context)
		server_put(m->env->server, context);
	close(file);
}

/* ---- dup ---- */

/* It stays where reads and writes stop. */
bool notice_dup(const struct notice *m, uint64_t min, bool cloexec)
{
	int file = m->client->get_fd(m->client->ctx, (int)m->n->data.args[0]);
	unsigned int flags = cloexec ? NOTIFY_FD_CLOEXEC : 0;

	if (file >= 0 && !min && is_ours(m, file))
		return notice_give(m, file, flags | NOTIFY_FD_PLACED);
	if (file >= 0)
		close(file);
	notice_continue(m);
	return true;
}

/* ---- mmap ---- */

/* The stand-in takes the fd's place, and the kernel goes on with that. */
static int map_context(const struct notice *m, struct server_context *context,
		       int file)
{
	const __u64 *args = m->n->data.args;
	struct server_map map = {
		.offset = args[5],
		.length = (args[1] + PAGE - 1) & ~(uint64_t)(PAGE - 1),
		.socket = file,
	};
	int stand_in;
	int rc;

	if (!args[1] || args[5] % PAGE)
		return -EINVAL;
	if (args[2] & PROT_EXEC)
		return -EPERM;
	rc = server_use(m->env->server, context, &map.nestfd);
	map.pid = m->client->process(m->client->ctx);
	if (!rc)
		rc = server_map(m->env->server, &map, &stand_in);
	if (rc)
		return rc;
	rc = m->client->replace_fd(m->client->ctx, stand_in, (int)args[4]);
	close(stand_in);
	return rc < 0 ? rc : 0;
}

void notice_mmap(const struct notice *m)
{
	int fd = (int)m->n->data.args[4];
	struct server_context *context;
	bool restored;
	int rc = notice_context(m, fd, &context, &restored);
	int file = -1;

	if (!rc && !context) {
		notice_continue(m);
		return;
	}
	if (!rc)
		file = m->client->get_fd(m->client->ctx, fd);
	if (!rc)
		rc = file < 0 ? file : map_context(m, context, file);
	if (file >= 0)
		close(file);
	if (context)
		server_put(m->env->server, context);
	if (rc)
		notice_result(m, rc);
	else
		notice_continue(m);
}
