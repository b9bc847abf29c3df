/* SPDX-License-Identifier: MIT */
/*
 * A VT-d host that records what libviommu asks of /dev/iommu and fails on
 * demand, and a guest with 4 MiB of memory at 0. Words are written by hand from
 * the VT-d specification, revision 5.10, the ABI's additions from nestfd/ext.h.
 */
#ifndef TESTS_VIOMMU_VTD_FAKE_H
#define TESTS_VIOMMU_VTD_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nestfd/viommu.h"

#define VG_MEM	    0x400000u
#define VG_ROOT	    0x1000u
#define VG_CTX	    0x2000u
#define VG_DIR	    0x3000u
#define VG_PASIDS   0x4000u
#define VG_STATUS   0x5000u
#define VG_MSI	    0x6000u
#define VG_QUEUE    0x10000u
#define VG_SID	    0x10u /* 00:02.0 */
#define VF_LOG	    4096
#define VF_PARENT   9u
#define VF_IOAS	    8u
#define VF_NO_PASID 0xffffffffu

/* Registers, by hand from 11.4 */
#define R_CAP	 0x08
#define R_ECAP	 0x10
#define R_GCMD	 0x18
#define R_GSTS	 0x1c
#define R_RTADDR 0x20
#define R_CCMD	 0x28
#define R_FSTS	 0x34
#define R_FECTL	 0x38
#define R_FEDATA 0x3c
#define R_FEADDR 0x40
#define R_IQH	 0x80
#define R_IQT	 0x88
#define R_IQA	 0x90
#define R_IQERCD 0xb0
#define R_IVA	 0xf0
#define R_IOTLB	 0xf8

#define FSTS_IQE 0x10u
#define FSTS_ICE 0x20u
#define FSTS_ITE 0x40u

/* Descriptors: of DID 1, PASID 0, by page; device TLBs, without a PASID */
#define VG_P_IOTLB 0x10036ull
#define VG_DEV_TLB (0x3 | (uint64_t)VG_SID << 32)

/* Second-stage tables of four levels, one behind the other */
#define VG_TABLE 0x20000u

struct vf_hwpt {
	uint32_t id;
	uint32_t pt_id;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_type;
	uint64_t s1_flags;
	uint64_t s1_root;
	uint32_t s1_width;
};

struct vf_entry {
	uint64_t addr;
	uint64_t npages;
	uint32_t flags;
};

struct vf_inval {
	uint32_t hwpt_id;
	uint32_t entry_len;
	uint32_t count;
	struct vf_entry entry[256];
	uint32_t status_then; /* what the wait's status word was */
};

struct vf_attach {
	uint32_t pasid; /* VF_NO_PASID */
	uint32_t pt_id;
};

struct vf_map {
	uint32_t ioas;
	uint32_t flags;
	uint64_t iova;
	uint64_t length;
	uint64_t gpa;
};

struct vfake {
	uint8_t mem[VG_MEM];
	uint64_t cap, ecap;
	uint8_t pasid_log2;
	uint64_t caps; /* out_capabilities */
	uint32_t hw_type;

	struct vf_hwpt hwpt[VF_LOG];
	int nhwpt;
	struct vf_attach attach[VF_LOG];
	int nattach;
	struct vf_inval inval[64];
	int ninval;
	uint32_t destroyed[VF_LOG];
	int ndestroyed;
	int nioas;
	int ncopies;
	int nunmaps;
	struct vf_map map[VF_LOG]; /* as it is now */
	int nmap;
	uint32_t next_id;
	int live; /* objects not destroyed */

	/* how to fail */
	int fail_hwpt;	    /* errno of nested HWPT_ALLOCs, while set */
	int fail_attach;    /* errno of the next attach, */
	int fail_attaches;  /* and of so many */
	uint64_t bad_addr;  /* an entry with that addr ... */
	int bad_errno;	    /* ... ends its ioctl so, while set */
	uint32_t bad_error; /* hw_error of it; ICE (1) with errno 0 */
	int bad_times;
	int fail_unmap;
	bool unmap_first;	  /* and only then it fails */
	uint64_t no_memory_first; /* IOAS_COPY from here: ENOENT */
	uint64_t no_memory_last;
	/*
	 * Addresses that the device cannot have, if any: an IOAS it is attached
	 * to loses them, one with mappings there is refused.
	 */
	uint64_t resv_first;
	uint64_t resv_last;
	uint32_t resv_ioas;
	bool ext;
	uint64_t ext_on;
	int fail_nth_ioctl;
	uint64_t reads; /* of guest memory */

	struct nestfd_viommu *viommu;
	uint32_t tail; /* IQT, in descriptors */
	uint32_t waits;
	bool legacy;
};

void vf_config(struct vfake *fake, struct nestfd_viommu_config *config);
int vf_ioctl(void *ctx, unsigned long cmd, void *arg);
int vf_attach(void *ctx, uint32_t pt_id);
int vf_attach_pasid(void *ctx, uint32_t pasid, uint32_t pt_id);

/* Made, device VG_SID (dev_id 7) behind it; @pasids: with attach_pasid */
struct vfake *vf_start(bool ext, bool pasids);
/* In two steps, for who changes @config or the host in between */
struct vfake *vf_new(struct nestfd_viommu_config *config);
void vf_plug(struct vfake *fake, const struct nestfd_viommu_config *config,
	     bool pasids);
struct nestfd_viommu_device vf_device(struct vfake *fake, bool pasids);
void vf_end(struct vfake *fake);
void vf_forget(struct vfake *fake); /* what was recorded */
uint32_t vf_attached(const struct vfake *fake, uint32_t pasid);
bool vf_is_destroyed(const struct vfake *fake, uint32_t id);
const struct vf_map *vf_map_at(const struct vfake *fake, uint64_t iova);

uint64_t vg_word(const struct vfake *fake, uint64_t gpa);
void vg_store(struct vfake *fake, uint64_t gpa, uint64_t word);
uint32_t vg_reg(struct vfake *fake, uint32_t offset);
uint64_t vg_reg64(struct vfake *fake, uint32_t offset);
void vg_set(struct vfake *fake, uint32_t offset, uint32_t value);
void vg_set64(struct vfake *fake, uint32_t offset, uint64_t value);

/*
 * Root and context tables with the device in them, queue of 256-bit
 * descriptors (legacy: 128-bit), translation on. Scalable: DTE and PASIDE set,
 * a PASID directory of 128 entries whose first table is VG_PASIDS.
 */
void vg_boot(struct vfake *fake, bool ats);
void vg_boot_legacy(struct vfake *fake, uint64_t dw0, uint64_t dw1);
void vg_pasid(struct vfake *fake, uint32_t pasid, uint64_t dw0, uint64_t dw1,
	      uint64_t dw2);
/* From @root to @root + 0x3000, first entries; and entry @n of VG_TABLE's last
 */
void vg_link_tables(struct vfake *fake, uint32_t root);
void vg_page(struct vfake *fake, uint32_t n, uint64_t entry);
/* Queues, without a doorbell */
void vg_put(struct vfake *fake, uint64_t dw0, uint64_t dw1);
void vg_doorbell(struct vfake *fake);
/* A wait whose status is the number that is returned */
uint32_t vg_put_wait(struct vfake *fake);
uint32_t vg_status(const struct vfake *fake);
/* @dw0 and a wait behind it, both done; fails the test if not */
void vg_do(struct vfake *fake, uint64_t dw0, uint64_t dw1);

#endif
