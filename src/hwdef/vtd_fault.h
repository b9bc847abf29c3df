/* SPDX-License-Identifier: MIT */
/*
 * VT-d fault reasons, specification 7.1.3, table 30: the condition codes in
 * the names, the numbers as in FRCD.FR.
 */
#ifndef HWDEF_VTD_FAULT_H
#define HWDEF_VTD_FAULT_H

/* Legacy mode */
#define VTD_FR_LRT_2_NOT_PRESENT 0x01 /* root entry */
#define VTD_FR_LCT_2_NOT_PRESENT 0x02 /* context entry */
#define VTD_FR_LCT_4_INVALID	 0x03
#define VTD_FR_LGN_1_ADDRESS	 0x04
#define VTD_FR_LGN_2_WRITE	 0x05
#define VTD_FR_LGN_3_READ	 0x06
#define VTD_FR_LSS_1_ACCESS	 0x07
#define VTD_FR_LRT_1_ACCESS	 0x08
#define VTD_FR_LCT_1_ACCESS	 0x09
#define VTD_FR_LRT_3_RESERVED	 0x0a
#define VTD_FR_LCT_3_RESERVED	 0x0b
#define VTD_FR_LSS_2_RESERVED	 0x0c
#define VTD_FR_LCT_5_BLOCKED	 0x0d
#define VTD_FR_LGN_4_INTERRUPT	 0x0e

/* Interrupt requests, table 15: no valid one, though its address says so */
#define VTD_FR_INTERRUPT_ILLEGAL 0x29

/* Root-table address register */
#define VTD_FR_RTA_1_INVALID	  0x30
#define VTD_FR_RTA_2_PASID	  0x31
#define VTD_FR_RTA_3_PAGE_REQUEST 0x32
#define VTD_FR_RTA_4_ABORT	  0x33

/* Scalable mode: root, context, PASID directory, PASID table */
#define VTD_FR_SRT_1_ACCESS	 0x38
#define VTD_FR_SRT_2_NOT_PRESENT 0x39
#define VTD_FR_SRT_3_RESERVED	 0x3a
#define VTD_FR_SCT_1_ACCESS	 0x40
#define VTD_FR_SCT_2_NOT_PRESENT 0x41
#define VTD_FR_SCT_3_RESERVED	 0x42
#define VTD_FR_SCT_4_INVALID	 0x43
#define VTD_FR_SCT_5_DTE	 0x44
#define VTD_FR_SCT_6_PASIDE	 0x45
#define VTD_FR_SCT_7_PASID_LARGE 0x46
#define VTD_FR_SCT_8_PRE	 0x47
#define VTD_FR_SCT_9_RID_PASID	 0x48
#define VTD_FR_SCT_10_EPTR	 0x49
#define VTD_FR_SPD_1_ACCESS	 0x50
#define VTD_FR_SPD_2_NOT_PRESENT 0x51
#define VTD_FR_SPD_3_RESERVED	 0x52
#define VTD_FR_SPT_1_ACCESS	 0x58
#define VTD_FR_SPT_2_NOT_PRESENT 0x59
#define VTD_FR_SPT_3_RESERVED	 0x5a
#define VTD_FR_SPT_4_INVALID	 0x5b
#define VTD_FR_SPT_5_EXECUTE	 0x5c
#define VTD_FR_SPT_6_SUPERVISOR	 0x5d

/* First stage */
#define VTD_FR_SFS_1_ACCESS	 0x70
#define VTD_FR_SFS_2_NOT_PRESENT 0x71
#define VTD_FR_SFS_3_RESERVED	 0x72
#define VTD_FR_SFS_4_ROOT	 0x73
#define VTD_FR_SFS_5_GPA	 0x74
#define VTD_FR_SFS_6_ROOT_READ	 0x75
#define VTD_FR_SFS_7_TABLE_READ	 0x76
#define VTD_FR_SFS_8_TABLE_WRITE 0x77
#define VTD_FR_SFS_9_NO_SNOOP	 0x90
#define VTD_FR_SFS_10_UPDATE	 0x91

/* Second stage */
#define VTD_FR_SSS_1_ACCESS   0x78
#define VTD_FR_SSS_2_NONE     0x79
#define VTD_FR_SSS_3_RESERVED 0x7a
#define VTD_FR_SSS_4_ROOT     0x7b
#define VTD_FR_SSS_5_NO_SNOOP 0x7c
#define VTD_FR_SSS_6_UPDATE   0x7d

/* General */
#define VTD_FR_SGN_1_CANONICAL	  0x80
#define VTD_FR_SGN_2_PRIVILEGE	  0x81
#define VTD_FR_SGN_4_HOST_ADDRESS 0x83
#define VTD_FR_SGN_5_ADDRESS	  0x84
#define VTD_FR_SGN_6_WRITE	  0x85
#define VTD_FR_SGN_7_READ	  0x86
#define VTD_FR_SGN_8_INTERRUPT	  0x87
#define VTD_FR_SGN_10_PASID_SIZE  0x89

#endif
