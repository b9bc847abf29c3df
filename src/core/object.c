// SPDX-License-Identifier: MIT
/*
 * Contexts, and the life of an object: its id is reserved first and published
 * last; users are counted; destroying needs to be the last user.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "core/internal.h"
#include "mem/guard.h"

static const struct {
	size_t size;
	void (*destroy)(struct core_object *obj);
} types[CORE_TYPES] = {
	[CORE_DEVICE] = { sizeof(struct core_dev), dev_destroy },
	[CORE_IOAS] = { sizeof(struct core_ioas), ioas_destroy },
	[CORE_HWPT_PAGING] = { sizeof(struct core_hwpt), hwpt_paging_destroy },
	[CORE_HWPT_NESTED] = { sizeof(struct core_hwpt), hwpt_nested_destroy },
	[CORE_VIOMMU] = { sizeof(struct core_viommu_object), viommu_destroy },
	[CORE_VDEVICE] = { sizeof(struct core_vdev), vdevice_destroy },
	[CORE_VEVENTQ] = { sizeof(struct core_eventq), veventq_destroy },
	[CORE_FAULT] = { sizeof(struct core_fault), fault_destroy },
	[CORE_HW_QUEUE] = { sizeof(struct core_hwq), hw_queue_destroy },
	[CORE_ACCESS] = { sizeof(struct core_access), access_destroy },
	[CORE_PRIVATE] = { sizeof(struct core_private_object),
			   private_destroy },
};

int core_object_new(struct core_ctx *ctx, enum core_type type, void *objp)
{
	struct core_object *obj = alloc_zero(types[type].size);
	int rc;

	if (!obj)
		return -ENOMEM;
	obj->ctx = ctx;
	obj->type = type;
	atomic_init(&obj->users, 1);

	pthread_mutex_lock(&ctx->lock);
	rc = ids_reserve(&ctx->ids, &obj->id);
	if (!rc)
		ctx->objects++;
	pthread_mutex_unlock(&ctx->lock);
	if (rc) {
		free(obj);
		return rc == -ENOSPC ? -EBUSY : rc; /* as Linux's xarray */
	}
	*(struct core_object **)objp = obj;
	return 0;
}

void core_object_publish(struct core_object *obj)
{
	struct core_ctx *ctx = obj->ctx;

	pthread_mutex_lock(&ctx->lock);
	ids_publish(&ctx->ids, obj->id, obj);
	pthread_mutex_unlock(&ctx->lock);
}

/* Nobody has seen it: no grace period is needed. */
void core_object_abort(struct core_object *obj)
{
	struct core_ctx *ctx = obj->ctx;

	pthread_mutex_lock(&ctx->lock);
	ids_remove(&ctx->ids, obj->id);
	ctx->objects--;
	pthread_mutex_unlock(&ctx->lock);
	free(obj);
}

static void free_object(struct grace_head *head)
{
	free(container_of(head, struct core_object, grace));
}

void core_object_free(struct core_object *obj)
{
	grace_defer(obj->ctx->env.grace, &obj->grace, free_object);
}

int core_get(struct core_ctx *ctx, uint32_t id, enum core_type type, void *objp)
{
	struct core_object *obj;
	bool got;

	reader_enter(); /* keeps obj's memory until we have a reference */
	obj = ids_get(&ctx->ids, id);
	got = obj && (type == CORE_ANY || obj->type == type) &&
	      core_try_use(obj);
	reader_exit();
	if (!got)
		return -ENOENT;
	*(struct core_object **)objp = obj;
	return 0;
}

static bool last_user(struct core_object *obj)
{
	uint32_t one = 1;

	return atomic_compare_exchange_strong(&obj->users, &one, 0);
}

/* With ctx->lock held, once the table's reference has been taken away */
static void remove_id(struct core_object *obj)
{
	struct core_ctx *ctx = obj->ctx;

	ids_remove(&ctx->ids, obj->id);
	ctx->objects--;
	if (ctx->vfio_ioas && &ctx->vfio_ioas->obj == obj)
		ctx->vfio_ioas = NULL;
}

static void end_object(struct core_object *obj)
{
	types[obj->type].destroy(obj);
	core_object_free(obj);
}

int core_destroy_id(struct core_ctx *ctx, uint32_t id)
{
	struct core_object *obj;
	int rc = 0;

	pthread_mutex_lock(&ctx->lock);
	obj = ids_get(&ctx->ids, id);
	if (!obj)
		rc = -ENOENT;
	else if (!last_user(obj))
		rc = -EBUSY;
	else
		remove_id(obj);
	pthread_mutex_unlock(&ctx->lock);
	if (!rc)
		end_object(obj);
	return rc;
}

void core_put_and_destroy(struct core_object *obj)
{
	struct core_ctx *ctx = obj->ctx;
	bool last;

	/* The lock keeps others from destroying it as soon as we let go. */
	pthread_mutex_lock(&ctx->lock);
	core_put(obj);
	last = ids_get(&ctx->ids, obj->id) == obj && last_user(obj);
	if (last)
		remove_id(obj);
	pthread_mutex_unlock(&ctx->lock);
	if (last)
		end_object(obj);
}

bool core_object_claim(struct core_object *obj)
{
	struct core_ctx *ctx = obj->ctx;
	bool claimed;

	pthread_mutex_lock(&ctx->lock);
	claimed = last_user(obj);
	if (claimed) {
		ids_unpublish(&ctx->ids, obj->id);
		ctx->tombstones++;
	}
	pthread_mutex_unlock(&ctx->lock);
	return claimed;
}

/* Others count what is pinned here, from now on or no longer. */
static void join(struct core_ctx *ctx)
{
	struct core_common *common = ctx->env.common;

	if (!common)
		return;
	pthread_mutex_lock(&common->lock);
	ctx->next = common->contexts;
	common->contexts = ctx;
	pthread_mutex_unlock(&common->lock);
}

static void leave(struct core_ctx *ctx)
{
	struct core_common *common = ctx->env.common;
	struct core_ctx **at;

	if (!common)
		return;
	pthread_mutex_lock(&common->lock);
	for (at = &common->contexts; *at != ctx; at = &(*at)->next)
		;
	*at = ctx->next;
	pthread_mutex_unlock(&common->lock);
}

int core_open(const struct core_env *env, struct core_ctx **out)
{
	struct core_ctx *ctx;
	int rc = guard_init();

	if (rc)
		return rc;
	ctx = alloc_aligned(_Alignof(struct core_ctx), sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->env = *env;
	pthread_mutex_init(&ctx->lock, NULL);
	ids_init(&ctx->ids, 0);
	join(ctx);
	*out = ctx;
	return 0;
}

/* One pass over all ids; true if it destroyed something. */
static bool destroy_leaves(struct core_ctx *ctx)
{
	struct core_object *obj;
	bool some = false;
	uint32_t id = 0;

	while ((obj = ids_next(&ctx->ids, id, &id))) {
		if (obj->type == CORE_DEVICE) {
			core_unbind(ctx, id);
			some = true;
		} else if (!core_destroy_id(ctx, id)) {
			some = true;
		}
	}
	return some;
}

/* They may hold devices and accesses, which they give up themselves. */
static void destroy_private(struct core_ctx *ctx)
{
	struct core_object *obj;
	uint32_t id = 0;

	while ((obj = ids_next(&ctx->ids, id, &id))) {
		if (obj->type == CORE_PRIVATE)
			core_destroy_id(ctx, id);
	}
}

void core_close(struct core_ctx *ctx)
{
	static const struct timespec nap = { .tv_nsec = 50000 };

	if (!ctx)
		return;
	/* Pairs with the release at the end of each call. None begins now. */
	for (int i = 0; i < CORE_CALL_SLOTS; i++)
		while (atomic_load_explicit(&ctx->calls[i].count,
					    memory_order_acquire))
			nanosleep(&nap, NULL);

	leave(ctx);
	core_fd_close_all(ctx);
	mmap_put_all(ctx);
	destroy_private(ctx);
	/* Users form a graph without cycles: each pass frees its leaves. */
	while (destroy_leaves(ctx))
		;
	dmabuf_forget_all(ctx);
	pages_hand_over_leaked(ctx);
	ids_fini(&ctx->ids);
	pthread_mutex_destroy(&ctx->lock);
	free(ctx);
}

size_t core_objects(struct core_ctx *ctx)
{
	size_t n;

	pthread_mutex_lock(&ctx->lock);
	n = ctx->objects - ctx->tombstones;
	pthread_mutex_unlock(&ctx->lock);
	return n;
}
