// SPDX-License-Identifier: MIT
/*
 * Fault queues: page requests of devices, group by group, on their way to the
 * client; the client's answers on their way back. A group names the attachment
 * it came through, and is answered when that ends, so it needs no users.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/foreign.h"
#include "core/internal.h"

/* Hardware has a limit for what is outstanding; so have we */
#define PARTIAL_MAX 4096u
#define GROUPS_MAX  65536u

/*
 * A cookie is an id, and above it how many groups had been answered: one that
 * has been answered, and comes again, is not soon another group's.
 */
#define COOKIE_ID	GENMASK_ULL(16, 0)
#define COOKIE_ANSWERED GENMASK_ULL(31, 17)

#define GROUP_FLAGS	IOMMU_PGFAULT_FLAGS_LAST_PAGE
#define PASID_FLAG	IOMMU_PGFAULT_FLAGS_PASID_VALID

static void respond(const struct core_fault_group *group, uint32_t code)
{
	struct core_device *device = group->dev->dev;

	if (device->iommu->ops->page_response)
		device->iommu->ops->page_response(
			device, &group->requests[group->count - 1], code);
}

/* With fault->lock held */
static void signal_state(struct core_fault *fault)
{
	bool want = fault->head;

	if (want == fault->signalled || fault->closed)
		return;
	fd_signal(fault->base.fd, want);
	fault->signalled = want;
}

static int deliver(struct core_fault *fault, struct core_fault_group *group)
{
	int rc = -ENOMEM;

	pthread_mutex_lock(&fault->lock);
	if (fault->count < GROUPS_MAX) {
		fault->count++;
		group->next = NULL;
		if (fault->tail)
			fault->tail->next = group;
		else
			fault->head = group;
		fault->tail = group;
		signal_state(fault);
		rc = 0;
	}
	pthread_mutex_unlock(&fault->lock);
	return rc;
}

static struct core_fault_group *fetch(struct core_fault *fault)
{
	struct core_fault_group *group;

	pthread_mutex_lock(&fault->lock);
	group = fault->head;
	if (group) {
		fault->head = group->next;
		if (!fault->head)
			fault->tail = NULL;
	}
	pthread_mutex_unlock(&fault->lock);
	return group;
}

static void restore(struct core_fault *fault, struct core_fault_group *group)
{
	pthread_mutex_lock(&fault->lock);
	group->next = fault->head;
	fault->head = group;
	if (!fault->tail)
		fault->tail = group;
	pthread_mutex_unlock(&fault->lock);
}

/* A group is no longer outstanding */
static void end_group(struct core_fault *fault, struct core_fault_group *group,
		      uint32_t code)
{
	pthread_mutex_lock(&fault->lock);
	fault->count--;
	pthread_mutex_unlock(&fault->lock);
	respond(group, code);
	free(group);
}

static bool is_of_group(const struct core_page_request *request,
			const struct core_page_request *last)
{
	return request->grpid == last->grpid && request->kind == last->kind;
}

/* With dev->fault_lock held: requests that are of the group of @last */
static uint32_t count_partial(const struct core_dev *dev,
			      const struct core_page_request *last)
{
	const struct core_page_node *node = dev->partial;
	uint32_t n = 0;

	for (; node; node = node->next)
		n += is_of_group(&node->request, last);
	return n;
}

/* Moves them, oldest first (the list is newest first), or drops them */
static void take_partial(struct core_dev *dev,
			 const struct core_page_request *last,
			 struct core_page_request *to, uint32_t n)
{
	struct core_page_node **link = &dev->partial;

	while (*link) {
		struct core_page_node *node = *link;

		if (!is_of_group(&node->request, last)) {
			link = &node->next;
			continue;
		}
		*link = node->next;
		dev->partial_count--;
		if (to)
			to[--n] = node->request;
		free(node);
	}
}

static uint64_t *spoiled_word(struct core_dev *dev,
			      const struct core_page_request *request)
{
	uint32_t group = request->grpid % CORE_PAGE_GROUPS;

	return &dev->spoiled[request->kind % CORE_PAGE_KINDS][group / 64];
}

/* With dev->fault_lock held, as the next */
static void spoil(struct core_dev *dev, const struct core_page_request *request)
{
	*spoiled_word(dev, request) |= BIT_ULL(request->grpid % 64);
}

/* Was it spoiled? It is no longer. */
static bool unspoil(struct core_dev *dev, const struct core_page_request *last)
{
	uint64_t *word = spoiled_word(dev, last);
	bool was = *word & BIT_ULL(last->grpid % 64);

	*word &= ~BIT_ULL(last->grpid % 64);
	return was;
}

static int add_partial(struct core_dev *dev,
		       const struct core_page_request *request)
{
	struct core_page_node *node = NULL;

	if (dev->partial_count < PARTIAL_MAX)
		node = alloc_zero(sizeof(*node));
	if (!node) {
		spoil(dev, request);
		return -ENOMEM;
	}
	node->request = *request;
	node->next = dev->partial;
	dev->partial = node;
	dev->partial_count++;
	return 0;
}

void fault_forget_partial(struct core_dev *dev)
{
	pthread_mutex_lock(&dev->fault_lock);
	while (dev->partial) {
		struct core_page_node *node = dev->partial;

		dev->partial = node->next;
		free(node);
	}
	dev->partial_count = 0;
	memset(dev->spoiled, 0, sizeof(dev->spoiled));
	pthread_mutex_unlock(&dev->fault_lock);
}

/*
 * With dev->fault_lock held: whose fault queue it is for. A guest's table may
 * hold PASIDs that are not attached by themselves: then it is the device's.
 */
static struct core_attach *find_attach(struct core_dev *dev,
				       const struct core_page_request *request)
{
	uint64_t key = request->flags & PASID_FLAG ? request->pasid : 0;
	struct itree_node *node = itree_first(&dev->attached, key, key);
	struct core_attach *attach = NULL;

	if (node)
		return container_of(node, struct core_attach, node);
	node = itree_first(&dev->attached, 0, 0);
	if (node)
		attach = container_of(node, struct core_attach, node);
	return attach && attach->hwpt->domain->nested ? attach : NULL;
}

static int new_group(struct core_dev *dev, const struct core_attach *attach,
		     const struct core_page_request *last)
{
	uint32_t n = count_partial(dev, last);
	struct core_fault_group *group =
		alloc_zero(sizeof(*group) + (n + 1) * sizeof(*last));
	int rc;

	if (!group)
		return -ENOMEM;
	group->dev = dev;
	group->hwpt = attach->hwpt;
	group->key = attach->node.first;
	group->count = n + 1;
	take_partial(dev, last, group->requests, n);
	group->requests[n] = *last;
	rc = deliver(attach->hwpt->fault, group);
	if (rc)
		free(group);
	return rc;
}

/* With dev->fault_lock held */
static int page_request(struct core_dev *dev,
			const struct core_page_request *request)
{
	const struct core_attach *attach = find_attach(dev, request);
	int rc = -ENODEV;

	if (attach && attach->hwpt->fault) {
		if (!(request->flags & GROUP_FLAGS))
			return add_partial(dev, request);
		rc = unspoil(dev, request) ? -ENOMEM
					   : new_group(dev, attach, request);
	}
	return rc;
}

/* The bound device, with a user */
static struct core_dev *get_dev(struct core_device *device)
{
	struct core_dev *dev;

	reader_enter(); /* keeps its memory until we have a user */
	dev = __atomic_load_n(&device->core, __ATOMIC_ACQUIRE);
	if (dev && !core_try_use(&dev->obj))
		dev = NULL;
	/* Our user came first, and core_unbind() waits for it; or behind its
	 * own change of the number, and then we see what it wrote before. */
	if (dev && atomic_load(&dev->gone)) {
		core_put(&dev->obj);
		dev = NULL;
	}
	reader_exit();
	return dev;
}

int core_page_request(struct core_device *device,
		      const struct core_page_request *request)
{
	const struct core_iommu_ops *ops = device->iommu->ops;
	struct core_dev *dev = get_dev(device);
	int rc = -ENODEV;

	if (dev) {
		pthread_mutex_lock(&dev->fault_lock);
		rc = page_request(dev, request);
		pthread_mutex_unlock(&dev->fault_lock);
	}
	if (rc && (request->flags & GROUP_FLAGS)) {
		if (dev) {
			pthread_mutex_lock(&dev->fault_lock);
			take_partial(dev, request, NULL, 0);
			pthread_mutex_unlock(&dev->fault_lock);
		}
		if (ops->page_response)
			ops->page_response(device, request,
					   IOMMUFD_PAGE_RESP_INVALID);
	}
	if (dev)
		core_put(&dev->obj);
	return rc;
}

void core_page_requests_lost(struct core_device *device, uint32_t kind)
{
	struct core_dev *dev = get_dev(device);
	struct core_page_node **link;

	if (!dev)
		return;
	pthread_mutex_lock(&dev->fault_lock);
	link = &dev->partial;
	while (*link) {
		struct core_page_node *node = *link;

		if (node->request.kind != kind) {
			link = &node->next;
			continue;
		}
		*link = node->next;
		dev->partial_count--;
		free(node);
	}
	/* the last of a spoiled one may be among those that were lost */
	memset(dev->spoiled[kind % CORE_PAGE_KINDS], 0,
	       sizeof(dev->spoiled[0]));
	pthread_mutex_unlock(&dev->fault_lock);
	core_put(&dev->obj);
}

/* Takes what came through that attachment off the list of unread groups */
static struct core_fault_group *take_unread(struct core_fault *fault,
					    const struct core_fault_group *like)
{
	struct core_fault_group **link = &fault->head;
	struct core_fault_group *taken = NULL;

	pthread_mutex_lock(&fault->lock);
	fault->tail = NULL;
	while (*link) {
		struct core_fault_group *group = *link;

		if (group->dev == like->dev && group->key == like->key &&
		    group->hwpt == like->hwpt) {
			*link = group->next;
			group->next = taken;
			taken = group;
		} else {
			fault->tail = group;
			link = &group->next;
		}
	}
	signal_state(fault);
	pthread_mutex_unlock(&fault->lock);
	return taken;
}

void fault_auto_respond(struct core_dev *dev, uint64_t key,
			struct core_hwpt *hwpt)
{
	const struct core_fault_group like = {
		.dev = dev,
		.key = key,
		.hwpt = hwpt,
	};
	struct core_fault *fault = hwpt->fault;
	struct core_fault_group *group;
	uint32_t id = 0;

	if (!fault)
		return;
	pthread_mutex_lock(&fault->response_lock);
	group = take_unread(fault, &like);
	while (group) {
		struct core_fault_group *next = group->next;

		end_group(fault, group, IOMMUFD_PAGE_RESP_INVALID);
		group = next;
	}
	while ((group = ids_next(&fault->waiting, id, &id))) {
		if (group->dev != dev || group->key != key ||
		    group->hwpt != hwpt)
			continue;
		ids_remove(&fault->waiting, id);
		fault->answered++;
		end_group(fault, group, IOMMUFD_PAGE_RESP_INVALID);
	}
	pthread_mutex_unlock(&fault->response_lock);
}

static int write_group(unsigned char *to, const struct core_fault_group *group)
{
	for (uint32_t i = 0; i < group->count; i++) {
		const struct core_page_request *request = &group->requests[i];
		struct iommu_hwpt_pgfault record = {
			.flags = request->flags,
			.dev_id = group->dev->obj.id,
			.pasid = request->pasid,
			.grpid = request->grpid,
			.perm = request->perm,
			.addr = request->addr,
			.cookie = group->cookie,
		};
		uint64_t at = (uintptr_t)to + i * sizeof(record);

		if (core_copy_out(at, &record, sizeof(record)))
			return -EFAULT;
	}
	return 0;
}

/* With response_lock held: from now on it waits for an answer */
static int read_group(struct core_fault *fault, struct core_fault_group *group,
		      unsigned char *to, size_t room)
{
	uint32_t id;
	int rc;

	if (group->count * sizeof(struct iommu_hwpt_pgfault) > room)
		return -EINVAL;
	rc = ids_reserve(&fault->waiting, &id);
	if (rc)
		return rc == -ENOSPC ? -EBUSY : rc;
	group->cookie =
		(uint32_t)(field_prep(COOKIE_ANSWERED, fault->answered) |
			   field_prep(COOKIE_ID, id));
	rc = write_group(to, group);
	if (rc)
		ids_remove(&fault->waiting, id);
	else
		ids_publish(&fault->waiting, id, group);
	return rc;
}

ssize_t fault_read(struct core_fault *fault, unsigned char *buf, size_t len)
{
	struct core_fault_group *group;
	size_t done = 0;
	ssize_t rc = 0;

	if (len % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	pthread_mutex_lock(&fault->response_lock);
	while ((group = fetch(fault))) {
		rc = read_group(fault, group, buf + done, len - done);
		if (rc) {
			restore(fault, group);
			break;
		}
		done += group->count * sizeof(struct iommu_hwpt_pgfault);
	}
	pthread_mutex_lock(&fault->lock);
	signal_state(fault);
	pthread_mutex_unlock(&fault->lock);
	pthread_mutex_unlock(&fault->response_lock);
	return done ? (ssize_t)done : rc;
}

/* With response_lock held */
static int answer(struct core_fault *fault,
		  const struct iommu_hwpt_page_response *response)
{
	uint32_t id = (uint32_t)field_get(COOKIE_ID, response->cookie);
	struct core_fault_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	group = ids_get(&fault->waiting, id);
	if (!group || group->cookie != response->cookie)
		return -EINVAL;
	ids_remove(&fault->waiting, id);
	fault->answered++;
	end_group(fault, group, response->code);
	return 0;
}

ssize_t fault_write(struct core_fault *fault, const unsigned char *buf,
		    size_t len)
{
	struct iommu_hwpt_page_response response;
	size_t done = 0;
	ssize_t rc = 0;

	if (len % sizeof(response))
		return -ESPIPE;
	pthread_mutex_lock(&fault->response_lock);
	while (done < len && !rc) {
		rc = core_copy_in(&response, (uintptr_t)buf + done,
				  sizeof(response));
		if (!rc)
			rc = answer(fault, &response);
		if (!rc)
			done += sizeof(response);
	}
	pthread_mutex_unlock(&fault->response_lock);
	return done ? (ssize_t)done : rc;
}

/* Page requests still arrive, and must not signal somebody's fd. */
void fault_closed(struct core_fault *fault)
{
	pthread_mutex_lock(&fault->lock);
	fault->closed = true;
	pthread_mutex_unlock(&fault->lock);
}

/* Nothing is attached to a HWPT of it any more, so all has been answered. */
void fault_destroy(struct core_object *obj)
{
	struct core_fault *fault =
		container_of(obj, struct core_fault, base.obj);

	ids_fini(&fault->waiting);
	pthread_mutex_destroy(&fault->lock);
	pthread_mutex_destroy(&fault->response_lock);
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
	pthread_mutex_init(&fault->response_lock, NULL);
	pthread_mutex_init(&fault->lock, NULL);
	ids_init(&fault->waiting, GROUPS_MAX);
	rc = fd_new(&fault->base.fd);
	if (rc)
		goto abort;
	arg->out_fault_id = fault->base.obj.id;
	rc = core_give_fd(fault->base.fd, &arg->out_fault_fd);
	if (!rc)
		rc = core_reply(call, sizeof(*arg));
	if (rc)
		goto close_fd;
	fd_publish(&fault->base);
	core_object_publish(&fault->base.obj);
	return 0;

close_fd:
	close(fault->base.fd);
abort:
	fault_destroy(&fault->base.obj);
	core_object_abort(&fault->base.obj);
	return rc;
}
