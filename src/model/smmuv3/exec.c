// SPDX-License-Identifier: MIT
/*
 * Executing commands, Arm IHI 0070 chapter 4, one span at a time.
 */
#include "model/smmuv3/engine.h"

#include <errno.h>

#include "front/smmuv3/strtab.h"
#include "hwdef/smmuv3_regs.h"
#include "model/stretch.h"

#define EVERY_REGIME                                            \
	(REGIMES_LEAF_S1 | REGIMES_TABLE_S1 | REGIMES_LEAF_S2 | \
	 REGIMES_TABLE_S2)

/*
 * The regimes of @tables whose descriptors are above level @ttl (4.4.1.1). Of
 * S2_TABLE_L2, which holds those of levels 1 and 0, the caller must see to it.
 */
static uint32_t tables_above(uint32_t tables, uint8_t ttl)
{
	uint32_t above = tables;

	if (ttl <= 2)
		above &= ~(1u << SMMUV3_REGIME_S1_TABLE |
			   1u << SMMUV3_REGIME_S2_TABLE);
	if (ttl <= 1)
		above &= ~(1u << SMMUV3_REGIME_S1_TABLE_L2);
	return above;
}

/*
 * By address: leaves by TTL and granule; with Leaf 0 the tables on the way as
 * well, and with TTL those above the level it names.
 */
static unsigned int scope_address(const struct smmuv3_cmd *cmd, uint32_t by,
				  uint32_t leaves, uint32_t tables,
				  struct iotlb_inval inval[2])
{
	if (cmd->granule_lg2)
		by |= IOTLB_BY_GRANULE;
	inval[0] = (struct iotlb_inval){
		.first = cmd->first,
		.last = cmd->last,
		.by = by | IOTLB_BY_VMID | IOTLB_BY_RANGE |
		      (cmd->ttl ? IOTLB_BY_LEVEL : 0),
		.regimes = cmd->leaf || cmd->ttl ? leaves : leaves | tables,
		.asid = cmd->asid,
		.vmid = cmd->vmid,
		.level = cmd->ttl,
		.granule_lg2 = cmd->granule_lg2,
	};
	if (cmd->leaf || !cmd->ttl)
		return 1;
	inval[1] = inval[0];
	inval[1].regimes = tables_above(tables, cmd->ttl);
	inval[1].level = 0; /* all that is above level 1 */
	if (cmd->ttl > 1)
		inval[1].by &= ~IOTLB_BY_LEVEL;
	return 2;
}

static unsigned int scope_tag(const struct smmuv3_cmd *cmd, uint32_t by,
			      uint32_t regimes, struct iotlb_inval inval[2])
{
	inval[0] = (struct iotlb_inval){
		.by = by,
		.regimes = regimes,
		.asid = cmd->asid,
		.vmid = cmd->vmid,
	};
	return 1;
}

unsigned int exec_scope(const struct smmuv3_cmd *cmd,
			struct iotlb_inval inval[2])
{
	const uint32_t s1 = REGIMES_LEAF_S1 | REGIMES_TABLE_S1;

	switch (cmd->op) {
	case SMMUV3_OP_TLBI_NH_ALL:
		return scope_tag(cmd, IOTLB_BY_VMID, s1, inval);
	case SMMUV3_OP_TLBI_NH_ASID: /* global entries stay (4.4.2) */
		return scope_tag(cmd, IOTLB_BY_VMID | IOTLB_BY_ASID, s1, inval);
	case SMMUV3_OP_TLBI_NH_VA:
		return scope_address(cmd, IOTLB_BY_ASID | IOTLB_GLOBALS,
				     REGIMES_LEAF_S1, REGIMES_TABLE_S1, inval);
	case SMMUV3_OP_TLBI_NH_VAA:
		return scope_address(cmd, 0, REGIMES_LEAF_S1, REGIMES_TABLE_S1,
				     inval);
	case SMMUV3_OP_TLBI_S12_VMALL:
		return scope_tag(cmd, IOTLB_BY_VMID, EVERY_REGIME, inval);
	case SMMUV3_OP_TLBI_S2_IPA: /* not what stage 1 made of it (4.4.3) */
		return scope_address(cmd, 0, REGIMES_LEAF_S2, REGIMES_TABLE_S2,
				     inval);
	case SMMUV3_OP_TLBI_NSNH_ALL:
		return scope_tag(cmd, 0, EVERY_REGIME, inval);
	default:
		return 0;
	}
}

static void exec_tlbi(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	struct iotlb_inval inval[2];
	unsigned int n = exec_scope(cmd, inval);
	uint32_t regimes = 0;

	for (unsigned int i = 0; i < n; i++)
		regimes |= inval[i].regimes;
	engine_forget(&m->engine, inval, n, regimes & ~REGIMES_LEAF_S1);
}

/* Does this port's L1STD lead to an STE that @cmd names? */
static bool same_l1std(const struct smmuv3_regs *regs,
		       const struct engine_port *port,
		       const struct smmuv3_cmd *cmd)
{
	unsigned int split = smmuv3_strtab_split(regs);
	uint32_t index = port->config.stream_id >> split;

	return index >= cmd->sid >> split && index <= cmd->sid_last >> split;
}

/* The L1STDs go too, which neighbours may have cached (4.3.1, 4.3.2). */
static void cfgi_l1std(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	struct smmuv3_regs regs;

	if (!m->engine.hostile)
		return;
	smmuv3_front_regs(m->front, &regs);
	for (size_t n = 0; n < m->engine.port_count; n++) {
		if (same_l1std(&regs, m->engine.ports[n], cmd))
			context_drop_l1std(smmu_port(m->engine.ports[n]));
	}
}

static void cfgi_port(struct smmuv3_port *port, const struct smmuv3_cmd *cmd)
{
	switch (cmd->op) {
	case SMMUV3_OP_CFGI_STE:
		context_drop_stream(port, cmd->leaf);
		return;
	case SMMUV3_OP_CFGI_STE_RANGE:
		context_drop_stream(port, false);
		return;
	case SMMUV3_OP_CFGI_CD:
		context_drop_cd(port, cmd->ssid, cmd->leaf);
		return;
	default:
		context_drop_cds(port);
		return;
	}
}

/* Only those that have something: a full queue may name all of many ports. */
static void exec_cfgi(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	bool ste = cmd->op == SMMUV3_OP_CFGI_STE ||
		   cmd->op == SMMUV3_OP_CFGI_STE_RANGE;
	struct engine *e = &m->engine;
	struct engine_port *port;

	ports_enter(e);
	if (cmd->op == SMMUV3_OP_CFGI_STE_RANGE || (ste && !cmd->leaf))
		cfgi_l1std(m, cmd);
	port = port_next_loaded(e, port_find(e, cmd->sid));
	while (port && port->config.stream_id <= cmd->sid_last) {
		if (ste)
			port_unload(port);
		cfgi_port(smmu_port(port), cmd);
		port = port_next_loaded(e, port->index + 1);
	}
	ports_leave(e);
}

/* True if commands may run ahead of syncs in front of them. */
static bool runs_ahead(uint8_t op)
{
	switch (op) {
	case SMMUV3_OP_RESUME:
	case SMMUV3_OP_STALL_TERM:
	case SMMUV3_OP_PRI_RESP:
		return false;
	default:
		return true;
	}
}

static void exec_one(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	switch (cmd->op) {
	case SMMUV3_OP_PREFETCH_CONFIG: /* hints, and not taken */
	case SMMUV3_OP_PREFETCH_ADDR:
	case SMMUV3_OP_CFGI_VMS_PIDM: /* there is no VMS to cache */
		return;
	case SMMUV3_OP_CFGI_STE:
	case SMMUV3_OP_CFGI_STE_RANGE:
	case SMMUV3_OP_CFGI_CD:
	case SMMUV3_OP_CFGI_CD_ALL:
		exec_cfgi(m, cmd);
		m->engine.pending = true;
		return;
	case SMMUV3_OP_ATC_INV:
		ats_invalidate(m, cmd);
		m->engine.pending = true;
		return;
	case SMMUV3_OP_RESUME:
		stall_resume(m, cmd);
		return;
	case SMMUV3_OP_STALL_TERM:
		stall_terminate(m, cmd->sid);
		return;
	case SMMUV3_OP_PRI_RESP:
		pri_response(m, cmd);
		return;
	default:
		exec_tlbi(m, cmd);
		m->engine.pending = true;
		return;
	}
}

/* A span of the queue, and why it stopped */
struct span {
	const uint64_t (*cmds)[2];
	uint32_t code;
};

static bool names_streams(uint8_t op)
{
	switch (op) {
	case SMMUV3_OP_PREFETCH_CONFIG:
	case SMMUV3_OP_PREFETCH_ADDR:
	case SMMUV3_OP_CFGI_STE:
	case SMMUV3_OP_CFGI_STE_RANGE:
	case SMMUV3_OP_CFGI_CD:
	case SMMUV3_OP_CFGI_CD_ALL:
	case SMMUV3_OP_ATC_INV:
	case SMMUV3_OP_PRI_RESP:
	case SMMUV3_OP_RESUME:
	case SMMUV3_OP_STALL_TERM:
		return true;
	default:
		return false;
	}
}

static bool called_illegal(struct smmuv3_model *m, const struct smmuv3_cmd *cmd)
{
	const struct inject_chance chance = {
		.kinds = INJECT_SET(INJECT_ILL),
		.opcode = cmd->op,
		.streams = names_streams(cmd->op),
		.sid = cmd->sid,
		.sid_last = cmd->sid_last,
	};
	uint32_t delay_us;

	return inject_ask(&m->engine.inject, &chance, &delay_us) != INJECT_NONE;
}

/* Before the command takes effect: fetched, then decoded. 0 or the error */
static uint32_t judge(struct smmuv3_model *m, const uint64_t dw[2], bool armed,
		      struct smmuv3_cmd *cmd)
{
	uint32_t delay_us;

	if (armed && inject_happens(&m->engine.inject, INJECT_ABT, &delay_us))
		return SMMUV3_CERROR_ABT;
	if (smmuv3_decode(dw, &m->id, cmd) || (armed && called_illegal(m, cmd)))
		return SMMUV3_CERROR_ILL;
	return 0;
}

static enum ran run_sync(struct engine *e, struct span *s, bool armed,
			 const struct smmuv3_cmd *cmd)
{
	if (e->atc_failed) {
		e->atc_failed = false;
		s->code = SMMUV3_CERROR_ATC_INV_SYNC;
		return RAN_STOP;
	}
	stretch_slow(e, armed);
	stretch_consumed(e, cmd);
	return RAN_SYNC;
}

static enum ran run(struct engine *e, void *span, uint32_t i, bool armed,
		    bool ahead)
{
	struct smmuv3_model *m = (struct smmuv3_model *)e;
	struct span *s = span;
	struct smmuv3_cmd cmd;

	s->code = judge(m, s->cmds[i], armed, &cmd);
	if (s->code)
		return RAN_STOP;
	if (ahead && !runs_ahead(cmd.op))
		return RAN_NOT;
	if (cmd.op == SMMUV3_OP_SYNC)
		return run_sync(e, s, armed, &cmd);
	exec_one(m, &cmd);
	stretch_consumed(e, &cmd);
	return RAN;
}

static bool is_sync(const void *span, uint32_t i)
{
	const struct span *s = span;

	return (s->cmds[i][0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_SYNC;
}

static void complete(struct engine *e, void *span, uint32_t i)
{
	const struct span *s = span;

	smmuv3_front_sync(((struct smmuv3_model *)e)->front, s->cmds[i], i + 1);
}

static const struct stretch_ops ops = {
	.run = run,
	.is_sync = is_sync,
	.sync = complete,
};

struct smmuv3_consumed exec_consume(void *ctx, const uint64_t (*cmds)[2],
				    uint32_t n)
{
	struct smmuv3_model *m = ctx;
	struct span s = { .cmds = cmds };
	uint32_t done = stretch_consume(&m->engine, &ops, &s, n);

	/* hardware has waited for the answer before it says that there is none
	 */
	if (s.code == SMMUV3_CERROR_ATC_INV_SYNC)
		engine_hold_wait(&m->engine);
	return (struct smmuv3_consumed){ .done = done, .code = s.code };
}
