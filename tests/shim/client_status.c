// SPDX-License-Identifier: MIT
/* What is pinned shows in /proc/PID/status, of whoever pinned it. */
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "client.h"

#define PAGE 4096

/* The number behind @tag in kB, read through a stream; -1 if there is none */
static long by_stream(const char *path, const char *tag)
{
	FILE *file = fopen(path, "re");
	char line[256], unit[8];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, tag, strlen(tag)) &&
		    (sscanf(line + strlen(tag), ":\t%ld %7s", &value, unit) !=
			     2 ||
		     strcmp(unit, "kB") || strlen(line) != strlen(tag) + 14))
			value = -1;
	if (file)
		fclose(file);
	return value;
}

/* The same by read(), in small pieces */
static long by_fd(int fd, const char *tag)
{
	static char text[8192];
	size_t at = 0;
	ssize_t n;
	char *line;

	while ((n = read(fd, text + at, 100)) > 0)
		at += (size_t)n;
	close(fd);
	text[at] = '\0';
	line = strstr(text, tag);
	return line && line[-1] == '\n' && strstr(line, "Threads:")
		       ? atol(line + strlen(tag) + 1)
		       : -1;
}

static long of_pid(pid_t pid, const char *tag)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return by_stream(path, tag);
}

/* Without CAP_IPC_LOCK, and with a limit of one page */
static int become_ordinary(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const struct rlimit page = { PAGE, PAGE };

	CHECK(!syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	CHECK(!syscall(SYS_capset, &header, data));
	CHECK(!setrlimit(RLIMIT_MEMLOCK, &page));
	return 0;
}

static int set_by_process(int fd)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};

	return ioctl(fd, IOMMU_OPTION, &arg);
}

static int unmap_all(int fd, long ioas)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = (uint32_t)ioas,
		.length = UINT64_MAX,
	};

	return ioctl(fd, IOMMU_IOAS_UNMAP, &arg);
}

/* A new IOAS whose domain pins what is mapped */
static long pinning_ioas(int fd)
{
	long ioas = ioas_alloc(fd);

	return ioas > 0 && hwpt_alloc(fd, 1, ioas, 1) > 0 ? ioas : -1;
}

/*
 * Likewise, of the mock IOMMU: a device that `nestfd run` binds is an object,
 * and there may be none when the mode is set.
 */
static long mock_ioas(int fd)
{
	long ioas = ioas_alloc(fd);
	/* IOMMU_TEST_OP_MOCK_DOMAIN */
	uint32_t test[18] = { sizeof(test), 2, (uint32_t)ioas };

	return ioctl(fd, _IO(';', 0xa0), test) ? -1 : ioas;
}

static int status(int argc, char **argv)
{
	int by_process = argc > 0 && !strcmp(argv[argc - 1], "by-process");
	const char *mine = "/proc/self/status";
	void *mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long locked = by_stream(mine, "VmLck");
	int fd = open_iommu();
	long ioas;
	int file;

	CHECK(!become_ordinary());
	CHECK(!by_process || !set_by_process(fd));
	ioas = by_process ? mock_ioas(fd) : pinning_ioas(fd);
	CHECK(ioas > 0);
	CHECK(by_stream(mine, "VmPin") == 0);
	CHECK(!map(fd, ioas, mem, 2 * PAGE, 0x1000000));
	CHECK(by_stream(mine, "VmPin") == 8);
	CHECK(by_stream(mine, "VmLck") == locked + (by_process ? 8 : 0));
	CHECK(of_pid(getpid(), "VmPin") == 8);
	CHECK(of_pid(getppid(), "VmPin") == 0);
	CHECK(by_fd(open(mine, O_RDONLY), "VmPin:") == 8);
	file = openat(AT_FDCWD, mine, O_RDONLY | O_CLOEXEC);
	CHECK(fcntl(file, F_GETFD) == FD_CLOEXEC);
	CHECK(by_fd(file, "VmPin:") == 8);
	file = open("/proc/self/status", O_RDONLY);
	CHECK(fcntl(file, F_GETFD) == 0);
	close(file);
	/* what other files say is none of our business */
	CHECK(by_stream("/proc/self/statusx", "VmPin") == -1);
	CHECK(by_stream("/proc/self/limits", "VmPin") == -1);
	CHECK(!unmap_all(fd, ioas));
	CHECK(by_stream(mine, "VmPin") == 0);
	CHECK(by_stream(mine, "VmLck") == locked);
	CHECK(!map(fd, ioas, mem, PAGE, 0x1000000));
	CHECK(by_stream(mine, "VmPin") == 4);
	close(fd);
	CHECK(by_stream(mine, "VmPin") == 0);
	return 0;
}

static int child_status(int fd, long ioas)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	pid_t parent = getppid();
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = (uint32_t)ioas,
		.fd = memfd_create("more", 0),
		.length = 3 * PAGE,
		.iova = 0x40000,
	};

	CHECK(of_pid(parent, "VmPin") == 4);
	CHECK(of_pid(getpid(), "VmPin") == 0);
	CHECK(by_stream("/proc/self/status", "VmPin") == 0);
	CHECK(!ftruncate(arg.fd, 3 * PAGE));
	CHECK(!ioctl(fd, IOMMU_IOAS_MAP_FILE, &arg));
	CHECK(of_pid(parent, "VmPin") == 4);
	CHECK(of_pid(getpid(), "VmPin") == 12);
	CHECK(!ioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &change));
	CHECK(of_pid(parent, "VmPin") == 0);
	CHECK(of_pid(getpid(), "VmPin") == 16);
	CHECK(by_stream("/proc/self/status", "VmPin") == 16);
	return 0;
}

static int fork_status(int argc, char **argv)
{
	int fd = open_iommu();
	long ioas = pinning_ioas(fd);
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = (uint32_t)ioas,
		.fd = memfd_create("memory", 0),
		.length = PAGE,
		.iova = 0x10000,
	};
	int how = -1;
	pid_t pid;

	(void)argc;
	(void)argv;
	CHECK(!ftruncate(arg.fd, PAGE));
	CHECK(!ioctl(fd, IOMMU_IOAS_MAP_FILE, &arg));
	pid = fork();
	if (!pid)
		_exit(child_status(fd, ioas));
	CHECK(waitpid(pid, &how, 0) == pid && how == 0);
	CHECK(by_stream("/proc/self/status", "VmPin") == 0);
	return 0;
}

const struct scenario status_scenarios[] = {
	{ "status", status },
	{ "fork-status", fork_status },
	{ NULL, NULL },
};
