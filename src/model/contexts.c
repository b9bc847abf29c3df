// SPDX-License-Identifier: MIT
/*
 * The contexts of a port, by PASID, and what they are made of. Who makes one
 * reads memory without a lock; it is kept only if no invalidation has come
 * meanwhile (port.config_seq).
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/engine.h"

/* Where the context of @pasid is published; NULL if there is no memory. */
static struct context **place_of(struct engine_port *port, uint32_t pasid)
{
	struct context ***top = port->pasids;
	struct context **leaf;

	if (pasid == MODEL_NO_PASID)
		return &port->ctx;
	if (pasid >= CONTEXT_LEAF * CONTEXT_LEAF)
		return NULL;
	if (!top) {
		top = alloc_array(CONTEXT_LEAF, sizeof(*top));
		if (!top)
			return NULL;
		reader_publish(&port->pasids, top);
	}
	leaf = top[pasid / CONTEXT_LEAF];
	if (!leaf) {
		leaf = alloc_array(CONTEXT_LEAF, sizeof(*leaf));
		if (!leaf)
			return NULL;
		reader_publish(&top[pasid / CONTEXT_LEAF], leaf);
	}
	return &leaf[pasid % CONTEXT_LEAF];
}

static void insert(struct engine_port *port, struct context **place,
		   struct context *ctx)
{
	ctx->next = port->contexts;
	ctx->link = &port->contexts;
	if (ctx->next)
		ctx->next->link = &ctx->next;
	port->contexts = ctx;
	reader_publish(place, ctx);
}

void context_purge_one(struct context_purge *purge, struct context *ctx)
{
	*ctx->link = ctx->next;
	if (ctx->next)
		ctx->next->link = ctx->link;
	reader_publish(place_of(purge->port, ctx->pasid), NULL);
	ctx->next = purge->gone;
	purge->gone = ctx;
}

static void free_context(struct grace_head *head)
{
	free(container_of(head, struct context, free));
}

static void free_part(struct grace_head *head)
{
	free(container_of(head, struct context_part, free));
}

/* Without the lock: freeing may run callbacks of others. */
static void defer(struct context_purge *purge)
{
	struct grace *grace = purge->port->engine->host.grace;

	if (purge->part)
		grace_defer(grace, &purge->part->free, free_part);
	while (purge->gone) {
		struct context *ctx = purge->gone;

		purge->gone = ctx->next;
		grace_defer(grace, &ctx->free, free_context);
	}
}

struct context *context_copy(const struct context *ctx, size_t size)
{
	struct context *copy = alloc_zero(size);

	if (!copy)
		return NULL;
	memcpy(copy, ctx, size);
	copy->cached = true;
	return copy;
}

void context_publish(struct engine_port *port, uint64_t seq,
		     const struct context *old, struct context *ctx)
{
	struct context_purge purge = { .port = port };
	struct context **place;
	bool kept;

	spin_take(&port->lock);
	place = place_of(port, ctx->pasid);
	kept = place && *place == old && port->config_seq == seq;
	if (kept) {
		if (old)
			context_purge_one(&purge, *place);
		insert(port, place, ctx);
	}
	spin_drop(&port->lock);
	defer(&purge);
	if (!kept)
		free(ctx);
}

void context_part_keep(const struct visit *v, const struct context_when *when,
		       const struct context_part *part, size_t size)
{
	struct engine_port *port = v->port;
	struct context_part *copy;
	bool kept;

	if (v->quiet)
		return;
	copy = alloc_zero(size);
	if (!copy)
		return;
	memcpy(copy, part, size);
	copy->serial = when->serial;
	spin_take(&port->lock);
	kept = port->config_seq == when->seq && !port->part;
	if (kept)
		reader_publish(&port->part, copy);
	spin_drop(&port->lock);
	if (!kept)
		free(copy);
}

void context_purge_begin(struct context_purge *purge, struct engine_port *port)
{
	*purge = (struct context_purge){ .port = port };
	spin_take(&port->lock);
}

void context_purge_part(struct context_purge *purge)
{
	purge->part = purge->port->part;
	reader_publish(&purge->port->part, NULL);
}

void context_purge_each(struct context_purge *purge,
			bool (*named)(struct context *ctx, const void *arg),
			const void *arg)
{
	struct context *ctx, *next;

	for (ctx = purge->port->contexts; ctx; ctx = next) {
		next = ctx->next;
		if (!named || named(ctx, arg))
			context_purge_one(purge, ctx);
	}
}

/*
 * Who sees the new number does not find what was dropped any more, and cannot
 * make a context of it.
 */
void context_purge_end(struct context_purge *purge)
{
	struct engine_port *port = purge->port;

	__atomic_store_n(&port->config_seq, port->config_seq + 1,
			 __ATOMIC_RELEASE);
	spin_drop(&port->lock);
	defer(purge);
}

void contexts_free_all(struct engine_port *port)
{
	struct context *ctx, *next;

	for (ctx = port->contexts; ctx; ctx = next) {
		next = ctx->next;
		free(ctx);
	}
	for (unsigned int n = 0; port->pasids && n < CONTEXT_LEAF; n++)
		free(port->pasids[n]);
	free(port->pasids);
	free(port->part);
}
