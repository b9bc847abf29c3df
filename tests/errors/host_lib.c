// SPDX-License-Identifier: MIT
/* See host.h: the machine is in this process. */
#include "host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hw.h"

void host_open(struct bed *bed)
{
	struct nestfd_machine_config config = {
		.size = sizeof(config),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = NESTFD_CACHE_HOSTILE,
		.atc_window_ms = bed->window_ms,
	};

	assert_int_equal(nestfd_machine_create(&config, &bed->machine), 0);
	for (int who = 0; who < 2; who++)
		assert_int_equal(nestfd_open(bed->machine, &bed->ctx[who]), 0);
	for (unsigned int d = 0; d <= NEIGHBOUR; d++) {
		struct nestfd_device_config device = {
			.size = sizeof(device),
			.stream_id = HW_SID + d,
			.ats = true,
		};

		assert_int_equal(
			nestfd_device_add(bed->machine, &device, &bed->dev[d]),
			0);
		assert_int_equal(nestfd_bind(bed->ctx[d == NEIGHBOUR],
					     bed->dev[d], &bed->dev_id[d]),
				 0);
	}
}

void host_close(struct bed *bed)
{
	nestfd_machine_destroy(bed->machine);
}

int host_call(struct bed *bed, enum who who, unsigned long cmd, void *arg)
{
	return nestfd_ioctl(bed->ctx[who], cmd, arg);
}

struct nestfd_backend host_backend(struct bed *bed)
{
	return (struct nestfd_backend){ bed->ctx[0], nestfd_ioctl, nestfd_read,
					nestfd_close_fd, true };
}

int host_attach(struct bed *bed, unsigned int d, uint32_t pt_id)
{
	return nestfd_attach(bed->dev[d], NESTFD_NO_PASID, &pt_id);
}

int host_moved(struct bed *bed, unsigned int d, bool ats)
{
	return hw_moved(bed->dev[d], d, ats);
}

int host_held(struct bed *bed, unsigned int d)
{
	return hw_held(bed->machine, d);
}

int host_quarantines(struct bed *bed)
{
	return hw_quarantines(bed->machine);
}

void host_reset(struct bed *bed, unsigned int d)
{
	nestfd_device_reset(bed->dev[d]);
}

void host_break(struct bed *bed, const struct fault *fault)
{
	assert_int_equal(hw_break(bed->machine, fault), 0);
}

void host_mend(struct bed *bed)
{
	nestfd_inject_clear(bed->machine);
}

int bed_load(struct bed *bed, unsigned int d, unsigned int n, bool ats,
	     uint64_t *value)
{
	return hw_word(bed->dev[d], d, n, ats, value);
}
