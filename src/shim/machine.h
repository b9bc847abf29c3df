/* SPDX-License-Identifier: MIT */
/* The machine behind `nestfd run`, whichever door its programs come through. */
#ifndef SHIM_MACHINE_H
#define SHIM_MACHINE_H

#include <nestfd/nestfd.h>

#define SHIM_DEVICES_MAX 64u

struct shim_machine {
	struct nestfd_machine *machine;
	struct nestfd_device *devices[SHIM_DEVICES_MAX];
	unsigned int nr_devices;
};

/*
 * What @iommu, @cache, @memlock and @devices may say is in run.h; NULL for the
 * default.
 * Return: 0, -EINVAL for an unknown kind, errors of nestfd_machine_create().
 */
int shim_machine_make(struct shim_machine *m, const char *iommu,
		      const char *cache, const char *memlock,
		      const char *devices);
void shim_machine_end(struct shim_machine *m);

/*
 * Until programs get VFIO devices to bind, each device belongs to the first
 * context that finds it free.
 */
void shim_machine_bind(struct shim_machine *m, struct nestfd *nestfd);

#endif
