// SPDX-License-Identifier: MIT
/* Every command of iommufd and ext.h: its name, its struct's members. */
#include <stddef.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "nestfd/ext.h"
#include "shim/trace.h"
#include "shim/trace_table.h"

#define NAME(value)           \
	{                     \
		value, #value \
	}
#define END             \
	{               \
		0, NULL \
	}

static const struct trace_name map_flags[] = {
	NAME(IOMMU_IOAS_MAP_FIXED_IOVA),
	NAME(IOMMU_IOAS_MAP_WRITEABLE),
	NAME(IOMMU_IOAS_MAP_READABLE),
	END,
};

static const struct trace_name options[] = {
	NAME(IOMMU_OPTION_RLIMIT_MODE),
	NAME(IOMMU_OPTION_HUGE_PAGES),
	END,
};

static const struct trace_name option_ops[] = {
	NAME(IOMMU_OPTION_OP_SET),
	NAME(IOMMU_OPTION_OP_GET),
	END,
};

static const struct trace_name vfio_ops[] = {
	NAME(IOMMU_VFIO_IOAS_GET),
	NAME(IOMMU_VFIO_IOAS_SET),
	NAME(IOMMU_VFIO_IOAS_CLEAR),
	END,
};

static const struct trace_name hw_info_flags[] = {
	NAME(IOMMU_HW_INFO_FLAG_INPUT_TYPE),
	END,
};

static const struct trace_name hw_info_types[] = {
	NAME(IOMMU_HW_INFO_TYPE_NONE),
	NAME(IOMMU_HW_INFO_TYPE_INTEL_VTD),
	NAME(IOMMU_HW_INFO_TYPE_ARM_SMMUV3),
	NAME(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV),
	NAME(IOMMU_HW_INFO_TYPE_AMD),
	END,
};

static const struct trace_name hw_caps[] = {
	NAME(IOMMU_HW_CAP_DIRTY_TRACKING),
	NAME(IOMMU_HW_CAP_PCI_PASID_EXEC),
	NAME(IOMMU_HW_CAP_PCI_PASID_PRIV),
	NAME(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED),
	END,
};

static const struct trace_name hwpt_flags[] = {
	NAME(IOMMU_HWPT_ALLOC_NEST_PARENT),
	NAME(IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
	NAME(IOMMU_HWPT_FAULT_ID_VALID),
	NAME(IOMMU_HWPT_ALLOC_PASID),
	END,
};

static const struct trace_name hwpt_types[] = {
	NAME(IOMMU_HWPT_DATA_NONE),
	NAME(IOMMU_HWPT_DATA_VTD_S1),
	NAME(IOMMU_HWPT_DATA_ARM_SMMUV3),
	NAME(IOMMU_HWPT_DATA_AMD_GUEST),
	END,
};

static const struct trace_name dirty_flags[] = {
	NAME(IOMMU_HWPT_DIRTY_TRACKING_ENABLE),
	END,
};

static const struct trace_name bitmap_flags[] = {
	NAME(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR),
	END,
};

static const struct trace_name inval_types[] = {
	NAME(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1),
	NAME(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3),
	END,
};

static const struct trace_name ext_features[] = {
	NAME(NESTFD_EXT_ERRORS),
	NAME(NESTFD_EXT_RING),
	NAME(NESTFD_EXT_INVALID),
	END,
};

/* The codes' names would depend on the data type. */
static const struct trace_name error_flags[] = {
	NAME(NESTFD_ERR_VALID),
	END,
};

static const struct trace_name viommu_types[] = {
	NAME(IOMMU_VIOMMU_TYPE_DEFAULT),
	NAME(IOMMU_VIOMMU_TYPE_ARM_SMMUV3),
	NAME(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV),
	END,
};

static const struct trace_name veventq_types[] = {
	NAME(IOMMU_VEVENTQ_TYPE_DEFAULT),
	NAME(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3),
	NAME(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV),
	END,
};

static const struct trace_name hw_queue_types[] = {
	NAME(IOMMU_HW_QUEUE_TYPE_DEFAULT),
	NAME(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV),
	END,
};

/* Commands of an SMMUv3, Arm IHI 0070, "Commands": byte 0 */
const struct trace_name trace_smmuv3_ops[] = {
	{ 0x01, "PREFETCH_CONFIG" },
	{ 0x02, "PREFETCH_ADDR" },
	{ 0x03, "CFGI_STE" },
	{ 0x04, "CFGI_STE_RANGE" },
	{ 0x05, "CFGI_CD" },
	{ 0x06, "CFGI_CD_ALL" },
	{ 0x10, "TLBI_NH_ALL" },
	{ 0x11, "TLBI_NH_ASID" },
	{ 0x12, "TLBI_NH_VA" },
	{ 0x13, "TLBI_NH_VAA" },
	{ 0x28, "TLBI_S12_VMALL" },
	{ 0x2a, "TLBI_S2_IPA" },
	{ 0x30, "TLBI_NSNH_ALL" },
	{ 0x40, "ATC_INV" },
	{ 0x41, "PRI_RESP" },
	{ 0x44, "RESUME" },
	{ 0x45, "STALL_TERM" },
	{ 0x46, "CMD_SYNC" },
	END,
};

#define FIELD(type, member, field_kind, field_way, field_names)            \
	{                                                                  \
#member, offsetof(struct type, member),                    \
			sizeof(((struct type *)NULL)->member), field_kind, \
			field_way, field_names                             \
	}
#define IN(type, member, kind)	FIELD(type, member, kind, TRACE_IN, NULL)
#define OUT(type, member, kind) FIELD(type, member, kind, TRACE_OUT, NULL)
#define BOTH(type, member, kind) \
	FIELD(type, member, kind, TRACE_IN | TRACE_OUT, NULL)
#define IN_ENUM(type, member, names) \
	FIELD(type, member, TRACE_ENUM, TRACE_IN, names)
#define IN_FLAGS(type, member, names) \
	FIELD(type, member, TRACE_FLAGS, TRACE_IN, names)
#define OUT_FLAGS(type, member, names) \
	FIELD(type, member, TRACE_FLAGS, TRACE_OUT, names)
#define SIZE(type) IN(type, size, TRACE_DEC)
#define RES(type)  IN(type, __reserved, TRACE_RESERVED)
#define LAST         \
	{            \
		NULL \
	}

static const struct trace_field destroy[] = {
	SIZE(iommu_destroy),
	IN(iommu_destroy, id, TRACE_DEC),
	LAST,
};

static const struct trace_field ioas_alloc[] = {
	SIZE(iommu_ioas_alloc),
	IN(iommu_ioas_alloc, flags, TRACE_HEX),
	OUT(iommu_ioas_alloc, out_ioas_id, TRACE_DEC),
	LAST,
};

static const struct trace_field allow_iovas[] = {
	SIZE(iommu_ioas_allow_iovas),
	IN(iommu_ioas_allow_iovas, ioas_id, TRACE_DEC),
	IN(iommu_ioas_allow_iovas, num_iovas, TRACE_DEC),
	RES(iommu_ioas_allow_iovas),
	IN(iommu_ioas_allow_iovas, allowed_iovas, TRACE_HEX),
	LAST,
};

static const struct trace_field ioas_copy[] = {
	SIZE(iommu_ioas_copy),
	IN_FLAGS(iommu_ioas_copy, flags, map_flags),
	IN(iommu_ioas_copy, dst_ioas_id, TRACE_DEC),
	IN(iommu_ioas_copy, src_ioas_id, TRACE_DEC),
	IN(iommu_ioas_copy, length, TRACE_HEX),
	BOTH(iommu_ioas_copy, dst_iova, TRACE_HEX),
	IN(iommu_ioas_copy, src_iova, TRACE_HEX),
	LAST,
};

static const struct trace_field iova_ranges[] = {
	SIZE(iommu_ioas_iova_ranges),
	IN(iommu_ioas_iova_ranges, ioas_id, TRACE_DEC),
	BOTH(iommu_ioas_iova_ranges, num_iovas, TRACE_DEC),
	RES(iommu_ioas_iova_ranges),
	IN(iommu_ioas_iova_ranges, allowed_iovas, TRACE_HEX),
	OUT(iommu_ioas_iova_ranges, out_iova_alignment, TRACE_HEX),
	LAST,
};

static const struct trace_field ioas_map[] = {
	SIZE(iommu_ioas_map),
	IN_FLAGS(iommu_ioas_map, flags, map_flags),
	IN(iommu_ioas_map, ioas_id, TRACE_DEC),
	RES(iommu_ioas_map),
	IN(iommu_ioas_map, user_va, TRACE_HEX),
	IN(iommu_ioas_map, length, TRACE_HEX),
	BOTH(iommu_ioas_map, iova, TRACE_HEX),
	LAST,
};

static const struct trace_field ioas_unmap[] = {
	SIZE(iommu_ioas_unmap),
	IN(iommu_ioas_unmap, ioas_id, TRACE_DEC),
	IN(iommu_ioas_unmap, iova, TRACE_HEX),
	BOTH(iommu_ioas_unmap, length, TRACE_HEX),
	LAST,
};

static const struct trace_field option[] = {
	SIZE(iommu_option),
	IN_ENUM(iommu_option, option_id, options),
	IN_ENUM(iommu_option, op, option_ops),
	RES(iommu_option),
	IN(iommu_option, object_id, TRACE_DEC),
	BOTH(iommu_option, val64, TRACE_DEC),
	LAST,
};

static const struct trace_field vfio_ioas[] = {
	SIZE(iommu_vfio_ioas),
	BOTH(iommu_vfio_ioas, ioas_id, TRACE_DEC),
	IN_ENUM(iommu_vfio_ioas, op, vfio_ops),
	RES(iommu_vfio_ioas),
	LAST,
};

static const struct trace_field hwpt_alloc[] = {
	SIZE(iommu_hwpt_alloc),
	IN_FLAGS(iommu_hwpt_alloc, flags, hwpt_flags),
	IN(iommu_hwpt_alloc, dev_id, TRACE_DEC),
	IN(iommu_hwpt_alloc, pt_id, TRACE_DEC),
	OUT(iommu_hwpt_alloc, out_hwpt_id, TRACE_DEC),
	RES(iommu_hwpt_alloc),
	IN_ENUM(iommu_hwpt_alloc, data_type, hwpt_types),
	IN(iommu_hwpt_alloc, data_len, TRACE_DEC),
	IN(iommu_hwpt_alloc, data_uptr, TRACE_HEX),
	IN(iommu_hwpt_alloc, fault_id, TRACE_DEC),
	IN(iommu_hwpt_alloc, __reserved2, TRACE_RESERVED),
	LAST,
};

static const struct trace_field hw_info[] = {
	SIZE(iommu_hw_info),
	IN_FLAGS(iommu_hw_info, flags, hw_info_flags),
	IN(iommu_hw_info, dev_id, TRACE_DEC),
	BOTH(iommu_hw_info, data_len, TRACE_DEC),
	IN(iommu_hw_info, data_uptr, TRACE_HEX),
	IN_ENUM(iommu_hw_info, in_data_type, hw_info_types),
	FIELD(iommu_hw_info, out_data_type, TRACE_ENUM, TRACE_OUT,
	      hw_info_types),
	OUT(iommu_hw_info, out_max_pasid_log2, TRACE_DEC),
	FIELD(iommu_hw_info, out_capabilities, TRACE_FLAGS, TRACE_OUT, hw_caps),
	LAST,
};

static const struct trace_field dirty_tracking[] = {
	SIZE(iommu_hwpt_set_dirty_tracking),
	IN_FLAGS(iommu_hwpt_set_dirty_tracking, flags, dirty_flags),
	IN(iommu_hwpt_set_dirty_tracking, hwpt_id, TRACE_DEC),
	RES(iommu_hwpt_set_dirty_tracking),
	LAST,
};

static const struct trace_field dirty_bitmap[] = {
	SIZE(iommu_hwpt_get_dirty_bitmap),
	IN(iommu_hwpt_get_dirty_bitmap, hwpt_id, TRACE_DEC),
	IN_FLAGS(iommu_hwpt_get_dirty_bitmap, flags, bitmap_flags),
	RES(iommu_hwpt_get_dirty_bitmap),
	IN(iommu_hwpt_get_dirty_bitmap, iova, TRACE_HEX),
	IN(iommu_hwpt_get_dirty_bitmap, length, TRACE_HEX),
	IN(iommu_hwpt_get_dirty_bitmap, page_size, TRACE_HEX),
	IN(iommu_hwpt_get_dirty_bitmap, data, TRACE_HEX),
	LAST,
};

static const struct trace_field invalidate[] = {
	SIZE(nestfd_hwpt_invalidate),
	IN(nestfd_hwpt_invalidate, hwpt_id, TRACE_DEC),
	IN(nestfd_hwpt_invalidate, data_uptr, TRACE_HEX),
	IN_ENUM(nestfd_hwpt_invalidate, data_type, inval_types),
	IN(nestfd_hwpt_invalidate, entry_len, TRACE_DEC),
	BOTH(nestfd_hwpt_invalidate, entry_num, TRACE_DEC),
	RES(nestfd_hwpt_invalidate),
	OUT_FLAGS(nestfd_hwpt_invalidate, out_error, error_flags),
	OUT(nestfd_hwpt_invalidate, out_error_info, TRACE_HEX),
	LAST,
};

static const struct trace_field ext_enable[] = {
	SIZE(nestfd_ext_enable),
	IN(nestfd_ext_enable, flags, TRACE_HEX),
	FIELD(nestfd_ext_enable, features, TRACE_FLAGS, TRACE_IN | TRACE_OUT,
	      ext_features),
	LAST,
};

static const struct trace_field invalidate_ring[] = {
	SIZE(nestfd_hwpt_invalidate_ring),
	IN(nestfd_hwpt_invalidate_ring, hwpt_id, TRACE_DEC),
	IN(nestfd_hwpt_invalidate_ring, q_uptr, TRACE_HEX),
	IN(nestfd_hwpt_invalidate_ring, q_cons_uptr, TRACE_HEX),
	IN(nestfd_hwpt_invalidate_ring, q_prod, TRACE_HEX),
	IN(nestfd_hwpt_invalidate_ring, q_index_bits, TRACE_DEC),
	IN(nestfd_hwpt_invalidate_ring, q_entry_num, TRACE_HEX),
	IN(nestfd_hwpt_invalidate_ring, q_entry_len, TRACE_DEC),
	IN_ENUM(nestfd_hwpt_invalidate_ring, data_type, inval_types),
	OUT_FLAGS(nestfd_hwpt_invalidate_ring, out_error, error_flags),
	OUT(nestfd_hwpt_invalidate_ring, out_error_info, TRACE_HEX),
	RES(nestfd_hwpt_invalidate_ring),
	LAST,
};

static const struct trace_field fault_alloc[] = {
	SIZE(iommu_fault_alloc),
	IN(iommu_fault_alloc, flags, TRACE_HEX),
	OUT(iommu_fault_alloc, out_fault_id, TRACE_DEC),
	OUT(iommu_fault_alloc, out_fault_fd, TRACE_INT),
	LAST,
};

static const struct trace_field map_file[] = {
	SIZE(iommu_ioas_map_file),
	IN_FLAGS(iommu_ioas_map_file, flags, map_flags),
	IN(iommu_ioas_map_file, ioas_id, TRACE_DEC),
	IN(iommu_ioas_map_file, fd, TRACE_INT),
	IN(iommu_ioas_map_file, start, TRACE_HEX),
	IN(iommu_ioas_map_file, length, TRACE_HEX),
	BOTH(iommu_ioas_map_file, iova, TRACE_HEX),
	LAST,
};

static const struct trace_field viommu_alloc[] = {
	SIZE(iommu_viommu_alloc),
	IN(iommu_viommu_alloc, flags, TRACE_HEX),
	IN_ENUM(iommu_viommu_alloc, type, viommu_types),
	IN(iommu_viommu_alloc, dev_id, TRACE_DEC),
	IN(iommu_viommu_alloc, hwpt_id, TRACE_DEC),
	OUT(iommu_viommu_alloc, out_viommu_id, TRACE_DEC),
	IN(iommu_viommu_alloc, data_len, TRACE_DEC),
	RES(iommu_viommu_alloc),
	IN(iommu_viommu_alloc, data_uptr, TRACE_HEX),
	LAST,
};

static const struct trace_field vdevice_alloc[] = {
	SIZE(iommu_vdevice_alloc),
	IN(iommu_vdevice_alloc, viommu_id, TRACE_DEC),
	IN(iommu_vdevice_alloc, dev_id, TRACE_DEC),
	OUT(iommu_vdevice_alloc, out_vdevice_id, TRACE_DEC),
	IN(iommu_vdevice_alloc, virt_id, TRACE_HEX),
	LAST,
};

static const struct trace_field change_process[] = {
	SIZE(iommu_ioas_change_process),
	RES(iommu_ioas_change_process),
	LAST,
};

static const struct trace_field veventq_alloc[] = {
	SIZE(iommu_veventq_alloc),
	IN(iommu_veventq_alloc, flags, TRACE_HEX),
	IN(iommu_veventq_alloc, viommu_id, TRACE_DEC),
	IN_ENUM(iommu_veventq_alloc, type, veventq_types),
	IN(iommu_veventq_alloc, veventq_depth, TRACE_DEC),
	OUT(iommu_veventq_alloc, out_veventq_id, TRACE_DEC),
	OUT(iommu_veventq_alloc, out_veventq_fd, TRACE_INT),
	RES(iommu_veventq_alloc),
	LAST,
};

static const struct trace_field hw_queue_alloc[] = {
	SIZE(iommu_hw_queue_alloc),
	IN(iommu_hw_queue_alloc, flags, TRACE_HEX),
	IN(iommu_hw_queue_alloc, viommu_id, TRACE_DEC),
	IN_ENUM(iommu_hw_queue_alloc, type, hw_queue_types),
	IN(iommu_hw_queue_alloc, index, TRACE_DEC),
	OUT(iommu_hw_queue_alloc, out_hw_queue_id, TRACE_DEC),
	IN(iommu_hw_queue_alloc, nesting_parent_iova, TRACE_HEX),
	IN(iommu_hw_queue_alloc, length, TRACE_HEX),
	LAST,
};

#define COMMAND(cmd, type, table, kind_of_data)                    \
	[_IOC_NR(cmd) - IOMMUFD_CMD_BASE] = { #cmd, table,         \
					      sizeof(struct type), \
					      kind_of_data, NULL }

static const struct trace_command commands[] = {
	COMMAND(IOMMU_DESTROY, iommu_destroy, destroy, TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, ioas_alloc, TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allow_iovas,
		TRACE_RANGES_IN),
	COMMAND(IOMMU_IOAS_COPY, iommu_ioas_copy, ioas_copy, TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, iova_ranges,
		TRACE_RANGES_OUT),
	COMMAND(IOMMU_IOAS_MAP, iommu_ioas_map, ioas_map, TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, ioas_unmap, TRACE_NO_DATA),
	COMMAND(IOMMU_OPTION, iommu_option, option, TRACE_NO_DATA),
	COMMAND(IOMMU_VFIO_IOAS, iommu_vfio_ioas, vfio_ioas, TRACE_NO_DATA),
	COMMAND(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, hwpt_alloc, TRACE_STE),
	COMMAND(IOMMU_GET_HW_INFO, iommu_hw_info, hw_info, TRACE_HW_INFO),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking,
		dirty_tracking, TRACE_NO_DATA),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap,
		dirty_bitmap, TRACE_NO_DATA),
	COMMAND(IOMMU_HWPT_INVALIDATE, nestfd_hwpt_invalidate, invalidate,
		TRACE_ENTRIES),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, fault_alloc,
		TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, map_file,
		TRACE_NO_DATA),
	COMMAND(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, viommu_alloc,
		TRACE_NO_DATA),
	COMMAND(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, vdevice_alloc,
		TRACE_NO_DATA),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process,
		change_process, TRACE_NO_DATA),
	COMMAND(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, veventq_alloc,
		TRACE_NO_DATA),
	COMMAND(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, hw_queue_alloc,
		TRACE_NO_DATA),
};

/* ---- VFIO's type 1 calls ---- */

static const struct trace_name vfio_extensions[] = {
	NAME(VFIO_TYPE1_IOMMU),	  NAME(VFIO_TYPE1v2_IOMMU),
	NAME(VFIO_DMA_CC_IOMMU),  NAME(VFIO_TYPE1_NESTING_IOMMU),
	NAME(VFIO_NOIOMMU_IOMMU), NAME(VFIO_UNMAP_ALL),
	NAME(VFIO_UPDATE_VADDR),  END,
};

static const struct trace_name vfio_info_flags[] = {
	NAME(VFIO_IOMMU_INFO_PGSIZES),
	NAME(VFIO_IOMMU_INFO_CAPS),
	END,
};

static const struct trace_name vfio_map_flags[] = {
	NAME(VFIO_DMA_MAP_FLAG_READ),
	NAME(VFIO_DMA_MAP_FLAG_WRITE),
	NAME(VFIO_DMA_MAP_FLAG_VADDR),
	END,
};

static const struct trace_name vfio_unmap_flags[] = {
	NAME(VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP),
	NAME(VFIO_DMA_UNMAP_FLAG_ALL),
	NAME(VFIO_DMA_UNMAP_FLAG_VADDR),
	END,
};

static const struct trace_field vfio_info[] = {
	BOTH(vfio_iommu_type1_info, argsz, TRACE_DEC),
	OUT_FLAGS(vfio_iommu_type1_info, flags, vfio_info_flags),
	OUT(vfio_iommu_type1_info, iova_pgsizes, TRACE_HEX),
	OUT(vfio_iommu_type1_info, cap_offset, TRACE_DEC),
	LAST,
};

static const struct trace_field vfio_map[] = {
	IN(vfio_iommu_type1_dma_map, argsz, TRACE_DEC),
	IN_FLAGS(vfio_iommu_type1_dma_map, flags, vfio_map_flags),
	IN(vfio_iommu_type1_dma_map, vaddr, TRACE_HEX),
	IN(vfio_iommu_type1_dma_map, iova, TRACE_HEX),
	IN(vfio_iommu_type1_dma_map, size, TRACE_HEX),
	LAST,
};

static const struct trace_field vfio_unmap[] = {
	IN(vfio_iommu_type1_dma_unmap, argsz, TRACE_DEC),
	IN_FLAGS(vfio_iommu_type1_dma_unmap, flags, vfio_unmap_flags),
	IN(vfio_iommu_type1_dma_unmap, iova, TRACE_HEX),
	BOTH(vfio_iommu_type1_dma_unmap, size, TRACE_HEX),
	LAST,
};

#define VFIO(cmd, ...) \
	[_IOC_NR(cmd) - VFIO_BASE] = { .name = #cmd, __VA_ARGS__ }

static const struct trace_command vfio_commands[] = {
	VFIO(VFIO_GET_API_VERSION, .fields = NULL),
	VFIO(VFIO_CHECK_EXTENSION, .values = vfio_extensions),
	VFIO(VFIO_SET_IOMMU, .values = vfio_extensions),
	VFIO(VFIO_IOMMU_GET_INFO, .fields = vfio_info,
	     .size = sizeof(struct vfio_iommu_type1_info)),
	VFIO(VFIO_IOMMU_MAP_DMA, .fields = vfio_map,
	     .size = sizeof(struct vfio_iommu_type1_dma_map)),
	VFIO(VFIO_IOMMU_UNMAP_DMA, .fields = vfio_unmap,
	     .size = sizeof(struct vfio_iommu_type1_dma_unmap)),
};

/* ---- The mock's, as Linux's drivers/iommu/iommufd/iommufd_test.h ---- */

static const struct trace_name test_ops[] = { { 1, "ADD_RESERVED" },
					      { 2, "MOCK_DOMAIN" },
					      { 3, "MD_CHECK_MAP" },
					      { 4, "MD_CHECK_REFS" },
					      { 5, "CREATE_ACCESS" },
					      { 6, "DESTROY_ACCESS_PAGES" },
					      { 7, "ACCESS_PAGES" },
					      { 8, "ACCESS_RW" },
					      { 9, "SET_TEMP_MEMORY_LIMIT" },
					      { 10, "MOCK_DOMAIN_REPLACE" },
					      { 11, "ACCESS_REPLACE_IOAS" },
					      { 12, "MOCK_DOMAIN_FLAGS" },
					      { 13, "DIRTY" },
					      { 14, "MD_CHECK_IOTLB" },
					      { 15, "TRIGGER_IOPF" },
					      { 16, "DEV_CHECK_CACHE" },
					      { 17, "TRIGGER_VEVENT" },
					      { 18, "PASID_ATTACH" },
					      { 19, "PASID_REPLACE" },
					      { 20, "PASID_DETACH" },
					      { 21, "PASID_CHECK_HWPT" },
					      { 22, "DMABUF_GET" },
					      { 23, "DMABUF_REVOKE" },
					      END };

struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t __reserved;
	uint64_t words[7];
};

static const struct trace_field test_cmd[] = {
	SIZE(test_cmd),
	IN_ENUM(test_cmd, op, test_ops),
	IN(test_cmd, id, TRACE_DEC),
	RES(test_cmd),
	LAST,
};

#define TEST_NR 0xa0

static const struct trace_command test_command = {
	.name = "IOMMU_TEST_CMD",
	.fields = test_cmd,
	.size = sizeof(struct test_cmd),
	.data = TRACE_WORDS,
};

#define EXT_BASE 0xf0
#define EXT(cmd, type, table, kind_of_data)                             \
	[_IOC_NR(cmd) - EXT_BASE] = { #cmd, table, sizeof(struct type), \
				      kind_of_data, NULL }

static const struct trace_command ext_commands[] = {
	EXT(NESTFD_EXT_ENABLE, nestfd_ext_enable, ext_enable, TRACE_NO_DATA),
	EXT(NESTFD_HWPT_INVALIDATE_RING, nestfd_hwpt_invalidate_ring,
	    invalidate_ring, TRACE_RING),
};

#define COUNT(table) (sizeof(table) / sizeof(table[0]))

const struct trace_command *trace_find(unsigned int nr)
{
	if (nr >= EXT_BASE && nr - EXT_BASE < COUNT(ext_commands))
		return &ext_commands[nr - EXT_BASE];
	if (nr >= IOMMUFD_CMD_BASE && nr - IOMMUFD_CMD_BASE < COUNT(commands))
		return &commands[nr - IOMMUFD_CMD_BASE];
	if (nr >= VFIO_BASE && nr - VFIO_BASE < COUNT(vfio_commands) &&
	    vfio_commands[nr - VFIO_BASE].name)
		return &vfio_commands[nr - VFIO_BASE];
	return nr == TEST_NR ? &test_command : NULL;
}

const char *trace_command_name(unsigned int nr)
{
	const struct trace_command *command = trace_find(nr);

	return command ? command->name : NULL;
}
