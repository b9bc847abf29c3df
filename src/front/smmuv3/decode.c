// SPDX-License-Identifier: MIT
/*
 * Decoding of SMMUv3 commands, Arm IHI 0070 chapter 4.
 *
 * A table says for each opcode which bits have a meaning or are IGNORED; all
 * others are RES0, and this implementation detects those (4.1.5). SSec is
 * among the others: on the Non-secure queue it must be 0 (4.1.6).
 */
#include <errno.h>

#include "front/smmuv3/decode.h"
#include "hwdef/smmuv3_regs.h"

#define DW0_SID	 (SMMUV3_CMD_0_OP | SMMUV3_CMD_0_SID)
#define DW0_SSID (DW0_SID | SMMUV3_CMD_0_SSID)
#define DW0_SSV	 (DW0_SSID | SMMUV3_CMD_0_SSV)
#define DW0_VMID (SMMUV3_CMD_0_OP | SMMUV3_TLBI_0_VMID)
#define DW0_ASID (SMMUV3_CMD_0_OP | SMMUV3_TLBI_0_ASID)
#define DW0_SYNC                                                  \
	(SMMUV3_CMD_0_OP | SMMUV3_SYNC_0_CS | SMMUV3_SYNC_0_MSH | \
	 SMMUV3_SYNC_0_MSIATTR | SMMUV3_SYNC_0_MSIDATA)
#define DW1_VA	(SMMUV3_TLBI_1_LEAF | SMMUV3_TLBI_1_VA)
#define DW1_IPA (SMMUV3_TLBI_1_LEAF | SMMUV3_TLBI_1_IPA)

#define S1	SMMUV3_IDR0_S1P
#define S2	SMMUV3_IDR0_S2P
#define HYP	SMMUV3_IDR0_HYP

/* What @legal leaves out is RES0; @need are bits of IDR0 that must be set. */
struct op {
	uint64_t legal[2];
	uint32_t need;
	bool exists;
	bool address; /* with the fields of 4.4.1.1 */
	const char *name;
};

#define OP(opcode, dw0, dw1, idr0) \
	[SMMUV3_OP_##opcode] = { { dw0, dw1 }, idr0, true, false, #opcode }
#define OP_ADDRESS(opcode, dw0, dw1, idr0) \
	[SMMUV3_OP_##opcode] = { { dw0, dw1 }, idr0, true, true, #opcode }
/* valid on the Secure queue only (4.4.2.5, 4.4.2.6) */
#define OP_SECURE(opcode) \
	[SMMUV3_OP_##opcode] = { { 0, 0 }, 0, false, false, #opcode }

static const struct op ops[SMMUV3_OP_SYNC + 1] = {
	OP(PREFETCH_CONFIG, DW0_SSV, 0, 0),
	OP(PREFETCH_ADDR, DW0_SSV,
	   SMMUV3_PREFETCH_1_SIZE | SMMUV3_PREFETCH_1_STRIDE |
		   SMMUV3_PREFETCH_1_ADDR,
	   0),
	OP(CFGI_STE, DW0_SID, SMMUV3_CFGI_1_LEAF, 0),
	OP(CFGI_STE_RANGE, DW0_SID, SMMUV3_CFGI_1_RANGE, 0),
	OP(CFGI_CD, DW0_SSID, SMMUV3_CFGI_1_LEAF, S1),
	OP(CFGI_CD_ALL, DW0_SID, 0, S1),
	OP(CFGI_VMS_PIDM, DW0_VMID, 0, 0),
	OP(TLBI_NH_ALL, DW0_VMID, 0, S1),
	OP(TLBI_NH_ASID, DW0_VMID | DW0_ASID, 0, S1),
	OP_ADDRESS(TLBI_NH_VA, DW0_VMID | DW0_ASID, DW1_VA, S1),
	OP_ADDRESS(TLBI_NH_VAA, DW0_VMID, DW1_VA, S1),
	OP_SECURE(TLBI_EL3_ALL),
	OP_SECURE(TLBI_EL3_VA),
	OP(TLBI_EL2_ALL, SMMUV3_CMD_0_OP, 0, HYP),
	OP(TLBI_EL2_ASID, DW0_ASID, 0, HYP),
	OP_ADDRESS(TLBI_EL2_VA, DW0_ASID, DW1_VA, HYP),
	OP_ADDRESS(TLBI_EL2_VAA, SMMUV3_CMD_0_OP, DW1_VA, HYP),
	OP(TLBI_S12_VMALL, DW0_VMID, 0, S2),
	OP_ADDRESS(TLBI_S2_IPA, DW0_VMID, DW1_IPA, S2),
	OP(TLBI_NSNH_ALL, SMMUV3_CMD_0_OP, 0, 0),
	OP(ATC_INV, DW0_SSV | SMMUV3_ATC_0_G,
	   SMMUV3_ATC_1_SIZE | SMMUV3_ATC_1_ADDR, SMMUV3_IDR0_ATS),
	OP(PRI_RESP, DW0_SSV, SMMUV3_PRI_1_PRGINDEX | SMMUV3_PRI_1_RESP,
	   SMMUV3_IDR0_PRI),
	OP(RESUME, DW0_SID | SMMUV3_RESUME_0_AC | SMMUV3_RESUME_0_AB,
	   SMMUV3_RESUME_1_STAG, 0),
	OP(STALL_TERM, DW0_SID, 0, 0),
	OP(SYNC, DW0_SYNC, SMMUV3_SYNC_1_MSIADDR, 0),
};

/* Bits of a physical or intermediate address that exist at all (4.1.6) */
static uint64_t pa_field(const struct smmuv3_id *id)
{
	uint64_t minor = field_get(SMMUV3_AIDR_MINOR, id->aidr);

	if (!minor)
		return low_mask(48);
	return low_mask(minor < 4 ? 52 : 56);
}

static bool has_range(const struct smmuv3_id *id)
{
	return id->idr[3] & SMMUV3_IDR3_RIL;
}

static uint64_t scale_field(const struct smmuv3_id *id)
{
	return id->idr[5] & SMMUV3_IDR5_DS ? SMMUV3_TLBI_0_SCALE_DS
					   : SMMUV3_TLBI_0_SCALE;
}

/*
 * The level that TTL names, 0 for none. There is no level-1 leaf with 16 KiB
 * granules unless DS is implemented: treated as no hint (4.4.1.1).
 */
static uint8_t level_hint(uint64_t dw1, const struct smmuv3_id *id)
{
	uint8_t ttl = (uint8_t)field_get(SMMUV3_TLBI_1_TTL, dw1);

	if (field_get(SMMUV3_TLBI_1_TG, dw1) == 2 && ttl == 1 &&
	    !(id->idr[5] & SMMUV3_IDR5_DS))
		return 0;
	return ttl;
}

/* 4.4.1.1. Without RIL, or with TG 0, NUM, SCALE and TTL are RES0. */
static bool range_is_legal(const uint64_t dw[2], const struct smmuv3_id *id)
{
	uint64_t in0 = dw[0] & (SMMUV3_TLBI_0_NUM | scale_field(id));
	uint64_t in1 = dw[1] & (SMMUV3_TLBI_1_TTL | SMMUV3_TLBI_1_TG);

	if (!in0 && !in1)
		return true;
	if (!has_range(id) || !(in1 & SMMUV3_TLBI_1_TG))
		return false;
	/* a granule and nothing else is Reserved */
	return in0 || level_hint(dw[1], id);
}

static bool tlbi_address_is_legal(const uint64_t dw[2], const struct op *op,
				  const struct smmuv3_id *id)
{
	uint64_t legal0 = op->legal[0];
	uint64_t legal1 = op->legal[1];

	if ((dw[0] & SMMUV3_CMD_0_OP) == SMMUV3_OP_TLBI_S2_IPA)
		legal1 &= pa_field(id);
	if (!(dw[0] & ~legal0) && !(dw[1] & ~legal1))
		return true; /* the common case: nothing of ranges */
	legal0 |= SMMUV3_TLBI_0_NUM | scale_field(id);
	legal1 |= SMMUV3_TLBI_1_TTL | SMMUV3_TLBI_1_TG;
	return !(dw[0] & ~legal0) && !(dw[1] & ~legal1) &&
	       range_is_legal(dw, id);
}

static bool stall_is_offered(const struct smmuv3_id *id)
{
	return field_get(SMMUV3_IDR0_STALL_MODEL, id->idr[0]) !=
	       SMMUV3_STALL_NONE;
}

/* MSIADDRESS is IGNORED where no MSI is asked for or supported (4.7.3) */
static bool sync_is_legal(const uint64_t dw[2], const struct smmuv3_id *id)
{
	switch (field_get(SMMUV3_SYNC_0_CS, dw[0])) {
	case SMMUV3_SYNC_CS_NONE:
	case SMMUV3_SYNC_CS_SEV:
		return true;
	case SMMUV3_SYNC_CS_IRQ:
		return !(id->idr[0] & SMMUV3_IDR0_MSI) ||
		       !(dw[1] & ~pa_field(id));
	default:
		return false;
	}
}

/* What single commands refuse beyond reserved bits */
static bool operands_are_legal(const uint64_t dw[2], const struct smmuv3_id *id)
{
	switch (dw[0] & SMMUV3_CMD_0_OP) {
	case SMMUV3_OP_PREFETCH_ADDR: /* v3.0 has no stride (4.2.2) */
		return (id->aidr & SMMUV3_AIDR_MINOR) ||
		       !(dw[1] & SMMUV3_PREFETCH_1_STRIDE);
	case SMMUV3_OP_CFGI_VMS_PIDM: /* 4.3.5 */
		return id->idr[3] & SMMUV3_IDR3_MPAM;
	case SMMUV3_OP_ATC_INV: /* more than all may be refused (4.5.1) */
		return field_get(SMMUV3_ATC_1_SIZE, dw[1]) <=
		       SMMUV3_ATC_SIZE_ALL;
	case SMMUV3_OP_PRI_RESP:
		return field_get(SMMUV3_PRI_1_RESP, dw[1]) <=
		       SMMUV3_PRI_SUCCESS;
	case SMMUV3_OP_RESUME: /* 4.7.1, 4.7.2 */
	case SMMUV3_OP_STALL_TERM:
		return stall_is_offered(id);
	case SMMUV3_OP_SYNC:
		return sync_is_legal(dw, id);
	default:
		return true;
	}
}

static bool is_legal(const uint64_t dw[2], const struct op *op,
		     const struct smmuv3_id *id)
{
	if (!op->exists || (id->idr[0] & op->need) != op->need)
		return false;
	if (op->address)
		return tlbi_address_is_legal(dw, op, id);
	if ((dw[0] & ~op->legal[0]) || (dw[1] & ~op->legal[1]))
		return false;
	return operands_are_legal(dw, id);
}

/* [first, first + units * 2^shift), ending at the top of the address space */
static void set_span(struct smmuv3_cmd *cmd, uint64_t first, uint64_t units,
		     unsigned int shift)
{
	uint64_t less_one, last;

	if (shift >= 64 || units > (~0ULL >> shift))
		less_one = ~0ULL;
	else
		less_one = (units << shift) - 1;
	if (__builtin_add_overflow(first, less_one, &last))
		last = ~0ULL; /* ranges do not wrap (4.4.1.1) */
	cmd->first = first;
	cmd->last = last;
}

static void decode_tlbi_address(const uint64_t dw[2],
				const struct smmuv3_id *id,
				struct smmuv3_cmd *cmd)
{
	uint64_t tg = field_get(SMMUV3_TLBI_1_TG, dw[1]);
	uint64_t addr = dw[1] & SMMUV3_TLBI_1_VA;
	uint64_t scale;

	cmd->leaf = dw[1] & SMMUV3_TLBI_1_LEAF;
	if (!tg) {
		cmd->first = addr;
		cmd->last = addr | low_mask(12);
		return;
	}
	scale = field_get(scale_field(id), dw[0]);
	if (scale > SMMUV3_TLBI_SCALE_MAX)
		scale = SMMUV3_TLBI_SCALE_MAX;
	cmd->range = true;
	cmd->granule_lg2 = (uint8_t)(10 + 2 * tg);
	cmd->ttl = level_hint(dw[1], id);
	/*
	 * Which addresses a base that is not aligned for TG and TTL selects is
	 * UNPREDICTABLE (4.4.1.1); here it is the range as written.
	 */
	set_span(cmd, addr, field_get(SMMUV3_TLBI_0_NUM, dw[0]) + 1,
		 (unsigned int)scale + cmd->granule_lg2);
}

static void decode_tlbi(const uint64_t dw[2], const struct op *op,
			const struct smmuv3_id *id, struct smmuv3_cmd *cmd)
{
	if (op->legal[0] & SMMUV3_TLBI_0_ASID)
		cmd->asid = (uint16_t)field_get(SMMUV3_TLBI_0_ASID, dw[0]);
	/* not matched without stage 2 (4.4.2) */
	if ((op->legal[0] & SMMUV3_TLBI_0_VMID) &&
	    (id->idr[0] & SMMUV3_IDR0_S2P))
		cmd->vmid = (uint16_t)field_get(SMMUV3_TLBI_0_VMID, dw[0]);
	if (op->address)
		decode_tlbi_address(dw, id, cmd);
}

static void decode_sid(const uint64_t dw[2], struct smmuv3_cmd *cmd)
{
	cmd->sid = (uint32_t)field_get(SMMUV3_CMD_0_SID, dw[0]);
	cmd->sid_last = cmd->sid;
}

/* Without SubstreamIDs, SSV counts as 0: one of the choices of 4.2 and 4.5 */
static void decode_ssv(const uint64_t dw[2], const struct smmuv3_id *id,
		       struct smmuv3_cmd *cmd)
{
	decode_sid(dw, cmd);
	cmd->ssv = (dw[0] & SMMUV3_CMD_0_SSV) &&
		   (id->idr[1] & SMMUV3_IDR1_SSIDSIZE);
	if (cmd->ssv)
		cmd->ssid = (uint32_t)field_get(SMMUV3_CMD_0_SSID, dw[0]);
}

static void decode_prefetch_addr(const uint64_t dw[2], struct smmuv3_cmd *cmd)
{
	set_span(cmd, dw[1] & SMMUV3_PREFETCH_1_ADDR,
		 BIT_ULL(field_get(SMMUV3_PREFETCH_1_SIZE, dw[1])),
		 12 + (unsigned int)field_get(SMMUV3_PREFETCH_1_STRIDE, dw[1]));
}

/* The low RANGE + 1 bits of the StreamID are IGNORED (4.3.2) */
static void decode_ste_range(const uint64_t dw[2], struct smmuv3_cmd *cmd)
{
	unsigned int range =
		(unsigned int)field_get(SMMUV3_CFGI_1_RANGE, dw[1]);
	uint32_t low = (uint32_t)low_mask(range + 1);

	decode_sid(dw, cmd);
	cmd->sid &= ~low;
	cmd->sid_last = cmd->sid | low;
}

static void decode_cfgi_cd(const uint64_t dw[2], struct smmuv3_cmd *cmd)
{
	decode_sid(dw, cmd);
	cmd->ssid = (uint32_t)field_get(SMMUV3_CMD_0_SSID, dw[0]);
	cmd->leaf = dw[1] & SMMUV3_CFGI_1_LEAF;
}

static void decode_atc_inv(const uint64_t dw[2], struct smmuv3_cmd *cmd)
{
	unsigned int bits =
		12 + (unsigned int)field_get(SMMUV3_ATC_1_SIZE, dw[1]);

	cmd->first = dw[1] & SMMUV3_ATC_1_ADDR & ~low_mask(bits);
	cmd->last = cmd->first | low_mask(bits);
	cmd->global = cmd->ssv && (dw[0] & SMMUV3_ATC_0_G);
}

static void decode_resume(const uint64_t dw[2], const struct smmuv3_id *id,
			  struct smmuv3_cmd *cmd)
{
	decode_sid(dw, cmd);
	cmd->stag = (uint16_t)field_get(SMMUV3_RESUME_1_STAG, dw[1]);
	cmd->retry = dw[0] & SMMUV3_RESUME_0_AC;
	/* Ab is IGNORED with Ac, and where terminating always aborts (4.7.1) */
	if (!cmd->retry)
		cmd->abort = (dw[0] & SMMUV3_RESUME_0_AB) ||
			     (id->idr[0] & SMMUV3_IDR0_TERM_MODEL);
}

static void decode_sync(const uint64_t dw[2], const struct smmuv3_id *id,
			struct smmuv3_cmd *cmd)
{
	cmd->cs = (uint8_t)field_get(SMMUV3_SYNC_0_CS, dw[0]);
	if (cmd->cs != SMMUV3_SYNC_CS_IRQ || !(id->idr[0] & SMMUV3_IDR0_MSI))
		return;
	cmd->msi_data = (uint32_t)field_get(SMMUV3_SYNC_0_MSIDATA, dw[0]);
	cmd->msi_addr = dw[1] & SMMUV3_SYNC_1_MSIADDR;
}

static void decode_operands(const uint64_t dw[2], const struct op *op,
			    const struct smmuv3_id *id, struct smmuv3_cmd *cmd)
{
	switch (cmd->op) {
	case SMMUV3_OP_PREFETCH_CONFIG:
		decode_ssv(dw, id, cmd);
		return;
	case SMMUV3_OP_PREFETCH_ADDR:
		decode_ssv(dw, id, cmd);
		decode_prefetch_addr(dw, cmd);
		return;
	case SMMUV3_OP_CFGI_STE:
		cmd->leaf = dw[1] & SMMUV3_CFGI_1_LEAF;
		decode_sid(dw, cmd);
		return;
	case SMMUV3_OP_CFGI_STE_RANGE:
		decode_ste_range(dw, cmd);
		return;
	case SMMUV3_OP_CFGI_CD:
		decode_cfgi_cd(dw, cmd);
		return;
	case SMMUV3_OP_CFGI_CD_ALL:
	case SMMUV3_OP_STALL_TERM:
		decode_sid(dw, cmd);
		return;
	case SMMUV3_OP_ATC_INV:
		decode_ssv(dw, id, cmd);
		decode_atc_inv(dw, cmd);
		return;
	case SMMUV3_OP_PRI_RESP:
		decode_ssv(dw, id, cmd);
		cmd->prg_index =
			(uint16_t)field_get(SMMUV3_PRI_1_PRGINDEX, dw[1]);
		cmd->resp = (uint8_t)field_get(SMMUV3_PRI_1_RESP, dw[1]);
		return;
	case SMMUV3_OP_RESUME:
		decode_resume(dw, id, cmd);
		return;
	case SMMUV3_OP_SYNC:
		decode_sync(dw, id, cmd);
		return;
	default: /* CFGI_VMS_PIDM has the VMID of TLB invalidations */
		decode_tlbi(dw, op, id, cmd);
		return;
	}
}

int smmuv3_decode(const uint64_t dw[2], const struct smmuv3_id *id,
		  struct smmuv3_cmd *cmd)
{
	uint8_t opcode = (uint8_t)field_get(SMMUV3_CMD_0_OP, dw[0]);

	if (opcode >= ARRAY_SIZE(ops) || !is_legal(dw, &ops[opcode], id))
		return -EINVAL;

	*cmd = (struct smmuv3_cmd){ .op = opcode };
	decode_operands(dw, &ops[opcode], id, cmd);
	return 0;
}

const char *smmuv3_op_name(uint8_t op)
{
	return op < ARRAY_SIZE(ops) ? ops[op].name : NULL;
}
