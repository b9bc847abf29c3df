/* SPDX-License-Identifier: MIT */
/* What bench_path measures of an architecture: one table each. */
#ifndef BENCH_PATH_H
#define BENCH_PATH_H

#include "guest.h"

#define PATH_ASID 5ULL	  /* SMMUv3: ASID; VT-d: domain id */
#define PATH_VSID 0x10ULL /* StreamID; requester id */
#define PATH_HOT  0x1000ULL

/* What one sample puts into the queue before it rings */
struct path_job {
	const char *what;
	uint64_t dw0;
	uint64_t dw1;
	uint64_t step;	       /* added to dw1 each time */
	unsigned int commands; /* per doorbell, without the wait */
	unsigned int doorbells;
	bool sync;	 /* a wait behind them */
	bool after_fill; /* what is in front has emptied the cache */
};

struct path_arch {
	enum nestfd_arch arch;
	const char *name;
	/* the first: the pair of an invalidation and a wait; what NULL ends */
	const struct path_job *jobs;
	/* those that cost something else without device TLBs, or NULL */
	const struct path_job *jobs_without_ats;
	uint64_t forget[2]; /* the command that forgets the guest's pages */

	/* IOMMU_HWPT_INVALIDATE */
	const char *object_is;
	uint32_t data_type;
	uint32_t entry_len;
	int (*object)(struct guest *guest, uint32_t *id);
	void (*entry)(void *entry, uint64_t iova);
};

extern const struct path_arch path_smmuv3;
extern const struct path_arch path_vtd;

#endif
