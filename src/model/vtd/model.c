// SPDX-License-Identifier: MIT
/* The model's life, its registers, and what it hears from its front. */
#include "model/vtd/model.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/le.h"
#include "model/vtd/engine.h"

/* Two writers may get here in either order: each takes the last picture. */
static void mode_update(struct vtd_model *m)
{
	enum engine_mode mode = MODE_BYPASS;
	struct vtd_regs regs;

	pthread_mutex_lock(&m->mode_lock);
	vtd_front_regs(m->front, &regs);
	if (regs.enabled & VTD_GCMD_TE)
		mode = MODE_TRANSLATE;
	__atomic_store_n(&m->engine.mode, mode, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&m->mode_lock);
}

/* SRTP: what is cached stays, unless the unit says otherwise (11.4.4.1). */
static void root_changed(struct vtd_model *m)
{
	if (m->id.cap & VTD_CAP_ESRTPS)
		vtd_exec_everything(m);
	engine_wait(&m->engine);
}

static void front_changed(void *ctx, enum vtd_change what)
{
	struct vtd_model *m = ctx;

	switch (what) {
	case VTD_CHANGE_TE:
		mode_update(m);
		engine_wait(&m->engine);
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
	struct vtd_model *m = ctx;
	uint32_t message = htole32(data);

	engine_front_write(&m->engine, addr, &message, sizeof(message));
	if (m->engine.host.irq)
		m->engine.host.irq(m->engine.host.ctx, irq);
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

/* Also of a model that was not finished */
static void model_destroy(struct model *model)
{
	struct vtd_model *m = to_vtd(model);

	vtd_front_destroy(m->front);
	engine_fini(&m->engine);
	pthread_mutex_destroy(&m->mode_lock);
	free(m);
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
	ENGINE_MODEL_OPS,	.destroy = model_destroy,
	.read = model_read,	.write = model_write,
	.port_add = add,	.stall_poll = stall_poll,
	.explain = vtd_explain, .page_request = vtd_prq_request,
};

/* The queue goes on (6.5.2.11). */
static void atc_bad(struct engine *e, uint32_t sid)
{
	vtd_front_ice(((struct vtd_model *)e)->front, (uint16_t)sid);
}

static const struct engine_ops engine_ops = {
	.port_size = sizeof(struct vtd_port),
	.translate = vtd_translate,
	.port_fini = vtd_context_fini,
	.ats_resolve = vtd_ats_resolve,
	.ats_open = vtd_ats_open,
	.ats_check = vtd_ats_check,
	.atc_bad = atc_bad,
};

static int parts_create(struct vtd_model *m,
			const struct vtd_model_config *config,
			const struct model_host *host)
{
	const struct vtd_front_config front = { .id = config->id };
	int rc;

	rc = engine_init(&m->engine, &engine_ops, host, config->policy,
			 config->iotlb_capacity, sizeof(struct vtd_desc));
	if (!rc)
		rc = vtd_front_create(&front, &front_ops, m, &m->front);
	return rc;
}

int vtd_model_create(const struct vtd_model_config *config,
		     const struct model_host *host, struct model **model)
{
	struct vtd_model *m;
	int rc;

	rc = vtd_id_check(&config->id);
	if (rc)
		return rc;
	m = alloc_zero(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->engine.base.ops = &ops;
	m->id = config->id;
	m->caches_faults =
		config->id.cap & VTD_CAP_CM && config->policy == IOTLB_HOSTILE;
	pthread_mutex_init(&m->mode_lock, NULL);
	rc = parts_create(m, config, host);
	if (rc) {
		model_destroy(&m->engine.base);
		return rc;
	}
	mode_update(m);
	*model = &m->engine.base;
	return 0;
}
