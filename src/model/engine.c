// SPDX-License-Identifier: MIT
/* An engine's life, and what is the same behind every front. */
#include "model/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "model/history.h"

#define SYNC_TIMEOUT_NS 1000000000u

/* On failure fini() all the same */
static int init(struct engine *e, const struct engine_ops *ops,
		const struct model_host *host, enum iotlb_policy policy,
		uint32_t capacity)
{
	const struct iotlb_config tlb = {
		.policy = policy,
		.capacity = capacity,
		.grace = host->grace,
	};
	int rc;

	e->base.ops = ops->model;
	e->ops = ops;
	e->host = *host;
	e->hostile = policy == IOTLB_HOSTILE;
	e->sync_timeout_ns = SYNC_TIMEOUT_NS;
	inject_init(&e->inject);
	pthread_mutex_init(&e->mode_lock, NULL);
	pthread_mutex_init(&e->ports_lock, NULL);
	rc = guard_init();
	if (!rc && e->hostile)
		rc = history_create(ops->command_size, &e->history);
	if (!rc)
		rc = iotlb_create(&tlb, &e->tlb);
	return rc;
}

static void fini(struct engine *e)
{
	port_free_all(e);
	iotlb_destroy(e->tlb);
	history_destroy(e->history);
	inject_fini(&e->inject);
	pthread_mutex_destroy(&e->ports_lock);
	pthread_mutex_destroy(&e->mode_lock);
	free(e);
}

void engine_destroy(struct model *model)
{
	struct engine *e = to_engine(model);

	e->ops->fini(e);
	fini(e);
}

/* Two writers may get here in either order: each takes the last picture. */
bool engine_mode_update(struct engine *e)
{
	enum engine_mode mode;
	bool left;

	pthread_mutex_lock(&e->mode_lock);
	mode = e->ops->mode(e);
	left = e->mode == MODE_TRANSLATE && mode != MODE_TRANSLATE;
	__atomic_store_n(&e->mode, mode, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&e->mode_lock);
	return left;
}

int engine_create(const struct engine_ops *ops, const struct model_host *host,
		  enum iotlb_policy policy, uint32_t capacity,
		  const void *config, struct model **model)
{
	struct engine *e = alloc_zero(ops->model_size);
	int rc;

	if (!e)
		return -ENOMEM;
	rc = init(e, ops, host, policy, capacity);
	if (rc) {
		fini(e);
		return rc;
	}
	rc = ops->init(e, config);
	if (rc) {
		engine_destroy(&e->base);
		return rc;
	}
	engine_mode_update(e);
	*model = &e->base;
	return 0;
}

void engine_irq(struct engine *e, unsigned int line)
{
	if (e->host.irq)
		e->host.irq(e->host.ctx, line);
}

/* Only the consumer reads: its commands. */
int engine_front_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct engine *e = ctx;
	int rc;

	reader_enter_of(e->host.grace);
	rc = phys_cursor_read(e->host.phys, &e->queue, addr, buf, len);
	reader_exit();
	return rc;
}

int engine_front_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	const struct engine *e = ctx;
	int rc;

	reader_enter_of(e->host.grace);
	rc = phys_write(e->host.phys, addr, buf, len);
	reader_exit();
	return rc;
}

void engine_forget(struct engine *e, const struct iotlb_inval *inval,
		   unsigned int n, bool tables)
{
	__atomic_store_n(&e->forgotten, e->forgotten + 1, __ATOMIC_RELAXED);
	if (tables)
		__atomic_store_n(&e->forgotten_tables, e->forgotten_tables + 1,
				 __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < n; i++)
		iotlb_invalidate(e->tlb, &inval[i]);
	__atomic_store_n(&e->forgotten, e->forgotten + 1, __ATOMIC_RELEASE);
}

void engine_for_each(struct model *model,
		     void (*fn)(void *ctx, const struct iotlb_entry *entry),
		     void *ctx)
{
	iotlb_for_each(to_engine(model)->tlb, fn, ctx);
}

void engine_stats(struct model *model, struct model_stats *stats)
{
	struct engine *e = to_engine(model);

	*stats = (struct model_stats){
		.hits = counted(&e->hits_gone),
		.misses = counted(&e->misses_gone),
		.stale = counted(&e->stale),
		.events = counted(&e->events),
		.events_lost = counted(&e->events_lost),
		.commands = counted(&e->serial),
		.syncs = counted(&e->syncs),
	};
	pthread_mutex_lock(&e->ports_lock);
	for (size_t n = 0; n < e->port_count; n++) {
		stats->hits += port_hits(e->ports[n]);
		stats->misses += port_misses(e->ports[n]);
	}
	pthread_mutex_unlock(&e->ports_lock);
}

int engine_inject(struct model *model, const struct inject_fault *fault)
{
	struct engine *e = to_engine(model);

	if (fault->kind == INJECT_ATC_BAD && !e->ops->atc_bad)
		return -EOPNOTSUPP;
	return inject_add(&e->inject, fault);
}

uint64_t engine_inject_clear(struct model *model)
{
	return inject_clear(&to_engine(model)->inject);
}
