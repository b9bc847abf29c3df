// SPDX-License-Identifier: MIT
/* Which architectures can be replayed, and where their registers are found. */
#include "arch.h"

#include <errno.h>
#include <stdio.h>

const struct replay_arch *replay_arch_of(const struct trace_meta *meta)
{
	switch (meta->iommu) {
	case TRACE_SMMUV3:
		return &replay_smmuv3;
	case TRACE_VTD:
		return &replay_vtd;
	default:
		return NULL;
	}
}

int replay_recorded(const struct trace_counts *regs, const char *name,
		    uint64_t *value)
{
	char half[32];
	uint64_t low;
	uint64_t high;

	if (!trace_count_get(regs, name, value))
		return 0;
	snprintf(half, sizeof(half), "%s_LO", name);
	if (trace_count_get(regs, half, &low))
		return -ENOENT;
	snprintf(half, sizeof(half), "%s_HI", name);
	if (trace_count_get(regs, half, &high))
		return -ENOENT;
	*value = (low & UINT32_MAX) | high << 32;
	return 0;
}
