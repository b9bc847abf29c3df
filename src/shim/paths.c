// SPDX-License-Identifier: MIT
/*
 * The name /dev/iommu: opening it, and what stat() and its kin say of it and
 * of its fds: a character device that everybody may read and write.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shim/shim.h"
#include "shim/trace.h"

/* Linux gives it a minor number at random out of misc's; a stable one here */
#define DEVICE_MAJOR 10
#define DEVICE_MINOR 126
#define DEVICE_INODE 0x6e657374

/*
 * Is it us that @path names? Asked after the real call has answered @rc: if
 * the kernel could read the path so can we, and if it could not, the answer is
 * EFAULT, as it must be.
 */
static inline bool names_us(const char *path, int rc)
{
	static const uint64_t others = 1ull << ENOENT | 1ull << EACCES |
				       1ull << EPERM | 1ull << ENXIO |
				       1ull << ENODEV | 1ull << ENOTDIR |
				       1ull << EROFS;
	int error = LIKELY(rc >= 0) ? ENOENT : errno;

	if ((unsigned int)error > 63 || !(others >> error & 1) || !path)
		return false;
	/* Most others differ before a function is called. */
	return UNLIKELY(path[0] == '/' && path[1] == 'd' && path[2] == 'e' &&
			path[3] == 'v' && path[4] == '/' && path[5] == 'i') &&
	       !strcmp(path, SHIM_PATH) && !shim_inside;
}

/* Where there is nothing yet the real open() would make it: ask first. */
static inline bool would_make_us(const char *path, int flags)
{
	char text[sizeof(SHIM_PATH)];

	return UNLIKELY(flags & O_CREAT) && !shim_inside &&
	       !self_read(NULL, text, (uintptr_t)path, sizeof(text)) &&
	       !memcmp(text, SHIM_PATH, sizeof(text));
}

/* ---- open ---- */

static int our_open(int flags)
{
	struct trace_line line;
	struct watch w = { .line = &line };
	int saved = errno;
	int rc;

	if (watch_on)
		watch_other(&w, RUN_STAT_OPEN, "open(\"" SHIM_PATH "\", %#x",
			    (unsigned int)flags);
	rc = context_open(flags);
	if (watch_on)
		watch_end(&w, rc);
	errno = saved;
	return (int)shim_result(rc);
}

/*
 * A number the kernel gives anew cannot be ours any more: it was closed in a
 * way we have not seen.
 */
static int opened(int fd)
{
	struct shim_lock l;

	if (UNLIKELY(shim_inside))
		return fd_raise(fd);
	if (LIKELY(fd < 0 || !table_get(fd)))
		return fd;
	if (shim_is_table_ours()) {
		shim_lock(&l);
		file_released(table_clear(fd));
		shim_unlock(&l);
	}
	return fd;
}

/* @fd: what the real call answered */
static inline int opened_path(int dir, const char *path, int flags, int fd)
{
	if (UNLIKELY(fd < 0))
		fd = failnth_open(dir, path, flags, fd);
	if (LIKELY(!names_us(path, fd)))
		return status_opened(path, flags, opened(fd));
	if (fd >= 0)
		REAL(close)(fd); /* the kernel has one, too */
	return our_open(flags);
}

typedef int (*open_fn)(const char *path, int flags, mode_t mode);
typedef int (*openat_fn)(int dir, const char *path, int flags, mode_t mode);

/* Without O_CREAT nobody looks at what is passed as @mode. */
#define OPEN(name)                                                             \
	int pass_##name(const char *path, int flags, mode_t mode)              \
		EXPORT_AS(name);                                               \
	int pass_##name(const char *path, int flags, mode_t mode)              \
	{                                                                      \
		if (would_make_us(path, flags))                                \
			return our_open(flags);                                \
		return opened_path(AT_FDCWD, path, flags,                      \
				   REAL_AS(name, open_fn)(path, flags, mode)); \
	}

#define OPENAT(name)                                                       \
	int pass_##name(int dir, const char *path, int flags, mode_t mode) \
		EXPORT_AS(name);                                           \
	int pass_##name(int dir, const char *path, int flags, mode_t mode) \
	{                                                                  \
		if (would_make_us(path, flags))                            \
			return our_open(flags);                            \
		return opened_path(                                        \
			dir, path, flags,                                  \
			REAL_AS(name, openat_fn)(dir, path, flags, mode)); \
	}

#define OPEN_2(name)                                         \
	int name(const char *path, int flags);               \
	EXPORT int name(const char *path, int flags)         \
	{                                                    \
		return opened_path(AT_FDCWD, path, flags,    \
				   REAL(name)(path, flags)); \
	}

#define OPENAT_2(name)                                            \
	int name(int dir, const char *path, int flags);           \
	EXPORT int name(int dir, const char *path, int flags)     \
	{                                                         \
		return opened_path(dir, path, flags,              \
				   REAL(name)(dir, path, flags)); \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* ---- access ---- */

static int answer_access(const char *path, int mode, int rc)
{
	if (LIKELY(!names_us(path, rc)))
		return rc;
	return (int)shim_result(mode & X_OK ? -EACCES : 0);
}

EXPORT int access(const char *path, int mode)
{
	return answer_access(path, mode, REAL(access)(path, mode));
}

EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
	return answer_access(path, mode,
			     REAL(faccessat)(dir, path, mode, flags));
}

EXPORT int eaccess(const char *path, int mode)
{
	return answer_access(path, mode, REAL(eaccess)(path, mode));
}

EXPORT int euidaccess(const char *path, int mode)
{
	return answer_access(path, mode, REAL(euidaccess)(path, mode));
}

/* ---- stat ---- */

static __attribute__((noinline)) bool is_ours(const struct file *f)
{
	enum file_kind kind = atomic_load(&f->kind);

	return (kind == FILE_CONTEXT || kind == FILE_REMOTE) &&
	       !shim_is_inside();
}

static inline bool is_fd(int fd)
{
	struct file *f = table_get(fd);

	return UNLIKELY(f) && is_ours(f);
}

/* fstatat(fd, "", AT_EMPTY_PATH), which fstat() may be */
static bool is_at(int dir, const char *path, int flags, int rc)
{
	if (!rc && UNLIKELY(flags & AT_EMPTY_PATH) && is_fd(dir))
		return !path || !path[0];
	return names_us(path, rc);
}

static __attribute__((noinline)) int fill(struct stat *st)
{
	struct stat made = {
		.st_dev = makedev(0, 5),
		.st_ino = DEVICE_INODE,
		.st_mode = S_IFCHR | 0666,
		.st_nlink = 1,
		.st_rdev = makedev(DEVICE_MAJOR, DEVICE_MINOR),
		.st_blksize = 4096,
	};

	return (int)shim_result(
		self_write(NULL, (uintptr_t)st, &made, sizeof(made)));
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64),
	       "one struct for both");

static int answer_stat(const char *path, void *st, int rc)
{
	return UNLIKELY(names_us(path, rc)) ? fill(st) : rc;
}

static int answer_fstat(int fd, void *st, int rc)
{
	return !rc && is_fd(fd) ? fill(st) : rc;
}

static int answer_stat_at(int dir, const char *path, int flags, void *st,
			  int rc)
{
	return UNLIKELY(is_at(dir, path, flags, rc)) ? fill(st) : rc;
}

EXPORT int stat(const char *restrict path, struct stat *restrict st)
{
	return answer_stat(path, st, REAL(stat)(path, st));
}

EXPORT int stat64(const char *restrict path, struct stat64 *restrict st)
{
	return answer_stat(path, st, REAL(stat64)(path, st));
}

EXPORT int lstat(const char *restrict path, struct stat *restrict st)
{
	return answer_stat(path, st, REAL(lstat)(path, st));
}

EXPORT int lstat64(const char *restrict path, struct stat64 *restrict st)
{
	return answer_stat(path, st, REAL(lstat64)(path, st));
}

EXPORT int fstat(int fd, struct stat *st)
{
	if (LIKELY(!table_get(fd)))
		return REAL(fstat)(fd, st);
	return answer_fstat(fd, st, REAL(fstat)(fd, st));
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
	if (LIKELY(!table_get(fd)))
		return REAL(fstat64)(fd, st);
	return answer_fstat(fd, st, REAL(fstat64)(fd, st));
}

EXPORT int fstatat(int dir, const char *restrict path, struct stat *restrict st,
		   int flags)
{
	return answer_stat_at(dir, path, flags, st,
			      REAL(fstatat)(dir, path, st, flags));
}

EXPORT int fstatat64(int dir, const char *restrict path,
		     struct stat64 *restrict st, int flags)
{
	return answer_stat_at(dir, path, flags, st,
			      REAL(fstatat64)(dir, path, st, flags));
}

static int fill_statx(struct statx *st)
{
	struct statx made = {
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = 4096,
		.stx_nlink = 1,
		.stx_mode = S_IFCHR | 0666,
		.stx_ino = DEVICE_INODE,
		.stx_rdev_major = DEVICE_MAJOR,
		.stx_rdev_minor = DEVICE_MINOR,
		.stx_dev_minor = 5,
	};

	return (int)shim_result(
		self_write(NULL, (uintptr_t)st, &made, sizeof(made)));
}

EXPORT int statx(int dir, const char *restrict path, int flags,
		 unsigned int mask, struct statx *restrict st)
{
	int rc = REAL(statx)(dir, path, flags, mask, st);

	return UNLIKELY(is_at(dir, path, flags, rc)) ? fill_statx(st) : rc;
}

/* What programs built against a glibc before 2.33 call */

#define XSTAT(name, type)                                                    \
	int name(int version, const char *path, struct type *st);            \
	EXPORT int name(int version, const char *path, struct type *st)      \
	{                                                                    \
		return answer_stat(path, st, REAL(name)(version, path, st)); \
	}

#define FXSTAT(name, type)                                                \
	int name(int version, int fd, struct type *st);                   \
	EXPORT int name(int version, int fd, struct type *st)             \
	{                                                                 \
		if (LIKELY(!table_get(fd)))                               \
			return REAL(name)(version, fd, st);               \
		return answer_fstat(fd, st, REAL(name)(version, fd, st)); \
	}

#define FXSTATAT(name, type)                                              \
	int name(int version, int dir, const char *path, struct type *st, \
		 int flags);                                              \
	EXPORT int name(int version, int dir, const char *path,           \
			struct type *st, int flags)                       \
	{                                                                 \
		return answer_stat_at(                                    \
			dir, path, flags, st,                             \
			REAL(name)(version, dir, path, st, flags));       \
	}

#if defined(__x86_64__) /* later architectures never had them */
XSTAT(__xstat, stat)
XSTAT(__xstat64, stat64)
XSTAT(__lxstat, stat)
XSTAT(__lxstat64, stat64)
FXSTAT(__fxstat, stat)
FXSTAT(__fxstat64, stat64)
FXSTATAT(__fxstatat, stat)
FXSTATAT(__fxstatat64, stat64)
#endif
