// SPDX-License-Identifier: MIT
/* Executing what software writes to CMD. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "model/mock/engine.h"

#define SYNC_TIMEOUT_NS 1000000000u
#define STREAM_SSID_MAX BIT_ULL(MOCK_PASID_BITS)

struct mock_context *mock_find_context(const struct mock_engine *e, uint64_t id)
{
	return id && id <= IDS_LIMIT_MAX ? ids_get(&e->contexts, (uint32_t)id)
					 : NULL;
}

bool mock_root_of(const struct mock_engine *e, uint32_t id,
		  struct mock_root *root)
{
	const struct mock_context *ctx = mock_find_context(e, id);

	if (ctx && ctx->nested)
		ctx = mock_find_context(e, ctx->parent);
	if (!ctx || ctx->nested)
		return false;
	root->root = ctx->root;
	root->dirty = ctx->dirty;
	return true;
}

struct mock_cache *mock_find_cache(const struct mock_engine *e, uint64_t sid)
{
	struct itree_node *node = itree_first(&e->caches, sid, sid);

	return node ? container_of(node, struct mock_cache, node) : NULL;
}

static struct mock_stream *find_stream(const struct mock_engine *e,
				       uint64_t key)
{
	struct itree_node *node = itree_first(&e->streams, key, key);

	return node ? container_of(node, struct mock_stream, node) : NULL;
}

static uint64_t dev_add(struct mock_engine *e)
{
	struct mock_cache *cache;

	if (e->arg[0] > UINT32_MAX || mock_find_cache(e, e->arg[0]))
		return MOCK_NONE;
	cache = alloc_aligned(_Alignof(struct mock_cache), sizeof(*cache));
	if (!cache)
		return MOCK_NO_ROOM;
	cache->node.first = cache->node.last = e->arg[0];
	for (unsigned int i = 0; i < MOCK_CELLS; i++)
		cache->cells[i] = MOCK_CACHE_DEFAULT;
	mock_lists_stop(e);
	itree_insert(&e->caches, &cache->node);
	mock_lists_resume(e);
	return MOCK_OK;
}

static uint64_t dev_del(struct mock_engine *e)
{
	struct mock_cache *cache = mock_find_cache(e, e->arg[0]);

	if (!cache)
		return MOCK_NONE;
	mock_lists_stop(e);
	itree_remove(&e->caches, &cache->node);
	mock_lists_resume(e);
	free(cache);
	return MOCK_OK;
}

static uint64_t ctx_add(struct mock_engine *e, const struct mock_context *init)
{
	struct mock_context *ctx =
		alloc_aligned(_Alignof(struct mock_context), sizeof(*ctx));
	uint32_t id;

	if (!ctx)
		return MOCK_NO_ROOM;
	if (ids_reserve(&e->contexts, &id)) {
		free(ctx);
		return MOCK_NO_ROOM;
	}
	*ctx = *init;
	ids_publish(&e->contexts, id, ctx);
	e->result = id;
	return MOCK_OK;
}

static uint64_t ctx_nested(struct mock_engine *e)
{
	const struct mock_context *parent = mock_find_context(e, e->arg[0]);
	struct mock_context init = { .nested = true };

	if (!parent || parent->nested)
		return MOCK_NONE;
	init.parent = (uint32_t)e->arg[0];
	for (unsigned int i = 0; i < MOCK_CELLS; i++)
		init.cells[i] = (uint32_t)e->arg[1];
	return ctx_add(e, &init);
}

static uint64_t ctx_del(struct mock_engine *e)
{
	void *gone;

	if (!mock_find_context(e, e->arg[0]))
		return MOCK_NONE;
	mock_lists_stop(e);
	gone = ids_remove(&e->contexts, (uint32_t)e->arg[0]);
	mock_lists_resume(e);
	free(gone);
	return MOCK_OK;
}

static uint64_t ctx_dirty(struct mock_engine *e)
{
	struct mock_context *ctx = mock_find_context(e, e->arg[0]);

	if (!ctx || ctx->nested)
		return MOCK_NONE;
	ctx->dirty = e->arg[1];
	return MOCK_OK;
}

static uint64_t attach(struct mock_engine *e)
{
	struct mock_stream *stream = find_stream(e, e->arg[0]);

	if (!e->arg[1]) {
		if (stream) {
			itree_remove(&e->streams, &stream->node);
			free(stream);
		}
		return MOCK_OK;
	}
	if (!mock_find_context(e, e->arg[1]) ||
	    e->arg[0] >> MOCK_STREAM_SSID_SHIFT > STREAM_SSID_MAX)
		return MOCK_NONE;
	if (!stream) {
		stream = alloc_zero(sizeof(*stream));
		if (!stream)
			return MOCK_NO_ROOM;
		stream->node.first = stream->node.last = e->arg[0];
		itree_insert(&e->streams, &stream->node);
	}
	stream->context = (uint32_t)e->arg[1];
	return MOCK_OK;
}

static uint64_t attached(struct mock_engine *e)
{
	const struct mock_stream *stream = find_stream(e, e->arg[0]);

	e->result = stream ? stream->context : 0;
	return MOCK_OK;
}

static uint64_t read_cell(struct mock_engine *e, const uint32_t *cells)
{
	if (!cells || e->arg[1] >= MOCK_CELLS)
		return MOCK_NONE;
	e->result = __atomic_load_n(&cells[e->arg[1]], __ATOMIC_RELAXED);
	return MOCK_OK;
}

static uint64_t read_context(struct mock_engine *e)
{
	const struct mock_context *ctx = mock_find_context(e, e->arg[0]);

	return read_cell(e, ctx && ctx->nested ? ctx->cells : NULL);
}

static uint64_t read_device(struct mock_engine *e)
{
	const struct mock_cache *cache = mock_find_cache(e, e->arg[0]);

	return read_cell(e, cache ? cache->cells : NULL);
}

static uint64_t look(struct mock_engine *e, uint32_t flags)
{
	struct mock_root root;
	struct mock_leaf leaf;
	bool found;

	if (e->arg[0] > UINT32_MAX ||
	    !mock_root_of(e, (uint32_t)e->arg[0], &root))
		return MOCK_NONE;
	reader_enter_of(e->host.grace);
	found = mock_walk(e, &root, e->arg[1], flags, &leaf);
	reader_exit();
	if (!found)
		return MOCK_NONE;
	e->result = leaf.pa;
	return MOCK_OK;
}

static uint64_t execute_locked(struct mock_engine *e, uint64_t cmd)
{
	const struct mock_context paging = { .root = e->arg[0] };

	switch (cmd) {
	case MOCK_CMD_DEV_ADD:
		return dev_add(e);
	case MOCK_CMD_DEV_DEL:
		return dev_del(e);
	case MOCK_CMD_CTX_PAGING:
		return ctx_add(e, &paging);
	case MOCK_CMD_CTX_NESTED:
		return ctx_nested(e);
	case MOCK_CMD_CTX_DEL:
		return ctx_del(e);
	case MOCK_CMD_CTX_DIRTY:
		return ctx_dirty(e);
	case MOCK_CMD_ATTACH:
		return attach(e);
	case MOCK_CMD_ATTACHED:
		return attached(e);
	case MOCK_CMD_CELL_READ:
		return read_context(e);
	case MOCK_CMD_CACHE_READ:
		return read_device(e);
	case MOCK_CMD_TRANSLATE:
		return look(e, MOCK_ANY_ACCESS);
	case MOCK_CMD_TOUCH:
		return look(e, MODEL_WRITE);
	default:
		return MOCK_NONE;
	}
}

void mock_execute(struct mock_engine *e, uint64_t cmd)
{
	uint64_t status;

	mock_count(&e->counters.commands);
	if (cmd == MOCK_CMD_SYNC) {
		uint32_t delay_us;

		mock_count(&e->counters.syncs);
		if (inject_armed(&e->inject) &&
		    inject_happens(&e->inject, INJECT_SLOW_SYNC, &delay_us))
			inject_sleep_until(inject_deadline(delay_us));
		status = grace_wait(e->host.grace, SYNC_TIMEOUT_NS)
				 ? MOCK_TIMEOUT
				 : MOCK_OK;
		pthread_rwlock_wrlock(&e->lock);
	} else {
		pthread_rwlock_wrlock(&e->lock);
		status = execute_locked(e, cmd);
	}
	e->status = status;
	pthread_rwlock_unlock(&e->lock);
}

void mock_forget_all(struct mock_engine *e)
{
	struct itree_node *node;
	uint32_t id = 0;
	void *ctx;

	while ((node = itree_from(&e->streams, 0))) {
		itree_remove(&e->streams, node);
		free(container_of(node, struct mock_stream, node));
	}
	while ((node = itree_from(&e->caches, 0))) {
		itree_remove(&e->caches, node);
		free(container_of(node, struct mock_cache, node));
	}
	while ((ctx = ids_next(&e->contexts, 0, &id))) {
		ids_remove(&e->contexts, id);
		free(ctx);
	}
	ids_fini(&e->contexts);
}
