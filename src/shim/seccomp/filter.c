// SPDX-License-Identifier: MIT
/*
 * Which calls stop: ioctl(2) with a command of iommufd or VFIO, by its number
 * alone, so that KVM_RUN and all the rest go on at full speed; those that may
 * name a file of ours, since a filter cannot follow pointers; shared mappings
 * of files; and what is done with the fds where the server puts those whose
 * reads and writes it has to answer itself.
 *
 * Programs for another architecture on this kernel (i386, x32) are not served.
 */
#include "shim/seccomp/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the numbers of this architecture's system calls are not known here"
#endif

/* _IO(';', 0x64), the first of VFIO, to the last number there can be */
#define COMMAND_FIRST 0x3b64
#define COMMAND_LAST  0x3bff

/* Linux 5.19: a signal does not interrupt a call that is being served */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define LOAD_NR	     LOAD(offsetof(struct seccomp_data, nr))
#define LOAD_ARCH    LOAD(offsetof(struct seccomp_data, arch))
/* The low half: both architectures are little endian, and all that we look at
 * has 32 bits. */
#define LOAD_ARG(n)	    LOAD(offsetof(struct seccomp_data, args[n]))
#define IF_EQ(k, yes, no)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define IF_GE(k, yes, no)   BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, k, yes, no)
#define IF_GT(k, yes, no)   BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, k, yes, no)
#define IF_BITS(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, yes, no)
#define RETURN(action)	    BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW		    RETURN(SECCOMP_RET_ALLOW)
#define NOTIFY		    RETURN(SECCOMP_RET_USER_NOTIF)

/* Enough for all below */
#define PROGRAM_MAX 160

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short len;
};

/* ---- Parts: each is jumped over if the number of the call is another ---- */

static void add(struct program *p, const struct sock_filter *code, size_t n)
{
	for (size_t i = 0; i < n && p->len < PROGRAM_MAX; i++)
		p->code[p->len++] = code[i];
}

#define ADD(p, ...)                                                 \
	do {                                                        \
		const struct sock_filter code_[] = { __VA_ARGS__ }; \
                                                                    \
		add(p, code_, sizeof(code_) / sizeof(code_[0]));    \
	} while (0)

/* The call @nr notifies, whatever its arguments. */
static void notify_always(struct program *p, uint32_t nr)
{
	ADD(p, IF_EQ(nr, 0, 1), NOTIFY);
}

/* ... if the fd it is about may be one that the server has placed. */
static void notify_placed(struct program *p, uint32_t nr, uint32_t first)
{
	ADD(p, IF_EQ(nr, 0, 5), LOAD_ARG(0), IF_GE(first, 0, 2),
	    IF_GE(first + FILTER_FDS, 1, 0), NOTIFY, ALLOW);
}

static void notify_dup(struct program *p, uint32_t first)
{
	notify_placed(p, SYS_dup, first);
	ADD(p, IF_EQ(SYS_fcntl, 0, 8), LOAD_ARG(0), IF_GE(first, 0, 5),
	    IF_GE(first + FILTER_FDS, 4, 0), LOAD_ARG(1), IF_EQ(F_DUPFD, 1, 0),
	    IF_EQ(F_DUPFD_CLOEXEC, 0, 1), NOTIFY, ALLOW);
}

static void notify_ioctl(struct program *p)
{
	ADD(p, IF_EQ(SYS_ioctl, 0, 5), LOAD_ARG(1), IF_GE(COMMAND_FIRST, 0, 2),
	    IF_GT(COMMAND_LAST, 1, 0), NOTIFY, ALLOW);
}

/*
 * Opening a folder is nothing for us: it fails on a device by itself, if with
 * another errno while there is none.
 */
static void notify_open(struct program *p, uint32_t nr, int flags, bool folders)
{
	if (folders)
		notify_always(p, nr);
	else
		ADD(p, IF_EQ(nr, 0, 4), LOAD_ARG(flags),
		    IF_BITS(O_DIRECTORY, 0, 1), ALLOW, NOTIFY);
}

static void notify_names(struct program *p, bool folders)
{
	notify_open(p, SYS_openat, 2, folders);
#ifdef SYS_open
	notify_open(p, SYS_open, 1, folders);
#endif
	notify_always(p, SYS_openat2);
#ifdef SYS_access
	notify_always(p, SYS_access);
#endif
	notify_always(p, SYS_faccessat);
	notify_always(p, SYS_faccessat2);
}

/* MAP_SHARED and MAP_SHARED_VALIDATE have that bit. */
static void notify_mmap(struct program *p)
{
	ADD(p, IF_EQ(SYS_mmap, 0, 5), LOAD_ARG(3), IF_BITS(MAP_ANONYMOUS, 1, 0),
	    IF_BITS(MAP_SHARED, 1, 0), ALLOW, NOTIFY);
}

static void build(struct program *p, const struct filter_config *config)
{
	uint32_t first = config->fds_first;

	ADD(p, LOAD_ARCH, IF_EQ(OUR_ARCH, 1, 0), ALLOW, LOAD_NR);
	if (first) {
		notify_placed(p, SYS_read, first);
		notify_placed(p, SYS_write, first);
		if (config->fail_nth) {
			notify_placed(p, SYS_pread64, first);
			notify_placed(p, SYS_pwrite64, first);
		}
	}
	notify_ioctl(p);
	notify_mmap(p);
	notify_names(p, config->fail_nth);
	if (first)
		notify_dup(p, first);
	if (config->closes)
		notify_always(p, SYS_close);
	ADD(p, ALLOW);
}

uint32_t filter_fds_first(uint64_t limit)
{
	if (limit > FILTER_BELOW)
		limit = FILTER_BELOW;
	return limit < 2 * FILTER_FDS ? 0 : (uint32_t)limit - FILTER_FDS;
}

static int install(const struct program *p, unsigned long flags)
{
	struct sock_fprog program = {
		.len = p->len,
		.filter = (struct sock_filter *)(uintptr_t)p->code,
	};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);

	return fd < 0 ? -errno : (int)fd;
}

int filter_install(const struct filter_config *config, bool *interrupted)
{
	struct program p = { .len = 0 };
	int fd;

	build(&p, config);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	fd = install(&p, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	*interrupted = fd == -EINVAL;
	return *interrupted ? install(&p, 0) : fd;
}

/*
 * What serving a program takes, done to a child of ours: containers and Yama
 * may forbid it.
 */
static const char *reach(pid_t pid, int pidfd, int theirs)
{
	char there = 0;
	struct iovec to = { &there, 1 };
	struct iovec from = { &there, 1 };
	int fd;

	if (process_vm_readv(pid, &to, 1, &from, 1, 0) != 1)
		return "processes may not read each other's memory "
		       "(process_vm_readv(2))";
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	if (fd < 0)
		return "processes may not take each other's fds "
		       "(pidfd_getfd(2))";
	close(fd);
	return NULL;
}

static const char *why_not_reached(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const char *why;
	int child, status;
	pid_t pid;

	if (self < 0)
		return "this kernel has no pidfd_open(2)";
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	child = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	/* The child has our fds: this one's number, too. */
	why = child < 0 ? "no process to try it with" : reach(pid, child, self);
	if (child >= 0)
		close(child);
	close(self);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return why;
}

const char *filter_why_not(void)
{
	struct seccomp_notif_sizes sizes;
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) ||
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return "this kernel has no seccomp user notification";
	return why_not_reached();
}
