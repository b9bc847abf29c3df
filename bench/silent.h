/* SPDX-License-Identifier: MIT */
/*
 * A guest by ioctls alone, with a device that can be made not to answer
 * invalidations of its TLB (SMMUv3: ATC). It has no tables: nothing is cached,
 * so that what a batch costs is the batch.
 */
#ifndef BENCH_SILENT_H
#define BENCH_SILENT_H

#include <stdint.h>

#include "path.h"

struct silent {
	const struct path_arch *arch;
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	uint32_t sid; /* of the first device, which always answers */
	struct nestfd_device *dev[2];
	uint32_t dev_id[2];
	uint32_t ioas;
	uint32_t parent;
	uint32_t object; /* what is invalidated */
};

/* Which device an entry asks; an architecture may have the last one only. */
enum silent_asks {
	SILENT_NONE,
	SILENT_OTHER,
	SILENT_IT,
};

struct silent_arch {
	bool chooses; /* entries that ask none or another there are */
	/* 0 or -errno; s->object over s->parent, with both devices */
	int (*make)(struct silent *s);
	void (*entry)(void *entry, enum silent_asks asks, uint64_t iova);
};

extern const struct silent_arch silent_smmuv3;
extern const struct silent_arch silent_vtd;

/* Devices with StreamIDs @sid and the next one. Ends the program on failure */
void silent_start(struct silent *s, const struct path_arch *arch,
		  struct nestfd_machine *machine, uint32_t sid);
void silent_stop(struct silent *s);

/* Another guest with other devices instead: none has spent of its budget */
void silent_again(struct silent *s);

/*
 * From now on the device answers nothing, which hardware waits @us for.
 * @once: it only misses one of the next some thousand, which this number
 * chooses
 */
void silent_mute(struct silent *s, uint32_t us, uint32_t once);
/* It answers again; what it has spent it has spent */
void silent_mend(struct silent *s);

/* Entry @i of @entries */
void silent_entry(const struct silent *s, void *entries, uint32_t i,
		  enum silent_asks asks);

/* IOMMU_HWPT_INVALIDATE from entry @first on: 0 or -errno, how many are done */
int silent_invalidate(struct silent *s, void *entries, uint32_t first,
		      uint32_t n, uint32_t *done);

#endif
