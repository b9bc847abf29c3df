// SPDX-License-Identifier: MIT
/* The backend that is a real /dev/iommu and real VFIO devices. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nestfd/viommu.h"

/*
 * VFIO's ABI as of Linux 6.8, here because Debian 12's <linux/vfio.h> is older:
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT is number 100 + 19 of type ';'.
 */
struct vfio_attach_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
	uint32_t pasid;
};
#define VFIO_ATTACH_PT	  _IO(';', 119)
#define VFIO_ATTACH_PASID 1u /* of Linux 6.15: @pasid counts */

struct vfio_detach_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pasid;
};
#define VFIO_DETACH_PT	  _IO(';', 120)
#define VFIO_DETACH_PASID 1u

int nestfd_kernel_open(const char *path, struct nestfd_kernel *kernel)
{
	int fd = open(path ? path : "/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	kernel->fd = fd;
	return 0;
}

void nestfd_kernel_close(struct nestfd_kernel *kernel)
{
	close(kernel->fd);
	kernel->fd = -1;
}

int nestfd_kernel_ioctl(void *kernel, unsigned long cmd, void *arg)
{
	struct nestfd_kernel *k = kernel;

	return ioctl(k->fd, cmd, arg) < 0 ? -errno : 0;
}

int nestfd_vfio_attach(void *vfio_fd, uint32_t pt_id)
{
	struct vfio_attach_pt arg = {
		/* up to pt_id: kernels before 6.15 know no more */
		.argsz = offsetof(struct vfio_attach_pt, pasid),
		.pt_id = pt_id,
	};

	return ioctl(*(int *)vfio_fd, VFIO_ATTACH_PT, &arg) < 0 ? -errno : 0;
}

static int detach_pasid(int fd, uint32_t pasid)
{
	struct vfio_detach_pt arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DETACH_PASID,
		.pasid = pasid,
	};

	return ioctl(fd, VFIO_DETACH_PT, &arg) < 0 ? -errno : 0;
}

int nestfd_vfio_attach_pasid(void *vfio_fd, uint32_t pasid, uint32_t pt_id)
{
	struct vfio_attach_pt arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_ATTACH_PASID,
		.pt_id = pt_id,
		.pasid = pasid,
	};
	int fd = *(int *)vfio_fd;

	if (!pt_id)
		return detach_pasid(fd, pasid);
	return ioctl(fd, VFIO_ATTACH_PT, &arg) < 0 ? -errno : 0;
}
