// SPDX-License-Identifier: MIT
/* See machine.h. */
#include "shim/machine.h"

#include <errno.h>
#include <string.h>

struct devices {
	struct nestfd_device_config config[SHIM_DEVICES_MAX];
	unsigned int n;
	bool pri; /* one of them makes page requests */
};

/* nestfd run has looked at them: what is no device is none. */
static void read_devices(const char *text, struct devices *devices)
{
	struct nestfd_device_config *config;

	devices->n = 0;
	devices->pri = false;
	while (text && *text && devices->n < SHIM_DEVICES_MAX) {
		size_t length = strcspn(text, " ");

		config = &devices->config[devices->n];
		if (!run_device_parse(text, length, config)) {
			devices->n++;
			devices->pri |= config->page_requests;
		}
		text += length + (text[length] == ' ');
	}
}

static void add_devices(struct shim_machine *m, const struct devices *devices)
{
	for (unsigned int i = 0; i < devices->n; i++) {
		if (!nestfd_device_add(m->machine, &devices->config[i],
				       &m->devices[m->nr_devices]))
			m->nr_devices++;
	}
}

static int arch_of(const char *iommu, enum nestfd_arch *arch)
{
	if (!iommu || !strcmp(iommu, "smmuv3"))
		*arch = NESTFD_ARCH_SMMUV3;
	else if (!strcmp(iommu, "vtd"))
		*arch = NESTFD_ARCH_VTD;
	else if (!strcmp(iommu, "mock"))
		*arch = NESTFD_ARCH_MOCK;
	else
		return -EINVAL;
	return 0;
}

void shim_machine_end(struct shim_machine *m)
{
	nestfd_machine_destroy(m->machine);
	m->machine = NULL;
	m->nr_devices = 0;
}

static int add_fault(struct shim_machine *m, const char *text, size_t length)
{
	char rule[RUN_INJECT_TEXT];
	struct nestfd_fault *fault = &m->faults[m->nr_faults];

	if (m->nr_faults == RUN_INJECT_MAX || length >= sizeof(rule))
		return -EINVAL;
	memcpy(rule, text, length);
	rule[length] = '\0';
	if (nestfd_inject_parse(rule, fault))
		return -EINVAL;
	m->nr_faults++;
	/* Does the machine take it? It is for later. */
	return nestfd_inject(m->machine, fault);
}

static int add_faults(struct shim_machine *m, const char *text)
{
	int rc = 0;

	while (text && *text && !rc) {
		size_t length = strcspn(text, " ");

		if (length)
			rc = add_fault(m, text, length);
		text += length + (text[length] == ' ');
	}
	nestfd_inject_clear(m->machine);
	return rc;
}

int shim_machine_make(struct shim_machine *m, const struct run_machine *what)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
	};
	struct devices devices;
	int rc = arch_of(what->iommu, &config.arch);

	if (rc)
		return rc;
	if (config.arch == NESTFD_ARCH_SMMUV3) {
		config.msi_first = 0x8000000; /* as Linux */
		config.msi_length = 0x100000;
	}
	if (what->cache && !strcmp(what->cache, "hostile"))
		config.cache = NESTFD_CACHE_HOSTILE;
	if (what->memlock && !strcmp(what->memlock, "enforce"))
		config.memlock = NESTFD_MEMLOCK_ENFORCE;
	rc = run_window_parse(what->atc_window, &config.atc_window_ms);
	if (rc)
		return rc;
	read_devices(what->devices, &devices);
	config.pri = devices.pri;
	m->nr_devices = 0;
	m->nr_faults = 0;
	m->armed = false;
	rc = nestfd_machine_create(&config, &m->machine);
	if (rc)
		return rc;
	rc = add_faults(m, what->inject);
	if (rc) {
		shim_machine_end(m);
		return rc;
	}
	add_devices(m, &devices);
	return 0;
}

void shim_machine_bind(struct shim_machine *m, struct nestfd *nestfd)
{
	uint32_t id;

	for (unsigned int i = 0; i < m->nr_devices; i++)
		nestfd_bind(nestfd, m->devices[i], &id);
	for (unsigned int i = 0; i < m->nr_faults && !m->armed; i++)
		nestfd_inject(m->machine, &m->faults[i]);
	m->armed = true;
}
