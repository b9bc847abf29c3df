// SPDX-License-Identifier: MIT
/* One process, one thread: opening, calling, duplicating, closing. */
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#include "client.h"

static int calls(int argc, char **argv)
{
	int fd = open_iommu();
	long a, b;

	(void)argc;
	(void)argv;
	CHECK(fd >= 0);
	a = ioas_alloc(fd);
	b = ioas_alloc(fd);
	CHECK(a > 0 && b > 0 && a != b);
	CHECK(!destroy(fd, a));
	FAILS(destroy(fd, a), ENOENT);
	CHECK(!destroy(fd, b));
	CHECK(!close(fd));
	FAILS(destroy(fd, b), EBADF);
	FAILS(close(fd), EBADF);
	return 0;
}

static int ways_to_open(int argc, char **argv)
{
	volatile int flags = O_RDWR; /* unknown to the compiler: __open_2() */
	int first = open("/dev/null", O_RDONLY);
	int fd;

	(void)argc;
	(void)argv;
	close(first);
	fd = open("/dev/iommu", flags);
	CHECK(fd == first && ioas_alloc(fd) > 0); /* the lowest number */
	CHECK(fcntl(fd, F_GETFD) == 0);
	close(fd);
	fd = open64("/dev/iommu", flags);
	CHECK(fd == first && ioas_alloc(fd) > 0);
	close(fd);
	fd = openat(AT_FDCWD, "/dev/iommu", flags | O_CLOEXEC);
	CHECK(fd == first && ioas_alloc(fd) > 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	fd = openat64(AT_FDCWD, "/dev/iommu", flags | O_NONBLOCK);
	CHECK(fd == first && ioas_alloc(fd) > 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	FAILS(open("/dev/iommu", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	FAILS(open("/dev/iommuu", O_RDWR), ENOENT);
	fd = open("/dev/iommu", O_RDWR | O_CREAT, 0600);
	CHECK(fd == first && ioas_alloc(fd) > 0);
	return 0;
}

static int looks(int argc, char **argv)
{
	int fd = open_iommu();
	struct statx sx;
	struct stat st;
	char c = 0;

	(void)argc;
	(void)argv;
	CHECK(!access("/dev/iommu", R_OK | W_OK));
	CHECK(!access("/dev/iommu", F_OK));
	FAILS(access("/dev/iommu", X_OK), EACCES);
	CHECK(!faccessat(AT_FDCWD, "/dev/iommu", R_OK, 0));
	CHECK(!stat("/dev/iommu", &st) && S_ISCHR(st.st_mode));
	CHECK(!lstat("/dev/iommu", &st) && S_ISCHR(st.st_mode));
	CHECK(!fstatat(AT_FDCWD, "/dev/iommu", &st, 0) && S_ISCHR(st.st_mode));
	CHECK(!statx(AT_FDCWD, "/dev/iommu", 0, STATX_ALL, &sx) &&
	      S_ISCHR(sx.stx_mode));
	CHECK(!fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev);
	FAILS(read(fd, &c, 1), EINVAL);
	FAILS(write(fd, &c, 1), EINVAL);
	close(fd);
	FAILS(fstat(fd, &st), EBADF);
	CHECK(!stat("/dev/null", &st) && S_ISCHR(st.st_mode));
	return 0;
}

static int duplicates(int argc, char **argv)
{
	int fd = open_iommu();
	long id = ioas_alloc(fd);
	int a = dup(fd);
	int b = dup2(fd, 200);
	int c = dup3(fd, 201, O_CLOEXEC);
	int d = fcntl(fd, F_DUPFD_CLOEXEC,
		      1500 < sysconf(_SC_OPEN_MAX) ? 1500 : 300);
	int other;

	(void)argc;
	(void)argv;
	CHECK(a >= 0 && b == 200 && c == 201 && d >= 300);
	CHECK(!destroy(a, id)); /* the same context */
	id = ioas_alloc(b);
	CHECK(!destroy(c, id));
	id = ioas_alloc(d);
	CHECK(!close(fd));
	FAILS(ioctl(fd, IOMMU_DESTROY, &id), EBADF);
	CHECK(!destroy(a, id));
	CHECK(dup2(a, a) == a);
	/* a number that means something else by now */
	other = open("/dev/null", O_RDWR);
	CHECK(dup2(other, b) == b);
	FAILS(ioas_alloc(b), ENOTTY);
	CHECK(write(b, "x", 1) == 1);
	CHECK(dup2(a, b) == b && ioas_alloc(b) > 0);
	return 0;
}

/* Each open is a context of its own; the last close frees everything. */
static int contexts(int argc, char **argv)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = 1 };
	int a = open_iommu();
	int b = open_iommu();
	long id = ioas_alloc(a);

	(void)argc;
	(void)argv;
	FAILS(destroy(b, id + 1000), ENOENT);
	CHECK(ioas_alloc(a) > 0 && ioas_alloc(a) > 0);
	FAILS(destroy(b, id), ENOENT);
	/* the device is of the first context until that is closed */
	CHECK(!ioctl(a, IOMMU_GET_HW_INFO, &info));
	CHECK(info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
	for (int i = 0; i < 20; i++) {
		close(a);
		a = open_iommu();
		CHECK(ioas_alloc(a) > 0);
		info = (struct iommu_hw_info){ .size = sizeof(info),
					       .dev_id = 1 };
		CHECK(!ioctl(a, IOMMU_GET_HW_INFO, &info));
		CHECK(info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
	}
	return 0;
}

static int memory(int argc, char **argv)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap),
					  .iova = 0x100000 };
	void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu();
	long ioas = ioas_alloc(fd);

	(void)argc;
	(void)argv;
	CHECK(!map(fd, ioas, page, 8192, 0x100000));
	FAILS(map(fd, ioas, page, 4096, 0x101000), EEXIST);
	unmap.ioas_id = (uint32_t)ioas;
	unmap.length = 8192;
	CHECK(!ioctl(fd, IOMMU_IOAS_UNMAP, &unmap) && unmap.length == 8192);
	FAILS(ioctl(fd, IOMMU_IOAS_UNMAP, &unmap), ENOENT);
	CHECK(!map(fd, ioas, page, 8192, 0x100000));
	/* a device's page table looks at the memory */
	CHECK(hwpt_alloc(fd, 1, ioas, 0) > 0);
	munmap(page, 8192);
	FAILS(map(fd, ioas, page, 8192, 0x200000), EFAULT);
	return 0;
}

static int queues(int argc, char **argv)
{
	struct pollfd p = { .events = POLLIN };
	char buf[256];
	struct iovec iov = { buf, sizeof(buf) };
	int fd = open_iommu();
	long viommu = viommu_alloc(fd, 1);
	int queue = -1, again, fault;
	long id = veventq_alloc(fd, viommu, &queue);
	long fault_id;

	(void)argc;
	(void)argv;
	CHECK(viommu > 0 && id > 0);
	CHECK(queue > fd && fcntl(queue, F_GETFD) == FD_CLOEXEC);
	p.fd = queue;
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(read(queue, buf, sizeof(buf)) == 0);
	CHECK(readv(queue, &iov, 1) == 0);
	FAILS(read(queue, buf, 4), EINVAL); /* no room for a header */
	FAILS(write(queue, buf, 8), EINVAL);
	FAILS(ioas_alloc(queue), ENOTTY);
	FAILS(destroy(fd, id), EBUSY);
	again = dup(queue);
	CHECK(!close(queue));
	CHECK(read(again, buf, sizeof(buf)) == 0);
	FAILS(destroy(fd, id), EBUSY);
	CHECK(!close(again));
	CHECK(!destroy(fd, id));

	fault_id = fault_alloc(fd, &fault);
	CHECK(fault_id > 0 && read(fault, buf, 80) == 0);
	FAILS(read(fault, buf, 7), ESPIPE);
	FAILS(write(fault, buf, 7), ESPIPE);
	FAILS(destroy(fd, fault_id), EBUSY);
	/* the queue keeps the context, as on Linux */
	CHECK(!close(fd));
	CHECK(read(fault, buf, 80) == 0);
	CHECK(!close(fault));
	fd = open_iommu();
	CHECK(viommu_alloc(fd, 1) > 0); /* the device is free again */
	return 0;
}

/* What daemons do: everything from some number on */
static int close_everything(int argc, char **argv)
{
	static char page[8192] __attribute__((aligned(4096)));
	int fd = open_iommu();
	long ioas = ioas_alloc(fd);
	int null, first;

	(void)argc;
	(void)argv;
	CHECK(ioas > 0);
	for (int i = fd + 1; i < 1024; i++)
		close(i);
	CHECK(!close_range((unsigned int)fd + 1, 5000, 0));
	CHECK(!map(fd, ioas, page, 4096, 0x10000));
	CHECK(hwpt_alloc(fd, 1, ioas, 0) > 0);
	closefrom(fd);
	FAILS(ioas_alloc(fd), EBADF);
	null = open("/dev/null", O_RDONLY);
	CHECK(null == fd);
	close(null);
	first = open_iommu();
	CHECK(first == fd);
	ioas = ioas_alloc(first);
	CHECK(ioas > 0 && !map(first, ioas, page, 4096, 0x10000));
	CHECK(hwpt_alloc(first, 1, ioas, 0) > 0);
	return 0;
}

static int other_subsystems(int argc, char **argv)
{
	int fds[2], n = -1, fd = open_iommu();
	struct termios t;

	(void)argc;
	(void)argv;
	CHECK(!pipe(fds) && write(fds[1], "abc", 3) == 3);
	CHECK(!ioctl(fds[0], FIONREAD, &n) && n == 3);
	FAILS(ioctl(fds[0], TCGETS, &t), ENOTTY);
	FAILS(ioctl(fds[0], IOMMU_IOAS_ALLOC, &t), ENOTTY);
	FAILS(ioctl(-1, IOMMU_IOAS_ALLOC, &t), EBADF);
	FAILS(ioctl(-1, FIONREAD, &n), EBADF);
	FAILS(ioctl(4000000, IOMMU_IOAS_ALLOC, &t), EBADF);
	/* and theirs on ours */
	CHECK(ioas_alloc(fd) > 0);
	FAILS(ioctl(fd, FIONREAD, &n), ENOTTY);
	FAILS(ioctl(fd, TCGETS, &t), ENOTTY);
	n = 1;
	CHECK(!ioctl(fd, FIONBIO, &n));
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(!ioctl(fd, FIOCLEX));
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	return 0;
}

static int touches_nothing(int argc, char **argv)
{
	struct stat st;

	CHECK(!stat("/", &st));
	printf("nothing touched\n");
	return argc > 1 ? argv[1][0] - '0' : 0;
}

/* What --trace prints of these is compared with a file. */
static int traced(int argc, char **argv)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { 1, 0 } };
	uint64_t commands[6][2] = { { 0x10 }, { 0x11 }, { 0x77 } };
	struct iommu_iova_range ranges[2];
	struct iommu_ioas_iova_ranges iovas = {
		.size = sizeof(iovas),
		.num_iovas = 0,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_hw_info_arm_smmuv3 regs;
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = 1,
		.data_len = sizeof(regs),
		.data_uptr = (uintptr_t)&regs,
	};
	struct iommu_hwpt_invalidate inval = {
		.size = sizeof(inval),
		.data_uptr = (uintptr_t)commands,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = 6,
	};
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.dev_id = 1,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste),
		.data_uptr = (uintptr_t)&ste,
	};
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
	};
	int fd = open_iommu();
	long viommu = viommu_alloc(fd, 1);
	long ioas = ioas_alloc(fd);
	int queue = -1;

	(void)argc;
	(void)argv;
	map(fd, ioas, page, 4096, 0x10000);
	map(fd, ioas, page, 4096, 0x10000);
	iovas.ioas_id = (uint32_t)ioas;
	ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &iovas);
	iovas.num_iovas = 2;
	ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &iovas);
	ioctl(fd, IOMMU_GET_HW_INFO, &info);
	option.object_id = (uint32_t)ioas;
	ioctl(fd, IOMMU_OPTION, &option);
	nested.pt_id = (uint32_t)viommu;
	ioctl(fd, IOMMU_HWPT_ALLOC, &nested);
	inval.hwpt_id = (uint32_t)viommu;
	ioctl(fd, IOMMU_HWPT_INVALIDATE, &inval);
	veventq_alloc(fd, viommu, &queue);
	read(queue, page, 64) < 0 ? (void)0 : (void)1;
	close(queue);
	destroy(fd, 4711);
	ioctl(fd, IOMMU_DESTROY, NULL);
	ioctl(fd, _IO(';', 0x95), NULL);
	close(fd);
	return 0;
}

const struct scenario basic_scenarios[] = {
	{ "calls", calls },
	{ "ways-to-open", ways_to_open },
	{ "looks", looks },
	{ "duplicates", duplicates },
	{ "contexts", contexts },
	{ "memory", memory },
	{ "queues", queues },
	{ "close-everything", close_everything },
	{ "other-subsystems", other_subsystems },
	{ "touches-nothing", touches_nothing },
	{ "traced", traced },
	{ NULL, NULL },
};
