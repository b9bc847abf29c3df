// SPDX-License-Identifier: MIT
/*
 * The message path of programs served from outside: any notification, from a
 * program whose memory is the fuzzer's and partly missing, and whose fds come,
 * go, and are refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "input.h"
#include "shim/seccomp/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS  64
#define FDS    8
#define PLACED 4 /* from here on reads stop */
/* The program's memory: bytes here, with a hole in the middle */
#define BASE	0x10000u
#define BYTES	0x4000u
#define HOLE	0x2000u
#define HOLE_TO 0x3000u
#define NAME	80u
#define NAMES	4u

struct program {
	struct input *in;
	unsigned char memory[BYTES];
	int fds[FDS];	/* ours for its numbers; -1: none */
	bool full;	/* no fd can be added */
	bool read_only; /* no memory can be written */
};

static bool is_there(uint64_t addr, size_t len)
{
	uint64_t at = addr - BASE;

	return addr >= BASE && at <= BYTES && len <= BYTES - at &&
	       (at + len <= HOLE || at >= HOLE_TO);
}

static int read_memory(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct program *p = ctx;

	if (!is_there(addr, len))
		return -EFAULT;
	memcpy(dst, p->memory + (addr - BASE), len);
	return 0;
}

static int write_memory(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct program *p = ctx;

	if (p->read_only || !is_there(addr, len))
		return -EFAULT;
	memcpy(p->memory + (addr - BASE), src, len);
	return 0;
}

static int get_fd(void *ctx, int fd)
{
	struct program *p = ctx;

	if (fd < 0 || fd >= FDS || p->fds[fd] < 0)
		return -EBADF;
	return fcntl(p->fds[fd], F_DUPFD_CLOEXEC, 0);
}

static int add_fd(void *ctx, int fd, unsigned int flags)
{
	struct program *p = ctx;
	int n = flags & NOTIFY_FD_PLACED ? PLACED : 0;

	while (n < FDS && p->fds[n] >= 0)
		n++;
	if (p->full || n == FDS)
		return -EMFILE;
	p->fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return n;
}

static int replace_fd(void *ctx, int fd, int number)
{
	struct program *p = ctx;

	if (p->full || number < 0 || number >= FDS || p->fds[number] < 0)
		return -EBADF;
	close(p->fds[number]);
	p->fds[number] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return number;
}

/* Its memory is nowhere in a process: none can be mapped. */
static pid_t process(void *ctx)
{
	(void)ctx;
	return 0;
}

static const int calls[] = {
	SYS_ioctl, SYS_openat, SYS_openat2, SYS_faccessat, SYS_faccessat2,
	SYS_read,  SYS_write,  SYS_pread64, SYS_pwrite64,  SYS_mmap,
	SYS_dup,   SYS_fcntl,  SYS_close,   SYS_ioctl,	   SYS_ioctl,
#ifdef SYS_open
	SYS_open,  SYS_access,
#endif
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

static uint64_t an_address(struct input *in)
{
	uint8_t how = input_u8(in);

	if (how < 240)
		return BASE + (how & 1 ? input_u32(in) % BYTES : 64u * how);
	return input_u64(in);
}

static bool is_about_an_fd(int nr)
{
	return nr == SYS_read || nr == SYS_write || nr == SYS_pread64 ||
	       nr == SYS_pwrite64 || nr == SYS_dup || nr == SYS_fcntl ||
	       nr == SYS_close;
}

static void notify(struct notify_env *env, struct program *p)
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
	struct seccomp_notif n = { .id = 1, .pid = 1 };
	struct seccomp_notif_resp resp;
	uint8_t how = input_u8(p->in);

	n.data.nr = how < 220 ? calls[how % NR_CALLS] : (int)input_u32(p->in);
	for (int i = 0; i < 6; i++)
		n.data.args[i] = how & 1 ? an_address(p->in) : 0;
	if (n.data.nr == SYS_ioctl && how < 240) {
		n.data.args[0] = input_u8(p->in) % (FDS + 1);
		n.data.args[1] = 0x3b80 + input_u8(p->in) % 0x22;
		n.data.args[2] = an_address(p->in);
	} else if (n.data.nr == SYS_mmap && how < 240) {
		n.data.args[1] = 8192;
		n.data.args[2] = PROT_READ;
		n.data.args[4] = input_u8(p->in) % FDS;
		n.data.args[5] = 8192u * (input_u8(p->in) % 3u);
	} else if (is_about_an_fd(n.data.nr) && how < 240) {
		n.data.args[0] = input_u8(p->in) % FDS;
		n.data.args[1] = an_address(p->in);
		n.data.args[2] = input_u8(p->in);
		n.data.args[3] = 0;
	} else if (how < 200) {
		/* names lie at the very start */
		n.data.args[n.data.nr == SYS_openat ||
			    n.data.nr == SYS_openat2] =
			BASE + NAME * (input_u8(p->in) % NAMES);
	}
	notify_answer(env, &n, &client, &resp);
	if (resp.error > 0 || (resp.error && resp.flags))
		abort(); /* no answer the kernel takes */
}

static void change_memory(struct program *p)
{
	uint64_t at = an_address(p->in) - BASE;
	unsigned char bytes[72];
	size_t n = input_u8(p->in) % sizeof(bytes);

	input_bytes(p->in, bytes, n);
	if (at < BYTES && n <= BYTES - at && at >= 16)
		memcpy(p->memory + at, bytes, n);
}

static void change_fds(struct notify_env *env, struct program *p)
{
	uint8_t how = input_u8(p->in);
	int *fd = &p->fds[how % FDS];
	char bytes[64];

	if (how < 100 && *fd >= 0) {
		close(*fd);
		*fd = -1;
	} else if (how < 150 && *fd < 0) {
		*fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} else if (how < 200 && *fd >= 0) {
		input_bytes(p->in, bytes, sizeof(bytes));
		send(*fd, bytes, how % sizeof(bytes),
		     MSG_DONTWAIT | MSG_NOSIGNAL);
	} else if (*fd >= 0) {
		recv(*fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	server_watch(env->server, -1, 0);
}

static void step(struct notify_env *env, struct program *p)
{
	uint8_t what = input_u8(p->in);

	p->full = what % 16 == 15;
	p->read_only = what % 16 == 14;
	if (what < 150)
		notify(env, p);
	else if (what < 210)
		change_memory(p);
	else
		change_fds(env, p);
}

static void end(struct notify_env *env, struct program *p)
{
	struct server_count count;

	for (int i = 0; i < FDS; i++)
		if (p->fds[i] >= 0)
			close(p->fds[i]);
	for (int i = 0; i < 3; i++)
		server_watch(env->server, -1, 0);
	server_count(env->server, &count);
	if (count.contexts || count.queues)
		abort(); /* the dead have left something */
	server_destroy(env->server);
}

static const char *const names[NAMES] = {
	"/dev/iommu",
	"/proc/self/status",
	"/proc/thread-self/fail-nth",
	"/sys/kernel/debug/failslab/verbose",
};

/* Structs that make sense, 64 bytes apart, for an_address() to hit */
static void set_memory(struct program *p)
{
	static const uint32_t sizes[] = { 12, 8, 12, 20, 24, 40, 64, 16, 48 };

	for (size_t i = 0; i < NAMES; i++)
		memcpy(p->memory + NAME * i, names[i], strlen(names[i]) + 1);
	for (size_t i = NAME * NAMES / 64 + 1; i < 120; i++) {
		uint32_t words[2] = { sizes[i % 9], (uint32_t)i / 9 };

		memcpy(p->memory + 64 * i, words, sizeof(words));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct program p = { .in = &in };
	struct run_stats stats = { 0 };
	struct notify_env env = { .trace_fd = -1, .fds_first = PLACED };
	uint8_t how = input_u8(&in);
	const struct run_machine machine = {
		.iommu = how & 4 ? "mock" : "smmuv3",
		.devices = how & 4 ? NULL : "edu@1",
	};

	if (how & 1)
		env.stats = &stats;
	env.interrupted = how & 8;
	if (how & 2)
		env.trace_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (server_create(&machine, &env.server))
		abort();
	memset(p.fds, -1, sizeof(p.fds));
	set_memory(&p);
	for (int i = 0; i < STEPS && in.left; i++)
		step(&env, &p);
	end(&env, &p);
	if (env.trace_fd >= 0)
		close(env.trace_fd);
	return 0;
}
