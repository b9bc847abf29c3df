// SPDX-License-Identifier: MIT
/*
 * The device's side of page requests (PCI Express PRI): a group is known by its
 * index until it has been answered, and what has not been answered counts
 * against the device's allocation.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "lib/machine.h"

_Static_assert(NESTFD_PAGE_READ == MODEL_PAGE_READ &&
		       NESTFD_PAGE_WRITE == MODEL_PAGE_WRITE &&
		       NESTFD_PAGE_EXEC == MODEL_PAGE_EXEC &&
		       NESTFD_PAGE_PRIV == MODEL_PAGE_PRIV &&
		       NESTFD_PAGE_LAST == MODEL_PAGE_LAST,
	       "the flags go down as they are");
_Static_assert((int)NESTFD_PAGE_SUCCESS == (int)MODEL_PAGE_SUCCESS &&
		       (int)NESTFD_PAGE_INVALID == (int)MODEL_PAGE_INVALID &&
		       (int)NESTFD_PAGE_FAILURE == (int)MODEL_PAGE_FAILURE,
	       "and the codes up");

#define GROUPS 512u
#define PAGE_FLAGS                                                 \
	(NESTFD_PAGE_READ | NESTFD_PAGE_WRITE | NESTFD_PAGE_EXEC | \
	 NESTFD_PAGE_PRIV | NESTFD_PAGE_LAST)
#define PASID_MASK 0xfffffu

struct page_group {
	uint32_t count; /* requests without an answer */
	bool ended;	/* the last has been sent */
	bool answered;
	struct nestfd_page_response response;
};

struct device_pages {
	uint32_t allocation; /* fixed, as the next two */
	void (*page_response)(void *ctx,
			      const struct nestfd_page_response *response);
	void *ctx;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t answered;
	uint32_t outstanding;
	struct page_group groups[GROUPS];
};

/* With the lock held */
static void group_end(struct device_pages *pages, struct page_group *group)
{
	pages->outstanding -= group->count;
	group->count = 0;
	group->ended = false;
}

/* An answer to what has not been asked is none (PCIe: unexpected PRGI). */
static void take_response(void *ctx, const struct model_page_response *response)
{
	struct device_pages *pages = ctx;
	struct page_group *group = &pages->groups[response->group % GROUPS];
	struct nestfd_page_response told = {
		.group = response->group,
		.pasid = response->pasid,
		.code = (enum nestfd_page_code)response->code,
	};
	bool expected;

	pthread_mutex_lock(&pages->lock);
	expected = group->count;
	if (expected) {
		group_end(pages, group);
		group->answered = true;
		group->response = told;
		pthread_cond_broadcast(&pages->answered);
	}
	pthread_mutex_unlock(&pages->lock);
	if (expected && pages->page_response)
		pages->page_response(pages->ctx, &told);
}

int pages_new(struct nestfd_device *dev,
	      const struct nestfd_device_config *config,
	      struct model_port_config *port)
{
	struct device_pages *pages;
	pthread_condattr_t attr;

	if (!config->page_requests)
		return 0;
	pages = alloc_zero(sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	pages->allocation = config->page_requests;
	pages->page_response = config->page_response;
	pages->ctx = config->ctx;
	pthread_mutex_init(&pages->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pages->answered, &attr);
	pthread_condattr_destroy(&attr);
	port->pri = true;
	port->page_response = take_response;
	port->ctx = pages;
	dev->pages = pages;
	return 0;
}

void pages_free(struct device_pages *pages)
{
	if (!pages)
		return;
	pthread_cond_destroy(&pages->answered);
	pthread_mutex_destroy(&pages->lock);
	free(pages);
}

void pages_reset(struct device_pages *pages)
{
	if (!pages)
		return;
	pthread_mutex_lock(&pages->lock);
	for (unsigned int i = 0; i < GROUPS; i++)
		pages->groups[i] = (struct page_group){ 0 };
	pages->outstanding = 0;
	pthread_cond_broadcast(&pages->answered);
	pthread_mutex_unlock(&pages->lock);
}

static int check_request(const struct nestfd_page_request *request)
{
	if (request->size != sizeof(*request) || request->flags & ~PAGE_FLAGS ||
	    request->group >= GROUPS)
		return -EINVAL;
	if (request->pasid == NESTFD_NO_PASID)
		return request->flags & (NESTFD_PAGE_EXEC | NESTFD_PAGE_PRIV)
			       ? -EINVAL
			       : 0;
	return request->pasid & ~PASID_MASK ? -EINVAL : 0;
}

static bool is_marker(const struct nestfd_page_request *request)
{
	return request->pasid != NESTFD_NO_PASID &&
	       (request->flags & (NESTFD_PAGE_LAST | NESTFD_PAGE_READ |
				  NESTFD_PAGE_WRITE)) == NESTFD_PAGE_LAST;
}

/* Counts it before it is sent: the answer may come while it is. */
static int group_add(struct device_pages *pages, struct page_group *group,
		     bool last)
{
	int rc = -EBUSY;

	pthread_mutex_lock(&pages->lock);
	if (!group->ended && pages->outstanding < pages->allocation) {
		group->answered = false;
		group->ended = last;
		group->count++;
		pages->outstanding++;
		rc = 0;
	}
	pthread_mutex_unlock(&pages->lock);
	return rc;
}

int nestfd_page_request(struct nestfd_device *dev,
			const struct nestfd_page_request *request)
{
	const struct model_page_request ask = {
		.iova = request->iova,
		.pasid = request->pasid,
		.flags = request->flags,
		.group = (uint16_t)request->group,
	};
	struct device_pages *pages = dev->pages;
	struct page_group *group;
	int rc;

	rc = check_request(request);
	if (rc)
		return rc;
	if (!pages || !dev->machine->model->ops->page_request)
		return -EOPNOTSUPP;
	if (is_marker(request))
		return dev->machine->model->ops->page_request(dev->port, &ask);
	group = &pages->groups[request->group];
	rc = group_add(pages, group, request->flags & NESTFD_PAGE_LAST);
	if (rc)
		return rc;
	rc = dev->machine->model->ops->page_request(dev->port, &ask);
	if (rc) {
		pthread_mutex_lock(&pages->lock);
		group_end(pages, group);
		pthread_mutex_unlock(&pages->lock);
	}
	return rc;
}

static struct timespec deadline_in(unsigned int timeout_ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += timeout_ms / 1000;
	ts.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

int nestfd_page_wait(struct nestfd_device *dev, uint32_t index,
		     unsigned int timeout_ms,
		     struct nestfd_page_response *response)
{
	struct timespec deadline = deadline_in(timeout_ms);
	struct device_pages *pages = dev->pages;
	struct page_group *group;
	int rc = 0;

	if (index >= GROUPS)
		return -EINVAL;
	if (!pages)
		return -EOPNOTSUPP;
	group = &pages->groups[index];
	pthread_mutex_lock(&pages->lock);
	while (!group->answered && group->count && !rc)
		rc = -pthread_cond_timedwait(&pages->answered, &pages->lock,
					     &deadline);
	if (group->answered) {
		*response = group->response;
		group->answered = false;
		rc = 0;
	} else {
		rc = group->count ? -EINPROGRESS : -ENOENT;
	}
	pthread_mutex_unlock(&pages->lock);
	return rc;
}
