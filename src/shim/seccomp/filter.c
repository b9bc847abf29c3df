// SPDX-License-Identifier: MIT
/*
 * Which calls stop: ioctl(2) with a command of iommufd or VFIO, by its number
 * alone, so that KVM_RUN and all the rest go on at full speed; and those that
 * may name /dev/iommu, since a filter cannot follow pointers.
 *
 * Programs for another architecture on this kernel (i386, x32) are not served.
 */
#include "shim/seccomp/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

/* The call @nr notifies, whatever its arguments. */
#define NOTIFY_IF(nr) IF_EQ(nr, 0, 1), NOTIFY

/*
 * Opening a folder is nothing for us: it fails on a device by itself, if with
 * another errno while there is none.
 */
#define NOTIFY_IF_FILE(nr, flags)                                            \
	IF_EQ(nr, 0, 4), LOAD_ARG(flags), IF_BITS(O_DIRECTORY, 0, 1), ALLOW, \
		NOTIFY

static const struct sock_filter filter[] = {
	LOAD_ARCH,
	IF_EQ(OUR_ARCH, 1, 0),
	ALLOW,
	LOAD_NR,
	IF_EQ(SYS_ioctl, 0, 5),
	LOAD_ARG(1),
	IF_GE(COMMAND_FIRST, 0, 2),
	IF_GT(COMMAND_LAST, 1, 0),
	NOTIFY,
	ALLOW,
	NOTIFY_IF_FILE(SYS_openat, 2),
#ifdef SYS_open
	NOTIFY_IF_FILE(SYS_open, 1),
#endif
	NOTIFY_IF(SYS_openat2),
#ifdef SYS_access
	NOTIFY_IF(SYS_access),
#endif
	NOTIFY_IF(SYS_faccessat),
	NOTIFY_IF(SYS_faccessat2),
	ALLOW,
};

static int install(unsigned long flags)
{
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = (struct sock_filter *)(uintptr_t)filter,
	};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);

	return fd < 0 ? -errno : (int)fd;
}

int filter_install(void)
{
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	fd = install(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	return fd == -EINVAL ? install(0) : fd;
}

const char *filter_why_not(void)
{
	struct seccomp_notif_sizes sizes;
	uint32_t action = SECCOMP_RET_USER_NOTIF;
	int fd;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) ||
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return "this kernel has no seccomp user notification";
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		return "this kernel has no pidfd_open(2)";
	close(fd);
	return NULL;
}
