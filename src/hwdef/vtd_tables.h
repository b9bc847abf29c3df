/* SPDX-License-Identifier: MIT */
/*
 * VT-d structures in memory, chapter 9, as doublewords: FIELD_n_x is in
 * doubleword n.
 */
#ifndef HWDEF_VTD_TABLES_H
#define HWDEF_VTD_TABLES_H

#include "base/bits.h"
#include "base/le.h"

/* Root entry, 9.1: 256 of 16 bytes, by bus */
#define VTD_ROOT_SIZE  16
#define VTD_ROOT_0_P   BIT_ULL(0)
#define VTD_ROOT_0_CTP GENMASK_ULL(63, 12)
/* Scalable-mode root entry, 9.2: devices 0-15 and 16-31 */
#define VTD_SM_ROOT_0_LP   BIT_ULL(0)
#define VTD_SM_ROOT_0_LCTP GENMASK_ULL(63, 12)
#define VTD_SM_ROOT_1_UP   BIT_ULL(0)
#define VTD_SM_ROOT_1_UCTP GENMASK_ULL(63, 12)

/* Context entry, 9.3: 256 of 16 bytes, by device and function */
#define VTD_CTX_SIZE	    16
#define VTD_CTX_0_P	    BIT_ULL(0)
#define VTD_CTX_0_FPD	    BIT_ULL(1)
#define VTD_CTX_0_TT	    GENMASK_ULL(3, 2)
#define VTD_TT_UNTRANSLATED 0 /* only untranslated requests */
#define VTD_TT_ALL	    1 /* and ATS */
#define VTD_TT_PASSTHROUGH  2
#define VTD_CTX_0_SSPTPTR   GENMASK_ULL(63, 12)
#define VTD_CTX_1_AW	    GENMASK_ULL(2, 0)
#define VTD_AW_39	    1
#define VTD_AW_48	    2
#define VTD_AW_57	    3
#define VTD_CTX_1_DID	    GENMASK_ULL(23, 8)

/* Scalable-mode context entry, 9.4: 128 of 32 bytes */
#define VTD_SM_CTX_SIZE	       32
#define VTD_SM_CTX_0_P	       BIT_ULL(0)
#define VTD_SM_CTX_0_FPD       BIT_ULL(1)
#define VTD_SM_CTX_0_DTE       BIT_ULL(2)
#define VTD_SM_CTX_0_PASIDE    BIT_ULL(3)
#define VTD_SM_CTX_0_PRE       BIT_ULL(4)
#define VTD_SM_CTX_0_PDTS      GENMASK_ULL(11, 9) /* 2^(PDTS + 7) entries */
#define VTD_SM_CTX_0_PASIDDIR  GENMASK_ULL(63, 12)
#define VTD_SM_CTX_1_RID_PASID GENMASK_ULL(19, 0)
#define VTD_SM_CTX_1_RID_PRIV  BIT_ULL(20)

/* PASID directory entry, 9.5 */
#define VTD_PASID_DIR_SIZE    8
#define VTD_PASID_DIR_0_P     BIT_ULL(0)
#define VTD_PASID_DIR_0_FPD   BIT_ULL(1)
#define VTD_PASID_DIR_0_TABLE GENMASK_ULL(63, 12)

/* PASID table entry, 9.6: 64 in each table */
#define VTD_PASID_SIZE	    64
#define VTD_PASID_TABLE_LG2 6
#define VTD_PASID_0_P	    BIT_ULL(0)
#define VTD_PASID_0_FPD	    BIT_ULL(1)
#define VTD_PASID_0_AW	    GENMASK_ULL(4, 2)
#define VTD_PASID_0_PGTT    GENMASK_ULL(8, 6)
#define VTD_PGTT_FS	    1
#define VTD_PGTT_SS	    2
#define VTD_PGTT_NESTED	    3
#define VTD_PGTT_PT	    4
#define VTD_PASID_0_SSADE   BIT_ULL(9)
#define VTD_PASID_0_SSPTPTR GENMASK_ULL(63, 12)
#define VTD_PASID_1_DID	    GENMASK_ULL(15, 0)
#define VTD_PASID_1_PWSNP   BIT_ULL(23)
#define VTD_PASID_1_PGSNP   BIT_ULL(24)
#define VTD_PASID_2_SRE	    BIT_ULL(0)
#define VTD_PASID_2_FSPM    GENMASK_ULL(3, 2)
#define VTD_FSPM_4LEVEL	    0
#define VTD_FSPM_5LEVEL	    1
#define VTD_PASID_2_WPE	    BIT_ULL(4)
#define VTD_PASID_2_EAFE    BIT_ULL(7)
#define VTD_PASID_2_FSPTPTR GENMASK_ULL(63, 12)

/* First-stage paging entries, 9.7 */
#define VTD_FS_P    BIT_ULL(0)
#define VTD_FS_RW   BIT_ULL(1)
#define VTD_FS_US   BIT_ULL(2)
#define VTD_FS_PWT  BIT_ULL(3)
#define VTD_FS_PCD  BIT_ULL(4)
#define VTD_FS_A    BIT_ULL(5)
#define VTD_FS_D    BIT_ULL(6) /* leaves */
#define VTD_FS_PS   BIT_ULL(7) /* PDPE and PDE */
#define VTD_FS_G    BIT_ULL(8) /* leaves */
#define VTD_FS_EA   BIT_ULL(10)
#define VTD_FS_ADDR GENMASK_ULL(51, 12)

/* Second-stage paging entries, 9.8 */
#define VTD_SS_R    BIT_ULL(0)
#define VTD_SS_W    BIT_ULL(1)
#define VTD_SS_EMT  GENMASK_ULL(5, 3) /* leaves */
#define VTD_SS_IPAT BIT_ULL(6)	      /* leaves */
#define VTD_SS_PS   BIT_ULL(7)
#define VTD_SS_A    BIT_ULL(8)
#define VTD_SS_D    BIT_ULL(9)	/* leaves */
#define VTD_SS_SNP  BIT_ULL(11) /* leaves */
#define VTD_SS_ADDR GENMASK_ULL(51, 12)

/* Page request descriptor, 7.4.1.1: 32 bytes */
#define VTD_PRQ_SIZE	32
#define VTD_PRQ_0_PP	BIT_ULL(8)
#define VTD_PRQ_0_RID	GENMASK_ULL(31, 16)
#define VTD_PRQ_0_PASID GENMASK_ULL(51, 32)
#define VTD_PRQ_0_EXE	BIT_ULL(52)
#define VTD_PRQ_0_PM	BIT_ULL(53)
#define VTD_PRQ_1_R	BIT_ULL(0)
#define VTD_PRQ_1_W	BIT_ULL(1)
#define VTD_PRQ_1_LPIG	BIT_ULL(2)
#define VTD_PRQ_1_PRGI	GENMASK_ULL(11, 3)
#define VTD_PRQ_1_ADDR	GENMASK_ULL(63, 12)

#endif
