/* SPDX-License-Identifier: MIT */
/*
 * The coherence checker (policy hostile). Whatever a transaction got with the
 * help of a cache is compared with what memory says now, looked up with no
 * cache at all. A difference means that software changed a structure and has
 * not, or not yet, invalidated what was cached of it.
 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H

#include "model/engine.h"

/*
 * What was found stale. An architecture's word for it begins with this, and is
 * told by its why_ops (why.h).
 */
struct stale_base {
	const struct engine_port *port;
	enum {
		STALE_TRANSLATION,
		STALE_CONFIG,
		STALE_ATC, /* in the device's own cache */
	} of;
	const struct iotlb_entry *entry; /* unless CONFIG */
	uint64_t serial;		 /* when it was cached */
};

/* One comparison */
struct check {
	struct visit *v;
	const struct context *ctx; /* that was used; never NULL */
	const struct outcome *seen;
	unsigned int fault;	 /* if not ok: the architecture's number */
	struct stale_base *part; /* the architecture's; out */
};

/* What may be as it was cached when an access is looked up again */
enum check_keep {
	CHECK_NOTHING, /* by memory alone */
	CHECK_PART,    /* what is found by the StreamID: struct context_part */
	CHECK_CONTEXT, /* all but translations */
	CHECK_ALL,     /* whatever is cached now */
};

struct check_ops {
	/*
	 * The access of @v, which is quiet, with nothing cached but @keep (of
	 * c->ctx, unless ALL). Returns the fault's number if it is not ok.
	 */
	unsigned int (*look)(struct visit *v, const struct check *c,
			     enum check_keep keep, struct outcome *o);
	/* Is there more to the configuration of c->ctx than CHECK_PART? */
	bool (*has_rest)(const struct check *c);
	/* That is stale: what of it? c->part is of CONFIG. */
	void (*blame_rest)(const struct check *c);
};

/* True: it was stale, and the host is told. */
bool check_stale(const struct check *c);
/*
 * Does an ATC's entry that led to @pa say what a request would be answered @now
 * (NULL: refused)? True, and the host is told: it does not.
 */
bool check_answer(struct visit *v, const struct iotlb_entry *entry, uint64_t pa,
		  const struct atc_answer *now);

#endif
