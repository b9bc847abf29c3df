/* SPDX-License-Identifier: MIT */
/*
 * The host's command queue, Arm IHI 0070 3.5 and 7.1: drv/hostq.h, whose syncs
 * are CMD_SYNCs and whose timeouts are CERROR_ATC_INV_SYNC. The error names no
 * device: so no CMD_SYNC may stand behind CMD_ATC_INVs to several.
 */
#ifndef DRV_SMMUV3_CMDQ_H
#define DRV_SMMUV3_CMDQ_H

#include "drv/hostq.h"

struct cmdq {
	struct hostq q;
	/* acknowledged errors; written under the queue's lock, read by any */
	uint32_t gerrorn;
	/* Other GERROR bits have been acknowledged; with the queue's lock held.
	 * NULL: nobody cares */
	void (*taken)(struct cmdq *c, uint32_t errors);
};

/* 2^@lg2 entries. Programs CMDQ_BASE, PROD and CONS; CMDQEN is the caller's. */
int cmdq_init(struct cmdq *c, const struct core_hwport *port,
	      const struct logger *logger, unsigned int lg2,
	      unsigned int timeout_ms);
void cmdq_fini(struct cmdq *c);

static inline bool cmdq_is_dead(const struct cmdq *c)
{
	return hostq_is_dead(&c->q);
}

/* hostq_issue(); CMD_SYNCs among @cmds are allowed. */
static inline int cmdq_issue(struct cmdq *c, const uint64_t (*cmds)[2],
			     uint32_t n, const struct hostq_payer *payer,
			     struct hostq_result *res)
{
	return hostq_issue(&c->q, cmds[0], n, payer, res);
}

/* SMMUV3_CERROR_* of @res, or 0 */
uint32_t cmdq_code(const struct hostq_result *res);

/* A command that needs no sync (RESUME, PRI_RESP): hostq_post() */
void cmdq_post(struct cmdq *c, uint64_t dw0, uint64_t dw1);

static inline void cmdq_hold(struct cmdq *c)
{
	hostq_hold(&c->q);
}

static inline void cmdq_release(struct cmdq *c)
{
	hostq_release(&c->q);
}

/* GERROR bits that are active */
uint32_t cmdq_errors(const struct cmdq *c);

/* GERROR has changed. Like cmdq_post(). */
void cmdq_gerror(struct cmdq *c);

#endif
