/* SPDX-License-Identifier: MIT */
/* Selects every group of items.h. */
#define ITEMS_DESTROY
#define ITEMS_IOAS
#define ITEMS_MAP_FILE
#define ITEMS_CHANGE_PROCESS
#define ITEMS_OPTION
#define ITEMS_HW_INFO
#define ITEMS_HW_INFO_MORE
#define ITEMS_HWPT
#define ITEMS_HWPT_AMD
#define ITEMS_DIRTY
#define ITEMS_INVALIDATE
#define ITEMS_FAULT
#define ITEMS_VIOMMU
#define ITEMS_VEVENTQ
#define ITEMS_HW_QUEUE
