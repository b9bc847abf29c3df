// SPDX-License-Identifier: MIT
/*
 * For test_memlock_run.py: a program without capabilities that may lock two
 * pages, and that knows nothing of nestfd. Says the errno of each thing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#define PAGE	 4096
#define APERTURE 0x1000000
#define TEST_CMD _IO(';', 0xa0)

static int device;
static uint32_t ioas;
static char *pages;

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (syscall(SYS_capset, &header, none))
		perror("capset");
}

static void say(const char *what, int rc)
{
	printf("%s %d\n", what, rc ? errno : 0);
}

static void set_mode(void)
{
	struct iommu_option arg = {
		.size = sizeof(arg),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
	};

	say("mode", ioctl(device, IOMMU_OPTION, &arg));
}

/* An IOAS with a device of the test command on it */
static void attach(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	uint32_t cmd[18] = { sizeof(cmd), 2 };

	say("ioas", ioctl(device, IOMMU_IOAS_ALLOC, &alloc));
	ioas = alloc.out_ioas_id;
	cmd[2] = ioas;
	say("device", ioctl(device, TEST_CMD, cmd));
}

static void map(const char *what, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)pages,
		.length = length,
		.iova = iova,
	};

	say(what, ioctl(device, IOMMU_IOAS_MAP, &arg));
}

static void map_file(const char *what, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.fd = memfd_create("memlock", MFD_CLOEXEC),
		.length = length,
		.iova = iova,
	};

	if (ftruncate(arg.fd, 4 * PAGE))
		perror("memfd");
	say(what, ioctl(device, IOMMU_IOAS_MAP_FILE, &arg));
	close(arg.fd);
}

int main(void)
{
	struct rlimit limit;

	drop_capabilities();
	getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = 2 * PAGE;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	setbuf(stdout, NULL);
	pages = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	device = open("/dev/iommu", O_RDWR);
	set_mode();
	attach();
	map("three", APERTURE, 3 * PAGE);
	map_file("file", 4 * APERTURE, 3 * PAGE);
	map("two", 2 * APERTURE, 2 * PAGE);
	/* a child asks its parent, through preload; it has the same user */
	if (!fork()) {
		map("child", 3 * APERTURE, PAGE);
		return 0;
	}
	wait(NULL);
	return 0;
}
