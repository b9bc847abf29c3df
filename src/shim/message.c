// SPDX-License-Identifier: MIT
/* What owners and others say to each other: datagrams, each with one fd or
 * none. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "shim/shim.h"

int serve_send(int to, const struct serve_message *m, const void *data,
	       uint32_t length, int fd)
{
	struct iovec iov[] = {
		{ (void *)(uintptr_t)m, sizeof(*m) },
		{ (void *)(uintptr_t)data, length },
	};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = length ? 2 : 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (sendmsg(to, &msg, MSG_NOSIGNAL) < 0) {
		struct pollfd p = { .fd = to, .events = POLLOUT };

		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Takes the fds out of @msg: one if there is just one, else none */
static int take_fd(struct msghdr *msg)
{
	int found = -1, n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (n++)
				REAL(close)(fd);
			else
				found = fd;
		}
	}
	return found;
}

int serve_receive_now(int from, struct serve_message *m, void *data,
		      uint32_t room, int *fd)
{
	struct iovec iov[] = { { m, sizeof(*m) }, { data, room } };
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = room ? 2 : 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = REAL(recvmsg)(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (!n)
		return -EPIPE;
	*fd = take_fd(&msg);
	if (n >= (ssize_t)sizeof(*m) && m->magic == SERVE_MAGIC &&
	    m->length == (size_t)n - sizeof(*m))
		return 0;
	if (*fd >= 0)
		REAL(close)(*fd);
	*fd = -1;
	return -EPROTO;
}

int serve_receive(int from, struct serve_message *m, void *data, uint32_t room,
		  int *fd, int timeout)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	int rc;

	for (;;) {
		rc = serve_receive_now(from, m, data, room, fd);
		if (rc != -EAGAIN && rc != -EINTR)
			return rc;
		rc = poll(&p, 1, timeout);
		if (!rc)
			return -ETIMEDOUT;
	}
}
