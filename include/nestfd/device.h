/* SPDX-License-Identifier: MIT */
/*
 * Device models: what sits behind the IOMMU and does DMA when its registers
 * are written.
 */
#ifndef NESTFD_DEVICE_H
#define NESTFD_DEVICE_H

#include "nestfd.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nestfd_edu;

/**
 * struct nestfd_edu_config - the "edu" PCI device (1234:11e8) of QEMU: a DMA
 *	engine with a 4 KiB buffer, a factorial unit, one MSI
 * @size: sizeof(struct nestfd_edu_config)
 * @dma_mask: address bits it drives; 0: 28 bits, as QEMU's default
 * @msi_addr: where its MSI is written, an IOVA; with @msi_enabled
 * @irq: its legacy interrupt's edge; may be NULL
 */
struct nestfd_edu_config {
	size_t size;
	uint64_t dma_mask;
	void (*irq)(void *ctx);
	void *ctx;
};

/**
 * nestfd_edu_create() - an edu device that does its DMA as @dev
 * @dev: lent; must outlive it
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int nestfd_edu_create(struct nestfd_device *dev,
		      const struct nestfd_edu_config *config,
		      struct nestfd_edu **edu);
void nestfd_edu_destroy(struct nestfd_edu *edu);

/** nestfd_edu_set_msi() - program its MSI capability; @enable false: off */
void nestfd_edu_set_msi(struct nestfd_edu *edu, bool enable, uint64_t addr,
			uint32_t data);

/**
 * nestfd_edu_read() - its BAR 0; @bytes 4 or 8, naturally aligned
 *
 * Offsets below 0x80 take 4-byte accesses only. Others read all ones.
 */
uint64_t nestfd_edu_read(struct nestfd_edu *edu, uint64_t offset,
			 unsigned int bytes);
void nestfd_edu_write(struct nestfd_edu *edu, uint64_t offset,
		      unsigned int bytes, uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
