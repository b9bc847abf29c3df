// SPDX-License-Identifier: MIT
/*
 * For a machine with an ioctl of its own: objects of its making, and a look at
 * core's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/checked.h"
#include "core/foreign.h"
#include "core/internal.h"
#include "mem/phys.h"

int core_private_new(struct core_ctx *ctx, void (*destroy)(void *data),
		     void *data, struct core_private_object **out)
{
	struct core_private_object *object;
	int rc = core_object_new(ctx, CORE_PRIVATE, &object);

	if (rc)
		return rc;
	object->destroy = destroy;
	object->data = data;
	*out = object;
	return 0;
}

uint32_t core_private_id(const struct core_private_object *object)
{
	return object->obj.id;
}

void core_private_publish(struct core_private_object *object)
{
	core_object_publish(&object->obj);
}

void core_private_abort(struct core_private_object *object)
{
	core_object_abort(&object->obj);
}

void private_destroy(struct core_object *obj)
{
	struct core_private_object *object =
		container_of(obj, struct core_private_object, obj);

	object->destroy(object->data);
}

int core_private_get(struct core_ctx *ctx, uint32_t id,
		     struct core_private_object **out, void **data)
{
	int rc = core_get(ctx, id, CORE_PRIVATE, out);

	if (!rc)
		*data = (*out)->data;
	return rc;
}

void core_private_put(struct core_private_object *object)
{
	core_put(&object->obj);
}

static bool is_kind(const struct core_object *obj, enum core_domain_kind kind)
{
	return (obj->type == CORE_HWPT_PAGING && kind != CORE_NESTED) ||
	       (obj->type == CORE_HWPT_NESTED && kind != CORE_PAGING);
}

int core_find_domain(struct core_ctx *ctx, uint32_t id,
		     enum core_domain_kind kind, struct core_domain **domain,
		     struct core_hold *hold)
{
	struct core_object *obj;
	int rc = core_get(ctx, id, CORE_ANY, &obj);

	if (rc)
		return rc;
	if (!is_kind(obj, kind)) {
		core_put(obj);
		return kind == CORE_EITHER ? -EINVAL : -ENOENT;
	}
	*domain = container_of(obj, struct core_hwpt, obj)->domain;
	hold->object = obj;
	return 0;
}

int core_find_device(struct core_ctx *ctx, uint32_t dev_id,
		     struct core_device **device, struct core_hold *hold)
{
	struct core_dev *dev;
	int rc = core_get(ctx, dev_id, CORE_DEVICE, &dev);

	if (rc)
		return rc;
	*device = dev->dev;
	hold->object = &dev->obj;
	return 0;
}

void core_unhold(struct core_hold *hold)
{
	core_put(hold->object);
	hold->object = NULL;
}

struct core_domain *core_attached(struct core_ctx *ctx, uint32_t dev_id,
				  uint32_t pasid)
{
	struct core_domain *domain = NULL;
	uint32_t key = pasid == CORE_NO_PASID ? 0 : pasid;
	struct itree_node *node;
	struct core_dev *dev;

	if (core_get(ctx, dev_id, CORE_DEVICE, &dev))
		return NULL;
	pthread_mutex_lock(&dev->lock);
	node = itree_first(&dev->attached, key, key);
	if (node)
		domain = container_of(node, struct core_attach, node)
				 ->hwpt->domain;
	pthread_mutex_unlock(&dev->lock);
	core_put(&dev->obj);
	return domain;
}

int core_reserve_iovas(struct core_ctx *ctx, uint32_t ioas_id, uint64_t first,
		       uint64_t last)
{
	struct core_hole *hole;
	struct core_ioas *ioas;
	int rc = core_get(ctx, ioas_id, CORE_IOAS, &ioas);

	if (rc)
		return rc;
	hole = alloc_zero(sizeof(*hole));
	if (!hole) {
		rc = -ENOMEM;
		goto put_ioas;
	}
	hole->node.first = first;
	hole->node.last = last;
	pthread_mutex_lock(&ioas->lock);
	rc = ioas_reserve(ioas, &hole->node);
	if (!rc) {
		hole->next = ioas->kept;
		ioas->kept = hole;
	}
	pthread_mutex_unlock(&ioas->lock);
	if (rc)
		free(hole);
put_ioas:
	core_put(&ioas->obj);
	return rc;
}

/* Of the process that makes the call */
static const struct client_maps *callers_maps(struct core_ctx *ctx)
{
	const struct core_client *client = core_foreign();

	return client && client->process ? client_process_maps(client->process)
					 : ctx->env.maps;
}

/* @theirs: @host is an address in the calling process, else in this one */
static int check_same(struct core_ctx *ctx, const void *host, bool theirs,
		      uint64_t uptr, uint64_t length)
{
	const struct client_maps *maps = callers_maps(ctx);

	return client_maps_same(theirs ? maps : ctx->env.maps, host, maps,
				(const void *)(uintptr_t)uptr, length);
}

int core_check_host(struct core_ctx *ctx, const void *host, uint64_t uptr,
		    uint64_t length)
{
	bool theirs = (uintptr_t)host & 1;

	return check_same(ctx, (const char *)host - theirs, theirs, uptr,
			  length);
}

/* Whose memory a physical range is; false for a device's registers */
static bool span_host(const struct phys_span *span, const char **host,
		      bool *theirs)
{
	const struct core_client *client = core_foreign();
	const struct core_pages *pages = pages_of_io(span->io);

	*host = span->host;
	*theirs = false;
	if (!pages || !client || pages->memory != client->process)
		return span->host;
	*host = pages->host;
	*theirs = true;
	return true;
}

/* Follows PAs across adjacent ranges */
int core_check_pa(struct core_ctx *ctx, uint64_t pa, uint64_t uptr,
		  uint64_t length)
{
	while (length) {
		struct phys_span span;
		uint64_t n = length;
		const char *host;
		bool theirs;
		bool found;
		int rc;

		reader_enter();
		found = phys_find(ctx->env.phys, pa, &span);
		reader_exit();
		if (!found || !span_host(&span, &host, &theirs))
			return -EINVAL;
		if (n > span.last - pa + 1)
			n = span.last - pa + 1;
		rc = check_same(ctx, host + (pa - span.first), theirs, uptr, n);
		if (rc)
			return rc == -EBADE ? -EINVAL : rc;
		pa += n;
		uptr += n;
		length -= n;
	}
	return 0;
}

/* A run of the client's pages whose pins are counted */
struct count {
	const struct core_env *env;
	const struct client_maps *maps;
	uint64_t epoch; /* pages are shared by areas, but counted once */
	uint64_t uptr;
	uint64_t length;
	const struct client_process *memory;
	struct client_where where; /* what is at uptr, all of the run */
	uint32_t *counts;
};

/* The byte of @pages that is the client's at c->uptr; it may lie outside */
static bool find_offset(const struct count *c, const struct core_pages *pages,
			uint64_t *offset)
{
	struct client_where where;

	if (!pages->is_file && pages->memory == c->memory) {
		*offset = c->uptr - (uintptr_t)pages->host;
		if (*offset < pages->length ||
		    *offset + c->length - 1 < c->length - 1)
			return true;
	}
	if (!c->where.shared ||
	    client_maps_where(pages_maps(c->env, pages), pages->host, &where) ||
	    !where.shared || where.inode != c->where.inode ||
	    where.dev != c->where.dev)
		return false;
	*offset = c->where.offset - where.offset;
	return true;
}

static void count_pages(const struct count *c, struct core_pages *pages)
{
	uint64_t offset;
	bool counted;

	pthread_mutex_lock(&pages->lock);
	counted = pages->epoch == c->epoch;
	pages->epoch = c->epoch;
	pthread_mutex_unlock(&pages->lock);
	if (counted || !find_offset(c, pages, &offset))
		return;
	for (uint64_t at = 0; at < c->length; at += CORE_PAGE_SIZE) {
		if (offset + at < pages->length &&
		    pages_is_pinned(pages, (offset + at) / CORE_PAGE_SIZE))
			c->counts[at / CORE_PAGE_SIZE]++;
	}
}

static void count_ioas(const struct count *c, struct core_ioas *ioas)
{
	struct itree_node *node;

	pthread_mutex_lock(&ioas->lock);
	for (node = itree_from(&ioas->areas, 0); node; node = itree_succ(node))
		count_pages(c,
			    container_of(node, struct core_area, node)->pages);
	pthread_mutex_unlock(&ioas->lock);
}

/* What no area knows any more: the pins themselves may be gone, too. */
static void count_leaked(const struct count *c, const struct core_pages *pages)
{
	for (; pages; pages = pages->next) {
		uint64_t offset;

		if (!find_offset(c, pages, &offset))
			continue;
		for (uint64_t at = 0; at < c->length; at += CORE_PAGE_SIZE)
			c->counts[at / CORE_PAGE_SIZE] +=
				offset + at < pages->length;
	}
}

/* Whatever is pinned in a context is mapped in some IOAS of it. */
static void count_context(struct core_ctx *ctx, struct count *c)
{
	struct core_object *obj;
	uint32_t id = 0;

	pthread_mutex_lock(&ctx->lock);
	c->epoch = ++ctx->epoch;
	count_leaked(c, ctx->leaked);
	pthread_mutex_unlock(&ctx->lock);
	do {
		struct core_ioas *ioas;

		pthread_mutex_lock(&ctx->lock);
		obj = ids_next(&ctx->ids, id, &id);
		pthread_mutex_unlock(&ctx->lock);
		if (!obj || core_get(ctx, id, CORE_IOAS, &ioas))
			continue;
		count_ioas(c, ioas);
		core_put(&ioas->obj);
	} while (obj);
}

static void count_run(struct core_ctx *ctx, struct count *c)
{
	struct core_common *common = ctx->env.common;

	if (!common) {
		count_context(ctx, c);
		return;
	}
	pthread_mutex_lock(&common->lock);
	count_leaked(c, common->leaked);
	for (ctx = common->contexts; ctx; ctx = ctx->next)
		count_context(ctx, c);
	pthread_mutex_unlock(&common->lock);
}

int core_count_pins(struct core_ctx *ctx, uint64_t uptr, uint64_t length,
		    uint32_t *counts)
{
	const struct core_client *client = core_foreign();
	struct count c = {
		.env = &ctx->env,
		.maps = callers_maps(ctx),
		.memory = client ? client->process : NULL,
		.counts = counts,
	};
	uint64_t last;
	int rc = 0;

	if (uptr % CORE_PAGE_SIZE || length % CORE_PAGE_SIZE)
		return -EINVAL;
	if (length && range_last(uptr, length, &last))
		return -EOVERFLOW;
	memset(counts, 0, length / CORE_PAGE_SIZE * sizeof(*counts));
	for (; length && !rc; length -= c.length) {
		c.uptr = uptr;
		rc = client_maps_where(c.maps, (void *)(uintptr_t)uptr,
				       &c.where);
		if (rc)
			break;
		c.length = length < c.where.length ? length : c.where.length;
		count_run(ctx, &c);
		c.counts += c.length / CORE_PAGE_SIZE;
		uptr += c.length;
	}
	return rc;
}
