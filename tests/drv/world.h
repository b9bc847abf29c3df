/* SPDX-License-Identifier: MIT */
/*
 * A driver on the model of its hardware, no core between: the world of tests in
 * which every translation is compared with an array of pages. The cache policy
 * is hostile, so an invalidation that is missing or too narrow shows as a stale
 * translation. A test's state is its struct world_arch.
 */
#ifndef TESTS_DRV_WORLD_H
#define TESTS_DRV_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/driver.h"
#include "core/hwport.h"
#include "mem/phys.h"
#include "model/model.h"
#include "pt/tree.h"

#define WORLD_NO_PASID UINT32_MAX
#define WORLD_PAGE     4096ULL
#define WORLD_MIB      0x100000ULL
#define WORLD_RAM      (64 * WORLD_MIB)
#define WORLD_DEVICES  3
/* More than any thread waits for a CPU: what takes longer is stuck. */
#define WORLD_PATIENCE_MS 60000
#define WORLD_PATIENCE_NS (WORLD_PATIENCE_MS * 1000000ULL)

struct guest;

/* What is an architecture's own */
struct world_arch {
	unsigned int pa_bits;
	/* hostile, otherwise as it comes */
	int (*model)(const struct model_host *host, struct model **model);
	int (*driver)(const struct core_hwport *port,
		      struct core_iommu **iommu);
	/* @g->pt, and @g->nested under @parent; used to room are its tables' */
	void (*guest_start)(struct guest *g, struct core_domain *parent);
	/* @g->nested is gone */
	void (*guest_stop)(struct guest *g);
	/* The guest invalidates a page. @leaf: no table has gone */
	void (*guest_forget)(struct guest *g, uint64_t va, bool leaf);
	/* At GUEST_VA, but not enough: that of another ASID, or page */
	void (*guest_forget_other)(struct guest *g);
	/* After a fault at GUEST_VA, the only one; may be NULL */
	void (*guest_told)(struct guest *g);
	/* How many guests have one parent: the third one is a PASID */
	unsigned int guests;
};

struct world {
	const struct world_arch *arch;
	struct phys *phys;
	struct grace *grace;
	struct model *model;
	/* stream ids 0x20.. ; all have ATS */
	struct model_port *port[WORLD_DEVICES];
	struct core_device dev[WORLD_DEVICES];
	struct core_iommu *iommu;
	char *ram;
	uint64_t ram_pa;
	struct phys_range *ram_range;
	void (*line[4])(void *arg);
	void *line_arg[4];
	bool unmapping[WORLD_DEVICES]; /* its domain has one under way */
	unsigned int stales;
	char why[512];
	uint64_t rng;
};

void world_start(struct world *w, const struct world_arch *arch);
/* Everything the driver took has come back. */
void world_stop(struct world *w);

/* The PA behind @iova, 0 for an abort; @ats: by the device's own cache */
uint64_t world_translate(struct world *w, int dev, uint64_t iova,
			 uint32_t pasid, bool ats, bool write);
/* From 0 to @below - 1; by w->rng, which tests set */
uint32_t world_random(struct world *w, uint32_t below);
/* No stale translation so far */
void world_is_fresh(const struct world *w);

/* ---- guests ---- */

#define GUEST_IPA   0x80000000ULL
#define GUEST_SIZE  (16 * WORLD_MIB)
#define GUEST_VA    0x7f000000000ULL
#define GUEST_PAGES 2048u

/*
 * A guest's memory, which is the world's from its beginning, and the first
 * stage in it, all by guest physical address
 */
struct guest {
	struct world *w;
	uint64_t used;
	uint64_t room;
	struct pt *pt;
	struct core_viommu *v; /* these two where there are vIOMMUs */
	struct core_vdevice vdev;
	struct core_domain *nested;
	uint32_t pasid;
	int dev;
	uint64_t ipa[GUEST_PAGES];
};

/* Memory of a guest's own tables */
extern const struct pt_mem_ops guest_tables;

/* Tables first, then data in pieces that can be taken away */
struct core_domain *guest_parent(struct world *w);
void guest_parent_free(struct core_domain *parent);
/* Tables at [@used, @room) of the guest's memory */
void guest_start(struct guest *g, struct world *w, struct core_domain *parent,
		 int dev, uint32_t pasid, uint64_t used, uint64_t room);
void guest_stop(struct guest *g);
/* A page comes or goes, and with it what is cached of it. */
void guest_step(struct guest *g);
/* [@gap_first, @gap_last]: this part of stage 2 is away */
void guest_check(struct guest *g, uint64_t gap_first, uint64_t gap_last,
		 uint32_t times);
/* Runs the tests that need nothing else of an architecture; how many fail */
int world_run(const struct world_arch *arch);

#define WORLD_TEST(test, arch) cmocka_unit_test_prestate(test, (void *)(arch))

#endif
