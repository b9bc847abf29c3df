/* SPDX-License-Identifier: MIT */
/*
 * VMSAv8-64 translation table descriptors (Arm ARM, DDI 0487, section D8.3),
 * as used by SMMUv3 stage 1 and stage 2.
 */
#ifndef HWDEF_ARMV8_PT_H
#define HWDEF_ARMV8_PT_H

#include "base/bits.h"

#define ARMV8_PTE_VALID	    BIT_ULL(0)
#define ARMV8_PTE_TABLE	    BIT_ULL(1) /* levels 0-2; at level 3: page */
#define ARMV8_PTE_ADDR	    GENMASK_ULL(47, 12)
#define ARMV8_PTE_ADDR_HIGH GENMASK_ULL(15, 12) /* 64K granule: bits 51:48 */
#define ARMV8_PTE_AF	    BIT_ULL(10)
#define ARMV8_PTE_SH	    GENMASK_ULL(9, 8)
#define ARMV8_SH_INNER	    3
#define ARMV8_PTE_DBM	    BIT_ULL(51)
#define ARMV8_PTE_CONT	    BIT_ULL(52)

/* Stage 1 */
#define ARMV8_S1_ATTRINDX  GENMASK_ULL(4, 2)
#define ARMV8_S1_NS	   BIT_ULL(5)
#define ARMV8_S1_AP_EL0	   BIT_ULL(6)
#define ARMV8_S1_AP_RO	   BIT_ULL(7)
#define ARMV8_S1_NG	   BIT_ULL(11)
#define ARMV8_S1_PXN	   BIT_ULL(53)
#define ARMV8_S1_UXN	   BIT_ULL(54)
#define ARMV8_TABLE_PXN	   BIT_ULL(59)
#define ARMV8_TABLE_UXN	   BIT_ULL(60)
#define ARMV8_TABLE_AP_EL0 BIT_ULL(61) /* no EL0 access below */
#define ARMV8_TABLE_AP_RO  BIT_ULL(62) /* no write below */
#define ARMV8_TABLE_NS	   BIT_ULL(63)

/* Stage 2 */
#define ARMV8_S2_MEMATTR GENMASK_ULL(5, 2)
#define ARMV8_S2_MEM_WB	 0xf
#define ARMV8_S2_AP_R	 BIT_ULL(6)
#define ARMV8_S2_AP_W	 BIT_ULL(7)
#define ARMV8_S2_XN	 GENMASK_ULL(54, 53)

#endif
