/* SPDX-License-Identifier: MIT */
/*
 * The ABI of Linux 7.2's /dev/iommu, written for nestfd: names, numbers and
 * layouts are Linux's, the words are not. Every call takes a pointer to a
 * struct that starts with its own size; bytes past what the callee knows must
 * be zero. The guard is the system header's, so whichever of the two is
 * included first serves both.
 *
 * Order: command numbers, then one section per group of calls. In each struct
 * "in:" and "out:" say who writes a member; reserved members must be 0.
 */
#ifndef _IOMMUFD_H
#define _IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUFD_TYPE (';')

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

#define IOMMU_DESTROY	       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)
#define IOMMU_IOAS_ALLOC       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)
#define IOMMU_IOAS_COPY	       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)
#define IOMMU_IOAS_MAP	       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)
#define IOMMU_IOAS_UNMAP       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)
#define IOMMU_OPTION	       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)
#define IOMMU_VFIO_IOAS	       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)
#define IOMMU_HWPT_ALLOC       _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)
#define IOMMU_GET_HW_INFO      _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)
#define IOMMU_HWPT_SET_DIRTY_TRACKING \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)
#define IOMMU_HWPT_GET_DIRTY_BITMAP \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)
#define IOMMU_HWPT_INVALIDATE	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)
#define IOMMU_IOAS_MAP_FILE	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)
#define IOMMU_VIOMMU_ALLOC	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)
#define IOMMU_VDEVICE_ALLOC	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)
#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)
#define IOMMU_VEVENTQ_ALLOC  _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

/* ---- Any object ---- */

/* IOMMU_DESTROY: end an object nobody uses; EBUSY while something does */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};

/* ---- I/O address spaces: IOVA to memory ---- */

struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags; /* none defined */
	__u32 out_ioas_id;
};

/* Both ends inclusive, so that 2^64-1 can be said */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/*
 * What may be mapped given the devices attached now. EMSGSIZE, and the number
 * needed, if the array is too short; what fits is filled in all the same.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas; /* in: room in the array, out: ranges there are */
	__u32 __reserved;
	__aligned_u64 allowed_iovas; /* -> struct iommu_iova_range[] */
	__aligned_u64 out_iova_alignment;
};

/*
 * Replaces the list of ranges that must stay mappable: a device that would
 * narrow them cannot be attached, and MAP chooses IOVAs from them only.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas; /* -> struct iommu_iova_range[] */
};

enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* else MAP chooses the IOVA */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

struct iommu_ioas_map {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova; /* in: with FIXED_IOVA, out: always */
};

/* As MAP, the memory being a range of a memfd */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start; /* byte offset in the file */
	__aligned_u64 length;
	__aligned_u64 iova; /* in: with FIXED_IOVA, out: always */
};

/* Maps memory that is mapped in another (or the same) IOAS, pinned once */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova; /* in: with FIXED_IOVA, out: always */
	__aligned_u64 src_iova;
};

/* Whole mappings only; 0 with length 2^64-1 takes them all away */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length; /* out: bytes that were unmapped */
};

/* Moves the accounting of pinned memory to the caller; file maps only */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};

/* ---- Options and VFIO compatibility ---- */

enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0, /* 1: account per process; object_id 0 */
	IOMMU_OPTION_HUGE_PAGES = 1,  /* 0: only base pages; one IOAS */
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	__u32 size;
	__u32 option_id; /* enum iommufd_option */
	__u16 op;	 /* enum iommufd_option_ops */
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64; /* in: SET, out: GET */
};

enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/* The one IOAS that type-1 VFIO containers, which know no ids, stand for */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id; /* in: SET, out: GET */
	__u16 op;      /* enum iommufd_vfio_ioas_op */
	__u16 __reserved;
};

/* ---- Hardware information ---- */

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,	/* out: the driver tells nothing */
	IOMMU_HW_INFO_TYPE_DEFAULT = 0, /* in: whatever the driver has */
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1, /* if out_max_pasid_log2 */
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2, /* if out_max_pasid_log2 */
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type counts */
};

/* Short buffers get what fits, the tail of long ones is zeroed */
struct iommu_hw_info {
	__u32 size;
	__u32 flags; /* enum iommufd_hw_info_flags */
	__u32 dev_id;
	__u32 data_len; /* in: room at data_uptr, out: bytes there are */
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;  /* enum iommu_hw_info_type */
		__u32 out_data_type; /* enum iommu_hw_info_type */
	};
	__u8 out_max_pasid_log2; /* 0: no PASIDs */
	__u8 __reserved[3];
	__aligned_u64 out_capabilities; /* enum iommufd_hw_capabilities */
};

enum iommu_hw_info_vtd_flags {
	/* A nest parent must have no read-only mappings */
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

struct iommu_hw_info_vtd {
	__u32 flags; /* enum iommu_hw_info_vtd_flags */
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/*
 * Raw registers. Meaningful to a VMM: IDR0 ST_LEVEL, TERM_MODEL, STALL_MODEL,
 * TTENDIAN, CD2L, ASID16, TTF; IDR1 SIDSIZE, SSIDSIZE; IDR3 BBML, RIL;
 * IDR5 VAX, GRAN64K, GRAN16K, GRAN4K.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/* ---- Hardware page tables ---- */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/*
 * pt_id is an IOAS (a paging HWPT, DATA_NONE), a nest parent or a vIOMMU (a
 * nested HWPT, whose data_type and data describe the guest's table).
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags; /* enum iommufd_hwpt_alloc_flags */
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type; /* enum iommu_hwpt_data_type */
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id; /* with IOMMU_HWPT_FAULT_ID_VALID */
	__u32 __reserved2;
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags; /* enum iommu_hwpt_vtd_s1_flags */
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/*
 * The guest's STE, first two doublewords, of which may be set: in word 0 V,
 * Cfg, S1Fmt, S1ContextPtr, S1CDMax; in word 1 EATS, S1DSS, S1CIR, S1COR,
 * S1CSH, S1STALLD. Anything else is EIO.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags; /* enum iommufd_hwpt_set_dirty_tracking_flags */
	__u32 hwpt_id;
	__u32 __reserved;
};

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/* One bit per page_size bytes, bit 0 of the first word standing for iova */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags; /* enum iommufd_hwpt_get_dirty_bitmap_flags */
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data; /* -> __u64[] */
};

/* ---- Invalidation ---- */

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/* An empty array asks whether hwpt_id takes data_type */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id; /* a nested HWPT or a vIOMMU */
	__aligned_u64 data_uptr;
	__u32 data_type; /* enum iommu_hwpt_invalidate_data_type */
	__u32 entry_len;
	__u32 entry_num; /* in: requests, out: requests carried out */
	__u32 __reserved;
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/* addr 0 with npages 2^64-1 means everything */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;   /* multiple of 4096 */
	__aligned_u64 npages; /* of 4096 bytes */
	__u32 flags;	      /* enum iommu_hwpt_vtd_s1_invalidate_flags */
	__u32 __reserved;
};

/*
 * A command as the guest queued it. Taken: TLBI_NSNH_ALL, TLBI_NH_ALL,
 * TLBI_NH_ASID, TLBI_NH_VA, TLBI_NH_VAA, ATC_INV, CFGI_CD, CFGI_CD_ALL;
 * anything else is EIO.
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/* ---- Page requests ---- */

enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/* What read() of a fault queue gives */
struct iommu_hwpt_pgfault {
	__u32 flags; /* enum iommu_hwpt_pgfault_flags */
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm; /* enum iommu_hwpt_pgfault_perm */
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length; /* 0: no hint */
	__u32 cookie; /* of the group; goes into the response */
};

enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/* What write() to a fault queue takes */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code; /* enum iommufd_page_response_code */
};

struct iommu_fault_alloc {
	__u32 size;
	__u32 flags; /* none defined */
	__u32 out_fault_id;
	__u32 out_fault_fd;
};

/* ---- Virtual IOMMUs, their devices, event queues and hardware queues ---- */

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/* A guest's slice of the IOMMU behind dev_id, over the nest parent hwpt_id */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags; /* none defined */
	__u32 type;  /* enum iommu_viommu_type */
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};

struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/* Gives dev_id the name virt_id (a vSID, a virtual BDF) within the vIOMMU */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0, /* no data follows */
};

/* Before each event; a gap in the sequence tells how many were lost */
struct iommufd_vevent_header {
	__u32 flags;	/* enum iommu_veventq_flag */
	__u32 sequence; /* 0 follows 2^31-1 */
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/*
 * An event record with the vSID in place of the StreamID: C_BAD_STE,
 * F_STREAM_DISABLED, C_BAD_SUBSTREAMID, C_BAD_CD, F_TRANSLATION, F_ADDR_SIZE,
 * F_ACCESS, F_PERMISSION.
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/* One queue per type and vIOMMU */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags; /* none defined */
	__u32 viommu_id;
	__u32 type; /* enum iommu_veventq_type */
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/* A queue in guest memory that hardware reads by itself */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags; /* none defined */
	__u32 viommu_id;
	__u32 type; /* enum iommu_hw_queue_type */
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};

#endif
