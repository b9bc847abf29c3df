// SPDX-License-Identifier: MIT
/* The model's life, its registers, and what it hears from its front. */
#include "model/smmuv3/model.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "hwdef/smmuv3_regs.h"
#include "model/smmuv3/engine.h"

static enum engine_mode mode_of(struct engine *e)
{
	struct smmuv3_regs regs;

	smmuv3_front_regs(to_smmu(&e->base)->front, &regs);
	if (regs.cr0 & SMMUV3_CR0_SMMUEN)
		return MODE_TRANSLATE;
	return regs.gbpa & SMMUV3_GBPA_ABORT ? MODE_ABORT : MODE_BYPASS;
}

/* Clearing SMMUEN ends what is under way, stalls too (3.12.2, 6.3.9.6). */
static void mode_changed(struct smmuv3_model *m)
{
	bool left = engine_mode_update(&m->engine);

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
	engine_irq(ctx, irq);
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

static const struct model_ops ops = {
	ENGINE_MODEL_OPS,	   .read = model_read,
	.write = model_write,	   .port_add = port_add,
	.stall_poll = stall_poll,  .page_request = pri_request,
	.explain = engine_explain,
};

static int stalls_create(struct smmuv3_model *m)
{
	m->stall_max = (uint32_t)field_get(SMMUV3_IDR5_STALL_MAX, m->id.idr[5]);
	if (!m->stall_max)
		return 0;
	m->stalls = alloc_array(m->stall_max, sizeof(*m->stalls));
	return m->stalls ? 0 : -ENOMEM;
}

static int init(struct engine *e, const void *opaque)
{
	const struct smmuv3_model_config *config = opaque;
	const struct smmuv3_front_config front = { .id = config->id };
	struct smmuv3_model *m = to_smmu(&e->base);
	int rc;

	m->id = config->id;
	m->has_s2 = config->id.idr[0] & SMMUV3_IDR0_S2P;
	m->oas_bits = smmuv3_oas_bits(&config->id);
	m->event_epoch = 1; /* ports begin with 0: nothing to merge with */
	pthread_mutex_init(&m->stall_lock, NULL);
	pthread_mutex_init(&m->event_lock, NULL);
	rc = stalls_create(m);
	if (!rc)
		rc = smmuv3_front_create(&front, &front_ops, m, &m->front);
	return rc;
}

static void fini(struct engine *e)
{
	struct smmuv3_model *m = to_smmu(&e->base);

	smmuv3_front_destroy(m->front);
	free(m->stalls);
	pthread_mutex_destroy(&m->stall_lock);
	pthread_mutex_destroy(&m->event_lock);
}

static const struct engine_ops engine_ops = {
	.model = &ops,
	.model_size = sizeof(struct smmuv3_model),
	.port_size = sizeof(struct smmuv3_port),
	.command_size = sizeof(struct smmuv3_cmd),
	.init = init,
	.fini = fini,
	.mode = mode_of,
	.translate = smmuv3_translate,
	.port_gone = stall_forget,
	.port_fini = l1cd_free,
	.ats_resolve = smmuv3_ats_resolve,
	.ats_open = smmuv3_ats_open,
	.ats_check = check_atc,
	.check = &smmuv3_check,
	.why = &smmuv3_why,
};

int smmuv3_model_create(const struct smmuv3_model_config *config,
			const struct model_host *host, struct model **model)
{
	int rc = engine_id_check(&config->id);

	return rc ? rc
		  : engine_create(&engine_ops, host, config->policy,
				  config->iotlb_capacity, config, model);
}
