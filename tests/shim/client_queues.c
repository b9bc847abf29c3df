// SPDX-License-Identifier: MIT
/*
 * Event and fault queues of the mock IOMMU, in the process that made them and
 * in others: poll(2), read(2) and write(2) are the same everywhere.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "client.h"

#define TEST_CMD     _IO(';', 0xa0)
#define TEST_TYPE    0xdeadbeefu /* of vIOMMUs */
#define TEST_QUEUE   0xbeefbeefu
#define TEST_NESTED  0xdeadu
#define RECORD	     12 /* a header and the virtual id */
#define VIRT_ID	     0x99u
#define REPLACE	     10
#define TRIGGER_IOPF 15
#define TRIGGER	     17

struct rig {
	int fd;
	uint32_t stdev;
	uint32_t dev;
	uint32_t parent; /* a HWPT */
	uint32_t viommu;
	long id;
	int queue;
};

static int test_op(int fd, uint32_t op, uint32_t id, const uint32_t w[6],
		   uint32_t out[3])
{
	uint32_t cmd[18] = { sizeof(cmd), op, id };
	int rc;

	if (w)
		memcpy(cmd + 4, w, 6 * sizeof(*w));
	rc = ioctl(fd, TEST_CMD, cmd);
	if (!rc && out)
		memcpy(out, cmd + 4, 3 * sizeof(*out));
	return rc;
}

static int trigger(int fd, uint32_t dev)
{
	const uint32_t w[6] = { dev };

	return test_op(fd, TRIGGER, 0, w, NULL);
}

static int new_veventq(struct rig *r)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = r->viommu,
		.type = TEST_QUEUE,
		.veventq_depth = 8,
	};

	CHECK(!ioctl(r->fd, IOMMU_VEVENTQ_ALLOC, &arg));
	r->id = arg.out_veventq_id;
	r->queue = (int)arg.out_veventq_fd;
	return 0;
}

/* Events and faults are those of what a device is attached to. */
static int attach_nested(const struct rig *r, uint32_t pt_id, uint32_t flags,
			 uint32_t fault)
{
	uint32_t data = 7;
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = r->dev,
		.pt_id = pt_id,
		.data_type = TEST_NESTED,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
		.fault_id = fault,
	};
	uint32_t w[6] = { 0 };

	CHECK(!ioctl(r->fd, IOMMU_HWPT_ALLOC, &arg));
	w[0] = arg.out_hwpt_id;
	CHECK(!test_op(r->fd, REPLACE, r->stdev, w, NULL));
	return 0;
}

/* A device behind a vIOMMU that has an event queue */
static int start(struct rig *r)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = TEST_TYPE,
	};
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.virt_id = VIRT_ID,
	};
	uint32_t out[3];
	long ioas;

	r->fd = open_iommu();
	ioas = ioas_alloc(r->fd);
	CHECK(!test_op(r->fd, 2, (uint32_t)ioas, NULL, out));
	r->stdev = out[0];
	r->dev = out[2];
	r->parent = (uint32_t)hwpt_alloc(r->fd, r->dev, ioas, 1);
	viommu.dev_id = vdev.dev_id = r->dev;
	viommu.hwpt_id = r->parent;
	CHECK(!ioctl(r->fd, IOMMU_VIOMMU_ALLOC, &viommu));
	r->viommu = vdev.viommu_id = viommu.out_viommu_id;
	CHECK(!ioctl(r->fd, IOMMU_VDEVICE_ALLOC, &vdev));
	CHECK(!attach_nested(r, r->viommu, 0, 0));
	return new_veventq(r);
}

static int polled(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout) < 0 ? -1 : p.revents;
}

static bool readable(int fd)
{
	return polled(fd, 0) == POLLIN;
}

/* Records read, with room for @n */
static long take(int fd, unsigned int n)
{
	uint32_t words[3 * 8];
	ssize_t got = read(fd, words, n * RECORD);

	for (ssize_t i = 0; i + RECORD <= got; i += RECORD)
		if (words[i / 4 + 2] != VIRT_ID)
			return -2;
	return got < 0 ? -1 : got / RECORD;
}

/* ---- One process ---- */

static int levels(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN };
	char bytes[RECORD];
	struct iovec iov[2] = { { bytes, RECORD }, { bytes, RECORD } };
	int ep = epoll_create1(0);
	struct rig r;
	int copy;

	(void)argc;
	(void)argv;
	CHECK(!start(&r));
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, r.queue, &event));
	CHECK(fcntl(r.queue, F_GETFD) == FD_CLOEXEC);
	CHECK(!readable(r.queue) && epoll_wait(ep, &event, 1, 0) == 0);
	CHECK(take(r.queue, 8) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(!trigger(r.fd, r.dev) && readable(r.queue));
	CHECK(epoll_wait(ep, &event, 1, 0) == 1);
	CHECK(take(r.queue, 1) == 1 && readable(r.queue));
	CHECK(readv(r.queue, iov, 2) == 2 * RECORD && readable(r.queue));
	FAILS(read(r.queue, bytes, 4), EINVAL);
	CHECK(readable(r.queue));
	CHECK(take(r.queue, 8) == 1 && !readable(r.queue));
	CHECK(epoll_wait(ep, &event, 1, 0) == 0);
	CHECK(!trigger(r.fd, r.dev) && readable(r.queue));
	/* by another name */
	copy = fcntl(r.queue, F_DUPFD_CLOEXEC, 50);
	CHECK(copy >= 50 && readable(copy) && !close(r.queue));
	FAILS(take(r.queue, 8), EBADF);
	CHECK(take(copy, 8) == 1 && !readable(copy));
	FAILS(destroy(r.fd, r.id), EBUSY);
	CHECK(dup2(copy, 60) == 60 && !close(copy));
	CHECK(!trigger(r.fd, r.dev) && readable(60));
	CHECK(dup3(60, 61, O_CLOEXEC) == 61 && dup2(ep, 60) == 60);
	CHECK(take(61, 8) == 1 && !readable(61));
	FAILS(write(61, bytes, sizeof(bytes)), EINVAL);
	FAILS(destroy(r.fd, r.id), EBUSY);
	CHECK(!close(61) && !destroy(r.fd, r.id));
	CHECK(!trigger(r.fd, r.dev) || errno); /* into nothing */
	CHECK(!new_veventq(&r) && !readable(r.queue));
	return 0;
}

/* The queue holds the context, as on Linux */
static int outlives(int argc, char **argv)
{
	struct rig r;

	(void)argc;
	(void)argv;
	CHECK(!start(&r));
	CHECK(!trigger(r.fd, r.dev) && !close(r.fd));
	CHECK(readable(r.queue) && take(r.queue, 8) == 1);
	CHECK(take(r.queue, 8) == 0 && !close(r.queue));
	return 0;
}

static struct rig shared;
static _Atomic int stop;
static _Atomic long taken;

static void *taker(void *arg)
{
	(void)arg;
	while (!stop) {
		long n = readable(shared.queue) ? take(shared.queue, 8) : 0;

		if (n > 0)
			taken += n;
	}
	return NULL;
}

static int many_readers(int argc, char **argv)
{
	pthread_t t[3];

	(void)argc;
	(void)argv;
	CHECK(!start(&shared));
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, taker, NULL));
	for (int i = 0; i < 2000; i++) {
		CHECK(!trigger(shared.fd, shared.dev));
		/* a lost token would leave it waiting for ever */
		for (int n = 0; taken <= i && n < 20000; n++)
			usleep(n < 100 ? 0 : 1000);
		CHECK(taken == i + 1);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK(!readable(shared.queue));
	return 0;
}

/* Closed and made anew while others read it */
static int closed_meanwhile(int argc, char **argv)
{
	pthread_t t[3];

	(void)argc;
	(void)argv;
	CHECK(!start(&shared));
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, taker, NULL));
	for (int i = 0; i < 300; i++) {
		trigger(shared.fd, shared.dev);
		CHECK(!close(shared.queue));
		/* whoever is in poll() or read() has it a moment longer */
		for (int n = 0; destroy(shared.fd, shared.id); n++)
			CHECK(errno == EBUSY && n < 100000);
		CHECK(!new_veventq(&shared));
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* ---- Other processes ---- */

static int inheritor(const struct rig *r, int to, int from)
{
	char byte;

	CHECK(polled(r->queue, 5000) == POLLIN);
	CHECK(read(from, &byte, 1) == 1); /* there are two */
	CHECK(take(r->queue, 1) == 1 && readable(r->queue));
	CHECK(take(r->queue, 8) == 1 && !readable(r->queue));
	CHECK(take(r->queue, 8) == 0);
	CHECK(!trigger(r->fd, r->dev) && readable(r->queue));
	CHECK(write(to, "x", 1) == 1); /* the parent reads it and closes */
	CHECK(read(from, &byte, 1) == 1);
	CHECK(!readable(r->queue) && take(r->queue, 8) == 0);
	FAILS(destroy(r->fd, r->id), EBUSY);
	CHECK(!trigger(r->fd, r->dev) && take(r->queue, 8) == 1);
	CHECK(!close(r->queue));
	FAILS(take(r->queue, 8), EBADF);
	CHECK(!destroy(r->fd, r->id));
	return 0;
}

static int forked(int argc, char **argv)
{
	int to[2], from[2];
	struct rig r;
	char byte;
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(!start(&r) && !pipe(to) && !pipe(from));
	pid = fork();
	if (!pid) {
		close(from[1]); /* if we die, so does the child */
		_exit(inheritor(&r, to[1], from[0]));
	}
	close(to[1]); /* if the child dies, so do we */
	usleep(20000);
	CHECK(!trigger(r.fd, r.dev) && !trigger(r.fd, r.dev));
	CHECK(write(from[1], "x", 1) == 1);
	CHECK(read(to[0], &byte, 1) == 1);
	CHECK(readable(r.queue) && take(r.queue, 8) == 1);
	CHECK(!close(r.queue) && write(from[1], "x", 1) == 1);
	CHECK(wait_status(pid) == 0);
	FAILS(destroy(r.fd, r.id), ENOENT);
	/* the other way round: the child goes first, by its end */
	CHECK(!new_veventq(&r));
	pid = fork();
	if (!pid)
		_exit(take(r.queue, 8) == 0 ? 0 : 1);
	CHECK(!close(r.queue));
	CHECK(wait_status(pid) == 0);
	CHECK(!destroy(r.fd, r.id));
	return 0;
}

static int run_self(char *scenario, int queue, const struct rig *r)
{
	char self[256] = { 0 };
	char a[3][16];

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(a[0], sizeof(a[0]), "%d", queue);
	snprintf(a[1], sizeof(a[1]), "%d", r ? r->fd : -1);
	snprintf(a[2], sizeof(a[2]), "%u", r ? r->dev : 0);
	execl(self, self, scenario, a[0], a[1], a[2], NULL);
	CHECK(0);
}

/* Behind an exec: two fds and nothing else */
static int other_program(int argc, char **argv)
{
	int queue = argc > 3 ? atoi(argv[1]) : -1;
	int fd = atoi(argv[2]);
	uint32_t dev = (uint32_t)atoi(argv[3]);

	CHECK(readable(queue));
	CHECK(take(queue, 8) == 1 && !readable(queue));
	CHECK(!trigger(fd, dev) && readable(queue));
	CHECK(take(queue, 8) == 1 && !readable(queue));
	CHECK(!close(fd) && take(queue, 8) == 0);
	CHECK(!close(queue));
	return 0;
}

static int keeps_on_exec(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

static int executed(int argc, char **argv)
{
	struct rig r;
	pid_t pid;

	(void)argv;
	CHECK(!start(&r));
	CHECK(!trigger(r.fd, r.dev));
	CHECK(!keeps_on_exec(r.fd) && !keeps_on_exec(r.queue));
	if (argc > 1) /* the owner itself becomes another program */
		return run_self((char[]){ "other-program" }, r.queue, &r);
	pid = fork();
	if (!pid)
		_exit(run_self((char[]){ "other-program" }, r.queue, &r));
	CHECK(wait_status(pid) == 0);
	CHECK(take(r.queue, 8) == 0);
	CHECK(!close(r.queue) && !destroy(r.fd, r.id));
	return 0;
}

/* A program that is sent the queue, and does not have /dev/iommu */
static int queue_receiver(int argc, char **argv)
{
	int from = argc > 1 ? atoi(argv[1]) : -1;
	long want;
	int queue = receive_fd(from, &want);
	char byte = 'x';

	CHECK(queue >= 0 && readable(queue));
	CHECK(take(queue, 8) == want && !readable(queue));
	CHECK(write(from, &byte, 1) == 1);
	CHECK(polled(queue, 5000) == POLLIN && take(queue, 8) == 1);
	CHECK(write(from, &byte, 1) == 1);
	CHECK(read(from, &byte, 1) == 1); /* while the other one looks */
	CHECK(!close(queue));
	FAILS(take(queue, 1), EBADF);
	CHECK(write(from, &byte, 1) == 1);
	CHECK(read(from, &byte, 1) == 1);
	return 0;
}

static int sent(int argc, char **argv)
{
	struct rig r;
	int fds[2];
	char byte;
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(!start(&r));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	pid = fork();
	if (!pid) {
		close(fds[0]); /* it ends with us, whatever happens */
		_exit(run_self((char[]){ "queue-receiver" }, fds[1], NULL));
	}
	close(fds[1]);
	for (int i = 0; i < 3; i++)
		CHECK(!trigger(r.fd, r.dev));
	CHECK(!send_fd(fds[0], r.queue, 3));
	CHECK(!close(r.queue)); /* the only one is on its way */
	CHECK(read(fds[0], &byte, 1) == 1);
	CHECK(!trigger(r.fd, r.dev));
	CHECK(read(fds[0], &byte, 1) == 1);
	FAILS(destroy(r.fd, r.id), EBUSY);
	CHECK(write(fds[0], "x", 1) == 1);
	CHECK(read(fds[0], &byte, 1) == 1);
	CHECK(!destroy(r.fd, r.id));
	CHECK(write(fds[0], "x", 1) == 1);
	CHECK(wait_status(pid) == 0);
	return 0;
}

/* ---- Fault queues ---- */

static int new_fault(struct rig *r)
{
	long fault = fault_alloc(r->fd, &r->queue);

	CHECK(fault > 0);
	return attach_nested(r, r->parent, IOMMU_HWPT_FAULT_ID_VALID,
			     (uint32_t)fault);
}

static int page_fault(const struct rig *r)
{
	const uint32_t w[6] = { r->dev, UINT32_MAX, 2, 3, 0xdeadb000 };

	return test_op(r->fd, TRIGGER_IOPF, 0, w, NULL);
}

static int answer_fault(int queue)
{
	struct iommu_hwpt_page_response response = { 0 };
	struct iommu_hwpt_pgfault fault;

	CHECK(polled(queue, 5000) == POLLIN);
	FAILS(read(queue, &fault, sizeof(fault) - 1), ESPIPE); /* as Linux */
	CHECK(read(queue, &fault, sizeof(fault)) == sizeof(fault));
	CHECK(fault.addr == 0xdeadb000 && fault.grpid == 2);
	CHECK(!readable(queue));
	response.cookie = fault.cookie + 100;
	FAILS(write(queue, &response, sizeof(response)), EINVAL);
	response.cookie = fault.cookie;
	FAILS(write(queue, &response, sizeof(response) - 1), ESPIPE);
	CHECK(write(queue, &response, sizeof(response)) == sizeof(response));
	FAILS(write(queue, &response, sizeof(response)), EINVAL); /* twice */
	return 0;
}

static int fault_queues(int argc, char **argv)
{
	struct rig r;
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(!start(&r) && !new_fault(&r));
	CHECK(!page_fault(&r) && !answer_fault(r.queue));
	pid = fork();
	if (!pid)
		_exit(answer_fault(r.queue));
	CHECK(!page_fault(&r));
	CHECK(wait_status(pid) == 0);
	CHECK(!readable(r.queue));
	return 0;
}

const struct scenario queue_scenarios[] = {
	{ "queue-levels", levels },
	{ "queue-outlives", outlives },
	{ "queue-many-readers", many_readers },
	{ "queue-closed-meanwhile", closed_meanwhile },
	{ "queue-forked", forked },
	{ "queue-executed", executed },
	{ "queue-sent", sent },
	{ "queue-receiver", queue_receiver },
	{ "other-program", other_program },
	{ "fault-queues", fault_queues },
	{ NULL, NULL },
};
