/* SPDX-License-Identifier: MIT */
/*
 * A client of /dev/iommu that does not know whether it is Linux's: arrays of
 * SMMUv3 commands, and a whole virtual SMMUv3 of libviommu. Each check prints a
 * line, ok, FAIL or skip. What is expected differs between Linux and nestfd
 * only where docs/abi.md has it in its table of deviations, or among the
 * additions.
 *
 * Words are worked out by hand from Arm IHI 0070 and the Arm ARM.
 */
#ifndef PEERS_CLIENT_CLIENT_H
#define PEERS_CLIENT_CLIENT_H

#include "place.h"

struct client {
	struct place place;
	unsigned int passed;
	unsigned int failed;
	unsigned int skipped;
	uint64_t stamp;	     /* what the last DMA has carried */
	uint32_t parent;     /* HWPT with guest memory; NEST_PARENT */
	uint64_t extensions; /* NESTFD_EXT_* that there are */
};

/* @got: what to say of it if it is not @good */
void check(struct client *client, bool good, const char *what, const char *got,
	   ...) __attribute__((format(printf, 4, 5)));
void skip(struct client *client, const char *what, const char *why);

/* @rc, with 0 or a negative errno of @expected */
void check_rc(struct client *client, int rc, int expected, const char *what);

/* ---- guest memory: tables for a device that writes to IOVA ---- */

#define VSID_0	  0x123U
#define VSID_1	  0x456U
#define ASID	  1ULL

#define STRTAB	  (RAM_BASE + 0x20000) /* linear, 2048 streams */
#define CMDQ	  (RAM_BASE + 0x40000) /* 256 commands */
#define CMDQ_LG2  8
#define EVENTQ	  (RAM_BASE + 0x42000) /* 128 events */
#define CD	  (RAM_BASE + 0x50000)
#define L1	  (RAM_BASE + 0x51000)
#define L2	  (RAM_BASE + 0x52000)
#define L3	  (RAM_BASE + 0x53000)
#define PAGE_A	  (RAM_BASE + 0x100000)
#define PAGE_B	  (RAM_BASE + 0x101000)
#define SOURCE	  (RAM_BASE + 0x102000) /* what the device reads first */
#define MANY	  (RAM_BASE + 0x800000) /* 2^19 commands */
#define IOVA	  0x10000ULL
#define IOVA_FROM 0x11000ULL

/* STE: V, stage 1, S1ContextPtr; S1DSS, S1CIR, S1COR, S1CSH */
#define STE_0 (0xb | CD)
#define STE_1 0xd6ULL

/* The last stage-1 page and the CD; IOVA -> PAGE_A */
void tables_make(struct place *place);
/* @page: PAGE_A, PAGE_B, or 0: nothing is there. No invalidation */
void tables_map(struct place *place, uint64_t page);

/* Where a device's write to IOVA arrives: 'A', 'B', or '-' for nowhere */
char lands_in(struct client *client, unsigned int device);
void check_lands(struct client *client, unsigned int device, char where,
		 const char *what);

/* ---- commands ---- */

#define TLBI_NH_VA_0	(0x12 | ASID << 48)
#define TLBI_NH_VA_1	(IOVA | 1) /* leaf */
#define TLBI_NH_ASID_0	(0x11 | ASID << 48)
#define CFGI_STE_0(sid) (0x03 | (uint64_t)(sid) << 32)
#define CFGI_CD_0(sid)	(0x05 | (uint64_t)(sid) << 32)
#define ATC_INV_0(sid)	(0x40 | (uint64_t)(sid) << 32)
#define LEAF		1
#define ILLEGAL_0	0xffULL
#define SYNC_0		0x46ULL

/* The ABI itself: IOMMU_HWPT_INVALIDATE, with and without the additions */
void check_arrays(struct client *client);
/* libviommu: what the guest's registers say */
void check_guest(struct client *client, enum nestfd_queue queue);

#endif
