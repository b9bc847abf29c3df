/* SPDX-License-Identifier: MIT */
/* What the benchmarks need of an architecture: one table each. */
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

/* A doorbell of bench_ring, from the hot page on */
struct path_load {
	const char *what;
	uint64_t dw0;
	uint64_t dw1;
	uint64_t step; /* added to dw1 from one command to the next */
	uint64_t sync_0;
	bool sync;     /* the last one is a CMD_SYNC, */
	bool interior; /* or each second one */
};

struct path_arch {
	enum nestfd_arch arch;
	const char *name;
	/* the first: the pair of an invalidation and a wait; what NULL ends */
	const struct path_job *jobs;
	/* those that cost something else without device TLBs, or NULL */
	const struct path_job *jobs_without_ats;
	const struct path_load *loads; /* NULL: no virtual unit uses a ring */
	uint64_t forget[2];	       /* the command for the guest's pages, */
	uint64_t forget_all[2];	       /* for all that is cached, */
	uint64_t forget_leaves[2];     /* for 256 pages from 0, no tables */

	/* All that was rung for is done, without an error. */
	bool (*consumed)(const struct guest *guest);
	/*
	 * Bare: puts a second stage below the guest's first, which leads all of
	 * RAM to itself.
	 */
	void (*nest)(struct guest *guest);
	/*
	 * From now on the guest's tables are such as a VMM keeps an IOAS like,
	 * and map nothing; what tells of a page, and of all: one command for
	 * each doorbell. NULL: there are none
	 */
	void (*shadow)(struct guest *guest);
	const struct path_job *shadow_jobs;

	/* IOMMU_HWPT_INVALIDATE */
	const char *object_is;
	uint32_t data_type;
	uint32_t entry_len;
	int (*object)(struct guest *guest, uint32_t *id);
	void (*entry)(void *entry, uint64_t iova);

	const struct silent_arch *silent; /* silent.h */
};

extern const struct path_arch path_smmuv3;
extern const struct path_arch path_vtd;

/* One sample of @job */
void path_ring(struct guest *guest, const struct path_job *job);

/* A page for tables of the guest's */
uint64_t path_table(struct guest *guest);

/*
 * Calls @measure for each architecture that the command line wants: all, or
 * one by --iommu. Ends the program if it says anything else.
 */
void path_each(int argc, char **argv,
	       void (*measure)(const struct path_arch *arch));

#endif
