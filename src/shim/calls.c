// SPDX-License-Identifier: MIT
/*
 * ioctl(), and reading and writing an fd of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/shim.h"
#include "shim/trace.h"

/* An fd that changes hands all the time is not worth more attempts. */
#define ATTEMPTS 16

int self_read(void *ctx, void *dst, uint64_t addr, size_t len)
{
	struct iovec to = { dst, len };
	struct iovec from = { (void *)(uintptr_t)addr, len };
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	(void)ctx;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

int self_write(void *ctx, uint64_t addr, const void *src, size_t len)
{
	struct iovec from = { (void *)(uintptr_t)src, len };
	struct iovec to = { (void *)(uintptr_t)addr, len };
	ssize_t n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

	(void)ctx;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

/* ---- ioctl ---- */

/* Where the struct has the fd of a new queue, and the queue's id */
static bool makes_queue(unsigned long cmd, size_t *fd_at, size_t *id_at)
{
	switch ((unsigned int)cmd) {
	case IOMMU_VEVENTQ_ALLOC:
		*fd_at = offsetof(struct iommu_veventq_alloc, out_veventq_fd);
		*id_at = offsetof(struct iommu_veventq_alloc, out_veventq_id);
		return true;
	case IOMMU_FAULT_QUEUE_ALLOC:
		*fd_at = offsetof(struct iommu_fault_alloc, out_fault_fd);
		*id_at = offsetof(struct iommu_fault_alloc, out_fault_id);
		return true;
	default:
		return false;
	}
}

static void destroy_object(struct nestfd *nestfd, uint64_t id_at)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy) };

	if (!self_read(NULL, &destroy.id, id_at, sizeof(destroy.id)))
		nestfd_ioctl(nestfd, IOMMU_DESTROY, &destroy);
}

/*
 * libnestfd's fd of a queue stays hidden; the program gets one of its own,
 * whose number takes the other's place in the struct.
 */
static int alloc_queue(struct context *c, struct nestfd *nestfd,
		       unsigned long cmd, void *arg)
{
	uintptr_t at = (uintptr_t)arg;
	size_t fd_at = 0, id_at = 0;
	int rc, queue, fd;

	makes_queue(cmd, &fd_at, &id_at);
	fd_raise_begin();
	shim_inside = true;
	rc = nestfd_ioctl(nestfd, cmd, arg);
	shim_inside = false; /* the program's own thread */
	queue = fd_raise_last();
	if (rc || queue < 0)
		return rc;
	fd = context_event(c, queue);
	if (fd >= 0 && !self_write(NULL, at + fd_at, &fd, sizeof(fd)))
		return 0;
	rc = fd < 0 ? fd : -EFAULT;
	if (fd >= 0)
		close(fd); /* ours: it ends the queue's fd, too */
	destroy_object(nestfd, at + id_at);
	return rc;
}

/* -EAGAIN: look again, there is a machine now, or another owner */
static long ioctl_context(struct context *c, unsigned long cmd, void *arg)
{
	struct nestfd *nestfd;
	size_t ignored;
	long rc;

	rc = context_use(c, &nestfd);
	if (rc)
		return rc;
	rc = -EAGAIN;
	if (makes_queue(cmd, &ignored, &ignored))
		rc = alloc_queue(c, nestfd, cmd, arg);
	context_unuse(c);
	return rc;
}

static long ioctl_once(int fd, struct file *f, unsigned long cmd, void *arg)
{
	bool own = false;
	long rc;

	switch (atomic_load(&f->kind)) {
	case FILE_CONTEXT:
		return f->context ? ioctl_context(f->context, cmd, arg)
				  : -EAGAIN;
	case FILE_REMOTE:
		if (!f->remote)
			return -EAGAIN;
		rc = remote_ioctl(f->remote, fd, cmd, arg, &own);
		return own ? -EAGAIN : rc;
	case FILE_INTERNAL:
		return -EBADF;
	default:
		rc = REAL(ioctl)(fd, cmd, arg);
		return rc < 0 ? -errno : rc;
	}
}

/* Everything but the common case */
static __attribute__((noinline)) long ioctl_slow(int fd, unsigned long cmd,
						 void *arg)
{
	struct file *f = table_get(fd);
	int rc;

	if (!f)
		f = context_recognise(fd);
	if (f)
		return ioctl_once(fd, f, cmd, arg);
	rc = REAL(ioctl)(fd, cmd, arg);
	return rc < 0 ? -errno : rc;
}

/*
 * An fd that a private command made: the program and libnestfd know it by the
 * same number, which later commands may name.
 */
static __thread int made_fd __attribute__((tls_model("initial-exec"))) = -1;

static __attribute__((noinline)) void take_made_fd(int fd, long rc)
{
	struct file *f = table_get(fd);
	int made = made_fd;

	made_fd = -1;
	if (rc >= 0 && f && atomic_load(&f->kind) == FILE_CONTEXT && f->context)
		context_private(f->context, made);
}

/* The common case; false if it is none */
static inline bool ioctl_fast(int fd, unsigned long cmd, void *arg, long *rc)
{
	struct section *s = section_enter();
	struct file *f = table_get(fd);
	struct nestfd *nestfd = NULL;
	struct context *c;

	if (LIKELY(f && atomic_load_explicit(&f->kind, memory_order_acquire) ==
				FILE_CONTEXT)) {
		c = f->context;
		if (LIKELY(c))
			nestfd = atomic_load_explicit(&c->nestfd,
						      memory_order_acquire);
	}
	if (LIKELY(nestfd))
		*rc = nestfd_ioctl(nestfd, cmd, arg);
	section_leave(s);
	if (UNLIKELY(made_fd >= 0))
		take_made_fd(fd, *rc);
	return nestfd;
}

static __attribute__((noinline)) bool was_freed(int fd, unsigned long cmd)
{
	struct file *f = table_get(fd);
	struct context *c = f ? f->context : NULL;

	return c && context_was_freed(c->serial, cmd);
}

long answer_ioctl(int fd, unsigned long cmd, void *arg)
{
	size_t ignored;
	bool queue = makes_queue(cmd, &ignored, &ignored);
	bool again = true;
	long rc = 0;

	for (int i = 0; i < ATTEMPTS; i++) {
		if (LIKELY(!queue && ioctl_fast(fd, cmd, arg, &rc))) {
			if (LIKELY(rc != -EBUSY) || !again ||
			    !was_freed(fd, cmd))
				return rc;
			again = false;
			continue;
		}
		rc = ioctl_slow(fd, cmd, arg);
		if (rc != -EAGAIN)
			return rc;
	}
	return -EBADF;
}

static __attribute__((noinline)) long watched_ioctl(int fd, unsigned long cmd,
						    void *arg)
{
	struct trace_line line;
	struct watch w = { .line = &line };
	struct file *f = table_get(fd);
	long rc;

	if (!f)
		f = context_recognise(fd);
	if (!f) /* of some other subsystem */
		return answer_ioctl(fd, cmd, arg);
	watch_ioctl(&w, fd, cmd, arg);
	rc = answer_ioctl(fd, cmd, arg);
	watch_end(&w, rc);
	return rc;
}

static __attribute__((noinline)) long our_ioctl(int fd, unsigned long cmd,
						void *arg)
{
	int saved = errno;
	long rc = UNLIKELY(watch_on) ? watched_ioctl(fd, cmd, arg)
				     : answer_ioctl(fd, cmd, arg);

	errno = saved;
	return shim_result(rc);
}

/* What the kernel answers for every file, before it asks the driver */
static bool is_for_all_files(unsigned long cmd)
{
	return cmd == FIOCLEX || cmd == FIONCLEX || cmd == FIONBIO ||
	       cmd == FIOASYNC;
}

static bool is_iommu(const struct file *f)
{
	enum file_kind kind = atomic_load(&f->kind);

	return kind == FILE_CONTEXT || kind == FILE_REMOTE;
}

typedef int (*ioctl_fn)(int fd, unsigned long cmd, void *arg);

int pass_ioctl(int fd, unsigned long cmd, void *arg) EXPORT_AS(ioctl);
int pass_ioctl(int fd, unsigned long cmd, void *arg)
{
	struct file *f;

	if (LIKELY(_IOC_TYPE(cmd) == IOMMUFD_TYPE && !shim_inside))
		return (int)our_ioctl(fd, cmd, arg);
	f = table_get(fd);
	if (LIKELY(!f) || !is_iommu(f) || is_for_all_files(cmd) ||
	    shim_is_inside())
		return REAL_AS(ioctl, ioctl_fn)(fd, cmd, arg);
	return (int)our_ioctl(fd, cmd, arg);
}

/* ---- read and write ---- */

static ssize_t file_io(int fd, struct file *f, void *buf, size_t len,
		       bool write)
{
	switch (atomic_load(&f->kind)) {
	case FILE_EVENT:
		return queue_io(fd, f, buf, len, write);
	case FILE_REMOTE_EVENT:
		return remote_io(fd, f, buf, len, write);
	case FILE_INTERNAL:
		return -EBADF;
	default:
		return -EINVAL; /* /dev/iommu itself has neither */
	}
}

/* libnestfd says by its own fd that there is something to read, or nothing. */
static ssize_t inner_io(int fd, struct queue *q, void *buf, size_t len,
			bool writing)
{
	ssize_t rc =
		writing ? REAL(write)(fd, buf, len) : REAL(read)(fd, buf, len);

	if (writing && rc >= 0)
		queue_signal(q);
	return rc;
}

static __attribute__((noinline)) ssize_t
our_io(int fd, struct file *f, void *buf, size_t len, bool write)
{
	struct trace_line line;
	struct watch w = { .line = &line };
	int saved = errno;
	ssize_t rc;

	if (atomic_load(&f->kind) == FILE_INTERNAL && shim_is_inside())
		return inner_io(fd, atomic_load(&f->q), buf, len, write);
	if (watch_on)
		watch_other(&w, write ? RUN_STAT_WRITE : RUN_STAT_READ,
			    "%s(%d, %p, %zu", write ? "write" : "read", fd, buf,
			    len);
	rc = file_io(fd, f, buf, len, write);
	if (watch_on)
		watch_end(&w, rc);
	errno = saved;
	return shim_result(rc);
}

/* As Linux does for files that know only read(): piece by piece */
static ssize_t our_iov(int fd, struct file *f, const struct iovec *iov, int n,
		       bool write)
{
	ssize_t total = 0;

	if (n < 0 || n > 1024)
		return shim_result(-EINVAL);
	for (int i = 0; i < n; i++) {
		struct iovec one;
		ssize_t rc;

		if (self_read(NULL, &one, (uintptr_t)&iov[i], sizeof(one)))
			return total ? total : shim_result(-EFAULT);
		rc = our_io(fd, f, one.iov_base, one.iov_len, write);
		if (rc < 0)
			return total ? total : rc;
		total += rc;
		if ((size_t)rc < one.iov_len)
			break;
	}
	return total;
}

/* NULL for whatever is none of our business */
static __attribute__((noinline)) struct file *ours_if(struct file *f)
{
	enum file_kind kind;

	kind = atomic_load(&f->kind);
	if (kind == FILE_INTERNAL && shim_is_inside())
		return atomic_load(&f->q) ? f : NULL;
	return shim_inside || kind == FILE_NONE ? NULL : f;
}

static inline struct file *ours(int fd)
{
	struct file *f = table_get(fd);

	return LIKELY(!f) ? NULL : ours_if(f);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct file *f = ours(fd);

	return LIKELY(!f) ? REAL(read)(fd, buf, len)
			  : our_io(fd, f, buf, len, false);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	struct file *f = ours(fd);

	return LIKELY(!f || len > room) ? REAL(__read_chk)(fd, buf, len, room)
					: our_io(fd, f, buf, len, false);
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct file *f = ours(fd);

	return LIKELY(!f) ? REAL(write)(fd, buf, len)
			  : our_io(fd, f, (void *)(uintptr_t)buf, len, true);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct file *f = ours(fd);

	return LIKELY(!f) ? REAL(readv)(fd, iov, n)
			  : our_iov(fd, f, iov, n, false);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct file *f = ours(fd);

	return LIKELY(!f) ? REAL(writev)(fd, iov, n)
			  : our_iov(fd, f, iov, n, true);
}

/* libnestfd's own event fds go out of the program's way, most of them. */
EXPORT int eventfd(unsigned int value, int flags)
{
	int fd = REAL(eventfd)(value, flags);

	if (UNLIKELY(shim_inside))
		return fd_raise(fd);
	if (UNLIKELY(shim_is_inside()))
		made_fd = fd;
	return fd;
}
