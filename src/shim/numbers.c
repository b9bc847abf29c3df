// SPDX-License-Identifier: MIT
/*
 * The numbers of fds: duplicating and closing them, one or all. Those we keep
 * for ourselves stay, and are said not to be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "shim/shim.h"
#include "shim/trace.h"

void file_released(struct file *f)
{
	struct context *c;
	struct queue *q;
	int queue;

	if (!f || f->fds)
		return;
	c = f->context;
	q = atomic_load(&f->q);
	queue = f->queue;
	switch (atomic_exchange(&f->kind, FILE_NONE)) {
	case FILE_CONTEXT:
		if (c)
			context_check(c);
		break;
	case FILE_EVENT:
		if (q)
			queue_check(q);
		else if (c)
			context_event_closed(c, queue);
		break;
	default:
		break;
	}
}

/*
 * With the lock held. A number by which libnestfd knows an fd is closed by
 * libnestfd; while it has another name it stays, hidden.
 */
static int close_number(int fd)
{
	struct file *f = table_clear(fd);
	int rc = 0;

	if (f && atomic_load(&f->kind) == FILE_EVENT && f->queue == fd) {
		if (f->fds)
			fd_mark(fd);
	} else if (REAL(close)(fd)) {
		rc = -errno;
	}
	file_released(f);
	return rc;
}

static int close_ours(int fd)
{
	struct shim_lock l;
	int rc;

	shim_lock(&l);
	rc = close_number(fd);
	shim_unlock(&l);
	return rc;
}

static __attribute__((noinline)) int our_close(int fd, struct file *f)
{
	struct trace_line line;
	struct watch w = { .line = &line };
	int saved = errno;
	int rc;

	if (!shim_is_table_ours())
		return REAL(close)(fd);
	if (atomic_load(&f->kind) == FILE_INTERNAL)
		return (int)shim_result(-EBADF);
	if (watch_on)
		watch_other(&w, RUN_STAT_CLOSE, "close(%d", fd);
	rc = close_ours(fd);
	if (watch_on)
		watch_end(&w, rc);
	errno = saved;
	return (int)shim_result(rc);
}

EXPORT int close(int fd)
{
	struct file *f = table_get(fd);

	return LIKELY(!f) || shim_is_inside() ? REAL(close)(fd)
					      : our_close(fd, f);
}

/* @fd has become another name of @f's, or of something else (NULL) */
static void renumber(int fd, struct file *f)
{
	struct shim_lock l;
	struct file *old;

	shim_lock(&l);
	if (f)
		f->fds++; /* the old one may be the same */
	old = table_clear(fd);
	if (f) {
		f->fds--;
		table_set(fd, f);
	}
	file_released(old);
	shim_unlock(&l);
}

static int duplicated(int old, int new)
{
	struct file *f;
	int saved = errno;

	if (new < 0 || shim_is_inside())
		return new;
	f = table_get(old);
	if ((f || table_get(new)) && old != new &&shim_is_table_ours())
		renumber(new, f);
	errno = saved;
	return new;
}

static bool is_internal(int fd)
{
	struct file *f = table_get(fd);

	return f && atomic_load(&f->kind) == FILE_INTERNAL && !shim_is_inside();
}

EXPORT int dup(int old)
{
	if (LIKELY(!atomic_load(&table_used)))
		return REAL(dup)(old);
	if (UNLIKELY(is_internal(old)))
		return (int)shim_result(-EBADF);
	return duplicated(old, REAL(dup)(old));
}

/* What libnestfd closes must not be replaced under its hands. */
static void make_way(int new)
{
	struct file *f = table_get(new);

	if (UNLIKELY(f && atomic_load(&f->kind) == FILE_EVENT &&
		     f->queue == new && !shim_is_inside()) &&
	    shim_is_table_ours())
		close_ours(new);
}

/* EBUSY is what dup2() may answer for a number that is being opened. */
EXPORT int dup2(int old, int new)
{
	if (LIKELY(!atomic_load(&table_used)))
		return REAL(dup2)(old, new);
	if (UNLIKELY(is_internal(old) || is_internal(new)) &&
	    shim_is_table_ours())
		return (int)shim_result(is_internal(old) ? -EBADF : -EBUSY);
	if (old != new)
		make_way(new);
	return duplicated(old, REAL(dup2)(old, new));
}

EXPORT int dup3(int old, int new, int flags)
{
	if (LIKELY(!atomic_load(&table_used)))
		return REAL(dup3)(old, new, flags);
	if (UNLIKELY(is_internal(old) || is_internal(new)) &&
	    shim_is_table_ours())
		return (int)shim_result(is_internal(old) ? -EBADF : -EBUSY);
	if (old != new)
		make_way(new);
	return duplicated(old, REAL(dup3)(old, new, flags));
}

typedef int (*fcntl_fn)(int fd, int cmd, void *arg);

static __attribute__((noinline)) int duplicate(int fd, int cmd, void *arg)
{
	if (UNLIKELY(is_internal(fd)))
		return (int)shim_result(-EBADF);
	return duplicated(fd, REAL_AS(fcntl, fcntl_fn)(fd, cmd, arg));
}

int pass_fcntl(int fd, int cmd, void *arg) EXPORT_AS(fcntl);
int pass_fcntl(int fd, int cmd, void *arg)
{
	if (LIKELY(cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC))
		return REAL_AS(fcntl, fcntl_fn)(fd, cmd, arg);
	return duplicate(fd, cmd, arg);
}

int pass_fcntl64(int fd, int cmd, void *arg) EXPORT_AS(fcntl64);
int pass_fcntl64(int fd, int cmd, void *arg)
{
	return pass_fcntl(fd, cmd, arg);
}

/* Ours within [first, last] are closed one by one, hidden ones stay. */
struct closing {
	unsigned int first;
	unsigned int last;
	unsigned int next;
	int rc;
};

static void close_gap(struct closing *c, unsigned int end)
{
	if (c->next < end && REAL(close_range)(c->next, end - 1, 0))
		c->rc = -errno;
}

static void close_one(int fd, struct file *f, void *arg)
{
	struct closing *c = arg;

	if ((unsigned int)fd < c->first || (unsigned int)fd > c->last)
		return;
	close_gap(c, (unsigned int)fd);
	c->next = (unsigned int)fd + 1;
	if (atomic_load(&f->kind) == FILE_INTERNAL)
		return;
	close_number(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	struct closing c = { first, last, first, 0 };
	struct shim_lock l;

	if (LIKELY(!atomic_load(&table_used)) || flags || first > last ||
	    shim_is_inside() || !shim_is_table_ours())
		return REAL(close_range)(first, last, flags);
	shim_lock(&l);
	table_each(close_one, &c);
	if (last == ~0u) {
		if (REAL(close_range)(c.next, last, 0))
			c.rc = -errno;
	} else {
		close_gap(&c, last + 1);
	}
	shim_unlock(&l);
	return (int)shim_result(c.rc);
}

EXPORT void closefrom(int low)
{
	close_range(low < 0 ? 0 : (unsigned int)low, ~0u, 0);
}
