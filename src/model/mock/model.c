// SPDX-License-Identifier: MIT
/* The mock model's life, its registers and ports. */
#include "model/mock/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "model/mock/engine.h"

#define REMOVE_TIMEOUT_NS 1000000000u

static uint64_t model_read(struct model *model, uint32_t offset,
			   unsigned int size)
{
	struct mock_engine *e = to_engine(model);
	uint64_t value = 0;

	if (size != 8)
		return 0;
	if (offset >= MOCK_LIST_PAGE(0))
		return mock_list_read(e, offset);
	pthread_rwlock_rdlock(&e->lock);
	if (offset == MOCK_REG_ID)
		value = MOCK_ID;
	else if (offset == MOCK_REG_ARG0)
		value = e->arg[0];
	else if (offset == MOCK_REG_ARG1)
		value = e->arg[1];
	else if (offset == MOCK_REG_STATUS)
		value = e->status;
	else if (offset == MOCK_REG_RESULT)
		value = e->result;
	pthread_rwlock_unlock(&e->lock);
	return value;
}

static void model_write(struct model *model, uint32_t offset, unsigned int size,
			uint64_t value)
{
	struct mock_engine *e = to_engine(model);

	if (size != 8)
		return;
	if (offset >= MOCK_LIST_PAGE(0)) {
		mock_list_write(e, offset, value);
		return;
	}
	if (offset == MOCK_REG_CMD) {
		mock_execute(e, value);
		return;
	}
	if (offset != MOCK_REG_ARG0 && offset != MOCK_REG_ARG1)
		return;
	pthread_rwlock_wrlock(&e->lock);
	e->arg[offset == MOCK_REG_ARG1] = value;
	pthread_rwlock_unlock(&e->lock);
}

static int port_add(struct model *model, const struct model_port_config *config,
		    struct model_port **out)
{
	struct mock_port *port = alloc_zero(sizeof(*port));

	if (!port)
		return -ENOMEM;
	port->engine = to_engine(model);
	port->config = *config;
	*out = (struct model_port *)port;
	return 0;
}

static void free_port(struct grace_head *head)
{
	free(container_of(head, struct mock_port, gone));
}

/* The owner starts no DMA any more; what is under way is waited for. */
static void port_remove(struct model_port *opaque)
{
	struct mock_port *port = (struct mock_port *)opaque;
	struct grace *grace = port->engine->host.grace;

	if (grace_wait(grace, REMOVE_TIMEOUT_NS))
		grace_defer(grace, &port->gone, free_port);
	else
		free(port);
}

static int stall_poll(struct model_port *port, uint16_t tag)
{
	(void)port;
	(void)tag;
	return -ENOENT; /* it never stalls */
}

static int ats_request(struct model_port *port,
		       const struct model_access *access, uint64_t len,
		       struct model_translation *out)
{
	(void)port;
	(void)access;
	(void)len;
	(void)out;
	return -EOPNOTSUPP;
}

/* It caches no translation. */
static void for_each_entry(struct model *model,
			   void (*fn)(void *ctx,
				      const struct iotlb_entry *entry),
			   void *ctx)
{
	(void)model;
	(void)fn;
	(void)ctx;
}

static void model_stats(struct model *model, struct model_stats *stats)
{
	struct mock_engine *e = to_engine(model);
	const struct model_stats *from = &e->counters;

	memset(stats, 0, sizeof(*stats));
	stats->misses = __atomic_load_n(&from->misses, __ATOMIC_RELAXED);
	stats->commands = __atomic_load_n(&from->commands, __ATOMIC_RELAXED) +
			  mock_lists_commands(e);
	stats->syncs = __atomic_load_n(&from->syncs, __ATOMIC_RELAXED);
}

/* It has no queue to be fetched, and its devices cannot fail to answer. */
static int mock_inject(struct model *model, const struct inject_fault *fault)
{
	if (fault->kind != INJECT_ILL && fault->kind != INJECT_SLOW_SYNC)
		return -EOPNOTSUPP;
	return inject_add(&to_engine(model)->inject, fault);
}

static uint64_t mock_inject_clear(struct model *model)
{
	return inject_clear(&to_engine(model)->inject);
}

/* They are never gone, and no model's cache is theirs. */
static void port_reset(struct model_port *port)
{
	(void)port;
}

static void model_destroy(struct model *model)
{
	struct mock_engine *e = to_engine(model);

	mock_forget_all(e);
	mock_lists_fini(e);
	inject_fini(&e->inject);
	pthread_rwlock_destroy(&e->lock);
	free(e);
}

static const struct model_ops ops = {
	.destroy = model_destroy,
	.read = model_read,
	.write = model_write,
	.port_add = port_add,
	.port_remove = port_remove,
	.translate = mock_translate,
	.dma = mock_dma,
	.stall_poll = stall_poll,
	.ats_request = ats_request,
	.for_each_entry = for_each_entry,
	.stats = model_stats,
	.explain = mock_explain,
	.inject = mock_inject,
	.inject_clear = mock_inject_clear,
	.port_reset = port_reset,
};

int mock_model_create(const struct model_host *host, struct model **model)
{
	struct mock_engine *e;
	int rc;

	rc = guard_init();
	if (rc)
		return rc;
	e = alloc_aligned(_Alignof(struct mock_engine), sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->base.ops = &ops;
	e->host = *host;
	inject_init(&e->inject);
	pthread_rwlock_init(&e->lock, NULL);
	mock_lists_init(e);
	ids_init(&e->contexts, 0);
	*model = &e->base;
	return 0;
}
