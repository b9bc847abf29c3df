// SPDX-License-Identifier: MIT
/* See place.h. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nestfd/ext.h"

/* Linux 6.8's; Debian 12's <linux/vfio.h> is older */
struct vfio_bind {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
};
#define VFIO_BIND _IO(';', 118)

/* edu's registers (QEMU, docs/specs/edu.rst), 8 bytes each */
#define EDU_SRC	   0x80
#define EDU_DST	   0x88
#define EDU_COUNT  0x90
#define EDU_CMD	   0x98
#define EDU_BUFFER 0x40000
#define EDU_START  1
#define EDU_TO_RAM 2

void *place_ram(struct place *place, uint64_t gpa, size_t len)
{
	if (gpa < RAM_BASE || len > RAM_SIZE || gpa - RAM_BASE > RAM_SIZE - len)
		return NULL;
	return place->ram + (gpa - RAM_BASE);
}

/* The other side is hardware (or a model of it) in another thread. */
void place_put(struct place *place, uint64_t gpa, uint64_t word)
{
	__atomic_store_n((uint64_t *)place_ram(place, gpa, 8), word,
			 __ATOMIC_RELEASE);
}

uint64_t place_get(struct place *place, uint64_t gpa)
{
	return __atomic_load_n((uint64_t *)place_ram(place, gpa, 8),
			       __ATOMIC_ACQUIRE);
}

int place_ioctl(void *ctx, unsigned long cmd, void *arg)
{
	struct place *place = ctx;
	int rc;

	if (cmd == IOMMU_HWPT_INVALIDATE) {
		uint32_t size = *(uint32_t *)arg;

		place->invalidates++;
		if (size > place->largest_invalidate)
			place->largest_invalidate = size;
	}
	place->rings += cmd == NESTFD_HWPT_INVALIDATE_RING;
	if (place->kind == PLACE_INSIDE)
		rc = nestfd_ioctl(place->iommufd, cmd, arg);
	else
		rc = nestfd_kernel_ioctl(&place->kernel, cmd, arg);
	if (!rc && cmd == IOMMU_VDEVICE_ALLOC)
		place->vdevice =
			((struct iommu_vdevice_alloc *)arg)->out_vdevice_id;
	return rc;
}

static ssize_t inside_read(void *ctx, int fd, void *buf, size_t len)
{
	return nestfd_read(((struct place *)ctx)->iommufd, fd, buf, len);
}

static int inside_close(void *ctx, int fd)
{
	return nestfd_close_fd(((struct place *)ctx)->iommufd, fd);
}

int place_attach(void *ctx, uint32_t pt_id)
{
	struct place_device *device = ctx;

	if (device->inside)
		return nestfd_attach(device->inside, NESTFD_NO_PASID, &pt_id);
	if (device->vfio < 0)
		return 0; /* there is nothing that could do DMA */
	return nestfd_vfio_attach(&device->vfio, pt_id);
}

static void edu_write(const struct place_device *device, uint32_t at,
		      uint64_t value)
{
	*(volatile uint64_t *)(device->bar + at) = value;
}

/* A copy takes edu a tenth of a second. */
static void edu_copy(const struct place_device *device, uint64_t from,
		     uint64_t to, uint64_t cmd)
{
	edu_write(device, EDU_SRC, from);
	edu_write(device, EDU_DST, to);
	edu_write(device, EDU_COUNT, 8);
	edu_write(device, EDU_CMD, cmd | EDU_START);
	for (int i = 0; i < 5000; i++) {
		if (!(*(volatile uint64_t *)(device->bar + EDU_CMD) &
		      EDU_START))
			return;
		usleep(2000);
	}
	fprintf(stderr, "edu does not finish its DMA\n");
}

void place_copy(struct place *place, unsigned int device, uint64_t from,
		uint64_t to)
{
	const struct place_device *dev = &place->device[device];
	uint64_t word = 0;

	if (dev->inside) {
		if (!nestfd_dma_read(dev->inside, from, &word, 8))
			nestfd_dma_write(dev->inside, to, &word, 8);
		return;
	}
	edu_copy(dev, from, EDU_BUFFER, 0);
	edu_copy(dev, EDU_BUFFER, to, EDU_TO_RAM);
}

static bool complain(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	return false;
}

static bool open_inside(struct place *place)
{
	struct nestfd_machine_config machine = {
		.size = sizeof(machine),
		.arch = NESTFD_ARCH_SMMUV3,
		.cache = NESTFD_CACHE_HOSTILE,
	};
	int rc;

	rc = nestfd_machine_create(&machine, &place->machine);
	if (rc)
		return complain("machine", -rc);
	rc = nestfd_open(place->machine, &place->iommufd);
	for (unsigned int i = 0; !rc && i < DEVICES; i++) {
		struct nestfd_device_config config = {
			.size = sizeof(config),
			.stream_id = 0x20 + i * 8,
		};
		struct place_device *device = &place->device[i];

		rc = nestfd_device_add(place->machine, &config,
				       &device->inside);
		if (!rc)
			rc = nestfd_bind(place->iommufd, device->inside,
					 &device->id);
	}
	place->backend.read = inside_read;
	place->backend.close = inside_close;
	place->dma = true;
	return rc ? complain("machine", -rc) : true;
}

/* Its BAR 0 can be reached, and it may do DMA. */
static bool edu_start(struct place_device *device)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	uint16_t command = 0x6; /* memory space, bus master */
	void *at;

	if (ioctl(device->vfio, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    ioctl(device->vfio, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return complain("VFIO_DEVICE_GET_REGION_INFO", errno);
	if (pwrite(device->vfio, &command, 2, (off_t)config.offset + 4) != 2)
		return complain("PCI command register", errno);
	at = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		  device->vfio, (off_t)bar.offset);
	if (at == MAP_FAILED)
		return complain("mmap of BAR 0", errno);
	device->bar = at;
	return true;
}

static bool open_vfio(struct place *place, unsigned int i, const char *name)
{
	struct place_device *device = &place->device[i];
	struct vfio_bind bind = {
		.argsz = sizeof(bind),
		.iommufd = place->kernel.fd,
	};
	char path[300];

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	device->vfio = open(path, O_RDWR | O_CLOEXEC);
	if (device->vfio < 0)
		return complain(path, errno);
	if (ioctl(device->vfio, VFIO_BIND, &bind))
		return complain("VFIO_DEVICE_BIND_IOMMUFD", errno);
	device->id = bind.out_devid;
	return edu_start(device);
}

/* The first two devices that VFIO has; false: none, or something is wrong */
static bool open_devices(struct place *place)
{
	DIR *dir = opendir("/dev/vfio/devices");
	unsigned int n = 0;
	struct dirent *entry;

	while (dir && n < DEVICES && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (!open_vfio(place, n, entry->d_name))
			break;
		n++;
	}
	if (dir)
		closedir(dir);
	if (n < DEVICES)
		fprintf(stderr, "VFIO has %u of %u devices\n", n, DEVICES);
	return n == DEVICES;
}

static bool open_dev(struct place *place)
{
	int rc = nestfd_kernel_open(NULL, &place->kernel);

	if (rc)
		return complain("/dev/iommu", -rc);
	for (unsigned int i = 0; i < DEVICES; i++)
		place->device[i] = (struct place_device){
			.id = i + 1,
			.vfio = -1,
		};
	place->dma = place->kind == PLACE_VFIO;
	return place->dma ? open_devices(place) : true;
}

bool place_open(struct place *place, enum place_kind kind)
{
	*place = (struct place){
		.kind = kind,
		.real = kind == PLACE_VFIO,
		.backend = { .ctx = place, .ioctl = place_ioctl },
	};
	place->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place->ram == MAP_FAILED)
		return complain("guest memory", errno);
	if (kind == PLACE_INSIDE)
		return open_inside(place);
	return open_dev(place);
}

void place_close(struct place *place)
{
	for (unsigned int i = 0; i < DEVICES; i++)
		if (place->kind == PLACE_VFIO && place->device[i].vfio >= 0)
			close(place->device[i].vfio);
	if (place->kind == PLACE_INSIDE) {
		nestfd_close(place->iommufd);
		nestfd_machine_destroy(place->machine);
	} else {
		nestfd_kernel_close(&place->kernel);
	}
	munmap(place->ram, RAM_SIZE);
}
