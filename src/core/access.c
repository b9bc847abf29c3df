// SPDX-License-Identifier: MIT
/*
 * Access objects: pinning and copying below IOVAs without a device. An access
 * is listed in the IOAS it is attached to, while it moves in two; unmapping
 * there asks it to unpin.
 */
#include <errno.h>
#include <time.h>

#include "base/bits.h"
#include "base/checked.h"
#include "core/internal.h"

/* With ioas->lock held; by id, so that a walk can let go of the lock */
static void list_add(struct core_ioas *ioas, struct core_access_link *new)
{
	struct core_access_link **link = &ioas->accesses;

	while (*link && (*link)->access->obj.id < new->access->obj.id)
		link = &(*link)->next;
	new->next = *link;
	*link = new;
}

static void list_remove(struct core_ioas *ioas, struct core_access_link *old)
{
	struct core_access_link **link = &ioas->accesses;

	while (*link != old)
		link = &(*link)->next;
	*link = old->next;
}

/* With a user: the first access above @id that is not on its way out */
static struct core_access *next_access(struct core_ioas *ioas, uint32_t id)
{
	struct core_access_link *link;
	struct core_access *got = NULL;

	pthread_mutex_lock(&ioas->lock);
	for (link = ioas->accesses; link && !got; link = link->next) {
		struct core_access *access = link->access;

		if (access->obj.id <= id || !access->ops)
			continue;
		if (core_get(access->obj.ctx, access->obj.id, CORE_ACCESS,
			     &got))
			got = NULL;
	}
	pthread_mutex_unlock(&ioas->lock);
	return got;
}

void access_notify_unmap(struct core_ioas *ioas, uint64_t first, uint64_t last)
{
	struct core_access *access = next_access(ioas, 0);

	while (access) {
		uint32_t id = access->obj.id;

		access->ops->unmap(access->data, first, last - first + 1);
		core_put(&access->obj);
		access = next_access(ioas, id);
	}
}

static int enter(struct core_ioas *ioas, struct core_access_link *link)
{
	int rc;

	pthread_mutex_lock(&ioas->lock);
	list_add(ioas, link);
	rc = ioas_update_alignment(ioas);
	if (rc)
		list_remove(ioas, link);
	pthread_mutex_unlock(&ioas->lock);
	if (!rc)
		core_use(&ioas->obj);
	return rc;
}

static void leave(struct core_ioas *ioas, struct core_access_link *link)
{
	pthread_mutex_lock(&ioas->lock);
	list_remove(ioas, link);
	ioas_update_alignment(ioas); /* less strict: cannot fail */
	pthread_mutex_unlock(&ioas->lock);
	core_put(&ioas->obj);
}

/* With access->lock held, which it lets go while the access unpins */
static int change_ioas(struct core_access *access, struct core_ioas *ioas)
{
	struct core_access_link *old = &access->link[access->current];
	struct core_access_link *new = &access->link[!access->current];
	struct core_ioas *was = access->ioas;
	int rc;

	if (was != access->ioas_unpin)
		return -EBUSY; /* another thread is at it */
	if (was == ioas)
		return 0;
	access->ioas = NULL; /* nothing new is pinned */
	if (ioas) {
		rc = enter(ioas, new);
		if (rc) {
			access->ioas = was;
			return rc;
		}
	}
	if (was) {
		if (access->ops && access->ops->unmap) {
			pthread_mutex_unlock(&access->lock);
			access->ops->unmap(access->data, 0, UINT64_MAX);
			pthread_mutex_lock(&access->lock);
		}
		leave(was, old);
	}
	access->current = !access->current;
	access->ioas = ioas;
	access->ioas_unpin = ioas;
	return 0;
}

static int change_ioas_id(struct core_access *access, uint32_t id)
{
	struct core_ioas *ioas;
	int rc = core_get(access->obj.ctx, id, CORE_IOAS, &ioas);

	if (rc)
		return rc;
	rc = change_ioas(access, ioas);
	core_put(&ioas->obj);
	return rc;
}

int core_access_attach(struct core_access *access, uint32_t ioas_id)
{
	int rc = -EINVAL;

	pthread_mutex_lock(&access->lock);
	if (!access->ioas)
		rc = change_ioas_id(access, ioas_id);
	pthread_mutex_unlock(&access->lock);
	return rc;
}

int access_attach_ioas(struct core_access *access, struct core_ioas *ioas)
{
	int rc;

	pthread_mutex_lock(&access->lock);
	rc = change_ioas(access, ioas);
	pthread_mutex_unlock(&access->lock);
	return rc;
}

int core_access_replace(struct core_access *access, uint32_t ioas_id)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&access->lock);
	if (access->ioas)
		rc = change_ioas_id(access, ioas_id);
	pthread_mutex_unlock(&access->lock);
	return rc;
}

void core_access_detach(struct core_access *access)
{
	pthread_mutex_lock(&access->lock);
	if (access->ioas)
		change_ioas(access, NULL);
	pthread_mutex_unlock(&access->lock);
}

int access_new(struct core_ctx *ctx, const struct core_access_ops *ops,
	       void *data, struct core_access **out)
{
	struct core_access *access;
	int rc = core_object_new(ctx, CORE_ACCESS, &access);

	if (rc)
		return rc;
	pthread_mutex_init(&access->lock, NULL);
	access->ops = ops;
	access->data = data;
	access->alignment = !ops || ops->needs_pin_pages ? CORE_PAGE_SIZE : 1;
	access->link[0].access = access;
	access->link[1].access = access;
	core_use(&access->obj); /* until core_access_destroy() */
	core_object_publish(&access->obj);
	*out = access;
	return 0;
}

int core_access_create(struct core_ctx *ctx, const struct core_access_ops *ops,
		       void *data, uint32_t *id, struct core_access **out)
{
	int rc = access_new(ctx, ops, data, out);

	if (!rc)
		*id = (*out)->obj.id;
	return rc;
}

void core_access_destroy(struct core_access *access)
{
	static const struct timespec nap = { .tv_nsec = 20000 };
	struct core_ctx *ctx = access->obj.ctx;
	uint32_t id = access->obj.id;

	pthread_mutex_lock(&ctx->lock);
	ids_unpublish(&ctx->ids, id);
	pthread_mutex_unlock(&ctx->lock);
	/* The table's user and the creator's; unmap calls end. */
	while (atomic_load_explicit(&access->obj.users, memory_order_acquire) >
	       2)
		nanosleep(&nap, NULL);
	core_access_detach(access);
	pthread_mutex_lock(&ctx->lock);
	ids_remove(&ctx->ids, id);
	ctx->objects--;
	pthread_mutex_unlock(&ctx->lock);
	pthread_mutex_destroy(&access->lock);
	core_object_free(&access->obj);
}

/* The creator is a user: only core_access_destroy() ends an access. */
void access_destroy(struct core_object *obj)
{
	(void)obj;
}

/* A range of IOVAs, area by area */
struct walk {
	struct core_ioas *ioas;
	uint64_t at;
	uint64_t last;
	uint64_t end; /* the last that @area has of the range */
	struct core_area *area;
};

static uint64_t walk_offset(const struct walk *walk, uint64_t iova)
{
	return walk->area->offset + (iova - walk->area->node.first);
}

/* With ioas->lock held; -ENOENT at a hole */
static int walk_enter(struct walk *walk)
{
	struct itree_node *node =
		itree_first(&walk->ioas->areas, walk->at, walk->at);

	if (!node)
		return -ENOENT;
	walk->area = container_of(node, struct core_area, node);
	walk->end = node->last < walk->last ? node->last : walk->last;
	return 0;
}

static bool walk_next(struct walk *walk)
{
	if (walk->end == walk->last)
		return false;
	walk->at = walk->end + 1;
	return true;
}

static int check_prot(const struct core_area *area, uint32_t flags)
{
	uint32_t need =
		flags & CORE_ACCESS_WRITE ? CORE_PROT_WRITE : CORE_PROT_READ;

	if (!(area->prot & need))
		return -EPERM;
	if ((flags & CORE_ACCESS_WRITE) && !area->pages->writable)
		return -EPERM;
	return area->pages->dmabuf ? -EINVAL : 0;
}

/* Pages, not parts of them: also where one area meets the next */
static bool is_aligned(const struct walk *walk)
{
	if (walk_offset(walk, walk->at) % CORE_PAGE_SIZE)
		return false;
	return walk->end == walk->last ||
	       walk_offset(walk, walk->end) % CORE_PAGE_SIZE ==
		       CORE_PAGE_SIZE - 1;
}

static int pin_area(struct core_access *access, const struct walk *walk,
		    void ***pages, uint32_t flags)
{
	struct core_area *area = walk->area;
	uint64_t offset = walk_offset(walk, walk->at);
	uint64_t length = walk->end - walk->at + 1;
	int rc;

	if (area->prevent_access || !is_aligned(walk))
		return -EINVAL;
	rc = check_prot(area, flags);
	if (rc)
		return rc;
	/* Hardware that reads by itself needs a place. */
	rc = pages_pin_access(access->obj.ctx, area->pages, offset, length,
			      access->ops ? NULL : &walk->at);
	if (rc)
		return rc;
	area->accesses++;
	if (!access->ops)
		area->locks++;
	if (!*pages)
		return 0;
	/* Another process's is odd: not to be used, but compared. */
	for (uint64_t at = 0; at < length; at += CORE_PAGE_SIZE)
		*(*pages)++ = pages_at(area->pages,
				       offset + at + !!area->pages->memory);
	return 0;
}

/* With ioas->lock held, all of [@first, @last] pinned just so */
static void unpin_range(struct core_access *access, struct core_ioas *ioas,
			uint64_t first, uint64_t last,
			struct core_garbage *garbage)
{
	struct walk walk = { .ioas = ioas, .at = first, .last = last };

	do {
		if (walk_enter(&walk))
			return;
		if (!walk.area->accesses)
			continue;
		pages_unpin_access(walk.area->pages,
				   walk_offset(&walk, walk.at),
				   walk.end - walk.at + 1, garbage);
		walk.area->accesses--;
		if (!access->ops)
			walk.area->locks--;
	} while (walk_next(&walk));
}

static int pin_range(struct core_access *access, struct core_ioas *ioas,
		     uint64_t first, uint64_t last, void **pages,
		     uint32_t flags, struct core_garbage *garbage)
{
	struct walk walk = { .ioas = ioas, .at = first, .last = last };
	int rc;

	do {
		rc = walk_enter(&walk);
		if (!rc)
			rc = pin_area(access, &walk, &pages, flags);
		if (rc) {
			if (walk.at != first)
				unpin_range(access, ioas, first, walk.at - 1,
					    garbage);
			return rc;
		}
	} while (walk_next(&walk));
	return 0;
}

int core_access_pin_pages(struct core_access *access, uint64_t iova,
			  uint64_t length, void **pages, uint32_t flags)
{
	struct core_garbage garbage = { 0 };
	struct core_ioas *ioas;
	uint64_t last;
	int rc;

	if (access->ops &&
	    (!access->ops->needs_pin_pages || !access->ops->unmap))
		return -EINVAL;
	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	pthread_mutex_lock(&access->lock);
	ioas = access->ioas;
	if (ioas) {
		pthread_mutex_lock(&ioas->lock);
		rc = pin_range(access, ioas, iova, last, pages, flags,
			       &garbage);
		pthread_mutex_unlock(&ioas->lock);
	} else {
		rc = -ENOENT;
	}
	pthread_mutex_unlock(&access->lock);
	garbage_free(&access->obj.ctx->env, &garbage);
	return rc;
}

void core_access_unpin_pages(struct core_access *access, uint64_t iova,
			     uint64_t length)
{
	struct core_garbage garbage = { 0 };
	uint64_t last;

	if (range_last(iova, length, &last))
		return;
	pthread_mutex_lock(&access->lock);
	if (access->ioas_unpin) {
		pthread_mutex_lock(&access->ioas_unpin->lock);
		unpin_range(access, access->ioas_unpin, iova, last, &garbage);
		pthread_mutex_unlock(&access->ioas_unpin->lock);
	}
	pthread_mutex_unlock(&access->lock);
	garbage_free(&access->obj.ctx->env, &garbage);
}

uint64_t core_access_nth_iova(struct core_access *access, uint64_t nth)
{
	uint64_t iova = 0;

	pthread_mutex_lock(&access->lock);
	if (access->ioas)
		iova = ioas_nth_iova(access->ioas, nth);
	pthread_mutex_unlock(&access->lock);
	return iova;
}

int access_pa(struct core_access *access, uint64_t iova, uint64_t length,
	      uint64_t *pa)
{
	struct walk walk = {
		.ioas = access->ioas,
		.at = iova,
		.last = iova + length - 1,
	};
	uint64_t start = 0;
	int rc;

	pthread_mutex_lock(&walk.ioas->lock);
	do {
		uint64_t here;

		rc = walk_enter(&walk);
		if (rc)
			break;
		here = pages_pa(walk.area->pages) + walk_offset(&walk, walk.at);
		if (walk.at == iova)
			start = here;
		else if (here != start + (walk.at - iova))
			rc = -EFAULT;
	} while (!rc && walk_next(&walk));
	pthread_mutex_unlock(&walk.ioas->lock);
	if (!rc)
		*pa = start;
	return rc;
}

static int copy_area(const struct walk *walk, char *data, uint32_t flags)
{
	uint64_t length = walk->end - walk->at + 1;
	uint64_t offset = walk_offset(walk, walk->at);
	int rc;

	if (walk->area->prevent_access)
		return -EINVAL;
	rc = check_prot(walk->area, flags);
	if (rc)
		return rc;
	return flags & CORE_ACCESS_WRITE
		       ? pages_write(walk->area->pages, offset, data, length)
		       : pages_read(walk->area->pages, offset, data, length);
}

static int copy_range(struct walk *walk, char *data, uint32_t flags)
{
	uint64_t first = walk->at;
	int rc;

	do {
		rc = walk_enter(walk);
		if (!rc)
			rc = copy_area(walk, data + (walk->at - first), flags);
	} while (!rc && walk_next(walk));
	return rc;
}

int core_access_rw(struct core_access *access, uint64_t iova, void *data,
		   size_t length, uint32_t flags)
{
	struct walk walk = { .at = iova };
	int rc = range_last(iova, length, &walk.last);

	if (rc)
		return rc;
	pthread_mutex_lock(&access->lock);
	walk.ioas = access->ioas;
	if (walk.ioas) {
		pthread_mutex_lock(&walk.ioas->lock);
		rc = copy_range(&walk, data, flags);
		pthread_mutex_unlock(&walk.ioas->lock);
	} else {
		rc = -ENOENT;
	}
	pthread_mutex_unlock(&access->lock);
	return rc;
}
