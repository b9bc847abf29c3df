// SPDX-License-Identifier: MIT
/*
 * Names: /dev/iommu, and those files below /proc and /sys that say more, or
 * exist at all, because of it.
 *
 * What is opened, and whatever is not for us, by whatever name is there when we
 * look; see notify.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/procfs.h"
#include "shim/seccomp/faults.h"
#include "shim/seccomp/notify_priv.h"
#include "shim/seccomp/watched.h"

#define DEVICE_PATH "/dev/iommu"
#define PAGE	    4096u

/* struct open_how of openat2(2): flags, mode, resolve */
#define OPEN_HOW_SIZE 24u

struct opening {
	int dir;
	uint64_t path;
	uint64_t flags;
	char name[PROCFS_NAME];
};

/*
 * False for what is longer than any of ours, or cannot be read: the kernel says
 * why. A name may end just where memory does.
 */
static bool read_name(const struct notify_client *client, uint64_t addr,
		      char name[PROCFS_NAME])
{
	size_t here = PAGE - addr % PAGE;

	if (here > PROCFS_NAME)
		here = PROCFS_NAME;
	if (client->read(client->ctx, name, addr, here))
		return false;
	if (memchr(name, 0, here))
		return true;
	return here < PROCFS_NAME &&
	       !client->read(client->ctx, name + here, addr + here,
			     PROCFS_NAME - here) &&
	       memchr(name, 0, PROCFS_NAME);
}

/* False for what goes on in the kernel */
static bool open_flags(const struct notice *m, struct opening *o)
{
	const __u64 *args = m->n->data.args;
	uint64_t how[OPEN_HOW_SIZE / sizeof(uint64_t)];

	o->dir = (int)args[0];
	o->path = args[1];
	switch (m->n->data.nr) {
#ifdef SYS_open
	case SYS_open:
		o->dir = AT_FDCWD;
		o->path = args[0];
		o->flags = args[1];
		return true;
#endif
	case SYS_openat:
		o->flags = args[2];
		return true;
#ifdef SYS_openat2
	case SYS_openat2:
		if (args[3] < OPEN_HOW_SIZE ||
		    m->client->read(m->client->ctx, how, args[2], sizeof(how)))
			return false;
		o->flags = how[0];
		return true;
#endif
	default:
		return false;
	}
}

static unsigned int cloexec(const struct opening *o)
{
	return o->flags & O_CLOEXEC ? NOTIFY_FD_CLOEXEC : 0;
}

/* ---- /dev/iommu ---- */

static int open_device(const struct notice *m, const struct opening *o)
{
	if (o->flags & O_DIRECTORY)
		return -ENOTDIR;
	if (o->flags & O_CREAT && o->flags & O_EXCL)
		return -EEXIST;
	return server_open(m->env->server, (int)(o->flags & O_NONBLOCK));
}

static bool answer_device(const struct notice *m, const struct opening *o)
{
	struct watched w;
	int fd;
	bool rc = true;

	watched_other(&w, m->env, m->n, RUN_STAT_OPEN,
		      "open(\"" DEVICE_PATH "\", %#x", (unsigned int)o->flags);
	fd = open_device(m, o);
	if (fd >= 0)
		rc = notice_give(m, fd, cloexec(o));
	else
		notice_result(m, fd);
	watched_end(&w, m->resp->error ? m->resp->error : (long)m->resp->val);
	return rc;
}

/* ---- /proc/PID/status ---- */

static ssize_t read_status(pid_t pid, char text[PROCFS_STATUS_ROOM])
{
	size_t at = 0;
	ssize_t n;
	int fd;

	snprintf(text, PROCFS_NAME, "/proc/%d/status", pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + at, PROCFS_STATUS - at);
		if (n > 0)
			at += (size_t)n;
	} while (n > 0 && at < PROCFS_STATUS);
	close(fd);
	text[at] = '\0';
	return n ? -EIO : (ssize_t)at;
}

/* A file that says @text: a copy, as of now */
static int text_file(const char *name, const char *text)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	size_t length = strlen(text);

	if (fd < 0)
		return -ENFILE;
	if (pwrite(fd, text, length, 0) == (ssize_t)length)
		return fd;
	close(fd);
	return -ENOMEM;
}

static bool answer_status(const struct notice *m, const struct opening *o,
			  pid_t pid)
{
	uint64_t sum[2] = { 0 };
	char *text = NULL;
	int fd = -1;

	server_pinned(m->env->server, pid, sum);
	if ((sum[0] | sum[1]) && (o->flags & O_ACCMODE) == O_RDONLY &&
	    !(o->flags & O_DIRECTORY))
		text = malloc(PROCFS_STATUS_ROOM);
	if (text && read_status(pid, text) > 0) {
		procfs_status_add(text, sum[0], sum[1]);
		fd = text_file("status", text);
	}
	free(text);
	if (fd >= 0)
		return notice_give(m, fd, cloexec(o));
	notice_continue(m);
	return true;
}

/* ---- Fault injection ---- */

static bool is_debugfs_fd(const struct notice *m, int dir)
{
	char link[PROCFS_NAME], target[PROCFS_NAME];
	int fd = m->client->get_fd(m->client->ctx, dir);
	ssize_t n;

	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	close(fd);
	target[n > 0 ? n : 0] = '\0';
	return procfs_is_debugfs(target) || !strcmp(target, PROCFS_DEBUG_UP);
}

static bool is_control(const struct notice *m, const struct opening *o)
{
	/* Most names need no look at the folder. */
	return procfs_is_control(o->name, true) &&
	       procfs_is_control(o->name,
				 o->name[0] != '/' && is_debugfs_fd(m, o->dir));
}

/* An fd of what there is to be opened, -ENOENT: nothing of ours */
static int open_injection(const struct notice *m, const struct opening *o,
			  pid_t pid, unsigned int *how)
{
	struct faults *faults = server_faults(m->env->server);
	pid_t tid = (pid_t)m->n->pid;
	int fd, rc;

	if (!faults)
		return -ENOENT;
	if (procfs_is_fail_nth(o->name, pid, tid)) {
		*how |= NOTIFY_FD_PLACED;
		rc = faults_open(faults, tid, &fd);
		return rc ? rc : fd;
	}
	if (is_control(m, o))
		return text_file("fail-control", "");
	if (!procfs_is_debugfs(o->name) || !access(PROCFS_DEBUG, R_OK | X_OK))
		return -ENOENT;
	fd = open(PROCFS_DEBUG_UP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -ENOENT : fd;
}

/* ---- All ---- */

static bool answer_other(const struct notice *m, const struct opening *o)
{
	static const char proc[] = "/proc/";
	unsigned int how = 0;
	pid_t self = 0;
	pid_t pid;
	int fd;

	if (!strncmp(o->name, proc, sizeof(proc) - 1))
		self = m->client->process(m->client->ctx);
	pid = procfs_status(o->name, self);
	if (pid)
		return answer_status(m, o, pid);
	fd = open_injection(m, o, self, &how);
	if (fd >= 0)
		return notice_give(m, fd, how | cloexec(o));
	if (fd == -ENOENT)
		notice_continue(m);
	else
		notice_result(m, fd);
	return true;
}

bool notice_open(const struct notice *m)
{
	struct opening o;

	if (!open_flags(m, &o) || o.flags & O_PATH ||
	    !read_name(m->client, o.path, o.name)) {
		notice_continue(m);
		return true;
	}
	return !strcmp(o.name, DEVICE_PATH) ? answer_device(m, &o)
					    : answer_other(m, &o);
}

void notice_access(const struct notice *m, uint64_t path, uint64_t mode)
{
	char name[PROCFS_NAME];

	if (mode & ~(uint64_t)(R_OK | W_OK | X_OK) ||
	    !read_name(m->client, path, name) || strcmp(name, DEVICE_PATH))
		notice_continue(m);
	else
		notice_result(m, mode & X_OK ? -EACCES : 0);
}
