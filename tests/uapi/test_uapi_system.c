// SPDX-License-Identifier: MIT
/*
 * Our <linux/iommufd.h> against the system's, name by name. What the system's
 * header is too old to know is counted; if nothing can be compared the test is
 * skipped (exit 77).
 */
#include <stdio.h>
#include <string.h>

#include "compare.h"

static const struct uapi_item *find_system(const char *name)
{
	for (size_t i = 0; i + 1 < uapi_system_count; i++) {
		if (!strcmp(uapi_system[i].name, name))
			return &uapi_system[i];
	}
	return NULL;
}

int main(void)
{
	size_t compared = 0;
	size_t unknown = 0;
	size_t wrong = 0;

	for (size_t i = 0; i < uapi_ours_count; i++) {
		const struct uapi_item *ours = &uapi_ours[i];
		const struct uapi_item *theirs = find_system(ours->name);

		if (!theirs) {
			unknown++;
			continue;
		}
		compared++;
		if (ours->number == theirs->number)
			continue;
		wrong++;
		printf("%s: ours %#llx, the system's %#llx\n", ours->name,
		       (unsigned long long)ours->number,
		       (unsigned long long)theirs->number);
	}
	printf("%zu compared, %zu differ, %zu unknown to the system's header\n",
	       compared, wrong, unknown);
	if (!compared) {
		printf("SKIP: no <linux/iommufd.h> on this system, or one that "
		       "is too old\n");
		return 77;
	}
	return wrong ? 1 : 0;
}
