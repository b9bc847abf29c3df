// SPDX-License-Identifier: MIT
/*
 * Linux's fault injection as files, on a machine with the mock IOMMU: what is
 * written to fail-nth below /proc makes the n-th allocation of the writing
 * thread inside nestfd fail, once; reading tells how many are left. The
 * controls below /sys/kernel/debug (fail_iommufd, failslab, fail_page_alloc)
 * can be written, and change nothing: which failures are injected is said by
 * fail-nth alone.
 *
 * A fail-nth file is a copy of one memfd, known by its inode.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/procfs.h"
#include "shim/shim.h"

#define FDS_MAX 1024

/* Numbers that have meant a fail-nth file; whether they still do the inode says
 */
static _Atomic bool marked[FDS_MAX];
static _Atomic ino_t inode;

static bool is_mock(void)
{
	const char *iommu = getenv(RUN_ENV_IOMMU);

	return iommu && !strcmp(iommu, "mock") && !shim_inside;
}

/* ---- which names ---- */

static bool names_fail_nth(const char *path)
{
	return procfs_is_fail_nth(path, getpid(), (pid_t)syscall(SYS_gettid));
}

/* Relative to a directory that is debugfs, or stands for it? */
static bool is_debugfs(int dir)
{
	char link[PROCFS_NAME], target[PROCFS_NAME];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return procfs_is_debugfs(target) || !strcmp(target, PROCFS_DEBUG_UP);
}

static bool names_control(int dir, const char *path)
{
	return procfs_is_control(path, path[0] != '/' && is_debugfs(dir));
}

/* ---- open ---- */

static int new_file(const char *name, int flags)
{
	int fd = (int)syscall(SYS_memfd_create, name,
			      flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

	return fd;
}

static int open_fail_nth(int flags)
{
	int fd = new_file("fail-nth", flags);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fd >= FDS_MAX || fstat(fd, &st)) {
		close(fd);
		errno = EMFILE;
		return -1;
	}
	atomic_store(&inode, st.st_ino);
	atomic_store(&marked[fd], true);
	return fd;
}

int failnth_open(int dir, const char *path, int flags, int fd)
{
	int saved = errno;

	if (LIKELY(fd >= 0) || (saved != ENOENT && saved != EACCES))
		return fd;
	if (strstr(path, "fail") && is_mock()) {
		if (names_fail_nth(path))
			return open_fail_nth(flags);
		if (names_control(dir, path))
			return new_file("fail-control", flags);
	}
	errno = saved;
	return fd;
}

DIR *opendir(const char *name);
EXPORT DIR *opendir(const char *name)
{
	DIR *dir = REAL(opendir)(name);
	int saved = errno;

	if (LIKELY(dir) || (saved != ENOENT && saved != EACCES) || !is_mock() ||
	    !procfs_is_debugfs(name)) {
		errno = saved;
		return dir;
	}
	return REAL(opendir)(PROCFS_DEBUG_UP); /* see is_debugfs() */
}

/* ---- pread and pwrite ---- */

static bool is_fail_nth(int fd)
{
	int saved = errno;
	struct stat st;
	bool is;

	if (LIKELY((unsigned int)fd >= FDS_MAX ||
		   !atomic_load_explicit(&marked[fd], memory_order_relaxed)))
		return false;
	is = !fstat(fd, &st) && st.st_ino == atomic_load(&inode);
	if (!is)
		atomic_store(&marked[fd], false);
	errno = saved;
	return is;
}

static ssize_t read_left(void *buf, size_t len, off_t offset)
{
	char text[PROCFS_FAIL_NTH];
	int n = (int)procfs_fail_nth_text(nestfd_fail_nth_left(), text);

	if (offset >= n)
		return 0;
	if (len > (size_t)(n - offset))
		len = (size_t)(n - offset);
	memcpy(buf, text + offset, len);
	return (ssize_t)len;
}

static ssize_t write_nth(const void *buf, size_t len)
{
	uint64_t nth;
	int rc = procfs_fail_nth_parse(buf, len, &nth);

	if (rc)
		return shim_result(rc);
	nestfd_fail_nth(nth);
	return (ssize_t)len;
}

#define PREAD(name, type)                                                  \
	ssize_t name(int fd, void *buf, size_t len, type offset);          \
	EXPORT ssize_t name(int fd, void *buf, size_t len, type offset)    \
	{                                                                  \
		return is_fail_nth(fd) ? read_left(buf, len, offset)       \
				       : REAL(name)(fd, buf, len, offset); \
	}

#define PWRITE(name, type)                                                    \
	ssize_t name(int fd, const void *buf, size_t len, type offset);       \
	EXPORT ssize_t name(int fd, const void *buf, size_t len, type offset) \
	{                                                                     \
		return is_fail_nth(fd) ? write_nth(buf, len)                  \
				       : REAL(name)(fd, buf, len, offset);    \
	}

PREAD(pread, off_t)
PREAD(pread64, off64_t)
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
