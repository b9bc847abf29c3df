// SPDX-License-Identifier: MIT
/*
 * Fds that go from hand to hand, threads, and clients that are killed: what
 * lives and what is left.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "seccomp_kit.h"

static const struct supervise_config config = { .trace_fd = -1 };

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int wait_for(pid_t pid)
{
	int status;

	WANT(waitpid(pid, &status, 0) == pid);
	return status;
}

/* ---- dup, fork, SCM_RIGHTS ---- */

static int duplicate(void)
{
	uint32_t id, other;
	int fd = dev_open();
	int high = fcntl(fd, F_DUPFD, 200);

	WANT(ioas_alloc(fd, &id) == 0);
	WANT(close(fd) == 0);
	WANT(dup2(high, fd) == fd);
	WANT(ioas_alloc(high, &other) == 0);
	WANT(destroy(fd, id) == 0 && destroy(fd, other) == 0);
	WANT(close(fd) == 0);
	kit_say(); /* 1 */
	WANT(close(high) == 0);
	kit_say();		/* none */
	WANT(dev_open() == fd); /* the number, of another context */
	WANT(ioas_alloc(fd, &id) == 0);
	kit_say(); /* 1 */
	return 0;
}

static void the_last_close_ends_the_context(void **state)
{
	struct kit_run run;

	(void)state;
	kit_need_seccomp();
	kit_start(&run, &config, duplicate);
	for (unsigned int i = 0; i < 3; i++) {
		kit_hear(&run);
		kit_await(&run, i != 1, 0);
		kit_go_on(&run);
	}
	kit_end(&run);
}

static int inherit(void)
{
	uint32_t id;
	int fd = dev_open();
	pid_t pid;

	WANT(ioas_alloc(fd, &id) == 0);
	pid = fork();
	if (!pid) {
		uint32_t own;
		int fd2 = dev_open();

		WANT(ioas_alloc(fd2, &own) == 0);
		FAILS(destroy(fd2, own + 1), ENOENT);
		WANT(destroy(fd, id) == 0);
		_exit(0);
	}
	WANT(wait_for(pid) == 0);
	FAILS(destroy(fd, id), ENOENT);
	WANT(ioas_alloc(fd, &id) == 0);
	return 0;
}

static void a_child_has_the_same_context(void **state)
{
	(void)state;
	kit_run(NULL, inherit);
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void pass(int to, int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	WANT(sendmsg(to, &msg, 0) == 1);
}

static int get_passed(int from)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int fd;

	WANT(recvmsg(from, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int pass_on(void)
{
	int pair[2];
	uint32_t id;
	pid_t pid;
	int fd;

	WANT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	pid = fork();
	if (!pid) {
		fd = get_passed(pair[1]);
		WANT(read(pair[1], &id, sizeof(id)) == sizeof(id));
		WANT(destroy(fd, id) == 0);
		_exit(0);
	}
	fd = dev_open();
	WANT(ioas_alloc(fd, &id) == 0);
	pass(pair[0], fd);
	WANT(close(fd) == 0); /* it lives in the message */
	WANT(write(pair[0], &id, sizeof(id)) == sizeof(id));
	WANT(wait_for(pid) == 0);
	return 0;
}

static void a_context_can_be_passed_over_a_socket(void **state)
{
	(void)state;
	kit_run(NULL, pass_on);
}

/* ---- threads ---- */

#define THREADS 8
#define ROUNDS	300

static int shared_fd;

static void *work(void *arg)
{
	int memfd = memfd_create("x", 0);

	(void)arg;
	WANT(ftruncate(memfd, 4096) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = i % 4 ? shared_fd : dev_open();
		uint32_t id;

		WANT(ioas_alloc(fd, &id) == 0);
		WANT(map_a_file(fd, id, memfd, 0x1000) == 0);
		WANT(destroy(fd, id) == 0);
		if (fd != shared_fd)
			WANT(close(fd) == 0);
	}
	return NULL;
}

static int have_threads(void)
{
	pthread_t threads[THREADS];

	shared_fd = dev_open();
	for (int i = 0; i < THREADS; i++)
		WANT(pthread_create(&threads[i], NULL, work, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		WANT(pthread_join(threads[i], NULL) == 0);
	return 0;
}

static void many_threads_are_served_at_once(void **state)
{
	(void)state;
	kit_run(NULL, have_threads);
}

static _Atomic bool stop;

static void *use_while_closing(void *arg)
{
	uint32_t id;

	(void)arg;
	while (!atomic_load(&stop))
		if (ioas_alloc(shared_fd, &id))
			WANT(errno == EBADF || errno == ENOTTY);
	return NULL;
}

static int close_while_using(void)
{
	pthread_t thread;

	shared_fd = dev_open();
	WANT(pthread_create(&thread, NULL, use_while_closing, NULL) == 0);
	for (int i = 0; i < 500; i++) {
		int fd = dev_open();

		WANT(dup2(fd, shared_fd) == shared_fd);
		WANT(close(fd) == 0);
	}
	atomic_store(&stop, true);
	WANT(pthread_join(thread, NULL) == 0);
	return 0;
}

static void a_context_may_be_closed_in_the_middle_of_calls(void **state)
{
	(void)state;
	kit_run(NULL, close_while_using);
}

/* ---- killed ---- */

#define VICTIMS 100

/* Every kind of call, for ever */
static void be_busy(void)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	int memfd = memfd_create("x", 0);

	WANT(ftruncate(memfd, 4096) == 0);
	for (;;) {
		int fd = dev_open();
		uint32_t id;

		ioas_alloc(fd, &id);
		map_a_file(fd, id, memfd, 0x1000);
		ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault);
		if (id % 2)
			destroy(fd, id);
		close((int)fault.out_fault_fd);
		close(fd);
	}
}

/* The same where fds change, and reads stop */
static void be_busy_with_files(void)
{
	for (;;) {
		int fd = dev_open();
		struct event event;
		uint32_t viommu, dev, id;
		off_t at;
		int queue, copy;
		void *window;

		make_window(fd, 1, &at);
		window =
			mmap(NULL, WINDOW_BYTES, PROT_READ, MAP_SHARED, fd, at);
		dev = make_source(fd, &viommu);
		queue = queue_alloc(fd, viommu, &id);
		mock_event(fd, dev);
		copy = dup(queue);
		WANT(read(copy, &event, sizeof(event)) > 0);
		munmap(window, WINDOW_BYTES);
		close(copy);
		close(queue);
		close(fd);
	}
}

static void (*const victims[])(void) = { be_busy, be_busy_with_files };
static void (*victim)(void);

static void *be_busy_in_a_thread(void *arg)
{
	victim();
	return arg;
}

static int have_victims(void)
{
	srand(1);
	for (int i = 0; i < VICTIMS; i++) {
		pthread_t thread;
		pid_t pid = fork();

		if (!pid) {
			if (i % 2)
				pthread_create(&thread, NULL,
					       be_busy_in_a_thread, NULL);
			victim();
		}
		usleep((useconds_t)(rand() % 4000));
		kill(pid, SIGKILL);
		WANT(WIFSIGNALED(wait_for(pid)));
	}
	kit_say();
	return 0;
}

static void kill_many(const struct supervise_config *machine)
{
	unsigned int before = open_fds();
	struct kit_run run;
	unsigned int with_none;

	kit_start(&run, machine, have_victims);
	with_none = open_fds();
	kit_hear(&run);
	kit_await(&run, 0, 0);
	/* Each worker keeps a few pidfds, and there may be more workers. */
	assert_true(open_fds() <= with_none + 64 * 4);
	kit_go_on(&run);
	kit_end(&run);
	assert_int_equal(open_fds(), before);
}

static void the_killed_leave_nothing_behind(void **state)
{
	const struct supervise_config mock = { .machine.iommu = "mock",
					       .trace_fd = -1 };

	(void)state;
	kit_need_seccomp();
	victim = victims[0];
	kill_many(&config);
	victim = victims[1];
	kill_many(&mock);
}

/* ---- limits ---- */

/* More contexts than the server has fds for: refused, and none is harmed. */
static int hoard(void)
{
	struct rlimit limit = { 1024, 1024 };
	int fds[200];
	uint32_t id;
	int n = 0;

	WANT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (n < 200 && (fds[n] = dev_open()) >= 0)
		WANT(ioas_alloc(fds[n++], &id) == 0);
	WANT(n == 42 && errno == ENFILE);
	WANT(ioas_alloc(fds[0], &id) == 0);
	WANT(close(fds[7]) == 0);
	WANT(dev_open() == fds[7]); /* room for just one */
	FAILS(dev_open(), ENFILE);
	return 0;
}

static void what_a_program_hoards_is_bounded(void **state)
{
	struct rlimit old, low = { 128, 0 };
	struct kit_run run;

	(void)state;
	kit_need_seccomp();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	kit_start(&run, &config, hoard);
	kit_end(&run);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_close_ends_the_context),
		cmocka_unit_test(a_child_has_the_same_context),
		cmocka_unit_test(a_context_can_be_passed_over_a_socket),
		cmocka_unit_test(many_threads_are_served_at_once),
		cmocka_unit_test(
			a_context_may_be_closed_in_the_middle_of_calls),
		cmocka_unit_test(the_killed_leave_nothing_behind),
		cmocka_unit_test(what_a_program_hoards_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
