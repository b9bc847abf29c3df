// SPDX-License-Identifier: MIT
/* See hw.h. */
#include "hw.h"

#include <errno.h>

int hw_word(struct nestfd_device *dev, unsigned int d, unsigned int n, bool ats,
	    uint64_t *value)
{
	struct nestfd_dma dma = {
		.size = sizeof(dma),
		.iova = IOVA(d, n),
		.pasid = NESTFD_NO_PASID,
		.flags = ats ? NESTFD_DMA_TRANSLATED : 0,
		.buf = value,
		.length = sizeof(*value),
	};

	return nestfd_dma(dev, &dma);
}

int hw_moved(struct nestfd_device *dev, unsigned int d, bool ats)
{
	int moved = 0;

	for (unsigned int n = 0; n < PAGES; n++) {
		uint64_t value = ~0ULL;
		int rc = hw_word(dev, d, n, ats, &value);

		if (rc)
			return rc;
		if (value != n && value != n + 0x100)
			return -EPROTO;
		moved |= value == n ? 0 : 1 << n;
	}
	return moved;
}

struct held {
	unsigned int d;
	int mask;
	unsigned int strange;
};

/* Stage 1 and 2 combined, pages */
static void held_one(void *ctx, const struct nestfd_cache_entry *entry)
{
	struct held *held = ctx;

	if (entry->kind != 1)
		return;
	for (unsigned int d = 0; d <= NEIGHBOUR; d++) {
		uint64_t n = (entry->iova - IOVA(d, 0)) >> 12;

		if (entry->iova < IOVA(d, 0) || n >= PAGES ||
		    entry->asid != d + 1)
			continue;
		if (d == held->d)
			held->mask |= 1 << n;
		return;
	}
	held->strange++;
}

int hw_held(struct nestfd_machine *machine, unsigned int d)
{
	struct held held = { .d = d };

	nestfd_iommu_entries(machine, held_one, &held);
	return held.strange ? -EPROTO : held.mask;
}

int hw_break(struct nestfd_machine *machine, const struct fault *fault)
{
	struct nestfd_fault rule = {
		.size = sizeof(rule),
		.opcode = NESTFD_FAULT_ANY,
		.stream_id = NESTFD_FAULT_ANY,
	};

	switch (fault->kind) {
	case FAULT_ILL:
		rule.kind = NESTFD_FAULT_ILL;
		rule.opcode = fault->op;
		break;
	case FAULT_ATC:
		rule.kind = NESTFD_FAULT_ATC_TIMEOUT;
		rule.stream_id = HW_SID;
		break;
	case FAULT_GONE:
		rule.kind = NESTFD_FAULT_GONE;
		rule.stream_id = HW_SID;
		break;
	case FAULT_LATE:
		rule.kind = NESTFD_FAULT_ATC_LATE;
		rule.stream_id = HW_SID;
		rule.delay_us = LATE_US;
		break;
	case FAULT_SLOW:
		rule.kind = NESTFD_FAULT_SLOW_SYNC;
		rule.delay_us = SLOW_US;
		break;
	case FAULT_ABT_FEW:
		rule.count = 3;
		rule.kind = NESTFD_FAULT_ABT;
		break;
	case FAULT_ABT:
		rule.kind = NESTFD_FAULT_ABT;
		break;
	default:
		return 0;
	}
	return nestfd_inject(machine, &rule);
}

int hw_quarantines(struct nestfd_machine *machine)
{
	struct nestfd_driver_stats stats = { .size = sizeof(stats) };

	nestfd_driver_stats(machine, &stats);
	return (int)stats.quarantines;
}
