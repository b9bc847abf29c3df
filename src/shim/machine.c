// SPDX-License-Identifier: MIT
/* See machine.h. */
#include "shim/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void add_device(struct shim_machine *m, const char *text)
{
	struct nestfd_device_config config = { .size = sizeof(config) };
	char *end;

	if (strncmp(text, "edu@", 4) || m->nr_devices == SHIM_DEVICES_MAX)
		return; /* nestfd run has looked at it */
	config.stream_id = (uint32_t)strtoul(text + 4, &end, 0);
	if (!nestfd_device_add(m->machine, &config, &m->devices[m->nr_devices]))
		m->nr_devices++;
}

static int arch_of(const char *iommu, enum nestfd_arch *arch)
{
	if (!iommu || !strcmp(iommu, "smmuv3"))
		*arch = NESTFD_ARCH_SMMUV3;
	else if (!strcmp(iommu, "mock"))
		*arch = NESTFD_ARCH_MOCK;
	else
		return -EINVAL;
	return 0;
}

int shim_machine_make(struct shim_machine *m, const char *iommu,
		      const char *cache, const char *memlock,
		      const char *devices)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
	};
	int rc = arch_of(iommu, &config.arch);

	if (rc)
		return rc;
	if (config.arch == NESTFD_ARCH_SMMUV3) {
		config.msi_first = 0x8000000; /* as Linux */
		config.msi_length = 0x100000;
	}
	if (cache && !strcmp(cache, "hostile"))
		config.cache = NESTFD_CACHE_HOSTILE;
	if (memlock && !strcmp(memlock, "enforce"))
		config.memlock = NESTFD_MEMLOCK_ENFORCE;
	m->nr_devices = 0;
	rc = nestfd_machine_create(&config, &m->machine);
	if (rc)
		return rc;
	while (devices) {
		add_device(m, devices);
		devices = strchr(devices, ',');
		devices = devices ? devices + 1 : NULL;
	}
	return 0;
}

void shim_machine_end(struct shim_machine *m)
{
	nestfd_machine_destroy(m->machine);
	m->machine = NULL;
	m->nr_devices = 0;
}

void shim_machine_bind(struct shim_machine *m, struct nestfd *nestfd)
{
	uint32_t id;

	for (unsigned int i = 0; i < m->nr_devices; i++)
		nestfd_bind(nestfd, m->devices[i], &id);
}
