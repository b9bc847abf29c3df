/* SPDX-License-Identifier: MIT */
/*
 * What nestfd's /dev/iommu has beyond Linux's: error codes for each failing
 * invalidation, and invalidation queues that are consumed in place.
 *
 * The same client runs on Linux: there every command below is ENOTTY, and a
 * struct nestfd_hwpt_invalidate whose additions are zero is the plain
 * struct iommu_hwpt_invalidate (out_error then stays 0: no code is given).
 *
 * Structs follow the ABI's rules: @size first; shorter than a member means
 * that it is 0; longer is E2BIG unless what is behind is 0.
 */
#ifndef NESTFD_EXT_H
#define NESTFD_EXT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** NESTFD_EXT_* - features, in struct nestfd_ext_enable */
#define NESTFD_EXT_ERRORS 0x1ULL /* out_error of IOMMU_HWPT_INVALIDATE */
#define NESTFD_EXT_RING	  0x2ULL /* NESTFD_HWPT_INVALIDATE_RING */
/*
 * Of vIOMMUs made afterwards: DMA of a device whose nested HWPT was made of a
 * vSTE with V = 0 is told as C_BAD_STE in the vEVENTQ, where there is a vDEVICE
 * (Linux: it aborts, and nobody is told). Of SMMUv3 only.
 */
#define NESTFD_EXT_INVALID 0x4ULL

/**
 * struct nestfd_ext_enable - ioctl(NESTFD_EXT_ENABLE)
 * @size: sizeof(struct nestfd_ext_enable)
 * @flags: must be 0
 * @features: in: NESTFD_EXT_* wanted; out: all that there are
 *
 * Switches additions on for this open /dev/iommu, for good; may be repeated.
 * Until then every struct follows Linux's rules to the letter and
 * NESTFD_HWPT_INVALIDATE_RING is ENOTTY.
 *
 * Errors: EOPNOTSUPP (@flags, or a feature there is none of: nothing is
 * switched on; @features is written all the same), EINVAL, E2BIG, EFAULT;
 * ENOTTY on Linux.
 */
struct nestfd_ext_enable {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
};
#define NESTFD_EXT_ENABLE _IO(';', 0xf0)

/** NESTFD_ERR_VALID - out_error says something; its low bits are a code */
#define NESTFD_ERR_VALID 0x80000000U

/**
 * NESTFD_ERR_SMMUV3_* - codes of IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3
 *
 * What CMDQ_CONS.ERR would say (Arm IHI 0070, 7.1) of the entry at fault:
 * the one that entry_num (the ring: *q_cons_uptr) names.
 *
 * ILL, with EIO: the entry is refused, by the driver or by the hardware, and
 * nothing behind it was executed. out_error_info is 0.
 *
 * ABT, with EIO: the unit's own queue cannot be fetched any more; it is dead.
 *
 * ATC_INV_SYNC, with ETIMEDOUT: a device did not answer the ATC_INV. An array:
 * entry_num is that ATC_INV's index, what is behind it may have been executed
 * or not, and is to be sent again; out_error_info is its StreamID as the
 * client knows it (vSID). A ring: see struct nestfd_hwpt_invalidate_ring.
 */
#define NESTFD_ERR_SMMUV3_ILL	       1U
#define NESTFD_ERR_SMMUV3_ABT	       2U
#define NESTFD_ERR_SMMUV3_ATC_INV_SYNC 3U

/**
 * NESTFD_ERR_VTD_* - hw_error of an entry of IOMMU_HWPT_INVALIDATE_DATA_VTD_S1
 *
 * What FSTS would say (VT-d 6.5.2.11) of the device TLBs that the entry has
 * invalidated. hw_error_info is the source-id of the device, as hardware knows
 * it.
 *
 * ITE, with ETIMEDOUT: a device did not answer. entry_num is that entry's
 * index, what is behind it may have been executed or not, and is to be sent
 * again.
 *
 * ICE: a device's answer was invalid. As in hardware this stops nothing: the
 * entry counts as done, and the ioctl fails only for another reason.
 */
#define NESTFD_ERR_VTD_ICE 1U
#define NESTFD_ERR_VTD_ITE 2U

/**
 * NESTFD_ERR_MOCK_ENTRY - the code of the mock's data types
 * (IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
 *
 * With the errno that Linux's mock has for it: the entry is refused, and
 * nothing behind it was executed. out_error_info is 0.
 */
#define NESTFD_ERR_MOCK_ENTRY 1U

/**
 * struct nestfd_hwpt_vtd_s1_invalidate - an entry with the additions
 * @hw_error: must be 0; out: 0, or NESTFD_ERR_VTD_*
 * @hw_error_info: must be 0; out: the source-id
 *
 * With NESTFD_EXT_ERRORS on; otherwise, and with a shorter entry_len, there
 * are just the first 24 bytes. Written only where there is an error.
 */
struct nestfd_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
	__u32 hw_error;
	__u32 hw_error_info;
};

/**
 * NESTFD_ERR_VMM - ring only, any data_type, with EOPNOTSUPP: the entry is
 * a command that is no invalidation (or one that names what only the VMM
 * knows). All before it is complete; the VMM executes it and goes on behind
 * it. out_error_info is the command's opcode, for people and statistics: the
 * guest may have changed it since, so read the entry itself.
 */
#define NESTFD_ERR_VMM 0x100U

/**
 * NESTFD_ERR_CONS - ring only, any data_type, with EFAULT: *q_cons_uptr could
 * be written when the call began and cannot any more. out_error_info is the
 * index it would have got; what else there was to say is lost.
 */
#define NESTFD_ERR_CONS 0x101U

/**
 * struct nestfd_hwpt_invalidate - IOMMU_HWPT_INVALIDATE with the additions
 * @out_error: must be 0; out: 0, or NESTFD_ERR_VALID and a code of the
 *	data_type. Written whenever entry_num is: on every path but E2BIG
 * @out_error_info: must be 0; out: what the code says it is
 *
 * With NESTFD_EXT_ERRORS on; otherwise, and with a shorter @size, there are
 * just the first 32 bytes. Non-zero additions on input: E2BIG.
 *
 * An error of the array itself (EFAULT, EINVAL, bounds) gives no code. That
 * success says nothing here of events is on purpose: an event that was caused
 * before the invalidation is readable from its vEVENTQ before the ioctl
 * returns, and poll(2) tells of it without an ABI of its own.
 */
struct nestfd_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
	__u32 out_error;
	__u32 out_error_info;
};

/**
 * struct nestfd_hwpt_invalidate_ring - ioctl(NESTFD_HWPT_INVALIDATE_RING)
 * @size: sizeof(struct nestfd_hwpt_invalidate_ring)
 * @hwpt_id: a nested HWPT or a vIOMMU, as for IOMMU_HWPT_INVALIDATE
 * @q_uptr: the entries, in memory that somebody else (a guest) may write
 * @q_cons_uptr: the consumer index, a __u32, 4-byte aligned: read once at the
 *	beginning, written once at the end, with release. (What was read is
 *	stored back at once, to see that it can be.) The caller's own memory,
 *	never the guest's, and nobody else's during the call
 * @q_prod: the producer index
 * @q_index_bits: log2 of the largest queue these indices can address, <= 31
 * @q_entry_num: entries of the queue
 * @q_entry_len: bytes of each, 1 to 4096; as @q_uptr, looked at only if
 *	something is pending
 * @data_type: enum iommu_hwpt_invalidate_data_type
 * @out_error: must be 0; out: as in struct nestfd_hwpt_invalidate
 * @out_error_info: must be 0; out: what the code says
 *
 * An index is its low @q_index_bits bits; the next bit is the wrap flag, which
 * toggles whenever the index passes the end; bits above must be 0. A *ring* has
 * @q_entry_num == 1 << @q_index_bits, pending are (q_prod - cons) mod
 * 2^(bits + 1) entries. A *flat array* has fewer: wrap flags are 0 and
 * cons <= q_prod <= q_entry_num. At most @q_entry_num and at most 2^19 entries
 * may be pending. Nothing pending: a probe of @data_type, like an empty array.
 *
 * Example: bits 4, q_entry_num 0x10, cons 0x0f, q_prod 0x11 consumes exactly
 * entries 0xf and 0x0 and writes 0x11.
 *
 * Each entry is copied once; entries are consumed in order, and those that
 * *q_cons_uptr has passed when the call returns are complete, whatever it
 * returns, but for ATC_INVs without an answer: ETIMEDOUT, code ATC_INV_SYNC, is
 * about those. On success *q_cons_uptr is q_prod, otherwise the index of the
 * entry at fault.
 *
 * IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 in a ring or flat array is a native
 * command queue: CMD_SYNC is honoured (what is before it is complete before
 * anything behind it begins, wherever that can be told: an ATC_INV before
 * anything, anything before an ATC_INV, a CFGI before a TLBI). A CMD_SYNC that
 * must signal (CS = SIG_IRQ), and every command that only the VMM can execute
 * or refuse (CFGI_STE, an unknown vSID, an opcode that the driver does not
 * know, a reserved bit, such as a VMID in TLBI_NSNH_ALL, which has none ...),
 * stops the queue with NESTFD_ERR_VMM. ATC_INV_SYNC stops it at the first
 * CMD_SYNC behind the ATC_INV that was not answered, everything between them
 * executed; out_error_info is the index of that ATC_INV (with wrap flag). If
 * there is no CMD_SYNC behind it, *q_cons_uptr is q_prod: the next CMD_SYNC is
 * the VMM's to fail. If another entry stops the queue before that CMD_SYNC, the
 * code is ATC_INV_SYNC all the same and *q_cons_uptr is that entry's index: the
 * VMM fails the next CMD_SYNC, and what is wrong with the entry it learns by
 * calling again from there.
 *
 * Errors: EINVAL (an index, bits, length or alignment out of range; unknown
 * @data_type), ENOENT (@hwpt_id), EFAULT (*q_cons_uptr cannot be read or
 * written, or an entry cannot be read: *q_cons_uptr is its index), E2BIG (an
 * entry's unknown bytes are not 0, likewise), EIO, ETIMEDOUT, EOPNOTSUPP with a
 * code in @out_error; EOPNOTSUPP without one: no invalidations here. Indices
 * are checked before anything is executed, and *q_cons_uptr for writing too.
 * docs/abi.md has each in the order in which they are judged.
 */
struct nestfd_hwpt_invalidate_ring {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 q_uptr;
	__aligned_u64 q_cons_uptr;
	__u32 q_prod;
	__u32 q_index_bits;
	__u32 q_entry_num;
	__u32 q_entry_len;
	__u32 data_type;
	__u32 out_error;
	__u32 out_error_info;
	__u32 __reserved;
};
#define NESTFD_HWPT_INVALIDATE_RING _IO(';', 0xf1)

#ifdef __cplusplus
}
#endif
#endif
