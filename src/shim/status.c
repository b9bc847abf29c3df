// SPDX-License-Identifier: MIT
/*
 * /proc/PID/status, in which Linux says how much is pinned (VmPin) and counts
 * against RLIMIT_MEMLOCK (VmLck). Ours is added to what the kernel says, for
 * this process and for those we share a context with. A file that has to say
 * more than the kernel's is a copy, made when it is opened.
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
#include "shim/shim.h"

static void count(pid_t pid, uint64_t sum[2])
{
	struct context *c = NULL;
	struct shim_lock l;

	shim_lock(&l);
	while ((c = context_next(c))) {
		struct nestfd *nestfd = atomic_load(&c->nestfd);
		uint64_t pinned, locked;

		if (!nestfd)
			continue;
		nestfd_pinned(nestfd, pid, &pinned, &locked);
		sum[0] += pinned;
		sum[1] += locked;
	}
	shim_unlock(&l);
	remote_pinned(pid, sum);
}

static ssize_t read_all(int fd, char *text, size_t room)
{
	size_t at = 0;
	ssize_t n;

	do {
		n = REAL(pread)(fd, text + at, room - at, (off_t)at);
		if (n > 0)
			at += (size_t)n;
	} while (n > 0 && at < room);
	return n ? -1 : (ssize_t)at;
}

/* @fd becomes a file that says @text */
static void replace(int fd, const char *text)
{
	int flags = REAL(fcntl)(fd, F_GETFD);
	int new = (int)syscall(SYS_memfd_create, "status", MFD_CLOEXEC);
	size_t length = strlen(text);

	if (new < 0)
		return;
	if (pwrite(new, text, length, 0) == (ssize_t)length)
		REAL(dup3)(new, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	REAL(close)(new);
}

void status_patch(const char *path, int fd)
{
	uint64_t sum[2] = { 0 };
	int saved = errno;
	ssize_t length;
	char *text;
	pid_t pid;

	if (shim_is_inside() || !atomic_load(&table_used))
		return;
	pid = procfs_status(path, getpid());
	if (!pid || !shim_is_table_ours())
		return;
	count(pid, sum);
	text = sum[0] | sum[1] ? malloc(PROCFS_STATUS_ROOM) : NULL;
	length = text ? read_all(fd, text, PROCFS_STATUS) : -1;
	if (length > 0) {
		text[length] = '\0';
		procfs_status_add(text, sum[0], sum[1]);
		replace(fd, text);
	}
	free(text);
	errno = saved;
}

/* It opens without open(). */
#define FOPEN(name)                                                       \
	FILE *name(const char *restrict path, const char *restrict mode); \
	EXPORT FILE *name(const char *restrict path,                      \
			  const char *restrict mode)                      \
	{                                                                 \
		FILE *file = REAL(name)(path, mode);                      \
                                                                          \
		if (LIKELY(file) && UNLIKELY(status_may_be(path)) &&      \
		    mode[0] == 'r' && !strchr(mode, '+'))                 \
			status_patch(path, fileno(file));                 \
		return file;                                              \
	}

FOPEN(fopen)
FOPEN(fopen64)
