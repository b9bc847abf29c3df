// SPDX-License-Identifier: MIT
/*
 * The sink that takes nothing out: the backend is pointed at the guest's own
 * command queue and executes what it may. Where it stops, the front copies the
 * next commands and they go the ordinary way (command.c).
 *
 * The guest may rewrite its queue at any time. So nothing is concluded here
 * from what an entry might have been when the backend read it, and no entry is
 * read here: what consume() is handed afterwards is a copy of its own, judged
 * afresh.
 */
#include <errno.h>
#include <linux/iommufd.h>

#include "hwdef/smmuv3_regs.h"
#include "nestfd/ext.h"
#include "viommu/smmuv3/smmuv3.h"

/* Where the queue lies; NULL if it does not in one piece, or not any more */
static const void *queue_memory(struct vsmmu *vsmmu,
				const struct smmuv3_queue *queue)
{
	struct nestfd_guest *guest = &vsmmu->base.guest;

	return guest->map(guest->ctx, queue->base,
			  (size_t)SMMUV3_CMD_SIZE << queue->lg2);
}

/*
 * The command at which the ring stopped, and some behind it. Each stop that
 * follows little progress hands over more, so that a queue full of commands for
 * the VMM costs few calls that get nowhere.
 */
static uint32_t pass_on(struct vsmmu_ring *ring, uint32_t done, uint32_t n)
{
	if (done >= VSMMU_PASS_FIRST || 2 * done >= n)
		ring->pass = VSMMU_PASS_FIRST;
	else if (ring->pass < RELAY_MAX_ENTRIES)
		ring->pass *= 4;
	return ring->pass;
}

/* Not worth a call: likely to be stopped early, as others were lately */
static bool is_poor(struct vsmmu_ring *ring, uint32_t n)
{
	if (ring->always || ring->pass <= VSMMU_PASS_FIRST || n > ring->pass)
		return false;
	ring->pass /= 2;
	return true;
}

/* The backend stopped behind @outcome->done of @n commands. */
static void stopped(struct vsmmu *vsmmu, int rc,
		    const struct relay_outcome *outcome, uint32_t n,
		    struct smmuv3_taken *taken)
{
	bool left = outcome->done < n;

	switch (outcome->error) {
	case NESTFD_ERR_VMM:
		viommu_count(&vsmmu->base.counters.ring_stops, 1);
		taken->pass = pass_on(&vsmmu->ring, outcome->done, n);
		break;
	case NESTFD_ERR_SMMUV3_ATC_INV_SYNC:
		/*
		 * What is next should be the CMD_SYNC that fails. If it is
		 * something else by now, that is executed, and the first
		 * CMD_SYNC behind it fails.
		 */
		vsmmu->atc_failed = true;
		taken->pass = VSMMU_PASS_FIRST;
		break;
	case NESTFD_ERR_SMMUV3_ILL:
	case NESTFD_ERR_SMMUV3_ABT:
		taken->code = left ? vsmmu_cerror(rc, outcome) : 0;
		break;
	default: /* not of any command: the rest is tried as an array */
		taken->pass = n;
		break;
	}
}

struct smmuv3_taken vsmmu_consume_queue(void *ctx,
					const struct smmuv3_queue *queue)
{
	struct vsmmu *vsmmu = ctx;
	uint32_t n = (queue->prod - queue->cons) & ((2u << queue->lg2) - 1);
	struct smmuv3_taken taken = { .pass = n };
	struct relay_outcome outcome;
	struct relay_ring ring = {
		.stride = SMMUV3_CMD_SIZE,
		.lg2 = queue->lg2,
		.cons = queue->cons,
		.prod = queue->prod,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};
	int rc;

	if (!vsmmu->ring.left)
		viommu_count(&vsmmu->base.counters.doorbells, 1);
	vsmmu->ring.left = n;
	/* the host knows nothing of the guest's SMMUEN (4.5.1) */
	if (vsmmu->atc_failed || is_poor(&vsmmu->ring, n) ||
	    !vsmmu_is_enabled(vsmmu))
		return taken;
	ring.entries = queue_memory(vsmmu, queue);
	if (!ring.entries)
		return taken;
	rc = relay_ring(&vsmmu->base, &ring, &outcome);
	viommu_count(&vsmmu->base.counters.commands, outcome.done);
	taken.done = outcome.done;
	/* CMD_SYNCs may be among them (4.7.3) */
	viommu_catch_up(&vsmmu->base);
	if (rc)
		stopped(vsmmu, rc, &outcome, n, &taken);
	else
		vsmmu->ring.pass = VSMMU_PASS_FIRST;
	vsmmu->ring.left = taken.code ? 0 : n - taken.done;
	return taken;
}
