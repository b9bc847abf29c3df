// SPDX-License-Identifier: MIT
/* See vtd.h. */
#include "pt/vtd.h"

#include <errno.h>

#include "base/bits.h"
#include "hwdef/vtd_tables.h"

#define PAGE_LG2   12
#define INDEX_BITS 9

uint64_t vtd_page_sizes(bool huge_1g)
{
	return BIT_ULL(12) | BIT_ULL(21) | (huge_1g ? BIT_ULL(30) : 0);
}

static bool config_is_valid(const struct vtd_pt_config *cfg)
{
	return (cfg->stage == 1 || cfg->stage == 2) && cfg->levels <= 5 &&
	       cfg->levels >= (cfg->stage == 1 ? 4 : 3) && cfg->oas >= 36 &&
	       cfg->oas <= 52 && !(cfg->huge_1g && cfg->only_4k);
}

static uint64_t first_attrs(const struct pt_format *fmt, unsigned int prot)
{
	(void)fmt;
	return VTD_FS_P | VTD_FS_US | VTD_FS_A | VTD_FS_D |
	       (prot & PT_PROT_WRITE ? VTD_FS_RW : 0);
}

static unsigned int first_prot(const struct pt_format *fmt, uint64_t entry)
{
	(void)fmt;
	return PT_PROT_READ | (entry & VTD_FS_RW ? PT_PROT_WRITE : 0);
}

static uint64_t second_attrs(const struct pt_format *fmt, unsigned int prot)
{
	(void)fmt;
	return (prot & PT_PROT_READ ? VTD_SS_R : 0) |
	       (prot & PT_PROT_WRITE ? VTD_SS_W : 0);
}

static unsigned int second_prot(const struct pt_format *fmt, uint64_t entry)
{
	(void)fmt;
	return (entry & VTD_SS_R ? PT_PROT_READ : 0) |
	       (entry & VTD_SS_W ? PT_PROT_WRITE : 0);
}

static const struct pt_format_ops first_ops = {
	.attrs = first_attrs,
	.prot = first_prot,
};

static const struct pt_format_ops second_ops = {
	.attrs = second_attrs,
	.prot = second_prot,
};

int vtd_pt_create(const struct vtd_pt_config *config,
		  const struct pt_mem_ops *mem, void *mem_ctx, struct pt **pt)
{
	bool first = config->stage == 1;
	struct pt_format fmt = {
		.ops = first ? &first_ops : &second_ops,
		.granule_lg2 = PAGE_LG2,
		.ias = PAGE_LG2 + config->levels * INDEX_BITS,
		.oas = config->oas,
		.top = config->levels - 1,
		.leaf_top = config->huge_1g ? 2 : !config->only_4k,
		.valid = first ? VTD_FS_P : VTD_SS_R | VTD_SS_W,
		.addr = first ? VTD_FS_ADDR : VTD_SS_ADDR,
		.table = first ? VTD_FS_P | VTD_FS_RW | VTD_FS_US | VTD_FS_A
			       : VTD_SS_R | VTD_SS_W,
		.block = first ? VTD_FS_PS : VTD_SS_PS,
		.dirty = config->dirty && !first ? VTD_SS_D : 0,
	};

	if (!config_is_valid(config))
		return -EINVAL;
	return pt_create(&fmt, mem, mem_ctx, pt);
}
