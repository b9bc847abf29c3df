// SPDX-License-Identifier: MIT
/* The model's life, its registers, and what it hears from its front. */
#include "model/smmuv3/model.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/smmuv3_regs.h"
#include "model/smmuv3/engine.h"

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
	left = m->engine.mode == MODE_TRANSLATE && mode != MODE_TRANSLATE;
	__atomic_store_n(&m->engine.mode, mode, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&m->mode_lock);
	return left;
}

/* Clearing SMMUEN ends what is under way, stalls too (3.12.2, 6.3.9.6). */
static void mode_changed(struct smmuv3_model *m)
{
	bool left = mode_update(m);

	engine_wait(&m->engine);
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

	if (m->engine.host.irq)
		m->engine.host.irq(m->engine.host.ctx, irq);
}

static const struct smmuv3_front_ops front_ops = {
	.read = engine_front_read,
	.write = engine_front_write,
	.consume = exec_consume,
	.changed = front_changed,
	.irq = front_irq,
};

static uint64_t model_read(struct model *model, uint32_t offset,
			   unsigned int size)
{
	return smmuv3_front_read(to_smmu(model)->front, offset, size);
}

static void model_write(struct model *model, uint32_t offset, unsigned int size,
			uint64_t value)
{
	smmuv3_front_write(to_smmu(model)->front, offset, size, value);
}

/* Also of a model that was not finished */
static void model_destroy(struct model *model)
{
	struct smmuv3_model *m = to_smmu(model);

	smmuv3_front_destroy(m->front);
	engine_fini(&m->engine);
	free(m->stalls);
	pthread_mutex_destroy(&m->mode_lock);
	pthread_mutex_destroy(&m->stall_lock);
	pthread_mutex_destroy(&m->event_lock);
	free(m);
}

static const struct model_ops ops = {
	ENGINE_MODEL_OPS,
	.destroy = model_destroy,
	.read = model_read,
	.write = model_write,
	.port_add = port_add,
	.stall_poll = stall_poll,
	.page_request = pri_request,
	.explain = engine_explain,
};

static const struct engine_ops engine_ops = {
	.port_size = sizeof(struct smmuv3_port),
	.translate = smmuv3_translate,
	.port_gone = stall_forget,
	.port_fini = context_fini,
	.ats_resolve = smmuv3_ats_resolve,
	.ats_open = smmuv3_ats_open,
	.ats_check = check_atc,
};

static void model_init(struct smmuv3_model *m,
		       const struct smmuv3_model_config *config)
{
	m->engine.base.ops = &ops;
	m->id = config->id;
	m->has_s2 = config->id.idr[0] & SMMUV3_IDR0_S2P;
	m->oas_bits = smmuv3_oas_bits(&config->id);
	m->event_epoch = 1; /* ports begin with 0: nothing to merge with */
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
			const struct smmuv3_model_config *config,
			const struct model_host *host)
{
	const struct smmuv3_front_config front = { .id = config->id };
	int rc;

	rc = engine_init(&m->engine, &engine_ops, host, config->policy,
			 config->iotlb_capacity, sizeof(struct smmuv3_cmd));
	if (!rc)
		rc = stalls_create(m);
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
	model_init(m, config);
	rc = parts_create(m, config, host);
	if (rc) {
		model_destroy(&m->engine.base);
		return rc;
	}
	mode_update(m);
	*model = &m->engine.base;
	return 0;
}
