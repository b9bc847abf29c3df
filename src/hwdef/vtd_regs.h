/* SPDX-License-Identifier: MIT */
/*
 * VT-d registers. Names and layout: Intel Virtualization Technology for
 * Directed I/O, Architecture Specification, revision 5.10, chapter 11.4.
 */
#ifndef HWDEF_VTD_REGS_H
#define HWDEF_VTD_REGS_H

#include "base/bits.h"

#define VTD_REG_SIZE	 0x1000

#define VTD_VER		 0x000 /* 11.4.1 */
#define VTD_VER_MIN	 GENMASK_ULL(3, 0)
#define VTD_VER_MAJ	 GENMASK_ULL(7, 4)

#define VTD_CAP		 0x008		   /* 11.4.2 */
#define VTD_CAP_ND	 GENMASK_ULL(2, 0) /* n: 2^(4 + 2n) domains */
#define VTD_CAP_RWBF	 BIT_ULL(4)
#define VTD_CAP_PLMR	 BIT_ULL(5)
#define VTD_CAP_PHMR	 BIT_ULL(6)
#define VTD_CAP_CM	 BIT_ULL(7)
#define VTD_CAP_SAGAW	 GENMASK_ULL(12, 8)
#define VTD_SAGAW_39	 BIT_ULL(9)
#define VTD_SAGAW_48	 BIT_ULL(10)
#define VTD_SAGAW_57	 BIT_ULL(11)
#define VTD_CAP_MGAW	 GENMASK_ULL(21, 16) /* less one */
#define VTD_CAP_ZLR	 BIT_ULL(22)
#define VTD_CAP_FRO	 GENMASK_ULL(33, 24) /* in 16 bytes */
#define VTD_CAP_SSLPS	 GENMASK_ULL(37, 34) /* bit 34: 2M, 35: 1G */
#define VTD_CAP_PSI	 BIT_ULL(39)
#define VTD_CAP_NFR	 GENMASK_ULL(47, 40) /* less one */
#define VTD_CAP_MAMV	 GENMASK_ULL(53, 48)
#define VTD_CAP_DWD	 BIT_ULL(54)
#define VTD_CAP_DRD	 BIT_ULL(55)
#define VTD_CAP_FS1GP	 BIT_ULL(56)
#define VTD_CAP_PI	 BIT_ULL(59)
#define VTD_CAP_FS5LP	 BIT_ULL(60)
#define VTD_CAP_ECMDS	 BIT_ULL(61)
#define VTD_CAP_ESIRTPS	 BIT_ULL(62)
#define VTD_CAP_ESRTPS	 BIT_ULL(63)

#define VTD_ECAP	 0x010 /* 11.4.3 */
#define VTD_ECAP_C	 BIT_ULL(0)
#define VTD_ECAP_QI	 BIT_ULL(1)
#define VTD_ECAP_DT	 BIT_ULL(2)
#define VTD_ECAP_IR	 BIT_ULL(3)
#define VTD_ECAP_EIM	 BIT_ULL(4)
#define VTD_ECAP_PT	 BIT_ULL(6)
#define VTD_ECAP_SC	 BIT_ULL(7)
#define VTD_ECAP_IRO	 GENMASK_ULL(17, 8) /* in 16 bytes */
#define VTD_ECAP_MHMV	 GENMASK_ULL(23, 20)
#define VTD_ECAP_MTS	 BIT_ULL(25)
#define VTD_ECAP_NEST	 BIT_ULL(26)
#define VTD_ECAP_PRS	 BIT_ULL(29)
#define VTD_ECAP_ERS	 BIT_ULL(30)
#define VTD_ECAP_SRS	 BIT_ULL(31)
#define VTD_ECAP_NWFS	 BIT_ULL(33)
#define VTD_ECAP_EAFS	 BIT_ULL(34)
#define VTD_ECAP_PSS	 GENMASK_ULL(39, 35) /* PASID bits less one */
#define VTD_ECAP_PASID	 BIT_ULL(40)
#define VTD_ECAP_DIT	 BIT_ULL(41)
#define VTD_ECAP_PDS	 BIT_ULL(42)
#define VTD_ECAP_SMTS	 BIT_ULL(43)
#define VTD_ECAP_VCS	 BIT_ULL(44)
#define VTD_ECAP_SSADS	 BIT_ULL(45)
#define VTD_ECAP_SSTS	 BIT_ULL(46)
#define VTD_ECAP_FSTS	 BIT_ULL(47)
#define VTD_ECAP_SMPWCS	 BIT_ULL(48)
#define VTD_ECAP_RPS	 BIT_ULL(49)
#define VTD_ECAP_PMS	 BIT_ULL(51)
#define VTD_ECAP_TDXCS	 BIT_ULL(50)
#define VTD_ECAP_ADMS	 BIT_ULL(52)
#define VTD_ECAP_RPRIVS	 BIT_ULL(53)
#define VTD_ECAP_HPTS	 BIT_ULL(55)
#define VTD_ECAP_PTRS	 BIT_ULL(56)
#define VTD_ECAP_SSIRWS	 BIT_ULL(57)
#define VTD_ECAP_SMS	 BIT_ULL(58)
#define VTD_ECAP_HPT1GPS BIT_ULL(59)
#define VTD_ECAP_RDTS	 BIT_ULL(60)
#define VTD_ECAP_EIMER	 BIT_ULL(61)
#define VTD_ECAP_IRREQ	 BIT_ULL(62)

/* Commands and, at the same bits, their status: 11.4.4.1, 11.4.4.2 */
#define VTD_GCMD	  0x018
#define VTD_GSTS	  0x01c
#define VTD_GCMD_CFI	  BIT_ULL(23)
#define VTD_GCMD_SIRTP	  BIT_ULL(24)
#define VTD_GCMD_IRE	  BIT_ULL(25)
#define VTD_GCMD_QIE	  BIT_ULL(26)
#define VTD_GCMD_WBF	  BIT_ULL(27)
#define VTD_GCMD_SRTP	  BIT_ULL(30)
#define VTD_GCMD_TE	  BIT_ULL(31)

#define VTD_RTADDR	  0x020	     /* 11.4.5 */
#define VTD_RTADDR_SSIRWE BIT_ULL(7) /* with ECAP.SSIRWS */
#define VTD_RTADDR_TTM	  GENMASK_ULL(11, 10)
#define VTD_TTM_LEGACY	  0
#define VTD_TTM_SCALABLE  1
#define VTD_TTM_ABORT	  3 /* with ECAP.ADMS */
#define VTD_RTADDR_RTA	  GENMASK_ULL(63, 12)

#define VTD_CCMD	  0x028 /* 11.4.6.1 */
#define VTD_CCMD_DID	  GENMASK_ULL(15, 0)
#define VTD_CCMD_SID	  GENMASK_ULL(31, 16)
#define VTD_CCMD_FM	  GENMASK_ULL(33, 32)
#define VTD_CCMD_CAIG	  GENMASK_ULL(60, 59)
#define VTD_CCMD_CIRG	  GENMASK_ULL(62, 61)
#define VTD_CCMD_ICC	  BIT_ULL(63)

/* IVA at ECAP.IRO * 16, IOTLB behind it: 11.4.6.4, 11.4.6.3 */
#define VTD_IVA	       0x0
#define VTD_IOTLB      0x8
#define VTD_IVA_AM     GENMASK_ULL(5, 0)
#define VTD_IVA_IH     BIT_ULL(6)
#define VTD_IVA_ADDR   GENMASK_ULL(63, 12)
#define VTD_IOTLB_DID  GENMASK_ULL(47, 32)
#define VTD_IOTLB_DW   BIT_ULL(48)
#define VTD_IOTLB_DR   BIT_ULL(49)
#define VTD_IOTLB_IAIG GENMASK_ULL(58, 57)
#define VTD_IOTLB_IIRG GENMASK_ULL(61, 60)
#define VTD_IOTLB_IVT  BIT_ULL(63)

/* Granularities of contexts and IOTLB, requested and actual */
#define VTD_GRAN_GLOBAL 1
#define VTD_GRAN_DOMAIN 2
#define VTD_GRAN_DEVICE 3 /* context cache */
#define VTD_GRAN_PAGE	3 /* IOTLB */

#define VTD_FSTS	0x034 /* 11.4.7.1 */
#define VTD_FSTS_PFO	BIT_ULL(0)
#define VTD_FSTS_PPF	BIT_ULL(1)
#define VTD_FSTS_IQE	BIT_ULL(4)
#define VTD_FSTS_ICE	BIT_ULL(5)
#define VTD_FSTS_ITE	BIT_ULL(6)
#define VTD_FSTS_FRI	GENMASK_ULL(15, 8)

/* Event registers come in fours: control, data, address, upper address */
#define VTD_EDATA_IMD	  GENMASK_ULL(15, 0)
#define VTD_EADDR_MA	  GENMASK_ULL(31, 2)
#define VTD_FECTL	  0x038
#define VTD_FEDATA	  0x03c
#define VTD_FEADDR	  0x040
#define VTD_FEUADDR	  0x044
#define VTD_IECTL	  0x0a0
#define VTD_IEDATA	  0x0a4
#define VTD_IEADDR	  0x0a8
#define VTD_IEUADDR	  0x0ac
#define VTD_PECTL	  0x0e0
#define VTD_PEDATA	  0x0e4
#define VTD_PEADDR	  0x0e8
#define VTD_PEUADDR	  0x0ec
#define VTD_ECTL_IP	  BIT_ULL(30)
#define VTD_ECTL_IM	  BIT_ULL(31)

#define VTD_PMEN	  0x064 /* 11.4.8; not offered */

#define VTD_IQH		  0x080 /* 11.4.9.1 */
#define VTD_IQT		  0x088
#define VTD_IQ_INDEX	  GENMASK_ULL(18, 4)
#define VTD_IQA		  0x090
#define VTD_IQA_QS	  GENMASK_ULL(2, 0) /* 2^QS pages of 4 KiB */
#define VTD_IQA_DW	  BIT_ULL(11)	    /* 256-bit descriptors */
#define VTD_IQA_ADDR	  GENMASK_ULL(63, 12)
#define VTD_ICS		  0x09c
#define VTD_ICS_IWC	  BIT_ULL(0)
#define VTD_IQERCD	  0x0b0 /* 11.4.9.9 */
#define VTD_IQERCD_IQEI	  GENMASK_ULL(3, 0)
#define VTD_IQEI_TAIL	  1 /* outside the queue */
#define VTD_IQEI_FETCH	  2 /* descriptor cannot be read */
#define VTD_IQEI_TYPE	  3 /* unknown, or not in this mode (table 26) */
#define VTD_IQEI_RESERVED 4 /* reserved field of a valid type */
#define VTD_IQEI_WIDTH	  5 /* IQA.DW against the mode or ECAP */
#define VTD_IQEI_ALIGN	  6 /* IQT.QT bit 4 with 256-bit descriptors */
#define VTD_IQEI_TTM	  7 /* invalid translation table mode */
#define VTD_IQERCD_ITESID GENMASK_ULL(47, 32)
#define VTD_IQERCD_ICESID GENMASK_ULL(63, 48)

#define VTD_IRTA	  0x0b8 /* 11.4.10 */
#define VTD_IRTA_S	  GENMASK_ULL(3, 0)
#define VTD_IRTA_EIME	  BIT_ULL(11)
#define VTD_IRTA_ADDR	  GENMASK_ULL(63, 12)

#define VTD_PQH		  0x0c0 /* 11.4.11 */
#define VTD_PQT		  0x0c8
#define VTD_PQ_INDEX	  GENMASK_ULL(18, 5)
#define VTD_PQA		  0x0d0
#define VTD_PQA_PQS	  GENMASK_ULL(2, 0)
#define VTD_PQA_ADDR	  GENMASK_ULL(63, 12)
#define VTD_PRS		  0x0dc
#define VTD_PRS_PPR	  BIT_ULL(0)
#define VTD_PRS_PRO	  BIT_ULL(1)

/* A fault recording register, two doublewords at CAP.FRO * 16: 11.4.7.6 */
#define VTD_FRCD_0_FI	GENMASK_ULL(63, 12)
#define VTD_FRCD_1_SID	GENMASK_ULL(15, 0)
#define VTD_FRCD_1_T2	BIT_ULL(28)
#define VTD_FRCD_1_PRIV BIT_ULL(29)
#define VTD_FRCD_1_EXE	BIT_ULL(30)
#define VTD_FRCD_1_PP	BIT_ULL(31)
#define VTD_FRCD_1_FR	GENMASK_ULL(39, 32)
#define VTD_FRCD_1_PV	GENMASK_ULL(59, 40)
#define VTD_FRCD_1_AT	GENMASK_ULL(61, 60)
#define VTD_FRCD_1_T1	BIT_ULL(62)
#define VTD_FRCD_1_F	BIT_ULL(63)

#endif
