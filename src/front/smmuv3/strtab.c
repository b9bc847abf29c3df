// SPDX-License-Identifier: MIT
/* Finding an STE in a linear or two-level stream table, IHI 0070 3.3.1, 5.1 */
#include "front/smmuv3/strtab.h"
#include "hwdef/smmuv3_regs.h"
#include "hwdef/smmuv3_tables.h"

#define STE_LG2	  6
#define L1STD_LG2 3

static unsigned int min_uint(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static bool is_two_level(const struct smmuv3_regs *regs,
			 const struct smmuv3_id *id)
{
	return (id->idr[0] & SMMUV3_IDR0_ST_LEVEL) &&
	       field_get(SMMUV3_STRTAB_CFG_FMT, regs->strtab_cfg) ==
		       SMMUV3_STRTAB_FMT_2LVL; /* reserved ones are linear */
}

unsigned int smmuv3_strtab_split(const struct smmuv3_regs *regs)
{
	unsigned int split = (unsigned int)field_get(SMMUV3_STRTAB_CFG_SPLIT,
						     regs->strtab_cfg);

	return split == 8 || split == 10 ? split : 6;
}

/* The SMMU aligns the base to the table's size as configured (6.3.24) */
static uint64_t base_address(const struct smmuv3_regs *regs,
			     unsigned int size_lg2)
{
	return regs->strtab_base & SMMUV3_STRTAB_BASE_ADDR &
	       ~low_mask(size_lg2);
}

static void bad_streamid(struct smmuv3_ste_at *at)
{
	at->event = SMMUV3_EVT_C_BAD_STREAMID;
}

static void find_linear(const struct smmuv3_regs *regs, uint32_t sid,
			unsigned int log2size, struct smmuv3_ste_at *at)
{
	at->addr = base_address(regs, log2size + STE_LG2) +
		   ((uint64_t)sid << STE_LG2);
}

static void find_two_level(const struct smmuv3_regs *regs, uint32_t sid,
			   unsigned int log2size, smmuv3_read64_fn read64,
			   void *ctx, struct smmuv3_ste_at *at)
{
	unsigned int split = smmuv3_strtab_split(regs);
	unsigned int l1_lg2 =
		log2size > split ? log2size - split + L1STD_LG2 : L1STD_LG2;
	uint64_t l1_addr = base_address(regs, l1_lg2) +
			   ((uint64_t)(sid >> split) << L1STD_LG2);
	uint32_t index = sid & (uint32_t)low_mask(split);
	unsigned int span;
	uint64_t l1;

	if (read64(ctx, l1_addr, &l1)) {
		at->event = SMMUV3_EVT_F_STE_FETCH;
		at->fetch = l1_addr;
		return;
	}
	/* values of 12 and more are out of bounds for any split (5.1) */
	span = (unsigned int)field_get(SMMUV3_L1STD_SPAN, l1);
	if (!span || span > split + 1 || index >> (span - 1)) {
		bad_streamid(at);
		return;
	}
	at->addr = (l1 & SMMUV3_L1STD_L2PTR & ~low_mask(STE_LG2 + span - 1)) +
		   ((uint64_t)index << STE_LG2);
}

void smmuv3_strtab_find(const struct smmuv3_regs *regs,
			const struct smmuv3_id *id, uint32_t sid,
			smmuv3_read64_fn read64, void *ctx,
			struct smmuv3_ste_at *at)
{
	unsigned int log2size = (unsigned int)field_get(
		SMMUV3_STRTAB_CFG_LOG2SIZE, regs->strtab_cfg);
	unsigned int sid_bits =
		(unsigned int)field_get(SMMUV3_IDR1_SIDSIZE, id->idr[1]);

	*at = (struct smmuv3_ste_at){ 0 };
	/* what does not fit SIDSIZE has no effect (6.3.25) but on alignment */
	if ((uint64_t)sid >> min_uint(log2size, sid_bits))
		bad_streamid(at);
	else if (is_two_level(regs, id))
		find_two_level(regs, sid, log2size, read64, ctx, at);
	else
		find_linear(regs, sid, log2size, at);
}
