/* SPDX-License-Identifier: MIT */
/* Registers of a VT-d unit that a replay uses (specification 5.10, 11.4). */
#ifndef TOOLS_REPLAY_VTD_H
#define TOOLS_REPLAY_VTD_H

#define VTD_CAP_CM	      0x80ull
#define VTD_CAP_MGAW(cap)     ((cap) >> 16 & 0x3f) /* less one */
#define VTD_CAP_FRO(cap)      (((cap) >> 24 & 0x3ff) * 16)
#define VTD_CAP_NFR(cap)      (((cap) >> 40 & 0xff) + 1)
#define VTD_ECAP_DT	      0x4ull
#define VTD_ECAP_FSTS	      (1ull << 47)
#define VTD_ECAP_SMTS	      (1ull << 43)
#define VTD_ECAP_SSTS	      (1ull << 46)
#define VTD_ECAP_PASID	      (1ull << 40)
#define VTD_ECAP_PSS(ecap)    ((ecap) >> 35 & 0x1f) /* PASID bits less one */

#define VTD_GCMD	      0x18
#define VTD_GSTS	      0x1c
#define VTD_GCMD_QIE	      0x04000000u
#define VTD_GCMD_SRTP	      0x40000000u
#define VTD_GCMD_TE	      0x80000000u
#define VTD_RTADDR	      0x20
#define VTD_RTADDR_ADDR	      0xfffffffffffff000ull
#define VTD_RTADDR_TTM(value) ((value) >> 10 & 3)
#define VTD_TTM_SCALABLE      1
#define VTD_FSTS	      0x34
#define VTD_FSTS_PPF	      0x02u
#define VTD_FSTS_IQE	      0x10u
#define VTD_FSTS_ICE	      0x20u
#define VTD_FSTS_ITE	      0x40u
#define VTD_FSTS_FRI(fsts)    ((fsts) >> 8 & 0xff)
#define VTD_FECTL	      0x38
#define VTD_FECTL_IM	      0x80000000u
#define VTD_IQH		      0x80
#define VTD_IQT		      0x88
#define VTD_IQA		      0x90
#define VTD_IQA_QS	      0x7u /* 2^QS pages */
#define VTD_IQA_DW	      0x800u
#define VTD_IQA_ADDR	      0xfffffffffffff000ull

#define VTD_IQERCD	      0xb0

#define VTD_LINE_FAULT	      0

/* vtd_mutate.c: is it one of a device TLB's? Then *@stream is whose. */
bool vtd_names_device(const uint64_t *words, uint32_t *stream);

/* vtd_fault.c */
int vtd_fault(struct run *run, const struct trace_event *ev);
int vtd_fault_record(struct run *run, const struct trace_event *ev);

/* vtd_tables.c. -ENOENT: nothing is present */
int vtd_domain(struct run *run, uint32_t stream, uint32_t pasid,
	       bool *first_stage, uint32_t *domain);
/* Does its context entry let it? */
bool vtd_uses_ats(struct run *run, uint32_t stream);
/* Before a B line of @stream */
void vtd_let_pass(struct run *run, uint32_t stream);

extern const struct mutation_ops vtd_mutations;

#endif
