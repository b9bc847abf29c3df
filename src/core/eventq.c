// SPDX-License-Identifier: MIT
/*
 * Event queues of a vIOMMU. Events are numbered whether they are kept or not.
 * What is lost at the tail shows as a header of its own until a later event
 * makes the gap visible.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/foreign.h"
#include "core/internal.h"

#define DEPTH_MAX     (1U << 19)
#define SEQUENCE_MASK 0x7fffffffU

/* With q->lock held: the fd is readable exactly while there is something */
static void signal_state(struct core_eventq *q)
{
	bool want = q->head || q->lost;

	if (want == q->signalled || q->closed)
		return;
	fd_signal(q->base.fd, want);
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
	struct core_vevent *event = NULL;
	uint32_t sequence;
	int rc = 0;

	if (record) {
		event = alloc_zero(sizeof(*event) + size);
		rc = event ? 0 : -ENOMEM;
	}
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
	/* who sees it has seen the event; pairs with the client's acquire */
	__atomic_store_n(&q->events, q->events + 1, __ATOMIC_RELEASE);
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
	rc = fd_new(&q->base.fd);
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
		fd_publish(&q->base);
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

ssize_t veventq_read(struct core_eventq *q, unsigned char *buf, size_t len)
{
	struct core_iommu *iommu = q->viommu->drv->iommu;
	size_t header = sizeof(struct iommufd_vevent_header);
	struct core_vevent lost = { 0 };
	struct core_vevent *event;
	size_t done = 0;
	ssize_t rc = 0;

	if (len < header)
		return -EINVAL;
	if (iommu->ops->sync_events)
		iommu->ops->sync_events(iommu);
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

/* Events still arrive, and must not signal somebody's fd. */
void veventq_closed(struct core_eventq *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_mutex_unlock(&q->lock);
}
