// SPDX-License-Identifier: MIT
/* What our own <linux/iommufd.h> says. */
#include <linux/iommufd.h>

#include "all_items.h"
#include "compare.h"

const struct uapi_item uapi_ours[] = {
#include "items.h"
};
const size_t uapi_ours_count = sizeof(uapi_ours) / sizeof(uapi_ours[0]);
