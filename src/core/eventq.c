// SPDX-License-Identifier: MIT
/*
 * Event queues of a vIOMMU, and fault queues. Their fds are real ones, for
 * poll(2); reading goes through core_fd_read(). Events are numbered whether
 * they are kept or not. What is lost at the tail shows as a header of its own
 * until a later event makes the gap visible.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/foreign.h"
#include "core/internal.h"

#define DEPTH_MAX     (1U << 19)
#define SEQUENCE_MASK 0x7fffffffU

static int new_fd(int *fd)
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

/* The fd works and counts as a user until it is closed */
static void publish_fd(struct core_fd_object *base)
{
	struct core_ctx *ctx = base->obj.ctx;

	core_use(&base->obj);
	pthread_mutex_lock(&ctx->lock);
	base->next = ctx->fds;
	ctx->fds = base;
	pthread_mutex_unlock(&ctx->lock);
}

/* With q->lock held: the fd is readable exactly while there is something */
static void signal_state(struct core_eventq *q)
{
	bool want = q->head || q->lost;
	uint64_t one = 1;
	ssize_t n = 0;

	if (want == q->signalled || q->closed)
		return;
	if (want) {
		n = write(q->base.fd, &one, sizeof(one));
	} else {
		struct pollfd pfd = { .fd = q->base.fd, .events = POLLIN };

		/* A client that reads it by itself must not block us. */
		if (poll(&pfd, 1, 0) == 1)
			n = read(q->base.fd, &one, sizeof(one));
	}
	(void)n;
	q->signalled = want;
}

static void append(struct core_eventq *q, struct core_vevent *event)
{
	event->next = NULL;
	if (q->tail)
		q->tail->next = event;
	else
		q->head = event;
	q->tail = event;
}

static int deliver(struct core_eventq *q, const void *record, size_t size)
{
	struct core_vevent *event = alloc_zero(sizeof(*event) + size);
	int rc = event ? 0 : -ENOMEM;
	uint32_t sequence;

	pthread_mutex_lock(&q->lock);
	sequence = q->sequence;
	q->sequence = (sequence + 1) & SEQUENCE_MASK;
	if (!event || q->count == q->depth) {
		free(event);
		q->lost = true;
		q->lost_sequence = sequence;
	} else {
		event->sequence = sequence;
		event->size = (uint32_t)size;
		memcpy(event->data, record, size);
		append(q, event);
		q->count++;
		q->lost = false; /* the gap tells it now */
	}
	signal_state(q);
	pthread_mutex_unlock(&q->lock);
	return rc;
}

static struct core_eventq *find_queue(const struct core_viommu_object *viommu,
				      uint32_t type)
{
	struct core_eventq *q = viommu->eventqs;

	while (q && q->type != type)
		q = q->next;
	return q;
}

int core_viommu_event(struct core_viommu *drv, uint32_t type,
		      const void *record, size_t size)
{
	/* Pairs with the release in viommu_new(): NULL before it. */
	struct core_viommu_object *viommu = reader_load(&drv->core);
	struct core_eventq *q;
	int rc;

	if (!viommu)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&viommu->lock);
	q = find_queue(viommu, type);
	rc = q ? deliver(q, record, size) : -EOPNOTSUPP;
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

static int link_queue(struct core_viommu_object *viommu, struct core_eventq *q)
{
	int rc = 0;

	pthread_mutex_lock(&viommu->lock);
	if (find_queue(viommu, q->type)) {
		rc = -EEXIST;
	} else {
		q->next = viommu->eventqs;
		viommu->eventqs = q;
	}
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

static void unlink_queue(struct core_viommu_object *viommu,
			 struct core_eventq *q)
{
	struct core_eventq **link = &viommu->eventqs;

	pthread_mutex_lock(&viommu->lock);
	while (*link != q)
		link = &(*link)->next;
	*link = q->next;
	pthread_mutex_unlock(&viommu->lock);
}

static void free_events(struct core_eventq *q)
{
	while (q->head) {
		struct core_vevent *event = q->head;

		q->head = event->next;
		free(event);
	}
	q->tail = NULL;
}

/* Undoes a queue that is not published or has no user: its fd is closed */
void veventq_destroy(struct core_object *obj)
{
	struct core_eventq *q = container_of(obj, struct core_eventq, base.obj);

	unlink_queue(q->viommu, q);
	free_events(q);
	core_put(&q->viommu->obj);
	pthread_mutex_destroy(&q->lock);
}

static int veventq_new(struct core_call *call,
		       struct core_viommu_object *viommu,
		       struct core_eventq **out)
{
	const struct iommu_veventq_alloc *arg = call->arg;
	struct core_eventq *q;
	int rc;

	rc = core_object_new(call->ctx, CORE_VEVENTQ, &q);
	if (rc)
		return rc;
	pthread_mutex_init(&q->lock, NULL);
	q->viommu = viommu;
	q->type = arg->type;
	q->depth = arg->veventq_depth;
	rc = new_fd(&q->base.fd);
	if (rc)
		goto abort;
	rc = link_queue(viommu, q);
	if (rc)
		goto close_fd;
	core_use(&viommu->obj);
	*out = q;
	return 0;

close_fd:
	close(q->base.fd);
abort:
	pthread_mutex_destroy(&q->lock);
	core_object_abort(&q->base.obj);
	return rc;
}

static int veventq_alloc(struct core_call *call,
			 struct core_viommu_object *viommu)
{
	struct iommu_veventq_alloc *arg = call->arg;
	struct core_eventq *q;
	int rc = veventq_new(call, viommu, &q);

	if (rc)
		return rc;
	arg->out_veventq_id = q->base.obj.id;
	rc = core_give_fd(q->base.fd, &arg->out_veventq_fd);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	if (!rc) {
		publish_fd(&q->base);
		core_object_publish(&q->base.obj);
		return 0;
	}
	veventq_destroy(&q->base.obj);
	close(q->base.fd);
	core_object_abort(&q->base.obj);
	return rc;
}

int veventq_ioctl_alloc(struct core_call *call)
{
	struct iommu_veventq_alloc *arg = call->arg;
	struct core_viommu_object *viommu;
	int rc;

	if (arg->flags || arg->__reserved ||
	    arg->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!arg->veventq_depth || arg->veventq_depth > DEPTH_MAX)
		return -EINVAL;
	rc = core_get(call->ctx, arg->viommu_id, CORE_VIOMMU, &viommu);
	if (rc)
		return rc;
	rc = veventq_alloc(call, viommu);
	core_put(&viommu->obj);
	return rc;
}

int fault_ioctl_alloc(struct core_call *call)
{
	struct iommu_fault_alloc *arg = call->arg;
	struct core_fault *fault;
	int rc;

	if (arg->flags)
		return -EOPNOTSUPP;
	rc = core_object_new(call->ctx, CORE_FAULT, &fault);
	if (rc)
		return rc;
	rc = new_fd(&fault->base.fd);
	if (rc)
		goto abort;
	arg->out_fault_id = fault->base.obj.id;
	rc = core_give_fd(fault->base.fd, &arg->out_fault_fd);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	if (rc)
		goto close_fd;
	publish_fd(&fault->base);
	core_object_publish(&fault->base.obj);
	return 0;

close_fd:
	close(fault->base.fd);
abort:
	core_object_abort(&fault->base.obj);
	return rc;
}

void fault_destroy(struct core_object *obj)
{
	(void)obj; /* its fd has been closed, and it holds nothing */
}

/* The first event, or a header that tells of lost ones; NULL for neither */
static struct core_vevent *fetch(struct core_eventq *q,
				 struct core_vevent *lost)
{
	struct core_vevent *event;

	pthread_mutex_lock(&q->lock);
	event = q->head;
	if (event) {
		q->head = event->next;
		if (!q->head)
			q->tail = NULL;
	} else if (q->lost) {
		q->lost = false;
		lost->sequence = q->lost_sequence;
		event = lost;
	}
	pthread_mutex_unlock(&q->lock);
	return event;
}

/* Back to the head; lost events that later ones tell of need no header */
static void restore(struct core_eventq *q, struct core_vevent *event,
		    struct core_vevent *lost)
{
	pthread_mutex_lock(&q->lock);
	if (event != lost) {
		event->next = q->head;
		q->head = event;
		if (!q->tail)
			q->tail = event;
	} else if (!q->head && !q->lost) {
		q->lost = true;
		q->lost_sequence = event->sequence;
	}
	pthread_mutex_unlock(&q->lock);
}

static int write_event(unsigned char *to, const struct core_vevent *event,
		       bool is_lost)
{
	struct iommufd_vevent_header header = {
		.flags = is_lost ? IOMMU_VEVENTQ_FLAG_LOST_EVENTS : 0,
		.sequence = event->sequence,
	};

	if (core_copy_out((uintptr_t)to, &header, sizeof(header)))
		return -EFAULT;
	return core_copy_out((uintptr_t)to + sizeof(header), event->data,
			     event->size);
}

static void consumed(struct core_eventq *q, struct core_vevent *event,
		     struct core_vevent *lost)
{
	if (event == lost)
		return;
	pthread_mutex_lock(&q->lock);
	q->count--;
	pthread_mutex_unlock(&q->lock);
	free(event);
}

static ssize_t veventq_read(struct core_eventq *q, unsigned char *buf,
			    size_t len)
{
	size_t header = sizeof(struct iommufd_vevent_header);
	struct core_vevent lost = { 0 };
	struct core_vevent *event;
	size_t done = 0;
	ssize_t rc = 0;

	if (len < header)
		return -EINVAL;
	while ((event = fetch(q, &lost))) {
		size_t size = header + event->size;

		rc = -EINVAL;
		if (size <= len - done)
			rc = write_event(buf + done, event, event == &lost);
		if (rc) {
			restore(q, event, &lost);
			break;
		}
		done += size;
		consumed(q, event, &lost);
	}
	pthread_mutex_lock(&q->lock);
	signal_state(q);
	pthread_mutex_unlock(&q->lock);
	return done ? (ssize_t)done : rc;
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

/* No driver reports page requests: a fault queue is always empty. */
static ssize_t fault_read(size_t len)
{
	return len % sizeof(struct iommu_hwpt_pgfault) ? -ESPIPE : 0;
}

ssize_t core_fd_read(struct core_ctx *ctx, int fd, void *buf, size_t len)
{
	struct core_fd_object *base;
	ssize_t rc = get_by_fd(ctx, fd, &base);

	if (rc)
		return rc;
	if (base->obj.type == CORE_VEVENTQ)
		rc = veventq_read(container_of(base, struct core_eventq, base),
				  buf, len);
	else
		rc = fault_read(len);
	core_put(&base->obj);
	return rc;
}

/* Whatever group a response names, it does not wait for one */
static ssize_t fault_write(const void *buf, size_t len)
{
	struct iommu_hwpt_page_response response;

	if (len % sizeof(response))
		return -ESPIPE;
	if (!len)
		return 0;
	if (core_copy_in(&response, (uintptr_t)buf, sizeof(response)))
		return -EFAULT;
	return -EINVAL;
}

ssize_t core_fd_write(struct core_ctx *ctx, int fd, const void *buf, size_t len)
{
	struct core_fd_object *base;
	ssize_t rc = get_by_fd(ctx, fd, &base);

	if (rc)
		return rc;
	rc = base->obj.type == CORE_FAULT ? fault_write(buf, len) : -EINVAL;
	core_put(&base->obj);
	return rc;
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

	if (base->obj.type == CORE_VEVENTQ) {
		struct core_eventq *q =
			container_of(base, struct core_eventq, base);

		/* Events still arrive, and must not signal somebody's fd. */
		pthread_mutex_lock(&q->lock);
		q->closed = true;
		pthread_mutex_unlock(&q->lock);
	}
	close(fd);
	core_put(&base->obj);
	return 0;
}

void core_fd_close_all(struct core_ctx *ctx)
{
	while (ctx->fds)
		core_fd_close(ctx, ctx->fds->fd);
}
