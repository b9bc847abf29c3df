// SPDX-License-Identifier: MIT
/*
 * A program that is killed at every point of every call: its memory and fds
 * can be reached n times, and from then on nothing can. Whatever n, nothing is
 * left once its fds are closed, and an fd was given or was not.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "seccomp_kit.h"
#include "shim/seccomp/notify.h"

#define FDS    64
#define PLACED 32u /* from here on reads stop */
#define MEMORY 16384u
#define BASE   0x10000u

struct program {
	struct notify_env env;
	int fds[FDS]; /* -1: none */
	unsigned char memory[MEMORY];
	unsigned int left; /* times that it can still be reached */
	bool died;
	bool answers; /* the fd is what the call returns */
};

static bool dies(struct program *p)
{
	p->died |= !p->left;
	if (p->left)
		p->left--;
	return p->died;
}

static int read_memory(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct program *p = ctx;

	if (dies(p) || addr < BASE || addr - BASE > MEMORY - len)
		return -EFAULT;
	memcpy(dst, p->memory + (addr - BASE), len);
	return 0;
}

static int write_memory(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct program *p = ctx;

	if (dies(p) || addr < BASE || addr - BASE > MEMORY - len)
		return -EFAULT;
	memcpy(p->memory + (addr - BASE), src, len);
	return 0;
}

static int get_fd(void *ctx, int fd)
{
	struct program *p = ctx;

	if (dies(p) || fd < 0 || fd >= FDS || p->fds[fd] < 0)
		return -EBADF;
	return fcntl(p->fds[fd], F_DUPFD_CLOEXEC, 0);
}

static int add_fd(void *ctx, int fd, unsigned int flags)
{
	struct program *p = ctx;
	int n = flags & NOTIFY_FD_PLACED ? (int)PLACED : 0;

	/* Who is answered already may close it before we close our copy. */
	assert_int_equal(!!(flags & NOTIFY_FD_ANSWER),
			 p->env.interrupted && p->answers);
	while (n < FDS && p->fds[n] >= 0)
		n++;
	if (dies(p) || n == FDS)
		return -ENOENT;
	p->fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return n;
}

static int replace_fd(void *ctx, int fd, int number)
{
	struct program *p = ctx;

	if (dies(p) || number < 0 || number >= FDS || p->fds[number] < 0)
		return -ENOENT;
	close(p->fds[number]);
	p->fds[number] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return number;
}

static pid_t process(void *ctx)
{
	return dies(ctx) ? 0 : getpid();
}

/* One call, dying after @lives; false if it did not live to see its end */
static bool call(struct program *p, unsigned int lives, int nr,
		 const uint64_t args[6], int64_t *result)
{
	const struct notify_client client = {
		.ctx = p,
		.read = read_memory,
		.write = write_memory,
		.get_fd = get_fd,
		.add_fd = add_fd,
		.replace_fd = replace_fd,
		.process = process,
	};
	struct seccomp_notif n = { .id = 1, .pid = (uint32_t)getpid() };
	struct seccomp_notif_resp resp;

	p->left = lives;
	p->died = false;
	p->answers = nr == SYS_openat || nr == SYS_dup;
	n.data.nr = nr;
	memcpy(n.data.args, args, 6 * sizeof(args[0]));
	notify_answer(&p->env, &n, &client, &resp);
	*result = resp.error ? resp.error : resp.val;
	return !p->died;
}

#define ALWAYS 1000000u

static int64_t live(struct program *p, int nr, const uint64_t args[6])
{
	int64_t result;

	assert_true(call(p, ALWAYS, nr, args, &result));
	return result;
}

/* An ioctl with @arg at the program's BASE */
static void put_arg(struct program *p, const void *arg, size_t size)
{
	memset(p->memory, 0, 256);
	memcpy(p->memory, arg, size);
}

static void command(struct program *p, uint64_t cmd, void *arg, size_t size)
{
	const uint64_t args[6] = { 0, cmd, BASE };

	put_arg(p, arg, size);
	assert_int_equal(live(p, SYS_ioctl, args), 0);
	memcpy(arg, p->memory, size);
}

static void open_device(struct program *p)
{
	const uint64_t args[6] = { (uint64_t)AT_FDCWD, BASE, O_RDWR };

	put_arg(p, "/dev/iommu", sizeof("/dev/iommu"));
	live(p, SYS_openat, args);
	assert_true(p->fds[0] >= 0);
}

/* ---- Calls that are cut short ---- */

struct scene {
	const char *name;
	/* Makes ready, with fd 0 for /dev/iommu, and says what is called */
	int (*prepare)(struct program *p, uint64_t args[6]);
};

static int to_open(struct program *p, uint64_t args[6])
{
	put_arg(p, "/dev/iommu", sizeof("/dev/iommu"));
	args[1] = BASE;
	args[2] = O_RDWR;
	return SYS_openat;
}

static int to_open_fail_nth(struct program *p, uint64_t args[6])
{
	put_arg(p, "/proc/thread-self/fail-nth", 27);
	args[1] = BASE;
	args[2] = O_RDWR;
	return SYS_openat;
}

/* Something is pinned, so a copy is made. */
static int to_open_status(struct program *p, uint64_t args[6])
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct mock_cmd dev = { .size = sizeof(dev), .op = 12 };
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = 6,
		.fd = 1,
		.length = 4096,
	};

	p->fds[1] = memfd_create("x", MFD_CLOEXEC);
	assert_int_equal(ftruncate(p->fds[1], 4096), 0);
	command(p, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	dev.id = map.ioas_id = ioas.out_ioas_id;
	command(p, 0x3ba0, &dev, sizeof(dev));
	command(p, IOMMU_IOAS_MAP_FILE, &map, sizeof(map));
	put_arg(p, "/proc/self/status", sizeof("/proc/self/status"));
	args[1] = BASE;
	args[2] = O_RDONLY;
	return SYS_openat;
}

static int to_alloc(struct program *p, uint64_t args[6])
{
	const struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	put_arg(p, &arg, sizeof(arg));
	args[1] = IOMMU_IOAS_ALLOC;
	args[2] = BASE;
	return SYS_ioctl;
}

static int to_map_a_file(struct program *p, uint64_t args[6])
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = 6,
		.fd = 1,
		.length = 4096,
	};

	p->fds[1] = memfd_create("x", MFD_CLOEXEC);
	assert_int_equal(ftruncate(p->fds[1], 4096), 0);
	command(p, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	map.ioas_id = ioas.out_ioas_id;
	put_arg(p, &map, sizeof(map));
	args[1] = IOMMU_IOAS_MAP_FILE;
	args[2] = BASE;
	return SYS_ioctl;
}

static int to_make_a_queue(struct program *p, uint64_t args[6])
{
	const struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	put_arg(p, &arg, sizeof(arg));
	args[1] = IOMMU_FAULT_QUEUE_ALLOC;
	args[2] = BASE;
	return SYS_ioctl;
}

static int make_queue(struct program *p)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };

	command(p, IOMMU_FAULT_QUEUE_ALLOC, &arg, sizeof(arg));
	return (int)arg.out_fault_fd;
}

static int to_read(struct program *p, uint64_t args[6])
{
	args[0] = (uint64_t)make_queue(p);
	args[1] = BASE;
	args[2] = 40;
	return SYS_read;
}

static int to_write(struct program *p, uint64_t args[6])
{
	args[0] = (uint64_t)make_queue(p);
	args[1] = BASE;
	args[2] = 8;
	return SYS_write;
}

static int to_dup(struct program *p, uint64_t args[6])
{
	args[0] = (uint64_t)make_queue(p);
	return SYS_dup;
}

/* What the mock shows of a vIOMMU; the fd is then a stand-in if @map. */
static uint64_t make_map(struct program *p)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct mock_cmd dev = { .size = sizeof(dev), .op = 12 };
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .flags = 1 };
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = 0xdeadbeef,
		.data_len = 24,
		.data_uptr = BASE + 512,
	};
	uint64_t offset;

	memset(p->memory + 512, 0, 24);
	command(p, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	dev.id = parent.pt_id = ioas.out_ioas_id;
	command(p, 0x3ba0, &dev, sizeof(dev));
	parent.dev_id = viommu.dev_id = dev.w[2];
	command(p, IOMMU_HWPT_ALLOC, &parent, sizeof(parent));
	viommu.hwpt_id = parent.out_hwpt_id;
	command(p, IOMMU_VIOMMU_ALLOC, &viommu, sizeof(viommu));
	memcpy(&offset, p->memory + 512 + 8, sizeof(offset));
	return offset;
}

static int to_map(struct program *p, uint64_t args[6])
{
	args[1] = 8192;
	args[2] = PROT_READ;
	args[3] = MAP_SHARED;
	args[5] = make_map(p);
	return SYS_mmap;
}

static int to_use_a_stand_in(struct program *p, uint64_t args[6])
{
	uint64_t map[6] = { 0 };
	int nr = to_map(p, map);

	live(p, nr, map);
	return to_alloc(p, args);
}

static const struct scene scenes[] = {
	{ "open", to_open },
	{ "open fail-nth", to_open_fail_nth },
	{ "open status", to_open_status },
	{ "IOAS_ALLOC", to_alloc },
	{ "IOAS_MAP_FILE", to_map_a_file },
	{ "FAULT_QUEUE_ALLOC", to_make_a_queue },
	{ "read", to_read },
	{ "write", to_write },
	{ "dup", to_dup },
	{ "mmap", to_map },
	{ "ioctl after mmap", to_use_a_stand_in },
};

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void be_gone(struct program *p)
{
	struct server_count count = { 1, 1 };

	for (int i = 0; i < FDS; i++)
		if (p->fds[i] >= 0)
			close(p->fds[i]);
	for (int i = 0; i < 100 && count.contexts + count.queues; i++) {
		server_watch(p->env.server, -1, 10);
		server_count(p->env.server, &count);
	}
	assert_int_equal(count.contexts, 0);
	assert_int_equal(count.queues, 0);
	server_destroy(p->env.server);
}

/* True if it lived to the end */
static bool play(const struct scene *scene, unsigned int lives,
		 bool interrupted)
{
	const struct run_machine machine = { .iommu = "mock" };
	struct program p = {
		.env.trace_fd = -1,
		.env.fds_first = PLACED,
		.env.interrupted = interrupted,
	};
	unsigned int before = open_fds();
	uint64_t args[6] = { 0 };
	int64_t result;
	bool lived;
	int nr;

	memset(p.fds, -1, sizeof(p.fds));
	assert_int_equal(server_create(&machine, &p.env.server), 0);
	open_device(&p);
	nr = scene->prepare(&p, args);
	lived = call(&p, lives, nr, args, &result);
	if (lived)
		print_message("%s: reached %u times\n", scene->name, lives);
	be_gone(&p);
	assert_int_equal(open_fds(), before);
	return lived;
}

static void kill_at_every_point(bool interrupted)
{
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		unsigned int lives = 0;

		while (!play(&scenes[i], lives, interrupted))
			assert_true(++lives < 50);
		assert_true(lives > 0);
	}
}

static void whoever_is_killed_leaves_nothing(void **state)
{
	(void)state;
	kill_at_every_point(false);
}

/* As before Linux 5.19 */
static void nor_where_fds_are_given_in_one_step(void **state)
{
	(void)state;
	kill_at_every_point(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_is_killed_leaves_nothing),
		cmocka_unit_test(nor_where_fds_are_given_in_one_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
