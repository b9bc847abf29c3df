// SPDX-License-Identifier: MIT
/* See armv8.h. */
#include "pt/armv8.h"

#include <errno.h>

#include "base/bits.h"
#include "hwdef/armv8_pt.h"

#define LAST_LEVEL    3
#define MAX_CONCAT    16 /* stage-2 start tables side by side, D8.2.2 */
#define SH_OUTER      2
#define S2_MEM_DEVICE 1 /* Device-nGnRE */

uint64_t armv8_page_sizes(unsigned int granule_lg2)
{
	switch (granule_lg2) {
	case 12:
		return BIT_ULL(12) | BIT_ULL(21) | BIT_ULL(30);
	case 14:
		return BIT_ULL(14) | BIT_ULL(25);
	case 16:
		return BIT_ULL(16) | BIT_ULL(29);
	}
	return 0;
}

static bool config_is_valid(const struct armv8_pt_config *cfg)
{
	return (cfg->stage == 1 || cfg->stage == 2) &&
	       armv8_page_sizes(cfg->granule_lg2) && cfg->ias >= 32 &&
	       cfg->ias <= 48 && cfg->oas >= 32 && cfg->oas <= 48 &&
	       cfg->attr_normal < 8 && cfg->attr_device < 8;
}

/*
 * D8.2: the table that resolves the top of the input address; for stage 2 up
 * to 16 tables of the next level side by side replace it.
 */
static unsigned int top_height(const struct armv8_pt_config *cfg)
{
	unsigned int bits = cfg->granule_lg2 - 3;
	unsigned int top = (cfg->ias - cfg->granule_lg2 + bits - 1) / bits - 1;
	unsigned int index = cfg->ias - cfg->granule_lg2 - top * bits;

	if (cfg->stage == 2 && top && (1u << index) <= MAX_CONCAT)
		return top - 1;
	return top;
}

static uint64_t shareable(uint64_t desc, unsigned int prot)
{
	return desc |
	       field_prep(ARMV8_PTE_SH,
			  prot & PT_PROT_DEVICE ? SH_OUTER : ARMV8_SH_INNER);
}

static uint64_t stage1_attrs(const struct pt_format *fmt, unsigned int prot)
{
	uint64_t desc = ARMV8_PTE_AF | ARMV8_S1_NG | ARMV8_S1_AP_EL0;

	if (!(prot & PT_PROT_WRITE))
		desc |= ARMV8_S1_AP_RO;
	desc |= field_prep(ARMV8_S1_ATTRINDX, prot & PT_PROT_DEVICE
						      ? fmt->attr_device
						      : fmt->attr_normal);
	return shareable(desc, prot);
}

static unsigned int stage1_prot(const struct pt_format *fmt, uint64_t desc)
{
	unsigned int prot = PT_PROT_READ;

	if (!(desc & ARMV8_S1_AP_RO))
		prot |= PT_PROT_WRITE;
	if (field_get(ARMV8_S1_ATTRINDX, desc) == fmt->attr_device)
		prot |= PT_PROT_DEVICE;
	return prot;
}

static uint64_t stage2_attrs(const struct pt_format *fmt, unsigned int prot)
{
	uint64_t desc = ARMV8_PTE_AF;

	(void)fmt;
	if (prot & PT_PROT_READ)
		desc |= ARMV8_S2_AP_R;
	if (prot & PT_PROT_WRITE)
		desc |= ARMV8_S2_AP_W;
	desc |= field_prep(ARMV8_S2_MEMATTR, prot & PT_PROT_DEVICE
						     ? S2_MEM_DEVICE
						     : ARMV8_S2_MEM_WB);
	return shareable(desc, prot);
}

static unsigned int stage2_prot(const struct pt_format *fmt, uint64_t desc)
{
	unsigned int prot = 0;

	(void)fmt;
	if (desc & ARMV8_S2_AP_R)
		prot |= PT_PROT_READ;
	if (desc & ARMV8_S2_AP_W)
		prot |= PT_PROT_WRITE;
	if (field_get(ARMV8_S2_MEMATTR, desc) == S2_MEM_DEVICE)
		prot |= PT_PROT_DEVICE;
	return prot;
}

static const struct pt_format_ops stage1_ops = {
	.attrs = stage1_attrs,
	.prot = stage1_prot,
};

static const struct pt_format_ops stage2_ops = {
	.attrs = stage2_attrs,
	.prot = stage2_prot,
};

int armv8_pt_create(const struct armv8_pt_config *config,
		    const struct pt_mem_ops *mem, void *mem_ctx, struct pt **pt)
{
	struct pt_format fmt = {
		.ops = config->stage == 1 ? &stage1_ops : &stage2_ops,
		.granule_lg2 = config->granule_lg2,
		.ias = config->ias,
		.oas = config->oas,
		.leaf_top = config->granule_lg2 == 12 ? 2 : 1,
		.valid = ARMV8_PTE_VALID,
		.addr = ARMV8_PTE_ADDR,
		.table = ARMV8_PTE_VALID | ARMV8_PTE_TABLE,
		.page = ARMV8_PTE_VALID | ARMV8_PTE_TABLE,
		.block = ARMV8_PTE_VALID,
		.attr_normal = config->attr_normal,
		.attr_device = config->attr_device,
	};

	if (!config_is_valid(config))
		return -EINVAL;
	fmt.top = top_height(config);
	return pt_create(&fmt, mem, mem_ctx, pt);
}

void armv8_pt_root(const struct pt *pt, struct armv8_pt_root *root)
{
	const struct pt_format *fmt = pt_format(pt);

	root->ttb = pt_root(pt);
	root->t0sz = 64 - fmt->ias;
	root->start_level = LAST_LEVEL - fmt->top;
	root->sl0 = (fmt->granule_lg2 == 12 ? 2 : 3) - root->start_level;
}
