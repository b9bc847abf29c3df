// SPDX-License-Identifier: MIT
/* More than one process: fork, exec, fds sent, and threads. */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "client.h"

extern char **environ;

static int child_of_fork(int fd, long id, int tell)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = 99999 };
	int own;
	long made;

	made = ioas_alloc(fd);
	CHECK(made > 0 && made != id);
	CHECK(!destroy(fd, id)); /* the parent's object */
	FAILS(ioctl(fd, IOMMU_DESTROY, &arg), ENOENT);
	FAILS(ioctl(fd, IOMMU_DESTROY, NULL), EFAULT);
	FAILS(ioctl(fd, IOMMU_DESTROY, (void *)-8), EFAULT);
	FAILS(ioctl(fd, _IO(';', 0x95), &arg), ENOTTY);
	/* a /dev/iommu of its own is another one */
	own = open_iommu();
	CHECK(own >= 0 && ioas_alloc(own) > 0);
	FAILS(destroy(own, made), ENOENT);
	CHECK(write(tell, &made, sizeof(made)) == sizeof(made));
	CHECK(!close(own));
	CHECK(!close(fd));
	FAILS(ioas_alloc(fd), EBADF);
	return 0;
}

static int forks(int argc, char **argv)
{
	int fd = open_iommu();
	long id = ioas_alloc(fd);
	int fds[2];
	long made;
	pid_t pid;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++) {
		CHECK(!pipe(fds));
		pid = fork();
		if (!pid)
			_exit(child_of_fork(fd, id, fds[1]));
		close(fds[1]);
		CHECK(read(fds[0], &made, sizeof(made)) == sizeof(made));
		CHECK(wait_status(pid) == 0);
		close(fds[0]);
		FAILS(destroy(fd, id), ENOENT);
		CHECK(!destroy(fd, made));
		id = ioas_alloc(fd);
		CHECK(id > 0);
	}
	return 0;
}

/* A child reads and writes structs that only it has, larger ones too. */
static int child_data(int fd)
{
	struct iommu_iova_range *ranges =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.num_iovas = 4,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_hw_info_arm_smmuv3 regs = { 0 };
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = 1,
		.data_len = sizeof(regs) + 16,
		.data_uptr = (uintptr_t)ranges,
	};
	struct iommu_ioas_map_file file = {
		.size = sizeof(file),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.length = 4096,
		.iova = 0x4000,
	};
	long ioas = ioas_alloc(fd);

	arg.ioas_id = (uint32_t)ioas;
	CHECK(!ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &arg));
	CHECK(arg.num_iovas == 1 && ranges[0].last == UINT64_MAX);
	memset(ranges, 0xff, 4096);
	CHECK(!ioctl(fd, IOMMU_GET_HW_INFO, &info));
	memcpy(&regs, ranges, sizeof(regs));
	CHECK(regs.idr[0] && regs.idr[0] != UINT32_MAX);
	/* what is longer than the answer is zeroed */
	CHECK(!((char *)ranges)[sizeof(regs)] &&
	      !((char *)ranges)[sizeof(regs) + 15] &&
	      ((char *)ranges)[sizeof(regs) + 16]);
	file.ioas_id = (uint32_t)ioas;
	file.fd = memfd_create("memory", 0);
	CHECK(!ftruncate(file.fd, 4096));
	CHECK(!ioctl(fd, IOMMU_IOAS_MAP_FILE, &file) && file.iova == 0x4000);
	file.fd = 999;
	file.iova = 0x8000;
	FAILS(ioctl(fd, IOMMU_IOAS_MAP_FILE, &file), EBADF);
	/* private memory of a process that does not own the context */
	CHECK(!map(fd, ioas, ranges, 4096, 0x10000));
	CHECK(hwpt_alloc(fd, 1, ioas, 0) > 0); /* which looks at it */
	munmap(ranges, 4096);
	FAILS(map(fd, ioas, ranges, 4096, 0x20000), EFAULT);
	return 0;
}

static int fork_data(int argc, char **argv)
{
	int fd = open_iommu();
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(ioas_alloc(fd) > 0);
	pid = fork();
	if (!pid)
		_exit(child_data(fd));
	CHECK(wait_status(pid) == 0);
	return 0;
}

static int child_queue(int fd, int inherited, long viommu)
{
	char buf[80];
	int queue = -1;
	long id;

	CHECK(read(inherited, buf, sizeof(buf)) == 0);
	FAILS(read(inherited, buf, 4), EINVAL);
	CHECK(!close(inherited));
	id = fault_alloc(fd, &queue);
	CHECK(id > 0 && fcntl(queue, F_GETFD) == FD_CLOEXEC);
	CHECK(read(queue, buf, 80) == 0);
	FAILS(destroy(fd, id), EBUSY);
	FAILS(veventq_alloc(fd, viommu, &queue), EEXIST);
	CHECK(!close(queue));
	CHECK(!destroy(fd, id));
	/* left open: ends with this process */
	CHECK(fault_alloc(fd, &queue) > 0);
	return 0;
}

static int fork_queue(int argc, char **argv)
{
	int fd = open_iommu();
	long viommu = viommu_alloc(fd, 1);
	int queue;
	long id = veventq_alloc(fd, viommu, &queue);
	char buf[64];
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(id > 0);
	pid = fork();
	if (!pid)
		_exit(child_queue(fd, queue, viommu));
	CHECK(wait_status(pid) == 0);
	CHECK(read(queue, buf, sizeof(buf)) == 0);
	FAILS(destroy(fd, id), EBUSY); /* the child's close was not ours */
	CHECK(!close(queue) && !destroy(fd, id));
	return 0;
}

/* The parent goes first. */
static int orphan(int fd, long id, int tell)
{
	char ok = 'y';

	for (int i = 0; i < 2000 && getppid() != 1 && i < 200; i++)
		usleep(1000);
	CHECK(!destroy(fd, id));
	CHECK(ioas_alloc(fd) > 0);
	CHECK(write(tell, &ok, 1) == 1);
	return 0;
}

static int orphans(int argc, char **argv)
{
	int fds[2];
	char ok = 'n';

	CHECK(!pipe(fds));
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (!pid) {
			int fd = open_iommu();
			long id = ioas_alloc(fd);

			if (!fork())
				_exit(orphan(fd, id, fds[1]));
			if (i)
				exit(0);
			_exit(0);
		}
		CHECK(wait_status(pid) == 0);
		CHECK(read(fds[0], &ok, 1) == 1 && ok == 'y');
	}
	(void)argc;
	(void)argv;
	return 0;
}

static int execs(int argc, char **argv)
{
	char self[256] = { 0 };
	char number[16], id[16];
	int fd = open("/dev/iommu", O_RDWR); /* stays open */

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(id, sizeof(id), "%ld", argc > 1 ? 0L : ioas_alloc(fd));
	snprintf(number, sizeof(number), "%d", fd);
	(void)argv;
	/* one that fails leaves all as it was */
	FAILS(execl("/nowhere/nothing", "nothing", NULL), ENOENT);
	if (argc <= 1)
		CHECK(ioas_alloc(fd) > 0);
	execl(self, self, argc > 1 ? "is-mine" : "is-kept", number, id, NULL);
	CHECK(0);
}

/* Behind an exec: the objects are there, and the number is what it was */
static int is_kept(int argc, char **argv)
{
	int fd = argc > 2 ? atoi(argv[1]) : -1;
	int again;

	CHECK(!destroy(fd, atol(argv[2])));
	CHECK(ioas_alloc(fd) > 0);
	again = open_iommu();
	CHECK(again > fd && ioas_alloc(again) > 0);
	CHECK(!close(fd));
	FAILS(ioas_alloc(fd), EBADF);
	return 0;
}

/* Nobody used it before: it is this process's own, private memory and all. */
static int is_mine(int argc, char **argv)
{
	static char page[4096] __attribute__((aligned(4096)));
	int fd = argc > 1 ? atoi(argv[1]) : -1;
	long ioas = ioas_alloc(fd);

	CHECK(ioas > 0);
	CHECK(!map(fd, ioas, page, sizeof(page), 0));
	CHECK(!close(fd));
	return 0;
}

/* argv: the socket; an exec'ed program that is sent the fd */
static int receiver(int argc, char **argv)
{
	int from = argc > 1 ? atoi(argv[1]) : -1;
	long id;
	int fd = receive_fd(from, &id);
	long made = ioas_alloc(fd);

	CHECK(fd >= 0 && made > 0 && !destroy(fd, id));
	/* and back again: the owner knows its own fd by another number */
	CHECK(!send_fd(from, fd, made));
	return 0;
}

static int sends(int argc, char **argv)
{
	char self[256] = { 0 };
	char number[16];
	int fds[2], fd, back;
	long id, made;
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	snprintf(number, sizeof(number), "%d", fds[1]);
	pid = fork();
	if (!pid) {
		execl(self, self, "receiver", number, NULL);
		_exit(9);
	}
	close(fds[1]);
	fd = open_iommu();
	id = ioas_alloc(fd);
	CHECK(!send_fd(fds[0], fd, id));
	back = receive_fd(fds[0], &made);
	CHECK(wait_status(pid) == 0);
	CHECK(back >= 0 && back != fd);
	FAILS(destroy(back, id), ENOENT);
	CHECK(!close(fd));
	CHECK(!destroy(back, made));
	return 0;
}

/* vfork() and posix_spawn() share memory but not fds. */
static int spawns(int argc, char **argv)
{
	char name[] = "true";
	char *const args[] = { name, NULL };
	int fd = open_iommu();
	long id = ioas_alloc(fd);
	pid_t pid;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++) {
		pid = vfork();
		if (!pid) {
			close(fd);
			execv("/bin/true", args);
			_exit(1);
		}
		CHECK(wait_status(pid) == 0);
		CHECK(!posix_spawn(&pid, "/bin/true", NULL, NULL, args,
				   environ));
		CHECK(wait_status(pid) == 0);
		CHECK(system("exit 3") == 3 << 8);
		CHECK(!destroy(fd, id));
		id = ioas_alloc(fd);
		CHECK(id > 0);
	}
	return 0;
}

/* ---- Threads ---- */

#define THREADS 8
#define ROUNDS	2000

static int shared_fd;
static _Atomic int wrong;

static void *hammer(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		long id = ioas_alloc(shared_fd);

		if (id <= 0 || destroy(shared_fd, id))
			wrong++;
	}
	return NULL;
}

static int run_threads(void *(*fn)(void *arg))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, fn, NULL));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(!wrong);
	return 0;
}

static int threads(int argc, char **argv)
{
	pid_t pid;
	int rc;

	(void)argv;
	shared_fd = open_iommu();
	CHECK(ioas_alloc(shared_fd) > 0);
	if (argc <= 1)
		return run_threads(hammer);
	/* the same in a child: all threads ask the parent */
	pid = fork();
	if (!pid)
		_exit(run_threads(hammer));
	rc = run_threads(hammer);
	CHECK(wait_status(pid) == 0);
	return rc;
}

static _Atomic int stop;
static _Atomic int victim;

static void *caller(void *arg)
{
	(void)arg;
	while (!stop) {
		struct iommu_ioas_alloc a = { .size = sizeof(a) };

		errno = 0;
		if (ioctl(victim, IOMMU_IOAS_ALLOC, &a) && errno != EBADF &&
		    errno != ENOTTY)
			wrong = errno;
		destroy(victim, a.out_ioas_id);
	}
	return NULL;
}

/* Closed and opened under the callers' hands */
static int closes_meanwhile(int argc, char **argv)
{
	pthread_t callers[4];

	(void)argc;
	(void)argv;
	victim = open_iommu();
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&callers[i], NULL, caller, NULL));
	for (int i = 0; i < 300; i++) {
		close(victim);
		victim = open_iommu();
		CHECK(victim >= 0);
		sched_yield();
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(callers[i], NULL);
	CHECK(!wrong);
	CHECK(ioas_alloc(victim) > 0);
	return 0;
}

/* The parent's context, then a machine of its own with threads of its own */
static int child_among_threads(void)
{
	pthread_t t[4];

	CHECK(!destroy(shared_fd, ioas_alloc(shared_fd)));
	shared_fd = open_iommu();
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, hammer, NULL));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(!wrong);
	return 0;
}

static void *forker(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(child_among_threads());
		if (wait_status(pid) != 0)
			wrong++;
	}
	stop = 1;
	return NULL;
}

static void *hammer_until_stop(void *arg)
{
	(void)arg;
	while (!stop)
		if (destroy(shared_fd, ioas_alloc(shared_fd)))
			wrong++;
	return NULL;
}

static int forks_meanwhile(int argc, char **argv)
{
	pthread_t t[3];

	(void)argc;
	(void)argv;
	shared_fd = open_iommu();
	CHECK(ioas_alloc(shared_fd) > 0);
	CHECK(!pthread_create(&t[0], NULL, hammer_until_stop, NULL));
	CHECK(!pthread_create(&t[1], NULL, hammer_until_stop, NULL));
	CHECK(!pthread_create(&t[2], NULL, forker, NULL));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK(!wrong);
	return 0;
}

const struct scenario process_scenarios[] = {
	{ "forks", forks },
	{ "fork-data", fork_data },
	{ "fork-queue", fork_queue },
	{ "orphans", orphans },
	{ "execs", execs },
	{ "is-kept", is_kept },
	{ "is-mine", is_mine },
	{ "sends", sends },
	{ "receiver", receiver },
	{ "spawns", spawns },
	{ "threads", threads },
	{ "closes-meanwhile", closes_meanwhile },
	{ "forks-meanwhile", forks_meanwhile },
	{ NULL, NULL },
};
