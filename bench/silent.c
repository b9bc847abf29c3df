// SPDX-License-Identifier: MIT
/* See silent.h. */
#include "silent.h"

#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE_OF 1024.0

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

static void make(struct silent *s)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = s->dev_id[0],
		.pt_id = s->ioas,
	};

	must(nestfd_ioctl(s->ctx, IOMMU_HWPT_ALLOC, &hwpt), "HWPT_ALLOC");
	s->parent = hwpt.out_hwpt_id;
	must(s->arch->silent->make(s), "nesting");
}

void silent_start(struct silent *s, const struct path_arch *arch,
		  struct nestfd_machine *machine, uint32_t sid)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	s->arch = arch;
	s->machine = machine;
	s->sid = sid;
	must(nestfd_open(machine, &s->ctx), "open");
	for (unsigned int i = 0; i < 2; i++)
		add_device(s, i, sid + i);
	must(nestfd_ioctl(s->ctx, IOMMU_IOAS_ALLOC, &ioas), "IOAS_ALLOC");
	s->ioas = ioas.out_ioas_id;
	make(s);
}

void silent_stop(struct silent *s)
{
	nestfd_close(s->ctx);
	for (unsigned int i = 0; i < 2; i++)
		nestfd_device_remove(s->dev[i]);
}

void silent_again(struct silent *s)
{
	silent_stop(s);
	silent_start(s, s->arch, s->machine, s->sid);
}

void silent_mute(struct silent *s, uint32_t us, uint32_t once)
{
	struct nestfd_fault fault = {
		.size = sizeof(fault),
		.kind = NESTFD_FAULT_ATC_TIMEOUT,
		.stream_id = s->sid + 1,
		.delay_us = us,
		.count = once ? 1 : 0,
		.probability = once ? 1 / ONE_OF : 1,
		.seed = once,
	};

	must(nestfd_inject(s->machine, &fault), "inject");
}

void silent_mend(struct silent *s)
{
	nestfd_inject_clear(s->machine);
}

void silent_entry(const struct silent *s, void *entries, uint32_t i,
		  enum silent_asks asks)
{
	s->arch->silent->entry((char *)entries + (size_t)i * s->arch->entry_len,
			       asks, (uint64_t)i << 12);
}

int silent_invalidate(struct silent *s, void *entries, uint32_t first,
		      uint32_t n, uint32_t *done)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = s->object,
		.data_uptr = (uintptr_t)entries +
			     (uintptr_t)first * s->arch->entry_len,
		.data_type = s->arch->data_type,
		.entry_len = s->arch->entry_len,
		.entry_num = n,
	};
	int rc = nestfd_ioctl(s->ctx, IOMMU_HWPT_INVALIDATE, &arg);

	*done = arg.entry_num;
	return rc;
}
