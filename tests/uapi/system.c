// SPDX-License-Identifier: MIT
/*
 * What the system's <linux/iommufd.h> says, as far as it goes: the build
 * defines ITEMS_ only for the groups that it knows. Our header must not be in
 * the include path here.
 */
#ifdef HAVE_SYSTEM_IOMMUFD_H
#include <linux/iommufd.h>
#endif

#include "compare.h"

const struct uapi_item uapi_system[] = {
#include "items.h"
	{ NULL, 0 },
};
const size_t uapi_system_count = sizeof(uapi_system) / sizeof(uapi_system[0]);
