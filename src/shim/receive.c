// SPDX-License-Identifier: MIT
/*
 * Fds that come from other processes. Who gets one of ours is told apart at
 * once: read(2) and write(2) of an event queue could not ask each time.
 */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "shim/shim.h"

/* The kernel gave the number anew: it was closed in a way we have not seen. */
static void look_at(int fd)
{
	struct shim_lock l;

	if (table_get(fd)) {
		shim_lock(&l);
		file_released(table_clear(fd));
		shim_unlock(&l);
	}
	context_recognise(fd);
}

static __attribute__((noinline)) void look_into(const struct msghdr *msg)
{
	int saved = errno;

	if (shim_is_inside() || !shim_is_table_ours())
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(0))
			continue;
		for (size_t at = CMSG_LEN(0);
		     at + sizeof(int) <= (size_t)c->cmsg_len;
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, (char *)c + at, sizeof(fd));
			look_at(fd);
		}
	}
	errno = saved;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = REAL(recvmsg)(fd, msg, flags);

	if (UNLIKELY(n >= 0 && msg->msg_controllen >= CMSG_LEN(sizeof(int))))
		look_into(msg);
	return n;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
		    struct timespec *timeout)
{
	int n = REAL(recvmmsg)(fd, msgs, count, flags, timeout);

	for (int i = 0; i < n; i++)
		if (msgs[i].msg_hdr.msg_controllen >= CMSG_LEN(sizeof(int)))
			look_into(&msgs[i].msg_hdr);
	return n;
}

EXPORT int pidfd_getfd(int process, int theirs, unsigned int flags)
{
	int fd = REAL(pidfd_getfd)(process, theirs, flags);

	if (fd >= 0 && !shim_is_inside() && shim_is_table_ours())
		look_at(fd);
	return fd;
}
