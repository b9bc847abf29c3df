// SPDX-License-Identifier: MIT
/* The host's command queue: what of drv/hostq.h is SMMUv3's. */
#include "drv/smmuv3/cmdq.h"

#include <string.h>

#include "base/barrier.h"
#include "base/bits.h"
#include "hwdef/smmuv3_cmd.h"
#include "hwdef/smmuv3_regs.h"

static struct cmdq *to_cmdq(struct hostq *q)
{
	return container_of(q, struct cmdq, q);
}

static uint32_t reg_read(const struct hostq *q, uint32_t offset)
{
	return (uint32_t)q->port->ops->read(q->port->ctx, offset, 4);
}

static void reg_write(const struct hostq *q, uint32_t offset, uint32_t value)
{
	q->port->ops->write(q->port->ctx, offset, 4, value);
}

static uint32_t queue_consumed(struct hostq *q)
{
	return reg_read(q, SMMUV3_CMDQ_CONS);
}

static void queue_doorbell(struct hostq *q)
{
	reg_write(q, SMMUV3_CMDQ_PROD, q->prod);
}

/* CS = SIG_NONE; shareability and attributes matter to MSIs only */
static void queue_sync(const struct hostq *q, const struct hostq_batch *b,
		       uint32_t nth, uint64_t *cmd)
{
	(void)q;
	(void)b;
	(void)nth;
	cmd[0] = SMMUV3_OP_SYNC;
	cmd[1] = 0;
}

static void queue_nothing(uint64_t *cmd)
{
	cmd[0] = SMMUV3_OP_SYNC;
	cmd[1] = 0;
}

static bool queue_is_sync(const uint64_t *cmd)
{
	return (cmd[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_SYNC;
}

static bool queue_asks(const uint64_t *cmd, uint32_t *sid)
{
	*sid = (uint32_t)field_get(SMMUV3_CMD_0_SID, cmd[0]);
	return (cmd[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_ATC_INV;
}

static void queue_stop(struct hostq *q)
{
	reg_write(q, SMMUV3_GBPA, SMMUV3_GBPA_UPDATE | SMMUV3_GBPA_ABORT);
	reg_write(q, SMMUV3_CR0, 0);
}

/* ---- errors ---- */

static void ack(struct cmdq *c, uint32_t errors)
{
	__atomic_store_n(&c->gerrorn, c->gerrorn ^ errors, __ATOMIC_RELAXED);
	/* replaced commands before the restart that fetches them */
	barrier_before_index();
	reg_write(&c->q, SMMUV3_GERRORN, c->gerrorn);
}

uint32_t cmdq_errors(const struct cmdq *c)
{
	return reg_read(&c->q, SMMUV3_GERROR) ^
	       __atomic_load_n(&c->gerrorn, __ATOMIC_RELAXED);
}

/* GERROR first: CONS.ERR is valid from there on */
static bool queue_error(struct hostq *q, struct hostq_batch *b)
{
	uint32_t cons, at;

	if (!(cmdq_errors(to_cmdq(q)) & SMMUV3_GERROR_CMDQ))
		return false;
	cons = reg_read(q, SMMUV3_CMDQ_CONS);
	at = hostq_sub(q, cons, b->first);
	switch (field_get(SMMUV3_CMDQ_CONS_ERR, cons)) {
	case SMMUV3_CERROR_ILL:
		hostq_refused(q, b, at);
		break;
	case SMMUV3_CERROR_ATC_INV_SYNC:
		/* the sync runs again and finds nothing outstanding (7.1) */
		hostq_timeout(q, b, at);
		break;
	case SMMUV3_CERROR_ABT:
		hostq_count(&q->stats.aborts);
		hostq_try_again(q, b, at,
				"the command queue cannot be fetched");
		break;
	default:
		hostq_kill(q, "unknown command queue error");
	}
	if (!q->dead)
		ack(to_cmdq(q), SMMUV3_GERROR_CMDQ);
	return true;
}

/* GERROR bits other than CMDQ: nothing to repair, but they must be taken. */
static void queue_chores(struct hostq *q)
{
	uint32_t errors =
		cmdq_errors(to_cmdq(q)) & ~(uint32_t)SMMUV3_GERROR_CMDQ;

	if (!errors)
		return;
	logger_log(q->logger, LOGGER_WARN, "smmuv3: global errors %#x", errors);
	if (errors & SMMUV3_GERROR_SFM) {
		hostq_kill(q, "service failure mode");
		return;
	}
	/* behind it: what comes while they are active is lost as well */
	ack(to_cmdq(q), errors);
	if (to_cmdq(q)->taken)
		to_cmdq(q)->taken(to_cmdq(q), errors);
}

static const struct hostq_ops queue_ops = {
	.name = "smmuv3",
	.consumed = queue_consumed,
	.doorbell = queue_doorbell,
	.error = queue_error,
	.sync = queue_sync,
	.nothing = queue_nothing,
	.is_sync = queue_is_sync,
	.asks = queue_asks,
	.stop = queue_stop,
	.chores = queue_chores,
};

/* ---- entry points ---- */

void cmdq_gerror(struct cmdq *c)
{
	if (cmdq_errors(c))
		hostq_kick(&c->q);
}

void cmdq_post(struct cmdq *c, uint64_t dw0, uint64_t dw1)
{
	hostq_post(&c->q, (uint64_t[]){ dw0, dw1 });
}

uint32_t cmdq_code(const struct hostq_result *res)
{
	switch (res->code) {
	case HOSTQ_ILLEGAL:
		return SMMUV3_CERROR_ILL;
	case HOSTQ_NO_ANSWER:
		return SMMUV3_CERROR_ATC_INV_SYNC;
	case HOSTQ_DEAD:
		return SMMUV3_CERROR_ABT;
	default:
		return 0;
	}
}

int cmdq_init(struct cmdq *c, const struct core_hwport *port,
	      const struct logger *logger, unsigned int lg2,
	      unsigned int timeout_ms)
{
	struct hostq *q = &c->q;
	int rc;

	memset(c, 0, sizeof(*c));
	q->ops = &queue_ops;
	q->port = port;
	q->logger = logger;
	q->timeout_ms = timeout_ms;
	q->dwords = SMMUV3_CMD_SIZE / sizeof(uint64_t);
	q->stride = q->dwords;
	rc = hostq_init(q, lg2, true);
	if (rc)
		return rc;
	/* nothing of the time before is our error */
	c->gerrorn = reg_read(q, SMMUV3_GERROR);
	reg_write(q, SMMUV3_GERRORN, c->gerrorn);
	port->ops->write(port->ctx, SMMUV3_CMDQ_BASE, 8,
			 SMMUV3_Q_BASE_HINT | (q->mem.pa & SMMUV3_Q_BASE_ADDR) |
				 lg2);
	reg_write(q, SMMUV3_CMDQ_PROD, 0);
	reg_write(q, SMMUV3_CMDQ_CONS, 0);
	return 0;
}

void cmdq_fini(struct cmdq *c)
{
	hostq_fini(&c->q);
}
