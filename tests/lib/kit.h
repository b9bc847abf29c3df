/* SPDX-License-Identifier: MIT */
/*
 * The calls that the system tests make most, each in one line. All of them
 * answer what the library answered; ids come back through the last argument.
 */
#ifndef TESTS_LIB_KIT_H
#define TESTS_LIB_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nestfd/model.h"
#include "nestfd/nestfd.h"
#include "nestfd/viommu.h"

#define PAGE 4096ULL

int kit_machine(enum nestfd_cache cache, struct nestfd_machine **machine);
int kit_machine_of(enum nestfd_arch arch, enum nestfd_cache cache,
		   struct nestfd_machine **machine);
int kit_device(struct nestfd_machine *machine, uint32_t stream_id,
	       struct nestfd_device **dev);

int kit_ioas(struct nestfd *ctx, uint32_t *ioas);
/* Fixed IOVA, readable and writable */
int kit_map(struct nestfd *ctx, uint32_t ioas, uint64_t iova, const void *va,
	    uint64_t length);
int kit_unmap(struct nestfd *ctx, uint32_t ioas, uint64_t iova,
	      uint64_t length);
/* IOMMU_HWPT_ALLOC flags: 0 or 1 (NEST_PARENT) */
int kit_hwpt(struct nestfd *ctx, uint32_t dev_id, uint32_t pt_id,
	     uint32_t flags, uint32_t *hwpt);
int kit_nested(struct nestfd *ctx, uint32_t dev_id, uint32_t viommu,
	       uint64_t ste0, uint64_t ste1, uint32_t *hwpt);
/* VT-d: first-stage tables of 4 levels at @root, over the HWPT @parent */
int kit_nested_vtd(struct nestfd *ctx, uint32_t dev_id, uint32_t parent,
		   uint64_t root, uint32_t *hwpt);
int kit_invalidate_vtd(struct nestfd *ctx, uint32_t hwpt, uint64_t addr,
		       uint64_t npages);
int kit_viommu(struct nestfd *ctx, uint32_t dev_id, uint32_t parent,
	       uint32_t *viommu);
int kit_vdevice(struct nestfd *ctx, uint32_t viommu, uint32_t dev_id,
		uint64_t virt_id, uint32_t *vdevice);
int kit_veventq(struct nestfd *ctx, uint32_t viommu, uint32_t *id, int *fd);
/* *@n: in, entries; out, what was carried out */
int kit_invalidate(struct nestfd *ctx, uint32_t viommu, const void *cmds,
		   uint32_t *n);
/* The @nth object that takes the commands of a virtual SMMU */
uint32_t kit_find_viommu(struct nestfd *ctx, unsigned int nth);
int kit_destroy(struct nestfd *ctx, uint32_t id);

int kit_attach(struct nestfd_device *dev, uint32_t pt_id);

/* One word by DMA */
int kit_read(struct nestfd_device *dev, uint64_t iova, uint64_t *value);
int kit_write(struct nestfd_device *dev, uint64_t iova, uint64_t value);

/* Whole pages of this process's memory, zeroed; kit_pages_free() */
void *kit_pages(size_t n);
void kit_pages_free(void *pages, size_t n);

/* main() of a test program; with an argument only the tests that match it */
#define RUN(tests, argc, argv)                                     \
	((argc) > 1 ? cmocka_set_test_filter((argv)[1]) : (void)0, \
	 cmocka_run_group_tests(tests, NULL, NULL))

/*
 * Entries of a test program for a case that runs on each architecture, which
 * its state then is
 */
#define EACH_ARCH(f) ON_ARCH(f, SMMUV3), ON_ARCH(f, VTD)
#define ON_ARCH(f, arch)                                               \
	{                                                              \
		.name = #f ", " #arch, .test_func = (f),               \
		.initial_state = (void *)(uintptr_t)NESTFD_ARCH_##arch \
	}

static inline enum nestfd_arch kit_arch(void **state)
{
	return (enum nestfd_arch)(uintptr_t)*state;
}

/* How many cached translations @keep says yes to */
unsigned int kit_entries(struct nestfd_machine *machine,
			 bool (*keep)(const struct nestfd_cache_entry *entry,
				      uint64_t arg),
			 uint64_t arg);

#endif
