// SPDX-License-Identifier: MIT
/*
 * A static program: nothing can be preloaded into it. usage: client_static
 * [FD | forks | leaves | many N | hoards N]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/iommufd.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int alloc(int fd, unsigned int *id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	if (ioctl(fd, IOMMU_IOAS_ALLOC, &arg))
		return fail("IOMMU_IOAS_ALLOC");
	*id = arg.out_ioas_id;
	return 0;
}

static int destroy(int fd, unsigned int id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return ioctl(fd, IOMMU_DESTROY, &arg) ? fail("IOMMU_DESTROY") : 0;
}

static int use(int fd)
{
	unsigned int id;

	return alloc(fd, &id) || destroy(fd, id);
}

static int fork_and_use(int fd)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(use(fd));
	return waitpid(pid, &status, 0) != pid || status || use(fd);
}

/* A child that goes on when this has ended, and then opens a file */
static int leave(int fd)
{
	if (fork())
		return 7;
	usleep(300000);
	if (open("/dev/null", O_RDONLY) < 0 || use(fd))
		_exit(1);
	puts("still served");
	fflush(stdout);
	_exit(0);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* What one call costs, and one that is none of ours */
static int many(int fd, int n)
{
	double begin = now(), ours, others;
	int queued;

	for (int i = 0; i < n; i++)
		if (use(fd))
			return 1;
	ours = now() - begin;
	begin = now();
	for (int i = 0; i < n; i++)
		ioctl(fd, FIONREAD, &queued);
	others = now() - begin;
	begin = now();
	for (int i = 0; i < n; i++)
		close(open("/dev/null", O_RDONLY));
	printf("%.0f ns per call, %.0f per ioctl of others, %.0f per open and "
	       "close\n",
	       ours / n / 2, others / n, (now() - begin) / n);
	return 0;
}

/* Until there is no memory any more, but at most @n; and again with less */
static int hoard(int fd, int n)
{
	unsigned int id;
	int i = 0;

	while (i < n) {
		struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

		if (ioctl(fd, IOMMU_IOAS_ALLOC, &arg))
			break;
		i++;
	}
	if (i == n || errno != ENOMEM)
		return fail("all were made, or");
	for (id = 1; i; id++, i--)
		if (destroy(fd, id))
			return 1;
	return use(fd);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int fd = *what >= '0' && *what <= '9' ? atoi(what)
					      : open("/dev/iommu", O_RDWR);

	if (fd < 0)
		return fail("/dev/iommu");
	if (!strcmp(what, "forks"))
		return fork_and_use(fd);
	if (!strcmp(what, "leaves"))
		return leave(fd);
	if (!strcmp(what, "many"))
		return many(fd, argc > 2 ? atoi(argv[2]) : 1000);
	if (!strcmp(what, "hoards"))
		return hoard(fd, argc > 2 ? atoi(argv[2]) : 1000);
	return use(fd);
}
