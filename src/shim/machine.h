/* SPDX-License-Identifier: MIT */
/* The machine behind `nestfd run`, whichever door its programs come through. */
#ifndef SHIM_MACHINE_H
#define SHIM_MACHINE_H

#include <nestfd/model.h>
#include <nestfd/nestfd.h>

#include "shim/run.h"

#define SHIM_DEVICES_MAX 64u

struct shim_machine {
	struct nestfd_machine *machine;
	struct nestfd_device *devices[SHIM_DEVICES_MAX];
	unsigned int nr_devices;
	struct nestfd_fault faults[RUN_INJECT_MAX];
	unsigned int nr_faults;
	bool armed; /* they are injected */
};

/*
 * Return: 0, -EINVAL for an unknown kind or rule, errors of
 * nestfd_machine_create() and nestfd_inject().
 */
int shim_machine_make(struct shim_machine *m, const struct run_machine *what);
void shim_machine_end(struct shim_machine *m);

/*
 * Until programs get VFIO devices to bind, each device belongs to the first
 * context that finds it free. Errors are injected from the first time on: what
 * they meet is what the program does, not how the machine is set up.
 */
void shim_machine_bind(struct shim_machine *m, struct nestfd *nestfd);

#endif
