// SPDX-License-Identifier: MIT
/* usage: client SCENARIO [ARG...] */
#include <sys/socket.h>
#include <sys/wait.h>

#include "client.h"

static const struct scenario *const all[] = {
	basic_scenarios,   process_scenarios, signal_scenarios,
	hostile_scenarios, status_scenarios,  memory_scenarios,
	many_scenarios,	   queue_scenarios,   killed_scenarios,
	ring_scenarios,
};

int wait_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int send_fd(int to, int fd, long id)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { &id, sizeof(id) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(to, &msg, 0) == sizeof(id) ? 0 : -1;
}

int receive_fd(int from, long *id)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { id, sizeof(*id) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fd;

	if (recvmsg(from, &msg, 0) != sizeof(*id) || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct scenario *s = all[i]; s->name; s++)
			if (!strcmp(s->name, argv[1]))
				return s->run(argc - 1, argv + 1);
	fprintf(stderr, "usage: client SCENARIO [ARG...]\n");
	return 2;
}
