/* SPDX-License-Identifier: MIT */
/* SMMUv3 event records, Arm IHI 0070 section 7.3, page requests, chapter 8 */
#ifndef HWDEF_SMMUV3_EVENT_H
#define HWDEF_SMMUV3_EVENT_H

#include "base/bits.h"
#include "base/le.h"

#define SMMUV3_EVT_DWORDS 4
#define SMMUV3_EVT_SIZE	  32

struct smmuv3_evt_rec {
	le64 dw[SMMUV3_EVT_DWORDS];
};
_Static_assert(sizeof(struct smmuv3_evt_rec) == 32, "events are 32 bytes");

#define SMMUV3_EVT_F_UUT	      0x01
#define SMMUV3_EVT_C_BAD_STREAMID     0x02
#define SMMUV3_EVT_F_STE_FETCH	      0x03
#define SMMUV3_EVT_C_BAD_STE	      0x04
#define SMMUV3_EVT_F_BAD_ATS_TREQ     0x05
#define SMMUV3_EVT_F_STREAM_DISABLED  0x06
#define SMMUV3_EVT_F_TRANSL_FORBIDDEN 0x07
#define SMMUV3_EVT_C_BAD_SUBSTREAMID  0x08
#define SMMUV3_EVT_F_CD_FETCH	      0x09
#define SMMUV3_EVT_C_BAD_CD	      0x0a
#define SMMUV3_EVT_F_WALK_EABT	      0x0b
#define SMMUV3_EVT_F_TRANSLATION      0x10
#define SMMUV3_EVT_F_ADDR_SIZE	      0x11
#define SMMUV3_EVT_F_ACCESS	      0x12
#define SMMUV3_EVT_F_PERMISSION	      0x13
#define SMMUV3_EVT_F_TLB_CONFLICT     0x20
#define SMMUV3_EVT_F_CFG_CONFLICT     0x21
#define SMMUV3_EVT_E_PAGE_REQUEST     0x24
#define SMMUV3_EVT_F_VMS_FETCH	      0x25

#define SMMUV3_EVT_0_TYPE	      GENMASK_ULL(7, 0)
#define SMMUV3_EVT_0_SSV	      BIT_ULL(11)
#define SMMUV3_EVT_0_SSID	      GENMASK_ULL(31, 12)
#define SMMUV3_EVT_0_SID	      GENMASK_ULL(63, 32)

#define SMMUV3_EVT_1_STAG	      GENMASK_ULL(15, 0)
#define SMMUV3_EVT_1_STALL	      BIT_ULL(31)
#define SMMUV3_EVT_1_PNU	      BIT_ULL(33)
#define SMMUV3_EVT_1_IND	      BIT_ULL(34)
#define SMMUV3_EVT_1_RNW	      BIT_ULL(35)
#define SMMUV3_EVT_1_NSIPA	      BIT_ULL(36)
#define SMMUV3_EVT_1_S2		      BIT_ULL(39)
#define SMMUV3_EVT_1_CLASS	      GENMASK_ULL(41, 40)
#define SMMUV3_CLASS_CD		      0
#define SMMUV3_CLASS_TT		      1
#define SMMUV3_CLASS_IN		      2

/* F_BAD_ATS_TREQ (7.3.6): what the request asked for */
#define SMMUV3_EVT_1_TREQ_SPAN	  GENMASK_ULL(3, 0)
#define SMMUV3_EVT_1_TREQ_PRIV	  BIT_ULL(28)
#define SMMUV3_EVT_1_TREQ_EXEC	  BIT_ULL(29)
#define SMMUV3_EVT_1_TREQ_WRITE	  BIT_ULL(30)
#define SMMUV3_EVT_1_TREQ_READ	  BIT_ULL(31)
#define SMMUV3_EVT_1_TREQ	  (GENMASK_ULL(31, 28) | SMMUV3_EVT_1_TREQ_SPAN)

#define SMMUV3_EVT_2_ADDR	  GENMASK_ULL(63, 0)
#define SMMUV3_EVT_3_IPA	  GENMASK_ULL(55, 12)
#define SMMUV3_EVT_3_FETCHADDR	  GENMASK_ULL(55, 3)

#define SMMUV3_PRI_SIZE		  16
#define SMMUV3_PRI_REC_0_SID	  GENMASK_ULL(31, 0)
#define SMMUV3_PRI_REC_0_SSID	  GENMASK_ULL(51, 32)
#define SMMUV3_PRI_REC_0_PRIV	  BIT_ULL(58)
#define SMMUV3_PRI_REC_0_EXEC	  BIT_ULL(59)
#define SMMUV3_PRI_REC_0_READ	  BIT_ULL(60)
#define SMMUV3_PRI_REC_0_WRITE	  BIT_ULL(61)
#define SMMUV3_PRI_REC_0_LAST	  BIT_ULL(62)
#define SMMUV3_PRI_REC_0_SSV	  BIT_ULL(63)
#define SMMUV3_PRI_REC_1_PRGINDEX GENMASK_ULL(8, 0)
#define SMMUV3_PRI_REC_1_ADDR	  GENMASK_ULL(63, 12)

#endif
