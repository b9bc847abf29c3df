/* SPDX-License-Identifier: MIT */
/*
 * VT-d behind the shared engine (model/engine.h): what its parts share. For
 * model/vtd only. A context is made of a context-cache entry, the *source*,
 * and of a PASID-cache entry, the *space*; in legacy mode of the former alone.
 */
#ifndef MODEL_VTD_ENGINE_H
#define MODEL_VTD_ENGINE_H

#include "front/vtd/decode.h"
#include "front/vtd/front.h"
#include "hwdef/vtd_regs.h"
#include "model/check.h"
#include "model/engine.h"
#include "model/history.h"
#include "model/vtd/config.h"
#include "model/vtd/model.h"
#include "model/vtd/walk.h"

#define NO_SERIAL (~0ull)

/* struct iotlb_entry.attrs, of this architecture */
/* table of the first stage: @ipa is where it lies, ATTR_ALLOWED and
 * ATTR_ALLOWED_S2 what the page there allows and is ready for */
#define ATTR_PLACED  BIT_ULL(29)
#define ATTR_NOTHING BIT_ULL(30) /* caching mode: a fault, @ipa its reason */

struct vtd_context {
	struct context base;
	/*
	 * Atomic. The context cache has forgotten the source, not so the
	 * PASID cache the space (hostile).
	 */
	bool sourceless;
	struct vtd_source source;
	struct vtd_space space;
	struct vtd_denial fault; /* caching mode: its entry faults */
	uint64_t space_serial;	 /* when the space was read */
	uint64_t seq;		 /* port.config_seq before any of it was */
};

/* A context-cache entry. */
struct source_entry {
	struct context_part base;
	struct vtd_source source;
	struct vtd_denial fault; /* caching mode */
};

struct vtd_port {
	struct engine_port base;
};

struct vtd_model {
	struct engine engine;
	struct vtd_id id;
	struct vtd_front *front;
	bool caches_faults;   /* caching mode, hostile */
	uint16_t late_sid;    /* of the consumer: who did not answer */
	uint32_t forget_lock; /* page requests invalidate as well */
};

/* What became of a visit. */
struct result {
	struct outcome o;
	struct vtd_denial fault; /* if not ok */
};

static inline struct vtd_model *to_vtd(struct model *model)
{
	return (struct vtd_model *)model;
}

static inline struct vtd_model *vtd_of(const struct visit *v)
{
	return (struct vtd_model *)v->engine;
}

static inline struct vtd_port *vtd_port(struct engine_port *port)
{
	return (struct vtd_port *)port;
}

static inline uint64_t vtd_rtaddr(struct vtd_model *m)
{
	struct vtd_regs regs;

	vtd_front_regs(m->front, &regs);
	return regs.rtaddr;
}

/* id.c */
int vtd_id_check(const struct vtd_id *id);

/* context.c */
void vtd_context_request(const struct visit *v, enum vtd_at at,
			 struct vtd_input *req);
/*
 * The context for a request of type @at: cached, or loaded into *tmp (and
 * cached, unless the visit is quiet). NULL: *fault says why, and tmp->base
 * whether a cache had a part in that. @cold looks at memory only.
 */
const struct vtd_context *vtd_context_get(struct visit *v, enum vtd_at at,
					  bool cold, struct vtd_context *tmp,
					  struct vtd_denial *fault);
/* The source alone; false: *fault. *serial: when cached, or NO_SERIAL */
bool vtd_context_source(struct visit *v, bool cold, struct vtd_source *source,
			uint64_t *serial, struct vtd_denial *fault);
/* No invalidation can have named *ctx since it was looked for. */
bool vtd_context_is_current(const struct visit *v,
			    const struct vtd_context *ctx);
/* *ctx with its source as it is, and the space as in memory; false: *fault */
bool vtd_context_reload(struct visit *v, struct vtd_context *ctx,
			struct vtd_denial *fault);
/* What a descriptor of the context cache or the PASID cache names; @all: the
 * domain id does not count */
void vtd_context_drop_source(struct vtd_port *port, bool all, uint16_t did);
void vtd_context_drop_spaces(struct vtd_port *port,
			     const struct vtd_desc *desc);
void vtd_context_drop_all(struct vtd_port *port);

/* translate.c */
void vtd_translate(struct visit *v, struct model_translation *out);
void vtd_path(struct visit *v, enum vtd_at at, const struct vtd_context *ctx,
	      bool cold, struct result *r);
void vtd_env(const struct visit *v, struct walk_env *env);

/* report.c */
void vtd_report(struct visit *v, enum vtd_at at, const struct vtd_denial *fault,
		struct model_translation *out);

/* ats.c */
void vtd_ats_translated(struct visit *v, struct model_translation *out);
bool vtd_ats_open(struct visit *v, struct model_translation *out);
bool vtd_ats_resolve(struct visit *v, struct atc_answer *answer,
		     struct model_translation *out);
bool vtd_ats_check(struct visit *v, const struct iotlb_entry *entry,
		   uint64_t pa);
/* False: the device's cache does not answer. */
bool vtd_ats_invalidate(struct vtd_model *m, const struct vtd_desc *desc);
void vtd_ats_scope(const struct vtd_desc *desc, struct iotlb_inval *inval);

/* prq.c */
int vtd_prq_request(struct model_port *port,
		    const struct model_page_request *request);
void vtd_prq_response(struct vtd_model *m, const struct vtd_desc *desc);

/* exec.c */
struct vtd_consumed vtd_exec_consume(void *ctx, const uint64_t (*descs)[4],
				     uint32_t n);
unsigned int vtd_exec_register(void *ctx, const struct vtd_desc *desc);
/* What an IOTLB descriptor removes: up to two invalidations; how many */
unsigned int vtd_exec_scope(const struct vtd_desc *desc,
			    struct iotlb_inval inval[2]);
void vtd_exec_iotlb(struct vtd_model *m, const struct vtd_desc *desc);
/* All caches, as SRTP does with ESRTPS */
void vtd_exec_everything(struct vtd_model *m);

#define REGIMES_LEAF_FS (1u << VTD_REGIME_FS | 1u << VTD_REGIME_NESTED)
#define REGIMES_LEAF_SS (1u << VTD_REGIME_SS)
#define REGIMES_TABLE_FS                                            \
	(1u << VTD_REGIME_FS_TABLE | 1u << VTD_REGIME_FS_TABLE_L2 | \
	 1u << VTD_REGIME_FS_TABLE_L3)
#define REGIMES_TABLE_SS \
	(1u << VTD_REGIME_SS_TABLE | 1u << VTD_REGIME_SS_TABLE_L2)

/* check.c: compare @r with memory; true: stale. */
extern const struct check_ops vtd_check;
bool vtd_check_path(struct visit *v, enum vtd_at at,
		    const struct vtd_context *ctx, const struct result *r);

/* What was found stale */
struct stale_part {
	struct stale_base base;
	uint32_t pasid;
	uint16_t did;
	bool legacy;
	bool space; /* CONFIG: the PASID-cache entry, not the source */
	enum vtd_at at;
};

/* why.c */
extern const struct why_ops vtd_why;

/* explain.c */
void vtd_explain(struct model_port *port, const struct model_access *access,
		 char *text, size_t size);

#endif
