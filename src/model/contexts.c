// SPDX-License-Identifier: MIT
/*
 * The contexts of a port, by PASID. What made one reads memory without a lock;
 * it is kept only if no invalidation has come meanwhile (port.config_seq).
 */
#include <stdlib.h>

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

bool context_publish(struct engine_port *port, uint64_t seq,
		     struct context *ctx)
{
	struct context **place;
	bool kept = false;

	spin_take(&port->lock);
	place = place_of(port, ctx->pasid);
	if (place && !*place && port->config_seq == seq) {
		insert(port, place, ctx);
		kept = true;
	}
	spin_drop(&port->lock);
	return kept;
}

bool context_part_publish(struct engine_port *port, uint64_t seq, void *place,
			  void *entry)
{
	void **slot = place;
	bool kept;

	spin_take(&port->lock);
	kept = port->config_seq == seq && !*slot;
	if (kept)
		reader_publish(slot, entry);
	spin_drop(&port->lock);
	return kept;
}

bool context_replace(struct engine_port *port, uint64_t seq,
		     struct context *old, struct context *ctx)
{
	struct context *gone = NULL;
	struct context **place;

	spin_take(&port->lock);
	place = place_of(port, ctx->pasid);
	if (place && *place == old && port->config_seq == seq) {
		context_drop(port, old, &gone);
		insert(port, place, ctx);
	}
	spin_drop(&port->lock);
	contexts_defer(port, gone);
	return gone;
}

void context_drop(struct engine_port *port, struct context *ctx,
		  struct context **gone)
{
	*ctx->link = ctx->next;
	if (ctx->next)
		ctx->next->link = ctx->link;
	reader_publish(place_of(port, ctx->pasid), NULL);
	ctx->next = *gone;
	*gone = ctx;
}

static void free_context(struct grace_head *head)
{
	free(container_of(head, struct context, free));
}

/* Freeing may run callbacks of others. */
void contexts_defer(struct engine_port *port, struct context *gone)
{
	while (gone) {
		struct context *next = gone->next;

		grace_defer(port->engine->host.grace, &gone->free,
			    free_context);
		gone = next;
	}
}

/*
 * Who sees the new number does not find what was dropped any more, and cannot
 * make a context of it.
 */
void context_moves(struct engine_port *port)
{
	__atomic_store_n(&port->config_seq, port->config_seq + 1,
			 __ATOMIC_RELEASE);
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
}
