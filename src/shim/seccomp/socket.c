// SPDX-License-Identifier: MIT
/* See socket.h. */
#include "shim/seccomp/socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int socket_cookie(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len) ? -errno : 0;
}

int socket_pair(int type, int fds[2], uint64_t *cookie)
{
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | type, 0, fds))
		return -errno;
	rc = socket_cookie(fds[0], cookie);
	if (rc) {
		close(fds[0]);
		close(fds[1]);
	}
	return rc;
}

bool socket_has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}
