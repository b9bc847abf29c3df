// SPDX-License-Identifier: MIT
/*
 * A thread is known by a number that becomes another's when it dies. It cannot
 * leave its call but by dying, so after each access the kernel is asked whether
 * the call is still waiting: then what was reached was its own. A write cannot
 * be taken back, so it is asked before. In the moment between the answer and
 * the write, the thread would have to be killed and all numbers be used up;
 * what is hit then is a process that we may write to anyway.
 */
#include "shim/seccomp/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/seccomp/filter.h"

/* Linux 6.9 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static bool still_waits(const struct thread *t)
{
	uint64_t id = t->id;

	return !ioctl(t->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

/* ---- Memory ---- */

static int read_memory(void *ctx, void *dst, uint64_t addr, size_t len)
{
	const struct thread *t = ctx;
	struct iovec to = { dst, len };
	struct iovec from = { (void *)(uintptr_t)addr, len };

	if (process_vm_readv(t->tid, &to, 1, &from, 1, 0) != (ssize_t)len)
		return -EFAULT;
	return still_waits(t) ? 0 : -EFAULT;
}

static int write_memory(void *ctx, uint64_t addr, const void *src, size_t len)
{
	const struct thread *t = ctx;
	struct iovec from = { (void *)(uintptr_t)src, len };
	struct iovec to = { (void *)(uintptr_t)addr, len };

	if (!still_waits(t) ||
	    process_vm_writev(t->tid, &from, 1, &to, 1, 0) != (ssize_t)len)
		return -EFAULT;
	return 0;
}

/* ---- Its fds ---- */

static int open_pidfd(pid_t tid, unsigned int flags)
{
	int fd = (int)syscall(SYS_pidfd_open, tid, flags);

	return fd < 0 ? -errno : fd;
}

/* The process of a thread; 0 if it has gone */
static pid_t process_of(pid_t tid)
{
	static const char tag[] = "\nTgid:";
	char text[512];
	char *found;
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), "/proc/%d/status", tid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	found = strstr(text, tag);
	return found ? (pid_t)atoi(found + sizeof(tag) - 1) : 0;
}

static void forget(struct thread_pidfds *pidfds, unsigned int i)
{
	if (pidfds->entry[i].tid)
		close(pidfds->entry[i].fd);
	pidfds->entry[i].tid = 0;
}

void thread_forget_all(struct thread_pidfds *pidfds)
{
	for (unsigned int i = 0; i < THREAD_PIDFDS; i++)
		forget(pidfds, i);
}

/*
 * A pidfd is of the very thread, or of the leader by its own number, for ever:
 * it can be kept. @keep false: it is of the process of some thread, whose
 * number may mean a thread of another process next time.
 */
static int pidfd_of(const struct thread *t, bool *keep)
{
	unsigned int i = (unsigned int)t->tid % THREAD_PIDFDS;
	pid_t process;
	int fd;

	*keep = true;
	if (t->pidfds->entry[i].tid == t->tid)
		return t->pidfds->entry[i].fd;
	fd = open_pidfd(t->tid, PIDFD_THREAD);
	if (fd == -EINVAL)
		fd = open_pidfd(t->tid, 0);
	if (fd < 0) {
		*keep = false;
		process = process_of(t->tid);
		return process ? open_pidfd(process, 0) : -ESRCH;
	}
	forget(t->pidfds, i);
	t->pidfds->entry[i].tid = t->tid;
	t->pidfds->entry[i].fd = fd;
	return fd;
}

static int get_once(const struct thread *t, int fd)
{
	bool keep;
	int pidfd = pidfd_of(t, &keep);
	int got;

	if (pidfd < 0)
		return pidfd;
	got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (got < 0)
		got = -errno;
	if (!keep)
		close(pidfd);
	else if (got == -ESRCH)
		forget(t->pidfds, (unsigned int)t->tid % THREAD_PIDFDS);
	return got;
}

static int get_fd(void *ctx, int fd)
{
	const struct thread *t = ctx;
	int got = get_once(t, fd);

	if (got == -ESRCH) /* kept from one that had the number before */
		got = get_once(t, fd);
	if (got == -EMFILE || got == -ENFILE)
		return -ENFILE; /* it is our own table that is full */
	if (got < 0)
		return -EBADF;
	if (still_waits(t))
		return got;
	close(got);
	return -EBADF;
}

static int add(const struct thread *t, struct seccomp_notif_addfd *how,
	       unsigned int flags)
{
	int number;

	how->id = t->id;
	if (flags & NOTIFY_FD_ANSWER)
		how->flags |= SECCOMP_ADDFD_FLAG_SEND;
	if (flags & NOTIFY_FD_CLOEXEC)
		how->newfd_flags = O_CLOEXEC;
	number = ioctl(t->listener, SECCOMP_IOCTL_NOTIF_ADDFD, how);
	return number < 0 ? -errno : number;
}

static bool is_free(const struct thread *t, uint32_t number)
{
	int fd = get_once(t, (int)number);

	if (fd == -ESRCH)
		fd = get_once(t, (int)number);
	if (fd >= 0)
		close(fd);
	return fd == -EBADF;
}

/*
 * The program gets the lowest number for what it opens. So nobody but us takes
 * one of these, unless almost all are used, or it asks for that very number
 * (dup2) in just this moment.
 */
static int place(const struct thread *t, int fd, unsigned int flags)
{
	struct thread_places *p = t->places;
	int rc = -ENOSPC;

	if (!p->first)
		return -ENOSPC;
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < FILTER_FDS && rc == -ENOSPC; i++) {
		uint32_t number = p->first + p->next++ % FILTER_FDS;
		struct seccomp_notif_addfd how = {
			.flags = SECCOMP_ADDFD_FLAG_SETFD,
			.srcfd = (uint32_t)fd,
			.newfd = number,
		};

		if (is_free(t, number))
			rc = add(t, &how, flags);
	}
	pthread_mutex_unlock(&p->lock);
	/* The program may have lowered its limit. */
	return rc == -EBADF ? -ENOSPC : rc;
}

static int add_fd(void *ctx, int fd, unsigned int flags)
{
	const struct thread *t = ctx;
	struct seccomp_notif_addfd how = { .srcfd = (uint32_t)fd };
	int rc = flags & NOTIFY_FD_PLACED ? place(t, fd, flags) : -ENOSPC;

	return rc == -ENOSPC ? add(t, &how, flags) : rc;
}

/* O_CLOEXEC among them; -EBADF */
static int flags_of(const struct thread *t, int number)
{
	static const char tag[] = "\nflags:";
	char text[256], *found;
	ssize_t n;
	int fd;

	snprintf(text, sizeof(text), "/proc/%d/fdinfo/%d", t->tid, number);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	found = strstr(text, tag);
	return found ? (int)strtol(found + sizeof(tag) - 1, NULL, 8) : -EBADF;
}

static int replace_fd(void *ctx, int fd, int number)
{
	const struct thread *t = ctx;
	struct seccomp_notif_addfd how = {
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)fd,
		.newfd = (uint32_t)number,
	};
	int flags = flags_of(t, number);

	if (flags < 0)
		return flags;
	return add(t, &how, flags & O_CLOEXEC ? NOTIFY_FD_CLOEXEC : 0);
}

/* Whether it is still the same one by the time its memory is opened, the reads
 * behind that say. */
static pid_t process(void *ctx)
{
	const struct thread *t = ctx;
	pid_t pid = process_of(t->tid);

	return still_waits(t) ? pid : 0;
}

const struct notify_client thread_client = {
	.read = read_memory,
	.write = write_memory,
	.get_fd = get_fd,
	.add_fd = add_fd,
	.replace_fd = replace_fd,
	.process = process,
};

int thread_check_addfd(int listener)
{
	struct seccomp_notif_addfd add = {
		.id = UINT64_MAX, /* nobody's: numbers begin at a random one */
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)listener,
	};

	/* The flags are looked at first. */
	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) ||
			       errno == ENOENT
		       ? 0
		       : -errno;
}
