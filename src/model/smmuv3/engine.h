/* SPDX-License-Identifier: MIT */
/*
 * The SMMUv3 behind the shared engine (model/engine.h): what its parts share.
 * For model/smmuv3 only. Its context is made of a cached STE and a cached CD.
 *
 * Of its locks (mode, stalls, events) each is taken alone; none but mode_lock
 * is held while the front is called.
 */
#ifndef MODEL_SMMUV3_ENGINE_H
#define MODEL_SMMUV3_ENGINE_H

#include <endian.h>

#include "front/smmuv3/decode.h"
#include "front/smmuv3/front.h"
#include "model/check.h"
#include "model/engine.h"
#include "model/history.h"
#include "model/smmuv3/config.h"
#include "model/smmuv3/event.h"
#include "model/smmuv3/model.h"
#include "model/smmuv3/walk.h"

#define NO_STAG 0xffffu /* a stall for which no STAG was left */

/* A level-1 context descriptor; @addr: where STE and stage 1 say it lies */
struct l1cd {
	uint64_t addr;
	uint64_t value;
	uint64_t serial;
};

struct smmuv3_context {
	struct context base;
	enum smmuv3_path path;
	uint32_t ssid; /* of the CD, if has_s1 */
	bool has_stream;
	bool has_s1;
	struct smmuv3_stream stream;
	struct smmuv3_s1 s1;
	/* By what the CD was found, for the checker; policy hostile */
	uint64_t cd_serial;
	bool has_l1cd; /* a cached one */
	bool has_entry;
	struct l1cd l1cd;
	struct iotlb_entry entry; /* of stage 2, the oldest; not when cached */
};

/* A cached STE. */
struct stream_entry {
	struct context_part base;
	struct smmuv3_stream stream;
};

struct smmuv3_port {
	struct engine_port base;
	struct {
		bool valid;
		uint64_t addr;
		uint64_t value;
	} l1std;		  /* under the lock; policy hostile */
	struct l1cd_cache *l1cds; /* likewise; NULL until there is one */
	uint64_t last_event[4];	  /* under model.event_lock */
	uint64_t last_event_epoch;
};

/* What software has said of a stalled transaction, or not yet */
enum stall_state {
	STALL_WAITS,
	STALL_RETRY,
	STALL_ABORT,
	STALL_RAZ, /* it ends as if done: RAZ/WI */
};

struct stall {
	struct engine_port *port; /* NULL: free */
	enum stall_state state;
	bool reported;	/* its event is in the queue */
	uint64_t syncs; /* model.syncs when it faulted */
	uint64_t rec[4];
};

struct smmuv3_model {
	struct engine engine;
	struct smmuv3_id id;
	struct smmuv3_front *front;
	bool has_s2;
	uint8_t oas_bits;

	pthread_mutex_t stall_lock;
	struct stall *stalls; /* [stall_max] */
	uint32_t stall_max;
	uint32_t stall_used;
	uint32_t stall_next;

	pthread_mutex_t event_lock;
	uint64_t event_epoch; /* atomic; moves with the queue's consumer */
};

/* What became of a visit. */
struct result {
	struct outcome o;
	struct smmuv3_fault fault; /* if not ok */
};

static inline struct smmuv3_model *to_smmu(struct model *model)
{
	return (struct smmuv3_model *)model;
}

static inline struct smmuv3_model *smmu_of(const struct visit *v)
{
	return (struct smmuv3_model *)v->engine;
}

static inline struct smmuv3_port *smmu_port(struct engine_port *port)
{
	return (struct smmuv3_port *)port;
}

static inline struct smmuv3_port *port_of(const struct visit *v)
{
	return (struct smmuv3_port *)v->port;
}

/* id.c */
int engine_id_check(const struct smmuv3_id *id);

/*
 * context.c. The context of @pasid: cached, or loaded into *tmp (and cached,
 * unless the visit is quiet). NULL: *fault says why; then tmp->stream may be
 * valid (tmp->has_stream). @cold looks at memory only.
 */
const struct smmuv3_context *context_get(struct visit *v, bool cold,
					 struct smmuv3_context *tmp,
					 struct smmuv3_fault *fault);
/* The cached STE or a fresh one; false: *fault. *serial: when cached, or ~0 */
bool context_stream(struct visit *v, bool cold, struct smmuv3_stream *stream,
		    uint64_t *serial, struct smmuv3_fault *fault);
void context_input(const struct visit *v, struct smmuv3_input *in);

void context_drop_stream(struct smmuv3_port *port, bool leaf);
void context_drop_l1std(struct smmuv3_port *port);
void context_drop_cd(struct smmuv3_port *port, uint32_t ssid, bool leaf);
void context_drop_cds(struct smmuv3_port *port);
/*
 * What *ctx is if its STE is as it says, whatever the STE's memory says now,
 * and all the rest is as in memory; false: *fault.
 */
bool context_reload(struct visit *v, struct smmuv3_context *ctx,
		    struct smmuv3_fault *fault);

/* l1cd.c; @index: SubstreamID >> @split */
bool l1cd_find(struct smmuv3_port *port, uint32_t index, uint64_t addr,
	       struct l1cd *l1cd);
/* Not if a CFGI has come since port.config_seq was @seq */
void l1cd_keep(struct smmuv3_port *port, uint64_t seq, uint32_t index,
	       unsigned int split, const struct l1cd *l1cd);
/* With the port's lock held. */
void l1cd_drop(struct smmuv3_port *port, uint32_t ssid);
void l1cd_drop_all(struct smmuv3_port *port);
void l1cd_free(struct engine_port *port);

/* translate.c */
void smmuv3_translate(struct visit *v, struct model_translation *out);
/* Run @ctx's path for an access; with caches or without. */
void engine_path(struct visit *v, const struct smmuv3_context *ctx, bool cold,
		 struct result *r);
void engine_env(const struct visit *v, struct walk_env *env);
/*
 * The CD of @ctx: from memory or, under hostile, found by what is cached of
 * level-1 descriptors and of stage 2; @seq: port.config_seq before it began.
 */
bool engine_cd(struct visit *v, struct smmuv3_context *ctx, bool cold,
	       uint64_t seq, struct smmuv3_fault *fault);
/* Stage 2 alone for a translated transaction (EATS split). */
void engine_stage2(struct visit *v, const struct smmuv3_stream *stream,
		   bool cold, struct result *r);
/* report.c */
void report_fault(struct visit *v, const struct smmuv3_context *ctx,
		  const struct smmuv3_fault *fault,
		  struct model_translation *out);
void report_event(struct smmuv3_model *m, struct smmuv3_port *port,
		  const uint64_t rec[4], bool merge);

/* stall.c */
/*
 * The visit stalls, with *tag; or software has already said what becomes of
 * this transaction, which then is not STALL_WAITS.
 */
enum stall_state stall_begin(struct visit *v, const struct smmuv3_input *in,
			     const struct smmuv3_fault *fault, uint16_t *tag);
int stall_poll(struct model_port *port, uint16_t tag);
void stall_resume(struct smmuv3_model *m, const struct smmuv3_cmd *cmd);
void stall_terminate(struct smmuv3_model *m, uint32_t sid);
void stall_terminate_all(struct smmuv3_model *m);
void stall_forget(struct engine_port *port);
/* The event queue has room again, perhaps. */
void stall_report(struct smmuv3_model *m);

/* ats.c */
void ats_translated(struct visit *v, struct model_translation *out);
/* A translated transaction that may not be: F_TRANSL_FORBIDDEN. */
void ats_forbidden(struct visit *v, struct model_translation *out);
bool smmuv3_ats_resolve(struct visit *v, struct atc_answer *answer,
			struct model_translation *out);
bool smmuv3_ats_open(struct visit *v, struct model_translation *out);
void ats_invalidate(struct smmuv3_model *m, const struct smmuv3_cmd *cmd);
/* Where there is no valid STE: recorded if CR2 asks for it (3.9.1.2, 8.1). */
void ats_no_stream(struct visit *v, const struct smmuv3_fault *fault);
/* What a translation request for the visit's access is answered. */
struct ats_answer {
	bool ok;
	bool mev;
	struct atc_answer atc;
	struct smmuv3_fault fault; /* if not ok */
};
void ats_resolve(struct visit *v, bool cold, struct ats_answer *answer);

/* pri.c */
int pri_request(struct model_port *port,
		const struct model_page_request *request);
void pri_response(struct smmuv3_model *m, const struct smmuv3_cmd *cmd);

/* exec.c */
struct smmuv3_consumed exec_consume(void *ctx, const uint64_t (*cmds)[2],
				    uint32_t n);
/* What a TLBI removes: up to two invalidations; returns how many. */
unsigned int exec_scope(const struct smmuv3_cmd *cmd,
			struct iotlb_inval inval[2]);
#define REGIMES_LEAF_S1 (1u << SMMUV3_REGIME_S1 | 1u << SMMUV3_REGIME_S12)
#define REGIMES_TABLE_S1                                                  \
	(1u << SMMUV3_REGIME_S1_TABLE | 1u << SMMUV3_REGIME_S1_TABLE_L2 | \
	 1u << SMMUV3_REGIME_S1_TABLE_L1)
#define REGIMES_LEAF_S2 (1u << SMMUV3_REGIME_S2)
#define REGIMES_TABLE_S2 \
	(1u << SMMUV3_REGIME_S2_TABLE | 1u << SMMUV3_REGIME_S2_TABLE_L2)

/* check.c: compare @r with memory; true: stale. */
extern const struct check_ops smmuv3_check;
bool check_path(struct visit *v, const struct smmuv3_context *ctx,
		const struct result *r);
/* The same for an ATC entry that was hit, with what it says. */
bool check_atc(struct visit *v, const struct iotlb_entry *entry, uint64_t pa);

/* What was found stale; the rest is of a configuration. */
struct stale_part {
	struct stale_base base;
	uint32_t ssid;	    /* the CD's */
	bool cd;	    /* the CD, not the STE ... */
	bool l1cd;	    /* ... or what leads to it */
	unsigned int split; /* l1cd: SubstreamIDs have that many bits below */
};

/* why.c */
extern const struct why_ops smmuv3_why;

/* explain.c */
void engine_explain(struct model_port *port, const struct model_access *access,
		    char *text, size_t size);

#endif
