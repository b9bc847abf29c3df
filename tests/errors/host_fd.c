// SPDX-License-Identifier: MIT
/*
 * See host.h: the machine is behind /dev/iommu, as for any program. Devices are
 * bound already, as ids from 1 on in the order of the command line. Without the
 * ioctls of spy.h there is no attach, no DMA, and no other context with a
 * device: a blind bed, with what --inject says for its hardware's faults.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "spy.h"

static int spy(struct bed *bed, unsigned long cmd, uint64_t arg)
{
	int rc = ioctl(bed->fd[0].fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

void host_open(struct bed *bed)
{
	for (int who = 0; who < 2; who++)
		assert_int_equal(nestfd_kernel_open(NULL, &bed->fd[who]), 0);
	for (unsigned int d = 0; d < DEVICES; d++)
		bed->dev_id[d] = d + 1;
	bed->dev_id[NEIGHBOUR] = 1;
	bed->blind = spy(bed, SPY_MEND, 0) == -ENOTTY;
	if (getenv("SPIED"))
		assert_false(bed->blind);
}

void host_close(struct bed *bed)
{
	for (int who = 0; who < 2; who++)
		nestfd_kernel_close(&bed->fd[who]);
}

int host_call(struct bed *bed, enum who who, unsigned long cmd, void *arg)
{
	return nestfd_kernel_ioctl(&bed->fd[who], cmd, arg);
}

struct nestfd_backend host_backend(struct bed *bed)
{
	return (struct nestfd_backend){ .ctx = &bed->fd[0],
					.ioctl = nestfd_kernel_ioctl };
}

int host_attach(struct bed *bed, unsigned int d, uint32_t pt_id)
{
	return bed->blind ? 0 : spy(bed, SPY_ATTACH, (uint64_t)d << 32 | pt_id);
}

int host_moved(struct bed *bed, unsigned int d, bool ats)
{
	return spy(bed, SPY_MOVED, (ats ? 0x100 : 0) | d);
}

int host_held(struct bed *bed, unsigned int d)
{
	return spy(bed, SPY_HELD, d);
}

int host_quarantines(struct bed *bed)
{
	return spy(bed, SPY_QUARANTINES, 0);
}

void host_reset(struct bed *bed, unsigned int d)
{
	assert_int_equal(spy(bed, SPY_RESET, d), 0);
}

void host_break(struct bed *bed, const struct fault *fault)
{
	uint64_t arg = (uint64_t)fault->op << 8 | fault->kind;

	if (!bed->blind)
		assert_int_equal(spy(bed, SPY_BREAK, arg), 0);
}

void host_mend(struct bed *bed)
{
	if (!bed->blind)
		assert_int_equal(spy(bed, SPY_MEND, 0), 0);
}
