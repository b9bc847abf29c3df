// SPDX-License-Identifier: MIT
/*
 * The process that opened /dev/iommu is killed while others hold its fds, by
 * every way in which fds get about. They get ENODEV, soon, and go on.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "client.h"

extern char **environ;

/* Everything that can be done with what is left of it */
static int all_is_lost(int fd)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int queue, copy, own;

	for (int i = 0; i < 3; i++) {
		FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, &arg), ENODEV);
		FAILS(destroy(fd, 1), ENODEV);
		FAILS(map(fd, 1, page, sizeof(page), 0), ENODEV);
		FAILS(fault_alloc(fd, &queue), ENODEV);
	}
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
	copy = dup(fd);
	CHECK(copy >= 0);
	FAILS(ioctl(copy, IOMMU_IOAS_ALLOC, &arg), ENODEV);
	CHECK(!close(copy));
	/* a new one is this process's own */
	own = open_iommu();
	CHECK(ioas_alloc(own) > 0 && !close(own));
	CHECK(!close(fd));
	FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, &arg), EBADF);
	return 0;
}

static void wait_for_death(int queue)
{
	struct pollfd p = { .fd = queue };

	/* its last event: the fd hangs up */
	poll(&p, 1, 5000);
}

/* Calls before the owner's death, or none; argv: fd, queue or -1, pid, calls */
static int survivor(int argc, char **argv)
{
	int fd = argc > 4 ? atoi(argv[1]) : -1;
	int queue = atoi(argv[2]);
	pid_t owner = atoi(argv[3]);
	char bytes[sizeof(struct iommu_hwpt_pgfault)];

	if (atoi(argv[4])) {
		CHECK(ioas_alloc(fd) > 0);
		CHECK(queue < 0 || read(queue, bytes, sizeof(bytes)) == 0);
	}
	CHECK(!kill(owner, SIGKILL));
	wait_for_death(fd);
	if (queue >= 0) {
		FAILS(read(queue, bytes, sizeof(bytes)), ENODEV);
		FAILS(write(queue, bytes, 16), ENODEV);
		FAILS(read(queue, bytes, sizeof(bytes)), ENODEV);
		CHECK(!close(queue));
		FAILS(read(queue, bytes, sizeof(bytes)), EBADF);
	}
	return all_is_lost(fd);
}

/* ---- How the fds get there ---- */

struct way {
	const char *name;
	/* In the owner, which waits to be killed: starts the survivor */
	int (*start)(int fd, int queue, char *calls);
};

static char **arguments(int fd, int queue, char *calls)
{
	static char text[3][16];
	static char name[] = "survivor", zero[] = "client";
	static char *args[] = { zero, name, NULL, NULL, NULL, NULL, NULL };

	snprintf(text[0], sizeof(text[0]), "%d", fd);
	snprintf(text[1], sizeof(text[1]), "%d", queue);
	snprintf(text[2], sizeof(text[2]), "%d", getpid());
	args[2] = text[0];
	args[3] = text[1];
	args[4] = text[2];
	args[5] = calls;
	return args;
}

static const char *self(void)
{
	static char path[256];

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return NULL;
	return path;
}

static int by_fork(int fd, int queue, char *calls)
{
	char **args = arguments(fd, queue, calls);

	return fork() ? 0 : (_exit(survivor(5, args + 1)), 0);
}

static int by_exec(int fd, int queue, char *calls)
{
	char **args = arguments(fd, queue, calls);

	fcntl(fd, F_SETFD, 0);
	fcntl(queue, F_SETFD, 0);
	if (fork())
		return 0;
	execv(self(), args);
	_exit(1);
}

/* Duplicated in the owner, the first ones closed */
static int by_dup(int fd, int queue, char *calls)
{
	int a = dup(fd);
	int b = dup2(a, 40);
	int c = dup3(b, 41, 0);
	int d = fcntl(c, F_DUPFD, 42);
	int q = fcntl(queue, F_DUPFD_CLOEXEC, 50);

	close(fd);
	close_range(3, 41, 0);
	CHECK(d == 42 && q == 50 && ioas_alloc(d) > 0);
	return by_fork(d, q, calls);
}

static int by_spawn(int fd, int queue, char *calls)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	CHECK(!posix_spawn_file_actions_init(&actions));
	CHECK(!posix_spawn_file_actions_adddup2(&actions, fd, 33));
	CHECK(!posix_spawn_file_actions_adddup2(&actions, queue, 34));
	CHECK(!posix_spawn(&pid, self(), &actions, NULL,
			   arguments(33, 34, calls), environ));
	return 0;
}

static int receive_both(int from, pid_t owner, char *calls)
{
	long ignored;
	int fd = receive_fd(from, &ignored);
	char **args = arguments(fd, receive_fd(from, &ignored), calls);

	snprintf(args[4], 16, "%d", owner);
	return survivor(5, args + 1);
}

/* To a process that is older than /dev/iommu's being open */
static int killed_sender(char *calls)
{
	int fds[2], queue = -1, fd;
	pid_t owner = getpid();

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	if (!fork())
		_exit(receive_both(fds[1], owner, calls));
	fd = open_iommu();
	CHECK(ioas_alloc(fd) > 0 && fault_alloc(fd, &queue) > 0);
	CHECK(!send_fd(fds[0], fd, 0) && !send_fd(fds[0], queue, 0));
	return 0;
}

static int own(const char *how, char *calls)
{
	static const struct way ways[] = {
		{ "fork", by_fork },
		{ "exec", by_exec },
		{ "dup", by_dup },
		{ "spawn", by_spawn },
	};
	int queue = -1;
	int fd;

	if (!strcmp(how, "send"))
		return killed_sender(calls);
	fd = open_iommu();
	CHECK(ioas_alloc(fd) > 0 && fault_alloc(fd, &queue) > 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(how, ways[i].name))
			return ways[i].start(fd, queue, calls);
	return 2;
}

static int killed(int argc, char **argv)
{
	pid_t owner;
	int status;

	CHECK(argc > 2);
	/* survivors become ours when their parent has gone */
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	owner = fork();
	if (!owner) {
		if (own(argv[1], argv[2]))
			_exit(1);
		for (;;)
			pause();
	}
	CHECK(waitpid(owner, &status, 0) == owner);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(waitpid(-1, &status, 0) > 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

/* ---- Calls in progress ---- */

static int busy_fd;

static void *call_until_the_end(void *arg)
{
	long *wrong = arg;

	for (;;) {
		struct iommu_ioas_alloc a = { .size = sizeof(a) };

		if (!ioctl(busy_fd, IOMMU_IOAS_ALLOC, &a))
			continue;
		*wrong = errno == ENODEV ? 0 : errno;

		return NULL;
	}
}

/* In the middle of calls of several threads, at a moment of its own each time
 */
static int killed_meanwhile(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int round = 0; round < 20; round++) {
		long wrong[3] = { -1, -1, -1 };
		pthread_t t[3];
		int fds[2];
		long ignored;
		pid_t owner;

		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		owner = fork();
		if (!owner) {
			int fd = open_iommu();

			CHECK(ioas_alloc(fd) > 0);
			CHECK(!send_fd(fds[0], fd, 0));
			for (;;)
				pause();
		}
		busy_fd = receive_fd(fds[1], &ignored);
		CHECK(busy_fd >= 0);
		for (int i = 0; i < 3; i++)
			CHECK(!pthread_create(&t[i], NULL, call_until_the_end,
					      &wrong[i]));
		usleep((useconds_t)(200 + 137 * round));
		CHECK(!kill(owner, SIGKILL));
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		CHECK(!wrong[0] && !wrong[1] && !wrong[2]);
		CHECK(wait_status(owner) == -1);
		close(busy_fd);
		close(fds[0]);
		close(fds[1]);
	}
	return 0;
}

const struct scenario killed_scenarios[] = {
	{ "killed", killed },
	{ "survivor", survivor },
	{ "killed-meanwhile", killed_meanwhile },
	{ NULL, NULL },
};
