/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU: hardware that exists nowhere, made to be behind the tests of
 * Linux's CONFIG_IOMMUFD_TEST. It walks radix tables of 2 KiB pages in memory,
 * sets dirty bits in them, and holds what those tests call IOTLB and device
 * cache: numbered cells with a value, which an invalidation makes 0.
 *
 * A *context* is what a device (or one of its PASIDs) is under: a paging one
 * has a root table; a nested one has a paging parent, whose table alone
 * translates, and cells. Software names contexts by numbers the hardware gives
 * out. Memory is little endian.
 */
#ifndef HWDEF_MOCK_H
#define HWDEF_MOCK_H

#include "base/bits.h"
#include "base/le.h"

/* Registers, 64 bits each */
#define MOCK_REG_ID	0x00u
#define MOCK_REG_ARG0	0x08u
#define MOCK_REG_ARG1	0x10u
#define MOCK_REG_CMD	0x18u /* executes before the write ends */
#define MOCK_REG_STATUS 0x20u
#define MOCK_REG_RESULT 0x28u

#define MOCK_ID		0x0000726f4b636f4dULL

/* STATUS */
#define MOCK_OK	     0
#define MOCK_NONE    1 /* no such device, context, cell or translation */
#define MOCK_NO_ROOM 2
#define MOCK_TIMEOUT 3 /* of SYNC: some DMA does not end */
#define MOCK_ILLEGAL 4 /* of a list: a command that is called illegal */

/*
 * CMD. A device is a StreamID; a stream is StreamID | SSID << 32, where the
 * SSID is PASID + 1, or 0 for the device itself.
 */
#define MOCK_CMD_DEV_ADD    1  /* ARG0 device */
#define MOCK_CMD_DEV_DEL    2  /* ARG0 device */
#define MOCK_CMD_CTX_PAGING 3  /* ARG0 root table | levels; RESULT context */
#define MOCK_CMD_CTX_NESTED 4  /* ARG0 parent, ARG1 for cells; RESULT it */
#define MOCK_CMD_CTX_DEL    5  /* ARG0 context */
#define MOCK_CMD_CTX_DIRTY  6  /* ARG0 paging context, ARG1 1: track, 0: not */
#define MOCK_CMD_ATTACH	    7  /* ARG0 stream, ARG1 context, 0: abort */
#define MOCK_CMD_ATTACHED   8  /* ARG0 stream; RESULT context, 0: none */
#define MOCK_CMD_CELL_READ  10 /* ARG0 nested context, ARG1 cell; RESULT */
#define MOCK_CMD_CACHE_READ 12 /* ARG0 device, ARG1 cell; RESULT */
#define MOCK_CMD_SYNC	    13 /* DMA begun before has ended */
#define MOCK_CMD_TRANSLATE  14 /* ARG0 context, ARG1 IOVA; RESULT PA */
#define MOCK_CMD_TOUCH	    15 /* likewise: as if a device wrote there */

/*
 * Command lists are for invalidations, of which there are many. A list is in
 * memory and has a page of registers; writing the number of its commands to RUN
 * carries them out in order, before the write ends, and DONE then tells how
 * many: all, or those in front of the first that cannot be. Lists run side by
 * side.
 */
#define MOCK_LIST_PAGE(n) (0x1000u * ((n) + 1u))
#define MOCK_LIST_BASE	  0x00u /* PA, a multiple of 16 */
#define MOCK_LIST_RUN	  0x08u /* at most MOCK_LIST_MAX */
#define MOCK_LIST_DONE	  0x10u
#define MOCK_LISTS	  8u
#define MOCK_LIST_MAX	  64u

#define MOCK_DONE_COUNT	  GENMASK_ULL(31, 0)
#define MOCK_DONE_STATUS  GENMASK_ULL(63, 32)

/* A command in a list: word 0, and whose cells become 0; other bits are 0 */
#define MOCK_LIST_0_OP	  GENMASK_ULL(7, 0)
#define MOCK_OP_CELL_INV  9		     /* of a nested context */
#define MOCK_OP_CACHE_INV 11		     /* of a device */
#define MOCK_LIST_0_CELLS GENMASK_ULL(11, 8) /* one bit for each */

struct mock_list_command {
	le64 word[2];
};
_Static_assert(sizeof(struct mock_list_command) == 16, "two words");

#define MOCK_STREAM_SSID_SHIFT 32
#define MOCK_PASID_BITS	       20
#define MOCK_CELLS	       4u
/* What each cell of a device's cache holds when the device appears */
#define MOCK_CACHE_DEFAULT 0xbaddadu

/* Tables: 512 words of 64 bits, 2 KiB pages, at most 5 levels (56 bits) */
#define MOCK_PAGE_LG2	 11u
#define MOCK_LEVEL_LG2	 9u
#define MOCK_TABLE_WORDS 512u
#define MOCK_TABLE_BYTES 4096u
#define MOCK_LEVELS_MAX	 5u
#define MOCK_ROOT_LEVELS GENMASK_ULL(2, 0)
#define MOCK_ROOT_ADDR	 GENMASK_ULL(51, 12)
#define MOCK_OAS_BITS	 51u

/* Level 0 holds pages; a leaf of level n is 2^(11 + 9n) bytes. */
#define MOCK_PTE_VALID BIT_ULL(0)
#define MOCK_PTE_LEAF  BIT_ULL(1) /* else a table; always set at level 0 */
#define MOCK_PTE_READ  BIT_ULL(2)
#define MOCK_PTE_WRITE BIT_ULL(3)
#define MOCK_PTE_DIRTY BIT_ULL(4)
#define MOCK_PTE_ADDR  GENMASK_ULL(51, 11)

static inline unsigned int mock_level_lg2(unsigned int level)
{
	return MOCK_PAGE_LG2 + MOCK_LEVEL_LG2 * level;
}

static inline unsigned int mock_index(uint64_t iova, unsigned int level)
{
	return (iova >> mock_level_lg2(level)) & (MOCK_TABLE_WORDS - 1);
}

#endif
