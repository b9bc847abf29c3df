// SPDX-License-Identifier: MIT
/* Pointers, sizes and numbers that no sane program passes. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "client.h"

#define FIRST 0x80u
#define LAST  0x94u

static char *page_before_nothing(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(pages + 4096, 4096, PROT_NONE);
	return pages;
}

static int wild_pointers(int argc, char **argv)
{
	char *page = page_before_nothing();
	uint32_t *size = (uint32_t *)(page + 4092);
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	for (unsigned int nr = FIRST; nr <= LAST; nr++) {
		unsigned long cmd = _IO(';', nr);

		FAILS(ioctl(fd, cmd, NULL), EFAULT);
		FAILS(ioctl(fd, cmd, 1), EFAULT);
		FAILS(ioctl(fd, cmd, page + 4096), EFAULT);
		FAILS(ioctl(fd, cmd, page + 4095), EFAULT);
		FAILS(ioctl(fd, cmd, UINT64_MAX), EFAULT);
		FAILS(ioctl(fd, cmd, UINT64_MAX - 3), EFAULT);
		FAILS(ioctl(fd, cmd, 0xffff800000000000ul), EFAULT);
		FAILS(ioctl(fd, cmd, 0x8000000000000000ul), EFAULT);
		/* a size that promises more than is there */
		*size = 64;
		FAILS(ioctl(fd, cmd, size), EFAULT);
	}
	return 0;
}

/* Paths that cannot be read, and places that cannot be written */
static int wild_paths(int argc, char **argv)
{
	char *page = page_before_nothing();
	const char *volatile paths[] = { NULL, (char *)1, page + 4096,
					 (char *)-1 };
	struct stat *volatile nowhere = (struct stat *)(page + 4096);
	struct stat st;
	struct statx sx;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 4; i++) {
		FAILS(open(paths[i], O_RDWR), EFAULT);
		FAILS(open(paths[i], O_RDWR | O_CREAT, 0600), EFAULT);
		FAILS(openat(AT_FDCWD, paths[i], O_RDWR), EFAULT);
		FAILS(access(paths[i], R_OK), EFAULT);
		FAILS(stat(paths[i], &st), EFAULT);
		FAILS(lstat(paths[i], &st), EFAULT);
		if (paths[i])
			FAILS(statx(AT_FDCWD, paths[i], 0, STATX_ALL, &sx),
			      EFAULT);
	}
	FAILS(stat("/dev/iommu", nowhere), EFAULT);
	FAILS(stat("/", nowhere), EFAULT);
	/* the name at the very end of what there is */
	strcpy(page + 4096 - sizeof("/dev/iommu"), "/dev/iommu");
	CHECK(open(page + 4096 - sizeof("/dev/iommu"), O_RDWR) >= 0);
	strcpy(page + 4096 - sizeof("/dev"), "/dev");
	CHECK(!stat(page + 4096 - sizeof("/dev"), &st) && S_ISDIR(st.st_mode));
	FAILS(open(page + 4096 - sizeof("/dev"), O_RDWR | O_CREAT, 0), EISDIR);
	return 0;
}

/* Answers that cannot be written */
static int read_only_struct(int argc, char **argv)
{
	struct iommu_ioas_alloc *arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	arg->size = sizeof(*arg);
	CHECK(!mprotect(arg, 4096, PROT_READ));
	for (int i = 0; i < 100; i++)
		FAILS(ioctl(fd, IOMMU_IOAS_ALLOC, arg), EFAULT);
	/* nothing was left behind: the next is the first */
	CHECK(ioas_alloc(fd) == 1);
	return 0;
}

static int sizes(int argc, char **argv)
{
	char *page = page_before_nothing();
	uint32_t *arg = (uint32_t *)page;
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	for (unsigned int nr = FIRST; nr <= LAST; nr++) {
		unsigned long cmd = _IO(';', nr);

		memset(page, 0, 4096);
		for (uint32_t size = 0; size < 4; size++) {
			*arg = size;
			FAILS(ioctl(fd, cmd, arg), EINVAL);
		}
		*arg = UINT32_MAX;
		FAILS(ioctl(fd, cmd, arg), EFAULT);
		memset(page + 64, 0xff, 4096 - 64);
		*arg = UINT32_MAX;
		FAILS(ioctl(fd, cmd, arg), E2BIG);
		*arg = 4096;
		FAILS(ioctl(fd, cmd, arg), E2BIG);
	}
	return 0;
}

static int numbers(int argc, char **argv)
{
	uint64_t arg[32] = { 64 };
	int fd = open_iommu();

	(void)argc;
	(void)argv;
	for (unsigned int nr = 0; nr < 256; nr++) {
		if (nr >= FIRST && nr <= LAST)
			continue;
		if (nr >= 0x64 && nr < FIRST)
			continue; /* VFIO's own, which have other answers */
		if (nr == 0xf0)
			continue; /* NESTFD_EXT_ENABLE */
		FAILS(ioctl(fd, _IO(';', nr), arg), ENOTTY);
	}
	for (unsigned int nr = FIRST; nr <= LAST; nr++) {
		FAILS(ioctl(fd, _IOW(';', nr, int), arg), ENOTTY);
		FAILS(ioctl(fd, _IOR(';', nr, int), arg), ENOTTY);
		FAILS(ioctl(fd, _IO(':', nr), arg), ENOTTY);
	}
	return 0;
}

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 8;
}

/* Whatever it answers, it must go on answering. */
static int garbage(int argc, char **argv)
{
	unsigned int state = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	int fd = open_iommu();
	int null = open("/dev/null", O_RDWR);

	for (int i = 0; i < 20000; i++) {
		unsigned char arg[96];
		unsigned int nr = FIRST + next_random(&state) % 24;

		for (size_t j = 0; j < sizeof(arg); j++)
			arg[j] = next_random(&state) % 4
					 ? 0
					 : (unsigned char)next_random(&state);
		if (next_random(&state) % 8)
			*(uint32_t *)arg = 8 + 4 * (next_random(&state) % 16);
		ioctl(fd, _IO(';', nr), arg);
	}
	CHECK(ioas_alloc(fd) > 0);
	CHECK(write(null, "x", 1) == 1);
	return 0;
}

/* Things done to the fd that make no sense for a device */
static int abuse_of_the_fd(int argc, char **argv)
{
	struct sockaddr addr = { .sa_family = AF_UNIX };
	char bytes[4096];
	int fd = open_iommu();
	long id = ioas_alloc(fd);

	(void)argc;
	(void)argv;
	memset(bytes, 0xa5, sizeof(bytes));
	for (size_t n = 0; n < 200; n++)
		send(fd, bytes, n, MSG_DONTWAIT);
	send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	bind(fd, &addr, sizeof(addr.sa_family));
	listen(fd, 1);
	shutdown(fd, SHUT_RD);
	CHECK(!destroy(fd, id) && ioas_alloc(fd) > 0);
	CHECK(lseek(fd, 0, SEEK_SET) == -1);
	return 0;
}

const struct scenario hostile_scenarios[] = {
	{ "wild-pointers", wild_pointers },
	{ "wild-paths", wild_paths },
	{ "read-only-struct", read_only_struct },
	{ "sizes", sizes },
	{ "numbers", numbers },
	{ "garbage", garbage },
	{ "abuse-of-the-fd", abuse_of_the_fd },
	{ NULL, NULL },
};
