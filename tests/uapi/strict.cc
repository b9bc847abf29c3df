/* SPDX-License-Identifier: MIT */
/* Our <linux/iommufd.h> alone, as strict C11 and as C++: it must compile. */
#include <linux/iommufd.h>

int uapi_strict(void);
int uapi_strict(void)
{
	struct iommu_hw_info info = { sizeof(info), 0, 0,	    0, 0,
				      { 0 },	    0, { 0, 0, 0 }, 0 };

	return (int)info.size - 40;
}
