/* SPDX-License-Identifier: MIT */
/* What differs between the guests of guest.h: one table per architecture. */
#ifndef TESTS_SUPPORT_GUEST_ARCH_H
#define TESTS_SUPPORT_GUEST_ARCH_H

#include "guest.h"

/* Layout of a guest's part of RAM; below these, what the architecture has */
#define AT_CMDQ	  0x0800000ULL /* up to 8 MiB; aligned to that */
#define AT_DATA	  0x1000000ULL /* 1024 pages */
#define AT_TABLES 0x1400000ULL

struct guest_arch {
	enum nestfd_arch arch;
	uint32_t command_lg2; /* bytes of a command */
	uint32_t cmdq_lg2;    /* commands of the largest queue */
	uint32_t wraps;	      /* bits above an index that count wraps */
	uint64_t root;	      /* first-stage tables: where in the part, */
	unsigned int levels;  /* how many, */
	uint64_t table_bits;  /* and what is in their entries */
	uint64_t page_bits;
	int (*create)(const struct nestfd_viommu_config *config,
		      struct nestfd_viommu **viommu);
	void (*boot)(struct guest *guest);
	void (*ring)(struct guest *guest);
	void (*wait)(struct guest *guest);
	void (*invalidate)(struct guest *guest, uint64_t iova);
	void (*invalidate_device)(struct guest *guest, uint64_t iova);
	void (*set_stream)(struct guest *guest, enum guest_stream what);
	uint32_t (*head)(const struct guest *guest);
	bool (*acknowledge)(struct guest *guest);
	bool (*host_is_clean)(const struct host *host);
	uint64_t nop; /* doubleword 0 of a command that does nothing */
};

extern const struct guest_arch guest_smmuv3;
extern const struct guest_arch guest_vtd;

#endif
