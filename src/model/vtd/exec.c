// SPDX-License-Identifier: MIT
/*
 * Executing descriptors, 6.5: what each removes (tables 23 and 24), and when
 * waits complete (6.5.2.12). Requests by register come here as descriptors.
 */
#include "model/vtd/engine.h"

#include "model/stretch.h"

#define EVERY_REGIME                                            \
	(REGIMES_LEAF_FS | REGIMES_TABLE_FS | REGIMES_LEAF_SS | \
	 REGIMES_TABLE_SS)

#define GATHER_MAX 32u /* of which one descriptor takes up to two */

/* Table 23: by page, what the first stage had a part in goes by domain. */
static unsigned int scope_iotlb(const struct vtd_desc *desc,
				struct iotlb_inval inval[2])
{
	inval[0] = (struct iotlb_inval){
		.regimes = EVERY_REGIME,
		.vmid = desc->did,
	};
	if (desc->gran == VTD_GRAN_GLOBAL)
		return 1;
	inval[0].by = IOTLB_BY_VMID;
	if (desc->gran == VTD_GRAN_DOMAIN)
		return 1;
	inval[0].by |= IOTLB_BY_RANGE;
	inval[0].regimes = REGIMES_LEAF_SS | (desc->ih ? 0 : REGIMES_TABLE_SS);
	inval[0].first = desc->first;
	inval[0].last = desc->last;
	inval[1] = (struct iotlb_inval){
		.by = IOTLB_BY_VMID,
		.regimes = REGIMES_LEAF_FS | REGIMES_TABLE_FS,
		.vmid = desc->did,
	};
	return 2;
}

/* Table 24 */
static unsigned int scope_piotlb(const struct vtd_desc *desc,
				 struct iotlb_inval inval[2])
{
	inval[0] = (struct iotlb_inval){
		.by = IOTLB_BY_VMID | IOTLB_BY_ASID,
		.regimes = REGIMES_LEAF_FS | REGIMES_LEAF_SS | REGIMES_TABLE_FS,
		.vmid = desc->did,
		.asid = desc->pasid,
	};
	if (desc->gran == VTD_QI_PIOTLB_G_PASID)
		return 1;
	inval[0].by |= IOTLB_BY_RANGE;
	inval[0].regimes = REGIMES_LEAF_FS | (desc->ih ? 0 : REGIMES_TABLE_FS);
	inval[0].first = desc->first;
	inval[0].last = desc->last;
	return 1;
}

unsigned int vtd_exec_scope(const struct vtd_desc *desc,
			    struct iotlb_inval inval[2])
{
	switch (desc->type) {
	case VTD_QI_IOTLB:
		return scope_iotlb(desc, inval);
	case VTD_QI_PIOTLB:
		return scope_piotlb(desc, inval);
	default:
		return 0;
	}
}

/* Page requests invalidate as well, and so does whoever sets the root. */
static void forget(struct vtd_model *m, const struct iotlb_inval *inval,
		   unsigned int n)
{
	uint32_t regimes = 0;

	for (unsigned int i = 0; i < n; i++)
		regimes |= inval[i].regimes;
	spin_take(&m->forget_lock);
	engine_forget(&m->engine, inval, n, regimes & ~REGIMES_LEAF_FS);
	spin_drop(&m->forget_lock);
}

void vtd_exec_iotlb(struct vtd_model *m, const struct vtd_desc *desc)
{
	struct iotlb_inval inval[2];

	forget(m, inval, vtd_exec_scope(desc, inval));
}

static bool is_legacy(struct vtd_model *m)
{
	return field_get(VTD_RTADDR_TTM, vtd_rtaddr(m)) == VTD_TTM_LEGACY;
}

/* 6.5.2.1: the function mask takes bits of the source-id out. */
static bool names_source(const struct vtd_desc *desc, uint32_t sid)
{
	return desc->gran != VTD_GRAN_DEVICE ||
	       !((sid ^ desc->sid) & ~(uint32_t)desc->sid_ignored);
}

/*
 * A queue may name all of many devices, time and again: behind so many all of
 * theirs goes, where more may go than is named.
 */
#define EXACT_PORTS 64u

static void forget_port(struct engine_port *port)
{
	port_unload(port);
	vtd_context_drop_all(vtd_port(port));
}

/* The @n th that is named */
static void forget_source(struct engine_port *port, bool all, unsigned int n,
			  const struct vtd_desc *desc)
{
	if ((all || n >= EXACT_PORTS) && !port->engine->hostile)
		forget_port(port);
	else
		vtd_context_drop_source(vtd_port(port), all, desc->did);
}

static void exec_context(struct vtd_model *m, const struct vtd_desc *desc)
{
	bool all = desc->gran == VTD_GRAN_GLOBAL || !is_legacy(m);
	uint32_t from = 0, to = UINT32_MAX;
	struct engine *e = &m->engine;
	struct engine_port *port;
	unsigned int n = 0;

	if (desc->gran == VTD_GRAN_DEVICE) {
		from = desc->sid & ~(uint32_t)desc->sid_ignored;
		to = desc->sid | (uint32_t)desc->sid_ignored;
	}
	ports_enter(e);
	port = port_next_loaded(e, port_find(e, from));
	while (port && port->config.stream_id <= to) {
		if (names_source(desc, port->config.stream_id))
			forget_source(port, all, n++, desc);
		port = port_next_loaded(e, port->index + 1);
	}
	ports_leave(e);
}

static void exec_pasid(struct vtd_model *m, const struct vtd_desc *desc)
{
	struct engine *e = &m->engine;
	struct engine_port *port;
	unsigned int n = 0;

	ports_enter(e);
	for (port = port_next_loaded(e, 0); port;
	     port = port_next_loaded(e, port->index + 1)) {
		if (!e->hostile && n++ >= EXACT_PORTS)
			forget_port(port);
		else
			vtd_context_drop_spaces(vtd_port(port), desc);
	}
	ports_leave(e);
}

void vtd_exec_everything(struct vtd_model *m)
{
	const struct vtd_desc all = {
		.type = VTD_QI_IOTLB,
		.gran = VTD_GRAN_GLOBAL,
	};

	ports_enter(&m->engine);
	for (size_t n = 0; n < m->engine.port_count; n++)
		vtd_context_drop_all(vtd_port(m->engine.ports[n]));
	ports_leave(&m->engine);
	vtd_exec_iotlb(m, &all);
}

/* The first that does not answer is the one that ITESID names. */
static void exec_device(struct vtd_model *m, const struct vtd_desc *desc)
{
	if (vtd_ats_invalidate(m, desc) || m->engine.atc_failed)
		return;
	m->engine.atc_failed = true;
	m->late_sid = desc->sid;
}

/*
 * A span of the queue, and why it stopped. Neighbours that invalidate the IOTLB
 * are gathered and take effect together, before anything else is looked at.
 */
struct span {
	const uint64_t (*descs)[4];
	uint16_t stop;
	uint16_t info;
	unsigned int gathered;
	struct iotlb_inval inval[GATHER_MAX];
};

static void span_forget(struct vtd_model *m, struct span *s)
{
	if (!s->gathered)
		return;
	forget(m, s->inval, s->gathered);
	s->gathered = 0;
	m->engine.pending = true;
}

/* Under policy hostile at once: entries tell which commands came since. */
static void span_gather(struct vtd_model *m, struct span *s,
			const struct vtd_desc *desc)
{
	s->gathered += vtd_exec_scope(desc, &s->inval[s->gathered]);
	if (s->gathered > GATHER_MAX - 2 || m->engine.hostile)
		span_forget(m, s);
}

static bool is_iotlb(const struct vtd_desc *desc)
{
	return desc->type == VTD_QI_PIOTLB || desc->type == VTD_QI_IOTLB;
}

/* Anything but a wait, and what is_iotlb() */
static void exec_one(struct vtd_model *m, const struct vtd_desc *desc)
{
	switch (desc->type) {
	case VTD_QI_CONTEXT:
		exec_context(m, desc);
		break;
	case VTD_QI_PASID_CACHE:
		exec_pasid(m, desc);
		break;
	case VTD_QI_DEV_TLB:
	case VTD_QI_PDEV_TLB:
		exec_device(m, desc);
		break;
	case VTD_QI_PAGE_RESPONSE:
		vtd_prq_response(m, desc);
		return;
	default: /* no interrupt is remapped, none is cached */
		return;
	}
	m->engine.pending = true;
}

static struct vtd_model *model_of(struct engine *e)
{
	return (struct vtd_model *)e;
}

static enum ran stop(struct span *s, enum vtd_stop why, unsigned int info)
{
	s->stop = (uint16_t)why;
	s->info = (uint16_t)info;
	return RAN_STOP;
}

static bool names_sources(uint8_t type)
{
	return type == VTD_QI_DEV_TLB || type == VTD_QI_PDEV_TLB ||
	       type == VTD_QI_PAGE_RESPONSE || type == VTD_QI_CONTEXT;
}

static bool called_illegal(struct engine *e, const struct vtd_desc *desc)
{
	const struct inject_chance chance = {
		.kinds = INJECT_SET(INJECT_ILL),
		.opcode = desc->type,
		.streams = names_sources(desc->type),
		.sid = desc->sid & ~(uint32_t)desc->sid_ignored,
		.sid_last = desc->sid | (uint32_t)desc->sid_ignored,
	};
	uint32_t delay_us;

	return inject_ask(&e->inject, &chance, &delay_us) != INJECT_NONE;
}

/* Before the descriptor takes effect: 0 or the IQEI */
static unsigned int judge(struct engine *e, const uint64_t dw[4], bool armed,
			  struct vtd_desc *desc)
{
	unsigned int iqei;
	uint32_t delay_us;

	if (armed && inject_happens(&e->inject, INJECT_ABT, &delay_us))
		return VTD_IQEI_FETCH;
	iqei = vtd_front_decode(model_of(e)->front, dw, desc);
	if (!iqei && armed && called_illegal(e, desc))
		return VTD_IQEI_TYPE;
	return iqei;
}

static enum ran late(struct span *s, struct engine *e)
{
	e->atc_failed = false;
	return stop(s, VTD_STOP_ITE, model_of(e)->late_sid);
}

static enum ran run(struct engine *e, void *span, uint32_t i, bool armed,
		    bool ahead)
{
	struct span *s = span;
	struct vtd_desc desc;
	unsigned int iqei;

	iqei = judge(e, s->descs[i], armed, &desc);
	if (iqei)
		return stop(s, VTD_STOP_IQE, iqei);
	if (ahead && desc.type == VTD_QI_PAGE_RESPONSE)
		return RAN_NOT;
	if (is_iotlb(&desc)) {
		span_gather(model_of(e), s, &desc);
		stretch_consumed(e, &desc);
		return RAN;
	}
	span_forget(model_of(e), s);
	if (desc.type != VTD_QI_WAIT) {
		exec_one(model_of(e), &desc);
		stretch_consumed(e, &desc);
		return RAN;
	}
	if (e->atc_failed)
		return late(s, e);
	stretch_slow(e, armed);
	stretch_consumed(e, &desc);
	return desc.fence ? RAN_LAST : RAN_SYNC;
}

static bool is_wait(const void *span, uint32_t i)
{
	const struct span *s = span;

	return (s->descs[i][0] & (VTD_QI_0_TYPE_LO | VTD_QI_0_TYPE_HI)) ==
	       VTD_QI_WAIT;
}

static void complete(struct engine *e, void *span, uint32_t i)
{
	const struct span *s = span;
	struct vtd_front *front = model_of(e)->front;
	struct vtd_desc desc;

	if (!vtd_front_decode(front, s->descs[i], &desc))
		vtd_front_wait(front, &desc, i + 1);
}

static const struct stretch_ops ops = {
	.run = run,
	.is_sync = is_wait,
	.sync = complete,
};

struct vtd_consumed vtd_exec_consume(void *ctx, const uint64_t (*descs)[4],
				     uint32_t n)
{
	struct vtd_model *m = ctx;
	struct span s;
	uint32_t done;

	s.descs = descs;
	s.stop = 0;
	s.info = 0;
	s.gathered = 0;
	done = stretch_consume(&m->engine, &ops, &s, n);
	span_forget(m, &s);
	/* no wait behind it was there to abort */
	if (!s.stop && m->engine.atc_failed)
		late(&s, &m->engine);
	/* hardware has waited for the answer that it says there is none of */
	if (s.stop == VTD_STOP_ITE)
		engine_hold_wait(&m->engine);
	return (struct vtd_consumed){
		.done = done,
		.stop = s.stop,
		.info = s.info,
	};
}

unsigned int vtd_exec_register(void *ctx, const struct vtd_desc *desc)
{
	struct vtd_model *m = ctx;

	if (is_iotlb(desc))
		vtd_exec_iotlb(m, desc);
	else
		exec_one(m, desc);
	stretch_consumed(&m->engine, desc);
	engine_wait(&m->engine);
	m->engine.pending = false;
	return desc->gran;
}
