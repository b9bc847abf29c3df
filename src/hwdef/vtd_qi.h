/* SPDX-License-Identifier: MIT */
/*
 * Invalidation descriptors, VT-d 6.5.2, as doublewords: FIELD_n_x is in
 * doubleword n. 256-bit ones have doublewords 2 and 3, which are 0.
 */
#ifndef HWDEF_VTD_QI_H
#define HWDEF_VTD_QI_H

#include "base/bits.h"
#include "base/le.h"

#define VTD_QI_SIZE	 16
#define VTD_QI_SIZE_WIDE 32

/* Bits 11:9 are bits 6:4 of the type */
#define VTD_QI_0_TYPE_LO     GENMASK_ULL(3, 0)
#define VTD_QI_0_TYPE_HI     GENMASK_ULL(11, 9)
#define VTD_QI_CONTEXT	     0x1
#define VTD_QI_IOTLB	     0x2
#define VTD_QI_DEV_TLB	     0x3
#define VTD_QI_IEC	     0x4
#define VTD_QI_WAIT	     0x5
#define VTD_QI_PIOTLB	     0x6 /* 256 bits only */
#define VTD_QI_PASID_CACHE   0x7 /* 256 bits only */
#define VTD_QI_PDEV_TLB	     0x8 /* 256 bits only */
#define VTD_QI_PAGE_RESPONSE 0x9 /* 256 bits only */

/* Context cache, 6.5.2.1; VTD_GRAN_* */
#define VTD_QI_CONTEXT_0_G   GENMASK_ULL(5, 4)
#define VTD_QI_CONTEXT_0_DID GENMASK_ULL(31, 16)
#define VTD_QI_CONTEXT_0_SID GENMASK_ULL(47, 32)
#define VTD_QI_CONTEXT_0_FM  GENMASK_ULL(49, 48)

/* PASID cache, 6.5.2.2 */
#define VTD_QI_PASID_0_G      GENMASK_ULL(5, 4)
#define VTD_QI_PASID_G_DOMAIN 0
#define VTD_QI_PASID_G_PASID  1
#define VTD_QI_PASID_G_GLOBAL 3
#define VTD_QI_PASID_0_DID    GENMASK_ULL(31, 16)
#define VTD_QI_PASID_0_PASID  GENMASK_ULL(51, 32)

/* IOTLB, 6.5.2.3; VTD_GRAN_* */
#define VTD_QI_IOTLB_0_G    GENMASK_ULL(5, 4)
#define VTD_QI_IOTLB_0_DW   BIT_ULL(6)
#define VTD_QI_IOTLB_0_DR   BIT_ULL(7)
#define VTD_QI_IOTLB_0_DID  GENMASK_ULL(31, 16)
#define VTD_QI_IOTLB_1_AM   GENMASK_ULL(5, 0)
#define VTD_QI_IOTLB_1_IH   BIT_ULL(6)
#define VTD_QI_IOTLB_1_ADDR GENMASK_ULL(63, 12)

/* PASID-based IOTLB, 6.5.2.4 */
#define VTD_QI_PIOTLB_0_G     GENMASK_ULL(5, 4)
#define VTD_QI_PIOTLB_G_PASID 2
#define VTD_QI_PIOTLB_G_PAGE  3
#define VTD_QI_PIOTLB_0_DID   GENMASK_ULL(31, 16)
#define VTD_QI_PIOTLB_0_PASID GENMASK_ULL(51, 32)
#define VTD_QI_PIOTLB_1_AM    GENMASK_ULL(5, 0)
#define VTD_QI_PIOTLB_1_IH    BIT_ULL(6)
#define VTD_QI_PIOTLB_1_ADDR  GENMASK_ULL(63, 12)

/* Device TLB, 6.5.2.5 */
#define VTD_QI_DEV_0_PFSID_LO GENMASK_ULL(15, 12)
#define VTD_QI_DEV_0_MIP      GENMASK_ULL(20, 16)
#define VTD_QI_DEV_0_SID      GENMASK_ULL(47, 32)
#define VTD_QI_DEV_0_PFSID_HI GENMASK_ULL(63, 52)
#define VTD_QI_DEV_1_S	      BIT_ULL(0)
#define VTD_QI_DEV_1_ADDR     GENMASK_ULL(63, 12)

/* PASID-based device TLB, 6.5.2.6 */
#define VTD_QI_PDEV_0_MIP      GENMASK_ULL(8, 4)
#define VTD_QI_PDEV_0_PFSID_LO GENMASK_ULL(15, 12)
#define VTD_QI_PDEV_0_SID      GENMASK_ULL(31, 16)
#define VTD_QI_PDEV_0_PASID    GENMASK_ULL(51, 32)
#define VTD_QI_PDEV_0_PFSID_HI GENMASK_ULL(63, 52)
#define VTD_QI_PDEV_1_GI       BIT_ULL(0)
#define VTD_QI_PDEV_1_S	       BIT_ULL(11)
#define VTD_QI_PDEV_1_ADDR     GENMASK_ULL(63, 12)

/* Interrupt entry cache, 6.5.2.8 */
#define VTD_QI_IEC_0_G	  BIT_ULL(4) /* by index */
#define VTD_QI_IEC_0_IM	  GENMASK_ULL(31, 27)
#define VTD_QI_IEC_0_IIDX GENMASK_ULL(47, 32)

/* Wait, 6.5.2.9 */
#define VTD_QI_WAIT_0_IF   BIT_ULL(4)
#define VTD_QI_WAIT_0_SW   BIT_ULL(5)
#define VTD_QI_WAIT_0_FN   BIT_ULL(6)
#define VTD_QI_WAIT_0_PD   BIT_ULL(7)
#define VTD_QI_WAIT_0_DATA GENMASK_ULL(63, 32)
#define VTD_QI_WAIT_1_ADDR GENMASK_ULL(63, 2)

/* Page group response, 7.6.1 */
#define VTD_QI_PGRP_0_PP    BIT_ULL(4)
#define VTD_QI_PGRP_0_CODE  GENMASK_ULL(15, 12)
#define VTD_QI_PGRP_0_SID   GENMASK_ULL(31, 16)
#define VTD_QI_PGRP_0_PASID GENMASK_ULL(51, 32)
#define VTD_QI_PGRP_1_IGN   BIT_ULL(2)
#define VTD_QI_PGRP_1_PRGI  GENMASK_ULL(11, 3)

#endif
