/* SPDX-License-Identifier: MIT */
/*
 * A machine in this process for one case: a guest with two devices whose pages
 * are all cached (model.h), a neighbour on the same unit with one, and what is
 * in the caches afterwards. Words are Arm IHI 0070's and the Arm ARM's.
 */
#ifndef TESTS_ERRORS_BED_H
#define TESTS_ERRORS_BED_H

#include <nestfd/model.h>
#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>

#include "model.h"

/* How commands get to the host */
enum way {
	WAY_ARRAY,	 /* IOMMU_HWPT_INVALIDATE, error codes on */
	WAY_RING,	 /* NESTFD_HWPT_INVALIDATE_RING */
	WAY_GUEST_ARRAY, /* a virtual SMMU's registers, over arrays */
	WAY_GUEST_RING,	 /* over its own queue */
	WAYS,
};

#define CMDQ_LG2 13

struct space {
	uint64_t l1; /* PA in the guest's RAM */
	uint64_t leaf[PAGES];
};

struct bed {
	enum way way;
	char *ram;
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t ioas, parent;
	struct nestfd_device *dev[DEVICES + 1]; /* the last: the neighbour */
	uint32_t dev_id[DEVICES + 1];
	uint32_t viommu, neighbour;
	struct nestfd_viommu *smmu; /* WAY_GUEST_* */
	uint32_t prod;
	uint64_t next; /* bump allocator of the RAM */
	struct space space[DEVICES + 1];
};

/* Everything cached, and by now leading elsewhere in memory */
void bed_make(struct bed *bed, enum way way);
void bed_end(struct bed *bed);

void bed_break(struct bed *bed, const struct fault *fault);
void bed_mend(struct bed *bed);

/* WAY_ARRAY and WAY_RING. @at: a ring's first slot */
void bed_ioctl(struct bed *bed, const uint64_t (*cmds)[2], uint32_t n,
	       uint32_t at, struct answer *answer);

/* WAY_GUEST_*: where command @i of those that begin at @at lies, as words */
uint64_t *bed_command(struct bed *bed, uint32_t at, uint32_t i);
/* Registers, by offset */
uint32_t bed_reg(struct bed *bed, uint32_t offset);
void bed_set_reg(struct bed *bed, uint32_t offset, uint32_t value);

/* Are what the guest's two devices cached, and all of the neighbour's, as they
 * should be? The first difference as text, or NULL. @dead: the unit is. */
const char *bed_compare(struct bed *bed, const struct caches *caches,
			const struct fault *fault, bool dead);

#endif
