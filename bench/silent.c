// SPDX-License-Identifier: MIT
/* See silent.h. */
#include "silent.h"

#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static void add_device(struct silent *s, unsigned int i, uint32_t sid)
{
	struct nestfd_device_config config = {
		.size = sizeof(config),
		.stream_id = sid,
		.ats = true,
	};

	must(nestfd_device_add(s->machine, &config, &s->dev[i]), "a device");
	must(nestfd_bind(s->ctx, s->dev[i], &s->dev_id[i]), "bind");
}

static void make_viommu(struct silent *s)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = s->dev_id[0],
		.hwpt_id = s->parent,
	};

	must(nestfd_ioctl(s->ctx, IOMMU_VIOMMU_ALLOC, &viommu), "VIOMMU_ALLOC");
	s->viommu = viommu.out_viommu_id;
	for (uint32_t i = 0; i < 2; i++) {
		struct iommu_vdevice_alloc vdevice = {
			.size = sizeof(vdevice),
			.viommu_id = s->viommu,
			.dev_id = s->dev_id[i],
			.virt_id = SILENT_GOOD + i,
		};

		must(nestfd_ioctl(s->ctx, IOMMU_VDEVICE_ALLOC, &vdevice),
		     "VDEVICE_ALLOC");
		s->vdevice[i] = vdevice.out_vdevice_id;
	}
}

void silent_start(struct silent *s, struct nestfd_machine *machine,
		  uint32_t sid)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	};

	s->machine = machine;
	s->sid = sid;
	must(nestfd_open(machine, &s->ctx), "open");
	for (unsigned int i = 0; i < 2; i++)
		add_device(s, i, sid + i);
	must(nestfd_ioctl(s->ctx, IOMMU_IOAS_ALLOC, &ioas), "IOAS_ALLOC");
	hwpt.dev_id = s->dev_id[0];
	hwpt.pt_id = ioas.out_ioas_id;
	must(nestfd_ioctl(s->ctx, IOMMU_HWPT_ALLOC, &hwpt), "HWPT_ALLOC");
	s->parent = hwpt.out_hwpt_id;
	make_viommu(s);
}

static void destroy(struct silent *s, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	must(nestfd_ioctl(s->ctx, IOMMU_DESTROY, &arg), "DESTROY");
}

void silent_again(struct silent *s)
{
	for (unsigned int i = 0; i < 2; i++)
		destroy(s, s->vdevice[i]);
	destroy(s, s->viommu);
	make_viommu(s);
}

void silent_stop(struct silent *s)
{
	nestfd_close(s->ctx);
	for (unsigned int i = 0; i < 2; i++)
		nestfd_device_remove(s->dev[i]);
}

void silent_mute(struct silent *s, uint32_t us)
{
	struct nestfd_fault fault = {
		.size = sizeof(fault),
		.kind = NESTFD_FAULT_ATC_TIMEOUT,
		.stream_id = s->sid + 1,
		.delay_us = us,
	};

	must(nestfd_inject(s->machine, &fault), "inject");
}

void silent_mend(struct silent *s)
{
	nestfd_inject_clear(s->machine);
	nestfd_device_reset(s->dev[1]);
}

int silent_invalidate(struct silent *s, const uint64_t (*cmds)[2], uint32_t n,
		      uint32_t *done)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = s->viommu,
		.data_uptr = (uintptr_t)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = 16,
		.entry_num = n,
	};
	int rc = nestfd_ioctl(s->ctx, IOMMU_HWPT_INVALIDATE, &arg);

	*done = arg.entry_num;
	return rc;
}
