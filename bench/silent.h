/* SPDX-License-Identifier: MIT */
/*
 * A guest by ioctls alone: a vIOMMU with two devices that have an ATC, the
 * second of which can be made not to answer. Never attached: nothing is cached,
 * so that what a batch costs is the batch.
 */
#ifndef BENCH_SILENT_H
#define BENCH_SILENT_H

#include <stdint.h>

#include "nestfd/model.h"
#include "nestfd/nestfd.h"

#define SILENT_GOOD 0x10u /* vSIDs */
#define SILENT_BAD  0x11u

struct silent {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t sid; /* of the first device; the second has the next */
	struct nestfd_device *dev[2];
	uint32_t dev_id[2];
	uint32_t parent;
	uint32_t viommu;
	uint32_t vdevice[2];
};

/* Devices with StreamIDs @sid and the next one. Ends the program on failure */
void silent_start(struct silent *s, struct nestfd_machine *machine,
		  uint32_t sid);
void silent_stop(struct silent *s);

/* Another vIOMMU instead: a guest that has its whole budget of timeouts */
void silent_again(struct silent *s);

/* From now on the second device answers no ATC_INV, for @us; 0: at once */
void silent_mute(struct silent *s, uint32_t us);
/* It answers again, and is reset: out of quarantine */
void silent_mend(struct silent *s);

/* IOMMU_HWPT_INVALIDATE: 0 or -errno, and how many are done */
int silent_invalidate(struct silent *s, const uint64_t (*cmds)[2], uint32_t n,
		      uint32_t *done);

#endif
