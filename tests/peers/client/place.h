/* SPDX-License-Identifier: MIT */
/*
 * Where the client runs: a /dev/iommu with two devices behind an SMMUv3, 16 MiB
 * of guest memory, and (perhaps) a way to let the devices do DMA. Everything
 * that the client asks of /dev/iommu goes through place_ioctl(), which keeps
 * count of what a Linux must never see.
 */
#ifndef PEERS_CLIENT_PLACE_H
#define PEERS_CLIENT_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nestfd/nestfd.h"
#include "nestfd/viommu.h"

#define RAM_BASE 0x40000000ULL
#define RAM_SIZE 0x1000000ULL
#define DEVICES	 2u

/*
 * PLACE_VFIO: /dev/iommu, and the first two devices of VFIO, which are edus.
 * PLACE_DEV: /dev/iommu alone, devices 1 and 2 are bound to it (nestfd run).
 * PLACE_INSIDE: libnestfd in this process.
 */
enum place_kind { PLACE_VFIO, PLACE_DEV, PLACE_INSIDE };

struct place_device {
	uint32_t id;
	struct nestfd_device *inside;
	int vfio;	    /* fd, or -1 */
	volatile char *bar; /* edu's */
};

struct place {
	enum place_kind kind;
	bool real; /* it is the kernel's: what answers differ is documented */
	bool dma;  /* devices can be attached, and do DMA */
	char *ram;
	struct place_device device[DEVICES];
	struct nestfd_backend backend;
	struct nestfd_kernel kernel;
	struct nestfd_machine *machine;
	struct nestfd *iommufd;
	/* what has been asked of the backend */
	uint32_t largest_invalidate; /* bytes of its struct */
	uint32_t invalidates;
	uint32_t rings;
	uint32_t vdevice; /* the last one made */
};

/* Says on standard error what is missing; false then */
bool place_open(struct place *place, enum place_kind kind);
void place_close(struct place *place);

int place_ioctl(void *place, unsigned long cmd, void *arg);

/* As nestfd_viommu_device.attach; @device is a struct place_device */
int place_attach(void *device, uint32_t pt_id);

/*
 * The device reads 8 bytes at @from and writes them to @to. An IOMMU that
 * refuses either says so in its events, not here.
 */
void place_copy(struct place *place, unsigned int device, uint64_t from,
		uint64_t to);

/* Guest physical memory; NULL where there is none */
void *place_ram(struct place *place, uint64_t gpa, size_t len);
void place_put(struct place *place, uint64_t gpa, uint64_t word);
uint64_t place_get(struct place *place, uint64_t gpa);

#endif
