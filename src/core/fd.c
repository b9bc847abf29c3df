// SPDX-License-Identifier: MIT
/*
 * The fds that a context hands out: of event queues, of fault queues, and the
 * machine's own. They are real ones, for poll(2); reading, writing and closing
 * come here.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/internal.h"

#define fault_of(f)   container_of(f, struct core_fault, base)
#define eventq_of(f)  container_of(f, struct core_eventq, base)
#define private_of(f) container_of(f, struct core_private_fd, base)

int fd_new(int *fd)
{
	int new;

	if (alloc_fault_point())
		return -ENOMEM;
	new = eventfd(0, EFD_CLOEXEC);
	if (new < 0)
		return -errno;
	*fd = new;
	return 0;
}

void fd_publish(struct core_fd_object *base)
{
	struct core_ctx *ctx = base->obj.ctx;

	core_use(&base->obj);
	pthread_mutex_lock(&ctx->lock);
	base->next = ctx->fds;
	ctx->fds = base;
	pthread_mutex_unlock(&ctx->lock);
}

void fd_signal(int fd, bool readable)
{
	uint64_t one = 1;
	ssize_t n = 0;

	if (readable) {
		n = write(fd, &one, sizeof(one));
	} else {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		/* A client that reads it by itself must not block us. */
		if (poll(&pfd, 1, 0) == 1)
			n = read(fd, &one, sizeof(one));
	}
	(void)n;
}

/* With ctx->lock held; the pointer that points to it */
static struct core_fd_object **find_fd(struct core_ctx *ctx, int fd)
{
	struct core_fd_object **link = &ctx->fds;

	while (*link && (*link)->fd != fd)
		link = &(*link)->next;
	return link;
}

/* Finds the queue by its fd, with a user */
static int get_by_fd(struct core_ctx *ctx, int fd, struct core_fd_object **out)
{
	struct core_fd_object *base;

	pthread_mutex_lock(&ctx->lock);
	base = *find_fd(ctx, fd);
	if (base)
		core_use(&base->obj); /* the open fd has one already */
	pthread_mutex_unlock(&ctx->lock);
	if (!base)
		return -EBADF;
	*out = base;
	return 0;
}

ssize_t core_fd_read(struct core_ctx *ctx, int fd, void *buf, size_t len)
{
	struct core_fd_object *base;
	ssize_t rc = get_by_fd(ctx, fd, &base);

	if (rc)
		return rc;
	switch (base->obj.type) {
	case CORE_VEVENTQ:
		rc = veventq_read(eventq_of(base), buf, len);
		break;
	case CORE_FAULT:
		rc = fault_read(fault_of(base), buf, len);
		break;
	default:
		rc = -EINVAL;
	}
	core_put(&base->obj);
	return rc;
}

const uint32_t *core_fd_event_count(struct core_ctx *ctx, int fd)
{
	const uint32_t *count = NULL;
	struct core_fd_object *base;

	if (get_by_fd(ctx, fd, &base))
		return NULL;
	if (base->obj.type == CORE_VEVENTQ)
		count = &eventq_of(base)->events;
	core_put(&base->obj);
	return count;
}

ssize_t core_fd_write(struct core_ctx *ctx, int fd, const void *buf, size_t len)
{
	struct core_fd_object *base;
	ssize_t rc = get_by_fd(ctx, fd, &base);

	if (rc)
		return rc;
	rc = base->obj.type == CORE_FAULT
		     ? fault_write(fault_of(base), buf, len)
		     : -EINVAL;
	core_put(&base->obj);
	return rc;
}

bool core_fd_is(struct core_ctx *ctx, int fd)
{
	bool is;

	pthread_mutex_lock(&ctx->lock);
	is = *find_fd(ctx, fd);
	pthread_mutex_unlock(&ctx->lock);
	return is;
}

/* The last user is gone but those that hold it for a moment */
static void end_private(struct core_private_fd *private)
{
	static const struct timespec nap = { .tv_nsec = 20000 };

	while (atomic_load_explicit(&private->base.obj.users,
				    memory_order_acquire) > 1)
		nanosleep(&nap, NULL);
	private->close(private->data);
	free(private);
}

int core_fd_close(struct core_ctx *ctx, int fd)
{
	struct core_fd_object **link;
	struct core_fd_object *base;

	pthread_mutex_lock(&ctx->lock);
	link = find_fd(ctx, fd);
	base = *link;
	if (base)
		*link = base->next;
	pthread_mutex_unlock(&ctx->lock);
	if (!base)
		return -EBADF;

	if (base->obj.type == CORE_VEVENTQ)
		veventq_closed(eventq_of(base));
	else if (base->obj.type == CORE_FAULT)
		fault_closed(fault_of(base));
	close(fd);
	if (base->obj.type == CORE_PRIVATE_FD)
		end_private(private_of(base));
	else
		core_put(&base->obj);
	return 0;
}

void core_fd_close_all(struct core_ctx *ctx)
{
	while (ctx->fds)
		core_fd_close(ctx, ctx->fds->fd);
}

int core_private_fd_new(struct core_ctx *ctx, void (*close)(void *data),
			void *data, int *fd)
{
	struct core_private_fd *private = alloc_zero(sizeof(*private));
	int rc;

	if (!private)
		return -ENOMEM;
	private->base.obj.ctx = ctx;
	private->base.obj.type = CORE_PRIVATE_FD;
	private->close = close;
	private->data = data;
	rc = fd_new(&private->base.fd);
	if (rc) {
		free(private);
		return rc;
	}
	*fd = private->base.fd;
	fd_publish(&private->base);
	return 0;
}

int core_private_fd_get(struct core_ctx *ctx, int fd,
			struct core_private_fd **out, void **data)
{
	struct core_fd_object *base;
	int rc = get_by_fd(ctx, fd, &base);

	if (rc)
		return rc;
	if (base->obj.type != CORE_PRIVATE_FD) {
		core_put(&base->obj);
		return -EBADF;
	}
	*out = private_of(base);
	*data = (*out)->data;
	return 0;
}

void core_private_fd_put(struct core_private_fd *private)
{
	core_put(&private->base.obj);
}
