// SPDX-License-Identifier: MIT
/* The model's life, its registers, and what it hears from its front. */
#include "model/smmuv3/model.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/smmuv3_regs.h"
#include "mem/guard.h"
#include "model/smmuv3/engine.h"

#define SYNC_TIMEOUT_NS 1000000000u

/* Only the consumer reads: its commands. */
static int front_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct smmuv3_model *m = ctx;
	int rc;

	reader_enter();
	rc = phys_cursor_read(m->host.phys, &m->queue, addr, buf, len);
	reader_exit();
	return rc ? -EFAULT : 0;
}

static int front_write(void *ctx, uint64_t addr, const void *buf, size_t len)
{
	struct smmuv3_model *m = ctx;
	int rc;

	reader_enter();
	rc = phys_write(m->host.phys, addr, buf, len);
	reader_exit();
	return rc ? -EFAULT : 0;
}

/* Two writers may get here in either order: each takes the last picture. */
static bool mode_update(struct smmuv3_model *m)
{
	enum engine_mode mode = MODE_TRANSLATE;
	struct smmuv3_regs regs;
	bool left;

	pthread_mutex_lock(&m->mode_lock);
	smmuv3_front_regs(m->front, &regs);
	if (!(regs.cr0 & SMMUV3_CR0_SMMUEN))
		mode = regs.gbpa & SMMUV3_GBPA_ABORT ? MODE_ABORT : MODE_BYPASS;
	left = m->mode == MODE_TRANSLATE && mode != MODE_TRANSLATE;
	__atomic_store_n(&m->mode, mode, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&m->mode_lock);
	return left;
}

/* Clearing SMMUEN ends what is under way, stalls too (3.12.2, 6.3.9.6). */
static void mode_changed(struct smmuv3_model *m)
{
	bool left = mode_update(m);

	exec_wait(m);
	if (left)
		stall_terminate_all(m);
}

static void front_changed(void *ctx, enum smmuv3_change what)
{
	struct smmuv3_model *m = ctx;

	switch (what) {
	case SMMUV3_CHANGE_SMMUEN:
	case SMMUV3_CHANGE_GBPA:
		mode_changed(m);
		return;
	case SMMUV3_CHANGE_STRTAB: /* what is cached stays until CFGI (4.3) */
		return;
	case SMMUV3_CHANGE_EVENTQ:
		count(&m->event_epoch);
		stall_report(m);
		return;
	}
}

static void front_irq(void *ctx, enum smmuv3_irq irq)
{
	struct smmuv3_model *m = ctx;

	if (m->host.irq)
		m->host.irq(m->host.ctx, irq);
}

static const struct smmuv3_front_ops front_ops = {
	.read = front_read,
	.write = front_write,
	.consume = exec_consume,
	.changed = front_changed,
	.irq = front_irq,
};

static uint64_t model_read(struct model *model, uint32_t offset,
			   unsigned int size)
{
	return smmuv3_front_read(to_engine(model)->front, offset, size);
}

static void model_write(struct model *model, uint32_t offset, unsigned int size,
			uint64_t value)
{
	smmuv3_front_write(to_engine(model)->front, offset, size, value);
}

static void model_for_each(struct model *model,
			   void (*fn)(void *ctx,
				      const struct iotlb_entry *entry),
			   void *ctx)
{
	iotlb_for_each(to_engine(model)->tlb, fn, ctx);
}

static void model_stats(struct model *model, struct model_stats *stats)
{
	struct smmuv3_model *m = to_engine(model);

	*stats = (struct model_stats){
		.hits = counted(&m->hits_gone),
		.misses = counted(&m->misses_gone),
		.stale = counted(&m->stale),
		.events = counted(&m->events),
		.events_lost = counted(&m->events_lost),
		.commands = counted(&m->serial),
		.syncs = counted(&m->syncs),
	};
	pthread_mutex_lock(&m->ports_lock);
	for (size_t n = 0; n < m->port_count; n++) {
		stats->hits += port_hits(m->ports[n]);
		stats->misses += port_misses(m->ports[n]);
	}
	pthread_mutex_unlock(&m->ports_lock);
}

static int model_inject(struct model *model, const struct inject_fault *fault)
{
	return inject_add(&to_engine(model)->inject, fault);
}

static uint64_t model_inject_clear(struct model *model)
{
	return inject_clear(&to_engine(model)->inject);
}

/* Also of a model that was not finished */
static void model_destroy(struct model *model)
{
	struct smmuv3_model *m = to_engine(model);

	smmuv3_front_destroy(m->front);
	port_free_all(m);
	iotlb_destroy(m->tlb);
	history_destroy(m->history);
	free(m->stalls);
	inject_fini(&m->inject);
	pthread_mutex_destroy(&m->ports_lock);
	pthread_mutex_destroy(&m->mode_lock);
	pthread_mutex_destroy(&m->stall_lock);
	pthread_mutex_destroy(&m->event_lock);
	free(m);
}

static const struct model_ops ops = {
	.destroy = model_destroy,
	.read = model_read,
	.write = model_write,
	.port_add = port_add,
	.port_remove = port_remove,
	.translate = engine_model_translate,
	.dma = engine_dma,
	.stall_poll = stall_poll,
	.ats_request = ats_request,
	.for_each_entry = model_for_each,
	.stats = model_stats,
	.explain = engine_explain,
	.inject = model_inject,
	.inject_clear = model_inject_clear,
	.port_reset = port_reset,
};

static void model_init(struct smmuv3_model *m,
		       const struct smmuv3_model_config *config,
		       const struct model_host *host)
{
	m->base.ops = &ops;
	m->host = *host;
	m->id = config->id;
	m->hostile = config->policy == IOTLB_HOSTILE;
	m->has_s2 = config->id.idr[0] & SMMUV3_IDR0_S2P;
	m->oas_bits = smmuv3_oas_bits(&config->id);
	m->sync_timeout_ns = SYNC_TIMEOUT_NS;
	m->event_epoch = 1; /* ports begin with 0: nothing to merge with */
	inject_init(&m->inject);
	pthread_mutex_init(&m->ports_lock, NULL);
	pthread_mutex_init(&m->mode_lock, NULL);
	pthread_mutex_init(&m->stall_lock, NULL);
	pthread_mutex_init(&m->event_lock, NULL);
}

static int stalls_create(struct smmuv3_model *m)
{
	m->stall_max = (uint32_t)field_get(SMMUV3_IDR5_STALL_MAX, m->id.idr[5]);
	if (!m->stall_max)
		return 0;
	m->stalls = alloc_array(m->stall_max, sizeof(*m->stalls));
	return m->stalls ? 0 : -ENOMEM;
}

static int parts_create(struct smmuv3_model *m,
			const struct smmuv3_model_config *config)
{
	const struct smmuv3_front_config front = { .id = config->id };
	const struct iotlb_config tlb = {
		.policy = config->policy,
		.capacity = config->iotlb_capacity,
		.grace = m->host.grace,
	};
	int rc;

	rc = guard_init();
	if (!rc)
		rc = stalls_create(m);
	if (!rc && m->hostile)
		rc = history_create(&m->history);
	if (!rc)
		rc = iotlb_create(&tlb, &m->tlb);
	if (!rc)
		rc = smmuv3_front_create(&front, &front_ops, m, &m->front);
	return rc;
}

int smmuv3_model_create(const struct smmuv3_model_config *config,
			const struct model_host *host, struct model **model)
{
	struct smmuv3_model *m;
	int rc;

	rc = engine_id_check(&config->id);
	if (rc)
		return rc;
	m = alloc_zero(sizeof(*m));
	if (!m)
		return -ENOMEM;
	model_init(m, config, host);
	rc = parts_create(m, config);
	if (rc) {
		model_destroy(&m->base);
		return rc;
	}
	mode_update(m);
	*model = &m->base;
	return 0;
}
