// SPDX-License-Identifier: MIT
/* The model's life, its registers, and what it hears from its front. */
#include "model/vtd/model.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/le.h"
#include "model/vtd/engine.h"

static enum engine_mode mode_of(struct engine *e)
{
	struct vtd_regs regs;

	vtd_front_regs(to_vtd(&e->base)->front, &regs);
	return regs.enabled & VTD_GCMD_TE ? MODE_TRANSLATE : MODE_BYPASS;
}

/* SRTP: what is cached stays, unless the unit says otherwise (11.4.4.1). */
static void root_changed(struct vtd_model *m)
{
	if (m->id.cap & VTD_CAP_ESRTPS)
		vtd_exec_everything(m);
	engine_wait(&m->engine);
}

/* TE: a unit with scalable mode forgets when it is switched off (11.4.4.1). */
static void te_changed(struct vtd_model *m)
{
	if (engine_mode_update(&m->engine) && m->id.ecap & VTD_ECAP_SMTS)
		vtd_exec_everything(m);
	engine_wait(&m->engine);
}

static void front_changed(void *ctx, enum vtd_change what)
{
	struct vtd_model *m = ctx;

	switch (what) {
	case VTD_CHANGE_TE:
		te_changed(m);
		return;
	case VTD_CHANGE_ROOT:
		root_changed(m);
		return;
	default: /* no interrupt is remapped; no request waits for anything */
		return;
	}
}

/* The message goes where it would go; who watches lines is told which. */
static void front_irq(void *ctx, enum vtd_irq irq, uint64_t addr, uint32_t data)
{
	uint32_t message = htole32(data);

	engine_front_write(ctx, addr, &message, sizeof(message));
	engine_irq(ctx, irq);
}

static const struct vtd_front_ops front_ops = {
	.read = engine_front_read,
	.write = engine_front_write,
	.consume = vtd_exec_consume,
	.invalidate = vtd_exec_register,
	.changed = front_changed,
	.irq = front_irq,
};

static uint64_t model_read(struct model *model, uint32_t offset,
			   unsigned int size)
{
	return vtd_front_read(to_vtd(model)->front, offset, size);
}

static void model_write(struct model *model, uint32_t offset, unsigned int size,
			uint64_t value)
{
	vtd_front_write(to_vtd(model)->front, offset, size, value);
}

/* Source-ids have 16 bits. */
static int add(struct model *model, const struct model_port_config *config,
	       struct model_port **port)
{
	if (config->stream_id > 0xffff)
		return -EINVAL;
	return port_add(model, config, port);
}

/* Nothing stalls here. */
static int stall_poll(struct model_port *port, uint16_t tag)
{
	(void)port;
	(void)tag;
	return -ENOENT;
}

static const struct model_ops ops = {
	ENGINE_MODEL_OPS,	  .read = model_read,
	.write = model_write,	  .port_add = add,
	.stall_poll = stall_poll, .page_request = vtd_prq_request,
	.explain = vtd_explain,
};

/* The queue goes on (6.5.2.11). */
static void atc_bad(struct engine *e, uint32_t sid)
{
	vtd_front_ice(to_vtd(&e->base)->front, (uint16_t)sid);
}

static int init(struct engine *e, const void *opaque)
{
	const struct vtd_model_config *config = opaque;
	const struct vtd_front_config front = { .id = config->id };
	struct vtd_model *m = to_vtd(&e->base);

	m->id = config->id;
	m->caches_faults = config->id.cap & VTD_CAP_CM && e->hostile;
	return vtd_front_create(&front, &front_ops, m, &m->front);
}

static void fini(struct engine *e)
{
	vtd_front_destroy(to_vtd(&e->base)->front);
}

static const struct engine_ops engine_ops = {
	.model = &ops,
	.model_size = sizeof(struct vtd_model),
	.port_size = sizeof(struct vtd_port),
	.command_size = sizeof(struct vtd_desc),
	.init = init,
	.fini = fini,
	.mode = mode_of,
	.translate = vtd_translate,
	.ats_resolve = vtd_ats_resolve,
	.ats_open = vtd_ats_open,
	.ats_check = vtd_ats_check,
	.check = &vtd_check,
	.why = &vtd_why,
	.atc_bad = atc_bad,
};

int vtd_model_create(const struct vtd_model_config *config,
		     const struct model_host *host, struct model **model)
{
	int rc = vtd_id_check(&config->id);

	return rc ? rc
		  : engine_create(&engine_ops, host, config->policy,
				  config->iotlb_capacity, config, model);
}
